//! What waits for other servers.

use rusqlite::{Connection, OptionalExtension, params};

use crate::proto::smtp::{Addressee, Body, RequireTls, Terms};
use crate::server::store::sqlite::bodies::{deleted, drop_bodies};
use crate::server::store::sqlite::{SqliteStore, changed, from_sqlite};
use crate::server::store::{Depth, Due, Error, HELD, Priority, QueueStore, Queued, Reading, Settled, Waiting, Which};
use crate::time::Timestamp;

/// Brings the queue of old databases to what follows: a recipient knows his domain, by which he is found when it is due.
pub(in crate::server::store::sqlite) const MIGRATION: &str = "
    ALTER TABLE queue ADD COLUMN ret TEXT NOT NULL DEFAULT '';
    ALTER TABLE queue ADD COLUMN envid TEXT NOT NULL DEFAULT '';
    ALTER TABLE queue ADD COLUMN content INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE queue ADD COLUMN requires_tls INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE queue_recipients ADD COLUMN domain TEXT NOT NULL DEFAULT '';
    ALTER TABLE queue_recipients ADD COLUMN priority INTEGER NOT NULL DEFAULT 1;
    ALTER TABLE queue_recipients ADD COLUMN notify TEXT NOT NULL DEFAULT '';
    ALTER TABLE queue_recipients ADD COLUMN original TEXT NOT NULL DEFAULT '';
    ALTER TABLE queue_recipients ADD COLUMN told INTEGER NOT NULL DEFAULT 0;
    UPDATE queue_recipients SET domain = lower(substr(address, instr(address, '@') + 1));
    DROP INDEX queue_recipients_by_time;
    CREATE INDEX queue_recipients_by_domain ON queue_recipients (domain, priority, next_at);
    CREATE TABLE policies (domain TEXT PRIMARY KEY, version TEXT NOT NULL, text TEXT NOT NULL, fetched_at INTEGER NOT NULL) STRICT;
    CREATE TABLE tls_results (
        day INTEGER NOT NULL, domain TEXT NOT NULL, policy TEXT NOT NULL, mx TEXT NOT NULL, result TEXT NOT NULL,
        count INTEGER NOT NULL, PRIMARY KEY (day, domain, policy, mx, result)) STRICT;
";

impl QueueStore for SqliteStore {
    fn due_domains(&self, now: Timestamp) -> Result<Vec<String>, Error> {
        self.read(|c| due_domains(c, now))
    }

    fn due_messages(&self, domain: &str, now: Timestamp, limit: usize) -> Result<Vec<i64>, Error> {
        self.read(|c| due_messages(c, domain, now, limit))
    }

    fn due(&self, id: i64, now: Timestamp) -> Result<Option<Queued>, Error> {
        self.read(|c| due(c, id, now))
    }

    fn read_queued(&self, id: i64) -> Result<Reading, Error> {
        let query = "SELECT NULL, b.fields, b.inline, b.file, b.size FROM queue q JOIN bodies b ON b.id = q.body WHERE q.id = ?1";
        self.read_body(query, params![id], &format!("message {id} of the queue"))
    }

    fn settle(&self, id: i64, settled: Vec<(String, Settled)>) -> Result<(), Error> {
        let files = self.write(move |c| drop_bodies(c, &settle(c, id, &settled)?))?;
        files.iter().for_each(|file| self.blobs.remove(file));
        Ok(())
    }

    fn depth(&self, now: Timestamp) -> Result<Depth, Error> {
        self.read(|c| depth(c, now))
    }

    fn waiting_of(&self, which: &Which) -> Result<Vec<Waiting>, Error> {
        self.read(|c| waiting(c, which))
    }

    fn retry(&self, which: &Which, now: Timestamp) -> Result<(), Error> {
        let which = which.clone();
        self.write(move |c| retry(c, &which, now))
    }

    fn not_later_than(&self, latest: Timestamp, now: Timestamp) -> Result<usize, Error> {
        let is_any = "SELECT EXISTS (SELECT 1 FROM queue_recipients WHERE next_at > ?1 AND next_at < ?2)";
        if !self.read(|c| c.query_row(is_any, [latest.unix(), HELD.unix()], |row| row.get(0)))? {
            return Ok(0);
        }
        self.write(move |c| not_later_than(c, latest, now))
    }

    fn hold(&self, which: &Which) -> Result<(), Error> {
        let which = which.clone();
        self.write(move |c| hold(c, &which))
    }

