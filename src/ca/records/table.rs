//! What is known of serial numbers: sorted records of one length in a file, and newer ones in memory over them.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::ca::{Error, Issuer, RevocationReason};
use crate::keys::Error as KeysError;
use crate::pki::hex;
use crate::time::Timestamp;

/// A serial number, filled with zeros to the 20 bytes that RFC 5280 4.1.2.2 allows, so that numbers compare as their bytes do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Serial([u8; 20]);

impl Serial {
    /// From the content of an INTEGER; `None` where it is longer than any that an authority may give.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let skip = bytes.iter().take_while(|byte| **byte == 0).count();
        let digits = bytes.get(skip..)?;
        let mut serial = [0; 20];
        let start = serial.len().checked_sub(digits.len())?;
        serial.get_mut(start..)?.copy_from_slice(digits);
        Some(Self(serial))
    }

    /// From hexadecimal digits, with or without colons.
    pub fn from_hex(text: &str) -> Option<Self> {
        let digits: Vec<u32> = text.chars().filter(|c| *c != ':').map(|c| c.to_digit(16)).collect::<Option<_>>()?;
        if digits.is_empty() {
            return None;
        }
        let padded = if digits.len() % 2 == 1 { [&[0], digits.as_slice()].concat() } else { digits };
        let byte = |pair: &[u32]| u8::try_from(pair.iter().fold(0, |byte, digit| byte << 4 | digit)).ok();
        Self::from_bytes(&padded.chunks(2).map(byte).collect::<Option<Vec<_>>>()?)
    }

    /// As the content of an INTEGER, as short as it can be.
    pub fn to_bytes(self) -> Vec<u8> {
        let skip = self.0.iter().take_while(|byte| **byte == 0).count();
        let mut digits = self.0.get(skip..).unwrap_or_default().to_vec();
        if digits.first().is_none_or(|byte| byte & 0x80 != 0) {
            digits.insert(0, 0);
        }
        digits
    }
}

impl Serial {
    /// Its bytes but the last four, as a number: enough to guess by.
    fn leading(&self) -> u128 {
        self.0.first_chunk().map_or(0, |bytes| u128::from_be_bytes(*bytes))
    }
}

impl std::fmt::Display for Serial {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&hex(&self.to_bytes()))
    }
}

/// Where a certificate is, and what is asked of it often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::ca) struct Place {
    pub(in crate::ca) offset: u64,
    pub(in crate::ca) until: Timestamp,
    pub(in crate::ca) by: Issuer,
}

/// Whether a certificate that was revoked still is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::ca) enum Standing {
    Revoked,
    /// It was on hold, and came back.
    Released,
}

/// The last change of a certificate's standing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::ca) struct Change {
    pub(in crate::ca) standing: Standing,
    pub(in crate::ca) reason: RevocationReason,
    pub(in crate::ca) date: Timestamp,
    pub(in crate::ca) invalid_since: Option<Timestamp>,
    pub(in crate::ca) until: Timestamp,
    pub(in crate::ca) by: Issuer,
    /// The line of the ledger, counted from 0.
    pub(in crate::ca) line: u64,
}

/// What a table holds of a serial number.
pub(in crate::ca) trait Record: Copy {
    /// Bytes of the record, without the serial number.
    const SIZE: usize;
    fn write(&self, out: &mut Vec<u8>);
    fn read(fields: &mut Fields<'_>) -> Option<Self>;
}

impl Record for Place {
    const SIZE: usize = 17;

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.offset.to_be_bytes());
        out.extend_from_slice(&self.until.unix().to_be_bytes());
        out.push(self.by as u8);
    }

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        Some(Self { offset: u64::from_be_bytes(fields.take()?), until: fields.time()?, by: fields.issuer()? })
    }
}

impl Record for Change {
    const SIZE: usize = 35;

