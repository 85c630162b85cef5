//! CompressedData (RFC 3274): read in one pass and in constant memory.

use std::io::{Read, Write};

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use crate::asn1::reader::{Octets, Reader};
use crate::asn1::{Oid, Tag, encode, oid, writer::Writer};
use crate::cms::Error;
use crate::cms::reader::{end, read_oid};
use crate::cms::sign::{PIECE, fill};
use crate::crypto::algorithm::AlgorithmIdentifier;
use crate::limits::{Budget, LimitReached, Limits};

/// A compressed message whose content is still to be read.
///
/// `CompressedData ::= SEQUENCE { version, compressionAlgorithm, encapContentInfo SEQUENCE { eContentType, eContent [0] EXPLICIT OCTET STRING } }`
/// (RFC 3274 1.1)
#[derive(Debug)]
pub struct CompressedReader<R> {
    reader: Reader<R>,
    octets: Octets,
    content_type: Oid,
    inflate: Decompress,
    /// The piece of compressed content that is being worked on, and how much of it is done.
    piece: Vec<u8>,
    done: usize,
    state: State,
    size: Budget,
    free: u64,
    ratio: u64,
}

/// How far the content was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// More compressed pieces may follow.
    Pieces,
    /// The structure gave its last piece; the zlib stream goes on.
    LastPiece,
    /// The zlib stream ended, and its checksum fits; or there is none, and no content.
    Ended,
}

/// What follows the content of a compressed message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tail {
    /// Whether bytes follow the structure.
    pub has_trailing: bool,
}

impl<R: Read> CompressedReader<R> {
    pub(in crate::cms) fn new(mut reader: Reader<R>, limits: &Limits) -> Result<Self, Error> {
        reader.enter(Tag::SEQUENCE)?;
        // RFC 3274 1.1: the version is 0; another one says nothing about what follows
        reader.raw()?;
        let algorithm = AlgorithmIdentifier::from_der(&reader.raw()?)?;
        if algorithm.oid != oid::ZLIB_COMPRESS {
            return Err(Error::Unsupported(format!("compression {}", algorithm.name())));
        }
        reader.enter(Tag::SEQUENCE)?;
        let content_type = read_oid(&mut reader)?;
        if reader.peek()?.is_none() {
            return Err(Error::Malformed("a compressed message without content"));
        }
        reader.enter(Tag::context_constructed(0))?;
        let octets = reader.octets(Tag::OCTET_STRING)?;
        Ok(Self {
            reader,
            octets,
            content_type,
            inflate: Decompress::new(true),
            piece: Vec::new(),
            done: 0,
            state: State::Pieces,
            size: Budget::new("decompressed bytes", limits.decompressed_bytes),
            free: limits.decompression_free_bytes,
            ratio: limits.decompression_ratio,
        })
    }

    /// The type of the content.
    pub fn content_type(&self) -> Oid {
        self.content_type
    }

    /// Gives the next content; 0 at its end, when the checksum of zlib was found to fit.
    pub fn read(&mut self, out: &mut [u8]) -> Result<usize, Error> {
        if out.is_empty() {
            return Ok(0);
        }
        while self.state != State::Ended {
            let input = self.piece.get(self.done..).unwrap_or_default();
            if input.is_empty() && self.state == State::Pieces {
                self.next_piece()?;
                continue;
            }
            // OpenSSL makes no stream at all of no content
            if self.state == State::LastPiece && self.inflate.total_in() == 0 {
                self.state = State::Ended;
                continue;
            }
            let flush = if self.state == State::LastPiece { FlushDecompress::Finish } else { FlushDecompress::None };
            let (read_before, given_before) = (self.inflate.total_in(), self.inflate.total_out());
            let status = self.inflate.decompress(input, out, flush).map_err(|_| CORRUPT)?;
            let read = distance(read_before, self.inflate.total_in());
            let given = distance(given_before, self.inflate.total_out());
            self.done = self.done.saturating_add(read);
            if status == Status::StreamEnd {
                self.state = State::Ended;
            }
            self.spend(given)?;
            if given > 0 {
                return Ok(given);
            }
            if read == 0 && self.state == State::LastPiece {
                return Err(Error::Malformed("the compressed content ends too early"));
            }
        }
        Ok(0)
    }

