//! How a server is: what `status`, `/metrics` and `/readyz` tell.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};

use crate::server::accounts::Accounts;
use crate::server::config::Acme;
use crate::server::metrics::Gauges;
use crate::server::pickup;
use crate::server::privileges::Standing;
use crate::server::space::Room;
use crate::server::trace::Tracer;
use crate::time::Timestamp;

/// A server that runs, seen from outside.
#[derive(Debug)]
pub(in crate::server) struct Overview {
    accounts: Accounts,
    tracer: Tracer,
    data: PathBuf,
    started: Timestamp,
    addresses: Mutex<Vec<(&'static str, SocketAddr)>>,
    /// With which rights it runs.
    rights: Mutex<Standing>,
    /// The folder whose files it sends, where it has one.
    pickup: Mutex<Option<PathBuf>>,
    /// Tasks that must live, and those that do.
    tasks: (AtomicUsize, AtomicUsize),
    /// When readiness was judged last, and how: who asks often does not write often.
    judged: Mutex<Option<(Timestamp, Vec<Unready>)>>,
}

/// Facts, each with its name.
#[derive(Debug, Clone, PartialEq)]
pub struct Status(Vec<(String, Value)>);

/// Why a server is not ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::server) enum Unready {
    /// The store takes nothing.
    Store(String),
    /// A listener or the queue's worker ended.
    Task,
    /// The queue's worker was not seen for too long.
    Worker,
    /// The disk has so many bytes left.
    Disk(u64),
}

/// Bytes of the disk below which no mail should be sent here: some large messages, and the log of the database.
const FLOOR: u64 = 128 << 20;
/// Seconds after which a worker that was not seen is taken for dead; it is seen every five.
const WORKER: i64 = 60;
/// Seconds for which a judgement holds.
const JUDGED: i64 = 5;

