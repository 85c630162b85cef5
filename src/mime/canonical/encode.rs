//! An entity in a form that survives relays: parts that are not safe are encoded anew, parts that are stay byte for byte.
//!
//! Signed parts inside are never touched: they were safe when they were signed, or they are lost in any case. Nor are parts in a
//! transfer encoding that is not known (RFC 2045 6.4: nobody but its own reader can say what they hold): encoded once more they would
//! need a second label, and there is none. Binary content that is not text has no lines: its canonical form is itself (RFC 8551 3.1.1),
//! and no transport leaves it alone. Two passes: the first looks which parts are safe, the second writes.

use std::io::{self, BufRead, Read, Write};

use crate::limits::{Budget, Limits};
use crate::mime::canonical::{Crlf, SafeScan, is_crlf, to_crlf};
use crate::mime::stream::{Feed, Head, PIECE, ReadError, drain};
use crate::mime::transfer::{Base64Lines, Decoded, QuotedPrintableWriter};
use crate::mime::{ContentType, Error, TransferEncoding, ascii};

/// What becomes of each entity, in the order of the message.
#[derive(Debug, Default)]
pub(crate) struct Plan(Vec<Fate>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// Safe; what is inside is kept, too.
    Keep,
    /// As it is, whatever it is: a signed part, one in an unknown encoding, or a multipart whose parts cannot be found.
    Verbatim,
    /// So, too, and line feeds that stand alone stay.
    Exact,
    /// The header section anew, and what is inside by its own fate.
    Container,
    /// Anew, as quoted-printable.
    QuotedPrintable,
    /// Anew, as base64.
    Base64,
}

/// What is asked of the form of an entity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    /// It survives relays.
    Safe,
    /// Its lines end in CRLF, and its binary content stays as it is: it goes where no relay sees it.
    Canonical,
}

/// An entity in a form that survives relays, in memory.
pub fn to_safe(entity: &[u8], limits: &Limits) -> Result<Vec<u8>, Error> {
    let message = |error| match error {
        ReadError::Message(error) => error,
        ReadError::Io(_) => Error::Encoding("memory that cannot be read"),
    };
    let plan = plan(&mut io::Cursor::new(entity), Wish::Safe, limits).map_err(message)?;
    let mut out = Vec::with_capacity(entity.len().saturating_mul(2));
    encode(&mut io::Cursor::new(entity), &plan, limits, &mut out).map_err(message)?;
    Ok(out)
}

/// The first pass: which parts are safe.
pub(crate) fn plan(entity: &mut dyn Read, wish: Wish, limits: &Limits) -> Result<Plan, ReadError> {
    let mut planner = Planner { plan: Plan::default(), wish, limits, parts: Budget::new("mime parts", limits.mime_parts) };
    planner.entity(&mut Feed::new(entity), &[], &ContentType::text_plain())?;
    Ok(planner.plan)
}

/// The second pass: writes.
pub(crate) fn encode(entity: &mut dyn Read, plan: &Plan, limits: &Limits, out: &mut dyn Write) -> Result<(), ReadError> {
    let mut fates = plan.0.iter().copied();
    let mut next = || fates.next().unwrap_or(Fate::Keep);
    write_entity(&mut Feed::new(entity), &[], &ContentType::text_plain(), &mut next, limits, out)
}

struct Planner<'a> {
    plan: Plan,
    wish: Wish,
    limits: &'a Limits,
    parts: Budget,
}

