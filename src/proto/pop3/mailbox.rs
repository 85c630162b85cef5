//! A mailbox as it stood when it was opened, and what was marked in it since.

use std::collections::BTreeSet;
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
///
/// A connection that is idle holds this list and not much besides, so it is small: eight bytes a message.
#[derive(Debug, Default)]
pub(in crate::proto::pop3) struct Mailbox {
    messages: Messages,
    /// The places of those that are marked, in order.
    deleted: BTreeSet<usize>,
    bytes: u64,
}

#[derive(Debug)]
enum Messages {
    /// By what each name lies above the first, and its size: all of less than 4 GiB, and of names that lie no farther apart.
    Narrow(i64, Box<[(u32, u32)]>),
    /// What does not fit into that.
    Wide(Box<[Listing]>),
}

impl Default for Messages {
    fn default() -> Self {
        Self::Narrow(0, Box::default())
    }
}

impl Messages {
    fn new(all: Vec<Listing>) -> Self {
        let first = all.first().map_or(0, |message| message.uid.0);
        let narrow = |message: &Listing| {
            let above = u32::try_from(message.uid.0.checked_sub(first)?).ok()?;
            Some((above, u32::try_from(message.size).ok()?))
        };
        match all.iter().map(narrow).collect() {
            Some(narrow) => Self::Narrow(first, narrow),
            None => Self::Wide(all.into()),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Narrow(_, all) => all.len(),
            Self::Wide(all) => all.len(),
        }
    }

    fn get(&self, at: usize) -> Option<Listing> {
        match self {
            Self::Narrow(first, all) => {
                let (above, size) = *all.get(at)?;
                Some(Listing { uid: Uid(first.saturating_add(i64::from(above))), size: u64::from(size) })
            }
            Self::Wide(all) => all.get(at).copied(),
        }
    }

    fn bytes(&self) -> u64 {
        (0..self.len()).filter_map(|at| self.get(at)).fold(0, |sum: u64, message| sum.saturating_add(message.size))
    }
}

impl Mailbox {
    pub(in crate::proto::pop3) fn new(messages: Vec<Listing>) -> Self {
        let messages = Messages::new(messages);
        Self { bytes: messages.bytes(), messages, deleted: BTreeSet::new() }
    }

    /// Messages that are not marked.
    pub(in crate::proto::pop3) fn count(&self) -> usize {
        self.messages.len().saturating_sub(self.deleted.len())
    }

    /// Their bytes.
    pub(in crate::proto::pop3) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The message of a number, unless it is marked.
    pub(in crate::proto::pop3) fn get(&self, number: usize) -> Option<Listing> {
        let at = number.checked_sub(1).filter(|at| !self.deleted.contains(at))?;
        self.messages.get(at)
    }

    /// The first message from this number on that is not marked, with its number.
    pub(in crate::proto::pop3) fn from(&self, number: usize) -> Option<(usize, Listing)> {
        let at = (number.saturating_sub(1)..self.messages.len()).find(|at| !self.deleted.contains(at))?;
        Some((at.saturating_add(1), self.messages.get(at)?))
    }

    /// Marks a message; whether there was one.
    pub(in crate::proto::pop3) fn delete(&mut self, number: usize) -> bool {
        let Some(message) = self.get(number) else { return false };
        self.deleted.insert(number.saturating_sub(1));
        self.bytes = self.bytes.saturating_sub(message.size);
        true
    }

    /// Takes all marks away.
    pub(in crate::proto::pop3) fn reset(&mut self) {
        self.deleted.clear();
        self.bytes = self.messages.bytes();
    }

    /// What is marked.
    pub(in crate::proto::pop3) fn deleted(&self) -> Vec<Uid> {
        self.deleted.iter().filter_map(|at| self.messages.get(*at)).map(|message| message.uid).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_says_the_same_whether_its_numbers_are_small_or_not() {
        let listing = |uid, size| Listing { uid: Uid(uid), size };
        let wide_size = vec![listing(7, 10), listing(9, 1 << 40), listing(12, 30)];
        let wide_names = vec![listing(1, 10), listing(1 << 40, 20), listing((1 << 40) + 1, 30)];
        let narrow = vec![listing(1 << 50, 10), listing((1 << 50) + 3, 20), listing((1 << 50) + 4, 30)];
        for (all, is_narrow) in [(wide_size, false), (wide_names, false), (narrow, true)] {
            let mut mailbox = Mailbox::new(all.clone());
            assert_eq!(matches!(mailbox.messages, Messages::Narrow(..)), is_narrow);
            let whole: u64 = all.iter().map(|message| message.size).sum();
            assert_eq!((mailbox.count(), mailbox.bytes()), (3, whole));
            for (number, message) in (1..).zip(&all) {
                assert_eq!(mailbox.get(number), Some(*message));
            }
            assert!(mailbox.get(0).is_none() && mailbox.get(4).is_none() && !mailbox.delete(4) && !mailbox.delete(0));
            assert!(mailbox.delete(1) && !mailbox.delete(1) && mailbox.delete(2));
            assert_eq!(mailbox.from(1), Some((3, all[2])), "what is marked is passed over");
            assert_eq!((mailbox.count(), mailbox.bytes()), (1, 30));
            assert_eq!(mailbox.deleted(), [all[0].uid, all[1].uid]);
            mailbox.reset();
            assert_eq!((mailbox.count(), mailbox.bytes(), mailbox.deleted().len()), (3, whole, 0));
        }
        assert_eq!(Mailbox::default().from(1), None);
    }
}
