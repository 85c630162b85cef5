//! Ciphers, wraps, codes and derivations.

use sealpost::asn1::{encode, oid};
use sealpost::crypto::algorithm::{AlgorithmIdentifier, CipherParameters, ContentCipher, DigestAlgorithm, KeyWrap};
use sealpost::crypto::cipher::{Decryptor, Encryptor, Foreknown};
use sealpost::crypto::provider::Provider;
use sealpost::crypto::{Error, mac, pbe, wrap};
use sealpost::limits::Limits;
use sealpost::secret::Secret;

use super::{Case, DIGESTS, PROVIDERS, run};

#[test]
fn aes_cbc_takes_what_wycheproof_takes() {
    run("aes_cbc_pkcs5_test.json", &[], |case| {
        let cipher = match case.number("keySize") {
            128 => ContentCipher::Aes128Cbc,
            192 => ContentCipher::Aes192Cbc,
            _ => ContentCipher::Aes256Cbc,
        };
        content(case, &CipherParameters { cipher, iv: case.bytes("iv"), tag_len: 0 })
    });
}

#[test]
fn aes_gcm_takes_what_wycheproof_takes() {
    run("aes_gcm_test.json", &[], |case| {
        let cipher = match case.number("keySize") {
            128 => ContentCipher::Aes128Gcm,
            192 => ContentCipher::Aes192Gcm,
            _ => ContentCipher::Aes256Gcm,
        };
        content(case, &CipherParameters { cipher, iv: case.bytes("iv"), tag_len: 16 })
    });
}

#[test]
fn chacha20_poly1305_takes_what_wycheproof_takes() {
    run("chacha20_poly1305_test.json", &[], |case| {
        content(case, &CipherParameters { cipher: ContentCipher::ChaCha20Poly1305, iv: case.bytes("iv"), tag_len: 16 })
    });
}

/// Decrypts, in pieces of 7 bytes; where it fits, encrypts again and compares. All providers must say the same.
fn content(case: &Case<'_>, parameters: &CipherParameters) -> bool {
    let answers = PROVIDERS.map(|provider| content_by(provider, case, parameters));
    assert_eq!(answers[0], answers[1], "{}: the providers differ", case.test["tcId"]);
    answers[0]
}

fn content_by(provider: Provider, case: &Case<'_>, parameters: &CipherParameters) -> bool {
    let (key, message, encrypted) = (case.bytes("key"), case.bytes("msg"), case.bytes("ct"));
    let (aad, tag) = match case.test.get("tag") {
        Some(_) => (case.bytes("aad"), Some(case.bytes("tag"))),
        None => (Vec::new(), None),
    };
    let pass = |foreknown: Option<&Foreknown>| {
        let mut plain = Vec::new();
        let mut decryptor = provider.decryptor(parameters, &key, foreknown)?;
        encrypted.chunks(7).for_each(|piece| decryptor.update(piece, &mut plain));
        decryptor.finish(&aad, tag.as_deref(), &mut plain)?;
        Ok(plain)
    };
    let foreknown = Foreknown { aad: aad.clone(), content_len: encrypted.len() as u64 };
    let plain = match pass(None) {
        Err(Error::Foreknowledge) => pass(Some(&foreknown)),
        other => other,
    };
    let Ok(plain) = plain else { return false };
    let foreknown = Foreknown { aad: aad.clone(), content_len: message.len() as u64 };
    let mut encryptor = provider.encryptor(parameters, &key, Some(&foreknown)).expect("the key fitted");
    let mut again = Vec::new();
    message.chunks(5).for_each(|piece| encryptor.update(piece, &mut again));
    let tag_again = encryptor.finish(&aad, &mut again).expect("encrypts");
    plain == message && again == encrypted && tag_again == tag
}

#[test]
fn aes_wrap_takes_what_wycheproof_takes() {
    run("aes_wrap_test.json", &[], |case| {
        let kind = match case.number("keySize") {
            128 => KeyWrap::Aes128,
            192 => KeyWrap::Aes192,
            _ => KeyWrap::Aes256,
        };
        let (kek, key, wrapped) = (case.bytes("key"), case.bytes("msg"), case.bytes("ct"));
        let Ok(unwrapped) = wrap::unwrap(kind, &kek, &wrapped) else { return false };
        *unwrapped.expose() == key && wrap::wrap(kind, &kek, &key).is_ok_and(|again| again == wrapped)
    });
}

