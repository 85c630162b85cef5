//! The queue: mail for other servers, tried until it is taken or given up.
//!
//! | a recipient is | on disk | and leaves that state by |
//! |---|---|---|
//! | waiting | a row whose time lies ahead | its time (due), `queue retry` (due), `queue drop` (gone) |
//! | due | a row whose time has come | an attempt: delivered, waiting again with one attempt more and the reason, or failed |
//! | delivered | no row | – the next server has said 250, and has the message |
//! | failed | no row | – the bounce to the sender was on disk before the row went |
//!
//! A server that dies at any point finds each recipient in one of these; between two of them a message may go out twice, never not at all.
//!
//! Uses: the store, outbound. Holds always: one attempt at a time for a message; a bounce is never answered by a bounce.

mod bounce;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::JoinSet;

use crate::proto::smtp::client::{Outcome, Outgoing};
use crate::server::accounts::{Accounts, Destination};
use crate::server::drive::now;
use crate::server::outbound::Outbound;
use crate::server::queue::bounce::{Failed, bounce};
use crate::server::store::{Delivery, Error, Queued, Settled};
use crate::server::trace::Tracer;
use crate::time::Timestamp;

/// Empties the queue.
#[derive(Debug, Clone)]
pub(in crate::server) struct Queue {
    hostname: String,
    accounts: Accounts,
    outbound: Arc<Outbound>,
    tracer: Tracer,
    wake: Arc<Notify>,
    places: Arc<Semaphore>,
}

/// Seconds before the next attempt, by the attempts made; then every two hours. RFC 5321 4.5.4.1 asks for 30 minutes at least once
/// the first attempts failed; the short ones at the start pass greylisting.
const BACKOFF: [i64; 6] = [60, 300, 900, 1800, 3600, 7200];
/// RFC 5321 4.5.4.1: four to five days.
const LIFETIME: i64 = 5 * 24 * 3600;
/// Messages that are delivered at once.
const AT_ONCE: usize = 20;
/// Connections to other servers at once, of all messages.
const CONNECTIONS: usize = 50;
/// How long a message rests whose outcome could not be written.
const REST: Duration = Duration::from_secs(300);
/// Before each try to write an outcome.
const SETTLE_WAITS: [Duration; 4] = [Duration::ZERO, Duration::from_secs(1), Duration::from_secs(10), Duration::from_secs(60)];
/// How often the store is asked, besides when something is added.
const POLL: Duration = Duration::from_secs(5);

/// What is done with a recipient after an attempt.
#[derive(Debug, PartialEq, Eq)]
enum Judged {
    Delivered(String),
    Later(Timestamp, String),
    Failed(String),
}

impl Queue {
    /// The queue of a server; `wake` is told when something was added.
    pub(in crate::server) fn new(
        hostname: &str,
        accounts: Accounts,
        outbound: Outbound,
        tracer: Tracer,
        wake: Arc<Notify>,
    ) -> Self {
        Self {
            hostname: hostname.to_owned(),
            accounts,
            outbound: Arc::new(outbound),
            tracer,
            wake,
            places: Arc::new(Semaphore::new(CONNECTIONS)),
        }
    }

