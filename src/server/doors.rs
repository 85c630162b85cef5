//! The servers of one process: the main one and those beside it (`[[server]]`), each with addresses, rules and limits of its own, and each
//! started, stopped and paused alone.
//!
//! Uses: listen, policy (a gate for each). Never: the store. What is done here lasts until the process ends: the next start opens all of them.

use std::borrow::Borrow;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::server::Service;
use crate::server::clock::{shifted, steady};
use crate::server::config::{Bounds, Config};
use crate::server::listen::{self, Shared, Socket};
use crate::server::manage::Overview;
use crate::server::policy::{self, Gate, Until, Whom};
use crate::server::reload::Current;
use crate::time::Timestamp;

/// The name of the server that the configuration as a whole describes.
pub const MAIN: &str = "main";

/// Stands among the names of servers for the pickup folder; none of them has spaces.
pub(in crate::server) const PICKUP: &str = "the pickup folder";

/// Seconds of the longest ban by hand that ends by itself: ten years.
pub const LONGEST_BAN: u64 = 3650 * 86_400;

/// What is done to one server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// It listens, and lets everybody in again.
    Start,
    /// It listens no more; open sessions are told.
    Stop,
    /// Who comes is told to try again later (421); open sessions go on.
    Pause,
}

impl Order {
    const ALL: [(Self, &'static str, &'static str); 3] =
        [(Self::Start, "start", "runs"), (Self::Stop, "stop", "is stopped"), (Self::Pause, "pause", "pauses")];

    /// Its word on the command line.
    pub fn word(self) -> &'static str {
        Self::ALL.iter().find(|(order, ..)| *order == self).map_or("", |(_, word, _)| word)
    }

    /// What a server does after it.
    pub(in crate::server) fn done(self) -> &'static str {
        Self::ALL.iter().find(|(order, ..)| *order == self).map_or("", |(.., done)| done)
    }

    pub(in crate::server) fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known, _)| *known == word).map(|(order, ..)| *order)
    }
}

/// Why a server is not started, stopped or paused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::server) enum NotDone {
    /// There is none of this name.
    Unknown(String),
    /// Not as it stands.
    NotNow(String),
}

impl std::fmt::Display for NotDone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (Self::Unknown(why) | Self::NotNow(why)) = self;
        f.write_str(why)
    }
}

/// How one of the servers of a configuration appears to its peers.
#[derive(Debug, Clone)]
pub(in crate::server) struct Setting {
    pub(in crate::server) name: String,
    hostname: String,
    banner: Option<String>,
    bounds: Bounds,
    max_message: u64,
    policy: policy::Settings,
    listeners: Vec<(Service, SocketAddr)>,
}

impl Setting {
    /// All of a configuration, the main one first.
    pub(in crate::server) fn all(config: &Config) -> Result<Vec<Self>, String> {
        // mail for these domains is taken from everybody, as for those with mailboxes
        let dropped = config.drop.iter().flat_map(|drop| &drop.domains).map(|domain| policy::Name::parse(domain));
        let dropped = dropped.collect::<Result<Vec<_>, _>>()?;
        let policy = |settings: &policy::Settings| {
            let mut settings = settings.clone();
            settings.relay.domains.extend(dropped.iter().cloned());
            if !config.scanners.is_empty() {
                settings.names = policy::Names::All;
            }
            settings
        };
        let main = Self {
            name: MAIN.to_owned(),
            hostname: config.hostname.clone(),
            banner: config.banner.clone(),
            bounds: config.bounds,
            max_message: config.max_message,
            policy: policy(&config.policy),
            listeners: config.listeners.clone(),
        };
        let others = config.servers.iter().map(|server| Self {
            name: server.name.clone(),
            hostname: server.hostname.clone().unwrap_or_else(|| config.hostname.clone()),
            banner: server.banner.clone().or_else(|| config.banner.clone()),
            bounds: server.bounds.or(config.bounds),
            max_message: server.max_message.unwrap_or(config.max_message),
            policy: policy(&server.policy),
            listeners: server.listeners.clone(),
        });
        Ok(std::iter::once(main).chain(others).collect())
    }

    /// That of the pickup folder, whose mail may go everywhere: the gate trusts it, as it trusts the hosts of a listed network.
    pub(in crate::server) fn of_pickup(config: &Config) -> Result<Self, String> {
        let networks = vec![policy::Network::parse("127.0.0.1/32")?];
        let relay = policy::Relay { networks, domains: Vec::new() };
        Ok(Self {
            name: PICKUP.to_owned(),
            hostname: config.hostname.clone(),
            banner: None,
            bounds: config.bounds,
            max_message: config.max_message,
            policy: policy::Settings { relay, dkim: config.policy.dkim.clone(), ..policy::Settings::default() },
            listeners: Vec::new(),
        })
    }

