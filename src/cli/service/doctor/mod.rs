//! `sealpost doctor`: what is wrong with the server of the home, and what helps. It gathers; `sealpost::server::doctor` judges.

mod clock;
mod knock;
mod resolver;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use serde_json::{Value, json};

use sealpost::ca;
use sealpost::keys::domain::DomainKey;
use sealpost::pki::{self, Certificate, Crl};
use sealpost::server::Config;
use sealpost::server::admin::{self, Question};
use sealpost::server::config::Acme;
use sealpost::server::doctor::store::Mended;
use sealpost::server::doctor::{self, Concern, Finding, Severity, accounts, disk, dns, files, ports, queue, settings, tls};
use sealpost::server::manage::Status;
use sealpost::server::pickup;
use sealpost::server::store::{Error as StoreError, SqliteStore, Store, Waiting};
use sealpost::time::Timestamp;

use crate::cli::context::Context;
use crate::cli::failure::{Exit, Failure};
use crate::cli::service::client;
use crate::cli::service::doctor::resolver::Resolver;
use crate::cli::{fix, output, report, service};

/// Check DNS, ports, TLS, disk, clock, permissions, database, queue and accounts
#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  sealpost doctor                everything; exit 0 where nothing is an error
  sealpost doctor --offline      without asking the DNS
  sealpost doctor --fetch        and what servers on the Internet say: the MTA-STS policy of each domain
  sealpost doctor --clock-server time.a.example
                                 and whether that clock says the same as this one
  sealpost doctor --json | jq -r '.findings[].fix'

Exit: 1 mail or its records are damaged, 3 nobody trusts the certificate, 5 a certificate or a list has ended, 8 something is set
otherwise than it should be (here or in the DNS), 9 the machine or the network does not do its part; the first of these that stands.")]
pub(crate) struct DoctorArgs {
    /// The configuration (default: sealpost.toml in the home)
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Ask no DNS
    #[arg(long, conflicts_with = "fetch")]
    offline: bool,
    /// Ask servers on the Internet, too
    #[arg(long)]
    fetch: bool,
    /// Compare the clock with that of this time server (SNTP)
    #[arg(long, value_name = "HOST[:PORT]", conflicts_with = "offline")]
    clock_server: Option<String>,
    /// Mend what can be mended in the database
    #[arg(long)]
    repair: bool,
}

/// Runs the verb.
pub(crate) fn run(context: &Context, args: &DoctorArgs) -> Result<Exit, Failure> {
    let path = args.config.clone().unwrap_or_else(|| context.home_path().join("sealpost.toml"));
    let findings = match service::parsed(&path)? {
        Ok(config) => Examination { context, args, config, path, found: Vec::new() }.whole()?,
        Err(mistakes) => settings::mistakes(&path.display().to_string(), &mistakes),
    };
    tell(context, findings)
}

struct Examination<'a> {
    context: &'a Context,
    args: &'a DoctorArgs,
    config: Config,
    path: PathBuf,
    found: Vec<Finding>,
}

