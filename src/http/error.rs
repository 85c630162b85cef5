//! Why something could not be had over HTTP.

use std::fmt;

/// Why a URL or an answer is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// It is of a scheme that is not asked; `ldap`, for example.
    Scheme(String),
    /// It is no URL that every program reads the same.
    Url(&'static str),
    /// What came is no HTTP.
    Malformed(&'static str),
    /// The answer is compressed, or coded in another way that was not asked for.
    Coded(String),
    /// It is larger than the bound.
    TooLarge(usize),
    /// The connection ended before the answer did.
    Cut,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scheme(name) => write!(f, "{name}: URLs are not asked, only http: ones are"),
            Self::Url(what) => write!(f, "it is no clear URL: {what}"),
            Self::Malformed(what) => write!(f, "the answer is no HTTP: {what}"),
            Self::Coded(how) => write!(f, "the answer is coded with {how}, which was not asked for"),
            Self::TooLarge(bound) => write!(f, "the answer is over the bound of {bound} bytes"),
            Self::Cut => f.write_str("the connection ended before the answer did"),
        }
    }
}

impl std::error::Error for Error {}
