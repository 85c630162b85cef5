//! `open`: every layer of a message taken off, each checked, and the content released only when all is well.

use std::io::{self, Cursor, Read, Seek, SeekFrom};

use crate::cms::{self, Content, Key, SignatureCheck};
use crate::crypto::key::PrivateKey;
use crate::crypto::random::Random;
use crate::keys::Identity;
use crate::limits::{Budget, LimitReached, Limits};
use crate::mime::ContentType;
use crate::mime::canonical::Crlf;
use crate::mime::stream::{Feed, ReadError};
use crate::mime::transfer::Base64Reader;
use crate::pki::{Certificate, ChainStatus};
use crate::secret::Secret;
use crate::smime::body::Body;
use crate::smime::clock::{Clock, FirstSeen};
use crate::smime::effort::Effort;
use crate::smime::finding::{Code, Excuse, Finding, Outcome};
use crate::smime::hints::Hints;
use crate::smime::inspect::inspect_stream;
use crate::smime::layer::{self, Form};
use crate::smime::peel::{Found, Stop, Work, hash_file, signed_layer};
use crate::smime::policy::{Accept, Trust};
use crate::smime::released::Released;
use crate::smime::spool::{Input, Spool};
use crate::smime::verdict::{self, Layer, SignatureStatus, Verdict, Verified};

/// An opening: with which keys, in whom we trust, what we excuse.
pub struct Open<'a> {
    pub(in crate::smime) trust: &'a Trust,
    pub(in crate::smime) accept: Accept,
    pub(in crate::smime) limits: Limits,
    pub(in crate::smime) known: &'a [Certificate],
    pub(in crate::smime) keys: Vec<Key<'a>>,
    pub(in crate::smime) locked: &'a [String],
    pub(in crate::smime) seen: Option<&'a dyn FirstSeen>,
    pub(in crate::smime) clock: Clock,
    pub(in crate::smime) second_thread: bool,
}

/// What an opening gave: the verdict, and the content where the verdict allows it.
#[derive(Debug)]
pub struct Opened {
    verdict: Verdict,
    content: Option<Released>,
    is_whole: bool,
    is_signed_inside: bool,
}

impl Opened {
    /// The verdict.
    pub fn verdict(&self) -> &Verdict {
        &self.verdict
    }

    /// Whether the result may be released: it is whole, and no error stands. A spool is thrown away where this is false.
    pub fn may_release(&self) -> bool {
        self.is_whole && self.verdict.outcome() == Outcome::Good
    }

    /// The content, where it was held in memory; nothing while an error stands.
    pub fn released(&self) -> Option<&Released> {
        if self.may_release() { self.content.as_ref() } else { None }
    }

    /// The content as verified: signed inside every encryption, by the sender, with a trusted chain, and nothing excused.
    pub fn into_verified(self) -> Result<Verified<Released>, Box<Verdict>> {
        let is_plain = self.verdict.findings.iter().all(|finding| finding.excuse == Excuse::None);
        let trusted = self.verdict.signers().all(|s| s.chain == ChainStatus::Trusted && s.signature == SignatureStatus::Valid);
        let is_verified = self.may_release() && self.is_signed_inside && is_plain && trusted;
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
pub enum Layers {
    /// Every layer, whatever the nesting.
    Every,
    /// The outermost, which must be signed; compressed layers around it do not count.
    OneSigned,
    /// The outermost, which must be encrypted; compressed layers around it do not count.
    OneEncrypted,
}

/// What goes to the spool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    /// A message: header fields over the innermost body. Where no message is around, the content.
    Message,
    /// The innermost content's bytes exactly.
    Content,
    /// The verdict alone.
    Nothing,
}

impl<'a> Open<'a> {
    /// Opens with this trust, no keys, and nothing excused.
    pub fn new(trust: &'a Trust) -> Self {
        Self {
            trust,
            accept: Accept::default(),
            limits: Limits::default(),
            known: &[],
            keys: Vec::new(),
            locked: &[],
            seen: None,
            clock: Clock::default(),
            second_thread: false,
        }
    }

    /// Holds these bounds.
    #[must_use]
    pub fn limits(mut self, limits: &Limits) -> Self {
        self.limits = limits.clone();
        self
    }

