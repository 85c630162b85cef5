//! Parameters of a Content-Type field, changed without touching the rest of it.

use std::ops::Range;

use crate::mime::{ContentType, header};

/// The field without these parameters (names in lower case); it ends in CRLF.
pub(super) fn without(field: &[u8], names: &[&str]) -> Vec<u8> {
    let mut out = Vec::with_capacity(field.len());
    for (number, piece) in pieces(field).into_iter().enumerate() {
        let bytes = field.get(piece).unwrap_or_default();
        let name = bytes.split(|byte| *byte == b'=').next().unwrap_or_default();
        let name = String::from_utf8_lossy(name).trim().to_ascii_lowercase();
        // `name*0*=` is a piece of the parameter `name` (RFC 2231)
        let base = name.split('*').next().unwrap_or_default();
        let is_dropped = number > 0 && (names.contains(&base) || name.is_empty());
        if is_dropped {
            continue;
        }
        if number > 0 {
            out.push(b';');
        }
        out.extend_from_slice(bytes);
    }
    out.truncate(out.trim_ascii_end().len());
    out.extend_from_slice(b"\r\n");
    out
}

/// The field with this parameter; where it cannot be added (a quote that never ends), the field is written anew.
pub(super) fn with(field: &[u8], name: &str, value: &str) -> Vec<u8> {
    let mut out = without(field, &[name]);
    out.truncate(out.trim_ascii_end().len());
    out.extend_from_slice(format!(";\r\n {name}=\"{value}\"\r\n").as_bytes());
    let read = |field: &[u8]| {
        let colon = field.iter().position(|byte| *byte == b':')?;
        ContentType::parse(&header::unfold(field.get(colon.saturating_add(1)..)?))
    };
    if read(&out).is_some_and(|read| read.parameter(name) == Some(value)) {
        return out;
    }
    let read = read(field).unwrap_or_else(|| ContentType {
        parameters: vec![("charset".to_owned(), "us-ascii".to_owned())],
        ..ContentType::text_plain()
    });
    let mut anew = format!("Content-Type: {}", read.essence());
    for (known, text) in read.parameters.iter().filter(|(known, _)| known != name) {
        let quoted: String = text.chars().filter(|c| !c.is_control() && !matches!(c, '"' | '\\')).collect();
        anew.push_str(&format!(";\r\n {known}=\"{quoted}\""));
    }
    anew.push_str(&format!(";\r\n {name}=\"{value}\"\r\n"));
    anew.into_bytes()
}

/// The ranges between the semicolons that stand outside of quotes and comments.
fn pieces(field: &[u8]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let (mut start, mut is_quoted, mut depth, mut is_escaped) = (0, false, 0_u32, false);
    for (at, byte) in field.iter().enumerate() {
        if is_escaped {
            is_escaped = false;
            continue;
        }
        match byte {
            b'\\' if is_quoted || depth > 0 => is_escaped = true,
            b'"' if depth == 0 => is_quoted = !is_quoted,
            b'(' if !is_quoted => depth = depth.saturating_add(1),
            b')' if !is_quoted => depth = depth.saturating_sub(1),
            b';' if !is_quoted && depth == 0 => {
                found.push(start..at);
                start = at.saturating_add(1);
            }
            _ => {}
        }
    }
    found.push(start..field.len());
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_goes_and_everything_else_stays() {
        let field = b"Content-Type: text/plain; charset=\"utf-8; hp=x\";\r\n hp-legacy-display=\"1\"; hp=\"cipher\"; (hp=) format=flowed\r\n";
        assert_eq!(
            String::from_utf8_lossy(&without(field, &["hp", "hp-legacy-display"])),
            "Content-Type: text/plain; charset=\"utf-8; hp=x\"; (hp=) format=flowed\r\n"
        );
    }

    #[test]
    fn a_parameter_is_added_once() {
        for field in
            [&b"Content-Type: text/plain; hp=clear\n"[..], b"Content-Type: text/plain;", b"content-type: text/plain; HP*0=x"]
        {
            let added = with(field, "hp", "cipher");
            assert!(
                added.eq_ignore_ascii_case(b"Content-Type: text/plain;\r\n hp=\"cipher\"\r\n"),
                "{}",
                String::from_utf8_lossy(&added)
            );
        }
    }

    #[test]
    fn a_field_that_cannot_take_it_is_written_anew() {
        let added = with(b"Content-Type: text/html; charset=\"utf-8\r\n", "hp", "clear");
        assert_eq!(String::from_utf8_lossy(&added), "Content-Type: text/html;\r\n charset=\"utf-8\";\r\n hp=\"clear\"\r\n");
        let added = with(b"Content-Type: text\r\n", "hp", "clear");
        assert_eq!(String::from_utf8_lossy(&added), "Content-Type: text/plain;\r\n charset=\"us-ascii\";\r\n hp=\"clear\"\r\n");
    }
}
