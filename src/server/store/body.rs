//! A message on its way into the store, and on its way out.

use std::fmt;
use std::io::{Cursor, Read};

use crate::server::store::{Error, Growing};

/// A message that is handed in: fields that were put before it, and what came, in memory or in a file.
#[derive(Debug, Default)]
pub struct Body {
    pub(in crate::server::store) fields: Vec<u8>,
    pub(in crate::server::store) content: Content,
}

/// Where what came is.
#[derive(Debug)]
pub(in crate::server::store) enum Content {
    Memory(Vec<u8>),
    Spooled(Growing),
}

impl Default for Content {
    fn default() -> Self {
        Self::Memory(Vec::new())
    }
}

impl Body {
    /// A message in memory, behind fields that were put before it.
    pub fn memory(fields: Vec<u8>, message: Vec<u8>) -> Self {
        Self { fields, content: Content::Memory(message) }
    }

    /// A message in a file, behind fields that were put before it. A large one becomes the store's file by its name alone; that needs
    /// it to be in [`Store::spool`](super::Store::spool).
    pub fn spooled(fields: Vec<u8>, file: Growing) -> Self {
        Self { fields, content: Content::Spooled(file) }
    }
}

impl From<Vec<u8>> for Body {
    fn from(message: Vec<u8>) -> Self {
        Self::memory(Vec::new(), message)
    }
}

/// A message that is read piece by piece.
pub struct Reading {
    size: u64,
    source: Box<dyn Read + Send>,
}

impl Reading {
    pub(in crate::server::store) fn new(fields: Vec<u8>, size: u64, content: impl Read + Send + 'static) -> Self {
        Self { size, source: Box::new(Cursor::new(fields).chain(content)) }
    }

    /// Its size in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// All of it at once.
    pub fn whole(mut self) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::with_capacity(usize::try_from(self.size).unwrap_or(0));
        self.source.read_to_end(&mut bytes).map_err(|error| Error::Broken(format!("a message cannot be read – {error}")))?;
        Ok(bytes)
    }
}

impl Read for Reading {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.source.read(buffer)
    }
}

impl fmt::Debug for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reading({} bytes)", self.size)
    }
}
