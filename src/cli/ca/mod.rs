//! `sealpost ca`.

mod issue;
mod show;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;

use sealpost::asn1::pem;
use sealpost::ca::{self, MailProfile, RevocationReason, Uses, store::Store};
use sealpost::crypto::algorithm::KeyAlgorithm;
use sealpost::pki::Certificate;

use crate::cli::context::Context;
use crate::cli::export;
use crate::cli::failure::{Exit, Failure};
use crate::cli::keyring::{certificate_json, unlocking};
use crate::cli::output::Output;
use crate::cli::passphrase::Passphrase;
use crate::cli::report;

/// A small certificate authority
#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  sealpost ca init --name 'Example Org' --domain a.example
  sealpost ca issue jane@a.example --p12 jane.p12
  sealpost ca issue jane@a.example --csr jane.csr -o jane.pem
  sealpost ca server-cert mail.a.example -o mail.pem --key mail.key
  sealpost ca export root > root.pem")]
pub(crate) struct CaArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Make a root and issuing CAs; the root becomes trusted in this home
    Init {
        /// The organisation
        #[arg(long)]
        name: String,
        /// Vouch for mail of this domain (and those given with more --domain) only; gpgsm reads no certificates below such a CA
        #[arg(long = "domain", value_name = "DOMAIN")]
        domains: Vec<String>,
        /// The kind of the CAs' keys
        #[arg(long, default_value = "p384", value_parser = ["p256", "p384", "rsa3072", "rsa4096"])]
        algorithm: String,
    },
    /// Issue a mail certificate
    Issue {
        /// The mail address
        address: String,
        /// The person's name
        #[arg(long)]
        name: Option<String>,
        /// Certify the key of this request; what else it asks for is not taken over
        #[arg(long, value_name = "FILE", conflicts_with_all = ["algorithm", "p12"])]
        csr: Option<PathBuf>,
        /// The kind of the new key
        #[arg(long, default_value = "rsa3072", value_parser = ["rsa2048", "rsa3072", "rsa4096", "p256", "p384", "ed25519"])]
        algorithm: String,
        /// What the certificate is good for
        #[arg(long, default_value = "dual", value_parser = ["dual", "sign", "encrypt"])]
        usage: String,
        /// For how many days
        #[arg(long, default_value_t = 825)]
        days: u32,
        #[command(flatten)]
        output: Output,
        /// Write the key and the certificates as PKCS#12, or as a profile for Apple's systems where FILE ends in .mobileconfig
        #[arg(long, value_name = "FILE")]
        p12: Option<PathBuf>,
        /// Who reads the PKCS#12 file
        #[arg(long = "for", value_name = "PROGRAM", requires = "p12", value_parser = export::targets())]
        form: Option<String>,
    },
    /// Make a key and a certificate for a TLS server
    ServerCert {
        /// Host names and addresses
        #[arg(required = true)]
        hosts: Vec<String>,
        #[command(flatten)]
        output: Output,
        /// Where the private key goes
        #[arg(long, value_name = "FILE")]
        key: Option<PathBuf>,
    },
    /// List everything that was issued
    List,
    /// Show one certificate; PEM on standard output
    Show {
        /// The serial number, hexadecimal
        serial: String,
    },
    /// Revoke a certificate
    Revoke {
        /// The serial number, hexadecimal
        serial: String,
        /// Why
        #[arg(long, default_value = "unspecified", value_parser = clap::builder::PossibleValuesParser::new(RevocationReason::names()))]
        reason: String,
    },
    /// Sign the current revocation lists: of the CA for mail, of the one for TLS servers, and of the root
    Crl {
        #[command(flatten)]
        output: Output,
    },
    /// Show the ledger, and check that nobody changed it
    Log,
    /// Write certificates of the CA as PEM
    Export {
        /// Which
        #[arg(value_parser = ["root", "issuing", "chain"])]
        what: String,
        #[command(flatten)]
        output: Output,
    },
}

