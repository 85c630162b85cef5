//! Takes a message apart, layer by layer, and collects the verdict on the way.

mod enveloped;
mod signed;

use crate::cms::{self, Content, SignatureCheck, SignedData, Signer};
use crate::crypto::random::Random;
use crate::mime::{self, Entity, canonical};
use crate::smime::finding::{Code, Finding};
use crate::smime::headers;
use crate::smime::layer::{Kind, kind};
use crate::smime::open::{Depth, Open, Opened};
use crate::smime::released::Released;
use crate::smime::sender::Author;
use crate::smime::verdict::{Form, Layer, UncoveredPart, Verdict};

/// Bytes in memory, whose reading is told.
pub(in crate::smime) struct Watched<'b, 'a> {
    rest: &'b [u8],
    tell: Option<&'a dyn Fn(usize)>,
}

impl std::io::Read for Watched<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.rest.read(buffer)?;
        if let Some(tell) = self.tell {
            tell(read);
        }
        Ok(read)
    }
}

impl<'a> Open<'a> {
    fn watched<'b>(&self, bytes: &'b [u8]) -> Watched<'b, 'a> {
        Watched { rest: bytes, tell: self.progress }
    }
}

/// What is still to be taken off.
pub(in crate::smime) enum State {
    ClearSigned { content: Vec<u8>, signature: Vec<u8> },
    Cms(Vec<u8>),
    Leaf(Vec<u8>),
    Failed,
}

pub(in crate::smime) struct Work<'o, 'a> {
    pub(in crate::smime) open: &'o Open<'a>,
    pub(in crate::smime) verdict: Verdict,
    /// The header section of the message around everything, and who it says it is from.
    outer: Option<(Entity, Vec<u8>)>,
    author: Author,
    /// The content exactly as the last layer held it.
    content: Vec<u8>,
    is_signed_inside: bool,
}

impl<'o, 'a> Work<'o, 'a> {
    pub(in crate::smime) fn new(open: &'o Open<'a>) -> Self {
        Self {
            open,
            verdict: Verdict::default(),
            outer: None,
            author: Author::None,
            content: Vec::new(),
            is_signed_inside: false,
        }
    }

    fn add(&mut self, finding: Finding) {
        let finding = self.open.accept.apply(finding);
        if !self.verdict.findings.contains(&finding) {
            self.verdict.findings.push(finding);
        }
    }

    pub(in crate::smime) fn error(&mut self, code: Code, text: impl Into<String>) {
        self.add(Finding::error(code, text));
    }

    pub(in crate::smime) fn finish(self, content: Option<Released>, is_signed_inside: bool) -> Opened {
        Opened::new(self.verdict, content, is_signed_inside)
    }

    pub(in crate::smime) fn nothing(mut self, code: Code, text: &str) -> Opened {
        self.error(code, text);
        self.finish(None, false)
    }

    /// Finds the S/MIME part of a message: the root, else the first in the tree; says what stands beside it.
    pub(in crate::smime) fn outermost(&mut self, source: Vec<u8>) -> State {
        let root = match mime::parse(&source, &self.open.limits) {
            Ok(root) => root,
            Err(error) => return self.unreadable(&error),
        };
        self.author = Author::of(&root, &source);
        let entities = root.walk();
        let smime: Vec<&Entity> = entities.iter().copied().filter(|entity| kind(entity, &source).is_some()).collect();
        let Some(first) = smime.first().copied() else {
            self.outer = Some((root, Vec::new()));
            return State::Leaf(source);
        };
        for defect in root.defects().iter().chain(first.defects()) {
            self.add(Finding::warning(Code::MimeDefect, format!("part {} {}", first.path(), defect.text())));
        }
        if first.path() != "0" {
            let inside: Vec<String> = first.walk().iter().map(|entity| entity.path()).collect();
            let leaves = entities.iter().filter(|e| e.children().is_empty() && !inside.contains(&e.path()));
            let uncovered: Vec<UncoveredPart> =
                leaves.map(|e| UncoveredPart { part: e.path(), content_type: e.content_type().essence() }).collect();
            if !uncovered.is_empty() {
                let text = format!("only part {} is signed or encrypted – other parts of the message are not", first.path());
                self.add(Finding::warning(Code::Uncovered, text));
            }
            self.verdict.uncovered = uncovered;
        }
        for other in smime.iter().skip(1).filter(|other| !is_inside(other, first)) {
            self.add(Finding::warning(Code::OtherSmimePart, format!("part {} is S/MIME, too, and was not judged", other.path())));
        }
        let state = self.take_off(first, &source);
        self.outer = Some((root, source));
        state
    }

