//! The ledger: it holds everything, and notices what was changed.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use sealpost::ca::records::verify;
use sealpost::ca::store::{self, Store};
use sealpost::ca::{Error, RevocationReason, Uses};
use sealpost::crypto::algorithm::KeyAlgorithm;
use sealpost::crypto::random::OsRandom;
use sealpost::keys::Error as KeysError;
use sealpost::secret::Secret;

use super::{Bench, at, key, sealpost};
use crate::support;

fn filled() -> Bench {
    let bench = Bench::new(KeyAlgorithm::P256);
    let serials =
        ["jane@a.example", "joe@b.example"].map(|who| bench.issue(who, &key(KeyAlgorithm::P256), Uses::Dual).serial_hex());
    bench.store.revoke(&serials[0], RevocationReason::KeyCompromise, at()).expect("revoked");
    bench.server(&["mail.a.example"], KeyAlgorithm::P256);
    bench.store.crl(at(), 7, &mut OsRandom).expect("signed");
    bench
}

#[test]
fn the_ledger_says_what_happened_in_order() {
    let bench = filled();
    let events = store::ledger(&bench.ca()).expect("unchanged");
    let words: Vec<String> = events.iter().map(|event| format!("{} {}", event.event, event.detail)).collect();
    let expected = [
        "init Bench & Söhne",
        "issue jane@a.example",
        "issue joe@b.example",
        "revoke key-compromise",
        "issue mail.a.example",
        "crl 1",
    ];
    assert_eq!(words, expected);
    assert!(events.iter().all(|event| event.time == at()));
    let issued = bench.store.issued().expect("readable");
    assert_eq!(issued.iter().filter(|one| one.revoked.is_some()).count(), 1);
    assert!(issued.iter().all(|one| events.iter().any(|e| e.event == "issue" && e.subject == one.certificate.serial_hex())));
}

#[test]
fn a_changed_line_is_noticed_wherever_it_stands() {
    let bench = filled();
    let path = bench.ca().join("ledger");
    let good = fs::read_to_string(&path).expect("text");
    let lines: Vec<&str> = good.lines().collect();
    let join = |lines: Vec<&str>| lines.iter().map(|line| format!("{line}\n")).collect::<String>();
    let mut changed = vec![
        ("another person", good.replace("jane@a.example", "jack@a.example"), 2),
        ("another reason", good.replace("key-compromise", "superseded"), 4),
        ("another time", good.replacen("2026-06-01", "2026-06-02", 1), 1),
        ("two lines swapped", join(vec![lines[0], lines[2], lines[1], lines[3], lines[4], lines[5]]), 2),
        ("a line twice", join([&lines[..3], &lines[2..]].concat()), 4),
        ("an empty line", join([&lines[..2], &[""], &lines[2..]].concat()), 3),
    ];
    for at in 0..5 {
        changed.push(("a line missing", join([&lines[..at], &lines[at + 1..]].concat()), at + 1));
    }
    for (what, text, line) in changed {
        fs::write(&path, text).expect("written");
        let error = store::ledger(&bench.ca()).expect_err(what).to_string();
        assert_eq!(error, format!("the ledger was changed – line {line} does not follow from those before"), "{what}");
        let refused = [Store::open(&bench.ca(), None).err(), store::issued(&bench.ca()).err(), verify(&bench.ca(), None).err()];
        assert!(refused.iter().all(|error| matches!(error, Some(Error::Changed(_)))), "{what}: {refused:?}");
    }
    // nothing follows from the last line, but it was acknowledged
    let last = lines[..5].iter().map(|line| line.len() + 1).sum::<usize>();
    for (what, length) in [("half a line", good.len() - 10), ("the last line missing", last)] {
        fs::write(&path, &good[..length]).expect("written");
        let error = Store::open(&bench.ca(), None).expect_err(what).to_string();
        assert_eq!(error, "the ledger was changed – line 6 is missing, or not whole", "{what}");
    }
    fs::write(&path, good).expect("written");
    assert_eq!(store::ledger(&bench.ca()).expect("as it was").len(), 6);
}

