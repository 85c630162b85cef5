//! Turns: work that costs the processor is done for so many at once, and for one peer after the other, however often one of them asks.
//!
//! A line in which all wait would be as long as the most hostile peer makes it. Here each address has a line of its own, and a place that is free goes
//! to the next address: who asks once waits for one turn of every other address at most, and not for all that they asked for.

use std::collections::{HashMap, VecDeque};
use std::future::{Future, poll_fn};
use std::net::IpAddr;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use tokio::sync::oneshot;

use crate::server::policy::peer;

/// Places, and who waits for one.
#[derive(Debug, Clone)]
pub(in crate::server) struct Turns(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    free: usize,
    /// Who waits, by address; none is empty.
    waiting: HashMap<IpAddr, VecDeque<oneshot::Sender<Turn>>>,
    /// The addresses that wait, the next to have a turn first.
    order: VecDeque<IpAddr>,
}

/// A place; the next one has it when this is dropped.
#[derive(Debug)]
pub(in crate::server) struct Turn(Option<Turns>);

/// Processors of this machine.
fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

impl Turns {
    /// So many at once.
    pub(in crate::server) fn new(places: usize) -> Self {
        Self(Arc::new(Mutex::new(State { free: places, waiting: HashMap::new(), order: VecDeque::new() })))
    }

    /// As many as there are processors, or so many at most.
    pub(in crate::server) fn of_processors(most: usize) -> Self {
        Self::new(processors().clamp(1, most.max(1)))
    }

    /// One less than there are processors: what is done here leaves one to all others, where there are two.
    pub(in crate::server) fn beside_others() -> Self {
        Self::new(processors().saturating_sub(1).max(1))
    }

    /// Waits for a turn of this address.
    pub(in crate::server) async fn take(&self, address: IpAddr) -> Turn {
        let granted = {
            let mut state = self.lock();
            if state.free > 0 {
                state.free = state.free.saturating_sub(1);
                return Turn(Some(self.clone()));
            }
            state.wait(peer(address))
        };
        // whoever gives a place back gives it to somebody: no line is ever dropped
        granted.await.unwrap_or(Turn(None))
    }

    /// Runs a future that computes whenever it goes on, and waits for its peer in between: it has a turn only while it computes.
    pub(in crate::server) async fn run<F: Future>(&self, address: IpAddr, future: F) -> F::Output {
        let mut future = pin!(future);
        loop {
            let turn = self.take(address).await;
            let polled = poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await;
            drop(turn);
            if let Poll::Ready(output) = polled {
                return output;
            }
            // it said whom to wake: this task, which goes on when that happens
            let mut is_woken = false;
            poll_fn(|_| if std::mem::replace(&mut is_woken, true) { Poll::Ready(()) } else { Poll::Pending }).await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn wait(&mut self, address: IpAddr) -> oneshot::Receiver<Turn> {
        let (grant, granted) = oneshot::channel();
        let line = self.waiting.entry(address).or_default();
        if line.is_empty() {
            self.order.push_back(address);
        }
        // who went away meanwhile waits no more
        line.retain(|grant| !grant.is_closed());
        line.push_back(grant);
        granted
    }

    /// The next one; its address goes to the end of the line of addresses.
    fn next(&mut self) -> Option<oneshot::Sender<Turn>> {
        let address = self.order.pop_front()?;
        let line = self.waiting.get_mut(&address)?;
        let grant = line.pop_front();
        if line.is_empty() {
            self.waiting.remove(&address);
        } else {
            self.order.push_back(address);
        }
        grant
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let Some(turns) = self.0.take() else { return };
        loop {
            let next = {
                let mut state = turns.lock();
                let next = state.next();
                if next.is_none() {
                    state.free = state.free.saturating_add(1);
                }
                next
            };
            let Some(grant) = next else { return };
            // who went away meanwhile gives it back, and the one after him has it
            match grant.send(Turn(Some(turns.clone()))) {
                Ok(()) => return,
                Err(mut refused) => refused.0 = None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn address(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    /// Lets every task go as far as it can.
    async fn settle() {
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn who_asks_once_waits_for_one_turn_of_each_other_and_not_for_all_they_asked_for() {
        let turns = Turns::new(1);
        let first = turns.take(address(1)).await;
        let served = Arc::new(Mutex::new(Vec::new()));
        let wait = |who: u8| {
            let (turns, served) = (turns.clone(), Arc::clone(&served));
            tokio::spawn(async move {
                let _turn = turns.take(address(who)).await;
                served.lock().expect("no panic").push(who);
            })
        };
        // two that flood, and one that comes last and asks once
        let mut all: Vec<_> = [1, 2].into_iter().flat_map(|who| std::iter::repeat_n(who, 500)).map(wait).collect();
        settle().await;
        all.push(wait(3));
        settle().await;
        drop(first);
        for one in all {
            one.await.expect("no panic");
        }
        let served = served.lock().expect("no panic");
        assert_eq!(served.get(..3), Some(&[1, 2, 3][..]), "after one turn of each");
        assert_eq!(served.len(), 1001);
        let state = turns.lock();
        assert!(state.free == 1 && state.waiting.is_empty() && state.order.is_empty());
    }

    #[tokio::test]
    async fn who_goes_away_leaves_his_turn_to_others() {
        let turns = Turns::new(1);
        let first = turns.take(address(1)).await;
        let gone: Vec<_> = (0..10)
            .map(|_| {
                tokio::spawn({
                    let turns = turns.clone();
                    async move { turns.take(address(2)).await }
                })
            })
            .collect();
        settle().await;
        gone.iter().for_each(tokio::task::JoinHandle::abort);
        settle().await;
        let last = tokio::spawn({
            let turns = turns.clone();
            async move { drop(turns.take(address(2)).await) }
        });
        settle().await;
        assert_eq!(turns.lock().waiting.values().map(VecDeque::len).sum::<usize>(), 1, "nothing is kept for those that are gone");
        drop(first);
        last.await.expect("no panic");
        assert_eq!(turns.lock().free, 1);
    }

    #[tokio::test]
    async fn so_many_at_once_compute_and_who_waits_for_his_peer_has_no_turn() {
        let turns = Turns::new(1);
        let (said, mut heard) = tokio::sync::mpsc::channel::<()>(1);
        let computed = Arc::new(AtomicUsize::new(0));
        let waits = tokio::spawn({
            let (turns, computed) = (turns.clone(), Arc::clone(&computed));
            async move {
                let future = async {
                    computed.fetch_add(1, Ordering::Relaxed);
                    heard.recv().await;
                    computed.fetch_add(1, Ordering::Relaxed);
                };
                turns.run(address(1), future).await;
            }
        });
        settle().await;
        assert_eq!(computed.load(Ordering::Relaxed), 1);
        assert_eq!(turns.lock().free, 1, "it waits, and another may compute");
        let other = turns.take(address(2)).await;
        said.send(()).await.expect("heard");
        settle().await;
        assert_eq!(computed.load(Ordering::Relaxed), 1, "not beside the other");
        drop(other);
        waits.await.expect("no panic");
        assert_eq!((computed.load(Ordering::Relaxed), turns.lock().free), (2, 1));
    }
}
