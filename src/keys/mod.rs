//! Whose keys and certificates we hold: identities, contacts, trust, the home on disk.
//!
//! Uses: pki, crypto, asn1. Never: messages, sockets.
//! Holds always: a key stands with its own certificate only; files are 0600 and folders 0700; a write is whole or did not happen.

mod error;
mod identity;

pub use error::Error;
pub use identity::Identity;
