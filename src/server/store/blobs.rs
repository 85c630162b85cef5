//! Large messages in write-once files, named by their folder and their content.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::server::store::growing::Grown;
use crate::server::store::{Error, Growing};

/// Folders of files.
const FOLDERS: u64 = 256;

/// Bytes from which on a message is written past the system's cache. Measured: 1 MiB takes half of the processor that way, 75 KiB half as much more.
const LARGE: usize = 256 << 10;

/// Files that are put into one folder before the next one's turn: many enough that those which come at once are together.
const IN_ONE_FOLDER: u64 = 1_000;

/// A folder of files that are written once.
#[derive(Debug, Clone)]
pub(in crate::server::store) struct Blobs {
    root: PathBuf,
    state: Arc<Mutex<State>>,
}

/// What this process knows of its files.
#[derive(Debug, Default)]
struct State {
    /// The folders whose names are on disk for certain, and what is known of the names in them.
    folders: Option<BTreeMap<String, Names>>,
    /// The files whose rows are not committed yet: nothing names them, and yet they are no leftovers.
    coming: BTreeSet<String>,
    /// Files that were named so far.
    count: u64,
}

/// The names of one folder, by their order: each sync of the folder is for all that were there when it began.
#[derive(Debug, Clone, Copy, Default)]
struct Names {
    /// The last name that was given.
    last: u64,
    /// Those up to here are on disk.
    synced: u64,
    /// Those up to here are not to be relied on: a sync failed, and what the next one says is not to be believed of them.
    failed: u64,
}

/// A file whose row is not committed yet: removed when dropped, unless it was kept.
#[derive(Debug)]
pub(in crate::server::store) struct NewFile {
    blobs: Blobs,
    name: String,
    /// Its place in the order of the names of its folder.
    number: u64,
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