    fn write(&self, out: &mut Vec<u8>) {
        out.push(u8::from(self.standing == Standing::Released));
        out.push(self.reason as u8);
        out.push(self.by as u8);
        out.extend_from_slice(&self.date.unix().to_be_bytes());
        out.extend_from_slice(&self.invalid_since.map_or(i64::MIN, Timestamp::unix).to_be_bytes());
        out.extend_from_slice(&self.until.unix().to_be_bytes());
        out.extend_from_slice(&self.line.to_be_bytes());
    }

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let standing = if fields.byte()? == 0 { Standing::Revoked } else { Standing::Released };
        let reason = RevocationReason::from_number(fields.byte()?)?;
        let by = fields.issuer()?;
        let date = fields.time()?;
        let invalid_since = fields.time().map(|time| (time.unix() != i64::MIN).then_some(time))?;
        Some(Self { standing, reason, date, invalid_since, until: fields.time()?, by, line: u64::from_be_bytes(fields.take()?) })
    }
}

/// Reads the fields of a record.
pub(in crate::ca) struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take::<1>().map(|[byte]| byte)
    }

    fn time(&mut self) -> Option<Timestamp> {
        self.take().map(i64::from_be_bytes).map(Timestamp::from_unix)
    }

    fn issuer(&mut self) -> Option<Issuer> {
        Issuer::from_number(self.byte()?)
    }
}

/// Where in a sorted file a serial number may be. Numbers are random, so that one tells where it lies: some five looks find it among a
/// million, where halving takes twenty. Each fourth look halves what is left, so that numbers which are not random take no more than four
/// times as many looks as with halving.
struct Search {
    /// The places that are left, and what numbers lie before and behind them.
    from: u64,
    to: u64,
    low: u128,
    high: u128,
    looks: u32,
}

impl Search {
    fn new(count: u64, (low, high): (u128, u128)) -> Self {
        Self { from: 0, to: count, low, high, looks: 0 }
    }

    /// The place to look at next; none where nothing is left.
    fn next(&mut self, wanted: &Serial) -> Option<u64> {
        let left = self.to.checked_sub(self.from).filter(|left| *left > 0)?;
        self.looks = self.looks.saturating_add(1);
        if self.looks.is_multiple_of(4) {
            return Some(self.from.midpoint(self.to));
        }
        // as parts of 2^32, which is near enough
        let span = (self.high.saturating_sub(self.low) >> 32).max(1);
        let part = (wanted.leading().saturating_sub(self.low) / span).min(u128::from(u32::MAX));
        let step = u128::from(left).saturating_mul(part) >> 32;
        Some(self.from.saturating_add(u64::try_from(step).unwrap_or(0)).min(self.to.saturating_sub(1)))
    }

    fn seen(&mut self, at: u64, found: &Serial, wanted: &Serial) {
        if found < wanted {
            (self.from, self.low) = (at.saturating_add(1), found.leading());
        } else {
            (self.to, self.high) = (at, found.leading());
        }
    }
}

/// Records by serial number.
#[derive(Debug)]
pub(in crate::ca) struct Table<R> {
    base: Option<Base>,
    fresh: BTreeMap<Serial, R>,
}

/// Records on disk; the file is never changed, only replaced.
#[derive(Debug)]
struct Base {
    path: PathBuf,
    file: File,
    count: u64,
    /// The first and the last serial number, as numbers to guess by.
    ends: (u128, u128),
}

impl<R> Default for Table<R> {
    fn default() -> Self {
        Self { base: None, fresh: BTreeMap::new() }
    }
}

impl<R: Record> Table<R> {
    /// Opens the file of a table.
    pub(in crate::ca) fn open(path: PathBuf, count: u64) -> Result<Self, Error> {
        let file = File::open(&path).map_err(on(&path))?;
        let length = file.metadata().map_err(on(&path))?.len();
        if length != count.saturating_mul(Self::size()) {
            return Err(Error::Changed(format!("{} was changed – it has another length than was written", path.display())));
        }
        let mut base = Base { path, file, count, ends: (0, 0) };
        if let Some(last) = count.checked_sub(1) {
            base.ends = (base.record::<R>(0)?.0.leading(), base.record::<R>(last)?.0.leading());
        }
        Ok(Self { base: Some(base), fresh: BTreeMap::new() })
    }

