//! `sign`: a message in, a signed message out.

use std::io::{Cursor, Write};

use crate::cms::{ContentHash, Padding, SignedBuilder, SignerOptions};
use crate::crypto::algorithm::DigestAlgorithm;
use crate::crypto::random::Random;
use crate::keys::Identity;
use crate::limits::Limits;
use crate::mime::canonical::Wish;
use crate::mime::transfer;
use crate::pki::{Certificate, hex};
use crate::smime::Error;
use crate::smime::headers::{Confidentiality, HeaderProtection};
use crate::smime::payload::{Payload, Source, Written};
use crate::smime::spool::{Input, Spool};
use crate::smime::verdict::Form;
use crate::time::Timestamp;

/// A signing: who, and how.
#[derive(Debug, Clone)]
pub struct Sign<'a> {
    identity: &'a Identity,
    digest: DigestAlgorithm,
    form: Form,
    padding: Padding,
    protection: HeaderProtection,
    encryption_certificate: Option<&'a Certificate>,
    second_thread: bool,
    limits: Limits,
}

impl<'a> Sign<'a> {
    /// Signs as this identity: clear-signed, SHA-256, header fields protected.
    pub fn new(identity: &'a Identity) -> Self {
        Self {
            identity,
            digest: DigestAlgorithm::Sha256,
            form: Form::Clear,
            padding: Padding::Pkcs1,
            protection: HeaderProtection::On,
            encryption_certificate: None,
            second_thread: false,
            limits: Limits::default(),
        }
    }

    /// Hashes with this digest.
    #[must_use]
    pub fn digest(mut self, digest: DigestAlgorithm) -> Self {
        self.digest = digest;
        self
    }

    /// Puts the content beside the signature, or inside.
    #[must_use]
    pub fn form(mut self, form: Form) -> Self {
        self.form = form;
        self
    }

    /// Signs with RSA-PSS.
    #[must_use]
    pub fn pss(mut self) -> Self {
        self.padding = Padding::Pss;
        self
    }

    /// Copies header fields into the signed part, or leaves them outside.
    #[must_use]
    pub fn header_protection(mut self, protection: HeaderProtection) -> Self {
        self.protection = protection;
        self
    }

    /// Says that mail shall be encrypted to this certificate of the signer, and sends it along (RFC 8551 2.5.3). Where nothing is said,
    /// readers encrypt to the one that signs.
    #[must_use]
    pub fn encryption_certificate(mut self, certificate: &'a Certificate) -> Self {
        self.encryption_certificate = Some(certificate);
        self
    }

    /// Whether much content is hashed in a thread beside (see [`ContentHash::second_thread`]).
    #[must_use]
    pub fn second_thread(mut self, may_start: bool) -> Self {
        self.second_thread = may_start;
        self
    }

    /// Signs a message in memory; `now` is the time that the signature claims.
    pub fn run(&self, message: &[u8], now: Timestamp, random: &mut dyn Random) -> Result<Vec<u8>, Error> {
        let mut out = Vec::with_capacity(grown(message.len(), self.form));
        self.stream(&mut Cursor::new(message), now, random, &mut out)?;
        Ok(out)
    }

    /// Signs a message of any size, in constant memory; nothing of the result is good where this fails.
    ///
    /// The result is begun anew where the message turns out not to survive relays as it is.
    pub fn stream(
        &self,
        message: &mut dyn Input,
        now: Timestamp,
        random: &mut dyn Random,
        spool: &mut dyn Spool,
    ) -> Result<(), Error> {
        let mut source = Source::read(message, &self.limits)?;
        let head = source.parts.head(Confidentiality::Clear, self.protection);
        let outer = source.parts.outer(Confidentiality::Clear, self.protection);
        spool.restart()?;
        outer.iter().try_for_each(|(_, raw)| spool.write_all(raw))?;
        let mut payload = Payload::checked(head.clone(), &mut source);
        if self.entity(&mut payload, now, random, spool)? == Written::Whole {
            return Ok(());
        }
        spool.restart()?;
        outer.iter().try_for_each(|(_, raw)| spool.write_all(raw))?;
        let mut payload = Payload::planned(head, Wish::Safe, &mut source, &self.limits)?;
        self.entity(&mut payload, now, random, spool).map(|_| ())
    }

    pub(in crate::smime) fn signed_form(&self) -> Form {
        self.form
    }

    pub(in crate::smime) fn protection(&self) -> HeaderProtection {
        self.protection
    }

