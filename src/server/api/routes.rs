//! Every path of the API: the router, the checks of what comes and the description are all made of this table.

use axum::http::Method;
use axum::routing::MethodFilter;

/// By which method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::server::api) enum By {
    Get,
    Post,
    Put,
    Delete,
}

impl By {
    pub(in crate::server::api) fn filter(self) -> MethodFilter {
        match self {
            Self::Get => MethodFilter::GET,
            Self::Post => MethodFilter::POST,
            Self::Put => MethodFilter::PUT,
            Self::Delete => MethodFilter::DELETE,
        }
    }

    pub(in crate::server::api) fn method(self) -> Method {
        match self {
            Self::Get => Method::GET,
            Self::Post => Method::POST,
            Self::Put => Method::PUT,
            Self::Delete => Method::DELETE,
        }
    }
}

/// Who may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::server::api) enum For {
    /// Whoever connects.
    Everybody,
    /// Who bears a token: any for what only looks, one with scope `admin` for the rest.
    Bearers,
}

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::server::api) enum Operation {
    Status,
    Trace,
    ListDomains,
    AddDomain,
    RemoveDomain,
    SetDomainQuota,
    ListUsers,
    AddUser,
    ShowUser,
    RemoveUser,
    SetPassword,
    SetUserQuota,
    ShowFilter,
    SetFilter,
    RemoveFilter,
    SuspendUser,
    ResumeUser,
    ListAliases,
    AddAlias,
    RemoveAlias,
    ListQueue,
    ShowQueued,
    ListTls,
    RetryQueue,
    HoldQueue,
    DropQueue,
    ListDkim,
    NewDkim,
    DkimDns,
    RemoveDkim,
    ListServers,
    StartServer,
    StopServer,
    PauseServer,
    ListBans,
    AddBan,
    LiftBan,
    Reload,
    Description,
    Metrics,
    Alive,
    Ready,
}

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::server::api) enum Kind {
    Text,
    /// A text, or a list of one at least.
    Texts,
    /// A text that is told nowhere.
    Password,
    /// A text of many lines, larger than others may be.
    Script,
    /// A whole number, 0 at least.
    Number,
    /// One of these words.
    OneOf(&'static [&'static str]),
}

/// A part of a path, of a query or of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::server::api) struct Field {
    pub(in crate::server::api) name: &'static str,
    pub(in crate::server::api) kind: Kind,
    pub(in crate::server::api) need: Need,
    pub(in crate::server::api) about: &'static str,
}

/// Whether it may be left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::server::api) enum Need {
    Must,
    May,
}

/// One thing that can be asked.
#[derive(Debug, Clone, Copy)]
pub(in crate::server::api) struct Route {
    pub(in crate::server::api) operation: Operation,
    pub(in crate::server::api) method: By,
    pub(in crate::server::api) path: &'static str,
    pub(in crate::server::api) access: For,
    pub(in crate::server::api) summary: &'static str,
    pub(in crate::server::api) query: &'static [Field],
    pub(in crate::server::api) body: &'static [Field],
    /// The schema of the answer, as the description names it; empty for text.
    pub(in crate::server::api) answer: &'static str,
}

const fn get(operation: Operation, path: &'static str, answer: &'static str, summary: &'static str) -> Route {
    Route { operation, method: By::Get, path, access: For::Bearers, summary, query: &[], body: &[], answer }
}

const fn change(operation: Operation, method: By, path: &'static str, body: &'static [Field], summary: &'static str) -> Route {
    Route { operation, method, path, access: For::Bearers, summary, query: &[], body, answer: "Done" }
}

const fn must(name: &'static str, kind: Kind, about: &'static str) -> Field {
    Field { name, kind, need: Need::Must, about }
}

const fn may(name: &'static str, kind: Kind, about: &'static str) -> Field {
    Field { name, kind, need: Need::May, about }
}

