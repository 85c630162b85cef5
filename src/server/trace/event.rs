//! One line of the trace, as a value, as a line between tabs, and in JSON.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};

use serde_json::{Value, json};

use crate::proto::{Party, sasl};
use crate::time::Timestamp;

/// How much an event matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// The server cannot do its work.
    Error,
    /// Somebody should look at it.
    Warning,
    /// What was done.
    Info,
    /// Every word.
    Debug,
}

impl Level {
    /// All, the gravest first.
    pub const ALL: [Self; 4] = [Self::Error, Self::Warning, Self::Info, Self::Debug];

    /// Its word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Info => "info",
            Self::Debug => "debug",
        }
    }

    /// The one of this word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.name() == word)
    }
}

/// One line of the trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Which conversation; 0 for notes about none.
    pub conversation: u64,
    /// When.
    pub at: Timestamp,
    /// How much it matters.
    pub level: Level,
    /// What is served (`smtp`, `pop3`, …), `delivery` for mail that goes out, `note` for notes about no connection.
    pub service: Cow<'static, str>,
    /// The other side; empty for notes.
    pub peer: String,
    /// The user, once he is authenticated; `USER/FOLDER` where a folder of his is open.
    pub user: String,
    /// The message of the queue that it is about.
    pub queue: Option<i64>,
    /// Who spoke; `None` for notes.
    pub by: Option<Party>,
    /// What; secrets are masked, and no character controls a terminal.
    pub text: String,
}

impl Event {
    /// A note. One that begins with `queue N:` is about that message.
    pub(in crate::server) fn note(at: Timestamp, level: Level, text: &str) -> Self {
        let queue = text.strip_prefix("queue ").and_then(|rest| rest.split_once(':')).and_then(|(id, _)| id.parse().ok());
        let (conversation, service, by) = (0, "note".into(), None);
        Self { conversation, at, level, service, peer: String::new(), user: String::new(), queue, by, text: shown(text) }
    }

    /// Who spoke, in a letter.
    pub(super) fn letter(&self) -> &'static str {
        match self.by {
            Some(Party::Client) => "C",
            Some(Party::Server) => "S",
            None => "-",
        }
    }

    /// As a line of fields between tabs.
    pub(in crate::server) fn to_line(&self) -> String {
        let Self { conversation, at, level, service, peer, user, queue, text, .. } = self;
        let queue = queue.map(|id| id.to_string()).unwrap_or_default();
        let (at, level, by) = (at.unix(), level.name(), self.letter());
        format!("{conversation}\t{at}\t{level}\t{service}\t{peer}\t{}\t{queue}\t{by}\t{}\n", shown(user), shown(text))
    }

    /// Reads a line.
    pub fn from_line(line: &str) -> Option<Self> {
        let mut fields = line.splitn(9, '\t');
        let mut field = || fields.next();
        Some(Self {
            conversation: field()?.parse().ok()?,
            at: Timestamp::from_unix(field()?.parse().ok()?),
            level: Level::parse(field()?)?,
            service: field()?.to_owned().into(),
            peer: field()?.to_owned(),
            user: field()?.to_owned(),
            queue: field()?.parse().ok(),
            by: match field()? {
                "C" => Some(Party::Client),
                "S" => Some(Party::Server),
                _ => None,
            },
            text: field()?.to_owned(),
        })
    }

    /// As `trace --json` and the admin API tell it.
    pub fn to_json(&self) -> Value {
        let Self { conversation, at, service, peer, user, queue, text, .. } = self;
        json!({
            "schema": "sealpost.trace/1", "conversation": conversation, "at": at.to_string(), "service": service, "peer": peer,
            "user": user, "queue": queue, "by": self.letter(), "text": text,
        })
    }
}

/// Which events somebody wants.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Of this user.
    pub user: Option<String>,
    /// With this address.
    pub peer: Option<IpAddr>,
    /// About this message of the queue.
    pub queue: Option<i64>,
}

impl Wanted {
    /// Whether this is one of them.
    pub fn has(&self, event: &Event) -> bool {
        // whose folder is open is that user
        let names = [event.user.as_str(), sasl::mailbox(&event.user).0];
        let is_user = self.user.as_ref().is_none_or(|user| names.iter().any(|name| name.eq_ignore_ascii_case(user)));
        let is_peer = self.peer.is_none_or(|peer| event.peer.parse::<SocketAddr>().is_ok_and(|known| known.ip() == peer));
        is_user && is_peer && (self.queue.is_none() || self.queue == event.queue)
    }
}

/// A text in which nothing controls a terminal or turns what stands beside it: such characters are shown by their numbers.
pub fn shown(text: &str) -> String {
    let is_plain = |c: char| {
        !c.is_control() && !matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    if text.chars().all(is_plain) {
        return text.to_owned();
    }
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if is_plain(c) {
            shown.push(c);
        } else {
            shown.push_str(&format!("\\u{{{:x}}}", u32::from(c)));
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_survives_its_line_whatever_is_in_it() {
        let event = Event {
            conversation: 7,
            service: "smtp".into(),
            peer: "[2001:db8::1]:25".to_owned(),
            user: "jane@a.example".to_owned(),
            by: Some(Party::Client),
            ..Event::note(Timestamp::from_unix(5), Level::Debug, "queue 3: RCPT\tTO\r\n\u{1b}[2J\u{202e}")
        };
        assert_eq!((event.queue, event.text.as_str()), (Some(3), r"queue 3: RCPT\u{9}TO\u{d}\u{a}\u{1b}[2J\u{202e}"));
        let line = event.to_line();
        assert_eq!(line.matches(['\n', '\r', '\u{1b}']).count(), 1, "{line}");
        assert_eq!(Event::from_line(line.trim_end_matches('\n')), Some(event));
        assert_eq!(Event::from_line("7\t5\tloud\tsmtp"), None);
    }

    #[test]
    fn what_is_wanted_is_told_and_nothing_else() {
        let event = Event {
            peer: "192.0.2.7:5000".to_owned(),
            user: "jane@a.example".to_owned(),
            ..Event::note(Timestamp::from_unix(5), Level::Info, "queue 3: later")
        };
        let peer = |text: &str| Some(text.parse().expect("an address"));
        assert!(Wanted::default().has(&event));
        assert!(Wanted { user: Some("Jane@a.example".to_owned()), peer: peer("192.0.2.7"), queue: Some(3) }.has(&event));
        assert!(!Wanted { user: Some("joe@a.example".to_owned()), ..Wanted::default() }.has(&event));
        assert!(!Wanted { peer: peer("192.0.2.8"), ..Wanted::default() }.has(&event));
        assert!(!Wanted { queue: Some(4), ..Wanted::default() }.has(&event));
    }
}
