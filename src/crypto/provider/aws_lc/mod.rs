//! The primitives of AWS-LC. `None` says that it does not have this one, or does not take this key: pure Rust then answers.

mod cipher;
mod digest;

use std::sync::OnceLock;

use aws_lc_rs::agreement;
use aws_lc_rs::digest::Digest;
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{
    self, KeySize, OaepAlgorithm, OaepPrivateDecryptingKey, OaepPublicEncryptingKey, Pkcs1PrivateDecryptingKey,
    Pkcs1PublicEncryptingKey, PrivateDecryptingKey, PublicEncryptingKey,
};
use aws_lc_rs::signature::{self as aws, EcdsaKeyPair, RsaEncoding, UnparsedPublicKey, VerificationAlgorithm};

use crate::asn1::{Oid, oid};
use crate::crypto::Error;
use crate::crypto::algorithm::{DigestAlgorithm, KeyAlgorithm, KeyTransport, SignatureAlgorithm};
use crate::crypto::key::{PrivateKey, PrivateKind, PublicKey};
use crate::crypto::signature::Input;
use crate::secret::Secret;

pub(in crate::crypto) use cipher::{cbc_decrypt, cbc_encrypt, keystream};
pub(in crate::crypto) use digest::FastDigest;

use DigestAlgorithm as D;
use KeyAlgorithm as K;
use SignatureAlgorithm as S;

/// A private key in AWS-LC's form, made when it is first needed: checking an RSA key takes as long as some signatures.
#[derive(Default)]
pub(in crate::crypto) struct FastKey {
    signer: OnceLock<Option<Signer>>,
    decrypter: OnceLock<Option<PrivateDecryptingKey>>,
    agreer: OnceLock<Option<agreement::PrivateKey>>,
}

enum Signer {
    Rsa(rsa::KeyPair),
    Ecdsa(EcdsaKeyPair),
}

impl FastKey {
    fn signer(&self, key: &PrivateKey) -> Option<&Signer> {
        let make = || match key.algorithm() {
            K::Rsa(_) => rsa::KeyPair::from_pkcs8(key.to_pkcs8().ok()?.expose()).ok().map(Signer::Rsa),
            K::P256 => {
                let pair = EcdsaKeyPair::from_pkcs8(&aws::ECDSA_P256_SHA256_ASN1_SIGNING, key.to_pkcs8().ok()?.expose());
                pair.ok().map(Signer::Ecdsa)
            }
            K::P384 => {
                let pair = EcdsaKeyPair::from_pkcs8(&aws::ECDSA_P384_SHA384_ASN1_SIGNING, key.to_pkcs8().ok()?.expose());
                pair.ok().map(Signer::Ecdsa)
            }
            K::P521 => {
                let pair = EcdsaKeyPair::from_pkcs8(&aws::ECDSA_P521_SHA512_ASN1_SIGNING, key.to_pkcs8().ok()?.expose());
                pair.ok().map(Signer::Ecdsa)
            }
            _ => None,
        };
        self.signer.get_or_init(make).as_ref()
    }

    /// The key for ECDH on the NIST curves: making it computes its public point.
    fn agreer(&self, key: &PrivateKey) -> Option<&agreement::PrivateKey> {
        let make = || {
            let (curve, scalar) = match key.kind() {
                PrivateKind::P256(key) => (&agreement::ECDH_P256, Secret::new(key.to_bytes().to_vec())),
                PrivateKind::P384(key) => (&agreement::ECDH_P384, Secret::new(key.to_bytes().to_vec())),
                PrivateKind::P521(key) => (&agreement::ECDH_P521, Secret::new(key.to_bytes().to_vec())),
                _ => return None,
            };
            agreement::PrivateKey::from_private_key(curve, scalar.expose()).ok()
        };
        self.agreer.get_or_init(make).as_ref()
    }

    fn decrypter(&self, key: &PrivateKey) -> Option<PrivateDecryptingKey> {
        let make = || PrivateDecryptingKey::from_pkcs8(key.to_pkcs8().ok()?.expose()).ok();
        self.decrypter.get_or_init(make).clone()
    }
}

/// A new RSA key as PKCS#8, from the system's randomness.
pub(in crate::crypto) fn generate_rsa(bits: usize) -> Option<Secret<Vec<u8>>> {
    let size = match bits {
        2048 => KeySize::Rsa2048,
        3072 => KeySize::Rsa3072,
        4096 => KeySize::Rsa4096,
        8192 => KeySize::Rsa8192,
        _ => return None,
    };
    let pair = rsa::KeyPair::generate(size).ok()?;
    pair.as_der().ok().map(|der| Secret::new(der.as_ref().to_vec()))
}

