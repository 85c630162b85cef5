//! Content in strides that stay in the nearest cache.

use digest::block_api::BlockSizeUser;
use ghash::universal_hash::{Block, UniversalHash};

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

/// A universal hash over blocks of 16 bytes, of bytes that come in any pieces.
pub(super) struct Blockwise<H: UniversalHash> {
    state: H,
    pending: Secret<Vec<u8>>,
    bytes: u64,
}

impl<H: UniversalHash + BlockSizeUser> Blockwise<H> {
    pub(super) fn new(state: H) -> Self {
        Self { state, pending: Secret::new(Vec::with_capacity(H::block_size())), bytes: 0 }
    }

    /// Adds bytes.
    pub(super) fn update(&mut self, mut bytes: &[u8]) {
        self.bytes = self.bytes.wrapping_add(u64::try_from(bytes.len()).unwrap_or(0));
        let pending = self.pending.expose_mut();
        if !pending.is_empty() {
            let (head, rest) = bytes.split_at(bytes.len().min(H::block_size().saturating_sub(pending.len())));
            pending.extend_from_slice(head);
            bytes = rest;
            if pending.len() < H::block_size() {
                return;
            }
            self.state.update_padded(pending);
            pending.clear();
        }
        let (blocks, rest) = Block::<H>::slice_as_chunks(bytes);
        self.state.update(blocks);
        pending.extend_from_slice(rest);
    }

    /// Fills the last block with zeros; gives the state and how many bytes there were.
    pub(super) fn padded(mut self) -> (H, u64) {
        if !self.pending.expose().is_empty() {
            self.state.update_padded(self.pending.expose());
        }
        (self.state, self.bytes)
    }
}
