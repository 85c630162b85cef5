//! The bytes of messages: in their rows, or in files.

use rusqlite::{Connection, OptionalExtension, params};

use crate::server::store::Error;
use crate::server::store::sqlite::{SqliteStore, from_sqlite};

/// Messages up to this size stand in the database, larger ones in files: a file costs two syncs, and large rows slow the database.
const INLINE: usize = 16 << 10;

/// A message on its way into the database: in its row, or in a file.
#[derive(Debug)]
pub(in crate::server::store::sqlite) enum Body {
    Inline(Vec<u8>),
    File { name: String, size: usize },
}

impl Body {
    /// What is to be removed where the rest fails.
    pub(in crate::server::store::sqlite) fn without_bytes(&self) -> Self {
        match self {
            Self::Inline(_) => Self::Inline(Vec::new()),
            Self::File { name, size } => Self::File { name: name.clone(), size: *size },
        }
    }
}

pub(in crate::server::store::sqlite) fn insert_body(connection: &Connection, body: &Body) -> Result<i64, Error> {
    let (size, inline, file) = match body {
        Body::Inline(bytes) => (bytes.len(), Some(bytes), None),
        Body::File { name, size } => (*size, None, Some(name)),
    };
    let size = i64::try_from(size).unwrap_or(i64::MAX);
    let mut insert =
        connection.prepare_cached("INSERT INTO bodies (size, inline, file) VALUES (?1, ?2, ?3)").map_err(from_sqlite)?;
    insert.execute(params![size, inline, file]).map_err(from_sqlite)?;
    Ok(connection.last_insert_rowid())
}

impl SqliteStore {
    /// A large message goes to a file of its own; a name is never shared, so that a file belongs to one row.
    pub(in crate::server::store::sqlite) fn body(&self, message: Vec<u8>) -> Result<Body, Error> {
        if message.len() <= INLINE {
            return Ok(Body::Inline(message));
        }
        let mut random = [0; 16];
        crate::keys::files::random_name(&mut random);
        let name = crate::pki::hex(&random);
        self.blobs.write(&name, &message)?;
        Ok(Body::File { name, size: message.len() })
    }

    pub(in crate::server::store::sqlite) fn forget(&self, body: &Body) {
        if let Body::File { name, .. } = body {
            self.blobs.remove(name);
        }
    }

    pub(in crate::server::store::sqlite) fn read_body(
        &self,
        query: &str,
        parameters: impl rusqlite::Params,
        what: &str,
    ) -> Result<Vec<u8>, Error> {
        let found: Option<(Option<Vec<u8>>, Option<String>)> =
            self.read(|c| c.prepare_cached(query)?.query_row(parameters, |row| Ok((row.get(0)?, row.get(1)?))).optional())?;
        match found {
            Some((Some(inline), _)) => Ok(inline),
            Some((None, Some(file))) => self.blobs.read(&file),
            _ => Err(Error::NotFound(what.to_owned())),
        }
    }
}

/// Drops bodies that no mailbox holds; gives the files to remove once that is committed.
pub(in crate::server::store::sqlite) fn drop_bodies(connection: &Connection) -> Result<Vec<String>, Error> {
    const ORPHAN: &str = "NOT EXISTS (SELECT 1 FROM messages WHERE messages.body = bodies.id)
                         AND NOT EXISTS (SELECT 1 FROM queue WHERE queue.body = bodies.id)";
    let query = format!("DELETE FROM bodies WHERE {ORPHAN} RETURNING file");
    let mut statement = connection.prepare_cached(&query).map_err(from_sqlite)?;
    let rows = statement.query_map([], |row| row.get::<_, Option<String>>(0)).map_err(from_sqlite)?;
    let files: rusqlite::Result<Vec<Option<String>>> = rows.collect();
    Ok(files.map_err(from_sqlite)?.into_iter().flatten().collect())
}