impl Examination<'_> {
    fn whole(mut self) -> Result<Vec<Finding>, Failure> {
        let now = self.context.at;
        self.found.extend(settings::judge(&self.config));
        let failure = self.config.acme.as_ref().and_then(|_| std::fs::read_to_string(Acme::failure(&self.config.data)).ok());
        self.found.extend(settings::acme(failure.as_deref()));
        let store: Arc<dyn Store> = match SqliteStore::open(&self.config.data) {
            Ok(store) => Arc::new(store),
            Err(error) => {
                self.found.extend(doctor::store::judge(Err(error), Mended::No));
                return Ok(self.found);
            }
        };
        let waiting = store.waiting();
        self.store(&store, waiting.as_deref(), now)?;
        let certificate = self.tls(now)?;
        self.machine(waiting.as_deref().unwrap_or_default(), certificate.as_ref(), now);
        self.ports(certificate.as_ref());
        self.dns(&store, certificate.as_ref())?;
        Ok(self.found)
    }

    fn store(&mut self, store: &Arc<dyn Store>, waiting: Result<&[Waiting], &StoreError>, now: Timestamp) -> Result<(), Failure> {
        if self.args.repair {
            match store.repair() {
                Ok(faults) => faults.iter().for_each(|fault| {
                    eprintln!("repaired, where it can be: {}", report::safe(&fault.to_string()));
                }),
                // what is wrong with it is told below, with what helps
                Err(why) => eprintln!("not repaired: {}", report::safe(&why.to_string())),
            }
        }
        let mended = if self.args.repair { Mended::Tried } else { Mended::No };
        self.found.extend(doctor::store::judge(store.check(), mended));
        self.found.extend(queue::judge(waiting, self.config.delivery.warn_hours, now));
        if let Some(folder) = &self.config.pickup {
            self.found.extend(queue::pickup(folder, pickup::waiting(folder), now));
            self.found.extend(queue::bad(folder, pickup::bad(folder)));
        }
        let elsewhere = self.config.accounts.iter().map(|(domain, _)| domain.clone());
        self.found.extend(accounts::judge(accounts::gather(store.as_ref(), elsewhere)));
        Ok(())
    }

    /// The server's certificate, and what the authority of the home has to renew.
    fn tls(&mut self, now: Timestamp) -> Result<Option<Certificate>, Failure> {
        let folder = self.context.home_path().join("ca");
        let read = |name: &str| ca::store::read_certificate(&folder.join(format!("{name}.pem"))).ok();
        let own: Vec<(String, Certificate)> =
            ["root", "issuing", "servers"].into_iter().filter_map(|name| Some((name.to_owned(), read(name)?))).collect();
        let mut anchors = client::roots(self.context, &[])?;
        let system = rustls_native_certs::load_native_certs().certs;
        anchors.extend(system.iter().filter_map(|der| Certificate::from_der(der).ok()));
        let mut facts = tls::gather(&self.config, anchors, tls::Renewal::Elsewhere);
        let issuer = own.iter().find(|(name, _)| name == "servers");
        let is_ours = |leaf: &Certificate| issuer.is_some_and(|(_, issuer)| leaf.issuer().matches(issuer.subject()));
        if facts.chain.first().is_some_and(is_ours) {
            let (host, certificate, key) = (&self.config.hostname, self.config.certificate.display(), self.config.key.display());
            facts.renewal = tls::Renewal::Command(format!("sealpost ca server-cert {host} -o {certificate} --key {key} --force"));
        }
        self.found.extend(tls::judge(&facts, &self.config.hostname, now));
        self.found.extend(tls::authority(&own, &lists(&folder), now));
        Ok(facts.chain.into_iter().next())
    }

    /// Disk, clock, permissions.
    fn machine(&mut self, waiting: &[Waiting], certificate: Option<&Certificate>, now: Timestamp) {
        let data = &self.config.data;
        self.found.extend(disk::judge(data, disk::gather(data), self.config.max_message));
        let mut written = Vec::new();
        for one in waiting {
            written.push((format!("message {} came into the queue", one.id), one.created));
        }
        for entry in std::fs::read_dir(data).into_iter().flatten().flatten() {
            let at = entry.metadata().and_then(|data| data.modified()).ok();
            let since = at.and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
            if let Some(seconds) = since.and_then(|since| i64::try_from(since.as_secs()).ok()) {
                written.push((format!("{} was written", entry.path().display()), Timestamp::from_unix(seconds)));
            }
        }
        self.found.extend(doctor::clock::judge(now, &written, certificate));
        if let Some(server) = &self.args.clock_server {
            self.found.extend(doctor::clock::compare(server, clock::ask(server)));
        }
        let entries = files::gather(&self.config, &self.path, self.context.home_path());
        self.found.extend(files::judge(&entries, self.config.process.user.as_deref()));
    }

    fn ports(&mut self, certificate: Option<&Certificate>) {
        let lines = admin::ask(&self.config.data, &Question::Status).and_then(Iterator::collect::<std::io::Result<Vec<String>>>);
        let Ok(lines) = lines else { return self.found.push(ports::not_running()) };
        let facts: Vec<(String, Value)> = lines.iter().filter_map(|line| Status::fact(line)).collect();
        let facts: Vec<(&str, &str)> = facts.iter().filter_map(|(name, value)| Some((name.as_str(), value.as_str()?))).collect();
        let fact = |name: &str| facts.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| *value);
        self.found.extend(ports::rights(fact("user"), fact("sandbox"), fact("system_calls")));
        self.found.extend(ports::judge(&knock::all(&facts), certificate));
    }

    /// The keys with which the servers of the configuration sign.
    fn dkim_keys(&self) -> Result<Vec<dns::DkimKey>, Failure> {
        let mut found: Vec<dns::DkimKey> = Vec::new();
        for folder in self.config.policies().filter_map(|policy| policy.dkim.as_ref()) {
            for key in DomainKey::all(folder).map_err(Failure::io)? {
                let (domain, name, record) = (key.domain.clone(), key.name(), key.record().map_err(Failure::io)?);
                if found.iter().all(|known| known.name != name) {
                    found.push(dns::DkimKey { domain, name, record });
                }
            }
        }
        Ok(found)
    }

    fn dns(&mut self, store: &Arc<dyn Store>, certificate: Option<&Certificate>) -> Result<(), Failure> {
        if self.args.offline {
            self.found.push(dns::not_asked());
            return Ok(());
        }
        let domains = store.domains().map_err(service::from_store)?;
        // whoever names a name server of his own has one that knows his names
        let has_own = self.config.delivery.resolver.is_some();
        let is_left_out = |domain: &str| !has_own && dns::is_reserved(domain);
        let left_out: Vec<&str> = domains.iter().map(String::as_str).filter(|domain| is_left_out(domain)).collect();
        self.found.extend(dns::not_public(&left_out));
        let asked: Vec<&String> = domains.iter().filter(|domain| !is_left_out(domain)).collect();
        if asked.is_empty() {
            return Ok(());
        }
        let reach = if settings::is_private(&self.config) { dns::Reach::Machine } else { dns::Reach::World };
        let keys = self.dkim_keys()?;
        let host = dns::Host { hostname: &self.config.hostname, reach, certificate, dkim: Some(&keys) };
        let resolver = Resolver::new(self.config.delivery.resolver)?;
        let resolver = if self.args.fetch { resolver.fetching(self.config.clone(), Arc::clone(store)) } else { resolver };
        let mut judged = dns::host(&resolver, &host);
        for domain in asked {
            let Ok(found) = &mut judged else { break };
            match dns::domain(&resolver, &host, domain) {
                Ok(more) => found.extend(more),
                Err(why) => judged = Err(why),
            }
        }
        match judged {
            Ok(found) => self.found.extend(found),
            // who does not answer once is not asked a dozen times
            Err(why) => self.found.push(dns::unreachable(&why)),
        }
        Ok(())
    }
}

