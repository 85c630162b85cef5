//! Revocation lists: OpenSSL takes a certificate before it is revoked, and not after.

use sealpost::asn1::pem;
use sealpost::ca::{RevocationReason, Uses};
use sealpost::crypto::algorithm::KeyAlgorithm;
use sealpost::crypto::random::OsRandom;
use sealpost::pki::Crl;

use super::{AUTHORITIES, Bench, at, key, openssl, sealpost};
use crate::support;

fn write(bench: &Bench, name: &str, crl: &Crl) -> String {
    bench.write_bytes(name, pem::encode("X509 CRL", crl.der()).as_bytes())
}

#[test]
fn openssl_refuses_the_revoked_mail_certificate_and_no_other() {
    if !support::peer("openssl") {
        return;
    }
    for authority in AUTHORITIES {
        let bench = Bench::new(authority);
        let certificates = ["good@a.example", "bad@b.example"].map(|who| bench.issue(who, &key(KeyAlgorithm::P256), Uses::Dual));
        let [good, bad] = ["good", "bad"].map(|name| bench.path(name));
        [&good, &bad].iter().zip(&certificates).for_each(|(path, certificate)| {
            std::fs::write(path, pem::encode("CERTIFICATE", certificate.der())).expect("written");
        });
        let check = |leaf: &str, list: &str| {
            bench.verify(leaf, &["-untrusted", &bench.path("issuing"), "-purpose", "smimesign", "-crl_check", "-CRLfile", list])
        };
        let before = write(&bench, "before", &bench.store.crl(at(), 7, &mut OsRandom).expect("signed"));
        assert_eq!((check(&good, &before).0, check(&bad, &before).0), (0, 0), "{authority}");
        let revoked = bench.store.revoke(&certificates[1].serial_hex(), RevocationReason::KeyCompromise, at());
        assert_eq!(revoked.expect("revoked"), certificates[1]);
        let after = write(&bench, "after", &bench.store.crl(at(), 7, &mut OsRandom).expect("signed"));
        assert_eq!(check(&good, &after).0, 0, "{authority}");
        let (code, words) = check(&bad, &after);
        assert!(code != 0 && words.contains("certificate revoked"), "{authority}: {words}");
    }
}

#[test]
fn openssl_and_we_find_a_list_for_every_certificate_of_the_path() {
    if !support::peer("openssl") {
        return;
    }
    for authority in AUTHORITIES {
        let bench = Bench::new(authority);
        let certificate = bench.issue("good@a.example", &key(KeyAlgorithm::P256), Uses::Dual);
        let leaf = bench.write("leaf", &certificate);
        let crl = bench.store.crl(at(), 7, &mut OsRandom).expect("signed");
        let root = bench.store.root_crl(None, at(), 365, &mut OsRandom).expect("signed");
        let text = [crl, root].iter().map(|crl| pem::encode("X509 CRL", crl.der())).collect::<String>();
        let lists = bench.write_bytes("lists", text.as_bytes());
        let all = ["-untrusted", &bench.path("issuing"), "-purpose", "smimesign", "-crl_check_all", "-CRLfile", &lists];
        let (code, words) = bench.verify(&leaf, &all);
        assert_eq!(code, 0, "{authority}: {words}");
    }
}

#[test]
fn openssl_refuses_the_revoked_server_certificate() {
    if !support::peer("openssl") {
        return;
    }
    let bench = Bench::new(KeyAlgorithm::P384);
    let [good, bad] = ["mail.a.example", "www.a.example"].map(|host| bench.server(&[host], KeyAlgorithm::P256));
    let serial = bad.certificate().serial_hex();
    bench.store.revoke(&serial, RevocationReason::Superseded, at()).expect("revoked");
    let list = write(&bench, "list", &bench.store.server_crl(at(), 7, &mut OsRandom).expect("signed"));
    let check = |leaf: &str| {
        bench.verify(leaf, &["-untrusted", &bench.path("servers"), "-purpose", "sslserver", "-crl_check", "-CRLfile", &list])
    };
    assert_eq!(check(&bench.write("good", good.certificate())).0, 0);
    assert!(check(&bench.write("bad", bad.certificate())).1.contains("certificate revoked"));
    assert!(bench.store.crl(at(), 7, &mut OsRandom).expect("signed").is_empty(), "each list has its own");
}

