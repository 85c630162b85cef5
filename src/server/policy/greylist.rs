//! Greylisting (RFC 6647): who has never sent from there to here is asked to come again. Programs that only spam do not.
//!
//! A triplet of network, sender and recipient is kept as a hash. Networks that came again some times are trusted whatever they send.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::net::IpAddr;
use std::path::Path;

use crate::server::clock::shifted;
use crate::server::policy::bans::span;
use crate::server::policy::refusal::Refusal;
use crate::server::policy::{network, room};
use crate::time::Timestamp;

/// How the greylist works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Greylisting {
    /// Seconds after which a second attempt is taken.
    pub delay: u32,
}

impl Default for Greylisting {
    fn default() -> Self {
        // RFC 6647 5: from a minute to a day; servers come again after five minutes or later
        Self { delay: 240 }
    }
}

/// What is known of triplets and of networks.
#[derive(Debug)]
pub(in crate::server) struct Greylist {
    rules: Greylisting,
    /// Nobody who does not know it can make two triplets meet.
    salt: u64,
    triplets: HashMap<u64, Seen>,
    networks: HashMap<u64, Seen>,
}

/// When something was seen first and last, and how many times it was good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Seen {
    first: Timestamp,
    last: Timestamp,
    good: u32,
}

/// Triplets, and networks, that are kept at once: 40 bytes each in memory, and a line of some 50 in the file.
const MOST: usize = 200_000;

/// How long a second attempt is waited for: RFC 5321 4.5.4.1 has servers try for days, and all try within one.
const WAITING: i64 = 86_400;

/// How long what was good is remembered after its last message: a monthly letter comes without delay.
const GOOD: i64 = 36 * 86_400;

/// Triplets after which a network is trusted.
const TRUSTED: u32 = 5;

const HEAD: &str = "sealpost greylist 1";

impl Greylist {
    /// An empty list; the salt is any number that peers do not know.
    pub(in crate::server) fn new(rules: Greylisting, salt: u64) -> Self {
        Self { rules, salt, triplets: HashMap::new(), networks: HashMap::new() }
    }

    /// Asks to come again, unless it did so.
    pub(in crate::server) fn judge(&mut self, address: IpAddr, sender: &str, recipient: &str, now: Timestamp) -> Option<Refusal> {
        let network = self.key(&network::neighbourhood(address));
        let triplet = self.key(&(network::neighbourhood(address), sender.to_lowercase(), recipient.to_lowercase()));
        if let Some(seen) = self.networks.get_mut(&network).filter(|seen| !is_over(seen, now) && seen.good >= TRUSTED) {
            seen.last = now;
            return None;
        }
        let delay = i64::from(self.rules.delay);
        let known = self.triplets.get(&triplet).copied().filter(|seen| !is_over(seen, now));
        let Some(seen) = known else {
            self.make_room(now);
            self.triplets.insert(triplet, Seen { first: now, last: now, good: 0 });
            return Some(again(delay));
        };
        let waited = now.unix().saturating_sub(seen.first.unix());
        if seen.good == 0 && waited < delay {
            return Some(again(delay.saturating_sub(waited)));
        }
        self.triplets.insert(triplet, Seen { last: now, good: seen.good.saturating_add(1), ..seen });
        if seen.good == 0 {
            // counted by triplets, so that one message sent again and again earns no trust
            let good =
                self.networks.get(&network).filter(|seen| !is_over(seen, now)).map_or(0, |seen| seen.good).saturating_add(1);
            self.networks.insert(network, Seen { first: now, last: now, good });
        }
        None
    }

    /// Writes what is known to a file, whole or not at all; there times are those of the system's clock, which shows the second time now.
    pub(in crate::server) fn save(&self, path: &Path, (now, wall): (Timestamp, Timestamp)) -> Result<(), crate::keys::Error> {
        let by_wall = |at| shifted(at, now, wall).unix();
        crate::keys::files::write_with(path, |file| {
            let mut out = std::io::BufWriter::new(file);
            let written = writeln!(out, "{HEAD} {}", self.salt).and_then(|()| {
                for (kind, list) in [('t', &self.triplets), ('n', &self.networks)] {
                    for (key, seen) in list.iter().filter(|(_, seen)| !is_over(seen, now)) {
                        writeln!(out, "{kind} {key:016x} {} {} {}", by_wall(seen.first), by_wall(seen.last), seen.good)?;
                    }
                }
                out.flush()
            });
            written.map_err(|error| crate::keys::Error::Io { path: path.to_owned(), error })
        })
    }

