//! Networks of addresses, and the parts of the address space that count as one peer.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A network in CIDR notation; a single address is a network of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    base: IpAddr,
    bits: u8,
}

impl Network {
    /// Reads `192.0.2.0/24`, `2001:db8::/32`, or an address alone. An address with bits beyond its prefix is refused: it is a slip more often
    /// than not, and the error names the network that it may have meant.
    ///
    /// ```
    /// use sealpost::server::policy::Network;
    /// let network = Network::parse("192.0.2.0/24").expect("a network");
    /// assert!(network.contains("192.0.2.77".parse().expect("an address")));
    /// assert!(Network::parse("192.0.2.1/24").is_err_and(|why| why.contains("192.0.2.0/24")));
    /// ```
    pub fn parse(text: &str) -> Result<Self, String> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let base: IpAddr = address.parse().map_err(|_| format!("{address} is no IP address"))?;
        let most = width(base);
        let bits = match bits {
            None => most,
            Some(bits) => match bits.parse::<u8>() {
                Ok(number) if number <= most && bits.bytes().all(|byte| byte.is_ascii_digit()) => number,
                _ => return Err(format!("/{bits} is no prefix of {address} – it is a number from 0 to {most}")),
            },
        };
        let network = Self { base: masked(base, bits), bits };
        if network.base != base {
            return Err(format!("{text} has bits beyond its prefix – the network is {network}"));
        }
        Ok(network)
    }

    /// Whether an address lies in it. IPv4 that comes as IPv6 (`::ffff:192.0.2.1`) is IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        width(address) == width(self.base) && masked(address, self.bits) == self.base
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base, self.bits)
    }
}

/// The addresses that count as one peer: IPv4 by itself, IPv6 by /64, which one customer has all of.
pub(in crate::server) fn peer(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        v6 @ IpAddr::V6(_) if !v6.is_loopback() => masked(v6, 64),
        alone => alone,
    }
}

/// The addresses from which a pool of servers sends: /24 and /64. The second attempt at a message comes from a neighbour often.
pub(in crate::server) fn neighbourhood(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => masked(IpAddr::V4(v4), 24),
        v6 => masked(v6, 64),
    }
}

fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn masked(address: IpAddr, bits: u8) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(u32::from(32_u8.saturating_sub(bits))).unwrap_or(0);
            IpAddr::V4(Ipv4Addr::from(u32::from(v4) & mask))
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(u32::from(128_u8.saturating_sub(bits))).unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from(u128::from(v6) & mask))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn a_network_has_its_addresses_and_no_others() {
        let has = |network: &str, address: &str| Network::parse(network).expect(network).contains(ip(address));
        assert!(has("192.0.2.0/25", "192.0.2.127") && !has("192.0.2.0/25", "192.0.2.128"));
        assert!(has("192.0.2.7", "192.0.2.7") && !has("192.0.2.7", "192.0.2.6"));
        assert!(has("2001:db8::/32", "2001:db8:ffff::1") && !has("2001:db8::/32", "2001:db9::1"));
        assert!(has("0.0.0.0/0", "203.0.113.9") && !has("0.0.0.0/0", "2001:db8::1"), "each protocol has its own");
        assert!(has("192.0.2.0/24", "::ffff:192.0.2.9"), "IPv4 in the clothes of IPv6");
        assert!(!has("::/0", "::ffff:192.0.2.9"));
    }

    #[test]
    fn what_is_no_network_is_refused_with_the_reason() {
        let why = |text: &str| Network::parse(text).expect_err(text);
        assert!(why("192.0.2.1/24").contains("192.0.2.0/24"));
        assert!(why("192.0.2.0/33").contains("0 to 32"));
        assert!(why("2001:db8::/+32").contains("no prefix"));
        assert!(why("192.0.2").contains("no IP address"));
        assert!(why("mail.example/24").contains("no IP address"));
    }

    #[test]
    fn neighbours_in_ipv6_are_one_peer() {
        assert_eq!(peer(ip("2001:db8:0:1::1")), peer(ip("2001:db8:0:1:ffff::9")));
        assert_ne!(peer(ip("2001:db8:0:1::1")), peer(ip("2001:db8:0:2::1")));
        assert_ne!(peer(ip("192.0.2.1")), peer(ip("192.0.2.2")));
        assert_eq!(neighbourhood(ip("192.0.2.1")), neighbourhood(ip("::ffff:192.0.2.2")));
    }
}
