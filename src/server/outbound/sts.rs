//! What a domain asks of TLS towards its servers, fetched over HTTPS (RFC 8461).

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::http::{self, Reader, Url};
use crate::limits::Limits;
use crate::server::drive::now;
use crate::server::outbound::find::Servers;
use crate::server::outbound::tls::{self, Tls};
use crate::server::store::Store;
use crate::time::Timestamp;

/// A policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::server) struct Policy {
    pub(in crate::server) mode: Mode,
    /// Names of servers; `*.` stands for one label.
    mx: Vec<String>,
    max_age: i64,
}

/// How serious it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::server) enum Mode {
    /// What does not keep to it gets no mail.
    Enforce,
    /// What does not keep to it is reported.
    Testing,
    /// There is none any more.
    None,
}

/// Bytes of a policy (RFC 8461 3.3 suggests 64 KiB).
const MOST: usize = 64 << 10;
/// RFC 8461 3.3: a minute.
const TIME: Duration = Duration::from_secs(60);
/// RFC 8461 3.3: what failed is not fetched again for five minutes.
const PAUSE: i64 = 300;
/// RFC 8461 3.2: about a year.
const MAX_AGE: i64 = 31_557_600;

/// The policies of domains.
pub(in crate::server::outbound) struct Policies {
    servers: Servers,
    store: Arc<dyn Store>,
    tls: Arc<Tls>,
    port: u16,
    /// Domains whose policy could not be fetched, and when.
    failed: Mutex<HashMap<String, Timestamp>>,
}

impl std::fmt::Debug for Policies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Policies")
    }
}

impl Policies {
    pub(in crate::server::outbound) fn new(servers: Servers, store: Arc<dyn Store>, tls: Arc<Tls>, port: u16) -> Self {
        Self { servers, store, tls, port, failed: Mutex::default() }
    }

    /// The policy of a domain, where it has one: that which its version names, else the one that was kept (RFC 8461 3.3, 5.1).
    /// The error says why a policy that there is could not be had and none was kept.
    pub(in crate::server::outbound) async fn of(&self, domain: &str) -> Result<Option<Policy>, String> {
        let now = now();
        let (store, name) = (Arc::clone(&self.store), domain.to_owned());
        let kept = tokio::task::spawn_blocking(move || store.policy(&name)).await;
        let kept = kept.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
        let kept = kept.and_then(|(version, text, at)| {
            let policy = parse(&text).ok()?;
            let is_fresh = now.unix().saturating_sub(at.unix()) < policy.max_age;
            is_fresh.then_some((version, policy))
        });
        let texts = self.servers.texts(&format!("_mta-sts.{domain}")).await.unwrap_or_default();
        let Some(version) = version(&texts) else { return Ok(kept.map(|(_, policy)| policy)) };
        if let Some((_, policy)) = kept.as_ref().filter(|(known, _)| *known == version) {
            return Ok(Some(policy.clone()));
        }
        match self.fetch(domain, now).await {
            Ok(text) => match parse(&text) {
                Ok(policy) => {
                    let (store, name) = (Arc::clone(&self.store), domain.to_owned());
                    let keep = tokio::task::spawn_blocking(move || store.keep_policy(&name, &version, &text, now));
                    keep.await.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
                    Ok(Some(policy))
                }
                Err(why) => kept.map(|(_, policy)| Some(policy)).ok_or(format!("the policy of {domain} cannot be used – {why}")),
            },
            Err(why) => kept.map(|(_, policy)| Some(policy)).ok_or(format!("the policy of {domain} cannot be fetched – {why}")),
        }
    }

    pub(in crate::server::outbound) async fn fetch(&self, domain: &str, now: Timestamp) -> Result<String, String> {
        let failed = |policies: &Self| policies.failed.lock().unwrap_or_else(PoisonError::into_inner).get(domain).copied();
        if failed(self).is_some_and(|at| now.unix().saturating_sub(at.unix()) < PAUSE) {
            return Err("it could not be fetched a moment ago".to_owned());
        }
        let fetched = tokio::time::timeout(TIME, self.get(domain)).await.unwrap_or_else(|_| Err("it takes too long".to_owned()));
        let mut all = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, at| now.unix().saturating_sub(at.unix()) < PAUSE);
        if fetched.is_err() {
            all.insert(domain.to_owned(), now);
        }
        fetched
    }

    async fn get(&self, domain: &str) -> Result<String, String> {
        let host = format!("mta-sts.{domain}");
        // the reader of URLs knows no other scheme; what goes out under TLS names neither scheme nor port
        let url = Url::parse(&format!("http://{host}/.well-known/mta-sts.txt")).map_err(|error| error.to_string())?;
        let mut why = format!("{host} has no address");
        for address in self.servers.addresses(&host, self.port).await? {
            match self.get_from(address, &host, &url).await {
                Ok(text) => return Ok(text),
                Err(error) => why = error,
            }
        }
        Err(why)
    }

    async fn get_from(&self, address: SocketAddr, host: &str, url: &Url) -> Result<String, String> {
        let told = |error: std::io::Error| format!("{host} [{address}]: {error}");
        let stream = TcpStream::connect(address).await.map_err(told)?;
        let connector = self.tls.verified(&[host.to_owned()])?;
        let mut stream = connector.connect(tls::server_name(host), stream).await.map_err(told)?;
        stream.write_all(&http::get(url)).await.map_err(told)?;
        let mut reader = Reader::new(MOST, &Limits::default());
        let mut buffer = [0; 4096];
        loop {
            let count = stream.read(&mut buffer).await.map_err(told)?;
            let is_whole = reader.receive(buffer.get(..count).unwrap_or_default()).map_err(|error| error.to_string())?;
            if is_whole || count == 0 {
                break;
            }
        }
        let answer = reader.finish().map_err(|error| error.to_string())?;
        // RFC 8461 3.3: redirects are not followed, and another kind of file is no policy
        match (answer.status, answer.media_type.split(';').next().unwrap_or_default().trim()) {
            (200, kind) if kind.eq_ignore_ascii_case("text/plain") => {
                String::from_utf8(answer.body).map_err(|_| "it is no text".to_owned())
            }
            (200, kind) => Err(format!("it is {kind} and not text/plain")),
            (status, _) => Err(format!("{host} answers with status {status}")),
        }
    }
}

