//! `sealpost serve`, `domain`, `user`, `alias`: the mail server of a home.

mod backup;
pub(crate) mod client;
mod doctor;
mod fetch;
mod filter;
mod monitor;
mod queue;
mod send;
mod up;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, Subcommand};
use serde_json::json;
use tokio::signal::unix::{Signal, SignalKind, signal};

use sealpost::crypto::random::Random;
use sealpost::proto::smtp::Credentials;
use sealpost::secret::Secret;
use sealpost::server::accounts::Accounts;
use sealpost::server::config::Hop;
use sealpost::server::filter::{FileFilters, Filters};
use sealpost::server::store::{Error as StoreError, SqliteStore};
use sealpost::server::{self, Config, Service, Source};

use crate::cli::context::Context;
use crate::cli::failure::{Exit, Failure, on_file};
use crate::cli::{output, report};

/// The verbs of the server.
#[derive(Debug, Subcommand)]
pub(crate) enum ServiceVerb {
    /// Set up a mail server in the home: CA, TLS, domains, users, configuration
    Up(up::UpArgs),
    /// Run the mail server
    Serve(ServeArgs),
    /// The domains of the server
    Domain {
        #[command(subcommand)]
        verb: DomainVerb,
    },
    /// The users of the server
    User {
        #[command(subcommand)]
        verb: UserVerb,
    },
    /// Addresses that lead to other addresses
    Alias {
        #[command(subcommand)]
        verb: AliasVerb,
    },
    /// The mail that waits for other servers
    Queue {
        #[command(subcommand)]
        verb: queue::QueueVerb,
    },
    /// The state of the running server
    Status,
    /// Have the running server read its configuration and its certificate again
    #[command(before_help = "\
Examples:
  sealpost reload          the same as the signal HUP to the server; says what changed, what needs a restart, or what is wrong")]
    Reload,
    /// Check DNS, ports, TLS, disk, clock, permissions, database, queue and accounts
    Doctor(doctor::DoctorArgs),
    /// Show what is said on every connection of the running server, with secrets masked
    Trace(monitor::TraceArgs),
    /// Write keys, configuration, accounts, mail and queue into one file
    Backup(backup::BackupArgs),
    /// Put a backup into an empty home
    Restore(backup::RestoreArgs),
    /// Hand a message to a mail server
    Send(send::SendArgs),
    /// Fetch the messages of a mailbox by POP3
    Fetch(fetch::FetchArgs),
}

impl ServiceVerb {
    /// Its name, as JSON results have it.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Up(_) => "up",
            Self::Serve(_) => "serve",
            Self::Domain { .. } => "domain",
            Self::User { .. } => "user",
            Self::Alias { .. } => "alias",
            Self::Queue { .. } => "queue",
            Self::Status => "status",
            Self::Reload => "reload",
            Self::Doctor(_) => "doctor",
            Self::Trace(_) => "trace",
            Self::Backup(_) => "backup",
            Self::Restore(_) => "restore",
            Self::Send(_) => "send",
            Self::Fetch(_) => "fetch",
        }
    }
}

/// Run the mail server
#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  sealpost serve                          the home's configuration; Ctrl-C stops it
  sealpost serve --check                  every mistake in the configuration")]
pub(crate) struct ServeArgs {
    /// The configuration (default: sealpost.toml in the home)
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Check the configuration and stop
    #[arg(long)]
    check: bool,
}

/// What is done to a domain.
#[derive(Debug, Subcommand)]
pub(crate) enum DomainVerb {
    /// Add a domain
    Add {
        /// The domain
        domain: String,
    },
    /// List the domains
    List,
    /// Remove a domain that has no users
    Remove {
        /// The domain
        domain: String,
    },
    /// Bound the bytes of all mailboxes of a domain together
    Quota {
        /// The domain
        domain: String,
        /// Bytes; 0 lifts the bound
        bytes: u64,
    },
}

/// What is done to a user.
#[derive(Debug, Subcommand)]
pub(crate) enum UserVerb {
    /// Add a user; without a passphrase option a password is made and printed once
    Add {
        /// The address
        address: String,
    },
    /// List the users
    List,
    /// Change a password
    Passwd {
        /// The address
        address: String,
    },
    /// Put a filter (Sieve, RFC 5228) in place, show it, check one, or take it away
    Filter(filter::FilterArgs),
    /// Remove a user and his mail
    Remove {
        /// The address
        address: String,
    },
    /// Bound the bytes of a mailbox
    Quota {
        /// The address
        address: String,
        /// Bytes; 0 lifts the bound
        bytes: u64,
    },
}

