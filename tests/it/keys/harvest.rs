//! Who becomes a contact: the signer of a message that verifies, and nobody else; and which of his certificates is written to.

use std::fs;

use sealpost::asn1::pem;
use sealpost::ca::{Authority, MailProfile};
use sealpost::crypto::algorithm::KeyAlgorithm;
use sealpost::crypto::key::PrivateKey;
use sealpost::crypto::random::Seeded;
use sealpost::keys::Home;
use sealpost::pki::Certificate;
use sealpost::time::Timestamp;

use super::{certificate_file, certs, key_file};
use crate::support;

struct Bench(tempfile::TempDir);

impl Bench {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    fn write(&self, name: &str, text: &str) -> String {
        fs::write(self.path(name), text).expect("written");
        self.path(name)
    }

    fn run(&self, args: &[&str]) -> (i32, String, String) {
        let home = self.path("home");
        let all = [&["--home", &home, "--batch", "--at", "2026-06-01T00:00:00Z"], args].concat();
        let (code, out, talk) = support::run(env!("CARGO_BIN_EXE_sealpost"), &all, b"");
        (code, String::from_utf8_lossy(&out).into_owned(), talk)
    }

    /// A message from this address, signed by one of the cast.
    fn signed(&self, from: &str, who: &str) -> String {
        let letter = self.write("letter", &format!("From: {from}\r\nTo: bob@example.org\r\nSubject: x\r\n\r\nHi.\r\n"));
        let chain = if who == "stranger" { certs("stranger-issuing.pem") } else { certs("issuing.pem") };
        let (cert, key, out) = (certificate_file(who), key_file(who), self.path("signed"));
        // as of a moment at which every one of the cast could sign
        let args = ["sign", "--cert", &cert, "--key", &key, "--chain", &chain, &letter, "-o", &out, "--force"];
        let (code, _, talk) = self.run(&args);
        assert_eq!(code, 0, "{who}: {talk}");
        out
    }

    /// The contacts and what is known of what they read, as files of the home.
    fn kept(&self) -> usize {
        let count = |folder: &str| fs::read_dir(self.path("home/") + folder).map_or(0, Iterator::count);
        count("contacts") + count("capabilities")
    }
}

#[test]
fn only_the_signer_of_a_message_that_verifies_becomes_a_contact() {
    let bench = Bench::new();
    assert_eq!(bench.run(&["trust", "add", &certs("root.pem")]).0, 0);
    let crl = certs("issuing.crl");
    for (from, who, code) in [
        ("alice@example.com", "stranger", 3),
        ("alice@example.com", "mallory", 4),
        ("expired@example.com", "expired", 5),
        ("revoked@example.com", "revoked", 5),
        ("mail@example.com", "wrong-usage", 3),
    ] {
        let message = bench.signed(from, who);
        let (is, _, talk) = bench.run(&["contact", "add", &message, "--crl", &crl]);
        assert!(is == code && talk.contains("nothing was added"), "{who}: {is} {talk}");
        assert_eq!(bench.kept(), 0, "{who}");
        // nor where the finding is excused
        let accept = ["--accept", "untrusted", "--accept", "from-mismatch", "--accept", "expired"];
        let (is, _, talk) = bench.run(&[&["contact", "add", &message, "--crl", &crl], &accept[..]].concat());
        assert!(is != 0 && talk.contains("nothing was added"), "{who}: {is} {talk}");
        assert_eq!(bench.kept(), 0, "{who}");
    }
    // what was changed on the way, and what nobody signed
    let message = fs::read_to_string(bench.signed("alice@example.com", "alice")).expect("signed");
    let changed = bench.write("changed", &message.replacen("Hi.", "Ho.", 1));
    assert_eq!(bench.run(&["contact", "add", &changed]).0, 1);
    assert_ne!(bench.run(&["contact", "add", &bench.write("bare", "From: alice@example.com\r\n\r\nHi.\r\n")]).0, 0);
    assert_eq!(bench.kept(), 0);
    // reading mail keeps nobody either
    let good = bench.signed("alice@example.com", "alice");
    assert_eq!(bench.run(&["open", &good, "-o", &bench.path("out")]).0, 0);
    assert_eq!(bench.kept(), 0);
    assert_eq!(bench.run(&["contact", "add", &good]).0, 0);
    assert_eq!(bench.kept(), 2, "her certificate, and what she reads");
    let contacts = Home::create(bench.path("home").as_ref()).and_then(|home| home.contacts()).expect("readable");
    assert_eq!(contacts[0].addresses(), ["alice@example.com"], "and not those above her");
}

#[test]
fn mail_goes_to_the_newest_certificate_that_is_valid() {
    let at = |text: &str| Timestamp::parse_rfc3339(text).expect("a time");
    let random = &mut Seeded::new(b"newest");
    let begin = at("2025-01-01T00:00:00Z");
    let (authority, _) = Authority::create("Newest", &["a.example"], KeyAlgorithm::P256, begin, random).expect("made");
    let mut issue = |from: &str, days| -> Certificate {
        let key = PrivateKey::generate(KeyAlgorithm::P256, random).expect("a key");
        let profile = MailProfile::new("jane@a.example").days(days);
        authority.issue(&profile, key.public_key(), at(from), random).expect("issued")
    };
    let older = issue("2025-06-01T00:00:00Z", 800);
    let newest = issue("2026-01-01T00:00:00Z", 300);
    let ended = issue("2026-02-01T00:00:00Z", 30);
    let to_come = issue("2026-07-01T00:00:00Z", 300);
    let bench = Bench::new();
    // in whatever order they are learnt
    for (name, certificate) in [("1", &newest), ("2", &to_come), ("3", &older), ("4", &ended)] {
        let file = bench.write(name, &pem::encode("CERTIFICATE", certificate.der()));
        assert_eq!(bench.run(&["contact", "add", &file]).0, 0);
    }
    let letter = bench.write("letter", "From: bob@example.org\r\nTo: jane@a.example\r\n\r\nHi.\r\n");
    let reader = |at: &str| {
        let (home, out) = (bench.path("home"), bench.path("out"));
        let args = ["--home", &home, "--batch", "--at", at, "--json", "encrypt", &letter, "-o", &out, "--force"];
        let (code, _, talk) = support::run(env!("CARGO_BIN_EXE_sealpost"), &args, b"");
        assert_eq!(code, 0, "{talk}");
        let (_, seen, _) = bench.run(&["--json", "inspect", &out]);
        let serial = |certificate: &&Certificate| seen.contains(&certificate.serial_hex());
        let named: Vec<_> = [("older", &older), ("newest", &newest), ("ended", &ended), ("to come", &to_come)]
            .into_iter()
            .filter(|(_, certificate)| serial(certificate))
            .map(|(name, _)| name)
            .collect();
        assert_eq!(named.len(), 1, "{seen}");
        named[0]
    };
    assert_eq!(reader("2025-12-01T00:00:00Z"), "older");
    assert_eq!(reader("2026-02-15T00:00:00Z"), "ended", "while it was valid");
    assert_eq!(reader("2026-06-01T00:00:00Z"), "newest");
    assert_eq!(reader("2026-08-01T00:00:00Z"), "to come");
    assert_eq!(reader("2027-06-01T00:00:00Z"), "older", "the others are over");
}
