//! The program as a mail client: one connection to a server, under TLS that is verified.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use sealpost::crypto::random::{OsRandom, Random};
use sealpost::pki::{self, Certificate};
use sealpost::proto::sasl::{self, Channel};
use sealpost::proto::{Party, Spoken};
use sealpost::server::config::Hop;

use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::progress::Progress;
use crate::cli::{details, input, report, resolve};

/// How to reach a server.
#[derive(Debug, Clone, Args)]
pub(crate) struct ClientArgs {
    /// Log in as this user; the password comes from the passphrase options or a prompt
    #[arg(long, value_name = "USER")]
    pub(crate) user: Option<String>,
    /// When TLS begins
    #[arg(long, value_enum, default_value_t = TlsStart::Auto)]
    pub(crate) tls: TlsStart,
    /// Trust the certificates in FILE for TLS, too (besides the home's trust and the system's)
    #[arg(long, value_name = "FILE")]
    pub(crate) tls_trust: Vec<PathBuf>,
    /// Show what is said, with secrets masked
    #[arg(long)]
    pub(crate) dialogue: bool,
}

/// When TLS begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum TlsStart {
    /// At once on the usual ports for that (465, 995, 2465, 2995), by STARTTLS or STLS on others
    Auto,
    /// By STARTTLS or STLS; without it nothing is sent
    Starttls,
    /// At once
    Implicit,
    /// Never; no password is sent then
    None,
}

impl ClientArgs {
    /// The certificates to trust for TLS.
    fn roots(&self, context: &Context) -> Result<Vec<Certificate>, Failure> {
        roots(context, &self.tls_trust)
    }
}

/// The certificates to trust for TLS: the home's and those in files.
pub(crate) fn roots(context: &Context, files: &[PathBuf]) -> Result<Vec<Certificate>, Failure> {
    let mut found = match context.existing_home()? {
        Some(home) => home.trust_anchors().map_err(Failure::io)?,
        None => Vec::new(),
    };
    for path in files {
        let read = pki::load::certificates(&input::file(path, &context.limits)?);
        found.extend(read.map_err(|e| Failure::refused(format!("{} holds no certificate – {e}", path.display())))?);
    }
    Ok(found)
}

/// Our half of what makes every login by SCRAM another one.
pub(crate) fn nonce() -> String {
    let mut bytes = [0; 18];
    OsRandom.fill(&mut bytes);
    details::hex(&bytes)
}

/// Reads `HOST:PORT`.
pub(crate) fn hop(option: &str, text: &str, default_port: u16) -> Result<Hop, Failure> {
    let with_port = if text.contains(':') { text.to_owned() } else { format!("{text}:{default_port}") };
    Hop::parse(&with_port).ok_or_else(|| Failure::usage(format!("{option} {text} is not HOST:PORT")))
}

/// A server, and how it is talked to.
pub(crate) struct Server {
    pub(crate) hop: Hop,
    pub(crate) roots: Vec<Certificate>,
    pub(crate) tls: TlsStart,
    pub(crate) dialogue: bool,
}

impl Server {
    /// The server of these options.
    pub(crate) fn new(context: &Context, hop: Hop, args: &ClientArgs) -> Result<Self, Failure> {
        Ok(Self { hop, roots: args.roots(context)?, tls: args.tls, dialogue: args.dialogue })
    }

    /// Connects; TLS begins here where it begins at once, and then this says so.
    pub(crate) fn connect(&self) -> Result<(Connection, bool), Failure> {
        let mut connection = Connection::open(&self.hop, tls(&self.roots)?)?.shows(self.dialogue);
        let is_implicit =
            self.tls == TlsStart::Implicit || (self.tls == TlsStart::Auto && [465, 995, 2465, 2995].contains(&self.hop.port));
        if is_implicit {
            connection.start_tls()?;
        }
        Ok((connection, is_implicit))
    }
}

/// TLS with these roots and those of the system.
pub(crate) fn tls(roots: &[Certificate]) -> Result<Arc<ClientConfig>, Failure> {
    let mut store = RootCertStore::empty();
    let own = roots.iter().map(|certificate| CertificateDer::from(certificate.der().to_vec()));
    // a certificate that TLS cannot use as a root is still good for mail
    store.add_parsable_certificates(own);
    store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().map_err(Failure::io)?;
    Ok(Arc::new(config.with_root_certificates(store).with_no_client_auth()))
}

/// A connection, plain or under TLS.
pub(crate) struct Connection {
    hop: Hop,
    tls: Arc<ClientConfig>,
    stream: Option<Stream>,
    shows: bool,
}

enum Stream {
    Plain(TcpStream),
    Secure(Box<StreamOwned<ClientConnection, TcpStream>>),
}

/// Bytes that are sent between two looks at the progress.
const PIECE: usize = 256 << 10;
const CONNECT: Duration = Duration::from_secs(20);
/// For a reply; servers that scan a message take their time.
const REPLY: Duration = Duration::from_secs(300);

