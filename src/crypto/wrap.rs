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
        KeyWrap::DesEde3 => return Err(Error::Unsupported { what: "key wrap for writing", name: wrap.name().to_owned() }),
    };
    Ok(out)
}

/// Unwraps a key.
pub fn unwrap(wrap: KeyWrap, kek: &[u8], wrapped: &[u8]) -> Result<Secret<Vec<u8>>, Error> {
    if wrapped.len() < 24 {
        return Err(Error::Unwrap);
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
    };
    Ok(out)
}

/// RFC 3217 3.2.
fn unwrap_des_ede3(kek: &[u8], wrapped: &[u8]) -> Result<Secret<Vec<u8>>, Error> {
    let raw = |iv: &[u8], bytes: &[u8]| -> Result<Vec<u8>, Error> {
        let parameters = CipherParameters { cipher: ContentCipher::DesEde3Cbc, iv: iv.to_vec(), tag_len: 0 };
        let mut out = Vec::new();
        let mut decryptor = Decryptor::new(&parameters, kek)?.without_padding();
        decryptor.update(bytes, &mut out);
        decryptor.finish(&[], None, &mut out)?;
        Ok(out)
    };
    if wrapped.len() != 40 {
        return Err(Error::Unwrap);
    }
    const IV: [u8; 8] = [0x4a, 0xdd, 0xa2, 0x2c, 0x79, 0xe8, 0x21, 0x05];
    let mut reversed = raw(&IV, wrapped)?;
    reversed.reverse();
    let (iv, rest) = reversed.split_at_checked(8).ok_or(Error::Unwrap)?;
    let plain = Secret::new(raw(iv, rest)?);
    let (key, checksum) = plain.expose().split_at_checked(24).ok_or(Error::Unwrap)?;
    let digest = digest::of(DigestAlgorithm::Sha1, key);
    if !mac::equal(digest.get(..8).unwrap_or_default(), checksum) {
        return Err(Error::Unwrap);
    }
    Ok(Secret::new(key.to_vec()))
}

fn kek_len<E>(_: E) -> Error {
    Error::Malformed { what: "a key-encryption key of the wrong length" }
}
