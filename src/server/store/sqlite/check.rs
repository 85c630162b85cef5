//! Whether the store is whole, and what can be mended.

use std::io::Read;
use std::path::Path;
use std::time::Duration;

use rusqlite::{OptionalExtension, params};

use crate::server::store::growing;
use crate::server::store::sqlite::bodies::drop_bodies;
use crate::server::store::sqlite::{SqliteStore, from_sqlite};
use crate::server::store::{Error, Fault};

/// A file that no row names may be of a message that comes just now.
const SETTLED: Duration = Duration::from_secs(3600);

/// A body as its row has it: number, file, bytes and digest.
type Row = (i64, Option<String>, Option<Vec<u8>>, Option<Vec<u8>>);

impl SqliteStore {
    pub(in crate::server::store::sqlite) fn faults(&self) -> Result<Vec<Fault>, Error> {
        let said = self.column("PRAGMA integrity_check")?;
        let mut faults: Vec<Fault> = said.into_iter().filter(|line| line != "ok").map(Fault::Database).collect();
        let query = "SELECT id, file, inline, digest FROM bodies WHERE id > ?1 ORDER BY id LIMIT 1";
        let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?));
        let mut after = i64::MIN;
        // one at a time: bodies come and go meanwhile, and no memory holds them all
        while let Some((id, file, inline, digest)) =
            self.read(|c| c.prepare_cached(query)?.query_row([after], row).optional())?.map(|row: Row| row)
        {
            after = id;
            faults.extend(self.fault(id, file.as_deref(), inline.as_deref(), digest.as_deref())?);
        }
        self.blobs.each(|place, name, age| {
            if age > SETTLED && !self.is_named(name)? {
                faults.push(Fault::Orphan { file: place.display().to_string() });
            }
            Ok(())
        })?;
        Ok(faults)
    }

    /// Removes the files that no row names. Their age says nothing: clocks jump. What comes meanwhile is known to this process.
    pub(in crate::server::store::sqlite) fn remove_leftovers(&self) -> Result<usize, Error> {
        let mut removed = 0_usize;
        self.blobs.each(|place, name, _| {
            if !self.is_named(name)? {
                self.blobs.remove_at(place);
                removed = removed.saturating_add(1);
            }
            Ok(())
        })?;
        Ok(removed)
    }

    fn is_named(&self, file: &str) -> Result<bool, Error> {
        let query = "SELECT EXISTS (SELECT 1 FROM bodies WHERE file = ?1)";
        self.read(|c| c.prepare_cached(query)?.query_row([file], |row| row.get(0)))
    }

    fn fault(&self, id: i64, file: Option<&str>, inline: Option<&[u8]>, digest: Option<&[u8]>) -> Result<Option<Fault>, Error> {
        let mut hash = growing::digest();
        match (inline, file) {
            (Some(bytes), _) => hash.update(bytes),
            (None, None) => return Ok(Some(Fault::Missing { body: id, held_by: self.holders(id)? })),
            (None, Some(name)) => {
                let Ok(mut file) = self.blobs.open_file(name) else {
                    // deleted since its row was read, where nobody holds it
                    let held_by = self.holders(id)?;
                    return Ok((!held_by.is_empty()).then_some(Fault::Missing { body: id, held_by }));
                };
                let mut piece = vec![0; 64 << 10];
                loop {
                    let read = match file.read(&mut piece) {
                        Ok(0) => break,
                        Ok(read) => read,
                        Err(_) => return Ok(Some(Fault::Changed { body: id, held_by: self.holders(id)? })),
                    };
                    hash.update(piece.get(..read).unwrap_or_default());
                }
            }
        }
        // rows of the first versions have none
        let is_changed = digest.is_some_and(|digest| digest != hash.finish());
        Ok(if is_changed { Some(Fault::Changed { body: id, held_by: self.holders(id)? }) } else { None })
    }

    fn holders(&self, body: i64) -> Result<Vec<String>, Error> {
        let query = "SELECT mailbox || ' message ' || uid FROM messages WHERE body = ?1
                     UNION ALL SELECT 'queue message ' || id FROM queue WHERE body = ?1";
        self.read(|c| c.prepare_cached(query)?.query_map([body], |row| row.get(0))?.collect())
    }

    /// Files that nothing names go; so do messages whose bytes are gone, for no session could ever give them. What has changed stays
    /// as it is: a person may still read it.
    pub(in crate::server::store::sqlite) fn mend(&self) -> Result<Vec<Fault>, Error> {
        let faults = self.faults()?;
        for fault in &faults {
            match fault {
                Fault::Orphan { file } => self.blobs.remove_at(Path::new(file)),
                Fault::Missing { body, .. } => self.forget_body(*body)?,
                Fault::Database(_) => self.write(|c| c.execute_batch("REINDEX").map_err(from_sqlite))?,
                Fault::Changed { .. } => {}
            }
        }
        Ok(faults)
    }

    fn forget_body(&self, body: i64) -> Result<(), Error> {
        self.write(move |c| {
            for query in [
                "DELETE FROM messages WHERE body = ?1",
                "DELETE FROM queue_recipients WHERE id IN (SELECT id FROM queue WHERE body = ?1)",
                "DELETE FROM queue WHERE body = ?1",
            ] {
                c.execute(query, params![body]).map_err(from_sqlite)?;
            }
            drop_bodies(c, &[body]).map(drop)
        })
    }
}
