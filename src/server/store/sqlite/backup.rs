//! Backups: one file with the database of one moment, the message files it names, and the files of the home and of the data folder.

mod increment;

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, params};

use crate::server::store::Error;
use crate::server::store::blobs::Blobs;
use crate::server::store::sqlite::{SqliteStore, from_sqlite};

/// Mail programs remember the numbers of what came after the backup was made: none of them is given to another message (RFC 1939 7).
/// No mailbox gets a million messages between two backups. The row without a name is where users begin who are new.
const NEW_NUMBERS: &str = "
    UPDATE users SET next_uid = next_uid + 1000000;
    INSERT OR IGNORE INTO retired VALUES ('', 1);
    UPDATE retired SET next_uid = next_uid + 1000000;";

/// Begins the name of the folder where a backup is put together.
const WORK: &str = ".backup-";

impl SqliteStore {
    /// Writes a backup; the server may run meanwhile, also in another process. The files of `home` go with it, and those of `data`, where
    /// filters and secrets of the server lie beside the store.
    pub fn backup(&self, to: &Path, home: &Path, data: &Path) -> Result<(), Error> {
        self.write_backup(to, None, home, data)
    }

    /// Writes a backup without the messages that an earlier one has; that one is needed to restore it.
    pub fn backup_since(&self, to: &Path, since: &Path, home: &Path, data: &Path) -> Result<(), Error> {
        self.write_backup(to, Some(since), home, data)
    }

    fn write_backup(&self, to: &Path, since: Option<&Path>, home: &Path, data: &Path) -> Result<(), Error> {
        let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let work = tempfile::Builder::new().prefix(WORK).tempdir_in(folder);
        let work = work.map_err(|error| Error::at(folder, &error))?;
        let copy = work.path().join("copy");
        self.read(|c| c.execute("VACUUM INTO ?1", [copy.display().to_string()]).map(drop))?;
        let backup = Connection::open(&copy).map_err(from_sqlite)?;
        backup.execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;").map_err(from_sqlite)?;
        increment::name(&backup)?;
        if let Some(since) = since {
            increment::leave_out(&backup, since)?;
        }
        let tables = "BEGIN;
            CREATE TABLE backup_files (name TEXT PRIMARY KEY, bytes BLOB NOT NULL) STRICT;
            CREATE TABLE backup_home (path TEXT PRIMARY KEY, mode INTEGER NOT NULL, bytes BLOB NOT NULL) STRICT;
            CREATE TABLE backup_data (path TEXT PRIMARY KEY, mode INTEGER NOT NULL, bytes BLOB NOT NULL) STRICT;";
        backup.execute_batch(tables).map_err(from_sqlite)?;
        self.copy_files(&backup)?;
        copy_trees(&backup, "backup_home", home, &|path| path == data)?;
        copy_trees(&backup, "backup_data", data, &|path| is_of_the_store(data, path))?;
        // what was left out leaves room behind
        backup.execute_batch("COMMIT; VACUUM").map_err(from_sqlite)?;
        backup.close().map_err(|(_, error)| from_sqlite(error))?;
        finish(&copy, to)
    }

