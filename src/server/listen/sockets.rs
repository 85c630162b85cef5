//! The sockets of a server, bound before it starts: ports below 1024 are bound by who may, and served by who may not.

use std::net::{SocketAddr, TcpListener};

use nix::sys::socket::{Backlog, listen};

use crate::server::listen::Service;

/// Bound sockets that wait for their server.
#[derive(Debug, Default)]
pub struct Sockets {
    services: Vec<(Service, SocketAddr, TcpListener)>,
    /// Where challenges of an authority are answered.
    #[cfg_attr(not(feature = "acme"), allow(dead_code, reason = "a build without ACME answers none"))]
    challenges: Option<TcpListener>,
}

/// Connections that wait in the kernel's queue: as many as tokio has them.
const WAITING: i32 = 1024;

impl Sockets {
    /// Binds each address; the error says all that is wrong, a line each.
    pub fn bind(addresses: impl IntoIterator<Item = (Service, SocketAddr)>) -> Result<Self, String> {
        let (mut bound, mut wrong) = (Vec::new(), Vec::new());
        for (service, address) in addresses {
            match bind(address) {
                Ok(socket) => bound.push((service, address, socket)),
                Err(why) => wrong.push(why),
            }
        }
        if wrong.is_empty() { Ok(Self { services: bound, challenges: None }) } else { Err(wrong.join("\n")) }
    }

    /// With one at which challenges of an authority are answered.
    pub fn challenges(mut self, address: SocketAddr) -> Result<Self, String> {
        self.challenges = Some(bind(address)?);
        Ok(self)
    }

    /// The socket for challenges, ready for the runtime.
    #[cfg(feature = "acme")]
    pub(in crate::server) fn take_challenges(&mut self, address: SocketAddr) -> Result<tokio::net::TcpListener, String> {
        match self.challenges.take() {
            Some(socket) => for_tokio(socket),
            None => open(address),
        }
    }

    /// The socket of a service at an address of the configuration, ready for the runtime.
    pub(in crate::server) fn take(&mut self, service: Service, address: SocketAddr) -> Result<tokio::net::TcpListener, String> {
        let at = self.services.iter().position(|(known, at, _)| (*known, *at) == (service, address));
        match at {
            Some(at) => for_tokio(self.services.swap_remove(at).2),
            None => open(address),
        }
    }
}

/// Binds an address, within a runtime.
pub(in crate::server) fn open(address: SocketAddr) -> Result<tokio::net::TcpListener, String> {
    for_tokio(bind(address)?)
}

fn for_tokio(socket: TcpListener) -> Result<tokio::net::TcpListener, String> {
    tokio::net::TcpListener::from_std(socket).map_err(|error| format!("a socket cannot be used – {error}"))
}

/// Binds an address; says what to do where it is taken.
fn bind(address: SocketAddr) -> Result<TcpListener, String> {
    let bound = TcpListener::bind(address).and_then(|socket| {
        socket.set_nonblocking(true)?;
        listen(&socket, Backlog::new(WAITING)?)?;
        Ok(socket)
    });
    bound.map_err(|error| match error.kind() {
        std::io::ErrorKind::AddrInUse => {
            format!("{address} is in use – stop the other program, or choose another port in the configuration")
        }
        std::io::ErrorKind::PermissionDenied => {
            format!(
                "{address} may not be used – ports below 1024 need rights; start as root with `[process] user`, or choose a higher one"
            )
        }
        _ => format!("{address} cannot be used – {error}"),
    })
}
