//! `seal`: sign, then encrypt.

use crate::crypto::random::Random;
use crate::limits::Limits;
use crate::mime::canonical;
use crate::smime::headers::Confidentiality;
use crate::smime::sign::{assemble, message_parts};
use crate::smime::{Encrypt, Error, Sign};
use crate::time::Timestamp;

/// A sealing: a signing inside an encryption.
#[derive(Debug, Clone)]
pub struct Seal<'a> {
    sign: Sign<'a>,
    encrypt: Encrypt<'a>,
}

impl<'a> Seal<'a> {
    /// Signs so, then encrypts so.
    pub fn new(sign: Sign<'a>, encrypt: Encrypt<'a>) -> Self {
        Self { sign, encrypt }
    }

    /// Seals a message; the header fields travel inside, the Subject is hidden outside (RFC 9788).
    pub fn run(&self, message: &[u8], now: Timestamp, random: &mut dyn Random) -> Result<Vec<u8>, Error> {
        let limits = Limits::default();
        let protection = self.sign.protection();
        let parts = message_parts(message, &limits)?;
        let payload = canonical::to_safe(&parts.payload(Confidentiality::Cipher, protection), &limits)?;
        let signed = self.sign.entity(&payload, now, random)?;
        let entity = self.encrypt.entity(&signed, random)?;
        Ok(assemble(&parts.outer(Confidentiality::Cipher, protection), &entity))
    }
}
