//! Whether relays leave bytes alone.

use super::wide;

/// Whether relays leave these bytes alone: ASCII, lines of at most 998 bytes that end in CRLF, no blanks at their ends, none that
/// begins with `From ` or is a lone dot, at which careless gateways end the message.
pub fn is_safe(bytes: &[u8]) -> bool {
    let mut scan = SafeScan::new();
    // block by block, so that memory is read once for all questions
    bytes.chunks(BLOCK).for_each(|block| scan.update(block));
    scan.finish()
}

/// Asks of bytes that go by what [`is_safe`] asks.
#[derive(Debug, Clone)]
pub(crate) struct SafeScan {
    is_safe: bool,
    /// The last bytes of what went by; at the start, the line break that a first line follows.
    edge: [u8; EDGE],
    /// Bytes of the line that is not ended.
    line: usize,
}

/// Bytes of a line break and `From`, which may lie across two pieces.
const EDGE: usize = 6;
/// The longest line, its CR included (RFC 5322 2.1.1).
const LINE: usize = 999;
/// Bytes that stay in the processor's nearest cache.
const BLOCK: usize = 16 << 10;

impl SafeScan {
    /// Starts at the beginning of a line.
    pub(crate) fn new() -> Self {
        Self { is_safe: true, edge: *b"....\r\n", line: 0 }
    }

    /// Whether all that went by is safe so far.
    pub(crate) fn is_safe(&self) -> bool {
        self.is_safe
    }

    /// Looks at more.
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        for block in bytes.chunks(BLOCK) {
            if !self.is_safe {
                return;
            }
            self.block(block);
        }
    }

    /// Whether all was safe, the end included.
    pub(crate) fn finish(&self) -> bool {
        self.is_safe && self.line < LINE && !matches!(self.edge.last(), Some(b'\r' | b' ' | b'\t'))
    }

    fn block(&mut self, block: &[u8]) {
        let (head, _) = block.split_at(block.len().min(EDGE));
        let across = [self.edge.as_slice(), head].concat();
        self.is_safe = is_clean(&across) && is_clean(block) && self.lines(block);
        let kept = across.get(across.len().saturating_sub(EDGE)..).unwrap_or_default();
        let last = if block.len() >= EDGE { block.get(block.len().saturating_sub(EDGE)..).unwrap_or_default() } else { kept };
        self.edge.iter_mut().zip(last).for_each(|(to, from)| *to = *from);
    }

    /// Whether no line is too long; looks at one line break in a thousand bytes.
    fn lines(&mut self, block: &[u8]) -> bool {
        let mut rest = block;
        loop {
            let room = LINE.saturating_sub(self.line);
            let window = rest.get(..rest.len().min(room.saturating_add(1))).unwrap_or_default();
            match memchr::memrchr(b'\n', window) {
                Some(at) => {
                    rest = rest.get(at.saturating_add(1)..).unwrap_or_default();
                    self.line = 0;
                }
                None => {
                    self.line = self.line.saturating_add(rest.len());
                    return self.line <= LINE;
                }
            }
        }
    }
}

/// Whether bytes are ASCII without NUL, every LF follows a CR and every CR comes before an LF and after no blank, and no line begins
/// with `From ` or is a lone dot; the first and the last byte are looked at from inside only.
fn is_clean(bytes: &[u8]) -> bool {
    let is_in = |what: &[u8]| memchr::memmem::find(bytes, what).is_some();
    let seen = wide(Scan(bytes));
    !seen.is_bad && (!seen.may_be_from || !(is_in(b"\nFrom ") || is_in(b"\n.\r")))
}

/// Looks at all bytes.
struct Scan<'a>(&'a [u8]);

impl pulp::NullaryFnOnce for Scan<'_> {
    type Output = Seen;

    #[inline(always)]
    fn call(self) -> Seen {
        Seen::of(self.0)
    }
}

/// What may not be in bytes that stay as they are.
struct Seen {
    /// A byte that is not ASCII, or NUL; a line end that is not CRLF, or follows a blank.
    is_bad: bool,
    /// What may be `From ` or a lone dot at the beginning of a line.
    may_be_from: bool,
}

