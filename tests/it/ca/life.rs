//! What happens to certificates after they were issued: OpenSSL and our own validator see each step.

use sealpost::asn1::pem;
use sealpost::ca::records::{Records, Serial, Status, verify};
use sealpost::ca::store::{ListKind, Renewal, Store, ending};
use sealpost::ca::{Issuer, RevocationReason, Uses};
use sealpost::crypto::algorithm::KeyAlgorithm;
use sealpost::crypto::random::OsRandom;
use sealpost::pki::Crl;

use super::{Bench, at, key, openssl, profile, sealpost};
use crate::support;

fn list(bench: &Bench, kind: ListKind) -> Crl {
    bench.store.list(Issuer::Mail, kind, (at(), at().plus_days(7)), &mut OsRandom).expect("signed")
}

fn lists(bench: &Bench, crls: &[&Crl]) -> String {
    bench.write_bytes("lists", crls.iter().map(|crl| pem::encode("X509 CRL", crl.der())).collect::<String>().as_bytes())
}

/// What OpenSSL says of a certificate under lists, with their delta lists.
fn under(bench: &Bench, leaf: &str, crls: &[&Crl]) -> (i32, String) {
    let lists = lists(bench, crls);
    let args = ["-untrusted", &bench.path("issuing"), "-purpose", "smimesign", "-crl_check", "-use_deltas", "-CRLfile", &lists];
    bench.verify(leaf, &args)
}

#[test]
fn openssl_follows_a_hold_and_its_release_through_delta_lists() {
    if !support::peer("openssl") {
        return;
    }
    for kind in [KeyAlgorithm::P384, KeyAlgorithm::Ed25519, KeyAlgorithm::Rsa(3072)] {
        let bench = Bench::new(kind);
        let issued = bench.issue("jane@a.example", &key(KeyAlgorithm::P256), Uses::Dual);
        let (leaf, serial) = (bench.write("leaf", &issued), issued.serial_hex());
        let early = bench.store.list(Issuer::Mail, ListKind::Delta, (at(), at().plus_days(1)), &mut OsRandom);
        assert!(early.expect_err("no base").to_string().contains("--with-deltas"));
        let base = list(&bench, ListKind::CompleteWithDeltas);
        assert_eq!(under(&bench, &leaf, &[&base]).0, 0, "{kind}");
        bench.store.revoke(&serial, RevocationReason::CertificateHold, at()).expect("on hold");
        let held = list(&bench, ListKind::Delta);
        assert!(held.is_delta() && !base.is_delta());
        let (code, words) = under(&bench, &leaf, &[&base, &held]);
        assert!(code != 0 && words.contains("certificate revoked"), "{kind}: {words}");
        // a complete list while it is on hold, which goes on announcing deltas
        let second = list(&bench, ListKind::Complete);
        assert!(under(&bench, &leaf, &[&second]).1.contains("certificate revoked"), "{kind}");
        bench.store.release(&serial, at()).expect("released");
        let released = list(&bench, ListKind::Delta);
        let (code, words) = under(&bench, &leaf, &[&second, &released]);
        assert_eq!(code, 0, "{kind}: {words}");
        let text = openssl(&["crl", "-noout", "-text"], pem::encode("X509 CRL", released.der()).as_bytes());
        for wanted in ["Delta CRL Indicator: critical", "Issuing Distribution Point: critical", "Remove From CRL"] {
            assert!(text.contains(wanted), "{wanted}: {text}");
        }
        assert_eq!(list(&bench, ListKind::Complete).len(), 0);
    }
}

