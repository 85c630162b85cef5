//! An encrypted layer: which key opens it, and whether its content is whole.

use std::io::{BufRead, Read};

use crate::cms::{self, Candidate, ContentType, Decrypting, EnvelopedReader, Key};
use crate::crypto;
use crate::crypto::algorithm::{CipherParameters, Strength};
use crate::pki::{Certificate, email};
use crate::smime::effort;
use crate::smime::finding::{Code, Finding};
use crate::smime::hints::Trial;
use crate::smime::peel::source::{PieceStream, Spending};
use crate::smime::peel::{Stop, Work, failure_of};
use crate::smime::verdict::{EncryptedKind, EncryptedLayer, Layer, RecipientVerdict};

impl Work<'_, '_> {
    /// Tries the keys one after another, a pass for each that seemed to fit and did not.
    pub(in crate::smime::peel) fn enveloped<R: Read>(&mut self, reader: EnvelopedReader<R>) -> Result<(), Stop> {
        let reader = reader.knowing(self.open.known);
        let recipients = reader.recipients().iter().map(|recipient| RecipientVerdict {
            kind: recipient.kind_name(),
            id: recipient.id.to_string(),
            addresses: self.addresses_of(&recipient.id),
            algorithm: recipient.algorithm_name(),
            used: false,
        });
        let kind = if reader.is_authenticated() { EncryptedKind::AuthEnveloped } else { EncryptedKind::Enveloped };
        let recipients = recipients.collect();
        let (cipher, content_type) = (reader.cipher_name(), reader.content_type());
        let encrypted = EncryptedLayer { kind, content_type, cipher, authenticated: false, recipients };
        let layer = self.push_layer(Layer::Encrypted(encrypted))?;
        self.is_signed_inside = false;
        let parameters = match reader.parameters() {
            Ok(parameters) => parameters,
            Err(error) => return Err(self.broken(error)),
        };
        self.judge_cipher(&parameters);
        let candidates = reader.candidates(&self.open.keys);
        let mut trial = self.hints.encrypted.get(&layer).cloned().unwrap_or_default();
        trial.beyond = reader.beyond_trials(&self.open.keys);
        while let Some(candidate) = candidates.get(trial.next).copied() {
            match self.content_key(&reader, candidate) {
                Ok(key) => {
                    let decrypting = match reader.decrypting(&key, trial.foreknown.as_ref()) {
                        Ok(decrypting) => decrypting,
                        Err(error) => return Err(self.broken(error)),
                    };
                    return self.decrypted((layer, content_type), decrypting, candidate, &parameters, trial);
                }
                // a guess that fails says nothing; a named key that fails says that the message was changed
                Err(error) if candidate.is_named || !matches!(error, cms::Error::DecryptionFailed) => {
                    trial.failure = Some(failure_of(error)?);
                }
                Err(_) => {}
            }
            trial.next = trial.next.saturating_add(1);
            if trial.is_last {
                break;
            }
        }
        Err(self.no_candidate(layer, trial))
    }

    fn content_key<R: Read>(
        &mut self,
        reader: &EnvelopedReader<R>,
        candidate: Candidate,
    ) -> Result<crate::secret::Secret<Vec<u8>>, cms::Error> {
        let random = self.random.as_deref_mut().ok_or(cms::Error::Malformed("no randomness for a decryption"))?;
        self.hints.effort.derive(|cost| reader.content_key_within(candidate, &self.open.keys, random, cost))
    }

    /// Nothing is left to try: the guess that seemed unlikely, else the end.
    fn no_candidate(&mut self, layer: usize, mut trial: Trial) -> Stop {
        if let Some(unlikely) = trial.unlikely.filter(|_| !trial.is_last) {
            (trial.next, trial.is_last, trial.foreknown) = (unlikely, true, None);
            self.hints.encrypted.insert(layer, trial);
            return Stop::Again;
        }
        if let Some(limit) = trial.beyond {
            self.error(Code::Limit, limit.to_string());
        }
        match trial.failure {
            Some(failure) => self.fail(failure.code, failure.text),
            None => {
                self.add(self.no_key(layer));
                Stop::Failed
            }
        }
    }

