//! The mail server: accounts and the store so far.
//!
//! Uses: proto, smime, ca, keys, pki, mime; tokio and rustls in `listen` and `drive` only.
//! Holds always: `250` after DATA means that the message is on disk; a password is never taken without TLS.

pub mod accounts;
pub mod store;
