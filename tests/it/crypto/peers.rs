//! Keys of OpenSSL: its files are read and ours by it; it wraps and agrees on the same.

use sealpost::crypto::Error;
use sealpost::crypto::algorithm::{KeyAlgorithm, KeyWrap};
use sealpost::crypto::key::PrivateKey;
use sealpost::crypto::random::OsRandom;
use sealpost::crypto::wrap;
use sealpost::limits::Limits;
use sealpost::secret::Secret;

use super::PROVIDERS;
use crate::support;

const KINDS: [(&str, &[&str], KeyAlgorithm); 6] = [
    ("RSA", &["-pkeyopt", "rsa_keygen_bits:2048"], KeyAlgorithm::Rsa(2048)),
    ("EC", &["-pkeyopt", "ec_paramgen_curve:P-256"], KeyAlgorithm::P256),
    ("EC", &["-pkeyopt", "ec_paramgen_curve:P-384"], KeyAlgorithm::P384),
    ("EC", &["-pkeyopt", "ec_paramgen_curve:P-521"], KeyAlgorithm::P521),
    ("ED25519", &[], KeyAlgorithm::Ed25519),
    ("X25519", &[], KeyAlgorithm::X25519),
];

fn openssl(args: &[&str], input: &[u8]) -> Vec<u8> {
    let (code, out, talk) = support::run("openssl", args, input);
    assert_eq!(code, 0, "openssl {}: {talk}", args.join(" "));
    out
}

fn generated(kind: &str, options: &[&str]) -> Vec<u8> {
    openssl(&[&["genpkey", "-algorithm", kind][..], options].concat(), &[])
}

#[test]
fn keys_of_openssl_are_read_in_every_form() {
    if !support::peer("openssl") {
        return;
    }
    let limits = Limits::default();
    for (kind, options, algorithm) in KINDS {
        let pem = generated(kind, options);
        let key = PrivateKey::from_any(&pem, None, &limits).expect("PKCS#8 in PEM");
        assert_eq!(key.algorithm(), algorithm);
        let spki = openssl(&["pkey", "-pubout", "-outform", "DER"], &pem);
        assert_eq!(key.public_key().spki(), spki);
        let same = |bytes: &[u8], what: &str| {
            let read = PrivateKey::from_any(bytes, None, &limits).unwrap_or_else(|error| panic!("{algorithm} {what}: {error}"));
            assert_eq!(read.public_key(), key.public_key(), "{algorithm} {what}");
        };
        same(&openssl(&["pkey", "-outform", "DER"], &pem), "DER");
        // PKCS#1 and SEC1 where the kind has them
        if matches!(kind, "RSA" | "EC") {
            same(&openssl(&["pkey", "-traditional"], &pem), "traditional PEM");
            same(&openssl(&["pkey", "-traditional", "-outform", "DER"], &pem), "traditional DER");
        }
    }
}