    pub(in crate::ca) fn insert(&mut self, serial: Serial, record: R) {
        self.fresh.insert(serial, record);
    }

    pub(in crate::ca) fn fresh_mut(&mut self, serial: &Serial) -> Option<&mut R> {
        self.fresh.get_mut(serial)
    }

    pub(in crate::ca) fn get(&self, serial: &Serial) -> Result<Option<R>, Error> {
        if let Some(found) = self.fresh.get(serial) {
            return Ok(Some(*found));
        }
        let Some(base) = &self.base else { return Ok(None) };
        let mut search = Search::new(base.count, base.ends);
        while let Some(at) = search.next(serial) {
            let (found, record) = base.record(at)?;
            if found == *serial {
                return Ok(Some(record));
            }
            search.seen(at, &found, serial);
        }
        Ok(None)
    }

    /// Every record, by serial number.
    pub(in crate::ca) fn iter(&self) -> Result<Merged<'_, R>, Error> {
        let base = match &self.base {
            Some(base) => {
                // a position of its own: this one is read at other places meanwhile
                let mut file = File::open(&base.path).or_else(|_| base.file.try_clone()).map_err(on(&base.path))?;
                file.seek(SeekFrom::Start(0)).map_err(on(&base.path))?;
                Some((BufReader::with_capacity(1 << 16, file), base))
            }
            None => None,
        };
        let mut merged = Merged {
            base,
            left: self.base.as_ref().map_or(0, |base| base.count),
            fresh: self.fresh.iter(),
            next: None,
            fresh_next: None,
        };
        merged.next = merged.read()?;
        merged.fresh_next = merged.fresh.next();
        Ok(merged)
    }

    /// Writes everything to a new file, syncs it, and goes on with that; gives the number of records.
    pub(in crate::ca) fn rewrite(&mut self, path: &Path) -> Result<u64, Error> {
        let file = crate::ca::records::create(path)?;
        let mut out = std::io::BufWriter::with_capacity(1 << 16, file);
        let (mut count, mut bytes) = (0_u64, Vec::new());
        for entry in self.iter()? {
            let (serial, record) = entry?;
            bytes.clear();
            bytes.extend_from_slice(&serial.0);
            record.write(&mut bytes);
            out.write_all(&bytes).map_err(on(path))?;
            count = count.saturating_add(1);
        }
        let file = out.into_inner().map_err(|error| on(path)(error.into_error()))?;
        file.sync_all().map_err(on(path))?;
        *self = Self::open(path.to_owned(), count)?;
        Ok(count)
    }

    fn size() -> u64 {
        u64::try_from(R::SIZE.saturating_add(20)).unwrap_or(u64::MAX)
    }
}

impl Base {
    fn record<R: Record>(&self, at: u64) -> Result<(Serial, R), Error> {
        let mut bytes = vec![0; R::SIZE.saturating_add(20)];
        read_at(&self.file, at.saturating_mul(Table::<R>::size()), &mut bytes).map_err(on(&self.path))?;
        self.parse(&bytes)
    }

    fn parse<R: Record>(&self, bytes: &[u8]) -> Result<(Serial, R), Error> {
        let changed = || Error::Changed(format!("{} was changed – a record cannot be read", self.path.display()));
        let mut fields = Fields(bytes);
        let serial = fields.take().map(Serial).ok_or_else(changed)?;
        R::read(&mut fields).map(|record| (serial, record)).ok_or_else(changed)
    }
}

/// The records of a file and of memory as one.
pub(in crate::ca) struct Merged<'a, R> {
    base: Option<(BufReader<File>, &'a Base)>,
    left: u64,
    fresh: std::collections::btree_map::Iter<'a, Serial, R>,
    next: Option<(Serial, R)>,
    fresh_next: Option<(&'a Serial, &'a R)>,
}

impl<R: Record> Merged<'_, R> {
    fn read(&mut self) -> Result<Option<(Serial, R)>, Error> {
        let Some((reader, base)) = &mut self.base else { return Ok(None) };
        if self.left == 0 {
            return Ok(None);
        }
        self.left = self.left.saturating_sub(1);
        let mut bytes = vec![0; R::SIZE.saturating_add(20)];
        reader.read_exact(&mut bytes).map_err(on(&base.path))?;
        base.parse(&bytes).map(Some)
    }
}

