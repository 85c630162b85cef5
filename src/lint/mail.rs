//! S/MIME Baseline Requirements 6.1.5, 6.3.2, 7.1.2.3, 7.1.3, 7.1.6.4: mail certificates, less their subject.

use crate::asn1::{Oid, oid};
use crate::crypto::algorithm::KeyAlgorithm;
use crate::lint::baseline::Validation;
use crate::lint::facts::Facts;
use crate::lint::{BaselineType, Rule, error, list_of, notice, say, warning};
use crate::pki::{GeneralName, PolicyQualifier};

/// For a certificate that does not claim to keep these requirements, when nobody asked for them.
pub(super) const UNCLAIMED: &[Rule] = &[notice("cabf.mail.unclaimed", "S/MIME BR 7.1.6.4", |_| {
    Some(
        "it names no policy of the S/MIME Baseline Requirements and is not held against them – `--for cabf` does it all the same"
            .to_owned(),
    )
})];

pub(super) const RULES: &[Rule] = &[
    error("cabf.mail.policies-missing", "S/MIME BR 7.1.2.3 a", |facts| {
        say(!facts.has(&oid::CERTIFICATE_POLICIES), "there is no certificatePolicies")
    }),
    error("cabf.mail.policy", "S/MIME BR 7.1.2.3 a, 7.1.6.4", |facts| {
        let wanted = facts.baseline.policy();
        let has_it = facts.policies.iter().any(|policy| policy.oid == wanted);
        let text = || format!("the policy {wanted} of its type {} is not named", facts.baseline);
        (facts.has(&oid::CERTIFICATE_POLICIES) && !has_it).then(text)
    }),
    error("cabf.mail.policies-several", "S/MIME BR 7.1.2.3 a", |facts| {
        let reserved = facts.policies.iter().filter(|policy| BaselineType::from_policy(&policy.oid).is_some());
        say(reserved.count() > 1, "several reserved policies are named, and there must be exactly one")
    }),
    error("cabf.mail.policy-any", "S/MIME BR 7.1.6.4", |facts| {
        say(facts.policies.iter().any(|policy| policy.oid == oid::ANY_POLICY), "any policy is named")
    }),
    warning("cabf.mail.policies-critical", "S/MIME BR 7.1.2.3 a", |facts| {
        say(facts.is_critical(&oid::CERTIFICATE_POLICIES), "certificatePolicies is critical")
    }),
    error("cabf.policy-qualifier", "S/MIME BR 7.1.2.3 a", bad_qualifier),
    error("cabf.mail.legacy-ended", "S/MIME BR 7.1.6.1", |facts| {
        let is_late = facts.certificate.not_before().unix() >= LEGACY_ENDED;
        say(
            facts.baseline.is_legacy() && is_late,
            "it is of the legacy generation, which was not issued any more from 2025-07-15 on",
        )
    }),
    error("cabf.mail.eku-missing", "S/MIME BR 7.1.2.3 f", |facts| {
        say(!facts.is_for(&oid::EMAIL_PROTECTION), "extKeyUsage is not there, or has no emailProtection")
    }),
    error("cabf.mail.eku-other", "S/MIME BR 7.1.2.3 f", |facts| {
        let is_wrong = |purpose: &&Oid| match facts.baseline.is_strict() {
            true => **purpose != oid::EMAIL_PROTECTION,
            false => FOREIGN_PURPOSES.contains(purpose),
        };
        let wrong = facts.purposes.iter().flatten().filter(is_wrong);
        list_of("extKeyUsage has purposes that a mail certificate must not have", wrong.map(name))
    }),
    error("cabf.mail.key-usage-missing", "S/MIME BR 7.1.2.3 e", |facts| say(!facts.has(&oid::KEY_USAGE), "there is no keyUsage")),
    error("cabf.mail.key-usage", "S/MIME BR 7.1.2.3 e", bad_key_usage),
    error("cabf.mail.is-ca", "S/MIME BR 7.1.2.3 d", |facts| say(facts.is_authority(), "it is an authority's")),
    error("cabf.mail.san-missing", "S/MIME BR 7.1.2.3 h, 7.1.4.2.1", |facts| {
        say(facts.addresses().next().is_none(), "subjectAltName is not there, or has no mail address")
    }),
    error("cabf.mail.san-other", "S/MIME BR 7.1.4.2.1", |facts| {
        let is_wrong = |(form, name): &&(u32, GeneralName)| match form {
            0 => matches!(name, GeneralName::Other) && facts.baseline.is_strict(),
            1 | 4 => false,
            _ => true,
        };
        let any = facts.names.iter().flatten().any(|name| is_wrong(&name));
        say(any, "subjectAltName has names of forms that a mail certificate of its type must not have")
    }),
    error("cabf.mail.points-missing", "S/MIME BR 7.1.2.3 b", |facts| {
        let is_there = facts.points.iter().any(|name| matches!(name, GeneralName::Uri(uri) if is_http(uri)));
        say(!is_there, "cRLDistributionPoints is not there, or has no place that begins with http:")
    }),
    error("cabf.mail.points-scheme", "S/MIME BR 7.1.2.3 b", |facts| {
        let other = facts.points.iter().filter(|name| !matches!(name, GeneralName::Uri(uri) if is_http(uri)));
        if facts.baseline.is_legacy() {
            None
        } else {
            list_of("cRLDistributionPoints has places that do not begin with http:", other)
        }
    }),
    error("cabf.points-critical", "TLS BR 7.1.2.11.2", |facts| {
        say(facts.is_critical(&oid::CRL_DISTRIBUTION_POINTS), "cRLDistributionPoints is critical")
    }),
    warning("cabf.mail.access-missing", "S/MIME BR 7.1.2.3 c", |facts| {
        say(
            !facts.has(&oid::AUTHORITY_INFO_ACCESS),
            "there is no authorityInfoAccess, so the issuer's certificate cannot be fetched",
        )
    }),
    warning("cabf.mail.issuer-place-missing", "S/MIME BR 7.1.2.3 c", |facts| {
        let is_there = facts.access.iter().any(|(method, _)| *method == oid::AD_CA_ISSUERS);
        say(
            facts.has(&oid::AUTHORITY_INFO_ACCESS) && !is_there,
            "authorityInfoAccess does not say where the issuer's certificate is",
        )
    }),
    error("cabf.mail.access-scheme", "S/MIME BR 7.1.2.3 c", |facts| {
        let other = facts.access.iter().filter(|(_, name)| !matches!(name, GeneralName::Uri(uri) if is_http(uri)));
        if facts.baseline.is_legacy() {
            return None;
        }
        list_of("authorityInfoAccess has places that do not begin with http:", other.map(|(_, name)| name))
    }),
    error("cabf.authority-key-id", "S/MIME BR 7.1.2.3 g", authority_key_id),
    error("cabf.mail.directory-attributes", "S/MIME BR 7.1.2.3 j", |facts| {
        let has_them = facts.has(&oid::SUBJECT_DIRECTORY_ATTRIBUTES);
        say(has_them && !facts.baseline.is_legacy(), "subjectDirectoryAttributes is there, which only the legacy generation knew")
    }),
    error("cabf.mail.critical", "S/MIME BR 7.1.2.3 k to m", |facts| {
        let never = [oid::QC_STATEMENTS, oid::LEI, oid::LEI_ROLE, oid::ADOBE_TIME_STAMP, oid::ADOBE_ARCHIVE_REV_INFO];
        list_of("extensions are critical that must not be", never.iter().filter(|oid| facts.is_critical(oid)).map(name))
    }),
    error("cabf.mail.lei", "S/MIME BR 7.1.2.3 l", |facts| {
        let (takes_lei, takes_role) = match facts.baseline.validation {
            Validation::Mailbox | Validation::Individual => (false, false),
            Validation::Organization => (true, false),
            Validation::Sponsor => (true, true),
        };
        let wrong = facts.has(&oid::LEI) && !takes_lei || facts.has(&oid::LEI_ROLE) && !takes_role;
        say(wrong, "it has a Legal Entity Identifier, or one of a role, which its type must not have")
    }),
    error("cabf.mail.adobe", "S/MIME BR 7.1.2.3 m", |facts| {
        let has_them = facts.has(&oid::ADOBE_TIME_STAMP) || facts.has(&oid::ADOBE_ARCHIVE_REV_INFO);
        say(has_them && facts.baseline.is_strict(), "it has extensions of Adobe's, which the strict generation does not know")
    }),
    error("cabf.mail.validity", "S/MIME BR 6.3.2", |facts| {
        let most = longest(facts.baseline);
        let days = facts.seconds().saturating_add(DAY - 1) / DAY;
        (days > most).then(|| format!("it is valid for {days} days, over {most}"))
    }),
    warning("cabf.mail.validity-at-most", "S/MIME BR 6.3.2", |facts| {
        let most = longest(facts.baseline).saturating_mul(DAY);
        say(facts.seconds() == most, "it is valid for the longest time that is allowed, to the second")
    }),
    error("cabf.key", "S/MIME BR 6.1.5, 7.1.3.1", |facts| {
        let is_known = KEYS.iter().any(|known| *known == facts.key_algorithm);
        say(!is_known, "the public key is of a kind, or named in a way, that the Baseline Requirements do not know")
    }),
    error("cabf.key-size", "S/MIME BR 6.1.5", |facts| {
        let bits = facts.rsa_bits()?;
        (bits < 2048 || bits % 8 != 0).then(|| format!("the RSA key has {bits} bits: under 2048, or no multiple of 8"))
    }),
    error("cabf.signature-algorithm", "S/MIME BR 7.1.3.2", |facts| {
        let algorithm = facts.certificate.signature_algorithm();
        let is_known = is_known_signature(&algorithm.to_der());
        (!is_known)
            .then(|| format!("the signature is of a kind that the Baseline Requirements do not know: {}", algorithm.name()))
    }),
    error("cabf.serial-bits", "S/MIME BR 7.1", |facts| {
        say(facts.certificate.serial().len() < 8, "the serial number is too short to have 64 random bits")
    }),
];

