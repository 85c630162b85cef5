//! Whether a domain's SPF record lets an address of ours send (RFC 7208). What other servers judge is in `policy`; this asks for our addresses
//! alone, and says which record would do.

use std::net::IpAddr;

use crate::server::doctor::dns::Resolve;

/// What a record says of an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Word {
    /// It may send.
    Pass,
    /// It may not, or nothing is said.
    No,
    /// The domain has no record.
    None,
    /// The record is none (RFC 7208 2.6.7).
    Broken(String),
    /// The DNS does not answer.
    Unknown(String),
}

/// RFC 7208 4.6.4: ten terms that ask the DNS.
const QUESTIONS: u32 = 10;

/// Asks for one address.
pub(super) fn ask(resolver: &dyn Resolve, domain: &str, address: IpAddr) -> Word {
    Asking { resolver, address, left: QUESTIONS }.of(domain)
}

struct Asking<'a> {
    resolver: &'a dyn Resolve,
    address: IpAddr,
    left: u32,
}

impl Asking<'_> {
    fn of(&mut self, domain: &str) -> Word {
        let texts = match self.resolver.texts(domain) {
            Ok(texts) => texts,
            Err(why) => return Word::Unknown(why),
        };
        let is_spf = |text: &&String| text.eq_ignore_ascii_case("v=spf1") || text.to_ascii_lowercase().starts_with("v=spf1 ");
        let records: Vec<&String> = texts.iter().filter(is_spf).collect();
        let record = match records.as_slice() {
            [] => return Word::None,
            [one] => *one,
            _ => return Word::Broken(format!("{domain} has {} SPF records, and one is allowed", records.len())),
        };
        let mut redirect = None;
        for term in record.split_ascii_whitespace().skip(1) {
            let term = term.to_ascii_lowercase();
            if let Some(to) = term.strip_prefix("redirect=") {
                redirect = Some(to.to_owned());
                continue;
            }
            if term.contains('=') {
                continue;
            }
            let (qualifier, mechanism) = match term.split_at_checked(1) {
                Some((sign @ ("+" | "-" | "~" | "?"), rest)) => (sign, rest.to_owned()),
                _ => ("+", term.clone()),
            };
            match self.mechanism(domain, &mechanism) {
                Word::Pass if qualifier == "+" => return Word::Pass,
                Word::Pass => return Word::No,
                Word::No => {}
                other => return other,
            }
        }
        let Some(to) = redirect else { return Word::No };
        if let Err(broken) = self.spend() {
            return broken;
        }
        match self.of(&to) {
            Word::None => Word::Broken(format!("redirect={to} leads to no SPF record")),
            other => other,
        }
    }

    /// Whether a mechanism is about the address.
    fn mechanism(&mut self, domain: &str, mechanism: &str) -> Word {
        let (name, value) = mechanism.split_once(':').unwrap_or((mechanism, ""));
        let (name, prefix) = match (name.split_once('/'), value.split_once('/')) {
            (Some((name, prefix)), _) => (name, Some(prefix)),
            (None, Some((_, prefix))) => (name, Some(prefix)),
            (None, None) => (name, None),
        };
        let value = value.split('/').next().unwrap_or_default();
        let target = if value.is_empty() { domain } else { value };
        match name {
            "all" => Word::Pass,
            "ip4" | "ip6" => match value.parse::<IpAddr>() {
                Ok(network) => yes(within(self.address, network, prefix)),
                Err(_) => Word::Broken(format!("{mechanism} holds no address")),
            },
            "a" => self.spend().err().unwrap_or_else(|| self.is_at(target, prefix)),
            "mx" => {
                if let Err(broken) = self.spend() {
                    return broken;
                }
                match self.resolver.mx(target) {
                    Ok(servers) => {
                        let mut words = servers.iter().take(10).map(|(_, host)| self.is_at(host, prefix));
                        words.find(|word| *word != Word::No).unwrap_or(Word::No)
                    }
                    Err(why) => Word::Unknown(why),
                }
            }
            "include" => {
                if let Err(broken) = self.spend() {
                    return broken;
                }
                match self.of(value) {
                    Word::None => Word::Broken(format!("{mechanism} leads to no SPF record")),
                    other => other,
                }
            }
            // RFC 7208 5.5: ptr is not to be used; exists asks for names made of macros
            "ptr" | "exists" => self.spend().err().unwrap_or(Word::No),
            _ => Word::Broken(format!("{mechanism} is not known")),
        }
    }

    fn is_at(&self, host: &str, prefix: Option<&str>) -> Word {
        match self.resolver.addresses(host.trim_end_matches('.')) {
            Ok(addresses) => yes(addresses.into_iter().any(|address| within(self.address, address, prefix))),
            Err(why) => Word::Unknown(why),
        }
    }

    fn spend(&mut self) -> Result<(), Word> {
        self.left = self.left.checked_sub(1).ok_or_else(|| Word::Broken("it asks the DNS more than ten times".to_owned()))?;
        Ok(())
    }
}

