//! Content encryption and decryption in pieces, in memory that does not grow with the content.
//!
//! CMS puts the authenticated data and the tag after the ciphertext (RFC 5083). CBC does not care, GCM is computed so that it does not
//! care (`gcm`); ChaCha20-Poly1305 and CCM begin with what comes last. So a [`Decryptor`] may end with [`Error::Foreknowledge`]: then
//! the ciphertext is to be read once more, by one that knows ([`Decryptor::knowing`]).

mod ccm;
mod chacha;
mod gcm;
mod ghash;
mod modes;
mod pieces;

use crate::crypto::algorithm::{CipherParameters, ContentCipher};
use crate::crypto::provider::Provider;
use crate::crypto::{Error, mac};
use crate::secret::Secret;
use ccm::Ccm;
use chacha::ChaCha;
use gcm::Gcm;
use modes::BlockMode;

pub(in crate::crypto) use modes::{Blocks, Counter, Keystream};

/// What a second pass over a ciphertext knows from the first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Foreknown {
    /// The authenticated data.
    pub aad: Vec<u8>,
    /// Bytes of content; as many as of ciphertext, without its tag.
    pub content_len: u64,
}

/// Encrypts content in pieces.
pub struct Encryptor {
    engine: Engine,
    tag_len: usize,
}

/// Decrypts content in pieces. What it gives before [`Decryptor::finish`] said yes is not to be released.
///
/// ```
/// use sealpost::crypto::algorithm::{CipherParameters, ContentCipher};
/// use sealpost::crypto::cipher::{Decryptor, Encryptor};
/// use sealpost::crypto::random::OsRandom;
///
/// let parameters = CipherParameters::generate(ContentCipher::Aes256Gcm, &mut OsRandom);
/// let (mut encrypted, mut plain) = (Vec::new(), Vec::new());
/// let mut encryptor = Encryptor::new(&parameters, &[7; 32])?;
/// encryptor.update(b"hello", &mut encrypted);
/// let tag = encryptor.finish(b"", &mut encrypted)?;
///
/// let mut decryptor = Decryptor::new(&parameters, &[7; 32])?;
/// decryptor.update(&encrypted, &mut plain);
/// decryptor.finish(b"", tag.as_deref(), &mut plain)?;
/// assert_eq!(plain, b"hello");
/// # Ok::<(), sealpost::crypto::Error>(())
/// ```
pub struct Decryptor {
    engine: Engine,
    padded: bool,
    tag_len: usize,
}

enum Engine {
    Cbc(BlockMode),
    Aead(Box<dyn Aead>),
}

/// A cipher whose tag proves that the ciphertext is whole.
trait Aead: Send {
    /// Takes more; appends what comes out.
    fn update(&mut self, bytes: &[u8], out: &mut Vec<u8>);

    /// The whole tag.
    fn finish(self: Box<Self>, aad: &[u8]) -> Result<[u8; 16], Error>;
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Encrypt,
    Decrypt,
}

impl Encryptor {
    /// Starts with a key of the cipher's length.
    pub fn new(parameters: &CipherParameters, key: &[u8]) -> Result<Self, Error> {
        Self::by(Provider::Fastest, parameters, key, None)
    }

    /// Starts knowing the authenticated data and the length, which ChaCha20-Poly1305 and CCM need before the content.
    pub fn knowing(parameters: &CipherParameters, key: &[u8], foreknown: &Foreknown) -> Result<Self, Error> {
        Self::by(Provider::Fastest, parameters, key, Some(foreknown))
    }

    pub(in crate::crypto) fn by(
        provider: Provider,
        parameters: &CipherParameters,
        key: &[u8],
        foreknown: Option<&Foreknown>,
    ) -> Result<Self, Error> {
        let engine = Engine::new(provider, parameters, key, Direction::Encrypt, foreknown)?;
        Ok(Self { engine, tag_len: parameters.tag_len })
    }

    /// Encrypts more content; appends ciphertext to `out`.
    pub fn update(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        match &mut self.engine {
            Engine::Cbc(mode) => mode.update(bytes, out),
            Engine::Aead(aead) => aead.update(bytes, out),
        }
    }

    /// Ends the content; appends the last ciphertext, gives the tag where the cipher has one. [`Error::Foreknowledge`] where the cipher had
    /// to know the authenticated data before.
    pub fn finish(self, aad: &[u8], out: &mut Vec<u8>) -> Result<Option<Vec<u8>>, Error> {
        match self.engine {
            Engine::Cbc(mode) => mode.finish_padding(out).map(|()| None),
            Engine::Aead(aead) => Ok(Some(aead.finish(aad)?.iter().copied().take(self.tag_len).collect())),
        }
    }
}

