//! The configuration: TOML, every mistake told at once with its line.

mod access;
mod acme;
mod delivery;
mod folders;
mod limits;
mod observe;
mod process;
mod servers;

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use toml_edit::{Document, Item, Table};

use crate::server::accounts::kind;
pub use crate::server::accounts::kind::{Bind, Kind, Ldap, Pam};
use crate::server::doors;
use crate::server::listen::Service;
use crate::server::policy;
use crate::server::scan::{Address, OnFailure, Scanner};

pub use observe::{ApiConfig, Form, LogConfig, LogTo, Transport};

pub use acme::Acme;
pub use delivery::{Dane, Delivery, Hop, Login, MtaSts, Route, Srs, Start, TlsPolicy, TlsReports};
pub use folders::Drop;
pub use limits::Bounds;
pub use process::{Process, Sandbox};
pub use servers::VirtualServer;

/// What a server is told before it starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The name of this host, as peers see it.
    pub hostname: String,
    /// What follows it when a client is greeted; the usual words where there is none.
    pub banner: Option<String>,
    /// Where accounts and mail are kept.
    pub data: PathBuf,
    /// The TLS certificate with its chain, PEM.
    pub certificate: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
    /// What is served where.
    pub listeners: Vec<(Service, SocketAddr)>,
    /// Bytes of a message.
    pub max_message: u64,
    /// Recipients of a message, and connections.
    pub bounds: Bounds,
    /// How mail for others goes out.
    pub delivery: Delivery,
    /// Domains whose passwords are kept elsewhere, in lower case.
    pub accounts: Vec<(String, Kind)>,
    /// Whose certificates open mailboxes.
    pub clients: Option<Clients>,
    /// Seconds between two logins of one user by POP3.
    pub login_delay: u64,
    /// Who looks at messages before they are accepted.
    pub scanners: Vec<Scanner>,
    /// Whom mail is taken from, for whom, and how much.
    pub policy: policy::Settings,
    /// Servers beside this one, with addresses and rules of their own.
    pub servers: Vec<VirtualServer>,
    /// The folder whose files are sent.
    pub pickup: Option<PathBuf>,
    /// The domains whose mail goes into files.
    pub drop: Option<Drop>,
    /// Where the admin API is served.
    pub api: Option<ApiConfig>,
    /// What is logged, and where.
    pub log: LogConfig,
    /// The authority from which the certificate comes, where it speaks ACME.
    pub acme: Option<Acme>,
    /// As whom the server runs.
    pub process: Process,
    /// Seconds between two looks at the files of TLS.
    pub watch_seconds: u64,
    /// Whether clients may bind their logins to a connection of TLS (SCRAM-SHA-256-PLUS, RFC 7677); some choose that and then do not.
    pub channel_binding: bool,
}

/// Client certificates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clients {
    /// The authority whose certificates open mailboxes.
    pub authority: PathBuf,
    /// Its revocation lists: a file, or a folder of them.
    pub lists: Option<PathBuf>,
}

/// Something wrong in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// The line, from 1; 0 where something is missing.
    pub line: usize,
    /// What, and what to do.
    pub text: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => f.write_str(&self.text),
            line => write!(f, "line {line}: {}", self.text),
        }
    }
}

const KEYS: &[&str] = &[
    "hostname",
    "banner",
    "data",
    "tls",
    "listen",
    "limits",
    "routes",
    "delivery",
    "tls-policy",
    "accounts",
    "scanner",
    "api",
    "log",
    "process",
];

/// Half a minute: who renews a certificate looks whether it is served soon after.
const WATCH: u64 = 30;

impl Config {
    /// The rules of every server, the main one's first.
    pub fn policies(&self) -> impl Iterator<Item = &policy::Settings> {
        std::iter::once(&self.policy).chain(self.servers.iter().map(|server| &server.policy))
    }

    /// The rules of the server of this name; those of the main one, which is called `main`, stand by themselves.
    pub fn policy_of(&self, server: &str) -> Option<&policy::Settings> {
        let other = || self.servers.iter().find(|other| other.name == server).map(|other| &other.policy);
        if server == doors::MAIN { Some(&self.policy) } else { other() }
    }

