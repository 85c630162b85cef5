//! Mail addresses of header fields (RFC 5322 3.4), read so that nothing else passes for one.

use crate::mime::text;

/// One mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mailbox {
    /// The display name, decoded.
    pub display: Option<String>,
    /// The part before the `@`, quotes removed.
    pub local: String,
    /// The part after the `@`.
    pub domain: String,
}

impl Mailbox {
    /// `local@domain`.
    pub fn address(&self) -> String {
        format!("{}@{}", self.local, self.domain)
    }
}

/// A list of addresses that was read; what cannot be read is said.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AddressList {
    /// The mailboxes, those of groups included.
    pub mailboxes: Vec<Mailbox>,
    /// What some programs show as a name beside the display names: the names of groups and the comments, decoded.
    pub remarks: Vec<String>,
    /// Whether something in the value is no address, or is one that programs read differently; then nothing should rest on the list
    /// alone.
    pub has_junk: bool,
    /// Whether a group stands in it, which may be an empty one.
    pub has_group: bool,
}

/// Reads an address list: `mailbox, group: a, b;, mailbox`.
///
/// An address is only what stands as `local@domain` outside of quotes and comments, in angle brackets or alone. Display names, comments
/// and encoded words never form one.
///
/// ```
/// use sealpost::mime::address;
/// let list = address::parse("\"ceo@a.example\" <mallory@evil.example> (ceo@a.example)");
/// assert_eq!(list.mailboxes[0].address(), "mallory@evil.example");
/// ```
pub fn parse(value: &str) -> AddressList {
    let mut list = AddressList::default();
    let mut tokens = Vec::new();
    let mut depth_group = false;
    // angle brackets that are open; counted on the way, since a value may be a megabyte of colons
    let mut angles = 0_i64;
    for token in tokenize(value, &mut list) {
        match token {
            Token::Special(',') => {
                finish(&mut tokens, &mut list);
                angles = 0;
            }
            Token::Special(';') => {
                finish(&mut tokens, &mut list);
                angles = 0;
                list.has_junk |= !depth_group;
                depth_group = false;
            }
            Token::Special(':') if angles <= 0 => {
                // the name of a group begins; a second one inside is nothing
                list.has_group = true;
                list.has_junk |= depth_group || tokens.iter().any(|t| matches!(t, Token::Special(_)));
                depth_group = true;
                list.remarks.extend(display_name(&tokens).flatten());
                tokens.clear();
                angles = 0;
            }
            other => {
                match other {
                    Token::Special('<') => angles = angles.saturating_add(1),
                    Token::Special('>') => angles = angles.saturating_sub(1),
                    _ => {}
                }
                tokens.push(other);
            }
        }
    }
    finish(&mut tokens, &mut list);
    // a group that never ends is something else, as `mailto:`
    list.has_junk |= depth_group;
    list
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    /// Characters of an atom; a word with dots.
    Atom(String),
    /// A quoted string, quotes removed.
    Quoted(String),
    /// `[literal]`.
    Literal(String),
    /// One of `<>@,;:`.
    Special(char),
}

fn tokenize(value: &str, list: &mut AddressList) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut chars = value.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            ' ' | '\t' | '\r' | '\n' => {}
            '(' => {
                let (text, is_closed) = comment(&mut chars);
                list.has_junk |= !is_closed;
                list.remarks.push(text::decode_words(&text));
            }
            '"' => {
                let mut text = String::new();
                let mut closed = false;
                while let Some(c) = chars.next() {
                    match c {
                        '"' => {
                            closed = true;
                            break;
                        }
                        '\\' => text.extend(chars.next()),
                        c => text.push(c),
                    }
                }
                list.has_junk |= !closed || text::hides(&text);
                tokens.push(Token::Quoted(text));
            }
            '[' => {
                let mut closed = false;
                let text: String = chars
                    .by_ref()
                    .take_while(|c| {
                        closed = *c == ']';
                        !closed
                    })
                    .collect();
                list.has_junk |= !closed || text.contains(text::is_unseen);
                tokens.push(Token::Literal(format!("[{text}]")));
            }
            '<' | '>' | '@' | ',' | ';' | ':' => tokens.push(Token::Special(c)),
            c if c.is_control() || matches!(c, ')' | ']' | '\\') => list.has_junk = true,
            c => {
                if c == '='
                    && let Some(word) = word_with_commas(&chars)
                {
                    chars.by_ref().take(word.chars().count().saturating_sub(1)).for_each(drop);
                    tokens.push(Token::Atom(word));
                    continue;
                }
                let mut text = String::from(c);
                while let Some(next) = chars.next_if(|c| !c.is_whitespace() && !c.is_control() && !"()<>@,;:\\\"[]".contains(*c))
                {
                    text.push(next);
                }
                list.has_junk |= text::hides(&text);
                tokens.push(Token::Atom(text));
            }
        }
    }
    tokens
}

