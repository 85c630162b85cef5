//! GnuPG's gpgsm reads what we write, and we read what it writes (its version 2.2: keys of its own are RSA).

use std::path::Path;
use std::process::Command;

use sealpost::crypto::algorithm::DigestAlgorithm;

use super::batch::Reader;
use super::cast::{Cast, cast};
use super::matrix::{self, Signed, long};
use super::own::CONTENT;
use crate::support;

/// A private key ring with the authority, trusted, and alice.
struct Ring(tempfile::TempDir);

impl Ring {
    /// Its agent has five seconds to start, which a machine under load does not always grant: the ring is made again then.
    fn new(cast: &Cast) -> Self {
        let made = (0..3).map(|_| Self::make(cast)).find(Result::is_ok);
        made.unwrap_or_else(|| Self::make(cast)).unwrap_or_else(|error| panic!("no key ring: {error}"))
    }

    fn make(cast: &Cast) -> Result<Self, String> {
        let ring = Self(tempfile::tempdir().unwrap());
        let fingerprint = sealpost::crypto::digest::of(DigestAlgorithm::Sha1, cast.authority.certificate.der());
        let fingerprint: String = fingerprint.iter().map(|byte| format!("{byte:02X}")).collect();
        ring.write("trustlist.txt", format!("{fingerprint} S relax\n").as_bytes());
        let alice = cast.person("alice");
        let old = ["-keypbe", "PBE-SHA1-3DES", "-certpbe", "PBE-SHA1-3DES", "-macalg", "sha1", "-passout", "pass:"];
        let files = ["-inkey", &alice.key_file, "-in", &alice.certificate_file];
        let (code, bundle, error) = support::run("openssl", &[&["pkcs12", "-export"], &files[..], &old].concat(), b"");
        assert_eq!(code, 0, "{error}");
        let bundle = ring.write("alice.p12", &bundle);
        ring.try_gpgsm(&["--import", &cast.authority.certificate_file])?;
        ring.try_gpgsm(&["--import", &bundle])?;
        Ok(ring)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.0.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn try_gpgsm(&self, args: &[&str]) -> Result<Vec<u8>, String> {
        let always = ["--batch", "--no-tty", "--pinentry-mode", "loopback", "--passphrase-fd", "0", "--disable-crl-checks"];
        let home = ["--homedir", self.0.path().to_str().unwrap()];
        let (code, stdout, stderr) = support::run("gpgsm", &[&home[..], &always, args].concat(), b"\n");
        if code == 0 { Ok(stdout) } else { Err(stderr) }
    }

    fn gpgsm(&self, args: &[&str]) -> Vec<u8> {
        self.try_gpgsm(args).unwrap_or_else(|error| panic!("gpgsm {args:?}: {error}"))
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        let home: &Path = self.0.path();
        let _ = Command::new("gpgconf").arg("--homedir").arg(home).args(["--kill", "all"]).output();
    }
}

/// A ring, if the programs are there.
fn ring() -> Option<Ring> {
    let all = ["gpgsm", "gpgconf", "openssl"].into_iter().all(support::peer);
    all.then(|| Ring::new(cast()))
}

impl Ring {
    fn verify(&self, row: &Signed) -> Result<(), String> {
        let verify = |message: &[u8], content: Option<&[u8]>| {
            let message = self.write("message", message);
            match content {
                Some(content) => self.try_gpgsm(&["--verify", &message, &self.write("content", content)]),
                None => self.try_gpgsm(&["--output", "-", "--verify", &message]),
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
}

#[test]
fn gpgsm_verifies_what_is_signed_here() {
    let Some(ring) = ring() else { return };
    let outcomes: Vec<_> = matrix::signed().iter().map(|row| (row.label.clone(), ring.verify(row))).collect();
    let except = [
        ("sha3-", "it has no SHA-3"),
        ("carol sha224", "it refuses digests shorter than the curve"),
        ("dave sha224", "it refuses digests shorter than the curve"),
        ("dave sha256", "it refuses digests shorter than the curve"),
        ("erin", "it has no P-521: 521 is no multiple of 8"),
        ("frank", "it has no Ed25519"),
    ];
    matrix::judge(&outcomes, &except);
}

#[test]
fn gpgsm_decrypts_what_is_encrypted_here() {
    let Some(ring) = ring() else { return };
    let mut outcomes = Vec::new();
    for row in matrix::enveloped() {
        // the ring has the key of alice
        let Some((label, _)) = row.readers().find(|(label, _)| label.ends_with("alice")) else { continue };
        let message = ring.write("message", &row.message);
        let opened = ring.try_gpgsm(&["--decrypt", &message]);
        let same = |plain| if plain == row.content { Ok(()) } else { Err("other content".to_owned()) };
        outcomes.push((label, opened.and_then(same)));
    }
    let except =
        [("-gcm", "it has no cipher with a tag"), ("chacha20", "it has no cipher with a tag"), ("-cbc oaep", "it has no OAEP")];
    matrix::judge(&outcomes, &[&except[..], &[("together gcm", "it has no cipher with a tag")]].concat());
}

#[test]
fn reads_what_gpgsm_signs() {
    let Some(ring) = ring() else { return };
    let user = format!("<{}>", cast().person("alice").address);
    let content = ring.write("content", CONTENT);
    let mut outcomes = Vec::new();
    for digest in ["sha1", "sha224", "sha256", "sha384", "sha512"] {
        for certificates in ["-2", "0", "1"] {
            for (form, is_detached) in [("--sign", false), ("--detach-sign", true)] {
                let args = ["--digest-algo", digest, "--include-certs", certificates, "-u", &user, form, &content];
                let read = ring.try_gpgsm(&args).and_then(|message| matrix::read(&message, is_detached, CONTENT, 1));
                outcomes.push((format!("{digest} {certificates} {form}"), read));
            }
        }
    }
    matrix::judge(&outcomes, &[]);
}

#[test]
fn reads_what_gpgsm_encrypts() {
    let Some(ring) = ring() else { return };
    let (alice, bob) = (cast().person("alice"), cast().person("bob"));
    ring.gpgsm(&["--import", &bob.certificate_file]);
    let users = [alice, bob].map(|person| format!("<{}>", person.address));
    for (content, name) in [(CONTENT.to_vec(), "short"), (long(), "long")] {
        let file = ring.write(name, &content);
        for cipher in ["AES128", "AES192", "AES256", "3DES"] {
            let message = ring.gpgsm(&["--cipher-algo", cipher, "-r", &users[0], "-r", &users[1], "--encrypt", &file]);
            for reader in [alice, bob] {
                matrix::open(&message, Reader::Person(reader), &content).unwrap_or_else(|e| panic!("{cipher}: {e}"));
            }
        }
    }
}

#[test]
fn gpgsm_imports_our_bundle_of_certificates() {
    let Some(ring) = ring() else { return };
    let bob = cast().person("bob");
    let bundle = sealpost::cms::certificates_only(std::slice::from_ref(&bob.certificate));
    ring.gpgsm(&["--import", &ring.write("bundle", &bundle)]);
    let exported = ring.gpgsm(&["--export", &format!("<{}>", bob.address)]);
    assert!(exported.windows(bob.certificate.der().len()).any(|window| window == bob.certificate.der()));
}
