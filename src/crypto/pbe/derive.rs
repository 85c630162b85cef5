//! Keys from passwords with parameters as received, within bounds.

use std::fmt;

use crate::asn1::{Cursor, Oid, Tag, oid};
use crate::crypto::Error;
use crate::crypto::algorithm::{AlgorithmIdentifier, DigestAlgorithm};
use crate::crypto::kdf;
use crate::limits::{Budget, LimitReached, Limits};
use crate::secret::Secret;

/// What the key derivations of one file or one message may cost, together.
pub struct Cost {
    rounds: Budget,
    memory: u64,
    /// Keys that were derived; `None` where they are not kept.
    known: Option<Vec<Known>>,
}

/// A key that was derived, and what of.
struct Known {
    algorithm: Vec<u8>,
    password: Secret<Vec<u8>>,
    len: usize,
    key: Secret<Vec<u8>>,
}

impl fmt::Debug for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cost").field("rounds", &self.rounds).field("memory", &self.memory).finish_non_exhaustive()
    }
}

impl Cost {
    /// The bounds `kdf iterations` and `kdf memory bytes`.
    pub fn new(limits: &Limits) -> Self {
        Self { rounds: Budget::new("kdf iterations", limits.kdf_iterations), memory: limits.kdf_memory_bytes, known: None }
    }

    /// Keeps the keys: one that is asked for again costs nothing.
    #[must_use]
    pub fn remembering(self) -> Self {
        Self { known: Some(Vec::new()), ..self }
    }

    /// Spends the rounds of a key of `len` bytes: each block of the digest takes all of them, and a round takes longer under some digests.
    pub fn spend(&mut self, iterations: u64, digest: DigestAlgorithm, len: usize) -> Result<(), LimitReached> {
        let blocks = u64::try_from(len.div_ceil(digest.output_len())).unwrap_or(u64::MAX);
        self.take(iterations.saturating_mul(blocks).saturating_mul(weight(digest)))
    }

    /// Spends what scrypt takes: 128·N·r bytes at a time, and twice over each of p such blocks of memory.
    fn spend_scrypt(&mut self, n: u64, r: u64, p: u64) -> Result<(), LimitReached> {
        let blocks = n.saturating_mul(r);
        let bytes = blocks.saturating_add(r.saturating_mul(p)).saturating_mul(128);
        if bytes > self.memory {
            return Err(LimitReached { name: "kdf memory bytes", limit: self.memory });
        }
        self.take(blocks.saturating_mul(p).saturating_mul(2))
    }

    /// What is refused is not computed: it leaves room for others.
    fn take(&mut self, rounds: u64) -> Result<(), LimitReached> {
        let mut left = self.rounds.clone();
        left.spend(rounds)?;
        self.rounds = left;
        Ok(())
    }
}

/// How many rounds of SHA-256 take the time of one.
fn weight(digest: DigestAlgorithm) -> u64 {
    use DigestAlgorithm as D;
    match digest {
        D::Md5 | D::Sha1 | D::Sha224 | D::Sha256 => 1,
        D::Sha384 | D::Sha512 | D::Sha512_224 | D::Sha512_256 => 2,
        D::Sha3_224 | D::Sha3_256 | D::Sha3_384 | D::Sha3_512 | D::Shake128 | D::Shake256 => 3,
    }
}

/// The HMACs that derivations and codes name.
const HMACS: &[(Oid, DigestAlgorithm)] = &[
    (oid::HMAC_MD5, DigestAlgorithm::Md5),
    (oid::HMAC_SHA1, DigestAlgorithm::Sha1),
    (oid::HMAC_SHA224, DigestAlgorithm::Sha224),
    (oid::HMAC_SHA256, DigestAlgorithm::Sha256),
    (oid::HMAC_SHA384, DigestAlgorithm::Sha384),
    (oid::HMAC_SHA512, DigestAlgorithm::Sha512),
    (oid::HMAC_SHA512_224, DigestAlgorithm::Sha512_224),
    (oid::HMAC_SHA512_256, DigestAlgorithm::Sha512_256),
    (oid::HMAC_SHA3_224, DigestAlgorithm::Sha3_224),
    (oid::HMAC_SHA3_256, DigestAlgorithm::Sha3_256),
    (oid::HMAC_SHA3_384, DigestAlgorithm::Sha3_384),
    (oid::HMAC_SHA3_512, DigestAlgorithm::Sha3_512),
];

