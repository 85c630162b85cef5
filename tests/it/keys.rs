//! Tests of `keys`: PKCS#12 against its peers and what others made, key files, the home.

mod beside;
mod forms;
mod gpgsm;
mod harvest;
mod home;
mod hostile;
mod inspected;
mod java;
mod locked;
mod mobileconfig;
mod nss;
mod openssl;
mod pairing;
mod passwords;
mod pbmac1;
mod processes;
mod pyca;
mod renewal;
mod targets;
mod vectors;

use std::path::PathBuf;

use sealpost::asn1::pem;
use sealpost::crypto::key::PrivateKey;
use sealpost::keys::{self, Error, Identity};
use sealpost::limits::Limits;
use sealpost::pki;
use sealpost::secret::Secret;

/// Passphrases that programs encode in different ways: ASCII, Latin-1, other scripts, beyond the first plane, a long one.
const PASSPHRASES: [&str; 5] = [
    "correct horse",
    "pässwörd",
    "пароль 密码",
    "key 🔑",
    "a passphrase that is longer than every block of every digest: 64 and 128 bytes, so it is hashed itself first, is it not",
];

/// One RSA key, one EC key: of the cast in `certs/`, with the CA above it.
const PEOPLE: [&str; 2] = ["alice", "carol"];

fn certs(name: &str) -> String {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("certs").join(name).display().to_string()
}

fn key_file(who: &str) -> String {
    certs(&format!("{who}.key"))
}

fn certificate_file(who: &str) -> String {
    certs(&format!("{who}.pem"))
}

/// One of the cast, with the issuing CA as its chain.
fn person(who: &str) -> Identity {
    let read = |file: String| std::fs::read(file).expect("one of the cast");
    let key = PrivateKey::from_any(&read(key_file(who)), None, &Limits::default()).expect("its key");
    let certificates = [read(certificate_file(who)), read(certs("issuing.pem"))].concat();
    keys::load::pair(key, pki::load::certificates(&certificates).expect("certificates")).expect("they belong together")
}

fn secret(text: &str) -> Secret<Vec<u8>> {
    Secret::new(text.as_bytes().to_vec())
}

fn load(bytes: &[u8], passphrase: &str) -> Result<Identity, Error> {
    keys::load::identity(bytes, Some(&secret(passphrase)), &Limits::default())
}

/// Whether both hold the same key, the same certificate, the same chain.
fn same(one: &Identity, other: &Identity) -> bool {
    one.private_key().to_pkcs8().expect("it may leave").expose() == other.private_key().to_pkcs8().expect("it may leave").expose()
        && one.certificate() == other.certificate()
        && one.chain() == other.chain()
}

/// Whether a text with PEM blocks holds the key, the certificate and the chain of an identity, and no more.
fn holds(text: &[u8], identity: &Identity) -> bool {
    let blocks = pem::parse_all(text).expect("PEM");
    let of = |label: &str| -> Vec<Vec<u8>> { blocks.iter().filter(|b| b.label == label).map(|b| b.der.clone()).collect() };
    let certificates = std::iter::once(identity.certificate()).chain(identity.chain()).map(|c| c.der().to_vec());
    let mut certificates: Vec<Vec<u8>> = certificates.collect();
    let mut found = of("CERTIFICATE");
    certificates.sort();
    found.sort();
    let keys: Vec<PrivateKey> = of("PRIVATE KEY").iter().map(|der| PrivateKey::from_pkcs8(der).expect("a key")).collect();
    let same_key = |key: &PrivateKey| {
        key.to_pkcs8().expect("it may leave").expose() == identity.private_key().to_pkcs8().expect("it may leave").expose()
    };
    found == certificates && keys.len() == 1 && keys.iter().all(same_key)
}
