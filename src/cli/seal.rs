//! `sealpost seal`.

use std::path::PathBuf;

use clap::Args;

use sealpost::smime::{Encrypt, Seal};

use crate::cli::context::Context;
use crate::cli::failure::{Exit, Failure};
use crate::cli::input::Source;
use crate::cli::output::Output;
use crate::cli::progress::{Progress, encoded};
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
    args.output.check()?;
    let message = Source(args.message.clone()).read(&context.limits)?;
    let identity = args.signer.identity(context, &message)?;
    let certificates = args.recipients.certificates(context, &message, Some(identity.certificate()))?;
    let encrypt = Encrypt::new(&certificates).cipher(args.recipients.cipher()?).transport(args.recipients.transport());
    eprintln!("{}", encrypt.reason());
    let seal = Seal::new(args.signer.signing(&identity)?, encrypt);
    let progress = Progress::bar("sealing", encoded(message.len()));
    args.output.write_by(|sink| {
        seal.write(&message, context.now, &mut context.random(), &mut progress.sink(sink)).map_err(from_smime)
    })?;
    drop(progress);
    Ok(Exit::Good)
}
