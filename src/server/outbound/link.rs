//! A connection to a server, over which messages go one after another.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::proto::smtp::client::{Client, ClientStep, Outcome};
use crate::server::config::Start;
use crate::server::drive::now;
use crate::server::outbound::letter::{Letter, Pieces};
use crate::server::outbound::tls;
use crate::server::trace::Conversation;

/// A connection.
pub(in crate::server) struct Link {
    pub(in crate::server::outbound) client: Client,
    pub(in crate::server::outbound) name: String,
    /// Whether TLS is active, and was verified.
    pub(in crate::server::outbound) is_verified: bool,
    pub(in crate::server::outbound) is_secure: bool,
    /// The address of the server, and ours.
    pub(in crate::server::outbound) between: (String, String),
    /// The name that the server is asked for in the handshake.
    asked_for: String,
    start: Start,
    stream: Option<Box<dyn Stream>>,
    plain: Option<TcpStream>,
    conversation: Conversation,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Link({})", self.name)
    }
}

/// How a handshake ended.
pub(in crate::server::outbound) enum Handshake {
    /// There was none, or it went well.
    NotFailed,
    /// Why, and what is told of it (RFC 8460 4.3).
    Failed(String, &'static str),
}

/// RFC 5321 4.5.3.2: five minutes for most replies, ten after the message.
const REPLY: Duration = Duration::from_secs(600);
/// A whole message, besides the time that it takes at so many bytes a second.
const SESSION: Duration = Duration::from_secs(1800);
const SLOWEST: u64 = 4096;
/// To connect, and for a TLS handshake.
const CONNECT: Duration = Duration::from_secs(30);
/// To take leave.
const LEAVE: Duration = Duration::from_secs(5);
/// Bytes that must be taken within the time for a reply: a slow line is no dead one.
const PIECE: usize = 64 << 10;

trait Stream: AsyncRead + AsyncWrite + Unpin + Send + Sync {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send + Sync> Stream for S {}

impl Link {
    /// Connects; the client has its first message already.
    pub(in crate::server::outbound) async fn open(
        (name, address): (&str, SocketAddr),
        (client, start): (Client, Start),
        conversation: impl FnOnce() -> Conversation,
    ) -> Result<Self, String> {
        let stream = match timeout(CONNECT, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(format!("{name} [{address}] does not answer – {error}")),
            Err(_) => return Err(format!("{name} [{address}] does not answer in time")),
        };
        let _ = stream.set_nodelay(true);
        let ours = stream.local_addr().map(|ours| ours.ip().to_canonical().to_string()).unwrap_or_default();
        Ok(Self {
            between: (address.ip().to_canonical().to_string(), ours),
            asked_for: name.to_owned(),
            start,
            client,
            name: name.to_owned(),
            is_verified: false,
            is_secure: false,
            stream: None,
            plain: Some(stream),
            conversation: conversation(),
        })
    }

    /// Asks the server for another name than its own in the handshake.
    pub(in crate::server::outbound) fn ask_for(&mut self, name: &str) {
        name.clone_into(&mut self.asked_for);
    }

    /// Delivers the message that the client has; gives the outcomes and how TLS went.
    pub(in crate::server::outbound) async fn run(
        &mut self,
        letter: &Letter,
        connector: &TlsConnector,
    ) -> (Vec<(String, Outcome)>, Handshake) {
        let bytes = letter.announced.shape.size();
        // a server that says a byte now and then must not hold a place for ever
        let whole = SESSION.saturating_add(Duration::from_secs(bytes / SLOWEST));
        let handshake = match timeout(whole, self.drive(letter.pieces(), connector)).await {
            Ok(handshake) => handshake,
            Err(_) => {
                self.client.disconnected(&format!("4.4.2 {} takes too long", self.name));
                Handshake::NotFailed
            }
        };
        let outcomes = loop {
            match self.client.step() {
                ClientStep::Done(outcomes) => break outcomes,
                _ => self.client.disconnected("the session ended"),
            }
        };
        self.conversation.say(now(), None, self.client.spoken());
        (outcomes, handshake)
    }

