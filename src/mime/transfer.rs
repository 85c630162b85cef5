//! Content transfer encodings (RFC 2045 6).

use std::io::{self, Write};

/// How a body is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransferEncoding {
    /// Lines of ASCII.
    SevenBit,
    /// Lines of bytes.
    EightBit,
    /// Bytes.
    Binary,
    /// Quoted-printable.
    QuotedPrintable,
    /// Base64.
    Base64,
    /// A word that is not known; the body is taken as it is.
    Other,
}

impl TransferEncoding {
    /// Reads the value of Content-Transfer-Encoding.
    pub fn parse(value: &str) -> Self {
        match value.split([';', ' ', '(']).next().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
            "" | "7bit" => Self::SevenBit,
            "8bit" => Self::EightBit,
            "binary" => Self::Binary,
            "quoted-printable" => Self::QuotedPrintable,
            "base64" => Self::Base64,
            _ => Self::Other,
        }
    }

    /// Whether the body stands as it is.
    pub fn is_identity(self) -> bool {
        !matches!(self, Self::QuotedPrintable | Self::Base64)
    }
}

/// Removes a transfer encoding.
pub fn decode(encoding: TransferEncoding, body: &[u8]) -> Vec<u8> {
    match encoding {
        TransferEncoding::Base64 => decode_base64(body),
        TransferEncoding::QuotedPrintable => decode_quoted_printable(body),
        _ => body.to_vec(),
    }
}

/// Decodes base64; line breaks and characters outside the alphabet do not count (RFC 2045 6.8), the first padding ends it.
pub fn decode_base64(text: &[u8]) -> Vec<u8> {
    decode_clean(text).unwrap_or_else(|| decode_tolerant(text))
}

/// Decodes what holds nothing but lines of the alphabet and padding at its end, as nearly all mail does, at memory speed.
fn decode_clean(text: &[u8]) -> Option<Vec<u8>> {
    let mut clean = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'\n', rest) {
        let (line, after) = rest.split_at(at);
        clean.extend_from_slice(line.strip_suffix(b"\r").unwrap_or(line));
        rest = after.get(1..).unwrap_or_default();
    }
    clean.extend_from_slice(rest);
    let bare = clean.strip_suffix(b"==").or_else(|| clean.strip_suffix(b"=")).unwrap_or(&clean);
    base64_simd::STANDARD_NO_PAD.decode_to_vec(bare).ok()
}

fn decode_tolerant(text: &[u8]) -> Vec<u8> {
    let mut clean = Vec::with_capacity(text.len());
    'lines: for line in text.split(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/')) {
            clean.extend_from_slice(line);
            continue;
        }
        for &byte in line {
            match byte {
                b'=' => break 'lines,
                byte if byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/') => clean.push(byte),
                _ => {}
            }
        }
    }
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
/// Lines that are written at once.
const LINES: usize = 1024;

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
    /// Bytes of a line that is not full.
    rest: Vec<u8>,
    out: Vec<u8>,
}

impl<W: Write> Base64Lines<W> {
    /// Writes to this sink.
    pub fn new(sink: W) -> Self {
        Self { sink, rest: Vec::with_capacity(LINE_BYTES), out: Vec::with_capacity(LINES.saturating_mul(LINE)) }
    }

    /// Writes what is left.
    pub fn finish(mut self) -> io::Result<()> {
        if !self.rest.is_empty() {
            self.out.extend_from_slice(encode_line(&self.rest, &mut [0; LINE]));
        }
        self.sink.write_all(&self.out)?;
        self.sink.flush()
    }
}

impl<W: Write> Write for Base64Lines<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut left = bytes;
        let mut line = [0; LINE];
        if !self.rest.is_empty() {
            let (head, tail) = left.split_at(left.len().min(LINE_BYTES.saturating_sub(self.rest.len())));
            self.rest.extend_from_slice(head);
            left = tail;
            if self.rest.len() < LINE_BYTES {
                return Ok(bytes.len());
            }
            self.out.extend_from_slice(encode_line(&self.rest, &mut line));
            self.rest.clear();
        }
        let mut chunks = left.chunks_exact(LINE_BYTES);
        for chunk in &mut chunks {
            self.out.extend_from_slice(encode_line(chunk, &mut line));
            if self.out.len() >= LINES.saturating_mul(LINE) {
                self.sink.write_all(&self.out)?;
                self.out.clear();
            }
        }
        self.rest.extend_from_slice(chunks.remainder());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sink.write_all(&self.out)?;
        self.out.clear();
        self.sink.flush()
    }
}

