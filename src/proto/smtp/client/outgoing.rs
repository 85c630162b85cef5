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
