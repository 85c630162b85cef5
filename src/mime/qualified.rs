//! Addresses that programs write without a domain, as `root (Cron Daemon)`: they get the one of the host (RFC 6409 8.2).

use std::borrow::Cow;

use crate::limits::Limits;
use crate::mime::{Error, address, canonical, parse};

/// The fields that hold addresses of the sender and of recipients.
const FIELDS: [&str; 7] = ["from", "sender", "reply-to", "to", "cc", "bcc", "disposition-notification-to"];

/// The message with this domain at every address of its header section that has none; borrowed where there is no such address. Line ends
/// become CRLF.
///
/// ```
/// use sealpost::{limits::Limits, mime::qualified};
/// let message = b"From: root (Cron Daemon)\r\nTo: <joe>, jane@b.example\r\n\r\nHi.\r\n";
/// let out = qualified::message(message, "a.example", &Limits::default())?;
/// assert!(out.starts_with(b"From: root@a.example (Cron Daemon)\r\nTo: <joe@a.example>, jane@b.example\r\n"));
/// # Ok::<(), sealpost::mime::Error>(())
/// ```
pub fn message<'m>(message: &'m [u8], domain: &str, limits: &Limits) -> Result<Cow<'m, [u8]>, Error> {
    let message = canonical::to_lines(message);
    let entity = parse(&message, limits)?;
    let mut changed: Vec<(std::ops::Range<usize>, String)> = Vec::new();
    for field in entity.fields().iter().filter(|field| FIELDS.contains(&field.name.as_str())) {
        let value = field.unfolded(&message);
        if let Cow::Owned(new) = list(value.trim(), domain) {
            let name = message.get(field.range.clone()).unwrap_or_default();
            let name = String::from_utf8_lossy(name.split(|byte| *byte == b':').next().unwrap_or_default()).into_owned();
            changed.push((field.range.clone(), format!("{}: {new}\r\n", name.trim_end())));
        }
    }
    if changed.is_empty() {
        return Ok(message);
    }
    let (mut out, mut from) = (Vec::with_capacity(message.len().saturating_add(256)), 0);
    for (range, field) in changed {
        out.extend_from_slice(message.get(from..range.start).unwrap_or_default());
        out.extend_from_slice(field.as_bytes());
        from = range.end;
    }
    out.extend_from_slice(message.get(from..).unwrap_or_default());
    Ok(Cow::Owned(out))
}

/// The addresses of a list, as somebody writes it on a command line, with this domain where they have none; none where it cannot be read.
pub fn addresses(value: &str, domain: &str) -> Vec<String> {
    let read = address::parse(&list(value.trim(), domain));
    if read.has_junk { Vec::new() } else { read.mailboxes.iter().map(address::Mailbox::address).collect() }
}

/// One address, or a list of them.
fn list<'v>(value: &'v str, domain: &str) -> Cow<'v, str> {
    let (mut out, mut from, mut is_changed) = (String::new(), 0, false);
    let mut element = Element::default();
    let mut places: Vec<usize> = Vec::new();
    let mut walk = Walk::default();
    for (at, c) in value.char_indices() {
        let is_outside = walk.next(c);
        match c {
            ',' | ';' if is_outside => places.extend(std::mem::take(&mut element).place()),
            // the name of a group
            ':' if is_outside => element = Element::default(),
            _ => element.see(at, c, is_outside),
        }
    }
    places.extend(element.place());
    for at in places {
        out.push_str(value.get(from..at).unwrap_or_default());
        out.push('@');
        out.push_str(domain);
        (from, is_changed) = (at, true);
    }
    if !is_changed {
        return Cow::Borrowed(value);
    }
    out.push_str(value.get(from..).unwrap_or_default());
    Cow::Owned(out)
}

/// Whether characters stand outside of quotes and comments.
#[derive(Debug, Default)]
struct Walk {
    depth: u32,
    is_quoted: bool,
    is_escaped: bool,
}

impl Walk {
    /// Takes the next character; whether it stands outside, itself not a quote or a bracket of a comment.
    fn next(&mut self, c: char) -> bool {
        if std::mem::take(&mut self.is_escaped) {
            return false;
        }
        match c {
            '\\' if self.is_quoted || self.depth > 0 => self.is_escaped = true,
            '"' if self.depth == 0 => self.is_quoted = !self.is_quoted,
            '(' if !self.is_quoted => self.depth = self.depth.saturating_add(1),
            ')' if !self.is_quoted && self.depth > 0 => self.depth = self.depth.saturating_sub(1),
            _ => return !self.is_quoted && self.depth == 0,
        }
        false
    }
}

/// One element of a list.
#[derive(Debug, Default)]
struct Element {
    has_at: bool,
    /// Words that are neither quoted nor comments, and where the last one ends.
    words: usize,
    word_end: usize,
    is_in_word: bool,
    has_quotes: bool,
    /// Angle brackets: whether one is open, and the end of what stands in them.
    is_open: bool,
    inner_end: Option<usize>,
}

impl Element {
    fn see(&mut self, at: usize, c: char, is_outside: bool) {
        if !is_outside {
            self.has_quotes |= c == '"';
            self.is_in_word = false;
            return;
        }
        match c {
            '@' => self.has_at = true,
            '<' => (self.is_open, self.is_in_word) = (true, false),
            '>' => self.inner_end = Some(at).filter(|_| self.is_open && self.is_in_word),
            c if c.is_whitespace() => self.is_in_word = false,
            c => {
                if !std::mem::replace(&mut self.is_in_word, true) {
                    self.words = self.words.saturating_add(1);
                }
                self.word_end = at.saturating_add(c.len_utf8());
            }
        }
    }

    /// Where the domain belongs: nowhere, where there is one, or where this is no lone name.
    fn place(self) -> Option<usize> {
        match (self.has_at, self.is_open) {
            (true, _) => None,
            (false, true) => self.inner_end,
            (false, false) => (self.words == 1 && !self.has_quotes).then_some(self.word_end),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lone_names_get_the_domain() {
        for (value, expected) in [
            ("root", "root@h"),
            ("root (Cron Daemon)", "root@h (Cron Daemon)"),
            ("(Cron Daemon) root", "(Cron Daemon) root@h"),
            ("Jane Doe <jane>", "Jane Doe <jane@h>"),
            ("\"Doe, Jane\" <jane>, joe", "\"Doe, Jane\" <jane@h>, joe@h"),
            ("All: jane, joe@b;, root", "All: jane@h, joe@b;, root@h"),
        ] {
            assert_eq!(list(value, "h"), expected);
        }
        for same in [
            "",
            "jane@b",
            "<>",
            "<jane@b>",
            "Jane Doe",
            "\"jane\"",
            "undisclosed-recipients:;",
            "jane (at home, too)@b",
            "< jane >x",
        ] {
            assert!(matches!(list(same, "h"), Cow::Borrowed(_)), "{same}: {}", list(same, "h"));
        }
    }

    #[test]
    fn what_is_no_address_field_stays_byte_for_byte() {
        let message = b"Subject: root\r\nFROM : root\r\n (Cron)\r\nTo: a@b\r\n\r\nTo: root\r\n";
        let out = super::message(message, "h", &Limits::default()).expect("read");
        assert_eq!(String::from_utf8_lossy(&out), "Subject: root\r\nFROM: root@h (Cron)\r\nTo: a@b\r\n\r\nTo: root\r\n");
        let lone = super::message(b"To: a@b\n\n10%\r50%\r\n", "h", &Limits::default()).expect("read");
        assert_eq!(&*lone, b"To: a@b\r\n\r\n10%\r\n50%\r\n");
    }
}
