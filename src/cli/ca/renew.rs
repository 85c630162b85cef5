//! `sealpost ca renew`: one certificate, or all that end soon.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use sealpost::ca;
use sealpost::ca::records::{Entry, Serial};
use sealpost::ca::store::{Made, Renewal, Store};
use sealpost::keys::{Identity, files};
use sealpost::pki::{self, Certificate};

use crate::cli::ca::{chain_pem, failed, open_store};
use crate::cli::context::Context;
use crate::cli::failure::{Exit, Failure};
use crate::cli::id::{self, Replaced};
use crate::cli::keyring::certificate_json;
use crate::cli::output::{self, Output};
use crate::cli::report;

/// What is renewed.
#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  sealpost ca renew 4f3a… -o jane.pem
  sealpost ca renew 4f3a… --new-key
  sealpost ca renew --days-left 30 --into /etc/sealpost/certificates      everything, of people and of servers: for cron")]
pub(super) struct RenewArgs {
    /// The serial number, hexadecimal
    #[arg(required_unless_present = "days_left")]
    serial: Option<String>,
    /// Renew everything that ends within N days and was not renewed yet: certificates of people and of TLS servers. What lives for fewer days
    /// than that is renewed again after a third of its life
    #[arg(long, value_name = "N", conflicts_with = "serial")]
    days_left: Option<u32>,
    /// For how many days [default: as long as the old one]
    #[arg(long, value_name = "N")]
    days: Option<u32>,
    /// Make a new key: a person's goes into the home, where it takes the place of the old one, which goes on reading old mail
    #[arg(long, conflicts_with = "days_left")]
    new_key: bool,
    /// Where the new key of a TLS server goes
    #[arg(long, value_name = "FILE", requires = "new_key")]
    key: Option<PathBuf>,
    /// Write each with its chain into a file of its own in DIR, named after its first address or host; there it takes the place of the one
    /// that it renews
    #[arg(long, value_name = "DIR", conflicts_with = "file")]
    into: Option<PathBuf>,
    #[command(flatten)]
    output: Output,
}

pub(super) fn renew(context: &Context, args: &RenewArgs) -> Result<Exit, Failure> {
    args.output.check()?;
    if let Some(into) = &args.into {
        files::make_folder(into).map_err(Failure::io)?;
    }
    let store = open_store(context)?;
    let (old, made, first) = match (&args.serial, args.days_left) {
        (Some(serial), _) => (vec![serial.clone()], vec![one(context, args, &store, serial)?], None),
        (None, left) => all(context, args, &store, left.unwrap_or_default())?,
    };
    if args.into.is_none() && !made.is_empty() && (!args.output.is_stdout() || !context.json) {
        args.output.write(made.iter().map(|made| with_chain(&store, made)).collect::<String>().as_bytes())?;
    }
    if let Some(failure) = first {
        return Err(failure);
    }
    if context.json {
        let certificates: Vec<_> = made.iter().map(|one| certificate_json(&one.certificate)).collect();
        context.print_json(&json!({ "schema": "sealpost.ca.renew/1", "renews": old, "certificates": certificates }))?;
    }
    Ok(Exit::Good)
}

/// Renews one; what could be wrong with where its key goes is said before.
fn one(context: &Context, args: &RenewArgs, store: &Store, serial: &str) -> Result<Made, Failure> {
    if !args.new_key {
        let made = store.renew(serial, (Renewal::SameKey, args.days), context.now, &mut context.random()).map_err(failed)?;
        return finish(context, args, store, made);
    }
    let found =
        Serial::from_hex(serial).map(|serial| store.records()?.certificate(&serial)).transpose().map_err(failed)?.flatten();
    // an unknown one is refused by who renews
    let server = found.as_ref().filter(|old| old.issuer().matches(store.authority().servers().subject()));
    if let Some(old) = server {
        let path = args.key.as_ref().ok_or_else(|| {
            Failure::usage(format!("{old} is of a TLS server, and it is not said where its new key goes")).hint("add --key FILE")
        })?;
        Output { file: Some(path.clone()), force: args.output.force }.check()?;
    } else if args.key.is_some() {
        return Err(Failure::usage("--key is for certificates of TLS servers; a person's new key goes into the home"));
    }
    let replaced = match &found {
        Some(old) if server.is_none() => Some(Replaced::of(context, old)?),
        _ => None,
    };
    let made = store.renew(serial, (Renewal::NewKey, args.days), context.now, &mut context.random()).map_err(failed)?;
    if let Some(key) = &made.key {
        match (replaced, &args.key) {
            (Some(replaced), _) => {
                let identity =
                    Identity::new(key.clone(), made.certificate.clone(), chain(store, &made)).map_err(Failure::refused)?;
                replaced.by(context, &[identity])?;
            }
            (None, Some(path)) => {
                let text = key.to_pem().map_err(Failure::refused)?;
                output::write_file(path, text.expose(), args.output.force)?;
            }
            (None, None) => {}
        }
    }
    finish(context, args, store, made)
}

