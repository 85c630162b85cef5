//! The one thread that writes.

use std::sync::PoisonError;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use rusqlite::Connection;

use crate::server::store::Error;
use crate::server::store::sqlite::{SqliteStore, from_sqlite};

/// Jobs committed together at most; bounds how long the first one waits.
const GROUP: usize = 256;

/// Runs inside the transaction (or is told that there is none); what it gives back is called with how the commit went.
pub(in crate::server::store::sqlite) type Job = Box<dyn FnOnce(Option<&Connection>) -> Reply + Send>;
pub(in crate::server::store::sqlite) type Reply = Box<dyn FnOnce(Result<(), Error>) + Send>;

impl SqliteStore {
    /// Runs a job in the writer's next transaction, and waits until it is on disk.
    pub(in crate::server::store::sqlite) fn write<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (answer, waiting): (SyncSender<Result<T, Error>>, _) = sync_channel(1);
        let job: Job = Box::new(move |connection| {
            let missing = || Error::Broken("there is no transaction".to_owned());
            let result = connection.ok_or_else(missing).and_then(|connection| in_savepoint(connection, job));
            Box::new(move |committed| {
                // who asked may be gone
                let _ = answer.send(committed.and(result));
            })
        });
        let jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        let closed = || Error::Broken("it is closed".to_owned());
        jobs.as_ref().ok_or_else(closed)?.send(job).map_err(|_| closed())?;
        drop(jobs);
        waiting.recv().map_err(|_| closed())?
    }
}

/// The writer: takes what waits, runs it in one transaction, commits, and then answers.
pub(in crate::server::store::sqlite) fn write_all(connection: &Connection, queue: &Receiver<Job>) {
    while let Ok(first) = queue.recv() {
        if let Err(error) = connection.execute_batch("BEGIN IMMEDIATE").map_err(from_sqlite) {
            // nothing may run outside a transaction: its savepoint would commit by itself
            first(None)(Err(error));
            continue;
        }
        let mut replies = Vec::new();
        let mut next = Some(first);
        while let Some(job) = next {
            replies.push(job(Some(connection)));
            // on a full disk SQLite takes the whole transaction back: what comes next needs a new one
            let is_gone = connection.is_autocommit();
            next = if replies.len() < GROUP && !is_gone { queue.try_recv().ok() } else { None };
        }
        let committed = connection.execute_batch("COMMIT").map_err(from_sqlite);
        if committed.is_err() {
            let _ = connection.execute_batch("ROLLBACK");
        }
        replies.into_iter().for_each(|reply| reply(committed.clone()));
    }
}

/// A job that fails leaves the others of its transaction alone.
fn in_savepoint<T>(connection: &Connection, job: impl FnOnce(&Connection) -> Result<T, Error>) -> Result<T, Error> {
    connection.execute_batch("SAVEPOINT job").map_err(from_sqlite)?;
    let result = job(connection);
    let end = if result.is_ok() { "RELEASE job" } else { "ROLLBACK TO job; RELEASE job" };
    connection.execute_batch(end).map_err(from_sqlite)?;
    result
}
