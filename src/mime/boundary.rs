//! The only code that finds a boundary (RFC 2046 5.1.1): at the start of a line, and filling it.

use std::ops::Range;

use memchr::memmem::Finder;

/// A delimiter line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::mime) struct Delimiter {
    /// The line, with the line break before it (which belongs to it) and the one after it.
    pub(in crate::mime) range: Range<usize>,
    /// Whether it ends the multipart.
    pub(in crate::mime) closes: bool,
}

/// What stands at the first place in a window that looks like a delimiter.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::mime) enum Found {
    /// A delimiter.
    Delimiter(Delimiter),
    /// Only more bytes tell.
    Unclear {
        /// No delimiter begins before this place.
        clear: usize,
        /// From where to search when there are more.
        from: usize,
    },
}

/// Finds the delimiters of one boundary, in a window that may grow at its end.
#[derive(Debug)]
pub(in crate::mime) struct Delimiters {
    finder: Option<Finder<'static>>,
    len: usize,
}

impl Delimiters {
    /// For the value of the parameter `boundary`. Trailing blanks are not part of it (RFC 2046 5.1.1); an empty one and one that is
    /// longer than a line delimit nothing.
    pub(in crate::mime) fn new(boundary: &str) -> Self {
        let boundary = boundary.trim_end().as_bytes();
        let needle = [b"--".as_slice(), boundary].concat();
        let is_usable = !boundary.is_empty() && boundary.len() <= LONGEST;
        Self { len: needle.len(), finder: is_usable.then(|| Finder::new(&needle).into_owned()) }
    }

    /// The first delimiter whose dashes stand at `from` or later. The window begins where the body does, or holds the two bytes before
    /// `from`.
    pub(in crate::mime) fn next(&self, window: &[u8], from: usize, end: End) -> Found {
        let all = Found::Unclear { clear: window.len(), from: window.len() };
        let Some(finder) = &self.finder else { return all };
        let mut from = from;
        while let Some(at) = window.get(from..).and_then(|rest| finder.find(rest)).and_then(|at| at.checked_add(from)) {
            match self.line_at(window, at, end) {
                Line::Delimiter(delimiter) => return Found::Delimiter(delimiter),
                Line::Unclear(start) => return Found::Unclear { clear: start, from: at },
                Line::Other => from = at.saturating_add(1),
            }
        }
        if end == End::Known {
            return all;
        }
        // the dashes may have begun, with a line break before them
        let from = from.max(window.len().saturating_sub(self.len.saturating_sub(1)));
        Found::Unclear { clear: from.saturating_sub(2), from }
    }

    /// What the line is whose dashes stand at `at`.
    fn line_at(&self, window: &[u8], at: usize, end: End) -> Line {
        let start = match window.get(..at) {
            Some([]) => 0,
            Some([.., b'\r', b'\n']) => at.saturating_sub(2),
            Some([.., b'\n']) => at.saturating_sub(1),
            _ => return Line::Other,
        };
        let after = window.get(at.saturating_add(self.len)..).unwrap_or_default();
        let (closes, rest) = match after.strip_prefix(b"--") {
            Some(rest) => (true, rest),
            None => (false, after),
        };
        let blanks = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).take(LONGEST).count();
        let rest = rest.get(blanks..).unwrap_or_default();
        let line_break = match (rest, end) {
            ([b'\n', ..], _) => 1,
            ([b'\r', b'\n', ..], _) => 2,
            ([], End::Known) => 0,
            ([] | [b'\r'], End::Open) => return Line::Unclear(start),
            ([b'-'], End::Open) if !closes && blanks == 0 => return Line::Unclear(start),
            _ => return Line::Other,
        };
        let end = window.len().saturating_sub(rest.len()).saturating_add(line_break);
        Line::Delimiter(Delimiter { range: start..end, closes })
    }
}

/// Whether a window ends where the body does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::mime) enum End {
    /// It does.
    Known,
    /// More may follow.
    Open,
}

enum Line {
    Delimiter(Delimiter),
    Unclear(usize),
    Other,
}

/// 998: the longest line (RFC 5322 2.1.1). Boundaries have 70 characters at most; blanks behind them are few.
const LONGEST: usize = 998;

/// Finds the delimiters of a boundary in a body, up to the one that closes.
pub(in crate::mime) fn scan(body: &[u8], boundary: &str) -> Vec<Delimiter> {
    let delimiters = Delimiters::new(boundary);
    let (mut found, mut from): (Vec<Delimiter>, usize) = (Vec::new(), 0);
    while let Found::Delimiter(delimiter) = delimiters.next(body, from, End::Known) {
        // the line break after a delimiter may be the one before the next
        from = delimiter.range.end;
        let closes = delimiter.closes;
        found.push(delimiter);
        if closes {
            break;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(body: &str, boundary: &str) -> Vec<String> {
        scan(body.as_bytes(), boundary).into_iter().map(|d| body[d.range].to_owned()).collect()
    }

    #[test]
    fn only_whole_lines_delimit() {
        assert_eq!(lines("--b\r\nx--b\r\n--bc\r\n --b\r\n--b--x\r\n\r\n--b-- \r\n--b\r\n", "b"), ["--b\r\n", "\r\n--b-- \r\n"]);
        assert_eq!(lines("a\n--b\t\nc\n--b--", "b"), ["\n--b\t\n", "\n--b--"]);
        assert!(lines("--b\rc", "b").is_empty());
    }

    #[test]
    fn an_open_end_is_unclear_until_the_line_is_whole() {
        let delimiters = Delimiters::new("b");
        for body in ["x\r\n--b", "x\r\n--b-", "x\r\n--b--", "x\r\n--b \t", "x\r\n--b\r"] {
            assert_eq!(delimiters.next(body.as_bytes(), 0, End::Open), Found::Unclear { clear: 1, from: 3 }, "{body:?}");
        }
        assert!(matches!(delimiters.next(b"x\r\n--b\r\n", 0, End::Open), Found::Delimiter(_)));
    }
}
