//! `encrypt`: a message in, an encrypted message out.

use std::io::{Cursor, Write};

use crate::cms::{EnvelopedBuilder, To};
use crate::crypto::random::Random;
use crate::limits::Limits;
use crate::mime::canonical::Wish;
use crate::mime::{self, ContentType};
use crate::smime::Error;
use crate::smime::choice::{Chosen, CipherChoice, Recipient, TransportChoice, Way, check_recipient, choose};
use crate::smime::headers::{Confidentiality, Fields, HeaderConfidentiality, HeaderProtection, is_protecting};
use crate::smime::payload::{Layered, Payload, Source, Written};
use crate::smime::sign::{Pkcs7Mime, grown};
use crate::smime::spool::{Input, Spool};
use crate::smime::verdict::Form;

/// An encryption: to whom, and how.
#[derive(Debug, Clone)]
pub struct Encrypt {
    recipients: Vec<Recipient>,
    cipher: CipherChoice,
    transport: TransportChoice,
    confidentiality: HeaderConfidentiality,
    has_legacy_display: bool,
    limits: Limits,
}

impl Encrypt {
    /// Encrypts to these recipients, or owners of certificates; add the sender, so that he can read what he sent.
    pub fn new<R: Into<Recipient>>(recipients: impl IntoIterator<Item = R>) -> Self {
        let recipients = recipients.into_iter().map(Into::into).collect();
        Self {
            recipients,
            cipher: CipherChoice::Auto,
            transport: TransportChoice::Auto,
            confidentiality: HeaderConfidentiality::Baseline,
            has_legacy_display: false,
            limits: Limits::default(),
        }
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

    /// Which header fields the outside shows otherwise than the encrypted part.
    #[must_use]
    pub fn header_confidentiality(mut self, policy: HeaderConfidentiality) -> Self {
        self.confidentiality = policy;
        self
    }

    /// Whether the text of the message begins with the fields that the outside does not show, for readers whose programs decrypt and do not
    /// know header protection (RFC 9788 5.2.2, 5.2.3). Programs that know it, as this one, leave it out. Off unless asked for: it changes
    /// what other programs get out of the message.
    #[must_use]
    pub fn legacy_display(mut self, is_wanted: bool) -> Self {
        self.has_legacy_display = is_wanted;
        self
    }

    /// What is chosen, and why.
    pub fn chosen(&self) -> Chosen {
        choose(&self.recipients, self.cipher, self.transport)
    }

    /// Encrypts a message in memory; its Subject is hidden (RFC 9788).
    pub fn run(&self, message: &[u8], random: &mut dyn Random) -> Result<Vec<u8>, Error> {
        let mut out = Vec::with_capacity(grown(message.len(), Form::Opaque));
        self.stream(&mut Cursor::new(message), random, &mut out)?;
        Ok(out)
    }

    /// Encrypts a message of any size, in constant memory; nothing of the result is good where this fails.
    ///
    /// The result is begun anew where only a look at each part tells what its line ends are.
    pub fn stream(&self, message: &mut dyn Input, random: &mut dyn Random, spool: &mut dyn Spool) -> Result<(), Error> {
        let mut source = Source::read(message, &self.limits)?;
        let (outer, head) = self.headers(&mut source, HeaderProtection::On)?;
        let mut payload = Payload::canonical(head.clone(), &mut source);
        if self.write(&outer, &mut payload, random, spool)? == Written::Whole {
            return Ok(());
        }
        spool.restart()?;
        let mut payload = Payload::planned(head, Wish::Canonical, &mut source, &self.limits)?;
        self.write(&outer, &mut payload, random, spool).map(|_| ())
    }

    /// The fields that stand outside, and the header section of what is encrypted. Of a message that was signed before, the Subject is hidden
    /// only where the signed part tells it.
    pub(in crate::smime) fn headers(
        &self,
        source: &mut Source<'_>,
        protection: HeaderProtection,
    ) -> Result<(Fields, Vec<u8>), Error> {
        // what is a layer already has its fields inside, or nowhere: nothing can be added to what was signed
        let (outside, protection) = match source.layer {
            Layered::No => (protection, protection),
            Layered::WithSubject => (protection, HeaderProtection::Off),
            Layered::Bare => (HeaderProtection::Off, HeaderProtection::Off),
        };
        let confidentiality = Confidentiality::Cipher(self.confidentiality);
        // readers leave out what the text tells only where they read that the header is protected
        let is_read = || {
            let head = source.parts.head(confidentiality, protection);
            mime::entity::head(&head, Vec::new(), &ContentType::text_plain(), &self.limits).is_ok_and(|head| is_protecting(&head))
        };
        if self.has_legacy_display
            && protection == HeaderProtection::On
            && is_read()
            && let Some(display) = source.parts.display(self.confidentiality)
        {
            source.show(&display, &self.limits)?;
        }
        Ok((source.parts.outer(confidentiality, outside), source.parts.head(confidentiality, protection)))
    }

    fn write(
        &self,
        outer: &[(String, Vec<u8>)],
        payload: &mut Payload<'_, '_>,
        random: &mut dyn Random,
        spool: &mut dyn Spool,
    ) -> Result<Written, Error> {
        outer.iter().try_for_each(|(_, raw)| spool.write_all(raw))?;
        self.entity(random, spool, |content, _| payload.write_to(&self.limits, content))
    }

    /// Writes the encrypted MIME entity of what `content` writes; not to its end where that says that it is unsafe.
    pub(in crate::smime) fn entity(
        &self,
        random: &mut dyn Random,
        spool: &mut dyn Spool,
        content: impl FnOnce(&mut dyn Write, &mut dyn Random) -> Result<Written, Error>,
    ) -> Result<Written, Error> {
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
        let mut lines = Pkcs7Mime::begin_in(smime_type, spool)?;
        let mut encrypting = builder.begin(&mut lines, random)?;
        if content(&mut encrypting, random)? == Written::Unsafe {
            return Ok(Written::Unsafe);
        }
        encrypting.finish()?;
        lines.finish()?;
        Ok(Written::Whole)
    }
}
