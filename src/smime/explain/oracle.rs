//! Whether bytes are what was signed.

use crate::cms::{self, SignatureCheck, SignedData};
use crate::crypto::algorithm::DigestAlgorithm;
use crate::crypto::digest;
use crate::smime::explain::Signed;
use crate::smime::open::{Open, open_signature};

/// Knows what was signed by its digest.
pub(super) struct Oracle<'a> {
    open: &'a Open<'a>,
    signature: &'a [u8],
    /// The signed digest, where a signer has attributes whose signature fits; else each attempt is checked by arithmetic.
    digest: Option<(DigestAlgorithm, Vec<u8>)>,
}

impl<'a> Oracle<'a> {
    /// Reads a signature; nothing where no signer's certificate is at hand, or where the signature fits nothing.
    pub(super) fn of(open: &'a Open<'a>, signed: &'a Signed) -> Option<Self> {
        let data = read(open, &signed.signature, &signed.received)?;
        let mut oracle = Self { open, signature: &signed.signature, digest: None };
        for signer in &data.signers {
            let checks = oracle.checks(signer, &data);
            if checks.is_empty() {
                return None;
            }
            let Some(attributes) = &signer.signed_attributes else { continue };
            // the signature over the attributes must fit: then their digest is the signer's word
            if !checks.iter().any(|check| matches!(check, SignatureCheck::ContentChanged | SignatureCheck::Valid(_))) {
                return None;
            }
            let value = attributes.message_digest()?;
            oracle.digest = Some((signer.digest_algorithm()?, value));
        }
        Some(oracle)
    }

    /// Whether every signer signed these bytes.
    pub(super) fn fits(&self, bytes: &[u8]) -> bool {
        if let Some((algorithm, signed)) = &self.digest
            && digest::of(*algorithm, bytes) != *signed
        {
            return false;
        }
        let Some(data) = read(self.open, self.signature, bytes) else { return false };
        let is_valid = |signer| self.checks(signer, &data).iter().any(|check| matches!(check, SignatureCheck::Valid(_)));
        !data.signers.is_empty() && data.signers.iter().all(is_valid)
    }

    /// Whether an attempt costs the arithmetic of a signature, not only a digest.
    pub(super) fn is_slow(&self) -> bool {
        self.digest.is_none()
    }

    fn checks(&self, signer: &cms::Signer, data: &SignedData) -> Vec<SignatureCheck> {
        let known = data.certificates.iter().chain(self.open.known).chain(&self.open.trust.intermediates);
        known.filter(|certificate| signer.id.names(certificate)).map(|certificate| signer.verify(certificate, data)).collect()
    }
}

fn read(open: &Open<'_>, signature: &[u8], content: &[u8]) -> Option<SignedData> {
    let reader = open_signature(signature, &open.limits).ok()?;
    let mut data = reader.read(Some(content), &mut std::io::sink()).ok()?;
    data.supply_digests(content);
    Some(data)
}
