//! `sealpost id`.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::json;

use sealpost::asn1::pem;
use sealpost::ca::{MailProfile, Person, Shape, Uses, store::Store};
use sealpost::crypto::algorithm::KeyAlgorithm;
use sealpost::keys::token::Uri;
use sealpost::keys::{Identity, Stored};
use sealpost::pki::{Certificate, KeyUsage, Usage, email};
use sealpost::secret::Secret;
use sealpost::smime::check_recipient;

use crate::cli::ca::{failed, open_store};
use crate::cli::context::Context;
use crate::cli::export::{self, Signature};
use crate::cli::failure::{Exit, Failure};
use crate::cli::keyring::{self, certificate_json};
use crate::cli::output::Output;
use crate::cli::passphrase::Passphrase;
use crate::cli::{input, remembered, report, token};

/// Your own keys and certificates
#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  sealpost id new jane@a.example --name 'Jane Doe'      a key and a certificate from the home's CA
  sealpost id import jane.p12                           from another program
  sealpost id renew jane@a.example                      a new key; the old one still decrypts
  sealpost id import 'pkcs11:token=Card;id=%01'         a key that stays on its token
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
    /// Make a new key and certificate like the one of an address, which is retired: it still decrypts old mail
    Renew {
        /// The mail address
        address: String,
    },
    /// Sign no more with the keys of an address; they still decrypt old mail
    Retire {
        /// The mail address
        address: String,
    },
    /// List your identities
    List,
    /// Show the identity of an address; its certificates as PEM on standard output
    Show {
        /// The mail address
        address: String,
    },
    /// Bring a key and its certificates from a .p12 or PEM file, or refer to a key on a token
    Import {
        /// The file, or the PKCS#11 URI of a key that stays on its token
        file: PathBuf,
        /// The certificates of a key on a token that does not hold them itself, its own first
        #[arg(long, value_name = "FILE")]
        cert: Option<PathBuf>,
    },
    /// Have the keyring of this system remember the passphrase of a key
    Remember {
        /// The mail address
        address: String,
    },
    /// Have the keyring of this system forget the passphrase of a key
    Forget {
        /// The mail address
        address: String,
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

impl IdArgs {
    /// The name of the verb, as JSON results have it.
    pub(crate) const fn name(&self) -> &'static str {
        match self.verb {
            // those that put a key into the home give it under one name
            Verb::New { .. } | Verb::Renew { .. } | Verb::Import { .. } => NAME,
            Verb::Retire { .. } => "id.retire",
            Verb::List => "id.list",
            Verb::Show { .. } => "id.show",
            Verb::Remember { .. } => "id.remember",
            Verb::Forget { .. } => "id.forget",
            Verb::Export { .. } => "id.export",
        }
    }
}

/// The name of what puts a key into the home, as JSON results have it.
pub(crate) const NAME: &str = "id";

/// Runs the verb.
pub(crate) fn run(context: &Context, args: IdArgs) -> Result<Exit, Failure> {
    match args.verb {
        Verb::New { address, name, algorithm } => new(context, &address, name, &algorithm),
        Verb::Renew { address } => renew(context, &address),
        Verb::Retire { address } => retire(context, &address),
        Verb::List => list(context),
        Verb::Show { address } => show(context, &address),
        Verb::Import { file, cert } => import(context, &file, cert.as_deref()),
        Verb::Remember { address } => remember(context, &address),
        Verb::Forget { address } => forget(context, &address),
        Verb::Export { address, form, output, signed } => {
            let signature = if signed { Signature::Own } else { Signature::None };
            export(context, &address, &form, (&output, signature))
        }
    }
}

fn new(context: &Context, address: &str, name: Option<String>, algorithm: &str) -> Result<Exit, Failure> {
    let algorithm =
        KeyAlgorithm::from_name(algorithm).ok_or_else(|| Failure::usage(format!("--algorithm {algorithm} is not known")))?;
    let store = issuer(context)?;
    // before anything is issued: who gives no passphrase at the prompt leaves no certificate behind
    let replaced = Replaced::nothing(context, address)?;
    let shape = name.map_or(Shape::Mailbox, |name| Shape::Individual(Person::called(&name)));
    let profile = MailProfile::new(address).shape(shape);
    let identity = store.new_identity(&profile, algorithm, context.now, &mut context.random()).map_err(failed)?;
    let identities = [identity];
    replaced.by(context, &identities)?;
    warn_of_signing_only(context, &identities)?;
    told(context, &identities)
}

