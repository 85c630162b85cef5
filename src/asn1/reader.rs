//! A pull reader over a stream of BER: content of any size passes through, small values are held whole.

use std::io::Read;

use crate::asn1::header::{Header, Length, MAX_HEADER};
use crate::asn1::{Error, Tag};
use crate::limits::{LimitReached, Limits};
use crate::secret::scratch::{self, Window};

/// Reads values one after another from a stream; constructed values are entered and left.
///
/// ```
/// use sealpost::asn1::{Tag, reader::Reader};
/// use sealpost::limits::Limits;
/// // SEQUENCE (indefinite) { OCTET STRING (constructed) { "ab", "c" } }
/// let ber = [0x30, 0x80, 0x24, 0x80, 4, 2, b'a', b'b', 4, 1, b'c', 0, 0, 0, 0];
/// let mut reader = Reader::new(&ber[..], &Limits::default());
/// reader.enter(Tag::SEQUENCE)?;
/// let mut octets = reader.octets(Tag::OCTET_STRING)?;
/// let mut content = Vec::new();
/// while let Some(piece) = reader.next_piece(&mut octets)? {
///     content.extend_from_slice(piece);
/// }
/// reader.leave()?;
/// reader.finish()?;
/// assert_eq!(content, b"abc");
/// # Ok::<(), sealpost::asn1::Error>(())
/// ```
#[derive(Debug)]
pub struct Reader<R> {
    source: R,
    buffer: Window,
    start: usize,
    end: usize,
    /// Bytes handed out so far.
    position: u64,
    /// The constructed values that are open, outermost first.
    open: Vec<Open>,
    depth: usize,
    value_bytes: usize,
}

/// Where an open constructed value ends.
#[derive(Debug, Clone, Copy)]
enum Open {
    At(u64),
    EndOfContents,
}

/// An OCTET STRING whose content is being read.
#[derive(Debug)]
pub struct Octets {
    /// How many constructed values were open before.
    base: usize,
    /// Bytes left of the primitive piece that is being read.
    left: u64,
    done: bool,
}

impl<R: Read> Reader<R> {
    /// Reads from `source` with these bounds on nesting and on values held whole.
    pub fn new(source: R, limits: &Limits) -> Self {
        Self {
            source,
            buffer: Window::new(scratch::SIZE),
            start: 0,
            end: 0,
            position: 0,
            open: Vec::new(),
            depth: limits.ber_depth,
            value_bytes: limits.ber_value_bytes,
        }
    }

    /// How many bytes were read.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The tag of the next value; `None` at the end of the open value, or of the input.
    pub fn peek(&mut self) -> Result<Option<Tag>, Error> {
        Ok(self.header()?.map(|header| header.tag))
    }

    /// Enters a constructed value with this tag.
    pub fn enter(&mut self, tag: Tag) -> Result<(), Error> {
        let Some(header) = self.header()? else { return Err(self.unexpected("a constructed value", None)) };
        if !header.tag.same_type(tag) || !header.tag.constructed {
            return Err(self.unexpected("another constructed value", Some(header.tag)));
        }
        self.push(header)
    }

    /// Whether a constructed value was entered and not left.
    pub fn is_inside(&self) -> bool {
        !self.open.is_empty()
    }

    /// Leaves the constructed value entered last; values left unread in it are an error.
    pub fn leave(&mut self) -> Result<(), Error> {
        match self.open.last().copied() {
            Some(Open::At(end)) if end == self.position => {}
            Some(Open::At(_)) => return Err(Error::Trailing { offset: self.position }),
            Some(Open::EndOfContents) => {
                self.fill(2)?;
                if self.buffered().get(..2) != Some(&[0, 0]) {
                    let truncated = self.buffered().len() < 2;
                    let offset = self.position;
                    return Err(if truncated { Error::Truncated { offset } } else { Error::Trailing { offset } });
                }
                self.consume(2);
            }
            None => return Err(Error::Malformed { offset: self.position, what: "left more than was entered" }),
        }
        self.open.pop();
        Ok(())
    }

