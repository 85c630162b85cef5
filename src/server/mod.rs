//! The mail server: SMTP, submission and POP3 for the users of its domains, and delivery to other servers.
//!
//! Uses: proto, smime, ca, keys, pki, mime; sieve; sockets in `listen`, `drive`, `outbound`, `scan` and `admin` only.
//! Holds always: `250` after DATA means that the message is on disk; a password is never taken without TLS; mail for others is
//! taken from users alone.

pub mod accounts;
#[cfg(feature = "acme")]
mod acme;
pub mod addressing;
pub mod admin;
pub mod config;
pub mod doctor;
mod drive;
pub mod filter;
mod head;
mod listen;
mod locks;
mod mail;
mod mailbox;
mod outbound;
mod peers;
pub mod privileges;
mod queue;
pub mod reload;
pub mod sandbox;
pub mod scan;
mod spool;
pub mod store;
pub mod trace;
pub mod web;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

pub use config::Config;
pub use listen::{Service, Sockets};
pub use privileges::{Standing, prepare};
pub use reload::{Reloaded, Source};

use crate::server::accounts::Accounts;
use crate::server::admin::{Admin, Operating};
use crate::server::drive::Memory;
use crate::server::filter::FileFilters;
use crate::server::locks::Locks;
use crate::server::outbound::Outbound;
use crate::server::peers::Peers;
use crate::server::queue::Queue;
use crate::server::reload::{Current, Lasting, Reloader};
use crate::server::store::SqliteStore;
use crate::server::trace::Tracer;

/// A server that runs.
#[derive(Debug)]
pub struct Running {
    addresses: Vec<(Service, SocketAddr)>,
    tracer: Tracer,
    reloader: Arc<Reloader>,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

/// How long open sessions may end in peace when the server stops.
const GRACE: Duration = Duration::from_secs(10);

/// A server before it runs.
#[derive(Debug)]
pub struct Start {
    config: Config,
    sockets: Sockets,
    source: Option<Source>,
    standing: Standing,
}

/// Starts every listener of the configuration; the error says all that is wrong, a line each.
pub async fn start(config: Config) -> Result<Running, String> {
    Start::new(config).run().await
}

impl Start {
    /// A server of this configuration.
    pub fn new(config: Config) -> Self {
        Self { config, sockets: Sockets::default(), source: None, standing: Standing::default() }
    }

    /// With sockets that are bound already.
    pub fn sockets(mut self, sockets: Sockets) -> Self {
        self.sockets = sockets;
        self
    }

    /// With a place where the configuration is read again.
    pub fn source(mut self, source: Source) -> Self {
        self.source = Some(source);
        self
    }

    /// With what it tells of its rights.
    pub fn standing(mut self, standing: Standing) -> Self {
        self.standing = standing;
        self
    }

    /// Starts every listener; the error says all that is wrong, a line each.
    pub async fn run(self) -> Result<Running, String> {
        let Self { config, mut sockets, source, standing } = self;
        let store = SqliteStore::open(&config.data).map_err(|error| error.to_string())?;
        let accounts = Accounts::new(Arc::new(store)).map_err(|error| error.to_string())?.with_secret_of(&config.data)?;
        let (tracer, wake) = (Tracer::default(), Arc::new(Notify::new()));
        let lasting = Lasting {
            accounts,
            locks: Locks::new(Duration::from_secs(config.login_delay)),
            wake: Arc::clone(&wake),
            filters: Arc::new(FileFilters::new(&config.data)),
            tracer: tracer.clone(),
            peers: Peers::default(),
            memory: Memory::default(),
        };
        let shared = lasting.shared(&config)?;
        let accounts = shared.mail.accounts().clone();
        let outbound = Outbound::new(&config.hostname, &config.delivery, Arc::clone(accounts.store()), tracer.clone())?;
        let queue = Queue::new(&config.hostname, accounts.clone(), outbound, &config.delivery, (tracer.clone(), wake));
        let admin = Admin::bind(&config.data, accounts.clone(), tracer.clone(), queue.clone())?;
        // the socket is ours: no other server has messages coming in
        spool::clean(&accounts.store().spool()).map_err(|error| format!("the spool cannot be cleaned – {error}"))?;
        let (stop, stopping) = watch::channel(false);
        let (mut bound, mut wrong) = (Vec::new(), Vec::new());
        for (service, address) in config.listens() {
            match sockets.take(service, address) {
                Ok(listener) => bound.push((service, listener)),
                Err(error) => wrong.push(error),
            }
        }
        if !wrong.is_empty() {
            return Err(wrong.join("\n"));
        }
        #[cfg(feature = "acme")]
        let challenges = match &config.acme {
            Some(acme) => Some((acme.clone(), config.data.clone(), sockets.take_challenges(acme.listen)?)),
            None => None,
        };
        let current = Current::new(shared);
        let reloader = Reloader::new(source, lasting, (current.clone(), queue.clone()), config);
        let (addresses, tasks) = (Vec::new(), JoinSet::new());
        let mut running = Running { addresses, tracer, reloader: Arc::clone(&reloader), stop, tasks };
        for (service, listener) in bound {
            let address = listener.local_addr().map_err(|error| error.to_string())?;
            running.addresses.push((service, address));
            running.tasks.spawn(listen::accept(listener, service, current.clone(), stopping.clone()));
        }
        #[cfg(feature = "acme")]
        if let Some((acme, data, listener)) = challenges {
            let (reloader, tracer) = (Arc::clone(&reloader), running.tracer.clone());
            running.tasks.spawn(acme::Keeper { acme, data, reloader, tracer }.run(listener, stopping.clone()));
        }
        running.tasks.spawn(queue.run(stopping.clone()));
        running.tasks.spawn(Arc::clone(&reloader).watch(stopping.clone()));
        running.tasks.spawn(admin.run(Operating { addresses: running.addresses.clone(), standing, reloader }, stopping));
        Ok(running)
    }
}

impl Running {
    /// The addresses that are served, with their real ports.
    pub fn addresses(&self) -> &[(Service, SocketAddr)] {
        &self.addresses
    }

    /// What is said, and what the server does.
    pub fn tracer(&self) -> &Tracer {
        &self.tracer
    }

    /// Reads the configuration again; the error says why the old one stays.
    pub async fn reload(&self) -> Result<Reloaded, String> {
        self.reloader.reload().await
    }

    /// Stops: no new connections, open ones are told, and what was acknowledged is on disk already.
    pub async fn stop(mut self) {
        // nobody listens any more only where every task ended already
        let _ = self.stop.send(true);
        let all = async { while self.tasks.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(GRACE, all).await;
    }
}
