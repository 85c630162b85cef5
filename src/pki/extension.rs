//! Certificate extensions (RFC 5280 4.2).

use std::collections::HashSet;

use crate::asn1::{Cursor, Oid, Tag};
use crate::pki::Error;

/// One extension as received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extension {
    /// Which extension.
    pub oid: Oid,
    /// Whether whoever does not know it must refuse the certificate.
    pub critical: bool,
    /// The content of extnValue.
    pub value: Vec<u8>,
}

impl Extension {
    /// Reads `Extensions ::= SEQUENCE OF Extension`.
    pub(crate) fn list(cursor: &mut Cursor<'_>) -> Result<Vec<Self>, Error> {
        let mut list = cursor.sequence()?;
        let (mut found, mut seen) = (Vec::new(), HashSet::new());
        while !list.is_empty() {
            let mut fields = list.sequence()?;
            let oid = fields.oid()?;
            let critical = if fields.peek() == Some(Tag::BOOLEAN) { fields.boolean()? } else { false };
            let value = fields.octet_string()?.into_owned();
            fields.finish()?;
            // RFC 5280 4.2: a certificate must not include more than one instance of an extension
            if !seen.insert(oid) {
                return Err(Error::Malformed("an extension that stands twice"));
            }
            found.push(Self { oid, critical, value });
        }
        Ok(found)
    }
}

/// One use of a key (RFC 5280 4.2.1.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Usage {
    /// Signatures other than on certificates and revocation lists.
    DigitalSignature = 0,
    /// Signatures that the signer cannot deny.
    NonRepudiation = 1,
    /// Carrying keys (RSA).
    KeyEncipherment = 2,
    /// Carrying data itself.
    DataEncipherment = 3,
    /// Agreeing on keys (EC, X25519).
    KeyAgreement = 4,
    /// Signing certificates.
    KeyCertSign = 5,
    /// Signing revocation lists.
    CrlSign = 6,
}

impl Usage {
    /// The word of RFC 5280.
    pub const fn name(self) -> &'static str {
        match self {
            Self::DigitalSignature => "digitalSignature",
            Self::NonRepudiation => "nonRepudiation",
            Self::KeyEncipherment => "keyEncipherment",
            Self::DataEncipherment => "dataEncipherment",
            Self::KeyAgreement => "keyAgreement",
            Self::KeyCertSign => "keyCertSign",
            Self::CrlSign => "cRLSign",
        }
    }
}

/// The uses that a certificate allows its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyUsage(Vec<u8>);

impl KeyUsage {
    pub(in crate::pki) fn from_value(value: &[u8]) -> Result<Self, Error> {
        let mut outer = Cursor::new(value);
        let (_, bits) = outer.bit_string()?;
        outer.finish()?;
        Ok(Self(bits.into_owned()))
    }

    /// Whether this use is allowed.
    pub fn allows(&self, usage: Usage) -> bool {
        let bit = usage as u8;
        self.0.first().is_some_and(|byte| byte & (0x80 >> bit) != 0)
    }
}

/// Whether the certificate is an authority's, and how many may stand below (RFC 5280 4.2.1.9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BasicConstraints {
    /// Whether it may sign certificates.
    pub is_ca: bool,
    /// How many intermediate certificates may follow.
    pub path_len: Option<u64>,
}

impl BasicConstraints {
    pub(in crate::pki) fn from_value(value: &[u8]) -> Result<Self, Error> {
        let mut outer = Cursor::new(value);
        let mut fields = outer.sequence()?;
        outer.finish()?;
        let is_ca = if fields.peek() == Some(Tag::BOOLEAN) { fields.boolean()? } else { false };
        let path_len = if fields.is_empty() { None } else { Some(fields.small_unsigned()?) };
        fields.finish()?;
        Ok(Self { is_ca, path_len })
    }
}
