//! The ways to keep a body that are compared, but for the log.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::JoinHandle;

use rusqlite::{Connection, params};

use sealpost::crypto::algorithm::DigestAlgorithm;
use sealpost::crypto::digest;
use sealpost::proto::smtp::Terms;
use sealpost::server::store::{AccountStore, Body, Delivery, Extra, Priority, SqliteStore, Store as _};
use sealpost::time::Timestamp;

use crate::log::{Log, Together};

/// A way to keep bodies.
pub(crate) trait Way: Sync {
    /// The body is on disk when this returns.
    fn keep(&self, body: &[u8]);
}

/// The store as it is: rows, and files for what is over 16 KiB.
pub(crate) struct Store(SqliteStore);

impl Store {
    const MAILBOX: &str = "jane@a.example";

    pub(crate) fn new(folder: &Path) -> Self {
        let store = SqliteStore::open(&folder.join("store")).expect("opens");
        store.add_domain("a.example").and_then(|()| store.add_user(Self::MAILBOX, "hash")).expect("new");
        Self(store)
    }
}

impl Way for Store {
    fn keep(&self, body: &[u8]) {
        let delivery = Delivery {
            message: Body::memory(Vec::new(), body.to_vec()),
            final_fields: b"Return-Path: <x@b.example>\r\n".to_vec(),
            mailboxes: vec![Self::MAILBOX.to_owned()],
            sender: "x@b.example".to_owned(),
            elsewhere: Vec::new(),
            terms: Terms::default(),
            priority: Priority::Normal,
            at: Timestamp::from_unix(1_780_272_000),
            extra: Extra::default(),
        };
        self.0.deliver(delivery).expect("kept");
    }
}

/// The store with its bodies in a log: first the log's sync, then the commit of a row that says where. Nothing else is shared between them.
pub(crate) struct LogAndRows {
    log: Log,
    store: Store,
}

impl LogAndRows {
    pub(crate) fn new(folder: &Path, log: Log) -> Self {
        Self { log, store: Store::new(folder) }
    }
}

impl Way for LogAndRows {
    fn keep(&self, body: &[u8]) {
        self.log.keep(body);
        self.store.keep(b"segment, offset and length");
    }
}

/// A file for each body, and a sync of their folder for all that have their names. No row says whose they are.
pub(crate) struct Files {
    folder: PathBuf,
    count: AtomicU64,
    together: Together,
}

impl Files {
    pub(crate) fn new(folder: &Path) -> Self {
        let folder = folder.join("files");
        std::fs::create_dir(&folder).expect("made");
        Self { folder, count: AtomicU64::new(0), together: Together::default() }
    }

    /// Its bytes are on disk then, and its name is with the folder's next sync.
    pub(crate) fn write(&self, body: &[u8]) -> PathBuf {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let beside = self.folder.join(format!("new-{number}"));
        let mut file = File::create_new(&beside).expect("made");
        let digest = digest::of(DigestAlgorithm::Sha256, body);
        file.write_all(body).and_then(|()| file.sync_data()).expect("written");
        let path = self.folder.join(format!("{number}-{:02x}{:02x}", digest[0], digest[1]));
        std::fs::rename(beside, &path).expect("named");
        path
    }
}

impl Way for Files {
    fn keep(&self, body: &[u8]) {
        self.write(body);
        self.together.sync(|| File::open(&self.folder).and_then(|folder| folder.sync_all()).expect("synced"));
    }
}

/// The body in a row of SQLite, and nothing else; one commit for all that wait.
pub(crate) struct Rows {
    jobs: Option<Sender<Job>>,
    writer: Option<JoinHandle<()>>,
}

type Job = (Vec<u8>, Vec<u8>, SyncSender<()>);

impl Rows {
    /// Committed together at most, as in the store.
    const GROUP: usize = 256;

    pub(crate) fn new(folder: &Path) -> Self {
        let connection = Connection::open(folder.join("rows.db")).expect("opens");
        // a checkpoint after 1000 pages, by the thread that writes
        let settings = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
                        CREATE TABLE bodies (id INTEGER PRIMARY KEY, bytes BLOB NOT NULL, digest BLOB NOT NULL) STRICT;";
        connection.execute_batch(settings).expect("a table");
        let (jobs, queue) = channel();
        let writer = std::thread::spawn(move || write(&connection, &queue));
        Self { jobs: Some(jobs), writer: Some(writer) }
    }
}

fn write(connection: &Connection, queue: &Receiver<Job>) {
    while let Ok(first) = queue.recv() {
        connection.execute_batch("BEGIN IMMEDIATE").expect("begun");
        let mut answers = Vec::new();
        let mut next = Some(first);
        while let Some((bytes, digest, answer)) = next {
            let mut insert = connection.prepare_cached("INSERT INTO bodies (bytes, digest) VALUES (?1, ?2)").expect("prepared");
            insert.execute(params![bytes, digest]).expect("inserted");
            answers.push(answer);
            next = if answers.len() < Rows::GROUP { queue.try_recv().ok() } else { None };
        }
        connection.execute_batch("COMMIT").expect("committed");
        answers.iter().for_each(|answer| answer.send(()).expect("somebody waits"));
    }
}

impl Way for Rows {
    fn keep(&self, body: &[u8]) {
        let (answer, waiting) = sync_channel(1);
        let job = (body.to_vec(), digest::of(DigestAlgorithm::Sha256, body), answer);
        self.jobs.as_ref().expect("open").send(job).expect("it is there");
        waiting.recv().expect("committed");
    }
}

impl Drop for Rows {
    fn drop(&mut self) {
        self.jobs.take();
        if let Some(writer) = self.writer.take() {
            writer.join().expect("no panic");
        }
    }
}
