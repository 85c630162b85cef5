//! Content encryption and decryption in pieces; the authenticated data comes last.

use aes::{Aes128, Aes192, Aes256};
use cipher::{BlockCipherEncrypt, BlockModeDecrypt, BlockModeEncrypt, KeyInit, KeyIvInit, StreamCipher};

use crate::crypto::Error;
use crate::crypto::algorithm::{CipherParameters, ContentCipher};
use crate::crypto::gcm::{LateGhash, hash_iv};
use crate::crypto::mac;
use crate::secret::Secret;

/// Encrypts content in pieces.
pub struct Encryptor {
    engine: Engine,
    block: usize,
    pending: Vec<u8>,
    tag_len: usize,
}

/// Decrypts content in pieces. What it gives before [`Decryptor::finish`] said yes is not to be released.
pub struct Decryptor {
    engine: Engine,
    block: usize,
    pending: Vec<u8>,
    padded: bool,
    tag_len: usize,
}

enum Engine {
    Cbc(Box<dyn CbcMode>),
    Gcm {
        keystream: Box<dyn StreamCipher + Send>,
        hash: LateGhash,
        mask: [u8; 16],
        /// Whether more came than one nonce serves: 64 GiB.
        overflow: bool,
    },
    /// Poly1305 hashes the authenticated data first, so the content is held until the end.
    ChaCha {
        key: Secret<[u8; 32]>,
        nonce: [u8; 12],
        held: Secret<Vec<u8>>,
    },
}

/// A block mode over whole blocks.
trait CbcMode: Send {
    fn run(&mut self, blocks: &mut [u8]);
}

struct CbcEncrypt<C: BlockModeEncrypt>(C);
struct CbcDecrypt<C: BlockModeDecrypt>(C);

impl<C: BlockModeEncrypt + Send> CbcMode for CbcEncrypt<C> {
    fn run(&mut self, blocks: &mut [u8]) {
        let (blocks, _) = cipher::Block::<C>::slice_as_chunks_mut(blocks);
        self.0.encrypt_blocks(blocks);
    }
}

impl<C: BlockModeDecrypt + Send> CbcMode for CbcDecrypt<C> {
    fn run(&mut self, blocks: &mut [u8]) {
        let (blocks, _) = cipher::Block::<C>::slice_as_chunks_mut(blocks);
        self.0.decrypt_blocks(blocks);
    }
}

impl Encryptor {
    /// Starts with a key of the cipher's length.
    pub fn new(parameters: &CipherParameters, key: &[u8]) -> Result<Self, Error> {
        let engine = Engine::new(parameters, key, Direction::Encrypt)?;
        Ok(Self { engine, block: block_len(parameters.cipher), pending: Vec::new(), tag_len: parameters.tag_len })
    }

    /// Encrypts more content; appends ciphertext to `out`.
    pub fn update(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        match &mut self.engine {
            Engine::Cbc(mode) => run_blocks(mode.as_mut(), self.block, 0, &mut self.pending, bytes, out),
            Engine::Gcm { keystream, hash, overflow, .. } => {
                let from = out.len();
                *overflow |= !apply(keystream.as_mut(), bytes, out);
                hash.update(out.get(from..).unwrap_or_default());
            }
            Engine::ChaCha { held, .. } => hold(held, bytes),
        }
    }

    /// Ends the content; appends the last ciphertext, gives the tag where the cipher has one.
    pub fn finish(mut self, aad: &[u8], out: &mut Vec<u8>) -> Result<Option<Vec<u8>>, Error> {
        match self.engine {
            Engine::Cbc(ref mut mode) => {
                let fill = self.block.saturating_sub(self.pending.len() % self.block);
                let padding = vec![u8::try_from(fill).unwrap_or(0); fill];
                run_blocks(mode.as_mut(), self.block, 0, &mut self.pending, &padding, out);
                Ok(None)
            }
            Engine::Gcm { overflow: true, .. } => Err(Error::Malformed { what: "content too long for AES-GCM" }),
            Engine::Gcm { hash, mask, .. } => Ok(Some(tag(hash.finish(aad), mask, self.tag_len))),
            Engine::ChaCha { ref key, ref nonce, ref mut held } => {
                use chacha20poly1305::aead::AeadInOut;
                let aead = chacha20poly1305::ChaCha20Poly1305::new(&(*key.expose()).into());
                let tag = aead
                    .encrypt_inout_detached(&(*nonce).into(), aad, held.expose_mut().as_mut_slice().into())
                    .map_err(|_| Error::Malformed { what: "content too long for ChaCha20-Poly1305" })?;
                out.extend_from_slice(held.expose());
                Ok(Some(tag.to_vec()))
            }
        }
    }
}

