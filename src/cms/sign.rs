//! Writes SignedData.

use std::io::{Read, Write};

use crate::asn1::{Tag, encode, oid, writer::Writer};
use crate::cms::{Attribute, Capabilities, ContentHash, Error, Hashed};
use crate::crypto::algorithm::{AlgorithmIdentifier, DigestAlgorithm, SignatureAlgorithm};
use crate::crypto::key::{PrivateKey, PublicKey};
use crate::crypto::random::Random;
use crate::crypto::signature::{self, Input};
use crate::pki::Certificate;
use crate::time::Timestamp;

/// How one signer signs.
#[derive(Debug, Clone)]
pub struct SignerOptions {
    /// The digest of the content.
    pub digest: DigestAlgorithm,
    /// The signature algorithm.
    pub algorithm: SignatureAlgorithm,
    /// The time to claim.
    pub signing_time: Option<Timestamp>,
    /// The certificate to encrypt to, where it is another than the signer's (RFC 8551 2.5.3); it goes along.
    pub encryption_certificate: Option<Certificate>,
}

/// How RSA signatures are padded; other keys know no padding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Padding {
    /// RSASSA-PKCS1-v1_5: what every program reads.
    Pkcs1,
    /// RSASSA-PSS: only for RSA keys.
    Pss,
}

impl SignerOptions {
    /// The usual algorithm for the key with this digest; Ed25519 goes with SHA-512 (RFC 8419 2.3).
    pub fn for_key(key: &PrivateKey, digest: DigestAlgorithm, padding: Padding) -> Result<Self, Error> {
        Self::for_public_key(key.public_key(), digest, padding)
    }

    /// The same for the key of a certificate. One for RSASSA-PSS alone gets that, with the digests that it names (RFC 4055 3.3).
    pub fn for_public_key(key: &PublicKey, digest: DigestAlgorithm, padding: Padding) -> Result<Self, Error> {
        let mut algorithm = key.signature_algorithm(digest)?;
        if padding == Padding::Pss && !key.is_pss() {
            if !key.algorithm().is_rsa() {
                return Err(Error::Unsupported("RSA-PSS with a key that is not RSA".to_owned()));
            }
            algorithm = SignatureAlgorithm::pss(digest);
        }
        Ok(Self { digest: algorithm.digest(), algorithm, signing_time: None, encryption_certificate: None })
    }
}

/// Collects signers and certificates, then signs.
pub struct SignedBuilder<'a> {
    signers: Vec<(&'a Certificate, &'a PrivateKey, SignerOptions)>,
    certificates: Vec<Certificate>,
    second_thread: bool,
}

impl std::fmt::Debug for SignedBuilder<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SignedBuilder({} signers)", self.signers.len())
    }
}

impl<'a> SignedBuilder<'a> {
    /// Signs with this certificate and its key.
    pub fn new(certificate: &'a Certificate, key: &'a PrivateKey, options: SignerOptions) -> Self {
        let builder = Self { signers: Vec::new(), certificates: Vec::new(), second_thread: false };
        builder.signer(certificate, key, options)
    }

    /// Whether much content is hashed in a thread beside (see [`ContentHash::second_thread`]).
    #[must_use]
    pub fn second_thread(mut self, may_start: bool) -> Self {
        self.second_thread = may_start;
        self
    }

    /// Adds a signer.
    #[must_use]
    pub fn signer(mut self, certificate: &'a Certificate, key: &'a PrivateKey, options: SignerOptions) -> Self {
        let other = options.encryption_certificate.clone();
        self.signers.push((certificate, key, options));
        self = self.certificate(certificate);
        other.into_iter().fold(self, |builder, other| builder.certificate(&other))
    }

    /// Adds a certificate for whoever verifies.
    #[must_use]
    pub fn certificate(mut self, certificate: &Certificate) -> Self {
        if !self.certificates.contains(certificate) {
            self.certificates.push(certificate.clone());
        }
        self
    }

    /// The digest algorithms, each once.
    pub fn digests(&self) -> Vec<DigestAlgorithm> {
        let mut found = Vec::new();
        for (_, _, options) in &self.signers {
            if !found.contains(&options.digest) {
                found.push(options.digest);
            }
        }
        found
    }

    /// What hashes the content for these signers.
    pub fn hash(&self) -> ContentHash {
        ContentHash::new(self.digests()).second_thread(self.second_thread)
    }

