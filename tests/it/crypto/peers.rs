//! Keys of OpenSSL: its files are read and ours by it; it wraps and agrees on the same.

use sealpost::asn1::encode;
use sealpost::crypto::Error;
use sealpost::crypto::algorithm::{AlgorithmIdentifier, CipherParameters, ContentCipher, DigestAlgorithm, KeyAlgorithm, KeyWrap};
use sealpost::crypto::cipher::Foreknown;
use sealpost::crypto::key::PrivateKey;
use sealpost::crypto::random::OsRandom;
use sealpost::crypto::wrap;
use sealpost::limits::Limits;
use sealpost::secret::Secret;

use super::{DIGESTS, PROVIDERS};
use crate::support;

const KINDS: [(&str, &[&str], KeyAlgorithm); 10] = [
    ("RSA", &["-pkeyopt", "rsa_keygen_bits:2048"], KeyAlgorithm::Rsa(2048)),
    ("EC", &["-pkeyopt", "ec_paramgen_curve:P-256"], KeyAlgorithm::P256),
    ("EC", &["-pkeyopt", "ec_paramgen_curve:P-384"], KeyAlgorithm::P384),
    ("EC", &["-pkeyopt", "ec_paramgen_curve:P-521"], KeyAlgorithm::P521),
    ("EC", &["-pkeyopt", "ec_paramgen_curve:brainpoolP256r1"], KeyAlgorithm::BrainpoolP256),
    ("EC", &["-pkeyopt", "ec_paramgen_curve:brainpoolP384r1"], KeyAlgorithm::BrainpoolP384),
    ("ED448", &[], KeyAlgorithm::Ed448),
    ("X448", &[], KeyAlgorithm::X448),
    ("ED25519", &[], KeyAlgorithm::Ed25519),
    ("X25519", &[], KeyAlgorithm::X25519),
];

pub(super) fn openssl(args: &[&str], input: &[u8]) -> Vec<u8> {
    let (code, out, talk) = support::run("openssl", args, input);
    assert_eq!(code, 0, "openssl {}: {talk}", args.join(" "));
    out
}

pub(super) fn generated(kind: &str, options: &[&str]) -> Vec<u8> {
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
        let public =
            openssl(&["pkey", "-inform", "DER", "-pubout", "-outform", "DER"], key.to_pkcs8().expect("it may leave").expose());
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
    for key in [&b"16 bytes of key."[..], b"32 bytes of a key for content..."] {
        let wrapped = openssl(&["enc", "-des3-wrap", "-K", &hex], key);
        assert_eq!(wrap::unwrap(KeyWrap::DesEde3, kek, &wrapped).expect("unwraps").expose().as_slice(), key);
    }
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

/// OpenSSL's `dgst` is the judge of the digests that no vector is about.
#[test]
fn openssl_hashes_to_the_same() {
    if !support::peer("openssl") {
        return;
    }
    let content = vec![0x61; 1000];
    for digest in DIGESTS {
        let len = digest.output_len().to_string();
        let mut args = vec!["dgst", "-binary"];
        let name = format!("-{}", digest.name());
        args.push(&name);
        if matches!(digest, DigestAlgorithm::Shake128 | DigestAlgorithm::Shake256) {
            args.extend(["-xoflen", &len]);
        }
        let theirs = openssl(&args, &content);
        for provider in PROVIDERS {
            let mut hash = provider.digest(digest);
            hash.update(&content);
            assert_eq!(hash.finish(), theirs, "{} {provider:?}", digest.name());
        }
    }
}

const CCM: &str = "import sys
from cryptography.hazmat.primitives.ciphers.aead import AESCCM
key, nonce, aad, tag, content = sys.argv[1:6]
sealed = AESCCM(bytes.fromhex(key), int(tag)).encrypt(bytes.fromhex(nonce), b'a' * int(content), b'd' * int(aad))
sys.stdout.buffer.write(sealed)
";

/// Nonces of every length, tags of every length that is read, with and without authenticated data.
#[test]
fn ccm_of_python_is_decrypted() {
    let Some(program) = support::named_peer("SEALPOST_PYTHON") else { return };
    let ciphers = [(ContentCipher::Aes128Ccm, 16), (ContentCipher::Aes192Ccm, 24), (ContentCipher::Aes256Ccm, 32)];
    let cases = [(7, 16, 0, 0), (8, 12, 1, 20_000), (11, 14, 65_280, 15), (12, 16, 40, 16), (13, 12, 14, 65_535)];
    for ((cipher, key_len), (nonce_len, tag_len, aad_len, len)) in ciphers.into_iter().flat_map(|c| cases.map(|case| (c, case))) {
        let (key, nonce, aad) = (vec![7; key_len], vec![9; nonce_len], vec![b'd'; aad_len]);
        let hex = |bytes: &[u8]| -> String { bytes.iter().map(|byte| format!("{byte:02x}")).collect() };
        let args = [hex(&key), hex(&nonce), aad_len.to_string(), tag_len.to_string(), len.to_string()];
        let (code, sealed, talk) =
            support::run(&program, &[&["-c", CCM][..], &args.each_ref().map(String::as_str)].concat(), &[]);
        assert_eq!(code, 0, "{talk}");
        let (encrypted, tag) = sealed.split_at(len);
        let nonce_and_tag = encode::sequence(&[encode::octet_string(&nonce), encode::integer_u64(tag_len)]);
        let identifier = AlgorithmIdentifier::with(cipher.oid(), nonce_and_tag);
        let parameters = CipherParameters::from_identifier(&identifier).expect("parameters");
        let foreknown = Foreknown { aad: aad.clone(), content_len: len as u64 };
        for provider in PROVIDERS {
            let mut plain = Vec::new();
            let mut decryptor = provider.decryptor(&parameters, &key, Some(&foreknown)).expect("a key that fits");
            encrypted.chunks(1000).for_each(|piece| decryptor.update(piece, &mut plain));
            decryptor.finish(&aad, Some(tag), &mut plain).expect("the tag fits");
            assert!(plain == vec![b'a'; len], "{} {nonce_len} {tag_len}", cipher.name());
        }
    }
}
