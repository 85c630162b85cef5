//! Base64 in lines (RFC 2045 6.8).

use std::io::{self, BufRead, Read, Write};

use crate::secret::scratch::{self, Piece, Window};

/// Decodes base64; line breaks and characters outside the alphabet do not count (RFC 2045 6.8), the first padding ends it.
pub fn decode_base64(text: &[u8]) -> Vec<u8> {
    decode_clean(text).unwrap_or_else(|| decode_tolerant(text))
}

/// Decodes what holds nothing but lines of the alphabet and padding at its end, as nearly all mail does, at memory speed.
fn decode_clean(text: &[u8]) -> Option<Vec<u8>> {
    let mut clean = Vec::with_capacity(text.len());
    push_lines(text, &mut clean);
    let bare = clean.strip_suffix(b"==").or_else(|| clean.strip_suffix(b"=")).unwrap_or(&clean);
    base64_simd::STANDARD_NO_PAD.decode_to_vec(bare).ok()
}

fn decode_tolerant(text: &[u8]) -> Vec<u8> {
    let mut clean = Vec::with_capacity(text.len());
    push_alphabet(text, &mut clean);
    // a lone last character carries no whole byte
    if clean.len() % 4 == 1 {
        clean.pop();
    }
    match base64_simd::STANDARD_NO_PAD.decode_to_vec(&clean) {
        Ok(bytes) => bytes,
        // trailing bits that are not zero: forgiven, as every mail program does
        Err(_) => decode_sloppy(&clean),
    }
}

fn decode_sloppy(clean: &[u8]) -> Vec<u8> {
    let whole = clean.len() - clean.len() % 4;
    let (head, tail) = clean.split_at(whole);
    let mut bytes = base64_simd::STANDARD_NO_PAD.decode_to_vec(head).unwrap_or_default();
    let mut bits: u32 = 0;
    for &byte in tail {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            _ => 63,
        };
        bits = bits << 6 | u32::from(value);
    }
    match tail.len() {
        2 => bytes.extend((bits >> 4).to_be_bytes().last()),
        3 => bytes.extend_from_slice((bits >> 2).to_be_bytes().get(2..).unwrap_or_default()),
        _ => {}
    }
    bytes
}

/// Decodes base64 as it goes by, as [`decode_base64`] does.
pub(crate) struct Base64Reader<B> {
    source: B,
    /// Characters of the alphabet that wait to be decoded.
    clean: Piece,
    /// Decoded bytes that found no room.
    left: Vec<u8>,
    is_ended: bool,
    has_text: bool,
}

impl<B: BufRead> Base64Reader<B> {
    /// Reads lines of base64 from here.
    pub(crate) fn new(source: B) -> Self {
        Self { source, clean: Piece::new(), left: Vec::new(), is_ended: false, has_text: false }
    }

    /// Where it reads.
    pub(crate) fn source_mut(&mut self) -> &mut B {
        &mut self.source
    }

    /// Passes over the rest of what was read to its end; says whether it holds more than base64 and white space: text behind the padding,
    /// or characters of no alphabet.
    pub(crate) fn has_text_beside(&mut self) -> io::Result<bool> {
        loop {
            let text = self.source.fill_buf()?;
            if text.is_empty() {
                return Ok(self.has_text);
            }
            self.has_text |= self.is_ended && text.iter().any(|byte| is_text(*byte));
            let len = text.len();
            self.source.consume(len);
        }
    }

    /// Takes characters from the source that give at most `bytes` bytes.
    fn gather(&mut self, bytes: usize) -> io::Result<()> {
        let chars = (bytes / 3).saturating_mul(4).saturating_sub(self.clean.expose().len());
        let text = self.source.fill_buf()?;
        let text = text.get(..chars.min(text.len())).unwrap_or_default();
        if text.is_empty() {
            self.is_ended = true;
            return Ok(());
        }
        push_lines(text, self.clean.expose_mut());
        let taken = text.len();
        self.source.consume(taken);
        Ok(())
    }

