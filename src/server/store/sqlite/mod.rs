//! The store in one SQLite database: one thread writes, everything that waits is committed at once.

mod accounts;
mod backup;
mod bodies;
mod check;
mod mailboxes;
mod policies;
mod queue;
mod schema;
mod writer;

use std::path::Path;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;

use rusqlite::{Connection, ErrorCode};

use crate::server::store::blobs::Blobs;
use crate::server::store::{Delivery, Error, Fault, Store};

/// The store on disk.
pub struct SqliteStore {
    jobs: Mutex<Option<Sender<writer::Job>>>,
    writer: Mutex<Option<JoinHandle<()>>>,
    readers: Mutex<Vec<Connection>>,
    path: std::path::PathBuf,
    blobs: Blobs,
}

impl std::fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SqliteStore({})", self.path.display())
    }
}

impl SqliteStore {
    /// Opens the store of a folder; makes it where there is none.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        let blobs = Blobs::open(folder.join("messages"))?;
        let path = folder.join("mail.db");
        let connection = connect(&path)?;
        schema::migrate(&connection)?;
        let (jobs, queue) = channel();
        let checkpoints = writer::Checkpoints::begin(connect(&path)?, &path)?;
        let reopen = path.clone();
        let write = move || writer::write_all((connection, &reopen), &queue, &checkpoints);
        let writer = std::thread::Builder::new().name("store".to_owned()).spawn(write);
        let writer = writer.map_err(|error| Error::Broken(error.to_string()))?;
        Ok(Self { jobs: Mutex::new(Some(jobs)), writer: Mutex::new(Some(writer)), readers: Mutex::new(Vec::new()), path, blobs })
    }

    pub(in crate::server::store::sqlite) fn read<T>(
        &self,
        job: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, Error> {
        let idle = self.readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = match idle {
            Some(connection) => connection,
            None => connect(&self.path)?,
        };
        let result = job(&connection);
        // one that could not read what is on the disk is not asked again
        let is_good = !matches!(&result, Err(error) if error.sqlite_error_code() == Some(ErrorCode::SystemIoFailure));
        if is_good {
            self.readers.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        }
        result.map_err(from_sqlite)
    }

    pub(in crate::server::store::sqlite) fn column(&self, query: &str) -> Result<Vec<String>, Error> {
        self.read(|c| c.prepare_cached(query)?.query_map([], |row| row.get(0))?.collect())
    }
}

/// Waits until everything that was asked is on disk.
impl Drop for SqliteStore {
    fn drop(&mut self) {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(writer) = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take() {
            let _ = writer.join();
        }
    }
}

fn connect(path: &Path) -> Result<Connection, Error> {
    // made before SQLite opens it: its other files take over the mode, and hashes and mail are the owner's alone
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map_err(|error| Error::Full(format!("{} – {error}", path.display())))?;
    let connection = Connection::open(path).map_err(from_sqlite)?;
    // WAL with FULL: every commit is synced before it is acknowledged
    let settings = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA busy_timeout = 10000;
                    PRAGMA wal_autocheckpoint = 0;";
    connection.execute_batch(settings).map_err(from_sqlite)?;
    Ok(connection)
}

#[allow(clippy::needless_pass_by_value, reason = "the shape that map_err wants")]
pub(in crate::server::store::sqlite) fn from_sqlite(error: rusqlite::Error) -> Error {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull | ErrorCode::SystemIoFailure | ErrorCode::ReadOnly) => Error::Full(error.to_string()),
        Some(ErrorCode::ConstraintViolation) => Error::Exists(error.to_string()),
        _ => Error::Broken(error.to_string()),
    }
}

pub(in crate::server::store::sqlite) fn changed(rows: usize, what: &str) -> Result<(), Error> {
    if rows == 0 { Err(Error::NotFound(what.to_owned())) } else { Ok(()) }
}

impl Store for SqliteStore {
    fn deliver(&self, delivery: Delivery) -> Result<(), Error> {
        let Delivery { message, final_fields, mailboxes, sender, elsewhere, terms, priority, at } = delivery;
        let (body, file) = self.place(message)?;
        let done = self.write(move |c| {
            let body = bodies::insert_body(c, &body)?;
            mailboxes.iter().try_for_each(|mailbox| mailboxes::insert_message(c, mailbox, (body, &final_fields), at))?;
            if elsewhere.is_empty() {
                return Ok(());
            }
            queue::insert(c, &sender, body, &terms, priority, &elsewhere, at)
        });
        match (&done, file) {
            (Ok(()), Some(file)) => file.kept(),
            (Err(Error::Unsure(_)), Some(file)) => file.unsure(),
            // what was not committed needs no file
            (_, file) => drop(file),
        }
        done
    }

    fn check(&self) -> Result<Vec<Fault>, Error> {
        self.faults()
    }

    fn repair(&self) -> Result<Vec<Fault>, Error> {
        self.mend()
    }

    fn sweep(&self) -> Result<usize, Error> {
        self.remove_leftovers()
    }

    fn spool(&self) -> std::path::PathBuf {
        self.blobs.spool()
    }
}
