//! The mail server: SMTP, submission and POP3 for the users of its domains, and delivery to other servers.
//!
//! Uses: proto, smime, ca, keys, pki, mime; sieve; sockets in `listen`, `drive`, `outbound`, `scan`, `web`, `api` and `admin` only.
//! Holds always: `250` after DATA means that the message is on disk; a password is never taken without TLS; mail for others is
//! taken from users alone.

pub mod accounts;
#[cfg(feature = "acme")]
mod acme;
pub mod addressing;
pub mod admin;
mod api;
pub mod calls;
mod clock;
pub mod config;
pub mod doctor;
pub mod doors;
mod drive;
pub mod filter;
mod forward;
mod head;
mod held;
mod listen;
mod locks;
pub mod log;
mod mail;
mod mailbox;
pub mod manage;
pub mod metrics;
mod outbound;
mod peers;
pub mod pickup;
mod places;
pub mod policy;
pub mod privileges;
mod queue;
pub mod reload;
mod resolver;
pub mod sandbox;
pub mod scan;
mod space;
mod spool;
mod start;
pub mod store;
mod tlsrpt;
pub mod trace;
mod turns;
pub mod web;

pub use config::Config;
pub use listen::{Service, Sockets};
pub use privileges::{Standing, prepare};
pub use reload::{Reloaded, Source};
pub use start::{Running, Start, start};
