//! What a verdict found: a stable code, its weight, a sentence and the command that helps.

use std::fmt;

use crate::pki::{Reason, ReasonCode, Weight};

/// How much a finding weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// The result stands; read this before relying on it.
    Warning,
    /// The result does not stand.
    Error,
}

impl Severity {
    /// The word that JSON and people see.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// The kinds of findings. The code of each (`code()`) is stable: programs may match on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Code {
    /// A signature does not fit the signer's public key.
    SignatureInvalid,
    /// The content is not what was signed.
    ContentChanged,
    /// A signer without a certificate at hand: nothing can be checked.
    SignerCertificateMissing,
    /// A tag, a padding or a key does not fit: the ciphertext was changed.
    DecryptionFailed,
    /// No path from the certificate to a trust anchor.
    Untrusted,
    /// The certificate is not for mail.
    Unsuitable,
    /// A certificate of the path is past its end.
    Expired,
    /// A certificate of the path has not begun.
    NotYetValid,
    /// A certificate of the path was revoked.
    Revoked,
    /// Nobody could be asked whether a certificate was revoked.
    RevocationUnknown,
    /// No signer speaks for the From (or Sender) address, or the message names no author, or several.
    FromMismatch,
    /// The name of the sender shows another address, or his address imitates another.
    MisleadingName,
    /// Answers would go to somebody else than the sender.
    ReplyElsewhere,
    /// An algorithm that is too weak to rely on.
    WeakAlgorithm,
    /// A structure that cannot be read.
    Malformed,
    /// A bound on hostile input was reached.
    Limit,
    /// No key here opens the message.
    NoKey,
    /// A key that would open the message lies on a token, which did not do so.
    KeyUnavailable,
    /// Nothing is signed.
    NotSigned,
    /// Nothing is encrypted.
    NotEncrypted,
    /// The message is compressed, and nothing in it is signed or encrypted.
    OnlyCompressed,
    /// The content is of a type that is no message, as a receipt.
    NotAMessage,
    /// The content decrypts but nothing proves that it was not changed.
    NotAuthenticated,
    /// Parts of the message are not covered by the signature or the encryption.
    Uncovered,
    /// The message has more S/MIME parts than the one that was judged.
    OtherSmimePart,
    /// The MIME structure is odd in a way that clients show differently.
    MimeDefect,
    /// A structure that is not as the standard writes it, and yet is clear.
    NonConforming,
    /// A time-stamp over a signature does not fit: it proves no time.
    TimestampInvalid,
    /// A countersignature does not fit.
    CountersignatureInvalid,
    /// A content that is only certificates.
    CertificatesOnly,
    /// A list, an OCSP response or an issuer's certificate came over the network, or from the home's cache.
    Fetched,
    /// One that would have helped could not be had.
    NotFetched,
    /// A feature of the message that this version does not do.
    Unsupported,
    /// A certificate, a list or a response breaks a rule that it should keep; the rule is named.
    RuleBroken,
}

impl Code {
    /// The stable word for programs.
    pub const fn code(self) -> &'static str {
        match self {
            Self::SignatureInvalid => "signature-invalid",
            Self::ContentChanged => "content-changed",
            Self::SignerCertificateMissing => "signer-certificate-missing",
            Self::DecryptionFailed => "decryption-failed",
            Self::Untrusted => "untrusted",
            Self::Unsuitable => "unsuitable",
            Self::Expired => "expired",
            Self::NotYetValid => "not-yet-valid",
            Self::Revoked => "revoked",
            Self::RevocationUnknown => "revocation-unknown",
            Self::FromMismatch => "from-mismatch",
            Self::MisleadingName => "misleading-name",
            Self::ReplyElsewhere => "reply-elsewhere",
            Self::WeakAlgorithm => "weak-algorithm",
            Self::Malformed => "malformed",
            Self::Limit => "limit",
            Self::NoKey => "no-key",
            Self::KeyUnavailable => "key-unavailable",
            Self::NotSigned => "not-signed",
            Self::NotEncrypted => "not-encrypted",
            Self::OnlyCompressed => "only-compressed",
            Self::NotAMessage => "not-a-message",
            Self::NotAuthenticated => "not-authenticated",
            Self::Uncovered => "uncovered",
            Self::OtherSmimePart => "other-smime-part",
            Self::MimeDefect => "mime-defect",
            Self::NonConforming => "non-conforming",
            Self::TimestampInvalid => "timestamp-invalid",
            Self::CountersignatureInvalid => "countersignature-invalid",
            Self::CertificatesOnly => "certificates-only",
            Self::Fetched => "fetched",
            Self::NotFetched => "not-fetched",
            Self::Unsupported => "unsupported",
            Self::RuleBroken => "rule-broken",
        }
    }

    /// What an error of this kind means for the whole.
    pub const fn outcome(self) -> Outcome {
        match self {
            Self::SignatureInvalid | Self::ContentChanged | Self::DecryptionFailed => Outcome::Bad,
            Self::Untrusted | Self::Unsuitable | Self::SignerCertificateMissing | Self::RevocationUnknown => Outcome::Untrusted,
            Self::Expired | Self::NotYetValid | Self::Revoked => Outcome::Expired,
            Self::FromMismatch | Self::MisleadingName | Self::ReplyElsewhere => Outcome::FromMismatch,
            Self::NoKey | Self::KeyUnavailable => Outcome::NoKey,
            Self::NotSigned | Self::NotEncrypted | Self::OnlyCompressed | Self::NotAMessage => Outcome::NothingToDo,
            Self::WeakAlgorithm
            | Self::Malformed
            | Self::Limit
            | Self::NotAuthenticated
            | Self::Uncovered
            | Self::OtherSmimePart
            | Self::MimeDefect
            | Self::NonConforming
            | Self::TimestampInvalid
            | Self::CountersignatureInvalid
            | Self::CertificatesOnly
            | Self::Fetched
            | Self::NotFetched
            | Self::Unsupported
            | Self::RuleBroken => Outcome::Refused,
        }
    }

    /// The finding that a reason about a chain comes to.
    pub const fn of_chain(reason: ReasonCode) -> Self {
        match reason {
            ReasonCode::IssuerMissing | ReasonCode::SelfSigned | ReasonCode::SignatureInvalid => Self::Untrusted,
            ReasonCode::Expired => Self::Expired,
            ReasonCode::NotYetValid => Self::NotYetValid,
            ReasonCode::Revoked => Self::Revoked,
            ReasonCode::RevocationUnknown => Self::RevocationUnknown,
            ReasonCode::WeakAlgorithm => Self::WeakAlgorithm,
            ReasonCode::Limit => Self::Limit,
            _ => Self::Unsuitable,
        }
    }

    /// The finding that a stable word names.
    pub fn from_code(code: &str) -> Option<Self> {
        ALL.iter().copied().find(|c| c.code() == code)
    }

    /// Every code, in the order of the documentation.
    pub const fn all() -> &'static [Self] {
        ALL
    }
}

