//! The schema, and how a database of an earlier one becomes one of the present.

use rusqlite::Connection;

use crate::server::store::Error;
use crate::server::store::sqlite::{from_sqlite, policies, queue, taken};

/// Each entry, all its parts together, brings the database from the version of its place to the next. Released ones never change.
const MIGRATIONS: &[&[&str]] = &[&["
    CREATE TABLE domains (name TEXT PRIMARY KEY) STRICT;
    CREATE TABLE users (address TEXT PRIMARY KEY, password_hash TEXT NOT NULL, next_uid INTEGER NOT NULL DEFAULT 1) STRICT;
    CREATE TABLE aliases (alias TEXT NOT NULL, target TEXT NOT NULL, PRIMARY KEY (alias, target)) STRICT;
    CREATE TABLE bodies (id INTEGER PRIMARY KEY, size INTEGER NOT NULL, inline BLOB, file TEXT) STRICT;
    CREATE TABLE messages (
        mailbox TEXT NOT NULL, uid INTEGER NOT NULL, body INTEGER NOT NULL REFERENCES bodies(id), received_at INTEGER NOT NULL,
        PRIMARY KEY (mailbox, uid)) STRICT;
    CREATE INDEX messages_by_body ON messages (body);
"], &["
    CREATE TABLE queue (id INTEGER PRIMARY KEY AUTOINCREMENT, sender TEXT NOT NULL, body INTEGER NOT NULL REFERENCES bodies(id), created_at INTEGER NOT NULL) STRICT;
    CREATE INDEX queue_by_body ON queue (body);
    CREATE TABLE queue_recipients (
        id INTEGER NOT NULL REFERENCES queue(id), address TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, next_at INTEGER NOT NULL,
        error TEXT NOT NULL DEFAULT '', PRIMARY KEY (id, address)) STRICT;
    CREATE INDEX queue_recipients_by_time ON queue_recipients (next_at);
"], &["
    CREATE TABLE retired (address TEXT PRIMARY KEY, next_uid INTEGER NOT NULL) STRICT;
"], &["
    ALTER TABLE bodies ADD COLUMN version INTEGER NOT NULL DEFAULT 1;
    ALTER TABLE bodies ADD COLUMN fields BLOB;
    ALTER TABLE bodies ADD COLUMN digest BLOB;
    ALTER TABLE messages ADD COLUMN version INTEGER NOT NULL DEFAULT 1;
    ALTER TABLE messages ADD COLUMN fields BLOB;
    ALTER TABLE queue ADD COLUMN version INTEGER NOT NULL DEFAULT 1;
"], &[queue::MIGRATION], &["
    ALTER TABLE domains ADD COLUMN quota INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE users ADD COLUMN quota INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE users ADD COLUMN used INTEGER NOT NULL DEFAULT 0;
    UPDATE users SET used = (
        SELECT coalesce(sum(b.size + coalesce(length(m.fields), 0)), 0) FROM messages m JOIN bodies b ON b.id = m.body
        WHERE m.mailbox = users.address);
"], &[taken::MIGRATION, policies::MIGRATION, "
    ALTER TABLE users ADD COLUMN suspended INTEGER NOT NULL DEFAULT 0;
    CREATE TABLE tokens (
        name TEXT PRIMARY KEY, scope TEXT NOT NULL, digest BLOB NOT NULL, created_at INTEGER NOT NULL, expires_at INTEGER) STRICT;
    CREATE TABLE pulse (id INTEGER PRIMARY KEY CHECK (id = 1), at INTEGER NOT NULL) STRICT;
    CREATE INDEX bodies_by_file ON bodies (file) WHERE file IS NOT NULL;
"]];

pub(in crate::server::store::sqlite) fn migrate(connection: &Connection) -> Result<(), Error> {
    let version: u32 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(from_sqlite)?;
    let version = usize::try_from(version).unwrap_or(usize::MAX);
    if version > MIGRATIONS.len() {
        return Err(Error::Broken(format!("the database has version {version}, this program knows {}", MIGRATIONS.len())));
    }
    for (at, steps) in MIGRATIONS.iter().enumerate().skip(version) {
        let step = format!("BEGIN IMMEDIATE; {} PRAGMA user_version = {}; COMMIT;", steps.concat(), at.saturating_add(1));
        connection.execute_batch(&step).map_err(from_sqlite)?;
    }
    Ok(())
}
