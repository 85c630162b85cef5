//! The forms of private keys inside PKCS#8.

use std::sync::OnceLock;

use elliptic_curve::array::typenum::Unsigned;
use elliptic_curve::bigint::ConcatenatingMul;
use elliptic_curve::sec1::ToSec1Point;

use super::external::{self, External};
use super::post_quantum::{Held, MlKemPrivate};
use super::public::{ec_spki, named_curve, raw_spki, rsa_spki, unknown_curve};
use super::unreadable;
use crate::asn1::{Cursor, Oid, encode, oid};
use crate::crypto::Error;
use crate::crypto::algorithm::{AlgorithmIdentifier, MlDsa, MlKem, SlhDsa};
use crate::crypto::provider;
use crate::secret::Secret;

pub(in crate::crypto) enum PrivateKind {
    Rsa(RsaPrivate),
    P256(p256::SecretKey),
    P384(p384::SecretKey),
    P521(p521::SecretKey),
    BrainpoolP256(bp256::r1::SecretKey),
    BrainpoolP384(bp384::r1::SecretKey),
    Ed25519(ed25519_dalek::SigningKey),
    Ed448(Box<ed448_goldilocks::SigningKey>),
    X25519(x25519_dalek::StaticSecret),
    X448(Secret<[u8; 56]>),
    /// ML-DSA or SLH-DSA.
    Held(Held),
    MlKem(MlKemPrivate),
    /// It lies elsewhere.
    External(External),
}

impl PrivateKind {
    /// Reads the inner key of PKCS#8.
    pub(super) fn read(algorithm: &AlgorithmIdentifier, inner: &[u8]) -> Result<Self, Error> {
        Ok(match algorithm.oid {
            oid::RSA_ENCRYPTION | oid::RSA_PSS => Self::Rsa(RsaPrivate::read(algorithm, inner)?),
            oid::EC_PUBLIC_KEY => ec(inner, algorithm.real_parameters())?,
            oid::ED25519 => Self::Ed25519(ed25519_dalek::SigningKey::from_bytes(seed(inner)?.expose())),
            oid::ED448 => {
                let seed: Secret<[u8; 57]> = seed(inner)?;
                let seed = ed448_goldilocks::SecretKey::from(*seed.expose());
                Self::Ed448(Box::new(ed448_goldilocks::SigningKey::from(seed)))
            }
            oid::X25519 => Self::X25519(x25519_dalek::StaticSecret::from(*seed(inner)?.expose())),
            oid::X448 => Self::X448(seed(inner)?),
            _ => return Self::read_post_quantum(algorithm, inner),
        })
    }

    fn read_post_quantum(algorithm: &AlgorithmIdentifier, inner: &[u8]) -> Result<Self, Error> {
        if let Some(set) = MlDsa::from_oid(&algorithm.oid) {
            return Held::ml_dsa(set, inner).map(Self::Held);
        }
        if let Some(set) = SlhDsa::from_oid(&algorithm.oid) {
            return Held::slh_dsa(set, inner).map(Self::Held);
        }
        if let Some(set) = MlKem::from_oid(&algorithm.oid) {
            return MlKemPrivate::read(set, inner).map(Self::MlKem);
        }
        Err(Error::Unsupported { what: "private key", name: algorithm.name() })
    }

    /// The key as PKCS#8, and its public key as SubjectPublicKeyInfo.
    pub(super) fn encoded(&self) -> Result<(Secret<Vec<u8>>, Vec<u8>), Error> {
        Ok(match self {
            Self::Rsa(key) => (pkcs8_of(&key.algorithm, key.pkcs1.expose()), rsa_spki(&key.algorithm, &key.n, &key.e)),
            Self::P256(key) => ec_forms(&oid::P256, key),
            Self::P384(key) => ec_forms(&oid::P384, key),
            Self::P521(key) => ec_forms(&oid::P521, key),
            Self::BrainpoolP256(key) => ec_forms(&oid::BRAINPOOL_P256R1, key),
            Self::BrainpoolP384(key) => ec_forms(&oid::BRAINPOOL_P384R1, key),
            Self::Ed25519(key) => raw_forms(oid::ED25519, key.as_bytes(), key.verifying_key().as_bytes()),
            Self::Ed448(key) => raw_forms(oid::ED448, key.as_bytes(), key.verifying_key().as_bytes()),
            Self::X25519(key) => raw_forms(oid::X25519, key.as_bytes(), x25519_dalek::PublicKey::from(key).as_bytes()),
            Self::X448(key) => {
                let public = crate::crypto::agreement::x448(key, &ed448_goldilocks::MontgomeryPoint::GENERATOR.0);
                raw_forms(oid::X448, key.expose(), public.expose())
            }
            Self::Held(key) => key.encoded(),
            Self::MlKem(key) => key.encoded(),
            Self::External(_) => return Err(external::stays()),
        })
    }
}

