//! A source that gives its bytes in pieces, of sizes that the bytes decide.

use std::io::{self, Cursor, Read, Seek, SeekFrom};

/// Bytes in pieces. The sizes go on after a seek: every pass sees others.
pub struct Pieces<'a> {
    source: Cursor<&'a [u8]>,
    random: u64,
    most: u64,
}

impl<'a> Pieces<'a> {
    /// Gives these bytes in pieces.
    pub fn new(bytes: &'a [u8]) -> Self {
        let random = choice(bytes);
        let most = [1, 3, 80, 5_000, 200_000][(random % 5) as usize];
        Self { source: Cursor::new(bytes), random, most }
    }
}

impl Read for Pieces<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        // xorshift64*
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        let len = 1 + self.random.wrapping_mul(0x2545_f491_4f6c_dd1d) % self.most;
        let len = out.len().min(len as usize);
        self.source.read(&mut out[..len])
    }
}

impl Seek for Pieces<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.source.seek(to)
    }
}

/// A number that the bytes decide (FNV-1a), never 0.
pub fn choice(bytes: &[u8]) -> u64 {
    let hash =
        bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    (hash ^ (hash >> 31)) | 1
}

/// The bytes line by line, each with its end: a peer that waits for the answer to each.
pub fn by_lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split_inclusive(|byte| *byte == b'\n')
}
