//! `sealpost up`, `serve`, `domain`, `user`, `alias`: the mail server of a home.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, Subcommand};
use serde_json::json;

use sealpost::asn1::pem;
use sealpost::ca::{ServerProfile, store::Store as CaStore};
use sealpost::crypto::algorithm::KeyAlgorithm;
use sealpost::crypto::random::Random;
use sealpost::keys::files;
use sealpost::secret::Secret;
use sealpost::server::accounts::Accounts;
use sealpost::server::store::{Error as StoreError, SqliteStore};
use sealpost::server::{self, Config};

use crate::cli::ca::open_store;
use crate::cli::context::Context;
use crate::cli::failure::{Exit, Failure, on_file};
use crate::cli::{output, report};

/// The verbs of the server.
#[derive(Debug, Subcommand)]
pub(crate) enum ServiceVerb {
    /// Set up a mail server in the home: CA, TLS, domains, users, configuration
    Up(UpArgs),
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
}

/// Set up a mail server in the home
#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  sealpost up --domain a.example --user jane --user joe       passwords are made and printed once
  sealpost up --domain a.example --user jane --passphrase-file pw")]
pub(crate) struct UpArgs {
    /// A domain of ours
    #[arg(long = "domain", value_name = "DOMAIN", default_value = "localhost")]
    domains: Vec<String>,
    /// A user of the first domain
    #[arg(long = "user", value_name = "LOCAL")]
    users: Vec<String>,
    /// Add N to every port
    #[arg(long, value_name = "N", default_value_t = 0)]
    port_offset: u16,
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
    /// Remove a user and his mail
    Remove {
        /// The address
        address: String,
    },
}

/// What is done to an alias.
#[derive(Debug, Subcommand)]
pub(crate) enum AliasVerb {
    /// Lead an address to another
    Add {
        /// The alias
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
        ServiceVerb::Up(args) => up(context, &args),
        ServiceVerb::Serve(args) => serve(context, &args),
        ServiceVerb::Domain { verb } => domain(context, verb),
        ServiceVerb::User { verb } => user(context, verb),
        ServiceVerb::Alias { verb } => alias(context, verb),
    }
}

fn up(context: &Context, args: &UpArgs) -> Result<Exit, Failure> {
    let home = context.open_home()?;
    let config = context.home_path().join("sealpost.toml");
    if config.exists() {
        return Err(Failure::usage(format!("{} is there already – this home has a server", config.display()))
            .hint("run it with `sealpost serve`, or choose another home with --home DIR"));
    }
    let first = args.domains.first().cloned().unwrap_or_default();
    let hostname = if first == "localhost" { first.clone() } else { format!("mail.{first}") };
    if !CaStore::exists(&home.ca_folder()) {
        let no_domains: &[String] = &[];
        let domains = if first == "localhost" { no_domains } else { &args.domains };
        let passphrase = context.passphrase.given()?.into_iter().next();
        let created = CaStore::create(
            &home.ca_folder(),
            (&first, domains),
            KeyAlgorithm::P256,
            passphrase.as_ref(),
            context.now,
            &mut context.random(),
        );
        let store = created.map_err(Failure::refused)?;
        home.add_trust(store.authority().root()).map_err(Failure::io)?;
        home.add_intermediate(store.authority().issuing()).map_err(Failure::io)?;
        eprintln!("made: a certificate authority ({})", report::safe(&store.authority().root().to_string()));
    }
    let store = open_store(context)?;
    let mut hosts = vec![hostname.clone(), "localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    hosts.dedup();
    let profile = ServerProfile { hosts, days: 397 };
    let identity =
        store.new_server(&profile, KeyAlgorithm::P256, context.now, &mut context.random()).map_err(Failure::refused)?;
    let tls = context.home_path().join("tls");
    files::make_folder(&tls).map_err(Failure::io)?;
    let chain = [identity.certificate(), store.authority().servers()].map(|c| pem::encode("CERTIFICATE", c.der())).concat();
    files::write(&tls.join("certificate.pem"), chain.as_bytes()).map_err(Failure::io)?;
    files::write(&tls.join("key.pem"), pem::encode("PRIVATE KEY", identity.private_key().to_pkcs8().expose()).as_bytes())
        .map_err(Failure::io)?;
    eprintln!("made: a TLS certificate for {hostname}");
    let accounts = accounts_in(&context.home_path().join("mail"))?;
    for domain in &args.domains {
        exists_is_fine(accounts.store().add_domain(&domain.to_lowercase()))?;
    }
    for user in &args.users {
        let address = if user.contains('@') { user.clone() } else { format!("{user}@{first}") };
        add_user(context, &accounts, &address)?;
    }
    files::write(&config, Config::template(&hostname, args.port_offset).as_bytes()).map_err(Failure::io)?;
    eprintln!("made: {} – run it with `sealpost serve`", config.display());
    if context.json {
        context
            .print_json(&json!({ "schema": "sealpost.up/1", "hostname": hostname, "config": config.display().to_string() }))?;
    }
    Ok(Exit::Good)
}

fn serve(context: &Context, args: &ServeArgs) -> Result<Exit, Failure> {
    let config = read_config(context, args.config.as_deref())?;
    if args.check {
        eprintln!("the configuration is good");
        return Ok(Exit::Good);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::io(format!("the server cannot start – {error}")))?;
    runtime.block_on(async {
        let running = server::start(config).await.map_err(Failure::io)?;
        for (service, address) in running.addresses() {
            output::stdout(format!("{service:?} on {address}\n").as_bytes())?;
        }
        output::stdout(b"ready\n")?;
        wait_for_signal().await;
        eprintln!("stopping");
        running.stop().await;
        Ok(Exit::Good)
    })
}

async fn wait_for_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        let _ = tokio::signal::ctrl_c().await;
        return;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}

