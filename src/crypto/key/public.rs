//! Public keys, and their forms inside SubjectPublicKeyInfo.

use std::fmt;
use std::sync::{Arc, OnceLock};

use super::{post_quantum, unreadable};
use crate::asn1::{Cursor, Oid, Tag, encode, oid};
use crate::crypto::Error;
use crate::crypto::algorithm::{
    AlgorithmIdentifier, DigestAlgorithm, KeyAlgorithm, MlDsa, MlKem, SignatureAlgorithm, SlhDsa, pss_from_parameters,
};

/// A public key, with its SubjectPublicKeyInfo as received. Cheap to clone.
#[derive(Clone)]
pub struct PublicKey(Arc<Inner>);

struct Inner {
    algorithm: KeyAlgorithm,
    spki: Vec<u8>,
    bits: Vec<u8>,
    kind: PublicKind,
    uses: Uses,
}

/// What the identifier of a key leaves it for (RFC 4055 1.2, 3.3).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Uses {
    /// All that keys of its kind do.
    Any,
    /// RSASSA-PSS.
    Pss,
    /// RSASSA-PSS with these digests, and a salt no shorter than this.
    PssAs(SignatureAlgorithm),
}

impl Uses {
    fn read(algorithm: &AlgorithmIdentifier) -> Result<Self, Error> {
        Ok(match (algorithm.oid, algorithm.real_parameters()) {
            (oid::RSA_PSS, None) => Self::Pss,
            (oid::RSA_PSS, parameters) => Self::PssAs(pss_from_parameters(parameters)?),
            (oid::RSA_PSS_SHAKE128, _) => Self::PssAs(SignatureAlgorithm::pss(DigestAlgorithm::Shake128)),
            (oid::RSA_PSS_SHAKE256, _) => Self::PssAs(SignatureAlgorithm::pss(DigestAlgorithm::Shake256)),
            _ => Self::Any,
        })
    }
}

pub(in crate::crypto) enum PublicKind {
    Rsa(RsaPublic),
    P256(p256::PublicKey),
    P384(p384::PublicKey),
    P521(p521::PublicKey),
    BrainpoolP256(elliptic_curve::PublicKey<bp256::BrainpoolP256r1>),
    BrainpoolP384(elliptic_curve::PublicKey<bp384::BrainpoolP384r1>),
    Ed25519(ed25519_dalek::VerifyingKey),
    Ed448(Box<ed448_goldilocks::VerifyingKey>),
    X25519([u8; 32]),
    X448([u8; 56]),
    Dsa(Box<dsa::VerifyingKey>),
    /// Any bytes of the right length; they are taken apart where they are used.
    MlDsa(MlDsa),
    SlhDsa(SlhDsa),
    MlKem(MlKem),
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.algorithm())
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.algorithm() == other.algorithm() && self.key_bits() == other.key_bits()
    }
}

impl Eq for PublicKey {}

impl PublicKey {
    /// Reads a SubjectPublicKeyInfo.
    pub fn from_spki(bytes: &[u8]) -> Result<Self, Error> {
        let mut outer = Cursor::new(bytes);
        let mut fields = outer.sequence()?;
        outer.finish()?;
        let algorithm = AlgorithmIdentifier::from_cursor(&mut fields)?;
        let (unused, bits) = fields.bit_string()?;
        fields.finish()?;
        if unused != 0 {
            return Err(unreadable("public"));
        }
        let kind = PublicKind::read(&algorithm, &bits)?;
        let uses = Uses::read(&algorithm)?;
        Ok(Self(Arc::new(Inner { algorithm: kind.algorithm(), spki: bytes.to_vec(), bits: bits.into_owned(), kind, uses })))
    }

    /// Whether it is an RSA key for RSASSA-PSS alone (RFC 4055 1.2).
    pub fn is_pss(&self) -> bool {
        self.0.uses != Uses::Any
    }

    /// Whether keys are carried to it or agreed on with it.
    pub fn encrypts(&self) -> bool {
        self.algorithm().encrypts() && !self.is_pss()
    }

    /// The usual signature algorithm for this digest; where the key names its own parameters, those.
    pub fn signature_algorithm(&self, digest: DigestAlgorithm) -> Result<SignatureAlgorithm, Error> {
        match self.0.uses {
            Uses::Any => SignatureAlgorithm::default_for(self.algorithm(), digest),
            Uses::Pss => Ok(SignatureAlgorithm::pss(digest)),
            Uses::PssAs(SignatureAlgorithm::RsaPss { digest, mgf_digest, salt_len }) => {
                Ok(SignatureAlgorithm::RsaPss { digest, mgf_digest, salt_len: salt_len.max(digest.output_len()) })
            }
            Uses::PssAs(algorithm) => Ok(algorithm),
        }
    }