    /// Runs until the server stops; attempts under way are finished.
    pub(in crate::server) async fn run(self, mut stop: watch::Receiver<bool>) {
        let mut working: JoinSet<i64> = JoinSet::new();
        let mut busy = HashSet::new();
        loop {
            let (store, limit) = (Arc::clone(self.accounts.store()), AT_ONCE.saturating_add(busy.len()));
            let due = tokio::task::spawn_blocking(move || store.due(now(), limit)).await;
            match due.unwrap_or_else(|error| Err(Error::Broken(error.to_string()))) {
                Ok(due) => {
                    for queued in due {
                        if busy.len() < AT_ONCE && busy.insert(queued.id) {
                            let queue = self.clone();
                            working.spawn(async move {
                                let id = queued.id;
                                // its row says that it is due, and nothing could change that: it rests, so that nobody gets it over and over
                                if !queue.attempt(queued).await {
                                    tokio::time::sleep(REST).await;
                                }
                                id
                            });
                        }
                    }
                }
                Err(error) => self.tracer.note(now(), &format!("the queue cannot be read – {error}")),
            }
            tokio::select! {
                _ = stop.wait_for(|stops| *stops) => break,
                () = self.wake.notified() => {}
                () = tokio::time::sleep(POLL) => {}
                Some(done) = working.join_next() => match done {
                    Ok(id) => { busy.remove(&id); }
                    // an attempt that died frees its message with the next start
                    Err(error) => self.tracer.note(now(), &format!("a delivery ended badly – {error}")),
                },
            }
        }
        while working.join_next().await.is_some() {}
    }

    /// One attempt at the recipients of a message that are due, all domains at once; whether all of it is on disk.
    async fn attempt(&self, queued: Queued) -> bool {
        let (store, id) = (Arc::clone(self.accounts.store()), queued.id);
        let read = tokio::task::spawn_blocking(move || store.queued(id)).await;
        let message = match read.unwrap_or_else(|error| Err(Error::Broken(error.to_string()))) {
            Ok(message) => message,
            // dropped in the meantime
            Err(Error::NotFound(_)) => return true,
            Err(error) => {
                self.tracer.note(now(), &format!("queue {id}: {error}"));
                return false;
            }
        };
        let mut domains: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (address, _) in &queued.recipients {
            let domain = address.rsplit_once('@').map_or("", |(_, domain)| domain);
            domains.entry(domain.to_lowercase()).or_default().push(address.clone());
        }
        let message: Arc<[u8]> = message.into();
        let mut deliveries = JoinSet::new();
        for (domain, recipients) in domains {
            let (queue, sender, message) = (self.clone(), queued.sender.clone(), Arc::clone(&message));
            deliveries.spawn(async move {
                // a letter to a thousand domains opens no thousand connections
                let Ok(_place) = queue.places.acquire().await else { return Vec::new() };
                queue.outbound.deliver(&domain, Outgoing { sender, recipients, message }).await
            });
        }
        let (queued, mut all_settled) = (Arc::new(queued), true);
        while let Some(done) = deliveries.join_next().await {
            // each domain is settled as it comes: a slow one must not make the others get their mail twice
            let settled = match done {
                Ok(outcomes) => self.settle_until_done(&queued, &message, outcomes).await,
                Err(error) => Err(Error::Broken(error.to_string())),
            };
            if let Err(error) = settled {
                self.tracer.note(now(), &format!("queue {id}: {error}"));
                all_settled = false;
            }
        }
        all_settled
    }

    /// Writes outcomes; where the store fails, again after a while: what was delivered must not be delivered again.
    async fn settle_until_done(
        &self,
        queued: &Arc<Queued>,
        message: &Arc<[u8]>,
        outcomes: Vec<(String, Outcome)>,
    ) -> Result<(), Error> {
        let mut result = Ok(());
        for wait in SETTLE_WAITS {
            tokio::time::sleep(wait).await;
            let (queue, queued, message, outcomes) = (self.clone(), Arc::clone(queued), Arc::clone(message), outcomes.clone());
            let settled = tokio::task::spawn_blocking(move || queue.settle(&queued, &message, outcomes, now())).await;
            result = settled.unwrap_or_else(|error| Err(Error::Broken(error.to_string())));
            if result.is_ok() {
                break;
            }
        }
        result
    }

