//! Certificate revocation lists (RFC 5280 5).
//!
//! Holds always: the list is kept once, as received; an entry is read when it is looked up, and costs a place in an index before.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use crate::asn1::{Cursor, Oid, Tag, oid};
use crate::crypto::algorithm::{AlgorithmIdentifier, SignatureAlgorithm, Strength};
use crate::crypto::key::PublicKey;
use crate::crypto::signature::{self, Input};
use crate::limits::Limits;
use crate::pki::distribution::Scope;
use crate::pki::{Error, Extension, GeneralName, Name};
use crate::time::Timestamp;

/// A revocation list, its bytes kept.
#[derive(Debug, Clone)]
pub struct Crl(Arc<Parsed>);

#[derive(Debug)]
struct Parsed {
    der: Vec<u8>,
    tbs: Range<usize>,
    algorithm: AlgorithmIdentifier,
    issuer: Name,
    this_update: Timestamp,
    next_update: Option<Timestamp>,
    /// Sorted by key, then by place.
    index: Vec<Place>,
    has_unknown_critical_entry: bool,
    extensions: Vec<Extension>,
    signature: Vec<u8>,
}

/// Where an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    /// The last bytes of the serial number: they differ where numbers are random, and where they count.
    key: u32,
    at: u32,
    /// The entry that says whose certificate it is (RFC 5280 5.3.3), for all up to the next that does; `OWN` where none did.
    issuer_at: u32,
}

/// No list has an entry there: before it stands its issuer.
const OWN: u32 = 0;

/// One revoked certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its serial number, as the content of the INTEGER.
    pub serial: Vec<u8>,
    /// When it was revoked.
    pub date: Timestamp,
    /// Why, as RFC 5280 5.3.1 numbers it.
    pub reason: Option<u8>,
}

/// The reason of those that may come back.
pub(in crate::pki) const HOLD: u8 = 6;

/// What a delta list says of those that came back.
pub(in crate::pki) const REMOVED: u8 = 8;

impl Entry {
    /// The reason in words.
    pub fn reason_name(&self) -> &'static str {
        reason_name(self.reason)
    }
}

/// A reason of RFC 5280 5.3.1 in words.
pub(in crate::pki) fn reason_name(reason: Option<u8>) -> &'static str {
    match reason {
        Some(1) => "key compromise",
        Some(2) => "CA compromise",
        Some(3) => "affiliation changed",
        Some(4) => "superseded",
        Some(5) => "cessation of operation",
        Some(HOLD) => "on hold",
        Some(REMOVED) => "removed from the list",
        Some(9) => "privilege withdrawn",
        Some(10) => "AA compromise",
        _ => "no reason given",
    }
}

impl Crl {
    /// Reads an encoded list.
    pub fn from_der(bytes: &[u8]) -> Result<Self, Error> {
        Self::from_vec(bytes.to_vec())
    }

