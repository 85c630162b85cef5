//! What a content is, by its type (RFC 5652 4): only `id-data` is a MIME entity (RFC 8551 2.4).

use crate::cms::{self, ContentType, content_type, ess::Receipt};

/// Whether what the content begins with may be read as mail: a MIME entity, or a structure that its type names.
pub(in crate::smime) fn is_mail(kind: &ContentType, beginning: &[u8]) -> bool {
    *kind == content_type::DATA || content_type::is_structure(kind) && cms::looks_like(beginning)
}

/// The sentence about content that is no message.
pub(in crate::smime) fn no_message(kind: &ContentType) -> String {
    match (*kind, content_type::name(kind)) {
        (content_type::RECEIPT, _) => "the content is a signed receipt for a message – it is no message".to_owned(),
        (_, Some(name)) => format!("the content is of the type {name} ({kind}) – it is no message"),
        (_, None) => format!("the content is of the type {kind} – it is no message"),
    }
}

/// The receipt that a content is (RFC 2634 2.8), where its type says so.
pub(in crate::smime) fn receipt(kind: &ContentType, content: &[u8]) -> Option<Result<Receipt, cms::Error>> {
    (*kind == content_type::RECEIPT).then(|| Receipt::from_der(content))
}

/// Bytes of a receipt that are held: an identifier and a signature, both of some hundred bytes, or some thousand.
pub(in crate::smime) const RECEIPT: usize = 64 << 10;
