//! The tests of a run.

use crate::mime::address;
use crate::sieve::check::{is_address_field, is_field_name};
use crate::sieve::date::{self, Date};
use crate::sieve::matching::{self, Found, MatchType, Matching};
use crate::sieve::message::Value;
use crate::sieve::program::{AddressPart, BodyView, DateSource, End, Index, Keys, Test, Than, Zone};
use crate::sieve::run::Run;
use crate::sieve::text::{CAPTURES, Text};
use crate::sieve::{Failure, flags};

/// What a test compares, and whether its match is remembered.
struct Values {
    all: Vec<String>,
    captures: Captures,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Captures {
    Kept,
    /// RFC 5173 6: `body` sets none.
    Dropped,
}

impl Values {
    fn of(all: Vec<String>) -> Self {
        Self { all, captures: Captures::Kept }
    }
}

impl Run<'_> {
    pub(super) fn test(&mut self, test: &Test) -> Result<bool, Failure> {
        self.steps.spend(1_u64)?;
        match test {
            Test::True => Ok(true),
            Test::False => Ok(false),
            Test::Not(inner) => Ok(!self.test(inner)?),
            Test::AllOf(tests) => {
                for test in tests {
                    if !self.test(test)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Test::AnyOf(tests) => {
                for test in tests {
                    if self.test(test)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Test::Exists(names) => {
                let names = self.texts(names)?;
                for name in &names {
                    self.steps.spend(self.message.fields())?;
                    if !self.message.has(name) {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Test::Size { than, bytes } => {
                let size = u64::try_from(self.message.bytes.len()).unwrap_or(u64::MAX);
                Ok(match than {
                    Than::Over => size > *bytes,
                    Than::Under => size < *bytes,
                })
            }
            Test::Header { names, index, keys } => {
                let values = self.fields(names, *index)?.into_iter().map(|value| value.text).collect();
                self.compare(&Values::of(values), keys)
            }
            Test::Address { names, index, part, keys } => {
                let values = self.addresses(names, *index, counted(*part, keys))?;
                self.compare(&Values::of(values), keys)
            }
            Test::Envelope { parts, part, keys } => {
                let mut values = Vec::new();
                for name in self.texts(parts)? {
                    let address = match name.to_ascii_lowercase().as_str() {
                        "from" => &self.envelope.from,
                        "to" => &self.envelope.to,
                        _ => continue,
                    };
                    values.extend(part_of(address, counted(*part, keys)));
                }
                self.compare(&Values::of(values), keys)
            }
            Test::Body { view, keys } => self.body(view, keys),
            Test::String { sources, keys } => {
                let mut values = self.texts(sources)?;
                // RFC 5229 5: what is empty is not counted
                if matches!(keys.matching.kind, MatchType::Count(_)) {
                    values.retain(|value| !value.is_empty());
                }
                self.compare(&Values::of(values), keys)
            }
            Test::HasFlag { variables, keys } => {
                let mut list = Vec::new();
                match variables.as_slice() {
                    [] => list.clone_from(&self.flags),
                    names => {
                        for name in names {
                            let value = self.variables.get(name).map_or("", String::as_str);
                            flags::add(&mut list, value, self.limits.sieve_flags);
                        }
                    }
                }
                self.has_flag(list, keys)
            }
            Test::Date { from, zone, part, keys } => {
                let Some(date) = self.date(from)? else { return self.compare(&Values::of(Vec::new()), keys) };
                let zone = match zone {
                    Zone::Local => 0,
                    Zone::Original => date.zone,
                    Zone::Offset(minutes) => *minutes,
                };
                self.compare(&Values::of(vec![Date { at: date.at, zone }.part(*part)]), keys)
            }
        }
    }

    /// Whether one of the values fits one of the keys.
    fn compare(&mut self, values: &Values, keys: &Keys) -> Result<bool, Failure> {
        let written = self.texts(&keys.keys)?;
        self.compare_with(values, keys.matching, &written)
    }

    fn compare_with(&mut self, values: &Values, matching: Matching, keys: &[String]) -> Result<bool, Failure> {
        let count;
        let values_or_count = match matching.kind {
            MatchType::Count(_) => {
                count = [values.all.len().to_string()];
                count.as_slice()
            }
            _ => &values.all,
        };
        for value in values_or_count {
            for key in keys {
                match matching::compare(matching, value, key, &mut self.steps)? {
                    Found::No => {}
                    Found::Yes => return Ok(true),
                    Found::Captures(found) => {
                        if values.captures == Captures::Kept {
                            self.captures = found.into_iter().take(CAPTURES).map(|capture| self.cut(capture)).collect();
                        }
                        return Ok(true);
                    }
                }
            }
        }
        Ok(false)
    }

    /// The values of fields, in the order of the names.
    fn fields(&mut self, names: &[Text], index: Option<Index>) -> Result<Vec<Value>, Failure> {
        let mut values = Vec::new();
        for name in self.texts(names)? {
            if is_field_name(&name) {
                let found = self.field(&name, index)?;
                values.extend(found);
            }
        }
        Ok(values)
    }

    /// The values of one field; with an index, that one alone.
    fn field(&mut self, name: &str, index: Option<Index>) -> Result<Vec<Value>, Failure> {
        self.steps.spend(self.message.fields())?;
        let mut all = self.message.values(name);
        self.steps.spend(all.iter().map(|value| value.text.len()).sum::<usize>())?;
        let Some(Index { number, from }) = index else { return Ok(all) };
        let at = match from {
            End::First => number.checked_sub(1),
            End::Last => all.len().checked_sub(number),
        };
        Ok(match at.filter(|at| *at < all.len()) {
            Some(at) => vec![all.swap_remove(at)],
            None => Vec::new(),
        })
    }

    fn addresses(&mut self, names: &[Text], index: Option<Index>, part: AddressPart) -> Result<Vec<String>, Failure> {
        let mut values = Vec::new();
        for name in self.texts(names)? {
            if !is_address_field(&name) {
                continue;
            }
            for value in self.field(&name, index)? {
                let list = address::parse(&value.unfolded);
                values.extend(list.mailboxes.iter().filter_map(|mailbox| part_of(&mailbox.address(), part)));
            }
        }
        Ok(values)
    }

    fn has_flag(&mut self, list: Vec<String>, keys: &Keys) -> Result<bool, Failure> {
        let mut wanted = Vec::new();
        for key in self.texts(&keys.keys)? {
            // RFC 5232 4: a key is a list, too; with `:matches` it is one pattern, which no flag need be
            match keys.matching.kind {
                MatchType::Is => wanted.extend(flags::of(&key).map(str::to_owned)),
                MatchType::Contains => wanted.extend(key.split_ascii_whitespace().map(str::to_owned)),
                _ => wanted.push(key),
            }
        }
        self.compare_with(&Values::of(list), keys.matching, &wanted)
    }

    fn body(&mut self, view: &BodyView, keys: &Keys) -> Result<bool, Failure> {
        let most = self.limits.sieve_body_bytes;
        let kinds = match view {
            BodyView::Content(kinds) => self.texts(kinds)?,
            BodyView::Raw | BodyView::Text => Vec::new(),
        };
        let name = match view {
            BodyView::Raw => "raw".to_owned(),
            BodyView::Text => "text".to_owned(),
            BodyView::Content(_) => format!("content {}", kinds.join("\n")),
        };
        let all = match self.bodies.remove(&name) {
            Some(known) => known,
            None => {
                self.steps.spend(self.message.bytes.len())?;
                match view {
                    BodyView::Raw => {
                        let raw = self.message.raw_body();
                        vec![String::from_utf8_lossy(raw.get(..raw.len().min(most)).unwrap_or_default()).into_owned()]
                    }
                    BodyView::Text => self.message.texts(most),
                    BodyView::Content(_) => self.message.contents(&kinds, most),
                }
            }
        };
        let values = Values { all, captures: Captures::Dropped };
        let found = self.compare(&values, keys);
        // each way of looking at a large body holds it once more
        if self.bodies.len() < 4 {
            self.bodies.insert(name, values.all);
        }
        found
    }

    fn date(&mut self, from: &DateSource) -> Result<Option<Date>, Failure> {
        let (name, index) = match from {
            DateSource::Now => return Ok(Some(Date { at: self.now, zone: 0 })),
            DateSource::Field { name, index } => (self.text(name)?, *index),
        };
        let values = self.field(&name, index)?;
        // RFC 5260 4: a Received field has its date behind the last semicolon
        let read = |value: &Value| date::parse(value.unfolded.rsplit_once(';').map_or(value.unfolded.as_str(), |(_, date)| date));
        Ok(values.first().and_then(read))
    }
}

/// Addresses are counted whole, whether or not they have the part (RFC 5231 4.2).
fn counted(part: AddressPart, keys: &Keys) -> AddressPart {
    if matches!(keys.matching.kind, MatchType::Count(_)) { AddressPart::All } else { part }
}

/// A part of an address; no detail where the address has none (RFC 5233 4).
fn part_of(address: &str, part: AddressPart) -> Option<String> {
    let (local, domain) = address.rsplit_once('@').unwrap_or((address, ""));
    let (user, detail) = match local.split_once('+') {
        Some((user, detail)) => (user, Some(detail)),
        None => (local, None),
    };
    match part {
        AddressPart::All => Some(address.to_owned()),
        AddressPart::LocalPart => Some(local.to_owned()),
        AddressPart::Domain => Some(domain.to_owned()),
        AddressPart::User => Some(user.to_owned()),
        AddressPart::Detail => detail.map(str::to_owned),
    }
}
