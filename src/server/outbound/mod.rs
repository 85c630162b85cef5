//! Takes mail to other servers: finds them, talks to them, under TLS wherever they offer it, and under verified TLS where that is asked for.
//!
//! Uses: proto (client sessions), http (policies), keys and pki (TLSA records, certificates), the store (policies, what was counted), the
//! trace; sockets towards other servers.
//! Holds always: every recipient gets an outcome; what cannot be known now – by the DNS, by a server – is asked again later and refuses nobody;
//! where nobody asks for more, TLS is opportunistic (RFC 7435): what a certificate of an unknown server says changes nothing, and nothing
//! secret but the mail itself is sent; where DANE (RFC 7672), MTA-STS (RFC 8461), the configuration or the message (RFC 8689) ask for more,
//! nothing goes without.

mod dnssec;
mod find;
mod guard;
mod https;
mod letter;
mod link;
mod rua;
pub(in crate::server) mod sts;
mod tls;

use std::net::SocketAddr;
use std::sync::Arc;

use crate::crypto::random::{OsRandom, Random};
use crate::proto::smtp::Credentials;
use crate::proto::smtp::client::{Afterwards, Client, NO_REQUIRETLS, NO_TLS, Outcome, RequireTls, TlsWish};
use crate::secret::Secret;
use crate::server::config::{Delivery, Login, Route, Start};
use crate::server::drive::now;
use crate::server::outbound::find::{Found, Servers};
use crate::server::outbound::guard::{Asked, Basis, Guard, Guards, Refused};
use crate::server::outbound::link::Handshake;
use crate::server::outbound::sts::Policies;
use crate::server::outbound::tls::{Seen, Tls};
use crate::server::pickup::Drop;
use crate::server::store::{Store, TlsResult};
use crate::server::trace::Tracer;

pub(in crate::server) use letter::Letter;
pub(in crate::server) use link::Link;
pub(in crate::server) use rua::Place;

/// Delivers to other servers.
#[derive(Debug)]
pub(in crate::server) struct Outbound {
    hostname: String,
    delivery: Delivery,
    servers: Servers,
    guards: Guards,
    tls: Arc<Tls>,
    store: Counts,
    tracer: Tracer,
    /// The domains whose mail goes into files.
    drop: Option<Drop>,
}

/// Where it is counted how TLS went.
struct Counts(Arc<dyn Store>);

impl std::fmt::Debug for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Counts")
    }
}

/// Fetches the policy of a domain over HTTPS (RFC 8461 3.3).
pub(in crate::server) async fn policy_text(
    hostname: &str,
    delivery: &Delivery,
    store: Arc<dyn Store>,
    domain: &str,
) -> Result<String, String> {
    let tls = Arc::new(Tls::new(delivery.trust.as_deref())?);
    Policies::new(Servers::new(hostname, delivery), store, tls, delivery.policy_port)
        .fetch(domain, now())
        .await
        .map_err(|failed| failed.why)
}

/// What an attempt brought.
#[derive(Debug, Clone)]
pub(in crate::server) struct Attempt {
    /// Each recipient with what became of him.
    pub(in crate::server) reports: Vec<Report>,
    /// Whether a server was there.
    pub(in crate::server) reached: Reached,
}

/// Whether a server was there that said something about the message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::server) enum Reached {
    /// One was, or the message alone is the reason that none was asked.
    Yes,
    /// None was, and it would be so for every message: why.
    No(String),
}

/// What became of a recipient.
#[derive(Debug, Clone)]
pub(in crate::server) struct Report {
    /// Who.
    pub(in crate::server) address: String,
    /// What.
    pub(in crate::server) outcome: Outcome,
    /// The server that said so; empty where it is our own word.
    pub(in crate::server) server: String,
    /// Whether that server sends reports itself from now on (RFC 3461).
    pub(in crate::server) passes_reports: bool,
}

impl Default for Report {
    fn default() -> Self {
        let outcome = Outcome::Temporary(String::new());
        Self { address: String::new(), outcome, server: String::new(), passes_reports: false }
    }
}

/// Addresses of one domain that are tried in one attempt.
const ADDRESSES: usize = 10;
/// Stands in the names of destinations that are routes, and in no domain.
const ROUTE: char = '/';

