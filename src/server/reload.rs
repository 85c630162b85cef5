//! What changes while the server runs: the configuration is read again, checked, and put in place as one.
//!
//! Holds always: where anything of the new one is bad, all of the old one stays; a connection has the settings of its first moment to its end.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};

use crate::crypto::algorithm::DigestAlgorithm;
use crate::crypto::digest;
use crate::server::accounts::Accounts;
use crate::server::accounts::certificate::ClientAuthority;
use crate::server::config::{Bounds, Config};
use crate::server::doors::Setting;
use crate::server::drive::{Memory, now};
use crate::server::filter::Filters;
use crate::server::held::Room;
use crate::server::listen::{ServerTls, Shared};
use crate::server::locks::Locks;
use crate::server::mail::Mail;
use crate::server::outbound::Outbound;
use crate::server::peers::Peers;
use crate::server::pickup::Drop;
use crate::server::places::Places;
use crate::server::policy::{Own, Signer};
use crate::server::queue::Queue;
use crate::server::trace::Tracer;
use crate::server::turns::Turns;

/// Where the configuration is read again; the error says all that is wrong with it.
#[derive(Clone)]
pub struct Source(Arc<dyn Fn() -> Result<Config, String> + Send + Sync>);

impl Source {
    /// Read by this.
    pub fn new(read: impl Fn() -> Result<Config, String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(read))
    }
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Source")
    }
}

/// What came of reading it again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reloaded {
    /// What is another for new connections.
    pub changed: Vec<String>,
    /// What would be another, and needs a restart.
    pub kept: Vec<String>,
}

/// What new connections get, and new files of the pickup folder.
#[derive(Debug, Clone)]
pub(in crate::server) struct Current(Arc<watch::Sender<Shared>>);

impl Current {
    pub(in crate::server) fn new(shared: Shared) -> Self {
        Self(Arc::new(watch::Sender::new(shared)))
    }

    /// What holds at this moment.
    pub(in crate::server) fn get(&self) -> Shared {
        self.0.borrow().clone()
    }

    /// Is told when it changes.
    pub(in crate::server) fn changes(&self) -> watch::Receiver<Shared> {
        self.0.subscribe()
    }

    fn set(&self, shared: Shared) {
        self.0.send_replace(shared);
    }
}

/// What stays as it is, whatever the configuration says.
#[derive(Clone)]
pub(in crate::server) struct Lasting {
    /// Without the domains whose passwords are kept elsewhere.
    pub(in crate::server) accounts: Accounts,
    pub(in crate::server) locks: Locks,
    pub(in crate::server) wake: Arc<Notify>,
    pub(in crate::server) filters: Arc<dyn Filters>,
    pub(in crate::server) tracer: Tracer,
    pub(in crate::server) places: Places,
    pub(in crate::server) memory: Memory,
    /// The keys for what the server writes itself.
    pub(in crate::server) own: Own,
    pub(in crate::server) handshakes: Turns,
}

impl Lasting {
    /// What connections get under a configuration, whichever of its servers they came to.
    pub(in crate::server) fn shared(&self, config: &Config) -> Result<Shared, String> {
        let accounts = self.accounts.clone().with(&config.accounts)?.with_srs(config.delivery.srs);
        let accounts = accounts.without(config.drop.as_ref().map(|drop| drop.domains.as_slice()).unwrap_or_default());
        let kept = accounts.kept().map_err(|error| error.to_string())?;
        let authority =
            config.clients.as_ref().map(|clients| ClientAuthority::open(&clients.authority, clients.lists.as_deref()));
        let tls = ServerTls::open(&config.certificate, &config.key, authority.transpose()?)?;
        let tls = Arc::new(tls.binding(config.channel_binding));
        let locks = self.locks.delayed(Duration::from_secs(config.login_delay));
        let mail = Mail::new(&config.hostname, accounts, locks, Arc::clone(&self.wake));
        let mail = mail.filters(Arc::clone(&self.filters)).scanners(config.scanners.clone()).tracer(self.tracer.clone());
        let mail = mail.holding(Room::of(config.max_message));
        Ok(Shared {
            hostname: config.hostname.clone(),
            banner: config.banner.clone(),
            bounds: config.bounds,
            max_message: config.max_message,
            mail,
            tls,
            login_delay: config.login_delay,
            kept,
            tracer: self.tracer.clone(),
            peers: Peers::default(),
            places: self.places,
            memory: self.memory.clone(),
            handshakes: self.handshakes.clone(),
        })
    }
}

