//! Content-Type and Content-Disposition values (RFC 2045 5.1, RFC 2231).

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use crate::mime::text;

/// A type, a subtype and parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentType {
    /// The type, in lower case.
    pub kind: String,
    /// The subtype, in lower case.
    pub subtype: String,
    /// The parameters; names in lower case.
    pub parameters: Vec<(String, String)>,
    /// Whether a parameter stands in two ways, of which programs take one or the other.
    pub is_ambiguous: bool,
}

impl ContentType {
    /// `text/plain`, which a part without Content-Type is.
    pub fn text_plain() -> Self {
        Self::bare("text", "plain")
    }

    /// `message/rfc822`, which a part of multipart/digest without Content-Type is.
    pub fn message() -> Self {
        Self::bare("message", "rfc822")
    }

    fn bare(kind: &str, subtype: &str) -> Self {
        Self { kind: kind.to_owned(), subtype: subtype.to_owned(), parameters: Vec::new(), is_ambiguous: false }
    }

    /// Reads a value; `None` where it names no type.
    pub fn parse(value: &str) -> Option<Self> {
        let (essence, parameters, is_ambiguous) = split_parameters(value);
        let (kind, subtype) = essence.split_once('/')?;
        let token = |text: &str| text.trim().to_ascii_lowercase();
        let (kind, subtype) = (token(kind), token(subtype));
        let is_token =
            |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?=".contains(&b));
        if !is_token(&kind) || !is_token(&subtype) {
            return None;
        }
        Some(Self { kind, subtype, parameters, is_ambiguous })
    }

    /// Whether it is this type and subtype.
    pub fn is(&self, kind: &str, subtype: &str) -> bool {
        self.kind == kind && self.subtype == subtype
    }

    /// Whether it is a multipart.
    pub fn is_multipart(&self) -> bool {
        self.kind == "multipart"
    }

    /// A parameter.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// `type/subtype`.
    pub fn essence(&self) -> String {
        format!("{}/{}", self.kind, self.subtype)
    }
}

/// Splits a value into its first word and its parameters; RFC 2231 pieces are joined and decoded. Says whether programs may take other
/// values: a parameter that stands twice, in two forms that differ, or with a piece missing.
pub(in crate::mime) fn split_parameters(value: &str) -> (String, Vec<(String, String)>, bool) {
    let mut pieces = split_outside_quotes(value).into_iter();
    let first = pieces.next().unwrap_or_default().trim().to_owned();
    let mut plain: Vec<(String, String)> = Vec::new();
    let mut seen: HashSet<String> = HashSet::new();
    // few parameters are looked through; of many, as only an attacker writes them, a set is made
    let mut is_known = |name: &str, plain: &[(String, String)]| {
        if plain.len() < 16 {
            return plain.iter().any(|(known, _)| known == name);
        }
        seen.extend(plain.get(seen.len()..).unwrap_or_default().iter().map(|(known, _)| known.clone()));
        seen.contains(name)
    };
    let mut is_ambiguous = false;
    // name, piece number, whether percent-encoded, value
    let mut extended: Vec<(String, u32, bool, String)> = Vec::new();
    for piece in pieces {
        let Some((name, value)) = piece.split_once('=') else { continue };
        let name = name.trim().to_ascii_lowercase();
        let value = unquote(value.trim());
        match name.split_once('*') {
            None if is_known(&name, &plain) => is_ambiguous = true,
            None => plain.push((name, value)),
            Some((base, "")) => extended.push((base.to_owned(), 0, true, value)),
            Some((base, rest)) => {
                let (number, is_encoded) = rest.strip_suffix('*').map_or((rest, false), |number| (number, true));
                if let Ok(number) = number.parse() {
                    extended.push((base.to_owned(), number, is_encoded, value));
                }
            }
        }
    }
    extended.sort_by(|a, b| (&a.0, a.1).cmp(&(&b.0, b.1)));
    let mut joined: Vec<(String, Vec<u8>, String)> = Vec::new();
    let mut next = 0_u32;
    for (name, number, is_encoded, value) in extended {
        if joined.last().is_none_or(|(known, ..)| *known != name) {
            next = 0;
        }
        // a piece that is missing ends the value; one that stands twice counts once
        if number != next {
            is_ambiguous = true;
            continue;
        }
        next = next.saturating_add(1);
        let mut charset = String::new();
        let mut rest = value.as_str();
        if is_encoded && number == 0 {
            let mut parts = value.splitn(3, '\'');
            if let (Some(set), Some(_), Some(text)) = (parts.next(), parts.next(), parts.next()) {
                (charset, rest) = (set.to_owned(), text);
            }
        }
        let bytes = if is_encoded { percent_decode(rest) } else { rest.as_bytes().to_vec() };
        match joined.last_mut() {
            Some((known, all, _)) if *known == name => all.extend(bytes),
            _ => joined.push((name, bytes, charset)),
        }
    }
    let joined: Vec<(String, String)> =
        joined.into_iter().map(|(name, bytes, charset)| (name, text::decode_charset(&bytes, &charset))).collect();
    let better: HashMap<&str, &str> = joined.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    // a name may stand in ASCII beside its full form (RFC 6266 4.3); nothing else has reason to
    let differs = |(name, value): &(String, String)| {
        !matches!(name.as_str(), "name" | "filename") && better.get(name.as_str()).is_some_and(|other| other != value)
    };
    is_ambiguous |= plain.iter().any(differs);
    plain.retain(|(name, _)| !better.contains_key(name.as_str()));
    plain.extend(joined);
    (first, plain, is_ambiguous)
}

