//! Mail that goes on from here to other servers: under whose name, so that what is said of it comes back to whom it concerns.
//!
//! SPF asks whether a host may send for the domain of the envelope's sender, and this one may not for an author elsewhere. By the sender rewriting
//! scheme (SRS) the sender becomes an address of ours that holds the author's; what comes to that address goes on to him:
//!
//! ```text
//! ann@b.example             → SRS0=HASH=TT=b.example=ann@a.example        TT: the day, for it is good for some weeks
//! SRS0=H=T=b.example=ann@c.example → SRS1=HASH=c.example==H=T=b.example=ann@a.example   c.example knows its own addresses
//! ```

use crate::crypto::algorithm::DigestAlgorithm;
use crate::crypto::mac;
use crate::secret::Secret;
use crate::server::accounts::{Accounts, normal};
use crate::server::addressing::{Destination, candidates};
use crate::server::drive::now;
use crate::server::store::Error;
use crate::time::Timestamp;

/// Writes and reads senders of ours for authors elsewhere.
pub(in crate::server) struct Srs {
    key: Secret<Vec<u8>>,
}

/// Days for which a sender is good: bounces come within five, and people look at some only later.
const DAYS: i64 = 21;
/// Days that the two letters can tell apart.
const CYCLE: i64 = 1024;
/// Letters of the hash, 5 bits each: who guesses one in 2⁴⁰ may write to one address, once more than he may anyway.
const HASH: usize = 8;
/// RFC 5321 4.5.3.1.1: what is longer, large receivers refuse for good, whereas the author's own they may take: by its signature.
const LOCAL: usize = 64;
const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

impl Srs {
    /// With a secret that stays the same from one start to the next.
    pub(in crate::server) fn new(secret: &Secret<Vec<u8>>) -> Self {
        Self { key: Secret::new(mac::hmac(DigestAlgorithm::Sha256, secret.expose(), b"sender rewriting")) }
    }

    /// The sender at a domain of ours for an author elsewhere.
    pub(in crate::server) fn forward(&self, author: &str, ours: &str, at: Timestamp) -> String {
        let Some((local, domain)) = author.rsplit_once('@') else { return author.to_owned() };
        let domain = domain.to_lowercase();
        if let Some(rest) = tagged(local, "SRS0") {
            let held = format!("{domain}={rest}");
            return format!("SRS1={}={held}@{ours}", self.hash(&held));
        }
        if let Some((_, held)) = tagged(local, "SRS1").and_then(|rest| rest.get(1..)?.split_once('=')) {
            return format!("SRS1={}={held}@{ours}", self.hash(held));
        }
        let held = format!("{}={domain}={local}", day(at.unix().div_euclid(86_400)));
        format!("SRS0={}={held}@{ours}", self.hash(&held))
    }

    /// The author behind a local part of ours; none where it was not made here, or too long ago.
    pub(in crate::server) fn reverse(&self, local: &str, at: Timestamp) -> Option<String> {
        let one = tagged(local, "SRS1").and_then(|rest| rest.get(1..)?.split_once('='));
        if let Some((hash, held)) = one {
            let (host, rest) = held.split_once('=')?;
            return self.made(hash, held).then(|| format!("SRS0{rest}@{host}"));
        }
        let (hash, held) = tagged(local, "SRS0")?.get(1..)?.split_once('=')?;
        let (stamp, rest) = held.split_once('=')?;
        let (domain, author) = rest.split_once('=')?;
        let today = at.unix().div_euclid(86_400);
        // one of tomorrow is of a clock that was put back by some hours: what comes back to it must not be lost
        let is_young = (-1..=DAYS).any(|ago| stamp.eq_ignore_ascii_case(&day(today.saturating_sub(ago))));
        let is_good = is_young && !domain.is_empty() && !author.is_empty() && self.made(hash, held);
        is_good.then(|| format!("{author}@{domain}"))
    }

    fn made(&self, hash: &str, held: &str) -> bool {
        mac::equal(hash.to_ascii_uppercase().as_bytes(), self.hash(held).as_bytes())
    }

    /// Of what is compared without regard to case: servers on the way may change it.
    fn hash(&self, held: &str) -> String {
        let hash = mac::hmac(DigestAlgorithm::Sha256, self.key.expose(), held.to_lowercase().as_bytes());
        hash.iter().take(HASH).map(|byte| letter(i64::from(*byte))).collect()
    }
}

/// What follows the tag of a local part: one of the separators, and the rest.
fn tagged<'a>(local: &'a str, tag: &str) -> Option<&'a str> {
    let (start, rest) = local.split_at_checked(tag.len())?;
    (start.eq_ignore_ascii_case(tag) && rest.starts_with(['=', '+', '-'])).then_some(rest)
}

fn day(number: i64) -> String {
    let number = number.rem_euclid(CYCLE);
    [letter(number / 32), letter(number)].into_iter().collect()
}

