//! What relays do to blanks at the ends of lines.
//!
//! What was stripped is not known. Tried is what programs write (RFC 3676, signature lines, quotes), then each line alone, then several.

use std::collections::HashSet;
use std::ops::ControlFlow;

use crate::mime::Entity;
use crate::smime::explain::Change;
use crate::smime::explain::lines::{line_starts, trimmed};
use crate::smime::explain::search::{Depth, Further, Search, replaced, texts};

/// Undoes what is done to all lines of a kind: of each text, and of all texts at once.
pub(super) fn undo(bytes: &[u8], root: &Entity, search: &mut Search<'_>) -> ControlFlow<()> {
    let texts = Text::all(bytes, root);
    let mut known: HashSet<Vec<(usize, Blank)>> = HashSet::new();
    for rule in rules(&texts) {
        let said = format!("blanks at the ends of lines were stripped: {}", rule.said());
        let marked: Vec<Vec<(usize, Blank)>> = texts.iter().map(|text| rule.marked(&text.lines)).collect();
        let further = rule.further();
        let mut offer = |path: &str, marks: Vec<(usize, Blank)>| {
            if marks.is_empty() || known.contains(&marks) {
                return ControlFlow::Continue(());
            }
            let whole = with_blanks(bytes, &marks);
            known.insert(marks);
            search.offer(Change::TrailingBlanks, path, said.as_str(), further, whole)
        };
        for (text, marks) in texts.iter().zip(&marked) {
            offer(&text.path, marks.clone())?;
        }
        if texts.len() > 1 {
            offer("0", marked.iter().flatten().copied().collect())?;
        }
    }
    ControlFlow::Continue(())
}

/// Undoes a change of one line, and looks which.
pub(super) fn undo_one_by_one(bytes: &[u8], root: &Entity, search: &mut Search<'_>) -> ControlFlow<()> {
    let lines: Vec<Line<'_>> = match search.depth() {
        Depth::Alone => lines_of(bytes, 0).into_iter().take(LINES).collect(),
        Depth::OnTop => Text::all(bytes, root).into_iter().flat_map(|text| text.lines).take(LINES_ON_TOP).collect(),
    };
    for (at, line) in lines.into_iter().enumerate() {
        let number = || match search.depth() {
            Depth::Alone => format!("line {}", at.saturating_add(1)),
            Depth::OnTop => format!("line {} of the text", at.saturating_add(1)),
        };
        let stripped = format!("blanks at the end of {} were stripped", number());
        let added = format!("blanks at the end of {} were added", number());
        for blank in BLANKS {
            let marks = [(line.end(), blank)];
            search.offer(Change::TrailingBlanks, "0", stripped.as_str(), Further::No, with_blanks(bytes, &marks))?;
        }
        let bare = trimmed(line.content);
        if bare.len() < line.content.len() {
            let range = line.start.saturating_add(bare.len())..line.end();
            search.offer(Change::TrailingBlanks, "0", added, Further::No, replaced(bytes, range, b""))?;
        }
    }
    ControlFlow::Continue(())
}

