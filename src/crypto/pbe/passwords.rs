//! The forms in which programs give one passphrase to a key derivation.

use crate::secret::Secret;

/// One passphrase as the bytes that programs make of it, the likeliest first.
///
/// A file does not say which form its writer took. Each that is tried costs a derivation, so a form stands here once, and only where
/// programs are known that write it.
#[derive(Clone)]
pub struct Passwords {
    plain: Vec<Secret<Vec<u8>>>,
    wide: Vec<Secret<Vec<u8>>>,
}

impl Passwords {
    /// The forms for a private key outside PKCS#12: the bytes as typed.
    pub fn of_key(passphrase: &Secret<Vec<u8>>) -> Self {
        Self { plain: vec![passphrase.clone()], wide: wide_forms(passphrase) }
    }

    /// The forms for PKCS#12: NSS once derived the keys of PBES2 from UTF-16, others from Latin-1.
    pub fn of_pkcs12(passphrase: &Secret<Vec<u8>>) -> Self {
        let wide = wide_forms(passphrase);
        let mut plain = vec![passphrase.clone()];
        plain.extend(latin1(passphrase));
        plain.extend(wide.first().cloned());
        Self { plain, wide }
    }

    /// For what derives from bytes (PBKDF2, scrypt, PBKDF1): UTF-8 first, as RFC 8018 section 3 recommends.
    pub fn plain(&self) -> &[Secret<Vec<u8>>] {
        &self.plain
    }

    /// For the derivation of PKCS#12 (RFC 7292 appendix B): UTF-16BE first.
    pub fn wide(&self) -> &[Secret<Vec<u8>>] {
        &self.wide
    }

    /// Tries this one of the wide forms first from now on: it is the one that the file's writer takes.
    pub fn prefer_wide(&mut self, at: usize) {
        if at < self.wide.len() {
            self.wide.swap(0, at);
        }
    }
}

/// A passphrase as PKCS#12 has it: UTF-16BE and two zero bytes (RFC 7292 appendix B.1).
pub fn bmp(passphrase: &Secret<Vec<u8>>) -> Secret<Vec<u8>> {
    match std::str::from_utf8(passphrase.expose()) {
        Ok(text) => Secret::new(text.encode_utf16().chain([0]).flat_map(u16::to_be_bytes).collect()),
        // no UTF-8 is Latin-1 for OpenSSL, too
        Err(_) => widened(passphrase),
    }
}

/// An empty passphrase is two zero bytes for some programs and nothing for others. OpenSSL before 1.1 makes each byte of UTF-8 a
/// character of its own.
fn wide_forms(passphrase: &Secret<Vec<u8>>) -> Vec<Secret<Vec<u8>>> {
    let mut forms = vec![bmp(passphrase)];
    let bytes = passphrase.expose();
    if bytes.is_empty() {
        forms.push(Secret::new(Vec::new()));
    }
    if !bytes.is_ascii() && std::str::from_utf8(bytes).is_ok() {
        forms.push(widened(passphrase));
    }
    forms
}

fn widened(passphrase: &Secret<Vec<u8>>) -> Secret<Vec<u8>> {
    let bytes = passphrase.expose().iter().chain([&0]);
    Secret::new(bytes.flat_map(|byte| u16::from(*byte).to_be_bytes()).collect())
}

/// What a terminal in Latin-1 gave to the program that wrote the file; `None` where that is the same, or cannot be.
fn latin1(passphrase: &Secret<Vec<u8>>) -> Option<Secret<Vec<u8>>> {
    let text = std::str::from_utf8(passphrase.expose()).ok().filter(|text| !text.is_ascii())?;
    let mut bytes = Secret::new(Vec::with_capacity(text.len()));
    for character in text.chars() {
        bytes.expose_mut().push(u8::try_from(u32::from(character)).ok()?);
    }
    Some(bytes)
}
