//! RFC 5280 4.2: which extensions there must be, which are critical, and what they contain.

use crate::asn1::{Cursor, Oid, oid};
use crate::lint::facts::Facts;
use crate::lint::{Kind, Rule, error, list_of, notice, say, warning};
use crate::pki::{GeneralName, PolicyQualifier};

pub(super) const RULES: &[Rule] = &[
    error("pkix.extension-unreadable", "RFC 5280 4.2", |facts| {
        list_of("extensions cannot be read", facts.certificate.unreadable_extensions().map(|extension| name(&extension.oid)))
    }),
    error("pkix.extension-unknown-critical", "RFC 5280 4.2", |facts| {
        let unknown = facts.certificate.extensions().iter().filter(|e| e.critical && !KNOWN.contains(&e.oid));
        list_of("extensions are critical that nobody need know", unknown.map(|extension| name(&extension.oid)))
    }),
    error("pkix.extension-must-not-be-critical", "RFC 5280 4.2.1.1, 4.2.1.2, 4.2.1.8, 4.2.1.15, 4.2.2", |facts| {
        list_of("extensions are critical that must not be", NEVER_CRITICAL.iter().filter(|oid| facts.is_critical(oid)).map(name))
    }),
    error("pkix.extension-must-be-critical", "RFC 5280 4.2.1.10, 4.2.1.11, 4.2.1.14", |facts| {
        list_of("extensions are not critical that must be", ALWAYS_CRITICAL.iter().filter(|oid| facts.is_lax(oid)).map(name))
    }),
    warning("pkix.key-usage-critical", "RFC 5280 4.2.1.3", |facts| {
        say(facts.is_lax(&oid::KEY_USAGE), "keyUsage is not critical")
    }),
    warning("pkix.points-critical", "RFC 5280 4.2.1.13", |facts| {
        say(facts.is_critical(&oid::CRL_DISTRIBUTION_POINTS), "cRLDistributionPoints is critical")
    }),
    error("pkix.key-usage-empty", "RFC 5280 4.2.1.3", |facts| {
        say(facts.usage.as_ref().is_some_and(Vec::is_empty), "keyUsage allows nothing")
    }),
    error("pkix.key-usage-ca", "RFC 5280 4.2.1.3, 4.2.1.9", |facts| {
        say(facts.uses(5) && !facts.is_authority(), "keyUsage allows signing certificates, and it is no authority")
    }),
    error("pkix.ca-key-usage", "RFC 5280 4.2.1.3", |facts| {
        say(
            facts.is_authority() && !facts.uses(5),
            "an authority's keyUsage is not there, or does not allow signing certificates",
        )
    }),
    warning("pkix.key-usage-agreement", "RFC 5280 4.2.1.3", |facts| {
        let only = facts.uses(7) || facts.uses(8);
        say(only && !facts.uses(4), "keyUsage has encipherOnly or decipherOnly without keyAgreement, which means nothing")
    }),
    error("pkix.key-usage-fit", "RFC 8410 5, RFC 5480 3, RFC 8551 2.3", |facts| {
        let key = facts.key.as_ref()?.algorithm();
        let enciphers = facts.uses(2) || facts.uses(3);
        let cannot_sign = (facts.uses(0) || facts.uses(1) || facts.uses(5) || facts.uses(6)) && !key.signs();
        let cannot_encipher = enciphers && !key.is_rsa();
        let cannot_agree = facts.uses(4) && (key.is_rsa() || !key.encrypts());
        let broken = cannot_sign || cannot_encipher || cannot_agree;
        broken.then(|| format!("keyUsage allows what a key of the kind {key} cannot do"))
    }),
    error("pkix.eku-empty", "RFC 5280 4.2.1.12", |facts| {
        say(facts.purposes.as_ref().is_some_and(Vec::is_empty), "extKeyUsage has no purpose")
    }),
    warning("pkix.eku-any-critical", "RFC 5280 4.2.1.12", |facts| {
        let is_critical = facts.is_critical(&oid::EXTENDED_KEY_USAGE);
        say(is_critical && facts.is_for(&oid::ANY_EXTENDED_KEY_USAGE), "extKeyUsage is critical and allows any purpose")
    }),
    error("pkix.ca-constraints-critical", "RFC 5280 4.2.1.9", |facts| {
        say(facts.is_authority() && facts.is_lax(&oid::BASIC_CONSTRAINTS), "an authority's basicConstraints is not critical")
    }),
    error("pkix.path-length", "RFC 5280 4.2.1.9", |facts| {
        let has_length = facts.constraints.is_some_and(|constraints| constraints.path_len.is_some());
        say(has_length && !facts.is_authority(), "basicConstraints has a path length, and it is no authority")
    }),
    error("pkix.ca-subject-key-id", "RFC 5280 4.2.1.2", |facts| {
        say(facts.is_authority() && !facts.has(&oid::SUBJECT_KEY_IDENTIFIER), "an authority has no subjectKeyIdentifier")
    }),
    notice("pkix.subject-key-id", "RFC 5280 4.2.1.2", |facts| {
        // the TLS Baseline Requirements advise against it (7.1.2.7.6)
        let is_leaf = !facts.is_authority() && facts.kind != Kind::Server;
        say(is_leaf && !facts.has(&oid::SUBJECT_KEY_IDENTIFIER), "there is no subjectKeyIdentifier")
    }),
    error("pkix.authority-key-id", "RFC 5280 4.2.1.1", |facts| {
        let is_needed = !facts.certificate.is_self_issued();
        say(is_needed && !facts.authority_key.contains(&0), "authorityKeyIdentifier is not there, or has no key identifier")
    }),
    error("pkix.authority-key-id-half", "RFC 5280 4.2.1.1", |facts| {
        let half = facts.authority_key.contains(&1) != facts.authority_key.contains(&2);
        say(half, "authorityKeyIdentifier has one of issuer and serial number without the other")
    }),
    error("pkix.name-constraints-leaf", "RFC 5280 4.2.1.10", |facts| {
        say(
            facts.has(&oid::NAME_CONSTRAINTS) && !facts.is_authority(),
            "nameConstraints stands in a certificate that is no authority's",
        )
    }),
    error("pkix.name-constraints-empty", "RFC 5280 4.2.1.10", |facts| {
        let value = &facts.extension(&oid::NAME_CONSTRAINTS)?.value;
        say(Cursor::new(value).sequence().is_ok_and(|fields| fields.is_empty()), "nameConstraints constrains nothing")
    }),
    error("pkix.policy-leaf", "RFC 5280 4.2.1.5, 4.2.1.11, 4.2.1.14", |facts| {
        let of_authorities = [oid::POLICY_MAPPINGS, oid::POLICY_CONSTRAINTS, oid::INHIBIT_ANY_POLICY];
        let wrong = of_authorities.iter().filter(|oid| !facts.is_authority() && facts.has(oid));
        list_of("extensions of authorities stand in a certificate that is none", wrong.map(name))
    }),
    warning("pkix.policy-notice-long", "RFC 5280 4.2.1.4", |facts| {
        let is_long = |qualifier: &PolicyQualifier| matches!(qualifier, PolicyQualifier::Notice { text: Some(text), .. } if text.chars().count() > 200);
        let any = facts.policies.iter().flat_map(|policy| &policy.qualifiers).any(is_long);
        say(any, "a policy's notice is longer than 200 characters")
    }),
    error("pkix.places-relative", "RFC 5280 4.2.1.13, 4.2.2.1", |facts| {
        list_of("places of lists or issuers are no URIs that can be followed", uris(facts).filter(|uri| !uri.contains(':')))
    }),
];

