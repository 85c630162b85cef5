//! Scripts as files below the data folder: `sieve/USER.sieve`, and `sieve/USER.replies` with who was answered.

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use crate::server::filter::Filters;
use crate::server::store::Error;
use crate::time::Timestamp;

/// Scripts in a folder.
#[derive(Debug, Clone)]
pub struct FileFilters {
    folder: PathBuf,
    /// When the folder was changed last, and whether it was empty then.
    known: Arc<Mutex<Option<(SystemTime, bool)>>>,
    /// Held by whoever writes down a reply: two messages at once are two replies otherwise, or one of them is forgotten.
    answering: Arc<Mutex<()>>,
}

/// A folder that was changed longer ago than this shows its next change by another time: clocks of file systems go in steps of some milliseconds.
const STEP: Duration = Duration::from_secs(1);

/// Replies of one user that are remembered. 10 000: whoever gets more in a week answers programs; the first to end go.
const REPLIES: usize = 10_000;

/// Seconds that lie at most between the times of two messages that are taken at once.
const AT_ONCE: i64 = 600;

impl FileFilters {
    /// The filters of a server whose data lies here.
    pub fn new(data: &Path) -> Self {
        Self { folder: data.join("sieve"), known: Arc::default(), answering: Arc::default() }
    }

    fn path(&self, user: &str, extension: &str) -> PathBuf {
        self.folder.join(format!("{}.{extension}", file_name(user)))
    }

    /// Written beside, synced and renamed: a script is there whole, or the one before is.
    fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), Error> {
        let failed = |error: std::io::Error| Error::at(path, &error);
        fs::create_dir_all(&self.folder).map_err(failed)?;
        let mut beside = tempfile::NamedTempFile::new_in(&self.folder).map_err(failed)?;
        beside.write_all(bytes).and_then(|()| beside.as_file().sync_all()).map_err(failed)?;
        beside.persist(path).map_err(|error| failed(error.error))?;
        fs::File::open(&self.folder).and_then(|folder| folder.sync_all()).map_err(failed)
    }

    /// Lines of `until handle address`.
    fn replies(&self, user: &str) -> Vec<(i64, String)> {
        let text = fs::read_to_string(self.path(user, "replies")).unwrap_or_default();
        let line = |line: &str| {
            let (until, key) = line.split_once(' ')?;
            Some((until.parse().ok()?, key.to_owned()))
        };
        text.lines().filter_map(line).collect()
    }
}

impl Filters for FileFilters {
    fn script(&self, user: &str) -> Result<Option<Vec<u8>>, Error> {
        let path = self.path(user, "sieve");
        match fs::read(&path) {
            Ok(script) => Ok(Some(script)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::Broken(format!("{} – {error}", path.display()))),
        }
    }

