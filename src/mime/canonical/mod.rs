//! The bytes that get signed: CRLF line ends, and a form that survives relays (RFC 8551 3.1.1, 3.1.3).

mod encode;
mod safe;
mod watch;

use std::borrow::Cow;
use std::io::{self, BufRead, Read};

pub use encode::to_safe;
pub(crate) use encode::{Plan, Wish, encode, plan};
pub(crate) use safe::SafeScan;
pub use safe::is_safe;
use watch::Watch;

/// The same bytes with every line end as CRLF; borrowed where they are so already.
pub fn to_crlf(bytes: &[u8]) -> Cow<'_, [u8]> {
    if is_crlf(bytes) {
        return Cow::Borrowed(bytes);
    }
    let mut out = Vec::with_capacity(bytes.len().saturating_add(bytes.len() / 32));
    push_crlf(bytes, Before::Other, &mut out);
    Cow::Owned(out)
}

/// The same text with every line end as CRLF, a carriage return alone too; borrowed where it is so already. For mail that programs write: none
/// may stand alone on the way (RFC 5321 2.3.8).
pub fn to_lines(bytes: &[u8]) -> Cow<'_, [u8]> {
    let whole = to_crlf(bytes);
    let mut lone = memchr::memchr_iter(b'\r', &whole).filter(|at| whole.get(at.saturating_add(1)) != Some(&b'\n')).peekable();
    if lone.peek().is_none() {
        return whole;
    }
    let (mut out, mut from) = (Vec::with_capacity(whole.len().saturating_add(64)), 0);
    for at in lone {
        out.extend_from_slice(whole.get(from..at).unwrap_or_default());
        out.extend_from_slice(b"\r\n");
        from = at.saturating_add(1);
    }
    out.extend_from_slice(whole.get(from..).unwrap_or_default());
    Cow::Owned(out)
}

/// Whether every LF follows a CR.
pub fn is_crlf(bytes: &[u8]) -> bool {
    is_crlf_after(bytes, Before::Other)
}

/// What stood before a piece of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
    CarriageReturn,
    Other,
}

impl Before {
    fn after(self, bytes: &[u8]) -> Self {
        match bytes.last() {
            None => self,
            Some(b'\r') => Self::CarriageReturn,
            Some(_) => Self::Other,
        }
    }
}

fn is_crlf_after(bytes: &[u8], before: Before) -> bool {
    let starts_well = bytes.first() != Some(&b'\n') || before == Before::CarriageReturn;
    starts_well && !wide(Lone(bytes))
}

/// Runs a loop with the widest instructions of this processor. The loop is a type of its own and not a closure: of these the compiler makes functions
/// that know no such instructions.
#[inline(always)]
fn wide<L: pulp::NullaryFnOnce>(work: L) -> L::Output {
    pulp::Arch::new().dispatch(work)
}

/// Whether a line feed follows no carriage return, but for the first byte.
struct Lone<'a>(&'a [u8]);

impl pulp::NullaryFnOnce for Lone<'_> {
    type Output = bool;

    // without a branch in the loop, so that the compiler takes many bytes at once
    #[inline(always)]
    fn call(self) -> bool {
        let pairs = self.0.iter().zip(self.0.iter().skip(1));
        pairs.fold(0_u8, |lone, (a, b)| lone | (u8::from(*b == b'\n') & u8::from(*a != b'\r'))) != 0
    }
}

fn push_crlf(bytes: &[u8], before: Before, out: &mut Vec<u8>) {
    let mut rest = bytes;
    let mut is_first = before == Before::CarriageReturn;
    while let Some(at) = memchr::memchr(b'\n', rest) {
        let (line, after) = rest.split_at(at);
        out.extend_from_slice(line);
        // a CR that is there already is the CR of this line end
        let has_return = line.last() == Some(&b'\r') || (line.is_empty() && is_first);
        out.extend_from_slice(if has_return { b"\n" } else { b"\r\n" });
        rest = after.get(1..).unwrap_or_default();
        is_first = false;
    }
    out.extend_from_slice(rest);
}

