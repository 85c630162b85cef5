//! Signatures: made and checked.

use rsa::pkcs1v15::Pkcs1v15Sign;
use rsa::pss::Pss;
use signature::Signer;
use signature::hazmat::{PrehashVerifier, RandomizedPrehashSigner};

use crate::crypto::algorithm::{DigestAlgorithm, SignatureAlgorithm};
use crate::crypto::key::{PrivateKey, PrivateKind, PublicKey, PublicKind};
use crate::crypto::provider::Provider;
use crate::crypto::random::{Adapter, Random};
use crate::crypto::{Error, digest, external, post_quantum, pss};

/// What a signature is over.
#[derive(Debug, Clone, Copy)]
pub enum Input<'a> {
    /// The message itself.
    Message(&'a [u8]),
    /// The digest of a message that is too large to hold. Not for Ed25519, Ed448 and post-quantum signatures, which are over messages.
    Digest(&'a [u8]),
}

impl Input<'_> {
    pub(in crate::crypto) fn hashed(&self, algorithm: DigestAlgorithm) -> Result<Vec<u8>, Error> {
        match self {
            Self::Message(message) => Ok(digest::of(algorithm, message)),
            Self::Digest(digest) if digest.len() == algorithm.output_len() => Ok(digest.to_vec()),
            Self::Digest(_) => Err(Error::Malformed { what: "a digest of the wrong length" }),
        }
    }
}

/// Signs.
pub fn sign(
    key: &PrivateKey,
    algorithm: SignatureAlgorithm,
    input: Input<'_>,
    random: &mut dyn Random,
) -> Result<Vec<u8>, Error> {
    key.public_key().refuse_other_uses(algorithm)?;
    Provider::for_random(random).sign(key, algorithm, input, random)
}

/// Checks a signature; [`Error::SignatureInvalid`] where it does not fit, [`Error::KeyMismatch`] where the key is not for such.
pub fn verify(key: &PublicKey, algorithm: SignatureAlgorithm, input: Input<'_>, signature: &[u8]) -> Result<(), Error> {
    key.refuse_other_uses(algorithm)?;
    Provider::Fastest.verify(key, algorithm, input, signature)
}

/// Checks a signature of ML-DSA or SLH-DSA that was made in a context (FIPS 204 5.3, FIPS 205 10.3); certificates and CMS have none.
pub fn verify_in_context(
    key: &PublicKey,
    algorithm: SignatureAlgorithm,
    context: &[u8],
    message: &[u8],
    signature: &[u8],
) -> Result<(), Error> {
    let signed = post_quantum::Signed { context, message };
    match (key.kind(), algorithm) {
        (PublicKind::MlDsa(set), SignatureAlgorithm::MlDsa(wanted)) if *set == wanted => {
            post_quantum::verify_ml_dsa(wanted, key.key_bits(), signed, signature)
        }
        (PublicKind::SlhDsa(set), SignatureAlgorithm::SlhDsa(wanted)) if *set == wanted => {
            post_quantum::verify_slh_dsa(wanted, key.key_bits(), signed, signature)
        }
        _ => Err(Error::KeyMismatch { what: "the signature algorithm does not go with the key" }),
    }
}

