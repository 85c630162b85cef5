//! Key files with their certificates as `openssl` writes them, and ours as it reads them.

use sealpost::crypto::Error as CryptoError;
use sealpost::crypto::key::PrivateKey;
use sealpost::crypto::random::OsRandom;
use sealpost::keys::{self, Error};
use sealpost::limits::Limits;

use super::{PASSPHRASES, PEOPLE, certificate_file, certs, key_file, load, person, same, secret};
use crate::support;

fn openssl(args: &[&str], input: &[u8]) -> Vec<u8> {
    let (code, out, talk) = support::run("openssl", args, input);
    assert_eq!(code, 0, "openssl {}: {talk}", args.join(" "));
    out
}

/// A key in this form, then its certificate and the CA's.
fn bundle(key: &[u8], who: &str) -> Vec<u8> {
    let read = |file: String| std::fs::read(file).expect("one of the cast");
    [key.to_vec(), read(certificate_file(who)), read(certs("issuing.pem"))].concat()
}

#[test]
fn reads_an_identity_in_every_form_of_pem() {
    if !support::peer("openssl") {
        return;
    }
    for (who, traditional) in [("alice", "RSA PRIVATE KEY"), ("carol", "EC PRIVATE KEY")] {
        let key = std::fs::read(key_file(who)).expect("one of the cast");
        let old = openssl(&["pkey", "-traditional"], &key);
        assert!(String::from_utf8_lossy(&old).contains(traditional));
        for form in [key, old] {
            let identity = keys::load::identity(&bundle(&form, who), None, &Limits::default()).expect("read");
            assert!(same(&identity, &person(who)), "{who}");
        }
    }
}

#[test]
fn reads_a_locked_identity_with_its_passphrase_only() {
    if !support::peer("openssl") {
        return;
    }
    for (who, passphrase) in PEOPLE.iter().flat_map(|who| PASSPHRASES.map(|passphrase| (who, passphrase))) {
        let key = key_file(who);
        let pass = format!("pass:{passphrase}");
        for form in [&["-v2", "aes-256-cbc"][..], &["-v2", "aes-128-cbc", "-v2prf", "hmacWithSHA512"], &["-v1", "PBE-SHA1-3DES"]]
        {
            let args = [&["pkcs8", "-topk8", "-in", &key, "-passout", &pass], form].concat();
            let file = bundle(&openssl(&args, b""), who);
            let identity = load(&file, passphrase).unwrap_or_else(|error| panic!("{who} {form:?} {passphrase}: {error}"));
            assert!(same(&identity, &person(who)));
            assert!(matches!(load(&file, "other"), Err(Error::WrongPassphrase)), "{who} {form:?} {passphrase}");
            let unasked = keys::load::identity(&file, None, &Limits::default());
            assert!(matches!(unasked, Err(Error::PassphraseNeeded)), "{who} {form:?} {passphrase}");
        }
    }
}

#[test]
fn a_wrong_passphrase_of_a_key_is_always_called_so() {
    if !support::peer("openssl") {
        return;
    }
    let args = ["pkcs8", "-topk8", "-in", &key_file("carol"), "-passout", "pass:secret", "-iter", "1", "-outform", "DER"];
    let file = openssl(&args, b"");
    // the padding of a wrong one fits once in 256 times
    for number in 0..600 {
        let result = PrivateKey::from_any(&file, Some(&secret(&format!("wrong {number}"))), &Limits::default());
        assert!(matches!(result, Err(CryptoError::WrongPassphrase)), "{number}: {result:?}");
    }
}

#[test]
fn openssl_reads_the_keys_that_we_lock() {
    if !support::peer("openssl") {
        return;
    }
    for (who, passphrase) in PEOPLE.iter().flat_map(|who| PASSPHRASES.map(|passphrase| (who, passphrase))) {
        let key = person(who).private_key().clone();
        let locked = key.to_encrypted_pkcs8(&secret(passphrase), &mut OsRandom).expect("locked");
        let args = ["pkey", "-inform", "DER", "-passin", &format!("pass:{passphrase}")];
        let read = PrivateKey::from_any(&openssl(&args, &locked), None, &Limits::default()).expect("PKCS#8");
        assert!(
            read.to_pkcs8().expect("it may leave").expose() == key.to_pkcs8().expect("it may leave").expose(),
            "{who} {passphrase}"
        );
        let (code, ..) = support::run("openssl", &["pkey", "-inform", "DER", "-passin", "pass:other", "-noout"], &locked);
        assert_ne!(code, 0, "{who}");
    }
}

#[test]
fn refuses_a_certificate_of_another_key() {
    let key = std::fs::read(key_file("carol")).expect("one of the cast");
    let error = keys::load::identity(&bundle(&key, "alice"), None, &Limits::default()).expect_err("not hers");
    assert_eq!(error.to_string(), "the file holds no certificate of its private key");
}
