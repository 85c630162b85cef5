//! The gate: every rule of this room at the moment where it applies. Who asks gives the time, by the clock that only goes on, and what DNS told.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::server::clock::steady;
use crate::server::drive::now;
use crate::server::policy::access::Standing;
use crate::server::policy::authentication::{Authenticator, Came, Check, Wish};
use crate::server::policy::bans::{Bans, span};
use crate::server::policy::blocklist::{self, About, Zone};
use crate::server::policy::by_hand::{ByHand, Left, Until, Whom};
use crate::server::policy::dkim::Signer;
use crate::server::policy::dns::{self, Dns};
use crate::server::policy::greylist::Greylist;
use crate::server::policy::rates::{Counts, Who};
use crate::server::policy::refusal::Refusal;
use crate::server::policy::relay::Place;
use crate::server::policy::resolver::Resolver;
use crate::server::policy::results::{self, QUARANTINE};
use crate::server::policy::settings::{Names, Settings};
use crate::server::trace::Tracer;
use crate::time::Timestamp;

/// The gate of one server.
#[derive(Debug, Clone)]
pub(in crate::server) struct Gate(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    host: String,
    settings: Settings,
    resolver: Option<Resolver>,
    authenticator: Option<Authenticator>,
    signer: Signer,
    counts: Arc<Mutex<Counts>>,
    bans: Arc<Mutex<Bans>>,
    by_hand: Arc<Mutex<ByHand>>,
    greylist: Option<(Arc<Mutex<Greylist>>, PathBuf)>,
    /// Where the greylist is kept, and the number that nobody knows.
    kept: (PathBuf, u64),
    /// The lists that passed their test.
    zones: Mutex<Vec<Zone>>,
    /// What DNS told of clients, for as long as their messages come.
    told: Mutex<HashMap<(IpAddr, String), Kept>>,
    /// Places for those who wait for DNS.
    waiting: Semaphore,
}

/// What DNS told, and when.
#[derive(Debug, Clone)]
struct Kept {
    at: Timestamp,
    told: Arc<Told>,
}

impl Kept {
    fn is_fresh(&self, now: Timestamp) -> bool {
        (0..FRESH).contains(&now.unix().saturating_sub(self.at.unix()))
    }
}

/// Who sends a message.
#[derive(Debug, Clone, Copy)]
pub(in crate::server) struct Sends<'a> {
    /// The client.
    pub(in crate::server) address: IpAddr,
    /// The user who logged in.
    pub(in crate::server) user: Option<&'a str>,
    /// The sender of the envelope; empty for none.
    pub(in crate::server) sender: &'a str,
}

/// What DNS told of a client and a sender. Empty where it told nothing, which refuses nobody.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::server) struct Told {
    /// The client's names that lead back to it.
    pub(in crate::server) names: Vec<String>,
    /// What a list says.
    pub(in crate::server) listed: Option<Refusal>,
}

/// What was found about a message.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::server) struct Judged {
    /// Fields that stand in front of it.
    pub(in crate::server) fields: String,
    /// Why it is not taken.
    pub(in crate::server) refusal: Option<Refusal>,
}

/// How a login ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::server) enum Login {
    /// He is who he says.
    Good,
    /// Name or password is wrong.
    Bad,
}

/// Messages that wait for DNS at once: each holds a thread, and there must be threads left for those that wait for nothing.
const WAITING: usize = 128;

/// Clients of which is kept what DNS told.
const TOLD: usize = 10_000;

/// How long that is good, in seconds.
const FRESH: i64 = 300;

/// For the names of a client.
const PATIENCE: Duration = Duration::from_secs(5);

impl Default for Gate {
    /// The usual rules: users alone relay, and DNS is asked nothing.
    fn default() -> Self {
        Self(Arc::new(Inner::new("", Settings::default(), None, None, <(PathBuf, u64)>::default(), Signer::default())))
    }
}

