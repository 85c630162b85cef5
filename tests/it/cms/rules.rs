//! Rules that writers break: messages made by hand, each wrong or odd in one way.

use sealpost::asn1::{Oid, Tag, encode, oid};
use sealpost::cms::{Attribute, Error, Key, SignatureCheck};
use sealpost::crypto::algorithm::{
    AlgorithmIdentifier, CipherParameters, ContentCipher, DigestAlgorithm, KeyTransport, KeyWrap, SignatureAlgorithm, Strength,
};
use sealpost::crypto::cipher::{Encryptor, Foreknown};
use sealpost::crypto::random::Seeded;
use sealpost::crypto::signature::{self, Input};
use sealpost::crypto::{digest, transport, wrap};
use sealpost::pki::Certificate;
use sealpost::secret::Secret;

use super::cast::{Person, cast};
use super::own::{CONTENT, key_of};
use super::{checks, decrypt, read_enveloped, read_signed};

const SHA256: DigestAlgorithm = DigestAlgorithm::Sha256;

/// A SignedData by carol, to be bent.
struct Bent {
    declared: Vec<DigestAlgorithm>,
    digest: DigestAlgorithm,
    algorithm: SignatureAlgorithm,
    content_type: Oid,
    attributes: Option<Vec<Vec<u8>>>,
    unsigned: Option<Vec<u8>>,
    more_certificates: Vec<Vec<u8>>,
    order: Order,
}

#[derive(PartialEq)]
enum Order {
    Sorted,
    Reversed,
}

impl Bent {
    fn new() -> Self {
        Self {
            declared: vec![SHA256],
            digest: SHA256,
            algorithm: SignatureAlgorithm::Ecdsa(SHA256),
            content_type: oid::ID_DATA,
            attributes: Some(vec![content_type(oid::ID_DATA), message_digest(SHA256)]),
            unsigned: None,
            more_certificates: Vec::new(),
            order: Order::Sorted,
        }
    }

    fn attributes(attributes: Vec<Vec<u8>>) -> Self {
        Self { attributes: Some(attributes), ..Self::new() }
    }

    fn message(&self) -> Vec<u8> {
        let carol = cast().person("carol");
        let sign =
            |bytes: &[u8]| signature::sign(&carol.key, self.algorithm, Input::Message(bytes), &mut Seeded::new(b"bent")).unwrap();
        let set = self.attributes.as_ref().map(|attributes| match self.order {
            Order::Sorted => encode::set_of(attributes.clone()),
            Order::Reversed => encode::tlv(Tag::SET, &attributes.iter().rev().cloned().collect::<Vec<_>>().concat()),
        });
        let id = [carol.certificate.issuer().der().to_vec(), encode::tlv(Tag::INTEGER, carol.certificate.serial())];
        let mut info = vec![encode::integer_u64(1), encode::sequence(&id), self.digest.identifier().to_der()];
        info.extend(set.as_ref().map(|set| encode::implicit(0, set)));
        info.push(self.algorithm.identifier().to_der());
        info.push(encode::octet_string(&sign(set.as_deref().unwrap_or(CONTENT))));
        info.extend(self.unsigned.as_ref().map(|attribute| encode::implicit(1, &encode::set_of(vec![attribute.clone()]))));
        let mut certificates = vec![carol.certificate.der().to_vec()];
        certificates.extend(self.more_certificates.iter().cloned());
        let content = encode::explicit(0, &encode::octet_string(CONTENT));
        let signed = encode::sequence(&[
            encode::integer_u64(1),
            encode::set_of(self.declared.iter().map(|digest| digest.identifier().to_der()).collect()),
            encode::sequence(&[encode::oid(&self.content_type), content]),
            encode::implicit(0, &encode::tlv(Tag::SET, &certificates.concat())),
            encode::set_of(vec![encode::sequence(&info)]),
        ]);
        encode::sequence(&[encode::oid(&oid::ID_SIGNED_DATA), encode::explicit(0, &signed)])
    }

