//! The mail server: SMTP, submission and POP3 for the users of its domains, and delivery to other servers.
//!
//! Uses: proto, smime, ca, keys, pki, mime; sieve; sockets in `listen`, `drive`, `outbound`, `scan`, `web`, `api` and `admin` only.
//! Holds always: `250` after DATA means that the message is on disk; a password is never taken without TLS; mail for others is
//! taken from users alone.

pub mod accounts;
pub mod addressing;
pub mod admin;
mod api;
pub mod config;
mod drive;
pub mod filter;
mod forward;
mod head;
mod listen;
mod locks;
pub mod log;
mod mail;
mod mailbox;
pub mod manage;
pub mod metrics;
mod outbound;
mod peers;
pub mod pickup;
mod places;
pub mod policy;
mod queue;
pub mod scan;
mod space;
mod spool;
pub mod store;
mod tlsrpt;
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
use crate::server::api::Api;
use crate::server::config::{TlsReports, Transport};
use crate::server::drive::Memory;
use crate::server::filter::FileFilters;
use crate::server::listen::{ServerTls, Shared};
use crate::server::locks::Locks;
use crate::server::mail::Mail;
use crate::server::manage::{Manage, Overview};
use crate::server::outbound::Outbound;
use crate::server::peers::Peers;
use crate::server::pickup::{Drop, Pickup};
use crate::server::places::Places;
use crate::server::policy::Gate;
use crate::server::queue::Queue;
use crate::server::store::{SqliteStore, Store};
use crate::server::tlsrpt::Reports;
use crate::server::trace::Tracer;

/// A server that runs.
#[derive(Debug)]
pub struct Running {
    addresses: Vec<(Service, SocketAddr)>,
    api: Option<SocketAddr>,
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
    let accounts = accounts.with(&config.accounts)?.with_secret_of(&config.data)?.with_srs(config.delivery.srs);
    let kept = accounts.kept().map_err(|error| error.to_string())?;
    let authority = config.clients.as_ref().map(|clients| ClientAuthority::open(&clients.authority, clients.lists.as_deref()));
    let tls = ServerTls::open(&config.certificate, &config.key, authority.transpose()?)?;
    let (tracer, wake) = (Tracer::default(), Arc::new(Notify::new()));
    let drop = config.drop.as_ref().map(Drop::open).transpose()?;
    let accounts = accounts.without(config.drop.as_ref().map(|drop| drop.domains.as_slice()).unwrap_or_default());
    let outbound =
        Outbound::new(&config.hostname, &config.delivery, Arc::clone(accounts.store()), tracer.clone())?.dropping(drop);
    let told = (tracer.clone(), Arc::clone(&wake));
    let queue = Queue::new(&config.hostname, accounts.clone(), outbound, &config.delivery, told);
    let overview = Overview::new(accounts.clone(), tracer.clone(), &config.data, drive::now());
    let told = (tracer.clone(), Arc::clone(&wake));
    let reports = Reports::new(&config.hostname, accounts.clone(), queue.outbound(), told);
    let admin = Admin::bind(&config.data, Arc::clone(&overview), tracer.clone(), (queue.clone(), reports.clone()))?;
    // the socket is ours: no other server has messages coming in
    spool::clean(&accounts.store().spool()).map_err(|error| format!("the spool cannot be cleaned – {error}"))?;
    sweep(Arc::clone(accounts.store()), tracer.clone());
    let doors = doors(&config)?;
    let locks = Locks::new(Duration::from_secs(config.login_delay));
    let filters = Arc::new(FileFilters::new(&config.data));
    let manage = Manage::new(accounts.clone(), &config.data);
    let mail = Mail::new(&config.hostname, accounts, locks, wake);
    let mail = mail.filters(filters).scanners(config.scanners.clone()).tracer(tracer.clone());
    let pickup = pickup(&config, &mail, &tracer)?;
    let (stop, stopping) = watch::channel(false);
    let mut bound = Vec::new();
    let mut wrong = Vec::new();
    for door in &doors {
        for (service, address) in &door.listeners {
            match listen::bind(*address).await {
                Ok(listener) => bound.push((*service, listener, door)),
                Err(error) => wrong.push(error),
            }
        }
    }
    let api_listener = match &config.api {
        Some(api) => listen::bind(api.listen).await.map(Some).unwrap_or_else(|error| {
            wrong.push(error);
            None
        }),
        None => None,
    };
    if !wrong.is_empty() {
        return Err(wrong.join("\n"));
    }
    let mut running = Running { addresses: Vec::new(), api: None, tracer: tracer.clone(), stop, tasks: JoinSet::new() };
    if let (Some(listener), Some(settings)) = (api_listener, &config.api) {
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        running.api = Some(address);
        overview.serves("api", address);
        let tls = (settings.transport == Transport::Tls).then(|| Arc::clone(&tls));
        let told = (tracer.clone(), queue.clone());
        let api = Api::new(manage, Arc::clone(&overview), told, Arc::new(drive::now), stopping.clone());
        running.tasks.spawn(overview.vital(api::accept(api::Door { listener, tls }, api, stopping.clone())));
    }
    let places = Places::of_this_process();
    let (login_delay, peers, memory) = (config.login_delay, Peers::default(), Memory::default());
    for (service, listener, door) in bound {
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        running.addresses.push((service, address));
        let shared = Shared {
            hostname: door.hostname.clone(),
            max_message: door.max_message,
            mail: mail.clone().behind(door.gate.clone()),
            tls: Arc::clone(&tls),
            login_delay,
            kept,
            tracer: tracer.clone(),
            peers: peers.clone(),
            places: places.clone(),
            memory: memory.clone(),
        };
        overview.serves(service.name(), address);
        running.tasks.spawn(overview.vital(listen::accept(listener, service, shared, stopping.clone())));
    }
    running.tasks.spawn(overview.vital(queue.run(stopping.clone())));
    if config.delivery.tls_reports == TlsReports::On {
        running.tasks.spawn(overview.vital(reports.run(stopping.clone())));
    }
    if let Some(pickup) = pickup {
        running.tasks.spawn(overview.vital(pickup.run(stopping.clone())));
    }
    for door in doors {
        running.tasks.spawn(policy::keep(door.gate, tracer.clone(), stopping.clone()));
    }
    running.tasks.spawn(admin.run(stopping));
    Ok(running)
}

