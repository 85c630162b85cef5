//! What mail programs ask of a mail certificate beyond the standards.
//!
//! Gmail: <https://support.google.com/a/answer/7300887>. Apple: its root certificate program, and what Mail does since macOS 10.12.
//! Outlook: how it chooses certificates, and the kinds of key of Windows. Thunderbird: NSS.

use crate::asn1::oid;
use crate::crypto::algorithm::KeyAlgorithm;
use crate::lint::facts::Facts;
use crate::lint::mail::{DAY, is_http};
use crate::lint::{Rule, Scope, error, list_of, notice, say, warning};
use crate::pki::GeneralName;

pub(super) const TABLES: &[(Scope, &[Rule])] =
    &[(Scope::Outlook, OUTLOOK), (Scope::Gmail, GMAIL), (Scope::Apple, APPLE), (Scope::Thunderbird, THUNDERBIRD)];

const OUTLOOK: &[Rule] = &[
    error("outlook.eku", "Microsoft: Outlook S/MIME certificate selection", |facts| {
        say(!facts.is_for(&oid::EMAIL_PROTECTION), "Outlook chooses only certificates whose extKeyUsage has emailProtection")
    }),
    error("outlook.key-usage", "Microsoft: Outlook S/MIME certificate selection", |facts| {
        let any = facts.uses(0) || facts.uses(2) || facts.uses(4);
        say(!any, "Outlook signs only with digitalSignature, and encrypts only with keyEncipherment or keyAgreement in keyUsage")
    }),
    error("outlook.key", "Windows CNG: kinds of key in certificates", |facts| {
        not_of(facts, "Outlook", &[KeyAlgorithm::P256, KeyAlgorithm::P384, KeyAlgorithm::P521], 1024)
    }),
    error("outlook.address", "Microsoft: Outlook matches rfc822Name and the subject's emailAddress", |facts| {
        let none = !facts.has_rfc822_name() && !facts.has_attribute(oid::EMAIL_ADDRESS);
        say(none, "Outlook finds no address: it reads rfc822Name, and emailAddress of the subject")
    }),
    warning("outlook.revocation", "Microsoft: Outlook checks revocation of signers and recipients", |facts| {
        say(
            !has_http_point(facts) && !has_ocsp(facts),
            "Outlook cannot check revocation: there is neither an http: list nor an OCSP responder",
        )
    }),
    notice("outlook.capabilities", "RFC 4262, MS-OXOSMIME", |facts| {
        let encrypts = facts.uses(2) || facts.uses(4);
        say(
            encrypts && facts.certificate.smime_capabilities().is_none(),
            "without smimeCapabilities Outlook may encrypt with 3DES to whoever never wrote to it",
        )
    }),
];

const GMAIL: &[Rule] = &[
    error("gmail.eku", GOOGLE, |facts| say(!facts.is_for(&oid::EMAIL_PROTECTION), "Gmail needs emailProtection in extKeyUsage")),
    error("gmail.eku-other", GOOGLE, |facts| {
        let foreign = [oid::SERVER_AUTH, oid::CODE_SIGNING, oid::TIME_STAMPING, oid::ANY_EXTENDED_KEY_USAGE];
        list_of("Gmail refuses purposes of extKeyUsage", foreign.iter().filter(|oid| facts.is_for(oid)).filter_map(oid::name))
    }),
    error("gmail.key-usage", GOOGLE, |facts| {
        let any = [0, 1, 2, 4].into_iter().any(|bit| facts.uses(bit));
        say(!any, "Gmail needs keyUsage with signing, key encipherment or key agreement")
    }),
    error("gmail.address", GOOGLE, |facts| {
        say(!facts.has_rfc822_name(), "Gmail needs an address as rfc822Name in subjectAltName")
    }),
    error("gmail.san-other", GOOGLE, |facts| {
        let other = facts.names.iter().flatten().any(|(form, _)| matches!(form, 2 | 6 | 7));
        say(other, "Gmail refuses DNS names, URIs and IP addresses in subjectAltName")
    }),
    error("gmail.key", GOOGLE, |facts| match facts.key.as_ref()?.algorithm() {
        KeyAlgorithm::Rsa(2048 | 3072 | 4096) | KeyAlgorithm::P256 | KeyAlgorithm::P384 => None,
        key => Some(format!("Gmail takes RSA keys of 2048, 3072 and 4096 bits, P-256 and P-384, not {key}")),
    }),
    error("gmail.signature", GOOGLE, |facts| {
        let algorithm = facts.certificate.signature_algorithm();
        let known = [
            oid::SHA256_WITH_RSA,
            oid::SHA384_WITH_RSA,
            oid::SHA512_WITH_RSA,
            oid::ECDSA_SHA256,
            oid::ECDSA_SHA384,
            oid::ECDSA_SHA512,
        ];
        let is_known = known.contains(&algorithm.oid);
        (!is_known).then(|| format!("Gmail takes certificates signed with RSA or ECDSA and SHA-2, not {}", algorithm.name()))
    }),
    error("gmail.validity", GOOGLE, |facts| {
        // 27 months, the longest that they can be: two years with a leap day, and three months of 92 days
        let days = facts.seconds().saturating_add(DAY - 1) / DAY;
        (days > 731 + 92).then(|| format!("Gmail takes certificates of 27 months, not of {days} days"))
    }),
    error("gmail.policy", GOOGLE, |facts| {
        let any = facts.policies.iter().any(|policy| policy.oid == oid::ANY_POLICY);
        say(facts.policies.is_empty() || any, "Gmail needs a policy in certificatePolicies, and not any policy")
    }),
    error("gmail.points", GOOGLE, |facts| say(!has_http_point(facts), "Gmail needs an http: place in cRLDistributionPoints")),
    notice("gmail.issuer-place", GOOGLE, |facts| {
        let is_there = facts.access.iter().any(|(method, _)| *method == oid::AD_CA_ISSUERS);
        say(!is_there, "Gmail would fetch the issuer's certificate from authorityInfoAccess")
    }),
];