/// Undoes changes of several lines that have nothing in common: every choice of few, else two, three, and those in a row.
pub(super) fn undo_several(bytes: &[u8], root: &Entity, search: &mut Search<'_>) -> ControlFlow<()> {
    let texts = Text::all(bytes, root);
    let lines: Vec<&Line<'_>> = texts.iter().flat_map(|text| &text.lines).filter(|line| !ends_in_blank(line.content)).collect();
    let at = |of: &[&Line<'_>]| of.iter().map(|line| line.end()).collect::<Vec<usize>>();
    let words: Vec<&Line<'_>> = lines.iter().copied().filter(|line| !line.content.is_empty()).collect();
    let bounds = match search.depth() {
        Depth::Alone => Bounds { of_kinds: 6, of_one: 12, pairs_of_kinds: 40, pairs: 200, triples: 40 },
        Depth::OnTop => Bounds { of_kinds: 6, of_one: 10, pairs_of_kinds: 0, pairs: 30, triples: 0 },
    };
    let ends = if lines.len() > bounds.pairs_of_kinds { at(&words) } else { at(&lines) };
    let mut offer = |marks: &[(usize, Blank)]| {
        let said = format!("blanks at the ends of {} lines were stripped", marks.len());
        search.offer(Change::TrailingBlanks, "0", said, Further::No, with_blanks(bytes, marks))
    };
    for (most, blanks) in [(bounds.of_one, ONE), (bounds.of_kinds, BLANKS.as_slice())] {
        if ends.len() <= most {
            every_choice(&ends, blanks, &mut Vec::new(), &mut offer)?;
        }
    }
    let choices = if ends.len() <= bounds.pairs_of_kinds { BLANKS.as_slice() } else { ONE };
    for (number, first) in ends.iter().copied().enumerate().take_while(|_| ends.len() <= bounds.pairs) {
        let after = ends.get(number.saturating_add(1)..).unwrap_or_default();
        for (further, second) in after.iter().copied().enumerate() {
            for (one, other) in choices.iter().flat_map(|one| choices.iter().map(move |other| (*one, *other))) {
                offer(&[(first, one), (second, other)])?;
            }
            let between = after.get(..further).unwrap_or_default();
            if !between.is_empty() {
                let row: Vec<(usize, Blank)> =
                    std::iter::once(first).chain(between.iter().copied()).chain([second]).map(|at| (at, SPACE)).collect();
                offer(&row)?;
            }
            if ends.len() > bounds.triples {
                continue;
            }
            for middle in between.iter().copied() {
                offer(&[(first, SPACE), (middle, SPACE), (second, SPACE)])?;
            }
        }
    }
    ControlFlow::Continue(())
}

/// Every choice of lines and of what stood at their ends.
fn every_choice(
    ends: &[usize],
    blanks: &[Blank],
    chosen: &mut Vec<(usize, Blank)>,
    offer: &mut impl FnMut(&[(usize, Blank)]) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let Some((first, rest)) = ends.split_first() else {
        return if chosen.len() > 1 { offer(chosen) } else { ControlFlow::Continue(()) };
    };
    every_choice(rest, blanks, chosen, offer)?;
    for blank in blanks {
        chosen.push((*first, blank));
        let tried = every_choice(rest, blanks, chosen, offer);
        chosen.pop();
        tried?;
    }
    ControlFlow::Continue(())
}

struct Bounds {
    /// Lines of which every choice is tried, with each kind of blank.
    of_kinds: usize,
    /// The same with one kind.
    of_one: usize,
    /// Lines of which every two are tried, with each kind of blank.
    pairs_of_kinds: usize,
    /// The same with one kind, and all in a row from one line to another.
    pairs: usize,
    triples: usize,
}

/// What stood at the end of a line.
type Blank = &'static [u8];

const SPACE: Blank = b" ";
const ONE: &[Blank] = &[SPACE];
const BLANKS: [Blank; 3] = [SPACE, b"  ", b"\t"];

/// The lines of a text that is not encoded.
struct Text<'a> {
    path: String,
    lines: Vec<Line<'a>>,
}

/// A line and where it begins.
struct Line<'a> {
    start: usize,
    content: &'a [u8],
}

impl<'a> Text<'a> {
    fn all(bytes: &'a [u8], root: &Entity) -> Vec<Self> {
        texts(root)
            .filter(|part| part.transfer_encoding().is_identity())
            .map(|part| {
                // a file beside its signature has no header section
                let range = if part.fields().is_empty() { part.range() } else { part.body_range() };
                Self { path: part.path(), lines: lines_of(bytes.get(range.clone()).unwrap_or_default(), range.start) }
            })
            .collect()
    }
}

impl Line<'_> {
    fn end(&self) -> usize {
        self.start.saturating_add(self.content.len())
    }
}

fn lines_of(text: &[u8], from: usize) -> Vec<Line<'_>> {
    if text.is_empty() {
        return Vec::new();
    }
    let starts: Vec<usize> = line_starts(text).collect();
    let ends = starts.iter().skip(1).copied().chain([text.len()]);
    let line = |(start, end): (&usize, usize)| {
        let line = text.get(*start..end).unwrap_or_default();
        Line { start: from.saturating_add(*start), content: line.strip_suffix(b"\r\n").unwrap_or(line) }
    };
    starts.iter().zip(ends).map(line).collect()
}

/// Bytes with blanks at these places, which are in order.
fn with_blanks(bytes: &[u8], marks: &[(usize, Blank)]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len().saturating_add(marks.len().saturating_mul(2)));
    let mut from = 0;
    for (at, blank) in marks {
        out.extend_from_slice(bytes.get(from..*at).unwrap_or_default());
        out.extend_from_slice(blank);
        from = *at;
    }
    out.extend_from_slice(bytes.get(from..).unwrap_or_default());
    out
}

fn ends_in_blank(line: &[u8]) -> bool {
    trimmed(line).len() < line.len()
}