const BYTES: &[Field] = &[must("bytes", Kind::Number, "Bytes; 0 lifts the bound.")];
const PASSWORD: &str = "The password, better of 8 characters at least; it is told nowhere.";
const DOMAIN: Field = may("domain", Kind::Text, "The recipients of this domain.");
const SENDER: Field = may("user", Kind::Text, "The messages of this sender.");
const SERVER: Field = may("server", Kind::Text, "The server whose keys these are; the main one where it is left out.");
const WHICH: &[Field] = &[may("id", Kind::Number, "The number of a message."), DOMAIN, SENDER];

/// All of it.
pub(in crate::server::api) const ROUTES: &[Route] = &[
    get(Operation::Status, "/v1/status", "Status", "The state of the server"),
    Route {
        query: &[
            may("user", Kind::Text, "Only conversations of this user."),
            may("peer", Kind::Text, "Only conversations with this IP address."),
            may("queue", Kind::Number, "Only what is about this message of the queue."),
        ],
        ..get(
            Operation::Trace,
            "/v1/trace",
            "Event",
            "What is said on every connection from now on, a JSON object a line, with secrets masked",
        )
    },
    get(Operation::ListDomains, "/v1/domains", "Domains", "The domains"),
    change(Operation::AddDomain, By::Post, "/v1/domains", &[must("domain", Kind::Text, "The domain.")], "Add a domain"),
    change(Operation::RemoveDomain, By::Delete, "/v1/domains/{domain}", &[], "Remove a domain that has no users"),
    change(
        Operation::SetDomainQuota,
        By::Put,
        "/v1/domains/{domain}/quota",
        BYTES,
        "Bound the bytes of all mailboxes of a domain",
    ),
    get(Operation::ListUsers, "/v1/users", "Users", "The users, and who of them is suspended"),
    Route {
        answer: "PasswordSet",
        ..change(
            Operation::AddUser,
            By::Post,
            "/v1/users",
            &[must("address", Kind::Text, "The address."), must("password", Kind::Password, PASSWORD)],
            "Add a user",
        )
    },
    get(Operation::ShowUser, "/v1/users/{address}", "User", "A user"),
    change(Operation::RemoveUser, By::Delete, "/v1/users/{address}", &[], "Remove a user, his mail and his filter"),
    Route {
        answer: "PasswordSet",
        ..change(
            Operation::SetPassword,
            By::Put,
            "/v1/users/{address}/password",
            &[must("password", Kind::Password, PASSWORD)],
            "Change a password",
        )
    },
    change(Operation::SetUserQuota, By::Put, "/v1/users/{address}/quota", BYTES, "Bound the bytes of a mailbox"),
    get(Operation::ShowFilter, "/v1/users/{address}/filter", "Filter", "The filter of a user (Sieve); empty where he has none"),
    change(
        Operation::SetFilter,
        By::Put,
        "/v1/users/{address}/filter",
        &[must("script", Kind::Script, "The script (RFC 5228); one with mistakes is refused, and the old one stays.")],
        "Put a filter in place; it runs on the next message",
    ),
    change(Operation::RemoveFilter, By::Delete, "/v1/users/{address}/filter", &[], "Take a filter away: all goes to the inbox"),
    change(Operation::SuspendUser, By::Post, "/v1/users/{address}/suspend", &[], "Let a user in no more; mail for him is kept"),
    change(Operation::ResumeUser, By::Post, "/v1/users/{address}/resume", &[], "Let a user in again"),
    get(Operation::ListAliases, "/v1/aliases", "Aliases", "The aliases"),
    change(
        Operation::AddAlias,
        By::Post,
        "/v1/aliases",
        &[
            must("alias", Kind::Text, "The alias; `@domain` takes what nobody else of the domain takes."),
            must("target", Kind::Texts, "Where it leads: an address, or a list of them."),
        ],
        "Lead an address to others; none is added where one of them leads there already",
    ),
    change(Operation::RemoveAlias, By::Delete, "/v1/aliases/{alias}", &[], "Remove an alias with all its targets"),
    Route { query: &[DOMAIN, SENDER], ..get(Operation::ListQueue, "/v1/queue", "Queue", "What waits for other servers") },
    Route {
        query: &[may("days_ago", Kind::Number, "So many days ago; 0, which is meant where it is left out, is today.")],
        ..get(Operation::ListTls, "/v1/queue/tls", "Tls", "How TLS went with other servers on a day")
    },
    get(Operation::ShowQueued, "/v1/queue/{id}", "Queued", "A message of the queue"),
    change(
        Operation::RetryQueue,
        By::Post,
        "/v1/queue/retry",
        WHICH,
        "Try messages again now; without a choice, all that nobody holds",
    ),
    change(Operation::HoldQueue, By::Post, "/v1/queue/hold", WHICH, "Hold messages until they are tried again by name"),
    change(Operation::DropQueue, By::Post, "/v1/queue/drop", WHICH, "Take messages out of the queue; nobody is told"),
    Route {
        query: &[SERVER],
        ..get(Operation::ListDkim, "/v1/dkim", "DkimKeys", "The keys with which domains sign (DKIM), and what each is good for")
    },
    Route {
        answer: "DkimRecords",
        query: &[SERVER],
        ..change(
            Operation::NewDkim,
            By::Post,
            "/v1/dkim",
            &[
                must("domain", Kind::Text, "The domain."),
                may("kind", Kind::OneOf(&["rsa", "ed25519"]), "The kind of key; without it one of each."),
                may(
                    "from",
                    Kind::Text,
                    "The day from which it signs, as 2026-12-01; without it today for the first, in two days for its successor.",
                ),
            ],
            "Make keys, or roll them over: the new ones sign from their day on",
        )
    },
    Route {
        query: &[may("domain", Kind::Text, "Only of this domain."), SERVER],
        ..get(Operation::DkimDns, "/v1/dkim/dns", "DkimRecords", "The records of keys to publish")
    },
    Route {
        query: &[SERVER],
        ..change(
            Operation::RemoveDkim,
            By::Delete,
            "/v1/dkim/{domain}/{selector}",
            &[],
            "Remove a key that is over, or has not signed yet",
        )
    },
    get(Operation::ListServers, "/v1/servers", "Servers", "The virtual servers of the process"),
    change(Operation::StartServer, By::Post, "/v1/servers/{name}/start", &[], "Listen again, and let everybody in"),
    change(Operation::StopServer, By::Post, "/v1/servers/{name}/stop", &[], "Listen no more; open sessions are told"),
    change(
        Operation::PauseServer,
        By::Post,
        "/v1/servers/{name}/pause",
        &[],
        "Tell who comes to try again later; open sessions go on",
    ),
    get(Operation::ListBans, "/v1/bans", "Bans", "Who is banned for failed logins or by hand, and until when"),
    change(
        Operation::AddBan,
        By::Post,
        "/v1/bans",
        &[
            must(
                "address",
                Kind::Text,
                "An address or a network of clients, or a sender: `x@b.example`, `b.example`, `.b.example`.",
            ),
            may("seconds", Kind::Number, "For how long; without it until it is lifted or the server starts anew."),
        ],
        "Ban clients or a sender",
    ),
    change(Operation::LiftBan, By::Post, "/v1/bans/{address}/lift", &[], "End a ban"),
    Route {
        answer: "Reloaded",
        ..change(Operation::Reload, By::Post, "/v1/reload", &[], "Read the configuration and the files of TLS and DKIM again")
    },
    Route { access: For::Everybody, ..get(Operation::Description, "/v1/openapi.json", "Description", "This description") },
    get(Operation::Metrics, "/metrics", "", "What is counted, in the text of Prometheus"),
    Route { access: For::Everybody, ..get(Operation::Alive, "/healthz", "", "Whether the server lives") },
    Route { access: For::Everybody, ..get(Operation::Ready, "/readyz", "", "Whether the server can do its work") },
];
