//! Recipients (RFC 5652 6.2): who gets the content key, and how.

use std::fmt;
use std::sync::Arc;

use crate::asn1::{Cursor, Element, Oid, Tag, encode, oid};
use crate::cms::reader::unknown_version;
use crate::cms::{Encapsulation, Error, SignerId};
use crate::crypto::agreement;
use crate::crypto::algorithm::{AlgorithmIdentifier, CipherParameters, ContentCipher, KeyAgreement, KeyTransport, KeyWrap};
use crate::crypto::cipher::Decryptor;
use crate::crypto::key::{PrivateKey, PublicKey};
use crate::crypto::random::Random;
use crate::crypto::{pbe, transport, wrap};
use crate::limits::{Budget, Limits};
use crate::pki::{Certificate, Name, hex};
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
    /// In a way that is not known here.
    Unknown,
}

impl RecipientId {
    /// Whether it names this certificate.
    pub fn names(&self, certificate: &Certificate) -> bool {
        match self {
            Self::IssuerSerial { issuer, serial } => certificate.serial() == serial && certificate.issuer().matches(issuer),
            Self::KeyId(id) => certificate.subject_key_id().is_some_and(|known| known == *id),
            Self::Nothing | Self::Unknown => false,
        }
    }
}

impl fmt::Display for RecipientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::IssuerSerial { issuer, serial } => write!(f, "serial {} of {issuer}", hex(serial)),
            Self::KeyId(id) => write!(f, "key {}", hex(id)),
            Self::Nothing => f.write_str("password"),
            Self::Unknown => f.write_str("unknown"),
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
    /// A key encapsulation (RFC 9629): ML-KEM.
    Kem(Box<Encapsulation>),
    /// A kind that this version does not know; its type, where it has one (RFC 5652 6.2.5).
    Other(Option<Oid>),
    /// One of a kind that is known, which cannot be read; why.
    Unreadable(String),
}

/// What the recipients of one key agreement share. Held once: a message may name thousands of them.
#[derive(Debug)]
pub struct Agreement {
    /// The agreement.
    pub algorithm: AlgorithmIdentifier,
    /// Whose key the other side of it is.
    pub originator: Originator,
    /// The user keying material.
    pub ukm: Option<Vec<u8>>,
}

/// The other side of a key agreement.
///
/// `OriginatorIdentifierOrKey ::= CHOICE { issuerAndSerialNumber, subjectKeyIdentifier [0], originatorKey [1] OriginatorPublicKey }`
/// (RFC 5652 6.2.2)
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Originator {
    /// A key made for this message, as received (RFC 5753 3.1.1, RFC 8418 2).
    Key(Vec<u8>),
    /// A certificate, whose key serves many messages (RFC 6278 2.1).
    Certificate(SignerId),
}

