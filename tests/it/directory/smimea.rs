//! SMIMEA records in the DNS: what DNSSEC proves is used, and nothing else is.

use std::time::{Duration, Instant};

use sealpost::crypto::algorithm::DigestAlgorithm;
use sealpost::crypto::digest;
use sealpost::keys::directory::{Address, smimea};
use sealpost::pki::Certificate;

use super::slapd::{Has, Slapd, der};
use super::zones::{Domain, Zones};
use super::{Bench, certs, each};
use crate::support;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn name(address: &str) -> String {
    smimea::owner_name(&Address::parse(address).expect("an address"))
}

/// A record of an address: usage, selector, matching type.
fn record(address: &str, numbers: [u8; 3], who: &str) -> String {
    let certificate = Certificate::from_der(&der(who)).expect("a certificate");
    let bytes = if numbers[1] == 0 { certificate.der() } else { certificate.spki() };
    let data = match numbers[2] {
        0 => bytes.to_vec(),
        1 => digest::of(DigestAlgorithm::Sha256, bytes),
        _ => digest::of(DigestAlgorithm::Sha512, bytes),
    };
    format!("{} SMIMEA {} {} {} {}\n", name(address), numbers[0], numbers[1], numbers[2], hex(&data))
}

/// What `contact find --dns` says with this name server.
fn find(bench: &Bench, zones: &Zones, address: &str, more: &[&str]) -> (i32, serde_json::Value, String) {
    let (server, anchor) = (zones.server(), zones.anchor());
    let all = [&["--dns", "--dns-server", &server, "--dns-anchor", &anchor], more].concat();
    // a name server among many busy programs may be late; that is not what is tried here
    let late = |said: &(i32, serde_json::Value, String)| said.1.to_string().contains("request timed out");
    (0..3).map(|_| bench.find(address, &all)).find(|said| !late(said)).unwrap_or_else(|| bench.find(address, &all))
}

fn source(found: &serde_json::Value) -> (&str, &str) {
    let source = &found["sources"][0];
    (source["dnssec"].as_str().unwrap_or_default(), source["error"].as_str().unwrap_or_default())
}

#[test]
fn names_are_those_that_others_compute() {
    if !support::peer("python3") {
        return;
    }
    let script = "import hashlib, sys, unicodedata\n\
        for line in sys.stdin.buffer.read().decode().splitlines():\n    \
        local, domain = line.rsplit('@', 1)\n    \
        local = unicodedata.normalize('NFC', local)\n    \
        print(hashlib.sha256(local.encode()).hexdigest()[:56] + '._smimecert.' + domain.encode('idna').decode().lower() + '.')\n";
    let addresses = [
        "hugh@example.com",
        "Jane.Doe+x@a.example",
        "j\u{fc}rgen@b\u{fc}cher.example",
        "cafe\u{301}@a.example",
        "\u{4f8b}@a.example",
    ];
    let (code, out, talk) = support::run("python3", &["-c", script], addresses.join("\n").as_bytes());
    assert_eq!(code, 0, "{talk}");
    let ours: Vec<String> = addresses.iter().map(|address| name(address)).collect();
    assert_eq!(String::from_utf8(out).expect("text").lines().collect::<Vec<_>>(), ours);
}

