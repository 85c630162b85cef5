//! Large messages in write-once files, named by their content.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::server::store::Error;

/// A folder of files that are written once.
#[derive(Debug, Clone)]
pub(in crate::server::store) struct Blobs {
    root: PathBuf,
    state: Arc<Mutex<State>>,
}

/// What this process knows of its files.
#[derive(Debug, Default)]
struct State {
    /// The folders whose names are on disk for certain.
    folders: Option<BTreeSet<String>>,
    /// The files whose rows are not committed yet: nothing names them, and yet they are no leftovers.
    coming: BTreeSet<String>,
}

/// A file whose row is not committed yet: removed when dropped, unless it was kept.
#[derive(Debug)]
pub(in crate::server::store) struct NewFile {
    blobs: Blobs,
    name: String,
    fate: Fate,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// Nothing names it, and nothing will.
    Removed,
    /// Its row is on disk.
    Kept,
    /// Nobody knows whether its row is.
    Unknown,
}

impl NewFile {
    pub(in crate::server::store) fn name(&self) -> &str {
        &self.name
    }

    /// The row that names it is on disk.
    pub(in crate::server::store) fn kept(mut self) {
        self.fate = Fate::Kept;
    }

    /// The row may be on disk or not: the file stays, and the next start looks at it.
    pub(in crate::server::store) fn unsure(mut self) {
        self.fate = Fate::Unknown;
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        match self.fate {
            Fate::Removed => self.blobs.remove(&self.name),
            Fate::Kept => {}
            Fate::Unknown => return,
        }
        self.blobs.state().coming.remove(&self.name);
    }
}

impl Blobs {
    pub(in crate::server::store) fn open(folder: PathBuf) -> Result<Self, Error> {
        make_folder(&folder.join("spool"))?;
        Ok(Self { root: folder, state: Arc::default() })
    }

    /// Writes a file and syncs it, its folder too, before its name is used anywhere.
    pub(in crate::server::store) fn write(&self, name: &str, bytes: &[u8]) -> Result<NewFile, Error> {
        // where the next start looks for what was never finished
        let mut file = tempfile::NamedTempFile::new_in(self.spool()).map_err(full)?;
        file.write_all(bytes).map_err(full)?;
        self.adopt(name, file)
    }

    /// Takes a file over under a name, without reading it.
    pub(in crate::server::store) fn adopt(&self, name: &str, file: tempfile::NamedTempFile) -> Result<NewFile, Error> {
        let folder = self.folder(name)?;
        file.as_file().sync_all().map_err(full)?;
        self.state().coming.insert(name.to_owned());
        // from here on a failure removes what has the name, also where its folder cannot be synced
        let new = NewFile { blobs: self.clone(), name: name.to_owned(), fate: Fate::Removed };
        file.persist(self.path(name)).map_err(|error| full(error.error))?;
        sync(&folder)?;
        Ok(new)
    }

    /// The folder of a name. Whoever gets it may rely on its own name being on disk, not only on its being there: somebody else may be about
    /// to sync it, or have failed to.
    fn folder(&self, name: &str) -> Result<PathBuf, Error> {
        let short = name.get(..2).unwrap_or("00");
        let folder = self.root.join(short);
        let mut state = self.state();
        let folders = match &mut state.folders {
            Some(folders) => folders,
            None => {
                sync(&self.root)?;
                let known = fs::read_dir(&self.root).map_err(full)?.flatten();
                state.folders.insert(known.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect())
            }
        };
        if !folders.contains(short) || !folder.is_dir() {
            make_folder(&folder)?;
            sync(&self.root)?;
            folders.insert(short.to_owned());
        }
        Ok(folder)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(in crate::server::store) fn open_file(&self, name: &str) -> Result<fs::File, Error> {
        fs::File::open(self.path(name))
            .map_err(|error| Error::Broken(format!("the message file {name} cannot be read – {error}")))
    }

    /// Removes a file by its place below the folder.
    pub(in crate::server::store) fn remove_at(&self, place: &Path) {
        let _ = fs::remove_file(self.root.join(place));
    }

    /// Where messages are spooled that come.
    pub(in crate::server::store) fn spool(&self) -> PathBuf {
        self.root.join("spool")
    }

    /// Removes a file that nothing names any more; a file that stays costs space and nothing else.
    pub(in crate::server::store) fn remove(&self, name: &str) {
        let _ = fs::remove_file(self.path(name));
    }

    /// Looks at every file but what is spooled, one after another: its place below the folder, its name, and its age. Those that this process
    /// is about to name are left out.
    pub(in crate::server::store) fn each(
        &self,
        mut look: impl FnMut(&Path, &str, Duration) -> Result<(), Error>,
    ) -> Result<(), Error> {
        for folder in fs::read_dir(&self.root).map_err(full)? {
            let folder = folder.map_err(full)?.path();
            if folder == self.spool() || !folder.is_dir() {
                continue;
            }
            for file in fs::read_dir(folder).map_err(full)? {
                let file = file.map_err(full)?;
                let name = file.file_name().to_string_lossy().into_owned();
                if self.state().coming.contains(&name) {
                    continue;
                }
                // gone meanwhile, or from a clock that was ahead: new
                let age = file.metadata().and_then(|data| data.modified()).ok().and_then(|at| at.elapsed().ok());
                let path = file.path();
                look(path.strip_prefix(&self.root).unwrap_or(&path), &name, age.unwrap_or_default())?;
            }
        }
        Ok(())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.join(name.get(..2).unwrap_or("00")).join(name)
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
