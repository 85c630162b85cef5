//! Header protection (RFC 9788): the RFC's own messages, what we write, and what a reader sees of what others wrote.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use sealpost::cms::{EnvelopedBuilder, Padding, SignedBuilder, SignerOptions, To};
use sealpost::crypto::algorithm::{ContentCipher, DigestAlgorithm};
use sealpost::crypto::random::Seeded;
use sealpost::keys::{self, Identity};
use sealpost::limits::Limits;
use sealpost::mime::{self, transfer};
use sealpost::pki::{self, Revocation, TrustAnchors};
use sealpost::smime::{self, Accept, Encrypt, FieldProtection, HeaderProtection, Open, Opened, Seal, Severity, Sign, Trust};
use sealpost::time::Timestamp;

use crate::support;

const NOW: i64 = 1_780_000_000;

fn read(path: impl AsRef<Path>) -> Vec<u8> {
    fs::read(path.as_ref()).unwrap_or_else(|error| panic!("{}: {error}", path.as_ref().display()))
}

fn certs(name: &str) -> Vec<u8> {
    read(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("certs").join(name))
}

fn person(name: &str) -> Identity {
    let issuing = if name == "stranger" { "stranger-issuing.pem" } else { "issuing.pem" };
    let all = [certs(&format!("{name}.pem")), certs(&format!("{name}.key")), certs(issuing)].concat();
    keys::load::identity(&all, None, &Limits::default()).expect("one of the cast")
}

fn trust() -> Trust {
    let anchors: TrustAnchors = pki::load::certificates(&certs("root.pem")).expect("a root").into_iter().collect();
    Trust { revocation: Revocation::Off, ..Trust::new(anchors, Timestamp::from_unix(NOW)) }
}

fn open(message: &[u8], accept: &[&str]) -> Opened {
    let (trust, bob) = (trust(), person("bob"));
    let accept = Accept::from_codes(accept.iter().copied()).expect("known codes");
    Open::new(&trust).accept(accept).identity(&bob).run(message, &mut Seeded::new(b"open"))
}

fn released(opened: &Opened) -> String {
    let findings: Vec<String> = opened.verdict().findings.iter().map(ToString::to_string).collect();
    let released = opened.released().unwrap_or_else(|| panic!("nothing released: {findings:?}"));
    String::from_utf8(released.message()).expect("UTF-8")
}

fn states(opened: &Opened) -> Vec<(&str, &'static str)> {
    opened.verdict().headers.fields.iter().map(|field| (field.name.as_str(), field.state.name())).collect()
}

/// An opaque signature of alice over an entity, as a MIME entity.
fn signed(entity: &str) -> String {
    let alice = person("alice");
    let options = SignerOptions::for_key(alice.private_key(), DigestAlgorithm::Sha256, Padding::Pkcs1).expect("a key that signs");
    let mut builder = SignedBuilder::new(alice.certificate(), alice.private_key(), options);
    for certificate in alice.chain() {
        builder = builder.certificate(certificate);
    }
    let mut out = Vec::new();
    builder.opaque(&mut entity.as_bytes(), &mut out, &mut Seeded::new(b"sign")).expect("signed");
    part("signed-data", &out)
}

/// An entity encrypted to bob, as a MIME entity.
fn encrypted(entity: &str) -> String {
    let bob = person("bob");
    let to = To::new(bob.certificate());
    let mut out = Vec::new();
    let builder = EnvelopedBuilder::new(ContentCipher::Aes256Cbc).recipient(to);
    builder.encrypt(&mut entity.as_bytes(), &mut out, &mut Seeded::new(b"encrypt")).expect("encrypted");
    part("enveloped-data", &out)
}

fn part(smime_type: &str, der: &[u8]) -> String {
    let body = String::from_utf8(transfer::encode_base64(der)).expect("ASCII");
    format!(
        "Content-Type: application/pkcs7-mime; smime-type={smime_type}; name=smime.p7m\r\nContent-Transfer-Encoding: base64\r\n\r\n{body}"
    )
}