#[test]
fn a_list_has_what_it_must_have() {
    if !support::peer("openssl") {
        return;
    }
    let bench = Bench::new(KeyAlgorithm::P384);
    let serial = bench.issue("jane@a.example", &key(KeyAlgorithm::P256), Uses::Dual).serial_hex();
    let since = at().plus_days(-30);
    bench.store.revoke_since(&serial, (RevocationReason::KeyCompromise, Some(since)), at()).expect("revoked");
    let crl = list(&bench, ListKind::CompleteWithDeltas);
    let text =
        openssl(&["crl", "-noout", "-text", "-CAfile", &bench.path("issuing")], pem::encode("X509 CRL", crl.der()).as_bytes());
    let issuing = openssl(&["x509", "-noout", "-ext", "subjectKeyIdentifier", "-in", &bench.path("issuing")], b"");
    let key_id = issuing.lines().nth(1).expect("its identifier").trim().to_owned();
    for wanted in [
        key_id.as_str(),
        "X509v3 CRL Number: \n                3",
        "X509v3 Issuing Distribution Point: critical\n                Full Name:\n                  URI:http://pki.a.example/issuing.crl",
        "X509v3 Freshest CRL: \n                Full Name:\n                  URI:http://pki.a.example/issuing-delta.crl",
        "X509v3 CRL Reason Code: \n                Key Compromise",
        "Invalidity Date: \n                May  2 00:00:00 2026 GMT",
    ] {
        assert!(text.contains(wanted), "{wanted}: {text}");
    }
}

#[test]
fn numbers_of_lists_rise_over_every_kind_and_every_opening() {
    let bench = Bench::new(KeyAlgorithm::P256);
    let kinds = [ListKind::CompleteWithDeltas, ListKind::Delta, ListKind::Complete, ListKind::Plain, ListKind::Delta];
    kinds.iter().for_each(|kind| drop(list(&bench, *kind)));
    let again = Store::open(&bench.ca(), None).expect("opens");
    again.server_crl(at(), 7, &mut OsRandom).expect("signed");
    again.root_crl(None, at(), 7, &mut OsRandom).expect("signed");
    // the store that was open all the time reads what the other one wrote
    list(&bench, ListKind::Complete);
    let events = sealpost::ca::store::ledger(&bench.ca()).expect("unchanged");
    let numbers: Vec<u64> = events.iter().filter(|e| e.event == "crl").map(|e| e.subject.parse().expect("a number")).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5, 6, 7, 8]);
}

#[test]
fn an_entry_leaves_the_list_only_after_one_list_beyond_its_certificates_end() {
    let bench = Bench::new(KeyAlgorithm::P256);
    let serial = bench.issue("jane@a.example", &key(KeyAlgorithm::P256), Uses::Dual).serial_hex();
    bench.store.revoke(&serial, RevocationReason::KeyCompromise, at()).expect("revoked");
    let entries = |days: i64| bench.store.crl(at().plus_days(days), 7, &mut OsRandom).expect("signed").len();
    assert_eq!([entries(0), entries(300), entries(366), entries(367), entries(368)], [1, 1, 1, 0, 0]);
}

#[test]
fn only_a_hold_is_released_and_it_may_become_a_revocation() {
    let bench = Bench::new(KeyAlgorithm::P256);
    let serial = bench.issue("jane@a.example", &key(KeyAlgorithm::P256), Uses::Dual).serial_hex();
    let refused =
        |result: Result<_, sealpost::ca::Error>| result.map(|_: sealpost::pki::Certificate| ()).expect_err("refused").to_string();
    assert_eq!(refused(bench.store.release(&serial, at())), format!("the certificate {serial} is not on hold"));
    bench.store.revoke(&serial, RevocationReason::CertificateHold, at()).expect("on hold");
    let twice = bench.store.revoke(&serial, RevocationReason::CertificateHold, at());
    assert_eq!(refused(twice), format!("the certificate {serial} is on hold already"));
    bench.store.revoke(&serial, RevocationReason::KeyCompromise, at()).expect("revoked for good");
    assert!(refused(bench.store.release(&serial, at())).contains("a revocation is for good"));
    let future = bench.store.revoke_since(&serial, (RevocationReason::KeyCompromise, Some(at().plus_days(1))), at());
    assert!(refused(future).contains("has not come yet"));
    let records = Records::open(&bench.ca()).expect("readable");
    let status = |serial: &str| records.status(&Serial::from_hex(serial).expect("a number")).expect("readable");
    assert!(matches!(status(&serial), Status::Revoked(revoked) if revoked.reason == RevocationReason::KeyCompromise));
    assert_eq!(status("0badc0de"), Status::Unknown);
}

