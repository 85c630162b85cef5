//! What relays do to header fields of parts: add, take away, sort, fold, spell.

use std::ops::{ControlFlow, Range};

use crate::mime::Entity;
use crate::smime::explain::Change;
use crate::smime::explain::search::{Depth, Further, Search, parts, replaced};

/// Undoes changes of the header section of each part, and of all at once.
pub(super) fn undo(bytes: &[u8], root: &Entity, search: &mut Search<'_>) -> ControlFlow<()> {
    let sections: Vec<Section> = parts(root).map(|part| Section::of(part, bytes)).collect();
    for section in &sections {
        let fields = &section.fields;
        let mut offer = |change, text: String, further, fields: &[Vec<u8>]| {
            search.offer(change, &section.path, text, further, replaced(bytes, section.range.clone(), &fields.concat()))
        };
        for (at, field) in fields.iter().enumerate() {
            let mut fewer = fields.clone();
            fewer.remove(at);
            offer(Change::FieldAdded, format!("a header field was added: {}", name_of(field)), Further::Yes, &fewer)?;
        }
        for (change, text, edited) in variants(fields).into_iter().filter(|(.., edited)| edited != fields) {
            offer(change, text.to_owned(), Further::Yes, &edited)?;
        }
        for (change, text, edited) in variants_of_one(fields) {
            offer(change, text, Further::No, &edited)?;
        }
        for field in USUAL {
            let text = format!("a header field was taken away: {}", name_of(field.as_bytes()));
            for at in 0..=fields.len().min(PLACES) {
                let mut more = fields.clone();
                more.insert(at, format!("{field}\r\n").into_bytes());
                offer(Change::FieldRemoved, text.clone(), Further::No, &more)?;
            }
        }
        for order in orders(fields) {
            offer(Change::FieldOrder, "its header fields were put in another order".to_owned(), Further::No, &order)?;
        }
        if search.depth() == Depth::OnTop && section.path != "0" {
            break;
        }
    }
    if sections.len() < 2 {
        return ControlFlow::Continue(());
    }
    // a program that writes one header section in its own way writes all so, but for what looks so already around them
    for number in 0..variants(&[]).len().saturating_mul(2) {
        let (number, around) = (number / 2, number % 2);
        let mut whole = bytes.to_vec();
        let mut said = None;
        for section in sections.iter().skip(around).rev() {
            let Some((change, text, edited)) = variants(&section.fields).into_iter().nth(number) else { continue };
            said = Some((change, text));
            whole = replaced(&whole, section.range.clone(), &edited.concat());
        }
        if let Some((change, text)) = said {
            search.offer(change, "0", format!("every part: {text}"), Further::Yes, whole)?;
        }
    }
    ControlFlow::Continue(())
}

/// The header section of a part.
struct Section {
    path: String,
    range: Range<usize>,
    fields: Vec<Vec<u8>>,
}

impl Section {
    fn of(part: &Entity, bytes: &[u8]) -> Self {
        let range = part.fields().first().zip(part.fields().last()).map(|(first, last)| first.range.start..last.range.end);
        Self {
            path: part.path(),
            range: range.unwrap_or(part.range().start..part.range().start),
            fields: part.fields().iter().map(|field| field.raw(bytes).to_vec()).collect(),
        }
    }
}

/// Places at which a field may have stood.
const PLACES: usize = 12;

/// Fields that signers write and that say nothing: some relay takes them for granted.
const USUAL: [&str; 8] = [
    "MIME-Version: 1.0",
    "Content-Transfer-Encoding: 7bit",
    "Content-Transfer-Encoding: 8bit",
    "Content-Disposition: inline",
    "Content-Language: en-US",
    "Content-Type: text/plain; charset=us-ascii",
    "Content-Type: text/plain",
    "Content-Type: text/plain; charset=utf-8",
];

fn name_of(field: &[u8]) -> String {
    let name = field.split(|byte| *byte == b':').next().unwrap_or_default();
    String::from_utf8_lossy(name).trim().to_owned()
}

