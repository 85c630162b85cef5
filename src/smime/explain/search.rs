//! Undoes changes, alone and in pairs, until the signed bytes come out.
//!
//! In stages: what is usual alone, the same on top of each that others build on, what is in one place, what few relays do. Each stage leaves work to
//! the ones after it.

use std::collections::HashSet;
use std::ops::{ControlFlow, Range};

use crate::crypto::algorithm::DigestAlgorithm;
use crate::crypto::digest;
use crate::limits::Limits;
use crate::mime::{self, Entity};
use crate::smime::explain::oracle::Oracle;
use crate::smime::explain::{Change, additions, blanks, encoding, fields, lines};

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
    limits: &'a Limits,
    /// Where the signed part is.
    place: &'a str,
    depth: Depth,
    ends: LineEnds,
    /// What was undone already.
    trail: Option<Undone>,
    found: Option<Vec<Step>>,
    bases: Vec<(Undone, Vec<u8>)>,
    known: HashSet<Vec<u8>>,
    left: Work,
    /// What the stage leaves to the ones after it.
    reserved: Work,
    gave_up: bool,
}

/// A change that was undone, and in which part.
#[derive(Clone)]
struct Undone {
    step: Step,
    path: String,
    ends: LineEnds,
}

/// With which line ends it was signed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum LineEnds {
    Crlf,
    Lf,
}

/// What a search may cost.
#[derive(Clone, Copy)]
struct Work {
    attempts: usize,
    bytes: usize,
}

impl Work {
    fn less(self, other: Self) -> Option<Self> {
        Some(Self { attempts: self.attempts.checked_sub(other.attempts)?, bytes: self.bytes.checked_sub(other.bytes)? })
    }

    /// All but so many quarters.
    fn without(self, quarters: usize) -> Self {
        let of = |whole: usize| (whole / 4).saturating_mul(4_usize.saturating_sub(quarters));
        Self { attempts: of(self.attempts), bytes: of(self.bytes) }
    }
}

/// Undoes changes of the bytes as `open` hashes them, and as received.
pub(super) fn search(canonical: &[u8], received: &[u8], oracle: &Oracle<'_>, place: &str, limits: &Limits) -> Outcome {
    let attempts = if oracle.is_slow() { SLOW_ATTEMPTS } else { ATTEMPTS };
    let mut search = Search {
        oracle,
        limits,
        place,
        depth: Depth::Alone,
        ends: LineEnds::Crlf,
        trail: None,
        found: None,
        bases: Vec::new(),
        known: HashSet::new(),
        left: Work { attempts, bytes: BYTES },
        reserved: Work { attempts: 0, bytes: 0 },
        gave_up: false,
    };
    let text = "it was signed with the very line ends that it has here, which are not those of mail";
    search.stage(4, |search| search.offer(Change::LineEnds, "0", text, Further::No, received.to_vec()));
    search.stage(3, |search| search.each(canonical, undo_all));
    search.stage(1, |search| search.each(canonical, blanks::undo_several));
    let mut bases = std::mem::take(&mut search.bases);
    bases.insert(0, (Undone::of_line_ends(search.named("0")), canonical.to_vec()));
    search.stage(2, |search| search.on_each(&bases, undo_all));
    (search.depth, search.ends, search.trail) = (Depth::Alone, LineEnds::Crlf, None);
    search.stage(2, |search| search.each(canonical, undo_one_by_one));
    search.stage(2, |search| search.on_each(&bases, undo_lines_alone));
    (search.depth, search.ends) = (Depth::OnTop, LineEnds::Crlf);
    search.stage(4, |search| search.each(canonical, additions::undo_with_others));
    match search.found {
        Some(steps) => Outcome::Found(steps),
        None if search.gave_up => Outcome::GaveUp,
        None => Outcome::Nothing,
    }
}

