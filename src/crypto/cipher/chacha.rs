//! ChaCha20-Poly1305 in pieces (RFC 8439 2.8, RFC 8103).
//!
//! Poly1305 hashes the authenticated data first. In CMS there is none as a rule: authenticated attributes are for content that is not
//! plain data (RFC 5083 2.1). So a first pass takes it for granted, and is told at the end.

use ::cipher::{KeyIvInit, StreamCipher};
use chacha20::ChaCha20;
use poly1305::Poly1305;
use poly1305::universal_hash::{KeyInit, UniversalHash};

use super::pieces::{Blockwise, STRIDE, append};
use super::{Aead, Direction, Foreknown, lengths, overflow};
use crate::crypto::Error;
use crate::secret::Secret;

pub(super) struct ChaCha {
    direction: Direction,
    keystream: ChaCha20,
    hash: Blockwise<Poly1305>,
    aad: Vec<u8>,
    is_knowing: bool,
    overflow: bool,
}

impl ChaCha {
    pub(super) fn new(key: &[u8], nonce: &[u8], direction: Direction, foreknown: Option<&Foreknown>) -> Result<Self, Error> {
        let mut keystream = ChaCha20::new_from_slices(key, nonce).map_err(lengths)?;
        // RFC 8439 2.6: half of the first block is the key of the hash; the content starts with the second
        let mut first = Secret::new([0; 64]);
        keystream.apply_keystream(first.expose_mut());
        let (hash_key, _) = first.expose().split_at(32);
        let mut state = Poly1305::new_from_slice(hash_key).map_err(lengths)?;
        let aad = foreknown.map(|foreknown| foreknown.aad.clone()).unwrap_or_default();
        state.update_padded(&aad);
        let is_knowing = foreknown.is_some();
        Ok(Self { direction, keystream, hash: Blockwise::new(state), aad, is_knowing, overflow: false })
    }
}

impl Aead for ChaCha {
    fn update(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        for piece in bytes.chunks(STRIDE) {
            if self.overflow {
                return;
            }
            if self.direction == Direction::Decrypt {
                self.hash.update(piece);
            }
            let from = out.len();
            append(out, piece);
            let fresh = out.get_mut(from..).unwrap_or_default();
            if self.keystream.try_apply_keystream(fresh).is_err() {
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
        if self.aad != aad {
            return Err(if self.is_knowing { Error::TagMismatch } else { Error::Foreknowledge });
        }
        let (mut state, bytes) = self.hash.padded();
        let mut lengths = [0; 16];
        lengths[..8].copy_from_slice(&u64::try_from(aad.len()).unwrap_or(0).to_le_bytes());
        lengths[8..].copy_from_slice(&bytes.to_le_bytes());
        state.update(&[lengths.into()]);
        Ok(state.finalize().into())
    }
}
