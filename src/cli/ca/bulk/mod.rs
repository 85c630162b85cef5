//! `sealpost ca issue --csv`: a certificate for each row of a table. Every row is checked before the first certificate is signed.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};

use sealpost::ca::store::{Issued, Store};
use sealpost::ca::{MailProfile, Organization, Request};
use sealpost::crypto::algorithm::KeyAlgorithm;
use sealpost::crypto::key::PrivateKey;
use sealpost::crypto::random::Random;
use sealpost::keys::pkcs12::{self, Target};
use sealpost::keys::{Identity, files};
use sealpost::pki::Certificate;
use sealpost::secret::Secret;

use crate::cli::ca::csv::{Row, Table};
use crate::cli::ca::issue::{self, ALGORITHMS, IssueArgs, USES};
use crate::cli::ca::naming::{Naming, PROFILES};
use crate::cli::ca::{chain_pem, failed, open_store};
use crate::cli::context::Context;
use crate::cli::failure::{Exit, Failure};
use crate::cli::output::{self, Output};
use crate::cli::passphrase::Passphrase;
use crate::cli::{input, report};

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

const COLUMNS: [&str; 14] = [
    "address",
    "name",
    "profile",
    "usage",
    "days",
    "algorithm",
    "given_name",
    "surname",
    "pseudonym",
    "title",
    "organization",
    "organization_id",
    "country",
    "csr",
];

/// One row, ready to be issued.
struct Order {
    line: usize,
    profile: MailProfile,
    source: Source,
    /// Where its PKCS#12 file goes.
    p12: Option<PathBuf>,
    /// Where its certificates go.
    pem: Option<PathBuf>,
}

enum Source {
    New(KeyAlgorithm),
    Request(Box<Request>),
}

/// Runs the verb.
pub(super) fn run(context: &Context, args: &IssueArgs, bulk: &BulkArgs, csv: &Path, output: &Output) -> Result<Exit, Failure> {
    let text = String::from_utf8(input::file(csv, &context.limits)?);
    let name = report::safe(&csv.display().to_string());
    let wrong = |why: &dyn std::fmt::Display| Failure::refused(format!("{name}: {why} – nothing was issued"));
    let table = Table::read(&text.map_err(|_| wrong(&"it is not UTF-8"))?).map_err(|why| wrong(&why))?;
    if let Some(column) = table.columns.iter().find(|column| !COLUMNS.contains(&column.as_str())) {
        let why = format!("line 1: the column {} is not known", report::safe(column));
        return Err(wrong(&why).hint(format!("columns are {}", COLUMNS.join(", "))));
    }
    let store = open_store(context)?;
    let organization = store.authority().organization();
    let mut orders = Vec::new();
    for row in &table.rows {
        let order =
            Plan { context, args, bulk, table: &table, organization: organization.as_ref(), csv, pem: output.file.as_deref() };
        orders.push(order.order(row).map_err(|why| wrong(&format!("line {}: {why}", row.line)))?);
    }
    check(context, &store, &orders).map_err(|why| wrong(&why))?;
    let issued = store.issued().map_err(Failure::refused)?;
    let (skipped, rest): (Vec<&Order>, Vec<&Order>) =
        orders.iter().partition(|order| bulk.skip_existing && is_done(context, &store, &issued, order));
    let taken = rest.iter().flat_map(|order| [&order.p12, &order.pem]).flatten().find(|path| path.exists());
    if let (Some(path), false, false) = (taken, output.force, bulk.skip_existing) {
        return Err(wrong(&format!("{} is there already", report::safe(&path.display().to_string())))
            .hint("--skip-existing goes on where a run was interrupted, --force writes over"));
    }
    let delivery = Delivery::new(context, args, bulk)?;
    for folder in [&bulk.p12_dir, &output.file].into_iter().flatten() {
        files::make_folder(folder).map_err(Failure::io)?;
    }
    let mut rows = Vec::new();
    for order in rest {
        let serial = delivery.issue(&store, order).map_err(|failure| {
            let message = format!("{name}: line {}: {}", order.line, failure.message);
            Failure::new(failure.exit, message).hint("the rows before it are issued: go on with --skip-existing")
        })?;
        rows.push(json!({ "line": order.line, "addresses": order.profile.addresses, "serial": serial,
            "p12": order.p12.as_ref().map(|path| path.display().to_string()),
            "certificates": order.pem.as_ref().map(|path| path.display().to_string()) }));
    }
    eprintln!("issued: {}, skipped: {}", rows.len(), skipped.len());
    if context.json {
        let skipped: Vec<Value> = skipped.iter().map(|o| json!({ "line": o.line, "addresses": o.profile.addresses })).collect();
        context.print_json(&json!({ "schema": "sealpost.ca.issue/1", "issued": rows, "skipped": skipped }))?;
    }
    Ok(Exit::Good)
}

/// What orders are made of.
struct Plan<'a> {
    context: &'a Context,
    args: &'a IssueArgs,
    bulk: &'a BulkArgs,
    table: &'a Table,
    organization: Option<&'a Organization>,
    csv: &'a Path,
    pem: Option<&'a Path>,
}

