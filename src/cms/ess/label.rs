//! Security labels (RFC 2634 3): how sensitive the content is, in the words of somebody's policy.

use std::fmt;

use crate::asn1::{Cursor, Oid, Tag};
use crate::cms::Error;
use crate::cms::ess::whole;

/// A security label. What it means for access is its policy's affair; here it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecurityLabel {
    /// The policy that gives the rest its meaning.
    pub policy: Oid,
    /// The classification.
    pub classification: Option<u64>,
    /// Words for people.
    pub privacy_mark: Option<String>,
    /// What the policy adds.
    pub categories: Vec<SecurityCategory>,
}

/// One category of a label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecurityCategory {
    /// Its type.
    pub kind: Oid,
    /// Its value as received, with its tag `[1]`.
    pub value: Vec<u8>,
}

impl SecurityLabel {
    /// `ESSSecurityLabel ::= SET { security-policy-identifier, security-classification OPTIONAL, privacy-mark OPTIONAL, security-categories OPTIONAL }`
    pub fn from_der(bytes: &[u8]) -> Result<Self, Error> {
        whole(bytes, |outer| Self::from_fields(outer.set()?))
    }

    /// The members of a SET come in any order in BER, and each once.
    fn from_fields(mut fields: Cursor<'_>) -> Result<Self, Error> {
        let (mut policy, mut classification, mut privacy_mark, mut categories) = (None, None, None, None);
        while !fields.is_empty() {
            let is_new = match fields.peek() {
                Some(Tag::OID) => policy.replace(fields.oid()?).is_none(),
                Some(Tag::INTEGER) => classification.replace(fields.small_unsigned()?).is_none(),
                Some(Tag::SET) => categories.replace(read_categories(fields.set()?)?).is_none(),
                _ => privacy_mark.replace(fields.any()?.text()?).is_none(),
            };
            if !is_new {
                return Err(Error::Malformed("a security label with one member twice"));
            }
        }
        let policy = policy.ok_or(Error::Malformed("a security label without its policy"))?;
        Ok(Self { policy, classification, privacy_mark, categories: categories.unwrap_or_default() })
    }

    /// The classification in the words of X.411, where it is one of the basic hierarchy; else its number.
    pub fn classification_name(&self) -> Option<String> {
        let number = self.classification?;
        let words = ["unmarked", "unclassified", "restricted", "confidential", "secret", "top-secret"];
        let word = usize::try_from(number).ok().and_then(|at| words.get(at));
        Some(word.map_or_else(|| number.to_string(), |word| (*word).to_owned()))
    }
}

/// `SecurityCategories ::= SET OF SEQUENCE { type [0] OBJECT IDENTIFIER, value [1] ANY }`
fn read_categories(mut set: Cursor<'_>) -> Result<Vec<SecurityCategory>, Error> {
    let mut found = Vec::new();
    while !set.is_empty() {
        let mut fields = set.sequence()?;
        let kind = fields.expect(Tag::context(0))?.content;
        let kind = Oid::from_bytes(kind).ok_or(Error::Malformed("a security category whose type cannot be read"))?;
        let value = fields.any()?;
        if !value.tag.same_type(Tag::context(1)) {
            return Err(Error::Malformed("a security category without a value"));
        }
        found.push(SecurityCategory { kind, value: value.raw.to_vec() });
    }
    Ok(found)
}

/// `EquivalentLabels ::= SEQUENCE OF ESSSecurityLabel` (RFC 2634 3.4): the same in the words of other policies.
pub fn equivalent_labels(bytes: &[u8]) -> Result<Vec<SecurityLabel>, Error> {
    whole(bytes, |outer| {
        let mut list = outer.sequence()?;
        let mut found = Vec::new();
        while !list.is_empty() {
            found.push(SecurityLabel::from_fields(list.set()?)?);
        }
        Ok(found)
    })
}

impl fmt::Display for SecurityLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(name) = self.classification_name() {
            write!(f, "{name}, ")?;
        }
        if let Some(mark) = &self.privacy_mark {
            write!(f, "\"{mark}\", ")?;
        }
        if !self.categories.is_empty() {
            write!(f, "{} categories, ", self.categories.len())?;
        }
        write!(f, "policy {}", self.policy)
    }
}
