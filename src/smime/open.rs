//! `open`: every layer of a message taken off, each checked, and the content released only when all is well.

use crate::cms::Key;
use crate::crypto::key::PrivateKey;
use crate::crypto::random::Random;
use crate::keys::Identity;
use crate::limits::Limits;
use crate::mime;
use crate::pki::{Certificate, ChainStatus};
use crate::secret::Secret;
use crate::smime::finding::{Code, Outcome};
use crate::smime::layer::{Input, detect};
use crate::smime::peel::{State, Work};
use crate::smime::policy::{Accept, Trust};
use crate::smime::released::Released;
use crate::smime::verdict::{SignatureStatus, Verdict, Verified};

/// An opening: with which keys, in whom we trust, what we excuse.
pub struct Open<'a> {
    pub(in crate::smime) trust: &'a Trust,
    pub(in crate::smime) accept: Accept,
    pub(in crate::smime) limits: Limits,
    pub(in crate::smime) known: &'a [Certificate],
    pub(in crate::smime) keys: Vec<Key<'a>>,
    pub(in crate::smime) progress: Option<&'a dyn Fn(usize)>,
}

/// What an opening gave: the verdict, and the content where the verdict allows it.
#[derive(Debug)]
pub struct Opened {
    verdict: Verdict,
    content: Option<Released>,
    is_signed_inside: bool,
}

impl Opened {
    pub(in crate::smime) fn new(verdict: Verdict, content: Option<Released>, is_signed_inside: bool) -> Self {
        Self { verdict, content, is_signed_inside }
    }

    /// The verdict.
    pub fn verdict(&self) -> &Verdict {
        &self.verdict
    }

    /// The content; nothing while an error stands.
    pub fn released(&self) -> Option<&Released> {
        if self.verdict.outcome() == Outcome::Good { self.content.as_ref() } else { None }
    }

    /// The content as verified: signed inside every encryption, by the sender, with a trusted chain, and nothing excused.
    pub fn into_verified(self) -> Result<Verified<Released>, Box<Verdict>> {
        let is_plain = self.verdict.findings.iter().all(|finding| !finding.text.ends_with("(accepted)"));
        let trusted = self.verdict.signers().all(|s| s.chain == ChainStatus::Trusted && s.signature == SignatureStatus::Valid);
        let is_verified = self.verdict.outcome() == Outcome::Good && self.is_signed_inside && is_plain && trusted;
        match (is_verified, self.content) {
            (true, Some(content)) => {
                let signers = self.verdict.signers().cloned().collect();
                Ok(Verified::new(content, signers))
            }
            _ => Err(Box::new(self.verdict)),
        }
    }
}

/// Which layers are taken off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::smime) enum Depth {
    Every,
    OneSigned,
    OneEncrypted,
}

impl<'a> Open<'a> {
    /// Opens with this trust, no keys, and nothing excused.
    pub fn new(trust: &'a Trust) -> Self {
        Self { trust, accept: Accept::default(), limits: Limits::default(), known: &[], keys: Vec::new(), progress: None }
    }

    /// Holds these bounds.
    #[must_use]
    pub fn limits(mut self, limits: &Limits) -> Self {
        self.limits = limits.clone();
        self
    }

    /// Excuses these findings.
    #[must_use]
    pub fn accept(mut self, accept: Accept) -> Self {
        self.accept = accept;
        self
    }

    /// Knows these certificates of others: they name recipients, and stand in where a message lacks its signer's.
    #[must_use]
    pub fn known(mut self, certificates: &'a [Certificate]) -> Self {
        self.known = certificates;
        self
    }

    /// Decrypts with this identity.
    #[must_use]
    pub fn identity(mut self, identity: &'a Identity) -> Self {
        self.keys.push(Key::Private { certificate: Some(identity.certificate()), key: identity.private_key() });
        self
    }

    /// Decrypts with this private key, tried on every recipient.
    #[must_use]
    pub fn key(mut self, key: &'a PrivateKey) -> Self {
        self.keys.push(Key::Private { certificate: None, key });
        self
    }

    /// Decrypts with this password.
    #[must_use]
    pub fn password(mut self, password: &'a Secret<Vec<u8>>) -> Self {
        self.keys.push(Key::Password(password));
        self
    }

    /// Decrypts with this key-encryption key.
    #[must_use]
    pub fn kek(mut self, kek: &'a Secret<Vec<u8>>) -> Self {
        self.keys.push(Key::Kek(kek));
        self
    }

    /// Tells how many bytes more were hashed or decrypted, as the work goes on.
    #[must_use]
    pub fn progress(mut self, tell: &'a dyn Fn(usize)) -> Self {
        self.progress = Some(tell);
        self
    }

    /// Takes off and checks every layer.
    pub fn run(&self, input: &[u8], random: &mut dyn Random) -> Opened {
        self.peel(input, Depth::Every, Some(random))
    }

    /// Checks the outermost layer, which must be signed.
    pub fn verify(&self, input: &[u8]) -> Opened {
        self.peel(input, Depth::OneSigned, None)
    }

    /// Takes off the outermost layer, which must be encrypted.
    pub fn decrypt(&self, input: &[u8], random: &mut dyn Random) -> Opened {
        self.peel(input, Depth::OneEncrypted, Some(random))
    }

    /// Checks a detached signature over a file.
    pub fn verify_detached(&self, content: &[u8], signature: &[u8]) -> Opened {
        let mut work = Work::new(self);
        let cms = match detect(signature) {
            Input::Cms(cms) => cms,
            Input::Message(source) => match mime::parse(&source, &self.limits) {
                Ok(entity) => entity.decoded_body(&source),
                Err(_) => source,
            },
        };
        work.detached(content, &cms);
        work.finish(Some(Released::bytes(content.to_vec())), true)
    }

    fn peel(&self, input: &[u8], depth: Depth, random: Option<&mut dyn Random>) -> Opened {
        let mut work = Work::new(self);
        let mut state = match detect(input) {
            Input::Cms(cms) => State::Cms(cms),
            Input::Message(source) => work.outermost(source),
        };
        let mut random = random;
        loop {
            if work.verdict.layers.len() >= self.limits.smime_layers {
                work.error(Code::Limit, format!("limit reached: smime layers – at most {}", self.limits.smime_layers));
                return work.finish(None, false);
            }
            let next = match state {
                State::ClearSigned { content, signature } => {
                    if depth == Depth::OneEncrypted {
                        break work.nothing(Code::NotEncrypted, "the message is signed, not encrypted");
                    }
                    work.clear_signed(content, &signature)
                }
                State::Cms(cms) => work.cms(&cms, depth, &mut random),
                State::Leaf(content) => break work.leaf(content, depth),
                State::Failed => break work.finish(None, false),
            };
            state = match (next, depth) {
                (State::Failed, _) => State::Failed,
                (done, Depth::Every) => done,
                (done, _) => break work.one_layer(done),
            };
        }
    }
}