/// 2025-07-15T00:00:00Z.
const LEGACY_ENDED: i64 = 1_752_537_600;

pub(super) const DAY: i64 = 86_400;

const fn longest(baseline: BaselineType) -> i64 {
    if baseline.is_legacy() { 1185 } else { 825 }
}

/// What mail certificates of no generation may be good for. OCSPSigning: RFC 6960 4.2.2.2, it would make its holder a responder.
const FOREIGN_PURPOSES: [Oid; 5] =
    [oid::ANY_EXTENDED_KEY_USAGE, oid::CODE_SIGNING, oid::OCSP_SIGNING, oid::SERVER_AUTH, oid::TIME_STAMPING];

fn name(oid: &Oid) -> String {
    oid::name(oid).map_or_else(|| oid.to_string(), str::to_owned)
}

pub(super) fn is_http(uri: &str) -> bool {
    uri.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case("http://"))
}

/// The table of 7.1.2.3 e: for each kind of key the bits that signing and encryption need, and those that they may have.
fn bad_key_usage(facts: &Facts<'_>) -> Option<String> {
    let bits = facts.usage.as_ref()?;
    let key = facts.key.as_ref().map(|key| key.algorithm());
    let is_kem = facts.key_algorithm.starts_with(ML_KEM);
    let (encrypts, beside): (&[u8], &[u8]) = match key {
        Some(KeyAlgorithm::Rsa(_)) if facts.baseline.is_strict() => (&[2], &[]),
        Some(KeyAlgorithm::Rsa(_)) => (&[2], &[3]),
        _ if is_kem => (&[2], &[]),
        Some(key) if key.encrypts() => (&[4], &[7, 8]),
        _ => (&[], &[]),
    };
    let signs: &[u8] = if is_kem { &[] } else { &[0] };
    let is_signing = signs.iter().any(|bit| bits.contains(bit));
    let is_encrypting = encrypts.iter().any(|bit| bits.contains(bit));
    if !is_signing && !is_encrypting {
        return Some("keyUsage allows neither signing nor encryption as a key of this kind does them".to_owned());
    }
    let is_allowed = |bit: &u8| match bit {
        0 => is_signing,
        1 => is_signing,
        bit => is_encrypting && (encrypts.contains(bit) || beside.contains(bit)),
    };
    let wrong = bits.iter().filter(|bit| !is_allowed(bit));
    list_of("keyUsage allows what a mail certificate of its type must not", wrong.map(|bit| bit_name(*bit)))
}

