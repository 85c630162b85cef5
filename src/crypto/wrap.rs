//! Keys wrapped by keys (RFC 3394, RFC 3217).

use aes_kw::{KeyInit, KwAes128, KwAes192, KwAes256};

use crate::crypto::Error;
use crate::crypto::algorithm::{CipherParameters, ContentCipher, DigestAlgorithm, KeyWrap};
use crate::crypto::cipher::Decryptor;
use crate::crypto::{digest, mac};
use crate::secret::Secret;

/// Wraps a key; only with AES.
pub fn wrap(wrap: KeyWrap, kek: &[u8], key: &[u8]) -> Result<Vec<u8>, Error> {
    // RFC 3394 2: two blocks or more; one block would be a wrap of another kind (RFC 5649)
    if key.len() < 16 {
        return Err(Error::Malformed { what: "a key that is too short to be wrapped" });
    }
    let mut out = vec![0; key.len().saturating_add(8)];
    let malformed = |_| Error::Malformed { what: "a key whose length cannot be wrapped" };
    match wrap {
        KeyWrap::Aes128 => KwAes128::new_from_slice(kek).map_err(kek_len)?.wrap_key(key, &mut out).map_err(malformed)?,
        KeyWrap::Aes192 => KwAes192::new_from_slice(kek).map_err(kek_len)?.wrap_key(key, &mut out).map_err(malformed)?,
        KeyWrap::Aes256 => KwAes256::new_from_slice(kek).map_err(kek_len)?.wrap_key(key, &mut out).map_err(malformed)?,
        KeyWrap::DesEde3 | KeyWrap::Rc2 => {
            return Err(Error::Unsupported { what: "key wrap for writing", name: wrap.name().to_owned() });
        }
    };
    Ok(out)
}

/// Unwraps a key.
pub fn unwrap(wrap: KeyWrap, kek: &[u8], wrapped: &[u8]) -> Result<Secret<Vec<u8>>, Error> {
    if wrapped.len() < 24 {
        return Err(Error::Unwrap);
    }
    if kek.len() != wrap.key_len() {
        return Err(kek_len(()));
    }
    let mut out = Secret::new(vec![0; wrapped.len().saturating_sub(8)]);
    let buffer = out.expose_mut().as_mut_slice();
    match wrap {
        KeyWrap::Aes128 => {
            KwAes128::new_from_slice(kek).map_err(kek_len)?.unwrap_key(wrapped, buffer).map_err(|_| Error::Unwrap)?
        }
        KeyWrap::Aes192 => {
            KwAes192::new_from_slice(kek).map_err(kek_len)?.unwrap_key(wrapped, buffer).map_err(|_| Error::Unwrap)?
        }
        KeyWrap::Aes256 => {
            KwAes256::new_from_slice(kek).map_err(kek_len)?.unwrap_key(wrapped, buffer).map_err(|_| Error::Unwrap)?
        }
        KeyWrap::DesEde3 => return unwrap_des_ede3(kek, wrapped),
        KeyWrap::Rc2 => return unwrap_rc2(kek, wrapped),
    };
    Ok(out)
}

/// RFC 3217 3.2: the key and eight bytes of its digest, encrypted twice. It knows keys of triple DES alone; OpenSSL wraps others, too.
fn unwrap_des_ede3(kek: &[u8], wrapped: &[u8]) -> Result<Secret<Vec<u8>>, Error> {
    unwrap_twice(ContentCipher::DesEde3Cbc, kek, wrapped)
}

/// RFC 3217 4.2: the same, with a byte of length before the key and random bytes after it.
fn unwrap_rc2(kek: &[u8], wrapped: &[u8]) -> Result<Secret<Vec<u8>>, Error> {
    let padded = unwrap_twice(ContentCipher::Rc2Cbc { effective_bits: 128 }, kek, wrapped)?;
    let (len, rest) = padded.expose().split_first().ok_or(Error::Unwrap)?;
    let key = rest.get(..usize::from(*len)).filter(|key| rest.len() - key.len() < 8).ok_or(Error::Unwrap)?;
    Ok(Secret::new(key.to_vec()))
}

fn unwrap_twice(cipher: ContentCipher, kek: &[u8], wrapped: &[u8]) -> Result<Secret<Vec<u8>>, Error> {
    let raw = |iv: &[u8], bytes: &[u8]| -> Result<Secret<Vec<u8>>, Error> {
        let parameters = CipherParameters { cipher, iv: iv.to_vec(), tag_len: 0 };
        let mut out = Secret::new(Vec::with_capacity(bytes.len()));
        let mut decryptor = Decryptor::new(&parameters, kek)?.without_padding();
        decryptor.update(bytes, out.expose_mut());
        decryptor.finish(&[], None, out.expose_mut()).map_err(|_| Error::Unwrap)?;
        Ok(out)
    };
    let mut reversed = raw(&TWICE_IV, wrapped)?;
    reversed.expose_mut().reverse();
    let (iv, rest) = reversed.expose().split_at_checked(8).ok_or(Error::Unwrap)?;
    let plain = raw(iv, rest)?;
    let (key, checksum) = plain.expose().split_last_chunk::<8>().ok_or(Error::Unwrap)?;
    let digest = digest::of(DigestAlgorithm::Sha1, key);
    if !mac::equal(digest.get(..8).unwrap_or_default(), checksum) {
        return Err(Error::Unwrap);
    }
    Ok(Secret::new(key.to_vec()))
}

/// RFC 3217 3.1 and 4.1 step 7.
const TWICE_IV: [u8; 8] = [0x4a, 0xdd, 0xa2, 0x2c, 0x79, 0xe8, 0x21, 0x05];

fn kek_len<E>(_: E) -> Error {
    Error::Malformed { what: "a key-encryption key of the wrong length" }
}
