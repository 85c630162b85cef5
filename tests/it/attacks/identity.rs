//! Identity games: the signature is good and says nothing about the author whom people see.

use sealpost::asn1::{Tag, encode, oid};
use sealpost::crypto::algorithm::ContentCipher;
use sealpost::smime::{Code, Open};

use super::inside::encrypted;
use super::stage::*;

/// The fields of a message over one signed part, as many as wanted.
fn with_fields(signed: &str, fields: &[u8]) -> Vec<u8> {
    [fields, b"\r\nTo: bob@example.org\r\nSubject: x\r\nMIME-Version: 1.0\r\n", signed.as_bytes()].concat()
}

fn check_fields(signed: &str, cases: &[(&[u8], Expect)]) {
    check_all(cases.iter().map(|(fields, expect)| (String::from_utf8_lossy(fields), with_fields(signed, fields), *expect)));
}

const MISMATCH: Expect = Expect::Refused(Code::FromMismatch);

#[test]
fn alice_is_the_author_however_her_address_is_written() {
    let fields: &[&[u8]] = &[
        b"From: alice@example.com",
        b"from: alice@example.com",
        b"FROM:alice@example.com",
        b"From: Alice <alice@example.com>",
        b"From: \"Doe, Alice\" <alice@example.com>",
        b"From: Alice Doe (at work) <alice@example.com> (again)",
        b"From: alice@example.com (Alice)",
        b"From: ALICE@Example.COM",
        b"From: Alice\r\n <alice@example.com>",
        b"From: =?utf-8?Q?=C3=84lice?= <alice@example.com>",
        b"From: =?utf-8?B?w4RsaWNl?=\r\n =?utf-8?Q?_D=C3=B6?= <alice@example.com>",
        "From: Älice <alice@example.com>".as_bytes(),
        b"From: \xc4lice <alice@example.com>",
        b"From: \"alice@example.com\" <alice@example.com>",
        b"From: alice@example.com <alice@example.com>",
        b"From: \"Alice @ Example\" <alice@example.com>",
        "From: \u{639}\u{644}\u{6cc}\u{200c}\u{631}\u{636}\u{627} <alice@example.com>".as_bytes(),
        "From: \"\u{d15}\u{d4d}\u{200d}\" <alice@example.com>".as_bytes(),
        "From: \u{1f469}\u{200d}\u{1f4bb} Alice <alice@example.com>".as_bytes(),
        b"From: [EXT] Alice [Sales] <alice@example.com>",
        b"From: 'alice@example.com' <alice@example.com>",
        b"From: \"'alice@example.com'\" <alice@example.com>",
        b"From: =?iso-8859-1?Q?D=F6,_Alice?= <alice@example.com>",
        b"From: Team: Alice <alice@example.com>;",
        b"From: \"alice\"@example.com",
        b"From: alice @ example.com",
        b"From: <alice@example.com>",
        b"From: alice@example.com\r\nReply-To: Alice <alice@example.com>",
        b"From: alice@example.com\r\nSender: list-bounces@lists.example",
        b"From: alice@example.com\r\nCc: undisclosed-recipients:;",
        b"Sender: alice@example.com",
        b"Received: from a by b\r\nFrom: alice@example.com\r\nX-Mailing-List: x",
    ];
    let signed = clear_signed(ENTITY, &stage().alice);
    check_fields(&signed, &fields.iter().map(|fields| (*fields, Expect::Good)).collect::<Vec<_>>());
}

