//! The private keys of ML-DSA, SLH-DSA and ML-KEM inside PKCS#8 (RFC 9881, 9909, 9935).

use ml_dsa::{Keypair, MlDsa44, MlDsa65, MlDsa87, MlDsaParams};
use ml_kem::{Decapsulate, EncapsulationKey1024, KeyExport};
use ml_kem::{DecapsulationKey512, DecapsulationKey768, DecapsulationKey1024, EncapsulationKey512, EncapsulationKey768};

use super::lattice;
use super::private::pkcs8_of;
use super::public::raw_spki;
use crate::asn1::{Cursor, Oid, Tag, encode};
use crate::crypto::algorithm::{AlgorithmIdentifier, DigestAlgorithm, MlDsa, MlKem, SlhDsa};
use crate::crypto::{Error, digest, mac};
use crate::secret::Secret;

/// A private key for signatures, which are not made here: it is kept, paired with its certificate and written again.
pub(in crate::crypto) struct Held {
    oid: Oid,
    inner: Secret<Vec<u8>>,
    public: Vec<u8>,
}

/// A private key of ML-KEM.
pub(in crate::crypto) struct MlKemPrivate {
    held: Held,
    key: Decapsulator,
}

enum Decapsulator {
    Set512(Box<DecapsulationKey512>),
    Set768(Box<DecapsulationKey768>),
    Set1024(Box<DecapsulationKey1024>),
}

/// `CHOICE { seed [0] OCTET STRING, expandedKey OCTET STRING, both SEQUENCE { seed, expandedKey } }` (RFC 9881 6, RFC 9935 6)
struct Forms {
    seed: Option<Secret<Vec<u8>>>,
    expanded: Option<Secret<Vec<u8>>>,
}

impl Forms {
    fn read(inner: &[u8]) -> Result<Self, Error> {
        let mut outer = Cursor::new(inner);
        let secret = |bytes: &[u8]| Some(Secret::new(bytes.to_vec()));
        let found = match outer.peek() {
            Some(Tag::SEQUENCE) => {
                let mut fields = outer.sequence()?;
                let found = Self { seed: secret(&fields.octet_string()?), expanded: secret(&fields.octet_string()?) };
                fields.finish()?;
                found
            }
            Some(Tag::OCTET_STRING) => Self { seed: None, expanded: secret(&outer.octet_string()?) },
            _ => Self { seed: secret(&outer.expect(Tag::context(0))?.bytes()?), expanded: None },
        };
        outer.finish()?;
        Ok(found)
    }

    /// In the form in which they were read.
    fn to_der(&self) -> Secret<Vec<u8>> {
        let octets = |bytes: &Secret<Vec<u8>>| Secret::new(encode::octet_string(bytes.expose()));
        match (&self.seed, &self.expanded) {
            (Some(seed), Some(expanded)) => {
                let (seed, expanded) = (octets(seed), octets(expanded));
                Secret::new(encode::sequence(&[seed.expose(), expanded.expose()]))
            }
            (Some(seed), None) => Secret::new(encode::tlv(Tag::context(0), seed.expose())),
            (None, expanded) => expanded.as_ref().map(octets).unwrap_or_default(),
        }
    }
}

impl Held {
    /// A key of ML-DSA, whose parts must belong together (RFC 9881, "Private Key Consistency Testing").
    pub(super) fn ml_dsa(set: MlDsa, inner: &[u8]) -> Result<Self, Error> {
        let forms = Forms::read(inner)?;
        let public = match (set, &forms.seed) {
            (_, None) => forms.expanded.as_ref().and_then(|expanded| lattice::public_of(set, expanded.expose())),
            (MlDsa::Set44, Some(seed)) => ml_dsa_from_seed::<MlDsa44>(seed, forms.expanded.as_ref()),
            (MlDsa::Set65, Some(seed)) => ml_dsa_from_seed::<MlDsa65>(seed, forms.expanded.as_ref()),
            (MlDsa::Set87, Some(seed)) => ml_dsa_from_seed::<MlDsa87>(seed, forms.expanded.as_ref()),
        };
        Ok(Self { oid: set.oid(), inner: forms.to_der(), public: public.ok_or_else(inconsistent)? })
    }

    /// A key of SLH-DSA: two secrets and the public key (RFC 9909 7). That these belong together is not checked: it would take as long
    /// as a signature.
    pub(super) fn slh_dsa(set: SlhDsa, inner: &[u8]) -> Result<Self, Error> {
        let half = set.hash_len().saturating_mul(2);
        match inner.split_at_checked(half) {
            Some((_, public)) if public.len() == half => {
                Ok(Self { oid: set.oid(), inner: Secret::new(inner.to_vec()), public: public.to_vec() })
            }
            _ => Err(Error::Malformed { what: "an SLH-DSA key of the wrong length" }),
        }
    }

    /// The key as PKCS#8, and its public key as SubjectPublicKeyInfo.
    pub(super) fn encoded(&self) -> (Secret<Vec<u8>>, Vec<u8>) {
        (pkcs8_of(&AlgorithmIdentifier::bare(self.oid), self.inner.expose()), raw_spki(self.oid, &self.public))
    }
}

