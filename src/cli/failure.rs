//! How a command ends when it cannot go on: an exit code, a sentence, a hint.

use std::fmt;

use serde_json::{Value, json};

use crate::cli::report;

/// The exit codes of the program. Fixed: scripts depend on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// All good.
    Good = 0,
    /// A signature, digest, tag or padding does not fit.
    Bad = 1,
    /// The command line makes no sense.
    Usage = 2,
    /// The chain does not reach a trust anchor, or the certificate is not for mail.
    Untrusted = 3,
    /// The signer is not the sender.
    FromMismatch = 4,
    /// A certificate is expired, not yet valid, or revoked.
    Expired = 5,
    /// No key here decrypts it.
    NoKey = 6,
    /// Nothing is signed or encrypted.
    NothingToDo = 7,
    /// Refused by policy: weak, malformed, a limit.
    Refused = 8,
    /// Input, output or network.
    Io = 9,
}

impl Exit {
    /// The number that the shell sees.
    pub(crate) const fn code(self) -> u8 {
        self as u8
    }
}

/// Why a command did not do its work.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The exit code.
    pub(crate) exit: Exit,
    /// What, where, why.
    pub(crate) message: String,
    /// What to do now.
    pub(crate) hint: Option<String>,
}

impl Failure {
    /// A failure with this exit code.
    pub(crate) fn new(exit: Exit, message: impl fmt::Display) -> Self {
        Self { exit, message: message.to_string(), hint: None }
    }

    /// The command line makes no sense.
    pub(crate) fn usage(message: impl fmt::Display) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// Input, output or network.
    pub(crate) fn io(message: impl fmt::Display) -> Self {
        Self::new(Exit::Io, message)
    }

    /// Refused by policy, or malformed.
    pub(crate) fn refused(message: impl fmt::Display) -> Self {
        Self::new(Exit::Refused, message)
    }

    /// Adds what to do now.
    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl Failure {
    /// The JSON object of a command that ended so.
    pub(crate) fn to_json(&self, verb: &str) -> Value {
        json!({
            "schema": format!("sealpost.{verb}/1"),
            "result": "bad",
            "exit": self.exit.code(),
            "error": self.message,
            "hint": self.hint,
        })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // names of files and words of messages are the choice of others
        write!(f, "error: {}", report::safe_lines(&self.message))?;
        match &self.hint {
            Some(hint) => write!(f, "\nhint: {}", report::safe_lines(hint)),
            None => Ok(()),
        }
    }
}

/// Says which file an input or output error is about.
pub(crate) fn on_file<'a>(verb: &'a str, path: &'a std::path::Path) -> impl FnOnce(std::io::Error) -> Failure + 'a {
    move |error| Failure::io(format!("cannot {verb} {} – {}", path.display(), reason(&error)))
}

/// The reason of an input or output error in plain words.
pub(crate) fn reason(error: &std::io::Error) -> String {
    use std::io::ErrorKind;
    match error.kind() {
        ErrorKind::NotFound => "it does not exist".to_owned(),
        ErrorKind::PermissionDenied => "permission denied".to_owned(),
        ErrorKind::StorageFull => "the disk is full".to_owned(),
        ErrorKind::IsADirectory => "it is a folder".to_owned(),
        _ => error.to_string(),
    }
}