    /// Whether much signed content is hashed in a thread beside (see [`cms::ContentHash::second_thread`]).
    #[must_use]
    pub fn second_thread(mut self, may_start: bool) -> Self {
        self.second_thread = may_start;
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

    /// Knows that keys of these addresses are here and locked: who is not able to read is told which passphrase is wanted.
    #[must_use]
    pub fn locked(mut self, addresses: &'a [String]) -> Self {
        self.locked = addresses;
        self
    }

    /// Knows when signatures were seen first.
    #[must_use]
    pub fn seen(mut self, seen: &'a dyn FirstSeen) -> Self {
        self.seen = Some(seen);
        self
    }

    /// Judges by this clock and the stricter ones only.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
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

    /// Takes off and checks every layer of a message in memory.
    pub fn run(&self, message: &[u8], random: &mut dyn Random) -> Opened {
        self.in_memory(message, Layers::Every, Some(random))
    }

    /// Checks the outermost layer of a message in memory, which must be signed.
    pub fn verify(&self, message: &[u8]) -> Opened {
        self.in_memory(message, Layers::OneSigned, None)
    }

    /// Takes off the outermost layer of a message in memory, which must be encrypted.
    pub fn decrypt(&self, message: &[u8], random: &mut dyn Random) -> Opened {
        self.in_memory(message, Layers::OneEncrypted, Some(random))
    }

    /// Takes off layers of a message of any size, in constant memory. What the spool holds may be released only where
    /// [`Opened::may_release`] says so; nobody may have read it before.
    ///
    /// The message is read from its start, and once more from there where what comes late decides about what came early (a digest that
    /// was not announced, a key that seemed to fit). An error is one of the input or of the spool; bad news is in the verdict.
    pub fn stream(
        &self,
        message: &mut dyn Input,
        layers: Layers,
        want: Want,
        spool: &mut dyn Spool,
        random: &mut dyn Random,
    ) -> io::Result<Opened> {
        let found = self.passes(message, layers, want, spool, Some(random))?;
        Ok(Opened { verdict: found.verdict, content: None, is_whole: found.is_whole, is_signed_inside: found.is_signed_inside })
    }

    /// Checks a detached signature over a file in memory.
    pub fn verify_detached(&self, content: &[u8], signature: &[u8]) -> Opened {
        let mut held = Vec::new();
        let opened = self.stream_detached(&mut Cursor::new(content), signature, &mut held);
        // memory does not fail
        let mut opened = opened.unwrap_or_else(|error| unreadable(&error));
        opened.content = Some(Released::bytes(held));
        opened
    }

    /// Checks a detached signature over a file of any size; the spool gets the content as it was signed.
    pub fn stream_detached(&self, content: &mut dyn Input, signature: &[u8], spool: &mut dyn Spool) -> io::Result<Opened> {
        let mut hints = Hints::new(&self.limits);
        let mut is_canonical = false;
        loop {
            content.seek(SeekFrom::Start(0))?;
            spool.restart()?;
            let mut source = Metered::new(content, &self.limits, None, &hints.effort);
            let mut work = Work::new(self, &mut hints, None, spool, Layers::OneSigned, Want::Content);
            let ended = work.detached(&mut source, signature, &mut is_canonical);
            if let Some(limit) = source.reached() {
                return Ok(Opened {
                    verdict: Found::beyond(&limit).verdict,
                    content: None,
                    is_whole: false,
                    is_signed_inside: false,
                });
            }
            let found = match ended {
                Err(Stop::Again) => continue,
                Err(Stop::Io(error)) => return Err(error),
                Ok(()) => (work.conclude(), true),
                Err(Stop::Failed) => (work.conclude(), false),
            };
            match found {
                (Ok(found), is_whole) => {
                    return Ok(Opened { verdict: found.verdict, content: None, is_whole, is_signed_inside: true });
                }
                (Err(Stop::Io(error)), _) => return Err(error),
                (Err(_), _) => {}
            }
        }
    }

    fn in_memory(&self, message: &[u8], layers: Layers, random: Option<&mut dyn Random>) -> Opened {
        let mut content = Secret::new(Vec::with_capacity(message.len()));
        let found = self.passes(&mut Cursor::new(message), layers, Want::Content, content.expose_mut(), random);
        // memory does not fail
        let found = match found {
            Ok(found) => found,
            Err(error) => return unreadable(&error),
        };
        let is_good = found.is_whole && found.verdict.outcome() == Outcome::Good;
        let content = is_good.then(|| {
            let content = std::mem::take(content.expose_mut());
            match &found.outer {
                Some(outer) => Released::message_of(&outer.entity, &outer.bytes, content, &self.limits, &found.verdict.layers),
                None => Released::bytes(content),
            }
        });
        Opened { verdict: found.verdict, content, is_whole: found.is_whole, is_signed_inside: found.is_signed_inside }
    }

    /// Of a message in which nothing is signed: what opens it, where something is encrypted.
    fn say_who_reads(&self, layers: Layers, verdict: &mut Verdict, message: &mut dyn Input) -> io::Result<()> {
        let is_open = |finding: &&mut Finding| finding.code == Code::NotSigned && finding.fix.is_none();
        let Some(finding) = verdict.findings.iter_mut().find(is_open).filter(|_| layers == Layers::OneSigned) else {
            return Ok(());
        };
        message.seek(SeekFrom::Start(0))?;
        let seen = inspect_stream(message, &self.limits)?;
        if seen.layers.iter().any(|layer| matches!(layer, Layer::Encrypted(_))) {
            finding.fix = Some("sealpost open MSG".to_owned());
        }
        Ok(())
    }

    /// Pass after pass, until one needs no other.
    fn passes(
        &self,
        message: &mut dyn Input,
        layers: Layers,
        want: Want,
        spool: &mut dyn Spool,
        random: Option<&mut dyn Random>,
    ) -> io::Result<Found> {
        let mut hints = Hints::new(&self.limits);
        let mut random = random;
        let mut passes = Budget::new("passes", self.limits.passes);
        let mut rereading = Budget::new("reread bytes", self.limits.reread_bytes);
        let mut free = Budget::new("free passes", FREE_PASSES);
        loop {
            if let Err(limit) = passes.spend(1u64) {
                return Ok(Found::beyond(&limit));
            }
            let left = if free.spend(1u64).is_ok() { None } else { Some(&mut rereading) };
            let mut source = Metered::new(message, &self.limits, left, &hints.effort);
            source.seek(SeekFrom::Start(0))?;
            spool.restart()?;
            let random = random.as_mut().map(|random| &mut **random as &mut dyn Random);
            let mut work = Work::new(self, &mut hints, random, spool, layers, want);
            let ended = work.run(&mut source);
            if let Some(limit) = source.reached() {
                return Ok(Found::beyond(&limit));
            }
            match ended {
                Err(Stop::Again) => continue,
                Err(Stop::Io(error)) => return Err(error),
                Err(Stop::Failed) => work.fails(),
                Ok(()) => {}
            }
            match work.conclude() {
                Ok(mut found) => {
                    self.say_who_reads(layers, &mut found.verdict, message)?;
                    return Ok(found);
                }
                Err(Stop::Io(error)) => return Err(error),
                Err(_) => {}
            }
        }
    }
}

/// Passes whose bytes are not counted as read again (see [`Limits::reread_bytes`]).
const FREE_PASSES: usize = 4;

impl Found {
    /// Nothing: a bound was reached.
    fn beyond(limit: &LimitReached) -> Self {
        let mut verdict = Verdict::default();
        verdict.findings.push(Finding::error(Code::Limit, limit.to_string()));
        Self { verdict, outer: None, is_whole: false, is_signed_inside: false }
    }
}

/// A message whose bytes are counted as they are read.
struct Metered<'i> {
    input: &'i mut dyn Input,
    size: Budget,
    /// What is left for reading once more; `None` where this pass is free.
    rereading: Option<&'i mut Budget>,
    effort: Effort,
    reached: Option<LimitReached>,
}

impl<'i> Metered<'i> {
    fn new(input: &'i mut dyn Input, limits: &Limits, rereading: Option<&'i mut Budget>, effort: &Effort) -> Self {
        effort.begin_pass();
        let (size, effort) = (Budget::new("message bytes", limits.message_bytes), effort.clone());
        Self { input, size, rereading, effort, reached: None }
    }