/// Runs the verb.
pub(crate) fn run(context: &Context, args: CaArgs) -> Result<Exit, Failure> {
    match args.verb {
        Verb::Init { name, domains, algorithm } => init(context, &name, &domains, &algorithm),
        Verb::Issue { address, name, csr, algorithm, usage, days, output, p12, form } => {
            let uses = match usage.as_str() {
                "sign" => Uses::Sign,
                "encrypt" => Uses::Encrypt,
                _ => Uses::Dual,
            };
            let profile = MailProfile { addresses: vec![address], name, uses, days };
            match csr {
                Some(csr) => issue::issue_csr(context, &profile, &csr, &output),
                None => {
                    issue::issue_key(context, &profile, &algorithm, &output, p12.as_ref().map(|path| (path, form.as_deref())))
                }
            }
        }
        Verb::ServerCert { hosts, output, key } => issue::server_cert(context, hosts, &output, key),
        Verb::List => show::list(context),
        Verb::Show { serial } => show::show(context, &serial),
        Verb::Revoke { serial, reason } => {
            let reason =
                RevocationReason::from_name(&reason).ok_or_else(|| Failure::usage(format!("--reason {reason} is not known")))?;
            let certificate = open_store(context)?.revoke(&serial, reason, context.now).map_err(Failure::refused)?;
            eprintln!("revoked: {} – now publish the list: `sealpost ca crl -o FILE`", report::safe(&certificate.to_string()));
            Ok(Exit::Good)
        }
        Verb::Crl { output } => {
            output.check()?;
            let (store, passphrase) = open_store_and_passphrase(context)?;
            let random = &mut context.random();
            let lists = [
                ("issuing", store.crl(context.now, LIST_DAYS, random)),
                ("servers", store.server_crl(context.now, LIST_DAYS, random)),
                ("root", store.root_crl(passphrase.as_ref(), context.now, ROOT_LIST_DAYS, random)),
            ];
            let home = context.open_home()?;
            let mut text = String::new();
            for (name, list) in lists {
                let list = list.map_err(Failure::refused)?;
                home.write_crl(name, list.der()).map_err(Failure::io)?;
                text.push_str(&pem::encode("X509 CRL", list.der()));
            }
            output.write(text.as_bytes())?;
            Ok(Exit::Good)
        }
        Verb::Log => show::log(context),
        Verb::Export { what, output } => show::export(context, &what, &output),
    }
}

/// Opens the home's authority; asks for its passphrase where it is locked.
pub(crate) fn open_store(context: &Context) -> Result<Store, Failure> {
    open_store_and_passphrase(context).map(|(store, _)| store)
}

/// Days until the next list of the mail CA and the server CA: a week, as most CAs.
const LIST_DAYS: i64 = 7;
/// Days until the next list of the root, whose key is seldom used: CA/B Forum S/MIME BR 4.9.7 allows twelve months.
const ROOT_LIST_DAYS: i64 = 365;

fn open_store_and_passphrase(context: &Context) -> Result<(Store, Option<Passphrase>), Failure> {
    let folder = context.home_path().join("ca");
    if !Store::exists(&folder) {
        return Err(Failure::usage(format!("the home {} has no CA", context.home_path().display()))
            .hint("make one with `sealpost ca init --name NAME`"));
    }
    let locked = Store::is_locked(&folder).map_err(Failure::io)?;
    let passphrase = if locked { Some(unlocking(context, "the CA")?) } else { None };
    let store = Store::open(&folder, passphrase.as_ref()).map_err(|error| match error {
        ca::Error::Keys(sealpost::keys::Error::WrongPassphrase) => Failure::usage("the passphrase of the CA is wrong"),
        ca::Error::Keys(error @ sealpost::keys::Error::Io { .. }) => Failure::io(error),
        other => Failure::refused(other),
    })?;
    Ok((store, passphrase))
}

fn init(context: &Context, name: &str, domains: &[String], algorithm: &str) -> Result<Exit, Failure> {
    let algorithm =
        KeyAlgorithm::from_name(algorithm).ok_or_else(|| Failure::usage(format!("--algorithm {algorithm} is not known")))?;
    let home = context.open_home()?;
    let passphrase = context.passphrase.to_protect("the CA", 0)?;
    if passphrase.is_none() {
        eprintln!("note: the CA's keys lie in the home without a passphrase; only the files' owner can read them");
    }
    let store =
        Store::create(&home.ca_folder(), (name, domains), algorithm, passphrase.as_ref(), context.now, &mut context.random())
            .map_err(Failure::refused)?;
    home.add_trust(store.authority().root()).map_err(Failure::io)?;
    home.add_intermediate(store.authority().issuing()).map_err(Failure::io)?;
    eprintln!(
        "root CA: {} (SHA-256 {})",
        report::safe(&store.authority().root().to_string()),
        store.authority().root().fingerprint_hex()
    );
    eprintln!("others need it to verify your mail: `sealpost ca export root -o root.pem`");
    if context.json {
        let certificates: Vec<_> = [store.authority().root(), store.authority().issuing()].map(certificate_json).to_vec();
        context.print_json(&json!({ "schema": "sealpost.ca.init/1", "certificates": certificates }))?;
    }
    Ok(Exit::Good)
}

/// Certificates as PEM, one after another.
fn chain_pem(certificates: &[&Certificate]) -> String {
    certificates.iter().map(|certificate| pem::encode("CERTIFICATE", certificate.der())).collect()
}
