//! Recipients in every form: named originators, keys from elsewhere, kinds that nobody knows, and damage that must not spread.

use sealpost::asn1::{Cursor, Oid, Tag, encode, oid};
use sealpost::cms::{Content, Error, Key, Originator, RecipientKind};
use sealpost::crypto::algorithm::{AlgorithmIdentifier, ContentCipher, KeyTransport, KeyWrap};
use sealpost::crypto::random::Seeded;
use sealpost::crypto::{pbe, wrap};
use sealpost::limits::Limits;
use sealpost::pki::Certificate;
use sealpost::secret::Secret;

use super::cast::{Person, cast};
use super::own::{CONTENT, encrypted, key_of};
use super::{decrypt, read_enveloped};
use crate::support;

fn openssl(args: &[&str], input: &[u8]) -> Vec<u8> {
    let (code, stdout, stderr) = support::run("openssl", args, input);
    assert_eq!(code, 0, "openssl {args:?}: {stderr}");
    stdout
}

/// An object identifier from its numbers.
fn number(dotted: &str) -> Oid {
    let arcs: Vec<u64> = dotted.split('.').map(|arc| arc.parse().unwrap()).collect();
    let mut bytes = Vec::new();
    for arc in std::iter::once(arcs[0] * 40 + arcs[1]).chain(arcs[2..].iter().copied()) {
        let groups = (1..5).rev().filter(|group| arc >> (group * 7) != 0).map(|group| 0x80 | (arc >> (group * 7) & 0x7f) as u8);
        bytes.extend(groups.chain([(arc & 0x7f) as u8]));
    }
    Oid::from_bytes(&bytes).unwrap()
}

/// The same message with other recipients, and with an OriginatorInfo.
fn rebuilt(message: &[u8], originator: Option<Vec<u8>>, change: impl Fn(Vec<Vec<u8>>) -> Vec<Vec<u8>>) -> Vec<u8> {
    let mut outer = Cursor::new(message).sequence().unwrap();
    let kind = outer.any().unwrap().raw;
    let mut fields = outer.explicit(0).unwrap().unwrap().sequence().unwrap();
    let version = fields.any().unwrap().raw;
    fields.optional(Tag::context_constructed(0)).unwrap();
    let mut set = fields.set().unwrap();
    let mut infos = Vec::new();
    while !set.is_empty() {
        infos.push(set.any().unwrap().raw.to_vec());
    }
    let set = encode::tlv(Tag::SET, &change(infos).concat());
    let parts = [version.to_vec(), originator.unwrap_or_default(), set, fields.remaining().to_vec()];
    encode::sequence(&[kind.to_vec(), encode::explicit(0, &encode::sequence(&parts))])
}

fn originator_info(certificate: &Certificate) -> Vec<u8> {
    encode::explicit(0, &encode::explicit(0, certificate.der()))
}

