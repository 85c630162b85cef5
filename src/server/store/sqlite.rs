//! The store in one SQLite database: one thread writes, everything that waits is committed at once.

use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;

use rusqlite::{Connection, ErrorCode, OptionalExtension, params};

use crate::server::store::blobs::Blobs;
use crate::server::store::{Delivery, Error, Queued, Settled, Store, Stored, Waiting};
use crate::time::Timestamp;

/// Messages up to this size stand in the database, larger ones in files: a file costs two syncs, and large rows slow the database.
const INLINE: usize = 16 << 10;

/// Jobs committed together at most; bounds how long the first one waits.
const GROUP: usize = 256;

/// The store on disk.
pub struct SqliteStore {
    jobs: Mutex<Option<Sender<Job>>>,
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

/// Runs inside the transaction (or is told that there is none); what it gives back is called with how the commit went.
type Job = Box<dyn FnOnce(Option<&Connection>) -> Reply + Send>;
type Reply = Box<dyn FnOnce(Result<(), Error>) + Send>;

/// Each entry brings the database from the version of its place to the next. Released ones never change.
const MIGRATIONS: &[&str] = &["
    CREATE TABLE domains (name TEXT PRIMARY KEY) STRICT;
    CREATE TABLE users (address TEXT PRIMARY KEY, password_hash TEXT NOT NULL, next_uid INTEGER NOT NULL DEFAULT 1) STRICT;
    CREATE TABLE aliases (alias TEXT NOT NULL, target TEXT NOT NULL, PRIMARY KEY (alias, target)) STRICT;
    CREATE TABLE bodies (id INTEGER PRIMARY KEY, size INTEGER NOT NULL, inline BLOB, file TEXT) STRICT;
    CREATE TABLE messages (
        mailbox TEXT NOT NULL, uid INTEGER NOT NULL, body INTEGER NOT NULL REFERENCES bodies(id), received_at INTEGER NOT NULL,
        PRIMARY KEY (mailbox, uid)) STRICT;
    CREATE INDEX messages_by_body ON messages (body);
", "
    CREATE TABLE queue (id INTEGER PRIMARY KEY AUTOINCREMENT, sender TEXT NOT NULL, body INTEGER NOT NULL REFERENCES bodies(id), created_at INTEGER NOT NULL) STRICT;
    CREATE INDEX queue_by_body ON queue (body);
    CREATE TABLE queue_recipients (
        id INTEGER NOT NULL REFERENCES queue(id), address TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, next_at INTEGER NOT NULL,
        error TEXT NOT NULL DEFAULT '', PRIMARY KEY (id, address)) STRICT;
    CREATE INDEX queue_recipients_by_time ON queue_recipients (next_at);
", "
    CREATE TABLE retired (address TEXT PRIMARY KEY, next_uid INTEGER NOT NULL) STRICT;
"];

impl SqliteStore {
    /// Opens the store of a folder; makes it where there is none.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        let blobs = Blobs::open(folder.join("messages"))?;
        let path = folder.join("mail.db");
        let connection = connect(&path)?;
        migrate(&connection)?;
        let (jobs, queue) = channel();
        let writer = std::thread::Builder::new().name("store".to_owned()).spawn(move || write_all(&connection, &queue));
        let writer = writer.map_err(|error| Error::Broken(error.to_string()))?;
        Ok(Self { jobs: Mutex::new(Some(jobs)), writer: Mutex::new(Some(writer)), readers: Mutex::new(Vec::new()), path, blobs })
    }

    /// Runs a job in the writer's next transaction, and waits until it is on disk.
    fn write<T: Send + 'static>(&self, job: impl FnOnce(&Connection) -> Result<T, Error> + Send + 'static) -> Result<T, Error> {
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

    fn read<T>(&self, job: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, Error> {
        let idle = self.readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = match idle {
            Some(connection) => connection,
            None => connect(&self.path)?,
        };
        let result = job(&connection).map_err(from_sqlite);
        self.readers.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        result
    }

    fn column(&self, query: &str) -> Result<Vec<String>, Error> {
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
    let settings = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA busy_timeout = 10000;";
    connection.execute_batch(settings).map_err(from_sqlite)?;
    Ok(connection)
}

fn migrate(connection: &Connection) -> Result<(), Error> {
    let version: u32 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(from_sqlite)?;
    let version = usize::try_from(version).unwrap_or(usize::MAX);
    if version > MIGRATIONS.len() {
        return Err(Error::Broken(format!("the database has version {version}, this program knows {}", MIGRATIONS.len())));
    }
    for (at, migration) in MIGRATIONS.iter().enumerate().skip(version) {
        let step = format!("BEGIN IMMEDIATE; {migration} PRAGMA user_version = {}; COMMIT;", at.saturating_add(1));
        connection.execute_batch(&step).map_err(from_sqlite)?;
    }
    Ok(())
}

/// The writer: takes what waits, runs it in one transaction, commits, and then answers.
fn write_all(connection: &Connection, queue: &Receiver<Job>) {
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

#[allow(clippy::needless_pass_by_value, reason = "the shape that map_err wants")]
fn from_sqlite(error: rusqlite::Error) -> Error {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull | ErrorCode::SystemIoFailure | ErrorCode::ReadOnly) => Error::Full(error.to_string()),
        Some(ErrorCode::ConstraintViolation) => Error::Exists(error.to_string()),
        _ => Error::Broken(error.to_string()),
    }
}

fn changed(rows: usize, what: &str) -> Result<(), Error> {
    if rows == 0 { Err(Error::NotFound(what.to_owned())) } else { Ok(()) }
}

impl Store for SqliteStore {
    fn add_domain(&self, domain: &str) -> Result<(), Error> {
        let domain = domain.to_owned();
        self.write(move |c| match c.execute("INSERT OR IGNORE INTO domains VALUES (?1)", [&domain]).map_err(from_sqlite)? {
            0 => Err(Error::Exists(format!("the domain {domain}"))),
            _ => Ok(()),
        })
    }

    fn remove_domain(&self, domain: &str) -> Result<(), Error> {
        let domain = domain.to_owned();
        self.write(move |c| {
            let query = "SELECT count(*) FROM users WHERE address LIKE '%@' || ?1";
            let users: i64 = c.query_row(query, [&domain], |row| row.get(0)).map_err(from_sqlite)?;
            if users > 0 {
                return Err(Error::Exists(format!("{users} users of the domain {domain}")));
            }
            changed(
                c.execute("DELETE FROM domains WHERE name = ?1", [&domain]).map_err(from_sqlite)?,
                &format!("the domain {domain}"),
            )
        })
    }

    fn domains(&self) -> Result<Vec<String>, Error> {
        self.column("SELECT name FROM domains ORDER BY name")
    }

    fn add_user(&self, address: &str, password_hash: &str) -> Result<(), Error> {
        let (address, hash) = (address.to_owned(), password_hash.to_owned());
        self.write(move |c| {
            let query = "INSERT OR IGNORE INTO users (address, password_hash, next_uid)
                         VALUES (?1, ?2, coalesce((SELECT next_uid FROM retired WHERE address = ?1), 1))";
            match c.execute(query, [&address, &hash]).map_err(from_sqlite)? {
                0 => Err(Error::Exists(format!("the user {address}"))),
                _ => Ok(()),
            }
        })
    }

    fn set_password(&self, address: &str, password_hash: &str) -> Result<(), Error> {
        let (address, hash) = (address.to_owned(), password_hash.to_owned());
        self.write(move |c| {
            let rows =
                c.execute("UPDATE users SET password_hash = ?2 WHERE address = ?1", [&address, &hash]).map_err(from_sqlite)?;
            changed(rows, &format!("the user {address}"))
        })
    }

    fn remove_user(&self, address: &str) -> Result<(), Error> {
        let address = address.to_owned();
        let files = self.write(move |c| {
            // a new user of this name goes on where this one ends: mail programs remember numbers
            let retire = "INSERT OR REPLACE INTO retired SELECT address, next_uid FROM users WHERE address = ?1";
            c.execute(retire, [&address]).map_err(from_sqlite)?;
            changed(
                c.execute("DELETE FROM users WHERE address = ?1", [&address]).map_err(from_sqlite)?,
                &format!("the user {address}"),
            )?;
            c.execute("DELETE FROM messages WHERE mailbox = ?1", [&address]).map_err(from_sqlite)?;
            drop_bodies(c)
        })?;
        files.iter().for_each(|file| self.blobs.remove(file));
        Ok(())
    }

    fn users(&self) -> Result<Vec<String>, Error> {
        self.column("SELECT address FROM users ORDER BY address")
    }

    fn password_hash(&self, address: &str) -> Result<Option<String>, Error> {
        let query = "SELECT password_hash FROM users WHERE address = ?1";
        self.read(|c| c.prepare_cached(query)?.query_row([address], |row| row.get(0)).optional())
    }

    fn add_alias(&self, alias: &str, target: &str) -> Result<(), Error> {
        let (alias, target) = (alias.to_owned(), target.to_owned());
        self.write(move |c| {
            match c.execute("INSERT OR IGNORE INTO aliases VALUES (?1, ?2)", [&alias, &target]).map_err(from_sqlite)? {
                0 => Err(Error::Exists(format!("the alias {alias} to {target}"))),
                _ => Ok(()),
            }
        })
    }

    fn remove_alias(&self, alias: &str) -> Result<(), Error> {
        let alias = alias.to_owned();
        self.write(move |c| {
            changed(
                c.execute("DELETE FROM aliases WHERE alias = ?1", [&alias]).map_err(from_sqlite)?,
                &format!("the alias {alias}"),
            )
        })
    }

    fn aliases(&self) -> Result<Vec<(String, String)>, Error> {
        let query = "SELECT alias, target FROM aliases ORDER BY alias, target";
        self.read(|c| c.prepare_cached(query)?.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect())
    }

    fn targets(&self, alias: &str) -> Result<Vec<String>, Error> {
        let query = "SELECT target FROM aliases WHERE alias = ?1 ORDER BY target";
        self.read(|c| c.prepare_cached(query)?.query_map([alias], |row| row.get(0))?.collect())
    }

    fn deliver(&self, delivery: Delivery) -> Result<(), Error> {
        let Delivery { message, final_fields, mailboxes, sender, elsewhere, at } = delivery;
        let kept = if mailboxes.is_empty() { None } else { Some(self.body([final_fields, message.clone()].concat())?) };
        let queued = match if elsewhere.is_empty() { Ok(None) } else { self.body(message).map(Some) } {
            Ok(queued) => queued,
            Err(error) => {
                kept.iter().for_each(|body| self.forget(body));
                return Err(error);
            }
        };
        let names: Vec<Body> = kept.iter().chain(&queued).map(Body::without_bytes).collect();
        let done = self.write(move |c| {
            if let Some(body) = kept {
                let body = insert_body(c, &body)?;
                mailboxes.iter().try_for_each(|mailbox| insert_message(c, mailbox, body, at))?;
            }
            if let Some(body) = queued {
                let body = insert_body(c, &body)?;
                insert_queued(c, &sender, body, &elsewhere, at)?;
            }
            Ok(())
        });
        if done.is_err() {
            names.iter().for_each(|body| self.forget(body));
        }
        done
    }

    fn messages(&self, mailbox: &str) -> Result<Vec<Stored>, Error> {
        let query = "SELECT m.uid, b.size FROM messages m JOIN bodies b ON b.id = m.body WHERE m.mailbox = ?1 ORDER BY m.uid";
        let row = |row: &rusqlite::Row<'_>| {
            let size: i64 = row.get(1)?;
            Ok(Stored { uid: row.get(0)?, size: u64::try_from(size).unwrap_or(0) })
        };
        self.read(|c| c.prepare_cached(query)?.query_map([mailbox], row)?.collect())
    }

    fn message(&self, mailbox: &str, uid: i64) -> Result<Vec<u8>, Error> {
        let query = "SELECT b.inline, b.file FROM messages m JOIN bodies b ON b.id = m.body WHERE m.mailbox = ?1 AND m.uid = ?2";
        self.read_body(query, params![mailbox, uid], &format!("message {uid} of {mailbox}"))
    }

    fn delete(&self, mailbox: &str, uids: &[i64]) -> Result<(), Error> {
        if uids.is_empty() {
            return Ok(());
        }
        let (mailbox, uids) = (mailbox.to_owned(), uids.to_vec());
        let files = self.write(move |c| {
            for uid in &uids {
                c.execute("DELETE FROM messages WHERE mailbox = ?1 AND uid = ?2", params![mailbox, uid]).map_err(from_sqlite)?;
            }
            drop_bodies(c)
        })?;
        // the rows are gone for good before the files go
        files.iter().for_each(|file| self.blobs.remove(file));
        Ok(())
    }

    fn due(&self, now: Timestamp, limit: usize) -> Result<Vec<Queued>, Error> {
        let query = "SELECT id, sender, created_at FROM queue
                     WHERE id IN (SELECT DISTINCT id FROM queue_recipients WHERE next_at <= ?1 ORDER BY next_at LIMIT ?2) ORDER BY id";
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows: Vec<(i64, String, i64)> = self.read(|c| {
            let row = |r: &rusqlite::Row<'_>| Ok((r.get(0)?, r.get(1)?, r.get(2)?));
            c.prepare_cached(query)?.query_map(params![now.unix(), limit], row)?.collect()
        })?;
        let mut found = Vec::new();
        for (id, sender, created) in rows {
            let query = "SELECT address, attempts FROM queue_recipients WHERE id = ?1 AND next_at <= ?2 ORDER BY address";
            let recipients = self.read(|c| {
                let row = |r: &rusqlite::Row<'_>| Ok((r.get(0)?, r.get(1)?));
                c.prepare_cached(query)?.query_map(params![id, now.unix()], row)?.collect()
            })?;
            found.push(Queued { id, sender, created: Timestamp::from_unix(created), recipients });
        }
        Ok(found)
    }

    fn queued(&self, id: i64) -> Result<Vec<u8>, Error> {
        let query = "SELECT b.inline, b.file FROM queue q JOIN bodies b ON b.id = q.body WHERE q.id = ?1";
        self.read_body(query, params![id], &format!("message {id} of the queue"))
    }

    fn settle(&self, id: i64, settled: Vec<(String, Settled)>) -> Result<(), Error> {
        let files = self.write(move |c| {
            for (address, settled) in &settled {
                match settled {
                    Settled::Gone => c.execute("DELETE FROM queue_recipients WHERE id = ?1 AND address = ?2", params![id, address]),
                    Settled::Later(next, error) => c.execute(
                        "UPDATE queue_recipients SET attempts = attempts + 1, next_at = ?3, error = ?4 WHERE id = ?1 AND address = ?2",
                        params![id, address, next.unix(), error],
                    ),
                }
                .map_err(from_sqlite)?;
            }
            let query = "DELETE FROM queue WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM queue_recipients WHERE queue_recipients.id = ?1)";
            c.execute(query, [id]).map_err(from_sqlite)?;
            drop_bodies(c)
        })?;
        files.iter().for_each(|file| self.blobs.remove(file));
        Ok(())
    }

    fn waiting(&self) -> Result<Vec<Waiting>, Error> {
        let query =
            "SELECT q.id, q.sender, r.address, r.attempts, r.next_at, r.error FROM queue q JOIN queue_recipients r ON r.id = q.id
                     ORDER BY q.id, r.address";
        let row = |r: &rusqlite::Row<'_>| {
            let next = Timestamp::from_unix(r.get(4)?);
            Ok(Waiting { id: r.get(0)?, sender: r.get(1)?, recipient: r.get(2)?, attempts: r.get(3)?, next, error: r.get(5)? })
        };
        self.read(|c| c.prepare_cached(query)?.query_map([], row)?.collect())
    }

