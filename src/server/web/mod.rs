//! HTTP/1.1: what an authority publishes, and its OCSP responder (RFC 5280 4.2.1.13, RFC 6960 A, RFC 5019 5 and 6).
//!
//! Uses: ca (what is published, the responder). Never: a path that a client names, a key of the authority.
//! Holds always: a name that is asked for is looked up in a table of names, and no other file is opened; a connection has so many bytes
//! and so much time for each thing that it does.

mod answer;
pub(in crate::server) mod connection;
mod files;
mod headers;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

pub use connection::Deadlines;

use crate::ca::responder::Responder;
use crate::server::listen;

/// How long open connections may end in peace when the server stops.
const GRACE: Duration = Duration::from_secs(5);

/// What is served.
#[derive(Debug)]
pub struct Site {
    files: files::Files,
    responder: Responder,
    base: String,
    deadlines: Deadlines,
    notes: Option<mpsc::Sender<String>>,
}

impl Site {
    /// The files that lie in `public` (`ca::publish`) and a responder. `base` is the address that certificates name; its path, where it
    /// has one, stands before every name.
    pub fn new(public: &std::path::Path, responder: Responder, base: &str) -> Self {
        let path = base.split_once("://").and_then(|(_, rest)| rest.split_once('/')).map_or("", |(_, path)| path);
        let path = path.trim_matches('/');
        let base = if path.is_empty() { String::new() } else { format!("/{path}") };
        Self { files: files::Files::new(public), responder, base, deadlines: Deadlines::default(), notes: None }
    }

    /// How long clients may take.
    #[must_use]
    pub fn deadlines(mut self, deadlines: Deadlines) -> Self {
        self.deadlines = deadlines;
        self
    }

    /// Where those who keep the server are told what goes wrong.
    #[must_use]
    pub fn notes(mut self, notes: mpsc::Sender<String>) -> Self {
        self.notes = Some(notes);
        self
    }

    fn note(&self, text: String) {
        if let Some(notes) = &self.notes {
            // who does not listen, or not fast enough, is not waited for
            let _ = notes.try_send(text);
        }
    }
}

/// A server that runs.
#[derive(Debug)]
pub struct Running {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    accepts: JoinHandle<()>,
}

/// Starts to serve; the error says what to do where the address cannot be used.
pub async fn start(address: SocketAddr, site: Site) -> Result<Running, String> {
    let listener = listen::open(address)?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    let (stop, stopping) = watch::channel(false);
    let accepts = tokio::spawn(connection::accept(listener, Arc::new(site), stopping));
    Ok(Running { address, stop, accepts })
}

impl Running {
    /// Where it is served, with the real port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops: no new connections; requests that are being answered are answered.
    pub async fn stop(self) {
        // nobody listens any more only where it ended already
        let _ = self.stop.send(true);
        let _ = tokio::time::timeout(GRACE, self.accepts).await;
    }
}
