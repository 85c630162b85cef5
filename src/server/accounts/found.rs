//! Where addresses led a moment ago: mail comes in bursts, and each message asks twice where its recipient is.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::server::addressing::Destination;

/// Answers of the store that are good for a moment. Those that are `no` are not kept: who is new is there at once.
#[derive(Debug, Default)]
pub(in crate::server) struct Found(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    /// How often this process had changed the accounts.
    changes: u64,
    since: Option<Instant>,
    destinations: HashMap<String, Destination>,
    /// Mailboxes that no quota bounds.
    unbounded: HashSet<String>,
}

/// What this process changes is seen at once. Another one may change the accounts, too: before its user can send a message to see it, so much time
/// has passed.
const MOMENT: Duration = Duration::from_millis(20);

/// Answers that are kept at most; in a moment there are no more messages.
const MOST: usize = 1_000;

impl Found {
    /// Where an address led.
    pub(in crate::server) fn destination(&self, address: &str, changes: u64, now: Instant) -> Option<Destination> {
        self.good(changes, now)?.destinations.get(address).cloned()
    }

    /// Whether a mailbox had no bound.
    pub(in crate::server) fn is_unbounded(&self, mailbox: &str, changes: u64, now: Instant) -> bool {
        self.good(changes, now).is_some_and(|kept| kept.unbounded.contains(mailbox))
    }

    /// Keeps where an address leads; both numbers are of before the store was asked.
    pub(in crate::server) fn leads(&self, address: &str, to: &Destination, changes: u64, now: Instant) {
        if let Some(mut kept) = self.begin(changes, now) {
            kept.destinations.insert(address.to_owned(), to.clone());
        }
    }

    /// Keeps that a mailbox has no bound; both numbers are of before the store was asked.
    pub(in crate::server) fn has_no_bound(&self, mailbox: &str, changes: u64, now: Instant) {
        if let Some(mut kept) = self.begin(changes, now) {
            kept.unbounded.insert(mailbox.to_owned());
        }
    }

    fn good(&self, changes: u64, now: Instant) -> Option<MutexGuard<'_, Kept>> {
        Some(self.lock()).filter(|kept| kept.is_good(changes, now))
    }

    /// Room for one more; none where what was asked is of before what is known.
    fn begin(&self, changes: u64, now: Instant) -> Option<MutexGuard<'_, Kept>> {
        let mut kept = self.lock();
        if kept.changes > changes {
            return None;
        }
        if !kept.is_good(changes, now) || kept.destinations.len().saturating_add(kept.unbounded.len()) >= MOST {
            *kept = Kept { changes, since: Some(now), ..Kept::default() };
        }
        Some(kept)
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn is_good(&self, changes: u64, now: Instant) -> bool {
        self.changes == changes && self.since.is_some_and(|since| now.saturating_duration_since(since) < MOMENT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_found_is_good_for_a_moment_and_until_something_changes() {
        let (found, begin) = (Found::default(), Instant::now());
        let jane = Destination::Ours { mailboxes: vec!["jane@a.example".to_owned()], elsewhere: Vec::new() };
        assert_eq!(found.destination("info@a.example", 7, begin), None);
        found.leads("info@a.example", &jane, 7, begin);
        found.has_no_bound("jane@a.example", 7, begin + MOMENT / 2);
        assert_eq!(found.destination("info@a.example", 7, begin + MOMENT / 2), Some(jane.clone()));
        assert!(found.is_unbounded("jane@a.example", 7, begin) && !found.is_unbounded("joe@a.example", 7, begin));
        assert_eq!(found.destination("info@a.example", 8, begin), None, "something changed");
        assert_eq!(found.destination("info@a.example", 7, begin + MOMENT), None, "the moment is over for all of it");
        assert!(!found.is_unbounded("jane@a.example", 7, begin + MOMENT));
        found.leads("joe@a.example", &jane, 8, begin);
        found.leads("info@a.example", &jane, 7, begin);
        assert_eq!(found.destination("info@a.example", 8, begin), None, "it was asked before the change");
    }

    #[test]
    fn whoever_is_written_to_costs_no_memory() {
        let (found, begin) = (Found::default(), Instant::now());
        for number in 0..10 * MOST {
            found.leads(&format!("x{number}@a.example"), &Destination::Elsewhere, 0, begin);
        }
        assert!(found.lock().destinations.len() <= MOST);
    }
}
