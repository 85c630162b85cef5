//! Why a judge says otherwise: each reason with the trait of the chain that it rests on.

use sealpost::asn1::oid;
use sealpost::pki::{Certificate, GeneralName};
use sealpost::time::Timestamp;

use super::draw::AT;
use super::{Opinions, Said};

/// A chain as it was read: from the anchor to the leaf, those that can be read.
struct Traits<'a> {
    one: &'a Opinions,
    all: Vec<Certificate>,
}

/// The reason for which `judge` says otherwise; none where the chain has no trait that explains it.
pub(super) fn reason(judge: &str, said: &Said, one: &Opinions) -> Option<&'static str> {
    let chain = &one.chain;
    let ders = [&chain.anchor].into_iter().chain(&chain.between).chain([&chain.leaf]);
    let traits = Traits { one, all: ders.filter_map(|der| Certificate::from_der(der).ok()).collect() };
    match (judge, said, &one.ours) {
        ("certval", Err(error), Ok(())) => traits.certval_refuses(error),
        ("openssl", Err(error), Ok(())) => traits.openssl_refuses(error),
        ("certval", Ok(()), Err(error)) => traits.certval_takes(error),
        ("openssl", Ok(()), Err(error)) => traits.openssl_takes(error),
        _ => None,
    }
}

const ANY_USAGE: &str = "it does not take anyExtendedKeyUsage for mail; RFC 8550 4.4.4 does";

/// Whether a certificate is for any use, and does not name mail.
fn any_usage(certificate: &Certificate) -> bool {
    let usages = certificate.extended_key_usage().unwrap_or_default();
    usages.contains(&oid::ANY_EXTENDED_KEY_USAGE) && !usages.contains(&oid::EMAIL_PROTECTION)
}

