//! PEM: base64 between lines that name what it is (RFC 7468, RFC 1421 headers).

use std::fmt;

use crate::secret::Secret;

/// One block of a PEM file.
#[derive(Clone, PartialEq, Eq)]
pub struct Pem {
    /// What it says it is, as `CERTIFICATE`.
    pub label: String,
    /// The bytes.
    pub der: Vec<u8>,
    /// The header lines of older private key files, as `Proc-Type`.
    pub headers: Vec<(String, String)>,
}

/// Never shows the bytes: they may be a private key.
impl fmt::Debug for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pem({}, {} bytes)", self.label, self.der.len())
    }
}

/// Why a PEM block could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// A block that begins and does not end.
    Unended(String),
    /// A block whose base64 cannot be read.
    Base64(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unended(label) => write!(f, "PEM block has no end – {label}"),
            Self::Base64(label) => write!(f, "PEM block holds no base64 – {label}"),
        }
    }
}

impl std::error::Error for Error {}

/// Whether the bytes hold a PEM block.
pub fn looks_like(bytes: &[u8]) -> bool {
    memchr::memmem::find(bytes, BEGIN).is_some()
}

/// Where the base64 of a block begins that is the first thing in the text, if its label is wanted.
pub fn begin(text: &[u8], is_wanted: impl Fn(&str) -> bool) -> Option<usize> {
    let block = text.trim_ascii_start();
    let line_end = block.iter().position(|byte| *byte == b'\n')?;
    let label = block.get(..line_end)?.trim_ascii().strip_prefix(BEGIN)?.strip_suffix(DASHES)?;
    let start = text.len().checked_sub(block.len())?.checked_add(line_end)?.checked_add(1)?;
    is_wanted(&String::from_utf8_lossy(label)).then_some(start)
}

/// Reads every block; text around and between is passed over.
pub fn parse_all(bytes: &[u8]) -> Result<Vec<Pem>, Error> {
    let mut found = Vec::new();
    let mut lines = bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    while let Some(line) = lines.next() {
        let Some(label) = line.strip_prefix(BEGIN).and_then(|rest| rest.strip_suffix(DASHES)) else { continue };
        let label = String::from_utf8_lossy(label).into_owned();
        let mut body = Vec::new();
        let mut headers: Vec<(String, String)> = Vec::new();
        loop {
            let Some(line) = lines.next() else { return Err(Error::Unended(label)) };
            if line.starts_with(END) {
                break;
            }
            match line.iter().position(|byte| *byte == b':') {
                Some(colon) => {
                    let (name, value) = line.split_at(colon);
                    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes.trim_ascii()).into_owned();
                    headers.push((text(name), text(value.get(1..).unwrap_or_default())));
                }
                None => body.extend(line.iter().copied().filter(|byte| !byte.is_ascii_whitespace())),
            }
        }
        let der = base64_simd::STANDARD.decode_to_vec(&body).or_else(|_| base64_simd::STANDARD_NO_PAD.decode_to_vec(&body));
        let der = der.map_err(|_| Error::Base64(label.clone()))?;
        found.push(Pem { label, der, headers });
    }
    Ok(found)
}

/// Makes of a file that is one block of this label, and nothing else, what the block holds; whether it is one. A large list is in memory
/// once so, where [`parse_all`] has the text, its base64 and the bytes.
pub fn unwrap_only(bytes: &mut Vec<u8>, label: &str) -> Result<bool, Error> {
    let Some(start) = begin(bytes, |found| found == label) else { return Ok(false) };
    let after = bytes.get(start..).unwrap_or_default();
    let Some(length) = memchr::memmem::find(after, END) else { return Ok(false) };
    let (body, rest) = after.split_at(length);
    if looks_like(rest) || memchr::memchr(b':', body).is_some() || looks_like(body) {
        return Ok(false);
    }
    bytes.truncate(start.saturating_add(length));
    bytes.drain(..start);
    bytes.retain(|byte| !byte.is_ascii_whitespace());
    let is_padded = bytes.len().is_multiple_of(4);
    let base64 = if is_padded { base64_simd::STANDARD } else { base64_simd::STANDARD_NO_PAD };
    let length = base64.decode_inplace(bytes).map_err(|_| Error::Base64(label.to_owned()))?.len();
    bytes.truncate(length);
    bytes.shrink_to_fit();
    Ok(true)
}

