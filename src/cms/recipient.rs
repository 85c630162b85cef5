//! Recipients (RFC 5652 6.2): who gets the content key, and how.

use std::fmt;
use std::sync::Arc;

use crate::asn1::{Cursor, Element, Tag, encode, oid};
use crate::cms::Error;
use crate::crypto::agreement;
use crate::crypto::algorithm::{AlgorithmIdentifier, CipherParameters, ContentCipher, KeyAgreement, KeyTransport, KeyWrap};
use crate::crypto::cipher::Decryptor;
use crate::crypto::key::{PrivateKey, PublicKey};
use crate::crypto::random::Random;
use crate::crypto::{pbe, transport, wrap};
use crate::limits::{Budget, Limits};
use crate::pki::{Certificate, Name};
use crate::secret::Secret;

/// How a recipient's key is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecipientId {
    /// By the issuer and the serial number of his certificate.
    IssuerSerial {
        /// The issuer.
        issuer: Name,
        /// The serial number, as the content of its INTEGER.
        serial: Vec<u8>,
    },
    /// By subject key identifier, or the identifier of a key-encryption key.
    KeyId(Vec<u8>),
    /// By nothing: a password.
    Nothing,
}

impl RecipientId {
    /// Whether it names this certificate.
    pub fn names(&self, certificate: &Certificate) -> bool {
        match self {
            Self::IssuerSerial { issuer, serial } => certificate.serial() == serial && certificate.issuer().matches(issuer),
            Self::KeyId(id) => certificate.subject_key_id().is_some_and(|known| known == *id),
            Self::Nothing => false,
        }
    }
}

impl fmt::Display for RecipientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        match self {
            Self::IssuerSerial { issuer, serial } => write!(f, "serial {} of {issuer}", hex(serial)),
            Self::KeyId(id) => write!(f, "key {}", hex(id)),
            Self::Nothing => f.write_str("password"),
        }
    }
}

/// One recipient. A key agreement with several recipients counts as several.
#[derive(Debug, Clone)]
pub struct Recipient {
    /// Who.
    pub id: RecipientId,
    /// How.
    pub kind: RecipientKind,
    encrypted_key: Vec<u8>,
}

/// How a recipient gets the key.
#[derive(Debug, Clone)]
pub enum RecipientKind {
    /// RSA.
    Transport(AlgorithmIdentifier),
    /// EC or X25519.
    Agreement(Arc<Agreement>),
    /// A key that both sides have.
    Kek(AlgorithmIdentifier),
    /// A password.
    Password {
        /// The key derivation.
        derivation: Option<AlgorithmIdentifier>,
        /// The key encryption.
        encryption: AlgorithmIdentifier,
    },
    /// Something that this version does not know.
    Other,
}

/// What the recipients of one key agreement share. Held once: a message may name thousands of them.
#[derive(Debug)]
pub struct Agreement {
    /// The agreement.
    pub algorithm: AlgorithmIdentifier,
    /// The originator's SubjectPublicKeyInfo without parameters, as received; empty where it is named by certificate.
    pub originator: Vec<u8>,
    /// The user keying material.
    pub ukm: Option<Vec<u8>>,
}

