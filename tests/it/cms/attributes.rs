//! What signers say beside the content: read from what others wrote, and never fatal where it cannot be read.

use sealpost::asn1::{Cursor, Oid, Tag, encode, oid};
use sealpost::cms::ess::{
    ContentHints, Receipt, ReceiptRequest, ReceiptsFrom, SecurityLabel, equivalent_labels, expansion_history,
};
use sealpost::cms::{Capabilities, Content, Error, SignatureCheck, SignedData, SignerId};
use sealpost::crypto::algorithm::{DigestAlgorithm, SignatureAlgorithm};
use sealpost::crypto::digest;
use sealpost::crypto::random::Seeded;
use sealpost::crypto::signature::{self, Input};
use sealpost::limits::Limits;

use super::cast::{Person, cast};
use super::own::{CONTENT, builder, detached};
use super::{checks, read_signed};
use crate::support;

fn openssl(args: &[&str], input: &[u8]) -> Vec<u8> {
    let (code, stdout, stderr) = support::run("openssl", args, input);
    assert_eq!(code, 0, "openssl {args:?}: {stderr}");
    stdout
}

fn example(file: &str) -> Option<SignedData> {
    let folder = support::vectors("rfc4134-examples")?;
    Some(read_signed(&std::fs::read(folder.join(file)).unwrap(), None).unwrap().0)
}

/// The same SignedData with another unsigned attribute set of its first signer.
pub(super) fn with_unsigned(message: &[u8], attributes: &[Vec<u8>]) -> Vec<u8> {
    let mut outer = Cursor::new(message).sequence().unwrap();
    let kind = outer.any().unwrap().raw;
    let mut fields = outer.explicit(0).unwrap().unwrap().sequence().unwrap();
    let mut parts = Vec::new();
    while !fields.is_empty() {
        parts.push(fields.any().unwrap().raw.to_vec());
    }
    let infos = parts.pop().unwrap();
    let mut infos = Cursor::new(&infos).set().unwrap();
    let first = infos.any().unwrap().content.to_vec();
    let info = encode::sequence(&[first, encode::implicit(1, &encode::set_of(attributes.to_vec()))]);
    parts.push(encode::tlv(Tag::SET, &[&info, infos.remaining()].concat()));
    encode::sequence(&[kind.to_vec(), encode::explicit(0, &encode::sequence(&parts))])
}

fn attribute(oid: Oid, value: &[u8]) -> Vec<u8> {
    encode::sequence(&[encode::oid(&oid), encode::tlv(Tag::SET, value)])
}

#[test]
fn the_attributes_of_rfc_4134_are_read() {
    let Some(data) = example("4.10.bin") else { return };
    let signer = &data.signers[0];
    let label = signer.security_label().unwrap();
    assert_eq!(label.policy.to_string(), "1.2.3.4.5.6.7.8");
    assert_eq!((label.classification, label.classification_name().as_deref()), (Some(1), Some("unclassified")));
    assert_eq!(label.privacy_mark.as_deref(), Some("THIS IS A PRIVACY MARK TEST"));
    assert_eq!(label.categories.len(), 1);
    assert!(label.categories[0].value.ends_with(b"THIS IS A TEST SECURITY-CATEGORY."));
    assert!(label.to_string().starts_with("unclassified, \"THIS IS A PRIVACY MARK TEST\""), "{label}");
    let equivalent = signer.equivalent_labels();
    assert_eq!(equivalent.iter().map(|l| l.policy.to_string()).collect::<Vec<_>>(), ["1.2.3.4.5.6.7.9", "1.2.3.4.5.6.7.10"]);
    let hints = signer.content_hints().unwrap();
    assert_eq!(hints.description.as_deref(), Some("Content Hints Description Buffer"));
    assert_eq!(hints.content_type, oid::ID_DATA);
    let reference = signer.content_reference().unwrap();
    assert_eq!(reference.identifier, b"Content Reference Content Identifier Buffer");
    assert_eq!(reference.signature, b"Content Reference Signature Value Buffer");
    let Some(SignerId::IssuerSerial { issuer, .. }) = signer.encryption_key_preference() else { panic!("a preference") };
    assert_eq!(issuer.common_name(), Some("Daisy RSA"));
    let history = signer.expansion_history();
    assert_eq!(history.len(), 1);
    assert_eq!(history[0].list, SignerId::KeyId(b"5738299".to_vec()));
    assert_eq!(history[0].time.to_string(), "1999-03-11T10:44:33Z");
    let Some(sealpost::cms::ess::ReceiptPolicy::InsteadOf(instead)) = &history[0].policy else {
        panic!("{:?}", history[0].policy)
    };
    assert_eq!(instead.len(), 1);
    assert_eq!(instead[0].len(), 2);
    assert!(instead[0][0].to_string().contains("Bugs Bunny DSA"), "{}", instead[0][0]);
    assert_eq!(signer.capabilities().unwrap().0.len(), 2);
    assert!(signer.receipt_request().is_none() && signer.content_identifier().is_none());
}

