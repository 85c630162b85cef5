//! Path validation against the table of OpenSSL's own tests.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::Value;

use sealpost::asn1::Oid;
use sealpost::limits::Limits;
use sealpost::pki::{self, Certificate, ChainStatus, Judgement, PolicyInputs, Purpose, Revocation, TrustAnchors};
use sealpost::time::Timestamp;

use crate::support;

/// Rows that are judged otherwise here on purpose, and how many are as stated.
const OTHERWISE: &[(u64, &str)] = &[
    (8, OCSP),
    (64, PATHS),
    (89, STRICT),
    (94, FORUM),
    (95, FORUM),
    (116, LEVEL),
    (117, LEVEL),
    (119, LEVEL),
    (121, LEVEL),
    (125, LEVEL),
    (127, LEVEL),
    (152, HOST),
    (158, HOST),
    (159, HOST),
    (166, LEVEL),
    (175, BOUND),
    (176, BOUND),
    (177, BOUND),
    (178, OLD),
    (182, STRICT),
    (185, ANCHOR),
];
const AS_STATED: usize = 83;

const OCSP: &str = "RFC 6960 4.2.2.2.1: it should not be critical; it is for the certificates of responders, and this is none";
const PATHS: &str = "RFC 4158: every path is tried, and another one is good";
const STRICT: &str = "rules for issuers, not for validators (RFC 5280 6.1)";
const FORUM: &str = "a rule of the CA/Browser Forum; RFC 3161 2.3 has none on the use of the key";
const LEVEL: &str = "weak keys and signatures are refused in certificates always, strong ones never";
const HOST: &str = "RFC 9525 6.3: a common name is no name of a host, and RFC 5280 4.2.1.10 constrains subjectAltName";
const BOUND: &str = "OpenSSL compares names a million times, we a quarter of that: limits::Limits::name_checks";
const OLD: &str = "RFC 3279 2.3.1: an RSA key MUST have the identifier rsaEncryption";
const ANCHOR: &str = "who trusts a certificate trusts it, whoever signed it: RFC 5280 6.1.1 (d)";

#[test]
fn openssl_paths_are_judged_as_stated() {
    let Some(folder) = support::vectors("openssl-verify") else { return };
    let index: Value = serde_json::from_slice(&fs::read(folder.join("index.json")).expect("the rows")).expect("JSON");
    let (mut good, mut reasons, mut wrong, mut used) = (0, BTreeMap::<&str, usize>::new(), Vec::new(), BTreeSet::new());
    for row in index["entries"].as_array().expect("rows") {
        let id = row["id"].as_u64().expect("an id");
        if let Some(why) = left_out(row) {
            *reasons.entry(why).or_default() += 1;
            continue;
        }
        let otherwise = OTHERWISE.iter().find(|(other, _)| *other == id);
        let (is_trusted, found) = judge(&folder, row);
        match (is_trusted == (row["expected"] == "valid"), otherwise) {
            (true, None) => good += 1,
            (false, Some((_, why))) => {
                used.insert(id);
                *reasons.entry(why).or_default() += 1;
            }
            _ => wrong.push(format!("{id} {}: {found}", row["description"])),
        }
    }
    eprintln!("openssl-verify: {good} as stated; not, or left out: {reasons:#?}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(used.len(), OTHERWISE.len(), "rows of the table that are not there");
    assert_eq!(good, AS_STATED);
}

/// What this library does not do, or OpenSSL alone does.
fn left_out(row: &Value) -> Option<&'static str> {
    match row["purpose"].as_str() {
        _ if row["openssl_specific"] == true => Some("what OpenSSL's own files of trust say"),
        Some("sslclient") => Some("no purpose here: clients of TLS"),
        Some("codesign") => Some("no purpose here: code"),
        _ => None,
    }
}

/// Whether the path is trusted, and why not.
fn judge(folder: &Path, row: &Value) -> (bool, String) {
    let read =
        |file: &Value| pki::load::certificates(&fs::read(folder.join(file.as_str().expect("a file"))).expect("it is there"));
    let all = |list: &Value| -> Vec<Certificate> {
        list.as_array().expect("files").iter().filter_map(|file| read(file).ok()).flatten().collect()
    };
    let leaf = match read(&row["target"]) {
        Ok(found) => found.into_iter().next().expect("a certificate"),
        Err(error) => return (false, error.to_string()),
    };
    let options: Vec<&str> = row["options"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let value = |name: &str| options.iter().skip_while(|option| **option != name).nth(1).copied();
    let option = |name: &str| -> Option<i64> { value(name)?.parse().ok() };
    let mut policies = PolicyInputs::new();
    if let Some(policy) = value("-policy") {
        policies = policies.accept(Oid::from_dotted(policy).expect("an identifier"));
    }
    if options.contains(&"-explicit_policy") {
        policies = policies.require_explicit();
    }
    let mut limits = Limits::default();
    if let Some(depth) = option("-verify_depth") {
        // the leaf and the anchor do not count there
        limits.path_length = usize::try_from(depth).expect("small") + 2;
    }
    let question = Judgement {
        leaf: &leaf,
        pool: &all(&row["untrusted"]),
        anchors: &all(&row["trusted"]).into_iter().collect::<TrustAnchors>(),
        crls: &[],
        ocsp: &[],
        purpose: match row["purpose"].as_str() {
            Some("sslserver") => Purpose::TlsServer,
            Some("timestampsign") => Purpose::TimeStamping,
            None => Purpose::Any,
            other => panic!("{other:?}"),
        },
        // 2026-06-01, as good as the day of the release
        at: Timestamp::from_unix(option("-attime").unwrap_or(1_780_272_000)),
        revocation: Revocation::Off,
        limits: &limits,
    };
    let verdict = pki::judge_under(&question, &policies);
    let reasons: Vec<String> = verdict.reasons.iter().map(|reason| reason.text.clone()).collect();
    (verdict.status == ChainStatus::Trusted, format!("{} – {reasons:?}", verdict.status.name()))
}