    /// Puts what became of an attempt on disk: what was delivered leaves first, whatever becomes of the bounce; then the bounce, and
    /// only then those that it is about.
    fn settle(&self, queued: &Queued, message: &[u8], outcomes: Vec<(String, Outcome)>, now: Timestamp) -> Result<(), Error> {
        let (mut settled, mut failed) = (Vec::new(), Vec::new());
        for (address, outcome) in outcomes {
            let attempts = queued.recipients.iter().find(|(known, _)| *known == address).map_or(0, |(_, attempts)| *attempts);
            let id = queued.id;
            match judge(outcome, attempts, queued.created, now) {
                Judged::Delivered(reply) => {
                    self.tracer.note(now, &format!("queue {id}: {address} delivered – {reply}"));
                    settled.push((address, Settled::Gone));
                }
                Judged::Later(next, why) => {
                    self.tracer.note(now, &format!("queue {id}: {address} later – {why}"));
                    settled.push((address, Settled::Later(next, why)));
                }
                Judged::Failed(why) => {
                    self.tracer.note(now, &format!("queue {id}: {address} failed – {why}"));
                    failed.push(Failed { address, why });
                }
            }
        }
        if !settled.is_empty() {
            self.accounts.store().settle(queued.id, settled)?;
        }
        if failed.is_empty() {
            return Ok(());
        }
        self.bounce(queued, message, &failed, now)?;
        self.accounts.store().settle(queued.id, failed.into_iter().map(|one| (one.address, Settled::Gone)).collect())
    }

    fn bounce(&self, queued: &Queued, message: &[u8], failed: &[Failed], now: Timestamp) -> Result<(), Error> {
        // RFC 5321 6.1: a message without a sender is a bounce itself, and is not answered
        if queued.sender.is_empty() {
            return Ok(());
        }
        let (mailboxes, elsewhere) = match self.accounts.destination(&queued.sender)? {
            Destination::Ours { mailboxes, elsewhere } => (mailboxes, elsewhere),
            Destination::Elsewhere => (Vec::new(), vec![queued.sender.clone()]),
            Destination::Unknown => {
                self.tracer.note(now, &format!("queue {}: the sender {} is gone, and is not told", queued.id, queued.sender));
                return Ok(());
            }
        };
        let text = bounce(&self.hostname, queued, message, failed, now);
        let final_fields = b"Return-Path: <>\r\n".to_vec();
        let delivery = Delivery { message: text.into(), final_fields, mailboxes, sender: String::new(), elsewhere, at: now };
        self.accounts.store().deliver(delivery)?;
        self.wake.notify_one();
        Ok(())
    }
}

fn judge(outcome: Outcome, attempts: u32, created: Timestamp, now: Timestamp) -> Judged {
    match outcome {
        Outcome::Delivered(reply) => Judged::Delivered(reply),
        Outcome::Permanent(why) => Judged::Failed(why),
        Outcome::Temporary(why) => {
            let wait = BACKOFF.get(usize::try_from(attempts).unwrap_or(usize::MAX)).or(BACKOFF.last()).copied().unwrap_or(7200);
            let next = now.unix().saturating_add(wait);
            if next.saturating_sub(created.unix()) > LIFETIME {
                Judged::Failed(format!("not taken for five days – {why}"))
            } else {
                Judged::Later(Timestamp::from_unix(next), why)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_become_rarer_and_end_after_five_days() {
        let (mut at, created) = (Timestamp::from_unix(0), Timestamp::from_unix(0));
        let mut waits = Vec::new();
        for attempts in 0.. {
            match judge(Outcome::Temporary("450 busy".to_owned()), attempts, created, at) {
                Judged::Later(next, _) => {
                    waits.push(next.unix() - at.unix());
                    at = next;
                }
                Judged::Failed(why) => {
                    assert!(why.contains("450 busy"), "{why}");
                    break;
                }
                Judged::Delivered(_) => panic!("it was not"),
            }
        }
        assert_eq!(waits.get(..7), Some(&[60, 300, 900, 1800, 3600, 7200, 7200][..]));
        assert!((LIFETIME - 7200..=LIFETIME).contains(&at.unix()), "{at}");
    }
}
