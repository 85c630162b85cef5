//! Domains, users and aliases.

use std::sync::atomic::Ordering;

use rusqlite::{Connection, OptionalExtension, params};

use crate::server::store::sqlite::bodies::{deleted, drop_bodies};
use crate::server::store::sqlite::{SqliteStore, changed, from_sqlite};
use crate::server::store::{AccountStore, Error, Room, Standing};

impl SqliteStore {
    /// A write that changes accounts.
    fn change<T: Send + 'static>(&self, job: impl FnOnce(&Connection) -> Result<T, Error> + Send + 'static) -> Result<T, Error> {
        let changed = self.write(job);
        // whatever became of it: who looks again finds what is there
        self.changes.fetch_add(1, Ordering::SeqCst);
        changed
    }
}

impl AccountStore for SqliteStore {
    fn changes(&self) -> u64 {
        self.changes.load(Ordering::SeqCst)
    }

    fn add_domain(&self, domain: &str) -> Result<(), Error> {
        let domain = domain.to_owned();
        self.change(move |c| {
            match c.execute("INSERT OR IGNORE INTO domains (name) VALUES (?1)", [&domain]).map_err(from_sqlite)? {
                0 => Err(Error::Exists(format!("the domain {domain}"))),
                _ => Ok(()),
            }
        })
    }

    fn remove_domain(&self, domain: &str) -> Result<(), Error> {
        let domain = domain.to_owned();
        self.change(move |c| {
            let query = "SELECT count(*) FROM users WHERE address LIKE '%@' || ?1";
            let users: i64 = c.query_row(query, [&domain], |row| row.get(0)).map_err(from_sqlite)?;
            if users > 0 {
                let many = if users == 1 { "1 user".to_owned() } else { format!("{users} users") };
                return Err(Error::InUse(format!("the domain {domain} has {many}")));
            }
            changed(
                c.execute("DELETE FROM domains WHERE name = ?1", [&domain]).map_err(from_sqlite)?,
                &format!("the domain {domain}"),
            )
        })
    }

    fn domains(&self) -> Result<Vec<String>, Error> {
        self.column("SELECT name FROM domains ORDER BY name")
    }

    fn add_user(&self, address: &str, password_hash: &str) -> Result<(), Error> {
        let (address, hash) = (address.to_owned(), password_hash.to_owned());
        self.change(move |c| {
            let query = "INSERT OR IGNORE INTO users (address, password_hash, next_uid)
                         VALUES (?1, ?2, coalesce((SELECT next_uid FROM retired WHERE address = ?1),
                             (SELECT next_uid FROM retired WHERE address = ''), 1))";
            match c.execute(query, [&address, &hash]).map_err(from_sqlite)? {
                0 => Err(Error::Exists(format!("the user {address}"))),
                _ => Ok(()),
            }
        })
    }

    fn set_password(&self, address: &str, password_hash: &str) -> Result<(), Error> {
        let (address, hash) = (address.to_owned(), password_hash.to_owned());
        self.change(move |c| {
            let rows =
                c.execute("UPDATE users SET password_hash = ?2 WHERE address = ?1", [&address, &hash]).map_err(from_sqlite)?;
            changed(rows, &format!("the user {address}"))
        })
    }

    fn remove_user(&self, address: &str) -> Result<(), Error> {
        let address = address.to_owned();
        let files = self.change(move |c| {
            // a new user of this name goes on where this one ends: mail programs remember numbers
            let retire = "INSERT OR REPLACE INTO retired SELECT address, next_uid FROM users WHERE address = ?1";
            c.execute(retire, [&address]).map_err(from_sqlite)?;
            changed(
                c.execute("DELETE FROM users WHERE address = ?1", [&address]).map_err(from_sqlite)?,
                &format!("the user {address}"),
            )?;
            let folders =
                "DELETE FROM messages WHERE mailbox = ?1 OR substr(mailbox, 1, length(?1) + 1) = ?1 || '/' RETURNING body";
            let bodies = deleted(c, folders, [&address])?;
            drop_bodies(c, &bodies)
        })?;
        files.iter().for_each(|file| self.blobs.remove(file));
        Ok(())
    }

    fn users(&self) -> Result<Vec<String>, Error> {
        self.column("SELECT address FROM users ORDER BY address")
    }

