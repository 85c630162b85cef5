//! Ephemeral-static key agreement: a shared secret, a key derived from it, a content key wrapped under that (RFC 5753, RFC 8418).

use zeroize::Zeroize;

use crate::asn1::encode;
use crate::crypto::algorithm::{AlgorithmIdentifier, KeyAgreement, KeyAlgorithm, Scheme};
use crate::crypto::key::{PrivateKey, PrivateKind, PublicKey, PublicKind};
use crate::crypto::provider::Provider;
use crate::crypto::random::Random;
use crate::crypto::{Error, external, kdf, mac, wrap};
use crate::secret::Secret;

/// The ephemeral key of one message and one kind of recipient.
#[derive(Debug)]
pub struct Ephemeral(PrivateKey);

impl Ephemeral {
    /// Makes one for recipients with keys of this kind.
    pub fn generate(algorithm: KeyAlgorithm, random: &mut dyn Random) -> Result<Self, Error> {
        if !algorithm.agrees() {
            return Err(Error::KeyMismatch { what: "key agreement needs an EC, X25519 or X448 key" });
        }
        PrivateKey::generate(algorithm, random).map(Self)
    }

    /// Its public key, which the recipients need.
    pub fn public_key(&self) -> &PublicKey {
        self.0.public_key()
    }

    /// Wraps a content key for one recipient.
    pub fn wrap(&self, to: &PublicKey, agreement: &KeyAgreement, ukm: Option<&[u8]>, key: &[u8]) -> Result<Vec<u8>, Error> {
        let shared = Provider::Fastest.shared_secret(&self.0, to)?;
        let kek = kek(&shared, agreement, &agreement.wrap.identifier(), ukm);
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
    let shared = Provider::Fastest.shared_secret(with, originator)?;
    let usual = agreement.wrap.identifier();
    let unwrap = |key_info: &AlgorithmIdentifier| {
        let kek = kek(&shared, agreement, key_info, ukm);
        wrap::unwrap(agreement.wrap, kek.expose(), encrypted_key)
    };
    unwrap(&usual).or_else(|error| {
        // some writers have NULL parameters where there should be none, or none where there should be NULL; the wrap tells which fits
        let parameters = if usual.parameters.is_none() { Some(encode::null()) } else { None };
        let unusual = AlgorithmIdentifier { oid: usual.oid, parameters };
        if matches!(error, Error::Unwrap) { unwrap(&unusual) } else { Err(error) }
    })
}

/// The key that wraps the content key.
fn kek(
    shared: &Secret<Vec<u8>>,
    agreement: &KeyAgreement,
    key_info: &AlgorithmIdentifier,
    ukm: Option<&[u8]>,
) -> Secret<Vec<u8>> {
    let len = agreement.wrap.key_len();
    let info = shared_info(key_info, len, ukm);
    match agreement.scheme {
        Scheme::Standard | Scheme::Cofactor => kdf::x963(agreement.kdf_digest, shared.expose(), &info, len),
        // RFC 8418 2.2: the salt is the user keying material, which is in the info, too
        Scheme::Hkdf => kdf::hkdf(agreement.kdf_digest, shared.expose(), ukm.unwrap_or_default(), &info, len),
    }
}

pub(in crate::crypto) fn shared_in_rust(own: &PrivateKey, theirs: &PublicKey) -> Result<Secret<Vec<u8>>, Error> {
    Ok(match (own.kind(), theirs.kind()) {
        (PrivateKind::External(own), _) => external::agree(own, theirs)?,
        (PrivateKind::P256(own), PublicKind::P256(theirs)) => Secret::new(own.diffie_hellman(theirs).raw_secret_bytes().to_vec()),
        (PrivateKind::P384(own), PublicKind::P384(theirs)) => Secret::new(own.diffie_hellman(theirs).raw_secret_bytes().to_vec()),
        (PrivateKind::P521(own), PublicKind::P521(theirs)) => Secret::new(own.diffie_hellman(theirs).raw_secret_bytes().to_vec()),
        (PrivateKind::BrainpoolP256(own), PublicKind::BrainpoolP256(theirs)) => {
            Secret::new(own.diffie_hellman(theirs).raw_secret_bytes().to_vec())
        }
        (PrivateKind::BrainpoolP384(own), PublicKind::BrainpoolP384(theirs)) => {
            Secret::new(own.diffie_hellman(theirs).raw_secret_bytes().to_vec())
        }
        (PrivateKind::X448(own), PublicKind::X448(theirs)) => {
            let shared = x448(own, theirs);
            // RFC 7748 6.2, as below
            if mac::equal(shared.expose(), &[0; 56]) {
                return Err(Error::Unwrap);
            }
            Secret::new(shared.expose().to_vec())
        }
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

/// X448 (RFC 7748 section 5): the scalar is made a multiple of 4 with its highest bit set.
pub(in crate::crypto) fn x448(scalar: &Secret<[u8; 56]>, u: &[u8; 56]) -> Secret<[u8; 56]> {
    use elliptic_curve::scalar::FromUintUnchecked;
    let mut clamped = scalar.clone();
    let [first, .., last] = clamped.expose_mut();
    *first &= 252;
    *last |= 128;
    let number = elliptic_curve::bigint::U448::from_le_slice(clamped.expose());
    let mut scalar = ed448_goldilocks::EdwardsScalar::from_uint_unchecked(number);
    let product = &ed448_goldilocks::MontgomeryPoint(*u) * &scalar;
    scalar.zeroize();
    Secret::new(product.0)
}

/// `ECC-CMS-SharedInfo ::= SEQUENCE { keyInfo AlgorithmIdentifier, entityUInfo [0] OCTET STRING OPTIONAL, suppPubInfo [2] OCTET STRING }`
/// (RFC 5753 7.2)
fn shared_info(key_info: &AlgorithmIdentifier, kek_len: usize, ukm: Option<&[u8]>) -> Vec<u8> {
    let bits = u32::try_from(kek_len.saturating_mul(8)).unwrap_or(0);
    let mut fields = vec![key_info.to_der()];
    if let Some(ukm) = ukm {
        fields.push(encode::explicit(0, &encode::octet_string(ukm)));
    }
    fields.push(encode::explicit(2, &encode::octet_string(&bits.to_be_bytes())));
    encode::sequence(&fields)
}
