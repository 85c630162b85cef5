//! A certificate, parsed leniently once, its bytes kept (RFC 5280 4.1).

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, OnceLock};

use crate::asn1::{Class, Cursor, Oid, Tag, oid};
use crate::crypto::algorithm::{AlgorithmIdentifier, DigestAlgorithm, SignatureAlgorithm};
use crate::crypto::digest;
use crate::crypto::key::PublicKey;
use crate::crypto::signature::{self, Input};
use crate::pki::name::hex;
use crate::pki::{BasicConstraints, CertificatePolicy, Error, Extension, KeyUsage, Name, policy};
use crate::time::Timestamp;

/// A certificate. Cheap to clone; two are equal when their bytes are.
#[derive(Clone)]
pub struct Certificate(Arc<Parsed>);

struct Parsed {
    der: Vec<u8>,
    tbs: Vec<u8>,
    version: u64,
    serial: Vec<u8>,
    signature_algorithm: AlgorithmIdentifier,
    issuer: Name,
    not_before: Timestamp,
    not_after: Timestamp,
    subject: Name,
    spki: Vec<u8>,
    extensions: Vec<Extension>,
    signature: Vec<u8>,
    /// The SHA-256 of `der`, taken when it is first asked for.
    fingerprint: OnceLock<Vec<u8>>,
    /// Read when it is first asked for: whether a point lies on its curve takes some microseconds, and a path asks for each key often.
    key: OnceLock<PublicKey>,
}

impl Certificate {
    /// Reads an encoded certificate. Values that real certificates hold and strict DER forbids are read; what is not clear is refused.
    pub fn from_der(bytes: &[u8]) -> Result<Self, Error> {
        let mut outer = Cursor::new(bytes);
        let mut whole = outer.sequence()?;
        outer.finish()?;
        let tbs = whole.expect(Tag::SEQUENCE)?;
        let outer_algorithm = AlgorithmIdentifier::from_cursor(&mut whole)?;
        let (unused, signature) = whole.bit_string()?;
        whole.finish()?;
        let mut fields = tbs.cursor()?;
        let version = match fields.explicit(0)? {
            Some(mut version) => version.small_unsigned()?,
            None => 0,
        };
        let serial = fields.integer()?.to_vec();
        let signature_algorithm = AlgorithmIdentifier::from_cursor(&mut fields)?;
        // RFC 5280 4.1.1.2: both fields must be the same; else an attacker could swap the outer one
        if signature_algorithm.oid != outer_algorithm.oid
            || signature_algorithm.real_parameters() != outer_algorithm.real_parameters()
        {
            return Err(Error::Malformed("a certificate whose two signature algorithms differ"));
        }
        let issuer = Name::from_der(fields.expect(Tag::SEQUENCE)?.raw)?;
        let mut validity = fields.sequence()?;
        let (not_before, not_after) = (validity.time()?, validity.time()?);
        let subject = Name::from_der(fields.expect(Tag::SEQUENCE)?.raw)?;
        let spki = fields.expect(Tag::SEQUENCE)?.raw.to_vec();
        fields.optional(Tag::context(1))?;
        fields.optional(Tag::context(2))?;
        let extensions = match fields.explicit(3)? {
            Some(mut inner) => Extension::list(&mut inner)?,
            None => Vec::new(),
        };
        fields.finish()?;
        Ok(Self(Arc::new(Parsed {
            der: bytes.to_vec(),
            tbs: tbs.raw.to_vec(),
            version,
            serial,
            signature_algorithm,
            issuer,
            not_before,
            not_after,
            subject,
            spki,
            extensions,
            // what is no whole number of bytes is no signature, and fits nothing; the rest can be read all the same
            signature: if unused == 0 { signature.into_owned() } else { Vec::new() },
            fingerprint: OnceLock::new(),
            key: OnceLock::new(),
        })))
    }

    /// The certificate as received.
    pub fn der(&self) -> &[u8] {
        &self.0.der
    }

    /// The signed part as received.
    pub fn tbs(&self) -> &[u8] {
        &self.0.tbs
    }

    /// The version as written: 0 for v1, 2 for v3.
    pub fn version(&self) -> u64 {
        self.0.version
    }

