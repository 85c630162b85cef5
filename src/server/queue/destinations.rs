//! Which destinations may be tried, by how many connections: what is slow or dead has one, seldom, and the others do not notice.

use std::collections::HashMap;

use crate::time::Timestamp;

/// What is known of the destinations that have mail.
#[derive(Debug)]
pub(in crate::server::queue) struct Destinations {
    known: HashMap<String, Destination>,
    /// Connections to one of them at most.
    per_destination: usize,
}

#[derive(Debug)]
struct Destination {
    /// Connections that are open.
    active: usize,
    /// Connections that may be: one until it is known to work, then one more with each success.
    allowed: usize,
    /// Connections that failed since the last one that did not.
    failures: u32,
    /// It is left alone until then.
    not_before: Timestamp,
}

/// Seconds after the first failure; doubled with each.
const FIRST: i64 = 30;
/// A quarter of an hour: a server that is back has its mail soon.
const LONGEST: i64 = 900;
/// Destinations that are remembered because they failed.
const REMEMBERED: usize = 10_000;

/// A number drawn by lot, from 0 to 255: waits are spread so that what failed together does not come back together.
#[derive(Debug, Clone, Copy)]
pub(in crate::server::queue) struct Jitter(pub(in crate::server::queue) u8);

impl Jitter {
    pub(in crate::server::queue) fn draw() -> Self {
        let mut byte = [0; 1];
        crate::keys::files::random_name(&mut byte);
        Self(byte.first().copied().unwrap_or_default())
    }

    /// The time and up to a quarter of it.
    pub(in crate::server::queue) fn spread(self, seconds: i64) -> i64 {
        seconds.saturating_add(seconds.saturating_mul(i64::from(self.0)) / 1024)
    }
}

impl Destinations {
    pub(in crate::server::queue) fn new(per_destination: usize) -> Self {
        Self { known: HashMap::new(), per_destination }
    }

    /// So many connections to one destination at most, from now on.
    pub(in crate::server::queue) fn bound(&mut self, per_destination: usize) {
        self.per_destination = per_destination;
    }

    /// Opens a connection, where one more may be; end it with [`Destinations::close`].
    pub(in crate::server::queue) fn open(&mut self, name: &str, now: Timestamp) -> bool {
        let new = || Destination { active: 0, allowed: 1, failures: 0, not_before: Timestamp::from_unix(0) };
        let one = self.known.entry(name.to_owned()).or_insert_with(new);
        // nothing is left alone longer than that: the clock was ahead when it was written
        let has_waited = one.not_before <= now || one.not_before > now.plus_seconds(LONGEST + LONGEST / 4);
        let may = one.active < one.allowed && has_waited;
        if may {
            one.active = one.active.saturating_add(1);
        }
        may
    }

    /// A connection ended.
    pub(in crate::server::queue) fn close(&mut self, name: &str) {
        let Some(one) = self.known.get_mut(name) else { return };
        one.active = one.active.saturating_sub(1);
        // what works and is at rest need not be remembered
        if one.active == 0 && one.failures == 0 {
            self.known.remove(name);
        }
    }

    /// The server answered: another connection may be tried.
    pub(in crate::server::queue) fn reached(&mut self, name: &str) {
        if let Some(one) = self.known.get_mut(name) {
            one.failures = 0;
            one.allowed = one.allowed.saturating_add(1).min(self.per_destination);
        }
    }

    /// No server could be asked; it is left alone for a while.
    pub(in crate::server::queue) fn failed(&mut self, name: &str, now: Timestamp, jitter: Jitter) {
        let Some(one) = self.known.get_mut(name) else { return };
        let wait = FIRST.saturating_mul(1_i64.checked_shl(one.failures).unwrap_or(i64::MAX)).clamp(FIRST, LONGEST);
        one.failures = one.failures.saturating_add(1).min(30);
        one.allowed = 1;
        one.not_before = Timestamp::from_unix(now.unix().saturating_add(jitter.spread(wait)));
        if self.known.len() > REMEMBERED {
            self.known.retain(|_, one| one.active > 0 || one.not_before > now);
        }
    }

    /// Somebody wants it tried now: what failed before counts no more.
    pub(in crate::server::queue) fn forgive(&mut self) {
        self.known.values_mut().for_each(|one| one.not_before = Timestamp::from_unix(0));
    }

    #[cfg(test)]
    fn active(&self, name: &str) -> usize {
        self.known.get(name).map_or(0, |one| one.active)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_destination_earns_its_connections() {
        let mut all = Destinations::new(3);
        let now = Timestamp::from_unix(100);
        assert!(all.open("b", now) && !all.open("b", now) && all.open("c", now), "each has one to begin with");
        for _ in 0..9 {
            all.reached("b");
        }
        assert!(all.open("b", now) && all.open("b", now) && !all.open("b", now));
        assert_eq!((all.active("b"), all.active("c")), (3, 1));
        all.close("c");
        assert!(all.open("c", now));
    }

    #[test]
    fn what_fails_is_left_alone_longer_and_longer_and_never_for_ever() {
        let mut all = Destinations::new(5);
        let mut now = 0;
        let mut waits = Vec::new();
        for _ in 0..8 {
            assert!(all.open("b", Timestamp::from_unix(now)));
            all.failed("b", Timestamp::from_unix(now), Jitter(0));
            all.close("b");
            let begin = now;
            while !all.open("b", Timestamp::from_unix(now)) {
                now += 1;
            }
            all.close("b");
            waits.push(now - begin);
        }
        assert_eq!(waits, [30, 60, 120, 240, 480, 900, 900, 900]);
        all.open("b", Timestamp::from_unix(now));
        all.failed("b", Timestamp::from_unix(now), Jitter(255));
        all.close("b");
        assert!(!all.open("b", Timestamp::from_unix(now + 1100)) && all.open("b", Timestamp::from_unix(now + 1125)));
        all.failed("b", Timestamp::from_unix(now), Jitter(0));
        all.close("b");
        assert!(
            !all.open("b", Timestamp::from_unix(now + 1)) && all.open("b", Timestamp::from_unix(now - 3600)),
            "the clock went back"
        );
        all.close("b");
        all.forgive();
        assert!(all.open("b", Timestamp::from_unix(now)));
    }
}
