//! Wrapping: what is signed stands beside, around or below what is not.

use sealpost::smime::{Code, Outcome};

use super::stage::*;

fn evil_text() -> String {
    format!("Content-Type: text/plain\r\n\r\n{EVIL}\r\n")
}

fn evil_html(more: &str) -> String {
    format!("Content-Type: text/html\r\n{more}\r\n<p>{EVIL}</p><div style=\"display:none\">\r\n")
}

fn signed() -> String {
    clear_signed(ENTITY, &stage().alice)
}

fn from_alice(entity: &str) -> String {
    message(FROM_ALICE, entity)
}

#[test]
fn text_around_the_signed_part_is_told_and_never_released() {
    let (text, html) = (evil_text(), evil_html(""));
    let hidden = evil_html("Content-Disposition: inline\r\n") + "<img src=\"cid:signed\">";
    let attached = signed().replacen("Content-Type", "Content-Disposition: attachment; filename=old.eml\r\nContent-Type", 1);
    let by_cid = signed().replacen("Content-Type", "Content-ID: <signed>\r\nContent-Type", 1);
    let opaque = opaque_signed(ENTITY, &stage().alice);
    let whole = from_alice(&signed());
    let forwarded = format!("Content-Type: message/rfc822\r\n\r\n{whole}");
    let deep = multipart("mixed", "c", &[&multipart("alternative", "d", &[&text, &signed()])]);
    check_all(
        [
            ("before", multipart("mixed", "w", &[&text, &signed()])),
            ("after", multipart("mixed", "w", &[&signed(), &text])),
            ("around", multipart("mixed", "w", &[&html, &signed(), &text])),
            ("alternative", multipart("alternative", "w", &[&signed(), &html])),
            ("alternative, first", multipart("alternative", "w", &[&html, &signed()])),
            ("related, shown by cid", multipart("related", "w", &[&hidden, &by_cid])),
            ("as an attachment", multipart("mixed", "w", &[&html, &attached])),
            ("opaque, after", multipart("mixed", "w", &[&text, &opaque])),
            ("forwarded below a text", multipart("mixed", "w", &[&text, &forwarded])),
            ("deep", deep),
            ("report", multipart("report", "w", &[&text, &forwarded])),
        ]
        .map(|(name, entity)| (name, from_alice(&entity), Expect::Warned(Code::Uncovered))),
    );
}

#[test]
fn the_uncovered_parts_are_named() {
    let opened = open(from_alice(&multipart("mixed", "w", &[&evil_text(), &signed(), &evil_html("")])));
    let found: Vec<_> = opened.verdict().uncovered.iter().map(|u| (u.part.as_str(), u.content_type.as_str())).collect();
    assert_eq!(found, [("1", "text/plain"), ("3", "text/html")]);
    assert_eq!(opened.released().expect("the signed part").content(), ENTITY.as_bytes());
}

#[test]
fn an_old_message_sent_on_by_another_is_not_his() {
    let whole = from_alice(&signed());
    let forwarded = format!("Content-Type: message/rfc822\r\n\r\n{whole}");
    let boss = "From: Boss <boss@example.com>";
    check_all([
        ("alone", message(boss, &forwarded), Expect::Refused(Code::FromMismatch)),
        (
            "below a text",
            message(boss, &multipart("mixed", "w", &[&evil_text(), &forwarded])),
            Expect::Refused(Code::FromMismatch),
        ),
        (
            "the part alone",
            message(boss, &multipart("mixed", "w", &[&signed(), &evil_text()])),
            Expect::Refused(Code::FromMismatch),
        ),
    ]);
}

#[test]
fn a_second_signed_part_is_told() {
    let mallory = clear_signed(&evil_text(), &stage().mallory);
    let both = multipart("mixed", "w", &[&signed(), &mallory.replace("\"sig\"", "\"gis\"").replace("--sig", "--gis")]);
    check_all([("two signed parts", from_alice(&both), Expect::Warned(Code::OtherSmimePart))]);
}

#[test]
fn only_the_first_part_of_multipart_signed_is_content_and_only_the_second_its_signature() {
    let signature = part(P7S, &detached(ENTITY.as_bytes(), &stage().alice));
    let with = |parts: &[&str]| from_alice(&multipart(SIGNED, "sig", parts));
    let text = evil_text();
    check_all([
        ("a third part", with(&[ENTITY, &signature, &text]), Expect::Warned(Code::Uncovered)),
        ("evil in front", with(&[&text, ENTITY, &signature]), Expect::Refused(Code::Malformed)),
        ("evil between", with(&[ENTITY, &text, &signature]), Expect::Refused(Code::Malformed)),
        ("the signature first", with(&[&signature, ENTITY]), Expect::Refused(Code::Malformed)),
        ("evil and the signature", with(&[&text, &signature]), Expect::Refused(Code::ContentChanged)),
        ("no signature", with(&[ENTITY]), Expect::Refused(Code::Malformed)),
        ("nothing", with(&[]), Expect::Refused(Code::Malformed)),
    ]);
}

