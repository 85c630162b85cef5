//! A connection to a directory that ends at a moment and after so many bytes, whatever the server does.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

use crate::cli::failure::Failure;
use crate::cli::resolve;

/// For each address of a host.
const CONNECT: Duration = Duration::from_secs(10);

/// A socket with a deadline and a budget of bytes to read.
pub(super) struct Bounded {
    stream: TcpStream,
    deadline: Instant,
    left: u64,
}

impl Bounded {
    /// Sets how long the next call may take: what is left until the deadline.
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
        let read = self.stream.read(buffer).map_err(in_time)?;
        let left = self.left.checked_sub(u64::try_from(read).unwrap_or(u64::MAX));
        self.left = left.ok_or_else(|| io::Error::other("the server sends too much"))?;
        Ok(read)
    }
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.arm()?;
        self.stream.write(bytes).map_err(in_time)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// Sockets say "would block" where their time is over.
fn in_time(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => io::Error::new(io::ErrorKind::TimedOut, "its time is over"),
        _ => error,
    }
}

/// A connection, plain or under TLS.
pub(super) struct Wire {
    name: String,
    stream: Option<Stream>,
}

enum Stream {
    Plain(Bounded),
    Secure(Box<StreamOwned<ClientConnection, Bounded>>),
}

impl Wire {
    /// Connects; the first address that answers is taken.
    pub(super) fn open(host: &str, port: u16, deadline: Instant, bytes: u64) -> Result<Self, Failure> {
        let name = format!("{host}:{port}");
        let left = || deadline.saturating_duration_since(Instant::now());
        let addresses = resolve::addresses(host, port, left());
        let addresses = addresses.map_err(|e| Failure::io(format!("{name} cannot be looked up – {e}")))?;
        let mut why = "it has no address".to_owned();
        for address in addresses {
            let left = left().min(CONNECT);
            if left.is_zero() {
                why = "its time is over".to_owned();
                break;
            }
            match TcpStream::connect_timeout(&address, left) {
                Ok(stream) => {
                    stream.set_nodelay(true).map_err(Failure::io)?;
                    return Ok(Self { name, stream: Some(Stream::Plain(Bounded { stream, deadline, left: bytes })) });
                }
                Err(error) => why = error.to_string(),
            }
        }
        Err(Failure::io(format!("cannot connect to {name} – {why}")).hint("is the directory running, and is the port right?"))
    }

    /// Begins TLS; the server's certificate must be good for the host.
    pub(super) fn start_tls(&mut self, host: &str, tls: Arc<ClientConfig>) -> Result<(), Failure> {
        let Some(Stream::Plain(mut stream)) = self.stream.take() else { return Err(Failure::io("TLS is active already")) };
        let name =
            ServerName::try_from(host.to_owned()).map_err(|e| Failure::usage(format!("{host} is no name for TLS – {e}")))?;
        let mut session = ClientConnection::new(tls, name).map_err(Failure::io)?;
        while session.is_handshaking() {
            session.complete_io(&mut stream).map_err(|error| {
                let failure = Failure::io(format!("no TLS with {} – {error}", self.name));
                match error.to_string().contains("certificate") {
                    true => failure.hint(
                        "name the CA of the directory with --tls-trust FILE; is the host in the URL the one in its certificate?",
                    ),
                    false => failure.hint("TLS begins at once at ldaps://, and by StartTLS at ldap://"),
                }
            })?;
        }
        self.stream = Some(Stream::Secure(Box::new(StreamOwned::new(session, stream))));
        Ok(())
    }

    /// Sends bytes.
    pub(super) fn send(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let sent = match &mut self.stream {
            Some(Stream::Plain(stream)) => stream.write_all(bytes).and_then(|()| stream.flush()),
            Some(Stream::Secure(stream)) => stream.write_all(bytes).and_then(|()| stream.flush()),
            None => return Err(Failure::io("the connection is gone")),
        };
        sent.map_err(|error| Failure::io(format!("{} takes nothing – {error}", self.name)))
    }

    /// Waits for bytes; an error where the connection ends.
    pub(super) fn receive(&mut self, buffer: &mut [u8]) -> Result<usize, Failure> {
        let read = match &mut self.stream {
            Some(Stream::Plain(stream)) => stream.read(buffer),
            Some(Stream::Secure(stream)) => stream.read(buffer),
            None => return Err(Failure::io("the connection is gone")),
        };
        match read {
            Ok(0) => Err(Failure::io(format!("{} closed the connection", self.name))),
            Ok(read) => Ok(read),
            Err(error) => Err(Failure::io(format!("{} answers nothing more – {error}", self.name))),
        }
    }
}