fn letter(number: i64) -> char {
    let at = usize::try_from(number.rem_euclid(32)).unwrap_or_default();
    char::from(LETTERS.get(at).copied().unwrap_or(b'A'))
}

impl Accounts {
    /// The sender under which a message goes on from an address of ours to other servers: the owner of a list (`owner-LIST`), to whom bounces of
    /// its members are of use; else, where that is configured, an address of ours for an author elsewhere.
    pub(in crate::server) fn onward_sender(&self, address: &str, sender: &str, at: Timestamp) -> Result<String, Error> {
        let address = normal(address);
        let Some((_, domain)) = address.rsplit_once('@').filter(|_| !sender.is_empty()) else { return Ok(sender.to_owned()) };
        for candidate in candidates(&address).filter(|candidate| !candidate.starts_with('@')) {
            let owner = format!("owner-{candidate}");
            let is_list = !self.store().targets(&candidate)?.is_empty();
            if is_list && (self.mailbox(&owner)?.is_some() || !self.store().targets(&owner)?.is_empty()) {
                return Ok(owner);
            }
        }
        match self.srs() {
            Some(srs) if !self.is_ours(&normal(sender))? => {
                let under = srs.forward(sender, domain, at);
                let is_short = under.rsplit_once('@').is_some_and(|(local, _)| local.len() <= LOCAL);
                Ok(if is_short { under } else { sender.to_owned() })
            }
            _ => Ok(sender.to_owned()),
        }
    }

    /// Where an address leads that we made for an author elsewhere.
    pub(in crate::server) fn back(&self, address: &str) -> Result<Option<Destination>, Error> {
        let Some(srs) = self.srs() else { return Ok(None) };
        let Some((local, _)) = address.trim().rsplit_once('@') else { return Ok(None) };
        let Some(author) = srs.reverse(local, now()).filter(|_| self.is_ours(&normal(address)).unwrap_or(false)) else {
            return Ok(None);
        };
        Ok(Some(Destination::Ours { mailboxes: Vec::new(), elsewhere: vec![author] }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_780_000_000;

    fn srs(secret: &[u8]) -> Srs {
        Srs::new(&Secret::new(secret.to_vec()))
    }

    fn at(days: i64) -> Timestamp {
        Timestamp::from_unix(NOW + days * 86_400)
    }

    #[test]
    fn an_author_comes_back_from_the_sender_that_holds_him() {
        let srs = srs(b"secret");
        let sender = srs.forward("Ann.B+x=y@B.example", "a.example", at(0));
        let (local, domain) = sender.rsplit_once('@').expect("an address");
        assert!(local.starts_with("SRS0=") && local.ends_with("=b.example=Ann.B+x=y") && domain == "a.example", "{sender}");
        for (spelled, days) in [(local.to_owned(), 0), (local.to_lowercase(), 20), (local.to_uppercase(), 21)] {
            let author = srs.reverse(&spelled, at(days)).expect("known");
            assert!(author.eq_ignore_ascii_case("ann.b+x=y@b.example"), "{author}");
        }
    }

    #[test]
    fn what_was_not_made_here_or_long_ago_leads_nowhere() {
        let srs = srs(b"secret");
        let sender = srs.forward("ann@b.example", "a.example", at(0));
        let local = sender.strip_suffix("@a.example").expect("ours");
        assert_eq!(srs.reverse(local, at(22)), None, "too old");
        assert!(srs.reverse(local, at(-1)).is_some(), "of a clock that was ahead by some hours");
        assert_eq!(srs.reverse(local, at(-2)), None, "of a day to come");
        assert_eq!(srs.reverse(&local.replace("ann", "bob"), at(0)), None);
        assert_eq!(self::srs(b"other").reverse(local, at(0)), None);
        for local in ["SRS0", "SRS0=", "SRS0==", "SRS0=A=B=C", "SRS1=A=B=C", "SRS1==", "ann", "srs0=é"] {
            assert_eq!(srs.reverse(local, at(0)), None, "{local}");
        }
    }

    #[test]
    fn a_sender_that_was_rewritten_elsewhere_grows_once_and_no_more() {
        let (first, second, third) = (srs(b"1"), srs(b"2"), srs(b"3"));
        let one = first.forward("ann@b.example", "one.example", at(0));
        let two = second.forward(&one, "two.example", at(0));
        assert!(two.starts_with("SRS1=") && two.contains("=one.example=="), "{two}");
        let three = third.forward(&two, "three.example", at(0));
        assert_eq!(three.len() - "three".len(), two.len() - "two".len(), "{three}");
        let local = |sender: &str| sender.rsplit_once('@').expect("an address").0.to_owned();
        // what three gets goes to one, past two
        let back = third.reverse(&local(&three), at(0)).expect("made there");
        assert_eq!(back, one);
        assert_eq!(first.reverse(&local(&back), at(0)).as_deref(), Some("ann@b.example"));
    }
}
