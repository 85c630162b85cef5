//! The tokens of the admin API.

use rusqlite::params;

use crate::server::store::sqlite::{SqliteStore, changed, from_sqlite};
use crate::server::store::{Error, Scope, Token, TokenStore};
use crate::time::Timestamp;

impl TokenStore for SqliteStore {
    fn add_token(&self, token: Token) -> Result<(), Error> {
        self.write(move |c| {
            let Token { name, scope, digest, created, expires } = token;
            let query = "INSERT OR IGNORE INTO tokens (name, scope, digest, created_at, expires_at) VALUES (?1, ?2, ?3, ?4, ?5)";
            let row = params![name, scope.name(), digest, created.unix(), expires.map(Timestamp::unix)];
            match c.execute(query, row).map_err(from_sqlite)? {
                0 => Err(Error::Exists(format!("the token {name}"))),
                _ => Ok(()),
            }
        })
    }

    fn tokens(&self) -> Result<Vec<Token>, Error> {
        let query = "SELECT name, scope, digest, created_at, expires_at FROM tokens ORDER BY name";
        let rows = self.read(|c| {
            let row = |r: &rusqlite::Row<'_>| {
                let (scope, expires): (String, Option<i64>) = (r.get(1)?, r.get(4)?);
                let (created, expires) = (Timestamp::from_unix(r.get(3)?), expires.map(Timestamp::from_unix));
                // a word of a later program: it may the least
                let scope = Scope::parse(&scope).unwrap_or(Scope::Read);
                Ok(Token { name: r.get(0)?, scope, digest: r.get(2)?, created, expires })
            };
            c.prepare_cached(query)?.query_map([], row)?.collect()
        })?;
        Ok(rows)
    }

    fn remove_token(&self, name: &str) -> Result<(), Error> {
        let name = name.to_owned();
        self.write(move |c| {
            let rows = c.execute("DELETE FROM tokens WHERE name = ?1", [&name]).map_err(from_sqlite)?;
            changed(rows, &format!("the token {name}"))
        })
    }
}