/// PBKDF2-HMAC; says whether it was done.
pub(in crate::crypto) fn pbkdf2(digest: DigestAlgorithm, password: &[u8], salt: &[u8], rounds: u32, out: &mut [u8]) -> bool {
    let algorithm = match digest {
        D::Sha1 => aws_lc_rs::pbkdf2::PBKDF2_HMAC_SHA1,
        D::Sha256 => aws_lc_rs::pbkdf2::PBKDF2_HMAC_SHA256,
        D::Sha384 => aws_lc_rs::pbkdf2::PBKDF2_HMAC_SHA384,
        D::Sha512 => aws_lc_rs::pbkdf2::PBKDF2_HMAC_SHA512,
        _ => return false,
    };
    let Some(rounds) = std::num::NonZeroU32::new(rounds) else { return false };
    // it refuses to give nothing
    if out.is_empty() {
        return false;
    }
    aws_lc_rs::pbkdf2::derive(algorithm, rounds, salt, password, out);
    true
}

/// Signs; RSA with SHA-2 (PSS with a salt as long as the digest), P-256 with SHA-256, P-384 with SHA-384, P-521 with SHA-512.
pub(in crate::crypto) fn sign(key: &PrivateKey, algorithm: SignatureAlgorithm, input: Input<'_>) -> Option<Vec<u8>> {
    match (key.algorithm(), algorithm) {
        (K::Rsa(_), _) => {
            let encoding = rsa_encoding(algorithm)?;
            let Signer::Rsa(pair) = key.fast().signer(key)? else { return None };
            let mut signature = vec![0; pair.public_modulus_len()];
            match input {
                Input::Message(message) => pair.sign(encoding, &SystemRandom::new(), message, &mut signature).ok()?,
                Input::Digest(_) => pair.sign_digest(encoding, &hashed(algorithm, input)?, &mut signature).ok()?,
            }
            Some(signature)
        }
        (K::P256, S::Ecdsa(D::Sha256)) | (K::P384, S::Ecdsa(D::Sha384)) | (K::P521, S::Ecdsa(D::Sha512)) => {
            let Signer::Ecdsa(pair) = key.fast().signer(key)? else { return None };
            let signature = match input {
                Input::Message(message) => pair.sign(&SystemRandom::new(), message).ok()?,
                Input::Digest(_) => pair.sign_digest(&hashed(algorithm, input)?).ok()?,
            };
            Some(signature.as_ref().to_vec())
        }
        _ => None,
    }
}

/// Whether a signature fits; RSA of 2 048 to 8 192 bits and ECDSA, with SHA-2.
pub(in crate::crypto) fn verify(
    key: &PublicKey,
    algorithm: SignatureAlgorithm,
    input: Input<'_>,
    signature: &[u8],
) -> Option<bool> {
    let scheme = verification(key.algorithm(), algorithm)?;
    // a key that only one of the two takes is for the other to judge
    let parsed = UnparsedPublicKey::new(scheme, key.key_bits()).parse().ok()?;
    let fits = match input {
        Input::Message(message) => parsed.verify_sig(message, signature),
        Input::Digest(_) => parsed.verify_digest_sig(&hashed(algorithm, input)?, signature),
    };
    Some(fits.is_ok())
}

/// ECDH on the NIST curves.
pub(in crate::crypto) fn shared_secret(own: &PrivateKey, theirs: &PublicKey) -> Option<Secret<Vec<u8>>> {
    if own.algorithm() != theirs.algorithm() {
        return None;
    }
    let own = own.fast().agreer(own)?;
    let theirs = agreement::UnparsedPublicKey::new(own.algorithm(), theirs.key_bits());
    agreement::agree(own, theirs, (), |shared| Ok(Secret::new(shared.to_vec()))).ok()
}

/// The padded content without its padding; empty where the padding does not fit.
pub(in crate::crypto) fn decrypt_pkcs1(with: &PrivateKey, encrypted: &[u8]) -> Option<Secret<Vec<u8>>> {
    let key = Pkcs1PrivateDecryptingKey::new(with.fast().decrypter(with)?).ok()?;
    let mut out = Secret::new(vec![0; key.min_output_size()]);
    let plain = key.decrypt(encrypted, out.expose_mut()).map(|plain| plain.len());
    out.expose_mut().truncate(plain.unwrap_or(0));
    Some(out)
}

/// OAEP.
pub(in crate::crypto) fn decrypt_oaep(
    with: &PrivateKey,
    digests: (DigestAlgorithm, DigestAlgorithm),
    label: &[u8],
    encrypted: &[u8],
) -> Option<Result<Secret<Vec<u8>>, Error>> {
    let scheme = oaep(digests)?;
    let key = OaepPrivateDecryptingKey::new(with.fast().decrypter(with)?).ok()?;
    let mut out = Secret::new(vec![0; key.min_output_size()]);
    match key.decrypt(scheme, encrypted, out.expose_mut(), some(label)).map(|plain| plain.len()) {
        Ok(len) => {
            out.expose_mut().truncate(len);
            Some(Ok(out))
        }
        Err(_) => Some(Err(Error::Unwrap)),
    }
}

/// Encrypts a key to an RSA key of 2 048 to 8 192 bits.
pub(in crate::crypto) fn encrypt(to: &PublicKey, transport: &KeyTransport, key: &[u8]) -> Option<Vec<u8>> {
    let to = PublicEncryptingKey::from_der(to.spki()).ok()?;
    let mut out = vec![0; to.key_size_bytes()];
    let len = match transport {
        KeyTransport::RsaPkcs1 => Pkcs1PublicEncryptingKey::new(to).ok()?.encrypt(key, &mut out).ok()?.len(),
        KeyTransport::RsaOaep { digest, mgf_digest, label } => {
            let scheme = oaep((*digest, *mgf_digest))?;
            OaepPublicEncryptingKey::new(to).ok()?.encrypt(scheme, key, &mut out, some(label)).ok()?.len()
        }
    };
    out.truncate(len);
    Some(out)
}

