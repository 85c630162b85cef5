//! What becomes of a message that filters looked at: what they send themselves, and where it is put.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::mime::address;
use crate::proto::smtp::{Addressee, Envelope, Terms};
use crate::server::filter::{self, Filtered};
use crate::server::mail::{Mail, disk};
use crate::server::queue::{self, Kind, Told};
use crate::server::spool::Incoming;
use crate::server::store::{Body, Bound, Delivery, Error, Extra, Priority, Queued};
use crate::sieve::Reply;
use crate::time::Timestamp;

/// Where a message goes, and what its sender asked of the way.
pub(in crate::server::mail) struct Places {
    pub(in crate::server::mail) mailboxes: Vec<String>,
    pub(in crate::server::mail) elsewhere: Vec<Addressee>,
    pub(in crate::server::mail) terms: Terms,
    pub(in crate::server::mail) priority: Priority,
    pub(in crate::server::mail) extra: Extra,
}

impl Places {
    /// Those of a message that a script or a server writes: it comes after what people write.
    pub(in crate::server::mail) fn of((mailboxes, elsewhere): (Vec<String>, Vec<String>), terms: Terms) -> Self {
        let elsewhere = elsewhere.into_iter().map(Addressee::from).collect();
        Self { mailboxes, elsewhere, terms, priority: Priority::Low, extra: Extra::default() }
    }
}

/// Whether the sender wants to hear that this one has it.
pub(in crate::server::mail) fn wants_to_know(to: &Addressee) -> bool {
    queue::is_wanted(Kind::Delivered, &to.notify)
}

impl Mail {
    /// Puts a message into mailboxes and into the queue; nothing is done where it goes nowhere.
    pub(in crate::server::mail) fn deliver(
        &self,
        message: Body,
        final_fields: Vec<u8>,
        to: Places,
        sender: &str,
        at: Timestamp,
    ) -> Result<(), Error> {
        let (told, waiting) = std::sync::mpsc::sync_channel(1);
        // nobody waits where this thread ended
        self.deliver_then(message, final_fields, to, sender, at, move |kept| drop(told.send(kept)));
        waiting.recv().unwrap_or_else(|_| Err(Error::Broken("the store is closed".to_owned())))
    }

    /// The same without waiting for the disk; `done` must not hold up the thread it is called on.
    pub(in crate::server::mail) fn deliver_then(
        &self,
        message: Body,
        final_fields: Vec<u8>,
        to: Places,
        sender: &str,
        at: Timestamp,
        done: impl FnOnce(Result<(), Error>) + Send + 'static,
    ) {
        let Places { mailboxes, elsewhere, terms, priority, extra } = to;
        if mailboxes.is_empty() && elsewhere.is_empty() {
            return done(Ok(()));
        }
        let wake = (!elsewhere.is_empty()).then(|| Arc::clone(&self.queue));
        let (copies, others, from, tracer) = (mailboxes.len(), elsewhere.len(), sender.to_owned(), self.tracer.clone());
        let sender = from.clone();
        let delivery = Delivery { message, final_fields, mailboxes, sender, elsewhere, terms, priority, at, extra };
        self.accounts.store().deliver_then(
            delivery,
            Box::new(move |kept| {
                if let Ok(queued) = &kept {
                    tracer.metrics().delivered(copies);
                    if let Some(id) = queued {
                        tracer.note(at, &format!("queue {id}: a message from <{from}> for {others} elsewhere"));
                    }
                    wake.iter().for_each(|queue| queue.notify_one());
                }
                done(kept.map(|_| ()));
            }),
        );
    }

    /// The message once more behind these fields.
    fn copy(&self, message: &mut Incoming, fields: String) -> Result<Body, Error> {
        message.copy(&self.accounts.store().spool(), fields.into_bytes()).map_err(disk)
    }

    /// Puts a message into the queue for those to whom it goes on under another sender than its own (lists, what is forwarded); gives the others.
    pub(in crate::server::mail) fn onwards(
        &self,
        message: &mut Incoming,
        fields: &str,
        elsewhere: Vec<(Addressee, String)>,
        (sender, terms, priority): (&str, &Terms, Priority),
        now: Timestamp,
    ) -> Result<Vec<Addressee>, Error> {
        let mut by_sender: BTreeMap<String, Vec<Addressee>> = BTreeMap::new();
        for (to, under) in elsewhere {
            by_sender.entry(under).or_default().push(to);
        }
        let own = by_sender.remove(sender).unwrap_or_default();
        for (under, elsewhere) in by_sender {
            let kept = self.copy(message, fields.to_owned())?;
            let to = Places { mailboxes: Vec::new(), elsewhere, terms: terms.clone(), priority, extra: Extra::default() };
            self.deliver(kept, Vec::new(), to, &under, now)?;
        }
        Ok(own)
    }

