use crate::crypto::agreement::{self, Ephemeral};
use crate::crypto::algorithm::{
    CipherParameters, ContentCipher, DigestAlgorithm, KeyAgreement, KeyAlgorithm, KeyTransport, KeyWrap, Scheme,
    SignatureAlgorithm,
};
use crate::crypto::cipher::{Decryptor, Encryptor};
use crate::crypto::key::PrivateKey;
use crate::crypto::random::{OsRandom, Random, Seeded};
use crate::crypto::signature::{self, Input};
use crate::crypto::{Error, transport};
use crate::limits::Limits;
use crate::secret::Secret;

const CIPHERS: [ContentCipher; 11] = [
    ContentCipher::Aes128Cbc,
    ContentCipher::Aes192Cbc,
    ContentCipher::Aes256Cbc,
    ContentCipher::Aes128Gcm,
    ContentCipher::Aes192Gcm,
    ContentCipher::Aes256Gcm,
    ContentCipher::ChaCha20Poly1305,
    ContentCipher::DesEde3Cbc,
    ContentCipher::DesCbc,
    ContentCipher::Rc2Cbc { effective_bits: 40 },
    ContentCipher::Rc2Cbc { effective_bits: 128 },
];

#[test]
fn content_in_any_pieces_comes_back() {
    let mut random = Seeded::new(b"pieces");
    let mut content = vec![0; 1000];
    random.fill(&mut content);
    for cipher in CIPHERS {
        let parameters = CipherParameters::generate(cipher, &mut random);
        let parameters = CipherParameters::from_identifier(&parameters.identifier()).expect("what was written is read");
        let mut key = vec![0; cipher.key_len()];
        random.fill(&mut key);
        for (len, step) in [(0, 1), (1, 1), (15, 4), (16, 16), (17, 5), (999, 7), (1000, 1000)] {
            let mut encrypted = Vec::new();
            let mut encryptor = Encryptor::new(&parameters, &key).expect("a key that fits");
            content[..len].chunks(step).for_each(|piece| encryptor.update(piece, &mut encrypted));
            let tag = encryptor.finish(b"authenticated", &mut encrypted).expect("encrypts");
            let mut plain = Vec::new();
            let mut decryptor = Decryptor::new(&parameters, &key).expect("a key that fits");
            encrypted.chunks(step + 2).for_each(|piece| decryptor.update(piece, &mut plain));
            decryptor.finish(b"authenticated", tag.as_deref(), &mut plain).expect("decrypts");
            assert_eq!(plain, content[..len], "{} {len} {step}", cipher.name());
            if cipher.is_authenticated() {
                let mut decryptor = Decryptor::new(&parameters, &key).expect("a key that fits");
                decryptor.update(&encrypted, &mut Vec::new());
                assert!(matches!(decryptor.finish(b"other", tag.as_deref(), &mut Vec::new()), Err(Error::TagMismatch)));
            }
        }
    }
}

/// Test case 4 of the GCM specification (McGrew and Viega): 60 bytes of content, 20 of authenticated data.
#[test]
fn gcm_with_late_authenticated_data_gives_the_published_tag() {
    let hex = |text: &str| -> Vec<u8> {
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("hexadecimal")).collect()
    };
    let parameters = CipherParameters { cipher: ContentCipher::Aes128Gcm, iv: hex("cafebabefacedbaddecaf888"), tag_len: 16 };
    let mut encryptor = Encryptor::new(&parameters, &hex("feffe9928665731c6d6a8f9467308308")).expect("a key that fits");
    let mut out = Vec::new();
    let content = "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39";
    encryptor.update(&hex(content), &mut out);
    let tag = encryptor.finish(&hex("feedfacedeadbeeffeedfacedeadbeefabaddad2"), &mut out).expect("encrypts");
    assert_eq!(tag, Some(hex("5bc94fbc3221a5db94fae95ae7121a47")));
}