const OUTER: &str = "From: Alice <alice@example.com>\r\nTo: bob@example.org\r\nSubject: [...]\r\nMIME-Version: 1.0\r\n";
const INNER: &str = "From: Alice <alice@example.com>\r\nTo: bob@example.org\r\nSubject: The contract\r\n";

#[test]
fn the_messages_of_the_rfc_are_shown_as_it_says() {
    let Some(folder) = support::vectors("rfc9788-header-protection") else { return };
    let index: Value = serde_json::from_slice(&read(folder.join("index.json"))).expect("JSON");
    let keys = folder.join("..").join("rfc9216-keys");
    let pair = |cert: &str, key: &str| {
        let all = [read(keys.join(format!("{cert}.crt.pem"))), read(keys.join(format!("{key}.key.pem")))].concat();
        keys::load::identity(&all, None, &Limits::default()).expect("a pair")
    };
    let bob = pair("bob-encryption-end-entity-certificate", "bob-decryption-private-key-material");
    let root = read(keys.join("rsa-certification-authority-root-certificate.crt.pem"));
    let anchors: TrustAnchors = pki::load::certificates(&root).expect("a root").into_iter().collect();
    let at = Timestamp::from_unix(index["validate_at"].as_i64().expect("a time"));
    let trust = Trust { revocation: Revocation::Off, ..Trust::new(anchors, at) };
    let mut seen = 0;
    for entry in index["entries"].as_array().expect("entries").iter().filter(|entry| entry["expected"].is_object()) {
        let (file, expected) = (entry["file"].as_str().expect("a file"), &entry["expected"]);
        let source = read(folder.join(file));
        let opened = Open::new(&trust).identity(&bob).run(&source, &mut Seeded::new(b"open"));
        let message = released(&opened);
        let subject = expected["protected_subject"].as_str().expect("a subject");
        let headers = &opened.verdict().headers;
        assert_eq!(headers.protected, ["Subject", "Message-ID", "From", "To", "Date", "User-Agent"], "{file}");
        let hidden: Vec<&str> =
            expected["headers_confidential"].as_array().expect("a list").iter().filter_map(Value::as_str).collect();
        assert_eq!(headers.hidden, hidden, "{file}");
        for field in &headers.fields {
            let is_hidden = hidden.contains(&field.name.as_str());
            let state = if is_hidden { FieldProtection::SignedAndEncrypted } else { FieldProtection::SignedOnly };
            assert_eq!(field.state, state, "{file}: {}", field.name);
        }
        let root = mime::parse(message.as_bytes(), &Limits::default()).expect("a message");
        let value = |name: &str| root.field(name).map(|field| field.unfolded(message.as_bytes())).unwrap_or_default();
        assert_eq!((value("subject").as_str(), value("from").as_str()), (subject, "Alice <alice@smime.example>"), "{file}");
        assert!(!message.contains("HP-Outer") && !message.contains("hp=") && !message.contains("[...]"), "{file}: {message}");
        assert!(!message.contains("hp-legacy-display"), "{file}: {message}");
        // the text begins with what the composer wrote, and not with the copy of the subject
        assert!(message.contains(&format!("\r\n\r\nThis is the\r\n{subject}\r\nmessage.")), "{file}: {message}");
        let raw = String::from_utf8_lossy(opened.released().expect("released").content()).into_owned();
        let is_legacy = expected["legacy_display"] == true;
        assert_eq!(raw.contains(&format!("\r\n\r\nSubject: {subject}\r\n\r\nThis is the")), is_legacy, "{file}");
        seen += 1;
    }
    assert_eq!(seen, 5);
}

