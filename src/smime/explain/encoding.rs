//! What relays do to bodies: another transfer encoding, another charset, other lines of base64.

use std::ops::ControlFlow;

use crate::mime::{self, Entity, TransferEncoding, canonical};
use crate::smime::explain::Change;
use crate::smime::explain::search::{Depth, Further, Search, parts, replaced};

/// Encodes every part, and every text at once, in other ways.
pub(super) fn undo(bytes: &[u8], root: &Entity, search: &mut Search<'_>) -> ControlFlow<()> {
    // what follows the end of base64 would be lost, and with it the news that something was added
    let is_whole = |part: &&Entity| part.transfer_encoding() != TransferEncoding::Base64 || is_base64(part.body(bytes));
    let leaves: Vec<&Entity> = parts(root).filter(|part| part.children().is_empty()).filter(is_whole).collect();
    for part in &leaves {
        if search.is_encoded_anew(&part.path()) {
            continue;
        }
        for form in forms(part, bytes, search.depth()) {
            let Some(new) = form.apply(part, bytes) else { continue };
            for (at, bytes) in new.into_iter().map(|new| replaced(bytes, part.range(), &new)).enumerate() {
                let further = if at == 0 { form.further } else { Further::No };
                search.offer(form.change(), &part.path(), form.text(part), further, bytes)?;
            }
        }
    }
    if leaves.len() < 2 || search.is_encoded_anew("0") {
        return ControlFlow::Continue(());
    }
    // a relay that encodes one text encodes all
    let Some(first) = leaves.iter().find(|part| part.content_type().kind == "text") else { return ControlFlow::Continue(()) };
    for form in forms(first, bytes, Depth::OnTop) {
        let mut whole = bytes.to_vec();
        for part in leaves.iter().rev().filter(|part| part.content_type().kind == "text") {
            if part.transfer_encoding() != first.transfer_encoding() {
                continue;
            }
            if let Some(new) = form.apply(part, bytes).and_then(|new| new.into_iter().next()) {
                whole = replaced(&whole, part.range(), &new);
            }
        }
        search.offer(form.change(), "0", format!("every text: {}", form.text(first)), Further::Yes, whole)?;
    }
    ControlFlow::Continue(())
}

fn is_base64(body: &[u8]) -> bool {
    let end = body.trim_ascii_end();
    let bare = end.strip_suffix(b"==").or_else(|| end.strip_suffix(b"=")).unwrap_or(end);
    bare.iter().all(|byte| byte.is_ascii_alphanumeric() || byte.is_ascii_whitespace() || matches!(byte, b'+' | b'/'))
}

/// One way to encode a part.
struct Form {
    /// The label of Content-Transfer-Encoding; none where the field shall be away.
    label: Option<&'static str>,
    body: Body,
    charset: Option<Other>,
    further: Further,
}

/// Another charset, and how it is written.
#[derive(Clone)]
struct Other {
    name: &'static str,
    written: String,
    /// Whether what is written has quotes where it has none now, and none where it has some.
    quotes_differ: bool,
}

