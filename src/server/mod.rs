//! The mail server: SMTP, submission and POP3 for the users of its domains, and delivery to other servers.
//!
//! Uses: proto, smime, ca, keys, pki, mime; sieve; sockets in `listen`, `drive`, `outbound`, `scan` and `admin` only.
//! Holds always: `250` after DATA means that the message is on disk; a password is never taken without TLS; mail for others is
//! taken from users alone.

pub mod accounts;
pub mod addressing;
pub mod admin;
pub mod config;
mod drive;
pub mod filter;
mod head;
mod listen;
mod locks;
mod mail;
mod mailbox;
mod outbound;
mod peers;
mod places;
mod queue;
pub mod scan;
mod space;
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
pub use listen::Service;

use crate::server::accounts::Accounts;
use crate::server::accounts::certificate::ClientAuthority;
use crate::server::admin::Admin;
use crate::server::drive::Memory;
use crate::server::filter::FileFilters;
use crate::server::listen::{ServerTls, Shared};
use crate::server::locks::Locks;
use crate::server::mail::Mail;
use crate::server::outbound::Outbound;
use crate::server::peers::Peers;
use crate::server::places::Places;
use crate::server::queue::Queue;
use crate::server::store::{SqliteStore, Store};
use crate::server::trace::Tracer;

/// A server that runs.
#[derive(Debug)]
pub struct Running {
    addresses: Vec<(Service, SocketAddr)>,
    tracer: Tracer,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

/// How long open sessions may end in peace when the server stops.
const GRACE: Duration = Duration::from_secs(10);

/// Starts every listener of the configuration; the error says all that is wrong, a line each.
pub async fn start(config: Config) -> Result<Running, String> {
    let store = SqliteStore::open(&config.data).map_err(|error| error.to_string())?;
    let accounts = Accounts::new(Arc::new(store)).map_err(|error| error.to_string())?;
    let accounts = accounts.with(&config.accounts)?.with_secret_of(&config.data)?;
    let kept = accounts.kept().map_err(|error| error.to_string())?;
    let authority = config.clients.as_ref().map(|clients| ClientAuthority::open(&clients.authority, clients.lists.as_deref()));
    let tls = ServerTls::open(&config.certificate, &config.key, authority.transpose()?)?;
    let (tracer, wake) = (Tracer::default(), Arc::new(Notify::new()));
    let outbound = Outbound::new(&config.hostname, &config.delivery, Arc::clone(accounts.store()), tracer.clone())?;
    let told = (tracer.clone(), Arc::clone(&wake));
    let queue = Queue::new(&config.hostname, accounts.clone(), outbound, &config.delivery, told);
    let admin = Admin::bind(&config.data, accounts.clone(), tracer.clone(), queue.clone())?;
    // the socket is ours: no other server has messages coming in
    spool::clean(&accounts.store().spool()).map_err(|error| format!("the spool cannot be cleaned – {error}"))?;
    sweep(Arc::clone(accounts.store()), tracer.clone());
    let locks = Locks::new(Duration::from_secs(config.login_delay));
    let filters = Arc::new(FileFilters::new(&config.data));
    let mail = Mail::new(&config.hostname, accounts, locks, wake);
    let mail = mail.filters(filters).scanners(config.scanners).tracer(tracer.clone());
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
    let places = Places::of_this_process();
    let mut running = Running { addresses: Vec::new(), tracer: tracer.clone(), stop, tasks: JoinSet::new() };
    let (max_message, login_delay) = (config.max_message, config.login_delay);
    let shared = Shared {
        hostname: config.hostname,
        max_message,
        mail,
        tls,
        login_delay,
        kept,
        tracer,
        peers: Peers::default(),
        places,
        memory: Memory::default(),
    };
    for (service, listener) in bound {
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        running.addresses.push((service, address));
        running.tasks.spawn(listen::accept(listener, service, shared.clone(), stopping.clone()));
    }
    running.tasks.spawn(queue.run(stopping.clone()));
    running.tasks.spawn(admin.run(running.addresses.clone(), stopping));
    Ok(running)
}

/// Removes what a server that was killed left, while this one serves already: looking at a million files takes a while. The thread is not waited
/// for when the server stops.
fn sweep(store: Arc<dyn Store>, tracer: Tracer) {
    let run = move || match store.sweep() {
        Ok(0) => {}
        Ok(count) => tracer.note(drive::now(), &format!("{count} files of messages that were never acknowledged are removed")),
        Err(error) => tracer.note(drive::now(), &format!("leftovers cannot be removed – {error}")),
    };
    // a file that stays costs space and nothing else, and the next start looks again
    let _ = std::thread::Builder::new().name("sweep".to_owned()).spawn(run);
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

    /// Stops: no new connections, open ones are told, and what was acknowledged is on disk already.
    pub async fn stop(mut self) {
        // nobody listens any more only where every task ended already
        let _ = self.stop.send(true);
        let all = async { while self.tasks.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(GRACE, all).await;
    }
}
