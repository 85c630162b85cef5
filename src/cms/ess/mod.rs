//! Enhanced security services: receipts, labels, mailing lists, and which certificate a signer meant (RFC 2634, RFC 5035).
//!
//! Uses: pki, asn1. Holds always: what stands here is what a signer says; it is read for people, and only `SigningCertificate` takes
//! part in a verification.

mod hints;
mod label;
mod list;
mod receipt;
mod signing_certificate;

pub use hints::{ContentHints, ContentReference};
pub use label::{SecurityCategory, SecurityLabel, equivalent_labels};
pub use list::{Expansion, ReceiptPolicy, expansion_history};
pub use receipt::{Receipt, ReceiptRequest, ReceiptsFrom};
pub(in crate::cms) use signing_certificate::{Named, SigningCertificate};

use crate::asn1::{Cursor, Element};
use crate::cms::Error;
use crate::pki::GeneralName;

/// `SEQUENCE OF GeneralNames` whose tag may be implicit.
fn names_list(element: &Element<'_>) -> Result<Vec<Vec<GeneralName>>, Error> {
    let mut list = element.cursor()?;
    let mut found = Vec::new();
    while !list.is_empty() {
        found.push(GeneralName::list(list.any()?.raw)?);
    }
    Ok(found)
}

/// Reads one value that must fill the bytes.
fn whole<'a, T>(bytes: &'a [u8], read: impl FnOnce(&mut Cursor<'a>) -> Result<T, Error>) -> Result<T, Error> {
    let mut outer = Cursor::new(bytes);
    let value = read(&mut outer)?;
    outer.finish()?;
    Ok(value)
}
