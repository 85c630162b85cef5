//! The records after crashes, among several processes, and taken over from version 0.1.0.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use sealpost::asn1::pem;
use sealpost::ca::records::{Records, Serial, Status, verify};
use sealpost::ca::store::{self, ListKind, Order, OrderKey, Store};
use sealpost::ca::{Error, Issuer, RevocationReason, Uses};
use sealpost::crypto::algorithm::{DigestAlgorithm, KeyAlgorithm};
use sealpost::crypto::digest;
use sealpost::crypto::random::OsRandom;
use sealpost::pki::Certificate;

use super::{Bench, at, key, profile, sealpost};

/// Puts the files of one folder into another as they are.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("made");
    for entry in fs::read_dir(from).expect("readable") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("copied");
        }
    }
}

/// A writer's turn that writes nothing: it only puts right what a crash left.
fn heal(folder: &Path) -> Result<(), Error> {
    Store::open(folder, None)?.suspend("nobody@a.example", at()).map(drop)
}

#[test]
fn a_line_that_was_not_acknowledged_is_cut_wherever_it_was_torn() {
    let bench = Bench::new(KeyAlgorithm::P256);
    bench.issue("jane@a.example", &key(KeyAlgorithm::P256), Uses::Dual);
    let read = |name: &str| fs::read(bench.ca().join(name)).expect("read");
    let (ledger, certificates, head) = (read("ledger"), read("certificates"), read("head"));
    let second = bench.issue("joe@b.example", &key(KeyAlgorithm::P256), Uses::Dual);
    let (longer, more) = (read("ledger"), read("certificates"));
    let write = |name: &str, bytes: &[u8]| fs::write(bench.ca().join(name), bytes).expect("written");
    let (known, serial) = (ledger.len(), Serial::from_bytes(second.serial()).expect("a number"));
    for cut in known..longer.len() {
        // the certificate was written and synced before
        write("ledger", &longer[..cut]);
        write("certificates", &more);
        write("head", &head);
        // who only reads takes no notice of what is being written
        assert_eq!(Records::open(&bench.ca()).expect("readable").events(), 2, "{cut}");
        heal(&bench.ca()).unwrap_or_else(|error| panic!("{cut}: {error}"));
        assert_eq!((read("ledger"), read("certificates")), (ledger.clone(), certificates.clone()), "{cut}");
    }
    for cut in certificates.len()..=more.len() {
        write("ledger", &ledger);
        write("certificates", &more[..cut]);
        heal(&bench.ca()).unwrap_or_else(|error| panic!("{cut}: {error}"));
        assert_eq!(read("certificates"), certificates, "{cut}");
    }
    // the whole line counts, acknowledged or not
    write("ledger", &longer);
    write("certificates", &more);
    heal(&bench.ca()).expect("whole");
    assert_eq!(Records::open(&bench.ca()).expect("readable").certificate(&serial).expect("readable"), Some(second));
    assert_eq!(verify(&bench.ca(), None).expect("all as written").certificates, 2);
}

#[test]
fn a_line_that_was_acknowledged_is_missed_wherever_it_was_cut() {
    let bench = Bench::new(KeyAlgorithm::P256);
    let before = fs::read(bench.ca().join("ledger")).expect("read").len();
    bench.issue("jane@a.example", &key(KeyAlgorithm::P256), Uses::Dual);
    let (ledger, certificates) = (bench.ca().join("ledger"), bench.ca().join("certificates"));
    let (lines, log) = (fs::read(&ledger).expect("read"), fs::read(&certificates).expect("read"));
    for cut in before..lines.len() {
        fs::write(&ledger, &lines[..cut]).expect("written");
        for refused in [Records::open(&bench.ca()).err(), Store::open(&bench.ca(), None).err(), verify(&bench.ca(), None).err()] {
            assert!(matches!(&refused, Some(Error::Changed(why)) if why.contains("line 2 is missing")), "{cut}: {refused:?}");
        }
    }
    fs::write(&ledger, &lines).expect("written");
    for cut in 0..log.len() {
        fs::write(&certificates, &log[..cut]).expect("written");
        let refused = heal(&bench.ca());
        assert!(
            matches!(&refused, Err(Error::Changed(why)) if why.contains("shorter than the ledger says")),
            "{cut}: {refused:?}"
        );
    }
}

