//! What reading a message will need, seen without keys.

use std::io::{self, Read, SeekFrom};

use crate::cms::{self, Content, RecipientKind};
use crate::limits::Limits;
use crate::mime::ContentType;
use crate::mime::stream::{Feed, Head, ReadError};
use crate::mime::transfer::Base64Reader;
use crate::smime::Input;
use crate::smime::body::{Body, PemReader};
use crate::smime::layer::{self, Form, Kind};

/// What reading a message will need.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Needs {
    /// A private key: some part is encrypted to certificates.
    pub private_key: bool,
    /// A password: some part is encrypted with one.
    pub password: bool,
}

/// Looks, without keys, what reading the first S/MIME part will need; the input is left at its start.
pub fn needs(input: &mut dyn Input, limits: &Limits) -> io::Result<Needs> {
    let found = look(input, limits);
    input.seek(SeekFrom::Start(0))?;
    match found {
        Ok(needs) => Ok(needs),
        Err(ReadError::Io(error)) => Err(error),
        // what cannot be read needs nothing; opening says why
        Err(ReadError::Message(_)) => Ok(Needs::default()),
    }
}

fn look(input: &mut dyn Read, limits: &Limits) -> Result<Needs, ReadError> {
    let mut feed = Feed::new(input);
    feed.want(layer::DETECT)?;
    match layer::form(feed.window()) {
        Form::Cms => Ok(of_structure(&mut feed, limits)),
        Form::Base64 => Ok(of_structure(&mut Base64Reader::new(&mut feed), limits)),
        Form::Pem(start) => {
            io::BufRead::consume(&mut feed, start);
            Ok(of_structure(&mut PemReader::new(&mut feed), limits))
        }
        Form::Message => {
            feed.pass_mark()?;
            let head = feed.head(Vec::new(), &ContentType::text_plain(), limits)?;
            Ok(of_entity(&mut feed, &head, limits)?.unwrap_or_default())
        }
    }
}

/// `None` where nothing inside is S/MIME.
fn of_entity(feed: &mut Feed<'_>, head: &Head, limits: &Limits) -> Result<Option<Needs>, ReadError> {
    let kind = layer::kind_of_head(&head.entity, &head.bytes);
    let is_opaque = match kind {
        Some(kind) => kind == Kind::Opaque,
        None => layer::is_by_name(&head.entity, &head.bytes, feed, limits)?,
    };
    if is_opaque {
        let writing = layer::writing_of(&head.entity, feed)?;
        return Ok(Some(of_structure(&mut Body::new(writing, feed)?, limits)));
    }
    let content_type = head.entity.content_type();
    let below = |number: usize| [head.entity.path_numbers(), &[number]].concat();
    if let Some(boundary) = content_type.parameter("boundary").filter(|_| content_type.is_multipart()) {
        let mut parts = feed.parts(boundary);
        loop {
            let number = parts.count().saturating_add(1);
            let Some(mut part) = parts.next()? else { return Ok(None) };
            let mut inside = Feed::with_capacity(&mut part, 16 << 10);
            let head = inside.head(below(number), &ContentType::text_plain(), limits)?;
            let found = of_entity(&mut inside, &head, limits)?;
            // of what is clear-signed only the content counts
            if found.is_some() || kind == Some(Kind::ClearSigned) {
                return Ok(found);
            }
        }
    }
    if head.entity.is_message() && head.entity.transfer_encoding().is_identity() {
        let head = feed.head(below(1), &ContentType::text_plain(), limits)?;
        return of_entity(feed, &head, limits);
    }
    Ok(None)
}

fn of_structure(source: &mut dyn Read, limits: &Limits) -> Needs {
    let mut needs = Needs::default();
    match cms::open(source, limits) {
        Ok(Content::Enveloped(reader)) => {
            for recipient in reader.recipients() {
                match recipient.kind {
                    RecipientKind::Password { .. } => needs.password = true,
                    RecipientKind::Transport(_) | RecipientKind::Agreement { .. } | RecipientKind::Kem(_) => {
                        needs.private_key = true;
                    }
                    _ => {}
                }
            }
        }
        // what is signed or compressed outside may be encrypted inside
        Ok(Content::Signed(_) | Content::Compressed(_)) => needs.private_key = true,
        _ => {}
    }
    needs
}
