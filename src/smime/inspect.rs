//! `inspect`: what a message or a cryptographic structure is made of; no key, no trust.

use std::io::{self, BufRead, Read};

use crate::cms::ess::Receipt;
use crate::cms::{self, Content, ContentHash, SignedData, content_type};
use crate::crypto::algorithm::DigestAlgorithm;
use crate::crypto::digest::Digest;
use crate::limits::{Budget, Limits};
use crate::mime::stream::{Ended, Feed, Head, PIECE, ReadError, drain};
use crate::mime::transfer::Base64Reader;
use crate::mime::{self, ContentType, TransferEncoding, entity::Defect};
use crate::pki::{Certificate, ChainStatus, RevocationStatus};
use crate::smime::body::{Body, PemReader, Writing};
use crate::smime::content;
use crate::smime::details::SignerDetails;
use crate::smime::effort::Effort;
use crate::smime::finding::{Code, Finding};
use crate::smime::headers;
use crate::smime::layer::{self, Kind};
use crate::smime::learnt::Learnt;
use crate::smime::peel::{PieceStream, Spending};
use crate::smime::verdict::{
    Coverage, EncryptedKind, EncryptedLayer, Form, Layer, RecipientVerdict, SignatureStatus, SignedLayer, SignerVerdict,
};

/// What was found.
#[derive(Debug, Clone, Default)]
pub struct Inspection {
    /// Whether it is a MIME message; else a bare structure.
    pub is_message: bool,
    /// The layers that can be seen without keys. Signatures are not judged here.
    pub layers: Vec<Layer>,
    /// The MIME parts that can be seen.
    pub parts: Vec<Part>,
    /// The certificates in it.
    pub certificates: Vec<Certificate>,
    /// What is odd.
    pub findings: Vec<Finding>,
}

/// One MIME part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Its path, as `1.2`; the root is `0`.
    pub path: String,
    /// Its content type.
    pub content_type: String,
    /// The file name that it gives.
    pub name: Option<String>,
    /// Bytes of its body without transfer encoding.
    pub size: u64,
    /// SHA-256 of that body.
    pub sha256: Vec<u8>,
}

/// Looks into a message or a structure in memory.
pub fn inspect(input: &[u8], limits: &Limits) -> Inspection {
    let mut source = input;
    // memory does not fail
    inspect_stream(&mut source, limits).unwrap_or_default()
}

/// Looks into a message or a structure of any size, in one pass and constant memory. An error is one of the source.
pub fn inspect_stream(source: &mut dyn Read, limits: &Limits) -> io::Result<Inspection> {
    let effort = Effort::new(limits);
    let mut source = Coming { source, effort: effort.clone() };
    let mut work = Inspector::new(limits, effort);
    match work.input(&mut source) {
        Err(Stop::Io(error)) => Err(error),
        Ok(()) | Err(Stop::Said) => Ok(work.seen),
    }
}

/// The input, whose bytes are counted.
struct Coming<'s> {
    source: &'s mut dyn Read,
    effort: Effort,
}

impl Read for Coming<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.source.read(out)?;
        self.effort.came(read);
        Ok(read)
    }
}

struct Inspector<'a> {
    seen: Inspection,
    limits: &'a Limits,
    effort: Effort,
    parts: Budget,
    heads: Budget,
    /// The levels of MIME around this one, in the layers around.
    around: usize,
    /// The levels of MIME around what is looked at.
    depth: usize,
}

