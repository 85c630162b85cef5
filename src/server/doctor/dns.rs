//! Whether the DNS leads mail of our domains here, and lets others know that it is ours.

use std::net::IpAddr;

use crate::keys::directory::smimea::Record;
use crate::keys::domain::zone_text;
use crate::pki::{Certificate, hex};
use crate::server::doctor::spf::{self, Word};
use crate::server::doctor::{Concern, Finding, Severity};
use crate::server::outbound::sts::{self, Mode};

/// Asks the DNS. An answer without records is no error; an error is that nobody answers.
pub trait Resolve {
    /// The servers of a domain with their preferences.
    fn mx(&self, domain: &str) -> Result<Vec<(u16, String)>, String>;
    /// The texts of a name.
    fn texts(&self, name: &str) -> Result<Vec<String>, String>;
    /// The addresses of a host.
    fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, String>;
    /// The names of an address.
    fn names(&self, address: IpAddr) -> Result<Vec<String>, String>;
    /// The TLSA records of a name.
    fn tlsa(&self, name: &str) -> Result<Vec<Record>, String>;
    /// The MTA-STS policy of a domain, fetched over HTTPS; `None` where that is not wanted.
    fn policy(&self, domain: &str) -> Option<Result<String, String>>;
}

/// This host, as others find it.
#[derive(Debug, Clone)]
pub struct Host<'a> {
    /// Its name.
    pub hostname: &'a str,
    /// Who reaches it.
    pub reach: Reach,
    /// The certificate that it shows.
    pub certificate: Option<&'a Certificate>,
    /// The keys with which it signs, where that is known.
    pub dkim: Option<&'a [DkimKey]>,
}

/// Who reaches a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Others: what the DNS says of it matters now.
    World,
    /// This machine alone: what the DNS says will matter once others do.
    Machine,
}

/// A key that has to be published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DkimKey {
    /// The domain that signs with it.
    pub domain: String,
    /// Where it has to be, as `s1._domainkey.a.example`.
    pub name: String,
    /// What has to be there, as `v=DKIM1; k=rsa; p=…`.
    pub record: String,
}

/// Whether a domain is one that the public DNS cannot know (RFC 6761, RFC 6762, RFC 8375).
pub fn is_reserved(domain: &str) -> bool {
    let domain = domain.trim_end_matches('.').to_lowercase();
    let last = domain.rsplit('.').next().unwrap_or_default();
    let below = |parent: &str| domain == parent || domain.ends_with(&format!(".{parent}"));
    ["localhost", "test", "example", "invalid", "local", "internal", "localdomain"].contains(&last)
        || ["example.com", "example.net", "example.org", "home.arpa"].into_iter().any(below)
        || !domain.contains('.')
}

/// Domains that were left out, as the public DNS does not know them.
pub fn not_public(domains: &[&str]) -> Option<Finding> {
    let text = format!("the DNS was not asked for {}: names that only this network knows", domains.join(", "));
    (!domains.is_empty()).then(|| Finding::info("domain-not-public", text))
}

/// Nobody asked the DNS.
pub fn not_asked() -> Finding {
    Finding::info("dns-not-asked", "the DNS was not asked")
}

/// The DNS does not answer at all: the rest was not asked.
pub fn unreachable(why: &str) -> Finding {
    let text = format!("the DNS does not answer, and nothing in it was checked – {why}");
    Finding::warning("dns-unreachable", Concern::Machine, text).fix("cat /etc/resolv.conf")
}

