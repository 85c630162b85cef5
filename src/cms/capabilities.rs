//! S/MIME capabilities (RFC 8551 2.5.2, RFC 4262): what a recipient says that he can read.

use crate::asn1::{Cursor, Oid, encode, oid};
use crate::cms::Error;
use crate::crypto::algorithm::KeyWrap;

/// One capability: an algorithm and its parameters as received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capability {
    /// Which algorithm.
    pub oid: Oid,
    /// Its parameters, encoded.
    pub parameters: Option<Vec<u8>>,
}

/// Capabilities in the order of preference.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Capabilities(pub Vec<Capability>);

impl Capabilities {
    /// What this version reads and would like to get.
    pub fn ours() -> Self {
        let plain = |oid| Capability { oid, parameters: None };
        // RFC 5753 8: the parameters name the key wrap
        let agreement = |wrap: KeyWrap| Capability { oid: oid::ECDH_STD_SHA256, parameters: Some(wrap.identifier().to_der()) };
        Self(vec![
            plain(oid::AES256_GCM),
            plain(oid::AES128_GCM),
            plain(oid::AES256_CBC),
            plain(oid::AES128_CBC),
            plain(oid::RSA_OAEP),
            agreement(KeyWrap::Aes256),
            agreement(KeyWrap::Aes128),
        ])
    }

    /// Reads `SMIMECapabilities ::= SEQUENCE OF SMIMECapability`.
    pub fn from_der(bytes: &[u8]) -> Result<Self, Error> {
        let mut list = Cursor::new(bytes).sequence()?;
        let mut found = Vec::new();
        while !list.is_empty() {
            let mut fields = list.sequence()?;
            let oid = fields.oid()?;
            let parameters = if fields.is_empty() { None } else { Some(fields.any()?.raw.to_vec()) };
            found.push(Capability { oid, parameters });
        }
        Ok(Self(found))
    }

    /// Writes them.
    pub fn to_der(&self) -> Vec<u8> {
        let one = |c: &Capability| encode::sequence(&[encode::oid(&c.oid), c.parameters.clone().unwrap_or_default()]);
        encode::sequence(&self.0.iter().map(one).collect::<Vec<_>>())
    }

    /// Whether an algorithm is among them.
    pub fn has(&self, oid: &Oid) -> bool {
        self.0.iter().any(|capability| capability.oid == *oid)
    }
}