/// A task that must live, until it is dropped.
struct Alive(Arc<Overview>);

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.tasks.1.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Overview {
    pub(in crate::server) fn new(accounts: Accounts, tracer: Tracer, data: &Path, started: Timestamp) -> Arc<Self> {
        let (addresses, tasks, judged) = (Mutex::default(), Default::default(), Mutex::default());
        let (rights, pickup) = (Mutex::default(), Mutex::default());
        Arc::new(Self { accounts, tracer, data: data.to_owned(), started, addresses, rights, pickup, tasks, judged })
    }

    /// With which rights it runs.
    pub(in crate::server) fn stands(&self, rights: &Standing) {
        rights.clone_into(&mut self.rights.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// It sends the files of this folder.
    pub(in crate::server) fn picks_up(&self, folder: &Path) {
        *self.pickup.lock().unwrap_or_else(PoisonError::into_inner) = Some(folder.to_owned());
    }

    /// Something is served there.
    pub(in crate::server) fn serves(&self, service: &'static str, address: SocketAddr) {
        self.addresses.lock().unwrap_or_else(PoisonError::into_inner).push((service, address));
    }

    /// A task without which the server is not ready.
    pub(in crate::server) fn vital<T, F: Future<Output = T>>(self: &Arc<Self>, task: F) -> impl Future<Output = T> + use<T, F> {
        self.tasks.0.fetch_add(1, Ordering::Relaxed);
        self.tasks.1.fetch_add(1, Ordering::Relaxed);
        let alive = Alive(Arc::clone(self));
        async move {
            let _alive = alive;
            task.await
        }
    }

    /// So many of these tasks end because somebody wants it.
    pub(in crate::server) fn dismiss(&self, tasks: usize) {
        self.tasks.0.fetch_sub(tasks, Ordering::Relaxed);
    }

    /// What is measured when somebody asks. Reads the store.
    pub(in crate::server) fn gauges(&self, now: Timestamp) -> Gauges {
        let store = self.accounts.store();
        Gauges { depth: store.depth(now).ok(), commits: store.commits(), disk_free: self.disk_free(), started: self.started, now }
    }

    /// Why the server is not ready; nothing where it is. Writes to the store, at most every few seconds.
    pub(in crate::server) fn unready(&self, now: Timestamp) -> Vec<Unready> {
        let mut judged = self.judged.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, known)) = judged.as_ref()
            && (0..JUDGED).contains(&now.unix().saturating_sub(at.unix()))
        {
            return known.clone();
        }
        let tasks = (self.tasks.0.load(Ordering::Relaxed), self.tasks.1.load(Ordering::Relaxed));
        // it has its time from the start on to be seen first; that may lie ahead once the clock was put back
        let seen = self.tracer.metrics().worker();
        let worker = if seen.unix() == 0 { self.started } else { seen };
        let why =
            judge(self.accounts.store().pulse(now).map_err(|error| error.to_string()), tasks, (worker, now), self.disk_free());
        *judged = Some((now, why.clone()));
        why
    }

    /// All that is told of it. Reads the store.
    pub(in crate::server) fn status(&self, now: Timestamp) -> Status {
        let (store, metrics) = (self.accounts.store(), self.tracer.metrics());
        let mut facts = vec![
            ("version".to_owned(), json!(env!("CARGO_PKG_VERSION"))),
            ("pid".to_owned(), json!(std::process::id())),
            ("started".to_owned(), json!(self.started.to_string())),
            ("uptime_seconds".to_owned(), json!(now.unix().saturating_sub(self.started.unix()))),
        ];
        let mut put = |name: &str, value: Value| facts.push((name.to_owned(), value));
        // a virtual server may serve the same at another address
        let mut addresses: Vec<(&str, String)> = Vec::new();
        for (service, address) in self.addresses.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            match addresses.iter_mut().find(|(known, _)| known == service) {
                Some((_, all)) => all.push_str(&format!(", {address}")),
                None => addresses.push((service, address.to_string())),
            }
        }
        addresses.into_iter().for_each(|(service, all)| put(service, json!(all)));
        let rights = self.rights.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for (name, value) in [("user", rights.user), ("sandbox", rights.sandbox), ("system_calls", rights.system_calls)] {
            if !value.is_empty() {
                put(name, json!(value));
            }
        }
        if let Ok(why) = std::fs::read_to_string(Acme::failure(&self.data)) {
            put("acme", json!(format!("failed: {}", why.trim())));
        }
        put("conversations", json!(self.tracer.conversations()));
        metrics.open().filter(|(_, open)| *open > 0).for_each(|(service, open)| put(&format!("open_{service}"), json!(open)));
        let ((accepted, delivered), (good, bad)) = (metrics.messages(), metrics.logins());
        let (relayed, deferred, failed) = metrics.relays();
        put("accepted", json!(accepted));
        put("refused", json!(metrics.refusals()));
        put("delivered", json!(delivered));
        put("relayed", json!(relayed));
        put("deferred", json!(deferred));
        put("failed", json!(failed));
        put("logins_good", json!(good));
        put("logins_bad", json!(bad));
        match store.depth(now) {
            Ok(depth) => {
                put("queued", json!(depth.all()));
                put("queue_waiting", json!(depth.waiting));
                put("queue_due", json!(depth.due));
                put("queue_held", json!(depth.held));
                let age = depth.oldest.map(|oldest| now.unix().saturating_sub(oldest.unix()).max(0));
                put("queue_oldest_seconds", json!(age.unwrap_or(0)));
            }
            Err(error) => put("queued", json!(format!("unknown – {error}"))),
        }
        let pickup = self.pickup.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(folder) = pickup {
            put("pickup_waiting", json!(pickup::waiting(&folder).0));
            put("pickup_bad", json!(pickup::bad(&folder)));
        }
        if let (Ok(domains), Ok(users), Ok(suspended)) = (store.domains(), store.users(), store.suspended()) {
            put("domains", json!(domains.len()));
            put("users", json!(users.len()));
            put("suspended", json!(suspended.len()));
        }
        if let Some(free) = self.disk_free() {
            put("disk_free_bytes", json!(free));
        }
        let ready = match self.unready(now).as_slice() {
            [] => "yes".to_owned(),
            why => why.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "),
        };
        put("ready", json!(ready));
        Status(facts)
    }

    fn disk_free(&self) -> Option<u64> {
        Room::of(&self.data).ok().map(|room| room.bytes.0)
    }
}

impl std::fmt::Display for Unready {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Store(why) => write!(f, "the store takes nothing – {why}"),
            Self::Task => f.write_str("a listener or the queue's worker ended – restart the server"),
            Self::Worker => f.write_str("the queue's worker does not move"),
            Self::Disk(bytes) => write!(f, "the disk has {bytes} bytes left"),
        }
    }
}