    fn password_hash(&self, address: &str) -> Result<Option<String>, Error> {
        let query = "SELECT password_hash FROM users WHERE address = ?1";
        self.read(|c| c.prepare_cached(query)?.query_row([address], |row| row.get(0)).optional())
    }

    fn add_alias(&self, alias: &str, target: &str) -> Result<(), Error> {
        let (alias, target) = (alias.to_owned(), target.to_owned());
        self.change(move |c| {
            match c.execute("INSERT OR IGNORE INTO aliases VALUES (?1, ?2)", [&alias, &target]).map_err(from_sqlite)? {
                0 => Err(Error::Exists(format!("the alias {alias} to {target}"))),
                _ => Ok(()),
            }
        })
    }

    fn remove_alias(&self, alias: &str) -> Result<(), Error> {
        let alias = alias.to_owned();
        self.change(move |c| {
            changed(
                c.execute("DELETE FROM aliases WHERE alias = ?1", [&alias]).map_err(from_sqlite)?,
                &format!("the alias {alias}"),
            )
        })
    }

    fn aliases(&self) -> Result<Vec<(String, String)>, Error> {
        let query = "SELECT alias, target FROM aliases ORDER BY alias, target";
        self.read(|c| c.prepare_cached(query)?.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect())
    }

    fn targets(&self, alias: &str) -> Result<Vec<String>, Error> {
        let query = "SELECT target FROM aliases WHERE alias = ?1 ORDER BY target";
        self.read(|c| c.prepare_cached(query)?.query_map([alias], |row| row.get(0))?.collect())
    }

    fn set_quota(&self, name: &str, bytes: u64) -> Result<(), Error> {
        let (name, bytes) = (name.to_owned(), i64::try_from(bytes).unwrap_or(i64::MAX));
        self.change(move |c| {
            let query = match name.contains('@') {
                true => "UPDATE users SET quota = ?2 WHERE address = ?1",
                false => "UPDATE domains SET quota = ?2 WHERE name = ?1",
            };
            changed(c.execute(query, params![name, bytes]).map_err(from_sqlite)?, &name)
        })
    }

    fn set_standing(&self, address: &str, standing: Standing) -> Result<(), Error> {
        let (address, is_suspended) = (address.to_owned(), standing == Standing::Suspended);
        self.change(move |c| {
            let query = "UPDATE users SET suspended = ?2 WHERE address = ?1";
            let rows = c.execute(query, params![address, is_suspended]).map_err(from_sqlite)?;
            changed(rows, &format!("the user {address}"))
        })
    }

    fn standing(&self, address: &str) -> Result<Option<Standing>, Error> {
        let query = "SELECT suspended FROM users WHERE address = ?1";
        let is_suspended: Option<bool> =
            self.read(|c| c.prepare_cached(query)?.query_row([address], |row| row.get(0)).optional())?;
        Ok(is_suspended.map(|is_suspended| if is_suspended { Standing::Suspended } else { Standing::Active }))
    }

    fn suspended(&self) -> Result<Vec<String>, Error> {
        self.column("SELECT address FROM users WHERE suspended ORDER BY address")
    }

    fn room(&self, mailbox: &str) -> Result<Room, Error> {
        self.read(|c| room(c, mailbox))
    }
}

/// What a user's mailboxes, and those of his domain, hold and may hold.
pub(in crate::server::store::sqlite) fn room(connection: &Connection, user: &str) -> rusqlite::Result<Room> {
    let own = "SELECT used, quota FROM users WHERE address = ?1";
    let domain = "SELECT coalesce((SELECT sum(used) FROM users WHERE address LIKE '%@' || ?1), 0), quota FROM domains WHERE name = ?1 AND quota > 0";
    let pair = |row: &rusqlite::Row<'_>| {
        let (used, quota): (i64, i64) = (row.get(0)?, row.get(1)?);
        Ok((u64::try_from(used).unwrap_or(0), u64::try_from(quota).unwrap_or(0)))
    };
    let name = user.rsplit_once('@').map_or("", |(_, domain)| domain);
    let user = connection.prepare_cached(own)?.query_row([user], pair).optional()?.unwrap_or_default();
    let domain = connection.prepare_cached(domain)?.query_row([name], pair).optional()?.unwrap_or_default();
    Ok(Room { user, domain })
}
