//! Bans by hand: whom an administrator shuts out while the server runs, for a time or until it is lifted.

use std::fmt;
use std::net::IpAddr;

use crate::server::policy::access::Mailbox;
use crate::server::policy::network::{self, Network};
use crate::time::Timestamp;

/// Who is shut out: clients or a sender.
///
/// ```
/// use sealpost::server::policy::Whom;
/// for text in ["192.0.2.7", "192.0.2.0/24", "2001:db8::/32", "x@b.example", "b.example", ".b.example", "news@"] {
///     assert_eq!(Whom::parse(text).map(|whom| whom.to_string()), Ok(text.to_owned()));
/// }
/// assert!(Whom::parse("127.0.0.1").is_err() && Whom::parse("0.0.0.0/0").is_err() && Whom::parse("everybody").is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whom {
    /// As it is listed, and lifted.
    text: String,
    is: Is,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Is {
    /// Clients of a network; where they count as one, by the address for all of them.
    Clients(Network, Option<IpAddr>),
    Sender(Mailbox),
}

/// Characters of who is meant: the longest address has 320.
const LONGEST: usize = 320;

impl Whom {
    /// Reads an address of a client, a network (`192.0.2.0/24`), an address of a sender, `user@`, `b.example`, or `.b.example` for all below
    /// it. An IPv6 address means its /64, which one customer has all of. Loopback and everybody are refused.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.to_lowercase();
        let is_number = |label: &str| !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_digit());
        let is_network = text.contains([':', '/']) || text.split('.').all(is_number);
        if !text.contains('@') && is_network {
            return Self::clients(&text);
        }
        if text.chars().count() > LONGEST || text.contains(char::is_control) || !text.contains(['@', '.']) {
            let forms = "192.0.2.7, 192.0.2.0/24, x@b.example or b.example";
            return Err(format!(
                "{} is no address, network or sender, as {forms}",
                text.escape_default().take(80).collect::<String>()
            ));
        }
        let is = Is::Sender(Mailbox::parse(&text)?);
        Ok(Self { text, is })
    }

    fn clients(text: &str) -> Result<Self, String> {
        let named = match text.split_once('/') {
            Some(_) => Network::parse(text)?,
            None => {
                let address: IpAddr = text.parse().map_err(|_| format!("{text} is no IP address"))?;
                match network::peer(address) {
                    v6 @ IpAddr::V6(_) if !v6.is_loopback() => Network::parse(&format!("{v6}/64"))?,
                    alone => Network::parse(&alone.to_string())?,
                }
            }
        };
        let shown = named.to_string();
        let (base, bits) = shown.split_once('/').unwrap_or((&shown, ""));
        let base: IpAddr = base.parse().map_err(|_| format!("{text} is no IP address"))?;
        if base.is_loopback() {
            return Err(format!("{text} is this machine, which is never banned"));
        }
        if bits == "0" {
            return Err(format!("{text} is everybody – stop the server instead"));
        }
        let is_one = bits == if base.is_ipv4() { "32" } else { "64" };
        let text = shown.strip_suffix("/32").filter(|_| base.is_ipv4()).unwrap_or(&shown).to_owned();
        Ok(Self { text, is: Is::Clients(named, is_one.then_some(base)) })
    }

    /// The address of clients that count as one.
    pub(in crate::server::policy) fn peer(&self) -> Option<IpAddr> {
        if let Is::Clients(_, peer) = self.is { peer } else { None }
    }
}

impl fmt::Display for Whom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Until when somebody is banned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::server) enum Until {
    Lifted,
    At(Timestamp),
}

impl Until {
    /// Seconds that are left, where there is an end; nothing where it is over.
    fn left(self, now: Timestamp) -> Option<Left> {
        match self {
            Self::Lifted => Some(Left::Endless),
            Self::At(end) => Some(end.unix().saturating_sub(now.unix())).filter(|left| *left > 0).map(Left::Seconds),
        }
    }
}

/// How much of a ban is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::server::policy) enum Left {
    Endless,
    Seconds(i64),
}

/// Bans by hand that stand. Each connection looks at all of them.
#[derive(Debug, Default)]
pub(in crate::server::policy) struct ByHand(Vec<(Whom, Until)>);

/// Bans at once. 1000: more is a list for the configuration.
const MOST: usize = 1000;

impl ByHand {
    /// Bans somebody; who is banned already is banned anew.
    pub(in crate::server::policy) fn add(&mut self, whom: &Whom, until: Until, now: Timestamp) -> Result<(), String> {
        self.0.retain(|(known, until)| known != whom && until.left(now).is_some());
        if self.0.len() >= MOST {
            return Err(format!(
                "{MOST} bans by hand stand already – lift some, or write them into [access] of the configuration"
            ));
        }
        self.0.push((whom.clone(), until));
        Ok(())
    }

