//! `sealpost serve`, `domain`, `user`, `alias`: the mail server of a home.

mod autoconfig;
mod backup;
pub(crate) mod client;
mod doctor;
mod doors;
mod fetch;
mod filter;
mod handover;
mod monitor;
mod notify;
mod queue;
mod running;
mod send;
pub(crate) mod sendmail;
mod size;
mod token;
mod up;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use tokio::signal::unix::{Signal, SignalKind, signal};

use sealpost::crypto::random::Random;
use sealpost::proto::smtp::Credentials;
use sealpost::secret::Secret;
use sealpost::server::accounts::Accounts;
use sealpost::server::config::{Hop, Mistake};
use sealpost::server::log::Log;
use sealpost::server::manage::{self, Manage, json as told_as};
use sealpost::server::store::{Error as StoreError, SqliteStore, Standing};
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
    /// The tokens of the admin API
    Token {
        #[command(subcommand)]
        verb: token::TokenVerb,
    },
    /// The state of the running server
    Status,
    /// Have the running server read its configuration and its certificate again
    #[command(before_help = "\
Examples:
  sealpost reload          the same as the signal HUP to the server; says what changed, what needs a restart, or what is wrong")]
    Reload,
    /// The virtual servers of the running process, each started, stopped and paused alone
    #[command(before_help = "\
Examples:
  sealpost server list
  sealpost server pause main          who comes is told to try again later
  sealpost server stop office         the others go on")]
    Server {
        #[command(subcommand)]
        verb: doors::ServerVerb,
    },
    /// Who is shut out: for failed logins, or by hand
    #[command(before_help = "\
Examples:
  sealpost ban list
  sealpost ban add 192.0.2.0/24 --for 2h
  sealpost ban add spammer@b.example      no mail with this sender, until it is lifted
  sealpost ban lift 192.0.2.0/24")]
    Ban {
        #[command(subcommand)]
        verb: doors::BanVerb,
    },
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
    /// Print the settings of mail programs for a domain
    Autoconfig(autoconfig::AutoconfigArgs),
}

impl ServiceVerb {
    /// Its name, as JSON results have it.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Up(_) => "up",
            Self::Serve(args) => args.name(),
            Self::Domain { verb } => verb.name(),
            Self::User { verb } => verb.name(),
            Self::Alias { verb } => verb.name(),
            Self::Queue { verb } => verb.name(),
            Self::Token { verb } => verb.name(),
            Self::Status => "status",
            Self::Reload => "reload",
            Self::Server { verb } => verb.name(),
            Self::Ban { verb } => verb.name(),
            Self::Doctor(_) => "doctor",
            Self::Trace(_) => "trace",
            Self::Backup(_) => "backup",
            Self::Restore(_) => "restore",
            Self::Send(_) => "send",
            Self::Fetch(_) => "fetch",
            Self::Autoconfig(_) => "autoconfig",
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

impl ServeArgs {
    const fn name(&self) -> &'static str {
        if self.check { "serve.check" } else { "serve" }
    }
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
        /// Bytes, or a size, as 500M, 20G, 512KiB (multiples of 1024); 0 lifts the bound
        #[arg(value_name = "SIZE", value_parser = size::parse)]
        bytes: u64,
    },
}

impl DomainVerb {
    const fn name(&self) -> &'static str {
        match self {
            Self::Add { .. } => "domain.add",
            Self::List => "domain.list",
            Self::Remove { .. } => "domain.remove",
            Self::Quota { .. } => "domain.quota",
        }
    }
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
    /// Show a user
    Show {
        /// The address
        address: String,
    },
    /// Let a user in no more; mail for him is kept
    Suspend {
        /// The address
        address: String,
    },
    /// Let a user in again
    Resume {
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
        /// Bytes, or a size, as 500M, 20G, 512KiB (multiples of 1024); 0 lifts the bound
        #[arg(value_name = "SIZE", value_parser = size::parse)]
        bytes: u64,
    },
}

impl UserVerb {
    const fn name(&self) -> &'static str {
        match self {
            Self::Add { .. } => "user.add",
            Self::List => "user.list",
            Self::Passwd { .. } => "user.passwd",
            Self::Show { .. } => "user.show",
            Self::Suspend { .. } => "user.suspend",
            Self::Resume { .. } => "user.resume",
            Self::Filter(_) => "user.filter",
            Self::Remove { .. } => "user.remove",
            Self::Quota { .. } => "user.quota",
        }
    }
}

