//! Where mail, accounts and the queue live.
//!
//! Uses: limits, time, of proto what goes out (`smtp::client::Outgoing`) and whose a mailbox is (`sasl::mailbox`). Never: sockets, sessions.
//! Holds always: what a write said yes to is on disk; a write that failed left nothing; no word of the database leaves this room.

mod blobs;
mod body;
mod commits;
mod growing;
mod sqlite;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, ErrorKind};
use std::path::Path;

use crate::proto::sasl;
use crate::proto::smtp::client::{Addressee, Terms};
use crate::time::Timestamp;

pub use body::{Body, Reading};
pub use commits::{BOUNDS, Commits, Counted};
pub use growing::Growing;
pub use sqlite::SqliteStore;

/// Why the store could not do it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The disk is full, or does not take what is written.
    Full(String),
    /// It is not there.
    NotFound(String),
    /// It is there already.
    Exists(String),
    /// It cannot go while something needs it.
    InUse(String),
    /// No mailbox has room for it within its quota.
    NoRoom(String),
    /// A file or a folder is not there, is there already, or is not for us.
    File(String),
    /// The database cannot be used.
    Broken(String),
    /// The disk did not say that it has it: it may be there after the next start, or not.
    Unsure(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full(why) => write!(f, "the disk does not take it – {why}"),
            Self::NotFound(what) => write!(f, "not found – {what}"),
            Self::Exists(what) => write!(f, "exists already – {what}"),
            Self::InUse(what) | Self::File(what) => f.write_str(what),
            Self::NoRoom(who) => write!(f, "the mailbox is full – {who}"),
            Self::Broken(why) => write!(f, "the store cannot be used – {why}"),
            Self::Unsure(why) => write!(f, "the disk does not say that it has it – {why}"),
        }
    }
}

impl std::error::Error for Error {}

impl Error {
    /// What an error of the system means, with the file that it is about.
    pub(in crate::server) fn at(path: &Path, error: &io::Error) -> Self {
        Self::of(format!("{} – {error}", path.display()), error.kind())
    }

    fn of(text: String, kind: ErrorKind) -> Self {
        use ErrorKind::{AlreadyExists, IsADirectory, NotADirectory, NotFound, PermissionDenied};
        match kind {
            NotFound | PermissionDenied | AlreadyExists | NotADirectory | IsADirectory => Self::File(text),
            _ => Self::Full(text),
        }
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::of(error.to_string(), error.kind())
    }
}

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
        /// Its place below the folder of messages.
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
    /// Its marks (RFC 5232).
    pub marks: Vec<String>,
}

/// A message that was accepted, and where it goes: all of it at once, or not at all.
#[derive(Debug)]
pub struct Delivery {
    /// The message as it goes on.
    pub message: Body,
    /// Fields that stand before it in mailboxes (Return-Path, RFC 5321 4.4). Where there are any, each mailbox's copy says whose it is, too.
    pub final_fields: Vec<u8>,
    /// The mailboxes that get it.
    pub mailboxes: Vec<String>,
    /// The sender, for what goes on to other servers; empty for bounces.
    pub sender: String,
    /// The addresses elsewhere that get it.
    pub elsewhere: Vec<Addressee>,
    /// What the sender asked of every server on its way there.
    pub terms: Terms,
    /// What goes before what.
    pub priority: Priority,
    /// When it came.
    pub at: Timestamp,
    /// What only some messages have.
    pub extra: Extra,
}

/// What only some messages have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Extra {
    /// Mailboxes in which the message has marks (RFC 5232), and these.
    pub marks: BTreeMap<String, Vec<String>>,
    /// The name under which it was taken out of a folder: [`Store::taken`] has it from the moment the message is kept.
    pub taken: Option<String>,
    /// Whether quotas bound it.
    pub bound: Bound,
}

/// Whether quotas are looked at where a message is kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Bound {
    /// It is kept, whatever the mailboxes hold.
    #[default]
    Over,
    /// It is kept where one of the users has room for it, and then for all of them: there is one answer for all. Else it is [`Error::NoRoom`].
    Within,
}

