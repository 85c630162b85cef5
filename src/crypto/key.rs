//! Private and public keys: made, read from every usual form, written.

use std::fmt;
use std::sync::Arc;

use pkcs8::EncodePrivateKey;
use rsa::traits::PublicKeyParts;

use crate::asn1::{Cursor, Oid, Tag, encode, oid, pem};
use crate::crypto::Error;
use crate::crypto::algorithm::{AlgorithmIdentifier, KeyAlgorithm};
use crate::crypto::pbe;
use crate::crypto::provider::{self, FastKey, Provider};
use crate::crypto::random::{Adapter, Random};
use crate::limits::Limits;
use crate::secret::Secret;

/// A private key. Cheap to clone; never printed.
#[derive(Clone)]
pub struct PrivateKey(Arc<Inner>);

struct Inner {
    kind: PrivateKind,
    pkcs8: Secret<Vec<u8>>,
    public: PublicKey,
    fast: FastKey,
}

pub(in crate::crypto) enum PrivateKind {
    Rsa(Box<rsa::RsaPrivateKey>),
    P256(p256::SecretKey),
    P384(p384::SecretKey),
    P521(p521::SecretKey),
    Ed25519(ed25519_dalek::SigningKey),
    X25519(x25519_dalek::StaticSecret),
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey({})", self.algorithm())
    }
}

impl PrivateKey {
    /// Makes a new key.
    pub fn generate(algorithm: KeyAlgorithm, random: &mut dyn Random) -> Result<Self, Error> {
        if let KeyAlgorithm::Rsa(bits) = algorithm
            && Provider::for_random(random) == Provider::Fastest
            && let Some(pkcs8) = provider::generate_rsa(bits)
        {
            return Self::from_pkcs8(pkcs8.expose());
        }
        let mut source = Adapter(random);
        let failed = |_| Error::Malformed { what: "the key cannot be made" };
        let kind = match algorithm {
            KeyAlgorithm::Rsa(bits) => PrivateKind::Rsa(Box::new(
                rsa::RsaPrivateKey::new(&mut source, bits).map_err(|_| Error::Malformed { what: "the key cannot be made" })?,
            )),
            KeyAlgorithm::P256 => PrivateKind::P256(from_bytes(&mut source, 32, p256::SecretKey::from_slice)),
            KeyAlgorithm::P384 => PrivateKind::P384(from_bytes(&mut source, 48, p384::SecretKey::from_slice)),
            KeyAlgorithm::P521 => PrivateKind::P521(from_bytes(&mut source, 66, |bytes| {
                // 521 bits in 66 bytes: the top seven are zero
                let mut bytes = bytes.to_vec();
                if let Some(first) = bytes.first_mut() {
                    *first &= 1;
                }
                p521::SecretKey::from_slice(&bytes)
            })),
            KeyAlgorithm::Ed25519 => PrivateKind::Ed25519(ed25519_dalek::SigningKey::from_bytes(&seed(&mut source))),
            KeyAlgorithm::Dsa(_) => return Err(Error::Unsupported { what: "key", name: "DSA, which is read only".to_owned() }),
            KeyAlgorithm::X25519 => PrivateKind::X25519(x25519_dalek::StaticSecret::from(seed(&mut source))),
        };
        let pkcs8 = encode_kind(&kind).map_err(failed)?;
        Self::from_pkcs8(pkcs8.expose())
    }

    /// Reads PKCS#8 (RFC 5208, 5958), not encrypted.
    pub fn from_pkcs8(bytes: &[u8]) -> Result<Self, Error> {
        let mut outer = Cursor::new(bytes);
        let mut fields = outer.sequence()?;
        fields.integer()?;
        let algorithm = AlgorithmIdentifier::from_cursor(&mut fields)?;
        let inner = fields.octet_string()?;
        let kind = match algorithm.oid {
            oid::RSA_ENCRYPTION | oid::RSA_PSS => {
                let key: rsa::RsaPrivateKey =
                    pkcs1::DecodeRsaPrivateKey::from_pkcs1_der(&inner).map_err(|_| unreadable("RSA"))?;
                PrivateKind::Rsa(Box::new(key))
            }
            oid::EC_PUBLIC_KEY => ec_private(&inner, algorithm.real_parameters())?,
            oid::ED25519 => PrivateKind::Ed25519(ed25519_dalek::SigningKey::from_bytes(&raw_seed(&inner)?)),
            oid::X25519 => PrivateKind::X25519(x25519_dalek::StaticSecret::from(raw_seed(&inner)?)),
            _ => return Err(Error::Unsupported { what: "private key", name: algorithm.name() }),
        };
        let spki = spki_of(&kind)?;
        let public = PublicKey::from_spki(&spki)?;
        Ok(Self(Arc::new(Inner { pkcs8: encode_kind(&kind)?, kind, public, fast: FastKey::default() })))
    }