    /// Every service, and where it is.
    pub fn listens(&self) -> Vec<(Service, SocketAddr)> {
        self.listeners.iter().chain(self.servers.iter().flat_map(|server| &server.listeners)).copied().collect()
    }

    /// The files that nobody else may read: the key of TLS, passwords that the server has elsewhere, and those of its users.
    pub fn secrets(&self) -> impl Iterator<Item = &Path> {
        let logins = self.delivery.routes.iter().filter_map(|(_, route)| route.login.as_ref());
        let accounts = self.accounts.iter().filter_map(|(_, kind)| kind.secret());
        std::iter::once(self.key.as_path()).chain(logins.map(|login| login.password_file.as_path())).chain(accounts)
    }

    /// Reads a configuration; paths in it are relative to `folder`, and absolute in what comes out. The error holds every mistake.
    pub fn parse(text: &str, folder: &Path) -> Result<Self, Vec<Mistake>> {
        // one configuration is compared with another, and both name a file by one name, however the folder was named
        let here = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        let absolute = std::path::absolute(here).unwrap_or_else(|_| folder.to_owned());
        let folder = absolute.as_path();
        let document = match Document::parse(text) {
            Ok(document) => document,
            Err(error) => {
                let line = error.span().map_or(0, |span| line_of(text, span.start));
                return Err(vec![Mistake { line, text: error.message().to_owned() }]);
            }
        };
        let mut reader = Reader { text, folder, mistakes: Vec::new() };
        let root = document.as_table();
        reader.known(root, "", &[KEYS, &access::SECTIONS, &folders::SECTIONS, &["server"]].concat());
        let hostname = reader.string(root, "", "hostname").unwrap_or_default();
        if root.get("hostname").is_some_and(|item| item.is_str()) && !is_host(&hostname) {
            reader.wrong(root, "hostname", format!("hostname = \"{hostname}\" is not the name of a host"));
        }
        let banner = reader.banner(root, "");
        let data = reader.path(root, "", "data", Must::Anything);
        let (certificate, key) = match reader.table(root, "tls") {
            Some(tls) => {
                reader.known(
                    tls,
                    "tls.",
                    &["certificate", "key", "client_ca", "client_crl", "watch_seconds", "acme", "channel_binding"],
                );
                (reader.path(tls, "tls.", "certificate", Must::Exist), reader.path(tls, "tls.", "key", Must::Exist))
            }
            None => (None, None),
        };
        let clients = root.get("tls").and_then(Item::as_table).and_then(|tls| reader.clients(tls));
        let watch_seconds = root.get("tls").and_then(Item::as_table).map_or(WATCH, |tls| reader.watch_seconds(tls));
        let tls = root.get("tls").and_then(Item::as_table);
        let channel_binding = tls
            .filter(|tls| tls.contains_key("channel_binding"))
            .and_then(|tls| reader.word(tls, "tls.", "channel_binding", &[("on", true), ("off", false)]));
        let listeners = match reader.table(root, "listen") {
            Some(listen) => reader.listeners(listen),
            None => Vec::new(),
        };
        let limits = reader.limits(root);
        let delivery = reader.delivery(root);
        let accounts = reader.accounts(root);
        let scanners = reader.scanners(root);
        let policy = reader.policy(root);
        let servers = reader.servers(root, &listeners);
        let (pickup, drop) = (reader.pickup(root), reader.dropped(root));
        let (api, log) = (reader.api(root), reader.log(root));
        let process = reader.process(root);
        let acme = root.get("tls").and_then(Item::as_table).and_then(|tls| reader.acme(tls, &hostname));
        match (reader.mistakes.is_empty(), data, certificate, key) {
            (true, Some(data), Some(certificate), Some(key)) => Ok(Self {
                // that of the authority, once it came; until then the one that is named
                certificate: ordered(acme.as_ref(), &data).unwrap_or(certificate),
                key: ordered(acme.as_ref(), &data).unwrap_or(key),
                hostname,
                banner,
                data,
                listeners,
                max_message: limits.message_bytes.unwrap_or(50 << 20),
                bounds: limits.bounds,
                delivery,
                accounts,
                clients,
                login_delay: limits.login_delay.unwrap_or(0),
                scanners,
                policy,
                servers,
                pickup,
                drop,
                api,
                log,
                acme,
                process,
                watch_seconds,
                channel_binding: channel_binding.unwrap_or(true),
            }),
            _ => {
                reader.mistakes.sort_by_key(|mistake| mistake.line);
                Err(reader.mistakes)
            }
        }
    }

