//! Questions to OCSP responders and what they answer (RFC 6960, 9654).
//!
//! Holds always: an answer is about the certificate whose issuer's name, issuer's key and serial number it has, and about no other;
//! what a response says counts only when whoever signed it may (`revocation`).

use crate::asn1::{Cursor, Element, Oid, Tag, encode, oid};
use crate::crypto::algorithm::{AlgorithmIdentifier, DigestAlgorithm, SignatureAlgorithm};
use crate::crypto::digest;
use crate::crypto::key::PublicKey;
use crate::crypto::random::Random;
use crate::crypto::signature::{self, Input};
use crate::limits::{Budget, Limits};
use crate::pki::crl::{minimal, reason_name, weak};
use crate::pki::revocation::Unusable;
use crate::pki::{Certificate, Error, Extension, Name, hex};
use crate::time::Timestamp;

/// Bytes of a nonce that is sent. 32: RFC 9654 2.1.
const NONCE_BYTES: usize = 32;

/// Which certificate is meant (RFC 6960 4.1.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertId {
    digest: AlgorithmIdentifier,
    issuer_name_hash: Vec<u8>,
    issuer_key_hash: Vec<u8>,
    serial: Vec<u8>,
}

impl CertId {
    /// The identifier of a certificate of this issuer.
    pub fn new(certificate: &Certificate, issuer: &Certificate, digest: DigestAlgorithm) -> Result<Self, Error> {
        Ok(Self {
            digest: digest.identifier_with_null(),
            issuer_name_hash: digest::of(digest, certificate.issuer().der()),
            issuer_key_hash: digest::of(digest, &key_bits(issuer)?),
            serial: certificate.serial().to_vec(),
        })
    }

    /// `CertID ::= SEQUENCE { hashAlgorithm, issuerNameHash OCTET STRING, issuerKeyHash OCTET STRING, serialNumber INTEGER }`
    fn read(mut fields: Cursor<'_>) -> Result<Self, Error> {
        let digest = AlgorithmIdentifier::from_cursor(&mut fields)?;
        let issuer_name_hash = fields.octet_string()?.into_owned();
        let issuer_key_hash = fields.octet_string()?.into_owned();
        let serial = fields.integer()?.to_vec();
        fields.finish()?;
        Ok(Self { digest, issuer_name_hash, issuer_key_hash, serial })
    }

    fn to_der(&self) -> Vec<u8> {
        encode::sequence(&[
            self.digest.to_der(),
            encode::octet_string(&self.issuer_name_hash),
            encode::octet_string(&self.issuer_key_hash),
            encode::tlv(Tag::INTEGER, &self.serial),
        ])
    }

    /// The serial number, as the content of its INTEGER.
    pub fn serial(&self) -> &[u8] {
        &self.serial
    }

    /// Whether it is that of a certificate, which this issuer issued.
    pub fn is_of(&self, certificate: &Certificate, issuer: &Certificate) -> bool {
        let Ok(digest) = DigestAlgorithm::from_identifier(&self.digest) else { return false };
        // what anyone can find a second of names no certificate; SHA-1 still has no second preimages
        if !matches!(digest, DigestAlgorithm::Sha1 | DigestAlgorithm::Sha256 | DigestAlgorithm::Sha384 | DigestAlgorithm::Sha512)
        {
            return false;
        }
        let is_name = |name: &Name| digest::of(digest, name.der()) == self.issuer_name_hash;
        minimal(&self.serial) == minimal(certificate.serial())
            && (is_name(certificate.issuer()) || is_name(issuer.subject()))
            && key_bits(issuer).is_ok_and(|bits| digest::of(digest, &bits) == self.issuer_key_hash)
    }
}

/// The content of the BIT STRING subjectPublicKey.
fn key_bits(certificate: &Certificate) -> Result<Vec<u8>, Error> {
    let mut fields = Cursor::new(certificate.spki()).sequence()?;
    fields.sequence()?;
    Ok(fields.bit_string()?.1.into_owned())
}

/// A question about one certificate.
///
/// `OCSPRequest ::= SEQUENCE { tbsRequest SEQUENCE { requestList SEQUENCE OF SEQUENCE { CertID }, requestExtensions [2] } }`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    id: CertId,
    nonce: Option<Vec<u8>>,
}

