//! `open`: every layer of a message taken off, each checked, and the content released only when all is well.

use crate::cms::{self, Content, Key, SignatureCheck, SignedData, Signer};
use crate::crypto::algorithm::{CipherParameters, Strength};
use crate::crypto::key::PrivateKey;
use crate::crypto::random::Random;
use crate::keys::Identity;
use crate::limits::Limits;
use crate::mime::{self, Entity, canonical};
use crate::pki::{self, Certificate, ChainStatus, Crl, Judgement, Purpose, Reason, ReasonCode, RevocationStatus, Weight};
use crate::secret::Secret;
use crate::smime::finding::{Code, Finding, Outcome};
use crate::smime::headers;
use crate::smime::layer::{Input, Kind, detect, kind};
use crate::smime::policy::{Accept, Trust};
use crate::smime::released::Released;
use crate::smime::sender::Author;
use crate::smime::verdict::{
    Coverage, EncryptedKind, EncryptedLayer, Form, Layer, RecipientVerdict, SignatureStatus, SignedLayer, SignerVerdict,
    UncoveredPart, Verdict, Verified,
};

/// An opening: with which keys, in whom we trust, what we excuse.
pub struct Open<'a> {
    trust: &'a Trust,
    accept: Accept,
    limits: Limits,
    known: &'a [Certificate],
    keys: Vec<Key<'a>>,
}

/// What an opening gave: the verdict, and the content where the verdict allows it.
#[derive(Debug)]
pub struct Opened {
    verdict: Verdict,
    content: Option<Released>,
    is_signed_inside: bool,
}

