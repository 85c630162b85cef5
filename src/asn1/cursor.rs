//! A reader over a value that is held whole: BER in, spans of the original out.

use std::borrow::Cow;

use crate::asn1::header::{Header, Length};
use crate::asn1::{Class, Error, Oid, Tag};
use crate::limits::{LimitReached, Limits};
use crate::time::{Civil, Timestamp};

/// Reads one value after another from a slice.
///
/// Definite and indefinite, minimal and non-minimal lengths are read; each [`Element`] keeps the bytes as received.
///
/// ```
/// use sealpost::asn1::Cursor;
/// let mut outer = Cursor::new(&[0x30, 0x03, 0x02, 0x01, 0x05]);
/// let mut inner = outer.sequence()?;
/// assert_eq!(inner.small_unsigned()?, 5);
/// inner.finish()?;
/// outer.finish()?;
/// # Ok::<(), sealpost::asn1::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Cursor<'a> {
    rest: &'a [u8],
    offset: u64,
    depth: Depth,
}

/// One value: its tag, its bytes as received, its content.
#[derive(Debug, Clone, Copy)]
pub struct Element<'a> {
    /// The tag.
    pub tag: Tag,
    /// The whole value as received, header and end-of-contents octets included.
    pub raw: &'a [u8],
    /// The content, without header and end-of-contents octets.
    pub content: &'a [u8],
    offset: u64,
    depth: Depth,
}

/// How deep values may still be nested, and what the bound was at the outside.
#[derive(Debug, Clone, Copy)]
struct Depth {
    left: usize,
    limit: usize,
}

