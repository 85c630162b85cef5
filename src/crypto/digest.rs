//! Digests, in one go and in pieces.

use digest::DynDigest;

use crate::crypto::algorithm::DigestAlgorithm;

/// A digest that grows.
///
/// ```
/// use sealpost::crypto::{algorithm::DigestAlgorithm, digest::{self, Digest}};
/// let mut growing = Digest::new(DigestAlgorithm::Sha256);
/// growing.update(b"se");
/// growing.update(b"al");
/// assert_eq!(growing.finish(), digest::of(DigestAlgorithm::Sha256, b"seal"));
/// ```
pub struct Digest {
    algorithm: DigestAlgorithm,
    state: Box<dyn DynDigest + Send>,
}

impl std::fmt::Debug for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Digest({})", self.algorithm.name())
    }
}

impl Digest {
    /// Starts a digest.
    pub fn new(algorithm: DigestAlgorithm) -> Self {
        let state: Box<dyn DynDigest + Send> = match algorithm {
            DigestAlgorithm::Md5 => Box::new(md5::Md5::default()),
            DigestAlgorithm::Sha1 => Box::new(sha1::Sha1::default()),
            DigestAlgorithm::Sha224 => Box::new(sha2::Sha224::default()),
            DigestAlgorithm::Sha256 => Box::new(sha2::Sha256::default()),
            DigestAlgorithm::Sha384 => Box::new(sha2::Sha384::default()),
            DigestAlgorithm::Sha512 => Box::new(sha2::Sha512::default()),
            DigestAlgorithm::Sha3_224 => Box::new(sha3::Sha3_224::default()),
            DigestAlgorithm::Sha3_256 => Box::new(sha3::Sha3_256::default()),
            DigestAlgorithm::Sha3_384 => Box::new(sha3::Sha3_384::default()),
            DigestAlgorithm::Sha3_512 => Box::new(sha3::Sha3_512::default()),
        };
        Self { algorithm, state }
    }

    /// Which digest it is.
    pub fn algorithm(&self) -> DigestAlgorithm {
        self.algorithm
    }

    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.state.update(bytes);
    }

    /// Ends it.
    pub fn finish(self) -> Vec<u8> {
        self.state.finalize().into_vec()
    }
}

/// The digest of bytes at hand.
pub fn of(algorithm: DigestAlgorithm, bytes: &[u8]) -> Vec<u8> {
    let mut digest = Digest::new(algorithm);
    digest.update(bytes);
    digest.finish()
}
