//! Keys for RSASSA-PSS alone (RFC 4055): what OpenSSL makes of them, and what it reads of ours.

use sealpost::asn1::{Cursor, pem};
use sealpost::cms::{Padding, SignedBuilder, SignerOptions};
use sealpost::crypto::Error;
use sealpost::crypto::algorithm::{DigestAlgorithm, KeyTransport, SignatureAlgorithm};
use sealpost::crypto::key::{PrivateKey, PublicKey};
use sealpost::crypto::random::OsRandom;
use sealpost::crypto::signature::{self, Input};
use sealpost::crypto::transport;
use sealpost::limits::Limits;
use sealpost::pki;

use crate::support::{self, Folder};

const MESSAGE: &str = "From: Alice <alice@example.com>\r\nTo: bob@example.org\r\nSubject: x\r\n\r\nLunch at noon.\r\n";
/// Parameters of keys, and the algorithm that we sign with.
const KINDS: [(&[&str], &str); 3] = [
    (&[], "rsa-pss-sha256"),
    (&["rsa_pss_keygen_md:sha256", "rsa_pss_keygen_mgf1_md:sha256", "rsa_pss_keygen_saltlen:20"], "rsa-pss-sha256"),
    (&["rsa_pss_keygen_md:sha384", "rsa_pss_keygen_mgf1_md:sha384", "rsa_pss_keygen_saltlen:48"], "rsa-pss-sha384"),
];

fn openssl(args: &[&str]) -> Vec<u8> {
    let (code, out, error) = support::run("openssl", args, b"");
    assert_eq!(code, 0, "{args:?}: {error}");
    out
}

/// An authority and alice, both with keys of these parameters.
fn made(parameters: &[&str]) -> Folder {
    let folder = Folder::new();
    let place = |name: &str| folder.place(name);
    let (root, root_key, alice, alice_key) =
        (place("root.pem"), place("root-key.pem"), place("alice.pem"), place("alice-key.pem"));
    for key in [&root_key, &alice_key] {
        let mut args = vec!["genpkey", "-algorithm", "RSA-PSS", "-pkeyopt", "rsa_keygen_bits:2048", "-out", key];
        parameters.iter().for_each(|parameter| args.extend(["-pkeyopt", parameter]));
        openssl(&args);
    }
    let mut args = vec!["req", "-x509", "-new", "-key", &root_key, "-subj", "/CN=Root", "-days", "7300", "-out", &root];
    args.extend(["-addext", "keyUsage=critical,keyCertSign,cRLSign"]);
    openssl(&args);
    let mut args = vec!["req", "-x509", "-new", "-key", &alice_key, "-subj", "/CN=Alice", "-days", "7000", "-out", &alice];
    args.extend(["-CA", &root, "-CAkey", &root_key, "-addext", "basicConstraints=critical,CA:false"]);
    args.extend(["-addext", "subjectAltName=email:alice@example.com", "-addext", "extendedKeyUsage=emailProtection"]);
    openssl(&args);
    folder.write("m.eml", MESSAGE);
    folder
}

#[test]
fn openssl_and_we_read_what_the_other_signs_with_a_key_for_pss() {
    if !support::peer("openssl") {
        return;
    }
    for (parameters, algorithm) in KINDS {
        let folder = made(parameters);
        let (root, alice, key) = (folder.place("root.pem"), folder.place("alice.pem"), folder.place("alice-key.pem"));
        let (ours, theirs, message) = (folder.place("ours.eml"), folder.place("theirs.eml"), folder.place("m.eml"));
        folder.good(&["sign", "m.eml", "-o", "ours.eml", "--cert", "alice.pem", "--key", "alice-key.pem"]);
        openssl(&["cms", "-verify", "-in", &ours, "-CAfile", &root, "-out", &folder.place("plain.txt")]);
        let mut args = vec!["cms", "-sign", "-in", &message, "-signer", &alice, "-inkey", &key, "-out", &theirs];
        // without the option, version 3.0 names PKCS#1 v1.5 in the message
        args.extend(["-from", "alice@example.com", "-subject", "x", "-keyopt", "rsa_padding_mode:pss"]);
        args.extend(["-md", algorithm.trim_start_matches("rsa-pss-")]);
        openssl(&args);
        for (name, expected) in [("ours.eml", Some(algorithm)), ("theirs.eml", None)] {
            let args = ["verify", name, "--trust", "root.pem", "--revocation", "off", "--json", "-o", "content.out", "--force"];
            let verdict = folder.json(&args);
            let used = verdict["layers"][0]["signers"][0]["algorithm"].as_str().expect("a name");
            assert!(expected.map_or(used.starts_with("rsa-pss-"), |expected| used == expected), "{name}: {used}");
        }
        let (code, _, error) = folder.run(&["encrypt", "m.eml", "--to-cert", "alice.pem", "-o", "e.eml"]);
        assert!(code != 0 && error.contains("RSASSA-PSS"), "{code}: {error}");
    }
}