pub(crate) fn bit_name(bit: u8) -> &'static str {
    const NAMES: [&str; 9] = [
        "digitalSignature",
        "nonRepudiation",
        "keyEncipherment",
        "dataEncipherment",
        "keyAgreement",
        "keyCertSign",
        "cRLSign",
        "encipherOnly",
        "decipherOnly",
    ];
    NAMES.get(usize::from(bit)).copied().unwrap_or("a bit that has no meaning")
}

pub(super) fn authority_key_id(facts: &Facts<'_>) -> Option<String> {
    let fits = facts.authority_key == [0];
    say(!fits, "authorityKeyIdentifier is not there, or has something else than a key identifier")
}

pub(super) fn bad_qualifier(facts: &Facts<'_>) -> Option<String> {
    let is_bad = |qualifier: &PolicyQualifier| match qualifier {
        PolicyQualifier::Statement(uri) => !is_http(uri) && !uri.starts_with("https://"),
        PolicyQualifier::Notice { reference, text } => reference.is_some() || text.is_none(),
        PolicyQualifier::Other(_) => true,
    };
    let any = facts.policies.iter().flat_map(|policy| &policy.qualifiers).any(is_bad);
    say(any, "a policy has a statement that is no web address, or a notice without text or with a reference")
}

const ML_KEM: &[u8] = &[0x30, 0x0b, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x04];

