//! `sealpost user filter`: the Sieve script of a user.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use sealpost::server::manage::{Error, Manage, json};
use sealpost::server::store::Error as StoreError;
use sealpost::sieve::ready;

use crate::cli::context::Context;
use crate::cli::failure::{Exit, Failure, on_file};
use crate::cli::service::{self, done, from_manage, has_mistakes};

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
    let (manage, user) = (service::manage(context)?, args.address.as_str());
    let told = |error: Error| match error {
        Error::Store(StoreError::NotFound(_)) => from_manage(error).hint("`sealpost user list` shows all"),
        other => from_manage(other),
    };
    if args.remove {
        manage.remove_filter(user).map_err(told)?;
        return done(context, "user.filter");
    }
    if let Some(name) = &args.ready {
        let known = || ready::RULES.iter().map(|rule| format!("  {}: {}", rule.name, rule.does)).collect::<Vec<_>>().join("\n");
        let rule = ready::named(name)
            .ok_or_else(|| Failure::usage(format!("there is no ready rule {name}; these are:\n{}", known())))?;
        manage.set_filter(user, rule.script.as_bytes()).map_err(told)?;
        return done(context, "user.filter");
    }
    if let Some(path) = args.file.as_ref().or(args.check.as_ref()) {
        let script = std::fs::read(path).map_err(on_file("read", path))?;
        let done_so = match args.check {
            Some(_) => manage.user(user).and_then(|_| Manage::check_filter(&script)),
            None => manage.set_filter(user, &script),
        };
        done_so.map_err(|error| match error {
            Error::Script(mistakes) => has_mistakes(path, &mistakes),
            other => told(other),
        })?;
        return done(context, "user.filter");
    }
    let script = manage.filter(user).map_err(told)?;
    if context.json {
        context.print_json(&json::filter(&script))?;
    } else {
        std::io::stdout().write_all(&script).map_err(|error| Failure::io(format!("stdout – {error}")))?;
    }
    Ok(Exit::Good)
}
