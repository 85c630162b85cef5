//! Filters of users: where their scripts lie, and what is done of what they say (RFC 5228).

mod files;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::limits::Limits;
use crate::mime;
use crate::server::accounts::Accounts;
use crate::server::addressing::Destination;
use crate::server::metrics::Metrics;
use crate::server::store::Error;
use crate::sieve::{Action, Envelope, Memory, Reply, Script};
use crate::time::Timestamp;

pub use files::FileFilters;

/// Where scripts lie, and who was answered before.
pub trait Filters: Send + Sync {
    /// The script of a user; none where the user has none.
    fn script(&self, user: &str) -> Result<Option<Vec<u8>>, Error>;
    /// Whether nobody has one.
    fn is_empty(&self) -> bool;
    /// Puts a script in place of the one before.
    fn put(&self, user: &str, script: &[u8]) -> Result<(), Error>;
    /// Takes the script away.
    fn remove(&self, user: &str) -> Result<(), Error>;
    /// Until when an address gets no other reply of this handle.
    fn silent_until(&self, user: &str, handle: &str, address: &str) -> Option<Timestamp>;
    /// Notes a reply; says whether it is to be sent: not where another message of that address had one meanwhile.
    fn answers(&self, user: &str, handle: &str, address: &str, until: Timestamp, now: Timestamp) -> Result<bool, Error>;
}

/// What the scripts of all recipients come to.
#[derive(Debug, Default)]
pub(in crate::server) struct Filtered {
    /// The mailboxes that get the message: users, and folders of users as `USER/FOLDER`.
    pub(in crate::server) mailboxes: BTreeSet<String>,
    /// Those of them in which it has marks (RFC 5232).
    pub(in crate::server) marks: BTreeMap<String, Vec<String>>,
    /// Users whose scripts send it on, and to whom.
    pub(in crate::server) redirects: Vec<(String, BTreeSet<String>)>,
    /// Users who refuse it, and why.
    pub(in crate::server) refused: Vec<(String, String)>,
    /// Users who answer it.
    pub(in crate::server) replies: Vec<(String, Reply)>,
    /// What is told to whoever watches.
    pub(in crate::server) notes: Vec<String>,
}

impl Filtered {
    fn put(&mut self, mailbox: String, marks: Vec<String>) {
        if !marks.is_empty() {
            self.marks.insert(mailbox.clone(), marks);
        }
        self.mailboxes.insert(mailbox);
    }
}

/// The field that says whose script sent a message on: it goes on from there no second time.
pub(in crate::server) const REDIRECTED: &str = "X-Sieve-Redirected-From";

impl Filtered {
    /// Counts what it came to.
    pub(in crate::server) fn count(&self, metrics: &Metrics) {
        metrics.filtered("file", self.mailboxes.len());
        metrics.filtered("redirect", self.redirects.iter().map(|(_, to)| to.len()).sum());
        metrics.filtered("reject", self.refused.len());
        metrics.filtered("reply", self.replies.len());
    }
}

struct Remembered<'a> {
    filters: &'a dyn Filters,
    user: &'a str,
}

impl Memory for Remembered<'_> {
    fn silent_until(&self, handle: &str, address: &str) -> Option<Timestamp> {
        self.filters.silent_until(self.user, handle, address)
    }
}

/// Whether one of these users has a script, or one that cannot be read.
pub(in crate::server) fn is_any(filters: &Arc<dyn Filters>, users: &BTreeMap<String, String>) -> bool {
    users.keys().any(|user| !matches!(filters.script(user), Ok(None)))
}