fn read_config(context: &Context, file: Option<&Path>) -> Result<Config, Failure> {
    let path = file.map_or_else(|| context.home_path().join("sealpost.toml"), Path::to_owned);
    if !path.exists() {
        return Err(Failure::usage(format!("there is no configuration {}", path.display())).hint("make one with `sealpost up`"));
    }
    let text = std::fs::read_to_string(&path).map_err(on_file("read", &path))?;
    let folder = path.parent().unwrap_or(Path::new("."));
    Config::parse(&text, folder).map_err(|mistakes| {
        let lines: Vec<String> = mistakes.iter().map(|mistake| format!("  {mistake}")).collect();
        Failure::usage(format!("{} has {} mistakes\n{}", path.display(), mistakes.len(), lines.join("\n")))
    })
}

fn accounts_in(data: &Path) -> Result<Accounts, Failure> {
    let store = SqliteStore::open(data).map_err(from_store)?;
    Accounts::new(Arc::new(store)).map_err(from_store)
}

/// The accounts of the home's server.
fn accounts(context: &Context) -> Result<Accounts, Failure> {
    accounts_in(&read_config(context, None)?.data)
}

fn from_store(error: StoreError) -> Failure {
    match error {
        StoreError::NotFound(_) | StoreError::Exists(_) => Failure::usage(error),
        other => Failure::io(other),
    }
}

fn exists_is_fine(result: Result<(), StoreError>) -> Result<(), Failure> {
    match result {
        Err(StoreError::Exists(_)) => Ok(()),
        other => other.map_err(from_store),
    }
}

fn domain(context: &Context, verb: DomainVerb) -> Result<Exit, Failure> {
    let accounts = accounts(context)?;
    match verb {
        DomainVerb::Add { domain } => accounts.store().add_domain(&domain.to_lowercase()).map_err(from_store)?,
        DomainVerb::Remove { domain } => accounts.store().remove_domain(&domain.to_lowercase()).map_err(from_store)?,
        DomainVerb::List => return list(context, "domain", &accounts.store().domains().map_err(from_store)?),
    }
    Ok(Exit::Good)
}

fn user(context: &Context, verb: UserVerb) -> Result<Exit, Failure> {
    let accounts = accounts(context)?;
    match verb {
        UserVerb::Add { address } => add_user(context, &accounts, &address)?,
        UserVerb::Passwd { address } => {
            let password = password(context, &address)?;
            accounts.set_password(&address, &password).map_err(from_store)?;
        }
        UserVerb::Remove { address } => accounts.store().remove_user(&address.to_lowercase()).map_err(from_store)?,
        UserVerb::List => return list(context, "user", &accounts.store().users().map_err(from_store)?),
    }
    Ok(Exit::Good)
}

fn alias(context: &Context, verb: AliasVerb) -> Result<Exit, Failure> {
    let accounts = accounts(context)?;
    match verb {
        AliasVerb::Add { alias, target } => {
            accounts.store().add_alias(&alias.to_lowercase(), &target.to_lowercase()).map_err(from_store)?;
        }
        AliasVerb::Remove { alias } => accounts.store().remove_alias(&alias.to_lowercase()).map_err(from_store)?,
        AliasVerb::List => {
            let lines: Vec<String> = accounts
                .store()
                .aliases()
                .map_err(from_store)?
                .into_iter()
                .map(|(alias, target)| format!("{alias} {target}"))
                .collect();
            return list(context, "alias", &lines);
        }
    }
    Ok(Exit::Good)
}

fn add_user(context: &Context, accounts: &Accounts, address: &str) -> Result<(), Failure> {
    let password = password(context, address)?;
    accounts.add_user(address, &password).map_err(from_store)?;
    eprintln!("user: {}", report::safe(address));
    Ok(())
}

/// The password of the options or of a prompt; else one is made and printed, this once.
fn password(context: &Context, address: &str) -> Result<Secret<Vec<u8>>, Failure> {
    if let Some(password) = context.passphrase.to_protect(&format!("the mailbox {address}"), 0)? {
        return Ok(password);
    }
    const LETTERS: &[u8] = b"abcdefghijkmnopqrstuvwxyz23456789";
    let mut bytes = [0; 20];
    context.random().fill(&mut bytes);
    let letters = bytes.iter().filter_map(|byte| LETTERS.get(usize::from(*byte) % LETTERS.len()).copied());
    let password = Secret::new(letters.collect::<Vec<u8>>());
    output::stdout(format!("{address} {}\n", String::from_utf8_lossy(password.expose())).as_bytes())?;
    Ok(password)
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
