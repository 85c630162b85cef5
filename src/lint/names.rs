//! RFC 5280 4.1.2.4 to 4.1.2.6, 4.2.1.6: names, and how they are written.

use crate::asn1::{Class, Oid, Tag, oid};
use crate::lint::facts::{Facts, Written, written};
use crate::lint::{Rule, baseline, error, list_of, notice, say, warning};
use crate::pki::GeneralName;

pub(super) const RULES: &[Rule] = &[
    error("pkix.subject-empty", "RFC 5280 4.1.2.6", |facts| {
        say(facts.is_authority() && facts.subject.is_empty(), "an authority has no name")
    }),
    error("pkix.subject-or-san", "RFC 5280 4.1.2.6", |facts| {
        let is_critical = facts.is_critical(&oid::SUBJECT_ALT_NAME);
        say(facts.subject.is_empty() && !is_critical, "the subject is empty, and subjectAltName is not there or not critical")
    }),
    warning("pkix.san-critical", "RFC 5280 4.2.1.6", |facts| {
        let is_critical = facts.is_critical(&oid::SUBJECT_ALT_NAME);
        say(!facts.subject.is_empty() && is_critical, "subjectAltName is critical although there is a subject")
    }),
    error("pkix.san-empty", "RFC 5280 4.2.1.6", |facts| {
        say(facts.names.as_ref().is_some_and(Vec::is_empty), "subjectAltName has no names, or none that can be read")
    }),
    error("pkix.san-address", "RFC 5280 4.2.1.6", |facts| {
        let rfc822 = facts.names.iter().flatten().filter_map(|(_, name)| match name {
            GeneralName::Rfc822(address) => Some(address),
            _ => None,
        });
        list_of("subjectAltName has what is no mail address of ASCII letters", rfc822.filter(|address| !is_mailbox(address)))
    }),
    error("pkix.san-smtp-utf8", "RFC 9598 3", |facts| {
        let utf8 = facts.names.iter().flatten().filter_map(|(_, name)| match name {
            GeneralName::SmtpUtf8(address) => Some(address),
            _ => None,
        });
        let is_fit = |address: &&String| {
            let split = address.rsplit_once('@');
            split.is_some_and(|(local, domain)| !local.is_ascii() && is_domain(domain) && !address.contains('\u{feff}'))
        };
        list_of(
            "a SmtpUTF8Mailbox has a local part that is ASCII (which belongs in a rfc822Name), or a domain that is not",
            utf8.filter(|address| !is_fit(address)),
        )
    }),
    error("pkix.san-dns", "RFC 5280 4.2.1.6", |facts| {
        let names = facts.certificate.dns_names();
        let is_fit = |name: &&String| is_domain(name.strip_prefix("*.").unwrap_or(name));
        list_of("subjectAltName has what is no DNS name", names.iter().filter(|name| !is_fit(name)))
    }),
    error("pkix.san-ip", "RFC 5280 4.2.1.6", |facts| {
        let is_odd = |name: &GeneralName| matches!(name, GeneralName::Ip(bytes) if !matches!(bytes.len(), 4 | 16));
        say(
            facts.names.iter().flatten().any(|(_, name)| is_odd(name)),
            "subjectAltName has an IP address of another length than 4 or 16",
        )
    }),
    error("pkix.address-not-in-san", "RFC 5280 4.2.1.6", |facts| {
        let missing = facts.values(oid::EMAIL_ADDRESS).filter(|address| !facts.addresses().any(|known| known == *address));
        list_of("addresses of the subject are not in subjectAltName", missing)
    }),
    error("pkix.attribute-length", "RFC 5280 appendix A.1", |facts| {
        let too_long = |attribute: &&Written| {
            let length = attribute.text.chars().count();
            length == 0 || upper_bound(&attribute.oid).is_some_and(|most| length > most)
        };
        list_of(
            "attributes of the subject are empty, or longer than they may be",
            facts.subject.iter().filter(too_long).map(shown),
        )
    }),
    error("pkix.attribute-form", "RFC 5280 appendix A.1", |facts| {
        let issuer = written(facts.certificate.issuer().der()).unwrap_or_default();
        let bad = facts.subject.iter().chain(&issuer).filter(|attribute| !has_form(attribute));
        list_of("attributes are not written as they must be", bad.map(shown))
    }),
    warning("pkix.attribute-old-form", "RFC 5280 4.1.2.4", |facts| {
        let old = |tag: Tag| [Tag::TELETEX_STRING, Tag::UNIVERSAL_STRING, Tag::BMP_STRING].contains(&tag);
        list_of(
            "attributes of the subject are in a character set that new certificates shall not use",
            facts.subject.iter().filter(|attribute| old(attribute.tag)).map(shown),
        )
    }),
    error("pkix.country", "RFC 5280 appendix A.1", |facts| {
        list_of("a country is not two capital letters", facts.values(oid::COUNTRY).filter(|code| !is_two_letters(code)))
    }),
    notice("pkix.country-unknown", "ISO 3166-1", |facts| {
        list_of(
            "no country has this code",
            facts.values(oid::COUNTRY).filter(|code| is_two_letters(code) && !baseline::is_country(code)),
        )
    }),
];

