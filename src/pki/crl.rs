//! Certificate revocation lists (RFC 5280 5).

use std::sync::Arc;

use crate::asn1::{Cursor, Element, Tag, oid};
use crate::crypto::algorithm::{AlgorithmIdentifier, SignatureAlgorithm};
use crate::crypto::key::PublicKey;
use crate::crypto::signature::{self, Input};
use crate::pki::{Certificate, Error, Extension, GeneralName, Name};
use crate::time::Timestamp;

/// A revocation list, its bytes kept.
#[derive(Debug, Clone)]
pub struct Crl(Arc<Parsed>);

#[derive(Debug)]
struct Parsed {
    der: Vec<u8>,
    tbs: Vec<u8>,
    algorithm: AlgorithmIdentifier,
    issuer: Name,
    this_update: Timestamp,
    next_update: Option<Timestamp>,
    revoked: Vec<Entry>,
    extensions: Vec<Extension>,
    signature: Vec<u8>,
}

/// One revoked certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its serial number, as the content of the INTEGER.
    pub serial: Vec<u8>,
    /// When it was revoked.
    pub date: Timestamp,
    /// Why, as RFC 5280 5.3.1 numbers it.
    pub reason: Option<u8>,
    has_unknown_critical: bool,
}

impl Entry {
    /// The reason in words.
    pub fn reason_name(&self) -> &'static str {
        match self.reason {
            Some(1) => "key compromise",
            Some(2) => "CA compromise",
            Some(3) => "affiliation changed",
            Some(4) => "superseded",
            Some(5) => "cessation of operation",
            Some(6) => "on hold",
            Some(9) => "privilege withdrawn",
            Some(10) => "AA compromise",
            _ => "no reason given",
        }
    }
}

impl Crl {
    /// Reads an encoded list.
    pub fn from_der(bytes: &[u8]) -> Result<Self, Error> {
        let mut outer = Cursor::new(bytes);
        let mut whole = outer.sequence()?;
        outer.finish()?;
        let tbs = whole.expect(Tag::SEQUENCE)?;
        let outer_algorithm = AlgorithmIdentifier::from_cursor(&mut whole)?;
        let (_, signature) = whole.bit_string()?;
        whole.finish()?;
        let mut fields = tbs.cursor()?;
        if fields.peek() == Some(Tag::INTEGER) {
            fields.integer()?;
        }
        let algorithm = AlgorithmIdentifier::from_cursor(&mut fields)?;
        if algorithm.oid != outer_algorithm.oid {
            return Err(Error::Malformed("a revocation list whose two signature algorithms differ"));
        }
        let issuer = Name::from_der(fields.expect(Tag::SEQUENCE)?.raw)?;
        let this_update = fields.time()?;
        let next_update = match fields.peek() {
            Some(tag) if tag == Tag::UTC_TIME || tag == Tag::GENERALIZED_TIME => Some(fields.time()?),
            _ => None,
        };
        let mut revoked = Vec::new();
        if let Some(list) = fields.optional(Tag::SEQUENCE)? {
            let mut list = list.cursor()?;
            while !list.is_empty() {
                revoked.push(entry(list.sequence()?)?);
            }
        }
        let extensions = match fields.explicit(0)? {
            Some(mut inner) => Extension::list(&mut inner)?,
            None => Vec::new(),
        };
        fields.finish()?;
        revoked.sort_by(|a, b| a.serial.cmp(&b.serial));
        let signature = signature.into_owned();
        let (der, tbs) = (bytes.to_vec(), tbs.raw.to_vec());
        Ok(Self(Arc::new(Parsed { der, tbs, algorithm, issuer, this_update, next_update, revoked, extensions, signature })))
    }

    /// The list as received.
    pub fn der(&self) -> &[u8] {
        &self.0.der
    }

    /// Who signed it.
    pub fn issuer(&self) -> &Name {
        &self.0.issuer
    }

    /// When it was made.
    pub fn this_update(&self) -> Timestamp {
        self.0.this_update
    }

    /// When the next one is due.
    pub fn next_update(&self) -> Option<Timestamp> {
        self.0.next_update
    }

    /// The revoked certificates, by serial number.
    pub fn entries(&self) -> &[Entry] {
        &self.0.revoked
    }

    /// One extension.
    pub fn extension(&self, oid: &crate::asn1::Oid) -> Option<&Extension> {
        self.0.extensions.iter().find(|extension| extension.oid == *oid)
    }

    /// Checks its signature with the issuer's key, over the bytes as received.
    pub fn verify_signature(&self, issuer: &PublicKey) -> Result<(), Error> {
        let algorithm = SignatureAlgorithm::from_identifier(&self.0.algorithm, None)?;
        signature::verify(issuer, algorithm, Input::Message(&self.0.tbs), &self.0.signature)?;
        Ok(())
    }

