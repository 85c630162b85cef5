//! How long it takes until what is written is on disk.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Seconds up to which a commit counts into each bucket. From a disk with a battery behind it (0.1 ms) to one that is about to die.
pub const BOUNDS: [f64; 12] = [0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0];

/// Counts commits by how long they took.
#[derive(Debug, Default)]
pub struct Commits {
    buckets: [AtomicU64; BOUNDS.len()],
    count: AtomicU64,
    micros: AtomicU64,
}

/// What was counted.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Counted {
    /// Commits that took as long as each of the bounds, or less.
    pub buckets: [u64; BOUNDS.len()],
    /// All of them.
    pub count: u64,
    /// Seconds that they took together.
    pub seconds: f64,
}

impl Commits {
    /// Counts one.
    pub(in crate::server::store) fn took(&self, time: Duration) {
        let seconds = time.as_secs_f64();
        for (bucket, _) in self.buckets.iter().zip(BOUNDS).filter(|(_, bound)| seconds <= *bound) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        self.count.fetch_add(1, Ordering::Relaxed);
        self.micros.fetch_add(u64::try_from(time.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// What was counted until now.
    pub fn counted(&self) -> Counted {
        let mut buckets = [0; BOUNDS.len()];
        for (told, bucket) in buckets.iter_mut().zip(&self.buckets) {
            *told = bucket.load(Ordering::Relaxed);
        }
        let seconds = Duration::from_micros(self.micros.load(Ordering::Relaxed)).as_secs_f64();
        Counted { buckets, count: self.count.load(Ordering::Relaxed), seconds }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_counts_into_every_bucket_that_it_fits() {
        let commits = Commits::default();
        [50, 700, 700, 20_000_000].map(Duration::from_micros).iter().for_each(|time| commits.took(*time));
        let counted = commits.counted();
        assert_eq!((counted.buckets[0], counted.buckets[1], counted.buckets[2], counted.buckets[11]), (1, 1, 3, 3));
        assert_eq!(counted.count, 4);
        assert!((counted.seconds - 20.00145).abs() < 1e-6, "{}", counted.seconds);
    }
}