#[test]
fn the_countersignature_of_rfc_4134_fits_the_signature_that_it_stands_beside() {
    let Some(data) = example("4.4.bin") else { return };
    let counters = data.signers[0].counter_signatures(&Limits::default()).unwrap();
    assert_eq!(counters.len(), 1);
    let certificate = data.certificates.iter().find(|certificate| counters[0].signer.id.names(certificate)).unwrap();
    assert_eq!(certificate.subject().common_name(), Some("AliceRSA"));
    assert_eq!(counters[0].verify(certificate), SignatureCheck::Valid(Vec::new()));
    assert_eq!(counters[0].signer.signing_time(), data.signers[0].signing_time());
    // of another key it is not
    let other = data.certificates.iter().find(|other| *other != certificate).unwrap();
    assert!(matches!(counters[0].verify(other), SignatureCheck::Invalid(_)));
    // and it is no signature of the content
    assert!(matches!(counters[0].signer.verify(certificate, &data), SignatureCheck::Invalid(_)));
}

/// A countersignature by a person over a signature value.
pub(super) fn counter(by: &Person, over: &[u8], attributes: Option<Vec<Vec<u8>>>) -> Vec<u8> {
    let algorithm = SignatureAlgorithm::Ecdsa(DigestAlgorithm::Sha256);
    let id = [by.certificate.issuer().der().to_vec(), encode::tlv(Tag::INTEGER, by.certificate.serial())];
    let set = attributes.map(encode::set_of);
    let signed = set.as_deref().unwrap_or(over);
    let signature = signature::sign(&by.key, algorithm, Input::Message(signed), &mut Seeded::new(b"counter")).unwrap();
    let mut info = vec![encode::integer_u64(1), encode::sequence(&id), DigestAlgorithm::Sha256.identifier().to_der()];
    info.extend(set.as_ref().map(|set| encode::implicit(0, set)));
    info.extend([algorithm.identifier().to_der(), encode::octet_string(&signature)]);
    encode::sequence(&info)
}

#[test]
fn a_countersignature_is_over_the_signature_value_and_nothing_else() {
    let (alice, carol) = (cast().person("alice"), cast().person("carol"));
    let message = detached(&builder(alice, DigestAlgorithm::Sha256), CONTENT);
    let signature = read_signed(&message, Some(CONTENT)).unwrap().0.signers[0].signature().to_vec();
    let sum = |bytes: &[u8]| attribute(oid::MESSAGE_DIGEST, &encode::octet_string(&digest::of(DigestAlgorithm::Sha256, bytes)));
    let judged = |value: &[u8]| {
        let message = with_unsigned(&message, &[attribute(oid::COUNTER_SIGNATURE, value)]);
        let (data, _) = read_signed(&message, Some(CONTENT)).unwrap();
        assert_eq!(checks(&data, &[]), [SignatureCheck::Valid(Vec::new())], "the signature itself is as it was");
        let counters = data.signers[0].counter_signatures(&Limits::default()).unwrap();
        counters.iter().map(|counter| counter.verify(&carol.certificate)).collect::<Vec<_>>()
    };
    let plain = counter(carol, &signature, None);
    let full = counter(carol, &signature, Some(vec![sum(&signature)]));
    let valid = SignatureCheck::Valid(Vec::new());
    assert_eq!(judged(&plain), std::slice::from_ref(&valid));
    assert_eq!(judged(&[&plain[..], &full].concat()), [valid.clone(), valid.clone()]);
    // over the content, or another signature
    assert_eq!(judged(&counter(carol, &signature, Some(vec![sum(CONTENT)]))), [SignatureCheck::ContentChanged]);
    assert!(matches!(judged(&counter(carol, CONTENT, None))[0], SignatureCheck::Invalid(_)));
    // with a content type it is the signature of a message
    let typed =
        counter(carol, &signature, Some(vec![sum(&signature), attribute(oid::CONTENT_TYPE, &encode::oid(&oid::ID_DATA))]));
    let SignatureCheck::Invalid(why) = &judged(&typed)[0] else { panic!("accepted") };
    assert!(why.contains("names a content type"), "{why}");
    let SignatureCheck::Invalid(why) = &judged(&counter(carol, &signature, Some(Vec::new())))[0] else { panic!("accepted") };
    assert!(why.contains("no message digest"), "{why}");
    // what cannot be read stands beside a good signature, and does it no harm
    assert_eq!(judged(&[&encode::null()[..], &full].concat()), [valid]);
    assert!(judged(&encode::sequence(&[encode::integer_u64(1)])).is_empty());
}

