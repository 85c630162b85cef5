//! Keys and certificates on a token.

use cryptoki::object::{Attribute, AttributeType, CertificateType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;

use super::driver::unavailable;
use crate::asn1::{Cursor, encode, oid};
use crate::crypto::Error;
use crate::crypto::algorithm::AlgorithmIdentifier;
use crate::crypto::key::{PublicKey, Why};
use crate::keys::token::Uri;
use crate::pki::Certificate;

/// What a URI means on a token.
pub(super) struct Found {
    /// What names the key alone, on its token.
    pub(super) uri: Uri,
    pub(super) public: PublicKey,
    pub(super) certificates: Vec<Certificate>,
}

/// A private key, as far as it can be told.
struct Candidate {
    handle: ObjectHandle,
    uri: Uri,
    public: Option<PublicKey>,
}

/// The one key that a URI means, and every certificate.
pub(super) fn find(session: &Session, uri: &Uri) -> Result<Found, Error> {
    let mut candidates = candidates(session, uri)?;
    if candidates.len() > 1 {
        let names: Vec<String> = candidates.iter().map(|candidate| candidate.uri.to_string()).collect();
        let text = format!("the token holds several such keys – name one by its id: {}", names.join(", "));
        return Err(Error::Unavailable { why: Why::Ambiguous, text });
    }
    let candidate = candidates.pop().ok_or_else(|| missing(uri))?;
    let certificates = certificates(session)?;
    let by_id = || {
        let named = session.find_objects(&[Attribute::Class(ObjectClass::CERTIFICATE), Attribute::Id(candidate.uri.id.clone()?)]);
        let value = named.ok()?.first().and_then(|handle| read(session, *handle, AttributeType::Value))?;
        Certificate::from_der(&value).ok()?.public_key().ok()
    };
    let unknown = || {
        let text = format!("the token does not tell the public key of {}", candidate.uri);
        Error::Unavailable { why: Why::Failed, text }
    };
    let public = candidate.public.clone().or_else(by_id).ok_or_else(unknown)?;
    Ok(Found { uri: candidate.uri, public, certificates })
}

/// The private key of a URI that belongs to a public key.
pub(super) fn key_of(session: &Session, uri: &Uri, public: &PublicKey) -> Result<ObjectHandle, Error> {
    let candidates = candidates(session, uri)?;
    if let Some(own) = candidates.iter().find(|candidate| candidate.public.as_ref() == Some(public)) {
        return Ok(own.handle);
    }
    if candidates.is_empty() {
        return Err(missing(uri));
    }
    // one whose public key is not told may be the one; its signature is checked
    match candidates.iter().filter(|candidate| candidate.public.is_none()).collect::<Vec<_>>().as_slice() {
        [one] => Ok(one.handle),
        _ => {
            let text = "the token's key is another than that of the certificate".to_owned();
            Err(Error::Unavailable { why: Why::Missing, text })
        }
    }
}

fn candidates(session: &Session, uri: &Uri) -> Result<Vec<Candidate>, Error> {
    let mut template = vec![Attribute::Class(ObjectClass::PRIVATE_KEY)];
    template.extend(uri.object.as_ref().map(|label| Attribute::Label(label.clone().into_bytes())));
    template.extend(uri.id.as_ref().map(|id| Attribute::Id(id.clone())));
    let handles = session.find_objects(&template).map_err(|failure| unavailable(&failure))?;
    let candidate = |handle| {
        let id = read(session, handle, AttributeType::Id).filter(|id| !id.is_empty());
        let label = read(session, handle, AttributeType::Label).and_then(|label| String::from_utf8(label).ok());
        let public = public_of(session, handle, id.as_deref());
        let object = label.filter(|label| !label.is_empty());
        Candidate { handle, uri: Uri { id, object, module_path: None, pin_source: None, ..uri.clone() }, public }
    };
    Ok(handles.into_iter().map(candidate).collect())
}

/// The public key of a private one: from its own attributes, else from the public key object with the same identifier.
fn public_of(session: &Session, private: ObjectHandle, id: Option<&[u8]>) -> Option<PublicKey> {
    let beside = || {
        let template = [Attribute::Class(ObjectClass::PUBLIC_KEY), Attribute::Id(id?.to_vec())];
        session.find_objects(&template).ok()?.first().copied()
    };
    let from = |handle: ObjectHandle| PublicKey::from_spki(&spki(session, handle)?).ok();
    from(private).or_else(|| from(beside()?))
}

/// A SubjectPublicKeyInfo of an object's attributes (PKCS#11 3.1 6.1.2, 6.3.3).
fn spki(session: &Session, key: ObjectHandle) -> Option<Vec<u8>> {
    let attributes = session.get_attributes(key, &[AttributeType::KeyType]).ok()?;
    let kind = attributes.into_iter().find_map(|attribute| match attribute {
        Attribute::KeyType(kind) => Some(kind),
        _ => None,
    })?;
    if kind == KeyType::RSA {
        let (n, e) = (read(session, key, AttributeType::Modulus)?, read(session, key, AttributeType::PublicExponent)?);
        let key = encode::sequence(&[encode::integer(&n), encode::integer(&e)]);
        return Some(encode::sequence(&[AlgorithmIdentifier::with_null(oid::RSA_ENCRYPTION).to_der(), encode::bit_string(&key)]));
    }
    let point = read(session, key, AttributeType::EcPoint)?;
    // an OCTET STRING by the standard, bare from some
    let bare = Cursor::new(&point).octet_string().map(std::borrow::Cow::into_owned).unwrap_or(point);
    let algorithm = match kind {
        KeyType::EC => AlgorithmIdentifier::with(oid::EC_PUBLIC_KEY, read(session, key, AttributeType::EcParams)?),
        KeyType::EC_EDWARDS => AlgorithmIdentifier::bare(if bare.len() == 32 { oid::ED25519 } else { oid::ED448 }),
        KeyType::EC_MONTGOMERY => AlgorithmIdentifier::bare(if bare.len() == 32 { oid::X25519 } else { oid::X448 }),
        _ => return None,
    };
    Some(encode::sequence(&[algorithm.to_der(), encode::bit_string(&bare)]))
}

/// Every X.509 certificate that can be read.
fn certificates(session: &Session) -> Result<Vec<Certificate>, Error> {
    let template = [Attribute::Class(ObjectClass::CERTIFICATE), Attribute::CertificateType(CertificateType::X_509)];
    let handles = session.find_objects(&template).map_err(|failure| unavailable(&failure))?;
    let values = handles.into_iter().filter_map(|handle| read(session, handle, AttributeType::Value));
    Ok(values.filter_map(|value| Certificate::from_der(&value).ok()).collect())
}

fn read(session: &Session, object: ObjectHandle, kind: AttributeType) -> Option<Vec<u8>> {
    session.get_attributes(object, &[kind]).ok()?.into_iter().find_map(|attribute| match attribute {
        Attribute::Id(bytes)
        | Attribute::Label(bytes)
        | Attribute::Modulus(bytes)
        | Attribute::PublicExponent(bytes)
        | Attribute::EcPoint(bytes)
        | Attribute::EcParams(bytes)
        | Attribute::Value(bytes) => Some(bytes),
        _ => None,
    })
}

fn missing(uri: &Uri) -> Error {
    let wanted = Uri { module_path: None, pin_source: None, ..uri.clone() };
    Error::Unavailable { why: Why::Missing, text: format!("the token holds no private key that fits {wanted}") }
}
