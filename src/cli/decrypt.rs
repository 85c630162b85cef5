//! `sealpost decrypt`.

use std::path::PathBuf;

use clap::Args;

use sealpost::smime::{Layers, Want};

use crate::cli::context::Context;
use crate::cli::failure::{Exit, Failure};
use crate::cli::input::Source;
use crate::cli::keyring::ReadArgs;
use crate::cli::open::{Verb, read};
use crate::cli::output::Output;

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
    let mut message = Source(args.message.clone()).open("decrypting", &context.limits)?;
    let mut materials = args.read.materials(context, &mut message)?;
    let verb = Verb { name: "decrypt", layers: Layers::OneEncrypted, want: Want::Content };
    read(context, &verb, &mut materials, &mut message, &args.output)
}
