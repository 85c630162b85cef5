//! Examples that stand in the standards, and rules of theirs.

use sealpost::asn1::{encode, oid};
use sealpost::crypto::Error;
use sealpost::crypto::algorithm::{
    AlgorithmIdentifier, CipherParameters, ContentCipher, DigestAlgorithm, KeyWrap, SignatureAlgorithm, Strength,
};
use sealpost::crypto::key::PublicKey;
use sealpost::crypto::signature::Input;
use sealpost::crypto::{digest, wrap};

use super::peers::openssl;
use super::{PROVIDERS, unhex};
use crate::support;

/// RFC 3217 3.4.
#[test]
fn a_key_wrapped_with_triple_des_is_unwrapped() {
    let kek = unhex("255e0d1c07b646dfb3134cc843ba8aa71f025b7c0838251f");
    let wrapped = unhex("690107618ef092b3b48ca1796b234ae9fa33ebb4159604037db5d6a84eb3aac2768c632775a467d4");
    let key = wrap::unwrap(KeyWrap::DesEde3, &kek, &wrapped).expect("unwraps");
    assert_eq!(*key.expose(), unhex("2923bf85e06dd6ae529149f1f1bae9eab3a7da3d860d3e98"));
    refuses_others(KeyWrap::DesEde3, &kek, &wrapped);
}

/// RFC 3217 4.1; its example has 40 effective bits, and CMS only 128 (RFC 3370 4.3.2), so OpenSSL encrypts.
#[test]
fn a_key_wrapped_with_rc2_is_unwrapped() {
    if !support::peer("openssl") {
        return;
    }
    let encrypt = |iv: &str, bytes: &[u8]| {
        let key = "fd04fd08060707fb0003fefffd02fe05";
        let providers = ["-provider", "default", "-provider", "legacy"];
        openssl(&[&["enc", "-rc2-cbc", "-nopad", "-K", key, "-iv", iv][..], &providers].concat(), bytes)
    };
    // the lengths that fill the last block, and that do not
    for len in [15_u8, 16, 24, 32] {
        let key: Vec<u8> = (0..len).collect();
        let padding = vec![0x45; 7 - usize::from(len % 8)];
        let padded = [&[len], key.as_slice(), &padding].concat();
        let checksum = digest::of(DigestAlgorithm::Sha1, &padded);
        let inner = encrypt("c7d90059b29e97f7", &[padded.as_slice(), &checksum[..8]].concat());
        let mut reversed = [unhex("c7d90059b29e97f7"), inner].concat();
        reversed.reverse();
        let wrapped = encrypt("4adda22c79e82105", &reversed);
        let kek = unhex("fd04fd08060707fb0003fefffd02fe05");
        assert_eq!(*wrap::unwrap(KeyWrap::Rc2, &kek, &wrapped).expect("unwraps").expose(), key);
        refuses_others(KeyWrap::Rc2, &kek, &wrapped);
    }
    let read = KeyWrap::from_identifier(&KeyWrap::Rc2.identifier()).expect("what was written is read");
    assert_eq!(read, KeyWrap::Rc2);
    let with_40_bits = AlgorithmIdentifier::with(oid::RC2_WRAP, encode::integer_u64(160));
    assert_eq!(KeyWrap::from_identifier(&with_40_bits).expect_err("refused").to_string(), "unsupported RC2 version – 160");
}

fn refuses_others(kind: KeyWrap, kek: &[u8], wrapped: &[u8]) {
    let mut changed = wrapped.to_vec();
    changed[9] ^= 1;
    for other in [&changed[..], &wrapped[..24], &wrapped[..wrapped.len() - 8], &wrapped[..wrapped.len() - 1]] {
        assert!(matches!(wrap::unwrap(kind, kek, other), Err(Error::Unwrap)));
    }
    assert!(matches!(wrap::unwrap(kind, &kek[1..], wrapped), Err(Error::Malformed { .. })));
    assert!(matches!(wrap::wrap(kind, kek, &[1; 24]), Err(Error::Unsupported { .. })));
}

