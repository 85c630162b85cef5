//! Mail protocols as conversations without sockets: bytes in, steps out.
//!
//! Uses: crypto (SCRAM), limits, time, secret. Never: tokio, files, clocks, the store.
//! Holds always: the same bytes in any pieces give the same answers; nothing blocks; what a peer sends before TLS is not taken for
//! what he sends after it; only CRLF.CRLF ends a message.
//!
//! RFCs: 5321 (SMTP), 6409 (submission), 2920, 1870, 6152, 6531, 2034, 3030, 3207, 3461, 4954, 8689, 9422 (extensions); 1939, 2449, 2595, 5034,
//! 6856 (POP3); 4422, 4616, 5802, 7677 (SASL); sendmail's milter protocol, which no RFC describes.

mod dialogue;
pub mod line;
pub mod milter;
pub mod pop3;
pub mod sasl;
pub mod smtp;

pub use dialogue::{Party, Spoken};

/// What a session wants next. The driver does it and asks again.
#[derive(Debug, PartialEq, Eq)]
pub enum Step<E> {
    /// These bytes go to the peer.
    Send(Vec<u8>),
    /// A question for the service; the driver gives the answer with the session's `answer`.
    Ask(E),
    /// TLS begins now, as the server; the driver says so with `tls_started`.
    StartTls,
    /// Nothing to do until the peer sends more.
    Wait,
    /// The conversation is over.
    Close,
}

/// What the handshake of TLS agreed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agreed {
    /// The version: `TLSv1.3`.
    pub version: String,
    /// The cipher, by the name that IANA has for it.
    pub cipher: String,
}

impl std::fmt::Display for Agreed {
    /// As Received has it (RFC 8314 4.3).
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.cipher, self.version)
    }
}

/// Whether the connection is under TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tls {
    /// It is.
    Active,
    /// It is not, and can be.
    Offered,
    /// It is not, and cannot be.
    Unavailable,
}
