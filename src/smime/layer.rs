//! Which part of a message is S/MIME, and in what form it came.

use std::io::{self, Read};

use crate::cms;
use crate::limits::Limits;
use crate::mime::stream::{Feed, Head};
use crate::mime::{self, ContentType, Entity, entity::Defect};
use crate::smime::body::{Body, Writing};

/// The form of what was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::smime) enum Form {
    /// A MIME message or entity.
    Message,
    /// A bare cryptographic message, in BER.
    Cms,
    /// A bare cryptographic message, in base64.
    Base64,
    /// A bare cryptographic message, in PEM whose base64 begins here.
    Pem(usize),
}

/// Bytes at the beginning that tell the form.
pub(in crate::smime) const DETECT: usize = 8 << 10;

/// Bytes that tell PEM from bytes.
const PEEK: usize = 64;

/// Looks what was given, at its first [`DETECT`] bytes: PEM, DER or BER, base64 alone, else a message.
pub(in crate::smime) fn form(window: &[u8]) -> Form {
    if cms::looks_like(window) {
        return Form::Cms;
    }
    let window = window.get(..DETECT.min(window.len())).unwrap_or_default();
    if let Some(start) = cms::pem_start(window).or_else(|| pem_after_text(window)) {
        return Form::Pem(start);
    }
    if is_base64(window) {
        return Form::Base64;
    }
    Form::Message
}

/// Whether empty lines alone keep a message from being S/MIME. It is text all the same: other programs show it so, and a verdict on what
/// nobody else takes for a header section would be one on another message (RFC 5322 2.1).
pub(in crate::smime) fn is_behind_empty_line(head: &Head, body: &[u8], limits: &Limits) -> bool {
    if !head.entity.fields().is_empty() || !head.bytes.trim_ascii().is_empty() {
        return false;
    }
    let start = body.iter().position(|byte| !matches!(byte, b'\r' | b'\n'));
    let mut rest = start.and_then(|start| body.get(start..)).unwrap_or_default();
    let below = Feed::new(&mut rest).head(Vec::new(), &ContentType::text_plain(), limits);
    below.is_ok_and(|below| kind_of_head(&below.entity, &below.bytes).is_some())
}

/// Whether bytes are a cryptographic message in base64.
pub(in crate::smime) fn is_base64(window: &[u8]) -> bool {
    let window = window.get(..DETECT.min(window.len())).unwrap_or_default().trim_ascii_start();
    let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || byte.is_ascii_whitespace() || matches!(byte, b'+' | b'/' | b'=');
    window.first() == Some(&b'M') && window.iter().all(is_base64) && cms::looks_like(&mime::transfer::decode_base64(window))
}

/// How the body of a cryptographic message is written.
pub(in crate::smime) fn writing_of(entity: &Entity, body: &mut Feed<'_>) -> io::Result<Writing> {
    body.want(if entity.transfer_encoding().is_identity() { DETECT } else { PEEK })?;
    Ok(Writing::of(entity, body.window()))
}

/// PEM may follow text that explains it (RFC 7468 2). Where a line reads as a header field it is a message, whatever stands in its
/// body: else who signed would not be compared with the From that a person sees.
fn pem_after_text(window: &[u8]) -> Option<usize> {
    let mut at = 0usize;
    for line in window.split_inclusive(|byte| *byte == b'\n') {
        if line.starts_with(b"-----BEGIN ") {
            return cms::pem_start(window.get(at..)?).and_then(|start| start.checked_add(at));
        }
        let name = line.iter().position(|byte| *byte == b':').and_then(|colon| line.get(..colon)).unwrap_or_default();
        if !name.is_empty() && name.trim_ascii().iter().all(u8::is_ascii_graphic) {
            return None;
        }
        at = at.checked_add(line.len())?;
    }
    None
}

/// How an entity is S/MIME.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::smime) enum Kind {
    /// multipart/signed with a PKCS#7 signature.
    ClearSigned,
    /// A CMS structure, encoded.
    Opaque,
}

