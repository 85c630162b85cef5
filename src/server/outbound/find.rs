//! Which servers take mail for a domain: a route of the configuration, else its MX records, else the domain itself (RFC 5321 5.1).

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::proto::rr::{RData, RecordType};

use crate::server::config::{Delivery, Hop};
use crate::server::resolver;

/// What a search found.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::server::outbound) enum Found {
    /// The servers, the first to be asked first.
    Servers(Vec<Server>),
    /// It cannot be known now.
    Later(String),
    /// The domain takes no mail.
    Never(String),
}

/// A server and where it is.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::server::outbound) struct Server {
    pub(in crate::server::outbound) name: String,
    /// Of both families in turn: one of them may lead nowhere.
    pub(in crate::server::outbound) addresses: Vec<SocketAddr>,
}

/// Finds servers.
#[derive(Clone)]
pub(in crate::server::outbound) struct Servers {
    hostname: String,
    delivery: Delivery,
    resolver: Option<TokioResolver>,
}

impl std::fmt::Debug for Servers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Servers({:?})", self.delivery)
    }
}

/// Hosts of one MX answer that are looked up.
const HOSTS: usize = 10;

impl Servers {
    pub(in crate::server::outbound) fn new(hostname: &str, delivery: &Delivery) -> Self {
        // a machine without a resolver can still serve its routes
        let resolver = resolver::builder(delivery.resolver).and_then(|mut builder| {
            builder.options_mut().timeout = Duration::from_secs(5);
            builder.build().ok()
        });
        Self { hostname: hostname.to_lowercase(), delivery: delivery.clone(), resolver }
    }

    /// The servers of a domain, by its MX records; by those that are proven to be its own, where that can be had: what else is told on the
    /// way counts for nothing then.
    pub(in crate::server::outbound) async fn of(&self, domain: &str, proven: Option<&[(u16, String)]>) -> Found {
        let literal = domain.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        if let Some(inner) = literal {
            let is_tagged = inner.get(..5).is_some_and(|tag| tag.eq_ignore_ascii_case("IPv6:"));
            let address = if is_tagged { inner.get(5..).unwrap_or_default() } else { inner }.parse::<IpAddr>();
            return match address {
                Ok(ip) => Found::Servers(vec![Server {
                    name: domain.to_owned(),
                    addresses: vec![SocketAddr::new(ip, self.delivery.port)],
                }]),
                Err(_) => Found::Never(format!("{domain} is no address that can be asked")),
            };
        }
        // the DNS knows A-labels (RFC 5890)
        let Ok(domain) = idna::domain_to_ascii(domain) else { return Found::Never(format!("{domain} is not a domain")) };
        let Some(resolver) = &self.resolver else { return Found::Later("this machine has no resolver".to_owned()) };
        let mut records = proven.map(<[_]>::to_vec).unwrap_or_default();
        if !records.is_empty() {
            return self.named(&domain, records).await;
        }
        match resolver.mx_lookup(format!("{domain}.")).await {
            // it is proven that there are none
            Ok(_) if proven.is_some() => {}
            Ok(answer) => {
                for record in answer.answers() {
                    if let RData::MX(mx) = &record.data {
                        records.push((mx.preference, mx.exchange.to_string()));
                    }
                }
            }
            // RFC 5321 5.1: a domain without MX records is its own server
            Err(error) if error.is_no_records_found() && !error.is_nx_domain() => {}
            Err(error) if error.is_nx_domain() => return Found::Never(format!("5.1.2 the domain {domain} does not exist")),
            Err(error) => return Found::Later(format!("4.4.3 {domain} cannot be looked up – {error}")),
        }
        self.named(&domain, records).await
    }

    async fn named(&self, domain: &str, records: Vec<(u16, String)>) -> Found {
        match hosts(records, domain, &self.hostname, shuffle) {
            Ok(hosts) => self.servers(domain, hosts).await,
            Err(why) => Found::Never(why),
        }
    }

    async fn servers(&self, domain: &str, hosts: Vec<String>) -> Found {
        let (mut found, mut failed) = (Vec::new(), None);
        for name in hosts.into_iter().take(HOSTS) {
            match self.addresses(&name, self.delivery.port).await {
                Ok(addresses) if addresses.is_empty() => {}
                Ok(addresses) => found.push(Server { name, addresses }),
                Err(why) => failed = Some(why),
            }
        }
        match (found.is_empty(), failed) {
            (false, _) => Found::Servers(found),
            (true, Some(why)) => Found::Later(why),
            (true, None) => Found::Never(format!("5.4.4 no server of {domain} has an address")),
        }
    }

