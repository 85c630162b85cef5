//! What POP3 sessions ask, answered: one session's hold on a mailbox.

use std::collections::VecDeque;
use std::io::Read;
use std::sync::Arc;

use crate::proto::{pop3, sasl};
use crate::server::accounts::Accounts;
use crate::server::drive::now;
use crate::server::locks::{Locked, Locks, Taken};
use crate::server::store::{Error, Reading};
use crate::server::trace::Tracer;

/// One POP3 session's hold on a mailbox; free again when dropped.
#[derive(Debug)]
pub(in crate::server) struct MailboxAccess {
    accounts: Accounts,
    locks: Locks,
    tracer: Tracer,
    open: Option<Locked>,
    /// What is left of the message that goes out.
    reading: Option<Reading>,
    /// The message that was asked for last.
    last: Option<i64>,
    /// Those that follow it, each with its number: who fetches one after the other asks for them next.
    ahead: VecDeque<(i64, Vec<u8>)>,
}

/// Bytes of a message that are read at once: what one session holds of it. Several pieces of an answer, for each question costs a change of threads.
const PIECE: u64 = 256 << 10;

/// Bytes of messages that are read ahead.
const AHEAD: usize = 128 << 10;

impl MailboxAccess {
    /// None is open yet.
    pub(in crate::server) fn new(accounts: Accounts, locks: Locks, tracer: Tracer) -> Self {
        Self { accounts, locks, tracer, open: None, reading: None, last: None, ahead: VecDeque::new() }
    }

    /// Answers a question of a POP3 session; who may log in is for others to say.
    pub(in crate::server) fn answer(
        &mut self,
        question: pop3::Question,
        login: impl FnOnce(&sasl::Question) -> sasl::Answer,
    ) -> pop3::Answer {
        let store = Arc::clone(self.accounts.store());
        let answered = match question {
            pop3::Question::Authenticate(question) => Ok(pop3::Answer::Login(login(&question))),
            pop3::Question::Open { user, folder } => self.open(&user, folder.as_deref()),
            pop3::Question::Retrieve(uid) => self.retrieve(uid.0),
            pop3::Question::More => self.piece().map(pop3::Answer::More),
            pop3::Question::Delete(uids) => {
                let numbers: Vec<i64> = uids.iter().map(|uid| uid.0).collect();
                self.ahead.clear();
                let gone = match self.open.take() {
                    Some(locked) => store.delete(locked.mailbox(), &numbers),
                    None => Ok(()),
                };
                gone.map(|()| pop3::Answer::Deleted)
            }
        };
        answered.unwrap_or_else(|error| match error {
            Error::NotFound(what) => pop3::Answer::Rejected("", format!("it is gone \u{2013} {what}")),
            // the reason is for our log, not for him
            error => {
                self.tracer.warn(now(), &format!("a mailbox cannot be served – {error}"));
                pop3::Answer::Rejected("SYS/TEMP", "the server failed \u{2013} try again later".to_owned())
            }
        })
    }

    /// The accounts.
    pub(in crate::server) fn accounts(&self) -> &Accounts {
        &self.accounts
    }

    /// The user whose inbox is open, or `USER/FOLDER`.
    pub(in crate::server) fn user(&self) -> Option<&str> {
        self.open.as_ref().map(Locked::mailbox)
    }

    /// Whether a question is answered without asking the store.
    pub(in crate::server) fn is_quick(&self, question: &pop3::Question) -> bool {
        matches!((question, self.ahead.front()), (pop3::Question::Retrieve(uid), Some((next, _))) if uid.0 == *next)
    }

    /// Bytes of messages that nobody has asked for yet.
    pub(in crate::server) fn held(&self) -> usize {
        self.ahead.iter().map(|(_, message)| message.len()).sum()
    }

    /// Lets go of what was read ahead.
    pub(in crate::server) fn rest(&mut self) {
        self.ahead = VecDeque::new();
    }