/// Runs the scripts of users, each with the address by which the message came to it. A script that cannot be read or understood
/// files nothing: the message goes to the inbox.
pub(in crate::server) fn run(
    filters: &Arc<dyn Filters>,
    users: &BTreeMap<String, String>,
    sender: &str,
    message: &[u8],
    now: Timestamp,
) -> Filtered {
    let (mut filtered, limits) = (Filtered::default(), Limits::default());
    for (user, address) in users {
        let script = match filters.script(user).map(|script| script.map(|text| Script::parse(&text, &limits))) {
            Ok(Some(Ok(script))) => script,
            Ok(None) => {
                filtered.mailboxes.insert(user.clone());
                continue;
            }
            Ok(Some(Err(mistakes))) => {
                let first = mistakes.first().map_or_else(String::new, ToString::to_string);
                filtered.notes.push(format!("the filter of {user} has mistakes and does not run: {first}"));
                filtered.mailboxes.insert(user.clone());
                continue;
            }
            Err(error) => {
                filtered.notes.push(format!("the filter of {user} cannot be read: {error}"));
                filtered.mailboxes.insert(user.clone());
                continue;
            }
        };
        let envelope = Envelope::new(sender, address).own([user.clone()]);
        let memory = Remembered { filters: filters.as_ref(), user };
        let outcome = script.run(message, &envelope, now, &memory, &limits);
        if let Some(failure) = outcome.failure {
            filtered.notes.push(format!("the filter of {user} failed, and the message is kept: {failure}"));
        }
        if outcome.actions.is_empty() {
            filtered.notes.push(format!("the filter of {user} discards a message of <{sender}>"));
        }
        for action in outcome.actions {
            match action {
                // as in IMAP (RFC 9051 5.1), whose names scripts use
                Action::FileInto { folder, flags } if folder.eq_ignore_ascii_case("inbox") => filtered.put(user.clone(), flags),
                Action::FileInto { folder, flags } => filtered.put(format!("{user}/{folder}"), flags),
                Action::Redirect { address } if !was_redirected(message, user, &limits) => match filtered.redirects.last_mut() {
                    Some((last, to)) if last == user => drop(to.insert(address)),
                    _ => filtered.redirects.push((user.clone(), BTreeSet::from([address]))),
                },
                Action::Reject { reason, .. } => filtered.refused.push((user.clone(), reason)),
                Action::Vacation(reply) => filtered.replies.push((user.clone(), reply)),
                Action::Keep { flags } => filtered.put(user.clone(), flags),
                // what came round again stays here
                Action::Redirect { .. } => drop(filtered.mailboxes.insert(user.clone())),
            }
        }
    }
    filtered
}

/// Whether this user's script sent the message on before (RFC 5228 10: mail loops).
fn was_redirected(message: &[u8], user: &str, limits: &Limits) -> bool {
    let Ok(entity) = mime::parse(message, limits) else { return true };
    let named = entity.fields().iter().filter(|field| field.name.eq_ignore_ascii_case(REDIRECTED));
    named.into_iter().any(|field| field.unfolded(message).eq_ignore_ascii_case(user))
}

/// Where messages to an address go from here: mailboxes of ours, and addresses elsewhere. Scripts of others are not run again.
pub(in crate::server) fn places(accounts: &Accounts, address: &str) -> Result<(Vec<String>, Vec<String>), Error> {
    Ok(match accounts.destination(address)? {
        Destination::Ours { mailboxes, elsewhere } => (mailboxes, elsewhere),
        Destination::Elsewhere => (Vec::new(), vec![address.to_owned()]),
        Destination::Unknown | Destination::TooMany => (Vec::new(), Vec::new()),
    })
}

/// A word for a message of ours that no other one has, on this host.
pub(in crate::server) fn unique(now: Timestamp) -> String {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    format!("filter-{}-{}-{}", now.unix(), std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed))
}

/// A reason as a line of a reply takes it: one line of ASCII (RFC 5429 2.1.1), no longer than clients read.
pub(in crate::server) fn one_line(reason: &str) -> String {
    let line = reason.split_whitespace().collect::<Vec<_>>().join(" ");
    let line: String = line.chars().map(|c| if matches!(c, ' '..='~') { c } else { '?' }).take(300).collect();
    if line.is_empty() { "refused by the recipient".to_owned() } else { line }
}

/// The message that tells a sender that a user refused his (RFC 5429 2.2), in the form of RFC 8098.
pub(in crate::server) fn refusal(hostname: &str, user: &str, sender: &str, reason: &str, now: Timestamp) -> Vec<u8> {
    let unique = unique(now);
    let lines: String = reason.replace('\r', "").lines().map(|line| format!("{line}\r\n")).collect();
    let boundary = format!("{unique}-{hostname}");
    format!(
        "From: Mail Delivery System <postmaster@{hostname}>\r\nTo: <{sender}>\r\nSubject: Your message was refused\r\nDate: {}\r\n\
         Message-ID: <{unique}@{hostname}>\r\nAuto-Submitted: auto-replied (rejected)\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/report; report-type=disposition-notification;\r\n boundary=\"{boundary}\"\r\n\r\n\
         --{boundary}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\
         Your message was refused by the recipient's mail filter, which says:\r\n\r\n{lines}\r\n\
         --{boundary}\r\nContent-Type: message/disposition-notification\r\n\r\n\
         Reporting-UA: {hostname}; sealpost\r\nFinal-Recipient: rfc822; {user}\r\n\
         Disposition: automatic-action/MDN-sent-automatically; deleted\r\n\r\n--{boundary}--\r\n",
        mime::compose::date(now)
    )
    .into_bytes()
}
