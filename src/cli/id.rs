//! `sealpost id`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;

use sealpost::asn1::pem;
use sealpost::ca::{MailProfile, Uses, store::Store};
use sealpost::crypto::algorithm::KeyAlgorithm;

use crate::cli::ca::open_store;
use crate::cli::context::Context;
use crate::cli::export::{self, Signature};
use crate::cli::failure::{Exit, Failure};
use crate::cli::keyring::{self, certificate_json};
use crate::cli::output::Output;
use crate::cli::{input, report};

/// Your own keys and certificates
#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  sealpost id new jane@a.example --name 'Jane Doe'      a key and a certificate from the home's CA
  sealpost id import jane.p12                           from another program
  sealpost id export jane@a.example --for modern -o jane.p12
  sealpost id export jane@a.example --for apple -o jane.mobileconfig     a profile for iPhone, iPad and Mac")]
pub(crate) struct IdArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Make a key and a certificate from the home's CA
    New {
        /// The mail address
        address: String,
        /// The person's name
        #[arg(long)]
        name: Option<String>,
        /// The kind of key
        #[arg(long, default_value = "rsa3072", value_parser = ["rsa2048", "rsa3072", "rsa4096", "p256", "p384", "ed25519"])]
        algorithm: String,
    },
    /// List your identities
    List,
    /// Show the identity of an address; its certificates as PEM on standard output
    Show {
        /// The mail address
        address: String,
    },
    /// Bring a key and its certificates from a .p12 or PEM file
    Import {
        /// The file
        file: PathBuf,
    },
    /// Write a key and its certificates for another program
    Export {
        /// The mail address
        address: String,
        /// Who reads it: PKCS#12 for today's programs, for Apple's, for Windows or Thunderbird; or PEM
        #[arg(long = "for", value_name = "PROGRAM", value_parser = ["modern", "apple", "windows", "thunderbird", "pem"])]
        form: String,
        #[command(flatten)]
        output: Output,
        /// Sign the configuration profile (-o FILE.mobileconfig) with the key
        #[arg(long)]
        signed: bool,
    },
}

/// Runs the verb.
pub(crate) fn run(context: &Context, args: IdArgs) -> Result<Exit, Failure> {
    match args.verb {
        Verb::New { address, name, algorithm } => new(context, &address, name, &algorithm),
        Verb::List => list(context),
        Verb::Show { address } => show(context, &address),
        Verb::Import { file } => import(context, &file),
        Verb::Export { address, form, output, signed } => {
            let signature = if signed { Signature::Own } else { Signature::None };
            export(context, &address, &form, (&output, signature))
        }
    }
}

fn new(context: &Context, address: &str, name: Option<String>, algorithm: &str) -> Result<Exit, Failure> {
    let algorithm =
        KeyAlgorithm::from_name(algorithm).ok_or_else(|| Failure::usage(format!("--algorithm {algorithm} is not known")))?;
    let home = context.open_home()?;
    if !Store::exists(&home.ca_folder()) {
        return Err(Failure::usage(format!("the home {} has no CA to issue a certificate", context.home_path().display()))
            .hint("make one with `sealpost ca init --name NAME`, or bring a key with `sealpost id import FILE`"));
    }
    let store = open_store(context)?;
    let profile = MailProfile { addresses: vec![address.to_owned()], name, uses: Uses::Dual, days: 825 };
    let identity = store.new_identity(&profile, algorithm, context.now, &mut context.random()).map_err(Failure::refused)?;
    keep(context, &[identity])
}

/// Puts the identities of one person into the home, under a passphrase where one is given or asked.
pub(crate) fn keep(context: &Context, identities: &[sealpost::keys::Identity]) -> Result<Exit, Failure> {
    let home = context.open_home()?;
    let who = report::safe(&identities.first().map(|identity| identity.addresses().join(", ")).unwrap_or_default());
    let passphrase = context.passphrase.to_protect(&format!("the key of {who}"), 0)?;
    if passphrase.is_none() {
        eprintln!("note: the key of {who} lies in the home without a passphrase; only the files' owner can read it");
    }
    for identity in identities {
        home.add_identity(identity, passphrase.as_ref(), &mut context.random()).map_err(Failure::io)?;
        for certificate in identity.chain().iter().filter(|certificate| !certificate.is_self_issued()) {
            home.add_intermediate(certificate).map_err(Failure::io)?;
        }
        eprintln!("identity: {}", report::safe(&identity.addresses().join(", ")));
    }
    if context.json {
        let certificates: Vec<_> = identities.iter().map(|identity| certificate_json(identity.certificate())).collect();
        context.print_json(&json!({ "schema": "sealpost.id/1", "identities": certificates }))?;
    }
    Ok(Exit::Good)
}

fn list(context: &Context) -> Result<Exit, Failure> {
    let home = context.open_home()?;
    let stored = home.identities().map_err(Failure::io)?;
    if context.json {
        let certificates: Vec<_> = stored.iter().map(|s| certificate_json(&s.certificate)).collect();
        context.print_json(&json!({ "schema": "sealpost.id.list/1", "identities": certificates }))?;
        return Ok(Exit::Good);
    }
    for one in stored {
        let lock = if one.locked { "locked" } else { "no passphrase" };
        let retired = if one.retired { ", retired" } else { "" };
        let line = format!(
            "{}  {}  until {}  {lock}{retired}\n",
            report::safe(&one.certificate.addresses().join(", ")),
            one.certificate.key_name(),
            one.certificate.not_after()
        );
        crate::cli::output::stdout(line.as_bytes())?;
    }
    Ok(Exit::Good)
}

fn show(context: &Context, address: &str) -> Result<Exit, Failure> {
    let home = context.open_home()?;
    let stored = home.find(address).map_err(Failure::io)?.ok_or_else(|| {
        Failure::usage(format!("the home has no key of {address}")).hint("`sealpost id list` shows those that it has")
    })?;
    if context.json {
        context.print_json(&json!({ "schema": "sealpost.id.show/1", "identities": [certificate_json(&stored.certificate)] }))?;
        return Ok(Exit::Good);
    }
    eprintln!("{}", report::safe_lines(&stored.certificate.describe()));
    let mut text = pem::encode("CERTIFICATE", stored.certificate.der());
    stored.chain.iter().for_each(|certificate| text.push_str(&pem::encode("CERTIFICATE", certificate.der())));
    crate::cli::output::stdout(text.as_bytes())?;
    Ok(Exit::Good)
}

fn import(context: &Context, file: &std::path::Path) -> Result<Exit, Failure> {
    let bytes = input::file(file, &context.limits)?;
    let identities = keyring::read_identities(context, &file.display().to_string(), &bytes)?;
    keep(context, &identities)
}

fn export(context: &Context, address: &str, form: &str, (output, signature): (&Output, Signature)) -> Result<Exit, Failure> {
    output.check()?;
    let identities = keyring::identities_of(context, address)?;
    let bytes = match form {
        "pem" => export::pem_of(context, &identities)?,
        _ => export::packed(context, &identities, Some(form), (output.file.as_deref(), signature))?,
    };
    output.write(&bytes)?;
    Ok(Exit::Good)
}
