//! Makes the cast of test identities in `certs/`, the same bytes every time.
//!
//! `cargo run --example make_certs` writes them; with `--check` it says whether those in the folder are the same.
//! The keys come from a published seed: they are for tests and for nothing else.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use sealpost::asn1::pem;
use sealpost::ca::{Authority, Error, MailProfile, Person, RevocationReason, Revoked, ServerProfile, Shape};
use sealpost::crypto::algorithm::KeyAlgorithm;
use sealpost::crypto::key::PrivateKey;
use sealpost::crypto::random::Seeded;
use sealpost::keys::Identity;
use sealpost::pki::Certificate;
use sealpost::time::Timestamp;

/// 2025-01-01T00:00:00Z.
const BEGIN: Timestamp = Timestamp::from_unix(1_735_689_600);

fn main() -> ExitCode {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("certs");
    let files = match make() {
        Ok(files) => files,
        Err(error) => {
            eprintln!("the cast cannot be made – {error}");
            return ExitCode::FAILURE;
        }
    };
    if std::env::args().any(|argument| argument == "--check") {
        let other: Vec<&String> = files
            .iter()
            .filter(|(name, text)| std::fs::read_to_string(folder.join(name)).ok().as_ref() != Some(text))
            .map(|f| f.0)
            .collect();
        if other.is_empty() {
            eprintln!("{} files are what this example makes", files.len());
            return ExitCode::SUCCESS;
        }
        eprintln!("not what this example makes: {other:?}");
        return ExitCode::FAILURE;
    }
    for (name, text) in files {
        if let Err(error) = std::fs::write(folder.join(&name), text) {
            eprintln!("cannot write {name} – {error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn make() -> Result<BTreeMap<String, String>, Error> {
    let mut random = Seeded::new(b"sealpost test identities, for tests only");
    let mut files = BTreeMap::new();
    let domains = ["example.com", "example.org", "example.net"];
    let (authority, root_key) = Authority::create("Sealpost Test", &domains, KeyAlgorithm::P256, BEGIN, &mut random)?;
    certificate(&mut files, "root", authority.root());
    private_key(&mut files, "root", &root_key);
    certificate(&mut files, "issuing", authority.issuing());
    certificate(&mut files, "servers", authority.servers());

    let rsa = KeyAlgorithm::Rsa(2048);
    let people = [
        ("alice", "alice@example.com", "Alice", rsa, 825),
        ("bob", "bob@example.org", "Bob", rsa, 825),
        ("carol", "carol@example.org", "Carol", KeyAlgorithm::P256, 825),
        ("mallory", "mallory@example.net", "Mallory", KeyAlgorithm::P256, 825),
        ("expired", "expired@example.com", "Expired", KeyAlgorithm::P256, 30),
        ("revoked", "revoked@example.com", "Revoked", KeyAlgorithm::P256, 825),
    ];
    for (file, address, name, algorithm, days) in people {
        let key = PrivateKey::generate(algorithm, &mut random)?;
        let profile = MailProfile::new(address).shape(Shape::Individual(Person::called(name))).days(days);
        let issued = authority.issue(&profile, key.public_key(), BEGIN, &mut random)?;
        if file == "revoked" {
            let entry = Revoked {
                serial: issued.serial().to_vec(),
                date: BEGIN.plus_days(60),
                reason: RevocationReason::KeyCompromise,
                invalid_since: None,
            };
            let list = authority.crl(&[entry], 1, BEGIN.plus_days(90), 3650, &mut random)?;
            files.insert("issuing.crl".to_owned(), pem::encode("X509 CRL", list.der()));
        }
        person(&mut files, file, &Identity::new(key, issued, Vec::new())?);
    }
    let profile = ServerProfile { hosts: vec!["mail.example.com".to_owned()], days: 397 };
    let server = authority.new_server(&profile, KeyAlgorithm::P256, BEGIN, &mut random)?;
    person(&mut files, "wrong-usage", &server);

    let (other, _) = Authority::create("Nobody Knows", &["example.com"], KeyAlgorithm::P256, BEGIN, &mut random)?;
    certificate(&mut files, "stranger-root", other.root());
    certificate(&mut files, "stranger-issuing", other.issuing());
    let stranger = other.new_identity("alice@example.com", "Alice, says a stranger", KeyAlgorithm::P256, BEGIN, &mut random)?;
    person(&mut files, "stranger", &stranger);
    Ok(files)
}

fn person(files: &mut BTreeMap<String, String>, name: &str, identity: &Identity) {
    certificate(files, name, identity.certificate());
    private_key(files, name, identity.private_key());
}

fn certificate(files: &mut BTreeMap<String, String>, name: &str, certificate: &Certificate) {
    files.insert(format!("{name}.pem"), pem::encode("CERTIFICATE", certificate.der()));
}

fn private_key(files: &mut BTreeMap<String, String>, name: &str, key: &PrivateKey) {
    files.insert(format!("{name}.key"), pem::encode("PRIVATE KEY", key.to_pkcs8().expect("it may leave").expose()));
}
