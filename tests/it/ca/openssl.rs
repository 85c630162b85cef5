//! OpenSSL accepts what the authority issues, for what it is issued, and shows the fields that it must have.

use std::collections::BTreeSet;

use sealpost::ca::Uses;
use sealpost::crypto::algorithm::{ContentCipher, KeyAlgorithm};
use sealpost::pki::Certificate;
use sealpost::smime::{CipherChoice, Recipient, TransportChoice, choose};

use super::{AUTHORITIES, Bench, PEOPLE, key, openssl, sealpost};
use crate::support;

const UNSUITABLE: &str = "unsuitable certificate purpose";

#[test]
fn openssl_accepts_mail_certificates_for_the_uses_asked_for() {
    if !support::peer("openssl") {
        return;
    }
    let mut accepted = 0;
    for authority in AUTHORITIES {
        let bench = Bench::new(authority);
        for (kind, uses) in PEOPLE.iter().flat_map(|kind| [Uses::Dual, Uses::Sign, Uses::Encrypt].map(|uses| (*kind, uses))) {
            // Ed25519 signs only
            if kind == KeyAlgorithm::Ed25519 && uses == Uses::Encrypt {
                continue;
            }
            let leaf = bench.write("leaf", &bench.issue("jane@a.example", &key(kind), uses));
            let check = |purpose: &str| bench.verify(&leaf, &["-untrusted", &bench.path("issuing"), "-purpose", purpose]);
            let (code, words) = check("smimesign");
            match uses {
                Uses::Encrypt => assert!(code != 0 && words.contains(UNSUITABLE), "{authority} {kind} {uses:?}: {words}"),
                _ => assert_eq!(code, 0, "{authority} {kind} {uses:?}: {words}"),
            }
            // OpenSSL knows encryption by RSA only: keyAgreement is no key encipherment to it
            if kind.is_rsa() {
                assert_eq!(check("smimeencrypt").0 == 0, uses != Uses::Sign, "{authority} {uses:?}");
            }
            for purpose in ["sslserver", "sslclient", "timestampsign"] {
                let (code, words) = check(purpose);
                assert!(code != 0 && words.contains(UNSUITABLE), "{authority} {kind} {uses:?} {purpose}: {words}");
            }
            let address = ["-untrusted", &bench.path("issuing"), "-verify_email"];
            assert_eq!(bench.verify(&leaf, &[&address[..], &["jane@a.example"]].concat()).0, 0);
            assert!(bench.verify(&leaf, &[&address[..], &["joe@a.example"]].concat()).1.contains("email address mismatch"));
            accepted += 1;
        }
    }
    assert_eq!(accepted, 22);
}

#[test]
fn openssl_accepts_server_certificates_for_their_hosts() {
    if !support::peer("openssl") {
        return;
    }
    for (authority, kind) in AUTHORITIES.iter().flat_map(|a| [KeyAlgorithm::P256, KeyAlgorithm::Rsa(2048)].map(|k| (*a, k))) {
        let bench = Bench::new(authority);
        let identity = bench.server(&["mail.a.example", "192.0.2.7", "2001:db8::7"], kind);
        let leaf = bench.write("leaf", identity.certificate());
        let check = |more: &[&str]| bench.verify(&leaf, &[&["-untrusted", &bench.path("servers"), "-purpose"], more].concat());
        for host in [["-verify_hostname", "mail.a.example"], ["-verify_ip", "192.0.2.7"], ["-verify_ip", "2001:db8::7"]] {
            let (code, words) = check(&[&["sslserver"], &host[..]].concat());
            assert_eq!(code, 0, "{authority} {kind} {host:?}: {words}");
        }
        assert!(check(&["sslserver", "-verify_hostname", "other.a.example"]).1.contains("hostname mismatch"));
        for purpose in ["smimesign", "smimeencrypt"] {
            let (code, words) = check(&[purpose]);
            assert!(code != 0 && words.contains(UNSUITABLE), "{words}");
        }
    }
}

