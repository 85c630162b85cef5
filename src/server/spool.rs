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
        self.bytes_behind(b"")
    }

    /// All of it behind these fields.
    pub(in crate::server) fn bytes_behind(&mut self, fields: &[u8]) -> io::Result<Vec<u8>> {
        let mut whole = Vec::with_capacity(usize::try_from(self.size()).unwrap_or(0).saturating_add(fields.len()));
        whole.extend_from_slice(fields);
        self.reader()?.read_to_end(&mut whole)?;
        Ok(whole)
    }

    /// Whether it is in a file.
    pub(in crate::server) fn is_spooled(&self) -> bool {
        self.file.is_some()
    }

    /// Puts other bytes in the place of the first ones; a file is written anew in this folder.
    pub(in crate::server) fn begin_with(&mut self, folder: &Path, start: &[u8], instead_of: usize) -> io::Result<()> {
        let skipped = u64::try_from(instead_of).unwrap_or(u64::MAX);
        if self.file.is_none() {
            self.rest = [start, self.rest.get(instead_of..).unwrap_or_default()].concat();
            return Ok(());
        }
        let file = self.written(folder, start, skipped)?;
        let head = head(start).map(<[u8]>::to_vec);
        *self = Self { file: Some(Spooled { file, head }), rest: Vec::new() };
        Ok(())
    }

    /// A second one behind these fields, as the store takes it; a file is written anew in this folder.
    pub(in crate::server) fn copy(&mut self, folder: &Path, fields: Vec<u8>) -> io::Result<Body> {
        if self.file.is_none() {
            return Ok(Body::memory(fields, self.rest.clone()));
        }
        let mut file = self.written(folder, b"", 0)?;
        file.flush()?;
        Ok(Body::spooled(fields, file))
    }

    /// A file with these bytes, and its own from there on.
    fn written(&mut self, folder: &Path, start: &[u8], skipped: u64) -> io::Result<Growing> {
        let mut file = Growing::new(folder)?;
        file.push(start)?;
        let mut reader = self.reader()?;
        io::copy(&mut (&mut reader).take(skipped), &mut io::sink())?;
        let mut piece = Vec::with_capacity(PIECE);
        loop {
            piece.clear();
            (&mut reader).take(u64::try_from(PIECE).unwrap_or(u64::MAX)).read_to_end(&mut piece)?;
            if piece.is_empty() {
                return Ok(file);
            }
            file.push(&piece)?;
        }
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

/// Bytes that are copied at once.
const PIECE: usize = 256 << 10;

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

    #[test]
    fn a_message_is_copied_and_begins_otherwise_in_a_file_as_in_memory() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let message = [b"A: 1\r\nB: 2\r\n\r\n".to_vec(), b"body\r\n".repeat(100_000)].concat();
        let mut spool = Spool::new(folder.path().to_owned());
        spool.keep(&Piece { at: 0, bytes: message.clone() }).expect("kept");
        let spooled = spool.whole(Content { spooled: message.len() as u64, rest: b"end\r\n".to_vec() });
        let whole = [message.as_slice(), b"end\r\n"].concat();
        for mut incoming in [spooled, Incoming::of(whole.clone())] {
            let files = || std::fs::read_dir(folder.path()).expect("a folder").count();
            let before = files();
            let copy = incoming.copy(folder.path(), b"X: y\r\n".to_vec()).expect("copied");
            assert_eq!(files(), before * 2, "a message in a file becomes one in a file");
            drop(copy);
            assert_eq!(incoming.bytes_behind(b"X: y\r\n").expect("read"), [b"X: y\r\n", whole.as_slice()].concat());
            incoming.begin_with(folder.path(), b"B: 2\r\n\r\n", 14).expect("written");
            assert_eq!(incoming.start(100).expect("read").get(..8), Some(&b"B: 2\r\n\r\n"[..]));
            assert_eq!((files(), incoming.size()), (before, whole.len() as u64 - 6));
            assert!(incoming.bytes().expect("read") == [b"B: 2\r\n\r\n", whole.get(14..).expect("long")].concat());
        }
    }
}