impl Recipient {
    /// The word of the JSON output.
    pub fn kind_name(&self) -> &'static str {
        match self.kind {
            RecipientKind::Transport(_) => "ktri",
            RecipientKind::Agreement(_) => "kari",
            RecipientKind::Kek(_) => "kekri",
            RecipientKind::Password { .. } => "pwri",
            RecipientKind::Other => "other",
        }
    }

    /// The algorithm for people.
    pub fn algorithm_name(&self) -> String {
        match &self.kind {
            RecipientKind::Transport(a) => KeyTransport::from_identifier(a).map_or_else(|_| a.name(), |t| t.name()),
            RecipientKind::Agreement(shared) => {
                KeyAgreement::from_identifier(&shared.algorithm).map_or_else(|_| shared.algorithm.name(), |a| a.name())
            }
            RecipientKind::Kek(a) => a.name(),
            RecipientKind::Password { encryption, .. } => encryption.name(),
            RecipientKind::Other => "unknown".to_owned(),
        }
    }

    /// Reads a RecipientInfo; a key agreement gives one recipient for each of its keys.
    pub(in crate::cms) fn from_der(bytes: &[u8], limits: &Limits) -> Result<Vec<Self>, Error> {
        let element = Cursor::with_limits(bytes, limits).any()?;
        match element.tag {
            Tag::SEQUENCE => ktri(element.cursor()?).map(|one| vec![one]),
            tag if tag == Tag::context_constructed(1) => kari(element.cursor()?, limits),
            tag if tag == Tag::context_constructed(2) => kekri(element.cursor()?).map(|one| vec![one]),
            tag if tag == Tag::context_constructed(3) => pwri(element.cursor()?).map(|one| vec![one]),
            _ => Ok(vec![Self { id: RecipientId::Nothing, kind: RecipientKind::Other, encrypted_key: Vec::new() }]),
        }
    }

    /// Whether a private key of this kind could serve.
    pub(in crate::cms) fn fits(&self, key: &PrivateKey) -> bool {
        match self.kind {
            RecipientKind::Transport(_) => key.algorithm().is_rsa(),
            RecipientKind::Agreement(_) => !key.algorithm().is_rsa() && key.algorithm().encrypts(),
            _ => false,
        }
    }

    /// Recovers the content key with a private key.
    pub(in crate::cms) fn unwrap(
        &self,
        key: &PrivateKey,
        cipher: ContentCipher,
        random: &mut dyn Random,
    ) -> Result<Secret<Vec<u8>>, Error> {
        match &self.kind {
            RecipientKind::Transport(algorithm) => {
                let transport = KeyTransport::from_identifier(algorithm)?;
                Ok(transport::decrypt(key, &transport, &self.encrypted_key, Some(cipher.key_len()), random)?)
            }
            RecipientKind::Agreement(shared) => {
                let agreement = KeyAgreement::from_identifier(&shared.algorithm)?;
                let originator = originator_key(&shared.originator, key)?;
                Ok(agreement::unwrap(key, &originator, &agreement, shared.ukm.as_deref(), &self.encrypted_key)?)
            }
            _ => Err(Error::Malformed("this recipient has no use for a private key")),
        }
    }

    /// Recovers the content key with a key-encryption key.
    pub(in crate::cms) fn unwrap_kek(&self, kek: &Secret<Vec<u8>>) -> Result<Secret<Vec<u8>>, Error> {
        let RecipientKind::Kek(algorithm) = &self.kind else {
            return Err(Error::Malformed("this recipient has no use for a KEK"));
        };
        Ok(wrap::unwrap(KeyWrap::from_identifier(algorithm)?, kek.expose(), &self.encrypted_key)?)
    }

    /// Recovers the content key with a password (RFC 3211).
    pub(in crate::cms) fn unwrap_password(&self, password: &Secret<Vec<u8>>, limits: &Limits) -> Result<Secret<Vec<u8>>, Error> {
        let RecipientKind::Password { derivation: Some(derivation), encryption } = &self.kind else {
            return Err(Error::Unsupported("a password recipient without key derivation".to_owned()));
        };
        if encryption.oid != oid::PWRI_KEK {
            return Err(Error::Unsupported(format!("password key encryption {}", encryption.name())));
        }
        let inner = encryption.real_parameters().ok_or(Error::Malformed("a password recipient without its cipher"))?;
        let cipher = CipherParameters::from_identifier(&AlgorithmIdentifier::from_der(inner)?)?;
        let kek = pbe::pbkdf2_key(derivation, password.expose(), cipher.cipher.key_len(), limits)?;
        unwrap_rfc3211(&cipher, &kek, &self.encrypted_key)
    }
}

/// `KeyTransRecipientInfo ::= SEQUENCE { version, rid, keyEncryptionAlgorithm, encryptedKey }`
fn ktri(mut fields: Cursor<'_>) -> Result<Recipient, Error> {
    fields.integer()?;
    let id = match fields.peek() {
        Some(Tag::SEQUENCE) => issuer_serial(fields.sequence()?)?,
        _ => RecipientId::KeyId(fields.expect(Tag::context(0))?.bytes()?.into_owned()),
    };
    let algorithm = AlgorithmIdentifier::from_cursor(&mut fields)?;
    let encrypted_key = fields.octet_string()?.into_owned();
    Ok(Recipient { id, kind: RecipientKind::Transport(algorithm), encrypted_key })
}

/// `KeyAgreeRecipientInfo ::= [1] SEQUENCE { version, originator [0] EXPLICIT, ukm [1] EXPLICIT OPTIONAL, keyEncryptionAlgorithm, recipientEncryptedKeys }`
fn kari(mut fields: Cursor<'_>, limits: &Limits) -> Result<Vec<Recipient>, Error> {
    fields.integer()?;
    let mut originator = fields.explicit(0)?.ok_or(Error::Malformed("a key agreement without originator"))?;
    let originator = match originator.optional(Tag::context_constructed(1))? {
        Some(key) => key.raw.to_vec(),
        None => Vec::new(),
    };
    let ukm = fields.explicit(1)?.map(|mut ukm| ukm.octet_string().map(std::borrow::Cow::into_owned)).transpose()?;
    let algorithm = AlgorithmIdentifier::from_cursor(&mut fields)?;
    let mut keys = fields.sequence()?;
    let shared = Arc::new(Agreement { algorithm, originator, ukm });
    let mut budget = Budget::new("recipients", limits.recipients);
    let mut found = Vec::new();
    while !keys.is_empty() {
        budget.spend(1u64)?;
        let mut one = keys.sequence()?;
        let id = match one.peek() {
            Some(Tag::SEQUENCE) => issuer_serial(one.sequence()?)?,
            _ => RecipientId::KeyId(one.expect(Tag::context_constructed(0))?.cursor()?.octet_string()?.into_owned()),
        };
        let encrypted_key = one.octet_string()?.into_owned();
        found.push(Recipient { id, kind: RecipientKind::Agreement(Arc::clone(&shared)), encrypted_key });
    }
    Ok(found)
}

