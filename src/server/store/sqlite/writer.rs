//! The one thread that writes.

use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Instant;

use rusqlite::{Connection, ErrorCode};

use crate::server::store::sqlite::{SqliteStore, connect, from_sqlite};
use crate::server::store::{Commits, Error};

/// Jobs committed together at most; bounds how long the first one waits.
const GROUP: usize = 256;

/// Jobs of one commit from which on waiting for more saves nothing.
const MANY: usize = 10;

/// Runs inside the transaction (or is told that there is none); what it gives back is called with how the commit went.
pub(in crate::server::store::sqlite) type Job = Box<dyn FnOnce(Option<&Connection>) -> Reply + Send>;
pub(in crate::server::store::sqlite) type Reply = Box<dyn FnOnce(Result<(), Error>) + Send>;

/// Whether what a job changed is taken back alone where it fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::server::store::sqlite) enum Apart {
    /// It is.
    Yes,
    /// It has changed nothing where it fails; that saves a copy of each page that it changes.
    No,
}

impl SqliteStore {
    /// Runs a job in the writer's next transaction, and waits until it is on disk.
    pub(in crate::server::store::sqlite) fn write<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (answer, waiting): (SyncSender<Result<T, Error>>, _) = sync_channel(1);
        // who asked may be gone
        self.write_then((job, Apart::Yes), move |result| drop(answer.send(result)));
        waiting.recv().map_err(|_| closed())?
    }

    /// The same without waiting: `then` is told on the writer's thread, when it is on disk or is not.
    pub(in crate::server::store::sqlite) fn write_then<T: Send + 'static>(
        &self,
        (job, apart): (impl FnOnce(&Connection) -> Result<T, Error> + Send + 'static, Apart),
        then: impl FnOnce(Result<T, Error>) + Send + 'static,
    ) {
        let job: Job = Box::new(move |connection| {
            let missing = || Error::Broken("there is no transaction".to_owned());
            let result = connection.ok_or_else(missing).and_then(|connection| match apart {
                Apart::Yes => in_savepoint(connection, job),
                Apart::No => among_others(connection, job),
            });
            Box::new(move |committed| then(committed.and(result)))
        });
        let jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        let unsent = match jobs.as_ref() {
            Some(jobs) => jobs.send(job).err().map(|unsent| unsent.0),
            None => Some(job),
        };
        drop(jobs);
        if let Some(job) = unsent {
            job(None)(Err(closed()));
        }
    }
}

fn closed() -> Error {
    Error::Broken("it is closed".to_owned())
}

/// The writer: takes what waits, runs it in one transaction, commits, and then answers.
///
/// After a sync that failed, the system may take pages for written that never were, and says of the next sync that all is well: so what
/// failed is not tried again, and nothing that the connection remembers is relied on. It is opened anew.
pub(in crate::server::store::sqlite) fn write_all(
    (connection, path): (Connection, &Path),
    queue: &Receiver<Job>,
    checkpoints: &Checkpoints,
    commits: &Commits,
) {
    let (mut open, mut together) = (Some(connection), 0);
    while let Ok(first) = queue.recv() {
        // who waited with others before is about to bring the next one, where the processors are busy: he goes first
        if (2..MANY).contains(&together) {
            std::thread::yield_now();
        }
        let connection = match open.take().map_or_else(|| connect(path), Ok) {
            Ok(connection) => connection,
            Err(error) => {
                first(None)(Err(error));
                continue;
            }
        };
        if let Err(error) = run(&connection, "BEGIN IMMEDIATE").map_err(from_sqlite) {
            // nothing may run outside a transaction: its savepoint would commit by itself
            first(None)(Err(error));
            continue;
        }
        let mut replies = Vec::new();
        let mut next = Some(first);
        while let Some(job) = next {
            replies.push(job(Some(&connection)));
            // on a full disk SQLite takes the whole transaction back: what comes next needs a new one
            let is_gone = connection.is_autocommit();
            next = if replies.len() < GROUP && !is_gone { queue.try_recv().ok() } else { None };
        }
        together = replies.len();
        let begun = Instant::now();
        let committed = run(&connection, "COMMIT").map_err(in_commit);
        commits.took(begun.elapsed());
        if committed.is_err() {
            let _ = connection.execute_batch("ROLLBACK");
        } else {
            checkpoints.after(&connection);
            open = Some(connection);
        }
        replies.into_iter().for_each(|reply| reply(committed.clone()));
    }
}