    fn drop_queued(&self, which: &Which) -> Result<(), Error> {
        let which = which.clone();
        let files = self.write(move |c| drop_bodies(c, &remove(c, &which)?))?;
        files.iter().for_each(|file| self.blobs.remove(file));
        Ok(())
    }
}

pub(in crate::server::store::sqlite) fn insert(
    connection: &Connection,
    sender: &str,
    body: i64,
    terms: &Terms,
    priority: Priority,
    recipients: &[Addressee],
    at: Timestamp,
) -> Result<i64, Error> {
    let query = "INSERT INTO queue (sender, body, created_at, ret, envid, content, requires_tls, version) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 2)";
    let requires_tls = wish(terms.tls);
    let mut insert = connection.prepare_cached(query).map_err(from_sqlite)?;
    insert
        .execute(params![sender, body, at.unix(), terms.ret, terms.envid, content(terms.body), requires_tls])
        .map_err(from_sqlite)?;
    let id = connection.last_insert_rowid();
    let query = "INSERT OR IGNORE INTO queue_recipients (id, address, domain, priority, notify, original, next_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    let mut insert = connection.prepare_cached(query).map_err(from_sqlite)?;
    recipients.iter().try_for_each(|to| {
        let domain = to.address.rsplit_once('@').map_or("", |(_, domain)| domain).to_lowercase();
        let row = params![id, to.address, domain, number(priority), to.notify, to.original, at.unix()];
        insert.execute(row).map(|_| ()).map_err(from_sqlite)
    })?;
    Ok(id)
}

fn depth(c: &Connection, now: Timestamp) -> rusqlite::Result<Depth> {
    let query =
        "SELECT coalesce(sum(next_at > ?1 AND next_at < ?2), 0), coalesce(sum(next_at <= ?1), 0), coalesce(sum(next_at >= ?2), 0)
                 FROM queue_recipients";
    let oldest: Option<i64> = c.prepare_cached("SELECT min(created_at) FROM queue")?.query_row([], |row| row.get(0))?;
    let count = |row: &rusqlite::Row<'_>, at: usize| row.get(at).map(|count: i64| u64::try_from(count).unwrap_or(0));
    c.prepare_cached(query)?.query_row([now.unix(), HELD.unix()], |row| {
        let oldest = oldest.map(Timestamp::from_unix);
        Ok(Depth { waiting: count(row, 0)?, due: count(row, 1)?, held: count(row, 2)?, oldest })
    })
}

/// The domains one after another, each found by its index: a thousand letters for one of them cost no more than one.
fn due_domains(c: &Connection, now: Timestamp) -> rusqlite::Result<Vec<String>> {
    let query = "WITH RECURSIVE known(domain) AS (
                     SELECT min(domain) FROM queue_recipients
                     UNION ALL SELECT (SELECT min(domain) FROM queue_recipients WHERE domain > known.domain) FROM known WHERE domain IS NOT NULL)
                 SELECT domain FROM known WHERE domain IS NOT NULL AND (
                     EXISTS (SELECT 1 FROM queue_recipients r WHERE r.domain = known.domain AND r.priority = 0 AND r.next_at <= ?1)
                  OR EXISTS (SELECT 1 FROM queue_recipients r WHERE r.domain = known.domain AND r.priority = 1 AND r.next_at <= ?1)
                  OR EXISTS (SELECT 1 FROM queue_recipients r WHERE r.domain = known.domain AND r.priority = 2 AND r.next_at <= ?1))";
    c.prepare_cached(query)?.query_map([now.unix()], |row| row.get(0))?.collect()
}

fn due_messages(c: &Connection, domain: &str, now: Timestamp, limit: usize) -> rusqlite::Result<Vec<i64>> {
    let query = "SELECT DISTINCT id FROM queue_recipients WHERE domain = ?1 AND priority = ?2 AND next_at <= ?3 ORDER BY next_at, id LIMIT ?4";
    let mut found: Vec<i64> = Vec::new();
    for priority in [Priority::High, Priority::Normal, Priority::Low] {
        let left = i64::try_from(limit.saturating_sub(found.len())).unwrap_or(i64::MAX);
        if left == 0 {
            break;
        }
        let mut statement = c.prepare_cached(query)?;
        let rows = statement.query_map(params![domain, number(priority), now.unix(), left], |row| row.get(0))?;
        found.extend(rows.collect::<rusqlite::Result<Vec<i64>>>()?);
    }
    Ok(found)
}

