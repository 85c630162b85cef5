//! Header fields that travel inside the protected part (RFC 9788).

use crate::mime::{Entity, Field};
use crate::smime::verdict::ProtectedHeaders;

/// Whether header fields are copied into the protected part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HeaderProtection {
    /// They are: nobody on the way can change them unseen.
    #[default]
    On,
    /// They are not: the form before RFC 9788.
    Off,
}

/// What the composer means to give (the parameter `hp`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::smime) enum Confidentiality {
    /// Signed only: `hp="clear"`.
    Clear,
    /// Encrypted: `hp="cipher"`; the outside is made less telling.
    Cipher,
}

/// A message taken apart: the fields about its structure, the others, and the body.
pub(in crate::smime) struct Parts<'a> {
    /// Content-* fields, each with its line break.
    pub(in crate::smime) structure: Vec<u8>,
    /// The other fields that go along: name in lower case, and the field as written.
    pub(in crate::smime) others: Vec<(String, Vec<u8>)>,
    /// The body.
    pub(in crate::smime) body: &'a [u8],
}

impl<'a> Parts<'a> {
    /// Takes a message apart. Bcc and the traces of earlier relays stay behind.
    pub(in crate::smime) fn of(entity: &Entity, source: &'a [u8]) -> Self {
        let (mut structure, mut others) = (Vec::new(), Vec::new());
        for field in entity.fields() {
            let raw = with_line_break(field, source);
            if field.name.starts_with("content-") {
                structure.extend_from_slice(&raw);
            } else if !matches!(
                field.name.as_str(),
                "mime-version" | "bcc" | "return-path" | "received" | "delivered-to" | "hp-outer"
            ) {
                others.push((field.name.clone(), raw));
            }
        }
        Self { structure, others, body: entity.body(source) }
    }

    /// The fields that stand outside.
    pub(in crate::smime) fn outer(
        &self,
        confidentiality: Confidentiality,
        protection: HeaderProtection,
    ) -> Vec<(String, Vec<u8>)> {
        if confidentiality == Confidentiality::Clear || protection == HeaderProtection::Off {
            return self.others.clone();
        }
        // hcp_baseline (RFC 9788 3.2.1): Subject obscured, Comments and Keywords left out
        let visible = |(name, raw): &(String, Vec<u8>)| match name.as_str() {
            "subject" => Some((name.clone(), b"Subject: [...]\r\n".to_vec())),
            "comments" | "keywords" => None,
            _ => Some((name.clone(), raw.clone())),
        };
        self.others.iter().filter_map(visible).collect()
    }

    /// The header section of the entity that gets signed or encrypted: protected fields, structure, and the empty line; the body follows.
    pub(in crate::smime) fn head(&self, confidentiality: Confidentiality, protection: HeaderProtection) -> Vec<u8> {
        let mut out = Vec::with_capacity(2048);
        if protection == HeaderProtection::Off {
            out.extend_from_slice(&self.structure);
        } else {
            self.others.iter().for_each(|(_, raw)| out.extend_from_slice(raw));
            if confidentiality == Confidentiality::Cipher {
                for (_, raw) in self.outer(confidentiality, protection) {
                    out.extend_from_slice(b"HP-Outer: ");
                    out.extend_from_slice(&raw);
                }
            }
            let hp = match confidentiality {
                Confidentiality::Clear => "clear",
                Confidentiality::Cipher => "cipher",
            };
            out.extend_from_slice(&with_parameter(&self.structure, hp));
        }
        out.extend_from_slice(b"\r\n");
        out
    }
}

/// The Content-Type of the structure with the parameter `hp`; one is made where there is none.
fn with_parameter(structure: &[u8], hp: &str) -> Vec<u8> {
    let parameter = format!(";\r\n hp=\"{hp}\"\r\n");
    let mut out = Vec::with_capacity(structure.len().saturating_add(64));
    let mut found = false;
    for field in fields_of(structure) {
        let is_type = field.get(..13).is_some_and(|name| name.eq_ignore_ascii_case(b"content-type:"));
        if is_type && !found {
            found = true;
            let value = field.trim_ascii_end();
            out.extend_from_slice(value.strip_suffix(b";").unwrap_or(value));
            out.extend_from_slice(parameter.as_bytes());
        } else {
            out.extend_from_slice(field);
        }
    }
    if !found {
        out.extend_from_slice(b"Content-Type: text/plain; charset=us-ascii");
        out.extend_from_slice(parameter.as_bytes());
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

/// A field that ends in CRLF, whatever it ended in.
fn with_line_break(field: &Field, source: &[u8]) -> Vec<u8> {
    let mut raw = crate::mime::canonical::to_crlf(field.raw(source)).into_owned();
    if !raw.ends_with(b"\r\n") {
        raw.extend_from_slice(b"\r\n");
    }
    raw
}

/// Whether the root of the protected part says that it holds the header fields (RFC 9788 4.1).
pub(in crate::smime) fn is_protected(payload: &Entity) -> bool {
    payload.content_type().parameter("hp").is_some_and(|value| value == "clear" || value == "cipher")
}

/// Which fields are protected, and which of them the outside does not show (RFC 9788 4.2).
pub(in crate::smime) fn protected(payload: &Entity, source: &[u8]) -> ProtectedHeaders {
    if !is_protected(payload) {
        return ProtectedHeaders::default();
    }
    let is_protected = |f: &&Field| !f.name.starts_with("content-") && f.name != "mime-version" && f.name != "hp-outer";
    let outer: Vec<(String, String)> = payload
        .fields()
        .iter()
        .filter(|f| f.name == "hp-outer")
        .filter_map(|f| {
            let value = f.unfolded(source);
            let (name, value) = value.split_once(':')?;
            Some((name.trim().to_ascii_lowercase(), value.trim().to_owned()))
        })
        .collect();
    let is_cipher = payload.content_type().parameter("hp") == Some("cipher");
    let mut headers = ProtectedHeaders::default();
    for field in payload.fields().iter().filter(is_protected) {
        let written = String::from_utf8_lossy(field.name_as_written(source)).into_owned();
        let is_shown = outer.iter().any(|(name, value)| *name == field.name && *value == field.unfolded(source));
        if is_cipher && !is_shown && !headers.hidden.contains(&written) {
            headers.hidden.push(written.clone());
        }
        if !headers.protected.contains(&written) {
            headers.protected.push(written);
        }
    }
    headers
}
