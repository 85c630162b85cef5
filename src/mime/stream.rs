//! Entities read as a stream: header sections are held, bodies pass by.
//!
//! The same rules as [`crate::mime::parse`], for messages of any size: one function reads header sections, one finds boundaries.

use std::io::{self, BufRead, Read};

use crate::limits::Limits;
use crate::mime::boundary::{Delimiters, End, Found};
use crate::mime::{ContentType, Entity, Error, entity, header};
use crate::secret::scratch::{self, Window};

/// Bytes of a source, with a window over those that come next.
pub(crate) struct Feed<'s> {
    source: Source<'s>,
    buffer: Window,
    /// How large the window is once a first one was filled.
    capacity: usize,
    start: usize,
    end: usize,
    is_ended: bool,
}

/// Where a feed reads.
enum Source<'s> {
    Bytes(&'s mut dyn Read),
    /// It has a window of its own, which is lent on where the feed's own is empty: a copy less.
    Window(&'s mut dyn BufRead),
}

/// A header section, and the entity that it says it is; the body follows in the stream.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    /// The section as received, the empty line included.
    pub(crate) bytes: Vec<u8>,
    /// The entity, whose ranges are over these bytes and whose body is elsewhere.
    pub(crate) entity: Entity,
}

impl<'s> Feed<'s> {
    /// Reads from this source, in pieces of [`PIECE`].
    pub(crate) fn new(source: &'s mut dyn Read) -> Self {
        Self::with_capacity(source, PIECE)
    }

    /// Reads from this source in pieces of this size; at least 8 KiB, so that every line fits.
    pub(crate) fn with_capacity(source: &'s mut dyn Read, capacity: usize) -> Self {
        Self::of(Source::Bytes(source), capacity)
    }

    /// Reads from what has a window of its own.
    pub(crate) fn over(source: &'s mut dyn BufRead) -> Self {
        Self::of(Source::Window(source), PIECE)
    }

    fn of(source: Source<'s>, capacity: usize) -> Self {
        let capacity = capacity.max(FIRST);
        Self { source, buffer: Window::new(FIRST), capacity, start: 0, end: 0, is_ended: false }
    }

    /// What was read and not taken yet.
    pub(crate) fn window(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    /// Reads until the window holds so many bytes, or all there are.
    pub(crate) fn want(&mut self, bytes: usize) -> io::Result<()> {
        while self.window().len() < bytes && !self.is_ended {
            self.more()?;
        }
        Ok(())
    }

    /// Passes over a byte order mark before the header section of a message (see [`header::without_mark`]): how many bytes it has.
    pub(crate) fn pass_mark(&mut self) -> io::Result<usize> {
        self.want(header::FIRST_LINE)?;
        let bytes = self.window().len().saturating_sub(header::without_mark(self.window()).len());
        self.consume(bytes);
        Ok(bytes)
    }

    /// Reads more into the window; the window grows where it is full.
    pub(crate) fn more(&mut self) -> io::Result<()> {
        if self.is_ended {
            return Ok(());
        }
        let was_filled = self.end == self.buffer.len();
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end = self.end.saturating_sub(self.start);
            self.start = 0;
        }
        let wanted = if self.end == self.buffer.len() { self.end.saturating_mul(2) } else { 0 };
        let wanted = if was_filled { wanted.max(self.capacity) } else { wanted };
        if wanted > self.buffer.len() {
            let mut larger = Window::new(wanted);
            larger.iter_mut().zip(self.window()).for_each(|(to, from)| *to = *from);
            larger.filled(self.end);
            self.buffer = larger;
        }
        let space = self.buffer.get_mut(self.end..).unwrap_or_default();
        let read = read_some(&mut self.source, space)?;
        self.end = self.end.saturating_add(read);
        self.buffer.filled(self.end);
        self.is_ended = read == 0;
        Ok(())
    }

    /// Takes the header section at the front, and leaves the body.
    pub(crate) fn head(&mut self, path: Vec<usize>, default: &ContentType, limits: &Limits) -> Result<Head, ReadError> {
        let mut from = 0;
        let len = loop {
            let window = self.window();
            // the empty line that ends the section, or its absence up to the bound on sections
            if let Some(end) = header::end_of_section(window, from) {
                break end;
            }
            if self.is_ended || window.len() > limits.header_bytes.saturating_add(1) {
                break window.len();
            }
            from = window.len().saturating_sub(3);
            self.more()?;
        };
        let section = self.window().get(..len).unwrap_or_default();
        let mut entity = entity::head(section, path, default, limits)?;
        // what begins with a line that is no field has no header section: all is body
        let taken = entity.body_start();
        let bytes = section.get(..taken).unwrap_or_default().to_vec();
        entity.cut(taken);
        self.consume(taken);
        Ok(Head { bytes, entity })
    }