impl Recipient {
    /// The word of the JSON output.
    pub fn kind_name(&self) -> &'static str {
        match self.kind {
            RecipientKind::Transport(_) => "ktri",
            RecipientKind::Agreement(_) => "kari",
            RecipientKind::Kek(_) => "kekri",
            RecipientKind::Password { .. } => "pwri",
            RecipientKind::Kem(_) => "kemri",
            RecipientKind::Other(_) | RecipientKind::Unreadable(_) => "other",
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
            RecipientKind::Kem(encapsulation) => encapsulation.algorithm.name(),
            RecipientKind::Other(kind) => kind.map_or_else(|| "unknown".to_owned(), |kind| kind.to_string()),
            RecipientKind::Unreadable(_) => "unreadable".to_owned(),
        }
    }

    /// Reads a RecipientInfo; a key agreement gives one recipient for each of its keys.
    ///
    /// RFC 5652 6.2: versions, kinds and alternatives that a reader does not know must not stop it: they are somebody else's. Whatever of a
    /// known one cannot be read is kept as unreadable, and the others serve.
    pub(in crate::cms) fn from_der(bytes: &[u8], limits: &Limits) -> Result<Vec<Self>, Error> {
        match Self::read(bytes, limits) {
            Ok(found) => Ok(found),
            Err(Error::Limit(limit)) => Err(Error::Limit(limit)),
            Err(error) => Ok(vec![Self::without_key(RecipientId::Unknown, RecipientKind::Unreadable(error.to_string()))]),
        }
    }

    fn without_key(id: RecipientId, kind: RecipientKind) -> Self {
        Self { id, kind, encrypted_key: Vec::new() }
    }

    /// `RecipientInfo ::= CHOICE { ktri, kari [1], kekri [2], pwri [3], ori [4] }`
    fn read(bytes: &[u8], limits: &Limits) -> Result<Vec<Self>, Error> {
        let element = Cursor::with_limits(bytes, limits).any()?;
        if element.tag != Tag::context_constructed(4)
            && unknown_version(&mut element.cursor()?).is_ok_and(|version| version.is_some())
        {
            return Ok(vec![Self::without_key(RecipientId::Unknown, RecipientKind::Other(None))]);
        }
        match element.tag {
            Tag::SEQUENCE => ktri(element.cursor()?).map(|one| vec![one]),
            tag if tag == Tag::context_constructed(1) => kari(element.cursor()?, limits),
            tag if tag == Tag::context_constructed(2) => kekri(element.cursor()?).map(|one| vec![one]),
            tag if tag == Tag::context_constructed(3) => pwri(element.cursor()?).map(|one| vec![one]),
            tag if tag == Tag::context_constructed(4) => ori(element.cursor()?).map(|one| vec![one]),
            _ => Ok(vec![Self::without_key(RecipientId::Unknown, RecipientKind::Other(None))]),
        }
    }

    /// Whether a private key of this kind could serve.
    pub(in crate::cms) fn fits(&self, key: &PrivateKey) -> bool {
        match &self.kind {
            RecipientKind::Transport(_) => key.algorithm().is_rsa(),
            RecipientKind::Agreement(_) => key.algorithm().agrees(),
            RecipientKind::Kem(encapsulation) => encapsulation.fits(key),
            RecipientKind::Kek(_) | RecipientKind::Password { .. } | RecipientKind::Other(_) | RecipientKind::Unreadable(_) => {
                false
            }
        }
    }

    /// Recovers the content key with a private key; `originators` are certificates among which the originator's may be.
    pub(in crate::cms) fn unwrap(
        &self,
        key: &PrivateKey,
        cipher: ContentCipher,
        originators: &[Certificate],
        random: &mut dyn Random,
    ) -> Result<Secret<Vec<u8>>, Error> {
        match &self.kind {
            RecipientKind::Transport(algorithm) => {
                let transport = KeyTransport::from_identifier(algorithm)?;
                Ok(transport::decrypt(key, &transport, &self.encrypted_key, Some(cipher.key_len()), random)?)
            }
            RecipientKind::Agreement(shared) => {
                let agreement = KeyAgreement::from_identifier(&shared.algorithm)?;
                let originator = originator_key(&shared.originator, originators, key)?;
                Ok(agreement::unwrap(key, &originator, &agreement, shared.ukm.as_deref(), &self.encrypted_key)?)
            }
            RecipientKind::Kem(encapsulation) => encapsulation.unwrap(key, &self.encrypted_key),
            RecipientKind::Kek(_) | RecipientKind::Password { .. } | RecipientKind::Other(_) | RecipientKind::Unreadable(_) => {
                Err(Error::Malformed("this recipient has no use for a private key"))
            }
        }
    }

    /// Recovers the content key with a key-encryption key. A password recipient without key derivation has such a key from
    /// elsewhere (RFC 5652 6.2.4).
    pub(in crate::cms) fn unwrap_kek(&self, kek: &Secret<Vec<u8>>) -> Result<Secret<Vec<u8>>, Error> {
        match &self.kind {
            RecipientKind::Kek(algorithm) => {
                Ok(wrap::unwrap(KeyWrap::from_identifier(algorithm)?, kek.expose(), &self.encrypted_key)?)
            }
            RecipientKind::Password { derivation: None, encryption } => {
                let cipher = password_cipher(encryption)?;
                if kek.expose().len() != cipher.cipher.key_len() {
                    return Err(Error::DecryptionFailed);
                }
                unwrap_rfc3211(&cipher, kek, &self.encrypted_key)
            }
            _ => Err(Error::Malformed("this recipient has no use for a KEK")),
        }
    }

    /// Recovers the content key with a password (RFC 3211).
    pub(in crate::cms) fn unwrap_password(
        &self,
        password: &Secret<Vec<u8>>,
        cost: &mut pbe::Cost,
    ) -> Result<Secret<Vec<u8>>, Error> {
        let RecipientKind::Password { derivation, encryption } = &self.kind else {
            return Err(Error::Malformed("this recipient has no use for a password"));
        };
        let Some(derivation) = derivation else {
            return Err(Error::Unsupported("a password recipient whose key comes from no password – it needs a KEK".to_owned()));
        };
        // RFC 5652 6.2.4 asks for id-alg-PWRI-KEK; PKI.js writes a plain AES wrap, whose check is no weaker
        if let Ok(wrap) = KeyWrap::from_identifier(encryption) {
            let kek = pbe::derive_key(derivation, password.expose(), wrap.key_len(), cost)?;
            return Ok(wrap::unwrap(wrap, kek.expose(), &self.encrypted_key)?);
        }
        let cipher = password_cipher(encryption)?;
        let kek = pbe::derive_key(derivation, password.expose(), cipher.cipher.key_len(), cost)?;
        unwrap_rfc3211(&cipher, &kek, &self.encrypted_key)
    }
}

/// The cipher of a password recipient: `id-alg-PWRI-KEK` with the identifier of a block cipher (RFC 3211 2.3).
fn password_cipher(encryption: &AlgorithmIdentifier) -> Result<CipherParameters, Error> {
    if encryption.oid != oid::PWRI_KEK {
        return Err(Error::Unsupported(format!("password key encryption {}", encryption.name())));
    }
    let inner = encryption.real_parameters().ok_or(Error::Malformed("a password recipient without its cipher"))?;
    let parameters = CipherParameters::from_identifier(&AlgorithmIdentifier::from_der(inner)?)?;
    if parameters.cipher.is_authenticated() {
        return Err(Error::Unsupported(format!("password key encryption with {}", parameters.cipher.name())));
    }
    Ok(parameters)
}

