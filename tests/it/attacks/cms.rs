//! Container confusion: the structure of the signature says one thing and another is shown.

use sealpost::asn1::{Cursor, Oid, Tag, encode, oid};
use sealpost::cms;
use sealpost::crypto::algorithm::{ContentCipher, DigestAlgorithm};
use sealpost::crypto::digest;
use sealpost::crypto::random::Seeded;
use sealpost::limits::Limits;
use sealpost::pki;
use sealpost::smime::{Code, Layer, Open, Outcome, Trust};

use super::stage::*;
use crate::support;

fn good() -> Forged<'static> {
    Forged::opaque(ENTITY.as_bytes(), &stage().alice)
}

fn evil() -> String {
    ENTITY.replace(SAID, EVIL)
}

#[test]
fn what_the_forger_starts_from_is_good() {
    check_all([
        ("opaque", good().message(), Expect::Good),
        ("clear", Forged::detached(ENTITY.as_bytes(), &stage().alice).beside(ENTITY), Expect::Good),
    ]);
}

#[test]
fn content_in_the_signature_part_never_stands_for_the_content_beside_it() {
    check_all([
        ("its content is signed, the shown text is another", good().beside(&evil()), Expect::Refused(Code::Malformed)),
        ("both are the same", good().beside(ENTITY), Expect::Refused(Code::Malformed)),
        (
            "the shown text is signed, its content is another",
            Forged::detached(ENTITY.as_bytes(), &stage().alice).with(|f| f.content = Some(evil().into_bytes())).beside(ENTITY),
            Expect::Refused(Code::Malformed),
        ),
        (
            "empty content",
            Forged::detached(ENTITY.as_bytes(), &stage().alice).with(|f| f.content = Some(Vec::new())).beside(ENTITY),
            Expect::Refused(Code::Malformed),
        ),
        (
            "the content is the signature's, nothing is inside the opaque form",
            Forged::detached(ENTITY.as_bytes(), &stage().alice).message(),
            Expect::Refused(Code::Malformed),
        ),
    ]);
    // a file and its signature: what the caller holds is what is judged
    let open = Open::new(&stage().trust);
    let opened = open.verify_detached(evil().as_bytes(), &good().der());
    assert!(opened.released().is_none() && opened.verdict().has_error(Code::ContentChanged));
}

/// A receipt whose identifier reads as a message.
fn receipt() -> Vec<u8> {
    let identifier = format!("\r\nContent-Type: text/plain\r\n\r\n{EVIL}\r\n");
    encode::sequence(&[
        encode::integer_u64(1),
        encode::oid(&oid::ID_DATA),
        encode::octet_string(identifier.as_bytes()),
        encode::octet_string(&[7; 70]),
    ])
}

#[test]
fn content_of_a_type_that_is_no_mail_is_never_read_as_mail() {
    let unknown = Oid::from_bytes(&[42, 3, 4]).expect("an identifier");
    let evil = evil();
    let of = |kind: Oid, content: &[u8], forged: Forged<'static>| {
        forged.with(|f| f.content_type = kind).signer(|s| s.attributes = Some(vec![content_type(kind), message_digest(content)]))
    };
    let alice = &stage().alice;
    let receipt = receipt();
    let kinds = [oid::ID_RECEIPT, oid::ID_TST_INFO, unknown, oid::ID_SIGNED_DATA, oid::ID_ENVELOPED_DATA];
    for kind in kinds {
        for content in [receipt.as_slice(), evil.as_bytes()] {
            let opaque = of(kind, content, Forged::opaque(content, alice));
            let inner = opaque_signed(&part(P7M, &opaque.der()), alice);
            let refused = Expect::Refused(Code::NotAMessage);
            check_all([
                (format!("{kind} opaque"), opaque.message(), refused),
                (format!("{kind} compressed"), message(FROM_ALICE, &compressed(&part(P7M, &opaque.der()))), refused),
                (format!("{kind} within mail"), message(FROM_ALICE, &inner), refused),
            ]);
            let beside = of(kind, evil.as_bytes(), Forged::detached(evil.as_bytes(), alice)).beside(&evil);
            check_all([(format!("{kind} beside"), beside, refused)]);
            let open = Open::new(&stage().trust);
            assert!(open.verify(opaque.message().as_bytes()).released().is_none(), "{kind}");
            // the file is no message, and what was signed in it can be had
            let file = open.verify(&opaque.der());
            assert_eq!(file.released().map(|released| released.content().to_vec()).as_deref(), Some(content), "{kind}");
            assert!(file.verdict().findings.iter().any(|finding| finding.code == Code::NotAMessage), "{kind}");
        }
    }
    let opened = open(of(oid::ID_RECEIPT, &receipt, Forged::opaque(&receipt, alice)).message());
    let Some(Layer::Signed(layer)) = opened.verdict().layers.first() else { panic!("a signed layer") };
    assert_eq!((layer.content_type, layer.receipt.as_ref().map(|r| r.signature.len())), (oid::ID_RECEIPT, Some(70)));
    // a structure right inside another is read as before
    let nested = good().der();
    let nested = of(oid::ID_SIGNED_DATA, &nested, Forged::opaque(&nested, alice));
    check_all([("signed within signed", nested.message(), Expect::Good)]);
}

