//! Sockets: bound, accepted, limited.

mod accepting;
mod sockets;

use std::borrow::Borrow;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use crate::pki::Certificate;
use crate::proto::{Tls, pop3, sasl, smtp};
use crate::server::accounts::certificate::{AnyCertificate, ClientAuthority};
use crate::server::clock::steady;
use crate::server::config::Bounds;
use crate::server::drive::{Memory, Pop3, Smtp, drive};
use crate::server::mail::Mail;
use crate::server::peers::Peers;
use crate::server::places::Places;
use crate::server::policy::Refusal;
use crate::server::reload::Current;
use crate::server::trace::Tracer;
use crate::server::turns::Turns;
use crate::time::Timestamp;

pub(in crate::server) use accepting::each;
pub use sockets::Sockets;
pub(in crate::server) use sockets::open;

/// What a listener serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// SMTP from other servers (port 25's role).
    Smtp,
    /// Submission with STARTTLS (587's role).
    Submission,
    /// Submission under TLS from the start (465's role).
    Submissions,
    /// POP3 with STLS (110's role).
    Pop3,
    /// POP3 under TLS from the start (995's role).
    Pop3s,
}

impl Service {
    /// Its key in the configuration.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(service, _, _)| *service == self).map_or("", |(_, name, _)| name)
    }

    /// Every service, with its key in the configuration and its port there by default.
    pub const ALL: [(Self, &'static str, u16); 5] = [
        (Self::Smtp, "smtp", 2525),
        (Self::Submission, "submission", 2587),
        (Self::Submissions, "submissions", 2465),
        (Self::Pop3, "pop3", 2110),
        (Self::Pop3s, "pop3s", 2995),
    ];

    fn starts_with_tls(self) -> bool {
        matches!(self, Self::Submissions | Self::Pop3s)
    }
}

/// TLS as a server, and what SASL needs of it.
#[derive(Debug)]
pub(in crate::server) struct ServerTls {
    config: Arc<rustls::ServerConfig>,
    /// `tls-server-end-point` of our certificate.
    end_point: Option<Vec<u8>>,
    /// Whose certificates open mailboxes.
    authority: Option<Arc<ClientAuthority>>,
    /// Whether clients may bind their logins to a connection.
    binds: bool,
}

impl ServerTls {
    /// Reads a certificate chain and a key for TLS 1.2 and 1.3; with an authority, clients are asked for a certificate.
    pub(in crate::server) fn open(certificate: &Path, key: &Path, authority: Option<ClientAuthority>) -> Result<Self, String> {
        let chain: Result<Vec<_>, _> = CertificateDer::pem_file_iter(certificate).and_then(Iterator::collect);
        let chain = chain.map_err(|error| format!("{} holds no certificate – {error}", certificate.display()))?;
        let private = PrivateKeyDer::from_pem_file(key).map_err(|error| format!("{} holds no key – {error}", key.display()))?;
        let own = chain.first().and_then(|der| Certificate::from_der(der).ok());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?;
        let builder = match &authority {
            Some(authority) => builder.with_client_cert_verifier(Arc::new(AnyCertificate::new(provider, authority))),
            None => builder.with_no_client_auth(),
        };
        let mut config = builder
            .with_single_cert(chain, private)
            .map_err(|error| format!("{} and {} do not go together – {error}", certificate.display(), key.display()))?;
        // the strongest cipher that both know, not the one that the client likes best
        config.ignore_client_order = true;
        let (end_point, authority) = (own.and_then(|own| own.end_point()), authority.map(Arc::new));
        Ok(Self { config: Arc::new(config), end_point, authority, binds: true })
    }

    /// Lets clients bind their logins to a connection (SCRAM-SHA-256-PLUS), or not.
    #[must_use]
    pub(in crate::server) fn binding(mut self, binds: bool) -> Self {
        self.binds = binds;
        self
    }

    /// Makes connections secure.
    pub(in crate::server) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.config))
    }

    /// What SASL may know of a connection after its handshake.
    pub(in crate::server) async fn channel(&self, connection: &rustls::ServerConnection, at: Timestamp) -> sasl::Channel {
        let end_point = self.end_point.clone().filter(|_| self.binds);
        let mut channel = sasl::Channel { end_point, ..sasl::Channel::default() };
        // RFC 9266 4: below 1.3 only with the extended master secret, which is not told here
        if self.binds && connection.protocol_version() == Some(rustls::ProtocolVersion::TLSv1_3) {
            channel.exporter = connection.export_keying_material(vec![0; 32], sasl::EXPORTER_LABEL, None).ok();
        }
        if let (Some(authority), Some(chain)) = (&self.authority, connection.peer_certificates()) {
            let (authority, chain) = (Arc::clone(authority), chain.iter().map(|der| der.to_vec()).collect::<Vec<_>>());
            // signatures and files: not on a thread that others wait for
            channel.certificate = tokio::task::spawn_blocking(move || authority.address(&chain, at)).await.ok().flatten();
        }
        channel
    }
}