#[test]
fn hmac_takes_what_wycheproof_takes() {
    for (file, digest) in [("hmac_sha256_test.json", DigestAlgorithm::Sha256), ("hmac_sha512_test.json", DigestAlgorithm::Sha512)]
    {
        run(file, &[], |case| {
            let codes = PROVIDERS.map(|provider| provider.hmac(digest, &case.bytes("key"), &case.bytes("msg")));
            assert_eq!(codes[0], codes[1], "{}: the providers differ", case.test["tcId"]);
            let len = usize::try_from(case.number("tagSize") / 8).expect("a length");
            mac::equal(&codes[0][..len], &case.bytes("tag"))
        });
    }
}

#[test]
fn hkdf_derives_what_wycheproof_derives() {
    for (file, digest) in [("hkdf_sha256_test.json", DigestAlgorithm::Sha256), ("hkdf_sha512_test.json", DigestAlgorithm::Sha512)]
    {
        run(file, &[], |case| {
            let len = usize::try_from(case.number("size")).expect("a length");
            let keys = PROVIDERS.map(|provider| {
                let key = provider.hkdf(digest, (&case.bytes("ikm"), &case.bytes("salt")), &case.bytes("info"), len);
                key.expose().clone()
            });
            assert_eq!(keys[0], keys[1], "{}: the providers differ", case.test["tcId"]);
            keys[0] == case.bytes("okm")
        });
    }
}

#[test]
fn the_providers_hash_to_the_same_in_any_pieces() {
    let content: Vec<u8> = (0..1000_u32).map(|n| n.to_le_bytes()[0] ^ 0x5a).collect();
    for digest in DIGESTS {
        for len in [0, 1, 55, 56, 63, 64, 65, 111, 112, 127, 128, 129, 135, 136, 137, 168, 1000] {
            let digests = PROVIDERS.map(|provider| {
                let mut hash = provider.digest(digest);
                content[..len].chunks(37).for_each(|piece| hash.update(piece));
                hash.finish()
            });
            assert_eq!(digests[0], digests[1], "{} {len}", digest.name());
            assert_eq!(digests[0].len(), digest.output_len());
        }
    }
}

/// Some vectors have 16 million rounds, half a minute each; the rounds of the others show the same.
const ROUNDS: u64 = 200_000;

#[test]
fn pbkdf2_derives_what_wycheproof_derives() {
    for (file, digest) in
        [("pbkdf2_hmacsha1_test.json", DigestAlgorithm::Sha1), ("pbkdf2_hmacsha256_test.json", DigestAlgorithm::Sha256)]
    {
        run(file, &[], |case| {
            let (rounds, key) = (case.number("iterationCount"), case.bytes("dk"));
            let derive = |provider: Provider| {
                let derived = provider.pbkdf2(digest, (&case.bytes("password"), &case.bytes("salt")), rounds, key.len());
                derived.expose().clone()
            };
            rounds > ROUNDS || PROVIDERS.into_iter().all(|provider| derive(provider) == key)
        });
    }
}

#[test]
fn the_providers_derive_the_same_from_a_password() {
    for digest in DIGESTS {
        let keys = PROVIDERS.map(|provider| provider.pbkdf2(digest, (b"password", b"salt"), 100, 100).expose().clone());
        assert_eq!(keys[0], keys[1], "{}", digest.name());
    }
}

#[test]
fn pbes2_decrypts_what_wycheproof_encrypted() {
    for (file, hmac, cipher) in [
        ("pbes2_hmacsha1_aes_128_test.json", oid::HMAC_SHA1, ContentCipher::Aes128Cbc),
        ("pbes2_hmacsha256_aes_256_test.json", oid::HMAC_SHA256, ContentCipher::Aes256Cbc),
    ] {
        run(file, &[], |case| {
            if case.number("iterationCount") > ROUNDS {
                return true;
            }
            let derivation = encode::sequence(&[
                encode::octet_string(&case.bytes("salt")),
                encode::integer_u64(case.number("iterationCount")),
                AlgorithmIdentifier::with_null(hmac).to_der(),
            ]);
            let cipher = CipherParameters { cipher, iv: case.bytes("iv"), tag_len: 0 };
            let parameters =
                encode::sequence(&[AlgorithmIdentifier::with(oid::PBKDF2, derivation).to_der(), cipher.identifier().to_der()]);
            let algorithm = AlgorithmIdentifier::with(oid::PBES2, parameters);
            let passphrase = Secret::new(case.bytes("password"));
            let plain = pbe::decrypt(&algorithm, &passphrase, &case.bytes("ct"), &mut pbe::Cost::new(&Limits::default()));
            plain.is_ok_and(|plain| *plain.expose() == case.bytes("msg"))
        });
    }
}

