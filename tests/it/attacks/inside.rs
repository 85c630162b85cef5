//! S/MIME parts below a multipart in the content of a layer: judged as outside of a layer where nobody signed around, named otherwise.

use std::io::Cursor;

use sealpost::cms::{self, EnvelopedBuilder, To};
use sealpost::crypto::algorithm::ContentCipher;
use sealpost::crypto::random::{OsRandom, Seeded};
use sealpost::limits::Limits;
use sealpost::smime::{Code, Layer, Layers, Open, Opened, Outcome, Severity, Want};

use super::stage::*;

const CBC: ContentCipher = ContentCipher::Aes256Cbc;
const GCM: ContentCipher = ContentCipher::Aes256Gcm;

pub(super) fn encrypted(entity: &str, cipher: ContentCipher) -> String {
    let mut out = Vec::new();
    let to_bob = EnvelopedBuilder::new(cipher).recipient(To::new(stage().bob.certificate()));
    to_bob.encrypt(&mut entity.as_bytes(), &mut out, &mut Seeded::new(b"inside")).expect("encrypted");
    part(ENVELOPED, &out)
}

fn evil() -> String {
    format!("Content-Type: text/plain\r\n\r\n{EVIL}\r\n")
}

fn text() -> &'static str {
    "Content-Type: text/plain\r\n\r\nHello.\r\n"
}

/// A multipart with large parts in front: what is beyond the beginning that is held.
fn large(parts: &[&str]) -> String {
    let file = format!("Content-Type: application/octet-stream\r\n\r\n{}", "0123456789abcdef\r\n".repeat(40_000));
    multipart("mixed", "w", &[&[file.as_str()], parts].concat())
}

fn layers(opened: &Opened) -> String {
    let one = |layer: &Layer| match layer {
        Layer::Signed(_) => 's',
        Layer::Encrypted(_) => 'e',
        Layer::Compressed => 'c',
    };
    opened.verdict().layers.iter().map(one).collect()
}

fn named(opened: &Opened) -> Vec<(Severity, String)> {
    let others = opened.verdict().findings.iter().filter(|finding| finding.code == Code::OtherSmimePart);
    others.map(|finding| (finding.severity, finding.text.clone())).collect()
}

/// What a stream gives: the same verdict, and the same content.
fn streamed(message: &str, want: Want) -> (Opened, Vec<u8>) {
    let (mut spool, mut source) = (Vec::new(), Cursor::new(message.as_bytes()));
    let open = Open::new(&stage().trust).identity(&stage().bob);
    let opened = open.stream(&mut source, Layers::Every, want, &mut spool, &mut OsRandom).expect("memory does not fail");
    (opened, spool)
}

#[test]
fn a_signed_part_among_others_in_what_is_encrypted_or_compressed_is_judged_as_it_is_in_a_message() {
    let (signed, opaque) = (clear_signed(ENTITY, &stage().alice), opaque_signed(ENTITY, &stage().alice));
    let deep = multipart("mixed", "c", &[&multipart("alternative", "d", &[&evil(), &signed])]);
    for (name, entity) in [
        ("after", multipart("mixed", "w", &[&evil(), &signed])),
        ("before", multipart("mixed", "w", &[&signed, &evil()])),
        ("opaque", multipart("mixed", "w", &[&opaque, &evil()])),
        ("deep", deep),
        ("large", large(&[&evil(), &signed])),
        ("after another protocol", multipart("mixed", "w", &[&multipart("signed", "p", &[&evil(), text()]), &signed])),
    ] {
        for (how, around) in [("e", encrypted(&entity, GCM)), ("e", encrypted(&entity, CBC)), ("c", compressed(&entity))] {
            let whole = message(FROM_ALICE, &around);
            let opened = open(&whole);
            check(name, &opened, Expect::Warned(Code::Uncovered)).expect(how);
            assert_eq!((layers(&opened), opened.verdict().uncovered.is_empty()), (format!("{how}s"), false), "{name}");
            assert_eq!(opened.released().expect("good").content(), ENTITY.as_bytes(), "{name}");
            let (again, spool) = streamed(&whole, Want::Content);
            assert_eq!(again.verdict().findings, opened.verdict().findings, "{name}");
            assert_eq!(spool, ENTITY.as_bytes(), "{name}");
            let (_, spool) = streamed(&whole, Want::Message);
            assert!(!String::from_utf8_lossy(&spool).contains(EVIL), "{name}");
            // what is Verified is what alice signed, and nothing beside it
            assert_eq!(opened.into_verified().expect("verified").get().content(), ENTITY.as_bytes(), "{name}");
        }
    }
}

