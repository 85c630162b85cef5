//! Answers that were signed before they are asked for, in one file.
//!
//! ```text
//! magic     16 bytes
//! events    8: how many lines the ledger had when all were looked at
//! oldest    8: the first thisUpdate
//! responder  4 bytes of length, and its certificate
//! records  176 bytes each, by serial number:
//!            serial 20, 1 good | 2 revoked, reason (255: none), date 8, thisUpdate 8, nextUpdate 8,
//!            signature 64 of the answer by SHA-1, signature 64 of the answer by SHA-256, 2 of nothing
//! ```
//! Of an answer only what differs is kept: the rest is put together again as it was signed. A million take 176 MB; one is found by some
//! twenty reads of a page that the system holds.

use std::fs::File;
use std::io::{BufReader, BufWriter, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use crate::ca::Error;
use crate::ca::responder::delegate::{Delegate, algorithm};
use crate::ca::responder::response::{IssuerHashes, Single, halves, joined, signed, to_be_signed};
use crate::ca::responder::states::Known;
use crate::ca::responder::{Freshness, VALIDITY};
use crate::crypto::algorithm::DigestAlgorithm;
use crate::crypto::random::Random;
use crate::keys::{Error as KeysError, files};
use crate::pki::Certificate;
use crate::pki::ocsp::Status;
use crate::time::Timestamp;

const MAGIC: &[u8; 16] = b"sealpost-ocsp-2\n";
const SERIAL: usize = 20;
const RECORD: usize = 176;
/// Bytes of a responder's certificate at most.
const CERTIFICATE: u32 = 1 << 16;
/// The digests for which answers are signed: what every client asks by, and what those of RFC 5019's successor do.
const DIGESTS: [DigestAlgorithm; 2] = [DigestAlgorithm::Sha1, DigestAlgorithm::Sha256];

/// What is kept of the two answers about one certificate.
#[derive(Debug, Clone)]
pub(super) struct Record {
    serial: [u8; SERIAL],
    pub(super) status: Status,
    pub(super) fresh: Freshness,
    signatures: [[u8; 64]; 2],
}

/// How many answers were signed, and how many still stand from before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Signed now.
    pub signed: usize,
    /// Kept.
    pub kept: usize,
}

impl Record {
    fn to_bytes(&self) -> [u8; RECORD] {
        let (kind, reason, date) = match self.status {
            Status::Revoked { date, reason } => (2, reason.unwrap_or(255), date.unix()),
            // the unknown is never kept
            Status::Good | Status::Unknown => (1, 255, 0),
        };
        let mut bytes = [0; RECORD];
        let mut rest = bytes.as_mut_slice();
        for part in [
            &self.serial[..],
            &[kind, reason],
            &date.to_be_bytes(),
            &self.fresh.this_update.unix().to_be_bytes(),
            &self.fresh.next_update.unix().to_be_bytes(),
            &self.signatures[0],
            &self.signatures[1],
        ] {
            // the parts are 174 bytes
            if rest.write_all(part).is_err() {
                break;
            }
        }
        bytes
    }

    fn from_bytes(bytes: &[u8; RECORD]) -> Option<Self> {
        let mut rest = bytes.as_slice();
        let serial = *take::<SERIAL>(&mut rest)?;
        let [kind, reason] = *take::<2>(&mut rest)?;
        let mut time = || Some(Timestamp::from_unix(i64::from_be_bytes(*take::<8>(&mut rest)?)));
        let (date, this_update, next_update) = (time()?, time()?, time()?);
        let signatures = [*take::<64>(&mut rest)?, *take::<64>(&mut rest)?];
        let status = match kind {
            1 => Status::Good,
            2 => Status::Revoked { date, reason: Some(reason).filter(|reason| *reason != 255) },
            _ => return None,
        };
        Some(Self { serial, status, fresh: Freshness { this_update, next_update }, signatures })
    }

    /// Signs the answers about a certificate.
    fn sign(
        (issuer, delegate): (&IssuerHashes, &Delegate),
        known: &Known,
        serial: [u8; SERIAL],
        at: Timestamp,
        random: &mut dyn Random,
    ) -> Result<Self, Error> {
        let next_update = at.plus_seconds(VALIDITY).min(delegate.certificate().not_after());
        let fresh = Freshness { this_update: at, next_update };
        let record = Self { serial, status: known.status, fresh, signatures: [[0; 64]; 2] };
        let mut signatures = [[0; 64]; 2];
        for (digest, signature) in DIGESTS.iter().zip(&mut signatures) {
            let tbs = to_be_signed(issuer, delegate.key_id(), &[record.single(*digest)], None, at);
            *signature = halves(&delegate.sign(&tbs, random)?)?;
        }
        Ok(Self { signatures, ..record })
    }

