//! What the sessions ask, answered: who may log in, who may write to whom, and messages put where they belong.

mod consequences;
mod scanned;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use tokio::sync::Notify;

use crate::mime::{address, compose};
use crate::proto::sasl;
use crate::proto::smtp::{self, Envelope, Path, Recipient};
use crate::server::accounts::{Accounts, Destination};
use crate::server::filter::{self, Filtered, Filters};
use crate::server::locks::Locks;
use crate::server::mail::scanned::Scan;
use crate::server::mailbox::MailboxAccess;
use crate::server::scan::{Scanned, Scanner};
use crate::server::store::{Body, Error};
use crate::server::trace::Tracer;
use crate::time::Timestamp;

/// The mail service behind every session.
#[derive(Clone)]
pub(in crate::server) struct Mail {
    hostname: String,
    accounts: Accounts,
    locks: Locks,
    /// Told when the queue has something new.
    queue: Arc<Notify>,
    /// The scripts of users, where there are any.
    filters: Option<Arc<dyn Filters>>,
    scanners: Arc<[Scanner]>,
    tracer: Tracer,
}

impl std::fmt::Debug for Mail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Mail({})", self.hostname)
    }
}

/// Received fields before a message goes round in circles (RFC 5321 6.3).
const MAX_HOPS: usize = 50;

impl Mail {
    /// The service of this host.
    pub(in crate::server) fn new(hostname: &str, accounts: Accounts, locks: Locks, queue: Arc<Notify>) -> Self {
        Self {
            hostname: hostname.to_owned(),
            accounts,
            locks,
            queue,
            filters: None,
            scanners: Arc::new([]),
            tracer: Tracer::default(),
        }
    }

    /// With the scripts of users.
    pub(in crate::server) fn filters(mut self, filters: Arc<dyn Filters>) -> Self {
        self.filters = Some(filters);
        self
    }

    /// With somebody who is told what filters and scanners do.
    pub(in crate::server) fn tracer(mut self, tracer: Tracer) -> Self {
        self.tracer = tracer;
        self
    }

    /// With scanners, which are asked in this order.
    pub(in crate::server) fn scanners(mut self, scanners: Vec<Scanner>) -> Self {
        self.scanners = scanners.into();
        self
    }

    /// The accounts.
    pub(in crate::server) fn accounts(&self) -> &Accounts {
        &self.accounts
    }

    /// Answers a question of an SMTP session.
    pub(in crate::server) fn smtp(&self, question: smtp::Question, peer: IpAddr, now: Timestamp) -> smtp::Answer {
        let answered = match question {
            smtp::Question::Authenticate(question) => {
                Ok(smtp::Answer::Login(self.accounts.login(&question).unwrap_or(sasl::Answer::Later)))
            }
            smtp::Question::Sender(envelope) => self.sender(&envelope),
            smtp::Question::Recipient(envelope, recipient) => self.recipient(&envelope, &recipient),
            smtp::Question::Message(envelope, message) => self.message(&envelope, &message, peer, now),
        };
        answered.unwrap_or_else(|error| temporary(&error))
    }

    /// A user sends as himself, or as an alias that leads to him.
    fn sender(&self, envelope: &Envelope) -> Result<smtp::Answer, Error> {
        match (&envelope.user, &envelope.sender) {
            (Some(user), Path::Address(address))
                if !self.accounts.may_send_as(&crate::server::accounts::normal(user), address)? =>
            {
                Ok(reject(553, "5.7.1", &format!("{user} may not send as {address}")))
            }
            _ => Ok(smtp::Answer::Accept),
        }
    }

    /// Never an open relay: mail for others is taken from our users alone.
    fn recipient(&self, envelope: &Envelope, recipient: &Recipient) -> Result<smtp::Answer, Error> {
        match self.accounts.destination(&self.full(recipient)?)? {
            Destination::Ours { .. } => Ok(smtp::Answer::Accept),
            Destination::Unknown => Ok(reject(550, "5.1.1", &format!("no such user – {}", recipient.0))),
            Destination::Elsewhere if envelope.user.is_some() => Ok(smtp::Answer::Accept),
            Destination::Elsewhere => Ok(reject(550, "5.7.1", "no mail is relayed here")),
        }
    }

    /// `postmaster` alone, and that of the host itself, is the one of a domain of ours that has one (RFC 5321 4.5.1).
    fn full(&self, recipient: &Recipient) -> Result<String, Error> {
        let address = crate::server::accounts::normal(&recipient.0);
        let is_postmaster = address == "postmaster" || address == format!("postmaster@{}", self.hostname.to_lowercase());
        if !is_postmaster {
            return Ok(recipient.0.clone());
        }
        let candidates: Vec<String> =
            self.accounts.store().domains()?.iter().map(|domain| format!("postmaster@{domain}")).collect();
        for candidate in &candidates {
            if self.accounts.destination(candidate)? != Destination::Unknown {
                return Ok(candidate.clone());
            }
        }
        Ok(candidates.into_iter().next().unwrap_or(address))
    }

