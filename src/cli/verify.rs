//! `sealpost verify`.

use std::path::PathBuf;

use clap::Args;

use crate::cli::context::Context;
use crate::cli::failure::{Exit, Failure};
use crate::cli::input::{self, Source};
use crate::cli::keyring::ReadArgs;
use crate::cli::open::{Want, finish};
use crate::cli::output::Output;
use crate::cli::progress::Progress;

/// Verify one signed layer
#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  sealpost verify signed.eml                                  who signed, and is that the sender
  sealpost verify --trust root.pem signed.eml -o content
  sealpost verify contract.pdf --signature contract.pdf.p7s")]
pub(crate) struct VerifyArgs {
    /// The message, or the file that a detached signature covers (default: standard input)
    #[arg(value_name = "MSG")]
    message: Option<PathBuf>,
    /// The detached signature
    #[arg(long, value_name = "P7S")]
    signature: Option<PathBuf>,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    read: ReadArgs,
}

/// Runs the verb.
pub(crate) fn run(context: &Context, args: &VerifyArgs) -> Result<Exit, Failure> {
    args.output.check()?;
    let message = Source(args.message.clone()).read(&context.limits)?;
    let materials = args.read.materials_without_keys(context)?;
    let progress = Progress::bar("verifying", message.len());
    let tell = |bytes| progress.advance(bytes);
    let opened = match &args.signature {
        Some(path) => materials.open(context).progress(&tell).verify_detached(&message, &input::file(path, &context.limits)?),
        None => materials.open(context).progress(&tell).verify(&message),
    };
    drop(progress);
    // the person holds the content of a detached signature already
    let want = if args.signature.is_some() && args.output.file.is_none() { Want::Nothing } else { Want::Content };
    finish(context, "verify", &opened, &args.output, want)
}