#[test]
fn a_key_derivation_over_the_bound_is_refused() {
    let derivation = encode::sequence(&[encode::octet_string(b"saltsalt"), encode::integer_u64(20_000_001)]);
    let cipher = CipherParameters { cipher: ContentCipher::Aes128Cbc, iv: vec![0; 16], tag_len: 0 };
    let parameters =
        encode::sequence(&[AlgorithmIdentifier::with(oid::PBKDF2, derivation).to_der(), cipher.identifier().to_der()]);
    let algorithm = AlgorithmIdentifier::with(oid::PBES2, parameters);
    let refused = pbe::decrypt(&algorithm, &Secret::new(b"x".to_vec()), &[0; 16], &mut pbe::Cost::new(&Limits::default()));
    let text = refused.err().expect("refused").to_string();
    assert_eq!(text, "limit reached: kdf iterations – at most 12000000");
}

#[test]
fn a_content_key_of_another_length_is_refused() {
    for (cipher, len) in [
        (ContentCipher::Aes256Cbc, 16),
        (ContentCipher::Aes128Gcm, 32),
        (ContentCipher::ChaCha20Poly1305, 31),
        (ContentCipher::DesEde3Cbc, 16),
    ] {
        let parameters = CipherParameters { cipher, iv: vec![1; cipher.iv_len()], tag_len: 16 };
        let refused = Decryptor::new(&parameters, &vec![7; len]).err().expect("refused").to_string();
        assert_eq!(refused, "a content key whose length does not fit the cipher");
        assert!(Encryptor::new(&parameters, &vec![7; len]).is_err());
    }
}

#[test]
fn a_shortened_or_missing_tag_is_refused() {
    for cipher in [ContentCipher::Aes256Gcm, ContentCipher::ChaCha20Poly1305] {
        let parameters = CipherParameters { cipher, iv: vec![1; 12], tag_len: 16 };
        let mut encrypted = Vec::new();
        let mut encryptor = Encryptor::new(&parameters, &[7; 32]).expect("a key that fits");
        encryptor.update(b"hello", &mut encrypted);
        let tag = encryptor.finish(&[], &mut encrypted).expect("encrypts").expect("a tag");
        for tag in [Some(&tag[..12]), Some(&tag[..0]), None] {
            let mut decryptor = Decryptor::new(&parameters, &[7; 32]).expect("a key that fits");
            decryptor.update(&encrypted, &mut Vec::new());
            assert!(matches!(decryptor.finish(&[], tag, &mut Vec::new()), Err(Error::TagMismatch)));
        }
    }
}

#[test]
fn parameters_that_promise_too_little_are_refused() {
    let nonce = encode::octet_string(&[1; 12]);
    let with_tag = |len| {
        let parameters = encode::sequence(&[nonce.clone(), encode::integer_u64(len)]);
        CipherParameters::from_identifier(&AlgorithmIdentifier::with(oid::AES256_GCM, parameters))
    };
    assert_eq!(with_tag(8).expect_err("refused").to_string(), "unsupported tag length – 8 bytes");
    assert_eq!(with_tag(13).expect("read").tag_len, 13);
    let defaulted = AlgorithmIdentifier::with(oid::AES256_GCM, encode::sequence(&[nonce]));
    assert_eq!(CipherParameters::from_identifier(&defaulted).expect("read").tag_len, 12);
    let short = AlgorithmIdentifier::with(oid::AES256_CBC, encode::octet_string(&[1; 8]));
    assert!(CipherParameters::from_identifier(&short).is_err());
    assert!(CipherParameters::from_identifier(&AlgorithmIdentifier::bare(oid::AES256_CBC)).is_err());
}