#[test]
fn keys_of_every_kind_sign_and_are_read_again() {
    let mut random = Seeded::new(b"keys");
    let limits = Limits::default();
    let passphrase = Secret::new(b"secret".to_vec());
    for algorithm in [KeyAlgorithm::Rsa(2048), KeyAlgorithm::P256, KeyAlgorithm::P384, KeyAlgorithm::P521, KeyAlgorithm::Ed25519]
    {
        let key = PrivateKey::generate(algorithm, &mut random).expect("a key");
        assert_eq!(key.algorithm(), algorithm);
        let locked = key.to_encrypted_pkcs8(&passphrase, &mut random).expect("encrypts");
        assert!(matches!(PrivateKey::from_any(&locked, None, &limits), Err(Error::PassphraseNeeded)));
        assert!(matches!(PrivateKey::from_any(&locked, Some(&Secret::new(b"x".to_vec())), &limits), Err(Error::WrongPassphrase)));
        let again = PrivateKey::from_any(&locked, Some(&passphrase), &limits).expect("the passphrase opens it");
        assert_eq!(again.public_key(), key.public_key());
        let mut schemes = vec![SignatureAlgorithm::default_for(algorithm, DigestAlgorithm::Sha256).expect("it signs")];
        if algorithm.is_rsa() {
            schemes.push(SignatureAlgorithm::pss(DigestAlgorithm::Sha384));
        }
        for scheme in schemes {
            let scheme = SignatureAlgorithm::from_identifier(&scheme.identifier(), None).expect("what was written is read");
            let signed = signature::sign(&again, scheme, Input::Message(b"hello"), &mut OsRandom).expect("signs");
            signature::verify(key.public_key(), scheme, Input::Message(b"hello"), &signed).expect("fits");
            let other = signature::verify(key.public_key(), scheme, Input::Message(b"hallo"), &signed);
            assert!(matches!(other, Err(Error::SignatureInvalid)));
        }
    }
}

#[test]
fn a_wrong_rsa_v15_ciphertext_gives_a_key_and_no_error() {
    let mut random = Seeded::new(b"transport");
    let key = PrivateKey::generate(KeyAlgorithm::Rsa(2048), &mut random).expect("a key");
    let content_key = [7; 32];
    for transport in [
        KeyTransport::RsaPkcs1,
        KeyTransport::oaep(DigestAlgorithm::Sha1),
        KeyTransport::oaep(DigestAlgorithm::Sha256),
        KeyTransport::RsaOaep { digest: DigestAlgorithm::Sha256, mgf_digest: DigestAlgorithm::Sha1, label: b"label".to_vec() },
    ] {
        let transport = KeyTransport::from_identifier(&transport.identifier()).expect("what was written is read");
        let mut encrypted = transport::encrypt(key.public_key(), &transport, &content_key, &mut random).expect("encrypts");
        let back = transport::decrypt(&key, &transport, &encrypted, Some(32), &mut random).expect("decrypts");
        assert_eq!(back.expose().as_slice(), content_key);
        encrypted[9] ^= 1;
        let changed = transport::decrypt(&key, &transport, &encrypted, Some(32), &mut random);
        match transport {
            KeyTransport::RsaPkcs1 => {
                let substitute = changed.expect("no error tells of the padding");
                assert_eq!(substitute.expose().len(), 32);
                assert_ne!(substitute.expose().as_slice(), content_key);
            }
            KeyTransport::RsaOaep { .. } => assert!(matches!(changed, Err(Error::Unwrap))),
        }
    }
}

#[test]
fn agreed_keys_unwrap_only_for_their_recipient() {
    let mut random = Seeded::new(b"agreement");
    for algorithm in [KeyAlgorithm::P256, KeyAlgorithm::P384, KeyAlgorithm::P521, KeyAlgorithm::X25519] {
        let recipient = PrivateKey::generate(algorithm, &mut random).expect("a key");
        let other = PrivateKey::generate(algorithm, &mut random).expect("a key");
        let agreement = KeyAgreement { scheme: Scheme::Standard, kdf_digest: DigestAlgorithm::Sha256, wrap: KeyWrap::Aes256 };
        let agreement = KeyAgreement::from_identifier(&agreement.identifier()).expect("what was written is read");
        let ephemeral = Ephemeral::generate(algorithm, &mut random).expect("a key");
        let wrapped = ephemeral.wrap(recipient.public_key(), &agreement, Some(b"ukm"), &[9; 32]).expect("wraps");
        let back = agreement::unwrap(&recipient, ephemeral.public_key(), &agreement, Some(b"ukm"), &wrapped).expect("unwraps");
        assert_eq!(back.expose().as_slice(), [9; 32]);
        assert!(matches!(
            agreement::unwrap(&other, ephemeral.public_key(), &agreement, Some(b"ukm"), &wrapped),
            Err(Error::Unwrap)
        ));
        assert!(matches!(agreement::unwrap(&recipient, ephemeral.public_key(), &agreement, None, &wrapped), Err(Error::Unwrap)));
    }
}
