//! The message after DATA: dots undone, one end and no other (RFC 5321 4.5.2, 4.1.1.4).

/// Collects a message up to CRLF.CRLF.
#[derive(Debug)]
pub(in crate::proto::smtp) struct Data {
    message: Vec<u8>,
    bound: u64,
    too_large: bool,
    has_bare: bool,
    /// The line that is being read, without what was handed on.
    line: Vec<u8>,
}

/// What became of the message.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::proto::smtp) enum Ended {
    /// It is whole.
    Whole(Vec<u8>),
    /// It is over the bound.
    TooLarge,
    /// It holds a CR or an LF alone: other servers take these for line ends, and then one message becomes two (smuggling).
    BareLineEnd,
}

/// A line may be longer than RFC 5321's 1 000 bytes, as real mail is, but not endless: at this length it is handed on in pieces.
const PIECE: usize = 64 << 10;

impl Data {
    pub(in crate::proto::smtp) fn new(bound: u64) -> Self {
        Self { message: Vec::new(), bound, too_large: false, has_bare: false, line: Vec::new() }
    }

    /// Bytes that are held.
    pub(in crate::proto::smtp) fn held(&self) -> usize {
        self.message.len().saturating_add(self.line.len())
    }

    /// Takes bytes; gives how the message ended, and the bytes after its end.
    pub(in crate::proto::smtp) fn receive(&mut self, bytes: &[u8]) -> Option<(Ended, Vec<u8>)> {
        let mut rest = bytes;
        while let Some(at) = rest.iter().position(|byte| *byte == b'\n') {
            let (head, tail) = rest.split_at(at.saturating_add(1));
            self.line.extend_from_slice(head);
            rest = tail;
            if self.line == b".\r\n" && self.ends_line() {
                return Some((self.ended(), rest.to_vec()));
            }
            // an LF without its CR ends nothing
            if self.line.ends_with(b"\r\n") {
                self.take_line();
            } else {
                self.has_bare = true;
                self.take_line();
            }
        }
        self.line.extend_from_slice(rest);
        if self.line.len() > PIECE {
            // the last byte stays: it may be the CR of a line end
            let keep = self.line.split_off(self.line.len().saturating_sub(1));
            self.take_line();
            self.line = keep;
        }
        None
    }

    /// Whether what was taken so far ends in CRLF, so that a lone dot now ends the message.
    fn ends_line(&self) -> bool {
        self.message.is_empty() || self.message.ends_with(b"\r\n")
    }

    fn take_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        let content = line.strip_suffix(b"\r\n").unwrap_or(&line);
        self.has_bare |= content.contains(&b'\r');
        let at_start = self.ends_line();
        let unstuffed = match line.strip_prefix(b".") {
            Some(rest) if at_start => rest,
            _ => &line,
        };
        let total = u64::try_from(self.message.len().saturating_add(unstuffed.len())).unwrap_or(u64::MAX);
        if self.too_large || total > self.bound {
            self.too_large = true;
            // whether the next line starts a line is all that still counts
            self.message = if line.ends_with(b"\r\n") { b"\r\n".to_vec() } else { b"x".to_vec() };
            return;
        }
        self.message.extend_from_slice(unstuffed);
    }

    fn ended(&mut self) -> Ended {
        if self.too_large {
            return Ended::TooLarge;
        }
        if self.has_bare {
            return Ended::BareLineEnd;
        }
        Ended::Whole(std::mem::take(&mut self.message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_over_the_bound_ends_as_every_other() {
        for smuggled in ["\n.\r\n", "\r.\r\n", "\n.\n", "\r\n.\n", "x.\r\n"] {
            let mut data = Data::new(10);
            let input = format!("0123456789\r\nx{smuggled}");
            assert_eq!(data.receive(input.as_bytes()), None, "{smuggled:?}");
            assert_eq!(data.receive(b"\r\n.\r\nNOOP\r\n"), Some((Ended::TooLarge, b"NOOP\r\n".to_vec())), "{smuggled:?}");
        }
    }

    fn whole(input: &[u8]) -> Option<(Ended, Vec<u8>)> {
        let whole = Data::new(1 << 20).receive(input);
        // the same byte by byte
        let mut data = Data::new(1 << 20);
        let mut ended = None;
        for (at, byte) in input.iter().enumerate() {
            if let Some((end, _)) = data.receive(&[*byte]) {
                ended = Some((end, input.get(at + 1..).unwrap_or_default().to_vec()));
                break;
            }
        }
        assert_eq!(whole, ended, "{}", input.escape_ascii());
        whole
    }

    #[test]
    fn only_crlf_dot_crlf_ends_a_message() {
        assert_eq!(
            whole(b"a\r\n..b\r\n.c\r\n.\r\nQUIT\r\n"),
            Some((Ended::Whole(b"a\r\n.b\r\nc\r\n".to_vec()), b"QUIT\r\n".to_vec()))
        );
        assert_eq!(whole(b".\r\n"), Some((Ended::Whole(Vec::new()), Vec::new())));
        for smuggled in [
            &b"a\n.\nMAIL\r\n.\r\n"[..],
            b"a\n.\r\nMAIL\r\n.\r\n",
            b"a\r\n.\nMAIL\r\n.\r\n",
            b"a\r.\rMAIL\r\n.\r\n",
            b"a\r\n.\rMAIL\r\n.\r\n",
            b"a\r.\r\nMAIL\r\n.\r\n",
            b"a\r\n.\r\r\nMAIL\r\n.\r\n",
            b"a\n.\r\n.\r\n",
        ] {
            let (ended, rest) = whole(smuggled).expect("it ends at its true end");
            assert_eq!((ended, rest.as_slice()), (Ended::BareLineEnd, &b""[..]), "{}", smuggled.escape_ascii());
        }
    }

    #[test]
    fn a_message_over_the_bound_is_read_to_its_end_and_not_kept() {
        let mut data = Data::new(10);
        for _ in 0..1000 {
            assert_eq!(data.receive(b"0123456789\r\n"), None);
            assert!(data.message.len() < 20);
        }
        assert_eq!(data.receive(b".\r\nQ"), Some((Ended::TooLarge, b"Q".to_vec())));
    }
}