    /// Ends a ban; whether there was one.
    pub(in crate::server::policy) fn lift(&mut self, whom: &Whom, now: Timestamp) -> bool {
        let was_on = self.0.iter().any(|(known, until)| known == whom && until.left(now).is_some());
        self.0.retain(|(known, _)| known != whom);
        was_on
    }

    /// Whether a client is banned.
    pub(in crate::server::policy) fn client(&self, address: IpAddr, now: Timestamp) -> Option<Left> {
        self.longest(|is| matches!(is, Is::Clients(network, _) if network.contains(address)), now)
    }

    /// Whether a sender is banned.
    pub(in crate::server::policy) fn sender(&self, sender: &str, now: Timestamp) -> Option<Left> {
        self.longest(|is| matches!(is, Is::Sender(mailbox) if mailbox.is(sender)), now)
    }

    fn longest(&self, is_meant: impl Fn(&Is) -> bool, now: Timestamp) -> Option<Left> {
        let left = self.0.iter().filter(|(whom, _)| is_meant(&whom.is)).filter_map(|(_, until)| until.left(now));
        left.max_by_key(|left| if let Left::Seconds(seconds) = left { *seconds } else { i64::MAX })
    }

    /// All that stand.
    pub(in crate::server::policy) fn list(&self, now: Timestamp) -> Vec<(String, Until)> {
        let on = self.0.iter().filter(|(_, until)| until.left(now).is_some());
        on.map(|(whom, until)| (whom.to_string(), *until)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix(1_800_000_000 + seconds)
    }

    fn whom(text: &str) -> Whom {
        Whom::parse(text).expect(text)
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn clients_and_senders_are_told_apart_and_nonsense_is_refused() {
        for (text, shown, peer) in [
            ("192.0.2.7/32", "192.0.2.7", Some("192.0.2.7")),
            ("::ffff:192.0.2.7", "192.0.2.7", Some("192.0.2.7")),
            ("2001:DB8::66", "2001:db8::/64", Some("2001:db8::")),
            ("2001:db8::/32", "2001:db8::/32", None),
            ("X@B.example", "x@b.example", None),
        ] {
            let whom = whom(text);
            assert_eq!((whom.to_string().as_str(), whom.peer()), (shown, peer.map(ip)), "{text}");
        }
        for (text, why) in [
            ("127.0.0.1", "never banned"),
            ("::1", "never banned"),
            ("127.0.0.0/8", "never banned"),
            ("::/0", "everybody"),
            ("192.0.2.1/24", "the network is 192.0.2.0/24"),
            ("everybody", "no address, network or sender"),
            ("a\tb@b.example", "no address, network or sender"),
            ("", "no address, network or sender"),
            ("1.2.3.4.5", "no IP address"),
        ] {
            assert!(Whom::parse(text).is_err_and(|error| error.contains(why)), "{text}: {:?}", Whom::parse(text));
        }
        assert!(Whom::parse(&format!("{}@b.example", "x".repeat(400))).is_err());
    }

    #[test]
    fn a_ban_holds_for_its_time_or_until_it_is_lifted() {
        let mut bans = ByHand::default();
        bans.add(&whom("192.0.2.0/24"), Until::At(at(60)), at(0)).expect("room");
        bans.add(&whom("b.example"), Until::Lifted, at(0)).expect("room");
        assert_eq!(bans.client(ip("192.0.2.9"), at(10)), Some(Left::Seconds(50)));
        assert_eq!((bans.client(ip("192.0.2.9"), at(60)), bans.client(ip("192.0.3.9"), at(10))), (None, None));
        assert_eq!(bans.sender("X@B.example", at(1_000_000)), Some(Left::Endless));
        assert_eq!((bans.sender("x@c.example", at(0)), bans.sender("", at(0))), (None, None));
        bans.add(&whom("192.0.2.9"), Until::Lifted, at(10)).expect("room");
        assert_eq!(bans.client(ip("::ffff:192.0.2.9"), at(10)), Some(Left::Endless), "the longer one counts");
        assert_eq!(bans.list(at(10)).len(), 3);
        assert!(bans.lift(&whom("192.0.2.9"), at(10)) && !bans.lift(&whom("192.0.2.9"), at(10)));
        assert!(!bans.lift(&whom("192.0.2.0/24"), at(70)), "it ended by itself");
        assert_eq!(bans.list(at(70)), [("b.example".to_owned(), Until::Lifted)]);
    }

    #[test]
    fn bans_by_hand_are_bounded_and_those_that_ended_make_room() {
        let mut bans = ByHand::default();
        for number in 0..1000 {
            bans.add(&whom(&format!("x{number}@b.example")), Until::At(at(60)), at(0)).expect("room");
        }
        assert!(bans.add(&whom("y@b.example"), Until::Lifted, at(0)).is_err_and(|why| why.contains("[access]")));
        bans.add(&whom("x7@b.example"), Until::Lifted, at(0)).expect("it is there already");
        bans.add(&whom("y@b.example"), Until::Lifted, at(60)).expect("room again");
        assert_eq!(bans.list(at(60)).len(), 2);
    }
}