    /// The serial number, as the content of its INTEGER.
    pub fn serial(&self) -> &[u8] {
        &self.0.serial
    }

    /// The serial number in hexadecimal.
    pub fn serial_hex(&self) -> String {
        hex(&self.0.serial)
    }

    /// Who signed it.
    pub fn issuer(&self) -> &Name {
        &self.0.issuer
    }

    /// Whom it names.
    pub fn subject(&self) -> &Name {
        &self.0.subject
    }

    /// When it begins.
    pub fn not_before(&self) -> Timestamp {
        self.0.not_before
    }

    /// When it ends.
    pub fn not_after(&self) -> Timestamp {
        self.0.not_after
    }

    /// Whether it is valid at this moment.
    pub fn is_valid_at(&self, at: Timestamp) -> bool {
        self.0.not_before <= at && at <= self.0.not_after
    }

    /// The SubjectPublicKeyInfo as received.
    pub fn spki(&self) -> &[u8] {
        &self.0.spki
    }

    /// The public key.
    pub fn public_key(&self) -> Result<PublicKey, Error> {
        if let Some(key) = self.0.key.get() {
            return Ok(key.clone());
        }
        let key = PublicKey::from_spki(&self.0.spki)?;
        Ok(self.0.key.get_or_init(|| key).clone())
    }

    /// The algorithm of its signature.
    pub fn signature_algorithm(&self) -> &AlgorithmIdentifier {
        &self.0.signature_algorithm
    }

    /// Checks its signature with the issuer's key, over the bytes as received.
    pub fn verify_signature(&self, issuer: &PublicKey) -> Result<(), Error> {
        let algorithm = SignatureAlgorithm::from_identifier(&self.0.signature_algorithm, None)?;
        signature::verify(issuer, algorithm, Input::Message(&self.0.tbs), &self.0.signature)?;
        Ok(())
    }

    /// The extensions as received.
    pub fn extensions(&self) -> &[Extension] {
        &self.0.extensions
    }

    /// One extension.
    pub fn extension(&self, oid: &Oid) -> Option<&Extension> {
        self.0.extensions.iter().find(|extension| extension.oid == *oid)
    }

    /// The extensions that say what it is for, and cannot be read.
    pub fn unreadable_extensions(&self) -> impl Iterator<Item = &Extension> {
        self.0.extensions.iter().filter(|extension| match extension.oid {
            oid::KEY_USAGE => self.key_usage().is_none(),
            oid::EXTENDED_KEY_USAGE => self.extended_key_usage().is_none(),
            oid::BASIC_CONSTRAINTS => self.basic_constraints().is_none(),
            oid::SUBJECT_ALT_NAME => general_names(&extension.value).is_err(),
            _ => !policy::is_readable(extension),
        })
    }

    /// The key usage, where it is given and can be read.
    pub fn key_usage(&self) -> Option<KeyUsage> {
        self.extension(&oid::KEY_USAGE).and_then(|e| KeyUsage::from_value(&e.value).ok())
    }

    /// The extended key usages, where they are given.
    pub fn extended_key_usage(&self) -> Option<Vec<Oid>> {
        let extension = self.extension(&oid::EXTENDED_KEY_USAGE)?;
        let mut outer = Cursor::new(&extension.value);
        let mut list = outer.sequence().ok()?;
        outer.finish().ok()?;
        let mut found = Vec::new();
        while !list.is_empty() {
            found.push(list.oid().ok()?);
        }
        Some(found)
    }

    /// The basic constraints, where they are given.
    pub fn basic_constraints(&self) -> Option<BasicConstraints> {
        self.extension(&oid::BASIC_CONSTRAINTS).and_then(|e| BasicConstraints::from_value(&e.value).ok())
    }

    /// The policies that it names, where it names any and they can be read.
    pub fn policies(&self) -> Option<Vec<CertificatePolicy>> {
        self.extension(&oid::CERTIFICATE_POLICIES).and_then(|e| policy::policies(&e.value).ok())
    }

    /// The subject key identifier.
    pub fn subject_key_id(&self) -> Option<Vec<u8>> {
        let extension = self.extension(&oid::SUBJECT_KEY_IDENTIFIER)?;
        Cursor::new(&extension.value).octet_string().ok().map(std::borrow::Cow::into_owned)
    }