    /// The parts of a multipart whose body comes next.
    pub(crate) fn parts(&mut self, boundary: &str) -> Parts<'_, 's> {
        let state = PartState { delimiters: Delimiters::new(boundary), ready: 0, from: 0, next: Next::Searching };
        Parts { feed: self, state, number: 0, has_loud_preamble: false }
    }
}

impl Read for Source<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Bytes(source) => source.read(out),
            Self::Window(source) => source.read(out),
        }
    }
}

impl Read for Feed<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        // large reads go past the window
        if self.start == self.end && out.len() >= self.capacity && !self.is_ended {
            let read = read_some(&mut self.source, out)?;
            self.is_ended = read == 0 && !out.is_empty();
            return Ok(read);
        }
        copy_out(self, out)
    }
}

impl BufRead for Feed<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.start == self.end && matches!(self.source, Source::Bytes(_)) {
            self.more()?;
        }
        match &mut self.source {
            Source::Window(source) if self.start == self.end => source.fill_buf(),
            _ => Ok(self.buffer.get(self.start..self.end).unwrap_or_default()),
        }
    }

    fn consume(&mut self, bytes: usize) {
        match &mut self.source {
            Source::Window(source) if self.start == self.end => source.consume(bytes),
            _ => self.start = self.start.saturating_add(bytes).min(self.end),
        }
    }
}

/// The parts of a multipart, one after another.
pub(crate) struct Parts<'f, 's> {
    feed: &'f mut Feed<'s>,
    state: PartState,
    number: usize,
    has_loud_preamble: bool,
}

/// One part: its bytes up to the delimiter that follows.
pub(crate) struct Part<'p, 's> {
    feed: &'p mut Feed<'s>,
    state: &'p mut PartState,
}

struct PartState {
    delimiters: Delimiters,
    /// Bytes at the front of the window that belong to the part.
    ready: usize,
    /// From where in the window the next delimiter is searched.
    from: usize,
    next: Next,
}

/// What follows the bytes that are ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Searching,
    /// A delimiter of so many bytes.
    Delimiter {
        len: usize,
        closes: bool,
    },
    /// The end of the multipart without a closing delimiter.
    Unclosed,
    /// A closing delimiter was passed.
    Closed,
}

/// How the parts ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// With a closing delimiter.
    Closed,
    /// Without one.
    Unclosed,
    /// There was no delimiter at all.
    NoParts,
}

impl<'s> Parts<'_, 's> {
    /// The next part; what is left of the one before is passed over.
    pub(crate) fn next(&mut self) -> io::Result<Option<Part<'_, 's>>> {
        let rest = &mut Part { feed: self.feed, state: &mut self.state };
        match self.number {
            0 => self.has_loud_preamble = is_loud(rest)?,
            _ => drop(drain(rest)?),
        }
        let Next::Delimiter { len, closes } = self.state.next else { return Ok(None) };
        self.feed.consume(len);
        (self.state.ready, self.state.from, self.state.next) = (0, 0, if closes { Next::Closed } else { Next::Searching });
        if closes {
            return Ok(None);
        }
        self.number = self.number.saturating_add(1);
        Ok(Some(Part { feed: self.feed, state: &mut self.state }))
    }

    /// Whether another text stands before the first part than those that tell old programs what this is.
    pub(crate) fn has_loud_preamble(&self) -> bool {
        self.has_loud_preamble
    }

    /// How many parts were begun.
    pub(crate) fn count(&self) -> usize {
        self.number
    }

    /// How the parts ended; what is left of the stream is the epilogue.
    pub(crate) fn ended(&self) -> Ended {
        match (self.state.next, self.number) {
            (Next::Closed, _) => Ended::Closed,
            (_, 0) => Ended::NoParts,
            _ => Ended::Unclosed,
        }
    }
}

impl Read for Part<'_, '_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        copy_out(self, out)
    }
}