#[test]
fn whoever_else_is_named_is_not_covered_by_her_signature() {
    let long = format!("From: \"{}\" <alice@example.com>", "x".repeat(1_000));
    let fields: &[&[u8]] = &[
        // nobody, several, others
        b"X-Nothing: here",
        b"From:",
        b"From: ,",
        b"From: <>",
        b"From: Alice",
        b"From: Team:;",
        b"From: alice",
        b"From: alice@",
        b"From: @example.com",
        b"From: mallory@example.net",
        b"From: boss@example.com",
        b"From: alice@example.com\r\nFrom: mallory@example.net",
        b"From: mallory@example.net\r\nFrom: alice@example.com",
        b"From: alice@example.com\r\nFrom: alice@example.com",
        b"From: alice@example.com\r\nfROM : mallory@example.net",
        b"From: alice@example.com\r\nFrom\t: mallory@example.net",
        b"From: alice@example.com, mallory@example.net",
        b"From: mallory@example.net, alice@example.com",
        b"From: Team: alice@example.com, mallory@example.net;",
        b"From: A: alice@example.com;, B: mallory@example.net;",
        b"From: mallory@example.net\r\nSender: alice@example.com",
        b"Sender: mallory@example.net",
        b"Sender: alice@example.com\r\nSender: mallory@example.net",
        b"From: mallory@example.net\r\nReply-To: alice@example.com",
        b"From: mallory@example.net\r\nResent-From: alice@example.com",
        b"Resent-From: alice@example.com",
        b"Apparently-From: alice@example.com",
        b"X: y\r\n From: alice@example.com",
        b" From: alice@example.com\r\nX: y",
        // her address where no address stands
        b"From: \"alice@example.com\" <mallory@example.net>",
        b"From: alice@example.com <mallory@example.net>",
        b"From: <alice@example.com> <mallory@example.net>",
        b"From: <mallory@example.net> <alice@example.com>",
        b"From: mallory@example.net (alice@example.com)",
        b"From: (alice@example.com)",
        b"From: alice@example.com: mallory@example.net;",
        b"From: \"alice@example.com\": mallory@example.net;",
        b"From: =?utf-8?Q?alice=40example.com?=",
        b"From: =?utf-8?Q?alice=40example.com?= <mallory@example.net>",
        b"From: =?utf-8?B?YWxpY2VAZXhhbXBsZS5jb20=?=@example.net",
        b"From: =?utf-8?Q?=3Calice=40example.com=3E?=",
        b"From: =?utf-8?Q?alice?=@example.com",
        b"From: =?utf-8?Q?alice=40example.com=00?= <mallory@example.net>",
        b"From: =?utf-8?B?YWxpY2VAZXhhbXBsZS5jb20=?==?utf-8?Q?=00?=@evil.example",
        b"From: \"alice@example.com\"@evil.example",
        b"From: alice@example.com@evil.example",
        b"From: evil@evil.example@example.com",
        b"From: alice%example.com@evil.example",
        b"From: alice@example.com\\@evil.example",
        // junk that programs pass over in their own ways
        b"From: alice@example.com junk",
        b"From: junk alice@example.com",
        b"From: alice@example.com <",
        b"From: alice@example.com >",
        b"From: <alice@example.com",
        b"From: \"Alice <alice@example.com>",
        b"From: Alice) <alice@example.com>",
        b"From: Alice (<alice@example.com>",
        b"From: <alice@example.com>; mallory@example.net",
        b"From: <@evil.example:alice@example.com>",
        b"From: <@evil.example,@example.com:alice@example.com>",
        b"From: <alice@example.com,mallory@example.net>",
        b"From: mallory@example.net\\,alice@example.com",
        b"From: alice..x@example.com",
        b"From: alice@[127.0.0.1]",
        long.as_bytes(),
        // bytes that end a string for some, and are not seen by others
        b"From: alice@example.com\0",
        b"From: alice@example.com\0@evil.example",
        b"From: \0alice@example.com",
        b"From: \"x\0y\" <alice@example.com>",
        b"From: \x1b[2Kalice@example.com",
        b"From: alice@example.com\x08",
        b"From: alice@example.com\x7f",
        b"From: alice@example.com\rFrom: mallory@example.net",
        b"From: mallory@example.net\rFrom: alice@example.com",
        b"From: alice@example.com\r, mallory@example.net",
        b"X-Mailer: x\rFrom: mallory@example.net\r\nFrom: alice@example.com",
        b"From: alice@example.com\r\nX-Mailer: x\rFROM : mallory@example.net",
        b"From: alice\r\n @example.com\x0b",
        b"From: \xefalice@example.com",
        b"From: al\xedce@example.com",
        "From: alice@example.com\u{200b}".as_bytes(),
        "From: ali\u{ad}ce@example.com".as_bytes(),
        "From: \u{feff}alice@example.com".as_bytes(),
        "From: \u{202e}alice@example.com".as_bytes(),
        "From: alice＠example.com".as_bytes(),
        "From: alice@example。com".as_bytes(),
        // other addresses that look alike
        "From: \u{430}lice@example.com".as_bytes(),
        "From: alice@ex\u{430}mple.com".as_bytes(),
        b"From: alice@xn--exmple-4nf.com",
        b"From: alice@example.com.",
        b"From: .alice@example.com",
        b"From: alice@example.com.evil.example",
        b"From: alice@example.co",
        b"From: alice@sub.example.com",
        b"From: alice+x@example.com",
        b"From: malice@example.com",
        b"From: alice@example.com:25",
        b"From: mailto:alice@example.com",
        b"From: \"\"@example.com",
        b"From: \" alice\"@example.com",
        b"From: \"alice\\ \"@example.com",
    ];
    let signed = clear_signed(ENTITY, &stage().alice);
    check_fields(&signed, &fields.iter().map(|fields| (*fields, MISMATCH)).collect::<Vec<_>>());
}

