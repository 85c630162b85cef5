//! Certificates, revocation lists and OCSP responses from files: PEM, DER, base64 of it alone, or a PKCS#7 bundle.

use crate::asn1::{Cursor, Tag, oid, pem};
use crate::limits::Limits;
use crate::pki::{Certificate, Crl, Error, ocsp};

/// Every certificate of a file: PEM blocks, one certificate in DER or its base64 alone, or a certs-only PKCS#7 bundle.
pub fn certificates(bytes: &[u8]) -> Result<Vec<Certificate>, Error> {
    if !pem::looks_like(bytes) {
        return certificates_der(pem::bare(bytes).as_deref().unwrap_or(bytes));
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

/// Every revocation list of a file: PEM blocks, one list in DER (which keeps these bytes) or its base64 alone, or a PKCS#7 bundle.
pub fn crls(bytes: impl Into<Vec<u8>>) -> Result<Vec<Crl>, Error> {
    let mut bytes = bytes.into();
    if pem::unwrap_only(&mut bytes, "X509 CRL")? {
        return Ok(vec![Crl::from_vec(bytes)?]);
    }
    if !pem::looks_like(&bytes) {
        bytes = pem::bare(&bytes).unwrap_or(bytes);
        let is_bundle = Cursor::new(&bytes).sequence()?.peek() == Some(Tag::OID);
        return if is_bundle { Ok(bundle(&bytes)?.1) } else { Ok(vec![Crl::from_vec(bytes)?]) };
    }
    let mut found = Vec::new();
    for block in pem::parse_all(&bytes)? {
        match block.label.as_str() {
            "X509 CRL" => found.push(Crl::from_vec(block.der)?),
            "PKCS7" | "CMS" => found.extend(bundle(&block.der)?.1),
            _ => {}
        }
    }
    Ok(found)
}

/// Every OCSP response of a file: PEM blocks, or one DER response.
pub fn ocsp(bytes: &[u8], limits: &Limits) -> Result<Vec<ocsp::Response>, Error> {
    if !pem::looks_like(bytes) {
        return Ok(vec![ocsp::Response::from_der(bytes, limits)?]);
    }
    let blocks = pem::parse_all(bytes)?.into_iter().filter(|block| block.label == "OCSP RESPONSE");
    blocks.map(|block| ocsp::Response::from_der(&block.der, limits)).collect()
}

/// Whether a file is one OCSP response in DER: nothing else begins with a status.
pub fn is_ocsp(bytes: &[u8]) -> bool {
    Cursor::new(bytes).sequence().is_ok_and(|fields| fields.peek() == Some(Tag::ENUMERATED))
}

/// Every revocation list and every OCSP response of a file.
pub fn revocation(mut bytes: Vec<u8>, limits: &Limits) -> Result<(Vec<Crl>, Vec<ocsp::Response>), Error> {
    if pem::unwrap_only(&mut bytes, "X509 CRL")? {
        return Ok((vec![Crl::from_vec(bytes)?], Vec::new()));
    }
    if pem::looks_like(&bytes) {
        let responses = ocsp(&bytes, limits)?;
        return Ok((crls(bytes)?, responses));
    }
    bytes = pem::bare(&bytes).unwrap_or(bytes);
    if is_ocsp(&bytes) { Ok((Vec::new(), ocsp(&bytes, limits)?)) } else { Ok((crls(bytes)?, Vec::new())) }
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