    fn check(&self) -> SignatureCheck {
        let (data, _) = read_signed(&self.message(), None).unwrap();
        checks(&data, &[]).remove(0)
    }

    fn refusal(&self) -> String {
        match self.check() {
            SignatureCheck::Invalid(why) => why,
            other => panic!("accepted: {other:?}"),
        }
    }
}

fn attribute(oid: Oid, value: Vec<u8>) -> Vec<u8> {
    Attribute::new(oid, value).to_der()
}

fn content_type(oid: Oid) -> Vec<u8> {
    attribute(oid::CONTENT_TYPE, encode::oid(&oid))
}

fn message_digest(algorithm: DigestAlgorithm) -> Vec<u8> {
    attribute(oid::MESSAGE_DIGEST, encode::octet_string(&digest::of(algorithm, CONTENT)))
}

fn carol() -> &'static Person {
    cast().person("carol")
}

#[test]
fn attributes_out_of_order_are_accepted_and_named() {
    assert_eq!(Bent::new().check(), SignatureCheck::Valid(Vec::new()));
    let bent = Bent { order: Order::Reversed, ..Bent::new() };
    let SignatureCheck::Valid(oddities) = bent.check() else { panic!("hashed as received, it fits") };
    assert_eq!(oddities, ["the signed attributes are not in the order of DER"]);
}

#[test]
fn attributes_without_content_type_or_digest_are_bad() {
    assert!(Bent::attributes(vec![message_digest(SHA256)]).refusal().contains("content type"));
    assert!(Bent::attributes(vec![content_type(oid::ID_DATA)]).refusal().contains("message digest"));
    assert!(Bent::attributes(Vec::new()).refusal().contains("content type"));
}

#[test]
fn attributes_that_stand_twice_are_bad() {
    let mut attributes = vec![content_type(oid::ID_DATA), message_digest(SHA256), message_digest(SHA256)];
    assert!(Bent::attributes(attributes.clone()).refusal().contains("one value"));
    let time = |seconds| encode::time(sealpost::time::Timestamp::from_unix(seconds));
    attributes[2] = Attribute { oid: oid::SIGNING_TIME, values: vec![time(1), time(2)] }.to_der();
    assert!(Bent::attributes(attributes).refusal().contains("one value"));
}

#[test]
fn another_content_type_than_the_signed_one_is_bad() {
    let bent = Bent::attributes(vec![content_type(oid::ID_SIGNED_DATA), message_digest(SHA256)]);
    assert!(bent.refusal().contains("content type"));
    let bent = Bent { content_type: oid::ID_SIGNED_DATA, attributes: None, ..Bent::new() };
    assert!(bent.refusal().contains("must be signed with attributes"));
}

#[test]
fn signed_attributes_passed_off_as_content_are_bad() {
    // a signature over attributes, put on a message whose content is these attributes and that has none
    let attributes = encode::set_of(vec![content_type(oid::ID_DATA), message_digest(SHA256)]);
    let (data, _) = read_signed(&Bent { attributes: None, ..Bent::new() }.message(), None).unwrap();
    assert_eq!(checks(&data, &[]), [SignatureCheck::Valid(Vec::new())], "plain content without attributes is fine");
    let whole = Bent::new().message();
    let victim = read_signed(&whole, None).unwrap().0;
    assert_eq!(victim.signers[0].signed_attributes.as_ref().unwrap().signed_bytes(), attributes);
    let forged = strip_attributes(&attributes);
    let (data, inside) = read_signed(&forged, None).unwrap();
    assert_eq!(inside, attributes);
    let [SignatureCheck::Invalid(why)] = &checks(&data, &[])[..] else { panic!("a forgery") };
    assert!(why.contains("attributes of another message"), "{why}");
}

