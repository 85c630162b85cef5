//! What the authority has done: `sealpost ca list`, `show`, `log` and `export`; none needs its keys.

use serde_json::json;

use sealpost::asn1::pem;
use sealpost::ca::{self, store::Store};

use crate::cli::ca::chain_pem;
use crate::cli::context::Context;
use crate::cli::failure::{Exit, Failure};
use crate::cli::keyring::certificate_json;
use crate::cli::output::{self, Output};
use crate::cli::report;

pub(super) fn list(context: &Context) -> Result<Exit, Failure> {
    let issued = ca::store::issued(&context.home_path().join("ca")).map_err(Failure::refused)?;
    if context.json {
        let one = |issued: &ca::store::Issued| {
            let mut value = certificate_json(&issued.certificate);
            value["revoked"] =
                json!(issued.revoked.as_ref().map(|r| json!({ "date": r.date.to_string(), "reason": r.reason.name() })));
            value
        };
        context
            .print_json(&json!({ "schema": "sealpost.ca.list/1", "certificates": issued.iter().map(one).collect::<Vec<_>>() }))?;
        return Ok(Exit::Good);
    }
    for one in issued {
        let names = [one.certificate.addresses(), one.certificate.dns_names()].concat().join(", ");
        let state = one.revoked.map_or_else(String::new, |r| format!("  revoked {} ({})", r.date, r.reason.name()));
        let line =
            format!("{}  {}  until {}{state}\n", one.certificate.serial_hex(), report::safe(&names), one.certificate.not_after());
        output::stdout(line.as_bytes())?;
    }
    Ok(Exit::Good)
}

pub(super) fn show(context: &Context, serial: &str) -> Result<Exit, Failure> {
    let issued = ca::store::issued(&context.home_path().join("ca")).map_err(Failure::refused)?;
    let found = issued.into_iter().find(|issued| issued.certificate.serial_hex() == serial.to_ascii_lowercase());
    let found = found.ok_or_else(|| {
        Failure::usage(format!("no certificate with the serial number {serial} was issued here"))
            .hint("`sealpost ca list` shows them")
    })?;
    if context.json {
        let certificate = certificate_json(&found.certificate);
        context.print_json(&json!({ "schema": "sealpost.ca.show/1", "certificates": [certificate] }))?;
        return Ok(Exit::Good);
    }
    eprintln!("{}", report::safe_lines(&found.certificate.describe()));
    output::stdout(pem::encode("CERTIFICATE", found.certificate.der()).as_bytes())?;
    Ok(Exit::Good)
}

pub(super) fn log(context: &Context) -> Result<Exit, Failure> {
    let events = ca::store::ledger(&context.home_path().join("ca")).map_err(|error| Failure::new(Exit::Bad, error))?;
    for event in events {
        output::stdout(format!("{} {} {} {}\n", event.time, event.event, event.subject, report::safe(&event.detail)).as_bytes())?;
    }
    Ok(Exit::Good)
}

pub(super) fn export(context: &Context, what: &str, output: &Output) -> Result<Exit, Failure> {
    output.check()?;
    let folder = context.home_path().join("ca");
    if !Store::exists(&folder) {
        return Err(Failure::usage(format!("the home {} has no CA", context.home_path().display()))
            .hint("make one with `sealpost ca init --name NAME`"));
    }
    let read = |name: &str| ca::store::read_certificate(&folder.join(format!("{name}.pem"))).map_err(Failure::io);
    let text = match what {
        "root" => chain_pem(&[&read("root")?]),
        "issuing" => chain_pem(&[&read("issuing")?]),
        _ => chain_pem(&[&read("issuing")?, &read("root")?]),
    };
    output.write(text.as_bytes())?;
    Ok(Exit::Good)
}