    /// Refuses a signature by another algorithm, or with other parameters, than the key is for (RFC 4055 3.3).
    pub(crate) fn refuse_other_uses(&self, algorithm: SignatureAlgorithm) -> Result<(), Error> {
        use SignatureAlgorithm::RsaPss;
        match (self.0.uses, algorithm) {
            (Uses::Any, _) | (Uses::Pss, RsaPss { .. }) => Ok(()),
            (
                Uses::PssAs(RsaPss { digest, mgf_digest, salt_len: least }),
                RsaPss { digest: used, mgf_digest: mask, salt_len },
            ) => {
                let is_allowed = used == digest && mask == mgf_digest && salt_len >= least;
                is_allowed.then_some(()).ok_or(Error::KeyMismatch { what: "the key is for RSASSA-PSS with other parameters" })
            }
            _ => Err(Error::KeyMismatch { what: "the key is for RSASSA-PSS alone" }),
        }
    }

    /// The SubjectPublicKeyInfo.
    pub fn spki(&self) -> &[u8] {
        &self.0.spki
    }

    /// The content of its BIT STRING, which key identifiers hash (RFC 5280 4.2.1.2).
    pub fn key_bits(&self) -> &[u8] {
        &self.0.bits
    }

    /// Its kind.
    pub fn algorithm(&self) -> KeyAlgorithm {
        self.0.algorithm
    }

    pub(in crate::crypto) fn kind(&self) -> &PublicKind {
        &self.0.kind
    }
}

impl PublicKind {
    fn read(algorithm: &AlgorithmIdentifier, bits: &[u8]) -> Result<Self, Error> {
        Ok(match algorithm.oid {
            // RFC 8702 3.3: the identifiers of signatures are those of keys, too
            oid::RSA_ENCRYPTION | oid::RSA_PSS | oid::RSA_PSS_SHAKE128 | oid::RSA_PSS_SHAKE256 => {
                Self::Rsa(RsaPublic::read(bits)?)
            }
            oid::EC_PUBLIC_KEY => ec(bits, algorithm.real_parameters())?,
            oid::ED25519 => Self::Ed25519(ed25519_dalek::VerifyingKey::from_bytes(&raw(bits)?).map_err(|_| unreadable("raw"))?),
            oid::ED448 => {
                let point: [u8; 57] = raw(bits)?;
                let key = ed448_goldilocks::VerifyingKey::from_bytes(&point).map_err(|_| unreadable("raw"))?;
                Self::Ed448(Box::new(key))
            }
            oid::X25519 => Self::X25519(raw(bits)?),
            oid::X448 => Self::X448(raw(bits)?),
            oid::DSA => dsa_public(bits, algorithm.real_parameters())?,
            _ => return Self::read_post_quantum(algorithm, bits),
        })
    }

    /// RFC 9881 4, RFC 9909 5, RFC 9935 4: the bytes of the standards, wrapped in nothing.
    fn read_post_quantum(algorithm: &AlgorithmIdentifier, bits: &[u8]) -> Result<Self, Error> {
        let (kind, is_one) = if let Some(set) = MlDsa::from_oid(&algorithm.oid) {
            (Self::MlDsa(set), bits.len() == set.public_len())
        } else if let Some(set) = SlhDsa::from_oid(&algorithm.oid) {
            (Self::SlhDsa(set), bits.len() == set.hash_len().saturating_mul(2))
        } else if let Some(set) = MlKem::from_oid(&algorithm.oid) {
            (Self::MlKem(set), post_quantum::is_ml_kem_public(set, bits))
        } else {
            return Err(Error::Unsupported { what: "public key", name: algorithm.name() });
        };
        if is_one { Ok(kind) } else { Err(unreadable("post-quantum")) }
    }