#[test]
fn sealed_mail_carries_a_record_of_what_stands_outside() {
    let letter = "Received: by a.example; Thu, 1 Jan 2026 00:00:00 +0000\nReturn-Path: <x@a.example>\nFrom: Alice <alice@example.com>\n\
        To: bob@example.org,\n carol@example.org\nBcc: secret@example.org\nResent-Bcc: secret@example.org\nSubject:The contract\nKeywords: urgent\n\
        Comments: none\nHP-Outer: Subject: forged\nDate: Thu, 1 Jan 2026 00:00:00 +0000\nMessage-ID: <1@example.com>\n\
        Content-Type: multipart/mixed; boundary=x; hp=\"clear\"; hp-legacy-display=\"1\"\n\n--x\nContent-Type: text/plain\n\nHi.\n--x--\n";
    let (alice, bob) = (person("alice"), person("bob"));
    let recipients = [bob.certificate().clone(), alice.certificate().clone()];
    let seal = Seal::new(Sign::new(&alice), Encrypt::new(&recipients));
    let sealed = seal.run(letter.as_bytes(), Timestamp::from_unix(NOW), &mut Seeded::new(b"seal")).expect("sealed");
    let outside = String::from_utf8(sealed.clone()).expect("ASCII");
    let shown = "From: Alice <alice@example.com>\r\nTo: bob@example.org,\r\n carol@example.org\r\nSubject: [...]\r\n\
        Date: Thu, 1 Jan 2026 00:00:00 +0000\r\nMessage-ID: <1@example.com>\r\nMIME-Version: 1.0\r\n";
    assert!(outside.starts_with(shown), "{outside}");
    let opened = open(&sealed, &[]);
    let payload = String::from_utf8_lossy(opened.released().expect("released").content()).into_owned();
    let expected = "From: Alice <alice@example.com>\r\nTo: bob@example.org,\r\n carol@example.org\r\nSubject:The contract\r\nKeywords: urgent\r\n\
        Comments: none\r\nDate: Thu, 1 Jan 2026 00:00:00 +0000\r\nMessage-ID: <1@example.com>\r\n\
        HP-Outer: From: Alice <alice@example.com>\r\nHP-Outer: To: bob@example.org, carol@example.org\r\nHP-Outer: Subject: [...]\r\n\
        HP-Outer: Date: Thu, 1 Jan 2026 00:00:00 +0000\r\nHP-Outer: Message-ID: <1@example.com>\r\nMIME-Version: 1.0\r\n\
        Content-Type: multipart/mixed; boundary=x; hp-legacy-display=\"1\";\r\n hp=\"cipher\"\r\n\r\n--x\r\n";
    assert!(payload.starts_with(expected), "{payload}");
    assert_eq!(opened.verdict().headers.hidden, ["Subject", "Keywords", "Comments"]);
    let message = released(&opened);
    assert!(message.contains("Subject:The contract\r\nKeywords: urgent\r\n") && !message.contains("secret@"), "{message}");
}

#[test]
fn a_byte_order_mark_before_the_header_is_left_out_of_what_is_written_and_hides_no_field() {
    let letter = "From: alice@example.com\r\nTo: bob@example.org\r\nBcc: secret@example.org\r\nSubject: The contract\r\n\
        Date: Thu, 1 Jan 2026 00:00:00 +0000\r\nMessage-ID: <1@example.com>\r\n\r\nHi.\r\n";
    let marked = format!("\u{feff}{letter}");
    let (alice, bob) = (person("alice"), person("bob"));
    let recipients = [bob.certificate().clone()];
    let written = |letter: &str| {
        let (letter, now, mut random) = (letter.as_bytes(), Timestamp::from_unix(NOW), Seeded::new(b"mark"));
        let submission = mime::submission::Submission::of(letter, now, |_| String::new(), &Limits::default()).expect("read");
        [
            Sign::new(&alice).run(letter, now, &mut random).expect("signed"),
            Encrypt::new(&recipients).run(letter, &mut random).expect("encrypted"),
            Seal::new(Sign::new(&alice), Encrypt::new(&recipients)).run(letter, now, &mut random).expect("sealed"),
            submission.message,
            smime::read_header(&mut std::io::Cursor::new(letter), &Limits::default()).expect("read"),
            format!("{:?} {:?}", submission.sender, submission.audience).into_bytes(),
        ]
    };
    assert_eq!(written(&marked), written(letter));
    let limits = Limits::default();
    assert_eq!(smime::sender_address(marked.as_bytes(), &limits).as_deref(), Some("alice@example.com"));
    assert_eq!(smime::bcc_addresses(marked.as_bytes(), &limits), ["secret@example.org"]);
    let root = mime::parse(marked.as_bytes(), &limits).expect("small");
    assert_eq!((root.body(marked.as_bytes()), root.defects()), (&b"Hi.\r\n"[..], &[mime::Defect::ByteOrderMark][..]));
}

