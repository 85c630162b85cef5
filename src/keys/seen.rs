//! Which signatures this home saw, and when first.
//!
//! A signature that was seen while its certificate was valid was made while it was valid, whatever the clock of its maker says. The record
//! is one of fact and not of trust: whoever sent the signature, it was there at that moment.
//!
//! ```text
//! HOME/seen/XX        records of those whose identifier begins with the byte XX, 64 bytes each, in the order of seeing:
//!                     32 bytes of SHA-256 over the fingerprint of the certificate and the signature, 8 bytes of Unix time (big-endian),
//!                     24 bytes of SHA-256 over both
//! ```
//!
//! Time only goes on: where the clock stands before the newest record, nothing is recorded. A clock that somebody set back would make a
//! signature look older than the theft of its key, for ever; a clock that was ahead once costs proofs until then, which can be had anew
//! (by removing `seen`), and makes none. The time of the newest record is no substitute, for it would stay as a false one. What no record can show is a
//! clock that stood in the past from the first record on.
//!
//! Holds always: a record that a crash left in part counts as none. Sectors and pages are whole numbers of records, and what a file system
//! may put in place of what was never written (zeros) has a wrong check.

use std::fs;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::crypto::algorithm::DigestAlgorithm;
use crate::crypto::digest;
use crate::keys::{Error, files};
use crate::pki::Certificate;
use crate::time::Timestamp;

/// Names one signature by one certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SignatureId([u8; 32]);

impl SignatureId {
    /// Names the value of a signature that fits the key of this certificate. The certificate belongs to it: another key can be found that
    /// a given signature fits as well.
    pub fn new(certificate: &Certificate, signature: &[u8]) -> Self {
        let both = [certificate.fingerprint().as_slice(), signature].concat();
        let mut id = [0; 32];
        id.iter_mut().zip(digest::of(DigestAlgorithm::Sha256, &both)).for_each(|(to, from)| *to = from);
        Self(id)
    }

    /// The identifier as bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// The signatures that a home saw.
#[derive(Debug, Clone)]
pub struct Seen(PathBuf);

impl Seen {
    pub(in crate::keys) fn of_home(home: &Path) -> Self {
        Self(home.join("seen"))
    }

    /// When a signature was seen first; `None` where it was not, or where the record cannot be read.
    pub fn first(&self, id: &SignatureId) -> Option<Timestamp> {
        let mut file = fs::File::open(self.file_of(id)).ok()?;
        find(&mut file, id).ok()?
    }

    /// Keeps that these signatures were seen at `now`, those that were not seen before; refused where `now` is before the newest record. A
    /// file that is full takes no more.
    pub fn record(&self, ids: &[SignatureId], now: Timestamp) -> Result<(), Error> {
        if ids.is_empty() {
            return Ok(());
        }
        files::make_folder(&self.0)?;
        let _lock = files::lock(&self.0)?;
        let new: Vec<&SignatureId> = ids.iter().filter(|id| self.first(id).is_none()).collect();
        if new.is_empty() {
            return Ok(());
        }
        let newest = self.newest();
        // commands that began before another one ended are in one row: the later moment is true of both
        let at = newest.map_or(now, |newest| newest.max(now));
        if at > now.plus_seconds(SLACK) {
            return Err(Error::Clock { now, newest: at });
        }
        new.into_iter().try_for_each(|id| {
            let path = self.file_of(id);
            append(&path, id, at).map_err(|error| Error::Io { path, error })
        })
    }

    /// The newest record of all.
    fn newest(&self) -> Option<Timestamp> {
        let files = (0..=u8::MAX).filter_map(|first| fs::File::open(self.0.join(format!("{first:02x}"))).ok());
        files.filter_map(|mut file| last(&mut file).ok().flatten()).max()
    }

