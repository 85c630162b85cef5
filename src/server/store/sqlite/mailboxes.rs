//! The messages of the mailboxes.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, params};

use crate::server::store::sqlite::accounts::room;
use crate::server::store::sqlite::bodies::{deleted, drop_bodies};
use crate::server::store::sqlite::{SqliteStore, from_sqlite};
use crate::server::store::{Error, MailboxStore, Reading, Stored, owner};
use crate::time::Timestamp;

impl MailboxStore for SqliteStore {
    fn messages(&self, mailbox: &str) -> Result<Vec<Stored>, Error> {
        let query = "SELECT m.uid, b.size + coalesce(length(m.fields), 0), m.marks FROM messages m JOIN bodies b ON b.id = m.body WHERE m.mailbox = ?1 ORDER BY m.uid";
        let row = |row: &rusqlite::Row<'_>| {
            let (size, marks): (i64, String) = (row.get(1)?, row.get(2)?);
            let marks = marks.split_ascii_whitespace().map(str::to_owned).collect();
            Ok(Stored { uid: row.get(0)?, size: u64::try_from(size).unwrap_or(0), marks })
        };
        self.read(|c| c.prepare_cached(query)?.query_map([mailbox], row)?.collect())
    }

    fn read_message(&self, mailbox: &str, uid: i64) -> Result<Reading, Error> {
        let query = "SELECT m.fields, b.fields, b.inline, b.file, b.size FROM messages m JOIN bodies b ON b.id = m.body
                     WHERE m.mailbox = ?1 AND m.uid = ?2";
        self.read_body(query, params![mailbox, uid], &format!("message {uid} of {mailbox}"))
    }

    fn following(&self, mailbox: &str, uid: i64, bytes: usize) -> Result<Vec<(i64, Vec<u8>)>, Error> {
        let query = "SELECT m.uid, m.fields, b.fields, b.inline FROM messages m JOIN bodies b ON b.id = m.body
                     WHERE m.mailbox = ?1 AND m.uid > ?2 ORDER BY m.uid LIMIT 64";
        self.read(|c| {
            let (mut found, mut size) = (Vec::new(), 0_usize);
            let mut statement = c.prepare_cached(query)?;
            let mut rows = statement.query(params![mailbox, uid])?;
            while let Some(row) = rows.next()? {
                let part = |at| row.get::<_, Option<Vec<u8>>>(at).map(Option::unwrap_or_default);
                // one without it lies in a file
                let Some(body) = row.get::<_, Option<Vec<u8>>>(3)? else { break };
                let message = [part(1)?, part(2)?, body].concat();
                size = size.saturating_add(message.len());
                if size > bytes {
                    break;
                }
                found.push((row.get(0)?, message));
            }
            Ok(found)
        })
    }

    fn delete(&self, mailbox: &str, uids: &[i64]) -> Result<(), Error> {
        if uids.is_empty() {
            return Ok(());
        }
        let (mailbox, uids) = (mailbox.to_owned(), uids.to_vec());
        let files = self.write(move |c| {
            let free = "UPDATE users SET used = max(0, used - coalesce((SELECT b.size + coalesce(length(m.fields), 0)
                            FROM messages m JOIN bodies b ON b.id = m.body WHERE m.mailbox = ?1 AND m.uid = ?2), 0)) WHERE address = ?3";
            let query = "DELETE FROM messages WHERE mailbox = ?1 AND uid = ?2 RETURNING body";
            let mut bodies = Vec::new();
            for uid in &uids {
                c.prepare_cached(free)
                    .and_then(|mut s| s.execute(params![mailbox, uid, owner(&mailbox)]))
                    .map_err(from_sqlite)?;
                bodies.extend(deleted(c, query, params![mailbox, uid])?);
            }
            drop_bodies(c, &bodies)
        })?;
        // the rows are gone for good before the files go
        files.iter().for_each(|file| self.blobs.remove(file));
        Ok(())
    }
}

/// Fails where none of the users has room for what comes into his mailboxes, each given with its bytes.
pub(in crate::server::store::sqlite) fn fit<'a>(
    connection: &Connection,
    copies: impl Iterator<Item = (&'a str, u64)>,
) -> Result<(), Error> {
    let mut users: BTreeMap<&str, u64> = BTreeMap::new();
    for (mailbox, bytes) in copies {
        let all = users.entry(owner(mailbox)).or_default();
        *all = all.saturating_add(bytes);
    }
    for (user, bytes) in &users {
        if room(connection, user).map_err(from_sqlite)?.fits(*bytes) {
            return Ok(());
        }
    }
    match users.is_empty() {
        true => Ok(()),
        false => Err(Error::NoRoom(users.into_keys().collect::<Vec<_>>().join(", "))),
    }
}

/// Takes the next number of a mailbox for a message of so many bytes; fails, and changes nothing, where there is no such user.
pub(in crate::server::store::sqlite) fn take_number(connection: &Connection, mailbox: &str, bytes: u64) -> Result<i64, Error> {
    let next = "UPDATE users SET next_uid = next_uid + 1, used = used + ?2 WHERE address = ?1 RETURNING next_uid - 1";
    let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
    let uid: Option<i64> = connection
        .prepare_cached(next)
        .and_then(|mut s| s.query_row(params![owner(mailbox), bytes], |row| row.get(0)).optional())
        .map_err(from_sqlite)?;
    uid.ok_or_else(|| Error::NotFound(format!("the user {mailbox}")))
}

pub(in crate::server::store::sqlite) fn insert_message(
    connection: &Connection,
    (mailbox, uid): (&str, i64),
    (body, fields, marks): (i64, &[u8], &[String]),
    at: Timestamp,
) -> Result<(), Error> {
    let mut insert = connection
        .prepare_cached(
            "INSERT INTO messages (mailbox, uid, body, received_at, fields, marks, version) VALUES (?1, ?2, ?3, ?4, ?5, ?6, 2)",
        )
        .map_err(from_sqlite)?;
    insert.execute(params![mailbox, uid, body, at.unix(), fields, marks.join(" ")]).map(|_| ()).map_err(from_sqlite)
}
