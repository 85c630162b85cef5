//! The certificates that are trusted to vouch for others.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use crate::crypto::algorithm::DigestAlgorithm;
use crate::crypto::digest;
use crate::pki::{Certificate, Error};

/// A set of trust anchors.
///
/// It remembers which signatures of issuers were checked, and its clones remember with it: of many messages with one chain only the
/// first costs the check.
#[derive(Debug, Clone, Default)]
pub struct TrustAnchors(Vec<Certificate>, Arc<Mutex<HashSet<Vec<u8>>>>);

/// Checked signatures that are remembered, 32 bytes each; then it begins anew.
const REMEMBERED: usize = 4096;

impl TrustAnchors {
    /// No anchors: nothing is trusted.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an anchor, once.
    pub fn add(&mut self, certificate: Certificate) {
        if !self.contains(&certificate) {
            self.0.push(certificate);
        }
    }

    /// Whether this very certificate is an anchor.
    pub fn contains(&self, certificate: &Certificate) -> bool {
        self.0.contains(certificate)
    }

    /// Checks the signature of an issuer on a certificate; one that stood is not checked again.
    pub(in crate::pki) fn check_signature(&self, issuer: &Certificate, certificate: &Certificate) -> Result<(), Error> {
        // DER says how long it is: no two pairs are the same bytes
        let pair = digest::of(DigestAlgorithm::Sha256, &[issuer.der(), certificate.der()].concat());
        let checked = || self.1.lock().unwrap_or_else(PoisonError::into_inner);
        if checked().contains(&pair) {
            return Ok(());
        }
        certificate.verify_signature(&issuer.public_key()?)?;
        let mut checked = checked();
        if checked.len() >= REMEMBERED {
            checked.clear();
        }
        checked.insert(pair);
        Ok(())
    }

    /// The anchors.
    pub fn iter(&self) -> impl Iterator<Item = &Certificate> {
        self.0.iter()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<Certificate> for TrustAnchors {
    fn from_iter<I: IntoIterator<Item = Certificate>>(certificates: I) -> Self {
        let mut anchors = Self::new();
        certificates.into_iter().for_each(|certificate| anchors.add(certificate));
        anchors
    }
}