impl Outbound {
    /// Delivers as this host.
    pub(in crate::server) fn new(
        hostname: &str,
        delivery: &Delivery,
        store: Arc<dyn Store>,
        tracer: Tracer,
    ) -> Result<Self, String> {
        let servers = Servers::new(hostname, delivery);
        let tls = Arc::new(Tls::new(delivery.trust.as_deref())?);
        let guards = Guards::new(delivery, servers.clone(), Arc::clone(&store), Arc::clone(&tls))?;
        let (hostname, delivery, store) = (hostname.to_owned(), delivery.clone(), Counts(store));
        Ok(Self { hostname, delivery, servers, guards, tls, store, tracer, drop: None })
    }

    /// With domains whose mail goes into files.
    pub(in crate::server) fn dropping(self, drop: Option<Drop>) -> Self {
        Self { drop, ..self }
    }

    /// What mail for a domain goes to: the domain, or a server of the configuration, which several domains may have in common.
    pub(in crate::server) fn destination(&self, domain: &str) -> String {
        let domain = domain.to_lowercase();
        if self.drop.as_ref().is_some_and(|drop| drop.has(&domain)) {
            return format!("drop{ROUTE}");
        }
        match self.delivery.route(&domain) {
            Some(route) => format!("{}:{}{ROUTE}{:?}", route.hop.host, route.hop.port, self.delivery.tls_policy(&domain)),
            None => domain,
        }
    }

    /// Whether a destination is a domain.
    pub(in crate::server) fn is_domain(&self, destination: &str) -> bool {
        !destination.contains(ROUTE)
    }

    /// Tries the servers of a destination in their order until each recipient has a final outcome, or all servers were asked; over a
    /// connection that is open, where one is. The connection may stay open.
    pub(in crate::server) async fn deliver(&self, link: &mut Option<Link>, domain: &str, letter: Letter) -> Attempt {
        if let Some(drop) = self.drop.clone().filter(|drop| drop.has(&domain.to_lowercase())) {
            return dropped(drop, letter).await;
        }
        if let Some(open) = link.take()
            && let Some(attempt) = self.again(open, link, &letter).await
        {
            return attempt;
        }
        let route = self.delivery.route(domain).cloned();
        let wishes = self.guards.wishes(domain, route.as_ref(), letter.announced.terms.tls).await;
        let found = match &route {
            Some(route) => find::routed(&route.hop).await,
            None => self.servers.of(domain, wishes.records()).await,
        };
        let servers = match wishes.believed(found) {
            Found::Servers(servers) => servers,
            Found::Later(why) => {
                return Attempt { reports: all(&letter, &Outcome::Temporary(why.clone())), reached: Reached::No(why) };
            }
            Found::Never(why) => return Attempt { reports: all(&letter, &Outcome::Permanent(why)), reached: Reached::Yes },
        };
        if let Some(failed) = &wishes.policy_failed {
            self.tracer.note(now(), &format!("{domain}: {}", failed.why));
            let basis = Basis { kind: "sts", wording: String::new() };
            self.count(TlsResult { result: failed.result.to_owned(), ..told(domain, "", &basis) });
        }
        // what only this message asks for says nothing about the destination
        let is_own = letter.announced.terms.tls == RequireTls::Yes;
        let mut state = Trying { settled: Vec::new(), left: Vec::new(), reached: None, is_own, failed: None };
        state.left = all(&letter, &Outcome::Temporary(format!("4.4.4 {domain} has no server that can be asked")));
        let mut tried = 0_usize;
        for server in servers {
            let port = server.addresses.first().map_or(self.delivery.port, SocketAddr::port);
            let asked = match self.guards.of(&wishes, &server.name, port).await {
                Ok(asked) => asked,
                Err(Refused::Never(why)) => {
                    state.left = all(&letter, &Outcome::Permanent(why));
                    state.reached = Some(Reached::Yes);
                    break;
                }
                Err(Refused::Later(why, result, basis)) => {
                    self.count(TlsResult { result: result.to_owned(), ..told(domain, &server.name, &basis) });
                    self.tracer.note(now(), &format!("{}: not asked – {why}", server.name));
                    state.not_now(&format!("4.7.5 {why}"));
                    continue;
                }
            };
            for address in server.addresses {
                if tried >= ADDRESSES || state.left.is_empty() {
                    break;
                }
                tried = tried.saturating_add(1);
                let attempt = state.rest(&letter);
                let to = To { domain, name: &server.name, address, route: route.as_ref() };
                let tried = self.ask(&to, &asked, &attempt).await;
                state.take(tried, link);
            }
        }
        if let Some(why) = state.failed.take() {
            // RFC 8689 4.2.1: who asks that TLS be kept hears that it is not, rather than waiting for it
            state.left.iter_mut().for_each(|report| report.outcome = Outcome::Permanent(why.clone()));
        }
        let reached = match state.reached {
            Some(reached) if !is_own => reached,
            _ => Reached::Yes,
        };
        state.settled.extend(state.left);
        Attempt { reports: state.settled, reached }
    }