    /// The key identifier of the authority key identifier.
    pub fn authority_key_id(&self) -> Option<Vec<u8>> {
        let extension = self.extension(&oid::AUTHORITY_KEY_IDENTIFIER)?;
        let mut fields = Cursor::new(&extension.value).sequence().ok()?;
        let id = fields.optional(Tag::context(0)).ok()??;
        id.bytes().ok().map(std::borrow::Cow::into_owned)
    }

    /// The subject alternative names (RFC 5280 4.2.1.6); none where the extension is missing, an error where it cannot be read.
    pub fn alternative_names(&self) -> Result<Vec<GeneralName>, Error> {
        self.extension(&oid::SUBJECT_ALT_NAME).map_or_else(|| Ok(Vec::new()), |extension| general_names(&extension.value))
    }

    /// The mail addresses that it speaks for: those of subjectAltName, else those of the subject (RFC 8550 3). None where a
    /// subjectAltName stands that cannot be read.
    pub fn addresses(&self) -> Vec<String> {
        let Some(extension) = self.extension(&oid::SUBJECT_ALT_NAME) else { return self.0.subject.email_addresses() };
        let Ok(names) = general_names(&extension.value) else { return Vec::new() };
        let alternative: Vec<String> = names.into_iter().filter_map(GeneralName::into_address).collect();
        if alternative.is_empty() { self.0.subject.email_addresses() } else { alternative }
    }

    /// The DNS names of subjectAltName.
    pub fn dns_names(&self) -> Vec<String> {
        let Some(extension) = self.extension(&oid::SUBJECT_ALT_NAME) else { return Vec::new() };
        let dns = |name| if let GeneralName::Dns(name) = name { Some(name) } else { None };
        general_names(&extension.value).map(|names| names.into_iter().filter_map(dns).collect()).unwrap_or_default()
    }

    /// The S/MIME capabilities as one encoded value (RFC 4262).
    pub fn smime_capabilities(&self) -> Option<&[u8]> {
        self.extension(&oid::SMIME_CAPABILITIES).map(|e| e.value.as_slice())
    }

    /// The SHA-256 of the whole certificate.
    pub fn fingerprint(&self) -> Vec<u8> {
        self.0.fingerprint.get_or_init(|| digest::of(DigestAlgorithm::Sha256, &self.0.der)).clone()
    }

    /// What binds a TLS channel to the server that has this certificate, `tls-server-end-point` (RFC 5929 4.1): the digest by the algorithm of
    /// its signature, by SHA-256 where that is MD5 or SHA-1; `None` where the signature has no digest of its own (EdDSA, ML-DSA).
    pub fn end_point(&self) -> Option<Vec<u8>> {
        let algorithm = SignatureAlgorithm::from_identifier(self.signature_algorithm(), None).ok()?;
        if algorithm.signs_messages() {
            return None;
        }
        Some(match algorithm.digest() {
            DigestAlgorithm::Md5 | DigestAlgorithm::Sha1 => self.fingerprint(),
            other => digest::of(other, self.der()),
        })
    }

    /// The SHA-256 of the whole certificate in hexadecimal.
    pub fn fingerprint_hex(&self) -> String {
        hex(&self.fingerprint())
    }

    /// Whether subject and issuer are the same.
    pub fn is_self_issued(&self) -> bool {
        self.0.subject.matches(&self.0.issuer)
    }

    /// The key's kind and size, as `rsa-2048`; `unknown` where the key cannot be read.
    pub fn key_name(&self) -> String {
        self.public_key().map_or_else(|_| "unknown".to_owned(), |key| key.algorithm().name())
    }