impl Request {
    /// A question without a nonce, which responders can answer with what they signed before.
    pub fn new(id: CertId) -> Self {
        Self { id, nonce: None }
    }

    /// With a nonce: an answer that has it was made for this question.
    #[must_use]
    pub fn nonce(mut self, random: &mut dyn Random) -> Self {
        let mut nonce = vec![0; NONCE_BYTES];
        random.fill(&mut nonce);
        self.nonce = Some(nonce);
        self
    }

    /// The certificate that it asks about.
    pub fn id(&self) -> &CertId {
        &self.id
    }

    /// The question in DER, as it is sent.
    pub fn to_der(&self) -> Vec<u8> {
        let list = encode::sequence(&[encode::sequence(&[self.id.to_der()])]);
        let extensions = self.nonce.as_ref().map(|nonce| {
            let value = encode::octet_string(&encode::octet_string(nonce));
            let extension = encode::sequence(&[encode::oid(&oid::OCSP_NONCE), value]);
            encode::explicit(2, &encode::sequence(&[extension]))
        });
        encode::sequence(&[encode::sequence(&[list, extensions.unwrap_or_default()])])
    }
}

/// What a responder answers instead of telling about certificates (RFC 6960 4.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is the status of its name")]
pub enum Refusal {
    MalformedRequest,
    InternalError,
    TryLater,
    SigRequired,
    Unauthorized,
    /// A number that the standard does not have.
    Other(u8),
}

impl Refusal {
    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Self::MalformedRequest => "it could not read the request",
            Self::InternalError => "an error of its own",
            Self::TryLater => "it is to be asked later",
            Self::SigRequired => "it wants a signed request",
            Self::Unauthorized => "it does not answer about this certificate",
            Self::Other(_) => "a status that the standard does not have",
        }
    }
}

/// A response, its bytes kept.
#[derive(Debug, Clone)]
pub struct Response {
    der: Vec<u8>,
    content: Result<Basic, Refusal>,
}

/// The contents of a response that tells about certificates.
#[derive(Debug, Clone)]
pub struct Basic {
    tbs: Vec<u8>,
    responder: ResponderId,
    produced_at: Timestamp,
    answers: Vec<Answer>,
    extensions: Vec<Extension>,
    algorithm: AlgorithmIdentifier,
    signature: Vec<u8>,
    certificates: Vec<Certificate>,
}

/// Who signed a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResponderId {
    /// Whom a certificate names.
    Name(Name),
    /// The SHA-1 of the key.
    KeyHash(Vec<u8>),
}

impl ResponderId {
    /// Whether a certificate is the responder's.
    pub fn is_of(&self, certificate: &Certificate) -> bool {
        match self {
            Self::Name(name) => certificate.subject().matches(name),
            Self::KeyHash(hash) => key_bits(certificate).is_ok_and(|bits| digest::of(DigestAlgorithm::Sha1, &bits) == *hash),
        }
    }
}

impl std::fmt::Display for ResponderId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Name(name) => name.fmt(f),
            Self::KeyHash(hash) => write!(f, "key {}", hex(hash)),
        }
    }
}

/// What a response says about one certificate.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The certificate.
    pub id: CertId,
    /// What it says.
    pub status: Status,
    /// When this was known to be so.
    pub this_update: Timestamp,
    /// When more will be known.
    pub next_update: Option<Timestamp>,
    extensions: Vec<Extension>,
}

/// What a responder knows of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It was not revoked.
    Good,
    /// It was revoked.
    Revoked {
        /// When.
        date: Timestamp,
        /// Why, as RFC 5280 5.3.1 numbers it.
        reason: Option<u8>,
    },
    /// The responder does not know the certificate.
    Unknown,
}

impl Status {
    /// In words.
    pub fn describe(&self) -> String {
        match self {
            Self::Good => "good".to_owned(),
            Self::Revoked { date, reason } => format!("revoked on {date} – {}", reason_name(*reason)),
            Self::Unknown => "unknown".to_owned(),
        }
    }
}

