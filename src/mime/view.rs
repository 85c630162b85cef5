//! Messages for people's eyes (through `mail-parser`); never for anything signed.

use std::borrow::Cow;

use mail_parser::{Message, MessageParser, MimeHeaders, PartType};

use crate::mime::{compose, text};
use crate::time::Timestamp;

/// What a person sees of a message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct View {
    /// The subject.
    pub subject: String,
    /// The authors.
    pub from: String,
    /// The recipients.
    pub to: String,
    /// The date as written.
    pub date: String,
    /// The text, made from HTML where there is no other.
    pub text: String,
    /// The attachments: name, content type, size.
    pub attachments: Vec<(String, String, usize)>,
}

/// Reads what a person sees; safe for a terminal.
pub fn view(message: &[u8]) -> View {
    seen(message, |parsed| parsed.body_text(0))
}

/// The same for a message that has a plain text: none is made from HTML. A program that asks for nothing else is without the names of the
/// characters of HTML, whose table is a fifth of what a process must adjust when it starts.
pub fn view_plain(message: &[u8]) -> View {
    let plain = |part: &PartType<'_>| match part {
        PartType::Text(text) => Some(text.to_string().into()),
        _ => None,
    };
    seen(message, |parsed| parsed.text_bodies().find_map(|part| plain(&part.body)))
}

fn seen(message: &[u8], text: impl for<'t> Fn(&'t Message<'_>) -> Option<Cow<'t, str>>) -> View {
    let Some(parsed) = MessageParser::default().parse(message) else { return View::default() };
    let addresses = |list: Option<&mail_parser::Address<'_>>| -> String {
        let Some(list) = list else { return String::new() };
        let one = |a: &mail_parser::Addr<'_>| match (a.name(), a.address()) {
            (Some(name), Some(address)) => format!("{name} <{address}>"),
            (None, Some(address)) => address.to_owned(),
            (Some(name), None) => name.to_owned(),
            (None, None) => String::new(),
        };
        list.iter().map(one).collect::<Vec<_>>().join(", ")
    };
    let attachments = parsed.attachments().map(|part| {
        let name = part.attachment_name().unwrap_or("(no name)");
        let kind = part.content_type().map_or_else(String::new, |t| match t.subtype() {
            Some(subtype) => format!("{}/{subtype}", t.ctype()),
            None => t.ctype().to_owned(),
        });
        (terminal_safe(name), terminal_safe(&kind), part.contents().len())
    });
    View {
        subject: terminal_safe(parsed.subject().unwrap_or_default()),
        from: terminal_safe(&addresses(parsed.from())),
        to: terminal_safe(&addresses(parsed.to())),
        date: parsed.date().map(mail_parser::DateTime::to_rfc3339).unwrap_or_default(),
        text: terminal_safe_lines(text(&parsed).as_deref().unwrap_or_default()),
        attachments: attachments.collect(),
    }
}

/// A date of RFC 5322 3.3 in UTC; `None` where it is none.
pub(crate) fn date_in_utc(value: &str) -> Option<String> {
    let field = format!("Date: {value}\r\n\r\n");
    let parsed = MessageParser::default().parse_headers(field.as_bytes())?;
    let date = parsed.date().filter(|date| date.is_valid())?;
    Some(compose::date(Timestamp::from_unix(date.to_timestamp())))
}

/// One line for a terminal: characters that control it, that are not seen, or that change the direction of text stand as escapes.
///
/// Joiners between letters that are not ASCII stay: Persian, the languages of India and emoji are written with them.
///
/// ```
/// use sealpost::mime::view::terminal_safe;
/// assert_eq!(terminal_safe("a\u{1b}[2J\u{202e}b"), r"a\u{1b}[2J\u{202e}b");
/// ```
pub fn terminal_safe(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut before = ' ';
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let joins = |c: &char| !c.is_ascii() && !text::is_unseen(*c);
        let is_joiner = matches!(c, '\u{200c}' | '\u{200d}') && joins(&before) && chars.peek().is_some_and(joins);
        if c == '\t' || is_joiner || !text::is_unseen(c) {
            out.push(c);
        } else {
            out.extend(c.escape_unicode());
        }
        before = c;
    }
    out
}

/// The same for several lines.
pub fn terminal_safe_lines(text: &str) -> String {
    text.lines().map(|line| terminal_safe(line.trim_end_matches('\r'))).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_seen_is_shown() {
        for c in
            ['\0', '\u{7}', '\u{1b}', '\u{7f}', '\u{9b}', '\r', '\n', '\u{ad}', '\u{200b}', '\u{200d}', '\u{200f}', '\u{2028}']
                .into_iter()
                .chain('\u{202a}'..='\u{202e}')
                .chain('\u{2066}'..='\u{2069}')
                .chain(['\u{feff}', '\u{e0041}'])
        {
            let shown = terminal_safe(&format!("a{c}b"));
            assert_eq!(shown, format!("a{}b", c.escape_unicode()));
        }
        for text in ["J\u{e4}ne\t\u{4f60}\u{597d}", "\u{645}\u{6cc}\u{200c}\u{62e}\u{648}", "\u{1f469}\u{200d}\u{1f4bb}"] {
            assert_eq!(terminal_safe(text), text);
        }
    }
}
