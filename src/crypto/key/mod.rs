//! Private and public keys: made, read from every usual form, written.

mod external;
mod lattice;
mod post_quantum;
mod private;
mod public;
mod quality;
mod traditional;

use std::fmt;
use std::sync::Arc;

use crate::asn1::pem::{self, Pem};
use crate::asn1::{Cursor, Tag, encode, oid};
use crate::crypto::Error;
use crate::crypto::algorithm::{AlgorithmIdentifier, KeyAlgorithm};
use crate::crypto::pbe::{self, Cost, Passwords, Scheme};
use crate::crypto::provider::{self, FastKey, Provider};
use crate::crypto::random::{Adapter, Random};
use crate::limits::{Budget, Limits};
use crate::secret::Secret;
use private::{RsaPrivate, pkcs8_of};

pub(in crate::crypto) use external::External;
pub use external::{ExternalKey, Oaep, ToSign, Why};
pub(in crate::crypto) use private::PrivateKind;
pub use public::PublicKey;
pub(in crate::crypto) use public::PublicKind;
pub use quality::RsaFlaw;

/// A private key. Cheap to clone; never printed.
#[derive(Clone)]
pub struct PrivateKey(Arc<Inner>);

struct Inner {
    kind: PrivateKind,
    /// `None` where it lies elsewhere.
    pkcs8: Option<Secret<Vec<u8>>>,
    public: PublicKey,
    fast: FastKey,
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
        Self::from_kind(match algorithm {
            KeyAlgorithm::Rsa(bits) => {
                let made = rsa::RsaPrivateKey::new(&mut source, bits);
                PrivateKind::Rsa(RsaPrivate::from_key(&made.map_err(|_| Error::Malformed { what: "the key cannot be made" })?)?)
            }
            KeyAlgorithm::P256 => PrivateKind::P256(from_bytes(&mut source, 32, p256::SecretKey::from_slice)),
            KeyAlgorithm::P384 => PrivateKind::P384(from_bytes(&mut source, 48, p384::SecretKey::from_slice)),
            KeyAlgorithm::P521 => PrivateKind::P521(from_bytes(&mut source, 66, |bytes| {
                // 521 bits in 66 bytes: the top seven are zero
                let mut bytes = Secret::new(bytes.to_vec());
                if let Some(first) = bytes.expose_mut().first_mut() {
                    *first &= 1;
                }
                p521::SecretKey::from_slice(bytes.expose())
            })),
            KeyAlgorithm::BrainpoolP256 => {
                PrivateKind::BrainpoolP256(from_bytes(&mut source, 32, bp256::r1::SecretKey::from_slice))
            }
            KeyAlgorithm::BrainpoolP384 => {
                PrivateKind::BrainpoolP384(from_bytes(&mut source, 48, bp384::r1::SecretKey::from_slice))
            }
            KeyAlgorithm::Ed25519 => PrivateKind::Ed25519(ed25519_dalek::SigningKey::from_bytes(seed(&mut source).expose())),
            KeyAlgorithm::Ed448 => {
                let seed: Secret<[u8; 57]> = seed(&mut source);
                PrivateKind::Ed448(Box::new(ed448_goldilocks::SigningKey::from(ed448_goldilocks::SecretKey::from(
                    *seed.expose(),
                ))))
            }
            KeyAlgorithm::X25519 => PrivateKind::X25519(x25519_dalek::StaticSecret::from(*seed(&mut source).expose())),
            KeyAlgorithm::X448 => PrivateKind::X448(seed(&mut source)),
            KeyAlgorithm::Dsa(_) | KeyAlgorithm::MlDsa(_) | KeyAlgorithm::SlhDsa(_) | KeyAlgorithm::MlKem(_) => {
                return Err(Error::Unsupported { what: "new key", name: format!("{algorithm}, which is read only") });
            }
        })
    }

    /// Reads PKCS#8 (RFC 5208, 5958), not encrypted.
    pub fn from_pkcs8(bytes: &[u8]) -> Result<Self, Error> {
        let mut outer = Cursor::new(bytes);
        let mut fields = outer.sequence()?;
        fields.integer()?;
        let algorithm = AlgorithmIdentifier::from_cursor(&mut fields)?;
        let inner = fields.octet_string()?;
        Self::from_kind(PrivateKind::read(&algorithm, &inner)?)
    }

    fn from_kind(kind: PrivateKind) -> Result<Self, Error> {
        let (pkcs8, spki) = kind.encoded()?;
        let public = PublicKey::from_spki(&spki)?;
        Ok(Self(Arc::new(Inner { pkcs8: Some(pkcs8), kind, public, fast: FastKey::default() })))
    }

    /// A key that lies elsewhere, as on a token: it signs and decrypts like any other, and cannot be written.
    pub fn external(key: Arc<dyn ExternalKey>) -> Self {
        let public = key.public_key().clone();
        Self(Arc::new(Inner { pkcs8: None, kind: PrivateKind::External(External::new(key)), public, fast: FastKey::default() }))
    }

    /// Whether it lies elsewhere, and cannot be written.
    pub fn is_external(&self) -> bool {
        self.0.pkcs8.is_none()
    }

    /// Reads a private key in any usual form: PEM or DER; PKCS#8 (encrypted or not), PKCS#1 and SEC1 (encrypted by PEM or
    /// not).
    ///
    /// [`Error::PassphraseNeeded`] where it is locked and no passphrase is given, [`Error::WrongPassphrase`] where it does not open it.
    pub fn from_any(bytes: &[u8], passphrase: Option<&Secret<Vec<u8>>>, limits: &Limits) -> Result<Self, Error> {
        if !pem::looks_like(bytes) {
            return Self::from_der(bytes, passphrase, &mut Cost::new(limits));
        }
        let blocks = pem::parse_all(bytes).map_err(|_| Error::Malformed { what: "a PEM file that cannot be read" })?;
        let Some(block) = blocks.iter().find(|block| is_private_key(block)) else {
            return Err(Error::Malformed { what: "a PEM file without a private key" });
        };
        Self::from_block(block, passphrase, &mut Cost::new(limits))
    }

    /// Reads every private key among the blocks of a PEM file.
    pub fn all_from_pem(blocks: &[Pem], passphrase: Option<&Secret<Vec<u8>>>, limits: &Limits) -> Result<Vec<Self>, Error> {
        let mut bags = Budget::new("key file entries", limits.key_file_entries);
        let mut keys = Vec::new();
        let mut cost = Cost::new(limits);
        for block in blocks.iter().filter(|block| is_private_key(block)) {
            bags.spend(1_usize)?;
            keys.push(Self::from_block(block, passphrase, &mut cost)?);
        }
        Ok(keys)
    }

    fn from_block(block: &Pem, passphrase: Option<&Secret<Vec<u8>>>, cost: &mut Cost) -> Result<Self, Error> {
        if traditional::is_encrypted(block) {
            let plain = traditional::decrypt(block, passphrase.ok_or(Error::PassphraseNeeded)?)?;
            return Self::from_der(plain.expose(), None, cost);
        }
        Self::from_der(&block.der, passphrase, cost)
    }

    fn from_der(bytes: &[u8], passphrase: Option<&Secret<Vec<u8>>>, cost: &mut Cost) -> Result<Self, Error> {
        let mut outer = Cursor::new(bytes);
        let mut fields = outer.sequence()?;
        match fields.peek() {
            Some(Tag::SEQUENCE) => {
                let algorithm = AlgorithmIdentifier::from_cursor(&mut fields)?;
                let encrypted = fields.octet_string()?;
                let passphrase = passphrase.ok_or(Error::PassphraseNeeded)?;
                let plain = pbe::decrypt_sequence(&algorithm, &Passwords::of_key(passphrase), &encrypted, cost)?;
                Self::from_pkcs8(plain.expose())
            }
            Some(Tag::INTEGER) => {
                fields.integer()?;
                match fields.peek() {
                    Some(Tag::SEQUENCE) => Self::from_pkcs8(bytes),
                    Some(Tag::INTEGER) => {
                        Self::from_pkcs8(pkcs8_of(&AlgorithmIdentifier::with_null(oid::RSA_ENCRYPTION), bytes).expose())
                    }
                    _ => {
                        fields.octet_string()?;
                        let mut curve =
                            fields.explicit(0)?.ok_or(Error::Malformed { what: "an EC private key without its curve" })?;
                        let curve = encode::oid(&curve.oid()?);
                        Self::from_pkcs8(pkcs8_of(&AlgorithmIdentifier::with(oid::EC_PUBLIC_KEY, curve), bytes).expose())
                    }
                }
            }
            _ => Err(Error::Malformed { what: "not a private key" }),
        }
    }

    /// The key as PKCS#8; [`Error::Unavailable`] where it lies elsewhere.
    pub fn to_pkcs8(&self) -> Result<Secret<Vec<u8>>, Error> {
        self.0.pkcs8.clone().ok_or_else(external::stays)
    }

    /// The key as encrypted PKCS#8: PBES2 with PBKDF2-HMAC-SHA-256 and AES-256-CBC (RFC 8018).
    pub fn to_encrypted_pkcs8(&self, passphrase: &Secret<Vec<u8>>, random: &mut dyn Random) -> Result<Vec<u8>, Error> {
        self.to_encrypted_pkcs8_by(Scheme::Aes256, pbe::ITERATIONS, passphrase, random)
    }

    /// The key as a block of PEM (RFC 7468 10); [`Error::Unavailable`] where it lies elsewhere.
    pub fn to_pem(&self) -> Result<Secret<Vec<u8>>, Error> {
        Ok(pem::encode_secret("PRIVATE KEY", self.to_pkcs8()?.expose()))
    }

    /// The same, under a passphrase where one is given (RFC 7468 11), by [`PrivateKey::to_encrypted_pkcs8`].
    pub fn to_pem_under(&self, passphrase: Option<&Secret<Vec<u8>>>, random: &mut dyn Random) -> Result<Secret<Vec<u8>>, Error> {
        match passphrase {
            Some(passphrase) => Ok(pem::encode_secret("ENCRYPTED PRIVATE KEY", &self.to_encrypted_pkcs8(passphrase, random)?)),
            None => self.to_pem(),
        }
    }

    /// The key as encrypted PKCS#8 by another scheme, with so many rounds.
    pub fn to_encrypted_pkcs8_by(
        &self,
        scheme: Scheme,
        rounds: u64,
        passphrase: &Secret<Vec<u8>>,
        random: &mut dyn Random,
    ) -> Result<Vec<u8>, Error> {
        let (algorithm, encrypted) = pbe::encrypt_by(scheme, rounds, (passphrase, self.to_pkcs8()?.expose()), random)?;
        Ok(encode::sequence(&[algorithm.to_der(), encode::octet_string(&encrypted)]))
    }

    /// Its public key.
    pub fn public_key(&self) -> &PublicKey {
        &self.0.public
    }

    /// Its kind.
    pub fn algorithm(&self) -> KeyAlgorithm {
        self.0.public.algorithm()
    }

    pub(in crate::crypto) fn kind(&self) -> &PrivateKind {
        &self.0.kind
    }

    pub(in crate::crypto) fn fast(&self) -> &FastKey {
        &self.0.fast
    }
}

fn is_private_key(block: &Pem) -> bool {
    block.label.ends_with("PRIVATE KEY")
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

fn seed<const N: usize>(source: &mut Adapter<'_>) -> Secret<[u8; N]>
where
    [u8; N]: zeroize::Zeroize,
{
    let mut seed = Secret::new([0; N]);
    source.0.fill(seed.expose_mut());
    seed
}

fn unreadable(kind: &'static str) -> Error {
    Error::Malformed {
        what: match kind {
            "RSA" => "an RSA key that cannot be read",
            "EC" => "an EC key that cannot be read",
            "public" => "a public key that cannot be read",
            "DSA" => "a DSA key that cannot be read",
            "post-quantum" => "an ML-DSA, SLH-DSA or ML-KEM key that cannot be read",
            "private" => "a private key that cannot be written",
            _ => "an Ed25519, Ed448, X25519 or X448 key that cannot be read",
        },
    }
}
