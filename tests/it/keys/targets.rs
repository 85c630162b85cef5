//! PKCS#12 files for each program that `--for` names, read by OpenSSL (old and new, with and without its legacy provider), NSS and Java.

use sealpost::ca::{Authority, MailProfile, Uses};
use sealpost::crypto::algorithm::KeyAlgorithm;
use sealpost::crypto::key::PrivateKey;
use sealpost::crypto::random::{OsRandom, Seeded};
use sealpost::keys::pkcs12::{self, Target};
use sealpost::keys::{self, Error, Identity};
use sealpost::limits::Limits;
use sealpost::secret::Secret;
use sealpost::time::Timestamp;

use super::{PASSPHRASES, PEOPLE, holds, load, person, same, secret};
use crate::support;

const TARGETS: [Target; 4] = [Target::Modern, Target::Apple, Target::Windows, Target::Thunderbird];

/// A name in two scripts beside ASCII.
const NAME: &str = "Jürgen 密";

fn file_for(target: Target, identities: &[Identity], passphrase: &str) -> Vec<u8> {
    pkcs12::write_for(target, identities, (&secret(passphrase), NAME), &mut OsRandom).expect("written")
}

/// Jane's signing key and the one that decrypts, each with its certificate and the CA's.
fn jane() -> Vec<Identity> {
    let random = &mut Seeded::new(b"targets");
    let at = Timestamp::parse_rfc3339("2026-06-01T00:00:00Z").expect("a time");
    let (authority, _) = Authority::create("Targets", &["a.example"], KeyAlgorithm::P256, at, random).expect("made");
    let identity = |uses| {
        let key = PrivateKey::generate(KeyAlgorithm::P256, random).expect("a key");
        let profile = MailProfile::new("jane@a.example").uses(uses).days(30);
        let certificate = authority.issue(&profile, key.public_key(), at, random).expect("issued");
        Identity::new(key, certificate, vec![authority.issuing().clone()]).expect("its own")
    };
    [Uses::Sign, Uses::Encrypt].map(identity).into()
}

/// Both OpenSSLs, with and without the provider of old algorithms.
fn openssls() -> Vec<(String, &'static [&'static str])> {
    let mut found: Vec<(String, &'static [&'static str])> = Vec::new();
    if support::peer("openssl") {
        found.extend([("openssl".to_owned(), &[][..]), ("openssl".to_owned(), &["-legacy"][..])]);
    }
    if let Some(program) = support::named_peer("SEALPOST_OPENSSL4") {
        found.push((program, &[]));
    }
    found
}

#[test]
fn openssl_reads_what_is_written_for_each_program() {
    // each has some 100 000 rounds, so each target has one file: of RSA and EC, under ASCII and another script
    let people =
        [(PEOPLE[0], PASSPHRASES[2]), (PEOPLE[1], PASSPHRASES[2]), (PEOPLE[1], PASSPHRASES[1]), (PEOPLE[0], PASSPHRASES[0])];
    for (target, (who, passphrase)) in TARGETS.into_iter().zip(people) {
        let file = file_for(target, &[person(who)], passphrase);
        for (program, more) in openssls() {
            let pass = format!("pass:{passphrase}");
            let args = [&["pkcs12", "-nodes", "-passin", &pass], more].concat();
            let (code, read, talk) = support::run(&program, &args, &file);
            assert_eq!(code, 0, "{program} {more:?} {target:?}: {talk}");
            assert!(holds(&read, &person(who)), "{program} {more:?} {target:?} {who}");
            assert!(String::from_utf8_lossy(&read).contains("friendlyName: J"), "{target:?}");
        }
        if support::peer("openssl") {
            let (code, ..) = support::run("openssl", &["pkcs12", "-nodes", "-passin", "pass:other"], &file);
            assert_ne!(code, 0, "{target:?}");
        }
    }
}

#[test]
fn each_target_is_protected_as_its_programs_read_it() {
    if !support::peer("openssl") {
        return;
    }
    let aes = |rounds: u32| format!("PBES2, PBKDF2, AES-256-CBC, Iteration {rounds}, PRF hmacWithSHA256");
    for (target, mac, scheme) in [
        (Target::Modern, "MAC: sha256, Iteration 600000", aes(600_000)),
        (Target::Thunderbird, "MAC: sha256, Iteration 600000", aes(600_000)),
        (Target::Windows, "MAC: sha256, Iteration 250000", aes(250_000)),
        (Target::Apple, "MAC: sha1, Iteration 100000", "pbeWithSHA1And3-KeyTripleDES-CBC, Iteration 100000".to_owned()),
    ] {
        let file = file_for(target, &[person("alice")], "secret");
        let (code, out, info) = support::run("openssl", &["pkcs12", "-info", "-nodes", "-passin", "pass:secret"], &file);
        assert_eq!(code, 0, "{info}");
        assert!(info.contains(mac), "{info}");
        assert_eq!(info.matches(&scheme).count(), 2, "{info}");
        let provider = "Microsoft CSP Name: Microsoft Enhanced RSA and AES Cryptographic Provider";
        assert_eq!(String::from_utf8_lossy(&out).contains(provider), target == Target::Windows);
    }
}

