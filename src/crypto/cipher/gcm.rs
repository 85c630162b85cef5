//! Galois/Counter Mode when the authenticated data comes last (NIST SP 800-38D).
//!
//! GHASH is a polynomial in H: hashing A and then C gives GHASH(A)·H^c + GHASH(C), where c is the number of blocks of C. So the
//! ciphertext is hashed as it passes, and the authenticated data, which CMS puts after it (RFC 5083), is shifted over it at the end.

use super::ghash::Ghash;
use super::modes::{self, Counter, Keystream};
use super::pieces::{BlockHash, Blockwise, STRIDE, append};
use super::{Aead, Direction, lengths, overflow};
use crate::crypto::Error;
use crate::crypto::provider::Provider;

pub(super) struct Gcm {
    direction: Direction,
    keystream: Box<dyn Keystream>,
    hash: LateGhash,
    mask: [u8; 16],
    left: u64,
    overflow: bool,
}

/// SP 800-38D 5.2.1.1: 2^39 - 256 bits under one nonce.
const MOST: u64 = (1 << 36) - 32;

impl Gcm {
    pub(super) fn new(provider: Provider, key: &[u8], iv: &[u8], direction: Direction) -> Result<Self, Error> {
        // SP 800-38D 5.2.1.1: an empty one would make the mask of every message the same
        if iv.is_empty() {
            return Err(lengths(()));
        }
        let mut keystream = modes::keystream(provider, key, Counter::Low32)?;
        let mut h = [0; 16];
        let mut mask = [0; 16];
        let mut done = keystream.apply(&mut h);
        let first: [u8; 16] = if iv.len() == 12 {
            let mut first = [0; 16];
            first[..12].copy_from_slice(iv);
            first[15] = 1;
            first
        } else {
            hash_iv(h, iv)
        };
        keystream.restart(first);
        done &= keystream.apply(&mut mask);
        if !done {
            return Err(lengths(()));
        }
        Ok(Self { direction, keystream, hash: LateGhash::new(h), mask, left: MOST, overflow: false })
    }
}

impl Aead for Gcm {
    fn update(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        for piece in bytes.chunks(STRIDE) {
            match self.left.checked_sub(u64::try_from(piece.len()).unwrap_or(u64::MAX)) {
                Some(left) if !self.overflow => self.left = left,
                _ => {
                    self.overflow = true;
                    return;
                }
            }
            if self.direction == Direction::Decrypt {
                self.hash.update(piece);
            }
            let from = out.len();
            append(out, piece);
            let fresh = out.get_mut(from..).unwrap_or_default();
            if !self.keystream.apply(fresh) {
                self.overflow = true;
                out.truncate(from);
                return;
            }
            if self.direction == Direction::Encrypt {
                self.hash.update(fresh);
            }
        }
    }

    fn finish(self: Box<Self>, aad: &[u8]) -> Result<[u8; 16], Error> {
        if self.overflow {
            return Err(overflow(self.direction));
        }
        Ok(xor(self.hash.finish(aad), self.mask))
    }
}

/// The hash of a ciphertext that passes in pieces.
struct LateGhash {
    h: [u8; 16],
    state: Blockwise<Ghash>,
}

impl LateGhash {
    /// Starts with the hash key H.
    fn new(h: [u8; 16]) -> Self {
        Self { h, state: Blockwise::new(Ghash::new(h)) }
    }

    /// Adds ciphertext.
    fn update(&mut self, bytes: &[u8]) {
        self.state.update(bytes);
    }

    /// Ends with the authenticated data.
    fn finish(self, aad: &[u8]) -> [u8; 16] {
        let (state, bytes) = self.state.padded();
        let mut hash = state.finish();
        if !aad.is_empty() {
            let mut of_aad = Blockwise::new(Ghash::new(self.h));
            of_aad.update(aad);
            let shifted = multiply(of_aad.padded().0.finish(), power(self.h, bytes.div_ceil(16)));
            hash = xor(hash, shifted);
        }
        let bits = |bytes: u64| bytes.wrapping_mul(8).to_be_bytes();
        let mut lengths = [0; 16];
        lengths[..8].copy_from_slice(&bits(u64::try_from(aad.len()).unwrap_or(0)));
        lengths[8..].copy_from_slice(&bits(bytes));
        multiply(xor(hash, lengths), self.h)
    }
}

/// The hash of an initialization vector that is not 12 bytes long (SP 800-38D 7.1).
fn hash_iv(h: [u8; 16], iv: &[u8]) -> [u8; 16] {
    let mut hash = LateGhash::new(h);
    hash.update(iv);
    hash.finish(&[])
}

/// a·b in the field of GHASH.
fn multiply(a: [u8; 16], b: [u8; 16]) -> [u8; 16] {
    let mut product = Ghash::new(a);
    product.blocks(&[b]);
    product.finish()
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
