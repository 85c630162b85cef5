//! What is done with a recipient after an attempt, and what goes before what.

use crate::proto::smtp::client::Outcome;
use crate::server::queue::destinations::Jitter;
use crate::server::store::Priority;
use crate::time::Timestamp;

/// When a sender is told that it takes long, and when a message is given up.
#[derive(Debug, Clone, Copy)]
pub(in crate::server::queue) struct Times {
    warn: i64,
    give_up: i64,
}

/// Seconds before the next attempt, by the attempts made; then every two hours. RFC 5321 4.5.4.1 asks for 30 minutes at least once
/// the first attempts failed; the short ones at the start pass greylisting.
const BACKOFF: [i64; 6] = [60, 300, 900, 1800, 3600, LONGEST];
const LONGEST: i64 = 7200;
/// No recipient waits longer: the longest wait and the most that is added by lot. A time beyond it was written by a clock that was ahead.
pub(in crate::server::queue) const FARTHEST: i64 = LONGEST + LONGEST / 4;

/// What is done with a recipient after an attempt.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::server::queue) enum Judged {
    Delivered(String),
    /// Tried again then.
    Later(Timestamp, String),
    /// The same, and it takes long by now.
    Delayed(Timestamp, String),
    Failed(String),
}

impl Times {
    pub(in crate::server::queue) fn new(warn_hours: i64, give_up_hours: i64) -> Self {
        Self { warn: warn_hours.saturating_mul(3600), give_up: give_up_hours.saturating_mul(3600) }
    }

    /// When a message is given up.
    pub(in crate::server::queue) fn end(&self, created: Timestamp) -> Timestamp {
        Timestamp::from_unix(created.unix().saturating_add(self.give_up))
    }

    /// What an outcome means for a recipient that was tried so often before.
    pub(in crate::server::queue) fn judge(
        &self,
        outcome: Outcome,
        attempts: u32,
        (created, now): (Timestamp, Timestamp),
        jitter: Jitter,
    ) -> Judged {
        let why = match outcome {
            Outcome::Delivered(reply) => return Judged::Delivered(reply),
            Outcome::Permanent(why) => return Judged::Failed(why),
            Outcome::Temporary(why) => why,
        };
        let wait = BACKOFF.get(usize::try_from(attempts).unwrap_or(usize::MAX)).copied().unwrap_or(LONGEST);
        let next = Timestamp::from_unix(now.unix().saturating_add(jitter.spread(wait)));
        if next > self.end(created) && was_tried_for(attempts, self.give_up / 4) {
            return Judged::Failed(format!("not taken for {} hours – {why}", self.give_up / 3600));
        }
        let takes_long = now.unix().saturating_sub(created.unix()) >= self.warn;
        match takes_long && was_tried_for(attempts, self.warn / 4) {
            true => Judged::Delayed(next, why),
            false => Judged::Later(next, why),
        }
    }
}

/// Whether so many attempts, with their waits between them, took so many seconds at least. A clock that jumps ahead, or a server that was off for
/// a week, makes all mail old at once: nothing is given up, and nobody is warned, before it had a quarter of its chances.
fn was_tried_for(attempts: u32, seconds: i64) -> bool {
    let attempts = usize::try_from(attempts).unwrap_or(usize::MAX);
    let early: i64 = BACKOFF.iter().take(attempts).sum();
    let later = i64::try_from(attempts.saturating_sub(BACKOFF.len())).unwrap_or(i64::MAX).saturating_mul(LONGEST);
    early.saturating_add(later) >= seconds
}

