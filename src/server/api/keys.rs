//! The keys of DKIM over HTTP: those in the folder of the main server's configuration, taken at once.

use std::path::PathBuf;

use serde_json::Value;

use crate::crypto::random::OsRandom;
use crate::keys::Error;
use crate::keys::domain::{DomainKey, Kind, json};
use crate::server::api::Api;
use crate::server::api::answer::Asked;
use crate::server::api::problem::Problem;
use crate::server::manage::json::done;
use crate::time::Timestamp;

/// Every key.
pub(in crate::server::api) fn list(api: &Api, now: Timestamp) -> Result<Value, Problem> {
    Ok(json::list(&DomainKey::all(&folder(api)?)?, now))
}

/// The records to publish.
pub(in crate::server::api) fn dns(api: &Api, domain: Option<&str>, now: Timestamp) -> Result<Value, Problem> {
    Ok(json::records("dns", &DomainKey::published(&folder(api)?, domain, now)?)?)
}

/// Makes keys; they sign from their day on.
pub(in crate::server::api) fn make(api: &Api, asked: &Asked, now: Timestamp) -> Result<Value, Problem> {
    let kind = match asked.text("kind") {
        // the word was looked at when it came
        Some("rsa") => Some(Kind::Rsa),
        Some(_) => Some(Kind::Ed25519),
        None => None,
    };
    let from = match asked.text("from").map(|text| (text, Timestamp::parse_rfc3339(text))) {
        Some((text, None)) => return Err(Problem::invalid("/from", format!("{text} is not a day, as 2026-12-01"))),
        Some((_, from)) => from,
        None => None,
    };
    let domain = asked.text("domain").unwrap_or_default();
    let made = DomainKey::roll(&folder(api)?, domain, (kind, from), now, &mut OsRandom)?;
    take(api)?;
    Ok(json::records("new", &made)?)
}

/// Removes a key that signs no more, or not yet.
pub(in crate::server::api) fn remove(api: &Api, (domain, selector): (&str, &str), now: Timestamp) -> Result<Value, Problem> {
    DomainKey::remove(&folder(api)?, domain, selector, now)?;
    take(api)?;
    Ok(done("dkim.remove"))
}

fn folder(api: &Api) -> Result<PathBuf, Problem> {
    api.levers.reloader.folder_of_keys().ok_or_else(Problem::no_folder_of_keys)
}

/// The server signs with what lies there now.
fn take(api: &Api) -> Result<(), Problem> {
    api.levers.reloader.take_files().map_err(Problem::broken)
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let detail = error.to_string();
        match error {
            Error::NotFound(_) => Self::not_found(detail),
            Error::Exists(_) => Self::exists(detail),
            Error::InUse(_) => Self::not_now(detail, "make its successor first, and wait until mail under way has arrived"),
            Error::Malformed(_) => Self::invalid("/", detail),
            _ => Self::broken(detail),
        }
    }
}
