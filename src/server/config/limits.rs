//! `[limits]`: how much a server takes.

use toml_edit::Table;

use super::Reader;

/// Recipients and connections; what is not said is as usual.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bounds {
    /// Recipients of a message; clients are told (RFC 9422).
    pub recipients: Option<usize>,
    /// Connections at once, of all services together.
    pub connections: Option<usize>,
    /// Those of one address.
    pub connections_of_an_address: Option<usize>,
}

impl Bounds {
    /// These, and where nothing is said those of another one.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            recipients: self.recipients.or(other.recipients),
            connections: self.connections.or(other.connections),
            connections_of_an_address: self.connections_of_an_address.or(other.connections_of_an_address),
        }
    }
}

/// What the section says.
#[derive(Debug, Default)]
pub(super) struct Limits {
    pub(super) message_bytes: Option<u64>,
    pub(super) login_delay: Option<u64>,
    pub(super) bounds: Bounds,
}

/// Bytes of a banner. 200: with the longest name of a host it fits into the 512 of a reply (RFC 5321 4.5.3.1.5, RFC 1939 3).
const BANNER: usize = 200;

impl Reader<'_> {
    pub(super) fn limits(&mut self, root: &Table) -> Limits {
        let Some(limits) = self.section(root, "limits") else { return Limits::default() };
        self.known(
            limits,
            "limits.",
            &["message_bytes", "login_delay_seconds", "recipients", "connections", "connections_of_an_address"],
        );
        let mut number = |key: &str, text: &str, fits: fn(u64) -> bool| {
            let found = limits.get(key)?.as_integer().and_then(|n| u64::try_from(n).ok()).filter(|n| fits(*n));
            if found.is_none() {
                self.wrong(limits, key, format!("limits.{key} is a number of {text}"));
            }
            found
        };
        let login_delay = number("login_delay_seconds", "seconds, 3600 at most", |seconds| seconds <= 3600);
        let message_bytes = number("message_bytes", "bytes, 65536 at least", |bytes| bytes >= 64 << 10);
        // RFC 5321 4.5.3.1.8 asks for 100
        let recipients = number("recipients", "recipients from 100 to 5000", |count| (100..=5000).contains(&count));
        let mut open = |key| number(key, "connections from 1 to 50000", |count| (1..=50_000).contains(&count));
        let (connections, of_an_address) = (open("connections"), open("connections_of_an_address"));
        let count = |number: Option<u64>| number.and_then(|number| usize::try_from(number).ok());
        let bounds = Bounds {
            recipients: count(recipients),
            connections: count(connections),
            connections_of_an_address: count(of_an_address),
        };
        Limits { message_bytes, login_delay, bounds }
    }

    /// What follows the host's name when a client is greeted.
    pub(super) fn banner(&mut self, table: &Table, prefix: &str) -> Option<String> {
        let banner = table.contains_key("banner").then(|| self.string(table, prefix, "banner")).flatten()?;
        // RFC 1939 7: a greeting with an angle bracket offers APOP, which is not served
        let is_plain = |byte: u8| matches!(byte, b' '..=b'~') && !matches!(byte, b'<' | b'>');
        if !(1..=BANNER).contains(&banner.len()) || !banner.bytes().all(is_plain) || banner.trim() != banner {
            let text = format!("{prefix}banner is a line of 1 to {BANNER} characters of ASCII without < and >");
            self.wrong(table, "banner", text);
        }
        Some(banner)
    }
}
