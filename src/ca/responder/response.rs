//! How an answer is written (RFC 6960 4.2).

use crate::asn1::{Cursor, Tag, encode, oid};
use crate::ca::Error;
use crate::crypto::algorithm::{AlgorithmIdentifier, DigestAlgorithm};
use crate::crypto::digest;
use crate::pki::Certificate;
use crate::pki::ocsp::{Refusal, Status};
use crate::time::Timestamp;

/// Bytes of one of the two numbers of a P-256 signature.
const HALF: usize = 32;

/// The hashes by which a client names an issuer.
#[derive(Debug, Clone)]
pub(super) struct IssuerHashes(Vec<Hashes>);

#[derive(Debug, Clone)]
struct Hashes {
    digest: DigestAlgorithm,
    name: Vec<u8>,
    key: Vec<u8>,
}

impl IssuerHashes {
    pub(super) fn new(certificate: &Certificate) -> Result<Self, Error> {
        let public = certificate.public_key()?;
        let hashes = super::DIGESTS.map(|digest| Hashes {
            digest,
            name: digest::of(digest, certificate.subject().der()),
            key: digest::of(digest, public.key_bits()),
        });
        Ok(Self(hashes.to_vec()))
    }

    /// Whether a question is about a certificate of this issuer.
    pub(super) fn is_asked_by(&self, question: &super::request::Question) -> bool {
        let fits = |hashes: &Hashes| {
            question.digest == Some(hashes.digest) && question.name_hash == hashes.name && question.key_hash == hashes.key
        };
        self.0.iter().any(fits)
    }

    /// `CertID ::= SEQUENCE { hashAlgorithm, issuerNameHash OCTET STRING, issuerKeyHash OCTET STRING, serialNumber INTEGER }`
    fn id(&self, digest: DigestAlgorithm, serial: &[u8]) -> Vec<u8> {
        let hashes = self.0.iter().find(|hashes| hashes.digest == digest);
        let (name, key) = hashes.map_or((&[][..], &[][..]), |hashes| (&hashes.name, &hashes.key));
        encode::sequence(&[
            digest.identifier_with_null().to_der(),
            encode::octet_string(name),
            encode::octet_string(key),
            encode::tlv(Tag::INTEGER, serial),
        ])
    }
}

/// What an answer says about one certificate.
#[derive(Debug, Clone)]
pub(super) struct Single {
    pub(super) digest: DigestAlgorithm,
    pub(super) serial: Vec<u8>,
    pub(super) status: Status,
    pub(super) this_update: Timestamp,
    pub(super) next_update: Timestamp,
}

impl Single {
    /// `SingleResponse ::= SEQUENCE { certID, certStatus, thisUpdate, nextUpdate [0] }`
    fn to_der(&self, issuer: &IssuerHashes) -> Vec<u8> {
        encode::sequence(&[
            issuer.id(self.digest, &self.serial),
            status(self.status),
            encode::generalized_time(self.this_update),
            encode::explicit(0, &encode::generalized_time(self.next_update)),
        ])
    }
}

/// `CertStatus ::= CHOICE { good [0] NULL, revoked [1] SEQUENCE { revocationTime, revocationReason [0] OPTIONAL }, unknown [2] NULL }`
fn status(status: Status) -> Vec<u8> {
    match status {
        Status::Good => encode::implicit(0, &encode::null()),
        Status::Unknown => encode::implicit(2, &encode::null()),
        Status::Revoked { date, reason } => {
            // an unspecified reason is left out, as in lists (RFC 5280 5.3.1)
            let reason = reason.filter(|reason| *reason != 0).map(|reason| encode::explicit(0, &encode::enumerated(reason)));
            encode::implicit(1, &encode::sequence(&[encode::generalized_time(date), reason.unwrap_or_default()]))
        }
    }
}

/// What is signed; the responder is named by its key, which is shorter than its name (RFC 5019 2.2.1).
///
/// `ResponseData ::= SEQUENCE { responderID [2] OCTET STRING, producedAt, responses SEQUENCE OF SingleResponse, responseExtensions [1] }`
pub(super) fn to_be_signed(
    issuer: &IssuerHashes,
    responder: &[u8],
    singles: &[Single],
    nonce: Option<&[u8]>,
    produced_at: Timestamp,
) -> Vec<u8> {
    let singles: Vec<Vec<u8>> = singles.iter().map(|single| single.to_der(issuer)).collect();
    let extensions = nonce.map(|nonce| {
        let value = encode::octet_string(&encode::octet_string(nonce));
        let extension = encode::sequence(&[encode::oid(&oid::OCSP_NONCE), value]);
        encode::explicit(1, &encode::sequence(&[extension]))
    });
    encode::sequence(&[
        encode::explicit(2, &encode::octet_string(responder)),
        encode::generalized_time(produced_at),
        encode::sequence(&singles),
        extensions.unwrap_or_default(),
    ])
}

/// The whole answer, with the certificate of who signed it.
pub(super) fn signed(to_be_signed: &[u8], algorithm: &AlgorithmIdentifier, signature: &[u8], responder: &Certificate) -> Vec<u8> {
    let certificates = encode::explicit(0, &encode::sequence(&[responder.der()]));
    let basic = encode::sequence(&[to_be_signed, &algorithm.to_der(), &encode::bit_string(signature), certificates.as_slice()]);
    let bytes = encode::sequence(&[encode::oid(&oid::OCSP_BASIC), encode::octet_string(&basic)]);
    encode::sequence(&[encode::enumerated(0), encode::explicit(0, &bytes)])
}

/// An answer that tells about no certificate, and is not signed.
pub(super) fn refused(why: Refusal) -> Vec<u8> {
    let number = match why {
        Refusal::MalformedRequest => 1,
        Refusal::InternalError => 2,
        Refusal::TryLater => 3,
        Refusal::SigRequired => 5,
        Refusal::Unauthorized => 6,
        Refusal::Other(number) => number,
    };
    encode::sequence(&[encode::enumerated(number)])
}

/// The two numbers of a P-256 signature, each in as many bytes.
pub(super) fn halves(der: &[u8]) -> Result<[u8; 2 * HALF], Error> {
    let mut outer = Cursor::new(der);
    let mut fields = outer.sequence()?;
    let mut raw = [0; 2 * HALF];
    for half in raw.chunks_exact_mut(HALF) {
        let number = fields.integer()?;
        let digits = number.strip_prefix(&[0]).unwrap_or(number);
        let start = half.len().checked_sub(digits.len());
        let place = start.and_then(|start| half.get_mut(start..));
        place.ok_or_else(|| Error::Refused("a signature of another curve".to_owned()))?.copy_from_slice(digits);
    }
    Ok(raw)
}

/// `Ecdsa-Sig-Value ::= SEQUENCE { r INTEGER, s INTEGER }`
pub(super) fn joined(raw: &[u8; 2 * HALF]) -> Vec<u8> {
    let (r, s) = raw.split_at(HALF);
    encode::sequence(&[encode::integer(r), encode::integer(s)])
}