impl Inner {
    fn new(
        host: &str,
        settings: Settings,
        resolver: Option<Resolver>,
        greylist: Option<(Arc<Mutex<Greylist>>, PathBuf)>,
        kept: (PathBuf, u64),
        signer: Signer,
    ) -> Self {
        Self {
            host: host.to_owned(),
            authenticator: resolver.as_ref().filter(|_| settings.check != Check::Off).map(Authenticator::new),
            resolver,
            signer,
            counts: Arc::new(Mutex::new(Counts::new(&settings.rates))),
            bans: Arc::new(Mutex::new(Bans::new(settings.logins))),
            by_hand: Arc::default(),
            settings,
            greylist,
            kept,
            zones: Mutex::default(),
            told: Mutex::default(),
            waiting: Semaphore::new(WAITING),
        }
    }
}

impl Gate {
    /// The gate of a host with these rules. The greylist is kept in a file, and `salt` is a number that nobody knows.
    pub(in crate::server) fn new(
        host: &str,
        settings: Settings,
        resolver: Option<SocketAddr>,
        kept: &Path,
        salt: u64,
    ) -> Result<Self, String> {
        let resolver = if asks(&settings) { Resolver::new(resolver) } else { None };
        let signer = match &settings.dkim {
            Some(folder) => Signer::load(folder).map_err(|error| format!("the keys of DKIM cannot be read – {error}"))?,
            None => Signer::default(),
        };
        let greylist = settings.greylist.map(|rules| {
            let path = kept.to_owned();
            let kept = std::fs::read_to_string(&path).ok().and_then(|text| Greylist::load(rules, &text, (steady(), now())));
            (Arc::new(Mutex::new(kept.unwrap_or_else(|| Greylist::new(rules, salt)))), path)
        });
        Ok(Self(Arc::new(Inner::new(host, settings, resolver, greylist, (kept.to_owned(), salt), signer))))
    }

    /// The gate that follows this one under other rules; bans by hand go on, and where their rules are the same so do counts, other bans and
    /// the greylist.
    pub(in crate::server) fn renewed(
        &self,
        host: &str,
        settings: Settings,
        resolver: Option<SocketAddr>,
    ) -> Result<Self, String> {
        let old = &*self.0;
        // what is remembered is read from its file where the rules are others
        self.save()?;
        let new = Self::new(host, settings, resolver, &old.kept.0, old.kept.1)?;
        let Ok(mut inner) = Arc::try_unwrap(new.0) else { return Err("the new rules are in use already".to_owned()) };
        if inner.settings.rates == old.settings.rates {
            inner.counts = Arc::clone(&old.counts);
        }
        if inner.settings.logins == old.settings.logins {
            inner.bans = Arc::clone(&old.bans);
        }
        inner.by_hand = Arc::clone(&old.by_hand);
        if inner.settings.greylist == old.settings.greylist {
            inner.greylist = old.greylist.clone();
        }
        Ok(Self(Arc::new(inner)))
    }

    /// Asks every list for its test entries; those that fail are not asked about clients, and why is told. To be done at the start and every hour.
    pub(in crate::server) async fn test_lists(&self) -> Vec<String> {
        let Some(resolver) = &self.0.resolver else {
            let missing = "this machine has no resolver for DNS – lists, names and authentication are not looked at".to_owned();
            return if asks(&self.0.settings) { vec![missing] } else { Vec::new() };
        };
        let (mut good, mut bad) = (Vec::new(), Vec::new());
        for zone in &self.0.settings.zones {
            match zone.test(resolver).await {
                Ok(()) => good.push(zone.clone()),
                Err(why) => bad.push(why),
            }
        }
        *lock(&self.0.zones) = good;
        bad
    }

    /// A connection comes; asked before anything is said.
    pub(in crate::server) fn connection(&self, address: IpAddr, now: Timestamp) -> Option<Refusal> {
        match self.0.settings.access.client(address, &[]) {
            Standing::Friend => None,
            // a host by whose name it is a friend is not known yet
            Standing::Barred => Some(barred(address)),
            Standing::Stranger if is_here(address) => None,
            Standing::Stranger => {
                let by_hand = lock(&self.0.by_hand).client(address, now).map(|left| match left {
                    Left::Endless => barred(address),
                    Left::Seconds(_) => banned(421, left),
                });
                let failed = || lock(&self.0.bans).address(address, now);
                by_hand.or_else(failed).or_else(|| lock(&self.0.counts).connection(address, now))
            }
        }
    }

