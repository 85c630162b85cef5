//! Key transport and key agreement.

use sealpost::asn1::{Oid, encode, oid};
use sealpost::crypto::algorithm::{
    AlgorithmIdentifier, DigestAlgorithm, KeyAgreement, KeyAlgorithm, KeyTransport, KeyWrap, Scheme,
};
use sealpost::crypto::key::{PrivateKey, PublicKey};
use sealpost::crypto::provider::Provider;
use sealpost::crypto::random::{OsRandom, Seeded};
use sealpost::crypto::{Error, agreement, kdf, wrap};

use super::{Case, PROVIDERS, run};

#[test]
fn rsa_oaep_decrypts_what_wycheproof_encrypted() {
    for file in [
        "rsa_oaep_2048_sha1_mgf1sha1_test.json",
        "rsa_oaep_2048_sha256_mgf1sha1_test.json",
        "rsa_oaep_2048_sha256_mgf1sha256_test.json",
        "rsa_oaep_2048_sha384_mgf1sha384_test.json",
        "rsa_oaep_2048_sha512_mgf1sha512_test.json",
        "rsa_oaep_4096_sha512_mgf1sha512_test.json",
    ] {
        run(file, &[], |case| {
            let (digest, mgf_digest, label) = (case.digest("sha"), case.digest("mgfSha"), case.bytes("label"));
            let transport = KeyTransport::RsaOaep { digest, mgf_digest, label };
            let key = PrivateKey::from_pkcs8(&case.bytes("privateKeyPkcs8")).expect("a key");
            let answers = PROVIDERS.map(|provider| {
                let decrypted = provider.decrypt(&key, &transport, &case.bytes("ct"), None, &mut OsRandom);
                decrypted.is_ok_and(|decrypted| *decrypted.expose() == case.bytes("msg"))
            });
            assert_eq!(answers[0], answers[1], "{}: the providers differ", case.test["tcId"]);
            answers[0]
        });
    }
}

/// No error tells of a padding that does not fit: such a ciphertext gives a random key.
#[test]
fn rsa_pkcs1_decrypts_what_wycheproof_encrypted_and_tells_nothing_of_the_rest() {
    for file in ["rsa_pkcs1_2048_test.json", "rsa_pkcs1_4096_test.json"] {
        run(file, &[], |case| {
            let (key, encrypted, message) = (case.bytes("privateKeyPkcs8"), case.bytes("ct"), case.bytes("msg"));
            let key = PrivateKey::from_pkcs8(&key).expect("a key");
            let answers = PROVIDERS.map(|provider| {
                let decrypt = |expected_len| {
                    let decrypted = provider.decrypt(&key, &KeyTransport::RsaPkcs1, &encrypted, expected_len, &mut OsRandom);
                    decrypted.expect("no error").expose().clone()
                };
                if case.result() == "valid" {
                    return decrypt(Some(message.len())) == message;
                }
                assert_eq!(decrypt(Some(24)).len(), 24);
                decrypt(None) == message
            });
            assert_eq!(answers[0], answers[1], "{}: the providers differ", case.test["tcId"]);
            answers[0]
        });
    }
}

#[test]
fn ecdh_agrees_as_wycheproof_does() {
    for (file, curve, len) in [("ecdh_secp256r1_test.json", oid::P256, 32), ("ecdh_secp384r1_test.json", oid::P384, 48)] {
        run(file, &[], |case| agrees(case, &ec_key(&curve, &case.bytes("private"), len), &case.bytes("public")));
    }
}

#[test]
fn x25519_agrees_as_wycheproof_does() {
    run("x25519_test.json", &[], |case| {
        let algorithm = AlgorithmIdentifier::bare(oid::X25519).to_der();
        let inner = encode::octet_string(&encode::octet_string(&case.bytes("private")));
        let key = encode::sequence(&[encode::integer_u64(0), algorithm.clone(), inner]);
        let spki = encode::sequence(&[algorithm, encode::bit_string(&case.bytes("public"))]);
        let zero = case.bytes("shared").iter().all(|byte| *byte == 0);
        let agreed = agrees(case, &key, &spki);
        assert_ne!(agreed, zero, "{}: a secret of zeros is refused, all others are agreed on", case.test["tcId"]);
        agreed
    });
}

#[test]
fn x448_agrees_as_wycheproof_does() {
    run("x448_asn_test.json", &[], |case| {
        let agreed = agrees(case, &case.bytes("private"), &case.bytes("public"));
        if case.result() == "acceptable" {
            let zero = case.bytes("shared").iter().all(|byte| *byte == 0);
            assert_ne!(agreed, zero, "{}: a secret of zeros is refused, all others are agreed on", case.test["tcId"]);
        }
        agreed
    });
}

fn ec_key(curve: &Oid, number: &[u8], len: usize) -> Vec<u8> {
    let number: Vec<u8> = number.iter().copied().skip_while(|byte| *byte == 0).collect();
    let scalar = [vec![0; len - number.len()], number].concat();
    let inner = encode::sequence(&[encode::integer_u64(1), encode::octet_string(&scalar)]);
    let algorithm = AlgorithmIdentifier::with(oid::EC_PUBLIC_KEY, encode::oid(curve));
    encode::sequence(&[encode::integer_u64(0), algorithm.to_der(), encode::octet_string(&inner)])
}

