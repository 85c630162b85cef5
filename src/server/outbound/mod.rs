//! Takes mail to other servers: finds them, talks to them, under TLS wherever they offer it.
//!
//! Uses: proto (client sessions), the trace; sockets towards other servers.
//! Holds always: every recipient gets an outcome; a server that cannot be asked now is asked again later; what a certificate
//! of an unknown server says changes nothing (RFC 7435: opportunistic), so nothing secret but the mail itself is sent.

mod find;
mod tls;

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::proto::smtp::client::{Client, ClientStep, Outcome, Outgoing, TlsWish};
use crate::server::config::Delivery;
use crate::server::drive::now;
use crate::server::outbound::find::{Found, Servers};
use crate::server::trace::{Conversation, Tracer};

/// Delivers to other servers.
#[derive(Debug)]
pub(in crate::server) struct Outbound {
    hostname: String,
    servers: Servers,
    connector: Connector,
    tracer: Tracer,
}

struct Connector(TlsConnector);

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Connector")
    }
}

/// RFC 5321 4.5.3.2: five minutes for most replies, ten after the message.
const REPLY: Duration = Duration::from_secs(600);
/// A whole session, besides the time that its message takes at so many bytes a second.
const SESSION: Duration = Duration::from_secs(1800);
const SLOWEST: u64 = 4096;
/// To connect, and for a TLS handshake.
const CONNECT: Duration = Duration::from_secs(30);
/// Addresses of one domain that are tried in one attempt.
const ADDRESSES: usize = 10;

impl Outbound {
    /// Delivers as this host.
    pub(in crate::server) fn new(hostname: &str, delivery: &Delivery, tracer: Tracer) -> Result<Self, String> {
        let servers = Servers::new(hostname, delivery)?;
        Ok(Self { hostname: hostname.to_owned(), servers, connector: Connector(tls::connector()?), tracer })
    }

    /// Tries the servers of a domain in their order until each recipient has a final outcome, or all servers were asked.
    pub(in crate::server) async fn deliver(&self, domain: &str, outgoing: Outgoing) -> Vec<(String, Outcome)> {
        let addresses = match self.servers.of(domain).await {
            Found::Addresses(addresses) => addresses,
            Found::Later(why) => return all(&outgoing, &Outcome::Temporary(why)),
            Found::Never(why) => return all(&outgoing, &Outcome::Permanent(why)),
        };
        let mut settled = Vec::new();
        let mut left = all(&outgoing, &Outcome::Temporary(format!("{domain} has no server that can be asked")));
        for (name, address) in addresses.into_iter().take(ADDRESSES) {
            let recipients = left.iter().map(|(recipient, _)| recipient.clone()).collect();
            let attempt = Outgoing { recipients, ..outgoing.clone() };
            let (again, done): (Vec<_>, Vec<_>) =
                self.ask(&name, address, attempt).await.into_iter().partition(|(_, o)| matches!(o, Outcome::Temporary(_)));
            settled.extend(done);
            left = again;
            if left.is_empty() {
                break;
            }
        }
        settled.extend(left);
        settled
    }

    /// One server; where its TLS fails, the same again without (RFC 7435).
    async fn ask(&self, name: &str, address: SocketAddr, outgoing: Outgoing) -> Vec<(String, Outcome)> {
        let (outcomes, tls) = self.session(name, address, TlsWish::Opportunistic, outgoing.clone()).await;
        match tls {
            Handshake::Failed(why) => {
                self.tracer.note(now(), &format!("{name} [{address}]: TLS failed, and goes without – {why}"));
                self.session(name, address, TlsWish::Without, outgoing).await.0
            }
            Handshake::NotFailed => outcomes,
        }
    }

