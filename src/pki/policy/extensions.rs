//! The four extensions that certificate policies are written in.

use std::collections::BTreeSet;
use std::fmt;

use crate::asn1::{Cursor, Element, Oid, Tag, oid};
use crate::pki::{Certificate, Error, Extension};

/// What an authority adds to a policy (RFC 5280 4.2.1.4); it decides nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PolicyQualifier {
    /// Where its practice statement lies.
    Statement(String),
    /// What people shall read.
    Notice {
        /// Whose notice it is, with its numbers: `Example Org, 1, 2`.
        reference: Option<String>,
        /// The notice itself.
        text: Option<String>,
    },
    /// Another kind, or one that cannot be read.
    Other(Oid),
}

impl PolicyQualifier {
    /// Bytes of its text.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Statement(uri) => uri.len(),
            Self::Notice { reference, text } => [reference, text].into_iter().flatten().map(String::len).sum(),
            Self::Other(_) => 0,
        }
    }
}

impl fmt::Display for PolicyQualifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Statement(uri) => f.write_str(uri),
            Self::Notice { reference: Some(reference), text: Some(text) } => write!(f, "{text} ({reference})"),
            Self::Notice { reference, text } => f.write_str(reference.as_deref().or(text.as_deref()).unwrap_or_default()),
            Self::Other(oid) => write!(f, "a qualifier {oid}"),
        }
    }
}

/// One policy that a certificate names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificatePolicy {
    /// Which policy; [`oid::ANY_POLICY`] stands for every one.
    pub oid: Oid,
    /// What its authority adds.
    pub qualifiers: Vec<PolicyQualifier>,
}

/// ```text
/// CertificatePolicies ::= SEQUENCE SIZE (1..MAX) OF PolicyInformation
/// PolicyInformation ::= SEQUENCE { policyIdentifier OBJECT IDENTIFIER,
///                                  policyQualifiers SEQUENCE SIZE (1..MAX) OF PolicyQualifierInfo OPTIONAL }
/// ```
pub(in crate::pki) fn policies(value: &[u8]) -> Result<Vec<CertificatePolicy>, Error> {
    let (mut found, mut seen) = (Vec::new(), BTreeSet::new());
    for mut policy in list(value)? {
        let oid = policy.oid()?;
        let qualifiers = if policy.is_empty() { Vec::new() } else { qualifiers(&mut policy)? };
        policy.finish()?;
        // RFC 5280 4.2.1.4: a policy must not stand twice; which qualifiers would count?
        if !seen.insert(oid) {
            return Err(Error::Malformed("a certificate policy that stands twice"));
        }
        found.push(CertificatePolicy { oid, qualifiers });
    }
    Ok(found)
}

/// `PolicyQualifierInfo ::= SEQUENCE { policyQualifierId OBJECT IDENTIFIER, qualifier ANY }`
fn qualifiers(policy: &mut Cursor<'_>) -> Result<Vec<PolicyQualifier>, Error> {
    let mut list = policy.sequence()?;
    let mut found = Vec::new();
    while !list.is_empty() {
        let mut info = list.sequence()?;
        let kind = info.oid()?;
        let value = info.any()?;
        info.finish()?;
        let known = match kind {
            oid::ID_QT_CPS => value.text().ok().map(PolicyQualifier::Statement),
            oid::ID_QT_UNOTICE => notice(&value).ok(),
            _ => None,
        };
        found.push(known.unwrap_or(PolicyQualifier::Other(kind)));
    }
    if found.is_empty() { Err(Error::Malformed("an empty list of policy qualifiers")) } else { Ok(found) }
}

/// ```text
/// UserNotice ::= SEQUENCE { noticeRef NoticeReference OPTIONAL, explicitText DisplayText OPTIONAL }
/// NoticeReference ::= SEQUENCE { organization DisplayText, noticeNumbers SEQUENCE OF INTEGER }
/// ```
fn notice(value: &Element<'_>) -> Result<PolicyQualifier, Error> {
    if value.tag != Tag::SEQUENCE {
        return Err(Error::Malformed("a notice that is no sequence"));
    }
    let mut fields = value.cursor()?;
    let reference = match fields.optional(Tag::SEQUENCE)? {
        Some(reference) => {
            let mut reference = reference.cursor()?;
            let mut text = reference.any()?.text()?;
            let mut numbers = reference.sequence()?;
            while !numbers.is_empty() {
                text.push_str(&format!(", {}", numbers.small_unsigned()?));
            }
            Some(text)
        }
        None => None,
    };
    let text = if fields.is_empty() { None } else { Some(fields.any()?.text()?) };
    Ok(PolicyQualifier::Notice { reference, text })
}