    /// Leaves out what does not count; the first padding ends it.
    fn filter(&mut self) {
        let text = std::mem::replace(&mut self.clean, Piece::new());
        self.is_ended |= push_alphabet(text.expose(), self.clean.expose_mut());
        let left_out = text.expose().len() > self.clean.expose().len();
        self.has_text |= left_out && has_text(text.expose());
    }
}

impl<B: BufRead> Read for Base64Reader<B> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        // small reads go through a buffer of their own
        if !self.left.is_empty() || out.len() < SMALL {
            if self.left.is_empty() {
                let mut block = vec![0; SMALL];
                let read = self.read(&mut block)?;
                block.truncate(read);
                self.left = block;
            }
            let len = self.left.len().min(out.len());
            let (now, later) = self.left.split_at(len);
            out.get_mut(..len).unwrap_or_default().copy_from_slice(now);
            self.left = later.to_vec();
            return Ok(len);
        }
        loop {
            if !self.is_ended {
                self.gather(out.len())?;
            }
            // padding ends the text, nearly always where it ends anyway; text with padding elsewhere does not decode as it is
            let clean = self.clean.expose_mut();
            let padding = clean.iter().rev().take(2).take_while(|byte| **byte == b'=').count();
            clean.truncate(clean.len().saturating_sub(padding));
            self.is_ended |= padding > 0;
            let mut len;
            let whole = clean.len() - clean.len() % 4;
            let quads = clean.get(..whole).unwrap_or_default();
            match base64_simd::STANDARD_NO_PAD.decode(quads, base64_simd::Out::from_slice(out)) {
                Ok(bytes) => {
                    len = bytes.len();
                    self.clean.take(whole);
                }
                // characters that do not count are rare, and padding comes once
                Err(_) => {
                    self.filter();
                    continue;
                }
            }
            if self.is_ended && !self.clean.expose().is_empty() {
                // the last characters carry one or two bytes
                self.filter();
                let last = decode_sloppy(self.clean.expose());
                self.clean.clear();
                if let Some(space) = out.get_mut(len..len.saturating_add(last.len())) {
                    space.copy_from_slice(&last);
                    len = len.saturating_add(last.len());
                } else {
                    self.left = last;
                }
            }
            if len > 0 || self.is_ended {
                return Ok(len);
            }
        }
    }
}

/// Reads of less than this many bytes are gathered.
const SMALL: usize = 256;

/// Appends text without its line breaks.
fn push_lines(text: &[u8], clean: &mut Vec<u8>) {
    let mut rest = text;
    loop {
        // nearly every line is as long as it may be; were there a line break within, it would be left out as what does not count
        while let Some((line, after)) = rest.split_first_chunk::<LINE>() {
            let Some((line, b"\r\n")) = line.split_first_chunk::<{ LINE - 2 }>() else { break };
            clean.extend_from_slice(line);
            rest = after;
        }
        let Some(at) = memchr::memchr(b'\n', rest) else { break };
        let (line, after) = rest.split_at(at);
        clean.extend_from_slice(line.strip_suffix(b"\r").unwrap_or(line));
        rest = after.get(1..).unwrap_or_default();
    }
    // the line break that ends this piece of text may be cut in two
    clean.extend_from_slice(rest.strip_suffix(b"\r").unwrap_or(rest));
}

/// Appends what counts; says whether padding ended it.
fn push_alphabet(text: &[u8], clean: &mut Vec<u8>) -> bool {
    for &byte in text {
        match byte {
            b'=' => return true,
            byte if byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/') => clean.push(byte),
            _ => {}
        }
    }
    false
}

/// Whether base64 has characters that do not belong there, or such behind its padding.
fn has_text(text: &[u8]) -> bool {
    let end = text.iter().position(|byte| *byte == b'=').unwrap_or(text.len());
    let (base64, behind) = text.split_at(end);
    let is_foreign = |byte: &u8| is_text(*byte) && !byte.is_ascii_alphanumeric() && !matches!(byte, b'+' | b'/');
    base64.iter().any(is_foreign) || behind.iter().any(|byte| is_text(*byte))
}

