//! Configuration profiles for Apple's systems, read by Python's plistlib; the keys in them by OpenSSL.

use std::path::Path;

use serde_json::Value;

use sealpost::crypto::random::{OsRandom, Seeded};
use sealpost::keys::{Error, mobileconfig};
use sealpost::pki;

use super::{certs, holds, person, secret};
use crate::support;

/// Reads a property list and prints it as JSON, data as hexadecimal.
const SCRIPT: &str = "import json, plistlib, sys; print(json.dumps(plistlib.loads(sys.stdin.buffer.read(), fmt=plistlib.FMT_XML), default=bytes.hex))";

fn plist(bytes: &[u8]) -> Option<Value> {
    let python = support::named_peer("SEALPOST_PYTHON")?;
    let (code, out, talk) = support::run(&python, &["-c", SCRIPT], bytes);
    assert_eq!(code, 0, "{talk}");
    Some(serde_json::from_slice(&out).expect("JSON"))
}

fn bytes_of(value: &Value) -> Vec<u8> {
    let hex = value.as_str().expect("hexadecimal").as_bytes();
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).expect("digits"), 16).expect("digits");
    hex.chunks(2).map(pair).collect()
}

fn kinds(profile: &Value) -> Vec<&str> {
    let payloads = profile["PayloadContent"].as_array().expect("payloads");
    payloads.iter().map(|payload| payload["PayloadType"].as_str().expect("a type")).collect()
}

/// Every PayloadUUID and PayloadIdentifier is there, and there once.
fn is_sound(profile: &Value) {
    let payloads = profile["PayloadContent"].as_array().expect("payloads");
    let all: Vec<&Value> = payloads.iter().chain([profile]).collect();
    for key in ["PayloadUUID", "PayloadIdentifier"] {
        let mut values: Vec<&str> = all.iter().map(|part| part[key].as_str().expect("text")).collect();
        values.sort_unstable();
        values.dedup();
        assert_eq!(values.len(), all.len(), "{key}");
    }
    for part in all {
        assert_eq!(part["PayloadVersion"], 1);
        assert!(part["PayloadDisplayName"].as_str().is_some_and(|name| !name.is_empty()));
        assert!(part.get("Password").is_none(), "a profile is not encrypted");
        let uuid = part["PayloadUUID"].as_str().expect("text");
        assert!(uuid.len() == 36 && uuid.as_bytes()[14] == b'4' && b"89AB".contains(&uuid.as_bytes()[19]), "{uuid}");
    }
}

#[test]
fn a_profile_holds_the_key_the_authority_and_the_root() {
    let root = pki::load::certificates(&std::fs::read(certs("root.pem")).expect("one of the cast")).expect("a root");
    for who in ["alice", "carol"] {
        let identity = person(who);
        let file =
            mobileconfig::write(std::slice::from_ref(&identity), &root, &secret("пароль"), &mut OsRandom).expect("written");
        let Some(profile) = plist(&file) else { return };
        is_sound(&profile);
        assert_eq!((&profile["PayloadType"], &profile["PayloadScope"]), (&"Configuration".into(), &"User".into()));
        assert_eq!(kinds(&profile), ["com.apple.security.pkcs12", "com.apple.security.pkcs1", "com.apple.security.root"]);
        let payloads = profile["PayloadContent"].as_array().expect("payloads");
        assert_eq!(bytes_of(&payloads[1]["PayloadContent"]), identity.chain()[0].der());
        assert_eq!(bytes_of(&payloads[2]["PayloadContent"]), root[0].der());
        let args = ["pkcs12", "-nodes", "-passin", "pass:пароль"];
        let (code, read, talk) = support::run("openssl", &args, &bytes_of(&payloads[0]["PayloadContent"]));
        assert_eq!(code, 0, "{talk}");
        assert!(holds(&read, &identity));
        assert_eq!(payloads[0]["PayloadCertificateFileName"], format!("{}.p12", identity.addresses()[0]));
    }
}