    /// Takes leave.
    pub(in crate::server) async fn close(mut self) {
        self.client.quit();
        let leave = async {
            if let ClientStep::Send(bytes) = self.client.step() {
                self.write(&bytes).await?;
            }
            self.conversation.say(now(), None, self.client.spoken());
            self.shut_down().await;
            Ok::<(), String>(())
        };
        // whatever becomes of it: the server has all that it took
        let _ = timeout(LEAVE, leave).await;
    }

    /// The end of TLS is said, so that the other side need not guess.
    async fn shut_down(&mut self) {
        let _ = match (&mut self.stream, &mut self.plain) {
            (Some(stream), _) => stream.shutdown().await,
            (None, Some(stream)) => stream.shutdown().await,
            (None, None) => Ok(()),
        };
    }

    /// Moves bytes until the message is dealt with; the client's outcomes are complete then.
    async fn drive(&mut self, mut pieces: Pieces<'_>, connector: &TlsConnector) -> Handshake {
        let mut buffer = vec![0; 16 << 10];
        if self.start == Start::AtOnce && !self.is_secure {
            let failed = self.handshake(connector).await;
            if !matches!(failed, Handshake::NotFailed) {
                return failed;
            }
        }
        loop {
            self.conversation.say(now(), None, self.client.spoken());
            let ended = match self.client.step() {
                ClientStep::Send(bytes) => self.write(&bytes).await,
                ClientStep::Read(at) => pieces.from(at).await.map(|piece| self.client.piece(&piece)),
                ClientStep::Wait => self.read(&mut buffer).await,
                ClientStep::StartTls => match self.handshake(connector).await {
                    Handshake::NotFailed => {
                        self.client.tls_started();
                        Ok(())
                    }
                    failed => return failed,
                },
                ClientStep::Done(_) => {
                    if !self.client.is_idle() {
                        let _ = timeout(LEAVE, self.shut_down()).await;
                    }
                    return Handshake::NotFailed;
                }
            };
            if let Err(why) = ended {
                self.client.disconnected(&format!("4.4.2 {}: {why}", self.name));
            }
        }
    }

    async fn handshake(&mut self, connector: &TlsConnector) -> Handshake {
        let gone = || Handshake::Failed("the connection is gone".to_owned(), "validation-failure");
        let Some(stream) = self.plain.take() else { return gone() };
        match timeout(CONNECT, connector.connect(tls::server_name(&self.asked_for), stream)).await {
            Ok(Ok(stream)) => {
                self.client.channel(tls::channel(stream.get_ref().1));
                self.stream = Some(Box::new(stream));
                self.is_secure = true;
                Handshake::NotFailed
            }
            Ok(Err(error)) => Handshake::Failed(error.to_string(), tls::result_of(&error)),
            Err(_) => Handshake::Failed("the handshake takes too long".to_owned(), "validation-failure"),
        }
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), String> {
        for piece in bytes.chunks(PIECE) {
            let written = async {
                match (&mut self.stream, &mut self.plain) {
                    (Some(stream), _) => {
                        stream.write_all(piece).await?;
                        stream.flush().await
                    }
                    (None, Some(stream)) => stream.write_all(piece).await,
                    (None, None) => Err(std::io::Error::other("the connection is gone")),
                }
            };
            let written = timeout(REPLY, written).await.map_err(|_| "nothing was taken in time".to_owned())?;
            written.map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    async fn read(&mut self, buffer: &mut [u8]) -> Result<(), String> {
        let read = async {
            match (&mut self.stream, &mut self.plain) {
                (Some(stream), _) => stream.read(buffer).await,
                (None, Some(stream)) => stream.read(buffer).await,
                (None, None) => Ok(0),
            }
        };
        let read = timeout(REPLY, read).await.map_err(|_| "no reply came in time".to_owned())?;
        match read.map_err(|error| error.to_string())? {
            0 => Err("the server closed the connection".to_owned()),
            count => {
                self.client.receive(buffer.get(..count).unwrap_or_default());
                Ok(())
            }
        }
    }
}
