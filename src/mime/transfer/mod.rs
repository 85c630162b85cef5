//! Content transfer encodings (RFC 2045 6), in one go and as a stream.

mod base64;
mod quoted_printable;

use std::io::{self, BufRead, Read};

pub use base64::{Base64Lines, decode_base64, encode_base64};
pub(crate) use base64::{Base64Reader, Lends};
pub(crate) use quoted_printable::{QuotedPrintableReader, QuotedPrintableWriter};
pub use quoted_printable::{decode_quoted_printable, encode_quoted_printable};

/// How a body is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransferEncoding {
    /// Lines of ASCII.
    SevenBit,
    /// Lines of bytes.
    EightBit,
    /// Bytes.
    Binary,
    /// Quoted-printable.
    QuotedPrintable,
    /// Base64.
    Base64,
    /// A word that is not known; the body is taken as it is.
    Other,
}

impl TransferEncoding {
    /// Reads the value of Content-Transfer-Encoding.
    pub fn parse(value: &str) -> Self {
        match value.split([';', ' ', '(']).next().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
            "" | "7bit" => Self::SevenBit,
            "8bit" => Self::EightBit,
            "binary" => Self::Binary,
            "quoted-printable" => Self::QuotedPrintable,
            "base64" => Self::Base64,
            _ => Self::Other,
        }
    }

    /// Whether the body stands as it is.
    pub fn is_identity(self) -> bool {
        !matches!(self, Self::QuotedPrintable | Self::Base64)
    }
}

/// Removes a transfer encoding.
pub fn decode(encoding: TransferEncoding, body: &[u8]) -> Vec<u8> {
    match encoding {
        TransferEncoding::Base64 => decode_base64(body),
        TransferEncoding::QuotedPrintable => decode_quoted_printable(body),
        _ => body.to_vec(),
    }
}

/// A body without its transfer encoding, as it goes by.
pub(crate) enum Decoded<B> {
    /// As it is.
    Identity(B),
    /// Base64.
    Base64(Box<Base64Reader<B>>),
    /// Quoted-printable.
    QuotedPrintable(Box<QuotedPrintableReader<B>>),
}

impl<B: BufRead> Decoded<B> {
    /// Reads a body that is encoded so.
    pub(crate) fn new(encoding: TransferEncoding, body: B) -> Self {
        match encoding {
            TransferEncoding::Base64 => Self::Base64(Box::new(Base64Reader::new(body))),
            TransferEncoding::QuotedPrintable => Self::QuotedPrintable(Box::new(QuotedPrintableReader::new(body))),
            _ => Self::Identity(body),
        }
    }

    /// Passes over the rest of a body that was read to its end; says whether text stands in its base64 or behind it.
    pub(crate) fn has_text_beside(&mut self) -> io::Result<bool> {
        match self {
            Self::Base64(body) => body.has_text_beside(),
            Self::Identity(_) | Self::QuotedPrintable(_) => Ok(false),
        }
    }
}

impl<B: BufRead> Read for Decoded<B> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Identity(body) => body.read(out),
            Self::Base64(body) => body.read(out),
            Self::QuotedPrintable(body) => body.read(out),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_gives_what_one_go_gives_whatever_the_pieces() {
        let bytes: Vec<u8> = (0..3000_u32).map(|i| i.to_le_bytes()[0] ^ i.to_le_bytes()[1]).collect();
        let junk = b" aG Vs\n!bG8\r\n=\nrest".to_vec();
        let lines = encode_base64(&bytes);
        let sloppy = lines.iter().copied().take(1001).collect::<Vec<u8>>();
        let text = "a= \t\r\nb \t\r\nc\x0c=\r\nd=\r=3D=zz=4\r\n=\n =E4 ".repeat(9).into_bytes();
        for piece in [1, 2, 3, 5, 57, 78, 4096] {
            for body in [&junk, &lines, &sloppy, &text] {
                for encoding in [TransferEncoding::Base64, TransferEncoding::QuotedPrintable, TransferEncoding::EightBit] {
                    let mut found = Vec::new();
                    let source = io::BufReader::with_capacity(piece, body.as_slice());
                    let mut decoded = Decoded::new(encoding, source);
                    let mut out = vec![0; piece];
                    loop {
                        let read = decoded.read(&mut out).expect("readable");
                        if read == 0 {
                            break;
                        }
                        found.extend_from_slice(&out[..read]);
                    }
                    assert_eq!(found, decode(encoding, body), "{encoding:?} in pieces of {piece}");
                }
            }
        }
    }
}
