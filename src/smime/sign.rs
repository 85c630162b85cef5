//! `sign`: a message in, a signed message out.

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
        let parts = message_parts(message, &self.limits)?;
        let payload = canonical::to_safe(&parts.payload(Confidentiality::Clear, self.protection), &self.limits)?;
        let entity = self.entity(&payload, now, random)?;
        Ok(assemble(&parts.outer(Confidentiality::Clear, self.protection), &entity))
    }

    pub(in crate::smime) fn protection(&self) -> HeaderProtection {
        self.protection
    }

    /// The signed MIME entity of a payload that is canonical and safe.
    pub(in crate::smime) fn entity(&self, payload: &[u8], now: Timestamp, random: &mut dyn Random) -> Result<Vec<u8>, Error> {
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
                let signature = builder.detached(payload, random)?;
                Ok(clear_signed(payload, &signature, micalg, random))
            }
            Form::Opaque => {
                let mut cms = Vec::with_capacity(payload.len().saturating_add(8192));
                builder.opaque(&mut &*payload, &mut cms, random)?;
                Ok(pkcs7_mime("signed-data", "smime.p7m", &cms))
            }
        }
    }
}

/// Takes a message apart; what has no header section at all is the text of a message.
pub(in crate::smime) fn message_parts(message: &[u8], limits: &Limits) -> Result<Parts, Error> {
    let entity = mime::parse(message, limits)?;
    let mut parts = Parts::of(&entity, message);
    if entity.fields().is_empty() {
        let charset = if std::str::from_utf8(message).is_ok() { "utf-8" } else { "iso-8859-1" };
        parts.structure =
            format!("Content-Type: text/plain; charset={charset}\r\nContent-Transfer-Encoding: 8bit\r\n").into_bytes();
    }
    Ok(parts)
}

/// `multipart/signed` (RFC 8551 3.5.3).
fn clear_signed(payload: &[u8], signature: &[u8], micalg: &str, random: &mut dyn Random) -> Vec<u8> {
    let boundary = boundary(random);
    let encoded = transfer::encode_base64(signature);
    let mut out = Vec::with_capacity(payload.len().saturating_add(encoded.len()).saturating_add(1024));
    let head = format!(
        "MIME-Version: 1.0\r\nContent-Type: multipart/signed; protocol=\"application/pkcs7-signature\";\r\n micalg={micalg};\r\n \
         boundary=\"{boundary}\"\r\n\r\nThis is a signed message (S/MIME).\r\n\r\n--{boundary}\r\n"
    );
    out.extend_from_slice(head.as_bytes());
    out.extend_from_slice(payload);
    let middle = format!(
        "\r\n--{boundary}\r\nContent-Type: application/pkcs7-signature; name=\"smime.p7s\"\r\nContent-Transfer-Encoding: base64\r\n\
         Content-Disposition: attachment; filename=\"smime.p7s\"\r\nContent-Description: S/MIME signature\r\n\r\n"
    );
    out.extend_from_slice(middle.as_bytes());
    out.extend_from_slice(&encoded);
    out.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    out
}

/// `application/pkcs7-mime` (RFC 8551 3.2).
pub(in crate::smime) fn pkcs7_mime(smime_type: &str, name: &str, cms: &[u8]) -> Vec<u8> {
    let encoded = transfer::encode_base64(cms);
    let mut out = Vec::with_capacity(encoded.len().saturating_add(512));
    let head = format!(
        "MIME-Version: 1.0\r\nContent-Type: application/pkcs7-mime; smime-type={smime_type}; name=\"{name}\"\r\n\
         Content-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename=\"{name}\"\r\n\
         Content-Description: S/MIME message\r\n\r\n"
    );
    out.extend_from_slice(head.as_bytes());
    out.extend_from_slice(&encoded);
    out
}

/// Outer header fields before an entity that begins with its own.
pub(in crate::smime) fn assemble(outer: &[(String, Vec<u8>)], entity: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(entity.len().saturating_add(2048));
    outer.iter().for_each(|(_, raw)| out.extend_from_slice(raw));
    out.extend_from_slice(entity);
    out
}

/// A boundary that no content holds by chance: 128 random bits, and `=_`, which neither base64 nor quoted-printable writes.
fn boundary(random: &mut dyn Random) -> String {
    let mut bytes = [0; 16];
    random.fill(&mut bytes);
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("=_{digits}")
}
