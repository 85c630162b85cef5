//! RSA keys whose numbers do not belong together.

use sealpost::asn1::{Cursor, encode, oid};
use sealpost::crypto::Error;
use sealpost::crypto::algorithm::{AlgorithmIdentifier, DigestAlgorithm, KeyAlgorithm, KeyTransport, SignatureAlgorithm};
use sealpost::crypto::key::PrivateKey;
use sealpost::crypto::random::{OsRandom, Seeded};
use sealpost::crypto::signature::Input;

use super::PROVIDERS;

/// The key with one of its numbers changed: version, n, e, d, p, q, two exponents, coefficient.
fn changed(at: usize) -> Vec<u8> {
    let key = PrivateKey::generate(KeyAlgorithm::Rsa(2048), &mut Seeded::new(b"numbers")).expect("a key");
    let pkcs8 = key.to_pkcs8().expect("it may leave");
    let mut outer = Cursor::new(pkcs8.expose()).sequence().expect("a sequence");
    outer.integer().expect("a version");
    let algorithm = AlgorithmIdentifier::from_cursor(&mut outer).expect("an algorithm");
    assert_eq!(algorithm.oid, oid::RSA_ENCRYPTION);
    let inner = outer.octet_string().expect("a key");
    let mut numbers = Cursor::new(&inner).sequence().expect("a sequence");
    let mut values = Vec::new();
    while !numbers.is_empty() {
        values.push(numbers.integer().expect("a number").to_vec());
    }
    let middle = values[at].len() / 2;
    values[at][middle] ^= 4;
    let inner = encode::sequence(&values.iter().map(|value| encode::integer(value)).collect::<Vec<_>>());
    encode::sequence(&[encode::integer_u64(0), algorithm.to_der(), encode::octet_string(&inner)])
}

#[test]
fn an_rsa_key_whose_primes_do_not_make_the_modulus_is_refused_when_read() {
    for at in [1, 4, 5] {
        let refused = PrivateKey::from_pkcs8(&changed(at)).expect_err("refused");
        assert_eq!(refused.to_string(), "an RSA key that cannot be read", "number {at}");
    }
}

/// A signature with a wrong exponent of one prime would give away the other (Boneh, DeMillo, Lipton).
#[test]
fn an_rsa_key_with_another_wrong_number_gives_no_wrong_signature() {
    for at in [3, 6, 7, 8] {
        let key = PrivateKey::from_pkcs8(&changed(at)).expect("read");
        for provider in PROVIDERS {
            let algorithm = SignatureAlgorithm::RsaPkcs1(DigestAlgorithm::Sha256);
            match provider.sign(&key, algorithm, Input::Message(b"hello"), &mut OsRandom) {
                Err(error) => assert!(matches!(error, Error::Malformed { .. }), "number {at} {provider:?}: {error}"),
                // one that did not need the wrong number
                Ok(signature) => {
                    let fits = provider.verify(key.public_key(), algorithm, Input::Message(b"hello"), &signature);
                    fits.unwrap_or_else(|error| panic!("number {at} {provider:?}: {error}"));
                }
            }
            let transport = KeyTransport::oaep(DigestAlgorithm::Sha256);
            let encrypted = provider.encrypt(key.public_key(), &transport, &[5; 16], &mut OsRandom).expect("encrypts");
            if let Ok(decrypted) = provider.decrypt(&key, &transport, &encrypted, None, &mut OsRandom) {
                assert_eq!(*decrypted.expose(), [5; 16], "number {at} {provider:?}");
            }
        }
    }
}
