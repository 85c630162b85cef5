//! Which files of a folder became messages: written with the message, so that a crash before the file is gone brings no second one.

use rusqlite::{Connection, params};

use crate::server::store::Error;
use crate::server::store::sqlite::from_sqlite;
use crate::time::Timestamp;

/// Adds the names of files that were taken, and marks to the messages of mailboxes: flags with blanks between them.
pub(in crate::server::store::sqlite) const MIGRATION: &str = "
    CREATE TABLE taken (name TEXT PRIMARY KEY, at INTEGER NOT NULL) STRICT;
    ALTER TABLE messages ADD COLUMN marks TEXT NOT NULL DEFAULT '';
";

pub(in crate::server::store::sqlite) fn insert(connection: &Connection, name: &str, at: Timestamp) -> Result<(), Error> {
    let mut insert = connection.prepare_cached("INSERT INTO taken (name, at) VALUES (?1, ?2)").map_err(from_sqlite)?;
    insert.execute(params![name, at.unix()]).map(|_| ()).map_err(from_sqlite)
}

pub(in crate::server::store::sqlite) fn forget(connection: &Connection, names: &[String]) -> Result<(), Error> {
    let mut delete = connection.prepare_cached("DELETE FROM taken WHERE name = ?1").map_err(from_sqlite)?;
    names.iter().try_for_each(|name| delete.execute([name]).map(|_| ()).map_err(from_sqlite))
}
