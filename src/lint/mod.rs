//! Rules for certificates, revocation lists and OCSP responses, each with its source: RFC 5280, the Baseline Requirements of the CA/Browser
//! Forum, and what mail programs need.
//!
//! Uses: pki, crypto, asn1. Never: keys, files, trust: whether a certificate reaches an anchor is asked of `pki`.
//! Holds always: a rule has one code, which stays; a finding is a value and names its source; nothing is fetched, and no clock is read:
//! what depends on a date depends on those of the certificate.
//!
//! RFC 5280, 8398, 8550, 9598; S/MIME Baseline Requirements 1.0.12; TLS Baseline Requirements 2.1.

mod baseline;
mod clients;
mod der;
mod encoding;
mod extensions;
mod facts;
mod issuers;
mod mail;
mod names;
mod responses;
mod revocation;
mod servers;
mod subject;

use std::fmt;

use crate::pki::{Certificate, Crl, ocsp};

pub use baseline::{BaselineType, Generation, Validation, organization_identifier};
use facts::Facts;
pub use facts::Kind;
pub(crate) use facts::named_bits as key_usage_bits;
pub(crate) use mail::bit_name as key_usage_name;
pub use servers::longest as longest_server_days;

/// How grave a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing.
    Notice,
    /// Against a "should".
    Warning,
    /// Against a "must": somebody will refuse it.
    Error,
}

impl Severity {
    /// The word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Notice => "notice",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// Whose rule it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// RFC 5280 and the RFCs beside it.
    Pkix,
    /// The Baseline Requirements of the CA/Browser Forum, for mail or for TLS as the certificate is.
    Cabf,
    /// Outlook.
    Outlook,
    /// Gmail.
    Gmail,
    /// Mail on Apple's systems.
    Apple,
    /// Thunderbird.
    Thunderbird,
}

impl Scope {
    /// Every one.
    pub const ALL: [Self; 6] = [Self::Pkix, Self::Cabf, Self::Outlook, Self::Gmail, Self::Apple, Self::Thunderbird];

    /// The word, as `cabf`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pkix => "pkix",
            Self::Cabf => "cabf",
            Self::Outlook => "outlook",
            Self::Gmail => "gmail",
            Self::Apple => "apple",
            Self::Thunderbird => "thunderbird",
        }
    }

    /// The scope called so.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.name() == name)
    }

    /// For people.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Pkix => "RFC 5280",
            Self::Cabf => "Baseline Requirements",
            Self::Outlook => "Outlook",
            Self::Gmail => "Gmail",
            Self::Apple => "Apple Mail",
            Self::Thunderbird => "Thunderbird",
        }
    }
}

/// One thing that is wrong, or worth knowing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The rule, as `cabf.mail.eku-missing`. It stays.
    pub code: &'static str,
    /// How grave it is.
    pub severity: Severity,
    /// Whose rule it is.
    pub scope: Scope,
    /// What is wrong.
    pub text: String,
    /// Where the rule stands.
    pub source: &'static str,
}

/// `error: the text [code, source]`
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} [{}, {}]", self.severity.name(), self.text, self.code, self.source)
    }
}

/// Which rules a thing is held against.
#[derive(Debug, Clone)]
pub struct Against {
    scopes: Vec<Scope>,
    baseline: Option<BaselineType>,
    /// Whether it was asked for one client, so that what this one does not take is an error.
    is_narrow: bool,
}

impl Against {
    /// All rules. What one mail program does not take is a warning here: not everybody writes to its users.
    pub fn all() -> Self {
        Self { scopes: Scope::ALL.to_vec(), baseline: None, is_narrow: false }
    }

    /// RFC 5280 and this.
    pub fn only(scope: Scope) -> Self {
        Self { scopes: vec![Scope::Pkix, scope], baseline: None, is_narrow: true }
    }

    /// RFC 5280 and the Baseline Requirements: what an authority holds its certificates against before it signs them.
    pub fn standards() -> Self {
        Self { scopes: vec![Scope::Pkix, Scope::Cabf], baseline: None, is_narrow: false }
    }

    /// Takes the certificate for one of this type, whatever policy it names.
    #[must_use]
    pub fn as_type(mut self, baseline: BaselineType) -> Self {
        self.baseline = Some(baseline);
        self
    }

    fn has(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope)
    }

    /// Whether the Baseline Requirements were asked for by name.
    fn wants_baseline(&self) -> bool {
        self.baseline.is_some() || self.is_narrow && self.has(Scope::Cabf)
    }
}