/// The structure that a ContentInfo holds.
fn bare(info: &[u8]) -> Vec<u8> {
    let mut fields = Cursor::new(info).sequence().expect("a ContentInfo");
    fields.oid().expect("a type");
    fields.explicit(0).expect("content").expect("content").remaining().to_vec()
}

#[test]
fn a_structure_right_inside_another_is_read_with_a_content_info_around_it_and_without() {
    let alice = &stage().alice;
    let around = |kind: Oid, content: &[u8]| {
        let attributes = vec![content_type(kind), message_digest(content)];
        Forged::opaque(content, alice).with(|f| f.content_type = kind).signer(|s| s.attributes = Some(attributes))
    };
    let encrypted = |cipher| {
        let mut out = Vec::new();
        let to_bob = cms::EnvelopedBuilder::new(cipher).recipient(cms::To::new(stage().bob.certificate()));
        to_bob.encrypt(&mut ENTITY.as_bytes(), &mut out, &mut Seeded::new(b"nested")).expect("encrypted");
        out
    };
    let mut zipped = Vec::new();
    cms::compress(&mut ENTITY.as_bytes(), &mut zipped).expect("compressed");
    for (kind, inner, warned) in [
        (oid::ID_SIGNED_DATA, good().der(), None),
        (oid::ID_ENVELOPED_DATA, encrypted(ContentCipher::Aes256Cbc), Some(Code::NotAuthenticated)),
        (oid::ID_AUTH_ENVELOPED_DATA, encrypted(ContentCipher::Aes256Gcm), None),
        (oid::ID_COMPRESSED_DATA, zipped, None),
    ] {
        for content in [inner.clone(), bare(&inner)] {
            let expect = warned.map_or(Expect::Good, Expect::Warned);
            let opened = open(around(kind, &content).message());
            check(&kind.to_string(), &opened, expect).expect("read");
            assert_eq!(opened.verdict().layers.len(), 2, "{kind}");
            assert_eq!(opened.released().expect("good").content(), ENTITY.as_bytes(), "{kind}");
            let seen = sealpost::smime::inspect(around(kind, &content).message().as_bytes(), &Limits::default());
            assert_eq!(seen.layers.len(), 2, "{kind}");
            // one layer taken off a file: its bytes
            let file = Open::new(&stage().trust).verify(&around(kind, &content).der());
            assert_eq!(file.released().expect("good").content(), content, "{kind}");
        }
        // of another type than what it is
        let other = if kind == oid::ID_SIGNED_DATA { oid::ID_COMPRESSED_DATA } else { oid::ID_SIGNED_DATA };
        let opened = open(around(other, &bare(&inner)).message());
        assert!(opened.released().is_none() && opened.verdict().outcome() != Outcome::Good, "{kind}");
        // bytes are mail, and no structure, unless their type says so or they do
        check_all([(format!("{kind} as data"), around(oid::ID_DATA, &bare(&inner)).message(), Expect::Good)]);
    }
}

