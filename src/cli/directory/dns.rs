//! Asks the DNS for the SMIMEA records of an address. What DNSSEC does not prove is told and not used.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::config::{NameServerConfig, ResolverOpts};
use hickory_resolver::net::dnssec::DnssecDnsHandle;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::xfer::{DnsHandle, FirstAnswer};
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::dnssec::rdata::DNSSECRData;
use hickory_resolver::proto::dnssec::{Proof, TrustAnchors};
use hickory_resolver::proto::op::{DnsRequestOptions, DnsResponse, Query, ResponseCode};
use hickory_resolver::proto::rr::rdata::CNAME;
use hickory_resolver::proto::rr::{Name, RData, Record as DnsRecord, RecordType};
use hickory_resolver::{NameServerPool, PoolContext, TlsConfig, system_conf};

use sealpost::keys::directory::Address;
use sealpost::keys::directory::smimea::{self, Record};
use sealpost::time::Timestamp;

use crate::cli::context;
use crate::cli::directory::FindArgs;
use crate::cli::failure::{Failure, on_file};

/// Names that lead to one another. 8: a user, a domain that is hosted, a host that moved are 3.
const ALIASES: usize = 8;
/// Records of one address. 32: one or two for each key.
const RECORDS: usize = 32;

/// What the DNS gave.
pub(super) struct Asked {
    /// The name that was asked for.
    pub(super) name: String,
    /// What DNSSEC proves of the answer.
    pub(super) security: Security,
    /// The records, where they are proven.
    pub(super) records: Vec<Record>,
    /// What is wrong with records that cannot be used.
    pub(super) unusable: Vec<String>,
}

/// What DNSSEC proves of an answer.
pub(super) enum Security {
    /// The records are the domain's.
    Secure,
    /// There are none.
    Absent,
    /// Nothing: the domain is not signed. Why the answer is not used.
    Insecure(String),
    /// The opposite: what was sent is not the domain's. Why.
    Bogus(String),
}

impl Security {
    /// The word of the JSON output.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Secure => "secure",
            Self::Absent => "absent",
            Self::Insecure(_) => "insecure",
            Self::Bogus(_) => "bogus",
        }
    }

    /// Why the answer is not used.
    pub(super) fn refusal(&self) -> Option<&str> {
        match self {
            Self::Secure | Self::Absent => None,
            Self::Insecure(why) | Self::Bogus(why) => Some(why),
        }
    }
}

type Validating = DnssecDnsHandle<NameServerPool<TokioRuntimeProvider>>;

/// Asks for the records of the address.
pub(super) fn records(args: &FindArgs, address: &Address) -> Result<Asked, Failure> {
    let anchors = match &args.dns_anchor {
        None => TrustAnchors::default(),
        Some(path) => {
            let text = std::fs::read_to_string(path).map_err(on_file("read", path))?;
            let read = text.parse::<TrustAnchors>();
            read.map_err(|e| Failure::usage(format!("{} holds no DNSKEY records that can be read – {e}", path.display())))?
        }
    };
    let servers = match &args.dns_server {
        Some(text) => vec![server(text)?],
        None => {
            let (config, _) = system_conf::read_system_conf()
                .map_err(|e| Failure::io(format!("this machine has no resolver – {e}")).hint("name one with --dns-server IP"))?;
            config.name_servers().to_vec()
        }
    };
    let name = smimea::owner_name(address);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::io)?;
    let asked = runtime.block_on(async {
        let mut options = ResolverOpts::default();
        options.timeout = Duration::from_secs(5);
        let pool = PoolContext::new(options, TlsConfig::new().map_err(Failure::io)?);
        let pool = NameServerPool::from_config(servers, Arc::new(pool), TokioRuntimeProvider::default());
        let handle = DnssecDnsHandle::with_trust_anchor(pool, Arc::new(anchors));
        let asking = ask(&handle, &name);
        tokio::time::timeout(args.timeout(), asking).await.map_err(|_| {
            Failure::io("the DNS does not answer in time")
                .hint("name a resolver with --dns-server IP, or give it more time with --timeout SECONDS")
        })?
    });
    // a look-up of the system that still runs must not hold the program
    runtime.shutdown_background();
    asked
}

/// Reads `IP` or `IP:PORT`.
fn server(text: &str) -> Result<NameServerConfig, Failure> {
    let address = text.parse::<SocketAddr>().ok().or_else(|| text.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, 53)));
    let address = address.ok_or_else(|| Failure::usage(format!("--dns-server {text} is not IP or IP:PORT")))?;
    Ok(name_server(address))
}

/// A name server at this address.
pub(crate) fn name_server(address: SocketAddr) -> NameServerConfig {
    let mut server = NameServerConfig::udp_and_tcp(address.ip());
    server.connections.iter_mut().for_each(|connection| connection.port = address.port());
    server
}

