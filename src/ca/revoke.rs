//! Revocation lists that the authority signs (RFC 5280 5).

use crate::asn1::{encode, oid};
use crate::ca::Error;
use crate::ca::profile::{algorithm_of, authority_key_id, extension};
use crate::crypto::key::PrivateKey;
use crate::crypto::random::Random;
use crate::crypto::signature::{self, Input};
use crate::pki::{Certificate, Crl};
use crate::time::Timestamp;

/// Why a certificate is revoked (RFC 5280 5.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "each variant is the reason of its name")]
pub enum RevocationReason {
    Unspecified = 0,
    KeyCompromise = 1,
    AffiliationChanged = 3,
    Superseded = 4,
    CessationOfOperation = 5,
    PrivilegeWithdrawn = 9,
}

const REASONS: &[(RevocationReason, &str)] = &[
    (RevocationReason::Unspecified, "unspecified"),
    (RevocationReason::KeyCompromise, "key-compromise"),
    (RevocationReason::AffiliationChanged, "affiliation-changed"),
    (RevocationReason::Superseded, "superseded"),
    (RevocationReason::CessationOfOperation, "cessation-of-operation"),
    (RevocationReason::PrivilegeWithdrawn, "privilege-withdrawn"),
];

impl RevocationReason {
    /// The reason called so, as `key-compromise`.
    pub fn from_name(name: &str) -> Option<Self> {
        REASONS.iter().find(|row| row.1 == name).map(|row| row.0)
    }

    /// The word.
    pub fn name(self) -> &'static str {
        REASONS.iter().find(|row| row.0 == self).map_or("unspecified", |row| row.1)
    }

    /// Every word.
    pub fn names() -> Vec<&'static str> {
        REASONS.iter().map(|row| row.1).collect()
    }
}

/// One revoked certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revoked {
    /// Its serial number, most significant byte first.
    pub serial: Vec<u8>,
    /// When.
    pub date: Timestamp,
    /// Why.
    pub reason: RevocationReason,
}

/// Signs a list of everything that an issuer revoked.
pub(in crate::ca) fn sign_list(
    issuer: &Certificate,
    key: &PrivateKey,
    revoked: &[Revoked],
    number: u64,
    dates: (Timestamp, Timestamp),
    random: &mut dyn Random,
) -> Result<Crl, Error> {
    let entry = |revoked: &Revoked| {
        let mut fields = vec![encode::integer(&revoked.serial), encode::time(revoked.date)];
        // an unspecified reason is left out (RFC 5280 5.3.1)
        if revoked.reason != RevocationReason::Unspecified {
            let reason = extension(oid::CRL_REASON, false, &encode::enumerated(revoked.reason as u8));
            fields.push(encode::sequence(&[reason]));
        }
        encode::sequence(&fields)
    };
    let algorithm = algorithm_of(key)?;
    let identifier = algorithm.identifier().to_der();
    let entries: Vec<Vec<u8>> = revoked.iter().map(entry).collect();
    let extensions = encode::sequence(&[
        extension(oid::AUTHORITY_KEY_IDENTIFIER, false, &authority_key_id(key.public_key())),
        extension(oid::CRL_NUMBER, false, &encode::integer_u64(number)),
    ]);
    let tbs = encode::sequence(&[
        encode::integer_u64(1),
        identifier.clone(),
        issuer.subject().der().to_vec(),
        encode::time(dates.0),
        encode::time(dates.1),
        // an empty list of entries is left out (RFC 5280 5.1.2.6)
        if entries.is_empty() { Vec::new() } else { encode::sequence(&entries) },
        encode::explicit(0, &extensions),
    ]);
    let signed = signature::sign(key, algorithm, Input::Message(&tbs), random)?;
    let crl = Crl::from_der(&encode::sequence(&[tbs, identifier, encode::bit_string(&signed)]))?;
    crl.verify_signature(key.public_key())?;
    Ok(crl)
}
