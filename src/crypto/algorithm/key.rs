//! Kinds of keys.

use std::fmt;

use crate::crypto::algorithm::{MlDsa, MlKem, SlhDsa};

/// The kind and size of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyAlgorithm {
    /// RSA with a modulus of so many bits.
    Rsa(usize),
    /// NIST P-256.
    P256,
    /// NIST P-384.
    P384,
    /// NIST P-521.
    P521,
    /// brainpoolP256r1 (RFC 5639).
    BrainpoolP256,
    /// brainpoolP384r1 (RFC 5639).
    BrainpoolP384,
    /// Ed25519: signatures only.
    Ed25519,
    /// Ed448: signatures only.
    Ed448,
    /// X25519: key agreement only.
    X25519,
    /// X448: key agreement only.
    X448,
    /// DSA with a modulus of so many bits: old signatures are checked, and none are made.
    Dsa(usize),
    /// ML-DSA: signatures are checked, and none are made.
    MlDsa(MlDsa),
    /// SLH-DSA: signatures are checked, and none are made.
    SlhDsa(SlhDsa),
    /// ML-KEM: keys that are encapsulated are read, and none are written.
    MlKem(MlKem),
}

impl KeyAlgorithm {
    /// The kind called so: `rsa2048`, `rsa-3072`, `p256`, `ed25519` …; kinds that are only read are not among them.
    pub fn from_name(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        if let Some(bits) = name.strip_prefix("rsa") {
            let bits: usize = bits.trim_start_matches('-').parse().ok()?;
            return (2048..=8192).contains(&bits).then_some(Self::Rsa(bits));
        }
        match name.trim_start_matches("ec-").replace('-', "").as_str() {
            "p256" => Some(Self::P256),
            "p384" => Some(Self::P384),
            "p521" => Some(Self::P521),
            "ed25519" => Some(Self::Ed25519),
            "x25519" => Some(Self::X25519),
            _ => None,
        }
    }

    /// The name, as `rsa-2048` or `p256`.
    pub fn name(self) -> String {
        self.to_string()
    }

    /// Whether keys of this kind sign.
    pub fn signs(self) -> bool {
        !matches!(self, Self::X25519 | Self::X448 | Self::MlKem(_))
    }

    /// Whether keys of this kind carry or agree on keys.
    pub fn encrypts(self) -> bool {
        !matches!(self, Self::Ed25519 | Self::Ed448 | Self::Dsa(_) | Self::MlDsa(_) | Self::SlhDsa(_))
    }

    /// Whether keys of this kind agree on keys (Diffie-Hellman over elliptic curves).
    pub fn agrees(self) -> bool {
        self.encrypts() && !self.is_rsa() && !matches!(self, Self::MlKem(_))
    }

    /// Whether messages are read with keys of this kind and none are written.
    pub fn is_read_only(self) -> bool {
        matches!(self, Self::Dsa(_) | Self::MlDsa(_) | Self::SlhDsa(_) | Self::MlKem(_))
    }

    /// Whether it is RSA.
    pub fn is_rsa(self) -> bool {
        matches!(self, Self::Rsa(_))
    }
}

impl fmt::Display for KeyAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rsa(bits) => write!(f, "rsa-{bits}"),
            Self::P256 => f.write_str("p256"),
            Self::P384 => f.write_str("p384"),
            Self::P521 => f.write_str("p521"),
            Self::BrainpoolP256 => f.write_str("brainpool-p256"),
            Self::BrainpoolP384 => f.write_str("brainpool-p384"),
            Self::Ed448 => f.write_str("ed448"),
            Self::X448 => f.write_str("x448"),
            Self::Ed25519 => f.write_str("ed25519"),
            Self::X25519 => f.write_str("x25519"),
            Self::Dsa(bits) => write!(f, "dsa-{bits}"),
            Self::MlDsa(set) => f.write_str(set.name()),
            Self::SlhDsa(set) => f.write_str(set.name()),
            Self::MlKem(set) => f.write_str(set.name()),
        }
    }
}