#[test]
fn nss_takes_what_is_written_for_each_program() {
    if !["certutil", "pk12util"].into_iter().all(support::peer) {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    // `modern` is tried in `nss.rs`
    for target in [Target::Apple, Target::Windows, Target::Thunderbird] {
        let database = format!("sql:{}", path(target.name()));
        std::fs::create_dir(path(target.name())).expect("a folder");
        std::fs::write(path("ours"), file_for(target, &[person("carol")], PASSPHRASES[2])).expect("written");
        for args in [
            &["certutil", "-N", "-d", &database, "--empty-password"][..],
            &["pk12util", "-i", &path("ours"), "-d", &database, "-W", PASSPHRASES[2]],
        ] {
            let (code, out, talk) = support::run(args[0], &args[1..], b"");
            assert_eq!(code, 0, "{target:?}: {talk}{}", String::from_utf8_lossy(&out));
        }
        let (_, keys, _) = support::run("certutil", &["-K", "-d", &database], b"");
        assert!(String::from_utf8_lossy(&keys).contains(NAME), "{target:?}: {}", String::from_utf8_lossy(&keys));
    }
}

/// What `keytool` lists; in UTF-8, which Java takes from the locale otherwise.
fn keytool_list(file: &str, passphrase: &str) -> String {
    let common = ["LC_ALL=C.UTF-8", "keytool", "-J-Duser.language=en", "-J-Dstdout.encoding=UTF-8"];
    let list = ["-list", "-v", "-storetype", "PKCS12", "-storepass", passphrase, "-keystore", file];
    let (code, out, talk) = support::run("env", &[&common[..], &list].concat(), b"");
    let text = String::from_utf8_lossy(&out).into_owned();
    assert_eq!(code, 0, "{talk}{text}");
    text
}

#[test]
fn java_lists_what_is_written_for_each_program() {
    if !support::peer("keytool") {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ours").display().to_string();
    // Java takes no passphrase beyond ASCII
    for target in TARGETS {
        std::fs::write(&path, file_for(target, &[person("alice")], PASSPHRASES[0])).expect("written");
        let listed = keytool_list(&path, PASSPHRASES[0]);
        assert!(listed.contains("PrivateKeyEntry") && listed.contains("Certificate chain length: 2"), "{target:?}: {listed}");
        assert!(listed.to_lowercase().contains(&format!("alias name: {}", NAME.to_lowercase())), "{target:?}: {listed}");
    }
}

#[test]
fn two_keys_go_into_one_file_and_come_out_as_two_identities() {
    let both = jane();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ours").display().to_string();
    for target in TARGETS {
        let file = file_for(target, &both, "secret");
        let read = keys::load::identities(&file, Some(&secret("secret")), &Limits::default()).expect("read");
        assert_eq!(read.len(), 2);
        assert!(same(&read[0], &both[0]) && same(&read[1], &both[1]), "{target:?}: the signing one first");
        let content = pkcs12::read(&file, Some(&secret("secret")), &Limits::default()).expect("read");
        let names: Vec<_> = content.keys.iter().filter_map(|key| key.name.clone()).collect();
        assert_eq!(names, [NAME.to_owned(), format!("{NAME} 2")]);
        assert_eq!(content.certificates.len(), 3, "the authority once");
    }
    if support::peer("keytool") {
        std::fs::write(&path, file_for(Target::Modern, &both, "secret")).expect("written");
        let listed = keytool_list(&path, "secret");
        assert_eq!(listed.matches("PrivateKeyEntry").count(), 2, "{listed}");
    }
    let file = file_for(Target::Apple, &both, "secret");
    for (program, more) in openssls() {
        let args = [&["pkcs12", "-nodes", "-passin", "pass:secret"], more].concat();
        let (code, out, talk) = support::run(&program, &args, &file);
        assert_eq!(code, 0, "{talk}");
        assert_eq!(String::from_utf8_lossy(&out).matches("BEGIN PRIVATE KEY").count(), 2);
    }
}

#[test]
fn refuses_to_write_under_no_passphrase_or_one_that_is_no_text() {
    let write = |passphrase: &[u8]| {
        let passphrase = Secret::new(passphrase.to_vec());
        pkcs12::write_for(Target::Modern, &[person("carol")], (&passphrase, "carol"), &mut Seeded::new(b"none"))
    };
    assert!(matches!(write(b""), Err(Error::PassphraseNeeded)));
    let error = write(b"\xff\xfe").expect_err("not text").to_string();
    assert!(error.contains("not UTF-8"), "{error}");
}

#[test]
fn what_is_written_is_read_here_under_every_passphrase() {
    for (target, passphrase) in TARGETS.iter().zip(PASSPHRASES) {
        let file = file_for(*target, &[person("carol")], passphrase);
        assert!(same(&load(&file, passphrase).expect("read"), &person("carol")), "{target:?}");
        assert!(matches!(load(&file, "other"), Err(Error::WrongPassphrase)), "{target:?}");
    }
}