enum Body {
    Identity,
    Quoted(&'static Style),
    Base64(usize),
}

/// How a program writes quoted-printable.
pub(super) struct Style {
    /// Characters of a line before the `=` that breaks it.
    width: usize,
    /// Whether `.` and `F` at the start of a line are encoded.
    start: bool,
    /// Whether a line that is a dot alone is encoded.
    dot: bool,
    /// Whether blanks in the middle of lines are encoded.
    tabs: bool,
    /// Whether a blank at the end of a line is encoded; else `=` and a line break follow it.
    blanks: bool,
}

/// The styles of programs in use.
pub(super) const QUOTED: &[Style] = &[
    Style { width: 75, start: false, dot: true, tabs: false, blanks: true },
    Style { width: 75, start: false, dot: false, tabs: false, blanks: true },
    Style { width: 75, start: true, dot: true, tabs: false, blanks: true },
    Style { width: 71, start: false, dot: false, tabs: false, blanks: true },
    Style { width: 72, start: false, dot: false, tabs: false, blanks: true },
    Style { width: 73, start: false, dot: false, tabs: false, blanks: true },
    Style { width: 75, start: false, dot: false, tabs: true, blanks: true },
    Style { width: 75, start: false, dot: false, tabs: false, blanks: false },
];

/// Characters of a line of base64.
pub(super) const WIDTHS: [usize; 5] = [76, 72, 64, 60, 0];

fn forms(part: &Entity, bytes: &[u8], depth: Depth) -> Vec<Form> {
    let mut found = Vec::new();
    let is_text = part.content_type().kind == "text";
    let body = part.decoded_body(bytes);
    let charsets: Vec<Option<Other>> = std::iter::once(None)
        .chain(is_text.then(|| other_charsets(part, &body, depth)).into_iter().flatten().map(Some))
        .collect();
    // what has no label is ASCII, and what is labelled 7bit
    let identities: &[Option<&str>] = if body.is_ascii() {
        &[Some("7bit"), None, Some("8bit"), Some("binary"), Some("7BIT"), Some("8BIT")]
    } else {
        // lines that are not ASCII may have been added to such as are
        &[Some("8bit"), None, Some("7bit"), Some("binary"), Some("8BIT"), Some("7BIT")]
    };
    for charset in charsets {
        let mut add = |labels: &[Option<&'static str>], body: fn(usize) -> Option<Body>| {
            let is_identity = matches!(body(0), Some(Body::Identity));
            let most = if depth == Depth::Alone {
                labels.len()
            } else if is_identity {
                3
            } else {
                1
            };
            for number in 0.. {
                let Some(_) = body(number) else { break };
                for (at, label) in labels.iter().take(most).enumerate() {
                    let Some(body) = body(number) else { break };
                    // what else was done is undone on top of every width, but of few where the charset, too, is another
                    let is_usual = charset.as_ref().is_none_or(|other| number < 2 && !other.quotes_differ);
                    let is_base = at == 0 && is_usual || is_identity && at < if charset.is_none() { 3 } else { 2 };
                    let further = if is_base { Further::Yes } else { Further::No };
                    found.push(Form { label: *label, body, charset: charset.clone(), further });
                }
            }
        };
        add(identities, |at| (at == 0).then_some(Body::Identity));
        add(&[Some("quoted-printable"), Some("Quoted-Printable"), Some("QUOTED-PRINTABLE")], |at| {
            QUOTED.get(at).map(Body::Quoted)
        });
        add(&[Some("base64"), Some("BASE64"), Some("Base64")], |at| WIDTHS.get(at).copied().map(Body::Base64));
    }
    found
}

/// Other charsets that can hold a text, each as it is written in lower and in upper case, with and without quotes.
fn other_charsets(part: &Entity, body: &[u8], depth: Depth) -> Vec<Other> {
    let Some(own) = part.content_type().parameter("charset") else { return Vec::new() };
    let Some(text) = mime::decode_exactly(body, own) else { return Vec::new() };
    let mut found = Vec::new();
    for name in CHARSETS.into_iter().filter(|name| !name.eq_ignore_ascii_case(own)) {
        if mime::encode_exactly(&text, name).is_none() || (name == "us-ascii" && !text.is_ascii()) {
            continue;
        }
        let mut written = vec![name.to_owned()];
        if depth == Depth::Alone {
            written.extend([name.to_ascii_uppercase(), name.replacen('w', "W", 1)]);
            written.dedup();
        }
        let quotes: &[bool] = if depth == Depth::Alone { &[false, true] } else { &[false] };
        for written in written {
            for quotes_differ in quotes.iter().copied() {
                found.push(Other { name, written: written.clone(), quotes_differ });
            }
        }
    }
    found
}

const CHARSETS: [&str; 5] = ["utf-8", "iso-8859-1", "windows-1252", "iso-8859-15", "us-ascii"];

impl Form {
    fn change(&self) -> Change {
        if self.charset.is_some() { Change::Charset } else { Change::TransferEncoding }
    }

