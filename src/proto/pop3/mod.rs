//! POP3 as a server (RFC 1939, 2449, 2595, 5034).

mod command;
mod session;

pub use crate::proto::sasl::Credentials;
pub use session::{Answer, Config, Listing, Question, Session};
