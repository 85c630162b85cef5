//! What gets signed or encrypted: a header section, and a body that streams behind it.

use std::io::{self, BufRead, Read, SeekFrom, Write};

use crate::cms::{self, Content};
use crate::limits::Limits;
use crate::mime::ContentType;
use crate::mime::canonical::{self, Crlf, Plan, SafeScan, Wish};
use crate::mime::stream::{Feed, Head};
use crate::mime::transfer::Decoded;
use crate::smime::Error;
use crate::smime::body::Body;
use crate::smime::headers::{self, Display, Edit, Parts};
use crate::smime::layer::{self, Kind};
use crate::smime::peel::PieceStream;
use crate::smime::spool::Input;

/// A message whose header section was read; its body is read when it is needed, more than once if need be.
pub(in crate::smime) struct Source<'m> {
    input: &'m mut dyn Input,
    body_at: u64,
    /// How the body is changed, in its order.
    edits: Vec<Edit>,
    /// The header section taken apart.
    pub(in crate::smime) parts: Parts,
    /// What it is already.
    pub(in crate::smime) layer: Layered,
}

/// Whether a message is a layer already, whose root is none of a payload (RFC 9788 4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::smime) enum Layered {
    /// It is none.
    No,
    /// It is, and what its signature covers tells the Subject.
    WithSubject,
    /// It is, and its Subject stands outside alone.
    Bare,
}

impl<'m> Source<'m> {
    /// Reads the header section. What has none at all, and what does not say its type, is the text of a message; bytes that no text has are a file.
    pub(in crate::smime) fn read(input: &'m mut dyn Input, limits: &Limits) -> Result<Self, Error> {
        let (head, body_at) = head_of(input, limits)?;
        let layer = layered(&head, body_at, input, limits)?;
        let mut parts = Parts::of(&head.entity, &head.bytes);
        let is_bare = head.entity.fields().is_empty();
        if is_bare || head.entity.field("content-type").is_none() {
            input.seek(SeekFrom::Start(body_at))?;
            let charset = charset(Decoded::new(head.entity.transfer_encoding(), Feed::new(input)))?;
            // ASCII is what no field at all means, too (RFC 2045 5.2); it gets one where a field is needed
            if charset != Charset::Ascii || is_bare {
                let label = match (head.entity.field("content-transfer-encoding"), charset) {
                    (Some(_), _) => "",
                    (None, Charset::Ascii) => "Content-Transfer-Encoding: 7bit\r\n",
                    (None, _) => "Content-Transfer-Encoding: 8bit\r\n",
                };
                let made = match charset {
                    Charset::None if is_bare => {
                        "Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: binary\r\n".to_owned()
                    }
                    _ => format!("Content-Type: text/plain; charset={}\r\n{label}", charset.name()),
                };
                parts.structure.splice(..0, made.into_bytes());
            }
        }
        Ok(Self { input, body_at, edits: Vec::new(), parts, layer })
    }

    /// Puts hidden fields into the text.
    pub(in crate::smime) fn show(&mut self, display: &Display, limits: &Limits) -> Result<(), Error> {
        let mut payload = [&self.parts.structure, &b"\r\n"[..]].concat();
        let head = payload.len();
        payload.reserve_exact(usize::try_from(BEGINNING).unwrap_or(0).saturating_add(32));
        self.input.seek(SeekFrom::Start(self.body_at))?;
        let read = (&mut *self.input).take(BEGINNING).read_to_end(&mut payload)?;
        let is_whole = u64::try_from(read).is_ok_and(|read| read < BEGINNING);
        let mut edits = display.edits(&payload, is_whole, limits);
        let of_body = edits.split_off(edits.partition_point(|edit| edit.range.start < head));
        for edit in edits.into_iter().rev() {
            self.parts.structure.splice(edit.range, edit.with);
        }
        let moved = |edit: Edit| {
            let range = edit.range.start.saturating_sub(head)..edit.range.end.saturating_sub(head);
            Edit { range, ..edit }
        };
        self.edits = of_body.into_iter().map(moved).collect();
        Ok(())
    }

    /// The body, from its beginning.
    fn body(&mut self) -> io::Result<Edited<'_>> {
        self.input.seek(SeekFrom::Start(self.body_at))?;
        Ok(Edited { input: &mut *self.input, at: 0, with: &[], edits: &self.edits })
    }
}

/// The header section, and where the body begins. A file whose first bytes look like a field has none.
fn head_of(input: &mut dyn Input, limits: &Limits) -> Result<(Head, u64), Error> {
    input.seek(SeekFrom::Start(0))?;
    let (mut mark, mut head) = {
        let mut feed = Feed::new(input);
        (feed.pass_mark()?, feed.head(Vec::new(), &ContentType::text_plain(), limits)?)
    };
    if head.bytes.iter().any(|byte| is_of_file(*byte)) {
        (mark, head) = (0, Feed::new(&mut io::empty()).head(Vec::new(), &ContentType::text_plain(), limits)?);
    }
    let body_at = u64::try_from(mark.saturating_add(head.bytes.len())).unwrap_or(u64::MAX);
    Ok((head, body_at))
}

