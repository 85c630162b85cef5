//! Requests of `openssl req`: only their key is taken, and only with proof that someone holds it.

use sealpost::asn1::{Cursor, pem};
use sealpost::ca::{self, Error, Uses};
use sealpost::crypto::algorithm::KeyAlgorithm;
use sealpost::crypto::random::OsRandom;

use super::{Bench, at, openssl, profile, sealpost};
use crate::support;

/// Kinds of key, and ways to sign with them.
const KINDS: &[(&[&str], &[&str])] = &[
    (&["-newkey", "rsa:2048"], &[]),
    (&["-newkey", "rsa:2048"], &["-sha512"]),
    (&["-newkey", "rsa:2048"], &["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest"]),
    (&["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"], &[]),
    (&["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384"], &["-sha384"]),
    (&["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-521"], &["-sha512"]),
    (&["-newkey", "ed25519"], &[]),
];

/// A request that wants to be an authority for another person.
fn request(kind: &[&str], more: &[&str]) -> Vec<u8> {
    let wants =
        ["-subj", "/CN=Mallory", "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "subjectAltName=email:eve@b.example"];
    let args = [&["req", "-new", "-nodes", "-keyout", "/dev/null"][..], kind, &wants, more].concat();
    openssl(&args, b"").into_bytes()
}

#[test]
fn takes_the_key_of_a_request_and_nothing_else() {
    if !support::peer("openssl") {
        return;
    }
    let bench = Bench::new(KeyAlgorithm::P384);
    for (kind, more) in KINDS {
        let request = request(kind, more);
        let key = ca::read_request(&request).unwrap_or_else(|error| panic!("{kind:?} {more:?}: {error}"));
        let public = openssl(&["req", "-noout", "-pubkey"], &request);
        assert_eq!(pem::parse_all(public.as_bytes()).expect("PEM")[0].der, key.spki(), "{kind:?}");
        let der = pem::parse_all(&request).expect("PEM").remove(0).der;
        assert!(ca::read_request(&der).is_ok_and(|same| same == key), "DER");
        let certificate = bench.store.issue(&profile("jane@a.example", Uses::Sign), &key, at(), &mut OsRandom).expect("issued");
        let text = openssl(&["x509", "-noout", "-text"], pem::encode("CERTIFICATE", certificate.der()).as_bytes());
        assert!(!text.contains("Mallory") && !text.contains("eve@b.example") && !text.contains("CA:TRUE"), "{text}");
        let leaf = bench.write("leaf", &certificate);
        let (code, words) = bench.verify(&leaf, &["-untrusted", &bench.path("issuing"), "-purpose", "smimesign"]);
        assert_eq!(code, 0, "{kind:?}: {words}");
    }
}

#[test]
fn refuses_a_request_that_was_changed_anywhere() {
    if !support::peer("openssl") {
        return;
    }
    for (kind, more) in [KINDS[0], KINDS[3], KINDS[6]] {
        let der = pem::parse_all(&request(kind, more)).expect("PEM").remove(0).der;
        // all that is signed, and the end of the signature
        let signed = 4 + Cursor::new(&der).sequence().and_then(|mut fields| fields.any()).expect("its content").raw.len();
        for at in (0..signed).chain(der.len() - 32..der.len()) {
            let mut changed = der.clone();
            changed[at] ^= 1;
            assert!(ca::read_request(&changed).is_err(), "{kind:?}: byte {at}");
        }
        let name = der.windows(7).position(|window| window == b"Mallory").expect("its subject");
        let mut changed = der.clone();
        changed[name] = b'B';
        let error = ca::read_request(&changed).expect_err("another subject").to_string();
        assert_eq!(error, "the request is not signed with its own key");
    }
}

#[test]
fn refuses_a_request_for_the_key_of_another() {
    if !support::peer("openssl") {
        return;
    }
    // the signature of one over the key of the other
    let [mine, theirs] =
        [request(KINDS[3].0, &[]), request(KINDS[3].0, &[])].map(|r| pem::parse_all(&r).expect("PEM").remove(0).der);
    let public = |der: &[u8]| ca::read_request(der).expect("good").spki().to_vec();
    let (old, new) = (public(&mine), public(&theirs));
    let at = mine.windows(old.len()).position(|window| window == old).expect("its key");
    let mixed = [&mine[..at], &new, &mine[at + old.len()..]].concat();
    assert!(matches!(ca::read_request(&mixed), Err(Error::Refused(why)) if why.contains("its own key")));
}

#[test]
fn refuses_a_key_that_is_too_short() {
    if !support::peer("openssl") {
        return;
    }
    let bench = Bench::new(KeyAlgorithm::P384);
    let key = ca::read_request(&request(&["-newkey", "rsa:1024"], &[])).expect("signed with its own key");
    let refused = bench.store.issue(&profile("jane@a.example", Uses::Dual), &key, at(), &mut OsRandom).expect_err("too short");
    assert_eq!(refused.to_string(), "an RSA key of 1024 bits is too short – at least 2048");
    assert!(bench.store.issued().expect("readable").is_empty());
}

#[test]
fn refuses_an_address_outside_of_the_domains_and_what_is_no_address() {
    let bench = Bench::new(KeyAlgorithm::P384);
    let key = super::key(KeyAlgorithm::P256);
    let issue = |address: &str| bench.store.issue(&profile(address, Uses::Dual), key.public_key(), at(), &mut OsRandom);
    for address in ["jane@c.example", "jane@a.example.c.example", "jane@xa.example", "jürgen@c.example"] {
        let error = issue(address).expect_err(address).to_string();
        assert!(error.contains("is outside of what") && error.contains("may vouch for"), "{address}: {error}");
    }
    for address in ["jane", "jane@", "@a.example", "jane@a.example\r\nx", "ja ne@a.example", "jane@a..example", "a@b@a.example"] {
        assert_eq!(issue(address).expect_err(address).to_string(), format!("{address} is not a mail address"));
    }
    assert!(bench.store.issued().expect("readable").is_empty());
    for address in ["jane@a.example", "Jane@A.Example", "jane@mail.a.example", "jane+x@b.example"] {
        issue(address).unwrap_or_else(|error| panic!("{address}: {error}"));
    }
}

#[test]
fn the_program_refuses_a_changed_request_and_leaves_no_file() {
    if !support::peer("openssl") {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let issue = |csr: &str, out: &str| sealpost(folder.path(), &["ca", "issue", "jane@a.example", "--csr", csr, "-o", out]);
    assert_eq!(sealpost(folder.path(), &["ca", "init", "--name", "Example Org", "--domain", "a.example"]).0, 0);
    let mut der = pem::parse_all(&request(KINDS[3].0, &[])).expect("PEM").remove(0).der;
    std::fs::write(path("good"), &der).expect("written");
    let name = der.windows(7).position(|window| window == b"Mallory").expect("its subject");
    der[name] = b'B';
    std::fs::write(path("changed"), &der).expect("written");
    let (code, _, talk) = issue(&path("changed"), &path("out"));
    assert!(code == 8 && talk.contains("not signed with its own key"), "{code} {talk}");
    assert!(!std::fs::exists(path("out")).expect("readable"));
    assert_eq!(issue(&path("good"), &path("out")).0, 0);
    assert!(openssl(&["x509", "-in", &path("out"), "-noout", "-subject"], b"").contains("jane@a.example"));
}