    fn single(&self, digest: DigestAlgorithm) -> Single {
        let skip = self.serial.iter().take_while(|byte| **byte == 0).count();
        let digits = self.serial.get(skip..).unwrap_or_default();
        let mut serial = Vec::with_capacity(SERIAL);
        // the content of an INTEGER that is not negative
        if digits.first().is_none_or(|byte| byte & 0x80 != 0) {
            serial.push(0);
        }
        serial.extend_from_slice(digits);
        let Freshness { this_update, next_update } = self.fresh;
        Single { digest, serial, status: self.status, this_update, next_update }
    }

    /// The answer by this digest, put together as it was signed.
    pub(super) fn answer(&self, digest: DigestAlgorithm, issuer: &IssuerHashes, responder: &Responder) -> Option<Vec<u8>> {
        let at = DIGESTS.iter().position(|known| *known == digest)?;
        let tbs = to_be_signed(issuer, &responder.key_id, &[self.single(digest)], None, self.fresh.this_update);
        Some(signed(&tbs, &algorithm(), &joined(self.signatures.get(at)?), &responder.certificate))
    }
}

fn take<'a, const N: usize>(rest: &mut &'a [u8]) -> Option<&'a [u8; N]> {
    let (first, more) = rest.split_first_chunk()?;
    *rest = more;
    Some(first)
}

/// Who signed the answers of a file.
#[derive(Debug)]
pub(super) struct Responder {
    certificate: Certificate,
    key_id: Vec<u8>,
}

/// A file of answers that is open.
#[derive(Debug)]
pub(super) struct Presigned {
    file: Mutex<File>,
    pub(super) responder: Responder,
    events: u64,
    oldest: Timestamp,
    start: u64,
    count: u64,
}

impl Presigned {
    /// Opens the file; none where there is none yet. It stays what it was when another takes its place.
    pub(super) fn open(path: &Path) -> Result<Option<Self>, Error> {
        let on = |error| Error::Keys(KeysError::Io { path: path.to_owned(), error });
        let mut file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(on(error)),
        };
        let broken = || Error::Refused(format!("{} holds no answers – `sealpost ca publish` writes them anew", path.display()));
        let (mut magic, mut events, mut oldest, mut length) = ([0; MAGIC.len()], [0; 8], [0; 8], [0; 4]);
        let mut head = Ok(());
        for field in [&mut magic[..], &mut events, &mut oldest, &mut length] {
            head = head.and_then(|()| file.read_exact(field));
        }
        let length = u32::from_be_bytes(length);
        if head.is_err() || magic != *MAGIC || length > CERTIFICATE {
            return Err(broken());
        }
        let mut certificate = Vec::new();
        (&file).take(u64::from(length)).read_to_end(&mut certificate).map_err(on)?;
        let certificate = Certificate::from_der(&certificate)?;
        let key_id = crate::ca::profile::key_id(&certificate.public_key()?);
        let start = file.stream_position().map_err(on)?;
        let records = file.metadata().map_err(on)?.len().checked_sub(start).ok_or_else(broken)?;
        let size = u64::try_from(RECORD).unwrap_or(u64::MAX);
        if records % size != 0 {
            return Err(broken());
        }
        let responder = Responder { certificate, key_id };
        let (events, oldest) = (u64::from_be_bytes(events), Timestamp::from_unix(i64::from_be_bytes(oldest)));
        Ok(Some(Self { file: Mutex::new(file), responder, events, oldest, start, count: records / size }))
    }

    /// How many lines the ledger had when all were looked at, where this responder signed them and less than half of their time is over.
    pub(super) fn stands(&self, delegate: &Delegate, at: Timestamp) -> Option<u64> {
        let fresh = Freshness { this_update: self.oldest, next_update: self.oldest.plus_seconds(VALIDITY) };
        (self.responder.certificate == *delegate.certificate() && is_young(fresh, at)).then_some(self.events)
    }

    pub(super) fn count(&self) -> usize {
        usize::try_from(self.count).unwrap_or(usize::MAX)
    }

    /// Finds the answers about a certificate.
    pub(super) fn find(&self, serial: &[u8]) -> Result<Option<Record>, Error> {
        let Some(serial) = padded(serial) else { return Ok(None) };
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = low.midpoint(high);
            let record = self.read(&mut file, middle)?;
            match record.serial.cmp(&serial) {
                std::cmp::Ordering::Equal => return Ok(Some(record)),
                std::cmp::Ordering::Less => low = middle.saturating_add(1),
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        Ok(None)
    }

    fn read(&self, file: &mut File, at: u64) -> Result<Record, Error> {
        let size = u64::try_from(RECORD).unwrap_or(u64::MAX);
        let mut bytes = [0; RECORD];
        let place = self.start.saturating_add(at.saturating_mul(size));
        let read = file.seek(SeekFrom::Start(place)).and_then(|_| file.read_exact(&mut bytes));
        read.map_err(|error| Error::Refused(format!("the answers cannot be read – {error}")))?;
        Record::from_bytes(&bytes).ok_or_else(|| Error::Refused("the answers cannot be read – they were changed".to_owned()))
    }
}