#[test]
fn a_renewed_certificate_says_what_the_old_one_says_and_lasts_longer() {
    if !support::peer("openssl") {
        return;
    }
    let bench = Bench::new(KeyAlgorithm::P384);
    let old =
        bench.store.issue(&profile("jürgen@a.example", Uses::Dual), key(KeyAlgorithm::P384).public_key(), at(), &mut OsRandom);
    let old = old.expect("issued");
    let later = at().plus_days(300);
    let ending = |days: u32| ending(&bench.store.records().expect("readable"), days, later).expect("readable").len();
    assert_eq!([ending(30), ending(90)], [0, 1]);
    let new = bench.store.renew(&old.serial_hex(), (Renewal::SameKey, None), later, &mut OsRandom).expect("renewed").certificate;
    assert_eq!((new.subject(), new.spki(), new.addresses()), (old.subject(), old.spki(), old.addresses()));
    assert_eq!(new.extensions().len(), old.extensions().len());
    assert!(new.not_after() >= later.plus_days(365) && new.serial() != old.serial());
    assert_eq!(ending(90), 0, "it was renewed");
    let other = bench.store.renew(&new.serial_hex(), (Renewal::NewKey, Some(10)), later, &mut OsRandom).expect("renewed");
    let key = other.key.expect("its key");
    assert!(key.public_key() == &other.certificate.public_key().expect("a key") && other.certificate.spki() != old.spki());
    assert_eq!(other.certificate.subject_key_id().is_some(), other.certificate.subject_key_id() != new.subject_key_id());
    let leaf = bench.write("leaf", &other.certificate);
    let (time, root, issuing) = ((later.unix() + 60).to_string(), bench.path("root"), bench.path("issuing"));
    openssl(&["verify", "-x509_strict", "-attime", &time, "-CAfile", &root, "-untrusted", &issuing, &leaf], b"");
    bench.store.revoke(&old.serial_hex(), RevocationReason::Superseded, later).expect("revoked");
    let refused = bench.store.renew(&old.serial_hex(), (Renewal::SameKey, None), later, &mut OsRandom).map(|_| ());
    assert!(refused.expect_err("revoked").to_string().contains("issue a new one"));
    verify(&bench.ca(), None).expect("all as written");
}

