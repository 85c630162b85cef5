//! A script run on one message.

mod commands;
mod tests;

use std::collections::BTreeMap;

use crate::limits::{Budget, LimitReached, Limits};
use crate::sieve::message::Message;
use crate::sieve::program::{Refusal, Script};
use crate::sieve::reply::{Memory, Reply};
use crate::sieve::text::{Piece, Text};
use crate::sieve::{Failure, flags};
use crate::time::Timestamp;

/// Who sent the message and to whom it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// The sender; empty for bounces.
    pub from: String,
    /// The recipient, as the peer named it.
    pub to: String,
    /// Other addresses of the user, for replies.
    pub own: Vec<String>,
}

impl Envelope {
    /// A message from one address (none for bounces) to another.
    pub fn new(from: &str, to: &str) -> Self {
        Self { from: from.to_owned(), to: to.to_owned(), own: Vec::new() }
    }

    /// Other addresses of the user: messages to them are for the user, too.
    pub fn own(mut self, addresses: impl IntoIterator<Item = String>) -> Self {
        self.own.extend(addresses);
        self
    }
}

/// What is to be done with the message.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// It goes to the inbox.
    Keep {
        /// Its marks.
        flags: Vec<String>,
    },
    /// It goes to a folder, which is made where there is none.
    FileInto {
        /// The name, parts joined by `/`; no part is empty, `.` or `..`.
        folder: String,
        /// Its marks.
        flags: Vec<String>,
    },
    /// It is sent on, with its own sender.
    Redirect {
        /// To whom.
        address: String,
    },
    /// It is refused.
    Reject {
        /// Why, for the sender.
        reason: String,
        /// How.
        way: Refusal,
    },
    /// The sender gets a reply.
    Vacation(Reply),
}

/// What a run gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// What is to be done, in order; nothing is to be done with a message that is discarded.
    pub actions: Vec<Action>,
    /// Why the run ended early; the only action is then to keep the message.
    pub failure: Option<Failure>,
}

impl Script {
    /// Runs the script on a message (RFC 5228 2.10). Never fails: where the script does, the message is kept, and the outcome says why.
    pub fn run(&self, message: &[u8], envelope: &Envelope, now: Timestamp, memory: &dyn Memory, limits: &Limits) -> Outcome {
        match self.try_run(message, envelope, now, memory, limits) {
            Ok(actions) => Outcome { actions, failure: None },
            Err(failure) => Outcome { actions: vec![Action::Keep { flags: Vec::new() }], failure: Some(failure) },
        }
    }

    fn try_run(
        &self,
        bytes: &[u8],
        envelope: &Envelope,
        now: Timestamp,
        memory: &dyn Memory,
        limits: &Limits,
    ) -> Result<Vec<Action>, Failure> {
        let message = Message::read(bytes, limits).map_err(|error| Failure::Message(error.to_string()))?;
        let steps = Budget::new("sieve steps", limits.sieve_steps);
        let mut run = Run {
            message: &message,
            envelope,
            now,
            memory,
            limits,
            steps,
            variables: BTreeMap::new(),
            captures: Vec::new(),
            flags: Vec::new(),
            actions: Vec::new(),
            implicit: Keep::Implicit,
            has_answered: false,
            bodies: BTreeMap::new(),
        };
        run.block(&self.commands)?;
        if run.implicit == Keep::Implicit {
            let flags = run.flags.clone();
            run.store(Action::Keep { flags })?;
        }
        Ok(run.actions)
    }
}

/// Whether the message is kept where no action says otherwise (RFC 5228 2.10.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keep {
    Implicit,
    Cancelled,
}

/// Whether the next command runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flow {
    On,
    Stop,
}

struct Run<'r> {
    message: &'r Message<'r>,
    envelope: &'r Envelope,
    now: Timestamp,
    memory: &'r dyn Memory,
    limits: &'r Limits,
    steps: Budget,
    variables: BTreeMap<String, String>,
    /// What the wildcards of the last match stood for; the whole first.
    captures: Vec<String>,
    /// The flags of actions that name none (RFC 5232 2).
    flags: Vec<String>,
    actions: Vec<Action>,
    implicit: Keep,
    has_answered: bool,
    /// What `body` tests looked at, decoded once.
    bodies: BTreeMap<String, Vec<String>>,
}

impl Run<'_> {
    /// Puts a string together.
    fn text(&mut self, text: &Text) -> Result<String, Failure> {
        let mut whole = String::new();
        for piece in &text.0 {
            let more = match piece {
                Piece::Literal(literal) => literal,
                Piece::Variable(name) => self.variables.get(name).map_or("", String::as_str),
                Piece::Capture(number) => self.captures.get(*number).map_or("", String::as_str),
            };
            self.steps.spend(more.len())?;
            whole.push_str(more);
            // what goes out to others is no longer than what a person could have written
            if whole.len() > self.limits.sieve_script_bytes {
                let limit = u64::try_from(self.limits.sieve_script_bytes).unwrap_or(u64::MAX);
                return Err(LimitReached { name: "sieve string bytes", limit }.into());
            }
        }
        Ok(whole)
    }

    fn texts(&mut self, texts: &[Text]) -> Result<Vec<String>, Failure> {
        texts.iter().map(|text| self.text(text)).collect()
    }

    /// The flags of a list of strings.
    fn flag_list(&mut self, texts: &[Text]) -> Result<Vec<String>, Failure> {
        let mut list = Vec::new();
        for text in texts {
            let text = self.text(text)?;
            flags::add(&mut list, &text, self.limits.sieve_flags);
        }
        Ok(list)
    }

    /// A value for a variable: cut to the bound, at a character.
    fn cut(&self, mut value: String) -> String {
        value.truncate(value.floor_char_boundary(self.limits.sieve_variable_bytes));
        value
    }
}
