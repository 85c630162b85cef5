//! Whose keys and certificates we hold: identities, contacts, trust, the home on disk.
//!
//! Uses: pki, crypto, asn1. Never: messages, sockets.
//! Holds always: a key stands with its own certificate only; files are 0600 and folders 0700; a write is whole or did not happen.

pub mod cache;
pub mod directory;
pub mod domain;
mod error;
pub mod files;
mod home;
mod identity;
pub mod load;
pub mod mobileconfig;
mod percent;
pub mod pkcs12;
mod seen;
pub mod token;

pub use error::Error;
pub use home::{Home, Said, Stored, Unlocked};
pub use identity::Identity;
pub use seen::{Seen, SignatureId};