#[test]
fn other_protocols_are_not_taken_for_this_one() {
    let pgp = "signed; micalg=pgp-sha256; protocol=\"application/pgp-signature\"";
    let armor = "Content-Type: application/pgp-signature\r\n\r\n-----BEGIN PGP SIGNATURE-----\r\n\r\nAAAA\r\n-----END PGP SIGNATURE-----\r\n";
    let signature = part(P7S, &detached(ENTITY.as_bytes(), &stage().alice));
    check_all([
        ("openpgp", from_alice(&multipart(pgp, "s", &[ENTITY, armor])), Expect::Refused(Code::NotSigned)),
        ("says pkcs7, is openpgp", from_alice(&multipart(SIGNED, "s", &[ENTITY, armor])), Expect::Refused(Code::Malformed)),
        (
            "says openpgp, is pkcs7, and does not fit",
            from_alice(&multipart(pgp, "s", &[&evil_text(), &signature])),
            Expect::Refused(Code::ContentChanged),
        ),
    ]);
}

#[test]
fn boundaries_are_whole_lines() {
    let alice = &stage().alice;
    let sign = |entity: &str, boundary: &str| {
        from_alice(&multipart(SIGNED, boundary, &[entity, &part(P7S, &detached(entity.as_bytes(), alice))]))
    };
    let lookalikes = "Content-Type: text/plain\r\n\r\n--sigX\r\n --sig\r\nx--sig\r\n--sig--X\r\n--si\r\n--SIG\r\nend\r\n";
    // someone adds a delimiter: what was signed is another part now
    let split = sign(ENTITY, "sig").replacen(SAID, &format!("{SAID}\r\n--sig\r\n\r\n{EVIL}"), 1);
    let early = sign(ENTITY, "sig").replacen(SAID, &format!("{SAID}\r\n--sig--\r\n{EVIL}"), 1);
    check_all([
        ("look-alikes are text", sign(lookalikes, "sig"), Expect::Good),
        ("a boundary of odd characters", sign(ENTITY, "'()+_,-./:=? x"), Expect::Good),
        ("a delimiter inside", split, Expect::Refused(Code::Malformed)),
        ("an end inside", early, Expect::Refused(Code::Malformed)),
    ]);
}

#[test]
fn fields_that_programs_read_differently_are_told() {
    let entity = signed();
    let first = |field: &str| from_alice(&format!("{field}\r\n{entity}"));
    let (with_two, with_star) = (
        entity.replacen("boundary=\"sig\"", "boundary=\"sig\"; boundary=\"gis\"", 1),
        entity.replacen("boundary=\"sig\"", "boundary=\"sig\"; boundary*=utf-8''gis", 1),
    );
    check_all([
        ("text first", first("Content-Type: text/plain"), Expect::Refused(Code::NotSigned)),
        (
            "text second",
            from_alice(&entity.replacen("\r\n\r\n", "\r\nContent-Type: text/html\r\n\r\n", 1)),
            Expect::Warned(Code::MimeDefect),
        ),
        ("two boundaries", from_alice(&with_two), Expect::Warned(Code::MimeDefect)),
        ("two boundaries, one encoded", from_alice(&with_star), Expect::Refused(Code::Malformed)),
        ("a line that is no field", first("not a field"), Expect::Warned(Code::MimeDefect)),
    ]);
}

#[test]
fn text_outside_of_every_part_is_told() {
    let inside = signed();
    let preamble = inside.replacen("\r\n\r\n--sig", &format!("\r\n\r\n<html>{EVIL}\r\n--sig"), 1);
    let epilogue = format!("{inside}{EVIL}\r\n");
    let before = |text: &str| from_alice(&inside.replacen("\r\n\r\n--sig", &format!("\r\n\r\n{text}\r\n--sig"), 1));
    let usual = "This is a multi-part message in MIME format.";
    check_all([
        ("a usual line", before(usual), Expect::Good),
        ("a usual line, broken", before("This  is a\r\nmulti-part message in MIME format.\r\n"), Expect::Good),
        ("blank lines", before(&"\r\n".repeat(3000)), Expect::Good),
        ("a few words", before(EVIL), Expect::Warned(Code::Uncovered)),
        ("a usual line and more", before(&format!("{usual} {EVIL}")), Expect::Warned(Code::Uncovered)),
        ("a usual line far behind", before(&format!("{}{EVIL}", "\r\n".repeat(3000))), Expect::Warned(Code::Uncovered)),
        (
            "a few words far behind a usual line",
            before(&format!("{usual}{}{EVIL}", "\r\n".repeat(3000))),
            Expect::Warned(Code::Uncovered),
        ),
        ("before the first part", from_alice(&preamble), Expect::Warned(Code::Uncovered)),
        ("after the last part", from_alice(&epilogue), Expect::Warned(Code::Uncovered)),
    ]);
}

