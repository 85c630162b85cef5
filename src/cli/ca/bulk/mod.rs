//! `sealpost ca issue --csv`: a certificate for each row of a table. Every row is checked before the first certificate is signed.

mod delivery;
mod orders;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};

use sealpost::ca::records::{Entry, Records};
use sealpost::ca::store::{self, OrderKey, Store};
use sealpost::keys::files;
use sealpost::pki::{Certificate, email};

use crate::cli::ca::csv::Table;
use crate::cli::ca::issue::{self, IssueArgs};
use crate::cli::ca::{failed, open_store};
use crate::cli::context::Context;
use crate::cli::failure::{Exit, Failure};
use crate::cli::output::Output;
use crate::cli::progress::Progress;
use crate::cli::{input, report};
use delivery::Delivery;
use orders::{COLUMNS, Order, Source, Wrong};

/// Many at once
#[derive(Debug, Args)]
#[command(next_help_heading = "Many at once")]
pub(super) struct BulkArgs {
    /// A table with a row for each certificate. Its first line names the columns: address, and any of name, profile, usage, days, algorithm,
    /// given_name, surname, pseudonym, title, organization, organization_id, country, csr; what a row leaves open is as the options say
    #[arg(long, value_name = "FILE")]
    pub(super) csv: Option<PathBuf>,
    /// The folder for the PKCS#12 files, ADDRESS.p12; each gets a passphrase of its own, which stands in passphrases.csv there
    #[arg(long, value_name = "DIR", requires = "csv")]
    p12_dir: Option<PathBuf>,
    /// Put all PKCS#12 files under one passphrase: the last line of --passphrase-file
    #[arg(long, requires = "p12_dir")]
    one_passphrase: bool,
    /// Skip rows that have a valid certificate already, and its files
    #[arg(long, requires = "csv")]
    skip_existing: bool,
}

/// Rows that are issued and written to disk together where keys are made: so many certificates at most have lost their keys when the
/// program is killed, and each of them costs one key derivation, beside which the ledger's sync is nothing.
const KEYS_AT_ONCE: usize = 64;
/// The same where all have keys already: nothing but the ledger's sync is to be shared.
const REQUESTS_AT_ONCE: usize = 1024;

/// Runs the verb.
pub(super) fn run(context: &Context, args: &IssueArgs, bulk: &BulkArgs, csv: &Path, output: &Output) -> Result<Exit, Failure> {
    let text = String::from_utf8(input::file(csv, &context.limits)?);
    let name = report::safe(&csv.display().to_string());
    let wrong = |why: &dyn std::fmt::Display| Failure::refused(format!("{name}: {why} – nothing was issued"));
    let table = Table::read(&text.map_err(|_| wrong(&"it is not UTF-8"))?).map_err(|why| wrong(&why))?;
    let unknown: Vec<_> = table.columns.iter().filter(|column| !COLUMNS.contains(&column.as_str())).collect();
    if !unknown.is_empty() {
        let names: Vec<_> = unknown.iter().map(|column| report::safe(column)).collect();
        let verb = if names.len() == 1 { "the column {} is not known" } else { "the columns {} are not known" };
        let why = format!("line 1: {}", verb.replace("{}", &names.join(", ")));
        return Err(wrong(&why).hint(format!("columns are {}", COLUMNS.join(", "))));
    }
    let store = open_store(context)?;
    let organization = store.authority().organization();
    let plan = orders::Plan {
        context,
        args,
        p12: bulk.p12_dir.as_deref(),
        table: &table,
        organization: organization.as_ref(),
        csv,
        pem: output.file.as_deref(),
    };
    let orders = plan.orders(&store)?.map_err(|lines| wrong(&told(&lines)))?;
    let issued = if bulk.skip_existing { Issued::of(&store, &orders)? } else { Issued::default() };
    let (mut skipped, mut rest) = (Vec::new(), Vec::new());
    for order in &orders {
        let is_done = bulk.skip_existing && issued.has(context, &store, order)?;
        if is_done { skipped.push(order) } else { rest.push(order) }
    }
    let taken = rest.iter().flat_map(|order| [&order.p12, &order.pem]).flatten().find(|path| path.exists());
    if let (Some(path), false, false) = (taken, output.force, bulk.skip_existing) {
        return Err(wrong(&format!("{} is there already", report::safe(&path.display().to_string())))
            .hint("--skip-existing goes on where a run was interrupted, --force writes over"));
    }
    let delivery = Delivery::new(context, args, bulk)?;
    for folder in [&bulk.p12_dir, &output.file].into_iter().flatten() {
        files::make_folder(folder).map_err(Failure::io)?;
    }
    let rows = issue(context, &store, &delivery, &rest).map_err(|(line, failure)| {
        let message = format!("{name}: line {line}: {}", failure.message);
        Failure::new(failure.exit, message).hint("what was issued stays: go on with --skip-existing")
    })?;
    eprintln!("issued: {}, skipped: {}", rows.len(), skipped.len());
    if context.json {
        let skipped: Vec<Value> = skipped.iter().map(|o| json!({ "line": o.line, "addresses": o.profile.addresses })).collect();
        context.print_json(&json!({ "schema": format!("sealpost.{}/1", issue::NAME), "issued": rows, "skipped": skipped }))?;
    }
    Ok(Exit::Good)
}

