//! SMTP and submission, as a server and as a client (RFC 5321, 6409).

pub mod client;
mod command;
mod data;
mod path;
mod session;

pub use crate::proto::sasl::Credentials;
pub use path::{Path, Recipient};
pub use session::{Answer, Config, Envelope, Question, Role, Session};
