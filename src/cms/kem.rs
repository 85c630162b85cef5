//! A recipient whose content key is under an encapsulated one (RFC 9629, RFC 9936).

use crate::asn1::Cursor;
use crate::cms::Error;
use crate::crypto::algorithm::{AlgorithmIdentifier, KeyAlgorithm, MlKem, hkdf_digest};
use crate::crypto::encapsulation::{self, Derivation};
use crate::crypto::key::PrivateKey;
use crate::secret::Secret;

/// What makes the key-encryption key.
///
/// ```text
/// KEMRecipientInfo ::= SEQUENCE { version, rid, kem, kemct OCTET STRING, kdf, kekLength INTEGER (1..65535),
///     ukm [0] EXPLICIT OCTET STRING OPTIONAL, wrap, encryptedKey }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encapsulation {
    /// The encapsulation.
    pub algorithm: AlgorithmIdentifier,
    /// The key derivation.
    pub derivation: AlgorithmIdentifier,
    /// The wrap of the content key.
    pub wrap: AlgorithmIdentifier,
    ciphertext: Vec<u8>,
    kek_len: u64,
    ukm: Option<Vec<u8>>,
}

impl Encapsulation {
    /// Reads the fields between the name of the recipient and the encrypted key.
    pub(in crate::cms) fn from_cursor(fields: &mut Cursor<'_>) -> Result<Self, Error> {
        let algorithm = AlgorithmIdentifier::from_cursor(fields)?;
        let ciphertext = fields.octet_string()?.into_owned();
        let derivation = AlgorithmIdentifier::from_cursor(fields)?;
        let kek_len = fields.small_unsigned()?;
        let ukm = fields.explicit(0)?.map(|mut ukm| ukm.octet_string().map(std::borrow::Cow::into_owned)).transpose()?;
        let wrap = AlgorithmIdentifier::from_cursor(fields)?;
        Ok(Self { algorithm, derivation, wrap, ciphertext, kek_len, ukm })
    }

    /// Whether a private key of this kind could serve: of the same parameter set, for others have ciphertexts of another length.
    pub(in crate::cms) fn fits(&self, key: &PrivateKey) -> bool {
        matches!(key.algorithm(), KeyAlgorithm::MlKem(set) if MlKem::from_oid(&self.algorithm.oid) == Some(set))
    }

    /// Recovers the content key.
    pub(in crate::cms) fn unwrap(&self, key: &PrivateKey, encrypted_key: &[u8]) -> Result<Secret<Vec<u8>>, Error> {
        if !self.fits(key) {
            return Err(Error::Malformed("the private key is not of the kind to which the content key was encapsulated"));
        }
        let derivation = Derivation {
            digest: hkdf_digest(&self.derivation)?,
            wrap: &self.wrap,
            kek_len: self.kek_len,
            ukm: self.ukm.as_deref(),
        };
        Ok(encapsulation::unwrap(key, &self.ciphertext, &derivation, encrypted_key)?)
    }
}