    /// A configuration with comments, for a new server with these routes (a domain and `host:port` each).
    pub fn template(hostname: &str, port_offset: u16, routes: &[(String, String)]) -> String {
        let quoted = |text: &str| toml_edit::Value::from(text).to_string().trim().to_owned();
        let routes: String = match routes {
            [] => "# \"b.example\" = \"mail.b.example:25\"\n".to_owned(),
            some => some.iter().map(|(domain, to)| format!("{} = {}\n", quoted(domain), quoted(to))).collect(),
        };
        let listeners: String = Service::ALL
            .iter()
            .map(|(_, name, port)| format!("{name:<12} = \"127.0.0.1:{}\"\n", port.saturating_add(port_offset)))
            .collect();
        format!(
            "# The mail server. `sealpost serve --check` tells every mistake in this file.\n\n\
             # The name of this host, as other servers see it.\nhostname = \"{hostname}\"\n\
             # What follows it when a client is greeted, for SMTP and POP3.\n# banner = \"ESMTP ready\"\n\n\
             # Where accounts and mail are kept.\ndata = \"mail\"\n\n\
             # The certificate with its chain, and its key. `sealpost ca server-cert` makes them.\n\
             [tls]\ncertificate = \"tls/certificate.pem\"\nkey = \"tls/key.pem\"\n\
             # Or from an authority that speaks ACME (builds with that feature; port 80 must lead here).\n\
             # acme = {{ directory = \"https://acme-v02.api.letsencrypt.org/directory\", contact = \"postmaster@a.example\" }}\n\
             # Certificates of this authority open mailboxes (AUTH EXTERNAL), unless its lists say otherwise.\n\
             # client_ca = \"root.pem\"\n# client_crl = \"lists\"\n\
             # SCRAM-SHA-256-PLUS is offered; \"off\" is for programs that choose it and then cannot bind the channel (mutt, neomutt).\n\
             # channel_binding = \"on\"\n\n\
             # Started as root, the server binds its ports and goes on as this user, to whom the folder of this file belongs.\n\
             # [process]\n# user = \"sealpost\"\n# sandbox = \"auto\"           # what is not its own is closed to it, where the kernel can; or \"on\", \"off\"\n\
             # system_calls = \"auto\"      # those that it never makes, too\n\n\
             # What is served where. The usual ports are 25, 587, 465, 110 and 995; they need rights, and loopback is for trying.\n\
             [listen]\n{listeners}\n\
             [limits]\nmessage_bytes = 52428800\n# login_delay_seconds = 0     # between two logins of one user by POP3\n\
             # recipients = 1000           # of a message; clients are told\n\
             # connections = 2000          # at once, of all services together\n# connections_of_an_address = 100\n\n\
             # Mail for these domains goes to these servers; \"*\" is for all others. Without a route the MX records of the domain tell.\n\
             [routes]\n{routes}\n\
             # A server that wants a login: \"*\" = {{ server = \"mail.b.example:587\", user = \"jane\", password_file = \"relay.password\" }}\n\
             # With a login, TLS is verified. tls = \"at-once\" is for port 465, where TLS comes before the greeting.\n\n\
             # TLS to other servers: \"opportunistic\" (what DANE or MTA-STS of the domain ask for, else where it is offered), \"encrypted\" (with\n\
             # whoever it is), \"required\" (with a certificate that is good for the server), \"none\".\n\
             [tls-policy]\n# \"b.example\" = \"required\"\n\n\
             # How servers are found: the name server (the system's where it is left out), and the port of those found.\n\
             [delivery]\n# resolver = \"127.0.0.1:53\"\n# port = 25\n\
             # dane = \"auto\"            # TLSA records, where the name server lets DNSSEC through; or \"on\", \"off\"\n\
             # mta_sts = \"on\"\n# per_destination = 5\n# connections = 100\n# warn_hours = 4\n# give_up_hours = 120\n\
             # srs = \"on\"              # what is forwarded gets a sender of ours, so that SPF does not fail for it\n\
             # tls_reports = \"on\"      # domains that ask for it are told each day how TLS went with their servers\n\n\
             # Domains whose passwords are kept elsewhere: in a file as htpasswd writes it, or in an LDAP directory. With one of them, SCRAM\n\
             # is offered to nobody, for clients choose it where it is offered, and these users could not log in by it.\n\
             [accounts]\n# \"b.example\" = {{ file = \"passwords\" }}\n\
             # \"c.example\" = {{ ldap = \"ldaps://dir.c.example/ou=people,dc=c\", trust = \"dir-ca.pem\" }}\n\
             # \"d.example\" = {{ pam = \"sealpost\" }}     # users of this system (builds with the feature pam; a service in /etc/pam.d)\n\
             # \"d.example\" = {{ ldap = \"ldap://dc.d.example/dc=d\", bind = \"{{address}}\" }}\n\
             # With bind, nobody can be asked who there is: mail is taken for who has logged in once. Without it, an entry is looked for.\n\n\
             # Programs that look at each message before it is accepted, over the milter protocol: rspamd, clamav-milter, spamass-milter.\n\
             # on-failure says what becomes of messages while one cannot be asked: accept or tempfail.\n\
             # [[scanner]]\n# address = \"inet:127.0.0.1:11332\"\n# on-failure = \"tempfail\"\n\n{}\n{}\n{}\n{}",
            folders::TEMPLATE,
            access::TEMPLATE,
            servers::TEMPLATE,
            observe::TEMPLATE
        )
    }
}