/// Renews what ends within some days. What is refused holds up none of the others; it is told, and comes back as the failure.
#[expect(clippy::type_complexity, reason = "three lists that go three ways")]
fn all(
    context: &Context,
    args: &RenewArgs,
    store: &Store,
    left: u32,
) -> Result<(Vec<String>, Vec<Made>, Option<Failure>), Failure> {
    warn_of_issuers(context, store, left);
    let ending = store.due(left, context.now).map_err(failed)?;
    if ending.is_empty() {
        eprintln!("nothing ends within {left} days that was not renewed already");
    }
    let (mut old, mut made, mut refused) = (Vec::new(), Vec::new(), Vec::new());
    for Entry { serial, whom, .. } in &ending {
        let serial = serial.to_string();
        match store.renew(&serial, (Renewal::SameKey, args.days), context.now, &mut context.random()) {
            Ok(one) => {
                made.push(finish(context, args, store, one)?);
                old.push(serial);
            }
            Err(error @ (ca::Error::Refused(_) | ca::Error::Flawed(_) | ca::Error::Beyond(_))) => {
                let failure = failed(error);
                eprintln!("not renewed: {} – serial {serial}: {}", report::safe(whom), report::safe_lines(&failure.message));
                refused.push(failure);
            }
            // it would be the same with all others
            Err(error) => return Err(failed(error)),
        }
    }
    let count = refused.len();
    let first = refused.into_iter().next().map(|first| {
        let message = format!("{count} of {} certificates that end soon were not renewed – {}", ending.len(), first.message);
        Failure::new(first.exit, message).hint("issue new ones in their place: `sealpost ca issue`, `sealpost ca server-cert`")
    });
    Ok((old, made, first))
}

/// The certificates of the CAs themselves need the root's key, and a person.
fn warn_of_issuers(context: &Context, store: &Store, left: u32) {
    let limit = context.now.plus_days(i64::from(left));
    for issuer in [store.authority().issuing(), store.authority().servers()] {
        if issuer.not_after() <= limit {
            let (name, until) = (report::safe(&issuer.to_string()), issuer.not_after());
            eprintln!("warning: the CA {name} itself ends on {until} – `sealpost ca renew-issuing` makes it last");
        }
    }
    let root = store.authority().root();
    if root.not_after() <= limit {
        eprintln!("warning: the root {} ends on {} – make a new authority", report::safe(&root.to_string()), root.not_after());
    }
}

/// Says what was made, and puts it where it belongs: at once, whatever happens to the next one.
fn finish(context: &Context, args: &RenewArgs, store: &Store, made: Made) -> Result<Made, Failure> {
    let certificate = &made.certificate;
    eprintln!(
        "renewed: {} – serial {}, until {}",
        report::safe(&name_of(certificate)),
        certificate.serial_hex(),
        certificate.not_after()
    );
    if made.key.is_none() && !certificate.addresses().is_empty() {
        id::store_renewed(context, certificate, &chain(store, &made))?;
    }
    if let Some(into) = &args.into {
        let path = place(into, certificate);
        output::write_file(&path, with_chain(store, &made).as_bytes(), true)?;
        eprintln!("written: {}", report::safe(&path.display().to_string()));
    }
    Ok(made)
}

/// Where a renewed certificate goes: to the place of the one for the same key, and of no other one.
fn place(into: &Path, certificate: &Certificate) -> PathBuf {
    let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '@' | '.' | '-' | '_' | '+');
    let name: String = name_of(certificate).chars().map(|c| if is_plain(c) { c } else { '_' }).collect();
    let name = name.trim_start_matches('.');
    let path = into.join(format!("{name}.pem"));
    let Ok(bytes) = std::fs::read(&path) else { return path };
    let before = pki::load::certificates(&bytes).ok().and_then(|found| found.into_iter().next());
    match before.is_some_and(|before| before.spki() == certificate.spki()) {
        true => path,
        false => into.join(format!("{name}-{}.pem", certificate.serial_hex())),
    }
}

fn name_of(certificate: &Certificate) -> String {
    let first = certificate.addresses().into_iter().next().or_else(|| certificate.dns_names().into_iter().next());
    first.unwrap_or_else(|| certificate.to_string())
}

fn chain(store: &Store, made: &Made) -> Vec<Certificate> {
    vec![store.authority().issuer_of(&made.certificate).clone(), store.authority().root().clone()]
}

fn with_chain(store: &Store, made: &Made) -> String {
    chain_pem(&[&made.certificate, store.authority().issuer_of(&made.certificate)])
}
