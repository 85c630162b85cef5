//! Copies of hidden header fields, written into the text for programs that do not know header protection (RFC 9788 5.2.2 to 5.2.4).

use std::ops::Range;

use crate::limits::Limits;
use crate::mime::{self, Entity, Field, TransferEncoding, canonical, transfer};
use crate::smime::headers::legacy::{self, Edit};
use crate::smime::headers::parameter;

/// The text that opens a message: `Name: value` lines, and an empty one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::smime) struct Display(Vec<(String, String)>);

impl Display {
    /// Of these fields: names as written, and decoded values. `None` where there are none.
    pub(super) fn of(fields: Vec<(String, String)>) -> Option<Self> {
        let line = |value: &str| value.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let fields: Vec<_> = fields.into_iter().map(|(name, value): (String, String)| (name, line(&value))).collect();
        (!fields.is_empty()).then_some(Self(fields))
    }

    fn lines(&self) -> String {
        self.0.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect()
    }

    /// How a payload is changed that begins with these bytes; `is_whole` where they are all of it.
    ///
    /// Only main body parts have it: the first part of a mixture, and every alternative (RFC 9787 7.1). A part that begins too late to be
    /// seen here stays without, and so does one whose charset cannot hold it.
    pub(in crate::smime) fn edits(&self, payload: &[u8], is_whole: bool, limits: &Limits) -> Vec<Edit> {
        let Ok(root) = mime::entity::parse_content(payload, limits) else { return Vec::new() };
        let mut edits = Vec::new();
        self.collect(&root, payload, is_whole, &mut edits);
        edits.sort_by_key(|edit| edit.range.start);
        edits
    }

    fn collect(&self, entity: &Entity, source: &[u8], is_whole: bool, edits: &mut Vec<Edit>) {
        let content_type = entity.content_type();
        let children = match content_type.kind.as_str() {
            _ if entity.is_message() => &[],
            "multipart" if content_type.subtype == "alternative" => entity.children(),
            "multipart" if matches!(content_type.subtype.as_str(), "mixed" | "related") => {
                entity.children().get(..1).unwrap_or_default()
            }
            _ => &[],
        };
        children.iter().for_each(|child| self.collect(child, source, is_whole, edits));
        let body = entity.body_range();
        // what comes last may go on behind what is seen
        let is_seen = |end: usize| is_whole || end < source.len();
        let is_marked = content_type.parameter("hp-legacy-display").is_some();
        let charset = content_type.parameter("charset");
        // what is read by guessing would be read otherwise
        let is_odd = !entity.defects().is_empty() || body.start == entity.range().start;
        if is_marked || is_odd || entity.is_attachment(source) || !is_seen(body.start) || !legacy::is_like_ascii(charset) {
            return;
        }
        let text = source.get(body.clone()).unwrap_or_default();
        let change = match (content_type.kind.as_str(), content_type.subtype.as_str()) {
            ("text", "plain") => self.plain(entity.transfer_encoding(), charset, text),
            ("text", "html") => self.html(entity.transfer_encoding(), text, is_seen(body.end)),
            _ => None,
        };
        let Some(mut change) = change else { return };
        // beside line feeds, a line break of two bytes would say that they are content
        let is_lf =
            |text: &[u8]| memchr::memchr(b'\n', text).is_some_and(|at| !text.get(..at).unwrap_or_default().ends_with(b"\r"));
        if is_lf(text) {
            change.with.retain(|byte| *byte != b'\r');
        }
        let at = |range: &Range<usize>| body.start.saturating_add(range.start)..body.start.saturating_add(range.end);
        // what is missing comes first
        let start = entity.range().start;
        let place = |field: Option<&Field>| field.map_or(start..start, |field| field.range.clone());
        let field = entity.field("content-type");
        let mut raw = match field {
            Some(field) => field.raw(source).to_vec(),
            None => b"Content-Type: text/plain; charset=us-ascii\r\n".to_vec(),
        };
        if change.becomes_utf8 {
            raw = parameter::with(&raw, "charset", "utf-8");
        }
        if entity.transfer_encoding() == TransferEncoding::SevenBit && !change.with.is_ascii() {
            let range = place(entity.field("content-transfer-encoding"));
            edits.push(Edit { range, with: b"Content-Transfer-Encoding: 8bit\r\n".to_vec() });
        }
        edits.push(Edit { range: place(field), with: parameter::with(&raw, "hp-legacy-display", "1") });
        edits.push(Edit { range: at(&change.range), with: change.with });
    }