impl<'a> Cursor<'a> {
    /// Reads from `bytes`, with the default bound on nesting.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self::with_limits(bytes, &Limits::default())
    }

    /// Reads from `bytes`, nested at most `limits.ber_depth` deep.
    pub fn with_limits(bytes: &'a [u8], limits: &Limits) -> Self {
        Self { rest: bytes, offset: 0, depth: Depth { left: limits.ber_depth, limit: limits.ber_depth } }
    }

    /// Whether all was read.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// What was not read yet.
    pub fn remaining(&self) -> &'a [u8] {
        self.rest
    }

    /// The tag of the next value, if there is one that can be read.
    pub fn peek(&self) -> Option<Tag> {
        Header::parse(self.rest, self.offset).ok().map(|header| header.tag)
    }

    /// Ends the reading; more bytes are an error.
    pub fn finish(&self) -> Result<(), Error> {
        if self.rest.is_empty() { Ok(()) } else { Err(Error::Trailing { offset: self.offset }) }
    }

    /// The next value, whatever it is.
    pub fn any(&mut self) -> Result<Element<'a>, Error> {
        let header = Header::parse(self.rest, self.offset)?;
        let truncated = Error::Truncated { offset: self.offset };
        if header.is_end() {
            return Err(Error::Malformed { offset: self.offset, what: "end-of-contents where none belongs" });
        }
        let (raw_len, content_end) = match header.length {
            Length::Definite(length) => {
                let end = usize::try_from(length).ok().and_then(|l| l.checked_add(header.size));
                let end = end.filter(|end| *end <= self.rest.len());
                let Some(end) = end else { return Err(truncated) };
                (end, end)
            }
            Length::Indefinite => {
                let end = indefinite_end(self.rest, self.offset, self.depth)?;
                (end, end.saturating_sub(2))
            }
        };
        let Some((raw, rest)) = self.rest.split_at_checked(raw_len) else { return Err(truncated) };
        let Some(content) = raw.get(header.size..content_end) else { return Err(truncated) };
        let content_offset = self.offset.saturating_add(u64::try_from(header.size).unwrap_or(u64::MAX));
        let element = Element { tag: header.tag, raw, content, offset: content_offset, depth: self.depth };
        self.rest = rest;
        self.offset = self.offset.saturating_add(u64::try_from(raw_len).unwrap_or(u64::MAX));
        Ok(element)
    }

    /// The next value, which must have this tag. String types may be constructed.
    pub fn expect(&mut self, tag: Tag) -> Result<Element<'a>, Error> {
        match self.optional(tag)? {
            Some(element) => Ok(element),
            None => Err(self.unexpected(tag_name(tag))),
        }
    }

    /// The next value if it has this tag. String types may be constructed.
    pub fn optional(&mut self, tag: Tag) -> Result<Option<Element<'a>>, Error> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let header = Header::parse(self.rest, self.offset)?;
        let fits = header.tag == tag || (header.tag.same_type(tag) && may_be_constructed(tag));
        if fits { self.any().map(Some) } else { Ok(None) }
    }

    /// A SEQUENCE.
    pub fn sequence(&mut self) -> Result<Cursor<'a>, Error> {
        self.expect(Tag::SEQUENCE)?.cursor()
    }

    /// A SET.
    pub fn set(&mut self) -> Result<Cursor<'a>, Error> {
        self.expect(Tag::SET)?.cursor()
    }

    /// The inside of `[n] EXPLICIT`, if it is next.
    pub fn explicit(&mut self, number: u32) -> Result<Option<Cursor<'a>>, Error> {
        self.optional(Tag::context_constructed(number))?.map(|element| element.cursor()).transpose()
    }

    /// An OBJECT IDENTIFIER.
    pub fn oid(&mut self) -> Result<Oid, Error> {
        let offset = self.offset;
        let element = self.expect(Tag::OID)?;
        Oid::from_bytes(element.content).ok_or(Error::Malformed { offset, what: "an object identifier that cannot be read" })
    }

    /// The content of an INTEGER: two's complement, the most significant byte first.
    pub fn integer(&mut self) -> Result<&'a [u8], Error> {
        let offset = self.offset;
        let content = self.expect(Tag::INTEGER)?.content;
        if content.is_empty() { Err(Error::Malformed { offset, what: "an INTEGER without content" }) } else { Ok(content) }
    }

    /// A small INTEGER that is not negative.
    pub fn small_unsigned(&mut self) -> Result<u64, Error> {
        let offset = self.offset;
        let content = self.integer()?;
        let malformed = Error::Malformed { offset, what: "an INTEGER that is negative or over 64 bits" };
        if content.first().is_some_and(|byte| byte & 0x80 != 0) {
            return Err(malformed);
        }
        let mut value: u64 = 0;
        for &byte in content {
            if value > (u64::MAX >> 8) {
                return Err(malformed);
            }
            value = value << 8 | u64::from(byte);
        }
        Ok(value)
    }

    /// A BOOLEAN; every value but 0 is true, as BER has it.
    pub fn boolean(&mut self) -> Result<bool, Error> {
        let offset = self.offset;
        match self.expect(Tag::BOOLEAN)?.content {
            [value] => Ok(*value != 0),
            _ => Err(Error::Malformed { offset, what: "a BOOLEAN that is not one byte" }),
        }
    }

    /// NULL.
    pub fn null(&mut self) -> Result<(), Error> {
        let offset = self.offset;
        match self.expect(Tag::NULL)?.content {
            [] => Ok(()),
            _ => Err(Error::Malformed { offset, what: "a NULL with content" }),
        }
    }

    /// The content of an OCTET STRING; the pieces of a constructed one are joined.
    pub fn octet_string(&mut self) -> Result<Cow<'a, [u8]>, Error> {
        self.expect(Tag::OCTET_STRING)?.bytes()
    }

    /// The content of a BIT STRING: how many bits of the last byte are unused, and the bytes.
    pub fn bit_string(&mut self) -> Result<(u8, Cow<'a, [u8]>), Error> {
        self.expect(Tag::BIT_STRING)?.bits()
    }

    /// A UTCTime or a GeneralizedTime; the seconds may be missing, an offset is read.
    pub fn time(&mut self) -> Result<Timestamp, Error> {
        let offset = self.offset;
        let element = match self.peek() {
            Some(tag) if tag == Tag::UTC_TIME || tag == Tag::GENERALIZED_TIME => self.any()?,
            _ => return Err(self.unexpected("a time")),
        };
        let year_digits = if element.tag == Tag::UTC_TIME { 2 } else { 4 };
        parse_time(element.content, year_digits).ok_or(Error::Malformed { offset, what: "a time that cannot be read" })
    }

    fn unexpected(&self, expected: &'static str) -> Error {
        Error::Unexpected { offset: self.offset, expected, found: self.peek() }
    }
}