/// An RSA private key. The form that pure Rust computes with is made when it is first needed: that, and its checks, take as long as
/// a signature of AWS-LC, which makes its own.
pub(in crate::crypto) struct RsaPrivate {
    /// What it is for: `rsaEncryption`, or RSASSA-PSS with its parameters.
    algorithm: AlgorithmIdentifier,
    n: Vec<u8>,
    e: Vec<u8>,
    pkcs1: Secret<Vec<u8>>,
    ready: OnceLock<Option<Box<rsa::RsaPrivateKey>>>,
}

impl RsaPrivate {
    pub(super) fn from_key(key: &rsa::RsaPrivateKey) -> Result<Self, Error> {
        let der = pkcs1::EncodeRsaPrivateKey::to_pkcs1_der(key).map_err(|_| unreadable("private"))?;
        Self::read(&AlgorithmIdentifier::with_null(oid::RSA_ENCRYPTION), der.as_bytes())
    }

    /// `RSAPrivateKey ::= SEQUENCE { version, n, e, d, p, q, d mod (p-1), d mod (q-1), (inverse of q) mod p }` (RFC 8017 A.1.2)
    ///
    /// That p and q make n is checked here, for a key that is not whole is to be told of when it is read; the rest when it is first used.
    fn read(algorithm: &AlgorithmIdentifier, pkcs1: &[u8]) -> Result<Self, Error> {
        let mut outer = Cursor::new(pkcs1);
        let mut fields = outer.sequence()?;
        if fields.small_unsigned()? != 0 {
            return Err(Error::Unsupported { what: "RSA key", name: "with more than two primes".to_owned() });
        }
        let mut numbers = Vec::with_capacity(8);
        for _ in 0..8 {
            let number: Vec<u8> = fields.integer()?.iter().copied().skip_while(|byte| *byte == 0).collect();
            numbers.push(Secret::new(number));
        }
        let [n, e, _, p, q, ..] = numbers.as_slice() else { return Err(unreadable("RSA")) };
        if !(128..=1024).contains(&n.expose().len()) {
            return Err(Error::Unsupported { what: "RSA key size", name: format!("{} bytes of modulus", n.expose().len()) });
        }
        if !is_product(n.expose(), p.expose(), q.expose()) {
            return Err(unreadable("RSA"));
        }
        let (n, e) = (n.expose().clone(), e.expose().clone());
        let version = encode::integer_u64(0);
        let values = Secret::new(numbers.iter().map(|number| encode::integer(number.expose())).collect::<Vec<_>>().concat());
        let pkcs1 = Secret::new(encode::sequence(&[version.as_slice(), values.expose()]));
        Ok(Self { algorithm: algorithm.clone(), n, e, pkcs1, ready: OnceLock::new() })
    }

    /// The key in the form that pure Rust computes with.
    pub(in crate::crypto) fn ready(&self) -> Result<&rsa::RsaPrivateKey, Error> {
        let make = || pkcs1::DecodeRsaPrivateKey::from_pkcs1_der(self.pkcs1.expose()).ok().map(Box::new);
        self.ready.get_or_init(make).as_deref().ok_or_else(|| unreadable("RSA"))
    }

    /// Bytes of modulus.
    pub(in crate::crypto) fn size(&self) -> usize {
        self.n.len()
    }

    /// `RSAPrivateKey`, as it is read and written.
    pub(in crate::crypto) fn pkcs1(&self) -> &Secret<Vec<u8>> {
        &self.pkcs1
    }
}

fn is_product(n: &[u8], p: &[u8], q: &[u8]) -> bool {
    let number = |bytes: &[u8]| {
        let precision = u32::try_from(bytes.len().saturating_mul(8)).unwrap_or(u32::MAX);
        rsa::BoxedUint::from_be_slice(bytes, precision).ok()
    };
    if p.is_empty() || q.is_empty() || p.len().saturating_add(q.len()) > n.len().saturating_add(1) {
        return false;
    }
    let (Some(n), Some(p), Some(q)) = (number(n), number(p), number(q)) else { return false };
    p.concatenating_mul(&q) == n
}

