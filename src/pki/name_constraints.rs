//! Name constraints (RFC 5280 4.2.1.10): which names an authority may vouch for.

use crate::asn1::{Cursor, Tag, oid};
use crate::limits::{Budget, Limits};
use crate::pki::{Certificate, Error, GeneralName, domain};

/// The first name of a certificate that its issuer may not vouch for: what validation would say of it, before it is signed.
pub fn forbidden_name(issuer: &Certificate, certificate: &Certificate, limits: &Limits) -> Result<Option<String>, Error> {
    let Some(constraints) = NameConstraints::of(issuer)? else { return Ok(None) };
    constraints.forbids(certificate, &mut Budget::new("name comparisons", limits.name_checks))
}

/// The constraints of one authority.
#[derive(Debug, Clone, Default)]
pub(in crate::pki) struct NameConstraints {
    permitted: Vec<GeneralName>,
    excluded: Vec<GeneralName>,
}

impl NameConstraints {
    /// Those of a certificate, where it has any.
    pub(in crate::pki) fn of(certificate: &Certificate) -> Result<Option<Self>, Error> {
        let Some(extension) = certificate.extension(&oid::NAME_CONSTRAINTS) else { return Ok(None) };
        let mut fields = Cursor::new(&extension.value).sequence()?;
        let permitted = subtrees(fields.optional(Tag::context_constructed(0))?)?;
        let excluded = subtrees(fields.optional(Tag::context_constructed(1))?)?;
        fields.finish()?;
        if permitted.is_empty() && excluded.is_empty() {
            return Err(Error::Malformed("name constraints that name nothing"));
        }
        Ok(Some(Self { permitted, excluded }))
    }

    /// The first name of the certificate that these constraints forbid; each comparison is spent from `checks`.
    pub(in crate::pki) fn forbids(&self, certificate: &Certificate, checks: &mut Budget) -> Result<Option<String>, Error> {
        let names = names_of(certificate)?;
        checks.spend(names.len().saturating_mul(self.permitted.len().saturating_add(self.excluded.len())))?;
        Ok(names.iter().find(|name| self.forbids_name(name)).map(text))
    }

    fn forbids_name(&self, name: &GeneralName) -> bool {
        let excluded = || self.excluded.iter().filter(|base| same_form(base, name));
        let permitted = || self.permitted.iter().filter(|base| same_form(base, name));
        // 6.1.4 (g): a name that cannot be held against a constraint of its form is refused
        let is_beyond_us = |base: &GeneralName| !is_comparable(name) || !is_usable(base);
        excluded().chain(permitted()).any(is_beyond_us)
            || excluded().any(|base| inside(base, name) || is_below_wildcard(base, name))
            || permitted().next().is_some() && !permitted().any(|base| inside(base, name) && is_clearly_inside(base, name))
    }
}

fn subtrees(field: Option<crate::asn1::Element<'_>>) -> Result<Vec<GeneralName>, Error> {
    let Some(field) = field else { return Ok(Vec::new()) };
    let mut list = field.cursor()?;
    let mut found = Vec::new();
    while !list.is_empty() {
        let mut subtree = list.sequence()?;
        let base = GeneralName::from_element(&subtree.any()?)?;
        // RFC 5280 4.2.1.10: minimum and maximum are not used
        if !subtree.is_empty() {
            return Err(Error::Malformed("a name constraint with a minimum or a maximum"));
        }
        if matches!(&base, GeneralName::Rfc822(base) if base.matches('@').count() > 1) {
            return Err(Error::Malformed("a name constraint that is no address, host or domain"));
        }
        found.push(base);
    }
    Ok(found)
}

/// Every name that constraints speak about: subject, mail addresses of the subject, alternative names.
fn names_of(certificate: &Certificate) -> Result<Vec<GeneralName>, Error> {
    let mut names = Vec::new();
    if !certificate.subject().is_empty() {
        names.push(GeneralName::Directory(certificate.subject().clone()));
    }
    names.extend(certificate.subject().email_addresses().into_iter().map(GeneralName::Rfc822));
    names.extend(certificate.alternative_names()?);
    Ok(names)
}

/// Constraints on rfc822Name bind SmtpUTF8Mailbox, too (RFC 9598 6); those of forms that are not known here bind all such names.
fn same_form(base: &GeneralName, name: &GeneralName) -> bool {
    matches!(
        (base, name),
        (GeneralName::Rfc822(_), GeneralName::Rfc822(_) | GeneralName::SmtpUtf8(_))
            | (GeneralName::Dns(_), GeneralName::Dns(_))
            | (GeneralName::Uri(_), GeneralName::Uri(_))
            | (GeneralName::Ip(_), GeneralName::Ip(_))
            | (GeneralName::Directory(_), GeneralName::Directory(_))
            | (GeneralName::Other | GeneralName::SmtpUtf8(_), GeneralName::Other | GeneralName::SmtpUtf8(_))
    )
}