/// The digest of an HMAC identifier.
pub fn hmac_digest(identifier: &AlgorithmIdentifier) -> Result<DigestAlgorithm, Error> {
    let found = HMACS.iter().find(|row| row.0 == identifier.oid).map(|row| row.1);
    found.ok_or_else(|| Error::Unsupported { what: "message authentication", name: identifier.name() })
}

/// A key by PBKDF2 or scrypt with parameters as received; of `len` bytes where they do not name another length.
pub fn derive_key(
    algorithm: &AlgorithmIdentifier,
    password: &[u8],
    len: usize,
    cost: &mut Cost,
) -> Result<Secret<Vec<u8>>, Error> {
    let encoded = cost.known.as_ref().map(|_| algorithm.to_der()).unwrap_or_default();
    let is_it = |known: &&Known| known.algorithm == encoded && known.len == len && known.password.expose() == password;
    if let Some(known) = cost.known.iter().flatten().find(is_it) {
        return Ok(known.key.clone());
    }
    let parameters = || algorithm.real_parameters().ok_or(Error::Malformed { what: "a key derivation without parameters" });
    let key = match algorithm.oid {
        oid::PBKDF2 => pbkdf2(parameters()?, password, len, cost)?,
        oid::SCRYPT => scrypt(parameters()?, password, len, cost)?,
        _ => return Err(Error::Unsupported { what: "key derivation", name: algorithm.name() }),
    };
    if let Some(known) = &mut cost.known {
        known.push(Known { algorithm: encoded, password: Secret::new(password.to_vec()), len, key: key.clone() });
    }
    Ok(key)
}

/// The length of the key that the parameters of a derivation name, if they do.
pub fn named_length(algorithm: &AlgorithmIdentifier) -> Result<Option<u64>, Error> {
    let mut outer = Cursor::new(algorithm.real_parameters().unwrap_or_default());
    let mut fields = outer.sequence()?;
    match algorithm.oid {
        oid::PBKDF2 => {
            fields.any()?;
            fields.integer()?;
        }
        _ => {
            fields.any()?;
            (0..3).try_for_each(|_| fields.integer().map(drop))?;
        }
    }
    if fields.peek() == Some(Tag::INTEGER) { Ok(Some(fields.small_unsigned()?)) } else { Ok(None) }
}

/// ```text
/// PBKDF2-params ::= SEQUENCE {
///   salt CHOICE { specified OCTET STRING, otherSource AlgorithmIdentifier },
///   iterationCount INTEGER, keyLength INTEGER OPTIONAL, prf AlgorithmIdentifier DEFAULT hmacWithSHA1 }
/// ```
fn pbkdf2(parameters: &[u8], password: &[u8], len: usize, cost: &mut Cost) -> Result<Secret<Vec<u8>>, Error> {
    let mut outer = Cursor::new(parameters);
    let mut fields = outer.sequence()?;
    let salt = fields.octet_string()?;
    let iterations = fields.small_unsigned()?.max(1);
    let len = key_length(&mut fields, len)?;
    let mut digest = DigestAlgorithm::Sha1;
    if !fields.is_empty() {
        digest = hmac_digest(&AlgorithmIdentifier::from_cursor(&mut fields)?)?;
    }
    fields.finish()?;
    cost.spend(iterations, digest, len)?;
    Ok(kdf::pbkdf2(digest, password, &salt, iterations, len))
}

/// `scrypt-params ::= SEQUENCE { salt OCTET STRING, costParameter, blockSize, parallelizationParameter, keyLength OPTIONAL }` (RFC 7914 7.1)
fn scrypt(parameters: &[u8], password: &[u8], len: usize, cost: &mut Cost) -> Result<Secret<Vec<u8>>, Error> {
    let mut outer = Cursor::new(parameters);
    let mut fields = outer.sequence()?;
    let salt = fields.octet_string()?;
    let (n, r, p) = (fields.small_unsigned()?, fields.small_unsigned()?, fields.small_unsigned()?);
    let len = key_length(&mut fields, len)?;
    fields.finish()?;
    cost.spend_scrypt(n, r, p)?;
    kdf::scrypt(password, &salt, (n, r, p), len)
}

/// 128 bytes is more than any cipher takes.
fn key_length(fields: &mut Cursor<'_>, len: usize) -> Result<usize, Error> {
    if fields.peek() != Some(Tag::INTEGER) {
        return Ok(len);
    }
    let named = fields.small_unsigned()?;
    usize::try_from(named)
        .ok()
        .filter(|len| (1..=128).contains(len))
        .ok_or(Error::Malformed { what: "a derived key of a length that no cipher has" })
}
