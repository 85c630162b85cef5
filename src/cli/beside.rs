//! A file that comes into being in the folder where it will be.
//!
//! Where the system can, it has no name until it is whole: nobody finds it, and it goes with the process, however that ends. Elsewhere it
//! has a name of its own, and only its owner may read it.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use tempfile::NamedTempFile;

/// A file without its name.
pub(crate) enum Beside {
    /// It has none at all.
    #[cfg(target_os = "linux")]
    Unnamed(File),
    /// It has another.
    Named(NamedTempFile),
}

impl Beside {
    /// Begins a file in the folder of `path`.
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        #[cfg(target_os = "linux")]
        if let Ok(file) = unnamed(folder) {
            return Ok(Self::Unnamed(file));
        }
        named(folder).map(Self::Named)
    }

    /// Forgets what was written.
    pub(crate) fn restart(&mut self) -> io::Result<()> {
        let file = self.file();
        file.set_len(0)?;
        file.seek(SeekFrom::Start(0)).map(|_| ())
    }

    /// Gives it its name; `AlreadyExists` where that is taken and must not be.
    pub(crate) fn keep(self, path: &Path, taken: Taken) -> io::Result<()> {
        match self {
            #[cfg(target_os = "linux")]
            Self::Unnamed(file) => keep_unnamed(file, path, taken),
            Self::Named(file) => keep_named(file, path, taken),
        }
    }

    fn file(&mut self) -> &mut File {
        match self {
            #[cfg(target_os = "linux")]
            Self::Unnamed(file) => file,
            Self::Named(file) => file.as_file_mut(),
        }
    }
}

/// What becomes of a file that has the name already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It stays.
    Refuse,
    /// It is replaced.
    Replace,
}

impl Write for Beside {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file().flush()
    }
}

/// How a file is called before it has its name.
const PREFIX: &str = ".sealpost-";

fn named(folder: &Path) -> io::Result<NamedTempFile> {
    tempfile::Builder::new().prefix(PREFIX).tempfile_in(folder)
}

fn keep_named(file: NamedTempFile, path: &Path, taken: Taken) -> io::Result<()> {
    let kept = match taken {
        Taken::Replace => file.persist(path),
        Taken::Refuse => file.persist_noclobber(path),
    };
    kept.map(|_| ()).map_err(|error| error.error)
}

#[cfg(target_os = "linux")]
fn unnamed(folder: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    let flag = i32::try_from(rustix::fs::OFlags::TMPFILE.bits()).map_err(io::Error::other)?;
    std::fs::OpenOptions::new().read(true).write(true).mode(0o600).custom_flags(flag).open(folder)
}

/// Links the file to its name (open(2), `O_TMPFILE`); a name that is taken is replaced by way of another.
#[cfg(target_os = "linux")]
fn keep_unnamed(file: File, path: &Path, taken: Taken) -> io::Result<()> {
    use std::os::fd::AsRawFd;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let link = |to: &Path| {
        let from = format!("/proc/self/fd/{}", file.as_raw_fd());
        let (here, follow) = (rustix::fs::CWD, rustix::fs::AtFlags::SYMLINK_FOLLOW);
        rustix::fs::linkat(here, from.as_str(), here, to, follow).map_err(io::Error::from)
    };
    let linked = match taken {
        Taken::Refuse => link(path),
        // a free name for the moment; the file is removed by it where renaming fails
        Taken::Replace => tempfile::Builder::new()
            .prefix(PREFIX)
            .make_in(folder, link)
            .and_then(|free| free.into_temp_path().persist(path).map_err(|error| error.error)),
    };
    match linked {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(error),
        // no /proc, or a file system that does not link such files
        Err(_) => copy_named(file, folder, path, taken),
        Ok(()) => Ok(()),
    }
}

#[cfg(target_os = "linux")]
fn copy_named(mut file: File, folder: &Path, path: &Path, taken: Taken) -> io::Result<()> {
    let mut copy = named(folder)?;
    file.seek(SeekFrom::Start(0))?;
    io::copy(&mut Read::by_ref(&mut file), &mut copy)?;
    keep_named(copy, path, taken)
}
