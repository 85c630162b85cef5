//! Virtual servers: `[[server]]`, each with its own addresses, name, limits and rules about whom mail is taken from.

use std::net::SocketAddr;

use toml_edit::{Item, Table};

use super::limits::{Bounds, Limits};
use super::{Mistake, Reader, access, is_host};
use crate::server::listen::Service;
use crate::server::policy;

/// A server beside the main one. Accounts, mail, queue and certificate are the same; what is not said here is as usual, and not as the main one's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VirtualServer {
    /// What it is called here.
    pub name: String,
    /// The name in its banner; the main server's where there is none.
    pub hostname: Option<String>,
    /// What follows it; the main server's where there is none.
    pub banner: Option<String>,
    /// What is served where.
    pub listeners: Vec<(Service, SocketAddr)>,
    /// Bytes of a message; the main server's where there is none.
    pub max_message: Option<u64>,
    /// Recipients of a message, and connections; the main server's where nothing is said. Connections are counted for each server alone.
    pub bounds: Bounds,
    /// Whom mail is taken from, for whom, and how much.
    pub policy: policy::Settings,
}

impl Reader<'_> {
    /// Reads every `[[server]]`; an address that the main server or another one has is a mistake.
    pub(super) fn servers(&mut self, root: &Table, main: &[(Service, SocketAddr)]) -> Vec<VirtualServer> {
        let tables = match root.get("server") {
            None => return Vec::new(),
            Some(Item::ArrayOfTables(tables)) => tables,
            Some(_) => {
                self.wrong(root, "server", "each server is a section of its own: [[server]]".to_owned());
                return Vec::new();
            }
        };
        let mut servers: Vec<VirtualServer> = Vec::new();
        for table in tables {
            let server = self.server(table);
            let others = servers.iter().flat_map(|other| &other.listeners).chain(main);
            let taken = server
                .listeners
                .iter()
                .find(|(_, address)| address.port() != 0 && others.clone().any(|(_, known)| known == address));
            if let Some((_, address)) = taken {
                let text = format!("the server {} listens on {address}, which another server of this file has", server.name);
                self.wrong(table, "name", text);
            }
            if servers.iter().any(|other| other.name == server.name) {
                self.wrong(table, "name", format!("there are two servers of the name {}", server.name));
            }
            servers.push(server);
        }
        servers
    }

    fn server(&mut self, table: &Table) -> VirtualServer {
        self.known(table, "server.", &[&["name", "hostname", "banner", "listen", "limits"][..], &access::SECTIONS].concat());
        let name = self.string(table, "server.", "name").unwrap_or_default();
        // it names a file
        let is_plain = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if !is_plain && table.contains_key("name") {
            self.wrong(table, "name", format!("server.name = \"{name}\" is not a name of letters, digits and dashes"));
        }
        let hostname = table.contains_key("hostname").then(|| self.string(table, "server.", "hostname").unwrap_or_default());
        if hostname.as_ref().is_some_and(|hostname| !is_host(hostname)) {
            self.wrong(table, "hostname", "server.hostname is not the name of a host".to_owned());
        }
        let banner = self.banner(table, "server.");
        let listeners = match table.get("listen").and_then(Item::as_table) {
            Some(listen) => self.listeners(listen),
            None => {
                self.mistakes
                    .push(Mistake { line: 0, text: format!("the section [server.listen] of the server {name} is missing") });
                Vec::new()
            }
        };
        let Limits { message_bytes: max_message, login_delay, bounds } = self.limits(table);
        if login_delay.is_some() {
            let text = "server.limits.login_delay_seconds: mailboxes have one delay, which is said in [limits]".to_owned();
            self.wrong(table, "limits", text);
        }
        VirtualServer { name, hostname, banner, listeners, max_message, bounds, policy: self.policy(table) }
    }
}