/// What goes before what: what a sender calls urgent comes first, lists and the answers of machines last (RFC 2156 5.3.6, RFC 3834 5, RFC 2076).
pub(in crate::server) fn priority(header: &[u8]) -> Priority {
    let is = |line: &[u8], name: &str, words: &[&str]| {
        let Ok(line) = std::str::from_utf8(line) else { return false };
        let Some((known, value)) = line.split_once(':') else { return false };
        known.trim().eq_ignore_ascii_case(name) && words.iter().any(|word| value.trim().eq_ignore_ascii_case(word))
    };
    let mut found = Priority::Normal;
    for line in header.split(|byte| *byte == b'\n') {
        if is(line, "priority", &["urgent"]) && found == Priority::Normal {
            found = Priority::High;
        }
        let is_low = is(line, "precedence", &["bulk", "list", "junk"])
            || is(line, "priority", &["non-urgent"])
            || is(line, "auto-submitted", &["auto-replied", "auto-generated"]);
        if is_low {
            found = Priority::Low;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_become_rarer_and_end_after_five_days() {
        let (mut at, created) = (Timestamp::from_unix(0), Timestamp::from_unix(0));
        let (mut waits, mut warned_at) = (Vec::new(), None);
        for attempts in 0.. {
            let outcome = Outcome::Temporary("450 busy".to_owned());
            match Times::new(4, 120).judge(outcome, attempts, (created, at), Jitter(0)) {
                Judged::Later(next, _) => {
                    waits.push(next.unix() - at.unix());
                    at = next;
                }
                Judged::Delayed(next, _) => {
                    warned_at.get_or_insert(at);
                    waits.push(next.unix() - at.unix());
                    at = next;
                }
                Judged::Failed(why) => {
                    assert_eq!(why, "not taken for 120 hours – 450 busy");
                    break;
                }
                Judged::Delivered(_) => panic!("it was not"),
            }
        }
        assert_eq!(waits.get(..7), Some(&[60, 300, 900, 1800, 3600, 7200, 7200][..]));
        assert!((120 * 3600 - 7200..=120 * 3600).contains(&at.unix()), "{at}");
        assert_eq!(warned_at.map(|at| at.unix() / 3600), Some(5), "the first attempt after four hours");
    }

    #[test]
    fn a_clock_that_jumps_ahead_gives_nothing_up_that_was_hardly_tried() {
        let times = Times::new(4, 120);
        let judge = |attempts, now: i64| {
            let outcome = Outcome::Temporary("450 busy".to_owned());
            times.judge(outcome, attempts, (Timestamp::from_unix(0), Timestamp::from_unix(now)), Jitter(0))
        };
        let in_ten_days = 864_000;
        assert!(matches!(judge(1, in_ten_days), Judged::Later(..)), "tried once, and nobody is told");
        assert!(matches!(judge(6, in_ten_days), Judged::Delayed(..)), "tried for an hour");
        let first = (0..100).find(|attempts| matches!(judge(*attempts, in_ten_days), Judged::Failed(_)));
        // 30 hours of the 120
        assert_eq!(first, Some(20));
        // what a server says for good is for good
        let refused =
            times.judge(Outcome::Permanent("550".to_owned()), 0, (Timestamp::from_unix(0), Timestamp::from_unix(1)), Jitter(0));
        assert!(matches!(refused, Judged::Failed(_)));
        // a message of a clock that was ahead is young
        assert!(matches!(judge(30, -864_000), Judged::Later(..)));
    }

    #[test]
    fn attempts_that_failed_together_do_not_come_back_together() {
        let wait = |jitter: u8| {
            let times = (Timestamp::from_unix(0), Timestamp::from_unix(0));
            match Times::new(4, 120).judge(Outcome::Temporary(String::new()), 3, times, Jitter(jitter)) {
                Judged::Later(next, _) => next.unix(),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!((wait(0), wait(255)), (1800, 1800 + 448));
    }

    #[test]
    fn lists_wait_for_letters_and_letters_for_what_is_urgent() {
        for (header, wanted) in [
            ("Subject: x\r\n", Priority::Normal),
            ("Priority: Urgent\r\nSubject: x\r\n", Priority::High),
            ("Precedence: bulk\r\nPriority: urgent\r\n", Priority::Low),
            ("Priority: urgent\r\nAuto-Submitted: auto-replied\r\n", Priority::Low),
            ("Auto-Submitted: no\r\n", Priority::Normal),
        ] {
            assert_eq!(priority(header.as_bytes()), wanted, "{header}");
        }
    }
}