    /// Another message over a connection; `None` where it turns out to be gone.
    async fn again(&self, mut open: Link, link: &mut Option<Link>, letter: &Letter) -> Option<Attempt> {
        let keeps_tls = open.is_verified && open.client.offers("REQUIRETLS");
        if letter.announced.terms.tls == RequireTls::Yes && !keeps_tls {
            open.close().await;
            return None;
        }
        open.client.again(letter.announced.clone());
        let (outcomes, _) = open.run(letter, &self.tls.opportunistic()).await;
        if !open.client.has_answered() && !open.client.is_idle() {
            return None;
        }
        let reports = reports(&open, outcomes);
        if open.client.is_idle() {
            *link = Some(open);
        }
        Some(Attempt { reports, reached: Reached::Yes })
    }

    /// One server; where its TLS fails and nobody asks for it, the same again without (RFC 7435).
    async fn ask(&self, to: &To<'_>, asked: &Asked, letter: &Letter) -> Tried {
        let wish = match asked.guard {
            _ if to.start() == Start::AtOnce => TlsWish::Active,
            Guard::Without => TlsWish::Without,
            Guard::Opportunistic | Guard::Watched => TlsWish::Opportunistic,
            Guard::Encrypted | Guard::Verified | Guard::Dane(_) => TlsWish::Required,
        };
        let mut seen = Seen::default();
        let connector = match &asked.guard {
            Guard::Verified => self.tls.verified(&to.names()),
            Guard::Dane(found) => self.tls.dane(found.records.clone(), &[to.names(), vec![found.base.clone()]].concat()),
            Guard::Watched => self.tls.watched(&[to.name.to_owned()]).map(|(connector, watched)| {
                seen = watched;
                connector
            }),
            _ => Ok(self.tls.opportunistic()),
        };
        let connector = match connector {
            Ok(connector) => connector,
            Err(why) => return Tried::failed(letter, &why),
        };
        let (tried, handshake) = self.session(to, wish, asked, letter, &connector).await;
        let Handshake::Failed(why, result) = handshake else {
            match &tried.link {
                Some(link) if link.is_secure => {
                    self.count_of(to, asked, seen.wrong().or(asked.wrong).unwrap_or("success"), &tried.between);
                }
                _ if tried.is_without_tls => self.count_of(to, asked, "starttls-not-supported", &tried.between),
                _ => {}
            }
            let is_refused = tried.is_without_tls && wish == TlsWish::Required;
            let failed = is_refused.then(|| format!("5.7.10 {} [{}]: {NO_TLS}", to.name, to.address));
            return Tried { failed, ..tried };
        };
        self.count_of(to, asked, result, &tried.between);
        if matches!(wish, TlsWish::Required | TlsWish::Active) {
            let told = format!("{} [{}]: TLS fails, and it is required – {why}", to.name, to.address);
            return Tried { failed: Some(format!("5.7.10 {told}")), ..Tried::failed(letter, &format!("4.7.5 {told}")) };
        }
        self.tracer.note(now(), &format!("{} [{}]: TLS failed, and goes without – {why}", to.name, to.address));
        self.session(to, TlsWish::Without, asked, letter, &connector).await.0
    }

