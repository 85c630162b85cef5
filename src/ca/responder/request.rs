//! What a client asks (RFC 6960 4.1): one certificate or several, and perhaps a nonce.

use crate::asn1::{Cursor, Oid, Tag, oid};
use crate::ca::Error;
use crate::crypto::algorithm::{AlgorithmIdentifier, DigestAlgorithm};
use crate::limits::{Budget, Limits};

/// Bytes of a nonce at most, and of a serial number: RFC 9654 2.1, RFC 5280 4.1.2.2.
const NONCE_BYTES: usize = 128;
const SERIAL_BYTES: usize = 20;

/// A request that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    pub(super) questions: Vec<Question>,
    pub(super) nonce: Option<Vec<u8>>,
}

/// One certificate that is asked about, by the hashes of its issuer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Question {
    /// `None` where it is a digest by which nobody is named here.
    pub(super) digest: Option<DigestAlgorithm>,
    pub(super) name_hash: Vec<u8>,
    pub(super) key_hash: Vec<u8>,
    /// The content of the INTEGER, as short as it can be.
    pub(super) serial: Vec<u8>,
}

impl Asked {
    /// Reads an encoded request. Its signature is not looked at, nor who made it: everyone may ask (RFC 5019 2.1.2).
    ///
    /// ```text
    /// OCSPRequest ::= SEQUENCE { tbsRequest, optionalSignature [0] OPTIONAL }
    /// TBSRequest  ::= SEQUENCE { version [0] DEFAULT v1, requestorName [1] OPTIONAL, requestList SEQUENCE OF Request,
    ///                            requestExtensions [2] OPTIONAL }
    /// Request     ::= SEQUENCE { reqCert CertID, singleRequestExtensions [0] OPTIONAL }
    /// ```
    pub fn from_der(bytes: &[u8], limits: &Limits) -> Result<Self, Error> {
        let mut outer = Cursor::with_limits(bytes, limits);
        let mut whole = outer.sequence()?;
        outer.finish()?;
        let mut fields = whole.sequence()?;
        whole.explicit(0)?;
        whole.finish()?;
        if let Some(mut version) = fields.explicit(0)?
            && version.small_unsigned()? != 0
        {
            return Err(malformed("its version is not known"));
        }
        fields.optional(Tag::context_constructed(1))?;
        let mut list = fields.sequence()?;
        let mut budget = Budget::new("ocsp questions", limits.ocsp_questions);
        let mut questions = Vec::new();
        while !list.is_empty() {
            budget.spend(1u64).map_err(|reached| Error::Refused(reached.to_string()))?;
            let mut request = list.sequence()?;
            questions.push(Question::read(request.sequence()?)?);
            if let Some(mut inner) = request.explicit(0)? {
                known_extensions(&mut inner, &mut |_| Ok(()))?;
            }
            request.finish()?;
        }
        let mut nonce = None;
        if let Some(mut inner) = fields.explicit(2)? {
            known_extensions(&mut inner, &mut |value| {
                nonce = Some(read_nonce(value)?);
                Ok(())
            })?;
        }
        fields.finish()?;
        if questions.is_empty() {
            return Err(malformed("it asks about nothing"));
        }
        Ok(Self { questions, nonce })
    }
}

impl Question {
    fn read(mut fields: Cursor<'_>) -> Result<Self, Error> {
        let identifier = AlgorithmIdentifier::from_cursor(&mut fields)?;
        let name_hash = fields.octet_string()?.into_owned();
        let key_hash = fields.octet_string()?.into_owned();
        let serial = fields.integer()?.to_vec();
        fields.finish()?;
        // DER has one form of a number; in an answer it must be the one that was asked about
        let is_padded = matches!(serial.as_slice(), [0, next, ..] if next & 0x80 == 0)
            || matches!(serial.as_slice(), [0xff, next, ..] if next & 0x80 != 0);
        if is_padded || serial.len() > SERIAL_BYTES {
            return Err(malformed("its serial number is none"));
        }
        let digest = DigestAlgorithm::from_identifier(&identifier).ok().filter(|digest| super::DIGESTS.contains(digest));
        Ok(Self { digest, name_hash, key_hash, serial })
    }
}

/// Walks extensions; what is critical and not known makes the request one that cannot be answered (RFC 6960 4.4).
fn known_extensions(inner: &mut Cursor<'_>, nonce: &mut dyn FnMut(&[u8]) -> Result<(), Error>) -> Result<(), Error> {
    let mut list = inner.sequence()?;
    inner.finish()?;
    let mut seen: Vec<Oid> = Vec::new();
    while !list.is_empty() {
        let mut fields = list.sequence()?;
        let which = fields.oid()?;
        let is_critical = if fields.peek() == Some(Tag::BOOLEAN) { fields.boolean()? } else { false };
        let value = fields.octet_string()?;
        fields.finish()?;
        // each is compared with all before it
        if seen.len() >= 16 || seen.contains(&which) {
            return Err(malformed("its extensions stand twice, or are too many"));
        }
        seen.push(which);
        match which {
            oid::OCSP_NONCE => nonce(&value)?,
            _ if is_critical => return Err(malformed("it has a critical extension that is not known here")),
            _ => {}
        }
    }
    Ok(())
}

/// `Nonce ::= OCTET STRING (SIZE(1..128))` (RFC 9654 2.1)
fn read_nonce(value: &[u8]) -> Result<Vec<u8>, Error> {
    let mut inner = Cursor::new(value);
    let nonce = inner.octet_string()?.into_owned();
    inner.finish()?;
    if nonce.is_empty() || nonce.len() > NONCE_BYTES {
        return Err(malformed("its nonce has not 1 to 128 bytes"));
    }
    Ok(nonce)
}

fn malformed(why: &str) -> Error {
    Error::Refused(format!("the OCSP request cannot be read – {why}"))
}