    /// The next value whole, as received, up to the bound on values held.
    pub fn raw(&mut self) -> Result<Vec<u8>, Error> {
        let mut out = Vec::new();
        self.copy_value(&mut out)?;
        Ok(out)
    }

    /// Passes over the values that are left in the open value.
    pub fn skip_rest(&mut self) -> Result<(), Error> {
        while self.peek()?.is_some() {
            self.raw()?;
        }
        Ok(())
    }

    /// Begins to read an OCTET STRING, primitive or constructed, with this tag (OCTET STRING, or a context tag that stands for it).
    pub fn octets(&mut self, tag: Tag) -> Result<Octets, Error> {
        let Some(header) = self.header()? else { return Err(self.unexpected("OCTET STRING", None)) };
        if !header.tag.same_type(tag) {
            return Err(self.unexpected("OCTET STRING", Some(header.tag)));
        }
        let base = self.open.len();
        let mut octets = Octets { base, left: 0, done: false };
        self.begin_piece(&mut octets, header)?;
        Ok(octets)
    }

    /// The next piece of the content; `None` at its end.
    pub fn next_piece(&mut self, octets: &mut Octets) -> Result<Option<&[u8]>, Error> {
        while !octets.done && octets.left == 0 {
            self.advance(octets)?;
        }
        if octets.done {
            return Ok(None);
        }
        if self.start == self.end {
            self.fill(1)?;
        }
        let available = self.end.saturating_sub(self.start);
        if available == 0 {
            return Err(Error::Truncated { offset: self.position });
        }
        let take = usize::try_from(octets.left).unwrap_or(usize::MAX).min(available);
        octets.left = octets.left.saturating_sub(to_u64(take));
        let from = self.start;
        self.consume(take);
        Ok(self.buffer.get(from..from.saturating_add(take)))
    }

    /// Ends the reading: everything must be left, and nothing may follow.
    pub fn finish(&mut self) -> Result<(), Error> {
        if !self.open.is_empty() {
            return Err(Error::Malformed { offset: self.position, what: "ended inside a value" });
        }
        self.fill(1)?;
        if self.start == self.end { Ok(()) } else { Err(Error::Trailing { offset: self.position }) }
    }

    /// Moves to the next primitive piece of a constructed string, or to its end.
    fn advance(&mut self, octets: &mut Octets) -> Result<(), Error> {
        if self.open.len() == octets.base {
            octets.done = true;
            return Ok(());
        }
        match self.header()? {
            None => self.leave(),
            Some(header) if header.tag.same_type(Tag::OCTET_STRING) => self.begin_piece(octets, header),
            Some(header) => Err(self.unexpected("a piece of an OCTET STRING", Some(header.tag))),
        }
    }

    fn begin_piece(&mut self, octets: &mut Octets, header: Header) -> Result<(), Error> {
        if header.tag.constructed {
            return self.push(header);
        }
        octets.left = self.enter_definite(header)?;
        Ok(())
    }

    /// Consumes the header of a primitive value; gives its length.
    fn enter_definite(&mut self, header: Header) -> Result<u64, Error> {
        let Length::Definite(length) = header.length else {
            return Err(Error::Malformed { offset: self.position, what: "an indefinite length on a primitive value" });
        };
        self.consume(header.size);
        let end = self.position.checked_add(length).ok_or(Error::Truncated { offset: self.position })?;
        self.check_inside(end)?;
        Ok(length)
    }

    /// Consumes the header of a constructed value and opens it.
    fn push(&mut self, header: Header) -> Result<(), Error> {
        if self.open.len() >= self.depth {
            return Err(too_deep(self.depth));
        }
        self.consume(header.size);
        let open = match header.length {
            Length::Indefinite => Open::EndOfContents,
            Length::Definite(length) => {
                let end = self.position.checked_add(length).ok_or(Error::Truncated { offset: self.position })?;
                self.check_inside(end)?;
                Open::At(end)
            }
        };
        self.open.push(open);
        Ok(())
    }

