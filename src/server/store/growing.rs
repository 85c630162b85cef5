//! A message on its way into a file of the store: hashed while it is written, so that nobody reads it again.
//!
//! A large one goes past the system's cache where the file system lets it: it is written once and synced at once, so that a copy in memory
//! that pushes others out is of no use, and takes longer than the disk.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use tempfile::NamedTempFile;

use crate::crypto::algorithm::DigestAlgorithm;
use crate::crypto::digest::Digest;

/// A private file that grows; it goes when dropped, unless the store takes it over.
#[derive(Debug)]
pub struct Growing {
    file: NamedTempFile,
    way: Way,
    digest: Digest,
    size: u64,
}

/// How bytes get to the disk.
#[derive(Debug)]
enum Way {
    /// Through the system's cache.
    Cached,
    /// Past it, in whole pages; what is not one yet is here.
    Direct(Vec<u8>),
}

/// A file that is whole: it, its digest, and its size.
#[derive(Debug)]
pub(in crate::server::store) struct Grown {
    pub(in crate::server::store) file: NamedTempFile,
    pub(in crate::server::store) digest: Vec<u8>,
    pub(in crate::server::store) size: u64,
}

impl Growing {
    /// An empty one for a large message. To become a message of the store, it must be in [`Store::spool`](super::Store::spool).
    pub fn new(folder: &Path) -> io::Result<Self> {
        match create(folder, direct()) {
            Ok(file) if direct() != 0 => Ok(Self::begin(file, Way::Direct(Vec::new()))),
            Ok(file) => Ok(Self::begin(file, Way::Cached)),
            // this file system knows no such way
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => Self::cached(folder),
            Err(error) => Err(error),
        }
    }

    /// An empty one for a message that one write brings there.
    pub(in crate::server::store) fn cached(folder: &Path) -> io::Result<Self> {
        Ok(Self::begin(create(folder, 0)?, Way::Cached))
    }

    fn begin(file: NamedTempFile, way: Way) -> Self {
        Self { file, way, digest: digest(), size: 0 }
    }

    /// Takes what follows. After an error it is of no use.
    pub fn push(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.digest.update(bytes);
        self.size = self.size.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        match &mut self.way {
            Way::Cached => self.file.write_all(bytes),
            Way::Direct(carried) => {
                let carried = std::mem::take(carried);
                self.push_pages(carried, bytes)
            }
        }
    }

    fn push_pages(&mut self, mut carried: Vec<u8>, mut bytes: &[u8]) -> io::Result<()> {
        let mut pages = Pages::take();
        loop {
            let memory = pages.memory();
            let (front, room) = memory.split_at_mut_checked(carried.len()).unwrap_or_default();
            front.copy_from_slice(carried.get(..front.len()).unwrap_or_default());
            let (now, later) = bytes.split_at_checked(room.len()).unwrap_or((bytes, b""));
            room.get_mut(..now.len()).unwrap_or_default().copy_from_slice(now);
            let filled = carried.len().saturating_add(now.len());
            let filled = memory.get(..filled).unwrap_or_default();
            let (whole, rest) = filled.split_at_checked(filled.len().saturating_sub(filled.len() % PAGE)).unwrap_or_default();
            match self.file.write_all(whole) {
                // nor for a file that it opened this way
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                    leave_direct(self.file.as_file())?;
                    self.file.write_all(whole)?;
                }
                written => written?,
            }
            carried = rest.to_vec();
            bytes = later;
            if bytes.is_empty() {
                self.way = Way::Direct(carried);
                return Ok(());
            }
        }
    }

    /// Brings all of it into the file.
    pub fn flush(&mut self) -> io::Result<()> {
        if let Way::Direct(carried) = std::mem::replace(&mut self.way, Way::Cached) {
            leave_direct(self.file.as_file())?;
            self.file.write_all(&carried)?;
        }
        Ok(())
    }

    /// Bytes so far.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Reads it from its first byte.
    pub fn reader(&self) -> io::Result<impl Read + '_> {
        let carried = match &self.way {
            Way::Cached => b"",
            Way::Direct(carried) => carried.as_slice(),
        };
        // memory of readers is not as the other way wants it
        Ok(self.file.reopen()?.chain(carried))
    }

    pub(in crate::server::store) fn end(mut self) -> io::Result<Grown> {
        self.flush()?;
        Ok(Grown { file: self.file, digest: self.digest.finish(), size: self.size })
    }
}

/// The digest of what came, without the fields before it.
pub(in crate::server::store) fn digest() -> Digest {
    Digest::new(DigestAlgorithm::Sha256)
}