/// RFC 8032 7.4, without context: keys, messages, signatures.
#[test]
fn ed448_signatures_of_rfc_8032_fit() {
    for (key, message, signature) in [
        (
            "5fd7449b59b461fd2ce787ec616ad46a1da1342485a70e1f8a0ea75d80e96778edf124769b46c7061bd6783df1e50f6cd1fa1abeafe8256180",
            "",
            "533a37f6bbe457251f023c0d88f976ae2dfb504a843e34d2074fd823d41a591f2b233f034f628281f2fd7a22ddd47d7828c59bd0a21bfd3980\
             ff0d2028d4b18a9df63e006c5d1c2d345b925d8dc00b4104852db99ac5c7cdda8530a113a0f4dbb61149f05a7363268c71d95808ff2e652600",
        ),
        (
            "43ba28f430cdff456ae531545f7ecd0ac834a55d9358c0372bfa0c6c6798c0866aea01eb00742802b8438ea4cb82169c235160627b4c3a9480",
            "03",
            "26b8f91727bd62897af15e41eb43c377efb9c610d48f2335cb0bd0087810f4352541b143c4b981b7e18f62de8ccdf633fc1bf037ab7cd77980\
             5e0dbcc0aae1cbcee1afb2e027df36bc04dcecbf154336c19f0af7e0a6472905e799f1953d2a0ff3348ab21aa4adafd1d234441cf807c03a00",
        ),
    ] {
        let spki = encode::sequence(&[AlgorithmIdentifier::bare(oid::ED448).to_der(), encode::bit_string(&unhex(key))]);
        let (key, message, signature) = (PublicKey::from_spki(&spki).expect("a key"), unhex(message), unhex(signature));
        let algorithm = SignatureAlgorithm::from_identifier(&AlgorithmIdentifier::bare(oid::ED448), None).expect("known");
        assert_eq!((algorithm.digest(), algorithm.strength()), (DigestAlgorithm::Shake256, Strength::Good));
        for provider in PROVIDERS {
            provider.verify(&key, algorithm, Input::Message(&message), &signature).expect("fits");
            let other = provider.verify(&key, algorithm, Input::Message(b"other"), &signature);
            assert!(matches!(other, Err(Error::SignatureInvalid)));
            let hashed = provider.verify(&key, algorithm, Input::Digest(&[0; 64]), &signature);
            assert!(matches!(hashed, Err(Error::Unsupported { .. })));
        }
    }
}

/// RFC 8419 2.3 and 3.1: the length of SHAKE256 as a parameter, in bits; only 512 is known.
#[test]
fn shake_with_a_length_is_read_where_it_is_the_usual_one() {
    let digest = |bits| {
        let identifier = AlgorithmIdentifier::with(oid::SHAKE256_LEN, encode::integer_u64(bits));
        DigestAlgorithm::from_identifier(&identifier)
    };
    assert_eq!(digest(512).expect("known"), DigestAlgorithm::Shake256);
    assert_eq!(digest(256).expect_err("refused").to_string(), "unsupported digest – shake256-len");
    assert!(DigestAlgorithm::from_identifier(&AlgorithmIdentifier::bare(oid::SHAKE256_LEN)).is_err());
}

/// RFC 8018 B.2.3: how versions stand for effective bits.
#[test]
fn versions_of_rc2_are_read_as_effective_bits() {
    for (version, bits) in [(160, Some(40)), (120, Some(64)), (58, Some(128)), (57, None), (256, None)] {
        let parameters = encode::sequence(&[encode::integer_u64(version), encode::octet_string(&[1; 8])]);
        let read = CipherParameters::from_identifier(&AlgorithmIdentifier::with(oid::RC2_CBC, parameters));
        match bits {
            Some(effective_bits) => assert_eq!(read.expect("read").cipher, ContentCipher::Rc2Cbc { effective_bits }),
            None => assert_eq!(read.expect_err("refused").to_string(), format!("unsupported RC2 version – {version}")),
        }
    }
}

/// RFC 5084 3.1: CCM has tags of even length and nonces of 7 to 13 bytes.
#[test]
fn parameters_of_ccm_are_checked() {
    let read = |nonce_len, tag_len| {
        let parameters = encode::sequence(&[encode::octet_string(&vec![1; nonce_len]), encode::integer_u64(tag_len)]);
        CipherParameters::from_identifier(&AlgorithmIdentifier::with(oid::AES256_CCM, parameters))
    };
    for (nonce_len, tag_len) in [(7, 16), (12, 12), (13, 14)] {
        let parameters = read(nonce_len, tag_len).expect("read");
        assert_eq!((parameters.iv.len(), parameters.tag_len as u64), (nonce_len, tag_len));
        assert_eq!(parameters.cipher.strength(), Strength::Good);
    }
    for tag_len in [4, 10, 13, 15, 17] {
        assert_eq!(read(12, tag_len).expect_err("refused").to_string(), format!("unsupported tag length – {tag_len} bytes"));
    }
    for nonce_len in [0, 6, 14] {
        let refused = read(nonce_len, 16).expect_err("refused").to_string();
        assert_eq!(refused, "an initialization vector of the wrong length");
    }
}
