//! Path validation against x509-limbo (C2SP).

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;

use sealpost::limits::Limits;
use sealpost::pki::{self, Certificate, ChainStatus, Crl, Judgement, Purpose, Revocation, TrustAnchors};
use sealpost::time::Timestamp;

use crate::support;

/// Cases that ask for what this library does not do, each with its reason; the first line that fits counts.
const LEFT_OUT: &[(&str, &str)] = &[
    ("webpki::san::", "whether a certificate fits the name of a TLS server is the TLS library's to say"),
    ("webpki::cn::", "whether a certificate fits the name of a TLS server is the TLS library's to say"),
    ("rfc5280::san::underscore-dns", "whether a certificate fits the name of a TLS server is the TLS library's to say"),
    ("rfc5280::san::ip-in-dns", "whether a certificate fits the name of a TLS server is the TLS library's to say"),
    ("rfc5280::ca-as-leaf-wrong-san", "whether a certificate fits the name of a TLS server is the TLS library's to say"),
    ("webpki::aki::", "the profile of the CA/Browser Forum"),
    ("webpki::eku::", "the profile of the CA/Browser Forum"),
    ("webpki::forbidden-", "the profile of the CA/Browser Forum"),
    ("webpki::v1-cert", "the profile of the CA/Browser Forum"),
    ("webpki::ee-basicconstraints-ca", "the profile of the CA/Browser Forum"),
    ("webpki::ca-as-leaf", "the profile of the CA/Browser Forum"),
];

/// Cases that are judged otherwise here on purpose.
const OTHERWISE: &[(&str, &str)] = &[
    ("crl::crlnumber-missing", "a list without number is read; only its dates count"),
    ("crl::crlnumber-critical", "what a critical CRL number means is known"),
    ("pathlen::max-chain-depth-1-self-issued", "every certificate counts for the bound on the length of a path"),
    ("rfc5280::aki::critical-aki", ISSUER),
    ("rfc5280::aki::leaf-missing-aki", ISSUER),
    ("rfc5280::aki::intermediate-missing-aki", ISSUER),
    ("rfc5280::aki::cross-signed-root-missing-aki", ISSUER),
    ("rfc5280::ski::critical-ski", ISSUER),
    ("rfc5280::ski::root-missing-ski", ISSUER),
    ("rfc5280::ski::intermediate-missing-ski", ISSUER),
    ("rfc5280::nc::permitted-dns-match-noncritical", ISSUER),
    ("rfc5280::pc::ica-noncritical-pc", ISSUER),
    ("rfc5280::nc::not-allowed-in-ee-noncritical", ISSUER),
    ("rfc5280::nc::not-allowed-in-ee-critical", ISSUER),
    ("rfc5280::san::noncritical-with-empty-subject", ISSUER),
    ("rfc5280::serial::", ISSUER),
    ("rfc5280::root-non-critical-basic-constraints", ISSUER),
    ("rfc5280::leaf-ku-keycertsign", ISSUER),
    ("rfc5280::nc::invalid-dnsname-leading-period", "a constraint with a leading period is read as its issuers mean it"),
    ("rfc5280::ee-critical-aia-invalid", "where to ask for more is not read while a path is judged"),
    ("webpki::malformed-aia", "where to ask for more is not read while a path is judged"),
];

/// RFC 5280 section 4 says what issuers write, section 6.1 what validators check; these stand in the former alone.
const ISSUER: &str = "a rule for issuers, not for validators (RFC 5280 6.1)";

#[test]
fn limbo_paths_are_judged_as_stated() {
    let Some(folder) = support::vectors("x509-limbo") else { return };
    let suite: Value = serde_json::from_slice(&fs::read(folder.join("limbo.json")).expect("the cases")).expect("JSON");
    let (mut good, mut reasons, mut wrong) = (0, BTreeMap::<&str, usize>::new(), Vec::new());
    for case in suite["testcases"].as_array().expect("cases") {
        let id = case["id"].as_str().expect("an id");
        let reason = |table: &[(&str, &'static str)]| table.iter().find(|(start, _)| id.starts_with(start)).map(|(_, why)| *why);
        if let Some(why) = reason(LEFT_OUT) {
            *reasons.entry(why).or_default() += 1;
            continue;
        }
        let (is_trusted, found) = judge(case);
        match (is_trusted == (case["expected_result"] == "SUCCESS"), reason(OTHERWISE)) {
            (true, None) => good += 1,
            (false, Some(why)) => *reasons.entry(why).or_default() += 1,
            (true, Some(_)) => wrong.push(format!("{id}: as stated now, and in the table")),
            (false, None) => wrong.push(format!("{id}: {found}")),
        }
    }
    eprintln!("x509-limbo: {good} as stated; not, or left out: {reasons:#?}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(good >= 134, "{good} as stated, at least 134 before");
}

/// Whether the path is trusted, and why not.
fn judge(case: &Value) -> (bool, String) {
    let texts = |list: &Value| -> Vec<String> {
        let list = list.as_array().expect("a list").iter();
        list.map(|pem| pem.as_str().expect("PEM").to_owned()).collect()
    };
    let read = |pem: &String| pki::load::certificates(pem.as_bytes()).map(|found| found.into_iter().next().expect("a block"));
    let all = |list: &Value| texts(list).iter().filter_map(|pem| read(pem).ok()).collect::<Vec<Certificate>>();
    let leaf = match read(&case["peer_certificate"].as_str().expect("PEM").to_owned()) {
        Ok(leaf) => leaf,
        Err(error) => return (false, error.to_string()),
    };
    let crls: Vec<Crl> = texts(&case["crls"]).iter().flat_map(|pem| pki::load::crls(pem.as_bytes()).expect("lists")).collect();
    let mut limits = Limits::default();
    if let Some(depth) = case["max_chain_depth"].as_u64() {
        // the leaf and the anchor do not count there
        limits.path_length = usize::try_from(depth).expect("small") + 2;
    }
    let verdict = pki::judge(&Judgement {
        leaf: &leaf,
        pool: &all(&case["untrusted_intermediates"]),
        anchors: &all(&case["trusted_certs"]).into_iter().collect::<TrustAnchors>(),
        crls: &crls,
        ocsp: &[],
        purpose: if case["validation_kind"] == "SERVER" { Purpose::TlsServer } else { Purpose::Any },
        at: at(case["validation_time"].as_str()),
        revocation: if crls.is_empty() { Revocation::Off } else { Revocation::Hard },
        limits: &limits,
    });
    let reasons: Vec<String> = verdict.reasons.iter().map(|reason| reason.text.clone()).collect();
    (verdict.status == ChainStatus::Trusted, format!("{} – {reasons:?}", verdict.status.name()))
}

/// A moment as the suite writes it, its fraction of a second dropped; where it states none, one in the life of its certificates.
fn at(text: Option<&str>) -> Timestamp {
    let Some(text) = text else { return Timestamp::from_unix(1_704_067_200) };
    let whole = text.get(..19).expect("a date and a time");
    Timestamp::parse_rfc3339(&format!("{whole}Z")).expect("a moment")
}