/// Whether a message is a layer already, and whether what it covers protects the Subject.
fn layered(head: &Head, body_at: u64, input: &mut dyn Input, limits: &Limits) -> Result<Layered, Error> {
    let Some(kind) = layer::kind_of_head(&head.entity, &head.bytes) else { return Ok(Layered::No) };
    input.seek(SeekFrom::Start(body_at))?;
    let mut feed = Feed::new(input);
    let inside = match (kind, head.entity.content_type().parameter("boundary")) {
        (Kind::ClearSigned, Some(boundary)) => {
            let mut parts = feed.parts(boundary);
            parts.next()?.and_then(|mut part| Feed::new(&mut part).head(Vec::new(), &ContentType::text_plain(), limits).ok())
        }
        (Kind::ClearSigned, None) => None,
        (Kind::Opaque, _) => {
            let writing = layer::writing_of(&head.entity, &mut feed)?;
            match cms::open(Body::new(writing, feed)?, limits) {
                Ok(Content::Signed(reader)) => {
                    Feed::over(&mut PieceStream::new(reader)).head(Vec::new(), &ContentType::text_plain(), limits).ok()
                }
                _ => None,
            }
        }
    };
    let subject = |head: &Head| head.entity.field("subject").map(|field| field.unfolded(&head.bytes));
    let is_told = inside.is_some_and(|inside| headers::is_protecting(&inside.entity) && subject(&inside) == subject(head));
    Ok(if is_told { Layered::WithSubject } else { Layered::Bare })
}

/// How much of a body is looked at for its texts: they come first.
const BEGINNING: u64 = 128 << 10;

/// A body as it is changed.
struct Edited<'s> {
    input: &'s mut dyn Input,
    /// How much of the body was read.
    at: usize,
    /// What comes next.
    with: &'s [u8],
    edits: &'s [Edit],
}

impl Read for Edited<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.with.is_empty() {
            let Some((edit, rest)) = self.edits.split_first() else { return self.input.read(out) };
            let before = edit.range.start.saturating_sub(self.at);
            if before > 0 {
                let len = before.min(out.len());
                let read = self.input.read(out.get_mut(..len).unwrap_or_default())?;
                self.at = self.at.saturating_add(read);
                return Ok(read);
            }
            let replaced = u64::try_from(edit.range.len()).unwrap_or(u64::MAX);
            io::copy(&mut (&mut *self.input).take(replaced), &mut io::sink())?;
            (self.at, self.with, self.edits) = (edit.range.end, &edit.with, rest);
        }
        self.with.read(out)
    }
}

/// How a text is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Charset {
    Ascii,
    Utf8,
    /// Every byte is a character: nothing is lost.
    Latin1,
    /// So, and some of them are none that a text has.
    None,
}

impl Charset {
    fn name(self) -> &'static str {
        match self {
            Self::Ascii => "us-ascii",
            Self::Utf8 => "utf-8",
            Self::Latin1 | Self::None => "iso-8859-1",
        }
    }
}

/// The charset of a text that says none.
fn charset(mut text: impl Read) -> io::Result<Charset> {
    let mut feed = Feed::new(&mut text);
    let (mut cut, mut found, mut is_of_text) = (Vec::new(), Charset::Ascii, true);
    loop {
        let window = feed.fill_buf()?;
        if window.is_empty() {
            let found = if cut.is_empty() { found } else { Charset::Latin1 };
            return Ok(if found == Charset::Latin1 && !is_of_text { Charset::None } else { found });
        }
        let len = window.len();
        is_of_text &= !window.iter().any(|byte| is_of_file(*byte));
        if found != Charset::Latin1 && (!cut.is_empty() || !window.is_ascii()) {
            found = Charset::Utf8;
            cut.extend_from_slice(window);
            match std::str::from_utf8(&cut) {
                Ok(_) => cut.clear(),
                Err(error) if error.error_len().is_none() => drop(cut.drain(..error.valid_up_to())),
                Err(_) => (found, cut) = (Charset::Latin1, Vec::new()),
            }
        }
        feed.consume(len);
    }
}

/// Whether no text and no header section has such a byte.
fn is_of_file(byte: u8) -> bool {
    byte < b'\x07'
}

/// A header section and the body of a source.
pub(in crate::smime) struct Payload<'p, 'm> {
    head: Vec<u8>,
    source: &'p mut Source<'m>,
    form: BodyForm,
}

