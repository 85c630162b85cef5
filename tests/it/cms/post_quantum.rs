//! Post-quantum messages of OpenSSL 4: ML-DSA and SLH-DSA signatures (RFC 9882, 9814), keys encapsulated by ML-KEM (RFC 9629, 9936).

use std::path::PathBuf;

use sealpost::asn1::{Tag, encode, oid};
use sealpost::cms::{EnvelopedBuilder, Error, Key, Padding, RecipientKind, SignatureCheck, SignerOptions, To};
use sealpost::crypto;
use sealpost::crypto::algorithm::{AlgorithmIdentifier, ContentCipher, DigestAlgorithm, KeyWrap, MlDsa, MlKem, SlhDsa};
use sealpost::crypto::encapsulation::{self, Derivation};
use sealpost::crypto::key::PrivateKey;
use sealpost::crypto::random::OsRandom;
use sealpost::keys::Identity;
use sealpost::limits::Limits;
use sealpost::pki::{self, Certificate, TrustAnchors};
use sealpost::secret::Secret;
use sealpost::smime::{Code, Layer, Open, Outcome, Severity, Trust, check_recipient, inspect};
use sealpost::time::Timestamp;
use tempfile::TempDir;

use super::cast::cast;
use super::own::{CONTENT, encrypted, key_of};
use super::{checks, decrypt, read_enveloped, read_signed};
use crate::support;

/// OpenSSL 4 and the keys and certificates that it made.
struct Peer {
    program: String,
    folder: TempDir,
}

/// A key and its certificate.
struct Party {
    key: PrivateKey,
    certificate: Certificate,
}

const CA: &str = "basicConstraints=critical,CA:true\nkeyUsage=critical,keyCertSign\nsubjectKeyIdentifier=hash\n";
const SIGNS: &str = "keyUsage=digitalSignature\nextendedKeyUsage=emailProtection\nsubjectAltName=email:pat@a.example\n";
const READS: &str = "keyUsage=keyEncipherment\nextendedKeyUsage=emailProtection\nsubjectKeyIdentifier=hash\n";

impl Peer {
    /// With an authority whose key is of ML-DSA-65.
    fn new() -> Option<Self> {
        let program = support::named_peer("SEALPOST_OPENSSL4")?;
        let peer = Self { program, folder: tempfile::tempdir().expect("a folder") };
        peer.party("ca", "ML-DSA-65", CA);
        Some(peer)
    }

    fn path(&self, name: &str) -> String {
        PathBuf::from(self.folder.path()).join(name).to_str().expect("a name").to_owned()
    }

    fn run(&self, args: &[&str], input: &[u8]) -> Vec<u8> {
        let (code, stdout, talk) = support::run(&self.program, args, input);
        assert_eq!(code, 0, "openssl {args:?}: {talk}");
        stdout
    }

    /// Makes a key and has it certified; the first one by itself.
    fn party(&self, name: &str, algorithm: &str, extensions: &str) -> Party {
        let [key, public, certificate, file] = ["key", "pub", "crt", "ext"].map(|end| self.path(&format!("{name}.{end}")));
        std::fs::write(&file, extensions).expect("writes");
        self.run(&["genpkey", "-algorithm", algorithm, "-out", &key], b"");
        self.run(&["pkey", "-in", &key, "-pubout", "-out", &public], b"");
        let subject = format!("/CN={name}");
        let days = ["-not_before", "20250101000000Z", "-not_after", "20350101000000Z", "-extfile", &file];
        let (ca, ca_key) = (self.path("ca.crt"), self.path("ca.key"));
        let by: &[&str] = if name == "ca" { &["-key", &key] } else { &["-CA", &ca, "-CAkey", &ca_key, "-force_pubkey", &public] };
        self.run(&[&["x509", "-new", "-subj", &subject, "-out", &certificate], by, &days].concat(), b"");
        let read = |file: &str| std::fs::read(file).expect("readable");
        Party {
            key: PrivateKey::from_any(&read(&key), None, &Limits::default()).expect("a private key"),
            certificate: pki::load::certificates(&read(&certificate)).expect("a certificate").remove(0),
        }
    }

    fn sign(&self, name: &str, digest: &str) -> Vec<u8> {
        let (key, certificate) = (self.path(&format!("{name}.key")), self.path(&format!("{name}.crt")));
        let args = ["cms", "-sign", "-binary", "-nodetach", "-outform", "DER", "-md", digest, "-signer", &certificate];
        self.run(&[&args[..], &["-inkey", &key]].concat(), CONTENT)
    }

