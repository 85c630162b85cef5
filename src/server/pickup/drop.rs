//! The drop folder: mail for some domains goes into files there, for a program that reads them.
//!
//! | a file is | named | and leaves that state by |
//! |---|---|---|
//! | being written | `.new-…` | its sync and its renaming; where the server dies before, the next start removes it, and the queue writes the message again |
//! | whole | `TIME-RANDOM.eml` | the program that reads it, which removes it |
//!
//! The queue forgets a message when the name of its file is on disk.

use std::io::{self, Write};
use std::path::PathBuf;

use crate::keys::{Error, files};
use crate::proto::smtp::client::{Announced, Outcome};
use crate::server::config;
use crate::server::outbound::Letter;
use crate::server::pickup::letter;
use crate::time::Timestamp;

/// The drop folder of a server.
#[derive(Debug, Clone)]
pub(in crate::server) struct Drop {
    domains: Vec<String>,
    folder: PathBuf,
}

impl Drop {
    /// The folder, made for its owner alone where there is none, without what a server that died left half written.
    pub(in crate::server) fn open(config: &config::Drop) -> Result<Self, String> {
        let config::Drop { domains, folder } = config.clone();
        let unusable = |error| format!("the drop folder {} cannot be used – {error}", folder.display());
        files::make_folder(&folder).map_err(unusable)?;
        files::sweep(&folder).map_err(unusable)?;
        Ok(Self { domains, folder })
    }

    /// Whether mail for this domain, in lower case, goes there.
    pub(in crate::server) fn has(&self, domain: &str) -> bool {
        self.domains.iter().any(|known| known == domain)
    }

    /// Writes a message with its envelope; on disk under its name when this says so. A crash between that and the queue's note of it writes
    /// a second file.
    pub(in crate::server) fn write(&self, letter: &Letter, now: Timestamp) -> Outcome {
        let mut random = [0; 8];
        files::random_name(&mut random);
        let name = format!("{}-{}.eml", now.unix(), crate::pki::hex(&random));
        let path = self.folder.join(&name);
        let Announced { sender, terms, recipients, .. } = &letter.announced;
        let fields = letter::fields(sender, terms, recipients);
        let written = files::write_with(&path, |file| {
            let written = file.write_all(fields.as_bytes()).and_then(|()| io::copy(&mut letter.reader()?, file));
            written.map(drop).map_err(|error| Error::Io { path: path.clone(), error })
        });
        match written {
            Ok(()) => Outcome::Delivered(format!("250 2.0.0 dropped as {name}")),
            Err(error) => Outcome::Temporary(format!("4.3.1 {error}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::smtp::client::Outgoing;

    #[test]
    fn a_dropped_file_has_its_envelope_before_the_message() {
        let place = tempfile::tempdir().expect("a folder");
        let folder = place.path().join("drop");
        let drop = Drop::open(&config::Drop { domains: vec!["c.example".to_owned()], folder: folder.clone() }).expect("opened");
        assert!(drop.has("c.example") && !drop.has("a.c.example"));
        let recipients = vec!["joe@c.example".to_owned(), "jane@c.example".to_owned()];
        let outgoing = Outgoing::new("x@b.example".to_owned(), recipients, b"Subject: hi\r\n\r\nHi.\r\n".to_vec().into());
        let letter = Letter::here(&outgoing);
        assert!(matches!(drop.write(&letter, Timestamp::from_unix(7)), Outcome::Delivered(_)));
        let files: Vec<_> = std::fs::read_dir(&folder).expect("read").flatten().map(|entry| entry.path()).collect();
        let [file] = files.as_slice() else { panic!("{files:?}") };
        let text = std::fs::read_to_string(file).expect("read");
        let head = "X-Sender: <x@b.example>\r\nX-Receiver: <joe@c.example>\r\nX-Receiver: <jane@c.example>\r\nSubject: hi\r\n";
        assert!(text.starts_with(head), "{text}");
        std::fs::remove_dir_all(&folder).expect("removed");
        assert!(matches!(drop.write(&letter, Timestamp::from_unix(7)), Outcome::Temporary(_)), "the queue tries again");
    }
}
