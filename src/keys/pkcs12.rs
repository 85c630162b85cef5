//! PKCS#12 files (RFC 7292, 9579): a key and its certificates under a passphrase.

use std::borrow::Cow;

use crate::asn1::{Cursor, Oid, Tag, encode, oid};
use crate::crypto::algorithm::{AlgorithmIdentifier, DigestAlgorithm};
use crate::crypto::kdf::{self, Pkcs12Purpose};
use crate::crypto::key::PrivateKey;
use crate::crypto::random::Random;
use crate::crypto::{digest, mac, pbe};
use crate::keys::{Error, Identity};
use crate::limits::{Budget, Limits};
use crate::pki::Certificate;
use crate::secret::Secret;

/// What a file holds.
#[derive(Debug, Default)]
pub struct Content {
    /// The private keys.
    pub keys: Vec<PrivateKey>,
    /// The certificates.
    pub certificates: Vec<Certificate>,
}

/// Reads a file, in DER or BER; its authentication code is checked first.
///
/// `PFX ::= SEQUENCE { version, authSafe ContentInfo, macData OPTIONAL }`
pub fn read(bytes: &[u8], passphrase: Option<&Secret<Vec<u8>>>, limits: &Limits) -> Result<Content, Error> {
    let mut fields = Cursor::with_limits(bytes, limits).sequence()?;
    if fields.small_unsigned()? != 3 {
        return Err(malformed("not a PKCS#12 file of version 3"));
    }
    let safe = data_of(fields.sequence()?)?;
    let empty = Secret::new(Vec::new());
    let mac_data = if fields.is_empty() { None } else { Some(fields.sequence()?) };
    // a file with an empty passphrase opens without asking
    let mut lock = Lock { passphrase: passphrase.unwrap_or(&empty), rounds: pbe::rounds(limits) };
    let result = check_mac(mac_data, &safe, &mut lock).and_then(|()| content(&safe, &mut lock, limits));
    match result {
        Err(Error::WrongPassphrase) if passphrase.is_none() => Err(Error::PassphraseNeeded),
        other => other,
    }
}

/// What a file's parts are opened with: a passphrase, and the rounds that deriving keys from it may take for all of them together.
struct Lock<'a> {
    passphrase: &'a Secret<Vec<u8>>,
    rounds: Budget,
}

/// `AuthenticatedSafe ::= SEQUENCE OF ContentInfo`
fn content(safe: &[u8], lock: &mut Lock<'_>, limits: &Limits) -> Result<Content, Error> {
    let mut content = Content::default();
    let mut safes = Cursor::with_limits(safe, limits).sequence()?;
    while !safes.is_empty() {
        let mut info = safes.sequence()?;
        let kind = info.oid()?;
        let mut inner = info.explicit(0)?.ok_or_else(|| malformed("a safe without content"))?;
        match kind {
            oid::ID_DATA => bags(Cursor::with_limits(&inner.octet_string()?, limits), lock, &mut content)?,
            oid::ID_ENCRYPTED_DATA => {
                let plain = encrypted_data(inner.sequence()?, lock)?;
                bags(Cursor::with_limits(plain.expose(), limits), lock, &mut content)?;
            }
            other => return Err(malformed(&format!("a safe of the type {other} is not read"))),
        }
    }
    Ok(content)
}

