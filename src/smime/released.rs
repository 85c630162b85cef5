//! Content that may be released: the innermost bytes, and the message that a person sees.

use std::ops::Range;

use crate::limits::Limits;
use crate::mime::{self, Entity};
use crate::smime::headers::{self, Edit};
use crate::smime::verdict::Layer;

/// Content that a verdict released.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Released {
    content: Vec<u8>,
    /// The message that a person sees; `None` where no message was around.
    message: Option<Shown>,
}

/// A message, as it is made of content.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Shown {
    header: Vec<u8>,
    /// Where its body lies in the content.
    body: Range<usize>,
    /// What stands in it instead of some of the content.
    edits: Vec<Edit>,
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
        let Ok(payload) = mime::entity::parse_content(&content, limits) else { return Self { content, message: None } };
        let outer = Some((outer, source));
        let inner = headers::message_entity(&payload, &content, outer);
        let header = headers::released_header(outer, &payload, &content, layers);
        let edits = headers::legacy_display(inner, &content, layers);
        let message = Shown { header, body: inner.body_range(), edits };
        Self { content, message: Some(message) }
    }

    /// The innermost content's bytes exactly.
    pub fn content(&self) -> &[u8] {
        &self.content
    }

    /// A message: the header fields over the innermost body. Where no message was around, the bytes.
    pub fn message(&self) -> Vec<u8> {
        let Some(Shown { header, body, edits }) = &self.message else { return self.content.clone() };
        let mut message = Vec::with_capacity(header.len().saturating_add(body.len()));
        message.extend_from_slice(header);
        let mut at = body.start;
        for edit in edits {
            message.extend_from_slice(self.content.get(at..edit.range.start).unwrap_or_default());
            message.extend_from_slice(&edit.with);
            at = edit.range.end;
        }
        message.extend_from_slice(self.content.get(at..body.end).unwrap_or_default());
        message
    }
}
