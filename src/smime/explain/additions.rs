//! What lists and filters add: lines at the end, at the start, in the middle, around the parts; parts.

use std::ops::{ControlFlow, Range};

use crate::mime::{Entity, TransferEncoding, canonical};
use crate::smime::explain::Change;
use crate::smime::explain::lines::line_starts;
use crate::smime::explain::search::{Depth, Further, Search, parts, replaced, texts};
use crate::smime::explain::{blanks, encoding, fields};

/// Takes away parts, and lines at the ends of each text and around the parts.
pub(super) fn undo(bytes: &[u8], root: &Entity, search: &mut Search<'_>) -> ControlFlow<()> {
    for part in parts(root).filter(|part| part.content_type().is_multipart()) {
        undo_parts(bytes, part, search)?;
        undo_around(bytes, part, search)?;
    }
    for part in texts(root) {
        undo_behind_base64(bytes, part, search)?;
        undo_ends(bytes, part, FOOTER, search)?;
    }
    ControlFlow::Continue(())
}

/// Takes away up to so many lines at the end and at the start of a text, and elements there.
fn undo_ends(bytes: &[u8], part: &Entity, most: usize, search: &mut Search<'_>) -> ControlFlow<()> {
    for text in Text::all(bytes, part, search.depth()) {
        let html = if part.content_type().subtype == "html" { cuts_of_html(&text.decoded) } else { Vec::new() };
        for cut in cuts_of_ends(&text.decoded, most).into_iter().chain(html) {
            for whole in text.without(bytes, cut.clone()) {
                search.offer(Change::LinesAdded, &part.path(), text.added(cut.clone()), Further::No, whole)?;
            }
        }
    }
    ControlFlow::Continue(())
}

/// Takes away lines in the middle of short texts; on top of another change only few.
pub(super) fn undo_in_the_middle(bytes: &[u8], root: &Entity, search: &mut Search<'_>) -> ControlFlow<()> {
    let most = if search.depth() == Depth::Alone { MIDDLE } else { FEW };
    for part in texts(root) {
        let text = part.body(bytes);
        let starts: Vec<usize> = line_starts(text).chain([text.len()]).collect();
        let count = starts.len().saturating_sub(1);
        for from in (1..count).take_while(|_| count <= MIDDLE) {
            for to in (from.saturating_add(1)..count).take(most) {
                let (Some(start), Some(end)) = (starts.get(from).copied(), starts.get(to).copied()) else { continue };
                let whole = replaced(bytes, part.body_range(), &replaced(text, start..end, b""));
                search.offer(
                    Change::LinesAdded,
                    &part.path(),
                    Added(text.get(start..end).unwrap_or_default()),
                    Further::No,
                    whole,
                )?;
            }
        }
    }
    ControlFlow::Continue(())
}

/// Takes away lines at the ends of a text, and undoes on top of each what is tried only alone.
pub(super) fn undo_with_others(bytes: &[u8], root: &Entity, search: &mut Search<'_>) -> ControlFlow<()> {
    for part in texts(root) {
        for text in Text::all(bytes, part, Depth::OnTop) {
            for cut in cuts_of_ends(&text.decoded, FOOTER_WITH_OTHERS) {
                // a list that adds lines at the end may have put the line break before them
                let forms = if cut.end == text.decoded.len() { 2 } else { 1 };
                for whole in text.without(bytes, cut.clone()).into_iter().take(forms) {
                    search.upon_added_lines(&part.path(), text.added(cut.clone()).into(), &whole, undo_others)?;
                }
            }
        }
    }
    ControlFlow::Continue(())
}

fn undo_others(bytes: &[u8], root: &Entity, search: &mut Search<'_>) -> ControlFlow<()> {
    blanks::undo(bytes, root, search)?;
    blanks::undo_one_by_one(bytes, root, search)?;
    fields::undo(bytes, root, search)?;
    for part in texts(root) {
        if search.is_behind_trail(&part.path()) {
            undo_ends(bytes, part, FEW, search)?;
        }
    }
    blanks::undo_several(bytes, root, search)
}

fn undo_parts(bytes: &[u8], multipart: &Entity, search: &mut Search<'_>) -> ControlFlow<()> {
    let children = multipart.children();
    for (at, child) in children.iter().enumerate().take(PARTS) {
        if multipart.path() == "0" {
            let text = "it was put into a new multipart, beside what nobody signed";
            search.offer(Change::PartAdded, "0", text, Further::Yes, child.bytes(bytes).to_vec())?;
        }
        if children.len() < 2 {
            break;
        }
        // from its first byte to that of the next part, or from the end of the one before to its own: its delimiter goes along
        let range = match (at.checked_sub(1).and_then(|before| children.get(before)), children.get(at.saturating_add(1))) {
            (_, Some(next)) => child.range().start..next.range().start,
            (Some(before), None) => before.range().end..child.range().end,
            (None, None) => continue,
        };
        let text = format!("a part was added: {}", child.content_type().essence());
        search.offer(Change::PartAdded, &child.path(), text, Further::Yes, replaced(bytes, range, b""))?;
    }
    ControlFlow::Continue(())
}

