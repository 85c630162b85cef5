//! The bytes of messages: in their rows, or in files.

use std::io::{Cursor, Read, Seek, SeekFrom};

use rusqlite::{Connection, OptionalExtension, params};

use crate::crypto::algorithm::DigestAlgorithm;
use crate::crypto::digest::Digest;
use crate::server::store::blobs::NewFile;
use crate::server::store::body::Content;
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
    /// Puts a message where it stays. A file's name begins with its digest, and ends in what no other has: it belongs to one row, and
    /// another process may remove that row at any time. The file goes with the second value, until somebody says that it is kept.
    pub(in crate::server::store::sqlite) fn place(&self, body: Body) -> Result<(Placed, Option<NewFile>), Error> {
        let Body { fields, content } = body;
        let message = match content {
            Content::Memory(message) => message,
            Content::Spooled(file) => match self.adopt(file)? {
                Spooled::Small(message) => message,
                Spooled::Large(file, digest, size) => {
                    let size = size.saturating_add(u64::try_from(fields.len()).unwrap_or(0));
                    return Ok((Placed { fields, size, digest, place: Place::File(file.name().to_owned()) }, Some(file)));
                }
            },
        };
        let mut hash = digest();
        hash.update(&message);
        let digest = hash.finish();
        let size = u64::try_from(message.len().saturating_add(fields.len())).unwrap_or(u64::MAX);
        if message.len() <= INLINE {
            return Ok((Placed { fields, size, digest, place: Place::Row(message) }, None));
        }
        let name = name(&digest);
        let file = self.blobs.write(&name, &message)?;
        Ok((Placed { fields, size, digest, place: Place::File(name) }, Some(file)))
    }

    fn adopt(&self, mut file: tempfile::NamedTempFile) -> Result<Spooled, Error> {
        let unread = |error: std::io::Error| Error::Full(error.to_string());
        let size = file.as_file_mut().seek(SeekFrom::End(0)).map_err(unread)?;
        file.as_file_mut().rewind().map_err(unread)?;
        if usize::try_from(size).is_ok_and(|size| size <= INLINE) {
            let mut message = Vec::new();
            file.read_to_end(&mut message).map_err(unread)?;
            return Ok(Spooled::Small(message));
        }
        let (mut hash, mut piece) = (digest(), vec![0; 64 << 10]);
        loop {
            let read = file.read(&mut piece).map_err(unread)?;
            if read == 0 {
                break;
            }
            hash.update(piece.get(..read).unwrap_or_default());
        }
        let digest = hash.finish();
        let file = self.blobs.adopt(&name(&digest), file)?;
        Ok(Spooled::Large(file, digest, size))
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

/// What became of a spooled file: read, or taken over, with a digest and a size.
enum Spooled {
    Small(Vec<u8>),
    Large(NewFile, Vec<u8>, u64),
}

/// The digest of what came, without the fields before it.
pub(in crate::server::store::sqlite) fn digest() -> Digest {
    Digest::new(DigestAlgorithm::Sha256)
}

fn name(digest: &[u8]) -> String {
    let mut random = [0; 8];
    crate::keys::files::random_name(&mut random);
    format!("{}-{}", crate::pki::hex(digest), crate::pki::hex(&random))
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