#[test]
fn bytes_behind_a_structure_are_told() {
    let encrypted = |cipher| {
        let mut out = Vec::new();
        let to_bob = cms::EnvelopedBuilder::new(cipher).recipient(cms::To::new(stage().bob.certificate()));
        to_bob.encrypt(&mut ENTITY.as_bytes(), &mut out, &mut Seeded::new(b"behind")).expect("encrypted");
        out
    };
    let mut zipped = Vec::new();
    cms::compress(&mut opaque_signed(ENTITY, &stage().alice).as_bytes(), &mut zipped).expect("compressed");
    for (kind, structure, what) in [
        (P7M, good().der(), "SignedData"),
        (ENVELOPED, encrypted(ContentCipher::Aes256Cbc), "EnvelopedData"),
        (ENVELOPED, encrypted(ContentCipher::Aes256Gcm), "AuthEnvelopedData"),
        (ZIPPED, zipped, "CompressedData"),
    ] {
        for (behind, expected) in [(&b""[..], 0), (EVIL.as_bytes(), 1)] {
            let opened = open(message(FROM_ALICE, &part(kind, &[&structure, behind].concat())));
            assert_eq!(opened.verdict().outcome(), Outcome::Good, "{what}");
            let told = opened.verdict().findings.iter().filter(|finding| finding.code == Code::NonConforming);
            assert_eq!(told.filter(|finding| finding.text == format!("bytes follow the {what}")).count(), expected, "{what}");
        }
    }
}

#[test]
fn a_receipt_that_openssl_signs_is_shown_as_one() {
    if !support::peer("openssl") {
        return;
    }
    let folder = support::Folder::new();
    let (certificate, key, root) = (path("alice.pem"), path("alice.key"), path("root.pem"));
    folder.write("receipt.der", receipt());
    let file = folder.place("receipt.der");
    let mut args = vec!["cms", "-sign", "-nodetach", "-binary", "-signer", &certificate, "-inkey", &key, "-in", &file];
    args.extend(["-econtent_type", "1.2.840.113549.1.9.16.1.1"]);
    let (code, signed, error) = support::run("openssl", &args, b"");
    assert_eq!(code, 0, "{error}");
    for kind in ["signed-receipt", "signed-data"] {
        let signed = String::from_utf8_lossy(&signed).replace("smime-type=signed-receipt", &format!("smime-type={kind}"));
        folder.write("m.eml", format!("{FROM_ALICE}\r\n{signed}"));
        let message = folder.place("m.eml");
        let (issuing, at) = (path("issuing.pem"), "2026-06-01T00:00:00Z");
        let mut args = vec!["open", &message, "--trust", &root, "--intermediates", &issuing, "--at", at];
        args.extend(["--revocation", "off"]);
        let (code, out, error) = folder.run(&args);
        assert_eq!((code, out.as_slice()), (7, &b""[..]), "{error}");
        assert!(error.contains("a receipt for the message") && error.contains("[not-a-message]"), "{error}");
        let shown = folder.json(&["inspect", &message, "--json"]);
        assert_eq!(shown["layers"][0]["content_type"], "1.2.840.113549.1.9.16.1.1");
        assert_eq!(shown["layers"][0]["receipt"]["signature"].as_str().map(str::len), Some(140), "{shown}");
    }
}

#[test]
fn a_message_without_signers_is_not_signed() {
    let nobody = || good().with(|f| f.signers.clear());
    let certificates = [stage().alice.certificate().clone()];
    let bundle = cms::certificates_only(&certificates);
    check_all([
        ("opaque", nobody().message(), Expect::Refused(Code::NotSigned)),
        ("clear", nobody().with(|f| f.content = None).beside(ENTITY), Expect::Refused(Code::NotSigned)),
        (
            "neither signers nor certificates",
            nobody().with(|f| f.certificates.clear()).message(),
            Expect::Refused(Code::NotSigned),
        ),
        ("a bundle of certificates as the message", message(FROM_ALICE, &part(P7M, &bundle)), Expect::Refused(Code::NotSigned)),
        (
            "a bundle of certificates as the signature",
            message(FROM_ALICE, &multipart(SIGNED, "s", &[ENTITY, &part(P7S, &bundle)])),
            Expect::Refused(Code::NotSigned),
        ),
    ]);
}