impl Delivery {
    /// A message that the server writes itself: it has no sender, nobody is told what becomes of it (RFC 3461 6.2), and it comes after what people
    /// write.
    pub(in crate::server) fn from_nobody(
        message: Vec<u8>,
        (mailboxes, elsewhere): (Vec<String>, Vec<String>),
        terms: Terms,
        at: Timestamp,
    ) -> Self {
        let mut elsewhere: Vec<Addressee> = elsewhere.into_iter().map(Into::into).collect();
        elsewhere.iter_mut().for_each(|to| to.notify = "NEVER".to_owned());
        Self {
            message: message.into(),
            final_fields: b"Return-Path: <>\r\n".to_vec(),
            mailboxes,
            sender: String::new(),
            elsewhere,
            terms,
            priority: Priority::Low,
            at,
            extra: Extra::default(),
        }
    }

    /// The fields that stand before the message in a mailbox: those of all mailboxes, whose it is, and its marks there.
    pub(in crate::server) fn fields_in(final_fields: &[u8], mailbox: &str, marks: &[String]) -> Vec<u8> {
        if final_fields.is_empty() {
            return Vec::new();
        }
        let keywords = if marks.is_empty() { String::new() } else { format!("X-Keywords: {}\r\n", marks.join(" ")) };
        let own = format!("Delivered-To: {}\r\n{keywords}", owner(mailbox));
        [final_fields, own.as_bytes()].concat()
    }
}

/// The user whose mailbox it is: a folder of one is `USER/FOLDER`.
pub(in crate::server::store) fn owner(mailbox: &str) -> &str {
    sasl::mailbox(mailbox).0
}

/// What goes before what, where both are due.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Priority {
    /// Before all others.
    High,
    /// As it comes.
    #[default]
    Normal,
    /// After all others: lists, answers of machines.
    Low,
}

/// The time that never comes: what is held is tried then.
pub const HELD: Timestamp = Timestamp::from_unix(i64::MAX);

/// A message in the queue, with the recipients whose time has come.
#[derive(Debug, Clone)]
pub struct Queued {
    /// Its number.
    pub id: i64,
    /// The sender; empty for bounces.
    pub sender: String,
    /// When it came.
    pub created: Timestamp,
    /// What the sender asked for.
    pub terms: Terms,
    /// The recipients that are due.
    pub recipients: Vec<Due>,
}

/// A recipient whose time has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// Who, and what the sender wants to hear of him.
    pub to: Addressee,
    /// How often it was tried.
    pub attempts: u32,
    /// Whether the sender was told that it takes long.
    pub was_told: bool,
    /// The time of its row.
    pub since: Timestamp,
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
    /// When it is tried next; [`HELD`] where it is held.
    pub next: Timestamp,
    /// When it came.
    pub created: Timestamp,
    /// Why it was not taken last time.
    pub error: String,
    /// What goes before it.
    pub priority: Priority,
}

/// Which messages of the queue are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// All of them.
    All,
    /// One.
    Message(i64),
    /// The recipients of a domain, in lower case.
    Domain(String),
    /// Those of a sender, in lower case.
    User(String),
}

/// What a mailbox and its domain hold, and may hold; 0 where there is no bound.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Room {
    /// Bytes of the mailbox, and its quota.
    pub user: (u64, u64),
    /// Bytes of all mailboxes of the domain, and its quota; not counted where it has none.
    pub domain: (u64, u64),
}

impl Room {
    /// Whether any number of bytes fits.
    pub fn is_unbounded(&self) -> bool {
        self.user.1 == 0 && self.domain.1 == 0
    }

    /// Whether so many bytes more fit.
    pub fn fits(&self, bytes: u64) -> bool {
        [self.user, self.domain].into_iter().all(|(used, quota)| quota == 0 || used.saturating_add(bytes) <= quota)
    }
}

/// Whether a user may come in. Mail for a user who may not is kept all the same.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Standing {
    /// He may.
    #[default]
    Active,
    /// He may not log in, until somebody says otherwise.
    Suspended,
}

/// How much waits in the queue: recipients by their state, and since when the oldest message is there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Depth {
    /// Their time lies ahead.
    pub waiting: u64,
    /// Their time has come.
    pub due: u64,
    /// They are held.
    pub held: u64,
    /// When the oldest message came.
    pub oldest: Option<Timestamp>,
}

