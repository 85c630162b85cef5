//! Signatures.

use sealpost::crypto::algorithm::{DigestAlgorithm, KeyAlgorithm, SignatureAlgorithm};
use sealpost::crypto::digest;
use sealpost::crypto::key::{PrivateKey, PublicKey};
use sealpost::crypto::random::{OsRandom, Seeded};
use sealpost::crypto::signature::{self, Input};

use super::{Case, PROVIDERS, run};

#[test]
fn rsa_pkcs1_signatures_are_taken_as_wycheproof_takes_them() {
    for file in [
        "rsa_signature_2048_sha256_test.json",
        "rsa_signature_2048_sha384_test.json",
        "rsa_signature_2048_sha512_test.json",
        "rsa_signature_3072_sha256_test.json",
        "rsa_signature_3072_sha512_test.json",
        "rsa_signature_4096_sha256_test.json",
        "rsa_signature_4096_sha512_test.json",
        "rsa_signature_8192_sha256_test.json",
    ] {
        run(file, &[], |case| fits(case, SignatureAlgorithm::RsaPkcs1(case.digest("sha"))));
    }
}

#[test]
fn rsa_pss_signatures_are_taken_as_wycheproof_takes_them() {
    for file in [
        "rsa_pss_2048_sha1_mgf1_20_params_test.json",
        "rsa_pss_2048_sha256_mgf1_0_params_test.json",
        "rsa_pss_2048_sha256_mgf1_32_params_test.json",
        "rsa_pss_3072_sha256_mgf1_32_params_test.json",
        "rsa_pss_4096_sha384_mgf1_48_test.json",
    ] {
        run(file, &[], |case| {
            let salt_len = usize::try_from(case.number("sLen")).expect("a length");
            let (digest, mgf_digest) = (case.digest("sha"), case.digest("mgfSha"));
            fits(case, SignatureAlgorithm::RsaPss { digest, mgf_digest, salt_len })
        });
    }
}

#[test]
fn ecdsa_signatures_are_taken_as_wycheproof_takes_them() {
    for file in ["ecdsa_secp256r1_sha256_test.json", "ecdsa_secp384r1_sha256_test.json", "ecdsa_secp521r1_sha512_test.json"] {
        run(file, &[], |case| fits(case, SignatureAlgorithm::Ecdsa(case.digest("sha"))));
    }
}

#[test]
fn ed25519_signatures_are_taken_as_wycheproof_takes_them() {
    run("ed25519_test.json", &[], |case| fits(case, SignatureAlgorithm::Ed25519));
}

/// Whether the signature fits; message and digest, and all providers, must say the same.
fn fits(case: &Case<'_>, algorithm: SignatureAlgorithm) -> bool {
    let Ok(key) = PublicKey::from_spki(&case.bytes("publicKeyDer")) else { return false };
    let (message, signature) = (case.bytes("msg"), case.bytes("sig"));
    let digest = digest::of(algorithm.digest(), &message);
    let mut answers = Vec::new();
    for provider in PROVIDERS {
        answers.push(provider.verify(&key, algorithm, Input::Message(&message), &signature).is_ok());
        if algorithm != SignatureAlgorithm::Ed25519 {
            answers.push(provider.verify(&key, algorithm, Input::Digest(&digest), &signature).is_ok());
        }
    }
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{}: the providers differ: {answers:?}", case.test["tcId"]);
    answers[0]
}

#[test]
fn what_one_provider_signs_the_other_takes() {
    let mut random = Seeded::new(b"providers");
    for kind in [KeyAlgorithm::Rsa(2048), KeyAlgorithm::P256, KeyAlgorithm::P384, KeyAlgorithm::P521, KeyAlgorithm::Ed25519] {
        let key = PrivateKey::generate(kind, &mut random).expect("a key");
        for digest in [DigestAlgorithm::Sha1, DigestAlgorithm::Sha256, DigestAlgorithm::Sha384, DigestAlgorithm::Sha512] {
            let mut algorithms = vec![SignatureAlgorithm::default_for(kind, digest).expect("it signs")];
            if kind.is_rsa() {
                algorithms.push(SignatureAlgorithm::pss(digest));
            }
            for algorithm in algorithms {
                let hashed = digest::of(digest, b"hello");
                for signer in PROVIDERS {
                    let mut signed = vec![signer.sign(&key, algorithm, Input::Message(b"hello"), &mut OsRandom)];
                    if algorithm != SignatureAlgorithm::Ed25519 {
                        signed.push(signer.sign(&key, algorithm, Input::Digest(&hashed), &mut OsRandom));
                    }
                    for signature in signed {
                        let signature = signature.expect("signs");
                        for checker in PROVIDERS {
                            let checked = checker.verify(key.public_key(), algorithm, Input::Message(b"hello"), &signature);
                            checked.unwrap_or_else(|_| panic!("{} {signer:?} {checker:?}", algorithm.name()));
                            assert!(checker.verify(key.public_key(), algorithm, Input::Message(b"hallo"), &signature).is_err());
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_key_and_signature() {
    for kind in [KeyAlgorithm::Rsa(2048), KeyAlgorithm::P256, KeyAlgorithm::P384] {
        let make = || {
            let mut random = Seeded::new(b"reproducible");
            let key = PrivateKey::generate(kind, &mut random).expect("a key");
            let algorithm = SignatureAlgorithm::default_for(kind, DigestAlgorithm::Sha256).expect("it signs");
            signature::sign(&key, algorithm, Input::Message(b"hello"), &mut random).expect("signs")
        };
        assert_eq!(make(), make(), "{kind}");
    }
}

#[test]
fn a_key_from_the_system_s_randomness_signs() {
    let key = PrivateKey::generate(KeyAlgorithm::Rsa(3072), &mut OsRandom).expect("a key");
    assert_eq!(key.algorithm(), KeyAlgorithm::Rsa(3072));
    let algorithm = SignatureAlgorithm::pss(DigestAlgorithm::Sha256);
    let signed = signature::sign(&key, algorithm, Input::Message(b"hello"), &mut OsRandom).expect("signs");
    assert!(signature::verify(key.public_key(), algorithm, Input::Message(b"hello"), &signed).is_ok());
}