    fn file_of(&self, id: &SignatureId) -> PathBuf {
        let [first, ..] = id.0;
        self.0.join(format!("{first:02x}"))
    }
}

/// Bytes of one record. 64: it never lies across two sectors or pages, which a crash may keep one of.
const RECORD: usize = 64;
/// Records of one file: 4 MiB to read in the worst case, 16 million signatures in all.
const MOST_RECORDS: u64 = 65_536;
/// Records at the end of a file among which its newest is sought: more are never damaged at once.
const LAST_RECORDS: u64 = 64;
/// Seconds that the clock may stand before the newest record. 600: a command takes its time when it begins, and another one that began later
/// may be done sooner; clocks are set by less.
const SLACK: i64 = 600;

fn append(path: &Path, id: &SignatureId, at: Timestamp) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    let records = records_of(&file)?;
    if records >= MOST_RECORDS {
        return Ok(());
    }
    // what a crash left half written is written over
    file.seek(SeekFrom::Start(records.saturating_mul(record_size())))?;
    // no sync: a record that a crash takes away costs a proof and makes none
    file.write_all(&written(id, at))
}

/// The bytes of a record.
fn written(id: &SignatureId, at: Timestamp) -> Vec<u8> {
    let mut record = [id.0.as_slice(), &at.unix().to_be_bytes()].concat();
    let check = digest::of(DigestAlgorithm::Sha256, &record);
    record.extend(check.into_iter().take(24));
    record
}

/// Whose record these bytes are, and when he was seen; nothing where they are damaged.
fn read(record: &[u8; RECORD]) -> Option<(SignatureId, Timestamp)> {
    let (id, rest) = record.split_first_chunk::<32>()?;
    let (time, _) = rest.split_first_chunk::<8>()?;
    let (id, at) = (SignatureId(*id), Timestamp::from_unix(i64::from_be_bytes(*time)));
    (written(&id, at) == record).then_some((id, at))
}

fn record_size() -> u64 {
    u64::try_from(RECORD).unwrap_or(u64::MAX)
}

fn records_of(file: &fs::File) -> io::Result<u64> {
    Ok(file.metadata()?.len().checked_div(record_size()).unwrap_or_default())
}

/// The newest of the last records.
fn last(file: &mut fs::File) -> io::Result<Option<Timestamp>> {
    let from = records_of(file)?.saturating_sub(LAST_RECORDS);
    file.seek(SeekFrom::Start(from.saturating_mul(record_size())))?;
    let mut bytes = Vec::new();
    file.take(LAST_RECORDS.saturating_mul(record_size())).read_to_end(&mut bytes)?;
    let (records, _) = bytes.as_chunks::<RECORD>();
    Ok(records.iter().filter_map(read).map(|(_, at)| at).max())
}