    /// Writes the signed MIME entity of a payload; not to its end where the payload would not survive relays.
    pub(in crate::smime) fn entity(
        &self,
        payload: &mut Payload<'_, '_>,
        now: Timestamp,
        random: &mut dyn Random,
        sink: &mut dyn Write,
    ) -> Result<Written, Error> {
        let key = self.identity.private_key();
        let public = self.identity.certificate().public_key().map_err(crate::cms::Error::from)?;
        let mut options = SignerOptions::for_public_key(&public, self.digest, self.padding)?;
        options.signing_time = Some(now);
        // the certificate that signs is the one to encrypt to anyway
        let other = self.encryption_certificate.filter(|other| *other != self.identity.certificate());
        options.encryption_certificate = other.cloned();
        let micalg = options.digest.micalg();
        let mut builder = SignedBuilder::new(self.identity.certificate(), key, options).second_thread(self.second_thread);
        for certificate in self.identity.chain() {
            // the root is the reader's to have; sending it adds nothing
            if !certificate.is_self_issued() {
                builder = builder.certificate(certificate);
            }
        }
        match self.form {
            Form::Clear => {
                let boundary = boundary(random);
                clear_signed_begin(&boundary, micalg, sink)?;
                let mut content = Hashed { hash: builder.hash(), sink: &mut *sink };
                if payload.write_to(&self.limits, &mut content)? == Written::Unsafe {
                    return Ok(Written::Unsafe);
                }
                let signature = builder.signature(&content.hash.finish(), random)?;
                clear_signed_end(&boundary, &signature, sink)?;
            }
            Form::Opaque => {
                let mut lines = Pkcs7Mime::begin("signed-data", sink)?;
                let mut signing = builder.begin(&mut lines)?;
                if payload.write_to(&self.limits, &mut signing)? == Written::Unsafe {
                    return Ok(Written::Unsafe);
                }
                signing.finish(random)?;
                lines.finish()?;
            }
        }
        Ok(Written::Whole)
    }
}

/// Room for a result: base64 takes four bytes for three, and two more for each line.
pub(in crate::smime) fn grown(len: usize, form: Form) -> usize {
    let content = match form {
        Form::Clear => len,
        Form::Opaque => len.saturating_add(len / 2).saturating_sub(len / 8),
    };
    content.saturating_add(16 << 10)
}

/// Content that is hashed on its way, while it is in the processor's cache.
struct Hashed<'a> {
    hash: ContentHash,
    sink: &'a mut dyn Write,
}

impl Write for Hashed<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.hash.update(bytes);
        self.sink.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.sink.flush()
    }
}

/// `multipart/signed` (RFC 8551 3.5.3), up to the content.
fn clear_signed_begin(boundary: &str, micalg: &str, sink: &mut dyn Write) -> std::io::Result<()> {
    write!(
        sink,
        "MIME-Version: 1.0\r\nContent-Type: multipart/signed; protocol=\"application/pkcs7-signature\";\r\n micalg={micalg};\r\n \
         boundary=\"{boundary}\"\r\n\r\nThis is a signed message (S/MIME).\r\n\r\n--{boundary}\r\n"
    )
}

/// What follows the content.
fn clear_signed_end(boundary: &str, signature: &[u8], sink: &mut dyn Write) -> std::io::Result<()> {
    write!(
        sink,
        "\r\n--{boundary}\r\nContent-Type: application/pkcs7-signature; name=\"smime.p7s\"\r\nContent-Transfer-Encoding: base64\r\n\
         Content-Disposition: attachment; filename=\"smime.p7s\"\r\nContent-Description: S/MIME signature\r\n\r\n"
    )?;
    sink.write_all(&transfer::encode_base64(signature))?;
    write!(sink, "\r\n--{boundary}--\r\n")
}

/// `application/pkcs7-mime` (RFC 8551 3.2), written as its content goes by.
pub(in crate::smime) struct Pkcs7Mime<W>(transfer::Base64Lines<W>);

impl<'a> Pkcs7Mime<&'a mut dyn Write> {
    pub(in crate::smime) fn begin(smime_type: &str, sink: &'a mut dyn Write) -> std::io::Result<Self> {
        pkcs7_mime_begin(smime_type, sink)?;
        Ok(Self(transfer::Base64Lines::new(sink)))
    }
}

impl<'a> Pkcs7Mime<&'a mut dyn Spool> {
    /// As [`Pkcs7Mime::begin`], into room that the spool lends.
    pub(in crate::smime) fn begin_in(smime_type: &str, spool: &'a mut dyn Spool) -> std::io::Result<Self> {
        pkcs7_mime_begin(smime_type, spool)?;
        let lends = transfer::Lends {
            room: |spool: &mut &mut dyn Spool, bytes| spool.lend(bytes),
            begin: |spool| spool.begin_base64(),
            end: |spool| spool.end_base64(),
        };
        Ok(Self(transfer::Base64Lines::lent(spool, lends)?))
    }
}

impl<W: Write> Pkcs7Mime<W> {
    pub(in crate::smime) fn finish(self) -> std::io::Result<()> {
        self.0.finish()
    }
}

impl<W: Write> Write for Pkcs7Mime<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}

/// Its header section.
fn pkcs7_mime_begin(smime_type: &str, sink: &mut dyn Write) -> std::io::Result<()> {
    write!(
        sink,
        "MIME-Version: 1.0\r\nContent-Type: application/pkcs7-mime; smime-type={smime_type}; name=\"smime.p7m\"\r\n\
         Content-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename=\"smime.p7m\"\r\n\
         Content-Description: S/MIME message\r\n\r\n"
    )
}

/// A boundary that no content holds by chance: 128 random bits, and `=_`, which neither base64 nor quoted-printable writes.
fn boundary(random: &mut dyn Random) -> String {
    let mut bytes = [0; 16];
    random.fill(&mut bytes);
    format!("=_{}", hex(&bytes))
}
