//! Reads PKCS#12 files.

use std::borrow::Cow;

use super::{Content, Held, malformed};
use crate::asn1::{Cursor, Tag, oid};
use crate::crypto::algorithm::{AlgorithmIdentifier, DigestAlgorithm};
use crate::crypto::kdf::{self, Pkcs12Purpose};
use crate::crypto::key::PrivateKey;
use crate::crypto::pbe::{self, Cost, Passwords};
use crate::crypto::{self, mac};
use crate::keys::Error;
use crate::limits::{Budget, Limits};
use crate::pki::Certificate;
use crate::secret::Secret;

/// Reads a file, in DER or BER; its authentication code is checked first.
///
/// What it holds and this version does not read stands in [`Content::unread`]; a file that has keys, of which none can be read, is an
/// error.
///
/// `PFX ::= SEQUENCE { version, authSafe ContentInfo, macData OPTIONAL }`
pub fn read(bytes: &[u8], passphrase: Option<&Secret<Vec<u8>>>, limits: &Limits) -> Result<Content, Error> {
    let mut fields = Cursor::with_limits(bytes, limits).sequence()?;
    if fields.small_unsigned()? != 3 {
        return Err(malformed("not a PKCS#12 file of version 3"));
    }
    let safe = data_of(fields.sequence()?)?;
    let mac_data = if fields.is_empty() { None } else { Some(fields.sequence()?) };
    // a file with an empty passphrase opens without asking
    let empty = Secret::new(Vec::new());
    let mut lock = Lock { passwords: Passwords::of_pkcs12(passphrase.unwrap_or(&empty)), cost: Cost::new(limits) };
    let mut opening =
        Opening { lock: &mut lock, bags: Budget::new("key file entries", limits.key_file_entries), lost: None, limits };
    let mut content = Content::default();
    let result = opening.lock.check_mac(mac_data, &safe).and_then(|()| opening.safes(&safe, &mut content));
    match (result, opening.lost) {
        (Err(Error::WrongPassphrase), _) if passphrase.is_none() => Err(Error::PassphraseNeeded),
        (Err(error), _) => Err(error),
        (Ok(()), Some(error)) if content.keys.is_empty() => Err(error.into()),
        (Ok(()), _) => Ok(content),
    }
}

/// What a file's parts are opened with: a passphrase, and what deriving keys from it may cost for all of them together.
struct Lock {
    passwords: Passwords,
    cost: Cost,
}

/// A file that is being read.
struct Opening<'a> {
    lock: &'a mut Lock,
    bags: Budget,
    /// Why the first key was not read that could not be.
    lost: Option<crypto::Error>,
    limits: &'a Limits,
}

impl Lock {
    /// `MacData ::= SEQUENCE { mac DigestInfo, macSalt OCTET STRING, iterations INTEGER DEFAULT 1 }`
    ///
    /// A file without it is told a wrong passphrase by what it decrypts to.
    fn check_mac(&mut self, fields: Option<Cursor<'_>>, safe: &[u8]) -> Result<(), Error> {
        let Some(mut fields) = fields else { return Ok(()) };
        let mut info = fields.sequence()?;
        let algorithm = AlgorithmIdentifier::from_cursor(&mut info)?;
        let expected = info.octet_string()?;
        let salt = fields.octet_string()?;
        let iterations = if fields.is_empty() { 1 } else { fields.small_unsigned()?.max(1) };
        if algorithm.oid == oid::PBMAC1 {
            return self.check_pbmac1(&algorithm, &expected, safe);
        }
        let digest = DigestAlgorithm::from_identifier(&algorithm)?;
        for (at, password) in self.passwords.wide().iter().enumerate() {
            self.cost.spend(iterations, digest, digest.output_len()).map_err(Error::Limit)?;
            let key = kdf::pkcs12(digest, password.expose(), &salt, Pkcs12Purpose::Mac, iterations, digest.output_len());
            if mac::equal(&mac::hmac(digest, key.expose(), safe), &expected) {
                self.passwords.prefer_wide(at);
                return Ok(());
            }
        }
        Err(Error::WrongPassphrase)
    }