/// What the configuration of a new server says of virtual ones.
pub(super) const TEMPLATE: &str = "\
# Another server of this one, with its own addresses and rules: for the hosts of the office, say, which send without logging in.
# [[server]]
# name = \"office\"
# hostname = \"relay.our.example\"
# banner = \"ESMTP relay of the office\"
# [server.listen]
# smtp = \"10.0.0.1:25\"
# [server.limits]
# recipients = 200
# connections = 50
# [server.relay]
# networks = [\"10.0.0.0/8\"]
";

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::server::Config;
    use crate::server::config::Bounds;

    const BASE: &str = "hostname = \"mx.our.example\"\ndata = \"mail\"\n[tls]\ncertificate = \"Cargo.toml\"\nkey = \"Cargo.toml\"\n[listen]\n\
                        smtp = \"127.0.0.1:25\"\n";

    fn read(text: &str) -> Result<Config, Vec<String>> {
        let read = Config::parse(&format!("{BASE}{text}"), Path::new(env!("CARGO_MANIFEST_DIR")));
        read.map_err(|mistakes| mistakes.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_virtual_server_has_its_own_rules_and_the_main_one_keeps_its() {
        let live: String =
            super::TEMPLATE.lines().filter_map(|line| line.strip_prefix("# ")).map(|line| format!("{line}\n")).collect();
        let (_, sections) = live.split_once('\n').expect("a sentence stands in front");
        let config = read(sections).expect("what the template offers is good");
        let [office] = config.servers.as_slice() else { panic!("{:?}", config.servers) };
        assert_eq!((office.name.as_str(), office.hostname.as_deref()), ("office", Some("relay.our.example")));
        assert_eq!((office.listeners.len(), office.policy.relay.networks.len()), (1, 1));
        assert!(config.policy.relay.networks.is_empty());
        assert_eq!((office.max_message, config.listeners.len()), (None, 1));
        assert_eq!((office.banner.as_deref(), config.banner.as_deref()), (Some("ESMTP relay of the office"), None));
        assert_eq!(
            (office.bounds.recipients, office.bounds.connections, config.bounds),
            (Some(200), Some(50), Bounds::default())
        );
    }

    #[test]
    fn banners_are_a_line_and_limits_have_limits() {
        let wrong = |lines: &str| read(&format!("[[server]]\nname = \"two\"\n{lines}\n")).expect_err("one").join("; ");
        let long = format!("banner = \"{}\"\n[server.listen]", "x".repeat(201));
        for banner in ["banner = \"\"\n[server.listen]", "banner = \"a\\r\\n250 b\"\n[server.listen]", &long] {
            assert!(wrong(banner).contains("line 10: server.banner is a line of 1 to 200 characters"), "{banner}");
        }
        assert!(wrong("banner = \"<1.2@h>\"\n[server.listen]").contains("without < and >"), "it offers APOP");
        for limit in ["recipients = 99", "recipients = 5001", "connections = 0", "connections_of_an_address = 50001"] {
            let told = wrong(&format!("[server.listen]\n[server.limits]\n{limit}"));
            assert!(
                told.starts_with(&format!("line 12: limits.{}is a number of", &limit[..=limit.find(' ').expect("a space")])),
                "{told}"
            );
        }
    }

    #[test]
    fn every_mistake_of_a_virtual_server_is_told() {
        let told = read(
            "[[server]]\nname = \"a b\"\nhostnam = \"x\"\n[server.listen]\nsmtp = \"127.0.0.1:25\"\n[server.relay]\nnetworks = [\"0.0.0.0/0\"]\n\
             [[server]]\nname = \"two\"\n[server.limits]\nmessage_bytes = 1\n",
        )
        .expect_err("many");
        let expected = [
            "the section [server.listen] of the server two is missing",
            "line 9: server.name = \"a b\" is not a name of letters, digits and dashes",
            "line 9: the server a b listens on 127.0.0.1:25, which another server of this file has",
            "line 10: server.hostnam is not known – did you mean hostname?",
            "line 14: relay.networks: 0.0.0.0/0 is everybody – this would be an open relay",
            "line 18: limits.message_bytes is a number of bytes, 65536 at least",
        ];
        assert_eq!(told, expected);
        assert_eq!(
            read("[server]\nname = \"x\"\n").expect_err("one"),
            ["line 8: each server is a section of its own: [[server]]"]
        );
    }
}
