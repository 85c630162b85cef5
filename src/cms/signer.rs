//! One signer of a SignedData (RFC 5652 5.3), and whether the signature fits.

use std::borrow::Cow;
use std::fmt;

use crate::asn1::{Cursor, Oid, Tag, oid};
use crate::cms::ess::{Named, SigningCertificate};
use crate::cms::reader::unknown_version;
use crate::cms::{Attributes, Error, SignedData};
use crate::crypto::algorithm::{AlgorithmIdentifier, DigestAlgorithm, SignatureAlgorithm, Strength};
use crate::crypto::key::PublicKey;
use crate::crypto::signature::{self, Input};
use crate::crypto::{self, digest, mac};
use crate::limits::Limits;
use crate::pki::{Certificate, Name, hex};

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
        Self::from_issuer_and_serial(fields.sequence()?)
    }

    /// `IssuerAndSerialNumber ::= SEQUENCE { issuer Name, serialNumber INTEGER }`, its tag taken off
    pub(in crate::cms) fn from_issuer_and_serial(mut fields: Cursor<'_>) -> Result<Self, Error> {
        let issuer = Name::from_der(fields.expect(Tag::SEQUENCE)?.raw)?;
        Ok(Self::IssuerSerial { issuer, serial: fields.integer()?.to_vec() })
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
    unknown_version: Option<String>,
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
    /// It uses what is not known here.
    Unsupported(String),
}

/// `SignerInfo ::= SEQUENCE { version, sid, digestAlgorithm, signedAttrs [0] OPTIONAL, signatureAlgorithm, signature, unsignedAttrs [1] OPTIONAL }`
impl Signer {
    pub(in crate::cms) fn from_der(bytes: &[u8], limits: &Limits) -> Result<Self, Error> {
        let mut outer = Cursor::with_limits(bytes, limits);
        let mut fields = outer.sequence()?;
        let unknown_version = unknown_version(&mut fields)?;
        let id = SignerId::from_cursor(&mut fields)?;
        let digest = AlgorithmIdentifier::from_cursor(&mut fields)?;
        let attributes =
            |element: Option<crate::asn1::Element<'_>>| element.map(|e| Attributes::from_element(&e, limits)).transpose();
        let signed_attributes = attributes(fields.optional(Tag::context_constructed(0))?)?;
        let signature_algorithm = AlgorithmIdentifier::from_cursor(&mut fields)?;
        let signature = fields.octet_string()?.into_owned();
        let unsigned_attributes = attributes(fields.optional(Tag::context_constructed(1))?)?;
        fields.finish()?;
        Ok(Self { id, signed_attributes, unsigned_attributes, digest, signature_algorithm, signature, unknown_version })
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
        if self.needs_content() {
            return Some(self.algorithm()?.strength());
        }
        Some(self.digest_algorithm()?.strength().min(self.algorithm()?.strength()))
    }

    /// The signature value.
    pub fn signature(&self) -> &[u8] {
        &self.signature
    }

    /// Whether the signature is over the content itself, so that [`SignedData::supply_content`] must be called before
    /// [`Signer::verify`]: an EdDSA or post-quantum signature without signed attributes (RFC 8419 3.2, RFC 9882 3.2).
    pub fn needs_content(&self) -> bool {
        self.signed_attributes.is_none() && self.algorithm().is_some_and(|algorithm| algorithm.signs_messages())
    }

    /// Checks the signature with a certificate that the identifier names.
    pub fn verify(&self, certificate: &Certificate, data: &SignedData) -> SignatureCheck {
        self.verify_over(certificate, &Signed::Content(data))
    }

    pub(in crate::cms) fn verify_over(&self, certificate: &Certificate, signed: &Signed<'_>) -> SignatureCheck {
        match self.check(certificate, signed) {
            Ok(check) => check,
            Err(Error::Crypto(crypto::Error::SignatureInvalid)) => {
                SignatureCheck::Invalid("it does not fit the content and the signer's key".to_owned())
            }
            Err(Error::Unsupported(what)) => SignatureCheck::Unsupported(what),
            Err(Error::Crypto(error @ crypto::Error::Unsupported { .. })) => SignatureCheck::Unsupported(error.to_string()),
            Err(error) => SignatureCheck::Invalid(error.to_string()),
        }
    }

