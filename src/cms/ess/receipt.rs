//! Signed receipts: the wish for one, and one (RFC 2634 2.7, 2.8).

use crate::asn1::{Oid, Tag};
use crate::cms::Error;
use crate::cms::ess::{names_list, whole};
use crate::pki::GeneralName;

/// A signer's wish to get receipts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiptRequest {
    /// What a receipt shall name the message by.
    pub content_identifier: Vec<u8>,
    /// Who shall send one.
    pub from: ReceiptsFrom,
    /// Who shall get them; each by one or more names.
    pub to: Vec<Vec<GeneralName>>,
}

/// Who shall send a receipt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReceiptsFrom {
    /// Every recipient.
    All,
    /// Those who got the message from the signer and not from a mailing list.
    FirstTier,
    /// These.
    List(Vec<Vec<GeneralName>>),
}

impl ReceiptRequest {
    /// `ReceiptRequest ::= SEQUENCE { signedContentIdentifier OCTET STRING, receiptsFrom, receiptsTo SEQUENCE OF GeneralNames }` with
    /// `ReceiptsFrom ::= CHOICE { allOrFirstTier [0] INTEGER, receiptList [1] SEQUENCE OF GeneralNames }`
    pub fn from_der(bytes: &[u8]) -> Result<Self, Error> {
        whole(bytes, |outer| {
            let mut fields = outer.sequence()?;
            let content_identifier = fields.octet_string()?.into_owned();
            let choice = fields.any()?;
            let from = match (choice.tag, choice.content) {
                (tag, [0]) if tag == Tag::context(0) => ReceiptsFrom::All,
                (tag, [1]) if tag == Tag::context(0) => ReceiptsFrom::FirstTier,
                (tag, _) if tag == Tag::context_constructed(1) => ReceiptsFrom::List(names_list(&choice)?),
                _ => return Err(Error::Malformed("a receipt request that does not say from whom")),
            };
            let to = names_list(&fields.expect(Tag::SEQUENCE)?)?;
            Ok(Self { content_identifier, from, to })
        })
    }
}

/// A receipt: the content of a SignedData of the type `id-ct-receipt`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The content type of the message that it is for.
    pub content_type: Oid,
    /// The content identifier out of the request.
    pub content_identifier: Vec<u8>,
    /// The signature value of the signer who asked.
    pub signature: Vec<u8>,
}

impl Receipt {
    /// `Receipt ::= SEQUENCE { version, contentType, signedContentIdentifier OCTET STRING, originatorSignatureValue OCTET STRING }`
    pub fn from_der(bytes: &[u8]) -> Result<Self, Error> {
        whole(bytes, |outer| {
            let mut fields = outer.sequence()?;
            fields.integer()?;
            let content_type = fields.oid()?;
            let content_identifier = fields.octet_string()?.into_owned();
            Ok(Self { content_type, content_identifier, signature: fields.octet_string()?.into_owned() })
        })
    }
}
