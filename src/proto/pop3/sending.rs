//! Answers of several lines, piece by piece: what waits to be sent does not grow with the mailbox or the message.

use std::fmt::Write as _;

use crate::proto::pop3::mailbox::Mailbox;

/// Bytes of a piece.
pub(in crate::proto::pop3) const PIECE: usize = 64 << 10;

/// An answer that is being sent.
#[derive(Debug)]
pub(in crate::proto::pop3) enum Sending {
    /// A message, from this byte on, and so many lines of its body at most.
    Message { message: Vec<u8>, at: usize, lines: Lines },
    /// A line for each message from this number on.
    List(What, usize),
}

/// How much of a body is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::proto::pop3) enum Lines {
    All,
    /// The header section, and then so many.
    Header(usize),
    /// So many more.
    Left(usize),
}

/// What is listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::proto::pop3) enum What {
    Sizes,
    Uids,
}

impl What {
    pub(in crate::proto::pop3) fn of(self, number: usize, message: &super::Listing) -> String {
        match self {
            Self::Sizes => format!("{number} {}", message.size),
            Self::Uids => format!("{number} {}", message.uid),
        }
    }
}

impl Sending {
    /// A message; of its body only so many lines where that is asked (TOP).
    pub(in crate::proto::pop3) fn message(message: Vec<u8>, lines: Option<usize>) -> Self {
        Self::Message { message, at: 0, lines: lines.map_or(Lines::All, Lines::Header) }
    }

    /// Bytes of it that are held.
    pub(in crate::proto::pop3) fn held(&self) -> usize {
        match self {
            Self::Message { message, .. } => message.len(),
            Self::List(..) => 0,
        }
    }

    /// Adds the next piece; whether it was the last one.
    pub(in crate::proto::pop3) fn next(&mut self, mailbox: &Mailbox, out: &mut Vec<u8>) -> bool {
        let bound = out.len().saturating_add(PIECE);
        let is_over = match self {
            Self::Message { message, at, lines } => {
                let is_over = stuff(message, at, lines, bound, out);
                if is_over && !message.is_empty() && !out.ends_with(b"\r\n") {
                    out.extend_from_slice(b"\r\n");
                }
                is_over
            }
            Self::List(what, next) => {
                let mut text = String::new();
                while let Some((number, message)) = mailbox.from(*next)
                    && out.len().saturating_add(text.len()) < bound
                {
                    // a String takes whatever is written
                    let _ = write!(text, "{}\r\n", what.of(number, message));
                    *next = number.saturating_add(1);
                }
                out.extend_from_slice(text.as_bytes());
                mailbox.from(*next).is_none()
            }
        };
        if is_over {
            out.extend_from_slice(b".\r\n");
        }
        is_over
    }
}

