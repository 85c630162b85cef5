//! A certificate on its way to a signature: written once, held against the rules once, signed as it was held against them.

use crate::asn1::encode;
use crate::ca::Error;
use crate::ca::profile::algorithm_of;
use crate::crypto::algorithm::SignatureAlgorithm;
use crate::crypto::key::{PrivateKey, PublicKey};
use crate::crypto::random::Random;
use crate::crypto::signature::{self, Input};
use crate::lint;
use crate::pki::{Certificate, Name};
use crate::time::Timestamp;

/// Everything of a certificate before its signature.
pub(in crate::ca) struct Draft<'a> {
    pub(in crate::ca) issuer: &'a Name,
    pub(in crate::ca) issuer_key: &'a PrivateKey,
    pub(in crate::ca) subject: Name,
    pub(in crate::ca) public: &'a PublicKey,
    pub(in crate::ca) not_before: Timestamp,
    pub(in crate::ca) not_after: Timestamp,
    pub(in crate::ca) extensions: Vec<Vec<u8>>,
}

impl<'a> Draft<'a> {
    /// Holds it against the rules, signs it and reads it back; the caller checks the signature, which judging the chain does anyway.
    pub(in crate::ca) fn sign(self, serial: &[u8], random: &mut dyn Random) -> Result<Certificate, Error> {
        self.linted(serial)?.sign(random)
    }

    /// Writes it, and holds it against the rules (S/MIME BR 4.3.1.2: a certificate is linted before it is signed).
    pub(in crate::ca) fn linted(&self, serial: &[u8]) -> Result<Linted<'a>, Error> {
        let algorithm = algorithm_of(self.issuer_key)?;
        let tbs = self.to_be_signed(serial, algorithm);
        let preview = complete(&tbs, algorithm, &[0])?;
        refuse_flaws(&preview)?;
        Ok(Linted { key: self.issuer_key, algorithm, preview })
    }

    /// The certificate as it would be, with a signature that fits nothing; the rules are not asked.
    pub(in crate::ca) fn preview(&self, serial: &[u8]) -> Result<Certificate, Error> {
        let algorithm = algorithm_of(self.issuer_key)?;
        complete(&self.to_be_signed(serial, algorithm), algorithm, &[0])
    }

    fn to_be_signed(&self, serial: &[u8], algorithm: SignatureAlgorithm) -> Vec<u8> {
        encode::sequence(&[
            encode::explicit(0, &encode::integer_u64(2)),
            encode::integer(serial),
            algorithm.identifier().to_der(),
            self.issuer.der().to_vec(),
            encode::sequence(&[encode::time(self.not_before), encode::time(self.not_after)]),
            self.subject.der().to_vec(),
            self.public.spki().to_vec(),
            encode::explicit(3, &encode::sequence(&self.extensions)),
        ])
    }
}

/// A draft that keeps the rules, written as it will be signed.
pub(in crate::ca) struct Linted<'a> {
    key: &'a PrivateKey,
    algorithm: SignatureAlgorithm,
    preview: Certificate,
}

impl Linted<'_> {
    /// The certificate as it will be, with a signature that fits nothing.
    pub(in crate::ca) fn preview(&self) -> &Certificate {
        &self.preview
    }

    /// Signs the very bytes that were held against the rules, and reads the certificate back.
    pub(in crate::ca) fn sign(self, random: &mut dyn Random) -> Result<Certificate, Error> {
        let signed = signature::sign(self.key, self.algorithm, Input::Message(self.preview.tbs()), random)?;
        complete(self.preview.tbs(), self.algorithm, &signed)
    }
}

/// `Certificate ::= SEQUENCE { tbsCertificate, signatureAlgorithm, signatureValue BIT STRING }`
fn complete(tbs: &[u8], algorithm: SignatureAlgorithm, signature: &[u8]) -> Result<Certificate, Error> {
    let (identifier, signature) = (algorithm.identifier().to_der(), encode::bit_string(signature));
    Ok(Certificate::from_der(&encode::sequence(&[tbs, &identifier, &signature]))?)
}

/// Rules that this authority's certificates may break. Where nobody says in which country it is, none is made up (S/MIME BR 7.1.4.3.1 c).
const WAIVED: &[&str] = &["cabf.ca.country"];

/// What is only advised against elsewhere, and refused here: keys whose owner can make another.
const REFUSED: &[&str] = &["pkix.key-exponent"];

fn refuse_flaws(certificate: &Certificate) -> Result<(), Error> {
    let is_grave = |finding: &lint::Finding| {
        let is_waived = WAIVED.contains(&finding.code);
        REFUSED.contains(&finding.code) || finding.severity == lint::Severity::Error && !is_waived
    };
    match lint::certificate(certificate, &lint::Against::standards()).into_iter().find(is_grave) {
        Some(finding) => Err(Error::Flawed(Box::new(finding))),
        None => Ok(()),
    }
}