#[test]
fn what_is_wrong_with_the_part_is_wrong_with_the_whole() {
    let changed = clear_signed(ENTITY, &stage().alice).replace(SAID, EVIL);
    let mallorys = clear_signed(&evil(), &stage().mallory);
    let mut others = Vec::new();
    let builder = EnvelopedBuilder::new(GCM).recipient(To::new(stage().alice.certificate()));
    builder.encrypt(&mut ENTITY.as_bytes(), &mut others, &mut Seeded::new(b"others")).expect("encrypted");
    let around = |entity: &str| message(FROM_ALICE, &encrypted(&multipart("mixed", "w", &[text(), entity]), GCM));
    check_all([
        ("changed", around(&changed), Expect::Refused(Code::ContentChanged)),
        ("somebody else's", around(&mallorys), Expect::Refused(Code::FromMismatch)),
        ("nobody's", around(&clear_signed(ENTITY, &stage().stranger)), Expect::Refused(Code::Untrusted)),
        ("for others", around(&part(ENVELOPED, &others)), Expect::Refused(Code::NoKey)),
        ("no structure", around(&part(P7M, b"none")), Expect::Refused(Code::Malformed)),
    ]);
}

#[test]
fn a_part_that_another_signed_lends_nothing_to_what_is_signed_around_it_and_takes_nothing() {
    let (alice, mallory) = (&stage().alice, &stage().mallory);
    let parts = [("alice", clear_signed(ENTITY, alice)), ("mallory", clear_signed(ENTITY, mallory))];
    for (who, inner) in parts {
        let inner = inner.replace("\"sig\"", "\"gis\"").replace("--sig", "--gis");
        for (form, entity) in [("small", multipart("mixed", "w", &[text(), &inner])), ("large", large(&[text(), &inner]))] {
            let path = if form == "small" { "2" } else { "3" };
            let by_alice = open(message(FROM_ALICE, &clear_signed(&entity, alice)));
            check(who, &by_alice, Expect::Warned(Code::OtherSmimePart)).expect(form);
            assert_eq!(layers(&by_alice), "s", "{who} {form}");
            assert!(named(&by_alice)[0].1.starts_with(&format!("part {path} of the content is signed and was not judged")));
            assert_eq!(by_alice.released().expect("good").content(), entity.as_bytes(), "the whole is alice's");
            assert!(by_alice.verdict().uncovered.is_empty());
            // a bad part inside is as little alice's business
            let spoilt = entity.replace(SAID, "Lunch at one.");
            check(who, &open(message(FROM_ALICE, &clear_signed(&spoilt, alice))), Expect::Warned(Code::OtherSmimePart))
                .expect(form);
            // alice's part does not make mallory's message hers
            let by_mallory = open(message(FROM_ALICE, &opaque_signed(&entity, mallory)));
            check(who, &by_mallory, Expect::Refused(Code::FromMismatch)).expect(form);
            let signers: Vec<_> = by_mallory.verdict().signers().flat_map(|signer| signer.addresses.clone()).collect();
            assert_eq!(signers, ["mallory@example.net"], "{who} {form}");
        }
    }
    let sealed = clear_signed(&multipart("mixed", "w", &[text(), &encrypted(&evil(), GCM)]), alice);
    let opened = open(message(FROM_ALICE, &encrypted(&sealed, GCM)));
    check("encrypted inside", &opened, Expect::Warned(Code::OtherSmimePart)).expect("not opened");
    assert!(
        layers(&opened) == "es" && named(&opened)[0].1.contains("part 2 of the content is encrypted"),
        "{:?}",
        named(&opened)
    );
}

