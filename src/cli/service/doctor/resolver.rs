//! Asks the DNS for `doctor`, one question after the other.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::ResolverConfig;
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{Name, RData, RecordType};

use sealpost::keys::directory::smimea::Record;
use sealpost::server::Config;
use sealpost::server::doctor::{self, dns::Resolve};
use sealpost::server::store::Store;

use crate::cli::directory::name_server;
use crate::cli::failure::Failure;

/// A resolver with a runtime of its own.
pub(super) struct Resolver {
    runtime: tokio::runtime::Runtime,
    resolver: TokioResolver,
    /// The server whose domains' policies are fetched, where they are.
    fetching: Option<(Config, Arc<dyn Store>)>,
}

impl Resolver {
    /// Asks this name server, or the system's.
    pub(super) fn new(server: Option<SocketAddr>) -> Result<Self, Failure> {
        let told = |error: &dyn std::fmt::Display| Failure::io(format!("the DNS cannot be asked – {error}"));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| told(&error))?;
        let within = runtime.enter();
        let mut builder = match server {
            Some(address) => {
                let config = ResolverConfig::from_parts(None, Vec::new(), vec![name_server(address)]);
                TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
            }
            None => TokioResolver::builder_tokio().map_err(|error| told(&error))?,
        };
        builder.options_mut().timeout = Duration::from_secs(3);
        let resolver = builder.build().map_err(|error| told(&error))?;
        drop(within);
        Ok(Self { runtime, resolver, fetching: None })
    }

    /// Also fetches policies.
    pub(super) fn fetching(mut self, config: Config, store: Arc<dyn Store>) -> Self {
        self.fetching = Some((config, store));
        self
    }

    fn ask<T>(&self, name: &str, kind: RecordType, read: impl Fn(&RData) -> Option<T>) -> Result<Vec<T>, String> {
        let told = |error: &dyn std::fmt::Display| format!("{name} ({kind}): {error}");
        let owner = Name::from_utf8(format!("{}.", name.trim_end_matches('.'))).map_err(|error| told(&error))?;
        match self.runtime.block_on(self.resolver.lookup(owner, kind)) {
            Ok(answer) => Ok(answer.answers().iter().filter_map(|record| read(&record.data)).collect()),
            Err(error) if is_absence(&error) => Ok(Vec::new()),
            Err(error) => Err(told(&error)),
        }
    }
}

fn is_absence(error: &NetError) -> bool {
    error.is_nx_domain() || error.is_no_records_found()
}

impl Resolve for Resolver {
    fn mx(&self, domain: &str) -> Result<Vec<(u16, String)>, String> {
        self.ask(domain, RecordType::MX, |data| match data {
            RData::MX(mx) => Some((mx.preference, mx.exchange.to_string())),
            _ => None,
        })
    }

    fn texts(&self, name: &str) -> Result<Vec<String>, String> {
        self.ask(name, RecordType::TXT, |data| match data {
            RData::TXT(text) => Some(String::from_utf8_lossy(&text.txt_data.concat()).into_owned()),
            _ => None,
        })
    }

    fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, String> {
        let mut found = self.ask(host, RecordType::A, |data| match data {
            RData::A(address) => Some(IpAddr::V4(address.0)),
            _ => None,
        })?;
        found.extend(self.ask(host, RecordType::AAAA, |data| match data {
            RData::AAAA(address) => Some(IpAddr::V6(address.0)),
            _ => None,
        })?);
        Ok(found)
    }

    fn names(&self, address: IpAddr) -> Result<Vec<String>, String> {
        let name = Name::from(address).to_string();
        self.ask(&name, RecordType::PTR, |data| match data {
            RData::PTR(name) => Some(name.0.to_string()),
            _ => None,
        })
    }

    fn tlsa(&self, name: &str) -> Result<Vec<Record>, String> {
        self.ask(name, RecordType::TLSA, |data| {
            let RData::TLSA(fields) = data else { return None };
            let (usage, selector, matching) = (fields.cert_usage.into(), fields.selector.into(), fields.matching.into());
            Record::new(usage, selector, matching, &fields.cert_data).ok()
        })
    }

    fn policy(&self, domain: &str) -> Option<Result<String, String>> {
        let (config, store) = self.fetching.as_ref()?;
        Some(self.runtime.block_on(doctor::policy_of(config, Arc::clone(store), domain)))
    }
}
