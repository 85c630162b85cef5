//! Mail that no connection brings: files of the pickup folder. It is taken by the same rules, and who put it there may write to everybody.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::proto::smtp::{self, Addressee, Envelope, Hello, Path, Terms};
use crate::server::filter;
use crate::server::mail::{Mail, Peer};
use crate::server::queue::{self, Kind, Told};
use crate::server::spool::Incoming;
use crate::server::store::{Error, Queued};
use crate::time::Timestamp;

/// Where a message came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::server) struct Local {
    /// What Received says of it.
    pub(in crate::server) by: String,
    /// The name that the store keeps with the message.
    pub(in crate::server) taken: String,
}

/// A message to be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::server) struct Letter {
    /// The sender.
    pub(in crate::server) sender: Path,
    /// For whom it is; names without a domain are of this host.
    pub(in crate::server) recipients: Vec<Addressee>,
    /// What the sender asks of every server on the way.
    pub(in crate::server) terms: Terms,
    /// The message with CRLF line ends.
    pub(in crate::server) message: Vec<u8>,
}

/// Recipients of which senders heard already that they do not get a message, while that message waits for something else, by the name under
/// which it was taken: nobody hears it again each time that it is tried. A server that dies in between tells them once more.
#[derive(Debug, Clone, Default)]
pub(in crate::server) struct Heard(Arc<Mutex<HashMap<String, HashSet<String>>>>);

impl Heard {
    fn of(&self, taken: &str) -> HashSet<String> {
        self.locked().get(taken).cloned().unwrap_or_default()
    }

    fn add(&self, taken: &str, told: &[Told]) {
        self.locked().entry(taken.to_owned()).or_default().extend(told.iter().map(|told| told.to.address.clone()));
    }

    /// The message is kept, or never will be.
    pub(in crate::server) fn forget(&self, taken: &str) {
        self.locked().remove(taken);
    }

    fn locked(&self) -> MutexGuard<'_, HashMap<String, HashSet<String>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What became of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::server) enum Handed {
    /// It is on disk, or its sender was told why not.
    Taken,
    /// Not now.
    Later(String),
    /// Never, and there is nobody to tell.
    Refused(String),
}

impl Mail {
    /// Takes a message as if it came over a connection; its sender is told of recipients that do not exist.
    pub(in crate::server) fn hand_in(
        &self,
        letter: Letter,
        local: Local,
        heard: &Heard,
        now: Timestamp,
    ) -> Result<Handed, Error> {
        let taken = local.taken.clone();
        let Letter { sender, recipients, terms, message } = letter;
        let peer = Peer { address: IpAddr::V4(Ipv4Addr::LOCALHOST), tls: None, local: Some(local) };
        let mut envelope = Envelope {
            helo: self.hostname.clone(),
            hello: Hello::Plain,
            user: None,
            mechanism: None,
            sender,
            recipients: Vec::new(),
            is_secure: false,
            is_utf8: recipients.iter().any(|to| !to.address.is_ascii()),
            size: 0,
            terms,
        };
        let mut refused: Vec<Told> = Vec::new();
        if let smtp::Answer::Reject(code, enhanced, text) = self.sender(&envelope, &peer)? {
            return Ok(if code < 500 { Handed::Later(text) } else { Handed::Refused(format!("{code} {enhanced} {text}")) });
        }
        for to in recipients {
            match self.recipient(&envelope, &to, &peer)? {
                smtp::Answer::Reject(code, _, text) if code < 500 => return Ok(Handed::Later(text)),
                smtp::Answer::Reject(code, enhanced, text) => {
                    refused.push(Told { to, why: format!("{code} {enhanced} {text}"), server: String::new() });
                }
                _ => envelope.recipients.push(to),
            }
        }
        // who is told first is told twice where the power fails now, and not never
        let before = heard.of(&taken);
        let mut untold: Vec<Told> = refused.into_iter().filter(|told| !before.contains(&told.to.address)).collect();
        if !untold.is_empty() && self.tell_refused(&envelope, &untold, header_of(&message), now)? {
            heard.add(&taken, &untold);
            untold.clear();
        }
        let header = header_of(&message).to_vec();
        if !envelope.recipients.is_empty() {
            match self.message(&envelope, Incoming::of(message), &peer, now)?.wait() {
                smtp::Answer::Reject(code, _, text) if code < 500 => return Ok(Handed::Later(text)),
                smtp::Answer::Reject(code, enhanced, text) => {
                    let why = format!("{code} {enhanced} {text}");
                    let of = |to: &Addressee| Told { to: to.clone(), why: why.clone(), server: String::new() };
                    let refused: Vec<Told> = envelope.recipients.iter().map(of).collect();
                    if !self.tell_refused(&envelope, &refused, &header, now)? {
                        untold.extend(refused);
                    }
                }
                _ => {}
            }
        }
        if untold.is_empty() {
            return Ok(Handed::Taken);
        }
        let why: Vec<String> = untold.iter().map(|told| format!("{}: {}", told.to.address, told.why)).collect();
        Ok(Handed::Refused(why.join("\n")))
    }

