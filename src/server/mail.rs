//! What the sessions ask, answered: who may log in, who may write to whom, and messages put where they belong.

mod consequences;
mod local;
mod scanned;
mod verdict;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use tokio::sync::{Notify, oneshot};

use crate::limits::Limits;
use crate::mime::{address, compose};
use crate::proto::Agreed;
use crate::proto::smtp::{self, Addressee, Envelope, Hello, RequireTls, Terms};
use crate::server::accounts::Accounts;
use crate::server::addressing::{Destination, WIDTH};
use crate::server::filter::{self, Filtered, Filters};
use crate::server::head::Head;
use crate::server::held::{Room, Share};
use crate::server::locks::Locks;
use crate::server::mail::consequences::Places;
use crate::server::mail::scanned::Scan;
use crate::server::mail::verdict::Stage;
use crate::server::mailbox::MailboxAccess;
use crate::server::policy::{Gate, Judged, Place};
use crate::server::queue;
use crate::server::scan::{Scanned, Scanner};
use crate::server::space::Space;
use crate::server::spool::{Incoming, Spool};
use crate::server::store::{Bound, Delivery, Error, Extra};
use crate::server::trace::Tracer;
use crate::time::Timestamp;

pub(in crate::server) use local::{Handed, Heard, Letter, Local, Patience, parts};

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
    /// Whom mail is taken from, for whom, and how much.
    gate: Gate,
    /// Where messages are held that somebody reads as a whole; none where nobody bounds them.
    room: Option<Room>,
    tracer: Tracer,
}

/// Who is at the other end.
#[derive(Debug, Clone)]
pub(in crate::server) struct Peer {
    /// His address.
    pub(in crate::server) address: IpAddr,
    /// What TLS agreed on, once it has begun.
    pub(in crate::server) tls: Option<Agreed>,
    /// Where a message came from that no connection brought.
    pub(in crate::server) local: Option<Local>,
}

impl std::fmt::Debug for Mail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Mail({})", self.hostname)
    }
}

/// What is answered: now, or when the disk has it.
pub(in crate::server) enum Answered {
    Now(smtp::Answer),
    Later(oneshot::Receiver<smtp::Answer>),
}

impl Answered {
    /// The answer, waited for on a thread that may block.
    fn wait(self) -> smtp::Answer {
        match self {
            Self::Now(answer) => answer,
            Self::Later(later) => {
                later.blocking_recv().unwrap_or_else(|_| temporary(&Error::Broken("the store is closed".to_owned())))
            }
        }
    }
}

/// Bytes of a message that is written into the database, and not into a file of its own.
const QUICK: usize = 16 << 10;