#[test]
fn encrypted_mail_is_protected_too_and_nobody_vouches_for_its_fields() {
    let bob = [person("bob").certificate().clone()];
    let letter = b"From: alice@example.com\r\nTo: bob@example.org\r\nSubject: The contract\r\n\r\nHi.\r\n";
    let sealed = Encrypt::new(&bob).run(letter, &mut Seeded::new(b"encrypt")).expect("encrypted");
    let opened = open(&sealed, &[]);
    assert_eq!(states(&opened), [("From", "unprotected"), ("To", "unprotected"), ("Subject", "encrypted-only")]);
    // the one From is replaced on the way: it is the one that servers saw, and it is shown, with a warning
    let moved = String::from_utf8(sealed).expect("ASCII").replacen("From: alice@", "From: mallory@", 1);
    let opened = open(moved.as_bytes(), &[]);
    assert!(released(&opened).contains("From: mallory@example.com\r\n"));
    let finding = opened.verdict().findings.iter().find(|finding| finding.code.code() == "from-mismatch").expect("said");
    assert_eq!(finding.severity, Severity::Warning);
    assert!(finding.text.contains("mallory@example.com") && finding.text.contains("alice@example.com"), "{}", finding.text);
}

#[test]
fn signed_mail_says_clear_and_what_was_added_on_the_way_stays_outside() {
    let alice = person("alice");
    let letter = b"From: alice@example.com\r\nTo: bob@example.org\r\nSubject: The contract\r\n\r\nHi.\r\n";
    let signed = Sign::new(&alice).run(letter, Timestamp::from_unix(NOW), &mut Seeded::new(b"sign")).expect("signed");
    let signed = String::from_utf8(signed).expect("ASCII");
    assert!(signed.contains("hp=\"clear\"") && !signed.contains("HP-Outer"), "{signed}");
    let moved = format!(
        "Received: from a.example\r\nList-Id: <list.example>\r\nX-Spam: no\r\nKeywords: not signed\r\n{}",
        signed.replacen("Subject: The contract", "Subject: [list] The contract", 1)
    );
    let opened = open(moved.as_bytes(), &[]);
    let message = released(&opened);
    assert!(
        message.starts_with("Received: from a.example\r\nList-Id: <list.example>\r\nFrom: alice@example.com\r\n"),
        "{message}"
    );
    assert!(
        message.contains("Subject: The contract\r\n") && !message.contains("X-Spam") && !message.contains("Keywords"),
        "{message}"
    );
    assert_eq!(opened.verdict().headers.hidden, Vec::<String>::new());
    let plain = Sign::new(&alice).header_protection(HeaderProtection::Off);
    let plain = plain.run(letter, Timestamp::from_unix(NOW), &mut Seeded::new(b"sign")).expect("signed");
    assert!(!String::from_utf8_lossy(&plain).contains("hp="));
    assert!(states(&open(&plain, &[])).is_empty());
}

