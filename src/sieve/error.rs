//! What is wrong with a script, and what ended a run of one.

use std::fmt;

use crate::limits::LimitReached;

/// A mistake in a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong, and what to do.
    pub text: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.text)
    }
}

/// Why a run ended before its end; the message is kept, whatever the script did before (RFC 5228 2.10.6).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Failure {
    /// A bound was reached.
    Limit(LimitReached),
    /// The message cannot be read within the bounds of messages.
    Message(String),
    /// Two actions that do not go together (RFC 5429 2.2, RFC 5230 4.7).
    Conflict {
        /// The line of the later one.
        line: usize,
        /// Which ones.
        text: String,
    },
    /// A value that came from variables and is not what its place takes.
    Value {
        /// The line.
        line: usize,
        /// What is wrong.
        text: String,
    },
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Limit(limit) => limit.fmt(f),
            Self::Message(text) => write!(f, "the message cannot be read: {text}"),
            Self::Conflict { line, text } | Self::Value { line, text } => write!(f, "line {line}: {text}"),
        }
    }
}

impl std::error::Error for Failure {}

impl From<LimitReached> for Failure {
    fn from(limit: LimitReached) -> Self {
        Self::Limit(limit)
    }
}