    fn algorithm(&self) -> KeyAlgorithm {
        match self {
            Self::Rsa(key) => KeyAlgorithm::Rsa(key.bits()),
            Self::P256(_) => KeyAlgorithm::P256,
            Self::P384(_) => KeyAlgorithm::P384,
            Self::P521(_) => KeyAlgorithm::P521,
            Self::BrainpoolP256(_) => KeyAlgorithm::BrainpoolP256,
            Self::BrainpoolP384(_) => KeyAlgorithm::BrainpoolP384,
            Self::Ed25519(_) => KeyAlgorithm::Ed25519,
            Self::Ed448(_) => KeyAlgorithm::Ed448,
            Self::X25519(_) => KeyAlgorithm::X25519,
            Self::X448(_) => KeyAlgorithm::X448,
            Self::MlDsa(set) => KeyAlgorithm::MlDsa(*set),
            Self::SlhDsa(set) => KeyAlgorithm::SlhDsa(*set),
            Self::MlKem(set) => KeyAlgorithm::MlKem(*set),
            Self::Dsa(key) => KeyAlgorithm::Dsa(usize::try_from(key.components().p().as_ref().bits_precision()).unwrap_or(0)),
        }
    }
}

/// An RSA public key. The form that pure Rust computes with is made when it is first needed: it takes half as long as a check by AWS-LC.
pub(in crate::crypto) struct RsaPublic {
    n: Vec<u8>,
    e: Vec<u8>,
    ready: OnceLock<Option<rsa::RsaPublicKey>>,
}

impl RsaPublic {
    /// RSA of 512 to 8 192 bits: smaller ones appear in old test messages and are judged weak by `pki`, larger ones cost too much. The
    /// exponent is below 2^33 (as the `rsa` crate has it): a large one makes each check as long as a signature.
    fn read(bits: &[u8]) -> Result<Self, Error> {
        let mut outer = Cursor::new(bits);
        let mut fields = outer.sequence()?;
        let strip = |bytes: &[u8]| -> Vec<u8> { bytes.iter().copied().skip_while(|byte| *byte == 0).collect() };
        let (n, e) = (strip(fields.integer()?), strip(fields.integer()?));
        if !(64..=1024).contains(&n.len()) || e.is_empty() || e.len() > 8 {
            return Err(Error::Unsupported { what: "RSA key size", name: format!("{} bytes of modulus", n.len()) });
        }
        let is_odd = |number: &[u8]| number.last().is_some_and(|last| last % 2 == 1);
        let key = Self { n, e, ready: OnceLock::new() };
        let sound = is_odd(&key.n) && is_odd(&key.e) && (3..1 << 33).contains(&key.exponent()) && key.bits() >= 512;
        if sound { Ok(key) } else { Err(unreadable("RSA")) }
    }

    /// The key in the form that pure Rust computes with.
    pub(in crate::crypto) fn ready(&self) -> Result<&rsa::RsaPublicKey, Error> {
        let number = |bytes: &[u8]| {
            let precision = u32::try_from(bytes.len().saturating_mul(8)).unwrap_or(u32::MAX);
            rsa::BoxedUint::from_be_slice(bytes, precision).ok()
        };
        let make = || rsa::RsaPublicKey::new_with_size_limits(number(&self.n)?, number(&self.e)?, 512..=8192).ok();
        self.ready.get_or_init(make).as_ref().ok_or_else(|| unreadable("RSA"))
    }

    /// The modulus, without zeros in front.
    pub(super) fn modulus(&self) -> &[u8] {
        &self.n
    }

    /// The public exponent, which is below 2^33.
    pub(super) fn exponent(&self) -> u64 {
        self.e.iter().fold(0, |value, byte| (value << 8) | u64::from(*byte))
    }

    /// Bits of modulus.
    fn bits(&self) -> usize {
        let zeros = self.n.first().map_or(0, |first| first.leading_zeros());
        self.n.len().saturating_mul(8).saturating_sub(usize::try_from(zeros).unwrap_or(0))
    }
}

fn raw<const N: usize>(bits: &[u8]) -> Result<[u8; N], Error> {
    <[u8; N]>::try_from(bits).map_err(|_| unreadable("raw"))
}

/// RFC 5480 2.1.1: a curve is named. One that is spelled out may differ from the one that it looks like (CVE-2020-0601).
pub(super) fn named_curve(parameters: &[u8]) -> Result<Oid, Error> {
    let mut fields = Cursor::new(parameters);
    if fields.peek() == Some(Tag::SEQUENCE) {
        return Err(Error::Unsupported { what: "curve", name: "explicit parameters".to_owned() });
    }
    Ok(fields.oid()?)
}

pub(super) fn unknown_curve(curve: &Oid) -> Error {
    Error::Unsupported { what: "curve", name: oid::name(curve).map_or_else(|| curve.to_string(), str::to_owned) }
}