impl Decryptor {
    /// Starts with a key of the cipher's length.
    pub fn new(parameters: &CipherParameters, key: &[u8]) -> Result<Self, Error> {
        Self::by(Provider::Fastest, parameters, key, None)
    }

    /// Starts a second pass over the same ciphertext, where the first ended in [`Error::Foreknowledge`].
    pub fn knowing(parameters: &CipherParameters, key: &[u8], foreknown: &Foreknown) -> Result<Self, Error> {
        Self::by(Provider::Fastest, parameters, key, Some(foreknown))
    }

    pub(in crate::crypto) fn by(
        provider: Provider,
        parameters: &CipherParameters,
        key: &[u8],
        foreknown: Option<&Foreknown>,
    ) -> Result<Self, Error> {
        let engine = Engine::new(provider, parameters, key, Direction::Decrypt, foreknown)?;
        Ok(Self { engine, padded: true, tag_len: parameters.tag_len })
    }

    /// Takes the blocks as they are: no padding is expected at the end.
    #[must_use]
    pub fn without_padding(mut self) -> Self {
        self.padded = false;
        if let Engine::Cbc(mode) = &mut self.engine {
            mode.release_whole_blocks();
        }
        self
    }

    /// Decrypts more ciphertext; appends content to `out`. CCM gives nothing in a first pass.
    pub fn update(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        match &mut self.engine {
            Engine::Cbc(mode) => mode.update(bytes, out),
            Engine::Aead(aead) => aead.update(bytes, out),
        }
    }

    /// Ends the content: checks the tag or the padding.
    ///
    /// [`Error::Foreknowledge`] says nothing about either: all that came out is to be thrown away, and the ciphertext to be read once more
    /// by [`Decryptor::knowing`].
    pub fn finish(self, aad: &[u8], tag: Option<&[u8]>, out: &mut Vec<u8>) -> Result<(), Error> {
        match self.engine {
            Engine::Cbc(mode) if self.padded => mode.finish_unpadding(out),
            Engine::Cbc(mode) => mode.finish_whole(),
            Engine::Aead(aead) => {
                let whole = aead.finish(aad)?;
                let expected = whole.get(..self.tag_len).filter(|expected| !expected.is_empty()).ok_or(Error::TagMismatch)?;
                let fits = tag.is_some_and(|tag| mac::equal(expected, tag));
                if fits { Ok(()) } else { Err(Error::TagMismatch) }
            }
        }
    }
}

impl Engine {
    fn new(
        provider: Provider,
        parameters: &CipherParameters,
        key: &[u8],
        direction: Direction,
        foreknown: Option<&Foreknown>,
    ) -> Result<Self, Error> {
        use ContentCipher as C;
        let iv = parameters.iv.as_slice();
        if key.len() != parameters.cipher.key_len() {
            return Err(Error::Malformed { what: "a content key whose length does not fit the cipher" });
        }
        Ok(match parameters.cipher {
            C::Aes128Cbc | C::Aes192Cbc | C::Aes256Cbc | C::DesEde3Cbc | C::DesCbc | C::Rc2Cbc { .. } => {
                Self::Cbc(BlockMode::new(provider, parameters.cipher, key, iv, direction)?)
            }
            C::Aes128Gcm | C::Aes192Gcm | C::Aes256Gcm => Self::Aead(Box::new(Gcm::new(provider, key, iv, direction)?)),
            C::Aes128Ccm | C::Aes192Ccm | C::Aes256Ccm => match foreknown {
                Some(foreknown) => Self::Aead(Box::new(Ccm::new(provider, key, parameters, direction, foreknown)?)),
                None => Self::Aead(Box::new(ccm::Blind)),
            },
            C::ChaCha20Poly1305 => Self::Aead(Box::new(ChaCha::new(key, iv, direction, foreknown)?)),
        })
    }
}

fn lengths<E>(_: E) -> Error {
    Error::Malformed { what: "a key or initialization vector of the wrong length" }
}

/// What ends an encryption that went on too long for the cipher, or a decryption of what nobody can have encrypted.
fn overflow(direction: Direction) -> Error {
    match direction {
        Direction::Encrypt => Error::Malformed { what: "content too long for the cipher" },
        Direction::Decrypt => Error::TagMismatch,
    }
}

/// Bytes that were not processed yet, for they are less than a block; wiped, as they may be content.
type Pending = Secret<Vec<u8>>;
