//! What a command reads: a file, `-`, or standard input.

use std::fs::File;
use std::io::{self, Cursor, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use tempfile::{SpooledData, SpooledTempFile};

use sealpost::limits::Limits;

use crate::cli::ahead::{ReadAhead, Wishes};
use crate::cli::failure::{Failure, on_file, reason};
use crate::cli::progress::Progress;

/// Bytes of a pipe that are held in memory; what is more goes to an unlinked file that only its owner reads. 64 KiB: most mail
/// is smaller, and memory that grows to it takes twice as much.
pub(crate) const HELD: usize = 64 << 10;

/// Bytes of a key, a certificate or a list that are read whole. 1 GiB: far over any.
const WHOLE: u64 = 1 << 30;

/// A file argument; absent and `-` are standard input.
#[derive(Debug, Clone, Default)]
pub(crate) struct Source(pub(crate) Option<PathBuf>);

impl Source {
    /// What to call it in messages.
    pub(crate) fn name(&self) -> String {
        match self.path() {
            Some(path) => path.display().to_string(),
            None => "standard input".to_owned(),
        }
    }

    /// Reads it whole, up to a bound.
    pub(crate) fn read(&self, limits: &Limits) -> Result<Vec<u8>, Failure> {
        let bound = limits.message_bytes.min(WHOLE);
        let mut bytes = Vec::new();
        let read = match self.path() {
            Some(path) => {
                let file = File::open(path).map_err(on_file("read", path))?;
                let size = file.metadata().map_or(0, |m| usize::try_from(m.len().min(bound)).unwrap_or(0));
                bytes.reserve(size.saturating_add(1));
                file.take(bound.saturating_add(1)).read_to_end(&mut bytes)
            }
            None => io::stdin().lock().take(bound.saturating_add(1)).read_to_end(&mut bytes),
        };
        read.map_err(|e| Failure::io(format!("cannot read {} – {}", self.name(), reason(&e))))?;
        if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > bound {
            return Err(too_long(&self.name(), bound));
        }
        Ok(bytes)
    }

    /// Opens it as a message of any size, up to the bound on messages; `what` is what the progress bar says.
    pub(crate) fn open(&self, what: &'static str, limits: &Limits) -> Result<Message, Failure> {
        let name = self.name();
        let failed = |e: io::Error| Failure::io(format!("cannot read {name} – {}", reason(&e)));
        let bound = limits.message_bytes;
        let (place, len) = match self.path() {
            Some(path) => {
                let file = File::open(path).map_err(&failed)?;
                let metadata = file.metadata().map_err(&failed)?;
                if metadata.is_file() {
                    (Place::File(ReadAhead::new(file)), metadata.len())
                } else if metadata.is_dir() {
                    return Err(Failure::io(format!("cannot read {name} – it is a folder")));
                } else {
                    spooled(file, bound).map_err(&failed)?
                }
            }
            None => spooled(io::stdin().lock(), bound).map_err(&failed)?,
        };
        if len > bound {
            return Err(too_long(&name, bound));
        }
        let progress = Progress::bar(what, len);
        Ok(Message { place, name, len, progress })
    }

    fn path(&self) -> Option<&Path> {
        self.0.as_deref().filter(|p| p.as_os_str() != "-")
    }
}

fn too_long(name: &str, bound: u64) -> Failure {
    Failure::refused(format!("limit reached: message bytes – {name} holds more than {bound}"))
}

/// A pipe cannot be read twice: it is spooled.
fn spooled(source: impl Read, bound: u64) -> io::Result<(Place, u64)> {
    let mut spool = SpooledTempFile::new(HELD);
    let mut source = source.take(bound.saturating_add(1));
    let mut block = vec![0; 64 << 10];
    let mut len: u64 = 0;
    loop {
        let read = match source.read(&mut block) {
            Ok(0) => break,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            other => other?,
        };
        spool.write_all(block.get(..read).unwrap_or_default())?;
        len = len.saturating_add(u64::try_from(read).unwrap_or(0));
    }
    spool.seek(SeekFrom::Start(0))?;
    let place = match spool.into_inner() {
        SpooledData::OnDisk(file) => Place::File(ReadAhead::new(file)),
        SpooledData::InMemory(bytes) => Place::Memory(bytes),
    };
    Ok((place, len))
}

/// A message that is read, from its start and once more if need be.
pub(crate) struct Message {
    place: Place,
    name: String,
    len: u64,
    progress: Progress,
}

enum Place {
    File(ReadAhead),
    Memory(Cursor<Vec<u8>>),
}

impl Message {
    /// Its header section, for who it is from and to; it is left at its start.
    pub(crate) fn header(&mut self, limits: &Limits) -> Result<Vec<u8>, Failure> {
        sealpost::smime::read_header(self, limits).map_err(crate::cli::sign::from_smime)
    }

    /// Where it asks a thread that writes the result to read ahead; nowhere where it is in memory.
    pub(crate) fn wishes(&self) -> Option<Wishes> {
        match &self.place {
            Place::File(file) => Some(file.wishes()),
            Place::Memory(_) => None,
        }
    }

    /// Says where its Subject stays readable on the way, though it is to be encrypted.
    pub(crate) fn warn_of_subject(&mut self, limits: &Limits) -> Result<(), Failure> {
        if sealpost::smime::shows_subject(self, limits).map_err(crate::cli::sign::from_smime)? {
            eprintln!(
                "warning: the Subject stays readable on the way – the message was signed or encrypted before, and that does not hold it"
            );
            eprintln!("hint: seal the message as it was before, or change its Subject");
        }
        Ok(())
    }

    /// Its bytes.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// Its first bytes; it is left at its start.
    pub(crate) fn beginning(&mut self) -> Result<Vec<u8>, Failure> {
        let mut bytes = Vec::new();
        self.by_ref().take(4096).read_to_end(&mut bytes).map_err(Failure::io)?;
        self.seek(SeekFrom::Start(0)).map_err(Failure::io)?;
        Ok(bytes)
    }

    /// All of it; for what is done in memory.
    pub(crate) fn read_whole(&mut self, most: u64) -> Result<Vec<u8>, Failure> {
        if self.len > most {
            return Err(too_long(&self.name, most));
        }
        let mut bytes = Vec::new();
        self.seek(SeekFrom::Start(0)).and_then(|_| self.read_to_end(&mut bytes)).map_err(Failure::io)?;
        Ok(bytes)
    }
}

impl Read for Message {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = match &mut self.place {
            Place::File(file) => file.read(out),
            Place::Memory(bytes) => bytes.read(out),
        };
        match read {
            Ok(read) => {
                self.progress.advance(read);
                Ok(read)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            Err(error) => Err(io::Error::other(format!("cannot read {} – {}", self.name, reason(&error)))),
        }
    }
}

impl Seek for Message {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match &mut self.place {
            Place::File(file) => file.seek(to),
            Place::Memory(bytes) => bytes.seek(to),
        };
        let at = at.map_err(|error| io::Error::other(format!("cannot read {} – {}", self.name, reason(&error))))?;
        self.progress.set(at);
        Ok(at)
    }
}

/// Reads one file argument whole.
pub(crate) fn file(path: &Path, limits: &Limits) -> Result<Vec<u8>, Failure> {
    Source(Some(path.to_owned())).read(limits)
}