    fn encrypt(&self, name: &str, options: &[&str]) -> Vec<u8> {
        let certificate = self.path(&format!("{name}.crt"));
        let args = ["cms", "-encrypt", "-binary", "-outform", "DER", "-recip", &certificate];
        self.run(&[&args[..], options].concat(), CONTENT)
    }

    fn trust(&self) -> Trust {
        let root = std::fs::read(self.path("ca.crt")).expect("readable");
        let root = pki::load::certificates(&root).expect("a certificate");
        Trust::new(TrustAnchors::from_iter(root), Timestamp::from_unix(1_750_000_000))
    }
}

#[test]
fn what_openssl_signs_with_every_set_of_ml_dsa_fits() {
    let Some(peer) = Peer::new() else { return };
    let trust = peer.trust();
    for name in MlDsa::all().map(MlDsa::name) {
        let message = signed_by(&peer, name);
        // up to an anchor of ML-DSA-65; only that a bare structure has no From is wrong
        let opened = Open::new(&trust).run(&message, &mut OsRandom);
        let errors = opened.verdict().findings.iter().filter(|finding| finding.severity == Severity::Error);
        let errors: Vec<_> = errors.map(|finding| (finding.code, finding.to_string())).collect();
        assert!(errors.iter().all(|(code, _)| *code == Code::FromMismatch), "{errors:?}");
        refuses_another_signature(&message);
        let mut changed = message.clone();
        changed[message.windows(CONTENT.len()).position(|window| window == CONTENT).expect("inside")] ^= 1;
        let (data, _) = read_signed(&changed, None).expect("signed");
        assert_eq!(checks(&data, &[]), [SignatureCheck::ContentChanged]);
    }
}

#[test]
fn what_openssl_signs_with_every_set_of_slh_dsa_over_sha2_fits() {
    let Some(peer) = Peer::new() else { return };
    for name in SlhDsa::all().map(SlhDsa::name).filter(|name| name.contains("sha2")) {
        refuses_another_signature(&signed_by(&peer, name));
    }
}

#[test]
fn what_openssl_signs_with_every_small_set_of_slh_dsa_over_shake_fits() {
    over_shake('s');
}

#[test]
fn what_openssl_signs_with_every_fast_set_of_slh_dsa_over_shake_fits() {
    over_shake('f');
}

/// The sets of one kind; one changed signature is enough, for SHAKE takes long in code that is not optimized.
fn over_shake(kind: char) {
    let Some(peer) = Peer::new() else { return };
    let names = SlhDsa::all().map(SlhDsa::name).filter(|name| name.contains("shake") && name.ends_with(kind));
    let messages: Vec<_> = names.map(|name| signed_by(&peer, name)).collect();
    refuses_another_signature(&messages[0]);
}

/// With one bit of its signature changed, which stands last, a message is not good.
fn refuses_another_signature(message: &[u8]) {
    let mut changed = message.to_vec();
    let at = changed.len() - 1000;
    changed[at] ^= 1;
    let (data, _) = read_signed(&changed, None).expect("signed");
    assert!(matches!(&checks(&data, &[])[0], SignatureCheck::Invalid(why) if why.contains("does not fit")));
}

/// Makes a key of this kind, and a message that it signed; the signature fits.
fn signed_by(peer: &Peer, name: &str) -> Vec<u8> {
    let party = peer.party(name, name, SIGNS);
    assert_eq!((party.certificate.key_name(), party.key.algorithm().name()), (name.to_owned(), name.to_owned()));
    assert_eq!(party.key.public_key(), &party.certificate.public_key().expect("a key"));
    let message = peer.sign(name, "sha512");
    let (data, content) = read_signed(&message, None).expect("signed");
    assert_eq!((data.signers[0].algorithm_name(), content.as_slice()), (name.to_owned(), CONTENT));
    assert_eq!(checks(&data, &[]), [SignatureCheck::Valid(Vec::new())], "{name}");
    message
}

#[test]
fn mail_that_openssl_signed_with_ml_dsa_is_good() {
    let Some(peer) = Peer::new() else { return };
    peer.party("pat", "ML-DSA-44", SIGNS);
    let (key, certificate) = (peer.path("pat.key"), peer.path("pat.crt"));
    let args = ["cms", "-sign", "-signer", &certificate, "-inkey", &key, "-from", "pat@a.example", "-subject", "hello"];
    let mail = peer.run(&args, b"Content-Type: text/plain\r\n\r\nHello.\r\n");
    let opened = Open::new(&peer.trust()).run(&mail, &mut OsRandom);
    assert_eq!(opened.verdict().outcome(), Outcome::Good, "{:?}", opened.verdict().findings);
    let signer = opened.verdict().signers().next().expect("a signer");
    assert_eq!((signer.algorithm.as_str(), signer.addresses.as_slice()), ("ml-dsa-44", &["pat@a.example".to_owned()][..]));
    // without the anchor it is nobody's
    let nobody = Trust::new(TrustAnchors::new(), Timestamp::from_unix(1_750_000_000));
    assert_eq!(Open::new(&nobody).run(&mail, &mut OsRandom).verdict().outcome(), Outcome::Untrusted);
}