#[test]
fn a_signer_who_shows_another_address_as_his_name_is_told() {
    let signed = clear_signed(ENTITY, &stage().mallory);
    let misleading = Expect::Warned(Code::MisleadingName);
    check_fields(
        &signed,
        &[
            (b"From: Mallory <mallory@example.net>", Expect::Good),
            (b"From: \"alice@example.com\" <mallory@example.net>", misleading),
            (b"From: \"Alice <alice@example.com>\" <mallory@example.net>", misleading),
            (b"From: \"alice@example.com>\" <mallory@example.net>", misleading),
            (b"From: =?utf-8?Q?alice=40example.com?= <mallory@example.net>", misleading),
            (b"From: =?utf-8?B?YWxpY2VAZXhhbXBsZS5jb20=?= <mallory@example.net>", misleading),
            (b"From: =?utf-8?Q?alice=40example.com=00?= <mallory@example.net>", misleading),
            (b"From: =?utf-8?Q?alice=40example.com=0A=0D?=\r\n <mallory@example.net>", misleading),
            (b"From: =?utf-8?Q?alice?= =?utf-8?Q?=40example.com?= <mallory@example.net>", misleading),
            (b"From: \"alice\xef\xbc\xa0example.com\" <mallory@example.net>", misleading),
            (b"From: mallory@example.net (alice@example.com)", misleading),
            (b"From: (alice@example.com) mallory@example.net", misleading),
            (b"From: \"alice@example.com\": mallory@example.net;", misleading),
            (b"From: \"alice@example.com via List\" <mallory@example.net>", misleading),
            (b"From: Mallory <mallory@example.net>\r\nReply-To: alice@example.com", Expect::Warned(Code::ReplyElsewhere)),
            // unquoted, programs take the first or the last of the two
            (b"From: alice@example.com <mallory@example.net>", MISMATCH),
            (b"From: 'alice@example.com' <mallory@example.net>", MISMATCH),
            (b"From: [alice@example.com] <mallory@example.net>", MISMATCH),
            (b"From: x [<alice@example.com>] <mallory@example.net>", MISMATCH),
            (b"From: alice@[192.0.2.1] <mallory@example.net>", MISMATCH),
            (b"From: =?utf-8?Q?Do,_alice=40example.com?= <mallory@example.net>", MISMATCH),
            (b"From: =?utf-8?Q?Do,_=3Calice=40example.com=3E?= <mallory@example.net>", MISMATCH),
            (b"From: =?utf-8?Q?Do,alice@example.com?= <mallory@example.net>", MISMATCH),
            ("From: al\u{200d}ice <mallory@example.net>".as_bytes(), MISMATCH),
            (b"From: \"'alice@example.com'\" <mallory@example.net>", misleading),
        ],
    );
}