/// Copies a message with its dots doubled (RFC 1939 3) until it ends or `out` has so many bytes; whether it ended.
fn stuff(message: &[u8], at: &mut usize, lines: &mut Lines, bound: usize, out: &mut Vec<u8>) -> bool {
    while out.len() < bound {
        let rest = message.get(*at..).unwrap_or_default();
        if rest.is_empty() || *lines == Lines::Left(0) {
            return true;
        }
        let is_begin = *at == 0 || message.get(..*at).is_some_and(|before| before.ends_with(b"\n"));
        let room = rest.get(..bound.saturating_sub(out.len())).unwrap_or(rest);
        // where every line goes, only those that begin with a dot are looked for
        let end = match lines {
            Lines::All => memchr::memmem::find(room, b"\n.").or((room.len() == rest.len()).then(|| rest.len().saturating_sub(1))),
            _ => memchr::memchr(b'\n', room),
        };
        let piece = room.get(..end.map_or(room.len(), |end| end.saturating_add(1))).unwrap_or(room);
        if is_begin && piece.first() == Some(&b'.') {
            out.push(b'.');
        }
        out.extend_from_slice(piece);
        *at = at.saturating_add(piece.len());
        let before = message.get(..*at).unwrap_or_default();
        let is_header_over = piece.ends_with(b"\n") && (before == b"\r\n" || before.ends_with(b"\n\r\n"));
        *lines = match *lines {
            Lines::Header(wanted) if is_header_over => Lines::Left(wanted),
            Lines::Left(left) if piece.ends_with(b"\n") => Lines::Left(left.saturating_sub(1)),
            same => same,
        };
    }
    message.len() <= *at
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::pop3::{Listing, Uid};

    fn whole(message: &[u8], lines: Option<usize>) -> (Vec<u8>, usize) {
        let (mut sending, mut out, mut pieces) = (Sending::message(message.to_vec(), lines), Vec::new(), 1);
        while !sending.next(&Mailbox::default(), &mut out) {
            pieces += 1;
        }
        (out, pieces)
    }

    #[test]
    fn dots_are_doubled_at_the_begin_of_lines_and_nowhere_else() {
        for (message, stuffed) in [
            (&b""[..], &b".\r\n"[..]),
            (b".", b"..\r\n.\r\n"),
            (b".\r\n", b"..\r\n.\r\n"),
            (b"a.b\r\n..c\r\nd", b"a.b\r\n...c\r\nd\r\n.\r\n"),
            (b"a\r\n.\r\n.\r\n", b"a\r\n..\r\n..\r\n.\r\n"),
            (b"a\n.b\r.c\r\n", b"a\n..b\r.c\r\n.\r\n"),
        ] {
            assert_eq!(whole(message, None).0, stuffed, "{message:?}");
        }
    }

    #[test]
    fn top_gives_the_header_section_and_so_many_lines() {
        let message = b"A: 1\r\n.B: 2\r\n\r\none\r\n.two\r\nthree";
        assert_eq!(whole(message, Some(0)).0, b"A: 1\r\n..B: 2\r\n\r\n.\r\n");
        assert_eq!(whole(message, Some(2)).0, b"A: 1\r\n..B: 2\r\n\r\none\r\n..two\r\n.\r\n");
        assert_eq!(whole(message, Some(9)).0, whole(message, None).0);
        assert_eq!(whole(b"A: 1\r\n", Some(3)).0, b"A: 1\r\n.\r\n");
    }

    #[test]
    fn pieces_are_bounded_and_cut_nothing() {
        for unit in [&b"."[..], b"x", b".\r\n", b"a line\r\n.b\r\n", b"\n."] {
            let message = unit.repeat(300_000 / unit.len());
            let (out, pieces) = whole(&message, None);
            assert!(pieces > 4, "{pieces}");
            // by the definition: every line on its own
            let mut expected: Vec<u8> = Vec::new();
            for line in message.split_inclusive(|byte| *byte == b'\n') {
                expected.extend(line.starts_with(b".").then_some(b'.'));
                expected.extend(line);
            }
            expected.extend(if message.ends_with(b"\r\n") { &b".\r\n"[..] } else { b"\r\n.\r\n" });
            assert!(out == expected, "{unit:?}");
            assert!(whole(&message, Some(usize::MAX)).0 == expected, "{unit:?} by lines");
        }
    }

    #[test]
    fn a_list_of_ten_thousand_goes_out_in_pieces_without_those_that_are_marked() {
        let mut mailbox = Mailbox::new((0..10_000).map(|n| Listing { uid: Uid(n * 1000), size: 1 << 20 }).collect());
        assert!(
            mailbox.delete(2) && !mailbox.delete(2) && mailbox.delete(10_000) && !mailbox.delete(0) && !mailbox.delete(10_001)
        );
        let (mut sending, mut out, mut largest) = (Sending::List(What::Uids, 1), Vec::new(), 0);
        loop {
            let before = out.len();
            let is_over = sending.next(&mailbox, &mut out);
            largest = largest.max(out.len() - before);
            if is_over {
                break;
            }
        }
        assert!(largest <= PIECE + 64);
        let text = String::from_utf8(out).expect("ASCII");
        assert_eq!(text.lines().count(), 9_999);
        assert!(text.starts_with("1 m0\r\n3 m2000\r\n") && text.ends_with("9999 m9998000\r\n.\r\n"));
    }
}