/// RFC 9882 3.3: the weaker of the two is what the signature is worth.
#[test]
fn a_content_digest_that_is_weaker_than_the_signature_is_told() {
    let Some(peer) = Peer::new() else { return };
    peer.party("strong", "ML-DSA-87", SIGNS);
    let (data, _) = read_signed(&peer.sign("strong", "sha256"), None).expect("signed");
    let told = "the content's digest sha256 is weaker than the signature ml-dsa-87".to_owned();
    assert_eq!(checks(&data, &[]), [SignatureCheck::Valid(vec![told])]);
}

/// RFC 9882 3.2, 3.3: then the content itself is signed, and the named digest is ignored, one that nobody knows, too.
#[test]
fn a_signature_without_attributes_is_over_the_content() {
    let Some(peer) = Peer::new() else { return };
    let party = peer.party("bare", "ML-DSA-44", SIGNS);
    let input = peer.path("content");
    std::fs::write(&input, CONTENT).expect("writes");
    let signature = peer.run(&["pkeyutl", "-sign", "-rawin", "-inkey", &peer.path("bare.key"), "-in", &input], b"");
    let algorithm = AlgorithmIdentifier::bare(oid::ML_DSA_44).to_der();
    let unknown = encode::sequence(&[encode::oid(&oid::ID_RECEIPT)]);
    for digest in [DigestAlgorithm::Sha512.identifier().to_der(), DigestAlgorithm::Md5.identifier().to_der(), unknown] {
        let message = |content: &[u8]| {
            let id = encode::sequence(&[
                party.certificate.issuer().der().to_vec(),
                encode::tlv(Tag::INTEGER, party.certificate.serial()),
            ]);
            let signer = [encode::integer_u64(1), id, digest.clone(), algorithm.clone(), encode::octet_string(&signature)];
            let inside = encode::sequence(&[encode::oid(&oid::ID_DATA), encode::explicit(0, &encode::octet_string(content))]);
            let signed = encode::sequence(&[
                encode::integer_u64(1),
                encode::set_of(vec![digest.clone()]),
                inside,
                encode::implicit(0, &encode::set_of(vec![party.certificate.der().to_vec()])),
                encode::set_of(vec![encode::sequence(&signer)]),
            ]);
            encode::sequence(&[encode::oid(&oid::ID_SIGNED_DATA), encode::explicit(0, &signed)])
        };
        let (data, _) = read_signed(&message(CONTENT), None).expect("signed");
        assert_eq!(checks(&data, &[]), [SignatureCheck::Valid(Vec::new())]);
        let (data, _) = read_signed(&message(b"other"), None).expect("signed");
        assert!(matches!(&checks(&data, &[])[0], SignatureCheck::Invalid(why) if why.contains("does not fit")));
    }
}

#[test]
fn what_openssl_encapsulates_to_every_parameter_set_is_read() {
    let Some(peer) = Peer::new() else { return };
    let nobody = Trust::new(TrustAnchors::new(), Timestamp::from_unix(1_750_000_000));
    for set in MlKem::all() {
        let party = peer.party(set.name(), set.name(), READS);
        let identity = Identity::new(party.key.clone(), party.certificate.clone(), Vec::new()).expect("an identity");
        for options in [
            &["-aes-128-gcm"][..],
            &["-aes-256-cbc", "-keyid"],
            &["-aes-256-gcm", "-aes128-wrap"],
            &["-aes-128-gcm", "-aes256-wrap", "-recip_kdf", "HKDF-SHA384"],
            &["-aes-256-cbc", "-recip_kdf", "HKDF-SHA512", "-recip_ukm", "00112233"],
        ] {
            let message = peer.encrypt(set.name(), options);
            let reader = read_enveloped(&message).expect("encrypted");
            let [recipient] = reader.recipients() else { panic!("one recipient") };
            assert_eq!((recipient.kind_name(), recipient.algorithm_name()), ("kemri", set.name().to_owned()));
            assert!(recipient.id.names(&party.certificate));
            for certificate in [None, Some(&party.certificate)] {
                let plain = decrypt(&message, &[Key::Private { certificate, key: &party.key }]);
                assert_eq!(plain.unwrap_or_else(|error| panic!("{options:?}: {error}")), CONTENT);
            }
            let opened = Open::new(&nobody).identity(&identity).run(&message, &mut OsRandom);
            let Some(Layer::Encrypted(layer)) = opened.verdict().layers.first() else { panic!("a layer") };
            assert!(layer.recipients[0].used && layer.recipients[0].kind == "kemri");
            let seen = inspect(&message, &Limits::default());
            assert!(seen.findings.iter().all(|finding| finding.severity != Severity::Error), "{:?}", seen.findings);
        }
    }
}

