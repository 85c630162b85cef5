//! `sealpost ca init` and `sealpost ca renew-issuing`.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use sealpost::ca::store::{RootKey, Store};
use sealpost::ca::{Organization, Plan};
use sealpost::crypto::algorithm::KeyAlgorithm;

use crate::cli::ca::escrow::{self, Custodians};
use crate::cli::ca::{failed, open_store_and_passphrase};
use crate::cli::context::Context;
use crate::cli::failure::{Exit, Failure};
use crate::cli::keyring::certificate_json;
use crate::cli::report;

/// What the authority shall be.
#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  sealpost ca init --name 'Example Org' --domain a.example
  sealpost ca init --name 'Example Org' --domain a.example --url http://pki.a.example --algorithm rsa4096
  sealpost ca init --name 'Example Org' --domain a.example --offline-root --root-key /media/stick/root.key")]
pub(super) struct InitArgs {
    /// The organisation
    #[arg(long)]
    name: String,
    /// Vouch for mail of this domain (and those given with more --domain) only; gpgsm reads no certificates below such a CA
    #[arg(long = "domain", value_name = "DOMAIN")]
    domains: Vec<String>,
    /// Its country, two letters of ISO 3166-1
    #[arg(long, value_name = "CC")]
    country: Option<String>,
    /// Where it is registered, and under which number, as NTRDE-HRB1234 or VATFR-12345678901
    #[arg(long, value_name = "ID")]
    organization_id: Option<String>,
    /// The kind of the CAs' keys
    #[arg(long, default_value = "p384", value_parser = ["p256", "p384", "rsa3072", "rsa4096", "ed25519"])]
    algorithm: String,
    /// Where certificates and lists will be [default: http://pki. before the first domain]
    #[arg(long, value_name = "BASE")]
    url: Option<String>,
    /// Keep the root's key out of the home: it is written to the file of --root-key alone
    #[arg(long, requires = "root_key")]
    offline_root: bool,
    /// Where the root's key goes; it must not exist yet
    #[arg(long, value_name = "FILE", requires = "offline_root")]
    root_key: Option<PathBuf>,
    /// Keep encryption keys so that M of N custodians together can recover them
    #[arg(long, value_name = "M-of-N")]
    escrow: Option<String>,
    #[command(flatten)]
    custodians: Custodians,
}

pub(super) fn init(context: &Context, args: &InitArgs) -> Result<Exit, Failure> {
    let algorithm = KeyAlgorithm::from_name(&args.algorithm)
        .ok_or_else(|| Failure::usage(format!("--algorithm {} is not known", args.algorithm)))?;
    let mut organization = Organization::new(args.name.as_str());
    organization = args.country.iter().fold(organization, Organization::country);
    organization = args.organization_id.iter().fold(organization, Organization::identifier);
    let mut plan = Plan::new(organization, algorithm).domains(&args.domains);
    if let Some(url) = &args.url {
        plan = plan.base_url(url);
    }
    let escrow = match args.escrow.as_deref().map(escrow::parse).transpose()? {
        Some((threshold, shares)) => Some((threshold, escrow::new_passphrases(context, shares, &args.custodians)?)),
        None => None,
    };
    let home = context.open_home()?;
    let passphrase = context.passphrase.to_protect("the CA", 0)?;
    if passphrase.is_none() {
        eprintln!("note: the CA's keys lie in the home without a passphrase; only the files' owner can read them");
    }
    let root = args.root_key.as_deref().map_or(RootKey::Home, RootKey::File);
    let store =
        Store::make(&home.ca_folder(), &plan, (passphrase.as_ref(), root), context.now, &mut context.random()).map_err(failed)?;
    if let Some((threshold, passphrases)) = &escrow {
        escrow::create(context, &home.ca_folder(), *threshold, passphrases)?;
    }
    home.add_trust(store.authority().root()).map_err(Failure::io)?;
    home.add_intermediate(store.authority().issuing()).map_err(Failure::io)?;
    eprintln!(
        "root CA: {} (SHA-256 {})",
        report::safe(&store.authority().root().to_string()),
        store.authority().root().fingerprint_hex()
    );
    if let Some(path) = &args.root_key {
        eprintln!("the root's key is in {} and nowhere else – keep two copies of it apart from this machine", path.display());
    }
    eprintln!("others need it to verify your mail: `sealpost ca export root -o root.pem`");
    if context.json {
        let certificates: Vec<_> = [store.authority().root(), store.authority().issuing()].map(certificate_json).to_vec();
        let root_key = args.root_key.as_ref().map(|path| path.display().to_string());
        let url = store.authority().base_url();
        context.print_json(
            &json!({ "schema": "sealpost.ca.init/1", "certificates": certificates, "url": url, "root_key": root_key }),
        )?;
    }
    Ok(Exit::Good)
}

pub(super) fn renew_issuing(context: &Context, root_key: Option<&Path>) -> Result<Exit, Failure> {
    let (mut store, passphrase) = open_store_and_passphrase(context)?;
    let root = store.root_key(root_key, passphrase.as_ref()).map_err(failed)?;
    store.renew_issuing(&root, context.now, &mut context.random()).map_err(failed)?;
    let home = context.open_home()?;
    home.add_intermediate(store.authority().issuing()).map_err(Failure::io)?;
    let renewed = [store.authority().issuing(), store.authority().servers()];
    for certificate in renewed {
        eprintln!("renewed: {} – until {}", report::safe(&certificate.to_string()), certificate.not_after());
    }
    if context.json {
        let certificates: Vec<_> = renewed.map(certificate_json).to_vec();
        context.print_json(&json!({ "schema": "sealpost.ca.renew-issuing/1", "certificates": certificates }))?;
    }
    Ok(Exit::Good)
}
