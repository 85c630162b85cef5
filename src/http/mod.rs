//! What a client of plain HTTP needs to get small public files: URLs, which addresses may be asked, the request, the answer (RFC 9110, 9112).
//!
//! Uses: limits. Never: sockets, names, clocks; the program connects and hands over what arrives.
//! Holds always: an answer is read within its bounds, the same in any pieces; a URL that programs could read differently is refused; no
//! cookie, no password and no other scheme than `http` is known.

mod address;
mod answer;
mod error;
mod request;
mod url;

pub use address::{Reach, reach};
pub use answer::{Answer, Reader};
pub use error::Error;
pub use request::{get, post};
pub use url::{Host, Url};
