//! TLS policies of other domains, and how TLS went with their servers.

use rusqlite::{Connection, OptionalExtension, params};

use crate::server::store::sqlite::{SqliteStore, from_sqlite};
use crate::server::store::{Error, PolicyStore, TlsResult};
use crate::time::Timestamp;

/// Counts by the wording of the policy and by the addresses, too, and remembers which reports are settled.
pub(in crate::server::store::sqlite) const MIGRATION: &str = "
    ALTER TABLE tls_results RENAME TO old_tls_results;
    CREATE TABLE tls_results (
        day INTEGER NOT NULL, domain TEXT NOT NULL, policy TEXT NOT NULL, wording TEXT NOT NULL, mx TEXT NOT NULL, receiving TEXT NOT NULL,
        sending TEXT NOT NULL, result TEXT NOT NULL, count INTEGER NOT NULL,
        PRIMARY KEY (day, domain, policy, wording, mx, receiving, sending, result)) STRICT;
    INSERT INTO tls_results SELECT day, domain, policy, '', mx, '', '', result, count FROM old_tls_results;
    DROP TABLE old_tls_results;
    CREATE TABLE tls_reported (day INTEGER NOT NULL, domain TEXT NOT NULL, PRIMARY KEY (day, domain)) STRICT;
";

impl PolicyStore for SqliteStore {
    fn policy(&self, domain: &str) -> Result<Option<(String, String, Timestamp)>, Error> {
        self.read(|c| policy(c, domain))
    }

    fn keep_policy(&self, domain: &str, version: &str, text: &str, at: Timestamp) -> Result<(), Error> {
        let (domain, version, text) = (domain.to_owned(), version.to_owned(), text.to_owned());
        self.write(move |c| keep_policy(c, &domain, &version, &text, at))
    }

    fn count_tls(&self, day: i64, result: TlsResult) -> Result<(), Error> {
        self.write(move |c| count_tls(c, day, &result))
    }

    fn tls_results(&self, day: i64) -> Result<Vec<(TlsResult, u64)>, Error> {
        self.read(|c| tls_results(c, day))
    }

    fn unreported(&self, day: i64) -> Result<Vec<String>, Error> {
        self.read(|c| unreported(c, day))
    }

    fn reported(&self, day: i64, domain: &str) -> Result<(), Error> {
        let domain = domain.to_owned();
        self.write(move |c| reported(c, day, &domain))
    }
}

fn policy(c: &Connection, domain: &str) -> rusqlite::Result<Option<(String, String, Timestamp)>> {
    let query = "SELECT version, text, fetched_at FROM policies WHERE domain = ?1";
    let row = |r: &rusqlite::Row<'_>| Ok((r.get(0)?, r.get(1)?, Timestamp::from_unix(r.get(2)?)));
    c.prepare_cached(query)?.query_row([domain], row).optional()
}

fn keep_policy(c: &Connection, domain: &str, version: &str, text: &str, at: Timestamp) -> Result<(), Error> {
    let query = "INSERT OR REPLACE INTO policies VALUES (?1, ?2, ?3, ?4)";
    c.execute(query, params![domain, version, text, at.unix()]).map(|_| ()).map_err(from_sqlite)
}

fn count_tls(c: &Connection, day: i64, result: &TlsResult) -> Result<(), Error> {
    let query = "INSERT INTO tls_results VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 1)
                 ON CONFLICT (day, domain, policy, wording, mx, receiving, sending, result) DO UPDATE SET count = count + 1";
    let TlsResult { domain, policy, wording, mx, between: (receiving, sending), result } = result;
    let row = params![day, domain, policy, wording, mx, receiving, sending, result];
    c.prepare_cached(query).and_then(|mut s| s.execute(row)).map_err(from_sqlite)?;
    // the reports of two months are asked for by nobody
    for query in ["DELETE FROM tls_results WHERE day < ?1 - 60", "DELETE FROM tls_reported WHERE day < ?1 - 60"] {
        c.prepare_cached(query).and_then(|mut s| s.execute([day])).map_err(from_sqlite)?;
    }
    Ok(())
}

fn unreported(c: &Connection, day: i64) -> rusqlite::Result<Vec<String>> {
    let query = "SELECT DISTINCT domain FROM tls_results WHERE day = ?1 AND NOT EXISTS (
                     SELECT 1 FROM tls_reported r WHERE r.day = ?1 AND r.domain = tls_results.domain) ORDER BY domain";
    c.prepare_cached(query)?.query_map([day], |row| row.get(0))?.collect()
}

fn reported(c: &Connection, day: i64, domain: &str) -> Result<(), Error> {
    let query = "INSERT OR IGNORE INTO tls_reported VALUES (?1, ?2)";
    c.execute(query, params![day, domain]).map(|_| ()).map_err(from_sqlite)
}

fn tls_results(c: &Connection, day: i64) -> rusqlite::Result<Vec<(TlsResult, u64)>> {
    let query = "SELECT domain, policy, wording, mx, receiving, sending, result, count FROM tls_results WHERE day = ?1
                 ORDER BY domain, policy, wording, mx, result, receiving, sending";
    let row = |r: &rusqlite::Row<'_>| {
        let count: i64 = r.get(7)?;
        let result = TlsResult {
            domain: r.get(0)?,
            policy: r.get(1)?,
            wording: r.get(2)?,
            mx: r.get(3)?,
            between: (r.get(4)?, r.get(5)?),
            result: r.get(6)?,
        };
        Ok((result, u64::try_from(count).unwrap_or_default()))
    };
    c.prepare_cached(query)?.query_map([day], row)?.collect()
}
