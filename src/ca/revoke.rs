//! Revocation lists that the authority signs (RFC 5280 5).

use crate::asn1::{encode, oid};
use crate::ca::Error;
use crate::ca::profile::{algorithm_of, authority_key_id, extension};
use crate::crypto::random::Random;
use crate::crypto::signature::{self, Input};
use crate::keys::Identity;
use crate::pki::Crl;
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
    CertificateHold = 6,
    PrivilegeWithdrawn = 9,
}

const REASONS: &[(RevocationReason, &str)] = &[
    (RevocationReason::Unspecified, "unspecified"),
    (RevocationReason::KeyCompromise, "key-compromise"),
    (RevocationReason::AffiliationChanged, "affiliation-changed"),
    (RevocationReason::Superseded, "superseded"),
    (RevocationReason::CessationOfOperation, "cessation-of-operation"),
    (RevocationReason::CertificateHold, "certificate-hold"),
    (RevocationReason::PrivilegeWithdrawn, "privilege-withdrawn"),
];

impl RevocationReason {
    /// The reason called so, as `key-compromise`.
    pub fn from_name(name: &str) -> Option<Self> {
        REASONS.iter().find(|row| row.1 == name).map(|row| row.0)
    }

    /// The reason that RFC 5280 5.3.1 numbers so.
    pub(in crate::ca) fn from_number(number: u8) -> Option<Self> {
        REASONS.iter().find(|row| row.0 as u8 == number).map(|row| row.0)
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
    /// Since when its key was no longer to be trusted, where that was before and is known (RFC 5280 5.3.2).
    pub invalid_since: Option<Timestamp>,
}

impl Revoked {
    pub(in crate::ca) fn entry(&self) -> Entry {
        let Self { serial, date, reason, invalid_since } = self;
        Entry { serial: serial.clone(), date: *date, reason: *reason as u8, invalid_since: *invalid_since }
    }
}

/// One entry of a list.
pub(in crate::ca) struct Entry {
    pub(in crate::ca) serial: Vec<u8>,
    pub(in crate::ca) date: Timestamp,
    /// As RFC 5280 5.3.1 numbers it.
    pub(in crate::ca) reason: u8,
    pub(in crate::ca) invalid_since: Option<Timestamp>,
}

/// What a delta list says of those that came back.
pub(in crate::ca) const REMOVE_FROM_CRL: u8 = 8;

/// A list before its signature.
pub(in crate::ca) struct List {
    pub(in crate::ca) entries: Vec<Entry>,
    pub(in crate::ca) number: u64,
    /// From when, and when the next one is due.
    pub(in crate::ca) dates: (Timestamp, Timestamp),
    /// The distribution point, as the certificates name it.
    pub(in crate::ca) place: Option<String>,
    /// Of a delta list: the number of the list that it continues.
    pub(in crate::ca) base: Option<u64>,
    /// Of a complete list: where its delta lists are.
    pub(in crate::ca) deltas: Option<String>,
}

/// Signs a list, and reads it back.
pub(in crate::ca) fn sign_list(issuer: &Identity, list: &List, random: &mut dyn Random) -> Result<Crl, Error> {
    let key = issuer.private_key();
    let algorithm = algorithm_of(key)?;
    let identifier = algorithm.identifier().to_der();
    let entries: Vec<Vec<u8>> = list.entries.iter().map(encode_entry).collect();
    let mut extensions = vec![
        extension(oid::AUTHORITY_KEY_IDENTIFIER, false, &authority_key_id(key.public_key())),
        extension(oid::CRL_NUMBER, false, &encode::integer_u64(list.number)),
    ];
    // RFC 5280 5.2.4, 5.2.5, 5.2.6
    extensions.extend(list.base.map(|base| extension(oid::DELTA_CRL_INDICATOR, true, &encode::integer_u64(base))));
    extensions.extend(
        list.place
            .as_ref()
            .map(|place| extension(oid::ISSUING_DISTRIBUTION_POINT, true, &encode::sequence(&[point_name(place)]))),
    );
    extensions.extend(
        list.deltas
            .as_ref()
            .map(|place| extension(oid::FRESHEST_CRL, false, &encode::sequence(&[encode::sequence(&[point_name(place)])]))),
    );
    let tbs = encode::sequence(&[
        encode::integer_u64(1),
        identifier.clone(),
        issuer.certificate().subject().der().to_vec(),
        encode::time(list.dates.0),
        encode::time(list.dates.1),
        // an empty list of entries is left out (RFC 5280 5.1.2.6)
        if entries.is_empty() { Vec::new() } else { encode::sequence(&entries) },
        encode::explicit(0, &encode::sequence(&extensions)),
    ]);
    let signed = signature::sign(key, algorithm, Input::Message(&tbs), random)?;
    let crl = Crl::from_vec(encode::sequence(&[tbs, identifier, encode::bit_string(&signed)]))?;
    crl.verify_signature(key.public_key())?;
    Ok(crl)
}

fn encode_entry(entry: &Entry) -> Vec<u8> {
    let mut extensions = Vec::new();
    // an unspecified reason is left out (RFC 5280 5.3.1)
    if entry.reason != RevocationReason::Unspecified as u8 {
        extensions.push(extension(oid::CRL_REASON, false, &encode::enumerated(entry.reason)));
    }
    extensions.extend(entry.invalid_since.map(|time| extension(oid::INVALIDITY_DATE, false, &encode::generalized_time(time))));
    let mut fields = vec![encode::integer(&entry.serial), encode::time(entry.date)];
    if !extensions.is_empty() {
        fields.push(encode::sequence(&extensions));
    }
    encode::sequence(&fields)
}

/// `distributionPoint [0] { fullName [0] { uniformResourceIdentifier [6] } }`
fn point_name(url: &str) -> Vec<u8> {
    let uri = encode::implicit(6, &encode::ia5(url));
    encode::explicit(0, &encode::implicit(0, &encode::sequence(&[uri])))
}