/// A socket that is bound.
pub(in crate::server) type Socket = TcpListener;

/// What the connections of a server share.
#[derive(Debug, Clone)]
pub(in crate::server) struct Shared {
    pub(in crate::server) hostname: String,
    pub(in crate::server) banner: Option<String>,
    pub(in crate::server) bounds: Bounds,
    pub(in crate::server) max_message: u64,
    pub(in crate::server) mail: Mail,
    pub(in crate::server) tls: Arc<ServerTls>,
    pub(in crate::server) login_delay: u64,
    pub(in crate::server) kept: sasl::Kept,
    pub(in crate::server) tracer: Tracer,
    pub(in crate::server) peers: Peers,
    pub(in crate::server) places: Places,
    pub(in crate::server) memory: Memory,
    pub(in crate::server) handshakes: Turns,
}

/// Accepts connections until it is told to stop; each has the settings of its first moment to its end. While it pauses, nobody is let in.
pub(in crate::server) async fn accept(
    listener: impl Borrow<TcpListener>,
    service: Service,
    (current, is_paused): (Current, Arc<AtomicBool>),
    stop: watch::Receiver<bool>,
) {
    let most = current.get().places.of(service);
    each(listener, most, stop.clone(), |stream, peer| {
        Some(serve(stream, peer, service, (current.get(), Arc::clone(&is_paused)), stop.clone()))
    })
    .await;
}

/// Lets a peer in, or tells him why not.
async fn serve(
    stream: TcpStream,
    peer: SocketAddr,
    service: Service,
    (shared, is_paused): (Shared, Arc<AtomicBool>),
    stop: watch::Receiver<bool>,
) {
    let Shared { hostname, banner, bounds, max_message, mail, tls, login_delay, kept, tracer, peers, memory, handshakes, .. } =
        shared;
    if is_paused.load(Ordering::Relaxed) {
        return refuse(stream, service, &Refusal::new(421, "4.3.2", "this server pauses – try again later"), &tracer).await;
    }
    if let Some(refused) = mail.gate().connection(peer.ip(), steady()) {
        return refuse(stream, service, &refused, &tracer).await;
    }
    let _counted = match peers.admit(peer.ip(), bounds) {
        Ok(counted) => counted,
        Err(refused) => return refuse(stream, service, &refused, &tracer).await,
    };
    let (trace, tls, starts) = (tracer.begin(service.name(), peer), Some(tls), service.starts_with_tls());
    let state = if starts { Tls::Active } else { Tls::Offered };
    // how a connection ends is the peer's affair
    let _ = match service {
        Service::Pop3 | Service::Pop3s => {
            let usual = pop3::Config::new(&hostname, state);
            let banner = banner.unwrap_or_else(|| usual.banner.clone());
            let config = pop3::Config { banner, kept, login_delay, ..usual };
            let conversation = Box::new(Pop3::new(pop3::Session::new(config), mail, peer.ip()));
            drive(stream, tls, starts, conversation, trace, (memory, handshakes), stop).await
        }
        Service::Smtp | Service::Submission | Service::Submissions => {
            let role = if service == Service::Smtp { smtp::Role::Relay } else { smtp::Role::Submission };
            let usual = smtp::Config::new(&hostname, role, state);
            let max_recipients = bounds.recipients.unwrap_or(usual.max_recipients);
            let banner = banner.unwrap_or_else(|| usual.banner.clone());
            let config = smtp::Config { banner, max_size: max_message, max_recipients, kept, ..usual };
            let conversation = Box::new(Smtp::new(smtp::Session::new(config), mail, peer.ip()));
            drive(stream, tls, starts, conversation, trace, (memory, handshakes), stop).await
        }
    };
}

/// Tells a peer why he is not let in; who expects TLS at once hears nothing.
async fn refuse(mut stream: TcpStream, service: Service, refusal: &Refusal, tracer: &Tracer) {
    tracer.metrics().refused(service.name(), &refusal.code.to_string(), refusal.enhanced);
    let Refusal { code, enhanced, text } = refusal;
    let text = match service {
        Service::Smtp | Service::Submission => format!("{code} {enhanced} {text}\r\n"),
        Service::Pop3 => format!("-ERR [SYS/TEMP] {text}\r\n"),
        Service::Submissions | Service::Pop3s => String::new(),
    };
    let told = async {
        stream.write_all(text.as_bytes()).await?;
        stream.shutdown().await
    };
    // he may be gone, or not listen
    let _ = tokio::time::timeout(std::time::Duration::from_secs(5), told).await;
}
