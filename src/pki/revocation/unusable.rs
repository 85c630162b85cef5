//! Why a revocation list or an OCSP response tells nothing about a certificate.

use std::fmt;

use crate::limits::LimitReached;
use crate::pki::ocsp::Refusal;
use crate::time::Timestamp;

/// Why a revocation list or an OCSP response tells nothing about a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unusable {
    /// It was made after the moment that is asked about.
    NotYetMade {
        /// When it was made.
        made: Timestamp,
        /// The moment.
        at: Timestamp,
    },
    /// A newer one was due before the moment that is asked about.
    TooOld {
        /// When the newer one was due.
        due: Timestamp,
        /// The moment.
        at: Timestamp,
    },
    /// No certificate at hand is of the key that signed it.
    SignerMissing(String),
    /// Who signed it does not reach the trust anchor of the certificate, or may not sign it.
    SignerUntrusted(String, String),
    /// The certificate of who signed it was revoked.
    SignerRevoked(String),
    /// Whether the certificate of who signed it was revoked is not known.
    SignerUnknown(String),
    /// It is signed with what anyone can forge, or may soon.
    WeakAlgorithm(String),
    /// It has a critical extension that is not known here.
    UnknownCritical(String),
    /// It is for certificates that name another place.
    OtherPlace,
    /// It is for certificates of another kind.
    OtherHolders,
    /// It is of another issuer and does not say that it tells of others' certificates.
    NotIndirect,
    /// It says what changed since a list that is not at hand.
    NoBase,
    /// It cannot be read.
    Malformed(String),
    /// A bound was reached.
    Limit(LimitReached),
    /// The responder tells nothing.
    Refused(Refusal),
    /// It is about other certificates.
    OtherCertificate,
    /// The responder does not know the certificate.
    UnknownToResponder,
    /// The nonce is not that of the request.
    NonceDiffers,
    /// The request had a nonce, and the response has none.
    NonceMissing,
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotYetMade { made, at } => write!(f, "it was made on {made} – checked for {at}"),
            Self::TooOld { due, at } => write!(f, "it is too old, a newer one was due on {due} – checked for {at}"),
            Self::SignerMissing(who) => write!(f, "no certificate of {who} that is at hand has the key that signed it"),
            Self::SignerUntrusted(who, why) => write!(f, "{who}, who signed it, may not tell about this certificate – {why}"),
            Self::SignerRevoked(who) => write!(f, "the certificate of {who}, who signed it, was revoked"),
            Self::SignerUnknown(who) => write!(f, "whether the certificate of {who}, who signed it, was revoked is not known"),
            Self::WeakAlgorithm(name) => write!(f, "it is signed with {name}"),
            Self::UnknownCritical(name) => write!(f, "it has the critical extension {name}, which is not known here"),
            Self::OtherPlace => f.write_str("it is for certificates that name another distribution point"),
            Self::OtherHolders => f.write_str("it is for certificates of another kind"),
            Self::NotIndirect => f.write_str("it does not say that it tells about certificates of other issuers"),
            Self::NoBase => f.write_str("it is a delta list, and the list that it continues is not at hand"),
            Self::Malformed(why) => write!(f, "it cannot be read – {why}"),
            Self::Limit(limit) => limit.fmt(f),
            Self::Refused(refusal) => write!(f, "the responder tells nothing: {}", refusal.name()),
            Self::OtherCertificate => f.write_str("it is not about this certificate"),
            Self::UnknownToResponder => f.write_str("the responder does not know this certificate"),
            Self::NonceDiffers => f.write_str("it was made for another request: the nonce differs"),
            Self::NonceMissing => f.write_str("it was not made for this request: it has no nonce"),
        }
    }
}

impl std::error::Error for Unusable {}
