//! Connections of the API: accepted, counted, under TLS where that is asked for.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::body::Incoming;
use hyper::service::{Service, service_fn};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::server::api::{Api, Peer};
use crate::server::listen::{ServerTls, each};
use crate::server::peers::Peers;
use crate::server::reload::Current;
use crate::server::web::{Deadlines, connection};

/// Connections at once; one more waits in the kernel's queue. Administrators and what watches the server are few.
const CONNECTIONS: usize = 64;
/// For a TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// For all of a connection: a trace is watched for an hour at most, and begun again.
const LIFETIME: Duration = Duration::from_secs(3600);

/// Where the API is served.
pub(in crate::server) struct Door {
    pub(in crate::server) listener: TcpListener,
    /// The server's own TLS; none on loopback, where it is not asked for.
    pub(in crate::server) tls: Option<Current>,
}

/// A connection that is counted, until it is dropped.
struct Open(Arc<Api>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.tracer.metrics().closed("api");
    }
}

/// Accepts connections until the server stops, then waits for those that are open.
pub(in crate::server) async fn accept(door: Door, api: Arc<Api>, stop: watch::Receiver<bool>) {
    let (Door { listener, tls }, router, peers) = (door, api.router(), Peers::default());
    each(listener, CONNECTIONS, stop.clone(), |stream, peer| {
        let counted = peers.count(peer.ip())?;
        let (api, router, stop) = (Arc::clone(&api), router.clone(), stop.clone());
        let tls = tls.as_ref().map(|current| current.get().tls);
        Some(async move {
            api.tracer.metrics().opened("api");
            let _open = Open(api);
            // how a connection ends is the peer's affair
            let _ = tokio::time::timeout(LIFETIME, serve(stream, peer, router, tls, stop)).await;
            drop(counted);
        })
    })
    .await;
}

async fn serve(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    tls: Option<Arc<ServerTls>>,
    stop: watch::Receiver<bool>,
) -> Option<()> {
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(Peer(peer));
        router.call(request)
    });
    let deadlines = Deadlines::default();
    match tls {
        None => connection::serve(stream, deadlines, service, stop).await.ok(),
        Some(tls) => {
            let stream = tokio::time::timeout(HANDSHAKE, tls.acceptor().accept(stream)).await.ok()?.ok()?;
            connection::serve(stream, deadlines, service, stop).await.ok()
        }
    }
}
