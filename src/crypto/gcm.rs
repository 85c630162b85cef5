//! The hash of Galois/Counter Mode when the authenticated data comes last (NIST SP 800-38D).
//!
//! GHASH is a polynomial in H: hashing A and then C gives GHASH(A)·H^c + GHASH(C), where c is the number of blocks of C. So the
//! ciphertext is hashed as it passes, and the authenticated data, which CMS puts after it (RFC 5083), is shifted over it at the end.

use ghash::universal_hash::UniversalHash;
use ghash::{Block, GHash};

/// The hash of a ciphertext that passes in pieces.
pub(in crate::crypto) struct LateGhash {
    h: [u8; 16],
    state: GHash,
    pending: Vec<u8>,
    bytes: u64,
}

impl LateGhash {
    /// Starts with the hash key H.
    pub(in crate::crypto) fn new(h: [u8; 16]) -> Self {
        Self { h, state: GHash::new(&h.into()), pending: Vec::with_capacity(16), bytes: 0 }
    }

    /// Adds ciphertext.
    pub(in crate::crypto) fn update(&mut self, mut bytes: &[u8]) {
        self.bytes = self.bytes.wrapping_add(u64::try_from(bytes.len()).unwrap_or(0));
        if !self.pending.is_empty() {
            let take = bytes.len().min(16 - self.pending.len());
            let (head, rest) = bytes.split_at(take);
            self.pending.extend_from_slice(head);
            bytes = rest;
            if self.pending.len() < 16 {
                return;
            }
            self.state.update_padded(&self.pending);
            self.pending.clear();
        }
        let (blocks, rest) = Block::slice_as_chunks(bytes);
        self.state.update(blocks);
        self.pending.extend_from_slice(rest);
    }

    /// Ends with the authenticated data.
    pub(in crate::crypto) fn finish(mut self, aad: &[u8]) -> [u8; 16] {
        if !self.pending.is_empty() {
            self.state.update_padded(&self.pending);
        }
        let mut hash: [u8; 16] = self.state.finalize().into();
        if !aad.is_empty() {
            let mut of_aad = GHash::new(&self.h.into());
            of_aad.update_padded(aad);
            let shifted = multiply(of_aad.finalize().into(), power(self.h, self.bytes.div_ceil(16)));
            hash = xor(hash, shifted);
        }
        let bits = |bytes: u64| bytes.wrapping_mul(8).to_be_bytes();
        let mut lengths = [0; 16];
        lengths[..8].copy_from_slice(&bits(u64::try_from(aad.len()).unwrap_or(0)));
        lengths[8..].copy_from_slice(&bits(self.bytes));
        multiply(xor(hash, lengths), self.h)
    }
}

/// The hash of an initialization vector that is not 12 bytes long (SP 800-38D 7.1).
pub(in crate::crypto) fn hash_iv(h: [u8; 16], iv: &[u8]) -> [u8; 16] {
    let mut hash = LateGhash::new(h);
    hash.update(iv);
    hash.finish(&[])
}

/// a·b in the field of GHASH.
fn multiply(a: [u8; 16], b: [u8; 16]) -> [u8; 16] {
    let mut product = GHash::new(&a.into());
    product.update(&[b.into()]);
    product.finalize().into()
}

/// h^exponent in the field of GHASH.
fn power(h: [u8; 16], mut exponent: u64) -> [u8; 16] {
    // 1 in the bit order of GHASH
    let mut result = [0; 16];
    result[0] = 0x80;
    let mut square = h;
    while exponent > 0 {
        if exponent & 1 == 1 {
            result = multiply(result, square);
        }
        square = multiply(square, square);
        exponent >>= 1;
    }
    result
}

fn xor(mut a: [u8; 16], b: [u8; 16]) -> [u8; 16] {
    a.iter_mut().zip(b).for_each(|(a, b)| *a ^= b);
    a
}