#[test]
fn countersignatures_are_bounded() {
    let (alice, carol) = (cast().person("alice"), cast().person("carol"));
    let message = detached(&builder(alice, DigestAlgorithm::Sha256), CONTENT);
    let many = counter(carol, b"x", None).repeat(65);
    let (data, _) = read_signed(&with_unsigned(&message, &[attribute(oid::COUNTER_SIGNATURE, &many)]), Some(CONTENT)).unwrap();
    let result = data.signers[0].counter_signatures(&Limits::default());
    assert!(matches!(result, Err(Error::Limit(limit)) if limit.name == "signers"));
}

#[test]
fn attributes_and_their_values_are_bounded() {
    let alice = cast().person("alice");
    let message = detached(&builder(alice, DigestAlgorithm::Sha256), CONTENT);
    for attributes in [vec![attribute(oid::FRIENDLY_NAME, &[5, 0].repeat(512))], vec![attribute(oid::FRIENDLY_NAME, b""); 513]] {
        let message = with_unsigned(&message, &attributes);
        let result = read_signed(&message, Some(CONTENT));
        assert!(matches!(result, Err(Error::Limit(limit)) if limit.name == "attributes"));
    }
    let allowed = with_unsigned(&message, &[attribute(oid::FRIENDLY_NAME, &[5, 0].repeat(511))]);
    assert!(read_signed(&allowed, Some(CONTENT)).is_ok());
}

fn signed_by_openssl(more: &[&str]) -> SignedData {
    let alice = cast().person("alice");
    let mut args = vec!["cms", "-sign", "-binary", "-outform", "DER", "-nodetach"];
    args.extend(["-signer", &alice.certificate_file, "-inkey", &alice.key_file]);
    args.extend(more);
    read_signed(&openssl(&args, CONTENT), None).unwrap().0
}

#[test]
fn the_receipt_requests_of_openssl_are_read() {
    if !support::peer("openssl") {
        return;
    }
    let to = ["-receipt_request_to", "alice@a.example", "-receipt_request_to", "list@a.example"];
    let text = |lists: &[Vec<sealpost::pki::GeneralName>]| {
        lists.iter().map(|names| names.iter().map(ToString::to_string).collect::<Vec<_>>().join("+")).collect::<Vec<_>>()
    };
    let request = signed_by_openssl(&[&["-receipt_request_all"], &to[..]].concat()).signers[0].receipt_request().unwrap();
    assert_eq!(
        (request.from, text(&request.to)),
        (ReceiptsFrom::All, vec!["alice@a.example".to_owned(), "list@a.example".to_owned()])
    );
    assert!(!request.content_identifier.is_empty());
    let request = signed_by_openssl(&[&["-receipt_request_first"], &to[..2]].concat()).signers[0].receipt_request().unwrap();
    assert_eq!(request.from, ReceiptsFrom::FirstTier);
    let data = signed_by_openssl(&[&["-receipt_request_from", "bob@a.example"], &to[..2]].concat());
    assert_eq!(checks(&data, &[]), [SignatureCheck::Valid(Vec::new())]);
    let ReceiptsFrom::List(list) = data.signers[0].receipt_request().unwrap().from else { panic!("a list") };
    assert_eq!(text(&list), ["bob@a.example"]);
    assert!(signed_by_openssl(&[]).signers[0].receipt_request().is_none());
}

