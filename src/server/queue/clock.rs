//! A clock that is put back: what it wrote down while it was ahead lies too far away.

use std::time::{Duration, Instant};

use crate::time::Timestamp;

/// The system's clock, watched by one that only goes on.
#[derive(Debug, Default)]
pub(in crate::server::queue) struct Clock {
    seen: Option<(Instant, Timestamp)>,
    /// When it was taken for ahead last.
    told: Option<Instant>,
}

/// After an hour it is taken for ahead again: an attempt that was under way when it was put back may have written a time of before.
const AGAIN: Duration = Duration::from_secs(3600);

/// Seconds that the clock may be corrected by before it counts as put back: what time servers correct step by step stays below.
const CORRECTED: i64 = 60;

impl Clock {
    /// Nothing is known of the time before.
    pub(in crate::server::queue) fn new() -> Self {
        Self::default()
    }

    /// Whether the clock was ahead until now: it shows less than has passed since the last look. At the first look, and every hour, it may have been.
    pub(in crate::server::queue) fn was_ahead(&mut self, at: Instant, now: Timestamp) -> bool {
        let is_back = self.seen.replace((at, now)).is_none_or(|(then, shown)| {
            let passed = i64::try_from(at.saturating_duration_since(then).as_secs()).unwrap_or(i64::MAX);
            now.unix().saturating_sub(shown.unix()) < passed.saturating_sub(CORRECTED)
        });
        let was_ahead = is_back || self.told.is_none_or(|told| at.saturating_duration_since(told) >= AGAIN);
        if was_ahead {
            self.told = Some(at);
        }
        was_ahead
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_put_back_is_seen_and_one_that_is_corrected_is_none() {
        let (mut clock, begin) = (Clock::new(), Instant::now());
        let mut look =
            |passed: u64, shown: i64| clock.was_ahead(begin + Duration::from_secs(passed), Timestamp::from_unix(shown));
        assert!(look(0, 10_000), "before the server was started");
        assert!(!look(5, 10_005));
        assert!(!look(10, 10_000), "a few seconds");
        assert!(look(15, 6_400), "an hour");
        assert!(!look(20, 6_405), "once");
        assert!(!look(25, 900_000), "ahead: nothing lies too far away");
        assert!(look(30, 6_415), "and back");
        assert!(!look(3600, 9_985) && look(3630, 10_015) && !look(3640, 10_025), "an hour later, once");
        // a while during which nobody looked, and the clock was put back by ten minutes
        assert!(look(6_000, 10_025 + 2_360 - 600), "less than an hour later");
    }
}
