//! Undoes changes, alone and in pairs, until the signed bytes come out.

use std::collections::HashSet;
use std::ops::{ControlFlow, Range};

use crate::crypto::algorithm::DigestAlgorithm;
use crate::crypto::digest;
use crate::limits::Limits;
use crate::mime::{self, Entity};
use crate::smime::explain::oracle::Oracle;
use crate::smime::explain::{Change, encoding, fields, lines};

/// One change that was made on the way.
#[derive(Debug, Clone)]
pub(super) struct Step {
    pub(super) change: Change,
    pub(super) place: String,
    pub(super) text: String,
}

/// What a search came to.
pub(super) enum Outcome {
    /// These changes, in the order in which they are undone.
    Found(Vec<Step>),
    /// Everything was tried.
    Nothing,
    /// The bound on the work was reached.
    GaveUp,
}

/// Whether other changes are undone on top of an attempt.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Further {
    Yes,
    No,
}

/// How thorough an attempt is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Depth {
    /// The change may be the only one: places are tried one by one, too.
    Alone,
    /// It comes on top of another one.
    OnTop,
}

/// A search under way.
pub(super) struct Search<'a> {
    oracle: &'a Oracle<'a>,
    /// Where the signed part is.
    place: &'a str,
    depth: Depth,
    /// What was undone already.
    trail: Option<Step>,
    found: Option<Vec<Step>>,
    bases: Vec<(Step, Vec<u8>)>,
    known: HashSet<Vec<u8>>,
    attempts_left: usize,
    bytes_left: usize,
}

/// Undoes changes of the bytes as `open` hashes them, and as received.
pub(super) fn search(canonical: &[u8], received: &[u8], oracle: &Oracle<'_>, place: &str, limits: &Limits) -> Outcome {
    let mut search = Search {
        oracle,
        place,
        depth: Depth::Alone,
        trail: None,
        found: None,
        bases: Vec::new(),
        known: HashSet::new(),
        attempts_left: if oracle.is_slow() { SLOW_ATTEMPTS } else { ATTEMPTS },
        bytes_left: BYTES,
    };
    let text = "it was signed with the very line ends that it has here, which are not those of mail";
    let raw = search.offer(Change::LineEnds, "0", text, Further::No, received.to_vec());
    let mut ended = raw.is_break() || search.undo(canonical, limits).is_break();
    search.depth = Depth::OnTop;
    for (step, bytes) in std::mem::take(&mut search.bases) {
        if ended {
            break;
        }
        search.trail = Some(step);
        ended = search.undo(&bytes, limits).is_break();
    }
    match search.found {
        Some(steps) => Outcome::Found(steps),
        None if ended => Outcome::GaveUp,
        None => Outcome::Nothing,
    }
}

impl Search<'_> {
    /// Tries everything on these bytes.
    fn undo(&mut self, bytes: &[u8], limits: &Limits) -> ControlFlow<()> {
        let Ok(root) = mime::entity::parse_content(bytes, limits) else { return ControlFlow::Continue(()) };
        lines::undo(bytes, &root, self)?;
        fields::undo(bytes, &root, self)?;
        encoding::undo(bytes, &root, self)?;
        lines::undo_additions(bytes, &root, self)?;
        lines::undo_one_by_one(bytes, self)
    }

    /// Tries one: whether these bytes were signed. Breaks where they were, or where the bound is reached.
    pub(super) fn offer(
        &mut self,
        change: Change,
        path: &str,
        text: impl Into<String>,
        further: Further,
        bytes: Vec<u8>,
    ) -> ControlFlow<()> {
        let (Some(attempts), Some(left)) =
            (self.attempts_left.checked_sub(1), self.bytes_left.checked_sub(bytes.len().saturating_add(EACH)))
        else {
            return ControlFlow::Break(());
        };
        (self.attempts_left, self.bytes_left) = (attempts, left);
        let fits = self.oracle.fits(&bytes);
        let is_base = further == Further::Yes && self.depth == Depth::Alone;
        if !fits && !is_base {
            return ControlFlow::Continue(());
        }
        let step = Step { change, place: self.named(path), text: text.into() };
        if fits {
            self.found = Some(self.trail.take().into_iter().chain([step]).collect());
            return ControlFlow::Break(());
        }
        let held: usize = self.bases.iter().map(|(_, bytes)| bytes.len()).sum();
        if held.saturating_add(bytes.len()) <= HELD && self.known.insert(digest::of(DigestAlgorithm::Sha256, &bytes)) {
            self.bases.push((step, bytes));
        }
        ControlFlow::Continue(())
    }

    pub(super) fn depth(&self) -> Depth {
        self.depth
    }

    /// The name of a part of the signed part.
    fn named(&self, path: &str) -> String {
        match path {
            "0" => self.place.to_owned(),
            path if self.place.starts_with("part ") => format!("{}.{path}", self.place),
            path => format!("part {path} of {}", self.place),
        }
    }
}

/// The parts of an entity that are worth a look.
pub(super) fn parts(root: &Entity) -> impl Iterator<Item = &Entity> {
    root.walk().into_iter().take(PARTS)
}

/// Bytes with a range of them replaced.
pub(super) fn replaced(bytes: &[u8], range: Range<usize>, with: &[u8]) -> Vec<u8> {
    let head = bytes.get(..range.start).unwrap_or_default();
    let tail = bytes.get(range.end..).unwrap_or_default();
    [head, with, tail].concat()
}

/// 300 000: some thousand for each change alone, and as many on top of each of some hundred; a second or two.
const ATTEMPTS: usize = 300_000;
/// Each costs a public-key operation.
const SLOW_ATTEMPTS: usize = 3_000;
/// 1 GiB, about a second of hashing.
const BYTES: usize = 1 << 30;
/// What an attempt costs beside its bytes.
const EACH: usize = 512;
/// 128 MiB of attempts that others build on.
const HELD: usize = 128 << 20;
/// Relays change the parts in front; later ones are attachments.
const PARTS: usize = 24;