#[test]
fn the_word_cipher_hides_nothing_where_nothing_is_encrypted() {
    let payload = format!("{INNER}HP-Outer: Subject: [...]\r\nContent-Type: text/plain; hp=\"cipher\"\r\n\r\nHi.\r\n");
    let opened = open(format!("{OUTER}{}", signed(&payload)).as_bytes(), &[]);
    assert_eq!(states(&opened), [("From", "signed-only"), ("To", "signed-only"), ("Subject", "signed-only")]);
    // encryption that somebody put around a message that was only signed hides nothing either
    let clear = payload.replace("cipher", "clear");
    let opened = open(format!("{OUTER}{}", encrypted(&signed(&clear))).as_bytes(), &[]);
    assert_eq!(opened.verdict().headers.hidden, Vec::<String>::new());
}

#[test]
fn hidden_is_what_the_composer_hid_whatever_stands_outside_now() {
    let record =
        "HP-Outer: From:\r\n  Alice  <alice@example.com>\r\nHP-Outer: Subject: [...]\r\nHP-Outer:\r\n To: bob@example.org\r\n";
    let payload = format!("{INNER}{record}Content-Type: text/plain; hp=\"cipher\"\r\n\r\nHi.\r\n");
    // To was taken away on the way, and Subject was put back
    let outer = OUTER.replace("To: bob@example.org\r\n", "").replace("[...]", "The contract");
    let opened = open(format!("{outer}{}", encrypted(&signed(&payload))).as_bytes(), &[]);
    assert_eq!(states(&opened), [("From", "signed-only"), ("To", "signed-only"), ("Subject", "signed-and-encrypted")]);
    assert!(released(&opened).contains("To: bob@example.org\r\nSubject: The contract\r\n"));
}

#[test]
fn the_parameter_counts_at_the_root_of_the_payload_only() {
    let payload = "Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nSubject: inside\r\nContent-Type: text/plain; hp=\"clear\"\r\n\r\nHi.\r\n--x--\r\n";
    let opened = open(format!("{OUTER}{}", signed(payload)).as_bytes(), &[]);
    assert!(states(&opened).is_empty());
    assert!(released(&opened).contains("Subject: [...]\r\n"));
    // on a layer it says nothing
    let layer = format!("{INNER}{}", signed("\r\nHi.\r\n").replacen("smime-type", "hp=\"clear\"; smime-type", 1));
    let opened = open(format!("{OUTER}{}", encrypted(&layer)).as_bytes(), &[]);
    assert!(states(&opened).is_empty());
}

#[test]
fn copies_of_hidden_fields_are_not_shown_and_attached_ones_stay() {
    let html = "<html><body>\r\n<div class=\"header-protection-legacy-display\"><pre>Subject: The contract</pre></div>\r\n<p>Hi.</p></body></html>\r\n";
    let quoted = "Subject: The =\r\ncontract\r\n\r\nGr=C3=BC=C3=9Fe\r\n";
    let base64 = String::from_utf8(transfer::encode_base64(b"Subject: The contract\r\n\r\nHi.\r\n")).expect("ASCII");
    let marked = "hp-legacy-display=\"1\"";
    let payload = format!(
        "{INNER}Content-Type: multipart/mixed; boundary=x; hp=\"cipher\"\r\n\r\n--x\r\nContent-Type: text/plain; {marked}\r\n\r\nSubject: The contract\r\n\r\nplain\r\n\
         --x\r\nContent-Type: text/html; charset=utf-8; {marked}\r\n\r\n{html}--x\r\nContent-Type: text/plain; charset=utf-8; {marked}\r\n\
         Content-Transfer-Encoding: quoted-printable\r\n\r\n{quoted}--x\r\nContent-Type: text/plain; {marked}\r\nContent-Transfer-Encoding: base64\r\n\r\n{base64}\r\n\
         --x\r\nContent-Type: message/rfc822\r\n\r\nContent-Type: text/plain; {marked}\r\n\r\nSubject: attached\r\n\r\nits text\r\n\
         --x\r\nContent-Type: text/plain\r\n\r\nSubject: no mark\r\n\r\nits text\r\n--x--\r\n"
    );
    let opened = open(format!("{OUTER}{}", encrypted(&signed(&payload))).as_bytes(), &[]);
    let message = released(&opened);
    let root = mime::parse(message.as_bytes(), &Limits::default()).expect("a message");
    let bodies: Vec<String> =
        root.children().iter().map(|part| String::from_utf8(part.decoded_body(message.as_bytes())).expect("UTF-8")).collect();
    assert_eq!(bodies[0], "plain");
    assert_eq!(bodies[1], "<html><body>\r\n\r\n<p>Hi.</p></body></html>");
    assert_eq!(bodies[2].trim_end(), "Gr\u{fc}\u{df}e");
    assert_eq!(bodies[3].trim_end(), "Hi.");
    assert!(bodies[4].contains("Subject: attached\r\n\r\nits text"));
    assert!(bodies[5].starts_with("Subject: no mark"));
    // only encryption hides fields: in what is only signed nothing is a copy
    let opened = open(format!("{OUTER}{}", signed(&payload.replace("cipher", "clear"))).as_bytes(), &[]);
    assert!(released(&opened).contains("\r\n\r\nSubject: The contract\r\n\r\nplain\r\n"));
}