    fn check(&self, certificate: &Certificate, signed: &Signed<'_>) -> Result<SignatureCheck, Error> {
        if let Some(version) = &self.unknown_version {
            return Ok(SignatureCheck::Unsupported(format!("version {version} of a signer")));
        }
        if self.needs_content() {
            return self.check_over_content(certificate, signed);
        }
        if matches!(self.digest.oid, oid::MD2 | oid::MD4) {
            return Ok(SignatureCheck::Invalid(format!("the digest {} is broken", self.digest.name())));
        }
        let digest_algorithm = DigestAlgorithm::from_identifier(&self.digest)?;
        let algorithm = SignatureAlgorithm::from_identifier(&self.signature_algorithm, Some(digest_algorithm))?;
        if digest_algorithm.strength() == Strength::Broken {
            return Ok(SignatureCheck::Invalid(format!("the digest {} is broken", digest_algorithm.name())));
        }
        self.refuse_misplaced_attributes()?;
        let key = certificate.public_key()?;
        let Some(attributes) = &self.signed_attributes else {
            return self.check_without_attributes(&key, algorithm, digest_algorithm, signed);
        };
        let Some(content_digest) = signed.digest(digest_algorithm) else { return Ok(not_hashed(digest_algorithm)) };
        if !signed.has_type_of(attributes)? {
            return Ok(SignatureCheck::Invalid("the signed content type is another than the content's".to_owned()));
        }
        let digest =
            attributes.single(&oid::MESSAGE_DIGEST)?.ok_or(Error::Malformed("the signed attributes hold no message digest"))?;
        let is_unchanged = mac::equal(&Cursor::new(digest).octet_string()?, &content_digest);
        self.check_protection(attributes)?;
        let mut oddities = Vec::new();
        if !names_certificate(attributes, certificate, &mut oddities)? {
            return Ok(SignatureCheck::Invalid("the signer named another certificate of the same key".to_owned()));
        }
        signature::verify(&key, algorithm, Input::Message(&attributes.signed_bytes()), &self.signature)?;
        if !is_unchanged {
            return Ok(SignatureCheck::ContentChanged);
        }
        oddities.extend(misfit(algorithm, digest_algorithm));
        if !attributes.is_sorted() {
            oddities.push("the signed attributes are not in the order of DER".to_owned());
        }
        Ok(SignatureCheck::Valid(oddities))
    }

    /// The signature is over the content, of which no digest is taken: RFC 9882 3.3 has the named one ignored.
    fn check_over_content(&self, certificate: &Certificate, signed: &Signed<'_>) -> Result<SignatureCheck, Error> {
        let algorithm = SignatureAlgorithm::from_identifier(&self.signature_algorithm, None)?;
        self.refuse_misplaced_attributes()?;
        let key = certificate.public_key()?;
        if let Some(why) = refused_without_attributes(signed) {
            return Ok(SignatureCheck::Invalid(why.to_owned()));
        }
        let Some(content) = signed.bytes() else {
            return Ok(SignatureCheck::Invalid(
                "the signature is over the content itself, which is not at hand whole".to_owned(),
            ));
        };
        signature::verify(&key, algorithm, Input::Message(content), &self.signature)?;
        Ok(SignatureCheck::Valid(Vec::new()))
    }

    /// The signature is over the digest of the content alone.
    fn check_without_attributes(
        &self,
        key: &PublicKey,
        algorithm: SignatureAlgorithm,
        digest_algorithm: DigestAlgorithm,
        signed: &Signed<'_>,
    ) -> Result<SignatureCheck, Error> {
        if let Some(why) = refused_without_attributes(signed) {
            return Ok(SignatureCheck::Invalid(why.to_owned()));
        }
        if algorithm.digest() != digest_algorithm {
            return Ok(SignatureCheck::Invalid("the digest and the signature algorithm do not go together".to_owned()));
        }
        let Some(content_digest) = signed.digest(digest_algorithm) else { return Ok(not_hashed(digest_algorithm)) };
        signature::verify(key, algorithm, Input::Digest(&content_digest), &self.signature)?;
        Ok(SignatureCheck::Valid(Vec::new()))
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
        // [2] is the algorithm of a MAC, which a signer has not; of the two exactly one is there (RFC 6211 2)
        fields.finish()?;
        if !same(&digest, &self.digest) || signature.is_none_or(|signature| !same(&signature, &self.signature_algorithm)) {
            return Err(Error::Malformed("the algorithms were exchanged after signing"));
        }
        Ok(())
    }
}