/// Decodes quoted-printable; what is not valid stands as it is (RFC 2045 6.7).
pub fn decode_quoted_printable(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        let (content, line_break) = match line {
            [content @ .., b'\r', b'\n'] => (content, b"\r\n".as_slice()),
            [content @ .., b'\n'] => (content, b"\n".as_slice()),
            content => (content, b"".as_slice()),
        };
        // blanks at the end of a line were added on the way; other control characters were not
        let blanks = content.iter().rev().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        let content = content.get(..content.len().saturating_sub(blanks)).unwrap_or_default();
        let (content, is_soft) = match content.strip_suffix(b"=") {
            Some(rest) => (rest, true),
            None => (content, false),
        };
        let mut bytes = content.iter().copied();
        while let Some(byte) = bytes.next() {
            let mut ahead = bytes.clone();
            let digit = |byte: Option<u8>| byte.and_then(|b| char::from(b).to_digit(16)).and_then(|d| u8::try_from(d).ok());
            if byte == b'='
                && let (Some(high), Some(low)) = (digit(ahead.next()), digit(ahead.next()))
            {
                out.push(high << 4 | low);
                bytes = ahead;
                continue;
            }
            out.push(byte);
        }
        if !is_soft {
            out.extend_from_slice(line_break);
        }
    }
    out
}

/// Encodes text whose line breaks are CRLF as quoted-printable, safe for every relay: no line over 76, no blank at a line's end, no
/// `From ` and no lone `.` at its start.
pub fn encode_quoted_printable(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len().saturating_add(text.len() / 8));
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        let (content, line_break) = match line {
            [content @ .., b'\r', b'\n'] => (content, b"\r\n".as_slice()),
            content => (content, b"".as_slice()),
        };
        let mut column = 0_usize;
        for (at, &byte) in content.iter().enumerate() {
            let is_last = at.saturating_add(1) == content.len();
            let at_start = column == 0;
            let plain = match byte {
                b'=' => false,
                b' ' | b'\t' => !is_last,
                b'.' | b'F' => !at_start,
                33..=126 => true,
                _ => false,
            };
            let width = if plain { 1 } else { 3 };
            if column.saturating_add(width) > 75 {
                out.extend_from_slice(b"=\r\n");
                column = 0;
            }
            if plain && !(column == 0 && matches!(byte, b'.' | b'F')) {
                out.push(byte);
                column = column.saturating_add(1);
            } else {
                out.extend_from_slice(format!("={byte:02X}").as_bytes());
                column = column.saturating_add(3);
            }
        }
        out.extend_from_slice(line_break);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_printable_comes_back_and_is_safe() {
        let text = "From here .\r\n.\r\nblank \r\n=\u{e4}\r\n".repeat(3) + &"x".repeat(200) + "\r\nlast";
        let encoded = encode_quoted_printable(text.as_bytes());
        assert_eq!(decode_quoted_printable(&encoded), text.as_bytes());
        for line in encoded.split(|b| *b == b'\n') {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            assert!(line.len() <= 76 && !line.starts_with(b"From ") && !line.starts_with(b".") && !line.ends_with(b" "));
            assert!(line.is_ascii());
        }
    }

    #[test]
    fn only_blanks_are_dropped_at_the_end_of_a_quoted_printable_line() {
        assert_eq!(decode_quoted_printable(b"a= \t\r\nb \t\r\nc\x0c\r\nd\r"), b"ab\r\nc\x0c\r\nd\r");
    }

    #[test]
    fn base64_comes_back_through_lines_junk_and_sloppy_ends() {
        for len in [0, 1, 2, 56, 57, 58, 1000] {
            let bytes: Vec<u8> = (0..len).map(|i| u8::try_from(i % 251).expect("small")).collect();
            assert_eq!(decode_base64(&encode_base64(&bytes)), bytes);
        }
        assert_eq!(decode_base64(b" aG Vs\n!bG8=\nrest"), b"hello");
        assert_eq!(decode_base64(b"aGVsbG9="), b"hello");
    }
}