#[test]
fn every_changed_byte_of_a_certificate_is_noticed() {
    let bench = Bench::new(KeyAlgorithm::P256);
    for who in ["jane", "joe"] {
        bench.issue(&format!("{who}@a.example"), &key(KeyAlgorithm::P256), Uses::Dual);
    }
    let path = bench.ca().join("certificates");
    let good = fs::read(&path).expect("read");
    let second = 4 + usize::try_from(u32::from_be_bytes(good[..4].try_into().expect("four bytes"))).expect("small");
    for at in 0..good.len() {
        let mut changed = good.clone();
        changed[at] ^= 0x10;
        fs::write(&path, changed).expect("written");
        let line = if at < second { "line 2 " } else { "line 3 " };
        let refused = verify(&bench.ca(), None).expect_err("changed").to_string();
        assert!(refused.starts_with("the certificates were changed – ") && refused.contains(line), "{at}: {refused}");
    }
    fs::write(&path, good).expect("written");
    verify(&bench.ca(), None).expect("as it was");
}

/// The lines of a ledger with right hashes, by who can compute them.
fn chained(texts: &[String]) -> String {
    let mut before = String::new();
    let mut ledger = String::new();
    for text in texts {
        let hash = digest::of(DigestAlgorithm::Sha256, format!("{before}\n{text}").as_bytes());
        before = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        ledger.push_str(&format!("{before} {text}\n"));
    }
    ledger
}

#[test]
fn a_ledger_that_was_written_anew_does_not_fit_what_the_issuing_ca_signed() {
    let bench = Bench::new(KeyAlgorithm::P256);
    let serial = bench.issue("jane@a.example", &key(KeyAlgorithm::P256), Uses::Dual).serial_hex();
    bench.store.revoke(&serial, RevocationReason::KeyCompromise, at()).expect("revoked");
    assert_eq!(verify(&bench.ca(), None).expect("all as written").signed, None);
    bench.store.crl(at(), 7, &mut OsRandom).expect("signed");
    let kept = bench.folder.path().join("kept.pem");
    fs::copy(bench.ca().join("head.pem"), &kept).expect("copied");
    assert_eq!(verify(&bench.ca(), Some(&kept)).expect("all as written").signed, Some((4, at())));
    let ledger = fs::read_to_string(bench.ca().join("ledger")).expect("text");
    let texts: Vec<String> = ledger.lines().map(|line| line[65..].to_owned()).collect();
    assert_eq!(chained(&texts), ledger);
    let forged = |texts: &[String]| {
        fs::write(bench.ca().join("ledger"), chained(texts)).expect("written");
        drop(fs::remove_file(bench.ca().join("head")));
        verify(&bench.ca(), Some(&kept)).expect_err("forged").to_string()
    };
    let milder: Vec<String> = texts.iter().map(|text| text.replace("key-compromise", "superseded")).collect();
    assert_eq!(forged(&milder), "the ledger was changed – line 4 is not the one that the issuing CA signed");
    assert_eq!(forged(&texts[..2]), "the ledger was changed – line 3 is missing – the issuing CA signed a longer ledger");
    fs::remove_file(bench.ca().join("head.pem")).expect("removed");
    assert_eq!(forged(&texts[..2]), "the ledger was changed – line 3 is missing – the issuing CA signed a longer ledger");
    fs::write(bench.ca().join("ledger"), ledger).expect("written");
    let other = Bench::new(KeyAlgorithm::P256);
    let foreign = verify(&other.ca(), Some(&kept)).expect_err("of another CA").to_string();
    assert!(foreign.contains("the issuing CA did not sign it"), "{foreign}");
}