impl Planner<'_> {
    /// Plans an entity; says whether it is safe as it is.
    fn entity(&mut self, feed: &mut Feed<'_>, path: &[usize], default: &ContentType) -> Result<bool, ReadError> {
        self.parts.spend(1u64).map_err(Error::Limit)?;
        let head = feed.head(path.to_vec(), default, self.limits)?;
        let at = self.plan.0.len();
        self.plan.0.push(Fate::Keep);
        let mut scan = SafeScan::new();
        scan.update(&to_crlf(&head.bytes));
        if is_sealed(&head) {
            let mut lines = Crlf::watched(&[], feed);
            scan_rest(&mut lines, &mut scan)?;
            // whoever wrote CRLF and let line feeds stand alone meant them; verifiers take them for line ends in what is clear-signed
            let is_exact = self.wish == Wish::Canonical && lines.is_mixed() && is_crlf(&head.bytes);
            self.decide(at, if is_exact { Fate::Exact } else { Fate::Verbatim });
            return Ok(self.is_good(&scan));
        }
        let below = |number: usize| [path, &[number]].concat();
        let is_safe = match inside(&head) {
            Inside::Parts(boundary, default) => {
                let mut is_safe = self.is_good(&scan) && (!boundary.ends_with([' ', '\t']) || self.wish == Wish::Canonical);
                let mut parts = feed.parts(&boundary);
                loop {
                    let number = parts.count().saturating_add(1);
                    let Some(mut part) = parts.next()? else { break };
                    is_safe &= self.entity(&mut Feed::with_capacity(&mut part, PIECE / 4), &below(number), &default)?;
                }
                if parts.count() == 0 {
                    self.decide(at, Fate::Verbatim);
                    return Ok(self.is_good(&scan));
                }
                let mut epilogue = SafeScan::new();
                scan_rest(&mut Crlf::new(feed), &mut epilogue)?;
                // blanks behind a delimiter and text around the parts are not seen here: a multipart is kept whole or not at all
                is_safe && self.is_good(&epilogue)
            }
            Inside::Message => self.is_good(&scan) && self.entity(feed, &below(1), &ContentType::text_plain())?,
            Inside::Nothing if is_bytes(&head) => {
                drain(feed)?;
                self.wish == Wish::Canonical
            }
            Inside::Nothing => {
                scan_rest(&mut Crlf::new(feed), &mut scan)?;
                self.is_good(&scan)
            }
        };
        if !is_safe {
            self.decide(at, fate_of(&head));
        }
        Ok(is_safe)
    }

    /// Whether what went by is as is wished.
    fn is_good(&self, scan: &SafeScan) -> bool {
        self.wish == Wish::Canonical || scan.finish()
    }

    fn decide(&mut self, at: usize, fate: Fate) {
        if let Some(known) = self.plan.0.get_mut(at) {
            *known = fate;
        }
    }
}

/// What becomes of an entity that is not safe.
fn fate_of(head: &Head) -> Fate {
    let is_text = head.entity.content_type().kind == "text";
    match inside(head) {
        Inside::Parts(..) | Inside::Message => Fate::Container,
        Inside::Nothing if is_text && head.entity.transfer_encoding() != TransferEncoding::Base64 => Fate::QuotedPrintable,
        Inside::Nothing => Fate::Base64,
    }
}

enum Inside {
    Parts(String, ContentType),
    Message,
    Nothing,
}

fn inside(head: &Head) -> Inside {
    let kind = head.entity.content_type();
    match kind.parameter("boundary") {
        Some(boundary) if kind.is_multipart() => {
            let default = if kind.subtype == "digest" { ContentType::message() } else { ContentType::text_plain() };
            Inside::Parts(boundary.to_owned(), default)
        }
        _ if head.entity.is_message() && head.entity.transfer_encoding().is_identity() => Inside::Message,
        _ => Inside::Nothing,
    }
}

/// Whether nothing inside may change.
fn is_sealed(head: &Head) -> bool {
    let kind = head.entity.content_type();
    kind.is("multipart", "signed")
        || kind.is("multipart", "encrypted")
        || head.entity.transfer_encoding() == TransferEncoding::Other
}

/// Whether a leaf holds bytes, not lines.
fn is_bytes(head: &Head) -> bool {
    let is_lines = matches!(head.entity.content_type().kind.as_str(), "text" | "message" | "multipart");
    head.entity.transfer_encoding() == TransferEncoding::Binary && !is_lines
}

/// The body of a leaf: bytes, or lines that end in CRLF.
fn body<'f>(head: &Head, feed: &'f mut Feed<'_>) -> Box<dyn BufRead + 'f> {
    if is_bytes(head) { Box::new(feed) } else { Box::new(Crlf::new(feed)) }
}

fn scan_rest(rest: &mut dyn BufRead, scan: &mut SafeScan) -> io::Result<()> {
    loop {
        let bytes = rest.fill_buf()?;
        if bytes.is_empty() {
            return Ok(());
        }
        scan.update(bytes);
        let len = bytes.len();
        rest.consume(len);
    }
}

