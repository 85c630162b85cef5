//! What DNSSEC proves of a server: that it is the domain's, and which certificates it has (RFC 7672).

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hickory_resolver::config::ResolverOpts;
use hickory_resolver::net::dnssec::DnssecDnsHandle;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::xfer::{DnsHandle, FirstAnswer};
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::dnssec::{Proof, TrustAnchors};
use hickory_resolver::proto::op::{DnsRequestOptions, DnsResponse, Query, ResponseCode};
use hickory_resolver::proto::rr::rdata::CNAME;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use hickory_resolver::{NameServerPool, PoolContext, TlsConfig, system_conf};

use crate::keys::directory::smimea::{self, Record, Usage};
use crate::server::clock::steady;
use crate::server::config::{Dane, Delivery};
use crate::server::resolver::name_server;
use crate::time::Timestamp;

type Validating = DnssecDnsHandle<NameServerPool<TokioRuntimeProvider>>;

/// Looks up what is proven.
#[derive(Clone)]
pub(in crate::server::outbound) struct Proven {
    handle: Option<Validating>,
    dane: Dane,
    /// Whether DNSSEC comes through, and when that was asked; what came through once is not given up again.
    comes_through: Arc<Mutex<Option<(bool, Timestamp)>>>,
}

impl std::fmt::Debug for Proven {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Proven")
    }
}

/// What DNSSEC says of records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::server::outbound) enum Word<T> {
    /// These are the domain's.
    Secure(T),
    /// The domain is not signed.
    Insecure,
    /// It cannot be known now, or what came is forged.
    Unknown(String),
}

/// What a server's TLSA records ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::server::outbound) enum Tlsa {
    /// Nothing: there are none, or the zone is not signed.
    None,
    /// TLS, and a certificate that one of them is about.
    Records(Found),
    /// TLS, whatever the certificate: none of them can be used (RFC 7672 2.2).
    Unusable(String),
    /// The server is not to be asked now: this is why (RFC 7672 2.1).
    Unknown(String),
}

/// Records that can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::server::outbound) struct Found {
    pub(in crate::server::outbound) records: Vec<Record>,
    /// The name below which they stand: the server is asked for it, and its certificate may have it (RFC 7672 3.2.2, 8.1).
    pub(in crate::server::outbound) base: String,
    /// As they are written in a zone, a line each.
    pub(in crate::server::outbound) wording: String,
}

/// Names that lead to one another.
const ALIASES: usize = 8;
/// Records of one server.
const RECORDS: usize = 32;
/// Seconds until a resolver that lets no DNSSEC through is asked again.
const AGAIN: i64 = 600;
/// For one question with all that proves its answer.
const TIME: Duration = Duration::from_secs(20);

impl Proven {
    pub(in crate::server::outbound) fn new(delivery: &Delivery) -> Result<Self, String> {
        let comes_through = Arc::default();
        if delivery.dane == Dane::Off {
            return Ok(Self { handle: None, dane: Dane::Off, comes_through });
        }
        let anchors = match &delivery.anchor {
            None => TrustAnchors::default(),
            Some(path) => {
                let text = std::fs::read_to_string(path).map_err(|error| format!("{} – {error}", path.display()))?;
                let read = text.parse::<TrustAnchors>();
                read.map_err(|error| format!("{} holds no DNSKEY records that can be read – {error}", path.display()))?
            }
        };
        let servers = match delivery.resolver {
            Some(address) => vec![name_server(address)],
            None => system_conf::read_system_conf().map(|(config, _)| config.name_servers().to_vec()).unwrap_or_default(),
        };
        let mut options = ResolverOpts::default();
        options.timeout = Duration::from_secs(5);
        let tls = TlsConfig::new().map_err(|error| error.to_string())?;
        let pool =
            NameServerPool::from_config(servers, Arc::new(PoolContext::new(options, tls)), TokioRuntimeProvider::default());
        let handle = DnssecDnsHandle::with_trust_anchor(pool, Arc::new(anchors));
        Ok(Self { handle: Some(handle), dane: delivery.dane, comes_through })
    }

