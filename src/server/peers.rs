//! How many connections each address has: one peer alone must not take the place of all.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use crate::server::policy::peer;

/// Connections of one address at once, over all listeners: a large mail server opens some dozens.
const PER_ADDRESS: usize = 100;

/// The connections of each address. IPv6 is counted by /64: a customer has all of it.
#[derive(Debug, Clone, Default)]
pub(in crate::server) struct Peers(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// A connection that counts; it counts no more when dropped.
#[derive(Debug)]
pub(in crate::server) struct Counted {
    peers: Peers,
    address: IpAddr,
}

impl Peers {
    /// Counts a connection, unless its address has too many.
    pub(in crate::server) fn count(&self, address: IpAddr) -> Option<Counted> {
        let address = peer(address);
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(address).or_default();
        if *count >= PER_ADDRESS {
            return None;
        }
        *count = count.saturating_add(1);
        Some(Counted { peers: self.clone(), address })
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut counts = self.peers.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.address) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                counts.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_so_many_connections_and_others_have_theirs() {
        let peers = Peers::default();
        let address = |text: &str| text.parse::<IpAddr>().expect("an address");
        let mut open: Vec<Counted> = (0..PER_ADDRESS).filter_map(|_| peers.count(address("2001:db8::1"))).collect();
        assert!(peers.count(address("2001:db8::2")).is_none(), "the same network");
        assert!(peers.count(address("192.0.2.1")).is_some());
        drop(open.pop());
        assert!(peers.count(address("2001:db8::1")).is_some());
        drop(open);
        assert!(peers.0.lock().expect("no panic").is_empty());
    }
}
