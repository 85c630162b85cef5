//! What is asked of DNS, as a trait: the one who answers is the resolver, and a table in tests.

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr};

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::server) enum Nothing {
    /// There is no such record.
    None,
    /// It cannot be known now.
    Later(String),
}

/// Who answers. Names are given without their last dot, and come back in lower case and without it.
pub(in crate::server) trait Dns: Clone + Send + Sync + 'static {
    /// The names of an address (PTR).
    fn names(&self, address: IpAddr) -> impl Future<Output = Result<Vec<String>, Nothing>> + Send;

    /// The addresses of a name (A and AAAA).
    fn addresses(&self, name: &str) -> impl Future<Output = Result<Vec<IpAddr>, Nothing>> + Send;

    /// The IPv4 addresses of a name (A).
    fn codes(&self, name: &str) -> impl Future<Output = Result<Vec<Ipv4Addr>, Nothing>> + Send;

    /// The texts of a name (TXT), each as one string.
    fn texts(&self, name: &str) -> impl Future<Output = Result<Vec<String>, Nothing>> + Send;
}

/// Names of one address that are followed: RFC 7208 5.5 has ten, and honest hosts have one or two.
const NAMES: usize = 5;

/// The names of a client that lead back to its address (RFC 8601 2.7.3): anybody can give his address any name.
pub(in crate::server) async fn confirmed_names(dns: &impl Dns, address: IpAddr) -> Result<Vec<String>, Nothing> {
    let address = address.to_canonical();
    let names = dns.names(address).await?;
    let (mut confirmed, mut later) = (Vec::new(), None);
    for name in names.into_iter().take(NAMES) {
        match dns.addresses(&name).await {
            Ok(addresses) if addresses.iter().any(|known| known.to_canonical() == address) => confirmed.push(name),
            Ok(_) | Err(Nothing::None) => {}
            Err(Nothing::Later(why)) => later = Some(why),
        }
    }
    match (confirmed.is_empty(), later) {
        (true, Some(why)) => Err(Nothing::Later(why)),
        (true, None) => Err(Nothing::None),
        (false, _) => Ok(confirmed),
    }
}

#[cfg(test)]
pub(in crate::server::policy) mod table {
    use std::collections::BTreeMap;
    use std::sync::{Arc, Mutex};

    use super::*;

    /// DNS that answers from a table: lines of `NAME TYPE VALUE`; the type `LATER` never answers, and its value says why. What was asked is kept.
    #[derive(Debug, Clone, Default)]
    pub(in crate::server::policy) struct Table {
        records: Arc<BTreeMap<(String, String), Vec<String>>>,
        pub(in crate::server::policy) asked: Arc<Mutex<Vec<String>>>,
    }

    impl Table {
        pub(in crate::server::policy) fn new(text: &str) -> Self {
            let mut records: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
            for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
                let mut words = line.splitn(3, ' ');
                let (name, kind) = (words.next().expect("a name").to_lowercase(), words.next().expect("a type").to_owned());
                records.entry((name, kind)).or_default().push(words.next().unwrap_or("").to_owned());
            }
            Self { records: Arc::new(records), asked: Arc::default() }
        }

        pub(in crate::server::policy) fn all_names(&self) -> Vec<String> {
            self.records.keys().map(|(name, _)| name.clone()).collect()
        }

        pub(in crate::server::policy) fn of(&self, name: &str, kind: &str) -> Result<Vec<String>, Nothing> {
            let name = name.trim_end_matches('.').to_lowercase();
            self.asked.lock().expect("no panic").push(format!("{name} {kind}"));
            if let Some(why) = self.records.get(&(name.clone(), "LATER".to_owned())) {
                return Err(Nothing::Later(why.concat()));
            }
            self.records.get(&(name, kind.to_owned())).cloned().ok_or(Nothing::None)
        }
    }

    impl Dns for Table {
        async fn names(&self, address: IpAddr) -> Result<Vec<String>, Nothing> {
            self.of(&address.to_string(), "PTR")
        }
        async fn addresses(&self, name: &str) -> Result<Vec<IpAddr>, Nothing> {
            let parse = |texts: Vec<String>| texts.iter().map(|text| text.parse().expect("an address")).collect();
            let (v4, v6) = (self.of(name, "A").map(parse), self.of(name, "AAAA").map(parse));
            match (v4, v6) {
                (Ok(v4), Ok(v6)) => Ok([v4, v6].concat()),
                (Ok(one), Err(_)) | (Err(_), Ok(one)) => Ok(one),
                (Err(error), Err(_)) => Err(error),
            }
        }
        async fn codes(&self, name: &str) -> Result<Vec<Ipv4Addr>, Nothing> {
            Ok(self.of(name, "A")?.iter().map(|text| text.parse().expect("an address")).collect())
        }
        async fn texts(&self, name: &str) -> Result<Vec<String>, Nothing> {
            self.of(name, "TXT")
        }
    }

    /// Runs what waits for nothing but a table.
    pub(in crate::server::policy) fn run<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(future)
    }
}

#[cfg(test)]
mod tests {
    use super::table::{Table, run};
    use super::*;

    #[test]
    fn a_name_counts_where_it_leads_back() {
        let dns = Table::new(
            "192.0.2.1 PTR mail.a.example
             192.0.2.1 PTR bank.example
             mail.a.example A 192.0.2.1
             bank.example A 198.51.100.1
             192.0.2.2 PTR bank.example
             192.0.2.3 PTR slow.example
             slow.example LATER
             2001:db8::1 PTR six.a.example
             six.a.example AAAA 2001:db8::1",
        );
        let names = |address: &str| run(confirmed_names(&dns, address.parse().expect("an address")));
        assert_eq!(names("192.0.2.1"), Ok(vec!["mail.a.example".to_owned()]));
        assert_eq!(names("::ffff:192.0.2.1"), Ok(vec!["mail.a.example".to_owned()]));
        assert_eq!(names("192.0.2.2"), Err(Nothing::None), "it is not the bank");
        assert!(matches!(names("192.0.2.3"), Err(Nothing::Later(_))));
        assert_eq!(names("192.0.2.4"), Err(Nothing::None));
        assert_eq!(names("2001:db8::1"), Ok(vec!["six.a.example".to_owned()]));
    }

    #[test]
    fn a_client_with_very_many_names_costs_little() {
        let mut text = String::new();
        (0..1000).for_each(|number| text.push_str(&format!("192.0.2.1 PTR h{number}.example\n")));
        let dns = Table::new(&text);
        assert_eq!(run(confirmed_names(&dns, [192, 0, 2, 1].into())), Err(Nothing::None));
        assert!(dns.asked.lock().expect("no panic").len() <= 1 + 2 * NAMES);
    }
}