    fn decrypted<R: Read>(
        &mut self,
        (layer, content_type): (usize, ContentType),
        decrypting: Decrypting<R>,
        candidate: Candidate,
        parameters: &CipherParameters,
        mut trial: Trial,
    ) -> Result<(), Stop> {
        let (effort, cost) = (self.hints.effort.clone(), effort::cost_of(parameters.cipher));
        let mut stream = PieceStream::new(Spending { reader: decrypting, effort, cost });
        // a wrong guess under RSA v1.5 gives a random key, and one in 256 of these ends with a padding that fits
        let is_guess = !candidate.is_named && !parameters.cipher.is_authenticated() && !trial.is_last;
        if is_guess
            && let Ok(window) = stream.fill_buf()
            && !reads_as_content(window)
        {
            trial.unlikely = trial.unlikely.or(Some(trial.next));
            (trial.next, trial.foreknown) = (trial.next.saturating_add(1), None);
            self.hints.encrypted.insert(layer, trial);
            return Err(Stop::Again);
        }
        self.mark(layer, candidate, true);
        let result = self.content(&mut stream, content_type);
        self.back_to(layer);
        let foreknown = stream.pieces.reader.foreknown();
        let error = match (stream.error, result) {
            (Some(error), _) => error,
            (None, Err(stop)) => return Err(stop),
            (None, Ok(_)) => match stream.pieces.reader.finish() {
                Ok(has_trailing) => {
                    let is_authenticated = parameters.cipher.is_authenticated();
                    self.say_trailing(has_trailing, if is_authenticated { "AuthEnvelopedData" } else { "EnvelopedData" });
                    if let Some(Layer::Encrypted(layer)) = self.verdict.layers.get_mut(layer) {
                        layer.authenticated = layer.kind == EncryptedKind::AuthEnveloped;
                    }
                    return Ok(());
                }
                Err(error) => error,
            },
        };
        // nothing that the inside said was true
        self.forget(layer.saturating_add(1));
        self.mark(layer, candidate, false);
        if matches!(error, cms::Error::Crypto(crypto::Error::Foreknowledge)) && trial.foreknown.is_none() {
            trial.foreknown = Some(foreknown);
            self.hints.encrypted.insert(layer, trial);
            return Err(Stop::Again);
        }
        if candidate.is_named || !matches!(error, cms::Error::DecryptionFailed) || trial.is_last {
            trial.failure = Some(failure_of(error)?);
        }
        if trial.is_last {
            return Err(self.no_candidate(layer, trial));
        }
        (trial.next, trial.foreknown) = (trial.next.saturating_add(1), None);
        self.hints.encrypted.insert(layer, trial);
        Err(Stop::Again)
    }

    /// What helps where no key fits: whoever gave a password or a key-encryption key needs no certificate.
    fn no_key(&self, layer: usize) -> Finding {
        let recipients = match self.verdict.layers.get(layer) {
            Some(Layer::Encrypted(layer)) => layer.recipients.as_slice(),
            _ => &[],
        };
        let is_for = |wanted: &str| recipients.iter().any(|recipient| recipient.kind == wanted);
        let is_for_none_but =
            |kinds: &[&str]| !recipients.is_empty() && recipients.iter().all(|recipient| kinds.contains(&recipient.kind));
        let gave = |is_one: fn(&Key<'_>) -> bool| self.open.keys.iter().any(is_one);
        let mut addresses = recipients.iter().flat_map(|recipient| &recipient.addresses);
        let (why, fix) = if is_for("pwri") && gave(|key| matches!(key, Key::Password(_))) {
            (" – the password is another".to_owned(), PASSPHRASE)
        } else if is_for("kekri") && gave(|key| matches!(key, Key::Kek(_))) {
            (" – the key-encryption key is another".to_owned(), KEK)
        } else if let Some(address) = addresses.find(|address| email::find(self.open.locked, address)) {
            (format!(" – the key of {address} is locked"), PASSPHRASE)
        } else if is_for_none_but(&["kekri"]) {
            (" – a key-encryption key opens it".to_owned(), KEK)
        } else if is_for_none_but(&["pwri", "kekri"]) {
            (" – a password opens it".to_owned(), PASSPHRASE)
        } else {
            (String::new(), "sealpost id import FILE")
        };
        Finding::error(Code::NoKey, format!("no key here decrypts the message{why}")).fix(fix)
    }

    fn mark(&mut self, layer: usize, candidate: Candidate, is_used: bool) {
        if let Some(Layer::Encrypted(layer)) = self.verdict.layers.get_mut(layer)
            && let Some(recipient) = layer.recipients.get_mut(candidate.recipient)
        {
            recipient.used = is_used;
        }
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

/// What gives a password, or a key-encryption key.
const PASSPHRASE: &str = "--passphrase-file FILE";
const KEK: &str = "--kek FILE";
