//! What is written here is read here.

use sealpost::cms::{self, Content, EnvelopedBuilder, Key, Padding, SignatureCheck, SignedBuilder, SignerOptions, To};
use sealpost::crypto::algorithm::{ContentCipher, DigestAlgorithm, KeyTransport};
use sealpost::crypto::random::Seeded;
use sealpost::limits::Limits;
use sealpost::time::Timestamp;

use super::cast::{Person, cast};
use super::{checks, decrypt, is_good, read_enveloped, read_signed};

pub(super) const CONTENT: &[u8] = b"Content-Type: text/plain\r\n\r\nHello, world.\r\n";

pub(super) const SIGNERS: [&str; 5] = ["alice", "carol", "dave", "erin", "frank"];
pub(super) const READERS: [&str; 5] = ["alice", "carol", "dave", "erin", "grace"];
pub(super) const CIPHERS: [ContentCipher; 7] = [
    ContentCipher::Aes128Cbc,
    ContentCipher::Aes192Cbc,
    ContentCipher::Aes256Cbc,
    ContentCipher::Aes128Gcm,
    ContentCipher::Aes192Gcm,
    ContentCipher::Aes256Gcm,
    ContentCipher::ChaCha20Poly1305,
];

pub(super) fn options(person: &Person, digest: DigestAlgorithm) -> SignerOptions {
    let mut options = SignerOptions::for_key(&person.key, digest, Padding::Pkcs1).unwrap();
    options.signing_time = Some(Timestamp::from_unix(1_700_000_000));
    options
}

pub(super) fn builder<'a>(person: &'a Person, digest: DigestAlgorithm) -> SignedBuilder<'a> {
    SignedBuilder::new(&person.certificate, &person.key, options(person, digest))
}

pub(super) fn opaque(builder: &SignedBuilder<'_>, mut content: &[u8]) -> Vec<u8> {
    let mut message = Vec::new();
    builder.opaque(&mut content, &mut message, &mut Seeded::new(b"sign")).unwrap();
    message
}

pub(super) fn detached(builder: &SignedBuilder<'_>, content: &[u8]) -> Vec<u8> {
    builder.detached(&mut &*content, &mut Seeded::new(b"sign")).unwrap()
}

pub(super) fn encrypted(cipher: ContentCipher, transport: &KeyTransport, to: &[&Person], mut content: &[u8]) -> Vec<u8> {
    let builder = to.iter().fold(EnvelopedBuilder::new(cipher), |builder, person| {
        builder.recipient(To::new(&person.certificate).transport(transport.clone()))
    });
    let mut message = Vec::new();
    builder.encrypt(&mut content, &mut message, &mut Seeded::new(b"encrypt")).unwrap();
    message
}

pub(super) fn key_of(person: &Person) -> Key<'_> {
    Key::Private { certificate: Some(&person.certificate), key: &person.key }
}

#[test]
fn every_kind_of_key_signs_and_its_signature_fits() {
    for name in SIGNERS {
        for digest in [DigestAlgorithm::Sha256, DigestAlgorithm::Sha384, DigestAlgorithm::Sha512] {
            let builder = builder(cast().person(name), digest);
            let (data, _) = read_signed(&detached(&builder, CONTENT), Some(CONTENT)).unwrap();
            assert_eq!(checks(&data, &[]), [SignatureCheck::Valid(Vec::new())], "{name} {digest:?} detached");
            assert!(!data.has_content && data.oddities.is_empty());
            assert_eq!(data.signers[0].signing_time(), Some(Timestamp::from_unix(1_700_000_000)));
            assert_eq!(data.signers[0].capabilities(), Some(cms::Capabilities::ours()));
            let (data, inside) = read_signed(&opaque(&builder, CONTENT), None).unwrap();
            assert_eq!(checks(&data, &[]), [SignatureCheck::Valid(Vec::new())], "{name} {digest:?} opaque");
            assert_eq!(inside, CONTENT);
        }
    }
}

