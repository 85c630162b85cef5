//! The message while it comes in, after DATA or in chunks: one end and no other (RFC 5321 4.1.1.4, 4.5.2; RFC 3030 2).

use std::borrow::Cow;
use std::sync::Arc;

use crate::proto::smtp::envelope::{Body, Envelope};

/// A message that is coming.
#[derive(Debug)]
pub(in crate::proto::smtp) struct Coming {
    envelope: Arc<Envelope>,
    /// Bytes that it may have.
    bound: u64,
    /// Bytes that are held before the service keeps them.
    hold: usize,
    held: Vec<u8>,
    /// Bytes that the service keeps.
    spooled: u64,
    fault: Option<Fault>,
    /// The last byte of a chunk was a CR.
    after_return: bool,
    is_eight_bit: bool,
}

/// Why a message is not taken; it is read to its end all the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::proto::smtp) enum Fault {
    /// It is over the bound.
    TooLarge,
    /// It holds a CR or an LF alone: other servers take these for line ends, and then one message becomes two (smuggling).
    BareLineEnd,
    /// It holds a NUL, where programs end what they read (RFC 2045 2.7, 2.8).
    Nul,
    /// The service said no to a piece.
    Refused(u16, Cow<'static, str>, String),
}

/// The content of a message: what the service was given in pieces before, and what is left.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Content {
    /// Bytes that came in pieces.
    pub spooled: u64,
    /// What follows them.
    pub rest: Vec<u8>,
}

/// A piece of a message that is too large to be held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// Where it stands; at 0 a message begins, and what was kept of another one is of no use.
    pub at: u64,
    /// The bytes.
    pub bytes: Vec<u8>,
}

impl Coming {
    pub(in crate::proto::smtp) fn new(envelope: Arc<Envelope>, bound: u64, hold: usize) -> Self {
        let (held, fault) = (Vec::new(), None);
        Self { envelope, bound, hold, held, spooled: 0, fault, after_return: false, is_eight_bit: false }
    }

    /// Bytes that are held.
    pub(in crate::proto::smtp) fn held(&self) -> usize {
        self.held.len()
    }

    /// All bytes so far.
    pub(in crate::proto::smtp) fn length(&self) -> u64 {
        self.spooled.saturating_add(u64::try_from(self.held.len()).unwrap_or(u64::MAX))
    }

    /// A chunk of so many bytes is announced: whether they fit is known before they come.
    pub(in crate::proto::smtp) fn announce(&mut self, bytes: u64) {
        if self.length().saturating_add(bytes) > self.bound {
            self.refuse(Fault::TooLarge);
        }
    }

    pub(in crate::proto::smtp) fn fault(&self) -> Option<&Fault> {
        self.fault.as_ref()
    }

    /// The first fault counts; what was held is let go.
    pub(in crate::proto::smtp) fn refuse(&mut self, fault: Fault) {
        if self.fault.is_none() {
            (self.fault, self.held) = (Some(fault), Vec::new());
        }
    }

    /// A piece for the service, once enough is held.
    pub(in crate::proto::smtp) fn piece(&mut self) -> Option<Piece> {
        if self.held.len() < self.hold {
            return None;
        }
        let (at, bytes) = (self.spooled, std::mem::take(&mut self.held));
        self.spooled = at.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        Some(Piece { at, bytes })
    }

    /// Takes bytes of a chunk: of lines, unless the sender announced a binary message.
    pub(in crate::proto::smtp) fn chunk(&mut self, bytes: &[u8]) {
        if self.envelope.terms.body == Body::Binary {
            return self.push(bytes);
        }
        for block in bytes.chunks(BLOCK) {
            let is_plain = self.fault.is_none() && !self.after_return && Look::at(block).is_clean;
            if !is_plain && let Some(fault) = self.look_closer(block) {
                return self.refuse(fault);
            }
        }
        self.push(bytes);
    }

    /// What is wrong with the line ends of these bytes.
    fn look_closer(&mut self, bytes: &[u8]) -> Option<Fault> {
        let mut rest = bytes;
        while let Some((first, after)) = rest.split_first() {
            if std::mem::take(&mut self.after_return) {
                if *first != b'\n' {
                    return Some(Fault::BareLineEnd);
                }
                rest = after;
                continue;
            }
            let Some(at) = memchr::memchr3(b'\r', b'\n', 0, rest) else { break };
            let (stop, after) = rest.get(at..).and_then(<[u8]>::split_first).unwrap_or((&0, b""));
            match stop {
                b'\r' => self.after_return = true,
                b'\n' => return Some(Fault::BareLineEnd),
                _ => return Some(Fault::Nul),
            }
            rest = after;
        }
        None
    }