/// Implicit rejection: a key of somebody else, and a ciphertext that was changed, end as a wrong key of any kind does.
#[test]
fn a_wrong_key_and_a_changed_ciphertext_end_alike() {
    let Some(peer) = Peer::new() else { return };
    let [mine, others] = ["mine", "others"].map(|name| peer.party(name, "ML-KEM-768", READS));
    let message = peer.encrypt("mine", &["-aes-128-gcm"]);
    let key = |party: &Party| decrypt(&message, &[Key::Private { certificate: None, key: &party.key }]);
    assert_eq!(key(&mine).expect("mine"), CONTENT);
    let wrong = key(&others).expect_err("not theirs");
    assert!(matches!(wrong, Error::DecryptionFailed), "{wrong}");
    // somewhere in its 1088 bytes
    let start = message.windows(4).position(|window| window == [0x04, 0x82, 0x04, 0x40]).expect("a ciphertext") + 4;
    for at in [start, start + 500, start + 1087] {
        let mut changed = message.clone();
        changed[at] ^= 1;
        let error = decrypt(&changed, &[Key::Private { certificate: None, key: &mine.key }]).expect_err("changed");
        assert_eq!(error.to_string(), wrong.to_string());
    }
    // with ECDH
    let carol = cast().person("carol");
    let transport = crypto::algorithm::KeyTransport::RsaPkcs1;
    let agreed = encrypted(ContentCipher::Aes128Gcm, &transport, &[carol], CONTENT);
    let other = PrivateKey::generate(carol.key.algorithm(), &mut OsRandom).expect("a key");
    let error = decrypt(&agreed, &[Key::Private { certificate: None, key: &other }]).expect_err("not theirs");
    assert_eq!(error.to_string(), wrong.to_string());
}

#[test]
fn keys_are_tried_only_where_they_fit() {
    let Some(peer) = Peer::new() else { return };
    let [small, large] = ["ML-KEM-512", "ML-KEM-1024"].map(|name| peer.party(name, name, READS));
    let [alice, carol] = ["alice", "carol"].map(|name| cast().person(name));
    let guess = |key| Key::Private { certificate: None, key };
    let encapsulated = peer.encrypt("ML-KEM-512", &["-aes-128-gcm"]);
    let reader = read_enveloped(&encapsulated).expect("encrypted");
    assert!(reader.candidates(&[guess(&large.key), guess(&alice.key), guess(&carol.key)]).is_empty());
    assert_eq!(reader.candidates(&[guess(&large.key), guess(&small.key)]).len(), 1);
    let transport = crypto::algorithm::KeyTransport::RsaPkcs1;
    for person in [alice, carol] {
        let message = encrypted(ContentCipher::Aes128Gcm, &transport, &[person], CONTENT);
        let reader = read_enveloped(&message).expect("encrypted");
        assert!(reader.candidates(&[guess(&small.key), guess(&large.key)]).is_empty());
        assert_eq!(reader.candidates(&[key_of(person)]).len(), 1);
    }
}

#[test]
fn recipients_of_other_kinds_stand_beside_an_encapsulated_key() {
    let Some(peer) = Peer::new() else { return };
    let party = peer.party("mixed", "ML-KEM-768", READS);
    let (alice, carol) = (cast().person("alice"), cast().person("carol"));
    let message = peer.encrypt("mixed", &["-aes-256-cbc", &alice.certificate_file, &carol.certificate_file]);
    let kinds: Vec<_> = read_enveloped(&message).expect("encrypted").recipients().iter().map(|r| r.kind_name()).collect();
    assert!(["ktri", "kari", "kemri"].iter().all(|kind| kinds.contains(kind)), "{kinds:?}");
    let own = Key::Private { certificate: Some(&party.certificate), key: &party.key };
    for key in [own, key_of(alice), key_of(carol)] {
        assert_eq!(decrypt(&message, &[key]).expect("each alone"), CONTENT);
    }
    // with a key derivation that nobody knows, it is said to be that, and the others read on
    let from = encode::oid(&oid::HKDF_SHA256);
    let at = message.windows(from.len()).position(|window| window == from).expect("a key derivation");
    let mut changed = message.clone();
    changed[at + from.len() - 1] = 0x7f;
    let error = decrypt(&changed, &[own]).expect_err("unknown");
    assert!(error.to_string().contains("unsupported: key derivation 1.2.840.113549.1.9.16.3.127"), "{error}");
    assert_eq!(decrypt(&changed, &[own, key_of(carol)]).expect("carol reads on"), CONTENT);
}

