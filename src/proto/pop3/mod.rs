//! POP3, as a server and as a client.
//!
//! Uses: sasl, line. Never: sockets, the store.
//! Holds always: nothing is deleted before QUIT was said and answered; no password without TLS; what a session holds does not grow with
//! what it sends.
//!
//! RFCs: 1939; 2449 (CAPA, response codes), 3206 (AUTH, SYS), 2595 (STLS), 5034 (AUTH), 6856 (UTF8, LANG).

pub mod client;
mod command;
mod mailbox;
mod sending;
mod session;

pub use crate::proto::sasl::Credentials;
pub use mailbox::{Listing, Uid};
pub use session::{Answer, Config, Question, Session};
