//! A private key with its certificate and the certificates above it.

use std::fmt;

use crate::crypto::algorithm::KeyAlgorithm;
use crate::crypto::key::PrivateKey;
use crate::keys::Error;
use crate::pki::{Certificate, KeyUsage, Usage};

/// A private key and the certificate that belongs to it; there is no other way to pair them.
#[derive(Clone)]
pub struct Identity {
    key: PrivateKey,
    certificate: Certificate,
    chain: Vec<Certificate>,
}

impl Identity {
    /// Pairs a key and its certificate; refuses a certificate of another key.
    pub fn new(key: PrivateKey, certificate: Certificate, chain: Vec<Certificate>) -> Result<Self, Error> {
        let public = certificate.public_key().map_err(Error::Certificate)?;
        if public != *key.public_key() {
            return Err(Error::ForeignCertificate { subject: certificate.to_string() });
        }
        let chain = chain.into_iter().filter(|c| *c != certificate).collect();
        Ok(Self { key, certificate, chain })
    }

    /// The certificate.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// The certificates above it.
    pub fn chain(&self) -> &[Certificate] {
        &self.chain
    }

    /// The private key.
    pub fn private_key(&self) -> &PrivateKey {
        &self.key
    }

    /// The mail addresses that the certificate speaks for.
    pub fn addresses(&self) -> Vec<String> {
        self.certificate.addresses()
    }
}

/// Whether the certificate lets its key sign mail, and the key is of a kind that signs here.
pub(in crate::keys) fn may_sign(certificate: &Certificate) -> bool {
    let allows = |usage: KeyUsage| usage.allows(Usage::DigitalSignature) || usage.allows(Usage::NonRepudiation);
    let is_signer = |kind: KeyAlgorithm| kind.signs() && !kind.is_read_only();
    certificate.key_usage().is_none_or(allows) && certificate.public_key().is_ok_and(|key| is_signer(key.algorithm()))
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({})", self.certificate)
    }
}
