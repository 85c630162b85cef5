//! One signer of a SignedData (RFC 5652 5.3), and whether the signature fits.

use std::fmt;

use crate::asn1::{Cursor, Oid, Tag, oid};
use crate::cms::attribute::ess_cert_hash;
use crate::cms::{Attributes, Capabilities, Error, SignedData};
use crate::crypto::algorithm::{AlgorithmIdentifier, DigestAlgorithm, SignatureAlgorithm, Strength};
use crate::crypto::signature::{self, Input};
use crate::crypto::{self, digest, mac};
use crate::limits::Limits;
use crate::pki::{Certificate, Name};
use crate::time::Timestamp;

/// How a signer's certificate is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignerId {
    /// By issuer and serial number.
    IssuerSerial {
        /// The issuer.
        issuer: Name,
        /// The serial number, as the content of its INTEGER.
        serial: Vec<u8>,
    },
    /// By subject key identifier.
    KeyId(Vec<u8>),
}

impl SignerId {
    /// `SignerIdentifier ::= CHOICE { issuerAndSerialNumber, subjectKeyIdentifier [0] }`
    pub(in crate::cms) fn from_cursor(fields: &mut Cursor<'_>) -> Result<Self, Error> {
        if fields.peek() != Some(Tag::SEQUENCE) {
            return Ok(Self::KeyId(fields.expect(Tag::context(0))?.bytes()?.into_owned()));
        }
        let mut id = fields.sequence()?;
        let issuer = Name::from_der(id.expect(Tag::SEQUENCE)?.raw)?;
        Ok(Self::IssuerSerial { issuer, serial: id.integer()?.to_vec() })
    }

    /// Whether it names this certificate.
    pub fn names(&self, certificate: &Certificate) -> bool {
        match self {
            Self::IssuerSerial { issuer, serial } => certificate.serial() == serial && certificate.issuer().matches(issuer),
            Self::KeyId(id) => certificate.subject_key_id().is_some_and(|known| known == *id),
        }
    }
}

impl fmt::Display for SignerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        match self {
            Self::IssuerSerial { issuer, serial } => write!(f, "serial {} of {issuer}", hex(serial)),
            Self::KeyId(id) => write!(f, "key {}", hex(id)),
        }
    }
}

/// One signer.
#[derive(Debug, Clone)]
pub struct Signer {
    /// Which certificate.
    pub id: SignerId,
    /// The signed attributes.
    pub signed_attributes: Option<Attributes>,
    /// The unsigned attributes.
    pub unsigned_attributes: Option<Attributes>,
    digest: AlgorithmIdentifier,
    signature_algorithm: AlgorithmIdentifier,
    signature: Vec<u8>,
}

/// Whether a signature fits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignatureCheck {
    /// It does; the strings say what is odd and yet clear.
    Valid(Vec<String>),
    /// The content is not what was signed.
    ContentChanged,
    /// It does not, for this reason.
    Invalid(String),
}

/// `SignerInfo ::= SEQUENCE { version, sid, digestAlgorithm, signedAttrs [0] OPTIONAL, signatureAlgorithm, signature, unsignedAttrs [1] OPTIONAL }`
impl Signer {
    pub(in crate::cms) fn from_der(bytes: &[u8], limits: &Limits) -> Result<Self, Error> {
        let mut outer = Cursor::with_limits(bytes, limits);
        let mut fields = outer.sequence()?;
        fields.integer()?;
        let id = SignerId::from_cursor(&mut fields)?;
        let digest = AlgorithmIdentifier::from_cursor(&mut fields)?;
        let attributes =
            |element: Option<crate::asn1::Element<'_>>| element.map(|e| Attributes::from_element(&e, limits)).transpose();
        let signed_attributes = attributes(fields.optional(Tag::context_constructed(0))?)?;
        let signature_algorithm = AlgorithmIdentifier::from_cursor(&mut fields)?;
        let signature = fields.octet_string()?.into_owned();
        let unsigned_attributes = attributes(fields.optional(Tag::context_constructed(1))?)?;
        fields.finish()?;
        Ok(Self { id, signed_attributes, unsigned_attributes, digest, signature_algorithm, signature })
    }

