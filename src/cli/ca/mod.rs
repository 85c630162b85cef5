//! `sealpost ca`.

mod bulk;
mod csv;
mod escrow;
mod init;
mod issue;
mod life;
mod lists;
mod naming;
mod publish;
mod renew;
#[cfg(feature = "server")]
mod serve;
mod show;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use sealpost::asn1::pem;
#[cfg(feature = "server")]
use sealpost::ca::responder::Nonces;
use sealpost::ca::{self, store::Store};
use sealpost::keys;
use sealpost::pki::Certificate;

use crate::cli::context::Context;
use crate::cli::failure::{Exit, Failure};
use crate::cli::keyring::unlocking;
use crate::cli::output::Output;
use crate::cli::passphrase::Passphrase;
use crate::cli::token;

/// A small certificate authority
#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  sealpost ca init --name 'Example Org' --domain a.example
  sealpost ca issue jane@a.example --p12 jane.p12
  sealpost ca issue jane@a.example --csr jane.csr -o jane.pem
  sealpost ca issue --csv people.csv --p12-dir p12
  sealpost ca server-cert mail.a.example -o mail.pem --key mail.key
  sealpost ca suspend jane@a.example
  sealpost ca list --expiring 30
  sealpost ca renew --days-left 30 --into certificates
  sealpost ca log --verify
  sealpost ca export root > root.pem
  sealpost ca publish && sealpost ca serve --listen 127.0.0.1:8080")]
pub(crate) struct CaArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Make a root and issuing CAs; the root becomes trusted in this home
    Init(init::InitArgs),
    Issue(Box<issue::IssueArgs>),
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
        /// For how many days (default: as many as the Baseline Requirements advise, 199 in 2026)
        #[arg(long)]
        days: Option<u32>,
    },
    /// List everything that was issued
    List {
        /// Only what ends within N days, is not revoked, and was not renewed yet
        #[arg(long, value_name = "N")]
        expiring: Option<u32>,
    },
    /// Show one certificate; PEM on standard output
    Show {
        /// The serial number, hexadecimal
        serial: String,
    },
    /// Revoke a certificate, or put it on hold
    Revoke(life::RevokeArgs),
    /// Take a certificate off hold
    Release {
        /// The serial number, hexadecimal
        serial: String,
        #[command(flatten)]
        then: life::Then,
    },
    /// Put every valid certificate of an address on hold
    Suspend {
        /// The mail address
        address: String,
        #[command(flatten)]
        then: life::Then,
    },
    /// Take every certificate of an address off hold
    Resume {
        /// The mail address
        address: String,
        #[command(flatten)]
        then: life::Then,
    },
    /// Issue a certificate with the content of an older one
    Renew(renew::RenewArgs),
    /// Let the root certify the issuing CAs' keys for some more years
    RenewIssuing {
        /// The key of a root that is kept offline: a file, or the PKCS#11 URI of one on a token
        #[arg(long, value_name = "FILE")]
        root_key: Option<PathBuf>,
    },
    /// Sign the current revocation lists: of the CA for mail, of the one for TLS servers, and of the root
    Crl(lists::CrlArgs),
    /// Show the ledger; its chain of hashes is checked
    Log {
        /// Check everything: the ledger, each certificate, the index, and what the issuing CA signed
        #[arg(long)]
        verify: bool,
        /// A copy of the home's ca/head.pem that was kept elsewhere: the ledger must continue it
        #[arg(long, value_name = "FILE", requires = "verify")]
        head: Option<PathBuf>,
    },
    /// Keep encryption keys so that custodians together can recover them
    Escrow {
        #[command(subcommand)]
        verb: escrow::EscrowVerb,
    },
    /// Recover an encryption key from escrow; the ledger says so
    Recover(escrow::RecoverArgs),
    /// Sign the current revocation lists and what is answered over OCSP, and lay out everything that `ca serve` serves
    Publish(publish::PublishArgs),
    /// Serve what is published over HTTP: revocation lists, issuers' certificates, and OCSP
    #[cfg(feature = "server")]
    Serve {
        /// Where to listen, as 127.0.0.1:8080
        #[arg(long, value_name = "ADDR")]
        listen: String,
        /// Answer nonces over OCSP: every request then costs a signature
        #[arg(long)]
        nonce: bool,
    },
    /// Write certificates of the CA as PEM
    Export {
        /// Which
        #[arg(value_parser = ["root", "issuing", "chain"])]
        what: String,
        #[command(flatten)]
        output: Output,
    },
}

impl CaArgs {
    /// The name of the verb, as JSON results have it.
    pub(crate) const fn name(&self) -> &'static str {
        match self.verb {
            Verb::Init(_) => "ca.init",
            Verb::Issue(_) | Verb::ServerCert { .. } => issue::NAME,
            Verb::List { .. } => "ca.list",
            Verb::Show { .. } => "ca.show",
            Verb::Revoke(_) => "ca.revoke",
            Verb::Release { .. } => "ca.release",
            Verb::Suspend { .. } => "ca.suspend",
            Verb::Resume { .. } => "ca.resume",
            Verb::Renew(_) => "ca.renew",
            Verb::RenewIssuing { .. } => "ca.renew-issuing",
            Verb::Crl(_) => "ca.crl",
            Verb::Log { .. } => "ca.log",
            Verb::Escrow { .. } => "ca.escrow",
            Verb::Recover(_) => "ca.recover",
            Verb::Publish(_) => "ca.publish",
            #[cfg(feature = "server")]
            Verb::Serve { .. } => "ca.serve",
            Verb::Export { .. } => "ca.export",
        }
    }
}