fn write_entity(
    feed: &mut Feed<'_>,
    path: &[usize],
    default: &ContentType,
    next: &mut dyn FnMut() -> Fate,
    limits: &Limits,
    out: &mut dyn Write,
) -> Result<(), ReadError> {
    let fate = next();
    let head = feed.head(path.to_vec(), default, limits)?;
    let below = |number: usize| [path, &[number]].concat();
    match (fate, inside(&head)) {
        (Fate::Exact, _) => {
            out.write_all(&head.bytes)?;
            copy(feed, out)?;
        }
        (Fate::Verbatim, _) => {
            out.write_all(&to_crlf(&head.bytes))?;
            copy(&mut Crlf::new(feed), out)?;
        }
        (Fate::Keep, Inside::Nothing) => {
            out.write_all(&to_crlf(&head.bytes))?;
            copy(&mut body(&head, feed), out)?;
        }
        (Fate::Keep | Fate::Container, Inside::Parts(boundary, default)) => {
            write_container(&head, fate, out)?;
            let boundary = boundary.trim_end();
            let mut parts = feed.parts(boundary);
            let mut is_first = true;
            loop {
                let number = parts.count().saturating_add(1);
                let Some(mut part) = parts.next()? else { break };
                // the text before the first part is nobody's to read (RFC 2046 5.1.1)
                write!(out, "{}--{boundary}\r\n", if is_first { "" } else { "\r\n" })?;
                is_first = false;
                write_entity(&mut Feed::with_capacity(&mut part, PIECE / 4), &below(number), &default, next, limits, out)?;
            }
            write!(out, "\r\n--{boundary}--\r\n")?;
            drain(feed)?;
        }
        (Fate::Keep | Fate::Container, Inside::Message) => {
            write_container(&head, fate, out)?;
            write_entity(feed, &below(1), &ContentType::text_plain(), next, limits, out)?;
        }
        (Fate::QuotedPrintable, _) => {
            write_header(&head, Some("quoted-printable"), out)?;
            let mut decoded = Decoded::new(head.entity.transfer_encoding(), body(&head, feed));
            let mut lines = Feed::new(&mut decoded);
            let mut writer = QuotedPrintableWriter::to(out);
            copy(&mut Crlf::new(&mut lines), &mut writer)?;
            writer.finish()?;
        }
        (Fate::Base64 | Fate::Container, _) => {
            write_header(&head, Some("base64"), out)?;
            let mut decoded = Decoded::new(head.entity.transfer_encoding(), body(&head, feed));
            let mut writer = Base64Lines::new(out);
            copy(&mut Feed::new(&mut decoded), &mut writer)?;
            writer.finish()?;
        }
    }
    Ok(())
}

fn write_container(head: &Head, fate: Fate, out: &mut dyn Write) -> io::Result<()> {
    if fate == Fate::Keep { out.write_all(&to_crlf(&head.bytes)) } else { write_header(head, None, out) }
}

fn copy(from: &mut dyn BufRead, to: &mut dyn Write) -> io::Result<()> {
    loop {
        let bytes = from.fill_buf()?;
        if bytes.is_empty() {
            return Ok(());
        }
        to.write_all(bytes)?;
        let len = bytes.len();
        from.consume(len);
    }
}

/// The header section with another transfer encoding, its fields as relays leave them alone.
fn write_header(head: &Head, encoding: Option<&str>, out: &mut dyn Write) -> io::Result<()> {
    if head.bytes.is_empty() && encoding.is_none() {
        return Ok(());
    }
    for field in head.entity.fields().iter().filter(|field| field.name != "content-transfer-encoding") {
        out.write_all(&ascii::field(&field.name, field.raw(&head.bytes)))?;
    }
    if let Some(encoding) = encoding {
        write!(out, "Content-Transfer-Encoding: {encoding}\r\n")?;
    }
    out.write_all(b"\r\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mime::canonical::is_safe;
    use crate::mime::parse;

    #[test]
    fn unsafe_parts_are_encoded_and_safe_ones_stay() {
        let source = "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\n\
            Content-Transfer-Encoding: 8bit\r\n\r\nFrom me: gr\u{fc}\u{df}e \r\n--b\r\nContent-Type: text/plain\r\n\r\nsafe\r\n--b--\r\n";
        let limits = Limits::default();
        let safe = to_safe(source.as_bytes(), &limits).expect("small");
        assert!(is_safe(&safe), "{}", String::from_utf8_lossy(&safe));
        let root = parse(&safe, &limits).expect("small");
        assert_eq!(root.children()[0].decoded_body(&safe), "From me: gr\u{fc}\u{df}e ".as_bytes());
        assert_eq!(root.children()[1].bytes(&safe), b"Content-Type: text/plain\r\n\r\nsafe");
    }

    #[test]
    fn blanks_behind_delimiters_and_text_around_parts_go_and_every_kind_of_part_comes_back() {
        let inner = "Content-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n\r\nkept\r\n--c--\r\n";
        let source = format!(
            "Content-Type: multipart/mixed; boundary=\"b\"\r\n\r\nFrom here \r\n--b \t\r\n{inner}\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n\
             Subject: x\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: binary\r\n\r\n\0\u{ff}\r\n--b\r\n\r\n\
             {}\r\n--b--\r\nFrom there \r\n",
            "y".repeat(2000)
        );
        let limits = Limits::default();
        let safe = to_safe(source.as_bytes(), &limits).expect("small");
        assert!(is_safe(&safe), "{}", String::from_utf8_lossy(&safe));
        let root = parse(&safe, &limits).expect("small");
        let leaves: Vec<Vec<u8>> =
            root.walk().iter().filter(|e| e.children().is_empty()).map(|e| e.decoded_body(&safe)).collect();
        assert_eq!(leaves, [b"kept".to_vec(), "\0\u{ff}".as_bytes().to_vec(), "y".repeat(2000).into_bytes()]);
    }
}