impl Seen {
    /// Without a branch in the loop, so that the compiler takes many bytes at once.
    #[inline(always)]
    fn of(bytes: &[u8]) -> Self {
        let (first, second, third) = (bytes, bytes.get(1..).unwrap_or_default(), bytes.get(2..).unwrap_or_default());
        let triples = first.iter().zip(second).zip(third);
        let (odd, pairs, from) = triples.fold((0_u8, 0_u8, 0_u8), |(odd, pairs, from), ((a, b), c)| {
            let may_be_from = (*a == b'\n') & (((*b == b'F') & (*c == b'r')) | (*b == b'.'));
            (odd.max(oddness(*a)), pairs | u8::from(is_bad_pair(*a, *b)), from | u8::from(may_be_from))
        });
        // the loop looks at all triples: the last two bytes, and the pair that they are, are left
        let last = bytes.get(bytes.len().saturating_sub(2)..).unwrap_or_default();
        let odd = last.iter().fold(odd, |odd, byte| odd.max(oddness(*byte)));
        let is_bad_end = matches!(last, [a, b] if is_bad_pair(*a, *b));
        Self { is_bad: odd >= oddness(0x80) || pairs != 0 || is_bad_end, may_be_from: from != 0 }
    }
}

/// At least as much as of 0x80 for what is not ASCII, and for NUL.
#[inline(always)]
fn oddness(byte: u8) -> u8 {
    byte.wrapping_sub(1)
}

/// Whether these are a part of a line end that is not CRLF, or a blank before one.
#[inline(always)]
fn is_bad_pair(a: u8, b: u8) -> bool {
    ((a == b'\r') != (b == b'\n')) | ((b == b'\r') & ((a == b' ') | (a == b'\t')))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same question, asked line by line.
    fn plainly(bytes: &[u8]) -> bool {
        let mut lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
        let last = lines.pop().expect("one at least");
        let ended = lines.iter().all(|line| line.ends_with(b"\r"));
        let contents = lines.iter().map(|line| line.strip_suffix(b"\r").unwrap_or(line)).chain([last]);
        let is_good = |line: &[u8]| {
            let blank = line.ends_with(b" ") || line.ends_with(b"\t");
            line.len() <= 998 && !blank && !line.starts_with(b"From ") && !line.contains(&b'\r')
        };
        // a dot that ends the text without a line break ends no message
        let is_dot = bytes.starts_with(b".\r\n") || bytes.windows(4).any(|four| four == b"\n.\r\n");
        bytes.is_ascii() && !bytes.contains(&0) && ended && !is_dot && contents.into_iter().all(is_good)
    }

    #[test]
    fn the_scan_says_what_a_look_at_each_line_says() {
        let long = |len: usize| format!("a\r\n{}\r\nb", "x".repeat(len));
        let mut texts: Vec<String> = [
            "",
            "a",
            "From ",
            "From me",
            "xFrom ",
            "a\r\nFrom b",
            "a\r\nFro",
            "a\nb",
            "a\rb",
            "a\r",
            "a ",
            "a\t\r\nb",
            "a \r\n",
            "\r\n",
            "\n",
            "\r\n\r\n",
            "gr\u{fc}n",
            "a\0b",
            "a\r\r\nb",
            " \r\n",
            "Fr\r\nFrom:",
            ".\r\n",
            "a\r\n.\r\nb",
            "a\r\n..\r\n.b\r\n.",
        ]
        .map(str::to_owned)
        .to_vec();
        texts.extend([997, 998, 999, 1000, 5000].map(long));
        texts.extend([998, 999, 1000].map(|len| "x".repeat(len)));
        for text in &texts {
            let expected = plainly(text.as_bytes());
            assert_eq!(is_safe(text.as_bytes()), expected, "{text:?}");
            for piece in [1, 2, 3, 5, 6, 7, 11] {
                let mut scan = SafeScan::new();
                text.as_bytes().chunks(piece).for_each(|chunk| scan.update(chunk));
                assert_eq!(scan.finish(), expected, "{text:?} in pieces of {piece}");
            }
        }
    }
}
