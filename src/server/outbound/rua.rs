//! Where a domain wants to hear how TLS went with its servers (RFC 8460 3), and reports that go there over HTTPS.

use crate::http::{self, Host, Url};
use crate::server::outbound::Outbound;
use crate::server::outbound::https::{self, Failed};

/// Where reports go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::server) enum Place {
    /// To an address.
    Mail(String),
    /// To a URL, which is written as one of the scheme `https`.
    Https(String),
}

/// Places of one domain.
const PLACES: usize = 10;
/// Bytes of an answer, which says nothing that is read.
const ANSWER: usize = 64 << 10;

impl Outbound {
    /// Where a domain wants its reports; nowhere where it says nothing.
    pub(in crate::server) async fn report_places(&self, domain: &str) -> Result<Vec<Place>, String> {
        let Ok(domain) = idna::domain_to_ascii(domain) else { return Ok(Vec::new()) };
        Ok(places(&self.servers.texts(&format!("_smtp._tls.{domain}")).await?))
    }

    /// Sends a report over HTTPS (RFC 8460 5.4).
    pub(in crate::server) async fn post(&self, to: &str, report: &[u8]) -> Result<(), String> {
        let (url, port) = target(to)?;
        let Host::Name(host) = url.host() else { return Err(format!("{to} names no host")) };
        let request = http::post(&url, "application/tlsrpt+gzip", report);
        let mut why = format!("{host} has no address");
        for address in self.servers.addresses(host, port).await? {
            let answer = tokio::time::timeout(TIME, https::exchange(&self.tls, (host, address), &request, ANSWER)).await;
            why = match answer {
                Ok(Ok(answer)) if (200..300).contains(&answer.status) => return Ok(()),
                Ok(Ok(answer)) => format!("{host} answers with status {}", answer.status),
                Ok(Err(Failed::Tls(why) | Failed::Other(why))) => why,
                Err(_) => format!("{host} [{address}] takes too long"),
            };
        }
        Err(why)
    }
}

/// A URL of the scheme `https`, and its port: that of the scheme where none is written. The reader of URLs knows `http` alone, and would take the one
/// of that for none.
fn target(to: &str) -> Result<(Url, u16), String> {
    let rest = to.strip_prefix("https://").ok_or_else(|| format!("{to} is no URL of the scheme https"))?;
    let url = Url::parse(&format!("http://{rest}")).map_err(|error| format!("{to}: {error}"))?;
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let written = authority.rsplit_once(':').map_or("", |(_, port)| port);
    let is_written = !written.is_empty() && written.bytes().all(|byte| byte.is_ascii_digit());
    let port = if is_written { url.port() } else { 443 };
    Ok((url, port))
}

/// For one report.
const TIME: std::time::Duration = std::time::Duration::from_secs(60);

/// The places that a record names; there is one record, or none that counts.
fn places(texts: &[String]) -> Vec<Place> {
    let mut records = texts.iter().filter_map(|text| text.strip_prefix("v=TLSRPTv1")?.trim_start().strip_prefix(';'));
    let (Some(record), None) = (records.next(), records.next()) else { return Vec::new() };
    let Some(uris) = record.split(';').find_map(|field| field.trim().strip_prefix("rua=")) else { return Vec::new() };
    uris.split(',').filter_map(|uri| place(uri.trim())).take(PLACES).collect()
}

fn place(uri: &str) -> Option<Place> {
    // a URI has no blanks; what controls something never reaches a header section
    if uri.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return None;
    }
    let has_scheme = |scheme: &str| uri.get(..scheme.len()).is_some_and(|given| given.eq_ignore_ascii_case(scheme));
    if has_scheme("https://") {
        return Some(Place::Https(format!("https://{}", uri.get(8..)?)));
    }
    let address = uri.get(7..).filter(|_| has_scheme("mailto:"))?.split('?').next()?;
    let address = decoded(address)?;
    let is_address = address.rsplit_once('@').is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty());
    let is_safe = address.chars().all(|c| !c.is_control() && !c.is_whitespace() && !matches!(c, '<' | '>' | ','));
    (is_address && is_safe).then_some(Place::Mail(address))
}

/// Reads `%HH` (RFC 3986 2.1).
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        bytes.push(u8::from_str_radix(std::str::from_utf8(rest.get(..2)?).ok()?, 16).ok()?);
        rest = rest.get(2..)?;
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(texts: &[&str]) -> Vec<Place> {
        places(&texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn a_record_names_addresses_and_urls() {
        let mail = Place::Mail("reports@example.com".to_owned());
        // RFC 8460 3.1.1 and 3.1.2
        assert_eq!(of(&["v=TLSRPTv1;rua=mailto:reports@example.com"]), std::slice::from_ref(&mail));
        let url = Place::Https("https://reporting.example.com/v1/tlsrpt".to_owned());
        assert_eq!(of(&["v=TLSRPTv1; rua=https://reporting.example.com/v1/tlsrpt"]), std::slice::from_ref(&url));
        let both = "v=TLSRPTv1; rua=MAILTO:reports@example.com?subject=x,https://reporting.example.com/v1/tlsrpt; x=y";
        assert_eq!(of(&["v=spf1 -all", both]), [mail, url]);
        assert_eq!(of(&["v=TLSRPTv1; rua=mailto:a%2Bb@example.com"]), [Place::Mail("a+b@example.com".to_owned())]);
    }

    #[test]
    fn the_port_is_the_one_that_is_written_and_else_that_of_the_scheme() {
        let port = |url: &str| target(url).map(|(_, port)| port).ok();
        for (url, wanted) in [
            ("https://b.example/v1", Some(443)),
            ("https://b.example:/v1", Some(443)),
            ("https://b.example:80/v1", Some(80)),
            ("https://b.example:080/v1", Some(80)),
            ("https://b.example:8443", Some(8443)),
            ("https://b.example/a:80", Some(443)),
            ("https://[2001:db8::80]/v1", Some(443)),
            ("https://b.example:0/", None),
            ("http://b.example/", None),
        ] {
            assert_eq!(port(url), wanted, "{url}");
        }
    }

    #[test]
    fn what_is_no_place_gets_nothing() {
        for text in [
            "v=TLSRPTv1",
            "v=TLSRPTv1; x=y",
            "v=TLSRPTv2; rua=mailto:a@b.example",
            "v=TLSRPTv1; rua=ftp://b.example/, http://b.example/, mailto:, mailto:a, mailto:@b",
            "v=TLSRPTv1; rua=mailto:a%0d%0ab@c.example",
            "v=TLSRPTv1; rua=mailto:a%3Eb@c.example",
        ] {
            assert_eq!(of(&[text]), [], "{text}");
        }
        let one = "v=TLSRPTv1; rua=mailto:a@b.example";
        assert_eq!(of(&[one, one]), [], "two records");
    }
}