/// Writes a file as today's programs read it: PBES2 with AES-256-CBC, HMAC-SHA-256.
pub fn write(identity: &Identity, passphrase: &Secret<Vec<u8>>, name: &str, random: &mut dyn Random) -> Result<Vec<u8>, Error> {
    let key_id = digest::of(DigestAlgorithm::Sha1, identity.certificate().der());
    let attributes = encode::set_of(vec![
        attribute(oid::LOCAL_KEY_ID, &encode::octet_string(&key_id)),
        attribute(
            oid::FRIENDLY_NAME,
            &encode::tlv(Tag::BMP_STRING, &name.encode_utf16().flat_map(u16::to_be_bytes).collect::<Vec<_>>()),
        ),
    ]);
    let mut certificates = vec![certificate_bag(identity.certificate(), Some(&attributes))];
    certificates.extend(identity.chain().iter().map(|certificate| certificate_bag(certificate, None)));
    let (algorithm, encrypted) = pbe::encrypt(passphrase, &encode::sequence(&certificates), random)?;
    let encrypted_content = encode::sequence(&[
        encode::oid(&oid::ID_DATA),
        algorithm.to_der(),
        encode::implicit(0, &encode::octet_string(&encrypted)),
    ]);
    let certificate_safe = content_info(oid::ID_ENCRYPTED_DATA, &encode::sequence(&[encode::integer_u64(0), encrypted_content]));
    let shrouded = identity.private_key().to_encrypted_pkcs8(passphrase, random)?;
    let key_bag = encode::sequence(&[encode::oid(&oid::SHROUDED_KEY_BAG), encode::explicit(0, &shrouded), attributes]);
    let key_safe = content_info(oid::ID_DATA, &encode::octet_string(&encode::sequence(&[key_bag])));
    let safe = encode::sequence(&[certificate_safe, key_safe]);
    let mut salt = [0; 16];
    random.fill(&mut salt);
    const ROUNDS: u64 = 10_000;
    let password = pbe::bmp_passphrase(passphrase);
    let key = kdf::pkcs12(DigestAlgorithm::Sha256, password.expose(), &salt, Pkcs12Purpose::Mac, ROUNDS, 32);
    let code = mac::hmac(DigestAlgorithm::Sha256, key.expose(), &safe);
    let digest_info = encode::sequence(&[DigestAlgorithm::Sha256.identifier_with_null().to_der(), encode::octet_string(&code)]);
    let mac_data = encode::sequence(&[digest_info, encode::octet_string(&salt), encode::integer_u64(ROUNDS)]);
    Ok(encode::sequence(&[encode::integer_u64(3), content_info(oid::ID_DATA, &encode::octet_string(&safe)), mac_data]))
}

fn content_info(kind: Oid, content: &[u8]) -> Vec<u8> {
    encode::sequence(&[encode::oid(&kind), encode::explicit(0, content)])
}

fn attribute(kind: Oid, value: &[u8]) -> Vec<u8> {
    encode::sequence(&[encode::oid(&kind), encode::set_of(vec![value.to_vec()])])
}

fn certificate_bag(certificate: &Certificate, attributes: Option<&[u8]>) -> Vec<u8> {
    let inner =
        encode::sequence(&[encode::oid(&oid::X509_CERTIFICATE), encode::explicit(0, &encode::octet_string(certificate.der()))]);
    let attributes = attributes.unwrap_or_default().to_vec();
    encode::sequence(&[encode::oid(&oid::CERT_BAG), encode::explicit(0, &inner), attributes])
}

fn data_of(mut info: Cursor<'_>) -> Result<Vec<u8>, Error> {
    if info.oid()? != oid::ID_DATA {
        return Err(malformed("a PKCS#12 file that is signed instead of authenticated by passphrase is not read"));
    }
    let mut inner = info.explicit(0)?.ok_or_else(|| malformed("a PKCS#12 file without content"))?;
    Ok(inner.octet_string()?.into_owned())
}

/// `MacData ::= SEQUENCE { mac DigestInfo, macSalt OCTET STRING, iterations INTEGER DEFAULT 1 }`
///
/// A file without it is told a wrong passphrase by what it decrypts to.
fn check_mac(fields: Option<Cursor<'_>>, safe: &[u8], lock: &mut Lock<'_>) -> Result<(), Error> {
    let Some(mut fields) = fields else { return Ok(()) };
    let mut info = fields.sequence()?;
    let algorithm = AlgorithmIdentifier::from_cursor(&mut info)?;
    let expected = info.octet_string()?;
    let salt = fields.octet_string()?;
    let iterations = if fields.is_empty() { 1 } else { fields.small_unsigned()? };
    if algorithm.oid == oid::PBMAC1 {
        return check_pbmac1(&algorithm, &expected, safe, lock);
    }
    let digest = DigestAlgorithm::from_identifier(&algorithm)?;
    for password in pbe::bmp_forms(lock.passphrase) {
        pbe::spend(&mut lock.rounds, iterations, digest, digest.output_len())?;
        let key = kdf::pkcs12(digest, password.expose(), &salt, Pkcs12Purpose::Mac, iterations, digest.output_len());
        if mac::equal(&mac::hmac(digest, key.expose(), safe), &expected) {
            return Ok(());
        }
    }
    Err(Error::WrongPassphrase)
}

