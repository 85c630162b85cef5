//! TLS policies of other domains, and how TLS went with their servers.

use rusqlite::{Connection, OptionalExtension, params};

use crate::server::store::sqlite::{SqliteStore, from_sqlite};
use crate::server::store::{Error, PolicyStore, TlsResult};
use crate::time::Timestamp;

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
    let query = "INSERT INTO tls_results VALUES (?1, ?2, ?3, ?4, ?5, 1)
                 ON CONFLICT (day, domain, policy, mx, result) DO UPDATE SET count = count + 1";
    let row = params![day, result.domain, result.policy, result.mx, result.result];
    c.prepare_cached(query).and_then(|mut s| s.execute(row)).map_err(from_sqlite)?;
    // the reports of two months are asked for by nobody
    c.prepare_cached("DELETE FROM tls_results WHERE day < ?1 - 60")
        .and_then(|mut s| s.execute([day]))
        .map(|_| ())
        .map_err(from_sqlite)
}

fn tls_results(c: &Connection, day: i64) -> rusqlite::Result<Vec<(TlsResult, u64)>> {
    let query = "SELECT domain, policy, mx, result, count FROM tls_results WHERE day = ?1 ORDER BY domain, policy, mx, result";
    let row = |r: &rusqlite::Row<'_>| {
        let count: i64 = r.get(4)?;
        let result = TlsResult { domain: r.get(0)?, policy: r.get(1)?, mx: r.get(2)?, result: r.get(3)? };
        Ok((result, u64::try_from(count).unwrap_or_default()))
    };
    c.prepare_cached(query)?.query_map([day], row)?.collect()
}
