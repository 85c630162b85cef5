//! Whether others trust the server's certificate, and for how long; and what the authority of the home has to renew.

use crate::pki::{Certificate, Crl};
use crate::server::config::Config;
use crate::server::doctor::{Concern, Finding, Severity, days};
use crate::server::listen::ServerTls;
use crate::time::Timestamp;

/// The certificate of the server as it lies on disk.
#[derive(Debug)]
pub struct Facts {
    /// The chain in its file, the server's own first.
    pub chain: Vec<Certificate>,
    /// Why TLS cannot begin with it and its key.
    pub unusable: Option<String>,
    /// What the home and the system trust.
    pub anchors: Vec<Certificate>,
    /// What makes another one of it.
    pub renewal: Renewal,
}

/// What makes another certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Renewal {
    /// This command.
    Command(String),
    /// Whoever issued it.
    Elsewhere,
}

/// Days before the end of a certificate at which somebody is told: a month is what renewals fit into.
const SOON: i64 = 21;
/// The same for certificates of authorities, below which others have to be renewed.
const CA_SOON: i64 = 90;

/// Reads the certificate and the key of a configuration.
pub fn gather(config: &Config, anchors: Vec<Certificate>, renewal: Renewal) -> Facts {
    let chain = std::fs::read(&config.certificate).ok().and_then(|bytes| crate::pki::load::certificates(&bytes).ok());
    let unusable = ServerTls::open(&config.certificate, &config.key, None).err();
    Facts { chain: chain.unwrap_or_default(), unusable, anchors, renewal }
}

/// Judges the server's certificate for the name of the host, now.
pub fn judge(facts: &Facts, hostname: &str, now: Timestamp) -> Vec<Finding> {
    let mut found = Vec::new();
    let renewed = |finding: Finding| match &facts.renewal {
        Renewal::Command(command) => finding.fix(command.clone()),
        Renewal::Elsewhere => finding,
    };
    if let Some(why) = &facts.unusable {
        found.push(renewed(Finding::error("tls-unusable", Concern::Trust, format!("TLS cannot begin – {why}"))));
    }
    let Some(own) = facts.chain.first() else { return found };
    let names = own.dns_names();
    if !names.iter().any(|name| is_for(name, hostname)) {
        let text = format!("the server's certificate is for {}, and not for {hostname}", names.join(", "));
        found.push(renewed(Finding::error("tls-name", Concern::Trust, text)));
    }
    for certificate in &facts.chain {
        let what = if certificate == own { "the server's certificate" } else { "a certificate of the server's chain" };
        found.extend(lifetime(certificate, what, ("tls-expired", "tls-expiring"), SOON, now).map(renewed));
    }
    found.extend(chain(facts).map(renewed));
    found
}

/// Whether each is issued by the next, and the last by one that is trusted.
fn chain(facts: &Facts) -> Option<Finding> {
    for pair in facts.chain.windows(2) {
        let [certificate, issuer] = pair else { continue };
        if !is_issued_by(certificate, issuer) {
            let text =
                format!("the chain of the server is not in order: {certificate} is not issued by {issuer}, which follows it");
            return Some(Finding::error("tls-chain", Concern::Trust, text));
        }
    }
    let last = facts.chain.last()?;
    let is_known = facts.anchors.iter().any(|anchor| anchor == last || is_issued_by(last, anchor));
    let text = format!(
        "the chain of the server ends at {last}, issued by {}, which neither the home nor the system trusts: clients refuse it, or its issuer is missing \
         in the file",
        last.issuer()
    );
    (!is_known).then(|| Finding::warning("tls-unknown-issuer", Concern::Trust, text))
}

fn is_issued_by(certificate: &Certificate, issuer: &Certificate) -> bool {
    certificate.issuer().matches(issuer.subject())
        && issuer.public_key().is_ok_and(|key| certificate.verify_signature(&key).is_ok())
}

/// RFC 9525 6.3: a `*` stands for one label, the first.
pub(super) fn is_for(name: &str, host: &str) -> bool {
    match name.strip_prefix("*.") {
        Some(rest) => host.split_once('.').is_some_and(|(label, parent)| !label.is_empty() && parent.eq_ignore_ascii_case(rest)),
        None => name.eq_ignore_ascii_case(host),
    }
}

/// Judges the certificates and the published lists of the home's authority.
pub fn authority(certificates: &[(String, Certificate)], lists: &[(String, Crl)], now: Timestamp) -> Vec<Finding> {
    let mut found = Vec::new();
    for (name, certificate) in certificates {
        let what = format!("the certificate of the {name} CA");
        let finding = lifetime(certificate, &what, ("ca-expired", "ca-expiring"), CA_SOON, now);
        found.extend(finding.map(|finding| match name.as_str() {
            "issuing" => finding.fix("sealpost ca renew --issuing"),
            _ => finding,
        }));
    }
    for (name, list) in lists {
        let Some(next) = list.next_update() else { continue };
        let left = next.unix().saturating_sub(now.unix());
        let (code, severity, text) = match left {
            ..=0 => ("crl-expired", Severity::Error, format!("the published list {name} is out of date since {next}")),
            1..86_400 => {
                ("crl-expiring", Severity::Warning, format!("the published list {name} is good for {} only", days(left)))
            }
            _ => continue,
        };
        found.push(Finding::new(code, severity, Concern::Expiry, text).fix("sealpost ca publish"));
    }
    found
}

fn lifetime(
    certificate: &Certificate,
    what: &str,
    (ended, ending): (&'static str, &'static str),
    soon: i64,
    now: Timestamp,
) -> Option<Finding> {
    let (begin, end) = (certificate.not_before(), certificate.not_after());
    let left = end.unix().saturating_sub(now.unix());
    // a certificate that lives for 90 days is renewed at two thirds; one of 10 is not always about to end
    let whole = end.unix().saturating_sub(begin.unix());
    let soon = soon.saturating_mul(86_400).min(whole / 4);
    if now < begin {
        let text = format!("{what} ({certificate}) begins on {begin}, and it is {now}: is the clock right?");
        return Some(Finding::error(ended, Concern::Expiry, text));
    }
    if left <= 0 {
        let text = format!("{what} ({certificate}) ended on {end}");
        return Some(Finding::error(ended, Concern::Expiry, text));
    }
    let text = format!("{what} ({certificate}) ends in {}, on {end}", days(left));
    (left < soon).then(|| Finding::warning(ending, Concern::Expiry, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_one_label() {
        for (name, host, wanted) in [
            ("mail.a.example", "MAIL.a.example", true),
            ("*.a.example", "mail.a.example", true),
            ("*.a.example", "a.example", false),
            ("*.a.example", "x.mail.a.example", false),
            ("mail.b.example", "mail.a.example", false),
        ] {
            assert_eq!(is_for(name, host), wanted, "{name} {host}");
        }
    }
}
