//! Digests, in one go and in pieces.

use digest::{DynDigest, ExtendableOutput, Update};

use crate::crypto::algorithm::DigestAlgorithm;
use crate::crypto::provider::{FastDigest, Provider};

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
    state: State,
}

enum State {
    Rust(Box<dyn DynDigest + Send>),
    Shake128(Box<shake::Shake128>),
    Shake256(Box<shake::Shake256>),
    Fast(FastDigest),
}

impl std::fmt::Debug for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Digest({})", self.algorithm.name())
    }
}

impl Digest {
    /// Starts a digest.
    pub fn new(algorithm: DigestAlgorithm) -> Self {
        Self::by(Provider::Fastest, algorithm)
    }

    pub(in crate::crypto) fn by(provider: Provider, algorithm: DigestAlgorithm) -> Self {
        let fast = if provider == Provider::Fastest { FastDigest::new(algorithm) } else { None };
        let state = match (fast, algorithm) {
            (Some(fast), _) => State::Fast(fast),
            (_, DigestAlgorithm::Md5) => State::Rust(Box::new(md5::Md5::default())),
            (_, DigestAlgorithm::Sha1) => State::Rust(Box::new(sha1::Sha1::default())),
            (_, DigestAlgorithm::Sha224) => State::Rust(Box::new(sha2::Sha224::default())),
            (_, DigestAlgorithm::Sha256) => State::Rust(Box::new(sha2::Sha256::default())),
            (_, DigestAlgorithm::Sha384) => State::Rust(Box::new(sha2::Sha384::default())),
            (_, DigestAlgorithm::Sha512) => State::Rust(Box::new(sha2::Sha512::default())),
            (_, DigestAlgorithm::Sha512_224) => State::Rust(Box::new(sha2::Sha512_224::default())),
            (_, DigestAlgorithm::Sha512_256) => State::Rust(Box::new(sha2::Sha512_256::default())),
            (_, DigestAlgorithm::Sha3_224) => State::Rust(Box::new(sha3::Sha3_224::default())),
            (_, DigestAlgorithm::Sha3_256) => State::Rust(Box::new(sha3::Sha3_256::default())),
            (_, DigestAlgorithm::Sha3_384) => State::Rust(Box::new(sha3::Sha3_384::default())),
            (_, DigestAlgorithm::Sha3_512) => State::Rust(Box::new(sha3::Sha3_512::default())),
            (_, DigestAlgorithm::Shake128) => State::Shake128(Box::default()),
            (_, DigestAlgorithm::Shake256) => State::Shake256(Box::default()),
        };
        Self { algorithm, state }
    }

    /// Which digest it is.
    pub fn algorithm(&self) -> DigestAlgorithm {
        self.algorithm
    }

    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.state {
            State::Rust(state) => state.update(bytes),
            State::Shake128(state) => state.update(bytes),
            State::Shake256(state) => state.update(bytes),
            State::Fast(state) => state.update(bytes),
        }
    }

    /// Ends it.
    pub fn finish(self) -> Vec<u8> {
        let len = self.algorithm.output_len();
        match self.state {
            State::Rust(state) => state.finalize().into_vec(),
            State::Shake128(state) => state.finalize_boxed(len).into_vec(),
            State::Shake256(state) => state.finalize_boxed(len).into_vec(),
            State::Fast(state) => state.finish(),
        }
    }
}

/// The digest of bytes at hand.
pub fn of(algorithm: DigestAlgorithm, bytes: &[u8]) -> Vec<u8> {
    let mut digest = Digest::new(algorithm);
    digest.update(bytes);
    digest.finish()
}

/// As many bytes of SHAKE as are asked for; of any other digest what it gives.
pub(in crate::crypto) fn extended(algorithm: DigestAlgorithm, bytes: &[u8], len: usize) -> Vec<u8> {
    match algorithm {
        DigestAlgorithm::Shake128 => shake::Shake128::default().chain(bytes).finalize_boxed(len).into_vec(),
        DigestAlgorithm::Shake256 => shake::Shake256::default().chain(bytes).finalize_boxed(len).into_vec(),
        _ => of(algorithm, bytes),
    }
}
