//! Users of a password file, as `htpasswd` writes it: `name:hash`, a line each; what stands behind a second colon is passed over.

use std::collections::HashMap;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::secret::Secret;
use crate::server::accounts::crypt::Hash;
use crate::server::accounts::directory::Directory;
use crate::server::accounts::normal;
use crate::server::store::Error;

/// A password file, read again when it changes.
pub(super) struct PasswordFile {
    path: PathBuf,
    domain: String,
    read: Mutex<Read>,
}

/// What was read.
struct Read {
    stamp: Stamp,
    users: Arc<Users>,
}

/// The hashes by address, and one that is checked for users that there are not.
#[derive(Default)]
struct Users {
    hashes: HashMap<String, Hash>,
    first: Option<String>,
}

/// Whether a file is the one that was read: time in nanoseconds, size, number.
type Stamp = (i64, i64, u64, u64);

/// Bytes of a file: 100 000 users have 10 MiB.
const SIZE: u64 = 64 << 20;

impl PasswordFile {
    /// Reads a file; the error says what is wrong in it, a line each.
    pub(super) fn open(path: &Path, domain: &str) -> Result<Self, String> {
        let (read, wrong) = read(path, domain)?;
        if !wrong.is_empty() {
            return Err(wrong.join("\n"));
        }
        Ok(Self { path: path.to_owned(), domain: domain.to_owned(), read: Mutex::new(read) })
    }

    /// The users, from the file as it is now. A line that went wrong since the start leaves its user out.
    fn users(&self) -> Result<Arc<Users>, Error> {
        let failed = |why: String| Error::Broken(why);
        let now = metadata(&self.path).map_err(failed)?;
        let mut known = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if known.stamp != stamp(&now) {
            *known = read(&self.path, &self.domain).map_err(failed)?.0;
        }
        Ok(Arc::clone(&known.users))
    }
}

impl Directory for PasswordFile {
    fn kept(&self, address: &str) -> Result<Secret<String>, Error> {
        Ok(self.users()?.hashes.get(address).map(|hash| hash.text().clone()).unwrap_or_default())
    }

    fn check(&self, address: &str, _kept: &Secret<String>, password: &Secret<Vec<u8>>) -> Result<Option<String>, Error> {
        let users = self.users()?;
        let known = users.hashes.get(address);
        // another's hash takes as long
        let hash = known.or_else(|| users.first.as_ref().and_then(|first| users.hashes.get(first)));
        let fits = hash.is_some_and(|hash| hash.fits(password));
        Ok((fits && known.is_some()).then(|| address.to_owned()))
    }

    fn mailbox(&self, address: &str) -> Result<Option<String>, Error> {
        Ok(self.users()?.hashes.contains_key(address).then(|| address.to_owned()))
    }
}

fn metadata(path: &Path) -> Result<Metadata, String> {
    fs::metadata(path).map_err(|error| format!("the password file {} – {error}", path.display()))
}

fn stamp(metadata: &Metadata) -> Stamp {
    (metadata.mtime(), metadata.mtime_nsec(), metadata.len(), metadata.ino())
}

/// Reads a file, and says which lines were left out and why.
fn read(path: &Path, domain: &str) -> Result<(Read, Vec<String>), String> {
    let before = metadata(path)?;
    if before.len() > SIZE {
        return Err(format!("the password file {} is over {SIZE} bytes", path.display()));
    }
    let text = fs::read_to_string(path).map(Secret::new);
    let text = text.map_err(|error| format!("the password file {} – {error}", path.display()))?;
    let (mut users, mut wrong) = (Users::default(), Vec::new());
    for (number, line) in text.expose().lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let mut say = |why: &str| wrong.push(format!("{}, line {}: {why}", path.display(), number.saturating_add(1)));
        let Some((name, rest)) = line.split_once(':') else {
            say("it is no name and hash with a colon between");
            continue;
        };
        let address = normal(&if name.contains('@') { name.to_owned() } else { format!("{name}@{domain}") });
        if !address.ends_with(&format!("@{domain}")) {
            continue;
        }
        match Hash::parse(rest.split(':').next().unwrap_or_default()) {
            Ok(hash) => {
                users.first.get_or_insert_with(|| address.clone());
                users.hashes.insert(address, hash);
            }
            Err(why) => say(&format!("{name}: {why}")),
        }
    }
    Ok((Read { stamp: stamp(&before), users: Arc::new(users) }, wrong))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5";

    fn check(file: &PasswordFile, address: &str, password: &str) -> Option<String> {
        let kept = file.kept(address).expect("read");
        file.check(address, &kept, &Secret::new(password.as_bytes().to_vec())).expect("checked")
    }

    #[test]
    fn a_file_is_read_again_when_it_changes_and_fails_for_now_when_it_is_gone() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("passwords");
        fs::write(&path, format!("# people\n\nJane:{SECRET}:1000:more\njoe@b.example:{SECRET}\nx@c.example:{SECRET}\n"))
            .expect("written");
        let file = PasswordFile::open(&path, "b.example").unwrap_or_else(|why| panic!("{why}"));
        assert_eq!(check(&file, "jane@b.example", "Hello world!").as_deref(), Some("jane@b.example"));
        assert_eq!(check(&file, "jane@b.example", "hello world!"), None);
        assert_eq!(check(&file, "nobody@b.example", "Hello world!"), None, "the hash of another fits");
        assert!(file.mailbox("joe@b.example").expect("read").is_some());
        assert_eq!(file.mailbox("x@c.example").expect("read"), None);
        fs::write(&path, format!("joe:{SECRET}\nann:$apr1$x$y\n")).expect("written");
        assert_eq!(check(&file, "jane@b.example", "Hello world!"), None);
        assert!(check(&file, "joe@b.example", "Hello world!").is_some());
        fs::remove_file(&path).expect("removed");
        assert!(file.kept("joe@b.example").is_err_and(|why| why.to_string().contains("the password file")));
    }

    #[test]
    fn every_line_that_cannot_be_used_is_told_at_the_start() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("passwords");
        fs::write(&path, format!("jane:{SECRET}\njoe\nann:$apr1$x$y\n")).expect("written");
        let why = PasswordFile::open(&path, "b.example").err().expect("refused");
        let lines: Vec<&str> = why.lines().collect();
        assert!(
            lines.len() == 2
                && lines[0].contains("line 2: it is no name")
                && lines[1].contains("line 3: ann: its hash is by MD5"),
            "{why}"
        );
        assert!(PasswordFile::open(&folder.path().join("none"), "b.example").is_err());
    }
}