#[test]
fn the_program_suspends_and_resumes_a_person() {
    let folder = tempfile::tempdir().expect("a folder");
    let home = folder.path();
    let json = |args: &[&str]| {
        let (code, out, talk) = sealpost(home, &[args, &["--json"]].concat());
        assert_eq!(code, 0, "{args:?}: {talk}");
        serde_json::from_slice::<serde_json::Value>(&out).expect("one object")
    };
    json(&[
        "ca",
        "init",
        "--name",
        "Example Org",
        "--domain",
        "a.example",
        "--algorithm",
        "p256",
        "--url",
        "http://ca.example/x/",
    ]);
    for (who, usage) in [("jane", "sign"), ("jane", "encrypt"), ("joe", "dual")] {
        let args = ["ca", "issue", &format!("{who}@a.example"), "--algorithm", "p256", "--usage", usage, "-o"];
        let out = home.join(format!("{who}-{usage}")).display().to_string();
        assert_eq!(sealpost(home, &[&args[..], &[&out]].concat()).0, 0);
    }
    let suspended = json(&["ca", "suspend", "Jane@a.example"]);
    assert_eq!(
        (suspended["schema"].as_str(), suspended["serials"].as_array().map(Vec::len)),
        (Some("sealpost.ca.suspend/1"), Some(2))
    );
    let held = |list: &serde_json::Value| {
        let all = list["certificates"].as_array().expect("a list").clone();
        all.iter().filter(|one| one["revoked"]["reason"] == "certificate-hold").count()
    };
    assert_eq!(held(&json(&["ca", "list"])), 2);
    assert_eq!(json(&["ca", "resume", "jane@a.example"])["serials"], suspended["serials"]);
    let all = json(&["ca", "list"]);
    assert_eq!((held(&all), all["certificates"].as_array().map(Vec::len)), (0, Some(3)));
    let (code, _, talk) = sealpost(home, &["ca", "resume", "jane@a.example"]);
    assert!(code == 8 && talk.contains("no certificate that is on hold"), "{code} {talk}");
    let (code, _, talk) = sealpost(home, &["ca", "suspend", "eve@a.example"]);
    assert!(code == 8 && talk.contains("no valid certificate"), "{code} {talk}");
    let serial = suspended["serials"][0].as_str().expect("a number").to_owned();
    assert_eq!(json(&["ca", "revoke", &serial, "--reason", "superseded"])["state"], "revoked");
    assert_eq!(json(&["ca", "crl", "--with-deltas"])["lists"][0]["entries"], 1);
    assert_eq!(json(&["ca", "crl", "--delta"])["lists"][0]["delta"], true);
    // with the two responders that were made when the first lists were, two lists after each change, and the first delta lists
    assert_eq!(json(&["ca", "log"])["events"].as_array().map(Vec::len), Some(24));
    let verified = json(&["ca", "log", "--verify"]);
    assert_eq!(
        (verified["events"].as_u64(), verified["certificates"].as_u64(), verified["revoked"].as_u64()),
        (Some(24), Some(3), Some(1))
    );
    let shown = json(&["ca", "show", &serial]);
    assert_eq!(shown["certificates"][0]["revoked"]["reason"], "superseded");
    if support::peer("openssl") {
        let text = openssl(&["x509", "-noout", "-text", "-in", &home.join("joe-dual").display().to_string()], b"");
        assert!(text.contains("URI:http://ca.example/x/issuing.crl"), "{text}");
    }
}

#[test]
fn what_changes_is_published_at_once_unless_told_otherwise() {
    let folder = tempfile::tempdir().expect("a folder");
    let home = folder.path();
    let run = |args: &[&str]| {
        let (code, out, talk) = sealpost(home, args);
        assert_eq!(code, 0, "{args:?}: {talk}");
        (String::from_utf8(out).expect("text"), talk)
    };
    let entries = || Crl::from_der(&std::fs::read(home.join("ca/public/issuing.crl")).expect("published")).expect("a list").len();
    run(&["ca", "init", "--name", "Example Org", "--algorithm", "p256"]);
    run(&["ca", "issue", "jane@a.example", "--algorithm", "p256", "-o", &home.join("jane").display().to_string()]);
    let serial = run(&["ca", "list"]).0.split(' ').next().expect("a serial").to_owned();
    let (_, talk) = run(&["ca", "suspend", "jane@a.example", "--no-publish"]);
    assert!(talk.contains("`sealpost ca publish`") && !home.join("ca/public").exists(), "{talk}");
    run(&["ca", "release", &serial]);
    assert_eq!(entries(), 0);
    run(&["ca", "suspend", "jane@a.example"]);
    assert_eq!(entries(), 1);
    run(&["ca", "resume", "jane@a.example"]);
    assert_eq!(entries(), 0);
    let (_, talk) = run(&["ca", "revoke", &serial]);
    assert_eq!((entries(), talk.contains("ca publish")), (1, false));
    // that of the root is another one's business
    assert!(!home.join("ca/public/root.crl").exists());
    std::fs::remove_file(home.join("ca/public/issuing.crl")).expect("removed");
    std::fs::create_dir(home.join("ca/public/issuing.crl")).expect("in the way");
    run(&["ca", "issue", "joe@a.example", "--algorithm", "p256", "-o", &home.join("joe").display().to_string()]);
    let (code, _, talk) = sealpost(home, &["ca", "suspend", "joe@a.example"]);
    assert!(code != 0 && talk.contains("the ledger has it, and it is not published"), "{code} {talk}");
}

