//! The store in one SQLite database: one thread writes, everything that waits is committed at once.

mod accounts;
mod backup;
mod bodies;
mod check;
mod mailboxes;
mod policies;
mod queue;
mod schema;
mod taken;
mod tokens;
mod writer;

use std::io::ErrorKind;
use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::mpsc::{Sender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use rusqlite::{Connection, ErrorCode};

use crate::server::store::blobs::{Blobs, Naming, NewFile};
use crate::server::store::sqlite::writer::Apart;
use crate::server::store::{Bound, Commits, Counted, Delivery, Error, Fault, Store};
use crate::time::Timestamp;

/// The store on disk.
pub struct SqliteStore {
    jobs: Mutex<Option<Sender<writer::Job>>>,
    writer: Mutex<Option<JoinHandle<()>>>,
    readers: Mutex<Vec<Connection>>,
    path: std::path::PathBuf,
    blobs: Blobs,
    commits: Arc<Commits>,
    /// How often accounts were changed.
    changes: AtomicU64,
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
        let commits = Arc::new(Commits::default());
        let (timed, reopen) = (Arc::clone(&commits), path.clone());
        let write = move || writer::write_all((connection, &reopen), &queue, &checkpoints, &timed);
        let writer = std::thread::Builder::new().name("store".to_owned()).spawn(write);
        let writer = writer.map_err(|error| Error::Broken(error.to_string()))?;
        let (jobs, writer) = (Mutex::new(Some(jobs)), Mutex::new(Some(writer)));
        Ok(Self { jobs, writer, readers: Mutex::new(Vec::new()), path, blobs, commits, changes: AtomicU64::new(0) })
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

/// Makes the file where there is none: SQLite's others take over its mode, and hashes and mail are the owner's alone.
///
/// One that is there is not opened. POSIX takes all locks of a process on a file away when the process closes it, however often it has it open; then
/// any other program that looks into the database thinks at its end that it was the last, and removes the log that this one writes to.
fn create(path: &Path) -> Result<(), Error> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(Error::at(path, &error)),
        _ => Ok(()),
    }
}

fn connect(path: &Path) -> Result<Connection, Error> {
    create(path)?;
    let connection = Connection::open(path).map_err(from_sqlite)?;
    // SQLite takes a file for reading where it cannot have it for writing at that moment, and would say so at every write from then on
    if connection.is_readonly(rusqlite::MAIN_DB).map_err(from_sqlite)? {
        return Err(Error::Full(format!("{} could be opened for reading alone", path.display())));
    }
    // WAL with FULL: every commit is synced before it is acknowledged. What is put aside for a while is mail, too: it is written nowhere else
    let settings = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA busy_timeout = 10000;
                    PRAGMA wal_autocheckpoint = 0; PRAGMA temp_store = MEMORY;";
    connection.execute_batch(settings).map_err(from_sqlite)?;
    // all that deliveries and sessions run, or each evicts what the next one needs
    connection.set_prepared_statement_cache_capacity(64);
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
    fn deliver(&self, delivery: Delivery) -> Result<Option<i64>, Error> {
        let (told, waiting) = sync_channel(1);
        // nobody waits where this thread ended
        self.deliver_then(delivery, Box::new(move |kept| drop(told.send(kept))));
        waiting.recv().unwrap_or_else(|_| Err(Error::Broken("it is closed".to_owned())))
    }

    fn deliver_then(&self, delivery: Delivery, done: Box<dyn FnOnce(Result<Option<i64>, Error>) + Send>) {
        let Delivery { message, final_fields, mailboxes, sender, elsewhere, terms, priority, at, extra } = delivery;
        let (body, file) = match self.place(message) {
            Ok(placed) => placed,
            Err(error) => return done(Err(error)),
        };
        let naming = file.as_ref().map(NewFile::naming);
        // it fails before it changes anything, or does not fail
        let is_plain = mailboxes.len() == 1 && elsewhere.is_empty() && extra.taken.is_none();
        let insert = move |c: &Connection| {
            let copies = mailboxes.iter().map(|mailbox| {
                let marks = extra.marks.get(mailbox).map(Vec::as_slice).unwrap_or_default();
                let fields = Delivery::fields_in(&final_fields, mailbox, marks);
                let bytes = body.size().saturating_add(u64::try_from(fields.len()).unwrap_or(0));
                (mailbox, bytes, fields, marks)
            });
            let copies: Vec<_> = copies.collect();
            if extra.bound == Bound::Within {
                mailboxes::fit(c, copies.iter().map(|(mailbox, bytes, ..)| (mailbox.as_str(), *bytes)))?;
            }
            // on the thread that writes: once for all files of a commit
            naming.iter().try_for_each(Naming::sync)?;
            let mut numbers = Vec::with_capacity(copies.len());
            for (mailbox, bytes, ..) in &copies {
                numbers.push(mailboxes::take_number(c, mailbox, *bytes)?);
            }
            let body = bodies::insert_body(c, &body)?;
            for ((mailbox, _, fields, marks), uid) in copies.iter().zip(numbers) {
                mailboxes::insert_message(c, (mailbox, uid), (body, fields, marks), at)?;
            }
            if let Some(name) = &extra.taken {
                taken::insert(c, name, at)?;
            }
            if elsewhere.is_empty() {
                return Ok(None);
            }
            queue::insert(c, &sender, body, &terms, priority, &elsewhere, at).map(Some)
        };
        let apart = if is_plain { Apart::No } else { Apart::Yes };
        self.write_then((insert, apart), move |kept| {
            match (&kept, file) {
                (Ok(_), Some(file)) => file.kept(),
                (Err(Error::Unsure(_)), Some(file)) => file.unsure(),
                // what was not committed needs no file
                (_, file) => drop(file),
            }
            done(kept);
        });
    }

    fn pulse(&self, at: Timestamp) -> Result<(), Error> {
        let query = "INSERT OR REPLACE INTO pulse (id, at) VALUES (1, ?1)";
        self.write(move |c| c.execute(query, [at.unix()]).map(|_| ()).map_err(from_sqlite))
    }

    fn commits(&self) -> Counted {
        self.commits.counted()
    }

    fn check(&self) -> Result<Vec<Fault>, Error> {
        self.faults()
    }

    fn repair(&self) -> Result<Vec<Fault>, Error> {
        self.mend()
    }

    fn taken(&self) -> Result<Vec<String>, Error> {
        self.column("SELECT name FROM taken")
    }

    fn forget_taken(&self, names: &[String]) -> Result<(), Error> {
        let names = names.to_vec();
        self.write(move |c| taken::forget(c, &names))
    }

    fn sweep(&self) -> Result<usize, Error> {
        self.remove_leftovers()
    }

    fn spool(&self) -> std::path::PathBuf {
        self.blobs.spool()
    }
}
