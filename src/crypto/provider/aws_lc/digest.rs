//! SHA-1 and SHA-2.

use aws_lc_rs::digest::{Algorithm, Context, SHA1_FOR_LEGACY_USE_ONLY, SHA224, SHA256, SHA384, SHA512, SHA512_256};

use crate::crypto::algorithm::DigestAlgorithm as D;

/// A digest that grows.
pub(in crate::crypto) struct FastDigest(Context);

impl FastDigest {
    pub(in crate::crypto) fn new(algorithm: D) -> Option<Self> {
        kind(algorithm).map(|kind| Self(Context::new(kind)))
    }

    pub(in crate::crypto) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub(in crate::crypto) fn finish(self) -> Vec<u8> {
        self.0.finish().as_ref().to_vec()
    }
}

/// AWS-LC's name of a digest.
pub(super) fn kind(algorithm: D) -> Option<&'static Algorithm> {
    Some(match algorithm {
        D::Sha1 => &SHA1_FOR_LEGACY_USE_ONLY,
        D::Sha224 => &SHA224,
        D::Sha256 => &SHA256,
        D::Sha384 => &SHA384,
        D::Sha512 => &SHA512,
        D::Sha512_256 => &SHA512_256,
        _ => return None,
    })
}