/// Judges what is found of this host: its addresses, their names, its TLSA records.
pub fn host(resolver: &dyn Resolve, host: &Host<'_>) -> Result<Vec<Finding>, String> {
    let mut found = Vec::new();
    let name = host.hostname;
    let addresses = resolver.addresses(name)?;
    if addresses.is_empty() {
        let text = format!("{name} has no address in the DNS: other servers do not find this one");
        found.push(host.error("host-no-address", text).fix(format!("{name}. IN A ADDRESS")));
    }
    for address in addresses {
        let names = resolver.names(address)?;
        let reverse = reverse(address);
        if names.is_empty() {
            let text = format!("{address}, which is {name}, has no name in the DNS (PTR): many servers refuse its mail");
            found.push(host.warning("ptr-missing", text).fix(format!("{reverse} IN PTR {name}.")));
            continue;
        }
        let mut is_confirmed = false;
        for known in &names {
            is_confirmed |= resolver.addresses(known.trim_end_matches('.'))?.contains(&address);
        }
        if !is_confirmed {
            let text =
                format!("{address}, which is {name}, has the name {} (PTR), and that name does not lead back", names.join(", "));
            found.push(host.warning("ptr-unconfirmed", text).fix(format!("{reverse} IN PTR {name}.")));
        }
    }
    let owner = format!("_25._tcp.{name}");
    let records = resolver.tlsa(&owner)?;
    if let Some(own) = host.certificate.filter(|own| !records.is_empty() && !records.iter().any(|record| record.fits(own))) {
        let text = format!("no TLSA record of {owner} fits the server's certificate: servers that ask for DANE send it no mail");
        found.push(host.error("tlsa-other", text).fix(format!("{owner}. IN TLSA 3 1 1 {}", key_digest(own))));
    }
    Ok(found)
}

/// Judges what is found of a domain.
pub fn domain(resolver: &dyn Resolve, host: &Host<'_>, domain: &str) -> Result<Vec<Finding>, String> {
    let ours = resolver.addresses(host.hostname)?;
    let servers = resolver.mx(domain)?;
    let mut found = mx(resolver, host, domain, &servers, &ours)?;
    found.extend(spf_of(resolver, host, domain, &ours)?);
    found.extend(dkim(resolver, host, domain)?);
    found.extend(dmarc(resolver, host, domain)?);
    found.extend(mta_sts(resolver, host, (domain, &servers))?);
    Ok(found)
}

fn mx(
    resolver: &dyn Resolve,
    host: &Host<'_>,
    domain: &str,
    servers: &[(u16, String)],
    ours: &[IpAddr],
) -> Result<Vec<Finding>, String> {
    let record = format!("{domain}. IN MX 10 {}.", host.hostname);
    if servers.is_empty() {
        // RFC 5321 5.1: a domain without MX records is its own server
        if resolver.addresses(domain)?.iter().any(|address| ours.contains(address)) {
            let text = format!("{domain} has no MX record; its address leads here, and that is not what it is for");
            return Ok(vec![host.warning("mx-missing", text).fix(record)]);
        }
        let text = format!("{domain} has no MX record: mail for it does not come here");
        return Ok(vec![host.error("mx-missing", text).fix(record)]);
    }
    if servers.iter().any(|(_, name)| name == "." || name.is_empty()) {
        let text = format!("{domain} has a null MX: it says that it takes no mail (RFC 7505)");
        return Ok(vec![host.error("mx-null", text).fix(record)]);
    }
    let (mut found, mut leads_here) = (Vec::new(), false);
    for (_, name) in servers {
        let name = name.trim_end_matches('.');
        let addresses = resolver.addresses(name)?;
        if addresses.is_empty() {
            let text = format!("the MX record of {domain} names {name}, which has no address");
            found.push(host.error("mx-no-address", text).fix(format!("{name}. IN A ADDRESS")));
        }
        leads_here |= name.eq_ignore_ascii_case(host.hostname) || addresses.iter().any(|address| ours.contains(address));
    }
    if !leads_here {
        let names: Vec<&str> = servers.iter().map(|(_, name)| name.as_str()).collect();
        let text = format!("the MX records of {domain} lead to {}, and not to {}", names.join(", "), host.hostname);
        found.push(host.error("mx-elsewhere", text).fix(record));
    }
    Ok(found)
}