    /// Tells the sender who did not get his message; whether there is anybody to tell, or nobody wants to hear it.
    fn tell_refused(&self, envelope: &Envelope, refused: &[Told], header: &[u8], now: Timestamp) -> Result<bool, Error> {
        let Path::Address(sender) = &envelope.sender else { return Ok(false) };
        let wanted: Vec<Told> = refused.iter().filter(|told| queue::is_wanted(Kind::Failed, &told.to.notify)).cloned().collect();
        if wanted.is_empty() {
            return Ok(true);
        }
        let places = filter::places(&self.accounts, sender)?;
        if places.0.is_empty() && places.1.is_empty() {
            return Ok(false);
        }
        let (sender, terms) = (sender.clone(), Terms { ret: String::new(), ..envelope.terms.clone() });
        let queued = Queued { id: 0, sender, created: now, terms, recipients: Vec::new() };
        let report = queue::report(&self.hostname, &queued, header, (Kind::Failed, &wanted), now);
        self.write_to(report, places, now)?;
        Ok(true)
    }

    /// The domain of names that are written without one: that of the host, or the one it serves mail for.
    pub(in crate::server) fn own_domain(&self) -> Result<String, Error> {
        let (hostname, domains) = (self.hostname.to_lowercase(), self.accounts.store().domains()?);
        let above = hostname.split_once('.').map_or("", |(_, above)| above);
        let fitting = [hostname.as_str(), above].into_iter().find(|name| domains.iter().any(|domain| domain == name));
        Ok(fitting.map(str::to_owned).or_else(|| domains.first().cloned()).unwrap_or(hostname))
    }
}

fn header_of(message: &[u8]) -> &[u8] {
    message.get(..memchr::memmem::find(message, b"\r\n\r\n").unwrap_or(message.len())).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use tokio::sync::Notify;

    use super::*;
    use crate::secret::Secret;
    use crate::server::accounts::tests::accounts;
    use crate::server::locks::Locks;
    use crate::server::scan::{Address, OnFailure, Scanner};

    #[test]
    fn a_sender_hears_once_of_a_recipient_while_his_message_waits() {
        let (_folder, accounts) = accounts();
        accounts.add_user("joe@a.example", &Secret::new(b"secret".to_vec())).expect("new");
        let store = Arc::clone(accounts.store());
        let mail = Mail::new("mail.a.example", accounts, Locks::default(), Arc::new(Notify::new()));
        // nobody is there, so that the message is taken later
        let address = Address::parse("unix:/nowhere/at/all").expect("an address");
        let mail = mail.scanners(vec![Scanner { address, on_failure: OnFailure::Tempfail }]);
        let heard = Heard::default();
        let hand_in = || {
            let letter = Letter {
                sender: Path::Address("joe@a.example".to_owned()),
                recipients: ["jane@a.example", "nobody@a.example"].map(|to| Addressee::from(to.to_owned())).to_vec(),
                terms: Terms::default(),
                message: b"From: joe@a.example\r\nSubject: x\r\n\r\nHi.\r\n".to_vec(),
            };
            let local = Local { by: "test".to_owned(), taken: ".taking-1".to_owned() };
            mail.hand_in(letter, local, &heard, Timestamp::from_unix(0)).expect("tried")
        };
        for _ in 0..3 {
            assert!(matches!(hand_in(), Handed::Later(_)));
        }
        assert_eq!(store.messages("joe@a.example").expect("read").len(), 1, "one report");
        assert_eq!(store.messages("jane@a.example").expect("read").len(), 0);
    }
}
