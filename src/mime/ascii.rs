//! Header fields as relays leave them alone: ASCII, short lines, no blanks at their ends (RFC 5322 2.1.1, RFC 2047, RFC 2231).

use std::borrow::Cow;

use crate::mime::{canonical, header};

/// The field in this form; one that has it already stays byte for byte, and every one ends in CRLF.
///
/// Text that is not ASCII becomes encoded words, in addresses only where they may stand; parameters become percent-encoded. An
/// address that is not ASCII itself cannot be written otherwise and stays.
pub fn field<'a>(name: &str, raw: &'a [u8]) -> Cow<'a, [u8]> {
    if is_fine(raw) {
        return Cow::Borrowed(raw);
    }
    let crlf = canonical::to_crlf(raw);
    let with_end = if crlf.ends_with(b"\r\n") { crlf } else { Cow::Owned([&crlf, &b"\r\n"[..]].concat()) };
    if is_fine(&with_end) {
        return Cow::Owned(with_end.into_owned());
    }
    let colon = with_end.iter().position(|byte| *byte == b':').unwrap_or(with_end.len());
    let (written, value) = with_end.split_at(colon);
    let value = header::unfold(value.get(1..).unwrap_or_default());
    let value: String = value.chars().map(|c| if c.is_ascii_control() && c != '\t' { ' ' } else { c }).collect();
    let value = match Kind::of(&name.to_ascii_lowercase()) {
        _ if value.is_ascii() => value,
        Kind::Text => words(&value),
        Kind::Addresses => phrases(&value),
        Kind::Parameters => parameters(&value),
        Kind::Machine => value,
    };
    Cow::Owned(folded(&String::from_utf8_lossy(written.trim_ascii_end()), &value))
}

/// A field, folded at blanks where its lines would be long.
pub fn folded(name: &str, value: &str) -> Vec<u8> {
    let mut out = format!("{name}:");
    let mut len = out.len();
    // each piece begins with the blanks before it: a fold goes there, and unfolding gives the same value again
    for piece in pieces(value) {
        if len.saturating_add(piece.len()) > LINE && len > 1 && piece.starts_with([' ', '\t']) {
            // the first word stays beside the name: blanks alone on a line are no fold
            if !out.ends_with(':') {
                out.push_str("\r\n");
                len = 0;
            }
        }
        out.push_str(piece);
        len = len.saturating_add(piece.len());
    }
    out.push_str("\r\n");
    out.into_bytes()
}

/// Pieces of ` value`, each with the blanks before it.
fn pieces(value: &str) -> Vec<&str> {
    let mut found = vec![" "];
    let mut rest = value.trim();
    let mut first = true;
    while !rest.is_empty() {
        let blanks = rest.len().saturating_sub(rest.trim_start_matches([' ', '\t']).len());
        let word = rest.get(blanks..).and_then(|word| word.find([' ', '\t'])).map_or(rest.len(), |at| at.saturating_add(blanks));
        let (piece, after) = rest.split_at(word);
        found.push(piece);
        rest = after;
        first = false;
    }
    if first {
        found.clear();
    }
    found
}

/// Whether a field needs nothing.
fn is_fine(raw: &[u8]) -> bool {
    let Some(lines) = raw.strip_suffix(b"\r\n") else { return false };
    lines.split(|byte| *byte == b'\n').enumerate().all(|(number, line)| {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let is_clean = line.iter().all(|byte| byte.is_ascii_graphic() || matches!(byte, b' ' | b'\t'));
        let is_blank = line.trim_ascii().is_empty();
        is_clean
            && !is_blank
            && line.len() <= 998
            && (number == 0 || line.starts_with(b" ") || line.starts_with(b"\t"))
            && !matches!(line.last(), Some(b' ' | b'\t'))
    }) && canonical::is_crlf(raw)
}

