//! `sealpost decrypt`.

use std::path::PathBuf;

use clap::Args;

use crate::cli::context::Context;
use crate::cli::failure::{Exit, Failure};
use crate::cli::input::Source;
use crate::cli::keyring::ReadArgs;
use crate::cli::open::{Want, finish};
use crate::cli::output::Output;
use crate::cli::progress::Progress;

/// Decrypt one encrypted layer
#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  sealpost decrypt secret.eml -o content
  sealpost decrypt --key cherry.key smime.p7m -o content")]
pub(crate) struct DecryptArgs {
    /// The message (default: standard input)
    #[arg(value_name = "MSG")]
    message: Option<PathBuf>,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    read: ReadArgs,
}

/// Runs the verb.
pub(crate) fn run(context: &Context, args: &DecryptArgs) -> Result<Exit, Failure> {
    args.output.check()?;
    let message = Source(args.message.clone()).read(&context.limits)?;
    let materials = args.read.materials(context, &message)?;
    let progress = Progress::bar("decrypting", message.len());
    let tell = |bytes| progress.advance(bytes);
    let opened = materials.open(context).progress(&tell).decrypt(&message, &mut context.random());
    drop(progress);
    finish(context, "decrypt", &opened, &args.output, Want::Content)
}