    /// What is to be done before a row that names it is committed.
    pub(in crate::server::store) fn naming(&self) -> Naming {
        Naming { blobs: self.blobs.clone(), folder: short(&self.name).to_owned(), number: self.number }
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

/// The name of a file that may not be on disk yet.
#[derive(Debug)]
pub(in crate::server::store) struct Naming {
    blobs: Blobs,
    folder: String,
    number: u64,
}

impl Naming {
    /// Syncs the folder, unless that was done since the file got its name. Where one thread does this for many files, it syncs once for all that
    /// are there.
    pub(in crate::server::store) fn sync(&self) -> Result<(), Error> {
        let failed = || Error::Full("the folder of a message was not synced".to_owned());
        let begun = match self.blobs.state().names(&self.folder) {
            Some(names) if names.failed >= self.number => return Err(failed()),
            Some(names) if names.synced >= self.number => return Ok(()),
            Some(names) => names.last,
            None => return Err(failed()),
        };
        let synced = sync(&self.blobs.root.join(&self.folder));
        let mut state = self.blobs.state();
        let names = state.names(&self.folder).ok_or_else(failed)?;
        match synced {
            // another one's failed meanwhile
            Ok(()) if names.failed >= self.number => Err(failed()),
            Ok(()) => {
                names.synced = names.synced.max(begun);
                Ok(())
            }
            Err(error) => {
                names.failed = names.failed.max(begun);
                Err(error)
            }
        }
    }
}

impl State {
    fn names(&mut self, folder: &str) -> Option<&mut Names> {
        self.folders.as_mut()?.get_mut(folder)
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
        let mut begin = [0];
        crate::keys::files::random_name(&mut begin);
        let count = u64::from(begin[0]).saturating_mul(IN_ONE_FOLDER);
        Ok(Self { root: folder, state: Arc::new(Mutex::new(State { count, ..State::default() })) })
    }

    /// Writes a file and syncs it, its folder too, before its name is used anywhere.
    pub(in crate::server::store) fn write(&self, name: &str, bytes: &[u8]) -> Result<NewFile, Error> {
        let new = self.adopt(name, self.grown(bytes)?.file)?;
        new.naming().sync()?;
        Ok(new)
    }

    /// Writes a file that has no name yet, where the next start looks for what was never finished.
    pub(in crate::server::store) fn grown(&self, bytes: &[u8]) -> Result<Grown, Error> {
        let spool = self.spool();
        let file = if bytes.len() >= LARGE { Growing::new(&spool) } else { Growing::cached(&spool) };
        let grown = file.and_then(|mut file| {
            file.push(bytes)?;
            file.end()
        });
        grown.map_err(Error::from)
    }

    /// A name that no other file has. It begins with its folder: files that come at once are in one folder, which is synced for all of them.
    pub(in crate::server::store) fn name(&self, digest: &[u8]) -> String {
        let mut state = self.state();
        let folder = (state.count / IN_ONE_FOLDER) % FOLDERS;
        state.count = state.count.saturating_add(1);
        drop(state);
        let mut random = [0; 8];
        crate::keys::files::random_name(&mut random);
        format!("{folder:02x}-{}-{}", crate::pki::hex(digest), crate::pki::hex(&random))
    }

    /// Takes a file over under a name, without reading it. Its bytes are on disk then, and its name is after [`Naming::sync`].
    pub(in crate::server::store) fn adopt(&self, name: &str, file: tempfile::NamedTempFile) -> Result<NewFile, Error> {
        self.make_folder_of(name)?;
        self.state().coming.insert(name.to_owned());
        // from here on a failure removes what has the name, also where it or its folder cannot be synced
        let mut new = NewFile { blobs: self.clone(), name: name.to_owned(), number: 0, fate: Fate::Removed };
        let file = file.persist(self.path(name)).map_err(|error| error.error)?;
        // under its name: some file systems sync the folder of a new file with it, and that is to be the one where it stays
        file.sync_all().map_err(Error::from)?;
        // after it has its name: a sync that began before does not count for it
        if let Some(names) = self.state().names(short(name)) {
            names.last = names.last.saturating_add(1);
            new.number = names.last;
        }
        Ok(new)
    }

    /// Makes the folder of a name. Whoever asks may rely on its own name being on disk, not only on its being there: somebody else may be about
    /// to sync it, or have failed to.
    fn make_folder_of(&self, name: &str) -> Result<(), Error> {
        let folder = self.root.join(short(name));
        let mut state = self.state();
        let folders = match &mut state.folders {
            Some(folders) => folders,
            None => {
                sync(&self.root)?;
                let known = fs::read_dir(&self.root).map_err(Error::from)?.flatten();
                let known = known.map(|entry| (entry.file_name().to_string_lossy().into_owned(), Names::default()));
                state.folders.insert(known.collect())
            }
        };
        if !folders.contains_key(short(name)) || !folder.is_dir() {
            make_folder(&folder)?;
            sync(&self.root)?;
            folders.entry(short(name).to_owned()).or_default();
        }
        Ok(())
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
        for folder in fs::read_dir(&self.root).map_err(Error::from)? {
            let folder = folder.map_err(Error::from)?.path();
            if folder == self.spool() || !folder.is_dir() {
                continue;
            }
            for file in fs::read_dir(folder).map_err(Error::from)? {
                let file = file.map_err(Error::from)?;
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
        self.root.join(short(name)).join(name)
    }
}

/// The folder of a name.
fn short(name: &str) -> &str {
    name.get(..2).unwrap_or("00")
}

pub(in crate::server::store) fn make_folder(folder: &Path) -> Result<(), Error> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder).map_err(Error::from)
}

fn sync(folder: &Path) -> Result<(), Error> {
    fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(Error::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_sync_of_a_folder_is_for_all_names_in_it_and_one_that_failed_for_none_of_them() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let blobs = Blobs::open(folder.path().to_owned()).expect("opens");
        let new = |fill: u8| {
            let Grown { file, digest, size } = blobs.grown(&[fill; 10]).expect("written");
            assert_eq!((digest.len(), size), (32, 10));
            blobs.adopt(&blobs.name(&digest), file).expect("adopted")
        };
        let all = [new(1), new(2)];
        let short = short(all[0].name()).to_owned();
        all[0].naming().sync().expect("synced");
        let names = |blobs: &Blobs| *blobs.state().names(&short).expect("known");
        assert_eq!(names(&blobs).synced, 2, "the other one is in the same folder");
        let third = new(3);
        let (place, aside) = (folder.path().join(&short), folder.path().join("aside"));
        fs::rename(&place, &aside).expect("moved");
        assert!(third.naming().sync().is_err());
        fs::rename(&aside, &place).expect("moved back");
        assert!(third.naming().sync().is_err(), "what the next sync says is not about it");
        let fourth = new(4);
        fourth.naming().sync().expect("synced");
        assert!(third.naming().sync().is_err() && all[1].naming().sync().is_err());
        drop(third);
        fourth.kept();
        assert_eq!(fs::read_dir(place).expect("a folder").count(), 3, "what failed is gone");
    }
}
