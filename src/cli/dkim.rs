//! `sealpost dkim`: the keys with which domains sign the mail of their users.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;

use sealpost::keys::Error;
use sealpost::keys::domain::{DomainKey, Kind, SPREADS, STAYS, Use};
use sealpost::time::{Civil, Timestamp};

use crate::cli::context::Context;
use crate::cli::failure::{Exit, Failure};
use crate::cli::output;

/// The keys with which domains sign the mail of their users (DKIM)
#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  sealpost dkim new a.example             keys of both kinds, and the records to publish
  sealpost dkim list                      which key signs, which waits, which may go
  sealpost dkim dns a.example             the records once more, as lines of a zone file")]
pub(crate) struct DkimArgs {
    #[command(subcommand)]
    verb: DkimVerb,
    /// Where the keys lie (default: dkim in the home)
    #[arg(long, value_name = "DIR", global = true)]
    folder: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum DkimVerb {
    /// Make keys for a domain; they sign from their day on
    New {
        /// The domain
        domain: String,
        /// The kind of key; without it one of each
        #[arg(long, value_enum)]
        kind: Option<KindName>,
        /// The day from which it signs, as 2026-12-01 (default: today for the first, in two days for its successor)
        #[arg(long, value_name = "DATE")]
        from: Option<String>,
    },
    /// List the keys, and what each is good for
    List,
    /// Print the records to publish
    Dns {
        /// Only of this domain
        domain: Option<String>,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum KindName {
    /// RSA of 2048 bits, for every receiver
    Rsa,
    /// Ed25519, beside it
    Ed25519,
}

impl DkimArgs {
    /// Its name, as JSON results have it.
    pub(crate) const fn name(&self) -> &'static str {
        match self.verb {
            DkimVerb::New { .. } => "dkim.new",
            DkimVerb::List => "dkim.list",
            DkimVerb::Dns { .. } => "dkim.dns",
        }
    }
}

/// Runs the verb.
pub(crate) fn run(context: &Context, args: &DkimArgs) -> Result<Exit, Failure> {
    let folder = args.folder.clone().unwrap_or_else(|| context.home_path().join("dkim"));
    let all = DomainKey::all(&folder).map_err(failure)?;
    let shown = match &args.verb {
        DkimVerb::New { domain, kind, from } => {
            let kinds = match kind {
                None => vec![Kind::Rsa, Kind::Ed25519],
                Some(KindName::Rsa) => vec![Kind::Rsa],
                Some(KindName::Ed25519) => vec![Kind::Ed25519],
            };
            let mut made = Vec::new();
            for kind in kinds {
                let is_first = !all.iter().any(|key| key.domain.eq_ignore_ascii_case(domain) && key.kind == kind);
                let from = start(from.as_deref(), is_first, context.now)?;
                made.push(DomainKey::make(&folder, domain, kind, from, &mut context.random()).map_err(failure)?);
            }
            eprintln!("publish these records; the server signs where [dkim] folder is {}", folder.display());
            made
        }
        DkimVerb::List => return list(context, &all),
        DkimVerb::Dns { domain } => {
            let is_wanted = |key: &DomainKey| domain.as_ref().is_none_or(|domain| key.domain.eq_ignore_ascii_case(domain));
            let is_needed = |key: &DomainKey| key.state(&all, context.now) != Use::Over;
            all.iter().filter(|key| is_wanted(key) && is_needed(key)).cloned().collect()
        }
    };
    if context.json {
        let records: Result<Vec<_>, Failure> = shown
            .iter()
            .map(|key| Ok(json!({ "name": key.name(), "type": "TXT", "text": key.record().map_err(failure)? })))
            .collect();
        context.print_json(&json!({ "schema": format!("sealpost.{}/1", args.name()), "records": records? }))?;
        return Ok(Exit::Good);
    }
    for key in &shown {
        output::stdout(format!("{}\n", key.zone_line().map_err(failure)?).as_bytes())?;
    }
    Ok(Exit::Good)
}

fn list(context: &Context, all: &[DomainKey]) -> Result<Exit, Failure> {
    let told = |key: &DomainKey| match key.state(all, context.now) {
        Use::Waits => ("waits", "signs from its day on; its record must be published by then"),
        Use::Signs => ("signs", "its record is published"),
        Use::Stays => ("stays", "a newer one signs; its record stays for mail under way"),
        Use::Over => ("over", "its record and its file may go"),
    };
    if context.json {
        let keys: Vec<_> = all
            .iter()
            .map(|key| {
                let (state, _) = told(key);
                json!({ "domain": key.domain, "selector": key.selector, "kind": key.kind.to_string(), "from": day(key.from), "state": state })
            })
            .collect();
        context.print_json(&json!({ "schema": "sealpost.dkim.list/1", "stays_days": STAYS, "keys": keys }))?;
        return Ok(Exit::Good);
    }
    for key in all {
        let (state, why) = told(key);
        let line = format!("{}  {}  {:<8}  {state} – {why}\n", key.domain, key.selector, key.kind.to_string());
        output::stdout(line.as_bytes())?;
    }
    Ok(Exit::Good)
}

/// The day of a new key: a successor waits until its record is known everywhere.
fn start(wanted: Option<&str>, is_first: bool, now: Timestamp) -> Result<Timestamp, Failure> {
    match wanted {
        Some(text) => Timestamp::parse_rfc3339(text)
            .ok_or_else(|| Failure::usage(format!("--from {text} is not a day")).hint("write it as 2026-12-01")),
        None if is_first => Ok(now),
        None => Ok(now.plus_days(SPREADS)),
    }
}

fn day(at: Timestamp) -> String {
    let Civil { year, month, day, .. } = at.civil();
    format!("{year:04}-{month:02}-{day:02}")
}

fn failure(error: Error) -> Failure {
    match error {
        Error::Exists(_) => Failure::usage(error).hint("give another day with --from"),
        Error::Malformed(_) => Failure::usage(error),
        other => Failure::io(other),
    }
}