#[test]
fn the_forms_before_the_rfc_are_read() {
    let text = "Content-Type: text/plain\r\n\r\nHi.\r\n";
    let wrapped = format!("Content-Type: message/rfc822\r\n\r\n{INNER}{text}");
    let older = format!(
        "{INNER}Content-Type: multipart/mixed; boundary=x; protected-headers=\"v1\"\r\n\r\n--x\r\n\
         Content-Type: text/plain; protected-headers=\"v1\"\r\n\r\nSubject: The contract\r\n--x\r\n{text}--x--\r\n"
    );
    for payload in [&wrapped, &older] {
        let opened = open(format!("{OUTER}{}", encrypted(&signed(payload))).as_bytes(), &[]);
        assert_eq!(
            states(&opened),
            [("From", "signed-only"), ("To", "signed-only"), ("Subject", "signed-and-encrypted")],
            "{payload}"
        );
        let message = released(&opened);
        assert_eq!(message.matches("The contract").count(), 1, "{message}");
        assert!(message.contains("Subject: The contract\r\n") && message.contains("\r\n\r\nHi.\r\n"), "{message}");
        let opened = open(format!("{OUTER}{}", signed(payload)).as_bytes(), &[]);
        assert_eq!(states(&opened)[2], ("Subject", "signed-only"));
        // a From that was changed on the way is no less a lie there
        let spoofed = OUTER.replace("alice@", "mallory@");
        let opened = open(format!("{spoofed}{}", signed(payload)).as_bytes(), &[]);
        assert!(opened.released().is_none() && opened.verdict().has_error(smime::Code::FromMismatch));
    }
}

#[test]
fn a_message_that_is_forwarded_is_none_of_the_forwarder() {
    let inner = INNER.replace("alice@example.com", "boss@example.com");
    for (payload, shown) in [
        (format!("Content-Type: message/rfc822\r\n\r\n{inner}\r\nHi.\r\n"), "another author"),
        (format!("Content-Type: message/rfc822; forwarded=yes\r\n\r\n{INNER}\r\nHi.\r\n"), "said so"),
        (format!("Content-Type: message/rfc822\r\n\r\n{}\r\n", signed("\r\nHi.\r\n")), "a layer inside"),
    ] {
        let opened = open(format!("{OUTER}{}", signed(&payload)).as_bytes(), &[]);
        assert!(states(&opened).is_empty(), "{shown}");
        let message = released(&opened);
        assert!(message.contains("Subject: [...]\r\n") && message.contains("Content-Type: message/rfc822"), "{shown}: {message}");
    }
}

