//! Path validation, step by step as RFC 5280 section 6.1 names them.

use crate::asn1::{Oid, oid};
use crate::crypto::algorithm::{KeyAlgorithm, SignatureAlgorithm, Strength};
use crate::crypto::key::PublicKey;
use crate::limits::{Budget, Limits};
use crate::pki::name_constraints::NameConstraints;
use crate::pki::policy::PolicyState;
use crate::pki::revocation::{self, Checks, Found};
use crate::pki::{
    Certificate, CertificatePolicy, Crl, Error, PolicyInputs, Reason, ReasonCode, Revocation, RevocationStatus, Usage, ocsp,
};
use crate::time::Timestamp;

/// What the first certificate of a path shall be good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Signatures on mail (RFC 8550 4.4.2).
    MailSign,
    /// Encryption of mail.
    MailEncrypt,
    /// A TLS server.
    TlsServer,
    /// Time-stamps, and nothing else (RFC 3161 2.3).
    TimeStamping,
    /// Anything.
    Any,
}

/// What a validation knows beside the path.
pub(in crate::pki) struct Inputs<'a> {
    pub(in crate::pki) purpose: Purpose,
    pub(in crate::pki) at: Timestamp,
    pub(in crate::pki) crls: &'a [Crl],
    pub(in crate::pki) ocsp: &'a [ocsp::Response],
    /// What was tried to learn of revocation in this judgement.
    pub(in crate::pki) checks: &'a Checks,
    pub(in crate::pki) revocation: Revocation,
    /// Certificates that may belong to an authority's other keys.
    pub(in crate::pki) pool: &'a [Certificate],
    pub(in crate::pki) policies: &'a PolicyInputs,
    pub(in crate::pki) limits: &'a Limits,
}

/// What a validation found.
pub(in crate::pki) struct Findings {
    pub(in crate::pki) reasons: Vec<Reason>,
    pub(in crate::pki) revocation: RevocationStatus,
    /// The policies that are valid for whoever asks.
    pub(in crate::pki) policies: Vec<CertificatePolicy>,
}

/// Validates a path whose last certificate is the trust anchor and whose signatures were checked while it was built.
pub(in crate::pki) fn validate(path: &[Certificate], inputs: &Inputs<'_>) -> Findings {
    let Some((anchor, below)) = path.split_last() else {
        return Findings { reasons: Vec::new(), revocation: initial_revocation(inputs), policies: Vec::new() };
    };
    let mut state = State {
        inputs,
        reasons: Vec::new(),
        revocation: initial_revocation(inputs),
        constraints: Vec::new(),
        name_checks: Budget::new("name checks", inputs.limits.name_checks),
        policies: PolicyState::new(inputs.policies, below.len(), inputs.limits.policy_checks),
    };
    // 6.1.2: the anchor is trusted as it is; its constraints and its end bind, too, since we hold the whole certificate
    state.basic_validity(anchor);
    if !below.is_empty() {
        state.anchor_may_vouch(anchor, path);
    }
    state.place(below.len());
    let mut issuer = anchor;
    for (at, certificate) in below.iter().enumerate().rev() {
        let above = path.get(at.saturating_add(1)..).unwrap_or_default();
        state.basic_certificate_processing(certificate, issuer, above, at);
        if at > 0 {
            state.prepare_for_next(certificate, path.get(1..=at).unwrap_or_default());
            let refused = state.policies.prepare_for_next(certificate);
            state.reasons.extend(refused);
        }
        state.place(at);
        issuer = certificate;
    }
    let policies = state.wrap_up(path.first().unwrap_or(anchor));
    state.place(0);
    Findings { reasons: state.reasons, revocation: state.revocation, policies }
}

fn initial_revocation(inputs: &Inputs<'_>) -> RevocationStatus {
    if inputs.revocation == Revocation::Off { RevocationStatus::Off } else { RevocationStatus::Good }
}

struct State<'a> {
    inputs: &'a Inputs<'a>,
    reasons: Vec<Reason>,
    revocation: RevocationStatus,
    constraints: Vec<(String, NameConstraints)>,
    name_checks: Budget,
    policies: PolicyState<'a>,
}