    /// The bound that ended the pass, of the message or of its layers.
    fn reached(&self) -> Option<LimitReached> {
        self.reached.clone().or_else(|| self.effort.reached())
    }
}

impl Read for Metered<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(out)?;
        self.effort.came(read);
        let spent = self.size.spend(read).and_then(|()| self.rereading.as_mut().map_or(Ok(()), |left| left.spend(read)));
        match spent {
            Ok(()) => Ok(read),
            Err(limit) => {
                let error = io::Error::other(limit.to_string());
                self.reached = Some(limit);
                Err(error)
            }
        }
    }
}

impl Seek for Metered<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.input.seek(to)
    }
}

impl Work<'_, '_> {
    /// Checks a detached signature; the content is taken as it is, else with CRLF line ends.
    fn detached(&mut self, content: &mut dyn Input, signature: &[u8], is_canonical: &mut bool) -> Result<(), Stop> {
        let reader = match open_signature(signature, &self.open.limits) {
            Ok(reader) => reader,
            Err(error) => return Err(self.broken(error)),
        };
        let layer = self.push_layer(signed_layer(verdict::Form::Clear))?;
        let digests = self.wanted_digests(layer, &reader.digests());
        let share = self.share(layer, digests.len());
        let hash = cms::ContentHash::new(digests).second_thread(self.open.second_thread);
        let mut feed = Feed::new(content);
        let hashed = match *is_canonical {
            false => hash_file(&mut feed, hash, share, self.sink),
            true => hash_file(&mut Crlf::new(&mut feed), hash, share, self.sink),
        };
        let (hashed, held) = match hashed {
            Ok(hashed) => hashed,
            Err(error) => return Err(Stop::Io(error)),
        };
        let mut data = match reader.finish(hashed) {
            Ok(data) => data,
            Err(error) => {
                self.forget(layer);
                return Err(self.broken(error));
            }
        };
        if let Some(content) = held {
            data.supply_content(content);
        }
        if data.has_content {
            self.add(Finding::warning(Code::NonConforming, "the signature file holds content, too, which is not looked at"));
        }
        let changed = |check: SignatureCheck| matches!(check, SignatureCheck::ContentChanged | SignatureCheck::Invalid(_));
        let is_changed = data.missing_digests().is_empty()
            && data.signers.iter().any(|signer| {
                let mut candidates = self.certificates_of(signer, &data);
                candidates.truncate(self.open.limits.signer_certificates);
                !candidates.is_empty() && candidates.iter().all(|certificate| changed(signer.verify(certificate, &data)))
            });
        // programs sign text with CRLF line ends; the file at hand may have others
        if is_changed && !*is_canonical && !self.hints.is_crlf_tried {
            (*is_canonical, self.hints.is_crlf_tried) = (true, true);
            return Err(Stop::Again);
        }
        // neither form fits: what the file is as it is, is said
        if is_changed && *is_canonical {
            *is_canonical = false;
            return Err(Stop::Again);
        }
        if *is_canonical {
            self.add(Finding::warning(Code::NonConforming, "the signature fits the file with CRLF line ends"));
        }
        self.signed(layer, &data, None)
    }
}