    /// Reads an encoded list and keeps these very bytes: a large one is in memory once.
    pub fn from_vec(mut der: Vec<u8>) -> Result<Self, Error> {
        let mut parsed = Parsed::read(&der)?;
        der.shrink_to_fit();
        parsed.der = der;
        Ok(Self(Arc::new(parsed)))
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

    /// How many entries it has.
    pub fn len(&self) -> usize {
        self.0.index.len()
    }

    /// Whether nothing is revoked.
    pub fn is_empty(&self) -> bool {
        self.0.index.is_empty()
    }

    /// The revoked certificates, each read when it is asked for.
    pub fn entries(&self) -> impl Iterator<Item = Entry> {
        self.0.index.iter().filter_map(|place| self.entry(place.at))
    }

    /// Bytes of memory that the list and what finds its entries take.
    pub fn held_bytes(&self) -> usize {
        let index = self.0.index.capacity().saturating_mul(size_of::<Place>());
        index.saturating_add(self.0.der.capacity()).saturating_add(self.0.signature.capacity())
    }

    /// One extension.
    pub fn extension(&self, oid: &Oid) -> Option<&Extension> {
        self.0.extensions.iter().find(|extension| extension.oid == *oid)
    }

    /// Checks its signature with the issuer's key, over the bytes as received.
    pub fn verify_signature(&self, issuer: &PublicKey) -> Result<(), Error> {
        let algorithm = SignatureAlgorithm::from_identifier(&self.0.algorithm, None)?;
        let tbs = self.0.der.get(self.0.tbs.clone()).unwrap_or_default();
        signature::verify(issuer, algorithm, Input::Message(tbs), &self.0.signature)?;
        Ok(())
    }

    /// The algorithm of its signature, where it is one that anyone can forge, or may soon.
    pub(in crate::pki) fn weak_algorithm(&self) -> Option<String> {
        weak(&self.0.algorithm)
    }

    /// The entry of a serial number of its own issuer.
    pub fn lookup(&self, serial: &[u8]) -> Option<Entry> {
        self.lookup_of(&self.0.issuer, serial)
    }

    /// The entry of a serial number of an issuer: an indirect list has those of others, too.
    pub fn lookup_of(&self, issuer: &Name, serial: &[u8]) -> Option<Entry> {
        let serial = minimal(serial);
        let key = key(serial);
        let from = self.0.index.partition_point(|place| place.key < key);
        let same = self.0.index.get(from..).unwrap_or_default().iter().take_while(|place| place.key == key);
        let entries = same.filter_map(|place| Some((place, self.entry(place.at)?)));
        let mut own = entries.filter(|(place, entry)| minimal(&entry.serial) == serial && self.is_of(place, issuer));
        own.next().map(|(_, entry)| entry)
    }

    fn is_of(&self, place: &Place, issuer: &Name) -> bool {
        if place.issuer_at == OWN {
            return self.0.issuer.matches(issuer);
        }
        let names = self.fields(place.issuer_at).and_then(|fields| certificate_issuer(fields).ok().flatten());
        names.is_some_and(|names| names.iter().any(|name| matches!(name, GeneralName::Directory(name) if name.matches(issuer))))
    }

    fn fields(&self, at: u32) -> Option<Cursor<'_>> {
        Cursor::new(self.0.der.get(usize::try_from(at).ok()?..)?).sequence().ok()
    }

    fn entry(&self, at: u32) -> Option<Entry> {
        let parts = Parts::read(self.fields(at)?).ok()?;
        Some(Entry { serial: parts.serial.to_vec(), date: parts.date, reason: parts.reason })
    }

    /// What it tells about; an error where it cannot be read.
    pub(in crate::pki) fn scope(&self, limits: &Limits) -> Result<Scope, Error> {
        match self.extension(&oid::ISSUING_DISTRIBUTION_POINT) {
            Some(extension) => Scope::read(&extension.value, &self.0.issuer, limits),
            None => Ok(Scope::WHOLE),
        }
    }

    /// Its number; the bytes compare as numbers do.
    pub(in crate::pki) fn number(&self) -> Option<Number> {
        Number::read(self.extension(&oid::CRL_NUMBER)?)
    }

    /// Whether it says only what changed since another list.
    pub fn is_delta(&self) -> bool {
        self.extension(&oid::DELTA_CRL_INDICATOR).is_some()
    }

    /// Whether a delta list continues this complete one (RFC 5280 5.2.4).
    pub(in crate::pki) fn is_continued_by(&self, delta: &Self) -> bool {
        let value = |crl: &Self, oid: Oid| crl.extension(&oid).map(|extension| extension.value.clone());
        let is_same = |oid: Oid| value(self, oid) == value(delta, oid);
        let base = delta.extension(&oid::DELTA_CRL_INDICATOR).and_then(Number::read);
        let (Some(base), Some(own), Some(last)) = (base, self.number(), delta.number()) else { return false };
        !self.is_delta()
            && self.0.issuer.matches(&delta.0.issuer)
            && is_same(oid::ISSUING_DISTRIBUTION_POINT)
            && self.authority_key_id() == delta.authority_key_id()
            && own >= base
            && own < last
    }

    /// The key identifier of the authority key identifier.
    pub(in crate::pki) fn authority_key_id(&self) -> Option<Vec<u8>> {
        let mut fields = Cursor::new(&self.extension(&oid::AUTHORITY_KEY_IDENTIFIER)?.value).sequence().ok()?;
        let id = fields.optional(Tag::context(0)).ok()??;
        id.bytes().ok().map(Cow::into_owned)
    }

