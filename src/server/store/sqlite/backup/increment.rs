//! Backups that leave out what earlier ones have: which bodies those are, where they lie, and how they come back.
//!
//! A backup has a name. One that leaves bodies out says of each which backup has its bytes, the first one that did, so that restoring never needs
//! more than the backups it names. A body is the same where its row, its size, its digest and its file are: rows of the first versions have no
//! digest, and are always written.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension, params};

use crate::server::drive::now;
use crate::server::store::Error;
use crate::server::store::blobs::Blobs;
use crate::server::store::sqlite::{backup, from_sqlite};
use crate::time::Timestamp;

const TABLES: &str = "
    CREATE TABLE backup_name (name TEXT PRIMARY KEY, made_at INTEGER NOT NULL) STRICT;
    CREATE TABLE backup_elsewhere (body INTEGER PRIMARY KEY, name TEXT NOT NULL) STRICT;
    CREATE TABLE backup_earlier (name TEXT PRIMARY KEY, made_at INTEGER NOT NULL) STRICT;";

const LEAVE_OUT: &str = "
    INSERT INTO main.backup_elsewhere
        SELECT b.id, coalesce(e.name, (SELECT name FROM earlier.backup_name)) FROM main.bodies b
        JOIN earlier.bodies o ON o.id = b.id AND o.size = b.size AND o.digest = b.digest AND o.file IS b.file
        LEFT JOIN earlier.backup_elsewhere e ON e.body = b.id;
    INSERT INTO main.backup_earlier
        SELECT name, made_at FROM (SELECT name, made_at FROM earlier.backup_name UNION SELECT name, made_at FROM earlier.backup_earlier)
        WHERE name IN (SELECT name FROM main.backup_elsewhere);
    UPDATE main.bodies SET inline = NULL WHERE id IN (SELECT body FROM main.backup_elsewhere);";

/// Gives a backup its name.
pub(super) fn name(backup: &Connection) -> Result<(), Error> {
    let mut random = [0; 16];
    crate::keys::files::random_name(&mut random);
    backup.execute_batch(TABLES).map_err(from_sqlite)?;
    let row = params![crate::pki::hex(&random), now().unix()];
    backup.execute("INSERT INTO backup_name VALUES (?1, ?2)", row).map(drop).map_err(from_sqlite)
}

/// Leaves out the bodies that an earlier backup has, or knows another to have.
pub(super) fn leave_out(backup: &Connection, earlier: &Path) -> Result<(), Error> {
    of(earlier)?;
    attach(backup, earlier)?;
    backup.execute_batch(LEAVE_OUT).map_err(from_sqlite)?;
    backup.execute_batch("DETACH earlier").map_err(from_sqlite)
}

/// The earlier backups that a backup needs, by name; the error says which are missing.
pub(super) fn needed(backup: &Connection, given: &[PathBuf]) -> Result<BTreeMap<String, PathBuf>, Error> {
    let mut found = BTreeMap::new();
    for path in given {
        found.insert(of(path)?, path.clone());
    }
    if !has(backup, "backup_earlier")? {
        return Ok(BTreeMap::new());
    }
    let mut rows = backup.prepare("SELECT name, made_at FROM backup_earlier ORDER BY made_at").map_err(from_sqlite)?;
    let rows = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).map_err(from_sqlite)?;
    let rows: Vec<(String, i64)> = rows.collect::<rusqlite::Result<_>>().map_err(from_sqlite)?;
    let missing = rows.iter().filter(|(name, _)| !found.contains_key(name));
    let missing: Vec<String> = missing.map(|(_, at)| Timestamp::from_unix(*at).to_string()).collect();
    if !missing.is_empty() {
        return Err(Error::NotFound(format!("the earlier backup of {}, which this one builds on", missing.join(" and of "))));
    }
    found.retain(|name, _| rows.iter().any(|(wanted, _)| wanted == name));
    Ok(found)
}

/// Puts the message files back that earlier backups have.
pub(super) fn files(backup: &Connection, earlier: &BTreeMap<String, PathBuf>, blobs: &Blobs) -> Result<(), Error> {
    for (name, path) in earlier {
        let query =
            "SELECT b.file FROM bodies b JOIN backup_elsewhere e ON e.body = b.id WHERE e.name = ?1 AND b.file IS NOT NULL";
        let mut rows = backup.prepare(query).map_err(from_sqlite)?;
        let rows = rows.query_map([name], |row| row.get(0)).map_err(from_sqlite)?;
        let source = backup::open(path)?;
        for file in rows {
            let file: String = file.map_err(from_sqlite)?;
            backup::is_a_name(&file, path)?;
            let query = "SELECT bytes FROM backup_files WHERE name = ?1";
            let bytes: Option<Vec<u8>> = source.query_row(query, [&file], |row| row.get(0)).optional().map_err(from_sqlite)?;
            let lacks = || Error::Broken(format!("{} lacks a message file that it should have – {file}", path.display()));
            blobs.write(&file, &bytes.ok_or_else(lacks)?)?.kept();
        }
    }
    Ok(())
}

/// Puts the bytes of rows back that earlier backups have; afterwards every body has its bytes.
pub(super) fn rows(mail: &Connection, earlier: &BTreeMap<String, PathBuf>) -> Result<(), Error> {
    for (name, path) in earlier {
        attach(mail, path)?;
        let query = "UPDATE main.bodies SET inline = (SELECT o.inline FROM earlier.bodies o WHERE o.id = main.bodies.id)
                     WHERE file IS NULL AND id IN (SELECT body FROM main.backup_elsewhere WHERE name = ?1)";
        mail.execute(query, [name]).map_err(from_sqlite)?;
        mail.execute_batch("DETACH earlier").map_err(from_sqlite)?;
    }
    let query = "SELECT count(*) FROM bodies WHERE inline IS NULL AND file IS NULL";
    match mail.query_row(query, [], |row| row.get(0)).map_err(from_sqlite)? {
        0_i64 => Ok(()),
        count => Err(Error::Broken(format!("{count} messages have no bytes in these backups"))),
    }
}

/// The name of a backup.
fn of(path: &Path) -> Result<String, Error> {
    let backup = backup::open(path)?;
    if !has(&backup, "backup_name")? {
        return Err(Error::Broken(format!("{} was written before backups could build on others", path.display())));
    }
    backup.query_row("SELECT name FROM backup_name", [], |row| row.get(0)).map_err(from_sqlite)
}

fn has(backup: &Connection, table: &str) -> Result<bool, Error> {
    let query = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?1)";
    backup.query_row(query, [table], |row| row.get(0)).map_err(from_sqlite)
}

fn attach(connection: &Connection, path: &Path) -> Result<(), Error> {
    connection.execute("ATTACH ?1 AS earlier", [path.display().to_string()]).map(drop).map_err(from_sqlite)
}