    /// The message is whole.
    pub(in crate::proto::smtp) fn end(mut self) -> Result<(Arc<Envelope>, Content), Fault> {
        if self.after_return {
            self.refuse(Fault::BareLineEnd);
        }
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        if self.is_eight_bit && self.envelope.terms.body == Body::Text {
            Arc::make_mut(&mut self.envelope).terms.body = Body::EightBit;
        }
        Ok((self.envelope, Content { spooled: self.spooled, rest: self.held }))
    }

    fn push(&mut self, bytes: &[u8]) {
        if self.fault.is_some() {
            return;
        }
        if self.length().saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX)) > self.bound {
            return self.refuse(Fault::TooLarge);
        }
        self.is_eight_bit = self.is_eight_bit || !bytes.is_ascii();
        self.make_room(bytes.len());
        self.held.extend_from_slice(bytes);
    }

    /// In few steps: growing by doubling copies a message as often again.
    fn make_room(&mut self, more: usize) {
        let needed = self.held.len().saturating_add(more);
        if needed <= self.held.capacity() {
            return;
        }
        // the bytes of one more read stand behind what is held
        let all = self.hold.saturating_add(BEHIND);
        let step = STEPS.into_iter().find(|step| needed <= *step && *step < all).unwrap_or(all);
        self.held.reserve_exact(step.max(needed).saturating_sub(self.held.len()));
    }

    /// Memory of a piece that the service has kept: the next one is put together in it.
    pub(in crate::proto::smtp) fn give_back(&mut self, mut memory: Vec<u8>) {
        if self.held.capacity() == 0 && self.fault.is_none() {
            memory.clear();
            self.held = memory;
        }
    }
}

/// Memory of a message that grows: most are in the first, and most of the others in the last; beyond that it is all that is held.
const STEPS: [usize; 3] = [8 << 10, 32 << 10, 128 << 10];

/// What a connection reads at once.
const BEHIND: usize = 64 << 10;

/// Bytes that are looked at together: few enough to be in the nearest cache when they are copied.
const BLOCK: usize = 4 << 10;

/// What stands in bytes that do not begin in the middle of a line end.
#[derive(Debug, Clone, Copy)]
struct Look {
    /// No NUL, and each CR and each LF beside its other half.
    is_clean: bool,
    /// No line after the first begins with a dot.
    is_without_dots: bool,
}

impl Look {
    /// Has no branch inside: the compiler makes it look at many bytes at once.
    fn at(bytes: &[u8]) -> Self {
        let (mut odd, mut dots) = (false, false);
        for (byte, next) in bytes.iter().zip(bytes.get(1..).unwrap_or_default()) {
            odd |= (*byte == b'\r') != (*next == b'\n');
            odd |= *byte == 0;
            dots |= (*byte == b'\n') & (*next == b'.');
        }
        let is_inside = !matches!(bytes.first(), Some(b'\n')) && !matches!(bytes.last(), Some(b'\r' | 0));
        Self { is_clean: !odd && is_inside, is_without_dots: !dots }
    }
}

/// Takes the dots away that DATA adds, and finds its end.
///
/// ```text
///              .                 CR                LF
/// LineStart ──────▶ Dot ──────────────▶ DotReturn ──────▶ (the end)
///    ▲  │ other     │ other: the dot goes    │ other: a bare CR
///  LF│  ▼           ▼                        │
///  Return ◀── Inside ◀───────────────────────┘
///        CR
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::proto::smtp) enum Dots {
    LineStart,
    Dot,
    DotReturn,
    Inside,
    Return,
    /// The message has ended.
    End,
}

impl Dots {
    /// Takes bytes; gives how many belong to the message, its end included, once it has ended.
    pub(in crate::proto::smtp) fn receive(&mut self, bytes: &[u8], into: &mut Coming) -> Option<usize> {
        let mut taken = 0_usize;
        if *self == Self::End {
            return Some(taken);
        }
        for block in bytes.chunks(BLOCK) {
            if into.fault.is_none() && self.is_plain(block) {
                into.push(block);
                *self = if block.ends_with(b"\n") { Self::LineStart } else { Self::Inside };
            } else if let Some(end) = self.walk(block, into) {
                return Some(taken.saturating_add(end));
            }
            taken = taken.saturating_add(block.len());
        }
        None
    }

    /// Whether a block belongs to the message as it is.
    fn is_plain(self, block: &[u8]) -> bool {
        let begins = match self {
            Self::LineStart => !block.starts_with(b"."),
            Self::Inside => true,
            Self::Dot | Self::DotReturn | Self::Return | Self::End => false,
        };
        if !begins {
            return false;
        }
        let look = Look::at(block);
        look.is_clean && look.is_without_dots
    }

