//! The keys of DKIM over HTTP: those in the folder that the configuration names for a server, taken at once.

use std::path::PathBuf;

use serde_json::Value;

use crate::crypto::random::OsRandom;
use crate::keys::Error;
use crate::keys::domain::{DomainKey, Kind, json};
use crate::server::api::Api;
use crate::server::api::answer::Asked;
use crate::server::api::problem::Problem;
use crate::server::doors::MAIN;
use crate::server::manage::json::done;
use crate::time::Timestamp;

/// Every key.
pub(in crate::server::api) fn list(api: &Api, asked: &Asked, now: Timestamp) -> Result<Value, Problem> {
    Ok(json::list(&DomainKey::all(&folder(api, asked)?)?, now))
}

/// The records to publish.
pub(in crate::server::api) fn dns(api: &Api, asked: &Asked, now: Timestamp) -> Result<Value, Problem> {
    Ok(json::records("dns", &DomainKey::published(&folder(api, asked)?, asked.query("domain"), now)?)?)
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
    let made = DomainKey::roll(&folder(api, asked)?, domain, (kind, from), now, &mut OsRandom)?;
    take(api)?;
    Ok(json::records("new", &made)?)
}

/// Removes a key that signs no more, or not yet.
pub(in crate::server::api) fn remove(api: &Api, asked: &Asked, now: Timestamp) -> Result<Value, Problem> {
    DomainKey::remove(&folder(api, asked)?, asked.part("domain"), asked.part("selector"), now)?;
    take(api)?;
    Ok(done("dkim.remove"))
}

/// The folder of the server that is named, or of the main one.
fn folder(api: &Api, asked: &Asked) -> Result<PathBuf, Problem> {
    let server = asked.query("server").unwrap_or(MAIN);
    let folder = api.levers.reloader.folder_of_keys(server);
    folder.ok_or_else(|| Problem::not_found(format!("there is no server {server}")))?.ok_or_else(Problem::no_folder_of_keys)
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
