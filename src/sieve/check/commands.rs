//! The commands of a script, checked.

use crate::sieve::Mistake;
use crate::sieve::check::arguments::Arguments;
use crate::sieve::check::{Checker, mistake, nearest};
use crate::sieve::extension::Extension;
use crate::sieve::place;
use crate::sieve::program::{Command, FlagChange, Implicit, Modifier, Refusal, ReplyForm, Test, Vacation, What};
use crate::sieve::text::{self, Text};
use crate::sieve::tree::{Node, Tests};

/// Every command, for hints.
const COMMANDS: &[&str] = &[
    "if",
    "elsif",
    "else",
    "stop",
    "keep",
    "discard",
    "fileinto",
    "redirect",
    "reject",
    "ereject",
    "vacation",
    "set",
    "setflag",
    "addflag",
    "removeflag",
    "require",
];

/// Days between two replies to one sender where the script says nothing (RFC 5230 4.1).
const DAYS: u64 = 7;
const DAY: u64 = 86_400;

/// The least and the most seconds between two replies to one sender. 10 minutes: programs that answer one another make six messages an
/// hour; 10 years: longer than anybody is away.
const PERIOD: std::ops::RangeInclusive<u64> = 600..=3_650 * DAY;

impl Checker {
    pub(super) fn command(&mut self, node: &Node) -> Result<What, Mistake> {
        let name = node.name.as_str();
        if name == "if" {
            return self.branch(node).map(|branch| What::If(vec![branch]));
        }
        if !COMMANDS.contains(&name) {
            let hint = match nearest(name, COMMANDS.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("it may be one of {}", COMMANDS.join(", ")),
            };
            return Err(mistake(node.line, format!("there is no command `{name}` – {hint}")));
        }
        let needed = match name {
            "require" => return Err(mistake(node.line, "`require` comes before every other command – move it to the beginning")),
            "fileinto" => Some(Extension::FileInto),
            "reject" => Some(Extension::Reject),
            "ereject" => Some(Extension::Ereject),
            "vacation" => Some(Extension::Vacation),
            "set" => Some(Extension::Variables),
            "setflag" | "addflag" | "removeflag" => Some(Extension::Imap4Flags),
            _ => None,
        };
        if let Some(extension) = needed {
            self.needs(extension, node.line, &format!("`{name}`"))?;
        }
        if !matches!(node.tests, Tests::None) {
            return Err(mistake(node.line, format!("`{name}` takes no test – put it into the block of an `if`")));
        }
        if node.block.is_some() {
            return Err(mistake(node.line, format!("`{name}` takes no block – it ends with `;`")));
        }
        let mut arguments = Arguments::of(node);
        let what = match name {
            "keep" => self.keep(&mut arguments)?,
            "fileinto" => self.fileinto(&mut arguments)?,
            "redirect" => self.redirect(&mut arguments)?,
            "reject" | "ereject" => {
                let way = if name == "reject" { Refusal::Reject } else { Refusal::Ereject };
                if let Some((line, tag)) = arguments.tag() {
                    return arguments.unknown(line, tag, "");
                }
                What::Reject { reason: arguments.text(self, "the reason")?, way }
            }
            "vacation" => self.vacation(&mut arguments)?,
            "set" => self.set(&mut arguments)?,
            "setflag" => self.flags(&mut arguments, FlagChange::Set)?,
            "addflag" => self.flags(&mut arguments, FlagChange::Add)?,
            "removeflag" => self.flags(&mut arguments, FlagChange::Remove)?,
            "discard" => What::Discard,
            _ => What::Stop,
        };
        arguments.end()?;
        Ok(what)
    }

    /// `if`, `elsif` or `else`: a test and a block.
    pub(super) fn branch(&mut self, node: &Node) -> Result<(Option<Test>, Vec<Command>), Mistake> {
        // what is wrong in the block is told, too
        let block = node.block.as_ref().map(|block| self.block(block));
        Arguments::of(node).end()?;
        let test = match (&node.tests, node.name.as_str()) {
            (Tests::None, "else") => None,
            (Tests::One(test), "if" | "elsif") => Some(self.test(test)?),
            (_, "else") => return Err(mistake(node.line, "`else` takes no test – `elsif` does")),
            (Tests::None, name) => return Err(mistake(node.line, format!("`{name}` takes a test"))),
            (_, name) => {
                let text = format!("`{name}` takes one test – write allof(…) or anyof(…) around several");
                return Err(mistake(node.line, text));
            }
        };
        match block {
            Some(block) => Ok((test, block)),
            None => Err(mistake(node.line, format!("`{}` takes a block in braces, not `;`", node.name))),
        }
    }

    fn flag_list(&self, arguments: &mut Arguments<'_>, line: usize) -> Result<Vec<Text>, Mistake> {
        self.needs(Extension::Imap4Flags, line, "`:flags`")?;
        arguments.texts(self, "a list of flags")
    }

    fn keep(&self, arguments: &mut Arguments<'_>) -> Result<What, Mistake> {
        let mut flags = None;
        while let Some((line, tag)) = arguments.tag() {
            match tag {
                "flags" if flags.is_none() => flags = Some(self.flag_list(arguments, line)?),
                _ => return arguments.unknown(line, tag, ":flags"),
            }
        }
        Ok(What::Keep { flags })
    }