/// What is done to an alias.
#[derive(Debug, Subcommand)]
pub(crate) enum AliasVerb {
    /// Lead an address to others; several times, and it has all of them
    #[command(before_help = "\
Examples:
  sealpost alias add info@a.example jane@a.example
  sealpost alias add all@a.example jane@a.example joe@a.example bob@b.example
  sealpost alias add @a.example jane@a.example         what nobody else of the domain takes")]
    Add {
        /// The alias; `@domain` takes what nobody else of the domain takes
        alias: String,
        /// Where it leads
        #[arg(value_name = "TARGET", required = true)]
        targets: Vec<String>,
    },
    /// List the aliases
    List,
    /// Remove an alias
    Remove {
        /// The alias
        alias: String,
    },
}

impl AliasVerb {
    const fn name(&self) -> &'static str {
        match self {
            Self::Add { .. } => "alias.add",
            Self::List => "alias.list",
            Self::Remove { .. } => "alias.remove",
        }
    }
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
        ServiceVerb::Token { verb } => token::run(context, &verb),
        ServiceVerb::Status => monitor::status(context),
        ServiceVerb::Reload => monitor::reload(context),
        ServiceVerb::Server { verb } => doors::server(context, verb),
        ServiceVerb::Ban { verb } => doors::ban(context, &verb),
        ServiceVerb::Doctor(args) => doctor::run(context, &args),
        ServiceVerb::Trace(args) => monitor::trace(context, &args),
        ServiceVerb::Backup(args) => backup::backup(context, &args),
        ServiceVerb::Restore(args) => backup::restore(context, &args),
        ServiceVerb::Send(args) => send::run(context, &args),
        ServiceVerb::Fetch(args) => fetch::run(context, &args),
        ServiceVerb::Autoconfig(args) => autoconfig::run(context, &args),
    }
}

