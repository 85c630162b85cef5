//! The tests of a script, checked.

use crate::sieve::Mistake;
use crate::sieve::check::arguments::{Arguments, MatchTags};
use crate::sieve::check::{Checker, mistake, nearest};
use crate::sieve::extension::Extension;
use crate::sieve::program::{AddressPart, BodyView, DatePart, DateSource, Keys, Test, Than, Zone};
use crate::sieve::text::{self, Text};
use crate::sieve::tree::{Node, Tests};

/// Every test, for hints.
const TESTS: &[&str] = &[
    "true",
    "false",
    "not",
    "allof",
    "anyof",
    "exists",
    "size",
    "header",
    "address",
    "envelope",
    "body",
    "string",
    "hasflag",
    "date",
    "currentdate",
];

const MATCH: &str = ":is, :contains, :matches, :count, :value, :comparator";

/// Fields that hold addresses (RFC 5228 5.1); an `address` test on others would find what only looks like one.
const ADDRESS_FIELDS: &[&str] = &[
    "from",
    "to",
    "cc",
    "bcc",
    "sender",
    "reply-to",
    "resent-from",
    "resent-to",
    "resent-cc",
    "resent-bcc",
    "resent-sender",
    "resent-reply-to",
    "return-path",
    "delivered-to",
    "x-original-to",
    "envelope-to",
    "apparently-to",
    "errors-to",
    "disposition-notification-to",
    "mail-followup-to",
    "mail-reply-to",
    "return-receipt-to",
    "x-envelope-to",
    "x-envelope-from",
    "x-forwarded-for",
    "x-forwarded-to",
];

/// Whether a field holds addresses.
pub(in crate::sieve) fn is_address_field(name: &str) -> bool {
    ADDRESS_FIELDS.iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// Whether a text may be the name of a field (RFC 5322 3.6.8).
pub(in crate::sieve) fn is_field_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':')
}

impl Checker {
    pub(super) fn test(&mut self, node: &Node) -> Result<Test, Mistake> {
        let name = node.name.as_str();
        if !TESTS.contains(&name) {
            let hint = match nearest(name, TESTS.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("it may be one of {}", TESTS.join(", ")),
            };
            return Err(mistake(node.line, format!("there is no test `{name}` – {hint}")));
        }
        let mut arguments = Arguments::of(node);
        match (name, &node.tests) {
            ("not", Tests::One(inner)) => {
                arguments.end()?;
                return Ok(Test::Not(Box::new(self.test(inner)?)));
            }
            ("allof" | "anyof", Tests::List(inner)) => {
                arguments.end()?;
                let tests = inner.iter().map(|test| self.test(test)).collect::<Result<Vec<_>, _>>()?;
                return Ok(if name == "allof" { Test::AllOf(tests) } else { Test::AnyOf(tests) });
            }
            ("not", _) => return Err(mistake(node.line, "`not` takes one test – write not allof(…) before several")),
            ("allof" | "anyof", _) => {
                return Err(mistake(node.line, format!("`{name}` takes tests between parentheses – as in {name}(true, false)")));
            }
            (_, Tests::None) => {}
            _ => return Err(mistake(node.line, format!("`{name}` takes no other test – join them with allof(…) or anyof(…)"))),
        }
        let needed = match name {
            "envelope" => Some(Extension::Envelope),
            "body" => Some(Extension::Body),
            "string" => Some(Extension::Variables),
            "hasflag" => Some(Extension::Imap4Flags),
            "date" | "currentdate" => Some(Extension::Date),
            _ => None,
        };
        if let Some(extension) = needed {
            self.needs(extension, node.line, &format!("`{name}`"))?;
        }
        let test = match name {
            "exists" => {
                if let Some((line, tag)) = arguments.tag() {
                    return arguments.unknown(line, tag, "");
                }
                Test::Exists(self.fields(&mut arguments)?)
            }
            "size" => size(&mut arguments)?,
            "header" => self.header(&mut arguments)?,
            "address" => self.address(&mut arguments)?,
            "envelope" => self.envelope(&mut arguments)?,
            "body" => self.body(&mut arguments)?,
            "string" => {
                let tags = self.match_tags(&mut arguments)?;
                let sources = arguments.texts(self, "a list of strings")?;
                Test::String { sources, keys: self.keys(&mut arguments, &tags)? }
            }
            "hasflag" => self.has_flag(&mut arguments)?,
            "date" | "currentdate" => self.date(&mut arguments)?,
            "false" => Test::False,
            _ => Test::True,
        };
        arguments.end()?;
        Ok(test)
    }

