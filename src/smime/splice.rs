//! Whether content that nothing authenticates looks like ciphertext that was spliced.
//!
//! Under CBC whoever knows one block of plaintext writes blocks of his own, and between each two of them stands a block that decrypts
//! to noise (EFAIL, 2018). No program writes such noise into a header section or a text: content that holds it was changed, and is
//! refused like any other. What holds none may have been changed all the same; it stays unauthenticated.

use crate::mime::{Entity, TransferEncoding};

/// Looks at the beginning of decrypted content, and at the entity that it reads as.
pub(in crate::smime) fn looks_spliced(entity: &Entity, bytes: &[u8]) -> bool {
    // a file that is no message may hold anything, and its first line may look like a field
    let is_name = |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let is_known = |name: &str| name.starts_with("content-") || name.starts_with("x-") || KNOWN.contains(&name);
    if !entity.fields().iter().any(|field| is_known(&field.name))
        || !entity.fields().first().is_some_and(|field| field.range.start == 0 && is_name(&field.name))
    {
        return false;
    }
    let header = |entity: &Entity| bytes.get(entity.range().start..entity.body_range().start).unwrap_or_default();
    entity.walk().into_iter().any(|part| {
        let is_text = part.children().is_empty() && part.content_type().kind == "text";
        has_controls(header(part)) || (is_text && is_spliced_text(part, bytes))
    })
}

/// Fields that make a message of a file; and those of MIME, and those that begin with `X-`.
const KNOWN: &[&str] = &["mime-version", "from", "sender", "to", "cc", "subject", "date", "message-id", "reply-to", "received"];

fn is_spliced_text(part: &Entity, bytes: &[u8]) -> bool {
    let body = part.body(bytes);
    match part.transfer_encoding() {
        TransferEncoding::QuotedPrintable | TransferEncoding::Base64 => has_controls(body),
        // whole characters are no noise, whatever stands between them
        _ if is_utf8(body) => false,
        // a file that was called a text is noise all over; as plain text it does nothing
        _ if part.content_type().is("text", "plain") => has_noise_within_text(body, part.body_range().start),
        _ => has_noise(body),
    }
}

/// Whether it is UTF-8, up to a character that is cut off at its end.
fn is_utf8(body: &[u8]) -> bool {
    match std::str::from_utf8(body) {
        Ok(_) => true,
        Err(error) => error.error_len().is_none(),
    }
}

/// Control characters that no header section and no encoded text has. ESC is for ISO-2022.
fn has_controls(bytes: &[u8]) -> bool {
    bytes.iter().any(|byte| is_control(*byte))
}

/// A control character among bytes that are not ASCII, as most blocks of noise have; no charset in use writes so.
fn has_noise(bytes: &[u8]) -> bool {
    bytes.windows(BLOCK).any(is_noise)
}

fn is_noise(block: &[u8]) -> bool {
    block.iter().any(|byte| is_control(*byte)) && block.iter().filter(|byte| !byte.is_ascii()).count() >= HIGH
}

/// A block of noise between two that are text, in content where noise never fills three in a row. Blocks are counted from the beginning
/// of the content, of which `at` bytes come before these.
fn has_noise_within_text(bytes: &[u8], at: usize) -> bool {
    let first = at.next_multiple_of(BLOCK).saturating_sub(at).min(bytes.len());
    let kinds = bytes.get(first..).unwrap_or_default().chunks_exact(BLOCK).map(|block| (is_noise(block), has_controls(block)));
    let (mut was_text, mut noise, mut row, mut found) = (true, false, 0_u32, false);
    for (is_noise, is_odd) in kinds {
        row = if is_odd { row.saturating_add(1) } else { 0 };
        if row >= 3 {
            return false;
        }
        found |= noise && !is_odd;
        noise = is_noise && was_text;
        was_text = !is_odd;
    }
    found || noise
}

/// A line tabulation is a soft line break of word processors, SUB ends files of DOS, and DEL stands in tables of all characters.
fn is_control(byte: u8) -> bool {
    byte < b' ' && !matches!(byte, b'\t' | b'\r' | b'\n' | b'\x0b' | b'\x0c' | b'\x1a' | b'\x1b')
}

/// Bytes of a block of AES.
const BLOCK: usize = 16;
/// Of 16 random bytes 8 are not ASCII.
const HIGH: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Limits;
    use crate::mime;

    fn is_spliced(bytes: &[u8]) -> bool {
        looks_spliced(&mime::parse(bytes, &Limits::default()).expect("small"), bytes)
    }

    #[test]
    fn noise_between_chosen_blocks_is_seen() {
        let noise = b"\x9d\x03\xf1\x88q\xe2\x17\xa0\xbb\x90\x1f~\xc4\xd8\x11\xfe";
        assert!(is_spliced(&[b"Content-Type: te".as_slice(), noise, b"\r\nX: y\r\n\r\nx"].concat()));
        assert!(is_spliced(&[b"Content-Type: text/html\r\n\r\n<img ignore=\"".as_slice(), noise, b"\" src=\"//evil/"].concat()));
        assert!(!is_spliced(&[b"not a message".as_slice(), noise].concat()));
        // blocks of 16: 32 bytes of header section, then text, noise, text
        let plain = b"Content-Type: text/plain\r\n\r\nabcd";
        assert!(is_spliced(&[plain.as_slice(), b"sixteen letters.", noise, b"and sixteen more"].concat()));
        assert!(is_spliced(&[plain.as_slice(), b"sixteen letters.", noise].concat()), "at the end, too");
    }

    #[test]
    fn files_are_none_whatever_their_first_line_looks_like() {
        let noise = b"\x9d\x03\xf1\x88q\xe2\x17\xa0\xbb\x90\x1f~\xc4\xd8\x11\xfe";
        assert!(!is_spliced(&[b"d8:announce35:http://a.example/4:infod6:pieces20:".as_slice(), noise, b"ee"].concat()));
        let binary = [b"Content-Type: text/plain\r\n\r\n".as_slice(), &noise.repeat(9)].concat();
        assert!(!is_spliced(&binary), "a binary file that was called a text");
        let every = (0..=255).collect::<Vec<u8>>();
        assert!(!is_spliced(&[b"Content-Type: text/plain\r\n\r\nall: ".as_slice(), &every].concat()));
        let page = [b"Content-Type: text/html\r\n\r\n".as_slice(), &noise.repeat(9)].concat();
        assert!(is_spliced(&page), "what a program shows as a page is never such a file");
    }

    #[test]
    fn what_people_write_is_none() {
        for text in [
            "Gr\u{fc}\u{df}e \u{4f60}\u{597d}",
            "\x1b$B8=\x1b(B",
            "page\x0c one",
            "a\u{1a}",
            "\u{43d}\u{435}\u{442}\u{b}\u{434}\u{430} \u{1}\u{43d}\u{435}\u{442}",
        ] {
            assert!(!is_spliced(format!("Content-Type: text/plain\r\n\r\n{text}\r\n").as_bytes()), "{text:?}");
        }
        assert!(!is_spliced(b"Content-Type: text/plain; charset=iso-8859-1\r\nX: \xfc\r\n\r\n\xfc\xdf\x80\x93\xe4\xf6\r\n"));
        let zip = [
            b"Content-Type: application/zip\r\nContent-Transfer-Encoding: binary\r\n\r\nPK\x03\x04".as_slice(),
            &[0x91, 0, 0xff, 1].repeat(9),
        ];
        assert!(!is_spliced(&zip.concat()));
    }
}
