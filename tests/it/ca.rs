//! Tests of `ca`: its certificates, lists and requests against OpenSSL and NSS; its ledger.

mod bulk;
mod crash;
mod escrow;
mod ledger;
mod life;
mod lists;
mod nss;
mod openssl;
pub(crate) mod pkilint;
mod renewal;
mod requests;
mod responder;
#[cfg(feature = "server")]
mod serve;

use std::path::Path;
use std::sync::OnceLock;

use sealpost::asn1::pem;
use sealpost::ca::{MailProfile, ServerProfile, Uses, store::Store};
use sealpost::crypto::algorithm::KeyAlgorithm;
use sealpost::crypto::key::PrivateKey;
use sealpost::crypto::random::{OsRandom, Seeded};
use sealpost::keys::Identity;
use sealpost::pki::Certificate;
use sealpost::time::Timestamp;

use crate::support;

/// When everything here happens: 2026-06-01.
const AT: i64 = 1_780_272_000;

fn at() -> Timestamp {
    Timestamp::from_unix(AT)
}

/// An authority in a folder of its own.
struct Bench {
    folder: tempfile::TempDir,
    store: Store,
}

impl Bench {
    fn new(algorithm: KeyAlgorithm) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let domains = ["a.example".to_owned(), "b.example".to_owned()];
        let store = Store::create(&folder.path().join("ca"), ("Bench & Söhne", &domains), algorithm, None, at(), &mut OsRandom);
        let bench = Self { folder, store: store.expect("an authority") };
        let authority = bench.store.authority();
        bench.write("root", authority.root());
        bench.write("issuing", authority.issuing());
        bench.write("servers", authority.servers());
        bench
    }

    fn ca(&self) -> std::path::PathBuf {
        self.folder.path().join("ca")
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn write(&self, name: &str, certificate: &Certificate) -> String {
        self.write_bytes(name, pem::encode("CERTIFICATE", certificate.der()).as_bytes())
    }

    fn write_bytes(&self, name: &str, bytes: &[u8]) -> String {
        std::fs::write(self.path(name), bytes).expect("written");
        self.path(name)
    }

    fn issue(&self, address: &str, key: &PrivateKey, uses: Uses) -> Certificate {
        self.store.issue(&profile(address, uses), key.public_key(), at(), &mut OsRandom).expect("issued")
    }

    fn server(&self, hosts: &[&str], algorithm: KeyAlgorithm) -> Identity {
        let profile = ServerProfile { hosts: hosts.iter().map(|host| (*host).to_owned()).collect(), days: 90 };
        self.store.new_server(&profile, algorithm, at(), &mut OsRandom).expect("issued")
    }

    /// What `openssl verify` says of a certificate: its exit code and its words.
    fn verify(&self, certificate: &str, more: &[&str]) -> (i32, String) {
        let (time, root) = ((AT + 60).to_string(), self.path("root"));
        let args = ["verify", "-x509_strict", "-check_ss_sig", "-attime", &time, "-no-CApath", "-no-CAstore", "-CAfile", &root];
        let (code, out, talk) = support::run("openssl", &[&args[..], more, &[certificate]].concat(), b"");
        (code, format!("{}{talk}", String::from_utf8_lossy(&out)))
    }
}

fn profile(address: &str, uses: Uses) -> MailProfile {
    MailProfile::new(address).uses(uses).days(365)
}

/// The kinds of key that an authority has, and people: the same keys in every test of a run.
const AUTHORITIES: [KeyAlgorithm; 2] = [KeyAlgorithm::P384, KeyAlgorithm::Rsa(3072)];
const PEOPLE: [KeyAlgorithm; 4] = [KeyAlgorithm::Rsa(2048), KeyAlgorithm::P256, KeyAlgorithm::P384, KeyAlgorithm::Ed25519];

fn key(algorithm: KeyAlgorithm) -> PrivateKey {
    static KEYS: OnceLock<Vec<PrivateKey>> = OnceLock::new();
    let make = |kind: &KeyAlgorithm| PrivateKey::generate(*kind, &mut Seeded::new(b"people")).expect("a key");
    let keys = KEYS.get_or_init(|| PEOPLE.iter().map(make).collect());
    keys.iter().find(|key| key.algorithm() == algorithm).expect("one of these").clone()
}

fn openssl(args: &[&str], input: &[u8]) -> String {
    let (code, out, talk) = support::run("openssl", args, input);
    assert_eq!(code, 0, "openssl {}: {talk}", args.join(" "));
    String::from_utf8_lossy(&out).into_owned()
}

/// Runs the program with the home in this folder.
fn sealpost(home: &Path, args: &[&str]) -> (i32, Vec<u8>, String) {
    let home = home.display().to_string();
    support::run(env!("CARGO_BIN_EXE_sealpost"), &[&["--home", &home, "--batch"], args].concat(), b"")
}