impl BufRead for Part<'_, '_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.state.ready == 0 && self.state.next == Next::Searching {
            let end = if self.feed.is_ended { End::Known } else { End::Open };
            match self.state.delimiters.next(self.feed.window(), self.state.from, end) {
                Found::Delimiter(delimiter) => {
                    self.state.ready = delimiter.range.start;
                    let len = delimiter.range.end.saturating_sub(delimiter.range.start);
                    self.state.next = Next::Delimiter { len, closes: delimiter.closes };
                }
                Found::Unclear { clear, .. } if end == End::Known => {
                    self.state.ready = clear;
                    self.state.next = Next::Unclosed;
                }
                Found::Unclear { clear, from } => {
                    (self.state.ready, self.state.from) = (clear, from);
                    if clear == 0 {
                        self.feed.more()?;
                    }
                }
            }
        }
        Ok(self.feed.window().get(..self.state.ready).unwrap_or_default())
    }

    fn consume(&mut self, bytes: usize) {
        let bytes = bytes.min(self.state.ready);
        self.state.ready = self.state.ready.saturating_sub(bytes);
        self.state.from = self.state.from.saturating_sub(bytes);
        self.feed.consume(bytes);
    }
}

/// Why a header section could not be read from a stream.
#[derive(Debug)]
pub(crate) enum ReadError {
    /// A bound was reached.
    Message(Error),
    /// The source failed.
    Io(io::Error),
}

impl From<Error> for ReadError {
    fn from(error: Error) -> Self {
        Self::Message(error)
    }
}

impl From<io::Error> for ReadError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Passes over what is left; says whether it is another text than those that programs write for older ones.
fn is_loud(rest: &mut dyn BufRead) -> io::Result<bool> {
    let mut text = Vec::new();
    loop {
        let bytes = rest.fill_buf()?;
        if bytes.is_empty() {
            let words: Vec<&[u8]> = text.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).collect();
            let text = words.join(&b' ');
            return Ok(!text.is_empty() && !USUAL_PREAMBLES.iter().any(|usual| usual.as_bytes().eq_ignore_ascii_case(&text)));
        }
        // white space before a text, and more of it than a text has, tells nothing
        let room = PREAMBLE.saturating_sub(text.len());
        let blank = if text.is_empty() { bytes.iter().take_while(|byte| byte.is_ascii_whitespace()).count() } else { 0 };
        let told = bytes.get(blank..).unwrap_or_default();
        text.extend_from_slice(told.get(..room.min(told.len())).unwrap_or_default());
        if told.len() > room && told.get(room..).is_some_and(|rest| rest.iter().any(|byte| !byte.is_ascii_whitespace())) {
            // no usual text is as long
            text.push(b'<');
        }
        let len = bytes.len();
        rest.consume(len);
    }
}

/// The texts that programs write before the first part; whole, and however they break the lines.
const USUAL_PREAMBLES: &[&str] = &[
    "This is a signed message (S/MIME).",
    "This is a signed message.",
    "This is an S/MIME signed message",
    "This is a cryptographically signed message in MIME format.",
    "This is an OpenPGP/MIME signed message (RFC 4880 and 3156)",
    "This is a multi-part message in MIME format.",
    "This is a multi-part message in MIME format",
    "This is a multi-part message in MIME format...",
    "This is a multipart message in MIME format.",
    "This is a multipart message in MIME format",
    "This is a MIME-encapsulated message",
    "This is a MIME-encapsulated message.",
    "This is a MIME-formatted message",
    "This message is in MIME format.",
    "This message is in MIME format. Since your mail reader does not understand this format, some or all of this message may not \
     be legible.",
    "This message is in MIME format. The first part should be readable text, while the remaining parts are likely unreadable \
     without MIME-aware tools.",
];

/// Bytes of a preamble that are compared; no usual one has as many.
const PREAMBLE: usize = 1 << 10;

/// Passes over what is left; gives how many bytes that were, and whether some of them were no white space.
pub(crate) fn drain(rest: &mut dyn BufRead) -> io::Result<(u64, bool)> {
    let (mut count, mut has_text) = (0_u64, false);
    loop {
        let bytes = rest.fill_buf()?;
        if bytes.is_empty() {
            return Ok((count, has_text));
        }
        has_text = has_text || bytes.iter().any(|byte| !byte.is_ascii_whitespace());
        let len = bytes.len();
        count = count.saturating_add(u64::try_from(len).unwrap_or(0));
        rest.consume(len);
    }
}

/// Copies from a window.
pub(crate) fn copy_out(from: &mut dyn BufRead, out: &mut [u8]) -> io::Result<usize> {
    let bytes = from.fill_buf()?;
    let len = bytes.len().min(out.len());
    // in pieces: copies between buffers at the same place in their pages crawl otherwise on some processors
    let pieces = out.chunks_mut(COPY).zip(bytes.get(..len).unwrap_or_default().chunks(COPY));
    pieces.for_each(|(to, from)| to.get_mut(..from.len()).unwrap_or_default().copy_from_slice(from));
    from.consume(len);
    Ok(len)
}

