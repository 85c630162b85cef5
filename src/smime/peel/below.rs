//! S/MIME parts that stand below a multipart or an attached message in the content of a layer.
//!
//! What a signature covers is the sender's content, whatever it is made of: such parts are named there, and nothing more. What is only
//! encrypted or compressed is like a message without these layers: its first part that is a layer of mail is taken, and the parts beside
//! it are not covered. Attached messages and files are somebody else's: they are named.

use std::io::{self, Read};

use crate::limits::{Budget, LimitReached, Limits};
use crate::mime::stream::{Feed, Head, PIECE, ReadError, drain};
use crate::mime::{self, ContentType, Entity};
use crate::smime::finding::{Code, Finding};
use crate::smime::hints::Below;
use crate::smime::layer::{self, Kind};
use crate::smime::peel::walk::Walk;
use crate::smime::peel::{Stop, Work};

impl Work<'_, '_> {
    /// Whether the content of the layer begun last is to be looked into: by who asked for every layer, and within what is only compressed.
    pub(in crate::smime::peel) fn looks_below(&self, head: &Head) -> bool {
        let content_type = head.entity.content_type();
        self.looks_inside() && (content_type.is_multipart() || head.entity.is_message())
    }

    /// What stands below is known: another pass takes a layer of mail that nobody signed around, everything else is named.
    pub(in crate::smime::peel) fn found_below(&mut self, found: &[Inside]) -> Result<(), Stop> {
        let level = self.verdict.layers.len();
        let is_taken = !self.is_signed_inside && found.iter().any(|part| part.is_layer);
        if is_taken && !self.hints.below.contains_key(&level) {
            self.hints.below.insert(level, Below::Layer);
            return Err(Stop::Again);
        }
        for part in found {
            let text =
                format!("part {} of the content is {} and was not judged – the verdict is not about it", part.path, part.what);
            let finding = match part.what {
                CERTIFICATES => Finding::info(Code::OtherSmimePart, text),
                _ => Finding::warning(Code::OtherSmimePart, text),
            };
            self.add(finding.fix("sealpost open --raw MSG -o FILE && sealpost open FILE"));
        }
        Ok(())
    }

    /// Takes the first layer of mail below a multipart.
    pub(in crate::smime::peel) fn below(&mut self, feed: &mut Feed<'_>, head: &Head) -> Result<(), Stop> {
        let (level, at) = (self.verdict.layers.len(), self.at);
        let mut walk = Walk::inside(&self.open.limits, at);
        let result = self.walk(feed, head, &mut walk);
        self.at = at;
        if walk.taken.is_none() {
            result?;
            self.hints.below.insert(level, Below::Nothing);
            return Err(Stop::Again);
        }
        self.say_beside(walk);
        result
    }
}

/// An S/MIME part below the root of a content.
#[derive(Debug)]
pub(in crate::smime::peel) struct Inside {
    path: String,
    what: &'static str,
    is_layer: bool,
}

/// Looks for S/MIME parts in a content, to its end; `around` levels of MIME are around it.
pub(in crate::smime::peel) fn look(
    feed: &mut Feed<'_>,
    head: &Head,
    around: usize,
    limits: &Limits,
) -> Result<Vec<Inside>, ReadError> {
    let parts = Budget::new("mime parts", limits.mime_parts);
    let heads = Budget::new("all header bytes", limits.all_header_bytes);
    let mut look = Look { limits, around, parts, heads, found: Vec::new() };
    look.entity(feed, head, Owner::Sender)?;
    drain(feed)?;
    Ok(look.found)
}

struct Look<'l> {
    limits: &'l Limits,
    around: usize,
    parts: Budget,
    heads: Budget,
    found: Vec<Inside>,
}

/// Whose a part is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::smime::peel) enum Owner {
    /// Whoever wrote the content.
    Sender,
    /// Whoever wrote the message that is attached to it.
    Attached,
}

