//! Which signatures this home saw, and when first.
//!
//! A signature that was seen while its certificate was valid was made while it was valid, whatever the clock of its maker says. The record
//! is one of fact and not of trust: whoever sent the signature, it was there at that moment.
//!
//! ```text
//! HOME/seen/XX        records of those whose identifier begins with the byte XX, 40 bytes each, in the order of seeing:
//!                     32 bytes of SHA-256 over the fingerprint of the certificate and the signature, 8 bytes of Unix time (big-endian)
//! ```

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

    /// Keeps that these signatures were seen at `now`, those that were not seen before. A file that is full takes no more.
    pub fn record(&self, ids: &[SignatureId], now: Timestamp) -> Result<(), Error> {
        if ids.is_empty() {
            return Ok(());
        }
        files::make_folder(&self.0)?;
        let _lock = files::lock(&self.0)?;
        ids.iter().try_for_each(|id| {
            let path = self.file_of(id);
            append(&path, id, now).map_err(|error| Error::Io { path, error })
        })
    }

    fn file_of(&self, id: &SignatureId) -> PathBuf {
        let [first, ..] = id.0;
        self.0.join(format!("{first:02x}"))
    }
}

const RECORD: usize = 40;
/// Records of one file: 2.5 MiB to read in the worst case, 16 million signatures in all.
const MOST_RECORDS: u64 = 65_536;

fn append(path: &Path, id: &SignatureId, now: Timestamp) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    if find(&mut file, id)?.is_some() {
        return Ok(());
    }
    let size = u64::try_from(RECORD).unwrap_or(u64::MAX);
    let records = file.metadata()?.len().checked_div(size).unwrap_or_default();
    if records >= MOST_RECORDS {
        return Ok(());
    }
    // what a crash left half written is written over
    file.seek(SeekFrom::Start(records.saturating_mul(size)))?;
    let mut record = id.0.to_vec();
    record.extend(now.unix().to_be_bytes());
    // no sync: a record that a crash takes away costs a proof and makes none
    file.write_all(&record)
}

fn find(file: &mut fs::File, id: &SignatureId) -> io::Result<Option<Timestamp>> {
    file.seek(SeekFrom::Start(0))?;
    // whole records in every piece
    let mut piece = vec![0; RECORD * 256];
    loop {
        let mut read = 0;
        while let Some(rest) = piece.get_mut(read..).filter(|rest| !rest.is_empty()) {
            match file.read(rest)? {
                0 => break,
                count => read = read.saturating_add(count),
            }
        }
        let (records, _) = piece.get(..read).unwrap_or_default().as_chunks::<RECORD>();
        for record in records {
            let (found, time) = record.split_at(32);
            if found == id.0 {
                return Ok(time.try_into().ok().map(i64::from_be_bytes).map(Timestamp::from_unix));
            }
        }
        if read < piece.len() {
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
    fn hundreds_of_records_are_found() {
        let folder = tempfile::tempdir().expect("a folder");
        let seen = Seen::of_home(folder.path());
        let ids: Vec<SignatureId> = (0..=255).flat_map(|last| [id(5, last), id(6, last)]).collect();
        seen.record(&ids, Timestamp::from_unix(1)).expect("written");
        assert!(ids.iter().all(|id| seen.first(id) == Some(Timestamp::from_unix(1))));
    }
}