#[test]
fn a_key_for_pss_makes_and_checks_nothing_else() {
    if !support::peer("openssl") {
        return;
    }
    let folder = made(KINDS[2].0);
    let read = |name: &str| std::fs::read(folder.place(name)).expect("a file");
    let key = PrivateKey::from_any(&read("alice-key.pem"), None, &Limits::default()).expect("a key");
    let certificate = pki::load::certificates(&read("alice.pem")).expect("readable").remove(0);
    // the same number in a key that may do everything
    let der = pem::parse_all(&read("alice-key.pem")).expect("PEM").remove(0).der;
    let mut fields = Cursor::new(&der).sequence().expect("PKCS#8");
    fields.integer().expect("a version");
    fields.sequence().expect("an algorithm");
    let inner = fields.octet_string().expect("a key").into_owned();
    let free = PrivateKey::from_any(&inner, None, &Limits::default()).expect("a key");
    let public = certificate.public_key().expect("a key");
    assert_eq!((public.is_pss(), key.public_key().is_pss(), free.public_key().is_pss()), (true, true, false));
    assert_eq!(PublicKey::from_spki(key.public_key().spki()).expect("a key"), public);
    assert!(PrivateKey::from_pkcs8(key.to_pkcs8().expect("here").expose()).expect("a key").public_key().is_pss());
    let (sha256, sha384) = (DigestAlgorithm::Sha256, DigestAlgorithm::Sha384);
    let pss = |digest, mgf_digest, salt_len| SignatureAlgorithm::RsaPss { digest, mgf_digest, salt_len };
    let cases = [
        (SignatureAlgorithm::RsaPkcs1(sha256), false),
        (SignatureAlgorithm::RsaPkcs1(sha384), false),
        (pss(sha256, sha256, 48), false),
        (pss(sha384, sha384, 47), false),
        (pss(sha384, sha384, 48), true),
        (pss(sha384, sha384, 64), true),
    ];
    for (algorithm, is_allowed) in cases {
        let signed = signature::sign(&free, algorithm, Input::Message(b"hello"), &mut OsRandom).expect("signed");
        signature::verify(free.public_key(), algorithm, Input::Message(b"hello"), &signed).expect("it fits the number");
        let checked = signature::verify(&public, algorithm, Input::Message(b"hello"), &signed);
        let refused = matches!(checked, Err(Error::KeyMismatch { .. }));
        assert_eq!((checked.is_ok(), refused), (is_allowed, !is_allowed), "{algorithm:?}");
        let made = signature::sign(&key, algorithm, Input::Message(b"hello"), &mut OsRandom);
        assert_eq!(made.is_ok(), is_allowed, "{algorithm:?}");
    }
    let options = SignerOptions::for_key(&free, sha256, Padding::Pkcs1).expect("a key that signs");
    let builder = SignedBuilder::new(&certificate, &free, options);
    assert!(builder.detached(&mut &b"hello"[..], &mut OsRandom).is_err(), "the certificate says that the key is for PSS");
    assert!(transport::encrypt(&public, &KeyTransport::oaep(sha256), &[1; 32], &mut OsRandom).is_err());
}
