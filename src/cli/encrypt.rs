//! `sealpost encrypt`.

use std::path::PathBuf;

use clap::Args;

use crate::cli::context::Context;
use crate::cli::copies;
use crate::cli::failure::{Exit, Failure};
use crate::cli::input::Source;
use crate::cli::output::Output;
use crate::cli::recipients::RecipientArgs;
use crate::cli::sign::from_smime;

/// Encrypt a message to its recipients
#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  sealpost encrypt letter.eml -o secret.eml                   to the people in To and Cc, and the sender
  sealpost encrypt --to cherry@b.example letter.eml
  sealpost encrypt --to-cert cherry.pem --cipher aes-256-gcm letter.eml")]
pub(crate) struct EncryptArgs {
    /// The message (default: standard input)
    #[arg(value_name = "MSG")]
    message: Option<PathBuf>,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    recipients: RecipientArgs,
}

/// Runs the verb.
pub(crate) fn run(context: &Context, args: &EncryptArgs) -> Result<Exit, Failure> {
    context.check_output(&args.output)?;
    let mut message = Source(args.message.clone()).open("encrypting", &context.limits)?;
    let addressees = args.recipients.addressees(context, &message.header(&context.limits)?, None)?;
    message.warn_of_subject(&context.limits)?;
    copies::write(context, "encrypt", &args.output, &args.recipients, &addressees, message.wishes().as_ref(), |encrypt, spool| {
        encrypt.stream(&mut message, &mut context.random(), spool).map_err(from_smime)
    })
}