/// RFC 8410 section 7: an OCTET STRING inside the OCTET STRING.
fn seed<const N: usize>(inner: &[u8]) -> Result<Secret<[u8; N]>, Error>
where
    [u8; N]: zeroize::Zeroize,
{
    let bytes = Cursor::new(inner).octet_string()?;
    <[u8; N]>::try_from(bytes.as_ref()).map(Secret::new).map_err(|_| unreadable("raw"))
}

/// `ECPrivateKey ::= SEQUENCE { version, privateKey, parameters [0] OPTIONAL, publicKey [1] OPTIONAL }` (RFC 5915)
fn ec(sec1: &[u8], curve: Option<&[u8]>) -> Result<PrivateKind, Error> {
    let mut outer = Cursor::new(sec1);
    let mut fields = outer.sequence()?;
    fields.integer()?;
    let scalar = fields.octet_string()?;
    let curve = match curve {
        Some(bytes) => named_curve(bytes)?,
        None => fields.explicit(0)?.ok_or(unreadable("EC"))?.oid()?,
    };
    Ok(match curve {
        oid::P256 => PrivateKind::P256(ec_scalar(&scalar)?),
        oid::P384 => PrivateKind::P384(ec_scalar(&scalar)?),
        oid::P521 => PrivateKind::P521(ec_scalar(&scalar)?),
        oid::BRAINPOOL_P256R1 => PrivateKind::BrainpoolP256(ec_scalar(&scalar)?),
        oid::BRAINPOOL_P384R1 => PrivateKind::BrainpoolP384(ec_scalar(&scalar)?),
        other => return Err(unknown_curve(&other)),
    })
}

fn ec_scalar<C: elliptic_curve::Curve>(scalar: &[u8]) -> Result<elliptic_curve::SecretKey<C>, Error> {
    // some writers drop leading zeros
    let mut padded = Secret::new(vec![0; C::FieldBytesSize::USIZE.saturating_sub(scalar.len())]);
    padded.expose_mut().extend_from_slice(scalar);
    elliptic_curve::SecretKey::from_slice(padded.expose()).map_err(|_| unreadable("EC"))
}

fn ec_forms<C>(curve: &Oid, key: &elliptic_curve::SecretKey<C>) -> (Secret<Vec<u8>>, Vec<u8>)
where
    C: elliptic_curve::CurveArithmetic,
    elliptic_curve::PublicKey<C>: ToSec1Point<C>,
    elliptic_curve::FieldBytesSize<C>: elliptic_curve::sec1::ModulusSize,
{
    let scalar = Secret::new(key.to_bytes().to_vec());
    let point =
        provider::ec_point(curve, scalar.expose()).unwrap_or_else(|| key.public_key().to_sec1_point(false).as_bytes().to_vec());
    let fields = Secret::new(
        [encode::integer_u64(1), encode::octet_string(scalar.expose()), encode::explicit(1, &encode::bit_string(&point))]
            .concat(),
    );
    let inner = Secret::new(encode::sequence(&[fields.expose()]));
    let algorithm = AlgorithmIdentifier::with(oid::EC_PUBLIC_KEY, encode::oid(curve));
    (pkcs8_of(&algorithm, inner.expose()), ec_spki(curve, &point))
}

fn raw_forms(algorithm: Oid, private: &[u8], public: &[u8]) -> (Secret<Vec<u8>>, Vec<u8>) {
    let inner = Secret::new(encode::octet_string(private));
    (pkcs8_of(&AlgorithmIdentifier::bare(algorithm), inner.expose()), raw_spki(algorithm, public))
}

/// `PrivateKeyInfo ::= SEQUENCE { version, privateKeyAlgorithm, privateKey OCTET STRING }` (RFC 5208)
pub(super) fn pkcs8_of(algorithm: &AlgorithmIdentifier, key: &[u8]) -> Secret<Vec<u8>> {
    let inner = Secret::new(encode::octet_string(key));
    Secret::new(encode::sequence(&[encode::integer_u64(0).as_slice(), &algorithm.to_der(), inner.expose()]))
}
