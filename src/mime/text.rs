//! Text for people: charsets and encoded words (RFC 2047).

use encoding_rs::Encoding;

/// Text of a charset; UTF-8 with replacements where the charset is not known.
pub(in crate::mime) fn decode_charset(bytes: &[u8], charset: &str) -> String {
    let encoding = Encoding::for_label(charset.trim().as_bytes()).unwrap_or(encoding_rs::UTF_8);
    encoding.decode_without_bom_handling(bytes).0.into_owned()
}

/// Text of a charset; nothing where the charset is not known or the bytes are not in it.
pub(crate) fn decode_exactly(bytes: &[u8], charset: &str) -> Option<String> {
    let encoding = Encoding::for_label(charset.trim().as_bytes())?;
    encoding.decode_without_bom_handling_and_without_replacement(bytes).map(std::borrow::Cow::into_owned)
}

/// Text in a charset; nothing where the charset is not known or cannot hold it.
pub(crate) fn encode_exactly(text: &str, charset: &str) -> Option<Vec<u8>> {
    let (bytes, _, has_holes) = Encoding::for_label(charset.as_bytes())?.encode(text);
    (!has_holes).then(|| bytes.into_owned())
}

/// Whether a character is not seen, or changes how those around it are seen: controls, marks of direction, blanks of no width, tags.
pub(in crate::mime) fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}'
            | '\u{fff9}'..='\u{fffb}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// Whether a name shows less than it holds. What joins letters of scripts and emoji, or keeps them apart, is part of how they are written,
/// behind such a letter.
pub(in crate::mime) fn hides(name: &str) -> bool {
    let mut before = ' ';
    name.chars().any(|c| {
        let is_joiner = matches!(c, '\u{200c}' | '\u{200d}') && !before.is_ascii() && !is_unseen(before);
        before = c;
        is_unseen(c) && !is_joiner
    })
}

/// Decodes the encoded words of an unstructured value; blanks between two of them vanish (RFC 2047 6.2).
pub(in crate::mime) fn decode_words(value: &str) -> String {
    let mut out = String::new();
    let mut rest = value;
    let mut after_word = false;
    while let Some(at) = rest.find("=?") {
        let (before, from) = rest.split_at(at);
        match encoded_word(from) {
            Some((text, len)) => {
                if !(after_word && before.trim().is_empty()) {
                    out.push_str(before);
                }
                out.push_str(&text);
                rest = from.get(len..).unwrap_or_default();
                after_word = true;
            }
            None => {
                out.push_str(before);
                out.push_str("=?");
                rest = from.get(2..).unwrap_or_default();
                after_word = false;
            }
        }
    }
    out.push_str(rest);
    out
}

/// `=?charset?B|Q?text?=` at the start; its text and its length.
pub(in crate::mime) fn encoded_word(text: &str) -> Option<(String, usize)> {
    let text = text.get(..text.floor_char_boundary(WORD_BYTES)).unwrap_or(text);
    let inner = text.strip_prefix("=?")?;
    let (charset, rest) = inner.split_once('?')?;
    let (encoding, rest) = rest.split_once('?')?;
    let (encoded, _) = rest.split_once("?=")?;
    if encoded.contains(char::is_whitespace) {
        return None;
    }
    let bytes = match encoding {
        "B" | "b" => {
            let trimmed = encoded.trim_end_matches('=');
            base64_simd::STANDARD_NO_PAD.decode_to_vec(trimmed.as_bytes()).ok()?
        }
        "Q" | "q" => quoted(encoded),
        _ => return None,
    };
    let charset = charset.split('*').next().unwrap_or_default();
    let len = "=?".len() + charset_len(inner)? + 1 + encoding.len() + 1 + encoded.len() + "?=".len();
    Some((decode_charset(&bytes, charset), len))
}

fn charset_len(inner: &str) -> Option<usize> {
    inner.find('?')
}

fn quoted(encoded: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut bytes = encoded.bytes();
    while let Some(byte) = bytes.next() {
        let mut ahead = bytes.clone();
        let digit = |byte: Option<u8>| byte.and_then(|b| char::from(b).to_digit(16)).and_then(|d| u8::try_from(d).ok());
        match byte {
            b'_' => out.push(b' '),
            b'=' => match (digit(ahead.next()), digit(ahead.next())) {
                (Some(high), Some(low)) => {
                    out.push(high << 4 | low);
                    bytes = ahead;
                }
                _ => out.push(byte),
            },
            byte => out.push(byte),
        }
    }
    out
}

/// 4 KiB: RFC 2047 2 allows 75 bytes, and some programs put a whole subject into one word; without a bound each `=?` that begins a word
/// would be read to the end of the value.
const WORD_BYTES: usize = 4 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_decoded_and_what_is_none_stays() {
        assert_eq!(decode_words("a =?utf-8?B?5L2g?= =?utf-8?q?=E5=A5=BD_!?= b"), "a \u{4f60}\u{597d} ! b");
        assert_eq!(decode_words("=?utf-8?x?a?= =?utf-8?q?a b?= =?"), "=?utf-8?x?a?= =?utf-8?q?a b?= =?");
    }

    #[test]
    fn half_a_megabyte_of_words_that_never_end_is_read_in_no_time() {
        let value = "=?a?b?x".repeat(75_000);
        assert_eq!(decode_words(&value), value);
    }
}
