//! NSS's cmsutil reads what we write, and we read what it writes.

use super::batch::Reader;
use super::cast::{Cast, cast};
use super::matrix::{self, Enveloped, Signed, long};
use super::own::CONTENT;
use crate::support;

/// Whose keys the database holds.
const KNOWN: [&str; 4] = ["alice", "carol", "dave", "erin"];

/// A database with the authority, trusted, and those whose keys it takes.
struct Database(tempfile::TempDir);

impl Database {
    /// One, if the programs are there.
    fn new(cast: &Cast) -> Option<Self> {
        if !["cmsutil", "certutil", "pk12util", "openssl"].into_iter().all(support::peer) {
            return None;
        }
        let database = Self(tempfile::tempdir().unwrap());
        let run = |program, args: &[&str]| database.run(program, args).unwrap_or_else(|e| panic!("{program}: {e}"));
        run("certutil", &["-N", "--empty-password"]);
        run("certutil", &["-A", "-n", "authority", "-t", ",C,", "-a", "-i", &cast.authority.certificate_file]);
        for name in KNOWN {
            let person = cast.person(name);
            let bundle = database.file("bundle");
            let args = ["pkcs12", "-export", "-passout", "pass:", "-name", name, "-out", &bundle];
            let from = ["-inkey", &person.key_file, "-in", &person.certificate_file];
            let (code, _, error) = support::run("openssl", &[&args[..], &from].concat(), b"");
            assert_eq!(code, 0, "{error}");
            run("pk12util", &["-i", &bundle, "-W", ""]);
        }
        Some(database)
    }

    fn file(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    fn write(&self, name: &str, bytes: &[u8]) -> String {
        std::fs::write(self.file(name), bytes).unwrap();
        self.file(name)
    }

    fn run(&self, program: &str, args: &[&str]) -> Result<Vec<u8>, String> {
        let database = format!("sql:{}", self.0.path().to_str().unwrap());
        let (code, stdout, stderr) = support::run(program, &[args, &["-d", &database]].concat(), b"");
        if code == 0 { Ok(stdout) } else { Err(format!("{stderr}{}", String::from_utf8_lossy(&stdout))) }
    }

    /// What a verb writes.
    fn make(&self, args: &[&str]) -> Result<Vec<u8>, String> {
        let out = self.file("out");
        self.run("cmsutil", &[args, &["-o", &out]].concat())?;
        std::fs::read(out).map_err(|e| e.to_string())
    }

    fn verify(&self, row: &Signed) -> Result<(), String> {
        let verify = |message: &[u8], content: Option<&[u8]>| {
            let message = self.write("message", message);
            match content {
                Some(content) => self.run("cmsutil", &["-D", "-c", &self.write("content", content), "-i", &message]),
                None => self.run("cmsutil", &["-D", "-i", &message]),
            }
        };
        let content = verify(&row.message, row.detached.then_some(&row.content))?;
        if !row.detached && content != row.content {
            return Err("other content".to_owned());
        }
        let (message, content) = row.changed();
        match verify(&message, content.as_deref()) {
            Ok(_) => Err("took changed content".to_owned()),
            Err(_) => Ok(()),
        }
    }

    fn decrypt(&self, row: &Enveloped<'_>) -> Result<(), String> {
        let plain = self.run("cmsutil", &["-D", "-i", &self.write("message", &row.message)])?;
        if plain == row.content { Ok(()) } else { Err("other content".to_owned()) }
    }
}

#[test]
fn cmsutil_verifies_what_is_signed_here() {
    let Some(database) = Database::new(cast()) else { return };
    let outcomes: Vec<_> = matrix::signed().iter().map(|row| (row.label.clone(), database.verify(row))).collect();
    matrix::judge(&outcomes, &[("sha3-", "it has no SHA-3"), ("frank", "it has no Ed25519")]);
}

#[test]
fn cmsutil_decrypts_what_is_encrypted_here() {
    let Some(database) = Database::new(cast()) else { return };
    let mut outcomes = Vec::new();
    for row in matrix::enveloped() {
        let known = row.readers().find(|(label, _)| KNOWN.iter().any(|name| label.ends_with(name)));
        outcomes.extend(known.map(|(label, _)| (label, database.decrypt(&row))));
    }
    let except = [
        ("to carol", "this version knows no key agreement: it reads OpenSSL's no more than ours"),
        ("to dave", "this version knows no key agreement"),
        ("to erin", "this version knows no key agreement"),
        ("together", "it stops at a recipient with key agreement"),
        ("gcm", "it has no cipher with a tag"),
        ("chacha20", "it has no cipher with a tag"),
        ("-cbc oaep", "its key transport is v1.5"),
    ];
    matrix::judge(&outcomes, &except);
}

#[test]
fn reads_what_cmsutil_signs() {
    let Some(database) = Database::new(cast()) else { return };
    let content = database.write("content", CONTENT);
    let mut outcomes = Vec::new();
    for name in KNOWN {
        for digest in ["SHA1", "SHA256", "SHA384", "SHA512"] {
            for (form, is_detached) in [(&["-G"][..], false), (&["-G", "-T"], true), (&[], false), (&["-P"], false)] {
                let args = [&["-S", "-N", name, "-H", digest, "-i", &content], form].concat();
                let read = database.make(&args).and_then(|message| matrix::read(&message, is_detached, CONTENT, 1));
                outcomes.push((format!("{name} {digest} {form:?}"), read));
            }
        }
    }
    matrix::judge(&outcomes, &[]);
}

#[test]
fn reads_what_cmsutil_encrypts() {
    let Some(database) = Database::new(cast()) else { return };
    let alice = cast().person("alice");
    for (name, content) in [("short", CONTENT.to_vec()), ("long", long()), ("block", long()[..16].to_vec())] {
        let message = database.make(&["-E", "-r", &alice.address, "-i", &database.write(name, &content)]).unwrap();
        matrix::open(&message, Reader::Person(alice), &content).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

#[test]
fn reads_the_bundle_of_certificates_of_cmsutil() {
    let Some(database) = Database::new(cast()) else { return };
    let bundle = database.make(&["-O", "-r", "alice@a.example"]).unwrap();
    let (data, _) = super::read_signed(&bundle, None).unwrap();
    assert!(data.certificates.contains(&cast().person("alice").certificate) && data.signers.is_empty());
}