/// Says of keys that only sign that nobody can write to their owner, where he has no other.
fn warn_of_signing_only(context: &Context, identities: &[Identity]) -> Result<(), Failure> {
    let home = context.open_home()?;
    for address in identities.iter().flat_map(Identity::addresses) {
        if home.identity_certificates(&address).map_err(Failure::io)?.iter().any(|own| check_recipient(own).is_ok()) {
            continue;
        }
        eprintln!(
            "warning: the key can only sign – nobody can encrypt to {}, nor can you read what you seal as that",
            report::safe(&address)
        );
        eprintln!("hint: `{}` makes a key that does both", report::safe(&keyring::new_reader(&address)));
    }
    Ok(())
}

/// The home's CA, opened.
fn issuer(context: &Context) -> Result<Store, Failure> {
    if !Store::exists(&context.open_home()?.ca_folder()) {
        return Err(Failure::usage(format!("the home {} has no CA to issue a certificate", context.home_path().display()))
            .hint("make one with `sealpost ca init --name NAME`, or bring a key with `sealpost id import FILE`"));
    }
    open_store(context)
}

fn renew(context: &Context, address: &str) -> Result<Exit, Failure> {
    let old = current(context, address)?;
    refuse_tokens(&old, address)?;
    let store = issuer(context)?;
    let replaced = Replaced::after(context, old, address)?;
    let mut new = Vec::new();
    for stored in &replaced.old {
        let certificate = &stored.certificate;
        let algorithm = certificate.public_key().map_err(Failure::refused)?.algorithm();
        let signs = |usage: KeyUsage| usage.allows(Usage::DigitalSignature) || usage.allows(Usage::NonRepudiation);
        let uses = match (certificate.key_usage().is_none_or(signs), check_recipient(certificate).is_ok()) {
            (true, false) => Uses::Sign,
            (false, true) => Uses::Encrypt,
            _ => Uses::Dual,
        };
        let addresses = certificate.addresses();
        let name = certificate.subject().common_name().filter(|name| !email::find(&addresses, name)).map(str::to_owned);
        let shape = name.map_or(Shape::Mailbox, |name| Shape::Individual(Person::called(&name)));
        let first = MailProfile::new(addresses.first().map(String::as_str).unwrap_or_default());
        let profile = addresses.iter().skip(1).fold(first, MailProfile::address).shape(shape).uses(uses);
        new.push(store.new_identity(&profile, algorithm, context.now, &mut context.random()).map_err(failed)?);
    }
    replaced.by(context, &new)?;
    warn_of_signing_only(context, &new)?;
    told(context, &new)
}

/// Identities of the home that others with new keys take the place of, and the passphrase of these.
pub(crate) struct Replaced {
    old: Vec<Stored>,
    passphrase: Option<Passphrase>,
}

impl Replaced {
    /// Those with the key of this certificate that are in use, under whichever certificate; the passphrase is asked for before anything is
    /// issued.
    pub(crate) fn of(context: &Context, certificate: &Certificate) -> Result<Self, Failure> {
        let mut old = context.open_home()?.identities().map_err(Failure::io)?;
        old.retain(|stored| !stored.retired && stored.certificate.spki() == certificate.spki());
        let who = certificate.addresses().join(", ");
        refuse_tokens(&old, &who)?;
        Self::after(context, old, &who)
    }

    /// None: the new ones are the first of a person.
    pub(crate) fn nothing(context: &Context, who: &str) -> Result<Self, Failure> {
        Self::after(context, Vec::new(), who)
    }

    fn after(context: &Context, old: Vec<Stored>, who: &str) -> Result<Self, Failure> {
        let protection = if old.iter().any(|stored| stored.locked) { Protection::Needed } else { Protection::Offered };
        Ok(Self { passphrase: protecting(context, who, protection)?, old })
    }

    /// Keeps the new ones, and retires the old ones last: whatever ends this before leaves a key to sign with.
    pub(crate) fn by(&self, context: &Context, new: &[Identity]) -> Result<(), Failure> {
        store_under(context, new, self.passphrase.as_ref())?;
        let home = context.open_home()?;
        for stored in &self.old {
            home.retire_one(&stored.certificate).map_err(Failure::io)?;
            tell_retired(&stored.certificate);
        }
        Ok(())
    }
}

/// A new key would lie in a file, without a word.
fn refuse_tokens(old: &[Stored], who: &str) -> Result<(), Failure> {
    if old.iter().all(|stored| stored.token.is_none()) {
        return Ok(());
    }
    Err(Failure::refused(format!("the key of {} lies on a token, and no keys are made on tokens here", report::safe(who))).hint(
        "make the new key and its certificate with the token's own program, then `sealpost id import` its URI and retire the old one",
    ))
}