    /// A login begins; asked before the password is looked at.
    pub(in crate::server) fn login(&self, address: IpAddr, user: &str, now: Timestamp) -> Option<Refusal> {
        match self.0.settings.access.client(address, &[]) {
            Standing::Friend => None,
            Standing::Barred | Standing::Stranger => {
                let by_hand = self.banned_client(address, now).map(|left| banned(421, left));
                by_hand.or_else(|| lock(&self.0.bans).login(address, user, now))
            }
        }
    }

    /// A login ended; a line for the log where its address is banned from now on.
    pub(in crate::server) fn logged_in(&self, address: IpAddr, user: &str, login: Login, now: Timestamp) -> Option<String> {
        let mut bans = lock(&self.0.bans);
        match login {
            Login::Good => {
                bans.succeeded(address, user, now);
                None
            }
            Login::Bad => bans.failed(address, user, now).then(|| format!("{address} is banned – too many failed logins")),
        }
    }

    /// How much is left of a ban by hand. Loopback lies in no network that is banned, but in those around it.
    fn banned_client(&self, address: IpAddr, now: Timestamp) -> Option<Left> {
        if is_here(address) { None } else { lock(&self.0.by_hand).client(address, now) }
    }

    /// Bans by hand; the error says why not.
    pub(in crate::server) fn ban(&self, whom: &Whom, until: Until, now: Timestamp) -> Result<(), String> {
        lock(&self.0.by_hand).add(whom, until, now)
    }

    /// Who is banned by hand, and until when.
    pub(in crate::server) fn bans_by_hand(&self, now: Timestamp) -> Vec<(String, Until)> {
        lock(&self.0.by_hand).list(now)
    }

    /// Who is banned for failed logins, and until when.
    pub(in crate::server) fn bans(&self, now: Timestamp) -> Vec<(IpAddr, Timestamp)> {
        lock(&self.0.bans).list(now)
    }

    /// Ends a ban, whatever it was for; whether there was one.
    pub(in crate::server) fn lift_ban(&self, whom: &Whom, now: Timestamp) -> bool {
        let was_by_hand = lock(&self.0.by_hand).lift(whom, now);
        whom.peer().is_some_and(|peer| lock(&self.0.bans).lift(peer)) || was_by_hand
    }

    fn asks_about(&self, sends: &Sends<'_>) -> bool {
        self.0.resolver.is_some() && sends.user.is_none()
    }

    /// Whether [`Gate::told`] answers without waiting.
    pub(in crate::server) fn is_told(&self, sends: &Sends<'_>, now: Timestamp) -> bool {
        !self.asks_about(sends) || lock(&self.0.told).get(&about(sends)).is_some_and(|kept| kept.is_fresh(now))
    }

    /// What DNS tells of a client and its sender. From a thread that may block: async callers use [`Gate::ask`].
    pub(in crate::server) fn told(&self, sends: &Sends<'_>, now: Timestamp) -> Arc<Told> {
        if !self.asks_about(sends) {
            return Arc::default();
        }
        let key = about(sends);
        let kept = lock(&self.0.told).get(&key).filter(|kept| kept.is_fresh(now)).cloned();
        if let Some(kept) = kept {
            return kept.told;
        }
        let told = Arc::new(self.wait(self.ask(sends)).unwrap_or_default());
        let mut all = lock(&self.0.told);
        if all.len() >= TOLD {
            all.retain(|_, kept| kept.is_fresh(now));
        }
        if all.len() < TOLD {
            all.insert(key, Kept { at: now, told: Arc::clone(&told) });
        }
        told
    }

    /// Asks DNS about a client and its sender, where a rule needs it.
    pub(in crate::server) async fn ask(&self, sends: &Sends<'_>) -> Told {
        let zones = lock(&self.0.zones).clone();
        match &self.0.resolver {
            Some(resolver) if sends.user.is_none() => ask(resolver, &self.0.settings, &zones, sends).await,
            _ => Told::default(),
        }
    }

