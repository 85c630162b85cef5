//! NSS's `pk12util` reads what we write, and we read what it writes.

use sealpost::crypto::random::OsRandom;
use sealpost::keys::{Error, pkcs12};

use super::{PASSPHRASES, PEOPLE, load, person, same, secret};
use crate::support;

fn run(program: &str, args: &[&str]) -> String {
    let (code, stdout, stderr) = support::run(program, args, b"");
    assert_eq!(code, 0, "{program} {args:?}: {stderr}{}", String::from_utf8_lossy(&stdout));
    String::from_utf8_lossy(&stdout).into_owned()
}

#[test]
fn pk12util_takes_and_gives_back_the_same_key_and_certificate() {
    if !["certutil", "pk12util"].into_iter().all(support::peer) {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    for who in PEOPLE {
        // NSS derives keys slowly: an ASCII one, one of other scripts
        for (number, passphrase) in [PASSPHRASES[0], PASSPHRASES[2]].into_iter().enumerate() {
            // a database of its own: it must come from this file
            let database = format!("sql:{}", path(&format!("{who}-{number}")));
            std::fs::create_dir(path(&format!("{who}-{number}"))).expect("a folder");
            run("certutil", &["-N", "-d", &database, "--empty-password"]);
            let identity = person(who);
            let file = pkcs12::write(&identity, &secret(passphrase), who, &mut OsRandom).expect("written");
            std::fs::write(path("ours"), file).expect("written");
            let listed = run("pk12util", &["-l", &path("ours"), "-d", &database, "-W", passphrase]);
            assert!(listed.contains("Certificate(has private key)") && listed.contains("Encryption v2"), "{listed}");
            run("pk12util", &["-i", &path("ours"), "-d", &database, "-W", passphrase]);
            assert!(run("certutil", &["-K", "-d", &database]).contains(who));
            run("pk12util", &["-o", &path("theirs"), "-n", who, "-d", &database, "-W", passphrase]);
            let theirs = std::fs::read(path("theirs")).expect("written");
            let read = load(&theirs, passphrase).unwrap_or_else(|error| panic!("{who} {passphrase}: {error}"));
            assert!(same(&read, &identity), "{who} {passphrase}");
            assert!(matches!(load(&theirs, "other"), Err(Error::WrongPassphrase)));
        }
    }
}

#[test]
fn reads_what_pk12util_writes_with_ciphers_old_and_new() {
    if !["certutil", "pk12util"].into_iter().all(support::peer) {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let database = format!("sql:{}", folder.path().display());
    run("certutil", &["-N", "-d", &database, "--empty-password"]);
    let carol = person("carol");
    std::fs::write(path("ours"), pkcs12::write(&carol, &secret("secret"), "carol", &mut OsRandom).expect("written"))
        .expect("written");
    run("pk12util", &["-i", &path("ours"), "-d", &database, "-W", "secret"]);
    // each has 600 000 rounds
    for (cipher, passphrase) in [
        ("AES-128-CBC", "пароль 密码"),
        ("AES-256-CBC", ""),
        ("PKCS #12 V2 PBE With SHA-1 And 3KEY Triple DES-CBC", "пароль 密码"),
        ("PKCS #12 V2 PBE With SHA-1 And 3KEY Triple DES-CBC", ""),
        ("PKCS #12 V2 PBE With SHA-1 And 128 Bit RC2 CBC", "пароль 密码"),
    ] {
        let out = path("theirs");
        run("pk12util", &["-o", &out, "-n", "carol", "-d", &database, "-W", passphrase, "-c", cipher, "-C", cipher]);
        let read = load(&std::fs::read(&out).expect("written"), passphrase);
        let read = read.unwrap_or_else(|error| panic!("{cipher} {passphrase:?}: {error}"));
        assert!(same(&read, &carol), "{cipher} {passphrase:?}");
    }
}
