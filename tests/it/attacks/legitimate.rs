//! What honest people and relays do: none of it is taken for an attack.

use sealpost::crypto::random::OsRandom;
use sealpost::smime::{self, Code, Encrypt, HeaderProtection, Seal, Sign};

use super::stage::*;

fn letter(fields: &str) -> Vec<u8> {
    format!("{fields}\r\nTo: bob@example.org\r\nSubject: x\r\nMIME-Version: 1.0\r\n{ENTITY}").into_bytes()
}

#[test]
fn usual_forms_are_good() {
    let alice = &stage().alice;
    let signed = clear_signed(ENTITY, alice);
    let opaque = opaque_signed(ENTITY, alice);
    let html = "Content-Type: text/html; charset=utf-8\r\n\r\n<b>Lunch</b> at noon.\r\n";
    let attached = format!("Content-Type: message/rfc822\r\n\r\n{}", message("From: Boss <boss@example.com>", ENTITY));
    let rich = multipart("alternative", "alt", &[ENTITY, html]);
    let full = multipart("mixed", "mix", &[&rich, &attached, "Content-Type: image/png\r\nContent-ID: <a>\r\n\r\nx"]);
    let lf = message(FROM_ALICE, &signed).replace("\r\n", "\n");
    let twice = clear_signed(&signed, alice).replacen("boundary=\"sig\"", "boundary=\"out\"", 1);
    let twice = twice.replacen("--sig\r\n", "--out\r\n", 1);
    let (head, tail) = twice.rsplit_once("--sig\r\n").expect("the outer signature");
    let twice = format!("{head}--out\r\n{}", tail.replacen("--sig--", "--out--", 1));
    let usual_preamble =
        signed.replacen("\r\n\r\n--sig", "\r\n\r\nThis is a cryptographically signed message in MIME format.\r\n\r\n--sig", 1);
    check_all(
        [
            ("clear", message(FROM_ALICE, &signed)),
            ("opaque", message(FROM_ALICE, &opaque)),
            ("with LF line ends", lf),
            ("the old types", message(FROM_ALICE, &signed.replace("application/pkcs7-", "application/x-pkcs7-"))),
            ("the old type", message(FROM_ALICE, &opaque.replace("application/pkcs7-mime", "application/x-pkcs7-mime"))),
            ("without micalg", message(FROM_ALICE, &signed.replace(" micalg=sha-256;", ""))),
            ("without smime-type", message(FROM_ALICE, &opaque.replace(" smime-type=signed-data;", ""))),
            ("html, parts, a forwarded message", message(FROM_ALICE, &clear_signed(&full, alice))),
            ("signed twice", message(FROM_ALICE, &twice)),
            ("the usual preamble", message(FROM_ALICE, &usual_preamble)),
            ("many recipients", message(
                "From: Alice <alice@example.com>\r\nTo: team: a@a.example, \"b@b.example\" <c@c.example>;, undisclosed:;\r\nCc: (x) d@d.example",
                &signed,
            )),
        ]
        .map(|(name, message)| (name, message, Expect::Good)),
    );
}

#[test]
fn mailing_lists_add_what_is_told() {
    let footer = "Content-Type: text/plain\r\n\r\n_______\r\nlist mailing list\r\n";
    let list = "From: Alice <alice@example.com>\r\nSender: list-bounces@lists.example\r\nReply-To: list@lists.example\r\nList-Id: <list.lists.example>";
    let signed = clear_signed(ENTITY, &stage().alice);
    let opened = open(message(list, &multipart("mixed", "list", &[&signed, footer])));
    check("footer", &opened, Expect::Warned(Code::Uncovered)).expect("warned");
    check("answers", &opened, Expect::Warned(Code::ReplyElsewhere)).expect("warned");
    assert_eq!(opened.released().expect("released").content(), ENTITY.as_bytes());
    assert_eq!(opened.verdict().uncovered.len(), 1);
}

#[test]
fn what_is_written_here_is_good_here() {
    let stage = stage();
    let recipients = [stage.bob.certificate().clone()];
    for fields in [
        "From: Alice <alice@example.com>",
        "From: \"Alice (Sales) <x>\" <alice@example.com>\r\nReply-To: alice@example.com",
        "From: =?utf-8?B?w4RsaWNl?= <ALICE@example.com>\r\nSender: alice@example.com",
    ] {
        let letter = letter(fields);
        let clear = Sign::new(&stage.alice).run(&letter, stage.trust.at, &mut OsRandom).expect("signed");
        let bare = Sign::new(&stage.alice).header_protection(HeaderProtection::Off);
        let bare = bare.run(&letter, stage.trust.at, &mut OsRandom).expect("signed");
        let sealed = Seal::new(Sign::new(&stage.alice), Encrypt::new(&recipients));
        let sealed = sealed.run(&letter, stage.trust.at, &mut OsRandom).expect("sealed");
        let around = smime::sign(&sealed, &stage.alice, stage.trust.at, &mut OsRandom).expect("signed again");
        for (name, message) in [("clear", clear), ("bare", bare), ("sealed", sealed), ("triple", around)] {
            let opened = open(&message);
            check(name, &opened, Expect::Good).expect(fields);
            // of three layers the outermost signature is seen by those who cannot read; the innermost is the author's
            assert!(opened.into_verified().is_ok(), "{name}");
        }
    }
}
