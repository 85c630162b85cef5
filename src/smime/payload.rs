//! What gets signed or encrypted: a header section, and a body that streams behind it.

use std::io::{self, BufRead, Read, SeekFrom, Write};

use crate::limits::Limits;
use crate::mime::ContentType;
use crate::mime::canonical::{self, Crlf, Plan, SafeScan, Wish};
use crate::mime::stream::Feed;
use crate::smime::Error;
use crate::smime::headers::Parts;
use crate::smime::spool::Input;

/// A message whose header section was read; its body is read when it is needed, more than once if need be.
pub(in crate::smime) struct Source<'m> {
    input: &'m mut dyn Input,
    body_at: u64,
    /// The header section taken apart.
    pub(in crate::smime) parts: Parts,
}

impl<'m> Source<'m> {
    /// Reads the header section; what has none at all is the text of a message.
    pub(in crate::smime) fn read(input: &'m mut dyn Input, limits: &Limits) -> Result<Self, Error> {
        input.seek(SeekFrom::Start(0))?;
        let head = {
            let mut feed = Feed::new(input);
            feed.head(Vec::new(), &ContentType::text_plain(), limits)?
        };
        let mut parts = Parts::of(&head.entity, &head.bytes);
        if head.entity.fields().is_empty() {
            let charset = if is_utf8(input)? { "utf-8" } else { "iso-8859-1" };
            parts.structure =
                format!("Content-Type: text/plain; charset={charset}\r\nContent-Transfer-Encoding: 8bit\r\n").into_bytes();
        }
        let body_at = u64::try_from(head.bytes.len()).unwrap_or(u64::MAX);
        Ok(Self { input, body_at, parts })
    }
}

/// Whether a text is UTF-8.
fn is_utf8(input: &mut dyn Input) -> io::Result<bool> {
    input.seek(SeekFrom::Start(0))?;
    let mut feed = Feed::new(input);
    let mut cut = Vec::new();
    loop {
        let window = feed.fill_buf()?;
        if window.is_empty() {
            return Ok(cut.is_empty());
        }
        cut.extend_from_slice(window);
        let len = window.len();
        feed.consume(len);
        match std::str::from_utf8(&cut) {
            Ok(_) => cut.clear(),
            Err(error) if error.error_len().is_none() => drop(cut.drain(..error.valid_up_to())),
            Err(_) => return Ok(false),
        }
    }
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
        source.input.seek(SeekFrom::Start(source.body_at))?;
        let plan = canonical::plan(&mut head.as_slice().chain(&mut *source.input), wish, limits)?;
        Ok(Self { head, source, form: BodyForm::Planned(plan) })
    }

    /// Writes all of it.
    pub(in crate::smime) fn write_to(&mut self, limits: &Limits, out: &mut dyn Write) -> Result<Written, Error> {
        let input = &mut *self.source.input;
        input.seek(SeekFrom::Start(self.source.body_at))?;
        match &self.form {
            BodyForm::Planned(plan) => {
                canonical::encode(&mut self.head.as_slice().chain(input), plan, limits, out)?;
                Ok(Written::Whole)
            }
            BodyForm::Canonical => {
                out.write_all(&canonical::to_crlf(&self.head))?;
                copy(&self.head, input, None, out)
            }
            BodyForm::Checked => {
                let mut scan = SafeScan::new();
                scan.update(&self.head);
                if !scan.is_safe() {
                    return Ok(Written::Unsafe);
                }
                out.write_all(&self.head)?;
                copy(&self.head, input, Some(scan), out)
            }
        }
    }
}

/// Copies the body behind a header section with CRLF line ends, for as long as no line feed may be content and all is safe where that is
/// asked.
fn copy(head: &[u8], input: &mut dyn Input, scan: Option<SafeScan>, out: &mut dyn Write) -> Result<Written, Error> {
    let mut scan = scan;
    let mut feed = Feed::new(input);
    let mut lines = Crlf::watched(head, &mut feed);
    loop {
        let window = lines.fill_buf()?;
        if window.is_empty() {
            break;
        }
        if let Some(scan) = &mut scan {
            scan.update(window);
            if !scan.is_safe() {
                return Ok(Written::Unsafe);
            }
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
    let head = Feed::new(input).head(Vec::new(), &ContentType::text_plain(), limits)?;
    input.seek(SeekFrom::Start(0))?;
    Ok(head.bytes)
}
