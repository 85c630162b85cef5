//! What a content is, by its type (RFC 5652 4).

use crate::asn1::oid;

pub use crate::asn1::Oid as ContentType;

/// Octets, which are a MIME entity in mail (RFC 5652 4, RFC 8551 2.4).
pub const DATA: ContentType = oid::ID_DATA;
/// A receipt for a message (RFC 2634 2.8).
pub const RECEIPT: ContentType = oid::ID_RECEIPT;

/// Whether a type is that of a structure that holds another content.
pub fn is_structure(kind: &ContentType) -> bool {
    matches!(
        *kind,
        oid::ID_SIGNED_DATA
            | oid::ID_ENVELOPED_DATA
            | oid::ID_AUTH_ENVELOPED_DATA
            | oid::ID_COMPRESSED_DATA
            | oid::ID_CONTENT_INFO
    )
}

/// The name of a type, where it has one here.
pub fn name(kind: &ContentType) -> Option<&'static str> {
    oid::name(kind)
}