    /// What is critical in it, and not known here: then it tells nothing of those that it does not name (RFC 5280 5.2, 5.3).
    pub(in crate::pki) fn unknown_critical(&self) -> Option<String> {
        let unknown = self.0.extensions.iter().find(|extension| extension.critical && !KNOWN.contains(&extension.oid));
        match unknown {
            Some(extension) => Some(oid::name(&extension.oid).map_or_else(|| extension.oid.to_string(), str::to_owned)),
            None => self.0.has_unknown_critical_entry.then(|| "of an entry".to_owned()),
        }
    }

    /// Whether it is the list that is due at a moment.
    pub(in crate::pki) fn is_current(&self, at: Timestamp) -> bool {
        self.0.this_update <= at && self.0.next_update.is_none_or(|next| at <= next)
    }
}

impl Parsed {
    /// Everything but the bytes, which the caller keeps.
    fn read(bytes: &[u8]) -> Result<Self, Error> {
        if u32::try_from(bytes.len()).is_err() {
            return Err(Error::Malformed("a revocation list of over 4 GiB"));
        }
        let mut outer = Cursor::new(bytes);
        let whole = outer.expect(Tag::SEQUENCE)?;
        outer.finish()?;
        let start = position(whole.content_offset())?;
        let mut whole = whole.cursor()?;
        let tbs = whole.expect(Tag::SEQUENCE)?;
        let outer_algorithm = AlgorithmIdentifier::from_cursor(&mut whole)?;
        let (_, signature) = whole.bit_string()?;
        whole.finish()?;
        let mut fields = tbs.cursor()?;
        if fields.peek() == Some(Tag::INTEGER) {
            fields.integer()?;
        }
        let algorithm = AlgorithmIdentifier::from_cursor(&mut fields)?;
        if algorithm.oid != outer_algorithm.oid || algorithm.real_parameters() != outer_algorithm.real_parameters() {
            return Err(Error::Malformed("a revocation list whose two signature algorithms differ"));
        }
        let issuer = Name::from_der(fields.expect(Tag::SEQUENCE)?.raw)?;
        let this_update = fields.time()?;
        let next_update = match fields.peek() {
            Some(tag) if tag == Tag::UTC_TIME || tag == Tag::GENERALIZED_TIME => Some(fields.time()?),
            _ => None,
        };
        let (mut index, mut has_unknown_critical_entry) = (Vec::new(), false);
        if let Some(list) = fields.optional(Tag::SEQUENCE)? {
            (index, has_unknown_critical_entry) = index_of(list.cursor()?, list.content_offset())?;
        }
        let extensions = match fields.explicit(0)? {
            Some(mut inner) => Extension::list(&mut inner)?,
            None => Vec::new(),
        };
        fields.finish()?;
        Ok(Self {
            der: Vec::new(),
            tbs: start..start.saturating_add(tbs.raw.len()),
            algorithm,
            issuer,
            this_update,
            next_update,
            index,
            has_unknown_critical_entry,
            extensions,
            signature: signature.into_owned(),
        })
    }
}

/// The algorithm's name, where its digest is no longer good.
pub(in crate::pki) fn weak(identifier: &AlgorithmIdentifier) -> Option<String> {
    let algorithm = SignatureAlgorithm::from_identifier(identifier, None).ok()?;
    (algorithm.strength() != Strength::Good).then(|| algorithm.name())
}

const KNOWN: &[Oid] = &[
    oid::AUTHORITY_KEY_IDENTIFIER,
    oid::CRL_NUMBER,
    oid::DELTA_CRL_INDICATOR,
    oid::ISSUING_DISTRIBUTION_POINT,
    oid::ISSUER_ALT_NAME,
    oid::FRESHEST_CRL,
    oid::AUTHORITY_INFO_ACCESS,
];

/// The number of a list, of up to 20 bytes and sometimes more; the longer of two is the higher.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::pki) struct Number(usize, Vec<u8>);

impl Number {
    fn read(extension: &Extension) -> Option<Self> {
        let content = Cursor::new(&extension.value).integer().ok()?;
        let is_negative = content.first().is_some_and(|byte| byte & 0x80 != 0);
        let digits: Vec<u8> = content.iter().copied().skip_while(|byte| *byte == 0).collect();
        (!is_negative).then_some(Self(digits.len(), digits))
    }
}