/// Holds a certificate against the rules; the gravest findings of each scope stand first.
pub fn certificate(certificate: &Certificate, against: &Against) -> Vec<Finding> {
    let facts = Facts::new(certificate, against.baseline);
    let mut found = Vec::new();
    if against.has(Scope::Pkix) {
        let tables = [encoding::RULES, names::RULES, extensions::RULES];
        tables.iter().for_each(|rules| apply(rules, Scope::Pkix, &facts, &mut found));
    }
    if against.has(Scope::Cabf) {
        baseline_rules(&facts, against, &mut found);
    }
    for (scope, rules) in clients::TABLES {
        let first = found.len();
        if against.has(*scope) && matches!(facts.kind, Kind::Mail) {
            apply(rules, *scope, &facts, &mut found);
        }
        let of_client = found.get_mut(first..).unwrap_or_default();
        let too_grave = |finding: &&mut Finding| !against.is_narrow && finding.severity == Severity::Error;
        of_client.iter_mut().filter(too_grave).for_each(|finding| finding.severity = Severity::Warning);
    }
    sorted(found)
}

fn baseline_rules(facts: &Facts<'_>, against: &Against, found: &mut Vec<Finding>) {
    match facts.kind {
        Kind::Mail if facts.claimed.is_none() && !against.wants_baseline() => apply(mail::UNCLAIMED, Scope::Cabf, facts, found),
        Kind::Mail => [mail::RULES, subject::RULES].iter().for_each(|rules| apply(rules, Scope::Cabf, facts, found)),
        Kind::Server => apply(servers::RULES, Scope::Cabf, facts, found),
        Kind::Root => [issuers::ALL, issuers::ROOT].iter().for_each(|rules| apply(rules, Scope::Cabf, facts, found)),
        Kind::MailAuthority | Kind::ServerAuthority => {
            [issuers::ALL, issuers::BELOW].iter().for_each(|rules| apply(rules, Scope::Cabf, facts, found));
        }
        Kind::Responder => apply(responses::SIGNER, Scope::Cabf, facts, found),
        Kind::Other => {}
    }
}

/// Holds a revocation list against the rules.
pub fn list(list: &Crl, against: &Against) -> Vec<Finding> {
    sorted(revocation::check(list, against))
}

/// Holds an OCSP response against the rules.
pub fn response(response: &ocsp::Response, against: &Against) -> Vec<Finding> {
    sorted(responses::check(response, against))
}

/// What kind of certificate the rules take it for, and its type by the Baseline Requirements where it claims one.
pub fn kind(certificate: &Certificate) -> (Kind, Option<BaselineType>) {
    let facts = Facts::new(certificate, None);
    (facts.kind, facts.claimed)
}

/// Every rule about certificates: its code, how grave it is, and where it stands.
pub fn rules() -> impl Iterator<Item = (&'static str, Severity, &'static str)> {
    let tables = [
        encoding::RULES,
        names::RULES,
        extensions::RULES,
        mail::UNCLAIMED,
        mail::RULES,
        subject::RULES,
        servers::RULES,
        issuers::ALL,
        issuers::ROOT,
        issuers::BELOW,
        responses::SIGNER,
    ];
    let tables = tables.into_iter().chain(clients::TABLES.iter().map(|(_, rules)| *rules));
    tables.flatten().map(|rule| (rule.code, rule.severity, rule.source))
}

fn sorted(mut found: Vec<Finding>) -> Vec<Finding> {
    found.sort_by_key(|finding| (finding.scope, std::cmp::Reverse(finding.severity)));
    found
}

/// One rule about a certificate.
struct Rule {
    code: &'static str,
    severity: Severity,
    source: &'static str,
    /// What is wrong; `None` where the rule is kept or is not about this certificate.
    check: fn(&Facts<'_>) -> Option<String>,
}

const fn rule(severity: Severity, code: &'static str, source: &'static str, check: fn(&Facts<'_>) -> Option<String>) -> Rule {
    Rule { code, severity, source, check }
}

const fn error(code: &'static str, source: &'static str, check: fn(&Facts<'_>) -> Option<String>) -> Rule {
    rule(Severity::Error, code, source, check)
}

const fn warning(code: &'static str, source: &'static str, check: fn(&Facts<'_>) -> Option<String>) -> Rule {
    rule(Severity::Warning, code, source, check)
}

const fn notice(code: &'static str, source: &'static str, check: fn(&Facts<'_>) -> Option<String>) -> Rule {
    rule(Severity::Notice, code, source, check)
}

fn apply(rules: &[Rule], scope: Scope, facts: &Facts<'_>, found: &mut Vec<Finding>) {
    for rule in rules {
        if let Some(text) = (rule.check)(facts) {
            found.push(Finding { code: rule.code, severity: rule.severity, scope, text, source: rule.source });
        }
    }
}

/// The sentence where a rule is broken.
fn say(broken: bool, text: &str) -> Option<String> {
    broken.then(|| text.to_owned())
}

/// The sentence with what breaks the rule, where something does.
fn list_of(text: &str, bad: impl IntoIterator<Item = impl fmt::Display>) -> Option<String> {
    let bad: Vec<String> = bad.into_iter().map(|one| one.to_string()).collect();
    (!bad.is_empty()).then(|| format!("{text}: {}", bad.join(", ")))
}
