//! Lines of commands: they end in CRLF and in nothing else.

/// What stands at the front of the input.
#[derive(Debug, PartialEq, Eq)]
pub enum Line {
    /// A whole line, without its CRLF.
    Whole(Vec<u8>),
    /// A line that has a bare CR, a bare LF or a NUL in it.
    Malformed,
    /// A line over the bound; it was passed over to its end.
    TooLong,
    /// No end of line yet.
    Incomplete,
}

/// The text of a reply: printable ASCII on one line (RFC 5321 4.2, RFC 1939 3).
pub fn ascii(text: &str) -> String {
    let plain = |c: char| match c {
        '\u{2013}' => '-',
        ' '..='~' => c,
        c if c.is_control() => ' ',
        _ => '?',
    };
    text.chars().map(plain).collect()
}

/// The last bytes of a message that were sent, three at most: how its lines stand shows in them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::proto) struct Last {
    bytes: [u8; 3],
    count: usize,
}

impl Last {
    pub(in crate::proto) fn push(&mut self, piece: &[u8]) {
        let skip = piece.len().saturating_sub(3);
        for byte in piece.iter().skip(skip) {
            let [_, second, third] = self.bytes;
            self.bytes = [second, third, *byte];
        }
        self.count = self.count.saturating_add(piece.len());
    }

    /// Whether nothing was sent.
    pub(in crate::proto) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Before the first byte, too.
    pub(in crate::proto) fn is_line_begin(&self) -> bool {
        self.is_empty() || self.bytes.ends_with(b"\n")
    }

    pub(in crate::proto) fn is_line_end(&self) -> bool {
        self.bytes.ends_with(b"\r\n")
    }

    /// After the last byte of a line: an empty one ends the header section.
    pub(in crate::proto) fn is_header_over(&self) -> bool {
        self.bytes == *b"\n\r\n" || (self.count == 2 && self.bytes == *b"\0\r\n")
    }
}

/// Collects input and gives it line by line.
#[derive(Debug, Default)]
pub struct Lines {
    buffer: Vec<u8>,
    /// Bytes at the front in which no line ends: a line that comes byte by byte is not searched anew with each.
    searched: usize,
    /// A line was over the bound and its end has not come.
    skipping: bool,
}

impl Lines {
    /// Takes bytes from the peer.
    pub fn receive(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next line of at most `bound` bytes, its CRLF counted.
    pub fn next(&mut self, bound: usize) -> Line {
        let from = std::mem::take(&mut self.searched);
        let Some(at) = memchr::memchr(b'\n', self.buffer.get(from..).unwrap_or_default()) else {
            if self.buffer.len() > bound {
                self.skipping = true;
                self.buffer.clear();
            }
            self.searched = self.buffer.len();
            return Line::Incomplete;
        };
        let end = from.saturating_add(at);
        let line: Vec<u8> = self.buffer.drain(..=end).collect();
        if std::mem::take(&mut self.skipping) || line.len() > bound {
            return Line::TooLong;
        }
        match line.strip_suffix(b"\r\n") {
            Some(content) if !content.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)) => Line::Whole(content.to_vec()),
            _ => Line::Malformed,
        }
    }

    /// Whether the peer has sent more than was read.
    pub fn is_empty(&self) -> bool {
        self.buffer.is_empty() && !self.skipping
    }

    /// Takes everything that was not read.
    pub fn take(&mut self) -> Vec<u8> {
        self.searched = 0;
        std::mem::take(&mut self.buffer)
    }

    /// Takes so many of the bytes that were not read, at most.
    pub fn take_up_to(&mut self, count: u64) -> Vec<u8> {
        self.searched = 0;
        let rest = match usize::try_from(count) {
            Ok(count) if count < self.buffer.len() => self.buffer.split_off(count),
            _ => Vec::new(),
        };
        std::mem::replace(&mut self.buffer, rest)
    }

    /// Puts bytes back that belong to the next line.
    pub fn put_back(&mut self, bytes: Vec<u8>) {
        debug_assert!(self.buffer.is_empty(), "what was taken is put back before more comes");
        (self.buffer, self.searched) = (bytes, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_crlf_ends_a_line() {
        let mut lines = Lines::default();
        lines.receive(b"NOOP\r\nNO\rOP\r\nNOOP\nrest");
        assert_eq!(lines.next(100), Line::Whole(b"NOOP".to_vec()));
        assert_eq!(lines.next(100), Line::Malformed);
        assert_eq!(lines.next(100), Line::Malformed);
        assert_eq!(lines.next(100), Line::Incomplete);
    }

    #[test]
    fn what_was_searched_is_not_searched_again() {
        let mut lines = Lines::default();
        for (count, byte) in (1..).zip(b"NOOP\r") {
            lines.receive(&[*byte]);
            assert_eq!((lines.next(100), lines.searched), (Line::Incomplete, count));
        }
        lines.receive(b"\nQUIT\r\nX");
        assert_eq!(lines.next(100), Line::Whole(b"NOOP".to_vec()));
        assert_eq!(lines.next(100), Line::Whole(b"QUIT".to_vec()));
        assert_eq!((lines.next(100), lines.searched), (Line::Incomplete, 1));
        // what is taken out and put back is searched
        let mut taken = lines.take();
        taken.insert(0, b'\n');
        lines.put_back(taken);
        assert_eq!(lines.next(100), Line::Malformed);
        lines.receive(b"YZ\r\n");
        assert_eq!((lines.next(2), lines.take_up_to(9)), (Line::TooLong, Vec::new()));
    }

    #[test]
    fn an_endless_line_costs_no_memory_and_is_one_error() {
        let mut lines = Lines::default();
        for _ in 0..100 {
            lines.receive(&[b'x'; 1000]);
            assert_eq!(lines.next(512), Line::Incomplete);
            assert!(lines.buffer.len() <= 512);
        }
        lines.receive(b"x\r\nNOOP\r\n");
        assert_eq!(lines.next(512), Line::TooLong);
        assert_eq!(lines.next(512), Line::Whole(b"NOOP".to_vec()));
    }
}
