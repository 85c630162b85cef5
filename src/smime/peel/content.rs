//! What a layer holds: another layer, or the end.

use std::io::BufRead;
use std::rc::Rc;

use crate::cms;
use crate::mime::stream::{Feed, Head, ReadError, drain};
use crate::mime::{self, ContentType, Entity};
use crate::secret::scratch::Piece;
use crate::smime::content;
use crate::smime::finding::{Code, Finding};
use crate::smime::headers;
use crate::smime::hints::Below;
use crate::smime::open::{Layers, Want};
use crate::smime::peel::below::{self, Rest};
use crate::smime::peel::{Leaf, LeafForm, Payload, Stop, Work};
use crate::smime::released::Released;
use crate::smime::verdict::Layer;

impl Work<'_, '_> {
    /// Takes the content of the layer begun last, which is of this type, to its end; gives its beginning. A failure inside is noted and
    /// stops nothing around.
    pub(in crate::smime::peel) fn content(
        &mut self,
        source: &mut dyn BufRead,
        kind: cms::ContentType,
    ) -> Result<Option<Rc<Payload>>, Stop> {
        let payload = {
            let mut feed = Feed::over(source);
            let taken = self.take_content(&mut feed, kind);
            let payload = match taken {
                Ok(payload) => payload,
                Err(Stop::Failed) => {
                    self.has_failed = true;
                    None
                }
                Err(other) => return Err(other),
            };
            drain(&mut feed)?;
            payload
        };
        Ok(payload)
    }

    fn take_content(&mut self, feed: &mut Feed<'_>, kind: cms::ContentType) -> Result<Option<Rc<Payload>>, Stop> {
        feed.want(PEEK)?;
        if self.looks_inside() && cms::looks_bare(&kind, feed.window()) {
            self.bare_structure(kind, feed)?;
            return Ok(None);
        }
        if !content::is_mail(&kind, feed.window()) {
            return self.no_message(feed, kind).map(Some);
        }
        if !self.looks_inside() {
            let head = self.head_if_any(feed)?;
            return self.leaf(feed, head).map(Some);
        }
        // a structure inside a structure, without MIME between
        if cms::looks_like(feed.window()) {
            self.structure(feed)?;
            return Ok(None);
        }
        let head = match feed.head(Vec::new(), &ContentType::text_plain(), &self.open.limits) {
            Ok(head) => head,
            Err(error) => return Err(self.unreadable(error)),
        };
        // of what is signed, a file that somebody attached stays one
        match self.kind(&head, feed, !self.is_signed_inside)? {
            Some(kind) => {
                let payload = Rc::new(Payload { entity: head.entity.clone(), bytes: Piece::of(&head.bytes) });
                match self.take_off(feed, &head, kind) {
                    Err(Stop::Failed) => self.has_failed = true,
                    other => other?,
                }
                Ok(Some(payload))
            }
            None if self.hints.below.get(&self.verdict.layers.len()) == Some(&Below::Layer) => {
                self.below(feed, &head).map(|()| None)
            }
            None => self.leaf(feed, Some(head)).map(Some),
        }
    }

    /// Whether layers in the content of the layer begun last are looked for: where every one is asked for, and in what is only compressed,
    /// which stands around the layer that was asked for.
    pub(in crate::smime::peel) fn looks_inside(&self) -> bool {
        self.layers == Layers::Every || matches!(self.verdict.layers.last(), Some(Layer::Compressed))
    }

    /// The header section of content that is not looked into; none where it cannot be read as one.
    fn head_if_any(&mut self, feed: &mut Feed<'_>) -> Result<Option<Head>, Stop> {
        match feed.head(Vec::new(), &ContentType::text_plain(), &self.open.limits) {
            Ok(head) => Ok(Some(head)),
            Err(ReadError::Io(error)) => Err(Stop::Io(error)),
            Err(ReadError::Message(_)) => Ok(None),
        }
    }

    /// The innermost content: its beginning is held, all of it goes to the spool.
    fn leaf(&mut self, feed: &mut Feed<'_>, head: Option<Head>) -> Result<Rc<Payload>, Stop> {
        let mut bytes = Piece::of(head.as_ref().map(|head| head.bytes.as_slice()).unwrap_or_default());
        let most = if self.want == Want::Message { HELD } else { PREFIX };
        let is_all = loop {
            let window = feed.fill_buf()?;
            if window.is_empty() {
                break true;
            }
            let room = most.saturating_sub(bytes.expose().len());
            if room == 0 {
                break false;
            }
            let len = window.len().min(room);
            bytes.expose_mut().extend_from_slice(window.get(..len).unwrap_or_default());
            feed.consume(len);
        };
        let entity = mime::entity::parse_content(bytes.expose(), &self.open.limits).ok();
        // a beginning whose parts are too many, or too deep, is judged by its header section alone
        let entity = entity.or(head.as_ref().map(|head| head.entity.clone())).unwrap_or_else(Entity::empty);
        let payload = Rc::new(Payload { entity, bytes });
        let form = match self.want {
            Want::Nothing => LeafForm::Written,
            Want::Message if is_all => LeafForm::Held,
            Want::Message if self.outer.is_some() => self.write_headed(&payload)?,
            Want::Message | Want::Content => {
                self.sink.write_all(payload.bytes())?;
                LeafForm::Written
            }
        };
        if let Some(head) = head.filter(|head| self.looks_below(head)) {
            let beginning = payload.bytes().get(head.bytes.len()..).unwrap_or_default();
            let (want, sink) = (self.want, &mut *self.sink);
            let mut keep = |bytes: &[u8]| if want == Want::Nothing { Ok(()) } else { sink.write_all(bytes) };
            let mut rest = Rest { beginning, feed: &mut *feed, keep: &mut keep };
            let found = below::look(&mut Feed::new(&mut rest), &head, self.levels, &self.open.limits);
            let found = found.map_err(|error| self.unreadable(error))?;
            self.found_below(&found)?;
        }
        loop {
            let window = feed.fill_buf()?;
            if window.is_empty() {
                break;
            }
            if self.want != Want::Nothing {
                self.sink.write_all(window)?;
            }
            let len = window.len();
            feed.consume(len);
        }
        self.refuse_only_compressed()?;
        self.leaf = Some(Leaf { payload: Rc::clone(&payload), form });
        Ok(payload)
    }