    /// A sender is named.
    pub(in crate::server) fn sender(&self, sends: &Sends<'_>, told: &Told, now: Timestamp) -> Option<Refusal> {
        let access = &self.0.settings.access;
        let standing = access.client(sends.address, &told.names);
        let refused = match (standing, sends.user) {
            (Standing::Friend, None) => return None,
            (Standing::Barred, None) => Some(barred(sends.address)),
            _ => None,
        };
        let listed = || if sends.user.is_none() { access.sender(sends.sender) } else { None };
        let by_hand = || {
            let client = if standing == Standing::Friend { None } else { self.banned_client(sends.address, now) };
            let client = client.map(|left| match left {
                Left::Endless => barred(sends.address),
                Left::Seconds(_) => banned(450, left),
            });
            // whoever is logged in: it is what an administrator does about an account that sends what it should not
            let sender = || lock(&self.0.by_hand).sender(sends.sender, now);
            client.or_else(|| sender().map(|_| Refusal::new(550, "5.7.1", format!("no mail is taken from {}", sends.sender))))
        };
        let many = || if is_here(sends.address) { None } else { lock(&self.0.counts).message(who(sends), sends.sender, now) };
        refused.or_else(by_hand).or_else(listed).or_else(many)
    }

    /// A recipient is named, who is here or elsewhere.
    pub(in crate::server) fn recipient(
        &self,
        sends: &Sends<'_>,
        told: &Told,
        recipient: &str,
        place: Place,
        now: Timestamp,
    ) -> Option<Refusal> {
        let Settings { access, relay, .. } = &self.0.settings;
        if let Some(refused) = relay.judge(sends.address, sends.user, recipient, place) {
            return Some(refused);
        }
        let is_friend = access.client(sends.address, &told.names) == Standing::Friend || relay.trusts(sends.address);
        if is_friend && sends.user.is_none() {
            return None;
        }
        if !is_here(sends.address)
            && let Some(wait) = lock(&self.0.counts).recipient(who(sends), now)
        {
            return Some(wait);
        }
        if sends.user.is_some() || access.is_open_recipient(recipient) {
            return None;
        }
        if let Some(refused) = access.recipient(recipient) {
            return Some(refused);
        }
        if access.is_good_sender(sends.sender) {
            return None;
        }
        told.listed.clone().or_else(|| {
            let (greylist, _) = self.0.greylist.as_ref()?;
            lock(greylist).judge(sends.address, sends.sender, recipient, now)
        })
    }

    /// Whether mail to a recipient elsewhere is taken from this peer.
    pub(in crate::server) fn relays(&self, sends: &Sends<'_>, recipient: &str) -> bool {
        self.0.settings.relay.judge(sends.address, sends.user, recipient, Place::Elsewhere).is_none()
    }

    /// Whether what comes from here is sent as users send: it is signed, and not checked.
    pub(in crate::server) fn is_inside(&self, sends: &Sends<'_>) -> bool {
        sends.user.is_some() || self.0.settings.relay.trusts(sends.address)
    }

    /// Whether it wants to see what this peer sends.
    pub(in crate::server) fn checks(&self, sends: &Sends<'_>) -> bool {
        self.0.authenticator.is_some() && !self.is_inside(sends)
    }

    /// A message is there. From a thread that may block: async callers use [`Gate::check`].
    pub(in crate::server) fn content(&self, sends: &Sends<'_>, helo: &str, message: &[u8]) -> Judged {
        if !self.checks(sends) {
            return Judged::default();
        }
        let busy = || Refusal::new(451, "4.4.3", "too many messages wait for answers of DNS – try again later");
        self.wait(self.check(sends, helo, message)).unwrap_or_else(|| Judged { refusal: Some(busy()), ..Judged::default() })
    }

    /// Checks who wrote a message.
    pub(in crate::server) async fn check(&self, sends: &Sends<'_>, helo: &str, message: &[u8]) -> Judged {
        let Some(authenticator) = &self.0.authenticator else { return Judged::default() };
        let came = Came {
            address: sends.address,
            helo,
            sender: sends.sender,
            message,
            host: &self.0.host,
            sealers: &self.0.settings.sealers,
        };
        let found = authenticator.check(came).await;
        let mut fields = results::field(&self.0.host, &found.lines);
        if found.wish != Wish::Nothing {
            fields.push_str(&format!("{QUARANTINE}: dmarc\r\n"));
        }
        // a friend's forwarded mail fails by its nature
        let is_friend = self.0.settings.access.client(sends.address, &[]) == Standing::Friend;
        Judged { fields, refusal: found.refusal(self.0.settings.check).filter(|_| !is_friend) }
    }