/// What is wrong with a table, line by line.
fn told(wrong: &[Wrong]) -> String {
    let lines: Vec<String> = wrong.iter().map(|Wrong { line, why }| format!("line {line}: {why}")).collect();
    match lines.as_slice() {
        [one] => one.clone(),
        many => format!("{} lines are wrong:\n  {}\n ", many.len(), many.join("\n  ")),
    }
}

/// Issues in groups, each of which is in the ledger whole before its files are written; an error says the line.
fn issue(context: &Context, store: &Store, delivery: &Delivery<'_>, orders: &[&Order]) -> Result<Vec<Value>, (usize, Failure)> {
    let makes_keys = orders.iter().any(|order| matches!(order.source, Source::New(_)));
    let progress = Progress::count("issuing", orders.len());
    let mut rows = Vec::new();
    for group in orders.chunks(if makes_keys { KEYS_AT_ONCE } else { REQUESTS_AT_ONCE }) {
        let first = group.first().map_or(0, |order| order.line);
        let asked: Vec<store::Order> = group.iter().map(|order| order.to_store()).collect();
        let made = store.issue_all(&asked, context.now, &mut context.random()).map_err(|error| (first, failed(error)))?;
        let (mut issued, mut refused) = (Vec::new(), None);
        for (order, made) in group.iter().zip(made) {
            match made {
                Ok(made) => issued.push((*order, made)),
                Err(error) => refused = refused.or(Some((order.line, failed(error)))),
            }
        }
        delivery.deliver(store, &issued)?;
        if let Some(refused) = refused {
            return Err(refused);
        }
        rows.extend(issued.iter().map(|(order, made)| {
            json!({ "line": order.line, "addresses": order.profile.addresses, "serial": made.certificate.serial_hex(),
                "p12": order.p12.as_ref().map(|path| path.display().to_string()),
                "certificates": order.pem.as_ref().map(|path| path.display().to_string()) })
        }));
        progress.advance(group.len());
    }
    Ok(rows)
}

impl Order {
    fn to_store(&self) -> store::Order {
        let key = match &self.source {
            Source::New(algorithm) => OrderKey::New(*algorithm),
            Source::Request(request) => OrderKey::Request(request.clone()),
        };
        store::Order { profile: self.profile.clone(), key }
    }
}

/// What the addresses of a table have already, by address. The certificates themselves are read only of those.
#[derive(Default)]
struct Issued {
    records: Option<Records>,
    entries: HashMap<String, Vec<Entry>>,
}

impl Issued {
    fn of(store: &Store, orders: &[Order]) -> Result<Self, Failure> {
        let addresses = orders.iter().flat_map(|order| &order.profile.addresses).map(|address| (known_as(address), Vec::new()));
        let mut entries: HashMap<String, Vec<Entry>> = addresses.collect();
        let records = store.records().map_err(failed)?;
        for entry in records.entries().map_err(failed)? {
            let entry = entry.map_err(failed)?;
            for address in entry.whom.split(',') {
                if let Some(known) = entries.get_mut(&known_as(address)) {
                    known.push(entry.clone());
                }
            }
        }
        Ok(Self { records: Some(records), entries })
    }

    /// Whether a row has a valid certificate that says the same, and its files.
    fn has(&self, context: &Context, store: &Store, order: &Order) -> Result<bool, Failure> {
        let Some(records) = &self.records else { return Ok(false) };
        if ![&order.p12, &order.pem].into_iter().flatten().all(|path| path.exists()) {
            return Ok(false);
        }
        let is_its = |certificate: &Certificate| match &order.source {
            Source::New(algorithm) => certificate.public_key().is_ok_and(|key| key.algorithm() == *algorithm),
            Source::Request(request) => certificate.public_key().is_ok_and(|key| key == *request.key()),
        };
        let address = order.profile.addresses.first().map(String::as_str).unwrap_or_default();
        let entries = self.entries.get(&known_as(address)).map(Vec::as_slice).unwrap_or_default();
        for entry in entries.iter().filter(|entry| entry.revoked.is_none() && entry.until > context.now) {
            let certificate = records.certificate_of(entry).map_err(failed)?;
            let says_the_same = || store.authority().is_as(&order.profile, &certificate, context.now);
            if certificate.is_valid_at(context.now) && is_its(&certificate) && says_the_same() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// An address as it is looked up: one form of its domain, one case.
fn known_as(address: &str) -> String {
    email::with_ascii_domain(address).unwrap_or_else(|| address.to_owned()).to_lowercase()
}
