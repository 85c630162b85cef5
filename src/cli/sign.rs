//! `sealpost sign`.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use sealpost::cms;
use sealpost::crypto::algorithm::{DigestAlgorithm, KeyAlgorithm};
use sealpost::keys::Identity;
use sealpost::pki::{Certificate, email};
use sealpost::smime::{self, Form, HeaderProtection, Sign};

use crate::cli::behind::Writer;
use crate::cli::context::Context;
use crate::cli::failure::{Exit, Failure};
use crate::cli::input::Source;
use crate::cli::keyring::{self, OwnKeyArgs};
use crate::cli::output::Output;
use crate::cli::{report, token};

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
    /// The signer: from files, or from the home by address.
    pub(crate) fn signer(&self, context: &Context, message: &[u8]) -> Result<Signer, Failure> {
        let mut own = self.key.identities(context)?.into_iter();
        if let Some(identity) = own.next() {
            let others = own.map(|other| other.certificate().clone()).collect();
            return Ok(Signer::new(context, identity, others));
        }
        if self.key.names_a_key() {
            return Err(Failure::usage("nobody knows the certificate of the key – a signature names it").hint("add --cert FILE"));
        }
        let address = match &self.sender {
            Some(address) => address.clone(),
            None => smime::sender_address(message, &context.limits).ok_or_else(|| {
                Failure::usage("the message has no From address – whose key shall sign is not known")
                    .hint("name the signer with --as ADDR, --p12 FILE, or --cert FILE --key FILE")
            })?,
        };
        let identity = keyring::identity(context, &address)?;
        let home = context.existing_home()?.map(|home| home.identities()).transpose().map_err(Failure::io)?;
        let others = home.into_iter().flatten().filter(|other| !other.retired).map(|other| other.certificate).collect();
        Ok(Signer::new(context, identity, others))
    }

    /// The signing with these options.
    pub(crate) fn signing<'a>(&self, signer: &'a Signer) -> Result<Sign<'a>, Failure> {
        let digest = DigestAlgorithm::from_name(&self.digest)
            .ok_or_else(|| Failure::usage(format!("--digest {} is not known", self.digest)))?;
        let form = if self.opaque { Form::Opaque } else { Form::Clear };
        let mut sign = Sign::new(&signer.identity).digest(digest).form(form).second_thread(true);
        if let Some(other) = &signer.encryption_certificate {
            sign = sign.encryption_certificate(other);
        }
        if self.pss {
            sign = sign.pss();
        }
        if self.no_header_protection {
            sign = sign.header_protection(HeaderProtection::Off);
        }
        Ok(sign)
    }
}

/// Who signs.
pub(crate) struct Signer {
    /// With which key and certificate.
    pub(crate) identity: Identity,
    /// The certificate to which mail to him is encrypted, where it is another one.
    encryption_certificate: Option<Certificate>,
}

impl Signer {
    /// The signer, who may have these certificates, too: where his own only signs, the newest that encrypts is said to be for mail to him.
    fn new(context: &Context, identity: Identity, others: Vec<Certificate>) -> Self {
        let addresses = identity.addresses();
        let is_for_mail_to_him = |other: &Certificate| {
            other.addresses().iter().any(|address| email::find(&addresses, address))
                && (other.not_before()..=other.not_after()).contains(&context.now)
                && smime::check_recipient(other).is_ok()
        };
        let only_signs = smime::check_recipient(identity.certificate()).is_err();
        let others = others.into_iter().filter(|other| only_signs && is_for_mail_to_him(other));
        let encryption_certificate = others.max_by_key(Certificate::not_before);
        Self { identity, encryption_certificate }
    }

    /// Says what readers will hold against the signature.
    pub(crate) fn warn(&self, message: &[u8], context: &Context) {
        let addresses = self.identity.addresses();
        if let Some(from) = smime::sender_address(message, &context.limits)
            && !email::find(&addresses, &from)
        {
            let who = if addresses.is_empty() { self.identity.certificate().to_string() } else { addresses.join(", ") };
            eprintln!(
                "warning: the message is from {} and the signature by {} – readers will say that the signer is not the sender",
                report::safe(&from),
                report::safe(&who)
            );
        }
        warn_of_size(self.identity.certificate(), "refuse its signatures");
    }
}

/// Runs the verb.
pub(crate) fn run(context: &Context, args: &SignArgs) -> Result<Exit, Failure> {
    context.check_output(&args.output)?;
    let mut message = Source(args.message.clone()).open("signing", &context.limits)?;
    let header = message.header(&context.limits)?;
    let signer = args.signer.signer(context, &header)?;
    signer.warn(&header, context);
    let signing = args.signer.signing(&signer)?;
    args.output.write_by(Writer::Here, None, |spool| {
        signing.stream(&mut message, context.now, &mut context.random(), spool).map_err(from_smime)
    })?;
    if context.json {
        let certificate = signer.identity.certificate();
        context.print_json(&json!({
            "schema": "sealpost.sign/1",
            "result": "ok",
            "exit": 0,
            "file": args.output.file.as_ref().map(|path| path.display().to_string()),
            "detached": !args.signer.opaque,
            "signer": {
                "addresses": certificate.addresses(),
                "subject": certificate.to_string(),
                "digest": args.signer.digest,
            },
        }))?;
    }
    Ok(Exit::Good)
}

/// Says that a key is too short for those who read.
pub(crate) fn warn_of_size(certificate: &Certificate, what_readers_do: &str) {
    if let Ok(KeyAlgorithm::Rsa(bits @ ..2048)) = certificate.public_key().map(|key| key.algorithm()) {
        let who = report::safe(&certificate.to_string());
        eprintln!("warning: the key of {who} has {bits} bits, which is too short – programs of today {what_readers_do}");
    }
}

/// What an error of the library means for the command line.
pub(crate) fn from_smime(error: smime::Error) -> Failure {
    use smime::Error;
    match error {
        // the input and the output say what they are
        Error::Io(error) => Failure::io(error),
        Error::Crypto(error) | Error::Cms(cms::Error::Crypto(error)) => {
            token::unavailable(&error).unwrap_or_else(|| Failure::refused(Error::Crypto(error)))
        }
        Error::NoRecipients => Failure::usage(error).hint("name them with --to ADDR or --to-cert FILE"),
        other => Failure::refused(other),
    }
}
