//! A message is offered to the scanners of the configuration.

use std::borrow::Cow;

use crate::keys::files;
use crate::limits::Limits;
use crate::mime::compose;
use crate::proto::milter::{Decision, Offer};
use crate::proto::smtp::{self, Envelope};
use crate::server::mail::{Mail, Peer, disk, protocol, reject};
use crate::server::scan::{self, OnFailure, Scanned};
use crate::server::spool::Incoming;
use crate::server::store::Error;
use crate::time::Timestamp;

/// What scanners left of a message.
pub(in crate::server::mail) enum Scan {
    /// It goes on.
    Message(Scanned<'static>),
    /// The peer hears this, and it goes nowhere.
    Answer(smtp::Answer),
}

impl Mail {
    /// Asks every scanner; what one changes, the next sees, and is in the message afterwards.
    pub(in crate::server::mail) fn scan(
        &self,
        envelope: &Envelope,
        message: &mut Incoming,
        sender: String,
        peer: &Peer,
        now: Timestamp,
    ) -> Result<Scan, Error> {
        let recipients = envelope.recipients.iter().map(|recipient| recipient.address.clone()).collect();
        // a message is read where somebody looks at it
        if self.scanners.is_empty() {
            return Ok(Scan::Message(Scanned::new(&[], recipients, sender)));
        }
        let bytes = message.bytes().map_err(disk)?;
        let mut scanned = Scanned::new(&bytes, recipients, sender);
        let (id, name) = (id(), self.name(envelope, peer));
        for scanner in self.scanners.iter() {
            let limits = Limits::default();
            let Ok((fields, body)) = scan::taken_apart(&scanned.message, &limits) else {
                return Ok(Scan::Answer(reject(552, "5.3.4", "the header section is too large")));
            };
            let offer = Offer {
                hostname: self.hostname.clone(),
                peer: peer.address,
                name: name.clone(),
                port: 0,
                helo: envelope.helo.clone(),
                user: envelope.user.clone().zip(envelope.mechanism),
                tls: peer.tls.clone(),
                protocol: protocol(envelope),
                date: compose::date(now),
                sender: scanned.sender.clone(),
                recipients: scanned.recipients.clone(),
                fields,
                body,
                id: id.clone(),
            };
            let applied = scanner.offer(offer, &limits).and_then(|verdict| scanned.apply(verdict, &limits));
            self.tracer.metrics().scanned(match &applied {
                Ok(Decision::Accept) => "accept",
                Ok(Decision::Discard) => "discard",
                Ok(Decision::Refuse(_)) => "refuse",
                Err(_) => "failure",
            });
            match (applied, scanner.on_failure) {
                (Ok(Decision::Accept), _) => {}
                (Ok(Decision::Discard), _) => {
                    self.tracer.note(now, &format!("the scanner {scanner} discards a message of <{}>", scanned.sender));
                    return Ok(Scan::Answer(smtp::Answer::Accept));
                }
                (Ok(Decision::Refuse(refusal)), _) => {
                    let enhanced = if refusal.is_temporary() { "4.7.1" } else { "5.7.1" };
                    return Ok(Scan::Answer(reject(refusal.code, enhanced, &refusal.text)));
                }
                (Err(why), OnFailure::Accept) => self.tracer.warn(now, &format!("{why}; the message goes on without it")),
                (Err(why), OnFailure::Tempfail) => {
                    self.tracer.warn(now, &format!("{why}; the message waits"));
                    return Ok(Scan::Answer(reject(451, "4.7.1", "the message cannot be looked at now – try again later")));
                }
            }
        }
        let Scanned { message: new, recipients, added, sender, is_aside } = scanned;
        if let Cow::Owned(new) = new {
            *message = Incoming::of(new);
        }
        Ok(Scan::Message(Scanned { message: Cow::Borrowed(&[]), recipients, added, sender, is_aside }))
    }
}

/// A name for a message that is in no queue yet: scanners tell messages apart by it in their logs.
fn id() -> String {
    let mut bytes = [0; 8];
    files::random_name(&mut bytes);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