#[test]
fn attached_messages_and_files_are_content_and_are_named() {
    let boss =
        format!("Content-Type: message/rfc822\r\n\r\n{}", message("From: b@x.example", &clear_signed(ENTITY, &stage().mallory)));
    let file = opaque_signed(ENTITY, &stage().mallory).replace("smime.p7m", "contract.pdf.p7m");
    let kept =
        clear_signed(ENTITY, &stage().mallory).replacen("Content-Type", "Content-Disposition: attachment\r\nContent-Type", 1);
    let by_name = file.replace("pkcs7-mime; smime-type=signed-data", "octet-stream");
    for (name, attached, what) in [
        ("message", &boss, "part 2.1 of the content is signed"),
        ("file", &file, "part 2 of the content is signed"),
        ("file by name", &by_name, "part 2 of the content is signed or encrypted"),
        ("attachment", &kept, "part 2 of the content is signed"),
    ] {
        let entity = multipart("mixed", "w", &[text(), attached]);
        for (around, expected) in [(encrypted(&entity, GCM), "e"), (compressed(&encrypted(&entity, CBC)), "ce")] {
            let whole = message(FROM_ALICE, &around);
            let opened = open(&whole);
            check(name, &opened, Expect::Warned(Code::OtherSmimePart)).expect(expected);
            assert_eq!(
                (layers(&opened).as_str(), opened.released().expect("good").content()),
                (expected, entity.as_bytes()),
                "{name}"
            );
            assert!(named(&opened)[0].1.starts_with(what), "{name}: {:?}", named(&opened));
            let (again, spool) = streamed(&whole, Want::Content);
            assert_eq!(
                (again.verdict().findings.clone(), spool),
                (opened.verdict().findings.clone(), entity.clone().into_bytes()),
                "{name}"
            );
            assert!(opened.into_verified().is_err(), "{name}: nobody signed it");
        }
    }
    let certificates = part("application/pkcs7-mime; smime-type=certs-only; name=smime.p7c", &cms::certificates_only(&[]));
    let opened = open(message(FROM_ALICE, &encrypted(&multipart("mixed", "w", &[text(), &certificates]), GCM)));
    assert_eq!(opened.verdict().outcome(), Outcome::Good);
    assert_eq!(named(&opened).iter().map(|(severity, _)| *severity).collect::<Vec<_>>(), [Severity::Info]);
    let plain = multipart(
        "mixed",
        "w",
        &[text(), &format!("Content-Type: message/rfc822\r\n\r\n{}", message("From: b@x.example", text()))],
    );
    check_all([("nothing inside", message(FROM_ALICE, &encrypted(&plain, GCM)), Expect::Good)]);
}

#[test]
fn one_layer_is_one_layer() {
    let entity = multipart("mixed", "w", &[text(), &clear_signed(ENTITY, &stage().alice)]);
    let open = Open::new(&stage().trust).identity(&stage().bob);
    let decrypted = open.decrypt(message(FROM_ALICE, &encrypted(&entity, GCM)).as_bytes(), &mut OsRandom);
    assert_eq!((layers(&decrypted).as_str(), decrypted.released().expect("good").content()), ("e", entity.as_bytes()));
    // what is compressed only stands around the layer that was asked for
    let verified = open.verify(message(FROM_ALICE, &compressed(&entity)).as_bytes());
    assert_eq!((layers(&verified).as_str(), verified.released().expect("good").content()), ("cs", ENTITY.as_bytes()));
}

