//! One connection's work: message after message for one destination.

use std::collections::HashMap;
use std::io::Read;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use crate::proto::smtp::client::Outcome;
use crate::server::drive::now;
use crate::server::metrics::Relayed;
use crate::server::outbound::{Attempt, Letter, Link, Reached, Report};
use crate::server::queue::destinations::Jitter;
use crate::server::queue::judge::Judged;
use crate::server::queue::report::{self, Kind, Told, is_wanted};
use crate::server::queue::{Queue, blocking};
use crate::server::store::{Due, Error, Queued, Settled};
use crate::server::trace;
use crate::time::Timestamp;

/// Messages over one connection: servers count them, and a balance wants new ones.
const MESSAGES: usize = 100;
/// How long a connection waits for another message.
const IDLE: Duration = Duration::from_secs(3);
/// How long a message rests whose outcome could not be written.
const REST: Duration = Duration::from_secs(300);
/// Before each try to write an outcome.
const SETTLE_WAITS: [Duration; 4] = [Duration::ZERO, Duration::from_secs(1), Duration::from_secs(10), Duration::from_secs(60)];
/// Bytes that hold the header section of a message: what may come, and the fields of this host.
const HEADER: u64 = 2 << 20;
/// Messages for which an attempt counts that found no server.
const TOGETHER: usize = 1000;

/// A connection that waits, until this is dropped.
struct Idle<'q> {
    queue: &'q Queue,
    destination: &'q str,
}

impl<'q> Idle<'q> {
    fn at(queue: &'q Queue, destination: &'q str) -> Self {
        queue.state().idle.push(destination.to_owned());
        Self { queue, destination }
    }
}

impl Drop for Idle<'_> {
    fn drop(&mut self) {
        let mut state = self.queue.state();
        if let Some(at) = state.idle.iter().position(|known| known == self.destination) {
            state.idle.swap_remove(at);
        }
    }
}

impl Queue {
    /// Delivers what is due for a destination until nothing is, or nothing goes.
    pub(in crate::server::queue) async fn work(&self, destination: String, first: Queued, stop: watch::Receiver<bool>) {
        let mut link = None;
        let mut next = Some(first);
        for _ in 0..MESSAGES {
            let Some(queued) = next.take() else { break };
            let (id, retries) = (queued.id, self.state().retries);
            let reached = self.attempt(queued, &mut link).await;
            match reached {
                Some(Reached::Yes) => {
                    self.state().destinations.reached(&destination);
                    // there may be work for one connection more
                    self.wake.notify_one();
                }
                Some(Reached::No(why)) => {
                    self.tracer.note(now(), &format!("{destination} cannot be reached – {why}"));
                    self.release(id, &destination);
                    // who wanted everything tried meanwhile means what holds by now
                    if self.failed(&destination, retries) {
                        self.defer_all(&destination, &why, retries).await;
                    }
                    self.wake.notify_one();
                    break;
                }
                // its row says that it is due, and nothing could change that: it rests, so that nobody gets it over and over
                None => {
                    let (queue, destination) = (self.clone(), destination.clone());
                    tokio::spawn(async move {
                        tokio::time::sleep(REST).await;
                        queue.release(id, &destination);
                    });
                    break;
                }
            }
            self.release(id, &destination);
            next = self.next(&destination, link.is_some(), &stop).await;
        }
        if let Some(link) = link {
            link.close().await;
        }
        if let Some(queued) = next {
            self.release(queued.id, &destination);
            self.wake.notify_one();
        }
    }

    /// What comes next; with a connection that is open, it may be waited for.
    async fn next(&self, destination: &str, is_open: bool, stop: &watch::Receiver<bool>) -> Option<Queued> {
        // heard from before it is looked, so that nothing is missed in between
        let more = self.more.notified();
        let mut more = std::pin::pin!(more);
        more.as_mut().enable();
        if *stop.borrow() {
            return None;
        }
        if let Some(queued) = self.claim(destination).await {
            return Some(queued);
        }
        let mut stop = stop.clone();
        let end = tokio::time::Instant::now().checked_add(IDLE)?;
        loop {
            // a connection that idles must not keep another destination from one
            if !is_open || self.places.available_permits() == 0 {
                return None;
            }
            // new work is for a connection that waits, rather than for a new one
            let _idle = Idle::at(self, destination);
            tokio::select! {
                () = more.as_mut() => {}
                () = tokio::time::sleep_until(end) => return None,
                _ = stop.wait_for(|stops| *stops) => return None,
            }
            more.set(self.more.notified());
            more.as_mut().enable();
            if let Some(queued) = self.claim(destination).await {
                return Some(queued);
            }
        }
    }

