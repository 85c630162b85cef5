//! What testssl.sh finds in the TLS of the server: nothing above LOW.
//!
//! One port is scanned here. All five, with every section of testssl.sh, take five minutes (`docs/clients.md` has what was seen):
//!
//! ```sh
//! SEALPOST_DRILL=long cargo test --test it testssl -- --nocapture
//! ```

use std::collections::BTreeMap;
use std::fs;

use super::Served;
use crate::support;

/// The services with TLS, and the protocol in which TLS is asked for.
const SERVICES: [(&str, Option<&str>); 5] =
    [("submissions", None), ("smtp", Some("smtp")), ("submission", Some("smtp")), ("pop3", Some("pop3")), ("pop3s", None)];

/// Protocols, groups of ciphers, forward secrecy, the server's preferences, vulnerabilities; without trying each cipher alone.
const QUICK: [&str; 6] = ["-p", "-s", "-f", "-P", "-U", "--fast"];

/// What every scan must have looked at, so that one that saw nothing does not pass.
const SEEN: [&str; 9] =
    ["SSLv3", "TLS1_1", "TLS1_2", "TLS1_3", "cipher_order", "heartbleed", "ROBOT", "secure_client_renego", "LUCKY13"];

/// What a whole scan has looked at besides: the certificate, and what clients would agree on (which ones, depends on the protocol).
const SEEN_WHOLE: [&str; 3] = ["cert_trust", "cert_chain_of_trust", "clientsimulation-openssl_303"];

#[test]
fn testssl_finds_nothing_above_low() {
    if !support::peer("testssl") {
        return;
    }
    let served = Served::new();
    if !super::drills::is_long() {
        return scan(&served, ("submissions", None), &QUICK);
    }
    SERVICES.into_iter().for_each(|service| scan(&served, service, &[]));
}

fn scan(served: &Served, (service, starttls): (&str, Option<&str>), sections: &[&str]) {
    let (root, report) = (served.path("root.pem"), served.path(&format!("{service}.json")));
    let address = format!("localhost:{}", served.port(service));
    // a private authority is trusted here as its users trust it; nothing asks DNS
    let mut args = vec!["--quiet", "--color", "0", "--warnings", "batch", "--nodns", "none", "--ip", "127.0.0.1"];
    args.extend(["--add-ca", &root, "--jsonfile", &report]);
    args.extend(starttls.into_iter().flat_map(|protocol| ["-t", protocol]));
    let (_, out, talk) = support::run("testssl", &[&args[..], sections, &[address.as_str()]].concat(), b"");
    let talk = format!("{service}: {}{talk}", String::from_utf8_lossy(&out));
    let found: Vec<BTreeMap<String, String>> =
        fs::read(&report).ok().and_then(|json| serde_json::from_slice(&json).ok()).unwrap_or_else(|| panic!("{talk}"));
    let is = |finding: &BTreeMap<String, String>, severities: &[&str]| severities.contains(&finding["severity"].as_str());
    // WARN and DEBUG are about the scan: what the OpenSSL of the host cannot, what is no HTTP
    let bad: Vec<_> = found.iter().filter(|finding| !is(finding, &["OK", "INFO", "LOW", "WARN", "DEBUG"])).collect();
    assert!(bad.is_empty(), "{bad:#?}\n{talk}");
    // OCSP stapling is no matter of safety here: who wants to know asks the responder that the certificate names
    let low: Vec<_> = found.iter().filter(|finding| is(finding, &["LOW"]) && finding["id"] != "OCSP_stapling").collect();
    assert!(low.is_empty(), "{low:#?}\n{talk}");
    // it stands at the end: the scan was not broken off
    assert!(found.last().is_some_and(|finding| finding["id"] == "scanTime"), "{talk}");
    for id in SEEN.iter().chain(SEEN_WHOLE.iter().filter(|_| sections.is_empty())) {
        assert!(found.iter().any(|finding| finding["id"] == **id && is(finding, &["OK", "INFO"])), "{id} was not tried\n{talk}");
    }
    let count = |severity| found.iter().filter(|finding| is(finding, &[severity])).count();
    eprintln!(
        "{service}: {} OK, {} INFO, {} WARN, {} LOW, nothing above",
        count("OK"),
        count("INFO"),
        count("WARN"),
        count("LOW")
    );
}
