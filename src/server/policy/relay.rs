//! Who may send to whom through this server. An open relay is what this file makes impossible.

use std::net::IpAddr;

use crate::server::policy::access::Name;
use crate::server::policy::network::Network;
use crate::server::policy::refusal::Refusal;

/// For whom mail to others is taken.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Relay {
    /// Networks whose hosts may send to anybody without logging in: the printers of an office.
    pub networks: Vec<Network>,
    /// Domains elsewhere for which anybody's mail is taken and sent on, as their second MX does.
    pub domains: Vec<Name>,
}

/// Where a recipient is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::server) enum Place {
    /// In a domain of ours.
    Here,
    /// Anywhere else.
    Elsewhere,
}

impl Relay {
    /// Refuses mail to a recipient elsewhere, unless a user sends it, or a listed network, or it is for a domain that is relayed to.
    pub(in crate::server) fn judge(&self, address: IpAddr, user: Option<&str>, recipient: &str, place: Place) -> Option<Refusal> {
        let may = place == Place::Here || user.is_some() || self.trusts(address) || self.serves(recipient);
        (!may).then(|| Refusal::new(550, "5.7.1", "no mail is relayed here – log in to send to others"))
    }

    /// Whether hosts of this address send as users do.
    pub(in crate::server) fn trusts(&self, address: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(address))
    }

    /// Whether a domain is relayed to. Source routes and the percent hack name a second domain in the local part: both are others' mail.
    pub(in crate::server) fn serves(&self, recipient: &str) -> bool {
        let Some((local, domain)) = recipient.rsplit_once('@') else { return false };
        !local.contains(['@', '%', '!']) && self.domains.iter().any(|name| name.is(domain))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mail_for_others_is_taken_from_users_and_listed_networks_and_for_listed_domains() {
        let relay = Relay {
            networks: vec![Network::parse("192.0.2.0/28").expect("a network")],
            domains: vec![Name::parse("second.example").expect("a name"), Name::parse(".second.example").expect("a name")],
        };
        let (inside, outside): (IpAddr, IpAddr) = ([192, 0, 2, 3].into(), [203, 0, 113, 3].into());
        let judge = |address, user, recipient, place| relay.judge(address, user, recipient, place).map(|refusal| refusal.code);
        assert_eq!(judge(outside, None, "jane@our.example", Place::Here), None);
        assert_eq!(judge(outside, None, "x@far.example", Place::Elsewhere), Some(550));
        assert_eq!(judge(outside, Some("jane"), "x@far.example", Place::Elsewhere), None);
        assert_eq!(judge(inside, None, "x@far.example", Place::Elsewhere), None);
        assert_eq!(judge(outside, None, "x@Second.example", Place::Elsewhere), None);
        assert_eq!(judge(outside, None, "x@sub.second.example", Place::Elsewhere), None);
        for trick in ["x%far.example@second.example", "far.example!x@second.example", "\"x@far.example\"@second.example"] {
            assert_eq!(judge(outside, None, trick, Place::Elsewhere), Some(550), "{trick}");
        }
    }

    #[test]
    fn nothing_is_relayed_by_default() {
        let relay = Relay::default();
        for address in ["127.0.0.1", "::1", "192.168.0.1"] {
            let address = address.parse().expect("an address");
            assert!(relay.judge(address, None, "x@far.example", Place::Elsewhere).is_some(), "{address}");
        }
    }
}
