//! What becomes of a message that filters looked at: what they send themselves, and where it is put.

use std::collections::BTreeSet;

use crate::server::filter::{self, Filtered};
use crate::server::mail::Mail;
use crate::server::store::{Body, Delivery, Error};
use crate::time::Timestamp;

impl Mail {
    /// Puts a message into mailboxes and into the queue; nothing is done where it goes nowhere.
    pub(in crate::server::mail) fn deliver(
        &self,
        message: Body,
        final_fields: Vec<u8>,
        (mailboxes, elsewhere): (Vec<String>, Vec<String>),
        sender: &str,
        at: Timestamp,
    ) -> Result<(), Error> {
        if mailboxes.is_empty() && elsewhere.is_empty() {
            return Ok(());
        }
        let is_for_others = !elsewhere.is_empty();
        let sender = sender.to_owned();
        self.accounts.store().deliver(Delivery { message, final_fields, mailboxes, sender, elsewhere, at })?;
        if is_for_others {
            self.queue.notify_one();
        }
        Ok(())
    }

    /// What scripts send themselves. It comes before the message is put into its places: a failure here makes the peer try again, and what
    /// was sent is sent twice; the other way round it would be lost.
    pub(in crate::server::mail) fn consequences(
        &self,
        filtered: &Filtered,
        message: &[u8],
        sender: &str,
        now: Timestamp,
    ) -> Result<(), Error> {
        let final_fields = format!("Return-Path: <{sender}>\r\n").into_bytes();
        for (user, addresses) in &filtered.redirects {
            let marked = [format!("{}: {user}\r\n", filter::REDIRECTED).as_bytes(), message].concat();
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
            let to = (mailboxes.into_iter().collect(), elsewhere.into_iter().collect());
            self.deliver(marked.into(), final_fields.clone(), to, sender, now)?;
        }
        let null = b"Return-Path: <>\r\n";
        for (user, reason) in filtered.refused.iter().filter(|_| !sender.is_empty()) {
            let told = filter::refusal(&self.hostname, user, sender, reason, now);
            self.deliver(told.into(), null.to_vec(), filter::places(&self.accounts, sender)?, "", now)?;
        }
        for (user, reply) in &filtered.replies {
            let id = format!("{}@{}", filter::unique(now), self.hostname);
            let written = reply.message(user, now, &id);
            if let Some(filters) = &self.filters {
                filters.answered(user, &reply.handle, &reply.to, reply.silent_until, now)?;
            }
            self.deliver(written.into(), null.to_vec(), filter::places(&self.accounts, &reply.to)?, "", now)?;
        }
        Ok(())
    }
}
