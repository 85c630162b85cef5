//! The bytes of a message on their way to a server, piece by piece.

use crate::proto::line::Last;

/// How they go out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// With the dots doubled at the begin of lines, and an end (RFC 5321 4.5.2).
    Lines,
    /// As they are: the server knows how many there are (RFC 3030 2).
    Bytes,
}

/// How much of a message has gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sending {
    form: Form,
    size: u64,
    at: u64,
    last: Last,
}

impl Sending {
    /// Of a message of so many bytes nothing has.
    pub(super) fn begin(form: Form, size: u64) -> Self {
        Self { form, size, at: 0, last: Last::default() }
    }

    /// Where the next piece begins; none where all have gone.
    pub(super) fn next(&self) -> Option<u64> {
        (self.at < self.size).then_some(self.at)
    }

    /// What goes out of the next piece, and behind the last one; none where it cannot be the next piece.
    pub(super) fn push(&mut self, piece: &[u8]) -> Option<Vec<u8>> {
        let left = self.size.saturating_sub(self.at);
        let size = u64::try_from(piece.len()).ok().filter(|size| (1..=left).contains(size))?;
        let mut out = Vec::with_capacity(piece.len().saturating_add(64));
        match self.form {
            Form::Bytes => out.extend_from_slice(piece),
            Form::Lines => self.stuff(piece, &mut out),
        }
        self.at = self.at.saturating_add(size);
        self.last.push(piece);
        if self.next().is_none() {
            out.extend_from_slice(self.end());
        }
        Some(out)
    }

    /// What follows the last byte.
    pub(super) fn end(&self) -> &'static [u8] {
        match self.form {
            Form::Bytes => b"",
            Form::Lines if self.last.is_line_end() => b".\r\n",
            Form::Lines => b"\r\n.\r\n",
        }
    }

    fn stuff(&self, piece: &[u8], out: &mut Vec<u8>) {
        if self.last.is_line_begin() && piece.starts_with(b".") {
            out.push(b'.');
        }
        let mut rest = piece;
        while let Some(at) = memchr::memmem::find(rest, b"\n.") {
            let Some((line, next)) = rest.split_at_checked(at.saturating_add(1)) else { break };
            out.extend_from_slice(line);
            out.push(b'.');
            rest = next;
        }
        out.extend_from_slice(rest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(form: Form, message: &[u8], size: usize) -> Vec<u8> {
        let mut sending = Sending::begin(form, message.len() as u64);
        let mut out = if message.is_empty() { sending.end().to_vec() } else { Vec::new() };
        for piece in message.chunks(size) {
            assert!(sending.next().is_some());
            out.extend(sending.push(piece).expect("it is the next one"));
        }
        assert_eq!(sending.next(), None);
        out
    }

    #[test]
    fn dots_are_doubled_at_the_begin_of_lines_however_a_message_comes() {
        for (message, stuffed) in [
            (&b""[..], &b"\r\n.\r\n"[..]),
            (b".", b"..\r\n.\r\n"),
            (b".\r\n", b"..\r\n.\r\n"),
            (b"a.b\r\n..c\r\nd", b"a.b\r\n...c\r\nd\r\n.\r\n"),
            (b"a\r\n.\r\n.\r\n", b"a\r\n..\r\n..\r\n.\r\n"),
            (b"a\n.b\r.c\r\n", b"a\n..b\r.c\r\n.\r\n"),
            (b"a\n", b"a\n\r\n.\r\n"),
            (b"a\r", b"a\r\r\n.\r\n"),
        ] {
            for size in 1..8 {
                assert_eq!(sent(Form::Lines, message, size), stuffed, "{message:?} by {size}");
                assert_eq!(sent(Form::Bytes, message, size), message);
            }
        }
    }

    #[test]
    fn a_piece_that_is_none_or_too_much_is_not_sent() {
        let mut sending = Sending::begin(Form::Lines, 3);
        assert_eq!(sending.push(b""), None);
        assert_eq!(sending.push(b"abcd"), None);
        assert_eq!((sending.push(b"ab"), sending.next()), (Some(b"ab".to_vec()), Some(2)));
        assert_eq!(sending.push(b"cd"), None);
        assert_eq!(sending.push(b"c"), Some(b"c\r\n.\r\n".to_vec()));
        assert_eq!(sending.push(b"d"), None);
    }
}
