//! The arguments of one command or test: tags first, then what has its place (RFC 5228 2.6).

use std::iter::Peekable;
use std::slice::Iter;

use crate::sieve::Mistake;
use crate::sieve::check::{Checker, mistake};
use crate::sieve::extension::Extension;
use crate::sieve::matching::{Comparator, MatchType, Matching, Relation};
use crate::sieve::program::{AddressPart, End, Index};
use crate::sieve::text::Text;
use crate::sieve::tree::{Argument, Node, Value};

/// What is left of the arguments.
pub(super) struct Arguments<'n> {
    pub(super) name: &'n str,
    pub(super) line: usize,
    rest: Peekable<Iter<'n, Argument>>,
}

impl<'n> Arguments<'n> {
    pub(super) fn of(node: &'n Node) -> Self {
        Self { name: &node.name, line: node.line, rest: node.arguments.iter().peekable() }
    }

    /// The next tag; none where something else is next.
    pub(super) fn tag(&mut self) -> Option<(usize, &'n str)> {
        let argument = self.rest.next_if(|argument| matches!(argument.value, Value::Tag(_)))?;
        match &argument.value {
            Value::Tag(tag) => Some((argument.line, tag)),
            _ => None,
        }
    }

    /// How many arguments are left.
    pub(super) fn left(&self) -> usize {
        self.rest.len()
    }

    fn next(&mut self, what: &str) -> Result<&'n Argument, Mistake> {
        let (line, name) = (self.line, self.name);
        self.rest.next().ok_or_else(|| mistake(line, format!("`{name}` lacks {what}")))
    }

    fn wrong<T>(&self, argument: &Argument, what: &str) -> Result<T, Mistake> {
        let got = match &argument.value {
            Value::Tag(tag) => format!("`:{tag}`"),
            Value::Number(number) => format!("the number {number}"),
            Value::Text(_) => "a string".to_owned(),
            Value::List(_) => "a list of strings".to_owned(),
        };
        let hint = if matches!(argument.value, Value::Tag(_)) { " – tags come before all else" } else { "" };
        Err(mistake(argument.line, format!("`{}` takes {what} here, and {got} stands there{hint}", self.name)))
    }

    pub(super) fn written(&mut self, what: &str) -> Result<(usize, &'n str), Mistake> {
        let argument = self.next(what)?;
        match &argument.value {
            Value::Text(text) => Ok((argument.line, text)),
            _ => self.wrong(argument, what),
        }
    }

    pub(super) fn text(&mut self, checker: &Checker, what: &str) -> Result<Text, Mistake> {
        let (line, text) = self.written(what)?;
        checker.string(line, text)
    }

    pub(super) fn texts(&mut self, checker: &Checker, what: &str) -> Result<Vec<Text>, Mistake> {
        let argument = self.next(what)?;
        match &argument.value {
            Value::Text(text) => Ok(vec![checker.string(argument.line, text)?]),
            Value::List(list) => list.iter().map(|text| checker.string(argument.line, text)).collect(),
            _ => self.wrong(argument, what),
        }
    }

    pub(super) fn number(&mut self, what: &str) -> Result<u64, Mistake> {
        let argument = self.next(what)?;
        match argument.value {
            Value::Number(number) => Ok(number),
            _ => self.wrong(argument, what),
        }
    }

    /// A tag that nobody knows.
    pub(super) fn unknown<T>(&self, line: usize, tag: &str, known: &str) -> Result<T, Mistake> {
        let hint = if known.is_empty() { "it takes no tags".to_owned() } else { format!("it takes {known}") };
        Err(mistake(line, format!("`{}` does not know `:{tag}`, or not a second time – {hint}", self.name)))
    }

    /// Nothing may be left.
    pub(super) fn end(&mut self) -> Result<(), Mistake> {
        match self.rest.next() {
            None => Ok(()),
            Some(argument) => self.wrong(argument, "nothing more"),
        }
    }
}

/// The tags of tests that compare.
#[derive(Default)]
pub(super) struct MatchTags {
    kind: Option<MatchType>,
    comparator: Option<Comparator>,
    pub(super) part: Option<AddressPart>,
    index: Option<usize>,
    last: Option<()>,
}