/// How the value of a field is written.
enum Kind {
    Text,
    Addresses,
    Parameters,
    /// For programs: nothing in it may change.
    Machine,
}

impl Kind {
    fn of(name: &str) -> Self {
        match name.strip_prefix("resent-").unwrap_or(name) {
            "from" | "to" | "cc" | "bcc" | "sender" | "reply-to" | "mail-followup-to" | "disposition-notification-to" => {
                Self::Addresses
            }
            "content-type" | "content-disposition" => Self::Parameters,
            "date"
            | "message-id"
            | "in-reply-to"
            | "references"
            | "received"
            | "return-path"
            | "dkim-signature"
            | "content-id"
            | "content-transfer-encoding"
            | "mime-version" => Self::Machine,
            _ => Self::Text,
        }
    }
}

/// Unstructured text: each run of words that are not ASCII becomes encoded words.
fn words(value: &str) -> String {
    let mut out = String::with_capacity(value.len().saturating_mul(2));
    let mut run = String::new();
    for piece in blank_pieces(value) {
        let is_plain = piece.is_ascii() && !piece.contains("=?");
        if is_plain && !run.is_empty() && piece.trim().is_empty() {
            run.push_str(piece);
            continue;
        }
        if is_plain {
            flush(&mut run, &mut out);
            out.push_str(piece);
        } else {
            run.push_str(piece);
        }
    }
    flush(&mut run, &mut out);
    out
}

/// Writes the run as encoded words; the blanks at its end stay outside.
fn flush(run: &mut String, out: &mut String) {
    let text = run.trim_end();
    if !text.is_empty() {
        out.push_str(&encoded_words(text));
    }
    out.push_str(run.get(text.len()..).unwrap_or_default());
    run.clear();
}

/// Words and the blanks between them.
fn blank_pieces(value: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = value;
    while let Some(first) = rest.chars().next() {
        let is_blank = matches!(first, ' ' | '\t');
        let end = rest.find(|c: char| matches!(c, ' ' | '\t') != is_blank).unwrap_or(rest.len());
        let (piece, after) = rest.split_at(end);
        found.push(piece);
        rest = after;
    }
    found
}

/// An address list: words of display names, quoted or not, and comments are encoded; what stands in angle brackets or beside an `@` stays.
fn phrases(value: &str) -> String {
    let mut out = String::with_capacity(value.len().saturating_mul(2));
    let mut rest = value;
    let mut run = String::new();
    while let Some(first) = rest.chars().next() {
        let end = match first {
            '"' => quoted_end(rest),
            '<' => rest.find('>').map_or(rest.len(), |at| at.saturating_add(1)),
            '(' => comment_end(rest),
            ',' | ':' | ';' => 1,
            ' ' | '\t' => rest.find(|c| !matches!(c, ' ' | '\t')).unwrap_or(rest.len()),
            _ => rest.find([' ', '\t', ',', ';', ':', '<', '(', '"']).unwrap_or(rest.len()),
        };
        let (token, after) = rest.split_at(end);
        let is_address = token.contains('@') && first != '"' || after.starts_with('@') || first == '<';
        match first {
            _ if is_address => {
                flush(&mut run, &mut out);
                out.push_str(token);
            }
            ' ' | '\t' if !run.is_empty() => run.push_str(token),
            '"' if !token.is_ascii() => run.push_str(&unquoted(token)),
            '(' if !token.is_ascii() => {
                flush(&mut run, &mut out);
                let inner = token.get(1..token.len().saturating_sub(1)).unwrap_or_default();
                out.push_str(&format!("({})", encoded_words(inner)));
            }
            _ if !token.is_ascii() => run.push_str(token),
            _ => {
                flush(&mut run, &mut out);
                out.push_str(token);
            }
        }
        rest = after;
    }
    flush(&mut run, &mut out);
    out
}

fn quoted_end(text: &str) -> usize {
    let mut is_escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '"' => return at.saturating_add(1),
            _ => {}
        }
    }
    text.len()
}

