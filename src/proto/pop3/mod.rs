//! POP3, as a server and as a client (RFC 1939, 2449, 2595, 5034).

pub mod client;
mod command;
mod session;

pub use crate::proto::sasl::Credentials;
pub use session::{Answer, Config, Listing, Question, Session};