    fn is_empty(&self) -> bool {
        // asked for every message: the folder is read where it has changed
        let Ok(changed) = fs::metadata(&self.folder).and_then(|folder| folder.modified()) else { return true };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, is_empty)) = known.filter(|(at, _)| *at == changed) {
            return is_empty;
        }
        let is_settled = changed.elapsed().is_ok_and(|ago| ago > STEP);
        let is_empty = fs::read_dir(&self.folder).map_or(true, |mut files| files.next().is_none());
        *known = is_settled.then_some((changed, is_empty));
        is_empty
    }

    fn put(&self, user: &str, script: &[u8]) -> Result<(), Error> {
        self.write(&self.path(user, "sieve"), script)
    }

    fn remove(&self, user: &str) -> Result<(), Error> {
        for extension in ["sieve", "replies"] {
            let path = self.path(user, extension);
            match fs::remove_file(&path) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(Error::at(&path, &error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn silent_until(&self, user: &str, handle: &str, address: &str) -> Option<Timestamp> {
        let wanted = key(handle, address);
        let found = self.replies(user).into_iter().find(|(_, key)| *key == wanted)?;
        Some(Timestamp::from_unix(found.0))
    }

    fn answers(&self, user: &str, handle: &str, address: &str, until: Timestamp, now: Timestamp) -> Result<bool, Error> {
        let _one = self.answering.lock().unwrap_or_else(PoisonError::into_inner);
        let new = key(handle, address);
        let mut replies = self.replies(user);
        replies.retain(|(until, _)| *until > now.unix());
        // one that lies farther ahead is of a clock that was wrong
        let latest = until.unix().saturating_add(AT_ONCE);
        if replies.iter().any(|(until, key)| *key == new && *until <= latest) {
            return Ok(false);
        }
        replies.retain(|(_, key)| *key != new);
        replies.push((until.unix(), new));
        if replies.len() > REPLIES {
            replies.sort_unstable();
            replies.drain(..replies.len().saturating_sub(REPLIES));
        }
        let lines: String = replies.iter().map(|(until, key)| format!("{until} {key}\n")).collect();
        self.write(&self.path(user, "replies"), lines.as_bytes())?;
        Ok(true)
    }
}

/// A user as the name of a file: what could lead elsewhere is written as its bytes.
fn file_name(user: &str) -> String {
    let mut name = String::new();
    for (at, byte) in user.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'@' | b'-' | b'_' | b'+' => name.push(char::from(byte)),
            b'.' if at > 0 => name.push('.'),
            other => name.push_str(&format!("%{other:02x}")),
        }
    }
    name
}

/// Handle and address in one word. A handle holds the whole text of a reply, so it stands as a short sum (FNV-1a): two that fall
/// together cost one reply.
fn key(handle: &str, address: &str) -> String {
    let sum = handle.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    let address: String = address.to_lowercase().chars().filter(|c| !c.is_whitespace() && !c.is_control()).collect();
    format!("{sum:016x} {address}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_are_put_read_and_taken_away_and_no_user_leaves_the_folder() {
        let folder = tempfile::tempdir().expect("a folder");
        let filters = FileFilters::new(folder.path());
        for user in ["jane@a.example", "../../etc/x@a.example", ".@a.example"] {
            assert_eq!(filters.script(user), Ok(None));
            assert_eq!(filters.is_empty(), user == "jane@a.example");
            filters.put(user, b"keep;").expect("written");
            assert!(!filters.is_empty(), "also right after it was");
            assert_eq!(filters.script(user), Ok(Some(b"keep;".to_vec())));
        }
        let names: Vec<_> = fs::read_dir(folder.path().join("sieve")).expect("a folder").collect();
        assert_eq!(names.len(), 3);
        filters.remove("jane@a.example").expect("removed");
        filters.remove("jane@a.example").expect("it is gone");
        assert_eq!(filters.script("jane@a.example"), Ok(None));
    }

    #[test]
    fn replies_are_remembered_until_their_time_and_over_restarts() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = Timestamp::from_unix;
        FileFilters::new(folder.path()).answers("j@a", "away\nlines", "Bob@b.example", at(100), at(0)).expect("written");
        let filters = FileFilters::new(folder.path());
        assert_eq!(filters.silent_until("j@a", "away\nlines", "bob@b.example"), Some(at(100)));
        assert_eq!(filters.silent_until("j@a", "other", "bob@b.example"), None);
        filters.answers("j@a", "other", "carol@c.example", at(300), at(200)).expect("written");
        assert_eq!(filters.silent_until("j@a", "away\nlines", "bob@b.example"), None, "its time is over");
    }

    #[test]
    fn of_two_messages_at_once_one_is_answered() {
        let folder = tempfile::tempdir().expect("a folder");
        let (filters, at) = (FileFilters::new(folder.path()), Timestamp::from_unix);
        let answers = |address: &str, until, now| {
            let filters = filters.clone();
            filters.answers("j@a", "away", address, at(until), at(now)).expect("written")
        };
        std::thread::scope(|scope| {
            let both: Vec<_> =
                (0..8).map(|number| scope.spawn(move || answers("bob@b.example", 1000 + number, number))).collect();
            let sent: Vec<bool> = both.into_iter().map(|one| one.join().expect("no panic")).collect();
            assert_eq!(sent.iter().filter(|sent| **sent).count(), 1, "{sent:?}");
        });
        assert!(answers("carol@b.example", 1000, 0) && !answers("bob@b.example", 1100, 100));
        assert!(answers("bob@b.example", 3000, 2000), "its time is over");
        assert!(answers("dan@b.example", 90_000, 89_000) && answers("dan@b.example", 3100, 2100), "the clock was ahead");
    }
}
