//! DNS lists of addresses and domains that send spam (RFC 5782).
//!
//! Holds always: a list that does not answer, answers nonsense or fails its test refuses nobody.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use tokio::task::JoinSet;

use crate::server::policy::dns::{Dns, Nothing};
use crate::server::policy::refusal::Refusal;

/// A list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone {
    /// Its domain: `zen.example.org`.
    pub name: String,
    /// Whether it lists addresses or domains.
    pub kind: Kind,
    /// Last numbers of the answers 127.0.0.x that count; all from 2 on where there are none.
    pub codes: Vec<u8>,
}

/// What a list lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Addresses of clients.
    Addresses,
    /// Domains of senders, and names of clients.
    Domains,
}

/// What asking a list found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::server) enum Listed {
    /// It is listed, and why.
    Yes(String),
    /// It is not.
    No,
    /// The list says nothing that counts, and why.
    Unknown(String),
}

/// For all lists together: a client waits no longer for its reply.
const PATIENCE: Duration = Duration::from_secs(5);

impl Zone {
    /// Reads `zen.example.org`, or `zen.example.org=2,3,10` where only some answers count.
    pub fn parse(text: &str, kind: Kind) -> Result<Self, String> {
        let (name, codes) = text.split_once('=').map_or((text, None), |(name, codes)| (name, Some(codes)));
        let is_label = |label: &str| {
            !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        };
        if name.len() > 180 || !name.contains('.') || !name.split('.').all(is_label) {
            return Err(format!("{name} is no domain of a list"));
        }
        let codes: Result<Vec<u8>, _> =
            codes.into_iter().flat_map(|codes| codes.split(',')).map(|code| code.trim().parse()).collect();
        let codes = codes.map_err(|_| format!("{text}: the answers that count are numbers from 0 to 255, as 2,3,10"))?;
        Ok(Self { name: name.to_ascii_lowercase(), kind, codes })
    }

    /// Whether its test entries are as RFC 5782 5 has them; why not, else. A list that ended lists nothing or everything.
    pub(in crate::server) async fn test(&self, dns: &impl Dns) -> Result<(), String> {
        let (listed, free) = match self.kind {
            Kind::Addresses => (name_of(Ipv4Addr::new(127, 0, 0, 2).into()), name_of(Ipv4Addr::LOCALHOST.into())),
            Kind::Domains => ("TEST".to_owned(), "INVALID".to_owned()),
        };
        match self.ask(dns, &free).await {
            Listed::Yes(_) => return Err(format!("{} lists everything – it is not asked", self.name)),
            Listed::Unknown(why) => return Err(format!("{} cannot be tested, and is not asked – {why}", self.name)),
            Listed::No => {}
        }
        match self.ask(dns, &listed).await {
            Listed::Yes(_) => Ok(()),
            Listed::No => Err(format!("{} does not list its test entry – it is not asked", self.name)),
            Listed::Unknown(why) => Err(format!("{} cannot be tested, and is not asked – {why}", self.name)),
        }
    }

    /// Whether the name that stands for an address or a domain is listed.
    async fn ask(&self, dns: &impl Dns, name: &str) -> Listed {
        let name = format!("{name}.{}", self.name);
        let codes = match dns.codes(&name).await {
            Ok(codes) => codes,
            Err(Nothing::None) => return Listed::No,
            Err(Nothing::Later(why)) => return Listed::Unknown(why),
        };
        // RFC 5782 2.1: in 127.0.0.0/8, and by convention not 127.0.0.1; 127.255.255.x is how some say that they do not answer this resolver
        let counts = |code: &Ipv4Addr| {
            let [first, second, third, last] = code.octets();
            (first, second, third) == (127, 0, 0) && if self.codes.is_empty() { last >= 2 } else { self.codes.contains(&last) }
        };
        if codes.iter().any(counts) {
            let why = dns.texts(&name).await.ok().and_then(|texts| texts.into_iter().next()).unwrap_or_default();
            return Listed::Yes(why);
        }
        match codes.iter().find(|code| code.octets().starts_with(&[127, 255]) || code.octets().first() != Some(&127)) {
            Some(odd) => Listed::Unknown(format!("{} answers {odd}, which is no entry of a list", self.name)),
            None => Listed::No,
        }
    }
}

/// Asks all lists of a kind at once about what is named; the first that lists it refuses.
pub(in crate::server) async fn judge(dns: &impl Dns, zones: &[Zone], about: &About<'_>) -> Option<Refusal> {
    let mut asked = JoinSet::new();
    for zone in zones {
        for name in about.names(zone.kind) {
            let (dns, zone) = (dns.clone(), zone.clone());
            asked.spawn(async move { (zone.ask(&dns, &name).await, zone) });
        }
    }
    let first = async {
        while let Some(answered) = asked.join_next().await {
            if let Ok((Listed::Yes(why), zone)) = answered {
                return Some((why, zone));
            }
        }
        None
    };
    let (why, zone) = tokio::time::timeout(PATIENCE, first).await.ok().flatten()?;
    let what = match zone.kind {
        Kind::Addresses => about.address.to_string(),
        Kind::Domains => about.domains.join(" or "),
    };
    let why = if why.is_empty() { String::new() } else { format!(": {why}") };
    Some(Refusal::new(550, "5.7.1", format!("{what} is listed by {}{why}", zone.name)))
}