#[test]
fn tables_on_disk_say_what_the_ledger_says_and_are_made_anew() {
    let bench = Bench::new(KeyAlgorithm::P256);
    let public = key(KeyAlgorithm::P256).public_key().clone();
    let order = Order { profile: profile("jane@a.example", Uses::Dual), key: OrderKey::Public(public.clone()) };
    let made = bench.store.issue_all(&vec![order; 700], at(), &mut OsRandom).expect("issued");
    let serials: Vec<Serial> = made
        .iter()
        .map(|one| Serial::from_bytes(one.as_ref().expect("issued").certificate.serial()).expect("a number"))
        .collect();
    assert_eq!(bench.store.suspend("jane@a.example", at()).expect("on hold").len(), 700);
    assert_eq!(bench.store.resume("jane@a.example", at()).expect("released").len(), 700);
    bench.store.revoke(&serials[7].to_string(), RevocationReason::Superseded, at()).expect("revoked");
    assert!(bench.ca().join("checkpoint").exists());
    bench.store.revoke(&serials[8].to_string(), RevocationReason::Superseded, at()).expect("revoked");
    let check = || {
        let records = Records::open(&bench.ca()).expect("readable");
        let states: Vec<Status> = serials.iter().map(|serial| records.status(serial).expect("readable")).collect();
        let revoked: Vec<usize> = (0..700).filter(|at| states[*at] != Status::Good).collect();
        assert_eq!(revoked, [7, 8]);
        for (serial, one) in serials.iter().zip(&made).step_by(50) {
            let found = records.certificate(serial).expect("readable").expect("known");
            assert_eq!(found, one.as_ref().expect("issued").certificate);
        }
        let verified = verify(&bench.ca(), None).expect("all as written");
        assert_eq!((verified.certificates, verified.revoked), (700, 2));
    };
    check();
    // a table that was changed is noticed, and made anew when its checkpoint is gone
    let table = fs::read_dir(bench.ca().join("index")).expect("there").map(|e| e.expect("an entry").path());
    let table = table.into_iter().find(|path| path.display().to_string().contains("changes-")).expect("a table");
    let mut bytes = fs::read(&table).expect("read");
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&table, bytes).expect("written");
    assert!(verify(&bench.ca(), None).expect_err("changed").to_string().contains("the index says something else"));
    fs::remove_file(bench.ca().join("checkpoint")).expect("removed");
    check();
    // so it is when the table is gone, or the checkpoint cannot be read
    heal(&bench.ca()).expect("whole");
    fs::write(bench.ca().join("checkpoint"), "half of").expect("written");
    check();
    assert_eq!(
        bench.store.list(Issuer::Mail, ListKind::Complete, (at(), at().plus_days(7)), &mut OsRandom).expect("signed").len(),
        2
    );
}

#[test]
fn a_batch_refuses_what_it_must_and_issues_the_rest() {
    let bench = Bench::new(KeyAlgorithm::P384);
    let order = |who: &str| Order { profile: profile(who, Uses::Dual), key: OrderKey::New(KeyAlgorithm::P256) };
    let orders = ["jane@a.example", "eve@c.example", "joe@b.example"].map(order);
    let made = bench.store.issue_all(&orders, at(), &mut OsRandom).expect("issued");
    let words: Vec<bool> = made.iter().map(Result::is_ok).collect();
    assert_eq!(words, [true, false, true]);
    assert!(made[1].as_ref().expect_err("not its domain").to_string().contains("may vouch for"));
    for one in made.iter().flatten() {
        let key = one.key.as_ref().expect("its key");
        assert!(*key.public_key() == one.certificate.public_key().expect("a key"));
    }
    assert_eq!(store::issued(&bench.ca()).expect("readable").len(), 2);
}