    /// The layer that an entity is.
    fn take_off(&mut self, entity: &Entity, source: &[u8]) -> State {
        match kind(entity, source) {
            Some(Kind::Opaque) => State::Cms(entity.decoded_body(source)),
            Some(Kind::ClearSigned) => {
                let [content, signature, rest @ ..] = entity.children() else {
                    self.error(Code::Malformed, "the multipart/signed has not two parts");
                    return State::Failed;
                };
                if !rest.is_empty() {
                    let text = format!("the multipart/signed has {} parts – only the first is signed", entity.children().len());
                    self.add(Finding::warning(Code::Uncovered, text));
                    let parts = rest.iter().map(|e| UncoveredPart { part: e.path(), content_type: e.content_type().essence() });
                    self.verdict.uncovered.extend(parts);
                }
                let content = canonical::to_crlf(content.bytes(source)).into_owned();
                State::ClearSigned { content, signature: signature.decoded_body(source) }
            }
            None => State::Leaf(entity.bytes(source).to_vec()),
        }
    }

    fn unreadable(&mut self, error: &mime::Error) -> State {
        let code = if matches!(error, mime::Error::Limit(_)) { Code::Limit } else { Code::Malformed };
        self.error(code, error.to_string());
        State::Failed
    }

    fn broken(&mut self, error: &cms::Error) -> State {
        let code = match error {
            cms::Error::Limit(_) => Code::Limit,
            cms::Error::Unsupported(_) => Code::Unsupported,
            cms::Error::DecryptionFailed => Code::DecryptionFailed,
            _ => Code::Malformed,
        };
        self.error(code, format!("the cryptographic message cannot be read – {error}"));
        State::Failed
    }

    pub(in crate::smime) fn clear_signed(&mut self, content: Vec<u8>, signature: &[u8]) -> State {
        let data = match cms::open(signature, &self.open.limits) {
            Ok(Content::Signed(reader)) => reader.read(Some(&content), &mut Vec::new()),
            Ok(_) => Err(cms::Error::Malformed("the signature part holds no SignedData")),
            Err(error) => Err(error),
        };
        if let Some(tell) = self.open.progress {
            tell(content.len());
        }
        match data {
            Ok(data) if data.has_content => {
                self.error(
                    Code::Malformed,
                    "the signature part holds content of its own – which of the two is signed is not clear",
                );
                State::Failed
            }
            Ok(data) => self.signed(data, content, Form::Clear),
            Err(error) => self.broken(&error),
        }
    }

    pub(in crate::smime) fn detached(&mut self, content: &[u8], signature: &[u8]) {
        let read = |content: &[u8]| match cms::open(signature, &self.open.limits)? {
            Content::Signed(reader) => reader.read(Some(content), &mut Vec::new()),
            _ => Err(cms::Error::Malformed("the signature file holds no SignedData")),
        };
        let data = match read(content) {
            Ok(data) => data,
            Err(error) => {
                self.broken(&error);
                return;
            }
        };
        // programs sign text with CRLF line ends; the file at hand may have others
        let fits = |data: &SignedData| data.signers.iter().all(|signer| !self.is_changed(signer, data));
        let crlf = canonical::to_crlf(content);
        if !fits(&data)
            && crlf.as_ref() != content
            && let Ok(other) = read(&crlf)
            && fits(&other)
        {
            self.add(Finding::warning(Code::NonConforming, "the signature fits the file with CRLF line ends"));
            self.signed(other, crlf.into_owned(), Form::Clear);
            return;
        }
        self.signed(data, content.to_vec(), Form::Clear);
    }

    fn is_changed(&self, signer: &Signer, data: &SignedData) -> bool {
        let candidates = self.certificates_of(signer, data);
        candidates.iter().all(|c| matches!(signer.verify(c, data), SignatureCheck::ContentChanged | SignatureCheck::Invalid(_)))
    }

