//! What waits for other servers.

use rusqlite::{Connection, params};

use crate::server::store::sqlite::bodies::{deleted, drop_bodies};
use crate::server::store::sqlite::{SqliteStore, changed, from_sqlite};
use crate::server::store::{Error, QueueStore, Queued, Reading, Settled, Waiting};
use crate::time::Timestamp;

impl QueueStore for SqliteStore {
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

    fn read_queued(&self, id: i64) -> Result<Reading, Error> {
        let query = "SELECT NULL, b.fields, b.inline, b.file, b.size FROM queue q JOIN bodies b ON b.id = q.body WHERE q.id = ?1";
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
            let query = "DELETE FROM queue WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM queue_recipients WHERE queue_recipients.id = ?1)
                         RETURNING body";
            let bodies = deleted(c, query, [id])?;
            drop_bodies(c, &bodies)
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
            let bodies = deleted(c, "DELETE FROM queue WHERE id = ?1 RETURNING body", [id])?;
            changed(bodies.len(), &format!("message {id} of the queue"))?;
            drop_bodies(c, &bodies)
        })?;
        files.iter().for_each(|file| self.blobs.remove(file));
        Ok(())
    }
}

pub(in crate::server::store::sqlite) fn insert_queued(
    connection: &Connection,
    sender: &str,
    body: i64,
    elsewhere: &[String],
    at: Timestamp,
) -> Result<(), Error> {
    let insert = "INSERT INTO queue (sender, body, created_at, version) VALUES (?1, ?2, ?3, 2)";
    connection.execute(insert, params![sender, body, at.unix()]).map_err(from_sqlite)?;
    let id = connection.last_insert_rowid();
    let insert = "INSERT OR IGNORE INTO queue_recipients (id, address, next_at) VALUES (?1, ?2, ?3)";
    elsewhere
        .iter()
        .try_for_each(|address| connection.execute(insert, params![id, address, at.unix()]).map(|_| ()).map_err(from_sqlite))
}
