//! Connections: accepted, counted, with a deadline for all that they do.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::{Instant, Sleep};

use crate::server::listen::each;
use crate::server::peers::Peers;
use crate::server::web::{Site, answer};

/// Connections at once; one more waits in the kernel's queue.
const CONNECTIONS: usize = 1000;
/// Bytes of the head of a request: URLs of OCSP by GET have some hundred, and hyper takes no less.
const HEAD_BYTES: usize = 8_192;
/// Fields of the head of a request: browsers send some 15.
const FIELDS: usize = 64;

/// How long a client may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadlines {
    /// For the head of a request, and for the pause before the next one. 10 s: who sends a byte now and then holds no place.
    pub head: Duration,
    /// For the body of a request. 10 s: it has some hundred bytes.
    pub body: Duration,
    /// Until it takes something of what is sent to it. 30 s, as web servers have it.
    pub stalled: Duration,
    /// For all of a connection. 600 s: a list of 100 MB at 1.5 Mbit/s.
    pub lifetime: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        let [head, body, stalled, lifetime] = [10, 10, 30, 600].map(Duration::from_secs);
        Self { head, body, stalled, lifetime }
    }
}

/// Accepts connections until the server stops, then waits for those that are open.
pub(super) async fn accept(listener: TcpListener, site: Arc<Site>, stop: watch::Receiver<bool>) {
    let peers = Peers::default();
    each(listener, CONNECTIONS, stop.clone(), |stream, peer| {
        // one more than an address may have is closed without a word: it costs nothing
        let counted = peers.count(peer.ip())?;
        let (site, stop, deadlines) = (Arc::clone(&site), stop.clone(), site.deadlines);
        Some(async move {
            let service = service_fn(move |request| {
                let site = Arc::clone(&site);
                async move { Ok::<_, Infallible>(answer::to(&site, request).await) }
            });
            // how a connection ends is the peer's affair
            let _ = tokio::time::timeout(deadlines.lifetime, serve(stream, deadlines, service, stop)).await;
            drop(counted);
        })
    })
    .await;
}

/// Serves one connection, of any kind, with deadlines for all but its whole life, until it ends or the server stops.
pub(in crate::server) async fn serve<S, V, B>(
    stream: S,
    deadlines: Deadlines,
    service: V,
    mut stop: watch::Receiver<bool>,
) -> Result<(), hyper::Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
    V: Service<Request<Incoming>, Response = Response<B>>,
    V::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    B: Body + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let Deadlines { head, stalled, .. } = deadlines;
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head)
        .max_buf_size(HEAD_BYTES)
        .max_headers(FIELDS)
        .serve_connection(TokioIo::new(Patient::new(stream, stalled)), service);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        ended = connection.as_mut() => return ended,
        _ = stop.wait_for(|stops| *stops) => connection.as_mut().graceful_shutdown(),
    }
    connection.await
}

/// A stream that ends when nobody takes what is written.
struct Patient<S> {
    stream: S,
    patience: Duration,
    deadline: Pin<Box<Sleep>>,
    waits: Waits,
}

/// Whether something waits to be taken.
#[derive(PartialEq, Eq)]
enum Waits {
    No,
    Yes,
}

impl<S> Patient<S> {
    fn new(stream: S, patience: Duration) -> Self {
        Self { stream, patience, deadline: Box::pin(tokio::time::sleep(patience)), waits: Waits::No }
    }

    fn judge<T>(&mut self, written: Poll<io::Result<T>>, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.waits = Waits::No;
            return written;
        }
        if self.waits == Waits::No {
            self.deadline.as_mut().reset(Instant::now() + self.patience);
            self.waits = Waits::Yes;
        }
        ready!(self.deadline.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write(context, bytes);
        this.judge(written, context)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write_vectored(context, slices);
        this.judge(written, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = Pin::new(&mut this.stream).poll_flush(context);
        this.judge(flushed, context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let shut = Pin::new(&mut this.stream).poll_shutdown(context);
        this.judge(shut, context)
    }
}
