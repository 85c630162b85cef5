//! `inspect`: what a message or a cryptographic structure is made of; no key, no trust.

use crate::cms::{self, CompressedReader, Content};
use crate::crypto::algorithm::DigestAlgorithm;
use crate::crypto::digest;
use crate::limits::Limits;
use crate::mime::{self, Entity};
use crate::pki::{Certificate, ChainStatus, RevocationStatus};
use crate::smime::details::SignerDetails;
use crate::smime::finding::{Code, Finding};
use crate::smime::headers;
use crate::smime::layer::{Input, Kind, detect, kind};
use crate::smime::learnt::Learnt;
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
    pub size: usize,
    /// SHA-256 of that body.
    pub sha256: Vec<u8>,
}

/// Looks into a message or a structure.
pub fn inspect(input: &[u8], limits: &Limits) -> Inspection {
    let mut inspection = Inspection::default();
    match detect(input) {
        Input::Cms(bytes) => inspection.structure(&bytes, Form::Opaque, limits),
        Input::Message(source) => {
            inspection.is_message = true;
            inspection.message(&source, limits);
        }
    }
    inspection
}

impl Inspection {
    fn message(&mut self, source: &[u8], limits: &Limits) {
        let root = match mime::parse(source, limits) {
            Ok(root) => root,
            Err(error) => {
                let code = if matches!(error, mime::Error::Limit(_)) { Code::Limit } else { Code::Malformed };
                self.findings.push(Finding::error(code, error.to_string()));
                return;
            }
        };
        for entity in root.walk() {
            self.parts.push(part(entity, source));
            for defect in entity.defects() {
                let text = format!("part {} {}", entity.path(), defect.text());
                self.findings.push(Finding::warning(Code::MimeDefect, text));
            }
            match kind(entity, source) {
                Some(Kind::Opaque) => self.structure(&entity.decoded_body(source), Form::Opaque, limits),
                Some(Kind::ClearSigned) => {
                    if let [content, signature, ..] = entity.children() {
                        let covers = if headers::covered(content, source, None).is_some() {
                            Coverage::BodyAndHeaders
                        } else {
                            Coverage::Body
                        };
                        self.structure(&signature.decoded_body(source), Form::Clear, limits);
                        if let Some(Layer::Signed(layer)) = self.layers.last_mut() {
                            layer.covers = covers;
                        }
                    }
                }
                None => {}
            }
        }
    }

    fn structure(&mut self, bytes: &[u8], form: Form, limits: &Limits) {
        if self.layers.len() >= limits.smime_layers {
            self.findings
                .push(Finding::error(Code::Limit, format!("limit reached: smime layers – at most {}", limits.smime_layers)));
            return;
        }
        let mut inner = Vec::new();
        let read = match cms::open(bytes, limits) {
            Ok(Content::Signed(reader)) => reader.read(None, &mut inner).map(|data| {
                let signers = data.signers.iter().map(|signer| {
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
                        from_match: None,
                        learnt: Learnt::default(),
                        details: SignerDetails::claimed(signer, &data, limits),
                        finding: None,
                    }
                });
                let layer = SignedLayer { form, covers: Coverage::Body, signers: signers.collect() };
                self.layers.push(Layer::Signed(layer));
                self.certificates.extend(data.certificates);
            }),
            Ok(Content::Enveloped(reader)) => {
                let recipients = reader.recipients().iter().map(|recipient| RecipientVerdict {
                    kind: recipient.kind_name(),
                    id: recipient.id.to_string(),
                    addresses: Vec::new(),
                    algorithm: recipient.algorithm_name(),
                    used: false,
                });
                let kind = if reader.is_authenticated() { EncryptedKind::AuthEnveloped } else { EncryptedKind::Enveloped };
                let layer =
                    EncryptedLayer { kind, cipher: reader.cipher_name(), authenticated: false, recipients: recipients.collect() };
                self.layers.push(Layer::Encrypted(layer));
                reader.parameters().map(|_| ())
            }
            Ok(Content::Compressed(reader)) => {
                self.layers.push(Layer::Compressed);
                decompress(reader, &mut inner)
            }
            Ok(Content::Other(kind)) => Err(cms::Error::Unsupported(format!("content type {kind}"))),
            Err(error) => Err(error),
        };
        if let Err(error) = read {
            let code = match error {
                cms::Error::Limit(_) => Code::Limit,
                cms::Error::Unsupported(_) => Code::Unsupported,
                _ => Code::Malformed,
            };
            self.findings.push(Finding::error(code, format!("the cryptographic message cannot be read – {error}")));
        }
        // what is signed inside can be seen, too
        if !inner.is_empty() {
            let below = inspect_inner(&inner, limits);
            self.layers.extend(below.layers);
            self.certificates.extend(below.certificates);
            self.findings.extend(below.findings);
        }
    }
}

/// Content of a compressed layer; bounded in size and ratio by the reader.
fn decompress(mut reader: CompressedReader<&[u8]>, content: &mut Vec<u8>) -> Result<(), cms::Error> {
    let mut piece = vec![0; 64 << 10];
    loop {
        let given = reader.read(&mut piece)?;
        if given == 0 {
            break;
        }
        content.extend_from_slice(piece.get(..given).unwrap_or_default());
    }
    reader.finish().map(|_| ())
}

/// Content of an opaque layer; bounded by its own size, which shrinks with each layer.
fn inspect_inner(content: &[u8], limits: &Limits) -> Inspection {
    let less = Limits { smime_layers: limits.smime_layers.saturating_sub(1), ..limits.clone() };
    inspect(content, &less)
}

fn part(entity: &Entity, source: &[u8]) -> Part {
    let body = entity.decoded_body(source);
    Part {
        path: entity.path(),
        content_type: entity.content_type().essence(),
        name: entity.file_name(source),
        size: body.len(),
        sha256: digest::of(DigestAlgorithm::Sha256, &body),
    }
}