#[test]
fn the_receipts_of_openssl_are_read_and_fit_the_request() {
    if !support::peer("openssl") {
        return;
    }
    let (alice, bob) = (cast().person("alice"), cast().person("bob"));
    let mut args = vec!["cms", "-sign", "-binary", "-outform", "DER", "-nodetach", "-receipt_request_all"];
    args.extend(["-receipt_request_to", "alice@a.example", "-signer", &alice.certificate_file, "-inkey", &alice.key_file]);
    let message = openssl(&args, CONTENT);
    let args =
        ["cms", "-sign_receipt", "-inform", "DER", "-outform", "DER", "-signer", &bob.certificate_file, "-inkey", &bob.key_file];
    let receipt = openssl(&args, &message);
    let Ok(Content::Signed(reader)) = sealpost::cms::open(&receipt[..], &Limits::default()) else { panic!("signed") };
    assert_eq!(reader.content_type(), oid::ID_RECEIPT);
    let (data, inside) = read_signed(&receipt, None).unwrap();
    assert_eq!(checks(&data, &[]), [SignatureCheck::Valid(Vec::new())]);
    let receipt = Receipt::from_der(&inside).unwrap();
    let (original, _) = read_signed(&message, None).unwrap();
    assert_eq!(receipt.signature, original.signers[0].signature());
    assert_eq!(receipt.content_identifier, original.signers[0].receipt_request().unwrap().content_identifier);
    assert_eq!(receipt.content_type, oid::ID_DATA);
}

#[test]
fn preferences_for_a_key_are_read_in_every_form() {
    let alice = cast().person("alice");
    let pair = [alice.certificate.issuer().der().to_vec(), encode::tlv(Tag::INTEGER, alice.certificate.serial())];
    let pair = encode::sequence(&pair);
    let forms = [
        (oid::ENCRYPTION_KEY_PREFERENCE, encode::implicit(0, &pair), true),
        (oid::MS_ENCRYPTION_KEY_PREFERENCE, pair, true),
        (oid::ENCRYPTION_KEY_PREFERENCE, encode::implicit(1, &encode::sequence(&[encode::octet_string(b"id")])), false),
        (oid::ENCRYPTION_KEY_PREFERENCE, encode::tlv(Tag::context(2), b"id"), false),
    ];
    for (kind, value, is_pair) in forms {
        let data = signed_with(&[attribute(kind, &value)]);
        let preference = data.signers[0].encryption_key_preference().unwrap();
        assert_eq!(preference.names(&alice.certificate), is_pair);
        assert!(is_pair || preference == SignerId::KeyId(b"id".to_vec()));
    }
}

/// A SignedData by carol with these attributes more.
fn signed_with(more: &[Vec<u8>]) -> SignedData {
    let carol = cast().person("carol");
    let mut attributes = vec![
        attribute(oid::CONTENT_TYPE, &encode::oid(&oid::ID_DATA)),
        attribute(oid::MESSAGE_DIGEST, &encode::octet_string(&digest::of(DigestAlgorithm::Sha256, CONTENT))),
    ];
    attributes.extend_from_slice(more);
    let info = counter(carol, b"", Some(attributes));
    let digests = encode::set_of(vec![DigestAlgorithm::Sha256.identifier().to_der()]);
    let content = encode::sequence(&[encode::oid(&oid::ID_DATA)]);
    let certificates = encode::implicit(0, &encode::set_of(vec![carol.certificate.der().to_vec()]));
    let parts = [encode::integer_u64(1), digests, content, certificates, encode::set_of(vec![info])];
    let message = encode::sequence(&[encode::oid(&oid::ID_SIGNED_DATA), encode::explicit(0, &encode::sequence(&parts))]);
    read_signed(&message, Some(CONTENT)).unwrap().0
}