/// The file with the chain and the key that came from an authority.
fn ordered(acme: Option<&Acme>, data: &Path) -> Option<PathBuf> {
    acme.map(|_| Acme::certificate(data)).filter(|path| path.is_file())
}

/// What a path must lead to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Must {
    Exist,
    Anything,
}

struct Reader<'a> {
    text: &'a str,
    folder: &'a Path,
    mistakes: Vec<Mistake>,
}

impl Reader<'_> {
    fn wrong(&mut self, table: &Table, key: &str, text: String) {
        let span = table.get_key_value(key).and_then(|(key, _)| key.span());
        let line = span.map_or(0, |span| line_of(self.text, span.start));
        self.mistakes.push(Mistake { line, text });
    }

    fn known(&mut self, table: &Table, prefix: &str, known: &[&str]) {
        for (key, _) in table {
            if !known.contains(&key) {
                let near = known
                    .iter()
                    .min_by_key(|candidate| distance(candidate, key))
                    .filter(|candidate| distance(candidate, key) <= 3);
                let hint =
                    near.map_or_else(|| format!("it may be one of {}", known.join(", ")), |near| format!("did you mean {near}?"));
                self.wrong(table, key, format!("{prefix}{key} is not known – {hint}"));
            }
        }
    }

    fn string(&mut self, table: &Table, prefix: &str, key: &str) -> Option<String> {
        match table.get(key) {
            None => {
                self.mistakes.push(Mistake { line: 0, text: format!("{prefix}{key} is missing") });
                None
            }
            Some(item) => match item.as_str() {
                Some(text) => Some(text.to_owned()),
                None => {
                    self.wrong(table, key, format!("{prefix}{key} must be text in quotes"));
                    None
                }
            },
        }
    }

    fn path(&mut self, table: &Table, prefix: &str, key: &str, must: Must) -> Option<PathBuf> {
        let path = self.folder.join(self.string(table, prefix, key)?);
        if must == Must::Exist && !path.is_file() {
            self.wrong(table, key, format!("{prefix}{key}: there is no file {}", path.display()));
        }
        Some(path)
    }

    /// A section that may be missing.
    fn section<'t>(&mut self, root: &'t Table, key: &str) -> Option<&'t Table> {
        if root.contains_key(key) { self.table(root, key) } else { None }
    }

    fn table<'t>(&mut self, root: &'t Table, key: &str) -> Option<&'t Table> {
        match root.get(key) {
            Some(Item::Table(table)) => Some(table),
            Some(_) => {
                self.wrong(root, key, format!("{key} must be a section: [{key}]"));
                None
            }
            None => {
                self.mistakes.push(Mistake { line: 0, text: format!("the section [{key}] is missing") });
                None
            }
        }
    }

    fn watch_seconds(&mut self, tls: &Table) -> u64 {
        let Some(item) = tls.get("watch_seconds") else { return WATCH };
        let seconds = item.as_integer().and_then(|n| u64::try_from(n).ok()).filter(|n| (1..=86_400).contains(n));
        if seconds.is_none() {
            self.wrong(tls, "watch_seconds", "tls.watch_seconds is a number of seconds from 1 to 86400".to_owned());
        }
        seconds.unwrap_or(WATCH)
    }

    fn clients(&mut self, tls: &Table) -> Option<Clients> {
        let mut path = |key| tls.contains_key(key).then(|| self.path(tls, "tls.", key, Must::Anything)).flatten();
        let (authority, lists) = (path("client_ca"), path("client_crl"));
        if let Some(authority) = authority.as_ref().filter(|authority| !authority.is_file()) {
            self.wrong(tls, "client_ca", format!("tls.client_ca: there is no file {}", authority.display()));
        }
        if lists.is_some() && authority.is_none() {
            self.wrong(tls, "client_crl", "tls.client_crl says nothing without tls.client_ca".to_owned());
        }
        Some(Clients { authority: authority?, lists })
    }

    /// `"b.example" = { file = "…" }` or `{ ldap = "ldaps://…", … }`.
    fn accounts(&mut self, root: &Table) -> Vec<(String, Kind)> {
        let mut found = Vec::new();
        let Some(accounts) = self.section(root, "accounts") else { return found };
        for (domain, item) in accounts {
            let Some(given) = item.as_table_like().filter(|_| is_host(domain)) else {
                let text = format!(
                    "accounts: \"{domain}\" is to be a domain with {{ file = \"…\" }}, {{ ldap = \"ldaps://…\" }} or {{ pam = \"…\" }}"
                );
                self.wrong(accounts, domain, text);
                continue;
            };
            match kind::read(given, self.folder) {
                Ok(kind) => found.push((domain.to_lowercase(), kind)),
                Err(why) => self.wrong(accounts, domain, format!("accounts.\"{domain}\": {why}")),
            }
        }
        found
    }

    fn scanners(&mut self, root: &Table) -> Vec<Scanner> {
        let tables = match root.get("scanner") {
            None => return Vec::new(),
            Some(Item::ArrayOfTables(tables)) => tables,
            Some(_) => {
                self.wrong(root, "scanner", "each scanner is a section of its own: [[scanner]]".to_owned());
                return Vec::new();
            }
        };
        let mut found = Vec::new();
        for table in tables {
            self.known(table, "scanner.", &["address", "on-failure"]);
            let address = self.string(table, "scanner.", "address");
            let address = address.and_then(|text| {
                let address = Address::parse(&text);
                if address.is_none() {
                    let form = "as \"unix:/run/rspamd.sock\" or \"inet:127.0.0.1:11332\"";
                    self.wrong(table, "address", format!("scanner.address = \"{text}\" is no address of a scanner, {form}"));
                }
                address
            });
            let on_failure = match table.get("on-failure").map(Item::as_str) {
                None | Some(Some("tempfail")) => OnFailure::Tempfail,
                Some(Some("accept")) => OnFailure::Accept,
                Some(_) => {
                    self.wrong(table, "on-failure", "scanner.on-failure is \"accept\" or \"tempfail\"".to_owned());
                    continue;
                }
            };
            found.extend(address.map(|address| Scanner { address, on_failure }));
        }
        found
    }

    fn listeners(&mut self, listen: &Table) -> Vec<(Service, SocketAddr)> {
        self.known(listen, "listen.", &Service::ALL.map(|(_, name, _)| name));
        let mut found: Vec<(Service, SocketAddr)> = Vec::new();
        for (service, name, _) in Service::ALL {
            if !listen.contains_key(name) {
                continue;
            }
            let Some(text) = self.string(listen, "listen.", name) else { continue };
            match text.parse::<SocketAddr>() {
                Err(_) => self.wrong(
                    listen,
                    name,
                    format!("listen.{name} = \"{text}\" is not an address with a port, as \"127.0.0.1:2525\""),
                ),
                Ok(address) if address.port() != 0 && found.iter().any(|(_, known)| *known == address) => {
                    self.wrong(listen, name, format!("listen.{name}: {address} is taken by another service of this file"));
                }
                Ok(address) => found.push((service, address)),
            }
        }
        found
    }
}