/// How an entity is S/MIME, if it is.
pub(in crate::smime) fn kind(entity: &Entity, source: &[u8]) -> Option<Kind> {
    let content_type = entity.content_type();
    if content_type.is("multipart", "signed") {
        let protocol = content_type.parameter("protocol").unwrap_or_default();
        let by_part = || entity.children().get(1).is_some_and(|second| is_signature(second, source));
        return (is_signature_type(protocol) || by_part()).then_some(Kind::ClearSigned);
    }
    let subtype = content_type.subtype.as_str();
    if content_type.kind == "application" && matches!(subtype, "pkcs7-mime" | "x-pkcs7-mime") {
        return Some(Kind::Opaque);
    }
    // by file name only, as old gateways write it (RFC 8551 3.10)
    let by_name = content_type.kind == "application" && matches!(subtype, "octet-stream" | "pkcs7" | "x-pkcs7");
    let name = entity.file_name(source).unwrap_or_default().to_ascii_lowercase();
    (by_name && [".p7m", ".p7c", ".p7z"].iter().any(|end| name.ends_with(end))).then_some(Kind::Opaque)
}

/// How an entity is S/MIME, if it is, as far as its header section tells: whether a multipart/signed without a known protocol is, its
/// second part says.
pub(in crate::smime) fn kind_of_head(entity: &Entity, source: &[u8]) -> Option<Kind> {
    if entity.content_type().is("multipart", "signed") { Some(Kind::ClearSigned) } else { kind(entity, source) }
}

/// Whether an entity whose type does not say so is a cryptographic message by its name (RFC 8551 3.2.1, 3.9) and by its bytes: programs
/// and gateways put another type on it. A signature over content that stands elsewhere is none.
pub(in crate::smime) fn is_by_name(entity: &Entity, source: &[u8], body: &mut Feed<'_>, limits: &Limits) -> io::Result<bool> {
    let content_type = entity.content_type();
    if content_type.is_multipart() || content_type.kind == "message" {
        return Ok(false);
    }
    let name = entity.file_name(source).unwrap_or_default().to_ascii_lowercase();
    // RFC 7193; opaque messages under the type of a signature
    let by_type = content_type.is("application", "cms") || is_signature_type(&content_type.essence());
    if !by_type && ![".p7m", ".p7z", ".p7c", ".p7s"].iter().any(|end| name.ends_with(end)) {
        return Ok(false);
    }
    body.want(DETECT)?;
    let window = body.window().get(..DETECT.min(body.window().len())).unwrap_or_default();
    let mut beginning = Vec::new();
    // cut off: what is missing is not looked at
    match Body::new(Writing::of(entity, window), window).and_then(|mut body| body.read_to_end(&mut beginning)) {
        Ok(_) => Ok(cms::carries_content(&beginning, limits)),
        Err(_) => Ok(false),
    }
}

/// What the second part of a multipart/signed is by its header section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::smime) enum SecondPart {
    /// A signature.
    Signature,
    /// What every program shows.
    Text,
    /// Neither; some programs may show it.
    Other,
}

/// Looks what the second part of a multipart/signed is: its type is to be that of the protocol (RFC 1847 2.1), and a signature holds bytes
/// that nobody signed.
pub(in crate::smime) fn second_part(part: &Entity, source: &[u8]) -> SecondPart {
    let content_type = part.content_type();
    let is_named = || part.file_name(source).is_some_and(|name| name.to_ascii_lowercase().ends_with(".p7s"));
    match (content_type.kind.as_str(), content_type.subtype.as_str()) {
        ("application", "pkcs7-signature" | "x-pkcs7-signature" | "pkcs7-mime" | "x-pkcs7-mime") => SecondPart::Signature,
        ("application", "octet-stream") if is_named() => SecondPart::Signature,
        // a part that says nothing is text by default alone
        ("text" | "multipart" | "message", _)
            if part.field("content-type").is_some() && !part.defects().contains(&Defect::BadContentType) =>
        {
            SecondPart::Text
        }
        _ => SecondPart::Other,
    }
}

/// Whether a part is a signature, by its type or by its name.
pub(in crate::smime) fn is_signature(part: &Entity, source: &[u8]) -> bool {
    let is_named = || part.file_name(source).is_some_and(|name| name.to_ascii_lowercase().ends_with(".p7s"));
    is_signature_type(&part.content_type().essence()) || is_named() && second_part(part, source) != SecondPart::Text
}

/// Whether a type, or a parameter `protocol`, says that it is a PKCS#7 signature.
pub(in crate::smime) fn is_signature_type(essence: &str) -> bool {
    let essence = essence.trim().to_ascii_lowercase();
    matches!(essence.as_str(), "application/pkcs7-signature" | "application/x-pkcs7-signature")
}