#[test]
fn the_signer_may_name_his_certificate_in_every_way_and_each_is_held() {
    let (alice, carol) = (cast().person("alice"), cast().person("carol"));
    let names = |who: &Person| encode::sequence(&[encode::explicit(4, who.certificate.issuer().der())]);
    let serial = |who: &Person| encode::tlv(Tag::INTEGER, who.certificate.serial());
    let pair = |who: &Person| encode::sequence(&[names(who), serial(who)]);
    let hash = |algorithm, who: &Person| encode::octet_string(&digest::of(algorithm, who.certificate.der()));
    let id = |parts: &[Vec<u8>]| encode::sequence(parts);
    let list = |ids: &[Vec<u8>]| encode::sequence(&[encode::sequence(ids)]);
    let sha256 = |who| hash(DigestAlgorithm::Sha256, who);
    let sha384 = |who| vec![DigestAlgorithm::Sha384.identifier().to_der(), hash(DigestAlgorithm::Sha384, who)];
    let sha1 = |who| hash(DigestAlgorithm::Sha1, who);
    let v1 = |value: Vec<u8>| attribute(oid::SIGNING_CERTIFICATE, &value);
    let v2 = |value: Vec<u8>| attribute(oid::SIGNING_CERTIFICATE_V2, &value);
    let both = vec![v1(list(&[id(&[sha1(carol)])])), v2(list(&[id(&[sha256(carol)])]))];
    let good = [
        vec![v2(list(&[id(&[sha256(carol)])]))],
        vec![v2(list(&[id(&[sha256(carol), pair(carol)])]))],
        vec![v2(list(&[id(&sha384(carol))]))],
        // those after the first only narrow the path
        vec![v2(list(&[id(&[sha256(carol)]), id(&[sha256(alice), pair(alice)])]))],
        vec![v1(list(&[id(&[sha1(carol), pair(carol)])]))],
        both,
    ];
    for attributes in good {
        assert_eq!(checks(&signed_with(&attributes), &[]), [SignatureCheck::Valid(Vec::new())]);
    }
    let other_issuer =
        encode::sequence(&[encode::sequence(&[encode::explicit(4, alice.certificate.subject().der())]), serial(carol)]);
    let by_mail = encode::sequence(&[encode::sequence(&[encode::tlv(Tag::context(1), b"a@a.example")]), serial(carol)]);
    let bad = [
        vec![v2(list(&[id(&[sha256(alice)])]))],
        vec![v2(list(&[id(&[sha256(alice)]), id(&[sha256(carol)])]))],
        vec![v2(list(&[id(&[sha256(carol), pair(alice)])]))],
        vec![v2(list(&[id(&[sha256(carol), other_issuer])]))],
        vec![v2(list(&[id(&[sha256(carol), by_mail])]))],
        vec![v1(list(&[id(&[sha1(alice)])]))],
        // where both stand, both must mean it
        vec![v1(list(&[id(&[sha1(alice)])])), v2(list(&[id(&[sha256(carol)])]))],
        vec![v1(list(&[id(&[sha1(carol)])])), v2(list(&[id(&[sha256(alice)])]))],
    ];
    for attributes in bad {
        let checks = checks(&signed_with(&attributes), &[]);
        assert!(matches!(&checks[0], SignatureCheck::Invalid(why) if why.contains("another certificate")), "{checks:?}");
    }
    for attributes in [vec![v2(list(&[]))], vec![v2(encode::null())], vec![v1(encode::sequence(&[encode::null()]))]] {
        assert!(matches!(checks(&signed_with(&attributes), &[])[0], SignatureCheck::Invalid(_)));
    }
    // RFC 5035 7: a hash that is not known does not stop the verification, and is told
    let unknown = encode::sequence(&[encode::oid(&oid::PBKDF2)]);
    let checks = checks(&signed_with(&[v2(list(&[id(&[unknown, sha256(carol)])]))]), &[]);
    assert!(matches!(&checks[0], SignatureCheck::Valid(oddities) if oddities[0].contains("not known")), "{checks:?}");
}

#[test]
fn a_protection_of_algorithms_that_names_a_mac_is_no_signers() {
    let digest = DigestAlgorithm::Sha256.identifier().to_der();
    let algorithm = SignatureAlgorithm::Ecdsa(DigestAlgorithm::Sha256).identifier().to_der();
    let mac = encode::sequence(&[encode::oid(&oid::HMAC_SHA256)]);
    let (first, second) = (encode::implicit(1, &algorithm), encode::implicit(2, &mac));
    let protection = |parts: &[Vec<u8>]| signed_with(&[attribute(oid::CMS_ALGORITHM_PROTECTION, &encode::sequence(parts))]);
    assert_eq!(checks(&protection(&[digest.clone(), first.clone()]), &[]), [SignatureCheck::Valid(Vec::new())]);
    for parts in [vec![digest.clone(), second.clone()], vec![digest.clone(), first, second], vec![digest]] {
        assert!(matches!(checks(&protection(&parts), &[])[0], SignatureCheck::Invalid(_)));
    }
}

