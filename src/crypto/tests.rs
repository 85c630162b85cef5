use crate::crypto::agreement::{self, Ephemeral};
use crate::crypto::algorithm::{
    CipherParameters, ContentCipher, DigestAlgorithm, KeyAgreement, KeyAlgorithm, KeyTransport, KeyWrap, Scheme,
    SignatureAlgorithm,
};
use crate::crypto::cipher::{Decryptor, Encryptor, Foreknown};
use crate::crypto::key::PrivateKey;
use crate::crypto::provider::Provider;
use crate::crypto::random::{OsRandom, Random, Seeded};
use crate::crypto::signature::{self, Input};
use crate::crypto::{Error, transport};
use crate::limits::Limits;
use crate::secret::Secret;

const CIPHERS: [ContentCipher; 14] = [
    ContentCipher::Aes128Cbc,
    ContentCipher::Aes192Cbc,
    ContentCipher::Aes256Cbc,
    ContentCipher::Aes128Gcm,
    ContentCipher::Aes192Gcm,
    ContentCipher::Aes256Gcm,
    ContentCipher::Aes128Ccm,
    ContentCipher::Aes192Ccm,
    ContentCipher::Aes256Ccm,
    ContentCipher::ChaCha20Poly1305,
    ContentCipher::DesEde3Cbc,
    ContentCipher::DesCbc,
    ContentCipher::Rc2Cbc { effective_bits: 40 },
    ContentCipher::Rc2Cbc { effective_bits: 128 },
];

/// Decrypts in one pass, or in two where the cipher asks for it.
fn decrypted(
    provider: Provider,
    (parameters, key): (&CipherParameters, &[u8]),
    pieces: &[&[u8]],
    aad: &[u8],
    tag: Option<&[u8]>,
) -> Result<Vec<u8>, Error> {
    let pass = |foreknown: Option<&Foreknown>| -> Result<Vec<u8>, Error> {
        let mut plain = Vec::new();
        let mut decryptor = provider.decryptor(parameters, key, foreknown).expect("a key that fits");
        pieces.iter().for_each(|piece| decryptor.update(piece, &mut plain));
        decryptor.finish(aad, tag, &mut plain)?;
        Ok(plain)
    };
    let content_len = pieces.iter().map(|piece| piece.len() as u64).sum();
    match pass(None) {
        Err(Error::Foreknowledge) => pass(Some(&Foreknown { aad: aad.to_vec(), content_len })),
        other => other,
    }
}

/// Lengths around a block, a stride of the ciphers, and two of them.
const LENGTHS: [(usize, usize); 12] = [
    (0, 1),
    (1, 1),
    (15, 4),
    (16, 16),
    (17, 5),
    (999, 7),
    (1000, 1000),
    (8192, 8192),
    (8193, 8191),
    (20_000, 20_000),
    (20_000, 8197),
    (20_000, 333),
];

#[test]
fn content_in_any_pieces_comes_back() {
    let mut random = Seeded::new(b"pieces");
    let mut content = vec![0; 20_000];
    random.fill(&mut content);
    for cipher in CIPHERS {
        let parameters = CipherParameters::generate(cipher, &mut random);
        let parameters = CipherParameters::from_identifier(&parameters.identifier()).expect("what was written is read");
        let mut key = vec![0; cipher.key_len()];
        random.fill(&mut key);
        for (len, step) in LENGTHS {
            for aad in [&b""[..], b"authenticated"] {
                let foreknown = Foreknown { aad: aad.to_vec(), content_len: len as u64 };
                let encrypted = [Provider::Rust, Provider::Fastest].map(|provider| {
                    let mut encrypted = Vec::new();
                    let mut encryptor = provider.encryptor(&parameters, &key, Some(&foreknown)).expect("a key that fits");
                    content[..len].chunks(step).for_each(|piece| encryptor.update(piece, &mut encrypted));
                    let tag = encryptor.finish(aad, &mut encrypted).expect("encrypts");
                    (encrypted, tag)
                });
                assert_eq!(encrypted[0], encrypted[1], "{} {len} {step}", cipher.name());
                let (encrypted, tag) = &encrypted[0];
                let pieces: Vec<&[u8]> = encrypted.chunks(step + 2).collect();
                for provider in [Provider::Rust, Provider::Fastest] {
                    let decrypt = |aad: &[u8]| decrypted(provider, (&parameters, &key), &pieces, aad, tag.as_deref());
                    let plain = decrypt(aad).expect("decrypts");
                    assert_eq!(plain, content[..len], "{} {len} {step}", cipher.name());
                    if cipher.is_authenticated() {
                        assert!(matches!(decrypt(b"other"), Err(Error::TagMismatch)), "{}", cipher.name());
                    }
                }
            }
        }
    }
}