    /// Before a plain text.
    fn plain(&self, encoding: TransferEncoding, charset: Option<&str>, body: &[u8]) -> Option<Change> {
        let lines = self.lines();
        let charset = charset.unwrap_or("us-ascii");
        let is_ascii = charset.eq_ignore_ascii_case("us-ascii");
        // a text in ASCII is one in UTF-8
        let becomes_utf8 = !lines.is_ascii() && is_ascii;
        if becomes_utf8 && !transfer::decode(encoding, body).is_ascii() {
            // what is no ASCII may be anything
            return None;
        }
        let bytes = if is_ascii { lines.into_bytes() } else { mime::encode_exactly(&lines, charset)? };
        let with = match encoding {
            TransferEncoding::QuotedPrintable => transfer::encode_quoted_printable(&[&bytes, &b"\r\n"[..]].concat()),
            // whole groups of three, so that what follows may stay as it is
            TransferEncoding::Base64 => {
                let mut bytes = bytes;
                bytes.truncate(bytes.trim_ascii_end().len());
                let blanks = 2_usize.saturating_sub(bytes.len() % 3);
                bytes.resize(bytes.len().saturating_add(blanks), b' ');
                bytes.extend_from_slice(b"\r\n\r\n");
                transfer::encode_base64(&bytes)
            }
            _ => [&bytes, &b"\r\n"[..]].concat(),
        };
        Some(Change { range: 0..0, with, becomes_utf8 })
    }

    /// Where the body of an HTML text begins; its characters are ASCII, which every charset holds.
    fn html(&self, encoding: TransferEncoding, body: &[u8], is_whole: bool) -> Option<Change> {
        let mut division = "<div class=\"header-protection-legacy-display\">\r\n<pre>\r\n".to_owned();
        for c in self.lines().chars() {
            match c {
                '&' => division.push_str("&amp;"),
                '<' => division.push_str("&lt;"),
                '>' => division.push_str("&gt;"),
                c if c.is_ascii() => division.push(c),
                c => division.push_str(&format!("&#{};", u32::from(c))),
            }
        }
        division.push_str("</pre>\r\n</div>");
        let division = division.into_bytes();
        let insert = |html: &[u8]| {
            let (before, after) = html.split_at_checked(body_of_html(html))?;
            Some([before, &division, after].concat())
        };
        match encoding {
            TransferEncoding::QuotedPrintable | TransferEncoding::Base64 if !is_whole => None,
            TransferEncoding::QuotedPrintable => {
                // here a line break ends a line, whichever it is; in base64 it is content
                let text = transfer::decode(encoding, &canonical::to_crlf(body));
                let with = transfer::encode_quoted_printable(&insert(&text)?);
                Some(Change { range: 0..body.len(), with, becomes_utf8: false })
            }
            TransferEncoding::Base64 => {
                let mut with = transfer::encode_base64(&insert(&transfer::decode(encoding, body))?);
                // the line break before a boundary belongs to the boundary
                if !body.ends_with(b"\n") {
                    with.truncate(with.trim_ascii_end().len());
                }
                Some(Change { range: 0..body.len(), with, becomes_utf8: false })
            }
            _ => {
                let at = body_of_html(body);
                Some(Change { range: at..at, with: division, becomes_utf8: false })
            }
        }
    }
}

/// How a body changes.
struct Change {
    range: Range<usize>,
    with: Vec<u8>,
    /// Whether its charset is UTF-8 then, and was ASCII.
    becomes_utf8: bool,
}

