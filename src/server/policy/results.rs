//! Authentication-Results (RFC 8601): what was checked is written, and what others wrote in our name is taken out.

use std::borrow::Cow;

/// One method's result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::server) struct Line {
    /// `spf`, `dkim`, `dmarc`, `arc`, `iprev`.
    pub(in crate::server) method: &'static str,
    /// `pass`, `fail`, `none` …
    pub(in crate::server) result: &'static str,
    /// Why, in plain words; empty where there is nothing to say.
    pub(in crate::server) reason: String,
    /// What was looked at: `smtp.mailfrom` and its value.
    pub(in crate::server) properties: Vec<(&'static str, String)>,
}

/// The field, with its line end, under the name of this host.
pub(in crate::server) fn field(host: &str, lines: &[Line]) -> String {
    let mut field = format!("Authentication-Results: {}", value(host));
    if lines.is_empty() {
        field.push_str("; none");
    }
    for line in lines {
        field.push_str(&format!(";\r\n {}={}", line.method, line.result));
        if !line.reason.is_empty() {
            field.push_str(&format!(" reason={}", quoted(&line.reason)));
        }
        for (property, of) in &line.properties {
            field.push_str(&format!("\r\n  {property}={}", value(of)));
        }
    }
    field.push_str("\r\n");
    field
}

/// The field by which filters know what is to be put aside.
pub(in crate::server) const QUARANTINE: &str = "X-Quarantine";

/// A header section without the fields that only this host may write (RFC 8601 5); nothing else of it is touched. Borrowed where there is none.
///
/// What follows the empty line is content, and stays.
pub(in crate::server) fn without_forged<'m>(message: &'m [u8], host: &str) -> Cow<'m, [u8]> {
    let mut kept: Vec<&[u8]> = Vec::new();
    let (mut from, mut at, mut has_forged) = (0, 0, false);
    while let Some(field) = next_field(message, at) {
        let end = at.saturating_add(field.len());
        if is_of(field, host) {
            kept.extend(message.get(from..at));
            (from, has_forged) = (end, true);
        }
        at = end;
    }
    if !has_forged {
        return Cow::Borrowed(message);
    }
    kept.extend(message.get(from..));
    Cow::Owned(kept.concat())
}

/// The field that begins here, with its folded lines; none at the empty line that ends the section. A CR alone ends a line as well: binary messages may
/// hold one, and some readers go on behind it.
fn next_field(message: &[u8], at: usize) -> Option<&[u8]> {
    let rest = message.get(at..).filter(|rest| !rest.is_empty() && !rest.starts_with(b"\r\n") && !rest.starts_with(b"\n"))?;
    let mut end = 0_usize;
    loop {
        let line = rest.get(end..)?;
        let stop = memchr::memchr2(b'\r', b'\n', line);
        let length = stop.map_or(line.len(), |at| {
            let is_crlf = line.get(at..).is_some_and(|stop| stop.starts_with(b"\r\n"));
            at.saturating_add(if is_crlf { 2 } else { 1 })
        });
        end = end.saturating_add(length);
        if !matches!(rest.get(end), Some(b' ' | b'\t')) {
            return rest.get(..end);
        }
    }
}

/// Whether a field is one that only this host may write: Authentication-Results in its name, or the mark of quarantine. One that cannot be read is taken for it: a reader more lenient than this one
/// must not find our name where it was not found here.
fn is_of(field: &[u8], host: &str) -> bool {
    let text = String::from_utf8_lossy(field);
    let Some((name, rest)) = text.split_once(':') else { return false };
    if name.trim().eq_ignore_ascii_case(QUARANTINE) {
        return true;
    }
    if !name.trim().eq_ignore_ascii_case("authentication-results") {
        return false;
    }
    match identifier(rest) {
        Some(of) => of.trim_end_matches('.').eq_ignore_ascii_case(host.trim_end_matches('.')),
        None => true,
    }
}