    fn fileinto(&self, arguments: &mut Arguments<'_>) -> Result<What, Mistake> {
        let (mut flags, mut copy) = (None, Implicit::Replaced);
        while let Some((line, tag)) = arguments.tag() {
            match tag {
                "flags" if flags.is_none() => flags = Some(self.flag_list(arguments, line)?),
                "copy" if copy == Implicit::Replaced => {
                    self.needs(Extension::Copy, line, "`:copy`")?;
                    copy = Implicit::Stays;
                }
                _ => return arguments.unknown(line, tag, ":flags, :copy"),
            }
        }
        let folder = arguments.text(self, "the name of a folder")?;
        if let Some(name) = folder.as_literal() {
            place::folder(name).map_err(|text| mistake(arguments.line, text))?;
        }
        Ok(What::FileInto { folder, flags, copy })
    }

    fn redirect(&self, arguments: &mut Arguments<'_>) -> Result<What, Mistake> {
        let mut copy = Implicit::Replaced;
        while let Some((line, tag)) = arguments.tag() {
            match tag {
                "copy" if copy == Implicit::Replaced => {
                    self.needs(Extension::Copy, line, "`:copy`")?;
                    copy = Implicit::Stays;
                }
                _ => return arguments.unknown(line, tag, ":copy"),
            }
        }
        let address = arguments.text(self, "an address")?;
        if let Some(written) = address.as_literal() {
            place::address(written).map_err(|text| mistake(arguments.line, text))?;
        }
        Ok(What::Redirect { address, copy })
    }

    fn vacation(&self, arguments: &mut Arguments<'_>) -> Result<What, Mistake> {
        let known = ":days, :seconds, :subject, :from, :addresses, :mime, :handle";
        let (mut seconds, mut subject, mut from, mut addresses, mut handle) = (None, None, None, None, None);
        let mut form = ReplyForm::Text;
        while let Some((line, tag)) = arguments.tag() {
            match tag {
                "days" if seconds.is_none() => seconds = Some(arguments.number("a number of days")?.saturating_mul(DAY).max(DAY)),
                "seconds" if seconds.is_none() => {
                    self.needs(Extension::VacationSeconds, line, "`:seconds`")?;
                    seconds = Some(arguments.number("a number of seconds")?);
                }
                "subject" if subject.is_none() => subject = Some(arguments.text(self, "a subject")?),
                "from" if from.is_none() => {
                    let text = arguments.text(self, "an address")?;
                    if let Some(written) = text.as_literal() {
                        place::author(written).map_err(|text| mistake(line, text))?;
                    }
                    from = Some(text);
                }
                "addresses" if addresses.is_none() => addresses = Some(arguments.texts(self, "a list of addresses")?),
                "mime" if form == ReplyForm::Text => form = ReplyForm::Entity,
                "handle" if handle.is_none() => handle = Some(arguments.text(self, "a handle")?),
                _ => return arguments.unknown(line, tag, known),
            }
        }
        let reason = arguments.text(self, "what to answer")?;
        let seconds = seconds.unwrap_or(DAYS.saturating_mul(DAY)).clamp(*PERIOD.start(), *PERIOD.end());
        let addresses = addresses.unwrap_or_default();
        Ok(What::Vacation(Box::new(Vacation { seconds, subject, from, addresses, form, handle, reason })))
    }

    fn set(&self, arguments: &mut Arguments<'_>) -> Result<What, Mistake> {
        let known = ":lower, :upper, :lowerfirst, :upperfirst, :quotewildcard, :length";
        let mut modifiers: Vec<Modifier> = Vec::new();
        while let Some((line, tag)) = arguments.tag() {
            let modifier = match tag {
                "lower" => Modifier::Lower,
                "upper" => Modifier::Upper,
                "lowerfirst" => Modifier::LowerFirst,
                "upperfirst" => Modifier::UpperFirst,
                "quotewildcard" => Modifier::QuoteWildcard,
                "length" => Modifier::Length,
                _ => return arguments.unknown(line, tag, known),
            };
            if modifiers.iter().any(|other| other.precedence() == modifier.precedence()) {
                return Err(mistake(line, format!("`:{tag}` does not go with the modifiers before it (RFC 5229 4.1)")));
            }
            modifiers.push(modifier);
        }
        modifiers.sort_by_key(|modifier| std::cmp::Reverse(modifier.precedence()));
        let name = self.variable(arguments)?;
        let value = arguments.text(self, "a value")?;
        Ok(What::Set { name, value, modifiers })
    }

    /// The name of a variable that is written.
    fn variable(&self, arguments: &mut Arguments<'_>) -> Result<String, Mistake> {
        let (line, name) = arguments.written("the name of a variable")?;
        self.needs(Extension::Variables, line, "a variable")?;
        if !text::is_identifier(name) {
            return Err(mistake(line, format!("\"{name}\" is no name of a variable – letters, digits and `_`, no digit first")));
        }
        Ok(name.to_ascii_lowercase())
    }

    fn flags(&self, arguments: &mut Arguments<'_>, change: FlagChange) -> Result<What, Mistake> {
        if let Some((line, tag)) = arguments.tag() {
            return arguments.unknown(line, tag, "");
        }
        let variable = if arguments.left() > 1 { Some(self.variable(arguments)?) } else { None };
        Ok(What::Flags { change, variable, flags: arguments.texts(self, "a list of flags")? })
    }
}
