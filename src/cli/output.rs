//! What a command writes: a file made beside its name and renamed, or standard output.

use std::fs::OpenOptions;
use std::io::{BufRead, IsTerminal, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use tempfile::SpooledTempFile;

use sealpost::smime::Spool;

use crate::cli::ahead::Wishes;
use crate::cli::behind::{WriteBehind, Writer};
use crate::cli::beside::{Beside, Taken};
use crate::cli::failure::{Failure, on_file, reason};
use crate::cli::input::HELD;
use crate::cli::report;

/// Where the result goes.
#[derive(Debug, Clone, Args)]
pub(crate) struct Output {
    /// Write the result to FILE (mode 0600) instead of standard output
    #[arg(short = 'o', long = "output", value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// Overwrite FILE if it exists
    #[arg(long)]
    pub(crate) force: bool,
}

impl Output {
    /// Whether the result goes to standard output.
    pub(crate) fn is_stdout(&self) -> bool {
        self.path().is_none()
    }

    /// Refuses early what `write` would refuse at the end.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        match self.path() {
            Some(path) if !self.force && path.exists() && !is_special(path) => Err(exists(path)),
            _ => Ok(()),
        }
    }

    /// Begins a result that is written as it comes into being and kept only when it is whole. What a message wishes to be read ahead, a second
    /// thread reads that writes.
    pub(crate) fn spool(&self, writer: Writer, wishes: Option<Wishes>) -> Result<OutSpool<'_>, Failure> {
        let place = match self.path() {
            Some(path) if !is_special(path) => Place::Beside(Beside::create(path).map_err(on_file("write", path))?),
            _ => Place::Spool(SpooledTempFile::new(HELD)),
        };
        Ok(OutSpool { output: self, place: WriteBehind::new(place, writer, wishes) })
    }

    /// Writes a result as it comes into being; where that fails, nothing stays. Standard output gets it whole.
    pub(crate) fn write_by(
        &self,
        writer: Writer,
        wishes: Option<Wishes>,
        make: impl FnOnce(&mut dyn Spool) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut spool = self.spool(writer, wishes)?;
        make(&mut spool)?;
        spool.keep()
    }

    /// Writes the whole result.
    pub(crate) fn write(&self, bytes: &[u8]) -> Result<(), Failure> {
        match self.path() {
            Some(path) => write_file(path, bytes, self.force),
            None => stdout(bytes),
        }
    }

    /// What went wrong with writing the result.
    fn failure(&self, error: &std::io::Error) -> String {
        let place = self.path().map_or_else(|| "standard output".to_owned(), |path| path.display().to_string());
        format!("cannot write {place} – {}", reason(error))
    }

    fn path(&self) -> Option<&Path> {
        self.file.as_deref().filter(|p| p.as_os_str() != "-")
    }
}

/// A result that comes into being where nobody reads it; it goes when it is dropped.
pub(crate) struct OutSpool<'a> {
    output: &'a Output,
    place: WriteBehind<Place>,
}

enum Place {
    /// A file beside the one that it will be.
    Beside(Beside),
    /// Memory, then an unlinked file.
    Spool(SpooledTempFile),
}

impl OutSpool<'_> {
    /// Keeps the result: it gets its name, or goes to standard output.
    pub(crate) fn keep(self) -> Result<(), Failure> {
        let failed = |error: std::io::Error| Failure::io(self.output.failure(&error));
        match (self.place.finish().map_err(&failed)?, self.output.path()) {
            (Place::Beside(file), Some(path)) => keep(file, path, self.output.force),
            (Place::Beside(_), None) => Ok(()),
            (Place::Spool(mut spool), path) => {
                spool.seek(SeekFrom::Start(0)).map_err(&failed)?;
                let copied = match path {
                    Some(path) => OpenOptions::new().write(true).open(path).and_then(|mut device| copy(&mut spool, &mut device)),
                    None if std::io::stdout().is_terminal() => show(&mut spool),
                    None => copy(&mut spool, &mut std::io::stdout().lock()),
                };
                copied.map_err(failed)
            }
        }
    }
}

/// Shows a result on a terminal: a message must not control it, nor paint a verdict of its own.
fn show(from: &mut dyn Read) -> std::io::Result<()> {
    let (mut from, mut out) = (std::io::BufReader::new(from), std::io::stdout().lock());
    let mut line = Vec::new();
    while (&mut from).take(LINE).read_until(b'\n', &mut line)? > 0 {
        let text = String::from_utf8_lossy(&line);
        let content = text.trim_end_matches(['\r', '\n']);
        out.write_all(report::safe(content).as_bytes())?;
        if text.ends_with('\n') {
            out.write_all(b"\n")?;
        }
        line.clear();
    }
    out.flush()
}

/// Bytes that are shown at once where no line ends.
const LINE: u64 = 64 << 10;

fn copy(from: &mut dyn Read, to: &mut dyn Write) -> std::io::Result<()> {
    std::io::copy(from, to)?;
    to.flush()
}

impl Write for OutSpool<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.place.write(bytes).map_err(|error| std::io::Error::other(self.output.failure(&error)))
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Spool for OutSpool<'_> {
    fn restart(&mut self) -> std::io::Result<()> {
        let place = self.place.settle()?;
        match place {
            Place::Beside(file) => file.restart(),
            Place::Spool(spool) => {
                spool.set_len(0)?;
                spool.seek(SeekFrom::Start(0)).map(|_| ())
            }
        }
    }

    fn lend(&mut self, bytes: usize) -> std::io::Result<Option<&mut [u8]>> {
        let output = self.output;
        self.place.lend(bytes).map(Some).map_err(|error| std::io::Error::other(output.failure(&error)))
    }

    fn begin_base64(&mut self) -> std::io::Result<bool> {
        self.place.begin_base64().map_err(|error| std::io::Error::other(self.output.failure(&error)))
    }

    fn end_base64(&mut self) -> std::io::Result<()> {
        self.place.settle().map(|_| ()).map_err(|error| std::io::Error::other(self.output.failure(&error)))
    }
}

impl Write for Place {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self {
            Self::Beside(file) => file.write(bytes),
            Self::Spool(spool) => spool.write(bytes),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Writes a file beside its name with mode 0600, then renames it; a failure leaves nothing.
pub(crate) fn write_file(path: &Path, bytes: &[u8], force: bool) -> Result<(), Failure> {
    if is_special(path) {
        return std::fs::write(path, bytes).map_err(on_file("write", path));
    }
    let mut beside = Beside::create(path).map_err(on_file("write", path))?;
    beside.write_all(bytes).and_then(|()| beside.flush()).map_err(on_file("write", path))?;
    keep(beside, path, force)
}

/// A device or a pipe (`-o /dev/null`) cannot be renamed over.
fn is_special(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|m| !m.is_file() && !m.is_dir())
}

fn keep(beside: Beside, path: &Path, force: bool) -> Result<(), Failure> {
    let taken = if force { Taken::Replace } else { Taken::Refuse };
    match beside.keep(path, taken) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Err(exists(path)),
        other => other.map_err(on_file("write", path)),
    }
}

/// Writes to standard output.
pub(crate) fn stdout(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(e) => Err(Failure::io(format!("cannot write standard output – {}", reason(&e)))),
        Ok(()) => Ok(()),
    }
}

pub(crate) fn exists(path: &Path) -> Failure {
    Failure::io(format!("{} exists already – nothing was written", path.display())).hint("choose another name, or add --force")
}