fn retire(context: &Context, address: &str) -> Result<Exit, Failure> {
    current(context, address)?;
    let retired = context.open_home()?.retire(address).map_err(Failure::io)?;
    retired.iter().for_each(tell_retired);
    if context.json {
        let certificates: Vec<_> = retired.iter().map(certificate_json).collect();
        context.print_json(&json!({ "schema": "sealpost.id.retire/1", "identities": certificates }))?;
    }
    Ok(Exit::Good)
}

fn tell_retired(certificate: &Certificate) {
    eprintln!("retired: {}, serial {}", report::safe(&certificate.addresses().join(", ")), certificate.serial_hex());
}

/// The identities of an address that are not retired; one at least.
fn current(context: &Context, address: &str) -> Result<Vec<Stored>, Failure> {
    let mut stored = context.open_home()?.identities().map_err(Failure::io)?;
    stored.retain(|stored| !stored.retired && email::find(&stored.certificate.addresses(), address));
    if stored.is_empty() {
        return Err(Failure::usage(format!("the home has no key of {address} that is in use"))
            .hint("`sealpost id list` shows those that it has"));
    }
    Ok(stored)
}

/// Whether a key must lie under a passphrase.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Protection {
    Offered,
    Needed,
}

/// The passphrase for the new key of `who`; none where none is given, and none is needed.
fn protecting(context: &Context, who: &str, protection: Protection) -> Result<Option<Passphrase>, Failure> {
    let who = report::safe(who);
    let passphrase = context.passphrase.to_protect(&format!("the key of {who}"), 0)?;
    match (&passphrase, protection) {
        (None, Protection::Needed) => {
            Err(Failure::usage(format!("the key of {who} lies under a passphrase, and none was given for the new one"))
                .hint("give it with --passphrase-file FILE or --passphrase-fd N"))
        }
        (None, Protection::Offered) => {
            eprintln!("note: the key of {who} lies in the home without a passphrase; only the files' owner can read it");
            Ok(None)
        }
        (Some(_), _) => Ok(passphrase),
    }
}

/// Puts the identities of one person into the home, under a passphrase where one is given or asked.
fn keep(context: &Context, identities: &[Identity]) -> Result<Exit, Failure> {
    let who = identities.first().map(|identity| identity.addresses().join(", ")).unwrap_or_default();
    Replaced::nothing(context, &who)?.by(context, identities)?;
    told(context, identities)
}

fn store_under(context: &Context, identities: &[Identity], passphrase: Option<&Passphrase>) -> Result<(), Failure> {
    let home = context.open_home()?;
    for identity in identities {
        home.add_identity(identity, passphrase, &mut context.random()).map_err(Failure::io)?;
    }
    store_chains(context, identities)
}

/// Gives the home's key a renewed certificate, where the home has the key.
pub(crate) fn store_renewed(context: &Context, certificate: &Certificate, chain: &[Certificate]) -> Result<(), Failure> {
    let retired = context.open_home()?.add_renewed(certificate, chain).map_err(Failure::io)?;
    if !retired.is_empty() {
        eprintln!("identity: {}", report::safe(&certificate.addresses().join(", ")));
    }
    retired.iter().for_each(tell_retired);
    Ok(())
}

/// Keeps what came along with identities of the home, and says whose they are.
fn store_chains(context: &Context, identities: &[Identity]) -> Result<(), Failure> {
    let home = context.open_home()?;
    for identity in identities {
        for certificate in identity.chain().iter().filter(|certificate| !certificate.is_self_issued()) {
            home.add_intermediate(certificate).map_err(Failure::io)?;
        }
        eprintln!("identity: {}", report::safe(&identity.addresses().join(", ")));
    }
    Ok(())
}

/// Gives identities of the home to a program that asked for JSON.
pub(crate) fn told(context: &Context, identities: &[Identity]) -> Result<Exit, Failure> {
    if context.json {
        let made = |identity: &Identity| {
            let mut value = certificate_json(identity.certificate());
            value["encrypts"] = json!(check_recipient(identity.certificate()).is_ok());
            value
        };
        let certificates: Vec<_> = identities.iter().map(made).collect();
        context.print_json(&json!({ "schema": format!("sealpost.{NAME}/1"), "identities": certificates }))?;
    }
    Ok(Exit::Good)
}