    /// The signature over content that stands elsewhere and was hashed; the structure is DER.
    pub fn signature(&self, hashed: &Hashed, random: &mut dyn Random) -> Result<Vec<u8>, Error> {
        let signed = encode::sequence(&[
            encode::integer_u64(self.version()),
            self.digest_set(),
            encode::sequence(&[encode::oid(&oid::ID_DATA)]),
            self.certificate_set(),
            self.signer_set(hashed, random)?,
        ]);
        Ok(encode::sequence(&[encode::oid(&oid::ID_SIGNED_DATA), encode::explicit(0, &signed)]))
    }

    /// Signs content that stands elsewhere; the structure is DER.
    pub fn detached(&self, content: &mut dyn Read, random: &mut dyn Random) -> Result<Vec<u8>, Error> {
        let mut hash = self.hash();
        let mut buffer = vec![0; PIECE];
        loop {
            let read = fill(content, &mut buffer)?;
            if read == 0 {
                return self.signature(&hash.finish(), random);
            }
            hash.update(buffer.get(..read).unwrap_or_default());
        }
    }

    /// Signs content and carries it inside; the structure is BER, written as the content goes by.
    pub fn opaque(&self, content: &mut dyn Read, sink: &mut dyn Write, random: &mut dyn Random) -> Result<(), Error> {
        let mut signing = self.begin(sink)?;
        std::io::copy(content, &mut signing)?;
        signing.finish(random)
    }

    /// Begins a structure that carries its content, which is written to what this gives.
    pub fn begin<W: Write>(&self, sink: W) -> Result<Signing<'_, 'a, W>, Error> {
        let mut writer = Writer::new(sink);
        writer.open(Tag::SEQUENCE)?;
        writer.der(&encode::oid(&oid::ID_SIGNED_DATA))?;
        writer.open(Tag::context(0))?;
        writer.open(Tag::SEQUENCE)?;
        writer.der(&encode::integer_u64(self.version()))?;
        writer.der(&self.digest_set())?;
        writer.open(Tag::SEQUENCE)?;
        writer.der(&encode::oid(&oid::ID_DATA))?;
        writer.open(Tag::context(0))?;
        writer.open(Tag::OCTET_STRING)?;
        Ok(Signing { builder: self, hash: self.hash(), writer })
    }

    /// RFC 5652 5.1: version 1, for signers named by issuer and serial number, and plain data.
    fn version(&self) -> u64 {
        1
    }

    fn digest_set(&self) -> Vec<u8> {
        encode::set_of(self.digests().into_iter().map(|digest| digest.identifier().to_der()).collect())
    }

    fn certificate_set(&self) -> Vec<u8> {
        let certificates = self.certificates.iter().map(|certificate| certificate.der().to_vec()).collect();
        encode::implicit(0, &encode::set_of(certificates))
    }

    fn signer_set(&self, hashed: &Hashed, random: &mut dyn Random) -> Result<Vec<u8>, Error> {
        let mut infos = Vec::new();
        for (certificate, key, options) in &self.signers {
            let digest = hashed.digest(options.digest).ok_or(Error::Malformed("the content was not hashed for every signer"))?;
            infos.push(signer_info(certificate, key, options, digest, random)?);
        }
        Ok(encode::set_of(infos))
    }
}

/// A signed message that comes into being and carries its content: what is written to it.
#[derive(Debug)]
pub struct Signing<'b, 'a, W> {
    builder: &'b SignedBuilder<'a>,
    hash: ContentHash,
    writer: Writer<W>,
}

impl<W: Write> Signing<'_, '_, W> {
    /// Ends the content, signs it, and ends the structure.
    pub fn finish(self, random: &mut dyn Random) -> Result<(), Error> {
        let mut writer = self.writer;
        writer.close()?;
        writer.close()?;
        writer.close()?;
        writer.der(&self.builder.certificate_set())?;
        writer.der(&self.builder.signer_set(&self.hash.finish(), random)?)?;
        writer.close()?;
        writer.close()?;
        writer.close()?;
        writer.finish()?;
        Ok(())
    }
}