/// Bytes with every line end as CRLF, as they go by.
pub(crate) struct Crlf<B> {
    source: B,
    before: Before,
    /// What is lent came from here, or from the source where it was canonical.
    converted: Vec<u8>,
    at: usize,
    /// Bytes at the front of the source that are known to be canonical.
    clean: usize,
    watch: Option<Watch>,
}

impl<B: BufRead> Crlf<B> {
    /// Reads from here.
    pub(crate) fn new(source: B) -> Self {
        Self { source, before: Before::Other, converted: Vec::new(), at: 0, clean: 0, watch: None }
    }

    /// Reads the body that follows this header section from here, and watches whether its line feeds may be content.
    pub(crate) fn watched(head: &[u8], source: B) -> Self {
        Self { watch: Some(Watch::after(head)), ..Self::new(source) }
    }

    /// As [`BufRead::fill_buf`]; who looks at the source's bytes for more than their line ends says here whether these are all CRLF, and saves
    /// a look where they are.
    pub(crate) fn fill_unless(&mut self, is_known: impl FnOnce(&[u8]) -> bool) -> io::Result<&[u8]> {
        if self.at < self.converted.len() {
            return Ok(self.converted.get(self.at..).unwrap_or_default());
        }
        if self.clean == 0 {
            let bytes = self.source.fill_buf()?;
            let is_clean = is_known(bytes) || is_crlf_after(bytes, self.before);
            if let Some(watch) = &mut self.watch {
                watch.look(bytes, !is_clean);
            }
            if is_clean {
                self.clean = bytes.len();
                self.before = self.before.after(bytes);
            } else {
                (self.at, _) = (0, self.converted.clear());
                push_crlf(bytes, self.before, &mut self.converted);
                self.before = self.before.after(bytes);
                let len = bytes.len();
                self.source.consume(len);
                return Ok(&self.converted);
            }
        }
        let bytes = self.source.fill_buf()?;
        Ok(bytes.get(..self.clean).unwrap_or(bytes))
    }

    /// Whether line feeds went by that may be content, and were made line ends.
    pub(crate) fn is_doubtful(&self) -> bool {
        self.watch.as_ref().is_some_and(Watch::is_doubtful)
    }

    /// Whether line ends of both kinds went by.
    pub(crate) fn is_mixed(&self) -> bool {
        self.watch.as_ref().is_some_and(Watch::is_mixed)
    }
}

impl<B: BufRead> BufRead for Crlf<B> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.fill_unless(|_| false)
    }

    fn consume(&mut self, bytes: usize) {
        if self.at < self.converted.len() {
            self.at = self.at.saturating_add(bytes).min(self.converted.len());
            return;
        }
        let bytes = bytes.min(self.clean);
        self.clean = self.clean.saturating_sub(bytes);
        self.source.consume(bytes);
    }
}

impl<B: BufRead> Read for Crlf<B> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        super::stream::copy_out(self, out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_ends_become_crlf_and_crlf_stays() {
        assert!(matches!(to_crlf(b"a\r\nb"), Cow::Borrowed(_)));
        assert_eq!(to_crlf(b"a\nb\r\nc\rd\n").as_ref(), b"a\r\nb\r\nc\rd\r\n");
    }

    #[test]
    fn a_stream_becomes_what_one_go_gives() {
        let text = b"a\nb\r\nc\rd\n\n\r\r\n\r\n\n\r";
        for piece in 1..text.len() {
            let mut found = Vec::new();
            Crlf::new(io::BufReader::with_capacity(piece, text.as_slice())).read_to_end(&mut found).expect("readable");
            assert_eq!(found, to_crlf(text).as_ref(), "in pieces of {piece}");
        }
    }
}