/// One read, not interrupted.
fn read_some(source: &mut dyn Read, space: &mut [u8]) -> io::Result<usize> {
    loop {
        match source.read(space) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

/// Bytes of one read: a system call costs little, the processor's second cache holds it.
pub(crate) const PIECE: usize = scratch::SIZE;

/// Bytes of the first window: every line fits, and a small message needs no other.
const FIRST: usize = 8 << 10;

/// Bytes of one copy.
const COPY: usize = 1 << 10;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mime;

    /// Gives its bytes in pieces of one size.
    struct Slow<'a>(&'a [u8], usize);

    impl Read for Slow<'_> {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            let len = self.1.min(self.0.len()).min(out.len());
            let (now, later) = self.0.split_at(len);
            out[..len].copy_from_slice(now);
            self.0 = later;
            Ok(len)
        }
    }

    fn streamed(feed: &mut Feed<'_>, path: &[usize], default: &ContentType, out: &mut Vec<(String, Vec<u8>, Vec<u8>)>) {
        let head = feed.head(path.to_vec(), default, &Limits::default()).expect("a head");
        let at = out.len();
        out.push((head.entity.path(), head.bytes.clone(), Vec::new()));
        let below = |number: usize| [path, &[number]].concat();
        let boundary = head.entity.content_type().parameter("boundary").map(str::to_owned);
        match boundary {
            Some(boundary) if head.entity.content_type().is_multipart() => {
                let digest = head.entity.content_type().subtype == "digest";
                let default = if digest { ContentType::message() } else { ContentType::text_plain() };
                let mut parts = feed.parts(&boundary);
                loop {
                    let number = parts.count() + 1;
                    let Some(mut part) = parts.next().expect("readable") else { break };
                    streamed(&mut Feed::new(&mut part), &below(number), &default, out);
                }
            }
            _ if head.entity.is_message() && head.entity.transfer_encoding().is_identity() => {
                streamed(feed, &below(1), &ContentType::text_plain(), out);
            }
            _ => {
                feed.read_to_end(&mut out[at].2).expect("readable");
            }
        }
    }

    #[test]
    fn a_window_is_small_until_it_was_filled() {
        let small = vec![b'x'; FIRST - 1];
        let mut source = small.as_slice();
        let mut feed = Feed::new(&mut source);
        feed.want(PIECE).expect("readable");
        assert_eq!((feed.buffer.len(), feed.window().len()), (FIRST, FIRST - 1));
        let large: Vec<u8> = (0..PIECE * 3).map(|at| u8::try_from(at % 251).expect("small")).collect();
        let mut source = large.as_slice();
        let mut feed = Feed::new(&mut source);
        let mut read = Vec::new();
        while let Ok(bytes @ [_, ..]) = feed.fill_buf() {
            let len = bytes.len();
            read.extend_from_slice(bytes);
            feed.consume(len);
        }
        assert_eq!(feed.buffer.len(), PIECE);
        assert!(read == large);
    }

    #[test]
    fn the_stream_gives_what_the_tree_gives_whatever_the_pieces() {
        let body = "Content-Type: multipart/mixed; boundary=b\r\n\r\npre\r\n--b\r\n\r\nx --b\r\n\r\n--b\r\n--b \t\r\nContent-Type: multipart/digest; \
            boundary=\"b c\"\n\n--b c\n\nSubject: inner\n\nbody\r\n--bc\n--b c--\nrest\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nFrom: \
            a\r\n\r\nlast--b\r\n--b--\r\nepilogue\r\n--b\r\n";
        for source in
            [body, "no header\r\n\r\nat all", "", "A: b", "A: b\r\n\r\n", "\r\nbody", &body[..body.len() - 30], &body[..90]]
        {
            let tree = mime::parse(source.as_bytes(), &Limits::default()).expect("small");
            let expected: Vec<(String, Vec<u8>)> = tree
                .walk()
                .iter()
                .map(|e| (e.path(), if e.children().is_empty() { e.body(source.as_bytes()).to_vec() } else { Vec::new() }))
                .collect();
            for piece in [1, 2, 3, 7, 64, 100_000] {
                let mut found = Vec::new();
                let mut slow = Slow(source.as_bytes(), piece);
                streamed(&mut Feed::new(&mut slow), &[], &ContentType::text_plain(), &mut found);
                let bodies: Vec<(String, Vec<u8>)> = found
                    .into_iter()
                    .map(|(path, _, body)| {
                        let is_leaf = tree.walk().iter().any(|e| e.path() == path && e.children().is_empty());
                        (path, if is_leaf { body } else { Vec::new() })
                    })
                    .collect();
                assert_eq!(bodies, expected, "{source:?} in pieces of {piece}");
            }
        }
    }
}
