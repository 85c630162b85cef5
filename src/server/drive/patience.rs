//! How long a peer is waited for, and how soon he is heard again.

use std::time::Duration;

use tokio::time::Instant;

/// RFC 5321 4.5.3.2.7: five minutes for the next command; RFC 1939 3: ten.
pub(super) const IDLE: Duration = Duration::from_secs(600);
/// Bytes a second at which a message comes at least, after that time: the slowest lines have five times as many.
const SLOWEST: u64 = 1024;

/// Mistakes that cost nothing.
const FORGIVEN: usize = 4;
/// For each mistake more.
const PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// How long a peer may take. A byte now and then is no sign of life: what counts is a whole command, or a message that comes on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    /// The last reply, or the first byte of the message.
    since: Instant,
    is_coming: bool,
}

impl Clock {
    pub(super) fn begin(now: Instant) -> Self {
        Self { since: now, is_coming: false }
    }

    /// Something was said. A reply to each small chunk of a message (BDAT) gives it no more time than it has as a whole.
    pub(super) fn said(&mut self, coming: Option<u64>) {
        if coming.is_none() {
            self.since = Instant::now();
        }
    }

    /// Until when more must come, where so many bytes of a message have come.
    pub(super) fn deadline(&mut self, coming: Option<u64>) -> Instant {
        if coming.is_some() && !self.is_coming {
            self.since = Instant::now();
        }
        self.is_coming = coming.is_some();
        let more = Duration::from_secs(coming.unwrap_or(0) / SLOWEST);
        self.since.checked_add(IDLE.saturating_add(more)).unwrap_or(self.since)
    }
}

/// How long nothing more is read from a peer who made so many mistakes. A person who types makes some, a program that works makes none; one that
/// tries what it may do asks the less, the more it tries.
pub(super) fn pause(mistakes: usize) -> Duration {
    let more = u32::try_from(mistakes.saturating_sub(FORGIVEN)).unwrap_or(u32::MAX);
    PAUSE.saturating_mul(more).min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_now_and_then_do_not_keep_a_connection() {
        let begin = Instant::now();
        let mut clock = Clock::begin(begin);
        assert_eq!(clock.deadline(None), begin + IDLE);
        let first = clock.deadline(Some(0));
        assert!(first >= begin + IDLE);
        assert_eq!(clock.deadline(Some(100)), first, "too slow");
        assert_eq!(clock.deadline(Some(10 * SLOWEST)), first + Duration::from_secs(10), "as long as it comes on");
        clock.said(Some(10 * SLOWEST));
        assert_eq!(
            clock.deadline(Some(10 * SLOWEST)),
            first + Duration::from_secs(10),
            "a chunk that was taken is no new message"
        );
        clock.said(None);
        assert!(clock.deadline(None) >= first, "the next command has its own time");
    }

    #[test]
    fn who_makes_mistakes_is_heard_the_less_the_more_he_makes() {
        assert_eq!([0, FORGIVEN].map(pause), [Duration::ZERO; 2]);
        assert_eq!([5, 6, 20].map(pause), [PAUSE, 2 * PAUSE, 16 * PAUSE]);
        assert_eq!(pause(usize::MAX), LONGEST_PAUSE);
    }
}