#[test]
fn times_that_are_none_are_refused_and_none_panics() {
    for (tag, text) in [
        (Tag::GENERALIZED_TIME, "99991231235959Z"),
        (Tag::GENERALIZED_TIME, "00000101000000Z"),
        (Tag::UTC_TIME, "500101000000Z"),
        (Tag::GENERALIZED_TIME, "20240229120000.999999999Z"),
        (Tag::GENERALIZED_TIME, "20240229120000+9999999999999"),
    ] {
        let data = signed_with(&[attribute(oid::SIGNING_TIME, &encode::tlv(tag, text.as_bytes()))]);
        assert!(matches!(checks(&data, &[])[0], SignatureCheck::Valid(_)), "{text}");
        assert!(!data.signers[0].signing_time().unwrap().to_string().is_empty());
    }
    for text in
        ["", "Z", "20240230000000Z", "2024010100", "20240101000060Z", "2024010100000Z", "20240101000000+99999999999999999999"]
    {
        let value = encode::tlv(Tag::GENERALIZED_TIME, text.as_bytes());
        let data = signed_with(&[attribute(oid::SIGNING_TIME, &value)]);
        assert_eq!(data.signers[0].signing_time(), None, "{text}");
        assert!(matches!(checks(&data, &[])[0], SignatureCheck::Invalid(_)), "{text}");
    }
}

#[test]
fn what_is_only_shown_may_be_broken_anywhere() {
    let Some(data) = example("4.10.bin") else { return };
    let values: Vec<Vec<u8>> =
        data.signers[0].signed_attributes.iter().flat_map(|a| a.iter()).flat_map(|a| a.values.clone()).collect();
    let read = |bytes: &[u8]| {
        let _ =
            (SecurityLabel::from_der(bytes), equivalent_labels(bytes), expansion_history(bytes), Capabilities::from_der(bytes));
        let _ = (ContentHints::from_der(bytes), ReceiptRequest::from_der(bytes), Receipt::from_der(bytes));
    };
    for value in &values {
        for at in 0..value.len() {
            read(&value[..at]);
            for change in [0x01, 0x20, 0x80, 0xff] {
                let mut changed = value.clone();
                changed[at] ^= change;
                read(&changed);
            }
        }
    }
    // a label that cannot be read leaves the signature what it is
    for broken in [encode::null(), encode::tlv(Tag::SET, b""), encode::tlv(Tag::SET, &[2, 1, 1, 2, 1, 2])] {
        let data = signed_with(&[attribute(oid::SECURITY_LABEL, &broken), attribute(oid::RECEIPT_REQUEST, &broken)]);
        assert_eq!(checks(&data, &[]), [SignatureCheck::Valid(Vec::new())]);
        assert!(data.signers[0].security_label().is_none() && data.signers[0].receipt_request().is_none());
    }
}