type Variant = (Change, &'static str, Vec<Vec<u8>>);

/// All fields in other ways; always the same number of them.
fn variants(fields: &[Vec<u8>]) -> Vec<Variant> {
    let folded = |fold: &Fold| fields.iter().map(|field| fold(field)).collect();
    let spelled = |edit: &Edit| fields.iter().map(|field| spell(field, *edit)).collect();
    let folds =
        FOLDS.iter().map(|fold| (Change::FieldFolding, "its header fields are folded otherwise than at signing", folded(fold)));
    folds.chain(EDITS.iter().map(|(what, edit)| (Change::FieldSpelling, *what, spelled(edit)))).collect()
}

/// One field alone in other ways.
fn variants_of_one(fields: &[Vec<u8>]) -> Vec<(Change, String, Vec<Vec<u8>>)> {
    let mut found = Vec::new();
    for (change, text, edited) in variants(fields) {
        for (at, field) in edited.into_iter().enumerate() {
            let mut one = fields.to_vec();
            let Some(own) = one.get_mut(at).filter(|own| **own != field) else { continue };
            let text = format!("{} \u{2013} {text}", name_of(own));
            *own = field;
            found.push((change, text, one));
        }
    }
    found
}

type Fold = fn(&[u8]) -> Vec<u8>;
type Edit = fn(&str, &str) -> String;

/// Ways to fold.
const FOLDS: [Fold; 7] = [
    |field| changed(field, "\r\n\t", "\r\n "),
    |field| changed(field, "\r\n ", "\r\n\t"),
    |field| changed(&unfold(field), "; ", ";\r\n "),
    |field| changed(&unfold(field), "; ", ";\r\n\t"),
    |field| changed(&unfold(field), "; ", ";\r\n    "),
    |field| changed(&unfold(field), "; ", ";\r\n        "),
    unfold,
];

/// Ways to write.
const EDITS: [(&str, Edit); 17] = [
    ("the case of its name is another", |name, rest| format!("{}:{rest}", name.to_ascii_lowercase())),
    ("the case of its name is another", |name, rest| format!("{}:{rest}", capitals(name))),
    ("the case of its name is another", |name, rest| format!("{}:{rest}", first_capital(name))),
    ("the case of its name is another", |name, rest| format!("{}:{rest}", name.to_ascii_uppercase())),
    ("the case of its value is another", |name, rest| format!("{name}:{}", rest.to_ascii_lowercase())),
    ("the case of its value is another", |name, rest| format!("{name}:{}", rest.to_ascii_uppercase())),
    ("the case of the charset is another", |name, rest| format!("{name}:{}", charset_in_case(rest, str::to_ascii_uppercase))),
    ("the case of the charset is another", |name, rest| format!("{name}:{}", charset_in_case(rest, str::to_ascii_lowercase))),
    ("quotes around the charset were taken away", |name, rest| format!("{name}:{}", charset_as(rest, str::to_owned, true))),
    ("quotes around the charset were added", |name, rest| format!("{name}:{}", charset_as(rest, str::to_owned, false))),
    (CASE_AND_QUOTES, |name, rest| format!("{name}:{}", charset_as(rest, str::to_ascii_lowercase, true))),
    (CASE_AND_QUOTES, |name, rest| format!("{name}:{}", charset_as(rest, str::to_ascii_lowercase, false))),
    (CASE_AND_QUOTES, |name, rest| format!("{name}:{}", charset_as(rest, str::to_ascii_uppercase, true))),
    (CASE_AND_QUOTES, |name, rest| format!("{name}:{}", charset_as(rest, str::to_ascii_uppercase, false))),
    ("quotes were taken away", |name, rest| format!("{name}:{}", quoted(rest))),
    ("quotes were added", |name, rest| format!("{name}:{}", rest.replace('"', ""))),
    ("blanks were added", |name, rest| format!("{name}:{}", rest.replace("; ", ";"))),
];

const CASE_AND_QUOTES: &str = "the case of the charset is another, and its quotes";

fn changed(field: &[u8], from: &str, to: &str) -> Vec<u8> {
    std::str::from_utf8(field).map_or_else(|_| field.to_vec(), |text| text.replace(from, to).into_bytes())
}

fn unfold(field: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(field.len());
    for line in field.split_inclusive(|byte| *byte == b'\n') {
        let content = line.strip_suffix(b"\r\n").unwrap_or(line);
        if out.is_empty() {
            out.extend_from_slice(content);
        } else {
            out.push(b' ');
            out.extend_from_slice(content.trim_ascii_start());
        }
    }
    out.extend_from_slice(b"\r\n");
    out
}

fn spell(field: &[u8], edit: Edit) -> Vec<u8> {
    let Ok(text) = std::str::from_utf8(field) else { return field.to_vec() };
    text.split_once(':').map_or_else(|| field.to_vec(), |(name, rest)| edit(name, rest).into_bytes())
}

/// `Content-Type`, `MIME-Version`, `Content-ID`.
fn capitals(name: &str) -> String {
    let word = |word: &str| match word.to_ascii_lowercase().as_str() {
        "mime" => "MIME".to_owned(),
        "id" => "ID".to_owned(),
        lower => first_capital(lower),
    };
    name.split('-').map(word).collect::<Vec<_>>().join("-")
}

fn first_capital(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    let mut chars = lower.chars();
    chars.next().map(|first| first.to_ascii_uppercase().to_string() + chars.as_str()).unwrap_or_default()
}

fn charset_in_case(rest: &str, case: fn(&str) -> String) -> String {
    with_charset(rest, case)
}

fn charset_as(rest: &str, case: fn(&str) -> String, is_quoted: bool) -> String {
    with_charset(rest, |value| {
        let bare = case(value.trim_matches('"'));
        if is_quoted { format!("\"{bare}\"") } else { bare }
    })
}

fn with_charset(rest: &str, edit: impl Fn(&str) -> String) -> String {
    let Some(at) = rest.to_ascii_lowercase().find("charset=") else { return rest.to_owned() };
    let (head, tail) = rest.split_at(at.saturating_add("charset=".len()).min(rest.len()));
    let end = tail.find([';', '\r', ' ']).unwrap_or(tail.len());
    let (value, after) = tail.split_at(end);
    format!("{head}{}{after}", edit(value))
}

/// Quotes around every parameter that has none.
fn quoted(rest: &str) -> String {
    let mut pieces = rest.trim_end().split(';').map(str::to_owned).collect::<Vec<_>>();
    for piece in pieces.iter_mut().skip(1) {
        if let Some((name, value)) = piece.split_once('=')
            && !value.starts_with('"')
        {
            *piece = format!("{name}=\"{value}\"");
        }
    }
    pieces.join(";") + "\r\n"
}

/// Other orders: every one of few fields, one moved among many.
fn orders(fields: &[Vec<u8>]) -> Vec<Vec<Vec<u8>>> {
    if fields.len() > 12 {
        return Vec::new();
    }
    let mut found: Vec<Vec<Vec<u8>>> = Vec::new();
    if fields.len() <= 5 {
        permute(&mut fields.to_vec(), 0, &mut found);
    } else {
        for from in 0..fields.len() {
            for to in 0..fields.len() {
                let mut moved = fields.to_vec();
                let field = moved.remove(from);
                moved.insert(to, field);
                found.push(moved);
            }
        }
    }
    found.retain(|order| order != fields);
    found
}

fn permute(fields: &mut Vec<Vec<u8>>, from: usize, found: &mut Vec<Vec<Vec<u8>>>) {
    if from >= fields.len() {
        found.push(fields.clone());
        return;
    }
    for at in from..fields.len() {
        fields.swap(from, at);
        permute(fields, from.saturating_add(1), found);
        fields.swap(from, at);
    }
}
