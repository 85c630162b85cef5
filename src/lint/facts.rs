//! What the rules ask about a certificate, read once.

use crate::asn1::{Class, Cursor, Oid, Tag, oid};
use crate::crypto::key::PublicKey;
use crate::lint::{BaselineType, baseline};
use crate::pki::{BasicConstraints, Certificate, CertificatePolicy, Extension, GeneralName};

/// What kind of certificate it is, by what it says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An authority that certifies itself.
    Root,
    /// An authority for mail certificates.
    MailAuthority,
    /// An authority for TLS servers' certificates.
    ServerAuthority,
    /// A mail certificate.
    Mail,
    /// A TLS server's certificate.
    Server,
    /// A certificate that signs OCSP responses.
    Responder,
    /// Something else.
    Other,
}

impl Kind {
    /// For people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Root => "root authority",
            Self::MailAuthority => "authority for mail",
            Self::ServerAuthority => "authority for TLS servers",
            Self::Mail => "mail certificate",
            Self::Server => "TLS server certificate",
            Self::Responder => "OCSP responder certificate",
            Self::Other => "certificate of another kind",
        }
    }
}

/// One attribute of a name, with how it is written.
pub(super) struct Written {
    pub(super) oid: Oid,
    pub(super) tag: Tag,
    pub(super) content: Vec<u8>,
    pub(super) text: String,
    /// Whether it stands beside others in one relative name.
    pub(super) is_beside: bool,
}

pub(super) struct Facts<'a> {
    pub(super) certificate: &'a Certificate,
    pub(super) kind: Kind,
    /// The type that its policy claims.
    pub(super) claimed: Option<BaselineType>,
    /// The type that it is held against.
    pub(super) baseline: BaselineType,
    pub(super) constraints: Option<BasicConstraints>,
    /// The numbers of the bits of keyUsage.
    pub(super) usage: Option<Vec<u8>>,
    pub(super) purposes: Option<Vec<Oid>>,
    /// The alternative names, each with the number of its form.
    pub(super) names: Option<Vec<(u32, GeneralName)>>,
    pub(super) policies: Vec<CertificatePolicy>,
    /// The places of authorityInfoAccess.
    pub(super) access: Vec<(Oid, GeneralName)>,
    /// The full names of cRLDistributionPoints.
    pub(super) points: Vec<GeneralName>,
    /// The fields of authorityKeyIdentifier that are there: their numbers.
    pub(super) authority_key: Vec<u32>,
    pub(super) subject: Vec<Written>,
    pub(super) key: Option<PublicKey>,
    /// The encoded identifier of the key's algorithm.
    pub(super) key_algorithm: Vec<u8>,
}

impl<'a> Facts<'a> {
    pub(super) fn new(certificate: &'a Certificate, given: Option<BaselineType>) -> Self {
        let value = |oid: &Oid| certificate.extension(oid).map(|extension| extension.value.as_slice());
        let policies = certificate.policies().unwrap_or_default();
        let claimed = policies.iter().find_map(|policy| BaselineType::from_policy(&policy.oid));
        let names = value(&oid::SUBJECT_ALT_NAME).map(|value| alternative_names(value).unwrap_or_default());
        let mut facts = Self {
            certificate,
            kind: Kind::Other,
            claimed,
            baseline: BaselineType::LEAST,
            constraints: certificate.basic_constraints(),
            usage: value(&oid::KEY_USAGE).map(|value| named_bits(value).unwrap_or_default()),
            purposes: certificate.extended_key_usage(),
            names,
            policies,
            access: value(&oid::AUTHORITY_INFO_ACCESS).and_then(access).unwrap_or_default(),
            points: value(&oid::CRL_DISTRIBUTION_POINTS).and_then(points).unwrap_or_default(),
            authority_key: value(&oid::AUTHORITY_KEY_IDENTIFIER).and_then(field_numbers).unwrap_or_default(),
            subject: written(certificate.subject().der()).unwrap_or_default(),
            key: certificate.public_key().ok(),
            key_algorithm: algorithm_of(certificate.spki()).unwrap_or_default(),
        };
        // whoever says which type of mail certificate it is wants it judged as one
        facts.kind = if given.is_some() { Kind::Mail } else { facts.find_kind() };
        facts.baseline = given.or(claimed).unwrap_or_else(|| baseline::guess(&facts));
        facts
    }

