//! Post-quantum algorithms: signatures checked, encapsulated keys recovered, private keys whose parts must belong together.

use sealpost::asn1::{Tag, encode};
use sealpost::crypto::Error;
use sealpost::crypto::algorithm::{AlgorithmIdentifier, DigestAlgorithm, KeyAlgorithm, MlDsa, MlKem, SignatureAlgorithm, SlhDsa};
use sealpost::crypto::encapsulation;
use sealpost::crypto::key::{PrivateKey, PublicKey};
use sealpost::crypto::random::OsRandom;
use sealpost::crypto::signature::{self, Input};
use sealpost::limits::Limits;

use super::{Case, PROVIDERS, Suite, run_of};
use crate::support;

pub(super) const SUITE: Suite = Suite {
    folder: "wycheproof-pqc",
    files: &[
        ("mldsa_44_verify_test.json", 180),
        ("mldsa_87_verify_test.json", 241),
        ("mlkem_512_test.json", 193),
        ("mlkem_768_keygen_seed_test.json", 100),
        ("mlkem_768_test.json", 193),
    ],
    tests: &[include_str!("post_quantum.rs")],
};

#[test]
fn ml_dsa_signatures_are_taken_as_wycheproof_takes_them() {
    run_of(&SUITE, "mldsa_44_verify_test.json", &[], |case| fits(case, MlDsa::Set44));
    run_of(&SUITE, "mldsa_87_verify_test.json", &[], |case| fits(case, MlDsa::Set87));
}

/// Whether the signature fits in its context; without one every way to check it must say the same.
fn fits(case: &Case<'_>, set: MlDsa) -> bool {
    let Ok(key) = PublicKey::from_spki(&case.bytes("publicKeyDer")) else { return false };
    assert_eq!(key.algorithm(), KeyAlgorithm::MlDsa(set));
    let algorithm = SignatureAlgorithm::MlDsa(set);
    let context = if case.test.get("ctx").is_some() { case.bytes("ctx") } else { Vec::new() };
    let (message, signature) = (case.bytes("msg"), case.bytes("sig"));
    let accepted = signature::verify_in_context(&key, algorithm, &context, &message, &signature).is_ok();
    for provider in PROVIDERS {
        let without = provider.verify(&key, algorithm, Input::Message(&message), &signature);
        assert_eq!(without.is_ok(), accepted && context.is_empty(), "{provider:?} {}", case.test["tcId"]);
        assert!(matches!(without, Ok(()) | Err(Error::SignatureInvalid)));
    }
    accepted
}

#[test]
fn ml_kem_keys_are_recovered_as_wycheproof_recovers_them() {
    for (file, set) in [("mlkem_512_test.json", MlKem::Set512), ("mlkem_768_test.json", MlKem::Set768)] {
        run_of(&SUITE, file, &[], |case| {
            let Ok(key) = private_key(set, &encode::tlv(Tag::context(0), &case.bytes("seed"))) else { return false };
            assert_eq!(key.public_key().key_bits(), case.bytes("ek"));
            // a ciphertext of another key gives what implicit rejection gives, which the vectors state, too
            encapsulation::decapsulate(&key, &case.bytes("c")).is_ok_and(|shared| *shared.expose() == case.bytes("K"))
        });
    }
}

#[test]
fn ml_kem_keys_of_every_form_are_those_of_wycheproof() {
    run_of(&SUITE, "mlkem_768_keygen_seed_test.json", &[], |case| {
        let (seed, expanded) = (case.bytes("seed"), encode::octet_string(&case.bytes("dk")));
        let both = encode::sequence(&[encode::octet_string(&seed), expanded.clone()]);
        [encode::tlv(Tag::context(0), &seed), expanded, both].iter().all(|form| {
            let key = private_key(MlKem::Set768, form).expect("a key");
            key.public_key().key_bits() == case.bytes("ek")
        })
    });
}

/// A key inside PKCS#8.
fn private_key(set: MlKem, inner: &[u8]) -> Result<PrivateKey, Error> {
    let algorithm = AlgorithmIdentifier::bare(set.oid()).to_der();
    PrivateKey::from_pkcs8(&encode::sequence(&[encode::integer_u64(0), algorithm, encode::octet_string(inner)]))
}

