//! What each kind of certificate contains.

use crate::asn1::{Oid, Tag, encode, oid};
use crate::ca::{Error, Shape};
use crate::crypto::algorithm::{self, AlgorithmIdentifier, DigestAlgorithm, KeyAlgorithm, SignatureAlgorithm};
use crate::crypto::digest;
use crate::crypto::key::{PrivateKey, PublicKey};
use crate::lint;
use crate::pki::Name;
use crate::time::Timestamp;

/// What a mail certificate shall be good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Uses {
    /// Signing and encryption with one key.
    #[default]
    Dual,
    /// Signing only.
    Sign,
    /// Encryption only.
    Encrypt,
}

/// Days of a mail certificate where nobody says how many: two years. The most that is allowed shall not be the rule (S/MIME BR 6.3.2), and
/// Gmail takes no more than 27 months.
pub const DEFAULT_DAYS: u32 = 730;

/// A mail certificate that is asked for.
#[derive(Debug, Clone)]
pub struct MailProfile {
    /// The addresses that it speaks for, one or more.
    pub addresses: Vec<String>,
    /// Whom it names.
    pub shape: Shape,
    /// What it shall be good for.
    pub uses: Uses,
    /// How long, in days; at most 825, and never beyond the issuer.
    pub days: u32,
}

impl MailProfile {
    /// A certificate for a mailbox, for signing and encryption, for two years.
    pub fn new(address: impl Into<String>) -> Self {
        Self { addresses: vec![address.into()], shape: Shape::Mailbox, uses: Uses::Dual, days: DEFAULT_DAYS }
    }

    /// One more address.
    #[must_use]
    pub fn address(mut self, address: impl Into<String>) -> Self {
        self.addresses.push(address.into());
        self
    }

    /// Whom it names.
    #[must_use]
    pub fn shape(mut self, shape: Shape) -> Self {
        self.shape = shape;
        self
    }

    /// What it shall be good for.
    #[must_use]
    pub fn uses(mut self, uses: Uses) -> Self {
        self.uses = uses;
        self
    }

    /// How long, in days.
    #[must_use]
    pub fn days(mut self, days: u32) -> Self {
        self.days = days;
        self
    }
}

/// A TLS server's certificate that is asked for.
#[derive(Debug, Clone)]
pub struct ServerProfile {
    /// Host names and addresses.
    pub hosts: Vec<String>,
    /// How long, in days; at most [`ServerProfile::longest`], and never beyond the issuer.
    pub days: u32,
}

impl ServerProfile {
    /// The most days for a certificate that begins at this time: 199 from 2026-03-15 on, 99 from 2027-03-15, 46 from 2029-03-15. One less than
    /// what is allowed (TLS BR 6.3.2), as advised there.
    pub fn longest(at: Timestamp) -> u32 {
        u32::try_from(lint::longest_server_days(at)).unwrap_or(1).saturating_sub(1)
    }
}

/// The key identifiers of a certificate: of its own key, and of its issuer's (RFC 5280 4.2.1.1, 4.2.1.2).
pub(in crate::ca) fn key_ids(public: &PublicKey, issuer: &PublicKey) -> Vec<Vec<u8>> {
    vec![extension(oid::SUBJECT_KEY_IDENTIFIER, false, &encode::octet_string(&key_id(public))), issuer_key_id(issuer)]
}

/// The key identifier of the issuer alone.
pub(in crate::ca) fn issuer_key_id(issuer: &PublicKey) -> Vec<u8> {
    extension(oid::AUTHORITY_KEY_IDENTIFIER, false, &authority_key_id(issuer))
}

/// `CertificatePolicies`, without qualifiers.
pub(in crate::ca) fn policies(policies: &[Oid]) -> Vec<u8> {
    let list: Vec<Vec<u8>> = policies.iter().map(|policy| encode::sequence(&[encode::oid(policy)])).collect();
    extension(oid::CERTIFICATE_POLICIES, false, &encode::sequence(&list))
}

/// The signature algorithm of an authority's key: a digest as strong as the key.
pub(in crate::ca) fn algorithm_of(key: &PrivateKey) -> Result<SignatureAlgorithm, Error> {
    let digest = match key.algorithm() {
        KeyAlgorithm::P384 => DigestAlgorithm::Sha384,
        KeyAlgorithm::P521 => DigestAlgorithm::Sha512,
        _ => DigestAlgorithm::Sha256,
    };
    Ok(key.public_key().signature_algorithm(digest)?)
}

/// RFC 5280 4.2.1.2, method 1.
pub(in crate::ca) fn key_id(public: &PublicKey) -> Vec<u8> {
    digest::of(DigestAlgorithm::Sha1, public.key_bits())
}

/// `AuthorityKeyIdentifier ::= SEQUENCE { keyIdentifier [0] }`
pub(in crate::ca) fn authority_key_id(public: &PublicKey) -> Vec<u8> {
    encode::sequence(&[encode::implicit(0, &encode::octet_string(&key_id(public)))])
}

pub(in crate::ca) fn extension(oid: Oid, critical: bool, value: &[u8]) -> Vec<u8> {
    let critical = if critical { encode::boolean(true) } else { Vec::new() };
    encode::sequence(&[encode::oid(&oid), critical, encode::octet_string(value)])
}

/// `BasicConstraints`, critical, of an authority.
pub(in crate::ca) fn authority_constraints(path_len: Option<u64>) -> Vec<u8> {
    let limit = path_len.map(encode::integer_u64).unwrap_or_default();
    extension(oid::BASIC_CONSTRAINTS, true, &encode::sequence(&[encode::boolean(true), limit]))
}

