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
    /// Whether recipients may wait.
    pub(in crate::server) patience: Patience,
}

/// Whether who cannot get a message now may get it later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::server) enum Patience {
    /// He waits, and the others have it meanwhile.
    Left,
    /// He waited long enough: the sender is told that he does not get it.
    Over,
}

/// The name that the store keeps with a message that only some of its recipients have yet: who they are stands behind that of its file, which
/// holds no `/`.
pub(in crate::server) fn partly(taken: &str, recipients: &[Addressee]) -> String {
    let addresses: Vec<&str> = recipients.iter().map(|to| to.address.as_str()).collect();
    format!("{taken}/{}", addresses.join("\n"))
}

/// Reads what [`partly`] wrote: the name of the file, and who has the message.
pub(in crate::server) fn parts(name: &str) -> Option<(&str, impl Iterator<Item = &str>)> {
    name.split_once('/').map(|(file, addresses)| (file, addresses.split('\n')))
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
    /// Not now, or not for all of them.
    Later(String),
    /// Never, and there is nobody to tell.
    Refused(String),
}

impl Mail {
    /// Takes a message as if it came over a connection; its sender is told of recipients that do not exist. Who cannot get it now holds up nobody
    /// else: the store knows then who has it, by the name that [`partly`] makes.
    pub(in crate::server) fn hand_in(
        &self,
        letter: Letter,
        local: Local,
        heard: &Heard,
        now: Timestamp,
    ) -> Result<Handed, Error> {
        let (taken, patience) = (local.taken.clone(), local.patience);
        let Letter { sender, recipients, terms, message } = letter;
        let mut peer = Peer { address: IpAddr::V4(Ipv4Addr::LOCALHOST), tls: None, local: Some(local) };
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
        // who is told first is told twice where the power fails now, and not never
        let before = heard.of(&taken);
        let mut waiting: Vec<String> = Vec::new();
        for to in recipients.into_iter().filter(|to| !before.contains(&to.address)) {
            match self.recipient(&envelope, &to, &peer)? {
                smtp::Answer::Reject(code, _, text) if code < 500 && patience == Patience::Left => {
                    waiting.push(naming(&to.address, &text));
                }
                smtp::Answer::Reject(code, enhanced, text) => {
                    refused.push(Told { to, why: format!("{code} {enhanced} {text}"), server: String::new() });
                }
                _ => envelope.recipients.push(to),
            }
        }
        let mut untold = refused;
        if !untold.is_empty() && self.tell_refused((&envelope.sender, &envelope.terms), &untold, header_of(&message), now)? {
            heard.add(&taken, &untold);
            untold.clear();
        }
        let header = header_of(&message).to_vec();
        if !envelope.recipients.is_empty() {
            if let Some(local) = peer.local.as_mut().filter(|_| !waiting.is_empty()) {
                local.taken = partly(&taken, &envelope.recipients);
            }
            match self.message(&envelope, Incoming::of(message), &peer, now)?.wait() {
                smtp::Answer::Reject(code, _, text) if code < 500 => return Ok(Handed::Later(text)),
                smtp::Answer::Reject(code, enhanced, text) => {
                    let why = format!("{code} {enhanced} {text}");
                    let of = |to: &Addressee| Told { to: to.clone(), why: why.clone(), server: String::new() };
                    let refused: Vec<Told> = envelope.recipients.iter().map(of).collect();
                    if self.tell_refused((&envelope.sender, &envelope.terms), &refused, &header, now)? {
                        heard.add(&taken, &refused);
                    } else {
                        untold.extend(refused);
                    }
                }
                _ => {}
            }
        }
        if !waiting.is_empty() {
            return Ok(Handed::Later(waiting.join("; ")));
        }
        if untold.is_empty() {
            return Ok(Handed::Taken);
        }
        let why: Vec<String> = untold.iter().map(|told| naming(&told.to.address, &told.why)).collect();
        Ok(Handed::Refused(why.join("\n")))
    }

    /// Tells the sender of a letter once that nobody gets it, where there is anybody to tell.
    pub(in crate::server) fn tell_bad(
        &self,
        letter: Letter,
        (taken, heard): (&str, &Heard),
        why: &str,
        now: Timestamp,
    ) -> Result<(), Error> {
        let Letter { sender, recipients, terms, message } = letter;
        let before = heard.of(taken);
        let others = recipients.into_iter().filter(|to| !before.contains(&to.address));
        let refused: Vec<Told> = others.map(|to| Told { to, why: why.to_owned(), server: String::new() }).collect();
        if !refused.is_empty() && self.tell_refused((&sender, &terms), &refused, &message, now)? {
            heard.add(taken, &refused);
        }
        Ok(())
    }

