//! Identities from a file: PKCS#12, or PEM with a key and its certificates.

use crate::asn1::pem;
use crate::crypto::key::PrivateKey;
use crate::keys::identity::may_sign;
use crate::keys::{Error, Identity, pkcs12};
use crate::limits::Limits;
use crate::pki::{self, Certificate};
use crate::secret::Secret;

/// Reads the identity to sign with from a PKCS#12 file or a PEM bundle: the first of [`identities`].
pub fn identity(bytes: &[u8], passphrase: Option<&Secret<Vec<u8>>>, limits: &Limits) -> Result<Identity, Error> {
    identities(bytes, passphrase, limits)?.into_iter().next().ok_or_else(no_certificate)
}

/// Reads every identity of a PKCS#12 file, or the one of a PEM bundle; those that may sign come first.
/// [`Error::PassphraseNeeded`] where it is locked.
///
/// People with one key for signing and another for encryption have both in one file.
pub fn identities(bytes: &[u8], passphrase: Option<&Secret<Vec<u8>>>, limits: &Limits) -> Result<Vec<Identity>, Error> {
    if pem::looks_like(bytes) {
        let key = PrivateKey::from_any(bytes, passphrase, limits)?;
        return Ok(vec![pair(key, pki::load::certificates(bytes)?)?]);
    }
    let content = pkcs12::read(bytes, passphrase, limits)?;
    if content.keys.is_empty() {
        return Err(Error::Malformed("the file holds no private key".to_owned()));
    }
    let mut found = Vec::new();
    for key in &content.keys {
        let others: Vec<&PrivateKey> = content.keys.iter().filter(|other| other.public_key() != key.public_key()).collect();
        // the person's other certificate is no part of this one's chain
        let is_foreign =
            |certificate: &&Certificate| !is_ca(certificate) && others.iter().any(|other| belongs(certificate, other));
        let certificates = content.certificates.iter().filter(|certificate| !is_foreign(certificate)).cloned().collect();
        found.extend(pair(key.clone(), certificates).ok());
    }
    if found.is_empty() {
        return Err(no_certificate());
    }
    found.sort_by_key(|identity| !may_sign(identity.certificate()));
    Ok(found)
}

/// Pairs a key with its certificate among several; the others are its chain.
pub fn pair(key: PrivateKey, certificates: Vec<Certificate>) -> Result<Identity, Error> {
    let own = certificates.iter().find(|certificate| belongs(certificate, &key)).cloned().ok_or_else(no_certificate)?;
    Identity::new(key, own, certificates)
}

fn belongs(certificate: &Certificate, key: &PrivateKey) -> bool {
    certificate.public_key().is_ok_and(|public| public == *key.public_key())
}

fn is_ca(certificate: &Certificate) -> bool {
    certificate.basic_constraints().is_some_and(|constraints| constraints.is_ca)
}

fn no_certificate() -> Error {
    Error::Malformed("the file holds no certificate of its private key".to_owned())
}
