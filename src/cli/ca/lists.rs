//! `sealpost ca crl`.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use sealpost::asn1::pem;
use sealpost::ca::publish::Published;
use sealpost::ca::store::{ListKind, Store};
use sealpost::ca::{Issuer, responder};
use sealpost::pki::Crl;

use crate::cli::ca::{failed, open_store_and_root};
use crate::cli::context::Context;
use crate::cli::failure::{Exit, Failure};
use crate::cli::output::Output;

/// Which lists are signed, and where they go.
#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  sealpost ca crl -o lists.pem
  sealpost ca crl --with-deltas -o lists.pem && sealpost ca crl --delta -o deltas.pem
  sealpost ca crl --root-key /media/stick/root.key -o lists.pem")]
pub(super) struct CrlArgs {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    output: Output,
}

/// Which lists are signed.
#[derive(Debug, Default, Args)]
pub(super) struct Which {
    /// Only what changed since the last complete lists (of the issuing CAs)
    #[arg(long, conflicts_with_all = ["with_deltas", "plain", "root_key"])]
    delta: bool,
    /// From now on, let complete lists say where delta lists are
    #[arg(long, conflicts_with = "plain")]
    with_deltas: bool,
    /// Without the critical issuing distribution point, for NSS, which imports no list that has one
    #[arg(long)]
    plain: bool,
    /// The key of a root that is kept offline: a file, or the PKCS#11 URI of one on a token
    #[arg(long, value_name = "FILE")]
    root_key: Option<PathBuf>,
}

impl Which {
    /// Complete lists, the root's with this key.
    pub(super) fn complete(root_key: Option<PathBuf>) -> Self {
        Self { root_key, ..Self::default() }
    }
}

/// Days until the next list of the mail CA and the server CA: a week, as most CAs.
const LIST_DAYS: i64 = 7;
/// Days until the next delta list: what was revoked is told within a day.
const DELTA_DAYS: i64 = 1;
/// Days until the next list of the root, whose key is seldom used: CA/B Forum S/MIME BR 4.9.7 allows twelve months.
const ROOT_LIST_DAYS: i64 = 365;

/// The CAs whose lists are signed each time.
const LISTED: [Issuer; 2] = [Issuer::Mail, Issuer::Servers];

/// What was signed.
pub(super) struct Signed {
    lists: Vec<(String, Crl)>,
    pub(super) published: Published,
}

pub(super) fn crl(context: &Context, args: &CrlArgs) -> Result<Exit, Failure> {
    args.output.check()?;
    let Signed { lists, .. } = sign(context, &args.which)?;
    let text: String = lists.iter().map(|(_, list)| pem::encode("X509 CRL", list.der())).collect();
    if !context.json || !args.output.is_stdout() {
        args.output.write(text.as_bytes())?;
    }
    if context.json {
        let told = |(name, list): &(String, Crl)| {
            json!({
                "issuer": list.issuer().to_string(),
                "name": name,
                "entries": list.len(),
                "delta": list.is_delta(),
                "this_update": list.this_update().to_string(),
                "next_update": list.next_update().map(|next| next.to_string()),
            })
        };
        let told: Vec<_> = lists.iter().map(told).collect();
        context.print_json(&json!({ "schema": "sealpost.ca.crl/1", "lists": told }))?;
    }
    Ok(Exit::Good)
}

/// Signs lists, and publishes them with all that is served beside them; with complete lists that name delta lists, those, too.
pub(super) fn sign(context: &Context, which: &Which) -> Result<Signed, Failure> {
    let (store, passphrase) = open_store_and_root(context, which.root_key.as_deref())?;
    let (kind, days) = match (which.delta, which.with_deltas, which.plain) {
        (true, _, _) => (ListKind::Delta, DELTA_DAYS),
        (_, true, _) => (ListKind::CompleteWithDeltas, LIST_DAYS),
        (_, _, true) => (ListKind::Plain, LIST_DAYS),
        _ => (ListKind::Complete, LIST_DAYS),
    };
    let mut lists = of_issuing(context, &store, (kind, days))?;
    // lists without a distribution point are of another scope
    let beside = if kind == ListKind::Delta || kind == ListKind::Plain { Vec::new() } else { deltas(context, &store)? };
    if !which.delta && (which.root_key.is_some() || !store.is_root_offline()) {
        let root = (which.root_key.as_deref(), passphrase.as_ref());
        let dates = (context.now, context.now.plus_days(ROOT_LIST_DAYS));
        let list = store.root_list(root, dates, &mut context.random()).map_err(failed)?;
        lists.push((Issuer::Root.name().to_owned(), list));
    } else if !which.delta {
        eprintln!("note: the root is offline, its list stays as it is; --root-key FILE signs it anew");
    }
    let published = lay_out(context, &store, &[lists.as_slice(), &beside].concat())?;
    Ok(Signed { lists, published })
}

/// Publishes what changed with certificates of the issuing CAs; that of the root stays as it is.
pub(super) fn publish_changes(context: &Context, store: &Store) -> Result<Published, Failure> {
    let mut lists = of_issuing(context, store, (ListKind::Between, LIST_DAYS))?;
    lists.extend(deltas(context, store)?);
    keep(context, &lists)?;
    let states = responder::Folder::new(&context.open_home()?.ca_folder());
    store.publish_changes(&lists, &states, context.now, &mut context.random()).map_err(failed)
}

/// The delta lists, where complete lists say that there are some.
fn deltas(context: &Context, store: &Store) -> Result<Vec<(String, Crl)>, Failure> {
    let mut lists = Vec::new();
    for by in LISTED {
        if store.announces_deltas(by).map_err(failed)? {
            lists.push(of(context, store, by, (ListKind::Delta, DELTA_DAYS))?);
        }
    }
    Ok(lists)
}

/// The lists of the issuing CAs, by the names of their files.
fn of_issuing(context: &Context, store: &Store, (kind, days): (ListKind, i64)) -> Result<Vec<(String, Crl)>, Failure> {
    LISTED.into_iter().map(|by| of(context, store, by, (kind, days))).collect()
}

fn of(context: &Context, store: &Store, by: Issuer, (kind, days): (ListKind, i64)) -> Result<(String, Crl), Failure> {
    let suffix = if kind == ListKind::Delta { "-delta" } else { "" };
    let dates = (context.now, context.now.plus_days(days));
    let list = store.list(by, kind, dates, &mut context.random()).map_err(failed)?;
    Ok((format!("{}{suffix}", by.name()), list))
}

fn lay_out(context: &Context, store: &Store, lists: &[(String, Crl)]) -> Result<Published, Failure> {
    keep(context, lists)?;
    let states = responder::Folder::new(&context.open_home()?.ca_folder());
    store.publish(lists, &states, context.now, &mut context.random()).map_err(failed)
}

/// Keeps lists where this home looks when it judges certificates.
fn keep(context: &Context, lists: &[(String, Crl)]) -> Result<(), Failure> {
    let home = context.open_home()?;
    lists.iter().try_for_each(|(name, list)| home.write_crl(name, list.der()).map_err(Failure::io))
}