    /// Content that is no message, to its end: nothing in it is looked for, and it is never released as one.
    fn no_message(&mut self, feed: &mut Feed<'_>, kind: cms::ContentType) -> Result<Rc<Payload>, Stop> {
        self.say_no_message(kind);
        let mut bytes = Piece::new();
        loop {
            let window = feed.fill_buf()?;
            if window.is_empty() {
                break;
            }
            let room = content::RECEIPT.saturating_sub(bytes.expose().len());
            bytes.expose_mut().extend_from_slice(window.get(..room.min(window.len())).unwrap_or_default());
            if self.want != Want::Nothing {
                self.sink.write_all(window)?;
            }
            let len = window.len();
            feed.consume(len);
        }
        self.refuse_only_compressed()?;
        let payload = Rc::new(Payload { entity: Entity::empty(), bytes });
        self.leaf = Some(Leaf { payload: Rc::clone(&payload), form: LeafForm::Written });
        Ok(payload)
    }

    /// A file may hold anything, and who takes one layer off it gets its bytes; everything else is to be a message.
    pub(in crate::smime::peel) fn say_no_message(&mut self, kind: cms::ContentType) {
        let text = content::no_message(&kind);
        let is_file = self.outer.is_none() && self.layers != Layers::Every;
        self.add(if is_file { Finding::warning(Code::NotAMessage, text) } else { Finding::error(Code::NotAMessage, text) });
    }

    /// Where nothing is signed or encrypted, all the way in.
    fn refuse_only_compressed(&mut self) -> Result<(), Stop> {
        if !self.verdict.layers.iter().all(|layer| matches!(layer, Layer::Compressed)) {
            return Ok(());
        }
        let text = "the message is compressed, and nothing in it is";
        match self.layers {
            Layers::OneSigned => Err(self.fail(Code::NotSigned, format!("{text} signed"))),
            Layers::OneEncrypted => Err(self.fail(Code::NotEncrypted, format!("{text} encrypted"))),
            Layers::Every => {
                let finding =
                    Finding::error(Code::OnlyCompressed, format!("{text} signed or encrypted – anybody may have written it"));
                self.add(finding.fix("--accept only-compressed"));
                Ok(())
            }
        }
    }

    /// Begins a message that is too large to be held: its header section, as it will be where the signers are who they must be, and
    /// the first of its texts.
    fn write_headed(&mut self, payload: &Payload) -> Result<LeafForm, Stop> {
        let (entity, bytes) = (&payload.entity, payload.bytes());
        let header = match &self.hints.header {
            Some(header) => header.clone(),
            None => headers::released_header(self.outer(), entity, bytes, &self.verdict.layers),
        };
        let inner = headers::message_entity(entity, bytes, self.outer());
        self.sink.write_all(&header)?;
        let mut at = inner.body_range().start;
        for edit in headers::legacy_display(inner, bytes, &self.verdict.layers) {
            // a text that is cut off by the end of the beginning stays as it is
            if edit.range.end >= bytes.len() {
                break;
            }
            self.sink.write_all(bytes.get(at..edit.range.start).unwrap_or_default())?;
            self.sink.write_all(&edit.with)?;
            at = edit.range.end;
        }
        self.sink.write_all(bytes.get(at..).unwrap_or_default())?;
        Ok(LeafForm::Headed(header))
    }

    /// Writes what waited for the verdict.
    pub(in crate::smime::peel) fn write_held(&mut self, leaf: &Leaf) -> Result<(), Stop> {
        let (entity, bytes) = (&leaf.payload.entity, leaf.payload.bytes());
        match &leaf.form {
            LeafForm::Written => Ok(()),
            LeafForm::Headed(written) => {
                let header = headers::released_header(self.outer(), entity, bytes, &self.verdict.layers);
                if *written == header {
                    return Ok(());
                }
                self.hints.header = Some(header);
                Err(Stop::Again)
            }
            LeafForm::Held => {
                let released = match self.outer() {
                    Some((outer, source)) => {
                        Released::message_of(outer, source, bytes.to_vec(), &self.open.limits, &self.verdict.layers)
                    }
                    None => Released::bytes(bytes.to_vec()),
                };
                Ok(self.sink.write_all(&released.message())?)
            }
        }
    }
}

/// Bytes that tell a structure from text.
const PEEK: usize = 64;
/// Bytes at the beginning that hold the header fields of a message that is wrapped.
const PREFIX: usize = 64 << 10;
/// Bytes of a message that is held whole; larger ones stream. 128 KiB: most mail is smaller, and memory stays small.
const HELD: usize = 128 << 10;
