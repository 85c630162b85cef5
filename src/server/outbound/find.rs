//! Which servers take mail for a domain: a route of the configuration, else its MX records, else the domain itself (RFC 5321 5.1).

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::RData;

use crate::server::config::{Delivery, Hop};

/// What a search found.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::server::outbound) enum Found {
    /// Names and addresses, the first to be asked first.
    Addresses(Vec<(String, SocketAddr)>),
    /// It cannot be known now.
    Later(String),
    /// The domain takes no mail.
    Never(String),
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
    pub(in crate::server::outbound) fn new(hostname: &str, delivery: &Delivery) -> Result<Self, String> {
        let builder = match delivery.resolver {
            Some(address) => {
                let mut server = NameServerConfig::udp_and_tcp(address.ip());
                server.connections.iter_mut().for_each(|connection| connection.port = address.port());
                let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
                Ok(TokioResolver::builder_with_config(config, TokioRuntimeProvider::default()))
            }
            None => TokioResolver::builder_tokio(),
        };
        // a machine without a resolver can still serve its routes
        let resolver = builder.ok().and_then(|mut builder| {
            builder.options_mut().timeout = Duration::from_secs(5);
            builder.build().ok()
        });
        Ok(Self { hostname: hostname.to_lowercase(), delivery: delivery.clone(), resolver })
    }

    /// The servers of a domain.
    pub(in crate::server::outbound) async fn of(&self, domain: &str) -> Found {
        if let Some(hop) = self.delivery.route(domain) {
            return routed(hop).await;
        }
        let literal = domain.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        if let Some(inner) = literal {
            let is_tagged = inner.get(..5).is_some_and(|tag| tag.eq_ignore_ascii_case("IPv6:"));
            let address = if is_tagged { inner.get(5..).unwrap_or_default() } else { inner }.parse::<IpAddr>();
            return match address {
                Ok(ip) => Found::Addresses(vec![(domain.to_owned(), SocketAddr::new(ip, self.delivery.port))]),
                Err(_) => Found::Never(format!("{domain} is no address")),
            };
        }
        let Some(resolver) = &self.resolver else {
            return Found::Later("this machine has no resolver for DNS – add the domain to [routes]".to_owned());
        };
        let hosts = match resolver.mx_lookup(format!("{domain}.")).await {
            Ok(answer) => {
                let records = answer.answers().iter().filter_map(|record| match &record.data {
                    RData::MX(mx) => Some((mx.preference, mx.exchange.to_utf8())),
                    _ => None,
                });
                match hosts(records.collect(), domain, &self.hostname) {
                    Ok(hosts) => hosts,
                    Err(never) => return Found::Never(never),
                }
            }
            Err(error) if error.is_nx_domain() => return Found::Never(format!("the domain {domain} does not exist")),
            // no MX: the domain itself is the server
            Err(error) if error.is_no_records_found() => vec![domain.to_owned()],
            Err(error) => return Found::Later(format!("the servers of {domain} cannot be looked up – {error}")),
        };
        let mut found = Vec::new();
        let mut failed = None;
        for host in hosts.into_iter().take(HOSTS) {
            match resolver.lookup_ip(format!("{host}.")).await {
                Ok(answer) => found.extend(answer.iter().map(|ip| (host.clone(), SocketAddr::new(ip, self.delivery.port)))),
                Err(error) if error.is_nx_domain() || error.is_no_records_found() => {}
                Err(error) => failed = Some(format!("the address of {host} cannot be looked up – {error}")),
            }
        }
        match (found.is_empty(), failed) {
            (false, _) => Found::Addresses(found),
            (true, Some(why)) => Found::Later(why),
            (true, None) => Found::Never(format!("no server of {domain} has an address")),
        }
    }
}

async fn routed(hop: &Hop) -> Found {
    match tokio::net::lookup_host((hop.host.as_str(), hop.port)).await {
        Ok(addresses) => Found::Addresses(addresses.map(|address| (hop.host.clone(), address)).collect()),
        Err(error) => Found::Later(format!("{} of the routes cannot be looked up – {error}", hop.host)),
    }
}

/// The hosts of MX records in the order in which they are asked; an error where the domain takes no mail, or where this host is
/// the best of them and does not know the domain.
fn hosts(mut records: Vec<(u16, String)>, domain: &str, us: &str) -> Result<Vec<String>, String> {
    // RFC 7505: a single MX to the root means that the domain takes no mail
    if let [(_, only)] = records.as_slice()
        && only == "."
    {
        return Err(format!("{domain} takes no mail (null MX)"));
    }
    records.sort();
    let named = |name: &str| name.trim_end_matches('.').to_lowercase();
    // RFC 5321 5.1: hosts that are no better than ourselves would send it back
    let ours = records.iter().find(|(_, name)| named(name) == us).map(|(preference, _)| *preference);
    let better = records.into_iter().filter(|(preference, _)| ours.is_none_or(|ours| *preference < ours));
    let hosts: Vec<String> = better.map(|(_, name)| named(&name)).filter(|name| !name.is_empty()).collect();
    match (hosts.is_empty(), ours) {
        (true, Some(_)) => Err(format!("mail for {domain} leads back to {us}, which has no such domain")),
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
        let found = hosts(records(&[(20, "b.example."), (10, "A.example.")]), "example", "us.example");
        assert_eq!(found, Ok(vec!["a.example".to_owned(), "b.example".to_owned()]));
    }

    #[test]
    fn a_null_mx_takes_no_mail_and_no_mail_comes_back_to_us() {
        assert!(hosts(records(&[(0, ".")]), "x.example", "us.example").is_err_and(|why| why.contains("null MX")));
        let both = records(&[(10, "a.example."), (20, "us.example."), (30, "c.example.")]);
        assert_eq!(hosts(both, "x.example", "us.example"), Ok(vec!["a.example".to_owned()]));
        assert!(hosts(records(&[(10, "us.example.")]), "x.example", "us.example").is_err());
    }
}