fn serve(context: &Context, args: &ServeArgs) -> Result<Exit, Failure> {
    let config = read_config(context, args.config.as_deref())?;
    if args.check {
        eprintln!("the configuration is good");
        return done(context, args.name());
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
        let logged = config.log.clone();
        let start = server::Start::new(config).sockets(sockets).source(source).standing(standing);
        let running = start.run().await.map_err(Failure::io)?;
        let log = Log::open(&logged, running.tracer()).and_then(Log::begin).map_err(Failure::io)?;
        for (service, address) in running.addresses() {
            output::stdout(format!("{} on {address}\n", service.name()).as_bytes())?;
        }
        if let Some(address) = running.api() {
            output::stdout(format!("api on {address}\n").as_bytes())?;
        }
        output::stdout(b"ready\n")?;
        notify::tell(notify::READY);
        loop {
            tokio::select! {
                () = signals.wait() => break,
                // what came of it is a note, as all that the server does
                _ = again.recv() => drop(running.reload().await),
            }
        }
        eprintln!("stopping");
        notify::tell(notify::STOPPING);
        running.stop().await;
        // what was said last is written
        log.end(Duration::from_millis(200));
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
    parsed(path)?.map_err(|mistakes| has_mistakes(path, &mistakes))
}

/// The configuration of a file, or what is wrong with it.
fn parsed(path: &Path) -> Result<Result<Config, Vec<Mistake>>, Failure> {
    if !path.exists() {
        return Err(Failure::usage(format!("there is no configuration {}", path.display())).hint("make one with `sealpost up`"));
    }
    let text = std::fs::read_to_string(path).map_err(on_file("read", path))?;
    Ok(Config::parse(&text, path.parent().unwrap_or(Path::new("."))))
}

/// A file that was written by hand, and every mistake in it.
fn has_mistakes(path: &Path, mistakes: &[impl std::fmt::Display]) -> Failure {
    let lines: Vec<String> = mistakes.iter().map(|mistake| format!("  {mistake}")).collect();
    let many = if mistakes.len() == 1 { "a mistake".to_owned() } else { format!("{} mistakes", mistakes.len()) };
    Failure::usage(format!("{} has {many}\n{}", path.display(), lines.join("\n")))
}

/// The configuration of the home's server.
pub(crate) fn config(context: &Context) -> Result<Config, Failure> {
    read_config(context, None)
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
    accounts_of(&config(context)?)
}

fn accounts_of(config: &Config) -> Result<Accounts, Failure> {
    accounts_in(&config.data)?.with(&config.accounts).map_err(Failure::usage)
}

/// What an error of the store means for the command line.
pub(crate) fn from_store(error: StoreError) -> Failure {
    match error {
        StoreError::NotFound(_) | StoreError::Exists(_) | StoreError::InUse(_) => Failure::usage(error),
        other => Failure::io(other),
    }
}

/// What is done to the data of the home's server.
pub(crate) fn manage(context: &Context) -> Result<Manage, Failure> {
    let config = config(context)?;
    Ok(Manage::new(accounts_of(&config)?, &config.data))
}

/// What an error of an administrator's verb means for the command line.
pub(crate) fn from_manage(error: manage::Error) -> Failure {
    match error {
        manage::Error::Store(error) => from_store(error),
        manage::Error::Nothing(_) => {
            Failure::usage(error).hint("name a message by its number, or several with --domain DOMAIN or --user ADDRESS")
        }
        manage::Error::Circle(_) => Failure::usage(error).hint("lead it to a mailbox, or to an address elsewhere"),
        manage::Error::HasMailbox(_) => Failure::usage(error)
            .hint("`sealpost user filter` sends his mail on (redirect), `sealpost user remove` makes room for the alias"),
        manage::Error::IsAlias(_) => Failure::usage(error).hint("`sealpost alias remove` makes room for the user"),
        other => Failure::usage(other),
    }
}

fn domain(context: &Context, verb: DomainVerb) -> Result<Exit, Failure> {
    let (manage, name) = (manage(context)?, verb.name());
    let result = match verb {
        DomainVerb::Add { domain } => manage.add_domain(&domain).map(|kept| {
            if !domain.is_ascii() {
                eprintln!("domain: {kept} ({})", report::safe(&domain));
            }
        }),
        DomainVerb::Remove { domain } => return remove_domain(context, &manage, &domain),
        DomainVerb::Quota { domain, bytes } => manage.set_domain_quota(&domain, bytes),
        DomainVerb::List => {
            let domains = manage.domains().map_err(from_manage)?;
            let quotas = manage.domain_quotas().map_err(from_manage)?;
            let line = |domain: &String| match quotas.iter().find(|known| known.domain == *domain) {
                Some(known) => format!("{domain}  {}", bytes_of(known.room)),
                None => domain.clone(),
            };
            let lines: Vec<String> = domains.iter().map(line).collect();
            return list(context, &told_as::domains(&domains, &quotas), &lines);
        }
    };
    result.map_err(from_manage)?;
    done(context, name)
}

fn remove_domain(context: &Context, manage: &Manage, domain: &str) -> Result<Exit, Failure> {
    manage.remove_domain(domain).map_err(|error| match error {
        manage::Error::Store(StoreError::InUse(_)) => from_manage(error)
            .hint("`sealpost user list` shows its users, `sealpost user remove ADDRESS` removes one with his mail"),
        other => from_manage(other),
    })?;
    done(context, "domain.remove")
}

/// What a mailbox or a domain holds, and may hold.
fn bytes_of((used, quota): (u64, u64)) -> String {
    if quota == 0 { format!("{used} bytes") } else { format!("{used} of {quota} bytes") }
}

/// The JSON result of a command that has nothing to tell but that it went well.
pub(crate) fn done(context: &Context, verb: &str) -> Result<Exit, Failure> {
    if context.json {
        context.print_json(&told_as::done(verb))?;
    }
    Ok(Exit::Good)
}

fn user(context: &Context, verb: UserVerb) -> Result<Exit, Failure> {
    let (manage, name) = (manage(context)?, verb.name());
    let result = match verb {
        UserVerb::Add { address } => {
            let password = password(context, &address)?;
            let address = manage.add_user(&address, &password.secret).map_err(from_manage)?;
            eprintln!("user: {}", report::safe(&address));
            told(context, "add", &address, &password)?;
            return Ok(Exit::Good);
        }
        UserVerb::Passwd { address } => {
            let password = password(context, &address)?;
            let address = manage.set_password(&address, &password.secret).map_err(from_manage)?;
            told(context, "passwd", &address, &password)?;
            return Ok(Exit::Good);
        }
        UserVerb::Filter(args) => return filter::run(context, &args),
        UserVerb::Show { address } => return show(context, &manage.user(&address).map_err(from_manage)?),
        UserVerb::List => {
            let (users, suspended) = (manage.users().map_err(from_manage)?, manage.suspended().map_err(from_manage)?);
            let line = |user: &String| if suspended.contains(user) { format!("{user}  suspended") } else { user.clone() };
            let lines: Vec<String> = users.iter().map(line).collect();
            return list(context, &told_as::users(&users, &suspended), &lines);
        }
        UserVerb::Remove { address } => manage.remove_user(&address),
        UserVerb::Quota { address, bytes } => manage.set_user_quota(&address, bytes),
        UserVerb::Suspend { address } => manage.set_standing(&address, Standing::Suspended),
        UserVerb::Resume { address } => manage.set_standing(&address, Standing::Active),
    };
    result.map_err(from_manage)?;
    done(context, name)
}

fn show(context: &Context, user: &manage::User) -> Result<Exit, Failure> {
    if context.json {
        context.print_json(&told_as::user(user))?;
        return Ok(Exit::Good);
    }
    let standing = if user.standing == Standing::Suspended { "suspended" } else { "active" };
    let text =
        format!("address   {}\nstanding  {standing}\nmailbox   {}\n", report::safe(&user.address), bytes_of(user.room.user));
    output::stdout(text.as_bytes())?;
    Ok(Exit::Good)
}

fn alias(context: &Context, verb: AliasVerb) -> Result<Exit, Failure> {
    let (manage, name) = (manage(context)?, verb.name());
    let result = match verb {
        AliasVerb::Add { alias, targets } => manage.add_alias(&alias, &targets),
        AliasVerb::Remove { alias } => manage.remove_alias(&alias),
        AliasVerb::List => {
            let aliases = manage.aliases().map_err(from_manage)?;
            let lines: Vec<String> = aliases.iter().map(|(alias, target)| format!("{alias} {target}")).collect();
            return list(context, &told_as::aliases(&aliases), &lines);
        }
    };
    result.map_err(from_manage)?;
    done(context, name)
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
    pub(crate) fn to_json(&self, address: &str) -> Value {
        let told = self.is_made.then(|| String::from_utf8_lossy(self.secret.expose()));
        json!({ "address": address, "password": told })
    }
}

/// The result of a command about one user.
fn told(context: &Context, verb: &str, address: &str, password: &NewPassword) -> Result<(), Failure> {
    if !context.json {
        return password.tell(context, address);
    }
    let made = password.is_made.then(|| String::from_utf8_lossy(password.secret.expose()).into_owned());
    context.print_json(&told_as::password_set(verb, &address.to_lowercase(), made.as_deref()))
}

/// The password of the options or of a prompt; else one is made.
pub(crate) fn password(context: &Context, address: &str) -> Result<NewPassword, Failure> {
    if let Some(secret) = context.passphrase.to_protect(&format!("the mailbox {address}"), 0)? {
        if manage::is_short(manage::good(&secret).map_err(from_manage)?) {
            eprintln!(
                "warning: the password of {} has fewer than {} characters – it is guessed soon",
                report::safe(address),
                manage::LEAST
            );
            eprintln!("hint: set a longer one with `sealpost user passwd {}`", report::safe(address));
        }
        return Ok(NewPassword { secret, is_made: false });
    }
    const LETTERS: &[u8] = b"abcdefghijkmnopqrstuvwxyz23456789";
    let mut bytes = [0; 20];
    context.random().fill(&mut bytes);
    let letters = bytes.iter().filter_map(|byte| LETTERS.get(usize::from(*byte) % LETTERS.len()).copied());
    let secret = Secret::new(letters.collect::<Vec<u8>>());
    Ok(NewPassword { secret, is_made: true })
}

fn list(context: &Context, told: &Value, lines: &[String]) -> Result<Exit, Failure> {
    if context.json {
        context.print_json(told)?;
        return Ok(Exit::Good);
    }
    for line in lines {
        output::stdout(format!("{}\n", report::safe(line)).as_bytes())?;
    }
    Ok(Exit::Good)
}
