//! A server is started, and runs until it is stopped.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use crate::server::accounts::Accounts;
use crate::server::admin::{Admin, Levers};
use crate::server::api::{self, Api};
use crate::server::config::{TlsReports, Transport};
use crate::server::doors::{self, Doors, Ready, Setting};
use crate::server::drive::{self, Memory};
use crate::server::filter::FileFilters;
use crate::server::listen::{self, Service, Sockets};
use crate::server::locks::Locks;
use crate::server::manage::{Manage, Overview};
use crate::server::outbound::Outbound;
use crate::server::pickup::{Drop, Pickup};
use crate::server::places::Places;
use crate::server::policy::{self, Own};
use crate::server::privileges::Standing;
use crate::server::queue::Queue;
use crate::server::reload::{self, Current, Lasting, Reloaded, Reloader, Source};
use crate::server::store::{SqliteStore, Store};
use crate::server::tlsrpt::Reports;
use crate::server::trace::Tracer;
use crate::server::turns::Turns;
use crate::server::{Config, spool};

/// A server that runs.
#[derive(Debug)]
pub struct Running {
    addresses: Vec<(Service, SocketAddr)>,
    api: Option<SocketAddr>,
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
            places: Places::of_this_process(),
            memory: Memory::default(),
            own: Own::default(),
            handshakes: Turns::beside_others(),
        };
        lasting.own.set(reload::signer(&config)?);
        let common = lasting.shared(&config)?;
        let accounts = common.mail.accounts().clone();
        let drop = config.drop.as_ref().map(Drop::open).transpose()?;
        let outbound =
            Outbound::new(&config.hostname, &config.delivery, Arc::clone(accounts.store()), tracer.clone())?.dropping(drop);
        let told = (tracer.clone(), Arc::clone(&wake));
        let queue = Queue::new(&config.hostname, accounts.clone(), outbound, &config.delivery, told.clone());
        let queue = queue.signing(lasting.own.clone());
        let overview = Overview::new(accounts.clone(), tracer.clone(), &config.data, drive::now());
        overview.stands(&standing);
        let reports = Reports::new(&config.hostname, accounts.clone(), queue.outbound(), told, lasting.own.clone());
        let admin = Admin::bind(&config.data, Arc::clone(&overview), tracer.clone(), (queue.clone(), reports.clone()))?;
        // the socket is ours: no other server has messages coming in
        spool::clean(&accounts.store().spool()).map_err(|error| format!("the spool cannot be cleaned – {error}"))?;
        sweep(Arc::clone(accounts.store()), tracer.clone());
        let mut picking = Vec::new();
        let pickup = match &config.pickup {
            Some(folder) => {
                let current = Current::new(Setting::of_pickup(&config)?.shared(&config, &common, None)?);
                picking.push((doors::PICKUP.to_owned(), current.clone()));
                overview.picks_up(folder);
                Some(Pickup::open(folder, current, tracer.clone())?)
            }
            None => None,
        };
        let (stop, stopping) = watch::channel(false);
        let (mut servers, mut wrong) = (Vec::new(), Vec::new());
        for setting in Setting::all(&config)? {
            let mut bound = Vec::new();
            for (service, address) in setting.listeners() {
                match sockets.take(*service, *address) {
                    Ok(listener) => bound.push((*service, listener)),
                    Err(error) => wrong.push(error),
                }
            }
            let current = Current::new(setting.shared(&config, &common, None)?);
            servers.push(Ready { name: setting.name, current, listeners: bound });
        }
        let api_socket = config.api.as_ref().map(|api| listen::open(api.listen)).transpose();
        let api_socket = api_socket.unwrap_or_else(|error| {
            wrong.push(error);
            None
        });
        if !wrong.is_empty() {
            return Err(wrong.join("\n"));
        }
        #[cfg(feature = "acme")]
        let challenges = match &config.acme {
            Some(acme) => Some((acme.clone(), config.data.clone(), sockets.take_challenges(acme.listen)?)),
            None => None,
        };
        let currents: Vec<(String, Current)> =
            servers.iter().map(|server| (server.name.clone(), server.current.clone())).collect();
        let doors = Doors::open(servers, &overview)?;
        let addresses = doors.addresses();
        addresses.iter().for_each(|(service, address)| overview.serves(service.name(), *address));
        let reloader = Reloader::new(source, lasting, ([currents.clone(), picking].concat(), queue.clone()), config.clone());
        let levers = Levers { reloader: Arc::clone(&reloader), doors: Arc::clone(&doors) };
        let (api, tasks) = (None, JoinSet::new());
        let mut running = Running { addresses, api, tracer: tracer.clone(), reloader: Arc::clone(&reloader), stop, tasks };
        if let (Some(listener), Some(settings)) = (api_socket, &config.api) {
            let address = listener.local_addr().map_err(|error| error.to_string())?;
            running.api = Some(address);
            overview.serves("api", address);
            let main = currents.first().map(|(_, current)| current.clone());
            let tls = main.filter(|_| settings.transport == Transport::Tls);
            let (manage, told) = (Manage::new(accounts.clone(), &config.data), (tracer.clone(), queue.clone(), levers.clone()));
            let api = Api::new(manage, Arc::clone(&overview), told, Arc::new(drive::now), stopping.clone());
            running.tasks.spawn(overview.vital(api::accept(api::Door { listener, tls }, api, stopping.clone())));
        }
        #[cfg(feature = "acme")]
        if let Some((acme, data, listener)) = challenges {
            let (reloader, tracer) = (Arc::clone(&reloader), tracer.clone());
            running.tasks.spawn(crate::server::acme::Keeper { acme, data, reloader, tracer }.run(listener, stopping.clone()));
        }
        running.tasks.spawn(overview.vital(Arc::clone(&doors).run(stopping.clone())));
        running.tasks.spawn(overview.vital(queue.run(stopping.clone())));
        if config.delivery.tls_reports == TlsReports::On {
            running.tasks.spawn(overview.vital(reports.run(stopping.clone())));
        }
        if let Some(pickup) = pickup {
            running.tasks.spawn(overview.vital(pickup.run(stopping.clone())));
        }
        for (_, current) in currents {
            running.tasks.spawn(policy::keep(current, tracer.clone(), stopping.clone()));
        }
        running.tasks.spawn(Arc::clone(&reloader).watch(stopping.clone()));
        running.tasks.spawn(admin.run(levers, stopping));
        Ok(running)
    }
}

impl Running {
    /// The addresses that are served, with their real ports.
    pub fn addresses(&self) -> &[(Service, SocketAddr)] {
        &self.addresses
    }

    /// Where the admin API is served, where it is.
    pub fn api(&self) -> Option<SocketAddr> {
        self.api
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
