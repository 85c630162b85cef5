//! Strings of a script: literal, or with places for variables (RFC 5229 3, RFC 5228 2.4.2.4).

/// A string that is put together when the script runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Text(pub(super) Vec<Piece>);

/// A piece of a string.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    Literal(String),
    /// A variable, its name in lower case.
    Variable(String),
    /// What the wildcard of this number stood for in the last match.
    Capture(usize),
}

/// The largest number of a match variable. 31: Pigeonhole's; RFC 5229 3.2 asks for 9.
pub(super) const CAPTURES: usize = 32;

impl Text {
    /// A string without variables.
    pub(super) fn literal(text: &str) -> Self {
        Self(vec![Piece::Literal(text.to_owned())])
    }

    /// Finds the variables of a string; what only looks like one stays text. The error says what is wrong with one.
    ///
    /// ```text
    /// variable-ref  = "${" *namespace variable-name "}"
    /// variable-name = num-variable / identifier
    /// ```
    pub(super) fn with_variables(text: &str) -> Result<Self, String> {
        let (mut pieces, mut literal) = (Vec::new(), String::new());
        let mut rest = text;
        while let Some((before, from)) = rest.split_once("${") {
            // what may not stand in a name ends the search: a script of open braces is not read once for each
            let end = from.find(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '_' | '.')).unwrap_or(from.len());
            let (name, behind) = from.split_at_checked(end).unwrap_or((from, ""));
            let named = behind.strip_prefix('}').map(|after| (name, after)).filter(|(name, _)| is_reference(name));
            literal.push_str(before);
            let Some((name, after)) = named else {
                literal.push_str("${");
                rest = from;
                continue;
            };
            if !literal.is_empty() {
                pieces.push(Piece::Literal(std::mem::take(&mut literal)));
            }
            pieces.push(reference(name)?);
            rest = after;
        }
        literal.push_str(rest);
        if !literal.is_empty() || pieces.is_empty() {
            pieces.push(Piece::Literal(literal));
        }
        Ok(Self(pieces))
    }

    /// The text, where no variable is in it.
    pub(super) fn as_literal(&self) -> Option<&str> {
        match self.0.as_slice() {
            [Piece::Literal(text)] => Some(text),
            _ => None,
        }
    }
}

/// Whether a text is the name of a variable: a letter or `_`, then digits, too.
pub(super) fn is_identifier(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn is_number(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_reference(name: &str) -> bool {
    is_number(name) || name.split('.').enumerate().all(|(at, part)| is_identifier(part) || (at > 0 && is_number(part)))
}

fn reference(name: &str) -> Result<Piece, String> {
    if name.contains('.') {
        return Err(format!("no extension that is required here has variables like ${{{name}}}"));
    }
    if !is_number(name) {
        return Ok(Piece::Variable(name.to_ascii_lowercase()));
    }
    match name.parse().ok().filter(|number| *number < CAPTURES) {
        Some(number) => Ok(Piece::Capture(number)),
        None => Err(format!("${{{name}}} is more than wildcards are counted – the last is ${{{}}}", CAPTURES.saturating_sub(1))),
    }
}

/// Puts in the characters that `${hex: 40}` and `${unicode: 40}` name (RFC 5228 2.4.2.4); what is not written so stays.
pub(super) fn decode_characters(text: &str) -> Result<String, String> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, from) = rest.split_at_checked(at).unwrap_or((rest, ""));
        out.extend_from_slice(before.as_bytes());
        match encoded(from)? {
            Some((bytes, after)) => {
                out.extend_from_slice(&bytes);
                rest = after;
            }
            None => {
                out.extend_from_slice(b"${");
                rest = from.get(2..).unwrap_or_default();
            }
        }
    }
    out.extend_from_slice(rest.as_bytes());
    String::from_utf8(out).map_err(|_| "the bytes that ${hex:…} names make no UTF-8 text".to_owned())
}

fn encoded(from: &str) -> Result<Option<(Vec<u8>, &str)>, String> {
    let inner = from.get(2..).unwrap_or_default();
    let end = inner.find(|c: char| !c.is_ascii_alphanumeric() && !c.is_ascii_whitespace() && c != ':').unwrap_or(inner.len());
    let (inner, behind) = inner.split_at_checked(end).unwrap_or((inner, ""));
    let Some(after) = behind.strip_prefix('}') else { return Ok(None) };
    let Some((kind, numbers)) = inner.split_once(':') else { return Ok(None) };
    let is_hex = kind.eq_ignore_ascii_case("hex");
    if !is_hex && !kind.eq_ignore_ascii_case("unicode") {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    for number in numbers.split_ascii_whitespace() {
        let digits = if is_hex { 2 } else { 8 };
        let fits = number.len() <= digits && number.bytes().all(|byte| byte.is_ascii_hexdigit());
        let Some(value) = fits.then(|| u32::from_str_radix(number, 16).ok()).flatten() else { return Ok(None) };
        match u8::try_from(value) {
            Ok(byte) if is_hex => bytes.push(byte),
            _ => match char::from_u32(value) {
                Some(c) => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
                None => return Err(format!("${{unicode:{number}}} is no character of Unicode")),
            },
        }
    }
    if bytes.contains(&0) {
        return Err(format!("${{{inner}}} is a NUL, which no string may hold"));
    }
    Ok((!bytes.is_empty()).then_some((bytes, after)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_found_and_what_looks_like_one_stays() {
        let text = Text::with_variables("a${B}c${1}${ x}${${d}").expect("fine");
        let literal = |text: &str| Piece::Literal(text.to_owned());
        let variable = |name: &str| Piece::Variable(name.to_owned());
        assert_eq!(text.0, [literal("a"), variable("b"), literal("c"), Piece::Capture(1), literal("${ x}${"), variable("d")]);
        assert!(Text::with_variables("${a.b}").expect_err("a namespace").contains("no extension"));
        assert!(Text::with_variables("${32}").expect_err("large").contains("${31}"));
    }

    #[test]
    fn characters_are_decoded_as_in_the_examples_of_the_standard() {
        for (text, is) in [
            ("$${hex:40}", "$@"),
            ("${hex: 40 }", "@"),
            ("${HEX: 40}", "@"),
            ("${hex:40", "${hex:40"),
            ("${hex:400}", "${hex:400}"),
            ("${hex:4${hex:30}}", "${hex:40}"),
            ("${unicode:40}", "@"),
            ("${ unicode:40}", "${ unicode:40}"),
            ("${Unicode:Cool}", "${Unicode:Cool}"),
            ("${hex:c3 a9}", "é"),
        ] {
            assert_eq!(decode_characters(text).as_deref(), Ok(is), "{text}");
        }
        assert!(decode_characters("${unicode:200000}").is_err());
        assert!(decode_characters("${hex:ff}").is_err());
        for nul in ["${hex:00}", "${unicode:0}", "${hex:40 0}"] {
            assert!(decode_characters(nul).expect_err(nul).contains("NUL"), "{nul}");
        }
    }
}
