//! Why a directory gave nothing.

use std::fmt;

use crate::asn1;
use crate::limits::LimitReached;

/// Why a directory gave nothing.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// What was asked for is no mail address.
    Address {
        /// What was given.
        text: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The address of a directory cannot be read.
    Url {
        /// What was given.
        text: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A search filter cannot be read.
    Filter {
        /// What was given.
        text: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The server breaks the protocol.
    Protocol(&'static str),
    /// The server's answer cannot be read.
    Malformed(asn1::Error),
    /// The server has no TLS, and without it nothing is asked.
    NoTls(String),
    /// The server says no.
    Refused {
        /// To what.
        what: &'static str,
        /// Its result code (RFC 4511 4.1.9).
        code: u64,
        /// What it says about it.
        text: String,
    },
    /// The server sends more than is taken.
    Limit(LimitReached),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address { text, why } => write!(f, "{text} is no mail address – {why}"),
            Self::Url { text, why } => write!(f, "{text} is no address of a directory – {why}"),
            Self::Filter { text, why } => write!(f, "the filter {text} cannot be read – {why}"),
            Self::Protocol(what) => write!(f, "the server breaks the protocol – {what}"),
            Self::Malformed(error) => write!(f, "the server's answer cannot be read – {error}"),
            Self::NoTls(text) if text.is_empty() => f.write_str("the server has no TLS"),
            Self::NoTls(text) => write!(f, "the server has no TLS – it says: {text}"),
            Self::Refused { what, code, text } => {
                write!(f, "the server refuses {what} – {}", result_name(*code))?;
                if text.is_empty() { Ok(()) } else { write!(f, " ({text})") }
            }
            Self::Limit(limit) => limit.fmt(f),
        }
    }
}

impl std::error::Error for Error {}

impl From<asn1::Error> for Error {
    fn from(error: asn1::Error) -> Self {
        match error {
            asn1::Error::Limit(limit) => Self::Limit(limit),
            other => Self::Malformed(other),
        }
    }
}

impl From<LimitReached> for Error {
    fn from(limit: LimitReached) -> Self {
        Self::Limit(limit)
    }
}

/// What a result code means (RFC 4511 appendix A).
fn result_name(code: u64) -> String {
    let name = match code {
        1 => "operations error",
        2 => "protocol error",
        3 => "its time is over",
        4 => "too many entries",
        7 => "the way to log in is not supported",
        8 => "a stronger way to log in is required",
        10 => "it refers to another server, and referrals are not followed",
        11 => "a limit of its administrator",
        12 => "a critical extension is not supported",
        13 => "it demands TLS",
        16 => "no such attribute",
        32 => "there is no such base",
        34 => "the base is no name of an entry",
        48 => "it wants a name to log in",
        49 => "the name or the password is wrong",
        50 => "access is not allowed",
        51 => "it is busy",
        52 => "it is unavailable",
        53 => "it is unwilling",
        _ => return format!("result code {code}"),
    };
    name.to_owned()
}
