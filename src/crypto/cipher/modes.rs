//! Block ciphers in their modes: chained blocks and counters, by whoever does it fastest.

use aes::{Aes128, Aes192, Aes256};
use cipher::{
    BlockCipherDecrypt, BlockCipherEncrypt, BlockModeDecrypt, BlockModeEncrypt, BlockSizeUser, InnerIvInit, KeyInit,
    StreamCipher, StreamCipherCoreWrapper, consts::U16,
};
use ctr::flavors::{Ctr32BE, Ctr128BE};
use ctr::{CtrCore, CtrFlavor};

use super::pieces::{STRIDE, append};
use super::{Direction, Pending, lengths};
use crate::crypto::Error;
use crate::crypto::algorithm::ContentCipher;
use crate::crypto::provider::{self, Provider};
use crate::secret::Secret;

/// A block mode over whole blocks; says whether it was done.
pub(in crate::crypto) trait Blocks: Send {
    fn run(&mut self, blocks: &mut [u8]) -> bool;
}

/// A keystream that is put over bytes; says whether it was done.
pub(in crate::crypto) trait Keystream: Send {
    fn apply(&mut self, bytes: &mut [u8]) -> bool;

    /// Goes on with this counter block.
    fn restart(&mut self, counter: [u8; 16]);
}

/// How much of the counter block counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::crypto) enum Counter {
    /// The last 32 bits (GCM).
    Low32,
    /// All of it.
    Whole,
}

/// Chained blocks of bytes that come in any pieces.
pub(super) struct BlockMode {
    mode: Box<dyn Blocks>,
    block: usize,
    /// Whether a whole last block stays back: it may be padding.
    keeps_last: bool,
    pending: Pending,
    failed: bool,
}

impl BlockMode {
    pub(super) fn new(
        provider: Provider,
        cipher: ContentCipher,
        key: &[u8],
        iv: &[u8],
        direction: Direction,
    ) -> Result<Self, Error> {
        use ContentCipher as C;
        match cipher {
            C::DesEde3Cbc => Ok(Self::over(chained::<des::TdesEde3>(key, iv, direction)?, 8, direction)),
            C::DesCbc => Ok(Self::over(chained::<des::Des>(key, iv, direction)?, 8, direction)),
            C::Rc2Cbc { effective_bits } => {
                let cipher = rc2::Rc2::new_with_eff_key_len(key, usize::try_from(effective_bits).unwrap_or(128));
                Ok(Self::over(chained_by(cipher, iv, direction)?, 8, direction))
            }
            _ => Self::aes(provider, key, iv, direction),
        }
    }

    pub(super) fn aes(provider: Provider, key: &[u8], iv: &[u8], direction: Direction) -> Result<Self, Error> {
        let fast = match direction {
            _ if provider == Provider::Rust => None,
            Direction::Encrypt => provider::cbc_encrypt(key, iv),
            Direction::Decrypt => provider::cbc_decrypt(key, iv),
        };
        let mode = match (fast, key.len()) {
            (Some(mode), _) => mode,
            (None, 16) => chained::<Aes128>(key, iv, direction)?,
            (None, 24) => chained::<Aes192>(key, iv, direction)?,
            (None, _) => chained::<Aes256>(key, iv, direction)?,
        };
        Ok(Self::over(mode, 16, direction))
    }

    fn over(mode: Box<dyn Blocks>, block: usize, direction: Direction) -> Self {
        let keeps_last = direction == Direction::Decrypt;
        Self { mode, block, keeps_last, pending: Secret::new(Vec::with_capacity(block)), failed: false }
    }

    /// Gives the last block as soon as it is whole.
    pub(super) fn release_whole_blocks(&mut self) {
        self.keeps_last = false;
    }

    /// Takes more; appends the blocks that are whole.
    pub(super) fn update(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let total = self.pending.expose().len().saturating_add(bytes.len());
        let whole = if self.keeps_last { total.saturating_sub(1) } else { total } / self.block;
        let fresh = whole.saturating_mul(self.block).saturating_sub(self.pending.expose().len());
        let (now, later) = bytes.split_at(fresh.min(bytes.len()));
        if whole > 0 {
            // the first stride completes the pending block, so that the others are whole
            let first = self.block.saturating_sub(self.pending.expose().len()).min(now.len());
            let (head, rest) = now.split_at(first);
            let from = out.len();
            out.extend_from_slice(self.pending.expose());
            out.extend_from_slice(head);
            self.pending.expose_mut().clear();
            self.run(from, out);
            for piece in rest.chunks(STRIDE) {
                let from = out.len();
                append(out, piece);
                self.run(from, out);
            }
        }
        self.pending.expose_mut().extend_from_slice(later);
    }

    fn run(&mut self, from: usize, out: &mut Vec<u8>) {
        let blocks = out.get_mut(from..).unwrap_or_default();
        self.failed = self.failed || !self.mode.run(blocks);
        if self.failed {
            out.truncate(from);
        }
    }

    /// Ends an encryption with its padding (RFC 5652 6.3).
    pub(super) fn finish_padding(mut self, out: &mut Vec<u8>) -> Result<(), Error> {
        let fill = self.block.saturating_sub(self.pending.expose().len() % self.block);
        self.update(&vec![u8::try_from(fill).unwrap_or(0); fill], out);
        self.finish_whole()
    }

