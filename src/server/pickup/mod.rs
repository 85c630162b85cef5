//! The pickup folder: each file in it is a message to be sent. And the drop folder: mail of some domains becomes files in it.
//!
//! | a file is | named | and leaves that state by |
//! |---|---|---|
//! | being written | `.…` or `….tmp`, or written to a moment ago | its writer: he renames it, or is done |
//! | whole | `….ready`, or any name once nobody has written to it for two seconds | being taken |
//! | taken | `.taking-…` | the message is on disk in mailboxes or the queue, with this name beside it: then it is removed, and the name forgotten |
//! | taken for some | `.taking-…` | as above; who has it already is on disk with it, behind this name, and the others are tried again |
//! | bad | `Badmail/…`, with its reason in `….why` | people |
//!
//! A server that dies finds each file in one of these. What was taken and kept is known by its name, so that no message comes twice.
//!
//! Uses: the mail service, as the settings of the moment have it. Holds always: whoever may write into the folder may send, as anybody, to everybody; no link leads out of it.

mod drop;
mod letter;

use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::keys::files;
use crate::proto::smtp::client::Outgoing;
use crate::server::drive::now;
use crate::server::held::Room;
use crate::server::listen::Shared;
use crate::server::mail::{self, Handed, Heard, Local, Mail, Patience};
use crate::server::reload::Current;
use crate::server::store::Error;
use crate::server::trace::Tracer;
use crate::time::Timestamp;

pub(in crate::server) use drop::Drop;
use letter::{Bad, Content};

/// Why a server would put a letter aside that lies in its folder; nothing where it takes it. Where its `limits.message_bytes` are known, the
/// message is held against them.
pub fn unfit(letter: &Outgoing, max_message: Option<u64>) -> Option<String> {
    letter::unfit(letter, max_message, ENVELOPE)
}

/// Puts a message into a pickup folder, under a name that says that it is whole; on disk when this returns. Where the folder is of another
/// user, whose server is to read it, others may read the file, too; the folder hides its name from them.
pub fn put(folder: &Path, letter: &Outgoing) -> std::io::Result<PathBuf> {
    let mut random = [0; 16];
    files::random_name(&mut random);
    let path = folder.join(format!("{}-{}.ready", now().unix(), crate::pki::hex(&random)));
    let mut file = tempfile::Builder::new().prefix(".new-").tempfile_in(folder)?;
    file.write_all(letter::fields(&letter.sender, &letter.terms, &letter.recipients).as_bytes())?;
    file.write_all(&letter.message)?;
    if file.as_file().metadata()?.uid() != fs::metadata(folder)?.uid() {
        file.as_file().set_permissions(fs::Permissions::from_mode(0o644))?;
    }
    file.as_file().sync_all()?;
    let file = file.persist(&path).map_err(|error| error.error)?;
    // a folder that may be written to and not be read cannot be opened; its file system writes the name with the file
    match File::open(folder).and_then(|folder| folder.sync_all()) {
        Err(error) if error.kind() != std::io::ErrorKind::PermissionDenied => return Err(error),
        Err(_) => file.sync_all()?,
        Ok(()) => {}
    }
    Ok(path)
}

/// The pickup folder of a server.
#[derive(Debug, Clone)]
pub(in crate::server) struct Pickup {
    folder: PathBuf,
    /// Asked anew at each file.
    current: Current,
    tracer: Tracer,
    heard: Heard,
}

/// Between two looks at the folder.
const POLL: Duration = Duration::from_secs(1);
/// So long nobody has written to a file that is whole.
const QUIET: Duration = Duration::from_secs(2);
/// Before a message is tried again that could not be taken.
const RETRY: Duration = Duration::from_secs(60);
/// After that it is bad, and who cannot get it yet never does.
const PATIENCE: Duration = Duration::from_secs(5 * 86_400);
/// Files that are taken at once: what they wait for is the disk, which writes them together.
const TOGETHER: usize = 16;
/// Files of one look.
const MOST: usize = 1000;
/// How a file begins that is taken.
const TAKING: &str = ".taking-";
/// Fields of the envelope beside a message: ten thousand recipients.
const ENVELOPE: u64 = 1 << 20;
/// Bytes that are read of a file that is too large: its envelope and the header section tell whom it is from.
const START: u64 = 2 << 20;

/// What became of a file.
enum Outcome {
    /// It is gone; the store may forget these names, once that is on disk.
    Gone(Vec<String>),
    /// It stays.
    Stays(OsString),
}