    fn copy_files(&self, backup: &Connection) -> Result<(), Error> {
        let names = backup
            .prepare("SELECT id, file FROM bodies WHERE file IS NOT NULL AND id NOT IN (SELECT body FROM backup_elsewhere)");
        let mut names = names.map_err(from_sqlite)?;
        let rows = names.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).map_err(from_sqlite)?;
        let rows: Vec<(i64, String)> = rows.collect::<rusqlite::Result<_>>().map_err(from_sqlite)?;
        for (id, name) in rows {
            let mut bytes = Vec::new();
            let read = self.blobs.open_file(&name).and_then(|mut file| file.read_to_end(&mut bytes).map_err(Error::from));
            if read.is_ok() {
                backup.execute("INSERT INTO backup_files VALUES (?1, ?2)", params![name, bytes]).map_err(from_sqlite)?;
                continue;
            }
            let is_held = self.read(|c| c.query_row("SELECT count(*) FROM bodies WHERE file = ?1", [&name], |row| row.get(0)))?;
            if let 1i64.. = is_held {
                return Err(Error::Broken(format!("the message file {name} is missing – check the store")));
            }
            // deleted since the copy of the database was made: so it is here, too
            let forget = "DELETE FROM messages WHERE body = ?1;
                DELETE FROM queue_recipients WHERE id IN (SELECT id FROM queue WHERE body = ?1);
                DELETE FROM queue WHERE body = ?1; DELETE FROM bodies WHERE id = ?1;";
            for query in forget.split_inclusive(';').filter(|query| !query.trim().is_empty()) {
                backup.execute(query, [id]).map_err(from_sqlite)?;
            }
        }
        Ok(())
    }

    /// Whether a backup is one, and all are given that it builds on; nothing is written.
    pub fn restorable(from: &Path, earlier: &[PathBuf]) -> Result<(), Error> {
        increment::needed(&open(from)?, earlier).map(drop)
    }

    /// Puts the files of the home back, where there are none yet; where there is one, nothing is written.
    pub fn restore_home(from: &Path, home: &Path) -> Result<(), Error> {
        let backup = open(from)?;
        restore_tree(&backup, "backup_home", home)
    }

    /// Puts the mail back into a folder that has none. The database comes last: where this breaks off, there is no store.
    pub fn restore(from: &Path, folder: &Path) -> Result<(), Error> {
        Self::restore_with(from, &[], folder)
    }

    /// Puts the mail of a backup back that leaves out what earlier ones have.
    pub fn restore_with(from: &Path, earlier: &[PathBuf], folder: &Path) -> Result<(), Error> {
        let path = folder.join("mail.db");
        if path.exists() {
            return Err(Error::Exists(format!("the store {} – restore into an empty home", folder.display())));
        }
        let backup = open(from)?;
        let earlier = increment::needed(&backup, earlier)?;
        let blobs = Blobs::open(folder.join("messages"))?;
        let mut files = backup.prepare("SELECT name, bytes FROM backup_files").map_err(from_sqlite)?;
        let mut rows = files.query([]).map_err(from_sqlite)?;
        while let Some(row) = rows.next().map_err(from_sqlite)? {
            let (name, bytes): (String, Vec<u8>) = (row.get(0).map_err(from_sqlite)?, row.get(1).map_err(from_sqlite)?);
            is_a_name(&name, from)?;
            blobs.write(&name, &bytes)?.kept();
        }
        increment::files(&backup, &earlier, &blobs)?;
        restore_tree(&backup, "backup_data", folder)?;
        let copy = folder.join("mail.db.restoring");
        let _ = fs::remove_file(&copy);
        backup.execute("VACUUM INTO ?1", [copy.display().to_string()]).map_err(from_sqlite)?;
        let mail = Connection::open(&copy).map_err(from_sqlite)?;
        increment::rows(&mail, &earlier)?;
        mail.execute_batch(NEW_NUMBERS).map_err(from_sqlite)?;
        let ours = "DROP TABLE backup_files; DROP TABLE backup_home; DROP TABLE backup_data;
            DROP TABLE IF EXISTS backup_name; DROP TABLE IF EXISTS backup_elsewhere; DROP TABLE IF EXISTS backup_earlier; VACUUM;";
        mail.execute_batch(ours).map_err(from_sqlite)?;
        mail.close().map_err(|(_, error)| from_sqlite(error))?;
        finish(&copy, &path)
    }
}

/// Nothing is written outside of the folder of messages.
fn is_a_name(name: &str, from: &Path) -> Result<(), Error> {
    match !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-') {
        true => Ok(()),
        false => Err(Error::Broken(format!("{} names a file that no store has – {name}", from.display()))),
    }
}