    /// Ends the reading: the content must have been read to its end, and nothing may follow it inside the structure.
    pub fn finish(mut self) -> Result<Tail, Error> {
        // the end of the stream may not have been asked for yet
        if self.state != State::Ended && self.read(&mut [0])? > 0 {
            return Err(Error::Malformed("the compressed content was not read to its end"));
        }
        // what follows would be seen by a reader that takes several streams, and by no other
        while self.done == self.piece.len() {
            self.done = 0;
            self.piece.clear();
            match self.reader.next_piece(&mut self.octets)? {
                Some(more) => self.piece.extend_from_slice(more),
                None => return self.close(),
            }
        }
        Err(Error::Malformed("bytes follow the compressed content"))
    }

    fn close(mut self) -> Result<Tail, Error> {
        self.reader.leave()?;
        self.reader.leave()?;
        Ok(Tail { has_trailing: end(self.reader)? })
    }

    fn next_piece(&mut self) -> Result<(), Error> {
        self.piece.clear();
        self.done = 0;
        match self.reader.next_piece(&mut self.octets)? {
            Some(piece) => self.piece.extend_from_slice(piece),
            None => self.state = State::LastPiece,
        }
        Ok(())
    }

    /// Takes what was decompressed from both bounds.
    fn spend(&mut self, given: usize) -> Result<(), Error> {
        self.size.spend(given)?;
        let (from, to) = (self.inflate.total_in(), self.inflate.total_out());
        if to > self.free && to / from.max(1) >= self.ratio {
            return Err(Error::Limit(LimitReached { name: "decompression ratio", limit: self.ratio }));
        }
        Ok(())
    }
}

/// Compresses content; the structure is BER, written as the content goes by.
pub fn compress(content: &mut dyn Read, sink: &mut dyn Write) -> Result<(), Error> {
    let mut writer = Writer::new(sink);
    writer.open(Tag::SEQUENCE)?;
    writer.der(&encode::oid(&oid::ID_COMPRESSED_DATA))?;
    writer.open(Tag::context(0))?;
    writer.open(Tag::SEQUENCE)?;
    writer.der(&encode::integer_u64(0))?;
    // RFC 3274 2: the parameters are absent
    writer.der(&AlgorithmIdentifier::bare(oid::ZLIB_COMPRESS).to_der())?;
    writer.open(Tag::SEQUENCE)?;
    writer.der(&encode::oid(&oid::ID_DATA))?;
    writer.open(Tag::context(0))?;
    writer.open(Tag::OCTET_STRING)?;
    let mut deflate = Compress::new(Compression::default(), true);
    let (mut buffer, mut out) = (vec![0; PIECE], Vec::with_capacity(PIECE));
    let mut status = Status::Ok;
    while status != Status::StreamEnd {
        let read = fill(content, &mut buffer)?;
        let mut rest = buffer.get(..read).unwrap_or_default();
        let flush = if read == 0 { FlushCompress::Finish } else { FlushCompress::None };
        while status != Status::StreamEnd && (read == 0 || !rest.is_empty()) {
            let before = deflate.total_in();
            status =
                deflate.compress_vec(rest, &mut out, flush).map_err(|_| Error::Malformed("content that cannot be compressed"))?;
            rest = rest.get(distance(before, deflate.total_in())..).unwrap_or_default();
            writer.piece(&out)?;
            out.clear();
        }
    }
    // the string, its tag, the content, the structure, its tag, all
    for _ in 0..6 {
        writer.close()?;
    }
    writer.finish()?;
    Ok(())
}

fn distance(from: u64, to: u64) -> usize {
    usize::try_from(to.saturating_sub(from)).unwrap_or(usize::MAX)
}

const CORRUPT: Error = Error::Malformed("the compressed content is not zlib, or was changed");
