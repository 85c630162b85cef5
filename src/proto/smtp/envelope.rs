//! What is known of a message before its content: who sends it to whom, how it came, and what its sender asks of every server on the way.

use crate::proto::sasl::Mechanism;
use crate::proto::smtp::path::Path;

/// The envelope of one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// How the peer calls itself.
    pub helo: String,
    /// How it greeted.
    pub hello: Hello,
    /// The user who is authenticated.
    pub user: Option<String>,
    /// How he authenticated; none where nobody did.
    pub mechanism: Option<Mechanism>,
    /// The sender.
    pub sender: Path,
    /// Bytes of the message as its client announces them (RFC 1870); 0 where it says nothing.
    pub size: u64,
    /// The recipients that were accepted.
    pub recipients: Vec<Addressee>,
    /// Whether it came under TLS.
    pub is_secure: bool,
    /// Whether addresses and header fields may hold letters outside ASCII (RFC 6531).
    pub is_utf8: bool,
    /// What the sender asks of every server on the way.
    pub terms: Terms,
}

/// How a peer greeted: the name of the protocol in Received depends on it (RFC 3848).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hello {
    /// HELO.
    Plain,
    /// EHLO.
    Extended,
}

/// A recipient, with what the sender wants to hear of him (RFC 3461).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Addressee {
    /// The address: `local@domain`, or `postmaster`.
    pub address: String,
    /// NOTIFY in upper case: `NEVER`, or some of `SUCCESS,FAILURE,DELAY`; empty where nothing was said (RFC 3461 4.1).
    pub notify: String,
    /// ORCPT as it stands in the command, type and xtext; empty where nothing was said (RFC 3461 4.2).
    pub original: String,
}

impl From<String> for Addressee {
    fn from(address: String) -> Self {
        Self { address, ..Self::default() }
    }
}

/// What the sender asks of every server on the way.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Terms {
    /// RET in upper case, `FULL` or `HDRS`; empty where nothing was said (RFC 3461 4.3).
    pub ret: String,
    /// ENVID as it stands in the command, in xtext; empty where nothing was said (RFC 3461 4.4).
    pub envid: String,
    /// What the content is.
    pub body: Body,
    /// Whether servers without TLS that is verified are out of the question.
    pub tls: RequireTls,
}

/// What the content is (RFC 6152, RFC 3030).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Body {
    /// Lines of ASCII: nothing else was announced, and nothing else came.
    #[default]
    Text,
    /// Lines with bytes outside ASCII: they were announced, or came all the same.
    EightBit,
    /// Any bytes: it goes in chunks, to servers that take them.
    Binary,
}

/// RFC 8689: whether the message goes under verified TLS to servers that promise the same.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RequireTls {
    /// As the server does it.
    #[default]
    No,
    /// Or back to its sender.
    Yes,
    /// The message says that it goes on without, rather than not at all (`TLS-Required: No`, section 5).
    Waived,
}