fn due(c: &Connection, id: i64, now: Timestamp) -> rusqlite::Result<Option<Queued>> {
    let query = "SELECT sender, created_at, ret, envid, content, requires_tls FROM queue WHERE id = ?1";
    let row = |row: &rusqlite::Row<'_>| {
        let terms = Terms { ret: row.get(2)?, envid: row.get(3)?, body: body(row.get(4)?), tls: tls(row.get(5)?) };
        Ok(Queued { id, sender: row.get(0)?, created: Timestamp::from_unix(row.get(1)?), terms, recipients: Vec::new() })
    };
    let Some(mut queued) = c.prepare_cached(query)?.query_row([id], row).optional()? else { return Ok(None) };
    let query = "SELECT address, notify, original, attempts, told, next_at FROM queue_recipients WHERE id = ?1 AND next_at <= ?2 ORDER BY address";
    let row = |row: &rusqlite::Row<'_>| {
        let to = Addressee { address: row.get(0)?, notify: row.get(1)?, original: row.get(2)? };
        Ok(Due { to, attempts: row.get(3)?, was_told: row.get(4)?, since: Timestamp::from_unix(row.get(5)?) })
    };
    queued.recipients = c.prepare_cached(query)?.query_map(params![id, now.unix()], row)?.collect::<rusqlite::Result<_>>()?;
    Ok(Some(queued))
}

fn settle(c: &Connection, id: i64, settled: &[(String, Settled)]) -> Result<Vec<i64>, Error> {
    for (address, settled) in settled {
        settle_one(c, (id, address), settled)?;
    }
    forget_without_recipients(c, id)
}

fn settle_one(c: &Connection, (id, address): (i64, &str), settled: &Settled) -> Result<(), Error> {
    // what was held meanwhile stays held
    let later =
        "UPDATE queue_recipients SET attempts = attempts + 1, next_at = max(next_at, ?3), error = ?4, told = max(told, ?5)
                 WHERE id = ?1 AND address = ?2";
    let done = match settled {
        Settled::Gone => c
            .prepare_cached("DELETE FROM queue_recipients WHERE id = ?1 AND address = ?2")
            .and_then(|mut s| s.execute(params![id, address])),
        Settled::Later(next, error) => {
            c.prepare_cached(later).and_then(|mut s| s.execute(params![id, address, next.unix(), error, false]))
        }
        Settled::LaterAndTold(next, error) => {
            c.prepare_cached(later).and_then(|mut s| s.execute(params![id, address, next.unix(), error, true]))
        }
        Settled::Unmoved(since, settled) => {
            let is_there = "SELECT 1 FROM queue_recipients WHERE id = ?1 AND address = ?2 AND next_at = ?3";
            let is_there =
                c.prepare_cached(is_there).and_then(|mut s| s.exists(params![id, address, since.unix()])).map_err(from_sqlite)?;
            match settled.as_ref() {
                settled if is_there => return settle_one(c, (id, address), settled),
                Settled::LaterAndTold(..) => c
                    .prepare_cached("UPDATE queue_recipients SET told = 1 WHERE id = ?1 AND address = ?2")
                    .and_then(|mut s| s.execute(params![id, address])),
                _ => Ok(0),
            }
        }
    };
    done.map(|_| ()).map_err(from_sqlite)
}

/// Gives the bodies that may be without a holder now.
fn forget_without_recipients(c: &Connection, id: i64) -> Result<Vec<i64>, Error> {
    let query = "DELETE FROM queue WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM queue_recipients WHERE queue_recipients.id = ?1)
                 RETURNING body";
    deleted(c, query, [id])
}

fn waiting(c: &Connection, which: &Which) -> rusqlite::Result<Vec<Waiting>> {
    let (condition, value) = condition(which);
    let query = format!(
        "SELECT q.id, q.sender, address, attempts, next_at, error, priority, q.created_at
         FROM queue q JOIN queue_recipients ON queue_recipients.id = q.id WHERE {condition} ORDER BY q.id, address"
    );
    let row = |r: &rusqlite::Row<'_>| {
        let (next, created): (i64, i64) = (r.get(4)?, r.get(7)?);
        let priority: i64 = r.get(6)?;
        Ok(Waiting {
            id: r.get(0)?,
            sender: r.get(1)?,
            recipient: r.get(2)?,
            attempts: r.get(3)?,
            next: Timestamp::from_unix(next),
            created: Timestamp::from_unix(created),
            error: r.get(5)?,
            priority: match priority {
                0 => Priority::High,
                1 => Priority::Normal,
                _ => Priority::Low,
            },
        })
    };
    c.prepare_cached(&query)?.query_map([value], row)?.collect()
}