impl Response {
    /// Reads an encoded `OCSPResponse`.
    ///
    /// `OCSPResponse ::= SEQUENCE { responseStatus ENUMERATED, responseBytes [0] SEQUENCE { OBJECT IDENTIFIER, OCTET STRING } OPTIONAL }`
    pub fn from_der(bytes: &[u8], limits: &Limits) -> Result<Self, Error> {
        let mut outer = Cursor::with_limits(bytes, limits);
        let mut fields = outer.sequence()?;
        outer.finish()?;
        let status = fields.expect(Tag::ENUMERATED)?.content;
        let refusal = match status {
            [0] => None,
            [1] => Some(Refusal::MalformedRequest),
            [2] => Some(Refusal::InternalError),
            [3] => Some(Refusal::TryLater),
            [5] => Some(Refusal::SigRequired),
            [6] => Some(Refusal::Unauthorized),
            [other] => Some(Refusal::Other(*other)),
            _ => return Err(Error::Malformed("an OCSP response whose status cannot be read")),
        };
        let body = fields.explicit(0)?;
        fields.finish()?;
        let content = match (refusal, body) {
            (Some(refusal), _) => Err(refusal),
            (None, None) => return Err(Error::Malformed("an OCSP response that tells nothing")),
            (None, Some(mut body)) => {
                let mut body = body.sequence()?;
                if body.oid()? != oid::OCSP_BASIC {
                    return Err(Error::Malformed("an OCSP response of a kind that is not known"));
                }
                Ok(Basic::read(&body.octet_string()?, limits)?)
            }
        };
        Ok(Self { der: bytes.to_vec(), content })
    }

    /// The response as received.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// What it tells about certificates, or why the responder tells nothing.
    pub fn content(&self) -> Result<&Basic, Refusal> {
        self.content.as_ref().map_err(|refusal| *refusal)
    }

    /// Whether it was made for this request: where a nonce was sent, it must come back (RFC 6960 4.4.1).
    pub fn check_nonce(&self, request: &Request) -> Result<(), Unusable> {
        let Some(sent) = &request.nonce else { return Ok(()) };
        match self.content().map_err(Unusable::Refused)?.nonce() {
            Some(nonce) if nonce == *sent => Ok(()),
            Some(_) => Err(Unusable::NonceDiffers),
            None => Err(Unusable::NonceMissing),
        }
    }
}

impl Basic {
    /// `BasicOCSPResponse ::= SEQUENCE { tbsResponseData, signatureAlgorithm, signature BIT STRING, certs [0] SEQUENCE OF Certificate OPTIONAL }`
    fn read(bytes: &[u8], limits: &Limits) -> Result<Self, Error> {
        let mut outer = Cursor::with_limits(bytes, limits);
        let mut whole = outer.sequence()?;
        outer.finish()?;
        let tbs = whole.expect(Tag::SEQUENCE)?;
        let algorithm = AlgorithmIdentifier::from_cursor(&mut whole)?;
        let (_, signature) = whole.bit_string()?;
        let mut certificates = Vec::new();
        if let Some(mut list) = whole.explicit(0)? {
            let mut list = list.sequence()?;
            let mut budget = Budget::new("certificates", limits.certificates);
            while !list.is_empty() {
                budget.spend(1u64)?;
                // one that cannot be read is no responder's; another may be
                certificates.extend(Certificate::from_der(list.any()?.raw).ok());
            }
        }
        whole.finish()?;
        let mut data = Self {
            tbs: tbs.raw.to_vec(),
            responder: ResponderId::KeyHash(Vec::new()),
            produced_at: Timestamp::from_unix(0),
            answers: Vec::new(),
            extensions: Vec::new(),
            algorithm,
            signature: signature.into_owned(),
            certificates,
        };
        data.read_data(tbs.cursor()?, limits)?;
        Ok(data)
    }

    /// `ResponseData ::= SEQUENCE { version [0] DEFAULT v1, responderID, producedAt, responses SEQUENCE OF SingleResponse, responseExtensions [1] OPTIONAL }`
    fn read_data(&mut self, mut fields: Cursor<'_>, limits: &Limits) -> Result<(), Error> {
        if let Some(mut version) = fields.explicit(0)?
            && version.small_unsigned()? != 0
        {
            return Err(Error::Malformed("an OCSP response of a version that is not known"));
        }
        self.responder = responder(&fields.any()?)?;
        self.produced_at = fields.time()?;
        let mut list = fields.sequence()?;
        let mut budget = Budget::new("ocsp answers", limits.ocsp_answers);
        while !list.is_empty() {
            budget.spend(1u64)?;
            self.answers.push(Answer::read(list.sequence()?)?);
        }
        if let Some(mut inner) = fields.explicit(1)? {
            self.extensions = Extension::list(&mut inner)?;
        }
        Ok(fields.finish()?)
    }

