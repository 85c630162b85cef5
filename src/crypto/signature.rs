//! Signatures: made and checked.

use rsa::pkcs1v15::Pkcs1v15Sign;
use rsa::pss::Pss;
use rsa::traits::SignatureScheme;
use signature::Signer;
use signature::hazmat::{PrehashVerifier, RandomizedPrehashSigner};

use crate::crypto::Error;
use crate::crypto::algorithm::{DigestAlgorithm, SignatureAlgorithm};
use crate::crypto::digest;
use crate::crypto::key::{PrivateKey, PrivateKind, PublicKey, PublicKind};
use crate::crypto::provider::Provider;
use crate::crypto::random::{Adapter, Random};

/// What a signature is over.
#[derive(Debug, Clone, Copy)]
pub enum Input<'a> {
    /// The message itself.
    Message(&'a [u8]),
    /// The digest of a message that is too large to hold. Not for Ed25519, which signs messages.
    Digest(&'a [u8]),
}

impl Input<'_> {
    fn hashed(&self, algorithm: DigestAlgorithm) -> Result<Vec<u8>, Error> {
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
    Provider::for_random(random).sign(key, algorithm, input, random)
}

/// Checks a signature; [`Error::SignatureInvalid`] where it does not fit.
pub fn verify(key: &PublicKey, algorithm: SignatureAlgorithm, input: Input<'_>, signature: &[u8]) -> Result<(), Error> {
    Provider::Fastest.verify(key, algorithm, input, signature)
}

pub(in crate::crypto) fn sign_in_rust(
    key: &PrivateKey,
    algorithm: SignatureAlgorithm,
    input: Input<'_>,
    random: &mut dyn Random,
) -> Result<Vec<u8>, Error> {
    let mut source = Adapter(random);
    let failed = |_| Error::Malformed { what: "the key is too small for the signature" };
    match (key.kind(), algorithm) {
        (PrivateKind::Rsa(key), SignatureAlgorithm::RsaPkcs1(digest)) => {
            key.sign_with_rng(&mut source, pkcs1(digest)?, &input.hashed(digest)?).map_err(failed)
        }
        (PrivateKind::Rsa(key), SignatureAlgorithm::RsaPss { digest, mgf_digest, salt_len }) => {
            if digest != mgf_digest {
                return Err(Error::Unsupported { what: "PSS", name: "two different digests".to_owned() });
            }
            let hashed = input.hashed(digest)?;
            with_pss(digest, salt_len, PssSign { key, hashed: &hashed, source: &mut source })
        }
        (PrivateKind::P256(key), SignatureAlgorithm::Ecdsa(digest)) => {
            let signed: Result<p256::ecdsa::DerSignature, _> =
                p256::ecdsa::SigningKey::from(key).sign_prehash_with_rng(&mut source, &input.hashed(digest)?);
            signed.map(|s| s.as_bytes().to_vec()).map_err(|_| Error::Malformed { what: "the signature cannot be made" })
        }
        (PrivateKind::P384(key), SignatureAlgorithm::Ecdsa(digest)) => {
            let signed: Result<p384::ecdsa::DerSignature, _> =
                p384::ecdsa::SigningKey::from(key).sign_prehash_with_rng(&mut source, &input.hashed(digest)?);
            signed.map(|s| s.as_bytes().to_vec()).map_err(|_| Error::Malformed { what: "the signature cannot be made" })
        }
        (PrivateKind::P521(key), SignatureAlgorithm::Ecdsa(digest)) => {
            let hashed = widened(input.hashed(digest)?, 33);
            let signed: Result<p521::ecdsa::DerSignature, _> =
                p521::ecdsa::SigningKey::from(key).sign_prehash_with_rng(&mut source, &hashed);
            signed.map(|s| s.as_bytes().to_vec()).map_err(|_| Error::Malformed { what: "the signature cannot be made" })
        }
        (PrivateKind::Ed25519(key), SignatureAlgorithm::Ed25519) => match input {
            Input::Message(message) => Ok(key.sign(message).to_bytes().to_vec()),
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
    let invalid = |_| Error::SignatureInvalid;
    match (key.kind(), algorithm) {
        (PublicKind::Rsa(key), SignatureAlgorithm::RsaPkcs1(digest)) => {
            key.verify(pkcs1(digest)?, &input.hashed(digest)?, signature).map_err(invalid)
        }
        (PublicKind::Rsa(key), SignatureAlgorithm::RsaPss { digest, mgf_digest, salt_len }) => {
            if digest != mgf_digest {
                return Err(Error::Unsupported { what: "PSS", name: "two different digests".to_owned() });
            }
            let hashed = input.hashed(digest)?;
            with_pss(digest, salt_len, PssVerify { key, hashed: &hashed, signature }).map(|_| ())
        }
        (PublicKind::P256(key), SignatureAlgorithm::Ecdsa(digest)) => {
            let signature = p256::ecdsa::DerSignature::try_from(signature).map_err(|_| Error::SignatureInvalid)?;
            let hashed = widened(input.hashed(digest)?, 16);
            p256::ecdsa::VerifyingKey::from(key).verify_prehash(&hashed, &signature).map_err(|_| Error::SignatureInvalid)
        }
        (PublicKind::P384(key), SignatureAlgorithm::Ecdsa(digest)) => {
            let signature = p384::ecdsa::DerSignature::try_from(signature).map_err(|_| Error::SignatureInvalid)?;
            let hashed = widened(input.hashed(digest)?, 24);
            p384::ecdsa::VerifyingKey::from(key).verify_prehash(&hashed, &signature).map_err(|_| Error::SignatureInvalid)
        }
        (PublicKind::P521(key), SignatureAlgorithm::Ecdsa(digest)) => {
            let signature = p521::ecdsa::DerSignature::try_from(signature).map_err(|_| Error::SignatureInvalid)?;
            let hashed = widened(input.hashed(digest)?, 33);
            p521::ecdsa::VerifyingKey::from(key).verify_prehash(&hashed, &signature).map_err(|_| Error::SignatureInvalid)
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

fn no_prehash() -> Error {
    Error::Unsupported { what: "Ed25519 signature", name: "over a digest; it signs messages".to_owned() }
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
        DigestAlgorithm::Md5 => return Err(Error::Unsupported { what: "signature digest", name: "md5".to_owned() }),
    })
}

/// What is done with a PSS scheme whose digest is known only when running.
trait WithPss {
    fn run(self, scheme: impl SignatureScheme) -> Result<Vec<u8>, Error>;
}

struct PssSign<'a, 'b> {
    key: &'a rsa::RsaPrivateKey,
    hashed: &'a [u8],
    source: &'a mut Adapter<'b>,
}

impl WithPss for PssSign<'_, '_> {
    fn run(self, scheme: impl SignatureScheme) -> Result<Vec<u8>, Error> {
        let signed = self.key.sign_with_rng(self.source, scheme, self.hashed);
        signed.map_err(|_| Error::Malformed { what: "the key is too small for the signature" })
    }
}

struct PssVerify<'a> {
    key: &'a rsa::RsaPublicKey,
    hashed: &'a [u8],
    signature: &'a [u8],
}

impl WithPss for PssVerify<'_> {
    fn run(self, scheme: impl SignatureScheme) -> Result<Vec<u8>, Error> {
        self.key.verify(scheme, self.hashed, self.signature).map(|()| Vec::new()).map_err(|_| Error::SignatureInvalid)
    }
}

fn with_pss(digest: DigestAlgorithm, salt_len: usize, work: impl WithPss) -> Result<Vec<u8>, Error> {
    match digest {
        DigestAlgorithm::Sha1 => work.run(Pss::<sha1::Sha1>::new_with_salt(salt_len)),
        DigestAlgorithm::Sha224 => work.run(Pss::<sha2::Sha224>::new_with_salt(salt_len)),
        DigestAlgorithm::Sha256 => work.run(Pss::<sha2::Sha256>::new_with_salt(salt_len)),
        DigestAlgorithm::Sha384 => work.run(Pss::<sha2::Sha384>::new_with_salt(salt_len)),
        DigestAlgorithm::Sha512 => work.run(Pss::<sha2::Sha512>::new_with_salt(salt_len)),
        DigestAlgorithm::Sha3_256 => work.run(Pss::<sha3::Sha3_256>::new_with_salt(salt_len)),
        DigestAlgorithm::Sha3_384 => work.run(Pss::<sha3::Sha3_384>::new_with_salt(salt_len)),
        DigestAlgorithm::Sha3_512 => work.run(Pss::<sha3::Sha3_512>::new_with_salt(salt_len)),
        DigestAlgorithm::Sha3_224 | DigestAlgorithm::Md5 => {
            Err(Error::Unsupported { what: "PSS digest", name: digest.name().to_owned() })
        }
    }
}