    /// Where it listens, as the configuration says.
    pub(in crate::server) fn listeners(&self) -> &[(Service, SocketAddr)] {
        &self.listeners
    }

    /// What its connections get: all of what is common, behind a gate of its own, which remembers what the one before it did; those that are open count on.
    pub(in crate::server) fn shared(&self, config: &Config, common: &Shared, before: Option<&Shared>) -> Result<Shared, String> {
        let resolver = config.delivery.resolver;
        let gate = match before {
            Some(before) => before.mail.gate().renewed(&config.hostname, self.policy.clone(), resolver)?,
            None => {
                let file = if self.name == MAIN { "greylist".to_owned() } else { format!("greylist-{}", self.name) };
                let mut salt = [0; 8];
                crate::keys::files::random_name(&mut salt);
                let (kept, salt) = (config.data.join(file), u64::from_le_bytes(salt));
                Gate::new(&config.hostname, self.policy.clone(), resolver, &kept, salt)?
            }
        };
        Ok(Shared {
            hostname: self.hostname.clone(),
            banner: self.banner.clone(),
            bounds: self.bounds,
            peers: before.map(|before| before.peers.clone()).unwrap_or_default(),
            max_message: self.max_message,
            mail: common.mail.clone().behind(gate),
            ..common.clone()
        })
    }
}

/// A server whose sockets are bound.
pub(in crate::server) struct Ready {
    pub(in crate::server) name: String,
    pub(in crate::server) current: Current,
    pub(in crate::server) listeners: Vec<(Service, Socket)>,
}

/// All servers of the process.
#[derive(Debug)]
pub(in crate::server) struct Doors(Vec<Door>);

#[derive(Debug)]
struct Door {
    name: String,
    current: Current,
    /// Where it listens, with real ports: it comes back where it was.
    addresses: Vec<(Service, SocketAddr)>,
    is_paused: Arc<AtomicBool>,
    /// While it listens.
    open: Mutex<Option<Open>>,
    /// Is to know that its listeners live.
    overview: Arc<Overview>,
}

#[derive(Debug)]
struct Open {
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
    /// Ends when nobody listens any more.
    listens: mpsc::Receiver<Infallible>,
}

/// A socket on which somebody listens, and what says so while it is open: they are dropped in this order.
struct Listening {
    socket: Socket,
    _says: mpsc::Sender<Infallible>,
}

impl Borrow<Socket> for Listening {
    fn borrow(&self) -> &Socket {
        &self.socket
    }
}

impl Doors {
    /// Opens every server; each comes with its sockets, which are bound.
    pub(in crate::server) fn open(servers: Vec<Ready>, overview: &Arc<Overview>) -> Result<Arc<Self>, String> {
        let mut doors = Vec::new();
        for Ready { name, current, listeners } in servers {
            let real = |(service, listener): &(Service, Socket)| listener.local_addr().map(|address| (*service, address));
            let addresses: Result<Vec<_>, _> = listeners.iter().map(real).collect();
            let addresses = addresses.map_err(|error| error.to_string())?;
            let (is_paused, open, overview) = (Arc::default(), Mutex::default(), Arc::clone(overview));
            let door = Door { name, current, addresses, is_paused, open, overview };
            door.serve(listeners);
            doors.push(door);
        }
        Ok(Arc::new(Self(doors)))
    }

    /// Where all of them listen, with real ports.
    pub(in crate::server) fn addresses(&self) -> Vec<(Service, SocketAddr)> {
        self.0.iter().flat_map(|door| door.addresses.clone()).collect()
    }

    /// Waits until the process stops, then stops every server and waits for its sessions.
    pub(in crate::server) async fn run(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        // an error means that nobody can say it any more
        let _ = stop.wait_for(|stops| *stops).await;
        let mut open: Vec<Open> = self.0.iter().filter_map(|door| door.lock().take()).collect();
        for open in &open {
            // nobody hears it where all have ended
            let _ = open.stop.send(true);
        }
        for open in &mut open {
            while open.tasks.join_next().await.is_some() {}
        }
    }

    /// Starts, stops or pauses one; the error says why not. Not for a thread on which tasks run: a stop waits for them.
    pub(in crate::server) fn order(&self, order: Order, name: &str) -> Result<(), NotDone> {
        let door = self.0.iter().find(|door| door.name == name).ok_or_else(|| {
            let names: Vec<&str> = self.0.iter().map(|door| door.name.as_str()).collect();
            NotDone::Unknown(format!("there is no server {name} – there are {}", names.join(", ")))
        })?;
        match order {
            Order::Start => door.start().map_err(NotDone::NotNow),
            Order::Stop => {
                door.stop();
                Ok(())
            }
            Order::Pause if door.lock().is_none() => Err(NotDone::NotNow(format!("{name} is stopped – start it first"))),
            Order::Pause => {
                door.is_paused.store(true, Ordering::Relaxed);
                Ok(())
            }
        }
    }

