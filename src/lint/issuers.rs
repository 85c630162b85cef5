//! Baseline Requirements for authorities' certificates: S/MIME BR 7.1.2.1, 7.1.2.2, 7.1.4.3; TLS BR 7.1.2.1 to 7.1.2.6.

use crate::asn1::{Oid, oid};
use crate::lint::facts::Facts;
use crate::lint::mail::{self, is_http, is_known_signature};
use crate::lint::{BaselineType, Kind, Rule, baseline, error, list_of, notice, say, warning};
use crate::pki::GeneralName;

/// What holds for roots and for those below them.
pub(super) const ALL: &[Rule] = &[
    error("cabf.ca.country", "S/MIME BR 7.1.4.3.1 c, TLS BR 7.1.2.10.2", |facts| {
        say(!facts.has_attribute(oid::COUNTRY), "an authority's name has no country")
    }),
    error("cabf.ca.name", "S/MIME BR 7.1.4.3.1 a, b", |facts| {
        let missing = [oid::COMMON_NAME, oid::ORGANIZATION].into_iter().filter(|name| !facts.has_attribute(*name));
        list_of("an authority's name lacks attributes", missing.filter_map(|oid| oid::name(&oid)))
    }),
    error("cabf.ca.country-code", "S/MIME BR 7.1.4.3.1 c", |facts| {
        list_of(
            "an authority's country is none of ISO 3166-1",
            facts.values(oid::COUNTRY).filter(|code| !baseline::is_country(code)),
        )
    }),
    error("cabf.ca.key-usage", "S/MIME BR 7.1.2.1 b, 7.1.2.2 e", |facts| {
        let is_fit = facts.uses(5) && facts.uses(6) && facts.is_critical(&oid::KEY_USAGE);
        say(!is_fit, "an authority's keyUsage is not critical, or does not allow signing certificates and revocation lists")
    }),
    error("cabf.ca.key-usage-other", "TLS BR 7.1.2.10.7", |facts| {
        let other = facts.usage.iter().flatten().filter(|bit| !matches!(bit, 0 | 5 | 6));
        list_of("an authority's keyUsage allows other things", other.map(|bit| mail::bit_name(*bit)))
    }),
    notice("cabf.ca.no-ocsp-bit", "S/MIME BR 7.1.2.1 b, 7.1.2.2 e", |facts| {
        say(!facts.uses(0), "its keyUsage does not let it sign OCSP responses itself: somebody else must do it for it")
    }),
    error("cabf.ca.signature-algorithm", "S/MIME BR 7.1.3.2", |facts| {
        let algorithm = facts.certificate.signature_algorithm();
        let is_known = is_known_signature(&algorithm.to_der());
        (!is_known)
            .then(|| format!("the signature is of a kind that the Baseline Requirements do not know: {}", algorithm.name()))
    }),
    error("cabf.ca.key-size", "S/MIME BR 6.1.5", |facts| {
        let bits = facts.rsa_bits()?;
        (bits < 2048 || bits % 8 != 0).then(|| format!("the RSA key has {bits} bits: under 2048, or no multiple of 8"))
    }),
    error("cabf.ca.serial-bits", "S/MIME BR 7.1", |facts| {
        say(facts.certificate.serial().len() < 8, "the serial number is too short to have 64 random bits")
    }),
];

/// What holds for roots.
pub(super) const ROOT: &[Rule] = &[
    error("cabf.root.eku", "S/MIME BR 7.1.2.1 d", |facts| say(facts.has(&oid::EXTENDED_KEY_USAGE), "a root has extKeyUsage")),
    warning("cabf.root.policies", "S/MIME BR 7.1.2.1 c", |facts| {
        say(facts.has(&oid::CERTIFICATE_POLICIES), "a root has certificatePolicies")
    }),
    warning("cabf.root.path-length", "S/MIME BR 7.1.2.1 a", |facts| {
        say(facts.constraints.is_some_and(|constraints| constraints.path_len.is_some()), "a root limits the length of paths")
    }),
    error("cabf.root.name", "TLS BR 7.1.2.1", |facts| {
        let (subject, issuer) = (facts.certificate.subject(), facts.certificate.issuer());
        say(subject.der() != issuer.der(), "a root's subject and issuer are not the same bytes")
    }),
    error("cabf.root.validity", "TLS BR 7.1.2.1.1", |facts| {
        let days = facts.seconds() / mail::DAY;
        (!(2922..=9132).contains(&days)).then(|| format!("a root is valid for {days} days, not 2922 to 9132"))
    }),
    error("cabf.root.authority-key-id", "TLS BR 7.1.2.1.3", |facts| {
        let other = facts.certificate.authority_key_id().is_some_and(|id| Some(id) != facts.certificate.subject_key_id());
        let more = facts.authority_key.iter().any(|field| *field != 0);
        say(other || more, "a root's authorityKeyIdentifier has something else than its own key identifier")
    }),
];