fn is_two_letters(code: &str) -> bool {
    code.len() == 2 && code.bytes().all(|byte| byte.is_ascii_uppercase())
}

fn shown(attribute: &Written) -> String {
    let name = oid::name(&attribute.oid).map_or_else(|| attribute.oid.to_string(), str::to_owned);
    format!("{name}={}", attribute.text)
}

/// Upper bounds of RFC 5280 appendix A.1, in characters.
fn upper_bound(oid: &Oid) -> Option<usize> {
    Some(match *oid {
        oid::COMMON_NAME | oid::ORGANIZATION | oid::ORGANIZATIONAL_UNIT | oid::TITLE | oid::SERIAL_NUMBER => 64,
        oid::LOCALITY | oid::STATE | oid::PSEUDONYM => 128,
        oid::EMAIL_ADDRESS => 255,
        oid::GIVEN_NAME | oid::SURNAME => 32_768,
        _ => return None,
    })
}

/// Whether an attribute has the type of string that it must have, and letters of that type.
fn has_form(attribute: &Written) -> bool {
    let tag = attribute.tag;
    if tag.class != Class::Universal {
        return false;
    }
    let is_printable = || attribute.content.iter().all(|byte| byte.is_ascii_alphanumeric() || b" '()+,-./:=?".contains(byte));
    match attribute.oid {
        oid::COUNTRY | oid::SERIAL_NUMBER => tag == Tag::PRINTABLE_STRING && is_printable(),
        oid::EMAIL_ADDRESS | oid::DOMAIN_COMPONENT => tag == Tag::IA5_STRING && attribute.content.is_ascii(),
        _ if tag == Tag::PRINTABLE_STRING => is_printable(),
        _ if tag == Tag::UTF8_STRING => std::str::from_utf8(&attribute.content).is_ok(),
        _ => true,
    }
}

fn is_mailbox(address: &str) -> bool {
    let Some((local, domain)) = address.rsplit_once('@') else { return false };
    let is_clean = |byte: u8| byte.is_ascii_graphic() && !b"<>()[],;:\\\"@".contains(&byte);
    let is_quoted = local.len() > 2 && local.starts_with('"') && local.ends_with('"');
    let is_atom = !local.is_empty() && local.bytes().all(is_clean);
    address.is_ascii() && local.len() <= 64 && (is_atom || is_quoted) && is_domain(domain)
}

fn is_domain(domain: &str) -> bool {
    let is_label = |label: &str| {
        let inner = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
        (1..=63).contains(&label.len()) && inner && !label.starts_with('-') && !label.ends_with('-')
    };
    domain.len() <= 253 && domain.split('.').all(is_label)
}

impl Facts<'_> {
    /// Names that stand together in one relative name.
    pub(super) fn has_names_beside(&self) -> bool {
        self.subject.iter().any(|attribute| attribute.is_beside)
    }
}