async fn ask(handle: &Validating, owner: &str) -> Result<Asked, Failure> {
    let mut asked = Asked { name: owner.to_owned(), security: Security::Absent, records: Vec::new(), unusable: Vec::new() };
    let mut name = Name::from_ascii(owner).map_err(|e| Failure::usage(format!("{owner} is no name of the DNS – {e}")))?;
    for _ in 0..ALIASES {
        let mut options = DnsRequestOptions::default();
        options.use_edns = true;
        options.edns_set_dnssec_ok = true;
        let answer = handle.lookup(Query::query(name.clone(), RecordType::SMIMEA), options).first_answer().await;
        let answer = match answer {
            Ok(answer) => answer,
            Err(NetError::Dns(DnsError::Nsec { response, .. })) if is_of_wildcard(&response, &name) => *response,
            Err(error) => {
                asked.security = no_answer(&error, owner)?;
                return Ok(asked);
            }
        };
        let code = answer.metadata.response_code;
        if !matches!(code, ResponseCode::NoError | ResponseCode::NXDomain) {
            return Err(failed(owner, code));
        }
        let (last, security) = follow(&answer, &name);
        let found: Vec<&DnsRecord> =
            answer.answers.iter().filter(|r| r.name == last && r.record_type() == RecordType::SMIMEA).collect();
        if let Some(refused) = security {
            asked.security = refused;
            return Ok(asked);
        }
        if found.is_empty() && last != name {
            name = last;
            continue;
        }
        asked.security = if found.is_empty() { absence(&answer) } else { presence(&answer, &found) };
        if matches!(asked.security, Security::Secure) {
            read(&found, &mut asked);
        }
        return Ok(asked);
    }
    asked.security = Security::Bogus(format!("more than {ALIASES} names lead to one another"));
    Ok(asked)
}

/// Where the aliases in an answer lead, and what is wrong with one of them.
fn follow(answer: &DnsResponse, from: &Name) -> (Name, Option<Security>) {
    let mut name = from.clone();
    for _ in 0..ALIASES {
        let alias = answer.answers.iter().find_map(|record| match &record.data {
            RData::CNAME(CNAME(target)) if record.name == name => Some((record, target)),
            _ => None,
        });
        let Some((record, target)) = alias else { break };
        match presence(answer, &[record]) {
            Security::Secure => name = target.clone(),
            refused => return (name, Some(refused)),
        }
    }
    (name, None)
}

/// What is proven of records of one name and type.
fn presence(answer: &DnsResponse, records: &[&DnsRecord]) -> Security {
    let worst = records.iter().map(|record| record.proof).min().unwrap_or(Proof::Indeterminate);
    match worst {
        Proof::Secure if is_wildcard_unproven(answer, records) => {
            Security::Bogus("the records are of a wildcard, and that there is none of its own is not proven".to_owned())
        }
        Proof::Secure => Security::Secure,
        Proof::Insecure => Security::Insecure(UNSIGNED.to_owned()),
        Proof::Bogus | Proof::Indeterminate => Security::Bogus(why_bogus(answer, records)),
    }
}

/// What is proven of an answer without records.
fn absence(answer: &DnsResponse) -> Security {
    let proves = |record: &DnsRecord| matches!(record.record_type(), RecordType::NSEC | RecordType::NSEC3);
    if answer.authorities.iter().any(|record| proves(record) && record.proof.is_secure()) {
        return Security::Absent;
    }
    if answer.authorities.iter().any(|record| record.proof.is_insecure()) {
        return Security::Insecure(UNSIGNED.to_owned());
    }
    Security::Bogus("that there are no records is not proven".to_owned())
}

const UNSIGNED: &str = "the domain is not signed with DNSSEC, so that anybody on the way could have written the answer";

/// What an error of the resolver means: something about the answer, or that there is none.
fn no_answer(error: &NetError, owner: &str) -> Result<Security, Failure> {
    match error {
        NetError::Dns(DnsError::Nsec { proof: Proof::Insecure, .. }) => Ok(Security::Insecure(UNSIGNED.to_owned())),
        NetError::Dns(DnsError::Nsec { response, .. }) => {
            let all: Vec<&DnsRecord> = response.answers.iter().chain(&response.authorities).collect();
            let why = why_bogus(response, &all);
            Ok(Security::Bogus(format!("that there are no records is not proven – {why}")))
        }
        NetError::Dns(DnsError::DnssecBogus) => Ok(Security::Bogus("its signatures do not fit".to_owned())),
        NetError::Dns(DnsError::ResponseCode(code)) => Err(failed(owner, *code)),
        NetError::Dns(DnsError::NoRecordsFound(_)) => Ok(Security::Bogus("that there are no records is not proven".to_owned())),
        other => {
            Err(Failure::io(format!("the DNS cannot be asked for {owner} – {other}"))
                .hint("name a resolver with --dns-server IP"))
        }
    }
}