#[test]
fn a_cipher_that_had_to_know_says_so_and_nothing_else() {
    for cipher in [ContentCipher::ChaCha20Poly1305, ContentCipher::Aes256Ccm] {
        let parameters = CipherParameters::generate(cipher, &mut Seeded::new(b"foreknowledge"));
        let mut decryptor = Decryptor::new(&parameters, &[7; 32]).expect("a key that fits");
        let mut plain = Vec::new();
        decryptor.update(b"anything", &mut plain);
        // CCM cannot do without; ChaCha20-Poly1305 can where nothing else is authenticated
        let without_aad = decryptor.finish(b"", Some(&[0; 16]), &mut plain);
        match cipher {
            ContentCipher::Aes256Ccm => assert!(matches!(without_aad, Err(Error::Foreknowledge)) && plain.is_empty()),
            _ => assert!(matches!(without_aad, Err(Error::TagMismatch))),
        }
        let mut decryptor = Decryptor::new(&parameters, &[7; 32]).expect("a key that fits");
        decryptor.update(b"anything", &mut plain);
        assert!(matches!(decryptor.finish(b"aad", Some(&[0; 16]), &mut plain), Err(Error::Foreknowledge)));
        // what was known and what comes must be the same
        for (aad, content) in [(&b"ada"[..], &b"anything"[..]), (b"aad", b"anything else"), (b"aad", b"any")] {
            let foreknown = Foreknown { aad: b"aad".to_vec(), content_len: 8 };
            let (mut encrypted, mut plain) = (Vec::new(), Vec::new());
            let mut encryptor = Encryptor::knowing(&parameters, &[7; 32], &foreknown).expect("a key that fits");
            encryptor.update(b"anything", &mut encrypted);
            let tag = encryptor.finish(b"aad", &mut encrypted).expect("encrypts");
            let mut decryptor = Decryptor::knowing(&parameters, &[7; 32], &foreknown).expect("a key that fits");
            decryptor.update(content, &mut plain);
            assert!(matches!(decryptor.finish(aad, tag.as_deref(), &mut plain), Err(Error::TagMismatch)));
        }
        assert!(matches!(
            Encryptor::new(&parameters, &[7; 32]).and_then(|encryptor| encryptor.finish(b"aad", &mut Vec::new())),
            Err(Error::Foreknowledge)
        ));
    }
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("hexadecimal")).collect()
}

/// NIST SP 800-38C, examples 2 to 4 (the first has a tag of 4 bytes): key 40..4f, content 20..3f, a nonce of 8, 12 and 13 bytes; the last
/// one has 65536 bytes of authenticated data, whose length is written in another form, and a tag of 14 bytes.
#[test]
fn ccm_gives_the_published_ciphertexts() {
    let range = |from: u8, len: u8| -> Vec<u8> { (from..from + len).collect() };
    let long: Vec<u8> = range(0, 128).into_iter().chain(128..=255).cycle().take(65_536).collect();
    for (nonce, aad, len, expected, tag_len) in [
        (8, range(0, 16), 16, "d2a1f0e051ea5f62081a7792073d593d1fc64fbfaccd", 6),
        (12, range(0, 20), 24, "e3b201a9f5b71a7a9b1ceaeccd97e70b6176aad9a4428aa5484392fbc1b09951", 8),
        (13, long, 32, "69915dad1e84c6376a68c2967e4dab615ae0fd1faec44cc484828529463ccf72b4ac6bec93e8598e7f0dadbcea5b", 14),
    ] {
        let parameters = CipherParameters { cipher: ContentCipher::Aes128Ccm, iv: range(0x10, nonce), tag_len };
        let content = range(0x20, len);
        let foreknown = Foreknown { aad, content_len: u64::from(len) };
        for provider in [Provider::Rust, Provider::Fastest] {
            let mut out = Vec::new();
            let mut encryptor = provider.encryptor(&parameters, &range(0x40, 16), Some(&foreknown)).expect("a key that fits");
            encryptor.update(&content, &mut out);
            let tag = encryptor.finish(&foreknown.aad, &mut out).expect("encrypts");
            out.extend(tag.expect("a tag"));
            assert_eq!(out, hex(expected));
        }
    }
}

/// Test case 4 of the GCM specification (McGrew and Viega): 60 bytes of content, 20 of authenticated data.
#[test]
fn gcm_with_late_authenticated_data_gives_the_published_tag() {
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