fn find(file: &mut fs::File, id: &SignatureId) -> io::Result<Option<Timestamp>> {
    file.seek(SeekFrom::Start(0))?;
    // whole records in every piece
    let mut piece = vec![0; RECORD * 256];
    loop {
        let mut filled = 0;
        while let Some(rest) = piece.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match file.read(rest)? {
                0 => break,
                count => filled = filled.saturating_add(count),
            }
        }
        let (records, _) = piece.get(..filled).unwrap_or_default().as_chunks::<RECORD>();
        let mut of_id = records.iter().filter(|record| record.starts_with(&id.0));
        if let Some((_, at)) = of_id.find_map(read) {
            return Ok(Some(at));
        }
        if filled < piece.len() {
            return Ok(None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(first: u8, last: u8) -> SignatureId {
        let mut id = [first; 32];
        id[31] = last;
        SignatureId(id)
    }

    #[test]
    fn the_first_time_stays() {
        let folder = tempfile::tempdir().expect("a folder");
        let seen = Seen::of_home(folder.path());
        assert_eq!(seen.first(&id(7, 1)), None);
        seen.record(&[id(7, 1), id(8, 1)], Timestamp::from_unix(100)).expect("written");
        seen.record(&[id(7, 1), id(7, 2)], Timestamp::from_unix(200)).expect("written");
        let times = [id(7, 1), id(8, 1), id(7, 2), id(9, 1)].map(|id| seen.first(&id).map(Timestamp::unix));
        assert_eq!(times, [Some(100), Some(100), Some(200), None]);
    }

    #[test]
    fn half_a_record_is_none_and_is_written_over() {
        let folder = tempfile::tempdir().expect("a folder");
        let seen = Seen::of_home(folder.path());
        for kept in 0..RECORD {
            let _ = fs::remove_dir_all(folder.path().join("seen"));
            seen.record(&[id(7, 1), id(7, 2)], Timestamp::from_unix(100)).expect("written");
            let path = folder.path().join("seen/07");
            let whole = fs::read(&path).expect("read");
            fs::write(&path, whole.get(..RECORD + kept).expect("two records")).expect("cut");
            assert_eq!(seen.first(&id(7, 2)), None, "{kept}");
            seen.record(&[id(7, 3)], Timestamp::from_unix(300)).expect("written");
            let times = [id(7, 1), id(7, 2), id(7, 3)].map(|id| seen.first(&id).map(Timestamp::unix));
            assert_eq!(times, [Some(100), None, Some(300)], "{kept}");
        }
    }

    #[test]
    fn a_clock_that_stands_in_the_past_records_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let seen = Seen::of_home(folder.path());
        let now = Timestamp::from_unix(1_775_000_000);
        seen.record(&[id(7, 1)], now).expect("written");
        for back in [SLACK + 1, 86_400, 1_775_000_000] {
            let early = now.plus_seconds(-back);
            let error = seen.record(&[id(8, 1)], early).expect_err("refused").to_string();
            assert!(error.contains("the clock stands at") && error.contains(&early.to_string()), "{error}");
            assert_eq!(seen.first(&id(8, 1)), None, "{back}");
            seen.record(&[id(7, 1)], early).expect("nothing new");
        }
        // a command that began before another one: the later moment, which is true of both
        seen.record(&[id(8, 1)], now.plus_seconds(-SLACK)).expect("written");
        assert_eq!((seen.first(&id(8, 1)), seen.first(&id(7, 1))), (Some(now), Some(now)));
        seen.record(&[id(9, 1)], now.plus_seconds(1)).expect("written");
        assert_eq!(seen.first(&id(9, 1)), Some(now.plus_seconds(1)));
    }

    #[test]
    fn a_record_that_a_crash_tore_is_none() {
        let folder = tempfile::tempdir().expect("a folder");
        let seen = Seen::of_home(folder.path());
        let now = Timestamp::from_unix(1_775_000_000);
        seen.record(&[id(7, 1), id(7, 2)], now).expect("written");
        let path = folder.path().join("seen/07");
        let whole = fs::read(&path).expect("read");
        for torn in 0..RECORD {
            // the file has its length, and the bytes from here on were never written
            let mut zeros = whole.clone();
            zeros.get_mut(RECORD + torn..).expect("the second record").fill(0);
            fs::write(&path, &zeros).expect("written");
            assert_eq!((seen.first(&id(7, 1)), seen.first(&id(7, 2))), (Some(now), None), "{torn}");
            seen.record(&[id(7, 2)], now.plus_seconds(5)).expect("written");
            assert_eq!(seen.first(&id(7, 2)), Some(now.plus_seconds(5)), "{torn}");
        }
        assert_eq!(4_096 % RECORD, 0, "no record lies across two pages");
    }

    #[test]
    fn hundreds_of_records_are_found() {
        let folder = tempfile::tempdir().expect("a folder");
        let seen = Seen::of_home(folder.path());
        let ids: Vec<SignatureId> = (0..=255).flat_map(|last| [id(5, last), id(6, last)]).collect();
        seen.record(&ids, Timestamp::from_unix(1)).expect("written");
        assert!(ids.iter().all(|id| seen.first(id) == Some(Timestamp::from_unix(1))));
    }
}