/// What base64 without lines around it holds, where the bytes are that and nothing else, and what they hold begins as a SEQUENCE does.
pub fn bare(bytes: &[u8]) -> Option<Vec<u8>> {
    // 0x30, and with it a length; a large list in DER is not copied for nothing
    if bytes.trim_ascii_start().first() != Some(&b'M') {
        return None;
    }
    let text: Vec<u8> = bytes.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    base64_simd::STANDARD.decode_to_vec(&text).or_else(|_| base64_simd::STANDARD_NO_PAD.decode_to_vec(&text)).ok()
}

/// Writes one block with lines of 64 characters (RFC 7468).
pub fn encode(label: &str, der: &[u8]) -> String {
    let mut out = String::new();
    write(label, &base64_simd::STANDARD.encode_to_string(der), &mut |text| out.push_str(text));
    out
}

/// The same for a key: no copy of its text stays in memory.
pub fn encode_secret(label: &str, der: &[u8]) -> Secret<Vec<u8>> {
    let base64 = Secret::new(base64_simd::STANDARD.encode_to_string(der));
    let (mut length, mut out) = (0_usize, Secret::new(Vec::new()));
    write(label, base64.expose(), &mut |text| length = length.saturating_add(text.len()));
    // what grows leaves copies behind
    out.expose_mut().reserve_exact(length);
    write(label, base64.expose(), &mut |text| out.expose_mut().extend_from_slice(text.as_bytes()));
    out
}

fn write(label: &str, base64: &str, push: &mut dyn FnMut(&str)) {
    ["-----BEGIN ", label, "-----\n"].into_iter().for_each(&mut *push);
    for line in base64.as_bytes().chunks(64) {
        push(&String::from_utf8_lossy(line));
        push("\n");
    }
    ["-----END ", label, "-----\n"].into_iter().for_each(push);
}

const BEGIN: &[u8] = b"-----BEGIN ";
const END: &[u8] = b"-----END ";
const DASHES: &[u8] = b"-----";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_several_blocks_with_text_between() {
        let text = format!("subject=x\n{}more text\r\n{}", encode("CERTIFICATE", &[1, 2, 3]), encode("PRIVATE KEY", &[4; 100]));
        let blocks = parse_all(text.as_bytes()).expect("two blocks");
        assert_eq!(blocks.iter().map(|b| b.label.as_str()).collect::<Vec<_>>(), ["CERTIFICATE", "PRIVATE KEY"]);
        assert_eq!(blocks[1].der, [4; 100]);
    }

    #[test]
    fn one_block_alone_is_read_where_it_stands_as_among_others() {
        for length in 0..70 {
            let der: Vec<u8> = (0..length).collect();
            let text = encode("X509 CRL", &der);
            for text in [text.clone(), format!("\r\n{}\n", text.replace('\n', "\r\n")), text.replace('=', "")] {
                let mut bytes = text.into_bytes();
                assert_eq!(unwrap_only(&mut bytes, "X509 CRL"), Ok(true));
                assert_eq!(bytes, der);
            }
        }
        let one = encode("X509 CRL", &[7; 50]);
        let others = [
            format!("{one}{one}"),
            format!("{one}{}", encode("CERTIFICATE", &[1])),
            format!("text\n{one}"),
            encode("CERTIFICATE", &[1; 50]),
            one.replacen('\n', "\nA: b\n", 1),
            "-----BEGIN X509 CRL-----\nAAAA\n".to_owned(),
        ];
        for text in others {
            let mut bytes = text.clone().into_bytes();
            assert_eq!(unwrap_only(&mut bytes, "X509 CRL"), Ok(false), "{text}");
            assert_eq!(bytes, text.into_bytes(), "it is as it was");
        }
        let damaged = &mut one.replace("Bw", "!w").into_bytes();
        assert_eq!(unwrap_only(damaged, "X509 CRL"), Err(Error::Base64("X509 CRL".to_owned())));
    }

    #[test]
    fn a_key_is_written_as_anything_else_into_memory_that_did_not_grow() {
        for length in [0, 1, 47, 48, 49, 1000] {
            let der = vec![7; length];
            let text = encode_secret("PRIVATE KEY", &der);
            assert_eq!(text.expose().as_slice(), encode("PRIVATE KEY", &der).as_bytes());
            assert_eq!(text.expose().capacity(), text.expose().len());
        }
    }

    #[test]
    fn refuses_a_block_without_end() {
        assert_eq!(parse_all(b"-----BEGIN X-----\nAAAA\n"), Err(Error::Unended("X".to_owned())));
    }
}
