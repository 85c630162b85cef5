//! What the authority has done: `sealpost ca list`, `show`, `log` and `export`; none needs its keys.

use std::path::Path;

use serde_json::{Value, json};

use sealpost::asn1::pem;
use sealpost::ca::records::{self, Entry, Event, Records, Serial, Status};
use sealpost::ca::{self, Revoked};

use crate::cli::ca::{ca_folder, chain_pem, failed};
use crate::cli::context::Context;
use crate::cli::failure::{Exit, Failure};
use crate::cli::keyring::certificate_json;
use crate::cli::output::{self, Output};
use crate::cli::report;

pub(super) fn list(context: &Context, expiring: Option<u32>) -> Result<Exit, Failure> {
    let records = Records::open(&ca_folder(context)?).map_err(failed)?;
    let entries: Box<dyn Iterator<Item = Result<Entry, ca::Error>>> = match expiring {
        Some(days) => Box::new(ca::store::ending(&records, days, context.now).map_err(failed)?.into_iter().map(Ok)),
        None => Box::new(records.entries().map_err(failed)?),
    };
    if context.json {
        let object = |entry: Entry| {
            let mut value = certificate_json(&records.certificate_of(&entry).map_err(failed)?);
            value["revoked"] = revoked_json(entry.revoked.as_ref());
            Ok(value)
        };
        return stream(("ca.list", "certificates", json!({})), entries.map(|entry| entry.map_err(failed).and_then(object)));
    }
    let mut out = Pages::default();
    for entry in entries {
        let Entry { serial, whom, until, revoked, .. } = entry.map_err(failed)?;
        let state = revoked.map_or_else(String::new, |r| format!("  revoked {} ({})", r.date, r.reason.name()));
        out.push(&format!("{serial}  {}  until {until}{state}\n", report::safe(&whom.replace(',', ", "))))?;
    }
    out.finish()
}

pub(super) fn show(context: &Context, serial: &str) -> Result<Exit, Failure> {
    let records = Records::open(&ca_folder(context)?).map_err(failed)?;
    let missing = || failed(ca::Error::Unknown(format!("no certificate with the serial number {serial} was issued here")));
    let wanted = Serial::from_hex(serial).ok_or_else(missing)?;
    let certificate = records.certificate(&wanted).map_err(failed)?.ok_or_else(missing)?;
    let revoked = match records.status(&wanted).map_err(failed)? {
        Status::Revoked(revoked) => Some(revoked),
        Status::Good | Status::Unknown => None,
    };
    if context.json {
        let mut value = certificate_json(&certificate);
        value["revoked"] = revoked_json(revoked.as_ref());
        context.print_json(&json!({ "schema": "sealpost.ca.show/1", "certificates": [value] }))?;
        return Ok(Exit::Good);
    }
    eprintln!("{}", report::safe_lines(&certificate.describe()));
    if let Some(revoked) = revoked {
        eprintln!("revoked: {} ({})", revoked.date, revoked.reason.name());
    }
    output::stdout(pem::encode("CERTIFICATE", certificate.der()).as_bytes())?;
    Ok(Exit::Good)
}

pub(super) fn log(context: &Context, verify: bool, head: Option<&Path>) -> Result<Exit, Failure> {
    let folder = ca_folder(context)?;
    if verify {
        return check(context, &folder, head);
    }
    let events = records::events(&folder).map_err(failed)?;
    if context.json {
        return stream(
            ("ca.log", "events", json!({})),
            events.map(|event| event.map_err(failed).map(|event| event_json(&event))),
        );
    }
    let mut out = Pages::default();
    for event in events {
        let Event { time, event, subject, detail, .. } = event.map_err(failed)?;
        out.push(&format!("{time} {event} {subject} {}\n", report::safe(&detail)))?;
    }
    out.finish()
}