/// The records as version 0.1.0 wrote them.
fn old_form(bench: &Bench, certificates: &[(&str, Certificate)], revoked: &Certificate) {
    let authority = bench.store.authority();
    let mut texts = vec![format!("2026-06-01T00:00:00Z init {} Bench & Söhne", authority.root().serial_hex())];
    fs::create_dir(bench.ca().join("issued")).expect("made");
    for (who, certificate) in certificates {
        texts.push(format!("2026-06-01T00:00:01Z issue {} {who}", certificate.serial_hex()));
        let path = bench.ca().join("issued").join(format!("{}.pem", certificate.serial_hex()));
        fs::write(path, pem::encode("CERTIFICATE", certificate.der())).expect("written");
    }
    // in the ledger, and the writer was interrupted before the file
    texts.push("2026-06-01T00:00:02Z issue 4badc0de lost@a.example".to_owned());
    texts.push(format!("2026-06-01T00:00:03Z revoke {} key-compromise", revoked.serial_hex()));
    texts.push("2026-06-01T00:00:04Z crl 6 1".to_owned());
    fs::write(bench.ca().join("ledger"), chained(&texts)).expect("written");
    drop(fs::remove_file(bench.ca().join("head")));
}

#[test]
fn records_of_before_are_taken_over_also_after_an_interruption() {
    let bench = Bench::new(KeyAlgorithm::P256);
    let authority = bench.store.authority();
    let public = key(KeyAlgorithm::P256).public_key().clone();
    let issue = |who: &str| authority.issue(&profile(who, Uses::Dual), &public, at(), &mut OsRandom).expect("issued");
    let server = sealpost::ca::ServerProfile { hosts: vec!["mail.a.example".to_owned()], days: 90 };
    let server = authority.new_server(&server, KeyAlgorithm::P256, at(), &mut OsRandom).expect("issued").certificate().clone();
    let all = [
        ("jane@a.example", issue("jane@a.example")),
        ("mail.a.example", server.clone()),
        ("joe@b.example", issue("joe@b.example")),
    ];
    old_form(&bench, &all, &server);
    let old = bench.folder.path().join("old");
    copy(&bench.ca(), &old);
    let check = |folder: &Path| {
        let issued = store::issued(folder).expect("readable");
        let serials: BTreeSet<String> = issued.iter().map(|one| one.certificate.serial_hex()).collect();
        assert_eq!(serials, all.iter().map(|one| one.1.serial_hex()).collect());
        assert_eq!(issued.len(), 3);
        let verified = verify(folder, None).expect("all as written");
        assert_eq!((verified.certificates, verified.revoked), (3, 1));
        let opened = Store::open(folder, None).expect("opens");
        assert_eq!(opened.server_crl(at(), 7, &mut OsRandom).expect("signed").len(), 1);
        assert_eq!(opened.crl(at(), 7, &mut OsRandom).expect("signed").len(), 0);
        assert!(!folder.join("issued").exists() && folder.join("issued-0.1.0").exists());
    };
    // `ca list` alone takes them over
    check(&bench.ca());
    // interrupted after the certificates, within the lines, after the lines
    let new = [fs::read(bench.ca().join("certificates")).expect("read"), fs::read(bench.ca().join("ledger")).expect("read")];
    let adopted = String::from_utf8_lossy(&new[1]).match_indices(" adopt ").nth(1).expect("two").0;
    for (certificates, ledger) in [(10, 0), (new[0].len(), 0), (new[0].len(), adopted), (new[0].len(), new[1].len())] {
        let folder = bench.folder.path().join("again");
        drop(fs::remove_dir_all(&folder));
        copy(&old, &folder);
        fs::write(folder.join("certificates"), &new[0][..certificates]).expect("written");
        if ledger > 0 {
            fs::write(folder.join("ledger"), &new[1][..ledger]).expect("written");
        }
        check(&folder);
    }
}

