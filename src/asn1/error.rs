//! What is wrong with an encoding.

use std::fmt;
use std::io;

use crate::asn1::Tag;
use crate::limits::LimitReached;

/// Why a value could not be read.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The input ends inside a value.
    Truncated {
        /// Where, in bytes from the start of what was read.
        offset: u64,
    },
    /// Another value stands where `expected` should.
    Unexpected {
        /// Where.
        offset: u64,
        /// What should stand there.
        expected: &'static str,
        /// What does.
        found: Option<Tag>,
    },
    /// The bytes break a rule of the encoding.
    Malformed {
        /// Where.
        offset: u64,
        /// Which rule.
        what: &'static str,
    },
    /// More bytes follow where the value should end.
    Trailing {
        /// Where.
        offset: u64,
    },
    /// A bound was reached.
    Limit(LimitReached),
    /// The source cannot be read.
    Io(io::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated { offset } => write!(f, "the ASN.1 value ends too early – at byte {offset}"),
            Self::Unexpected { offset, expected, found: Some(tag) } => {
                write!(f, "expected {expected}, found {tag} – at byte {offset}")
            }
            Self::Unexpected { offset, expected, found: None } => {
                write!(f, "expected {expected}, found the end – at byte {offset}")
            }
            Self::Malformed { offset, what } => write!(f, "malformed ASN.1: {what} – at byte {offset}"),
            Self::Trailing { offset } => write!(f, "bytes follow the ASN.1 value – at byte {offset}"),
            Self::Limit(limit) => limit.fmt(f),
            Self::Io(error) => write!(f, "cannot read – {error}"),
        }
    }
}

impl std::error::Error for Error {}

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