    /// `PBMAC1-params ::= SEQUENCE { keyDerivationFunc, messageAuthScheme }` (RFC 9579)
    fn check_pbmac1(&mut self, algorithm: &AlgorithmIdentifier, expected: &[u8], safe: &[u8]) -> Result<(), Error> {
        let parameters = algorithm.real_parameters().ok_or_else(|| malformed("PBMAC1 without parameters"))?;
        let mut fields = Cursor::new(parameters).sequence()?;
        let derivation = AlgorithmIdentifier::from_cursor(&mut fields)?;
        let digest = pbe::hmac_digest(&AlgorithmIdentifier::from_cursor(&mut fields)?)?;
        // RFC 9579 asks for it: an HMAC takes keys of any length, so nothing else says how long this one is
        if pbe::named_length(&derivation)?.is_none() {
            return Err(malformed("PBMAC1 without the length of its key"));
        }
        for password in self.passwords.plain() {
            let key = pbe::derive_key(&derivation, password.expose(), digest.output_len(), &mut self.cost)?;
            if mac::equal(&mac::hmac(digest, key.expose(), safe), expected) {
                return Ok(());
            }
        }
        Err(Error::WrongPassphrase)
    }

    fn decrypt(&mut self, algorithm: &AlgorithmIdentifier, encrypted: &[u8]) -> Result<Secret<Vec<u8>>, Error> {
        Ok(pbe::decrypt_sequence(algorithm, &self.passwords, encrypted, &mut self.cost)?)
    }
}

impl Opening<'_> {
    /// `AuthenticatedSafe ::= SEQUENCE OF ContentInfo`
    fn safes(&mut self, safe: &[u8], content: &mut Content) -> Result<(), Error> {
        let mut safes = Cursor::with_limits(safe, self.limits).sequence()?;
        while !safes.is_empty() {
            let mut info = safes.sequence()?;
            let kind = info.oid()?;
            let mut inner = info.explicit(0)?.ok_or_else(|| malformed("a safe without content"))?;
            match kind {
                oid::ID_DATA => self.contents(&inner.octet_string()?, content)?,
                oid::ID_ENCRYPTED_DATA => {
                    let plain = self.encrypted_data(inner.sequence()?)?;
                    self.contents(plain.expose(), content)?;
                }
                oid::ID_ENVELOPED_DATA => {
                    return Err(malformed(
                        "a safe that is encrypted to a certificate is not read – export it under a passphrase",
                    ));
                }
                other => return Err(malformed(&format!("a safe of the type {other} is not read"))),
            }
        }
        Ok(())
    }

    /// `EncryptedData ::= SEQUENCE { version, SEQUENCE { contentType, algorithm, [0] IMPLICIT OCTET STRING } }`
    fn encrypted_data(&mut self, mut fields: Cursor<'_>) -> Result<Secret<Vec<u8>>, Error> {
        fields.integer()?;
        let mut info = fields.sequence()?;
        info.oid()?;
        let algorithm = AlgorithmIdentifier::from_cursor(&mut info)?;
        let encrypted: Cow<'_, [u8]> = info.expect(Tag::context(0))?.bytes()?;
        self.lock.decrypt(&algorithm, &encrypted)
    }

    fn contents(&mut self, bytes: &[u8], content: &mut Content) -> Result<(), Error> {
        self.bags(Cursor::with_limits(bytes, self.limits), content)
    }

    /// `SafeContents ::= SEQUENCE OF SafeBag { bagId, bagValue [0] EXPLICIT, bagAttributes SET OF PKCS12Attribute OPTIONAL }`
    ///
    /// Bags may hold bags; the cursor bounds how deep.
    fn bags(&mut self, mut safe: Cursor<'_>, content: &mut Content) -> Result<(), Error> {
        let mut list = safe.sequence()?;
        while !list.is_empty() {
            self.bags.spend(1_usize).map_err(Error::Limit)?;
            let mut bag = list.sequence()?;
            let kind = bag.oid()?;
            let Some(mut value) = bag.explicit(0)? else {
                content.unread.push(format!("a bag of the type {} is empty", name_of(&kind)));
                continue;
            };
            match kind {
                oid::KEY_BAG => self.key(value.any()?.raw, &mut bag, content),
                oid::SHROUDED_KEY_BAG => {
                    let mut fields = value.sequence()?;
                    let algorithm = AlgorithmIdentifier::from_cursor(&mut fields)?;
                    let plain = self.lock.decrypt(&algorithm, &fields.octet_string()?)?;
                    self.key(plain.expose(), &mut bag, content);
                }
                oid::CERT_BAG => certificate(value.sequence()?, &mut bag, content)?,
                oid::SAFE_CONTENTS_BAG => self.bags(value, content)?,
                other => content.unread.push(format!("a bag of the type {} is not read", name_of(&other))),
            }
        }
        Ok(())
    }

    fn key(&mut self, pkcs8: &[u8], bag: &mut Cursor<'_>, content: &mut Content) {
        match PrivateKey::from_pkcs8(pkcs8) {
            Ok(key) => content.keys.push(held(key, bag)),
            Err(error) => {
                content.unread.push(format!("a private key cannot be read – {error}"));
                self.lost.get_or_insert(error);
            }
        }
    }
}