impl Plan<'_> {
    fn order(&self, row: &Row) -> Result<Order, String> {
        let field = |column: &str| self.table.field(row, column).map(str::to_owned);
        let word = |column: &str, usual: &str, known: &[&str]| match field(column) {
            None => Ok(usual.to_owned()),
            Some(word) if known.contains(&word.as_str()) => Ok(word),
            Some(word) => Err(format!("the {column} {} is not known – {}", report::safe(&word), known.join(", "))),
        };
        let address = field("address").ok_or("there is no address")?;
        let usual = &self.args.naming;
        let naming = Naming {
            profile: match field("profile") {
                Some(_) => Some(word("profile", "", &PROFILES)?),
                None => usual.profile.clone(),
            },
            name: field("name").or_else(|| usual.name.clone()),
            given_name: field("given_name").or_else(|| usual.given_name.clone()),
            surname: field("surname").or_else(|| usual.surname.clone()),
            pseudonym: field("pseudonym").or_else(|| usual.pseudonym.clone()),
            title: field("title").or_else(|| usual.title.clone()),
            organization: field("organization").or_else(|| usual.organization.clone()),
            organization_id: field("organization_id").or_else(|| usual.organization_id.clone()),
            country: field("country").or_else(|| usual.country.clone()),
        };
        let usage = word("usage", &self.args.usage, &USES)?;
        let days = match field("days") {
            Some(days) => days.parse().map_err(|_| format!("{} is no number of days", report::safe(&days)))?,
            None => self.args.days,
        };
        let source = match field("csr") {
            // beside the table, as its author sees it
            Some(_) if field("algorithm").is_some() => return Err("the key of a request has its own algorithm".to_owned()),
            Some(csr) => {
                let path = self.csv.parent().unwrap_or(Path::new("")).join(csr);
                Source::Request(Box::new(issue::read_request(self.context, &path).map_err(|failure| failure.message)?))
            }
            None => {
                let name = word("algorithm", &self.args.algorithm, &ALGORITHMS)?;
                Source::New(issue::algorithm(&name).map_err(|failure| failure.message)?)
            }
        };
        let stem = file_name(&address, &usage);
        let p12 = self.bulk.p12_dir.as_ref().map(|folder| folder.join(format!("{stem}.p12")));
        let pem = self.pem.map(|folder| folder.join(format!("{stem}.pem")));
        let (p12, is_placed) = match source {
            Source::New(_) => (p12.clone(), p12.is_some()),
            Source::Request(_) => (None, pem.is_some()),
        };
        if !is_placed {
            return Err(match source {
                Source::New(_) => "there is no place for its key – give --p12-dir DIR".to_owned(),
                Source::Request(_) => "there is no place for the certificate of its request – give -o DIR".to_owned(),
            });
        }
        let profile = MailProfile::new(address).shape(naming.shape(self.organization)?).uses(issue::uses(&usage)).days(days);
        Ok(Order { line: row.line, profile, source, p12, pem })
    }
}

/// A file for an address and a use; what is no letter of file names is written as its bytes.
fn file_name(address: &str, usage: &str) -> String {
    let mut name = String::new();
    for byte in address.to_lowercase().bytes() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'@' | b'-' | b'_' | b'+' => name.push(char::from(byte)),
            b'.' if !name.is_empty() => name.push('.'),
            other => name.push_str(&format!("%{other:02x}")),
        }
    }
    if usage == "dual" { name } else { format!("{name}.{usage}") }
}

/// Holds every row against the rules; nothing is signed.
fn check(context: &Context, store: &Store, orders: &[Order]) -> Result<(), String> {
    let at_line = |order: &Order, why: &dyn std::fmt::Display| format!("line {}: {why}", order.line);
    // a key of each kind that is asked for, to see what its certificate would be like
    let mut samples: BTreeMap<String, PrivateKey> = BTreeMap::new();
    let mut places: BTreeMap<&Path, usize> = BTreeMap::new();
    let mut keys: Vec<(&Request, &Order)> = Vec::new();
    for order in orders {
        for place in [&order.p12, &order.pem].into_iter().flatten() {
            if let Some(before) = places.insert(place, order.line) {
                return Err(at_line(order, &format!("it has the address and the usage of line {before}")));
            }
        }
        match &order.source {
            Source::New(algorithm) => {
                let sample = match samples.entry(algorithm.name()) {
                    Entry::Occupied(known) => known.into_mut(),
                    Entry::Vacant(place) => {
                        let made = PrivateKey::generate(*algorithm, &mut context.random());
                        place.insert(made.map_err(|error| at_line(order, &error))?)
                    }
                };
                let checked = store.authority().check(&order.profile, sample.public_key(), context.now);
                checked.map_err(|error| at_line(order, &error))?;
            }
            Source::Request(request) => {
                let twin = keys
                    .iter()
                    .find(|(known, of)| known.key() == request.key() && of.profile.addresses != order.profile.addresses);
                if let Some((_, of)) = twin {
                    return Err(at_line(order, &format!("its key is that of line {}, which is another address", of.line)));
                }
                keys.push((request, order));
            }
        }
    }
    let asked: Vec<_> = keys.iter().map(|(request, order)| (&order.profile, *request)).collect();
    store.check_requests(&asked, context.now).map_err(|(place, error)| match keys.get(place) {
        Some((_, order)) => at_line(order, &error),
        None => error.to_string(),
    })
}