/// What is done to an alias.
#[derive(Debug, Subcommand)]
pub(crate) enum AliasVerb {
    /// Lead an address to another; several times, and it is a list
    Add {
        /// The alias; `@domain` takes what nobody else of the domain takes
        alias: String,
        /// Where it leads
        target: String,
    },
    /// List the aliases
    List,
    /// Remove an alias
    Remove {
        /// The alias
        alias: String,
    },
}

/// Runs the verb.
pub(crate) fn run(context: &Context, verb: ServiceVerb) -> Result<Exit, Failure> {
    match verb {
        ServiceVerb::Up(args) => up::run(context, &args),
        ServiceVerb::Serve(args) => serve(context, &args),
        ServiceVerb::Domain { verb } => domain(context, verb),
        ServiceVerb::User { verb } => user(context, verb),
        ServiceVerb::Alias { verb } => alias(context, verb),
        ServiceVerb::Queue { verb } => queue::run(context, &verb),
        ServiceVerb::Status => monitor::status(context),
        ServiceVerb::Reload => monitor::reload(context),
        ServiceVerb::Doctor(args) => doctor::run(context, &args),
        ServiceVerb::Trace(args) => monitor::trace(context, &args),
        ServiceVerb::Backup(args) => backup::backup(context, &args),
        ServiceVerb::Restore(args) => backup::restore(context, &args),
        ServiceVerb::Send(args) => send::run(context, &args),
        ServiceVerb::Fetch(args) => fetch::run(context, &args),
    }
}

fn serve(context: &Context, args: &ServeArgs) -> Result<Exit, Failure> {
    let config = read_config(context, args.config.as_deref())?;
    if args.check {
        eprintln!("the configuration is good");
        return done(context, "serve.check");
    }
    let path = args.config.clone().unwrap_or_else(|| context.home_path().join("sealpost.toml"));
    let path = std::path::absolute(&path).map_err(Failure::io)?;
    // before the runtime has threads
    let (sockets, standing) = server::prepare(&config, &[&path]).map_err(Failure::io)?;
    if let Some(warning) = &standing.warning {
        eprintln!("warning: {warning}");
    }
    let source = Source::new(move || config_of(&path).map_err(|failure| failure.message));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::io(format!("the server cannot start – {error}")))?;
    runtime.block_on(async {
        // before anybody is told that the server is ready: from then on a signal may come
        let told = |error: std::io::Error| Failure::io(format!("the server cannot start – {error}"));
        let (mut signals, mut again) = (Signals::new().map_err(told)?, signal(SignalKind::hangup()).map_err(told)?);
        let start = server::Start::new(config).sockets(sockets).source(source).standing(standing);
        let running = start.run().await.map_err(Failure::io)?;
        for (service, address) in running.addresses() {
            output::stdout(format!("{} on {address}\n", service.name()).as_bytes())?;
        }
        output::stdout(b"ready\n")?;
        let mut events = running.tracer().listen();
        let log = tokio::spawn(async move {
            use tokio::sync::broadcast::error::RecvError;
            loop {
                match events.recv().await {
                    Ok(event) if event.service == "note" => eprintln!("{}  {}", event.at, report::safe(&event.text)),
                    Ok(_) | Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => break,
                }
            }
        });
        loop {
            tokio::select! {
                () = signals.wait() => break,
                // what came of it is a note, as all that the server does
                _ = again.recv() => drop(running.reload().await),
            }
        }
        eprintln!("stopping");
        running.stop().await;
        log.abort();
        Ok(Exit::Good)
    })
}

