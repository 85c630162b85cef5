//! Header sections: fields as ranges, values unfolded and decoded (RFC 5322 2.2).

use std::ops::Range;

use crate::limits::{Budget, LimitReached, Limits};
use crate::mime::{Error, text};

/// One header field as a range over the original.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// The name in lower case.
    pub name: String,
    /// The whole field, its line breaks included.
    pub range: Range<usize>,
    /// The value, from after the colon to before the last line break.
    pub value: Range<usize>,
}

impl Field {
    /// The field as received.
    pub fn raw<'a>(&self, source: &'a [u8]) -> &'a [u8] {
        source.get(self.range.clone()).unwrap_or_default()
    }

    /// The name as received.
    pub fn name_as_written<'a>(&self, source: &'a [u8]) -> &'a [u8] {
        let raw = self.raw(source);
        raw.get(..self.name.len()).unwrap_or(raw)
    }

    /// The value without folding; bytes that are not UTF-8 are taken as Latin-1.
    pub fn unfolded(&self, source: &[u8]) -> String {
        unfold(source.get(self.value.clone()).unwrap_or_default())
    }

    /// The value for people: unfolded, encoded words decoded.
    pub fn text(&self, source: &[u8]) -> String {
        text::decode_words(&self.unfolded(source))
    }
}

/// The name of a field as received, and its value for people.
pub(crate) fn name_and_text(raw: &[u8]) -> Option<(String, String)> {
    let (name, value) = raw.split_at_checked(raw.iter().position(|byte| *byte == b':')?)?;
    let name = String::from_utf8_lossy(name.trim_ascii()).into_owned();
    Some((name, text::decode_words(&unfold(value.get(1..)?))))
}

/// Removes folding and blanks around a value.
pub fn unfold(bytes: &[u8]) -> String {
    let bytes = bytes.trim_ascii();
    let mut joined = Vec::with_capacity(bytes.len());
    joined.extend(bytes.iter().filter(|byte| !matches!(byte, b'\r' | b'\n')));
    let text = match String::from_utf8(joined) {
        Ok(text) => text,
        Err(error) => error.as_bytes().iter().map(|byte| char::from(*byte)).collect(),
    };
    let trimmed = text.trim();
    if trimmed.len() == text.len() { text } else { trimmed.to_owned() }
}

/// A header section that was read.
#[derive(Debug, Clone, Default)]
pub(in crate::mime) struct Section {
    pub(in crate::mime) fields: Vec<Field>,
    /// Where the body begins.
    pub(in crate::mime) end: usize,
    /// Whether a line was neither a field nor a fold.
    pub(in crate::mime) has_junk: bool,
    /// Whether the section ends with an empty line.
    pub(in crate::mime) is_ended: bool,
}

/// Where the first empty line ends, searched from a place that is at most three bytes behind what was searched before.
pub(in crate::mime) fn end_of_section(bytes: &[u8], from: usize) -> Option<usize> {
    match bytes {
        [b'\n', ..] => return Some(1),
        [b'\r', b'\n', ..] => return Some(2),
        _ => {}
    }
    let rest = bytes.get(from..)?;
    memchr::memchr_iter(b'\n', rest).find_map(|at| {
        let after = rest.get(at.saturating_add(1)..)?;
        let len = match after {
            [b'\n', ..] => 2,
            [b'\r', b'\n', ..] => 3,
            _ => return None,
        };
        from.checked_add(at)?.checked_add(len)
    })
}

