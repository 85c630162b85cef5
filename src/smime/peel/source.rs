//! What passes by on its way to the next layer: pieces of a structure, hashed or decrypted as they go.

use std::io::{self, BufRead, Read};

use crate::cms::{self, CompressedReader, ContentHash, Decrypting, SignedReader};
use crate::limits::LimitReached;
use crate::mime::stream;
use crate::secret::scratch::Piece;

/// Something that gives its content piece by piece.
pub(in crate::smime) trait Pieces {
    /// Appends the next piece; says whether there was one.
    fn next_piece(&mut self, out: &mut Vec<u8>) -> Result<More, cms::Error>;
}

/// Whether there was a piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::smime) enum More {
    Piece,
    Ended,
}

impl<R: Read> Pieces for SignedReader<R> {
    fn next_piece(&mut self, out: &mut Vec<u8>) -> Result<More, cms::Error> {
        let Some(next) = self.next_piece()? else { return Ok(More::Ended) };
        next.chunks(1 << 10).for_each(|piece| out.extend_from_slice(piece));
        Ok(More::Piece)
    }
}

impl<R: Read> Pieces for Decrypting<R> {
    fn next_piece(&mut self, out: &mut Vec<u8>) -> Result<More, cms::Error> {
        let before = out.len();
        self.append(out)?;
        Ok(if out.len() > before { More::Piece } else { More::Ended })
    }
}

impl<R: Read> Pieces for CompressedReader<R> {
    fn next_piece(&mut self, out: &mut Vec<u8>) -> Result<More, cms::Error> {
        let before = out.len();
        // filled up, however little the structure gives at a time: room for each of its pieces would cost more than the work
        out.resize(before.saturating_add(GATHERED), 0);
        let mut end = before;
        while let Some(room) = out.get_mut(end..).filter(|room| !room.is_empty()) {
            match self.read(room)? {
                0 => break,
                read => end = end.saturating_add(read),
            }
        }
        out.truncate(end);
        Ok(if end > before { More::Piece } else { More::Ended })
    }
}

/// Pieces of others are of 4 KiB or less: so many bytes of them are gathered, since each hand-over costs.
const GATHERED: usize = 32 << 10;

/// Pieces as a stream. An error of the structure is kept for the layer whose structure it is; the reader sees that the source failed.
pub(in crate::smime) struct PieceStream<P> {
    pub(in crate::smime) pieces: P,
    pub(in crate::smime) error: Option<cms::Error>,
    piece: Piece,
    at: usize,
    is_ended: bool,
}

impl<P: Pieces> PieceStream<P> {
    pub(in crate::smime) fn new(pieces: P) -> Self {
        Self { pieces, error: None, piece: Piece::new(), at: 0, is_ended: false }
    }
}

impl<P: Pieces> BufRead for PieceStream<P> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.error.is_some() {
            return Err(io::Error::other("the layer around failed"));
        }
        if self.at == self.piece.expose().len() && !self.is_ended {
            (self.at, _) = (0, self.piece.clear());
            while !self.is_ended && self.piece.expose().len() < GATHERED {
                match self.pieces.next_piece(self.piece.expose_mut()) {
                    Ok(more) => self.is_ended = more == More::Ended,
                    Err(error) => {
                        self.piece.wipe();
                        self.error = Some(error);
                        return Err(io::Error::other("the layer around failed"));
                    }
                }
            }
        }
        Ok(self.piece.expose().get(self.at..).unwrap_or_default())
    }

    fn consume(&mut self, bytes: usize) {
        self.at = self.at.saturating_add(bytes).min(self.piece.expose().len());
    }
}

impl<P: Pieces> Read for PieceStream<P> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        stream::copy_out(self, out)
    }
}

/// Content that is hashed as it is taken, and held where a signature is over the content itself.
pub(in crate::smime::peel) struct Hashing<B> {
    pub(in crate::smime::peel) source: B,
    pub(in crate::smime::peel) hash: ContentHash,
    held: Option<Held>,
}

/// Content in memory, up to a bound.
struct Held {
    bytes: Vec<u8>,
    limit: usize,
}

impl<B: BufRead> Hashing<B> {
    /// Hashes; with a limit the content is held, too.
    pub(in crate::smime::peel) fn new(source: B, hash: ContentHash, hold: Option<usize>) -> Self {
        Self { source, hash, held: hold.map(|limit| Held { bytes: Vec::new(), limit }) }
    }

    /// The source, the hash, and the content where it was held.
    pub(in crate::smime::peel) fn into_parts(self) -> Result<(B, ContentHash, Option<Vec<u8>>), LimitReached> {
        match self.held {
            Some(held) if held.bytes.len() > held.limit => {
                let limit = u64::try_from(held.limit).unwrap_or(u64::MAX);
                Err(LimitReached { name: "held bytes", limit })
            }
            held => Ok((self.source, self.hash, held.map(|held| held.bytes))),
        }
    }
}

impl<B: BufRead> BufRead for Hashing<B> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.source.fill_buf()
    }

    fn consume(&mut self, bytes: usize) {
        if let Ok(window) = self.source.fill_buf() {
            let taken = window.get(..bytes.min(window.len())).unwrap_or_default();
            self.hash.update(taken);
            if let Some(held) = self.held.as_mut().filter(|held| held.bytes.len() <= held.limit) {
                held.bytes.extend_from_slice(taken);
            }
        }
        self.source.consume(bytes);
    }
}

impl<B: BufRead> Read for Hashing<B> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        stream::copy_out(self, out)
    }
}