#[test]
fn a_protected_from_that_no_signer_speaks_for_is_not_shown() {
    let payload = format!(
        "{}Content-Type: text/plain; hp=\"cipher\"\r\n\r\nHi.\r\n",
        INNER.replace("alice@example.com", "boss@example.com")
    );
    let message = format!("{OUTER}{}", encrypted(&signed(&payload)));
    assert!(open(message.as_bytes(), &[]).released().is_none());
    let opened = open(message.as_bytes(), &["from-mismatch"]);
    let shown = released(&opened);
    assert!(shown.contains("From: Alice <alice@example.com>") && !shown.contains("boss@"), "{shown}");
}

#[test]
fn odd_header_fields_are_written_so_that_they_arrive() {
    let long = "word ".repeat(300);
    let letter = format!(
        "From: \"M\u{fc}ller, Alice\" <alice@example.com>\nTo: bob@example.org\nSubject: Gr\u{fc}\u{df}e\nX-Long: {long}\nX-Blank: a \n \n b\n\
         Content-Type: text/plain; charset=\"utf-8\nContent-Type: text/html\nContent-Disposition: attachment; filename=\"\u{4f60}.txt\"\n\
         Content-Transfer-Encoding: 8bit\n\nGr\u{fc}\u{df}e\n"
    );
    let (alice, bob) = (person("alice"), [person("bob").certificate().clone()]);
    let now = Timestamp::from_unix(NOW);
    let sealed = Seal::new(Sign::new(&alice), Encrypt::new(&bob)).run(letter.as_bytes(), now, &mut Seeded::new(b"seal"));
    let signed = Sign::new(&alice).run(letter.as_bytes(), now, &mut Seeded::new(b"sign"));
    for message in [sealed.expect("sealed"), signed.expect("signed")] {
        let text = String::from_utf8(message.clone()).expect("ASCII");
        assert!(text.is_ascii() && text.lines().all(|line| line.len() <= 998), "{text}");
        let opened = open(&message, &[]);
        let shown = released(&opened);
        let root = mime::parse(shown.as_bytes(), &Limits::default()).expect("a message");
        let value = |name: &str| root.field(name).map(|field| field.text(shown.as_bytes())).unwrap_or_default();
        assert_eq!((value("subject").as_str(), value("x-long").trim()), ("Gr\u{fc}\u{df}e", long.trim()));
        assert_eq!((value("x-blank").as_str(), value("from").as_str()), ("a   b", "M\u{fc}ller, Alice <alice@example.com>"));
        assert_eq!(root.file_name(shown.as_bytes()).as_deref(), Some("\u{4f60}.txt"));
        assert!(root.content_type().is("text", "plain"));
        let body = root.decoded_body(shown.as_bytes());
        assert_eq!(String::from_utf8_lossy(&body).trim_end(), "Gr\u{fc}\u{df}e");
        assert_eq!(opened.verdict().headers.protected, ["From", "To", "Subject", "X-Long", "X-Blank"]);
    }
}

#[test]
fn where_only_the_subject_is_protected_the_other_fields_stay_as_they_are_outside() {
    let inside = "Content-Type: text/plain; protected-headers=\"v1\"\r\nSubject: The contract\r\n\r\nHi.\r\n";
    let outside = "From: Alice <alice@example.com>\r\nTo: bob@example.org\r\nSubject: [...]\r\nReply-To: alice@example.com\r\n\
        Date: Thu, 1 Jan 2026 00:00:00 +0000\r\nMessage-ID: <1@example.com>\r\nIn-Reply-To: <0@example.org>\r\nMIME-Version: 1.0\r\n";
    let opened = open(format!("{outside}{}", encrypted(inside)).as_bytes(), &[]);
    let expected = "From: Alice <alice@example.com>\r\nTo: bob@example.org\r\nReply-To: alice@example.com\r\n\
        Date: Thu, 1 Jan 2026 00:00:00 +0000\r\nMessage-ID: <1@example.com>\r\nIn-Reply-To: <0@example.org>\r\nSubject: The contract\r\n";
    assert!(released(&opened).starts_with(expected), "{}", released(&opened));
    // who protects his fields as the RFC says protects all: others are no part of the message, but for what no message is without
    let inside = inside.replace("protected-headers=\"v1\"", "hp=cipher");
    let opened = open(format!("{outside}{}", encrypted(&inside)).as_bytes(), &[]);
    let expected = "From: Alice <alice@example.com>\r\nDate: Thu, 1 Jan 2026 00:00:00 +0000\r\nMessage-ID: <1@example.com>\r\nSubject: The contract\r\n";
    assert!(released(&opened).starts_with(expected), "{}", released(&opened));
}