/// What holds for authorities below a root.
pub(super) const BELOW: &[Rule] = &[
    error("cabf.ca.policies-missing", "S/MIME BR 7.1.2.2 a, TLS BR 7.1.2.10.5", |facts| {
        say(!facts.has(&oid::CERTIFICATE_POLICIES), "there is no certificatePolicies")
    }),
    error("cabf.ca.policies", "S/MIME BR 7.1.6.3, TLS BR 7.1.6.3", |facts| {
        let is_any = |policy: &Oid| *policy == oid::ANY_POLICY;
        let is_reserved = |policy: &Oid| match facts.kind {
            Kind::ServerAuthority => TLS_POLICIES.contains(policy),
            _ => BaselineType::from_policy(policy).is_some(),
        };
        let (any, reserved) = (facts.policies.iter().any(|p| is_any(&p.oid)), facts.policies.iter().any(|p| is_reserved(&p.oid)));
        let is_there = facts.has(&oid::CERTIFICATE_POLICIES);
        let mixed = any && facts.policies.len() > 1;
        say(is_there && (!any && !reserved || mixed), "certificatePolicies names neither any policy alone nor a reserved one")
    }),
    warning("cabf.ca.policies-critical", "S/MIME BR 7.1.2.2 a", |facts| {
        say(facts.is_critical(&oid::CERTIFICATE_POLICIES), "certificatePolicies is critical")
    }),
    error("cabf.ca.policy-qualifier", "S/MIME BR 7.1.2.2 a", mail::bad_qualifier),
    error("cabf.ca.points", "S/MIME BR 7.1.2.2 b", |facts| {
        let is_there = facts.points.iter().any(|name| matches!(name, GeneralName::Uri(uri) if is_http(uri)));
        let is_critical = facts.is_critical(&oid::CRL_DISTRIBUTION_POINTS);
        say(!is_there || is_critical, "cRLDistributionPoints is not there, is critical, or has no place that begins with http:")
    }),
    warning("cabf.ca.issuer-place", "S/MIME BR 7.1.2.2 c", |facts| {
        let is_place = |(method, name): &(Oid, GeneralName)| {
            *method == oid::AD_CA_ISSUERS && matches!(name, GeneralName::Uri(uri) if is_http(uri))
        };
        say(!facts.access.iter().any(is_place), "authorityInfoAccess does not say where the issuer's certificate is")
    }),
    error("cabf.ca.eku-missing", "S/MIME BR 7.1.2.2 g, TLS BR 7.1.2.10.6", |facts| {
        say(!facts.has(&oid::EXTENDED_KEY_USAGE), "an authority below a root has no extKeyUsage")
    }),
    error("cabf.ca.eku", "S/MIME BR 7.1.2.2 g, TLS BR 7.1.2.10.6", |facts| {
        let foreign: &[Oid] = match facts.kind {
            Kind::ServerAuthority => {
                &[oid::ANY_EXTENDED_KEY_USAGE, oid::CODE_SIGNING, oid::EMAIL_PROTECTION, oid::TIME_STAMPING, oid::OCSP_SIGNING]
            }
            _ => &[oid::ANY_EXTENDED_KEY_USAGE, oid::CODE_SIGNING, oid::SERVER_AUTH, oid::TIME_STAMPING],
        };
        list_of(
            "extKeyUsage of an authority has purposes that it must not have",
            foreign.iter().filter(|oid| facts.is_for(oid)).filter_map(oid::name),
        )
    }),
    warning("cabf.ca.eku-critical", "S/MIME BR 7.1.2.2 g", |facts| {
        say(facts.is_critical(&oid::EXTENDED_KEY_USAGE), "extKeyUsage of an authority is critical")
    }),
    error("cabf.ca.authority-key-id", "S/MIME BR 7.1.2.2 h", mail::authority_key_id),
];

/// The reserved policies of TLS certificates (TLS BR 7.1.6.1): domain, organisation, individual, extended validation.
pub(super) const TLS_POLICIES: [Oid; 4] = [oid::TLS_DOMAIN, oid::TLS_ORGANIZATION, oid::TLS_INDIVIDUAL, oid::TLS_EXTENDED];

impl Facts<'_> {
    /// The reserved TLS policies that it names.
    pub(super) fn tls_policies(&self) -> usize {
        self.policies.iter().filter(|policy| TLS_POLICIES.contains(&policy.oid)).count()
    }
}