/// Whether the line at a place is of a kind.
type IsOfKind = fn(&[Line<'_>], usize) -> bool;

/// Which lines had blanks.
struct Rule {
    which: Which,
    /// None where only the signature line had one.
    blank: Option<Blank>,
    /// Whether `-- `, too, lost its blank.
    signature: bool,
}

#[derive(Clone, Copy)]
enum Which {
    /// Lines of a kind, in words.
    Kind(&'static str, IsOfKind),
    /// Lines that a program broke at so many characters.
    Broken(usize),
    /// Lines of a paragraph with at least so many bytes.
    Long(usize),
}

/// The kinds of lines.
const KINDS: [(&str, IsOfKind); 12] = [
    ("those that the next line continues", flows),
    ("those that the next line continues, up to the signature", |lines, at| flows(lines, at) && is_before_signature(lines, at)),
    ("those that the next line continues at the same depth of quotes", |lines, at| {
        flows(lines, at) && depth(line(lines, at)) == depth(line(lines, at.saturating_add(1)))
    }),
    ("every line with words", |lines, at| !line(lines, at).is_empty()),
    ("every line", |_, _| true),
    ("every line with words but the last", |lines, at| !line(lines, at).is_empty() && at.saturating_add(1) < lines.len()),
    ("every empty line", |lines, at| line(lines, at).is_empty()),
    ("every quoted line", |lines, at| depth(line(lines, at)) > 0),
    ("every line with words that is not quoted", |lines, at| !line(lines, at).is_empty() && depth(line(lines, at)) == 0),
    ("every quoted line without words", |lines, at| is_quote_alone(line(lines, at))),
    ("the last line of every paragraph", |lines, at| !line(lines, at).is_empty() && line(lines, at.saturating_add(1)).is_empty()),
    ("those that end in a semicolon", |lines, at| line(lines, at).ends_with(b";")),
];

fn rules(texts: &[Text<'_>]) -> Vec<Rule> {
    let all = || texts.iter().flat_map(|text| &text.lines);
    let mut lengths: Vec<usize> = all().map(|line| line.content.len()).filter(|length| *length > 0).collect();
    lengths.sort_unstable();
    lengths.dedup();
    let kinds = KINDS.iter().flat_map(|(said, of)| BLANKS.map(|blank| (Which::Kind(said, *of), blank)));
    // 60 to 80: what people set their programs to
    let broken = (60..=80).map(Which::Broken).chain(lengths.into_iter().rev().take(LENGTHS).map(Which::Long));
    let alike: Vec<(Which, Blank)> = kinds.chain(broken.map(|which| (which, SPACE))).collect();
    let signatures: &[bool] = if all().any(|line| line.content == b"--") { &[false, true] } else { &[false] };
    let signature = Rule { which: Which::Kind("that of the signature line", |_, _| false), blank: None, signature: true };
    let each = alike.into_iter().flat_map(|(which, blank)| {
        signatures.iter().map(move |signature| Rule { which, blank: Some(blank), signature: *signature })
    });
    std::iter::once(signature).chain(each).collect()
}

impl Rule {
    fn said(&self) -> String {
        let what = match self.which {
            Which::Kind(said, _) => said.to_owned(),
            Which::Broken(width) => format!("those that were broken at {width} characters"),
            Which::Long(length) => format!("those of at least {length} characters that the next line continues"),
        };
        match self.blank {
            Some(b"  ") => format!("{what} (two blanks)"),
            Some(b"\t") => format!("{what} (a tab)"),
            _ => what,
        }
    }

    /// Others are tried on top of what is undone, not under it.
    fn further(&self) -> Further {
        let is_usual = matches!(self.which, Which::Kind(..)) && matches!(self.blank, None | Some(b" "));
        if is_usual { Further::Yes } else { Further::No }
    }

    fn marked(&self, lines: &[Line<'_>]) -> Vec<(usize, Blank)> {
        let blank = |at: usize, line: &Line<'_>| {
            if ends_in_blank(line.content) {
                return None;
            }
            if self.signature && line.content == b"--" {
                return Some(SPACE);
            }
            self.blank.filter(|_| self.holds(lines, at))
        };
        lines.iter().enumerate().filter_map(|(at, line)| Some((line.end(), blank(at, line)?))).collect()
    }

    fn holds(&self, lines: &[Line<'_>], at: usize) -> bool {
        match self.which {
            Which::Kind(_, of) => of(lines, at),
            Which::Broken(width) => {
                flows(lines, at) && {
                    let next = line(lines, at.saturating_add(1));
                    let word = next.split(|byte| *byte == b' ').next().unwrap_or_default();
                    characters(line(lines, at)).saturating_add(1).saturating_add(characters(word)) > width
                }
            }
            Which::Long(length) => flows(lines, at) && line(lines, at).len() >= length,
        }
    }
}

fn line<'a>(lines: &[Line<'a>], at: usize) -> &'a [u8] {
    lines.get(at).map(|line| line.content).unwrap_or_default()
}

fn flows(lines: &[Line<'_>], at: usize) -> bool {
    !line(lines, at).is_empty() && !line(lines, at.saturating_add(1)).is_empty()
}

/// RFC 3676 4.3: the signature line is no line of a paragraph.
fn is_before_signature(lines: &[Line<'_>], at: usize) -> bool {
    let signature = lines.iter().rposition(|line| matches!(line.content, b"--" | b"-- "));
    signature.is_none_or(|signature| at.saturating_add(1) < signature)
}

fn depth(line: &[u8]) -> usize {
    line.iter().take_while(|byte| **byte == b'>').count()
}

fn is_quote_alone(line: &[u8]) -> bool {
    line.starts_with(b">") && line.iter().all(|byte| matches!(byte, b'>' | b' '))
}

fn characters(text: &[u8]) -> usize {
    text.iter().filter(|byte| **byte & 0xc0 != 0x80).count()
}

/// Lines that are tried one by one.
const LINES: usize = 2_000;
/// The same on top of another change.
const LINES_ON_TOP: usize = 200;
/// Lengths from which on lines may have been broken.
const LENGTHS: usize = 80;
