//! Structures that carry their content: signed, compressed, encrypted.

use std::io::Read;

use crate::cms::{self, CompressedReader, Content, ContentHash, SignedReader, content_type};
use crate::crypto::algorithm::DigestAlgorithm;
use crate::smime::finding::{Code, Finding};
use crate::smime::open::Layers;
use crate::smime::peel::source::{Hashing, PieceStream, Share, Spending};
use crate::smime::peel::{Stop, Work};
use crate::smime::verdict::{Coverage, Form, Layer, SignedLayer};

impl Work<'_, '_> {
    /// Takes a structure, to its end.
    pub(in crate::smime::peel) fn structure(&mut self, source: &mut dyn Read) -> Result<(), Stop> {
        self.opened(cms::open(source, &self.open.limits))
    }

    /// Takes the content of a layer that is a structure of this type, to its end.
    pub(in crate::smime::peel) fn bare_structure(&mut self, kind: cms::ContentType, source: &mut dyn Read) -> Result<(), Stop> {
        self.opened(cms::open_bare(kind, source, &self.open.limits))
    }

    fn opened<R: Read>(&mut self, opened: Result<Content<R>, cms::Error>) -> Result<(), Stop> {
        match opened {
            Ok(Content::Signed(reader)) => {
                if self.layers == Layers::OneEncrypted {
                    return Err(self.fail(Code::NotEncrypted, "the message is signed, not encrypted"));
                }
                self.opaque_signed(reader)
            }
            Ok(Content::Enveloped(reader)) => {
                if self.layers == Layers::OneSigned {
                    let text = "the message is encrypted – what is signed inside is seen after decryption";
                    return Err(self.fail(Code::NotSigned, text));
                }
                self.enveloped(reader)
            }
            Ok(Content::Compressed(reader)) => self.compressed(reader),
            Ok(Content::Other(kind)) => {
                Err(self.fail(Code::Unsupported, format!("a cryptographic message of the type {kind} is not read")))
            }
            Err(error) => Err(self.broken(error)),
        }
    }

    fn opaque_signed<R: Read>(&mut self, reader: SignedReader<R>) -> Result<(), Stop> {
        let layer = self.push_layer(signed_layer(Form::Opaque))?;
        self.is_signed_inside = true;
        let kind = reader.content_type();
        let digests = self.wanted_digests(layer, &reader.digests());
        let share = self.share(layer, digests.len());
        let hash = ContentHash::new(digests).second_thread(self.open.second_thread);
        let mut content = Hashing::new(PieceStream::new(reader), hash, share);
        let payload = self.content(&mut content, kind);
        self.back_to(layer);
        let (stream, hash, held) = content.into_parts()?;
        if let Some(error) = stream.error {
            self.forget(layer);
            return Err(self.broken(error));
        }
        let payload = payload?;
        let mut data = match stream.pieces.finish(hash.finish()) {
            Ok(data) => data,
            Err(error) => {
                self.forget(layer);
                return Err(self.broken(error));
            }
        };
        if data.signers.is_empty() {
            self.forget(layer);
            if !data.certificates.is_empty() && !data.has_content {
                let text = match data.certificates.len() {
                    1 => "the message holds a certificate and nothing else".to_owned(),
                    several => format!("the message holds {several} certificates and nothing else"),
                };
                self.add(Finding::info(Code::CertificatesOnly, text).fix("sealpost contact add MSG"));
            }
            return Err(self.fail(Code::NotSigned, "the message has the form of a signed one and nobody signed it"));
        }
        if !data.has_content {
            self.forget(layer);
            return Err(self.fail(Code::Malformed, "the signed message holds no content – is it a detached signature?"));
        }
        if let Some(content) = held {
            data.supply_content(content);
        }
        self.signed(layer, &data, payload.as_deref())
    }

    fn compressed<R: Read>(&mut self, reader: CompressedReader<R>) -> Result<(), Stop> {
        let layer = self.push_layer(Layer::Compressed)?;
        let kind = reader.content_type();
        let mut stream = PieceStream::new(Spending { reader, effort: self.hints.effort.clone(), cost: 1 });
        let result = self.content(&mut stream, kind);
        self.back_to(layer);
        let error = match (stream.error, result) {
            (Some(error), _) => error,
            (None, Err(stop)) => return Err(stop),
            (None, Ok(_)) => match stream.pieces.reader.finish() {
                Ok(tail) => {
                    self.say_trailing(tail.has_trailing, "CompressedData");
                    return Ok(());
                }
                Err(error) => error,
            },
        };
        self.leaf = None;
        Err(self.broken(error))
    }

    /// Says that bytes follow a structure, where they do.
    pub(in crate::smime::peel) fn say_trailing(&mut self, is_there: bool, structure: &str) {
        if is_there {
            self.add(Finding::warning(Code::NonConforming, format!("bytes follow the {structure}")));
        }
    }

    /// The digests to compute: those that a structure announces, and those that an earlier pass found missing in this layer. Of many that
    /// are announced only the usual ones are; whether a signer uses another is known when the content went by.
    pub(in crate::smime) fn wanted_digests(&self, layer: usize, announced: &[DigestAlgorithm]) -> Vec<DigestAlgorithm> {
        let mut wanted = announced.to_vec();
        if wanted.len() > USUAL.len() {
            wanted.retain(|digest| USUAL.contains(digest));
        }
        let more = self.hints.digests.iter().filter(|(at, digest)| *at == layer && !wanted.contains(digest));
        let more: Vec<DigestAlgorithm> = more.map(|(_, digest)| *digest).collect();
        wanted.extend(more);
        wanted
    }

    /// What the content of a signed layer costs with so many digests; it is held where an earlier pass asked for it, since the signature
    /// is over the content itself.
    pub(in crate::smime) fn share(&self, layer: usize, digests: usize) -> Share {
        let cost = u64::try_from(digests).unwrap_or(u64::MAX).saturating_add(1);
        Share { effort: self.hints.effort.clone(), cost, holds: self.hints.held.contains(&layer) }
    }
}

/// The digests that are computed where the message does not announce a known one: those that signers use.
pub(in crate::smime::peel) const USUAL: [DigestAlgorithm; 4] =
    [DigestAlgorithm::Sha256, DigestAlgorithm::Sha384, DigestAlgorithm::Sha512, DigestAlgorithm::Sha1];

/// A signed layer before it was judged.
pub(in crate::smime) fn signed_layer(form: Form) -> Layer {
    Layer::Signed(SignedLayer {
        form,
        content_type: content_type::DATA,
        receipt: None,
        covers: Coverage::Body,
        signers: Vec::new(),
    })
}