    fn retry(&self, id: Option<i64>, now: Timestamp) -> Result<(), Error> {
        self.write(move |c| {
            let rows = match id {
                None => {
                    return c.execute("UPDATE queue_recipients SET next_at = ?1", [now.unix()]).map(|_| ()).map_err(from_sqlite);
                }
                Some(id) => c.execute("UPDATE queue_recipients SET next_at = ?1 WHERE id = ?2", [now.unix(), id]),
            };
            changed(rows.map_err(from_sqlite)?, &format!("message {} of the queue", id.unwrap_or_default()))
        })
    }

    fn drop_queued(&self, id: i64) -> Result<(), Error> {
        let files = self.write(move |c| {
            c.execute("DELETE FROM queue_recipients WHERE id = ?1", [id]).map_err(from_sqlite)?;
            let rows = c.execute("DELETE FROM queue WHERE id = ?1", [id]).map_err(from_sqlite)?;
            changed(rows, &format!("message {id} of the queue"))?;
            drop_bodies(c)
        })?;
        files.iter().for_each(|file| self.blobs.remove(file));
        Ok(())
    }
}

/// A message on its way into the database: in its row, or in a file.
#[derive(Debug)]
enum Body {
    Inline(Vec<u8>),
    File { name: String, size: usize },
}