fn is_text(byte: u8) -> bool {
    !byte.is_ascii_whitespace() && byte != b'='
}

/// Encodes base64 in lines of 76 characters that end in CRLF (RFC 2045 6.8).
pub fn encode_base64(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len().div_ceil(LINE_BYTES).saturating_mul(LINE));
    let mut chunks = bytes.chunks_exact(LINE_BYTES);
    let mut line = [0; LINE];
    for chunk in &mut chunks {
        out.extend_from_slice(encode_line(chunk, &mut line));
    }
    if !chunks.remainder().is_empty() {
        out.extend_from_slice(encode_line(chunks.remainder(), &mut line));
    }
    out
}

/// Bytes that one line of base64 carries, and characters of the line with its CRLF.
const LINE_BYTES: usize = 57;
const LINE: usize = 78;

/// Lines that are encoded in one go and then broken.
const TOGETHER: usize = 32;

/// Encodes [`TOGETHER`] lines to where there is room for them.
fn encode_lines(bytes: &[u8], to: &mut [u8]) {
    let mut text = [0; (LINE - 2) * TOGETHER];
    let encoded = base64_simd::STANDARD.encode(bytes, base64_simd::Out::from_slice(text.as_mut_slice()));
    let (to, _) = to.as_chunks_mut::<LINE>();
    let (from, _) = encoded.as_chunks::<{ LINE - 2 }>();
    for (to, from) in to.iter_mut().zip(from) {
        let (line, end) = to.split_at_mut(LINE - 2);
        line.copy_from_slice(from);
        end.copy_from_slice(b"\r\n");
    }
}

/// Encodes at most [`LINE_BYTES`] bytes as a line with its CRLF.
fn encode_line<'a>(bytes: &[u8], line: &'a mut [u8; LINE]) -> &'a [u8] {
    let len = base64_simd::STANDARD.encode(bytes, base64_simd::Out::from_slice(line.as_mut_slice())).len();
    line.iter_mut().skip(len).zip(b"\r\n").for_each(|(to, from)| *to = *from);
    line.get(..len.saturating_add(2)).unwrap_or_default()
}

/// Encodes base64 as it goes by, in the lines of [`encode_base64`]; [`Base64Lines::finish`] writes the last one.
#[derive(Debug)]
pub struct Base64Lines<W> {
    sink: W,
    /// Where the sink lends room, lines are encoded to where they stay.
    lends: Option<Lends<W>>,
    /// Whether the sink encodes.
    is_passed_on: bool,
    /// Bytes of a line that is not full.
    rest: Vec<u8>,
    /// Else, lines that wait to be written together, at the front.
    out: Window,
    /// Their bytes.
    waiting: usize,
}

/// What a sink does beside taking bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lends<W> {
    /// Lends room for so many bytes.
    pub(crate) room: for<'s> fn(&'s mut W, usize) -> io::Result<Option<&'s mut [u8]>>,
    /// Whether it encodes from here on itself, where a line begins.
    pub(crate) begin: fn(&mut W) -> io::Result<bool>,
    /// Ends the last line.
    pub(crate) end: fn(&mut W) -> io::Result<()>,
}

impl<W: Write> Base64Lines<W> {
    /// Writes to this sink.
    pub fn new(sink: W) -> Self {
        Self::over(sink, None, Window::new(scratch::SIZE))
    }

    /// Writes to this sink, into room that it lends where it lends any.
    pub(crate) fn lent(mut sink: W, lends: Lends<W>) -> io::Result<Self> {
        if (lends.room)(&mut sink, 0)?.is_none() {
            return Ok(Self::new(sink));
        }
        Ok(Self::over(sink, Some(lends), Window::new(0)))
    }

    fn over(sink: W, lends: Option<Lends<W>>, out: Window) -> Self {
        Self { sink, lends, is_passed_on: false, rest: Vec::with_capacity(LINE_BYTES), out, waiting: 0 }
    }

