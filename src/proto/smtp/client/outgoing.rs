//! What goes out, and what became of it.

use std::sync::Arc;

pub use crate::proto::smtp::envelope::{Addressee, Body, RequireTls, Terms};

/// A message that goes out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// The sender; empty for bounces.
    pub sender: String,
    /// The recipients at this server.
    pub recipients: Vec<Addressee>,
    /// The message with CRLF line ends.
    pub message: Arc<[u8]>,
    /// What the sender asked of every server on the way.
    pub terms: Terms,
}

impl Outgoing {
    /// A message to these addresses, without a wish.
    pub fn new(sender: String, recipients: Vec<String>, message: Arc<[u8]>) -> Self {
        Self { sender, recipients: recipients.into_iter().map(Addressee::from).collect(), message, terms: Terms::default() }
    }

    /// What a client needs to know of it.
    pub fn announced(&self) -> Announced {
        let (sender, recipients, terms) = (self.sender.clone(), self.recipients.clone(), self.terms.clone());
        Announced { sender, recipients, terms, shape: Shape::of(&self.message) }
    }

    /// The bytes from this one on: of a piece, none where there are no more.
    pub fn piece(&self, at: u64) -> &[u8] {
        let rest = usize::try_from(at).ok().and_then(|at| self.message.get(at..)).unwrap_or_default();
        rest.get(..PIECE).unwrap_or(rest)
    }
}

/// Bytes of a piece of what is in memory.
const PIECE: usize = 64 << 10;

/// What a server hears of a message before it comes. Its bytes are asked for piece by piece
/// ([`ClientStep::Read`](super::ClientStep::Read)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announced {
    /// The sender; empty for bounces.
    pub sender: String,
    /// The recipients at this server.
    pub recipients: Vec<Addressee>,
    /// What the sender asked of every server on the way.
    pub terms: Terms,
    /// What its bytes are like.
    pub shape: Shape,
}

/// What the bytes of a message are like, which have CRLF line ends. Made of them piece by piece, in their order.
///
/// ```
/// # use sealpost::proto::smtp::client::{EightBit, Shape};
/// let mut shape = Shape::default();
/// for piece in [&b"Subject: x\r\n\r"[..], "\nBücher\r\n".as_bytes()] {
///     shape.push(piece);
/// }
/// assert_eq!((shape.size(), shape.eight_bit()), (23, EightBit::Body));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    size: u64,
    eight_bit: EightBit,
    /// How many bytes of what ends the header section came last; all of them once it is over.
    ended: usize,
}

impl Default for Shape {
    fn default() -> Self {
        // a message that begins with an empty line has no header section
        Self { size: 0, eight_bit: EightBit::Nowhere, ended: 2 }
    }
}

/// Where a message leaves ASCII.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum EightBit {
    /// Nowhere.
    #[default]
    Nowhere,
    /// In its body alone.
    Body,
    /// In its header section.
    Header,
}

const HEADER_END: &[u8] = b"\r\n\r\n";

impl Shape {
    /// That of a message in one piece.
    pub fn of(message: &[u8]) -> Self {
        let mut shape = Self::default();
        shape.push(message);
        shape
    }

    /// Takes the bytes that follow.
    pub fn push(&mut self, piece: &[u8]) {
        self.size = self.size.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
        let header = self.header_of(piece);
        if !piece.get(..header).unwrap_or_default().is_ascii() {
            self.eight_bit = EightBit::Header;
        }
        if self.eight_bit == EightBit::Nowhere && !piece.is_ascii() {
            self.eight_bit = EightBit::Body;
        }
    }

    /// Bytes in all.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Where it leaves ASCII.
    pub fn eight_bit(&self) -> EightBit {
        self.eight_bit
    }

    /// How many bytes of a piece belong to the header section.
    fn header_of(&mut self, piece: &[u8]) -> usize {
        let mut at = 0_usize;
        while self.ended < HEADER_END.len()
            && let Some(byte) = piece.get(at)
        {
            self.ended = match (*byte, self.ended) {
                (b'\r', 2) => 3,
                (b'\r', _) => 1,
                (b'\n', 1 | 3) => self.ended.saturating_add(1),
                _ => 0,
            };
            at = at.saturating_add(1);
        }
        at
    }
}

/// What became of one recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The server took it over.
    Delivered(String),
    /// Not now: the reply.
    Temporary(String),
    /// Never: the reply.
    Permanent(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_one_shape_however_it_comes() {
        for (message, eight_bit) in [
            ("", EightBit::Nowhere),
            ("A: 1\r\n\r\nx", EightBit::Nowhere),
            ("A: 1\r\n\r\nö", EightBit::Body),
            ("A: ö\r\n\r\nx", EightBit::Header),
            ("A: ö\r\n\r\nö", EightBit::Header),
            ("A: 1\r\r\n\r\nö", EightBit::Body),
            ("A: 1\r\n\r\r\nB: ö\r\n", EightBit::Header),
            ("A: 1\n\nö", EightBit::Header),
            ("A: 1\r\n\r\n\r\n\r\nö", EightBit::Body),
            ("\r\nA: ö\r\n\r\nx", EightBit::Body),
        ] {
            for size in 1..6 {
                let mut shape = Shape::default();
                message.as_bytes().chunks(size).for_each(|piece| shape.push(piece));
                assert_eq!((shape.size(), shape.eight_bit()), (message.len() as u64, eight_bit), "{message:?} by {size}");
            }
            assert_eq!(Shape::of(message.as_bytes()).eight_bit(), eight_bit, "{message:?}");
        }
    }
}