    /// A value may not end after the nearest value of definite length around it.
    fn check_inside(&self, end: u64) -> Result<(), Error> {
        let around = self.open.iter().rev().find_map(|open| match open {
            Open::At(limit) => Some(*limit),
            Open::EndOfContents => None,
        });
        match around {
            Some(limit) if end > limit => {
                Err(Error::Malformed { offset: self.position, what: "a value longer than the one around it" })
            }
            _ => Ok(()),
        }
    }

    /// The next header inside the open value, not consumed.
    fn header(&mut self) -> Result<Option<Header>, Error> {
        if let Some(Open::At(end)) = self.open.last()
            && *end == self.position
        {
            return Ok(None);
        }
        self.fill(MAX_HEADER)?;
        let buffered = self.buffered();
        if buffered.is_empty() {
            return if self.open.is_empty() { Ok(None) } else { Err(Error::Truncated { offset: self.position }) };
        }
        let header = Header::parse(buffered, self.position)?;
        if header.is_end() {
            return match self.open.last() {
                Some(Open::EndOfContents) => Ok(None),
                _ => Err(Error::Malformed { offset: self.position, what: "end-of-contents where none belongs" }),
            };
        }
        Ok(Some(header))
    }

    /// Appends the next value as received; iterative, so that depth costs no stack.
    fn copy_value(&mut self, out: &mut Vec<u8>) -> Result<(), Error> {
        let base = self.open.len();
        loop {
            match self.header()? {
                None if self.open.len() > base => {
                    let indefinite = matches!(self.open.last(), Some(Open::EndOfContents));
                    self.leave()?;
                    if indefinite {
                        out.extend_from_slice(&[0, 0]);
                    }
                }
                None => return Err(self.unexpected("a value", None)),
                Some(header) => {
                    out.extend_from_slice(self.buffered().get(..header.size).unwrap_or_default());
                    if header.length == Length::Indefinite {
                        self.push(header)?;
                    } else {
                        let length = self.enter_definite(header)?;
                        self.copy_bytes(length, out)?;
                    }
                }
            }
            if self.open.len() == base {
                return Ok(());
            }
            self.check_held(out.len())?;
        }
    }

    fn copy_bytes(&mut self, length: u64, out: &mut Vec<u8>) -> Result<(), Error> {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        self.check_held(out.len().saturating_add(length))?;
        let mut left = length;
        while left > 0 {
            if self.start == self.end {
                self.fill(1)?;
            }
            let buffered = self.buffered();
            if buffered.is_empty() {
                return Err(Error::Truncated { offset: self.position });
            }
            let take = left.min(buffered.len());
            out.extend_from_slice(buffered.get(..take).unwrap_or_default());
            self.consume(take);
            left = left.saturating_sub(take);
        }
        Ok(())
    }

    fn check_held(&self, bytes: usize) -> Result<(), Error> {
        if bytes > self.value_bytes {
            return Err(Error::Limit(LimitReached { name: "ber value bytes", limit: to_u64(self.value_bytes) }));
        }
        Ok(())
    }

    fn buffered(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    fn consume(&mut self, bytes: usize) {
        self.start = self.start.saturating_add(bytes).min(self.end);
        self.position = self.position.saturating_add(to_u64(bytes));
    }

    /// Fills the buffer up to `want` bytes, or to the end of the input.
    fn fill(&mut self, want: usize) -> Result<(), Error> {
        if self.end.saturating_sub(self.start) >= want {
            return Ok(());
        }
        self.buffer.copy_within(self.start..self.end, 0);
        self.end = self.end.saturating_sub(self.start);
        self.start = 0;
        while self.end < want {
            let Some(space) = self.buffer.get_mut(self.end..) else { break };
            match self.source.read(space) {
                Ok(0) => break,
                Ok(read) => {
                    self.end = self.end.saturating_add(read);
                    self.buffer.filled(self.end);
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::Io(error)),
            }
        }
        Ok(())
    }

    fn unexpected(&self, expected: &'static str, found: Option<Tag>) -> Error {
        Error::Unexpected { offset: self.position, expected, found }
    }
}

fn too_deep(depth: usize) -> Error {
    Error::Limit(LimitReached { name: "ber depth", limit: to_u64(depth) })
}

fn to_u64(value: usize) -> u64 {
    u64::try_from(value).unwrap_or(u64::MAX)
}
