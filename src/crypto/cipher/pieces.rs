//! Content in strides that stay in the nearest cache.

use poly1305::Poly1305;
use poly1305::universal_hash::{Block, UniversalHash};

use crate::secret::Secret;

/// Bytes that are copied, run through the cipher and hashed before the next ones are touched; source and target together fill half of a
/// first-level cache of 32 KiB. A multiple of every block.
pub(super) const STRIDE: usize = 8 << 10;

/// Bytes of one copy: longer ones are made by an instruction that takes fifteen times as long where source and target lie at nearly the
/// same offset in their pages, as equal buffers do.
const COPY: usize = 1 << 10;

/// Appends the bytes.
pub(super) fn append(out: &mut Vec<u8>, bytes: &[u8]) {
    out.reserve(bytes.len());
    bytes.chunks(COPY).for_each(|piece| out.extend_from_slice(piece));
}

/// A universal hash over blocks of 16 bytes.
pub(super) trait BlockHash {
    /// Adds whole blocks.
    fn blocks(&mut self, blocks: &[[u8; BLOCK]]);
}

const BLOCK: usize = 16;

impl BlockHash for Poly1305 {
    fn blocks(&mut self, blocks: &[[u8; BLOCK]]) {
        self.update(Block::<Self>::cast_slice_from_core(blocks));
    }
}

/// A universal hash of bytes that come in any pieces.
pub(super) struct Blockwise<H: BlockHash> {
    state: H,
    pending: Secret<Vec<u8>>,
    bytes: u64,
}

impl<H: BlockHash> Blockwise<H> {
    pub(super) fn new(state: H) -> Self {
        Self { state, pending: Secret::new(Vec::with_capacity(BLOCK)), bytes: 0 }
    }

    /// Adds bytes.
    pub(super) fn update(&mut self, mut bytes: &[u8]) {
        self.bytes = self.bytes.wrapping_add(u64::try_from(bytes.len()).unwrap_or(0));
        let pending = self.pending.expose_mut();
        if !pending.is_empty() {
            let (head, rest) = bytes.split_at(bytes.len().min(BLOCK.saturating_sub(pending.len())));
            pending.extend_from_slice(head);
            bytes = rest;
            if pending.len() < BLOCK {
                return;
            }
            self.state.blocks(&[filled(pending)]);
            pending.clear();
        }
        let (blocks, rest) = bytes.as_chunks();
        self.state.blocks(blocks);
        pending.extend_from_slice(rest);
    }

    /// Fills the last block with zeros; gives the state and how many bytes there were.
    pub(super) fn padded(mut self) -> (H, u64) {
        if !self.pending.expose().is_empty() {
            self.state.blocks(&[filled(self.pending.expose())]);
        }
        (self.state, self.bytes)
    }
}

/// At most one block, filled with zeros.
fn filled(bytes: &[u8]) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    block.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    block
}
