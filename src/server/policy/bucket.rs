//! Token buckets in bounded memory. The clock is an argument, and what is full is forgotten, since it is as good as never seen.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};

use crate::time::Timestamp;

/// So many in so many seconds, and as many at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// How many.
    pub amount: u32,
    /// In how many seconds.
    pub seconds: u32,
}

impl Rate {
    /// So many a minute.
    pub const fn per_minute(amount: u32) -> Self {
        Self { amount, seconds: 60 }
    }

    /// So many an hour.
    pub const fn per_hour(amount: u32) -> Self {
        Self { amount, seconds: 3600 }
    }

    /// What one costs: in this measure a second brings `amount` back, and no fraction is ever lost.
    fn cost(self) -> u64 {
        u64::from(self.seconds.max(1))
    }

    fn capacity(self) -> u64 {
        u64::from(self.amount).saturating_mul(self.cost())
    }
}

/// What was used by somebody at a time.
#[derive(Debug, Clone, Copy)]
struct Used {
    amount: u64,
    at: Timestamp,
}

/// One bucket for each key.
#[derive(Debug)]
pub(in crate::server) struct Buckets {
    rate: Rate,
    most: usize,
    used: HashMap<u64, Used>,
    /// Keys are kept as hashes: an entry has the same size whatever a peer calls himself, and nobody can choose two that meet.
    hasher: RandomState,
}

impl Buckets {
    /// Buckets for so many keys at once.
    pub(in crate::server) fn new(rate: Rate, most: usize) -> Self {
        Self { rate, most, used: HashMap::new(), hasher: RandomState::new() }
    }

    /// Takes one, or tells in how many seconds there will be one.
    pub(in crate::server) fn take(&mut self, key: &impl Hash, now: Timestamp) -> Result<(), u64> {
        let wait = self.wait(key, now);
        if wait > 0 {
            return Err(wait);
        }
        self.spend(key, now);
        Ok(())
    }

    /// In how many seconds there will be one; 0 where there is.
    pub(in crate::server) fn wait(&self, key: &impl Hash, now: Timestamp) -> u64 {
        let amount = self.used.get(&self.key(key)).map_or(0, |used| self.left(used, now));
        let over = amount.saturating_add(self.rate.cost()).saturating_sub(self.rate.capacity());
        over.div_ceil(u64::from(self.rate.amount.max(1)))
    }

    /// Takes one, even where there is none: for what happened already.
    pub(in crate::server) fn spend(&mut self, key: &impl Hash, now: Timestamp) {
        let key = self.key(key);
        let amount = self.used.get(&key).map_or(0, |used| self.left(used, now)).saturating_add(self.rate.cost());
        if self.used.len() >= self.most && !self.used.contains_key(&key) {
            self.forget(now);
        }
        self.used.insert(key, Used { amount: amount.min(self.rate.capacity()), at: now });
    }

    /// Nothing is held against a key any more.
    pub(in crate::server) fn clear(&mut self, key: &impl Hash) {
        let key = self.key(key);
        self.used.remove(&key);
    }

    fn key(&self, key: &impl Hash) -> u64 {
        self.hasher.hash_one(key)
    }

    /// What is still used. A clock that went back brings nothing back, and takes nothing away.
    fn left(&self, used: &Used, now: Timestamp) -> u64 {
        let seconds = u64::try_from(now.unix().saturating_sub(used.at.unix())).unwrap_or(0);
        used.amount.saturating_sub(seconds.saturating_mul(u64::from(self.rate.amount)))
    }

    /// Makes room: buckets that are full again go first, then the fourth part that is nearest to it. Who floods with new names loses what little
    /// he used of each; who is at his limit stays.
    fn forget(&mut self, now: Timestamp) {
        let mut left: Vec<(u64, u64)> = self.used.iter().map(|(key, used)| (self.left(used, now), *key)).collect();
        left.sort_unstable();
        let fewest = self.most / 4;
        for (position, (amount, key)) in left.into_iter().enumerate() {
            if amount > 0 && position > fewest {
                break;
            }
            self.used.remove(&key);
        }
    }

    #[cfg(test)]
    pub(in crate::server) fn len(&self) -> usize {
        self.used.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix(1_800_000_000 + seconds)
    }

    #[test]
    fn so_many_are_given_in_the_time_and_then_one_after_another() {
        let mut buckets = Buckets::new(Rate::per_minute(3), 100);
        for _ in 0..3 {
            assert_eq!(buckets.take(&"a", at(0)), Ok(()));
        }
        assert_eq!(buckets.take(&"a", at(0)), Err(20));
        assert_eq!(buckets.take(&"a", at(19)), Err(1));
        assert_eq!(buckets.take(&"a", at(20)), Ok(()));
        assert_eq!(buckets.take(&"a", at(20)), Err(20));
        assert_eq!(buckets.take(&"b", at(0)), Ok(()), "others have their own");
        for _ in 0..3 {
            assert_eq!(buckets.take(&"a", at(10_000)), Ok(()), "and no more than so many however long he waited");
        }
        assert!(buckets.take(&"a", at(10_000)).is_err());
    }

    #[test]
    fn no_fraction_is_lost_and_a_clock_that_goes_back_gives_nothing() {
        let mut buckets = Buckets::new(Rate { amount: 7, seconds: 60 }, 100);
        let given = (0..6000).filter(|second| buckets.take(&1, at(*second)).is_ok()).count();
        assert!((700..=707).contains(&given), "{given}");
        let mut buckets = Buckets::new(Rate::per_hour(1), 100);
        assert!(buckets.take(&1, at(5000)).is_ok());
        assert!(buckets.take(&1, at(0)).is_err());
    }

    #[test]
    fn memory_is_bounded_and_who_is_at_his_limit_is_not_forgotten() {
        let mut buckets = Buckets::new(Rate::per_hour(2), 1000);
        buckets.spend(&"guilty".to_owned(), at(0));
        buckets.spend(&"guilty".to_owned(), at(0));
        for number in 0..100_000 {
            let _ = buckets.take(&format!("new {number}"), at(0));
            assert!(buckets.len() <= 1000);
        }
        assert!(buckets.take(&"guilty".to_owned(), at(0)).is_err());
    }

    #[test]
    fn a_rate_of_nothing_gives_nothing() {
        assert!(Buckets::new(Rate::per_hour(0), 10).take(&1, at(0)).is_err());
    }
}