#[test]
fn an_inside_that_fails_its_tag_is_told_nothing_of() {
    let third = clear_signed(ENTITY, &stage().alice).replace("--sig--", "--sig\r\nContent-Type: x/canary\r\n\r\nx\r\n--sig--");
    for entity in [third.clone(), multipart("mixed", "w", &["Content-Type: x/canary\r\n\r\nx\r\n", &third])] {
        let good = encrypted(&entity, GCM);
        assert!(format!("{:?}", open(message(FROM_ALICE, &good)).verdict().uncovered).contains("canary"));
        // the tag stands before the last end-of-contents octets
        let mut changed = good.into_bytes();
        let character = changed.iter_mut().rev().filter(|byte| byte.is_ascii_alphanumeric()).nth(16).expect("long");
        *character = if *character == b'A' { b'B' } else { b'A' };
        let opened = open(message(FROM_ALICE, &String::from_utf8(changed).expect("ASCII")));
        assert!(opened.verdict().has_error(Code::DecryptionFailed), "{:?}", opened.verdict().findings);
        assert!(!format!("{:?}", opened.verdict()).contains("canary"), "{:?}", opened.verdict().uncovered);
    }
}

#[test]
fn levels_and_parts_inside_are_bounded() {
    let nest = |levels: usize, inner: &str| {
        (0..levels).fold(inner.to_owned(), |inside, level| multipart("mixed", &format!("b{level}"), &[&inside]))
    };
    let signed = clear_signed(ENTITY, &stage().alice);
    check_all([("deep", message(FROM_ALICE, &encrypted(&nest(90, &signed), GCM)), Expect::Good)]);
    let beyond = |name: &str, message: String, limits: &Limits| {
        let opened = Open::new(&stage().trust).limits(limits).identity(&stage().bob).run(message.as_bytes(), &mut OsRandom);
        assert!(opened.released().is_none(), "{name}");
        let texts: Vec<_> = opened.verdict().findings.iter().map(|finding| finding.text.clone()).collect();
        assert!(texts.iter().any(|text| text.starts_with(&format!("limit reached: {name}"))), "{name}: {texts:?}");
    };
    let all = Limits::default();
    beyond("mime depth", message(FROM_ALICE, &encrypted(&nest(101, text()), GCM)), &all);
    // levels count through the layers
    let twice = nest(60, &encrypted(&nest(60, &encrypted(text(), GCM)), GCM));
    beyond("mime depth", message(FROM_ALICE, &encrypted(&twice, GCM)), &all);
    let mut few = Limits::default();
    few.mime_parts = 3;
    beyond("mime parts", message(FROM_ALICE, &encrypted(&multipart("mixed", "w", &[text(); 4]), GCM)), &few);
}

#[test]
fn what_is_only_compressed_is_neither_signed_nor_encrypted() {
    let once = compressed(text());
    for (name, entity) in
        [("once", once.clone()), ("twice", compressed(&once)), ("a file inside", compressed(&multipart("mixed", "w", &[text()])))]
    {
        let whole = message(FROM_ALICE, &entity);
        let open = Open::new(&stage().trust).identity(&stage().bob);
        for (verb, opened, code) in [
            ("open", open.run(whole.as_bytes(), &mut OsRandom), Code::OnlyCompressed),
            ("verify", open.verify(whole.as_bytes()), Code::NotSigned),
            ("decrypt", open.decrypt(whole.as_bytes(), &mut OsRandom), Code::NotEncrypted),
        ] {
            assert!(opened.verdict().has_error(code), "{verb} {name}: {:?}", opened.verdict().findings);
            assert_eq!(opened.verdict().outcome(), Outcome::NothingToDo, "{verb} {name}");
            assert!(!opened.may_release() && opened.released().is_none(), "{verb} {name}");
            assert!(layers(&opened).starts_with('c'));
        }
        let accept = sealpost::smime::Accept::from_codes(["only-compressed"]).expect("a known code");
        let excused = Open::new(&stage().trust).accept(accept.clone()).run(whole.as_bytes(), &mut OsRandom);
        assert!(excused.released().is_some_and(|released| !released.content().is_empty()), "{name}");
        assert!(excused.into_verified().is_err(), "{name}");
        // it excuses nothing else
        let unsigned = Open::new(&stage().trust).accept(accept).run(message(FROM_ALICE, text()).as_bytes(), &mut OsRandom);
        assert!(unsigned.verdict().has_error(Code::NotSigned) && unsigned.released().is_none());
    }
    check_all([("signed inside", message(FROM_ALICE, &compressed(&clear_signed(ENTITY, &stage().alice))), Expect::Good)]);
}