impl Pickup {
    /// The folder, made for its owner alone where there is none; what an earlier server has kept already is removed from it.
    pub(in crate::server) fn open(folder: &Path, current: Current, tracer: Tracer) -> Result<Self, String> {
        let told = |error: &dyn std::fmt::Display| format!("the pickup folder {} cannot be used – {error}", folder.display());
        for made in [folder.to_owned(), folder.join("Badmail")] {
            files::make_folder(&made).map_err(|error| told(&error))?;
        }
        let names = current.get().mail.accounts().store().taken().map_err(|error| told(&error))?;
        for name in names.iter().filter(|name| mail::parts(name).is_none()) {
            match fs::remove_file(folder.join(name)) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(told(&error)),
                _ => {}
            }
        }
        // who has a message whose file is still there is not forgotten
        let stays = |name: &str| mail::parts(name).is_some_and(|(file, _)| folder.join(file).try_exists().unwrap_or(true));
        let names: Vec<String> = names.into_iter().filter(|name| !stays(name)).collect();
        let pickup = Self { folder: folder.to_owned(), current, tracer, heard: Heard::default() };
        pickup.forget(&names).map_err(|why| told(&why))?;
        Ok(pickup)
    }

    /// Takes what comes until the server stops.
    pub(in crate::server) async fn run(self, mut stop: watch::Receiver<bool>) {
        let mut later: HashMap<OsString, Instant> = HashMap::new();
        loop {
            let begin = Instant::now();
            later.retain(|_, at| *at > begin);
            let (pickup, known) = (self.clone(), later.clone());
            match tokio::task::spawn_blocking(move || pickup.whole_files(&known)).await {
                Ok(Ok(names)) => self.take_all(names, &mut later).await,
                Ok(Err(why)) => self.note(&why),
                Err(_) => break,
            }
            tokio::select! {
                () = tokio::time::sleep(POLL) => {}
                _ = stop.wait_for(|stops| *stops) => break,
            }
        }
    }

    async fn take_all(&self, files: Vec<(OsString, u64)>, later: &mut HashMap<OsString, Instant>) {
        let (mut working, mut gone) = (JoinSet::new(), Vec::new());
        let mut settle = |ended| match ended {
            Ok(Outcome::Gone(names)) => gone.extend(names),
            Ok(Outcome::Stays(name)) => drop(later.insert(name, Instant::now() + RETRY)),
            // a panic was told by its thread; the file is still there
            Err(_) => {}
        };
        let room = Room::of(self.current.get().max_message);
        for (name, bytes) in files {
            // nobody closes it
            let Ok(share) = room.share(bytes).await else { break };
            if working.len() >= TOGETHER
                && let Some(ended) = working.join_next().await
            {
                settle(ended);
            }
            let pickup = self.clone();
            working.spawn_blocking(move || {
                let taken = pickup.take(&name);
                drop(share);
                taken
            });
        }
        while let Some(ended) = working.join_next().await {
            settle(ended);
        }
        let pickup = self.clone();
        let forgotten = tokio::task::spawn_blocking(move || pickup.forget(&gone)).await;
        if let Ok(Err(why)) = forgotten {
            self.note(&why);
        }
    }

    /// The files that are whole with their bytes, the oldest names first, without those that wait.
    fn whole_files(&self, later: &HashMap<OsString, Instant>) -> Result<Vec<(OsString, u64)>, String> {
        let entries = fs::read_dir(&self.folder)
            .map_err(|error| format!("the pickup folder {} cannot be read – {error}", self.folder.display()))?;
        let mut found: Vec<OsString> = Vec::new();
        for entry in entries.flatten() {
            let name = entry.file_name();
            if !later.contains_key(&name) && is_whole(&name, &entry) {
                found.push(name);
            }
        }
        found.sort();
        found.truncate(MOST);
        let bytes = |name: &OsString| fs::symlink_metadata(self.folder.join(name)).map_or(0, |known| known.len());
        Ok(found
            .into_iter()
            .map(|name| {
                let bytes = bytes(&name);
                (name, bytes)
            })
            .collect())
    }

    /// Takes one file.
    fn take(&self, name: &OsStr) -> Outcome {
        let taken = match self.begin(name) {
            Ok(taken) => taken,
            Err(error) => {
                self.note(&format!("the file {} cannot be taken – {error}", self.folder.join(name).display()));
                return Outcome::Stays(name.to_owned());
            }
        };
        let path = self.folder.join(&taken);
        // of a file that nobody tried before nothing is known
        let is_again = name.to_str() == Some(taken.as_str());
        let earlier = if is_again { self.earlier(&taken) } else { Ok(Vec::new()) };
        let earlier = match earlier {
            Ok(earlier) => earlier,
            Err(error) => {
                self.note(&format!("{} is taken later – {error}", path.display()));
                return Outcome::Stays(taken.into());
            }
        };
        let Shared { mail, max_message, .. } = self.current.get();
        let (by, content, age) = match contents(&path, max_message) {
            Ok(read) => read,
            Err(Unread::Bad(why)) => return self.put_aside(&taken, earlier, &why),
            Err(Unread::Later(why)) => {
                self.note(&format!("{} cannot be read – {why}", path.display()));
                return Outcome::Stays(taken.into());
            }
        };
        match self.hand_in((&mail, max_message), &taken, &earlier, (by, content, age)) {
            Ok(Handed::Taken) => self.remove(&taken, earlier),
            Ok(Handed::Refused(why)) => self.put_aside(&taken, earlier, &why),
            Ok(Handed::Later(why)) if age > PATIENCE => {
                self.put_aside(&taken, earlier, &format!("not taken for five days – {why}"))
            }
            Ok(Handed::Later(why)) => {
                self.note(&format!("{} is taken later – {why}", path.display()));
                Outcome::Stays(taken.into())
            }
            // it was kept before, and its file stayed
            Err(Error::Exists(_)) => self.remove(&taken, earlier),
            Err(error) => {
                self.note(&format!("{} is taken later – {error}", path.display()));
                Outcome::Stays(taken.into())
            }
        }
    }

    /// Gives a file the name under which it is taken; one that has it from before keeps it.
    fn begin(&self, name: &OsStr) -> std::io::Result<String> {
        if let Some(name) = name.to_str().filter(|name| name.starts_with(TAKING)) {
            return Ok(name.to_owned());
        }
        let mut random = [0; 8];
        files::random_name(&mut random);
        let taken = format!("{TAKING}{}-{}", crate::pki::hex(&random), shown(name));
        fs::rename(self.folder.join(name), self.folder.join(&taken))?;
        Ok(taken)
    }

    /// The names by which the store knows who has a message already.
    fn earlier(&self, taken: &str) -> Result<Vec<String>, Error> {
        let is_of = |name: &String| mail::parts(name).is_some_and(|(file, _)| file == taken);
        Ok(self.current.get().mail.accounts().store().taken()?.into_iter().filter(is_of).collect())
    }

    fn hand_in(
        &self,
        (mail, max_message): (&Mail, u64),
        taken: &str,
        earlier: &[String],
        (by, content, age): (String, Content, Duration),
    ) -> Result<Handed, Error> {
        let (now, domain) = (now(), mail.own_domain()?);
        let unique = taken.trim_start_matches(TAKING).get(..16).unwrap_or("0").to_owned();
        let have: HashSet<&str> = earlier.iter().filter_map(|name| mail::parts(name)).flat_map(|(_, who)| who).collect();
        let message_id = format!("{}.{unique}@{domain}", now.unix());
        match letter::read(content, max_message, (&domain, &message_id), now) {
            Ok(mut letter) => {
                letter.recipients.retain(|to| !have.contains(to.address.as_str()));
                let patience = if age > PATIENCE { Patience::Over } else { Patience::Left };
                mail.hand_in(letter, Local { by, taken: taken.to_owned(), patience }, &self.heard, now)
            }
            Err(Bad { why, code, known }) => {
                if let Some(mut letter) = known {
                    letter.recipients.retain(|to| !have.contains(to.address.as_str()));
                    mail.tell_bad(*letter, (taken, &self.heard), &format!("{code} {why}"), now)?;
                }
                Ok(Handed::Refused(why))
            }
        }
    }

    fn remove(&self, taken: &str, mut names: Vec<String>) -> Outcome {
        self.heard.forget(taken);
        names.push(taken.to_owned());
        match fs::remove_file(self.folder.join(taken)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                self.note(&format!("{} stays, and is not sent again – {error}", self.folder.join(taken).display()));
                Outcome::Stays(taken.into())
            }
            _ => Outcome::Gone(names),
        }
    }

    /// Puts a file where people look for bad ones, and the reason beside it, with who has the message all the same.
    fn put_aside(&self, taken: &str, earlier: Vec<String>, why: &str) -> Outcome {
        let name = taken.trim_start_matches(TAKING);
        let bad = self.folder.join("Badmail");
        self.note(&format!("{} is bad – {why}", bad.join(name).display()));
        let have: String = earlier
            .iter()
            .filter_map(|name| mail::parts(name))
            .flat_map(|(_, who)| who)
            .map(|to| format!("{to} has it\n"))
            .collect();
        let written = files::write(&bad.join(format!("{name}.why")), format!("{why}\n{have}").as_bytes());
        let moved = written
            .map_err(|error| error.to_string())
            .and_then(|()| fs::rename(self.folder.join(taken), bad.join(name)).map_err(|error| error.to_string()));
        match moved {
            Ok(()) => {
                self.heard.forget(taken);
                Outcome::Gone(earlier)
            }
            Err(error) => {
                self.note(&format!("{} cannot be put aside – {error}", self.folder.join(taken).display()));
                Outcome::Stays(taken.into())
            }
        }
    }

    /// Forgets names once it is on disk that their files are gone.
    fn forget(&self, names: &[String]) -> Result<(), String> {
        if names.is_empty() {
            return Ok(());
        }
        let synced = File::open(&self.folder).and_then(|folder| folder.sync_all());
        synced.map_err(|error| format!("the pickup folder cannot be synced – {error}"))?;
        self.current.get().mail.accounts().store().forget_taken(names).map_err(|error| error.to_string())
    }

    fn note(&self, text: &str) {
        self.tracer.note(now(), text);
    }
}

