//! `sealpost contact`.

use std::io::Cursor;
use std::path::PathBuf;

use clap::{Args, Subcommand};

use sealpost::asn1::pem;
use sealpost::cms::Capabilities;
use sealpost::keys::Home;
use sealpost::pki::{self, Certificate};
use sealpost::smime::{self, Code, SignerVerdict, Verdict};

use crate::cli::context::Context;
#[cfg(feature = "server")]
use crate::cli::directory;
use crate::cli::failure::{Exit, Failure};
use crate::cli::keyring::{self, Materials, ReadArgs};
use crate::cli::{input, output, report};

/// Other people's certificates
#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  sealpost contact add cherry.pem           a certificate that someone gave you
  sealpost contact add signed.eml           the signer of a message that verifies, and what he reads
  sealpost contact find cherry@b.example --ldap ldaps://dir.b.example/dc=b,dc=example
  sealpost contact list
  sealpost contact remove cherry@b.example")]
pub(crate) struct ContactArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Add certificates from a file or of a message that hands over nothing else, or the signers of a message that verifies, with what
    /// they say that they read; `open` and `verify` change no contact
    Add {
        /// PEM, DER, or a message
        file: PathBuf,
        #[command(flatten)]
        read: Box<ReadArgs>,
    },
    /// List the contacts
    List,
    /// Show the certificates of an address; PEM on standard output
    Show {
        /// The address
        address: String,
    },
    /// Remove the certificates of an address, and what is known of what it reads
    Remove {
        /// The address
        address: String,
    },
    #[cfg(feature = "server")]
    Find(Box<directory::FindArgs>),
}

impl ContactArgs {
    /// The name of the verb, as JSON results have it.
    pub(crate) const fn name(&self) -> &'static str {
        match self.verb {
            #[cfg(feature = "server")]
            Verb::Find(_) => directory::NAME,
            Verb::Add { .. } => "contact.add",
            Verb::List => "contact.list",
            Verb::Show { .. } => "contact.show",
            Verb::Remove { .. } => "contact.remove",
        }
    }
}

/// Runs the verb.
pub(crate) fn run(context: &Context, args: ContactArgs) -> Result<Exit, Failure> {
    #[cfg(feature = "server")]
    if let Verb::Find(args) = &args.verb {
        // looking somewhere else makes no home
        return directory::run(context, args);
    }
    let home = context.open_home()?;
    match args.verb {
        #[cfg(feature = "server")]
        Verb::Find(args) => directory::run(context, &args),
        Verb::Add { file, read } => {
            let bytes = input::file(&file, &context.limits)?;
            let certificates = match pki::load::certificates(&bytes) {
                Ok(found) if !found.is_empty() => found,
                _ => return add_signers(context, &bytes, &read),
            };
            add(context, &people(certificates))
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
                if let Some(said) = home.learnt(certificate).map_err(Failure::io)? {
                    let names = Capabilities::from_der(&said.capabilities).unwrap_or_default().names().join(", ");
                    eprintln!("reads (said on {}): {}", said.time, report::safe(&names));
                }
                output::stdout(pem::encode("CERTIFICATE", certificate.der()).as_bytes())?;
            }
            Ok(Exit::Good)
        }
        Verb::Remove { address } => {
            let removed = home.remove_contact(&address).map_err(Failure::io)?;
            if removed.is_empty() {
                return Err(Failure::usage(format!("no contact {address}")).hint("`sealpost contact list` shows them"));
            }
            for certificate in &removed {
                eprintln!("removed: {} (SHA-256 {})", report::safe(&certificate.to_string()), certificate.fingerprint_hex());
            }
            if context.json { keyring::list(context, "contact.remove", &removed) } else { Ok(Exit::Good) }
        }
    }
}

fn add_signers(context: &Context, message: &[u8], read: &ReadArgs) -> Result<Exit, Failure> {
    let mut materials = read.materials_without_keys(context)?;
    let mut opened = materials.open(context).verify(message);
    // what is signed may be inside an encryption
    let is_inside = opened.verdict().has_error(Code::NotSigned);
    if is_inside {
        materials = read.materials(context, &mut Cursor::new(message))?;
    }
    let open = |materials: &Materials| match is_inside {
        true => materials.open(context).run(message, &mut context.random()),
        false => materials.open(context).verify(message),
    };
    if is_inside {
        opened = open(&materials);
    }
    if materials.complete(context, opened.verdict())? {
        opened = open(&materials);
    }
    if hands_over(opened.verdict()) {
        eprintln!(
            "note: nobody signed the message, which hands over certificates – compare their fingerprints with their owners"
        );
        return add(context, &people(smime::inspect(message, &context.limits).certificates));
    }
    report::print(opened.verdict());
    report::print_findings(&materials.told);
    let outcome = report::exit(opened.verdict().outcome());
    let Ok(verified) = opened.into_verified() else {
        let exit = if outcome == Exit::Good { Exit::Refused } else { outcome };
        let why = "nothing was added – only the signer of a message that verifies, with nothing excused, becomes a contact";
        return Err(Failure::new(exit, why));
    };
    let people = verified.signers().iter().flat_map(|s| s.certificate.iter().chain(&s.learnt.encryption_certificate));
    let exit = add(context, &people.cloned().collect::<Vec<_>>())?;
    let home = context.open_home()?;
    for signer in verified.signers() {
        learn(context, &home, signer)?;
    }
    Ok(exit)
}

/// Whether a message holds certificates and nothing else (RFC 8551 3.8).
fn hands_over(verdict: &Verdict) -> bool {
    verdict.layers.is_empty() && verdict.findings.iter().any(|finding| finding.code == Code::CertificatesOnly)
}

/// A bundle holds its owner and those above him; only people are contacts.
fn people(mut certificates: Vec<Certificate>) -> Vec<Certificate> {
    certificates.retain(|certificate| !certificate.basic_constraints().is_some_and(|basic| basic.is_ca));
    certificates
}

/// Keeps what a signer said that he reads, beside the certificate that mail to him is encrypted to.
fn learn(context: &Context, home: &Home, signer: &SignerVerdict) -> Result<(), Failure> {
    let Some(certificate) = signer.learnt.encryption_certificate.as_ref().or(signer.certificate.as_ref()) else {
        return Ok(());
    };
    // a certificate that was named for encryption is kept as named, even where nothing is said of ciphers
    let said = signer.learnt.capabilities.clone().unwrap_or_default();
    if said.0.is_empty() && signer.learnt.encryption_certificate.is_none() {
        return Ok(());
    }
    if home.learn(certificate, signer.claimed_time, &said.to_der(), context.now).map_err(Failure::io)? {
        if !said.0.is_empty() {
            eprintln!("  reads: {}", report::safe(&said.names().join(", ")));
        }
    } else {
        eprintln!("  what it says of what its signer reads is older than what is known");
    }
    Ok(())
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