    /// The same byte by byte, and from line end to line end.
    fn walk(&mut self, bytes: &[u8], into: &mut Coming) -> Option<usize> {
        let mut rest = bytes;
        while let Some((byte, after)) = rest.split_first() {
            *self = match (*self, byte) {
                (Self::LineStart, b'.') => Self::Dot,
                (Self::Dot, b'\r') => Self::DotReturn,
                (Self::DotReturn, b'\n') => {
                    *self = Self::End;
                    return Some(bytes.len().saturating_sub(after.len()));
                }
                (Self::End, _) => return Some(bytes.len().saturating_sub(rest.len())),
                (Self::Return, b'\n') => {
                    into.push(b"\r\n");
                    Self::LineStart
                }
                (Self::DotReturn | Self::Return, _) => {
                    into.refuse(Fault::BareLineEnd);
                    *self = Self::Inside;
                    continue;
                }
                (Self::LineStart | Self::Dot | Self::Inside, _) => {
                    let run = memchr::memchr3(b'\r', b'\n', 0, rest).unwrap_or(rest.len());
                    let (text, after) = rest.split_at_checked(run).unwrap_or((rest, b""));
                    into.push(text);
                    rest = after;
                    let Some((stop, after)) = rest.split_first() else {
                        *self = Self::Inside;
                        return None;
                    };
                    rest = after;
                    *self = Self::Inside;
                    match stop {
                        b'\r' => *self = Self::Return,
                        // an LF without its CR ends nothing
                        b'\n' => into.refuse(Fault::BareLineEnd),
                        _ => into.refuse(Fault::Nul),
                    }
                    continue;
                }
            };
            rest = after;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::smtp::{Hello, Path, Terms};

    fn coming(body: Body, bound: u64) -> Coming {
        let envelope = Envelope {
            helo: "x".to_owned(),
            hello: Hello::Extended,
            user: None,
            mechanism: None,
            sender: Path::Null,
            size: 0,
            recipients: Vec::new(),
            is_secure: false,
            is_utf8: false,
            terms: Terms { body, ..Terms::default() },
        };
        Coming::new(Arc::new(envelope), bound, 64)
    }

    /// What becomes of a message after DATA, and what follows it, in pieces of any size.
    fn data(input: &[u8], bound: u64) -> (Result<Vec<u8>, Fault>, Vec<u8>) {
        let mut results = Vec::new();
        for size in [input.len().max(1), 1, 2, 3, 7] {
            let (mut dots, mut message, mut kept) = (Dots::LineStart, coming(Body::Text, bound), Vec::new());
            let mut taken = 0;
            let mut ended = false;
            for piece in input.chunks(size) {
                let end = dots.receive(piece, &mut message);
                taken += end.unwrap_or(piece.len());
                kept.extend(message.piece().into_iter().flat_map(|piece| piece.bytes));
                if end.is_some() {
                    ended = true;
                    break;
                }
            }
            assert!(ended, "{}", input.escape_ascii());
            let whole = message.end().map(|(_, content)| [kept, content.rest].concat());
            results.push((whole, input.get(taken..).unwrap_or_default().to_vec()));
        }
        let first = results.swap_remove(0);
        assert!(results.iter().all(|other| *other == first), "{}: {results:?}", input.escape_ascii());
        first
    }

    #[test]
    fn only_crlf_dot_crlf_ends_a_message() {
        let (whole, rest) = data(b"a\r\n..b\r\n.c\r\n...\r\n.\r\nQUIT\r\n", 1000);
        assert_eq!((whole, rest.as_slice()), (Ok(b"a\r\n.b\r\nc\r\n..\r\n".to_vec()), &b"QUIT\r\n"[..]));
        assert_eq!(data(b".\r\n", 1000), (Ok(Vec::new()), Vec::new()));
        assert_eq!(data(b"\r\n.\r\n", 1000), (Ok(b"\r\n".to_vec()), Vec::new()));
        let long = [vec![b'x'; 500], b"\r\n.\r\n".to_vec()].concat();
        assert_eq!(data(&long, 1000).0.map(|whole| whole.len()), Ok(502), "pieces are put together again");
    }

    #[test]
    fn what_stands_at_the_seams_of_blocks_is_seen() {
        for before in BLOCK - 6..BLOCK + 3 {
            let filled = |end: &str| [vec![b'x'; before], end.as_bytes().to_vec()].concat();
            let (whole, rest) = data(&filled("\r\n..\r\ny\r\n.\r\nQUIT"), 9000);
            assert_eq!((whole, rest.as_slice()), (Ok(filled("\r\n.\r\ny\r\n")), &b"QUIT"[..]), "{before}");
            for bad in ["\r", "\n", "\r\r\n", "\n\n", "\0", "\n.\r\n", "\r.\r\n", "\r\n.\n", "\r\n.\r"] {
                let (whole, rest) = data(&filled(&format!("{bad}y\r\n.\r\nQ")), 9000);
                assert_eq!((whole.is_err(), rest.as_slice()), (true, &b"Q"[..]), "{before} {bad:?}");
            }
        }
    }

    #[test]
    fn memory_of_a_piece_serves_the_next_one() {
        let mut message = coming(Body::Text, 1000);
        message.push(&[b'x'; 70]);
        let piece = message.piece().expect("enough");
        let place = piece.bytes.as_ptr();
        message.give_back(piece.bytes);
        message.push(b"y");
        assert_eq!((message.held(), message.length(), message.held.as_ptr()), (1, 71, place));
    }

    #[test]
    fn whatever_looks_like_an_end_is_none_and_refuses_the_message() {
        let ends = [
            "\n", "\r", "\r\n", "\r\r\n", "\n\r", "\r\n\n", "\0\r\n", "\r\0\n", "\r\n\0", "", "\n\n", "\r\r", "\x0b", "\x0c",
            "\u{85}", "\u{2028}",
        ];
        for before in ends {
            for after in ends {
                // these end a message
                if before.ends_with("\r\n") && after.starts_with("\r\n") {
                    continue;
                }
                let input = format!("a{before}.{after}MAIL FROM:<x@b>\r\n.\r\nQ");
                let is_clean =
                    [before, after].iter().all(|end| !end.contains('\0') && !end.replace("\r\n", "").contains(['\r', '\n']));
                let (whole, rest) = data(input.as_bytes(), 1000);
                assert_eq!(rest, b"Q", "{}", input.escape_debug());
                assert_eq!(whole.is_ok(), is_clean, "{}", input.escape_debug());
            }
        }
    }

    #[test]
    fn a_message_over_the_bound_is_read_to_its_end_and_not_kept() {
        let (mut dots, mut message) = (Dots::LineStart, coming(Body::Text, 10));
        for _ in 0..1000 {
            assert_eq!(dots.receive(b"0123456789\r\n", &mut message), None);
            assert!(message.held() < 20);
        }
        assert_eq!(dots.receive(b".\r\nQ", &mut message), Some(3));
        assert_eq!(message.end().err(), Some(Fault::TooLarge));
        for smuggled in ["\n.\r\n", "\r.\r\n", "\n.\n", "\r\n.\n", "x.\r\n"] {
            let input = format!("0123456789\r\nx{smuggled}\r\n.\r\nNOOP\r\n");
            let (whole, rest) = data(input.as_bytes(), 10);
            assert!(whole.is_err());
            assert_eq!(rest, b"NOOP\r\n", "{smuggled:?}");
        }
    }

    fn chunks(body: Body, input: &[u8]) -> Result<Vec<u8>, Fault> {
        let mut results: Vec<_> = [input.len().max(1), 1, 2, 3]
            .into_iter()
            .map(|size| {
                let mut message = coming(body, 1000);
                input.chunks(size).for_each(|piece| message.chunk(piece));
                message.end().map(|(_, content)| content.rest)
            })
            .collect();
        let first = results.swap_remove(0);
        assert!(results.iter().all(|other| *other == first), "{}: {results:?}", input.escape_ascii());
        first
    }

    #[test]
    fn chunks_hold_lines_and_binary_ones_any_bytes() {
        for good in [&b""[..], b"a", b"a\r\nb\r\n", b"\r\n\r\n", b".\r\n..\r\n", b"a\r\n.\r\nMAIL\r\n"] {
            assert_eq!(chunks(Body::Text, good), Ok(good.to_vec()), "{}", good.escape_ascii());
        }
        for bad in [&b"a\nb\r\n"[..], b"a\rb\r\n", b"a\r", b"\n", b"\r\r\n", b"\r\n\n", b"a\r\n.\n", b"\r\n\r"] {
            assert_eq!(chunks(Body::EightBit, bad), Err(Fault::BareLineEnd), "{}", bad.escape_ascii());
            assert_eq!(chunks(Body::Binary, bad), Ok(bad.to_vec()), "{}", bad.escape_ascii());
        }
        assert_eq!(chunks(Body::Text, b"a\0\r\n"), Err(Fault::Nul));
    }

    #[test]
    fn bytes_outside_ascii_are_told_of() {
        let mut message = coming(Body::Text, 1000);
        message.chunk(b"\xc3\xa4\r\n");
        assert_eq!(message.end().map(|(envelope, _)| envelope.terms.body), Ok(Body::EightBit));
    }
}
