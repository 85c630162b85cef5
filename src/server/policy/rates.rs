//! How much is taken from whom in which time: connections, messages, recipients.

use std::net::IpAddr;

use crate::server::policy::bans::span;
use crate::server::policy::bucket::{Buckets, Rate};
use crate::server::policy::network;
use crate::server::policy::refusal::Refusal;
use crate::time::Timestamp;

/// The rates of one server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rates {
    /// Connections of an address.
    pub connections: Rate,
    /// Messages of an address that is not authenticated.
    pub messages: Rate,
    /// Recipients of an address that is not authenticated.
    pub recipients: Rate,
    /// Messages of a sender's address, from wherever they come; the null sender has none.
    pub sender_messages: Rate,
    /// Messages of a user: a stolen password sends no more.
    pub user_messages: Rate,
    /// Recipients of a user.
    pub user_recipients: Rate,
}

impl Default for Rates {
    fn default() -> Self {
        Self {
            // a large server opens some dozens at once, and these are over many at once already
            connections: Rate::per_minute(120),
            messages: Rate::per_minute(600),
            recipients: Rate::per_minute(3000),
            sender_messages: Rate::per_hour(3600),
            // a person writes some dozens a day, his newsletter some hundreds at once
            user_messages: Rate::per_hour(600),
            user_recipients: Rate::per_hour(3000),
        }
    }
}

/// What was used of them.
#[derive(Debug)]
pub(in crate::server) struct Counts {
    connections: Buckets,
    messages: Buckets,
    recipients: Buckets,
    sender_messages: Buckets,
    user_messages: Buckets,
    user_recipients: Buckets,
}

/// Who sends.
#[derive(Debug, Clone, Copy)]
pub(in crate::server) enum Who<'a> {
    /// Somebody at an address.
    Address(IpAddr),
    /// A user, wherever he is.
    User(&'a str),
}

/// Keys of each kind that are counted at once: 32 bytes each.
const MOST: usize = 100_000;

impl Counts {
    pub(in crate::server) fn new(rates: &Rates) -> Self {
        let buckets = |rate| Buckets::new(rate, MOST);
        Self {
            connections: buckets(rates.connections),
            messages: buckets(rates.messages),
            recipients: buckets(rates.recipients),
            sender_messages: buckets(rates.sender_messages),
            user_messages: buckets(rates.user_messages),
            user_recipients: buckets(rates.user_recipients),
        }
    }

    /// A connection comes.
    pub(in crate::server) fn connection(&mut self, address: IpAddr, now: Timestamp) -> Option<Refusal> {
        let wait = self.connections.take(&network::peer(address), now).err()?;
        Some(refusal(421, "4.7.0", "too many connections from your network", wait))
    }

    /// A message begins.
    pub(in crate::server) fn message(&mut self, who: Who<'_>, sender: &str, now: Timestamp) -> Option<Refusal> {
        let taken = match who {
            Who::Address(address) => self.messages.take(&network::peer(address), now),
            Who::User(user) => self.user_messages.take(&user.to_lowercase().as_str(), now),
        };
        if let Err(wait) = taken {
            return Some(refusal(450, "4.7.1", "too many messages in a short time", wait));
        }
        if sender.is_empty() {
            return None;
        }
        let wait = self.sender_messages.take(&sender.to_lowercase().as_str(), now).err()?;
        Some(refusal(450, "4.7.1", "too many messages from this sender in a short time", wait))
    }

    /// A recipient is named.
    pub(in crate::server) fn recipient(&mut self, who: Who<'_>, now: Timestamp) -> Option<Refusal> {
        let taken = match who {
            Who::Address(address) => self.recipients.take(&network::peer(address), now),
            Who::User(user) => self.user_recipients.take(&user.to_lowercase().as_str(), now),
        };
        taken.err().map(|wait| refusal(450, "4.7.1", "too many recipients in a short time", wait))
    }
}

fn refusal(code: u16, enhanced: &'static str, what: &str, wait: u64) -> Refusal {
    Refusal::new(code, enhanced, format!("{what} – try again in {}", span(i64::try_from(wait).unwrap_or(i64::MAX))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix(1_800_000_000 + seconds)
    }

    fn counts() -> Counts {
        let few = Rate::per_hour(2);
        Counts::new(&Rates {
            connections: few,
            messages: few,
            recipients: few,
            user_messages: few,
            user_recipients: few,
            ..Rates::default()
        })
    }

    #[test]
    fn each_peer_has_his_rates_and_is_told_how_long_to_wait() {
        let mut counts = counts();
        let (one, neighbour) = ("2001:db8::1".parse().expect("an address"), "2001:db8::2".parse().expect("an address"));
        assert!(counts.connection(one, at(0)).is_none() && counts.connection(neighbour, at(0)).is_none());
        let refusal = counts.connection(one, at(0)).expect("the third");
        assert_eq!(refusal.text, "too many connections from your network – try again in 30 minutes");
        assert_eq!((refusal.code, refusal.enhanced), (421, "4.7.0"));
        assert!(counts.connection([192, 0, 2, 1].into(), at(0)).is_none());
        assert!(counts.connection(one, at(1800)).is_none());
    }

    #[test]
    fn users_have_theirs_wherever_they_are_and_senders_theirs() {
        let mut counts = counts();
        for _ in 0..2 {
            assert!(counts.message(Who::User("Jane"), "jane@a.example", at(0)).is_none());
            assert!(counts.recipient(Who::User("jane"), at(0)).is_none());
        }
        assert_eq!(counts.message(Who::User("jane"), "", at(0)).map(|refusal| refusal.code), Some(450));
        assert_eq!(counts.recipient(Who::User("JANE"), at(0)).map(|refusal| refusal.code), Some(450));
        assert!(counts.message(Who::Address([192, 0, 2, 1].into()), "", at(0)).is_none());
        let mut counts = Counts::new(&Rates { sender_messages: Rate::per_hour(1), ..Rates::default() });
        let from = |last: u8| Who::Address([192, 0, 2, last].into());
        assert!(counts.message(from(1), "A@x.example", at(0)).is_none());
        assert!(counts.message(from(2), "a@x.example", at(0)).is_some(), "the sender, from another address");
        assert!(
            counts.message(from(3), "", at(0)).is_none() && counts.message(from(4), "", at(0)).is_none(),
            "bounces come from everywhere"
        );
    }
}