/// Lines before the first delimiter of a multipart and after the last, which most programs do not show.
fn undo_around(bytes: &[u8], multipart: &Entity, search: &mut Search<'_>) -> ControlFlow<()> {
    let (path, body) = (multipart.path(), multipart.body_range());
    let mut take = |range: Range<usize>, with: &[u8], further| {
        if range.is_empty() {
            return ControlFlow::Continue(());
        }
        let text = Added(bytes.get(range.clone()).unwrap_or_default());
        search.offer(Change::LinesAdded, &path, text, further, replaced(bytes, range, with))
    };
    let epilogue = multipart.epilogue(bytes);
    let from = body.end.saturating_sub(epilogue.len());
    if !epilogue.is_empty() {
        take(from..body.end, b"", Further::Yes)?;
        // the line break after the closing delimiter may be theirs, too, or the first of the epilogue the signer's
        let bare = bytes.get(..from).and_then(|head| head.strip_suffix(b"\r\n")).map_or(from, <[u8]>::len);
        take(bare..body.end, b"", Further::Yes)?;
        take(from..body.end, b"\r\n", Further::Yes)?;
        for cut in cuts_of_ends(epilogue, FOOTER) {
            take(from.saturating_add(cut.start)..from.saturating_add(cut.end), b"", Further::No)?;
        }
    }
    let first = multipart.children().first().map(|child| child.range().start);
    let boundary = multipart.content_type().parameter("boundary").unwrap_or_default();
    let before = first.and_then(|first| bytes.get(body.start..first)).unwrap_or_default();
    let Some(dashes) = memchr::memmem::rfind(before, format!("--{boundary}").as_bytes()) else {
        return ControlFlow::Continue(());
    };
    let preamble = before.get(..dashes).unwrap_or_default();
    take(body.start..body.start.saturating_add(dashes), b"", Further::Yes)?;
    take(body.start..body.start.saturating_add(dashes), b"\r\n", Further::Yes)?;
    for cut in cuts_of_ends(preamble, FOOTER) {
        take(body.start.saturating_add(cut.start)..body.start.saturating_add(cut.end), b"", Further::No)?;
    }
    ControlFlow::Continue(())
}

/// A list that knows no encoding adds plain lines to base64; what is encoded ends where a line is shorter than the first.
fn undo_behind_base64(bytes: &[u8], part: &Entity, search: &mut Search<'_>) -> ControlFlow<()> {
    let body = part.body(bytes);
    let mut lines = body.split_inclusive(|byte| *byte == b'\n');
    let width = lines.clone().next().map_or(0, <[u8]>::len);
    let full: usize = lines.by_ref().take_while(|line| line.len() == width && !line.contains(&b'=')).map(<[u8]>::len).sum();
    let rest = body.get(full..).unwrap_or_default();
    let last = rest.split_inclusive(|byte| *byte == b'\n').next().unwrap_or_default();
    for end in [full, full.saturating_add(last.len())] {
        let added = body.get(end..).unwrap_or_default();
        if part.transfer_encoding() != TransferEncoding::Base64 || added.is_empty() || end == 0 {
            continue;
        }
        let whole = replaced(bytes, part.body_range(), body.get(..end).unwrap_or_default());
        search.offer(Change::LinesAdded, &part.path(), Added(added), Further::Yes, whole)?;
    }
    ControlFlow::Continue(())
}

/// Lines at the end, and lines at the start.
fn cuts_of_ends(text: &[u8], most: usize) -> Vec<Range<usize>> {
    let starts: Vec<usize> = line_starts(text).collect();
    let most = starts.len().min(most);
    let tails = starts.iter().rev().take(most).map(|start| *start..text.len());
    let heads = starts.iter().skip(1).copied().chain([text.len()]).take(most).map(|end| 0..end);
    tails.chain(heads).filter(|cut| !cut.is_empty()).collect()
}

