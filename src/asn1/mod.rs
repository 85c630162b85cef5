//! Reads BER and writes DER or BER (X.690), in streams and in slices.
//!
//! Uses: limits, time. Never: cryptography, mail.
//! Holds always: a value that was read keeps its bytes as received; what [`encode`] writes is DER; nesting and sizes are bounded.

mod cursor;
pub mod encode;
mod error;
mod header;
mod identifier;
pub mod oid;
pub mod pem;
pub mod reader;
mod tag;
#[cfg(test)]
mod tests;
pub mod writer;

pub use cursor::{Cursor, Element};
pub use error::Error;
pub use identifier::Oid;
pub use tag::{Class, Tag};

/// Whether bytes begin with the headers of values that are nested so, each at the start of the one before; the last need not be whole.
pub fn begins_with(bytes: &[u8], tags: &[Tag]) -> bool {
    let mut rest = bytes;
    for tag in tags {
        match header::Header::parse(rest, 0) {
            Ok(header) if header.tag == *tag => rest = rest.get(header.size..).unwrap_or_default(),
            _ => return false,
        }
    }
    true
}

/// The tag of the second value inside, where bytes begin with a value of one tag whose first value inside has another.
pub(crate) fn second_tag(bytes: &[u8], outer: Tag, first: Tag) -> Option<Tag> {
    let parse = |rest: &[u8]| header::Header::parse(rest, 0).ok();
    let around = parse(bytes).filter(|header| header.tag == outer)?;
    let inside = bytes.get(around.size..)?;
    let header = parse(inside).filter(|header| header.tag == first)?;
    let header::Length::Definite(length) = header.length else { return None };
    let end = usize::try_from(length).ok()?.checked_add(header.size)?;
    parse(inside.get(end..)?).map(|header| header.tag)
}