/// The name of what issues a certificate, as JSON results have it.
pub(crate) const ISSUED: &str = issue::NAME;

/// Runs the verb.
pub(crate) fn run(context: &Context, args: CaArgs) -> Result<Exit, Failure> {
    match args.verb {
        Verb::Init(args) => init::init(context, &args),
        Verb::Issue(args) => issue::run(context, &args),
        Verb::ServerCert { hosts, output, key, days } => issue::server_cert(context, (hosts, days), &output, key),
        Verb::List { expiring } => show::list(context, expiring),
        Verb::Show { serial } => show::show(context, &serial),
        Verb::Revoke(args) => life::revoke(context, &args),
        Verb::Release { serial, then } => life::release(context, &serial, &then),
        Verb::Suspend { address, then } => life::suspend(context, &address, &then),
        Verb::Resume { address, then } => life::resume(context, &address, &then),
        Verb::Renew(args) => renew::renew(context, &args),
        Verb::RenewIssuing { root_key } => init::renew_issuing(context, root_key.as_deref()),
        Verb::Crl(args) => lists::crl(context, &args),
        Verb::Log { verify, head } => show::log(context, verify, head.as_deref()),
        Verb::Escrow { verb } => escrow::run(context, &verb),
        Verb::Recover(args) => escrow::recover(context, &args),
        Verb::Publish(args) => publish::publish(context, &args),
        #[cfg(feature = "server")]
        Verb::Serve { listen, nonce } => {
            let nonces = if nonce { Nonces::Answered } else { Nonces::Ignored };
            serve::run(context, &listen, nonces)
        }
        Verb::Export { what, output } => show::export(context, &what, &output),
    }
}

/// Opens the home's authority; asks for its passphrase where it is locked.
pub(crate) fn open_store(context: &Context) -> Result<Store, Failure> {
    open(context, Store::is_locked).map(|(store, _)| store)
}

/// The folder of the home's authority.
fn ca_folder(context: &Context) -> Result<PathBuf, Failure> {
    let folder = context.home_path().join("ca");
    if Store::exists(&folder) {
        return Ok(folder);
    }
    Err(Failure::usage(format!("the home {} has no CA", context.home_path().display()))
        .hint("make one with `sealpost ca init --name NAME`"))
}

/// The same, with the passphrase of the root's key: that of the file (which may be a URI), else that of the home.
fn open_store_and_root(context: &Context, root_key: Option<&Path>) -> Result<(Store, Option<Passphrase>), Failure> {
    let is_locked = |folder: &Path| Ok(Store::is_locked(folder)? || Store::is_root_locked(folder, root_key)?);
    let (store, passphrase) = open(context, is_locked)?;
    // where it opened no other key, it must not be tried as a PIN either
    if passphrase.is_some() && !Store::is_locked(&ca_folder(context)?).map_err(failed)? {
        store.root_key(root_key, passphrase.as_ref()).map_err(failed)?;
    }
    Ok((store, passphrase))
}

fn open(
    context: &Context,
    is_locked: impl FnOnce(&Path) -> Result<bool, ca::Error>,
) -> Result<(Store, Option<Passphrase>), Failure> {
    let folder = ca_folder(context)?;
    let passphrase = if is_locked(&folder).map_err(failed)? { Some(unlocking(context, "the CA")?) } else { None };
    let store = Store::open_with(&folder, passphrase.as_ref(), context.tokens()).map_err(failed)?;
    if passphrase.is_some() {
        context.passphrase.opened_keys();
    }
    Ok((store, passphrase))
}

/// An error of the authority: records that were changed are bad; a token's is told as one; what is not there, or not as it must be for what was
/// asked, is refused.
pub(crate) fn failed(error: ca::Error) -> Failure {
    let of_keys = |error: &keys::Error| match error {
        keys::Error::WrongPassphrase => Some(Failure::usage("the passphrase of the CA is wrong")),
        keys::Error::PassphraseNeeded => Some(
            Failure::usage("a key of the CA is locked and no passphrase was given")
                .hint("give it with --passphrase-file FILE or --passphrase-fd N"),
        ),
        keys::Error::Io { .. } => Some(Failure::io(error)),
        keys::Error::Crypto(error) => token::unavailable(error),
        _ => None,
    };
    let known = match &error {
        ca::Error::Changed(_) => {
            let hint = "`sealpost ca log --verify` says more; restore a backup of the home";
            Some(Failure::new(Exit::Bad, &error).hint(hint))
        }
        ca::Error::Keys(error) => of_keys(error),
        ca::Error::Crypto(error) => token::unavailable(error),
        ca::Error::Unknown(_) => Some(Failure::usage(&error).hint("`sealpost ca list` shows all")),
        _ => None,
    };
    known.unwrap_or_else(|| Failure::refused(error))
}

/// Certificates as PEM, one after another.
fn chain_pem(certificates: &[&Certificate]) -> String {
    certificates.iter().map(|certificate| pem::encode("CERTIFICATE", certificate.der())).collect()
}