/// A server, and what its connections are about to get.
type Coming<'a> = (&'a Current, Shared);

/// Puts another configuration in place.
pub(in crate::server) struct Reloader {
    source: Option<Source>,
    lasting: Lasting,
    /// Each server by its name, and the pickup folder.
    currents: Vec<(String, Current)>,
    queue: Queue,
    /// What holds; locked while it changes.
    holds: Mutex<Holds>,
    /// Told when how often to look may have changed.
    looks: Notify,
}

struct Holds {
    config: Config,
    /// The files of TLS as they were when they were read last, or tried.
    files: Vec<u8>,
    /// The keys of DKIM, likewise.
    keys: Vec<u8>,
}

impl std::fmt::Debug for Reloader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Reloader")
    }
}

impl Reloader {
    pub(in crate::server) fn new(
        source: Option<Source>,
        lasting: Lasting,
        (currents, queue): (Vec<(String, Current)>, Queue),
        config: Config,
    ) -> Arc<Self> {
        let (files, keys) = (state(&config), keys(&config));
        let holds = Mutex::new(Holds { config, files, keys });
        Arc::new(Self { source, lasting, currents, queue, holds, looks: Notify::new() })
    }

    /// The folder of a server's keys of DKIM, where it has one; nothing where there is no such server.
    pub(in crate::server) fn folder_of_keys(&self, server: &str) -> Option<Option<PathBuf>> {
        let holds = self.holds.lock().unwrap_or_else(PoisonError::into_inner);
        holds.config.policy_of(server).map(|policy| policy.dkim.clone())
    }

    /// Takes the files of TLS and the keys of DKIM, where they are others, now. Blocks.
    pub(in crate::server) fn take_files(&self) -> Result<(), String> {
        self.look().map(|_| ())
    }

    /// Reads the configuration again; the error says why the old one stays.
    pub(in crate::server) async fn reload(self: &Arc<Self>) -> Result<Reloaded, String> {
        let reloader = Arc::clone(self);
        let done = tokio::task::spawn_blocking(move || reloader.read_again()).await;
        let done = done.unwrap_or_else(|error| Err(error.to_string()));
        self.looks.notify_one();
        self.lasting.tracer.note(
            now(),
            &match &done {
                Ok(Reloaded { changed, .. }) if changed.is_empty() => "reload: nothing changed".to_owned(),
                Ok(Reloaded { changed, .. }) => format!("reload: {}", changed.join("; ")),
                Err(why) => format!("reload: the old configuration stays – {why}"),
            },
        );
        done
    }

    /// Looks at the files of TLS and the keys of DKIM now and then, and takes them when they are others.
    pub(in crate::server) async fn watch(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        loop {
            let seconds = self.holds.lock().unwrap_or_else(PoisonError::into_inner).config.watch_seconds;
            tokio::select! {
                _ = stop.wait_for(|stops| *stops) => return,
                () = self.looks.notified() => continue,
                () = tokio::time::sleep(Duration::from_secs(seconds)) => {}
            }
            let reloader = Arc::clone(&self);
            let looked = tokio::task::spawn_blocking(move || reloader.look()).await;
            let note = match looked.unwrap_or_else(|error| Err(error.to_string())) {
                Ok(Looked::Same) => continue,
                Ok(Looked::Taken(what)) => format!("{what} changed and are in use"),
                Err(why) => why,
            };
            self.lasting.tracer.note(now(), &note);
        }
    }

    fn read_again(&self) -> Result<Reloaded, String> {
        let source = self.source.as_ref().ok_or("this server was started without a file")?;
        let new = (source.0)()?;
        let mut holds = self.holds.lock().unwrap_or_else(PoisonError::into_inner);
        let (files, keys) = (state(&new), keys(&new));
        let (reloaded, config) = differences(&holds.config, new, (holds.files != files, holds.keys != keys));
        if reloaded.changed.is_empty() {
            return Ok(reloaded);
        }
        // all that can fail comes before the first change
        let (accounts, all) = self.shared(&config)?;
        let (store, tracer) = (Arc::clone(accounts.store()), self.lasting.tracer.clone());
        let drop = config.drop.as_ref().map(Drop::open).transpose()?;
        let outbound = Outbound::new(&config.hostname, &config.delivery, store, tracer)?.dropping(drop);
        let signer = signer(&config)?;
        self.queue.change(&config.hostname, accounts, outbound, &config.delivery);
        self.set(all, signer);
        *holds = Holds { config, files, keys };
        Ok(reloaded)
    }