/// About whom lists are asked.
#[derive(Debug, Clone)]
pub(in crate::server) struct About<'a> {
    /// The client.
    pub(in crate::server) address: IpAddr,
    /// The domain of the sender, the confirmed names of the client.
    pub(in crate::server) domains: Vec<&'a str>,
}

impl About<'_> {
    fn names(&self, kind: Kind) -> Vec<String> {
        match kind {
            Kind::Addresses => vec![name_of(self.address)],
            Kind::Domains => {
                self.domains.iter().filter(|domain| domain.contains('.')).map(|domain| (*domain).to_owned()).collect()
            }
        }
    }
}

/// The name that stands for an address: its bytes, or half bytes, in reverse (RFC 5782 2.1, 2.4).
fn name_of(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let [a, b, c, d] = v4.octets();
            format!("{d}.{c}.{b}.{a}")
        }
        IpAddr::V6(v6) => {
            let digits = format!("{:032x}", u128::from(v6));
            digits.chars().rev().map(String::from).collect::<Vec<_>>().join(".")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::policy::dns::table::{Table, run};

    fn zone(text: &str, kind: Kind) -> Zone {
        Zone::parse(text, kind).expect(text)
    }

    fn about(address: &str) -> About<'static> {
        About { address: address.parse().expect("an address"), domains: vec!["spammer.example", "localhost"] }
    }

    #[test]
    fn names_are_those_of_the_rfc() {
        assert_eq!(name_of([192, 0, 2, 99].into()), "99.2.0.192");
        let v6: IpAddr = "2001:db8:1:2:3:4:567:89ab".parse().expect("an address");
        assert_eq!(name_of(v6), "b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2");
    }

    #[test]
    fn who_is_listed_is_refused_with_the_reason_of_the_list() {
        let dns = Table::new(
            "99.2.0.192.bad.example A 127.0.0.4
             99.2.0.192.bad.example TXT see https://bad.example/?192.0.2.99
             spammer.example.dom.example A 127.0.0.2",
        );
        let both = [zone("bad.example", Kind::Addresses), zone("dom.example", Kind::Domains)];
        let refusal = run(judge(&dns, &both[..1], &about("192.0.2.99"))).expect("listed");
        assert_eq!(refusal.text, "192.0.2.99 is listed by bad.example: see https://bad.example/?192.0.2.99");
        assert_eq!((refusal.code, refusal.enhanced), (550, "5.7.1"));
        assert_eq!(run(judge(&dns, &both[..1], &about("192.0.2.98"))), None);
        let refusal = run(judge(&dns, &both[1..], &about("192.0.2.98"))).expect("its domain is");
        assert!(refusal.text.contains("spammer.example or localhost is listed by dom.example"), "{}", refusal.text);
        assert_eq!(run(judge(&dns, &[zone("bad.example=2,3", Kind::Addresses)], &about("192.0.2.99"))), None, "4 does not count");
        assert!(run(judge(&dns, &[zone("bad.example=2, 4", Kind::Addresses)], &about("192.0.2.99"))).is_some());
    }

    #[test]
    fn what_does_not_answer_or_answers_nonsense_refuses_nobody() {
        let dns = Table::new(
            "1.2.0.192.slow.example LATER
             1.2.0.192.gone.example A 203.0.113.80
             1.2.0.192.quota.example A 127.255.255.254
             1.2.0.192.one.example A 127.0.0.1
             1.2.0.192.good.example A 127.0.0.2",
        );
        for name in ["slow.example", "gone.example", "quota.example", "one.example", "none.example"] {
            assert_eq!(run(judge(&dns, &[zone(name, Kind::Addresses)], &about("192.0.2.1"))), None, "{name}");
        }
        let all = ["slow.example", "gone.example", "good.example"].map(|name| zone(name, Kind::Addresses));
        assert!(run(judge(&dns, &all, &about("192.0.2.1"))).is_some(), "the others still count");
    }

    #[test]
    fn a_list_is_asked_only_where_its_test_entries_are_right() {
        let dns = Table::new(
            "2.0.0.127.good.example A 127.0.0.2
             2.0.0.127.all.example A 127.0.0.2
             1.0.0.127.all.example A 127.0.0.2
             1.0.0.127.slow.example LATER
             test.dom.example A 127.0.0.2",
        );
        let test = |name, kind| run(zone(name, kind).test(&dns));
        assert_eq!(test("good.example", Kind::Addresses), Ok(()));
        assert_eq!(test("dom.example", Kind::Domains), Ok(()));
        assert!(test("all.example", Kind::Addresses).is_err_and(|why| why.contains("lists everything")));
        assert!(test("dead.example", Kind::Addresses).is_err_and(|why| why.contains("does not list its test entry")));
        assert!(test("slow.example", Kind::Addresses).is_err_and(|why| why.contains("cannot be tested")));
    }

    #[test]
    fn what_is_no_list_is_refused() {
        for wrong in ["", "zen", "a..b", "zen.example=x", "zen.example=300", "a b.example"] {
            assert!(Zone::parse(wrong, Kind::Addresses).is_err(), "{wrong}");
        }
    }
}
