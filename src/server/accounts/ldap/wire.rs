//! A connection to a directory that ends at a moment, whatever the server does.

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::time::Instant;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

/// A connection, plain or under TLS.
pub(super) enum Stream {
    Plain(Bounded),
    Secure(Box<StreamOwned<ClientConnection, Bounded>>),
}

impl Stream {
    /// Connects; the first address that answers is taken.
    pub(super) fn connect((host, port): (&str, u16), deadline: Instant) -> io::Result<Self> {
        let mut why = io::Error::other("it has no address");
        for address in addresses((host, port), deadline)? {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            match TcpStream::connect_timeout(&address, left) {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    return Ok(Self::Plain(Bounded { stream, deadline }));
                }
                Err(error) => why = error,
            }
        }
        Err(why)
    }

    /// Begins TLS; the server's certificate must be good for the host.
    pub(super) fn secured(self, host: &str, tls: &Arc<ClientConfig>) -> io::Result<Self> {
        let Self::Plain(plain) = self else { return Err(io::Error::other("TLS is active already")) };
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        let session = ClientConnection::new(Arc::clone(tls), name).map_err(io::Error::other)?;
        let mut secure = StreamOwned::new(session, plain);
        while secure.conn.is_handshaking() {
            secure.conn.complete_io(&mut secure.sock)?;
        }
        Ok(Self::Secure(Box::new(secure)))
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(buffer),
            Self::Secure(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.write(bytes),
            Self::Secure(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.flush(),
            Self::Secure(stream) => stream.flush(),
        }
    }
}

/// The addresses of a host. The system's look-up has no time of its own: it goes on by itself when nobody waits any longer.
fn addresses((host, port): (&str, u16), deadline: Instant) -> io::Result<Vec<SocketAddr>> {
    // one that is written as an address needs no look-up
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, port)]);
    }
    let (found, wait) = mpsc::channel();
    let host = host.to_owned();
    // whoever waits no longer has hung up
    let look_up = move || drop(found.send((host.as_str(), port).to_socket_addrs().map(Iterator::collect)));
    std::thread::Builder::new().spawn(look_up)?;
    let late = |_| io::Error::new(io::ErrorKind::TimedOut, "its name is not looked up in time");
    wait.recv_timeout(deadline.saturating_duration_since(Instant::now())).map_err(late)?
}

/// A socket with a deadline.
pub(super) struct Bounded {
    stream: TcpStream,
    deadline: Instant,
}

impl Bounded {
    fn arm(&self) -> io::Result<()> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "its time is over"));
        }
        self.stream.set_read_timeout(Some(left)).and_then(|()| self.stream.set_write_timeout(Some(left)))
    }
}

impl Read for Bounded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.arm()?;
        self.stream.read(buffer)
    }
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.arm()?;
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// TLS that trusts these certificates, or the system's.
pub(super) fn tls(trust: Option<&Path>) -> Result<Arc<ClientConfig>, String> {
    let mut roots = RootCertStore::empty();
    match trust {
        Some(path) => {
            let told = |error: &dyn std::fmt::Display| format!("{} holds no certificate to trust – {error}", path.display());
            let found: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
            for certificate in found.map_err(|error| told(&error))? {
                roots.add(certificate).map_err(|error| told(&error))?;
            }
        }
        None => drop(roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs)),
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    Ok(Arc::new(builder.map_err(|error| error.to_string())?.with_root_certificates(roots).with_no_client_auth()))
}
