//! SMTP and submission, as a server and as a client (RFC 5321, 6409).

pub mod client;
mod command;
mod data;
mod envelope;
mod parameters;
mod path;
mod session;

pub use crate::proto::sasl::Credentials;
pub use command::{recipient, sender};
pub use data::{Content, Piece};
pub use envelope::{Addressee, Body, Envelope, Hello, RequireTls, Terms};
pub use path::Path;
pub use session::{Answer, Config, Question, Role, Session};