    fn find_kind(&self) -> Kind {
        let names_servers = self.names.iter().flatten().any(|(form, _)| matches!(form, 2 | 7));
        let is_for_servers = self.is_for(&oid::SERVER_AUTH) && !self.is_for(&oid::EMAIL_PROTECTION);
        if self.is_authority() {
            return match () {
                () if self.certificate.is_self_issued() => Kind::Root,
                () if is_for_servers => Kind::ServerAuthority,
                () => Kind::MailAuthority,
            };
        }
        match self.purposes {
            Some(_) if self.is_for(&oid::OCSP_SIGNING) => Kind::Responder,
            Some(_) if is_for_servers => Kind::Server,
            Some(_) if self.is_for(&oid::EMAIL_PROTECTION) || self.is_for(&oid::ANY_EXTENDED_KEY_USAGE) => Kind::Mail,
            None if names_servers => Kind::Server,
            _ if !self.certificate.addresses().is_empty() || self.claimed.is_some() => Kind::Mail,
            _ => Kind::Other,
        }
    }

    pub(super) fn is_authority(&self) -> bool {
        self.constraints.is_some_and(|constraints| constraints.is_ca)
    }

    pub(super) fn is_for(&self, purpose: &Oid) -> bool {
        self.purposes.iter().flatten().any(|known| known == purpose)
    }

    pub(super) fn uses(&self, bit: u8) -> bool {
        self.usage.iter().flatten().any(|known| *known == bit)
    }

    pub(super) fn extension(&self, oid: &Oid) -> Option<&Extension> {
        self.certificate.extension(oid)
    }

    pub(super) fn has(&self, oid: &Oid) -> bool {
        self.extension(oid).is_some()
    }

    /// Whether an extension is there and critical.
    pub(super) fn is_critical(&self, oid: &Oid) -> bool {
        self.extension(oid).is_some_and(|extension| extension.critical)
    }

    /// Whether an extension is there and not critical.
    pub(super) fn is_lax(&self, oid: &Oid) -> bool {
        self.extension(oid).is_some_and(|extension| !extension.critical)
    }

    /// The values of an attribute of the subject.
    pub(super) fn values(&self, oid: Oid) -> impl Iterator<Item = &str> {
        self.subject.iter().filter(move |attribute| attribute.oid == oid).map(|attribute| attribute.text.as_str())
    }

    pub(super) fn has_attribute(&self, oid: Oid) -> bool {
        self.values(oid).next().is_some()
    }

    /// The addresses of subjectAltName alone.
    pub(super) fn addresses(&self) -> impl Iterator<Item = &str> {
        self.names.iter().flatten().filter_map(|(_, name)| match name {
            GeneralName::Rfc822(address) | GeneralName::SmtpUtf8(address) => Some(address.as_str()),
            _ => None,
        })
    }

    /// Whether there is a rfc822Name in subjectAltName.
    pub(super) fn has_rfc822_name(&self) -> bool {
        self.names.iter().flatten().any(|(_, name)| matches!(name, GeneralName::Rfc822(_)))
    }

    /// The seconds of validity, both ends included (RFC 5280 4.1.2.5).
    pub(super) fn seconds(&self) -> i64 {
        let (from, until) = (self.certificate.not_before().unix(), self.certificate.not_after().unix());
        until.saturating_sub(from).saturating_add(1)
    }

