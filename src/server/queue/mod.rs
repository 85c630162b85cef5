//! The queue: mail for other servers, tried until it is taken or given up.
//!
//! | a recipient is | on disk | and leaves that state by |
//! |---|---|---|
//! | waiting | a row whose time lies ahead | its time (due), `queue retry` (due), `queue hold` (held), `queue drop` (gone) |
//! | due | a row whose time has come | an attempt: delivered, waiting again with one attempt more and the reason, or failed |
//! | held | a row whose time never comes | `queue retry` of it (due), `queue drop` (gone) |
//! | delayed | a waiting row that says so | as waiting; the warning to the sender was on disk before the row said so |
//! | delivered | no row | – the next server has said 250, and has the message; where the sender wants to hear of it and that server says nothing, he is told next |
//! | failed | no row | – the report to the sender was on disk before the row went, unless he does not want one |
//!
//! A server that dies at any point finds each recipient in one of these; between two of them a message may go out twice, never not at all.
//! An attempt that found no server counts for all that is due for the same destination.
//!
//! Uses: the store, outbound. Holds always: one attempt at a time for a recipient; a destination that is slow or dead holds one connection, and
//! no other's; a report is never answered by a report (RFC 5321 6.1, RFC 3461 6.2).

mod clock;
mod destinations;
mod judge;
mod report;
mod work;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::JoinSet;

use crate::proto::smtp::client::Terms;
use crate::server::accounts::Accounts;
use crate::server::addressing::Destination;
use crate::server::config;
use crate::server::drive::now;
use crate::server::outbound::Outbound;
use crate::server::policy::Own;
use crate::server::queue::clock::Clock;
use crate::server::queue::destinations::Destinations;
use crate::server::queue::judge::{FARTHEST, Times};
use crate::server::store::{Delivery, Error, Queued};
use crate::server::trace::Tracer;
use crate::time::Timestamp;

pub(in crate::server) use judge::priority;
pub(in crate::server) use report::{Kind, Told, is_wanted, report};

/// Empties the queue.
#[derive(Debug, Clone)]
pub(in crate::server) struct Queue {
    hostname: String,
    accounts: Accounts,
    outbound: Arc<Outbound>,
    tracer: Tracer,
    wake: Arc<Notify>,
    /// Signs reports.
    own: Own,
    times: Times,
    state: Arc<Mutex<State>>,
    /// Connections to all destinations.
    places: Arc<Semaphore>,
    /// Told when there may be something for connections that idle.
    more: Arc<Notify>,
    /// Who writes a report that has all of a message has it in memory: one at a time.
    alone: Arc<Mutex<()>>,
    /// The queue with other settings that comes in place of this one.
    next: Arc<Mutex<Option<Box<Queue>>>>,
}

/// What is under way.
#[derive(Debug)]
struct State {
    destinations: Destinations,
    /// Messages, and the destinations at which each is being tried.
    busy: HashSet<(i64, String)>,
    /// The destinations of connections that wait for more.
    idle: Vec<String>,
    /// How often somebody wanted everything tried now.
    retries: u64,
}

/// How often the store is asked, besides when something is added.
const POLL: Duration = Duration::from_secs(5);

impl Queue {
    /// The queue of a server; `wake` is told when something was added.
    pub(in crate::server) fn new(
        hostname: &str,
        accounts: Accounts,
        outbound: Outbound,
        delivery: &config::Delivery,
        (tracer, wake): (Tracer, Arc<Notify>),
    ) -> Self {
        let state = State {
            destinations: Destinations::new(delivery.per_destination),
            busy: HashSet::new(),
            idle: Vec::new(),
            retries: 0,
        };
        Self {
            hostname: hostname.to_owned(),
            accounts,
            outbound: Arc::new(outbound),
            tracer,
            wake,
            own: Own::default(),
            times: Times::new(delivery.warn_hours, delivery.give_up_hours),
            state: Arc::new(Mutex::new(state)),
            places: Arc::new(Semaphore::new(delivery.connections)),
            more: Arc::new(Notify::new()),
            alone: Arc::default(),
            next: Arc::default(),
        }
    }

    /// With the keys by which reports are signed.
    pub(in crate::server) fn signing(self, own: Own) -> Self {
        Self { own, ..self }
    }

    /// What takes its mail to other servers.
    pub(in crate::server) fn outbound(&self) -> Arc<Outbound> {
        Arc::clone(&self.outbound)
    }

