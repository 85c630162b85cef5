//! Every cryptographic primitive; the only room that names cryptography crates.
//!
//! Uses: asn1. Never: certificates, messages.
//! Holds always: secrets are wiped; a comparison of secrets takes the same time whatever they are; randomness is an argument;
//! what is weak says so ([`algorithm::Strength`]) and the caller decides.

pub mod agreement;
pub mod algorithm;
pub mod cipher;
pub mod digest;
pub mod encapsulation;
mod error;
mod external;
pub mod kdf;
pub mod key;
pub mod mac;
pub mod pbe;
mod post_quantum;
pub mod provider;
mod pss;
pub mod random;
pub mod signature;
#[cfg(test)]
mod tests;
pub mod transport;
pub mod wrap;

pub use error::Error;
