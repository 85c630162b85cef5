//! Where mail, accounts and the queue live.
//!
//! Uses: limits, time. Never: sockets, sessions.
//! Holds always: what a write said yes to is on disk; a write that failed left nothing; no word of the database leaves this room.

mod blobs;
mod body;
mod sqlite;
#[cfg(test)]
mod tests;

use std::fmt;

use crate::time::Timestamp;

pub use body::{Body, Reading};
pub use sqlite::SqliteStore;

/// Why the store could not do it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The disk is full, or a write failed.
    Full(String),
    /// It is not there.
    NotFound(String),
    /// It is there already.
    Exists(String),
    /// The database cannot be used.
    Broken(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full(why) => write!(f, "the disk takes no more – {why}"),
            Self::NotFound(what) => write!(f, "not found – {what}"),
            Self::Exists(what) => write!(f, "exists already – {what}"),
            Self::Broken(why) => write!(f, "the store cannot be used – {why}"),
        }
    }
}

impl std::error::Error for Error {}

/// What is wrong with a store.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The database says so of itself.
    Database(String),
    /// The bytes of a message are gone.
    Missing {
        /// Its row.
        body: i64,
        /// The mailboxes and the queue's messages that have it.
        held_by: Vec<String>,
    },
    /// The bytes of a message are not those that came.
    Changed {
        /// Its row.
        body: i64,
        /// The mailboxes and the queue's messages that have it.
        held_by: Vec<String>,
    },
    /// A file that nothing names.
    Orphan {
        /// Its name.
        file: String,
    },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Database(why) => write!(f, "the database is damaged – {why}"),
            Self::Missing { held_by, .. } => write!(f, "a message is gone from the disk – {}", held_by.join(", ")),
            Self::Changed { held_by, .. } => write!(f, "a message has changed on the disk – {}", held_by.join(", ")),
            Self::Orphan { file } => write!(f, "a file belongs to no message – {file}"),
        }
    }
}

/// A message of a mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Its number in the mailbox; never used twice.
    pub uid: i64,
    /// Its size in bytes.
    pub size: u64,
}

/// A message that was accepted, and where it goes: all of it at once, or not at all.
#[derive(Debug)]
pub struct Delivery {
    /// The message as it goes on.
    pub message: Body,
    /// Fields that stand before it in mailboxes (Return-Path, RFC 5321 4.4).
    pub final_fields: Vec<u8>,
    /// The mailboxes that get it.
    pub mailboxes: Vec<String>,
    /// The sender, for what goes on to other servers; empty for bounces.
    pub sender: String,
    /// The addresses elsewhere that get it.
    pub elsewhere: Vec<String>,
    /// When it came.
    pub at: Timestamp,
}

/// A message in the queue, with the recipients whose time has come.
#[derive(Debug, Clone)]
pub struct Queued {
    /// Its number.
    pub id: i64,
    /// The sender; empty for bounces.
    pub sender: String,
    /// When it came.
    pub created: Timestamp,
    /// The recipients that are due, and how often each was tried.
    pub recipients: Vec<(String, u32)>,
}

/// One recipient of the queue, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// The message's number.
    pub id: i64,
    /// The sender.
    pub sender: String,
    /// The recipient.
    pub recipient: String,
    /// How often it was tried.
    pub attempts: u32,
    /// When it is tried next.
    pub next: Timestamp,
    /// Why it was not taken last time.
    pub error: String,
}

/// What is done with a recipient of the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settled {
    /// It leaves the queue: delivered, or given up.
    Gone,
    /// It is tried again then; this is why it was not taken.
    Later(Timestamp, String),
}

/// Accounts, mailboxes and the queue. Addresses are lower case.
pub trait Store: AccountStore + MailboxStore + QueueStore + Send + Sync + 'static {
    /// Keeps a message in mailboxes and in the queue, all in one; on disk when this returns.
    fn deliver(&self, delivery: Delivery) -> Result<(), Error>;
    /// Looks at everything: what is wrong with the database, with files, and who has the messages concerned.
    fn check(&self) -> Result<Vec<Fault>, Error>;
    /// Mends what can be mended; gives what was wrong. What has changed stays as it is.
    fn repair(&self) -> Result<Vec<Fault>, Error>;
    /// The folder where messages are spooled that come: a file there becomes a message's without being copied.
    fn spool(&self) -> std::path::PathBuf;
}

/// Domains, users and aliases.
pub trait AccountStore {
    /// Adds a domain of ours.
    fn add_domain(&self, domain: &str) -> Result<(), Error>;
    /// Removes a domain that has no users.
    fn remove_domain(&self, domain: &str) -> Result<(), Error>;
    /// Every domain.
    fn domains(&self) -> Result<Vec<String>, Error>;
    /// Adds a user with a password hash.
    fn add_user(&self, address: &str, password_hash: &str) -> Result<(), Error>;
    /// Changes a password hash.
    fn set_password(&self, address: &str, password_hash: &str) -> Result<(), Error>;
    /// Removes a user and his mail.
    fn remove_user(&self, address: &str) -> Result<(), Error>;
    /// Every user.
    fn users(&self) -> Result<Vec<String>, Error>;
    /// The password hash of a user.
    fn password_hash(&self, address: &str) -> Result<Option<String>, Error>;
    /// Adds a target to an alias.
    fn add_alias(&self, alias: &str, target: &str) -> Result<(), Error>;
    /// Removes an alias.
    fn remove_alias(&self, alias: &str) -> Result<(), Error>;
    /// Every alias with its targets.
    fn aliases(&self) -> Result<Vec<(String, String)>, Error>;
    /// The targets of an alias.
    fn targets(&self, alias: &str) -> Result<Vec<String>, Error>;
}

/// The messages of the mailboxes.
pub trait MailboxStore {
    /// The messages of a mailbox, oldest first.
    fn messages(&self, mailbox: &str) -> Result<Vec<Stored>, Error>;
    /// One message.
    fn message(&self, mailbox: &str, uid: i64) -> Result<Vec<u8>, Error> {
        self.read_message(mailbox, uid)?.whole()
    }
    /// One message, read piece by piece.
    fn read_message(&self, mailbox: &str, uid: i64) -> Result<Reading, Error>;
    /// Deletes messages.
    fn delete(&self, mailbox: &str, uids: &[i64]) -> Result<(), Error>;
}

/// What waits for other servers.
pub trait QueueStore {
    /// The messages with recipients whose time has come, oldest first, so many at most.
    fn due(&self, now: Timestamp, limit: usize) -> Result<Vec<Queued>, Error>;
    /// Settles recipients of one message; the message goes with its last recipient.
    fn settle(&self, id: i64, settled: Vec<(String, Settled)>) -> Result<(), Error>;
    /// Everything that waits.
    fn waiting(&self) -> Result<Vec<Waiting>, Error>;
    /// A message of the queue.
    fn queued(&self, id: i64) -> Result<Vec<u8>, Error> {
        self.read_queued(id)?.whole()
    }
    /// A message of the queue, read piece by piece.
    fn read_queued(&self, id: i64) -> Result<Reading, Error>;
    /// Makes one message of the queue due now, or all of them.
    fn retry(&self, id: Option<i64>, now: Timestamp) -> Result<(), Error>;
    /// Takes a message out of the queue; nobody is told.
    fn drop_queued(&self, id: i64) -> Result<(), Error>;
}