/// Extensions whose meaning this room knows.
const KNOWN: &[Oid] = &[
    oid::SUBJECT_KEY_IDENTIFIER,
    oid::AUTHORITY_KEY_IDENTIFIER,
    oid::KEY_USAGE,
    oid::EXTENDED_KEY_USAGE,
    oid::BASIC_CONSTRAINTS,
    oid::SUBJECT_ALT_NAME,
    oid::ISSUER_ALT_NAME,
    oid::NAME_CONSTRAINTS,
    oid::CERTIFICATE_POLICIES,
    oid::POLICY_MAPPINGS,
    oid::POLICY_CONSTRAINTS,
    oid::INHIBIT_ANY_POLICY,
    oid::CRL_DISTRIBUTION_POINTS,
    oid::AUTHORITY_INFO_ACCESS,
];

/// Whether the meaning of an extension is known here.
pub(in crate::pki) fn is_known(oid: &Oid) -> bool {
    KNOWN.contains(oid)
}

impl State<'_> {
    fn error(&mut self, code: ReasonCode, text: String) {
        self.reasons.push(Reason::error(code, text));
    }

    /// Says of which certificate the reasons are that were found since the last one.
    fn place(&mut self, at: usize) {
        self.reasons.iter_mut().rev().take_while(|reason| reason.at.is_none()).for_each(|reason| reason.at = Some(at));
    }

    /// 6.1.3: signature (done by the builder), validity, revocation, names, constraints, policies.
    fn basic_certificate_processing(
        &mut self,
        certificate: &Certificate,
        issuer: &Certificate,
        above: &[Certificate],
        at: usize,
    ) {
        self.basic_validity(certificate);
        self.basic_version(certificate);
        self.unreadable_extensions(certificate);
        self.basic_signature_strength(certificate);
        self.basic_revocation(certificate, above);
        if !certificate.issuer().matches(issuer.subject()) {
            self.error(ReasonCode::SignatureInvalid, format!("certificate of {certificate} names another issuer than {issuer}"));
        }
        // 6.1.3 (b): self-issued certificates are not bound, except the last
        if at == 0 || !certificate.is_self_issued() {
            self.basic_name_constraints(certificate);
        }
        let refused = self.policies.basic_processing(certificate, at == 0);
        self.reasons.extend(refused);
        self.unknown_critical_extensions(certificate);
    }

    fn basic_validity(&mut self, certificate: &Certificate) {
        let at = self.inputs.at;
        if at < certificate.not_before() {
            let text = format!("certificate of {certificate} begins on {} – checked for {at}", certificate.not_before());
            self.error(ReasonCode::NotYetValid, text);
        } else if at > certificate.not_after() {
            let text = format!("certificate of {certificate} expired on {} – checked for {at}", certificate.not_after());
            self.error(ReasonCode::Expired, text);
        }
    }

    /// RFC 5280 4.1.2.1: three versions, and extensions in the third alone.
    fn basic_version(&mut self, certificate: &Certificate) {
        let version = certificate.version();
        if version > 2 || (version < 2 && !certificate.extensions().is_empty()) {
            let what = if version > 2 { "which there is not" } else { "which has no extensions, and it has some" };
            let text = format!("certificate of {certificate} is of version {}, {what}", version.saturating_add(1));
            self.error(ReasonCode::Malformed, text);
        }
    }

    fn basic_signature_strength(&mut self, certificate: &Certificate) {
        let Ok(algorithm) = SignatureAlgorithm::from_identifier(certificate.signature_algorithm(), None) else { return };
        if algorithm.strength() != Strength::Good {
            let text = format!("certificate of {certificate} is signed with {}", algorithm.name());
            self.error(ReasonCode::WeakAlgorithm, text);
        }
    }

    fn basic_revocation(&mut self, certificate: &Certificate, above: &[Certificate]) {
        if self.inputs.revocation == Revocation::Off {
            return;
        }
        match revocation::status(certificate, above, self.inputs) {
            Found::Good => {}
            Found::Revoked { date, reason } => {
                self.revocation = RevocationStatus::Revoked;
                self.error(ReasonCode::Revoked, format!("certificate of {certificate} was revoked on {date} – {reason}"));
            }
            Found::Unknown { why } => {
                if self.revocation == RevocationStatus::Good {
                    self.revocation = RevocationStatus::Unknown;
                }
                let text = format!("whether {certificate} was revoked is not known – {why}");
                let reason = match self.inputs.revocation {
                    Revocation::Hard => Reason::error(ReasonCode::RevocationUnknown, text),
                    _ => Reason::warning(ReasonCode::RevocationUnknown, text),
                };
                let fix = if revocation::is_offered(certificate, self.inputs.limits) { "--fetch" } else { "--crl FILE" };
                self.reasons.push(reason.fix(fix));
            }
        }
    }

    fn basic_name_constraints(&mut self, certificate: &Certificate) {
        let mut found = Vec::new();
        for (by, constraints) in &self.constraints {
            let (code, text) = match constraints.forbids(certificate, &mut self.name_checks) {
                Ok(None) => continue,
                Ok(Some(name)) => {
                    (ReasonCode::NameConstraints, format!("{name} of {certificate} is outside of what {by} may vouch for"))
                }
                Err(Error::Limit(limit)) => (ReasonCode::Limit, limit.to_string()),
                Err(error) => (ReasonCode::NameConstraints, format!("the names of {certificate} cannot be read – {error}")),
            };
            found.push((code, text));
        }
        found.into_iter().for_each(|(code, text)| self.error(code, text));
    }

    /// An extension that says what a certificate is for, and cannot be read, must not count as one that is not there.
    fn unreadable_extensions(&mut self, certificate: &Certificate) {
        for extension in certificate.unreadable_extensions() {
            let name = oid::name(&extension.oid).unwrap_or_default();
            self.error(
                ReasonCode::Malformed,
                format!("certificate of {certificate} has an extension {name} that cannot be read"),
            );
        }
    }

    fn unknown_critical_extensions(&mut self, certificate: &Certificate) {
        for extension in certificate.extensions() {
            if extension.critical && !KNOWN.contains(&extension.oid) {
                let name = oid::name(&extension.oid).map_or_else(|| extension.oid.to_string(), str::to_owned);
                let text = format!("certificate of {certificate} has the critical extension {name}, which is not known here");
                self.error(ReasonCode::UnknownCriticalExtension, text);
            }
        }
    }

    /// 6.1.4: what a certificate must be to sign the next one; `up_to` are those between the leaf and it, and it itself.
    fn prepare_for_next(&mut self, certificate: &Certificate, up_to: &[Certificate]) {
        self.take_constraints(certificate);
        // RFC 5280 4.1.2.6: an authority has a name; without one, whoever has none would be below it
        if certificate.subject().is_empty() {
            self.error(ReasonCode::Malformed, format!("certificate of {certificate} is an authority's and has no name"));
        }
        match certificate.basic_constraints() {
            // 6.1.4 (k): before version 3 there is nothing to say it in
            _ if certificate.version() < 2 => {
                let text = format!(
                    "certificate of {certificate} is of version {}, which authorities are not",
                    certificate.version().saturating_add(1)
                );
                self.error(ReasonCode::BasicConstraints, text);
            }
            Some(constraints) if constraints.is_ca => self.path_length(certificate, constraints.path_len, up_to),
            _ => self.error(ReasonCode::BasicConstraints, format!("certificate of {certificate} is not an authority's")),
        }
        if certificate.key_usage().is_some_and(|usage| !usage.allows(Usage::KeyCertSign)) {
            self.error(ReasonCode::KeyUsage, format!("certificate of {certificate} may not sign certificates"));
        }
        self.key_strength(certificate);
        self.extended_key_usage(certificate);
    }

    /// 6.1.4 (l), (m): how many certificates that are not self-issued may stand between this one and the leaf.
    fn path_length(&mut self, certificate: &Certificate, path_len: Option<u64>, up_to: &[Certificate]) {
        let Some((_, between)) = up_to.split_last() else { return };
        let count = between.iter().filter(|c| !c.is_self_issued()).count();
        if path_len.is_some_and(|limit| u64::try_from(count).unwrap_or(u64::MAX) > limit) {
            self.error(ReasonCode::PathTooLong, format!("more certificates stand below {certificate} than it allows"));
        }
    }

    fn take_constraints(&mut self, certificate: &Certificate) {
        match NameConstraints::of(certificate) {
            Ok(Some(constraints)) => self.constraints.push((certificate.to_string(), constraints)),
            Ok(None) => {}
            Err(error) => {
                self.error(
                    ReasonCode::NameConstraints,
                    format!("the name constraints of {certificate} cannot be held – {error}"),
                );
            }
        }
    }

    /// What an anchor must be to vouch for others; a person's certificate that is trusted vouches for itself alone. Only
    /// certificates of versions before 3, which cannot say what they are, are taken for an authority's.
    fn anchor_may_vouch(&mut self, anchor: &Certificate, path: &[Certificate]) {
        self.policies.take_anchor(anchor);
        self.unreadable_extensions(anchor);
        self.unknown_critical_extensions(anchor);
        if anchor.version() >= 2 {
            self.prepare_for_next(anchor, path.get(1..).unwrap_or_default());
        } else {
            self.take_constraints(anchor);
            self.key_strength(anchor);
        }
    }

    /// Extended key usages of authorities bind those below, as every validator in use has it.
    fn extended_key_usage(&mut self, certificate: &Certificate) {
        let wanted = match self.inputs.purpose {
            Purpose::MailSign | Purpose::MailEncrypt => oid::EMAIL_PROTECTION,
            Purpose::TlsServer => oid::SERVER_AUTH,
            Purpose::TimeStamping => oid::TIME_STAMPING,
            Purpose::Any => return,
        };
        if certificate.extension(&oid::EXTENDED_KEY_USAGE).is_none() {
            return;
        }
        let usages = certificate.extended_key_usage().unwrap_or_default();
        if !usages.contains(&wanted) && !usages.contains(&oid::ANY_EXTENDED_KEY_USAGE) {
            let what = oid::name(&wanted).unwrap_or("this purpose");
            self.error(ReasonCode::NotForMail, format!("certificate of {certificate} is not for {what}"));
        }
    }

    /// 6.1.5 and RFC 8550 4.4: what the first certificate must be.
    fn wrap_up(&mut self, leaf: &Certificate) -> Vec<CertificatePolicy> {
        self.is_for_purpose(leaf);
        // they bind nobody below a leaf, and yet what cannot be read is not known to be harmless
        if let Err(error) = NameConstraints::of(leaf) {
            self.error(ReasonCode::NameConstraints, format!("the name constraints of {leaf} cannot be held – {error}"));
        }
        self.policies.wrap_up(leaf).unwrap_or_else(|refused| {
            self.reasons.extend(refused);
            Vec::new()
        })
    }

    fn is_for_purpose(&mut self, leaf: &Certificate) {
        self.extended_key_usage(leaf);
        if self.inputs.purpose == Purpose::TimeStamping {
            self.only_time_stamping(leaf);
        }
        let Some(key) = self.key_strength(leaf) else { return };
        let Some(usage) = leaf.key_usage() else { return };
        let wanted: &[Usage] = match (self.inputs.purpose, key.algorithm()) {
            (Purpose::MailSign | Purpose::TimeStamping, _) => &[Usage::DigitalSignature, Usage::NonRepudiation],
            (Purpose::MailEncrypt, KeyAlgorithm::Rsa(_) | KeyAlgorithm::MlKem(_)) => &[Usage::KeyEncipherment],
            (Purpose::MailEncrypt, _) => &[Usage::KeyAgreement],
            (Purpose::TlsServer | Purpose::Any, _) => return,
        };
        if !wanted.iter().any(|wanted| usage.allows(*wanted)) {
            let names: Vec<&str> = wanted.iter().map(|usage| usage.name()).collect();
            self.error(ReasonCode::KeyUsage, format!("certificate of {leaf} does not allow {}", names.join(" or ")));
        }
    }

    /// RFC 3161 2.3: the extension must be critical, and name this use alone: the key of an authority for time has no other.
    fn only_time_stamping(&mut self, leaf: &Certificate) {
        let is_critical = leaf.extension(&oid::EXTENDED_KEY_USAGE).is_some_and(|extension| extension.critical);
        if !is_critical || leaf.extended_key_usage().is_none_or(|usages| usages != [oid::TIME_STAMPING]) {
            self.error(ReasonCode::NotForMail, format!("certificate of {leaf} is not for time-stamps alone"));
        }
    }

    /// RFC 8550 4.3: RSA keys under 2 048 bits are historic; under 1 024 they are no keys.
    fn key_strength(&mut self, certificate: &Certificate) -> Option<PublicKey> {
        match certificate.public_key() {
            Ok(key) => {
                if let KeyAlgorithm::Rsa(bits) = key.algorithm()
                    && bits < 2048
                {
                    let code = if bits < 1024 { ReasonCode::Malformed } else { ReasonCode::WeakAlgorithm };
                    self.error(code, format!("certificate of {certificate} has an RSA key of {bits} bits"));
                }
                Some(key)
            }
            Err(error) => {
                self.error(ReasonCode::Malformed, format!("the key of {certificate} cannot be read – {error}"));
                None
            }
        }
    }
}
