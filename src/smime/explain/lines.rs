//! What relays do to lines: their ends, blanks, dots, quoting, length, and lines of their own.

use std::ops::ControlFlow;

use crate::mime::{Entity, TransferEncoding, canonical, transfer};
use crate::smime::explain::Change;
use crate::smime::explain::encoding;
use crate::smime::explain::search::{Depth, Further, Search, parts, replaced};

type Edit<'a> = (Change, &'static str, Box<dyn Fn(&[u8]) -> Vec<u8> + 'a>);

/// Undoes changes of all lines at once: of the whole, and of each text alone.
pub(super) fn undo(bytes: &[u8], root: &Entity, search: &mut Search<'_>) -> ControlFlow<()> {
    for (text, end) in ends(bytes) {
        search.offer(Change::FinalLineBreak, "0", text, Further::Yes, end)?;
    }
    for part in parts(root).filter(|part| part.children().is_empty() && part.path() != "0") {
        for (text, end) in ends(part.body(bytes)) {
            search.offer(Change::FinalLineBreak, &part.path(), text, Further::No, replaced(bytes, part.body_range(), &end))?;
        }
    }
    for (change, text, edit) in edits() {
        let edited = edit(bytes);
        if edited != bytes {
            search.offer(change, "0", text, Further::Yes, edited)?;
        }
        for part in parts(root).filter(|part| part.children().is_empty()) {
            let body = part.body(bytes);
            let edited = edit(body);
            if edited != body {
                let whole = replaced(bytes, part.body_range(), &edited);
                search.offer(change, &part.path(), text, Further::No, whole)?;
            }
        }
    }
    ControlFlow::Continue(())
}

fn edits<'a>() -> Vec<Edit<'a>> {
    let each = |edit: fn(&[u8]) -> Vec<u8>| move |bytes: &[u8]| each_line(bytes, edit);
    vec![
        (Change::LineEnds, "its line ends were LF alone and became CRLF", Box::new(|bytes| without(bytes, b"\r\n", b"\n"))),
        (Change::LineEnds, "its line ends were CR alone and became CRLF", Box::new(|bytes| without(bytes, b"\r\n", b"\r"))),
        (Change::LineEnds, "each CR at the end of a line was doubled", Box::new(|bytes| without(bytes, b"\r\r\n", b"\r\n"))),
        (Change::LineEnds, "a CR alone was taken for a line end, or an LF was lost", Box::new(lone_returns)),
        (
            Change::LineEnds,
            "every second line is empty: line ends were doubled",
            Box::new(|bytes| without(bytes, b"\r\n\r\n", b"\r\n")),
        ),
        (Change::TrailingBlanks, "blanks were added at the ends of lines", Box::new(each(|line| trimmed(line).to_vec()))),
        (
            Change::TrailingBlanks,
            "the blank of the line `-- ` was stripped",
            Box::new(each(|line| with_blank(line, line == b"--"))),
        ),
        (
            Change::TrailingBlanks,
            "the blanks after semicolons at the ends of lines were stripped",
            Box::new(each(|line| with_blank(line, line.ends_with(b";")))),
        ),
        (Change::FromQuoting, "`>` was put before lines that begin with `From `", Box::new(each(unquoted_from))),
        (Change::FromQuoting, "`>` was taken away before `From `", Box::new(each(quoted_from))),
        (
            Change::Dots,
            "dots at the start of lines were doubled",
            Box::new(each(|line| line.strip_prefix(b".").filter(|rest| rest.starts_with(b".")).unwrap_or(line).to_vec())),
        ),
        (
            Change::Dots,
            "a dot at the start of lines that begin with dots was taken away",
            Box::new(each(|line| if line.starts_with(b".") { [b".", line].concat() } else { line.to_vec() })),
        ),
        (Change::LongLines, "long lines were broken", Box::new(|bytes| joined(bytes, b""))),
        (Change::LongLines, "long lines were broken, and a blank put in", Box::new(|bytes| joined(bytes, b" "))),
        (Change::LongLines, "long lines were broken with `!`", Box::new(|bytes| without(bytes, b"!\r\n ", b""))),
    ]
}