/// The pickup folder, whose mail may go everywhere: the gate trusts it, as it trusts the hosts of a listed network.
fn pickup(config: &Config, mail: &Mail, tracer: &Tracer) -> Result<Option<Pickup>, String> {
    let Some(folder) = &config.pickup else { return Ok(None) };
    let networks = vec![policy::Network::parse("127.0.0.1/32")?];
    let relay = policy::Relay { networks, domains: Vec::new() };
    let settings = policy::Settings { relay, dkim: config.policy.dkim.clone(), ..policy::Settings::default() };
    let gate = Gate::new(&config.hostname, settings, config.delivery.resolver, &config.data.join("greylist"), 0)?;
    Pickup::open(folder, mail.clone().behind(gate), config.max_message, tracer.clone()).map(Some)
}

/// A server, the main one or another, as its peers see it.
struct Door {
    hostname: String,
    max_message: u64,
    gate: Gate,
    listeners: Vec<(Service, SocketAddr)>,
}

/// The main server and the others, each with its addresses.
fn doors(config: &Config) -> Result<Vec<Door>, String> {
    // mail for these domains is taken from everybody, as for those with mailboxes
    let dropped = config.drop.iter().flat_map(|drop| &drop.domains).map(|domain| policy::Name::parse(domain));
    let dropped = dropped.collect::<Result<Vec<_>, _>>()?;
    let gate = |settings: &policy::Settings, file: &str| {
        let mut salt = [0; 8];
        crate::keys::files::random_name(&mut salt);
        let salt = u64::from_le_bytes(salt);
        let mut settings = settings.clone();
        settings.relay.domains.extend(dropped.iter().cloned());
        Gate::new(&config.hostname, settings, config.delivery.resolver, &config.data.join(file), salt)
    };
    let mut doors = vec![Door {
        hostname: config.hostname.clone(),
        max_message: config.max_message,
        gate: gate(&config.policy, "greylist")?,
        listeners: config.listeners.clone(),
    }];
    for server in &config.servers {
        doors.push(Door {
            hostname: server.hostname.clone().unwrap_or_else(|| config.hostname.clone()),
            max_message: server.max_message.unwrap_or(config.max_message),
            gate: gate(&server.policy, &format!("greylist-{}", server.name))?,
            listeners: server.listeners.clone(),
        });
    }
    Ok(doors)
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

    /// Where the admin API is served, with its real port.
    pub fn api(&self) -> Option<SocketAddr> {
        self.api
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
