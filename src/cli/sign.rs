//! `sealpost sign`.

use std::path::PathBuf;

use clap::Args;

use sealpost::crypto::algorithm::DigestAlgorithm;
use sealpost::keys::Identity;
use sealpost::smime::{Form, HeaderProtection, Sign};

use crate::cli::context::Context;
use crate::cli::failure::{Exit, Failure};
use crate::cli::input::Source;
use crate::cli::keyring::{self, OwnKeyArgs};
use crate::cli::output::Output;

/// Sign a message
#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  sealpost sign letter.eml -o signed.eml                      as the sender of the message
  sealpost sign --p12 jane.p12 letter.eml                     with a key file
  sealpost sign --opaque --digest sha512 < letter.eml         the content inside the signature")]
pub(crate) struct SignArgs {
    /// The message (default: standard input)
    #[arg(value_name = "MSG")]
    message: Option<PathBuf>,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    signer: SignerArgs,
}

/// Who signs, and how; shared with `seal`.
#[derive(Debug, Args)]
pub(crate) struct SignerArgs {
    #[command(flatten)]
    key: OwnKeyArgs,
    /// Sign as this address of the home (default: the From address of the message)
    #[arg(long = "as", value_name = "ADDR", conflicts_with_all = ["p12", "cert"])]
    sender: Option<String>,
    /// Put the content inside the signature
    #[arg(long)]
    opaque: bool,
    /// The digest
    #[arg(long, value_name = "NAME", default_value = "sha256", value_parser = ["sha256", "sha384", "sha512"])]
    digest: String,
    /// Sign with RSA-PSS instead of PKCS#1 v1.5
    #[arg(long)]
    pss: bool,
    /// Leave the header fields outside the signature
    #[arg(long)]
    no_header_protection: bool,
}

impl SignerArgs {
    /// The signer's identity: from files, or from the home by address.
    pub(crate) fn identity(&self, context: &Context, message: &[u8]) -> Result<Identity, Failure> {
        if let Some(identity) = self.key.identity(context)? {
            return Ok(identity);
        }
        let address = match &self.sender {
            Some(address) => address.clone(),
            None => sealpost::smime::sender_address(message, &context.limits).ok_or_else(|| {
                Failure::usage("the message has no From address – whose key shall sign is not known")
                    .hint("name the signer with --as ADDR, --p12 FILE, or --cert FILE --key FILE")
            })?,
        };
        keyring::identity(context, &address)
    }

    /// The signing with these options.
    pub(crate) fn signing<'a>(&self, identity: &'a Identity) -> Result<Sign<'a>, Failure> {
        let digest = DigestAlgorithm::from_name(&self.digest)
            .ok_or_else(|| Failure::usage(format!("--digest {} is not known", self.digest)))?;
        let mut sign = Sign::new(identity).digest(digest).form(if self.opaque { Form::Opaque } else { Form::Clear });
        if self.pss {
            sign = sign.pss();
        }
        if self.no_header_protection {
            sign = sign.header_protection(HeaderProtection::Off);
        }
        Ok(sign)
    }
}

/// Runs the verb.
pub(crate) fn run(context: &Context, args: &SignArgs) -> Result<Exit, Failure> {
    args.output.check()?;
    let mut message = Source(args.message.clone()).open("signing", &context.limits)?;
    let identity = args.signer.identity(context, &message.header(&context.limits)?)?;
    let signing = args.signer.signing(&identity)?;
    args.output.write_by(|spool| signing.stream(&mut message, context.now, &mut context.random(), spool).map_err(from_smime))?;
    Ok(Exit::Good)
}

/// What an error of the library means for the command line.
pub(crate) fn from_smime(error: sealpost::smime::Error) -> Failure {
    use sealpost::smime::Error;
    match error {
        // the input and the output say what they are
        Error::Io(error) => Failure::io(error),
        Error::NoRecipients => Failure::usage(error).hint("name them with --to ADDR or --to-cert FILE"),
        other => Failure::refused(other),
    }
}