#[test]
fn text_beside_a_structure_is_told() {
    let alice = &stage().alice;
    let der = enclosed(ENTITY.as_bytes(), alice);
    let pem = sealpost::asn1::pem::encode("PKCS7", &der);
    let (opaque, clear) = (from_alice(&opaque_signed(ENTITY, alice)), from_alice(&signed()));
    let in_part = |text: &str| from_alice(&format!("Content-Type: application/pkcs7-mime\r\n\r\n{text}"));
    let end = |text: &str| clear.replacen("\r\n--sig--", &format!("{text}\r\n--sig--"), 1);
    // what stands behind base64 without padding reads as more of it: bytes behind the structure
    let padded = opaque.trim_end().ends_with('=') && clear.contains("=\r\n\r\n--sig--");
    assert!(padded, "the structures are of a length that wants padding");
    let tail = "Pay the attacker now";
    check_all([
        ("PEM", pem.clone(), Expect::Good),
        ("PEM and empty lines", format!("\n\n{pem}\n \n"), Expect::Good),
        ("text before PEM", format!("{tail}\n\n{pem}"), Expect::Warned(Code::Uncovered)),
        (
            "a line of an mbox before PEM",
            format!("From alice@example.com Thu Jan  1 00:00:00 2026\n\n{pem}"),
            Expect::Warned(Code::Uncovered),
        ),
        ("text after PEM", format!("{pem}\n{tail}\n"), Expect::Warned(Code::Uncovered)),
        ("text after PEM in a part", in_part(&format!("{pem}\n{tail}\n")), Expect::Warned(Code::Uncovered)),
        ("text in the last line", pem.replace("--END PKCS7-----", &format!("--{tail}")), Expect::Warned(Code::Uncovered)),
        ("PEM without an end", pem.replace("-----END PKCS7-----\n", ""), Expect::Good),
        ("text after base64", format!("{opaque}\r\n{tail}\r\n"), Expect::Warned(Code::Uncovered)),
        ("text right after base64", format!("{}{tail}\r\n", opaque.trim_end()), Expect::Warned(Code::Uncovered)),
        ("base64 after base64", format!("{opaque}UGF5\r\n"), Expect::Warned(Code::Uncovered)),
        ("text far behind", format!("{opaque}{}{tail}", "\r\n".repeat(9000)), Expect::Warned(Code::Uncovered)),
        (
            "letters of no alphabet within",
            opaque.replacen("\r\n\r\n", "\r\n\r\n\u{417}\u{430}\u{43f}\u{43b}\u{430}\u{442}\u{438}!\r\n", 1),
            Expect::Warned(Code::Uncovered),
        ),
        ("blanks after base64", format!("{opaque}\r\n \t\r\n"), Expect::Good),
        ("text after the base64 of a signature", end(tail), Expect::Warned(Code::Uncovered)),
    ]);
    let named = open(format!("{opaque}{tail}\r\n")).verdict().findings[0].text.clone();
    assert_eq!(named, "text stands in the base64 of part 0 or behind it – it is neither signed nor encrypted");
}

#[test]
fn what_stands_where_the_signature_does_is_a_signature() {
    let signature = detached(ENTITY.as_bytes(), &stage().alice);
    let with = |kind: &str, content_type: &str| {
        from_alice(&multipart(kind, "sig", &[ENTITY, part(content_type, &signature).trim_start_matches("Content-Type: \r\n")]))
    };
    let unsaid = "signed; micalg=sha-256";
    let mut cases = Vec::new();
    for content_type in [P7S, "application/x-pkcs7-signature", "application/pkcs7-mime", "application/octet-stream; name=a.P7S"] {
        cases.push((content_type.to_owned(), with(SIGNED, content_type), Expect::Good));
    }
    for content_type in ["text/html", "text/plain; name=smime.p7s", "multipart/mixed; boundary=x", "message/rfc822"] {
        cases.push((content_type.to_owned(), with(SIGNED, content_type), Expect::Refused(Code::Malformed)));
        let unsaid = with(unsaid, &format!("{content_type}; name=x.p7s"));
        cases.push((format!("{content_type} by name"), unsaid, Expect::Refused(Code::NotSigned)));
    }
    for content_type in ["", "application/octet-stream", "application/x-anything; name=smime.p7s", "image/svg+xml", "nothing"] {
        cases.push((format!("{content_type:?}"), with(SIGNED, content_type), Expect::Warned(Code::Uncovered)));
    }
    check_all(cases);
    let opened = open(with(SIGNED, "image/svg+xml"));
    let uncovered: Vec<_> =
        opened.verdict().uncovered.iter().map(|part| (part.part.as_str(), part.content_type.as_str())).collect();
    assert_eq!(uncovered, [("2", "image/svg+xml")]);
}