fn oaep(digests: (DigestAlgorithm, DigestAlgorithm)) -> Option<&'static OaepAlgorithm> {
    Some(match digests {
        (D::Sha1, D::Sha1) => &rsa::OAEP_SHA1_MGF1SHA1,
        (D::Sha256, D::Sha256) => &rsa::OAEP_SHA256_MGF1SHA256,
        (D::Sha384, D::Sha384) => &rsa::OAEP_SHA384_MGF1SHA384,
        (D::Sha512, D::Sha512) => &rsa::OAEP_SHA512_MGF1SHA512,
        _ => return None,
    })
}

fn some(label: &[u8]) -> Option<&[u8]> {
    if label.is_empty() { None } else { Some(label) }
}

/// The public point of a private key on a NIST curve, uncompressed.
pub(in crate::crypto) fn ec_point(curve: &Oid, scalar: &[u8]) -> Option<Vec<u8>> {
    let curve = match *curve {
        oid::P256 => &agreement::ECDH_P256,
        oid::P384 => &agreement::ECDH_P384,
        oid::P521 => &agreement::ECDH_P521,
        _ => return None,
    };
    let key = agreement::PrivateKey::from_private_key(curve, scalar).ok()?;
    key.compute_public_key().ok().map(|point| point.as_ref().to_vec())
}

fn rsa_encoding(algorithm: SignatureAlgorithm) -> Option<&'static dyn RsaEncoding> {
    Some(match algorithm {
        S::RsaPkcs1(D::Sha256) => &aws::RSA_PKCS1_SHA256,
        S::RsaPkcs1(D::Sha384) => &aws::RSA_PKCS1_SHA384,
        S::RsaPkcs1(D::Sha512) => &aws::RSA_PKCS1_SHA512,
        S::RsaPss { digest, .. } if algorithm == S::pss(digest) => match digest {
            D::Sha256 => &aws::RSA_PSS_SHA256,
            D::Sha384 => &aws::RSA_PSS_SHA384,
            D::Sha512 => &aws::RSA_PSS_SHA512,
            _ => return None,
        },
        _ => return None,
    })
}

fn verification(key: KeyAlgorithm, algorithm: SignatureAlgorithm) -> Option<&'static dyn VerificationAlgorithm> {
    Some(match (key, algorithm) {
        (K::Rsa(bits), _) if !(2048..=8192).contains(&bits) => return None,
        (K::Rsa(_), S::RsaPkcs1(D::Sha256)) => &aws::RSA_PKCS1_2048_8192_SHA256,
        (K::Rsa(_), S::RsaPkcs1(D::Sha384)) => &aws::RSA_PKCS1_2048_8192_SHA384,
        (K::Rsa(_), S::RsaPkcs1(D::Sha512)) => &aws::RSA_PKCS1_2048_8192_SHA512,
        (K::Rsa(_), S::RsaPss { digest, .. }) if algorithm == S::pss(digest) => match digest {
            D::Sha256 => &aws::RSA_PSS_2048_8192_SHA256,
            D::Sha384 => &aws::RSA_PSS_2048_8192_SHA384,
            D::Sha512 => &aws::RSA_PSS_2048_8192_SHA512,
            _ => return None,
        },
        (K::P256, S::Ecdsa(D::Sha256)) => &aws::ECDSA_P256_SHA256_ASN1,
        (K::P256, S::Ecdsa(D::Sha384)) => &aws::ECDSA_P256_SHA384_ASN1,
        (K::P256, S::Ecdsa(D::Sha512)) => &aws::ECDSA_P256_SHA512_ASN1,
        (K::P384, S::Ecdsa(D::Sha256)) => &aws::ECDSA_P384_SHA256_ASN1,
        (K::P384, S::Ecdsa(D::Sha384)) => &aws::ECDSA_P384_SHA384_ASN1,
        (K::P384, S::Ecdsa(D::Sha512)) => &aws::ECDSA_P384_SHA512_ASN1,
        (K::P521, S::Ecdsa(D::Sha256)) => &aws::ECDSA_P521_SHA256_ASN1,
        (K::P521, S::Ecdsa(D::Sha384)) => &aws::ECDSA_P521_SHA384_ASN1,
        (K::P521, S::Ecdsa(D::Sha512)) => &aws::ECDSA_P521_SHA512_ASN1,
        _ => return None,
    })
}

fn hashed(algorithm: SignatureAlgorithm, input: Input<'_>) -> Option<Digest> {
    let kind = digest::kind(algorithm.digest())?;
    match input {
        Input::Message(message) => Some(aws_lc_rs::digest::digest(kind, message)),
        Input::Digest(bytes) => Digest::import_less_safe(bytes, kind).ok(),
    }
}
