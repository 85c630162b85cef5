//! Rules that are ready to be used: scripts with a name and a sentence that says what each does.
//!
//! ```
//! use sealpost::{limits::Limits, sieve::{ready, Script}};
//! for rule in ready::RULES {
//!     assert!(Script::parse(rule.script.as_bytes(), &Limits::default()).is_ok(), "{}", rule.name);
//! }
//! ```

/// A script to be used as it is, or as a beginning.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// Its name.
    pub name: &'static str,
    /// What it does.
    pub does: &'static str,
    /// The script.
    pub script: &'static str,
}

/// All of them.
pub const RULES: &[Rule] = &[
    Rule { name: "spam", does: "puts what a scanner calls spam into the folder Junk", script: include_str!("ready/spam.sieve") },
    Rule {
        name: "lists",
        does: "puts each mailing list into a folder of its name below Lists",
        script: include_str!("ready/lists.sieve"),
    },
    Rule { name: "plus", does: "puts mail to name+folder@ into that folder", script: include_str!("ready/plus.sieve") },
    Rule {
        name: "machines",
        does: "puts what programs send into the folder Notices, read already",
        script: include_str!("ready/machines.sieve"),
    },
    Rule {
        name: "large",
        does: "puts messages of more than 10 MiB into the folder Large",
        script: include_str!("ready/large.sieve"),
    },
    Rule {
        name: "away",
        does: "answers that you are away, once a week to each sender",
        script: include_str!("ready/away.sieve"),
    },
];

/// The rule of a name.
pub fn named(name: &str) -> Option<&'static Rule> {
    RULES.iter().find(|rule| rule.name == name)
}
