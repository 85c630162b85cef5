//! Finds the S/MIME part of a message: the root, else the first in the tree; says what stands beside it.

use std::io::{self, BufRead, Read};

use crate::limits::{Budget, Limits};
use crate::mime::stream::{Ended, Feed, Head, PIECE, drain};
use crate::mime::transfer::Base64Reader;
use crate::mime::{ContentType, entity::Defect};
use crate::smime::body::{Body, PemReader, Writing};
use crate::smime::finding::{Code, Finding};
use crate::smime::layer::{self, Form, Kind};
use crate::smime::open::Layers;
use crate::smime::peel::below::{self, Owner};
use crate::smime::peel::{Stop, Work};
use crate::smime::sender::Author;
use crate::smime::verdict::UncoveredPart;

/// What the walk through a tree found.
pub(in crate::smime::peel) struct Walk {
    /// The number of layers around.
    at: usize,
    /// Whose the part is that is looked at, within a layer.
    owner: Owner,
    parts: Budget,
    heads: Budget,
    /// The path of the part that was taken.
    pub(in crate::smime::peel) taken: Option<String>,
    /// What is odd about the root.
    root_defects: Vec<Defect>,
    /// The path of the attached message that the part lies in.
    inside: Option<String>,
    /// The leaves that are not inside it.
    leaves: Vec<UncoveredPart>,
    /// Other S/MIME parts.
    others: Vec<String>,
    /// Texts outside of every part.
    outside: Vec<String>,
}

impl Work<'_, '_> {
    /// Takes what was given: a bare structure in any form, or a message.
    pub(in crate::smime) fn run(&mut self, source: &mut dyn Read) -> Result<(), Stop> {
        let mut feed = Feed::new(source);
        feed.want(layer::DETECT)?;
        match layer::form(feed.window()) {
            Form::Cms => self.structure(&mut feed),
            Form::Base64 => {
                let mut body = Base64Reader::new(&mut feed);
                self.structure(&mut body)?;
                self.say_text(0, body.has_text_beside()?, "stands in the base64 or behind it");
                Ok(())
            }
            Form::Pem(start) => {
                let before = feed.window().get(..start).unwrap_or_default();
                let has_text_before = memchr::memmem::rfind(before, b"-----BEGIN ").is_some_and(|at| {
                    let text = before.get(..at).unwrap_or_default();
                    !text.trim_ascii().is_empty()
                });
                feed.consume(start);
                let mut body = PemReader::new(&mut feed);
                self.structure(&mut body)?;
                self.say_text(0, has_text_before, "stands before the PEM block");
                self.say_text(0, body.has_text_beside()?, "stands in the PEM block or behind it");
                Ok(())
            }
            Form::Message => self.message(&mut feed),
        }
    }

    /// Says that text which is in no layer stands somewhere, with so many layers around, where it does.
    pub(in crate::smime::peel) fn say_text(&mut self, around: usize, is_there: bool, wherever: &str) {
        if is_there {
            self.at = around;
            self.add(Finding::warning(Code::Uncovered, format!("text {wherever} – it is neither signed nor encrypted")));
        }
    }

    fn message(&mut self, feed: &mut Feed<'_>) -> Result<(), Stop> {
        let is_marked = feed.pass_mark()? > 0;
        let head = match feed.head(Vec::new(), &ContentType::text_plain(), &self.open.limits) {
            Ok(head) => head,
            Err(error) => return Err(self.unreadable(error)),
        };
        self.author = Author::of(&head.entity, &head.bytes);
        self.outer = Some(head.clone());
        let mut walk = Walk { root_defects: head.entity.defects().to_vec(), ..Walk::inside(&self.open.limits, 0) };
        if is_marked {
            walk.root_defects.push(Defect::ByteOrderMark);
        }
        let is_behind_empty_line = layer::is_behind_empty_line(&head, feed.window(), &self.open.limits);
        let result = self.walk(feed, &head, &mut walk);
        self.at = 0;
        if walk.taken.is_none() {
            result?;
            let (code, text) = match self.layers {
                Layers::OneEncrypted => (Code::NotEncrypted, "nothing in the message is encrypted"),
                Layers::OneSigned => (Code::NotSigned, "nothing in the message is signed"),
                Layers::Every => (Code::NotSigned, "nothing in the message is signed or encrypted"),
            };
            if is_behind_empty_line {
                let why = Defect::EmptyLineFirst.text();
                return Err(self.fail(code, format!("{text}: it {why} – remove the lines above its first field, and try again")));
            }
            return Err(self.fail(code, text));
        }
        self.say_beside(walk);
        result
    }

