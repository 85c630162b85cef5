//! Looks up the addresses of a name, within a time.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::mpsc;
use std::time::Duration;

/// The addresses of a host; an error of the kind `TimedOut` where they are not known in time.
///
/// The system's look-up has no time of its own: it goes on by itself when nobody waits any longer.
pub(crate) fn addresses(host: &str, port: u16, time: Duration) -> io::Result<Vec<SocketAddr>> {
    let late = || io::Error::new(io::ErrorKind::TimedOut, "its time is over");
    if time.is_zero() {
        return Err(late());
    }
    let (found, wait) = mpsc::channel();
    let host = host.to_owned();
    // whoever waits no longer has hung up
    let look_up = move || drop(found.send((host.as_str(), port).to_socket_addrs().map(Iterator::collect)));
    std::thread::Builder::new().spawn(look_up)?;
    wait.recv_timeout(time).map_err(|_| late())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_their_own_names_and_time_ends() {
        let found = addresses("127.0.0.1", 7, Duration::from_secs(9)).expect("an address");
        assert_eq!(found, [SocketAddr::from(([127, 0, 0, 1], 7))]);
        let late = addresses("127.0.0.1", 7, Duration::ZERO).expect_err("no time");
        assert_eq!(late.kind(), io::ErrorKind::TimedOut);
    }
}