fn not_later_than(c: &Connection, latest: Timestamp, now: Timestamp) -> Result<usize, Error> {
    let late = "UPDATE queue SET created_at = ?1 WHERE created_at > ?1";
    c.execute(late, [now.unix()]).map_err(from_sqlite)?;
    let far = "UPDATE queue_recipients SET next_at = ?1 WHERE next_at > ?2 AND next_at < ?3";
    c.execute(far, [now.unix(), latest.unix(), HELD.unix()]).map_err(from_sqlite)
}

/// Which rows are meant: a condition on `queue_recipients`, and its parameter.
fn condition(which: &Which) -> (&'static str, rusqlite::types::Value) {
    match which {
        Which::All => ("?1 IS NOT NULL", 0.into()),
        Which::Message(id) => ("queue_recipients.id = ?1", (*id).into()),
        Which::Domain(domain) => ("queue_recipients.domain = ?1", domain.clone().into()),
        Which::User(user) => ("queue_recipients.id IN (SELECT id FROM queue WHERE lower(sender) = ?1)", user.clone().into()),
    }
}

fn none(which: &Which) -> String {
    match which {
        Which::All => "any message of the queue".to_owned(),
        Which::Message(id) => format!("message {id} of the queue"),
        Which::Domain(domain) => format!("a message to {domain} in the queue"),
        Which::User(user) => format!("a message of {user} in the queue"),
    }
}

fn hold(c: &Connection, which: &Which) -> Result<(), Error> {
    let (condition, value) = condition(which);
    let query = format!("UPDATE queue_recipients SET next_at = ?2 WHERE {condition}");
    let rows = c.execute(&query, params![value, HELD.unix()]).map_err(from_sqlite)?;
    if *which == Which::All { Ok(()) } else { changed(rows, &none(which)) }
}

fn retry(c: &Connection, which: &Which, now: Timestamp) -> Result<(), Error> {
    let (condition, value) = condition(which);
    // who wants everything tried does not mean what somebody holds
    let held = if *which == Which::All { "AND next_at < ?3" } else { "AND ?3 IS NOT NULL" };
    // what is due already has another time afterwards, too: an attempt that is under way sees that somebody moved it
    let query = format!("UPDATE queue_recipients SET next_at = min(?2, next_at - 1) WHERE {condition} {held}");
    let rows = c.execute(&query, params![value, now.unix(), HELD.unix()]).map_err(from_sqlite)?;
    if *which == Which::All { Ok(()) } else { changed(rows, &none(which)) }
}

fn remove(c: &Connection, which: &Which) -> Result<Vec<i64>, Error> {
    let (condition, value) = condition(which);
    let query = format!("DELETE FROM queue_recipients WHERE {condition}");
    let rows = c.execute(&query, params![value]).map_err(from_sqlite)?;
    changed(rows, &none(which))?;
    let query =
        "DELETE FROM queue WHERE NOT EXISTS (SELECT 1 FROM queue_recipients WHERE queue_recipients.id = queue.id) RETURNING body";
    deleted(c, query, [])
}

/// What the content is, as a number.
const fn content(body: Body) -> i64 {
    match body {
        Body::Text => 0,
        Body::Binary => 1,
        Body::EightBit => 2,
    }
}

const fn body(content: i64) -> Body {
    match content {
        1 => Body::Binary,
        2 => Body::EightBit,
        _ => Body::Text,
    }
}

/// What the sender asks of TLS, as a number.
const fn wish(tls: RequireTls) -> i64 {
    match tls {
        RequireTls::No => 0,
        RequireTls::Yes => 1,
        RequireTls::Waived => 2,
    }
}

const fn tls(wish: i64) -> RequireTls {
    match wish {
        1 => RequireTls::Yes,
        2 => RequireTls::Waived,
        _ => RequireTls::No,
    }
}

/// High ones come first.
const fn number(priority: Priority) -> i64 {
    match priority {
        Priority::High => 0,
        Priority::Normal => 1,
        Priority::Low => 2,
    }
}