    /// Reads a private key in any usual form: PEM or DER; PKCS#8, encrypted PKCS#8, PKCS#1, SEC1.
    ///
    /// [`Error::PassphraseNeeded`] where it is locked and no passphrase is given, [`Error::WrongPassphrase`] where it does not open it.
    pub fn from_any(bytes: &[u8], passphrase: Option<&Secret<Vec<u8>>>, limits: &Limits) -> Result<Self, Error> {
        if !pem::looks_like(bytes) {
            return Self::from_der(bytes, passphrase, limits);
        }
        let blocks = pem::parse_all(bytes).map_err(|_| Error::Malformed { what: "a PEM file that cannot be read" })?;
        let Some(block) = blocks.iter().find(|block| block.label.ends_with("PRIVATE KEY")) else {
            return Err(Error::Malformed { what: "a PEM file without a private key" });
        };
        if block.headers.iter().any(|(name, value)| name == "Proc-Type" && value.contains("ENCRYPTED")) {
            return Err(Error::Unsupported {
                what: "private key",
                name: "traditional encrypted PEM; convert it to PKCS#8".to_owned(),
            });
        }
        Self::from_der(&block.der, passphrase, limits)
    }

    fn from_der(bytes: &[u8], passphrase: Option<&Secret<Vec<u8>>>, limits: &Limits) -> Result<Self, Error> {
        let mut outer = Cursor::new(bytes);
        let mut fields = outer.sequence()?;
        match fields.peek() {
            Some(Tag::SEQUENCE) => {
                let algorithm = AlgorithmIdentifier::from_cursor(&mut fields)?;
                let encrypted = fields.octet_string()?;
                let passphrase = passphrase.ok_or(Error::PassphraseNeeded)?;
                let plain = pbe::decrypt_sequence(&algorithm, passphrase, &encrypted, limits)?;
                Self::from_pkcs8(plain.expose())
            }
            Some(Tag::INTEGER) => {
                fields.integer()?;
                match fields.peek() {
                    Some(Tag::SEQUENCE) => Self::from_pkcs8(bytes),
                    Some(Tag::INTEGER) => {
                        Self::from_pkcs8(&pkcs8_of(&AlgorithmIdentifier::with_null(oid::RSA_ENCRYPTION), bytes))
                    }
                    _ => {
                        fields.octet_string()?;
                        let mut curve =
                            fields.explicit(0)?.ok_or(Error::Malformed { what: "an EC private key without its curve" })?;
                        let curve = encode::oid(&curve.oid()?);
                        Self::from_pkcs8(&pkcs8_of(&AlgorithmIdentifier::with(oid::EC_PUBLIC_KEY, curve), bytes))
                    }
                }
            }
            _ => Err(Error::Malformed { what: "not a private key" }),
        }
    }

    /// The key as PKCS#8.
    pub fn to_pkcs8(&self) -> Secret<Vec<u8>> {
        self.0.pkcs8.clone()
    }

    /// The key as encrypted PKCS#8: PBES2 with PBKDF2-HMAC-SHA-256 and AES-256-CBC (RFC 8018).
    pub fn to_encrypted_pkcs8(&self, passphrase: &Secret<Vec<u8>>, random: &mut dyn Random) -> Result<Vec<u8>, Error> {
        let (algorithm, encrypted) = pbe::encrypt(passphrase, self.0.pkcs8.expose(), random)?;
        Ok(encode::sequence(&[algorithm.to_der(), encode::octet_string(&encrypted)]))
    }

    /// Its public key.
    pub fn public_key(&self) -> &PublicKey {
        &self.0.public
    }

    /// Its kind.
    pub fn algorithm(&self) -> KeyAlgorithm {
        self.0.public.algorithm
    }

    pub(in crate::crypto) fn kind(&self) -> &PrivateKind {
        &self.0.kind
    }

    pub(in crate::crypto) fn fast(&self) -> &FastKey {
        &self.0.fast
    }
}

/// A public key, with its SubjectPublicKeyInfo as received.
#[derive(Clone)]
pub struct PublicKey {
    algorithm: KeyAlgorithm,
    spki: Vec<u8>,
    bits: Vec<u8>,
    kind: PublicKind,
}

