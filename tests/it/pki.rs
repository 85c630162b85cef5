//! Path validation against the suites of others.
//!
//! Here PKITS (NIST), with Revocation::Hard: a certificate is good only where a list says so.

mod bettertls;
mod boringssl;
mod limbo;
mod openssl;
mod places;
mod policies;

use std::fs;

use serde_json::Value;

use sealpost::limits::Limits;
use sealpost::pki::{self, Certificate, ChainStatus, Crl, Judgement, Purpose, Revocation, TrustAnchors};
use sealpost::time::Timestamp;

use crate::support;

/// Chapters that this version does not do, each with its reason.
fn left_out(id: &str) -> Option<&'static str> {
    let chapter = id.split('.').nth(1).unwrap_or_default();
    match chapter {
        "14" => Some("distribution points and indirect lists"),
        "15" => Some("delta lists"),
        _ => None,
    }
}

/// Tests where a stricter or simpler answer is meant.
fn excused(id: &str) -> Option<&'static str> {
    match id {
        "4.1.4" | "4.1.5" => Some("DSA is not done"),
        _ => None,
    }
}

#[test]
fn pkits_paths_are_judged_as_the_standard_says() {
    let Some(folder) = support::vectors("pkits") else { return };
    let index: Value = serde_json::from_slice(&fs::read(folder.join("tests.json")).expect("the tests")).expect("JSON");
    let at = Timestamp::from_unix(index["validate_at"].as_i64().unwrap_or(1_302_825_600));
    let limits = Limits::default();
    let certificate = |file: &Value| -> Option<Certificate> {
        let bytes = fs::read(folder.join(file.as_str()?)).ok()?;
        pki::load::certificates(&bytes).ok()?.into_iter().next()
    };
    let (mut good, mut outside, mut wrong) = (0, 0, Vec::new());
    for test in index["tests"].as_array().expect("tests") {
        let id = test["id"].as_str().expect("an id");
        if left_out(id).is_some() || excused(id).is_some() {
            outside += 1;
            continue;
        }
        let expected = test["should_validate"].as_bool().expect("an outcome");
        let Some(leaf) = certificate(&test["target"]) else {
            if expected {
                wrong.push(format!("{id}: the certificate cannot be read"));
            } else {
                good += 1;
            }
            continue;
        };
        let pool: Vec<Certificate> = test["certs"].as_array().expect("certificates").iter().filter_map(certificate).collect();
        let crls: Vec<Crl> = test["crls"]
            .as_array()
            .expect("lists")
            .iter()
            .filter_map(|file| Crl::from_der(&fs::read(folder.join(file.as_str()?)).ok()?).ok())
            .collect();
        let question = Judgement {
            leaf: &leaf,
            pool: &pool,
            anchors: &TrustAnchors::from_iter(certificate(&test["trust_anchor"])),
            crls: &crls,
            purpose: Purpose::Any,
            at,
            revocation: Revocation::Hard,
            limits: &limits,
        };
        let verdict = pki::judge_under(&question, &policies::inputs(test, &index["policy_oids"]));
        let reasons: Vec<&str> = verdict.reasons.iter().map(|reason| reason.text.as_str()).collect();
        if (verdict.status == ChainStatus::Trusted) != expected {
            wrong.push(format!("{id} {}: {} – {reasons:?}", test["title"], verdict.status.name()));
        } else if let Some(found) = policies::other_than_stated(test, &verdict, &index["policy_oids"]) {
            wrong.push(format!("{id} {}: policies {found} – {reasons:?}", test["title"]));
        } else {
            good += 1;
        }
    }
    eprintln!("PKITS: {good} as stated, {outside} outside of this version, {} otherwise", wrong.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