    /// Says what stands beside the part that was taken.
    pub(in crate::smime::peel) fn say_beside(&mut self, walk: Walk) {
        let taken = walk.taken.unwrap_or_default();
        for defect in walk.root_defects {
            self.add(Finding::warning(Code::MimeDefect, format!("part 0 {}", defect.text())));
        }
        if !walk.leaves.is_empty() {
            let finding = if walk.at == 0 {
                let text = format!("only part {taken} is signed or encrypted – other parts of the message are not");
                Finding::warning(Code::Uncovered, text)
            } else {
                let text =
                    format!("inside, only part {taken} is signed or encrypted – the parts beside it are not, and are left out");
                Finding::warning(Code::Uncovered, text).fix("sealpost decrypt MSG -o FILE")
            };
            self.add(finding);
        }
        if let Some(inside) = &walk.inside {
            let text =
                format!("part {taken} belongs to the attached message {inside} – what the message around it says is not covered");
            self.add(Finding::warning(Code::Uncovered, text));
        }
        self.uncovered.extend(walk.leaves.into_iter().map(|part| (walk.at, part)));
        for other in walk.others {
            self.add(Finding::warning(Code::OtherSmimePart, format!("part {other} is S/MIME, too, and was not judged")));
        }
        for text in walk.outside {
            self.add(Finding::warning(Code::Uncovered, text));
        }
    }

    /// Walks an entity in the order of the message. A failure of the part that was taken does not end the walk.
    pub(in crate::smime::peel) fn walk(&mut self, feed: &mut Feed<'_>, head: &Head, walk: &mut Walk) -> Result<(), Stop> {
        if let Err(limit) = walk.parts.spend(1u64).and_then(|()| walk.heads.spend(head.bytes.len())) {
            return Err(self.limit(&limit));
        }
        let path = head.entity.path();
        if let Some(kind) = self.kind(head, feed, walk.at == 0)? {
            if walk.taken.is_none() && walk.takes(head, kind) {
                for defect in head.entity.defects() {
                    self.add(Finding::warning(Code::MimeDefect, format!("part {path} {}", defect.text())));
                }
                walk.taken = Some(path);
                let levels = head.entity.path_numbers().len();
                self.levels = self.levels.saturating_add(levels);
                let result = match self.take_off(feed, head, kind) {
                    Err(Stop::Failed) => {
                        self.has_failed = true;
                        Ok(())
                    }
                    other => other,
                };
                self.at = walk.at;
                self.levels = self.levels.saturating_sub(levels);
                result?;
                drain(feed)?;
                return Ok(());
            }
            walk.others.push(path);
        }
        let content_type = head.entity.content_type();
        let numbers = head.entity.path_numbers().to_vec();
        let below = |number: usize| [numbers.as_slice(), &[number]].concat();
        match content_type.parameter("boundary") {
            Some(boundary) if content_type.is_multipart() => {
                let default = if content_type.subtype == "digest" { ContentType::message() } else { ContentType::text_plain() };
                // buffers get smaller where many are needed
                let capacity = if numbers.len() < 4 { PIECE / 2 } else { PIECE / 16 };
                let mut parts = feed.parts(boundary);
                loop {
                    let number = parts.count().saturating_add(1);
                    let Some(mut part) = parts.next()? else { break };
                    let mut inside = Feed::with_capacity(&mut part, capacity);
                    self.walk_head(&mut inside, below(number), &default, walk)?;
                }
                let (ended, has_loud_preamble) = (parts.ended(), parts.has_loud_preamble());
                let (_, has_epilogue) = drain(feed)?;
                walk.outside.extend(texts_outside(&head.entity.path(), has_loud_preamble, has_epilogue));
                match ended {
                    Ended::Closed => {}
                    Ended::Unclosed => walk.defect(head, Defect::Unclosed),
                    Ended::NoParts => {
                        walk.defect(head, Defect::NoParts);
                        walk.leaves.push(uncovered(head));
                    }
                }
            }
            _ if head.entity.is_message() && head.entity.transfer_encoding().is_identity() => {
                self.walk_attached(feed, below(1), walk)?;
            }
            _ => {
                if content_type.is_multipart() {
                    walk.defect(head, Defect::NoBoundary);
                }
                walk.leaves.push(uncovered(head));
                drain(feed)?;
            }
        }
        Ok(())
    }

    fn walk_head(&mut self, feed: &mut Feed<'_>, path: Vec<usize>, default: &ContentType, walk: &mut Walk) -> Result<(), Stop> {
        match below::head_below(feed, path, default, self.levels, &self.open.limits) {
            Ok(head) => self.walk(feed, &head, walk),
            Err(error) => Err(self.unreadable(error)),
        }
    }