    /// The entry of a serial number.
    pub fn lookup(&self, serial: &[u8]) -> Option<&Entry> {
        let at = self.0.revoked.binary_search_by(|entry| entry.serial.as_slice().cmp(serial)).ok()?;
        self.0.revoked.get(at)
    }

    /// Whether it tells about a certificate of its issuer: no delta, nothing critical that is not known, and either complete or the list
    /// of a place where the certificate says that lists are (RFC 5280 6.3.3 (b)).
    pub fn tells_of(&self, certificate: &Certificate) -> bool {
        let known =
            [oid::AUTHORITY_KEY_IDENTIFIER, oid::CRL_NUMBER, oid::ISSUER_ALT_NAME, oid::FRESHEST_CRL, oid::AUTHORITY_INFO_ACCESS];
        let is_understood = |e: &Extension| match e.oid {
            oid::ISSUING_DISTRIBUTION_POINT => scope(&e.value).is_some_and(|places| is_for(&places, certificate)),
            oid::DELTA_CRL_INDICATOR => false,
            other => !e.critical || known.contains(&other),
        };
        self.0.extensions.iter().all(is_understood) && self.0.revoked.iter().all(|entry| !entry.has_unknown_critical)
    }
}

/// The places of an issuing distribution point, none where it names none; nothing where it limits what the list tells about
/// (RFC 5280 5.2.5).
fn scope(value: &[u8]) -> Option<Vec<GeneralName>> {
    let mut fields = Cursor::new(value).sequence().ok()?;
    let mut places = Vec::new();
    while !fields.is_empty() {
        let field = fields.any().ok()?;
        match field.tag.number {
            0 => places = full_name(&field)?,
            _ if field.content == [0] => {}
            _ => return None,
        }
    }
    Some(places)
}

/// Whether a list of these places is one for a certificate.
fn is_for(places: &[GeneralName], certificate: &Certificate) -> bool {
    // 6.3.3: a certificate has a place that it does not name, its issuer's
    let own =
        || stated(certificate).unwrap_or_default().into_iter().chain([GeneralName::Directory(certificate.issuer().clone())]);
    let is_same = |a: &GeneralName, b: &GeneralName| match (a, b) {
        (GeneralName::Other, _) => false,
        (GeneralName::Directory(a), GeneralName::Directory(b)) => a.matches(b),
        _ => a == b,
    };
    places.is_empty() || places.iter().any(|place| own().any(|own| is_same(place, &own)))
}

/// The places that a certificate names where its issuer tells of every reason.
///
/// `DistributionPoint ::= SEQUENCE { distributionPoint [0] OPTIONAL, reasons [1] OPTIONAL, cRLIssuer [2] OPTIONAL }` (RFC 5280 4.2.1.13)
fn stated(certificate: &Certificate) -> Option<Vec<GeneralName>> {
    let mut points = Cursor::new(&certificate.extension(&oid::CRL_DISTRIBUTION_POINTS)?.value).sequence().ok()?;
    let mut places = Vec::new();
    while !points.is_empty() {
        let mut point = points.sequence().ok()?;
        let name = point.optional(Tag::context_constructed(0)).ok()?;
        if point.is_empty() {
            places.extend(name.as_ref().and_then(full_name).unwrap_or_default());
        }
    }
    Some(places)
}

/// `DistributionPointName ::= CHOICE { fullName [0] GeneralNames, nameRelativeToCRLIssuer [1] }`; the latter is not read.
fn full_name(name: &Element<'_>) -> Option<Vec<GeneralName>> {
    let mut choice = name.cursor().ok()?;
    let mut list = choice.explicit(0).ok()??;
    choice.finish().ok()?;
    let mut names = Vec::new();
    while !list.is_empty() {
        names.push(GeneralName::read(&mut list).ok()?);
    }
    (!names.is_empty()).then_some(names)
}

fn entry(mut fields: Cursor<'_>) -> Result<Entry, Error> {
    let serial = fields.integer()?.to_vec();
    let date = fields.time()?;
    let (mut reason, mut has_unknown_critical) = (None, false);
    if !fields.is_empty() {
        for extension in Extension::list(&mut fields)? {
            match extension.oid {
                oid::CRL_REASON => reason = Cursor::new(&extension.value).expect(Tag::ENUMERATED)?.content.first().copied(),
                oid::INVALIDITY_DATE => {}
                _ => has_unknown_critical |= extension.critical,
            }
        }
    }
    fields.finish()?;
    Ok(Entry { serial, date, reason, has_unknown_critical })
}
