//! `sealpost seal`.

use std::path::PathBuf;

use clap::Args;

use sealpost::smime::Seal;

use crate::cli::context::Context;
use crate::cli::copies;
use crate::cli::failure::{Exit, Failure};
use crate::cli::input::Source;
use crate::cli::output::Output;
use crate::cli::recipients::RecipientArgs;
use crate::cli::sign::{SignerArgs, from_smime};

/// Sign, then encrypt
#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  sealpost seal letter.eml -o sealed.eml                      as its sender, to its recipients
  sealpost seal --p12 jane.p12 --to-cert cherry.pem letter.eml")]
pub(crate) struct SealArgs {
    /// The message (default: standard input)
    #[arg(value_name = "MSG")]
    message: Option<PathBuf>,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    signer: SignerArgs,
    #[command(flatten)]
    recipients: RecipientArgs,
}

/// Runs the verb.
pub(crate) fn run(context: &Context, args: &SealArgs) -> Result<Exit, Failure> {
    context.check_output(&args.output)?;
    let mut message = Source(args.message.clone()).open("sealing", &context.limits)?;
    let header = message.header(&context.limits)?;
    let signer = args.signer.signer(context, &header)?;
    let addressees = args.recipients.addressees(context, &header, Some(signer.identity.certificate()))?;
    signer.warn(&header, context);
    let sign = args.signer.signing(&signer)?;
    message.warn_of_subject(&context.limits)?;
    // the thread that writes has enough to do beside the one that hashes, and memory is short
    copies::write(context, "seal", &args.output, &args.recipients, &addressees, None, |encrypt, spool| {
        let seal = Seal::new(sign.clone(), encrypt.clone());
        seal.stream(&mut message, context.now, &mut context.random(), spool).map_err(from_smime)
    })
}