    /// Reads what was written; lines that mean nothing are left out. A list that is lost costs some mail a few minutes, and no start fails of it.
    /// What was seen at a time ahead was seen by a clock that was: it counts as seen now, so that nobody waits for that time to come.
    pub(in crate::server) fn load(rules: Greylisting, text: &str, (now, wall): (Timestamp, Timestamp)) -> Option<Self> {
        let seen_at = |at| shifted(Timestamp::from_unix(at), wall, now).min(now);
        let mut lines = text.lines();
        let salt = lines.next()?.strip_prefix(HEAD)?.trim().parse().ok()?;
        let mut list = Self::new(rules, salt);
        for line in lines.take(MOST.saturating_mul(2)) {
            let mut words = line.split(' ');
            let (Some(kind), Some(Ok(key))) = (words.next(), words.next().map(|word| u64::from_str_radix(word, 16))) else {
                continue;
            };
            let mut number = || words.next().and_then(|word| word.parse::<i64>().ok());
            let (Some(first), Some(last), Some(good)) = (number(), number(), number()) else { continue };
            let seen = Seen { first: seen_at(first), last: seen_at(last), good: u32::try_from(good).unwrap_or(0) };
            match kind {
                "t" => drop(list.triplets.insert(key, seen)),
                "n" => drop(list.networks.insert(key, seen)),
                _ => {}
            }
        }
        Some(list)
    }

    // The hash of the standard library may change with a compiler: then everybody is asked once more
    fn key(&self, of: &impl Hash) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.salt.hash(&mut hasher);
        of.hash(&mut hasher);
        hasher.finish()
    }

    fn make_room(&mut self, now: Timestamp) {
        for list in [&mut self.triplets, &mut self.networks] {
            // those that never came again go first, the oldest of them before the others
            room::make(list, MOST, |seen| is_over(seen, now), |seen| (seen.good > 0, seen.last));
        }
    }
}

fn is_over(seen: &Seen, now: Timestamp) -> bool {
    let kept = if seen.good == 0 { WAITING } else { GOOD };
    now.unix().saturating_sub(seen.last.unix()) > kept
}

