//! Signed and unsigned attributes (RFC 5652 5.3, 11).

use crate::asn1::{Cursor, Element, Oid, Tag, encode, oid};
use crate::cms::Error;
use crate::limits::{Budget, LimitReached, Limits};

/// One attribute: its type and its values as received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribute {
    /// Which attribute.
    pub oid: Oid,
    /// Each value, encoded.
    pub values: Vec<Vec<u8>>,
}

impl Attribute {
    /// An attribute with one value.
    pub fn new(oid: Oid, value: Vec<u8>) -> Self {
        Self { oid, values: vec![value] }
    }

    /// Writes it.
    pub fn to_der(&self) -> Vec<u8> {
        encode::sequence(&[encode::oid(&self.oid), encode::set_of(self.values.clone())])
    }
}

/// A set of attributes, with the bytes as received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attributes {
    list: Vec<Attribute>,
    content: Vec<u8>,
    sorted: bool,
}

impl Attributes {
    /// Reads a set whose tag is implicit.
    pub(in crate::cms) fn from_element(element: &Element<'_>, limits: &Limits) -> Result<Self, Error> {
        if element.content.len() > limits.attribute_bytes {
            let limit = u64::try_from(limits.attribute_bytes).unwrap_or(u64::MAX);
            return Err(Error::Limit(LimitReached { name: "attribute bytes", limit }));
        }
        let mut budget = Budget::new("attributes", limits.attributes);
        let mut set = element.cursor()?;
        let (mut list, mut raws) = (Vec::new(), Vec::new());
        while !set.is_empty() {
            budget.spend(1u64)?;
            let one = set.expect(Tag::SEQUENCE)?;
            raws.push(one.raw);
            let mut fields = one.cursor()?;
            let oid = fields.oid()?;
            let mut values = fields.set()?;
            let mut found = Vec::new();
            while !values.is_empty() {
                budget.spend(1u64)?;
                found.push(values.any()?.raw.to_vec());
            }
            list.push(Attribute { oid, values: found });
        }
        Ok(Self { list, content: element.content.to_vec(), sorted: raws.is_sorted() })
    }

    /// The bytes that are signed: the set as received under the tag SET OF (RFC 5652 5.4).
    pub fn signed_bytes(&self) -> Vec<u8> {
        encode::tlv(Tag::SET, &self.content)
    }

    /// Whether the order is that of DER, as the standard has it.
    pub fn is_sorted(&self) -> bool {
        self.sorted
    }

    /// Every attribute.
    pub fn iter(&self) -> impl Iterator<Item = &Attribute> {
        self.list.iter()
    }

    /// Every value of an attribute, wherever it stands.
    pub fn values<'a>(&'a self, oid: &'a Oid) -> impl Iterator<Item = &'a [u8]> {
        self.list.iter().filter(move |attribute| attribute.oid == *oid).flat_map(|a| a.values.iter().map(Vec::as_slice))
    }

    /// The signed digest of the content, where it is clear.
    pub fn message_digest(&self) -> Option<Vec<u8>> {
        let value = self.single(&oid::MESSAGE_DIGEST).ok()??;
        Cursor::new(value).octet_string().ok().map(std::borrow::Cow::into_owned)
    }

    /// The one value of an attribute; `None` where it is absent, an error where it stands twice or has not exactly one value.
    pub fn single(&self, oid: &Oid) -> Result<Option<&[u8]>, Error> {
        let mut found = self.list.iter().filter(|a| a.oid == *oid);
        let Some(first) = found.next() else { return Ok(None) };
        match (first.values.as_slice(), found.next()) {
            ([value], None) => Ok(Some(value)),
            _ => Err(Error::Malformed("an attribute that must have one value has another number")),
        }
    }
}