#[test]
fn nothing_is_signed_with_or_encrypted_to_keys_that_only_read() {
    let Some(peer) = Peer::new() else { return };
    let (signer, reader) = (peer.party("signer", "ML-DSA-44", SIGNS), peer.party("reader", "ML-KEM-512", READS));
    let error = SignerOptions::for_key(&signer.key, DigestAlgorithm::Sha512, Padding::Pkcs1).expect_err("refused");
    assert!(error.to_string().contains("with ml-dsa-44, which is read only"), "{error}");
    let builder = EnvelopedBuilder::new(ContentCipher::Aes128Gcm).recipient(To::new(&reader.certificate));
    let error = builder.encrypt(&mut &*CONTENT, &mut Vec::new(), &mut OsRandom).expect_err("refused");
    assert!(error.to_string().contains("a key of the kind ml-kem-512, which is read only"), "{error}");
    let error = check_recipient(&reader.certificate).expect_err("refused");
    assert!(error.to_string().contains("ml-kem-512 are read here and not written"), "{error}");
    assert!(check_recipient(&signer.certificate).expect_err("refused").to_string().contains("can only sign"));
}

/// The steps of RFC 9936 appendix C, each with the value that it states.
#[test]
fn the_example_of_the_standard_is_read_step_by_step() {
    let Some(folder) = support::vectors("pqc-cms/lamps/cms-kyber") else { return };
    let read = |file: &str| std::fs::read(folder.join(file)).expect("the file is there");
    let hex = |file: &str| {
        let text: String = String::from_utf8(read(file)).expect("text").split_whitespace().collect();
        let byte = |at| u8::from_str_radix(&text[at..at + 2], 16).expect("hexadecimal");
        (0..text.len()).step_by(2).map(byte).collect::<Vec<u8>>()
    };
    let key = PrivateKey::from_any(&read("ML-KEM-512-seed.priv"), None, &Limits::default()).expect("a key");
    let ciphertext = hex("ciphertext.txt");
    let shared = encapsulation::decapsulate(&key, &ciphertext).expect("a secret");
    assert_eq!(*shared.expose(), hex("shared_secret.txt"));
    let kek = crypto::kdf::hkdf(DigestAlgorithm::Sha256, shared.expose(), &[], &hex("ori_info.txt"), 16);
    assert_eq!(*kek.expose(), hex("kek.txt"));
    let wrap = KeyWrap::Aes128.identifier();
    let sound = Derivation { digest: DigestAlgorithm::Sha256, wrap: &wrap, kek_len: 16, ukm: None };
    let unwrap = |derivation: Derivation<'_>| encapsulation::unwrap(&key, &ciphertext, &derivation, &hex("encrypted_cek.txt"));
    assert_eq!(*unwrap(sound).expect("a key").expose(), hex("cek.txt"));
    // each of what goes into it counts
    for other in [Derivation { digest: DigestAlgorithm::Sha384, ..sound }, Derivation { ukm: Some(b""), ..sound }] {
        assert!(matches!(unwrap(other), Err(crypto::Error::Unwrap)));
    }
    for kek_len in [0, 15, 32, 65_535, u64::MAX] {
        let error = unwrap(Derivation { kek_len, ..sound }).err().expect("refused");
        assert!(error.to_string().contains("another length than its key wrap"), "{error}");
    }
    let cut = encapsulation::decapsulate(&key, &ciphertext[1..]).err().expect("refused");
    assert!(cut.to_string().contains("of the wrong length"), "{cut}");
    let other = Secret::new(b"no key of this kind".to_vec());
    let message = sealpost::asn1::pem::parse_all(&read("ML-KEM-512.cms")).expect("PEM")[0].der.clone();
    let reader = read_enveloped(&message).expect("encrypted");
    assert!(matches!(&reader.recipients()[0].kind, RecipientKind::Kem(kem) if kem.derivation.name() == "hkdf-sha256"));
    assert!(reader.candidates(&[Key::Password(&other), Key::Kek(&other)]).is_empty());
}