/// 7.1.3.1: the algorithms of keys, byte for byte.
const KEYS: [&[u8]; 12] = [
    &[0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00],
    &[
        0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01,
        0x07,
    ],
    &[0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22],
    &[0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x23],
    &[0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70],
    &[0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x71],
    &[0x30, 0x0b, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x03, 0x11],
    &[0x30, 0x0b, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x03, 0x12],
    &[0x30, 0x0b, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x03, 0x13],
    &[0x30, 0x0b, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x04, 0x01],
    &[0x30, 0x0b, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x04, 0x02],
    &[0x30, 0x0b, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x04, 0x03],
];

/// 7.1.3.2: the algorithms of signatures, byte for byte; PSS with one digest throughout and a salt as long as it.
pub(super) fn is_known_signature(der: &[u8]) -> bool {
    const RSA: &[u8] = &[0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01];
    const ECDSA: &[u8] = &[0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03];
    let pss = |digest: u8, salt: u8| {
        const HASH: &[u8] = &[0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02];
        const MASK: &[u8] = &[0xa1, 0x1c, 0x30, 0x1a, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x08];
        let head = [&[0x30, 0x41][..], RSA.get(2..).unwrap_or_default(), &[0x0a, 0x30, 0x34, 0xa0, 0x0f]].concat();
        [&head[..], HASH, &[digest, 5, 0], MASK, HASH, &[digest, 5, 0], &[0xa2, 3, 2, 1, salt]].concat()
    };
    match der.strip_prefix(RSA) {
        Some([0x0b..=0x0d, 0x05, 0x00]) => return true,
        Some(_) => return false,
        None => {}
    }
    match der.strip_prefix(ECDSA) {
        Some([2..=4]) => true,
        Some(_) => false,
        None => {
            KEYS.iter().skip(4).take(5).any(|known| *known == der)
                || [pss(1, 32), pss(2, 48), pss(3, 64)].iter().any(|p| p == der)
        }
    }
}
