//! The gate at the moments of a message: its sender, each recipient, its content; and logins.

use std::borrow::Cow;
use std::net::IpAddr;

use super::{Mail, Peer, disk};
use crate::proto::sasl::{self, Ended};
use crate::proto::smtp::{self, Addressee, Envelope};
use crate::server::clock::steady;
use crate::server::head::Head;
use crate::server::policy::{Judged, Login, Place, Refusal, Sends, author_domain};
use crate::server::spool::Incoming;
use crate::server::store::Error;
use crate::time::Timestamp;

/// At which point a verdict is asked for. Connections and greetings are judged with the sender: clients take a refusal there, and it names a
/// message.
#[derive(Debug)]
pub(super) enum Stage<'a> {
    Sender(&'a Envelope),
    Recipient(&'a Envelope, &'a Addressee, Place),
}

impl Mail {
    /// What the gate says: a refusal, or nothing.
    pub(super) fn verdict(&self, stage: &Stage<'_>, peer: &Peer) -> Option<smtp::Answer> {
        let now = steady();
        let (Stage::Sender(envelope) | Stage::Recipient(envelope, ..)) = stage;
        let sends = sends(envelope, peer);
        let told = self.gate.told(&sends, now);
        let refused = match stage {
            Stage::Sender(_) => self.gate.sender(&sends, &told, now),
            Stage::Recipient(_, recipient, place) => self.gate.recipient(&sends, &told, &recipient.address, *place, now),
        };
        refused.map(answer)
    }

    /// Whether what DNS tells of this peer is known already, or nobody asks.
    pub(super) fn is_told(&self, envelope: &Envelope, peer: &Peer) -> bool {
        self.gate.is_told(&sends(envelope, peer), steady())
    }

    /// A name of this peer that leads back to it, where the gate asks for it.
    pub(super) fn name(&self, envelope: &Envelope, peer: &Peer) -> Option<String> {
        // whoever has the zone writes anything into it, and scanners put the name into fields
        let is_host = |name: &&String| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte));
        self.gate.told(&sends(envelope, peer), steady()).names.iter().find(is_host).cloned()
    }

    /// Whether the gate reads what this peer sends, or signs it.
    pub(super) fn looks_into(&self, envelope: &Envelope, peer: &Peer) -> bool {
        let sends = sends(envelope, peer);
        self.gate.checks(&sends) || self.gate.is_inside(&sends) && self.gate.has_keys()
    }

    /// What the gate says of a message as it came: a refusal, or the fields that stand in front of it.
    pub(super) fn checked(&self, envelope: &Envelope, message: &mut Incoming, peer: &Peer) -> Result<Judged, Error> {
        let sends = sends(envelope, peer);
        // a message is read where somebody looks at it
        if !self.gate.checks(&sends) {
            return Ok(Judged::default());
        }
        Ok(self.gate.content(&sends, &envelope.helo, &message.bytes().map_err(disk)?))
    }

    /// Takes the fields that only this host may write out of a message, of which this is the start with its whole header section; gives what the
    /// start is then.
    pub(super) fn unforged(&self, start: Vec<u8>, message: &mut Incoming) -> Result<Vec<u8>, Error> {
        let Cow::Owned(clean) = self.gate.without_forged(&start) else { return Ok(start) };
        message.begin_with(&self.accounts.store().spool(), &clean, start.len()).map_err(disk)?;
        Ok(clean)
    }

    /// Whether mail to a recipient elsewhere is taken in this envelope.
    pub(super) fn relays(&self, envelope: &Envelope, peer: &Peer, recipient: &str) -> bool {
        self.gate.relays(&sends(envelope, peer), recipient)
    }

    /// The signatures of the author's domain, for what users and our networks send, behind the fields that stand in front; empty where it has no key.
    pub(super) fn signatures(
        &self,
        envelope: &Envelope,
        peer: &Peer,
        head: &Head,
        (front, message): (&str, &mut Incoming),
        now: Timestamp,
    ) -> Result<String, Error> {
        if !self.gate.is_inside(&sends(envelope, peer)) {
            return Ok(String::new());
        }
        match author_domain(head).filter(|domain| self.gate.signs(domain)) {
            Some(domain) => {
                let message = message.bytes().map_err(disk)?;
                self.gate.sign(&domain, (front.as_bytes(), &message), now).map_err(Error::Broken)
            }
            None => Ok(String::new()),
        }
    }

    /// Answers what an exchange asks, unless too many logins failed from there or for that name: then the password is not looked at.
    pub(in crate::server) fn login(&self, question: &sasl::Question, address: IpAddr) -> sasl::Answer {
        match self.gate.login(address, &self.accounts.login_name(question.name()), steady()) {
            // the connection stays: 421 would promise that it ends
            Some(refused) => sasl::Answer::Wait(refused.text),
            None => self.accounts.login(question).unwrap_or(sasl::Answer::Later),
        }
    }

    /// A login ended.
    pub(in crate::server) fn login_ended(&self, ended: &Ended, address: IpAddr, now: Timestamp) {
        let login = if ended.is_good { Login::Good } else { Login::Bad };
        if let Some(note) = self.gate.logged_in(address, &self.accounts.login_name(&ended.name), login, steady()) {
            self.tracer.note(now, &note);
        }
    }
}

fn sends<'a>(envelope: &'a Envelope, peer: &Peer) -> Sends<'a> {
    let sender = match &envelope.sender {
        smtp::Path::Null => "",
        smtp::Path::Address(address) => address,
    };
    Sends { address: peer.address, user: envelope.user.as_deref(), sender }
}

pub(super) fn answer(refusal: Refusal) -> smtp::Answer {
    smtp::Answer::Reject(refusal.code, refusal.enhanced.into(), refusal.text)
}