/// The forger's message: no attributes, and the attributes as content. Its signature is that of the whole message.
fn strip_attributes(attributes: &[u8]) -> Vec<u8> {
    let carol = carol();
    let signature =
        signature::sign(&carol.key, SignatureAlgorithm::Ecdsa(SHA256), Input::Message(attributes), &mut Seeded::new(b"bent"));
    let id = [carol.certificate.issuer().der().to_vec(), encode::tlv(Tag::INTEGER, carol.certificate.serial())];
    let info = encode::sequence(&[
        encode::integer_u64(1),
        encode::sequence(&id),
        SHA256.identifier().to_der(),
        SignatureAlgorithm::Ecdsa(SHA256).identifier().to_der(),
        encode::octet_string(&signature.unwrap()),
    ]);
    let content = encode::explicit(0, &encode::octet_string(attributes));
    let signed = encode::sequence(&[
        encode::integer_u64(1),
        encode::set_of(vec![SHA256.identifier().to_der()]),
        encode::sequence(&[encode::oid(&oid::ID_DATA), content]),
        encode::implicit(0, &encode::set_of(vec![carol.certificate.der().to_vec()])),
        encode::set_of(vec![info]),
    ]);
    encode::sequence(&[encode::oid(&oid::ID_SIGNED_DATA), encode::explicit(0, &signed)])
}

#[test]
fn digests_that_are_not_declared_are_computed_and_named() {
    let bent = Bent { declared: Vec::new(), ..Bent::new() };
    let (data, _) = read_signed(&bent.message(), None).unwrap();
    assert_eq!(checks(&data, &[]), [SignatureCheck::Valid(Vec::new())]);
    assert_eq!(data.oddities, ["the set of digest algorithms is empty"]);
    let bent = Bent { declared: vec![DigestAlgorithm::Sha512], ..Bent::new() };
    let (data, _) = read_signed(&bent.message(), None).unwrap();
    assert_eq!(checks(&data, &[]), [SignatureCheck::Valid(Vec::new())]);
    assert!(data.oddities[0].contains("sha256"), "{:?}", data.oddities);
}

#[test]
fn weak_digests_are_told_and_broken_ones_refused() {
    let with = |digest: DigestAlgorithm, algorithm| Bent {
        declared: vec![digest],
        digest,
        algorithm: SignatureAlgorithm::Ecdsa(algorithm),
        attributes: Some(vec![content_type(oid::ID_DATA), message_digest(digest)]),
        ..Bent::new()
    };
    let strength = |bent: &Bent| read_signed(&bent.message(), None).unwrap().0.signers[0].strength();
    assert_eq!(strength(&Bent::new()), Some(Strength::Good));
    // a good signature algorithm does not mend a weak digest of the content
    let mixed = with(DigestAlgorithm::Sha1, SHA256);
    assert_eq!(strength(&mixed), Some(Strength::Weak));
    let SignatureCheck::Valid(oddities) = mixed.check() else { panic!("the arithmetic fits") };
    assert!(oddities[0].contains("sha1"));
    let broken = with(DigestAlgorithm::Md5, SHA256);
    assert_eq!(strength(&broken), Some(Strength::Broken));
    assert!(broken.refusal().contains("broken"));
}

#[test]
fn a_certificate_that_the_signer_did_not_name_is_refused() {
    let named = |hash: &[u8]| {
        let id = encode::sequence(&[encode::sequence(&[encode::octet_string(hash)])]);
        attribute(oid::SIGNING_CERTIFICATE_V2, encode::sequence(&[id]))
    };
    let own = carol().certificate.fingerprint();
    let good = Bent::attributes(vec![content_type(oid::ID_DATA), message_digest(SHA256), named(&own)]);
    assert_eq!(good.check(), SignatureCheck::Valid(Vec::new()));
    let other = cast().person("alice").certificate.fingerprint();
    let bad = Bent::attributes(vec![content_type(oid::ID_DATA), message_digest(SHA256), named(&other)]);
    assert!(bad.refusal().contains("another certificate"));
    let v1 = |certificate: &Certificate| {
        let hash = encode::octet_string(&digest::of(DigestAlgorithm::Sha1, certificate.der()));
        attribute(oid::SIGNING_CERTIFICATE, encode::sequence(&[encode::sequence(&[encode::sequence(&[hash])])]))
    };
    let good = Bent::attributes(vec![content_type(oid::ID_DATA), message_digest(SHA256), v1(&carol().certificate)]);
    assert!(matches!(good.check(), SignatureCheck::Valid(_)));
    let bad = Bent::attributes(vec![content_type(oid::ID_DATA), message_digest(SHA256), v1(&cast().authority.certificate)]);
    assert!(bad.refusal().contains("another certificate"));
}