impl Depth {
    /// All of them.
    pub fn all(self) -> u64 {
        self.waiting.saturating_add(self.due).saturating_add(self.held)
    }
}

/// What the bearer of a token may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Look.
    Read,
    /// Change everything.
    Admin,
}

impl Scope {
    /// Its word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Admin => "admin",
        }
    }

    /// The one of this word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Read, Self::Admin].into_iter().find(|scope| scope.name() == word)
    }
}

/// A token as it is kept: what it is itself is known to its bearer alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// What people call it.
    pub name: String,
    /// What its bearer may do.
    pub scope: Scope,
    /// The SHA-256 of it.
    pub digest: [u8; 32],
    /// When it was made.
    pub created: Timestamp,
    /// From when on it is good no more.
    pub expires: Option<Timestamp>,
}

/// How TLS went with a server (RFC 8460 4.3): what is counted for a day.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsResult {
    /// The domain whose policy it was.
    pub domain: String,
    /// `tlsa`, `sts` or `no-policy-found`.
    pub policy: String,
    /// The lines of that policy.
    pub wording: String,
    /// The server.
    pub mx: String,
    /// Its address, and ours; empty where nothing was connected, or nothing failed.
    pub between: (String, String),
    /// `success`, or what went wrong, as RFC 8460 4.3 names it.
    pub result: String,
}

/// What is done with a recipient of the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settled {
    /// It leaves the queue: delivered, or given up.
    Gone,
    /// It is tried again then; this is why it was not taken.
    Later(Timestamp, String),
    /// The same, and the sender was told that it takes long.
    LaterAndTold(Timestamp, String),
    /// The other, unless somebody has moved it since: the time of its row is another one ([`Due::since`]) then. That the sender was told is kept
    /// all the same.
    Unmoved(Timestamp, Box<Settled>),
}

/// Accounts, mailboxes and the queue. Addresses are lower case.
pub trait Store: AccountStore + MailboxStore + QueueStore + PolicyStore + TokenStore + Send + Sync + 'static {
    /// Keeps a message in mailboxes and in the queue, all in one; on disk when this returns. Gives its number in the queue, where it is there.
    fn deliver(&self, delivery: Delivery) -> Result<Option<i64>, Error>;
    /// The same, without waiting for the disk: `done` is told how it went, on a thread that must not be held up.
    fn deliver_then(&self, delivery: Delivery, done: Box<dyn FnOnce(Result<Option<i64>, Error>) + Send>);
    /// Writes something small to the disk: whether that goes.
    fn pulse(&self, at: Timestamp) -> Result<(), Error>;
    /// How long it took until what was written was on disk.
    fn commits(&self) -> Counted;
    /// Looks at everything: what is wrong with the database, with files, and who has the messages concerned.
    fn check(&self) -> Result<Vec<Fault>, Error>;
    /// Mends what can be mended; gives what was wrong. What has changed stays as it is.
    fn repair(&self) -> Result<Vec<Fault>, Error>;
    /// The names under which messages were taken out of a folder, of those that are kept by now.
    fn taken(&self) -> Result<Vec<String>, Error>;
    /// Forgets such names: the folder has them no more.
    fn forget_taken(&self, names: &[String]) -> Result<(), Error>;
    /// Removes what a server that was killed left: files of messages that nobody was told to have. Only the process that takes messages in
    /// may do so. Gives how many there were.
    fn sweep(&self) -> Result<usize, Error>;
    /// The folder where messages are spooled that come: a file there becomes a message's without being copied.
    fn spool(&self) -> std::path::PathBuf;
}

