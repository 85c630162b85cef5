//! Packets: four bytes of length, a letter, and what belongs to it.

use crate::limits::Limits;
use crate::proto::milter::Broken;

/// A packet for a scanner.
pub(super) fn packet(letter: u8, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len().saturating_add(1)).unwrap_or(u32::MAX);
    let mut bytes = Vec::with_capacity(content.len().saturating_add(5));
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.push(letter);
    bytes.extend_from_slice(content);
    bytes
}

/// Strings that end with a NUL each; a NUL inside would end one early, so it is left out.
pub(super) fn strings(texts: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for text in texts {
        bytes.extend(text.iter().filter(|byte| **byte != 0));
        bytes.push(0);
    }
    bytes
}

/// Takes packets of a scanner out of the bytes that come.
#[derive(Debug, Default)]
pub(super) struct Packets {
    bytes: Vec<u8>,
}

impl Packets {
    pub(super) fn receive(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The next packet, where it is whole: its letter and its content.
    pub(super) fn next(&mut self, limits: &Limits) -> Result<Option<(u8, Vec<u8>)>, Broken> {
        let Some((head, rest)) = self.bytes.split_first_chunk::<4>() else { return Ok(None) };
        let length = usize::try_from(u32::from_be_bytes(*head)).unwrap_or(usize::MAX);
        if length == 0 {
            return Err(Broken::Protocol("a packet without a letter".to_owned()));
        }
        if length > limits.milter_packet_bytes {
            return Err(Broken::limit("milter packet bytes", limits.milter_packet_bytes));
        }
        let Some((content, _)) = rest.split_at_checked(length) else { return Ok(None) };
        let Some((letter, content)) = content.split_first() else { return Ok(None) };
        let taken = (*letter, content.to_vec());
        self.bytes.drain(..length.saturating_add(4));
        Ok(Some(taken))
    }
}

/// Reads what a packet holds.
pub(super) struct Content<'a>(pub(super) &'a [u8]);

impl<'a> Content<'a> {
    pub(super) fn number(&mut self) -> Result<u32, Broken> {
        let (number, rest) = self.0.split_first_chunk::<4>().ok_or_else(|| short("a number"))?;
        self.0 = rest;
        Ok(u32::from_be_bytes(*number))
    }

    pub(super) fn string(&mut self) -> Result<&'a [u8], Broken> {
        let end = memchr::memchr(0, self.0).ok_or_else(|| short("a string"))?;
        let (text, rest) = self.0.split_at_checked(end).ok_or_else(|| short("a string"))?;
        self.0 = rest.get(1..).unwrap_or_default();
        Ok(text)
    }
}

fn short(what: &str) -> Broken {
    Broken::Protocol(format!("a packet that ends before {what} in it does"))
}