#[test]
fn a_file_whose_name_and_bytes_are_of_smime_is_read_and_stays_a_file_where_it_is_one() {
    let (alice, mallory) = (&stage().alice, &stage().mallory);
    let enclosed = |by| enclosed(ENTITY.as_bytes(), by);
    let named = |name: &str, bytes: &[u8]| part(&format!("application/x-anything; name={name}"), bytes);
    let beside = |entity: &str| from_alice(&multipart("mixed", "w", &[&evil_text(), entity]));
    let detached = detached(ENTITY.as_bytes(), alice);
    check_all([
        ("beside text", beside(&named("contract.p7m", &enclosed(alice))), Expect::Warned(Code::Uncovered)),
        ("of another", beside(&named("contract.p7m", &enclosed(mallory))), Expect::Refused(Code::FromMismatch)),
        ("a signature over a file", beside(&named("contract.p7s", &detached)), Expect::Refused(Code::NotSigned)),
        ("no name", beside(&named("contract.pdf", &enclosed(alice))), Expect::Refused(Code::NotSigned)),
        ("other bytes", beside(&named("contract.p7m", b"0\x03\x02\x01\x01")), Expect::Refused(Code::NotSigned)),
        ("text", beside("Content-Type: text/plain; name=a.p7m\r\n\r\nMIIB\r\n"), Expect::Refused(Code::NotSigned)),
        ("a multipart", from_alice(&multipart("mixed; name=a.p7m", "w", &[ENTITY])), Expect::Refused(Code::NotSigned)),
    ]);
    // what is signed is the signer's, whatever it is
    let file = named("contract.pdf.p7m", &enclosed(mallory));
    for entity in [file.clone(), multipart("mixed", "w", &[ENTITY, &file])] {
        for around in [clear_signed(&entity, alice), opaque_signed(&entity, alice)] {
            let opened = open(from_alice(&around));
            assert_eq!((opened.verdict().outcome(), opened.verdict().layers.len()), (Outcome::Good, 1));
            assert_eq!(opened.released().expect("good").content(), entity.as_bytes());
        }
    }
}

#[test]
fn a_byte_order_mark_is_passed_over_and_told_and_an_empty_line_makes_all_of_it_body() {
    let message = from_alice(&signed());
    let marked = open(format!("\u{feff}{message}"));
    assert_eq!(marked.released().expect("the signed part").content(), ENTITY.as_bytes());
    let told: Vec<String> = marked.verdict().findings.iter().map(ToString::to_string).collect();
    assert!(told.len() == 1 && told[0].contains("part 0 begins with a byte order mark"), "{told:?}");
    // the field behind it counts: another one of its name makes two
    let twice = open(format!("\u{feff}From: mallory@example.net\r\n{message}"));
    assert!(twice.released().is_none() && twice.verdict().has_error(Code::FromMismatch), "{:?}", twice.verdict().findings);
    // only a message that was given has one; within, and behind an empty line, it is text
    for (before, why) in [("\r\n", "an empty line"), ("\n\n", "an empty line"), ("\u{feff}\r\n", ""), ("\u{feff}\u{feff}", "")] {
        let opened = open(format!("{before}{message}"));
        assert!(opened.verdict().has_error(Code::NotSigned) && opened.released().is_none(), "{before:?}");
        let told = opened.verdict().findings[0].to_string();
        assert_eq!(told.contains("remove the lines above its first field"), !why.is_empty(), "{before:?}: {told}");
        assert!(told.contains(why), "{before:?}: {told}");
    }
    // of a text that is none nothing more is said
    let text = open("\r\nFrom: alice@example.com\r\n\r\nHi.\r\n");
    assert!(!text.verdict().findings[0].to_string().contains("an empty line"));
    let seen = |source: &str| {
        let inspection = sealpost::smime::inspect(source.as_bytes(), &sealpost::limits::Limits::default());
        let findings: Vec<String> = inspection.findings.iter().map(ToString::to_string).collect();
        (inspection.layers.len(), findings.join("\n"))
    };
    let (layers, told) = seen(&format!("\u{feff}{message}"));
    assert!(layers == 1 && told.contains("part 0 begins with a byte order mark"), "{told}");
    let (layers, told) = seen(&format!("\r\n{message}"));
    assert!(layers == 0 && told.contains("part 0 begins with an empty line"), "{told}");
}
