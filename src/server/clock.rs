//! The clock that only goes on, beside the one that people read.
//!
//! Somebody may put the system's clock forward and back, a machine without a battery begins in 1970, and time servers correct both. What lasts only
//! as long as the process goes by the clock of this file or by `Instant`, and no jump makes it longer or shorter. What is on disk goes by the
//! system's clock, since the next process must understand it, and each of its readers bounds what a clock that was ahead may have written:
//!
//! | what | by which clock | after a jump |
//! |---|---|---|
//! | bans, rates, what DNS told of a client, failed fetches of policies | this one | nothing changes |
//! | logins that are remembered, LOGIN-DELAY, locks, deadlines of connections | `Instant` | nothing changes |
//! | the greylist | this one; in its file the system's | nothing changes; what a file has of a time ahead counts as of now |
//! | next attempts of the queue | the system's | back: what lies farther than the longest wait is due; ahead: each is due once, and nothing is given up that was hardly tried |
//! | vacation replies | the system's | no silence is longer than the filter says |
//! | policies of MTA-STS | the system's | one of a time ahead is fetched again, and counts as of now |
//! | SRS addresses | the system's, in days | those of tomorrow are good |
//! | certificates, tokens, signatures | the system's | they are judged for the time that the clock shows: nothing else can be told |

use std::sync::OnceLock;
use std::time::Instant;

use crate::server::drive::now;
use crate::time::Timestamp;

/// The time by a clock that only goes on: what the system's clock showed when it was asked first, and what has passed since.
pub(in crate::server) fn steady() -> Timestamp {
    static BEGIN: OnceLock<(Instant, Timestamp)> = OnceLock::new();
    let (begin, shown) = *BEGIN.get_or_init(|| (Instant::now(), now()));
    shown.plus_seconds(i64::try_from(begin.elapsed().as_secs()).unwrap_or(i64::MAX))
}

/// A time of one clock by another one, where both show these times now.
pub(in crate::server) fn shifted(at: Timestamp, from: Timestamp, to: Timestamp) -> Timestamp {
    Timestamp::from_unix(at.unix().saturating_add(to.unix().saturating_sub(from.unix())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_begins_with_what_the_clock_shows_and_goes_on() {
        // whole seconds are told of both
        let (before, first, after) = (now().unix(), steady(), now().unix());
        assert!((before - 1..=after + 1).contains(&first.unix()), "{before} {first} {after}");
        assert!(steady() >= first);
    }

    #[test]
    fn a_time_is_as_far_away_by_either_clock() {
        let at = Timestamp::from_unix;
        assert_eq!(shifted(at(1600), at(1000), at(50_000)), at(50_600));
        assert_eq!(shifted(at(400), at(1000), at(50_000)), at(49_400));
        assert_eq!(shifted(at(i64::MAX), at(0), at(i64::MAX)), at(i64::MAX));
    }
}