/// Decrypts as `decrypt`, with certificates beside those of the message.
fn decrypt_knowing(message: &[u8], keys: &[Key<'_>], known: &[Certificate]) -> Result<Vec<u8>, Error> {
    let reader = read_enveloped(message)?.knowing(known);
    let candidate = *reader.candidates(keys).first().expect("a key fits");
    let key = reader.content_key(candidate, keys, &mut Seeded::new(b"decrypt"))?;
    let mut plain = Vec::new();
    reader.decrypt(&key, &mut plain).map(|_| plain)
}

/// OpenSSL makes ephemeral keys only; its message is given an originator whose certificate has just that key.
#[test]
fn opens_what_openssl_agreed_on_when_the_originator_is_named_by_certificate() {
    if !support::peer("openssl") {
        return;
    }
    for name in ["carol", "erin"] {
        let person = cast().person(name);
        let args = ["cms", "-encrypt", "-binary", "-outform", "DER", "-aes-256-gcm", "-recip", &person.certificate_file];
        let message = openssl(&args, CONTENT);
        let reader = read_enveloped(&message).unwrap();
        let RecipientKind::Agreement(shared) = &reader.recipients()[0].kind else { panic!("kari") };
        let Originator::Key(key) = &shared.originator else { panic!("an ephemeral key") };
        let own = with_key(person, key, 77);
        let serial = encode::sequence(&[own.issuer().der().to_vec(), encode::tlv(Tag::INTEGER, own.serial())]);
        let key_id = encode::tlv(Tag::context(0), &own.subject_key_id().unwrap());
        for id in [serial, key_id] {
            opens_with_originator(&with_originator(&message, &id), person, &own);
        }
    }
}

fn opens_with_originator(message: &[u8], person: &Person, own: &Certificate) {
    let missing = decrypt_knowing(message, &[key_of(person)], &[]).unwrap_err();
    assert!(missing.to_string().contains("certificate is not at hand"), "{missing}");
    // of another curve, or not the one named: not taken
    let others = [cast().person("dave").certificate.clone(), person.certificate.clone()];
    assert!(decrypt_knowing(message, &[key_of(person)], &others).is_err());
    let known = [&others[..], std::slice::from_ref(own)].concat();
    assert_eq!(decrypt_knowing(message, &[key_of(person)], &known).unwrap(), CONTENT);
    // the message may bring the certificate along; what else stands there does no harm
    let with_info = rebuilt(message, Some(originator_info(own)), |infos| infos);
    assert_eq!(read_enveloped(&with_info).unwrap().originator().certificates, std::slice::from_ref(own));
    assert_eq!(decrypt(&with_info, &[key_of(person)]).unwrap(), CONTENT);
    let odd = encode::explicit(0, &encode::explicit(0, &[&encode::null()[..], own.der(), &[0x30, 0x05]].concat()));
    assert_eq!(decrypt(&rebuilt(message, Some(odd), |infos| infos), &[key_of(person)]).unwrap(), CONTENT);
}

/// The message with this `OriginatorIdentifierOrKey`.
fn with_originator(message: &[u8], id: &[u8]) -> Vec<u8> {
    rebuilt(message, None, |infos| {
        let mut fields = Cursor::new(&infos[0]).any().unwrap().cursor().unwrap();
        let version = fields.any().unwrap().raw.to_vec();
        fields.explicit(0).unwrap().unwrap();
        let parts = [version, encode::explicit(0, id), fields.remaining().to_vec()];
        vec![encode::implicit(1, &encode::sequence(&parts))]
    })
}

/// A certificate as a person's, with this `OriginatorPublicKey` and a subject key identifier of its own; its signature fits nothing.
fn with_key(person: &Person, key: &[u8], serial: u64) -> Certificate {
    let mut fields = Cursor::new(person.certificate.spki()).sequence().unwrap();
    let algorithm = fields.any().unwrap().raw;
    let mut received = Cursor::new(key).any().unwrap().cursor().unwrap();
    received.any().unwrap();
    let spki = encode::sequence(&[algorithm, received.remaining()]);
    let key_id = encode::octet_string(&encode::octet_string(b"an originator's key"));
    let extension = encode::sequence(&[encode::oid(&oid::SUBJECT_KEY_IDENTIFIER), key_id]);
    let mut tbs = Cursor::new(person.certificate.tbs()).sequence().unwrap();
    let version = tbs.any().unwrap().raw.to_vec();
    tbs.any().unwrap();
    let mut parts = vec![version, encode::integer_u64(serial)];
    parts.extend((0..4).map(|_| tbs.any().unwrap().raw.to_vec()));
    parts.extend([spki, encode::explicit(3, &encode::sequence(&[extension]))]);
    let algorithm = person.certificate.signature_algorithm().to_der();
    let der = encode::sequence(&[encode::sequence(&parts), algorithm, encode::bit_string(b"none")]);
    Certificate::from_der(&der).unwrap()
}

#[test]
fn a_password_recipient_without_derivation_takes_its_key_from_elsewhere() {
    if !support::peer("openssl") {
        return;
    }
    let password = Secret::new(b"correct horse".to_vec());
    let args = ["cms", "-encrypt", "-binary", "-outform", "DER", "-aes-256-cbc", "-pwri_password", "correct horse"];
    let message = openssl(&args, CONTENT);
    let RecipientKind::Password { derivation: Some(derivation), .. } =
        read_enveloped(&message).unwrap().recipients()[0].kind.clone()
    else {
        panic!("pwri")
    };
    let kek = pbe::derive_key(&derivation, password.expose(), 32, &mut pbe::Cost::new(&Limits::default())).unwrap();
    let without = rebuilt(&message, None, |infos| {
        let mut fields = Cursor::new(&infos[0]).any().unwrap().cursor().unwrap();
        let version = fields.any().unwrap().raw;
        fields.optional(Tag::context_constructed(0)).unwrap().unwrap();
        vec![encode::tlv(Tag::context_constructed(3), &[version, fields.remaining()].concat())]
    });
    assert_eq!(decrypt(&without, &[Key::Kek(&kek)]).unwrap(), CONTENT);
    let error = decrypt(&without, &[Key::Password(&password)]).unwrap_err();
    assert!(error.to_string().contains("needs a KEK"), "{error}");
    for wrong in [vec![0; 32], vec![0; 16], Vec::new()] {
        assert!(matches!(decrypt(&without, &[Key::Kek(&Secret::new(wrong))]), Err(Error::DecryptionFailed)));
    }
}

#[test]
fn a_kek_recipient_may_carry_a_date_and_other_attributes() {
    let kek = Secret::new((0..16).collect::<Vec<u8>>());
    let carol = cast().person("carol");
    let message = encrypted(ContentCipher::Aes128Cbc, &KeyTransport::RsaPkcs1, &[carol], CONTENT);
    let reader = read_enveloped(&message).unwrap();
    let candidate = reader.candidates(&[key_of(carol)])[0];
    let content_key = reader.content_key(candidate, &[key_of(carol)], &mut Seeded::new(b"")).unwrap();
    let wrapped = wrap::wrap(KeyWrap::Aes128, kek.expose(), content_key.expose()).unwrap();
    let date = encode::generalized_time(sealpost::time::Timestamp::from_unix(1_700_000_000));
    let other = encode::sequence(&[encode::oid(&number("1.2.3.4")), encode::null()]);
    for (version, more) in [(4, vec![]), (4, vec![date.clone()]), (4, vec![other.clone()]), (5, vec![date, other])] {
        let id = encode::sequence(&[vec![encode::octet_string(b"id")], more].concat());
        let algorithm = KeyWrap::Aes128.identifier().to_der();
        let info = encode::sequence(&[encode::integer_u64(version), id, algorithm, encode::octet_string(&wrapped)]);
        let message = rebuilt(&message, None, |_| vec![encode::implicit(2, &info)]);
        let reader = read_enveloped(&message).unwrap();
        assert_eq!((reader.recipients()[0].kind_name(), reader.recipients()[0].id.to_string()), ("kekri", "key 6964".to_owned()));
        assert_eq!(decrypt(&message, &[Key::Kek(&kek)]).unwrap(), CONTENT);
    }
}

/// Recipient infos that nobody can use, each with what it is called.
fn useless() -> Vec<(Vec<u8>, &'static str, &'static str)> {
    let kem = AlgorithmIdentifier::bare(number("2.16.840.1.101.3.4.4.2")).to_der();
    let key_id = encode::tlv(Tag::context(0), b"some key");
    let wrap = KeyWrap::Aes256.identifier().to_der();
    let (version, octets) = (encode::integer_u64(0), encode::octet_string(b"ct"));
    let kdf = AlgorithmIdentifier::bare(oid::HKDF_SHA256).to_der();
    let kemri = encode::sequence(&[version, key_id, kem, octets.clone(), kdf, encode::integer_u64(32), wrap, octets]);
    let ori = |kind: Oid, value: Vec<u8>| encode::implicit(4, &encode::sequence(&[encode::oid(&kind), value]));
    vec![
        (ori(oid::ORI_KEM, kemri), "kemri", "ml-kem-768"),
        (ori(number("1.2.3.4"), encode::octet_string(b"?")), "other", "1.2.3.4"),
        (encode::explicit(9, &encode::null()), "other", "unknown"),
        (encode::sequence(&[encode::integer_u64(7), encode::null()]), "other", "unknown"),
        (encode::sequence(&[encode::integer_u64(2), encode::null()]), "other", "unreadable"),
        (encode::explicit(1, &encode::integer_u64(3)), "other", "unreadable"),
        (encode::explicit(2, b""), "other", "unreadable"),
        (ori(oid::ORI_KEM, encode::null()), "other", "unreadable"),
    ]
}

#[test]
fn recipients_that_nobody_knows_do_not_hide_the_others() {
    let carol = cast().person("carol");
    let message = encrypted(ContentCipher::Aes256Gcm, &KeyTransport::RsaPkcs1, &[carol], CONTENT);
    let among = rebuilt(&message, None, |infos| {
        let mut all: Vec<Vec<u8>> = useless().into_iter().map(|(info, ..)| info).collect();
        all.extend(infos);
        all
    });
    let reader = read_enveloped(&among).unwrap();
    let names: Vec<_> = reader.recipients().iter().map(|r| (r.kind_name(), r.algorithm_name())).collect();
    let mut expected: Vec<_> = useless().iter().map(|(_, kind, algorithm)| (*kind, (*algorithm).to_owned())).collect();
    expected.push(("kari", "ecdh-std-sha256-aes256-wrap".to_owned()));
    assert_eq!(names, expected);
    assert_eq!(decrypt(&among, &[key_of(carol)]).unwrap(), CONTENT);
    assert_eq!(decrypt(&among, &[Key::Private { certificate: None, key: &carol.key }]).unwrap(), CONTENT);
}

/// OpenSSL looks at no version, and reads these all.
#[test]
fn a_recipient_of_a_version_that_nobody_knows_is_passed_over() {
    let (alice, carol) = (cast().person("alice"), cast().person("carol"));
    let message = encrypted(ContentCipher::Aes256Gcm, &KeyTransport::RsaPkcs1, &[alice, carol], CONTENT);
    let with = |version: &[u8]| {
        rebuilt(&message, None, |infos| {
            let change = |info: &Vec<u8>| {
                let element = Cursor::new(info).any().unwrap();
                let mut fields = element.cursor().unwrap();
                fields.integer().unwrap();
                encode::tlv(element.tag, &[&encode::tlv(Tag::INTEGER, version), fields.remaining()].concat())
            };
            infos.iter().map(change).collect()
        })
    };
    for version in [0_u8, 1, 2, 3, 4, 5] {
        for person in [alice, carol] {
            assert_eq!(decrypt(&with(&[version]), &[key_of(person)]).unwrap(), CONTENT, "version {version}");
        }
    }
    for version in [&[6][..], &[99], &[0xff], &[0, 0x80], &[1, 0], &[0, 0]] {
        let message = with(version);
        let reader = read_enveloped(&message).unwrap();
        assert!(reader.recipients().iter().all(|r| r.kind_name() == "other" && r.algorithm_name() == "unknown"), "{version:?}");
        assert!(reader.candidates(&[key_of(alice), key_of(carol)]).is_empty(), "{version:?}");
    }
}

#[test]
fn a_message_none_of_whose_recipients_can_be_read_is_malformed() {
    let carol = cast().person("carol");
    let message = encrypted(ContentCipher::Aes256Gcm, &KeyTransport::RsaPkcs1, &[carol], CONTENT);
    let broken = rebuilt(&message, None, |_| vec![encode::sequence(&[encode::integer_u64(0), encode::null()])]);
    let error = read_enveloped(&broken).unwrap_err();
    assert!(error.to_string().contains("none of whose recipients can be read"), "{error}");
    // of kinds that are not known it is somebody else's
    let unknown = rebuilt(&message, None, |_| vec![encode::explicit(9, &encode::null())]);
    assert!(read_enveloped(&unknown).unwrap().candidates(&[key_of(carol)]).is_empty());
    let nobody = rebuilt(&message, None, |_| Vec::new());
    assert!(read_enveloped(&nobody).unwrap().candidates(&[key_of(carol)]).is_empty());
}

#[test]
fn a_recipient_with_an_unknown_algorithm_does_not_stop_another() {
    let [alice, carol, grace]: [&Person; 3] = ["alice", "carol", "grace"].map(|name| cast().person(name));
    let message = encrypted(ContentCipher::Aes128Gcm, &KeyTransport::RsaPkcs1, &[alice, carol, grace], CONTENT);
    for known in [oid::RSA_ENCRYPTION, oid::ECDH_STD_SHA256] {
        let (from, to) = (encode::oid(&known), encode::oid(&number("1.2.3.4.5.6.7")));
        let changed = rebuilt(&message, None, |infos| infos.iter().map(|info| with_algorithm(info, &from, &to)).collect());
        for person in [alice, carol, grace] {
            let plain = decrypt(&changed, &[key_of(person)]);
            match (known == oid::RSA_ENCRYPTION) == person.key.algorithm().is_rsa() {
                true => assert!(matches!(&plain, Err(Error::Unsupported(what)) if what.contains("1.2.3")), "{plain:?}"),
                false => assert_eq!(plain.unwrap(), CONTENT),
            }
        }
        // who holds several keys reads it with the one that works
        assert_eq!(decrypt(&changed, &[key_of(alice), key_of(carol)]).unwrap(), CONTENT);
    }
}

/// A recipient info whose key encryption algorithm has another identifier.
fn with_algorithm(info: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let element = Cursor::new(info).any().unwrap();
    let mut fields = element.cursor().unwrap();
    let mut content = Vec::new();
    while !fields.is_empty() {
        let field = fields.any().unwrap();
        match field.content.strip_prefix(from) {
            Some(parameters) => content.extend(encode::sequence(&[to, parameters])),
            None => content.extend_from_slice(field.raw),
        }
    }
    encode::tlv(element.tag, &content)
}

#[test]
fn an_ephemeral_key_of_another_kind_is_refused() {
    let [carol, grace] = ["carol", "grace"].map(|name| cast().person(name));
    let message = encrypted(ContentCipher::Aes128Gcm, &KeyTransport::RsaPkcs1, &[grace], CONTENT);
    let id =
        encode::sequence(&[carol.certificate.issuer().der().to_vec(), encode::tlv(Tag::INTEGER, carol.certificate.serial())]);
    let changed = rebuilt(&message, None, |infos| {
        let mut fields = Cursor::new(&infos[0]).any().unwrap().cursor().unwrap();
        let mut kept = Vec::new();
        while fields.peek() != Some(Tag::SEQUENCE) || kept.len() < 2 {
            kept.push(fields.any().unwrap().raw.to_vec());
        }
        kept.push(fields.any().unwrap().raw.to_vec());
        kept.push(encode::sequence(&[encode::sequence(&[id.clone(), encode::octet_string(&[0; 24])])]));
        vec![encode::implicit(1, &encode::sequence(&kept))]
    });
    let error = decrypt(&changed, &[key_of(carol)]).unwrap_err();
    assert!(!matches!(error, Error::Unsupported(_)), "{error}");
}

#[test]
fn certificates_of_the_originator_are_bounded() {
    let carol = cast().person("carol");
    let message = encrypted(ContentCipher::Aes128Gcm, &KeyTransport::RsaPkcs1, &[carol], CONTENT);
    let many = encode::explicit(0, &encode::explicit(0, &[0x05, 0x00].repeat(300)));
    let message = rebuilt(&message, Some(many), |infos| infos);
    let result = sealpost::cms::open(&message[..], &Limits::default());
    assert!(matches!(result, Err(Error::Limit(limit)) if limit.name == "certificates"));
    let Ok(Content::Enveloped(_)) = sealpost::cms::open(&message[..], &{
        let mut limits = Limits::default();
        limits.certificates = 300;
        limits
    }) else {
        panic!("300 are allowed")
    };
}
