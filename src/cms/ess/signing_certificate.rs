//! Which certificate a signer meant: without it, a certificate of the same key could take the place of his (RFC 5035).

use crate::asn1::{Cursor, Oid, Tag, oid};
use crate::cms::Error;
use crate::crypto::algorithm::{AlgorithmIdentifier, DigestAlgorithm};
use crate::crypto::digest;
use crate::pki::{Certificate, GeneralName};

/// The first certificate of SigningCertificate or SigningCertificateV2. Those after it only narrow a path (RFC 5035 3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cms) struct SigningCertificate {
    digest: Oid,
    hash: Vec<u8>,
    issuer_serial: Option<(Vec<GeneralName>, Vec<u8>)>,
}

/// Whether a certificate is the one meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cms) enum Named {
    Yes,
    No,
    /// The hash is of a kind that is not known: RFC 5035 7 has the message verified all the same.
    Unknown(String),
}

impl SigningCertificate {
    /// `SigningCertificate ::= SEQUENCE { certs SEQUENCE OF SEQUENCE { certHash, issuerSerial OPTIONAL }, policies OPTIONAL }`; the hash is SHA-1
    pub(in crate::cms) fn from_der(bytes: &[u8]) -> Result<Self, Error> {
        let mut fields = first_of(bytes)?;
        Self::from_fields(oid::SHA1, &mut fields)
    }

    /// `SigningCertificateV2`: the same with `hashAlgorithm DEFAULT sha256` before the hash
    pub(in crate::cms) fn from_der_v2(bytes: &[u8]) -> Result<Self, Error> {
        let mut fields = first_of(bytes)?;
        let digest = match fields.peek() {
            Some(Tag::SEQUENCE) => AlgorithmIdentifier::from_cursor(&mut fields)?.oid,
            _ => oid::SHA256,
        };
        Self::from_fields(digest, &mut fields)
    }

    /// `certHash OCTET STRING, issuerSerial SEQUENCE { issuer GeneralNames, serialNumber } OPTIONAL`
    fn from_fields(digest: Oid, fields: &mut Cursor<'_>) -> Result<Self, Error> {
        let hash = fields.octet_string()?.into_owned();
        let mut issuer_serial = None;
        if let Some(pair) = fields.optional(Tag::SEQUENCE)? {
            let mut pair = pair.cursor()?;
            let issuer = GeneralName::list(pair.any()?.raw)?;
            issuer_serial = Some((issuer, pair.integer()?.to_vec()));
        }
        Ok(Self { digest, hash, issuer_serial })
    }

    /// Whether it means this certificate: the hash fits, and issuer and serial number where they are given (RFC 5035 4).
    pub(in crate::cms) fn names(&self, certificate: &Certificate) -> Named {
        if let Some((issuer, serial)) = &self.issuer_serial {
            let is_issuer =
                |name: &GeneralName| matches!(name, GeneralName::Directory(name) if name.matches(certificate.issuer()));
            if serial != certificate.serial() || !issuer.iter().any(is_issuer) {
                return Named::No;
            }
        }
        let Some(algorithm) = DigestAlgorithm::from_oid(&self.digest) else { return Named::Unknown(self.digest.to_string()) };
        if digest::of(algorithm, certificate.der()) == self.hash { Named::Yes } else { Named::No }
    }
}

fn first_of(bytes: &[u8]) -> Result<Cursor<'_>, Error> {
    Ok(Cursor::new(bytes).sequence()?.sequence()?.sequence()?)
}
