//! Takes a message apart in one pass, layer by layer, and collects the verdict on the way.
//!
//! Content goes through: what a layer holds is read by the layer inside while the one around is not checked yet. So whatever the inside
//! says is forgotten where a decryption around it fails, and the result lies in a spool that is released at the very end or never.
//! Where something that comes late decides about what came early, the pass ends with [`Stop::Again`] and the next one knows it.

mod below;
mod clear;
mod content;
mod enveloped;
mod opaque;
mod signed;
mod source;
mod walk;

use std::io;
use std::rc::Rc;

use crate::cms;
use crate::crypto;
use crate::crypto::random::Random;
use crate::limits::{Budget, LimitReached};
use crate::mime::stream::{Head, ReadError};
use crate::mime::{self, Entity};
use crate::secret::scratch::Piece;
use crate::smime::finding::{Code, Finding};
use crate::smime::headers;
use crate::smime::hints::{Failure, Hints};
use crate::smime::open::{Layers, Open, Want};
use crate::smime::sender::{self, Author};
use crate::smime::splice;
use crate::smime::spool::Spool;
use crate::smime::verdict::{Layer, UncoveredPart, Verdict};

pub(in crate::smime) use clear::hash_file;
pub(in crate::smime) use opaque::signed_layer;
pub(in crate::smime) use source::{PieceStream, Spending};

/// Why a pass ended early.
#[derive(Debug)]
pub(in crate::smime) enum Stop {
    /// The hints changed: another pass is needed.
    Again,
    /// An error stands in the verdict.
    Failed,
    /// The source or the spool failed.
    Io(io::Error),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// One pass.
pub(in crate::smime) struct Work<'w, 'a> {
    pub(in crate::smime) open: &'w Open<'a>,
    pub(in crate::smime) hints: &'w mut Hints,
    pub(in crate::smime) random: Option<&'w mut dyn Random>,
    pub(in crate::smime) sink: &'w mut dyn Spool,
    pub(in crate::smime) layers: Layers,
    pub(in crate::smime) want: Want,
    pub(in crate::smime) verdict: Verdict,
    /// The findings, each with the number of layers around what it is about.
    found: Vec<(usize, Finding)>,
    /// The parts that no layer covers, each with the number of layers around it.
    uncovered: Vec<(usize, UncoveredPart)>,
    /// The number of layers around what is looked at.
    at: usize,
    /// The levels of MIME around the layer begun last, in all the layers around.
    levels: usize,
    /// The header section of the message around everything, and who it says it is from.
    pub(in crate::smime) outer: Option<Head>,
    author: Author,
    /// The authors of the attached messages that the part lies in.
    attached: Vec<Author>,
    is_signed_inside: bool,
    /// Whether something inside failed that stops nothing around it.
    has_failed: bool,
    leaf: Option<Leaf>,
    /// What is left for the countersigners, time-stamps and encryption certificates of all signers.
    beside: Budget,
    /// What is left for the addresses in the certificates of all signers.
    addresses: Budget,
}

/// The beginning of a content: enough for its header fields and the first of its texts. Wiped, and without `Debug`.
pub(in crate::smime) struct Payload {
    entity: Entity,
    bytes: Piece,
}

impl Payload {
    fn bytes(&self) -> &[u8] {
        self.bytes.expose()
    }
}

/// The innermost content.
struct Leaf {
    payload: Rc<Payload>,
    form: LeafForm,
}

/// How the innermost content went to the spool.
enum LeafForm {
    /// It is there.
    Written,
    /// It is there behind this header section, which was chosen before the signers were judged.
    Headed(Vec<u8>),
    /// The payload is all of it, and is written at the end.
    Held,
}

/// What a pass found.
pub(in crate::smime) struct Found {
    pub(in crate::smime) verdict: Verdict,
    pub(in crate::smime) outer: Option<Head>,
    /// Whether the innermost content lies in the spool.
    pub(in crate::smime) is_whole: bool,
    pub(in crate::smime) is_signed_inside: bool,
}

impl<'w, 'a> Work<'w, 'a> {
    pub(in crate::smime) fn new(
        open: &'w Open<'a>,
        hints: &'w mut Hints,
        random: Option<&'w mut dyn Random>,
        sink: &'w mut dyn Spool,
        layers: Layers,
        want: Want,
    ) -> Self {
        Self {
            open,
            hints,
            random,
            sink,
            layers,
            want,
            verdict: Verdict::default(),
            found: Vec::new(),
            uncovered: Vec::new(),
            at: 0,
            levels: 0,
            outer: None,
            author: Author::None,
            attached: Vec::new(),
            is_signed_inside: false,
            has_failed: false,
            leaf: None,
            beside: Budget::new("signers", open.limits.signers),
            addresses: Budget::new("signer addresses", open.limits.signer_addresses),
        }
    }

    pub(in crate::smime) fn add(&mut self, finding: Finding) {
        let finding = self.open.accept.apply(finding);
        if !self.found.iter().any(|(_, known)| *known == finding) {
            self.found.push((self.at, finding));
        }
    }

    pub(in crate::smime) fn error(&mut self, code: Code, text: impl Into<String>) {
        self.add(Finding::error(code, text));
    }

    fn fail(&mut self, code: Code, text: impl Into<String>) -> Stop {
        self.error(code, text);
        Stop::Failed
    }