    /// Takes the next message for a destination; [`Queue::release`] gives it back.
    pub(in crate::server::queue) async fn claim(&self, destination: &str) -> Option<Queued> {
        let (queue, name) = (self.clone(), destination.to_owned());
        let claimed = blocking(move || {
            let (store, now) = (queue.accounts.store(), now());
            let domains = match queue.outbound.is_domain(&name) {
                true => vec![name.clone()],
                false => store.due_domains(now)?,
            };
            let busy = queue.state().busy.len();
            for domain in domains.iter().filter(|domain| queue.outbound.destination(domain) == name) {
                for id in store.due_messages(domain, now, busy.saturating_add(1))? {
                    if !queue.state().busy.insert((id, name.clone())) {
                        continue;
                    }
                    if let Some(queued) = queue.of(id, &name, now).inspect_err(|_| queue.release(id, &name))? {
                        return Ok(Some(queued));
                    }
                    queue.release(id, &name);
                }
            }
            Ok(None)
        });
        match claimed.await {
            Ok(claimed) => claimed,
            Err(error) => {
                self.tracer.note(now(), &format!("the queue cannot be read – {error}"));
                None
            }
        }
    }

    /// A message with its recipients at a destination that are due; `None` where none is any more.
    fn of(&self, id: i64, destination: &str, now: Timestamp) -> Result<Option<Queued>, Error> {
        let Some(mut queued) = self.accounts.store().due(id, now)? else { return Ok(None) };
        queued.recipients.retain(|due| {
            let domain = due.to.address.rsplit_once('@').map_or("", |(_, domain)| domain);
            self.outbound.destination(domain) == destination
        });
        Ok(Some(queued).filter(|queued| !queued.recipients.is_empty()))
    }

    pub(in crate::server::queue) fn release(&self, id: i64, destination: &str) {
        self.state().busy.remove(&(id, destination.to_owned()));
    }

    /// One attempt; whether a server was there, `None` where what became of it could not be written.
    async fn attempt(&self, queued: Queued, link: &mut Option<Link>) -> Option<Reached> {
        let (store, id, queued) = (Arc::clone(self.accounts.store()), queued.id, Arc::new(queued));
        let due = Arc::clone(&queued);
        let letter = match blocking(move || Letter::of(&store, &due)).await {
            Ok(letter) => letter,
            // dropped in the meantime
            Err(Error::NotFound(_)) => return Some(Reached::Yes),
            Err(error) => {
                self.tracer.note(now(), &format!("queue {id}: {error}"));
                return None;
            }
        };
        let first = queued.recipients.first().and_then(|due| due.to.address.rsplit_once('@'));
        let domain = first.map_or("", |(_, domain)| domain).to_lowercase();
        let attempt = trace::about(id, self.outbound.deliver(link, &domain, letter)).await;
        match self.settle_until_done(queued, &attempt).await {
            Ok(()) => Some(attempt.reached),
            Err(error) => {
                self.tracer.note(now(), &format!("queue {id}: {error}"));
                None
            }
        }
    }

    /// Leaves a destination alone for a while; not where somebody wanted everything tried since the attempt began.
    fn failed(&self, destination: &str, retries: u64) -> bool {
        let mut state = self.state();
        let counts = state.retries == retries;
        if counts {
            state.destinations.failed(destination, now(), Jitter::draw());
        }
        counts
    }

    /// An attempt that found no server counts for all that is due for it: a thousand letters do not knock one by one.
    async fn defer_all(&self, destination: &str, why: &str, retries: u64) {
        let mut claimed = Vec::new();
        while let Some(queued) = self.claim(destination).await {
            claimed.push(queued.id);
            if self.state().retries != retries {
                break;
            }
            let outcome = Outcome::Temporary(why.to_owned());
            let report = |due: &Due| Report { address: due.to.address.clone(), outcome: outcome.clone(), ..Report::default() };
            let reports = queued.recipients.iter().map(report).collect();
            let attempt = Attempt { reports, reached: Reached::No(why.to_owned()) };
            let settled = self.settle_until_done(Arc::new(queued), &attempt).await;
            if settled.is_err() || claimed.len() >= TOGETHER {
                break;
            }
        }
        claimed.into_iter().for_each(|id| self.release(id, destination));
    }

    /// Writes outcomes; where the store fails, again after a while: what was delivered must not be delivered again.
    async fn settle_until_done(&self, queued: Arc<Queued>, attempt: &Attempt) -> Result<(), Error> {
        let mut result = Ok(());
        for wait in SETTLE_WAITS {
            tokio::time::sleep(wait).await;
            let (queue, queued, attempt) = (self.clone(), Arc::clone(&queued), attempt.clone());
            result = blocking(move || queue.settle(&queued, attempt, now())).await;
            if result.is_ok() {
                break;
            }
        }
        result
    }