/// Every entry is read once, so that one that cannot be read is known.
fn index_of(mut list: Cursor<'_>, start: u64) -> Result<(Vec<Place>, bool), Error> {
    let size = list.remaining().len();
    let (mut index, mut issuer_at, mut has_unknown_critical) = (Vec::new(), OWN, false);
    while !list.is_empty() {
        let before = size.saturating_sub(list.remaining().len());
        let at = position(start)?.saturating_add(before);
        let at = u32::try_from(at).map_err(|_| Error::Malformed("a revocation list of over 4 GiB"))?;
        let parts = Parts::read(list.sequence()?)?;
        if parts.has_issuer {
            issuer_at = at;
        }
        has_unknown_critical |= parts.has_unknown_critical;
        index.push(Place { key: key(minimal(parts.serial)), at, issuer_at });
    }
    index.sort_unstable();
    index.shrink_to_fit();
    Ok((index, has_unknown_critical))
}

/// What an entry says.
struct Parts<'a> {
    serial: &'a [u8],
    date: Timestamp,
    reason: Option<u8>,
    has_issuer: bool,
    has_unknown_critical: bool,
}

impl<'a> Parts<'a> {
    /// `SEQUENCE { userCertificate CertificateSerialNumber, revocationDate Time, crlEntryExtensions Extensions OPTIONAL }`
    fn read(mut fields: Cursor<'a>) -> Result<Self, Error> {
        let (serial, date) = (fields.integer()?, fields.time()?);
        let mut parts = Self { serial, date, reason: None, has_issuer: false, has_unknown_critical: false };
        let Some(extensions) = fields.optional(Tag::SEQUENCE)? else {
            fields.finish()?;
            return Ok(parts);
        };
        fields.finish()?;
        let mut extensions = extensions.cursor()?;
        while !extensions.is_empty() {
            let EntryExtension { oid, is_critical, value } = EntryExtension::read(extensions.sequence()?)?;
            let is_twice = Error::Malformed("an entry with an extension that stands twice");
            match oid {
                oid::CRL_REASON if parts.reason.is_some() => return Err(is_twice),
                oid::CRL_REASON => parts.reason = Cursor::new(&value).expect(Tag::ENUMERATED)?.content.first().copied(),
                oid::CERTIFICATE_ISSUER if parts.has_issuer => return Err(is_twice),
                oid::CERTIFICATE_ISSUER => parts.has_issuer = true,
                oid::INVALIDITY_DATE => {}
                _ => parts.has_unknown_critical |= is_critical,
            }
        }
        Ok(parts)
    }
}

struct EntryExtension<'a> {
    oid: Oid,
    is_critical: bool,
    value: Cow<'a, [u8]>,
}

impl<'a> EntryExtension<'a> {
    fn read(mut fields: Cursor<'a>) -> Result<Self, Error> {
        let oid = fields.oid()?;
        let is_critical = if fields.peek() == Some(Tag::BOOLEAN) { fields.boolean()? } else { false };
        let value = fields.octet_string()?;
        fields.finish()?;
        Ok(Self { oid, is_critical, value })
    }
}

/// Whose certificate an entry is about, where it says so.
fn certificate_issuer(mut fields: Cursor<'_>) -> Result<Option<Vec<GeneralName>>, Error> {
    fields.integer()?;
    fields.time()?;
    let mut extensions = fields.sequence()?;
    while !extensions.is_empty() {
        let EntryExtension { oid, value, .. } = EntryExtension::read(extensions.sequence()?)?;
        if oid == oid::CERTIFICATE_ISSUER {
            return GeneralName::list(&value).map(Some);
        }
    }
    Ok(None)
}

fn position(offset: u64) -> Result<usize, Error> {
    usize::try_from(offset).map_err(|_| Error::Malformed("a revocation list of over 4 GiB"))
}

/// A serial number without bytes that add nothing: of two encodings of one number both are found.
pub(in crate::pki) fn minimal(serial: &[u8]) -> &[u8] {
    let mut rest = serial;
    while let [0, next, ..] = rest
        && next & 0x80 == 0
    {
        rest = rest.get(1..).unwrap_or_default();
    }
    rest
}

fn key(serial: &[u8]) -> u32 {
    serial.iter().rev().take(4).rev().fold(0, |key, byte| key << 8 | u32::from(*byte))
}
