//! `sealpost up`: from nothing to a mail server that works, and a test that it does.

use clap::Args;
use serde_json::json;

use sealpost::asn1::pem;
use sealpost::ca::{MailProfile, ServerProfile, store::Store as CaStore};
use sealpost::crypto::algorithm::KeyAlgorithm;
use sealpost::keys::{Home, files};
use sealpost::mime::compose::Composer;
use sealpost::pki::Certificate;
use sealpost::proto::pop3::client::{Afterwards, Wish};
use sealpost::proto::smtp::Credentials;
use sealpost::proto::smtp::client::{Outcome, Outgoing};
use sealpost::server::accounts::Accounts;
use sealpost::server::addressing::Destination;
use sealpost::server::config::Hop;
use sealpost::server::store::Error as StoreError;
use sealpost::server::{self, Config, Service};

use crate::cli::ca::{failed, open_store};
use crate::cli::context::Context;
use crate::cli::failure::{Exit, Failure};
use crate::cli::service::client::{Server, TlsStart};
use crate::cli::service::fetch::Inbox;
use crate::cli::service::{fetch, send};
use crate::cli::{report, service};

/// Set up a mail server in the home
#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  sealpost up --domain a.example --user jane --user joe       passwords are made and printed once
  sealpost up --domain a.example --user jane --passphrase-file pw
  sealpost up --domain a.example --route b.example=127.0.0.1:3525 --port-offset 100

Each user gets a mailbox and a mail certificate; the key is locked with the password of the mailbox.
Mail for postmaster and root of each domain goes to the first one.")]
pub(crate) struct UpArgs {
    /// A domain of ours
    #[arg(long = "domain", value_name = "DOMAIN", default_value = "localhost")]
    domains: Vec<String>,
    /// A user of the first domain, or a whole address
    #[arg(long = "user", value_name = "LOCAL")]
    users: Vec<String>,
    /// Send mail for DOMAIN to this server, without a look at its MX records
    #[arg(long = "route", value_name = "DOMAIN=HOST:PORT")]
    routes: Vec<String>,
    /// Add N to every port
    #[arg(long, value_name = "N", default_value_t = 0)]
    port_offset: u16,
    /// The key algorithm of the users' certificates
    #[arg(long, value_name = "NAME", default_value = "rsa3072")]
    algorithm: String,
}

