//! Certificates that the DNS vouches for (DANE, RFC 7672), in zones that others sign.

use std::net::SocketAddr;

use super::mx::Mx;
use super::zones::{Zone, Zones, liar};
use super::{Authority, Host, until};
use crate::support;

/// What a TLSA record holds of a certificate, as OpenSSL computes it (RFC 6698 2.1).
fn association(der: &[u8], selector: u8, matching: u8) -> String {
    let good = |args: &[&str], input: &[u8]| {
        let (code, out, talk) = support::run("openssl", args, input);
        assert_eq!(code, 0, "{talk}");
        out
    };
    let content = match selector {
        0 => der.to_vec(),
        _ => {
            let key = good(&["x509", "-inform", "DER", "-pubkey", "-noout"], der);
            good(&["pkey", "-pubin", "-outform", "DER"], &key)
        }
    };
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    match matching {
        0 => hex(&content),
        1 => hex(&good(&["dgst", "-sha256", "-binary"], &content)),
        _ => hex(&good(&["dgst", "-sha512", "-binary"], &content)),
    }
}

fn host(resolver: SocketAddr, zones: &Zones, port: u16) -> Host {
    let anchor = zones.anchor();
    Host::new(&format!(
        "[delivery]\nresolver = \"{resolver}\"\nport = {port}\ndnssec_anchor = \"{anchor}\"\ndane = \"auto\"\nmta_sts = \"off\"\n"
    ))
}

fn unsigned(name: &str, records: String) -> Zone<'_> {
    Zone { name, records, signed: None, change: str::to_owned }
}

fn signed(name: &str, records: String) -> Zone<'_> {
    Zone { signed: Some(&[]), ..unsigned(name, records) }
}

/// `LABEL MX mx.LABEL` at an address.
fn at(label: &str, ip: &str) -> String {
    format!("{label} MX 10 mx.{label}\nmx.{label} A {ip}\n")
}

fn tlsa(owner: &str, port: u16, record: &str) -> String {
    format!("_{port}._tcp.{owner} TLSA {record}\n")
}