/// `KeyTransRecipientInfo ::= SEQUENCE { version, rid, keyEncryptionAlgorithm, encryptedKey }`
fn ktri(mut fields: Cursor<'_>) -> Result<Recipient, Error> {
    fields.integer()?;
    let id = recipient_identifier(&mut fields)?;
    let algorithm = AlgorithmIdentifier::from_cursor(&mut fields)?;
    let encrypted_key = fields.octet_string()?.into_owned();
    Ok(Recipient { id, kind: RecipientKind::Transport(algorithm), encrypted_key })
}

/// `KeyAgreeRecipientInfo ::= [1] SEQUENCE { version, originator [0] EXPLICIT, ukm [1] EXPLICIT OPTIONAL, keyEncryptionAlgorithm, recipientEncryptedKeys }`
fn kari(mut fields: Cursor<'_>, limits: &Limits) -> Result<Vec<Recipient>, Error> {
    fields.integer()?;
    let mut originator = fields.explicit(0)?.ok_or(Error::Malformed("a key agreement without originator"))?;
    let originator = match originator.optional(Tag::context_constructed(1))? {
        Some(key) => Originator::Key(key.raw.to_vec()),
        None => Originator::Certificate(SignerId::from_cursor(&mut originator)?),
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

/// `KEKRecipientInfo ::= [2] SEQUENCE { version, kekid, keyEncryptionAlgorithm, encryptedKey }` with
/// `KEKIdentifier ::= SEQUENCE { keyIdentifier, date OPTIONAL, other OPTIONAL }`, of which the first names the key
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

/// `OtherRecipientInfo ::= [4] SEQUENCE { oriType OBJECT IDENTIFIER, oriValue ANY }`; one type is known, `KEMRecipientInfo` (RFC 9629 3)
fn ori(mut fields: Cursor<'_>) -> Result<Recipient, Error> {
    let kind = fields.oid()?;
    if kind != oid::ORI_KEM {
        return Ok(Recipient::without_key(RecipientId::Unknown, RecipientKind::Other(Some(kind))));
    }
    let mut fields = fields.sequence()?;
    if unknown_version(&mut fields)?.is_some() {
        return Ok(Recipient::without_key(RecipientId::Unknown, RecipientKind::Other(Some(kind))));
    }
    let id = recipient_identifier(&mut fields)?;
    let encapsulation = Encapsulation::from_cursor(&mut fields)?;
    let encrypted_key = fields.octet_string()?.into_owned();
    Ok(Recipient { id, kind: RecipientKind::Kem(Box::new(encapsulation)), encrypted_key })
}

/// `RecipientIdentifier ::= CHOICE { issuerAndSerialNumber, subjectKeyIdentifier [0] }`
fn recipient_identifier(fields: &mut Cursor<'_>) -> Result<RecipientId, Error> {
    match fields.peek() {
        Some(Tag::SEQUENCE) => issuer_serial(fields.sequence()?),
        _ => Ok(RecipientId::KeyId(fields.expect(Tag::context(0))?.bytes()?.into_owned())),
    }
}

fn issuer_serial(mut fields: Cursor<'_>) -> Result<RecipientId, Error> {
    let issuer = Name::from_der(fields.expect(Tag::SEQUENCE)?.raw)?;
    Ok(RecipientId::IssuerSerial { issuer, serial: fields.integer()?.to_vec() })
}

/// The originator's key: out of the message, or of the certificate that the message names.
fn originator_key(originator: &Originator, known: &[Certificate], own: &PrivateKey) -> Result<PublicKey, Error> {
    let id = match originator {
        Originator::Key(received) => return ephemeral_key(received, own),
        Originator::Certificate(id) => id,
    };
    let keys = known.iter().filter(|certificate| id.names(certificate)).filter_map(|certificate| certificate.public_key().ok());
    let found = keys.into_iter().find(|key| key.algorithm() == own.algorithm());
    found.ok_or_else(|| Error::Unsupported(format!("an originator whose certificate is not at hand – {id}")))
}

/// `OriginatorPublicKey ::= SEQUENCE { algorithm, publicKey BIT STRING }`; the algorithm may lack the curve, which is the recipient's
/// then (RFC 5753 3.1.1).
fn ephemeral_key(received: &[u8], own: &PrivateKey) -> Result<PublicKey, Error> {
    let mut fields = Cursor::new(received).any()?.cursor()?;
    let mut algorithm = AlgorithmIdentifier::from_cursor(&mut fields)?;
    let point = fields.expect(Tag::BIT_STRING)?;
    if algorithm.real_parameters().is_none() {
        let mut own = Cursor::new(own.public_key().spki()).sequence()?;
        let of_recipient = AlgorithmIdentifier::from_cursor(&mut own)?;
        if algorithm.oid != of_recipient.oid {
            return Err(Error::Malformed("the originator's key is of another kind than the recipient's"));
        }
        algorithm = of_recipient;
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