/// An encoded word with commas in it, behind its `=`. RFC 2047 5 (3) has none there and programs write them, for `Doe, Jane`; however it is
/// split, nothing in it is an address.
fn word_with_commas(rest: &std::iter::Peekable<std::str::Chars<'_>>) -> Option<String> {
    if rest.clone().next() != Some('?') {
        return None;
    }
    let ahead: String = std::iter::once('=').chain(rest.clone().take(WORD)).collect();
    let (decoded, len) = text::encoded_word(&ahead)?;
    let (word, after) = ahead.split_at_checked(len)?;
    let is_clean = !word.contains(|c: char| c.is_whitespace() || c.is_control() || "()<>@;:\\\"[]".contains(c));
    let is_name = !decoded.contains(['@', '<', '>', '"', '\u{ff20}', '\u{fe6b}']) && !text::hides(&decoded);
    let is_alone = after.is_empty() || after.starts_with([' ', '\t', '\r', '\n', '<']);
    (word.contains(',') && is_clean && is_name && is_alone).then(|| word.to_owned())
}

/// RFC 2047 2 has words of 75 characters, and programs write longer ones.
const WORD: usize = 200;

/// The text of a comment, and whether it ends.
fn comment(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> (String, bool) {
    let mut depth = 1_u32;
    let mut text = String::new();
    while let Some(c) = chars.next() {
        match c {
            '\\' => text.extend(chars.next()),
            '(' => depth = depth.saturating_add(1),
            ')' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return (text, true);
                }
            }
            c => text.push(c),
        }
    }
    (text, false)
}

fn finish(tokens: &mut Vec<Token>, list: &mut AddressList) {
    if tokens.is_empty() {
        return;
    }
    match mailbox(tokens) {
        Some(mailbox) => {
            list.has_junk |= is_read_differently(tokens, &mailbox);
            list.has_junk |= [&mailbox.local, &mailbox.domain].iter().any(|part| part.contains(text::is_unseen));
            list.mailboxes.push(mailbox);
        }
        None => list.has_junk = true,
    }
    tokens.clear();
}

/// `[display] <[route:] local@domain>` or `local@domain`.
fn mailbox(tokens: &[Token]) -> Option<Mailbox> {
    let angle = tokens.iter().position(|token| *token == Token::Special('<'));
    let Some(open) = angle else {
        let (local, domain) = spec(tokens)?;
        return Some(Mailbox { display: None, local, domain });
    };
    let (display, rest) = tokens.split_at(open);
    let (last, inner) = rest.get(1..)?.split_last()?;
    if *last != Token::Special('>') || inner.contains(&Token::Special('<')) || inner.contains(&Token::Special('>')) {
        return None;
    }
    // an obsolete route before the address goes nowhere (RFC 5322 4.4)
    let inner = match inner.iter().position(|token| *token == Token::Special(':')) {
        Some(colon) if inner.first() == Some(&Token::Special('@')) => inner.get(colon.checked_add(1)?..)?,
        Some(_) => return None,
        None => inner,
    };
    let (local, domain) = spec(inner)?;
    Some(Mailbox { display: display_name(display)?, local, domain })
}