    fn message(&self, envelope: &Envelope, message: &[u8], peer: IpAddr, now: Timestamp) -> Result<smtp::Answer, Error> {
        let header_end = message.windows(4).position(|window| window == b"\r\n\r\n").unwrap_or(message.len());
        let header = message.get(..header_end).unwrap_or_default();
        let hops = header.split(|byte| *byte == b'\n').filter(|line| has_name(line, b"received:")).count();
        if hops > MAX_HOPS {
            return Ok(reject(554, "5.4.6", "the message goes round in circles"));
        }
        if let Some(refused) = self.author(envelope, header)? {
            return Ok(refused);
        }
        let scanned = match self.scan(envelope, message, peer, now)? {
            Scan::Message(scanned) => scanned,
            Scan::Answer(answer) => return Ok(answer),
        };
        let Scanned { message, recipients, sender, .. } = &scanned;
        let (mut users, mut elsewhere) = (BTreeMap::new(), BTreeSet::new());
        for recipient in recipients {
            let address = self.full(&Recipient(recipient.clone()))?;
            match self.accounts.destination(&address)? {
                Destination::Ours { mailboxes: ours, elsewhere: others } => {
                    for user in ours {
                        users.entry(user).or_insert_with(|| address.clone());
                    }
                    elsewhere.extend(others);
                }
                Destination::Elsewhere if envelope.user.is_some() || scanned.added.contains(recipient) => {
                    elsewhere.insert(address);
                }
                // gone since RCPT: somebody removed the user, and the others still get it
                Destination::Elsewhere | Destination::Unknown => {}
            }
        }
        if users.is_empty() && elsewhere.is_empty() {
            return Ok(reject(550, "5.1.1", "no recipient is left"));
        }
        let protocol = match (envelope.is_utf8, envelope.is_secure, envelope.user.is_some()) {
            (true, true, true) => "UTF8SMTPSA",
            (true, true, false) => "UTF8SMTPS",
            (true, false, _) => "UTF8SMTP",
            (false, true, true) => "ESMTPSA",
            (false, true, false) => "ESMTPS",
            (false, false, _) => "ESMTP",
        };
        let received = format!(
            "Received: from {} ([{peer}])\r\n by {} with {protocol};\r\n {}\r\n",
            envelope.helo,
            self.hostname,
            compose::date(now)
        );
        let kept = [received.as_bytes(), message].concat();
        let final_fields = format!("Return-Path: <{sender}>\r\n").into_bytes();
        let is_for_one = users.len() == 1 && elsewhere.is_empty();
        let filtered = match &self.filters {
            _ if scanned.is_aside => Filtered {
                mailboxes: users.into_keys().map(|user| format!("{user}/Quarantine")).collect(),
                ..Filtered::default()
            },
            Some(filters) => filter::run(filters, &users, sender, &kept, now),
            None => Filtered { mailboxes: users.into_keys().collect(), ..Filtered::default() },
        };
        filtered.notes.iter().for_each(|note| self.tracer.note(now, note));
        // the peer hears it where it is about nobody else (RFC 5429 2.1.1)
        if let ([(_, reason)], true) = (filtered.refused.as_slice(), is_for_one) {
            return Ok(reject(550, "5.7.1", &filter::one_line(reason)));
        }
        let to = (filtered.mailboxes.iter().cloned().collect(), elsewhere.into_iter().collect());
        self.consequences(&filtered, &kept, &final_fields, sender, now)?;
        self.deliver(Body::memory(received.into_bytes(), message.to_vec()), final_fields, to, sender, now)?;
        Ok(smtp::Answer::Accept)
    }

    /// A submission names its user as its author (RFC 6409 6.1).
    fn author(&self, envelope: &Envelope, header: &[u8]) -> Result<Option<smtp::Answer>, Error> {
        let Some(user) = &envelope.user else { return Ok(None) };
        let user = crate::server::accounts::normal(user);
        let text = String::from_utf8_lossy(header).replace("\r\n ", " ").replace("\r\n\t", " ");
        // `From :` is obsolete syntax that readers take
        let named_from = |line: &&str| line.split_once(':').is_some_and(|(name, _)| name.trim().eq_ignore_ascii_case("from"));
        let values: Vec<&str> = text.lines().filter(named_from).filter_map(|line| Some(line.split_once(':')?.1)).collect();
        let list = match values.as_slice() {
            [value] => address::parse(value),
            _ => return Ok(Some(reject(550, "5.6.0", "a message has one From field (RFC 5322 3.6)"))),
        };
        if list.has_junk || list.mailboxes.is_empty() {
            return Ok(Some(reject(550, "5.6.0", "the From field cannot be read")));
        }
        for mailbox in list.mailboxes {
            if !self.accounts.may_send_as(&user, &mailbox.address())? {
                return Ok(Some(reject(550, "5.7.1", &format!("{user} may not write as {}", mailbox.address()))));
            }
        }
        Ok(None)
    }

    /// Begins what a POP3 session asks.
    pub(in crate::server) fn mailbox(&self) -> MailboxAccess {
        MailboxAccess::new(self.accounts.clone(), self.locks.clone())
    }
}

fn has_name(line: &[u8], name: &[u8]) -> bool {
    line.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name))
}

fn reject(code: u16, enhanced: &'static str, text: &str) -> smtp::Answer {
    smtp::Answer::Reject(code, enhanced, text.to_owned())
}

/// What the peer may try again; the reason is for our log, not for him.
fn temporary(error: &Error) -> smtp::Answer {
    match error {
        Error::Full(_) => reject(452, "4.3.1", "the disk is full – try again later"),
        _ => reject(451, "4.3.0", "the server failed – try again later"),
    }
}
