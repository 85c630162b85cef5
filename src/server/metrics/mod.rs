//! What the server counts, and how Prometheus is told of it.
//!
//! Uses: nothing of the server but `store` (what waits, how long commits took). Never: a name of a user, a domain or a peer: a label has few
//! values, whoever connects.
//! Holds always: counting never waits for a reader for longer than it takes to copy some numbers.
//!
//! The text is that of Prometheus' exposition format 0.0.4.

mod family;
mod text;

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use crate::server::listen::Service;
use crate::server::metrics::family::Family;
use crate::server::store::{Counted, Depth};
use crate::time::Timestamp;

/// The services whose connections are counted: those of [`Service`], mail that goes out, and the admin API.
const SERVICES: [&str; 7] =
    [Service::ALL[0].1, Service::ALL[1].1, Service::ALL[2].1, Service::ALL[3].1, Service::ALL[4].1, "delivery", "api"];

/// Numbers of one service.
#[derive(Debug, Default)]
struct OfService {
    open: AtomicI64,
    sessions: AtomicU64,
    accepted: AtomicU64,
    accepted_bytes: AtomicU64,
    received: AtomicU64,
    sent: AtomicU64,
}

/// What is counted since the start.
#[derive(Debug)]
pub struct Metrics {
    services: [OfService; SERVICES.len()],
    refusals: Family,
    logins: Family,
    tls: Family,
    relayed: Family,
    filters: Family,
    scanners: Family,
    api: Family,
    delivered: AtomicU64,
    /// When the queue's worker was seen last; 0 for never.
    worker: AtomicI64,
}

/// What became of a recipient elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relayed {
    /// The next server took it.
    Delivered,
    /// It is tried again.
    Deferred,
    /// It was given up.
    Failed,
}

/// How a login ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Login {
    /// Somebody is in.
    Good,
    /// The name, the password or the proof was wrong.
    Bad,
    /// It was not looked at: without TLS, by an unknown mechanism, too often, or not now.
    Other,
}

/// What is known only when somebody asks.
#[derive(Debug, Clone)]
pub struct Gauges {
    /// What waits in the queue; nothing where the store does not say.
    pub depth: Option<Depth>,
    /// How long commits took.
    pub commits: Counted,
    /// Bytes that are free on the disk of the data.
    pub disk_free: Option<u64>,
    /// When the server started.
    pub started: Timestamp,
    /// When this is.
    pub now: Timestamp,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            services: Default::default(),
            refusals: Family::new("sealpost_refusals_total", "Replies that refused something, by code and enhanced status."),
            logins: Family::new("sealpost_logins_total", "Logins by mechanism."),
            tls: Family::new("sealpost_tls_handshakes_total", "TLS handshakes of clients by version."),
            relayed: Family::new("sealpost_relayed_total", "Attempts for recipients elsewhere by what became of them."),
            filters: Family::new("sealpost_filter_actions_total", "What filters of users came to."),
            scanners: Family::new("sealpost_scanner_results_total", "What scanners said of messages."),
            api: Family::new("sealpost_api_requests_total", "Requests of the admin API by operation and status."),
            delivered: AtomicU64::new(0),
            worker: AtomicI64::new(0),
        }
    }
}

impl Metrics {
    /// A conversation begins.
    pub(in crate::server) fn opened(&self, service: &str) {
        let Some(of) = self.of(service) else { return };
        of.open.fetch_add(1, Ordering::Relaxed);
        of.sessions.fetch_add(1, Ordering::Relaxed);
    }