fn failed(owner: &str, code: ResponseCode) -> Failure {
    let failure = Failure::io(format!("the resolver has no answer for {owner} – {code}"));
    match code {
        ResponseCode::ServFail => failure.hint("it may have found that the signatures of the domain do not fit"),
        _ => failure.hint("name another resolver with --dns-server IP"),
    }
}

/// Why records are not proven, as far as their signatures tell.
fn why_bogus(answer: &DnsResponse, records: &[&DnsRecord]) -> String {
    let now = context::now();
    let at = |serial: u32| Timestamp::from_unix(i64::from(serial));
    let signatures: Vec<_> = answer
        .all_sections()
        .filter_map(|record| match &record.data {
            RData::DNSSEC(DNSSECRData::RRSIG(signature)) => Some((record, signature.input())),
            _ => None,
        })
        .filter(|(record, input)| records.iter().any(|r| r.name == record.name && r.record_type() == input.type_covered))
        .collect();
    if signatures.is_empty() {
        return "the domain is signed with DNSSEC, and the answer is not".to_owned();
    }
    let ends = signatures.iter().map(|(_, input)| at(input.sig_expiration.get()));
    let begins = signatures.iter().map(|(_, input)| at(input.sig_inception.get()));
    match (ends.max(), begins.min()) {
        (Some(end), _) if end < now => format!("its signatures ended on {end}"),
        (_, Some(begin)) if begin > now => format!("its signatures begin on {begin}"),
        _ => "its signatures do not fit".to_owned(),
    }
}

/// Whether the records are those of the wildcard right above, and the zone proves that there are none of their own: RFC 4035 5.3.4 asks for
/// a NSEC record that covers the name. The resolver wants one that covers the wildcard itself, which cannot be where the wildcard is.
fn is_of_wildcard(answer: &DnsResponse, name: &Name) -> bool {
    let above = name.num_labels().saturating_sub(1);
    let signature = |record: &DnsRecord, of: RecordType| match &record.data {
        RData::DNSSEC(DNSSECRData::RRSIG(signature)) if signature.input().type_covered == of && record.proof.is_secure() => {
            Some((signature.input().num_labels, signature.input().signer_name.clone()))
        }
        _ => None,
    };
    let mut expanded = answer.answers.iter().filter(|record| record.name == *name);
    let signer = expanded.find_map(|record| signature(record, RecordType::SMIMEA).filter(|(labels, _)| *labels == above));
    let Some((_, zone)) = signer else { return false };
    let covers = |record: &&DnsRecord| match &record.data {
        RData::DNSSEC(DNSSECRData::NSEC(nsec)) => {
            let next = nsec.next_domain_name();
            // the last one of a zone leads back to its begin
            record.proof.is_secure() && record.name < *name && (name < next || *next == zone)
        }
        _ => false,
    };
    // of the same zone: that of a zone above covers every name of this one
    let is_of_zone = |nsec: &DnsRecord| {
        let by = |record: &DnsRecord| signature(record, RecordType::NSEC).is_some_and(|(_, signer)| signer == zone);
        answer.authorities.iter().any(|record| record.name == nsec.name && by(record))
    };
    answer.authorities.iter().filter(covers).any(is_of_zone)
}

/// Whether records are made from a wildcard and nothing proves that there is none of their own (RFC 4035 5.3.4).
fn is_wildcard_unproven(answer: &DnsResponse, records: &[&DnsRecord]) -> bool {
    let is_expanded = |record: &DnsRecord| match &record.data {
        RData::DNSSEC(DNSSECRData::RRSIG(signature)) => {
            let input = signature.input();
            let covers = records.iter().any(|r| r.name == record.name && r.record_type() == input.type_covered);
            covers && record.proof.is_secure() && input.num_labels < record.name.num_labels()
        }
        _ => false,
    };
    let proves =
        |record: &DnsRecord| record.proof.is_secure() && matches!(record.record_type(), RecordType::NSEC | RecordType::NSEC3);
    answer.answers.iter().any(is_expanded) && !answer.authorities.iter().any(proves)
}

fn read(found: &[&DnsRecord], asked: &mut Asked) {
    for record in found.iter().take(RECORDS) {
        let RData::SMIMEA(fields) = &record.data else { continue };
        let (usage, selector, matching) = (fields.cert_usage.into(), fields.selector.into(), fields.matching.into());
        match Record::new(usage, selector, matching, &fields.cert_data) {
            Ok(record) => asked.records.push(record),
            Err(why) => asked.unusable.push(why),
        }
    }
    if found.len() > RECORDS {
        asked.unusable.push(format!("there are {} SMIMEA records, of which {RECORDS} are read", found.len()));
    }
}