#[test]
fn several_processes_issue_at_once_and_nothing_is_lost() {
    let folder = tempfile::tempdir().expect("a folder");
    let home = folder.path();
    assert_eq!(sealpost(home, &["ca", "init", "--name", "Example Org", "--algorithm", "p256"]).0, 0);
    let one = |who: usize| {
        let (code, out, talk) = sealpost(home, &["ca", "server-cert", &format!("host{who}.a.example")]);
        assert_eq!(code, 0, "{talk}");
        let certificate = pem::parse_all(&out).expect("PEM").into_iter().find(|block| block.label == "CERTIFICATE").expect("one");
        Certificate::from_der(&certificate.der).expect("a certificate").serial_hex()
    };
    let given: BTreeSet<String> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|t| scope.spawn(move || (0..4).map(|i| one(t * 4 + i)).collect::<Vec<_>>())).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("done")).collect()
    });
    let ca = home.join("ca");
    let issued: BTreeSet<String> = store::issued(&ca).expect("readable").iter().map(|one| one.certificate.serial_hex()).collect();
    assert_eq!((given.len(), issued), (16, given));
    assert_eq!(verify(&ca, None).expect("all as written").certificates, 16);
}

/// Runs the program and kills it after a while; gives what it wrote, where it was done before.
fn killed_after(home: &str, args: &[&str], after: Duration) -> Option<Vec<u8>> {
    let all = [&["--home", home, "--batch"], args].concat();
    let mut command = Command::new(env!("CARGO_BIN_EXE_sealpost"));
    let mut child = command.args(&all).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("starts");
    let start = Instant::now();
    while start.elapsed() < after {
        std::hint::spin_loop();
    }
    drop(child.kill());
    let output = child.wait_with_output().expect("ended");
    output.status.success().then_some(output.stdout)
}

#[test]
fn a_killed_writer_loses_nothing_that_it_gave_out_and_does_nothing_twice() {
    // whole with SEALPOST_KILLS=1000; fewer are enough to see that it works
    let rounds: u32 = std::env::var("SEALPOST_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(60);
    let folder = tempfile::tempdir().expect("a folder");
    let (home, ca) = (folder.path().display().to_string(), folder.path().join("ca"));
    assert_eq!(sealpost(folder.path(), &["ca", "init", "--name", "Example Org", "--algorithm", "p256"]).0, 0);
    let start = Instant::now();
    let issue = ["ca", "server-cert", "mail.a.example"];
    killed_after(&home, &issue, Duration::from_secs(0));
    assert_eq!(sealpost(folder.path(), &issue).0, 0);
    let mut whole = start.elapsed();
    let (mut given, mut revoked, mut killed) = (BTreeSet::new(), BTreeSet::new(), 0);
    for round in 0..rounds {
        let after = whole * (round % 60) / 40;
        match killed_after(&home, &issue, after) {
            Some(out) => {
                let blocks = pem::parse_all(&out).expect("PEM");
                let der = &blocks.iter().find(|block| block.label == "CERTIFICATE").expect("one").der;
                assert!(given.insert(Certificate::from_der(der).expect("a certificate").serial_hex()), "twice");
            }
            // a machine that became busy takes longer than it did
            None => (killed, whole) = (killed + 1, whole.max(after)),
        }
        let next = given.iter().find(|serial| !revoked.contains(*serial)).cloned();
        if let Some(serial) = next
            && killed_after(&home, &["ca", "revoke", &serial], after).is_some()
        {
            revoked.insert(serial);
        }
        if let Err(error) = verify(&ca, None) {
            panic!("round {round}: {error}");
        }
        // a revocation that was written before the kill is not told, and stands: then it is refused once more
        let records = Records::open(&ca).expect("readable");
        for serial in given.iter().filter_map(|serial| Serial::from_hex(serial)) {
            let state = records.status(&serial).expect("readable");
            let is_told = revoked.contains(&serial.to_string());
            assert!(
                if is_told { matches!(state, Status::Revoked(_)) } else { state != Status::Unknown },
                "round {round}: {serial}"
            );
            if matches!(state, Status::Revoked(_)) {
                revoked.insert(serial.to_string());
            }
        }
    }
    assert!(killed > 0 && !given.is_empty(), "{killed} killed, {} not", given.len());
    heal(&ca).expect("whole");
    verify(&ca, None).expect("all as written");
    eprintln!("{rounds} rounds: {killed} issues killed, {} certificates given out, {} revoked", given.len(), revoked.len());
}
