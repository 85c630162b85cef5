//! Keys that lie elsewhere, on a token or a card: what is asked of them.

use std::fmt;
use std::sync::{Arc, OnceLock};

use super::PublicKey;
use crate::crypto::Error;
use crate::crypto::algorithm::DigestAlgorithm;
use crate::crypto::random::Random;
use crate::secret::Secret;

/// A private key that lies elsewhere and does not leave from there. [`PrivateKey::external`](super::PrivateKey::external) makes a private
/// key of it, which signs and decrypts like any other.
///
/// Only the operation with the private key is asked for; digests, encodings and key derivation are ours. [`Error::Unavailable`] says that
/// the key could not be asked, or does not do this.
pub trait ExternalKey: Send + Sync {
    /// Its public key.
    fn public_key(&self) -> &PublicKey;

    /// Signs. An ECDSA signature is r and s, each as long as the field, one after the other.
    fn sign(&self, what: ToSign<'_>) -> Result<Vec<u8>, Error>;

    /// Decrypts under PKCS#1 v1.5 (RFC 8017 7.2). Empty where the padding does not fit: an error would tell an attacker so.
    fn decrypt_pkcs1(&self, encrypted: &[u8]) -> Result<Secret<Vec<u8>>, Error>;

    /// Decrypts under OAEP (RFC 8017 7.1); [`Error::Unwrap`] where the padding does not fit.
    fn decrypt_oaep(&self, oaep: Oaep<'_>, encrypted: &[u8]) -> Result<Secret<Vec<u8>>, Error>;

    /// The bare private operation (RFC 8017 5.1.2): asked for where the key does not do an OAEP itself.
    fn decrypt_raw(&self, encrypted: &[u8]) -> Result<Secret<Vec<u8>>, Error>;

    /// The x coordinate that it and another key on the same curve have in common (RFC 5753 7.1).
    fn agree(&self, theirs: &PublicKey) -> Result<Secret<Vec<u8>>, Error>;
}

/// What a key that lies elsewhere is to sign.
#[derive(Debug, Clone, Copy)]
pub enum ToSign<'a> {
    /// The encoded DigestInfo, under PKCS#1 v1.5 (RFC 8017 9.2).
    Pkcs1(&'a [u8]),
    /// A digest, under PSS (RFC 8017 9.1).
    Pss {
        /// The digest's algorithm.
        digest: DigestAlgorithm,
        /// That of the mask.
        mgf_digest: DigestAlgorithm,
        /// Bytes of salt.
        salt_len: usize,
        /// The digest.
        hashed: &'a [u8],
    },
    /// A digest no longer than the field, by ECDSA (FIPS 186-5 6.4).
    Ecdsa(&'a [u8]),
    /// The message, by Ed25519 or Ed448 (RFC 8032).
    Message(&'a [u8]),
}

/// The parameters of OAEP.
#[derive(Debug, Clone, Copy)]
pub struct Oaep<'a> {
    /// The digest.
    pub digest: DigestAlgorithm,
    /// That of the mask.
    pub mgf_digest: DigestAlgorithm,
    /// The label, mostly empty.
    pub label: &'a [u8],
}

/// Why a key that lies elsewhere was not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Why {
    /// What reaches it is not there: no such module, or not built in.
    NoModule,
    /// The token, or the key on it, is not there.
    Missing,
    /// More than one is meant.
    Ambiguous,
    /// A PIN is needed and nobody gave one.
    PinNeeded,
    /// The PIN is wrong.
    WrongPin,
    /// The PIN is locked: too many wrong ones were given.
    Locked,
    /// The token went away meanwhile.
    Gone,
    /// The key does not do this.
    CannotDo,
    /// The token failed.
    Failed,
}

/// The refusal in words.
pub(in crate::crypto) fn stays() -> Error {
    let text = "the private key lies on a token and does not leave it".to_owned();
    Error::Unavailable { why: Why::CannotDo, text }
}

/// A key that lies elsewhere, as [`PrivateKind`](super::PrivateKind) holds it.
pub(in crate::crypto) struct External {
    key: Arc<dyn ExternalKey>,
    seed: OnceLock<Secret<[u8; 32]>>,
}

impl External {
    pub(super) fn new(key: Arc<dyn ExternalKey>) -> Self {
        Self { key, seed: OnceLock::new() }
    }

    /// The key.
    pub(in crate::crypto) fn key(&self) -> &dyn ExternalKey {
        &*self.key
    }

    /// What keys that stand for unfitting ones are derived from: that of a key at hand is the key itself; this one is drawn once a process.
    pub(in crate::crypto) fn seed(&self, random: &mut dyn Random) -> &Secret<[u8; 32]> {
        self.seed.get_or_init(|| {
            let mut seed = Secret::new([0; 32]);
            random.fill(seed.expose_mut());
            seed
        })
    }
}

impl fmt::Debug for External {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "External({})", self.key.public_key().algorithm())
    }
}
