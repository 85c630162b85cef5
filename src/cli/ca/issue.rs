//! `sealpost ca issue` and `sealpost ca server-cert`.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use sealpost::ca::escrow::Escrow;
use sealpost::ca::{DEFAULT_DAYS, MailProfile, Request, ServerProfile, Uses};
use sealpost::crypto::algorithm::KeyAlgorithm;
use sealpost::pki::Certificate;
use sealpost::secret::Secret;

use crate::cli::ca::naming::Naming;
use crate::cli::ca::{bulk, chain_pem, failed, open_store};
use crate::cli::context::Context;
use crate::cli::export::{self, Signature};
use crate::cli::failure::{Exit, Failure};
use crate::cli::id::Replaced;
use crate::cli::keyring::certificate_json;
use crate::cli::output::{self, Output};
use crate::cli::{input, report};

/// Issue a mail certificate, or one for each row of a table
///
/// The certificate has the shape of the S/MIME Baseline Requirements for what it names: a mailbox alone, an organization, a person of an
/// organization (sponsor), or a person (individual).
#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  sealpost ca issue jane@a.example --p12 jane.p12
  sealpost ca issue jane@a.example --given-name Jane --surname Doe --profile sponsor --organization-id NTRGB-12345678
  sealpost ca issue jane@a.example --csr jane.csr -o jane.pem
  sealpost ca issue --csv people.csv --p12-dir p12
  sealpost ca issue --csv people.csv --p12-dir p12 --skip-existing      go on after an interruption")]
pub(super) struct IssueArgs {
    /// The mail address
    #[arg(required_unless_present = "csv", conflicts_with = "csv")]
    address: Option<String>,
    /// One more address of the same person
    #[arg(long, value_name = "ADDR", conflicts_with = "csv")]
    also: Vec<String>,
    #[command(flatten)]
    pub(super) naming: Naming,
    /// Certify the key of this request; one that asks for more than the certificate would have is refused
    #[arg(long, value_name = "FILE", conflicts_with_all = ["algorithm", "p12", "csv"])]
    csr: Option<PathBuf>,
    /// The kind of the new key
    #[arg(long, default_value = "rsa3072", value_parser = ALGORITHMS)]
    pub(super) algorithm: String,
    /// What the certificate is good for
    #[arg(long, default_value = "dual", value_parser = USES)]
    pub(super) usage: String,
    /// Put the key into escrow though it signs, too; keys for encryption alone go there without it
    #[arg(long, conflicts_with_all = ["csr", "csv"])]
    escrow: bool,
    /// For how many days, at most 825
    #[arg(long, default_value_t = DEFAULT_DAYS)]
    pub(super) days: u32,
    #[command(flatten)]
    output: Output,
    /// Write the key and the certificates as PKCS#12, or as a profile for Apple's systems where FILE ends in .mobileconfig
    #[arg(long, value_name = "FILE", conflicts_with = "csv")]
    p12: Option<PathBuf>,
    /// Who reads the PKCS#12 file
    #[arg(long = "for", value_name = "PROGRAM", value_parser = export::targets())]
    pub(super) form: Option<String>,
    #[command(flatten)]
    bulk: bulk::BulkArgs,
}

/// The name of what issues a certificate, as JSON results have it.
pub(super) const NAME: &str = "ca.issue";
pub(super) const ALGORITHMS: [&str; 6] = ["rsa2048", "rsa3072", "rsa4096", "p256", "p384", "ed25519"];
pub(super) const USES: [&str; 3] = ["dual", "sign", "encrypt"];

