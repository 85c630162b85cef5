//! `sealpost ca init` and `sealpost ca renew-issuing`.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use sealpost::ca::store::{Custody, RootKey, Store};
use sealpost::ca::{Issuer, Organization, Plan};
use sealpost::crypto::algorithm::KeyAlgorithm;
use sealpost::crypto::{self, key::Why};
use sealpost::keys;
use sealpost::keys::token::{Found, Uri};

use crate::cli::ca::escrow::{self, Custodians};
use crate::cli::ca::{failed, open_store_and_root};
use crate::cli::context::Context;
use crate::cli::failure::{Exit, Failure};
use crate::cli::keyring::certificate_json;
use crate::cli::{report, token};

/// What the authority shall be.
#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  sealpost ca init --name 'Example Org' --domain a.example
  sealpost ca init --name 'Example Org' --domain a.example --url http://pki.a.example --algorithm rsa4096
  sealpost ca init --name 'Example Org' --domain a.example --offline-root --root-key /media/stick/root.key
  sealpost ca init --name 'Example Org' --domain a.example --token 'pkcs11:token=HSM;object=issuing' \\
      --servers-token 'pkcs11:token=HSM;object=servers' --offline-root --root-token 'pkcs11:token=Vault;object=root'

A key on a token stays there: `--token` names that of the CA for mail, `--servers-token` that of the CA for TLS servers, `--root-token` that
of the root; the others are made, and lie in files. Where a passphrase protects these, the PIN is the line after it.")]
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
    /// The kind of the CAs' keys that are made
    #[arg(long, default_value = "p384", value_parser = ["p256", "p384", "rsa3072", "rsa4096", "ed25519"])]
    algorithm: String,
    /// Where certificates and lists will be [default: http://pki. before the first domain]
    #[arg(long, value_name = "BASE")]
    url: Option<String>,
    /// Keep the root's key out of the home: it is written to the file of --root-key alone, or stays on the token of --root-token, which is
    /// forgotten
    #[arg(long)]
    offline_root: bool,
    /// Where the root's key goes; it must not exist yet
    #[arg(long, value_name = "FILE", requires = "offline_root")]
    root_key: Option<PathBuf>,
    /// Sign mail certificates with this key on a token (PKCS#11 URI)
    #[arg(long, value_name = "URI")]
    token: Option<String>,
    /// Sign TLS servers' certificates with this key on a token
    #[arg(long, value_name = "URI")]
    servers_token: Option<String>,
    /// The root's key is this one on a token
    #[arg(long, value_name = "URI", conflicts_with = "root_key")]
    root_token: Option<String>,
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
    if Store::exists(&home.ca_folder()) {
        return Err(Failure::refused(format!("the home {} has a CA already", context.home_path().display()))
            .hint("`sealpost ca export chain` shows it; give another --home for a second one"));
    }
    let places = args.places()?;
    let in_files = places.len() < Issuer::ALL.len();
    let passphrase = if in_files { context.passphrase.to_protect("the CA", 0)? } else { None };
    match passphrase {
        // it is no PIN
        Some(_) => context.passphrase.opened_keys(),
        None if in_files => {
            eprintln!("note: the CA's keys lie in the home without a passphrase; only the files' owner can read them");
        }
        None => {}
    }
    let found = places.into_iter().map(|(by, uri)| Ok((by, found(context, by, &uri)?))).collect::<Result<Vec<_>, Failure>>()?;
    let root = match &args.root_key {
        Some(path) => RootKey::File(path),
        None if args.offline_root => RootKey::Away,
        None => RootKey::Home,
    };
    let custody = Custody::new(passphrase.as_ref()).root(root).access(context.tokens());
    let custody = found.iter().fold(custody, |custody, (by, found)| custody.token(*by, found));
    let store = Store::make(&home.ca_folder(), &plan, &custody, context.now, &mut context.random()).map_err(failed)?;
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
    for (by, found) in &found {
        let uri = report::safe(&found.uri.to_string());
        eprintln!("the key of {} lies on a token and does not leave it: {uri} – no backup of the home holds it", title(*by));
    }
    if args.offline_root
        && let Some((_, found)) = found.iter().find(|(by, _)| *by == Issuer::Root)
    {
        eprintln!(
            "the home does not remember the root's token; what the root signs needs --root-key '{}'",
            report::safe(&found.uri.to_string())
        );
    }
    eprintln!("others need it to verify your mail: `sealpost ca export root -o root.pem`");
    if context.json {
        let certificates: Vec<_> = [store.authority().root(), store.authority().issuing()].map(certificate_json).to_vec();
        let root_key = args.root_key.as_ref().map(|path| path.display().to_string());
        let url = store.authority().base_url();
        let tokens = found.iter().map(|(by, found)| (by.name().to_owned(), json!(found.uri.to_string())));
        let tokens = tokens.collect::<serde_json::Map<_, _>>();
        context.print_json(&json!({
            "schema": "sealpost.ca.init/1", "certificates": certificates, "url": url, "root_key": root_key, "tokens": tokens,
        }))?;
    }
    Ok(Exit::Good)
}

impl InitArgs {
    /// Which keys lie on tokens.
    fn places(&self) -> Result<Vec<(Issuer, Uri)>, Failure> {
        if self.offline_root && self.root_key.is_none() && self.root_token.is_none() {
            return Err(Failure::usage("--offline-root does not say where the root's key goes")
                .hint("add --root-key FILE, or --root-token URI for one that is on a token"));
        }
        let given = [(Issuer::Root, &self.root_token), (Issuer::Mail, &self.token), (Issuer::Servers, &self.servers_token)];
        let read = |(by, text): (Issuer, &Option<String>)| Some(Uri::parse(text.as_ref()?).map(|uri| (by, uri)));
        given.into_iter().filter_map(read).collect::<Result<_, _>>().map_err(Failure::usage)
    }
}

/// The key of a URI; where the token has none, it is said how one is made.
fn found(context: &Context, by: Issuer, uri: &Uri) -> Result<Found, Failure> {
    context.tokens().find(uri).map_err(|error| {
        let failure = token::failure(&error);
        let keys::Error::Crypto(crypto::Error::Unavailable { why: Why::Missing, .. }) = &error else { return failure };
        let name = by.name();
        let failure = Failure { message: format!("the key of {}: {}", title(by), failure.message), ..failure };
        failure.hint(format!(
            "plug the token in, or make the key: `pkcs11-tool --module FILE --login --keypairgen --key-type EC:secp384r1 --usage-sign \
             --label {name} --id 01` (another --id for each key)"
        ))
    })
}

/// The CA in words.
fn title(by: Issuer) -> &'static str {
    match by {
        Issuer::Mail => "the CA for mail",
        Issuer::Servers => "the CA for TLS servers",
        Issuer::Root => "the root",
    }
}

pub(super) fn renew_issuing(context: &Context, root_key: Option<&Path>) -> Result<Exit, Failure> {
    let (mut store, passphrase) = open_store_and_root(context, root_key)?;
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