#[test]
fn what_dnssec_proves_is_found() {
    let records = [
        record("alice@example.com", [3, 0, 0], "alice"),
        record("expired@example.com", [3, 0, 0], "expired"),
        record("liar@example.com", [3, 0, 0], "mallory"),
        format!("{} SMIMEA 3 0 1 00\n{}", name("odd@example.com"), record("odd@example.com", [7, 0, 0], "alice")),
        format!("{} CNAME {}\n", name("Alice@example.com"), name("alice@example.com")),
    ];
    let Some(zones) = Zones::start(&Domain::of(records.concat()), "") else { return };
    assert!(zones.ldns_agrees());
    // a home that trusts nobody: the domain's word is enough to encrypt to the address, and for no more
    let bench = Bench::new();
    let (code, found, talk) = find(&bench, &zones, "alice@example.com", &[]);
    assert_eq!((code, source(&found).0), (0, "secure"), "{talk} {found}");
    assert_eq!(each(&found, "standing"), ["dane-ee (DNSSEC secure)"]);
    assert_eq!(each(&found, "dns"), ["dane-ee (DNSSEC secure)"]);
    assert_eq!(found["certificates"][0]["chain"]["status"], "untrusted");
    assert!(bench.contacts().is_empty());
    let (code, found, _) = find(&bench, &zones, "alice@example.com", &["--add"]);
    assert_eq!((code, each(&found, "added")), (0, vec!["true".to_owned()]));
    assert_eq!(bench.contacts(), ["alice@example.com"]);
    let (_, trust, _) = bench.run(&["--json", "trust", "list"]);
    assert!(trust.contains("\"certificates\":[]"), "nobody becomes an anchor: {trust}");
    // nor does it vouch for what its owner signs
    let (letter, signed) = (bench.path("letter"), bench.path("signed"));
    std::fs::write(&letter, "From: alice@example.com\r\nTo: bob@example.org\r\n\r\nHi.\r\n").expect("written");
    let (cert, key) = (certs("alice.pem"), certs("alice.key"));
    assert_eq!(bench.run(&["sign", "--cert", &cert, "--key", &key, &letter, "-o", &signed]).0, 0);
    assert_eq!(bench.run(&["verify", &signed]).0, 3);
    // to a home that trusts its root, the chain says more
    let (_, found, _) = find(&Bench::trusting(), &zones, "alice@example.com", &[]);
    assert_eq!((each(&found, "standing"), each(&found, "dns")), (vec!["trusted".into()], vec!["dane-ee (DNSSEC secure)".into()]));
    // an alias is followed
    assert_eq!(find(&bench, &zones, "Alice@example.com", &[]).0, 0);
    // what the domain vouches for must be good in itself
    let (code, found, _) = find(&bench, &zones, "expired@example.com", &[]);
    assert_eq!((code, source(&found).0), (3, "secure"), "{found}");
    let (code, found, _) = find(&bench, &zones, "liar@example.com", &[]);
    assert_eq!((code, &found["left_out"]["of_others"]), (7, &1.into()));
    let (code, found, _) = find(&bench, &zones, "odd@example.com", &[]);
    assert_eq!((code, found["sources"][0]["notes"].as_array().expect("a list").len()), (7, 2), "{found}");
}

#[test]
fn a_domain_may_name_its_authority_for_all_its_addresses() {
    let root = hex(&der("root"));
    for options in [&[][..], &["-n", "-t", "0", "-s", "ab"]] {
        let records = format!("*._smimecert SMIMEA 2 0 0 {root}\n{}", record("bob@example.com", [3, 0, 0], "bob"));
        let Some(zones) = Zones::start(&Domain { options, ..Domain::of(records) }, "") else { return };
        let bench = Bench::new();
        assert_eq!(bench.run(&["contact", "add", &certs("alice.pem")]).0, 0);
        let (code, found, talk) = find(&bench, &zones, "alice@example.com", &[]);
        assert_eq!(
            (code, each(&found, "standing")),
            (0, vec!["dane-ta (DNSSEC secure)".to_owned()]),
            "{options:?}: {talk} {found}"
        );
        // who has a record of his own does not get the wildcard's
        let own = name("bob@example.com");
        let hidden = |line: String| if line.starts_with(&own) { String::new() } else { line };
        let records = format!("*._smimecert SMIMEA 2 0 0 {root}\n{}", record("bob@example.com", [3, 0, 0], "bob"));
        let Some(zones) = Zones::start(&Domain { records, options, change: &hidden }, "") else { return };
        let (code, found, talk) = find(&bench, &zones, "bob@example.com", &[]);
        // under NSEC3, NSD itself notices that something is gone
        let is_refused = (code, source(&found).0) == (8, "bogus") || (code == 9 && !options.is_empty());
        assert!(is_refused && each(&found, "standing").is_empty(), "{options:?}: {talk} {found}");
    }
}

