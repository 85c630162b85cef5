//! GnuPG's `gpgsm` imports what is written for programs that know no AES, and we read what it exports.

use std::process::Command;

use sealpost::crypto::random::OsRandom;
use sealpost::keys::{Error, pkcs12, pkcs12::Target};

use super::{load, person, secret};
use crate::support;

/// A key ring that only this test uses.
struct Ring(tempfile::TempDir);

impl Ring {
    /// What it gives, and what it says; it ends badly where it does not know the root, though all is imported.
    fn run(&self, args: &[&str]) -> (Vec<u8>, String) {
        let home = self.0.path().display().to_string();
        let common = ["--homedir", &home, "--batch", "--no-tty", "--disable-dirmngr", "--pinentry-mode", "loopback"];
        let (_, out, talk) = support::run("gpgsm", &[&common[..], &["--passphrase-fd", "0"], args].concat(), b"secret");
        (out, talk)
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // the agent goes with its folder anyway; this is only sooner
        let _ = Command::new("gpgconf").arg("--homedir").arg(self.0.path()).args(["--kill", "all"]).output();
    }
}

#[test]
fn gpgsm_takes_and_gives_back_the_same_key_and_certificate() {
    // 2.2 knows RSA alone, and of PBES2 only AES-128
    if !["gpgsm", "gpgconf"].into_iter().all(support::peer) {
        return;
    }
    let ring = Ring(tempfile::tempdir().expect("a folder"));
    let path = ring.0.path().join("ours.p12");
    let alice = person("alice");
    let ours = pkcs12::write_for(Target::Apple, std::slice::from_ref(&alice), (&secret("secret"), "alice"), &mut OsRandom);
    std::fs::write(&path, ours.expect("written")).expect("written");
    let (_, talk) = ring.run(&["--import", &path.display().to_string()]);
    assert!(talk.contains("secret keys imported: 1"), "{talk}");
    let (theirs, talk) = ring.run(&["--export-secret-key-p12", &alice.addresses()[0]]);
    let read = load(&theirs, "secret").unwrap_or_else(|error| panic!("{error}: {talk}"));
    assert_eq!(read.certificate(), alice.certificate());
    // gpgsm computes the primes' inverse the other way round, so it may be another form of the same key
    assert_eq!(read.private_key().public_key(), alice.private_key().public_key());
    assert!(matches!(load(&theirs, "other"), Err(Error::WrongPassphrase)));
}