    /// A line for each: name, state, addresses.
    pub(in crate::server) fn list(&self) -> String {
        let line = |door: &Door| {
            let at: Vec<String> = door.addresses.iter().map(|(service, at)| format!("{} {at}", service.name())).collect();
            format!("{}\t{}\t{}\n", door.name, door.state(), at.join(", "))
        };
        self.0.iter().map(line).collect()
    }

    /// Who is banned anywhere, until when, and whether for failed logins or by hand.
    fn bans(&self, now: Timestamp) -> Vec<(String, Until, &'static str)> {
        let by = steady();
        let gates = || self.0.iter().map(|door| door.current.get().mail.gate().clone());
        let mut failed: Vec<_> = gates().flat_map(|gate| gate.bans(by)).collect();
        failed.sort_by_key(|(address, until)| (*address, std::cmp::Reverse(until.unix())));
        failed.dedup_by_key(|(address, _)| *address);
        let mut by_hand: Vec<_> = gates().flat_map(|gate| gate.bans_by_hand(by)).collect();
        by_hand.sort_by(|(one, _), (other, _)| one.cmp(other));
        by_hand.dedup_by(|(one, _), (other, _)| one == other);
        let failed = failed.into_iter().map(|(address, until)| (address.to_string(), Until::At(until), "logins"));
        let all = failed.chain(by_hand.into_iter().map(|(whom, until)| (whom, until, "hand")));
        let shown = |until| if let Until::At(end) = until { Until::At(shifted(end, by, now)) } else { until };
        all.map(|(whom, until, why)| (whom, shown(until), why)).collect()
    }

    /// A line for each ban: who, until when (`-` until it is lifted), and `logins` or `hand`.
    pub(in crate::server) fn list_bans(&self, now: Timestamp) -> String {
        let until = |until| if let Until::At(end) = until { format!("{end}") } else { "-".to_owned() };
        self.bans(now).into_iter().map(|(whom, end, why)| format!("{whom}\t{}\t{why}\n", until(end))).collect()
    }

    /// Bans somebody everywhere, for so many seconds or until it is lifted; the error says why not.
    pub(in crate::server) fn ban(&self, whom: &Whom, seconds: Option<u64>) -> Result<(), String> {
        let now = steady();
        let end = |seconds| now.plus_seconds(i64::try_from(seconds).unwrap_or(i64::MAX));
        let until = seconds.map_or(Until::Lifted, |seconds| Until::At(end(seconds)));
        self.0.iter().try_for_each(|door| door.current.get().mail.gate().ban(whom, until, now))
    }

    /// Ends a ban everywhere; whether there was one.
    pub(in crate::server) fn lift_ban(&self, whom: &Whom) -> bool {
        let now = steady();
        self.0.iter().filter(|door| door.current.get().mail.gate().lift_ban(whom, now)).count() > 0
    }
}

impl Door {
    fn lock(&self) -> MutexGuard<'_, Option<Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self) -> &'static str {
        match (self.lock().is_some(), self.is_paused.load(Ordering::Relaxed)) {
            (false, _) => "stopped",
            (true, true) => "paused",
            (true, false) => "running",
        }
    }

    fn serve(&self, listeners: Vec<(Service, Socket)>) {
        let (stop, stopping) = watch::channel(false);
        let (says, listens) = mpsc::channel();
        let mut tasks = JoinSet::new();
        for (service, socket) in listeners {
            let how = (self.current.clone(), Arc::clone(&self.is_paused));
            let listening = Listening { socket, _says: says.clone() };
            tasks.spawn(self.overview.vital(listen::accept(listening, service, how, stopping.clone())));
        }
        *self.lock() = Some(Open { stop, tasks, listens });
    }

    fn start(&self) -> Result<(), String> {
        if self.lock().is_none() {
            let bound = self.addresses.iter().map(|(service, address)| Ok((*service, listen::open(*address)?)));
            self.serve(bound.collect::<Result<_, String>>()?);
        }
        self.is_paused.store(false, Ordering::Relaxed);
        Ok(())
    }

    /// Its sessions are told, and end in their own time; nobody listens any more when this returns, so that it can be started anew at once.
    fn stop(&self) {
        if let Some(Open { stop, mut tasks, listens }) = self.lock().take() {
            self.overview.dismiss(tasks.len());
            // nobody hears it where all have ended
            let _ = stop.send(true);
            let _ = listens.recv();
            tokio::spawn(async move { while tasks.join_next().await.is_some() {} });
        }
    }
}
