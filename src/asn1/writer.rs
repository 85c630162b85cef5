//! Writes BER to a stream: constructed values of indefinite length, content in pieces.

use std::io::{self, Write};

use crate::asn1::Tag;
use crate::asn1::encode::{push_length, push_tag};

/// Writes values one after another; constructed values of unknown length are opened and closed.
#[derive(Debug)]
pub struct Writer<W> {
    sink: W,
    open: usize,
}

impl<W: Write> Writer<W> {
    /// Writes to `sink`.
    pub fn new(sink: W) -> Self {
        Self { sink, open: 0 }
    }

    /// Opens a constructed value of indefinite length.
    pub fn open(&mut self, tag: Tag) -> io::Result<()> {
        let mut header = Vec::with_capacity(8);
        push_tag(&mut header, Tag { constructed: true, ..tag });
        header.push(0x80);
        self.open = self.open.saturating_add(1);
        self.sink.write_all(&header)
    }

    /// Closes the value opened last.
    pub fn close(&mut self) -> io::Result<()> {
        debug_assert!(self.open > 0, "every close has its open");
        self.open = self.open.saturating_sub(1);
        self.sink.write_all(&[0, 0])
    }

    /// Writes encoded values as they are.
    pub fn der(&mut self, encoded: &[u8]) -> io::Result<()> {
        self.sink.write_all(encoded)
    }

    /// Writes one piece of an open OCTET STRING.
    pub fn piece(&mut self, bytes: &[u8]) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        let mut header = Vec::with_capacity(12);
        push_tag(&mut header, Tag::OCTET_STRING);
        push_length(&mut header, bytes.len());
        self.sink.write_all(&header)?;
        self.sink.write_all(bytes)
    }

    /// Gives the sink back; every opened value must be closed.
    pub fn finish(mut self) -> io::Result<W> {
        debug_assert_eq!(self.open, 0, "every open has its close");
        self.sink.flush()?;
        Ok(self.sink)
    }
}
