//! Large messages in write-once files, named by their content.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::server::store::Error;

/// A folder of files that are written once.
#[derive(Debug, Clone)]
pub(in crate::server::store) struct Blobs(PathBuf);

impl Blobs {
    pub(in crate::server::store) fn open(folder: PathBuf) -> Result<Self, Error> {
        make_folder(&folder)?;
        Ok(Self(folder))
    }

    /// Writes a file and syncs it, its folder too, before its name is used anywhere.
    pub(in crate::server::store) fn write(&self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        let path = self.path(name);
        if path.exists() {
            return Ok(());
        }
        let folder = path.parent().unwrap_or(&self.0);
        make_folder(folder)?;
        let mut file = tempfile::Builder::new().prefix(".new-").tempfile_in(folder).map_err(full)?;
        file.write_all(bytes).map_err(full)?;
        file.as_file().sync_all().map_err(full)?;
        file.persist(&path).map_err(|error| full(error.error))?;
        sync(folder)?;
        sync(&self.0)
    }

    pub(in crate::server::store) fn read(&self, name: &str) -> Result<Vec<u8>, Error> {
        fs::read(self.path(name)).map_err(|error| Error::Broken(format!("the message file {name} cannot be read – {error}")))
    }

    /// Removes a file that nothing names any more; a file that stays costs space and nothing else.
    pub(in crate::server::store) fn remove(&self, name: &str) {
        let _ = fs::remove_file(self.path(name));
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name.get(..2).unwrap_or("00")).join(name)
    }
}

fn make_folder(folder: &Path) -> Result<(), Error> {
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
