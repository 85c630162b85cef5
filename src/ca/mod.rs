//! A small certificate authority: a root, an issuing CA for mail, one for TLS servers.
//!
//! Uses: lint, keys, pki, crypto, asn1. Never: messages, sockets.
//! Holds always: what a request asks for is not copied: what goes beyond the profile is refused; a certificate is held against the rules
//! before it is signed, and is read back and checked before it is given out;
//! serial numbers are random; what is issued or revoked stands in the ledger first.

mod authority;
mod draft;
pub mod escrow;
mod issuer;
mod profile;
pub mod publish;
pub mod records;
mod request;
pub mod responder;
mod revoke;
mod shape;
pub mod store;
#[cfg(test)]
mod tests;

use std::fmt;

pub use authority::{Authority, Plan};
pub use issuer::Issuer;
pub use profile::{DEFAULT_DAYS, MailProfile, ServerProfile, Uses};
pub use request::Request;
pub use revoke::{RevocationReason, Revoked};
pub use shape::{Organization, Person, Shape};

/// Why the authority could not do its work.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The request breaks a rule.
    Refused(String),
    /// No such certificate was issued here.
    Unknown(String),
    /// The records are not as they were written.
    Changed(String),
    /// The certificate would break a rule.
    Flawed(Box<crate::lint::Finding>),
    /// The request asks for things that the certificate would not have; each in words.
    Beyond(Vec<String>),
    /// A primitive refused.
    Crypto(crate::crypto::Error),
    /// A certificate cannot be read.
    Certificate(crate::pki::Error),
    /// A file or a key cannot be used.
    Keys(crate::keys::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(why) | Self::Unknown(why) | Self::Changed(why) => f.write_str(why),
            Self::Flawed(finding) => {
                write!(f, "the certificate would break a rule: {} [{}, {}]", finding.text, finding.code, finding.source)
            }
            Self::Beyond(asked) => {
                write!(f, "the request asks for what the certificate would not have – {}", asked.join("; "))
            }
            Self::Crypto(error) => error.fmt(f),
            Self::Certificate(error) => error.fmt(f),
            Self::Keys(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Error {}

impl From<crate::crypto::Error> for Error {
    fn from(error: crate::crypto::Error) -> Self {
        Self::Crypto(error)
    }
}

impl From<crate::pki::Error> for Error {
    fn from(error: crate::pki::Error) -> Self {
        Self::Certificate(error)
    }
}

impl From<crate::keys::Error> for Error {
    fn from(error: crate::keys::Error) -> Self {
        Self::Keys(error)
    }
}

impl From<crate::asn1::Error> for Error {
    fn from(error: crate::asn1::Error) -> Self {
        Self::Certificate(error.into())
    }
}
