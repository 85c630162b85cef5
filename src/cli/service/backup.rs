//! `sealpost backup` and `sealpost restore`: the home with all its mail in one file.

use std::path::PathBuf;

use clap::Args;

use sealpost::server::store::SqliteStore;

use crate::cli::context::Context;
use crate::cli::failure::{Exit, Failure};
use crate::cli::service;

/// Write everything into one file, while the server runs
#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  sealpost backup -o monday.backup        accounts, mail and queue of one moment, and the keys beside them")]
pub(crate) struct BackupArgs {
    /// The file; it holds the keys and the mail, so keep it as safe as the home
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
}

/// Put a backup into an empty home
#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  sealpost --home new restore monday.backup")]
pub(crate) struct RestoreArgs {
    /// The backup
    file: PathBuf,
}

/// Runs `backup`.
pub(crate) fn backup(context: &Context, args: &BackupArgs) -> Result<Exit, Failure> {
    let data = service::data(context)?;
    let store = SqliteStore::open(&data).map_err(service::from_store)?;
    store.backup(&args.output, context.home_path(), &data).map_err(service::from_store)?;
    service::done(context, "backup")
}

/// Runs `restore`.
pub(crate) fn restore(context: &Context, args: &RestoreArgs) -> Result<Exit, Failure> {
    SqliteStore::restore_home(&args.file, context.home_path()).map_err(service::from_store)?;
    // where the mail goes stands in the configuration that is there now
    SqliteStore::restore(&args.file, &service::data(context)?).map_err(service::from_store)?;
    service::done(context, "restore")
}