/// How many files of a pickup folder were tried and wait, and since when the oldest does.
pub fn waiting(folder: &Path) -> (usize, Option<Timestamp>) {
    let (mut count, mut oldest) = (0_usize, None::<Timestamp>);
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if !entry.file_name().to_string_lossy().starts_with(TAKING) {
            continue;
        }
        count = count.saturating_add(1);
        // that of its name, as above
        if let Ok(at) = entry.metadata().map(|known| Timestamp::from_unix(known.ctime())) {
            oldest = Some(oldest.map_or(at, |oldest| oldest.min(at)));
        }
    }
    (count, oldest)
}

/// How many messages of a pickup folder were put aside, because they could not be sent.
pub fn bad(folder: &Path) -> usize {
    let entries = fs::read_dir(folder.join("Badmail")).into_iter().flatten().flatten();
    entries.filter(|entry| !entry.file_name().to_string_lossy().ends_with(".why")).count()
}

/// The start of a name, as it stands behind our own part of one: a name has 255 bytes at most.
fn shown(name: &OsStr) -> String {
    let mut shown = String::new();
    for c in name.to_string_lossy().chars().filter(|c| !c.is_control()) {
        if shown.len().saturating_add(c.len_utf8()) > SHOWN {
            break;
        }
        shown.push(c);
    }
    shown
}

