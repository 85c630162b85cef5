//! PKCS#12 files (RFC 7292, 9579): keys and certificates under a passphrase.

mod read;
mod target;
mod write;

use crate::asn1::Cursor;
use crate::crypto::key::PrivateKey;
use crate::keys::Error;
use crate::pki::Certificate;

pub use read::read;
pub use target::Target;
pub use write::{write, write_for};

/// What a file holds.
#[derive(Debug, Default)]
pub struct Content {
    /// The private keys.
    pub keys: Vec<Held<PrivateKey>>,
    /// The certificates.
    pub certificates: Vec<Held<Certificate>>,
    /// What else is in the file and was left out, each with the reason.
    pub unread: Vec<String>,
}

/// One thing in a file, with what the file says of it.
#[derive(Debug, Clone)]
pub struct Held<T> {
    /// The thing.
    pub value: T,
    /// The name that people see (friendlyName).
    pub name: Option<String>,
    /// What a key and its certificate have in common (localKeyId).
    pub local_key_id: Option<Vec<u8>>,
}

/// Whether the bytes begin like a PKCS#12 file: a SEQUENCE of the number 3 and a ContentInfo.
pub fn looks_like(bytes: &[u8]) -> bool {
    let Ok(mut fields) = Cursor::new(bytes).sequence() else { return false };
    fields.small_unsigned().is_ok_and(|version| version == 3) && fields.sequence().is_ok_and(|mut info| info.oid().is_ok())
}

fn malformed(what: &str) -> Error {
    Error::Malformed(what.to_owned())
}
