//! The body that holds a cryptographic message: bytes, a transfer encoding, PEM; and whether text stands beside it.

use std::io::{self, BufRead, BufReader, Read};

use crate::mime::stream::{copy_out, drain};
use crate::mime::transfer::{Base64Reader, Decoded};
use crate::mime::{Entity, TransferEncoding};
use crate::smime::layer;

/// How a body is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::smime) struct Writing {
    /// The transfer encoding, as it is.
    pub(in crate::smime) encoding: TransferEncoding,
    /// Whether it holds PEM.
    pub(in crate::smime) is_pem: bool,
}

impl Writing {
    /// Looks at the beginning of a body: [`layer::DETECT`] bytes of it, or all. What the entity says counts, but base64 where the body is that
    /// and nothing is said. Such a body cannot be anything else, and some gateways lose the field.
    pub(in crate::smime) fn of(entity: &Entity, window: &[u8]) -> Self {
        let said = entity.transfer_encoding();
        let beginning = window.trim_ascii_start();
        if said == TransferEncoding::Base64 {
            return Self { encoding: said, is_pem: beginning.starts_with(BEGIN_IN_BASE64) };
        }
        let is_unsaid = said.is_identity() && layer::is_base64(window);
        let encoding = if is_unsaid { TransferEncoding::Base64 } else { said };
        Self { encoding, is_pem: beginning.starts_with(BEGIN) }
    }
}

/// The bytes of a cryptographic message.
pub(in crate::smime) enum Body<B: BufRead> {
    /// Without its transfer encoding.
    Plain(Decoded<B>),
    /// Out of PEM.
    Pem(PemReader<BufReader<Decoded<B>>>),
}

impl<B: BufRead> Body<B> {
    /// Reads a body that is written so.
    pub(in crate::smime) fn new(writing: Writing, body: B) -> io::Result<Self> {
        let decoded = Decoded::new(writing.encoding, body);
        if !writing.is_pem {
            return Ok(Self::Plain(decoded));
        }
        let mut decoded = BufReader::new(decoded);
        let mut line = Vec::new();
        // the line that begins the block is the first that is not empty
        while line.trim_ascii().is_empty() {
            line.clear();
            if (&mut decoded).take(LONGEST).read_until(b'\n', &mut line)? == 0 {
                break;
            }
        }
        Ok(Self::Pem(PemReader::new(decoded)))
    }

    /// Passes over the rest; says whether text stands in the base64 or behind it.
    pub(in crate::smime) fn has_text_beside(&mut self) -> io::Result<bool> {
        match self {
            Self::Plain(decoded) => decoded.has_text_beside(),
            Self::Pem(pem) => pem.has_text_beside(),
        }
    }
}

impl<B: BufRead> Read for Body<B> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(decoded) => decoded.read(out),
            Self::Pem(pem) => pem.read(out),
        }
    }
}

/// The bytes of a PEM block whose first line was taken.
pub(in crate::smime) struct PemReader<B> {
    base64: Base64Reader<Until<B>>,
}

impl<B: BufRead> PemReader<B> {
    /// Reads from the first line of base64.
    pub(in crate::smime) fn new(source: B) -> Self {
        Self { base64: Base64Reader::new(Until { source, is_ended: false }) }
    }

    /// Passes over the rest; says whether text stands in the block or behind it.
    pub(in crate::smime) fn has_text_beside(&mut self) -> io::Result<bool> {
        let is_inside = self.base64.has_text_beside()?;
        let source = &mut self.base64.source_mut().source;
        let mut line = Vec::new();
        (&mut *source).take(LONGEST).read_until(b'\n', &mut line)?;
        let is_end = line.trim_ascii().is_empty() || line.starts_with(END) && line.trim_ascii_end().ends_with(b"-----");
        Ok(drain(source)?.1 || is_inside || !is_end)
    }
}

impl<B: BufRead> Read for PemReader<B> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.base64.read(out)
    }
}

/// The lines of a PEM block, up to the one that ends it.
struct Until<B> {
    source: B,
    is_ended: bool,
}

impl<B: BufRead> BufRead for Until<B> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.is_ended {
            return Ok(&[]);
        }
        let bytes = self.source.fill_buf()?;
        let end = bytes.iter().position(|byte| *byte == b'-');
        self.is_ended = end == Some(0);
        Ok(bytes.get(..end.unwrap_or(bytes.len())).unwrap_or_default())
    }

    fn consume(&mut self, bytes: usize) {
        self.source.consume(bytes);
    }
}

impl<B: BufRead> Read for Until<B> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        copy_out(self, out)
    }
}

const BEGIN: &[u8] = b"-----BEGIN ";
const BEGIN_IN_BASE64: &[u8] = b"LS0tLS1CRUdJTi";
const END: &[u8] = b"-----END ";
/// Bytes of a line that begins or ends a block; RFC 7468 has some fifty.
const LONGEST: u64 = 1 << 10;
