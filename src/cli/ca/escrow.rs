//! `sealpost ca escrow init` and `sealpost ca recover`.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::json;

use sealpost::ca::escrow;

use crate::cli::ca::{ca_folder, failed};
use crate::cli::context::Context;
use crate::cli::export::{self, Signature};
use crate::cli::failure::{Exit, Failure};
use crate::cli::keyring::certificate_json;
use crate::cli::passphrase::{self, Passphrase};
use crate::cli::{output, report};

/// Where the passphrases of custodians come from.
#[derive(Debug, Args)]
pub(super) struct Custodians {
    /// The first line is one custodian's passphrase (give one file for each; without any, each is asked)
    #[arg(long = "custodian-passphrase-file", value_name = "FILE")]
    files: Vec<PathBuf>,
}

/// What is done with the escrow.
#[derive(Debug, Subcommand)]
pub(super) enum EscrowVerb {
    /// Keep the encryption keys made from now on so that M of N custodians together can recover them
    #[command(before_help = "\
Example:
  sealpost ca escrow init --threshold 2 --shares 3       asks each of the three for a passphrase of his own")]
    Init {
        /// How many custodians are needed
        #[arg(long, value_name = "M")]
        threshold: u8,
        /// How many there are
        #[arg(long, value_name = "N")]
        shares: u8,
        #[command(flatten)]
        custodians: Custodians,
    },
}

/// What is recovered.
#[derive(Debug, Args)]
#[command(before_help = "\
Example:
  sealpost ca recover 4f3a… --p12 jane.p12 --for thunderbird       asks custodians for their passphrases")]
pub(super) struct RecoverArgs {
    /// The serial number, hexadecimal
    serial: String,
    /// Where the key and the certificates go, as PKCS#12
    #[arg(long, value_name = "FILE")]
    p12: PathBuf,
    /// Who reads the file
    #[arg(long = "for", value_name = "PROGRAM", value_parser = export::targets())]
    form: Option<String>,
    #[command(flatten)]
    custodians: Custodians,
    /// Overwrite the file
    #[arg(long)]
    force: bool,
}

pub(super) fn run(context: &Context, verb: &EscrowVerb) -> Result<Exit, Failure> {
    let EscrowVerb::Init { threshold, shares, custodians } = verb;
    init(context, (*threshold, *shares), custodians)?;
    if context.json {
        context.print_json(&json!({ "schema": "sealpost.ca.escrow/1", "threshold": threshold, "shares": shares }))?;
    }
    Ok(Exit::Good)
}

/// Reads `2-of-3`.
pub(super) fn parse(text: &str) -> Result<(u8, u8), Failure> {
    let read = text.split_once("-of-").and_then(|(some, all)| Some((some.parse().ok()?, all.parse().ok()?)));
    read.ok_or_else(|| Failure::usage(format!("--escrow {text} cannot be understood")).hint("write it as 2-of-3"))
}

/// The passphrases of all custodians of an escrow that is to be made; asked before anything is written.
pub(super) fn new_passphrases(context: &Context, shares: u8, custodians: &Custodians) -> Result<Vec<Passphrase>, Failure> {
    let given = custodians.read()?;
    if !given.is_empty() {
        if given.len() != usize::from(shares) {
            let why = format!("{} passphrases were given for {shares} custodians", given.len());
            return Err(Failure::usage(why).hint("give --custodian-passphrase-file FILE once for each"));
        }
        return Ok(given);
    }
    if !context.passphrase.may_prompt() {
        return Err(Failure::usage("nobody can be asked for the custodians' passphrases")
            .hint("give --custodian-passphrase-file FILE once for each"));
    }
    (1..=shares).map(|custodian| passphrase::ask_new(&format!("custodian {custodian}"))).collect()
}

fn init(context: &Context, (threshold, shares): (u8, u8), custodians: &Custodians) -> Result<(), Failure> {
    let folder = ca_folder(context)?;
    create(context, &folder, threshold, &new_passphrases(context, shares, custodians)?)
}

pub(super) fn create(context: &Context, folder: &Path, threshold: u8, passphrases: &[Passphrase]) -> Result<(), Failure> {
    escrow::create(folder, threshold, passphrases, context.now, &mut context.random()).map_err(failed)?;
    eprintln!(
        "escrow: keys of certificates for encryption (`ca issue --usage encrypt`) are recovered by {threshold} of {} custodians",
        passphrases.len()
    );
    Ok(())
}

pub(super) fn recover(context: &Context, args: &RecoverArgs) -> Result<Exit, Failure> {
    let folder = ca_folder(context)?;
    if args.p12.exists() && !args.force {
        return Err(Failure::io(format!("{} exists already – nothing was recovered", args.p12.display()))
            .hint("choose another name, or add --force"));
    }
    let mut passphrases = args.custodians.read()?;
    if passphrases.is_empty() && context.passphrase.may_prompt() {
        passphrases = asked()?;
    }
    if passphrases.is_empty() {
        return Err(
            Failure::usage("no custodian's passphrase was given").hint("give --custodian-passphrase-file FILE once for each")
        );
    }
    let identity = escrow::recover(&folder, &args.serial, &passphrases, context.now).map_err(failed)?;
    let place = (Some(args.p12.as_path()), Signature::None);
    let file = export::packed(context, std::slice::from_ref(&identity), args.form.as_deref(), place)?;
    output::write_file(&args.p12, &file, args.force)?;
    eprintln!("recovered: the key of {} – the ledger says so", report::safe(&identity.addresses().join(", ")));
    if context.json {
        let certificate = certificate_json(identity.certificate());
        context.print_json(&json!({ "schema": "sealpost.ca.recover/1", "certificates": [certificate] }))?;
    }
    Ok(Exit::Good)
}

/// Asks one custodian after another, until one says nothing.
fn asked() -> Result<Vec<Passphrase>, Failure> {
    let mut passphrases: Vec<Passphrase> = Vec::new();
    loop {
        let next = passphrase::ask(&format!("Passphrase of custodian {} (empty: no more): ", passphrases.len() + 1))?;
        if next.expose().is_empty() {
            return Ok(passphrases);
        }
        passphrases.push(next);
    }
}

impl Custodians {
    fn read(&self) -> Result<Vec<Passphrase>, Failure> {
        self.files.iter().map(|path| passphrase::first_line(path)).collect()
    }
}