    /// The digest of the content, where it is known here.
    pub fn digest_algorithm(&self) -> Option<DigestAlgorithm> {
        DigestAlgorithm::from_identifier(&self.digest).ok()
    }

    /// The signature algorithm, where it is known here.
    pub fn algorithm(&self) -> Option<SignatureAlgorithm> {
        SignatureAlgorithm::from_identifier(&self.signature_algorithm, self.digest_algorithm()).ok()
    }

    /// The signature algorithm for people.
    pub fn algorithm_name(&self) -> String {
        self.algorithm().map_or_else(|| self.signature_algorithm.name(), |algorithm| algorithm.name())
    }

    /// How far its algorithms may be relied on: the weaker of the content's digest and the signature; `None` where one is unknown.
    pub fn strength(&self) -> Option<Strength> {
        Some(self.digest_algorithm()?.strength().min(self.algorithm()?.strength()))
    }

    /// The time that the signer claims.
    pub fn signing_time(&self) -> Option<Timestamp> {
        let value = self.signed_attributes.as_ref()?.single(&oid::SIGNING_TIME).ok()??;
        Cursor::new(value).time().ok()
    }

    /// What the signer says that he can read.
    pub fn capabilities(&self) -> Option<Capabilities> {
        let value = self.signed_attributes.as_ref()?.single(&oid::SMIME_CAPABILITIES).ok()??;
        Capabilities::from_der(value).ok()
    }

    /// Which certificate the signer wants mail to him encrypted to (RFC 8551 2.5.3).
    pub fn encryption_key_preference(&self) -> Option<SignerId> {
        let value = self.signed_attributes.as_ref()?.single(&oid::ENCRYPTION_KEY_PREFERENCE).ok()??;
        let choice = Cursor::new(value).any().ok()?;
        match choice.tag {
            tag if tag == Tag::context_constructed(0) => {
                let mut id = choice.cursor().ok()?;
                let issuer = Name::from_der(id.expect(Tag::SEQUENCE).ok()?.raw).ok()?;
                Some(SignerId::IssuerSerial { issuer, serial: id.integer().ok()?.to_vec() })
            }
            tag if tag == Tag::context_constructed(1) => {
                Some(SignerId::KeyId(choice.cursor().ok()?.octet_string().ok()?.into_owned()))
            }
            tag if tag.same_type(Tag::context(2)) => Some(SignerId::KeyId(choice.bytes().ok()?.into_owned())),
            _ => None,
        }
    }

    /// Checks the signature with a certificate that the identifier names.
    pub fn verify(&self, certificate: &Certificate, data: &SignedData) -> SignatureCheck {
        match self.check(certificate, data) {
            Ok(check) => check,
            Err(Error::Crypto(crypto::Error::SignatureInvalid)) => {
                SignatureCheck::Invalid("it does not fit the content and the signer's key".to_owned())
            }
            Err(error) => SignatureCheck::Invalid(error.to_string()),
        }
    }

