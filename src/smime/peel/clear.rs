//! `multipart/signed`: the content, and the signature behind it (RFC 8551 3.5.3).

use std::io::BufRead;

use crate::cms::{self, Content, ContentHash, Hashed, SignedData, content_type};
use crate::crypto::algorithm::DigestAlgorithm;
use crate::limits::Budget;
use crate::mime::canonical::Crlf;
use crate::mime::stream::{Ended, Feed, Head, PIECE, drain};
use crate::mime::{ContentType, entity::Defect};
use crate::smime::body::Body;
use crate::smime::finding::{Code, Finding};
use crate::smime::layer::{self, SecondPart};
use crate::smime::open::Layers;
use crate::smime::peel::opaque::{USUAL, signed_layer};
use crate::smime::peel::source::{Hashing, Share};
use crate::smime::peel::walk::texts_outside;
use crate::smime::peel::{Stop, Work};
use crate::smime::verdict::{Form, UncoveredPart};

impl Work<'_, '_> {
    pub(in crate::smime::peel) fn clear_signed(&mut self, feed: &mut Feed<'_>, head: &Head) -> Result<(), Stop> {
        let parts_missing = "the multipart/signed has not two parts";
        let Some(boundary) = head.entity.content_type().parameter("boundary") else {
            return Err(self.fail(Code::Malformed, parts_missing));
        };
        let layer = self.push_layer(signed_layer(Form::Clear))?;
        self.is_signed_inside = true;
        let mut parts = feed.parts(boundary);
        let announced = announced_digests(head.entity.content_type().parameter("micalg").unwrap_or_default());
        let digests = self.wanted_digests(layer, &announced);
        let share = self.share(layer, digests.len());
        let hash = ContentHash::new(digests).second_thread(self.open.second_thread);
        let (hash, held, payload) = {
            let Some(part) = parts.next()? else {
                self.forget(layer);
                return Err(self.fail(Code::Malformed, parts_missing));
            };
            let mut content = Hashing::new(Crlf::new(part), hash, share);
            let payload = self.content(&mut content, content_type::DATA)?;
            self.back_to(layer);
            let (_, hash, held) = content.into_parts()?;
            (hash.finish(), held, payload)
        };
        let path = match head.entity.path_numbers() {
            [] => "2".to_owned(),
            _ => format!("{}.2", head.entity.path()),
        };
        let (data, has_text_beside) = {
            let Some(mut part) = parts.next()? else {
                self.forget(layer);
                return Err(self.fail(Code::Malformed, parts_missing));
            };
            let mut part = Feed::with_capacity(&mut part, PIECE / 4);
            let signature_head = match part.head(vec![2], &ContentType::text_plain(), &self.open.limits) {
                Ok(head) => head,
                Err(error) => return Err(self.unreadable(error)),
            };
            let is_announced = layer::is_signature_type(head.entity.content_type().parameter("protocol").unwrap_or_default());
            if !is_announced && !layer::is_signature(&signature_head.entity, &signature_head.bytes) {
                self.hints.not_smime.insert((layer, head.entity.path()));
                return Err(Stop::Again);
            }
            if self.layers == Layers::OneEncrypted {
                self.forget(layer);
                return Err(self.fail(Code::NotEncrypted, "the message is signed, not encrypted"));
            }
            match layer::second_part(&signature_head.entity, &signature_head.bytes) {
                SecondPart::Signature => {}
                SecondPart::Text => {
                    self.forget(layer);
                    let essence = signature_head.entity.content_type().essence();
                    let text = format!(
                        "part {path} stands where the signature does and is {essence} – programs show it, and nobody signed it"
                    );
                    return Err(self.fail(Code::Malformed, text));
                }
                SecondPart::Other => {
                    let content_type = signature_head.entity.content_type().essence();
                    let text = format!(
                        "part {path} stands where the signature does and is {content_type} by its header – what it shows is not signed"
                    );
                    self.add(Finding::warning(Code::Uncovered, text));
                    self.uncovered.push((self.at, UncoveredPart { part: path.clone(), content_type }));
                }
            }
            let mut body = Body::new(self.writing_of(&signature_head, &path, &mut part)?, part)?;
            let data = read_signature(&mut body, hash, self.open);
            (data, body.has_text_beside()?)
        };
        let of_signature = format!("stands in the base64 of part {path} or behind it");
        self.say_text(self.at, has_text_beside, &of_signature);
        let mut others = Vec::new();
        let mut budget = Budget::new("mime parts", self.open.limits.mime_parts);
        let mut heads = Budget::new("all header bytes", self.open.limits.all_header_bytes);
        let mut count = parts.count();
        while let Some(mut part) = parts.next()? {
            count = count.saturating_add(1);
            let path = [head.entity.path_numbers(), &[count]].concat();
            let mut part = Feed::with_capacity(&mut part, PIECE / 16);
            if let Ok(other) = part.head(path, &ContentType::text_plain(), &self.open.limits) {
                if let Err(limit) = budget.spend(1u64).and_then(|()| heads.spend(other.bytes.len())) {
                    return Err(self.limit(&limit));
                }
                others.push(UncoveredPart { part: other.entity.path(), content_type: other.entity.content_type().essence() });
            }
        }
        if !others.is_empty() {
            let text = format!("the multipart/signed has {count} parts – only the first is signed");
            self.add(Finding::warning(Code::Uncovered, text));
            let at = self.at;
            self.uncovered.extend(others.into_iter().map(|part| (at, part)));
        }
        let (ended, has_loud_preamble) = (parts.ended(), parts.has_loud_preamble());
        let (_, has_epilogue) = drain(feed)?;
        for text in texts_outside(&head.entity.path(), has_loud_preamble, has_epilogue) {
            self.add(Finding::warning(Code::Uncovered, text));
        }
        if ended == Ended::Unclosed {
            let text = format!("part {} {}", head.entity.path(), Defect::Unclosed.text());
            self.add(Finding::warning(Code::MimeDefect, text));
        }
        let mut data = match data {
            Ok(data) => data,
            Err(error) => {
                self.forget(layer);
                return Err(self.broken(error));
            }
        };
        if data.has_content {
            self.forget(layer);
            let text = "the signature part holds content of its own – which of the two is signed is not clear";
            return Err(self.fail(Code::Malformed, text));
        }
        if let Some(content) = held {
            data.supply_content(content);
        }
        self.signed(layer, &data, payload.as_deref())
    }
}

