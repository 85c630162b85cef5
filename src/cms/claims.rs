//! What a signer says beside the content, in his signed attributes (RFC 5652 11, RFC 8551 2.5, RFC 2634).
//!
//! These are for showing: one that cannot be read, or stands twice, is `None` and spoils nothing. Nobody but the signer vouches for them.

use crate::asn1::{Cursor, Oid, Tag, oid};
use crate::cms::ess::{
    ContentHints, ContentReference, Expansion, ReceiptRequest, SecurityLabel, equivalent_labels, expansion_history,
};
use crate::cms::{Capabilities, Error, Signer, SignerId};
use crate::time::Timestamp;

impl Signer {
    /// The time that the signer claims (RFC 5652 11.3).
    pub fn signing_time(&self) -> Option<Timestamp> {
        self.claim(&oid::SIGNING_TIME, |value| Ok(Cursor::new(value).time()?))
    }

    /// What the signer says that he can read (RFC 8551 2.5.2).
    pub fn capabilities(&self) -> Option<Capabilities> {
        self.claim(&oid::SMIME_CAPABILITIES, Capabilities::from_der)
    }

    /// Which certificate the signer wants mail to him encrypted to: by the standard's attribute, else by Microsoft's.
    pub fn encryption_key_preference(&self) -> Option<SignerId> {
        let standard = self.claim(&oid::ENCRYPTION_KEY_PREFERENCE, key_preference);
        standard
            .or_else(|| self.claim(&oid::MS_ENCRYPTION_KEY_PREFERENCE, |value| SignerId::from_cursor(&mut Cursor::new(value))))
    }

    /// Whether, and from whom, the signer wants receipts (RFC 2634 2.7).
    pub fn receipt_request(&self) -> Option<ReceiptRequest> {
        self.claim(&oid::RECEIPT_REQUEST, ReceiptRequest::from_der)
    }

    /// The name of the content, for receipts and references (RFC 2634 2.7).
    pub fn content_identifier(&self) -> Option<Vec<u8>> {
        self.claim(&oid::CONTENT_IDENTIFIER, |value| Ok(Cursor::new(value).octet_string()?.into_owned()))
    }

    /// To which other message this one belongs (RFC 2634 2.11).
    pub fn content_reference(&self) -> Option<ContentReference> {
        self.claim(&oid::CONTENT_REFERENCE, ContentReference::from_der)
    }

    /// What is inside (RFC 2634 2.9).
    pub fn content_hints(&self) -> Option<ContentHints> {
        self.claim(&oid::CONTENT_HINTS, ContentHints::from_der)
    }

    /// How sensitive the content is (RFC 2634 3.2).
    pub fn security_label(&self) -> Option<SecurityLabel> {
        self.claim(&oid::SECURITY_LABEL, SecurityLabel::from_der)
    }

    /// The same in the words of other policies (RFC 2634 3.4).
    pub fn equivalent_labels(&self) -> Vec<SecurityLabel> {
        self.claim(&oid::EQUIVALENT_LABELS, equivalent_labels).unwrap_or_default()
    }

    /// Through which mailing lists the message came, oldest first (RFC 2634 4.4).
    pub fn expansion_history(&self) -> Vec<Expansion> {
        self.claim(&oid::ML_EXPANSION_HISTORY, expansion_history).unwrap_or_default()
    }

    fn claim<T>(&self, attribute: &Oid, read: impl FnOnce(&[u8]) -> Result<T, Error>) -> Option<T> {
        read(self.signed_attributes.as_ref()?.single(attribute).ok()??).ok()
    }
}

/// `SMIMEEncryptionKeyPreference ::= CHOICE { issuerAndSerialNumber [0], receipentKeyId [1] SEQUENCE { subjectKeyIdentifier, … },
/// subjectAltKeyIdentifier [2] OCTET STRING }` (RFC 8551 2.5.3)
fn key_preference(value: &[u8]) -> Result<SignerId, Error> {
    let choice = Cursor::new(value).any()?;
    match choice.tag {
        tag if tag == Tag::context_constructed(0) => SignerId::from_issuer_and_serial(choice.cursor()?),
        tag if tag == Tag::context_constructed(1) => Ok(SignerId::KeyId(choice.cursor()?.octet_string()?.into_owned())),
        tag if tag.same_type(Tag::context(2)) => Ok(SignerId::KeyId(choice.bytes()?.into_owned())),
        _ => Err(Error::Malformed("a preference for a key that cannot be read")),
    }
}