    /// Whether DNSSEC is asked at all. A resolver that lets it not through would make every domain look forged.
    pub(in crate::server::outbound) async fn is_on(&self) -> bool {
        match self.dane {
            Dane::Off => return false,
            Dane::On => return true,
            Dane::Auto => {}
        }
        let known = *self.comes_through.lock().unwrap_or_else(PoisonError::into_inner);
        let now = steady();
        match known {
            Some((true, _)) => return true,
            Some((false, at)) if now.unix().saturating_sub(at.unix()) < AGAIN => return false,
            _ => {}
        }
        let comes = matches!(self.ask(&Name::root(), RecordType::NS).await, Word::Secure(_));
        *self.comes_through.lock().unwrap_or_else(PoisonError::into_inner) = Some((comes, now));
        comes
    }

    /// The MX records of a domain, with their preferences, where they are its own; where it has none, whether that is proven.
    pub(in crate::server::outbound) async fn mx(&self, domain: &str) -> Word<Vec<(u16, String)>> {
        let Ok(name) = Name::from_ascii(format!("{domain}.")) else { return Word::Insecure };
        let named = |record: RData| match record {
            RData::MX(mx) => Some((mx.preference, mx.exchange.to_string())),
            _ => None,
        };
        match self.ask(&name, RecordType::MX).await {
            Word::Secure((_, records)) => Word::Secure(records.into_iter().filter_map(named).collect()),
            Word::Insecure => Word::Insecure,
            Word::Unknown(why) => Word::Unknown(why),
        }
    }

    /// What the TLSA records of a server ask for (RFC 7672 2.2).
    pub(in crate::server::outbound) async fn tlsa(&self, host: &str, port: u16) -> Tlsa {
        let Ok(name) = Name::from_ascii(format!("{host}.")) else { return Tlsa::None };
        // RFC 7672 2.2.2: where the addresses are not proven, no question for TLSA is asked: name servers of unsigned zones fail on it
        let mut address = self.ask(&name, RecordType::A).await;
        if matches!(&address, Word::Secure((_, records)) if records.is_empty()) {
            address = self.ask(&name, RecordType::AAAA).await;
        }
        let bases = match address {
            // the name where aliases lead comes first, then the one that was asked for
            Word::Secure((last, _)) => [Some(last.clone()), Some(name).filter(|name| *name != last)],
            // an alias that is proven may lead to a zone that is not signed: what stands below the alias counts
            Word::Insecure => match self.ask(&name, RecordType::CNAME).await {
                Word::Secure((_, records)) if !records.is_empty() => [Some(name), None],
                Word::Unknown(why) => return Tlsa::Unknown(why),
                Word::Secure(_) | Word::Insecure => return Tlsa::None,
            },
            Word::Unknown(why) => return Tlsa::Unknown(why),
        };
        for base in bases.into_iter().flatten() {
            let Ok(owner) = Name::from_ascii(format!("_{port}._tcp.{base}")) else { continue };
            let records = match self.ask(&owner, RecordType::TLSA).await {
                Word::Secure((_, records)) if records.is_empty() => continue,
                Word::Secure((_, records)) => records,
                Word::Insecure => continue,
                Word::Unknown(why) => return Tlsa::Unknown(why),
            };
            let usable: Vec<Record> = records.iter().take(RECORDS).filter_map(usable).collect();
            let usable = smimea::strongest(&usable);
            let wording = records.iter().take(RECORDS).filter_map(wording).collect::<Vec<_>>().join("\n");
            let base = base.to_string().trim_end_matches('.').to_lowercase();
            return if usable.is_empty() {
                Tlsa::Unusable(wording)
            } else {
                Tlsa::Records(Found { records: usable, base, wording })
            };
        }
        Tlsa::None
    }

