//! A message while it comes in: in memory, and beyond a bound in a private file that ends with the connection, or becomes the store's.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::proto::smtp::{Content, Piece};
use crate::server::store::{Body, Growing};

/// Removes what a server that was killed left of messages nobody was told to have.
pub(in crate::server) fn clean(folder: &Path) -> io::Result<()> {
    for file in std::fs::read_dir(folder)? {
        std::fs::remove_file(file?.path())?;
    }
    Ok(())
}

/// What one connection keeps of the message that is coming.
#[derive(Debug)]
pub(in crate::server) struct Spool {
    folder: PathBuf,
    file: Option<Spooled>,
}

/// A message that is too large for the memory.
#[derive(Debug)]
struct Spooled {
    file: Growing,
    /// Its header section, where that was in the first piece.
    head: Option<Vec<u8>>,
}

/// A message that has come.
#[derive(Debug)]
pub(in crate::server) struct Incoming {
    file: Option<Spooled>,
    /// What is not in the file.
    rest: Vec<u8>,
}

impl Spool {
    /// Keeps files in this folder of the store: what does not fit on its disk is refused before all of it has come.
    pub(in crate::server) fn new(folder: PathBuf) -> Self {
        Self { folder, file: None }
    }

    /// Keeps a piece; one at the start of a message lets go of what was kept of another one.
    pub(in crate::server) fn keep(&mut self, piece: &Piece) -> io::Result<()> {
        if piece.at == 0 {
            let head = head(&piece.bytes).map(<[u8]>::to_vec);
            self.file = Some(Spooled { file: Growing::new(&self.folder)?, head });
        }
        let lost = || io::Error::other("a piece came before its message began");
        let spooled = self.file.as_mut().filter(|spooled| spooled.file.size() == piece.at).ok_or_else(lost)?;
        let kept = spooled.file.push(&piece.bytes);
        // the disk may be full: what is there of it helps nobody
        kept.inspect_err(|_| self.file = None)
    }

    /// Nothing is coming any more.
    pub(in crate::server) fn clear(&mut self) {
        self.file = None;
    }

    /// The message that these bytes end.
    pub(in crate::server) fn whole(&mut self, content: Content) -> Incoming {
        let file = self.file.take().filter(|_| content.spooled > 0);
        Incoming { file, rest: content.rest }
    }
}

impl Incoming {
    /// Its header section, or its first bytes where that does not end among them: so many at most.
    pub(in crate::server) fn start(&mut self, most: usize) -> io::Result<Vec<u8>> {
        let head = match &self.file {
            Some(spooled) => spooled.head.as_deref(),
            None => head(&self.rest),
        };
        if let Some(head) = head.filter(|head| head.len() < most) {
            return Ok(head.to_vec());
        }
        let mut start = Vec::new();
        self.reader()?.take(u64::try_from(most).unwrap_or(u64::MAX)).read_to_end(&mut start)?;
        Ok(start)
    }

    /// A message that is in memory.
    pub(in crate::server) fn of(message: Vec<u8>) -> Self {
        Self { file: None, rest: message }
    }

    /// Its bytes.
    pub(in crate::server) fn size(&self) -> u64 {
        let spooled = self.file.as_ref().map_or(0, |spooled| spooled.file.size());
        spooled.saturating_add(u64::try_from(self.rest.len()).unwrap_or(u64::MAX))
    }

    /// All of it.
    pub(in crate::server) fn bytes(&mut self) -> io::Result<Vec<u8>> {
        let mut whole = Vec::with_capacity(usize::try_from(self.size()).unwrap_or(0));
        self.reader()?.read_to_end(&mut whole)?;
        Ok(whole)
    }

    /// All of it behind these fields, as the store takes it: what is in a file is not copied.
    pub(in crate::server) fn behind(self, fields: Vec<u8>) -> io::Result<Body> {
        let Some(Spooled { mut file, .. }) = self.file else { return Ok(Body::memory(fields, self.rest)) };
        file.push(&self.rest)?;
        file.flush()?;
        Ok(Body::spooled(fields, file))
    }

    /// Reads it from its first byte.
    pub(in crate::server) fn reader(&mut self) -> io::Result<impl Read> {
        let file: Box<dyn Read + '_> = match &self.file {
            Some(spooled) => Box::new(spooled.file.reader()?),
            None => Box::new(io::empty()),
        };
        Ok(file.chain(self.rest.as_slice()))
    }
}

/// The header section with the empty line that ends it; none where it does not end among these bytes.
fn head(bytes: &[u8]) -> Option<&[u8]> {
    match memchr::memmem::find(bytes, b"\r\n\r\n") {
        _ if bytes.starts_with(b"\r\n") => bytes.get(..2),
        Some(at) => bytes.get(..at.saturating_add(4)),
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_become_the_message_and_no_other_one_is_left_in_it() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut spool = Spool::new(folder.path().to_owned());
        let piece = |at, bytes: &[u8]| Piece { at, bytes: bytes.to_vec() };
        spool.keep(&piece(0, b"a refused message, and a long one")).expect("kept");
        spool.keep(&piece(0, b"one ")).expect("kept");
        spool.keep(&piece(4, b"two ")).expect("kept");
        let mut incoming = spool.whole(Content { spooled: 8, rest: b"three".to_vec() });
        assert_eq!(incoming.start(6).expect("read"), b"one tw");
        assert_eq!(incoming.bytes().expect("read"), b"one two three");
        let file = std::fs::read_dir(folder.path()).expect("a folder").next().expect("a file").expect("a file").path();
        let body = incoming.behind(b"X: y\r\n".to_vec()).expect("kept");
        assert_eq!(std::fs::read(file).expect("read"), b"one two three", "all of it is in the file");
        drop(body);
        assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 0, "it is gone with the message");
        // a small one after it needs no file
        assert_eq!(spool.whole(Content { spooled: 0, rest: b"small".to_vec() }).bytes().expect("read"), b"small");
        assert!(spool.keep(&piece(4, b"x")).is_err());
    }
}
