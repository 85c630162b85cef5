//! What passes by on its way to the next layer: pieces of a structure, hashed or decrypted as they go.

use std::io::{self, BufRead, Read};

use crate::cms::{self, CompressedReader, ContentHash, Decrypting, SignedReader};
use crate::limits::LimitReached;
use crate::mime::stream;
use crate::secret::scratch::Piece;
use crate::smime::effort::{Effort, stopped};

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

/// A reader whose pieces are counted with those of all layers.
pub(in crate::smime) struct Spending<R> {
    pub(in crate::smime) reader: R,
    pub(in crate::smime) effort: Effort,
    /// What a byte costs (see [`Effort::take`]).
    pub(in crate::smime) cost: u64,
}

impl<R: Read> Pieces for Spending<Decrypting<R>> {
    fn next_piece(&mut self, out: &mut Vec<u8>) -> Result<More, cms::Error> {
        let before = out.len();
        self.reader.append(out)?;
        let given = out.len().saturating_sub(before);
        self.effort.take(given, self.cost)?;
        Ok(if given > 0 { More::Piece } else { More::Ended })
    }
}

impl<R: Read> Pieces for Spending<CompressedReader<R>> {
    fn next_piece(&mut self, out: &mut Vec<u8>) -> Result<More, cms::Error> {
        let before = out.len();
        // filled up, however little the structure gives at a time: room for each of its pieces would cost more than the work
        out.resize(before.saturating_add(GATHERED), 0);
        let mut end = before;
        while let Some(room) = out.get_mut(end..).filter(|room| !room.is_empty()) {
            match self.reader.read(room)? {
                0 => break,
                read => {
                    self.effort.unpack(read)?;
                    end = end.saturating_add(read);
                }
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
    share: Share,
    held: Option<Vec<u8>>,
    reached: Option<LimitReached>,
}

/// What the content of one signed layer costs, and whether it is held.
pub(in crate::smime) struct Share {
    pub(in crate::smime::peel) effort: Effort,
    pub(in crate::smime::peel) cost: u64,
    pub(in crate::smime::peel) holds: bool,
}

impl<B: BufRead> Hashing<B> {
    pub(in crate::smime::peel) fn new(source: B, hash: ContentHash, share: Share) -> Self {
        let held = share.holds.then(Vec::new);
        Self { source, hash, share, held, reached: None }
    }

    /// The source, the hash, and the content where it was held; all of it came.
    pub(in crate::smime::peel) fn into_parts(self) -> io::Result<(B, ContentHash, Option<Vec<u8>>)> {
        match self.reached {
            Some(limit) => Err(stopped(&limit)),
            None => Ok((self.source, self.hash, self.held)),
        }
    }

    fn spend(&mut self, bytes: usize) -> Result<(), LimitReached> {
        self.share.effort.take(bytes, self.share.cost)?;
        if self.held.is_some() { self.share.effort.hold(bytes) } else { Ok(()) }
    }
}

impl<B: BufRead> BufRead for Hashing<B> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        match &self.reached {
            Some(limit) => Err(stopped(limit)),
            None => self.source.fill_buf(),
        }
    }

    fn consume(&mut self, bytes: usize) {
        let len = self.source.fill_buf().map_or(0, |window| bytes.min(window.len()));
        match self.spend(len) {
            Ok(()) => {
                if let Ok(window) = self.source.fill_buf() {
                    let taken = window.get(..len).unwrap_or_default();
                    self.hash.update(taken);
                    if let Some(held) = &mut self.held {
                        held.extend_from_slice(taken);
                    }
                }
            }
            Err(limit) => self.reached = Some(limit),
        }
        self.source.consume(bytes);
    }
}

impl<B: BufRead> Read for Hashing<B> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        stream::copy_out(self, out)
    }
}
