//! Secure mail: sign, encrypt, verify and decrypt MIME messages with mail certificates (S/MIME, RFC 8551).

pub mod asn1;
pub mod ca;
pub mod cms;
pub mod crypto;
pub mod keys;
pub mod limits;
pub mod mime;
pub mod pki;
#[cfg(feature = "server")]
pub mod proto;
pub mod secret;
#[cfg(feature = "server")]
pub mod server;
pub mod smime;
pub mod time;