    async fn session(
        &self,
        name: &str,
        address: SocketAddr,
        tls: TlsWish,
        outgoing: Outgoing,
    ) -> (Vec<(String, Outcome)>, Handshake) {
        let stream = match timeout(CONNECT, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                let why = Outcome::Temporary(format!("{name} [{address}] does not answer – {error}"));
                return (all(&outgoing, &why), Handshake::NotFailed);
            }
            Err(_) => {
                let why = Outcome::Temporary(format!("{name} [{address}] does not answer in time"));
                return (all(&outgoing, &why), Handshake::NotFailed);
            }
        };
        let _ = stream.set_nodelay(true);
        let mut conversation = self.tracer.begin("delivery", address);
        let bytes = u64::try_from(outgoing.message.len()).unwrap_or(u64::MAX);
        let whole = SESSION.saturating_add(Duration::from_secs(bytes / SLOWEST));
        let mut client = Client::new(&self.hostname, tls, None, outgoing);
        // a server that says a byte now and then must not hold a place for ever
        let handshake = timeout(whole, self.drive(stream, &mut client, name, &mut conversation)).await;
        let handshake = handshake.unwrap_or_else(|_| {
            client.disconnected(&format!("{name} takes too long"));
            Handshake::NotFailed
        });
        let outcomes = loop {
            match client.step() {
                ClientStep::Done(outcomes) => break outcomes,
                _ => client.disconnected("the session ended"),
            }
        };
        conversation.say(now(), None, client.spoken());
        (outcomes, handshake)
    }

    /// Moves bytes until the session is over; the client's outcomes are complete then.
    async fn drive(&self, stream: TcpStream, client: &mut Client, name: &str, trace: &mut Conversation) -> Handshake {
        let mut plain = Some(stream);
        let mut secure: Option<Box<dyn Stream>> = None;
        let mut buffer = vec![0; 16 << 10];
        loop {
            trace.say(now(), None, client.spoken());
            let step = client.step();
            let ended = match (step, &mut secure, &mut plain) {
                (ClientStep::Send(bytes), Some(stream), _) => write(stream, &bytes).await,
                (ClientStep::Send(bytes), None, Some(stream)) => write(stream, &bytes).await,
                (ClientStep::StartTls, None, Some(_)) => {
                    let Some(stream) = plain.take() else { return Handshake::NotFailed };
                    match timeout(CONNECT, self.connector.0.connect(tls::server_name(name), stream)).await {
                        Ok(Ok(stream)) => {
                            secure = Some(Box::new(stream));
                            client.tls_started();
                            Ok(())
                        }
                        Ok(Err(error)) => return Handshake::Failed(error.to_string()),
                        Err(_) => return Handshake::Failed("the handshake takes too long".to_owned()),
                    }
                }
                (ClientStep::Wait, Some(stream), _) => read(stream, &mut buffer, client).await,
                (ClientStep::Wait, None, Some(stream)) => read(stream, &mut buffer, client).await,
                (ClientStep::Done(_), ..) => {
                    // the end of TLS is said, so that the other side need not guess
                    if let Some(stream) = &mut secure {
                        let _ = timeout(CONNECT, stream.shutdown()).await;
                    }
                    return Handshake::NotFailed;
                }
                _ => Err("the session is confused".to_owned()),
            };
            if let Err(why) = ended {
                client.disconnected(&format!("{name}: {why}"));
            }
        }
    }
}

enum Handshake {
    Failed(String),
    NotFailed,
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// Bytes that must be taken within the time for a reply: a slow line is no dead one.
const PIECE: usize = 64 << 10;

async fn write<S: Stream + ?Sized>(stream: &mut S, bytes: &[u8]) -> Result<(), String> {
    for piece in bytes.chunks(PIECE) {
        let written = async {
            stream.write_all(piece).await?;
            stream.flush().await
        };
        let written = timeout(REPLY, written).await.map_err(|_| "nothing was taken in time".to_owned())?;
        written.map_err(|error| error.to_string())?;
    }
    Ok(())
}

async fn read<S: Stream + ?Sized>(stream: &mut S, buffer: &mut [u8], client: &mut Client) -> Result<(), String> {
    let read = timeout(REPLY, stream.read(buffer)).await.map_err(|_| "no reply came in time".to_owned())?;
    match read.map_err(|error| error.to_string())? {
        0 => Err("the server closed the connection".to_owned()),
        count => {
            client.receive(buffer.get(..count).unwrap_or_default());
            Ok(())
        }
    }
}

fn all(outgoing: &Outgoing, outcome: &Outcome) -> Vec<(String, Outcome)> {
    outgoing.recipients.iter().map(|recipient| (recipient.clone(), outcome.clone())).collect()
}
