//! What a scanner says of a message.

use std::fmt;

use crate::limits::LimitReached;

/// What is to be done, and the changes that the scanner wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// What becomes of the message.
    pub decision: Decision,
    /// Recipients that do not get it, by their number in the offer, and why.
    pub refused: Vec<(usize, Refusal)>,
    /// Changes, in order; none where the message is not accepted.
    pub changes: Vec<Change>,
}

/// What becomes of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// It goes on.
    Accept,
    /// It is refused.
    Refuse(Refusal),
    /// It is accepted, and nobody gets it.
    Discard,
}

/// A refusal as the peer hears it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// 400 to 599.
    pub code: u16,
    /// The enhanced code (RFC 3463); the class fits the code.
    pub enhanced: String,
    /// The text, one line.
    pub text: String,
}

/// A change that a scanner wants.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// A field at the end of the header section.
    AddField {
        /// Its name.
        name: String,
        /// Its value, with its leading blank where it has one; folds are CRLF and a blank.
        value: Vec<u8>,
    },
    /// A field before the one of this number, where the Received that this server writes itself is number 0.
    InsertField {
        /// The number.
        index: usize,
        /// Its name.
        name: String,
        /// Its value.
        value: Vec<u8>,
    },
    /// Another value for a field; without one the field goes.
    ChangeField {
        /// Which of the fields of this name, from 1.
        index: usize,
        /// Its name.
        name: String,
        /// Its value; empty where the field goes.
        value: Vec<u8>,
    },
    /// A new body.
    ReplaceBody(Vec<u8>),
    /// One more recipient.
    AddRecipient(String),
    /// One recipient less.
    RemoveRecipient(String),
    /// Another sender; empty for none.
    ChangeSender(String),
    /// It is kept aside, for this reason.
    Quarantine(String),
}

/// Why there is no verdict.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Broken {
    /// The scanner does not keep to the protocol.
    Protocol(String),
    /// It asks for more than it may.
    Limit(LimitReached),
    /// It says that it cannot.
    Unable,
}

impl Broken {
    pub(super) fn limit(name: &'static str, limit: usize) -> Self {
        Self::Limit(LimitReached { name, limit: u64::try_from(limit).unwrap_or(u64::MAX) })
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Protocol(what) => write!(f, "the scanner sent {what}"),
            Self::Limit(limit) => limit.fmt(f),
            Self::Unable => f.write_str("the scanner says that it cannot look at the message"),
        }
    }
}

impl std::error::Error for Broken {}

impl Refusal {
    pub(super) fn new(code: u16, enhanced: &str, text: &str) -> Self {
        Self { code, enhanced: enhanced.to_owned(), text: text.to_owned() }
    }

    /// Whether the peer may try again.
    pub fn is_temporary(&self) -> bool {
        self.code < 500
    }

    /// Reads `550 5.7.1 text`; several lines become one.
    pub(super) fn parse(written: &[u8]) -> Result<Self, Broken> {
        let wrong = || Broken::Protocol("a reply that is none".to_owned());
        let written = String::from_utf8_lossy(written);
        let mut lines = written.lines();
        let first = lines.next().ok_or_else(wrong)?;
        let (code, rest) = first.split_at_checked(3).ok_or_else(wrong)?;
        let code: u16 = code.parse().map_err(|_| wrong())?;
        if !(400..600).contains(&code) || !(rest.is_empty() || rest.starts_with([' ', '-'])) {
            return Err(wrong());
        }
        let rest = rest.get(1..).unwrap_or_default();
        let more = lines.map(|line| line.get(4..).unwrap_or_default());
        let (enhanced, text) = match rest.split_once(' ').filter(|(word, _)| is_enhanced(word, code)) {
            Some((word, text)) => (word.to_owned(), text),
            None if is_enhanced(rest, code) => (rest.to_owned(), ""),
            None => (if code < 500 { "4.7.1" } else { "5.7.1" }.to_owned(), rest),
        };
        let text = std::iter::once(text).chain(more).collect::<Vec<_>>().join(" ");
        // `%%` is how libmilter writes a per cent sign; what controls a line does not go into a reply
        let text: String = text.replace("%%", "%").chars().filter(|c| !c.is_control()).take(400).collect();
        let text = if text.trim().is_empty() { "refused by a scanner".to_owned() } else { text };
        Ok(Self { code, enhanced, text })
    }
}

fn is_enhanced(word: &str, code: u16) -> bool {
    let parts: Vec<&str> = word.split('.').collect();
    let [class, subject, detail] = parts.as_slice() else { return false };
    let is_number = |part: &str| (1..=3).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
    let fits = if code < 500 { *class == "4" } else { *class == "5" };
    fits && is_number(subject) && is_number(detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_are_read_and_what_is_none_is_refused() {
        let parsed = |written: &str| Refusal::parse(written.as_bytes());
        assert_eq!(parsed("550 5.7.1 no 100%% spam"), Ok(Refusal::new(550, "5.7.1", "no 100% spam")));
        assert_eq!(parsed("451-4.7.1 a\r\n451 b"), Ok(Refusal::new(451, "4.7.1", "a b")));
        assert_eq!(parsed("554"), Ok(Refusal::new(554, "5.7.1", "refused by a scanner")));
        assert_eq!(parsed("550 4.7.1 x").map(|refusal| refusal.enhanced), Ok("5.7.1".to_owned()));
        for wrong in ["", "250 ok", "55", "abc x", "550x", "700 x"] {
            assert!(parsed(wrong).is_err(), "{wrong}");
        }
    }
}
