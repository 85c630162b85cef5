//! Other people's certificates in public places: LDAP directories and the DNS.
//!
//! Uses: pki, crypto, asn1. Never: sockets, clocks; conversations are driven from outside.
//! Holds always: what a directory gives is a candidate and nothing more; an address is a value in a filter and never its text; what a
//! server sends spends a budget. RFC 4511, 4515, 4516, 2798 (LDAP); RFC 8162 (SMIMEA).

mod address;
mod error;
pub mod ldap;
mod pick;
pub mod smimea;

pub use address::Address;
pub use error::Error;
pub use pick::{Candidate, Confirmation, Picked, Place, Standing, Weighing};