fn comment_end(text: &str) -> usize {
    let (mut depth, mut is_escaped) = (0_u32, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '(' => depth = depth.saturating_add(1),
            ')' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return at.saturating_add(1);
                }
            }
            _ => {}
        }
    }
    text.len()
}

fn unquoted(token: &str) -> String {
    let inner = token.trim_start_matches('"');
    let inner = inner.strip_suffix('"').unwrap_or(inner);
    let mut out = String::new();
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        out.push(if c == '\\' { chars.next().unwrap_or(c) } else { c });
    }
    out
}

/// A value with parameters: those that are not ASCII are written as RFC 2231 does.
fn parameters(value: &str) -> String {
    let (first, parameters, _) = crate::mime::content_type::split_parameters(value);
    let mut out: String = first.chars().filter(char::is_ascii).collect();
    for (name, text) in parameters {
        if text.is_ascii() {
            let quoted = text.replace('\\', "\\\\").replace('"', "\\\"");
            out.push_str(&format!("; {name}=\"{quoted}\""));
            continue;
        }
        let encoded: String = text.bytes().map(percent).collect();
        let mut rest = encoded.as_str();
        let mut number = 0_u32;
        // an escape is not cut in two
        while !rest.is_empty() {
            let mut end = rest.len().min(54);
            while end < rest.len() && rest.get(end.saturating_sub(2)..end).is_some_and(|last| last.contains('%')) {
                end = end.saturating_sub(1);
            }
            let (piece, after) = rest.split_at(end.max(1));
            let charset = if number == 0 { "utf-8''" } else { "" };
            match (number, after.is_empty()) {
                (0, true) => out.push_str(&format!("; {name}*={charset}{piece}")),
                _ => out.push_str(&format!("; {name}*{number}*={charset}{piece}")),
            }
            rest = after;
            number = number.saturating_add(1);
        }
    }
    out
}

fn percent(byte: u8) -> String {
    if byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&byte) {
        char::from(byte).to_string()
    } else {
        format!("%{byte:02X}")
    }
}

/// Encoded words of at most 75 characters, each of whole characters, with a blank between them.
fn encoded_words(text: &str) -> String {
    let is_q = |byte: u8| byte.is_ascii_alphanumeric() || b"!*+-/ ".contains(&byte);
    let others = text.bytes().filter(|byte| !is_q(*byte)).count();
    // base64 takes 4 for 3, the other form 3 for each byte that is not a letter
    let is_base64 = others.saturating_mul(6) > text.len();
    let room = if is_base64 { 45 } else { 60 };
    let cost = |c: char| {
        if is_base64 { c.len_utf8() } else { c.encode_utf8(&mut [0; 4]).bytes().map(|b| if is_q(b) { 1 } else { 3 }).sum() }
    };
    let (mut words, mut word, mut used): (Vec<String>, String, usize) = (Vec::new(), String::new(), 0);
    for c in text.chars() {
        let cost = cost(c);
        if used.saturating_add(cost) > room {
            words.push(std::mem::take(&mut word));
            used = 0;
        }
        word.push(c);
        used = used.saturating_add(cost);
    }
    words.push(word);
    let one = |word: &String| {
        if is_base64 {
            return format!("=?utf-8?B?{}?=", base64_simd::STANDARD.encode_to_string(word.as_bytes()));
        }
        let one = |byte: u8| match byte {
            b' ' => "_".to_owned(),
            byte if is_q(byte) => char::from(byte).to_string(),
            byte => format!("={byte:02X}"),
        };
        format!("=?utf-8?Q?{}?=", word.bytes().map(one).collect::<String>())
    };
    words.iter().map(one).collect::<Vec<_>>().join(" ")
}

