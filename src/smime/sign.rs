//! `sign`: a message in, a signed message out.

use std::borrow::Cow;
use std::io::{Read, Write};

use crate::cms::{Padding, SignedBuilder, SignerOptions};
use crate::crypto::algorithm::DigestAlgorithm;
use crate::crypto::random::Random;
use crate::keys::Identity;
use crate::limits::Limits;
use crate::mime::{self, canonical, transfer};
use crate::smime::Error;
use crate::smime::headers::{Confidentiality, HeaderProtection, Parts};
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

    /// Signs a message; `now` is the time that the signature claims.
    pub fn run(&self, message: &[u8], now: Timestamp, random: &mut dyn Random) -> Result<Vec<u8>, Error> {
        let mut out = Vec::with_capacity(grown(message.len(), self.form));
        self.write(message, now, random, &mut out)?;
        Ok(out)
    }

    /// Signs a message, and writes the result as it comes into being; nothing of it is good where this fails.
    pub fn write(&self, message: &[u8], now: Timestamp, random: &mut dyn Random, sink: &mut dyn Write) -> Result<(), Error> {
        let parts = message_parts(message, &self.limits)?;
        let head = parts.head(Confidentiality::Clear, self.protection);
        for (_, raw) in parts.outer(Confidentiality::Clear, self.protection) {
            sink.write_all(&raw)?;
        }
        self.entity(&Payload::safe(&head, parts.body, &self.limits)?, now, random, sink)
    }

    pub(in crate::smime) fn signed_form(&self) -> Form {
        self.form
    }

    pub(in crate::smime) fn protection(&self) -> HeaderProtection {
        self.protection
    }

    /// Writes the signed MIME entity of a payload that is canonical and safe.
    pub(in crate::smime) fn entity(
        &self,
        payload: &Payload<'_>,
        now: Timestamp,
        random: &mut dyn Random,
        sink: &mut dyn Write,
    ) -> Result<(), Error> {
        let key = self.identity.private_key();
        let mut options = SignerOptions::for_key(key, self.digest, self.padding)?;
        options.signing_time = Some(now);
        let micalg = options.digest.micalg();
        let mut builder = SignedBuilder::new(self.identity.certificate(), key, options);
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
                let signature = builder.detached(&mut Tee { source: payload.reader(), sink: &mut *sink }, random)?;
                Ok(clear_signed_end(&boundary, &signature, sink)?)
            }
            Form::Opaque => {
                let mut lines = Pkcs7Mime::begin("signed-data", sink)?;
                builder.opaque(&mut payload.reader(), &mut lines, random)?;
                Ok(lines.finish()?)
            }
        }
    }
}

/// What gets signed or encrypted: a header section and a body, so that a large body need not be copied behind its header.
pub(in crate::smime) struct Payload<'a> {
    head: Cow<'a, [u8]>,
    body: Cow<'a, [u8]>,
}

impl<'a> Payload<'a> {
    /// With CRLF line ends, and else as it is.
    pub(in crate::smime) fn canonical(head: &'a [u8], body: &'a [u8]) -> Self {
        Self { head: canonical::to_crlf(head), body: canonical::to_crlf(body) }
    }

    /// In the form that survives relays.
    pub(in crate::smime) fn safe(head: &'a [u8], body: &'a [u8], limits: &Limits) -> Result<Self, Error> {
        // the header section ends in CRLF: what holds for both holds for the whole
        if canonical::is_safe(head) && canonical::is_safe(body) {
            return Ok(Self { head: Cow::Borrowed(head), body: Cow::Borrowed(body) });
        }
        let whole = canonical::to_safe(&[head, body].concat(), limits)?;
        Ok(Self { head: Cow::Owned(whole), body: Cow::Borrowed(&[]) })
    }

    pub(in crate::smime) fn reader(&self) -> impl Read {
        self.head.as_ref().chain(self.body.as_ref())
    }

    pub(in crate::smime) fn len(&self) -> usize {
        self.head.len().saturating_add(self.body.len())
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

/// Takes a message apart; what has no header section at all is the text of a message.
pub(in crate::smime) fn message_parts<'a>(message: &'a [u8], limits: &Limits) -> Result<Parts<'a>, Error> {
    let entity = mime::parse(message, limits)?;
    let mut parts = Parts::of(&entity, message);
    if entity.fields().is_empty() {
        let charset = if std::str::from_utf8(message).is_ok() { "utf-8" } else { "iso-8859-1" };
        parts.structure =
            format!("Content-Type: text/plain; charset={charset}\r\nContent-Transfer-Encoding: 8bit\r\n").into_bytes();
    }
    Ok(parts)
}

/// Reads, and writes what was read: content is hashed and goes out while it is in the processor's cache.
struct Tee<'a, R> {
    source: R,
    sink: &'a mut dyn Write,
}

impl<R: Read> Read for Tee<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.source.read(buffer)?;
        self.sink.write_all(buffer.get(..read).unwrap_or_default())?;
        Ok(read)
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
pub(in crate::smime) struct Pkcs7Mime<'a>(transfer::Base64Lines<&'a mut dyn Write>);

impl<'a> Pkcs7Mime<'a> {
    pub(in crate::smime) fn begin(smime_type: &str, sink: &'a mut dyn Write) -> std::io::Result<Self> {
        write!(
            sink,
            "MIME-Version: 1.0\r\nContent-Type: application/pkcs7-mime; smime-type={smime_type}; name=\"smime.p7m\"\r\n\
             Content-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename=\"smime.p7m\"\r\n\
             Content-Description: S/MIME message\r\n\r\n"
        )?;
        Ok(Self(transfer::Base64Lines::new(sink)))
    }

    pub(in crate::smime) fn finish(self) -> std::io::Result<()> {
        self.0.finish()
    }
}

impl Write for Pkcs7Mime<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}

/// A boundary that no content holds by chance: 128 random bits, and `=_`, which neither base64 nor quoted-printable writes.
fn boundary(random: &mut dyn Random) -> String {
    let mut bytes = [0; 16];
    random.fill(&mut bytes);
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("=_{digits}")
}
