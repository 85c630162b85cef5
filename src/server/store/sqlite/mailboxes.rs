//! The messages of the mailboxes.

use rusqlite::{Connection, OptionalExtension, params};

use crate::server::store::sqlite::bodies::drop_bodies;
use crate::server::store::sqlite::{SqliteStore, from_sqlite};
use crate::server::store::{Error, MailboxStore, Stored};
use crate::time::Timestamp;

impl MailboxStore for SqliteStore {
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
}

pub(in crate::server::store::sqlite) fn insert_message(
    connection: &Connection,
    mailbox: &str,
    body: i64,
    at: Timestamp,
) -> Result<(), Error> {
    let next = "UPDATE users SET next_uid = next_uid + 1 WHERE address = ?1 RETURNING next_uid - 1";
    let uid: Option<i64> = connection
        .prepare_cached(next)
        .and_then(|mut s| s.query_row([mailbox], |row| row.get(0)).optional())
        .map_err(from_sqlite)?;
    let uid = uid.ok_or_else(|| Error::NotFound(format!("the user {mailbox}")))?;
    let mut insert = connection.prepare_cached("INSERT INTO messages VALUES (?1, ?2, ?3, ?4)").map_err(from_sqlite)?;
    insert.execute(params![mailbox, uid, body, at.unix()]).map(|_| ()).map_err(from_sqlite)
}