#[test]
fn algorithms_that_are_not_the_protected_ones_are_refused() {
    let protection = |algorithm: SignatureAlgorithm| {
        let value = [SHA256.identifier().to_der(), encode::implicit(1, &algorithm.identifier().to_der())];
        attribute(oid::CMS_ALGORITHM_PROTECTION, encode::sequence(&value))
    };
    let with = |protection| Bent::attributes(vec![content_type(oid::ID_DATA), message_digest(SHA256), protection]);
    assert_eq!(with(protection(SignatureAlgorithm::Ecdsa(SHA256))).check(), SignatureCheck::Valid(Vec::new()));
    let refused = with(protection(SignatureAlgorithm::Ecdsa(DigestAlgorithm::Sha384))).refusal();
    assert!(refused.contains("exchanged"), "{refused}");
}

#[test]
fn attributes_in_the_wrong_place_are_refused() {
    let bent = Bent { unsigned: Some(content_type(oid::ID_DATA)), ..Bent::new() };
    assert!(bent.refusal().contains("unsigned"));
    let counter = attribute(oid::COUNTER_SIGNATURE, encode::tlv(Tag::SEQUENCE, &[]));
    let bent = Bent { unsigned: Some(counter.clone()), ..Bent::new() };
    assert_eq!(bent.check(), SignatureCheck::Valid(Vec::new()));
    let bent = Bent::attributes(vec![content_type(oid::ID_DATA), message_digest(SHA256), counter]);
    assert!(bent.refusal().contains("countersignature"));
}

#[test]
fn certificates_that_cannot_be_read_are_kept_apart() {
    let odd = [encode::implicit(1, &encode::sequence(&[encode::null()])), encode::sequence(&[encode::null()])];
    let bent = Bent { more_certificates: odd.to_vec(), ..Bent::new() };
    let (data, _) = read_signed(&bent.message(), None).unwrap();
    assert_eq!(checks(&data, &[]), [SignatureCheck::Valid(Vec::new())]);
    assert_eq!((data.certificates.len(), data.odd_certificates), (1, odd.to_vec()));
}

#[test]
fn a_preferred_encryption_certificate_is_read() {
    let id = [carol().certificate.issuer().der().to_vec(), encode::tlv(Tag::INTEGER, carol().certificate.serial())];
    for value in [
        encode::implicit(0, &encode::sequence(&id)),
        encode::tlv(Tag::context(2), &carol().certificate.subject_key_id().unwrap()),
    ] {
        let preference = attribute(oid::ENCRYPTION_KEY_PREFERENCE, value);
        let bent = Bent::attributes(vec![content_type(oid::ID_DATA), message_digest(SHA256), preference]);
        let (data, _) = read_signed(&bent.message(), None).unwrap();
        assert!(data.signers[0].encryption_key_preference().unwrap().names(&carol().certificate));
    }
}

const KEK: [u8; 16] = [7; 16];

/// An encrypted message to a key-encryption key, to be bent.
struct Sealed {
    authenticated: bool,
    algorithm: AlgorithmIdentifier,
    content_key: Vec<u8>,
    ciphertext: Vec<u8>,
    attributes: Option<Vec<u8>>,
    tag: Option<Vec<u8>>,
}