pub(in crate::crypto) fn sign_in_rust(
    key: &PrivateKey,
    algorithm: SignatureAlgorithm,
    input: Input<'_>,
    random: &mut dyn Random,
) -> Result<Vec<u8>, Error> {
    use SignatureAlgorithm::Ecdsa;
    let mut source = Adapter(random);
    let failed = |_| Error::Malformed { what: "the key is too small for the signature" };
    macro_rules! ecdsa {
        ($curve:ty, $least:literal, $key:expr, $hashed:expr) => {{
            let key = ecdsa::SigningKey::<$curve>::from($key);
            let signed: Result<ecdsa::der::Signature<$curve>, _> =
                key.sign_prehash_with_rng(&mut source, &widened($hashed, $least));
            signed.map(|s| s.as_bytes().to_vec()).map_err(|_| Error::Malformed { what: "the signature cannot be made" })
        }};
    }
    match (key.kind(), algorithm) {
        (PrivateKind::External(key), _) => external::sign(key, algorithm, input),
        (PrivateKind::Rsa(key), SignatureAlgorithm::RsaPkcs1(digest)) => {
            key.ready()?.sign_with_rng(&mut source, pkcs1(digest)?, &input.hashed(digest)?).map_err(failed)
        }
        (PrivateKind::Rsa(key), SignatureAlgorithm::RsaPss { digest, mgf_digest, salt_len }) => {
            if digest != mgf_digest {
                return Err(Error::Unsupported { what: "PSS", name: "two different digests".to_owned() });
            }
            sign_pss(key.ready()?, digest, salt_len, &input.hashed(digest)?, &mut source)
        }
        (PrivateKind::P256(key), Ecdsa(digest)) => ecdsa!(p256::NistP256, 16, key, input.hashed(digest)?),
        (PrivateKind::P384(key), Ecdsa(digest)) => ecdsa!(p384::NistP384, 24, key, input.hashed(digest)?),
        (PrivateKind::P521(key), Ecdsa(digest)) => ecdsa!(p521::NistP521, 33, key, input.hashed(digest)?),
        (PrivateKind::BrainpoolP256(key), Ecdsa(digest)) => ecdsa!(bp256::BrainpoolP256r1, 16, key, input.hashed(digest)?),
        (PrivateKind::BrainpoolP384(key), Ecdsa(digest)) => ecdsa!(bp384::BrainpoolP384r1, 24, key, input.hashed(digest)?),
        (PrivateKind::Ed25519(key), SignatureAlgorithm::Ed25519) => match input {
            Input::Message(message) => Ok(key.sign(message).to_bytes().to_vec()),
            Input::Digest(_) => Err(no_prehash()),
        },
        (PrivateKind::Ed448(key), SignatureAlgorithm::Ed448) => match input {
            Input::Message(message) => Ok(key.sign_raw(message).to_bytes().to_vec()),
            Input::Digest(_) => Err(no_prehash()),
        },
        _ => Err(Error::KeyMismatch { what: "the signature algorithm does not go with the key" }),
    }
}

pub(in crate::crypto) fn verify_in_rust(
    key: &PublicKey,
    algorithm: SignatureAlgorithm,
    input: Input<'_>,
    signature: &[u8],
) -> Result<(), Error> {
    use SignatureAlgorithm::Ecdsa;
    let invalid = |_| Error::SignatureInvalid;
    // one code for all curves; a function would have to spell out what their types promise
    macro_rules! ecdsa {
        ($curve:ty, $least:literal, $key:expr, $hashed:expr, $signature:expr) => {{
            let signature = ecdsa::der::Signature::<$curve>::try_from($signature).map_err(|_| Error::SignatureInvalid)?;
            let checked = ecdsa::VerifyingKey::<$curve>::from($key).verify_prehash(&widened($hashed, $least), &signature);
            checked.map_err(|_| Error::SignatureInvalid)
        }};
    }
    match (key.kind(), algorithm) {
        (PublicKind::Rsa(key), SignatureAlgorithm::RsaPkcs1(digest)) => {
            key.ready()?.verify(pkcs1(digest)?, &input.hashed(digest)?, signature).map_err(invalid)
        }
        (PublicKind::Rsa(key), SignatureAlgorithm::RsaPss { digest, mgf_digest, salt_len }) => {
            pss::verify(key.ready()?, (digest, mgf_digest, salt_len), &input.hashed(digest)?, signature)
        }
        (PublicKind::P256(key), Ecdsa(digest)) => ecdsa!(p256::NistP256, 16, key, input.hashed(digest)?, signature),
        (PublicKind::P384(key), Ecdsa(digest)) => ecdsa!(p384::NistP384, 24, key, input.hashed(digest)?, signature),
        (PublicKind::P521(key), Ecdsa(digest)) => ecdsa!(p521::NistP521, 33, key, input.hashed(digest)?, signature),
        (PublicKind::BrainpoolP256(key), Ecdsa(digest)) => {
            ecdsa!(bp256::BrainpoolP256r1, 16, key, input.hashed(digest)?, signature)
        }
        (PublicKind::BrainpoolP384(key), Ecdsa(digest)) => {
            ecdsa!(bp384::BrainpoolP384r1, 24, key, input.hashed(digest)?, signature)
        }
        (PublicKind::Ed448(key), SignatureAlgorithm::Ed448) => {
            let Input::Message(message) = input else { return Err(no_prehash()) };
            let signature = ed448_goldilocks::Signature::try_from(signature).map_err(|_| Error::SignatureInvalid)?;
            key.verify_raw(&signature, message).map_err(|_| Error::SignatureInvalid)
        }
        (PublicKind::Dsa(key), SignatureAlgorithm::Dsa(digest)) => {
            let signature = dsa::Signature::try_from(signature).map_err(|_| Error::SignatureInvalid)?;
            key.verify_prehash(&input.hashed(digest)?, &signature).map_err(|_| Error::SignatureInvalid)
        }
        (PublicKind::Ed25519(key), SignatureAlgorithm::Ed25519) => {
            let Input::Message(message) = input else { return Err(no_prehash()) };
            let signature = ed25519_dalek::Signature::from_slice(signature).map_err(|_| Error::SignatureInvalid)?;
            key.verify_strict(message, &signature).map_err(|_| Error::SignatureInvalid)
        }
        (PublicKind::MlDsa(_) | PublicKind::SlhDsa(_), SignatureAlgorithm::MlDsa(_) | SignatureAlgorithm::SlhDsa(_)) => {
            let Input::Message(message) = input else { return Err(no_prehash()) };
            verify_in_context(key, algorithm, &[], message, signature)
        }
        _ => Err(Error::KeyMismatch { what: "the signature algorithm does not go with the key" }),
    }
}