    pub(in crate::smime) fn cms(&mut self, bytes: &[u8], depth: Depth, random: &mut Option<&mut dyn Random>) -> State {
        match cms::open(self.open.watched(bytes), &self.open.limits) {
            Ok(Content::Signed(reader)) => {
                if depth == Depth::OneEncrypted {
                    self.error(Code::NotEncrypted, "the message is signed, not encrypted");
                    return State::Failed;
                }
                let mut content = Vec::new();
                match reader.read(None, &mut content) {
                    Ok(mut data) => {
                        data.supply_digests(&content);
                        self.opaque_signed(data, content)
                    }
                    Err(error) => self.broken(&error),
                }
            }
            Ok(Content::Enveloped(_)) => match (depth, random) {
                (Depth::OneSigned, _) | (_, None) => {
                    self.error(Code::NotSigned, "the message is encrypted – what is signed inside is seen after decryption");
                    State::Failed
                }
                (_, Some(random)) => self.enveloped(bytes, *random),
            },
            Ok(Content::Compressed(_)) => {
                self.error(Code::Unsupported, "a compressed message is not read");
                State::Failed
            }
            Ok(Content::Other(kind)) => {
                self.error(Code::Unsupported, format!("a cryptographic message of the type {kind} is not read"));
                State::Failed
            }
            Err(error) => self.broken(&error),
        }
    }

    fn opaque_signed(&mut self, data: SignedData, content: Vec<u8>) -> State {
        if data.signers.is_empty() {
            if !data.certificates.is_empty() && content.is_empty() {
                self.add(Finding::info(
                    Code::CertificatesOnly,
                    format!("the message holds {} certificates and nothing else", data.certificates.len()),
                ));
            }
            self.error(Code::NotSigned, "the message has the form of a signed one and nobody signed it");
            return State::Failed;
        }
        if !data.has_content {
            self.error(Code::Malformed, "the signed message holds no content – is it a detached signature?");
            return State::Failed;
        }
        self.signed(data, content, Form::Opaque)
    }

    /// What the content of the layer just taken off is.
    fn next(&mut self) -> State {
        // a bare structure inside a structure, without MIME between
        if cms::looks_like(&self.content) {
            return State::Cms(self.content.clone());
        }
        match mime::parse(&self.content, &self.open.limits) {
            Ok(entity) if kind(&entity, &self.content).is_some() => {
                let content = std::mem::take(&mut self.content);
                let state = self.take_off(&entity, &content);
                self.content = content;
                state
            }
            Ok(_) => State::Leaf(Vec::new()),
            Err(error) => self.unreadable(&error),
        }
    }

    /// The end: nothing more to take off.
    pub(in crate::smime) fn leaf(self, source: Vec<u8>, depth: Depth) -> Opened {
        if self.verdict.layers.is_empty() {
            let (code, text) = match depth {
                Depth::OneEncrypted => (Code::NotEncrypted, "nothing in the message is encrypted"),
                Depth::OneSigned => (Code::NotSigned, "nothing in the message is signed"),
                Depth::Every => (Code::NotSigned, "nothing in the message is signed or encrypted"),
            };
            drop(source);
            return self.nothing(code, text);
        }
        self.release()
    }

    /// One layer was taken off, and that is all that was asked.
    pub(in crate::smime) fn one_layer(self, _rest: State) -> Opened {
        self.release()
    }

    fn release(mut self) -> Opened {
        let is_authenticated = match self.verdict.layers.last() {
            Some(Layer::Encrypted(layer)) => layer.authenticated,
            _ => true,
        };
        if !is_authenticated {
            let text = "the content decrypts, and nothing proves that it was not changed on the way";
            self.add(Finding::warning(Code::NotAuthenticated, text));
        }
        let content = std::mem::take(&mut self.content);
        if let Ok(payload) = mime::parse(&content, &self.open.limits) {
            let outer = self.outer.as_ref().map(|(outer, source)| (outer, source.as_slice()));
            self.verdict.headers = headers::protected(&payload, &content, outer, &self.verdict.layers);
            if let Some((shown, protected)) = headers::other_from(outer, &payload, &content, &self.verdict.layers) {
                let text =
                    format!("the From outside says {shown}, the one inside {protected}, and no signer vouches for the latter");
                self.add(Finding::warning(Code::FromMismatch, text));
            }
        }
        let released = match self.outer.take() {
            Some((outer, source)) => Released::message_of(&outer, &source, content, &self.open.limits, &self.verdict.layers),
            None => Released::bytes(content),
        };
        let is_signed_inside = self.is_signed_inside;
        self.finish(Some(released), is_signed_inside)
    }
}

fn is_inside(entity: &Entity, of: &Entity) -> bool {
    of.walk().iter().any(|inner| inner.path() == entity.path())
}
