//! Messages as byte ranges over the original (RFC 5322, 2045-2047, 2231); knows no cryptography.
//!
//! Uses: limits, time. Never: cms, keys, sockets.
//! Holds always: an entity is a range of the bytes as received; one function finds boundaries, line-anchored and as whole lines;
//! nothing here repairs what may have been signed.

pub mod address;
pub mod ascii;
mod boundary;
pub mod canonical;
pub mod compose;
mod content_type;
pub(crate) mod entity;
pub mod header;
pub mod qualified;
pub(crate) mod stream;
pub mod submission;
mod text;
pub mod transfer;
pub mod view;

use std::fmt;

use crate::limits::LimitReached;

pub use content_type::ContentType;
pub use entity::{Defect, Entity, parse};
pub use header::Field;
pub(crate) use text::{decode_exactly, encode_exactly};
pub use transfer::TransferEncoding;

/// Why a message could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// A bound was reached.
    Limit(LimitReached),
    /// A body whose transfer encoding does not fit.
    Encoding(&'static str),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Limit(limit) => limit.fmt(f),
            Self::Encoding(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for Error {}

impl From<LimitReached> for Error {
    fn from(limit: LimitReached) -> Self {
        Self::Limit(limit)
    }
}
