//! How mail for others goes out: `[delivery]`, `[routes]` and `[tls-policy]`.

use std::net::SocketAddr;
use std::path::PathBuf;

use toml_edit::{Item, Table, TableLike};

use crate::server::config::{Must, Reader, is_host};

/// How mail for others goes out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Domains with a server of their own, in lower case; `*` is for all others.
    pub routes: Vec<(String, Route)>,
    /// What TLS is asked of a domain, in lower case; `*` is for all others.
    pub tls: Vec<(String, TlsPolicy)>,
    /// The name server for MX look-ups; the system's where there is none.
    pub resolver: Option<SocketAddr>,
    /// The port of servers found by MX look-up.
    pub port: u16,
    /// The port at which policies are fetched (RFC 8461 3.3).
    pub policy_port: u16,
    /// DNSKEY records of the root, where it is not the real one.
    pub anchor: Option<PathBuf>,
    /// Certificates to trust for TLS besides the system's.
    pub trust: Option<PathBuf>,
    /// Whether TLSA records are looked up (RFC 7672).
    pub dane: Dane,
    /// Whether policies of domains are fetched (RFC 8461).
    pub mta_sts: MtaSts,
    /// Connections to one destination at once.
    pub per_destination: usize,
    /// Connections to all destinations at once.
    pub connections: usize,
    /// Hours until a message is given up.
    pub give_up_hours: i64,
    /// Hours until the sender is told that it takes long.
    pub warn_hours: i64,
    /// Whether what is forwarded gets a sender of ours.
    pub srs: Srs,
    /// Whether domains that want to know how TLS went with their servers are told (RFC 8460).
    pub tls_reports: TlsReports,
}

impl Default for Delivery {
    fn default() -> Self {
        Self {
            routes: Vec::new(),
            tls: Vec::new(),
            resolver: None,
            port: 25,
            policy_port: 443,
            anchor: None,
            trust: None,
            dane: Dane::Auto,
            mta_sts: MtaSts::On,
            // what the large providers take of a server that they do not know
            per_destination: 5,
            connections: 100,
            // RFC 5321 4.5.4.1: four to five days
            give_up_hours: 120,
            warn_hours: 4,
            srs: Srs::Off,
            tls_reports: TlsReports::Off,
        }
    }
}

/// Whether TLSA records are looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dane {
    /// Where the resolver lets DNSSEC through.
    Auto,
    /// Always; where DNSSEC cannot be asked, mail waits.
    On,
    /// Never.
    Off,
}

/// Whether policies of domains are fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MtaSts {
    /// They are.
    On,
    /// They are not.
    Off,
}

/// Whether what is forwarded gets a sender of ours, so that SPF of the author's domain does not fail for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Srs {
    /// It does; what comes back to that sender goes on to the author.
    On,
    /// It keeps its own.
    Off,
}

/// Whether reports about TLS are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsReports {
    /// Each day, to the domains that ask for them.
    On,
    /// Never; what would be in them is kept all the same.
    Off,
}

/// What TLS is asked of a server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TlsPolicy {
    /// What DANE or MTA-STS ask for; else TLS where it is offered, whoever it is (RFC 7435).
    #[default]
    Opportunistic,
    /// TLS, with whoever it is; or the mail waits.
    Encrypted,
    /// TLS, with a certificate that is good for the server's name; or the mail waits.
    Required,
    /// None at all: for servers whose TLS is broken.
    Without,
}

/// A server of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Where it is.
    pub hop: Hop,
    /// How we log in there.
    pub login: Option<Login>,
    /// When TLS begins there.
    pub start: Start,
}

/// When TLS begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// After the greeting, where the server offers it (RFC 3207).
    Command,
    /// Before anything is said, as on port 465 (RFC 8314 3.3).
    AtOnce,
}

/// A user at another server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// His name.
    pub user: String,
    /// The file whose first line is his password; it is read for each connection.
    pub password_file: PathBuf,
}

/// Another server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hop {
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
}

impl Hop {
    /// Reads `host:port`, or a host alone (port 25).
    pub fn parse(text: &str) -> Option<Self> {
        if let Ok(address) = text.parse::<SocketAddr>() {
            return Some(Self { host: address.ip().to_string(), port: address.port() });
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) => (host, port.parse().ok().filter(|port| *port != 0)?),
            None => (text, 25),
        };
        is_host(host).then(|| Self { host: host.to_owned(), port })
    }
}

impl Delivery {
    /// The server that the configuration names for a domain.
    pub fn route(&self, domain: &str) -> Option<&Route> {
        named(&self.routes, domain)
    }

