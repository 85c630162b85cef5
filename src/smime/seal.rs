//! `seal`: sign, then encrypt.

use std::io::Write;

use crate::crypto::random::Random;
use crate::limits::Limits;
use crate::smime::headers::Confidentiality;
use crate::smime::sign::{Payload, grown, message_parts};
use crate::smime::verdict::Form;
use crate::smime::{Encrypt, Error, Sign};
use crate::time::Timestamp;

/// A sealing: a signing inside an encryption.
#[derive(Debug, Clone)]
pub struct Seal<'a> {
    sign: Sign<'a>,
    encrypt: Encrypt,
}

impl<'a> Seal<'a> {
    /// Signs so, then encrypts so.
    pub fn new(sign: Sign<'a>, encrypt: Encrypt) -> Self {
        Self { sign, encrypt }
    }

    /// Seals a message; the header fields travel inside, the Subject is hidden outside (RFC 9788).
    pub fn run(&self, message: &[u8], now: Timestamp, random: &mut dyn Random) -> Result<Vec<u8>, Error> {
        let mut out = Vec::with_capacity(grown(message.len(), Form::Opaque));
        self.write(message, now, random, &mut out)?;
        Ok(out)
    }

    /// Seals a message, and writes the result as it comes into being; nothing of it is good where this fails.
    pub fn write(&self, message: &[u8], now: Timestamp, random: &mut dyn Random, sink: &mut dyn Write) -> Result<(), Error> {
        let limits = Limits::default();
        let protection = self.sign.protection();
        let parts = message_parts(message, &limits)?;
        let head = parts.head(Confidentiality::Cipher, protection);
        let payload = Payload::safe(&head, parts.body, &limits)?;
        let mut signed = Vec::with_capacity(grown(payload.len(), self.sign.signed_form()));
        self.sign.entity(&payload, now, random, &mut signed)?;
        for (_, raw) in parts.outer(Confidentiality::Cipher, protection) {
            sink.write_all(&raw)?;
        }
        self.encrypt.entity(&mut signed.as_slice(), random, sink)
    }
}
