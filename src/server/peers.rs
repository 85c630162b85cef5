//! How many connections each address has: one peer alone must not take the place of all.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use crate::server::config::Bounds;
use crate::server::policy::{Refusal, peer};

/// Connections of one address at once, over all listeners of a server: a large mail server opens some dozens.
const PER_ADDRESS: usize = 100;

/// The connections of each address. IPv6 is counted by /64: a customer has all of it.
#[derive(Debug, Clone, Default)]
pub(in crate::server) struct Peers(Arc<Mutex<Open>>);

#[derive(Debug, Default)]
struct Open {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// A connection that counts; it counts no more when dropped.
#[derive(Debug)]
pub(in crate::server) struct Counted {
    peers: Peers,
    address: IpAddr,
}

impl Peers {
    /// Counts a connection, unless its address has too many.
    pub(in crate::server) fn count(&self, address: IpAddr) -> Option<Counted> {
        self.admit(address, Bounds::default()).ok()
    }

    /// Counts a connection, unless its address, or all together, have as many as they may.
    pub(in crate::server) fn admit(&self, address: IpAddr, bounds: Bounds) -> Result<Counted, Refusal> {
        let address = peer(address);
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.by_address.get(&address).copied().unwrap_or_default();
        if count >= bounds.connections_of_an_address.unwrap_or(PER_ADDRESS) {
            return Err(Refusal::new(421, "4.7.0", "too many connections from your address"));
        }
        if bounds.connections.is_some_and(|most| open.all >= most) {
            return Err(Refusal::new(421, "4.3.2", "too many connections – try again later"));
        }
        open.by_address.insert(address, count.saturating_add(1));
        open.all = open.all.saturating_add(1);
        Ok(Counted { peers: self.clone(), address })
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut open = self.peers.0.lock().unwrap_or_else(PoisonError::into_inner);
        open.all = open.all.saturating_sub(1);
        if let Some(count) = open.by_address.get_mut(&self.address) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                open.by_address.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn an_address_has_so_many_connections_and_others_have_theirs() {
        let peers = Peers::default();
        let mut open: Vec<Counted> = (0..PER_ADDRESS).filter_map(|_| peers.count(address("2001:db8::1"))).collect();
        assert!(peers.count(address("2001:db8::2")).is_none(), "the same network");
        assert!(peers.count(address("192.0.2.1")).is_some());
        drop(open.pop());
        assert!(peers.count(address("2001:db8::1")).is_some());
        drop(open);
        assert!(peers.0.lock().expect("no panic").by_address.is_empty());
    }

    #[test]
    fn a_server_has_the_bounds_that_it_was_given() {
        let peers = Peers::default();
        let bounds = Bounds { connections: Some(3), connections_of_an_address: Some(2), ..Bounds::default() };
        let admit = |text: &str| peers.admit(address(text), bounds).map_err(|refusal| refusal.enhanced);
        let (first, second) = (admit("192.0.2.1").expect("one"), admit("192.0.2.1").expect("two"));
        assert_eq!(admit("192.0.2.1").err(), Some("4.7.0"));
        let third = admit("192.0.2.2").expect("another address");
        assert_eq!(admit("192.0.2.3").err(), Some("4.3.2"));
        drop((first, third));
        let again = admit("192.0.2.1").expect("there is room again");
        drop((second, again));
        assert_eq!(peers.0.lock().expect("no panic").all, 0);
    }
}
