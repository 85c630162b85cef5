//! When a certificate is ordered; by the time that is given, so that years pass in a test.

use std::time::Duration;

use crate::pki::Certificate;
use crate::time::Timestamp;

/// Seconds after the first failure; doubled with each. Authorities allow five failures an hour for one name.
const FIRST: u64 = 900;
/// A day: what fails for long is seen by people.
const LONGEST: u64 = 86_400;
/// Seconds of one sleep: clocks are set, and machines are put to sleep.
const NAP: u64 = 3600;

/// What is done now.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// A certificate is ordered.
    Order,
    /// Nothing, for so long; then it is asked again.
    Nap(Duration),
}

/// How patient one has become.
#[derive(Debug)]
pub(super) struct Schedule {
    /// Seconds after the next failure.
    wait: u64,
}

impl Schedule {
    pub(super) fn new() -> Self {
        Self { wait: FIRST }
    }

    /// An order went well.
    pub(super) fn succeeded(&mut self) {
        self.wait = FIRST;
    }

    /// An order failed: how long until the next one, by lot up to a quarter more: servers that failed together do not come back together.
    pub(super) fn failed(&mut self, lot: u8) -> Duration {
        let more = self.wait.saturating_mul(u64::from(lot)) / 1024;
        let wait = Duration::from_secs(self.wait.saturating_add(more));
        self.wait = self.wait.saturating_mul(2).min(LONGEST);
        wait
    }
}

/// What is done, where the certificate in use is renewed at this time; `None` where there is none.
pub(super) fn next(renewal: Option<Timestamp>, now: Timestamp) -> Next {
    let left = renewal.map_or(0, |at| at.unix().saturating_sub(now.unix()));
    match u64::try_from(left) {
        Ok(left @ 1..) => Next::Nap(Duration::from_secs(left.min(NAP))),
        _ => Next::Order,
    }
}

/// When a certificate is renewed: when a third of its life is left, and up to a twenty-fourth later, by a lot that the certificate itself is: the same
/// after each start.
pub(super) fn renewal(certificate: &Certificate) -> Timestamp {
    let life = certificate.not_after().unix().saturating_sub(certificate.not_before().unix());
    let lot = certificate.fingerprint().first().copied().map_or(0, i64::from);
    certificate.not_before().plus_seconds((life / 3).saturating_mul(2).saturating_add((life / 24).saturating_mul(lot) / 256))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400;
    const LIFE: i64 = 90 * DAY;

    /// Goes through two years with an authority that is there or not; gives the second of each order, and whether it went well.
    fn two_years(is_there: impl Fn(i64) -> bool) -> Vec<(i64, bool)> {
        let (mut at, mut renewal, mut schedule, mut orders) = (0, None, Schedule::new(), Vec::new());
        while at < 730 * DAY {
            let wait = match next(renewal, Timestamp::from_unix(at)) {
                Next::Nap(wait) => wait,
                Next::Order => {
                    orders.push((at, is_there(at)));
                    match is_there(at) {
                        true => {
                            renewal = Some(Timestamp::from_unix(at + LIFE / 3 * 2));
                            schedule.succeeded();
                            Duration::ZERO
                        }
                        false => schedule.failed(128),
                    }
                }
            };
            at += i64::try_from(wait.as_secs()).expect("short");
        }
        orders
    }

    #[test]
    fn every_certificate_has_a_successor_when_a_third_of_its_life_is_left() {
        let orders = two_years(|_| true);
        assert_eq!(orders.iter().map(|(at, _)| at / DAY).collect::<Vec<_>>(), (0..13).map(|n| n * 60).collect::<Vec<_>>());
    }

    #[test]
    fn who_fails_waits_longer_each_time_and_is_there_long_before_the_end() {
        // gone for twenty days, beginning when the first renewal is due
        let gone = 60 * DAY..80 * DAY;
        let orders = two_years(|at| !gone.contains(&at));
        let failed: Vec<i64> = orders.iter().filter(|(_, is_good)| !is_good).map(|(at, _)| *at).collect();
        let waits: Vec<i64> = failed.windows(2).map(|two| (two[1] - two[0]) / 60).collect();
        // minutes, with an eighth more by this lot
        assert_eq!(waits[..8], [16, 33, 67, 135, 270, 540, 1080, 1620]);
        assert!(waits[7..].iter().all(|wait| *wait == 1620), "once a day: {waits:?}");
        let (renewed, _) = orders.iter().find(|(at, is_good)| *is_good && *at > gone.start).expect("renewed");
        assert!((gone.end..gone.end + 2 * DAY).contains(renewed) && *renewed < LIFE - 8 * DAY, "{}", renewed / DAY);
        let (after, _) = orders.iter().find(|(at, _)| at > renewed).expect("another");
        assert_eq!(after - renewed, LIFE / 3 * 2, "and then as before");
    }

    #[test]
    fn a_clock_that_is_set_is_noticed_within_the_hour() {
        let due = Some(Timestamp::from_unix(60 * DAY));
        assert_eq!(next(due, Timestamp::from_unix(0)), Next::Nap(Duration::from_secs(NAP)));
        assert_eq!(next(due, Timestamp::from_unix(60 * DAY - 5)), Next::Nap(Duration::from_secs(5)));
        assert_eq!(next(due, Timestamp::from_unix(300 * DAY)), Next::Order);
        assert_eq!(next(due, Timestamp::from_unix(i64::MIN)), Next::Nap(Duration::from_secs(NAP)));
        assert_eq!(next(None, Timestamp::from_unix(0)), Next::Order);
    }
}