    /// Several lines for people: whom, by whom, when, for what.
    pub fn describe(&self) -> String {
        let mut lines = vec![
            format!("subject      {}", self.subject()),
            format!("issuer       {}", self.issuer()),
            format!("serial       {}", self.serial_hex()),
            format!("valid        {} to {}", self.not_before(), self.not_after()),
            format!("key          {}", self.key_name()),
        ];
        if !self.addresses().is_empty() {
            lines.push(format!("addresses    {}", self.addresses().join(", ")));
        }
        if let Some(usages) = self.extended_key_usage() {
            let names: Vec<String> = usages.iter().map(|u| oid::name(u).map_or_else(|| u.to_string(), str::to_owned)).collect();
            lines.push(format!("for          {}", names.join(", ")));
        }
        lines.push(format!("fingerprint  {}", self.fingerprint_hex()));
        lines.join("\n")
    }
}

/// A general name (RFC 5280 4.2.1.6), as far as mail needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GeneralName {
    /// A mail address.
    Rfc822(String),
    /// A mail address with other letters than those of ASCII (RFC 9598).
    SmtpUtf8(String),
    /// A DNS name.
    Dns(String),
    /// A URI.
    Uri(String),
    /// An IP address, or one with a mask.
    Ip(Vec<u8>),
    /// A distinguished name.
    Directory(Name),
    /// Something else.
    Other,
}

impl GeneralName {
    fn into_address(self) -> Option<String> {
        match self {
            Self::Rfc822(address) | Self::SmtpUtf8(address) => Some(address),
            _ => None,
        }
    }

    /// Reads an encoded `GeneralNames`.
    pub fn list(value: &[u8]) -> Result<Vec<Self>, Error> {
        general_names(value)
    }

    /// Reads the next value as a GeneralName.
    pub fn read(cursor: &mut Cursor<'_>) -> Result<Self, Error> {
        Self::from_element(&cursor.any()?)
    }

    /// Reads one GeneralName (RFC 5280 4.2.1.6).
    pub(in crate::pki) fn from_element(element: &crate::asn1::Element<'_>) -> Result<Self, Error> {
        let text = || -> Result<String, Error> { Ok(String::from_utf8_lossy(&element.bytes()?).into_owned()) };
        let has_form = match element.tag.number {
            0 | 3 | 4 | 5 => element.tag.constructed,
            7 | 8 => !element.tag.constructed,
            number => number < 9,
        };
        if element.tag.class != Class::Context || !has_form {
            return Err(Error::Malformed("a general name that cannot be read"));
        }
        Ok(match element.tag.number {
            0 => {
                let mut fields = element.cursor()?;
                let kind = fields.oid()?;
                let value = fields.explicit(0)?;
                match (kind, value) {
                    (oid::SMTP_UTF8_MAILBOX, Some(mut value)) => Self::SmtpUtf8(value.expect(Tag::UTF8_STRING)?.text()?),
                    _ => Self::Other,
                }
            }
            1 => Self::Rfc822(text()?),
            2 => Self::Dns(text()?),
            4 => Self::Directory(Name::from_der(element.cursor()?.any()?.raw)?),
            6 => Self::Uri(text()?),
            7 => Self::Ip(element.content.to_vec()),
            // x400Address, ediPartyName, registeredID
            _ => Self::Other,
        })
    }
}

impl fmt::Display for GeneralName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rfc822(text) | Self::SmtpUtf8(text) | Self::Dns(text) | Self::Uri(text) => f.write_str(text),
            Self::Ip(bytes) => f.write_str(&hex(bytes)),
            Self::Directory(name) => name.fmt(f),
            Self::Other => f.write_str("a name of another kind"),
        }
    }
}

/// `GeneralNames ::= SEQUENCE OF GeneralName`
pub(in crate::pki) fn general_names(value: &[u8]) -> Result<Vec<GeneralName>, Error> {
    let mut list = Cursor::new(value).sequence()?;
    let mut found = Vec::new();
    while !list.is_empty() {
        found.push(GeneralName::from_element(&list.any()?)?);
    }
    Ok(found)
}

impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        self.0.der == other.0.der
    }
}

impl Eq for Certificate {}

impl Hash for Certificate {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.der.hash(state);
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificate({self})")
    }
}

/// The subject; where it is empty, the addresses or the serial number.
impl fmt::Display for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.0.subject.is_empty() {
            return self.0.subject.fmt(f);
        }
        match self.addresses().first() {
            Some(address) => f.write_str(address),
            None => write!(f, "serial {}", self.serial_hex()),
        }
    }
}