impl Body {
    /// What is to be removed where the rest fails.
    fn without_bytes(&self) -> Self {
        match self {
            Self::Inline(_) => Self::Inline(Vec::new()),
            Self::File { name, size } => Self::File { name: name.clone(), size: *size },
        }
    }
}

fn insert_body(connection: &Connection, body: &Body) -> Result<i64, Error> {
    let (size, inline, file) = match body {
        Body::Inline(bytes) => (bytes.len(), Some(bytes), None),
        Body::File { name, size } => (*size, None, Some(name)),
    };
    let size = i64::try_from(size).unwrap_or(i64::MAX);
    let mut insert =
        connection.prepare_cached("INSERT INTO bodies (size, inline, file) VALUES (?1, ?2, ?3)").map_err(from_sqlite)?;
    insert.execute(params![size, inline, file]).map_err(from_sqlite)?;
    Ok(connection.last_insert_rowid())
}

fn insert_message(connection: &Connection, mailbox: &str, body: i64, at: Timestamp) -> Result<(), Error> {
    let next = "UPDATE users SET next_uid = next_uid + 1 WHERE address = ?1 RETURNING next_uid - 1";
    let uid: Option<i64> = connection
        .prepare_cached(next)
        .and_then(|mut s| s.query_row([mailbox], |row| row.get(0)).optional())
        .map_err(from_sqlite)?;
    let uid = uid.ok_or_else(|| Error::NotFound(format!("the user {mailbox}")))?;
    let mut insert = connection.prepare_cached("INSERT INTO messages VALUES (?1, ?2, ?3, ?4)").map_err(from_sqlite)?;
    insert.execute(params![mailbox, uid, body, at.unix()]).map(|_| ()).map_err(from_sqlite)
}

