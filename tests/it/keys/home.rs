//! The home on disk: who may read it, and what a failed write leaves.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use sealpost::crypto::random::{OsRandom, Seeded};
use sealpost::keys::{Error, Home, Identity, files};

use super::{person, same, secret};

/// Every path below a folder, with its mode.
fn modes(folder: &Path) -> Vec<(PathBuf, bool, u32)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("readable") {
        let path = entry.expect("an entry").path();
        let metadata = fs::metadata(&path).expect("there");
        found.push((path.clone(), metadata.is_dir(), metadata.permissions().mode() & 0o7777));
        if metadata.is_dir() {
            found.extend(modes(&path));
        }
    }
    found
}

fn names(folder: &Path) -> Vec<String> {
    let name = |entry: std::io::Result<fs::DirEntry>| entry.expect("an entry").file_name().to_string_lossy().into_owned();
    let mut names: Vec<String> = fs::read_dir(folder).expect("readable").map(name).collect();
    names.sort();
    names
}

#[test]
fn files_are_0600_and_folders_0700() {
    let folder = tempfile::tempdir().expect("a folder");
    let home = Home::create(&folder.path().join("a/b/home")).expect("made");
    home.add_identity(&person("alice"), None, &mut OsRandom).expect("added");
    home.add_identity(&person("carol"), Some(&secret("secret")), &mut OsRandom).expect("added");
    home.add_contact(person("alice").certificate()).expect("added");
    home.add_trust(&person("alice").chain()[0]).expect("added");
    home.add_intermediate(&person("alice").chain()[0]).expect("added");
    let crl = fs::read(super::certs("issuing.crl")).expect("read");
    home.write_crl("issuing", &crl).expect("written");
    files::append(&home.path().join("log"), "a line").expect("appended");
    let found = modes(folder.path());
    for (path, is_folder, mode) in &found {
        assert_eq!(*mode, if *is_folder { 0o700 } else { 0o600 }, "{}", path.display());
    }
    assert_eq!(found.iter().filter(|(_, is_folder, _)| !is_folder).count(), 6 + 4 + 2, "with the lock and the line");
}

#[test]
fn a_key_under_a_passphrase_stands_nowhere_in_the_clear() {
    let folder = tempfile::tempdir().expect("a folder");
    let home = Home::create(folder.path()).expect("made");
    let carol = person("carol");
    home.add_identity(&carol, Some(&secret("пароль 密码")), &mut OsRandom).expect("added");
    let clear = sealpost::asn1::pem::encode("PRIVATE KEY", carol.private_key().to_pkcs8().expect("it may leave").expose());
    let line = clear.lines().nth(2).expect("three lines").to_owned();
    for (path, is_folder, _) in modes(folder.path()) {
        assert!(is_folder || !fs::read_to_string(&path).expect("text").contains(&line), "{}", path.display());
    }
    assert!(same(&home.unlock("carol@example.org", Some(&secret("пароль 密码"))).expect("unlocked"), &carol));
    assert!(matches!(home.unlock("carol@example.org", Some(&secret("other"))), Err(Error::WrongPassphrase)));
    assert!(matches!(home.unlock("carol@example.org", None), Err(Error::PassphraseNeeded)));
    assert!(matches!(home.unlock("alice@example.com", None), Err(Error::NotFound(_))));
}

#[test]
fn a_write_that_fails_leaves_nothing_and_keeps_what_was() {
    let folder = tempfile::tempdir().expect("a folder");
    let target = folder.path().join("target");
    // nothing can be renamed over a folder that is not empty
    fs::create_dir_all(target.join("inside")).expect("made");
    assert!(matches!(files::write(&target, b"key"), Err(Error::Io { path, .. }) if path == target));
    assert_eq!(names(folder.path()), ["target"]);
    assert_eq!(names(&target), ["inside"]);
    let missing = folder.path().join("missing/file");
    assert!(matches!(files::write(&missing, b"key"), Err(Error::Io { path, .. }) if path == missing));
    assert_eq!(names(folder.path()), ["target"]);
}

#[test]
fn a_write_replaces_the_whole_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("file");
    fs::write(&path, "what was there before, and longer").expect("written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("set");
    files::write(&path, b"new").expect("written");
    assert_eq!(fs::read(&path).expect("read"), b"new");
    assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
    assert_eq!(names(folder.path()), ["file"]);
}

#[test]
fn an_identity_whose_writing_did_not_end_is_passed_over() {
    let folder = tempfile::tempdir().expect("a folder");
    let home = Home::create(folder.path()).expect("made");
    home.add_identity(&person("carol"), None, &mut OsRandom).expect("added");
    let unfinished = folder.path().join("identities/alice@example.com-0000000000000000");
    fs::create_dir(&unfinished).expect("made");
    fs::write(unfinished.join("key.pem"), "half a").expect("written");
    let found = home.identities().expect("the others are there");
    assert_eq!(found.len(), 1);
    assert!(same(&home.unlock("carol@example.org", None).expect("unlocked"), &person("carol")));
}