    /// Match type and comparator, and no other tag.
    fn match_tags(&self, arguments: &mut Arguments<'_>) -> Result<MatchTags, Mistake> {
        let mut tags = MatchTags::default();
        while let Some((line, tag)) = arguments.tag() {
            if !tags.take(self, arguments, line, tag)? {
                return arguments.unknown(line, tag, MATCH);
            }
        }
        Ok(tags)
    }

    fn keys(&self, arguments: &mut Arguments<'_>, tags: &MatchTags) -> Result<Keys, Mistake> {
        let matching = tags.matching(arguments.line)?;
        Ok(Keys { matching, keys: arguments.texts(self, "a list of keys")? })
    }

    /// Names of fields.
    fn fields(&self, arguments: &mut Arguments<'_>) -> Result<Vec<Text>, Mistake> {
        let names = arguments.texts(self, "a list of header fields")?;
        let wrong = names.iter().filter_map(Text::as_literal).find(|name| !is_field_name(name));
        match wrong {
            Some(name) => Err(mistake(arguments.line, format!("\"{}\" is no name of a header field", name.escape_debug()))),
            None => Ok(names),
        }
    }

    fn header(&self, arguments: &mut Arguments<'_>) -> Result<Test, Mistake> {
        let mut tags = MatchTags::default();
        while let Some((line, tag)) = arguments.tag() {
            if !tags.take(self, arguments, line, tag)? && !tags.take_index(self, arguments, line, tag)? {
                return arguments.unknown(line, tag, &format!("{MATCH}, :index, :last"));
            }
        }
        let index = tags.index(arguments.line)?;
        Ok(Test::Header { names: self.fields(arguments)?, index, keys: self.keys(arguments, &tags)? })
    }

    fn address(&self, arguments: &mut Arguments<'_>) -> Result<Test, Mistake> {
        let mut tags = MatchTags::default();
        while let Some((line, tag)) = arguments.tag() {
            let is_taken = tags.take(self, arguments, line, tag)?
                || tags.take_part(self, line, tag)?
                || tags.take_index(self, arguments, line, tag)?;
            if !is_taken {
                let known = format!("{MATCH}, :all, :localpart, :domain, :user, :detail, :index, :last");
                return arguments.unknown(line, tag, &known);
            }
        }
        let index = tags.index(arguments.line)?;
        let names = self.fields(arguments)?;
        if let Some(name) = names.iter().filter_map(Text::as_literal).find(|name| !is_address_field(name)) {
            let text = format!("the field \"{name}\" holds no addresses – compare it with `header` instead of `address`");
            return Err(mistake(arguments.line, text));
        }
        let part = tags.part.unwrap_or(AddressPart::All);
        Ok(Test::Address { names, index, part, keys: self.keys(arguments, &tags)? })
    }

    fn envelope(&self, arguments: &mut Arguments<'_>) -> Result<Test, Mistake> {
        let mut tags = MatchTags::default();
        while let Some((line, tag)) = arguments.tag() {
            if !tags.take(self, arguments, line, tag)? && !tags.take_part(self, line, tag)? {
                return arguments.unknown(line, tag, &format!("{MATCH}, :all, :localpart, :domain, :user, :detail"));
            }
        }
        let parts = arguments.texts(self, "\"from\" or \"to\"")?;
        let is_known = |part: &&str| part.eq_ignore_ascii_case("from") || part.eq_ignore_ascii_case("to");
        if let Some(part) = parts.iter().filter_map(Text::as_literal).find(|part| !is_known(part)) {
            return Err(mistake(arguments.line, format!("the envelope has no part \"{part}\" – \"from\" or \"to\"")));
        }
        let part = tags.part.unwrap_or(AddressPart::All);
        Ok(Test::Envelope { parts, part, keys: self.keys(arguments, &tags)? })
    }

