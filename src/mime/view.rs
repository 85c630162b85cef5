//! Messages for people's eyes (through `mail-parser`); never for anything signed.

use mail_parser::{MessageParser, MimeHeaders};

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
        text: terminal_safe_lines(parsed.body_text(0).as_deref().unwrap_or_default()),
        attachments: attachments.collect(),
    }
}

/// One line for a terminal: control characters and those that change the direction of text stand as escapes.
pub fn terminal_safe(text: &str) -> String {
    text.chars().flat_map(|c| if is_dangerous(c) { c.escape_unicode().collect::<Vec<_>>() } else { vec![c] }).collect()
}

/// The same for several lines.
pub fn terminal_safe_lines(text: &str) -> String {
    text.lines().map(|line| terminal_safe(line.trim_end_matches('\r'))).collect::<Vec<_>>().join("\n")
}

fn is_dangerous(c: char) -> bool {
    (c.is_control() && c != '\t')
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}
