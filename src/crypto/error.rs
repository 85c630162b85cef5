//! Why a primitive could not do its work.

use std::fmt;

use crate::asn1;
use crate::crypto::key::Why;
use crate::limits::LimitReached;

/// Why a primitive could not do its work.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The signature does not fit the message and the key.
    SignatureInvalid,
    /// The tag does not fit: the ciphertext or the key is another.
    TagMismatch,
    /// The padding does not fit: the ciphertext or the key is another.
    Padding,
    /// The key cannot be unwrapped: it or the wrapping key is another.
    Unwrap,
    /// The cipher had to know the authenticated data, or the length, before the ciphertext; says nothing about either.
    Foreknowledge,
    /// The private key is locked and no passphrase was given.
    PassphraseNeeded,
    /// The passphrase does not open it.
    WrongPassphrase,
    /// This version does not do it.
    Unsupported {
        /// What kind of thing.
        what: &'static str,
        /// Which one.
        name: String,
    },
    /// A key of another kind is needed.
    KeyMismatch {
        /// In words.
        what: &'static str,
    },
    /// A key or parameter that cannot be read.
    Malformed {
        /// In words.
        what: &'static str,
    },
    /// A key that lies elsewhere could not be used.
    Unavailable {
        /// Why.
        why: Why,
        /// In words.
        text: String,
    },
    /// An encoding that cannot be read.
    Asn1(asn1::Error),
    /// A bound was reached.
    Limit(LimitReached),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SignatureInvalid => f.write_str("the signature does not fit the message and the key"),
            Self::TagMismatch | Self::Padding | Self::Unwrap => {
                f.write_str("decryption failed – the ciphertext or the key is another")
            }
            Self::Foreknowledge => f.write_str("the cipher needs what comes after the ciphertext – it must be read twice"),
            Self::PassphraseNeeded => f.write_str("the private key is locked – a passphrase is needed"),
            Self::WrongPassphrase => f.write_str("the passphrase is wrong"),
            Self::Unsupported { what, name } => write!(f, "unsupported {what} – {name}"),
            Self::KeyMismatch { what } | Self::Malformed { what } => f.write_str(what),
            Self::Unavailable { text, .. } => f.write_str(text),
            Self::Asn1(error) => error.fmt(f),
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

impl From<LimitReached> for Error {
    fn from(limit: LimitReached) -> Self {
        Self::Limit(limit)
    }
}