/// A commit that failed. Where the disk was full, its last page was not written and nothing can be there; where a sync failed, all of it may.
#[allow(clippy::needless_pass_by_value, reason = "the shape that map_err wants")]
fn in_commit(error: rusqlite::Error) -> Error {
    match error.sqlite_error_code() {
        Some(ErrorCode::SystemIoFailure) => Error::Unsure(error.to_string()),
        _ => from_sqlite(error),
    }
}

/// A job that fails leaves the others of its transaction alone.
fn in_savepoint<T>(connection: &Connection, job: impl FnOnce(&Connection) -> Result<T, Error>) -> Result<T, Error> {
    run(connection, "SAVEPOINT job").map_err(from_sqlite)?;
    let result = job(connection);
    if result.is_err() {
        run(connection, "ROLLBACK TO job").map_err(from_sqlite)?;
    }
    run(connection, "RELEASE job").map_err(from_sqlite)?;
    result
}

/// A job that fails has changed nothing. Where it did after all, all of the transaction is taken back, and everybody in it hears that it failed.
fn among_others<T>(connection: &Connection, job: impl FnOnce(&Connection) -> Result<T, Error>) -> Result<T, Error> {
    let before = connection.total_changes();
    let result = job(connection);
    if result.is_err() && connection.total_changes() != before && !connection.is_autocommit() {
        run(connection, "ROLLBACK").map_err(from_sqlite)?;
    }
    result
}

/// Runs a statement that is run again and again.
fn run(connection: &Connection, query: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(query)?.execute([]).map(drop)
}

/// The log of the database is carried over beside the writer, so that no commit waits for it.
pub(in crate::server::store::sqlite) struct Checkpoints {
    log: PathBuf,
    wake: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Checkpoints {
    pub(in crate::server::store::sqlite) fn begin(connection: Connection, database: &Path) -> Result<Self, Error> {
        let (wake, woken) = sync_channel(1);
        let run = move || {
            while woken.recv().is_ok() {
                // what is not carried over now is so next time
                let _ = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
                // it syncs what the writer syncs, too, and would slow it if it went on without a pause
                std::thread::sleep(PAUSE);
            }
        };
        let thread = std::thread::Builder::new().name("checkpoints".to_owned()).spawn(run);
        let thread = thread.map_err(|error| Error::Broken(error.to_string()))?;
        let mut log = database.as_os_str().to_owned();
        log.push("-wal");
        Ok(Self { log: PathBuf::from(log), wake: Some(wake), thread: Some(thread) })
    }

    /// After a commit: wakes the other thread where there is enough to do; where it cannot keep up, the writer waits for it once.
    fn after(&self, connection: &Connection) {
        let size = std::fs::metadata(&self.log).map_or(0, |log| log.len());
        if size > LOG_MOST {
            let _ = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        } else if size > LOG_ENOUGH
            && let Some(wake) = &self.wake
        {
            // it is at work already, or has been told
            let _ = wake.try_send(());
        }
    }
}

impl Drop for Checkpoints {
    fn drop(&mut self) {
        self.wake.take();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Between two of them; at 10 000 messages of 4 KiB a second, the log grows by 4 MiB meanwhile.
const PAUSE: std::time::Duration = std::time::Duration::from_millis(100);

/// 4 MiB: SQLite's own measure, 1000 pages.
const LOG_ENOUGH: u64 = 4 << 20;

/// Past this the log is emptied whatever it costs: readers look through all of it, and so does the next start.
const LOG_MOST: u64 = 256 << 20;
