//! LDAP (RFC 4511) as far as finding certificates needs it: StartTLS, a simple bind, one search.
//!
//! The conversation is one without sockets: bytes in, steps out. The answers of a server are read within bounds and without trust.

mod filter;
mod message;
mod search;
mod url;

pub use filter::Filter;
pub use message::{Entry, Value};
pub use search::{Found, Login, Search, Step, Tls};
pub use url::{Scope, Security, Url};
