//! Countersignatures: one signer vouches for the signature of another (RFC 5652 11.4).

use crate::asn1::oid;
use crate::cms::signer::Signed;
use crate::cms::{Error, SignatureCheck, Signer};
use crate::limits::{Budget, Limits};
use crate::pki::Certificate;

/// A signature over the signature value of another signer.
#[derive(Debug, Clone)]
pub struct CounterSignature {
    /// Who made it, and its arithmetic.
    pub signer: Signer,
    over: Vec<u8>,
}

impl CounterSignature {
    /// Checks it with a certificate that its signer's identifier names.
    pub fn verify(&self, certificate: &Certificate) -> SignatureCheck {
        self.signer.verify_over(certificate, &Signed::Signature(&self.over))
    }
}

impl Signer {
    /// The countersignatures of this signature: `Countersignature ::= SignerInfo`, in the unsigned attributes.
    ///
    /// One that cannot be read is left out: it says nothing about the signature that it stands beside. Those of countersignatures are
    /// not followed.
    pub fn counter_signatures(&self, limits: &Limits) -> Result<Vec<CounterSignature>, Error> {
        let mut budget = Budget::new("signers", limits.signers);
        let mut found = Vec::new();
        for value in self.unsigned_attributes.iter().flat_map(|attributes| attributes.values(&oid::COUNTER_SIGNATURE)) {
            budget.spend(1u64)?;
            match Self::from_der(value, limits) {
                Ok(signer) => found.push(CounterSignature { signer, over: self.signature().to_vec() }),
                Err(Error::Limit(limit)) => return Err(Error::Limit(limit)),
                Err(_) => {}
            }
        }
        Ok(found)
    }
}