impl<'a> Element<'a> {
    /// Where the content begins in what the outermost cursor reads.
    pub fn content_offset(&self) -> u64 {
        self.offset
    }

    /// Reads the values inside.
    pub fn cursor(&self) -> Result<Cursor<'a>, Error> {
        let Some(left) = self.depth.left.checked_sub(1) else { return Err(self.depth.reached()) };
        Ok(Cursor { rest: self.content, offset: self.offset, depth: Depth { left, ..self.depth } })
    }

    /// The content of a string type; the pieces of a constructed one are joined.
    pub fn bytes(&self) -> Result<Cow<'a, [u8]>, Error> {
        if !self.tag.constructed {
            return Ok(Cow::Borrowed(self.content));
        }
        let mut joined = Vec::with_capacity(self.content.len());
        self.join(&mut joined)?;
        Ok(Cow::Owned(joined))
    }

    fn join(&self, joined: &mut Vec<u8>) -> Result<(), Error> {
        let mut pieces = self.cursor()?;
        while !pieces.is_empty() {
            let piece = pieces.any()?;
            if piece.tag.constructed { piece.join(joined)? } else { joined.extend_from_slice(piece.content) }
        }
        Ok(())
    }

    /// The content of a BIT STRING (or of an implicitly tagged one).
    pub fn bits(&self) -> Result<(u8, Cow<'a, [u8]>), Error> {
        let malformed = Error::Malformed { offset: self.offset, what: "a BIT STRING that cannot be read" };
        if !self.tag.constructed {
            return match self.content.split_first() {
                Some((&unused, bytes)) if unused < 8 => Ok((unused, Cow::Borrowed(bytes))),
                _ => Err(malformed),
            };
        }
        let (mut joined, mut last_unused) = (Vec::with_capacity(self.content.len()), 0);
        let mut pieces = self.cursor()?;
        while !pieces.is_empty() {
            if last_unused != 0 {
                return Err(malformed);
            }
            let (unused, bytes) = pieces.any()?.bits()?;
            joined.extend_from_slice(&bytes);
            last_unused = unused;
        }
        Ok((last_unused, Cow::Owned(joined)))
    }

    /// The text of a character string type, or of a context tag that stands for one.
    pub fn text(&self) -> Result<String, Error> {
        let malformed = |what| Error::Malformed { offset: self.offset, what };
        if self.tag.class == Class::Universal && !matches!(self.tag.number, 12 | 18..=22 | 25..=30) {
            return Err(malformed("a value that is no text"));
        }
        let bytes = self.bytes()?;
        match (self.tag.class, self.tag.number) {
            (Class::Universal, 30) => {
                let (pairs, rest) = bytes.as_chunks::<2>();
                if !rest.is_empty() {
                    return Err(malformed("a BMPString of odd length"));
                }
                String::from_utf16(&pairs.iter().map(|pair| u16::from_be_bytes(*pair)).collect::<Vec<_>>())
                    .map_err(|_| malformed("a BMPString that is not UTF-16"))
            }
            (Class::Universal, 28) => {
                let (quads, rest) = bytes.as_chunks::<4>();
                if !rest.is_empty() {
                    return Err(malformed("a UniversalString of odd length"));
                }
                let chars: Option<String> = quads.iter().map(|quad| char::from_u32(u32::from_be_bytes(*quad))).collect();
                chars.ok_or_else(|| malformed("a UniversalString that is no text"))
            }
            // T61String is Latin-1 in practice
            (Class::Universal, 20) => Ok(bytes.iter().map(|byte| char::from(*byte)).collect()),
            _ => match String::from_utf8(bytes.into_owned()) {
                Ok(text) => Ok(text),
                Err(error) => Ok(error.as_bytes().iter().map(|byte| char::from(*byte)).collect()),
            },
        }
    }
}