fn insert_queued(connection: &Connection, sender: &str, body: i64, elsewhere: &[String], at: Timestamp) -> Result<(), Error> {
    let insert = "INSERT INTO queue (sender, body, created_at) VALUES (?1, ?2, ?3)";
    connection.execute(insert, params![sender, body, at.unix()]).map_err(from_sqlite)?;
    let id = connection.last_insert_rowid();
    let insert = "INSERT OR IGNORE INTO queue_recipients (id, address, next_at) VALUES (?1, ?2, ?3)";
    elsewhere
        .iter()
        .try_for_each(|address| connection.execute(insert, params![id, address, at.unix()]).map(|_| ()).map_err(from_sqlite))
}

impl SqliteStore {
    /// A large message goes to a file of its own; a name is never shared, so that a file belongs to one row.
    fn body(&self, message: Vec<u8>) -> Result<Body, Error> {
        if message.len() <= INLINE {
            return Ok(Body::Inline(message));
        }
        let mut random = [0; 16];
        crate::keys::files::random_name(&mut random);
        let name = crate::pki::hex(&random);
        self.blobs.write(&name, &message)?;
        Ok(Body::File { name, size: message.len() })
    }

    fn forget(&self, body: &Body) {
        if let Body::File { name, .. } = body {
            self.blobs.remove(name);
        }
    }

