//! A mailbox as it stood when it was opened, and what was marked in it since.

use std::fmt;

/// The name of a message that never changes, whatever else happens to the mailbox (RFC 1939 7): `m` and a number that is used once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Uid(pub i64);

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "m{}", self.0)
    }
}

/// One message of a mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listing {
    /// Its name.
    pub uid: Uid,
    /// Its size in bytes, with CRLF line ends.
    pub size: u64,
}

/// The messages by their numbers, which count from 1 and stay while the session lasts.
#[derive(Debug, Default)]
pub(in crate::proto::pop3) struct Mailbox {
    messages: Vec<(Listing, Mark)>,
    count: usize,
    bytes: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    Kept,
    Deleted,
}

impl Mailbox {
    pub(in crate::proto::pop3) fn new(messages: Vec<Listing>) -> Self {
        let bytes = messages.iter().fold(0, |sum: u64, message| sum.saturating_add(message.size));
        let messages: Vec<_> = messages.into_iter().map(|message| (message, Mark::Kept)).collect();
        Self { count: messages.len(), bytes, messages }
    }

    /// Messages that are not marked.
    pub(in crate::proto::pop3) fn count(&self) -> usize {
        self.count
    }

    /// Their bytes.
    pub(in crate::proto::pop3) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The message of a number, unless it is marked.
    pub(in crate::proto::pop3) fn get(&self, number: usize) -> Option<&Listing> {
        self.messages.get(number.checked_sub(1)?).filter(|(_, mark)| *mark == Mark::Kept).map(|(message, _)| message)
    }

    /// The first message from this number on that is not marked, with its number.
    pub(in crate::proto::pop3) fn from(&self, number: usize) -> Option<(usize, &Listing)> {
        let at = number.saturating_sub(1);
        let kept = self.messages.iter().enumerate().skip(at).find(|(_, (_, mark))| *mark == Mark::Kept);
        kept.map(|(at, (message, _))| (at.saturating_add(1), message))
    }

    /// Marks a message; whether there was one.
    pub(in crate::proto::pop3) fn delete(&mut self, number: usize) -> bool {
        let marked = number.checked_sub(1).and_then(|at| self.messages.get_mut(at)).filter(|(_, mark)| *mark == Mark::Kept);
        let Some((message, mark)) = marked else { return false };
        *mark = Mark::Deleted;
        self.count = self.count.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(message.size);
        true
    }

    /// Takes all marks away.
    pub(in crate::proto::pop3) fn reset(&mut self) {
        *self = Self::new(std::mem::take(&mut self.messages).into_iter().map(|(message, _)| message).collect());
    }

    /// What is marked.
    pub(in crate::proto::pop3) fn deleted(&self) -> Vec<Uid> {
        self.messages.iter().filter(|(_, mark)| *mark == Mark::Deleted).map(|(message, _)| message.uid).collect()
    }
}
