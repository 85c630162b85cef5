//! `sealpost dkim`: the keys with which domains sign the mail of their users.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;

use sealpost::keys::Error;
use sealpost::keys::domain::{self, DomainKey, Kind, Use};
use sealpost::time::Timestamp;

use crate::cli::context::Context;
use crate::cli::failure::{Exit, Failure};
use crate::cli::output;
#[cfg(feature = "server")]
use crate::cli::service;

/// The keys with which domains sign the mail of their users (DKIM)
#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  sealpost dkim new a.example             keys of both kinds, and the records to publish
  sealpost dkim list                      which key signs, which waits, which may go
  sealpost dkim dns a.example             the records once more, as lines of a zone file
  sealpost dkim remove a.example 20261101r    a key that is over
  sealpost dkim new a.example --server office   keys of another server of the configuration, which has a folder of its own")]
pub(crate) struct DkimArgs {
    #[command(subcommand)]
    verb: DkimVerb,
    /// Where the keys lie (default: dkim in the home)
    #[arg(long, value_name = "DIR", global = true)]
    folder: Option<PathBuf>,
    #[cfg(feature = "server")]
    /// Where the configuration says that the keys of this server lie (`main`, or the name of a [[server]])
    #[arg(long, value_name = "NAME", global = true, conflicts_with = "folder")]
    server: Option<String>,
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
    /// Remove a key that is over, or has not signed yet
    Remove {
        /// The domain
        domain: String,
        /// The key, as `dkim list` names it
        selector: String,
    },
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
            DkimVerb::Remove { .. } => "dkim.remove",
            DkimVerb::Dns { .. } => "dkim.dns",
        }
    }
}

/// Runs the verb.
pub(crate) fn run(context: &Context, args: &DkimArgs) -> Result<Exit, Failure> {
    let folder = folder(context, args)?;
    let (verb, shown) = match &args.verb {
        DkimVerb::New { domain, kind, from } => {
            let kind = kind.map(|kind| match kind {
                KindName::Rsa => Kind::Rsa,
                KindName::Ed25519 => Kind::Ed25519,
            });
            let made = (kind, from.as_deref().map(day).transpose()?);
            let made = DomainKey::roll(&folder, domain, made, context.now, &mut context.random()).map_err(failure)?;
            eprintln!("publish these records; the server signs where [dkim] folder is {}", folder.display());
            ("new", made)
        }
        DkimVerb::List => return list(context, &DomainKey::all(&folder).map_err(failure)?),
        DkimVerb::Remove { domain, selector } => {
            DomainKey::remove(&folder, domain, selector, context.now).map_err(failure)?;
            if context.json {
                context.print_json(&json!({ "schema": "sealpost.dkim.remove/1", "exit": 0 }))?;
            }
            return Ok(Exit::Good);
        }
        DkimVerb::Dns { domain } => ("dns", DomainKey::published(&folder, domain.as_deref(), context.now).map_err(failure)?),
    };
    if context.json {
        context.print_json(&domain::json::records(verb, &shown).map_err(failure)?)?;
        return Ok(Exit::Good);
    }
    for key in &shown {
        output::stdout(format!("{}\n", key.zone_line().map_err(failure)?).as_bytes())?;
    }
    Ok(Exit::Good)
}

fn folder(context: &Context, args: &DkimArgs) -> Result<PathBuf, Failure> {
    #[cfg(feature = "server")]
    if let Some(server) = &args.server {
        return of_server(context, server);
    }
    Ok(args.folder.clone().unwrap_or_else(|| context.home_path().join("dkim")))
}

/// The folder that the home's configuration names for a server.
#[cfg(feature = "server")]
fn of_server(context: &Context, server: &str) -> Result<PathBuf, Failure> {
    let config = service::config(context)?;
    let policy = config.policy_of(server).ok_or_else(|| Failure::usage(format!("there is no server {server}")));
    let policy = policy.map_err(|failure| failure.hint("`sealpost server list` shows all"))?;
    let none = || Failure::usage(format!("the configuration names no folder for keys of the server {server}"));
    policy.dkim.clone().ok_or_else(|| none().hint("set `folder` in [dkim], or in [server.dkim]"))
}

fn list(context: &Context, all: &[DomainKey]) -> Result<Exit, Failure> {
    if context.json {
        context.print_json(&domain::json::list(all, context.now))?;
        return Ok(Exit::Good);
    }
    for key in all {
        let state = key.state(all, context.now);
        let why = match state {
            Use::Waits => "signs from its day on; its record must be published by then",
            Use::Signs => "its record is published",
            Use::Stays => "a newer one signs; its record stays for mail under way",
            Use::Over => "its record and its file may go",
        };
        let line = format!("{}  {}  {:<8}  {} – {why}\n", key.domain, key.selector, key.kind.to_string(), state.word());
        output::stdout(line.as_bytes())?;
    }
    Ok(Exit::Good)
}

fn day(text: &str) -> Result<Timestamp, Failure> {
    Timestamp::parse_rfc3339(text)
        .ok_or_else(|| Failure::usage(format!("--from {text} is not a day")).hint("write it as 2026-12-01"))
}

fn failure(error: Error) -> Failure {
    match error {
        Error::Exists(_) => Failure::usage(error).hint("give another day with --from"),
        Error::InUse(_) => Failure::usage(error)
            .hint("make its successor first with `sealpost dkim new`; `sealpost dkim list` says when it may go"),
        Error::NotFound(_) => Failure::usage(error).hint("`sealpost dkim list` shows all"),
        Error::Malformed(_) => Failure::usage(error),
        other => Failure::io(other),
    }
}
