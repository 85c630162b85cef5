//! Answers of several lines, piece by piece: what waits to be sent does not grow with the mailbox or the message.

use std::fmt::Write as _;

use crate::proto::line::Last;
use crate::proto::pop3::mailbox::Mailbox;

/// Bytes of a piece.
pub(in crate::proto::pop3) const PIECE: usize = 64 << 10;

/// An answer that is being sent.
#[derive(Debug)]
pub(in crate::proto::pop3) enum Sending {
    /// A message.
    Message(Message),
    /// A line for each message from this number on.
    List(What, usize),
}

/// A message that comes piece by piece, and goes out with its dots doubled.
#[derive(Debug)]
pub(in crate::proto::pop3) struct Message {
    /// The piece that is here, and how much of it is sent.
    piece: Vec<u8>,
    at: usize,
    /// Bytes of the message behind it.
    left: u64,
    lines: Lines,
    /// What was sent last: whether a line begins, and whether the header section is over, shows in it.
    last: Last,
}

/// What comes after a piece of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::proto::pop3) enum After {
    /// Another one.
    Piece,
    /// The next piece of the message is wanted.
    Wanted,
    /// Nothing: the answer is whole.
    Nothing,
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
    /// A message of so many bytes that begins with this piece; of its body only so many lines where that is asked (TOP).
    pub(in crate::proto::pop3) fn message(size: u64, piece: Vec<u8>, lines: Option<usize>) -> Self {
        let left = size.saturating_sub(u64::try_from(piece.len()).unwrap_or(u64::MAX));
        Self::Message(Message { piece, at: 0, left, lines: lines.map_or(Lines::All, Lines::Header), last: Last::default() })
    }

    /// Takes the next piece of the message; whether it was wanted, and there is anything in it.
    pub(in crate::proto::pop3) fn more(&mut self, piece: Vec<u8>) -> bool {
        let Self::Message(message) = self else { return false };
        let is_good = !piece.is_empty() && message.left > 0;
        message.left = message.left.saturating_sub(u64::try_from(piece.len()).unwrap_or(u64::MAX));
        (message.piece, message.at) = (piece, 0);
        is_good
    }

    /// Bytes of it that are held.
    pub(in crate::proto::pop3) fn held(&self) -> usize {
        match self {
            Self::Message(message) => message.piece.len(),
            Self::List(..) => 0,
        }
    }

    /// Adds the next piece; says what comes after it.
    pub(in crate::proto::pop3) fn next(&mut self, mailbox: &Mailbox, out: &mut Vec<u8>) -> After {
        let bound = out.len().saturating_add(PIECE);
        let after = match self {
            Self::Message(message) => {
                let after = message.stuff(bound, out);
                if after == After::Nothing && !message.last.is_empty() && !message.last.is_line_end() {
                    out.extend_from_slice(b"\r\n");
                }
                after
            }
            Self::List(what, next) => {
                let mut text = String::new();
                while let Some((number, message)) = mailbox.from(*next)
                    && out.len().saturating_add(text.len()) < bound
                {
                    // a String takes whatever is written
                    let _ = write!(text, "{}\r\n", what.of(number, &message));
                    *next = number.saturating_add(1);
                }
                out.extend_from_slice(text.as_bytes());
                if mailbox.from(*next).is_none() { After::Nothing } else { After::Piece }
            }
        };
        if after == After::Nothing {
            out.extend_from_slice(b".\r\n");
        }
        after
    }
}

impl Message {
    /// Copies what is here with its dots doubled (RFC 1939 3) until it ends or `out` has so many bytes.
    fn stuff(&mut self, bound: usize, out: &mut Vec<u8>) -> After {
        loop {
            let rest = self.piece.get(self.at..).unwrap_or_default();
            if self.lines == Lines::Left(0) || (rest.is_empty() && self.left == 0) {
                return After::Nothing;
            }
            if rest.is_empty() {
                return After::Wanted;
            }
            if out.len() >= bound {
                return After::Piece;
            }
            let room = rest.get(..bound.saturating_sub(out.len())).unwrap_or(rest);
            // where every line goes, only those that begin with a dot are looked for
            let end = match self.lines {
                Lines::All => {
                    memchr::memmem::find(room, b"\n.").or((room.len() == rest.len()).then(|| rest.len().saturating_sub(1)))
                }
                _ => memchr::memchr(b'\n', room),
            };
            let piece = room.get(..end.map_or(room.len(), |end| end.saturating_add(1))).unwrap_or(room);
            if self.last.is_line_begin() && piece.first() == Some(&b'.') {
                out.push(b'.');
            }
            out.extend_from_slice(piece);
            self.last.push(piece);
            self.at = self.at.saturating_add(piece.len());
            let is_line_over = piece.ends_with(b"\n");
            self.lines = match self.lines {
                Lines::Header(wanted) if is_line_over && self.last.is_header_over() => Lines::Left(wanted),
                Lines::Left(left) if is_line_over => Lines::Left(left.saturating_sub(1)),
                same => same,
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::pop3::{Listing, Uid};

    fn whole(message: &[u8], lines: Option<usize>) -> (Vec<u8>, usize) {
        in_pieces(message, lines, message.len())
    }

    /// What is sent of a message that comes in pieces of this size, and in how many pieces it goes out.
    fn in_pieces(message: &[u8], lines: Option<usize>, size: usize) -> (Vec<u8>, usize) {
        let mut coming = message.chunks(size.max(1));
        let first = coming.next().unwrap_or_default().to_vec();
        let (mut sending, mut out, mut pieces) = (Sending::message(message.len() as u64, first, lines), Vec::new(), 1);
        loop {
            match sending.next(&Mailbox::default(), &mut out) {
                After::Nothing => return (out, pieces),
                After::Piece => pieces += 1,
                After::Wanted => assert!(sending.more(coming.next().expect("there is more").to_vec())),
            }
        }
    }

    #[test]
    fn however_a_message_comes_the_same_goes_out() {
        for message in [
            &b"A: 1\r\n\r\none\r\n.two\r\n..\r\n\r\nthree"[..],
            b"\r\n.\r\nx\r\n",
            b".",
            b"a\n.b\r.c\r\n",
            b"A: 1\r\n.B: 2\r\n\r\n",
        ] {
            for lines in [None, Some(0), Some(1), Some(3), Some(99)] {
                for size in 1..6 {
                    assert_eq!(in_pieces(message, lines, size).0, whole(message, lines).0, "{size} {lines:?} {message:?}");
                }
            }
        }
    }

    #[test]
    fn top_wants_no_more_than_it_sends() {
        let message = Sending::message(1 << 30, b"A: 1\r\n\r\none\r\ntwo\r\n".to_vec(), Some(2));
        let (mut top, mut out) = (message, Vec::new());
        assert_eq!(top.next(&Mailbox::default(), &mut out), After::Nothing);
        assert_eq!(out, b"A: 1\r\n\r\none\r\ntwo\r\n.\r\n");
        let mut whole = Sending::message(10, b"A: 1\r\n".to_vec(), None);
        assert_eq!(whole.next(&Mailbox::default(), &mut out), After::Wanted);
        assert!(!whole.more(Vec::new()), "it ended too early");
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
            let after = sending.next(&mailbox, &mut out);
            largest = largest.max(out.len() - before);
            if after == After::Nothing {
                break;
            }
        }
        assert!(largest <= PIECE + 64);
        let text = String::from_utf8(out).expect("ASCII");
        assert_eq!(text.lines().count(), 9_999);
        assert!(text.starts_with("1 m0\r\n3 m2000\r\n") && text.ends_with("9999 m9998000\r\n.\r\n"));
    }
}