impl Decryptor {
    /// Starts with a key of the cipher's length.
    pub fn new(parameters: &CipherParameters, key: &[u8]) -> Result<Self, Error> {
        let engine = Engine::new(parameters, key, Direction::Decrypt)?;
        let block = block_len(parameters.cipher);
        Ok(Self { engine, block, pending: Vec::new(), padded: block > 1, tag_len: parameters.tag_len })
    }

    /// Takes the blocks as they are: no padding is expected at the end.
    #[must_use]
    pub fn without_padding(mut self) -> Self {
        self.padded = false;
        self
    }

    /// Decrypts more ciphertext; appends content to `out`.
    pub fn update(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        match &mut self.engine {
            Engine::Cbc(mode) => {
                let keep = if self.padded { 1 } else { 0 };
                run_blocks(mode.as_mut(), self.block, keep, &mut self.pending, bytes, out);
            }
            Engine::Gcm { keystream, hash, overflow, .. } => {
                hash.update(bytes);
                *overflow |= !apply(keystream.as_mut(), bytes, out);
            }
            Engine::ChaCha { held, .. } => hold(held, bytes),
        }
    }

    /// Ends the content: checks the tag or the padding.
    pub fn finish(mut self, aad: &[u8], tag_bytes: Option<&[u8]>, out: &mut Vec<u8>) -> Result<(), Error> {
        match self.engine {
            Engine::Cbc(ref mut mode) => {
                if !self.padded {
                    return if self.pending.is_empty() { Ok(()) } else { Err(Error::Padding) };
                }
                if self.pending.len() != self.block {
                    return Err(Error::Padding);
                }
                mode.run(&mut self.pending);
                let kept = unpadded(&self.pending, self.block).ok_or(Error::Padding)?;
                out.extend_from_slice(self.pending.get(..kept).unwrap_or_default());
                Ok(())
            }
            Engine::Gcm { overflow: true, .. } => Err(Error::TagMismatch),
            Engine::Gcm { hash, mask, .. } => {
                let expected = tag(hash.finish(aad), mask, self.tag_len);
                check(&expected, tag_bytes)
            }
            Engine::ChaCha { ref key, ref nonce, ref mut held } => {
                use chacha20poly1305::aead::AeadInOut;
                let aead = chacha20poly1305::ChaCha20Poly1305::new(&(*key.expose()).into());
                let tag = tag_bytes.and_then(|tag| <[u8; 16]>::try_from(tag).ok()).ok_or(Error::TagMismatch)?;
                aead.decrypt_inout_detached(&(*nonce).into(), aad, held.expose_mut().as_mut_slice().into(), &tag.into())
                    .map_err(|_| Error::TagMismatch)?;
                out.extend_from_slice(held.expose());
                Ok(())
            }
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Encrypt,
    Decrypt,
}

impl Engine {
    fn new(parameters: &CipherParameters, key: &[u8], direction: Direction) -> Result<Self, Error> {
        use ContentCipher as C;
        let iv = parameters.iv.as_slice();
        if key.len() != parameters.cipher.key_len() {
            return Err(Error::Malformed { what: "a content key whose length does not fit the cipher" });
        }
        match parameters.cipher {
            C::Aes128Cbc => cbc_engine::<Aes128>(key, iv, direction),
            C::Aes192Cbc => cbc_engine::<Aes192>(key, iv, direction),
            C::Aes256Cbc => cbc_engine::<Aes256>(key, iv, direction),
            C::DesEde3Cbc => cbc_engine::<des::TdesEde3>(key, iv, direction),
            C::DesCbc => cbc_engine::<des::Des>(key, iv, direction),
            C::Rc2Cbc { effective_bits } => rc2_engine(key, effective_bits, iv, direction),
            C::Aes128Gcm => gcm_engine::<Aes128>(key, iv),
            C::Aes192Gcm => gcm_engine::<Aes192>(key, iv),
            C::Aes256Gcm => gcm_engine::<Aes256>(key, iv),
            C::ChaCha20Poly1305 => {
                let (Ok(key), Ok(nonce)) = (key.try_into(), iv.try_into()) else { return Err(lengths(())) };
                Ok(Self::ChaCha { key: Secret::new(key), nonce, held: Secret::new(Vec::new()) })
            }
        }
    }
}

fn cbc_engine<C>(key: &[u8], iv: &[u8], direction: Direction) -> Result<Engine, Error>
where
    C: KeyInit + BlockCipherEncrypt + cipher::BlockCipherDecrypt + Send + 'static,
{
    Ok(Engine::Cbc(match direction {
        Direction::Encrypt => Box::new(CbcEncrypt(cbc::Encryptor::<C>::new_from_slices(key, iv).map_err(lengths)?)),
        Direction::Decrypt => Box::new(CbcDecrypt(cbc::Decryptor::<C>::new_from_slices(key, iv).map_err(lengths)?)),
    }))
}

fn rc2_engine(key: &[u8], effective_bits: u32, iv: &[u8], direction: Direction) -> Result<Engine, Error> {
    use cipher::InnerIvInit;
    let cipher = rc2::Rc2::new_with_eff_key_len(key, usize::try_from(effective_bits).unwrap_or(128));
    Ok(Engine::Cbc(match direction {
        Direction::Encrypt => Box::new(CbcEncrypt(cbc::Encryptor::inner_iv_slice_init(cipher, iv).map_err(lengths)?)),
        Direction::Decrypt => Box::new(CbcDecrypt(cbc::Decryptor::inner_iv_slice_init(cipher, iv).map_err(lengths)?)),
    }))
}

fn gcm_engine<C>(key: &[u8], iv: &[u8]) -> Result<Engine, Error>
where
    C: KeyInit + BlockCipherEncrypt + cipher::BlockSizeUser<BlockSize = cipher::consts::U16> + Clone + Send + 'static,
{
    use cipher::InnerIvInit;
    // SP 800-38D 5.2.1.1: an empty one would make the mask of every message the same
    if iv.is_empty() {
        return Err(lengths(()));
    }
    let cipher = C::new_from_slice(key).map_err(lengths)?;
    let mut h = cipher::Block::<C>::default();
    cipher.encrypt_block(&mut h);
    let h: [u8; 16] = h.into();
    let first: [u8; 16] = if iv.len() == 12 {
        let mut first = [0; 16];
        first[..12].copy_from_slice(iv);
        first[15] = 1;
        first
    } else {
        hash_iv(h, iv)
    };
    let mut keystream = ctr::Ctr32BE::<C>::from_core(ctr::CtrCore::inner_iv_init(cipher, &first.into()));
    let mut mask = [0; 16];
    keystream.apply_keystream(&mut mask);
    Ok(Engine::Gcm { keystream: Box::new(keystream), hash: LateGhash::new(h), mask, overflow: false })
}

/// Appends the bytes under the keystream; nothing where the keystream is at its end.
fn apply(keystream: &mut (dyn StreamCipher + Send), bytes: &[u8], out: &mut Vec<u8>) -> bool {
    let from = out.len();
    out.extend_from_slice(bytes);
    let done = out.get_mut(from..).is_some_and(|new| keystream.try_apply_keystream(new).is_ok());
    if !done {
        out.truncate(from);
    }
    done
}

/// Adds to what is held; where it must move it grows twofold and the old place is wiped.
fn hold(held: &mut Secret<Vec<u8>>, bytes: &[u8]) {
    let needed = held.expose().len().saturating_add(bytes.len());
    if needed > held.expose().capacity() {
        let mut larger = Vec::with_capacity(needed.max(held.expose().capacity().saturating_mul(2)));
        larger.extend_from_slice(held.expose());
        *held = Secret::new(larger);
    }
    held.expose_mut().extend_from_slice(bytes);
}

/// Runs whole blocks of pending and new bytes through a mode; keeps back `keep` blocks, and what is less than a block.
fn run_blocks(mode: &mut dyn CbcMode, block: usize, keep: usize, pending: &mut Vec<u8>, bytes: &[u8], out: &mut Vec<u8>) {
    let total = pending.len().saturating_add(bytes.len());
    let mut whole = total / block;
    if keep > 0 {
        // a whole last block may be the padding: it stays
        whole = total.saturating_sub(1) / block;
    }
    let run = whole.saturating_mul(block);
    if run == 0 {
        pending.extend_from_slice(bytes);
        return;
    }
    let from = out.len();
    let fresh = run.saturating_sub(pending.len()).min(bytes.len());
    let (now, later) = bytes.split_at(fresh);
    out.extend_from_slice(pending);
    out.extend_from_slice(now);
    pending.clear();
    pending.extend_from_slice(later);
    if let Some(blocks) = out.get_mut(from..) {
        mode.run(blocks);
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

fn tag(hash: [u8; 16], mask: [u8; 16], len: usize) -> Vec<u8> {
    hash.iter().zip(mask).map(|(a, b)| a ^ b).take(len).collect()
}

fn check(expected: &[u8], tag: Option<&[u8]>) -> Result<(), Error> {
    match tag {
        Some(tag) if !expected.is_empty() && mac::equal(expected, tag) => Ok(()),
        _ => Err(Error::TagMismatch),
    }
}

fn block_len(cipher: ContentCipher) -> usize {
    use ContentCipher as C;
    match cipher {
        C::Aes128Cbc | C::Aes192Cbc | C::Aes256Cbc => 16,
        C::DesEde3Cbc | C::DesCbc | C::Rc2Cbc { .. } => 8,
        _ => 1,
    }
}

fn lengths<E>(_: E) -> Error {
    Error::Malformed { what: "a key or initialization vector of the wrong length" }
}