#[test]
fn several_authors_need_all_their_signatures() {
    let alice_and_mallory = Forged::detached(ENTITY.as_bytes(), &stage().alice).with(|f| {
        f.certificates.push(stage().mallory.certificate().der().to_vec());
        f.signers.push(ForgedSigner::new(ENTITY.as_bytes(), &stage().mallory));
    });
    let both = multipart(SIGNED, "sig", &[ENTITY, &part(P7S, &alice_and_mallory.der())]);
    check_fields(
        &both,
        &[
            (b"From: alice@example.com, mallory@example.net\r\nSender: alice@example.com", Expect::Good),
            (b"From: Both: alice@example.com, mallory@example.net;", Expect::Good),
            (b"From: alice@example.com, boss@example.com", MISMATCH),
        ],
    );
}

#[test]
fn protected_fields_and_those_outside_must_name_the_signer() {
    let inside = |fields: &str| {
        let entity = format!("{fields}\r\nSubject: x\r\nContent-Type: text/plain; charset=utf-8; hp=\"clear\"\r\n\r\n{SAID}\r\n");
        clear_signed(&entity, &stage().alice)
    };
    let alice = "From: alice@example.com";
    let mallory = "From: mallory@example.net";
    for (name, inner, outer, expect) in [
        ("both", alice, alice, Expect::Good),
        ("none inside", "X: y", alice, Expect::Good),
        ("another outside", alice, mallory, MISMATCH),
        ("another inside", mallory, alice, MISMATCH),
        ("two inside", "From: alice@example.com\r\nFrom: mallory@example.net", alice, MISMATCH),
        ("a list inside", "From: alice@example.com, mallory@example.net", alice, MISMATCH),
        ("none outside", alice, "X: y", MISMATCH),
        ("a name inside", "From: \"boss@example.com\" <alice@example.com>", alice, Expect::Warned(Code::MisleadingName)),
        ("answers inside", "From: alice@example.com\r\nReply-To: m@evil.example", alice, Expect::Warned(Code::ReplyElsewhere)),
        // what stands outside is not shown where fields are protected
        ("answers outside", alice, "From: alice@example.com\r\nReply-To: m@evil.example", Expect::Good),
    ] {
        check_fields(&inside(inner), &[(outer.as_bytes(), expect)]);
        let opened = open(with_fields(&inside(inner), outer.as_bytes()));
        if let Some(released) = opened.released() {
            assert!(!String::from_utf8_lossy(&released.message()).contains("evil.example") || name.ends_with("inside"), "{name}");
        }
    }
    // a parameter outside protects nothing
    let outside = clear_signed(ENTITY, &stage().alice).replacen("signed;", "signed; hp=\"clear\";", 1);
    check_fields(&outside, &[(b"X: y", MISMATCH), (b"From: mallory@example.net", MISMATCH)]);
}

#[test]
fn certificates_say_exactly_whom_they_speak_for() {
    let utf8 = |address: &str| {
        let value = encode::explicit(0, &encode::utf8(address));
        encode::implicit(0, &encode::sequence(&[encode::oid(&oid::SMTP_UTF8_MAILBOX), value]))
    };
    let cases: Vec<(&str, Vec<u8>, &[u8], Expect)> = vec![
        ("exact", rfc822("victim@a.example"), b"From: victim@a.example", Expect::Good),
        ("a null byte", rfc822("victim@a.example\0@evil.example"), b"From: victim@a.example", MISMATCH),
        ("a null byte at the end", rfc822("victim@a.example\0"), b"From: victim@a.example", MISMATCH),
        ("two in one", rfc822("victim@a.example,m@evil.example"), b"From: victim@a.example", MISMATCH),
        ("in brackets", rfc822("<victim@a.example>"), b"From: victim@a.example", MISMATCH),
        ("with a name", rfc822("V <victim@a.example>"), b"From: victim@a.example", MISMATCH),
        ("blanks", rfc822(" victim@a.example "), b"From: victim@a.example", MISMATCH),
        ("a whole domain", rfc822("a.example"), b"From: victim@a.example", MISMATCH),
        ("a domain with a dot", rfc822(".a.example"), b"From: victim@a.example", MISMATCH),
        ("a wildcard", rfc822("*@a.example"), b"From: victim@a.example", MISMATCH),
        ("a host name", encode::tlv(Tag::context(2), b"a.example"), b"From: victim@a.example", MISMATCH),
        ("a mailto URI", encode::tlv(Tag::context(6), b"mailto:victim@a.example"), b"From: victim@a.example", MISMATCH),
        ("a homograph", utf8("vict\u{456}m@a.example"), b"From: victim@a.example", MISMATCH),
        (
            "a homograph of itself",
            utf8("vict\u{456}m@a.example"),
            "From: vict\u{456}m@a.example".as_bytes(),
            Expect::Warned(Code::MisleadingName),
        ),
        ("of all letters", utf8("\u{4f60}@a.example"), "From: \u{4f60}@a.example".as_bytes(), Expect::Good),
    ];
    for (name, alternative, fields, expect) in cases {
        let signer = certified(name, &[alternative]);
        let message = with_fields(&clear_signed(ENTITY, &signer), fields);
        if let Err(why) = check(name, &open(&message), expect) {
            panic!("{why}");
        }
    }
}

