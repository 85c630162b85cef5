//! Large messages in write-once files, named by their content.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::server::store::Error;

/// A folder of files that are written once.
#[derive(Debug, Clone)]
pub(in crate::server::store) struct Blobs(PathBuf);

impl Blobs {
    pub(in crate::server::store) fn open(folder: PathBuf) -> Result<Self, Error> {
        make_folder(&folder.join("spool"))?;
        Ok(Self(folder))
    }

    /// Writes a file and syncs it, its folder too, before its name is used anywhere.
    pub(in crate::server::store) fn write(&self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        let folder = self.folder(name)?;
        let mut file = tempfile::Builder::new().prefix(".new-").tempfile_in(folder).map_err(full)?;
        file.write_all(bytes).map_err(full)?;
        self.keep(name, file)
    }

    /// Takes a file over under a name, without reading it.
    pub(in crate::server::store) fn adopt(&self, name: &str, file: tempfile::NamedTempFile) -> Result<(), Error> {
        self.folder(name)?;
        self.keep(name, file)
    }

    fn keep(&self, name: &str, file: tempfile::NamedTempFile) -> Result<(), Error> {
        let path = self.path(name);
        file.as_file().sync_all().map_err(full)?;
        file.persist(&path).map_err(|error| full(error.error))?;
        sync(path.parent().unwrap_or(&self.0))
    }

    /// The folder of a name; made, and its own name synced, where it is new.
    fn folder(&self, name: &str) -> Result<PathBuf, Error> {
        let path = self.path(name);
        let folder = path.parent().unwrap_or(&self.0).to_owned();
        if !folder.is_dir() {
            make_folder(&folder)?;
            sync(&self.0)?;
        }
        Ok(folder)
    }

    pub(in crate::server::store) fn open_file(&self, name: &str) -> Result<fs::File, Error> {
        fs::File::open(self.path(name))
            .map_err(|error| Error::Broken(format!("the message file {name} cannot be read – {error}")))
    }

    /// Where messages are spooled that come.
    pub(in crate::server::store) fn spool(&self) -> PathBuf {
        self.0.join("spool")
    }

    /// Removes a file that nothing names any more; a file that stays costs space and nothing else.
    pub(in crate::server::store) fn remove(&self, name: &str) {
        let _ = fs::remove_file(self.path(name));
    }

    /// Every file but what is spooled, with its age.
    pub(in crate::server::store) fn names(&self) -> Result<Vec<(String, Duration)>, Error> {
        let mut found = Vec::new();
        for folder in fs::read_dir(&self.0).map_err(full)? {
            let folder = folder.map_err(full)?.path();
            if folder == self.spool() || !folder.is_dir() {
                continue;
            }
            for file in fs::read_dir(folder).map_err(full)? {
                let file = file.map_err(full)?;
                // gone meanwhile, or from a clock that was ahead: new
                let age = file.metadata().and_then(|data| data.modified()).ok().and_then(|at| at.elapsed().ok());
                found.push((file.file_name().to_string_lossy().into_owned(), age.unwrap_or_default()));
            }
        }
        Ok(found)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name.get(..2).unwrap_or("00")).join(name)
    }
}

pub(in crate::server::store) fn make_folder(folder: &Path) -> Result<(), Error> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder).map_err(full)
}

fn sync(folder: &Path) -> Result<(), Error> {
    fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(full)
}

#[allow(clippy::needless_pass_by_value, reason = "the shape that map_err wants")]
fn full(error: std::io::Error) -> Error {
    Error::Full(error.to_string())
}
