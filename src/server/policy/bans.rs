//! Failed logins: who guesses passwords waits, each time longer.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::server::policy::bucket::{Buckets, Rate};
use crate::server::policy::refusal::Refusal;
use crate::server::policy::{network, room};
use crate::time::Timestamp;

/// How many failed logins are borne, and how long a ban is at first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Logins {
    /// Failed logins of an address before it is banned.
    pub per_address: Rate,
    /// Failed logins of a name, from wherever they come, before strangers are told to wait.
    pub per_user: Rate,
    /// Seconds of the first ban; each that follows is twice as long.
    pub first_ban: u32,
    /// Seconds of the longest.
    pub longest_ban: u32,
}

impl Default for Logins {
    fn default() -> Self {
        // a person mistypes some times, a program with an old password tries every minute or so; guessing at this pace takes centuries
        Self { per_address: Rate::per_hour(10), per_user: Rate::per_hour(30), first_ban: 600, longest_ban: 86_400 }
    }
}

/// Who failed, and who is banned.
#[derive(Debug)]
pub(in crate::server) struct Bans {
    rules: Logins,
    addresses: Buckets,
    users: Buckets,
    bans: HashMap<IpAddr, Ban>,
    /// From where each user came in: a stranger who guesses must not lock him out. One is held for a week.
    homes: Buckets,
}

/// A ban, or the memory of one.
#[derive(Debug, Clone, Copy)]
struct Ban {
    until: Timestamp,
    /// How long it is, so that the next is longer.
    seconds: u32,
}

/// Bans, and names, that are kept at once; some 50 bytes each.
const MOST: usize = 50_000;

/// How long after its end a ban is remembered.
const MEMORY: i64 = 86_400;

impl Bans {
    pub(in crate::server) fn new(rules: Logins) -> Self {
        let home = Rate { amount: 1, seconds: 7 * 86_400 };
        Self {
            rules,
            addresses: Buckets::new(rules.per_address, MOST),
            users: Buckets::new(rules.per_user, MOST),
            bans: HashMap::new(),
            homes: Buckets::new(home, MOST),
        }
    }

    /// Refuses a connection or a login from an address that is banned.
    pub(in crate::server) fn address(&self, address: IpAddr, now: Timestamp) -> Option<Refusal> {
        let ban = self.bans.get(&network::peer(address))?;
        let seconds = ban.until.unix().saturating_sub(now.unix());
        // where the clock went back the end is further away than the ban was long: nobody is banned for years by that
        let is_on = seconds > 0 && seconds <= i64::from(ban.seconds);
        is_on.then(|| Refusal::new(421, "4.7.0", format!("too many failed logins – try again in {}", span(seconds))))
    }

    /// Refuses a login before the password is looked at. It is the same for names that exist and names that do not.
    pub(in crate::server) fn login(&self, address: IpAddr, user: &str, now: Timestamp) -> Option<Refusal> {
        if let Some(banned) = self.address(address, now) {
            return Some(banned);
        }
        let user = user.to_lowercase();
        let comes_home = self.homes.wait(&(network::peer(address), user.as_str()), now) > 0;
        let wait = self.users.wait(&user.as_str(), now);
        let is_locked = wait > 0 && !comes_home;
        let text =
            || format!("too many failed logins for this name – try again in {}", span(i64::try_from(wait).unwrap_or(i64::MAX)));
        is_locked.then(|| Refusal::new(454, "4.7.0", text()))
    }

    /// A login failed. True where the address is banned from now on.
    pub(in crate::server) fn failed(&mut self, address: IpAddr, user: &str, now: Timestamp) -> bool {
        let peer = network::peer(address);
        self.users.spend(&user.to_lowercase().as_str(), now);
        // all who read their mail on this machine have this address
        if peer.is_loopback() {
            return false;
        }
        self.addresses.spend(&peer, now);
        if self.addresses.wait(&peer, now) == 0 {
            return false;
        }
        self.addresses.clear(&peer);
        let before = self.bans.get(&peer).filter(|ban| now.unix() < ban.until.unix().saturating_add(MEMORY));
        let seconds = before.map_or(self.rules.first_ban, |ban| ban.seconds.saturating_mul(2)).min(self.rules.longest_ban);
        // those that end first go first
        let is_over = |ban: &Ban| now.unix() >= ban.until.unix().saturating_add(MEMORY);
        room::make(&mut self.bans, MOST, is_over, |ban| ban.until);
        self.bans.insert(peer, Ban { until: now.plus_seconds(i64::from(seconds)), seconds });
        true
    }

    /// A login succeeded. What failed from there before stands: an account of his own must not help a guesser to go on.
    pub(in crate::server) fn succeeded(&mut self, address: IpAddr, user: &str, now: Timestamp) {
        self.homes.spend(&(network::peer(address), user.to_lowercase().as_str()), now);
    }