    /// Puts what became of an attempt on disk: what was delivered leaves first, whatever becomes of the reports; then the reports, and
    /// only then those that they are about.
    fn settle(&self, queued: &Queued, Attempt { reports, reached }: Attempt, now: Timestamp) -> Result<(), Error> {
        // an attempt that found nobody does not undo what somebody said since it began: that it is to be tried
        let unmoved = |due: &Due, settled: Settled| match reached {
            Reached::No(_) => Settled::Unmoved(due.since, Box::new(settled)),
            Reached::Yes => settled,
        };
        let known: HashMap<&str, &Due> = queued.recipients.iter().map(|due| (due.to.address.as_str(), due)).collect();
        let (mut settled, mut told_settled) = (Vec::new(), Vec::new());
        let (mut relayed, mut delayed, mut failed) = (Vec::new(), Vec::new(), Vec::new());
        let (id, end, jitter) = (queued.id, self.times.end(queued.created), Jitter::draw());
        for Report { address, outcome, server, passes_reports } in reports {
            let Some(due) = known.get(address.as_str()) else { continue };
            let told = |why: String| Told { to: due.to.clone(), why, server: server.clone() };
            match self.times.judge(outcome, due.attempts, (queued.created, now), jitter) {
                Judged::Delivered(reply) => {
                    self.tracer.metrics().relayed(Relayed::Delivered);
                    self.tracer.note(now, &format!("queue {id}: {address} delivered – {reply}"));
                    if !passes_reports && is_wanted(Kind::Relayed, &due.to.notify) {
                        relayed.push(told(reply));
                    }
                    settled.push((address, Settled::Gone));
                }
                Judged::Delayed(next, why) if !due.was_told && is_wanted(Kind::Delayed(end), &due.to.notify) => {
                    self.tracer.metrics().relayed(Relayed::Deferred);
                    self.tracer.note(now, &format!("queue {id}: {address} later, and the sender is told – {why}"));
                    delayed.push(told(why.clone()));
                    told_settled.push((address, unmoved(due, Settled::LaterAndTold(next, why))));
                }
                Judged::Later(next, why) | Judged::Delayed(next, why) => {
                    self.tracer.metrics().relayed(Relayed::Deferred);
                    self.tracer.note(now, &format!("queue {id}: {address} later – {why}"));
                    settled.push((address, unmoved(due, Settled::Later(next, why))));
                }
                Judged::Failed(why) => {
                    self.tracer.metrics().relayed(Relayed::Failed);
                    self.tracer.warn(now, &format!("queue {id}: {address} failed – {why}"));
                    if is_wanted(Kind::Failed, &due.to.notify) {
                        failed.push(told(why));
                    }
                    told_settled.push((address, Settled::Gone));
                }
            }
        }
        let mut reports = vec![(Kind::Relayed, relayed), (Kind::Delayed(end), delayed), (Kind::Failed, failed)];
        reports.retain(|(_, told)| !told.is_empty());
        let is_whole = reports.iter().any(|(kind, _)| report::is_whole(*kind, &queued.terms));
        let _alone = is_whole.then(|| self.alone.lock().unwrap_or_else(PoisonError::into_inner));
        // before its last recipient leaves, and it with him
        let message = if reports.is_empty() { Vec::new() } else { self.told_of(id, is_whole, now) };
        if !settled.is_empty() {
            self.accounts.store().settle(id, settled)?;
        }
        for (kind, told) in reports {
            self.tell(queued, &message, kind, &told, now)?;
        }
        match told_settled.is_empty() {
            true => Ok(()),
            false => self.accounts.store().settle(id, told_settled),
        }
    }

    /// What a report says of a message: all of it, or its begin with the header section. Where it cannot be read, the report says nothing of it:
    /// what was delivered is settled all the same.
    fn told_of(&self, id: i64, is_whole: bool, now: Timestamp) -> Vec<u8> {
        let most = if is_whole { u64::MAX } else { HEADER };
        let read = self.accounts.store().read_queued(id).and_then(|reading| {
            let mut start = Vec::new();
            let read = reading.take(most).read_to_end(&mut start);
            read.map(|_| start).map_err(|error| Error::Broken(error.to_string()))
        });
        read.unwrap_or_else(|error| {
            self.tracer.warn(now, &format!("queue {id}: the message cannot be read for a report – {error}"));
            Vec::new()
        })
    }
}