impl Look<'_> {
    fn entity(&mut self, feed: &mut Feed<'_>, head: &Head, owner: Owner) -> Result<(), ReadError> {
        self.parts.spend(1u64).and_then(|()| self.heads.spend(head.bytes.len())).map_err(mime::Error::Limit)?;
        let (entity, content_type) = (&head.entity, head.entity.content_type());
        let numbers = entity.path_numbers();
        let below = |number: usize| [numbers, &[number]].concat();
        match content_type.parameter("boundary") {
            Some(boundary) if content_type.is_multipart() => {
                let default = if content_type.subtype == "digest" { ContentType::message() } else { ContentType::text_plain() };
                let capacity = if numbers.len() < 4 { PIECE / 2 } else { PIECE / 16 };
                let at = self.found.len();
                let mut is_signed = layer::kind(entity, &head.bytes).is_some();
                let mut parts = feed.parts(boundary);
                loop {
                    let number = parts.count().saturating_add(1);
                    let Some(mut part) = parts.next()? else { break };
                    let mut inside = Feed::with_capacity(&mut part, capacity);
                    let head = head_below(&mut inside, below(number), &default, self.around, self.limits)?;
                    // whether a multipart/signed without a known protocol is S/MIME, its second part says
                    is_signed |=
                        number == 2 && content_type.subtype == "signed" && layer::is_signature(&head.entity, &head.bytes);
                    self.entity(&mut inside, &head, owner)?;
                }
                if is_signed {
                    self.found.insert(at, Inside::of(head, Kind::ClearSigned, owner));
                }
            }
            _ if entity.is_message() && entity.transfer_encoding().is_identity() => {
                let inside = head_below(feed, below(1), &ContentType::text_plain(), self.around, self.limits)?;
                self.entity(feed, &inside, Owner::Attached)?;
            }
            _ => {
                if let Some(kind) = layer::kind(entity, &head.bytes) {
                    self.found.push(Inside::of(head, kind, owner));
                }
            }
        }
        drain(feed)?;
        Ok(())
    }
}

impl Inside {
    fn of(head: &Head, kind: Kind, owner: Owner) -> Self {
        let what = match (kind, head.entity.content_type().parameter("smime-type").map(str::to_ascii_lowercase).as_deref()) {
            (Kind::ClearSigned, _) | (Kind::Opaque, Some("signed-data")) => "signed",
            (Kind::Opaque, Some("enveloped-data" | "authenveloped-data")) => "encrypted",
            (Kind::Opaque, Some("compressed-data")) => "compressed",
            (Kind::Opaque, Some("certs-only")) => CERTIFICATES,
            (Kind::Opaque, _) => "signed or encrypted",
        };
        Self { path: head.entity.path(), what, is_layer: is_layer(&head.entity, &head.bytes, kind, owner) }
    }
}

/// Whether a part is a layer of the mail itself, and no file that somebody attached, as a signed `contract.pdf.p7m`.
pub(in crate::smime::peel) fn is_layer(entity: &Entity, source: &[u8], kind: Kind, owner: Owner) -> bool {
    if owner == Owner::Attached {
        return false;
    }
    match kind {
        Kind::ClearSigned => !entity.is_attachment(source),
        Kind::Opaque => {
            let content_type = entity.content_type();
            let is_mime = matches!(content_type.subtype.as_str(), "pkcs7-mime" | "x-pkcs7-mime");
            let is_certificates =
                content_type.parameter("smime-type").is_some_and(|kind| kind.eq_ignore_ascii_case("certs-only"));
            // RFC 8551 3.2.1: the names of layers
            let name = entity.file_name(source).map(|name| name.to_ascii_lowercase());
            is_mime && !is_certificates && name.is_none_or(|name| matches!(name.as_str(), "smime.p7m" | "smime.p7z"))
        }
    }
}

/// The header section of a part, whose levels count through all the layers around.
pub(in crate::smime::peel) fn head_below(
    feed: &mut Feed<'_>,
    path: Vec<usize>,
    default: &ContentType,
    around: usize,
    limits: &Limits,
) -> Result<Head, ReadError> {
    if path.len().saturating_add(around) > limits.mime_depth {
        let limit = u64::try_from(limits.mime_depth).unwrap_or(u64::MAX);
        return Err(mime::Error::Limit(LimitReached { name: "mime depth", limit }).into());
    }
    feed.head(path, default, limits)
}

/// A content that was read in part: its beginning once more, and the rest, which is kept as it is read.
pub(in crate::smime::peel) struct Rest<'r, 's> {
    pub(in crate::smime::peel) beginning: &'r [u8],
    pub(in crate::smime::peel) feed: &'r mut Feed<'s>,
    pub(in crate::smime::peel) keep: &'r mut dyn FnMut(&[u8]) -> io::Result<()>,
}

impl Read for Rest<'_, '_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if !self.beginning.is_empty() {
            return self.beginning.read(out);
        }
        let read = self.feed.read(out)?;
        (self.keep)(out.get(..read).unwrap_or_default())?;
        Ok(read)
    }
}

const CERTIFICATES: &str = "a set of certificates";