/// Runs the verb.
pub(super) fn run(context: &Context, args: &IssueArgs) -> Result<Exit, Failure> {
    if let Some(csv) = &args.bulk.csv {
        return bulk::run(context, args, &args.bulk, csv, &args.output);
    }
    if args.form.is_some() && args.p12.is_none() {
        return Err(Failure::usage("--for says who reads the PKCS#12 file").hint("add --p12 FILE"));
    }
    args.output.check()?;
    let request = args.csr.as_deref().map(|csr| read_request(context, csr)).transpose()?;
    let algorithm = algorithm(&args.algorithm)?;
    let store = open_store(context)?;
    let shape = args.naming.shape(store.authority().organization().as_ref()).map_err(Failure::usage)?;
    let first = MailProfile::new(args.address.clone().unwrap_or_default());
    let profile = args.also.iter().fold(first, MailProfile::address).shape(shape).uses(uses(&args.usage)).days(args.days);
    if let Some(request) = request {
        let certificate = store.issue_request(&profile, &request, context.now, &mut context.random()).map_err(failed)?;
        tell(&certificate);
        if !args.output.is_stdout() || !context.json {
            args.output.write(chain_pem(&[&certificate, store.authority().issuing()]).as_bytes())?;
        }
        return done(context, &certificate);
    }
    // before anything is issued: who gives no passphrase leaves no certificate behind
    let in_home = match &args.p12 {
        Some(_) => {
            export::check_passphrase(context)?;
            None
        }
        None => Some(Replaced::nothing(context, &profile.addresses.join(", "))?),
    };
    let wish = if args.escrow { Escrow::Asked } else { Escrow::EncryptionKeys };
    let identity = store.new_identity_with((&profile, wish), algorithm, context.now, &mut context.random()).map_err(failed)?;
    tell(identity.certificate());
    match (&args.p12, in_home) {
        (Some(path), _) => {
            let place = (Some(path.as_path()), Signature::None);
            let file = export::packed(context, std::slice::from_ref(&identity), args.form.as_deref(), place)?;
            output::write_file(path, &file, args.output.force)?;
        }
        // without a place for the key, it goes into the home
        (None, Some(in_home)) => in_home.by(context, std::slice::from_ref(&identity))?,
        (None, None) => {}
    }
    if !args.output.is_stdout() || args.p12.is_none() && !context.json {
        args.output.write(chain_pem(&[identity.certificate(), store.authority().issuing()]).as_bytes())?;
    }
    done(context, identity.certificate())
}

/// Says for whom a certificate is, and its number, by which it is renewed and revoked.
fn tell(certificate: &Certificate) {
    let whom = [certificate.addresses(), certificate.dns_names()].concat();
    let whom = if whom.is_empty() { certificate.to_string() } else { whom.join(", ") };
    eprintln!("issued: {} – serial {}", report::safe(&whom), certificate.serial_hex());
}

/// Gives what was issued to a program that asked for JSON.
fn done(context: &Context, certificate: &Certificate) -> Result<Exit, Failure> {
    if context.json {
        let certificates = [certificate_json(certificate)];
        context.print_json(&json!({ "schema": format!("sealpost.{NAME}/1"), "certificates": certificates }))?;
    }
    Ok(Exit::Good)
}

/// Reads a request; an error names the file.
pub(super) fn read_request(context: &Context, file: &Path) -> Result<Request, Failure> {
    let bytes = input::file(file, &context.limits)?;
    Request::read(&bytes).map_err(|error| Failure::refused(format!("{}: {error}", report::safe(&file.display().to_string()))))
}

/// The kind of key called so.
pub(super) fn algorithm(name: &str) -> Result<KeyAlgorithm, Failure> {
    KeyAlgorithm::from_name(name).ok_or_else(|| Failure::usage(format!("--algorithm {name} is not known")))
}

/// The use called so.
pub(super) fn uses(name: &str) -> Uses {
    match name {
        "sign" => Uses::Sign,
        "encrypt" => Uses::Encrypt,
        _ => Uses::Dual,
    }
}

pub(super) fn server_cert(
    context: &Context,
    (hosts, days): (Vec<String>, Option<u32>),
    output: &Output,
    key: Option<PathBuf>,
) -> Result<Exit, Failure> {
    if context.json && (key.is_none() || output.is_stdout()) {
        return Err(
            Failure::usage("with --json it must be said where the key and the certificate go").hint("add --key FILE and -o FILE")
        );
    }
    output.check()?;
    if key.is_some() {
        Output { file: key.clone(), force: output.force }.check()?;
    }
    let store = open_store(context)?;
    let profile = ServerProfile { hosts, days: days.unwrap_or_else(|| ServerProfile::longest(context.now)) };
    let identity = store.new_server(&profile, KeyAlgorithm::P256, context.now, &mut context.random()).map_err(failed)?;
    let key_pem = identity.private_key().to_pem().map_err(Failure::refused)?;
    tell(identity.certificate());
    let certificates = chain_pem(&[identity.certificate(), store.authority().servers()]);
    match key {
        Some(path) => {
            output::write_file(&path, key_pem.expose(), output.force)?;
            output.write(certificates.as_bytes())?;
        }
        None => output.write(Secret::new([key_pem.expose(), certificates.as_bytes()].concat()).expose())?,
    }
    done(context, identity.certificate())
}