/// The public key of a seed; `None` where the seed is none, or the expanded key is not its.
fn ml_dsa_from_seed<P: MlDsaParams>(seed: &Secret<Vec<u8>>, expanded: Option<&Secret<Vec<u8>>>) -> Option<Vec<u8>> {
    let seed = Secret::new(ml_dsa::Seed::try_from(seed.expose().as_slice()).ok()?);
    let key = ml_dsa::SigningKey::<P>::from_seed(seed.expose());
    if let Some(stated) = expanded {
        #[expect(deprecated, reason = "keys in the long form are still met, and must be what the seed gives")]
        let found = Secret::new(key.expanded_key().to_expanded());
        if !mac::equal(found.expose(), stated.expose()) {
            return None;
        }
    }
    Some(key.verifying_key().encode().to_vec())
}

impl MlKemPrivate {
    /// A key of ML-KEM, whose parts must belong together (RFC 9935 8).
    pub(super) fn read(set: MlKem, inner: &[u8]) -> Result<Self, Error> {
        let forms = Forms::read(inner)?;
        let key = Decapsulator::read(set, &forms).ok_or_else(inconsistent)?;
        let held = Held { oid: set.oid(), inner: forms.to_der(), public: key.public() };
        Ok(Self { held, key })
    }

    pub(super) fn encoded(&self) -> (Secret<Vec<u8>>, Vec<u8>) {
        self.held.encoded()
    }

    /// The shared secret; `None` where the ciphertext is of the wrong length.
    pub(in crate::crypto) fn decapsulate(&self, ciphertext: &[u8]) -> Option<Secret<Vec<u8>>> {
        let shared = match &self.key {
            Decapsulator::Set512(key) => Secret::new(key.decapsulate(&ciphertext.try_into().ok()?)),
            Decapsulator::Set768(key) => Secret::new(key.decapsulate(&ciphertext.try_into().ok()?)),
            Decapsulator::Set1024(key) => Secret::new(key.decapsulate(&ciphertext.try_into().ok()?)),
        };
        Some(Secret::new(shared.expose().to_vec()))
    }
}

impl Decapsulator {
    fn read(set: MlKem, forms: &Forms) -> Option<Self> {
        // the crate's traits over its parameter sets cannot be named from without
        macro_rules! read {
            ($key:ty) => {{
                match (&forms.seed, &forms.expanded) {
                    (Some(seed), expanded) => {
                        let seed = Secret::new(ml_kem::Seed::try_from(seed.expose().as_slice()).ok()?);
                        let key = <$key>::from_seed(*seed.expose());
                        let fits = |stated: &Secret<Vec<u8>>| {
                            #[expect(deprecated, reason = "keys in the long form must be what the seed gives")]
                            let found = Secret::new(ml_kem::ExpandedKeyEncoding::to_expanded_bytes(&key));
                            mac::equal(found.expose(), stated.expose())
                        };
                        expanded.as_ref().is_none_or(fits).then(|| Box::new(key))?
                    }
                    (None, expanded) => {
                        let expanded = expanded.as_ref()?.expose().as_slice();
                        // this checks the public key, and that its hash is its
                        #[expect(deprecated, reason = "keys in the long form are still met")]
                        let key = <$key>::from_expanded(&expanded.try_into().ok()?).ok()?;
                        // FIPS 203 7.3 leaves open whether the secret vector is the public key's; what is encapsulated shows it
                        let public = key.encapsulation_key();
                        let message = digest::of(DigestAlgorithm::Sha256, &public.to_bytes());
                        let (ciphertext, shared) = public.encapsulate_deterministic(&message.as_slice().try_into().ok()?);
                        (key.decapsulate(&ciphertext) == shared).then(|| Box::new(key))?
                    }
                }
            }};
        }
        Some(match set {
            MlKem::Set512 => Self::Set512(read!(DecapsulationKey512)),
            MlKem::Set768 => Self::Set768(read!(DecapsulationKey768)),
            MlKem::Set1024 => Self::Set1024(read!(DecapsulationKey1024)),
        })
    }

    fn public(&self) -> Vec<u8> {
        match self {
            Self::Set512(key) => key.encapsulation_key().to_bytes().to_vec(),
            Self::Set768(key) => key.encapsulation_key().to_bytes().to_vec(),
            Self::Set1024(key) => key.encapsulation_key().to_bytes().to_vec(),
        }
    }
}

/// Whether it is a public key of ML-KEM: of the right length, each number below the modulus (FIPS 203 7.2).
pub(super) fn is_ml_kem_public(set: MlKem, bits: &[u8]) -> bool {
    match set {
        MlKem::Set512 => bits.try_into().is_ok_and(|bits| EncapsulationKey512::new(&bits).is_ok()),
        MlKem::Set768 => bits.try_into().is_ok_and(|bits| EncapsulationKey768::new(&bits).is_ok()),
        MlKem::Set1024 => bits.try_into().is_ok_and(|bits| EncapsulationKey1024::new(&bits).is_ok()),
    }
}

fn inconsistent() -> Error {
    Error::Malformed { what: "a private key whose parts do not belong together" }
}
