//! Time-stamps inside signatures: an authority vouches that a signature existed at some time (RFC 3161, RFC 5816, RFC 5126 6.1.1).

use crate::asn1::{Cursor, Oid, Tag, oid};
use crate::cms::{self, Content, Error, SignatureCheck, SignedData, Signer};
use crate::crypto::algorithm::{AlgorithmIdentifier, DigestAlgorithm, Strength};
use crate::crypto::{digest, mac};
use crate::limits::Limits;
use crate::pki::{Certificate, GeneralName};
use crate::time::Timestamp;

/// What a time-stamp authority signs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Info {
    /// Under which policy of the authority.
    pub policy: Oid,
    /// The digest of what was stamped: its algorithm.
    pub imprint_algorithm: AlgorithmIdentifier,
    /// The digest of what was stamped.
    pub imprint: Vec<u8>,
    /// The number of the token.
    pub serial: Vec<u8>,
    /// When, in whole seconds.
    pub time: Timestamp,
    /// The rest of the time, in nanoseconds.
    pub nanoseconds: u32,
    /// How far the clock may be off.
    pub accuracy: Option<Accuracy>,
    /// Whether tokens of this authority are in the order of their times.
    pub ordering: bool,
    /// The number that the client chose.
    pub nonce: Option<Vec<u8>>,
    /// A hint who the authority is.
    pub authority: Option<GeneralName>,
}

/// How far a clock may be off, either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accuracy {
    /// Seconds.
    pub seconds: u64,
    /// Thousandths of a second.
    pub millis: u64,
    /// Millionths of a second.
    pub micros: u64,
}

impl Info {
    /// `TSTInfo ::= SEQUENCE { version, policy, messageImprint SEQUENCE { hashAlgorithm, hashedMessage }, serialNumber, genTime GeneralizedTime,
    /// accuracy OPTIONAL, ordering DEFAULT FALSE, nonce OPTIONAL, tsa [0] GeneralName OPTIONAL, extensions [1] OPTIONAL }` (RFC 3161 2.4.2)
    pub fn from_der(bytes: &[u8]) -> Result<Self, Error> {
        let mut outer = Cursor::new(bytes);
        let mut fields = outer.sequence()?;
        outer.finish()?;
        if fields.small_unsigned()? != 1 {
            return Err(Error::Unsupported("a time-stamp of another version than 1".to_owned()));
        }
        let policy = fields.oid()?;
        let mut imprint = fields.sequence()?;
        let imprint_algorithm = AlgorithmIdentifier::from_cursor(&mut imprint)?;
        let imprint = imprint.octet_string()?.into_owned();
        let serial = fields.integer()?.to_vec();
        if fields.peek() != Some(Tag::GENERALIZED_TIME) {
            return Err(Error::Malformed("a time-stamp without its time"));
        }
        let nanoseconds = fraction(fields.clone().any()?.content);
        let time = fields.time()?;
        let accuracy = fields.optional(Tag::SEQUENCE)?.map(|e| Accuracy::from_fields(e.cursor()?)).transpose()?;
        let ordering = if fields.peek() == Some(Tag::BOOLEAN) { fields.boolean()? } else { false };
        let nonce = if fields.peek() == Some(Tag::INTEGER) { Some(fields.integer()?.to_vec()) } else { None };
        let authority = match fields.explicit(0)? {
            Some(mut name) => Some(GeneralName::read(&mut name)?),
            None => None,
        };
        let critical = match fields.optional(Tag::context_constructed(1))? {
            Some(extensions) => has_critical(extensions.cursor()?)?,
            None => false,
        };
        fields.finish()?;
        if critical {
            return Err(Error::Unsupported("a time-stamp with a critical extension".to_owned()));
        }
        Ok(Self { policy, imprint_algorithm, imprint, serial, time, nanoseconds, accuracy, ordering, nonce, authority })
    }
}

impl Accuracy {
    /// `Accuracy ::= SEQUENCE { seconds INTEGER OPTIONAL, millis [0] INTEGER OPTIONAL, micros [1] INTEGER OPTIONAL }`
    fn from_fields(mut fields: Cursor<'_>) -> Result<Self, Error> {
        let seconds = if fields.peek() == Some(Tag::INTEGER) { fields.small_unsigned()? } else { 0 };
        let mut part = |number| -> Result<u64, Error> {
            let Some(element) = fields.optional(Tag::context(number))? else { return Ok(0) };
            match element.content {
                [low] => Ok(u64::from(*low)),
                [high, low] => Ok(u64::from(u16::from_be_bytes([*high, *low]))),
                _ => Err(Error::Malformed("a time-stamp whose accuracy cannot be read")),
            }
        };
        let (millis, micros) = (part(0)?, part(1)?);
        fields.finish()?;
        Ok(Self { seconds, millis, micros })
    }
}

