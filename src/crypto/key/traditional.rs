//! Private keys that PEM itself encrypts (RFC 1421 headers), as OpenSSL wrote them before PKCS#8.
//!
//! ```text
//! -----BEGIN RSA PRIVATE KEY-----
//! Proc-Type: 4,ENCRYPTED
//! DEK-Info: AES-256-CBC,0123…            cipher, initialization vector
//! ```

use crate::asn1::pem::Pem;
use crate::crypto::Error;
use crate::crypto::algorithm::{CipherParameters, ContentCipher, DigestAlgorithm};
use crate::crypto::{digest, pbe};
use crate::secret::Secret;

/// The names of ciphers in `DEK-Info`.
const CIPHERS: &[(&str, ContentCipher)] = &[
    ("AES-128-CBC", ContentCipher::Aes128Cbc),
    ("AES-192-CBC", ContentCipher::Aes192Cbc),
    ("AES-256-CBC", ContentCipher::Aes256Cbc),
    ("DES-EDE3-CBC", ContentCipher::DesEde3Cbc),
    ("DES-CBC", ContentCipher::DesCbc),
    ("RC2-CBC", ContentCipher::Rc2Cbc { effective_bits: 128 }),
    ("RC2-40-CBC", ContentCipher::Rc2Cbc { effective_bits: 40 }),
];

/// Whether a block says that it is encrypted.
pub(super) fn is_encrypted(block: &Pem) -> bool {
    header(block, "Proc-Type").is_some_and(|value| value.contains("ENCRYPTED"))
}

/// Decrypts the key of a block; one MD5 stands between it and the passphrase, and nothing tells that nobody changed it.
pub(super) fn decrypt(block: &Pem, passphrase: &Secret<Vec<u8>>) -> Result<Secret<Vec<u8>>, Error> {
    let malformed = Error::Malformed { what: "an encrypted private key without a DEK-Info that can be read" };
    let Some((name, iv)) = header(block, "DEK-Info").and_then(|value| value.split_once(',')) else { return Err(malformed) };
    let name = name.trim().to_ascii_uppercase();
    let Some((_, cipher)) = CIPHERS.iter().find(|row| row.0 == name) else {
        return Err(Error::Unsupported { what: "cipher of an encrypted private key", name });
    };
    let Some(iv) = hex(iv.trim()).filter(|iv| iv.len() == cipher.iv_len()) else { return Err(malformed) };
    let key = derive(passphrase, iv.get(..8).unwrap_or_default(), cipher.key_len());
    let plain = pbe::decrypt_with(&CipherParameters { cipher: *cipher, iv, tag_len: 0 }, &key, &block.der)?;
    // the padding of a wrong one fits once in 256 times
    if pbe::is_sequence(plain.expose()) { Ok(plain) } else { Err(Error::WrongPassphrase) }
}

/// OpenSSL's EVP_BytesToKey: the MD5 of the last one, the passphrase and the salt, until there is enough.
fn derive(passphrase: &Secret<Vec<u8>>, salt: &[u8], len: usize) -> Secret<Vec<u8>> {
    let mut key = Secret::new(Vec::with_capacity(64));
    let mut last = Secret::new(Vec::new());
    while key.expose().len() < len {
        let mut next = digest::Digest::new(DigestAlgorithm::Md5);
        next.update(last.expose());
        next.update(passphrase.expose());
        next.update(salt);
        last = Secret::new(next.finish());
        key.expose_mut().extend_from_slice(last.expose());
    }
    key.expose_mut().truncate(len);
    key
}

fn header<'a>(block: &'a Pem, name: &str) -> Option<&'a str> {
    block.headers.iter().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return None };
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
}