    /// The addresses of a host; none where it has none.
    pub(in crate::server::outbound) async fn addresses(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, String> {
        let (six, four) = tokio::join!(self.ips(host, RecordType::AAAA), self.ips(host, RecordType::A));
        // that there is none of one kind says nothing while the other cannot be known
        let found: Vec<IpAddr> = [&six, &four].into_iter().flatten().flatten().copied().collect();
        match (found.is_empty(), six.and(four)) {
            (true, Err(why)) => Err(format!("4.4.3 the address of {host} cannot be looked up – {why}")),
            _ => Ok(in_turn(found.into_iter()).into_iter().map(|ip| SocketAddr::new(ip, port)).collect()),
        }
    }

    async fn ips(&self, host: &str, kind: RecordType) -> Result<Vec<IpAddr>, String> {
        let Some(resolver) = &self.resolver else { return Err("this machine has no resolver".to_owned()) };
        let ip = |data: &RData| match data {
            RData::A(address) => Some(IpAddr::V4(address.0)),
            RData::AAAA(address) => Some(IpAddr::V6(address.0)),
            _ => None,
        };
        match resolver.lookup(format!("{host}."), kind).await {
            Ok(answer) => Ok(answer.answers().iter().filter_map(|record| ip(&record.data)).collect()),
            Err(error) if error.is_nx_domain() || error.is_no_records_found() => Ok(Vec::new()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// The texts of a name; none where it has none.
    pub(in crate::server::outbound) async fn texts(&self, name: &str) -> Result<Vec<String>, String> {
        let Some(resolver) = &self.resolver else { return Err("this machine has no resolver".to_owned()) };
        match resolver.lookup(format!("{name}."), RecordType::TXT).await {
            Ok(answer) => Ok(answer
                .answers()
                .iter()
                .filter_map(|record| match &record.data {
                    RData::TXT(text) => Some(String::from_utf8_lossy(&text.txt_data.concat()).into_owned()),
                    _ => None,
                })
                .collect()),
            Err(error) if error.is_nx_domain() || error.is_no_records_found() => Ok(Vec::new()),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// The server of a route; its name may be one that only this machine knows.
pub(in crate::server::outbound) async fn routed(hop: &Hop) -> Found {
    match tokio::net::lookup_host((hop.host.as_str(), hop.port)).await {
        Ok(addresses) => {
            let addresses = in_turn(addresses.map(|address| address.ip())).into_iter().map(|ip| SocketAddr::new(ip, hop.port));
            Found::Servers(vec![Server { name: hop.host.clone(), addresses: addresses.collect() }])
        }
        Err(error) => Found::Later(format!("4.4.3 {} of the routes cannot be looked up – {error}", hop.host)),
    }
}

/// IPv6 and IPv4 in turn.
fn in_turn(all: impl Iterator<Item = IpAddr>) -> Vec<IpAddr> {
    let (six, four): (Vec<_>, Vec<_>) = all.partition(IpAddr::is_ipv6);
    let (mut six, mut four, mut out) = (six.into_iter(), four.into_iter(), Vec::new());
    loop {
        let pair = (six.next(), four.next());
        if pair == (None, None) {
            return out;
        }
        out.extend(pair.0);
        out.extend(pair.1);
    }
}

fn shuffle() -> u32 {
    let mut bytes = [0; 4];
    crate::keys::files::random_name(&mut bytes);
    u32::from_le_bytes(bytes)
}

/// The hosts of MX records in the order in which they are asked; an error where the domain takes no mail, or where this host is
/// the best of them and does not know the domain.
fn hosts(records: Vec<(u16, String)>, domain: &str, us: &str, lot: impl Fn() -> u32) -> Result<Vec<String>, String> {
    // RFC 7505: a single MX to the root means that the domain takes no mail
    if let [(_, only)] = records.as_slice()
        && only == "."
    {
        return Err(format!("5.1.10 {domain} takes no mail (null MX)"));
    }
    // RFC 5321 5.1: those of one preference share the work
    let mut records: Vec<(u16, u32, String)> = records.into_iter().map(|(preference, name)| (preference, lot(), name)).collect();
    records.sort();
    let named = |name: &str| name.trim_end_matches('.').to_lowercase();
    // RFC 5321 5.1: hosts that are no better than ourselves would send it back
    let ours = records.iter().find(|(_, _, name)| named(name) == us).map(|(preference, _, _)| *preference);
    let better = records.into_iter().filter(|(preference, _, _)| ours.is_none_or(|ours| *preference < ours));
    let hosts: Vec<String> = better.map(|(_, _, name)| named(&name)).filter(|name| !name.is_empty()).collect();
    match (hosts.is_empty(), ours) {
        (true, Some(_)) => Err(format!("5.4.6 mail for {domain} leads back to {us}, which has no such domain")),
        (true, None) => Ok(vec![domain.to_owned()]),
        (false, _) => Ok(hosts),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(of: &[(u16, &str)]) -> Vec<(u16, String)> {
        of.iter().map(|(preference, name)| (*preference, (*name).to_owned())).collect()
    }

    #[test]
    fn servers_are_asked_in_the_order_of_their_preference() {
        let found = hosts(records(&[(20, "b.example."), (10, "A.example.")]), "example", "us.example", || 0);
        assert_eq!(found, Ok(vec!["a.example".to_owned(), "b.example".to_owned()]));
        let lots = std::cell::Cell::new(3);
        let lot = || lots.replace(lots.get() - 1);
        let found = hosts(records(&[(10, "a."), (10, "b."), (10, "c.")]), "example", "us.example", lot).expect("three");
        assert_eq!(found, ["c", "b", "a"], "those of one preference by lot");
    }

    #[test]
    fn a_null_mx_takes_no_mail_and_no_mail_comes_back_to_us() {
        let hosts = |of: &[(u16, &str)]| hosts(records(of), "x.example", "us.example", || 0);
        assert!(hosts(&[(0, ".")]).is_err_and(|why| why.contains("null MX")));
        assert_eq!(hosts(&[(10, "a.example."), (20, "us.example."), (30, "c.example.")]), Ok(vec!["a.example".to_owned()]));
        assert!(hosts(&[(10, "us.example.")]).is_err_and(|why| why.starts_with("5.4.6")));
        assert_eq!(hosts(&[]), Ok(vec!["x.example".to_owned()]));
    }

    #[test]
    fn both_families_are_tried_in_turn() {
        let all = ["192.0.2.1", "192.0.2.2", "2001:db8::1"].map(|ip| ip.parse::<IpAddr>().expect("an address"));
        let turns: Vec<String> = in_turn(all.into_iter()).iter().map(ToString::to_string).collect();
        assert_eq!(turns, ["2001:db8::1", "192.0.2.1", "192.0.2.2"]);
    }
}