#[test]
fn rsa_signs_with_pss() {
    let alice = cast().person("alice");
    for digest in [DigestAlgorithm::Sha256, DigestAlgorithm::Sha384, DigestAlgorithm::Sha512] {
        let options = SignerOptions::for_key(&alice.key, digest, Padding::Pss).unwrap();
        let builder = SignedBuilder::new(&alice.certificate, &alice.key, options);
        let (data, _) = read_signed(&detached(&builder, CONTENT), Some(CONTENT)).unwrap();
        assert_eq!(data.signers[0].algorithm_name(), format!("rsa-pss-{}", digest.name()));
        assert!(is_good(&data));
    }
}

#[test]
fn several_signers_sign_with_several_digests() {
    let (alice, carol, frank) = (cast().person("alice"), cast().person("carol"), cast().person("frank"));
    let builder = builder(alice, DigestAlgorithm::Sha256)
        .signer(&carol.certificate, &carol.key, options(carol, DigestAlgorithm::Sha384))
        .signer(&frank.certificate, &frank.key, options(frank, DigestAlgorithm::Sha512))
        .certificate(&cast().authority.certificate);
    let (data, _) = read_signed(&opaque(&builder, CONTENT), None).unwrap();
    assert_eq!((data.signers.len(), data.certificates.len()), (3, 4));
    assert!(is_good(&data));
}

#[test]
fn changed_content_is_told_from_a_changed_signature() {
    let message = detached(&builder(cast().person("carol"), DigestAlgorithm::Sha256), CONTENT);
    let (data, _) = read_signed(&message, Some(b"something else")).unwrap();
    assert_eq!(checks(&data, &[]), [SignatureCheck::ContentChanged]);
    let (data, _) = read_signed(&message, Some(CONTENT)).unwrap();
    let SignatureCheck::Invalid(_) = data.signers[0].verify(&cast().person("dave").certificate, &data) else {
        panic!("a foreign certificate must not do");
    };
}

#[test]
fn every_cipher_and_kind_of_key_encrypts_and_decrypts() {
    let long: Vec<u8> = (0..200_003_u32).map(|n| n.to_le_bytes()[0]).collect();
    for cipher in CIPHERS {
        for content in [&b""[..], b"x", &long[..15], &long[..16], &long[..17], &long[..65_536], &long] {
            let carol = cast().person("carol");
            let message = encrypted(cipher, &KeyTransport::RsaPkcs1, &[carol], content);
            assert!(decrypt(&message, &[key_of(carol)]).unwrap() == content, "{cipher:?} {}", content.len());
        }
        for name in READERS {
            let person = cast().person(name);
            let message = encrypted(cipher, &KeyTransport::oaep(DigestAlgorithm::Sha256), &[person], CONTENT);
            assert_eq!(decrypt(&message, &[key_of(person)]).unwrap(), CONTENT, "{cipher:?} {name}");
            assert_eq!(read_enveloped(&message).unwrap().is_authenticated(), cipher.is_authenticated());
        }
    }
}

#[test]
fn each_of_several_recipients_decrypts_and_nobody_else() {
    let people: Vec<&Person> = READERS.iter().map(|name| cast().person(name)).collect();
    let message = encrypted(ContentCipher::Aes256Gcm, &KeyTransport::RsaPkcs1, &people, CONTENT);
    let kinds: Vec<_> = read_enveloped(&message).unwrap().recipients().iter().map(cms::Recipient::kind_name).collect();
    assert_eq!((kinds.iter().filter(|k| **k == "ktri").count(), kinds.iter().filter(|k| **k == "kari").count()), (1, 4));
    for person in &people {
        assert_eq!(decrypt(&message, &[key_of(person)]).unwrap(), CONTENT);
        // without its certificate the key is tried on every recipient of its kind
        assert_eq!(decrypt(&message, &[Key::Private { certificate: None, key: &person.key }]).unwrap(), CONTENT);
    }
    let bob = cast().person("bob");
    assert!(read_enveloped(&message).unwrap().candidates(&[key_of(bob)]).is_empty());
    let error = decrypt(&message, &[Key::Private { certificate: None, key: &bob.key }]).unwrap_err();
    assert!(matches!(error, cms::Error::DecryptionFailed), "{error}");
}

