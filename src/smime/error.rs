//! Why a verb could not do its work.

use std::fmt;

use crate::limits::LimitReached;

/// Why a message could not be signed or encrypted. (What is wrong with a received message is a finding in its verdict.)
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// There is nobody to encrypt to.
    NoRecipients,
    /// The message cannot be read as MIME.
    Message(crate::mime::Error),
    /// A bound was reached.
    Limit(LimitReached),
    /// The cryptographic message cannot be made.
    Cms(crate::cms::Error),
    /// A primitive failed, or the key does not go with the algorithm.
    Crypto(crate::crypto::Error),
    /// The recipient's certificate cannot be encrypted to.
    Recipient {
        /// The certificate's subject.
        subject: String,
        /// Why not.
        reason: String,
    },
    /// The chosen algorithm does not go with the signer's key.
    Algorithm(String),
    /// The message could not be read, or the result not be written.
    Io(std::io::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRecipients => f.write_str("no recipients – the message names none and none were given"),
            Self::Message(e) => write!(f, "the message cannot be read – {e}"),
            Self::Limit(e) => e.fmt(f),
            Self::Cms(e) => write!(f, "the cryptographic message cannot be made – {e}"),
            Self::Crypto(e) => write!(f, "the cryptography failed – {e}"),
            Self::Recipient { subject, reason } => write!(f, "cannot encrypt to {subject} – {reason}"),
            Self::Algorithm(what) => f.write_str(what),
            Self::Io(e) => write!(f, "input or output failed – {e}"),
        }
    }
}

impl std::error::Error for Error {}

impl From<crate::mime::Error> for Error {
    fn from(error: crate::mime::Error) -> Self {
        Self::Message(error)
    }
}

impl From<crate::cms::Error> for Error {
    fn from(error: crate::cms::Error) -> Self {
        match error {
            crate::cms::Error::Io(error) => Self::Io(error),
            other => Self::Cms(other),
        }
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<crate::mime::stream::ReadError> for Error {
    fn from(error: crate::mime::stream::ReadError) -> Self {
        match error {
            crate::mime::stream::ReadError::Io(error) => Self::Io(error),
            crate::mime::stream::ReadError::Message(error) => Self::Message(error),
        }
    }
}

impl From<crate::crypto::Error> for Error {
    fn from(error: crate::crypto::Error) -> Self {
        Self::Crypto(error)
    }
}

impl From<LimitReached> for Error {
    fn from(error: LimitReached) -> Self {
        Self::Limit(error)
    }
}