    /// A message without the fields that only this host may write.
    pub(in crate::server) fn without_forged<'m>(&self, message: &'m [u8]) -> std::borrow::Cow<'m, [u8]> {
        results::without_forged(message, &self.0.host)
    }

    /// Whether it has a key of any domain.
    pub(in crate::server) fn has_keys(&self) -> bool {
        !self.0.signer.is_empty()
    }

    /// Whether it has a key of this domain.
    pub(in crate::server) fn signs(&self, domain: &str) -> bool {
        self.0.signer.has(domain)
    }

    /// The signatures for a message from inside, behind the fields that stand in front of it, by an author of this domain; empty where the domain has
    /// no key.
    pub(in crate::server) fn sign(&self, domain: &str, message: (&[u8], &[u8]), now: Timestamp) -> Result<String, String> {
        self.0.signer.sign(domain, message, now)
    }

    /// A message of the server's own, behind its signatures.
    pub(in crate::server) fn signed(&self, message: Vec<u8>, now: Timestamp, tracer: &Tracer) -> Vec<u8> {
        self.0.signer.signed(message, now, tracer)
    }

    /// Writes what must outlive the process; to be done every some minutes and at the end.
    pub(in crate::server) fn save(&self) -> Result<(), String> {
        let Some((greylist, path)) = &self.0.greylist else { return Ok(()) };
        lock(greylist).save(path, (steady(), now())).map_err(|error| error.to_string())
    }

    /// Waits for DNS where there is a place for one more; none else.
    fn wait<T>(&self, answer: impl Future<Output = T>) -> Option<T> {
        let _place = self.0.waiting.try_acquire().ok()?;
        Some(tokio::runtime::Handle::try_current().ok()?.block_on(answer))
    }
}

async fn ask(dns: &impl Dns, settings: &Settings, zones: &[Zone], sends: &Sends<'_>) -> Told {
    let is_heard = settings.names == Names::All && !is_here(sends.address);
    let is_rule = || settings.access.asks_for_names() || zones.iter().any(|zone| zone.kind == blocklist::Kind::Domains);
    let needs_names = is_heard || is_rule();
    let names = match needs_names {
        true => tokio::time::timeout(PATIENCE, dns::confirmed_names(dns, sends.address)).await.ok().and_then(Result::ok),
        false => None,
    };
    let names = names.unwrap_or_default();
    let mut domains: Vec<&str> = names.iter().map(String::as_str).collect();
    domains.extend(sends.sender.rsplit_once('@').map(|(_, domain)| domain));
    let listed = match settings.access.client(sends.address, &names) {
        Standing::Friend => None,
        _ => blocklist::judge(dns, zones, &About { address: sends.address, domains }).await,
    };
    Told { names, listed }
}

/// What is asked about: the client, and the domain of the sender.
fn about(sends: &Sends<'_>) -> (IpAddr, String) {
    let domain = sends.sender.rsplit_once('@').map(|(_, domain)| domain.to_lowercase()).unwrap_or_default();
    (sends.address, domain)
}

/// Whether a rule needs DNS.
fn asks(settings: &Settings) -> bool {
    let is_rule = settings.access.asks_for_names() || !settings.zones.is_empty() || settings.check != Check::Off;
    is_rule || settings.names == Names::All
}

/// Programs of this machine have no rates and are never banned: they would take the place of all its users.
fn is_here(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

fn who<'a>(sends: &Sends<'a>) -> Who<'a> {
    sends.user.map_or(Who::Address(sends.address), Who::User)
}

fn banned(code: u16, left: Left) -> Refusal {
    let text = match left {
        Left::Endless => "this address is banned".to_owned(),
        Left::Seconds(seconds) => format!("this address is banned – try again in {}", span(seconds)),
    };
    Refusal::new(code, "4.7.0", text)
}

fn barred(address: IpAddr) -> Refusal {
    Refusal::new(554, "5.7.1", format!("no mail is taken from {address}"))
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