impl Sealed {
    fn new(cipher: ContentCipher, tag_len: usize, attributes: Option<Vec<u8>>) -> Self {
        let mut parameters = CipherParameters::generate(cipher, &mut Seeded::new(b"iv"));
        parameters.tag_len = tag_len;
        let content_key = vec![5; cipher.key_len()];
        let aad = attributes.clone().unwrap_or_default();
        let foreknown = Foreknown { aad: aad.clone(), content_len: CONTENT.len() as u64 };
        let mut encryptor = Encryptor::knowing(&parameters, &content_key, &foreknown).unwrap();
        let mut ciphertext = Vec::new();
        encryptor.update(CONTENT, &mut ciphertext);
        let tag = encryptor.finish(&aad, &mut ciphertext).unwrap();
        let authenticated = cipher.is_authenticated();
        Self { authenticated, algorithm: parameters.identifier(), content_key, ciphertext, attributes, tag }
    }

    fn message(&self) -> Vec<u8> {
        let wrapped = wrap::wrap(KeyWrap::Aes128, &KEK, &self.content_key).unwrap();
        let recipient = encode::sequence(&[
            encode::integer_u64(4),
            encode::sequence(&[encode::octet_string(b"id")]),
            KeyWrap::Aes128.identifier().to_der(),
            encode::octet_string(&wrapped),
        ]);
        self.message_to(&encode::implicit(2, &recipient))
    }

    fn message_to(&self, recipient: &[u8]) -> Vec<u8> {
        let ciphertext = encode::implicit(0, &encode::octet_string(&self.ciphertext));
        let inner = encode::sequence(&[encode::oid(&oid::ID_DATA), self.algorithm.to_der(), ciphertext]);
        let mut fields = vec![encode::integer_u64(0), encode::set_of(vec![recipient.to_vec()]), inner];
        fields.extend(self.attributes.as_ref().map(|set| encode::implicit(1, set)));
        fields.extend(self.tag.as_ref().map(|tag| encode::octet_string(tag)));
        let kind = if self.authenticated { oid::ID_AUTH_ENVELOPED_DATA } else { oid::ID_ENVELOPED_DATA };
        encode::sequence(&[encode::oid(&kind), encode::explicit(0, &encode::sequence(&fields))])
    }

    fn open(&self) -> Result<Vec<u8>, Error> {
        decrypt(&self.message(), &[Key::Kek(&Secret::new(KEK.to_vec()))])
    }
}

#[test]
fn authenticated_attributes_are_authenticated() {
    let attributes = encode::set_of(vec![content_type(oid::ID_DATA), message_digest(SHA256)]);
    // the last two need a second pass
    for cipher in [ContentCipher::Aes128Gcm, ContentCipher::ChaCha20Poly1305, ContentCipher::Aes128Ccm] {
        let mut sealed = Sealed::new(cipher, 16, Some(attributes.clone()));
        assert_eq!(sealed.open().unwrap(), CONTENT);
        sealed.attributes = Some(encode::set_of(vec![content_type(oid::ID_DATA)]));
        assert!(matches!(sealed.open(), Err(Error::DecryptionFailed)));
        sealed.attributes = None;
        assert!(matches!(sealed.open(), Err(Error::DecryptionFailed)));
    }
}

#[test]
fn tags_of_12_to_16_bytes_are_read_and_shorter_ones_refused() {
    for len in 12..=16 {
        let sealed = Sealed::new(ContentCipher::Aes256Gcm, len, None);
        assert_eq!(sealed.open().unwrap(), CONTENT);
        assert_eq!(read_enveloped(&sealed.message()).unwrap().parameters().unwrap().tag_len, len);
        let cut = Sealed { tag: sealed.tag.as_ref().map(|tag| tag[..len - 1].to_vec()), ..sealed };
        assert!(matches!(cut.open(), Err(Error::DecryptionFailed)));
    }
    for len in [0, 1, 8, 11, 17] {
        let error = Sealed::new(ContentCipher::Aes256Gcm, len, None).open().unwrap_err();
        assert!(error.to_string().contains("tag length"), "{error}");
    }
    // RFC 5084 3.2: aes-ICVlen is DEFAULT 12
    let mut sealed = Sealed::new(ContentCipher::Aes256Gcm, 12, None);
    let nonce = CipherParameters::generate(ContentCipher::Aes256Gcm, &mut Seeded::new(b"iv")).iv;
    sealed.algorithm = AlgorithmIdentifier::with(oid::AES256_GCM, encode::sequence(&[encode::octet_string(&nonce)]));
    assert_eq!(sealed.open().unwrap(), CONTENT);
}