/// Domains, users and aliases.
pub trait AccountStore {
    /// How often this process changed anything of what follows; a change counts before it is answered.
    fn changes(&self) -> u64;
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
    /// Bounds the bytes of a user (an address) or of all users of a domain; 0 lifts the bound.
    fn set_quota(&self, name: &str, bytes: u64) -> Result<(), Error>;
    /// Lets a user in from now on, or not.
    fn set_standing(&self, address: &str, standing: Standing) -> Result<(), Error>;
    /// Whether a user may come in; nothing where there is no such user.
    fn standing(&self, address: &str) -> Result<Option<Standing>, Error>;
    /// The users who may not come in.
    fn suspended(&self) -> Result<Vec<String>, Error>;
    /// What a mailbox may still hold.
    fn room(&self, mailbox: &str) -> Result<Room, Error>;
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
    /// The messages that follow one in a mailbox, each whole with its number, as long as they are small: so many bytes together at most, and one
    /// that is too large for that ends the list.
    fn following(&self, mailbox: &str, uid: i64, bytes: usize) -> Result<Vec<(i64, Vec<u8>)>, Error>;
    /// Deletes messages.
    fn delete(&self, mailbox: &str, uids: &[i64]) -> Result<(), Error>;
}

/// What waits for other servers.
pub trait QueueStore {
    /// The domains that have recipients whose time has come.
    fn due_domains(&self, now: Timestamp) -> Result<Vec<String>, Error>;
    /// The messages to a domain whose time has come, the first to go first, so many at most.
    fn due_messages(&self, domain: &str, now: Timestamp, limit: usize) -> Result<Vec<i64>, Error>;
    /// A message of the queue with all recipients whose time has come, of any domain.
    fn due(&self, id: i64, now: Timestamp) -> Result<Option<Queued>, Error>;
    /// Settles recipients of one message; the message goes with its last recipient.
    fn settle(&self, id: i64, settled: Vec<(String, Settled)>) -> Result<(), Error>;
    /// How much waits.
    fn depth(&self, now: Timestamp) -> Result<Depth, Error>;
    /// Everything that waits.
    fn waiting(&self) -> Result<Vec<Waiting>, Error> {
        self.waiting_of(&Which::All)
    }
    /// What waits of some messages, in the order of their numbers.
    fn waiting_of(&self, which: &Which) -> Result<Vec<Waiting>, Error>;
    /// A message of the queue.
    fn queued(&self, id: i64) -> Result<Vec<u8>, Error> {
        self.read_queued(id)?.whole()
    }
    /// A message of the queue, read piece by piece.
    fn read_queued(&self, id: i64) -> Result<Reading, Error>;
    /// Makes messages of the queue due now; those that were held, too. The time of a row is another one afterwards, also where it was due.
    fn retry(&self, which: &Which, now: Timestamp) -> Result<(), Error>;
    /// Makes due what waits for a time later than this, but for what is held; what came later than now came now. Gives how many there were.
    fn not_later_than(&self, latest: Timestamp, now: Timestamp) -> Result<usize, Error>;
    /// Holds messages of the queue until somebody says [`QueueStore::retry`].
    fn hold(&self, which: &Which) -> Result<(), Error>;
    /// Takes messages out of the queue; nobody is told.
    fn drop_queued(&self, which: &Which) -> Result<(), Error>;
}

/// The tokens of the admin API.
pub trait TokenStore {
    /// Keeps a token under a name that no other has.
    fn add_token(&self, token: Token) -> Result<(), Error>;
    /// Every token, by name.
    fn tokens(&self) -> Result<Vec<Token>, Error>;
    /// Forgets a token.
    fn remove_token(&self, name: &str) -> Result<(), Error>;
}

/// What is known of TLS elsewhere.
pub trait PolicyStore {
    /// The TLS policy of a domain as it was fetched: its version, its text, and when.
    fn policy(&self, domain: &str) -> Result<Option<(String, String, Timestamp)>, Error>;
    /// Keeps the TLS policy of a domain.
    fn keep_policy(&self, domain: &str, version: &str, text: &str, at: Timestamp) -> Result<(), Error>;
    /// Counts how TLS went, on a day (since 1970).
    fn count_tls(&self, day: i64, result: TlsResult) -> Result<(), Error>;
    /// What was counted on a day.
    fn tls_results(&self, day: i64) -> Result<Vec<(TlsResult, u64)>, Error>;
    /// The domains for which something was counted on a day, and whose report was not settled.
    fn unreported(&self, day: i64) -> Result<Vec<String>, Error>;
    /// Settles the report of a domain on a day: it is on its way, or nobody wants it.
    fn reported(&self, day: i64, domain: &str) -> Result<(), Error>;
}
