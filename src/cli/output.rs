//! What a command writes: a file made beside its name and renamed, or standard output.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use tempfile::NamedTempFile;

use crate::cli::failure::{Failure, on_file, reason};

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

    /// Writes a result as it comes into being; where that fails, nothing stays. Standard output gets it whole.
    pub(crate) fn write_by(&self, make: impl FnOnce(&mut dyn Write) -> Result<(), Failure>) -> Result<(), Failure> {
        match self.path() {
            Some(path) if !is_special(path) => {
                let mut beside = beside(path)?;
                make(&mut beside)?;
                keep(beside, path, self.force)
            }
            _ => {
                let mut bytes = Vec::new();
                make(&mut bytes)?;
                self.write(&bytes)
            }
        }
    }

    /// Writes the whole result.
    pub(crate) fn write(&self, bytes: &[u8]) -> Result<(), Failure> {
        match self.path() {
            Some(path) => write_file(path, bytes, self.force),
            None => stdout(bytes),
        }
    }

    fn path(&self) -> Option<&Path> {
        self.file.as_deref().filter(|p| p.as_os_str() != "-")
    }
}

/// Writes a file beside its name with mode 0600, then renames it; a failure leaves nothing.
pub(crate) fn write_file(path: &Path, bytes: &[u8], force: bool) -> Result<(), Failure> {
    if is_special(path) {
        return std::fs::write(path, bytes).map_err(on_file("write", path));
    }
    let mut beside = beside(path)?;
    beside.write_all(bytes).and_then(|()| beside.flush()).map_err(on_file("write", path))?;
    keep(beside, path, force)
}

/// A device or a pipe (`-o /dev/null`) cannot be renamed over.
fn is_special(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|m| !m.is_file() && !m.is_dir())
}

fn beside(path: &Path) -> Result<NamedTempFile, Failure> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    tempfile::Builder::new().prefix(".sealpost-").tempfile_in(folder).map_err(on_file("write", path))
}

fn keep(beside: NamedTempFile, path: &Path, force: bool) -> Result<(), Failure> {
    if force {
        beside.persist(path).map_err(|e| on_file("write", path)(e.error))?;
        return Ok(());
    }
    match beside.persist_noclobber(path) {
        Ok(_) => Ok(()),
        Err(e) if e.error.kind() == std::io::ErrorKind::AlreadyExists => Err(exists(path)),
        Err(e) => Err(on_file("write", path)(e.error)),
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

fn exists(path: &Path) -> Failure {
    Failure::io(format!("{} exists already – nothing was written", path.display())).hint("choose another name, or add --force")
}