impl Opened {
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
enum Depth {
    Every,
    OneSigned,
    OneEncrypted,
}

impl<'a> Open<'a> {
    /// Opens with this trust, no keys, and nothing excused.
    pub fn new(trust: &'a Trust) -> Self {
        Self { trust, accept: Accept::default(), limits: Limits::default(), known: &[], keys: Vec::new() }
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

/// What is still to be taken off.
enum State {
    ClearSigned { content: Vec<u8>, signature: Vec<u8> },
    Cms(Vec<u8>),
    Leaf(Vec<u8>),
    Failed,
}

struct Work<'o, 'a> {
    open: &'o Open<'a>,
    verdict: Verdict,
    /// The header section of the message around everything, and who it says it is from.
    outer: Option<(Entity, Vec<u8>)>,
    author: Author,
    /// The content exactly as the last layer held it.
    content: Vec<u8>,
    is_signed_inside: bool,
}

impl<'o, 'a> Work<'o, 'a> {
    fn new(open: &'o Open<'a>) -> Self {
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

    fn error(&mut self, code: Code, text: impl Into<String>) {
        self.add(Finding::error(code, text));
    }

    fn finish(self, content: Option<Released>, is_signed_inside: bool) -> Opened {
        Opened { verdict: self.verdict, content, is_signed_inside }
    }

    fn nothing(mut self, code: Code, text: &str) -> Opened {
        self.error(code, text);
        self.finish(None, false)
    }

    /// Finds the S/MIME part of a message: the root, else the first in the tree; says what stands beside it.
    fn outermost(&mut self, source: Vec<u8>) -> State {
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

    fn clear_signed(&mut self, content: Vec<u8>, signature: &[u8]) -> State {
        let data = match cms::open(signature, &self.open.limits) {
            Ok(Content::Signed(reader)) => reader.read(Some(&content), &mut Vec::new()),
            Ok(_) => Err(cms::Error::Malformed("the signature part holds no SignedData")),
            Err(error) => Err(error),
        };
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

    fn detached(&mut self, content: &[u8], signature: &[u8]) {
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

    fn cms(&mut self, bytes: &[u8], depth: Depth, random: &mut Option<&mut dyn Random>) -> State {
        match cms::open(bytes, &self.open.limits) {
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

    /// Judges the signers of a layer; all must be good.
    fn signed(&mut self, data: SignedData, content: Vec<u8>, form: Form) -> State {
        for oddity in &data.oddities {
            self.add(Finding::warning(Code::NonConforming, oddity.clone()));
        }
        if data.signers.is_empty() {
            self.error(Code::NotSigned, "the message has the form of a signed one and nobody signed it");
            return State::Failed;
        }
        let mut data = data;
        data.supply_digests(&content);
        let signers: Vec<SignerVerdict> = data.signers.iter().map(|signer| self.judge_signer(signer, &data)).collect();
        let mut covers = Coverage::Body;
        if let Ok(payload) = mime::parse(&content, &self.open.limits) {
            if headers::is_protected(&payload) {
                covers = Coverage::BodyAndHeaders;
            }
            self.check_author(&payload, &content, &signers);
        }
        self.verdict.layers.push(Layer::Signed(SignedLayer { form, covers, signers }));
        self.is_signed_inside = true;
        self.content = content;
        self.next()
    }

    /// The certificates that a signer may mean.
    fn certificates_of(&self, signer: &Signer, data: &SignedData) -> Vec<Certificate> {
        let known = data.certificates.iter().chain(self.open.known).chain(&self.open.trust.intermediates);
        let mut found: Vec<Certificate> = Vec::new();
        for certificate in known.filter(|certificate| signer.id.names(certificate)) {
            if !found.contains(certificate) {
                found.push(certificate.clone());
            }
        }
        found
    }

    fn judge_signer(&mut self, signer: &Signer, data: &SignedData) -> SignerVerdict {
        let mut verdict = SignerVerdict {
            certificate: None,
            addresses: Vec::new(),
            subject: signer.id.to_string(),
            algorithm: signer.algorithm_name(),
            signature: SignatureStatus::Invalid,
            chain: ChainStatus::Untrusted,
            path: Vec::new(),
            revocation: RevocationStatus::Unknown,
            claimed_time: signer.signing_time(),
            from_match: None,
            finding: None,
        };
        let candidates = self.certificates_of(signer, data);
        let Some(first) = candidates.first() else {
            let text = format!("the signer's certificate is not at hand – {}", signer.id);
            self.add(Finding::error(Code::SignerCertificateMissing, text).fix("--intermediates FILE"));
            verdict.finding = Some(Code::SignerCertificateMissing);
            return verdict;
        };
        let checks: Vec<SignatureCheck> = candidates.iter().map(|certificate| signer.verify(certificate, data)).collect();
        let valid = checks.iter().position(|check| matches!(check, SignatureCheck::Valid(_)));
        let at = valid.unwrap_or(0);
        let certificate = candidates.get(at).unwrap_or(first).clone();
        verdict.addresses = certificate.addresses();
        verdict.subject = certificate.to_string();
        self.judge_chain(&certificate, data, &mut verdict, valid.is_some());
        match checks.into_iter().nth(at) {
            Some(SignatureCheck::Valid(oddities)) => {
                verdict.signature = SignatureStatus::Valid;
                oddities.into_iter().for_each(|text| self.add(Finding::warning(Code::NonConforming, text)));
                self.judge_strength(signer, &mut verdict);
            }
            Some(SignatureCheck::ContentChanged) => {
                self.error(Code::ContentChanged, format!("the content was changed after {certificate} signed it"));
                verdict.finding = Some(Code::ContentChanged);
            }
            Some(SignatureCheck::Invalid(why)) => {
                self.error(Code::SignatureInvalid, format!("the signature of {certificate} is bad – {why}"));
                verdict.finding = Some(Code::SignatureInvalid);
            }
            None => {}
        }
        verdict.from_match = self.author.includes(&verdict.addresses);
        verdict.certificate = Some(certificate);
        verdict
    }

    fn judge_strength(&mut self, signer: &Signer, verdict: &mut SignerVerdict) {
        let (Some(algorithm), Some(strength)) = (signer.algorithm(), signer.strength()) else { return };
        match strength {
            Strength::Good => {}
            Strength::Weak => {
                self.error(Code::WeakAlgorithm, format!("the signature uses {}, which is too weak to rely on", algorithm.name()));
                verdict.finding.get_or_insert(Code::WeakAlgorithm);
            }
            Strength::Broken => {
                self.error(Code::SignatureInvalid, format!("the signature uses {}, which anyone can forge", algorithm.name()));
                verdict.signature = SignatureStatus::Invalid;
                verdict.finding = Some(Code::SignatureInvalid);
            }
        }
    }

    fn judge_chain(&mut self, certificate: &Certificate, data: &SignedData, verdict: &mut SignerVerdict, is_valid: bool) {
        let trust = self.open.trust;
        let pool: Vec<Certificate> =
            data.certificates.iter().chain(&trust.intermediates).chain(self.open.known).cloned().collect();
        let of_message = data.crls.iter().filter_map(|bytes| Crl::from_der(bytes).ok());
        let crls: Vec<Crl> = trust.crls.iter().cloned().chain(of_message).collect();
        let chain = pki::judge(&Judgement {
            leaf: certificate,
            pool: &pool,
            anchors: &trust.anchors,
            crls: &crls,
            purpose: Purpose::MailSign,
            at: trust.at,
            revocation: trust.revocation,
            limits: &self.open.limits,
        });
        verdict.chain = chain.status;
        verdict.path = chain.path.iter().map(Certificate::to_string).collect();
        verdict.revocation = chain.revocation;
        // a bad signature is the news; what its certificate lacks is not
        if !is_valid {
            return;
        }
        let worst = chain.reasons.iter().filter(|r| r.weight == Weight::Error).map(chain_code).min_by_key(|code| code.outcome());
        verdict.finding = worst;
        chain.reasons.into_iter().for_each(|reason| self.add(chain_finding(reason)));
    }

    /// Whether the signers are the authors: of the header fields inside where they are protected, and of those outside.
    fn check_author(&mut self, payload: &Entity, content: &[u8], signers: &[SignerVerdict]) {
        let certified: Vec<String> = signers.iter().flat_map(|signer| signer.addresses.clone()).collect();
        let mut claims = vec![("", self.author.clone())];
        if headers::is_protected(payload) {
            claims.push(("protected ", Author::of(payload, content)));
        }
        for (which, author) in claims {
            if author.is_covered_by(&certified) != Some(false) {
                continue;
            }
            let who = if certified.is_empty() { "nobody by address".to_owned() } else { certified.join(", ") };
            let text = match &author {
                Author::Unclear(why) => format!("{why} – who the signer should be is not clear"),
                Author::Claimed { sender: Some(sender), .. } if pki::email::find(&certified, sender) => {
                    format!("signed by {who}, who sent it for {} – the {which}From is another than the signer", author.describe())
                }
                _ => format!("signed by {who} – the {which}From says {}", author.describe()),
            };
            self.error(Code::FromMismatch, text);
        }
    }

    fn enveloped(&mut self, bytes: &[u8], random: &mut dyn Random) -> State {
        let keys = &self.open.keys;
        let Ok(Content::Enveloped(reader)) = cms::open(bytes, &self.open.limits) else { return State::Failed };
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
            let result = reader.content_key(candidate, keys, random).and_then(|key| match cms::open(bytes, &self.open.limits)? {
                Content::Enveloped(again) => again.decrypt(&key, content.expose_mut()),
                _ => Err(cms::Error::Malformed("not an encrypted message")),
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
    fn leaf(self, source: Vec<u8>, depth: Depth) -> Opened {
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
    fn one_layer(self, _rest: State) -> Opened {
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
            self.verdict.headers = headers::protected(&payload, &content);
        }
        let released = match self.outer.take() {
            Some((outer, source)) => Released::message_of(&outer, &source, content, &self.open.limits),
            None => Released::bytes(content),
        };
        let is_signed_inside = self.is_signed_inside;
        self.finish(Some(released), is_signed_inside)
    }
}

fn is_inside(entity: &Entity, of: &Entity) -> bool {
    of.walk().iter().any(|inner| inner.path() == entity.path())
}

fn chain_code(reason: &Reason) -> Code {
    match reason.code {
        ReasonCode::IssuerMissing | ReasonCode::SelfSigned | ReasonCode::SignatureInvalid => Code::Untrusted,
        ReasonCode::Expired => Code::Expired,
        ReasonCode::NotYetValid => Code::NotYetValid,
        ReasonCode::Revoked => Code::Revoked,
        ReasonCode::RevocationUnknown => Code::RevocationUnknown,
        ReasonCode::WeakAlgorithm => Code::WeakAlgorithm,
        ReasonCode::Limit => Code::Limit,
        _ => Code::Unsuitable,
    }
}

fn chain_finding(reason: Reason) -> Finding {
    let code = chain_code(&reason);
    let finding = match reason.weight {
        Weight::Error => Finding::error(code, reason.text),
        Weight::Warning => Finding::warning(code, reason.text),
    };
    match reason.fix {
        Some(fix) => finding.fix(fix),
        None => finding,
    }
}

/// Whether decrypted bytes begin like what is encrypted: a header field, or a structure.
fn reads_as_content(content: &[u8]) -> bool {
    let colon = content.iter().position(|byte| *byte == b':').unwrap_or(0);
    let name = content.get(..colon).unwrap_or_default();
    cms::looks_like(content) || (!name.is_empty() && name.iter().all(u8::is_ascii_graphic))
}