impl MatchTags {
    /// Takes a match type or a comparator.
    pub(super) fn take(
        &mut self,
        checker: &Checker,
        arguments: &mut Arguments<'_>,
        line: usize,
        tag: &str,
    ) -> Result<bool, Mistake> {
        let kind = match tag {
            "is" => MatchType::Is,
            "contains" => MatchType::Contains,
            "matches" => MatchType::Matches,
            "count" | "value" => {
                checker.needs(Extension::Relational, line, &format!("`:{tag}`"))?;
                let (line, name) = arguments.written("a relation")?;
                let Some(relation) = Relation::named(&name.to_ascii_lowercase()) else {
                    return Err(mistake(
                        line,
                        format!("\"{name}\" is no relation – one of \"gt\", \"ge\", \"lt\", \"le\", \"eq\", \"ne\""),
                    ));
                };
                if tag == "count" { MatchType::Count(relation) } else { MatchType::Value(relation) }
            }
            "comparator" if self.comparator.is_none() => {
                let (line, name) = arguments.written("the name of a comparator")?;
                self.comparator = Some(match name {
                    "i;octet" => Comparator::Octet,
                    "i;ascii-casemap" => Comparator::Casemap,
                    "i;ascii-numeric" => {
                        checker.needs(Extension::Numeric, line, "the comparator \"i;ascii-numeric\"")?;
                        Comparator::Numeric
                    }
                    _ => {
                        let known = "\"i;octet\", \"i;ascii-casemap\", \"i;ascii-numeric\"";
                        return Err(mistake(line, format!("there is no comparator \"{name}\" here – one of {known}")));
                    }
                });
                return Ok(true);
            }
            _ => return Ok(false),
        };
        if self.kind.is_some() {
            return Err(mistake(line, format!("`{}` takes one match type, and `:{tag}` is a second one", arguments.name)));
        }
        self.kind = Some(kind);
        Ok(true)
    }

    /// Takes a part of addresses.
    pub(super) fn take_part(&mut self, checker: &Checker, line: usize, tag: &str) -> Result<bool, Mistake> {
        let part = match tag {
            "all" => AddressPart::All,
            "localpart" => AddressPart::LocalPart,
            "domain" => AddressPart::Domain,
            "user" => AddressPart::User,
            "detail" => AddressPart::Detail,
            _ => return Ok(false),
        };
        if matches!(part, AddressPart::User | AddressPart::Detail) {
            checker.needs(Extension::Subaddress, line, &format!("`:{tag}`"))?;
        }
        if self.part.is_some() {
            return Err(mistake(line, format!("one part of an address is compared, and `:{tag}` is a second one")));
        }
        self.part = Some(part);
        Ok(true)
    }

    /// Takes `:index` and `:last`.
    pub(super) fn take_index(
        &mut self,
        checker: &Checker,
        arguments: &mut Arguments<'_>,
        line: usize,
        tag: &str,
    ) -> Result<bool, Mistake> {
        match tag {
            "index" if self.index.is_none() => {
                checker.needs(Extension::Index, line, "`:index`")?;
                let number = usize::try_from(arguments.number("the number of a field")?).unwrap_or(usize::MAX);
                if number == 0 {
                    return Err(mistake(line, "fields are counted from 1 – write :index 1 for the first"));
                }
                self.index = Some(number);
            }
            "last" if self.last.is_none() => {
                checker.needs(Extension::Index, line, "`:last`")?;
                self.last = Some(());
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    pub(super) fn index(&self, line: usize) -> Result<Option<Index>, Mistake> {
        match (self.index, self.last) {
            (Some(number), Some(())) => Ok(Some(Index { number, from: End::Last })),
            (Some(number), None) => Ok(Some(Index { number, from: End::First })),
            (None, Some(())) => Err(mistake(line, "`:last` goes with `:index` – write :index 1 :last for the last field")),
            (None, None) => Ok(None),
        }
    }

    /// What the tags come to.
    pub(super) fn matching(&self, line: usize) -> Result<Matching, Mistake> {
        let (kind, comparator) = (self.kind.unwrap_or(MatchType::Is), self.comparator.unwrap_or(Comparator::Casemap));
        if comparator == Comparator::Numeric && matches!(kind, MatchType::Contains | MatchType::Matches) {
            return Err(mistake(line, "\"i;ascii-numeric\" compares whole numbers – take `:is`, `:value` or another comparator"));
        }
        Ok(Matching { kind, comparator })
    }
}