/// Whether other programs may take another address for this mailbox: one that stands in front unquoted, or an obsolete route.
fn is_read_differently(tokens: &[Token], mailbox: &Mailbox) -> bool {
    let open = tokens.iter().position(|token| *token == Token::Special('<')).unwrap_or(tokens.len());
    let (display, inner) = tokens.split_at(open);
    let is_route = inner.get(1) == Some(&Token::Special('@'));
    let other = display.windows(3).any(|window| match window {
        [Token::Atom(local) | Token::Quoted(local), Token::Special('@'), Token::Atom(domain)] => {
            domain.contains('.') && !unquoted(&format!("{local}@{domain}")).eq_ignore_ascii_case(&mailbox.address())
        }
        _ => false,
    });
    is_route || (!inner.is_empty() && other)
}

/// An address that stands as a name between single quotes, as programs write it.
fn unquoted(name: &str) -> &str {
    name.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')).unwrap_or(name)
}

/// `local@domain` and nothing else.
fn spec(tokens: &[Token]) -> Option<(String, String)> {
    let at = tokens.iter().position(|token| *token == Token::Special('@'))?;
    let (local, domain) = (tokens.get(..at)?, tokens.get(at.checked_add(1)?..)?);
    let local = match local {
        [Token::Quoted(text)] => text.clone(),
        [Token::Atom(text)] if is_dotted(text) && !text.contains("=?") => text.clone(),
        _ => return None,
    };
    let domain = match domain {
        [Token::Atom(text)] if is_dotted(text) && !text.contains("=?") => text.clone(),
        [Token::Literal(text)] => text.clone(),
        _ => return None,
    };
    let is_clean = |text: &str| !text.is_empty() && !text.contains(['@', '\0', '\r', '\n']);
    (is_clean(&local) && is_clean(&domain)).then_some((local, domain))
}

fn is_dotted(text: &str) -> bool {
    text.split('.').all(|part| !part.is_empty())
}