    pub(in crate::smime) fn limit(&mut self, limit: &LimitReached) -> Stop {
        self.fail(Code::Limit, limit.to_string())
    }

    fn unreadable(&mut self, error: ReadError) -> Stop {
        match error {
            ReadError::Io(error) => Stop::Io(error),
            ReadError::Message(mime::Error::Limit(limit)) => self.limit(&limit),
            ReadError::Message(error) => self.fail(Code::Malformed, error.to_string()),
        }
    }

    pub(in crate::smime) fn broken(&mut self, error: cms::Error) -> Stop {
        match failure_of(error) {
            Ok(failure) => self.fail(failure.code, failure.text),
            Err(error) => Stop::Io(error),
        }
    }

    /// Whatever lies in the spool is not whole.
    pub(in crate::smime) fn fails(&mut self) {
        self.has_failed = true;
    }

    /// Begins a layer: bounds their number, and gives its place among them.
    pub(in crate::smime) fn push_layer(&mut self, layer: Layer) -> Result<usize, Stop> {
        let (at, most) = (self.verdict.layers.len(), self.open.limits.smime_layers);
        if at >= most {
            return Err(self.fail(Code::Limit, format!("limit reached: smime layers – at most {most}")));
        }
        self.verdict.layers.push(layer);
        self.at = at.saturating_add(1);
        Ok(at)
    }

    /// Comes back to a layer from what is inside.
    fn back_to(&mut self, layer: usize) {
        self.at = layer.saturating_add(1);
    }

    /// Forgets a layer and all inside it, with what was found there; what this layer says of itself from here on is said of it.
    pub(in crate::smime) fn forget(&mut self, layer: usize) {
        self.verdict.layers.truncate(layer);
        self.found.retain(|(at, _)| *at <= layer);
        self.uncovered.retain(|(at, _)| *at <= layer);
        self.leaf = None;
        self.has_failed = false;
    }

    /// Ends the pass: the verdict, and the result where it was held back.
    pub(in crate::smime) fn conclude(mut self) -> Result<Found, Stop> {
        self.at = usize::MAX;
        let mut is_whole = false;
        if let Some(leaf) = self.leaf.take().filter(|_| !self.has_failed) {
            self.judge_leaf(&leaf)?;
            is_whole = true;
        }
        self.found.sort_by_key(|(at, _)| *at);
        self.uncovered.sort_by_key(|(at, _)| *at);
        self.verdict.uncovered = self.uncovered.into_iter().map(|(_, part)| part).collect();
        self.verdict.findings = self.found.into_iter().map(|(_, finding)| finding).collect();
        Ok(Found { verdict: self.verdict, outer: self.outer, is_whole, is_signed_inside: self.is_signed_inside })
    }

    fn outer(&self) -> Option<(&Entity, &[u8])> {
        self.outer.as_ref().map(|head| (&head.entity, head.bytes.as_slice()))
    }

    fn judge_leaf(&mut self, leaf: &Leaf) -> Result<(), Stop> {
        let is_authenticated = match self.verdict.layers.last() {
            Some(Layer::Encrypted(layer)) => layer.authenticated,
            _ => true,
        };
        if !is_authenticated && splice::looks_spliced(&leaf.payload.entity, leaf.payload.bytes()) {
            // told like every other ciphertext that was changed
            let failure = failure_of(cms::Error::DecryptionFailed)?;
            self.error(failure.code, failure.text);
            if let Some(Layer::Encrypted(layer)) = self.verdict.layers.last_mut() {
                layer.recipients.iter_mut().for_each(|recipient| recipient.used = false);
            }
            return Ok(());
        }
        if !is_authenticated {
            let text = "the content decrypts, and nothing proves that it was not changed on the way";
            self.add(Finding::warning(Code::NotAuthenticated, text));
        }
        let (entity, bytes) = (&leaf.payload.entity, leaf.payload.bytes());
        self.check_released(entity, bytes);
        let protected = headers::protected(entity, bytes, self.outer(), &self.verdict.layers);
        if let Some((shown, protected)) = headers::other_from(self.outer(), entity, bytes, &self.verdict.layers) {
            let (shown, protected) = (sender::shortened(&shown), sender::shortened(&protected));
            let text = format!("the From outside says {shown}, the one inside {protected}, and no signer vouches for the latter");
            self.add(Finding::warning(Code::FromMismatch, text));
        }
        self.verdict.headers = protected;
        self.write_held(leaf)
    }
}

/// What an error of a structure means, in words that tell nothing about keys; an error of the source is given back.
fn failure_of(error: cms::Error) -> Result<Failure, io::Error> {
    let code = match error {
        cms::Error::Io(error) => return Err(error),
        cms::Error::Limit(_) => Code::Limit,
        cms::Error::Unsupported(_) => Code::Unsupported,
        cms::Error::DecryptionFailed => Code::DecryptionFailed,
        cms::Error::Crypto(crypto::Error::Unavailable { text, .. }) => {
            return Ok(Failure { code: Code::KeyUnavailable, text: format!("the key cannot be used – {text}") });
        }
        _ => Code::Malformed,
    };
    Ok(Failure { code, text: format!("the cryptographic message cannot be read – {error}") })
}