fn open(from: &Path) -> Result<Connection, Error> {
    let backup = Connection::open_with_flags(from, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(from_sqlite)?;
    let tables = backup.query_row(
        "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name IN ('backup_files', 'backup_home', 'backup_data')",
        [],
        |row| row.get(0),
    );
    if !matches!(tables, Ok(3i64)) {
        return Err(Error::Broken(format!("{} is no backup", from.display())));
    }
    Ok(backup)
}

/// Puts files back below a folder, where there are none yet. All are looked for before the first is written.
fn restore_tree(backup: &Connection, table: &str, folder: &Path) -> Result<(), Error> {
    let mut paths = backup.prepare(&format!("SELECT path FROM {table}")).map_err(from_sqlite)?;
    let mut rows = paths.query([]).map_err(from_sqlite)?;
    while let Some(row) = rows.next().map_err(from_sqlite)? {
        let path: String = row.get(0).map_err(from_sqlite)?;
        let is_inside = Path::new(&path).components().all(|part| matches!(part, std::path::Component::Normal(_)));
        if !is_inside {
            return Err(Error::Broken(format!("the backup names a file outside of its folder – {path}")));
        }
        let path = folder.join(path);
        if path.exists() {
            return Err(Error::Exists(format!("the file {} – restore into an empty home", path.display())));
        }
    }
    let mut files = backup.prepare(&format!("SELECT path, mode, bytes FROM {table}")).map_err(from_sqlite)?;
    let mut rows = files.query([]).map_err(from_sqlite)?;
    while let Some(row) = rows.next().map_err(from_sqlite)? {
        let (path, mode, bytes): (String, u32, Vec<u8>) =
            (row.get(0).map_err(from_sqlite)?, row.get(1).map_err(from_sqlite)?, row.get(2).map_err(from_sqlite)?);
        let path = folder.join(path);
        crate::server::store::blobs::make_folder(path.parent().unwrap_or(folder))?;
        let mut options = fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode & 0o777);
        #[cfg(not(unix))]
        let _ = mode;
        let mut file = options.open(&path).map_err(|error| Error::at(&path, &error))?;
        std::io::Write::write_all(&mut file, &bytes).and_then(|()| file.sync_all()).map_err(Error::from)?;
    }
    Ok(())
}

/// The database and the message files, which a backup holds in another form, and what is half done.
fn is_of_the_store(data: &Path, path: &Path) -> bool {
    let name = path.strip_prefix(data).ok().and_then(Path::to_str).unwrap_or_default();
    name == "messages" || name.starts_with("mail.db")
}

/// The lock of a folder in which files belong together (the authority's records, for one).
const LOCK: &str = ".lock";

/// Copies the files below a folder, but for what is skipped and for backups that are being written. Files that belong together are of one moment:
/// nobody changes them meanwhile. One lock is held at a time, so that nobody waits for us who has what we wait for.
fn copy_trees(backup: &Connection, table: &str, root: &Path, is_skipped: &dyn Fn(&Path) -> bool) -> Result<(), Error> {
    let mut trees = vec![root.to_owned()];
    while let Some(tree) = trees.pop() {
        let lock = tree.join(LOCK).exists().then(|| crate::keys::files::lock(&tree)).transpose();
        let _lock = lock.map_err(|error| Error::Broken(error.to_string()))?;
        copy_tree(backup, table, (root, &tree), is_skipped, &mut trees)?;
    }
    Ok(())
}

/// Copies the files below a folder; folders with a lock of their own are left for later.
fn copy_tree(
    backup: &Connection,
    table: &str,
    (root, folder): (&Path, &Path),
    is_skipped: &dyn Fn(&Path) -> bool,
    later: &mut Vec<PathBuf>,
) -> Result<(), Error> {
    for entry in fs::read_dir(folder).map_err(|error| Error::at(folder, &error))? {
        let entry = entry.map_err(Error::from)?;
        let (path, kind) = (entry.path(), entry.file_type().map_err(Error::from)?);
        if is_skipped(&path) || entry.file_name().to_string_lossy().starts_with(WORK) {
            continue;
        }
        if kind.is_dir() && path.join(LOCK).exists() {
            later.push(path);
            continue;
        }
        if kind.is_dir() {
            copy_tree(backup, table, (root, &path), is_skipped, later)?;
        }
        if kind.is_file() && entry.file_name() != LOCK {
            let name: PathBuf = path.strip_prefix(root).unwrap_or(&path).to_owned();
            #[cfg(unix)]
            let mode = std::os::unix::fs::PermissionsExt::mode(&entry.metadata().map_err(Error::from)?.permissions());
            #[cfg(not(unix))]
            let mode = 0o600;
            let bytes = fs::read(&path).map_err(|error| Error::at(&path, &error))?;
            let insert = format!("INSERT INTO {table} VALUES (?1, ?2, ?3)");
            backup.execute(&insert, params![name.display().to_string(), mode & 0o777, bytes]).map_err(from_sqlite)?;
        }
    }
    Ok(())
}

/// Syncs a file that is whole and gives it its name; it holds keys and mail, which are the owner's alone.
fn finish(whole: &Path, path: &Path) -> Result<(), Error> {
    let file = fs::File::open(whole).map_err(Error::from)?;
    #[cfg(unix)]
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600)).map_err(Error::from)?;
    file.sync_all().map_err(Error::from)?;
    fs::rename(whole, path).map_err(|error| Error::at(path, &error))?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(Error::from)
}