fn list(context: &Context) -> Result<Exit, Failure> {
    let home = context.open_home()?;
    let stored = home.identities().map_err(Failure::io)?;
    if context.json {
        let certificates: Vec<_> = stored.iter().map(stored_json).collect();
        context.print_json(&json!({ "schema": "sealpost.id.list/1", "identities": certificates }))?;
        return Ok(Exit::Good);
    }
    for one in stored {
        let lock = match (&one.token, one.locked) {
            (Some(_), _) => "on a token",
            (None, true) => "locked",
            (None, false) => "no passphrase",
        };
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
    let stored = find(context, address)?;
    if context.json {
        context.print_json(&json!({ "schema": "sealpost.id.show/1", "identities": [stored_json(&stored)] }))?;
        return Ok(Exit::Good);
    }
    eprintln!("{}", report::safe_lines(&stored.certificate.describe()));
    if let Some(uri) = &stored.token {
        eprintln!("key: on a token, {}", report::safe(&uri.to_string()));
    }
    let mut text = pem::encode("CERTIFICATE", stored.certificate.der());
    stored.chain.iter().for_each(|certificate| text.push_str(&pem::encode("CERTIFICATE", certificate.der())));
    crate::cli::output::stdout(text.as_bytes())?;
    Ok(Exit::Good)
}

fn find(context: &Context, address: &str) -> Result<Stored, Failure> {
    context.open_home()?.find(address).map_err(Failure::io)?.ok_or_else(|| {
        Failure::usage(format!("the home has no key of {address}")).hint("`sealpost id list` shows those that it has")
    })
}

/// Has the keyring remember a passphrase, once it is known to be right.
fn remember(context: &Context, address: &str) -> Result<Exit, Failure> {
    let stored = find(context, address)?;
    if stored.token.is_some() {
        return Err(Failure::refused(format!("the key of {address} lies on a token, and PINs are not remembered"))
            .hint("the URI of the key may name a file with the PIN: ?pin-source=file:/PATH"));
    }
    if !stored.locked {
        return Err(Failure::usage(format!("the key of {address} has no passphrase")));
    }
    let what = format!("the key of {address}");
    let passphrase = keyring::unlocking(context, &what)?;
    stored.unlock(Some(&passphrase)).map_err(|error| keyring::from_keys(&error, &what))?;
    remembered::remember(context, &stored, &passphrase)?;
    said(context, "remember", address, true)
}

fn forget(context: &Context, address: &str) -> Result<Exit, Failure> {
    let was_there = remembered::forget(context, &find(context, address)?)?;
    if !was_there {
        eprintln!("note: the keyring remembered no passphrase of {}", report::safe(address));
    }
    said(context, "forget", address, was_there)
}

fn said(context: &Context, verb: &str, address: &str, done: bool) -> Result<Exit, Failure> {
    if context.json {
        context.print_json(&json!({ "schema": format!("sealpost.id.{verb}/1"), "address": address, "done": done }))?;
    }
    Ok(Exit::Good)
}

/// An identity in JSON: its certificate, and what names its key where that lies on a token.
fn stored_json(stored: &Stored) -> serde_json::Value {
    let mut value = certificate_json(&stored.certificate);
    (value["locked"], value["retired"]) = (json!(stored.locked), json!(stored.retired));
    if let Some(uri) = &stored.token {
        value["token"] = json!(uri.to_string());
    }
    value
}

fn import(context: &Context, file: &Path, cert: Option<&Path>) -> Result<Exit, Failure> {
    if let Some(uri) = token::uri(file)? {
        return import_token(context, &uri, cert);
    }
    if cert.is_some() {
        return Err(Failure::usage("--cert is for a key on a token; a file brings its own certificates"));
    }
    let bytes = input::file(file, &context.limits)?;
    let identities = keyring::read_identities(context, &file.display().to_string(), &bytes)?;
    keep(context, &identities)
}

/// Puts an identity into the home whose key stays on its token.
fn import_token(context: &Context, uri: &Uri, cert: Option<&Path>) -> Result<Exit, Failure> {
    let given = cert.map_or(Ok(Vec::new()), |path| keyring::certificates(context, path))?;
    let (identity, named) = token::identity(&context.tokens(), uri, given)?;
    let home = context.open_home()?;
    home.add_token_identity(&identity, &named).map_err(|error| token::failure(&error))?;
    store_chains(context, std::slice::from_ref(&identity))?;
    told(context, std::slice::from_ref(&identity))
}

fn export(context: &Context, address: &str, form: &str, (output, signature): (&Output, Signature)) -> Result<Exit, Failure> {
    output.check()?;
    let identities = keyring::identities_of(context, address)?;
    if identities.iter().any(|identity| identity.private_key().is_external()) {
        return Err(Failure::refused(format!("the key of {address} lies on a token and does not leave it"))
            .hint(format!("`sealpost id show {address}` gives its certificates")));
    }
    let bytes = match form {
        "pem" => export::pem_of(context, &identities)?,
        _ => Secret::new(export::packed(context, &identities, Some(form), (output.file.as_deref(), signature))?),
    };
    output.write(bytes.expose())?;
    Ok(Exit::Good)
}