fn again(seconds: i64) -> Refusal {
    Refusal::new(450, "4.7.1", format!("this sender is new here – please send again in {}", span(seconds)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix(1_800_000_000 + seconds)
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn list() -> Greylist {
        Greylist::new(Greylisting { delay: 300 }, 7)
    }

    #[test]
    fn a_new_triplet_comes_again_and_is_known_from_then_on() {
        let mut list = list();
        let mut judge = |address: &str, sender: &str, now| list.judge(ip(address), sender, "jane@a.example", at(now));
        let refusal = judge("192.0.2.1", "Bob@b.example", 0).expect("new");
        assert_eq!((refusal.code, refusal.enhanced), (450, "4.7.1"));
        assert_eq!(refusal.text, "this sender is new here – please send again in 5 minutes");
        assert!(judge("192.0.2.1", "bob@b.example", 299).is_some(), "too soon");
        assert!(judge("192.0.2.200", "bob@B.example", 300).is_none(), "from its neighbour");
        assert!(judge("192.0.2.1", "bob@b.example", 301).is_none());
        assert!(judge("192.0.2.1", "eve@b.example", 302).is_some(), "another sender");
        assert!(judge("198.51.100.1", "bob@b.example", 302).is_some(), "another network");
        assert!(judge("192.0.2.1", "bob@b.example", 301 + GOOD).is_none(), "a monthly letter");
        assert!(judge("192.0.2.1", "bob@b.example", 301 + GOOD + GOOD + 1).is_some(), "after a long time it is new");
        assert!(judge("192.0.2.1", "late@b.example", 0).is_some());
        assert!(judge("192.0.2.1", "late@b.example", WAITING + 1).is_some(), "it did not come again in time");
    }

    #[test]
    fn a_network_that_came_again_for_several_is_trusted_and_not_by_one_message_often() {
        let mut list = list();
        let network = ip("2001:db8::1");
        for number in 0..i64::from(TRUSTED) {
            let sender = format!("user{number}@b.example");
            assert!(list.judge(network, &sender, "jane@a.example", at(0)).is_some());
            for times in 0..10 {
                assert!(list.judge(network, &sender, "jane@a.example", at(300 + times)).is_none());
            }
            assert!(
                number == i64::from(TRUSTED) - 1
                    || list.judge(network, "new@b.example", &format!("{number}@a.example"), at(310)).is_some()
            );
        }
        assert!(list.judge(ip("2001:db8::ff"), "new@c.example", "john@a.example", at(400)).is_none());
    }

    #[test]
    fn it_is_written_and_read_and_what_is_broken_in_the_file_is_left_out() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("greylist");
        let mut before = list();
        assert!(before.judge(ip("192.0.2.1"), "bob@b.example", "jane@a.example", at(0)).is_some());
        before.save(&path, (at(1), at(1))).expect("written");
        let text = std::fs::read_to_string(&path).expect("read");
        let text = format!("{text}\nx 1 2\nt zz 1 1 1\nt 1");
        let mut after = Greylist::load(Greylisting { delay: 300 }, &text, (at(1), at(1))).expect("a list");
        assert_eq!(after.triplets, before.triplets);
        assert!(after.judge(ip("192.0.2.1"), "bob@b.example", "jane@a.example", at(300)).is_none());
        assert!(Greylist::load(Greylisting::default(), "something else\n", (at(1), at(1))).is_none());
        before.save(&path, (at(2 * WAITING), at(2 * WAITING))).expect("written");
        assert_eq!(std::fs::read_to_string(&path).expect("read").lines().count(), 1, "what is over is not written");
    }

    #[test]
    fn a_clock_that_jumps_makes_nobody_wait_longer() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (path, year) = (folder.path().join("greylist"), 365 * 86_400);
        let rules = Greylisting { delay: 300 };
        let kept = |list: &Greylist, times| {
            list.save(&path, times).expect("written");
            std::fs::read_to_string(&path).expect("read")
        };
        let judge = |list: &mut Greylist, now| list.judge(ip("192.0.2.1"), "bob@b.example", "jane@a.example", at(now));
        // the system's clock is put a year ahead while it runs: the list does not notice
        let mut before = list();
        assert!(judge(&mut before, 0).is_some());
        let text = kept(&before, (at(100), at(100 + year)));
        // the next start is under the same clock, and then under one that was put right
        let mut ahead = Greylist::load(rules, &text, (at(200 + year), at(200 + year))).expect("a list");
        assert!(judge(&mut ahead, 200 + year).is_some() && judge(&mut ahead, 301 + year).is_none());
        let mut right = Greylist::load(rules, &text, (at(200), at(200))).expect("a list");
        let refusal = judge(&mut right, 200).expect("no sooner than it is said");
        assert_eq!(refusal.text, "this sender is new here – please send again in 5 minutes");
        assert!(judge(&mut right, 499).is_some() && judge(&mut right, 500).is_none(), "and no later");
        // what was good stays good, whichever clock wrote it down
        let text = kept(&right, (at(600), at(600 + year)));
        let mut good = Greylist::load(rules, &text, (at(600), at(600))).expect("a list");
        assert!(judge(&mut good, 601).is_none());
    }

    #[test]
    fn a_flood_takes_bounded_memory_and_those_who_were_good_stay() {
        let mut list = list();
        assert!(list.judge(ip("192.0.2.1"), "good@b.example", "j@a.example", at(0)).is_some());
        assert!(list.judge(ip("192.0.2.1"), "good@b.example", "j@a.example", at(300)).is_none());
        for number in 0..(MOST as i64 + MOST as i64 / 2) {
            let _ = list.judge(ip("203.0.113.1"), "", &number.to_string(), at(301 + number / 1000));
        }
        assert!(list.triplets.len() <= MOST, "{}", list.triplets.len());
        assert!(list.judge(ip("192.0.2.1"), "good@b.example", "j@a.example", at(900)).is_none());
    }
}
