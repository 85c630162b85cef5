//! Writes EnvelopedData and AuthEnvelopedData, and bundles of certificates.

use std::io::{Read, Write};

use crate::asn1::{Cursor, Tag, encode, oid, writer::Writer};
use crate::cms::Error;
use crate::cms::sign::PIECE;
use crate::crypto::agreement::Ephemeral;
use crate::crypto::algorithm::{AlgorithmIdentifier, CipherParameters, ContentCipher, KeyAgreement, KeyTransport};
use crate::crypto::cipher::Encryptor;
use crate::crypto::key::PublicKey;
use crate::crypto::random::Random;
use crate::crypto::transport;
use crate::pki::Certificate;
use crate::secret::Secret;
use crate::secret::scratch::Piece;

/// One recipient to write to.
#[derive(Debug, Clone)]
pub struct To<'a> {
    /// His certificate.
    pub certificate: &'a Certificate,
    /// How RSA keys get the content key; EC and X25519 keys agree on it.
    pub transport: KeyTransport,
    /// How they agree; `None` for the usual way of their kind.
    pub agreement: Option<KeyAgreement>,
}

impl<'a> To<'a> {
    /// The owner of this certificate: PKCS#1 v1.5 where its key is RSA, the usual agreement else.
    pub fn new(certificate: &'a Certificate) -> Self {
        Self { certificate, transport: KeyTransport::RsaPkcs1, agreement: None }
    }

    /// Encrypts the key to an RSA key so.
    #[must_use]
    pub fn transport(mut self, transport: KeyTransport) -> Self {
        self.transport = transport;
        self
    }

    /// Agrees so with an EC or X25519 key.
    #[must_use]
    pub fn agreement(mut self, agreement: KeyAgreement) -> Self {
        self.agreement = Some(agreement);
        self
    }
}

/// Collects recipients, then encrypts.
#[derive(Debug)]
pub struct EnvelopedBuilder<'a> {
    cipher: ContentCipher,
    recipients: Vec<To<'a>>,
}

impl<'a> EnvelopedBuilder<'a> {
    /// Encrypts with this cipher: AuthEnvelopedData where it has a tag, EnvelopedData else.
    pub fn new(cipher: ContentCipher) -> Self {
        Self { cipher, recipients: Vec::new() }
    }

    /// Adds a recipient.
    #[must_use]
    pub fn recipient(mut self, to: To<'a>) -> Self {
        self.recipients.push(to);
        self
    }

    /// Encrypts what can be read; the structure is BER, written as the content goes by.
    pub fn encrypt(&self, content: &mut dyn Read, sink: &mut dyn Write, random: &mut dyn Random) -> Result<(), Error> {
        let mut encrypting = self.begin(sink, random)?;
        std::io::copy(content, &mut encrypting)?;
        encrypting.finish()
    }

    /// Begins a structure whose content is written to what this gives.
    pub fn begin<W: Write>(&self, sink: W, random: &mut dyn Random) -> Result<Encrypting<W>, Error> {
        if self.recipients.is_empty() {
            return Err(Error::Malformed("an encrypted message without recipients, which nobody could read"));
        }
        let parameters = CipherParameters::generate(self.cipher, random);
        let mut key = Secret::new(vec![0; self.cipher.key_len()]);
        random.fill(key.expose_mut());
        let authenticated = self.cipher.is_authenticated();
        let mut infos = Vec::new();
        let mut has_agreement = false;
        for to in &self.recipients {
            let public = to.certificate.public_key()?;
            has_agreement |= !public.algorithm().is_rsa();
            infos.push(recipient_info(to, &public, &key, random)?);
        }
        // RFC 5652 6.1: 2 with a key agreement, else 0; RFC 5083 2.1: always 0
        let version = if has_agreement && !authenticated { 2 } else { 0 };
        let kind = if authenticated { oid::ID_AUTH_ENVELOPED_DATA } else { oid::ID_ENVELOPED_DATA };
        let mut writer = Writer::new(sink);
        writer.open(Tag::SEQUENCE)?;
        writer.der(&encode::oid(&kind))?;
        writer.open(Tag::context(0))?;
        writer.open(Tag::SEQUENCE)?;
        writer.der(&encode::integer_u64(version))?;
        writer.der(&encode::set_of(infos))?;
        writer.open(Tag::SEQUENCE)?;
        writer.der(&encode::oid(&oid::ID_DATA))?;
        writer.der(&parameters.identifier().to_der())?;
        writer.open(Tag::context(0))?;
        let encryptor = Encryptor::new(&parameters, key.expose())?;
        Ok(Encrypting { writer, encryptor, out: Piece::new() })
    }
}