/// `KEKRecipientInfo ::= [2] SEQUENCE { version, kekid SEQUENCE { keyIdentifier, … }, keyEncryptionAlgorithm, encryptedKey }`
fn kekri(mut fields: Cursor<'_>) -> Result<Recipient, Error> {
    fields.integer()?;
    let id = RecipientId::KeyId(fields.sequence()?.octet_string()?.into_owned());
    let algorithm = AlgorithmIdentifier::from_cursor(&mut fields)?;
    Ok(Recipient { id, kind: RecipientKind::Kek(algorithm), encrypted_key: fields.octet_string()?.into_owned() })
}

/// `PasswordRecipientInfo ::= [3] SEQUENCE { version, keyDerivationAlgorithm [0] OPTIONAL, keyEncryptionAlgorithm, encryptedKey }`
fn pwri(mut fields: Cursor<'_>) -> Result<Recipient, Error> {
    fields.integer()?;
    let derivation = fields.optional(Tag::context_constructed(0))?;
    let derivation = derivation.map(|e: Element<'_>| e.cursor().and_then(AlgorithmIdentifier::from_fields)).transpose()?;
    let encryption = AlgorithmIdentifier::from_cursor(&mut fields)?;
    let encrypted_key = fields.octet_string()?.into_owned();
    Ok(Recipient { id: RecipientId::Nothing, kind: RecipientKind::Password { derivation, encryption }, encrypted_key })
}

fn issuer_serial(mut fields: Cursor<'_>) -> Result<RecipientId, Error> {
    let issuer = Name::from_der(fields.expect(Tag::SEQUENCE)?.raw)?;
    Ok(RecipientId::IssuerSerial { issuer, serial: fields.integer()?.to_vec() })
}

/// The originator's key: its algorithm may lack the curve, which is the recipient's then (RFC 5753 3.1.1).
fn originator_key(received: &[u8], own: &PrivateKey) -> Result<PublicKey, Error> {
    if received.is_empty() {
        return Err(Error::Unsupported("an originator named by certificate".to_owned()));
    }
    let mut fields = Cursor::new(received).any()?.cursor()?;
    let mut algorithm = AlgorithmIdentifier::from_cursor(&mut fields)?;
    let point = fields.expect(Tag::BIT_STRING)?;
    if algorithm.real_parameters().is_none() {
        let mut own = Cursor::new(own.public_key().spki()).sequence()?;
        algorithm = AlgorithmIdentifier::from_cursor(&mut own)?;
    }
    let (_, bits) = point.bits()?;
    Ok(PublicKey::from_spki(&encode::sequence(&[algorithm.to_der(), encode::bit_string(&bits)]))?)
}

/// RFC 3211 2.3.2: decrypt twice, check the length and three bytes.
fn unwrap_rfc3211(cipher: &CipherParameters, kek: &Secret<Vec<u8>>, wrapped: &[u8]) -> Result<Secret<Vec<u8>>, Error> {
    let block = cipher.iv.len();
    let run = |iv: &[u8], bytes: &[u8]| -> Result<Vec<u8>, Error> {
        let parameters = CipherParameters { iv: iv.to_vec(), ..cipher.clone() };
        let mut out = Vec::new();
        let mut decryptor = Decryptor::new(&parameters, kek.expose())?.without_padding();
        decryptor.update(bytes, &mut out);
        decryptor.finish(&[], None, &mut out)?;
        Ok(out)
    };
    if wrapped.len() < block.saturating_mul(2) || block == 0 || !wrapped.len().is_multiple_of(block) {
        return Err(Error::DecryptionFailed);
    }
    let (head, last) = wrapped.split_at(wrapped.len().saturating_sub(block));
    let before_last = head.get(head.len().saturating_sub(block)..).unwrap_or_default();
    // the last block, decrypted with the one before it, is the initialization vector of the inner encryption
    let iv = run(before_last, last)?;
    let inner = run(&iv, wrapped)?;
    let plain = Secret::new(run(&cipher.iv, &inner)?);
    let bytes = plain.expose();
    let (Some(&len), Some(check)) = (bytes.first(), bytes.get(1..4)) else { return Err(Error::DecryptionFailed) };
    let key = bytes.get(4..usize::from(len).saturating_add(4)).ok_or(Error::DecryptionFailed)?;
    let fits = key.iter().zip(check).take(3).all(|(a, b)| a ^ b == 0xff);
    if !fits || key.is_empty() {
        return Err(Error::DecryptionFailed);
    }
    Ok(Secret::new(key.to_vec()))
}