impl<W: Write> Write for Signing<'_, '_, W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.hash.update(bytes);
        for piece in bytes.chunks(PIECE) {
            self.writer.piece(piece)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// `SignerInfo` with the attributes that readers check.
fn signer_info(
    certificate: &Certificate,
    key: &PrivateKey,
    options: &SignerOptions,
    content_digest: &[u8],
    random: &mut dyn Random,
) -> Result<Vec<u8>, Error> {
    // what the certificate says of its key, the key itself need not
    certificate.public_key()?.refuse_other_uses(options.algorithm)?;
    let digest = options.digest.identifier();
    let algorithm = signer_identifier(options.algorithm);
    let mut attributes = vec![
        Attribute::new(oid::CONTENT_TYPE, encode::oid(&oid::ID_DATA)),
        Attribute::new(oid::MESSAGE_DIGEST, encode::octet_string(content_digest)),
        Attribute::new(oid::SMIME_CAPABILITIES, Capabilities::ours_der().to_vec()),
        Attribute::new(oid::SIGNING_CERTIFICATE_V2, signing_certificate_v2(certificate)),
        Attribute::new(
            oid::CMS_ALGORITHM_PROTECTION,
            encode::sequence(&[digest.to_der(), encode::implicit(1, &algorithm.to_der())]),
        ),
    ];
    if let Some(time) = options.signing_time {
        attributes.push(Attribute::new(oid::SIGNING_TIME, encode::time(time)));
    }
    if let Some(other) = &options.encryption_certificate {
        attributes.push(Attribute::new(oid::ENCRYPTION_KEY_PREFERENCE, key_preference(other)));
    }
    let attributes = encode::set_of(attributes.iter().map(Attribute::to_der).collect());
    let signature = signature::sign(key, options.algorithm, Input::Message(&attributes), random)?;
    Ok(encode::sequence(&[
        encode::integer_u64(1),
        issuer_and_serial(certificate),
        digest.to_der(),
        encode::implicit(0, &attributes),
        algorithm.to_der(),
        encode::octet_string(&signature),
    ]))
}

/// `IssuerAndSerialNumber ::= SEQUENCE { issuer, serialNumber }`
fn issuer_and_serial(certificate: &Certificate) -> Vec<u8> {
    encode::sequence(&[certificate.issuer().der().to_vec(), encode::tlv(Tag::INTEGER, certificate.serial())])
}

/// `SMIMEEncryptionKeyPreference ::= CHOICE { issuerAndSerialNumber [0] IMPLICIT IssuerAndSerialNumber, … }` (RFC 8551 2.5.3)
fn key_preference(certificate: &Certificate) -> Vec<u8> {
    encode::implicit(0, &issuer_and_serial(certificate))
}

/// RSA PKCS#1 v1.5 is named rsaEncryption in a SignerInfo, as every reader expects (RFC 3370 3.2).
fn signer_identifier(algorithm: SignatureAlgorithm) -> AlgorithmIdentifier {
    match algorithm {
        SignatureAlgorithm::RsaPkcs1(_) => AlgorithmIdentifier::with_null(oid::RSA_ENCRYPTION),
        other => other.identifier(),
    }
}

/// `SigningCertificateV2 ::= SEQUENCE { certs SEQUENCE OF ESSCertIDv2 { hashAlgorithm DEFAULT sha256, certHash, issuerSerial } }` (RFC 5035)
fn signing_certificate_v2(certificate: &Certificate) -> Vec<u8> {
    let general_names = encode::sequence(&[encode::explicit(4, certificate.issuer().der())]);
    let issuer_serial = encode::sequence(&[general_names, encode::tlv(Tag::INTEGER, certificate.serial())]);
    let id = encode::sequence(&[encode::octet_string(&certificate.fingerprint()), issuer_serial]);
    encode::sequence(&[encode::sequence(&[id])])
}

/// Reads until the buffer is full or the source ends.
pub(in crate::cms) fn fill(source: &mut dyn Read, buffer: &mut [u8]) -> Result<usize, Error> {
    let mut filled = 0;
    while let Some(space) = buffer.get_mut(filled..).filter(|space| !space.is_empty()) {
        match source.read(space) {
            Ok(0) => break,
            Ok(read) => filled = filled.saturating_add(read),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Error::Io(error)),
        }
    }
    Ok(filled)
}

/// Bytes of one piece of streamed content.
pub(in crate::cms) const PIECE: usize = 64 << 10;