/// Bytes of it.
const SHOWN: usize = 120;

/// Why a file was not read.
enum Unread {
    Bad(String),
    Later(String),
}

/// Who put a file there, what is in it, and how old it is.
fn contents(path: &Path, max_message: u64) -> Result<(String, Content, Duration), Unread> {
    let later = |error: std::io::Error| Unread::Later(error.to_string());
    // neither a link to a file of others, nor a pipe that holds up
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let flags = i32::try_from(flags.bits()).map_err(|error| Unread::Later(error.to_string()))?;
    let opened = fs::OpenOptions::new().read(true).custom_flags(flags).open(path);
    let file: File = opened.map_err(|error| match error.kind() {
        std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::NotFound => Unread::Later(error.to_string()),
        _ => Unread::Bad(format!("it is no file that can be opened – {error}")),
    })?;
    let known = file.metadata().map_err(later)?;
    if !known.is_file() || known.nlink() != 1 {
        return Err(Unread::Bad("it is not a file of its own, but a link or something else".to_owned()));
    }
    let is_too_large = known.len() > max_message.saturating_add(ENVELOPE);
    let most = if is_too_large { START } else { known.len() };
    let mut bytes = Vec::with_capacity(usize::try_from(most).unwrap_or(0));
    file.take(most).read_to_end(&mut bytes).map_err(later)?;
    // that of its name, which it got when it was first tried; it may have been written long before
    let age = Duration::from_secs(u64::try_from(now().unix().saturating_sub(known.ctime())).unwrap_or(0));
    let size = if is_too_large { known.len() } else { u64::try_from(bytes.len()).unwrap_or(u64::MAX) };
    Ok((format!("pickup, from userid {}", known.uid()), Content { bytes, size }, age))
}

fn is_whole(name: &OsStr, entry: &fs::DirEntry) -> bool {
    let name = name.to_string_lossy();
    if name.starts_with(TAKING) || name.ends_with(".ready") && !name.starts_with('.') {
        return true;
    }
    if name.starts_with('.') || name.ends_with(".tmp") || name.ends_with('~') {
        return false;
    }
    let Ok(known) = entry.metadata() else { return false };
    // a clock that was set back makes no file young for ever
    !known.is_dir() && known.modified().is_ok_and(|at| at.elapsed().map_or(true, |age| age >= QUIET))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_any_letters_stays_a_name() {
        for (name, len) in
            [("1.ready".to_owned(), 7), ("😀".repeat(63), 120), (format!("a{}", "😀".repeat(63)), 117), ("a\nb".to_owned(), 2)]
        {
            assert_eq!(shown(OsStr::new(&name)).len(), len, "{name}");
        }
        let long = shown(OsStr::new(&"x".repeat(255)));
        assert!(format!("{TAKING}0123456789abcdef-{long}.why").len() <= 255);
    }
}