/// Reads the header section at the start of `range`.
pub(in crate::mime) fn section(source: &[u8], range: Range<usize>, limits: &Limits) -> Result<Section, Error> {
    let mut budget = Budget::new("header fields", limits.header_fields);
    let mut section = Section { end: range.start, ..Section::default() };
    let mut at = range.start;
    while at < range.end {
        check_size(at.saturating_sub(range.start), limits)?;
        let rest = source.get(at..range.end).unwrap_or_default();
        let line_len = memchr::memchr(b'\n', rest).map_or(rest.len(), |lf| lf.saturating_add(1));
        let line = rest.get(..line_len).unwrap_or_default();
        let next = at.saturating_add(line_len);
        if matches!(line, b"\n" | b"\r\n") {
            section.end = next;
            section.is_ended = true;
            return Ok(section);
        }
        let content_end = next.saturating_sub(line_break_len(line));
        // some programs take a lone CR for a line end, and see other fields
        section.has_junk |= source.get(at..content_end).is_some_and(|content| content.contains(&b'\r'));
        match (line.first(), field_name(line)) {
            (Some(b' ' | b'\t'), _) => match section.fields.last_mut() {
                // a fold belongs to the line before it; behind junk it is junk
                Some(last) if last.range.end == at => {
                    last.range.end = next;
                    last.value.end = content_end;
                }
                _ => section.has_junk = true,
            },
            (_, Some(name)) => {
                budget.spend(1u64)?;
                let value = at.saturating_add(name.len()).saturating_add(1)..content_end;
                let trimmed = name.trim_ascii_end();
                section.fields.push(Field {
                    name: String::from_utf8_lossy(trimmed).to_ascii_lowercase(),
                    range: at..next,
                    value,
                });
            }
            // mbox files start so
            _ if at == range.start && line.starts_with(b"From ") => section.has_junk = true,
            _ if section.fields.is_empty() => {
                // no header section at all: everything is body
                section.has_junk = true;
                section.end = range.start;
                return Ok(section);
            }
            _ => section.has_junk = true,
        }
        at = next;
        section.end = at;
    }
    // the last line counts, too: a stream is cut here, and what follows would be taken for a body
    check_size(at.saturating_sub(range.start), limits)?;
    Ok(section)
}

fn check_size(bytes: usize, limits: &Limits) -> Result<(), Error> {
    let limit = u64::try_from(limits.header_bytes).unwrap_or(u64::MAX);
    if bytes > limits.header_bytes { Err(Error::Limit(LimitReached { name: "header bytes", limit })) } else { Ok(()) }
}

/// UTF-8's byte order mark.
const MARK: &[u8] = b"\xef\xbb\xbf";
/// Bytes in which the mark and the first line of a header section show what they are.
pub(crate) const FIRST_LINE: usize = 1 << 10;

/// A message without a byte order mark before its header section, which editors put there. Only a message that was given may have it: within
/// one, it is a line that is no field.
pub fn without_mark(message: &[u8]) -> &[u8] {
    let beginning = message.get(..FIRST_LINE).unwrap_or(message);
    let is_marked = beginning.strip_prefix(MARK).is_some_and(begins_with_field);
    if is_marked { message.get(MARK.len()..).unwrap_or_default() } else { message }
}

/// Whether the first line of these bytes is a header field.
fn begins_with_field(bytes: &[u8]) -> bool {
    bytes.split(|byte| *byte == b'\n').next().and_then(field_name).is_some()
}

/// What stands before the colon, if it may be the name of a field.
fn field_name(line: &[u8]) -> Option<&[u8]> {
    let colon = memchr::memchr(b':', line)?;
    let name = line.get(..colon)?;
    let trimmed = name.trim_ascii_end();
    let is_name = !trimmed.is_empty() && trimmed.iter().all(|byte| byte.is_ascii_graphic());
    is_name.then_some(name)
}

fn line_break_len(line: &[u8]) -> usize {
    match line {
        [.., b'\r', b'\n'] => 2,
        [.., b'\n'] => 1,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn junk_and_its_folds_are_no_part_of_a_field() {
        let source = b"To: a@a.example\r\n__\r\n <b@b.example>\r\nSubject: x\r\n y\r\n\r\nbody";
        let section = section(source, 0..source.len(), &Limits::default()).expect("small");
        let values: Vec<String> = section.fields.iter().map(|field| field.unfolded(source)).collect();
        assert_eq!(values, ["a@a.example", "x y"]);
        assert!(section.has_junk);
    }

    #[test]
    fn a_lone_carriage_return_is_said() {
        let source = b"Subject: x\rContent-Type: text/html\r\n\r\n";
        let section = section(source, 0..source.len(), &Limits::default()).expect("small");
        assert!(section.fields.len() == 1 && section.has_junk);
    }
}