fn name(oid: &Oid) -> String {
    oid::name(oid).map_or_else(|| oid.to_string(), str::to_owned)
}

/// Every URI that a list or an issuer's certificate may be fetched from.
pub(super) fn uris<'a>(facts: &'a Facts<'_>) -> impl Iterator<Item = &'a str> {
    let names = facts.access.iter().map(|(_, name)| name).chain(&facts.points);
    names.filter_map(|name| match name {
        GeneralName::Uri(uri) => Some(uri.as_str()),
        _ => None,
    })
}

/// What a reader of certificates knows (RFC 5280 4.2, and those that mail certificates have).
const KNOWN: [Oid; 16] = [
    oid::KEY_USAGE,
    oid::BASIC_CONSTRAINTS,
    oid::EXTENDED_KEY_USAGE,
    oid::SUBJECT_ALT_NAME,
    oid::NAME_CONSTRAINTS,
    oid::CERTIFICATE_POLICIES,
    oid::POLICY_MAPPINGS,
    oid::POLICY_CONSTRAINTS,
    oid::INHIBIT_ANY_POLICY,
    oid::AUTHORITY_KEY_IDENTIFIER,
    oid::SUBJECT_KEY_IDENTIFIER,
    oid::CRL_DISTRIBUTION_POINTS,
    oid::FRESHEST_CRL,
    oid::AUTHORITY_INFO_ACCESS,
    oid::ISSUER_ALT_NAME,
    oid::OCSP_NO_CHECK,
];

const NEVER_CRITICAL: [Oid; 6] = [
    oid::AUTHORITY_KEY_IDENTIFIER,
    oid::SUBJECT_KEY_IDENTIFIER,
    oid::SUBJECT_DIRECTORY_ATTRIBUTES,
    oid::FRESHEST_CRL,
    oid::AUTHORITY_INFO_ACCESS,
    oid::SMIME_CAPABILITIES,
];

const ALWAYS_CRITICAL: [Oid; 3] = [oid::NAME_CONSTRAINTS, oid::POLICY_CONSTRAINTS, oid::INHIBIT_ANY_POLICY];
