//! What a domain asks of TLS towards its servers, fetched over HTTPS (RFC 8461).

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::http::{self, Url};
use crate::server::clock::steady;
use crate::server::drive::now;
use crate::server::outbound::find::Servers;
use crate::server::outbound::https;
use crate::server::outbound::tls::Tls;
use crate::server::store::{Error, Store};
use crate::time::Timestamp;

/// A policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::server) struct Policy {
    pub(in crate::server) mode: Mode,
    /// Names of servers; `*.` stands for one label.
    mx: Vec<String>,
    max_age: i64,
    /// Its lines.
    pub(in crate::server::outbound) wording: String,
}

/// Why a policy that there is could not be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::server::outbound) struct Failed {
    pub(in crate::server::outbound) why: String,
    /// What is told of it (RFC 8460 4.3).
    pub(in crate::server::outbound) result: &'static str,
}

impl Failed {
    fn fetch(why: String) -> Self {
        Self { why, result: "sts-policy-fetch-error" }
    }
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
    /// Domains whose policy could not be fetched, when and why.
    failed: Mutex<HashMap<String, (Timestamp, Failed)>>,
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
    pub(in crate::server::outbound) async fn of(&self, domain: &str) -> Result<Option<Policy>, Failed> {
        let now = now();
        let kept = self.kept(domain, now).await.map_err(Failed::fetch)?;
        let texts = self.servers.texts(&format!("_mta-sts.{domain}")).await.unwrap_or_default();
        let Some(version) = version(&texts) else { return Ok(kept.map(|kept| kept.policy)) };
        if let Some(kept) = kept.as_ref().filter(|kept| kept.version == version && kept.is_young) {
            return Ok(Some(kept.policy.clone()));
        }
        let fetched = match self.fetch(domain, steady()).await {
            Ok(text) => parse(&text).map(|policy| (text, policy)).map_err(|why| Failed {
                why: format!("the policy of {domain} cannot be used – {why}"),
                result: "sts-policy-invalid",
            }),
            Err(failed) => Err(Failed { why: format!("the policy of {domain} cannot be fetched – {}", failed.why), ..failed }),
        };
        match (fetched, kept) {
            (Ok((text, policy)), _) => {
                let (store, name) = (Arc::clone(&self.store), domain.to_owned());
                let keep = tokio::task::spawn_blocking(move || store.keep_policy(&name, &version, &text, now));
                let kept = keep.await.map_err(|error| error.to_string()).and_then(|kept| kept.map_err(|error| error.to_string()));
                kept.map_err(Failed::fetch)?;
                Ok(Some(policy))
            }
            (Err(_), Some(kept)) => Ok(Some(kept.policy)),
            (Err(failed), None) => Err(failed),
        }
    }

    /// The policy that was fetched before, while it holds.
    async fn kept(&self, domain: &str, now: Timestamp) -> Result<Option<Kept>, String> {
        let (store, name) = (Arc::clone(&self.store), domain.to_owned());
        let read = move || {
            let kept = store.policy(&name)?;
            // one of a time ahead was fetched by a clock that was: it counts as fetched now, so that it ends as others do
            if let Some((version, text, at)) = &kept
                && *at > now
            {
                store.keep_policy(&name, version, text, now)?;
            }
            Ok::<_, Error>(kept)
        };
        let kept = tokio::task::spawn_blocking(read).await;
        let kept = kept.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
        Ok(kept.and_then(|(version, text, at)| {
            let policy = parse(&text).ok()?;
            let (is_fresh, is_young) = stands(&policy, at, now);
            is_fresh.then_some(Kept { version, policy, is_young })
        }))
    }

    pub(in crate::server::outbound) async fn fetch(&self, domain: &str, now: Timestamp) -> Result<String, Failed> {
        let failed = |policies: &Self| policies.failed.lock().unwrap_or_else(PoisonError::into_inner).get(domain).cloned();
        if let Some((_, failed)) = failed(self).filter(|(at, _)| now.unix().saturating_sub(at.unix()) < PAUSE) {
            return Err(failed);
        }
        let fetched = tokio::time::timeout(TIME, self.get(domain)).await;
        let fetched = fetched.unwrap_or_else(|_| Err(Failed::fetch("it takes too long".to_owned())));
        let mut all = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, (at, _)| now.unix().saturating_sub(at.unix()) < PAUSE);
        if let Err(failed) = &fetched {
            all.insert(domain.to_owned(), (now, failed.clone()));
        }
        fetched
    }

    async fn get(&self, domain: &str) -> Result<String, Failed> {
        let host = format!("mta-sts.{domain}");
        // the reader of URLs knows no other scheme; what goes out under TLS names neither scheme nor port
        let url =
            Url::parse(&format!("http://{host}/.well-known/mta-sts.txt")).map_err(|error| Failed::fetch(error.to_string()))?;
        let mut failed = Failed::fetch(format!("{host} has no address"));
        for address in self.servers.addresses(&host, self.port).await.map_err(Failed::fetch)? {
            match self.get_from(address, &host, &url).await {
                Ok(text) => return Ok(text),
                Err(error) => failed = error,
            }
        }
        Err(failed)
    }

    async fn get_from(&self, address: SocketAddr, host: &str, url: &Url) -> Result<String, Failed> {
        let answer = https::exchange(&self.tls, (host, address), &http::get(url), MOST).await.map_err(|error| match error {
            https::Failed::Tls(why) => Failed { why, result: "sts-webpki-invalid" },
            https::Failed::Other(why) => Failed::fetch(why),
        })?;
        // RFC 8461 3.3: redirects are not followed, and another kind of file is no policy
        match (answer.status, answer.media_type.as_str()) {
            (200, "text/plain") => String::from_utf8(answer.body).map_err(|_| Failed::fetch("it is no text".to_owned())),
            (200, kind) => Err(Failed::fetch(format!("it is {kind} and not text/plain"))),
            (status, _) => Err(Failed::fetch(format!("{host} answers with status {status}"))),
        }
    }
}

/// Whether a policy that was fetched then holds, and whether it need not be fetched again. One of a time to come holds, and is.
fn stands(policy: &Policy, at: Timestamp, now: Timestamp) -> (bool, bool) {
    let age = now.unix().saturating_sub(at.unix());
    (age < policy.max_age, (0..policy.max_age / 2).contains(&age))
}

/// A policy that was fetched before.
struct Kept {
    version: String,
    policy: Policy,
    /// Whether it need not be fetched again: half of its time lies ahead (RFC 8461 10.2: who blocks the way to a new one must do so for long).
    is_young: bool,
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
    let wording = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n");
    Ok(Policy { mode, mx, max_age, wording })
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
    fn a_policy_holds_for_its_time_and_one_of_a_clock_that_was_ahead_is_fetched_again() {
        let policy = parse("version: STSv1\nmode: enforce\nmx: mail.example.com\nmax_age: 604800\n").expect("good");
        let stands = |age| stands(&policy, Timestamp::from_unix(0), Timestamp::from_unix(age));
        assert_eq!(
            [0, 302_399, 302_400, 604_799, 604_800].map(stands),
            [(true, true), (true, true), (true, false), (true, false), (false, false)]
        );
        assert_eq!(stands(-365 * 86_400), (true, false));
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