    /// Who signed it, as it says.
    pub fn responder(&self) -> &ResponderId {
        &self.responder
    }

    /// When it was signed.
    pub fn produced_at(&self) -> Timestamp {
        self.produced_at
    }

    /// What it says, by certificate.
    pub fn answers(&self) -> &[Answer] {
        &self.answers
    }

    /// The certificates that it brings, among which the responder's may be.
    pub fn certificates(&self) -> &[Certificate] {
        &self.certificates
    }

    /// The nonce that it has.
    pub fn nonce(&self) -> Option<Vec<u8>> {
        let extension = self.extensions.iter().find(|extension| extension.oid == oid::OCSP_NONCE)?;
        let wrapped = Cursor::new(&extension.value).octet_string();
        // some responders write the bytes of the nonce alone (RFC 6960 4.4.1 left it open before RFC 8954)
        Some(wrapped.map_or_else(|_| extension.value.clone(), std::borrow::Cow::into_owned))
    }

    /// Checks its signature with the responder's key, over the bytes as received.
    pub fn verify_signature(&self, responder: &PublicKey) -> Result<(), Error> {
        let algorithm = SignatureAlgorithm::from_identifier(&self.algorithm, None)?;
        signature::verify(responder, algorithm, Input::Message(&self.tbs), &self.signature)?;
        Ok(())
    }

    /// The algorithm of its signature, where it is one that anyone can forge, or may soon.
    pub(in crate::pki) fn weak_algorithm(&self) -> Option<String> {
        weak(&self.algorithm)
    }

    /// What is critical about an answer, and not known here.
    pub(in crate::pki) fn unknown_critical(&self, answer: &Answer) -> Option<Oid> {
        let mut all = self.extensions.iter().chain(&answer.extensions);
        all.find(|extension| extension.critical && extension.oid != oid::OCSP_NONCE).map(|extension| extension.oid)
    }
}

impl Answer {
    /// `SingleResponse ::= SEQUENCE { certID, certStatus, thisUpdate, nextUpdate [0] OPTIONAL, singleExtensions [1] OPTIONAL }`
    fn read(mut fields: Cursor<'_>) -> Result<Self, Error> {
        let id = CertId::read(fields.sequence()?)?;
        let status = status(&fields.any()?)?;
        let this_update = fields.time()?;
        let next_update = fields.explicit(0)?.map(|mut inner| inner.time()).transpose()?;
        let extensions = match fields.explicit(1)? {
            Some(mut inner) => Extension::list(&mut inner)?,
            None => Vec::new(),
        };
        fields.finish()?;
        Ok(Self { id, status, this_update, next_update, extensions })
    }
}

/// `CertStatus ::= CHOICE { good [0] NULL, revoked [1] SEQUENCE { revocationTime, revocationReason [0] OPTIONAL }, unknown [2] NULL }`
fn status(field: &Element<'_>) -> Result<Status, Error> {
    if field.tag == Tag::context(0) {
        return Ok(Status::Good);
    }
    if field.tag == Tag::context(2) {
        return Ok(Status::Unknown);
    }
    if field.tag != Tag::context_constructed(1) {
        return Err(Error::Malformed("an OCSP response whose answer is of a kind that is not known"));
    }
    let mut fields = field.cursor()?;
    let date = fields.time()?;
    let reason = match fields.explicit(0)? {
        Some(mut inner) => inner.expect(Tag::ENUMERATED)?.content.first().copied(),
        None => None,
    };
    fields.finish()?;
    Ok(Status::Revoked { date, reason })
}

/// `ResponderID ::= CHOICE { byName [1] Name, byKey [2] OCTET STRING }`
fn responder(field: &Element<'_>) -> Result<ResponderId, Error> {
    let mut inner = field.cursor()?;
    let found = match field.tag {
        tag if tag == Tag::context_constructed(1) => ResponderId::Name(Name::from_der(inner.any()?.raw)?),
        tag if tag == Tag::context_constructed(2) => ResponderId::KeyHash(inner.octet_string()?.into_owned()),
        _ => return Err(Error::Malformed("an OCSP response whose responder cannot be read")),
    };
    inner.finish()?;
    Ok(found)
}
