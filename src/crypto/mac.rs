//! HMAC (RFC 2104).

use subtle::ConstantTimeEq;

use crate::crypto::algorithm::DigestAlgorithm;
use crate::crypto::digest::{self, Digest};
use crate::crypto::provider::Provider;
use crate::secret::Secret;

/// A keyed HMAC that many messages may use.
pub(in crate::crypto) struct Hmac {
    provider: Provider,
    algorithm: DigestAlgorithm,
    inner: Secret<Vec<u8>>,
    outer: Secret<Vec<u8>>,
}

impl Hmac {
    /// Prepares the key.
    pub(in crate::crypto) fn by(provider: Provider, algorithm: DigestAlgorithm, key: &[u8]) -> Self {
        let block = algorithm.block_len();
        let mut padded = Secret::new(if key.len() > block { digest::of(algorithm, key) } else { key.to_vec() });
        padded.expose_mut().resize(block, 0);
        let with = |mask: u8| Secret::new(padded.expose().iter().map(|byte| byte ^ mask).collect::<Vec<u8>>());
        Self { provider, algorithm, inner: with(0x36), outer: with(0x5c) }
    }

    /// The code of a message.
    pub(in crate::crypto) fn of(&self, message: &[&[u8]]) -> Vec<u8> {
        let mut inner = Digest::by(self.provider, self.algorithm);
        inner.update(self.inner.expose());
        message.iter().for_each(|part| inner.update(part));
        let mut outer = Digest::by(self.provider, self.algorithm);
        outer.update(self.outer.expose());
        outer.update(&inner.finish());
        outer.finish()
    }
}

/// HMAC of a message.
pub fn hmac(algorithm: DigestAlgorithm, key: &[u8], message: &[u8]) -> Vec<u8> {
    Hmac::by(Provider::Fastest, algorithm, key).of(&[message])
}

/// Whether two codes are the same, in a time that does not tell where they differ.
pub fn equal(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}