    fn look(&self) -> Result<Looked, String> {
        let mut holds = self.holds.lock().unwrap_or_else(PoisonError::into_inner);
        let (files, keys) = (state(&holds.config), keys(&holds.config));
        let what = match (files != holds.files, keys != holds.keys) {
            (false, false) => return Ok(Looked::Same),
            (true, false) => "the files of TLS",
            (false, true) => "the keys of DKIM",
            (true, true) => "the files of TLS and the keys of DKIM",
        };
        // a file that is bad is told once, not at every look; and of two that are written one after the other the second comes
        (holds.files, holds.keys) = (files, keys);
        let taken = self.shared(&holds.config).and_then(|(_, all)| Ok((all, signer(&holds.config)?)));
        let (all, signer) = taken.map_err(|why| format!("{what} changed and cannot be used; the old ones stay – {why}"))?;
        self.set(all, signer);
        Ok(Looked::Taken(what))
    }

    /// The accounts under a configuration, and what each server's connections get.
    fn shared(&self, config: &Config) -> Result<(Accounts, Vec<Coming<'_>>), String> {
        let (common, mut settings) = (self.lasting.shared(config)?, Setting::all(config)?);
        settings.push(Setting::of_pickup(config)?);
        let mut all = Vec::new();
        for (name, current) in &self.currents {
            let Some(setting) = settings.iter().find(|setting| setting.name == *name) else { continue };
            all.push((current, setting.shared(config, &common, Some(&current.get()))?));
        }
        Ok((common.mail.accounts().clone(), all))
    }

    fn set(&self, all: Vec<Coming<'_>>, signer: Signer) {
        self.lasting.own.set(signer);
        all.into_iter().for_each(|(current, shared)| current.set(shared));
    }
}