    /// Ends a decryption by its padding.
    pub(super) fn finish_unpadding(mut self, out: &mut Vec<u8>) -> Result<(), Error> {
        if self.pending.expose().len() != self.block || self.failed || !self.mode.run(self.pending.expose_mut()) {
            return Err(Error::Padding);
        }
        let kept = unpadded(self.pending.expose(), self.block).ok_or(Error::Padding)?;
        out.extend_from_slice(self.pending.expose().get(..kept).unwrap_or_default());
        Ok(())
    }

    /// Ends without padding.
    pub(super) fn finish_whole(self) -> Result<(), Error> {
        if self.pending.expose().is_empty() && !self.failed { Ok(()) } else { Err(Error::Padding) }
    }
}

/// How much of the last block is content, checked without telling where the padding is wrong (RFC 5652 6.3).
fn unpadded(last: &[u8], block: usize) -> Option<usize> {
    let count = usize::from(*last.last()?);
    let mut wrong = u8::from(count == 0 || count > block);
    for (at, byte) in last.iter().rev().enumerate() {
        let inside = at < count;
        wrong |= u8::from(inside && usize::from(*byte) != count);
    }
    if wrong == 0 { last.len().checked_sub(count) } else { None }
}

struct Encrypting<C: BlockModeEncrypt>(C);
struct Decrypting<C: BlockModeDecrypt>(C);

impl<C: BlockModeEncrypt + Send> Blocks for Encrypting<C> {
    fn run(&mut self, blocks: &mut [u8]) -> bool {
        let (blocks, rest) = cipher::Block::<C>::slice_as_chunks_mut(blocks);
        self.0.encrypt_blocks(blocks);
        rest.is_empty()
    }
}

impl<C: BlockModeDecrypt + Send> Blocks for Decrypting<C> {
    fn run(&mut self, blocks: &mut [u8]) -> bool {
        let (blocks, rest) = cipher::Block::<C>::slice_as_chunks_mut(blocks);
        self.0.decrypt_blocks(blocks);
        rest.is_empty()
    }
}

fn chained<C>(key: &[u8], iv: &[u8], direction: Direction) -> Result<Box<dyn Blocks>, Error>
where
    C: KeyInit + BlockCipherEncrypt + BlockCipherDecrypt + Send + 'static,
{
    chained_by(C::new_from_slice(key).map_err(lengths)?, iv, direction)
}

fn chained_by<C>(cipher: C, iv: &[u8], direction: Direction) -> Result<Box<dyn Blocks>, Error>
where
    C: BlockCipherEncrypt + BlockCipherDecrypt + Send + 'static,
{
    Ok(match direction {
        Direction::Encrypt => Box::new(Encrypting(cbc::Encryptor::inner_iv_slice_init(cipher, iv).map_err(lengths)?)),
        Direction::Decrypt => Box::new(Decrypting(cbc::Decryptor::inner_iv_slice_init(cipher, iv).map_err(lengths)?)),
    })
}

/// AES in counter mode, from a counter of zeros.
pub(super) fn keystream(provider: Provider, key: &[u8], counter: Counter) -> Result<Box<dyn Keystream>, Error> {
    if provider == Provider::Fastest
        && let Some(fast) = provider::keystream(key, counter)
    {
        return Ok(fast);
    }
    match key.len() {
        16 => counting::<Aes128>(key, counter),
        24 => counting::<Aes192>(key, counter),
        _ => counting::<Aes256>(key, counter),
    }
}

fn counting<C>(key: &[u8], counter: Counter) -> Result<Box<dyn Keystream>, Error>
where
    C: KeyInit + BlockCipherEncrypt + BlockSizeUser<BlockSize = U16> + Clone + Send + 'static,
{
    let cipher = C::new_from_slice(key).map_err(lengths)?;
    Ok(match counter {
        Counter::Low32 => Box::new(Counting::<C, Ctr32BE>::new(cipher)),
        Counter::Whole => Box::new(Counting::<C, Ctr128BE>::new(cipher)),
    })
}

struct Counting<C, F>
where
    C: BlockCipherEncrypt + BlockSizeUser<BlockSize = U16>,
    F: CtrFlavor<U16>,
{
    cipher: C,
    stream: StreamCipherCoreWrapper<CtrCore<C, F>>,
}

impl<C, F> Counting<C, F>
where
    C: BlockCipherEncrypt + BlockSizeUser<BlockSize = U16> + Clone,
    F: CtrFlavor<U16>,
{
    fn new(cipher: C) -> Self {
        let core = CtrCore::inner_iv_init(cipher.clone(), &[0; 16].into());
        Self { cipher, stream: StreamCipherCoreWrapper::from_core(core) }
    }
}

impl<C, F> Keystream for Counting<C, F>
where
    C: BlockCipherEncrypt + BlockSizeUser<BlockSize = U16> + Clone + Send,
    F: CtrFlavor<U16> + Send,
    F::CtrNonce: Send,
{
    fn apply(&mut self, bytes: &mut [u8]) -> bool {
        self.stream.try_apply_keystream(bytes).is_ok()
    }

    fn restart(&mut self, counter: [u8; 16]) {
        let core = CtrCore::inner_iv_init(self.cipher.clone(), &counter.into());
        self.stream = StreamCipherCoreWrapper::from_core(core);
    }
}
