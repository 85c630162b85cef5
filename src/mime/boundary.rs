//! The only code that finds a boundary (RFC 2046 5.1.1): at the start of a line, and filling it.

use std::ops::Range;

use memchr::memmem;

/// A delimiter line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::mime) struct Delimiter {
    /// The line, with the line break before it (which belongs to it) and the one after it.
    pub(in crate::mime) range: Range<usize>,
    /// Whether it ends the multipart.
    pub(in crate::mime) closes: bool,
}

/// Finds the delimiters of a boundary in a body, up to the one that closes.
pub(in crate::mime) fn scan(body: &[u8], boundary: &[u8]) -> Vec<Delimiter> {
    let mut found = Vec::new();
    if boundary.is_empty() {
        return found;
    }
    let needle = [b"--".as_slice(), boundary].concat();
    for at in memmem::find_iter(body, &needle) {
        let Some(delimiter) = delimiter_at(body, at, needle.len()) else { continue };
        let closes = delimiter.closes;
        found.push(delimiter);
        if closes {
            break;
        }
    }
    found
}

/// The delimiter whose dashes stand at `at`, if this is a whole line.
fn delimiter_at(body: &[u8], at: usize, len: usize) -> Option<Delimiter> {
    let start = match body.get(..at)? {
        [] => 0,
        [.., b'\r', b'\n'] => at.checked_sub(2)?,
        [.., b'\n'] => at.checked_sub(1)?,
        _ => return None,
    };
    let after = body.get(at.checked_add(len)?..)?;
    let (closes, rest) = match after.strip_prefix(b"--") {
        Some(rest) => (true, rest),
        None => (false, after),
    };
    let blanks = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    let rest = rest.get(blanks..)?;
    let line_break = match rest {
        [] => 0,
        [b'\n', ..] => 1,
        [b'\r', b'\n', ..] => 2,
        _ => return None,
    };
    let end = body.len().checked_sub(rest.len())?.checked_add(line_break)?;
    Some(Delimiter { range: start..end, closes })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(body: &str, boundary: &str) -> Vec<String> {
        scan(body.as_bytes(), boundary.as_bytes()).into_iter().map(|d| body[d.range].to_owned()).collect()
    }

    #[test]
    fn only_whole_lines_delimit() {
        assert_eq!(lines("--b\r\nx--b\r\n--bc\r\n --b\r\n--b--x\r\n\r\n--b-- \r\n--b\r\n", "b"), ["--b\r\n", "\r\n--b-- \r\n"]);
        assert_eq!(lines("a\n--b\t\nc\n--b--", "b"), ["\n--b\t\n", "\n--b--"]);
        assert!(lines("--b\rc", "b").is_empty());
    }
}