/// `PBMAC1-params ::= SEQUENCE { keyDerivationFunc, messageAuthScheme }` (RFC 9579)
fn check_pbmac1(algorithm: &AlgorithmIdentifier, expected: &[u8], safe: &[u8], lock: &mut Lock<'_>) -> Result<(), Error> {
    let parameters = algorithm.real_parameters().ok_or_else(|| malformed("PBMAC1 without parameters"))?;
    let mut fields = Cursor::new(parameters).sequence()?;
    let derivation = AlgorithmIdentifier::from_cursor(&mut fields)?;
    let digest = pbe::hmac_digest(&AlgorithmIdentifier::from_cursor(&mut fields)?)?;
    let key = pbe::pbkdf2_key(&derivation, lock.passphrase.expose(), digest.output_len(), &mut lock.rounds)?;
    if mac::equal(&mac::hmac(digest, key.expose(), safe), expected) { Ok(()) } else { Err(Error::WrongPassphrase) }
}

/// `EncryptedData ::= SEQUENCE { version, SEQUENCE { contentType, algorithm, [0] IMPLICIT OCTET STRING } }`
fn encrypted_data(mut fields: Cursor<'_>, lock: &mut Lock<'_>) -> Result<Secret<Vec<u8>>, Error> {
    fields.integer()?;
    let mut info = fields.sequence()?;
    info.oid()?;
    let algorithm = AlgorithmIdentifier::from_cursor(&mut info)?;
    let encrypted: Cow<'_, [u8]> = info.expect(Tag::context(0))?.bytes()?;
    Ok(pbe::decrypt_sequence(&algorithm, lock.passphrase, &encrypted, &mut lock.rounds)?)
}

/// `SafeContents ::= SEQUENCE OF SafeBag { bagId, bagValue [0] EXPLICIT, bagAttributes OPTIONAL }`
///
/// Bags may hold bags; the cursor bounds how deep.
fn bags(mut safe: Cursor<'_>, lock: &mut Lock<'_>, content: &mut Content) -> Result<(), Error> {
    let mut list = safe.sequence()?;
    while !list.is_empty() {
        let mut bag = list.sequence()?;
        let kind = bag.oid()?;
        let Some(mut value) = bag.explicit(0)? else { continue };
        match kind {
            oid::KEY_BAG => content.keys.push(PrivateKey::from_pkcs8(value.any()?.raw)?),
            oid::SHROUDED_KEY_BAG => {
                let mut fields = value.sequence()?;
                let algorithm = AlgorithmIdentifier::from_cursor(&mut fields)?;
                let plain = pbe::decrypt_sequence(&algorithm, lock.passphrase, &fields.octet_string()?, &mut lock.rounds)?;
                content.keys.push(PrivateKey::from_pkcs8(plain.expose())?);
            }
            oid::CERT_BAG => {
                let mut fields = value.sequence()?;
                if fields.oid()? == oid::X509_CERTIFICATE
                    && let Some(mut inner) = fields.explicit(0)?
                {
                    content.certificates.extend(Certificate::from_der(&inner.octet_string()?).ok());
                }
            }
            oid::SAFE_CONTENTS_BAG => bags(value, lock, content)?,
            _ => {}
        }
    }
    Ok(())
}

fn malformed(what: &str) -> Error {
    Error::Malformed(what.to_owned())
}

/// Whether the bytes begin like a PKCS#12 file: a SEQUENCE of the number 3 and a ContentInfo.
pub fn looks_like(bytes: &[u8]) -> bool {
    let Ok(mut fields) = Cursor::new(bytes).sequence() else { return false };
    fields.small_unsigned().is_ok_and(|version| version == 3) && fields.sequence().is_ok_and(|mut info| info.oid().is_ok())
}
