//! What each fuzz target does with its bytes: one function a target, which panics where something holds no longer.
//!
//! Uses: the public API of sealpost. `cargo test` runs the same functions over the seeds (`tests/it/fuzz.rs`).
//! Holds always: the same bytes do the same; whatever a target chooses, it chooses by the bytes.

pub mod asn1;
pub mod cast;
pub mod cms;
pub mod explain;
pub mod http;
pub mod inspect;
pub mod keys;
pub mod ldap;
#[cfg(feature = "server")]
pub mod milter;
pub mod mime;
pub mod ocsp;
pub mod open;
pub mod pieces;
pub mod pki;
pub mod requests;
#[cfg(feature = "server")]
pub mod sieve;
pub mod write;
