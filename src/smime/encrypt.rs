//! `encrypt`: a message in, an encrypted message out.

use std::io::{Read, Write};

use crate::cms::{EnvelopedBuilder, To};
use crate::crypto::random::Random;
use crate::limits::Limits;
use crate::smime::Error;
use crate::smime::choice::{Chosen, CipherChoice, Recipient, TransportChoice, Way, check_recipient, choose};
use crate::smime::headers::{Confidentiality, HeaderProtection};
use crate::smime::sign::{Payload, Pkcs7Mime, grown, message_parts};
use crate::smime::verdict::Form;

/// An encryption: to whom, and how.
#[derive(Debug, Clone)]
pub struct Encrypt {
    recipients: Vec<Recipient>,
    cipher: CipherChoice,
    transport: TransportChoice,
    limits: Limits,
}

impl Encrypt {
    /// Encrypts to these recipients, or owners of certificates; add the sender, so that he can read what he sent.
    pub fn new<R: Into<Recipient>>(recipients: impl IntoIterator<Item = R>) -> Self {
        let recipients = recipients.into_iter().map(Into::into).collect();
        Self { recipients, cipher: CipherChoice::Auto, transport: TransportChoice::Auto, limits: Limits::default() }
    }

    /// Chooses the content cipher so.
    #[must_use]
    pub fn cipher(mut self, cipher: CipherChoice) -> Self {
        self.cipher = cipher;
        self
    }

    /// Chooses the key transport so.
    #[must_use]
    pub fn transport(mut self, transport: TransportChoice) -> Self {
        self.transport = transport;
        self
    }

    /// What is chosen, and why.
    pub fn chosen(&self) -> Chosen {
        choose(&self.recipients, self.cipher, self.transport)
    }

    /// Encrypts a message; its Subject is hidden (RFC 9788).
    pub fn run(&self, message: &[u8], random: &mut dyn Random) -> Result<Vec<u8>, Error> {
        let mut out = Vec::with_capacity(grown(message.len(), Form::Opaque));
        self.write(message, random, &mut out)?;
        Ok(out)
    }

    /// Encrypts a message, and writes the result as it comes into being; nothing of it is good where this fails.
    pub fn write(&self, message: &[u8], random: &mut dyn Random, sink: &mut dyn Write) -> Result<(), Error> {
        let parts = message_parts(message, &self.limits)?;
        let head = parts.head(Confidentiality::Cipher, HeaderProtection::On);
        for (_, raw) in parts.outer(Confidentiality::Cipher, HeaderProtection::On) {
            sink.write_all(&raw)?;
        }
        self.entity(&mut Payload::canonical(&head, parts.body).reader(), random, sink)
    }

    /// Writes the encrypted MIME entity of an entity.
    pub(in crate::smime) fn entity(
        &self,
        payload: &mut dyn Read,
        random: &mut dyn Random,
        sink: &mut dyn Write,
    ) -> Result<(), Error> {
        if self.recipients.is_empty() {
            return Err(Error::NoRecipients);
        }
        let chosen = self.chosen();
        let mut builder = EnvelopedBuilder::new(chosen.cipher);
        for (recipient, way) in self.recipients.iter().zip(chosen.ways) {
            check_recipient(recipient.certificate())?;
            let to = To::new(recipient.certificate());
            builder = builder.recipient(match way {
                Way::Transport(transport) => to.transport(transport),
                Way::Agreement(agreement) => to.agreement(agreement),
            });
        }
        let smime_type = if chosen.cipher.is_authenticated() { "authEnveloped-data" } else { "enveloped-data" };
        let mut lines = Pkcs7Mime::begin(smime_type, sink)?;
        builder.encrypt(payload, &mut lines, random)?;
        Ok(lines.finish()?)
    }
}