    /// Ends a ban by hand; whether there was one.
    pub(in crate::server) fn lift(&mut self, address: IpAddr) -> bool {
        let peer = network::peer(address);
        self.addresses.clear(&peer);
        self.bans.remove(&peer).is_some()
    }

    /// Who is banned, and until when.
    pub(in crate::server) fn list(&self, now: Timestamp) -> Vec<(IpAddr, Timestamp)> {
        let mut on: Vec<(IpAddr, Timestamp)> =
            self.bans.iter().filter(|(_, ban)| ban.until > now).map(|(peer, ban)| (*peer, ban.until)).collect();
        on.sort_unstable();
        on
    }
}

/// A span of time for people, rounded up.
pub(in crate::server) fn span(seconds: i64) -> String {
    match seconds {
        ..=90 => format!("{seconds} seconds"),
        91..=5400 => format!("{} minutes", seconds.saturating_add(59) / 60),
        _ => format!("{} hours", seconds.saturating_add(3599) / 3600),
    }
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

    fn guess(bans: &mut Bans, address: &str, times: usize, now: Timestamp) -> bool {
        (0..times).any(|number| bans.failed(ip(address), &format!("user{number}"), now))
    }

    #[test]
    fn an_address_that_guesses_is_banned_and_each_time_longer() {
        let mut bans = Bans::new(Logins::default());
        let evil = "2001:db8::66";
        assert!(!guess(&mut bans, evil, 9, at(0)));
        assert!(bans.address(ip(evil), at(0)).is_none(), "nine are borne");
        assert!(guess(&mut bans, evil, 1, at(0)));
        let refusal = bans.address(ip("2001:db8::77"), at(1)).expect("its network is banned");
        assert_eq!((refusal.code, refusal.text.as_str()), (421, "too many failed logins – try again in 10 minutes"));
        assert!(bans.address(ip("2001:db8:0:1::66"), at(1)).is_none());
        assert_eq!(bans.list(at(1)).len(), 1);
        assert!(bans.address(ip(evil), at(600)).is_none(), "it ends");
        assert!(guess(&mut bans, evil, 10, at(700)));
        assert!(bans.address(ip(evil), at(700 + 1199)).is_some() && bans.address(ip(evil), at(700 + 1200)).is_none());
        let mut now = 2000;
        for _ in 0..20 {
            assert!(guess(&mut bans, evil, 10, at(now)));
            now += 86_400;
            assert!(bans.address(ip(evil), at(now)).is_none(), "a day is the longest");
        }
        assert!(guess(&mut bans, evil, 10, at(now + 3 * 86_400)));
        assert!(bans.address(ip(evil), at(now + 3 * 86_400 + 601)).is_none(), "after a good day it begins anew");
    }

    #[test]
    fn a_name_that_is_guessed_from_everywhere_is_shut_to_strangers_and_open_to_its_owner() {
        let mut bans = Bans::new(Logins::default());
        bans.succeeded(ip("192.0.2.1"), "Jane@a.example", at(0));
        for number in 0..30_u8 {
            assert!(bans.login(ip("203.0.113.1"), "jane@a.example", at(10)).is_none());
            bans.failed([198, 51, 100, number].into(), "jane@a.example", at(10));
        }
        let refusal = bans.login(ip("203.0.113.1"), "JANE@a.example", at(10)).expect("a stranger");
        assert_eq!((refusal.code, refusal.enhanced), (454, "4.7.0"));
        assert!(bans.login(ip("192.0.2.1"), "jane@a.example", at(10)).is_none(), "from home");
        assert!(bans.login(ip("203.0.113.1"), "john@a.example", at(10)).is_none(), "another name");
        assert!(bans.login(ip("203.0.113.1"), "jane@a.example", at(10 + 120)).is_none(), "it passes");
    }

    #[test]
    fn a_ban_is_lifted_by_hand_and_a_clock_that_goes_back_makes_none_longer() {
        let mut bans = Bans::new(Logins::default());
        assert!(guess(&mut bans, "192.0.2.1", 10, at(0)));
        assert!(bans.address(ip("192.0.2.1"), at(-1_000_000)).is_none());
        assert!(bans.lift(ip("192.0.2.1")) && !bans.lift(ip("192.0.2.1")));
        assert!(bans.address(ip("192.0.2.1"), at(1)).is_none());
    }

    #[test]
    fn bans_take_bounded_memory() {
        let mut bans = Bans::new(Logins { per_address: Rate::per_hour(1), ..Logins::default() });
        for number in 0..(MOST as u32 + 1000) {
            bans.failed(IpAddr::V4(number.into()), "x", at(i64::from(number)));
            assert!(bans.bans.len() <= MOST);
        }
    }
}