/// The crates refuse digests shorter than half the field; a digest is a number, so zeros before it change nothing.
fn widened(hashed: Vec<u8>, least: usize) -> Vec<u8> {
    if hashed.len() >= least {
        return hashed;
    }
    let mut wide = vec![0; least - hashed.len()];
    wide.extend_from_slice(&hashed);
    wide
}

pub(in crate::crypto) fn no_prehash() -> Error {
    Error::Unsupported { what: "signature", name: "over a digest; this algorithm signs messages".to_owned() }
}

fn pkcs1(digest: DigestAlgorithm) -> Result<Pkcs1v15Sign, Error> {
    Ok(match digest {
        DigestAlgorithm::Sha1 => Pkcs1v15Sign::new::<sha1::Sha1>(),
        DigestAlgorithm::Sha224 => Pkcs1v15Sign::new::<sha2::Sha224>(),
        DigestAlgorithm::Sha256 => Pkcs1v15Sign::new::<sha2::Sha256>(),
        DigestAlgorithm::Sha384 => Pkcs1v15Sign::new::<sha2::Sha384>(),
        DigestAlgorithm::Sha512 => Pkcs1v15Sign::new::<sha2::Sha512>(),
        DigestAlgorithm::Sha3_224 => Pkcs1v15Sign::new::<sha3::Sha3_224>(),
        DigestAlgorithm::Sha3_256 => Pkcs1v15Sign::new::<sha3::Sha3_256>(),
        DigestAlgorithm::Sha3_384 => Pkcs1v15Sign::new::<sha3::Sha3_384>(),
        DigestAlgorithm::Sha3_512 => Pkcs1v15Sign::new::<sha3::Sha3_512>(),
        DigestAlgorithm::Sha512_224 => Pkcs1v15Sign::new::<sha2::Sha512_224>(),
        DigestAlgorithm::Sha512_256 => Pkcs1v15Sign::new::<sha2::Sha512_256>(),
        DigestAlgorithm::Md5 | DigestAlgorithm::Shake128 | DigestAlgorithm::Shake256 => {
            return Err(Error::Unsupported { what: "signature digest", name: digest.name().to_owned() });
        }
    })
}

/// Signs with a salt of the given length; the mask is of the same digest.
fn sign_pss(
    key: &rsa::RsaPrivateKey,
    digest: DigestAlgorithm,
    salt_len: usize,
    hashed: &[u8],
    source: &mut Adapter<'_>,
) -> Result<Vec<u8>, Error> {
    let signed = match digest {
        DigestAlgorithm::Sha1 => key.sign_with_rng(source, Pss::<sha1::Sha1>::new_with_salt(salt_len), hashed),
        DigestAlgorithm::Sha224 => key.sign_with_rng(source, Pss::<sha2::Sha224>::new_with_salt(salt_len), hashed),
        DigestAlgorithm::Sha256 => key.sign_with_rng(source, Pss::<sha2::Sha256>::new_with_salt(salt_len), hashed),
        DigestAlgorithm::Sha384 => key.sign_with_rng(source, Pss::<sha2::Sha384>::new_with_salt(salt_len), hashed),
        DigestAlgorithm::Sha512 => key.sign_with_rng(source, Pss::<sha2::Sha512>::new_with_salt(salt_len), hashed),
        DigestAlgorithm::Sha3_256 => key.sign_with_rng(source, Pss::<sha3::Sha3_256>::new_with_salt(salt_len), hashed),
        DigestAlgorithm::Sha3_384 => key.sign_with_rng(source, Pss::<sha3::Sha3_384>::new_with_salt(salt_len), hashed),
        DigestAlgorithm::Sha3_512 => key.sign_with_rng(source, Pss::<sha3::Sha3_512>::new_with_salt(salt_len), hashed),
        other => return Err(Error::Unsupported { what: "PSS digest for signing", name: other.name().to_owned() }),
    };
    signed.map_err(|_| Error::Malformed { what: "the key is too small for the signature" })
}