/// Received fields before a message goes round in circles: RFC 5321 6.3 has 100 at least.
const MAX_HOPS: usize = 100;

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
            gate: Gate::default(),
            room: None,
            tracer: Tracer::default(),
        }
    }

    /// Whether the disk takes no more. Asked before a message comes, and not only when it is there (RFC 1870 6.1).
    fn is_full(&self, bytes: u64) -> bool {
        !Space::of(&self.accounts.store().spool()).has_room(bytes)
    }

    /// Where one connection keeps the message that is coming.
    pub(in crate::server) fn spool(&self) -> Spool {
        Spool::new(self.accounts.store().spool())
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

    /// With a bound for all messages that are held whole.
    pub(in crate::server) fn holding(self, room: Room) -> Self {
        Self { room: Some(room), ..self }
    }

    /// The accounts.
    pub(in crate::server) fn accounts(&self) -> &Accounts {
        &self.accounts
    }

    /// The same service behind another gate.
    pub(in crate::server) fn behind(self, gate: Gate) -> Self {
        Self { gate, ..self }
    }

    /// Whom mail is taken from.
    pub(in crate::server) fn gate(&self) -> &Gate {
        &self.gate
    }

    /// Whether a question is answered without waiting: for DNS, a directory, a program, or a disk, but for what the database has at hand.
    pub(in crate::server) fn is_quick(&self, question: &smtp::Question, peer: &Peer) -> bool {
        match question {
            smtp::Question::Sender(envelope) | smtp::Question::Recipient(envelope, _) => {
                self.accounts.are_at_hand() && self.is_told(envelope, peer)
            }
            smtp::Question::Message(envelope, content) => {
                content.spooled == 0
                    && content.rest.len() <= QUICK
                    && self.accounts.are_at_hand()
                    && self.scanners.is_empty()
                    && self.filters.as_ref().is_none_or(|filters| filters.is_empty())
                    && !self.looks_into(envelope, peer)
                    && !envelope.recipients.iter().any(consequences::wants_to_know)
            }
            smtp::Question::Authenticate(_) | smtp::Question::Piece(_) => false,
        }
    }

    /// Answers a question of an SMTP session.
    pub(in crate::server) fn smtp(&self, question: smtp::Question, spool: &mut Spool, peer: &Peer, now: Timestamp) -> Answered {
        let answered = match question {
            smtp::Question::Authenticate(question) => Ok(smtp::Answer::Login(self.login(&question, peer.address))),
            smtp::Question::Sender(envelope) => self.sender(&envelope, peer),
            smtp::Question::Recipient(envelope, recipient) => self.recipient(&envelope, &recipient, peer),
            smtp::Question::Piece(piece) => Ok(self.piece(&piece, spool, now)),
            smtp::Question::Message(envelope, content) => {
                return self
                    .message(&envelope, spool.whole(content), peer, now)
                    .unwrap_or_else(|error| Answered::Now(failed(&self.tracer, &error, now)));
            }
        };
        Answered::Now(answered.unwrap_or_else(|error| failed(&self.tracer, &error, now)))
    }

    /// Keeps a piece of a message that is coming.
    pub(in crate::server) fn piece(&self, piece: &smtp::Piece, spool: &mut Spool, now: Timestamp) -> smtp::Answer {
        match spool.keep(piece).map_err(disk) {
            Ok(()) => smtp::Answer::Accept,
            Err(error) => failed(&self.tracer, &error, now),
        }
    }

    /// A user sends as himself, or as an alias that leads to him.
    fn sender(&self, envelope: &Envelope, peer: &Peer) -> Result<smtp::Answer, Error> {
        if let Some(refused) = self.verdict(&Stage::Sender(envelope), peer) {
            return Ok(refused);
        }
        if self.is_full(envelope.size) {
            return Ok(disk_is_full());
        }
        match (&envelope.user, &envelope.sender) {
            (Some(user), smtp::Path::Address(address))
                if !self.accounts.may_send_as(&crate::server::accounts::normal(user), address)? =>
            {
                Ok(reject(553, "5.7.1", &format!("{user} may not send as {address}")))
            }
            _ => Ok(smtp::Answer::Accept),
        }
    }

    /// Never an open relay: mail for others is taken from whom the gate lets alone.
    fn recipient(&self, envelope: &Envelope, recipient: &Addressee, peer: &Peer) -> Result<smtp::Answer, Error> {
        let destination = self.accounts.destination(&self.full(&recipient.address)?)?;
        let place = match destination {
            Destination::Unknown => return Ok(reject(550, "5.1.1", &format!("no such user – {}", recipient.address))),
            Destination::TooMany => return Ok(too_many(&recipient.address)),
            Destination::Elsewhere => Place::Elsewhere,
            Destination::Ours { .. } => Place::Here,
        };
        if let Some(refused) = self.verdict(&Stage::Recipient(envelope, recipient, place), peer) {
            return Ok(refused);
        }
        match destination {
            Destination::Ours { mailboxes, elsewhere }
                if elsewhere.is_empty() && self.bound(mailboxes.iter(), |_| 1)?.is_none() =>
            {
                Ok(reject(452, "4.2.2", &format!("the mailbox is full – {}", recipient.address)))
            }
            _ => Ok(smtp::Answer::Accept),
        }
    }

    /// `postmaster` alone, and that of the host itself, is the one of a domain of ours that has one (RFC 5321 4.5.1).
    fn full(&self, recipient: &str) -> Result<String, Error> {
        let address = crate::server::accounts::normal(recipient);
        let is_postmaster = address == "postmaster" || address == format!("postmaster@{}", self.hostname.to_lowercase());
        if !is_postmaster {
            return Ok(recipient.to_owned());
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

    fn message(&self, envelope: &Envelope, mut message: Incoming, peer: &Peer, now: Timestamp) -> Result<Answered, Error> {
        let most = Limits::default().header_bytes;
        let start = message.start(most).map_err(disk)?;
        let Some(head) = Head::of(&start, start.len() < most) else {
            return Ok(refused(552, "5.3.4", &format!("the header section is over {most} bytes")));
        };
        let circles = || reject(554, "5.4.6", "the message goes round in circles");
        if head.values("received").count() > MAX_HOPS {
            return Ok(Answered::Now(circles()));
        }
        if let Some(refusal) = self.author(envelope, &head)? {
            return Ok(Answered::Now(refusal));
        }
        let _share = self.share(envelope, &message, peer);
        let Judged { fields, refusal } = self.checked(envelope, &mut message, peer)?;
        if let Some(refusal) = refusal {
            return Ok(Answered::Now(verdict::answer(refusal)));
        }
        let start = self.unforged(start, &mut message)?;
        let sender = match &envelope.sender {
            smtp::Path::Null => String::new(),
            smtp::Path::Address(address) => address.clone(),
        };
        let scanned = match self.scan(envelope, &mut message, sender, peer, now)? {
            Scan::Message(scanned) => scanned,
            Scan::Answer(answer) => return Ok(Answered::Now(answer)),
        };
        let Scanned { recipients, sender, .. } = &scanned;
        let (mut users, mut elsewhere, mut arrived) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
        for recipient in recipients {
            let address = self.full(recipient)?;
            match self.accounts.destination(&address)? {
                Destination::Ours { mailboxes: ours, elsewhere: others } => {
                    if !ours.is_empty() {
                        arrived.push(addressee(envelope, recipient, &address));
                    }
                    for user in ours {
                        users.entry(user).or_insert_with(|| address.clone());
                    }
                    // asked only where something goes on: it looks for lists and their owners
                    if !others.is_empty() {
                        let under = self.accounts.onward_sender(&address, sender, now)?;
                        let others = others.into_iter();
                        elsewhere
                            .extend(others.map(|other| (other.clone(), (addressee(envelope, recipient, &other), under.clone()))));
                    }
                }
                Destination::Elsewhere if scanned.added.contains(recipient) || self.relays(envelope, peer, &address) => {
                    elsewhere.insert(address.clone(), (addressee(envelope, recipient, &address), sender.clone()));
                }
                Destination::TooMany => return Ok(Answered::Now(too_many(recipient))),
                // gone since RCPT: somebody removed the user, and the others still get it
                Destination::Elsewhere | Destination::Unknown => {}
            }
        }
        if users.is_empty() && elsewhere.is_empty() {
            return Ok(refused(550, "5.1.1", "no recipient is left"));
        }
        // what a mailbox here has had comes back to it: somebody forwards it in a circle. A user may send again what he got
        let has_had = |mailbox: &String| head.values("delivered-to").any(|was| crate::server::accounts::normal(was) == *mailbox);
        if envelope.user.is_none() && peer.local.is_none() {
            // he has it; the others do not
            users.retain(|mailbox, _| !has_had(mailbox));
            if users.is_empty() && elsewhere.is_empty() {
                return Ok(Answered::Now(circles()));
            }
        }
        let front = fields + &self.lacking(envelope, &head, now);
        let signatures = self.signatures(envelope, peer, &head, (&front, &mut message), now)?;
        let fields = self.received(envelope, peer, now) + &signatures + &front;
        let final_fields = format!("Return-Path: <{sender}>\r\n");
        let common = message.size().saturating_add(length(fields.as_bytes()));
        let size = |user: &String| common.saturating_add(length(&Delivery::fields_in(final_fields.as_bytes(), user, &[])));
        // what goes on to others is not refused for one mailbox here. Asked before scripts send something; the store asks again
        let bound = if elsewhere.is_empty() { self.bound(users.keys(), size)? } else { Some(Bound::Over) };
        let Some(bound) = bound else { return Ok(Answered::Now(no_room())) };
        let is_for_one = users.len() == 1 && elsewhere.is_empty();
        let filtered = match &self.filters {
            _ if scanned.is_aside => Filtered {
                mailboxes: users.into_keys().map(|user| format!("{user}/Quarantine")).collect(),
                ..Filtered::default()
            },
            // a message is read where somebody wants to know what is in it
            Some(filters) if !filters.is_empty() && filter::is_any(filters, &users) => {
                let kept = message.bytes_behind(fields.as_bytes()).map_err(disk)?;
                let filtered = filter::run(filters, &users, sender, &kept, now);
                // it is read again where scripts send it on
                drop(kept);
                filtered.notes.iter().for_each(|note| self.tracer.note(now, note));
                filtered.count(self.tracer.metrics());
                // the peer hears it where it is about nobody else (RFC 5429 2.1.1)
                if let ([(_, reason)], true) = (filtered.refused.as_slice(), is_for_one) {
                    return Ok(refused(550, "5.7.1", &filter::one_line(reason)));
                }
                self.consequences(&filtered, (&fields, &mut message), (sender, &envelope.terms), now)?;
                filtered
            }
            _ => Filtered { mailboxes: users.into_keys().collect(), ..Filtered::default() },
        };
        // it went out already: it is not refused now
        let is_sent_on = !filtered.redirects.is_empty() || !filtered.refused.is_empty();
        let bound = if is_sent_on { Bound::Over } else { bound };
        let extra = Extra { marks: filtered.marks, taken: peer.local.as_ref().map(|local| local.taken.clone()), bound };
        let header = start.get(..memchr::memmem::find(&start, b"\r\n\r\n").unwrap_or(start.len())).unwrap_or_default();
        let (priority, terms) = (queue::priority(header), terms(envelope, &head));
        let under = (sender.as_str(), &terms, priority);
        let elsewhere = self.onwards(&mut message, &fields, elsewhere.into_values().collect(), under, now)?;
        let to = Places { mailboxes: filtered.mailboxes.into_iter().collect(), elsewhere, terms, priority, extra };
        let kept = message.behind(fields.into_bytes()).map_err(disk)?;
        if sender.is_empty() || !arrived.iter().any(consequences::wants_to_know) {
            // nobody is told anything: the thread need not wait for the disk
            let (told, later) = oneshot::channel();
            let tracer = self.tracer.clone();
            let answer = move |kept: Result<(), Error>| match kept {
                Ok(()) => smtp::Answer::Accept,
                Err(Error::NoRoom(_)) => no_room(),
                Err(error) => failed(&tracer, &error, now),
            };
            // who sent it may be gone
            self.deliver_then(kept, final_fields.into_bytes(), to, sender, now, move |kept| drop(told.send(answer(kept))));
            return Ok(Answered::Later(later));
        }
        match self.deliver(kept, final_fields.into_bytes(), to, sender, now) {
            Err(Error::NoRoom(_)) => return Ok(Answered::Now(no_room())),
            kept => kept?,
        }
        // the message is kept, whatever becomes of the report: he is not asked to send it again
        if let Err(error) = self.tell_delivered(envelope, (sender, &arrived), header, now) {
            self.tracer.note(now, &format!("<{sender}> is not told that his message was delivered: {error}"));
        }
        Ok(Answered::Now(smtp::Answer::Accept))
    }

    /// Waits for memory, where a message is in a file and somebody here reads all of it: those who bring large ones at once take no more of it
    /// than one does.
    fn share(&self, envelope: &Envelope, message: &Incoming, peer: &Peer) -> Option<Share> {
        let is_read = !self.scanners.is_empty()
            || self.filters.as_ref().is_some_and(|filters| !filters.is_empty())
            || self.looks_into(envelope, peer);
        self.room.as_ref().filter(|_| message.is_spooled() && is_read)?.wait(message.size())
    }

    /// Whether one of these mailboxes can hold so many bytes more, and whether that is to be asked again where the message is kept. There is one
    /// answer for all recipients of a message: where it fits one, it goes to all, and the next one is refused at RCPT.
    fn bound<'a>(
        &self,
        mailboxes: impl Iterator<Item = &'a String>,
        bytes: impl Fn(&String) -> u64,
    ) -> Result<Option<Bound>, Error> {
        for mailbox in mailboxes {
            match self.accounts.bound(mailbox)? {
                // it fits, whatever else comes meanwhile
                None => return Ok(Some(Bound::Over)),
                Some(room) if room.fits(bytes(mailbox)) => return Ok(Some(Bound::Within)),
                Some(_) => {}
            }
        }
        Ok(None)
    }

    /// RFC 5321 4.4, with the cipher as RFC 8314 4.3 has it.
    fn received(&self, envelope: &Envelope, peer: &Peer, now: Timestamp) -> String {
        let tls = peer.tls.as_ref().map(|how| format!("\r\n tls {how}")).unwrap_or_default();
        let recipient = match envelope.recipients.as_slice() {
            // of several, none is told of the others
            [one] => format!("\r\n for <{}>", one.address),
            _ => String::new(),
        };
        if let Some(local) = &peer.local {
            let (host, by, date) = (&self.hostname, &local.by, compose::date(now));
            return format!("Received: by {host} ({by}){recipient};\r\n {date}\r\n");
        }
        let literal = if peer.address.is_ipv6() { "IPv6:" } else { "" };
        format!(
            "Received: from {} ([{literal}{}])\r\n by {} with {}{recipient}{tls};\r\n {}\r\n",
            envelope.helo,
            peer.address,
            self.hostname,
            protocol(envelope),
            compose::date(now)
        )
    }

    /// The fields that a submission lacks (RFC 6409 8): they stand in front of its own, and nothing else is touched, so that what is signed
    /// stays as it was.
    fn lacking(&self, envelope: &Envelope, head: &Head, now: Timestamp) -> String {
        let Some(user) = &envelope.user else { return String::new() };
        let mut fields = String::new();
        if !head.has("date") {
            fields.push_str(&format!("Date: {}\r\n", compose::date(now)));
        }
        if !head.has("message-id") {
            let mut id = [0; 16];
            crate::keys::files::random_name(&mut id);
            let id: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
            fields.push_str(&format!("Message-ID: <{id}@{}>\r\n", self.hostname));
        }
        let user = crate::server::accounts::normal(user);
        let authors: Vec<String> =
            head.values("from").flat_map(|value| address::parse(value).mailboxes).map(|m| m.address()).collect();
        let is_himself = matches!(authors.as_slice(), [one] if crate::server::accounts::normal(one) == user);
        if !is_himself && !head.has("sender") && user.contains('@') {
            fields.push_str(&format!("Sender: {user}\r\n"));
        }
        fields
    }

    /// A submission names its user as its author, and as its sender where it names one (RFC 6409 6.1).
    fn author(&self, envelope: &Envelope, head: &Head) -> Result<Option<smtp::Answer>, Error> {
        let Some(user) = &envelope.user else { return Ok(None) };
        let user = crate::server::accounts::normal(user);
        let values: Vec<&str> = head.values("from").collect();
        let list = match values.as_slice() {
            [value] => address::parse(value),
            _ => return Ok(Some(reject(550, "5.6.0", "a message has one From field (RFC 5322 3.6)"))),
        };
        if list.has_junk || list.mailboxes.is_empty() {
            return Ok(Some(reject(550, "5.6.0", "the From field cannot be read")));
        }
        let senders = head.values("sender").flat_map(|value| address::parse(value).mailboxes);
        for mailbox in list.mailboxes.into_iter().chain(senders) {
            if !self.accounts.may_send_as(&user, &mailbox.address())? {
                return Ok(Some(reject(550, "5.7.1", &format!("{user} may not write as {}", mailbox.address()))));
            }
        }
        Ok(None)
    }

    /// Begins what a POP3 session asks.
    pub(in crate::server) fn mailbox(&self) -> MailboxAccess {
        MailboxAccess::new(self.accounts.clone(), self.locks.clone(), self.tracer.clone())
    }
}

/// What is asked of the servers on the way; by the message where the envelope says nothing (RFC 8689 5).
fn terms(envelope: &Envelope, head: &Head) -> Terms {
    let is_waived =
        envelope.terms.tls == RequireTls::No && head.values("tls-required").any(|value| value.eq_ignore_ascii_case("no"));
    match is_waived {
        true => Terms { tls: RequireTls::Waived, ..envelope.terms.clone() },
        false => envelope.terms.clone(),
    }
}

/// An address to which a recipient leads, with what the sender wants to hear of that one (RFC 3461 5.2.7.1).
fn addressee(envelope: &Envelope, recipient: &str, address: &str) -> Addressee {
    let asked = envelope.recipients.iter().find(|known| known.address == recipient).cloned().unwrap_or_default();
    Addressee { address: address.to_owned(), ..asked }
}

/// How the message came (RFC 3848, RFC 6531 4.3).
fn protocol(envelope: &Envelope) -> String {
    let base = match (envelope.is_utf8, envelope.hello) {
        (true, _) => "UTF8SMTP",
        (false, Hello::Extended) => "ESMTP",
        // who is under TLS or authenticated speaks ESMTP, whatever he said before
        (false, Hello::Plain) if envelope.is_secure || envelope.user.is_some() => "ESMTP",
        (false, Hello::Plain) => "SMTP",
    };
    let (secure, known) = (if envelope.is_secure { "S" } else { "" }, if envelope.user.is_some() { "A" } else { "" });
    format!("{base}{secure}{known}")
}

fn refused(code: u16, enhanced: impl Into<Cow<'static, str>>, text: &str) -> Answered {
    Answered::Now(reject(code, enhanced, text))
}

fn no_room() -> smtp::Answer {
    reject(552, "5.2.2", "the message does not fit into the mailbox")
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

/// RFC 3463 3.3: a list that cannot be expanded.
fn too_many(address: &str) -> smtp::Answer {
    reject(550, "5.2.4", &format!("the list leads to more than {WIDTH} addresses, and nobody gets it – {address}"))
}

fn reject(code: u16, enhanced: impl Into<Cow<'static, str>>, text: &str) -> smtp::Answer {
    smtp::Answer::Reject(code, enhanced.into(), text.to_owned())
}

#[allow(clippy::needless_pass_by_value, reason = "the shape that map_err wants")]
fn disk(error: std::io::Error) -> Error {
    Error::Full(error.to_string())
}

fn disk_is_full() -> smtp::Answer {
    reject(452, "4.3.1", "the disk is full – try again later")
}

/// What the peer may try again; the log hears the reason.
fn failed(tracer: &Tracer, error: &Error, now: Timestamp) -> smtp::Answer {
    tracer.warn(now, &format!("mail cannot be taken – {error}"));
    temporary(error)
}

/// What the peer may try again; the reason is for our log, not for him.
fn temporary(error: &Error) -> smtp::Answer {
    match error {
        Error::Full(_) => disk_is_full(),
        _ => reject(451, "4.3.0", "the server failed – try again later"),
    }
}
