//! AES in chained blocks and in counter mode. Each call takes a vector of its own, which is kept here from piece to piece.

use aws_lc_rs::cipher::{
    AES_128, AES_192, AES_256, DecryptingKey, DecryptionContext, EncryptingKey, EncryptionContext, UnboundCipherKey,
};
use aws_lc_rs::iv::FixedLength;

use crate::crypto::cipher::{Blocks, Counter, Keystream};

const BLOCK: usize = 16;

struct CbcEncrypt {
    key: EncryptingKey,
    iv: [u8; BLOCK],
}

struct CbcDecrypt {
    key: DecryptingKey,
    iv: [u8; BLOCK],
}

/// CBC that encrypts.
pub(in crate::crypto) fn cbc_encrypt(key: &[u8], iv: &[u8]) -> Option<Box<dyn Blocks>> {
    let key = EncryptingKey::cbc(aes(key)?).ok()?;
    Some(Box::new(CbcEncrypt { key, iv: iv.try_into().ok()? }))
}

/// CBC that decrypts.
pub(in crate::crypto) fn cbc_decrypt(key: &[u8], iv: &[u8]) -> Option<Box<dyn Blocks>> {
    let key = DecryptingKey::cbc(aes(key)?).ok()?;
    Some(Box::new(CbcDecrypt { key, iv: iv.try_into().ok()? }))
}

impl Blocks for CbcEncrypt {
    fn run(&mut self, blocks: &mut [u8]) -> bool {
        let context = EncryptionContext::Iv128(FixedLength::from(self.iv));
        let done = self.key.less_safe_encrypt(blocks, context).is_ok();
        if let Some(last) = blocks.last_chunk() {
            self.iv = *last;
        }
        done
    }
}

impl Blocks for CbcDecrypt {
    fn run(&mut self, blocks: &mut [u8]) -> bool {
        let next = blocks.last_chunk().copied().unwrap_or(self.iv);
        let context = DecryptionContext::Iv128(FixedLength::from(self.iv));
        self.iv = next;
        self.key.decrypt(blocks, context).is_ok()
    }
}

/// Counter mode, from a counter of zeros.
pub(in crate::crypto) fn keystream(key: &[u8], width: Counter) -> Option<Box<dyn Keystream>> {
    let key = EncryptingKey::ctr(aes(key)?).ok()?;
    Some(Box::new(Counting { key, width, counter: 0, started: [0; BLOCK], used: BLOCK }))
}

struct Counting {
    key: EncryptingKey,
    width: Counter,
    /// The next block.
    counter: u128,
    /// The keystream of a block that is used in part.
    started: [u8; BLOCK],
    used: usize,
}

impl Counting {
    /// Puts the keystream of whole blocks (the last may be cut) over the bytes.
    fn blocks(&mut self, mut bytes: &mut [u8]) -> bool {
        while !bytes.is_empty() {
            // AWS-LC counts with all 128 bits; GCM wants the carry of the low 32 to be lost
            let most = match self.width {
                Counter::Low32 => usize::try_from((1_u128 << 32) - (self.counter & LOW32)).unwrap_or(usize::MAX),
                Counter::Whole => usize::MAX,
            };
            let len = bytes.len().min(most.saturating_mul(BLOCK));
            let (now, later) = bytes.split_at_mut(len);
            let context = EncryptionContext::Iv128(FixedLength::from(self.counter.to_be_bytes()));
            if self.key.less_safe_encrypt(now, context).is_err() {
                return false;
            }
            self.advance(now.len().div_ceil(BLOCK));
            bytes = later;
        }
        true
    }

    fn advance(&mut self, blocks: usize) {
        let next = self.counter.wrapping_add(u128::try_from(blocks).unwrap_or(0));
        self.counter = match self.width {
            Counter::Low32 => (self.counter & !LOW32) | (next & LOW32),
            Counter::Whole => next,
        };
    }
}

const LOW32: u128 = 0xffff_ffff;

impl Keystream for Counting {
    fn apply(&mut self, bytes: &mut [u8]) -> bool {
        let left = self.started.get(self.used..).unwrap_or_default();
        let (head, rest) = bytes.split_at_mut(left.len().min(bytes.len()));
        head.iter_mut().zip(left).for_each(|(byte, key)| *byte ^= key);
        self.used += head.len();
        let (whole, tail) = rest.split_at_mut(rest.len() / BLOCK * BLOCK);
        if !self.blocks(whole) {
            return false;
        }
        if tail.is_empty() {
            return true;
        }
        let mut next = [0; BLOCK];
        if !self.blocks(&mut next) {
            return false;
        }
        tail.iter_mut().zip(next).for_each(|(byte, key)| *byte ^= key);
        (self.started, self.used) = (next, tail.len());
        true
    }

    fn restart(&mut self, counter: [u8; BLOCK]) {
        self.counter = u128::from_be_bytes(counter);
        self.used = BLOCK;
    }
}

fn aes(key: &[u8]) -> Option<UnboundCipherKey> {
    let algorithm = match key.len() {
        16 => &AES_128,
        24 => &AES_192,
        32 => &AES_256,
        _ => return None,
    };
    UnboundCipherKey::new(algorithm, key).ok()
}