#[test]
fn every_signer_must_be_good() {
    let (alice, mallory, stranger) = (&stage().alice, &stage().mallory, &stage().stranger);
    let with = |signer: ForgedSigner<'static>, first: bool| {
        good().with(|f| {
            f.certificates.extend([signer.by.certificate(), &signer.by.chain()[0]].map(|c| c.der().to_vec()));
            f.signers.insert(usize::from(!first), signer);
        })
    };
    let mut cases = Vec::new();
    for first in [true, false] {
        let bad = ForgedSigner::new(evil().as_bytes(), mallory);
        cases.push((
            format!("a signer of other content, {first}"),
            with(bad, first).message(),
            Expect::Refused(Code::ContentChanged),
        ));
        let mut bad = ForgedSigner::new(ENTITY.as_bytes(), alice);
        bad.signature = Some(vec![7; 256]);
        cases.push((
            format!("a signature of noise, {first}"),
            with(bad, first).message(),
            Expect::Refused(Code::SignatureInvalid),
        ));
        let stranger = ForgedSigner::new(ENTITY.as_bytes(), stranger);
        cases.push((
            format!("a signer whom nobody trusts, {first}"),
            with(stranger, first).message(),
            Expect::Refused(Code::Untrusted),
        ));
        // two good signers of whom one is the author: the author signed
        let other = ForgedSigner::new(ENTITY.as_bytes(), mallory);
        cases.push((format!("a second good signer, {first}"), with(other, first).message(), Expect::Good));
    }
    check_all(cases);
}

#[test]
fn a_signature_never_borrows_another_certificate() {
    let (alice, mallory) = (&stage().alice, &stage().mallory);
    let key_id =
        |who: &sealpost::keys::Identity| encode::tlv(Tag::context(0), &who.certificate().subject_key_id().expect("has one"));
    let ess = |certificate: &[u8]| {
        let hash = encode::octet_string(&digest::of(SHA256, certificate));
        attribute(oid::SIGNING_CERTIFICATE_V2, encode::sequence(&[encode::sequence(&[encode::sequence(&[hash])])]))
    };
    let by_mallory = || Forged::opaque(evil().as_bytes(), mallory);
    check_all([
        (
            "mallory signs and names alice's certificate",
            by_mallory()
                .signer(|s| s.id = issuer_serial(alice.certificate()))
                .with(|f| f.certificates.push(alice.certificate().der().to_vec()))
                .message(),
            Expect::Refused(Code::SignatureInvalid),
        ),
        (
            "the same by key identifier",
            by_mallory()
                .signer(|s| (s.version, s.id) = (3, key_id(alice)))
                .with(|f| f.certificates.push(alice.certificate().der().to_vec()))
                .message(),
            Expect::Refused(Code::SignatureInvalid),
        ),
        (
            "the signer meant another certificate of his key",
            good().signer(|s| s.attributes.as_mut().expect("some").push(ess(mallory.certificate().der()))).message(),
            Expect::Refused(Code::SignatureInvalid),
        ),
        (
            "the signer's certificate is not there, mallory's is",
            good().with(|f| f.certificates = vec![mallory.certificate().der().to_vec()]).message(),
            Expect::Refused(Code::SignerCertificateMissing),
        ),
        ("mallory is no author", by_mallory().message(), Expect::Refused(Code::FromMismatch)),
    ]);
}

