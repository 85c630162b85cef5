//! `sealpost cert`.

mod lint;
mod tree;
mod verify;

use clap::{Args, Subcommand};

use crate::cli::context::Context;
use crate::cli::failure::{Exit, Failure};

/// Certificates of anybody
#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  sealpost cert verify jane.pem                                     with what your home trusts
  sealpost cert verify jane.pem --trust root.pem --intermediates issuing.pem
  sealpost cert lint jane.pem --for gmail                           what Gmail would not like
  sealpost cert verify jane.pem --policy 2.16.840.1.101.3.2.1.48.1 --require-explicit-policy")]
pub(crate) struct CertArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Verify(Box<verify::VerifyArgs>),
    Lint(lint::LintArgs),
}

impl CertArgs {
    /// The name of the verb, as JSON results have it.
    pub(crate) const fn name(&self) -> &'static str {
        match self.verb {
            Verb::Verify(_) => verify::NAME,
            Verb::Lint(_) => lint::NAME,
        }
    }
}

/// Runs the verb.
pub(crate) fn run(context: &Context, args: &CertArgs) -> Result<Exit, Failure> {
    match &args.verb {
        Verb::Verify(args) => verify::run(context, args),
        Verb::Lint(args) => lint::run(context, args),
    }
}
