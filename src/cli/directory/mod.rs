//! `sealpost contact find`: other people's certificates in LDAP directories and in the DNS.
//!
//! Uses: the public API, sockets, and the resolver. What is found is a candidate: it is shown with what it is worth, and becomes a contact
//! only where it is good and `--add` says so.

mod dns;
mod ldap;
mod result;
mod wire;

use std::cell::RefCell;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use sealpost::keys::directory::ldap::Url;
use sealpost::keys::directory::smimea::Record;
use sealpost::keys::directory::{Address, Place, Weighing};
use sealpost::limits::Budget;
use sealpost::pki::{Certificate, Inquiry};
use sealpost::smime::Trust;

pub(crate) use dns::name_server;

use crate::cli::context::Context;
use crate::cli::directory::result::{Outcome, Source};
use crate::cli::failure::{Exit, Failure};
use crate::cli::keyring::TrustArgs;
use crate::cli::{output, report};

/// Its name, as JSON results have it.
pub(crate) const NAME: &str = "contact.find";

/// Look for somebody's certificate in LDAP directories and in the DNS
///
/// What is found is shown with what it is worth: whether it reaches a trust anchor, and what the DNS says of it. Nothing is kept without
/// --add, and nothing that is not good is kept at all.
///
/// Exit codes: 0 a good certificate was found; 3 none reaches a trust anchor; 5 expired or revoked; 7 none was found; 8 what was found is
/// not to be relied on; 9 a place cannot be asked.
#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  sealpost contact find jane@a.example --ldap ldaps://dir.a.example/ou=people,dc=a,dc=example
  sealpost contact find jane@a.example --ldap ldap://dir.a.example/dc=a,dc=example --add
  sealpost contact find jane@a.example --ldap ldaps://dir.a.example/dc=a --ldap-bind cn=me,dc=a --passphrase-file pw
  sealpost contact find jane@a.example --dns                       SMIMEA records, proven by DNSSEC
  sealpost contact find jane@a.example --dns --json")]
pub(crate) struct FindArgs {
    /// The address
    #[arg(value_name = "ADDR")]
    address: String,
    /// Ask this directory: ldap[s]://HOST[:PORT]/BASE[?ATTRIBUTES?SCOPE?FILTER] (below BASE where no scope is named)
    #[arg(long, value_name = "URL")]
    ldap: Vec<String>,
    /// When TLS begins at an ldap:// directory
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    ldap_tls: LdapTls,
    /// Log in to the directory as this entry; the password comes from the passphrase options or a prompt
    #[arg(long, value_name = "DN", requires = "ldap")]
    ldap_bind: Option<String>,
    /// Trust the certificates in FILE for TLS, too (besides the home's trust and the system's)
    #[arg(long, value_name = "FILE")]
    tls_trust: Vec<PathBuf>,
    /// Ask the DNS for SMIMEA records (RFC 8162); only what DNSSEC proves counts
    #[arg(long)]
    dns: bool,
    /// Ask this resolver instead of the system's
    #[arg(long, value_name = "IP[:PORT]", requires = "dns")]
    dns_server: Option<String>,
    /// Begin DNSSEC at the DNSKEY records in FILE instead of those of the root
    #[arg(long, value_name = "FILE", requires = "dns")]
    dns_anchor: Option<PathBuf>,
    /// How many seconds each place may take
    #[arg(long, value_name = "SECONDS", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=600))]
    timeout: u64,
    /// Keep the good certificates as contacts
    #[arg(long)]
    add: bool,
    #[command(flatten)]
    trust: TrustArgs,
}

impl FindArgs {
    fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout)
    }
}

/// When TLS begins at a directory that does not begin with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LdapTls {
    /// By StartTLS where the directory has it; a password demands it
    Auto,
    /// By StartTLS; without it nothing is asked
    Starttls,
    /// Never; no password is sent then
    None,
}

/// Runs the verb.
pub(crate) fn run(context: &Context, args: &FindArgs) -> Result<Exit, Failure> {
    let address = Address::parse(&args.address).map_err(Failure::usage)?;
    if args.ldap.is_empty() && !args.dns {
        return Err(Failure::usage("nowhere to look").hint("name a directory with --ldap URL, or ask the DNS with --dns"));
    }
    let urls = args.ldap.iter().map(|url| Url::parse(url)).collect::<Result<Vec<Url>, _>>().map_err(Failure::usage)?;
    if args.ldap_bind.is_some() && urls.len() > 1 {
        return Err(Failure::usage("one password is for one directory").hint("ask each with a command of its own"));
    }
    let home = context.existing_home()?;
    let mut trust = args.trust.trust(context, home.as_ref())?;
    let mut sources = Vec::new();
    for (text, url) in args.ldap.iter().zip(&urls) {
        sources.push(Source::Ldap { url: text.clone(), asked: ldap::search(context, args, url, &address) });
    }
    if args.dns {
        sources.push(Source::Dns { asked: dns::records(args, &address) });
    }
    let records: Vec<Record> = sources.iter().flat_map(Source::records).cloned().collect();
    let mut found: Vec<(Place, Certificate)> = sources.iter().flat_map(Source::certificates).collect();
    if let Some(home) = &home {
        let known = home.contact(address.as_str()).map_err(Failure::io)?;
        found.extend(known.into_iter().map(|certificate| (Place::Contact, certificate)));
    }
    // one bound for all that is asked, however many certificates there are, and however often they are judged
    let checks = RefCell::new(Budget::new("question checks", context.limits.question_checks));
    let pick = |trust: &Trust| {
        let weighing = Weighing {
            address: &address,
            anchors: &trust.anchors,
            intermediates: &trust.intermediates,
            crls: &trust.crls,
            ocsp: &trust.ocsp,
            revocation: trust.revocation,
            at: trust.at,
            limits: &context.limits,
            checks: &checks,
        };
        weighing.pick(&found, &records)
    };
    let mut picked = pick(&trust);
    let inquiries: Vec<Inquiry> = picked.candidates.iter().filter_map(|candidate| candidate.inquiry.clone()).collect();
    let got = args.trust.online.complete_within(context, &inquiries, &checks)?;
    if got.is_something() {
        trust.add(got.had);
        picked = pick(&trust);
    }
    let mut outcome = Outcome { address, sources, picked, told: got.findings, added: Vec::new() };
    if args.add {
        outcome.added = add(context, &outcome)?;
    }
    let exit = outcome.exit();
    if context.json {
        context.print_json(&outcome.to_json(exit))?;
        return Ok(exit);
    }
    output::stdout(outcome.to_text().as_bytes())?;
    outcome.talk(args.add);
    Ok(exit)
}

/// Keeps the good certificates as contacts; gives those that were not there yet.
fn add(context: &Context, outcome: &Outcome) -> Result<Vec<Certificate>, Failure> {
    let good: Vec<&Certificate> = outcome.good().map(|candidate| &candidate.certificate).collect();
    if good.is_empty() {
        return Ok(Vec::new());
    }
    let home = context.open_home()?;
    let known = home.contact(outcome.address.as_str()).map_err(Failure::io)?;
    let mut added = Vec::new();
    for certificate in good.into_iter().filter(|certificate| !known.contains(certificate)) {
        home.add_contact(certificate).map_err(Failure::io)?;
        let who = report::safe(&certificate.addresses().join(", "));
        eprintln!("contact: {who} (SHA-256 {})", certificate.fingerprint_hex());
        added.push(certificate.clone());
    }
    Ok(added)
}