const APPLE: &[Rule] = &[
    error("apple.eku", APPLES, |facts| {
        say(!facts.is_for(&oid::EMAIL_PROTECTION), "Apple's systems need emailProtection in extKeyUsage")
    }),
    error("apple.address", APPLES, |facts| {
        say(!facts.has_rfc822_name(), "Mail needs an address as rfc822Name in subjectAltName")
    }),
    error("apple.key-usage", "Mail since macOS 10.12", |facts| {
        say(!facts.has(&oid::KEY_USAGE), "Mail does not use a certificate without keyUsage")
    }),
    error("apple.key", APPLES, |facts| {
        not_of(facts, "Mail", &[KeyAlgorithm::P256, KeyAlgorithm::P384, KeyAlgorithm::P521], 2048)
    }),
    error("apple.validity", APPLES, |facts| {
        let days = facts.seconds().saturating_add(DAY - 1) / DAY;
        (days > 1185).then(|| format!("Apple's systems take mail certificates of 1185 days, not of {days}"))
    }),
    error("apple.signature", APPLES, |facts| {
        let weak = [oid::MD5_WITH_RSA, oid::SHA1_WITH_RSA, oid::ECDSA_SHA1, oid::SHA224_WITH_RSA, oid::ECDSA_SHA224];
        say(weak.contains(&facts.certificate.signature_algorithm().oid), "Apple's systems need a digest as strong as SHA-256")
    }),
    warning("apple.address-case", "Apple: Mail compares addresses with regard to case", |facts| {
        let upper = facts.addresses().filter(|address| address.chars().any(char::is_uppercase));
        list_of("Mail compares addresses letter by letter, so these must be written so in the account, too", upper)
    }),
];

const THUNDERBIRD: &[Rule] = &[
    error("thunderbird.eku", "NSS: certificateUsageEmailSigner, certificateUsageEmailRecipient", |facts| {
        let is_shut = facts.has(&oid::EXTENDED_KEY_USAGE) && !facts.is_for(&oid::EMAIL_PROTECTION);
        say(is_shut, "Thunderbird needs emailProtection where there is extKeyUsage: any purpose is none to it")
    }),
    error("thunderbird.key-usage", "NSS: CERT_KeyUsageAndTypeForCertUsage", |facts| {
        let any = [0, 1, 2, 4].into_iter().any(|bit| facts.uses(bit));
        say(facts.has(&oid::KEY_USAGE) && !any, "Thunderbird finds neither signing nor encryption in keyUsage")
    }),
    error("thunderbird.address", "NSS: CERT_GetFirstEmailAddress", |facts| {
        let none = !facts.has_rfc822_name() && !facts.has_attribute(oid::EMAIL_ADDRESS);
        say(none, "Thunderbird finds no address: it reads rfc822Name, and emailAddress of the subject")
    }),
    error("thunderbird.key", "NSS: SEC_ERROR_UNSUPPORTED_KEYALG of S/MIME", |facts| {
        not_of(facts, "Thunderbird", &[KeyAlgorithm::P256, KeyAlgorithm::P384, KeyAlgorithm::P521], 1024)
    }),
];

const GOOGLE: &str = "Google: S/MIME certificate profiles";
const APPLES: &str = "Apple Root Certificate Program, S/MIME";

/// Says that a program does not take the key: RSA from so many bits, or one of these curves.
fn not_of(facts: &Facts<'_>, program: &str, curves: &[KeyAlgorithm], bits: usize) -> Option<String> {
    let key = facts.key.as_ref().map(|key| key.algorithm());
    match key {
        Some(KeyAlgorithm::Rsa(size)) if size >= bits => None,
        Some(key) if curves.contains(&key) => None,
        Some(key) => Some(format!("{program} does not use keys of the kind {key} in mail")),
        None => Some(format!("{program} does not use keys of this kind in mail")),
    }
}

fn has_http_point(facts: &Facts<'_>) -> bool {
    facts.points.iter().any(|name| matches!(name, GeneralName::Uri(uri) if is_http(uri)))
}

fn has_ocsp(facts: &Facts<'_>) -> bool {
    facts.access.iter().any(|(method, _)| *method == oid::AD_OCSP)
}