    fn check(&self, certificate: &Certificate, data: &SignedData) -> Result<SignatureCheck, Error> {
        let digest_algorithm = DigestAlgorithm::from_identifier(&self.digest)?;
        let algorithm = SignatureAlgorithm::from_identifier(&self.signature_algorithm, Some(digest_algorithm))?;
        if digest_algorithm.strength() == Strength::Broken {
            return Ok(SignatureCheck::Invalid(format!("the digest {} is broken", digest_algorithm.name())));
        }
        let Some(content_digest) = data.digest(digest_algorithm) else {
            return Ok(SignatureCheck::Invalid(format!("the content was not hashed with {}", digest_algorithm.name())));
        };
        self.refuse_misplaced_attributes()?;
        let key = certificate.public_key()?;
        let mut oddities = Vec::new();
        let Some(attributes) = &self.signed_attributes else {
            // RFC 5652 5.3: only plain data may be signed without attributes; else attributes could pass for content
            if data.content_type != oid::ID_DATA {
                return Ok(SignatureCheck::Invalid("content of this type must be signed with attributes".to_owned()));
            }
            // the signature of another message's attributes is one over content that looks the same: who strips the attributes
            // and puts them in the place of the content gets a signature that fits
            if data.looks_like_attributes() {
                return Ok(SignatureCheck::Invalid("the content is the signed attributes of another message".to_owned()));
            }
            if algorithm.digest() != digest_algorithm {
                return Ok(SignatureCheck::Invalid("the digest and the signature algorithm do not go together".to_owned()));
            }
            signature::verify(&key, algorithm, Input::Digest(content_digest), &self.signature)?;
            return Ok(SignatureCheck::Valid(oddities));
        };
        let content_type =
            attributes.single(&oid::CONTENT_TYPE)?.ok_or(Error::Malformed("the signed attributes name no content type"))?;
        if Cursor::new(content_type).oid()? != data.content_type {
            return Ok(SignatureCheck::Invalid("the signed content type is another than the content's".to_owned()));
        }
        let digest =
            attributes.single(&oid::MESSAGE_DIGEST)?.ok_or(Error::Malformed("the signed attributes hold no message digest"))?;
        let is_unchanged = mac::equal(&Cursor::new(digest).octet_string()?, content_digest);
        self.check_protection(attributes)?;
        if !names_certificate(attributes, certificate)? {
            return Ok(SignatureCheck::Invalid("the signer named another certificate of the same key".to_owned()));
        }
        signature::verify(&key, algorithm, Input::Message(&attributes.signed_bytes()), &self.signature)?;
        if !is_unchanged {
            return Ok(SignatureCheck::ContentChanged);
        }
        if algorithm.digest() != digest_algorithm {
            let (signed, content) = (algorithm.digest().name(), digest_algorithm.name());
            oddities.push(format!("the signature uses the digest {signed}, the content {content}"));
        }
        if !attributes.is_sorted() {
            oddities.push("the signed attributes are not in the order of DER".to_owned());
        }
        Ok(SignatureCheck::Valid(oddities))
    }

    /// RFC 5652 11: these attributes must be signed, or must not be.
    fn refuse_misplaced_attributes(&self) -> Result<(), Error> {
        let must_be_signed = [oid::CONTENT_TYPE, oid::MESSAGE_DIGEST, oid::SIGNING_TIME];
        let has = |attributes: &Option<Attributes>, wanted: &Oid| {
            attributes.as_ref().is_some_and(|a| a.iter().any(|a| a.oid == *wanted))
        };
        if must_be_signed.iter().any(|wanted| has(&self.unsigned_attributes, wanted)) {
            return Err(Error::Malformed("an attribute stands unsigned that must be signed"));
        }
        if has(&self.signed_attributes, &oid::COUNTER_SIGNATURE) {
            return Err(Error::Malformed("a countersignature stands among the signed attributes"));
        }
        if let Some(attributes) = &self.signed_attributes
            && let Some(time) = attributes.single(&oid::SIGNING_TIME)?
        {
            Cursor::new(time).time()?;
        }
        Ok(())
    }

    /// RFC 6211: the algorithms that the signer meant.
    fn check_protection(&self, attributes: &Attributes) -> Result<(), Error> {
        let Some(value) = attributes.single(&oid::CMS_ALGORITHM_PROTECTION)? else { return Ok(()) };
        let mut fields = Cursor::new(value).sequence()?;
        let digest = AlgorithmIdentifier::from_cursor(&mut fields)?;
        let signature = fields.optional(Tag::context_constructed(1))?;
        let signature = signature.map(|e| e.cursor().and_then(AlgorithmIdentifier::from_fields)).transpose()?;
        let same =
            |a: &AlgorithmIdentifier, b: &AlgorithmIdentifier| a.oid == b.oid && a.real_parameters() == b.real_parameters();
        if !same(&digest, &self.digest) || signature.is_none_or(|signature| !same(&signature, &self.signature_algorithm)) {
            return Err(Error::Malformed("the algorithms were exchanged after signing"));
        }
        Ok(())
    }
}

/// Whether the certificate that the signer named, where he named one, is this (RFC 5035 5).
fn names_certificate(attributes: &Attributes, certificate: &Certificate) -> Result<bool, Error> {
    let Some((algorithm, hash)) = ess_cert_hash(attributes)? else { return Ok(true) };
    let algorithm = DigestAlgorithm::from_oid(&algorithm).ok_or_else(|| Error::Unsupported(format!("digest {algorithm}")))?;
    Ok(digest::of(algorithm, certificate.der()) == hash)
}