#[test]
fn what_is_proven_not_to_be_there_is_told_so() {
    for options in [&[][..], &["-n", "-t", "0", "-s", "ab"]] {
        let records = record("alice@example.com", [3, 0, 0], "alice");
        let Some(zones) = Zones::start(&Domain { options, ..Domain::of(records) }, "") else { return };
        let bench = Bench::new();
        let (code, found, talk) = find(&bench, &zones, "nobody@example.com", &[]);
        assert_eq!((code, source(&found)), (7, ("absent", "")), "{options:?}: {talk} {found}");
        assert_eq!(find(&bench, &zones, "alice@example.com", &[]).0, 0, "{options:?}");
        let all = [
            &["contact", "find", "Nobody@example.com", "--dns", "--dns-server"][..],
            &[&zones.server(), "--dns-anchor", &zones.anchor()],
        ];
        let (code, _, talk) = bench.run(&all.concat());
        assert!(code == 7 && talk.contains("no SMIMEA record (proven by DNSSEC)") && talk.contains("lower case"), "{talk}");
    }
}

#[test]
fn what_is_not_proven_is_not_used() {
    let records = || record("alice@example.com", [3, 0, 0], "alice");
    let unsigned = record("carol@example.org", [3, 0, 0], "carol");
    // one letter of the signature over the record
    let forged = |line: String| {
        if !line.contains("RRSIG\tSMIMEA") {
            return line;
        }
        let at = line.len() - 20;
        let other = if &line[at..=at] == "A" { "B" } else { "A" };
        format!("{}{other}{}", &line[..at], &line[at + 1..])
    };
    // another certificate under the same signature
    let (alice, stranger) = (hex(&der("alice")), hex(&der("stranger")));
    let replaced = |line: String| line.replace(&alice, &stranger);
    let stripped = |line: String| if line.contains("RRSIG\tSMIMEA") { String::new() } else { line };
    let hidden = |line: String| if line.contains("\tSMIMEA") && !line.contains("NSEC") { String::new() } else { line };
    let asis = |line: String| line;
    let old = ["-i", "20200101000000", "-e", "20200201000000"];
    let (changes, no): (_, &[&str]) = ([&forged as &dyn Fn(String) -> String, &replaced, &stripped, &hidden], &[]);
    let all = changes.into_iter().zip([no; 4]).chain([(&asis as &dyn Fn(String) -> String, &old[..])]);
    let reasons = [
        "its signatures do not fit",
        "its signatures do not fit",
        "the answer is not",
        "not proven",
        "its signatures ended on 2020-02-01",
    ];
    for ((change, options), reason) in all.zip(reasons) {
        let Some(zones) = Zones::start(&Domain { records: records(), options, change }, &unsigned) else { return };
        // a record that is gone with its signature does not disturb ldns
        assert!(!zones.ldns_agrees() || reason == "not proven", "{reason}");
        let bench = Bench::trusting();
        let (code, found, talk) = find(&bench, &zones, "alice@example.com", &["--add"]);
        let (dnssec, why) = source(&found);
        assert!(code == 8 && dnssec == "bogus" && why.contains(reason), "{reason}: {code} {dnssec} {why} {talk}");
        assert!(found["certificates"].as_array().expect("a list").is_empty() && bench.contacts().is_empty());
    }
    // a domain that nobody signs
    let Some(zones) = Zones::start(&Domain::of(records()), &unsigned) else { return };
    for address in ["carol@example.org", "nobody@example.org"] {
        let (code, found, talk) = find(&Bench::trusting(), &zones, address, &["--add"]);
        let (dnssec, why) = source(&found);
        assert!(code == 8 && dnssec == "insecure" && why.contains("is not signed with DNSSEC"), "{code} {dnssec} {why} {talk}");
        assert!(found["certificates"].as_array().expect("a list").is_empty());
    }
    // without our root, the real one's keys do not fit this one
    let (code, found, _) = Bench::new().find("alice@example.com", &["--dns", "--dns-server", &zones.server()]);
    assert_eq!((code, source(&found).0), (8, "bogus"), "{found}");
}