/// How the payload is made safe.
enum BodyForm {
    /// With CRLF line ends, and else as it is, where line ends are all that a line feed can be.
    Canonical,
    /// So, too, where that survives relays; else it says so.
    Checked,
    /// Part by part, as planned.
    Planned(Plan),
}

/// Whether a payload went by in the form that is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(in crate::smime) enum Written {
    /// It did.
    Whole,
    /// It did not, and not all of it went by: begin anew with [`Payload::planned`].
    Unsafe,
}

impl<'p, 'm> Payload<'p, 'm> {
    /// With CRLF line ends.
    pub(in crate::smime) fn canonical(head: Vec<u8>, source: &'p mut Source<'m>) -> Self {
        Self { head, source, form: BodyForm::Canonical }
    }

    /// With CRLF line ends, and watched whether it survives relays: most messages do.
    pub(in crate::smime) fn checked(head: Vec<u8>, source: &'p mut Source<'m>) -> Self {
        Self { head, source, form: BodyForm::Checked }
    }

    /// Part by part as is wished, after a look at each.
    pub(in crate::smime) fn planned(
        head: Vec<u8>,
        wish: Wish,
        source: &'p mut Source<'m>,
        limits: &Limits,
    ) -> Result<Self, Error> {
        let plan = canonical::plan(&mut head.as_slice().chain(source.body()?), wish, limits)?;
        Ok(Self { head, source, form: BodyForm::Planned(plan) })
    }

    /// Writes all of it.
    pub(in crate::smime) fn write_to(&mut self, limits: &Limits, out: &mut dyn Write) -> Result<Written, Error> {
        let mut body = self.source.body()?;
        match &self.form {
            BodyForm::Planned(plan) => {
                canonical::encode(&mut self.head.as_slice().chain(body), plan, limits, out)?;
                Ok(Written::Whole)
            }
            BodyForm::Canonical => {
                out.write_all(&canonical::to_crlf(&self.head))?;
                copy(&self.head, &mut body, None, out)
            }
            BodyForm::Checked => {
                let mut scan = SafeScan::new();
                scan.update(&self.head);
                if !scan.is_safe() {
                    return Ok(Written::Unsafe);
                }
                out.write_all(&self.head)?;
                copy(&self.head, &mut body, Some(scan), out)
            }
        }
    }
}

/// Copies the body behind a header section with CRLF line ends, for as long as no line feed may be content and all is safe where that is
/// asked.
fn copy(head: &[u8], body: &mut dyn Read, scan: Option<SafeScan>, out: &mut dyn Write) -> Result<Written, Error> {
    let mut scan = scan;
    let mut feed = Feed::new(body);
    let mut lines = Crlf::watched(head, &mut feed);
    // what is safe as it is has all its line ends: most messages are looked at once
    let mut is_as_it_is = scan.is_some();
    loop {
        let ahead = scan.clone().filter(|_| is_as_it_is);
        let mut known = None;
        let window = lines.fill_unless(|bytes| {
            known = ahead.map(|mut ahead| {
                ahead.update(bytes);
                ahead
            });
            known.as_ref().is_some_and(SafeScan::is_safe)
        })?;
        if window.is_empty() {
            break;
        }
        match (known.filter(SafeScan::is_safe), &mut scan) {
            (Some(known), _) => scan = Some(known),
            (None, Some(scan)) => {
                is_as_it_is = false;
                scan.update(window);
                if !scan.is_safe() {
                    return Ok(Written::Unsafe);
                }
            }
            (None, None) => {}
        }
        out.write_all(window)?;
        let len = window.len();
        lines.consume(len);
        if lines.is_doubtful() {
            return Ok(Written::Unsafe);
        }
    }
    let is_safe = scan.is_none_or(|scan| scan.finish());
    Ok(if is_safe { Written::Whole } else { Written::Unsafe })
}

/// The header section of a message of any size, for who it is from and to; the input is left at its start.
pub fn read_header(input: &mut dyn Input, limits: &Limits) -> Result<Vec<u8>, Error> {
    input.seek(SeekFrom::Start(0))?;
    let head = {
        let mut feed = Feed::new(input);
        feed.pass_mark()?;
        feed.head(Vec::new(), &ContentType::text_plain(), limits)?
    };
    input.seek(SeekFrom::Start(0))?;
    Ok(head.bytes)
}

/// Whether the Subject of a message would stay readable outside when it is encrypted: it was signed or encrypted before, and what was signed does
/// not tell it. The input is left at its start.
pub fn shows_subject(input: &mut dyn Input, limits: &Limits) -> Result<bool, Error> {
    let (head, body_at) = head_of(input, limits)?;
    let layer = layered(&head, body_at, input, limits)?;
    input.seek(SeekFrom::Start(0))?;
    Ok(layer == Layered::Bare && head.entity.field("subject").is_some())
}
