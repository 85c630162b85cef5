//! Digest algorithms.

use crate::asn1::{Cursor, Oid, oid};
use crate::crypto::Error;
use crate::crypto::algorithm::AlgorithmIdentifier;

/// How far an algorithm may be relied on today.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Strength {
    /// Forged in practice; a signature with it is no signature.
    Broken,
    /// Attacks are known or near; excused only by name.
    Weak,
    /// Nothing known against it.
    Good,
}

/// A digest algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs, reason = "each variant is the algorithm of its name")]
pub enum DigestAlgorithm {
    Md5,
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
    /// SHA-512 that begins elsewhere and is cut to 28 bytes.
    Sha512_224,
    /// SHA-512 that begins elsewhere and is cut to 32 bytes.
    Sha512_256,
    Sha3_224,
    Sha3_256,
    Sha3_384,
    Sha3_512,
    /// The first 32 bytes of SHAKE128 (RFC 8702 3.1).
    Shake128,
    /// The first 64 bytes of SHAKE256 (RFC 8702 3.1).
    Shake256,
}

/// Algorithm, identifier, name, micalg, bytes.
const TABLE: &[(DigestAlgorithm, Oid, &str, &str, usize)] = &[
    (DigestAlgorithm::Md5, oid::MD5, "md5", "md5", 16),
    (DigestAlgorithm::Sha1, oid::SHA1, "sha1", "sha-1", 20),
    (DigestAlgorithm::Sha224, oid::SHA224, "sha224", "sha-224", 28),
    (DigestAlgorithm::Sha256, oid::SHA256, "sha256", "sha-256", 32),
    (DigestAlgorithm::Sha384, oid::SHA384, "sha384", "sha-384", 48),
    (DigestAlgorithm::Sha512, oid::SHA512, "sha512", "sha-512", 64),
    (DigestAlgorithm::Sha512_224, oid::SHA512_224, "sha512-224", "sha-512-224", 28),
    (DigestAlgorithm::Sha512_256, oid::SHA512_256, "sha512-256", "sha-512-256", 32),
    (DigestAlgorithm::Sha3_224, oid::SHA3_224, "sha3-224", "sha3-224", 28),
    (DigestAlgorithm::Sha3_256, oid::SHA3_256, "sha3-256", "sha3-256", 32),
    (DigestAlgorithm::Sha3_384, oid::SHA3_384, "sha3-384", "sha3-384", 48),
    (DigestAlgorithm::Sha3_512, oid::SHA3_512, "sha3-512", "sha3-512", 64),
    (DigestAlgorithm::Shake128, oid::SHAKE128, "shake128", "shake128", 32),
    (DigestAlgorithm::Shake256, oid::SHAKE256, "shake256", "shake256", 64),
];

impl DigestAlgorithm {
    fn row(self) -> &'static (Self, Oid, &'static str, &'static str, usize) {
        TABLE.iter().find(|row| row.0 == self).unwrap_or(&TABLE[3])
    }

    /// The algorithm of an identifier.
    pub fn from_identifier(identifier: &AlgorithmIdentifier) -> Result<Self, Error> {
        let found = match identifier.oid {
            // RFC 8419 2.3: the length in bits; only the usual one is known
            oid::SHAKE128_LEN => has_length(identifier, 256)?.then_some(Self::Shake128),
            oid::SHAKE256_LEN => has_length(identifier, 512)?.then_some(Self::Shake256),
            _ => Self::from_oid(&identifier.oid),
        };
        found.ok_or_else(|| Error::Unsupported { what: "digest", name: identifier.name() })
    }

    /// The algorithm of an object identifier.
    pub fn from_oid(oid: &Oid) -> Option<Self> {
        TABLE.iter().find(|row| row.1 == *oid).map(|row| row.0)
    }

    /// The algorithm called so, as `sha256` or `sha-256`.
    pub fn from_name(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        TABLE.iter().find(|row| row.2 == name || row.3 == name).map(|row| row.0)
    }

    /// The identifier, without parameters (RFC 5754 section 2).
    pub fn identifier(self) -> AlgorithmIdentifier {
        AlgorithmIdentifier::bare(self.row().1)
    }

    /// The identifier with NULL parameters, as RSA structures have it.
    pub fn identifier_with_null(self) -> AlgorithmIdentifier {
        AlgorithmIdentifier::with_null(self.row().1)
    }

    /// The name, as `sha256`.
    pub fn name(self) -> &'static str {
        self.row().2
    }

    /// The value of the parameter micalg (RFC 8551 3.5.3.2), as `sha-256`.
    pub fn micalg(self) -> &'static str {
        self.row().3
    }

    /// How many bytes it gives.
    pub fn output_len(self) -> usize {
        self.row().4
    }

    /// Bytes of the blocks that it works on, which HMAC and others fill up.
    pub(in crate::crypto) fn block_len(self) -> usize {
        match self {
            Self::Md5 | Self::Sha1 | Self::Sha224 | Self::Sha256 => 64,
            Self::Sha384 | Self::Sha512 | Self::Sha512_224 | Self::Sha512_256 => 128,
            Self::Sha3_224 => 144,
            Self::Sha3_256 | Self::Shake256 => 136,
            Self::Sha3_384 => 104,
            Self::Sha3_512 => 72,
            Self::Shake128 => 168,
        }
    }

    /// How far it may be relied on in signatures.
    pub fn strength(self) -> Strength {
        match self {
            Self::Md5 => Strength::Broken,
            Self::Sha1 => Strength::Weak,
            _ => Strength::Good,
        }
    }
}

/// `ShakeOutputLen ::= INTEGER`
fn has_length(identifier: &AlgorithmIdentifier, bits: u64) -> Result<bool, Error> {
    let parameters = identifier.real_parameters().ok_or(Error::Malformed { what: "a digest without its length" })?;
    Ok(Cursor::new(parameters).small_unsigned()? == bits)
}