/// Whether a name is well-formed enough to say where it belongs.
fn is_comparable(name: &GeneralName) -> bool {
    match name {
        GeneralName::Rfc822(address) | GeneralName::SmtpUtf8(address) => address.rsplit_once('@').is_some_and(|(local, host)| {
            let is_clear = local.starts_with('"') || !local.contains('@');
            !local.is_empty() && !host.is_empty() && !host.starts_with('.') && is_clear && domain::to_ascii(host).is_some()
        }),
        GeneralName::Dns(host) => !host.is_empty() && !host.starts_with('.'),
        GeneralName::Uri(uri) => uri_host(uri).is_some(),
        GeneralName::Ip(bytes) => matches!(bytes.len(), 4 | 16),
        GeneralName::Directory(_) => true,
        GeneralName::Other => false,
    }
}

/// Whether a constraint is well-formed enough to be held against names.
fn is_usable(base: &GeneralName) -> bool {
    match base {
        GeneralName::Other | GeneralName::SmtpUtf8(_) => false,
        GeneralName::Rfc822(base) => {
            let host = base.rsplit_once('@').map_or(base.as_str(), |(_, host)| host);
            domain::to_ascii(host.strip_prefix('.').unwrap_or(host)).is_some()
        }
        _ => true,
    }
}

/// Whether a wildcard stands for a name that is excluded: `*.a.example` for `b.a.example`.
fn is_below_wildcard(base: &GeneralName, name: &GeneralName) -> bool {
    let (GeneralName::Dns(base), GeneralName::Dns(name)) = (base, name) else { return false };
    let (Some(domain), Some((_, parent))) = (name.strip_prefix("*."), base.split_once('.')) else { return false };
    domain.eq_ignore_ascii_case(parent)
}

fn inside(base: &GeneralName, name: &GeneralName) -> bool {
    match (base, name) {
        (GeneralName::Rfc822(base), GeneralName::Rfc822(name) | GeneralName::SmtpUtf8(name)) => mail_inside(base, name),
        (GeneralName::Dns(base), GeneralName::Dns(name)) => dns_inside(base, name),
        (GeneralName::Uri(base), GeneralName::Uri(name)) => uri_host(name).is_some_and(|host| host_inside(base, host)),
        (GeneralName::Ip(base), GeneralName::Ip(name)) => ip_inside(base, name),
        (GeneralName::Directory(base), GeneralName::Directory(name)) => name.is_below(base),
        _ => false,
    }
}

/// What is doubtful is excluded, and is not permitted: a mailbox in other capitals (RFC 5280 7.5 tells local parts apart by case), and a
/// host against a domain with a leading period, which RFC 5280 does not know and which its users take for what lies below.
fn is_clearly_inside(base: &GeneralName, name: &GeneralName) -> bool {
    match (base, name) {
        (GeneralName::Rfc822(base), GeneralName::Rfc822(name) | GeneralName::SmtpUtf8(name)) => {
            let local = |address: &str| address.rsplit_once('@').map(|(local, _)| local.to_owned());
            local(base).is_none_or(|own| local(name) == Some(own))
        }
        (GeneralName::Dns(base), GeneralName::Dns(name)) => {
            base.strip_prefix('.').is_none_or(|domain| !domain.eq_ignore_ascii_case(name))
        }
        _ => true,
    }
}

/// A mailbox, a host, or (with a leading period) every host below a domain.
fn mail_inside(base: &str, address: &str) -> bool {
    let Some((local, host)) = address.rsplit_once('@') else { return false };
    match base.rsplit_once('@') {
        // as addresses are compared everywhere here: else an excluded mailbox would pass in capitals
        Some((base_local, base_host)) => local.eq_ignore_ascii_case(base_local) && domain::same(host, base_host),
        None => domain::to_ascii(host).is_some_and(|host| mail_host_inside(base, &host)),
    }
}

/// A host with A-labels against a base that may have U-labels (RFC 9598 6).
fn mail_host_inside(base: &str, host: &str) -> bool {
    let (is_domain, name) = base.strip_prefix('.').map_or((false, base), |name| (true, name));
    domain::to_ascii(name).is_some_and(|name| host_inside(&if is_domain { format!(".{name}") } else { name.into_owned() }, host))
}

/// A host, or (with a leading period) every host below a domain.
fn host_inside(base: &str, host: &str) -> bool {
    let (base, host) = (base.to_ascii_lowercase(), host.to_ascii_lowercase());
    if base.starts_with('.') { host.len() > base.len() && host.ends_with(&base) } else { base.is_empty() || host == base }
}

/// The domain itself and everything below it.
fn dns_inside(base: &str, name: &str) -> bool {
    let (base, name) = (base.to_ascii_lowercase(), name.to_ascii_lowercase());
    let base = base.trim_start_matches('.');
    base.is_empty() || name == base || name.strip_suffix(base).is_some_and(|rest| rest.ends_with('.'))
}