/// Tries changes of bytes whose parts are known.
pub(super) type Undo = fn(&[u8], &Entity, &mut Search<'_>) -> ControlFlow<()>;

impl Undone {
    /// That all line ends were LF; what was done besides is undone in the form with CRLF.
    fn of_line_ends(place: String) -> Self {
        let step = Step { change: Change::LineEnds, place, text: lines::LF_BECAME_CRLF.to_owned() };
        Self { step, path: "0".to_owned(), ends: LineEnds::Lf }
    }
}

/// Tries everything on these bytes.
fn undo_all(bytes: &[u8], root: &Entity, search: &mut Search<'_>) -> ControlFlow<()> {
    lines::undo(bytes, root, search)?;
    blanks::undo(bytes, root, search)?;
    fields::undo(bytes, root, search)?;
    additions::undo(bytes, root, search)?;
    encoding::undo(bytes, root, search)?;
    blanks::undo_one_by_one(bytes, root, search)
}

/// Tries what is done to one place.
fn undo_one_by_one(bytes: &[u8], root: &Entity, search: &mut Search<'_>) -> ControlFlow<()> {
    lines::undo_one_by_one(bytes, search)?;
    additions::undo_in_the_middle(bytes, root, search)
}

/// Tries what is done to lines that have nothing in common.
fn undo_lines_alone(bytes: &[u8], root: &Entity, search: &mut Search<'_>) -> ControlFlow<()> {
    blanks::undo_several(bytes, root, search)?;
    additions::undo_in_the_middle(bytes, root, search)
}

impl Search<'_> {
    /// One stage of the search, which may spend so many quarters of what is left.
    fn stage(&mut self, quarters: usize, work: impl FnOnce(&mut Self) -> ControlFlow<()>) {
        if self.found.is_some() {
            return;
        }
        self.reserved = self.left.without(quarters);
        let ended = work(self).is_break();
        self.gave_up |= ended && self.found.is_none();
    }

    fn each(&mut self, bytes: &[u8], undo: Undo) -> ControlFlow<()> {
        let Ok(root) = mime::entity::parse_content(bytes, self.limits) else { return ControlFlow::Continue(()) };
        undo(bytes, &root, self)
    }

    /// Tries changes on top of each that was undone.
    fn on_each(&mut self, bases: &[(Undone, Vec<u8>)], undo: Undo) -> ControlFlow<()> {
        self.depth = Depth::OnTop;
        bases.iter().try_for_each(|(undone, bytes)| self.upon(undone.clone(), bytes, undo))
    }

    /// Tries changes on top of one that was undone.
    fn upon(&mut self, undone: Undone, bytes: &[u8], undo: Undo) -> ControlFlow<()> {
        self.ends = undone.ends;
        self.trail = Some(undone);
        self.each(bytes, undo)
    }

    /// Tries changes on top of lines that were taken away.
    pub(super) fn upon_added_lines(&mut self, path: &str, text: String, bytes: &[u8], undo: Undo) -> ControlFlow<()> {
        let step = Step { change: Change::LinesAdded, place: self.named(path), text };
        self.upon(Undone { step, path: path.to_owned(), ends: LineEnds::Crlf }, bytes, undo)
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
        let cost = Work { attempts: 1, bytes: bytes.len().saturating_add(EACH) };
        let Some(left) = self.left.less(cost).filter(|left| left.less(self.reserved).is_some()) else {
            return ControlFlow::Break(());
        };
        self.left = left;
        let fits = match self.ends {
            LineEnds::Crlf => self.oracle.fits(&bytes),
            LineEnds::Lf => self.oracle.fits(&lines::without(&bytes, b"\r\n", b"\n")),
        };
        let is_base = further == Further::Yes && self.depth == Depth::Alone;
        if !fits && !is_base {
            return ControlFlow::Continue(());
        }
        let step = Step { change, place: self.named(path), text: text.into() };
        if fits {
            self.found = Some(self.trail.take().map(|undone| undone.step).into_iter().chain([step]).collect());
            return ControlFlow::Break(());
        }
        let held: usize = self.bases.iter().map(|(_, bytes)| bytes.len()).sum();
        if held.saturating_add(bytes.len()) <= HELD && self.known.insert(digest::of(DigestAlgorithm::Sha256, &bytes)) {
            self.bases.push((Undone { step, path: path.to_owned(), ends: LineEnds::Crlf }, bytes));
        }
        ControlFlow::Continue(())
    }

    /// Whether a part is undone already by encoding it anew.
    pub(super) fn is_encoded_anew(&self, path: &str) -> bool {
        let of =
            |undone: &Undone| undone.path == path && matches!(undone.step.change, Change::TransferEncoding | Change::Charset);
        self.trail.as_ref().is_some_and(of)
    }

    /// Whether a part comes after the one in which something is undone already.
    pub(super) fn is_behind_trail(&self, path: &str) -> bool {
        let numbers = |path: &str| path.split('.').map(|number| number.parse().unwrap_or(0)).collect::<Vec<usize>>();
        self.trail.as_ref().is_some_and(|undone| numbers(path) > numbers(&undone.path))
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

/// The texts of an entity.
pub(super) fn texts(root: &Entity) -> impl Iterator<Item = &Entity> {
    parts(root).filter(|part| part.content_type().kind == "text" && part.children().is_empty())
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

/// 500 000: some thousand for each change alone, and as many on top of each of some hundred; some seconds.
const ATTEMPTS: usize = 500_000;
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