#[test]
fn every_parameter_set_has_its_name_and_its_identifier() {
    let names = MlDsa::all().map(|set| (set.name(), set.oid(), KeyAlgorithm::MlDsa(set), SignatureAlgorithm::MlDsa(set)));
    let hashed = SlhDsa::all().map(|set| (set.name(), set.oid(), KeyAlgorithm::SlhDsa(set), SignatureAlgorithm::SlhDsa(set)));
    let all: Vec<_> = names.chain(hashed).collect();
    assert_eq!(all.len(), 15);
    for (name, oid, key, algorithm) in all {
        assert_eq!(sealpost::asn1::oid::name(&oid), Some(name));
        assert_eq!((key.name(), algorithm.name()), (name.to_owned(), name.to_owned()));
        let identifier = algorithm.identifier();
        assert_eq!(SignatureAlgorithm::from_identifier(&identifier, None).expect("known"), algorithm);
        assert_eq!((identifier.oid, identifier.parameters), (oid, None));
        // RFC 9882 2: there are no parameters
        let odd = AlgorithmIdentifier::with(oid, encode::octet_string(b"context"));
        assert!(matches!(SignatureAlgorithm::from_identifier(&odd, None), Err(Error::Unsupported { .. })));
        assert!(key.is_read_only() && key.signs() && !key.encrypts());
        assert!(SignatureAlgorithm::default_for(key, DigestAlgorithm::Sha512).is_err());
    }
    for set in MlKem::all() {
        assert_eq!(sealpost::asn1::oid::name(&set.oid()), Some(set.name()));
        let key = KeyAlgorithm::MlKem(set);
        assert!(key.is_read_only() && key.encrypts() && !key.agrees() && !key.signs());
        assert!(PrivateKey::generate(key, &mut OsRandom).is_err());
    }
}

/// RFC 9882 table 1, and SLH-DSA by the same rule.
#[test]
fn a_content_digest_suits_a_signature_that_is_no_stronger() {
    use DigestAlgorithm as D;
    let ml_dsa = |set| SignatureAlgorithm::MlDsa(set);
    let all = [D::Sha256, D::Sha3_256, D::Shake128, D::Sha384, D::Sha3_384, D::Sha512, D::Sha3_512, D::Shake256];
    for (set, first) in [(MlDsa::Set44, 0), (MlDsa::Set65, 3), (MlDsa::Set87, 5)] {
        for (at, digest) in all.iter().enumerate() {
            assert_eq!(ml_dsa(set).suits(*digest), at >= first, "{set:?} {digest:?}");
        }
        assert!(!ml_dsa(set).suits(D::Sha224));
    }
    assert!(SignatureAlgorithm::SlhDsa(SlhDsa::Sha2_128s).suits(D::Sha256));
    assert!(!SignatureAlgorithm::SlhDsa(SlhDsa::Shake256f).suits(D::Sha384));
}

/// Keys of RFC 9881 and RFC 9935, appendix C: each form gives the same public key, which is that of the file beside it, and is written
/// as it was read.
#[test]
fn private_keys_of_every_form_give_the_public_key_of_the_standards_examples() {
    let Some(folder) = support::vectors("pqc-cms") else { return };
    let read = |file: &str| std::fs::read(folder.join("lamps").join(file)).expect("the file is there");
    let load = |bytes: &[u8]| PrivateKey::from_any(bytes, None, &Limits::default());
    let sets = MlDsa::all().map(|set| ("dilithium-certificates", set.name())).collect::<Vec<_>>();
    for (place, name) in sets.into_iter().chain(MlKem::all().map(|set| ("kyber-certificates", set.name()))) {
        let file = format!("{place}/{}", name.to_ascii_uppercase());
        let public = sealpost::asn1::pem::parse_all(&read(&format!("{file}.pub"))).expect("PEM")[0].der.clone();
        for form in ["seed", "expanded", "both"] {
            let bytes = read(&format!("{file}-{form}.priv"));
            let key = load(&bytes).unwrap_or_else(|error| panic!("{file} {form}: {error}"));
            assert_eq!((key.public_key().spki(), key.algorithm().name()), (public.as_slice(), name.to_owned()));
            assert_eq!(
                *key.to_pkcs8().expect("a key here").expose(),
                sealpost::asn1::pem::parse_all(&bytes).expect("PEM")[0].der
            );
            assert_eq!(format!("{key:?}"), format!("PrivateKey({name})"));
        }
    }
}