    async fn session(
        &self,
        to: &To<'_>,
        wish: TlsWish,
        asked: &Asked,
        letter: &Letter,
        connector: &tokio_rustls::TlsConnector,
    ) -> (Tried, Handshake) {
        let credentials = match to.route.and_then(|route| route.login.as_ref()).map(credentials).transpose() {
            Ok(credentials) => credentials,
            Err(why) => return (Tried::failed(letter, &why), Handshake::NotFailed),
        };
        let client = Client::new(&self.hostname, wish, credentials, letter.announced.clone()).nonce(&nonce());
        let client = client.afterwards(Afterwards::Keep).refusing_itself();
        let tracer = self.tracer.clone();
        let opened = Link::open((to.name, to.address), (client, to.start()), || tracer.begin("delivery", to.address)).await;
        let mut link = match opened {
            Ok(link) => link,
            Err(why) => return (Tried::failed(letter, &format!("4.4.1 {why}")), Handshake::NotFailed),
        };
        if let Guard::Dane(found) = &asked.guard {
            link.ask_for(&found.base);
        }
        let (outcomes, handshake) = link.run(letter, connector).await;
        link.is_verified = link.is_secure && asked.guard.is_verified();
        let has_answered = link.client.has_answered();
        let is_final = outcomes.iter().any(|(_, outcome)| !matches!(outcome, Outcome::Temporary(_)));
        let is_without_tls = wish != TlsWish::Without
            && matches!(handshake, Handshake::NotFailed)
            && !link.is_secure
            && (has_answered || outcomes.iter().any(|(_, o)| matches!(o, Outcome::Temporary(why) if why == NO_TLS)));
        let between = link.between.clone();
        let reports = reports(&link, outcomes);
        let tried = Tried { reports, has_answered: has_answered || is_final, is_without_tls, between, link: None, failed: None };
        let is_secure = link.is_secure;
        let link = Some(link).filter(|link| link.client.is_idle() || is_secure);
        (Tried { link, ..tried }, handshake)
    }

    fn count_of(&self, to: &To<'_>, asked: &Asked, result: &'static str, between: &(String, String)) {
        if to.route.is_some() {
            return;
        }
        // of sessions that went well it is told how many there were
        let between = if result == "success" { Default::default() } else { between.clone() };
        self.count(TlsResult { result: result.to_owned(), between, ..told(to.domain, to.name, &asked.basis) });
    }

    /// Counts how TLS went (RFC 8460); nobody waits for that.
    fn count(&self, result: TlsResult) {
        let (store, tracer) = (Arc::clone(&self.store.0), self.tracer.clone());
        tokio::task::spawn_blocking(move || {
            if let Err(error) = store.count_tls(now().unix() / 86_400, result) {
                tracer.note(now(), &format!("how TLS went could not be counted – {error}"));
            }
        });
    }
}

/// Writes a message into the drop folder.
async fn dropped(drop: Drop, letter: Letter) -> Attempt {
    let written = letter.clone();
    let outcome = tokio::task::spawn_blocking(move || drop.write(&written, now())).await;
    let outcome = outcome.unwrap_or_else(|error| Outcome::Temporary(format!("4.3.0 {error}")));
    let reached = match &outcome {
        Outcome::Temporary(why) => Reached::No(why.clone()),
        _ => Reached::Yes,
    };
    Attempt { reports: all(&letter, &outcome), reached }
}

/// A server that is asked.
struct To<'a> {
    domain: &'a str,
    name: &'a str,
    address: SocketAddr,
    route: Option<&'a Route>,
}

impl To<'_> {
    fn start(&self) -> Start {
        self.route.map_or(Start::Command, |route| route.start)
    }

    /// The names that its certificate may have: its own, and below an authority of the domain also the domain (RFC 7672 3.2.2).
    fn names(&self) -> Vec<String> {
        let mut names = vec![self.name.to_owned()];
        if self.route.is_none() {
            names.extend(idna::domain_to_ascii(self.domain));
        }
        names
    }
}

