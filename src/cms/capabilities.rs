//! S/MIME capabilities (RFC 8551 2.5.2, RFC 4262): what a recipient says that he can read.

use std::sync::OnceLock;

use crate::asn1::{Cursor, Oid, encode, oid};
use crate::cms::Error;
use crate::crypto::algorithm::{
    self, AlgorithmIdentifier, ContentCipher, DigestAlgorithm, KeyAgreement, KeyTransport, KeyWrap, Scheme,
};

/// One capability: an algorithm and its parameters as received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capability {
    /// Which algorithm.
    pub oid: Oid,
    /// Its parameters, encoded.
    pub parameters: Option<Vec<u8>>,
}

impl Capability {
    /// The name of the algorithm, with what its parameters choose.
    pub fn name(&self) -> String {
        let identifier = AlgorithmIdentifier { oid: self.oid, parameters: self.parameters.clone() };
        if let Ok(agreement) = KeyAgreement::from_identifier(&identifier) {
            return agreement.name();
        }
        let bits = self.parameters.as_deref().filter(|_| self.oid == oid::RC2_CBC);
        match bits.and_then(|bits| Cursor::new(bits).small_unsigned().ok()) {
            Some(bits) => format!("{}-{bits}", identifier.name()),
            None => identifier.name(),
        }
    }
}

/// Capabilities in the order of preference.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Capabilities(pub Vec<Capability>);

impl Capabilities {
    /// What this version reads and would like to get.
    pub fn ours() -> Self {
        let of = |identifier: AlgorithmIdentifier| Capability { oid: identifier.oid, parameters: identifier.parameters };
        Self(algorithm::preferred(None).into_iter().map(of).collect())
    }

    /// [`Capabilities::ours`], encoded: every signature says them.
    pub(in crate::cms) fn ours_der() -> &'static [u8] {
        static ENCODED: OnceLock<Vec<u8>> = OnceLock::new();
        ENCODED.get_or_init(|| Self::ours().to_der())
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

    /// Whether a content cipher is among them, be it one that is not known here.
    pub fn names_ciphers(&self) -> bool {
        self.0.iter().any(|one| one.oid == oid::RC2_CBC || ContentCipher::from_oid(&one.oid).is_some())
    }

    /// The forms of OAEP among them; SHA-256 where the digest is left open.
    pub fn oaep(&self) -> Vec<KeyTransport> {
        let mut found = Vec::new();
        for identifier in self.identifiers().filter(|identifier| identifier.oid == oid::RSA_OAEP) {
            match KeyTransport::from_identifier(&identifier) {
                _ if identifier.real_parameters().is_none() => found.push(KeyTransport::oaep(DigestAlgorithm::Sha256)),
                // a label, or a digest of another kind for the mask, is nothing that a list of capabilities can mean
                Ok(KeyTransport::RsaOaep { digest, mgf_digest, label }) if digest == mgf_digest && label.is_empty() => {
                    found.push(KeyTransport::oaep(digest));
                }
                _ => {}
            }
        }
        found
    }

    /// The key agreements among them that are written here: standard ECDH, AES key wrap.
    pub fn agreements(&self) -> Vec<KeyAgreement> {
        let known = self.identifiers().filter_map(|identifier| KeyAgreement::from_identifier(&identifier).ok());
        known.filter(|one| one.scheme == Scheme::Standard && one.wrap != KeyWrap::DesEde3).collect()
    }

    fn identifiers(&self) -> impl Iterator<Item = AlgorithmIdentifier> {
        self.0.iter().map(|one| AlgorithmIdentifier { oid: one.oid, parameters: one.parameters.clone() })
    }

    /// The names of the algorithms, in order.
    pub fn names(&self) -> Vec<String> {
        self.0.iter().map(Capability::name).collect()
    }

    /// Whether an algorithm is among them.
    pub fn has(&self, oid: &Oid) -> bool {
        self.0.iter().any(|capability| capability.oid == *oid)
    }
}