    pub(super) fn rsa_bits(&self) -> Option<usize> {
        match self.key.as_ref()?.algorithm() {
            crate::crypto::algorithm::KeyAlgorithm::Rsa(bits) => Some(bits),
            _ => None,
        }
    }
}

fn alternative_names(value: &[u8]) -> Option<Vec<(u32, GeneralName)>> {
    let mut list = Cursor::new(value).sequence().ok()?;
    let mut found = Vec::new();
    while !list.is_empty() {
        let number = list.peek()?.number;
        found.push((number, GeneralName::read(&mut list).ok()?));
    }
    Some(found)
}

pub(crate) fn named_bits(value: &[u8]) -> Option<Vec<u8>> {
    let (_, bytes) = Cursor::new(value).bit_string().ok()?;
    let bits = 0..u8::try_from(bytes.len().saturating_mul(8)).ok()?;
    let is_set = |bit: &u8| bytes.get(usize::from(bit / 8)).is_some_and(|byte| byte & (0x80 >> (bit % 8)) != 0);
    Some(bits.filter(is_set).collect())
}

/// `AuthorityInfoAccessSyntax ::= SEQUENCE OF SEQUENCE { accessMethod OBJECT IDENTIFIER, accessLocation GeneralName }`
fn access(value: &[u8]) -> Option<Vec<(Oid, GeneralName)>> {
    let mut list = Cursor::new(value).sequence().ok()?;
    let mut found = Vec::new();
    while !list.is_empty() {
        let mut fields = list.sequence().ok()?;
        found.push((fields.oid().ok()?, GeneralName::read(&mut fields).ok()?));
    }
    Some(found)
}

/// `DistributionPoint ::= SEQUENCE { distributionPoint [0] { fullName [0] GeneralNames | … }, … }`
pub(super) fn points(value: &[u8]) -> Option<Vec<GeneralName>> {
    let mut list = Cursor::new(value).sequence().ok()?;
    let mut found = Vec::new();
    while !list.is_empty() {
        let mut fields = list.sequence().ok()?;
        let Some(mut name) = fields.explicit(0).ok()? else { continue };
        let Some(full) = name.optional(Tag::context_constructed(0)).ok()? else { continue };
        let mut names = full.cursor().ok()?;
        while !names.is_empty() {
            found.push(GeneralName::read(&mut names).ok()?);
        }
    }
    Some(found)
}

/// The numbers of the context tags in a SEQUENCE.
fn field_numbers(value: &[u8]) -> Option<Vec<u32>> {
    let mut fields = Cursor::new(value).sequence().ok()?;
    let mut found = Vec::new();
    while !fields.is_empty() {
        let tag = fields.any().ok()?.tag;
        if tag.class == Class::Context {
            found.push(tag.number);
        }
    }
    Some(found)
}

pub(super) fn written(name: &[u8]) -> Option<Vec<Written>> {
    let mut sequence = Cursor::new(name).sequence().ok()?;
    let mut found = Vec::new();
    while !sequence.is_empty() {
        let mut set = sequence.set().ok()?;
        let first = found.len();
        while !set.is_empty() {
            let mut fields = set.sequence().ok()?;
            let oid = fields.oid().ok()?;
            let value = fields.any().ok()?;
            let content = value.content.to_vec();
            found.push(Written { oid, tag: value.tag, content, text: value.text().unwrap_or_default(), is_beside: false });
        }
        let of_set = found.get_mut(first..).unwrap_or_default();
        if of_set.len() > 1 {
            of_set.iter_mut().for_each(|attribute| attribute.is_beside = true);
        }
    }
    Some(found)
}

/// The algorithm of a SubjectPublicKeyInfo, encoded.
fn algorithm_of(spki: &[u8]) -> Option<Vec<u8>> {
    let mut fields = Cursor::new(spki).sequence().ok()?;
    Some(fields.expect(Tag::SEQUENCE).ok()?.raw.to_vec())
}
