//! Post-quantum algorithms and their parameter sets (FIPS 203, 204, 205): read, and not offered.

use crate::asn1::{Oid, oid};
use crate::crypto::Error;
use crate::crypto::algorithm::{AlgorithmIdentifier, DigestAlgorithm};

/// A parameter set of ML-DSA (FIPS 204, RFC 9881).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "each variant is the parameter set of its number")]
pub enum MlDsa {
    Set44,
    Set65,
    Set87,
}

/// A parameter set of SLH-DSA (FIPS 205, RFC 9909).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "each variant is the parameter set of its name")]
pub enum SlhDsa {
    Sha2_128s,
    Sha2_128f,
    Sha2_192s,
    Sha2_192f,
    Sha2_256s,
    Sha2_256f,
    Shake128s,
    Shake128f,
    Shake192s,
    Shake192f,
    Shake256s,
    Shake256f,
}

/// A parameter set of ML-KEM (FIPS 203, RFC 9935).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "each variant is the parameter set of its number")]
pub enum MlKem {
    Set512,
    Set768,
    Set1024,
}

/// Set, identifier, name, bytes of public key, bytes of digest that are as strong as the signature (RFC 9882 3.3).
const ML_DSA: &[(MlDsa, Oid, &str, usize, usize)] = &[
    (MlDsa::Set44, oid::ML_DSA_44, "ml-dsa-44", 1312, 32),
    (MlDsa::Set65, oid::ML_DSA_65, "ml-dsa-65", 1952, 48),
    (MlDsa::Set87, oid::ML_DSA_87, "ml-dsa-87", 2592, 64),
];

/// Set, identifier, name, bytes of its hashes.
const SLH_DSA: &[(SlhDsa, Oid, &str, usize)] = &[
    (SlhDsa::Sha2_128s, oid::SLH_DSA_SHA2_128S, "slh-dsa-sha2-128s", 16),
    (SlhDsa::Sha2_128f, oid::SLH_DSA_SHA2_128F, "slh-dsa-sha2-128f", 16),
    (SlhDsa::Sha2_192s, oid::SLH_DSA_SHA2_192S, "slh-dsa-sha2-192s", 24),
    (SlhDsa::Sha2_192f, oid::SLH_DSA_SHA2_192F, "slh-dsa-sha2-192f", 24),
    (SlhDsa::Sha2_256s, oid::SLH_DSA_SHA2_256S, "slh-dsa-sha2-256s", 32),
    (SlhDsa::Sha2_256f, oid::SLH_DSA_SHA2_256F, "slh-dsa-sha2-256f", 32),
    (SlhDsa::Shake128s, oid::SLH_DSA_SHAKE_128S, "slh-dsa-shake-128s", 16),
    (SlhDsa::Shake128f, oid::SLH_DSA_SHAKE_128F, "slh-dsa-shake-128f", 16),
    (SlhDsa::Shake192s, oid::SLH_DSA_SHAKE_192S, "slh-dsa-shake-192s", 24),
    (SlhDsa::Shake192f, oid::SLH_DSA_SHAKE_192F, "slh-dsa-shake-192f", 24),
    (SlhDsa::Shake256s, oid::SLH_DSA_SHAKE_256S, "slh-dsa-shake-256s", 32),
    (SlhDsa::Shake256f, oid::SLH_DSA_SHAKE_256F, "slh-dsa-shake-256f", 32),
];

/// Set, identifier, name.
const ML_KEM: &[(MlKem, Oid, &str)] = &[
    (MlKem::Set512, oid::ML_KEM_512, "ml-kem-512"),
    (MlKem::Set768, oid::ML_KEM_768, "ml-kem-768"),
    (MlKem::Set1024, oid::ML_KEM_1024, "ml-kem-1024"),
];

impl MlDsa {
    /// Every parameter set.
    pub fn all() -> impl Iterator<Item = Self> {
        ML_DSA.iter().map(|row| row.0)
    }

    fn row(self) -> &'static (Self, Oid, &'static str, usize, usize) {
        ML_DSA.iter().find(|row| row.0 == self).unwrap_or(&ML_DSA[0])
    }

    /// The set of an object identifier: the same names keys and signatures.
    pub fn from_oid(oid: &Oid) -> Option<Self> {
        ML_DSA.iter().find(|row| row.1 == *oid).map(|row| row.0)
    }

    /// The object identifier.
    pub fn oid(self) -> Oid {
        self.row().1
    }

    /// The name, as `ml-dsa-65`.
    pub fn name(self) -> &'static str {
        self.row().2
    }

    /// Bytes of public key.
    pub(in crate::crypto) fn public_len(self) -> usize {
        self.row().3
    }

    /// Bytes that a digest of the content has at least so as not to weaken the signature.
    pub(in crate::crypto) fn least_digest_len(self) -> usize {
        self.row().4
    }
}

impl SlhDsa {
    /// Every parameter set.
    pub fn all() -> impl Iterator<Item = Self> {
        SLH_DSA.iter().map(|row| row.0)
    }

    fn row(self) -> &'static (Self, Oid, &'static str, usize) {
        SLH_DSA.iter().find(|row| row.0 == self).unwrap_or(&SLH_DSA[0])
    }

    /// The set of an object identifier: the same names keys and signatures.
    pub fn from_oid(oid: &Oid) -> Option<Self> {
        SLH_DSA.iter().find(|row| row.1 == *oid).map(|row| row.0)
    }

    /// The object identifier.
    pub fn oid(self) -> Oid {
        self.row().1
    }

    /// The name, as `slh-dsa-sha2-128s`.
    pub fn name(self) -> &'static str {
        self.row().2
    }

    /// Bytes of its hashes: a public key has two of them, a private key four.
    pub(in crate::crypto) fn hash_len(self) -> usize {
        self.row().3
    }

    /// Bytes that a digest of the content has at least so as not to weaken the signature (RFC 9814 4).
    pub(in crate::crypto) fn least_digest_len(self) -> usize {
        self.hash_len().saturating_mul(2)
    }
}

impl MlKem {
    /// Every parameter set.
    pub fn all() -> impl Iterator<Item = Self> {
        ML_KEM.iter().map(|row| row.0)
    }

    fn row(self) -> &'static (Self, Oid, &'static str) {
        ML_KEM.iter().find(|row| row.0 == self).unwrap_or(&ML_KEM[0])
    }

    /// The set of an object identifier: the same names keys and what is encapsulated to them.
    pub fn from_oid(oid: &Oid) -> Option<Self> {
        ML_KEM.iter().find(|row| row.1 == *oid).map(|row| row.0)
    }

    /// The object identifier.
    pub fn oid(self) -> Oid {
        self.row().1
    }

    /// The name, as `ml-kem-768`.
    pub fn name(self) -> &'static str {
        self.row().2
    }
}

const HKDF: &[(DigestAlgorithm, Oid)] = &[
    (DigestAlgorithm::Sha256, oid::HKDF_SHA256),
    (DigestAlgorithm::Sha384, oid::HKDF_SHA384),
    (DigestAlgorithm::Sha512, oid::HKDF_SHA512),
];

/// The digest of an HKDF (RFC 8619), which makes a key of what was encapsulated (RFC 9936 2.1).
pub fn hkdf_digest(identifier: &AlgorithmIdentifier) -> Result<DigestAlgorithm, Error> {
    let found = HKDF.iter().find(|row| row.1 == identifier.oid).map(|row| row.0);
    found.ok_or_else(|| Error::Unsupported { what: "key derivation", name: identifier.name() })
}
