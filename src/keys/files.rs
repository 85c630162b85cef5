//! Files that only their owner reads, written whole or not at all.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::keys::Error;

/// Makes a folder (and those above it) that only its owner may enter.
pub fn make_folder(path: &Path) -> Result<(), Error> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(on(path))
}

/// Writes a file beside its name, syncs it, renames it. The file is 0600.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    write_parts(path, &[bytes])
}

/// Writes a file as [`write()`] does, of parts one after another.
pub fn write_parts(path: &Path, parts: &[&[u8]]) -> Result<(), Error> {
    write_with(path, |file| parts.iter().try_for_each(|part| file.write_all(part)).map_err(on(path)))
}

/// Writes a file beside its name in pieces, syncs it, renames it; where writing fails, all stays as it was. The file is 0600.
pub fn write_with<E: From<Error>>(path: &Path, write: impl FnOnce(&mut fs::File) -> Result<(), E>) -> Result<(), E> {
    let folder = folder_of(path);
    let mut beside = tempfile::Builder::new().prefix(BESIDE).tempfile_in(folder).map_err(on(path))?;
    write(beside.as_file_mut())?;
    beside.as_file().sync_all().map_err(on(path))?;
    beside.persist(path).map_err(|e| on(path)(e.error))?;
    Ok(sync_folder(folder)?)
}

/// How files that are being written begin.
const BESIDE: &str = ".new-";

/// Removes what a crash left half written in a folder: keys could lie in it. Only where no other writer can be at work there.
pub(crate) fn sweep(folder: &Path) -> Result<(), Error> {
    for entry in fs::read_dir(folder).map_err(on(folder))? {
        let entry = entry.map_err(on(folder))?;
        if entry.file_name().to_string_lossy().starts_with(BESIDE) {
            remove_if_there(&entry.path())?;
        }
    }
    Ok(())
}

/// Removes a file; one that is not there is gone already.
pub(crate) fn remove_if_there(path: &Path) -> Result<(), Error> {
    match remove(path) {
        Err(Error::Io { error, .. }) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Reads a file; none where another process has removed it.
pub(crate) fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>, Error> {
    match read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(Error::Io { error, .. }) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Appends a line to a file and syncs it, whole or not at all; the file is 0600.
pub fn append(path: &Path, line: &str) -> Result<(), Error> {
    let mut options = fs::OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path).map_err(on(path))?;
    let before = file.metadata().map_err(on(path))?.len();
    let written = file.write_all(format!("{line}\n").as_bytes()).and_then(|()| file.sync_all());
    // half a line would stand before the next one
    written.or_else(|error| file.set_len(before).and(Err(error))).map_err(on(path))
}

/// Reads a file.
pub fn read(path: &Path) -> Result<Vec<u8>, Error> {
    fs::read(path).map_err(on(path))
}

/// Removes a file, and tells the disk.
pub fn remove(path: &Path) -> Result<(), Error> {
    fs::remove_file(path).map_err(on(path))?;
    sync_folder(folder_of(path))
}

/// The entries of a folder in order; none where there is no folder. Files that are being written are passed over.
pub fn list(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(on(folder)(error)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(on(folder))?;
        if !entry.file_name().to_string_lossy().starts_with('.') {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

/// A lock that one writer holds; others wait. Gone when dropped.
#[derive(Debug)]
pub struct Lock(#[allow(dead_code, reason = "the lock lives as long as the file is open")] fs::File);

/// Waits for the lock of a folder.
pub fn lock(folder: &Path) -> Result<Lock, Error> {
    let path = folder.join(".lock");
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(&path).map_err(on(&path))?;
    file.lock().map_err(on(&path))?;
    Ok(Lock(file))
}

/// The folder of a file; the working folder where a bare name is given.
fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn sync_folder(folder: &Path) -> Result<(), Error> {
    fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(on(folder))
}

fn on(path: &Path) -> impl FnOnce(std::io::Error) -> Error + '_ {
    move |error| Error::Io { path: path.to_owned(), error }
}

/// Fills `out` with random bytes of the operating system, for names that nobody shall guess or meet.
pub fn random_name(out: &mut [u8]) {
    use crate::crypto::random::{OsRandom, Random};
    OsRandom.fill(out);
}