/// Other ends of the same bytes.
fn ends(bytes: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let bare = {
        let mut bare = bytes;
        while let Some(shorter) = bare.strip_suffix(b"\r\n") {
            bare = shorter;
        }
        bare
    };
    let breaks = bytes.len().saturating_sub(bare.len()) / 2;
    let with = |count: usize| [bare, &b"\r\n".repeat(count)].concat();
    let added = "line breaks were added at the end";
    let removed = "line breaks at the end were taken away";
    let fewer = (0..breaks.min(6)).map(|count| (added, with(count)));
    fewer.chain((1..=3).map(|more| (removed, with(breaks.saturating_add(more))))).collect()
}

/// Undoes a change of one line, and looks which.
pub(super) fn undo_one_by_one(bytes: &[u8], search: &mut Search<'_>) -> ControlFlow<()> {
    if search.depth() == Depth::OnTop {
        return ControlFlow::Continue(());
    }
    let starts: Vec<usize> = line_starts(bytes).take(LINES).collect();
    for (at, start) in starts.iter().copied().enumerate() {
        let end = starts.get(at.saturating_add(1)).map_or(bytes.len(), |next| next.saturating_sub(2));
        for blank in [b" ".as_slice(), b"\t", b"  "] {
            let text = format!("blanks at the end of line {} were stripped", at.saturating_add(1));
            search.offer(Change::TrailingBlanks, "0", text, Further::No, replaced(bytes, end..end, blank))?;
        }
        let text = format!("a dot at the start of line {} was taken away", at.saturating_add(1));
        search.offer(Change::Dots, "0", text, Further::No, replaced(bytes, start..start, b"."))?;
    }
    ControlFlow::Continue(())
}

/// Takes away what a list or a filter adds: lines at the end, at the start, in the middle; parts.
pub(super) fn undo_additions(bytes: &[u8], root: &Entity, search: &mut Search<'_>) -> ControlFlow<()> {
    for part in parts(root) {
        if part.content_type().is_multipart() {
            undo_parts(bytes, part, search)?;
        }
        let is_text = part.content_type().kind == "text" && part.children().is_empty();
        if is_text {
            undo_lines(bytes, part, search)?;
        }
    }
    ControlFlow::Continue(())
}

