//! Key transport and key agreement.

use sealpost::asn1::{Oid, encode, oid};
use sealpost::crypto::algorithm::{AlgorithmIdentifier, DigestAlgorithm, KeyAgreement, KeyTransport, KeyWrap, Scheme};
use sealpost::crypto::key::{PrivateKey, PublicKey};
use sealpost::crypto::random::OsRandom;
use sealpost::crypto::{agreement, kdf, wrap};

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

fn ec_key(curve: &Oid, number: &[u8], len: usize) -> Vec<u8> {
    let number: Vec<u8> = number.iter().copied().skip_while(|byte| *byte == 0).collect();
    let scalar = [vec![0; len - number.len()], number].concat();
    let inner = encode::sequence(&[encode::integer_u64(1), encode::octet_string(&scalar)]);
    let algorithm = AlgorithmIdentifier::with(oid::EC_PUBLIC_KEY, encode::oid(curve));
    encode::sequence(&[encode::integer_u64(0), algorithm.to_der(), encode::octet_string(&inner)])
}

/// Whether a content key that is wrapped under the vector's shared secret is unwrapped by the key agreement of CMS.
fn agrees(case: &Case<'_>, private: &[u8], public: &[u8]) -> bool {
    let key = PrivateKey::from_pkcs8(private).expect("a private key");
    let Ok(theirs) = PublicKey::from_spki(public) else { return false };
    let shared = PROVIDERS.map(|provider| match provider.shared_secret(&key, &theirs) {
        Ok(shared) => shared.expose().clone(),
        Err(_) => Vec::new(),
    });
    assert_eq!(shared[0], shared[1], "{}: the providers differ", case.test["tcId"]);
    // RFC 5753 7.2: keyInfo, then the bits of the key as suppPubInfo
    let info = encode::sequence(&[
        KeyWrap::Aes256.identifier().to_der(),
        encode::explicit(2, &encode::octet_string(&256_u32.to_be_bytes())),
    ]);
    let kek = kdf::x963(DigestAlgorithm::Sha384, &case.bytes("shared"), &info, 32);
    let wrapped = wrap::wrap(KeyWrap::Aes256, kek.expose(), &[5; 32]).expect("wraps");
    [Scheme::Standard, Scheme::Cofactor].into_iter().all(|scheme| {
        let agreement = KeyAgreement { scheme, kdf_digest: DigestAlgorithm::Sha384, wrap: KeyWrap::Aes256 };
        agreement::unwrap(&key, &theirs, &agreement, None, &wrapped).is_ok_and(|key| *key.expose() == [5; 32])
    })
}