fn is_host(text: &str) -> bool {
    let is_label = |label: &str| !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    text.split('.').all(is_label)
}

fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count().saturating_add(1)
}

/// How many letters are to be changed, added or left out between two words.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = i;
        let mut left = i.saturating_add(1);
        row.iter_mut().take(1).for_each(|first| *first = left);
        for (j, y) in b.bytes().enumerate() {
            let Some(above) = row.get_mut(j.saturating_add(1)) else { break };
            let cost = diagonal.saturating_add(usize::from(x != y)).min(above.saturating_add(1)).min(left.saturating_add(1));
            diagonal = *above;
            *above = cost;
            left = cost;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_have_their_passwords_in_one_place_each() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for name in ["passwords", "reader"] {
            std::fs::write(folder.path().join(name), "").expect("written");
        }
        let kinds = |lines: &str| {
            let text = format!("[accounts]\n{lines}\n");
            let document = Document::parse(text.as_str()).expect("TOML");
            let mut reader = Reader { text: &text, folder: folder.path(), mistakes: Vec::new() };
            let kinds = reader.accounts(document.as_table());
            (kinds, reader.mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
        };
        let (found, wrong) = kinds(
            "\"B.example\" = { file = \"passwords\" }\n\"c.example\" = { ldap = \"ldaps://h/dc=c\" }\n\
             \"d.example\" = { ldap = \"ldap://h/dc=d\", bind = \"uid={user},dc=d\" }\n\
             \"e.example\" = { ldap = \"ldap://h/dc=e\", search_as = \"cn=r\", password_file = \"reader\" }",
        );
        assert_eq!(wrong, "");
        let binds: Vec<_> =
            found.iter().filter_map(|(_, kind)| if let Kind::Ldap(ldap) = kind { Some(&ldap.bind) } else { None }).collect();
        assert_eq!(found.first(), Some(&("b.example".to_owned(), Kind::File(folder.path().join("passwords")))));
        let reader = Bind::Search(Some(("cn=r".to_owned(), folder.path().join("reader"))));
        assert_eq!(binds, [&Bind::Search(None), &Bind::Template("uid={user},dc=d".to_owned()), &reader]);
        for (line, reason) in [
            ("\"b.example\" = 7", "line 2: accounts: \"b.example\" is to be a domain"),
            ("\"b example\" = { file = \"passwords\" }", "is to be a domain"),
            ("\"b.example\" = { file = \"none\" }", "there is no file"),
            ("\"b.example\" = { file = \"passwords\", ldap = \"ldaps://h/\" }", "either a file"),
            ("\"b.example\" = { fil = \"passwords\" }", "fil is not known"),
            ("\"b.example\" = { ldap = \"http://h/\" }", "no address of a directory"),
            ("\"b.example\" = { ldap = \"ldaps://h/\", bind = \"cn=all\" }", "neither {user}"),
            ("\"b.example\" = { ldap = \"ldaps://h/\", search_as = \"cn=r\" }", "search_as with password_file"),
            ("\"b.example\" = { ldap = 7 }", "text in quotes"),
        ] {
            let (found, wrong) = kinds(line);
            assert!(found.is_empty() && wrong.contains(reason), "{line}: {wrong}");
        }
    }

    #[test]
    fn every_file_that_nobody_else_may_read_is_named() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for name in ["c.pem", "k.pem", "relay", "reader", "users"] {
            std::fs::write(folder.path().join(name), "x").expect("written");
        }
        let text = "hostname = \"mail.a.example\"\ndata = \"mail\"\n[tls]\ncertificate = \"c.pem\"\nkey = \"k.pem\"\n[listen]\n\
                    [routes]\n\"*\" = { server = \"b:587\", user = \"jane\", password_file = \"relay\" }\n\
                    [accounts]\n\"b.example\" = { file = \"users\" }\n\"c.example\" = { ldap = \"ldaps://h/dc=c\" }\n\
                    \"d.example\" = { ldap = \"ldap://h/dc=d\", search_as = \"cn=r\", password_file = \"reader\" }\n";
        let config = Config::parse(text, folder.path()).expect("good");
        let names: Vec<_> = config.secrets().filter_map(|path| path.file_name()?.to_str()).collect();
        assert_eq!(names, ["k.pem", "relay", "users", "reader"]);
    }

    #[test]
    fn paths_are_absolute_however_the_folder_is_named() {
        let text = "hostname = \"mail.a.example\"\ndata = \"mail\"\n[tls]\ncertificate = \"Cargo.toml\"\nkey = \"Cargo.toml\"\n\
                    [listen]\n[dkim]\nfolder = \"keys\"\n[pickup]\nfolder = \"out\"\n";
        // tests run in the folder of the package
        let [absolute, empty, dot] =
            [env!("CARGO_MANIFEST_DIR"), "", "."].map(|folder| Config::parse(text, Path::new(folder)).expect("good"));
        assert!(absolute.data.is_absolute() && empty.data.is_absolute(), "{}", empty.data.display());
        assert_eq!((&empty, &dot), (&absolute, &absolute));
    }

    #[test]
    fn every_mistake_is_told_at_once_with_its_line() {
        let text = "hostnam = \"a.example\"\ndata = 7\n[tls]\ncertificate = \"none.pem\"\nkey = \"none.key\"\n[listen]\nsmtp = \"here\"\n\
                    pop3 = \"127.0.0.1:2110\"\npop3s = \"127.0.0.1:2110\"\n";
        let mistakes = Config::parse(text, Path::new("/nonexistent")).expect_err("many");
        let told: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
        assert_eq!(told.len(), 7, "{told:#?}");
        assert_eq!(told[0], "hostname is missing");
        assert_eq!(told[1], "line 1: hostnam is not known – did you mean hostname?");
        assert_eq!(told[2], "line 2: data must be text in quotes");
        assert!(told[3].starts_with("line 4: tls.certificate: there is no file"));
        assert!(told[5].starts_with("line 7: listen.smtp"));
        assert!(told[6].starts_with("line 9: listen.pop3s"));
    }

    #[test]
    fn the_template_is_a_good_configuration() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::create_dir(folder.path().join("tls")).expect("made");
        for name in ["certificate.pem", "key.pem"] {
            std::fs::write(folder.path().join("tls").join(name), "x").expect("written");
        }
        let routes = [("B.example".to_owned(), "127.0.0.1:4525".to_owned())];
        let config = Config::parse(&Config::template("mail.a.example", 1000, &routes), folder.path()).expect("no mistake");
        let hop = Hop { host: "127.0.0.1".to_owned(), port: 4525 };
        assert_eq!(
            (config.delivery.route("b.EXAMPLE").map(|route| &route.hop), config.delivery.route("c.example")),
            (Some(&hop), None)
        );
        assert_eq!(config.listeners.len(), 5);
        assert_eq!(config.listeners.first().map(|(_, address)| address.port()), Some(3525));
    }
}