    fn text(&self, part: &Entity) -> String {
        let now = name(part.transfer_encoding());
        let then = match &self.body {
            Body::Identity => self.label.unwrap_or("no encoding").to_ascii_lowercase(),
            Body::Quoted(_) => "quoted-printable".to_owned(),
            Body::Base64(0) => "base64 in one line".to_owned(),
            Body::Base64(width) => format!("base64 in lines of {width}"),
        };
        match &self.charset {
            None if then == now => format!("it was encoded anew: {now} with other lines"),
            None => format!("it was encoded anew: from {then} to {now}"),
            Some(Other { name: charset, .. }) => {
                let own = part.content_type().parameter("charset").unwrap_or_default();
                format!("it was put into another charset: from {charset} ({then}) to {own} ({now})")
            }
        }
    }

    /// The part in this form, with and without a line break at its end; the Content-Transfer-Encoding where it was, else where
    /// programs put it.
    fn apply(&self, part: &Entity, bytes: &[u8]) -> Option<Vec<Vec<u8>>> {
        let mut body = part.decoded_body(bytes);
        if let Some(Other { name: charset, .. }) = &self.charset {
            let text = mime::decode_exactly(&body, part.content_type().parameter("charset")?)?;
            body = mime::encode_exactly(&text, charset)?;
        }
        let is_text = part.content_type().kind == "text";
        let crlf = if is_text { canonical::to_crlf(&body).into_owned() } else { body.clone() };
        let bodies: Vec<Vec<u8>> = match &self.body {
            Body::Identity => vec![crlf],
            Body::Quoted(style) => vec![quoted_printable(&crlf, style)],
            Body::Base64(width) => {
                // text may have been encoded with the line ends of its system
                let lf = is_text.then(|| String::from_utf8_lossy(&crlf).replace("\r\n", "\n").into_bytes());
                [crlf, body].into_iter().chain(lf).map(|body| base64(&body, *width)).collect()
            }
        };
        let mut with_ends: Vec<Vec<u8>> = Vec::new();
        for body in bodies {
            let bare = body.strip_suffix(b"\r\n").unwrap_or(&body).to_vec();
            let broken = [&bare, b"\r\n".as_slice()].concat();
            for form in [body, bare, broken] {
                if !with_ends.contains(&form) {
                    with_ends.push(form);
                }
            }
        }
        let headers = self.headers(part, bytes);
        Some(headers.iter().flat_map(|header| with_ends.iter().map(move |body| [header.as_slice(), body].concat())).collect())
    }

    /// Header sections with this label.
    fn headers(&self, part: &Entity, bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut fields: Vec<(String, Vec<u8>)> = Vec::new();
        for field in part.fields() {
            let mut raw = field.raw(bytes).to_vec();
            if field.name == "content-type"
                && let Some(other) = &self.charset
            {
                raw = with_charset(&raw, part.content_type().parameter("charset").unwrap_or_default(), other);
            }
            fields.push((field.name.clone(), raw));
        }
        let at = fields.iter().position(|(name, _)| name == "content-transfer-encoding");
        let join = |fields: &[(String, Vec<u8>)]| {
            let mut out: Vec<u8> = fields.iter().flat_map(|(_, raw)| raw.clone()).collect();
            out.extend_from_slice(b"\r\n");
            out
        };
        let field = self.label.map(|label| format!("Content-Transfer-Encoding: {label}\r\n").into_bytes());
        match (at, field) {
            (Some(at), Some(new)) => {
                if let Some((_, raw)) = fields.get_mut(at) {
                    *raw = new;
                }
                vec![join(&fields)]
            }
            (Some(at), None) => {
                fields.remove(at);
                vec![join(&fields)]
            }
            (None, None) => vec![join(&fields)],
            (None, Some(new)) => {
                let after_type = fields.iter().position(|(name, _)| name == "content-type").map_or(0, |at| at.saturating_add(1));
                let places = [after_type, fields.len(), 0];
                let with = |at: usize| {
                    let mut fields = fields.clone();
                    fields.insert(at, (String::new(), new.clone()));
                    join(&fields)
                };
                let mut out: Vec<Vec<u8>> = places.into_iter().map(with).collect();
                out.dedup();
                out
            }
        }
    }
}

fn name(encoding: TransferEncoding) -> &'static str {
    match encoding {
        TransferEncoding::SevenBit => "7bit",
        TransferEncoding::EightBit => "8bit",
        TransferEncoding::Binary => "binary",
        TransferEncoding::QuotedPrintable => "quoted-printable",
        TransferEncoding::Base64 => "base64",
        TransferEncoding::Other => "an unknown encoding",
    }
}

