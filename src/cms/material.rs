//! Certificates and revocation data that travel with a message (RFC 5652 10.2, RFC 5940).

use crate::asn1::{Cursor, Tag, oid};
use crate::cms::Error;
use crate::limits::{Budget, Limits};
use crate::pki::Certificate;

/// What a message brings along for whoever checks it. Nothing in it is trusted, and nothing in it that cannot be read is fatal.
#[derive(Debug, Clone, Default)]
pub struct Material {
    /// The certificates.
    pub certificates: Vec<Certificate>,
    /// Attribute certificates, certificates of other kinds, and such as cannot be read.
    pub odd_certificates: Vec<Vec<u8>>,
    /// Revocation lists, encoded.
    pub crls: Vec<Vec<u8>>,
    /// OCSP responses, each an encoded `OCSPResponse`.
    pub ocsp_responses: Vec<Vec<u8>>,
}

impl Material {
    /// Takes a `CertificateChoices`: only X.509 certificates serve here (RFC 5652 10.2.2).
    ///
    /// `CertificateChoices ::= CHOICE { certificate, extendedCertificate [0], v1AttrCert [1], v2AttrCert [2], other [3] }`
    pub(in crate::cms) fn add_certificate(&mut self, raw: Vec<u8>) {
        match Certificate::from_der(&raw) {
            Ok(certificate) => self.certificates.push(certificate),
            Err(_) => self.odd_certificates.push(raw),
        }
    }

    /// Takes a `RevocationInfoChoice`; what is neither a list nor an OCSP response is passed over, as SCVP is (RFC 5940 4): both
    /// are trusted for their own signature only, and none is needed to read the message.
    ///
    /// `RevocationInfoChoice ::= CHOICE { crl CertificateList, other [1] SEQUENCE { otherRevInfoFormat OBJECT IDENTIFIER, otherRevInfo ANY } }`
    pub(in crate::cms) fn add_revocation(&mut self, raw: Vec<u8>) {
        let mut cursor = Cursor::new(&raw);
        match cursor.peek() {
            Some(Tag::SEQUENCE) => self.crls.push(raw),
            Some(tag) if tag == Tag::context_constructed(1) => self.ocsp_responses.extend(ocsp_response(&mut cursor)),
            _ => {}
        }
    }

    /// Reads an `OriginatorInfo`; what cannot be read in it is left out, since most messages are opened without it.
    ///
    /// `OriginatorInfo ::= [0] SEQUENCE { certs [0] CertificateSet OPTIONAL, crls [1] RevocationInfoChoices OPTIONAL }` (RFC 5652 6.1)
    pub(in crate::cms) fn of_originator(raw: &[u8], limits: &Limits) -> Result<Self, Error> {
        let mut found = Self::default();
        let mut budget = Budget::new("certificates", limits.certificates);
        let Ok(mut fields) = Cursor::with_limits(raw, limits).any().and_then(|element| element.cursor()) else {
            return Ok(found);
        };
        while let Ok(set) = fields.any() {
            let Ok(mut choices) = set.cursor() else { continue };
            while let Ok(choice) = choices.any() {
                budget.spend(1u64)?;
                match set.tag {
                    tag if tag == Tag::context_constructed(0) => found.add_certificate(choice.raw.to_vec()),
                    tag if tag == Tag::context_constructed(1) => found.add_revocation(choice.raw.to_vec()),
                    _ => {}
                }
            }
        }
        Ok(found)
    }
}

fn ocsp_response(cursor: &mut Cursor<'_>) -> Option<Vec<u8>> {
    let mut fields = cursor.any().ok()?.cursor().ok()?;
    let is_ocsp = fields.oid().ok()? == oid::RI_OCSP_RESPONSE;
    let response = fields.any().ok()?;
    is_ocsp.then(|| response.raw.to_vec())
}
