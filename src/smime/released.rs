//! Content that may be released: the innermost bytes, and the message that a person sees.

use crate::limits::Limits;
use crate::mime::{self, Entity};
use crate::smime::headers;

/// Content that a verdict released.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Released {
    content: Vec<u8>,
    /// The header fields that the message shall have, without those about its structure; `None` where no message was around.
    header: Option<Vec<u8>>,
}

impl Released {
    /// Bytes with no message around.
    pub(in crate::smime) fn bytes(content: Vec<u8>) -> Self {
        Self { content, header: None }
    }

    /// Content that came in a message: its header fields are those outside, replaced by the protected ones where there are such.
    pub(in crate::smime) fn message_of(outer: &Entity, source: &[u8], content: Vec<u8>, limits: &Limits) -> Self {
        let payload = mime::parse(&content, limits).ok().filter(headers::is_protected);
        let mut header = Vec::new();
        let is_structure = |name: &str| name.starts_with("content-") || name == "mime-version" || name == "hp-outer";
        if let Some(payload) = &payload {
            payload.fields().iter().filter(|f| !is_structure(&f.name)).for_each(|f| header.extend_from_slice(f.raw(&content)));
        }
        // what was added on the way, and what nobody protected
        let added = ["received", "return-path", "delivered-to", "authentication-results", "dkim-signature"];
        for field in outer.fields().iter().filter(|f| !is_structure(&f.name)) {
            let is_trace = added.contains(&field.name.as_str());
            if payload.is_none() || is_trace {
                header.extend_from_slice(field.raw(source));
            }
        }
        Self { content, header: Some(header) }
    }

    /// The innermost content's bytes exactly.
    pub fn content(&self) -> &[u8] {
        &self.content
    }

    /// A message: the header fields over the innermost body. Where no message was around, the bytes.
    pub fn message(&self) -> Vec<u8> {
        let Some(header) = &self.header else { return self.content.clone() };
        let Ok(payload) = mime::parse(&self.content, &Limits::default()) else { return self.content.clone() };
        let mut out = Vec::with_capacity(self.content.len().saturating_add(header.len()).saturating_add(64));
        out.extend_from_slice(header);
        if !out.is_empty() && !out.ends_with(b"\n") {
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(b"MIME-Version: 1.0\r\n");
        for field in payload.fields().iter().filter(|f| f.name.starts_with("content-")) {
            let raw = field.raw(&self.content);
            out.extend_from_slice(raw.trim_ascii_end());
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(payload.body(&self.content));
        out
    }
}