/// Where what is shown begins: behind the tag `body` and its line break, else behind what comes before it.
fn body_of_html(html: &[u8]) -> usize {
    let lower = html.to_ascii_lowercase();
    let mut found = (0, 0);
    let mut at: usize = 0;
    while let Some(open) = memchr::memchr(b'<', lower.get(at..).unwrap_or_default()) {
        at = at.saturating_add(open);
        let rest = lower.get(at..).unwrap_or_default();
        if rest.starts_with(b"<!--") {
            // programs of Microsoft write whole documents into comments
            let Some(end) = memchr::memmem::find(rest, b"-->") else { break };
            at = at.saturating_add(end).saturating_add(3);
            continue;
        }
        let name = rest.get(1..).unwrap_or_default();
        let name = name.get(..name.iter().position(|b| b.is_ascii_whitespace() || matches!(b, b'>')).unwrap_or(name.len()));
        let Some(len) = tag(rest) else { break };
        at = at.saturating_add(len);
        let rank = match name.unwrap_or_default() {
            b"!doctype" => 1,
            b"html" => 2,
            b"/head" => 3,
            b"body" => 4,
            _ => 0,
        };
        if rank > found.0 {
            found = (rank, at);
        }
        if rank == 4 {
            break;
        }
    }
    let rest = html.get(found.1..).unwrap_or_default();
    let line_break = if rest.starts_with(b"\r\n") { 2 } else { usize::from(rest.starts_with(b"\n")) };
    found.1.saturating_add(if found.0 == 0 { 0 } else { line_break })
}