/// Writes the answers about all that is known and not expired. Those of before are kept that say the same and will for half their time.
pub(super) fn write(
    path: &Path,
    (issuer, delegate): (&IssuerHashes, &Delegate),
    (mut known, events): (Vec<Known>, u64),
    at: Timestamp,
    random: &mut dyn Random,
) -> Result<Tally, Error> {
    known.retain(|known| known.not_after >= at && known.status != Status::Unknown);
    known.sort_by_cached_key(|known| padded(&known.serial));
    let mut before = Before::open(path, delegate)?;
    let mut tally = Tally::default();
    files::write_with(path, |file| {
        let mut out = BufWriter::with_capacity(1 << 20, file);
        let certificate = delegate.certificate().der();
        let length = u32::try_from(certificate.len()).unwrap_or(u32::MAX);
        let on = |error| KeysError::Io { path: path.to_owned(), error };
        let mut put = |bytes: &[u8]| out.write_all(bytes).map_err(on);
        let (events, mut oldest) = (events.to_be_bytes(), at);
        let head = [MAGIC, &events[..], &oldest.unix().to_be_bytes(), &length.to_be_bytes(), certificate];
        head.into_iter().try_for_each(&mut put)?;
        for known in &known {
            // none of ours is longer than RFC 5280 lets it be
            let Some(serial) = padded(&known.serial) else { continue };
            let record = match before.take(&serial)?.filter(|record| record.status == known.status && is_young(record.fresh, at))
            {
                Some(record) => {
                    tally.kept = tally.kept.saturating_add(1);
                    record
                }
                None => {
                    tally.signed = tally.signed.saturating_add(1);
                    Record::sign((issuer, delegate), known, serial, at, random)?
                }
            };
            oldest = oldest.min(record.fresh.this_update);
            put(&record.to_bytes())?;
        }
        let place = SeekFrom::Start(u64::try_from(MAGIC.len().saturating_add(events.len())).unwrap_or(0));
        out.seek(place).and_then(|_| out.write_all(&oldest.unix().to_be_bytes())).map_err(on)?;
        out.flush().map_err(|error| Error::Keys(on(error)))
    })?;
    Ok(tally)
}

/// Whether less than half of its time is over.
fn is_young(fresh: Freshness, at: Timestamp) -> bool {
    let half = fresh.this_update.unix().midpoint(fresh.next_update.unix());
    fresh.this_update <= at && at.unix() < half
}

/// A serial number in as many bytes as the longest one.
fn padded(serial: &[u8]) -> Option<[u8; SERIAL]> {
    let mut bytes = [0; SERIAL];
    let digits = match serial {
        [0, rest @ ..] => rest,
        [first, ..] if first & 0x80 != 0 => return None,
        all => all,
    };
    bytes.get_mut(SERIAL.checked_sub(digits.len())?..)?.copy_from_slice(digits);
    Some(bytes)
}

/// The records of before, one after another.
struct Before {
    records: Option<BufReader<File>>,
    next: Option<Record>,
}

impl Before {
    /// Nothing where another responder signed them, or where they cannot be read: all is signed anew.
    fn open(path: &Path, delegate: &Delegate) -> Result<Self, Error> {
        let found = Presigned::open(path).ok().flatten();
        let of_now = found.filter(|before| before.responder.certificate == *delegate.certificate());
        let records = of_now.map(|before| {
            let mut file = before.file.into_inner().unwrap_or_else(PoisonError::into_inner);
            file.seek(SeekFrom::Start(before.start)).map(|_| BufReader::with_capacity(1 << 20, file))
        });
        let records = records.transpose().map_err(|error| KeysError::Io { path: path.to_owned(), error })?;
        Ok(Self { records, next: None })
    }

    /// The record of a serial number; all before it are passed over.
    fn take(&mut self, serial: &[u8; SERIAL]) -> Result<Option<Record>, Error> {
        loop {
            match &self.next {
                Some(next) if next.serial < *serial => self.next = None,
                Some(next) if next.serial == *serial => return Ok(self.next.take()),
                Some(_) => return Ok(None),
                None => {}
            }
            let Some(records) = &mut self.records else { return Ok(None) };
            let mut bytes = [0; RECORD];
            match records.read_exact(&mut bytes).ok().and_then(|()| Record::from_bytes(&bytes)) {
                Some(record) => self.next = Some(record),
                None => self.records = None,
            }
        }
    }
}