fn yes(is: bool) -> Word {
    if is { Word::Pass } else { Word::No }
}

/// Whether an address is in a network; a prefix of both families is written `24//64`.
fn within(address: IpAddr, network: IpAddr, prefix: Option<&str>) -> bool {
    let (four, six) = match prefix.map(|text| text.split_once("//").unwrap_or((text, text))) {
        Some((four, six)) => (four.parse().unwrap_or(32), six.parse().unwrap_or(128)),
        None => (32_u32, 128_u32),
    };
    match (address, network) {
        (IpAddr::V4(a), IpAddr::V4(b)) => {
            let shift = 32_u32.saturating_sub(four.min(32));
            u32::from(a).checked_shr(shift).unwrap_or(0) == u32::from(b).checked_shr(shift).unwrap_or(0)
        }
        (IpAddr::V6(a), IpAddr::V6(b)) => {
            let shift = 128_u32.saturating_sub(six.min(128));
            u128::from(a).checked_shr(shift).unwrap_or(0) == u128::from(b).checked_shr(shift).unwrap_or(0)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::doctor::dns::tests::Zone;

    #[test]
    fn a_record_lets_those_send_that_it_names() {
        let zone = Zone::new(&[
            ("a.example", "MX", "10 mail.a.example"),
            ("mail.a.example", "A", "192.0.2.1"),
            ("net.example", "TXT", "v=spf1 ip4:198.51.100.0/24 ip6:2001:db8::/32 -all"),
            ("two.example", "TXT", "v=spf1 -all"),
            ("two.example", "TXT", "v=spf1 +all"),
            ("round.example", "TXT", "v=spf1 include:round.example -all"),
        ]);
        let word = |record: &str, address: &str| {
            let zone = zone.with("a.example", "TXT", record);
            ask(&zone, "a.example", address.parse().expect("an address"))
        };
        for (record, address, wanted) in [
            ("v=spf1 mx -all", "192.0.2.1", Word::Pass),
            ("v=spf1 mx/24 -all", "192.0.2.77", Word::Pass),
            ("v=spf1 a:mail.a.example ~all", "192.0.2.1", Word::Pass),
            ("v=spf1 mx -all", "192.0.2.2", Word::No),
            ("v=spf1 -mx +all", "192.0.2.1", Word::No),
            ("v=spf1 include:net.example -all", "198.51.100.7", Word::Pass),
            ("v=spf1 redirect=net.example", "2001:db8:1::1", Word::Pass),
            ("v=spf1 include:net.example -all", "198.51.101.7", Word::No),
            ("other", "192.0.2.1", Word::None),
        ] {
            assert_eq!(word(record, address), wanted, "{record} {address}");
        }
        for (record, why) in [
            ("v=spf1 include:none.example -all", "no SPF record"),
            ("v=spf1 mxx -all", "not known"),
            ("v=spf1 ip4:x -all", "no address"),
            ("v=spf1 include:two.example", "2 SPF records"),
            ("v=spf1 include:round.example", "ten times"),
        ] {
            assert!(matches!(word(record, "192.0.2.1"), Word::Broken(said) if said.contains(why)), "{record}");
        }
    }
}