    /// Goes on with other settings; attempts that are under way end with those that they began with.
    pub(in crate::server) fn change(&self, hostname: &str, accounts: Accounts, outbound: Outbound, delivery: &config::Delivery) {
        self.state().destinations.bound(delivery.per_destination);
        let next = Self {
            hostname: hostname.to_owned(),
            accounts,
            outbound: Arc::new(outbound),
            times: Times::new(delivery.warn_hours, delivery.give_up_hours),
            places: Arc::new(Semaphore::new(delivery.connections)),
            ..self.clone()
        };
        *self.next.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(next));
        self.wake.notify_one();
    }

    fn changed(&self) -> Option<Self> {
        self.next.lock().unwrap_or_else(PoisonError::into_inner).take().map(|next| *next)
    }

    /// Tries everything that is due now, also at destinations that failed a moment ago.
    pub(in crate::server) fn retry_now(&self) {
        {
            let mut state = self.state();
            state.destinations.forgive();
            state.retries = state.retries.saturating_add(1);
        }
        self.wake.notify_one();
    }

    /// Runs until the server stops; attempts under way are finished.
    pub(in crate::server) async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let mut working = JoinSet::new();
        let mut clock = Clock::new();
        loop {
            while working.try_join_next().is_some() {}
            if let Some(next) = self.changed() {
                self = next;
            }
            self.tracer.metrics().worker_at(now());
            if clock.was_ahead(Instant::now(), now()) {
                self.come_back().await;
            }
            match self.due_destinations().await {
                Ok(due) => {
                    for destination in due {
                        self.begin(destination, &mut working, &stop).await;
                    }
                }
                Err(error) => self.tracer.warn(now(), &format!("the queue cannot be read – {error}")),
            }
            self.more.notify_waiters();
            tokio::select! {
                _ = stop.wait_for(|stops| *stops) => break,
                () = self.wake.notified() => {}
                () = tokio::time::sleep(POLL) => {}
            }
        }
        self.more.notify_waiters();
        while working.join_next().await.is_some() {}
    }

    /// Begins one more connection to a destination where that may be and there is something for it.
    async fn begin(&self, destination: String, working: &mut JoinSet<()>, stop: &watch::Receiver<bool>) {
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else { return };
        {
            let mut state = self.state();
            if state.idle.contains(&destination) || !state.destinations.open(&destination, now()) {
                return;
            }
        }
        let first = self.claim(&destination).await;
        let Some(first) = first else { return self.state().destinations.close(&destination) };
        let (queue, stop) = (self.clone(), stop.clone());
        working.spawn(async move {
            let _place = place;
            // also where the work panics: nobody else could free the place
            let _open = Open { queue: queue.clone(), destination: destination.clone() };
            queue.work(destination, first, stop).await;
        });
    }

    /// What a clock that was ahead put off is put off no longer than it may be.
    async fn come_back(&self) {
        let (store, at) = (Arc::clone(self.accounts.store()), now());
        let done = blocking(move || store.not_later_than(at.plus_seconds(FARTHEST), at)).await;
        match done {
            Ok(0) => {}
            Ok(count) => self
                .tracer
                .note(at, &format!("{count} recipients of the queue waited for a time that no clock shows, and are due")),
            Err(error) => self.tracer.note(at, &format!("the queue cannot be read – {error}")),
        }
    }

    /// The destinations that have something due.
    async fn due_destinations(&self) -> Result<Vec<String>, Error> {
        let store = Arc::clone(self.accounts.store());
        let domains = blocking(move || store.due_domains(now())).await?;
        let mut seen = HashSet::new();
        let names = domains.iter().map(|domain| self.outbound.destination(domain));
        Ok(names.filter(|name| seen.insert(name.clone())).collect())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a report on its way to the sender.
    fn tell(&self, queued: &Queued, message: &[u8], kind: Kind, told: &[Told], now: Timestamp) -> Result<(), Error> {
        // RFC 5321 6.1: a message without a sender is a report itself, and is not answered
        if queued.sender.is_empty() || told.is_empty() {
            return Ok(());
        }
        let (mailboxes, elsewhere) = match self.accounts.destination(&queued.sender)? {
            Destination::Ours { mailboxes, elsewhere } => (mailboxes, elsewhere),
            Destination::Elsewhere => (Vec::new(), vec![queued.sender.clone()]),
            Destination::Unknown | Destination::TooMany => {
                self.tracer.note(now, &format!("queue {}: the sender {} is gone, and is not told", queued.id, queued.sender));
                return Ok(());
            }
        };
        let report = report(&self.hostname, queued, message, (kind, told), now);
        let message = self.own.signed(report, now, &self.tracer);
        // RFC 8689 5: what is told of a message is kept as the message itself
        let terms = Terms { tls: queued.terms.tls, ..Terms::default() };
        self.accounts.store().deliver(Delivery::from_nobody(message, (mailboxes, elsewhere), terms, now))?;
        self.wake.notify_one();
        Ok(())
    }
}

/// A connection that is counted, until it is dropped.
struct Open {
    queue: Queue,
    destination: String,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.queue.state().destinations.close(&self.destination);
    }
}

/// Asks the store without holding up the others.
async fn blocking<T: Send + 'static>(ask: impl FnOnce() -> Result<T, Error> + Send + 'static) -> Result<T, Error> {
    tokio::task::spawn_blocking(ask).await.unwrap_or_else(|error| Err(Error::Broken(error.to_string())))
}
