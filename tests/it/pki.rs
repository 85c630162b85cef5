//! Path validation against the suites of others.
//!
//! Here PKITS (NIST), with Revocation::Hard: a certificate is good only where a list says so.

mod bettertls;
mod boringssl;
mod limbo;
mod lists;
mod ocsp;
mod openssl;
mod oracles;
mod places;
mod policies;

use std::fs;

use serde_json::Value;

use sealpost::limits::Limits;
use sealpost::pki::{self, Certificate, ChainStatus, Crl, Judgement, Purpose, Reason, ReasonCode, Revocation, TrustAnchors};
use sealpost::time::Timestamp;

use crate::support;

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
        if excused(id).is_some() {
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
            ocsp: &[],
            purpose: Purpose::Any,
            at,
            revocation: Revocation::Hard,
            limits: &limits,
        };
        let verdict = pki::judge_under(&question, &policies::inputs(test, &index["policy_oids"]));
        let reasons: Vec<&str> = verdict.reasons.iter().map(|reason| reason.text.as_str()).collect();
        // what a list refuses is refused for that, and for nothing else
        let by_lists = !expected && (id.starts_with("4.4.") || id.starts_with("4.14.") || id.starts_with("4.15."));
        let of_lists = |reason: &Reason| matches!(reason.code, ReasonCode::Revoked | ReasonCode::RevocationUnknown);
        let is_as_stated = (verdict.status == ChainStatus::Trusted) == expected;
        if !is_as_stated || (by_lists && !verdict.reasons.iter().all(of_lists)) {
            wrong.push(format!("{id} {}: {} – {reasons:?}", test["title"], verdict.status.name()));
        } else if let Some(found) = policies::other_than_stated(test, &verdict, &index["policy_oids"]) {
            wrong.push(format!("{id} {}: policies {found} – {reasons:?}", test["title"]));
        } else {
            good += 1;
        }
    }
    eprintln!("PKITS: {good} as stated, {outside} outside of this version, {} otherwise", wrong.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(good >= 247, "{good} as stated, 247 before");
}
