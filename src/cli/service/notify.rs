//! Tells the service manager how the server stands (sd_notify): one datagram to the socket that the environment names.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// The server is ready for what comes.
pub(crate) const READY: &str = "READY=1\nSTATUS=mail is taken and delivered";
/// The server ends what is under way.
pub(crate) const STOPPING: &str = "STOPPING=1\nSTATUS=open sessions end";

/// Tells a state, where somebody wants to hear it. That nobody listens is no reason to stop.
pub(crate) fn tell(state: &str) {
    let Some(name) = std::env::var("NOTIFY_SOCKET").ok() else { return };
    if let Err(error) = send(&name, state) {
        eprintln!("the service manager is not told – {name}: {error}");
    }
}

fn send(name: &str, state: &str) -> std::io::Result<()> {
    let address = match name.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(name)?,
    };
    UnixDatagram::unbound()?.send_to_addr(state.as_bytes(), &address).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_arrives_at_sockets_of_both_kinds() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("notify").display().to_string();
        let name = format!("@sealpost-test-{}", std::process::id());
        for (address, name) in [
            (SocketAddr::from_pathname(&path).expect("an address"), path.as_str()),
            (SocketAddr::from_abstract_name(&name[1..]).expect("an address"), name.as_str()),
        ] {
            let socket = UnixDatagram::bind_addr(&address).expect("bound");
            send(name, READY).expect("sent");
            let mut buffer = [0; 100];
            let count = socket.recv(&mut buffer).expect("received");
            assert_eq!(&buffer[..count], READY.as_bytes());
        }
        assert!(send(&folder.path().join("none").display().to_string(), READY).is_err());
    }
}
