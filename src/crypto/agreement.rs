//! Ephemeral-static key agreement with X9.63 key derivation (RFC 5753, RFC 8418).

use crate::asn1::encode;
use crate::crypto::algorithm::{KeyAgreement, KeyAlgorithm};
use crate::crypto::key::{PrivateKey, PrivateKind, PublicKey, PublicKind};
use crate::crypto::provider::Provider;
use crate::crypto::random::Random;
use crate::crypto::{Error, kdf, wrap};
use crate::secret::Secret;

/// The ephemeral key of one message and one kind of recipient.
#[derive(Debug)]
pub struct Ephemeral(PrivateKey);

impl Ephemeral {
    /// Makes one for recipients with keys of this kind.
    pub fn generate(algorithm: KeyAlgorithm, random: &mut dyn Random) -> Result<Self, Error> {
        if matches!(algorithm, KeyAlgorithm::Rsa(_) | KeyAlgorithm::Ed25519) {
            return Err(Error::KeyMismatch { what: "key agreement needs an EC or X25519 key" });
        }
        PrivateKey::generate(algorithm, random).map(Self)
    }

    /// Its public key, which the recipients need.
    pub fn public_key(&self) -> &PublicKey {
        self.0.public_key()
    }

    /// Wraps a content key for one recipient.
    pub fn wrap(&self, to: &PublicKey, agreement: &KeyAgreement, ukm: Option<&[u8]>, key: &[u8]) -> Result<Vec<u8>, Error> {
        let kek = kek(&self.0, to, agreement, ukm)?;
        wrap::wrap(agreement.wrap, kek.expose(), key)
    }
}

/// Unwraps a content key with the recipient's private key and the originator's public key.
pub fn unwrap(
    with: &PrivateKey,
    originator: &PublicKey,
    agreement: &KeyAgreement,
    ukm: Option<&[u8]>,
    encrypted_key: &[u8],
) -> Result<Secret<Vec<u8>>, Error> {
    let kek = kek(with, originator, agreement, ukm)?;
    wrap::unwrap(agreement.wrap, kek.expose(), encrypted_key)
}

fn kek(own: &PrivateKey, theirs: &PublicKey, agreement: &KeyAgreement, ukm: Option<&[u8]>) -> Result<Secret<Vec<u8>>, Error> {
    let shared = Provider::Fastest.shared_secret(own, theirs)?;
    let info = shared_info(agreement, ukm);
    Ok(kdf::x963(agreement.kdf_digest, shared.expose(), &info, agreement.wrap.key_len()))
}

pub(in crate::crypto) fn shared_in_rust(own: &PrivateKey, theirs: &PublicKey) -> Result<Secret<Vec<u8>>, Error> {
    Ok(match (own.kind(), theirs.kind()) {
        (PrivateKind::P256(own), PublicKind::P256(theirs)) => Secret::new(own.diffie_hellman(theirs).raw_secret_bytes().to_vec()),
        (PrivateKind::P384(own), PublicKind::P384(theirs)) => Secret::new(own.diffie_hellman(theirs).raw_secret_bytes().to_vec()),
        (PrivateKind::P521(own), PublicKind::P521(theirs)) => Secret::new(own.diffie_hellman(theirs).raw_secret_bytes().to_vec()),
        (PrivateKind::X25519(own), PublicKind::X25519(theirs)) => {
            let shared = own.diffie_hellman(&x25519_dalek::PublicKey::from(*theirs));
            // RFC 7748 6.1: an all-zero secret comes from a point of small order
            if !shared.was_contributory() {
                return Err(Error::Unwrap);
            }
            Secret::new(shared.as_bytes().to_vec())
        }
        _ => return Err(Error::KeyMismatch { what: "the two keys are not on the same curve" }),
    })
}

/// `ECC-CMS-SharedInfo ::= SEQUENCE { keyInfo AlgorithmIdentifier, entityUInfo [0] OCTET STRING OPTIONAL, suppPubInfo [2] OCTET STRING }`
/// (RFC 5753 7.2)
fn shared_info(agreement: &KeyAgreement, ukm: Option<&[u8]>) -> Vec<u8> {
    let bits = u32::try_from(agreement.wrap.key_len().saturating_mul(8)).unwrap_or(0);
    let mut fields = vec![agreement.wrap.identifier().to_der()];
    if let Some(ukm) = ukm {
        fields.push(encode::explicit(0, &encode::octet_string(ukm)));
    }
    fields.push(encode::explicit(2, &encode::octet_string(&bits.to_be_bytes())));
    encode::sequence(&fields)
}