#[test]
fn locked_keys_of_openssl_are_read() {
    if !support::peer("openssl") {
        return;
    }
    let limits = Limits::default();
    let pem = generated("EC", &["-pkeyopt", "ec_paramgen_curve:P-256"]);
    let key = PrivateKey::from_any(&pem, None, &limits).expect("a key");
    let passphrase = Secret::new("pässwort".as_bytes().to_vec());
    for options in [
        &["-v2", "aes-256-cbc"][..],
        &["-v2", "aes-128-cbc", "-v2prf", "hmacWithSHA512"],
        &["-v2", "aes-192-cbc", "-v2prf", "hmacWithSHA1"],
        &["-v2", "des3", "-v2prf", "hmacWithSHA384"],
        &["-v1", "PBE-SHA1-3DES"],
        &["-v1", "PBE-SHA1-2DES"],
        &["-provider", "default", "-provider", "legacy", "-v1", "PBE-SHA1-RC2-40"],
        &["-provider", "default", "-provider", "legacy", "-v1", "PBE-SHA1-RC2-128"],
        &["-provider", "default", "-provider", "legacy", "-v1", "PBE-MD5-DES"],
        &["-provider", "default", "-provider", "legacy", "-v1", "PBE-SHA1-DES"],
        &["-provider", "default", "-provider", "legacy", "-v1", "PBE-MD5-RC2-64"],
        &["-provider", "default", "-provider", "legacy", "-v1", "PBE-SHA1-RC2-64"],
    ] {
        let args = [&["pkcs8", "-topk8", "-passout", "pass:pässwort"][..], options].concat();
        let locked = openssl(&args, &pem);
        let read = PrivateKey::from_any(&locked, Some(&passphrase), &limits);
        let read = read.unwrap_or_else(|error| panic!("{options:?}: {error}"));
        assert_eq!(read.public_key(), key.public_key());
        let wrong = PrivateKey::from_any(&locked, Some(&Secret::new(b"other".to_vec())), &limits);
        assert!(matches!(wrong, Err(Error::WrongPassphrase)), "{options:?}");
        assert!(matches!(PrivateKey::from_any(&locked, None, &limits), Err(Error::PassphraseNeeded)));
    }
}

#[test]
fn openssl_reads_our_keys() {
    if !support::peer("openssl") {
        return;
    }
    let passphrase = Secret::new(b"secret".to_vec());
    for (_, _, algorithm) in KINDS {
        let key = PrivateKey::generate(algorithm, &mut OsRandom).expect("a key");
        let public = openssl(&["pkey", "-inform", "DER", "-pubout", "-outform", "DER"], key.to_pkcs8().expose());
        assert_eq!(public, key.public_key().spki(), "{algorithm}");
        let locked = key.to_encrypted_pkcs8(&passphrase, &mut OsRandom).expect("encrypts");
        let public = openssl(&["pkey", "-inform", "DER", "-passin", "pass:secret", "-pubout", "-outform", "DER"], &locked);
        assert_eq!(public, key.public_key().spki(), "{algorithm}, locked");
    }
}

#[test]
fn a_key_that_openssl_wrapped_with_triple_des_is_unwrapped() {
    if !support::peer("openssl") {
        return;
    }
    let kek = b"0123456789abcdefFEDCBA98";
    let hex: String = kek.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut wrapped = openssl(&["enc", "-des3-wrap", "-K", &hex], b"the content key, 24 byte");
    let key = wrap::unwrap(KeyWrap::DesEde3, kek, &wrapped).expect("unwraps");
    assert_eq!(key.expose().as_slice(), b"the content key, 24 byte");
    wrapped[20] ^= 1;
    assert!(matches!(wrap::unwrap(KeyWrap::DesEde3, kek, &wrapped), Err(Error::Unwrap)));
    assert!(matches!(wrap::unwrap(KeyWrap::DesEde3, kek, &wrapped[..32]), Err(Error::Unwrap)));
}

#[test]
fn openssl_agrees_on_the_same_secret() {
    if !support::peer("openssl") {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).to_str().expect("a name").to_owned();
    for (kind, options, algorithm) in KINDS {
        if algorithm.is_rsa() || !algorithm.encrypts() {
            continue;
        }
        let pem = generated(kind, options);
        std::fs::write(path("theirs"), &pem).expect("writes");
        let theirs = PrivateKey::from_any(&pem, None, &Limits::default()).expect("a key");
        let ours = PrivateKey::generate(algorithm, &mut OsRandom).expect("a key");
        std::fs::write(path("ours"), ours.public_key().spki()).expect("writes");
        let args = ["pkeyutl", "-derive", "-inkey", &path("theirs"), "-peerform", "DER", "-peerkey", &path("ours")];
        let secret = openssl(&args, &[]);
        for provider in PROVIDERS {
            let shared = provider.shared_secret(&ours, theirs.public_key()).expect("agrees");
            assert_eq!(*shared.expose(), secret, "{algorithm} {provider:?}");
        }
    }
}