/// A point; each of these checks that it is on the curve.
fn ec(point: &[u8], curve: Option<&[u8]>) -> Result<PublicKind, Error> {
    let unreadable = |_| unreadable("EC");
    Ok(match named_curve(curve.ok_or_else(|| super::unreadable("EC"))?)? {
        oid::P256 => PublicKind::P256(p256::PublicKey::from_sec1_bytes(point).map_err(unreadable)?),
        oid::P384 => PublicKind::P384(p384::PublicKey::from_sec1_bytes(point).map_err(unreadable)?),
        oid::P521 => PublicKind::P521(p521::PublicKey::from_sec1_bytes(point).map_err(unreadable)?),
        oid::BRAINPOOL_P256R1 => {
            PublicKind::BrainpoolP256(elliptic_curve::PublicKey::from_sec1_bytes(point).map_err(unreadable)?)
        }
        oid::BRAINPOOL_P384R1 => {
            PublicKind::BrainpoolP384(elliptic_curve::PublicKey::from_sec1_bytes(point).map_err(unreadable)?)
        }
        other => return Err(unknown_curve(&other)),
    })
}

/// `Dss-Parms ::= SEQUENCE { p, q, g }` and the INTEGER y (RFC 3279 2.3.2), of the sizes of FIPS 186-4 alone: others have no purpose, and
/// large ones cost time. Parameters that are inherited from the issuer are not looked up.
fn dsa_public(bits: &[u8], parameters: Option<&[u8]>) -> Result<PublicKind, Error> {
    let inherited = || Error::Unsupported { what: "DSA key", name: "with the parameters of its issuer".to_owned() };
    let mut outer = Cursor::new(parameters.ok_or_else(inherited)?);
    let mut fields = outer.sequence()?;
    let strip = |bytes: &[u8]| -> Vec<u8> { bytes.iter().copied().skip_while(|byte| *byte == 0).collect() };
    let (p, q, g) = (strip(fields.integer()?), strip(fields.integer()?), strip(fields.integer()?));
    fields.finish()?;
    let y = strip(Cursor::new(bits).integer()?);
    // the crate's arithmetic is modulo an odd number, of numbers as wide as it and below it
    let padded = |bytes: &[u8]| -> Option<Vec<u8>> {
        let mut wide = vec![0; p.len().checked_sub(bytes.len())?];
        wide.extend_from_slice(bytes);
        (wide < p).then_some(wide)
    };
    let is_odd = p.last().is_some_and(|last| last % 2 == 1);
    let (true, 128..=384, 20..=32, Some(g), Some(y)) = (is_odd, p.len(), q.len(), padded(&g), padded(&y)) else {
        return Err(unreadable("DSA"));
    };
    let number = |bytes: &[u8]| {
        let precision = u32::try_from(bytes.len().saturating_mul(8)).unwrap_or(u32::MAX);
        dsa::BoxedUint::from_be_slice(bytes, precision).map_err(|_| unreadable("DSA"))
    };
    let components = dsa::Components::from_components(number(&p)?, number(&q)?, number(&g)?).map_err(|_| unreadable("DSA"))?;
    let key = dsa::VerifyingKey::from_components(components, number(&y)?).map_err(|_| unreadable("DSA"))?;
    Ok(PublicKind::Dsa(Box::new(key)))
}

/// `RSAPublicKey ::= SEQUENCE { n, e }` inside SubjectPublicKeyInfo (RFC 3279 2.3.1).
pub(super) fn rsa_spki(algorithm: &AlgorithmIdentifier, n: &[u8], e: &[u8]) -> Vec<u8> {
    let key = encode::sequence(&[encode::integer(n), encode::integer(e)]);
    encode::sequence(&[algorithm.to_der(), encode::bit_string(&key)])
}

/// A point inside SubjectPublicKeyInfo (RFC 5480 2.1).
pub(super) fn ec_spki(curve: &Oid, point: &[u8]) -> Vec<u8> {
    let algorithm = AlgorithmIdentifier::with(oid::EC_PUBLIC_KEY, encode::oid(curve));
    encode::sequence(&[algorithm.to_der(), encode::bit_string(point)])
}

/// A key that is bare bytes (RFC 8410 section 4).
pub(super) fn raw_spki(algorithm: Oid, key: &[u8]) -> Vec<u8> {
    encode::sequence(&[AlgorithmIdentifier::bare(algorithm).to_der(), encode::bit_string(key)])
}