    /// Tells the sender that recipients have the message, where he asked to be told (RFC 3461 5.2.6).
    pub(in crate::server::mail) fn tell_delivered(
        &self,
        envelope: &Envelope,
        (sender, arrived): (&str, &[Addressee]),
        header: &[u8],
        now: Timestamp,
    ) -> Result<(), Error> {
        let wanted = arrived.iter().filter(|to| wants_to_know(to));
        let why = || "2.1.5 it is in the mailbox".to_owned();
        let told: Vec<Told> = wanted.map(|to| Told { to: to.clone(), why: why(), server: String::new() }).collect();
        // RFC 5321 6.1: a message without a sender is a report itself
        if told.is_empty() || sender.is_empty() {
            return Ok(());
        }
        let (terms, recipients) = (envelope.terms.clone(), Vec::new());
        let queued = Queued { id: 0, sender: sender.to_owned(), created: now, terms, recipients };
        let report = queue::report(&self.hostname, &queued, header, (Kind::Delivered, &told), now);
        self.write_to(report, filter::places(&self.accounts, sender)?, now)
    }

    /// Signs and sends a message of the server's own, which has no sender: nobody is told what becomes of it.
    pub(in crate::server::mail) fn write_to(
        &self,
        message: Vec<u8>,
        places: (Vec<String>, Vec<String>),
        now: Timestamp,
    ) -> Result<(), Error> {
        let (to, message) = (Places::of(places, Terms::default()), self.gate.signed(message, now, &self.tracer));
        self.deliver(message.into(), b"Return-Path: <>\r\n".to_vec(), to, "", now)
    }

    /// A reply whose author its user may be: what he may not send, no script of his sends for him, and no key of ours signs.
    fn in_own_name<'r>(&self, user: &str, reply: &'r Reply, now: Timestamp) -> Result<Cow<'r, Reply>, Error> {
        let Some(from) = &reply.from else { return Ok(Cow::Borrowed(reply)) };
        let author = address::parse(from).mailboxes.into_iter().next().map(|mailbox| mailbox.address()).unwrap_or_default();
        if self.accounts.may_send_as(user, &author)? {
            return Ok(Cow::Borrowed(reply));
        }
        self.tracer.note(now, &format!("the filter of {user} answers as {author}, and he may not: the answer is from him"));
        Ok(Cow::Owned(Reply { from: None, ..reply.clone() }))
    }

    /// What scripts send themselves. It comes before the message is put into its places: a failure here makes the peer try again, and what
    /// was sent is sent twice; the other way round it would be lost.
    pub(in crate::server::mail) fn consequences(
        &self,
        filtered: &Filtered,
        (fields, message): (&str, &mut Incoming),
        (sender, terms): (&str, &Terms),
        now: Timestamp,
    ) -> Result<(), Error> {
        // what he wants to hear is about the one he wrote to
        let onwards = Terms { ret: String::new(), envid: String::new(), ..terms.clone() };
        let final_fields = format!("Return-Path: <{sender}>\r\n").into_bytes();
        for (user, addresses) in &filtered.redirects {
            let marked = format!("{}: {user}\r\n{fields}", filter::REDIRECTED);
            let (mut mailboxes, mut elsewhere) = (BTreeSet::new(), BTreeSet::new());
            for address in addresses {
                let (here, there) = filter::places(&self.accounts, address)?;
                mailboxes.extend(here);
                elsewhere.extend(there);
            }
            if mailboxes.is_empty() && elsewhere.is_empty() {
                // nobody is there: it stays with the one who sends it on
                mailboxes.insert(user.clone());
            }
            let sender = self.accounts.onward_sender(user, sender, now)?;
            let mut keep = |(mailboxes, elsewhere), bound| {
                let to = Places { priority: Priority::Normal, ..Places::of((mailboxes, elsewhere), onwards.clone()) };
                let to = Places { extra: Extra { bound, ..Extra::default() }, ..to };
                self.deliver(self.copy(message, marked.clone())?, final_fields.clone(), to, &sender, now)
            };
            // what goes on to other servers is not kept from them by one mailbox here
            let bound = if elsewhere.is_empty() && !mailboxes.contains(user) { Bound::Within } else { Bound::Over };
            match keep((mailboxes.into_iter().collect(), elsewhere.into_iter().collect()), bound) {
                // who sends it on has it, and not who is full by it
                Err(Error::NoRoom(_)) => keep((vec![user.clone()], Vec::new()), Bound::Over)?,
                kept => kept?,
            }
        }
        for (user, reason) in filtered.refused.iter().filter(|_| !sender.is_empty()) {
            let told = filter::refusal(&self.hostname, user, sender, reason, now);
            self.write_to(told, filter::places(&self.accounts, sender)?, now)?;
        }
        for (user, reply) in &filtered.replies {
            if let Some(filters) = &self.filters
                && !filters.answers(user, &reply.handle, &reply.to, reply.silent_until, now)?
            {
                continue;
            }
            let id = format!("{}@{}", filter::unique(now), self.hostname);
            let written = self.in_own_name(user, reply, now)?.message(user, now, &id);
            self.write_to(written, filter::places(&self.accounts, &reply.to)?, now)?;
        }
        Ok(())
    }
}
