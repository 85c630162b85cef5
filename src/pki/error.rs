//! Why a certificate or a revocation list could not be read or checked.

use std::fmt;

use crate::limits::LimitReached;
use crate::{asn1, crypto};

/// Why a certificate or a revocation list could not be read or checked.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The encoding cannot be read.
    Asn1(asn1::Error),
    /// A primitive refused.
    Crypto(crypto::Error),
    /// A rule of the structure is broken.
    Malformed(&'static str),
    /// The PEM text cannot be read.
    Pem(asn1::pem::Error),
    /// A bound was reached.
    Limit(LimitReached),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Asn1(error) => error.fmt(f),
            Self::Crypto(error) => error.fmt(f),
            Self::Malformed(what) => f.write_str(what),
            Self::Pem(error) => error.fmt(f),
            Self::Limit(limit) => limit.fmt(f),
        }
    }
}

impl std::error::Error for Error {}

impl From<asn1::Error> for Error {
    fn from(error: asn1::Error) -> Self {
        Self::Asn1(error)
    }
}

impl From<crypto::Error> for Error {
    fn from(error: crypto::Error) -> Self {
        Self::Crypto(error)
    }
}

impl From<asn1::pem::Error> for Error {
    fn from(error: asn1::pem::Error) -> Self {
        Self::Pem(error)
    }
}

impl From<LimitReached> for Error {
    fn from(limit: LimitReached) -> Self {
        Self::Limit(limit)
    }
}
