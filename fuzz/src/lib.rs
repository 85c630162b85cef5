//! What each fuzz target does with its bytes: one function a target, which panics where something holds no longer.
//!
//! Uses: the public API of sealpost. `cargo test` runs the same functions over the seeds (`tests/it/fuzz.rs`).
//! Holds always: the same bytes do the same; whatever a target chooses, it chooses by the bytes.

#[cfg(feature = "server")]
pub mod admin;
pub mod asn1;
pub mod cast;
#[cfg(feature = "server")]
pub mod clients;
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
#[cfg(feature = "server")]
pub mod pop3;
pub mod requests;
#[cfg(feature = "server")]
pub mod sasl;
#[cfg(feature = "server")]
pub mod sieve;
#[cfg(feature = "server")]
pub mod smtp;
pub mod write;