    fn retrieve(&mut self, uid: i64) -> Result<pop3::Answer, Error> {
        let Some(locked) = &self.open else { return Err(Error::NotFound(format!("message {uid}"))) };
        self.reading = None;
        let goes_on = self.last.replace(uid).is_some_and(|last| last < uid);
        if let Some((_, message)) = self.ahead.pop_front().filter(|(next, _)| *next == uid) {
            return Ok(pop3::Answer::Message(u64::try_from(message.len()).unwrap_or(u64::MAX), message));
        }
        self.ahead.clear();
        let (store, mailbox) = (Arc::clone(self.accounts.store()), locked.mailbox().to_owned());
        let reading = store.read_message(&mailbox, uid)?;
        let size = reading.size();
        self.reading = Some(reading);
        let piece = self.piece()?;
        // a change of threads and a look into the database for many messages, and not for each
        if goes_on && self.reading.is_none() {
            self.ahead = store.following(&mailbox, uid, AHEAD)?.into();
        }
        Ok(pop3::Answer::Message(size, piece))
    }

    /// The next bytes of the message that goes out; a message that is at its end is let go.
    fn piece(&mut self) -> Result<Vec<u8>, Error> {
        let Some(reading) = &mut self.reading else { return Ok(Vec::new()) };
        let mut piece = Vec::with_capacity(usize::try_from(reading.size().min(PIECE)).unwrap_or(0));
        let read = reading.take(PIECE).read_to_end(&mut piece);
        let read = read.map_err(|error| Error::Broken(format!("a message cannot be read – {error}")))?;
        if u64::try_from(read).unwrap_or(0) < PIECE {
            self.reading = None;
        }
        Ok(piece)
    }

    /// A folder that nothing was filed into is an empty one; `INBOX` is the inbox, as filters have it.
    fn open(&mut self, user: &str, folder: Option<&str>) -> Result<pop3::Answer, Error> {
        let folder = folder.filter(|folder| !folder.eq_ignore_ascii_case("inbox"));
        let locked = match self.locks.lock(user, folder, std::time::Instant::now()) {
            Ok(locked) => locked,
            Err(Taken::InUse) => return Ok(pop3::Answer::Rejected("IN-USE", "another session has the mailbox".to_owned())),
            Err(Taken::TooSoon(seconds)) => {
                return Ok(pop3::Answer::Rejected("LOGIN-DELAY", format!("wait {seconds} seconds from one login to the next")));
            }
        };
        let messages = self.accounts.store().messages(locked.mailbox())?;
        self.open = Some(locked);
        let listing = |message: &crate::server::store::Stored| pop3::Listing { uid: pop3::Uid(message.uid), size: message.size };
        Ok(pop3::Answer::Opened(messages.iter().map(listing).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::accounts::tests::accounts;
    use crate::server::store::Delivery;
    use crate::time::Timestamp;

    #[test]
    fn inbox_in_any_case_is_the_inbox_and_open_once() {
        let (_folder, accounts) = accounts();
        let to = (vec!["jane@a.example".to_owned()], Vec::new());
        let message = Delivery::from_nobody(b"x".to_vec(), to, Default::default(), Timestamp::from_unix(0));
        accounts.store().deliver(message).expect("kept");
        let locks = Locks::default();
        let open = |folder: Option<&str>| {
            let mut access = MailboxAccess::new(accounts.clone(), locks.clone(), Tracer::default());
            let question = pop3::Question::Open { user: "jane@a.example".to_owned(), folder: folder.map(str::to_owned) };
            let answer = access.answer(question, |_| sasl::Answer::No);
            (access, answer)
        };
        for folder in [None, Some("INBOX"), Some("inbox"), Some("InBox")] {
            let (access, answer) = open(folder);
            assert!(matches!(&answer, pop3::Answer::Opened(listed) if listed.len() == 1), "{folder:?}: {answer:?}");
            assert_eq!(access.user(), Some("jane@a.example"));
            for other in [None, Some("Inbox")] {
                assert!(matches!(open(other).1, pop3::Answer::Rejected("IN-USE", _)), "{folder:?} and {other:?}");
            }
        }
        assert!(matches!(open(Some("INBOX/x")).1, pop3::Answer::Opened(listed) if listed.is_empty()));
    }
}