/// `CertBag ::= SEQUENCE { certId, certValue [0] EXPLICIT OCTET STRING }`
fn certificate(mut fields: Cursor<'_>, bag: &mut Cursor<'_>, content: &mut Content) -> Result<(), Error> {
    let kind = fields.oid()?;
    let inner = fields.explicit(0)?;
    let (oid::X509_CERTIFICATE, Some(mut inner)) = (kind, inner) else {
        content.unread.push(format!("a certificate of the type {} is not read", name_of(&kind)));
        return Ok(());
    };
    match Certificate::from_der(&inner.octet_string()?) {
        Ok(certificate) => content.certificates.push(held(certificate, bag)),
        Err(error) => content.unread.push(format!("a certificate cannot be read – {error}")),
    }
    Ok(())
}

/// A thing with the attributes of its bag; those that cannot be read say nothing.
fn held<T>(value: T, bag: &mut Cursor<'_>) -> Held<T> {
    let mut held = Held { value, name: None, local_key_id: None };
    let Ok(set) = bag.expect(Tag::SET) else { return held };
    let Ok(mut attributes) = set.cursor() else { return held };
    // `PKCS12Attribute ::= SEQUENCE { attrId, attrValues SET OF ANY }`
    while let Ok(mut attribute) = attributes.sequence() {
        let Ok(kind) = attribute.oid() else { continue };
        let Some(element) = attribute.expect(Tag::SET).ok().and_then(|set| set.cursor().ok()?.any().ok()) else { continue };
        match kind {
            oid::FRIENDLY_NAME => held.name = element.text().ok(),
            oid::LOCAL_KEY_ID => held.local_key_id = element.bytes().ok().map(Cow::into_owned),
            _ => {}
        }
    }
    held
}

fn data_of(mut info: Cursor<'_>) -> Result<Vec<u8>, Error> {
    if info.oid()? != oid::ID_DATA {
        return Err(malformed("a PKCS#12 file that is signed instead of authenticated by passphrase is not read"));
    }
    let mut inner = info.explicit(0)?.ok_or_else(|| malformed("a PKCS#12 file without content"))?;
    Ok(inner.octet_string()?.into_owned())
}

fn name_of(kind: &crate::asn1::Oid) -> String {
    oid::name(kind).map_or_else(|| kind.to_string(), str::to_owned)
}
