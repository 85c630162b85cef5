//! Which addresses anybody may be sent to, and which lie inside of somebody's network (RFC 6890 and the registries of IANA that it began).
//!
//! Whoever writes a certificate chooses whom its reader asks. What lies inside is asked only where the reader says so: a router or a
//! service on the own machine may take a request for a command.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// How far an address reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Everywhere.
    Public,
    /// Inside a machine, a link, a site or a provider's network: the kind, in a word.
    Inside(&'static str),
    /// Nobody's in particular: nothing is to be had there.
    Nobody(&'static str),
}

/// How far an address reaches. One that carries another address inside reaches as far as that.
pub fn reach(address: IpAddr) -> Reach {
    match address {
        IpAddr::V4(address) => reach_v4(address),
        IpAddr::V6(address) => reach_v6(address),
    }
}

fn reach_v4(address: Ipv4Addr) -> Reach {
    use Reach::{Inside, Nobody, Public};
    match address.octets() {
        [0, 0, 0, 0] => Nobody("unspecified"),
        [0, ..] => Nobody("this network"),
        [10, ..] | [192, 168, ..] => Inside("private"),
        [172, b, ..] if b & 0xf0 == 16 => Inside("private"),
        [100, b, ..] if b & 0xc0 == 64 => Inside("provider"),
        [127, ..] => Inside("loopback"),
        [169, 254, ..] => Inside("link-local"),
        [192, 0, 0, _] => Inside("protocol"),
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => Inside("documentation"),
        [192, 88, 99, _] => Inside("relay"),
        [198, 18 | 19, ..] => Inside("benchmark"),
        [255, 255, 255, 255] => Nobody("broadcast"),
        [a, ..] if a & 0xf0 == 224 => Nobody("multicast"),
        [a, ..] if a & 0xf0 == 240 => Nobody("reserved"),
        _ => Public,
    }
}

fn reach_v6(address: Ipv6Addr) -> Reach {
    use Reach::{Inside, Nobody, Public};
    let embedded = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        reach_v4(Ipv4Addr::new(a, b, c, d))
    };
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => Nobody("unspecified"),
        [0, 0, 0, 0, 0, 0, 0, 1] => Inside("loopback"),
        // mapped, and translated (RFC 4291 2.5.5.2, RFC 2765 2.1, RFC 6052)
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0, 0, 0, 0, 0xffff, 0, high, low] => embedded(high, low),
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => embedded(high, low),
        [0x64, 0xff9b, 1, ..] => Inside("translator"),
        [0xff00..=0xffff, ..] => Nobody("multicast"),
        [0xfe80..=0xfebf, ..] => Inside("link-local"),
        [0xfc00..=0xfdff, ..] | [0xfec0..=0xfeff, ..] => Inside("private"),
        // Teredo carries the address of a server and one that is hidden; the rest of 2001::/23 are protocols'
        [0x2001, 0..=0x1ff, ..] => Inside("protocol"),
        [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => Inside("documentation"),
        [0x2002, high, low, ..] => embedded(high, low),
        // ISATAP (RFC 5214 6.1)
        [.., 0x0000 | 0x0200, 0x5efe, high, low] => embedded(high, low),
        [0x2000..=0x3fff, ..] => Public,
        _ => Nobody("reserved"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Reach {
        reach(text.parse().expect("an address"))
    }

    #[test]
    fn public_addresses_are_public_however_they_travel() {
        for text in [
            "8.8.8.8",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.0.1",
            "172.32.0.1",
            "223.255.255.255",
            "2001:200::1",
            "2a00::1",
            "2606:4700::1111",
            "::ffff:8.8.8.8",
            "64:ff9b::8.8.8.8",
            "2002:808:808::1",
            "2a00::5efe:808:808",
        ] {
            assert_eq!(at(text), Reach::Public, "{text}");
        }
    }

    #[test]
    fn addresses_inside_of_networks_are_not() {
        for text in [
            "10.0.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.255",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "192.0.0.1",
            "192.0.2.1",
            "198.18.0.1",
            "198.19.255.255",
            "::1",
            "fe80::1",
            "febf::1",
            "fc00::1",
            "fdff::1",
            "fec0::1",
            "2001::1",
            "2001:db8::1",
            "3fff::1",
            "64:ff9b:1::808:808",
            "::ffff:127.0.0.1",
            "::ffff:0:10.0.0.1",
            "64:ff9b::192.168.0.1",
            "2002:7f00:1::",
            "2002:a9fe:a9fe::1",
            "2a00::5efe:a00:1",
            "2a00::200:5efe:7f00:1",
        ] {
            assert!(matches!(at(text), Reach::Inside(_)), "{text}: {:?}", at(text));
        }
    }

    #[test]
    fn nobody_is_there() {
        for text in [
            "0.0.0.0",
            "0.1.2.3",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "ff02::1",
            "::7f00:1",
            "100::1",
        ] {
            assert!(matches!(at(text), Reach::Nobody(_)), "{text}: {:?}", at(text));
        }
        assert_eq!(at("::ffff:0.0.0.0"), Reach::Nobody("unspecified"));
    }
}