#[test]
fn a_list_says_who_when_and_why() {
    if !support::peer("openssl") {
        return;
    }
    let bench = Bench::new(KeyAlgorithm::P384);
    let reasons = [
        (RevocationReason::KeyCompromise, "Key Compromise"),
        (RevocationReason::AffiliationChanged, "Affiliation Changed"),
        (RevocationReason::Superseded, "Superseded"),
        (RevocationReason::CessationOfOperation, "Cessation Of Operation"),
        (RevocationReason::PrivilegeWithdrawn, "Privilege Withdrawn"),
    ];
    let person = key(KeyAlgorithm::P256);
    for (reason, _) in reasons.iter().chain(&[(RevocationReason::Unspecified, "")]) {
        let serial = bench.issue("jane@a.example", &person, Uses::Dual).serial_hex();
        bench.store.revoke(&serial, *reason, at().plus_days(3)).expect("revoked");
    }
    let list = write(&bench, "list", &bench.store.crl(at().plus_days(4), 7, &mut OsRandom).expect("signed"));
    // it says whether the signature is the issuer's
    let (code, _, talk) = support::run("openssl", &["crl", "-in", &list, "-noout", "-CAfile", &bench.path("issuing")], b"");
    assert!(code == 0 && talk.contains("verify OK"), "{talk}");
    let text = openssl(&["crl", "-in", &list, "-noout", "-text"], b"");
    for expected in ["Version 2 (0x1)", "Last Update: Jun  5 00:00:00 2026 GMT", "Next Update: Jun 12 00:00:00 2026 GMT"] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    assert_eq!(text.matches("Revocation Date: Jun  4 00:00:00 2026 GMT").count(), 6);
    for (_, name) in reasons {
        assert_eq!(text.matches(name).count(), 1, "{name}: {text}");
    }
    assert!(!text.contains("Unspecified"), "RFC 5280 5.3.1: it is left out");
    let authority_id = openssl(&["x509", "-in", &bench.path("issuing"), "-noout", "-ext", "subjectKeyIdentifier"], b"");
    assert!(text.contains(authority_id.lines().nth(1).expect("two lines").trim()));
}

#[test]
fn each_list_has_a_higher_number() {
    let bench = Bench::new(KeyAlgorithm::P384);
    let number = |crl: &Crl| {
        let value = crl.extension(&sealpost::asn1::oid::CRL_NUMBER).expect("a number").value.clone();
        sealpost::asn1::Cursor::new(&value).small_unsigned().expect("small")
    };
    let mut last = 0;
    for days in 0..5 {
        for crl in [bench.store.crl(at().plus_days(days), 7, &mut OsRandom), bench.store.server_crl(at(), 7, &mut OsRandom)] {
            let next = number(&crl.expect("signed"));
            assert!(next > last, "{next} after {last}");
            last = next;
        }
    }
}

#[test]
fn the_list_of_the_program_holds_what_it_revoked() {
    if !support::peer("openssl") {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let run = |args: &[&str]| {
        let (code, out, talk) = sealpost(folder.path(), args);
        assert_eq!(code, 0, "{args:?}: {talk}");
        String::from_utf8(out).expect("text")
    };
    run(&["ca", "init", "--name", "Example Org", "--domain", "a.example"]);
    run(&["ca", "export", "root", "-o", &path("root")]);
    run(&["ca", "issue", "jane@a.example", "--algorithm", "p256", "-o", &path("jane")]);
    run(&["ca", "server-cert", "mail.a.example", "-o", &path("mail"), "--key", &path("mail.key")]);
    for line in run(&["ca", "list"]).lines() {
        run(&["ca", "revoke", line.split(' ').next().expect("a serial"), "--reason", "key-compromise"]);
    }
    run(&["ca", "crl", "-o", &path("lists")]);
    for name in ["jane", "mail"] {
        let (leaf, root, lists) = (path(name), path("root"), path("lists"));
        let args = ["verify", "-CAfile", &root, "-untrusted", &leaf, "-crl_check", "-CRLfile", &lists, &leaf];
        let (code, out, talk) = support::run("openssl", &args, b"");
        assert!(code != 0 && talk.contains("certificate revoked"), "{name}: {talk}{}", String::from_utf8_lossy(&out));
    }
}

#[test]
fn refuses_to_revoke_what_it_did_not_issue_and_what_is_revoked() {
    let bench = Bench::new(KeyAlgorithm::P384);
    let serial = bench.issue("jane@a.example", &key(KeyAlgorithm::P256), Uses::Dual).serial_hex();
    let revoke = |serial: &str| bench.store.revoke(serial, RevocationReason::Superseded, at());
    let error = revoke("0badc0de").expect_err("not its own").to_string();
    assert_eq!(error, "no certificate with the serial number 0badc0de was issued here");
    revoke(&serial.to_uppercase()).expect("revoked");
    assert_eq!(revoke(&serial).expect_err("twice").to_string(), format!("the certificate {serial} is revoked already"));
}