fn judge(
    store: Result<(), String>,
    (must, live): (usize, usize),
    (worker, now): (Timestamp, Timestamp),
    disk: Option<u64>,
) -> Vec<Unready> {
    // one that was seen long from now was seen by a clock that was put back since
    let is_late = !(-WORKER..=WORKER).contains(&now.unix().saturating_sub(worker.unix()));
    let store = store.err().map(Unready::Store);
    let task = (live < must).then_some(Unready::Task);
    let worker = is_late.then_some(Unready::Worker);
    let disk = disk.filter(|free| *free < FLOOR).map(Unready::Disk);
    [store, task, worker, disk].into_iter().flatten().collect()
}

impl Status {
    /// As lines of a name and a value in JSON with a tab between them: what is a number, and what only looks like one, stays what it is.
    pub(in crate::server) fn to_lines(&self) -> String {
        self.0.iter().map(|(name, of)| format!("{name}\t{of}\n")).collect()
    }

    /// A fact of such a line.
    pub fn fact(line: &str) -> Option<(String, Value)> {
        let (name, value) = line.split_once('\t')?;
        Some((name.to_owned(), serde_json::from_str(value).ok()?))
    }

    /// As `status --json` and the admin API tell it.
    pub fn to_json(&self) -> Value {
        let mut object = json!({ "schema": "sealpost.status/1" });
        for (name, value) in &self.0 {
            if let Some(map) = object.as_object_mut() {
                map.insert(name.clone(), value.clone());
            }
        }
        object
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::accounts::tests::accounts;

    #[test]
    fn a_server_is_ready_while_all_that_it_needs_is_there() {
        let (then, now) = (Timestamp::from_unix(1000), Timestamp::from_unix(1000 + WORKER));
        assert_eq!(judge(Ok(()), (3, 3), (then, now), Some(FLOOR)), []);
        assert_eq!(judge(Ok(()), (3, 3), (then, now), None), [], "a system that does not say how full a disk is");
        assert_eq!(judge(Err("x".to_owned()), (3, 3), (then, now), None), [Unready::Store("x".to_owned())]);
        assert_eq!(judge(Ok(()), (3, 2), (then, now), None), [Unready::Task]);
        assert_eq!(judge(Ok(()), (3, 3), (then, now.plus_seconds(1)), None), [Unready::Worker]);
        assert_eq!(judge(Ok(()), (3, 3), (now.plus_seconds(86_400), now), None), [Unready::Worker], "the clock was put back");
        assert_eq!(judge(Ok(()), (3, 3), (then, now), Some(FLOOR - 1)), [Unready::Disk(FLOOR - 1)]);
    }

    #[tokio::test]
    async fn a_task_that_ends_makes_the_server_unready() {
        let (folder, accounts) = accounts();
        let now = Timestamp::from_unix(1000);
        let overview = Overview::new(accounts, Tracer::default(), folder.path(), now);
        let is_task = |at: i64| overview.unready(now.plus_seconds(at)).contains(&Unready::Task);
        let (stays, ends) = (overview.vital(std::future::pending::<()>()), overview.vital(async {}));
        assert!(!is_task(0));
        ends.await;
        assert!(!is_task(1), "the judgement holds for a while");
        assert!(is_task(JUDGED));
        drop(stays);
    }

    #[test]
    fn the_status_is_told_in_lines_and_in_json() {
        let (folder, accounts) = accounts();
        let overview = Overview::new(accounts, Tracer::default(), folder.path(), Timestamp::from_unix(1000));
        overview.serves("smtp", "127.0.0.1:25".parse().expect("an address"));
        overview.serves("smtp", "127.0.0.1:2525".parse().expect("an address"));
        let status = overview.status(Timestamp::from_unix(1030));
        let (lines, value) = (status.to_lines(), status.to_json());
        for line in ["smtp\t\"127.0.0.1:25, 127.0.0.1:2525\"", "uptime_seconds\t30", "queued\t0", "users\t1", "suspended\t0"] {
            assert!(lines.lines().any(|known| known == line), "{line}: {lines}");
        }
        overview.stands(&Standing { user: "1000".to_owned(), ..Standing::default() });
        let status = overview.status(Timestamp::from_unix(1030));
        let (lines, json) = (status.to_lines(), status.to_json());
        for (name, fact) in lines.lines().filter_map(Status::fact) {
            assert_eq!(json[&name], fact, "{name}");
        }
        assert_eq!(
            (&json["user"], lines.lines().count() + 1),
            (&json!("1000"), json.as_object().map_or(0, serde_json::Map::len))
        );
        assert_eq!((&value["users"], &value["smtp"]), (&json!(1), &json!("127.0.0.1:25, 127.0.0.1:2525")));
    }
}
