//! Why a key or a home could not be used.

use std::fmt;
use std::path::PathBuf;

use crate::limits::LimitReached;
use crate::time::Timestamp;
use crate::{asn1, crypto, pki};

/// Why a key or a home could not be used.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The certificate belongs to another key.
    ForeignCertificate {
        /// Its subject.
        subject: String,
    },
    /// The file is locked and no passphrase was given.
    PassphraseNeeded,
    /// The passphrase does not open it.
    WrongPassphrase,
    /// No such key, certificate or contact.
    NotFound(String),
    /// It is there already.
    Exists(String),
    /// It is still needed.
    InUse(String),
    /// The file holds nothing of use.
    Malformed(String),
    /// A certificate that cannot be read.
    Certificate(pki::Error),
    /// A key that cannot be read.
    Crypto(crypto::Error),
    /// A bound was reached.
    Limit(LimitReached),
    /// The clock stands before what was recorded last.
    Clock {
        /// Where it stands.
        now: Timestamp,
        /// The newest record.
        newest: Timestamp,
    },
    /// A file cannot be read or written.
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ForeignCertificate { subject } => write!(f, "the certificate of {subject} belongs to another key"),
            Self::PassphraseNeeded => f.write_str("a passphrase is needed"),
            Self::WrongPassphrase => f.write_str("the passphrase is wrong"),
            Self::NotFound(what) | Self::Exists(what) | Self::InUse(what) | Self::Malformed(what) => f.write_str(what),
            Self::Certificate(error) => error.fmt(f),
            Self::Crypto(error) => error.fmt(f),
            Self::Limit(limit) => limit.fmt(f),
            Self::Clock { now, newest } => write!(f, "the clock stands at {now}, before the newest record of {newest}"),
            Self::Io { path, error } => write!(f, "cannot use {} – {error}", path.display()),
        }
    }
}

impl std::error::Error for Error {}

impl From<pki::Error> for Error {
    fn from(error: pki::Error) -> Self {
        Self::Certificate(error)
    }
}

impl From<crypto::Error> for Error {
    fn from(error: crypto::Error) -> Self {
        match error {
            crypto::Error::PassphraseNeeded => Self::PassphraseNeeded,
            crypto::Error::WrongPassphrase => Self::WrongPassphrase,
            crypto::Error::Limit(limit) => Self::Limit(limit),
            other => Self::Crypto(other),
        }
    }
}

impl From<asn1::Error> for Error {
    fn from(error: asn1::Error) -> Self {
        Self::from(crypto::Error::from(error))
    }
}