#[test]
fn delta_lists_are_published_beside_the_complete_ones_and_go_on_from_those_that_readers_hold() {
    let folder = tempfile::tempdir().expect("a folder");
    let home = folder.path();
    let run = |args: &[&str]| {
        let (code, out, talk) = sealpost(home, args);
        assert_eq!(code, 0, "{args:?}: {talk}");
        String::from_utf8(out).expect("text")
    };
    let public = |name: &str| home.join("ca/public").join(name);
    let read = |name: &str| Crl::from_der(&std::fs::read(public(name)).expect("published")).expect("a list");
    run(&["ca", "init", "--name", "Example Org", "--algorithm", "p256"]);
    let leaf = home.join("jane.pem").display().to_string();
    run(&["ca", "issue", "jane@a.example", "--algorithm", "p256", "-o", &leaf]);
    let serial = run(&["ca", "list"]).split(' ').next().expect("a serial").to_owned();
    run(&["ca", "publish"]);
    assert!(!public("issuing-delta.crl").exists(), "nobody was told of one");
    run(&["ca", "crl", "--with-deltas", "-o", &home.join("lists").display().to_string()]);
    let (held, first) = (read("issuing.crl"), read("issuing-delta.crl"));
    assert!(first.is_delta() && first.is_empty() && public("servers-delta.crl").exists());
    run(&["ca", "revoke", &serial]);
    let (complete, delta) = (read("issuing.crl"), read("issuing-delta.crl"));
    assert_eq!((complete.len(), delta.len(), delta.is_delta()), (1, 1, true));
    if !support::peer("openssl") {
        return;
    }
    let pem = |name: &str, list: &[&Crl]| {
        let path = home.join(name).display().to_string();
        let text: String = list.iter().map(|crl| pem::encode("X509 CRL", crl.der())).collect();
        std::fs::write(&path, text).expect("written");
        path
    };
    let (root, issuing) = (home.join("ca/root.pem").display().to_string(), home.join("ca/issuing.pem").display().to_string());
    for (name, lists) in [("old", vec![&held, &delta]), ("new", vec![&complete, &delta])] {
        let lists = pem(name, &lists);
        let args = ["verify", "-CAfile", &root, "-untrusted", &issuing, "-crl_check", "-use_deltas", "-CRLfile", &lists, &leaf];
        let (code, out, talk) = support::run("openssl", &args, b"");
        let words = String::from_utf8_lossy(&out).into_owned() + &talk;
        assert!(code != 0 && words.contains("certificate revoked"), "{name}: {words}");
    }
    // one that was signed before it was revoked is right with the delta list alone
    let lists = pem("stale", &[&held, &first]);
    let args = ["verify", "-CAfile", &root, "-untrusted", &issuing, "-crl_check", "-use_deltas", "-CRLfile", &lists, &leaf];
    assert_eq!(support::run("openssl", &args, b"").0, 0);
}