#[test]
fn revocation_data_of_other_kinds_is_kept_or_passed_over() {
    let carol = cast().person("carol");
    let response = encode::sequence(&[encode::enumerated(0)]);
    let other = |kind, value: &[u8]| encode::implicit(1, &encode::sequence(&[encode::oid(&kind), value.to_vec()]));
    let list = encode::sequence(&[encode::null()]);
    let crls = [
        list.clone(),
        other(oid::RI_OCSP_RESPONSE, &response),
        other(oid::RI_SCVP, &encode::null()),
        other(oid::ID_DATA, &encode::null()),
        encode::explicit(1, &encode::null()),
        encode::explicit(7, b""),
    ];
    // attribute certificates, and certificates of other kinds
    let odd =
        [encode::explicit(1, b""), encode::explicit(2, &encode::null()), encode::explicit(3, &encode::null()), encode::null()];
    let certificates = [&[carol.certificate.der().to_vec()][..], &odd].concat().concat();
    let message = detached(&builder(carol, DigestAlgorithm::Sha256), CONTENT);
    let mut outer = Cursor::new(&message).sequence().unwrap();
    let kind = outer.any().unwrap().raw.to_vec();
    let mut fields = outer.explicit(0).unwrap().unwrap().sequence().unwrap();
    let mut parts: Vec<Vec<u8>> = (0..3).map(|_| fields.any().unwrap().raw.to_vec()).collect();
    fields.any().unwrap();
    parts.extend([encode::explicit(0, &certificates), encode::explicit(1, &crls.concat()), fields.remaining().to_vec()]);
    let message = encode::sequence(&[kind, encode::explicit(0, &encode::sequence(&parts))]);
    let (data, _) = read_signed(&message, Some(CONTENT)).unwrap();
    assert_eq!(checks(&data, &[]), [SignatureCheck::Valid(Vec::new())]);
    assert_eq!((data.crls, data.ocsp_responses), (vec![list], vec![response]));
    assert_eq!((data.certificates.len(), data.odd_certificates), (1, odd.to_vec()));
}

#[test]
fn an_eddsa_signature_without_attributes_is_over_the_content_itself() {
    if !support::peer("openssl") {
        return;
    }
    let frank = cast().person("frank");
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("content");
    let by_openssl = |content: &[u8]| {
        std::fs::write(&file, content).unwrap();
        openssl(&["pkeyutl", "-sign", "-rawin", "-inkey", &frank.key_file, "-in", file.to_str().unwrap()], b"")
    };
    let message = |signature: &[u8]| {
        let id = [frank.certificate.issuer().der().to_vec(), encode::tlv(Tag::INTEGER, frank.certificate.serial())];
        let sha512 = DigestAlgorithm::Sha512.identifier().to_der();
        let algorithm = SignatureAlgorithm::Ed25519.identifier().to_der();
        let info = [encode::integer_u64(1), encode::sequence(&id), sha512, algorithm, encode::octet_string(signature)];
        let certificates = encode::implicit(0, &encode::set_of(vec![frank.certificate.der().to_vec()]));
        let content = encode::sequence(&[encode::oid(&oid::ID_DATA)]);
        // RFC 8419 3.2: no digest need be declared
        let parts = [
            encode::integer_u64(1),
            encode::set_of(Vec::new()),
            content,
            certificates,
            encode::set_of(vec![encode::sequence(&info)]),
        ];
        encode::sequence(&[encode::oid(&oid::ID_SIGNED_DATA), encode::explicit(0, &encode::sequence(&parts))])
    };
    let signed = message(&by_openssl(CONTENT));
    let Ok(Content::Signed(reader)) = sealpost::cms::open(&signed[..], &Limits::default()) else { panic!("signed") };
    let mut data = reader.read(Some(CONTENT), &mut std::io::sink()).unwrap();
    assert!(data.signers[0].needs_content());
    assert!(matches!(&checks(&data, &[])[0], SignatureCheck::Invalid(why) if why.contains("not at hand whole")));
    data.supply_content(CONTENT.to_vec());
    assert_eq!(checks(&data, &[]), [SignatureCheck::Valid(Vec::new())]);
    data.supply_content(b"other".to_vec());
    assert!(matches!(checks(&data, &[])[0], SignatureCheck::Invalid(_)));
    // a signature over the digest is none
    let (mut data, _) = read_signed(&message(&by_openssl(&digest::of(DigestAlgorithm::Sha512, CONTENT))), Some(CONTENT)).unwrap();
    data.supply_content(CONTENT.to_vec());
    assert!(matches!(checks(&data, &[])[0], SignatureCheck::Invalid(_)));
    // neither is one over attributes that stand in the place of the content
    let full = detached(&builder(frank, DigestAlgorithm::Sha512), CONTENT);
    let (full, _) = read_signed(&full, Some(CONTENT)).unwrap();
    assert!(!full.signers[0].needs_content());
    let attributes = full.signers[0].signed_attributes.as_ref().unwrap().signed_bytes();
    let (mut data, _) = read_signed(&message(full.signers[0].signature()), Some(&attributes)).unwrap();
    data.supply_content(attributes);
    assert!(matches!(&checks(&data, &[])[0], SignatureCheck::Invalid(why) if why.contains("signed attributes of another")));
}