    /// The records of a name and type, with the name where its aliases lead; none where it is proven that there are none.
    async fn ask(&self, name: &Name, kind: RecordType) -> Word<(Name, Vec<RData>)> {
        let asked = tokio::time::timeout(TIME, self.follow(name, kind)).await;
        asked.unwrap_or_else(|_| Word::Unknown(format!("DNSSEC of {name} takes too long")))
    }

    async fn follow(&self, name: &Name, kind: RecordType) -> Word<(Name, Vec<RData>)> {
        let Some(handle) = &self.handle else { return Word::Insecure };
        let mut name = name.clone();
        for _ in 0..ALIASES {
            let mut options = DnsRequestOptions::default();
            options.use_edns = true;
            options.edns_set_dnssec_ok = true;
            let answer = match handle.lookup(Query::query(name.clone(), kind), options).first_answer().await {
                Ok(answer) => answer,
                Err(NetError::Dns(DnsError::Nsec { proof: Proof::Insecure, .. })) => return Word::Insecure,
                Err(error) => return Word::Unknown(format!("DNSSEC of {name} fails – {error}")),
            };
            if !matches!(answer.metadata.response_code, ResponseCode::NoError | ResponseCode::NXDomain) {
                return Word::Unknown(format!("DNSSEC of {name} fails – {}", answer.metadata.response_code));
            }
            match self.read(&answer, &name, kind) {
                Word::Secure((last, records)) if records.is_empty() && last != name => name = last,
                other => return other,
            }
        }
        Word::Unknown(format!("more than {ALIASES} names lead to one another from {name}"))
    }

    fn read(&self, answer: &DnsResponse, from: &Name, kind: RecordType) -> Word<(Name, Vec<RData>)> {
        let mut name = from.clone();
        let mut used = Vec::new();
        // who asks for the alias itself does not follow it
        let most = if kind == RecordType::CNAME { 0 } else { ALIASES };
        for _ in 0..most {
            let alias = answer.answers.iter().find_map(|record| match &record.data {
                RData::CNAME(CNAME(target)) if record.name == name => Some((record.proof, target.clone())),
                _ => None,
            });
            let Some((proof, target)) = alias else { break };
            used.push(proof);
            name = target;
        }
        let records: Vec<_> = answer.answers.iter().filter(|r| r.name == name && r.record_type() == kind).collect();
        used.extend(records.iter().map(|record| record.proof));
        if used.is_empty() {
            let proves = |record: &&hickory_resolver::proto::rr::Record| {
                matches!(record.record_type(), RecordType::NSEC | RecordType::NSEC3) && record.proof.is_secure()
            };
            return match answer.authorities.iter().find(proves) {
                Some(_) => Word::Secure((name, Vec::new())),
                None if answer.authorities.iter().any(|record| record.proof.is_insecure()) => Word::Insecure,
                None => Word::Unknown(format!("that {name} has no such records is not proven")),
            };
        }
        match used.into_iter().min().unwrap_or(Proof::Indeterminate) {
            Proof::Secure => Word::Secure((name, records.into_iter().map(|record| record.data.clone()).collect())),
            Proof::Insecure => Word::Insecure,
            Proof::Bogus | Proof::Indeterminate => Word::Unknown(format!("the signatures of {name} do not fit")),
        }
    }
}

/// A record as it is written in a zone.
fn wording(data: &RData) -> Option<String> {
    let RData::TLSA(fields) = data else { return None };
    let (usage, selector, matching): (u8, u8, u8) = (fields.cert_usage.into(), fields.selector.into(), fields.matching.into());
    Some(format!("{usage} {selector} {matching} {}", crate::pki::hex(&fields.cert_data)))
}

/// RFC 7672 3.1: the other two usages say nothing between mail servers, which have no list of authorities in common.
fn usable(data: &RData) -> Option<Record> {
    let RData::TLSA(fields) = data else { return None };
    let (usage, selector, matching) = (fields.cert_usage.into(), fields.selector.into(), fields.matching.into());
    let record = Record::new(usage, selector, matching, &fields.cert_data).ok()?;
    matches!(record.usage(), Usage::DaneTa | Usage::DaneEe).then_some(record)
}