#[test]
fn the_home_uses_a_renewed_certificate_and_still_reads_what_was_encrypted_to_the_old_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let home = folder.path();
    let path = |name: &str| home.join(name).display().to_string();
    let run = |args: &[&str]| {
        let (code, out, talk) = sealpost(home, args);
        assert_eq!(code, 0, "{args:?}: {talk}");
        (String::from_utf8(out).expect("text"), talk)
    };
    run(&["ca", "init", "--name", "Example Org", "--algorithm", "p256"]);
    std::fs::write(home.join("secret"), "correct horse\n").expect("written");
    run(&["id", "new", "jane@a.example", "--algorithm", "p256", "--passphrase-file", &path("secret")]);
    let message = "From: jane@a.example\r\nTo: jane@a.example\r\nSubject: x\r\n\r\nold\r\n";
    std::fs::write(home.join("mail"), message).expect("written");
    run(&["encrypt", &path("mail"), "-o", &path("encrypted")]);
    let old = run(&["ca", "list"]).0.split(' ').next().expect("a serial").to_owned();
    // the key is locked, and its passphrase is not asked for
    let (_, talk) = run(&["ca", "renew", &old, "-o", &path("renewed")]);
    assert!(talk.contains("identity: jane@a.example") && talk.contains(&format!("serial {old}")), "{talk}");
    let (shown, renewed) =
        (run(&["id", "show", "jane@a.example"]).0, std::fs::read_to_string(home.join("renewed")).expect("text"));
    assert!(shown.starts_with(renewed.split_inclusive("-----END CERTIFICATE-----\n").next().expect("one")), "{shown}");
    let listed = run(&["id", "list"]).0;
    assert_eq!((listed.lines().count(), listed.matches("locked, retired").count()), (2, 1), "{listed}");
    run(&["sign", &path("mail"), "--passphrase-file", &path("secret"), "-o", &path("signed")]);
    let (text, _) = run(&["decrypt", &path("encrypted"), "--passphrase-file", &path("secret")]);
    assert!(text.contains("old"), "{text}");
    // the same of a key that is not here: nothing of it is kept
    let key = ["ca", "issue", "joe@a.example", "--algorithm", "p256", "--p12", &path("joe.p12"), "-o", &path("joe")];
    run(&[&key[..], &["--passphrase-file", &path("secret")]].concat());
    let all = run(&["ca", "list"]).0;
    let joe = all.lines().find(|line| line.contains("joe@")).expect("his").split(' ').next().expect("a serial").to_owned();
    assert!(!run(&["ca", "renew", &joe, "-o", &path("again")]).1.contains("identity:"));
    assert_eq!(run(&["id", "list"]).0, listed);
}

#[test]
fn the_key_of_an_offline_root_is_in_its_file_and_nowhere_in_the_home() {
    if !support::peer("openssl") {
        return;
    }
    let (folder, stick) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let (home, root_key) = (folder.path(), stick.path().join("root.key").display().to_string());
    let path = |name: &str| stick.path().join(name).display().to_string();
    let init = ["ca", "init", "--name", "Example Org", "--algorithm", "p256", "--offline-root", "--root-key", &root_key];
    assert_eq!(sealpost(home, &init).0, 0);
    assert!(!home.join("ca/root.key").exists() && std::fs::exists(&root_key).expect("readable"));
    let (code, _, talk) = sealpost(home, &["ca", "crl", "-o", &path("two")]);
    assert!(code == 0 && talk.contains("the root is offline"), "{code} {talk}");
    let count = |name: &str| std::fs::read_to_string(path(name)).expect("text").matches("BEGIN X509 CRL").count();
    assert_eq!(sealpost(home, &["ca", "crl", "--root-key", &root_key, "-o", &path("three")]).0, 0);
    assert_eq!((count("two"), count("three")), (2, 3));
    assert_eq!(sealpost(home, &["ca", "export", "issuing", "-o", &path("before")]).0, 0);
    let (code, _, talk) = sealpost(home, &["ca", "renew-issuing"]);
    assert!(code == 8 && talk.contains("--root-key FILE"), "{code} {talk}");
    let wrong = home.join("ca/issuing.key").display().to_string();
    let (code, _, talk) = sealpost(home, &["ca", "renew-issuing", "--root-key", &wrong]);
    assert!(code == 8 && talk.contains("is not the key of the root"), "{code} {talk}");
    assert_eq!(sealpost(home, &["ca", "renew-issuing", "--root-key", &root_key]).0, 0);
    for (what, name) in [("issuing", "after"), ("root", "root")] {
        assert_eq!(sealpost(home, &["ca", "export", what, "-o", &path(name)]).0, 0);
    }
    let public = |name: &str| openssl(&["x509", "-noout", "-pubkey", "-in", &path(name)], b"");
    assert_eq!(public("before"), public("after"));
    openssl(&["verify", "-x509_strict", "-CAfile", &path("root"), &path("after")], b"");
    let again = ["ca", "init", "--name", "Second", "--offline-root", "--root-key", &root_key];
    let elsewhere = tempfile::tempdir().expect("a folder");
    let (code, _, talk) = sealpost(elsewhere.path(), &again);
    assert!(code == 8 && talk.contains("exists already"), "{code} {talk}");
    assert_eq!(sealpost(home, &["ca", "log", "--verify"]).0, 0);
}
