//! Name constraints and path building against BetterTLS (Netflix).

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;

use sealpost::limits::Limits;
use sealpost::mime::transfer;
use sealpost::pki::{self, Certificate, ChainStatus, Judgement, Purpose, Revocation, TrustAnchors};
use sealpost::time::Timestamp;

use crate::support;

#[test]
fn bettertls_paths_are_judged_as_stated() {
    let Some(folder) = support::vectors("bettertls") else { return };
    let read =
        |file: &str| -> Value { serde_json::from_slice(&fs::read(folder.join(file)).expect("the file is there")).expect("JSON") };
    let (index, suite) = (read("index.json"), read("bettertls.json"));
    let peers: BTreeMap<&str, &Value> =
        index["entries"].as_array().expect("entries").iter().map(|entry| (entry["id"].as_str().expect("an id"), entry)).collect();
    let anchors = TrustAnchors::from_iter([certificate(&suite["trustRoot"])]);
    let (mut good, mut reasons, mut wrong) = (0, BTreeMap::<&str, usize>::new(), Vec::new());
    for (name, cases) in suite["suites"].as_object().expect("suites") {
        for case in cases["testCases"].as_array().expect("cases") {
            let id = format!("{name}/{}", case["id"]);
            if let Some(why) = left_out(case, peers[id.as_str()]) {
                *reasons.entry(why).or_default() += 1;
                continue;
            }
            let (is_trusted, found) = judge(case, &anchors);
            if is_trusted == (case["expected"] == "ACCEPT") {
                good += 1;
            } else {
                wrong.push(format!("{id}: {} – {found}", case["expected"]));
            }
        }
    }
    eprintln!("BetterTLS: {good} as stated; left out: {reasons:#?}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(good >= 230, "{good} as stated, at least 230 before");
}

fn left_out(case: &Value, peer: &Value) -> Option<&'static str> {
    let is_mismatch = peer["peer_openssl"]["msg"].as_str().is_some_and(|text| text.ends_with("mismatch"));
    if is_mismatch {
        return Some("refused for the name of the TLS server, which is the TLS library's to compare");
    }
    let leaf = certificate(&case["certificates"][0]);
    if leaf.subject().common_name() == case["hostname"].as_str() && leaf.dns_names().is_empty() && case["expected"] == "REJECT" {
        return Some("a common name is no DNS name here, so no constraint on those binds it");
    }
    (case["failureIsWarning"] == true).then_some("either answer is right")
}

fn judge(case: &Value, anchors: &TrustAnchors) -> (bool, String) {
    let mut certificates = case["certificates"].as_array().expect("certificates").iter().map(certificate);
    let verdict = pki::judge(&Judgement {
        leaf: &certificates.next().expect("the leaf comes first"),
        pool: &certificates.collect::<Vec<_>>(),
        anchors,
        crls: &[],
        ocsp: &[],
        purpose: Purpose::TlsServer,
        at: Timestamp::from_unix(case["validate_at"].as_i64().expect("a moment")),
        revocation: Revocation::Off,
        limits: &Limits::default(),
    });
    let reasons: Vec<String> = verdict.reasons.iter().map(|reason| reason.text.clone()).collect();
    (verdict.status == ChainStatus::Trusted, format!("{} – {reasons:?}", verdict.status.name()))
}

fn certificate(base64: &Value) -> Certificate {
    let der = transfer::decode_base64(base64.as_str().expect("base64").as_bytes());
    Certificate::from_der(&der).expect("a certificate")
}
