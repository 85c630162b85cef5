//! Why a cryptographic message could not be read or made.

use std::fmt;
use std::io;

use crate::limits::LimitReached;
use crate::{asn1, crypto, pki};

/// Why a cryptographic message could not be read or made.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The encoding cannot be read.
    Asn1(asn1::Error),
    /// A rule of the structure is broken.
    Malformed(&'static str),
    /// This version does not do it.
    Unsupported(String),
    /// A tag, a padding or a key does not fit. One text for all: which one it was helps only an attacker.
    DecryptionFailed,
    /// A primitive refused.
    Crypto(crypto::Error),
    /// A certificate refused.
    Certificate(pki::Error),
    /// A bound was reached.
    Limit(LimitReached),
    /// The source cannot be read or the sink cannot be written.
    Io(io::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Asn1(error) => error.fmt(f),
            Self::Malformed(what) => f.write_str(what),
            Self::Unsupported(what) => write!(f, "unsupported: {what}"),
            Self::DecryptionFailed => f.write_str("decryption failed – the message or the key is another than at sending"),
            Self::Crypto(error) => error.fmt(f),
            Self::Certificate(error) => error.fmt(f),
            Self::Limit(limit) => limit.fmt(f),
            Self::Io(error) => write!(f, "input or output failed – {error}"),
        }
    }
}

impl std::error::Error for Error {}

impl From<asn1::Error> for Error {
    fn from(error: asn1::Error) -> Self {
        match error {
            asn1::Error::Limit(limit) => Self::Limit(limit),
            asn1::Error::Io(error) => Self::Io(error),
            other => Self::Asn1(other),
        }
    }
}

impl From<crypto::Error> for Error {
    fn from(error: crypto::Error) -> Self {
        match error {
            crypto::Error::TagMismatch | crypto::Error::Padding | crypto::Error::Unwrap => Self::DecryptionFailed,
            crypto::Error::Limit(limit) => Self::Limit(limit),
            crypto::Error::Unsupported { what, name } => Self::Unsupported(format!("{what} {name}")),
            crypto::Error::Asn1(error) => Self::from(error),
            other => Self::Crypto(other),
        }
    }
}

impl From<pki::Error> for Error {
    fn from(error: pki::Error) -> Self {
        match error {
            pki::Error::Crypto(error @ crypto::Error::Unsupported { .. }) => Self::from(error),
            other => Self::Certificate(other),
        }
    }
}

impl From<LimitReached> for Error {
    fn from(limit: LimitReached) -> Self {
        Self::Limit(limit)
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}
