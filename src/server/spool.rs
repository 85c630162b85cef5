//! A message while it comes in: in memory, and beyond a bound in a private file that ends with the connection, or becomes the store's.

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::proto::smtp::{Content, Piece};
use crate::server::store::Body;

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
    file: Option<NamedTempFile>,
}

/// A message that has come.
#[derive(Debug)]
pub(in crate::server) struct Incoming {
    file: Option<NamedTempFile>,
    content: Content,
}

impl Spool {
    /// Keeps files in this folder of the store: what does not fit on its disk is refused before all of it has come.
    pub(in crate::server) fn new(folder: PathBuf) -> Self {
        Self { folder, file: None }
    }

    /// Keeps a piece; one at the start of a message lets go of what was kept of another one.
    pub(in crate::server) fn keep(&mut self, piece: &Piece) -> io::Result<()> {
        if piece.at == 0 {
            self.file = Some(NamedTempFile::new_in(&self.folder)?);
        }
        let file = self.file.as_mut().ok_or_else(|| io::Error::other("a piece came before its message began"))?;
        let kept = file.seek(SeekFrom::Start(piece.at)).and_then(|_| file.write_all(&piece.bytes));
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
        Incoming { file, content }
    }
}

impl Incoming {
    /// Its first bytes, so many at most.
    pub(in crate::server) fn start(&mut self, most: usize) -> io::Result<Vec<u8>> {
        let mut start = Vec::new();
        self.reader()?.take(u64::try_from(most).unwrap_or(u64::MAX)).read_to_end(&mut start)?;
        Ok(start)
    }

    /// A message that is in memory.
    pub(in crate::server) fn of(message: Vec<u8>) -> Self {
        Self { file: None, content: Content { spooled: 0, rest: message } }
    }

    /// Its bytes.
    pub(in crate::server) fn size(&self) -> u64 {
        self.content.spooled.saturating_add(u64::try_from(self.content.rest.len()).unwrap_or(u64::MAX))
    }

    /// All of it.
    pub(in crate::server) fn bytes(&mut self) -> io::Result<Vec<u8>> {
        let size = usize::try_from(self.content.spooled).unwrap_or(0).saturating_add(self.content.rest.len());
        let mut whole = Vec::with_capacity(size);
        self.reader()?.read_to_end(&mut whole)?;
        Ok(whole)
    }

    /// All of it behind these fields, as the store takes it: what is in a file is not copied.
    pub(in crate::server) fn behind(self, fields: Vec<u8>) -> io::Result<Body> {
        let Content { spooled, rest } = self.content;
        let Some(mut file) = self.file else { return Ok(Body::memory(fields, rest)) };
        file.as_file().set_len(spooled)?;
        file.seek(SeekFrom::End(0))?;
        file.write_all(&rest)?;
        Ok(Body::spooled(fields, file))
    }

    /// Reads it from its first byte.
    pub(in crate::server) fn reader(&mut self) -> io::Result<impl Read> {
        let file: Box<dyn Read + '_> = match &mut self.file {
            Some(file) => {
                file.seek(SeekFrom::Start(0))?;
                Box::new(file.take(self.content.spooled))
            }
            None => Box::new(io::empty()),
        };
        Ok(file.chain(self.content.rest.as_slice()))
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