/// The version that a TXT record names: there is one such record, or none that counts (RFC 8461 3.1).
pub(in crate::server) fn version(texts: &[String]) -> Option<String> {
    let mut records = texts.iter().filter_map(|text| text.strip_prefix("v=STSv1")?.trim_start().strip_prefix(';'));
    let (record, None) = (records.next()?, records.next()) else { return None };
    let id = record.split(';').find_map(|field| field.trim().strip_prefix("id=")).map(str::trim)?;
    let is_good = (1..=32).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_good.then(|| id.to_owned())
}

/// Reads a policy (RFC 8461 3.2).
pub(in crate::server) fn parse(text: &str) -> Result<Policy, String> {
    let (mut version, mut mode, mut max_age, mut mx) = (None, None, None, Vec::new());
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let (key, value) = line.split_once(':').ok_or("a line has no colon")?;
        let value = value.trim();
        match key.trim() {
            "version" => drop(version.get_or_insert(value)),
            "mode" => drop(mode.get_or_insert(value)),
            "max_age" => drop(max_age.get_or_insert(value)),
            "mx" => mx.push(value.to_ascii_lowercase()),
            _ => {}
        }
    }
    if version != Some("STSv1") {
        return Err("it is of no version that is known".to_owned());
    }
    let mode = match mode {
        Some("enforce") => Mode::Enforce,
        Some("testing") => Mode::Testing,
        Some("none") => Mode::None,
        _ => return Err("it has no mode that is known".to_owned()),
    };
    let max_age = max_age.and_then(|age| age.parse().ok()).filter(|age| (0..=MAX_AGE).contains(age));
    let max_age = max_age.ok_or("it has no max_age from 0 to 31557600")?;
    if mx.is_empty() && mode != Mode::None {
        return Err("it names no server".to_owned());
    }
    Ok(Policy { mode, mx, max_age })
}

impl Policy {
    /// Whether a server is one of those that it names (RFC 8461 4.1).
    pub(in crate::server) fn names(&self, host: &str) -> bool {
        self.mx.iter().any(|pattern| match pattern.strip_prefix("*.") {
            Some(rest) => host.split_once('.').is_some_and(|(label, parent)| !label.is_empty() && parent == rest),
            None => pattern == host,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_read_as_the_standard_writes_it() {
        let text =
            "version: STSv1\r\nmode: enforce\r\nmx: mail.Example.com\r\nmx: *.example.net\r\nmax_age: 604800\r\nnew: x\r\n";
        let policy = parse(text).expect("good");
        assert_eq!((policy.mode, policy.max_age), (Mode::Enforce, 604_800));
        for (host, wanted) in [
            ("mail.example.com", true),
            ("x.example.net", true),
            ("example.net", false),
            ("a.b.example.net", false),
            ("mail2.example.com", false),
        ] {
            assert_eq!(policy.names(host), wanted, "{host}");
        }
        for (bad, why) in [
            ("mode: enforce\nmx: a\nmax_age: 1\n", "version"),
            ("version: STSv1\nmode: strict\nmx: a\nmax_age: 1\n", "mode"),
            ("version: STSv1\nmode: enforce\nmx: a\nmax_age: 31557601\n", "max_age"),
            ("version: STSv1\nmode: enforce\nmax_age: 1\n", "no server"),
            ("<html>\n", "colon"),
        ] {
            assert!(parse(bad).is_err_and(|error| error.contains(why)), "{bad}");
        }
    }

    #[test]
    fn there_is_one_record_or_none_that_counts() {
        let find = |texts: &[&str]| version(&texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>());
        assert_eq!(find(&["v=spf1 -all", "v=STSv1; id=20160831085700Z;"]).as_deref(), Some("20160831085700Z"));
        assert_eq!(find(&["v=STSv1; id=1", "v=STSv1; id=2"]), None);
        assert_eq!(find(&["v=STSv1;"]), None);
        assert_eq!(find(&["v=STSv1; id=a-b"]), None);
        assert_eq!(find(&["v=STSv12; id=1"]), None);
    }
}