#[test]
fn signed_attributes_are_there_once_and_are_not_content() {
    let alice = &stage().alice;
    let attributes = |list: Vec<Vec<u8>>| good().signer(|s| s.attributes = Some(list)).message();
    let (kind, hash) = (content_type(oid::ID_DATA), message_digest(ENTITY.as_bytes()));
    let other = message_digest(evil().as_bytes());
    // the signature of a message whose attributes an attacker chose, or of one with attributes, turned over
    let set = encode::set_of(vec![kind.clone(), hash.clone()]);
    let stripped = Forged::opaque(&set, alice).signer(|s| (s.attributes, s.content) = (None, set.clone()));
    let two_values = cms::Attribute {
        oid: oid::MESSAGE_DIGEST,
        values: vec![
            encode::octet_string(&digest::of(SHA256, ENTITY.as_bytes())),
            encode::octet_string(&digest::of(SHA256, evil().as_bytes())),
        ],
    };
    check_all([
        ("no content type", attributes(vec![hash.clone()]), Expect::Refused(Code::SignatureInvalid)),
        ("no digest", attributes(vec![kind.clone()]), Expect::Refused(Code::SignatureInvalid)),
        ("none at all", attributes(Vec::new()), Expect::Refused(Code::SignatureInvalid)),
        ("two digests", attributes(vec![kind.clone(), hash.clone(), other]), Expect::Refused(Code::SignatureInvalid)),
        (
            "the same digest twice",
            attributes(vec![kind.clone(), hash.clone(), hash.clone()]),
            Expect::Refused(Code::SignatureInvalid),
        ),
        ("a digest of two values", attributes(vec![kind.clone(), two_values.to_der()]), Expect::Refused(Code::SignatureInvalid)),
        (
            "another content type",
            attributes(vec![content_type(oid::ID_SIGNED_DATA), hash.clone()]),
            Expect::Refused(Code::SignatureInvalid),
        ),
        ("attributes stripped and passed off as content", stripped.message(), Expect::Refused(Code::SignatureInvalid)),
        (
            "the digest stands unsigned",
            good().signer(|s| s.unsigned = Some(hash.clone())).message(),
            Expect::Refused(Code::SignatureInvalid),
        ),
        (
            "content of another type without attributes",
            good().with(|f| f.content_type = oid::ID_SIGNED_DATA).signer(|s| s.attributes = None).message(),
            Expect::Refused(Code::SignatureInvalid),
        ),
    ]);
}

#[test]
fn digests_are_those_that_the_signer_named() {
    let sha1 = DigestAlgorithm::Sha1;
    let with_sha1 = || {
        let hash = encode::octet_string(&digest::of(sha1, ENTITY.as_bytes()));
        let attributes = vec![content_type(oid::ID_DATA), attribute(oid::MESSAGE_DIGEST, hash)];
        good().signer(|s| (s.digest, s.attributes) = (sha1, Some(attributes)))
    };
    let lie = message(
        FROM_ALICE,
        &multipart(
            &SIGNED.replace("sha-256", "md5"),
            "s",
            &[ENTITY, &part(P7S, &Forged::detached(ENTITY.as_bytes(), &stage().alice).der())],
        ),
    );
    check_all([
        (
            "declared sha-1, hashed sha-256",
            good().with(|f| f.declared = vec![sha1]).message(),
            Expect::Warned(Code::NonConforming),
        ),
        ("none declared", good().with(|f| f.declared.clear()).message(), Expect::Warned(Code::NonConforming)),
        ("the signer hashes with sha-1", with_sha1().message(), Expect::Refused(Code::WeakAlgorithm)),
        ("says sha-1, is sha-256", good().signer(|s| s.digest = sha1).message(), Expect::Refused(Code::ContentChanged)),
        ("micalg is only a hint", lie, Expect::Good),
    ]);
}

