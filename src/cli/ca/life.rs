//! What happens to certificates after they were issued: `sealpost ca revoke`, `release`, `suspend` and `resume`.

use clap::Args;
use serde_json::json;

use sealpost::ca::RevocationReason;
use sealpost::ca::records::Serial;
use sealpost::ca::store::Store;
use sealpost::pki::Certificate;
use sealpost::time::Timestamp;

use crate::cli::ca::{failed, lists, open_store};
use crate::cli::context::Context;
use crate::cli::failure::{Exit, Failure};
use crate::cli::keyring::certificate_json;
use crate::cli::report;

/// What is revoked, and why.
#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  sealpost ca revoke 4f3a… --reason key-compromise --compromised-since 2026-04-01
  sealpost ca revoke 4f3a… --reason certificate-hold     (`sealpost ca release 4f3a…` takes it off)")]
pub(super) struct RevokeArgs {
    /// The serial number, hexadecimal
    serial: String,
    /// Why
    #[arg(long, default_value = "unspecified", value_parser = clap::builder::PossibleValuesParser::new(RevocationReason::names()))]
    reason: String,
    /// Since when the key is not to be trusted (RFC 3339), where that was before now
    #[arg(long, value_name = "TIME")]
    compromised_since: Option<String>,
    #[command(flatten)]
    then: Then,
}

/// What is done after a state changed.
#[derive(Debug, Args)]
pub(super) struct Then {
    /// Leave the published lists and OCSP answers as they are, until `sealpost ca publish`
    #[arg(long)]
    no_publish: bool,
}

pub(super) fn revoke(context: &Context, args: &RevokeArgs) -> Result<Exit, Failure> {
    let reason = RevocationReason::from_name(&args.reason)
        .ok_or_else(|| Failure::usage(format!("--reason {} is not known", args.reason)))?;
    let parse = |text: &String| {
        let time = Timestamp::parse_rfc3339(text);
        time.ok_or_else(|| {
            Failure::usage(format!("--compromised-since {text} is not a time")).hint("write it as 2026-04-11T09:30:00Z")
        })
    };
    let since = args.compromised_since.as_ref().map(parse).transpose()?;
    let store = open_store(context)?;
    let certificate = store.revoke_since(&args.serial, (reason, since), context.now).map_err(failed)?;
    let what = if reason == RevocationReason::CertificateHold { "on hold" } else { "revoked" };
    told(context, &store, ("revoke", what), &certificate, &args.then)
}

pub(super) fn release(context: &Context, serial: &str, then: &Then) -> Result<Exit, Failure> {
    let store = open_store(context)?;
    let certificate = store.release(serial, context.now).map_err(failed)?;
    told(context, &store, ("release", "released"), &certificate, then)
}

pub(super) fn suspend(context: &Context, address: &str, then: &Then) -> Result<Exit, Failure> {
    let store = open_store(context)?;
    let held = store.suspend(address, context.now).map_err(failed)?;
    if held.is_empty() {
        return Err(
            Failure::refused(format!("{address} has no valid certificate of this CA")).hint("`sealpost ca list` shows all")
        );
    }
    told_all(context, &store, ("suspend", "on hold"), &held, then)
}

pub(super) fn resume(context: &Context, address: &str, then: &Then) -> Result<Exit, Failure> {
    let store = open_store(context)?;
    let released = store.resume(address, context.now).map_err(failed)?;
    if released.is_empty() {
        let why = format!("{address} has no certificate that is on hold");
        return Err(Failure::refused(why).hint("what is revoked stays so – issue a new one with `sealpost ca issue`"));
    }
    told_all(context, &store, ("resume", "released"), &released, then)
}

fn told(
    context: &Context,
    store: &Store,
    (verb, what): (&str, &str),
    certificate: &Certificate,
    then: &Then,
) -> Result<Exit, Failure> {
    eprintln!("{what}: {}", report::safe(&certificate.to_string()));
    let published = publish(context, store, then)?;
    if context.json {
        context.print_json(&json!({ "schema": format!("sealpost.ca.{verb}/1"), "state": what, "published": published,
            "certificates": [certificate_json(certificate)] }))?;
    }
    Ok(Exit::Good)
}

fn told_all(
    context: &Context,
    store: &Store,
    (verb, what): (&str, &str),
    serials: &[Serial],
    then: &Then,
) -> Result<Exit, Failure> {
    let serials: Vec<String> = serials.iter().map(Serial::to_string).collect();
    eprintln!("{what}: {}", serials.join(", "));
    let published = publish(context, store, then)?;
    if context.json {
        context.print_json(&json!({ "schema": format!("sealpost.ca.{verb}/1"), "state": what, "published": published,
            "serials": serials }))?;
    }
    Ok(Exit::Good)
}

/// The CA is unlocked, so whoever asks learns at once of what changed; says whether it was published.
fn publish(context: &Context, store: &Store, then: &Then) -> Result<bool, Failure> {
    if then.no_publish {
        eprintln!("OCSP says so from now on, the lists do not; publish them: `sealpost ca publish`");
        return Ok(false);
    }
    let published = lists::publish_changes(context, store);
    published.map(|_| true).map_err(|failure| {
        let message = format!("the ledger has it, and it is not published – {}", failure.message);
        Failure::new(failure.exit, message).hint("publish with `sealpost ca publish`")
    })
}