#[test]
fn the_same_randomness_gives_the_same_profile_and_needs_a_passphrase_and_a_key() {
    let write = |passphrase: &str, identities: &[sealpost::keys::Identity]| {
        mobileconfig::write(identities, &[], &secret(passphrase), &mut Seeded::new(b"profile"))
    };
    assert_eq!(write("secret", &[person("carol")]).expect("written"), write("secret", &[person("carol")]).expect("written"));
    assert!(matches!(write("", &[person("carol")]), Err(Error::PassphraseNeeded)));
    assert_eq!(write("secret", &[]).expect_err("no key").to_string(), "a profile needs a key");
}

/// The program in a home of its own, with a passphrase for the keys and another for what it writes.
struct Program {
    folder: tempfile::TempDir,
}

impl Program {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("passphrase"), "key\nfile\n").expect("written");
        Self { folder }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn run(&self, args: &[&str]) -> (i32, String) {
        let common = ["--batch", "--home", &self.path("home"), "--passphrase-file", &self.path("passphrase")];
        let (code, _, talk) = support::run(env!("CARGO_BIN_EXE_sealpost"), &[&common, args].concat(), b"");
        (code, talk)
    }

    fn good(&self, args: &[&str]) {
        let (code, talk) = self.run(args);
        assert_eq!(code, 0, "{args:?}: {talk}");
    }
}

#[test]
fn the_program_writes_profiles_signed_and_not_and_every_kind_of_pkcs12() {
    let program = Program::new();
    program.good(&["ca", "init", "--name", "R & D <Mail>", "--algorithm", "p256"]);
    program.good(&["id", "new", "jane@a.example", "--algorithm", "p256"]);
    let export = |target: &str, file: &str, more: &[&str]| {
        program.run(&[&["id", "export", "jane@a.example", "--for", target, "-o", &program.path(file)], more].concat())
    };
    let out = |file: &str| std::fs::read(Path::new(&program.path(file))).expect("written");
    assert_eq!(export("apple", "jane.mobileconfig", &[]).0, 0);
    assert_eq!(export("apple", "signed.mobileconfig", &["--signed"]).0, 0);
    program.good(&[
        "ca",
        "issue",
        "john@a.example",
        "--algorithm",
        "p256",
        "--p12",
        &program.path("john.mobileconfig"),
        "-o",
        &program.path("john.pem"),
    ]);
    for file in ["jane.mobileconfig", "john.mobileconfig"] {
        let Some(profile) = plist(&out(file)) else { return };
        is_sound(&profile);
        assert_eq!(kinds(&profile), ["com.apple.security.pkcs12", "com.apple.security.pkcs1", "com.apple.security.root"]);
        let name = profile["PayloadContent"][2]["PayloadDisplayName"].as_str().expect("a name");
        assert!(name.contains("R & D <Mail>"), "{name}");
    }
    let verify = ["cms", "-verify", "-noverify", "-inform", "DER", "-binary"];
    let (code, content, talk) = support::run("openssl", &verify, &out("signed.mobileconfig"));
    assert_eq!(code, 0, "{talk}");
    is_sound(&plist(&content).expect("python is there"));
    for target in ["modern", "apple", "windows", "thunderbird"] {
        let file = format!("{target}.p12");
        assert_eq!(export(target, &file, &[]).0, 0);
        let args = ["pkcs12", "-nodes", "-passin", "pass:file"];
        let (code, _, talk) = support::run("openssl", &args, &out(&file));
        assert_eq!(code, 0, "{target}: {talk}");
    }
    for (target, file, more, words) in [
        ("windows", "x.mobileconfig", &[][..], "for Apple's systems, not for windows"),
        ("apple", "x.p12", &["--signed"], "only a configuration profile is signed"),
        ("nobody", "x.p12", &[], "possible values"),
    ] {
        let (code, talk) = export(target, file, more);
        assert!(code == 2 && talk.contains(words), "{code} {talk}");
        assert!(!Path::new(&program.path(file)).exists());
    }
    std::fs::write(program.path("passphrase"), "key\n\n").expect("written");
    let (code, talk) = export("modern", "x.p12", &[]);
    assert!(code == 2 && talk.contains("a passphrase that is not empty"), "{code} {talk}");
}
