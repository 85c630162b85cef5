//! Writes protected header fields (RFC 9788 section 5).

use crate::mime::{Entity, ascii, header};
use crate::smime::headers::{Display, HeaderConfidentiality, HeaderProtection, parameter};

/// What the composer means to give (the parameter `hp`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::smime) enum Confidentiality {
    /// Signed only: `hp="clear"`.
    Clear,
    /// Encrypted: `hp="cipher"`; the outside is made less telling.
    Cipher(HeaderConfidentiality),
}

/// Header fields: name in lower case, and the field as written.
pub(in crate::smime) type Fields = Vec<(String, Vec<u8>)>;

/// A header section taken apart: the fields about the structure, and the others.
pub(in crate::smime) struct Parts {
    /// Content-* fields, each with its line break.
    pub(in crate::smime) structure: Vec<u8>,
    /// The other fields that go along.
    pub(in crate::smime) others: Fields,
}

impl Parts {
    /// Takes a message apart. Bcc and the traces of earlier relays stay behind; every field is made so that relays leave it alone.
    pub(in crate::smime) fn of(entity: &Entity, source: &[u8]) -> Self {
        let (mut structure, mut others) = (Vec::new(), Vec::new());
        for field in entity.fields() {
            let safe = || ascii::field(&field.name, field.raw(source)).into_owned();
            if field.name.starts_with("content-") {
                // of two with the same name the first counts, here as everywhere
                if entity.field(&field.name) == Some(field) {
                    structure.extend_from_slice(&safe());
                }
            } else if !STAYS_BEHIND.contains(&field.name.as_str()) {
                others.push((field.name.clone(), safe()));
            }
        }
        Self { structure, others }
    }

    /// The fields that stand outside.
    pub(in crate::smime) fn outer(&self, confidentiality: Confidentiality, protection: HeaderProtection) -> Fields {
        match (confidentiality, protection) {
            (Confidentiality::Cipher(policy), HeaderProtection::On) => {
                let outside = |(name, raw): &(String, Vec<u8>)| Some((name.clone(), policy.outside(name, raw)?.into_owned()));
                self.others.iter().filter_map(outside).collect()
            }
            _ => self.others.clone(),
        }
    }

    /// What the text tells of the fields that the outside shows otherwise (RFC 9788 5.2.1); `None` where nothing.
    pub(in crate::smime) fn display(&self, policy: HeaderConfidentiality) -> Option<Display> {
        let told = self.others.iter().filter(|(name, raw)| {
            USER_FACING.contains(&name.as_str()) && policy.outside(name, raw).as_deref() != Some(raw.as_slice())
        });
        Display::of(told.filter_map(|(_, raw)| header::name_and_text(raw)).collect())
    }

    /// The header section of the entity that gets signed or encrypted: protected fields, structure, and the empty line; the body follows.
    pub(in crate::smime) fn head(&self, confidentiality: Confidentiality, protection: HeaderProtection) -> Vec<u8> {
        let mut out = Vec::with_capacity(2048);
        if protection == HeaderProtection::Off {
            out.extend_from_slice(&self.structure);
        } else {
            self.others.iter().for_each(|(_, raw)| out.extend_from_slice(raw));
            if matches!(confidentiality, Confidentiality::Cipher(_)) {
                self.outer(confidentiality, protection).iter().for_each(|(_, raw)| out.extend_from_slice(&outer_record(raw)));
            }
            let hp = match confidentiality {
                Confidentiality::Clear => "clear",
                Confidentiality::Cipher(_) => "cipher",
            };
            out.extend_from_slice(b"MIME-Version: 1.0\r\n");
            out.extend_from_slice(&with_parameter(&self.structure, hp));
        }
        out.extend_from_slice(b"\r\n");
        out
    }
}

/// Fields that do not go along: Bcc is nobody's to see, the others are made anew or tell of earlier ways.
const STAYS_BEHIND: &[&str] = &["mime-version", "bcc", "resent-bcc", "return-path", "received", "delivered-to", "hp-outer"];

/// Fields that readers show (RFC 9787 1.1.2).
const USER_FACING: &[&str] = &[
    "subject",
    "from",
    "to",
    "cc",
    "date",
    "reply-to",
    "followup-to",
    "sender",
    "resent-from",
    "resent-to",
    "resent-cc",
    "resent-date",
    "resent-sender",
];

/// `HP-Outer: Name: value` (RFC 9788 2.2.1) of a field that stands outside.
fn outer_record(raw: &[u8]) -> Vec<u8> {
    let colon = raw.iter().position(|byte| *byte == b':').unwrap_or(raw.len());
    let (name, value) = raw.split_at(colon);
    let value = header::unfold(value.get(1..).unwrap_or_default());
    ascii::folded("HP-Outer", &format!("{}: {value}", String::from_utf8_lossy(name)))
}

/// The structure with the parameter `hp` on its Content-Type; one is made where there is none.
fn with_parameter(structure: &[u8], hp: &str) -> Vec<u8> {
    let name = |field: &[u8]| field.iter().position(|byte| *byte == b':').and_then(|at| field.get(..at).map(<[u8]>::to_vec));
    let is_type = |field: &[u8]| name(field).is_some_and(|name| name.trim_ascii().eq_ignore_ascii_case(b"content-type"));
    let mut out = Vec::with_capacity(structure.len().saturating_add(64));
    let fields = fields_of(structure);
    if !fields.iter().any(|field| is_type(field)) {
        out.extend_from_slice(&parameter::with(b"Content-Type: text/plain; charset=us-ascii", "hp", hp));
    }
    for field in fields {
        if is_type(field) {
            out.extend_from_slice(&parameter::with(field, "hp", hp));
        } else {
            out.extend_from_slice(field);
        }
    }
    out
}

/// Splits fields, each with its folds.
fn fields_of(section: &[u8]) -> Vec<&[u8]> {
    let mut found = Vec::new();
    let (mut start, mut at) = (0, 0);
    for line in section.split_inclusive(|byte| *byte == b'\n') {
        if at > start && !matches!(line.first(), Some(b' ' | b'\t')) {
            found.extend(section.get(start..at));
            start = at;
        }
        at = at.saturating_add(line.len());
    }
    found.extend(section.get(start..at).filter(|field| !field.is_empty()));
    found
}