/// One policy of an issuer, and what the subject calls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mapping {
    pub(super) issuer: Oid,
    pub(super) subject: Oid,
}

/// `PolicyMappings ::= SEQUENCE SIZE (1..MAX) OF SEQUENCE { issuerDomainPolicy, subjectDomainPolicy OBJECT IDENTIFIER }`
pub(super) fn mappings(value: &[u8]) -> Result<Vec<Mapping>, Error> {
    let mut found = Vec::new();
    for mut pair in list(value)? {
        found.push(Mapping { issuer: pair.oid()?, subject: pair.oid()? });
        pair.finish()?;
    }
    Ok(found)
}

/// What an authority demands of those below (RFC 5280 4.2.1.11).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct PolicyConstraints {
    pub(super) require_explicit: Option<u64>,
    pub(super) inhibit_mapping: Option<u64>,
}

/// `PolicyConstraints ::= SEQUENCE { requireExplicitPolicy [0] INTEGER OPTIONAL, inhibitPolicyMapping [1] INTEGER OPTIONAL }`
pub(super) fn constraints(value: &[u8]) -> Result<PolicyConstraints, Error> {
    let mut outer = Cursor::new(value);
    let mut fields = outer.sequence()?;
    outer.finish()?;
    let require_explicit = skip_certs(fields.optional(Tag::context(0))?)?;
    let inhibit_mapping = skip_certs(fields.optional(Tag::context(1))?)?;
    fields.finish()?;
    // RFC 5280 4.2.1.11: an issuer must not write it empty, and nothing says what it would mean
    if require_explicit.is_none() && inhibit_mapping.is_none() {
        return Err(Error::Malformed("policy constraints that constrain nothing"));
    }
    Ok(PolicyConstraints { require_explicit, inhibit_mapping })
}

/// `InhibitAnyPolicy ::= INTEGER (0..MAX)`
pub(super) fn inhibit_any(value: &[u8]) -> Result<u64, Error> {
    let mut outer = Cursor::new(value);
    let number = skip(outer.expect(Tag::INTEGER)?.content)?;
    outer.finish()?;
    Ok(number)
}

fn skip_certs(field: Option<Element<'_>>) -> Result<Option<u64>, Error> {
    field.map(|field| skip(field.content)).transpose()
}

/// A number of certificates. One over 64 bits is more than any path has, and says the same as the largest that fits.
fn skip(content: &[u8]) -> Result<u64, Error> {
    match content.first() {
        None => Err(Error::Malformed("a number without content")),
        Some(first) if first & 0x80 != 0 => Err(Error::Malformed("a number of certificates that is negative")),
        Some(_) => Ok(content
            .iter()
            .try_fold(0_u64, |number, byte| number.checked_mul(256).map(|number| number | u64::from(*byte)))
            .unwrap_or(u64::MAX)),
    }
}

/// The fields of each SEQUENCE in a SEQUENCE that is not empty.
fn list(value: &[u8]) -> Result<Vec<Cursor<'_>>, Error> {
    let mut outer = Cursor::new(value);
    let mut list = outer.sequence()?;
    outer.finish()?;
    let mut found = Vec::new();
    while !list.is_empty() {
        found.push(list.sequence()?);
    }
    if found.is_empty() { Err(Error::Malformed("an empty list")) } else { Ok(found) }
}

/// Whether an extension about policies can be read; every other one counts as such.
pub(in crate::pki) fn is_readable(extension: &Extension) -> bool {
    match extension.oid {
        oid::CERTIFICATE_POLICIES => policies(&extension.value).is_ok(),
        oid::POLICY_MAPPINGS => mappings(&extension.value).is_ok(),
        oid::POLICY_CONSTRAINTS => constraints(&extension.value).is_ok(),
        oid::INHIBIT_ANY_POLICY => inhibit_any(&extension.value).is_ok(),
        _ => true,
    }
}

/// Reads one extension of a certificate. One that cannot be read is told elsewhere, and refuses the path: here it is none.
pub(super) fn read<T>(certificate: &Certificate, oid: &Oid, from: impl Fn(&[u8]) -> Result<T, Error>) -> Option<T> {
    certificate.extension(oid).and_then(|extension| from(&extension.value).ok())
}