/// What the findings come to, the most severe first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// A signature, a digest, a tag or a padding does not fit.
    Bad,
    /// The chain does not reach a trust anchor, or the certificate is not for mail.
    Untrusted,
    /// A certificate of the chain is expired, not yet valid, or revoked.
    Expired,
    /// The signer's addresses do not include the From (or Sender) address.
    FromMismatch,
    /// Refused by policy: weak, malformed, or a limit was reached.
    Refused,
    /// No key here decrypts it.
    NoKey,
    /// Nothing is signed or encrypted.
    NothingToDo,
    /// All good.
    Good,
}

/// One thing that a verdict found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Its kind.
    pub code: Code,
    /// How much it weighs.
    pub severity: Severity,
    /// One sentence: thing, fact, place.
    pub text: String,
    /// A command that helps, if there is one.
    pub fix: Option<String>,
    /// Whether the reader excused it.
    pub excuse: Excuse,
}

/// Whether the reader excused a finding that would be an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Excuse {
    /// It weighs what it weighs.
    None,
    /// It is a warning because the reader said that he accepts it.
    Accepted,
}

impl Finding {
    /// A finding that makes the result fall.
    pub fn error(code: Code, text: impl Into<String>) -> Self {
        Self { code, severity: Severity::Error, text: text.into(), fix: None, excuse: Excuse::None }
    }

    /// A finding to read before relying on the result.
    pub fn warning(code: Code, text: impl Into<String>) -> Self {
        Self { code, severity: Severity::Warning, text: text.into(), fix: None, excuse: Excuse::None }
    }

    /// A finding worth knowing.
    pub fn info(code: Code, text: impl Into<String>) -> Self {
        Self { code, severity: Severity::Info, text: text.into(), fix: None, excuse: Excuse::None }
    }

    /// Adds the command that helps.
    #[must_use]
    pub fn fix(mut self, command: impl Into<String>) -> Self {
        self.fix = Some(command.into());
        self
    }
}

impl From<Reason> for Finding {
    fn from(reason: Reason) -> Self {
        let severity = match reason.weight {
            Weight::Error => Severity::Error,
            Weight::Warning => Severity::Warning,
        };
        Self { code: Code::of_chain(reason.code), severity, text: reason.text, fix: reason.fix, excuse: Excuse::None }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.code(), self.text)
    }
}

const ALL: &[Code] = &[
    Code::SignatureInvalid,
    Code::ContentChanged,
    Code::SignerCertificateMissing,
    Code::DecryptionFailed,
    Code::Untrusted,
    Code::Unsuitable,
    Code::Expired,
    Code::NotYetValid,
    Code::Revoked,
    Code::RevocationUnknown,
    Code::FromMismatch,
    Code::MisleadingName,
    Code::ReplyElsewhere,
    Code::WeakAlgorithm,
    Code::Malformed,
    Code::Limit,
    Code::NoKey,
    Code::KeyUnavailable,
    Code::NotSigned,
    Code::NotEncrypted,
    Code::OnlyCompressed,
    Code::NotAMessage,
    Code::NotAuthenticated,
    Code::Uncovered,
    Code::OtherSmimePart,
    Code::MimeDefect,
    Code::NonConforming,
    Code::TimestampInvalid,
    Code::CountersignatureInvalid,
    Code::CertificatesOnly,
    Code::Fetched,
    Code::NotFetched,
    Code::Unsupported,
    Code::RuleBroken,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_found_by_its_word() {
        for code in Code::all() {
            assert_eq!(Code::from_code(code.code()), Some(*code));
        }
    }

    #[test]
    fn a_changed_message_outweighs_an_unknown_signer() {
        assert!(Outcome::Bad < Outcome::Untrusted);
        assert!(Outcome::Untrusted < Outcome::Expired && Outcome::Expired < Outcome::FromMismatch);
        assert!(Outcome::FromMismatch < Outcome::Refused && Outcome::Refused < Outcome::NoKey);
    }
}
