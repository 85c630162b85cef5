//! TLS Baseline Requirements 6.3.2, 7.1.2.7: certificates of TLS servers whose domain was validated.

use crate::asn1::{Oid, oid};
use crate::lint::mail::{self, DAY, is_http, is_known_signature};
use crate::lint::{Rule, error, list_of, say, warning};
use crate::pki::GeneralName;
use crate::time::Timestamp;

pub(super) const RULES: &[Rule] = &[
    error("cabf.server.policy", "TLS BR 7.1.2.7.9, 7.1.6.1", |facts| {
        say(facts.tls_policies() != 1, "it does not name exactly one reserved policy of TLS certificates")
    }),
    error("cabf.server.policy-any", "TLS BR 7.1.2.7.9", |facts| {
        say(facts.policies.iter().any(|policy| policy.oid == oid::ANY_POLICY), "any policy is named")
    }),
    error("cabf.server.eku", "TLS BR 7.1.2.7.10", |facts| {
        let other = |purpose: &&Oid| ![oid::SERVER_AUTH, oid::CLIENT_AUTH].contains(purpose);
        let other = facts.purposes.iter().flatten().filter(other);
        list_of(
            "extKeyUsage has purposes that a TLS server must not have",
            other.map(|oid| oid::name(oid).map_or_else(|| oid.to_string(), str::to_owned)),
        )
    }),
    error("cabf.server.san-missing", "TLS BR 7.1.2.7.12", |facts| {
        say(facts.names.as_ref().is_none_or(Vec::is_empty), "there is no subjectAltName")
    }),
    error("cabf.server.san-other", "TLS BR 7.1.2.7.12", |facts| {
        let any = facts.names.iter().flatten().any(|(form, _)| !matches!(form, 2 | 7));
        say(any, "subjectAltName has names that are neither DNS names nor IP addresses")
    }),
    error("cabf.server.common-name", "TLS BR 7.1.2.7.2, 7.1.4.3", |facts| {
        let names = facts.certificate.dns_names();
        let is_ip = |name: &str| name.parse::<std::net::IpAddr>().is_ok();
        let other = facts.values(oid::COMMON_NAME).filter(|name| !is_ip(name) && !names.iter().any(|known| known == name));
        list_of("the common name is not among those of subjectAltName", other)
    }),
    warning("cabf.server.common-name-there", "TLS BR 7.1.2.7.2", |facts| {
        say(facts.has_attribute(oid::COMMON_NAME), "the subject has a common name, which nobody reads")
    }),
    error("cabf.server.key-usage", "TLS BR 7.1.2.7.11", |facts| {
        let allowed: &[u8] = if facts.rsa_bits().is_some() { &[0, 2, 3] } else { &[0, 4] };
        let other = facts.usage.iter().flatten().filter(|bit| !allowed.contains(bit));
        list_of("keyUsage allows what a TLS server must not do", other.map(|bit| mail::bit_name(*bit)))
    }),
    warning("cabf.server.subject-key-id", "TLS BR 7.1.2.7.6", |facts| {
        say(facts.has(&oid::SUBJECT_KEY_IDENTIFIER), "there is a subjectKeyIdentifier, which is not recommended")
    }),
    error("cabf.server.authority-key-id", "TLS BR 7.1.2.11.1", mail::authority_key_id),
    error("cabf.server.access", "TLS BR 7.1.2.7.7", |facts| {
        let other = facts.access.iter().filter(|(_, name)| !matches!(name, GeneralName::Uri(uri) if is_http(uri)));
        list_of("authorityInfoAccess has places that do not begin with http:", other.map(|(_, name)| name))
    }),
    error("cabf.server.revocation", "TLS BR 7.1.2.11.2", |facts| {
        let has_ocsp = facts.access.iter().any(|(method, _)| *method == oid::AD_OCSP);
        let is_there = facts.points.iter().any(|name| matches!(name, GeneralName::Uri(uri) if is_http(uri)));
        say(!has_ocsp && !is_there, "it says neither where its revocation list is nor its OCSP responder")
    }),
    error("cabf.server.validity", "TLS BR 6.3.2", |facts| {
        let most = longest(facts.certificate.not_before());
        let days = facts.seconds().saturating_add(DAY - 1) / DAY;
        (days > most).then(|| format!("it is valid for {days} days, over the {most} of its date of issue"))
    }),
    error("cabf.server.key", "TLS BR 6.1.5", |facts| {
        let key = facts.key.as_ref()?.algorithm();
        use crate::crypto::algorithm::KeyAlgorithm::{P256, P384, P521, Rsa};
        let is_fit = matches!(key, P256 | P384 | P521) || matches!(key, Rsa(bits) if bits >= 2048 && bits % 8 == 0);
        (!is_fit).then(|| format!("a TLS server's key must not be of the kind {key}"))
    }),
    error("cabf.server.signature-algorithm", "TLS BR 7.1.3.2", |facts| {
        let algorithm = facts.certificate.signature_algorithm();
        (!is_known_signature(&algorithm.to_der())).then(|| format!("the signature is of an unknown kind: {}", algorithm.name()))
    }),
];

/// The days that a TLS server's certificate may be valid for, by the day when it begins (TLS BR 6.3.2).
pub fn longest(not_before: Timestamp) -> i64 {
    // 2026-03-15, 2027-03-15, 2029-03-15
    match not_before.unix() {
        ..1_773_532_800 => 398,
        1_773_532_800..1_805_068_800 => 200,
        1_805_068_800..1_868_227_200 => 100,
        1_868_227_200.. => 47,
    }
}