#[test]
fn a_text_that_was_signed_alone_is_shown_whole_whoever_encrypts_it_afterwards() {
    let lead = "Do not pay anybody.\r\nNever.\r\n\r\nThe rest.\r\n";
    for (parameter, is_shown) in [("", true), ("; hp=clear", true), ("; hp=cipher", false)] {
        let entity = format!(
            "From: alice@example.com\r\nSubject: x\r\nContent-Type: text/plain; hp-legacy-display=1{parameter}\r\n\r\n{lead}"
        );
        let message = format!("From: alice@example.com\r\nMIME-Version: 1.0\r\n{}", encrypted(&signed(&entity)));
        let shown = released(&open(message.as_bytes(), &[]));
        assert!(shown.contains("\r\n\r\nDo not pay anybody.") == is_shown && shown.contains("The rest."), "{parameter}: {shown}");
    }
}

#[test]
fn the_subject_of_what_was_signed_before_is_hidden_only_where_the_signed_part_tells_it() {
    let (alice, bob) = (person("alice"), person("bob"));
    let letter =
        "From: alice@example.com\r\nTo: bob@example.org\r\nSubject: The contract\r\nContent-Type: text/plain\r\n\r\nHi.\r\n";
    let recipients = [bob.certificate().clone()];
    for form in [smime::Form::Clear, smime::Form::Opaque] {
        for protection in [HeaderProtection::On, HeaderProtection::Off] {
            let sign = Sign::new(&alice).form(form).header_protection(protection);
            let signed = sign.run(letter.as_bytes(), Timestamp::from_unix(NOW), &mut Seeded::new(b"s")).expect("signed");
            let encrypted = Encrypt::new(&recipients).run(&signed, &mut Seeded::new(b"e")).expect("encrypted");
            let outside = String::from_utf8_lossy(&encrypted).contains("\r\nSubject: [...]\r\n");
            assert_eq!(outside, protection == HeaderProtection::On, "{form:?} {protection:?}");
            let shows = smime::shows_subject(&mut std::io::Cursor::new(&signed), &Limits::default()).expect("read");
            assert_eq!(shows, !outside, "{form:?} {protection:?}: it is told");
            let opened = open(&encrypted, &[]);
            assert!(released(&opened).contains("Subject: The contract\r\n"), "{form:?} {protection:?}: {}", released(&opened));
            assert!(opened.verdict().layers.len() == 2, "{form:?} {protection:?}");
        }
    }
}

#[test]
fn hidden_fields_are_not_put_into_a_text_whose_type_nobody_can_read() {
    let bob = [person("bob").certificate().clone()];
    let encrypt = Encrypt::new(&bob).legacy_display(true);
    for (parameters, is_told) in [("", true), ("; charset=utf-8", true), (";\"=", false)] {
        let letter =
            format!("From: alice@example.com\r\nSubject: The contract\r\nContent-Type: text/plain{parameters}\r\n\r\nHi.\r\n");
        let sealed = encrypt.run(letter.as_bytes(), &mut Seeded::new(b"told")).expect("encrypted");
        let opened = open(&sealed, &[]);
        let content = String::from_utf8_lossy(opened.released().expect("released").content()).into_owned();
        assert_eq!(content.contains("\r\n\r\nSubject: The contract\r\n\r\nHi."), is_told, "{parameters}: {content}");
        assert!(released(&opened).ends_with("\r\n\r\nHi.\r\n"), "{parameters}: {}", released(&opened));
    }
}
