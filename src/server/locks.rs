//! A mailbox is open in one POP3 session at a time (RFC 1939 8).

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

/// The mailboxes that are open.
#[derive(Debug, Clone, Default)]
pub(in crate::server) struct Locks(Arc<Mutex<HashSet<String>>>);

/// A mailbox that is open; free again when dropped.
#[derive(Debug)]
pub(in crate::server) struct Locked {
    locks: Locks,
    mailbox: String,
}

impl Locks {
    /// Opens a mailbox, unless another session has it.
    pub(in crate::server) fn lock(&self, mailbox: &str) -> Option<Locked> {
        let is_new = self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(mailbox.to_owned());
        is_new.then(|| Locked { locks: self.clone(), mailbox: mailbox.to_owned() })
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
        self.locks.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.mailbox);
    }
}