/// Ctrl-C, or the signal by which service managers stop a program; heard from when this is made.
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    pub(crate) fn new() -> std::io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    pub(crate) async fn wait(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

fn read_config(context: &Context, file: Option<&Path>) -> Result<Config, Failure> {
    config_of(&file.map_or_else(|| context.home_path().join("sealpost.toml"), Path::to_owned))
}

fn config_of(path: &Path) -> Result<Config, Failure> {
    if !path.exists() {
        return Err(Failure::usage(format!("there is no configuration {}", path.display())).hint("make one with `sealpost up`"));
    }
    let text = std::fs::read_to_string(path).map_err(on_file("read", path))?;
    let folder = path.parent().unwrap_or(Path::new("."));
    Config::parse(&text, folder).map_err(|mistakes| {
        let lines: Vec<String> = mistakes.iter().map(|mistake| format!("  {mistake}")).collect();
        Failure::usage(format!("{} has {} mistakes\n{}", path.display(), mistakes.len(), lines.join("\n")))
    })
}

/// Where the home's server is reached for a service.
pub(crate) fn own(context: &Context, service: Service) -> Result<Hop, Failure> {
    let config = read_config(context, None)?;
    let address = config.listeners.iter().find(|(known, _)| *known == service).map(|(_, address)| *address);
    let address = address.ok_or_else(|| Failure::usage(format!("the server of this home does not serve {}", service.name())))?;
    // the certificate of `up` is good for the name, and for this machine under its usual one
    let host = if address.ip().is_loopback() || address.ip().is_unspecified() { "localhost".to_owned() } else { config.hostname };
    Ok(Hop { host, port: address.port() })
}

/// Where the home's server keeps its data.
pub(crate) fn data(context: &Context) -> Result<PathBuf, Failure> {
    Ok(read_config(context, None)?.data)
}

/// A user with the password of the options or a prompt.
pub(crate) fn credentials(context: &Context, user: Option<&str>) -> Result<Option<Credentials>, Failure> {
    let Some(user) = user else { return Ok(None) };
    let what = format!("the mailbox {user}");
    let password = context.passphrase.to_unlock(&what)?.ok_or_else(|| {
        Failure::usage(format!("no password for {what} was given"))
            .hint("give it with --passphrase-file FILE or --passphrase-fd N")
    })?;
    Ok(Some(Credentials { user: user.to_owned(), password }))
}

pub(crate) fn accounts_in(data: &Path) -> Result<Accounts, Failure> {
    let store = SqliteStore::open(data).map_err(from_store)?;
    Accounts::new(Arc::new(store)).map_err(from_store)
}

/// The accounts of the home's server.
pub(crate) fn accounts(context: &Context) -> Result<Accounts, Failure> {
    let config = read_config(context, None)?;
    accounts_in(&config.data)?.with(&config.accounts).map_err(Failure::usage)
}

/// What an error of the store means for the command line.
pub(crate) fn from_store(error: StoreError) -> Failure {
    match error {
        StoreError::NotFound(_) | StoreError::Exists(_) => Failure::usage(error),
        other => Failure::io(other),
    }
}

fn domain(context: &Context, verb: DomainVerb) -> Result<Exit, Failure> {
    let accounts = accounts(context)?;
    match verb {
        DomainVerb::Add { domain } => {
            if Hop::parse(&domain).is_none_or(|hop| hop.host != domain) {
                return Err(Failure::usage(format!("{domain} is not a domain")));
            }
            accounts.store().add_domain(&domain.to_lowercase()).map_err(from_store)?;
            done(context, "domain.add")
        }
        DomainVerb::Remove { domain } => {
            accounts.store().remove_domain(&domain.to_lowercase()).map_err(from_store)?;
            done(context, "domain.remove")
        }
        DomainVerb::Quota { domain, bytes } => {
            accounts.store().set_quota(&domain.to_lowercase(), bytes).map_err(from_store)?;
            done(context, "domain.quota")
        }
        DomainVerb::List => list(context, "domain", &accounts.store().domains().map_err(from_store)?),
    }
}

/// The JSON result of a command that has nothing to tell but that it went well.
pub(crate) fn done(context: &Context, verb: &str) -> Result<Exit, Failure> {
    if context.json {
        context.print_json(&json!({ "schema": format!("sealpost.{verb}/1"), "exit": 0 }))?;
    }
    Ok(Exit::Good)
}

/// An address in lower case; refuses what cannot be one.
fn address(text: &str) -> Result<String, Failure> {
    let is_good = text.rsplit_once('@').is_some_and(|(local, domain)| {
        let is_local = !local.is_empty() && !local.contains(|c: char| c.is_whitespace() || c.is_control() || "<>,;@".contains(c));
        is_local && Hop::parse(domain).is_some_and(|hop| hop.host == domain)
    });
    if is_good { Ok(text.to_lowercase()) } else { Err(Failure::usage(format!("{text} is not an address, as jane@a.example"))) }
}

/// An address, or `@domain`: the catch-all of a domain.
fn alias_name(text: &str) -> Result<String, Failure> {
    match text.strip_prefix('@') {
        Some(domain) if Hop::parse(domain).is_some_and(|hop| hop.host == domain) => Ok(text.to_lowercase()),
        _ => address(text),
    }
}

fn user(context: &Context, verb: UserVerb) -> Result<Exit, Failure> {
    let accounts = accounts(context)?;
    match verb {
        UserVerb::Add { address } => {
            let address = self::address(&address)?;
            let password = password(context, &address)?;
            accounts.add_user(&address, &password.secret).map_err(from_store)?;
            eprintln!("user: {}", report::safe(&address));
            told(context, "add", &address, &password)?;
        }
        UserVerb::Passwd { address } => {
            let password = password(context, &address)?;
            accounts.set_password(&address, &password.secret).map_err(from_store)?;
            told(context, "passwd", &address, &password)?;
        }
        UserVerb::Remove { address } => {
            accounts.store().remove_user(&address.to_lowercase()).map_err(from_store)?;
            // whoever gets the name next does not get the filter
            FileFilters::new(&data(context)?).remove(&address.to_lowercase()).map_err(from_store)?;
            return done(context, "user.remove");
        }
        UserVerb::Filter(args) => return filter::run(context, &args),
        UserVerb::Quota { address, bytes } => {
            accounts.store().set_quota(&self::address(&address)?, bytes).map_err(from_store)?;
            return done(context, "user.quota");
        }
        UserVerb::List => return list(context, "user", &accounts.store().users().map_err(from_store)?),
    }
    Ok(Exit::Good)
}

fn alias(context: &Context, verb: AliasVerb) -> Result<Exit, Failure> {
    let accounts = accounts(context)?;
    match verb {
        AliasVerb::Add { alias, target } => {
            accounts.store().add_alias(&alias_name(&alias)?, &address(&target)?).map_err(from_store)?;
            done(context, "alias.add")
        }
        AliasVerb::Remove { alias } => {
            accounts.store().remove_alias(&alias.to_lowercase()).map_err(from_store)?;
            done(context, "alias.remove")
        }
        AliasVerb::List => {
            let lines: Vec<String> = accounts
                .store()
                .aliases()
                .map_err(from_store)?
                .into_iter()
                .map(|(alias, target)| format!("{alias} {target}"))
                .collect();
            list(context, "alias", &lines)
        }
    }
}

/// A user's new password.
pub(crate) struct NewPassword {
    pub(crate) secret: Secret<Vec<u8>>,
    /// Whether it was made here, so that nobody knows it yet.
    is_made: bool,
}

impl NewPassword {
    /// Tells a password that was made here, this once; in the JSON result instead, where one is wanted.
    pub(crate) fn tell(&self, context: &Context, address: &str) -> Result<(), Failure> {
        if context.json || !self.is_made {
            return Ok(());
        }
        output::stdout(format!("{} {}\n", report::safe(address), String::from_utf8_lossy(self.secret.expose())).as_bytes())
    }

    /// For the JSON result: the password where it was made here, this once.
    pub(crate) fn to_json(&self, address: &str) -> serde_json::Value {
        let told = self.is_made.then(|| String::from_utf8_lossy(self.secret.expose()));
        json!({ "address": address, "password": told })
    }
}

/// The result of a command about one user.
fn told(context: &Context, verb: &str, address: &str, password: &NewPassword) -> Result<(), Failure> {
    if !context.json {
        return password.tell(context, address);
    }
    let users = [password.to_json(&address.to_lowercase())];
    context.print_json(&json!({ "schema": format!("sealpost.user.{verb}/1"), "users": users }))
}

/// The password of the options or of a prompt; else one is made.
pub(crate) fn password(context: &Context, address: &str) -> Result<NewPassword, Failure> {
    if let Some(secret) = context.passphrase.to_protect(&format!("the mailbox {address}"), 0)? {
        return Ok(NewPassword { secret, is_made: false });
    }
    const LETTERS: &[u8] = b"abcdefghijkmnopqrstuvwxyz23456789";
    let mut bytes = [0; 20];
    context.random().fill(&mut bytes);
    let letters = bytes.iter().filter_map(|byte| LETTERS.get(usize::from(*byte) % LETTERS.len()).copied());
    let secret = Secret::new(letters.collect::<Vec<u8>>());
    Ok(NewPassword { secret, is_made: true })
}

fn list(context: &Context, kind: &str, lines: &[String]) -> Result<Exit, Failure> {
    if context.json {
        context.print_json(&json!({ "schema": format!("sealpost.{kind}.list/1"), format!("{kind}s"): lines }))?;
        return Ok(Exit::Good);
    }
    for line in lines {
        output::stdout(format!("{}\n", report::safe(line)).as_bytes())?;
    }
    Ok(Exit::Good)
}