/// The signature of a file: a structure in any form, or the body of a MIME part.
pub(in crate::smime) fn open_signature(
    signature: &[u8],
    limits: &Limits,
) -> Result<cms::SignedReader<Cursor<Vec<u8>>>, cms::Error> {
    let mut source = signature;
    let mut feed = Feed::new(&mut source);
    feed.want(layer::DETECT)?;
    let mut bytes = Vec::new();
    match layer::form(feed.window()) {
        Form::Cms => feed.read_to_end(&mut bytes)?,
        Form::Base64 => Base64Reader::new(&mut feed).read_to_end(&mut bytes)?,
        Form::Pem(_) => {
            bytes = cms::from_pem(signature).unwrap_or_default();
            bytes.len()
        }
        Form::Message => match feed.head(Vec::new(), &ContentType::text_plain(), limits) {
            Ok(head) => {
                let writing = layer::writing_of(&head.entity, &mut feed)?;
                Body::new(writing, &mut feed)?.read_to_end(&mut bytes)?
            }
            Err(ReadError::Io(error)) => return Err(error.into()),
            Err(ReadError::Message(_)) => 0,
        },
    };
    match cms::open(Cursor::new(bytes), limits)? {
        Content::Signed(reader) => Ok(reader),
        _ => Err(cms::Error::Malformed("the signature file holds no SignedData")),
    }
}

fn unreadable(error: &io::Error) -> Opened {
    let mut verdict = Verdict::default();
    verdict.findings.push(Finding::error(Code::Malformed, format!("the message cannot be read – {error}")));
    Opened { verdict, content: None, is_whole: false, is_signed_inside: false }
}