fn uri_host(uri: &str) -> Option<&str> {
    let (_, rest) = uri.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let host = host.rsplit_once(':').map_or(host, |(host, _)| host);
    (!host.is_empty() && !host.starts_with('[')).then_some(host)
}

/// An address and a mask, both of the length of the name.
fn ip_inside(base: &[u8], name: &[u8]) -> bool {
    let Some((network, mask)) = base.split_at_checked(name.len()) else { return false };
    mask.len() == name.len() && network.iter().zip(mask).zip(name).all(|((network, mask), byte)| network & mask == byte & mask)
}

fn text(name: &GeneralName) -> String {
    match name {
        GeneralName::Rfc822(text) | GeneralName::SmtpUtf8(text) | GeneralName::Dns(text) | GeneralName::Uri(text) => text.clone(),
        GeneralName::Directory(name) => name.to_string(),
        GeneralName::Ip(bytes) => format!("{bytes:?}"),
        GeneralName::Other => "another name".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mail_constraints_bind_hosts_domains_and_mailboxes() {
        assert!(mail_inside("a.example", "jane@A.example"));
        assert!(!mail_inside("a.example", "jane@mail.a.example"));
        assert!(mail_inside(".a.example", "jane@mail.a.example"));
        assert!(!mail_inside(".a.example", "jane@a.example"));
        assert!(mail_inside("jane@a.example", "jane@a.example"));
        assert!(!mail_inside("jane@a.example", "joe@a.example"));
        assert!(mail_inside("jane@a.example", "JANE@a.example"));
        for base in ["xn--bcher-kva.example", "b\u{fc}cher.example", "j\u{fc}rgen@XN--BCHER-KVA.example"] {
            assert!(
                mail_inside(base, "j\u{fc}rgen@b\u{fc}cher.example") && mail_inside(base, "j\u{fc}rgen@xn--bcher-kva.example"),
                "{base}"
            );
        }
        assert!(mail_inside(".xn--bcher-kva.example", "jane@mail.b\u{fc}cher.example"));
        assert!(!mail_inside(".xn--bcher-kva.example", "jane@b\u{fc}cher.example"));
        assert!(dns_inside("a.example", "mail.a.example") && !dns_inside("a.example", "xa.example"));
        assert!(
            ip_inside(&[10, 0, 0, 0, 255, 0, 0, 0], &[10, 1, 2, 3]) && !ip_inside(&[10, 0, 0, 0, 255, 0, 0, 0], &[11, 1, 2, 3])
        );
    }

    #[test]
    fn what_is_doubtful_is_neither_permitted_nor_free() {
        let mail = |base: &str| GeneralName::Rfc822(base.to_owned());
        let dns = |base: &str| GeneralName::Dns(base.to_owned());
        for (base, doubtful, clear) in [
            (mail("jane@a.example"), mail("JANE@a.example"), mail("jane@A.EXAMPLE")),
            (dns(".a.example"), dns("A.example"), dns("www.A.example")),
        ] {
            let permitting = NameConstraints { permitted: vec![base.clone()], excluded: Vec::new() };
            let excluding = NameConstraints { permitted: Vec::new(), excluded: vec![base] };
            assert!(permitting.forbids_name(&doubtful) && excluding.forbids_name(&doubtful), "{doubtful:?}");
            assert!(!permitting.forbids_name(&clear) && excluding.forbids_name(&clear), "{clear:?}");
        }
    }

    #[test]
    fn names_that_cannot_be_compared_are_forbidden_where_their_form_is_bound() {
        let mail = |base: &str| GeneralName::Rfc822(base.to_owned());
        let dns = |base: &str| GeneralName::Dns(base.to_owned());
        let excluding = |base: GeneralName| NameConstraints { permitted: Vec::new(), excluded: vec![base] };
        for (base, name) in [
            (mail("a.example"), mail("no address")),
            (mail("a.example"), mail("x@y@b.example")),
            (mail("xn--bcher-kva.example"), GeneralName::SmtpUtf8("\u{fc}@b\u{fc}cher.example".to_owned())),
            (mail("a.example"), GeneralName::SmtpUtf8("\u{fc}@\u{ff41}.example".to_owned())),
            (mail("\u{ff41}.example"), mail("jane@b.example")),
            (mail("jane@a.example"), mail("JANE@a.example")),
            (dns("b.a.example"), dns("*.a.example")),
            (dns("a.example"), dns(".b.example")),
            (GeneralName::Other, GeneralName::Other),
            (GeneralName::Other, GeneralName::SmtpUtf8("j@b.example".to_owned())),
        ] {
            assert!(excluding(base.clone()).forbids_name(&name), "{base:?} {name:?}");
        }
        for (base, name) in [
            (mail("a.example"), dns("*.a.example")),
            (dns("b.c.a.example"), dns("*.a.example")),
            (GeneralName::Other, mail("jane@a.example")),
        ] {
            assert!(!excluding(base.clone()).forbids_name(&name), "{base:?} {name:?}");
        }
    }
}