/// The length of the tag at the start; quoted values may hold anything.
fn tag(html: &[u8]) -> Option<usize> {
    let mut quote = None;
    for (at, byte) in html.iter().enumerate() {
        match (quote, byte) {
            (None, b'>') => return at.checked_add(1),
            (None, b'"' | b'\'') => quote = Some(byte),
            (Some(open), byte) if open == byte => quote = None,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn display(value: &str) -> Display {
        Display::of(vec![("Subject".to_owned(), value.to_owned())]).expect("one")
    }

    /// The payload with the display in it.
    fn edited(payload: &str, value: &str) -> String {
        let mut out = payload.as_bytes().to_vec();
        for edit in display(value).edits(payload.as_bytes(), true, &Limits::default()).into_iter().rev() {
            out.splice(edit.range, edit.with);
        }
        String::from_utf8_lossy(&out).replace("\r\n", "\n")
    }

    #[test]
    fn a_text_begins_with_it() {
        assert_eq!(
            edited("Content-Type: text/plain\nX: y\n\nHello\n", "a <b>"),
            "Content-Type: text/plain;\n hp-legacy-display=\"1\"\nX: y\n\nSubject: a <b>\n\nHello\n"
        );
        assert_eq!(
            edited("X: y\n\nHello\n", "a"),
            "Content-Type: text/plain; charset=us-ascii;\n hp-legacy-display=\"1\"\nX: y\n\nSubject: a\n\nHello\n"
        );
    }

    #[test]
    fn what_ascii_cannot_hold_makes_utf8_of_it() {
        assert_eq!(
            edited("Content-Transfer-Encoding: 7bit\nContent-Type: text/plain; charset=us-ascii\n\nHi\n", "\u{4f60}"),
            "Content-Transfer-Encoding: 8bit\nContent-Type: text/plain;\n charset=\"utf-8\";\n hp-legacy-display=\"1\"\n\nSubject: \u{4f60}\n\nHi\n"
        );
        assert_eq!(
            edited("Content-Type: text/plain; charset=utf-8\n\nHi\n", "\u{4f60}"),
            "Content-Transfer-Encoding: 8bit\nContent-Type: text/plain; charset=utf-8;\n hp-legacy-display=\"1\"\n\nSubject: \u{4f60}\n\nHi\n"
        );
        let unnamed = "Content-Type: text/plain\n\nGr\u{fc}\u{df}e\n";
        assert_eq!(edited(unnamed, "\u{fc}"), unnamed, "nobody knows what the text is in");
        let latin = "Content-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: quoted-printable\n\nHi\n";
        assert!(edited(latin, "\u{fc}").ends_with("\n\nSubject: =FC\n\nHi\n"));
        assert_eq!(edited(latin, "\u{4f60}"), latin, "the charset has no such letter");
        let wide = "Content-Type: text/plain; charset=utf-16\nContent-Transfer-Encoding: base64\n\nAEg=\n";
        assert_eq!(edited(wide, "a"), wide);
    }

    #[test]
    fn base64_stays_as_it_is_behind_it() {
        for value in ["a", "ab", "abc"] {
            let text = edited("Content-Transfer-Encoding: base64\nContent-Type: text/plain\n\nSGkK\n", value);
            let body = text.split_once("\n\n").expect("a body").1;
            assert!(body.ends_with("\nSGkK\n") && !body.contains('='), "{body}");
            let read = String::from_utf8(transfer::decode_base64(body.as_bytes())).expect("ASCII");
            let (first, rest) = read.split_once("\r\n\r\n").expect("an empty line");
            assert_eq!((first.trim_end(), rest), (format!("Subject: {value}").as_str(), "Hi\n"));
        }
    }

    #[test]
    fn it_stands_at_the_beginning_of_what_html_shows() {
        let shown = "<div class=\"header-protection-legacy-display\">\n<pre>\nSubject: &lt;a&gt; &amp; &#252;\n</pre>\n</div>";
        for (before, after) in [
            ("<!--[if mso]><body><![endif]--><html><head></head>\n<BODY title='>'>\n", "<p>x"),
            ("<html><head><title></title></head>", "<p>x"),
            ("<!DOCTYPE html>\n", "<p>x"),
            ("", "<p>x"),
            ("", "<!-- x"),
        ] {
            let html = format!("Content-Type: text/html\n\n{before}{after}");
            let marked = format!("Content-Type: text/html;\n hp-legacy-display=\"1\"\n\n{before}{shown}{after}");
            assert_eq!(edited(&html, "<a> & \u{fc}"), marked);
        }
        let quoted = edited("Content-Type: text/html\nContent-Transfer-Encoding: quoted-printable\n\n<body>=\n<p>\nx\n", "a");
        assert!(quoted.contains("</div><p>\nx\n") && !quoted.contains("=0"), "{quoted}");
        let encoded = "Content-Type: text/html\nContent-Transfer-Encoding: base64\n\nPGJvZHk+eA==";
        let text = edited(encoded, "a");
        let body = transfer::decode_base64(text.split_once("\n\n").expect("a body").1.as_bytes());
        assert!(body.starts_with(b"<body><div class=") && body.ends_with(b"</div>x") && !text.ends_with('\n'), "{text}");
    }

    #[test]
    fn only_what_is_shown_first_has_it() {
        let part = |head: &str, body: &str| format!("\n--b\n{head}\n\n{body}");
        let text = part("Content-Type: text/plain", "1");
        let mixed = |first: &str| format!("Content-Type: multipart/mixed; boundary=b\n{first}{text}\n--b--\n");
        assert_eq!(edited(&mixed(&text), "s").matches("Subject: s").count(), 1);
        for none in [
            mixed(&part("Content-Type: text/plain\nContent-Disposition: attachment", "1")),
            mixed(&part("Content-Type: message/rfc822", "From: a\n\n1")),
            mixed(&part("Content-Type: image/png", "1")),
            "Content-Type: multipart/mixed; boundary=b\n\n--b\nno field\n\n1\n--b--\n".to_owned(),
            "Content-Type: text/plain; hp-legacy-display=1\n\nSubject: x\n\n".to_owned(),
            "Content-Type: text/calendar\n\nx".to_owned(),
        ] {
            assert_eq!(edited(&none, "s"), none);
        }
        let both = format!("{text}{}", part("Content-Type: text/html", "<body>2"));
        let alternative = format!("Content-Type: multipart/alternative; boundary=b\n{both}\n--b--\n");
        assert_eq!(edited(&alternative, "s").matches("Subject: s").count(), 2);
    }

    #[test]
    fn what_is_not_seen_whole_stays() {
        let limits = Limits::default();
        let cut = b"Content-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n\r\nPGJv";
        assert!(display("a").edits(cut, false, &limits).is_empty());
        assert!(display("a").edits(b"Content-Type: text/plain\r\nX: y", false, &limits).is_empty());
        assert_eq!(display("a").edits(b"Content-Type: text/plain\r\n\r\nHel", false, &limits).len(), 2);
    }
}