#[test]
fn a_cipher_in_the_wrong_structure_is_refused() {
    let gcm = Sealed { authenticated: false, tag: None, ..Sealed::new(ContentCipher::Aes128Gcm, 16, None) };
    assert!(gcm.open().unwrap_err().to_string().contains("EnvelopedData"));
    let cbc = Sealed { authenticated: true, tag: Some(vec![0; 16]), ..Sealed::new(ContentCipher::Aes128Cbc, 0, None) };
    assert!(cbc.open().unwrap_err().to_string().contains("AuthEnvelopedData"));
    let bare = Sealed { tag: None, ..Sealed::new(ContentCipher::Aes128Gcm, 16, None) };
    assert!(bare.open().is_err());
}

#[test]
fn a_content_key_that_does_not_fit_the_cipher_is_refused() {
    for len in [16, 24, 40] {
        let sealed = Sealed { content_key: vec![5; len], ..Sealed::new(ContentCipher::Aes256Cbc, 0, None) };
        assert!(matches!(sealed.open(), Err(Error::DecryptionFailed)), "{len}");
    }
    let alice = cast().person("alice");
    for how in [KeyTransport::RsaPkcs1, KeyTransport::oaep(SHA256)] {
        let sealed = Sealed::new(ContentCipher::Aes256Gcm, 16, None);
        let encrypted = transport::encrypt(alice.key.public_key(), &how, &[5; 16], &mut Seeded::new(b"key")).unwrap();
        let id = [alice.certificate.issuer().der().to_vec(), encode::tlv(Tag::INTEGER, alice.certificate.serial())];
        let recipient =
            [encode::integer_u64(0), encode::sequence(&id), how.identifier().to_der(), encode::octet_string(&encrypted)];
        let error = decrypt(&sealed.message_to(&encode::sequence(&recipient)), &[key_of(alice)]).unwrap_err();
        assert!(matches!(error, Error::DecryptionFailed), "{error}");
    }
}

#[test]
fn recipients_of_unknown_kind_are_passed_over() {
    let sealed = Sealed::new(ContentCipher::Aes128Cbc, 0, None);
    let other = encode::implicit(4, &encode::sequence(&[encode::oid(&oid::ID_DATA), encode::null()]));
    let message = sealed.message_to(&other);
    let reader = read_enveloped(&message).unwrap();
    assert_eq!(reader.recipients()[0].kind_name(), "other");
    assert!(reader.candidates(&[key_of(carol()), Key::Kek(&Secret::new(KEK.to_vec()))]).is_empty());
}

#[test]
fn a_message_without_content_is_malformed() {
    let sealed = Sealed { ciphertext: Vec::new(), ..Sealed::new(ContentCipher::Aes128Cbc, 0, None) };
    assert!(matches!(sealed.open(), Err(Error::DecryptionFailed)));
}

#[test]
fn content_inside_does_not_stand_for_content_beside() {
    let message = Bent::new().message();
    let (data, inside) = read_signed(&message, Some(b"what the reader sees")).unwrap();
    assert_eq!(checks(&data, &[]), [SignatureCheck::ContentChanged]);
    assert!(inside.is_empty() && data.has_content);
    let (data, _) = read_signed(&message, Some(CONTENT)).unwrap();
    assert_eq!(checks(&data, &[]), [SignatureCheck::Valid(Vec::new())]);
    assert_eq!(data.oddities, ["a signature beside its content holds content too"]);
}