    fn body(&self, arguments: &mut Arguments<'_>) -> Result<Test, Mistake> {
        let (mut tags, mut view) = (MatchTags::default(), None);
        while let Some((line, tag)) = arguments.tag() {
            match tag {
                "raw" if view.is_none() => view = Some(BodyView::Raw),
                "text" if view.is_none() => view = Some(BodyView::Text),
                "content" if view.is_none() => view = Some(BodyView::Content(arguments.texts(self, "a list of content types")?)),
                _ if tags.take(self, arguments, line, tag)? => {}
                _ => return arguments.unknown(line, tag, &format!("{MATCH}, :raw, :content, :text")),
            }
        }
        Ok(Test::Body { view: view.unwrap_or(BodyView::Text), keys: self.keys(arguments, &tags)? })
    }

    fn has_flag(&self, arguments: &mut Arguments<'_>) -> Result<Test, Mistake> {
        let tags = self.match_tags(arguments)?;
        let mut variables = Vec::new();
        if arguments.left() > 1 {
            self.needs(Extension::Variables, arguments.line, "a list of variables")?;
            for name in arguments.texts(self, "a list of variables")? {
                match name.as_literal().filter(|name| text::is_identifier(name)) {
                    Some(name) => variables.push(name.to_ascii_lowercase()),
                    None => return Err(mistake(arguments.line, "`hasflag` takes names of variables, then flags")),
                }
            }
        }
        Ok(Test::HasFlag { variables, keys: self.keys(arguments, &tags)? })
    }

    /// `date` has a field, and `currentdate` none.
    fn date(&self, arguments: &mut Arguments<'_>) -> Result<Test, Mistake> {
        let is_now = arguments.name == "currentdate";
        let (mut tags, mut zone) = (MatchTags::default(), None);
        while let Some((line, tag)) = arguments.tag() {
            match tag {
                "zone" if zone.is_none() => {
                    let (line, written) = arguments.written("a zone")?;
                    let Some(minutes) = crate::sieve::date::zone(written) else {
                        return Err(mistake(line, format!("\"{written}\" is no zone – as in \"+0200\" or \"-0530\"")));
                    };
                    zone = Some(Zone::Offset(minutes));
                }
                "originalzone" if zone.is_none() && !is_now => zone = Some(Zone::Original),
                _ if tags.take(self, arguments, line, tag)? => {}
                _ if !is_now && tags.take_index(self, arguments, line, tag)? => {}
                _ => return arguments.unknown(line, tag, &format!("{MATCH}, :zone, :originalzone, :index, :last")),
            }
        }
        let index = tags.index(arguments.line)?;
        let from = match is_now {
            true => DateSource::Now,
            false => {
                let name = arguments.text(self, "a header field")?;
                if let Some(wrong) = name.as_literal().filter(|name| !is_field_name(name)) {
                    return Err(mistake(arguments.line, format!("\"{}\" is no name of a header field", wrong.escape_debug())));
                }
                DateSource::Field { name, index }
            }
        };
        let (line, written) = arguments.written("a part of a date")?;
        let Some(part) = DatePart::named(&written.to_ascii_lowercase()) else {
            let known = DatePart::ALL.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
            return Err(mistake(line, format!("\"{written}\" is no part of a date – one of {known}")));
        };
        Ok(Test::Date { from, zone: zone.unwrap_or(Zone::Local), part, keys: self.keys(arguments, &tags)? })
    }
}

fn size(arguments: &mut Arguments<'_>) -> Result<Test, Mistake> {
    let mut than = None;
    while let Some((line, tag)) = arguments.tag() {
        match tag {
            "over" if than.is_none() => than = Some(Than::Over),
            "under" if than.is_none() => than = Some(Than::Under),
            _ => return arguments.unknown(line, tag, ":over or :under"),
        }
    }
    match than {
        Some(than) => Ok(Test::Size { than, bytes: arguments.number("a number of bytes")? }),
        None => Err(mistake(arguments.line, "`size` takes :over or :under, then a number – as in size :over 100K")),
    }
}
