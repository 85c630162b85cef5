//! The keys of `certs/`, and in whom they trust.

use sealpost::cms::Key;
use sealpost::crypto::key::PrivateKey;
use sealpost::keys::Identity;
use sealpost::limits::Limits;
use sealpost::pki::{self, Certificate};
use sealpost::secret::Secret;
use sealpost::smime::Trust;
use sealpost::time::Timestamp;

/// Who takes part.
pub struct Cast {
    /// Has an RSA key.
    pub alice: Identity,
    /// Has an RSA key.
    pub bob: Identity,
    /// Has a P-256 key.
    pub carol: Identity,
    /// The certificates of those who are at hand, and of their authority.
    pub known: Vec<Certificate>,
    /// Trust in the root, as of 2026-06-01.
    pub trust: Trust,
    /// A password that some messages are encrypted with.
    pub password: Secret<Vec<u8>>,
    /// A key-encryption key that some messages are encrypted with.
    pub kek: Secret<Vec<u8>>,
    /// The usual bounds; a key derivation ends within a blink.
    pub limits: Limits,
}

/// The moment for which the cast is judged.
pub const NOW: Timestamp = Timestamp::from_unix(1_780_272_000);

impl Cast {
    /// Loads it.
    pub fn load() -> Self {
        let alice = identity(include_bytes!("../../certs/alice.key"), include_bytes!("../../certs/alice.pem"));
        let bob = identity(include_bytes!("../../certs/bob.key"), include_bytes!("../../certs/bob.pem"));
        let carol = identity(include_bytes!("../../certs/carol.key"), include_bytes!("../../certs/carol.pem"));
        let issuing = certificate(include_bytes!("../../certs/issuing.pem"));
        let known = vec![issuing, alice.certificate().clone(), bob.certificate().clone(), carol.certificate().clone()];
        let root = certificate(include_bytes!("../../certs/root.pem"));
        let mut limits = Limits::default();
        limits.kdf_iterations = 3000;
        Self {
            alice,
            bob,
            carol,
            known,
            trust: Trust::new([root].into_iter().collect(), NOW),
            password: Secret::new(b"secret".to_vec()),
            kek: Secret::new(vec![7; 32]),
            limits,
        }
    }

    /// The keys that messages are opened with.
    pub fn keys(&self) -> Vec<Key<'_>> {
        vec![
            Key::Private { certificate: Some(self.bob.certificate()), key: self.bob.private_key() },
            Key::Private { certificate: Some(self.carol.certificate()), key: self.carol.private_key() },
            Key::Private { certificate: None, key: self.alice.private_key() },
            Key::Password(&self.password),
            Key::Kek(&self.kek),
        ]
    }
}

fn identity(key: &[u8], pem: &[u8]) -> Identity {
    let key = PrivateKey::from_any(key, None, &Limits::default()).expect("a key of the cast");
    Identity::new(key, certificate(pem), Vec::new()).expect("they go together")
}

fn certificate(pem: &[u8]) -> Certificate {
    pki::load::certificates(pem).expect("a certificate of the cast").remove(0)
}
