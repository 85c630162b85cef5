//! Certificates and revocation lists from files: PEM, DER, or a PKCS#7 bundle.

use crate::asn1::{Cursor, Tag, oid, pem};
use crate::pki::{Certificate, Crl, Error};

/// Every certificate of a file: PEM blocks, one DER certificate, or a certs-only PKCS#7 bundle.
pub fn certificates(bytes: &[u8]) -> Result<Vec<Certificate>, Error> {
    if !pem::looks_like(bytes) {
        return certificates_der(bytes);
    }
    let mut found = Vec::new();
    for block in pem::parse_all(bytes)? {
        match block.label.as_str() {
            "CERTIFICATE" | "X509 CERTIFICATE" | "TRUSTED CERTIFICATE" => {
                found.push(first_value(&block.der).and_then(Certificate::from_der)?);
            }
            "PKCS7" | "CMS" => found.extend(bundle(&block.der)?.0),
            _ => {}
        }
    }
    Ok(found)
}

/// Every revocation list of a file: PEM blocks, one DER list, or a PKCS#7 bundle.
pub fn crls(bytes: &[u8]) -> Result<Vec<Crl>, Error> {
    if !pem::looks_like(bytes) {
        return Ok(vec![Crl::from_der(bytes)?]);
    }
    let mut found = Vec::new();
    for block in pem::parse_all(bytes)? {
        match block.label.as_str() {
            "X509 CRL" => found.push(Crl::from_der(&block.der)?),
            "PKCS7" | "CMS" => found.extend(bundle(&block.der)?.1),
            _ => {}
        }
    }
    Ok(found)
}

fn certificates_der(bytes: &[u8]) -> Result<Vec<Certificate>, Error> {
    let mut fields = Cursor::new(bytes).sequence()?;
    if fields.peek() == Some(Tag::OID) && fields.oid()? == oid::ID_SIGNED_DATA {
        return Ok(bundle(bytes)?.0);
    }
    Ok(vec![Certificate::from_der(bytes)?])
}

/// The first value: `TRUSTED CERTIFICATE` blocks hold more after it.
fn first_value(bytes: &[u8]) -> Result<&[u8], Error> {
    Ok(Cursor::new(bytes).any()?.raw)
}

/// The certificates and lists of a SignedData (RFC 5652 5.1); what cannot be read in it is passed over.
fn bundle(bytes: &[u8]) -> Result<(Vec<Certificate>, Vec<Crl>), Error> {
    let mut info = Cursor::new(bytes).sequence()?;
    if info.oid()? != oid::ID_SIGNED_DATA {
        return Err(Error::Malformed("a PKCS#7 structure that is no bundle of certificates"));
    }
    let mut signed = info.explicit(0)?.ok_or(Error::Malformed("a PKCS#7 bundle without content"))?.sequence()?;
    signed.integer()?;
    signed.set()?;
    signed.sequence()?;
    let (mut certificates, mut crls) = (Vec::new(), Vec::new());
    if let Some(set) = signed.optional(Tag::context_constructed(0))? {
        let mut set = set.cursor()?;
        while !set.is_empty() {
            certificates.extend(Certificate::from_der(set.any()?.raw).ok());
        }
    }
    if let Some(set) = signed.optional(Tag::context_constructed(1))? {
        let mut set = set.cursor()?;
        while !set.is_empty() {
            crls.extend(Crl::from_der(set.any()?.raw).ok());
        }
    }
    Ok((certificates, crls))
}
