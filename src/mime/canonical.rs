//! The bytes that get signed: CRLF line ends, and a form that survives relays (RFC 8551 3.1.1, 3.1.3).

use std::borrow::Cow;

use crate::limits::Limits;
use crate::mime::{Entity, Error, TransferEncoding, parse, transfer};

/// The same bytes with every line end as CRLF; borrowed where they are so already.
pub fn to_crlf(bytes: &[u8]) -> Cow<'_, [u8]> {
    if is_crlf(bytes) {
        return Cow::Borrowed(bytes);
    }
    let mut out = Vec::with_capacity(bytes.len().saturating_add(bytes.len() / 32));
    let mut rest = bytes;
    while let Some(at) = memchr::memchr(b'\n', rest) {
        let (line, after) = rest.split_at(at);
        out.extend_from_slice(line.strip_suffix(b"\r").unwrap_or(line));
        out.extend_from_slice(b"\r\n");
        rest = after.get(1..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
    Cow::Owned(out)
}

/// Whether every LF follows a CR.
pub fn is_crlf(bytes: &[u8]) -> bool {
    memchr::memchr_iter(b'\n', bytes).all(|at| at.checked_sub(1).and_then(|before| bytes.get(before)) == Some(&b'\r'))
}

/// Whether relays leave these bytes alone: ASCII, lines of at most 998 bytes that end in CRLF, no blanks at their ends, none that
/// begins with `From `.
pub fn is_safe(bytes: &[u8]) -> bool {
    // block by block, so that memory is read once for all three questions
    let mut returns: usize = 0;
    for block in bytes.chunks(BLOCK) {
        if !block.is_ascii() || memchr::memchr(0, block).is_some() {
            return false;
        }
        returns = returns.saturating_add(memchr::memchr_iter(b'\r', block).count());
    }
    let (mut start, mut ends): (usize, usize) = (0, 0);
    for at in memchr::memchr_iter(b'\n', bytes) {
        let Some(content) = bytes.get(start..at).and_then(|line| line.strip_suffix(b"\r")) else { return false };
        if !is_safe_line(content) {
            return false;
        }
        ends = ends.saturating_add(1);
        start = at.saturating_add(1);
    }
    // each line has its CR: one more stands alone
    is_safe_line(bytes.get(start..).unwrap_or_default()) && returns == ends
}

/// Bytes that stay in the processor's nearest cache.
const BLOCK: usize = 32 << 10;

fn is_safe_line(content: &[u8]) -> bool {
    content.len() <= 998 && !matches!(content.last(), Some(b' ' | b'\t')) && !content.starts_with(b"From ")
}

/// An entity in a form that survives relays: parts that are not safe are encoded anew, parts that are stay byte for byte.
///
/// Signed parts inside are never touched: they were safe when they were signed, or they are lost in any case.
pub fn to_safe(entity: &[u8], limits: &Limits) -> Result<Vec<u8>, Error> {
    let entity = to_crlf(entity);
    if is_safe(&entity) {
        return Ok(entity.into_owned());
    }
    let root = parse(&entity, limits)?;
    let mut out = Vec::with_capacity(entity.len().saturating_mul(2));
    write_safe(&root, &entity, &mut out);
    Ok(out)
}

fn write_safe(entity: &Entity, source: &[u8], out: &mut Vec<u8>) {
    let bytes = entity.bytes(source);
    let is_sealed = entity.content_type().is("multipart", "signed") || entity.content_type().is("multipart", "encrypted");
    if is_safe(bytes) || is_sealed {
        out.extend_from_slice(bytes);
        return;
    }
    let body = entity.body(source);
    let header = bytes.get(..bytes.len().saturating_sub(body.len())).unwrap_or_default();
    if !entity.children().is_empty() {
        // header, then everything between the children as it stands, the children anew; identity encodings turn to 7bit
        write_header(entity, source, header, None, out);
        let mut at = header.len();
        for child in entity.children() {
            let child_bytes = child.bytes(source);
            let offset = (child_bytes.as_ptr() as usize).saturating_sub(bytes.as_ptr() as usize);
            out.extend_from_slice(bytes.get(at..offset).unwrap_or_default());
            write_safe(child, source, out);
            at = offset.saturating_add(child_bytes.len());
        }
        out.extend_from_slice(bytes.get(at..).unwrap_or_default());
        return;
    }
    let decoded = entity.decoded_body(source);
    if entity.content_type().kind == "text" && !decoded.contains(&0) {
        write_header(entity, source, header, Some("quoted-printable"), out);
        out.extend_from_slice(&transfer::encode_quoted_printable(&to_crlf(&decoded)));
    } else {
        write_header(entity, source, header, Some("base64"), out);
        out.extend_from_slice(&transfer::encode_base64(&decoded));
    }
}

/// The header section with another transfer encoding; blanks at the ends of its lines are dropped.
fn write_header(entity: &Entity, source: &[u8], header: &[u8], encoding: Option<&str>, out: &mut Vec<u8>) {
    if header.is_empty() && encoding.is_none() {
        return;
    }
    for field in entity.fields() {
        if field.name == "content-transfer-encoding" {
            continue;
        }
        for line in field.raw(source).split_inclusive(|byte| *byte == b'\n') {
            let content = line.trim_ascii_end();
            if !content.is_empty() {
                out.extend_from_slice(content);
                out.extend_from_slice(b"\r\n");
            }
        }
    }
    if let Some(encoding) = encoding {
        out.extend_from_slice(format!("Content-Transfer-Encoding: {encoding}\r\n").as_bytes());
    } else if entity.transfer_encoding() == TransferEncoding::Base64 {
        out.extend_from_slice(b"Content-Transfer-Encoding: base64\r\n");
    }
    out.extend_from_slice(b"\r\n");
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
}
