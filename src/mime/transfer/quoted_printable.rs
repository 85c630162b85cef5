//! Quoted-printable (RFC 2045 6.7).

use std::io::{self, BufRead, Read, Write};

/// Decodes quoted-printable; what is not valid stands as it is.
pub fn decode_quoted_printable(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    text.split_inclusive(|byte| *byte == b'\n').for_each(|line| decode_line(line, &mut out));
    out
}

/// Decodes a line, its line break included.
fn decode_line(line: &[u8], out: &mut Vec<u8>) {
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
    decode_text(content, out);
    if !is_soft {
        out.extend_from_slice(line_break);
    }
}

fn decode_text(content: &[u8], out: &mut Vec<u8>) {
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
}

/// Decodes quoted-printable as it goes by, as [`decode_quoted_printable`] does.
pub(crate) struct QuotedPrintableReader<B> {
    source: B,
    line: Vec<u8>,
    out: Vec<u8>,
    at: usize,
}

impl<B: BufRead> QuotedPrintableReader<B> {
    /// Reads from here.
    pub(crate) fn new(source: B) -> Self {
        Self { source, line: Vec::new(), out: Vec::new(), at: 0 }
    }

    /// Decodes the next line, or a piece of one that is longer than any.
    fn next_line(&mut self) -> io::Result<()> {
        (self.at, _) = (0, self.out.clear());
        loop {
            let text = self.source.fill_buf()?;
            if text.is_empty() {
                decode_line(&std::mem::take(&mut self.line), &mut self.out);
                return Ok(());
            }
            let end = memchr::memchr(b'\n', text).map(|at| at.saturating_add(1));
            let taken = end.unwrap_or(text.len());
            self.line.extend_from_slice(text.get(..taken).unwrap_or_default());
            self.source.consume(taken);
            if end.is_some() {
                decode_line(&self.line, &mut self.out);
                self.line.clear();
                return Ok(());
            }
            if self.line.len() > LONGEST {
                // what ends the line may look back at blanks and at two characters
                let is_open = |byte: &u8| matches!(byte, b' ' | b'\t' | b'=' | b'\r') || byte.is_ascii_hexdigit();
                let open = self.line.iter().rev().take_while(|byte| is_open(byte)).count();
                let keep = if open < self.line.len() { open } else { 0 };
                let later = self.line.split_off(self.line.len().saturating_sub(keep));
                decode_text(&self.line, &mut self.out);
                self.line = later;
                return Ok(());
            }
        }
    }
}

impl<B: BufRead> Read for QuotedPrintableReader<B> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < out.len() {
            if self.at == self.out.len() {
                self.next_line()?;
                if self.out.is_empty() && self.line.is_empty() && self.source.fill_buf()?.is_empty() {
                    break;
                }
            }
            let ready = self.out.get(self.at..).unwrap_or_default();
            let space = out.get_mut(filled..).unwrap_or_default();
            let len = ready.len().min(space.len());
            space.iter_mut().zip(ready).for_each(|(to, from)| *to = *from);
            self.at = self.at.saturating_add(len);
            filled = filled.saturating_add(len);
        }
        Ok(filled)
    }
}

/// Lines over this many bytes are decoded in pieces; RFC 2045 allows 76.
const LONGEST: usize = 64 << 10;

/// Encodes text whose line breaks are CRLF as quoted-printable, safe for every relay: no line over 76, no blank at a line's end, no
/// `From ` and no lone `.` at its start.
pub fn encode_quoted_printable(text: &[u8]) -> Vec<u8> {
    let mut writer = QuotedPrintableWriter::new(Vec::with_capacity(text.len().saturating_add(text.len() / 8)));
    writer.push(text);
    writer.end();
    writer.out
}

/// Encodes text as it goes by, as [`encode_quoted_printable`] does; [`QuotedPrintableWriter::finish`] writes what is left.
pub(crate) struct QuotedPrintableWriter<W> {
    sink: W,
    out: Vec<u8>,
    column: usize,
    /// A blank or a carriage return that may end its line.
    pending: Vec<u8>,
}

impl QuotedPrintableWriter<Vec<u8>> {
    fn new(out: Vec<u8>) -> Self {
        Self { sink: Vec::new(), out, column: 0, pending: Vec::new() }
    }
}

impl<W> QuotedPrintableWriter<W> {
    fn push(&mut self, text: &[u8]) {
        for &byte in text {
            match (self.pending.as_slice(), byte) {
                ([.., b'\r'], b'\n') => {
                    self.pending.pop();
                    self.end();
                    self.out.extend_from_slice(b"\r\n");
                    self.column = 0;
                    continue;
                }
                ([b' ' | b'\t'], b'\r') => {
                    self.pending.push(byte);
                    continue;
                }
                ([blank @ (b' ' | b'\t'), ..], _) => {
                    let blank = *blank;
                    self.put(blank, Form::Plain);
                    if self.pending.len() > 1 {
                        self.put(b'\r', Form::Encoded);
                    }
                }
                ([_, ..], _) => self.put(b'\r', Form::Encoded),
                ([], _) => {}
            }
            self.pending.clear();
            match byte {
                b' ' | b'\t' | b'\r' => self.pending.push(byte),
                b'=' => self.put(byte, Form::Encoded),
                33..=126 => self.put(byte, Form::Plain),
                _ => self.put(byte, Form::Encoded),
            }
        }
    }

    /// What is pending ends its line.
    fn end(&mut self) {
        for byte in std::mem::take(&mut self.pending) {
            self.put(byte, Form::Encoded);
        }
    }

    fn put(&mut self, byte: u8, form: Form) {
        let width = if form == Form::Plain { 1 } else { 3 };
        if self.column.saturating_add(width) > 75 {
            self.out.extend_from_slice(b"=\r\n");
            self.column = 0;
        }
        // `From ` and a dot at the start of a line are changed by relays
        if form == Form::Plain && !(self.column == 0 && matches!(byte, b'.' | b'F')) {
            self.out.push(byte);
            self.column = self.column.saturating_add(1);
        } else {
            self.out.extend_from_slice(format!("={byte:02X}").as_bytes());
            self.column = self.column.saturating_add(3);
        }
    }
}

impl<W: Write> QuotedPrintableWriter<W> {
    /// Writes to this sink.
    pub(crate) fn to(sink: W) -> Self {
        Self { sink, out: Vec::new(), column: 0, pending: Vec::new() }
    }

    /// Writes what is left.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        self.end();
        self.sink.write_all(&self.out)
    }
}

impl<W: Write> Write for QuotedPrintableWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.push(bytes);
        self.sink.write_all(&self.out)?;
        self.out.clear();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sink.flush()
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Plain,
    Encoded,
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
}