fn spf_of(resolver: &dyn Resolve, host: &Host<'_>, domain: &str, ours: &[IpAddr]) -> Result<Vec<Finding>, String> {
    let record = format!("{domain}. IN TXT \"v=spf1 mx -all\"");
    let nobody = [IpAddr::from([192, 0, 2, 1])];
    for address in if ours.is_empty() { &nobody } else { ours } {
        let (code, text) = match spf::ask(resolver, domain, *address) {
            Word::Pass => continue,
            Word::No if ours.is_empty() => continue,
            Word::No => {
                ("spf-not-us", format!("the SPF record of {domain} does not let {address} send, which is {}", host.hostname))
            }
            Word::None => ("spf-missing", format!("{domain} has no SPF record: who forges its mail is not told from it")),
            Word::Broken(why) => ("spf-invalid", format!("the SPF record of {domain} is none – {why}")),
            Word::Unknown(why) => return Err(why),
        };
        let finding = if code == "spf-missing" { host.warning(code, text) } else { host.error(code, text) };
        let fix =
            if code == "spf-not-us" { format!("{domain}. IN TXT \"v=spf1 mx {} -all\"", mechanism(*address)) } else { record };
        return Ok(vec![finding.fix(fix)]);
    }
    Ok(Vec::new())
}

fn mechanism(address: IpAddr) -> String {
    if address.is_ipv4() { format!("ip4:{address}") } else { format!("ip6:{address}") }
}

fn dkim(resolver: &dyn Resolve, host: &Host<'_>, domain: &str) -> Result<Vec<Finding>, String> {
    let Some(keys) = host.dkim else { return Ok(Vec::new()) };
    let mut keys = keys.iter().filter(|key| key.domain.eq_ignore_ascii_case(domain)).peekable();
    if keys.peek().is_none() {
        let text = format!("mail of {domain} is not signed (DKIM): others trust it less");
        return Ok(vec![host.warning("dkim-no-key", text).fix(format!("sealpost dkim new {domain}"))]);
    }
    let mut found = Vec::new();
    for key in keys {
        let texts = resolver.texts(&key.name)?;
        let fix = format!("{}. IN TXT {}", key.name, zone_text(&key.record));
        if texts.is_empty() {
            let text = format!("the key with which mail of {domain} is signed is not published at {}", key.name);
            found.push(host.error("dkim-missing", text).fix(fix));
        } else if !texts.iter().any(|text| tag(text, "p") == tag(&key.record, "p")) {
            let text = format!("what is published at {} is not the key with which mail of {domain} is signed", key.name);
            found.push(host.error("dkim-other", text).fix(fix));
        }
    }
    Ok(found)
}

fn dmarc(resolver: &dyn Resolve, host: &Host<'_>, domain: &str) -> Result<Vec<Finding>, String> {
    let mut of = domain;
    // RFC 7489 6.6.3, RFC 9989: the domain's own record, else one of a domain above it
    let records = loop {
        let texts = resolver.texts(&format!("_dmarc.{of}"))?;
        let records: Vec<String> = texts.into_iter().filter(|text| text.trim_start().starts_with("v=DMARC1")).collect();
        match of.split_once('.').filter(|(_, parent)| parent.contains('.')) {
            Some((_, parent)) if records.is_empty() => of = parent,
            _ => break records,
        }
    };
    let fix = format!("_dmarc.{domain}. IN TXT \"v=DMARC1; p=quarantine; rua=mailto:postmaster@{domain}\"");
    let [record] = records.as_slice() else {
        let finding = match records.len() {
            0 => host.warning("dmarc-missing", format!("{domain} has no DMARC record: nothing says what becomes of forged mail")),
            count => host.error("dmarc-invalid", format!("_dmarc.{of} has {count} DMARC records, and none counts")),
        };
        return Ok(vec![finding.fix(fix)]);
    };
    Ok(match tag(record, "p").as_deref() {
        Some("reject" | "quarantine") => Vec::new(),
        Some("none") => {
            vec![Finding::info("dmarc-none", format!("the DMARC record of {of} asks for reports alone (p=none)")).fix(fix)]
        }
        _ => vec![host.error("dmarc-invalid", format!("the DMARC record of {of} has no policy p= that is known")).fix(fix)],
    })
}

