//! The mail server: SMTP, submission and POP3 for the users of its domains.
//!
//! Uses: proto, smime, ca, keys, pki, mime; sockets in `listen` and `drive` only.
//! Holds always: `250` after DATA means that the message is on disk; a password is never taken without TLS; nobody relays.

pub mod accounts;
pub mod config;
mod drive;
mod listen;
mod locks;
mod mail;
pub mod store;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

pub use config::Config;
pub use listen::Service;

use crate::server::accounts::Accounts;
use crate::server::mail::Mail;
use crate::server::store::SqliteStore;

/// A server that runs.
#[derive(Debug)]
pub struct Running {
    addresses: Vec<(Service, SocketAddr)>,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

/// How long open sessions may end in peace when the server stops.
const GRACE: Duration = Duration::from_secs(10);

/// Starts every listener of the configuration; the error says all that is wrong, a line each.
pub async fn start(config: Config) -> Result<Running, String> {
    let store = SqliteStore::open(&config.data).map_err(|error| error.to_string())?;
    let accounts = Accounts::new(Arc::new(store)).map_err(|error| error.to_string())?;
    let tls = listen::tls(&config.certificate, &config.key)?;
    let mail = Mail::new(&config.hostname, accounts);
    let (stop, stopping) = watch::channel(false);
    let mut bound = Vec::new();
    let mut wrong = Vec::new();
    for (service, address) in &config.listeners {
        match listen::bind(*address).await {
            Ok(listener) => bound.push((*service, listener)),
            Err(error) => wrong.push(error),
        }
    }
    if !wrong.is_empty() {
        return Err(wrong.join("\n"));
    }
    let mut running = Running { addresses: Vec::new(), stop, tasks: JoinSet::new() };
    for (service, listener) in bound {
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        running.addresses.push((service, address));
        let (hostname, mail, tls, stopping) = (config.hostname.clone(), mail.clone(), Arc::clone(&tls), stopping.clone());
        running.tasks.spawn(listen::accept(listener, service, hostname, config.max_message, mail, tls, stopping));
    }
    Ok(running)
}

impl Running {
    /// The addresses that are served, with their real ports.
    pub fn addresses(&self) -> &[(Service, SocketAddr)] {
        &self.addresses
    }

    /// Stops: no new connections, open ones are told, and what was acknowledged is on disk already.
    pub async fn stop(mut self) {
        // nobody listens any more only where every task ended already
        let _ = self.stop.send(true);
        let all = async { while self.tasks.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(GRACE, all).await;
    }
}