#[test]
fn records_of_hashes_confirm_and_contradict_what_a_directory_has() {
    let Some(slapd) = Slapd::start(Has::NoTls) else { return };
    let alice = "alice@example.com";
    // alice@example.com is in the directory twice: her own certificate and a stranger's
    for (records, standing, dns, code) in [
        (
            record(alice, [3, 1, 1], "alice"),
            ["trusted", "contradicted by the domain's SMIMEA records"],
            "dane-ee (DNSSEC secure)",
            0,
        ),
        (
            record(alice, [1, 0, 2], "alice"),
            ["trusted", "contradicted by the domain's SMIMEA records"],
            "pkix-ee (DNSSEC secure)",
            0,
        ),
        (
            record(alice, [0, 0, 1], "issuing"),
            ["trusted", "contradicted by the domain's SMIMEA records"],
            "pkix-ta (DNSSEC secure)",
            0,
        ),
        (
            record(alice, [2, 0, 0], "root"),
            ["trusted", "contradicted by the domain's SMIMEA records"],
            "dane-ta (DNSSEC secure)",
            0,
        ),
        // the domain says that it is the stranger's
        (
            record(alice, [3, 1, 2], "stranger"),
            ["dane-ee (DNSSEC secure)", "contradicted by the domain's SMIMEA records"],
            "dane-ee (DNSSEC secure)",
            0,
        ),
        // it says so, but only as far as somebody trusted says so, too
        (record(alice, [1, 1, 1], "stranger"), ["untrusted", "contradicted by the domain's SMIMEA records"], "null", 3),
        (record(alice, [3, 1, 1], "bob"), ["contradicted by the domain's SMIMEA records"; 2], "contradicted (DNSSEC secure)", 8),
    ] {
        let Some(zones) = Zones::start(&Domain::of(records.clone()), "") else { return };
        let (url, bench) = (slapd.url(), Bench::trusting());
        let (is, found, talk) = find(&bench, &zones, alice, &["--ldap", &url, "--ldap-tls", "none", "--add"]);
        let mut standings = each(&found, "standing");
        standings.sort_by_key(|standing| standing.starts_with("contradicted"));
        assert_eq!((is, standings), (code, standing.map(str::to_owned).to_vec()), "{records}: {talk}");
        assert!(each(&found, "dns").contains(&dns.to_owned()), "{records}: {found}");
        assert_eq!(bench.contacts().len(), usize::from(code == 0), "{records}");
    }
    // what is among the contacts is confirmed, too
    let Some(zones) = Zones::start(&Domain::of(record(alice, [3, 0, 1], "alice")), "") else { return };
    let bench = Bench::new();
    assert_eq!(find(&bench, &zones, alice, &[]).0, 7, "a hash is no certificate");
    assert_eq!(bench.run(&["contact", "add", &certs("alice.pem")]).0, 0);
    let (code, found, _) = find(&bench, &zones, alice, &[]);
    assert_eq!(
        (code, each(&found, "found_in"), each(&found, "standing")),
        (0, vec!["[\"contact\"]".into()], vec!["dane-ee (DNSSEC secure)".into()])
    );
}

#[test]
fn a_resolver_that_does_not_answer_is_left_in_time() {
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").expect("a port");
    let server = silent.local_addr().expect("an address").to_string();
    let begin = Instant::now();
    let (code, found, _) = Bench::new().find("alice@example.com", &["--dns", "--dns-server", &server, "--timeout", "1"]);
    // the program's own time for it is 20 seconds
    assert!(code == 9 && begin.elapsed() < Duration::from_secs(15), "{code} {:?}", begin.elapsed());
    assert!(!source(&found).1.is_empty(), "{found}");
    let (code, _, talk) = Bench::new().run(&["contact", "find", "a@b.example", "--dns", "--dns-server", "nowhere"]);
    assert!(code == 2 && talk.contains("is not IP or IP:PORT"), "{code} {talk}");
}
