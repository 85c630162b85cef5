//! A mailbox is open in one POP3 session at a time (RFC 1939 8), and not more often than is allowed (RFC 2449 6.5).

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The mailboxes that are open.
#[derive(Debug, Clone, Default)]
pub(in crate::server) struct Locks {
    delay: Duration,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// Inboxes by their users, folders as `USER/FOLDER`.
    open: HashSet<String>,
    /// When each user opened one last; kept where there is a delay.
    last: HashMap<String, Instant>,
}

/// A mailbox that is open; free again when dropped.
#[derive(Debug)]
pub(in crate::server) struct Locked {
    locks: Locks,
    mailbox: String,
}

/// Why a mailbox is not opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::server) enum Taken {
    /// Another session has it.
    InUse,
    /// Its user opened one less than so many seconds ago.
    TooSoon(u64),
}

/// Users whose last opening is remembered; then those whose delay is over are forgotten.
const REMEMBERED: usize = 10_000;

impl Locks {
    /// Locks with a delay between two openings by one user.
    pub(in crate::server) fn new(delay: Duration) -> Self {
        Self { delay, state: Arc::default() }
    }

    /// The same locks with another delay.
    pub(in crate::server) fn delayed(&self, delay: Duration) -> Self {
        Self { delay, state: Arc::clone(&self.state) }
    }

    /// Opens the inbox of a user, or a folder of his, unless another session has it, or he opened one just now.
    pub(in crate::server) fn lock(&self, user: &str, folder: Option<&str>, now: Instant) -> Result<Locked, Taken> {
        let mailbox = folder.map_or_else(|| user.to_owned(), |folder| format!("{user}/{folder}"));
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.open.contains(&mailbox) {
            return Err(Taken::InUse);
        }
        if !self.delay.is_zero() {
            let is_recent = |last: &Instant| now.saturating_duration_since(*last) < self.delay;
            if state.last.get(user).is_some_and(is_recent) {
                return Err(Taken::TooSoon(self.delay.as_secs()));
            }
            if state.last.len() >= REMEMBERED {
                state.last.retain(|_, last| is_recent(last));
            }
            state.last.insert(user.to_owned(), now);
        }
        state.open.insert(mailbox.clone());
        Ok(Locked { locks: self.clone(), mailbox })
    }
}

impl Locked {
    /// Which mailbox.
    pub(in crate::server) fn mailbox(&self) -> &str {
        &self.mailbox
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        self.locks.state.lock().unwrap_or_else(PoisonError::into_inner).open.remove(&self.mailbox);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mailbox_is_open_once_and_not_too_often() {
        let (locks, now) = (Locks::new(Duration::from_secs(10)), Instant::now());
        let open = locks.lock("jane", None, now).expect("free");
        assert_eq!(locks.lock("jane", None, now).err(), Some(Taken::InUse));
        assert!(locks.lock("joe", None, now).is_ok());
        drop(open);
        assert_eq!(locks.lock("jane", None, now + Duration::from_secs(9)).err(), Some(Taken::TooSoon(10)));
        assert!(locks.lock("jane", None, now + Duration::from_secs(10)).is_ok());
        let free = Locks::default();
        drop(free.lock("jane", None, now));
        assert!(free.lock("jane", None, now).is_ok(), "no delay");
    }

    #[test]
    fn each_folder_has_its_own_lock_and_the_delay_is_that_of_the_user() {
        let (locks, free, now) = (Locks::new(Duration::from_secs(10)), Locks::default(), Instant::now());
        let (inbox, junk) = (free.lock("joe", None, now).expect("free"), free.lock("joe", Some("Junk"), now).expect("free"));
        assert_eq!((inbox.mailbox(), junk.mailbox()), ("joe", "joe/Junk"));
        assert_eq!(free.lock("joe", Some("Junk"), now).err(), Some(Taken::InUse));
        drop(junk);
        assert!(free.lock("joe", Some("Junk"), now).is_ok() && free.lock("joe", None, now).is_err());
        drop(locks.lock("joe", None, now));
        assert_eq!(locks.lock("joe", Some("Junk"), now).err(), Some(Taken::TooSoon(10)));
    }
}