/// A field with its charset replaced.
fn with_charset(raw: &[u8], own: &str, other: &Other) -> Vec<u8> {
    let lower = raw.to_ascii_lowercase();
    let Some(at) = memchr::memmem::find(&lower, b"charset=") else { return raw.to_vec() };
    let from = at.saturating_add("charset=".len());
    let quotes = usize::from(raw.get(from) == Some(&b'"'));
    let end = from.saturating_add(own.len()).saturating_add(quotes.saturating_mul(2));
    let is_quoted = (quotes == 1) != other.quotes_differ;
    let written = if is_quoted { format!("\"{}\"", other.written) } else { other.written.clone() };
    replaced(raw, from..end, written.as_bytes())
}

pub(super) fn base64(bytes: &[u8], width: usize) -> Vec<u8> {
    let mut text = mime::transfer::encode_base64(bytes);
    text.retain(|byte| !matches!(byte, b'\r' | b'\n'));
    if width == 0 {
        return text;
    }
    let mut out = Vec::with_capacity(text.len().saturating_add(text.len() / 16));
    for line in text.chunks(width) {
        out.extend_from_slice(line);
        out.extend_from_slice(b"\r\n");
    }
    out
}

/// Quoted-printable as programs of a style write it; line breaks of the text are CRLF.
pub(super) fn quoted_printable(text: &[u8], style: &Style) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len().saturating_add(text.len() / 8));
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        let content = line.strip_suffix(b"\r\n").unwrap_or(line);
        let line_break = line.get(content.len()..).unwrap_or_default();
        let mut column = 0_usize;
        for (at, byte) in content.iter().copied().enumerate() {
            let is_last = at.saturating_add(1) == content.len();
            let is_plain = match byte {
                b'=' => false,
                b' ' | b'\t' => !(is_last && style.blanks || style.tabs && byte == b'\t'),
                b'.' => !(style.dot && content.len() == 1 || style.start && column == 0),
                b'F' => !(style.start && column == 0),
                byte => byte.is_ascii_graphic(),
            };
            let width = if is_plain { 1 } else { 3 };
            // the last character of a line may stand where the `=` would
            let room = style.width.saturating_add(usize::from(is_last && style.width == 75));
            if column.saturating_add(width) > room {
                out.extend_from_slice(b"=\r\n");
                column = 0;
            }
            if is_plain {
                out.push(byte);
            } else {
                out.extend_from_slice(&[b'=', hex(byte >> 4), hex(byte & 15)]);
            }
            column = column.saturating_add(width);
        }
        if !style.blanks && matches!(content.last(), Some(b' ' | b'\t')) {
            out.extend_from_slice(b"=\r\n");
        }
        out.extend_from_slice(line_break);
    }
    out
}

fn hex(digit: u8) -> u8 {
    char::from_digit(digit.into(), 16).and_then(|digit| u8::try_from(digit.to_ascii_uppercase()).ok()).unwrap_or_default()
}