/// RFC 5322 2.1.1: lines should be no longer.
const LINE: usize = 78;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mime::{ContentType, address, text};

    fn value(name: &str, raw: &str) -> String {
        let written = field(name, raw.as_bytes()).into_owned();
        assert!(is_fine(&written) || !written.is_ascii(), "{}", String::from_utf8_lossy(&written));
        header::unfold(&written[written.iter().position(|byte| *byte == b':').expect("a colon") + 1..])
    }

    #[test]
    fn what_is_fine_stays_byte_for_byte() {
        for raw in ["Subject:x\r\n", "To: a@a.example,\r\n\tb@b.example\r\n", "X:\r\n y\r\n"] {
            assert!(matches!(field("subject", raw.as_bytes()), Cow::Borrowed(_)), "{raw:?}");
        }
    }

    #[test]
    fn text_that_is_not_ascii_becomes_encoded_words_that_read_the_same() {
        for text in ["Gr\u{fc}\u{df}e an alle", "\u{4f60}\u{597d}", &"\u{4f60} ".repeat(80), "a  \u{fc}  \u{e4} b =?x", "\u{fc}"]
        {
            let written = value("subject", &format!("Subject: {text}\n"));
            assert_eq!(text::decode_words(&written), text.trim(), "{written}");
        }
    }

    #[test]
    fn a_field_is_the_same_however_its_name_is_written() {
        for name in ["from", "From", "FROM", "Resent-From"] {
            let written = value(name, &format!("{name}: \"\u{dc}n\u{ef} \\\"Q\\\" <x>\" <root@a.example>\r\n"));
            let list = address::parse(&written);
            let [mailbox] = list.mailboxes.as_slice() else { panic!("{written}") };
            assert_eq!(mailbox.address(), "root@a.example", "{written}");
            assert_eq!(mailbox.display.as_deref(), Some("\u{dc}n\u{ef} \"Q\" <x>"), "{written}");
        }
    }

    #[test]
    fn addresses_keep_what_they_address() {
        let raw = "To: J\u{f6}rg M\u{fc}ller <joerg@a.example>, \"M\u{fc}ller, J.\" <j@b.example>, k@c.example (K\u{f6}nig), \"a@\u{fc}\" <d@d.example>\r\n";
        let written = value("to", raw);
        let list = address::parse(&written);
        let addresses: Vec<String> = list.mailboxes.iter().map(address::Mailbox::address).collect();
        assert_eq!(
            (list.has_junk, addresses.join(" ")),
            (false, "joerg@a.example j@b.example k@c.example d@d.example".to_owned())
        );
        let names: Vec<String> = list.mailboxes.iter().filter_map(|mailbox| mailbox.display.clone()).collect();
        assert_eq!(names, ["J\u{f6}rg M\u{fc}ller", "M\u{fc}ller, J.", "a@\u{fc}"]);
        assert_eq!(value("from", "From: j\u{f6}rg@a.example\r\n"), "j\u{f6}rg@a.example");
    }

    #[test]
    fn file_names_become_percent_encoded() {
        let long = format!("{}.txt", "\u{e4}\u{4f60}".repeat(40));
        let written = value("content-type", &format!("Content-Type: text/plain; format=flowed; name=\"{long}\"\r\n"));
        let read = ContentType::parse(&written).expect("a type");
        assert_eq!((read.parameter("name"), read.parameter("format")), (Some(long.as_str()), Some("flowed")), "{written}");
    }

    #[test]
    fn long_lines_are_folded_and_unfold_to_the_same() {
        let text = "word ".repeat(400);
        let written = value("subject", &format!("Subject: {text}\r\n"));
        assert_eq!(written, text.trim());
        assert_eq!(value("subject", "Subject: a\r\n \r\n b \r\n\r\n"), "a  b");
        assert_eq!(value("subject", "Subject: a\rBcc: b\0\r\n"), "aBcc: b");
        assert_eq!(folded("HP-Outer", "Subject: x"), b"HP-Outer: Subject: x\r\n");
    }
}