enum Looked {
    Same,
    /// What.
    Taken(&'static str),
}

/// What is another, and the configuration that can hold at once: what needs a restart is in it as it was.
fn differences(old: &Config, mut new: Config, (are_files_others, are_keys_others): (bool, bool)) -> (Reloaded, Config) {
    let mut found = Reloaded::default();
    let mut keep = |is_other: bool, what: &str| {
        if is_other {
            found.kept.push(format!("{what} – restart the server"));
        }
    };
    let names = |config: &Config| config.servers.iter().map(|server| server.name.clone()).collect::<Vec<_>>();
    let are_others = old.listens() != new.listens() || names(old) != names(&new);
    keep(are_others, "the addresses in [listen]");
    keep(old.pickup != new.pickup, "[pickup]");
    keep(old.drop != new.drop, "[drop]");
    keep(old.api != new.api, "[api]");
    keep(old.log != new.log, "[log]");
    if are_others {
        new.servers = old.servers.clone();
    }
    keep(old.data != new.data, "data");
    keep(old.process != new.process, "[process]");
    keep(old.acme != new.acme, "[tls] acme");
    let tls = |config: &Config| (config.certificate.clone(), config.key.clone(), config.clients.clone());
    for (is_other, what) in [
        (old.hostname != new.hostname, format!("hostname {} → {}", old.hostname, new.hostname)),
        (old.banner != new.banner, "banner".to_owned()),
        (old.bounds != new.bounds, bounds(old.bounds, new.bounds)),
        (old.max_message != new.max_message, format!("limits.message_bytes {} → {}", old.max_message, new.max_message)),
        (old.login_delay != new.login_delay, format!("limits.login_delay_seconds {} → {}", old.login_delay, new.login_delay)),
        (
            tls(old) != tls(&new) || are_files_others,
            "the certificate and the key of TLS, or whose certificates open mailboxes".to_owned(),
        ),
        (old.channel_binding != new.channel_binding, "tls.channel_binding".to_owned()),
        (old.watch_seconds != new.watch_seconds, format!("tls.watch_seconds {} → {}", old.watch_seconds, new.watch_seconds)),
        (old.delivery != new.delivery, "how mail goes out: [delivery], [routes], [tls-policy]".to_owned()),
        (old.accounts != new.accounts, "where passwords are kept: [accounts]".to_owned()),
        (old.scanners != new.scanners, "[[scanner]]".to_owned()),
        (
            old.policy != new.policy,
            "whom mail is taken from: [access], [relay], [rates], [greylist], [blocklists], [authentication], [dkim]".to_owned(),
        ),
        (old.servers != new.servers, "[[server]]".to_owned()),
        (are_keys_others, "the keys of DKIM".to_owned()),
    ] {
        if is_other {
            found.changed.push(what);
        }
    }
    (new.listeners, new.data, new.process) = (old.listeners.clone(), old.data.clone(), old.process.clone());
    new.acme = old.acme.clone();
    (new.pickup, new.drop) = (old.pickup.clone(), old.drop.clone());
    (new.api, new.log) = (old.api, old.log.clone());
    (found, new)
}

/// Which of the bounds are others, each with what it was and is.
fn bounds(old: Bounds, new: Bounds) -> String {
    let said = |bound: Option<usize>| bound.map_or_else(|| "as usual".to_owned(), |bound| bound.to_string());
    let all = [
        ("recipients", old.recipients, new.recipients),
        ("connections", old.connections, new.connections),
        ("connections_of_an_address", old.connections_of_an_address, new.connections_of_an_address),
    ];
    let others = all.iter().filter(|(_, old, new)| old != new);
    others.map(|(key, old, new)| format!("limits.{key} {} → {}", said(*old), said(*new))).collect::<Vec<_>>().join(", ")
}

/// The keys with which a server of this configuration signs what it writes itself.
pub(in crate::server) fn signer(config: &Config) -> Result<Signer, String> {
    let signer = config.policy.dkim.as_deref().map_or_else(|| Ok(Signer::default()), Signer::load);
    signer.map_err(|error| format!("the keys of DKIM cannot be read – {error}"))
}

/// A digest of the files of TLS.
fn state(config: &Config) -> Vec<u8> {
    let (authority, lists) = config.clients.as_ref().map_or((None, None), |c| (Some(c.authority.clone()), c.lists.clone()));
    of_files([Some(config.certificate.clone()), Some(config.key.clone()), authority, lists].into_iter().flatten())
}

/// A digest of the keys of DKIM, which lie in a folder for each domain.
fn keys(config: &Config) -> Vec<u8> {
    let folders = config.policies().filter_map(|policy| policy.dkim.as_deref());
    of_files(folders.flat_map(files))
}

/// A digest of files, and of those in folders.
fn of_files(paths: impl Iterator<Item = PathBuf>) -> Vec<u8> {
    let mut hash = digest::Digest::new(DigestAlgorithm::Sha256);
    for path in paths {
        for file in files(&path) {
            // one that cannot be read is another one than before
            let bytes = crate::secret::Secret::new(std::fs::read(&file).unwrap_or_default());
            hash.update(&digest::of(DigestAlgorithm::Sha256, bytes.expose()));
        }
    }
    hash.finish()
}

/// A file, or those in a folder.
fn files(path: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(path) else { return vec![path.to_owned()] };
    let mut found: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_needs_a_restart_stays_as_it_was_and_is_named() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::create_dir(folder.path().join("tls")).expect("made");
        for name in ["certificate.pem", "key.pem"] {
            std::fs::write(folder.path().join("tls").join(name), "x").expect("written");
        }
        let text = Config::template("mail.a.example", 0, &[]);
        let read = |text: &str| Config::parse(text, folder.path()).expect("good");
        let old = read(&text);
        let (found, _) = differences(&old, read(&text), (false, false));
        assert_eq!(found, Reloaded::default());
        let other =
            text.replace("# banner = \"ESMTP ready", "banner = \"ESMTP ready").replace("# recipients = 1000", "recipients = 200");
        let (found, holds) = differences(&old, read(&other), (false, false));
        assert_eq!(found.changed, ["banner", "limits.recipients as usual → 200"]);
        assert_eq!((holds.banner.as_deref(), holds.bounds.recipients), (Some("ESMTP ready"), Some(200)));
        let other = text.replace(":2525", ":2526").replace("52428800", "70000").replace("data = \"mail\"", "data = \"post\"");
        let (found, holds) = differences(&old, read(&other), (true, false));
        assert_eq!(found.kept, ["the addresses in [listen] – restart the server", "data – restart the server"]);
        assert_eq!(found.changed.first().map(String::as_str), Some("limits.message_bytes 52428800 → 70000"));
        assert!(found.changed.len() == 2 && found.changed.concat().contains("of TLS"), "{found:?}");
        assert_eq!((holds.listeners, holds.data, holds.max_message), (old.listeners, old.data, 70_000));
    }
}