/// Reads the signature over content that was hashed.
fn read_signature(
    source: &mut dyn std::io::Read,
    hashed: Hashed,
    open: &crate::smime::Open<'_>,
) -> Result<SignedData, cms::Error> {
    match cms::open(source, &open.limits)? {
        Content::Signed(reader) => reader.finish(hashed),
        _ => Err(cms::Error::Malformed("the signature part holds no SignedData")),
    }
}

/// The digests of the parameter micalg, a list (RFC 8551 3.5.3.2); the usual ones where it names none that is known.
fn announced_digests(micalg: &str) -> Vec<DigestAlgorithm> {
    let mut found: Vec<DigestAlgorithm> = Vec::new();
    for digest in micalg.split(',').filter_map(|name| DigestAlgorithm::from_name(name.trim())) {
        if !found.contains(&digest) {
            found.push(digest);
        }
    }
    if found.is_empty() { USUAL.to_vec() } else { found }
}

/// Hashes a file that a detached signature covers, and copies it.
pub(in crate::smime) fn hash_file(
    source: &mut dyn BufRead,
    hash: ContentHash,
    share: Share,
    sink: &mut dyn std::io::Write,
) -> std::io::Result<(Hashed, Option<Vec<u8>>)> {
    let mut content = Hashing::new(source, hash, share);
    loop {
        let window = content.fill_buf()?;
        if window.is_empty() {
            break;
        }
        sink.write_all(window)?;
        let len = window.len();
        content.consume(len);
    }
    let (_, hash, held) = content.into_parts()?;
    Ok((hash.finish(), held))
}
