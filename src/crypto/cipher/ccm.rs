//! Counter with CBC-MAC in pieces (NIST SP 800-38C, RFC 5084).
//!
//! Its first block holds the length of the content and whether there is authenticated data; CMS tells both after the ciphertext. So a
//! first pass gives nothing, and the second one knows.

use super::modes::{self, BlockMode, Counter, Keystream};
use super::pieces::{STRIDE, append};
use super::{Aead, Direction, Foreknown, lengths, overflow};
use crate::crypto::Error;
use crate::crypto::algorithm::CipherParameters;
use crate::crypto::provider::Provider;
use crate::secret::Secret;

/// A first pass.
pub(super) struct Blind;

impl Aead for Blind {
    fn update(&mut self, _bytes: &[u8], _out: &mut Vec<u8>) {}

    fn finish(self: Box<Self>, _aad: &[u8]) -> Result<[u8; 16], Error> {
        Err(Error::Foreknowledge)
    }
}

pub(super) struct Ccm {
    direction: Direction,
    keystream: Box<dyn Keystream>,
    mac: CbcMac,
    mask: [u8; 16],
    foreknown: Foreknown,
    seen: u64,
    failed: bool,
}

impl Ccm {
    pub(super) fn new(
        provider: Provider,
        key: &[u8],
        parameters: &CipherParameters,
        direction: Direction,
        foreknown: &Foreknown,
    ) -> Result<Self, Error> {
        let nonce = parameters.iv.as_slice();
        // SP 800-38C appendix A: nonce and length share 15 bytes
        let length_len = 15_usize.checked_sub(nonce.len()).filter(|len| (2..=8).contains(len)).ok_or(lengths(()))?;
        let length = foreknown.content_len.to_be_bytes();
        let (above, length) = length.split_at(8 - length_len);
        if above.iter().any(|byte| *byte != 0) {
            return Err(overflow(direction));
        }
        let flags = |bits: usize| u8::try_from(bits | (length_len - 1)).unwrap_or(0);
        let block = |flags: u8, length: &[u8]| -> [u8; 16] {
            let mut block = [0; 16];
            block.iter_mut().zip([&[flags], nonce, length].concat()).for_each(|(to, from)| *to = from);
            block
        };
        let with_aad = if foreknown.aad.is_empty() { 0 } else { 0x40 };
        let tag_bits = parameters.tag_len.saturating_sub(2) / 2 * 8;
        let mut mac = CbcMac::new(provider, key)?;
        mac.update(&block(flags(with_aad | tag_bits), length));
        if !foreknown.aad.is_empty() {
            mac.update(&aad_length(foreknown.aad.len()));
            mac.update(&foreknown.aad);
            mac.pad();
        }
        let mut keystream = modes::keystream(provider, key, Counter::Whole)?;
        keystream.restart(block(flags(0), &[]));
        let mut mask = [0; 16];
        let failed = !keystream.apply(&mut mask);
        Ok(Self { direction, keystream, mac, mask, foreknown: foreknown.clone(), seen: 0, failed })
    }
}

impl Aead for Ccm {
    fn update(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        for piece in bytes.chunks(STRIDE) {
            self.seen = self.seen.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
            // more than the length that the counter was made for would run into the nonce
            self.failed |= self.seen > self.foreknown.content_len;
            if self.failed {
                return;
            }
            if self.direction == Direction::Encrypt {
                self.mac.update(piece);
            }
            let from = out.len();
            append(out, piece);
            let fresh = out.get_mut(from..).unwrap_or_default();
            if !self.keystream.apply(fresh) {
                self.failed = true;
                out.truncate(from);
                return;
            }
            if self.direction == Direction::Decrypt {
                self.mac.update(fresh);
            }
        }
    }

    fn finish(mut self: Box<Self>, aad: &[u8]) -> Result<[u8; 16], Error> {
        self.mac.pad();
        if self.failed || self.seen != self.foreknown.content_len || aad != self.foreknown.aad {
            return Err(match self.direction {
                Direction::Encrypt => Error::Malformed { what: "content that is not what was announced to the cipher" },
                Direction::Decrypt => Error::TagMismatch,
            });
        }
        let mut tag = self.mac.finish()?;
        tag.iter_mut().zip(self.mask).for_each(|(to, mask)| *to ^= mask);
        Ok(tag)
    }
}

/// The last block of an encryption that nobody sees.
struct CbcMac {
    mode: BlockMode,
    fed: usize,
    scratch: Secret<Vec<u8>>,
    last: [u8; 16],
}

impl CbcMac {
    fn new(provider: Provider, key: &[u8]) -> Result<Self, Error> {
        let mode = BlockMode::aes(provider, key, &[0; 16], Direction::Encrypt)?;
        Ok(Self { mode, fed: 0, scratch: Secret::new(Vec::with_capacity(STRIDE + 16)), last: [0; 16] })
    }

    fn update(&mut self, bytes: &[u8]) {
        for piece in bytes.chunks(STRIDE) {
            self.fed = (self.fed + piece.len()) % 16;
            let scratch = self.scratch.expose_mut();
            scratch.clear();
            self.mode.update(piece, scratch);
            if let Some(last) = scratch.last_chunk() {
                self.last = *last;
            }
        }
    }

    /// Fills the block with zeros.
    fn pad(&mut self) {
        if self.fed > 0 {
            self.update(&[0; 16][self.fed..]);
        }
    }

    fn finish(self) -> Result<[u8; 16], Error> {
        self.mode.finish_whole()?;
        Ok(self.last)
    }
}

/// SP 800-38C appendix A.2.2.
fn aad_length(len: usize) -> Vec<u8> {
    if let Ok(short) = u16::try_from(len)
        && short < 0xff00
    {
        return short.to_be_bytes().to_vec();
    }
    match u32::try_from(len) {
        Ok(len) => [&[0xff, 0xfe], len.to_be_bytes().as_slice()].concat(),
        Err(_) => [&[0xff, 0xff], u64::try_from(len).unwrap_or(u64::MAX).to_be_bytes().as_slice()].concat(),
    }
}
