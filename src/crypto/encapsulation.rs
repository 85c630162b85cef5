//! Encapsulated keys: a shared secret out of a ciphertext, a key derived from it, a content key unwrapped with that (RFC 9629, RFC 9936).

use crate::asn1::encode;
use crate::crypto::algorithm::{AlgorithmIdentifier, DigestAlgorithm, KeyWrap};
use crate::crypto::key::{PrivateKey, PrivateKind};
use crate::crypto::{Error, kdf, wrap};
use crate::secret::Secret;

/// How the key-encryption key is made of the shared secret.
#[derive(Debug, Clone, Copy)]
pub struct Derivation<'a> {
    /// The digest of the HKDF.
    pub digest: DigestAlgorithm,
    /// The wrap of the content key, as the message names it.
    pub wrap: &'a AlgorithmIdentifier,
    /// Bytes of the key-encryption key, as the message states them.
    pub kek_len: u64,
    /// The user keying material.
    pub ukm: Option<&'a [u8]>,
}

/// The shared secret of a ciphertext of ML-KEM (FIPS 203 7.3).
///
/// A ciphertext that was made for another key, or changed, gives another secret and no error (implicit rejection): what is unwrapped with
/// it fails as with any wrong key. Only one of the wrong length is refused.
pub fn decapsulate(with: &PrivateKey, ciphertext: &[u8]) -> Result<Secret<Vec<u8>>, Error> {
    let PrivateKind::MlKem(key) = with.kind() else {
        return Err(Error::KeyMismatch { what: "an encapsulated key needs an ML-KEM key" });
    };
    key.decapsulate(ciphertext).ok_or(Error::Malformed { what: "an encapsulated key of the wrong length" })
}

/// Unwraps a content key that is under an encapsulated one (RFC 9629 2).
pub fn unwrap(
    with: &PrivateKey,
    ciphertext: &[u8],
    derivation: &Derivation<'_>,
    encrypted_key: &[u8],
) -> Result<Secret<Vec<u8>>, Error> {
    let wrap = KeyWrap::from_identifier(derivation.wrap)?;
    // RFC 9629 3: the stated length MUST be that of the wrap
    if usize::try_from(derivation.kek_len) != Ok(wrap.key_len()) {
        return Err(Error::Malformed { what: "a key-encryption key of another length than its key wrap has" });
    }
    let shared = decapsulate(with, ciphertext)?;
    // RFC 9936 2.2.1: no salt
    let kek = kdf::hkdf(derivation.digest, shared.expose(), &[], &other_info(derivation), wrap.key_len());
    wrap::unwrap(wrap, kek.expose(), encrypted_key)
}

/// `CMSORIforKEMOtherInfo ::= SEQUENCE { wrap, kekLength INTEGER, ukm [0] EXPLICIT OCTET STRING OPTIONAL }` (RFC 9629 5)
fn other_info(derivation: &Derivation<'_>) -> Vec<u8> {
    let mut fields = vec![derivation.wrap.to_der(), encode::integer_u64(derivation.kek_len)];
    fields.extend(derivation.ukm.map(|ukm| encode::explicit(0, &encode::octet_string(ukm))));
    encode::sequence(&fields)
}