#[test]
fn an_identity_without_a_chain_is_kept_and_found() {
    let folder = tempfile::tempdir().expect("a folder");
    let home = Home::create(folder.path()).expect("made");
    let carol = person("carol");
    let alone = Identity::new(carol.private_key().clone(), carol.certificate().clone(), Vec::new()).expect("hers");
    home.add_identity(&alone, None, &mut OsRandom).expect("added");
    assert!(same(&home.unlock("carol@example.org", None).expect("unlocked"), &alone));
}

#[test]
fn of_two_keys_the_one_that_may_sign_is_found_for_signing() {
    use sealpost::ca::{Authority, MailProfile, Uses};
    use sealpost::crypto::{algorithm::KeyAlgorithm, key::PrivateKey};
    use sealpost::time::Timestamp;
    let at = Timestamp::parse_rfc3339("2026-06-01T00:00:00Z").expect("a time");
    let random = &mut Seeded::new(b"two keys");
    let (authority, _) = Authority::create("Two Keys", &["a.example"], KeyAlgorithm::P256, at, random).expect("made");
    let folder = tempfile::tempdir().expect("a folder");
    let home = Home::create(folder.path()).expect("made");
    for (uses, at) in [(Uses::Sign, at), (Uses::Encrypt, at.plus_days(1))] {
        let key = PrivateKey::generate(KeyAlgorithm::P256, random).expect("a key");
        let profile = MailProfile::new("jane@a.example").uses(uses).days(30);
        let certificate = authority.issue(&profile, key.public_key(), at, random).expect("issued");
        let identity = Identity::new(key, certificate, Vec::new()).expect("its own");
        home.add_identity(&identity, None, random).expect("added");
    }
    let found = home.find("jane@a.example").expect("readable").expect("found").certificate;
    assert!(found.key_usage().expect("a key usage").allows(sealpost::pki::Usage::DigitalSignature));
    assert_eq!(home.unlock_all(None).expect("unlocked").identities.len(), 2, "both decrypt");
}

#[test]
fn a_damaged_file_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let home = Home::create(folder.path()).expect("made");
    home.add_identity(&person("alice"), None, &mut OsRandom).expect("added");
    home.add_contact(person("carol").certificate()).expect("added");
    home.add_trust(&person("alice").chain()[0]).expect("added");
    home.write_crl("issuing", &fs::read(super::certs("issuing.crl")).expect("read")).expect("written");
    let letter = folder.path().join("letter");
    fs::write(&letter, "From: alice@example.com\r\nTo: carol@example.org\r\n\r\nhi\r\n").expect("written");
    let encrypt = || {
        let paths = [folder.path(), &letter].map(|path| path.to_str().expect("text"));
        crate::support::run(env!("CARGO_BIN_EXE_sealpost"), &["--home", paths[0], "encrypt", paths[1]], b"")
    };
    let said = |path: &Path, read: &dyn Fn() -> Option<Error>| {
        let whole = fs::read(path).expect("there");
        fs::write(path, "no certificate").expect("written");
        let error = read().expect("refused").to_string();
        assert!(error.contains(&format!("{} cannot be read – ", path.display())), "{error}");
        assert!(error.ends_with("; move it away, and bring again what it held"), "{error}");
        fs::write(path, whole).expect("written");
    };
    let one = |kind: &str| files::list(&folder.path().join(kind)).expect("listed").remove(0);
    said(&one("contacts"), &|| home.contacts().err());
    said(&one("trust"), &|| home.trust_anchors().err());
    said(&one("crls"), &|| home.crls().err());
    said(&one("identities").join("cert.pem"), &|| home.identities().err());
    assert_eq!(encrypt().0, 0);
    fs::write(one("contacts"), "no certificate").expect("written");
    let (code, _, talk) = encrypt();
    assert!(code == 9 && talk.contains("cannot be read"), "it looked like a contact that is not there: {code} {talk}");
}

#[test]
fn what_a_crash_left_of_another_identity_is_removed() {
    let folder = tempfile::tempdir().expect("a folder");
    let home = Home::create(folder.path()).expect("made");
    let left = folder.path().join("identities/joe@a.example-0000000000000000");
    fs::create_dir_all(&left).expect("made");
    fs::write(left.join(".new-half"), "-----BEGIN PRIVATE KEY").expect("written");
    home.add_identity(&person("alice"), None, &mut OsRandom).expect("added");
    assert!(names(&left).is_empty());
}