/// The digits after the seconds, as nanoseconds.
fn fraction(time: &[u8]) -> u32 {
    let after = time.iter().skip_while(|byte| !matches!(byte, b'.' | b',')).skip(1);
    let digits = after.take_while(|byte| byte.is_ascii_digit()).map(|digit| u32::from(digit.saturating_sub(b'0')));
    digits.chain(std::iter::repeat(0)).take(9).fold(0, |sum: u32, digit| sum.saturating_mul(10).saturating_add(digit))
}

/// `Extensions ::= SEQUENCE OF SEQUENCE { extnID, critical DEFAULT FALSE, extnValue }`
fn has_critical(mut extensions: Cursor<'_>) -> Result<bool, Error> {
    let mut found = false;
    while !extensions.is_empty() {
        let mut fields = extensions.sequence()?;
        fields.oid()?;
        found |= fields.peek() == Some(Tag::BOOLEAN) && fields.boolean()?;
    }
    Ok(found)
}

/// A time-stamp token: SignedData of one authority over [`Info`].
#[derive(Debug, Clone)]
pub struct Token {
    info: Info,
    data: SignedData,
}

/// A token that fits: the arithmetic is right; whether the authority is trusted is for `pki` to say.
#[derive(Debug, Clone)]
pub struct Stamp {
    /// What the authority signed.
    pub info: Info,
    /// The authority's certificate.
    pub certificate: Certificate,
    /// The weaker of the digest of the imprint and the authority's own algorithms.
    pub strength: Strength,
    /// What is odd and yet clear.
    pub oddities: Vec<String>,
}

impl Token {
    /// `TimeStampToken ::= ContentInfo` of SignedData, with one signer (RFC 3161 2.4.2).
    pub fn from_der(bytes: &[u8], limits: &Limits) -> Result<Self, Error> {
        let Content::Signed(reader) = cms::open(bytes, limits)? else {
            return Err(Error::Malformed("a time-stamp that is not signed"));
        };
        if reader.content_type() != oid::ID_TST_INFO {
            return Err(Error::Malformed("a time-stamp whose content is something else"));
        }
        let mut content = Vec::new();
        let mut data = reader.read(None, &mut content)?;
        data.supply_digests(&content);
        if data.signers.len() != 1 {
            return Err(Error::Malformed("a time-stamp that has not one signer"));
        }
        Ok(Self { info: Info::from_der(&content)?, data })
    }

    /// What it says; not checked.
    pub fn info(&self) -> &Info {
        &self.info
    }

    /// The certificates and lists that it brings along.
    pub fn data(&self) -> &SignedData {
        &self.data
    }

    /// Checks that it stamps this signature value, and that its own signature fits a certificate of the token, or one of these.
    pub fn verify(&self, signature: &[u8], known: &[Certificate]) -> Result<Stamp, String> {
        let info = &self.info;
        let algorithm = DigestAlgorithm::from_identifier(&info.imprint_algorithm).map_err(|error| error.to_string())?;
        if !mac::equal(&digest::of(algorithm, signature), &info.imprint) {
            return Err("it stamps something else than this signature".to_owned());
        }
        let [signer] = self.data.signers.as_slice() else { return Err("it has not one signer".to_owned()) };
        // RFC 3161 2.4.2, RFC 5816 2.2.1: who signed is said by this attribute, and by nothing else
        let named = [oid::SIGNING_CERTIFICATE, oid::SIGNING_CERTIFICATE_V2];
        if !signer.signed_attributes.iter().flat_map(|attributes| attributes.iter()).any(|a| named.contains(&a.oid)) {
            return Err("it does not say which certificate signed it".to_owned());
        }
        let mut why = format!("the authority's certificate is not at hand – {}", signer.id);
        for certificate in self.data.certificates.iter().chain(known).filter(|certificate| signer.id.names(certificate)) {
            match signer.verify(certificate, &self.data) {
                SignatureCheck::Valid(oddities) => return Ok(self.stamp(algorithm, signer, certificate, oddities)),
                SignatureCheck::ContentChanged => why = "it was changed after the authority signed it".to_owned(),
                SignatureCheck::Invalid(reason) | SignatureCheck::Unsupported(reason) => why = reason,
            }
        }
        Err(why)
    }

    fn stamp(&self, imprint: DigestAlgorithm, signer: &Signer, certificate: &Certificate, mut oddities: Vec<String>) -> Stamp {
        // RFC 3161 2.4.2: a hint, which must be a name of the certificate all the same
        if let Some(GeneralName::Directory(name)) = &self.info.authority
            && !name.matches(certificate.subject())
        {
            oddities.push(format!("the time-stamp names the authority {name}, its certificate {certificate}"));
        }
        let strength = signer.strength().unwrap_or(Strength::Broken).min(imprint.strength());
        Stamp { info: self.info.clone(), certificate: certificate.clone(), strength, oddities }
    }
}

impl Signer {
    /// The time-stamp tokens over this signature, encoded: `id-aa-timeStampToken` among the unsigned attributes (RFC 5126 6.1.1).
    pub fn timestamp_tokens(&self) -> impl Iterator<Item = &[u8]> {
        self.unsigned_attributes.iter().flat_map(|attributes| attributes.values(&oid::TIME_STAMP_TOKEN))
    }
}