    /// Writes what is left.
    pub fn finish(mut self) -> io::Result<()> {
        if let Some(lends) = self.lends.as_ref().filter(|_| self.is_passed_on) {
            return (lends.end)(&mut self.sink);
        }
        let rest = std::mem::take(&mut self.rest);
        if !rest.is_empty() {
            self.line(&rest)?;
        }
        self.flush()
    }

    /// Encodes one line.
    fn line(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut line = [0; LINE];
        let line = encode_line(bytes, &mut line);
        self.space(line.len())?.copy_from_slice(line);
        Ok(())
    }

    /// Room for so many bytes more, at most [`TOGETHER`] lines; what waits is written where there is none.
    fn space(&mut self, bytes: usize) -> io::Result<&mut [u8]> {
        if let Some(lends) = &self.lends {
            let room = (lends.room)(&mut self.sink, bytes)?.filter(|room| room.len() == bytes);
            return room.ok_or_else(|| io::Error::other("a spool that lent room lends none"));
        }
        if self.out.len().saturating_sub(self.waiting) < bytes {
            self.write_waiting()?;
        }
        let from = self.waiting;
        self.waiting = from.saturating_add(bytes);
        self.out.filled(self.waiting);
        Ok(self.out.get_mut(from..self.waiting).unwrap_or_default())
    }

    fn write_waiting(&mut self) -> io::Result<()> {
        self.sink.write_all(self.out.get(..self.waiting).unwrap_or_default())?;
        self.waiting = 0;
        Ok(())
    }
}

impl<W: Write> Write for Base64Lines<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut left = bytes;
        if self.is_passed_on {
            return self.sink.write(bytes);
        }
        if !self.rest.is_empty() {
            let (head, tail) = left.split_at(left.len().min(LINE_BYTES.saturating_sub(self.rest.len())));
            self.rest.extend_from_slice(head);
            left = tail;
            if self.rest.len() < LINE_BYTES {
                return Ok(bytes.len());
            }
            let mut rest = std::mem::take(&mut self.rest);
            self.line(&rest)?;
            rest.clear();
            self.rest = rest;
        }
        if let Some(lends) = &self.lends
            && (lends.begin)(&mut self.sink)?
        {
            self.is_passed_on = true;
            self.sink.write_all(left)?;
            return Ok(bytes.len());
        }
        let mut chunks = left.chunks_exact(LINE_BYTES.saturating_mul(TOGETHER));
        for chunk in &mut chunks {
            encode_lines(chunk, self.space(LINE.saturating_mul(TOGETHER))?);
        }
        let mut chunks = chunks.remainder().chunks_exact(LINE_BYTES);
        for chunk in &mut chunks {
            self.line(chunk)?;
        }
        self.rest.extend_from_slice(chunks.remainder());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.write_waiting()?;
        self.sink.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_comes_back_through_lines_junk_and_sloppy_ends() {
        for len in [0, 1, 2, 56, 57, 58, 1000] {
            let bytes: Vec<u8> = (0..len).map(|i| u8::try_from(i % 251).expect("small")).collect();
            assert_eq!(decode_base64(&encode_base64(&bytes)), bytes);
        }
        for (piece, len) in [(1, 300), (57, 70_000), (1000, 200_000), (65_537, 300_000)] {
            let bytes: Vec<u8> = (0..len).map(|i| u8::try_from(i % 251).expect("small")).collect();
            let mut lines = Base64Lines::new(Vec::new());
            bytes.chunks(piece).for_each(|chunk| lines.write_all(chunk).expect("memory takes all"));
            assert!(lines.waiting <= lines.out.len() && (len < 70_000 || !lines.sink.is_empty()), "what waits is bounded");
            lines.flush().expect("memory takes all");
            let rest = encode_base64(&lines.rest);
            assert_eq!([lines.sink, rest].concat(), encode_base64(&bytes), "in pieces of {piece}");
        }
        assert_eq!(decode_base64(b" aG Vs\n!bG8=\nrest"), b"hello");
        assert_eq!(decode_base64(b"aGVsbG9="), b"hello");
    }
}
