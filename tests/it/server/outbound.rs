//! Mail to other servers, end to end: a server of ours in this process, and servers, names, policies and authorities that are not ours.

mod dane;
mod finger;
mod forward;
mod mx;
mod postfix;
mod queue;
mod reports;
mod sts;
mod tls;
mod zones;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, SanType};

use sealpost::crypto::random::OsRandom;
use sealpost::keys::domain::{DomainKey, Kind};
use sealpost::proto::smtp::client::Terms;
use sealpost::server::admin::{self, Question};
use sealpost::server::store::{
    AccountStore, Delivery, MailboxStore, PolicyStore, Priority, QueueStore, SqliteStore, Store, TlsResult, Waiting, Which,
};
use sealpost::server::{Config, Running, Service};
use sealpost::time::Timestamp;

use super::dns;
use crate::support;

/// A server of ours in this process: mail.a.example, with jane@a.example.
struct Host {
    folder: tempfile::TempDir,
    runtime: tokio::runtime::Runtime,
    running: Option<Running>,
    store: SqliteStore,
    config: String,
    /// The day on which it was made: what is counted may be of a later one, too.
    day: i64,
}

impl Host {
    /// `more` follows the fixed part of its configuration.
    fn new(more: &str) -> Self {
        Self::of("a.example", more)
    }

    fn of(domain: &str, more: &str) -> Self {
        Self::named(&format!("mail.{domain}"), domain, more)
    }

    fn named(hostname: &str, domain: &str, more: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let authority = Authority::new("an authority of its own");
        let identity = authority.issue(&[hostname, "localhost"]);
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("written");
        write("certificate.pem", &identity.chain_pem());
        write("key.pem", &identity.key_pem);
        write("root.pem", &authority.pem());
        let config = format!(
            "hostname = \"{hostname}\"\ndata = \"mail\"\n[tls]\ncertificate = \"certificate.pem\"\nkey = \"key.pem\"\n\
             [listen]\nsmtp = \"127.0.0.1:0\"\nsubmission = \"127.0.0.1:0\"\n{more}"
        );
        write("sealpost.toml", &config);
        let store = SqliteStore::open(&folder.path().join("mail")).expect("opens");
        store.add_domain(domain).expect("added");
        store.add_user(&format!("jane@{domain}"), "").expect("added");
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
        let mut host = Self { folder, runtime, running: None, store, config, day: today() };
        host.start();
        host
    }

    fn start(&mut self) {
        let config = Config::parse(&self.config, self.folder.path()).unwrap_or_else(|wrong| panic!("{wrong:?}"));
        self.running = Some(self.runtime.block_on(sealpost::server::start(config)).expect("it starts"));
    }

    /// Signs from now on with a key of its domain, where its configuration has `[dkim] folder = "dkim"`; gives the record.
    fn signs(&mut self) -> Vec<(String, String)> {
        let (domain, folder) = (self.store.domains().expect("read").remove(0), self.folder.path().join("dkim"));
        let key = DomainKey::make(&folder, &domain, Kind::Ed25519, now(), &mut OsRandom).expect("made");
        self.stop();
        self.start();
        vec![(key.name(), key.record().expect("a record"))]
    }

    fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            self.runtime.block_on(running.stop());
        }
    }

    /// Waits until connections to other servers, which idle for a while, have ended.
    fn stop_idle(&self) {
        let open = || {
            let metrics = self.running.as_ref().expect("it runs").tracer().metrics();
            metrics.open().filter(|(service, _)| *service == "delivery").map(|(_, open)| open).sum::<u64>()
        };
        until("connections have ended", || open() == 0);
    }

    fn port(&self, service: Service) -> u16 {
        let all = self.running.as_ref().expect("it runs").addresses();
        all.iter().find(|(known, _)| *known == service).expect("it is served").1.port()
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("mail")
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// Puts a letter of jane's into the queue, and has the server look.
    fn send(&self, to: &[&str]) {
        self.send_as(LETTER.as_bytes(), to, Terms::default(), now());
    }

    fn send_as(&self, message: &[u8], to: &[&str], terms: Terms, at: Timestamp) {
        self.put(message, to, terms, at);
        self.wake();
    }

    /// The same, and nobody is told.
    fn put(&self, message: &[u8], to: &[&str], terms: Terms, at: Timestamp) {
        let domain = self.store.domains().expect("read").remove(0);
        let elsewhere = to.iter().map(|to| (*to).to_owned().into()).collect();
        let (sender, priority) = (format!("jane@{domain}"), Priority::Normal);
        let (message, final_fields, mailboxes) = (message.to_vec().into(), Vec::new(), Vec::new());
        self.store
            .deliver(Delivery {
                message,
                final_fields,
                mailboxes,
                sender,
                elsewhere,
                terms,
                priority,
                at,
                extra: Default::default(),
            })
            .expect("kept");
    }

    /// Puts letters into the queue while the server is stopped: it finds all of them at once, and not some of them at a look of its own.
    fn finds(&mut self, to: &[&str]) {
        self.stop();
        to.iter().for_each(|to| self.put(LETTER.as_bytes(), &[to], Terms::default(), now()));
        self.start();
    }

    fn wake(&self) {
        drop(admin::ask(&self.data(), &Question::Wake).expect("it runs").collect::<Vec<_>>());
    }

    /// Has everything tried now.
    fn retry(&self) {
        self.store.retry(&Which::All, now()).expect("moved");
        self.wake();
    }

    fn waiting(&self) -> Vec<Waiting> {
        self.store.waiting().expect("read")
    }

    /// Waits until every recipient was tried so often or is gone; gives those that are left with why.
    fn tried(&self, times: u32) -> Vec<(String, String)> {
        until("all are tried", || self.waiting().iter().all(|one| one.attempts >= times));
        self.waiting().into_iter().map(|one| (one.recipient, one.error)).collect()
    }

    /// The messages in a mailbox.
    fn mailbox(&self, user: &str) -> Vec<String> {
        let all = self.store.messages(user).expect("read");
        let read = |uid| String::from_utf8_lossy(&self.store.message(user, uid).expect("read")).into_owned();
        all.iter().map(|one| read(one.uid)).collect()
    }

    /// Waits for so many messages in a mailbox.
    fn arrived(&self, user: &str, count: usize) -> Vec<String> {
        until("mail has arrived", || self.store.messages(user).expect("read").len() >= count);
        self.mailbox(user)
    }

    /// How TLS went with the servers of a domain: policy and result.
    fn tls(&self, domain: &str) -> Vec<(String, String)> {
        let all = (self.day..=today()).flat_map(|day| self.store.tls_results(day).expect("read"));
        let of_it = all.map(|(one, _)| one).filter(|one| one.domain == domain);
        of_it.map(|TlsResult { policy, result, .. }| (policy, result)).collect()
    }

    /// The same, once something was counted.
    fn counted(&self, domain: &str, policy: &str, result: &str) {
        let wanted = vec![(policy.to_owned(), result.to_owned())];
        let begin = Instant::now();
        while self.tls(domain) != wanted {
            assert!(begin.elapsed() < support::LONGEST, "{domain}: {:?} and not {wanted:?}", self.tls(domain));
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.stop();
    }
}

const LETTER: &str = "From: jane@a.example\r\nTo: x@b.example\r\nSubject: hi\r\n\r\nA letter.\r\n.dot\r\n";

fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    Timestamp::from_unix(i64::try_from(since.as_secs()).expect("small"))
}

fn today() -> i64 {
    now().unix().div_euclid(86_400)
}

fn until(what: &str, is_so: impl Fn() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < support::LONGEST, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// An authority that is nobody's.
struct Authority {
    certificate: rcgen::Certificate,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate with its chain and key.
#[derive(Clone)]
struct Identity {
    chain: Vec<Vec<u8>>,
    key: Vec<u8>,
    key_pem: String,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = support::params(name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("signed");
        Self { certificate, issuer: Issuer::new(params, key) }
    }

    fn issue(&self, names: &[&str]) -> Identity {
        self.issue_with(names, |_| ())
    }

    fn issue_with(&self, names: &[&str], change: impl Fn(&mut CertificateParams)) -> Identity {
        let mut params = support::params("a server");
        let san = |name: &&str| match name.parse() {
            Ok(ip) => SanType::IpAddress(ip),
            Err(_) => SanType::DnsName((*name).try_into().expect("a name")),
        };
        params.subject_alt_names = names.iter().map(san).collect();
        change(&mut params);
        let key = KeyPair::generate().expect("a key");
        let leaf = params.signed_by(&key, &self.issuer).expect("signed");
        let chain = vec![leaf.der().to_vec(), self.certificate.der().to_vec()];
        Identity { chain, key: key.serialize_der(), key_pem: key.serialize_pem() }
    }

    fn pem(&self) -> String {
        self.certificate.pem()
    }
}

impl Identity {
    fn chain_pem(&self) -> String {
        self.chain.iter().map(|der| sealpost::asn1::pem::encode("CERTIFICATE", der)).collect()
    }

    /// Without the authority's.
    fn alone(mut self) -> Self {
        self.chain.truncate(1);
        self
    }
}