/// The authserv-id: a token or a quoted string, with comments around it (RFC 8601 2.2).
fn identifier(text: &str) -> Option<String> {
    let (mut found, mut depth, mut is_quoted, mut was_quoted) = (String::new(), 0_usize, false, false);
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' if is_quoted => found.push(letters.next()?),
            '\\' if depth > 0 => drop(letters.next()?),
            '"' if depth == 0 => (is_quoted, was_quoted) = (!is_quoted, true),
            _ if is_quoted => found.push(letter),
            '(' => depth = depth.saturating_add(1),
            ')' => depth = depth.checked_sub(1)?,
            _ if depth > 0 => {}
            ';' => break,
            // a version may follow it
            _ if letter.is_whitespace() && !found.is_empty() => break,
            _ if letter.is_whitespace() => {}
            _ => found.push(letter),
        }
    }
    (!is_quoted && depth == 0 && (was_quoted || !found.is_empty())).then_some(found)
}

/// A token as it is, anything else in quotes: nobody's address or domain ends the field or opens another.
fn value(text: &str) -> Cow<'_, str> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-./=@^_`{|}~:".contains(&byte);
    if (1..=MAX_VALUE).contains(&text.len()) && text.bytes().all(is_plain) {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(quoted(text))
    }
}

fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for letter in text.chars().take(MAX_VALUE).filter(|letter| !letter.is_control()) {
        if matches!(letter, '"' | '\\') {
            out.push('\\');
        }
        out.push(letter);
    }
    out.push('"');
    out
}

/// A line has 998 bytes (RFC 5322 2.1.1); addresses have 254 at most.
const MAX_VALUE: usize = 300;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_written_so_that_nobody_writes_into_them() {
        let line = Line {
            method: "spf",
            result: "fail",
            reason: String::new(),
            properties: vec![
                ("smtp.mailfrom", "a\"; dkim=pass\r\nX: y@evil.example".to_owned()),
                ("smtp.helo", "mail.example".to_owned()),
            ],
        };
        assert_eq!(
            field("mx.our.example", &[line]),
            "Authentication-Results: mx.our.example;\r\n spf=fail\r\n  smtp.mailfrom=\"a\\\"; dkim=passX: y@evil.example\"\r\n  \
             smtp.helo=mail.example\r\n"
        );
        assert_eq!(field("mx.our.example", &[]), "Authentication-Results: mx.our.example; none\r\n");
    }

    #[test]
    fn what_others_wrote_in_our_name_is_taken_out_and_nothing_else() {
        let message = b"Received: x\r\nAuthentication-Results: mx.our.example;\r\n\tdkim=pass\r\nFrom: a\r\n\
                        authentication-results : (hi \\) there) \"MX.Our.example\" 1; spf=pass\r\n\
                        Authentication-Results: other.example; spf=pass reason=\"mx.our.example\"\r\n\
                        Authentication-Results:\r\n (comment)\r\n mx.our.example.; none\r\n\
                        Authentication-Results: (open\r\nARC-Authentication-Results: i=1; mx.our.example; none\r\n\
                        x-quarantine: none\r\nSubject: b\r\n\r\nAuthentication-Results: mx.our.example; content\r\n";
        let left = without_forged(message, "mx.our.example");
        assert_eq!(
            String::from_utf8_lossy(&left),
            "Received: x\r\nFrom: a\r\nAuthentication-Results: other.example; spf=pass reason=\"mx.our.example\"\r\n\
             ARC-Authentication-Results: i=1; mx.our.example; none\r\nSubject: b\r\n\r\n\
             Authentication-Results: mx.our.example; content\r\n"
        );
    }

    #[test]
    fn a_carriage_return_alone_hides_none_and_a_long_value_makes_no_long_line() {
        let message = b"X: a\rAuthentication-Results: mx.our.example; dkim=pass\r b\r\nFrom: a\r\n\r\nb";
        assert_eq!(String::from_utf8_lossy(&without_forged(message, "mx.our.example")), "X: a\rFrom: a\r\n\r\nb");
        let properties = vec![("header.d", "a".repeat(10_000)), ("header.s", "\"".repeat(10_000))];
        let long = field("mx.our.example", &[Line { method: "dkim", result: "fail", reason: "\\".repeat(10_000), properties }]);
        assert!(long.lines().all(|line| line.len() <= 998), "{}", long.len());
    }

    #[test]
    fn a_message_without_any_is_not_copied() {
        for message in ["From: a\r\n\r\nb", "From: a", "", "\r\nAuthentication-Results: mx.our.example; x"] {
            assert!(matches!(without_forged(message.as_bytes(), "mx.our.example"), Cow::Borrowed(_)), "{message}");
        }
    }
}
