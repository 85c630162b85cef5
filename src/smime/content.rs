//! What a content is, by its type (RFC 5652 4): only `id-data` is a MIME entity (RFC 8551 2.4).

use crate::asn1::{Oid, oid};
use crate::cms::{self, ess::Receipt};

/// Whether what the content begins with may be read as mail: a MIME entity, or a structure that its type names.
pub(in crate::smime) fn is_mail(kind: &Oid, beginning: &[u8]) -> bool {
    *kind == oid::ID_DATA || is_structure(kind) && cms::looks_like(beginning)
}

/// Whether a type is that of a structure.
pub(in crate::smime) fn is_structure(kind: &Oid) -> bool {
    matches!(
        *kind,
        oid::ID_SIGNED_DATA
            | oid::ID_ENVELOPED_DATA
            | oid::ID_AUTH_ENVELOPED_DATA
            | oid::ID_COMPRESSED_DATA
            | oid::ID_CONTENT_INFO
    )
}

/// The sentence about content that is no message.
pub(in crate::smime) fn no_message(kind: &Oid) -> String {
    match (*kind, oid::name(kind)) {
        (oid::ID_RECEIPT, _) => "the content is a signed receipt for a message – it is no message".to_owned(),
        (_, Some(name)) => format!("the content is of the type {name} ({kind}) – it is no message"),
        (_, None) => format!("the content is of the type {kind} – it is no message"),
    }
}

/// The receipt that a content is (RFC 2634 2.8), where its type says so.
pub(in crate::smime) fn receipt(kind: &Oid, content: &[u8]) -> Option<Result<Receipt, cms::Error>> {
    (*kind == oid::ID_RECEIPT).then(|| Receipt::from_der(content))
}

/// Bytes of a receipt that are held: an identifier and a signature, both of some hundred bytes, or some thousand.
pub(in crate::smime) const RECEIPT: usize = 64 << 10;