    /// Tells the sender who did not get his message; whether there is anybody to tell, or nobody wants to hear it.
    fn tell_refused(
        &self,
        (sender, terms): (&Path, &Terms),
        refused: &[Told],
        header: &[u8],
        now: Timestamp,
    ) -> Result<bool, Error> {
        let Path::Address(sender) = sender else { return Ok(false) };
        let wanted: Vec<Told> = refused.iter().filter(|told| queue::is_wanted(Kind::Failed, &told.to.notify)).cloned().collect();
        if wanted.is_empty() {
            return Ok(true);
        }
        let places = filter::places(&self.accounts, sender)?;
        if places.0.is_empty() && places.1.is_empty() {
            return Ok(false);
        }
        let (sender, terms) = (sender.clone(), Terms { ret: String::new(), ..terms.clone() });
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

/// Why a recipient does not get it, with who he is, once. Refusals of ours name him at their end; what stands elsewhere in a text may be a part
/// of another address, or a word (a recipient is named `full` where he is of this host).
fn naming(address: &str, why: &str) -> String {
    let is_named = why.strip_suffix(address).is_some_and(|front| front.ends_with(" – "));
    if is_named { why.to_owned() } else { format!("{address}: {why}") }
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
    fn a_recipient_is_named_once_whatever_else_looks_like_him() {
        for (address, why, told) in [
            ("ann@a.example", "no such user – ann@a.example", "no such user – ann@a.example"),
            ("full", "the mailbox is full – full", "the mailbox is full – full"),
            ("n@a.example", "no such user – ann@a.example", "n@a.example: no such user – ann@a.example"),
            ("ann@a.example", "ann@a.example.org may not", "ann@a.example: ann@a.example.org may not"),
            ("full", "the disk is full", "full: the disk is full"),
        ] {
            assert_eq!(naming(address, why), told);
        }
    }

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
            let local = Local { by: "test".to_owned(), taken: ".taking-1".to_owned(), patience: Patience::Left };
            mail.hand_in(letter, local, &heard, Timestamp::from_unix(0)).expect("tried")
        };
        for _ in 0..3 {
            assert!(matches!(hand_in(), Handed::Later(_)));
        }
        assert_eq!(store.messages("joe@a.example").expect("read").len(), 1, "one report");
        assert_eq!(store.messages("jane@a.example").expect("read").len(), 0);
    }

    #[test]
    fn a_quota_counts_the_fields_that_delivery_adds() {
        let (_folder, accounts) = accounts();
        accounts.add_user("joe@a.example", &Secret::new(b"secret".to_vec())).expect("new");
        let store = Arc::clone(accounts.store());
        let mail = Mail::new("mail.a.example", accounts, Locks::default(), Arc::new(Notify::new()));
        let message = b"From: jane@a.example\r\nSubject: x\r\n\r\nHi.\r\n";
        // with NOTIFY=SUCCESS the answer waits for the disk
        let hand_in = |notify: &str| {
            let to = Addressee { notify: notify.to_owned(), ..Addressee::from("joe@a.example".to_owned()) };
            let (sender, recipients) = (Path::Address("jane@a.example".to_owned()), vec![to]);
            let letter = Letter { sender, recipients, terms: Terms::default(), message: message.to_vec() };
            let taken = format!(".taking-{}", filter::unique(Timestamp::from_unix(0)));
            let local = Local { by: "test".to_owned(), taken, patience: Patience::Left };
            mail.hand_in(letter, local, &Heard::default(), Timestamp::from_unix(0)).expect("tried")
        };
        let held = || store.messages("joe@a.example").expect("read").iter().map(|message| message.size).collect::<Vec<_>>();
        assert_eq!(hand_in("FAILURE"), Handed::Taken);
        let size = held().into_iter().sum::<u64>();
        assert!(size > message.len() as u64 + 100, "there are some");
        for (quota, notify, count) in [
            (2 * size - 1, "FAILURE", 1),
            (2 * size - 1, "SUCCESS,FAILURE", 1),
            (2 * size, "FAILURE", 2),
            (3 * size - 1, "FAILURE", 2),
            (3 * size, "SUCCESS,FAILURE", 3),
        ] {
            store.set_quota("joe@a.example", quota).expect("set");
            assert_eq!(hand_in(notify), Handed::Taken, "or Jane is told");
            assert_eq!(held(), vec![size; count], "{quota}");
        }
    }

    #[test]
    fn who_cannot_get_a_message_now_holds_up_nobody_and_is_given_up_when_patience_is_over() {
        let (_folder, accounts) = accounts();
        accounts.add_user("joe@a.example", &Secret::new(b"secret".to_vec())).expect("new");
        accounts.add_user("full@a.example", &Secret::new(b"secret".to_vec())).expect("new");
        let store = Arc::clone(accounts.store());
        let mail = Mail::new("mail.a.example", accounts, Locks::default(), Arc::new(Notify::new()));
        let heard = Heard::default();
        let hand_in = |recipients: &[&str], taken: &str, patience| {
            let letter = Letter {
                sender: Path::Address("jane@a.example".to_owned()),
                recipients: recipients.iter().map(|to| Addressee::from((*to).to_owned())).collect(),
                terms: Terms::default(),
                message: b"From: jane@a.example\r\nSubject: x\r\n\r\nHi.\r\n".to_vec(),
            };
            let local = Local { by: "test".to_owned(), taken: taken.to_owned(), patience };
            mail.hand_in(letter, local, &heard, Timestamp::from_unix(0)).expect("tried")
        };
        let held = |user: &str| store.messages(user).expect("read").len();
        assert_eq!(hand_in(&["full@a.example"], ".taking-0", Patience::Left), Handed::Taken);
        store.set_quota("full@a.example", 1).expect("set");
        let both = ["full@a.example", "joe@a.example"];
        let Handed::Later(why) = hand_in(&both, ".taking-1", Patience::Left) else { panic!("one of them waits") };
        assert_eq!(why, "the mailbox is full – full@a.example");
        assert_eq!((held("joe@a.example"), held("full@a.example"), held("jane@a.example")), (1, 1, 0));
        let names = store.taken().expect("read");
        let told: Vec<_> =
            names.iter().filter_map(|name| parts(name)).map(|(file, who)| (file, who.collect::<Vec<_>>())).collect();
        assert_eq!(told, [(".taking-1", vec!["joe@a.example"])], "what the store knows after a crash");
        // the sender hears of the one that is left
        assert_eq!(hand_in(&both[..1], ".taking-1", Patience::Over), Handed::Taken);
        assert_eq!((held("joe@a.example"), held("full@a.example"), held("jane@a.example")), (1, 1, 1));
    }
}
