//! What one pass over a message learnt too late, for the pass that follows.

use std::collections::{BTreeMap, BTreeSet};

use crate::crypto::algorithm::DigestAlgorithm;
use crate::crypto::cipher::Foreknown;
use crate::limits::{LimitReached, Limits};
use crate::smime::effort::Effort;

/// What passes before this one learnt.
#[derive(Debug)]
pub(in crate::smime) struct Hints {
    /// What all passes take.
    pub(in crate::smime) effort: Effort,
    /// Digests that signers use and that were not computed, with the number of layers around.
    pub(in crate::smime) digests: BTreeSet<(usize, DigestAlgorithm)>,
    /// Entities that looked signed and are not S/MIME: the number of layers around, and the path.
    pub(in crate::smime) not_smime: BTreeSet<(usize, String)>,
    /// Signed layers whose content itself is signed and not its digest: the number of layers around.
    pub(in crate::smime) held: BTreeSet<usize>,
    /// Whether a file was tried with CRLF line ends.
    pub(in crate::smime) is_crlf_tried: bool,
    /// The header section of the released message, where it was known only when the signers were judged.
    pub(in crate::smime) header: Option<Vec<u8>>,
    /// What stands below a multipart in the content of a layer, by the number of layers around.
    pub(in crate::smime) below: BTreeMap<usize, Below>,
    /// Encrypted layers, by the number of layers around.
    pub(in crate::smime) encrypted: BTreeMap<usize, Trial>,
}

impl Hints {
    pub(in crate::smime) fn new(limits: &Limits) -> Self {
        Self {
            effort: Effort::new(limits),
            digests: BTreeSet::new(),
            not_smime: BTreeSet::new(),
            held: BTreeSet::new(),
            is_crlf_tried: false,
            header: None,
            below: BTreeMap::new(),
            encrypted: BTreeMap::new(),
        }
    }
}

/// What stands below a multipart in the content of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::smime) enum Below {
    /// A layer of mail, which is taken.
    Layer,
    /// What looked like one is none.
    Nothing,
}

/// How far the keys for an encrypted layer were tried.
#[derive(Debug, Default, Clone)]
pub(in crate::smime) struct Trial {
    /// The candidate to try next.
    pub(in crate::smime) next: usize,
    /// The first guess whose content does not read as one; taken where no other fits.
    pub(in crate::smime) unlikely: Option<usize>,
    /// Whether only the unlikely guess is left.
    pub(in crate::smime) is_last: bool,
    /// Why a key that was named, or fitted, failed.
    pub(in crate::smime) failure: Option<Failure>,
    /// The bound on trials, where more would be worth trying.
    pub(in crate::smime) beyond: Option<LimitReached>,
    /// What the cipher must know before it begins.
    pub(in crate::smime) foreknown: Option<Foreknown>,
}

/// A failure in words that tell nothing about the key.
#[derive(Debug, Clone)]
pub(in crate::smime) struct Failure {
    pub(in crate::smime) code: crate::smime::Code,
    pub(in crate::smime) text: String,
}
