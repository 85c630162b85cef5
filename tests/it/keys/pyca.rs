//! Python's `cryptography` reads what we write for each program, and we read what it writes.

use sealpost::crypto::random::OsRandom;
use sealpost::keys::pkcs12::{self, Target};

use super::{PASSPHRASES, PEOPLE, certificate_file, certs, holds, key_file, load, person, same, secret};
use crate::support;

fn python(args: &[&str], input: &[u8]) -> Option<(Vec<u8>, String)> {
    let program = support::named_peer("SEALPOST_PYTHON")?;
    let script = format!("{}/tests/peers/pkcs12.py", env!("CARGO_MANIFEST_DIR"));
    let (code, out, talk) = support::run(&program, &[&["-B", &script], args].concat(), input);
    assert_eq!(code, 0, "{args:?}: {talk}");
    Some((out, talk))
}

#[test]
fn reads_what_pyca_writes() {
    for (who, passphrase) in [(PEOPLE[0], PASSPHRASES[0]), (PEOPLE[1], PASSPHRASES[2]), (PEOPLE[1], PASSPHRASES[3])] {
        for (scheme, mac) in [("PBESv2SHA256AndAES256CBC", "SHA256"), ("PBESv1SHA1And3KeyTripleDESCBC", "SHA1")] {
            let (key, certificate, ca) = (key_file(who), certificate_file(who), certs("issuing.pem"));
            let Some((file, _)) = python(&["write", &key, &certificate, &ca, scheme, mac, passphrase], b"") else { return };
            let read = load(&file, passphrase).unwrap_or_else(|error| panic!("{who} {scheme} {passphrase}: {error}"));
            assert!(same(&read, &person(who)), "{who} {scheme}");
        }
    }
}

#[test]
fn pyca_reads_what_is_written_for_each_program() {
    for (target, passphrase) in [Target::Modern, Target::Apple, Target::Windows, Target::Thunderbird].into_iter().zip(PASSPHRASES)
    {
        let identity = person("carol");
        let file = pkcs12::write_for(target, std::slice::from_ref(&identity), (&secret(passphrase), "Jürgen 密"), &mut OsRandom);
        let Some((read, name)) = python(&["read", passphrase], &file.expect("written")) else { return };
        assert!(holds(&read, &identity), "{target:?}");
        assert_eq!(name.trim(), "Jürgen 密", "{target:?}");
    }
}
