//! The authority with keys that lie elsewhere.

use std::sync::Arc;

use crate::asn1::Cursor;
use crate::ca::{Authority, Error, MailProfile};
use crate::crypto;
use crate::crypto::algorithm::{DigestAlgorithm, KeyAlgorithm, SignatureAlgorithm};
use crate::crypto::key::{ExternalKey, Oaep, PrivateKey, PublicKey, ToSign, Why};
use crate::crypto::random::OsRandom;
use crate::crypto::signature::{self, Input};
use crate::keys::Identity;
use crate::secret::Secret;
use crate::time::Timestamp;

/// What the stand-in for a token does.
enum Mood {
    /// Signs.
    Well,
    /// Signs with another key than it says.
    Wrong(PrivateKey),
    /// Was pulled out.
    Gone,
}

/// A P-256 key that stands elsewhere.
struct Elsewhere(PrivateKey, Mood);

impl ExternalKey for Elsewhere {
    fn public_key(&self) -> &PublicKey {
        self.0.public_key()
    }

    fn sign(&self, what: ToSign<'_>) -> Result<Vec<u8>, crypto::Error> {
        let ToSign::Ecdsa(hashed) = what else { return Err(absent(Why::CannotDo)) };
        let key = match &self.1 {
            Mood::Well => &self.0,
            Mood::Wrong(other) => other,
            Mood::Gone => return Err(absent(Why::Gone)),
        };
        let algorithm = SignatureAlgorithm::Ecdsa(DigestAlgorithm::Sha256);
        let der = signature::sign(key, algorithm, Input::Digest(hashed), &mut OsRandom)?;
        let mut numbers = Cursor::new(&der).sequence()?;
        let mut raw = Vec::new();
        for _ in 0..2 {
            let number: Vec<u8> = numbers.integer()?.iter().copied().skip_while(|byte| *byte == 0).collect();
            raw.extend(vec![0; 32 - number.len()]);
            raw.extend(number);
        }
        Ok(raw)
    }

    fn decrypt_pkcs1(&self, _encrypted: &[u8]) -> Result<Secret<Vec<u8>>, crypto::Error> {
        Err(absent(Why::CannotDo))
    }

    fn decrypt_oaep(&self, _oaep: Oaep<'_>, _encrypted: &[u8]) -> Result<Secret<Vec<u8>>, crypto::Error> {
        Err(absent(Why::CannotDo))
    }

    fn decrypt_raw(&self, _encrypted: &[u8]) -> Result<Secret<Vec<u8>>, crypto::Error> {
        Err(absent(Why::CannotDo))
    }

    fn agree(&self, _theirs: &PublicKey) -> Result<Secret<Vec<u8>>, crypto::Error> {
        Err(absent(Why::CannotDo))
    }
}

fn absent(why: Why) -> crypto::Error {
    crypto::Error::Unavailable { why, text: "it is a stand-in".to_owned() }
}

fn at() -> Timestamp {
    Timestamp::from_unix(1_780_272_000)
}

/// An authority whose issuing key lies elsewhere.
fn authority(mood: Mood) -> Authority {
    let made = Authority::create("Tokens", &["a.example"], KeyAlgorithm::P256, at(), &mut OsRandom).expect("made").0;
    let (issuing, servers) = (made.issuing_identity(), made.servers_identity().clone());
    let key = PrivateKey::external(Arc::new(Elsewhere(issuing.private_key().clone(), mood)));
    let issuing = Identity::new(key, issuing.certificate().clone(), issuing.chain().to_vec()).expect("they go together");
    Authority::from_parts(made.root().clone(), issuing, servers, made.base_url().to_owned())
}

fn issue(authority: &Authority) -> Result<crate::pki::Certificate, Error> {
    let profile = MailProfile::new("jane@a.example").days(30);
    let jane = PrivateKey::generate(KeyAlgorithm::P256, &mut OsRandom).expect("a key");
    authority.issue(&profile, jane.public_key(), at(), &mut OsRandom)
}

#[test]
fn issues_with_a_key_that_lies_elsewhere() {
    let authority = authority(Mood::Well);
    assert!(authority.issuing_identity().private_key().is_external());
    let certificate = issue(&authority).expect("issued");
    let issuing = authority.issuing().public_key().expect("a key");
    certificate.verify_signature(&issuing).expect("it fits");
}

#[test]
fn a_certificate_signed_by_another_key_does_not_leave() {
    let other = PrivateKey::generate(KeyAlgorithm::P256, &mut OsRandom).expect("a key");
    let refused = issue(&authority(Mood::Wrong(other))).expect_err("refused");
    assert!(matches!(refused, Error::Crypto(crypto::Error::Unavailable { why: Why::Failed, .. })), "{refused}");
    assert!(refused.to_string().contains("does not fit the certificate"), "{refused}");
}

#[test]
fn a_token_that_went_away_is_told_as_such() {
    let refused = issue(&authority(Mood::Gone)).expect_err("refused");
    assert!(matches!(refused, Error::Crypto(crypto::Error::Unavailable { why: Why::Gone, .. })), "{refused}");
}

#[test]
fn a_key_that_lies_elsewhere_is_not_written() {
    let key = authority(Mood::Well).issuing_identity().private_key().clone();
    let passphrase = Secret::new(b"secret".to_vec());
    for refused in [key.to_pkcs8().err(), key.to_encrypted_pkcs8(&passphrase, &mut OsRandom).err()] {
        let refused = refused.expect("refused").to_string();
        assert_eq!(refused, "the private key lies on a token and does not leave it");
    }
}
