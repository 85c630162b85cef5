//! Content that may be released: the innermost bytes, and the message that a person sees.

use crate::limits::Limits;
use crate::mime::{self, Entity};
use crate::smime::headers;
use crate::smime::verdict::Layer;

/// Content that a verdict released.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Released {
    content: Vec<u8>,
    /// The message that a person sees; `None` where no message was around.
    message: Option<Vec<u8>>,
}

impl Released {
    /// Bytes with no message around.
    pub(in crate::smime) fn bytes(content: Vec<u8>) -> Self {
        Self { content, message: None }
    }

    /// Content that came in a message: its header fields are those outside, replaced by the protected ones where there are such.
    pub(in crate::smime) fn message_of(
        outer: &Entity,
        source: &[u8],
        content: Vec<u8>,
        limits: &Limits,
        layers: &[Layer],
    ) -> Self {
        let Ok(payload) = mime::parse(&content, limits) else { return Self { content, message: None } };
        let outer = Some((outer, source));
        let inner = headers::message_entity(&payload, &content, outer);
        let mut message = headers::released_header(outer, &payload, &content, layers);
        let body = inner.body_range();
        let mut at = body.start;
        for edit in headers::legacy_display(inner, &content, layers) {
            message.extend_from_slice(content.get(at..edit.range.start).unwrap_or_default());
            message.extend_from_slice(&edit.with);
            at = edit.range.end;
        }
        message.extend_from_slice(content.get(at..body.end).unwrap_or_default());
        Self { content, message: Some(message) }
    }

    /// The innermost content's bytes exactly.
    pub fn content(&self) -> &[u8] {
        &self.content
    }

    /// A message: the header fields over the innermost body. Where no message was around, the bytes.
    pub fn message(&self) -> Vec<u8> {
        self.message.as_ref().unwrap_or(&self.content).clone()
    }
}
