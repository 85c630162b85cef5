//! Copies of hidden header fields in the text, put there for programs that do not know header protection (RFC 9788 4.5.3).

use std::ops::Range;

use crate::mime::{Entity, TransferEncoding, transfer};
use crate::smime::headers::parameter;
use crate::smime::headers::render::NO_LONGER_TRUE;
use crate::smime::verdict::Layer;

/// Bytes of the payload that stand for something else when the message is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::smime) struct Edit {
    /// Where, in the payload.
    pub(in crate::smime) range: Range<usize>,
    /// What stands there instead.
    pub(in crate::smime) with: Vec<u8>,
}

/// What is left out of the body of the message when it is shown, in the order of the payload; nothing where nothing was encrypted.
///
/// A payload that is cut off behind its first texts is enough.
pub(in crate::smime) fn legacy_display(message: &Entity, source: &[u8], layers: &[Layer]) -> Vec<Edit> {
    let mut edits = Vec::new();
    if layers.iter().any(|layer| matches!(layer, Layer::Encrypted(_))) {
        drop_older(message, &mut edits);
        // who composed it wrote that he encrypted (5.2.1): a text that was signed alone is shown whole, whoever encrypted it afterwards
        if edits.is_empty() && message.content_type().parameter("hp") == Some("cipher") {
            collect(message, source, true, &mut edits);
        }
    }
    edits
}

fn collect(entity: &Entity, source: &[u8], is_root: bool, edits: &mut Vec<Edit>) {
    for child in entity.children() {
        // what stands in an attached message is that message's own
        if !entity.is_message() {
            collect(child, source, false, edits);
        }
    }
    let content_type = entity.content_type();
    let is_html = content_type.is("text", "html");
    let is_marked = content_type.parameter("hp-legacy-display") == Some("1");
    // 5.2.4: none is put into an attachment
    let is_marked = is_marked && !entity.is_attachment(source);
    if !is_marked || !(is_html || content_type.is("text", "plain")) || !is_like_ascii(content_type.parameter("charset")) {
        return;
    }
    let without = |text: &[u8]| if is_html { without_division(text) } else { without_lead(text) };
    let edit = match entity.transfer_encoding() {
        TransferEncoding::Base64 => {
            without(&entity.decoded_body(source)).map(|(before, after)| transfer::encode_base64(&[before, after].concat()))
        }
        TransferEncoding::QuotedPrintable => without(&entity.decoded_body(source))
            .map(|(before, after)| transfer::encode_quoted_printable(&[before, after].concat())),
        _ => without(entity.body(source)).map(|(before, after)| [before, after].concat()),
    };
    let Some(with) = edit else { return };
    if let Some(field) = entity.field("content-type").filter(|_| !is_root) {
        edits.push(Edit { range: field.range.clone(), with: parameter::without(field.raw(source), NO_LONGER_TRUE) });
    }
    edits.push(Edit { range: entity.body_range(), with });
}

/// The text before and behind the leading lines, which end with the first empty one.
fn without_lead(text: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let mut at: usize = 0;
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        at = at.saturating_add(line.len());
        if line.trim_ascii().is_empty() && line.ends_with(b"\n") {
            return Some((Vec::new(), text.get(at..)?.to_vec()));
        }
    }
    None
}

/// The text before and behind the `div` of this class; what such a `div` holds was escaped, and yet those inside are counted.
fn without_division(text: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let lower = text.to_ascii_lowercase();
    let find = |what: &[u8], from: usize| memchr::memmem::find(lower.get(from..)?, what).map(|at| from.saturating_add(at));
    // the class must stand in the tag itself: a style sheet may name it, too
    let (start, class) = memchr::memmem::find_iter(&lower, b"header-protection-legacy-display").find_map(|class| {
        let before = lower.get(..class)?;
        let start = memchr::memmem::rfind(before, b"<div")?;
        (!before.get(start..)?.contains(&b'>')).then_some((start, class))
    })?;
    let (mut at, mut depth) = (class, 1_u32);
    while depth > 0 {
        let close = find(b"</div", at)?;
        match find(b"<div", at).filter(|open| *open < close) {
            Some(open) => {
                depth = depth.saturating_add(1);
                at = open.saturating_add(4);
            }
            None => {
                depth = depth.saturating_sub(1);
                at = close.saturating_add(5);
            }
        }
    }
    let end = find(b">", at)?.saturating_add(1);
    Some((text.get(..start)?.to_vec(), text.get(end..)?.to_vec()))
}

/// The form before RFC 9788: the first part of a `multipart/mixed; protected-headers="v1"` is the copy.
fn drop_older(message: &Entity, edits: &mut Vec<Edit>) {
    let is_v1 = |entity: &Entity| entity.content_type().parameter("protected-headers") == Some("v1");
    let [first, second, ..] = message.children() else { return };
    let is_text = first.content_type().is("text", "rfc822-headers") || first.content_type().is("text", "plain");
    if message.content_type().is("multipart", "mixed") && is_v1(message) && is_v1(first) && is_text {
        edits.push(Edit { range: first.range().start..second.range().start, with: Vec::new() });
    }
}

/// Whether the line break of a charset is that of ASCII.
pub(super) fn is_like_ascii(charset: Option<&str>) -> bool {
    !charset.is_some_and(|charset| {
        let charset = charset.to_ascii_lowercase();
        ["utf-16", "utf-32", "utf-7", "ucs-", "iso-10646"].iter().any(|wide| charset.starts_with(wide))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_division_goes_with_those_inside_it() {
        let html = b"<body>\n<DIV class=\"x header-protection-legacy-display\"><div>a</div><pre>b</pre></div>\n<div>c</div>";
        let (before, after) = without_division(html).expect("it is there");
        assert_eq!((before.as_slice(), after.as_slice()), (&b"<body>\n"[..], &b"\n<div>c</div>"[..]));
        let style = b"<style>.header-protection-legacy-display {}</style>".as_slice();
        let (before, _) = without_division(&[style, html].concat()).expect("it is there");
        assert_eq!(before, [style, b"<body>\n"].concat());
        for none in [&b"<div>header-protection-legacy-display</div>"[..], b"<div class=header-protection-legacy-display>", b""] {
            assert_eq!(without_division(none), None);
        }
    }

    #[test]
    fn lines_go_up_to_the_first_empty_one_and_none_where_there_is_none() {
        assert_eq!(without_lead(b"Subject: x\r\n y\r\n\r\ntext\r\n"), Some((Vec::new(), b"text\r\n".to_vec())));
        assert_eq!(without_lead(b"Subject: x\r\ntext"), None);
    }
}
