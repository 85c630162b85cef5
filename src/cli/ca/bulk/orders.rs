//! The rows of a table as orders, and what is wrong with them.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::path::{Component, Path, PathBuf};

use sealpost::ca::store::Store;
use sealpost::ca::{MailProfile, Organization, Request};
use sealpost::crypto::algorithm::KeyAlgorithm;
use sealpost::crypto::key::PrivateKey;

use crate::cli::ca::csv::{Row, Table};
use crate::cli::ca::failed;
use crate::cli::ca::issue::{self, ALGORITHMS, IssueArgs, USES};
use crate::cli::ca::naming::{Naming, PROFILES};
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::report;

pub(super) const COLUMNS: [&str; 14] = [
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
pub(super) struct Order {
    pub(super) line: usize,
    pub(super) profile: MailProfile,
    pub(super) source: Source,
    /// Where its PKCS#12 file goes.
    pub(super) p12: Option<PathBuf>,
    /// Where its certificates go.
    pub(super) pem: Option<PathBuf>,
}

/// Where the key of a row comes from.
pub(super) enum Source {
    New(KeyAlgorithm),
    Request(Box<Request>),
}

/// A line that is wrong, and why.
pub(super) struct Wrong {
    pub(super) line: usize,
    pub(super) why: String,
}

/// What orders are made of.
pub(super) struct Plan<'a> {
    pub(super) context: &'a Context,
    pub(super) args: &'a IssueArgs,
    /// The folder for PKCS#12 files.
    pub(super) p12: Option<&'a Path>,
    pub(super) table: &'a Table,
    pub(super) organization: Option<&'a Organization>,
    pub(super) csv: &'a Path,
    /// The folder for certificates.
    pub(super) pem: Option<&'a Path>,
}

impl Plan<'_> {
    /// The orders of all rows, each held against the rules; or every line that is wrong. Nothing is signed.
    pub(super) fn orders(&self, store: &Store) -> Result<Result<Vec<Order>, Vec<Wrong>>, Failure> {
        let (mut orders, mut wrong) = (Vec::new(), Vec::new());
        for row in &self.table.rows {
            match self.order(row) {
                Ok(order) => orders.push(order),
                Err(why) => wrong.push(Wrong { line: row.line, why }),
            }
        }
        wrong.extend(check(self.context, store, &orders)?);
        wrong.sort_by_key(|wrong| wrong.line);
        Ok(if wrong.is_empty() { Ok(orders) } else { Err(wrong) })
    }

    /// The file of a request: beside the table, as its author sees it, or below. Whoever wrote the table must not have other files of this
    /// machine read.
    fn beside(&self, csr: &str) -> Result<PathBuf, String> {
        let is_below = Path::new(csr).components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        if !is_below {
            let csr = report::safe(csr);
            return Err(format!(
                "the request {csr} is not in the folder of the table, nor below it – put it there, and name it from there"
            ));
        }
        Ok(self.csv.parent().unwrap_or(Path::new("")).join(csr))
    }

    fn order(&self, row: &Row) -> Result<Order, String> {
        self.table.check(row)?;
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
            Some(_) if field("algorithm").is_some() => return Err("the key of a request has its own algorithm".to_owned()),
            Some(csr) => {
                let path = self.beside(&csr)?;
                Source::Request(Box::new(issue::read_request(self.context, &path).map_err(|failure| failure.message)?))
            }
            None => {
                let name = word("algorithm", &self.args.algorithm, &ALGORITHMS)?;
                Source::New(issue::algorithm(&name).map_err(|failure| failure.message)?)
            }
        };
        let stem = file_name(&address, &usage);
        let p12 = self.p12.map(|folder| folder.join(format!("{stem}.p12")));
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

/// Holds every row against the rules and against the others; says of each that breaks one the first.
fn check(context: &Context, store: &Store, orders: &[Order]) -> Result<Vec<Wrong>, Failure> {
    // a key of each kind that is asked for, to see what its certificate would be like
    let mut samples: BTreeMap<String, PrivateKey> = BTreeMap::new();
    let mut places: HashMap<&Path, usize> = HashMap::new();
    let mut keys: HashMap<&[u8], &Order> = HashMap::new();
    let mut requests: Vec<(&Order, &Request)> = Vec::new();
    let mut wrong = Vec::new();
    for order in orders {
        let mut refuse = |why: String| wrong.push(Wrong { line: order.line, why });
        let twin = [&order.p12, &order.pem].into_iter().flatten().find_map(|place| places.insert(place, order.line));
        if let Some(before) = twin {
            refuse(format!("it has the address and the usage of line {before}"));
            continue;
        }
        match &order.source {
            Source::New(algorithm) => {
                let sample = match samples.entry(algorithm.name()) {
                    Entry::Occupied(known) => known.into_mut(),
                    Entry::Vacant(place) => {
                        let sample = PrivateKey::generate(*algorithm, &mut context.random());
                        place.insert(sample.map_err(|error| failed(error.into()))?)
                    }
                };
                if let Err(error) = store.authority().check(&order.profile, sample.public_key(), context.now) {
                    refuse(error.to_string());
                }
            }
            Source::Request(request) => {
                let known = keys.entry(request.key().key_bits()).or_insert(order);
                if known.profile.addresses != order.profile.addresses {
                    refuse(format!("its key is that of line {}, which is another address", known.line));
                } else {
                    requests.push((order, request));
                }
            }
        }
    }
    let asked: Vec<_> = requests.iter().map(|(order, request)| (&order.profile, *request)).collect();
    for (place, error) in store.check_requests(&asked, context.now).map_err(failed)? {
        let line = requests.get(place).map_or(0, |(order, _)| order.line);
        wrong.push(Wrong { line, why: error.to_string() });
    }
    Ok(wrong)
}