    /// What TLS the configuration asks of a domain.
    pub fn tls_policy(&self, domain: &str) -> TlsPolicy {
        named(&self.tls, domain).copied().unwrap_or_default()
    }
}

fn named<'a, T>(of: &'a [(String, T)], domain: &str) -> Option<&'a T> {
    let domain = domain.to_lowercase();
    let find = |wanted: &str| of.iter().find(|(known, _)| known == wanted).map(|(_, value)| value);
    find(&domain).or_else(|| find("*"))
}

const KEYS: &[&str] = &[
    "resolver",
    "port",
    "policy_port",
    "dnssec_anchor",
    "trust",
    "dane",
    "mta_sts",
    "per_destination",
    "connections",
    "give_up_hours",
    "warn_hours",
    "srs",
    "tls_reports",
];

impl Reader<'_> {
    pub(super) fn delivery(&mut self, root: &Table) -> Delivery {
        let mut found = Delivery::default();
        if let Some(routes) = self.section(root, "routes") {
            self.routes(routes, &mut found);
        }
        if let Some(policies) = self.section(root, "tls-policy") {
            let words = [
                ("opportunistic", TlsPolicy::Opportunistic),
                ("encrypted", TlsPolicy::Encrypted),
                ("required", TlsPolicy::Required),
                ("none", TlsPolicy::Without),
            ];
            for (domain, _) in policies {
                if domain != "*" && !is_host(domain) {
                    self.wrong(policies, domain, format!("tls-policy: {domain} is not a domain"));
                } else if let Some(policy) = self.word(policies, "tls-policy.", domain, &words) {
                    found.tls.push((domain.to_lowercase(), policy));
                }
            }
        }
        if let Some(delivery) = self.section(root, "delivery") {
            self.ways(delivery, &mut found);
        }
        found
    }

    fn ways(&mut self, delivery: &Table, found: &mut Delivery) {
        self.known(delivery, "delivery.", KEYS);
        if delivery.contains_key("resolver")
            && let Some(text) = self.string(delivery, "delivery.", "resolver")
        {
            match text.parse() {
                Ok(address) => found.resolver = Some(address),
                Err(_) => self.wrong(
                    delivery,
                    "resolver",
                    format!("delivery.resolver = \"{text}\" is not an address with a port, as \"127.0.0.1:53\""),
                ),
            }
        }
        for (key, place) in [("port", &mut found.port), ("policy_port", &mut found.policy_port)] {
            match delivery.get(key).map(|item| item.as_integer().and_then(|port| u16::try_from(port).ok())) {
                Some(Some(port)) if port != 0 => *place = port,
                Some(_) => self.wrong(delivery, key, format!("delivery.{key} is a number from 1 to 65535")),
                None => {}
            }
        }
        for (key, place) in [("dnssec_anchor", &mut found.anchor), ("trust", &mut found.trust)] {
            if delivery.contains_key(key) {
                *place = self.path(delivery, "delivery.", key, Must::Exist);
            }
        }
        let words = [("auto", Dane::Auto), ("on", Dane::On), ("off", Dane::Off)];
        found.dane = self.optional_word(delivery, "dane", &words).unwrap_or(found.dane);
        let words = [("on", MtaSts::On), ("off", MtaSts::Off)];
        found.mta_sts = self.optional_word(delivery, "mta_sts", &words).unwrap_or(found.mta_sts);
        found.srs = self.optional_word(delivery, "srs", &[("on", Srs::On), ("off", Srs::Off)]).unwrap_or(found.srs);
        let words = [("on", TlsReports::On), ("off", TlsReports::Off)];
        found.tls_reports = self.optional_word(delivery, "tls_reports", &words).unwrap_or(found.tls_reports);
        for (key, place) in [("per_destination", &mut found.per_destination), ("connections", &mut found.connections)] {
            if let Some(number) = self.number(delivery, key, 1, 10_000) {
                *place = usize::try_from(number).unwrap_or(*place);
            }
        }
        for (key, place) in [("give_up_hours", &mut found.give_up_hours), ("warn_hours", &mut found.warn_hours)] {
            *place = self.number(delivery, key, 1, 24 * 365).unwrap_or(*place);
        }
    }

    /// `domain = "host:port"`, or `domain = { server = "host:port", user = "…", password_file = "…", tls = "at-once" }`.
    fn routes(&mut self, routes: &Table, found: &mut Delivery) {
        for (domain, item) in routes {
            if domain != "*" && !is_host(domain) {
                self.wrong(routes, domain, format!("routes: {domain} is not a domain"));
                continue;
            }
            let (text, login, start) = match item {
                Item::Value(toml_edit::Value::InlineTable(inline)) => match self.route(routes, domain, inline) {
                    Some(read) => read,
                    None => continue,
                },
                _ => match self.string(routes, "routes.", domain) {
                    Some(text) => (text, None, Start::Command),
                    None => continue,
                },
            };
            match Hop::parse(&text) {
                None => {
                    self.wrong(routes, domain, format!("routes.{domain} = \"{text}\" is not a server, as \"mail.b.example:25\""));
                }
                Some(hop) => found.routes.push((domain.to_lowercase(), Route { hop, login, start })),
            }
        }
    }

    fn route(&mut self, routes: &Table, domain: &str, inline: &dyn TableLike) -> Option<(String, Option<Login>, Start)> {
        let known = ["server", "user", "password_file", "tls"];
        let text = |key: &str| inline.get(key).and_then(Item::as_str).map(str::to_owned);
        let is_known = inline.iter().all(|(key, item)| known.contains(&key) && item.is_str());
        let (server, user, file) = (text("server"), text("user"), text("password_file"));
        let start = match text("tls").as_deref() {
            None | Some("starttls") => Some(Start::Command),
            Some("at-once") => Some(Start::AtOnce),
            Some(_) => None,
        };
        let (Some(server), Some(start), true, true) = (server, start, is_known, user.is_some() == file.is_some()) else {
            let form = "{ server = \"mail.b.example:587\", user = \"jane\", password_file = \"relay.password\" }, with tls = \"at-once\" \
                        where TLS comes before the greeting";
            self.wrong(routes, domain, format!("routes.{domain} is not a server, as \"mail.b.example:25\" or {form}"));
            return None;
        };
        let login = user.zip(file).map(|(user, file)| Login { user, password_file: self.folder.join(file) });
        if let Some(missing) = login.as_ref().map(|login| &login.password_file).filter(|file| !file.is_file()) {
            self.wrong(routes, domain, format!("routes.{domain}: there is no file {}", missing.display()));
        }
        Some((server, login, start))
    }

    pub(super) fn word<T: Copy>(&mut self, table: &Table, prefix: &str, key: &str, words: &[(&str, T)]) -> Option<T> {
        let text = self.string(table, prefix, key)?;
        let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        if found.is_none() {
            let all: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            self.wrong(table, key, format!("{prefix}{key} = \"{text}\" is none of {}", all.join(", ")));
        }
        found
    }

    fn optional_word<T: Copy>(&mut self, table: &Table, key: &str, words: &[(&str, T)]) -> Option<T> {
        if table.contains_key(key) { self.word(table, "delivery.", key, words) } else { None }
    }

    fn number(&mut self, table: &Table, key: &str, least: i64, most: i64) -> Option<i64> {
        let found = table.get(key)?.as_integer().filter(|number| (least..=most).contains(number));
        if found.is_none() {
            self.wrong(table, key, format!("delivery.{key} is a number from {least} to {most}"));
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::server::config::Config;

    #[test]
    fn mistakes_of_delivery_are_told_with_their_lines() {
        let good = |text: &str| Hop::parse(text).map(|hop| (hop.host, hop.port));
        assert_eq!(good("mail.b.example"), Some(("mail.b.example".to_owned(), 25)));
        assert_eq!(good("[::1]:2525"), Some(("::1".to_owned(), 2525)));
        for bad in ["", "b:", "b:0", "b:x", "b example:25", ":25"] {
            assert_eq!(good(bad), None, "{bad}");
        }
        let text = "[routes]\n\"b.example\" = \"b:x\"\n\"c.example\" = { server = \"c\", user = \"jane\" }\n[delivery]\nport = 0\n\
                    resolver = \"dns\"\ndane = \"maybe\"\nper_destination = 0\n[tls-policy]\n\"b.example\" = \"strict\"\n";
        let told: Vec<String> = Config::parse(text, Path::new("/")).expect_err("many").iter().map(ToString::to_string).collect();
        for wanted in [
            "line 2: routes.b.example",
            "line 3: routes.c.example is not a server",
            "line 5: delivery.port",
            "line 6: delivery.resolver",
            "line 7: delivery.dane = \"maybe\" is none of auto, on, off",
            "line 8: delivery.per_destination",
            "line 10: tls-policy.b.example = \"strict\" is none of opportunistic, encrypted, required, none",
        ] {
            assert!(told.iter().any(|line| line.starts_with(wanted)), "{wanted} in {told:#?}");
        }
    }
}