impl Connection {
    /// Connects; the first address that answers is taken.
    pub(crate) fn open(hop: &Hop, tls: Arc<ClientConfig>) -> Result<Self, Failure> {
        let name = format!("{}:{}", hop.host, hop.port);
        let addresses = resolve::addresses(&hop.host, hop.port, CONNECT);
        let addresses = addresses.map_err(|e| Failure::io(format!("{name} cannot be looked up – {e}")))?;
        let mut why = "it has no address".to_owned();
        for address in addresses {
            match TcpStream::connect_timeout(&address, CONNECT) {
                Ok(stream) => {
                    let set = stream.set_read_timeout(Some(REPLY)).and_then(|()| stream.set_write_timeout(Some(REPLY)));
                    set.and_then(|()| stream.set_nodelay(true)).map_err(Failure::io)?;
                    return Ok(Self { hop: hop.clone(), tls, stream: Some(Stream::Plain(stream)), shows: false });
                }
                Err(error) => why = error.to_string(),
            }
        }
        Err(Failure::io(format!("cannot connect to {name} – {why}")).hint("is the server running, and is the port right?"))
    }

    /// Shows what is said from now on, on standard error.
    pub(crate) fn shows(mut self, shows: bool) -> Self {
        self.shows = shows;
        self
    }

    /// Shows lines where that is wanted.
    pub(crate) fn show(&self, spoken: &[Spoken]) {
        for line in spoken.iter().filter(|_| self.shows) {
            eprintln!("{}", said(line));
        }
    }

    /// Begins TLS; the server's certificate must be good for the name it was asked by.
    pub(crate) fn start_tls(&mut self) -> Result<(), Failure> {
        let Some(Stream::Plain(mut stream)) = self.stream.take() else { return Err(Failure::io("TLS is active already")) };
        let host = self.hop.host.clone();
        let name = ServerName::try_from(host.clone()).map_err(|e| Failure::usage(format!("{host} is no name for TLS – {e}")))?;
        let mut session = ClientConnection::new(Arc::clone(&self.tls), name).map_err(Failure::io)?;
        while session.is_handshaking() {
            session.complete_io(&mut stream).map_err(|error| {
                let failure = Failure::io(format!("no TLS with {host}:{} – {error}", self.hop.port));
                match error.to_string().contains("certificate") {
                    true => failure
                        .hint("name the CA of the server with --tls-trust FILE, or trust it with `sealpost trust add FILE`"),
                    false => failure.hint("is it a server for TLS at once (--tls implicit) or by STARTTLS (--tls starttls)?"),
                }
            })?;
        }
        self.stream = Some(Stream::Secure(Box::new(StreamOwned::new(session, stream))));
        Ok(())
    }

    /// What binds a login to this connection, once it is under TLS (RFC 9266, 5929).
    pub(crate) fn channel(&self) -> Channel {
        let Some(Stream::Secure(stream)) = &self.stream else { return Channel::default() };
        let is_exported = stream.conn.protocol_version() == Some(rustls::ProtocolVersion::TLSv1_3);
        let export = || stream.conn.export_keying_material(vec![0; 32], sasl::EXPORTER_LABEL, None).ok();
        let shown = stream.conn.peer_certificates().and_then(|chain| chain.first());
        let end_point = shown.and_then(|der| Certificate::from_der(der).ok()).and_then(|certificate| certificate.end_point());
        Channel { exporter: is_exported.then(export).flatten(), end_point, certificate: None }
    }

    /// Sends bytes.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> Result<(), String> {
        let progress = Progress::bar("sending", u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        for piece in bytes.chunks(PIECE) {
            let sent = match &mut self.stream {
                Some(Stream::Plain(stream)) => stream.write_all(piece).and_then(|()| stream.flush()),
                Some(Stream::Secure(stream)) => stream.write_all(piece).and_then(|()| stream.flush()),
                None => return Err("the connection is gone".to_owned()),
            };
            sent.map_err(|error| error.to_string())?;
            progress.advance(piece.len());
        }
        Ok(())
    }

    /// Waits for bytes; an error where the connection ends.
    pub(crate) fn receive(&mut self) -> Result<Vec<u8>, String> {
        let mut buffer = vec![0; 64 << 10];
        let read = match &mut self.stream {
            Some(Stream::Plain(stream)) => stream.read(&mut buffer),
            Some(Stream::Secure(stream)) => stream.read(&mut buffer),
            None => return Err("the connection is gone".to_owned()),
        };
        match read {
            Ok(0) => Err("the server closed the connection".to_owned()),
            Ok(count) => {
                buffer.truncate(count);
                Ok(buffer)
            }
            Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {
                Err("the server says nothing – does it expect TLS at once (--tls implicit)?".to_owned())
            }
            Err(error) => Err(error.to_string()),
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Some(Stream::Secure(stream)) = &mut self.stream {
            // the server is told that this is the end; what it thinks of that changes nothing any more
            stream.conn.send_close_notify();
            let _ = stream.flush();
        }
    }
}

/// A line of a conversation for people.
pub(crate) fn said(line: &Spoken) -> String {
    let by = match line.by {
        Party::Client => "C:",
        Party::Server => "S:",
    };
    format!("{by} {}", report::safe(&line.text))
}