/// Elements before the end of a body, and after its start.
fn cuts_of_html(text: &[u8]) -> Vec<Range<usize>> {
    let lower = text.to_ascii_lowercase();
    let end = memchr::memmem::rfind(&lower, b"</body").or_else(|| memchr::memmem::rfind(&lower, b"</html"));
    let open = memchr::memmem::find(&lower, b"<body");
    let start = open.and_then(|at| lower.get(at..)?.iter().position(|byte| *byte == b'>')?.checked_add(at)?.checked_add(1));
    let before = end.map(|end| {
        let head = lower.get(..end).unwrap_or_default();
        let tags = memchr::memchr_iter(b'<', head).rev().take(ELEMENTS);
        // the line break before what was added may be of those who added it
        let with_break = |from: usize| head.get(..from).and_then(|head| head.strip_suffix(b"\r\n")).map(<[u8]>::len);
        tags.flat_map(|from| std::iter::once(from).chain(with_break(from))).map(|from| from..end).collect::<Vec<_>>()
    });
    let after = start.map(|start| {
        let tags = memchr::memchr_iter(b'>', lower.get(start..).unwrap_or_default());
        tags.take(ELEMENTS).map(move |to| start..start.saturating_add(to).saturating_add(1)).collect::<Vec<_>>()
    });
    before.into_iter().chain(after).flatten().collect()
}

/// The text of a part, and how what is left of it is encoded again.
struct Text<'a> {
    part: &'a Entity,
    decoded: Vec<u8>,
    encoder: Encoder,
}

enum Encoder {
    None,
    Base64(usize),
    Quoted(&'static encoding::Style),
}

impl<'a> Text<'a> {
    /// As it is, and decoded, for each way to encode it.
    fn all(bytes: &[u8], part: &'a Entity, depth: Depth) -> Vec<Self> {
        let most = if depth == Depth::Alone { usize::MAX } else { 2 };
        let mut encoders = vec![Encoder::None];
        match part.transfer_encoding() {
            TransferEncoding::Base64 => {
                let first = part.body(bytes).split(|byte| *byte == b'\r').next().unwrap_or_default().len();
                encoders.extend(std::iter::once(first).chain(encoding::WIDTHS).take(most).map(Encoder::Base64));
            }
            TransferEncoding::QuotedPrintable => encoders.extend(encoding::QUOTED.iter().take(most).map(Encoder::Quoted)),
            _ => {}
        }
        let of = |encoder| {
            let decoded = match encoder {
                Encoder::None => part.body(bytes).to_vec(),
                _ => canonical::to_crlf(&part.decoded_body(bytes)).into_owned(),
            };
            Self { part, decoded, encoder }
        };
        encoders.into_iter().map(of).collect()
    }

    /// The bytes around without a range of the text: as that leaves them, without the last line break, with one more.
    fn without(&self, bytes: &[u8], cut: Range<usize>) -> Vec<Vec<u8>> {
        let rest = replaced(&self.decoded, cut, b"");
        let encoded = match self.encoder {
            Encoder::None => rest,
            Encoder::Base64(width) => encoding::base64(&rest, width),
            Encoder::Quoted(style) => encoding::quoted_printable(&rest, style),
        };
        let shorter = encoded.strip_suffix(b"\r\n").map(<[u8]>::to_vec);
        let longer = [&encoded, b"\r\n".as_slice()].concat();
        let bodies = std::iter::once(encoded).chain(shorter).chain([longer]);
        bodies.map(|body| replaced(bytes, self.part.body_range(), &body)).collect()
    }

    fn added(&self, cut: Range<usize>) -> Added<'_> {
        Added(self.decoded.get(cut).unwrap_or_default())
    }
}

/// Lines that were added; put into words only where they are the answer.
#[derive(Clone, Copy)]
struct Added<'a>(&'a [u8]);

impl From<Added<'_>> for String {
    /// The beginning, on one line.
    fn from(Added(lines): Added<'_>) -> Self {
        let text = Self::from_utf8_lossy(lines.get(..SHOWN).unwrap_or(lines));
        let mut words = text.split_whitespace().collect::<Vec<_>>().join(" ");
        if let Some((end, _)) = words.char_indices().nth(120) {
            words.truncate(end);
            words.push('\u{2026}');
        }
        format!("lines were added, which nobody signed: \u{201c}{words}\u{201d}")
    }
}

/// Lines of a footer or a banner; legal ones have some dozens.
const FOOTER: usize = 120;
/// The same where each is tried with every other change.
const FOOTER_WITH_OTHERS: usize = 40;
/// Lines of a text in whose middle something may stand.
const MIDDLE: usize = 80;
/// Lines that may stand in two texts, or in the middle beside another change.
const FEW: usize = 12;
/// Elements of HTML that are tried as the first or the last of what was added.
const ELEMENTS: usize = 60;
/// Bytes in which the words that are shown are looked for.
const SHOWN: usize = 4_000;
/// Parts that are tried.
const PARTS: usize = 20;
