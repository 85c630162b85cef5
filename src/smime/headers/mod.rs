//! Header fields that travel inside the protected part (RFC 9788).
//!
//! `compose` writes them, `confidentiality` says what of them the outside shows, `display` puts what it does not into the text for older programs;
//! `render` reads them and says what a reader sees, `legacy` finds what was put into the text; `parameter` changes the parameters of a
//! Content-Type and nothing else.

mod compose;
mod confidentiality;
mod display;
mod legacy;
mod parameter;
mod render;

pub(in crate::smime) use compose::{Confidentiality, Fields, Parts};
pub use confidentiality::HeaderConfidentiality;
pub(in crate::smime) use display::Display;
pub(in crate::smime) use legacy::{Edit, legacy_display};
pub(in crate::smime) use render::{
    covered, is_protecting, message_entity, other_from, protected, released_header, shown_as_message,
};

/// Whether header fields are copied into the protected part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HeaderProtection {
    /// They are: nobody on the way can change them unseen.
    #[default]
    On,
    /// They are not: the form before RFC 9788.
    Off,
}

/// Whether a field is about the structure of its entity: it is never protected, and never taken from outside (RFC 9787 1.1.1).
fn is_structural(name: &str) -> bool {
    name.starts_with("content-") || name == "mime-version"
}