    fn read_body(&self, query: &str, parameters: impl rusqlite::Params, what: &str) -> Result<Vec<u8>, Error> {
        let found: Option<(Option<Vec<u8>>, Option<String>)> =
            self.read(|c| c.prepare_cached(query)?.query_row(parameters, |row| Ok((row.get(0)?, row.get(1)?))).optional())?;
        match found {
            Some((Some(inline), _)) => Ok(inline),
            Some((None, Some(file))) => self.blobs.read(&file),
            _ => Err(Error::NotFound(what.to_owned())),
        }
    }
}

/// Drops bodies that no mailbox holds; gives the files to remove once that is committed.
fn drop_bodies(connection: &Connection) -> Result<Vec<String>, Error> {
    const ORPHAN: &str = "NOT EXISTS (SELECT 1 FROM messages WHERE messages.body = bodies.id)
                         AND NOT EXISTS (SELECT 1 FROM queue WHERE queue.body = bodies.id)";
    let query = format!("DELETE FROM bodies WHERE {ORPHAN} RETURNING file");
    let mut statement = connection.prepare_cached(&query).map_err(from_sqlite)?;
    let rows = statement.query_map([], |row| row.get::<_, Option<String>>(0)).map_err(from_sqlite)?;
    let files: rusqlite::Result<Vec<Option<String>>> = rows.collect();
    Ok(files.map_err(from_sqlite)?.into_iter().flatten().collect())
}
