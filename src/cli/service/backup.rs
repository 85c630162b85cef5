//! `sealpost backup` and `sealpost restore`: the home with all its mail in one file.

use std::path::PathBuf;

use clap::Args;

use sealpost::server::store::{Error as StoreError, SqliteStore};

use crate::cli::context::Context;
use crate::cli::failure::{Exit, Failure};
use crate::cli::{output, service};

/// Write everything into one file, while the server runs
#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  sealpost backup -o monday.backup        accounts, mail and queue of one moment, and the keys beside them
  sealpost backup -o tuesday.backup --since monday.backup
                                          without the messages that Monday's has")]
pub(crate) struct BackupArgs {
    /// The file; it holds the keys and the mail, so keep it as safe as the home
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// An earlier backup: the messages that it has are left out, and restoring needs both
    #[arg(long, value_name = "FILE")]
    since: Option<PathBuf>,
    /// Replace the file if it exists
    #[arg(long)]
    force: bool,
}

/// Put a backup into an empty home
#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  sealpost --home new restore monday.backup
  sealpost --home new restore tuesday.backup --earlier monday.backup")]
pub(crate) struct RestoreArgs {
    /// The backup
    file: PathBuf,
    /// An earlier backup that this one builds on; may be given more than once
    #[arg(long, value_name = "FILE")]
    earlier: Vec<PathBuf>,
}

/// Runs `backup`.
pub(crate) fn backup(context: &Context, args: &BackupArgs) -> Result<Exit, Failure> {
    if args.output.exists() && !args.force {
        return Err(output::exists(&args.output));
    }
    let data = service::data(context)?;
    let store = SqliteStore::open(&data).map_err(service::from_store)?;
    let written = match &args.since {
        Some(since) => store.backup_since(&args.output, since, context.home_path(), &data),
        None => store.backup(&args.output, context.home_path(), &data),
    };
    written.map_err(service::from_store)?;
    service::done(context, "backup")
}

/// Runs `restore`.
pub(crate) fn restore(context: &Context, args: &RestoreArgs) -> Result<Exit, Failure> {
    // what is missing is told before the home has anything
    SqliteStore::restorable(&args.file, &args.earlier).map_err(|error| match error {
        StoreError::NotFound(_) => service::from_store(error).hint("give it with --earlier FILE"),
        error => service::from_store(error),
    })?;
    SqliteStore::restore_home(&args.file, context.home_path()).map_err(service::from_store)?;
    // where the mail goes stands in the configuration that is there now
    SqliteStore::restore_with(&args.file, &args.earlier, &service::data(context)?).map_err(service::from_store)?;
    service::done(context, "restore")
}