#[test]
fn a_key_that_is_not_meant_fails_like_a_changed_message() {
    let (alice, bob) = (cast().person("alice"), cast().person("bob"));
    let guess = [Key::Private { certificate: None, key: &bob.key }];
    let mut texts = Vec::new();
    for transport in [KeyTransport::RsaPkcs1, KeyTransport::oaep(DigestAlgorithm::Sha256)] {
        for cipher in [ContentCipher::Aes256Gcm, ContentCipher::Aes256Cbc] {
            let message = encrypted(cipher, &transport, &[alice], CONTENT);
            match decrypt(&message, &guess) {
                Ok(plain) => assert_ne!(plain, CONTENT),
                Err(error) => texts.push(error.to_string()),
            }
        }
    }
    texts.dedup();
    assert_eq!(texts.len(), 1, "{texts:?}");
}

#[test]
fn a_message_to_nobody_or_to_a_key_that_only_signs_is_not_written() {
    let mut message = Vec::new();
    let nobody = EnvelopedBuilder::new(ContentCipher::Aes256Gcm);
    assert!(nobody.encrypt(&mut &CONTENT[..], &mut message, &mut Seeded::new(b"")).is_err());
    let to = To::new(&cast().person("frank").certificate);
    let builder = EnvelopedBuilder::new(ContentCipher::Aes256Gcm).recipient(to);
    let error = builder.encrypt(&mut &CONTENT[..], &mut message, &mut Seeded::new(b"")).unwrap_err();
    assert!(error.to_string().contains("only sign"), "{error}");
    assert!(message.is_empty());
}

#[test]
fn bundles_of_certificates_are_read_back() {
    let certificates = [cast().authority.certificate.clone(), cast().person("alice").certificate.clone()];
    let (mut data, inside) = read_signed(&cms::certificates_only(&certificates), None).unwrap();
    data.certificates.sort_by_key(|certificate| certificate.serial().to_vec());
    assert_eq!(data.certificates, certificates);
    assert!(data.signers.is_empty() && inside.is_empty() && !data.has_content && !is_good(&data));
}

#[test]
fn other_kinds_of_content_are_named() {
    use sealpost::asn1::{encode, oid};
    let compressed = encode::sequence(&[encode::oid(&oid::ID_DIGESTED_DATA), encode::explicit(0, &encode::null())]);
    let content = cms::open(&compressed[..], &Limits::default()).unwrap();
    assert!(matches!(content, Content::Other(oid::ID_DIGESTED_DATA)));
}

#[test]
fn content_of_any_size_passes_through() {
    // 64 MiB from a source that is never held, into a sink that only counts
    let size: u64 = 64 << 20;
    let alice = cast().person("alice");
    let mut content = std::io::Read::take(std::io::repeat(b'x'), size);
    let mut message = Vec::new();
    let to = To::new(&alice.certificate);
    let builder = EnvelopedBuilder::new(ContentCipher::Aes128Cbc).recipient(to);
    builder.encrypt(&mut content, &mut message, &mut Seeded::new(b"large")).unwrap();
    let reader = read_enveloped(&message).unwrap();
    let candidate = reader.candidates(&[key_of(alice)])[0];
    let key = reader.content_key(candidate, &[key_of(alice)], &mut Seeded::new(b"large")).unwrap();
    let mut counted = Counter(0);
    reader.decrypt(&key, &mut counted).unwrap();
    assert_eq!(counted.0, size);
}

struct Counter(u64);

impl std::io::Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        assert!(bytes.len() <= 1 << 20, "pieces are small");
        self.0 += u64::try_from(bytes.len()).unwrap();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