#[derive(Clone)]
pub(in crate::crypto) enum PublicKind {
    Rsa(Box<rsa::RsaPublicKey>),
    P256(p256::PublicKey),
    P384(p384::PublicKey),
    P521(p521::PublicKey),
    Ed25519(ed25519_dalek::VerifyingKey),
    X25519([u8; 32]),
    Dsa(Box<dsa::VerifyingKey>),
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.algorithm)
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.algorithm == other.algorithm && self.bits == other.bits
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
        let kind = match algorithm.oid {
            oid::RSA_ENCRYPTION | oid::RSA_PSS => PublicKind::Rsa(Box::new(rsa_public(&bits)?)),
            oid::EC_PUBLIC_KEY => ec_public(&bits, algorithm.real_parameters())?,
            oid::ED25519 => {
                let point = <[u8; 32]>::try_from(bits.as_ref()).map_err(|_| unreadable("Ed25519"))?;
                PublicKind::Ed25519(ed25519_dalek::VerifyingKey::from_bytes(&point).map_err(|_| unreadable("Ed25519"))?)
            }
            oid::DSA => dsa_public(&bits, algorithm.real_parameters())?,
            oid::X25519 => PublicKind::X25519(<[u8; 32]>::try_from(bits.as_ref()).map_err(|_| unreadable("X25519"))?),
            _ => return Err(Error::Unsupported { what: "public key", name: algorithm.name() }),
        };
        let algorithm = match &kind {
            PublicKind::Rsa(key) => KeyAlgorithm::Rsa(usize::try_from(key.n().as_ref().bit_width()).unwrap_or(0)),
            PublicKind::P256(_) => KeyAlgorithm::P256,
            PublicKind::P384(_) => KeyAlgorithm::P384,
            PublicKind::P521(_) => KeyAlgorithm::P521,
            PublicKind::Ed25519(_) => KeyAlgorithm::Ed25519,
            PublicKind::X25519(_) => KeyAlgorithm::X25519,
            PublicKind::Dsa(key) => {
                KeyAlgorithm::Dsa(usize::try_from(key.components().p().as_ref().bits_precision()).unwrap_or(0))
            }
        };
        Ok(Self { algorithm, spki: bytes.to_vec(), bits: bits.into_owned(), kind })
    }

    /// The SubjectPublicKeyInfo.
    pub fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// The content of its BIT STRING, which key identifiers hash (RFC 5280 4.2.1.2).
    pub fn key_bits(&self) -> &[u8] {
        &self.bits
    }

    /// Its kind.
    pub fn algorithm(&self) -> KeyAlgorithm {
        self.algorithm
    }

    pub(in crate::crypto) fn kind(&self) -> &PublicKind {
        &self.kind
    }
}

/// Draws bytes until they are a key.
fn from_bytes<K, E>(source: &mut Adapter<'_>, len: usize, make: impl Fn(&[u8]) -> Result<K, E>) -> K {
    let mut bytes = Secret::new(vec![0; len]);
    loop {
        source.0.fill(bytes.expose_mut());
        if let Ok(key) = make(bytes.expose()) {
            return key;
        }
    }
}

fn seed(source: &mut Adapter<'_>) -> [u8; 32] {
    let mut seed = [0; 32];
    source.0.fill(&mut seed);
    seed
}

/// RFC 8410 section 7: an OCTET STRING inside the OCTET STRING.
fn raw_seed(inner: &[u8]) -> Result<[u8; 32], Error> {
    let bytes = Cursor::new(inner).octet_string()?;
    <[u8; 32]>::try_from(bytes.as_ref()).map_err(|_| unreadable("Ed25519 or X25519"))
}

fn ec_private(sec1: &[u8], curve: Option<&[u8]>) -> Result<PrivateKind, Error> {
    let mut outer = Cursor::new(sec1);
    let mut fields = outer.sequence()?;
    fields.integer()?;
    let scalar = fields.octet_string()?;
    let curve = match curve {
        Some(bytes) => named_curve(bytes)?,
        None => fields.explicit(0)?.ok_or(unreadable("EC"))?.oid()?,
    };
    // some writers drop leading zeros
    let padded = |len: usize| -> Secret<Vec<u8>> {
        let mut bytes = vec![0; len.saturating_sub(scalar.len())];
        bytes.extend_from_slice(&scalar);
        Secret::new(bytes)
    };
    match curve {
        oid::P256 => p256::SecretKey::from_slice(padded(32).expose()).map(PrivateKind::P256).map_err(|_| unreadable("EC")),
        oid::P384 => p384::SecretKey::from_slice(padded(48).expose()).map(PrivateKind::P384).map_err(|_| unreadable("EC")),
        oid::P521 => p521::SecretKey::from_slice(padded(66).expose()).map(PrivateKind::P521).map_err(|_| unreadable("EC")),
        other => {
            Err(Error::Unsupported { what: "curve", name: oid::name(&other).map_or_else(|| other.to_string(), str::to_owned) })
        }
    }
}

/// RFC 5480 2.1.1: a curve is named. One that is spelled out may differ from the one that it looks like (CVE-2020-0601).
fn named_curve(parameters: &[u8]) -> Result<Oid, Error> {
    let mut fields = Cursor::new(parameters);
    if fields.peek() == Some(Tag::SEQUENCE) {
        return Err(Error::Unsupported { what: "curve", name: "explicit parameters".to_owned() });
    }
    Ok(fields.oid()?)
}