/// Bits of RFC 5280 4.2.1.3.
pub(in crate::ca) fn key_usage(bits: &[u32]) -> Vec<u8> {
    extension(oid::KEY_USAGE, true, &encode::named_bits(bits))
}

pub(in crate::ca) fn extended_key_usage(usages: &[Oid]) -> Vec<u8> {
    extension(oid::EXTENDED_KEY_USAGE, false, &encode::sequence(&usages.iter().map(encode::oid).collect::<Vec<_>>()))
}

/// Permits mail of the domains and of the hosts below them, and nothing else (RFC 5280 4.2.1.10).
pub(in crate::ca) fn mail_constraints(domains: &[String]) -> Vec<u8> {
    let subtree = |name: &str| encode::sequence(&[encode::implicit(1, &encode::ia5(name))]);
    let subtrees: Vec<Vec<u8>> = domains.iter().flat_map(|domain| [subtree(domain), subtree(&format!(".{domain}"))]).collect();
    let permitted = encode::implicit(0, &encode::sequence(&subtrees));
    extension(oid::NAME_CONSTRAINTS, true, &encode::sequence(&[permitted]))
}

/// Where the issuer's certificate, its revocation list and its OCSP responder are (RFC 5280 4.2.1.13, 4.2.2.1); the root has no
/// responder, for its key is seldom at hand and its list short.
pub(in crate::ca) fn places(base: &str, issuer: &str) -> [Vec<u8>; 2] {
    let uri = |path: String| encode::implicit(6, &encode::ia5(&path));
    let mut access = vec![encode::sequence(&[encode::oid(&oid::AD_CA_ISSUERS), uri(format!("{base}/{issuer}.cer"))])];
    if issuer != "root" {
        access.insert(0, encode::sequence(&[encode::oid(&oid::AD_OCSP), uri(format!("{base}/ocsp"))]));
    }
    let point = encode::explicit(0, &encode::implicit(0, &encode::sequence(&[uri(format!("{base}/{issuer}.crl"))])));
    [
        extension(oid::AUTHORITY_INFO_ACCESS, false, &encode::sequence(&access)),
        extension(oid::CRL_DISTRIBUTION_POINTS, false, &encode::sequence(&[encode::sequence(&[point])])),
    ]
}

/// RFC 4262: what this program reads with a key of this kind, as it says in messages that it signs.
pub(in crate::ca) fn smime_capabilities(key: KeyAlgorithm) -> Vec<u8> {
    let list: Vec<Vec<u8>> = algorithm::preferred(Some(key)).iter().map(AlgorithmIdentifier::to_der).collect();
    extension(oid::SMIME_CAPABILITIES, false, &encode::sequence(&list))
}

/// The alternative names of mail addresses: rfc822Name, or SmtpUTF8Mailbox where the local part is not ASCII (RFC 9598). Critical where they
/// stand for an empty subject (RFC 5280 4.1.2.6).
pub(in crate::ca) fn mail_names(addresses: &[String], subject: &Name) -> Vec<u8> {
    let one = |address: &String| {
        if address.is_ascii() {
            return encode::implicit(1, &encode::ia5(address));
        }
        let value = encode::explicit(0, &encode::utf8(address));
        encode::implicit(0, &encode::sequence(&[encode::oid(&oid::SMTP_UTF8_MAILBOX), value]))
    };
    extension(oid::SUBJECT_ALT_NAME, subject.is_empty(), &encode::sequence(&addresses.iter().map(one).collect::<Vec<_>>()))
}

/// The alternative names of a server: dNSName, or iPAddress. Critical where they stand for an empty subject (RFC 5280 4.1.2.6).
pub(in crate::ca) fn host_names(hosts: &[String], subject: &Name) -> Vec<u8> {
    let one = |host: &String| match host.parse::<std::net::IpAddr>() {
        Ok(std::net::IpAddr::V4(ip)) => encode::tlv(Tag::context(7), &ip.octets()),
        Ok(std::net::IpAddr::V6(ip)) => encode::tlv(Tag::context(7), &ip.octets()),
        Err(_) => encode::implicit(2, &encode::ia5(host)),
    };
    extension(oid::SUBJECT_ALT_NAME, subject.is_empty(), &encode::sequence(&hosts.iter().map(one).collect::<Vec<_>>()))
}

/// The key usage bits of a mail certificate: what its key can do, and what was asked for.
pub(in crate::ca) fn mail_usage(public: &PublicKey, uses: Uses) -> Result<Vec<u32>, Error> {
    let key = public.algorithm();
    // RFC 9935 5: keys that are encapsulated to carry keys, and agree on none
    let encrypts = if key.agrees() { 4 } else { 2 };
    let refuse = |what: &str| Err(Error::Refused(format!("a key of the kind {key} cannot {what}")));
    match uses {
        Uses::Sign if !key.signs() => refuse("sign"),
        Uses::Encrypt if !public.encrypts() => refuse("encrypt"),
        Uses::Sign => Ok(vec![0]),
        Uses::Encrypt => Ok(vec![encrypts]),
        Uses::Dual => {
            let bits: Vec<u32> = [(key.signs(), 0), (public.encrypts(), encrypts)].iter().filter(|b| b.0).map(|b| b.1).collect();
            Ok(bits)
        }
    }
}

/// The identifier of the CSR's signature, checked by `request`.
pub(in crate::ca) fn signature_of(identifier: &AlgorithmIdentifier) -> Result<SignatureAlgorithm, Error> {
    Ok(SignatureAlgorithm::from_identifier(identifier, None)?)
}
