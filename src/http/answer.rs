//! An HTTP answer, read as it arrives (RFC 9112).
//!
//! ```text
//! Head ─ status and fields ─┬─ Length(left) ────────────────┬─ Done
//!   ↑ 1xx                   ├─ Size ⇄ Chunk(left) ─ Trailer ┤
//!   └──                     └─ ToEnd ── the end ────────────┘
//! ```

use crate::http::Error;
use crate::limits::Limits;

/// An answer that is whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The media type of the body, in small letters and without parameters; empty where none is given.
    pub media_type: String,
    /// Where it sends to.
    pub location: Option<String>,
    /// The body.
    pub body: Vec<u8>,
}

/// Reads an answer in whatever pieces it arrives, and holds no more than its bounds.
#[derive(Debug)]
pub struct Reader {
    state: State,
    /// Bytes of the header section, of a line of the chunks, and so on, that are not used yet.
    pending: Vec<u8>,
    answer: Answer,
    most_head: usize,
    most_body: usize,
    /// Bytes of header sections and of lines about chunks so far.
    head: usize,
}

/// Where in the answer the next byte stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// In the header section.
    Head,
    /// In a body of a known length: so many bytes are left.
    Length(usize),
    /// In the line that says how long the next chunk is.
    Size,
    /// In a chunk: so many bytes are left.
    Chunk(usize),
    /// In the line end behind a chunk.
    ChunkEnd,
    /// In the fields behind the last chunk.
    Trailer,
    /// In a body that ends with the connection.
    ToEnd,
    /// Behind everything.
    Done,
}

impl Reader {
    /// Reads an answer whose body has at most so many bytes.
    pub fn new(most_body: usize, limits: &Limits) -> Self {
        let answer = Answer { status: 0, media_type: String::new(), location: None, body: Vec::new() };
        Self { state: State::Head, pending: Vec::new(), answer, most_head: limits.http_header_bytes, most_body, head: 0 }
    }

    /// Takes the next bytes; true when the answer is whole.
    pub fn receive(&mut self, mut bytes: &[u8]) -> Result<bool, Error> {
        while !bytes.is_empty() && self.state != State::Done {
            match self.state {
                State::Length(left) | State::Chunk(left) => {
                    let (taken, rest) = bytes.split_at_checked(left).unwrap_or((bytes, &[]));
                    let left = left.saturating_sub(taken.len());
                    let is_chunk = matches!(self.state, State::Chunk(_));
                    self.take(taken)?;
                    bytes = rest;
                    self.state = match (is_chunk, left) {
                        (false, 0) => State::Done,
                        (true, 0) => State::ChunkEnd,
                        (false, left) => State::Length(left),
                        (true, left) => State::Chunk(left),
                    };
                }
                State::ToEnd => {
                    self.take(bytes)?;
                    bytes = &[];
                }
                State::Head | State::Size | State::ChunkEnd | State::Trailer => {
                    let line = bytes.iter().position(|byte| *byte == b'\n').map(|at| at.saturating_add(1));
                    let (taken, rest) = line.and_then(|end| bytes.split_at_checked(end)).unwrap_or((bytes, &[]));
                    self.head = self.head.saturating_add(taken.len());
                    if self.head > self.most_head {
                        return Err(Error::TooLarge(self.most_head));
                    }
                    self.pending.extend_from_slice(taken);
                    bytes = rest;
                    if line.is_some() {
                        self.line()?;
                    }
                }
                State::Done => {}
            }
        }
        Ok(self.state == State::Done)
    }

    /// The answer, when the connection has ended.
    pub fn finish(self) -> Result<Answer, Error> {
        match self.state {
            State::Done | State::ToEnd => Ok(self.answer),
            _ => Err(Error::Cut),
        }
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), Error> {
        if self.answer.body.len().saturating_add(bytes.len()) > self.most_body {
            return Err(Error::TooLarge(self.most_body));
        }
        self.answer.body.extend_from_slice(bytes);
        Ok(())
    }