/// The revocation lists that the authority publishes.
fn lists(folder: &Path) -> Vec<(String, Crl)> {
    let public = ca::publish::folder(folder);
    let names = ca::publish::FILES.iter().filter(|(_, kind)| matches!(kind, ca::publish::Kind::List));
    let read = |name: &str| pki::load::crls(std::fs::read(public.join(name)).ok()?).ok()?.into_iter().next();
    names.filter_map(|(name, _)| Some(((*name).to_owned(), read(name)?))).collect()
}

fn tell(context: &Context, mut findings: Vec<Finding>) -> Result<Exit, Failure> {
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    let exit = ends(&findings);
    let fixes = |finding: &Finding| finding.fix.as_ref().map(|fix| here(context, fix));
    if context.json {
        let list: Vec<_> = findings
            .iter()
            .map(|finding| {
                let severity = finding.severity.name();
                json!({ "code": finding.code, "severity": severity, "text": finding.text, "fix": fixes(finding) })
            })
            .collect();
        let result = if exit == Exit::Good { "ok" } else { "bad" };
        context.print_json(&json!({ "schema": "sealpost.doctor/1", "result": result, "exit": exit.code(), "findings": list }))?;
        return Ok(exit);
    }
    for finding in &findings {
        let word = if finding.severity == Severity::Info { "note" } else { finding.severity.name() };
        output::stdout(format!("{word}: {} [{}]\n", report::safe(&finding.text), finding.code).as_bytes())?;
        if let Some(fix) = fixes(finding) {
            output::stdout(format!("  {}\n", report::safe(&fix)).as_bytes())?;
        }
    }
    if findings.iter().all(|finding| finding.severity == Severity::Info) {
        eprintln!("nothing is wrong");
    }
    Ok(exit)
}

/// The most severe concern of which there is an error.
fn ends(findings: &[Finding]) -> Exit {
    let order = [
        (Concern::Integrity, Exit::Bad),
        (Concern::Trust, Exit::Untrusted),
        (Concern::Expiry, Exit::Expired),
        (Concern::Settings, Exit::Refused),
        (Concern::Machine, Exit::Io),
    ];
    let is_there = |concern| findings.iter().any(|one| one.severity == Severity::Error && one.concern == concern);
    order.into_iter().find(|(concern, _)| is_there(*concern)).map_or(Exit::Good, |(_, exit)| exit)
}

/// A command as it can be typed for this home.
fn here(context: &Context, fix: &str) -> String {
    match fix.strip_prefix("sealpost ") {
        Some(rest) => format!("sealpost --home {} {rest}", fix::quoted(&context.home_path().display().to_string())),
        None => fix.to_owned(),
    }
}
