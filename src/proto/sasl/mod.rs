//! SASL for SMTP and POP3 (RFC 4422), both sides: SCRAM-SHA-256 with and without channel binding, EXTERNAL, PLAIN, LOGIN.
//!
//! Uses: crypto (HMAC, digests, PBKDF2), secret. Never: accounts, clocks; nonces come from outside.
//! Holds always: nothing of this begins without TLS (the sessions see to it); whatever is wrong with a name, a password or a proof, the
//! answer is the same; who asks to act for another than himself is refused.
//!
//! RFCs: 4422, 4616 (PLAIN), 5802 and 7677 (SCRAM), 5929 and 9266 (what binds a channel); LOGIN has none but a draft.

mod client;
mod plain;
pub mod scram;
mod server;
#[cfg(test)]
mod tests;

use crate::proto::dialogue::MASK;
use crate::secret::Secret;

pub(in crate::proto) use client::{Exchange as ClientExchange, choose};
pub(crate) use server::mailbox;
pub use server::{Answer, Ended, Question};
pub(in crate::proto) use server::{Exchange, Names, Turn, Watch};

/// A name and a password that a peer gave.
#[derive(Clone)]
pub struct Credentials {
    /// The name.
    pub user: String,
    /// The password.
    pub password: Secret<Vec<u8>>,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Credentials({})", self.user)
    }
}

impl PartialEq for Credentials {
    fn eq(&self, other: &Self) -> bool {
        self.user == other.user && self.password.expose() == other.password.expose()
    }
}

impl Eq for Credentials {}

/// A way to log in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mechanism {
    /// SCRAM-SHA-256-PLUS: the proof names the TLS connection, so that nobody in between can pass it on.
    ScramPlus,
    /// SCRAM-SHA-256: both sides prove that they know the password, and neither says it.
    Scram,
    /// EXTERNAL: the certificate that the client showed in TLS.
    External,
    /// PLAIN: name and password in one.
    Plain,
    /// LOGIN: name and password one after the other, for old clients.
    Login,
}

impl Mechanism {
    /// All, the strongest first: the order in which they are offered and chosen.
    pub const ALL: [Self; 5] = [Self::ScramPlus, Self::Scram, Self::External, Self::Plain, Self::Login];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ScramPlus => "SCRAM-SHA-256-PLUS",
            Self::Scram => "SCRAM-SHA-256",
            Self::External => "EXTERNAL",
            Self::Plain => "PLAIN",
            Self::Login => "LOGIN",
        }
    }

    /// The one of this name, in any case.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mechanism| mechanism.name().eq_ignore_ascii_case(name))
    }
}

/// Whether a server keeps what SCRAM needs of all its users.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// It does.
    Scram,
    /// Of some it can only check a password (a password file, a directory): SCRAM would lock them out, since clients choose it where
    /// it is offered.
    PasswordsOnly,
}

/// What TLS says of a connection; the driver hands it in after the handshake.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Channel {
    /// `tls-exporter` (RFC 9266): 32 bytes under the label `EXPORTER-Channel-Binding`. TLS 1.3 only, or 1.2 with the extended master
    /// secret.
    pub exporter: Option<Vec<u8>>,
    /// `tls-server-end-point` (RFC 5929 4): the digest of the server's certificate.
    pub end_point: Option<Vec<u8>>,
    /// The mail address in the client's certificate, where it was judged and is trusted.
    pub certificate: Option<String>,
}

impl Channel {
    /// The binding of this name.
    fn binding(&self, name: &str) -> Option<&[u8]> {
        match name {
            EXPORTER => self.exporter.as_deref(),
            END_POINT => self.end_point.as_deref(),
            _ => None,
        }
    }

    /// The strongest binding, with its name.
    fn best(&self) -> Option<(&'static str, &[u8])> {
        [EXPORTER, END_POINT].into_iter().find_map(|name| Some((name, self.binding(name)?)))
    }

    /// What a server offers on this channel.
    pub(in crate::proto) fn offered(&self, kept: Kept) -> Vec<Mechanism> {
        let is_offered = |mechanism: &Mechanism| match mechanism {
            Mechanism::ScramPlus => kept == Kept::Scram && self.best().is_some(),
            Mechanism::Scram => kept == Kept::Scram,
            Mechanism::External => self.certificate.is_some(),
            Mechanism::Plain | Mechanism::Login => true,
        };
        Mechanism::ALL.into_iter().filter(is_offered).collect()
    }
}

/// The label of the exporter that binds a channel (RFC 9266 2).
pub const EXPORTER_LABEL: &[u8] = b"EXPORTER-Channel-Binding";

const EXPORTER: &str = "tls-exporter";
const END_POINT: &str = "tls-server-end-point";

/// The names of mechanisms, with blanks between them.
pub(in crate::proto) fn names(mechanisms: &[Mechanism]) -> String {
    mechanisms.iter().map(|mechanism| mechanism.name()).collect::<Vec<_>>().join(" ")
}

/// Bytes of a line of an exchange (RFC 4954 4).
pub(in crate::proto) const LINE: usize = 12_288;

/// Strict base64 (RFC 4648 section 4).
pub(in crate::proto) fn decode(encoded: &[u8]) -> Option<Secret<Vec<u8>>> {
    base64_simd::STANDARD.decode_to_vec(encoded).ok().map(Secret::new)
}

/// An initial response: `=` alone is the empty string (RFC 4954 4, RFC 5034 4).
pub(in crate::proto) fn decode_initial(encoded: &[u8]) -> Option<Secret<Vec<u8>>> {
    if encoded == b"=" { Some(Secret::default()) } else { decode(encoded) }
}

/// A server's challenge as it is shown. Those of SCRAM are masked: with them and the server's signature passwords can be guessed at home.
pub(in crate::proto) fn shown(encoded: &str) -> &str {
    let is_scram = |message: &Secret<Vec<u8>>| [&b"r="[..], b"v="].iter().any(|begin| message.expose().starts_with(begin));
    if decode(encoded.as_bytes()).as_ref().is_some_and(is_scram) { MASK } else { encoded }
}

/// Base64.
pub(in crate::proto) fn encode(bytes: &[u8]) -> String {
    base64_simd::STANDARD.encode_to_string(bytes)
}
