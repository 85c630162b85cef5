//! `seal`: sign, then encrypt.

use std::io::Cursor;

use crate::crypto::random::Random;
use crate::limits::Limits;
use crate::mime::canonical::Wish;
use crate::smime::payload::{Payload, Source, Written};
use crate::smime::sign::grown;
use crate::smime::spool::{Input, Spool};
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

    /// Seals a message in memory; the header fields travel inside, the Subject is hidden outside (RFC 9788).
    pub fn run(&self, message: &[u8], now: Timestamp, random: &mut dyn Random) -> Result<Vec<u8>, Error> {
        let mut out = Vec::with_capacity(grown(grown(message.len(), self.sign.signed_form()), Form::Opaque));
        self.stream(&mut Cursor::new(message), now, random, &mut out)?;
        Ok(out)
    }

    /// Seals a message of any size, in one pass and constant memory; nothing of the result is good where this fails.
    ///
    /// The result is begun anew where the message turns out not to survive relays as it is.
    pub fn stream(
        &self,
        message: &mut dyn Input,
        now: Timestamp,
        random: &mut dyn Random,
        spool: &mut dyn Spool,
    ) -> Result<(), Error> {
        let limits = Limits::default();
        let mut source = Source::read(message, &limits)?;
        let (outer, head) = self.encrypt.headers(&mut source, self.sign.protection())?;
        let mut payload = Payload::checked(head.clone(), &mut source);
        if self.write(&outer, &mut payload, now, random, spool)? == Written::Whole {
            return Ok(());
        }
        let mut payload = Payload::planned(head, Wish::Safe, &mut source, &limits)?;
        self.write(&outer, &mut payload, now, random, spool).map(|_| ())
    }

    fn write(
        &self,
        outer: &[(String, Vec<u8>)],
        payload: &mut Payload<'_, '_>,
        now: Timestamp,
        random: &mut dyn Random,
        spool: &mut dyn Spool,
    ) -> Result<Written, Error> {
        spool.restart()?;
        outer.iter().try_for_each(|(_, raw)| spool.write_all(raw))?;
        self.encrypt.entity(random, spool, |content, random| self.sign.entity(payload, now, random, content))
    }
}
