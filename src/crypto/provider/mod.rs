//! Who does the arithmetic: pure Rust does all of it, AWS-LC a part of it several times faster.
//!
//! Everything goes through [`Provider::Fastest`] unless the caller's randomness is not the system's (AWS-LC draws its own, so fixtures
//! would not be reproducible). The other one is there to be compared with.

#[cfg(not(feature = "aws-lc"))]
#[path = "absent.rs"]
mod aws_lc;
#[cfg(feature = "aws-lc")]
mod aws_lc;

use crate::crypto::algorithm::{CipherParameters, DigestAlgorithm, KeyTransport, SignatureAlgorithm};
use crate::crypto::cipher::{Decryptor, Encryptor, Foreknown};
use crate::crypto::digest::Digest;
use crate::crypto::key::{PrivateKey, PublicKey};
use crate::crypto::mac::Hmac;
use crate::crypto::random::Random;
use crate::crypto::signature::{self, Input};
use crate::crypto::{Error, agreement, kdf, transport};
use crate::secret::Secret;

pub(in crate::crypto) use aws_lc::{
    FastDigest, FastKey, cbc_decrypt, cbc_encrypt, decrypt_oaep, decrypt_pkcs1, ec_point, generate_rsa, keystream, pbkdf2,
};

/// Who does the arithmetic. The answers are the same; only the time differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provider {
    /// Pure Rust, whatever is built in.
    Rust,
    /// AWS-LC where it is built in and has the primitive, else pure Rust.
    Fastest,
}

impl Provider {
    /// The one to use with this source of randomness: a source that is not the system's must be the only one.
    pub(in crate::crypto) fn for_random(random: &dyn Random) -> Self {
        if random.is_system() { Self::Fastest } else { Self::Rust }
    }

    /// Signs, as [`signature::sign`].
    pub fn sign(
        self,
        key: &PrivateKey,
        algorithm: SignatureAlgorithm,
        input: Input<'_>,
        random: &mut dyn Random,
    ) -> Result<Vec<u8>, Error> {
        if self == Self::Fastest
            && let Some(signature) = aws_lc::sign(key, algorithm, input)
        {
            return Ok(signature);
        }
        signature::sign_in_rust(key, algorithm, input, random)
    }

    /// Checks a signature, as [`signature::verify`].
    pub fn verify(self, key: &PublicKey, algorithm: SignatureAlgorithm, input: Input<'_>, signature: &[u8]) -> Result<(), Error> {
        if self == Self::Fastest
            && let Some(fits) = aws_lc::verify(key, algorithm, input, signature)
        {
            return if fits { Ok(()) } else { Err(Error::SignatureInvalid) };
        }
        signature::verify_in_rust(key, algorithm, input, signature)
    }

    /// The x coordinate that a private and a public key have in common; only a key derivation is to use it.
    pub fn shared_secret(self, own: &PrivateKey, theirs: &PublicKey) -> Result<Secret<Vec<u8>>, Error> {
        if self == Self::Fastest
            && let Some(shared) = aws_lc::shared_secret(own, theirs)
        {
            return Ok(shared);
        }
        agreement::shared_in_rust(own, theirs)
    }

    /// Encrypts a key, as [`transport::encrypt`].
    pub fn encrypt(
        self,
        to: &PublicKey,
        transport: &KeyTransport,
        key: &[u8],
        random: &mut dyn Random,
    ) -> Result<Vec<u8>, Error> {
        if self == Self::Fastest
            && let Some(encrypted) = aws_lc::encrypt(to, transport, key)
        {
            return Ok(encrypted);
        }
        transport::encrypt_in_rust(to, transport, key, random)
    }

    /// Decrypts a key, as [`transport::decrypt`].
    pub fn decrypt(
        self,
        with: &PrivateKey,
        transport: &KeyTransport,
        encrypted: &[u8],
        expected_len: Option<usize>,
        random: &mut dyn Random,
    ) -> Result<Secret<Vec<u8>>, Error> {
        transport::decrypt_by(self, with, transport, encrypted, expected_len, random)
    }
    /// Starts a digest, as [`Digest::new`].
    pub fn digest(self, algorithm: DigestAlgorithm) -> Digest {
        Digest::by(self, algorithm)
    }

    /// HMAC, as [`crate::crypto::mac::hmac`].
    pub fn hmac(self, digest: DigestAlgorithm, key: &[u8], message: &[u8]) -> Vec<u8> {
        Hmac::by(self, digest, key).of(&[message])
    }

    /// HKDF, as [`kdf::hkdf`].
    pub fn hkdf(self, digest: DigestAlgorithm, (shared, salt): (&[u8], &[u8]), info: &[u8], len: usize) -> Secret<Vec<u8>> {
        kdf::hkdf_by(self, digest, (shared, salt), info, len)
    }

    /// PBKDF2, as [`kdf::pbkdf2`].
    pub fn pbkdf2(
        self,
        digest: DigestAlgorithm,
        (password, salt): (&[u8], &[u8]),
        iterations: u64,
        len: usize,
    ) -> Secret<Vec<u8>> {
        kdf::pbkdf2_by(self, digest, (password, salt), iterations, len)
    }

    /// Encrypts content, as [`Encryptor::new`] and [`Encryptor::knowing`].
    pub fn encryptor(self, parameters: &CipherParameters, key: &[u8], foreknown: Option<&Foreknown>) -> Result<Encryptor, Error> {
        Encryptor::by(self, parameters, key, foreknown)
    }

    /// Decrypts content, as [`Decryptor::new`] and [`Decryptor::knowing`].
    pub fn decryptor(self, parameters: &CipherParameters, key: &[u8], foreknown: Option<&Foreknown>) -> Result<Decryptor, Error> {
        Decryptor::by(self, parameters, key, foreknown)
    }
}
