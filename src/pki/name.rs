//! Distinguished names (RFC 5280 4.1.2.4, compared by 7.1).

use std::fmt;
use std::hash::{Hash, Hasher};

use icu_normalizer::ComposingNormalizerBorrowed;

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
    /// The same as they are compared.
    canonical: Vec<Vec<(Oid, String)>>,
}

impl Name {
    /// Reads an encoded name.
    pub fn from_der(bytes: &[u8]) -> Result<Self, Error> {
        let mut outer = Cursor::new(bytes);
        let mut sequence = outer.sequence()?;
        outer.finish()?;
        let (mut rdns, mut canonical) = (Vec::new(), Vec::new());
        while !sequence.is_empty() {
            let mut set = sequence.set()?;
            let (mut rdn, mut compared) = (Vec::new(), Vec::new());
            while !set.is_empty() {
                let mut fields = set.sequence()?;
                let oid = fields.oid()?;
                let value = fields.any()?;
                // an attribute that is no text still has its bytes to compare, and is none that is written like them
                let (value, form) = match value.text() {
                    Ok(text) => (text.clone(), prepared(&text)),
                    Err(_) => (format!("#{}", hex(value.raw)), format!("\0{}", hex(value.raw))),
                };
                compared.push((oid, form));
                rdn.push(Attribute { oid, value });
            }
            compared.sort();
            canonical.push(compared);
            rdns.push(rdn);
        }
        Ok(Self { der: bytes.to_vec(), rdns, canonical })
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
        let canonical = attributes.iter().map(|(oid, value)| vec![(*oid, prepared(value))]).collect();
        Self { der: encode::sequence(&rdns), rdns: parsed, canonical }
    }

    /// The name as received.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// Whether it has no attributes.
    pub fn is_empty(&self) -> bool {
        self.rdns.is_empty()
    }

    /// Whether two names are the same: case, runs of blanks, and ways to write one letter do not count (RFC 5280 7.1).
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

/// A text as it is compared (RFC 4518 2): what is not seen is dropped, case is folded, each letter has one form, and blanks count once.
fn prepared(text: &str) -> String {
    let blanks_once = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    if text.is_ascii() && !text.bytes().any(|byte| byte.is_ascii_control()) {
        return blanks_once(text).to_ascii_lowercase();
    }
    let forms = ComposingNormalizerBorrowed::new_nfkc();
    let seen: String = text.chars().filter(|c| c.is_whitespace() || !is_unseen(*c)).collect();
    // to upper case and back: as Unicode folds "ß" and "ss", and all three letters sigma
    let fold = |text: &str| -> String { text.chars().flat_map(char::to_uppercase).flat_map(char::to_lowercase).collect() };
    let folded = forms.normalize(&fold(&forms.normalize(&seen))).into_owned();
    blanks_once(&folded)
}

/// RFC 4518 2.2: characters that are mapped to nothing.
fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{1806}' | '\u{180b}'..='\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{2063}' | '\u{206a}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{fff9}'..='\u{fffc}')
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0');
    let mut text = String::with_capacity(bytes.len().saturating_mul(2));
    bytes.iter().for_each(|byte| text.extend([digit(byte >> 4), digit(byte & 15)]));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(value: &[u8]) -> Name {
        let attribute = encode::sequence(&[encode::oid(&oid::COMMON_NAME), value.to_vec()]);
        Name::from_der(&encode::sequence(&[encode::tlv(Tag::SET, &attribute)])).expect("a name")
    }

    fn bmp(text: &str) -> Vec<u8> {
        encode::tlv(Tag::BMP_STRING, &text.encode_utf16().flat_map(u16::to_be_bytes).collect::<Vec<_>>())
    }

    #[test]
    fn one_text_in_several_forms_is_one_name() {
        for (a, b) in [
            (encode::printable("Jane  Doe "), encode::utf8(" jane DOE")),
            (encode::utf8("J\u{fc}rgen"), encode::utf8("JU\u{308}RGEN")),
            (encode::utf8("\u{ff2a}ane"), encode::printable("jane")),
            (encode::utf8("stra\u{df}e"), encode::printable("STRASSE")),
            (encode::utf8("\u{3a3}\u{391}\u{3a3}"), encode::utf8("\u{3c3}\u{3b1}\u{3c2}")),
            (encode::utf8("Ja\u{ad}ne\u{200b}\u{a0}Doe"), encode::printable("jane doe")),
            (bmp("J\u{fc}rgen"), encode::utf8("j\u{dc}rgen")),
        ] {
            assert!(name(&a).matches(&name(&b)), "{} {}", name(&a), name(&b));
            assert_eq!(Name::from_attributes(&[(oid::COMMON_NAME, &name(&a).attributes().next().expect("one").value)]), name(&b));
        }
    }

    #[test]
    fn other_texts_are_other_names() {
        let bits = encode::bit_string(&[1]);
        let shown = name(&bits).attributes().next().expect("one").value.clone();
        for (a, b) in [
            (encode::utf8("Jane Doe"), encode::utf8("JaneDoe")),
            (encode::utf8("Jane"), encode::utf8("J\u{e1}ne")),
            (encode::utf8("\u{430}"), encode::utf8("a")),
            (bits, encode::utf8(&shown)),
        ] {
            assert!(!name(&a).matches(&name(&b)), "{} {}", name(&a), name(&b));
        }
    }
}