/// Words; an address there would be a trick, but it is only a name.
fn display_name(tokens: &[Token]) -> Option<Option<String>> {
    let has_at = tokens.contains(&Token::Special('@'));
    let mut words = Vec::new();
    for token in tokens {
        match token {
            Token::Atom(text) => words.push(text::decode_words(text)),
            Token::Quoted(text) => words.push(text::decode_words(text)),
            Token::Special('@') => words.push("@".to_owned()),
            // `Jane [Sales] <...>`: no address, whoever reads it
            Token::Literal(text) if !has_at && !text.contains(['@', '<', '>', ',', ';', ':', '"', '\\', '(', ')']) => {
                words.push(text.clone());
            }
            _ => return None,
        }
    }
    Some((!words.is_empty()).then(|| words.join(" ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(value: &str) -> (Vec<String>, bool) {
        let list = parse(value);
        (list.mailboxes.iter().map(Mailbox::address).collect(), list.has_junk)
    }

    #[test]
    fn usual_lists_are_read() {
        let (found, junk) =
            addresses("Jane <jane@a.example>, joe@b.example (Joe), \"Doe, X\" <x.y@c.example>, team: t@d.example;");
        assert_eq!(found, ["jane@a.example", "joe@b.example", "x.y@c.example", "t@d.example"]);
        assert!(!junk);
        assert_eq!(parse("=?utf-8?Q?J=C3=A4ne?= <j@a.example>").mailboxes[0].display.as_deref(), Some("J\u{e4}ne"));
    }

    #[test]
    fn tricks_give_the_real_address_or_none() {
        for (value, expected) in [
            ("ceo@a.example <m@evil.example>", vec!["m@evil.example"]),
            ("\"ceo@a.example\" <m@evil.example>", vec!["m@evil.example"]),
            ("<ceo@a.example>, <m@evil.example>", vec!["ceo@a.example", "m@evil.example"]),
            ("m@evil.example (ceo@a.example)", vec!["m@evil.example"]),
            ("\"ceo@a.example>\" <m@evil.example>", vec!["m@evil.example"]),
            ("=?utf-8?B?Y2VvQGEuZXhhbXBsZQ==?=", vec![]),
            ("=?utf-8?B?Y2Vv?=@a.example", vec![]),
            ("ceo@a.example@evil.example", vec![]),
            ("<ceo@a.example> <m@evil.example>", vec![]),
            ("\"ceo@a.example\"@evil.example", vec![]),
            ("ceo@a.example\0", vec!["ceo@a.example"]),
            ("<@a.example,@b.example:m@evil.example>", vec![]),
            ("ceo @ a.example", vec!["ceo@a.example"]),
        ] {
            assert_eq!(addresses(value).0, expected, "{value:?}");
        }
        assert!(addresses("ceo@a.example\0").1);
    }

    #[test]
    fn what_programs_read_differently_is_junk() {
        for value in [
            "ceo@a.example <m@evil.example>",
            "<@relay.example:m@evil.example>",
            "m@evil.example\u{200b}",
            "\"a\u{0}b\" <m@evil.example>",
            "m@[192.0.2.1",
        ] {
            assert!(addresses(value).1, "{value:?}");
        }
        for value in [
            "=?utf-8?Q?Doe,_Jane=40a.example?= <m@evil.example>",
            "=?utf-8?Q?a,_=3Cceo=40a.example=3E?= <m@evil.example>",
            "=?utf-8?Q?Doe,_Jane?=ceo@a.example <m@evil.example>",
            "Doe, Jane <m@a.example>",
            "Jane [x <ceo@a.example>] <m@evil.example>",
            "Jane [ceo@a.example] <m@evil.example>",
            "ceo@[192.0.2.1] <m@evil.example>",
            "'ceo@a.example' <m@evil.example>",
            "'m@a.example <m@a.example>",
            "Al\u{200d}ice <m@a.example>",
            "\u{639}\u{200d}\u{200d} <m@a.example>",
            "\u{639}\u{200e} <m@a.example>",
            "\u{639}\u{200d}\u{639}@a.example",
            "m@\u{639}\u{200d}\u{639}.example",
        ] {
            assert!(addresses(value).1, "{value:?}");
        }
        for value in [
            "m@a.example <m@A.example>",
            "\"ceo@a.example\" <m@evil.example>",
            "Team @ Home <m@a.example>",
            "m@[192.0.2.1]",
            "<m@[192.0.2.1]>",
        ] {
            assert!(!addresses(value).1, "{value:?}");
        }
    }

    #[test]
    fn names_that_programs_write_are_read() {
        for (value, name) in [
            ("=?iso-8859-1?Q?M=FCller,_Hans?= <m@a.example>", "M\u{fc}ller, Hans"),
            ("[EXT] Jane [Sales] <m@a.example>", "[EXT] Jane [Sales]"),
            ("'m@a.example' <m@a.example>", "'m @ a.example'"),
            ("\u{645}\u{6cc}\u{200c}\u{62e} <m@a.example>", "\u{645}\u{6cc}\u{200c}\u{62e}"),
            ("\"\u{d15}\u{d4d}\u{200d}\" <m@a.example>", "\u{d15}\u{d4d}\u{200d}"),
            ("\u{1f469}\u{200d}\u{1f4bb} Jane <m@a.example>", "\u{1f469}\u{200d}\u{1f4bb} Jane"),
        ] {
            let list = parse(value);
            assert!(!list.has_junk && list.mailboxes.len() == 1, "{value:?}");
            assert_eq!(list.mailboxes[0].address(), "m@a.example", "{value:?}");
            assert_eq!(list.mailboxes[0].display.as_deref(), Some(name), "{value:?}");
        }
    }

    #[test]
    fn comments_and_names_of_groups_are_kept_apart() {
        let list = parse("\"ceo@a.example\": m@b.example (\\(=?utf-8?Q?J=C3=A4ne?= x);");
        assert_eq!(list.remarks, ["(J\u{e4}ne x", "ceo@a.example"]);
        assert!(!list.has_junk);
    }

    #[test]
    fn a_megabyte_of_colons_is_read_in_no_time() {
        let (found, junk) = addresses(&format!("<{}", ":".repeat(1 << 20)));
        assert!(found.is_empty() && junk);
    }
}