/// Splits at semicolons outside of quoted strings and comments; comments are dropped.
fn split_outside_quotes(value: &str) -> Vec<Cow<'_, str>> {
    if value.contains('(') {
        return without_comments(value).into_iter().map(Cow::Owned).collect();
    }
    let mut pieces = Vec::new();
    let (mut start, mut quoted, mut escaped) = (0, false, false);
    for (at, byte) in value.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b';' if !quoted => {
                pieces.push(Cow::Borrowed(value.get(start..at).unwrap_or_default()));
                start = at.saturating_add(1);
            }
            _ => {}
        }
    }
    pieces.push(Cow::Borrowed(value.get(start..).unwrap_or_default()));
    pieces
}

fn without_comments(value: &str) -> Vec<String> {
    let mut pieces = vec![String::new()];
    let (mut quoted, mut comment, mut escaped) = (false, 0_u32, false);
    for c in value.chars() {
        let Some(piece) = pieces.last_mut() else { break };
        if escaped {
            escaped = false;
            if comment == 0 {
                piece.push(c);
            }
            continue;
        }
        match c {
            '\\' if quoted || comment > 0 => {
                escaped = true;
                if comment == 0 {
                    piece.push(c);
                }
            }
            '"' if comment == 0 => {
                quoted = !quoted;
                piece.push(c);
            }
            '(' if !quoted => comment = comment.saturating_add(1),
            ')' if !quoted && comment > 0 => comment = comment.saturating_sub(1),
            ';' if !quoted && comment == 0 => pieces.push(String::new()),
            c if comment == 0 => piece.push(c),
            _ => {}
        }
    }
    pieces
}

fn unquote(value: &str) -> String {
    let Some(inner) = value.strip_prefix('"') else { return value.to_owned() };
    let mut out = String::new();
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => out.extend(chars.next()),
            '"' => break,
            c => out.push(c),
        }
    }
    out
}

fn percent_decode(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let mut ahead = bytes.clone();
        let digit = |byte: Option<u8>| byte.and_then(|b| char::from(b).to_digit(16)).and_then(|d| u8::try_from(d).ok());
        if byte == b'%'
            && let (Some(high), Some(low)) = (digit(ahead.next()), digit(ahead.next()))
        {
            out.push(high << 4 | low);
            bytes = ahead;
            continue;
        }
        out.push(byte);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_read_with_quotes_comments_and_pieces() {
        let t = ContentType::parse(
            "Multipart/Signed (x); boundary=\"a;b\\\"c\"; micalg=sha-256; name*0*=utf-8''%e4%bd; name*1*=%a0; x=1; x=2",
        );
        let t = t.expect("a type");
        assert!(t.is("multipart", "signed"));
        assert_eq!(t.parameter("boundary"), Some("a;b\"c"));
        assert_eq!(t.parameter("name"), Some("你"));
        assert_eq!(t.parameter("x"), Some("1"));
        assert_eq!(ContentType::parse("text"), None);
    }

    #[test]
    fn values_without_comments_are_split_as_those_with_comments() {
        for value in ["", ";", "a", "a;b", "a; \"b;c\"; d", r#"a;"b\";c";d"#, r#"a;b\;c"#, r#"a;"b\"#, "a;\"", "ä;\"ö;\";ü;"] {
            assert_eq!(split_outside_quotes(value), without_comments(value), "{value}");
        }
    }

    #[test]
    fn many_parameters_are_told_apart() {
        let value = format!("a/b; {}P39=x", (0..40).map(|n| format!("p{n}={n}; ")).collect::<String>());
        let found = ContentType::parse(&value).expect("a type");
        assert_eq!(found.parameters.len(), 40);
        assert_eq!(found.parameter("p39"), Some("39"));
        assert!(found.is_ambiguous, "the last stands twice");
    }

    #[test]
    fn a_parameter_that_programs_read_differently_is_said() {
        let of = |value: &str| ContentType::parse(&format!("a/b; {value}")).expect("a type");
        for value in ["x=1; x=2", "x=1; X=1", "x=1; x*=utf-8''2", "x*0=a; x*0=b", "x*0=a; x*2=c", "x*1=b"] {
            assert!(of(value).is_ambiguous, "{value}");
        }
        for value in ["x=1", "x=1; y=2", "x*0=a; x*1=b", "name=\"?.pdf\"; name*=utf-8''%e4%bd%a0.pdf", "x=1; x*=utf-8''1"] {
            assert!(!of(value).is_ambiguous, "{value}");
        }
        assert_eq!(of("x*0=a; x*2=c").parameter("x"), Some("a"));
    }

    #[test]
    fn a_megabyte_of_parameters_is_read_in_no_time() {
        let plain: String = (0..100_000).map(|i| format!(";a{i}=;b{i}*=")).collect();
        let t = ContentType::parse(&format!("text/plain{plain}")).expect("a type");
        assert_eq!(t.parameters.len(), 200_000);
    }
}
