//! An encrypted layer: which key opens it, and whether its content is whole.

use crate::cms::{self, Content, Key};
use crate::crypto::algorithm::{CipherParameters, Strength};
use crate::crypto::random::Random;
use crate::pki::Certificate;
use crate::secret::Secret;
use crate::smime::finding::{Code, Finding};
use crate::smime::peel::{State, Work};
use crate::smime::verdict::{EncryptedKind, EncryptedLayer, Layer, RecipientVerdict};

impl Work<'_, '_> {
    pub(in crate::smime::peel) fn enveloped(&mut self, bytes: &[u8], random: &mut dyn Random) -> State {
        let keys = &self.open.keys;
        let Ok(Content::Enveloped(reader)) = cms::open(bytes, &self.open.limits) else { return State::Failed };
        let reader = reader.knowing(self.open.known);
        let recipients = reader.recipients().iter().map(|recipient| RecipientVerdict {
            kind: recipient.kind_name(),
            id: recipient.id.to_string(),
            addresses: self.addresses_of(&recipient.id),
            algorithm: recipient.algorithm_name(),
            used: false,
        });
        let mut layer = EncryptedLayer {
            kind: if reader.is_authenticated() { EncryptedKind::AuthEnveloped } else { EncryptedKind::Enveloped },
            cipher: reader.cipher_name(),
            authenticated: false,
            recipients: recipients.collect(),
        };
        let parameters = match reader.parameters() {
            Ok(parameters) => parameters,
            Err(error) => {
                self.verdict.layers.push(Layer::Encrypted(layer));
                return self.broken(&error);
            }
        };
        self.judge_cipher(&parameters);
        let candidates = reader.candidates(keys);
        let (mut opened, mut unlikely, mut failure) = (None, None, None);
        for candidate in candidates {
            let mut content = Secret::new(Vec::with_capacity(bytes.len()));
            let result = reader.content_key(candidate, keys, random).and_then(|key| {
                match cms::open(self.open.watched(bytes), &self.open.limits)? {
                    Content::Enveloped(again) => again.decrypt(&key, content.expose_mut()),
                    _ => Err(cms::Error::Malformed("not an encrypted message")),
                }
            });
            match result {
                Ok(_) if candidate.is_named || parameters.cipher.is_authenticated() || reads_as_content(content.expose()) => {
                    opened = Some((candidate.recipient, content));
                    break;
                }
                // a wrong guess under RSA v1.5 gives a random key, and one in 256 of these ends with a padding that fits
                Ok(_) => unlikely = unlikely.or(Some((candidate.recipient, content))),
                // a guess that fails says nothing; a named key that fails says that the message was changed
                Err(error) if candidate.is_named || !matches!(error, cms::Error::DecryptionFailed) => failure = Some(error),
                Err(_) => {}
            }
        }
        let Some((at, mut content)) = opened.or(unlikely) else {
            self.verdict.layers.push(Layer::Encrypted(layer));
            return match failure {
                Some(error) => self.broken(&error),
                None => self.no_key(),
            };
        };
        if let Some(recipient) = layer.recipients.get_mut(at) {
            recipient.used = true;
        }
        layer.authenticated = layer.kind == EncryptedKind::AuthEnveloped;
        self.verdict.layers.push(Layer::Encrypted(layer));
        self.is_signed_inside = false;
        self.content = std::mem::take(content.expose_mut());
        self.next()
    }

    fn judge_cipher(&mut self, parameters: &CipherParameters) {
        if parameters.cipher.strength() != Strength::Good {
            let text = format!("the content is encrypted with {}, which is too weak to rely on", parameters.cipher.name());
            self.error(Code::WeakAlgorithm, text);
        }
        if parameters.cipher.is_authenticated() && parameters.tag_len < 16 {
            let text = format!("the tag has {} bytes – legal (RFC 5084), yet easier to forge than 16", parameters.tag_len);
            self.error(Code::WeakAlgorithm, text);
        }
    }

    fn no_key(&mut self) -> State {
        let finding = Finding::error(Code::NoKey, "no key here decrypts the message");
        self.add(finding.fix("sealpost id import FILE"));
        State::Failed
    }

    fn addresses_of(&self, id: &cms::RecipientId) -> Vec<String> {
        let own = self.open.keys.iter().filter_map(|key| match key {
            Key::Private { certificate: Some(certificate), .. } => Some(*certificate),
            _ => None,
        });
        let found = own.chain(self.open.known).find(|certificate| id.names(certificate));
        found.map(Certificate::addresses).unwrap_or_default()
    }
}

/// Whether decrypted bytes begin like what is encrypted: a header field, or a structure.
fn reads_as_content(content: &[u8]) -> bool {
    let colon = content.iter().position(|byte| *byte == b':').unwrap_or(0);
    let name = content.get(..colon).unwrap_or_default();
    cms::looks_like(content) || (!name.is_empty() && name.iter().all(u8::is_ascii_graphic))
}