/// Where the value of indefinite length at the start of `bytes` ends, its end-of-contents octets included.
fn indefinite_end(bytes: &[u8], offset: u64, depth: Depth) -> Result<usize, Error> {
    let truncated = || Error::Truncated { offset };
    let first = Header::parse(bytes, offset)?;
    let mut at = first.size;
    let mut open: usize = 1;
    while open > 0 {
        let rest = bytes.get(at..).filter(|rest| !rest.is_empty()).ok_or_else(truncated)?;
        let header = Header::parse(rest, offset)?;
        let skip = match header.length {
            _ if header.is_end() => {
                open = open.saturating_sub(1);
                header.size
            }
            Length::Indefinite => {
                open = open.saturating_add(1);
                if open > depth.left {
                    return Err(depth.reached());
                }
                header.size
            }
            Length::Definite(length) => {
                usize::try_from(length).ok().and_then(|l| l.checked_add(header.size)).ok_or_else(truncated)?
            }
        };
        at = at.checked_add(skip).filter(|at| *at <= bytes.len()).ok_or_else(truncated)?;
    }
    Ok(at)
}

impl Depth {
    fn reached(self) -> Error {
        Error::Limit(LimitReached { name: "ber depth", limit: u64::try_from(self.limit).unwrap_or(u64::MAX) })
    }
}

/// Types that BER may write in pieces; context tags may stand for such types.
fn may_be_constructed(tag: Tag) -> bool {
    !tag.constructed && (tag.class == Class::Context || matches!(tag.number, 3 | 4 | 12 | 18..=22 | 25..=30))
}

fn tag_name(tag: Tag) -> &'static str {
    match (tag.class, tag.number) {
        (Class::Universal, 1) => "BOOLEAN",
        (Class::Universal, 2) => "INTEGER",
        (Class::Universal, 3) => "BIT STRING",
        (Class::Universal, 4) => "OCTET STRING",
        (Class::Universal, 5) => "NULL",
        (Class::Universal, 6) => "OBJECT IDENTIFIER",
        (Class::Universal, 16) => "SEQUENCE",
        (Class::Universal, 17) => "SET",
        (Class::Context, 0) => "[0]",
        (Class::Context, 1) => "[1]",
        (Class::Context, 2) => "[2]",
        _ => "another type",
    }
}

/// `YYMMDDhhmm[ss](Z|±hhmm)`, with a year of two digits (1950 to 2049) or four; a fraction is dropped.
fn parse_time(bytes: &[u8], year_digits: usize) -> Option<Timestamp> {
    let text = std::str::from_utf8(bytes).ok()?;
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let number = |from: usize, len: usize| -> Option<i64> { text.get(from..from.checked_add(len)?)?.parse().ok() };
    let part = |index: usize| -> Option<u8> { u8::try_from(number(year_digits.checked_add(index.checked_mul(2)?)?, 2)?).ok() };
    let mut year = number(0, year_digits)?;
    if year_digits == 2 {
        year = if year < 50 { year.checked_add(2000)? } else { year.checked_add(1900)? };
    }
    let has_seconds = match digits.checked_sub(year_digits)? {
        8 => false,
        10 => true,
        _ => return None,
    };
    let second = if has_seconds { part(4)? } else { 0 };
    let civil = Civil { year, month: part(0)?, day: part(1)?, hour: part(2)?, minute: part(3)?, second };
    let time = Timestamp::from_civil(civil)?;
    let mut zone = text.get(digits..)?;
    if let Some(fraction) = zone.strip_prefix(['.', ',']) {
        zone = fraction.trim_start_matches(|c: char| c.is_ascii_digit());
    }
    if zone == "Z" || (zone.is_empty() && year_digits == 4) {
        return Some(time);
    }
    let sign = match zone.bytes().next()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let (hours, minutes): (i64, i64) = (zone.get(1..3)?.parse().ok()?, zone.get(3..)?.parse().ok()?);
    let shift = hours.checked_mul(3600)?.checked_add(minutes.checked_mul(60)?)?;
    Some(time.plus_seconds(-sign * shift))
}