/// What a signature is over.
pub(in crate::cms) enum Signed<'a> {
    /// The content of a SignedData.
    Content(&'a SignedData),
    /// The signature value of another signer (RFC 5652 11.4).
    Signature(&'a [u8]),
}

impl Signed<'_> {
    fn digest(&self, algorithm: DigestAlgorithm) -> Option<Cow<'_, [u8]>> {
        match self {
            Self::Content(data) => data.digest(algorithm).map(Cow::Borrowed),
            Self::Signature(value) => Some(Cow::Owned(digest::of(algorithm, value))),
        }
    }

    fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Content(data) => data.content(),
            Self::Signature(value) => Some(value),
        }
    }

    /// Whether the attributes name the type of what is signed. A signature value has none, and a countersigner must not name one:
    /// that is how the attributes of a countersignature and of a signature are told apart (RFC 5652 11.4).
    fn has_type_of(&self, attributes: &Attributes) -> Result<bool, Error> {
        let named = attributes.single(&oid::CONTENT_TYPE)?;
        match (self, named) {
            (Self::Content(data), Some(named)) => Ok(Cursor::new(named).oid()? == data.content_type),
            (Self::Content(_), None) => Err(Error::Malformed("the signed attributes name no content type")),
            (Self::Signature(_), Some(_)) => Err(Error::Malformed("a countersignature names a content type")),
            (Self::Signature(_), None) => Ok(true),
        }
    }
}

/// Why what is signed must not be signed without attributes.
fn refused_without_attributes(signed: &Signed<'_>) -> Option<&'static str> {
    let Signed::Content(data) = signed else { return None };
    // RFC 5652 5.3: only plain data may be signed without attributes; else attributes could pass for content
    if data.content_type != oid::ID_DATA {
        return Some("content of this type must be signed with attributes");
    }
    // the signature of another message's attributes is one over content that looks the same: who strips the attributes and puts them
    // in the place of the content gets a signature that fits
    data.looks_like_attributes().then_some("the content is the signed attributes of another message")
}

/// What is odd about a content that was hashed so, under such a signature.
fn misfit(algorithm: SignatureAlgorithm, content: DigestAlgorithm) -> Option<String> {
    if algorithm.suits(content) {
        return None;
    }
    Some(match algorithm {
        SignatureAlgorithm::MlDsa(_) | SignatureAlgorithm::SlhDsa(_) => {
            format!("the content's digest {} is weaker than the signature {}", content.name(), algorithm.name())
        }
        _ => format!("the signature uses the digest {}, the content {}", algorithm.digest().name(), content.name()),
    })
}

fn not_hashed(algorithm: DigestAlgorithm) -> SignatureCheck {
    SignatureCheck::Invalid(format!("the content was not hashed with {}", algorithm.name()))
}

/// Whether the certificate that the signer named, where he named one, is this. Where both versions of the attribute stand, both must
/// mean it (RFC 5035 7).
fn names_certificate(attributes: &Attributes, certificate: &Certificate, oddities: &mut Vec<String>) -> Result<bool, Error> {
    let second = attributes.single(&oid::SIGNING_CERTIFICATE_V2)?.map(SigningCertificate::from_der_v2).transpose()?;
    let first = attributes.single(&oid::SIGNING_CERTIFICATE)?.map(SigningCertificate::from_der).transpose()?;
    for named in [second, first].into_iter().flatten() {
        match named.names(certificate) {
            Named::Yes => {}
            Named::No => return Ok(false),
            Named::Unknown(digest) => {
                oddities.push(format!("the signer names his certificate by the digest {digest}, which is not known"));
            }
        }
    }
    Ok(true)
}
