//! Filters that users write for their mail: the language Sieve (RFC 5228), from its text to the actions for one message.
//!
//! Uses: mime, limits, time. Never: sockets, files, clocks, the store; what was answered before is asked of a [`Memory`].
//! Holds always: a script that is not understood whole is not run; a run that fails keeps the message; the work of one run has a bound
//! whatever the script and the message; no pattern takes longer than the product of the lengths.
//!
//! Extensions: fileinto, envelope, encoded-character (RFC 5228), copy (3894), body (5173), variables (5229), vacation (5230) with seconds
//! (6131), relational (5231), imap4flags (5232), subaddress (5233), date and index (5260), reject and ereject (5429), and the
//! comparator i;ascii-numeric (4790). `include` is not among them: each user has one script.
//!
//! ```
//! use sealpost::{limits::Limits, sieve::{Action, Envelope, NoMemory, Script}, time::Timestamp};
//!
//! let text = b"require \"fileinto\";\nif header :contains \"List-Id\" \"gardening\" { fileinto \"Lists/Gardening\"; }\n";
//! let script = Script::parse(text, &Limits::default()).expect("no mistakes");
//!
//! let letter = b"From: jane@a.example\r\nList-Id: <gardening.a.example>\r\n\r\nRoses.\r\n";
//! let envelope = Envelope::new("jane@a.example", "bob@b.example");
//! let outcome = script.run(letter, &envelope, Timestamp::from_unix(0), &NoMemory, &Limits::default());
//! assert_eq!(outcome.actions, [Action::FileInto { folder: "Lists/Gardening".to_owned(), flags: Vec::new() }]);
//! ```

mod check;
mod date;
mod error;
mod extension;
mod flags;
mod lexer;
mod matching;
mod message;
mod place;
mod program;
pub mod ready;
mod reply;
mod run;
mod text;
mod tree;

use crate::limits::Limits;
use crate::sieve::extension::Extension;

pub use error::{Failure, Mistake};
pub use program::{Refusal, ReplyForm, Script};
pub use reply::{Memory, NoMemory, Reply};
pub use run::{Action, Envelope, Outcome};

impl Script {
    /// Reads and checks a script (RFC 5228 8, 2.10); the error holds every mistake with its line and what to do.
    pub fn parse(script: &[u8], limits: &Limits) -> Result<Self, Vec<Mistake>> {
        let whole = |text: String| vec![Mistake { line: 1, text }];
        if script.len() > limits.sieve_script_bytes {
            return Err(whole(format!("the script has more than {} bytes – make it shorter", limits.sieve_script_bytes)));
        }
        let text = std::str::from_utf8(script).map_err(|error| {
            let before = script.get(..error.valid_up_to()).unwrap_or_default();
            let line = memchr::memchr_iter(b'\n', before).count().saturating_add(1);
            vec![Mistake { line, text: "the script is not UTF-8 here – save it as UTF-8".to_owned() }]
        })?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let tokens = lexer::tokens(text).map_err(|mistake| vec![mistake])?;
        let tree = tree::parse(tokens, limits).map_err(|mistake| vec![mistake])?;
        let (commands, extensions) = check::check(&tree)?;
        Ok(Self { commands, extensions })
    }

    /// The extensions that the script requires.
    pub fn requires(&self) -> impl Iterator<Item = &'static str> {
        self.extensions.iter().map(|extension| extension.name())
    }
}

/// Every extension that scripts may require, and where it is written down.
pub fn extensions() -> impl Iterator<Item = (&'static str, &'static str)> {
    Extension::ALL.iter().map(|(_, name, standard)| (*name, *standard))
}
