//! Logins that were good a moment ago: a mail program that asks every minute, or with four connections at once, costs one hash.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::crypto::algorithm::DigestAlgorithm::Sha256;
use crate::crypto::random::Random as _;
use crate::crypto::{mac, random};
use crate::secret::Secret;

/// How long a login is good without another look: short enough that a password taken away in a directory, which we are not told of, is soon
/// without use.
const GOOD_FOR: Duration = Duration::from_secs(30);

/// Logins that are remembered, some hundred bytes each; then those that are over are dropped, or all.
const REMEMBERED: usize = 10_000;

/// What a login would have to be again: a keyed hash over the name, the password, and what it was checked against.
#[derive(PartialEq, Eq, Hash)]
pub(super) struct Proof(Vec<u8>);

/// The logins, under a key that no other start of the server has.
pub(super) struct Remembered {
    key: Secret<Vec<u8>>,
    logins: Mutex<HashMap<Proof, (String, Instant)>>,
}

impl Remembered {
    pub(super) fn new() -> Self {
        let mut key = Secret::new(vec![0; 32]);
        random::OsRandom.fill(key.expose_mut());
        Self { key, logins: Mutex::default() }
    }

    /// What this login looks like. Where the password is changed, what is kept of it is another, and so is this.
    pub(super) fn proof(&self, address: &str, kept: &Secret<String>, password: &Secret<Vec<u8>>) -> Proof {
        let mut all = Secret::new(Vec::with_capacity(512));
        for part in [address.as_bytes(), kept.expose().as_bytes(), password.expose()] {
            // with its length, so that no two lists are the same bytes
            all.expose_mut().extend_from_slice(&part.len().to_be_bytes());
            all.expose_mut().extend_from_slice(part);
        }
        Proof(mac::hmac(Sha256, self.key.expose(), all.expose()))
    }

    /// The user of a login that was good not long ago.
    pub(super) fn user(&self, proof: &Proof, now: Instant) -> Option<String> {
        let logins = self.logins.lock().unwrap_or_else(PoisonError::into_inner);
        logins.get(proof).filter(|(_, until)| now < *until).map(|(user, _)| user.clone())
    }

    /// Remembers a login that is good.
    pub(super) fn keep(&self, proof: Proof, user: &str, now: Instant) {
        let mut logins = self.logins.lock().unwrap_or_else(PoisonError::into_inner);
        if logins.len() >= REMEMBERED {
            logins.retain(|_, (_, until)| now < *until);
        }
        if logins.len() >= REMEMBERED {
            logins.clear();
        }
        logins.insert(proof, (user.to_owned(), now + GOOD_FOR));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_is_good_for_seconds_and_only_as_it_was() {
        let (remembered, now) = (Remembered::new(), Instant::now());
        let proof = |address: &str, kept: &str, password: &str| {
            remembered.proof(address, &Secret::new(kept.to_owned()), &Secret::new(password.as_bytes().to_vec()))
        };
        remembered.keep(proof("jane", "hash", "secret"), "jane@a.example", now);
        let user = |proof: Proof, at| remembered.user(&proof, at);
        assert_eq!(user(proof("jane", "hash", "secret"), now).as_deref(), Some("jane@a.example"));
        assert_eq!(user(proof("jane", "hash", "secret"), now + GOOD_FOR), None, "its time is over");
        assert_eq!(user(proof("jane", "another hash", "secret"), now), None, "the password was changed");
        assert_eq!(user(proof("jane", "hashs", "ecret"), now), None);
        assert_eq!(user(proof("jane", "hash", "Secret"), now), None);
        let other = Remembered::new();
        assert_ne!(proof("a", "b", "c").0, other.proof("a", &Secret::new("b".to_owned()), &Secret::new(b"c".to_vec())).0);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (remembered, now) = (Remembered::new(), Instant::now());
        for n in 0..=REMEMBERED {
            remembered.keep(Proof(n.to_be_bytes().to_vec()), "x", now);
        }
        assert!(remembered.logins.lock().expect("no panic").len() <= REMEMBERED);
    }
}
