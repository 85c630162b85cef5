//! What relays do to lines: their ends, dots, quoting, length.

use std::ops::ControlFlow;

use crate::mime::Entity;
use crate::smime::explain::Change;
use crate::smime::explain::search::{Further, Search, parts, replaced};

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
            // what else was done to text with LF is undone before its line ends are
            let further = if text == LF_BECAME_CRLF { Further::No } else { Further::Yes };
            search.offer(change, "0", text, further, edited)?;
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

/// What is said where all line ends were LF.
pub(super) const LF_BECAME_CRLF: &str = "its line ends were LF alone and became CRLF";

fn edits<'a>() -> Vec<Edit<'a>> {
    let each = |edit: fn(&[u8]) -> Vec<u8>| move |bytes: &[u8]| each_line(bytes, edit);
    vec![
        (Change::LineEnds, LF_BECAME_CRLF, Box::new(|bytes| without(bytes, b"\r\n", b"\n"))),
        (Change::LineEnds, "its line ends were CR alone and became CRLF", Box::new(|bytes| without(bytes, b"\r\n", b"\r"))),
        (Change::LineEnds, "each CR at the end of a line was doubled", Box::new(|bytes| without(bytes, b"\r\r\n", b"\r\n"))),
        (Change::LineEnds, "a CR alone was taken for a line end, or an LF was lost", Box::new(lone_returns)),
        (
            Change::LineEnds,
            "every second line is empty: line ends were doubled",
            Box::new(|bytes| without(bytes, b"\r\n\r\n", b"\r\n")),
        ),
        (Change::TrailingBlanks, "blanks were added at the ends of lines", Box::new(each(|line| trimmed(line).to_vec()))),
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
    for (at, start) in line_starts(bytes).take(LINES).enumerate() {
        let text = format!("a dot at the start of line {} was taken away", at.saturating_add(1));
        search.offer(Change::Dots, "0", text, Further::No, replaced(bytes, start..start, b"."))?;
    }
    ControlFlow::Continue(())
}

pub(super) fn line_starts(bytes: &[u8]) -> impl Iterator<Item = usize> {
    let after = memchr::memmem::find_iter(bytes, b"\r\n").map(|at| at.saturating_add(2)).filter(|at| *at < bytes.len());
    std::iter::once(0).chain(after)
}

/// Every occurrence of some bytes replaced.
pub(super) fn without(bytes: &[u8], what: &[u8], with: &[u8]) -> Vec<u8> {
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

pub(super) fn trimmed(line: &[u8]) -> &[u8] {
    let blanks = line.iter().rev().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    line.get(..line.len().saturating_sub(blanks)).unwrap_or_default()
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
