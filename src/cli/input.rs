//! What a command reads: a file, `-`, or standard input.

use std::io::Read;
use std::path::{Path, PathBuf};

use sealpost::limits::Limits;

use crate::cli::failure::{Failure, on_file, reason};
use crate::cli::progress::Progress;

/// Bytes that are read between two looks at the progress.
const PIECE: u64 = 4 << 20;

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

    /// Reads it whole, up to the bound on messages.
    pub(crate) fn read(&self, limits: &Limits) -> Result<Vec<u8>, Failure> {
        let bound = limits.message_bytes;
        let mut bytes = Vec::new();
        let read = match self.path() {
            Some(path) => {
                let file = std::fs::File::open(path).map_err(on_file("read", path))?;
                let size = file.metadata().map_or(0, |m| usize::try_from(m.len().min(bound)).unwrap_or(0));
                bytes.reserve(size.saturating_add(1));
                let mut left = file.take(bound.saturating_add(1));
                let progress = Progress::bar("reading", size);
                loop {
                    match (&mut left).take(PIECE).read_to_end(&mut bytes) {
                        Ok(0) => break Ok(bytes.len()),
                        Ok(read) => progress.advance(read),
                        Err(error) => break Err(error),
                    }
                }
            }
            None => std::io::stdin().lock().take(bound.saturating_add(1)).read_to_end(&mut bytes),
        };
        read.map_err(|e| Failure::io(format!("cannot read {} – {}", self.name(), reason(&e))))?;
        if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > bound {
            return Err(Failure::refused(format!("limit reached: message bytes – {} holds more than {bound}", self.name())));
        }
        Ok(bytes)
    }

    fn path(&self) -> Option<&Path> {
        self.0.as_deref().filter(|p| p.as_os_str() != "-")
    }
}

/// Reads one file argument whole.
pub(crate) fn file(path: &Path, limits: &Limits) -> Result<Vec<u8>, Failure> {
    Source(Some(path.to_owned())).read(limits)
}