fn check(context: &Context, folder: &Path, head: Option<&Path>) -> Result<Exit, Failure> {
    let verified = records::verify(folder, head).map_err(|error| match error {
        // no more is to be said than this
        ca::Error::Changed(_) => Failure::new(Exit::Bad, error).hint("restore a backup of the home; nothing is issued before"),
        error => failed(error),
    })?;
    let records::Verified { events, certificates, revoked, signed } = verified;
    if context.json {
        let signed = signed.map(|(events, time)| json!({ "events": events, "time": time.to_string() }));
        context.print_json(&json!({
            "schema": "sealpost.ca.log/1", "result": "ok", "events": events, "certificates": certificates, "revoked": revoked,
            "signed": signed,
        }))?;
        return Ok(Exit::Good);
    }
    let signed = match signed {
        Some((events, time)) => format!("the issuing CA signed the first {events} on {time}"),
        None => "none is signed by the issuing CA yet, which `sealpost ca crl` does".to_owned(),
    };
    output::stdout(
        format!("{events} events, {certificates} certificates, {revoked} revoked: all as written; {signed}\n").as_bytes(),
    )?;
    Ok(Exit::Good)
}

pub(super) fn export(context: &Context, what: &str, output: &Output) -> Result<Exit, Failure> {
    output.check()?;
    let folder = ca_folder(context)?;
    let read = |name: &str| ca::store::read_certificate(&folder.join(format!("{name}.pem"))).map_err(Failure::io);
    let certificates = match what {
        "root" => vec![read("root")?],
        "issuing" => vec![read("issuing")?],
        _ => vec![read("issuing")?, read("root")?],
    };
    if !output.is_stdout() || !context.json {
        output.write(chain_pem(&certificates.iter().collect::<Vec<_>>()).as_bytes())?;
    }
    if context.json {
        let certificates: Vec<_> = certificates.iter().map(certificate_json).collect();
        context.print_json(&json!({ "schema": "sealpost.ca.export/1", "certificates": certificates }))?;
    }
    Ok(Exit::Good)
}

fn revoked_json(revoked: Option<&Revoked>) -> Value {
    let one = |r: &Revoked| {
        let since = r.invalid_since.map(|since| since.to_string());
        json!({ "date": r.date.to_string(), "reason": r.reason.name(), "compromised_since": since })
    };
    revoked.map_or(Value::Null, one)
}

fn event_json(event: &Event) -> Value {
    let Event { time, event, subject, detail, facts } = event;
    let facts = facts.split(' ').filter_map(|fact| fact.split_once('=')).map(|(name, value)| (name.to_owned(), value.into()));
    let facts = facts.collect::<serde_json::Map<String, Value>>();
    json!({ "time": time.to_string(), "event": event, "subject": subject, "detail": detail, "facts": facts })
}

/// One JSON object whose list may be long: it is written as it is read.
fn stream(
    (verb, list, mut object): (&str, &str, Value),
    values: impl Iterator<Item = Result<Value, Failure>>,
) -> Result<Exit, Failure> {
    object["schema"] = json!(format!("sealpost.{verb}/1"));
    let text = object.to_string();
    let mut out = Pages::default();
    out.push(text.strip_suffix('}').unwrap_or(&text))?;
    out.push(&format!(",\"{list}\":["))?;
    for (at, value) in values.enumerate() {
        out.push(if at > 0 { "," } else { "" })?;
        out.push(&report::safe_json(&value?.to_string()))?;
    }
    out.push("]}\n")?;
    out.finish()
}

/// Standard output in large pieces.
#[derive(Default)]
struct Pages(String);

impl Pages {
    fn push(&mut self, text: &str) -> Result<(), Failure> {
        self.0.push_str(text);
        if self.0.len() >= PAGE {
            output::stdout(self.0.as_bytes())?;
            self.0.clear();
        }
        Ok(())
    }

    fn finish(self) -> Result<Exit, Failure> {
        output::stdout(self.0.as_bytes())?;
        Ok(Exit::Good)
    }
}

/// 64 KiB: one call to the system for some hundred lines.
const PAGE: usize = 64 << 10;