/// What is written goes to the end, whatever is read.
fn create(folder: &Path, flags: i32) -> io::Result<NamedTempFile> {
    tempfile::Builder::new().make_in(folder, |path| {
        let mut options = OpenOptions::new();
        options.append(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, flags);
        #[cfg(not(unix))]
        let _ = flags;
        options.open(path).inspect_err(|error| {
            // a file system that does not know the flag says so when it has made the file
            if error.kind() == io::ErrorKind::InvalidInput {
                let _ = std::fs::remove_file(path);
            }
        })
    })
}

/// The flag of the way past the cache.
#[cfg(target_os = "linux")]
fn direct() -> i32 {
    i32::try_from(rustix::fs::OFlags::DIRECT.bits()).unwrap_or(0)
}

/// There is no such way.
#[cfg(not(target_os = "linux"))]
const fn direct() -> i32 {
    0
}

/// What is no whole page goes through the cache.
#[cfg(target_os = "linux")]
fn leave_direct(file: &File) -> io::Result<()> {
    let flags = rustix::fs::fcntl_getfl(file)?;
    Ok(rustix::fs::fcntl_setfl(file, flags.difference(rustix::fs::OFlags::DIRECT))?)
}

/// It never went another way.
#[cfg(not(target_os = "linux"))]
const fn leave_direct(_: &File) -> io::Result<()> {
    Ok(())
}

/// What disks want to be written at a time, and where memory for it begins: a page suits all of them.
const PAGE: usize = 4 << 10;

/// Bytes of one write: as much as comes in a piece.
const AT_ONCE: usize = 256 << 10;

/// Memory that begins where a page does.
struct Pages {
    all: Vec<u8>,
    begin: usize,
}

/// Memory that nobody needs just now: from the system it comes page by page, which takes longer than the copy.
static IDLE: Mutex<Vec<Pages>> = Mutex::new(Vec::new());

/// So much of it is kept: 1 MiB.
const KEPT: usize = 4;

impl Pages {
    fn take() -> Self {
        let idle = IDLE.lock().unwrap_or_else(PoisonError::into_inner).pop();
        idle.unwrap_or_else(|| {
            let all = vec![0; AT_ONCE.saturating_add(PAGE)];
            let begin = all.as_ptr().align_offset(PAGE).min(PAGE);
            Self { all, begin }
        })
    }

    fn memory(&mut self) -> &mut [u8] {
        self.all.get_mut(self.begin..self.begin.saturating_add(AT_ONCE)).unwrap_or_default()
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        let mut idle = IDLE.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < KEPT {
            idle.push(Self { all: std::mem::take(&mut self.all), begin: self.begin });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::digest;

    /// What is read while the file grows, and what is in it at the end.
    fn grown(mut growing: Growing, pieces: &[usize]) {
        let mut all = Vec::new();
        for (number, size) in pieces.iter().enumerate() {
            let piece: Vec<u8> = (0..*size).map(|at| u8::try_from((at + number) % 251).expect("small")).collect();
            growing.push(&piece).expect("written");
            all.extend_from_slice(&piece);
            let mut read = Vec::new();
            growing.reader().and_then(|mut reader| reader.read_to_end(&mut read)).expect("read");
            assert!(read == all, "{pieces:?} after {number}");
        }
        let Grown { file, digest, size } = growing.end().expect("whole");
        assert!(std::fs::read(file.path()).expect("read") == all, "{pieces:?}");
        assert_eq!((digest, size), (digest::of(DigestAlgorithm::Sha256, &all), u64::try_from(all.len()).expect("small")));
        #[cfg(unix)]
        assert_eq!(
            std::os::unix::fs::PermissionsExt::mode(&file.as_file().metadata().expect("is there").permissions()) & 0o777,
            0o600
        );
    }

    #[test]
    fn pieces_of_any_size_become_the_file_on_either_way() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        // beside the sources, too: a temporary folder may be in memory
        let beside = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).expect("a temporary folder");
        for folder in [folder.path(), beside.path()] {
            for pieces in [
                &[][..],
                &[1],
                &[PAGE],
                &[PAGE - 1, 1, 1],
                &[AT_ONCE],
                &[AT_ONCE + 7, 100, AT_ONCE - 107],
                &[5, 2 * AT_ONCE + 3, PAGE, 0, 9],
            ] {
                grown(Growing::new(folder).expect("a file"), pieces);
                grown(Growing::cached(folder).expect("a file"), pieces);
            }
        }
    }
}
