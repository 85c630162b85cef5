//! `sealpost user filter`: the Sieve script of a user.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use sealpost::limits::Limits;
use sealpost::server::filter::{FileFilters, Filters};
use sealpost::sieve::{Script, ready};

use crate::cli::context::Context;
use crate::cli::failure::{Exit, Failure, on_file};
use crate::cli::service::{accounts_of, config, done, from_store, has_mistakes};

/// Arguments of `user filter`.
#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  sealpost user filter jane@a.example rules.sieve      the script is checked, and runs on the next message
  sealpost user filter jane@a.example --ready spam     a rule that is ready: spam, lists, plus, machines, large, away
  sealpost user filter jane@a.example --check x.sieve  every mistake with its line; nothing is changed
  sealpost user filter jane@a.example --show           the script that runs now")]
pub(crate) struct FilterArgs {
    /// The user
    address: String,
    /// The script to put in place
    #[arg(value_name = "FILE", conflicts_with_all = ["check", "ready", "show", "remove"])]
    file: Option<PathBuf>,
    /// Check this script, and change nothing
    #[arg(long, value_name = "FILE", conflicts_with_all = ["ready", "show", "remove"])]
    check: Option<PathBuf>,
    /// Put a rule in place that is ready
    #[arg(long, value_name = "RULE", conflicts_with_all = ["show", "remove"])]
    ready: Option<String>,
    /// Print the script
    #[arg(long, conflicts_with = "remove")]
    show: bool,
    /// Take the script away: all messages go to the inbox
    #[arg(long)]
    remove: bool,
}

/// Does it.
pub(crate) fn run(context: &Context, args: &FilterArgs) -> Result<Exit, Failure> {
    let user = args.address.to_lowercase();
    let config = config(context)?;
    let filters = FileFilters::new(&config.data);
    if !accounts_of(&config)?.store().users().map_err(from_store)?.contains(&user) {
        return Err(Failure::usage(format!("there is no user {user}")).hint("`sealpost user list` shows all"));
    }
    if args.remove {
        filters.remove(&user).map_err(from_store)?;
        return done(context, "user.filter");
    }
    if let Some(name) = &args.ready {
        let known = || ready::RULES.iter().map(|rule| format!("  {}: {}", rule.name, rule.does)).collect::<Vec<_>>().join("\n");
        let rule = ready::named(name)
            .ok_or_else(|| Failure::usage(format!("there is no ready rule {name}; these are:\n{}", known())))?;
        filters.put(&user, rule.script.as_bytes()).map_err(from_store)?;
        return done(context, "user.filter");
    }
    if let Some(path) = args.file.as_ref().or(args.check.as_ref()) {
        let script = std::fs::read(path).map_err(on_file("read", path))?;
        Script::parse(&script, &Limits::default()).map_err(|mistakes| has_mistakes(path, &mistakes))?;
        if args.check.is_none() {
            filters.put(&user, &script).map_err(from_store)?;
        }
        return done(context, "user.filter");
    }
    let script = filters.script(&user).map_err(from_store)?.unwrap_or_default();
    if context.json {
        let shown = String::from_utf8_lossy(&script);
        context.print_json(&json!({ "schema": "sealpost.user.filter/1", "script": shown, "exit": 0 }))?;
    } else {
        std::io::stdout().write_all(&script).map_err(|error| Failure::io(format!("stdout – {error}")))?;
    }
    Ok(Exit::Good)
}