/// Whether a content key that is wrapped under the vector's shared secret is unwrapped by the key agreement of CMS.
fn agrees(case: &Case<'_>, private: &[u8], public: &[u8]) -> bool {
    let Ok(key) = PrivateKey::from_pkcs8(private) else { return false };
    let Ok(theirs) = PublicKey::from_spki(public) else { return false };
    let shared = PROVIDERS.map(|provider| match provider.shared_secret(&key, &theirs) {
        Ok(shared) => shared.expose().clone(),
        Err(_) => Vec::new(),
    });
    assert_eq!(shared[0], shared[1], "{}: the providers differ", case.test["tcId"]);
    // RFC 5753 7.2: keyInfo, the user keying material, the bits of the key as suppPubInfo
    let info = encode::sequence(&[
        KeyWrap::Aes256.identifier().to_der(),
        encode::explicit(0, &encode::octet_string(b"ukm")),
        encode::explicit(2, &encode::octet_string(&256_u32.to_be_bytes())),
    ]);
    [Scheme::Standard, Scheme::Cofactor, Scheme::Hkdf].into_iter().all(|scheme| {
        let kek = match scheme {
            Scheme::Hkdf => kdf::hkdf(DigestAlgorithm::Sha384, &case.bytes("shared"), b"ukm", &info, 32),
            _ => kdf::x963(DigestAlgorithm::Sha384, &case.bytes("shared"), &info, 32),
        };
        let wrapped = wrap::wrap(KeyWrap::Aes256, kek.expose(), &[5; 32]).expect("wraps");
        let agreement = KeyAgreement { scheme, kdf_digest: DigestAlgorithm::Sha384, wrap: KeyWrap::Aes256 };
        agreement::unwrap(&key, &theirs, &agreement, Some(b"ukm"), &wrapped).is_ok_and(|key| *key.expose() == [5; 32])
    })
}

/// Some writers have NULL where the key wrap has no parameters, and derive the key from what they wrote.
#[test]
fn a_key_that_was_derived_from_a_wrap_with_null_is_unwrapped() {
    let mut random = Seeded::new(b"null");
    let (own, theirs) = (make(KeyAlgorithm::P256, &mut random), make(KeyAlgorithm::P256, &mut random));
    let shared = Provider::Rust.shared_secret(&theirs, own.public_key()).expect("agrees");
    let bits = encode::explicit(2, &encode::octet_string(&128_u32.to_be_bytes()));
    let info = encode::sequence(&[AlgorithmIdentifier::with_null(oid::AES128_WRAP).to_der(), bits]);
    let kek = kdf::x963(DigestAlgorithm::Sha256, shared.expose(), &info, 16);
    let wrapped = wrap::wrap(KeyWrap::Aes128, kek.expose(), &[5; 16]).expect("wraps");
    let agreement = KeyAgreement { scheme: Scheme::Standard, kdf_digest: DigestAlgorithm::Sha256, wrap: KeyWrap::Aes128 };
    let key = agreement::unwrap(&own, theirs.public_key(), &agreement, None, &wrapped).expect("unwraps");
    assert_eq!(*key.expose(), [5; 16]);
    let refused = agreement::unwrap(&own, theirs.public_key(), &agreement, None, &[3; 24]);
    assert!(matches!(refused, Err(Error::Unwrap)));
}

#[test]
fn what_one_provider_encrypts_the_other_decrypts() {
    use DigestAlgorithm as D;
    let key = make(KeyAlgorithm::Rsa(2048), &mut Seeded::new(b"transport"));
    let mut transports = vec![KeyTransport::RsaPkcs1];
    for digest in [D::Sha1, D::Sha224, D::Sha256, D::Sha384, D::Sha512, D::Sha3_256, D::Sha3_384, D::Sha3_512] {
        for mgf_digest in [D::Sha1, D::Sha256, D::Sha512, digest] {
            for label in [&b""[..], b"a label"] {
                transports.push(KeyTransport::RsaOaep { digest, mgf_digest, label: label.to_vec() });
            }
        }
    }
    for digest in [D::Sha512_224, D::Sha512_256, D::Sha3_224] {
        for mgf_digest in [D::Sha1, digest] {
            transports.push(KeyTransport::RsaOaep { digest, mgf_digest, label: Vec::new() });
        }
    }
    for transport in transports {
        for writer in PROVIDERS {
            let encrypted = writer.encrypt(key.public_key(), &transport, &[5; 32], &mut OsRandom).expect("encrypts");
            for reader in PROVIDERS {
                let decrypted = reader.decrypt(&key, &transport, &encrypted, Some(32), &mut OsRandom).expect("decrypts");
                assert_eq!(*decrypted.expose(), [5; 32], "{} {writer:?} {reader:?}", transport.name());
            }
        }
    }
}

/// A key that changed from try to try would tell that there is none.
#[test]
fn a_padding_that_does_not_fit_gives_the_same_key_each_time() {
    let mut random = Seeded::new(b"rejection");
    let (key, other) = (make(KeyAlgorithm::Rsa(2048), &mut random), make(KeyAlgorithm::Rsa(2048), &mut random));
    let decrypt = |key: &PrivateKey, provider: Provider, byte: u8, len: usize| {
        let decrypted = provider.decrypt(key, &KeyTransport::RsaPkcs1, &[byte; 256], Some(len), &mut OsRandom);
        decrypted.expect("no error").expose().clone()
    };
    let first = decrypt(&key, Provider::Rust, 1, 32);
    assert_eq!(first.len(), 32);
    for provider in PROVIDERS {
        assert_eq!(decrypt(&key, provider, 1, 32), first);
        assert_eq!(decrypt(&key, provider, 1, 16).len(), 16);
        assert_ne!(decrypt(&key, provider, 2, 32), first);
        assert_ne!(decrypt(&other, provider, 1, 32), first);
    }
}

fn make(algorithm: KeyAlgorithm, random: &mut Seeded) -> PrivateKey {
    PrivateKey::generate(algorithm, random).expect("a key")
}