    /// A conversation ended.
    pub(in crate::server) fn closed(&self, service: &str) {
        if let Some(of) = self.of(service) {
            of.open.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// A message was accepted.
    pub(in crate::server) fn accepted(&self, service: &str, bytes: u64) {
        let Some(of) = self.of(service) else { return };
        of.accepted.fetch_add(1, Ordering::Relaxed);
        of.accepted_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Bytes came and went.
    pub(in crate::server) fn moved(&self, service: &str, received: usize, sent: usize) {
        let Some(of) = self.of(service) else { return };
        let wide = |bytes| u64::try_from(bytes).unwrap_or(u64::MAX);
        of.received.fetch_add(wide(received), Ordering::Relaxed);
        of.sent.fetch_add(wide(sent), Ordering::Relaxed);
    }

    /// Something was refused.
    pub(in crate::server) fn refused(&self, service: &str, code: &str, status: &str) {
        self.refusals.count(&[("service", service), ("code", code), ("status", status)], 1);
    }

    /// Somebody logged in, or could not.
    pub(in crate::server) fn login(&self, service: &str, mechanism: &str, login: Login) {
        let result = match login {
            Login::Good => "good",
            Login::Bad => "bad",
            Login::Other => "refused",
        };
        self.logins.count(&[("service", service), ("mechanism", mechanism), ("result", result)], 1);
    }

    /// A handshake went well: the cipher, and the version in brackets.
    pub(in crate::server) fn tls(&self, service: &str, how: &str) {
        let version = how.rsplit_once('(').map_or(how, |(_, version)| version.trim_end_matches(')'));
        self.tls.count(&[("service", service), ("version", version)], 1);
    }

    /// A message was put into so many mailboxes.
    pub(in crate::server) fn delivered(&self, mailboxes: usize) {
        self.delivered.fetch_add(u64::try_from(mailboxes).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// An attempt for a recipient elsewhere ended.
    pub(in crate::server) fn relayed(&self, result: Relayed) {
        let result = match result {
            Relayed::Delivered => "delivered",
            Relayed::Deferred => "deferred",
            Relayed::Failed => "failed",
        };
        self.relayed.count(&[("result", result)], 1);
    }

    /// What filters came to: so many times each.
    pub(in crate::server) fn filtered(&self, action: &'static str, times: usize) {
        self.filters.count(&[("action", action)], u64::try_from(times).unwrap_or(u64::MAX));
    }

    /// What a scanner said.
    pub(in crate::server) fn scanned(&self, result: &'static str) {
        self.scanners.count(&[("result", result)], 1);
    }

    /// A request of the admin API was answered.
    pub(in crate::server) fn asked(&self, operation: &str, status: u16) {
        self.api.count(&[("operation", operation), ("status", &status.to_string())], 1);
    }

    /// The queue's worker is alive.
    pub(in crate::server) fn worker_at(&self, now: Timestamp) {
        self.worker.store(now.unix(), Ordering::Relaxed);
    }

    /// When the queue's worker was seen last.
    pub(in crate::server) fn worker(&self) -> Timestamp {
        Timestamp::from_unix(self.worker.load(Ordering::Relaxed))
    }

    /// Conversations that are open, by service.
    pub fn open(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.each(|of| u64::try_from(of.open.load(Ordering::Relaxed)).unwrap_or(0))
    }

    /// Messages accepted, and those put into mailboxes.
    pub fn messages(&self) -> (u64, u64) {
        let accepted = self.services.iter().map(|of| of.accepted.load(Ordering::Relaxed)).sum();
        (accepted, self.delivered.load(Ordering::Relaxed))
    }

    /// Logins that were good, and that were not.
    pub fn logins(&self) -> (u64, u64) {
        (self.logins.sum(("result", "good")), self.logins.sum(("result", "bad")))
    }

    /// Recipients elsewhere that got theirs, wait, and will not get it.
    pub fn relays(&self) -> (u64, u64, u64) {
        let sum = |result| self.relayed.sum(("result", result));
        (sum("delivered"), sum("deferred"), sum("failed"))
    }

    /// All that was refused.
    pub fn refusals(&self) -> u64 {
        self.refusals.all()
    }

    fn of(&self, service: &str) -> Option<&OfService> {
        SERVICES.iter().position(|known| *known == service).and_then(|at| self.services.get(at))
    }

    fn each<T>(&self, value: impl Fn(&OfService) -> T) -> impl Iterator<Item = (&'static str, T)> {
        SERVICES.into_iter().zip(self.services.iter().map(value))
    }
}