    /// Walks an attached message. Where the part that is taken lies in it, its header fields are those around the part; its author
    /// must be covered as well as that of the message around it.
    fn walk_attached(&mut self, feed: &mut Feed<'_>, path: Vec<usize>, walk: &mut Walk) -> Result<(), Stop> {
        let head = match below::head_below(feed, path, &ContentType::text_plain(), self.levels, &self.open.limits) {
            Ok(head) => head,
            Err(error) => return Err(self.unreadable(error)),
        };
        if walk.taken.is_some() {
            return self.walk(feed, &head, walk);
        }
        if walk.at > 0 {
            let around = std::mem::replace(&mut walk.owner, Owner::Attached);
            let result = self.walk(feed, &head, walk);
            walk.owner = around;
            return result;
        }
        self.attached.push(Author::of(&head.entity, &head.bytes));
        let around = self.outer.replace(head.clone());
        let result = self.walk(feed, &head, walk);
        if walk.taken.is_none() {
            self.attached.pop();
            self.outer = around;
        } else {
            walk.inside.get_or_insert_with(|| head.entity.path());
        }
        result
    }

    /// How an entity is S/MIME, as far as its header section and earlier passes tell; where it `may` be so by its name alone, its bytes say.
    pub(in crate::smime::peel) fn kind(&self, head: &Head, body: &mut Feed<'_>, may: bool) -> io::Result<Option<Kind>> {
        let Some(kind) = layer::kind_of_head(&head.entity, &head.bytes) else {
            let is_one = may && layer::is_by_name(&head.entity, &head.bytes, body, &self.open.limits)?;
            return Ok(is_one.then_some(Kind::Opaque));
        };
        let is_known = self.hints.not_smime.contains(&(self.verdict.layers.len(), head.entity.path()));
        Ok((!is_known).then_some(kind))
    }

    /// Takes off the layer that an entity is.
    pub(in crate::smime::peel) fn take_off(&mut self, feed: &mut Feed<'_>, head: &Head, kind: Kind) -> Result<(), Stop> {
        match kind {
            Kind::Opaque => {
                let (around, path) = (self.at, head.entity.path());
                let mut body = Body::new(self.writing_of(head, &path, feed)?, feed)?;
                self.structure(&mut body)?;
                self.say_text(around, body.has_text_beside()?, &format!("stands in the base64 of part {path} or behind it"));
                Ok(())
            }
            Kind::ClearSigned => self.clear_signed(feed, head),
        }
    }
}

impl Work<'_, '_> {
    /// How a cryptographic message is written; where the message does not say it, that is told.
    pub(in crate::smime::peel) fn writing_of(&mut self, head: &Head, path: &str, body: &mut Feed<'_>) -> Result<Writing, Stop> {
        let writing = layer::writing_of(&head.entity, body)?;
        if writing.encoding != head.entity.transfer_encoding() {
            let text = format!("part {path} is in base64, and its header does not say so");
            self.add(Finding::warning(Code::MimeDefect, text));
        }
        if writing.is_pem {
            self.add(Finding::warning(Code::MimeDefect, format!("part {path} is in PEM – other programs may not read it")));
        }
        Ok(writing)
    }
}

/// What is said of text before the first part and after the last.
pub(in crate::smime::peel) fn texts_outside(path: &str, has_preamble: bool, has_epilogue: bool) -> Vec<String> {
    let say = |what: &str| format!("text {what} part of {path} – it is neither signed nor encrypted");
    let (before, after) = (has_preamble.then(|| say("stands before the first")), has_epilogue.then(|| say("follows the last")));
    before.into_iter().chain(after).collect()
}

impl Walk {
    /// A walk through what so many layers are around.
    pub(in crate::smime::peel) fn inside(limits: &Limits, at: usize) -> Self {
        Self {
            at,
            owner: Owner::Sender,
            parts: Budget::new("mime parts", limits.mime_parts),
            heads: Budget::new("all header bytes", limits.all_header_bytes),
            taken: None,
            root_defects: Vec::new(),
            inside: None,
            leaves: Vec::new(),
            others: Vec::new(),
            outside: Vec::new(),
        }
    }

    /// Whether an S/MIME part may be taken: any of a message, and those of a content that are layers of mail.
    fn takes(&self, head: &Head, kind: Kind) -> bool {
        self.at == 0 || below::is_layer(&head.entity, &head.bytes, kind, self.owner)
    }

    /// What is odd about the root is said where there is something to judge.
    fn defect(&mut self, head: &Head, defect: Defect) {
        if head.entity.path() == "0" {
            self.root_defects.push(defect);
        }
    }
}

fn uncovered(head: &Head) -> UncoveredPart {
    UncoveredPart { part: head.entity.path(), content_type: head.entity.content_type().essence() }
}