fn mta_sts(resolver: &dyn Resolve, host: &Host<'_>, (domain, servers): (&str, &[(u16, String)])) -> Result<Vec<Finding>, String> {
    let texts = resolver.texts(&format!("_mta-sts.{domain}"))?;
    let fix = format!("_mta-sts.{domain}. IN TXT \"v=STSv1; id=1\"");
    if !texts.iter().any(|text| text.starts_with("v=STSv1")) {
        let text = format!("{domain} has no MTA-STS: others may send it mail without TLS (RFC 8461)");
        return Ok(vec![Finding::info("mta-sts-missing", text).fix(fix)]);
    }
    if sts::version(&texts).is_none() {
        let text = format!("the MTA-STS record of {domain} is none that counts: one, with an id of letters and digits");
        return Ok(vec![host.error("mta-sts-invalid", text).fix(fix)]);
    }
    let place = format!("mta-sts.{domain}");
    if resolver.addresses(&place)?.is_empty() {
        let text = format!("{domain} has an MTA-STS record, and {place} has no address: nobody gets the policy");
        return Ok(vec![host.error("mta-sts-host", text).fix(format!("{place}. IN A ADDRESS"))]);
    }
    let Some(fetched) = resolver.policy(domain) else { return Ok(Vec::new()) };
    let told = |why: &str| vec![host.error("mta-sts-policy", format!("the MTA-STS policy of {domain} is no use – {why}"))];
    let policy = match fetched.and_then(|text| sts::parse(&text)) {
        Ok(policy) => policy,
        Err(why) => return Ok(told(&why)),
    };
    let left_out = servers.iter().map(|(_, name)| name.trim_end_matches('.').to_lowercase()).find(|name| !policy.names(name));
    Ok(match left_out {
        Some(name) if policy.mode != Mode::None => {
            told(&format!("it does not name {name}, which is an MX of the domain: add the line `mx: {name}`"))
        }
        _ => Vec::new(),
    })
}

impl Host<'_> {
    /// What stops mail; while nobody reaches the server, it will.
    fn error(&self, code: &'static str, text: String) -> Finding {
        let severity = if self.reach == Reach::World { Severity::Error } else { Severity::Warning };
        Finding::new(code, severity, Concern::Settings, text)
    }

    fn warning(&self, code: &'static str, text: String) -> Finding {
        Finding::warning(code, Concern::Settings, text)
    }
}

/// The value of a tag in a list of them (RFC 6376 3.2), without blanks.
fn tag(list: &str, name: &str) -> Option<String> {
    let pair = |part: &str| {
        let (key, value) = part.split_once('=')?;
        (key.trim() == name).then(|| value.chars().filter(|c| !c.is_whitespace()).collect())
    };
    list.split(';').find_map(pair)
}

/// The name under which an address has its names.
fn reverse(address: IpAddr) -> String {
    match address {
        IpAddr::V4(four) => {
            let parts: Vec<String> = four.octets().iter().rev().map(ToString::to_string).collect();
            format!("{}.in-addr.arpa.", parts.join("."))
        }
        IpAddr::V6(six) => {
            let digits: Vec<String> = hex(&six.octets()).chars().rev().map(String::from).collect();
            format!("{}.ip6.arpa.", digits.join("."))
        }
    }
}

fn key_digest(certificate: &Certificate) -> String {
    hex(&crate::crypto::digest::of(crate::crypto::algorithm::DigestAlgorithm::Sha256, certificate.spki()))
}

#[cfg(test)]
pub(super) mod tests;