/// An encrypted message that comes into being: what is written to it is its content.
pub struct Encrypting<W> {
    writer: Writer<W>,
    encryptor: Encryptor,
    out: Piece,
}

impl<W: Write> Encrypting<W> {
    /// Ends the content and the structure.
    pub fn finish(mut self) -> Result<(), Error> {
        let tag = self.encryptor.finish(&[], self.out.expose_mut())?;
        let mut writer = self.writer;
        for piece in self.out.expose().chunks(PIECE) {
            writer.piece(piece)?;
        }
        writer.close()?;
        writer.close()?;
        if let Some(tag) = tag {
            writer.der(&encode::octet_string(&tag))?;
        }
        writer.close()?;
        writer.close()?;
        writer.close()?;
        writer.finish()?;
        Ok(())
    }
}

impl<W: Write> Write for Encrypting<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        for piece in bytes.chunks(PIECE) {
            self.encryptor.update(piece, self.out.expose_mut());
            if self.out.expose().len() >= PIECE {
                self.writer.piece(self.out.expose())?;
                self.out.clear();
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn recipient_info(to: &To<'_>, public: &PublicKey, key: &Secret<Vec<u8>>, random: &mut dyn Random) -> Result<Vec<u8>, Error> {
    let certificate = to.certificate;
    let id = encode::sequence(&[certificate.issuer().der().to_vec(), encode::tlv(Tag::INTEGER, certificate.serial())]);
    if public.algorithm().is_rsa() && !public.is_pss() {
        let encrypted = transport::encrypt(public, &to.transport, key.expose(), random)?;
        let algorithm = to.transport.identifier().to_der();
        return Ok(encode::sequence(&[encode::integer_u64(0), id, algorithm, encode::octet_string(&encrypted)]));
    }
    if !public.encrypts() {
        return Err(Error::Unsupported("a recipient whose key can only sign".to_owned()));
    }
    if !public.algorithm().agrees() {
        return Err(Error::Unsupported(format!("encrypting to a key of the kind {}, which is read only", public.algorithm())));
    }
    let agreement = to.agreement.unwrap_or_else(|| KeyAgreement::usual(public.algorithm(), key.expose().len()));
    let ephemeral = Ephemeral::generate(public.algorithm(), random)?;
    let wrapped = ephemeral.wrap(public, &agreement, None, key.expose())?;
    let encrypted_keys = encode::sequence(&[encode::sequence(&[id, encode::octet_string(&wrapped)])]);
    let originator = encode::explicit(0, &encode::implicit(1, &originator_key(ephemeral.public_key())?));
    let fields = encode::sequence(&[encode::integer_u64(3), originator, agreement.identifier().to_der(), encrypted_keys]);
    Ok(encode::implicit(1, &fields))
}

/// `OriginatorPublicKey`: the ephemeral key, with an algorithm without parameters (RFC 5753 3.1.1).
fn originator_key(public: &PublicKey) -> Result<Vec<u8>, Error> {
    let mut fields = Cursor::new(public.spki()).sequence()?;
    let algorithm = AlgorithmIdentifier::from_cursor(&mut fields)?;
    Ok(encode::sequence(&[AlgorithmIdentifier::bare(algorithm.oid).to_der(), encode::bit_string(public.key_bits())]))
}

/// A SignedData of certificates and nothing else (RFC 8551 3.8).
pub fn certificates_only(certificates: &[Certificate]) -> Vec<u8> {
    let set = encode::set_of(certificates.iter().map(|certificate| certificate.der().to_vec()).collect());
    let signed = encode::sequence(&[
        encode::integer_u64(1),
        encode::set_of(Vec::new()),
        encode::sequence(&[encode::oid(&oid::ID_DATA)]),
        encode::implicit(0, &set),
        encode::set_of(Vec::new()),
    ]);
    encode::sequence(&[encode::oid(&oid::ID_SIGNED_DATA), encode::explicit(0, &signed)])
}