/// One bit of each part of an expanded key: every one is bound to the others.
#[test]
fn an_expanded_key_with_one_bit_changed_is_refused() {
    let Some(folder) = support::vectors("pqc-cms") else { return };
    for (file, free) in [
        // rho, K, tr, s1, s2, t0: nothing tells of K, from which signatures are randomized
        ("dilithium-certificates/ML-DSA-44", 32..64),
        ("dilithium-certificates/ML-DSA-65", 32..64),
        ("dilithium-certificates/ML-DSA-87", 32..64),
        // the secret vector, the public key, its hash, and the secret of implicit rejection, of which nothing tells
        ("kyber-certificates/ML-KEM-512", 1600..1632),
        ("kyber-certificates/ML-KEM-1024", 3136..3168),
    ] {
        let bytes = std::fs::read(folder.join("lamps").join(format!("{file}-expanded.priv"))).expect("the file is there");
        let der = sealpost::asn1::pem::parse_all(&bytes).expect("PEM")[0].der.clone();
        let sound = PrivateKey::from_pkcs8(&der).expect("a key");
        // the headers of PKCS#8 before it
        let start = der.len() - expanded_len(sound.algorithm());
        let places = (start..der.len()).step_by(97).chain([start, start + free.start, start + 64, der.len() - 1]);
        for at in places {
            let mut changed = der.clone();
            changed[at] ^= 4;
            let found = PrivateKey::from_pkcs8(&changed);
            if free.contains(&(at - start)) {
                assert!(found.is_ok(), "{file} {}", at - start);
            } else {
                let error = found.expect_err(&format!("{file} {}", at - start));
                assert!(error.to_string().contains("parts do not belong together"), "{error}");
            }
        }
    }
}

fn expanded_len(algorithm: KeyAlgorithm) -> usize {
    match algorithm {
        KeyAlgorithm::MlDsa(MlDsa::Set44) => 2560,
        KeyAlgorithm::MlDsa(MlDsa::Set65) => 4032,
        KeyAlgorithm::MlDsa(MlDsa::Set87) => 4896,
        KeyAlgorithm::MlKem(MlKem::Set512) => 1632,
        KeyAlgorithm::MlKem(MlKem::Set768) => 2400,
        KeyAlgorithm::MlKem(MlKem::Set1024) => 3168,
        other => panic!("{other}"),
    }
}

#[test]
fn a_key_of_the_wrong_length_or_form_is_refused() {
    for inner in [
        Vec::new(),
        vec![0; 64],
        encode::tlv(Tag::context(0), &[0; 63]),
        encode::tlv(Tag::context(0), &[0; 65]),
        encode::tlv(Tag::context(1), &[0; 64]),
        encode::octet_string(&[0; 64]),
        encode::octet_string(&[0; 1632]),
        encode::sequence(&[encode::octet_string(&[0; 64])]),
        [encode::tlv(Tag::context(0), &[0; 64]), vec![5, 0]].concat(),
    ] {
        assert!(matches!(private_key(MlKem::Set512, &inner), Err(Error::Malformed { .. } | Error::Asn1(_))), "{inner:?}");
    }
    // numbers that no coefficient of a secret vector has, and all of them zero
    for (set, len) in [(MlDsa::Set44, 2560), (MlDsa::Set65, 4032), (MlDsa::Set87, 4896)] {
        let algorithm = AlgorithmIdentifier::bare(set.oid()).to_der();
        let key = |inner: &[u8]| {
            PrivateKey::from_pkcs8(&encode::sequence(&[encode::integer_u64(0), algorithm.clone(), encode::octet_string(inner)]))
        };
        for bytes in [vec![0; len], vec![0xff; len], vec![0; len - 1], vec![0; len + 1], Vec::new()] {
            assert!(matches!(key(&encode::octet_string(&bytes)), Err(Error::Malformed { .. })), "{set:?}");
        }
        for seed in [31, 33, 64] {
            assert!(matches!(key(&encode::tlv(Tag::context(0), &vec![7; seed])), Err(Error::Malformed { .. })), "{set:?}");
        }
        assert_eq!(key(&encode::tlv(Tag::context(0), &[7; 32])).expect("a key").algorithm(), KeyAlgorithm::MlDsa(set));
    }
    let slh = |len: usize| {
        let algorithm = AlgorithmIdentifier::bare(SlhDsa::Sha2_192f.oid()).to_der();
        PrivateKey::from_pkcs8(&encode::sequence(&[encode::integer_u64(0), algorithm, encode::octet_string(&vec![1; len])]))
    };
    assert_eq!(slh(96).expect("a key").public_key().key_bits(), [1; 48]);
    assert!([0, 95, 97, 128].into_iter().all(|len| slh(len).is_err()));
    // FIPS 203 7.2: a number that is not below the modulus
    let public = |bits: &[u8]| {
        let algorithm = AlgorithmIdentifier::bare(MlKem::Set512.oid()).to_der();
        PublicKey::from_spki(&encode::sequence(&[algorithm, encode::bit_string(bits)]))
    };
    assert!(public(&[0; 800]).is_ok() && public(&[0; 799]).is_err() && public(&[0xff; 800]).is_err());
}