fn ec_public(point: &[u8], curve: Option<&[u8]>) -> Result<PublicKind, Error> {
    let curve = named_curve(curve.ok_or(unreadable("EC"))?)?;
    match curve {
        oid::P256 => p256::PublicKey::from_sec1_bytes(point).map(PublicKind::P256).map_err(|_| unreadable("EC")),
        oid::P384 => p384::PublicKey::from_sec1_bytes(point).map(PublicKind::P384).map_err(|_| unreadable("EC")),
        oid::P521 => p521::PublicKey::from_sec1_bytes(point).map(PublicKind::P521).map_err(|_| unreadable("EC")),
        other => {
            Err(Error::Unsupported { what: "curve", name: oid::name(&other).map_or_else(|| other.to_string(), str::to_owned) })
        }
    }
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

/// RSA of 512 to 8 192 bits: smaller ones appear in old test messages and are judged weak by `pki`, larger ones cost too much.
fn rsa_public(bits: &[u8]) -> Result<rsa::RsaPublicKey, Error> {
    let mut outer = Cursor::new(bits);
    let mut fields = outer.sequence()?;
    let (n, e) = (fields.integer()?, fields.integer()?);
    let strip = |bytes: &[u8]| -> Vec<u8> { bytes.iter().copied().skip_while(|byte| *byte == 0).collect() };
    let (n, e) = (strip(n), strip(e));
    let number = |bytes: &[u8]| {
        let precision = u32::try_from(bytes.len().saturating_mul(8)).unwrap_or(u32::MAX);
        rsa::BoxedUint::from_be_slice(bytes, precision).map_err(|_| unreadable("RSA"))
    };
    if !(64..=1024).contains(&n.len()) || e.is_empty() || e.len() > 8 {
        return Err(Error::Unsupported { what: "RSA key size", name: format!("{} bytes of modulus", n.len()) });
    }
    rsa::RsaPublicKey::new_with_size_limits(number(&n)?, number(&e)?, 512..=8192).map_err(|_| unreadable("RSA"))
}

fn pkcs8_of(algorithm: &AlgorithmIdentifier, key: &[u8]) -> Vec<u8> {
    encode::sequence(&[encode::integer_u64(0), algorithm.to_der(), encode::octet_string(key)])
}

fn encode_kind(kind: &PrivateKind) -> Result<Secret<Vec<u8>>, Error> {
    let document = match kind {
        PrivateKind::Rsa(key) => key.to_pkcs8_der(),
        PrivateKind::P256(key) => key.to_pkcs8_der(),
        PrivateKind::P384(key) => key.to_pkcs8_der(),
        PrivateKind::P521(key) => key.to_pkcs8_der(),
        PrivateKind::Ed25519(key) => {
            let inner = encode::octet_string(key.as_bytes());
            return Ok(Secret::new(pkcs8_of(&AlgorithmIdentifier::bare(oid::ED25519), &inner)));
        }
        PrivateKind::X25519(key) => {
            let inner = encode::octet_string(key.as_bytes());
            return Ok(Secret::new(pkcs8_of(&AlgorithmIdentifier::bare(oid::X25519), &inner)));
        }
    };
    document.map(|document| Secret::new(document.as_bytes().to_vec())).map_err(|_| unreadable("private"))
}

fn spki_of(kind: &PrivateKind) -> Result<Vec<u8>, Error> {
    use spki::EncodePublicKey;
    let document = match kind {
        PrivateKind::Rsa(key) => key.to_public_key().to_public_key_der(),
        PrivateKind::P256(key) => key.public_key().to_public_key_der(),
        PrivateKind::P384(key) => key.public_key().to_public_key_der(),
        PrivateKind::P521(key) => key.public_key().to_public_key_der(),
        PrivateKind::Ed25519(key) => {
            let bits = encode::bit_string(key.verifying_key().as_bytes());
            return Ok(encode::sequence(&[AlgorithmIdentifier::bare(oid::ED25519).to_der(), bits]));
        }
        PrivateKind::X25519(key) => {
            let bits = encode::bit_string(x25519_dalek::PublicKey::from(key).as_bytes());
            return Ok(encode::sequence(&[AlgorithmIdentifier::bare(oid::X25519).to_der(), bits]));
        }
    };
    document.map(|document| document.as_bytes().to_vec()).map_err(|_| unreadable("public"))
}

fn unreadable(kind: &'static str) -> Error {
    Error::Malformed {
        what: match kind {
            "RSA" => "an RSA key that cannot be read",
            "EC" => "an EC key that cannot be read",
            "public" => "a public key that cannot be read",
            "private" => "a private key that cannot be written",
            _ => "an Ed25519 or X25519 key that cannot be read",
        },
    }
}
