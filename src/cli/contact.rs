//! `sealpost contact`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use sealpost::asn1::pem;
use sealpost::pki::{self, Certificate};
use sealpost::smime::Open;

use crate::cli::context::Context;
use crate::cli::failure::{Exit, Failure};
use crate::cli::keyring::{self, TrustArgs};
use crate::cli::{input, output, report};

/// Other people's certificates
#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  sealpost contact add cherry.pem           a certificate that someone gave you
  sealpost contact add signed.eml           the signer of a message that verifies
  sealpost contact list")]
pub(crate) struct ContactArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Add certificates from a file, or the signers of a message that verifies
    Add {
        /// PEM, DER, or a signed message
        file: PathBuf,
        #[command(flatten)]
        trust: TrustArgs,
    },
    /// List the contacts
    List,
    /// Show the certificates of an address; PEM on standard output
    Show {
        /// The address
        address: String,
    },
}

/// Runs the verb.
pub(crate) fn run(context: &Context, args: ContactArgs) -> Result<Exit, Failure> {
    let home = context.open_home()?;
    match args.verb {
        Verb::Add { file, trust } => {
            let bytes = input::file(&file, &context.limits)?;
            let certificates = match pki::load::certificates(&bytes) {
                Ok(found) if !found.is_empty() => found,
                _ => return add_signers(context, &bytes, &trust),
            };
            // a bundle holds its owner and those above him; only people are contacts
            let people: Vec<Certificate> =
                certificates.into_iter().filter(|c| !c.basic_constraints().is_some_and(|b| b.is_ca)).collect();
            add(context, &people)
        }
        Verb::List => keyring::list(context, "contact.list", &home.contacts().map_err(Failure::io)?),
        Verb::Show { address } => {
            let found = home.contact(&address).map_err(Failure::io)?;
            if found.is_empty() {
                return Err(Failure::usage(format!("no contact {address}")).hint("`sealpost contact list` shows them"));
            }
            if context.json {
                return keyring::list(context, "contact.show", &found);
            }
            for certificate in &found {
                eprintln!("{}", report::safe_lines(&certificate.describe()));
                output::stdout(pem::encode("CERTIFICATE", certificate.der()).as_bytes())?;
            }
            Ok(Exit::Good)
        }
    }
}

fn add_signers(context: &Context, message: &[u8], trust: &TrustArgs) -> Result<Exit, Failure> {
    let home = context.open_home()?;
    let trust = trust.trust(context, Some(&home))?;
    let opened = Open::new(&trust).limits(&context.limits).verify(message);
    report::print(opened.verdict());
    let outcome = opened.verdict().outcome();
    if report::exit(outcome) != Exit::Good {
        eprintln!("nothing was added: only the signer of a message that verifies becomes a contact");
        return Ok(report::exit(outcome));
    }
    let signers: Vec<Certificate> = opened.verdict().signers().filter_map(|signer| signer.certificate.clone()).collect();
    add(context, &signers)
}

fn add(context: &Context, certificates: &[Certificate]) -> Result<Exit, Failure> {
    let home = context.open_home()?;
    let with_address: Vec<Certificate> = certificates.iter().filter(|c| !c.addresses().is_empty()).cloned().collect();
    if with_address.is_empty() {
        return Err(Failure::refused("the file holds no certificate of a person with a mail address"));
    }
    for certificate in &with_address {
        home.add_contact(certificate).map_err(Failure::io)?;
        eprintln!("contact: {} (SHA-256 {})", report::safe(&certificate.addresses().join(", ")), certificate.fingerprint_hex());
    }
    keyring::list(context, "contact.add", &with_address)
}
