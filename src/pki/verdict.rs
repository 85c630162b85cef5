//! What was found out about a chain.

use crate::pki::{Certificate, CertificatePolicy, Wanted};

/// Where a chain ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChainStatus {
    /// It reaches a trust anchor and every rule holds.
    Trusted,
    /// A certificate is not yet valid or no longer.
    Expired,
    /// A certificate was revoked.
    Revoked,
    /// A rule does not hold: the certificate is not for this use.
    Unsuitable,
    /// No path reaches a trust anchor.
    Untrusted,
}

impl ChainStatus {
    /// The word of the JSON output.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Trusted => "trusted",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::Unsuitable => "unsuitable",
            Self::Untrusted => "untrusted",
        }
    }
}

/// What an unknown revocation means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Revocation {
    /// Nothing is asked.
    Off,
    /// A warning.
    #[default]
    Soft,
    /// An error.
    Hard,
}

/// What is known of revocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RevocationStatus {
    /// A fresh list of the issuer does not name the certificate.
    Good,
    /// A list names it.
    Revoked,
    /// No fresh list of the issuer is at hand.
    Unknown,
    /// Nothing was asked.
    Off,
}

impl RevocationStatus {
    /// The word of the JSON output.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Revoked => "revoked",
            Self::Unknown => "unknown",
            Self::Off => "off",
        }
    }
}

/// The kinds of reasons; the words are stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "each code says it")]
pub enum ReasonCode {
    IssuerMissing,
    SelfSigned,
    SignatureInvalid,
    Expired,
    NotYetValid,
    Revoked,
    RevocationUnknown,
    NotForMail,
    KeyUsage,
    BasicConstraints,
    PathTooLong,
    NameConstraints,
    Policy,
    UnknownCriticalExtension,
    WeakAlgorithm,
    Malformed,
    Limit,
}

impl ReasonCode {
    /// The stable word.
    pub const fn code(self) -> &'static str {
        match self {
            Self::IssuerMissing => "issuer-missing",
            Self::SelfSigned => "self-signed",
            Self::SignatureInvalid => "signature-invalid",
            Self::Expired => "expired",
            Self::NotYetValid => "not-yet-valid",
            Self::Revoked => "revoked",
            Self::RevocationUnknown => "revocation-unknown",
            Self::NotForMail => "not-for-mail",
            Self::KeyUsage => "key-usage",
            Self::BasicConstraints => "basic-constraints",
            Self::PathTooLong => "path-too-long",
            Self::NameConstraints => "name-constraints",
            Self::Policy => "policy",
            Self::UnknownCriticalExtension => "unknown-critical-extension",
            Self::WeakAlgorithm => "weak-algorithm",
            Self::Malformed => "malformed-certificate",
            Self::Limit => "limit",
        }
    }

    /// What a reason of this kind does to the chain.
    pub const fn status(self) -> ChainStatus {
        match self {
            Self::IssuerMissing | Self::SelfSigned | Self::SignatureInvalid | Self::Limit => ChainStatus::Untrusted,
            Self::Expired | Self::NotYetValid => ChainStatus::Expired,
            Self::Revoked => ChainStatus::Revoked,
            Self::RevocationUnknown
            | Self::NotForMail
            | Self::KeyUsage
            | Self::BasicConstraints
            | Self::PathTooLong
            | Self::NameConstraints
            | Self::Policy
            | Self::UnknownCriticalExtension
            | Self::WeakAlgorithm
            | Self::Malformed => ChainStatus::Unsuitable,
        }
    }
}

/// How much a reason weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// Worth knowing; the chain stands.
    Warning,
    /// The chain falls.
    Error,
}

/// One thing that was found out about a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// Its kind.
    pub code: ReasonCode,
    /// How much it weighs.
    pub weight: Weight,
    /// One sentence that names the certificate.
    pub text: String,
    /// A command that helps.
    pub fix: Option<String>,
    /// The certificate that it is about, as its place in the path: 0 is the judged one.
    pub at: Option<usize>,
}

impl Reason {
    pub(in crate::pki) fn error(code: ReasonCode, text: String) -> Self {
        Self { code, weight: Weight::Error, text, fix: None, at: None }
    }

    pub(in crate::pki) fn warning(code: ReasonCode, text: String) -> Self {
        Self { code, weight: Weight::Warning, text, fix: None, at: None }
    }

    pub(in crate::pki) fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }

    pub(in crate::pki) fn at(mut self, at: usize) -> Self {
        self.at = Some(at);
        self
    }
}

/// The verdict on a chain.
#[derive(Debug, Clone)]
pub struct ChainVerdict {
    /// Where it ends.
    pub status: ChainStatus,
    /// The path, the judged certificate first; the best attempt where none is trusted.
    pub path: Vec<Certificate>,
    /// What is known of revocation.
    pub revocation: RevocationStatus,
    /// Everything found out about this path.
    pub reasons: Vec<Reason>,
    /// The policies that are valid for whoever asks, as the anchor calls them (RFC 9618 5.5); empty where none is, and none is needed.
    pub policies: Vec<CertificatePolicy>,
    /// Every path that was tried and did not hold, in the order of the search.
    pub rejected: Vec<Rejected>,
    /// How many more there are, which [`rejection_bytes`](crate::limits::Limits::rejection_bytes) had no room for.
    pub rejected_untold: usize,
    /// What would help to say more, in the order in which it helps; nothing where nothing would.
    pub wanted: Vec<Wanted>,
    /// What was tried for it: one, and one for each signature of a certificate, a list or a response
    /// ([`question_checks`](crate::limits::Limits::question_checks)).
    pub tried: u64,
}

/// A path that was tried and does not hold.
#[derive(Debug, Clone)]
pub struct Rejected {
    /// The certificates, the judged one first; the last is an anchor, or where the path ended.
    pub path: Vec<Certificate>,
    /// What is wrong with it.
    pub status: ChainStatus,
    /// Each with the place of its certificate.
    pub reasons: Vec<Reason>,
}

/// What the reasons do to a chain.
pub(in crate::pki) fn status(reasons: &[Reason]) -> ChainStatus {
    let errors = reasons.iter().filter(|reason| reason.weight == Weight::Error);
    errors.map(|reason| reason.code.status()).max().unwrap_or(ChainStatus::Trusted)
}