/// Why the looking ended early.
enum Stop {
    /// The finding is there.
    Said,
    Io(io::Error),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl<'a> Inspector<'a> {
    fn new(limits: &'a Limits, effort: Effort) -> Self {
        let parts = Budget::new("mime parts", limits.mime_parts);
        let heads = Budget::new("all header bytes", limits.all_header_bytes);
        Self { seen: Inspection::default(), limits, effort, parts, heads, around: 0, depth: 0 }
    }

    fn input(&mut self, source: &mut dyn Read) -> Result<(), Stop> {
        self.input_of(&mut Feed::new(source))
    }

    fn input_of(&mut self, feed: &mut Feed<'_>) -> Result<(), Stop> {
        feed.want(layer::DETECT)?;
        match layer::form(feed.window()) {
            layer::Form::Cms => self.structure(feed),
            layer::Form::Base64 => self.structure(&mut Base64Reader::new(feed)),
            layer::Form::Pem(start) => {
                feed.consume(start);
                self.structure(&mut PemReader::new(feed))
            }
            layer::Form::Message => {
                self.seen.is_message = true;
                if feed.pass_mark()? > 0 {
                    self.defect("0", Defect::ByteOrderMark);
                }
                let head = self.head(feed, Vec::new(), &ContentType::text_plain())?;
                if layer::is_behind_empty_line(&head, feed.window(), self.limits) {
                    self.defect("0", Defect::EmptyLineFirst);
                }
                self.entity(feed, &head)
            }
        }
    }

    fn head(&mut self, feed: &mut Feed<'_>, path: Vec<usize>, default: &ContentType) -> Result<Head, Stop> {
        match feed.head(path, default, self.limits) {
            Ok(head) => Ok(head),
            Err(ReadError::Io(error)) => Err(Stop::Io(error)),
            Err(ReadError::Message(error)) => Err(self.say_of_head(&error)),
        }
    }

    fn entity_of(&mut self, feed: &mut Feed<'_>, path: Vec<usize>, default: &ContentType) -> Result<Head, Stop> {
        let head = self.head(feed, path, default)?;
        self.entity(feed, &head).map(|()| head)
    }

    fn say_of_head(&mut self, error: &mime::Error) -> Stop {
        let mut error = error.clone();
        if let mime::Error::Limit(limit) = &mut error
            && limit.name == "mime depth"
        {
            limit.limit = limit.limit.saturating_add(u64::try_from(self.around).unwrap_or(0));
        }
        let code = if matches!(error, mime::Error::Limit(_)) { Code::Limit } else { Code::Malformed };
        self.seen.findings.push(Finding::error(code, error.to_string()));
        Stop::Said
    }

    fn entity(&mut self, feed: &mut Feed<'_>, head: &Head) -> Result<(), Stop> {
        if let Err(limit) = self.parts.spend(1u64).and_then(|()| self.heads.spend(head.bytes.len())) {
            self.seen.findings.push(Finding::error(Code::Limit, limit.to_string()));
            return Err(Stop::Said);
        }
        let (entity, path) = (&head.entity, head.entity.path());
        let at = self.seen.parts.len();
        self.seen.parts.push(Part {
            path: path.clone(),
            content_type: entity.content_type().essence(),
            name: entity.file_name(&head.bytes),
            size: 0,
            sha256: Vec::new(),
        });
        for defect in entity.defects() {
            self.seen.findings.push(Finding::warning(Code::MimeDefect, format!("part {path} {}", defect.text())));
        }
        let boundary = entity.content_type().parameter("boundary").filter(|_| entity.content_type().is_multipart());
        let kind = match layer::kind_of_head(entity, &head.bytes) {
            None if layer::is_by_name(entity, &head.bytes, feed, self.limits)? => Some(Kind::Opaque),
            kind => kind,
        };
        let writing = match (kind, boundary) {
            (Some(Kind::Opaque), _) => layer::writing_of(entity, feed)?,
            // RFC 2045 6.4: the parts of a multipart are encoded, never itself; whoever says otherwise is not believed
            (_, Some(_)) => Writing { encoding: TransferEncoding::Binary, is_pem: false },
            _ => Writing { encoding: entity.transfer_encoding(), is_pem: false },
        };
        let mut counted = Counted::new(Body::new(writing, feed)?);
        let below = |number: usize| [entity.path_numbers(), &[number]].concat();
        match (kind, boundary) {
            (Some(Kind::Opaque), _) => {
                self.depth = entity.path_numbers().len();
                self.structure(&mut counted)?;
            }
            (_, Some(boundary)) => {
                self.multipart(&mut Feed::with_capacity(&mut counted, PIECE / 2), head, boundary)?;
            }
            _ if entity.is_message() && entity.transfer_encoding().is_identity() => {
                let mut inside = Feed::with_capacity(&mut counted, PIECE / 2);
                self.entity_of(&mut inside, below(1), &ContentType::text_plain())?;
                drain(&mut inside)?;
            }
            _ if entity.content_type().is_multipart() => self.defect(&path, Defect::NoBoundary),
            _ => {}
        }
        drain(&mut counted)?;
        let (size, sha256) = counted.finish();
        if let Some(part) = self.seen.parts.get_mut(at) {
            (part.size, part.sha256) = (size, sha256);
        }
        Ok(())
    }

    fn multipart(&mut self, feed: &mut Feed<'_>, head: &Head, boundary: &str) -> Result<(), Stop> {
        let entity = &head.entity;
        let is_signed = entity.content_type().is("multipart", "signed");
        let default = if entity.content_type().subtype == "digest" { ContentType::message() } else { ContentType::text_plain() };
        // the layer of the signature stands before those of the content that it signs
        let layer_at = self.seen.layers.len();
        let mut covers = Coverage::Body;
        let mut parts = feed.parts(boundary);
        loop {
            let number = parts.count().saturating_add(1);
            let Some(mut part) = parts.next()? else { break };
            let mut inside = Feed::with_capacity(&mut part, PIECE / 4);
            let path = [entity.path_numbers(), &[number]].concat();
            if !is_signed || number > 2 {
                self.entity_of(&mut inside, path, &default)?;
                continue;
            }
            if number == 1 {
                let content = self.entity_of(&mut inside, path, &default)?;
                if headers::covered(&content.entity, &content.bytes, None).is_some() {
                    covers = Coverage::BodyAndHeaders;
                }
                continue;
            }
            let is_announced = layer::is_signature_type(entity.content_type().parameter("protocol").unwrap_or_default());
            self.signature(&mut inside, path, is_announced, layer_at, covers)?;
        }
        let ended = parts.ended();
        drain(feed)?;
        match ended {
            Ended::Closed => {}
            Ended::Unclosed => self.defect(&entity.path(), Defect::Unclosed),
            Ended::NoParts => self.defect(&entity.path(), Defect::NoParts),
        }
        Ok(())
    }

    /// The second part of a multipart/signed.
    fn signature(
        &mut self,
        feed: &mut Feed<'_>,
        path: Vec<usize>,
        is_announced: bool,
        layer_at: usize,
        covers: Coverage,
    ) -> Result<(), Stop> {
        let head = match feed.head(path, &ContentType::text_plain(), self.limits) {
            Ok(head) => head,
            Err(ReadError::Io(error)) => return Err(Stop::Io(error)),
            Err(ReadError::Message(error)) => return Err(self.say_of_head(&error)),
        };
        if !is_announced && !layer::is_signature(&head.entity, &head.bytes) {
            return self.entity(feed, &head);
        }
        let entity = &head.entity;
        let mut counted = Counted::new(Body::new(layer::writing_of(entity, feed)?, feed)?);
        let data = match cms::open(&mut counted, self.limits) {
            Ok(Content::Signed(reader)) => reader.finish(ContentHash::new(Vec::new()).finish()),
            Ok(_) => Err(cms::Error::Malformed("the signature part holds no SignedData")),
            Err(error) => Err(error),
        };
        match data {
            Ok(data) => {
                let signers = signers_of(&data, self.limits);
                let content_type = data.content_type;
                let layer = Layer::Signed(SignedLayer { form: Form::Clear, content_type, receipt: None, covers, signers });
                self.seen.layers.insert(layer_at.min(self.seen.layers.len()), layer);
                self.seen.certificates.extend(data.certificates);
            }
            Err(error) => self.say(error)?,
        }
        drain(&mut counted)?;
        let (size, sha256) = counted.finish();
        self.seen.parts.push(Part {
            path: entity.path(),
            content_type: entity.content_type().essence(),
            name: entity.file_name(&head.bytes),
            size,
            sha256,
        });
        Ok(())
    }

    fn structure(&mut self, source: &mut dyn Read) -> Result<(), Stop> {
        self.opened(cms::open(source, self.limits))
    }

    fn opened<R: Read>(&mut self, opened: Result<Content<R>, cms::Error>) -> Result<(), Stop> {
        let most = self.limits.smime_layers;
        if self.seen.layers.len() >= most {
            self.seen.findings.push(Finding::error(Code::Limit, format!("limit reached: smime layers – at most {most}")));
            return Ok(());
        }
        match opened {
            Ok(Content::Signed(reader)) => {
                let at = self.seen.layers.len();
                let content_type = reader.content_type();
                self.seen.layers.push(Layer::Signed(SignedLayer {
                    form: Form::Opaque,
                    content_type,
                    receipt: None,
                    covers: Coverage::Body,
                    signers: Vec::new(),
                }));
                let mut stream = PieceStream::new(reader);
                let (inside, receipt) = self.signed_content(content_type, &mut stream)?;
                if let Some(error) = stream.error {
                    return self.say(error);
                }
                match stream.pieces.finish(ContentHash::new(Vec::new()).finish()) {
                    Ok(data) => {
                        if let Some(Layer::Signed(layer)) = self.seen.layers.get_mut(at) {
                            (layer.signers, layer.receipt) = (signers_of(&data, self.limits), receipt);
                        }
                        self.seen.certificates.extend(data.certificates);
                        self.take(inside);
                        Ok(())
                    }
                    Err(error) => {
                        self.seen.layers.truncate(at);
                        self.say(error)
                    }
                }
            }
            Ok(Content::Compressed(reader)) => {
                self.seen.layers.push(Layer::Compressed);
                let content_type = reader.content_type();
                let mut stream = PieceStream::new(Spending { reader, effort: self.effort.clone(), cost: 1 });
                let (inside, _) = self.signed_content(content_type, &mut stream)?;
                self.take(inside);
                match stream.error {
                    Some(error) => self.say(error),
                    None => stream.pieces.reader.finish().map(|_| ()).or_else(|error| self.say(error)),
                }
            }
            Ok(Content::Enveloped(reader)) => {
                let recipients = reader.recipients().iter().map(|recipient| RecipientVerdict {
                    kind: recipient.kind_name(),
                    id: recipient.id.to_string(),
                    addresses: Vec::new(),
                    algorithm: recipient.algorithm_name(),
                    used: false,
                });
                let kind = if reader.is_authenticated() { EncryptedKind::AuthEnveloped } else { EncryptedKind::Enveloped };
                let (content_type, cipher, recipients) = (reader.content_type(), reader.cipher_name(), recipients.collect());
                let layer = EncryptedLayer { kind, content_type, cipher, authenticated: false, recipients };
                self.seen.layers.push(Layer::Encrypted(layer));
                let read = reader.parameters().and_then(|_| reader.pass_over());
                read.map(|_| ()).or_else(|error| self.say(error))
            }
            Ok(Content::Other(kind)) => self.say(cms::Error::Unsupported(format!("content type {kind}"))),
            Err(error) => self.say(error),
        }
    }

    /// The layers inside where the content may be mail, else the receipt that it is.
    fn signed_content(&self, kind: cms::ContentType, source: &mut dyn BufRead) -> Result<(Inspection, Option<Receipt>), Stop> {
        if kind == content_type::DATA || content_type::is_structure(&kind) {
            return Ok((self.inside(kind, source)?, None));
        }
        let mut seen = Inspection::default();
        let mut bytes = Vec::new();
        let most = u64::try_from(content::RECEIPT).unwrap_or(u64::MAX);
        // an error of the structure is said by the one around
        Read::take(&mut *source, most).read_to_end(&mut bytes).ok();
        drain(source).ok();
        seen.findings.push(Finding::info(Code::NotAMessage, content::no_message(&kind)));
        Ok((seen, content::receipt(&kind, &bytes).and_then(Result::ok)))
    }

    /// What is signed or compressed inside can be seen, too.
    fn inside(&self, kind: cms::ContentType, source: &mut dyn BufRead) -> Result<Inspection, Stop> {
        let left = self.limits.smime_layers.saturating_sub(self.seen.layers.len());
        // every level reads from the one around: what bounds the stack counts through all layers
        let mime_depth = self.limits.mime_depth.saturating_sub(self.depth);
        let limits = Limits { smime_layers: left, mime_depth, ..self.limits.clone() };
        let mut below = Inspector::new(&limits, self.effort.clone());
        below.around = self.around.saturating_add(self.depth);
        let mut feed = Feed::over(source);
        if feed.want(layer::DETECT).is_ok() && !feed.window().is_empty() {
            let result = match cms::looks_bare(&kind, feed.window()) {
                true => below.opened(cms::open_bare(kind, &mut feed as &mut dyn Read, self.limits)),
                false => below.input_of(&mut feed),
            };
            match result {
                // an error of the structure is said by the one around
                Err(_) | Ok(()) => {}
            }
        }
        drain(&mut feed).ok();
        Ok(below.seen)
    }

    fn take(&mut self, inside: Inspection) {
        self.seen.layers.extend(inside.layers);
        self.seen.certificates.extend(inside.certificates);
        self.seen.findings.extend(inside.findings);
    }

    fn defect(&mut self, path: &str, defect: Defect) {
        self.seen.findings.push(Finding::warning(Code::MimeDefect, format!("part {path} {}", defect.text())));
    }

    fn say(&mut self, error: cms::Error) -> Result<(), Stop> {
        let code = match error {
            cms::Error::Io(error) => return Err(Stop::Io(error)),
            cms::Error::Limit(_) => Code::Limit,
            cms::Error::Unsupported(_) => Code::Unsupported,
            _ => Code::Malformed,
        };
        self.seen.findings.push(Finding::error(code, format!("the cryptographic message cannot be read – {error}")));
        Ok(())
    }
}

/// The signers as far as they can be seen without checking.
fn signers_of(data: &SignedData, limits: &Limits) -> Vec<SignerVerdict> {
    let seen = |signer: &cms::Signer| {
        let certificate = data.certificates.iter().find(|certificate| signer.id.names(certificate)).cloned();
        SignerVerdict {
            addresses: certificate.as_ref().map(Certificate::addresses).unwrap_or_default(),
            subject: certificate.as_ref().map_or_else(|| signer.id.to_string(), Certificate::to_string),
            certificate,
            algorithm: signer.algorithm_name(),
            signature: SignatureStatus::Invalid,
            chain: ChainStatus::Untrusted,
            path: Vec::new(),
            revocation: RevocationStatus::Off,
            claimed_time: signer.signing_time(),
            judged: None,
            first_seen: None,
            signature_id: None,
            from_match: None,
            learnt: Learnt::default(),
            details: SignerDetails::claimed(signer, data, limits),
            finding: None,
            inquiries: Vec::new(),
        }
    };
    data.signers.iter().map(seen).collect()
}

/// A body that is counted and hashed as it goes by.
struct Counted<R> {
    source: R,
    buffer: Vec<u8>,
    at: usize,
    hash: Digest,
    size: u64,
}

impl<R: Read> Counted<R> {
    fn new(source: R) -> Self {
        Self { source, buffer: Vec::new(), at: 0, hash: Digest::new(DigestAlgorithm::Sha256), size: 0 }
    }

    fn finish(self) -> (u64, Vec<u8>) {
        (self.size, self.hash.finish())
    }
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.source.read(out)?;
        self.hash.update(out.get(..read).unwrap_or_default());
        self.size = self.size.saturating_add(u64::try_from(read).unwrap_or(0));
        Ok(read)
    }
}

impl<R: Read> BufRead for Counted<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.at == self.buffer.len() {
            let mut buffer = std::mem::take(&mut self.buffer);
            buffer.resize(COUNTED, 0);
            let read = self.read(&mut buffer);
            buffer.truncate(*read.as_ref().unwrap_or(&0));
            (self.buffer, self.at) = (buffer, 0);
            read?;
        }
        Ok(self.buffer.get(self.at..).unwrap_or_default())
    }

    fn consume(&mut self, bytes: usize) {
        self.at = self.at.saturating_add(bytes).min(self.buffer.len());
    }
}

/// Bytes that are counted at once.
const COUNTED: usize = 16 << 10;