#[test]
fn odd_structures_are_told_or_refused() {
    let nested = || Forged::opaque(&good().der(), &stage().mallory);
    let twice = [good().der(), Forged::opaque(evil().as_bytes(), &stage().mallory).der()].concat();
    check_all([
        ("bytes follow", good().with(|f| f.trailing = b"junk".to_vec()).message(), Expect::Warned(Code::NonConforming)),
        ("a second structure follows", message(FROM_ALICE, &part(P7M, &twice)), Expect::Warned(Code::NonConforming)),
        // both layers are judged; mallory around alice's message is not the author
        ("a structure in a structure", nested().message(), Expect::Refused(Code::FromMismatch)),
        ("alice signs the structure of alice", Forged::opaque(&good().der(), &stage().alice).message(), Expect::Good),
        ("not a structure", message(FROM_ALICE, &part(P7M, b"\x30\x03\x02\x01\x01")), Expect::Refused(Code::Malformed)),
        ("nothing", message(FROM_ALICE, &part(P7M, b"")), Expect::Refused(Code::Malformed)),
        (
            "plain data as the signature",
            message(
                FROM_ALICE,
                &part(
                    P7M,
                    &encode::sequence(&[
                        encode::oid(&oid::ID_DATA),
                        encode::explicit(0, &encode::octet_string(evil().as_bytes())),
                    ]),
                ),
            ),
            Expect::Refused(Code::Unsupported),
        ),
    ]);
}

#[test]
fn versions_and_algorithms_that_nobody_knows_are_not_guessed() {
    let mut cases = Vec::new();
    for version in [0, 1, 3, 4, 5] {
        cases.push((format!("version {version}"), good().with(|f| f.version = version).message(), Expect::Good));
    }
    for version in [6, 99, 1 << 40] {
        cases.push((
            format!("version {version}"),
            good().with(|f| f.version = version).message(),
            Expect::Refused(Code::Unsupported),
        ));
    }
    for version in [0, 1, 3, 5, 6, 99, 1 << 40] {
        let expect = if version > 5 { Expect::Refused(Code::Unsupported) } else { Expect::Good };
        cases.push((format!("signer version {version}"), good().signer(|s| s.version = version).message(), expect));
        let beside = Forged::detached(ENTITY.as_bytes(), &stage().alice).signer(|s| s.version = version).beside(ENTITY);
        cases.push((format!("signer version {version} beside"), beside, expect));
    }
    // the digest of a signer by another name: the rest of the structure is good
    let (known, unknown) = (encode::oid(&oid::SHA256), encode::tlv(Tag::OID, b"\x60\x86\x48\x01\x65\x03\x04\x02\x7f"));
    let mut der = good().with(|f| f.declared.clear()).der();
    let at = memchr::memmem::rfind(&der, &known).expect("it names its digest");
    der.splice(at..at + known.len(), unknown);
    cases.push(("an unknown digest".to_owned(), message(FROM_ALICE, &part(P7M, &der)), Expect::Refused(Code::Unsupported)));
    check_all(cases);
}

#[test]
fn a_structure_cut_at_any_place_is_refused() {
    let der = good().der();
    for end in (0..der.len()).step_by(7) {
        let opened = open(message(FROM_ALICE, &part(P7M, &der[..end])));
        assert!(opened.released().is_none(), "cut at {end}");
    }
}

#[test]
fn a_list_that_the_message_brings_revokes_as_one_at_hand_does() {
    let revoked = person("revoked", "issuing");
    let list = pki::load::crls(std::fs::read(path("issuing.crl")).expect("a list")).expect("readable").remove(0);
    let trust = Trust { revocation: pki::Revocation::Soft, ..stage().trust.clone() };
    let judged = |crls: Vec<Vec<u8>>| {
        let der = Forged::opaque(ENTITY.as_bytes(), &revoked).with(|forged| forged.crls = crls).der();
        Open::new(&trust).verify(message("From: revoked@example.com", &part(P7M, &der)).as_bytes())
    };
    assert_eq!(judged(Vec::new()).verdict().outcome(), Outcome::Good, "nobody is asked");
    let opened = judged(vec![list.der().to_vec()]);
    check("revoked", &opened, Expect::Refused(Code::Revoked)).expect("the list counts");
    // one that its issuer did not sign says nothing
    let mut changed = list.der().to_vec();
    let last = changed.len() - 1;
    changed[last] ^= 1;
    assert!(!judged(vec![changed]).verdict().has_error(Code::Revoked));
}
