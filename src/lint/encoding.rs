//! RFC 5280 4.1: version, serial number, dates, signature, key, and DER.

use crate::asn1::{Cursor, Tag, encode, oid};
use crate::lint::facts::Facts;
use crate::lint::{Rule, der, error, list_of, say, warning};

pub(super) const RULES: &[Rule] = &[
    error("pkix.der", "RFC 5280 4.1, X.690 10", |facts| {
        let whole = der::flaw(facts.certificate.der());
        let inside = || facts.certificate.extensions().iter().find_map(|extension| der::flaw(&extension.value));
        whole.or_else(inside).map(|flaw| format!("the certificate is not DER: {flaw}"))
    }),
    error("pkix.der-default", "X.690 11.2.2, 11.5", |facts| {
        say(
            writes_defaults(facts).unwrap_or(false),
            "a value that is the default is written out (version, critical, cA, or bits of keyUsage)",
        )
    }),
    error("pkix.version", "RFC 5280 4.1.2.1", |facts| {
        let version = facts.certificate.version();
        let has_extensions = !facts.certificate.extensions().is_empty();
        (version != 2 && has_extensions || version > 2).then(|| format!("the version is {}, not v3", version.saturating_add(1)))
    }),
    error("pkix.serial", "RFC 5280 4.1.2.2", |facts| match facts.certificate.serial() {
        [] | [0] => Some("the serial number is zero".to_owned()),
        [first, ..] if *first >= 0x80 => Some("the serial number is negative".to_owned()),
        long if long.len() > 20 => Some(format!("the serial number has {} bytes, over 20", long.len())),
        _ => None,
    }),
    error("pkix.issuer-empty", "RFC 5280 4.1.2.4", |facts| say(facts.certificate.issuer().is_empty(), "the issuer has no name")),
    error("pkix.validity-order", "RFC 5280 4.1.2.5", |facts| {
        say(facts.certificate.not_after() < facts.certificate.not_before(), "it ends before it begins")
    }),
    error("pkix.time-form", "RFC 5280 4.1.2.5", |facts| {
        list_of(
            "a date is not written as it must be (UTCTime with seconds and Z through 2049, GeneralizedTime from 2050)",
            dates(facts)?,
        )
    }),
    error("pkix.signature-weak", "RFC 8550 4.3, RFC 9155", |facts| {
        let algorithm = facts.certificate.signature_algorithm();
        let weak = matches!(
            algorithm.oid,
            oid::MD5_WITH_RSA
                | oid::SHA1_WITH_RSA
                | oid::ECDSA_SHA1
                | oid::SHA1_WITH_DSA
                | oid::SHA224_WITH_RSA
                | oid::ECDSA_SHA224
        );
        weak.then(|| format!("it is signed with {}, whose digest is too weak", algorithm.name()))
    }),
    error("pkix.key-unreadable", "RFC 5280 4.1.2.7", |facts| {
        // the bytes of ML-DSA and ML-KEM keys are any
        let known = facts.key.is_some() || facts.key_algorithm.get(..POST_QUANTUM.len()) == Some(POST_QUANTUM);
        say(!known, "the public key cannot be read, or is of an unknown kind")
    }),
    error("pkix.key-small", "RFC 8550 4.2", |facts| {
        facts.rsa_bits().filter(|bits| *bits < 2048).map(|bits| format!("the RSA key has {bits} bits, less than 2048"))
    }),
    error("pkix.key-broken", "NIST SP 800-89 5.3.3, CVE-2017-15361", |facts| {
        let flaw = facts.key.as_ref()?.rsa_flaw()?;
        flaw.is_broken().then(|| flaw.to_string())
    }),
    warning("pkix.key-exponent", "NIST SP 800-89 5.3.3", |facts| {
        let flaw = facts.key.as_ref()?.rsa_flaw()?;
        (!flaw.is_broken()).then(|| flaw.to_string())
    }),
    error("pkix.unique-id", "RFC 5280 4.1.2.8", |facts| {
        say(has_unique_ids(facts).unwrap_or(false), "it has unique identifiers of issuer or subject, which must not be used")
    }),
];

/// How the algorithms of ML-DSA (…3.4.3.17 to 19) and ML-KEM (…3.4.4.1 to 3) begin.
const POST_QUANTUM: &[u8] = &[0x30, 0x0b, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04];

/// The fields of TBSCertificate behind its version.
fn fields<'a>(facts: &Facts<'a>) -> Option<Cursor<'a>> {
    let mut fields = Cursor::new(facts.certificate.tbs()).sequence().ok()?;
    fields.optional(Tag::context_constructed(0)).ok()?;
    Some(fields)
}

/// The dates that are not in the form that they must have.
fn dates(facts: &Facts<'_>) -> Option<Vec<String>> {
    let mut fields = fields(facts)?;
    for _ in 0..3 {
        fields.any().ok()?;
    }
    let mut validity = fields.sequence().ok()?;
    let mut bad = Vec::new();
    for time in [facts.certificate.not_before(), facts.certificate.not_after()] {
        let element = validity.any().ok()?;
        let text = String::from_utf8_lossy(element.content).into_owned();
        let (tag, len) = if time.civil().year < 2050 { (Tag::UTC_TIME, 13) } else { (Tag::GENERALIZED_TIME, 15) };
        if element.tag != tag || text.len() != len || !text.ends_with('Z') {
            bad.push(text);
        }
    }
    Some(bad)
}

fn writes_defaults(facts: &Facts<'_>) -> Option<bool> {
    let mut fields = Cursor::new(facts.certificate.tbs()).sequence().ok()?;
    if fields.peek()? == Tag::context_constructed(0) && facts.certificate.version() == 0 {
        return Some(true);
    }
    let bits: Vec<u32> = facts.usage.iter().flatten().map(|bit| u32::from(*bit)).collect();
    let usage = facts.extension(&oid::KEY_USAGE).filter(|_| !bits.is_empty());
    if usage.is_some_and(|extension| extension.value != encode::named_bits(&bits)) {
        return Some(true);
    }
    let constraints =
        facts.extension(&oid::BASIC_CONSTRAINTS).and_then(|extension| Cursor::new(&extension.value).sequence().ok());
    if constraints.is_some_and(|fields| fields.peek() == Some(Tag::BOOLEAN)) && !facts.is_authority() {
        return Some(true);
    }
    while fields.peek()? != Tag::context_constructed(3) {
        fields.any().ok()?;
    }
    let mut list = fields.any().ok()?.cursor().ok()?.sequence().ok()?;
    while !list.is_empty() {
        let mut extension = list.sequence().ok()?;
        extension.oid().ok()?;
        if extension.peek() == Some(Tag::BOOLEAN) && !extension.boolean().ok()? {
            return Some(true);
        }
    }
    Some(false)
}

fn has_unique_ids(facts: &Facts<'_>) -> Option<bool> {
    let mut fields = fields(facts)?;
    let mut found = false;
    while !fields.is_empty() {
        let tag = fields.any().ok()?.tag;
        found |= tag == Tag::context(1) || tag == Tag::context(2);
    }
    Some(found)
}
