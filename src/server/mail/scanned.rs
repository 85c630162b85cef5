//! A message is offered to the scanners of the configuration.

use std::net::IpAddr;

use crate::limits::Limits;
use crate::proto::milter::{Decision, Offer};
use crate::proto::smtp::{self, Envelope, Path};
use crate::server::mail::{Mail, reject};
use crate::server::scan::{self, OnFailure, Scanned};
use crate::server::store::Error;
use crate::time::Timestamp;

/// What scanners left of a message.
pub(in crate::server::mail) enum Scan<'m> {
    /// It goes on.
    Message(Scanned<'m>),
    /// The peer hears this, and it goes nowhere.
    Answer(smtp::Answer),
}

impl Mail {
    /// Asks every scanner; what one changes, the next sees.
    pub(in crate::server::mail) fn scan<'m>(
        &self,
        envelope: &Envelope,
        message: &'m [u8],
        peer: IpAddr,
        now: Timestamp,
    ) -> Result<Scan<'m>, Error> {
        let sender = match &envelope.sender {
            Path::Null => String::new(),
            Path::Address(address) => address.clone(),
        };
        let mut scanned = Scanned::new(message, envelope.recipients.clone(), sender);
        for scanner in self.scanners.iter() {
            let limits = Limits::default();
            let Ok((fields, body)) = scan::taken_apart(&scanned.message, &limits) else {
                return Ok(Scan::Answer(reject(552, "5.3.4", "the header section is too large")));
            };
            let offer = Offer {
                hostname: self.hostname.clone(),
                peer,
                port: 0,
                helo: envelope.helo.clone(),
                user: envelope.user.clone(),
                sender: scanned.sender.clone(),
                recipients: scanned.recipients.clone(),
                fields,
                body,
                id: format!("{:x}", now.unix()),
            };
            let applied = scanner.offer(offer, &limits).and_then(|verdict| scanned.apply(verdict, &limits));
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
                (Err(why), OnFailure::Accept) => self.tracer.note(now, &format!("{why}; the message goes on without it")),
                (Err(why), OnFailure::Tempfail) => {
                    self.tracer.note(now, &format!("{why}; the message waits"));
                    return Ok(Scan::Answer(reject(451, "4.7.1", "the message cannot be looked at now – try again later")));
                }
            }
        }
        Ok(Scan::Message(scanned))
    }
}