impl Traits<'_> {
    fn authorities(&self) -> &[Certificate] {
        self.all.split_last().map_or(&[], |(_, authorities)| authorities)
    }

    fn leaf(&self) -> Option<&Certificate> {
        self.all.last()
    }

    fn is_damaged(&self) -> bool {
        self.one.chain.broken.iter().any(|word| word.starts_with("byte"))
    }

    /// Whether constraints have a dNSName that begins with a period.
    fn binds_hosts_with_a_period(&self) -> bool {
        let constraints = self.all.iter().filter_map(|certificate| certificate.extension(&oid::NAME_CONSTRAINTS));
        constraints.into_iter().any(|extension| extension.value.windows(3).any(|bytes| bytes[0] == 0x82 && bytes[2] == b'.'))
    }

    /// Whether constraints have an empty dNSName.
    fn binds_every_host(&self) -> bool {
        let constraints = self.all.iter().filter_map(|certificate| certificate.extension(&oid::NAME_CONSTRAINTS));
        constraints.into_iter().any(|extension| extension.value.windows(4).any(|bytes| bytes == [0x30, 0x02, 0x82, 0x00]))
    }

    /// Whether some address is written as the mail standards do not write it.
    fn has_loose_names(&self) -> bool {
        let is_loose =
            |name: &GeneralName| matches!(name, GeneralName::Rfc822(address) if address.ends_with('.') || !address.is_ascii());
        self.names().iter().any(is_loose)
    }

    /// Whether two certificates have one subject: the same authority, with another key.
    fn has_a_self_issued(&self) -> bool {
        self.authorities().iter().skip(1).any(Certificate::is_self_issued)
    }

    /// Whether the key identifier of an issuer is another than the one that the certificate names.
    fn key_identifiers_differ(&self) -> bool {
        let named = |certificate: &Certificate| certificate.extension(&oid::AUTHORITY_KEY_IDENTIFIER).map(|e| e.value.clone());
        let own = |certificate: &Certificate| certificate.extension(&oid::SUBJECT_KEY_IDENTIFIER).map(|e| e.value.clone());
        let pairs = self.all.iter().zip(self.all.iter().skip(1));
        // the last 20 bytes are the identifier in both; a damaged one has others around
        let expected = |own: &[u8]| [&[0x30, 0x16, 0x80, 0x14], own.get(2..).unwrap_or_default()].concat();
        pairs.into_iter().any(|(issuer, certificate)| match (own(issuer), named(certificate)) {
            (Some(own), Some(named)) => named != expected(&own),
            _ => false,
        })
    }

    fn has_mail_in_a_subject(&self) -> bool {
        self.all.iter().any(|certificate| !certificate.subject().email_addresses().is_empty())
    }

    fn names(&self) -> Vec<GeneralName> {
        self.all.iter().flat_map(|certificate| certificate.alternative_names().unwrap_or_default()).collect()
    }

    fn certval_refuses(&self, error: &str) -> Option<&'static str> {
        let authority_without_usage = self.authorities().iter().any(|certificate| certificate.key_usage().is_none());
        if error.contains("InvalidKeyUsage") && authority_without_usage {
            return Some("it wants a key usage in every authority; RFC 5280 6.1.4 (n) looks at it where it is present");
        }
        if error.contains("NameConstraintsViolation") && self.binds_hosts_with_a_period() {
            return Some("a constraint on hosts that begins with a period, which RFC 5280 does not know, fails every name there");
        }
        if error.contains("NameConstraintsViolation") && self.has_loose_names() {
            return Some("a name that is not well-formed fails where names of other forms are bound");
        }
        if error.contains("NameConstraintsViolation") && self.binds_every_host() {
            return Some("an empty constraint on hosts permits none there; here and by OpenSSL it permits all");
        }
        if error.contains("InvalidKeyUsage") && self.all.iter().any(any_usage) {
            return Some(ANY_USAGE);
        }
        if error.contains("malformed OID") && self.is_damaged() {
            return Some("it reads no identifier whose second number is above 39");
        }
        if (error.contains("BOOLEAN") || error.contains("MissingBasicConstraints")) && self.is_damaged() {
            return Some("true is another byte than FF: real certificates hold it, and it is read here");
        }
        if (error.starts_with("unreadable: unknown/unsupported ASN.1 DER tag") || error.contains("EncodingError"))
            && self.is_damaged()
        {
            return Some(
                "a value in a name whose type is not known fails the whole certificate there; here it is compared as it is",
            );
        }
        let critical_names =
            |certificate: &Certificate| certificate.extension(&oid::SUBJECT_ALT_NAME).is_some_and(|e| e.critical);
        if error.contains("UnprocessedCriticalExtension") && self.authorities().iter().any(critical_names) {
            return Some(
                "it does not process critical alternative names of an authority; they are held against the constraints here",
            );
        }
        None
    }

    fn openssl_refuses(&self, error: &str) -> Option<&'static str> {
        let ends_now = self.all.iter().any(|certificate| certificate.not_after() == Timestamp::from_unix(AT));
        if error == "certificate has expired" && ends_now {
            return Some("the last second counts as after the end; RFC 5280 4.1.2.5 includes it");
        }
        let took_another = [
            "certificate signature failure",
            "self-signed certificate in certificate chain",
            "unable to get local issuer certificate",
        ];
        if took_another.contains(&error) && self.has_a_self_issued() {
            return Some("of two certificates of one name it takes one and does not come back to the other");
        }
        if error == "unable to get local issuer certificate" && self.key_identifiers_differ() {
            return Some(
                "a key identifier that does not fit excludes an issuer; RFC 5280 makes it a hint, and the signature fits",
            );
        }
        if error == "unable to get local issuer certificate" && self.is_damaged() {
            return Some(
                "so it calls a certificate with an extension that it cannot read; what is wrong in it is no rule of the path",
            );
        }
        if error == "unsuitable certificate purpose" && self.all.iter().any(any_usage) {
            return Some(ANY_USAGE);
        }
        if error == "unsupported or invalid name syntax" && self.has_mail_in_a_subject() {
            return Some("a mail address in a subject that is no IA5String; it is held against the constraints here");
        }
        if error == "unreadable" && self.is_damaged() {
            return Some("text in a name that is not in the encoding of its type");
        }
        None
    }

    /// What both of them take and is refused here.
    fn both_take(&self, error: &str) -> Option<&'static str> {
        if error.contains("which has no extensions, and it has some") || error.contains("which there is not") {
            return Some("extensions belong to version 3, and there is none above (RFC 5280 4.1.2.1)");
        }
        let below_wildcard = |name: &GeneralName| matches!(name, GeneralName::Dns(host) if host.starts_with("*."));
        if error.starts_with("name-constraints: *.") && self.names().iter().any(below_wildcard) {
            return Some("a wildcard stands for a host that is excluded");
        }
        if error.contains("policyMappings that cannot be read") && self.is_damaged() {
            return Some("policy mappings that cannot be read pass where no policy is asked for");
        }
        if error.starts_with("unreadable") && self.is_damaged() {
            return Some("a version or a serial number that no certificate has");
        }
        if error.contains("is an authority's and has no name") {
            return Some("an authority without a name, which RFC 5280 4.1.2.6 forbids");
        }
        None
    }

    fn certval_takes(&self, error: &str) -> Option<&'static str> {
        let usage = self.leaf().and_then(Certificate::key_usage);
        let signs = |usage: sealpost::pki::KeyUsage| {
            usage.allows(sealpost::pki::Usage::DigitalSignature) || usage.allows(sealpost::pki::Usage::NonRepudiation)
        };
        if error.starts_with("key-usage") && usage.is_some_and(|usage| !signs(usage)) {
            return Some("it does not ask whether the leaf may sign");
        }
        if error.contains("the key of") && self.is_damaged() {
            return Some("it does not read the key of the leaf");
        }
        if error.contains("extension that stands twice") {
            return Some("an extension that stands twice in the leaf, which RFC 5280 4.2 forbids");
        }
        if (error.starts_with("issuer-missing") || error.starts_with("self-signed")) && self.is_damaged() {
            return Some("names whose values differ in their type only");
        }
        let odd = |name: &GeneralName| match name {
            GeneralName::Uri(uri) => !uri.contains("://"),
            GeneralName::Ip(bytes) => !matches!(bytes.len(), 4 | 16),
            GeneralName::Rfc822(address) => !address.is_ascii(),
            _ => false,
        };
        if error.starts_with("name-constraints") && (self.names().iter().any(odd) || self.is_damaged()) {
            return Some("a name that cannot be held against a constraint of its form passes there");
        }
        if error.starts_with("name-constraints") && self.mailboxes_differ_in_case() {
            return Some("an excluded mailbox in other capitals passes there");
        }
        if error.starts_with("name-constraints") && self.binds_every_host() {
            return Some("an empty constraint on hosts excludes none there; here and by OpenSSL it excludes all");
        }
        if error.contains("subjectAltName that cannot be read") && self.is_damaged() {
            return Some("alternative names that cannot be read pass there");
        }
        self.both_take(error)
    }

    fn mailboxes_differ_in_case(&self) -> bool {
        let is_upper =
            |name: &GeneralName| matches!(name, GeneralName::Rfc822(address) if address.starts_with(char::is_uppercase));
        self.names().iter().any(is_upper)
    }

    fn openssl_takes(&self, error: &str) -> Option<&'static str> {
        let no_local_part = |name: &GeneralName| matches!(name, GeneralName::Rfc822(address) if address.starts_with('@'));
        if error.starts_with("name-constraints") && self.names().iter().any(no_local_part) {
            return Some("an address without a local part is inside of a host");
        }
        if error.starts_with("name-constraints") && self.mailboxes_differ_in_case() {
            return Some("an excluded mailbox in other capitals passes there");
        }
        let no_ascii = |name: &GeneralName| matches!(name, GeneralName::Rfc822(address) if !address.is_ascii());
        if error.starts_with("name-constraints") && self.names().iter().any(no_ascii) {
            return Some("an address that is not ASCII is held against constraints there");
        }
        if error.starts_with("name-constraints") && self.binds_hosts_with_a_period() {
            return Some(
                "a constraint on hosts that begins with a period excludes what lies below it alone; here the domain, too",
            );
        }
        if error.starts_with("name-constraints") && self.is_damaged() {
            return Some("a constraint that is not well-formed binds nobody there; here everybody");
        }
        self.both_take(error)
    }
}