/// What asking one server brought.
struct Tried {
    reports: Vec<Report>,
    has_answered: bool,
    is_without_tls: bool,
    between: (String, String),
    link: Option<Link>,
    /// What is told where the message itself asks for the TLS that failed.
    failed: Option<String>,
}

impl Tried {
    fn failed(letter: &Letter, why: &str) -> Self {
        let reports = all(letter, &Outcome::Temporary(why.to_owned()));
        Self { reports, has_answered: false, is_without_tls: false, between: Default::default(), link: None, failed: None }
    }
}

/// Where an attempt stands.
struct Trying {
    settled: Vec<Report>,
    /// Who is asked for at the next server.
    left: Vec<Report>,
    reached: Option<Reached>,
    /// Whether the message itself asks for TLS.
    is_own: bool,
    /// Why no server so far keeps to that; none where one could not be asked at all.
    failed: Option<String>,
}

impl Trying {
    /// The message for those who are left.
    fn rest(&self, letter: &Letter) -> Letter {
        let is_left = |address: &str| self.left.iter().any(|report| report.address == address);
        letter.to(letter.announced.recipients.iter().filter(|to| is_left(&to.address)).cloned().collect())
    }

    fn take(&mut self, tried: Tried, link: &mut Option<Link>) {
        self.failed = tried.failed.filter(|_| self.is_own);
        // RFC 8689 4.2.1: another server of the domain may promise what this one does not
        let is_left = |report: &Report| match &report.outcome {
            Outcome::Temporary(_) => true,
            Outcome::Permanent(why) => self.is_own && why == NO_REQUIRETLS,
            Outcome::Delivered(_) => false,
        };
        let (again, done): (Vec<_>, Vec<_>) = tried.reports.into_iter().partition(is_left);
        if tried.has_answered {
            self.reached = Some(Reached::Yes);
        } else if self.reached.is_none() || matches!(self.reached, Some(Reached::No(_))) {
            let why = again.first().map(|report| match &report.outcome {
                Outcome::Delivered(why) | Outcome::Temporary(why) | Outcome::Permanent(why) => why.clone(),
            });
            self.reached = Some(Reached::No(why.unwrap_or_default()));
        }
        self.settled.extend(done);
        self.left = again;
        if let Some(new) = tried.link.filter(|link| link.client.is_idle()) {
            *link = Some(new);
        }
    }

    fn not_now(&mut self, why: &str) {
        self.failed = None;
        self.left.iter_mut().for_each(|report| report.outcome = Outcome::Temporary(why.to_owned()));
        if self.reached.is_none() {
            self.reached = Some(Reached::No(why.to_owned()));
        }
    }
}

/// What is counted of a server, without how it went.
fn told(domain: &str, mx: &str, basis: &Basis) -> TlsResult {
    let (domain, mx, policy) = (domain.to_owned(), mx.to_owned(), basis.kind.to_owned());
    TlsResult { domain, mx, policy, wording: basis.wording.clone(), ..TlsResult::default() }
}

fn credentials(login: &Login) -> Result<Credentials, String> {
    let told =
        |error: std::io::Error| format!("4.7.8 the password in {} cannot be read – {error}", login.password_file.display());
    let text = Secret::new(std::fs::read(&login.password_file).map_err(told)?);
    let line = text.expose().split(|byte| matches!(byte, b'\n' | b'\r')).next().unwrap_or_default();
    Ok(Credentials { user: login.user.clone(), password: Secret::new(line.to_vec()) })
}

fn reports(link: &Link, outcomes: Vec<(String, Outcome)>) -> Vec<Report> {
    let passes_reports = link.client.offers("DSN");
    let report = |(address, outcome)| Report { address, outcome, server: link.name.clone(), passes_reports };
    outcomes.into_iter().map(report).collect()
}

fn all(letter: &Letter, outcome: &Outcome) -> Vec<Report> {
    let report = |address: &String| Report { address: address.clone(), outcome: outcome.clone(), ..Report::default() };
    letter.announced.recipients.iter().map(|to| report(&to.address)).collect()
}

/// Our half of what makes every login by SCRAM another one.
fn nonce() -> String {
    let mut bytes = [0; 18];
    OsRandom.fill(&mut bytes);
    crate::pki::hex(&bytes)
}