fn undo_parts(bytes: &[u8], multipart: &Entity, search: &mut Search<'_>) -> ControlFlow<()> {
    let children = multipart.children();
    for (at, child) in children.iter().enumerate().take(PARTS) {
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

fn undo_lines(bytes: &[u8], part: &Entity, search: &mut Search<'_>) -> ControlFlow<()> {
    let body = part.body(bytes);
    // a list that knows no encoding adds plain lines to encoded ones
    let encoders: Vec<Encoder> = match part.transfer_encoding() {
        TransferEncoding::Base64 => vec![Encoder::None, Encoder::Base64],
        TransferEncoding::QuotedPrintable => {
            std::iter::once(Encoder::None).chain(encoding::QUOTED.iter().map(Encoder::Quoted)).collect()
        }
        _ => vec![Encoder::None],
    };
    for encoder in encoders {
        let is_plain = matches!(encoder, Encoder::None);
        let text = if is_plain { body.to_vec() } else { canonical::to_crlf(&part.decoded_body(bytes)).into_owned() };
        let starts: Vec<usize> = line_starts(&text).chain([text.len()]).collect();
        let mut take = |from: usize, to: usize| -> ControlFlow<()> {
            let (Some(start), Some(end)) = (starts.get(from).copied(), starts.get(to).copied()) else {
                return ControlFlow::Continue(());
            };
            let added = text.get(start..end).unwrap_or_default();
            let rest = replaced(&text, start..end, b"");
            let said = || format!("lines were added, which nobody signed: {}", shown(added));
            let encoded = encoder.encode(rest);
            let shorter = encoded.strip_suffix(b"\r\n").map(<[u8]>::to_vec);
            let whole = |body: &[u8]| replaced(bytes, part.body_range(), body);
            if let Some(shorter) = shorter {
                search.offer(Change::LinesAdded, &part.path(), said(), Further::No, whole(&shorter))?;
            }
            let with_break = [&encoded, b"\r\n".as_slice()].concat();
            search.offer(Change::LinesAdded, &part.path(), said(), Further::No, whole(&with_break))?;
            search.offer(Change::LinesAdded, &part.path(), said(), Further::No, whole(&encoded))
        };
        let count = starts.len().saturating_sub(1);
        for lines in 1..=count.min(FOOTER) {
            take(count.saturating_sub(lines), count)?;
        }
        for lines in 1..=count.min(FOOTER) {
            take(0, lines)?;
        }
        if is_plain && count <= MIDDLE {
            for from in 1..count {
                for to in from.saturating_add(1)..count {
                    take(from, to)?;
                }
            }
        }
    }
    ControlFlow::Continue(())
}

/// How lines that are left are encoded again.
enum Encoder {
    None,
    Base64,
    Quoted(&'static encoding::Style),
}

impl Encoder {
    fn encode(&self, text: Vec<u8>) -> Vec<u8> {
        match self {
            Self::None => text,
            Self::Base64 => transfer::encode_base64(&text),
            Self::Quoted(style) => encoding::quoted_printable(&text, style),
        }
    }
}

/// The beginning of lines that were added, on one line.
fn shown(lines: &[u8]) -> String {
    let text = String::from_utf8_lossy(lines);
    let mut words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((end, _)) = words.char_indices().nth(120) {
        words.truncate(end);
        words.push('\u{2026}');
    }
    format!("\u{201c}{words}\u{201d}")
}

fn line_starts(bytes: &[u8]) -> impl Iterator<Item = usize> {
    let after = memchr::memmem::find_iter(bytes, b"\r\n").map(|at| at.saturating_add(2)).filter(|at| *at < bytes.len());
    std::iter::once(0).chain(after)
}

/// Every occurrence of some bytes replaced.
fn without(bytes: &[u8], what: &[u8], with: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut from = 0;
    for at in memchr::memmem::find_iter(bytes, what) {
        out.extend_from_slice(bytes.get(from..at).unwrap_or_default());
        out.extend_from_slice(with);
        from = at.saturating_add(what.len());
    }
    out.extend_from_slice(bytes.get(from..).unwrap_or_default());
    out
}

fn lone_returns(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut bytes = bytes.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        out.push(byte);
        if byte == b'\r' && bytes.peek() != Some(&b'\n') {
            out.push(b'\n');
        }
    }
    out
}

/// The lines, edited without their line ends.
fn each_line(bytes: &[u8], edit: fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len().saturating_add(64));
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let content = line.strip_suffix(b"\r\n").unwrap_or(line);
        out.extend_from_slice(&edit(content));
        out.extend_from_slice(line.get(content.len()..).unwrap_or_default());
    }
    out
}

fn trimmed(line: &[u8]) -> &[u8] {
    let blanks = line.iter().rev().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    line.get(..line.len().saturating_sub(blanks)).unwrap_or_default()
}

fn with_blank(line: &[u8], wanted: bool) -> Vec<u8> {
    if wanted { [line, b" "].concat() } else { line.to_vec() }
}

fn unquoted_from(line: &[u8]) -> Vec<u8> {
    let quotes = line.iter().take_while(|byte| **byte == b'>').count();
    let is_quoted = quotes > 0 && line.get(quotes..).is_some_and(|rest| rest.starts_with(b"From "));
    line.get(usize::from(is_quoted)..).unwrap_or_default().to_vec()
}

fn quoted_from(line: &[u8]) -> Vec<u8> {
    let rest = line.iter().position(|byte| *byte != b'>').and_then(|at| line.get(at..));
    if rest.is_some_and(|rest| rest.starts_with(b"From ")) { [b">", line].concat() } else { line.to_vec() }
}

/// Lines of the length at which relays break them, joined to the next.
fn joined(bytes: &[u8], blank: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut is_after_long = false;
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let content = line.strip_suffix(b"\r\n").unwrap_or(line);
        out.extend_from_slice(if is_after_long { line.strip_prefix(blank).unwrap_or(line) } else { line });
        is_after_long = (980..=1000).contains(&content.len()) && content.len() < line.len();
        if is_after_long {
            out.truncate(out.len().saturating_sub(2));
        }
    }
    out
}

/// Lines that are tried one by one.
const LINES: usize = 2_000;
/// Lines of a footer or a banner; legal ones have some dozens.
const FOOTER: usize = 120;
/// Lines of a text in whose middle something may stand.
const MIDDLE: usize = 80;
/// Parts that are tried.
const PARTS: usize = 20;