/// Runs the verb.
pub(crate) fn run(context: &Context, args: &UpArgs) -> Result<Exit, Failure> {
    let algorithm = KeyAlgorithm::from_name(&args.algorithm)
        .ok_or_else(|| Failure::usage(format!("--algorithm {} is not known", args.algorithm)))?;
    let routes = args.routes.iter().map(|text| route(text)).collect::<Result<Vec<_>, _>>()?;
    let home = context.open_home()?;
    let path = context.home_path().join("sealpost.toml");
    if path.exists() {
        return Err(Failure::usage(format!("{} is there already – this home has a server", path.display()))
            .hint("run it with `sealpost serve`, or choose another home with --home DIR"));
    }
    let first = args.domains.first().cloned().unwrap_or_default().to_lowercase();
    // what is wrong with a password is told before anything is made
    let mut passwords = Vec::new();
    for user in &args.users {
        let address = if user.contains('@') { user.to_lowercase() } else { format!("{}@{first}", user.to_lowercase()) };
        let password = service::password(context, &address)?;
        passwords.push((address, password));
    }
    let hostname = if first == "localhost" { first.clone() } else { format!("mail.{first}") };
    authority(context, &home, &first, &args.domains)?;
    let store = open_store(context)?;
    tls_certificate(context, &store, &hostname)?;
    let accounts = service::accounts_in(&context.home_path().join("mail"))?;
    for domain in &args.domains {
        match accounts.store().add_domain(&domain.to_lowercase()) {
            Ok(()) | Err(StoreError::Exists(_)) => {}
            Err(error) => return Err(service::from_store(error)),
        }
    }
    let (mut first_user, mut users) = (None, Vec::new());
    for (address, password) in passwords {
        match accounts.add_user(&address, &password.secret) {
            // from an attempt that did not get to its end; where he has mail, the server was in use
            Err(StoreError::Exists(_)) if accounts.store().messages(&address).is_ok_and(|messages| messages.is_empty()) => {
                accounts.set_password(&address, &password.secret)
            }
            other => other,
        }
        .map_err(|error| {
            service::from_store(error).hint("the mailbox is in use – leave this user out, or choose another home")
        })?;
        password.tell(context, &address)?;
        eprintln!("user: {}", report::safe(&address));
        let profile = MailProfile::new(address.clone());
        let identity = store.new_identity(&profile, algorithm, context.now, &mut context.random()).map_err(failed)?;
        home.add_identity(&identity, Some(&password.secret), &mut context.random()).map_err(Failure::io)?;
        eprintln!("made: a key and a mail certificate of {}", report::safe(&address));
        users.push(password.to_json(&address));
        first_user.get_or_insert(Credentials { user: address, password: password.secret });
    }
    if let Some(user) = &first_user {
        lead_to(&accounts, &args.domains, &user.user)?;
    }
    drop(accounts);
    let text = Config::template(&hostname, args.port_offset, &routes);
    let config = Config::parse(&text, context.home_path())
        .map_err(|mistakes| Failure::usage(mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")))?;
    let tested = match first_user {
        Some(user) => {
            self_test(context, &config, &user, store.authority().root())?;
            eprintln!("tested: a message went in by submission, into a mailbox, and out by POP3, all under TLS");
            true
        }
        None => {
            eprintln!("not tested: there is no user – add one with `sealpost user add ADDRESS`");
            false
        }
    };
    files::write(&path, text.as_bytes()).map_err(Failure::io)?;
    eprintln!("made: {} – run it with `sealpost serve`", path.display());
    if context.json {
        let config = path.display().to_string();
        let result = json!({
            "schema": "sealpost.up/1", "hostname": hostname, "config": config, "users": users, "tested": tested,
        });
        context.print_json(&result)?;
    }
    Ok(Exit::Good)
}

/// Leads the names to a user that nobody else has: every server takes mail for its postmaster (RFC 5321 4.5.1), and cron writes to root.
fn lead_to(accounts: &Accounts, domains: &[String], user: &str) -> Result<(), Failure> {
    for domain in domains {
        for name in ["postmaster", "root"] {
            let address = format!("{name}@{}", domain.to_lowercase());
            if accounts.destination(&address).map_err(service::from_store)? == Destination::Unknown {
                accounts.store().add_alias(&address, user).map_err(service::from_store)?;
                eprintln!("alias: {} to {}", report::safe(&address), report::safe(user));
            }
        }
    }
    Ok(())
}

fn route(text: &str) -> Result<(String, String), Failure> {
    let wrong = || Failure::usage(format!("--route {text} is not DOMAIN=HOST:PORT"));
    let (domain, to) = text.split_once('=').ok_or_else(wrong)?;
    Hop::parse(to).map(|_| (domain.to_lowercase(), to.to_owned())).ok_or_else(wrong)
}

/// The CA of the home; made where there is none.
fn authority(context: &Context, home: &Home, first: &str, domains: &[String]) -> Result<(), Failure> {
    if CaStore::exists(&home.ca_folder()) {
        return Ok(());
    }
    let domains = if first == "localhost" { &[] } else { domains };
    let passphrase = context.passphrase.given()?;
    let named = (first, domains);
    let created =
        CaStore::create(&home.ca_folder(), named, KeyAlgorithm::P256, passphrase.as_ref(), context.now, &mut context.random());
    let store = created.map_err(failed)?;
    home.add_trust(store.authority().root()).map_err(Failure::io)?;
    home.add_intermediate(store.authority().issuing()).map_err(Failure::io)?;
    eprintln!("made: a certificate authority ({})", report::safe(&store.authority().root().to_string()));
    Ok(())
}

fn tls_certificate(context: &Context, store: &CaStore, hostname: &str) -> Result<(), Failure> {
    let mut hosts = vec![hostname.to_owned(), "localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    hosts.dedup();
    let profile = ServerProfile { hosts, days: ServerProfile::longest(context.now) };
    let identity = store.new_server(&profile, KeyAlgorithm::P256, context.now, &mut context.random()).map_err(failed)?;
    let tls = context.home_path().join("tls");
    files::make_folder(&tls).map_err(Failure::io)?;
    let chain = [identity.certificate(), store.authority().servers()].map(|c| pem::encode("CERTIFICATE", c.der())).concat();
    let key = identity.private_key().to_pem().map_err(Failure::refused)?;
    files::write(&tls.join("certificate.pem"), chain.as_bytes()).map_err(Failure::io)?;
    files::write(&tls.join("key.pem"), key.expose()).map_err(Failure::io)?;
    eprintln!("made: a TLS certificate for {hostname}");
    Ok(())
}

/// Runs the server on free ports, sends its first user a message, fetches it, and stops.
fn self_test(context: &Context, config: &Config, user: &Credentials, root: &Certificate) -> Result<(), Failure> {
    let mut config = config.clone();
    config.listeners.iter_mut().for_each(|(_, address)| address.set_port(0));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.map_err(|error| Failure::io(format!("the self-test cannot start – {error}")))?;
    let running = runtime.block_on(server::start(config)).map_err(|why| Failure::io(format!("the self-test: {why}")))?;
    let tested = exchange(context, running.addresses(), user, root);
    runtime.block_on(running.stop());
    tested.map_err(|failure| Failure { message: format!("the self-test failed: {}", failure.message), ..failure })
}

fn exchange(
    context: &Context,
    addresses: &[(Service, std::net::SocketAddr)],
    user: &Credentials,
    root: &Certificate,
) -> Result<(), Failure> {
    let reach = |service: Service| {
        let found = addresses.iter().find(|(known, _)| *known == service);
        let hop = found.map(|(_, address)| Hop { host: "localhost".to_owned(), port: address.port() });
        hop.map(|hop| Server { hop, roots: vec![root.clone()], tls: TlsStart::Starttls, dialogue: false })
    };
    let (Some(submission), Some(pop3)) = (reach(Service::Submission), reach(Service::Pop3)) else { return Ok(()) };
    let unique = format!("self-test-{}@{}", context.now.unix(), user.user.rsplit_once('@').map_or("localhost", |(_, d)| d));
    let message = Composer::new(&user.user, context.now, &unique).to(&user.user).subject("Self-test").text("It works.\n").build();
    let outgoing = Outgoing::new(user.user.clone(), vec![user.user.clone()], message.into());
    let outcomes = send::send(&submission, Some(user.clone()), &outgoing)?.settled()?;
    for (address, outcome) in outcomes {
        if let Outcome::Temporary(reply) | Outcome::Permanent(reply) = outcome {
            return Err(Failure::io(format!("mail for {address} was not taken – {reply}")));
        }
    }
    let mut inbox = Searched { unique, found: 0 };
    fetch::fetch(&pop3, user, context.limits.message_bytes, &mut inbox)?;
    match inbox.found {
        1 => Ok(()),
        count => Err(Failure::io(format!("the message is in the mailbox {count} times"))),
    }
}

/// Looks at every message, and takes those of the test.
struct Searched {
    unique: String,
    found: usize,
}

impl Inbox for Searched {
    fn wish(&self, _: &str) -> Wish {
        Wish::Fetch
    }

    fn keep(&mut self, _: String, message: &[u8]) -> Result<Afterwards, Failure> {
        // what is not of this test stays
        if !String::from_utf8_lossy(message).contains(&self.unique) {
            return Ok(Afterwards::Keep);
        }
        self.found += 1;
        Ok(Afterwards::Delete)
    }

    // that of the test is small
    fn pass_over(&mut self, _: String) {}
}