impl<R: Record> Iterator for Merged<'_, R> {
    type Item = Result<(Serial, R), Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let from_file = match (&self.next, self.fresh_next) {
            (Some((old, _)), Some((new, _))) if old == new => {
                // the newer one counts
                if let Err(error) = self.read().map(|next| self.next = next) {
                    return Some(Err(error));
                }
                false
            }
            (Some((old, _)), Some((new, _))) => old < new,
            (Some(_), None) => true,
            (None, _) => false,
        };
        if from_file {
            let next = match self.read() {
                Ok(next) => next,
                Err(error) => return Some(Err(error)),
            };
            return std::mem::replace(&mut self.next, next).map(Ok);
        }
        let (serial, record) = std::mem::replace(&mut self.fresh_next, self.fresh.next())?;
        Some(Ok((*serial, *record)))
    }
}

/// Reads at a place without moving the file's own.
pub(in crate::ca) fn read_at(file: &File, offset: u64, bytes: &mut [u8]) -> std::io::Result<()> {
    #[cfg(unix)]
    return std::os::unix::fs::FileExt::read_exact_at(file, bytes, offset);
    #[cfg(not(unix))]
    {
        let mut file = file;
        file.seek(SeekFrom::Start(offset))?;
        file.read_exact(bytes)
    }
}

pub(in crate::ca) fn on(path: &Path) -> impl FnOnce(std::io::Error) -> Error + '_ {
    move |error| Error::Keys(KeysError::Io { path: path.to_owned(), error })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::random::{Random, Seeded};

    /// Where a number is in a sorted list, and after how many looks that is known.
    fn find(sorted: &[Serial], wanted: &Serial) -> (Option<usize>, u32) {
        let ends = (sorted[0].leading(), sorted[sorted.len() - 1].leading());
        let mut search = Search::new(u64::try_from(sorted.len()).expect("small"), ends);
        while let Some(at) = search.next(wanted) {
            let place = usize::try_from(at).expect("small");
            if sorted[place] == *wanted {
                return (Some(place), search.looks);
            }
            search.seen(at, &sorted[place], wanted);
        }
        (None, search.looks)
    }

    fn random(random: &mut Seeded) -> Serial {
        let mut bytes = [0; 16];
        random.fill(&mut bytes);
        Serial::from_bytes(&bytes).expect("short enough")
    }

    #[test]
    fn every_number_is_found_where_it_is_and_random_ones_after_few_looks() {
        let source = &mut Seeded::new(b"serials");
        let mut drawn: Vec<Serial> = (0..20_000).map(|_| random(source)).collect();
        drawn.sort();
        let looks: u32 = drawn.iter().enumerate().map(|(at, serial)| (find(&drawn, serial), at)).fold(0, |sum, (found, at)| {
            assert_eq!(found.0, Some(at));
            sum + found.1
        });
        assert!(looks < 6 * 20_000, "halving takes 13 looks on average, this took {looks} for 20 000");
        for _ in 0..1000 {
            assert_eq!(find(&drawn, &random(source)).0, None);
        }
    }

    #[test]
    fn numbers_that_are_not_random_are_found_all_the_same() {
        let number = |bytes: &[u8]| Serial::from_bytes(bytes).expect("short enough");
        let mut counted: Vec<Serial> = (1..=999_u32).map(|count| number(&count.to_be_bytes())).collect();
        counted.extend((0..=255).map(|byte| number(&[[0x7f; 19].as_slice(), &[byte]].concat())));
        for (at, serial) in counted.iter().enumerate() {
            let (found, looks) = find(&counted, serial);
            assert!(found == Some(at) && looks <= 48, "{serial}: {looks} looks");
        }
        let one = [number(&[5])];
        assert_eq!([4, 5, 6].map(|byte| find(&one, &number(&[byte])).0), [None, Some(0), None]);
    }
}
