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
                    return Ok(Scan::Answer(reject(refusal.code, refusal.enhanced, &refusal.text)));
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

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::net::UnixListener;
    use std::sync::Arc;

    use tokio::sync::Notify;

    use super::*;
    use crate::proto::smtp::{Addressee, Path, Terms};
    use crate::server::accounts::tests::accounts;
    use crate::server::locks::Locks;
    use crate::server::mail::{Handed, Heard, Letter, Local, Patience};
    use crate::server::scan::{Address, Scanner};

    #[test]
    fn the_sender_hears_the_enhanced_code_that_a_scanner_gave() {
        let (folder, accounts) = accounts();
        let socket = folder.path().join("scanner");
        let listener = UnixListener::bind(&socket).expect("bound");
        let scanner = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("asked");
            // what it can (version 6, no changes, every stage answered), and a reply to the first stage
            stream.write_all(b"\0\0\0\x0dO\0\0\0\x06\0\0\0\0\0\0\0\0").expect("written");
            stream.write_all(b"\0\0\0\x16y554 5.7.9 not signed\0").expect("written");
            stream
        });
        let store = Arc::clone(accounts.store());
        let mail = Mail::new("mail.a.example", accounts, Locks::default(), Arc::new(Notify::new()));
        let address = Address::parse(&format!("unix:{}", socket.display())).expect("an address");
        let mail = mail.scanners(vec![Scanner { address, on_failure: OnFailure::Tempfail }]);
        let letter = Letter {
            sender: Path::Address("jane@a.example".to_owned()),
            recipients: vec![Addressee::from("jane@a.example".to_owned())],
            terms: Terms::default(),
            message: b"From: jane@a.example\r\nSubject: x\r\n\r\nHi.\r\n".to_vec(),
        };
        let local = Local { by: "test".to_owned(), taken: ".taking-1".to_owned(), patience: Patience::Left };
        let handed = mail.hand_in(letter, local, &Heard::default(), Timestamp::from_unix(0));
        drop(scanner.join());
        assert_eq!(handed, Ok(Handed::Taken));
        let report = String::from_utf8(store.message("jane@a.example", 1).expect("a report")).expect("text");
        assert!(report.contains("554 5.7.9 not signed"), "{report}");
    }
}
