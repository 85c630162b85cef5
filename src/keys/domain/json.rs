//! Results in JSON, as `sealpost dkim --json` prints them and the admin API sends them.

use serde_json::{Value, json};

use crate::keys::Error;
use crate::keys::domain::{DomainKey, STAYS};
use crate::time::Timestamp;

/// The keys, and what each is good for.
pub fn list(all: &[DomainKey], now: Timestamp) -> Value {
    let one = |key: &DomainKey| {
        json!({
            "domain": key.domain, "selector": key.selector, "kind": key.kind.to_string(), "from": key.day(),
            "state": key.state(all, now).word(),
        })
    };
    json!({ "schema": "sealpost.dkim.list/1", "stays_days": STAYS, "keys": all.iter().map(one).collect::<Vec<_>>() })
}

/// The records to publish of these keys (`verb` is `new` or `dns`).
pub fn records(verb: &str, keys: &[DomainKey]) -> Result<Value, Error> {
    let one = |key: &DomainKey| Ok(json!({ "name": key.name(), "type": "TXT", "text": key.record()? }));
    let records: Result<Vec<Value>, Error> = keys.iter().map(one).collect();
    Ok(json!({ "schema": format!("sealpost.dkim.{verb}/1"), "records": records? }))
}
