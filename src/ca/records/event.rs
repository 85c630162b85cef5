//! Lines of the ledger, each with the hash of all before.
//!
//! ```text
//! HASH TIME EVENT SUBJECT DETAIL[<TAB>FACT=VALUE FACT=VALUE …]
//! ```
//! HASH is SHA-256, in hexadecimal, over the hash of the line before, a line feed, and the rest of this line.

use std::fmt::Write;

use crate::ca::Error;
use crate::crypto::algorithm::DigestAlgorithm;
use crate::crypto::digest::Digest;
use crate::pki::hex;
use crate::time::Timestamp;

/// One event of the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// When.
    pub time: Timestamp,
    /// What: `init`, `issue`, `adopt`, `revoke`, `release`, `crl`, and so on.
    pub event: String,
    /// The serial number, or the number of the list.
    pub subject: String,
    /// For whom, or why.
    pub detail: String,
    /// What else programs need to know, as `until=2027-06-01T00:00:00Z at=0`.
    pub facts: String,
}

/// One line as it is read.
#[derive(Debug, Clone, Copy)]
pub(in crate::ca) struct Line<'a> {
    pub(in crate::ca) time: Timestamp,
    pub(in crate::ca) event: &'a str,
    pub(in crate::ca) subject: &'a str,
    pub(in crate::ca) detail: &'a str,
    pub(in crate::ca) facts: &'a str,
}

impl<'a> Line<'a> {
    /// `TIME EVENT SUBJECT DETAIL` and the facts.
    fn read(text: &'a str) -> Option<Self> {
        let (words, facts) = text.split_once('\t').unwrap_or((text, ""));
        let mut words = words.splitn(4, ' ');
        let time = Timestamp::parse_rfc3339(words.next()?)?;
        let mut word = || words.next().unwrap_or_default();
        Some(Self { time, event: word(), subject: word(), detail: word(), facts })
    }

    /// The value of a fact.
    pub(in crate::ca) fn fact(&self, name: &str) -> Option<&'a str> {
        let value = |fact: &'a str| fact.strip_prefix(name)?.strip_prefix('=');
        self.facts.split(' ').find_map(value)
    }

    /// A fact that is a number.
    pub(in crate::ca) fn number(&self, name: &str) -> Option<u64> {
        self.fact(name)?.parse().ok()
    }

    /// A fact that is a time.
    pub(in crate::ca) fn moment(&self, name: &str) -> Option<Timestamp> {
        Timestamp::parse_rfc3339(self.fact(name)?)
    }

    pub(in crate::ca) fn to_event(self) -> Event {
        Event {
            time: self.time,
            event: self.event.to_owned(),
            subject: self.subject.to_owned(),
            detail: self.detail.to_owned(),
            facts: self.facts.to_owned(),
        }
    }
}

/// What is to be written as a line.
#[derive(Debug, Clone)]
pub(in crate::ca) struct Draft {
    pub(in crate::ca) event: &'static str,
    pub(in crate::ca) subject: String,
    pub(in crate::ca) detail: String,
    pub(in crate::ca) facts: String,
}

impl Draft {
    pub(in crate::ca) fn new(event: &'static str, subject: impl Into<String>, detail: &str) -> Self {
        let detail = detail.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        Self { event, subject: subject.into(), detail, facts: String::new() }
    }

    /// Adds a fact; its value has no blank in it.
    #[must_use]
    pub(in crate::ca) fn fact(mut self, name: &str, value: impl std::fmt::Display) -> Self {
        let blank = if self.facts.is_empty() { "" } else { " " };
        // writing to a String does not fail
        let _ = write!(self.facts, "{blank}{name}={value}");
        self
    }
}

/// Where the chain of hashes stands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::ca) struct Chain {
    /// The hash of the last line; empty before the first.
    pub(in crate::ca) hash: String,
    /// Lines so far.
    pub(in crate::ca) count: u64,
    /// Bytes so far.
    pub(in crate::ca) length: u64,
}

impl Chain {
    /// Takes the next line, without its line feed; refuses one that does not follow.
    pub(in crate::ca) fn take<'a>(&mut self, line: &'a [u8]) -> Result<Line<'a>, Error> {
        let broken = || self.broken("does not follow from those before");
        let line = std::str::from_utf8(line).map_err(|_| broken())?;
        let (hash, text) = line.split_once(' ').ok_or_else(broken)?;
        if self.next_hash(text) != hash {
            return Err(broken());
        }
        let read = Line::read(text).ok_or_else(broken)?;
        self.advance(hash.to_owned(), line.len());
        Ok(read)
    }

    /// Appends a line to what will be written.
    pub(in crate::ca) fn append(&mut self, out: &mut Vec<u8>, at: Timestamp, draft: &Draft) {
        let Draft { event, subject, detail, facts } = draft;
        let tab = if facts.is_empty() { "" } else { "\t" };
        let text = format!("{at} {event} {subject} {detail}{tab}{facts}");
        let hash = self.next_hash(&text);
        let line = format!("{hash} {text}\n");
        out.extend_from_slice(line.as_bytes());
        self.advance(hash, line.len().saturating_sub(1));
    }

    /// Says that the line after those that were taken is wrong.
    pub(in crate::ca) fn broken(&self, why: &str) -> Error {
        Error::Changed(format!("the ledger was changed – line {} {why}", self.count.saturating_add(1)))
    }

    fn next_hash(&self, text: &str) -> String {
        let mut digest = Digest::new(DigestAlgorithm::Sha256);
        digest.update(self.hash.as_bytes());
        digest.update(b"\n");
        digest.update(text.as_bytes());
        hex(&digest.finish())
    }

    fn advance(&mut self, hash: String, line: usize) {
        self.hash = hash;
        self.count = self.count.saturating_add(1);
        self.length = self.length.saturating_add(u64::try_from(line).unwrap_or(u64::MAX)).saturating_add(1);
    }
}