/// Whether a row has a valid certificate that says the same, and its files.
fn is_done(context: &Context, store: &Store, issued: &[Issued], order: &Order) -> bool {
    let has_files = [&order.p12, &order.pem].into_iter().flatten().all(|path| path.exists());
    let is_its = |certificate: &Certificate| match &order.source {
        Source::New(algorithm) => certificate.public_key().is_ok_and(|key| key.algorithm() == *algorithm),
        Source::Request(request) => certificate.public_key().is_ok_and(|key| key == *request.key()),
    };
    has_files
        && issued.iter().any(|one| {
            let certificate = &one.certificate;
            one.revoked.is_none()
                && certificate.is_valid_at(context.now)
                && is_its(certificate)
                && store.authority().is_as(&order.profile, certificate, context.now)
        })
}

/// How what is issued reaches people.
struct Delivery<'a> {
    context: &'a Context,
    target: Target,
    /// One for all; else each file gets its own.
    passphrase: Option<Passphrase>,
    /// Where the passphrases are noted.
    list: Option<PathBuf>,
}

impl<'a> Delivery<'a> {
    fn new(context: &'a Context, args: &IssueArgs, bulk: &BulkArgs) -> Result<Self, Failure> {
        let target = args.form.as_deref().and_then(Target::from_name).unwrap_or(Target::Modern);
        let passphrase = match bulk.one_passphrase {
            false => None,
            true => {
                let given = context.passphrase.to_protect("the files", 1)?.filter(|passphrase| !passphrase.expose().is_empty());
                Some(
                    given.ok_or_else(|| {
                        Failure::usage("--one-passphrase needs a passphrase").hint("give --passphrase-file FILE")
                    })?,
                )
            }
        };
        Ok(Self { context, target, passphrase, list: bulk.p12_dir.as_ref().map(|folder| folder.join("passphrases.csv")) })
    }

    /// Issues one, writes its files, and gives its serial number.
    fn issue(&self, store: &Store, order: &Order) -> Result<String, Failure> {
        let (now, random) = (self.context.now, &mut self.context.random());
        let certificate = match &order.source {
            Source::Request(request) => store.issue_checked_request(&order.profile, request, now, random).map_err(failed)?,
            Source::New(algorithm) => {
                let identity = store.new_identity(&order.profile, *algorithm, now, random).map_err(failed)?;
                self.pack(&identity, order)?;
                identity.certificate().clone()
            }
        };
        if let Some(path) = &order.pem {
            output::write_file(path, chain_pem(&[&certificate, store.authority().issuing()]).as_bytes(), true)?;
        }
        Ok(certificate.serial_hex())
    }

    fn pack(&self, identity: &Identity, order: &Order) -> Result<(), Failure> {
        let Some(path) = &order.p12 else { return Ok(()) };
        let random = &mut self.context.random();
        let address = order.profile.addresses.first().map(String::as_str).unwrap_or_default();
        let own;
        let passphrase = match (&self.passphrase, &self.list) {
            (None, Some(list)) => {
                own = passphrase(random);
                // noted first: a file whose passphrase nobody knows is lost
                note(list, address, path, &own)?;
                &own
            }
            (one, _) => one.as_ref().ok_or_else(|| Failure::usage("the files need a passphrase"))?,
        };
        let file = pkcs12::write_for(self.target, std::slice::from_ref(identity), (passphrase, address), random);
        output::write_file(path, &file.map_err(Failure::refused)?, true)
    }
}

/// 26 letters of 32, 130 random bits, in groups that can be read out: none looks like another.
fn passphrase(random: &mut dyn Random) -> Passphrase {
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut bytes = Secret::new([0_u8; 26]);
    random.fill(bytes.expose_mut());
    let mut text = Secret::new(Vec::with_capacity(32));
    for (at, byte) in bytes.expose().iter().enumerate() {
        if at > 0 && at % 5 == 0 {
            text.expose_mut().push(b'-');
        }
        text.expose_mut().extend(LETTERS.get(usize::from(byte % 32)));
    }
    text
}

/// Adds a line to the list of passphrases, which only its owner reads.
fn note(list: &Path, address: &str, file: &Path, passphrase: &Passphrase) -> Result<(), Failure> {
    if !list.exists() {
        files::append(list, "address,file,passphrase").map_err(Failure::io)?;
    }
    let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let secret = String::from_utf8_lossy(passphrase.expose());
    let line = Secret::new(format!("{},{},{secret}", quoted(address), quoted(&name)).into_bytes());
    files::append(list, &String::from_utf8_lossy(line.expose())).map_err(Failure::io)
}
