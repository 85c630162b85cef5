//! `sealpost verify`.

use std::path::PathBuf;

use clap::Args;

use sealpost::smime::{Layers, Want};

use crate::cli::behind::Writer;
use crate::cli::context::Context;
use crate::cli::failure::{Exit, Failure};
use crate::cli::input::{self, Source};
use crate::cli::keyring::{Materials, ReadArgs};
use crate::cli::open::{Verb, finish, read};
use crate::cli::output::Output;

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
    let mut message = Source(args.message.clone()).open("verifying", &context.limits)?;
    let mut materials = args.read.materials_without_keys(context)?;
    let Some(path) = &args.signature else {
        let verb = Verb { name: "verify", layers: Layers::OneSigned, want: Want::Content };
        return read(context, &verb, &mut materials, &mut message, &args.output);
    };
    let signature = input::file(path, &context.limits)?;
    // the person holds the content of a detached signature already; and with JSON on standard output there is no room for it
    let is_unwanted = args.output.file.is_none() || (context.json && args.output.is_stdout());
    let want = if is_unwanted { Want::Nothing } else { Want::Content };
    let mut spool = args.output.spool(Writer::Here, None)?;
    let mut stream = |materials: &Materials| {
        let opener = materials.open(context);
        let opened = match want {
            Want::Nothing => opener.stream_detached(&mut message, &signature, &mut std::io::sink()),
            _ => opener.stream_detached(&mut message, &signature, &mut spool),
        };
        opened.map_err(Failure::io)
    };
    let mut opened = stream(&materials)?;
    if materials.complete(context, opened.verdict())? {
        opened = stream(&materials)?;
    }
    materials.keep_seen(context, &opened);
    finish(context, "verify", &opened, &materials.told, spool, want)
}
