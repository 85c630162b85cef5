//! A checked script: every command known, every argument in its place.

use std::collections::BTreeSet;

use crate::sieve::extension::Extension;
use crate::sieve::matching::Matching;
use crate::sieve::text::Text;

/// A script that was checked, ready to run on messages.
///
/// [`Script::parse`](crate::sieve::Script::parse) makes it.
#[derive(Debug, Clone)]
pub struct Script {
    pub(super) commands: Vec<Command>,
    pub(super) extensions: BTreeSet<Extension>,
}

/// A command, and its line.
#[derive(Debug, Clone)]
pub(super) struct Command {
    pub(super) line: usize,
    pub(super) what: What,
}

/// What a command does.
#[derive(Debug, Clone)]
pub(super) enum What {
    /// The first test that holds chooses the block; no test is `else`.
    If(Vec<(Option<Test>, Vec<Command>)>),
    Stop,
    Keep {
        flags: Option<Vec<Text>>,
    },
    Discard,
    FileInto {
        folder: Text,
        flags: Option<Vec<Text>>,
        copy: Implicit,
    },
    Redirect {
        address: Text,
        copy: Implicit,
    },
    Reject {
        reason: Text,
        way: Refusal,
    },
    Vacation(Box<Vacation>),
    Set {
        name: String,
        value: Text,
        modifiers: Vec<Modifier>,
    },
    Flags {
        change: FlagChange,
        variable: Option<String>,
        flags: Vec<Text>,
    },
}

/// Whether the implicit keep stays (RFC 3894).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Implicit {
    /// The message is also kept.
    Stays,
    /// The action takes the place of the implicit keep.
    Replaced,
}

/// How a message is refused (RFC 5429 2.1 and 2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// `reject`: the sender is told, in the conversation or with a message.
    Reject,
    /// `ereject`: the sender is told in the conversation wherever that can be done.
    Ereject,
}

/// Arguments of `vacation` (RFC 5230 4).
#[derive(Debug, Clone)]
pub(super) struct Vacation {
    pub(super) seconds: u64,
    pub(super) subject: Option<Text>,
    pub(super) from: Option<Text>,
    pub(super) addresses: Vec<Text>,
    pub(super) form: ReplyForm,
    pub(super) handle: Option<Text>,
    pub(super) reason: Text,
}

/// What the reason of a vacation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplyForm {
    /// Plain text.
    Text,
    /// A MIME entity with its header fields (`:mime`).
    Entity,
}

/// Modifiers of `set` (RFC 5229 4.1), in the order in which they are applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Modifier {
    Lower,
    Upper,
    LowerFirst,
    UpperFirst,
    QuoteWildcard,
    Length,
}

impl Modifier {
    /// What is applied first has the larger one (RFC 5229 4.1); no two of one precedence go together.
    pub(super) fn precedence(self) -> u8 {
        match self {
            Self::Lower | Self::Upper => 40,
            Self::LowerFirst | Self::UpperFirst => 30,
            Self::QuoteWildcard => 20,
            Self::Length => 10,
        }
    }
}

/// What is done with a variable of flags (RFC 5232 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FlagChange {
    Set,
    Add,
    Remove,
}

/// A test, and its line.
#[derive(Debug, Clone)]
pub(super) enum Test {
    True,
    False,
    Not(Box<Test>),
    AllOf(Vec<Test>),
    AnyOf(Vec<Test>),
    Exists(Vec<Text>),
    Size { than: Than, bytes: u64 },
    Header { names: Vec<Text>, index: Option<Index>, keys: Keys },
    Address { names: Vec<Text>, index: Option<Index>, part: AddressPart, keys: Keys },
    Envelope { parts: Vec<Text>, part: AddressPart, keys: Keys },
    Body { view: BodyView, keys: Keys },
    String { sources: Vec<Text>, keys: Keys },
    HasFlag { variables: Vec<String>, keys: Keys },
    Date { from: DateSource, zone: Zone, part: DatePart, keys: Keys },
}

/// What a test compares with, and how.
#[derive(Debug, Clone)]
pub(super) struct Keys {
    pub(super) matching: Matching,
    pub(super) keys: Vec<Text>,
}

/// Which of several fields of a name (RFC 5260 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Index {
    /// From 1.
    pub(super) number: usize,
    pub(super) from: End,
}

/// Where counting begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    First,
    Last,
}

/// The comparison of `size`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Than {
    Over,
    Under,
}

/// Parts of an address (RFC 5228 2.7.4, RFC 5233 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AddressPart {
    All,
    LocalPart,
    Domain,
    User,
    Detail,
}

/// What of a body a test sees (RFC 5173 5).
#[derive(Debug, Clone)]
pub(super) enum BodyView {
    Raw,
    Content(Vec<Text>),
    Text,
}

/// Where a date comes from (RFC 5260 4 and 5).
#[derive(Debug, Clone)]
pub(super) enum DateSource {
    Now,
    Field { name: Text, index: Option<Index> },
}

/// The time zone in which a date is looked at.
#[derive(Debug, Clone)]
pub(super) enum Zone {
    /// The server's, which is UTC.
    Local,
    /// The one that the field names.
    Original,
    /// Minutes east of UTC.
    Offset(i32),
}

/// Parts of a date (RFC 5260 4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DatePart {
    Year,
    Month,
    Day,
    Date,
    Julian,
    Hour,
    Minute,
    Second,
    Time,
    Iso8601,
    Std11,
    Zone,
    Weekday,
}

impl DatePart {
    /// Every one with its name.
    pub(super) const ALL: &'static [(&'static str, Self)] = &[
        ("year", Self::Year),
        ("month", Self::Month),
        ("day", Self::Day),
        ("date", Self::Date),
        ("julian", Self::Julian),
        ("hour", Self::Hour),
        ("minute", Self::Minute),
        ("second", Self::Second),
        ("time", Self::Time),
        ("iso8601", Self::Iso8601),
        ("std11", Self::Std11),
        ("zone", Self::Zone),
        ("weekday", Self::Weekday),
    ];

    /// The one of a name in lower case.
    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, part)| *part)
    }
}
