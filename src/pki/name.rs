//! Distinguished names (RFC 5280 4.1.2.4, compared by 7.1).

use std::fmt;
use std::hash::{Hash, Hasher};

use crate::asn1::{Cursor, Oid, Tag, encode, oid};
use crate::pki::Error;

/// One attribute of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribute {
    /// Which attribute.
    pub oid: Oid,
    /// Its text.
    pub value: String,
}

/// A distinguished name, as received.
#[derive(Clone)]
pub struct Name {
    der: Vec<u8>,
    /// Relative names, each a set of attributes.
    rdns: Vec<Vec<Attribute>>,
    canonical: Vec<Vec<(Oid, String)>>,
}

impl Name {
    /// Reads an encoded name.
    pub fn from_der(bytes: &[u8]) -> Result<Self, Error> {
        let mut outer = Cursor::new(bytes);
        let mut sequence = outer.sequence()?;
        outer.finish()?;
        let mut rdns = Vec::new();
        while !sequence.is_empty() {
            let mut set = sequence.set()?;
            let mut rdn = Vec::new();
            while !set.is_empty() {
                let mut fields = set.sequence()?;
                let oid = fields.oid()?;
                let value = fields.any()?;
                // an attribute that is no text still has its bytes to compare
                let value = value.text().unwrap_or_else(|_| format!("#{}", hex(value.raw)));
                rdn.push(Attribute { oid, value });
            }
            rdns.push(rdn);
        }
        Ok(Self::build(bytes.to_vec(), rdns))
    }

    /// Writes a name of single attributes, in this order.
    pub fn from_attributes(attributes: &[(Oid, &str)]) -> Self {
        let rdns: Vec<Vec<u8>> = attributes
            .iter()
            .map(|(oid, value)| {
                let text = match *oid {
                    oid::COUNTRY | oid::SERIAL_NUMBER => encode::printable(value),
                    oid::EMAIL_ADDRESS | oid::DOMAIN_COMPONENT if value.is_ascii() => encode::ia5(value),
                    _ => encode::utf8(value),
                };
                encode::tlv(Tag::SET, &encode::sequence(&[encode::oid(oid), text]))
            })
            .collect();
        let parsed = attributes.iter().map(|(oid, value)| vec![Attribute { oid: *oid, value: (*value).to_owned() }]).collect();
        Self::build(encode::sequence(&rdns), parsed)
    }

    fn build(der: Vec<u8>, rdns: Vec<Vec<Attribute>>) -> Self {
        let canonical = rdns.iter().map(|rdn| canonical_rdn(rdn)).collect();
        Self { der, rdns, canonical }
    }

    /// The name as received.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// Whether it has no attributes.
    pub fn is_empty(&self) -> bool {
        self.rdns.is_empty()
    }

    /// Whether two names are the same: case and runs of blanks do not count (RFC 5280 7.1).
    pub fn matches(&self, other: &Self) -> bool {
        self.canonical == other.canonical
    }

    /// Whether this name stands below (or is) `base`, for directory name constraints.
    pub fn is_below(&self, base: &Self) -> bool {
        self.canonical.starts_with(&base.canonical)
    }

    /// Every attribute, outermost first.
    pub fn attributes(&self) -> impl Iterator<Item = &Attribute> {
        self.rdns.iter().flatten()
    }

    /// The last common name.
    pub fn common_name(&self) -> Option<&str> {
        self.attributes().filter(|a| a.oid == oid::COMMON_NAME).last().map(|a| a.value.as_str())
    }

    /// The values of emailAddress.
    pub fn email_addresses(&self) -> Vec<String> {
        self.attributes().filter(|a| a.oid == oid::EMAIL_ADDRESS).map(|a| a.value.clone()).collect()
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.matches(other)
    }
}

impl Eq for Name {}

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.canonical.hash(state);
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Name({self})")
    }
}

/// `CN=Jane Doe, O=Example`: the most specific attribute first (RFC 4514).
impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, rdn) in self.rdns.iter().rev().enumerate() {
            if at > 0 {
                f.write_str(", ")?;
            }
            for (at, attribute) in rdn.iter().enumerate() {
                if at > 0 {
                    f.write_str("+")?;
                }
                match oid::name(&attribute.oid) {
                    Some(name) => write!(f, "{name}=")?,
                    None => write!(f, "{}=", attribute.oid)?,
                }
                escape(&attribute.value, f)?;
            }
        }
        Ok(())
    }
}

fn escape(value: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for c in value.chars() {
        match c {
            ',' | '+' | '"' | '\\' | '<' | '>' | ';' => write!(f, "\\{c}")?,
            c if c.is_control() => write!(f, "\\{:02X}", u32::from(c))?,
            c => write!(f, "{c}")?,
        }
    }
    Ok(())
}

fn canonical_rdn(rdn: &[Attribute]) -> Vec<(Oid, String)> {
    let mut canonical: Vec<(Oid, String)> =
        rdn.iter().map(|a| (a.oid, a.value.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase())).collect();
    canonical.sort();
    canonical
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0');
    let mut text = String::with_capacity(bytes.len().saturating_mul(2));
    bytes.iter().for_each(|byte| text.extend([digit(byte >> 4), digit(byte & 15)]));
    text
}
