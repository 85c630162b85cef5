//! The bytes of messages: in their rows, or in files.

use std::io::{Cursor, Read};

use rusqlite::{Connection, OptionalExtension, params};

use crate::server::store::blobs::NewFile;
use crate::server::store::body::Content;
use crate::server::store::growing::{Grown, digest};
use crate::server::store::sqlite::{SqliteStore, from_sqlite};
use crate::server::store::{Body, Error, Reading};

/// Messages up to this size stand in the database, larger ones in files: a file costs two syncs, and large rows slow the database.
const INLINE: usize = 16 << 10;

/// A message whose bytes are where they stay: to be put into its row, or in a file that is on disk.
#[derive(Debug)]
pub(in crate::server::store::sqlite) struct Placed {
    fields: Vec<u8>,
    size: u64,
    digest: Vec<u8>,
    place: Place,
}

impl Placed {
    /// Its bytes, with the fields before it.
    pub(in crate::server::store::sqlite) fn size(&self) -> u64 {
        self.size
    }
}

#[derive(Debug)]
enum Place {
    Row(Vec<u8>),
    File(String),
}

pub(in crate::server::store::sqlite) fn insert_body(connection: &Connection, body: &Placed) -> Result<i64, Error> {
    let (inline, file) = match &body.place {
        Place::Row(bytes) => (Some(bytes), None),
        Place::File(name) => (None, Some(name)),
    };
    let size = i64::try_from(body.size).unwrap_or(i64::MAX);
    let query = "INSERT INTO bodies (size, inline, file, fields, digest, version) VALUES (?1, ?2, ?3, ?4, ?5, 2)";
    let mut insert = connection.prepare_cached(query).map_err(from_sqlite)?;
    insert.execute(params![size, inline, file, body.fields, body.digest]).map_err(from_sqlite)?;
    Ok(connection.last_insert_rowid())
}

impl SqliteStore {
    /// Puts a message where it stays: its bytes are on disk, and the name of its file is once its [`Naming`](crate::server::store::blobs::Naming) was synced. A file belongs to one
    /// row, and another process may remove that row at any time. The file goes with the second value, until somebody says that it is kept.
    pub(in crate::server::store::sqlite) fn place(&self, body: Body) -> Result<(Placed, Option<NewFile>), Error> {
        let Body { fields, content } = body;
        let front = u64::try_from(fields.len()).unwrap_or(u64::MAX);
        let grown = match content {
            Content::Memory(message) if message.len() <= INLINE => {
                let mut hash = digest();
                hash.update(&message);
                let size = u64::try_from(message.len()).unwrap_or(u64::MAX).saturating_add(front);
                return Ok((Placed { fields, size, digest: hash.finish(), place: Place::Row(message) }, None));
            }
            Content::Memory(message) => self.blobs.grown(&message)?,
            Content::Spooled(file) if usize::try_from(file.size()).is_ok_and(|size| size <= INLINE) => {
                let (mut message, size) = (Vec::new(), file.size().saturating_add(front));
                let read = file.reader().and_then(|mut reader| reader.read_to_end(&mut message));
                let digest = read.and_then(|_| file.end()).map_err(Error::from)?.digest;
                return Ok((Placed { fields, size, digest, place: Place::Row(message) }, None));
            }
            Content::Spooled(file) => file.end().map_err(Error::from)?,
        };
        let Grown { file, digest, size } = grown;
        let file = self.blobs.adopt(&self.blobs.name(&digest), file)?;
        let place = Place::File(file.name().to_owned());
        Ok((Placed { fields, size: size.saturating_add(front), digest, place }, Some(file)))
    }

    pub(in crate::server::store::sqlite) fn read_body(
        &self,
        query: &str,
        parameters: impl rusqlite::Params,
        what: &str,
    ) -> Result<Reading, Error> {
        type Row = (Option<Vec<u8>>, Option<Vec<u8>>, Option<Vec<u8>>, Option<String>, i64);
        let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?));
        let found: Option<Row> = self.read(|c| c.prepare_cached(query)?.query_row(parameters, row).optional())?;
        let Some((own, common, inline, file, size)) = found else { return Err(Error::NotFound(what.to_owned())) };
        let own = own.unwrap_or_default();
        let size = u64::try_from(size).unwrap_or(0).saturating_add(u64::try_from(own.len()).unwrap_or(0));
        let fields = [own, common.unwrap_or_default()].concat();
        match (inline, file) {
            (Some(inline), _) => Ok(Reading::new(fields, size, Cursor::new(inline))),
            (None, Some(file)) => Ok(Reading::new(fields, size, self.blobs.open_file(&file)?)),
            (None, None) => Err(Error::Broken(format!("{what} has no bytes"))),
        }
    }
}

/// Drops those of these bodies that nothing holds any more; gives the files to remove once that is committed.
pub(in crate::server::store::sqlite) fn drop_bodies(connection: &Connection, bodies: &[i64]) -> Result<Vec<String>, Error> {
    let query = "DELETE FROM bodies WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM messages WHERE messages.body = bodies.id)
                 AND NOT EXISTS (SELECT 1 FROM queue WHERE queue.body = bodies.id) RETURNING file";
    let mut statement = connection.prepare_cached(query).map_err(from_sqlite)?;
    let mut files = Vec::new();
    for body in bodies {
        let file: Option<Option<String>> = statement.query_row([body], |row| row.get(0)).optional().map_err(from_sqlite)?;
        files.extend(file.flatten());
    }
    Ok(files)
}

/// Runs a statement that deletes rows and gives their bodies back.
pub(in crate::server::store::sqlite) fn deleted(
    connection: &Connection,
    query: &str,
    parameters: impl rusqlite::Params,
) -> Result<Vec<i64>, Error> {
    let mut statement = connection.prepare_cached(query).map_err(from_sqlite)?;
    let rows = statement.query_map(parameters, |row| row.get(0)).map_err(from_sqlite)?;
    rows.collect::<rusqlite::Result<_>>().map_err(from_sqlite)
}