#[test]
fn the_program_says_that_the_ledger_was_changed() {
    let folder = tempfile::tempdir().expect("a folder");
    assert_eq!(sealpost(folder.path(), &["ca", "init", "--name", "Example Org"]).0, 0);
    assert_eq!(sealpost(folder.path(), &["ca", "log"]).0, 0);
    let path = folder.path().join("ca/ledger");
    fs::write(&path, fs::read_to_string(&path).expect("text").replace("Example", "Another")).expect("written");
    let (code, _, talk) = sealpost(folder.path(), &["ca", "log"]);
    assert!(code == 1 && talk.contains("the ledger was changed – line 1"), "{code} {talk}");
}

#[test]
fn a_full_disk_leaves_the_ledger_as_it_was() {
    if !support::peer("bash") {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    assert_eq!(sealpost(folder.path(), &["ca", "init", "--name", &"x".repeat(64)]).0, 0);
    let host = format!("{0}.{0}.{0}.a.example", "h".repeat(40));
    for at in 0..2 {
        let file = folder.path().join(at.to_string()).display().to_string();
        assert_eq!(sealpost(folder.path(), &["ca", "server-cert", &host, "-o", &file]).0, 0);
    }
    let ledger = folder.path().join("ca/ledger");
    let before = fs::read(&ledger).expect("read");
    assert!((512..1024).contains(&before.len()));
    // files may grow to 1024 bytes: the next line fits only in part
    let home = folder.path().display().to_string();
    let issue = r#"trap "" XFSZ; ulimit -f 1; exec "$0" --home "$1" --batch ca server-cert "$2""#;
    let hosts = ["-c", issue, env!("CARGO_BIN_EXE_sealpost"), &home, &host];
    let (code, out, talk) = support::run("bash", &hosts, b"");
    assert!(code != 0 && out.is_empty(), "{code} {talk}");
    assert_eq!(fs::read(&ledger).expect("read"), before, "{talk}");
    assert_eq!(sealpost(folder.path(), &["ca", "server-cert", &host, "-o", &format!("{home}/cert")]).0, 0);
    assert_eq!(sealpost(folder.path(), &["ca", "log"]).0, 0);
}

#[test]
fn an_authority_under_a_passphrase_opens_with_it_only() {
    let folder = tempfile::tempdir().expect("a folder");
    let passphrase = Secret::new("пароль 密码".as_bytes().to_vec());
    let made = Store::create(folder.path(), ("Locked", &[]), KeyAlgorithm::P256, Some(&passphrase), at(), &mut OsRandom);
    let root = made.expect("made").authority().root().clone();
    assert!(Store::is_locked(folder.path()).expect("readable"));
    assert!(matches!(Store::open(folder.path(), None), Err(Error::Keys(KeysError::PassphraseNeeded))));
    let wrong = Secret::new(b"other".to_vec());
    assert!(matches!(Store::open(folder.path(), Some(&wrong)), Err(Error::Keys(KeysError::WrongPassphrase))));
    assert_eq!(Store::open(folder.path(), Some(&passphrase)).expect("opens").authority().root(), &root);
    let again = Store::create(folder.path(), ("Second", &[]), KeyAlgorithm::P256, None, at(), &mut OsRandom);
    assert!(matches!(again, Err(Error::Refused(why)) if why.contains("holds an authority already")));
    for entry in fs::read_dir(folder.path()).expect("readable") {
        let entry = entry.expect("an entry");
        let (mode, name) = (entry.metadata().expect("there").permissions().mode() & 0o777, entry.file_name());
        assert_eq!(mode, 0o600, "{}", name.display());
        let is_key = entry.path().extension().is_some_and(|extension| extension == "key");
        let is_clear = !is_key || fs::read_to_string(entry.path()).expect("text").contains("ENCRYPTED PRIVATE KEY");
        assert!(is_clear, "{}", name.display());
    }
}
