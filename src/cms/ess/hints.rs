//! What is inside of a message, and to which other message it belongs (RFC 2634 2.9, 2.11).

use crate::asn1::{Oid, Tag};
use crate::cms::Error;
use crate::cms::ess::whole;

/// What the innermost content is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentHints {
    /// In words.
    pub description: Option<String>,
    /// By type.
    pub content_type: Oid,
}

impl ContentHints {
    /// `ContentHints ::= SEQUENCE { contentDescription UTF8String OPTIONAL, contentType OBJECT IDENTIFIER }`
    pub fn from_der(bytes: &[u8]) -> Result<Self, Error> {
        whole(bytes, |outer| {
            let mut fields = outer.sequence()?;
            let description = fields.optional(Tag::UTF8_STRING)?.map(|text| text.text()).transpose()?;
            Ok(Self { description, content_type: fields.oid()? })
        })
    }
}

/// Another signed message that this one belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentReference {
    /// The type of its content.
    pub content_type: Oid,
    /// Its content identifier.
    pub identifier: Vec<u8>,
    /// Its signature value.
    pub signature: Vec<u8>,
}

impl ContentReference {
    /// `ContentReference ::= SEQUENCE { contentType, signedContentIdentifier OCTET STRING, originatorSignatureValue OCTET STRING }`
    pub fn from_der(bytes: &[u8]) -> Result<Self, Error> {
        whole(bytes, |outer| {
            let mut fields = outer.sequence()?;
            let content_type = fields.oid()?;
            let identifier = fields.octet_string()?.into_owned();
            Ok(Self { content_type, identifier, signature: fields.octet_string()?.into_owned() })
        })
    }
}
