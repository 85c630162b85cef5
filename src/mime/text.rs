//! Text for people: charsets and encoded words (RFC 2047).

use encoding_rs::Encoding;

/// Text of a charset; UTF-8 with replacements where the charset is not known.
pub(in crate::mime) fn decode_charset(bytes: &[u8], charset: &str) -> String {
    let encoding = Encoding::for_label(charset.trim().as_bytes()).unwrap_or(encoding_rs::UTF_8);
    encoding.decode_without_bom_handling(bytes).0.into_owned()
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
fn encoded_word(text: &str) -> Option<(String, usize)> {
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