#[test]
fn a_mismatch_that_a_person_excuses_is_never_verified() {
    let signed = with_fields(&clear_signed(ENTITY, &stage().alice), b"From: boss@example.com");
    let accept = sealpost::smime::Accept::from_codes(["from-mismatch"]).expect("a known code");
    let opened = Open::new(&stage().trust).accept(accept).verify(&signed);
    assert!(opened.released().is_some());
    assert!(opened.into_verified().is_err());
}

#[test]
fn a_layer_between_the_signature_and_the_author_inside_hides_nobody() {
    let mallory = &stage().mallory;
    let text = |fields: &str, parameter: &str| {
        format!("{fields}\r\nSubject: x\r\nContent-Type: text/plain{parameter}\r\n\r\n{EVIL}\r\n")
    };
    let (boss, own) = ("From: Alice <alice@example.com>", "From: mallory@example.net");
    let payloads = [
        text(boss, "; hp=clear"),
        text(boss, "; hp=cipher"),
        text(boss, "; protected-headers=v1"),
        text(&format!("{own}\r\n{boss}"), "; hp=cipher"),
        format!("Content-Type: message/rfc822\r\n\r\n{}", text(boss, "")),
    ];
    let outsides = |entity: &str| [message("Sender: mallory@example.net", entity), entity.to_owned()];
    let mut cases = Vec::new();
    for payload in &payloads {
        for between in [compressed(payload), encrypted(payload, ContentCipher::Aes256Gcm)] {
            for signed in [opaque_signed(&between, mallory), clear_signed(&between, mallory)] {
                cases.extend(outsides(&signed).map(|message| (payload.clone(), message, MISMATCH)));
                let attached = format!("Content-Type: message/rfc822\r\n\r\n{}", message("Sender: mallory@example.net", &signed));
                cases.push((payload.clone(), message(own, &attached), MISMATCH));
            }
        }
    }
    cases.push(("two authors".to_owned(), message(own, &opaque_signed(&compressed(&payloads[3]), mallory)), MISMATCH));
    check_all(cases);
    // who speaks for herself is who she is, and a name of hers that shows another address is told
    let hers = |fields: &str| opaque_signed(&compressed(&text(fields, "; hp=clear").replace(EVIL, SAID)), &stage().alice);
    let named = "From: \"bob@example.org\" <alice@example.com>";
    check_all([
        ("hers", message("Sender: alice@example.com", &hers(boss)), Expect::Good),
        ("hers, and a name", message(FROM_ALICE, &hers(named)), Expect::Warned(Code::MisleadingName)),
    ]);
    // where nobody signed, it is told that nobody vouches
    let said = |payload: &str| encrypted(&payload.replace(EVIL, SAID), ContentCipher::Aes256Gcm);
    check_all([
        ("two authors, unsigned", message(own, &said(&payloads[3])), Expect::Warned(Code::FromMismatch)),
        ("nobody outside", message("Sender: mallory@example.net", &said(&payloads[1])), Expect::Warned(Code::FromMismatch)),
    ]);
}
