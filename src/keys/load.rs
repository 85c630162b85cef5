//! An identity from a file: PKCS#12, or PEM with a key and its certificates.

use crate::asn1::pem;
use crate::crypto::key::PrivateKey;
use crate::keys::{Error, Identity, pkcs12};
use crate::limits::Limits;
use crate::pki::{self, Certificate};
use crate::secret::Secret;

/// Reads an identity from a PKCS#12 file or a PEM bundle. [`Error::PassphraseNeeded`] where it is locked.
pub fn identity(bytes: &[u8], passphrase: Option<&Secret<Vec<u8>>>, limits: &Limits) -> Result<Identity, Error> {
    if pem::looks_like(bytes) {
        let key = PrivateKey::from_any(bytes, passphrase, limits)?;
        return pair(key, pki::load::certificates(bytes)?);
    }
    let content = pkcs12::read(bytes, passphrase, limits)?;
    let key = content.keys.into_iter().next().ok_or_else(|| Error::Malformed("the file holds no private key".to_owned()))?;
    pair(key, content.certificates)
}

/// Pairs a key with its certificate among several; the others are its chain.
pub fn pair(key: PrivateKey, certificates: Vec<Certificate>) -> Result<Identity, Error> {
    let is_own = |certificate: &Certificate| certificate.public_key().is_ok_and(|public| public == *key.public_key());
    let own = certificates.iter().find(|certificate| is_own(certificate)).cloned();
    let own = own.ok_or_else(|| Error::Malformed("the file holds no certificate of its private key".to_owned()))?;
    Identity::new(key, own, certificates)
}