    /// A line has ended: the last of the pending bytes.
    fn line(&mut self) -> Result<(), Error> {
        match self.state {
            State::Head if ends_head(&self.pending) => {
                let head = std::mem::take(&mut self.pending);
                self.head_ends(&head)
            }
            State::Size => {
                let line = std::mem::take(&mut self.pending);
                self.size(&line)
            }
            State::ChunkEnd => {
                self.state = State::Size;
                match trimmed(&std::mem::take(&mut self.pending)).is_empty() {
                    true => Ok(()),
                    false => Err(Error::Malformed("a chunk that is longer than it says")),
                }
            }
            State::Trailer => {
                let line = std::mem::take(&mut self.pending);
                if trimmed(&line).is_empty() {
                    self.state = State::Done;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// `chunk-size [ chunk-ext ] CRLF`
    fn size(&mut self, line: &[u8]) -> Result<(), Error> {
        let text = trimmed(line);
        let digits = text.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
        let digits = std::str::from_utf8(digits).unwrap_or_default();
        let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        let size = usize::from_str_radix(digits, 16).ok().filter(|_| is_number);
        let size = size.ok_or(Error::Malformed("the length of a chunk cannot be read"))?;
        if self.answer.body.len().saturating_add(size) > self.most_body {
            return Err(Error::TooLarge(self.most_body));
        }
        self.state = if size == 0 { State::Trailer } else { State::Chunk(size) };
        Ok(())
    }

    fn head_ends(&mut self, head: &[u8]) -> Result<(), Error> {
        let mut lines = head.split(|byte| *byte == b'\n').map(trimmed).filter(|line| !line.is_empty());
        let status = status(lines.next().unwrap_or_default())?;
        if (100..200).contains(&status) && status != 101 {
            // more than a few of them reach the bound of the header section
            return Ok(());
        }
        let (mut length, mut is_chunked) = (None, false);
        for line in lines {
            let (name, value) = field(line)?;
            match name.as_str() {
                "content-length" => {
                    let is_number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
                    let number = value.parse::<usize>().ok().filter(|_| is_number);
                    let number = number.ok_or(Error::Malformed("its length cannot be read"))?;
                    if length.is_some_and(|known| known != number) {
                        return Err(Error::Malformed("it has two lengths"));
                    }
                    length = Some(number);
                }
                "transfer-encoding" if value.eq_ignore_ascii_case("chunked") && !is_chunked => is_chunked = true,
                "transfer-encoding" if value.eq_ignore_ascii_case("identity") => {}
                "transfer-encoding" => return Err(Error::Coded(value)),
                "content-encoding" if value.is_empty() || value.eq_ignore_ascii_case("identity") => {}
                "content-encoding" => return Err(Error::Coded(value)),
                "content-type" => {
                    let kind = value.split(';').next().unwrap_or_default().trim();
                    self.answer.media_type = kind.to_ascii_lowercase();
                }
                "location" => self.answer.location = Some(value),
                _ => {}
            }
        }
        if is_chunked && length.is_some() {
            return Err(Error::Malformed("it has a length and chunks"));
        }
        if length.is_some_and(|length| length > self.most_body) {
            return Err(Error::TooLarge(self.most_body));
        }
        self.answer.status = status;
        self.state = match (is_chunked, length) {
            _ if matches!(status, 204 | 304) => State::Done,
            (true, _) => State::Size,
            (false, Some(0)) => State::Done,
            (false, Some(length)) => {
                self.answer.body.reserve_exact(length);
                State::Length(length)
            }
            (false, None) => State::ToEnd,
        };
        Ok(())
    }
}

/// Whether the last line is empty, and another one stands before it.
fn ends_head(head: &[u8]) -> bool {
    head.ends_with(b"\n\n") || head.ends_with(b"\n\r\n")
}

fn trimmed(line: &[u8]) -> &[u8] {
    line.trim_ascii_end()
}

/// `HTTP-version SP status-code SP [ reason-phrase ]`
fn status(line: &[u8]) -> Result<u16, Error> {
    let is_http = line.starts_with(b"HTTP/1.1 ") || line.starts_with(b"HTTP/1.0 ");
    let (digits, after) = line.get(9..).and_then(|rest| rest.split_at_checked(3)).unwrap_or_default();
    let digits = std::str::from_utf8(digits).ok().filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
    let number = digits.and_then(|digits| digits.parse().ok()).filter(|number| (100..600).contains(number));
    let is_status = is_http && (after.is_empty() || after.starts_with(b" "));
    number.filter(|_| is_status).ok_or(Error::Malformed("its first line cannot be read"))
}

/// `field-name ":" OWS field-value OWS`; lines that continue another are obsolete, and refused.
fn field(line: &[u8]) -> Result<(String, String), Error> {
    let at = line.iter().position(|byte| *byte == b':').ok_or(Error::Malformed("a header field without a colon"))?;
    let (name, value) = line.split_at_checked(at).unwrap_or_default();
    let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    if name.is_empty() || !name.iter().all(is_token) {
        return Err(Error::Malformed("a header field whose name cannot be read"));
    }
    let value = String::from_utf8_lossy(value.get(1..).unwrap_or_default().trim_ascii()).into_owned();
    Ok((String::from_utf8_lossy(name).to_ascii_lowercase(), value))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads an answer in one piece and byte by byte: both are the same.
    fn read(text: &[u8]) -> Result<Answer, Error> {
        let run = |pieces: &mut dyn Iterator<Item = &[u8]>| {
            let mut reader = Reader::new(20, &Limits::default());
            for piece in pieces {
                if reader.receive(piece)? {
                    break;
                }
            }
            reader.finish()
        };
        let (whole, bytewise) = (run(&mut std::iter::once(text)), run(&mut text.chunks(1)));
        assert_eq!(whole, bytewise, "{}", String::from_utf8_lossy(text));
        whole
    }

    fn body(text: &[u8]) -> String {
        String::from_utf8(read(text).expect("an answer").body).expect("text")
    }

    #[test]
    fn bodies_of_every_framing_are_read() {
        assert_eq!(body(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello, and more"), "hello");
        assert_eq!(body(b"HTTP/1.0 200\nX: y\n\nhello"), "hello");
        let chunked =
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\nA\r\n, you ther\r\n0\r\nT: t\r\n\r\n";
        assert_eq!(body(chunked), "hello, you ther");
        assert_eq!(body(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx"), "x");
        assert_eq!(body(b"HTTP/1.1 204 No Content\r\n\r\n"), "");
    }

    #[test]
    fn what_it_says_of_itself_is_read() {
        let answer =
            read(b"HTTP/1.1 302 Found\r\nLocation:  /there \r\ncontent-type: Text/HTML; charset=x\r\nContent-Length: 0\r\n\r\n");
        let answer = answer.expect("an answer");
        assert_eq!((answer.status, answer.media_type.as_str(), answer.location.as_deref()), (302, "text/html", Some("/there")));
    }

    #[test]
    fn refuses_what_is_larger_than_its_bound() {
        for text in [
            &b"HTTP/1.1 200 OK\r\nContent-Length: 21\r\n\r\n"[..],
            b"HTTP/1.1 200 OK\r\n\r\n123456789012345678901",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n15\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nA\r\n1234567890\r\nB\r\n",
        ] {
            assert_eq!(read(text), Err(Error::TooLarge(20)));
        }
        let endless = [&b"HTTP/1.1 200 OK\r\n"[..], &b"X: y\r\n".repeat(6_000)].concat();
        assert_eq!(read(&endless), Err(Error::TooLarge(32 << 10)));
        let interim = b"HTTP/1.1 100 Continue\r\n\r\n".repeat(2_000);
        assert_eq!(read(&interim), Err(Error::TooLarge(32 << 10)));
        let extended = [&b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;"[..], &b"x".repeat(40_000)].concat();
        assert_eq!(read(&extended), Err(Error::TooLarge(32 << 10)));
    }

    #[test]
    fn refuses_codings_that_were_not_asked_for() {
        assert_eq!(read(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n"), Err(Error::Coded("gzip".to_owned())));
        assert_eq!(
            read(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"),
            Err(Error::Coded("gzip, chunked".to_owned()))
        );
    }

    #[test]
    fn refuses_what_is_no_http_or_two_things_at_once() {
        for text in [
            &b"SSH-2.0-OpenSSH\r\n\r\n"[..],
            b"HTTP/2 200\r\n\r\n",
            b"HTTP/1.1 2000 OK\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nA: b\r\n continued: x\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n+1\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n",
        ] {
            assert!(matches!(read(text), Err(Error::Malformed(_))), "{}", String::from_utf8_lossy(text));
        }
    }

    #[test]
    fn refuses_an_answer_that_was_cut() {
        for text in [
            &b""[..],
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
        ] {
            assert_eq!(read(text), Err(Error::Cut));
        }
    }
}
