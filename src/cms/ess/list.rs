//! Through which mailing lists a message came (RFC 2634 4.4).

use crate::asn1::{Cursor, Tag};
use crate::cms::ess::{names_list, whole};
use crate::cms::{Error, SignerId};
use crate::pki::GeneralName;
use crate::time::Timestamp;

/// One expansion by a mailing list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expansion {
    /// The list, by its certificate.
    pub list: SignerId,
    /// When.
    pub time: Timestamp,
    /// What the list says of receipts.
    pub policy: Option<ReceiptPolicy>,
}

/// What a mailing list makes of the sender's wish for receipts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReceiptPolicy {
    /// None shall be sent.
    None,
    /// To these instead.
    InsteadOf(Vec<Vec<GeneralName>>),
    /// To these too.
    InAdditionTo(Vec<Vec<GeneralName>>),
}

/// `MLExpansionHistory ::= SEQUENCE OF MLData`, oldest first.
pub fn expansion_history(bytes: &[u8]) -> Result<Vec<Expansion>, Error> {
    whole(bytes, |outer| {
        let mut list = outer.sequence()?;
        let mut found = Vec::new();
        while !list.is_empty() {
            found.push(expansion(list.sequence()?)?);
        }
        Ok(found)
    })
}

/// `MLData ::= SEQUENCE { mailListIdentifier, expansionTime GeneralizedTime, mlReceiptPolicy OPTIONAL }`, with
/// `EntityIdentifier ::= CHOICE { issuerAndSerialNumber, subjectKeyIdentifier OCTET STRING }`
fn expansion(mut fields: Cursor<'_>) -> Result<Expansion, Error> {
    let list = match fields.optional(Tag::OCTET_STRING)? {
        Some(id) => SignerId::KeyId(id.bytes()?.into_owned()),
        None => SignerId::from_cursor(&mut fields)?,
    };
    let time = fields.time()?;
    let policy = if fields.is_empty() { None } else { Some(receipt_policy(&mut fields)?) };
    Ok(Expansion { list, time, policy })
}

/// `MLReceiptPolicy ::= CHOICE { none [0] NULL, insteadOf [1] SEQUENCE OF GeneralNames, inAdditionTo [2] SEQUENCE OF GeneralNames }`
fn receipt_policy(fields: &mut Cursor<'_>) -> Result<ReceiptPolicy, Error> {
    let choice = fields.any()?;
    match choice.tag {
        tag if tag == Tag::context(0) => Ok(ReceiptPolicy::None),
        tag if tag == Tag::context_constructed(1) => Ok(ReceiptPolicy::InsteadOf(names_list(&choice)?)),
        tag if tag == Tag::context_constructed(2) => Ok(ReceiptPolicy::InAdditionTo(names_list(&choice)?)),
        _ => Err(Error::Malformed("a receipt policy that cannot be read")),
    }
}
