//! Whether content that nothing authenticates looks like ciphertext that was spliced.
//!
//! Under CBC whoever knows one block of plaintext writes blocks of his own, and between each two of them stands a block that decrypts
//! to noise (EFAIL, 2018). No program writes such noise into a header section or a text: content that holds it was changed, and is
//! refused like any other. What holds none may have been changed all the same; it stays unauthenticated.

use crate::mime::{Entity, TransferEncoding};

/// Looks at the beginning of decrypted content, and at the entity that it reads as.
pub(in crate::smime) fn looks_spliced(entity: &Entity, bytes: &[u8]) -> bool {
    // a file that is no message may hold anything
    let is_name = |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if !entity.fields().first().is_some_and(|field| field.range.start == 0 && is_name(&field.name)) {
        return false;
    }
    let header = |entity: &Entity| bytes.get(entity.range().start..entity.body_range().start).unwrap_or_default();
    entity.walk().into_iter().any(|part| {
        let is_text = part.children().is_empty() && part.content_type().kind == "text";
        let is_ascii = matches!(part.transfer_encoding(), TransferEncoding::QuotedPrintable | TransferEncoding::Base64);
        has_controls(header(part))
            || (is_text && if is_ascii { has_controls(part.body(bytes)) } else { has_noise(part.body(bytes)) })
    })
}

/// Control characters that no header section and no encoded text has. ESC is for ISO-2022.
fn has_controls(bytes: &[u8]) -> bool {
    bytes.iter().any(|byte| is_control(*byte))
}

/// A control character among bytes that are not ASCII, as nearly every block of noise has; no charset in use writes so.
fn has_noise(bytes: &[u8]) -> bool {
    bytes.windows(BLOCK).any(|window| {
        window.iter().any(|byte| is_control(*byte)) && window.iter().filter(|byte| !byte.is_ascii()).count() >= HIGH
    })
}

fn is_control(byte: u8) -> bool {
    byte.is_ascii_control() && !matches!(byte, b'\t' | b'\r' | b'\n' | b'\x0c' | b'\x1b')
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
    }

    #[test]
    fn what_people_write_is_none() {
        for text in ["Gr\u{fc}\u{df}e \u{4f60}\u{597d}", "\x1b$B8=\x1b(B", "page\x0c one", "a\u{1a}"] {
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