#[test]
fn mail_goes_to_who_has_the_key_that_the_zone_names_and_to_nobody_else() {
    if !support::peer("openssl") {
        return;
    }
    let (of_ee, of_ta) = (Authority::new("nobody's"), Authority::new("the domain's own"));
    let (ee, ta) = (of_ee.issue(&["any.example"]), of_ta.issue(&["*.ta.example.com"]));
    let ip = |ip: &str| ip.parse().expect("an address");
    let mx = Mx::build().tls(&ee).run_at(ip("127.0.0.2"), 0);
    let port = mx.port();
    let below = Mx::build().tls(&ta).run_at(ip("127.0.0.3"), port);
    let alone = Mx::build().tls(&ta.clone().alone()).run_at(ip("127.0.0.4"), port);
    let plain = Mx::build().run_at(ip("127.0.0.5"), port);
    // a domain, whether it gets its mail, the policy, the result
    let mut wanted: Vec<(String, bool, &str, &str)> = Vec::new();
    let mut zone = String::new();
    let good = |selector, matching| association(&ee.chain[0], selector, matching);
    let authority = |selector, matching| association(&ta.chain[1], selector, matching);
    for selector in [0, 1] {
        for matching in [0, 1, 2] {
            let label = format!("ee{selector}{matching}");
            let record = format!("3 {selector} {matching} {}", good(selector, matching));
            zone += &(at(&label, "127.0.0.2") + &tlsa(&format!("mx.{label}"), port, &record));
            wanted.push((format!("{label}.example.com"), true, "tlsa", "success"));
            if matching > 0 {
                let label = format!("d{selector}{matching}");
                let record = format!("2 {selector} {matching} {}", authority(selector, matching));
                zone += &format!("{label} MX 10 {label}.ta\n{label}.ta A 127.0.0.3\n");
                zone += &tlsa(&format!("{label}.ta"), port, &record);
                wanted.push((format!("{label}.example.com"), true, "tlsa", "success"));
            }
        }
    }
    let (hash, other) = (good(1, 1), authority(1, 1));
    let mut add = |lines: String, domain: &str, gets: bool, policy: &'static str, result: &'static str| {
        zone += &lines;
        wanted.push((format!("{domain}.example.com"), gets, policy, result));
    };
    let ta_record = format!("2 0 1 {}", authority(0, 1));
    let whole = format!("2 0 0 {}", authority(0, 0));
    let lines = format!("full MX 10 full.ta\nfull.ta A 127.0.0.4\n{}", tlsa("full.ta", port, &whole));
    add(lines, "full", true, "tlsa", "success");
    let lines = at("name", "127.0.0.3") + &tlsa("mx.name", port, &ta_record);
    add(lines, "name", false, "tlsa", "certificate-host-mismatch");
    // RFC 7672 3.2.2: the certificate may have the name of the domain itself
    let lines = format!("hop.ta MX 10 hop\nhop A 127.0.0.3\n{}", tlsa("hop", port, &ta_record));
    add(lines, "hop.ta", true, "tlsa", "success");
    let lines = at("wrong", "127.0.0.2") + &tlsa("mx.wrong", port, &format!("3 1 1 {other}"));
    add(lines, "wrong", false, "tlsa", "validation-failure");
    let lines = at("two", "127.0.0.2")
        + &tlsa("mx.two", port, &format!("3 1 1 {other}"))
        + &tlsa("mx.two", port, &format!("3 1 1 {hash}"));
    add(lines, "two", true, "tlsa", "success");
    // RFC 7671 9: of several digests for one usage and selector the strongest that can be used
    let (strong, other_strong) = (good(1, 2), authority(1, 2));
    for (label, records, gets) in [
        ("agile", [format!("3 1 1 {hash}"), format!("3 1 2 {other_strong}")], false),
        ("strong", [format!("3 1 1 {other}"), format!("3 1 2 {strong}")], true),
        ("beside", [format!("3 0 1 {}", good(0, 1)), format!("3 1 2 {other_strong}")], true),
        ("held", [format!("3 1 0 {}", good(1, 0)), format!("3 1 2 {other_strong}")], true),
        ("short", [format!("3 1 1 {hash}"), "3 1 2 abcd".to_owned()], true),
    ] {
        let lines: String = records.iter().map(|record| tlsa(&format!("mx.{label}"), port, record)).collect();
        add(at(label, "127.0.0.2") + &lines, label, gets, "tlsa", if gets { "success" } else { "validation-failure" });
    }
    // RFC 7672 3.1.3: what says nothing between mail servers asks for TLS alone; and so does what cannot be read
    let lines = at("pkix", "127.0.0.2") + &tlsa("mx.pkix", port, &format!("1 1 1 {other}"));
    add(lines, "pkix", true, "tlsa", "success");
    let lines = at("odd", "127.0.0.5") + &tlsa("mx.odd", port, "3 1 1 abcd");
    add(lines, "odd", false, "tlsa", "starttls-not-supported");
    let lines = at("stripped", "127.0.0.5") + &tlsa("mx.stripped", port, &format!("3 1 1 {hash}"));
    add(lines, "stripped", false, "tlsa", "starttls-not-supported");
    // RFC 7672 2.2.2 and 2.2.3: below the name where an alias leads, and where that is not signed, below the alias
    let lines = format!(
        "alias MX 10 a.alias\na.alias CNAME b.alias\nb.alias A 127.0.0.2\n{}",
        tlsa("b.alias", port, &format!("3 1 1 {hash}"))
    );
    add(lines, "alias", true, "tlsa", "success");
    let lines = format!("away MX 10 a.away\na.away CNAME host.example.org.\n{}", tlsa("a.away", port, &format!("3 1 1 {hash}")));
    add(lines, "away", true, "tlsa", "success");
    let lines =
        format!("stray MX 10 a.stray\na.stray CNAME host.example.org.\n{}", tlsa("a.stray", port, &format!("3 1 1 {other}")));
    add(lines, "stray", false, "tlsa", "validation-failure");
    add(at("none", "127.0.0.2"), "none", true, "no-policy-found", "success");
    let lines = format!("itself A 127.0.0.2\n{}", tlsa("itself", port, &format!("3 1 1 {hash}")));
    add(lines, "itself", true, "tlsa", "success");
    add("whole CNAME ee11\n".to_owned(), "whole", true, "tlsa", "success");
    let wrong = || at("b", "127.0.0.2") + &tlsa("mx.b", port, &format!("3 1 1 {other}")) + "host A 127.0.0.2\n";
    let spoilt = |line: &str| if line.contains("RRSIG\tMX") { line.replace(" 300 ", " 301 ") } else { line.to_owned() };
    let old = ["-i", "20190101", "-e", "20200101"];
    let zones = [
        signed("example.com", zone),
        Zone {
            signed: Some(&["-n"]),
            ..signed("example.net", at("b", "127.0.0.2") + &tlsa("mx.b", port, &format!("3 1 1 {hash}")))
        },
        unsigned("example.org", wrong()),
        Zone { change: spoilt, ..signed("bogus.test", at("b", "127.0.0.2")) },
        Zone { signed: Some(&old), ..signed("old.test", at("b", "127.0.0.2")) },
        // its signatures are gone while its parent says that it is signed
        Zone {
            change: |line| if line.contains("RRSIG") { String::new() } else { line.to_owned() },
            ..signed("bare.test", at("b", "127.0.0.2"))
        },
    ];
    for (domain, gets, policy, result) in [
        // NSEC3 proves what is not there
        ("b.example.net", true, "tlsa", "success"),
        // nobody proves what it says
        ("b.example.org", true, "no-policy-found", "success"),
        ("b.bogus.test", false, "tlsa", "dnssec-invalid"),
        ("b.old.test", false, "tlsa", "dnssec-invalid"),
        ("b.bare.test", false, "tlsa", "dnssec-invalid"),
    ] {
        wanted.push((domain.to_owned(), gets, policy, result));
    }
    let Some(zones) = Zones::start(&zones) else { return };
    let host = host(zones.address, &zones, port);
    let all: Vec<String> = wanted.iter().map(|(domain, ..)| format!("x@{domain}")).collect();
    host.send(&all.iter().map(String::as_str).collect::<Vec<_>>());
    let left = host.tried(1);
    let (begin, mut wrong) = (std::time::Instant::now(), Vec::new());
    for (domain, gets, policy, result) in &wanted {
        let waits = left.iter().find(|(to, _)| *to == format!("x@{domain}"));
        let counted = || host.tls(domain) == [((*policy).to_owned(), (*result).to_owned())];
        // it is counted behind the attempt; all together are waited for once
        while !counted() && begin.elapsed() < support::LONGEST / 10 {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        if waits.is_some() == *gets || !counted() {
            wrong.push(format!("{domain}: {waits:?} {:?}, and not {gets} {policy} {result}", host.tls(domain)));
        }
    }
    assert!(wrong.is_empty(), "{}\n{:?}", wrong.join("\n"), host.mailbox("jane@a.example"));
    let got = |mx: &Mx| mx.messages().len();
    assert_eq!(got(&mx) + got(&below) + got(&alone) + got(&plain), wanted.iter().filter(|(_, gets, ..)| *gets).count());
    // the server is asked for the name below which its records stand (RFC 7672 8.1)
    assert!(mx.names().contains(&"b.alias.example.com".to_owned()), "{:?}", mx.names());
    // what is proven not to exist bounces, what is said not to exist and not proven waits
    host.send(&["x@nowhere.example.com", "x@nowhere.bare.test"]);
    let told = host.arrived("jane@a.example", 1).remove(0);
    assert!(told.contains("Final-Recipient: rfc822; x@nowhere.example.com\r\nAction: failed\r\nStatus: 5.1.2"), "{told}");
    until("the other one was tried", || {
        host.waiting().iter().any(|one| one.recipient == "x@nowhere.bare.test" && one.attempts == 1)
    });
    assert_eq!(host.mailbox("jane@a.example").len(), 1);
}

#[test]
fn names_that_somebody_forges_on_the_way_count_for_nothing() {
    if !support::peer("openssl") {
        return;
    }
    let identity = Authority::new("nobody's").issue(&["any.example"]);
    let mx = Mx::build().tls(&identity).run_at("127.0.0.2".parse().expect("an address"), 0);
    let port = mx.port();
    let thief_identity = Authority::new("a thief's").issue(&["any.example"]);
    let thief = Mx::build().tls(&thief_identity).run_at("127.0.0.3".parse().expect("an address"), port);
    let record = |identity: &super::Identity| format!("3 1 1 {}", association(&identity.chain[0], 1, 1));
    // the thief has a zone of his own, and everything in it is in order
    let zones = [
        signed("example.com", at("b", "127.0.0.2") + &tlsa("mx.b", port, &record(&identity))),
        signed("thief.test", format!("mx A 127.0.0.3\n{}", tlsa("mx", port, &record(&thief_identity)))),
    ];
    let Some(zones) = Zones::start(&zones) else { return };
    let resolver = liar(zones.address, "b.example.com", "mx.thief.test");
    let host = host(resolver, &zones, port);
    host.send(&["x@b.example.com"]);
    host.tried(1);
    assert!(thief.messages().is_empty(), "{:?}", thief.commands());
    until("it has gone", || mx.messages().len() == 1);
    host.counted("b.example.com", "tlsa", "success");
}
