//! The one file of this room that asks DNS.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::net::NetError;
use hickory_resolver::proto::rr::RData;

use crate::server::policy::dns::{Dns, Nothing};
use crate::server::resolver;

/// DNS by the name server of the configuration, or those of the system.
#[derive(Clone)]
pub(in crate::server) struct Resolver(TokioResolver);

impl std::fmt::Debug for Resolver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Resolver")
    }
}

/// For one attempt; two are made.
const TIMEOUT: Duration = Duration::from_secs(3);

impl Resolver {
    /// The resolver, where this machine has one.
    pub(in crate::server) fn new(server: Option<SocketAddr>) -> Option<Self> {
        let mut builder = resolver::builder(server)?;
        builder.options_mut().timeout = TIMEOUT;
        builder.options_mut().attempts = 2;
        // what /etc/hosts says of others' names is no answer of DNS
        builder.options_mut().use_hosts_file = hickory_resolver::config::ResolveHosts::Never;
        builder.build().ok().map(Self)
    }

    /// The same resolver, for what speaks to it by itself.
    pub(in crate::server::policy) fn inner(&self) -> TokioResolver {
        self.0.clone()
    }
}

impl Dns for Resolver {
    async fn names(&self, address: IpAddr) -> Result<Vec<String>, Nothing> {
        let answer = self.0.reverse_lookup(address).await.map_err(nothing)?;
        let names = answer.answers().iter().filter_map(|record| match &record.data {
            RData::PTR(name) => Some(plain(&name.0.to_ascii())),
            _ => None,
        });
        some(names.collect())
    }

    async fn addresses(&self, name: &str) -> Result<Vec<IpAddr>, Nothing> {
        let name = format!("{name}.");
        let (v4, v6) = tokio::join!(self.0.ipv4_lookup(name.as_str()), self.0.ipv6_lookup(name.as_str()));
        let addresses = |answer: hickory_resolver::lookup::Lookup| -> Vec<IpAddr> {
            let of = |data: &RData| match data {
                RData::A(a) => Some(IpAddr::V4(a.0)),
                RData::AAAA(aaaa) => Some(IpAddr::V6(aaaa.0)),
                _ => None,
            };
            answer.answers().iter().filter_map(|record| of(&record.data)).collect()
        };
        match (v4.map(addresses).map_err(nothing), v6.map(addresses).map_err(nothing)) {
            (Ok(v4), Ok(v6)) => some([v4, v6].concat()),
            (Ok(one), Err(Nothing::None)) | (Err(Nothing::None), Ok(one)) => some(one),
            // half an answer that holds something is better than none: what is looked for may be in it
            (Ok(one), Err(_)) | (Err(_), Ok(one)) if !one.is_empty() => Ok(one),
            (Err(Nothing::None), Err(Nothing::None)) => Err(Nothing::None),
            (Err(Nothing::Later(why)), _) | (_, Err(Nothing::Later(why))) => Err(Nothing::Later(why)),
        }
    }

    async fn codes(&self, name: &str) -> Result<Vec<Ipv4Addr>, Nothing> {
        let answer = self.0.ipv4_lookup(format!("{name}.")).await.map_err(nothing)?;
        let codes = answer.answers().iter().filter_map(|record| match &record.data {
            RData::A(a) => Some(a.0),
            _ => None,
        });
        some(codes.collect())
    }

    async fn texts(&self, name: &str) -> Result<Vec<String>, Nothing> {
        let answer = self.0.txt_lookup(format!("{name}.")).await.map_err(nothing)?;
        let texts = answer.answers().iter().filter_map(|record| match &record.data {
            RData::TXT(text) => Some(String::from_utf8_lossy(&text.txt_data.concat()).into_owned()),
            _ => None,
        });
        some(texts.collect())
    }
}

fn some<T>(found: Vec<T>) -> Result<Vec<T>, Nothing> {
    if found.is_empty() { Err(Nothing::None) } else { Ok(found) }
}

#[allow(clippy::needless_pass_by_value, reason = "the shape that map_err wants")]
fn nothing(error: NetError) -> Nothing {
    if error.is_nx_domain() || error.is_no_records_found() { Nothing::None } else { Nothing::Later(error.to_string()) }
}

fn plain(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}