#[test]
fn openssl_accepts_what_the_program_issues() {
    if !support::peer("openssl") {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let run = |args: &[&str]| {
        let (code, _, talk) = sealpost(folder.path(), args);
        assert_eq!(code, 0, "{args:?}: {talk}");
    };
    run(&["ca", "init", "--name", "Example Org", "--domain", "a.example"]);
    run(&["ca", "export", "root", "-o", &path("root")]);
    let verify = |purpose: &str, file: &str| {
        // the file holds the leaf first, then the CA above it; both sides judge as of now
        let args = ["verify", "-x509_strict", "-purpose", purpose, "-CAfile", &path("root"), "-untrusted", file, file];
        assert!(openssl(&args, b"").ends_with(": OK\n"));
    };
    for algorithm in ["rsa3072", "p256"] {
        let out = path(algorithm);
        run(&["ca", "issue", "jane@a.example", "--name", "Jane Doe", "--algorithm", algorithm, "-o", &out]);
        verify("smimesign", &out);
    }
    run(&["ca", "server-cert", "mail.a.example", "-o", &path("server"), "--key", &path("server.key")]);
    verify("sslserver", &path("server"));
    let of = |args: &[&str]| openssl(args, b"");
    let public = of(&["x509", "-in", &path("server"), "-noout", "-pubkey"]);
    assert_eq!(of(&["pkey", "-in", &path("server.key"), "-pubout"]), public, "the key is the certificate's");
}

/// Lines of `openssl x509 -text` in their order; each must stand after the one before.
fn stand_in_order(text: &str, lines: &[&str]) {
    let mut rest = text;
    for line in lines {
        let at = rest.find(line).unwrap_or_else(|| panic!("{line:?} is not in\n{text}"));
        rest = &rest[at + line.len()..];
    }
}

#[test]
fn a_mail_certificate_has_the_fields_that_it_must_have() {
    if !support::peer("openssl") {
        return;
    }
    for (kind, usage) in [
        (KeyAlgorithm::Rsa(2048), "Digital Signature, Key Encipherment\n"),
        (KeyAlgorithm::P256, "Digital Signature, Key Agreement\n"),
        (KeyAlgorithm::Ed25519, "Digital Signature\n"),
    ] {
        let bench = Bench::new(KeyAlgorithm::P384);
        let leaf = bench.write("leaf", &bench.issue("jane@a.example", &key(kind), Uses::Dual));
        let text = openssl(&["x509", "-in", &leaf, "-noout", "-text"], b"");
        let key_id = |file: &str, name: &str| {
            let shown = openssl(&["x509", "-in", file, "-noout", "-ext", name], b"");
            shown.lines().nth(1).expect("two lines").trim().to_owned()
        };
        let authority_id = key_id(&bench.path("issuing"), "subjectKeyIdentifier");
        assert_eq!(key_id(&leaf, "authorityKeyIdentifier"), authority_id);
        stand_in_order(
            &text,
            &[
                "Version: 3 (0x2)",
                "Not Before: May 31 23:50:00 2026 GMT",
                "Not After : Jun  1 00:00:00 2027 GMT",
                "Subject: CN = jane@a.example",
                "X509v3 Subject Key Identifier:",
                &authority_id,
                "X509v3 Key Usage: critical\n",
                usage,
                "X509v3 Extended Key Usage: \n                E-mail Protection\n",
                "X509v3 Subject Alternative Name: \n                email:jane@a.example\n",
                "CA Issuers - URI:http://pki.a.example/issuing.cer",
                "URI:http://pki.a.example/issuing.crl",
            ],
        );
        assert!(!text.contains("CA:TRUE"), "{text}");
        assert_eq!(text.contains("S/MIME Capabilities"), kind.encrypts());
    }
}

#[test]
fn the_capabilities_are_those_of_rfc_4262() {
    if !support::peer("openssl") {
        return;
    }
    let bench = Bench::new(KeyAlgorithm::P384);
    let ciphers = ["aes-256-gcm", "aes-128-gcm", "aes-256-cbc", "aes-128-cbc"];
    let wraps = |agreement| [agreement, "id-aes256-wrap", agreement, "id-aes128-wrap"];
    let table = [
        (KeyAlgorithm::Rsa(2048), vec!["rsaesOaep", "sha256", "mgf1", "sha256"]),
        (KeyAlgorithm::P256, wraps("dhSinglePass-stdDH-sha256kdf-scheme").to_vec()),
        (KeyAlgorithm::P384, wraps("dhSinglePass-stdDH-sha384kdf-scheme").to_vec()),
    ];
    for (kind, keys) in table {
        let issued = bench.issue("jane@a.example", &key(kind), Uses::Dual);
        let leaf = bench.write("leaf", &issued);
        let parsed = openssl(&["asn1parse", "-in", &leaf], b"");
        let mut lines = parsed.lines().skip_while(|line| !line.contains(":S/MIME Capabilities"));
        let value = lines.nth(1).expect("the value follows, not critical");
        let offset = value.trim_start().split(':').next().expect("an offset");
        let inside = openssl(&["asn1parse", "-in", &leaf, "-strparse", offset], b"");
        let names: Vec<&str> =
            inside.lines().filter_map(|line| line.split_once("OBJECT            :")).map(|split| split.1).collect();
        assert_eq!(names, [&ciphers[..], &keys].concat(), "{inside}");
        // so those who have a certificate of ours write the best to each other
        let chosen = choose(&[Recipient::from(&issued)], CipherChoice::Auto, TransportChoice::Auto);
        let way = chosen.ways[0].name();
        assert_eq!(chosen.cipher, ContentCipher::Aes256Gcm, "{kind}");
        assert!(way == "rsa-oaep-sha256" || way.starts_with("ecdh-std-") && way.ends_with("aes256-wrap"), "{kind}: {way}");
    }
}

#[test]
fn the_authorities_have_the_fields_that_they_must_have() {
    if !support::peer("openssl") {
        return;
    }
    let bench = Bench::new(KeyAlgorithm::P384);
    let text =
        |name: &str| openssl(&["x509", "-in", &bench.path(name), "-noout", "-text", "-nameopt", "utf8,sep_comma_plus"], b"");
    let root = ["Issuer: O=Bench & Söhne,CN=Bench & Söhne Root CA", "Subject: O=Bench & Söhne,CN=Bench & Söhne Root CA"];
    let ca = [
        "X509v3 Basic Constraints: critical\n                CA:TRUE",
        "X509v3 Key Usage: critical\n                Certificate Sign, CRL Sign\n",
    ];
    stand_in_order(&text("root"), &[&root[..], &ca].concat());
    let places = ["CA Issuers - URI:http://pki.a.example/root.cer", "URI:http://pki.a.example/root.crl"];
    let below = [&[", pathlen:0\n"], &ca[1..], &places].concat();
    stand_in_order(&text("issuing"), &[&["E-mail Protection\n", "X509v3 Name Constraints: critical"], &below[..]].concat());
    stand_in_order(&text("issuing"), &["email:a.example\n", "email:.a.example\n", "email:b.example\n", "email:.b.example\n"]);
    stand_in_order(&text("servers"), &[&["TLS Web Server Authentication\n"], &below[..]].concat());
    assert!(!text("servers").contains("Name Constraints"));
}

#[test]
fn serial_numbers_are_positive_long_and_all_different() {
    let bench = Bench::new(KeyAlgorithm::P384);
    let (person, mut serials) = (key(KeyAlgorithm::P256), BTreeSet::new());
    let mut seen = |certificate: &Certificate| {
        let serial = certificate.serial().to_vec();
        assert!(serial[0] < 0x80 && serial.iter().position(|byte| *byte != 0) == Some(0), "{serial:?}");
        assert!((9..=20).contains(&serial.len()), "over 64 bits, RFC 5280 allows 20 bytes: {serial:?}");
        assert!(serials.insert(serial), "twice");
    };
    let authority = bench.store.authority();
    [authority.root(), authority.issuing(), authority.servers()].into_iter().for_each(&mut seen);
    for _ in 0..50 {
        seen(&bench.issue("jane@a.example", &person, Uses::Dual));
    }
    seen(bench.server(&["mail.a.example"], KeyAlgorithm::P256).certificate());
}

#[test]
fn an_address_that_is_not_ascii_is_issued_and_openssl_accepts_the_chain() {
    if !support::peer("openssl") {
        return;
    }
    let bench = Bench::new(KeyAlgorithm::P384);
    let leaf = bench.write("leaf", &bench.issue("jürgen.密@a.example", &key(KeyAlgorithm::P256), Uses::Dual));
    let (code, words) = bench.verify(&leaf, &["-untrusted", &bench.path("issuing"), "-purpose", "smimesign"]);
    assert_eq!(code, 0, "{words}");
    assert!(openssl(&["x509", "-in", &leaf, "-noout", "-ext", "subjectAltName"], b"").contains("SmtpUTF8Mailbox"));
}
