//! What is signed or encrypted comes out as it went in: bytes that are not lines, encodings that are not known, charsets.

use std::fs;
use std::path::PathBuf;

use sealpost::cms::{EnvelopedBuilder, To};
use sealpost::crypto::algorithm::ContentCipher;
use sealpost::crypto::random::Seeded;
use sealpost::keys::{self, Identity};
use sealpost::limits::Limits;
use sealpost::mime;
use sealpost::pki::{self, Revocation, TrustAnchors};
use sealpost::smime::{Encrypt, Form, Open, Opened, Seal, Sign, Trust};
use sealpost::time::Timestamp;

use crate::support;

const NOW: i64 = 1_780_000_000;

fn certs(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("certs").join(name)
}

fn person(name: &str) -> Identity {
    let read = |name: &str| fs::read(certs(name)).expect("one of the cast");
    let all = [read(&format!("{name}.pem")), read(&format!("{name}.key")), read("issuing.pem")].concat();
    keys::load::identity(&all, None, &Limits::default()).expect("an identity")
}

/// What a reader gets: the content of every layer taken off.
fn content(message: &[u8]) -> Vec<u8> {
    read(|open| open.run(message, &mut Seeded::new(b"reader")))
}

/// The content of the outermost layer, which is encrypted.
fn decrypted(message: &[u8]) -> Vec<u8> {
    read(|open| open.decrypt(message, &mut Seeded::new(b"reader")))
}

fn read(run: impl Fn(&Open<'_>) -> Opened) -> Vec<u8> {
    let root = fs::read(certs("root.pem")).expect("a root");
    let anchors: TrustAnchors = pki::load::certificates(&root).expect("a root").into_iter().collect();
    let trust = Trust { revocation: Revocation::Off, ..Trust::new(anchors, Timestamp::from_unix(NOW)) };
    let bob = person("bob");
    let opened = run(&Open::new(&trust).identity(&bob));
    let findings: Vec<String> = opened.verdict().findings.iter().map(ToString::to_string).collect();
    opened.released().unwrap_or_else(|| panic!("{findings:?}")).content().to_vec()
}

/// The letter in every form that is written: signed, opaque, encrypted, sealed.
fn forms(letter: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let (alice, bob) = (person("alice"), [person("bob").certificate().clone()]);
    let (now, random) = (Timestamp::from_unix(NOW), || Seeded::new(b"content"));
    let (clear, opaque) = (Sign::new(&alice), Sign::new(&alice).form(Form::Opaque));
    let encrypt = Encrypt::new(&bob);
    vec![
        ("signed", clear.run(letter, now, &mut random()).expect("signed")),
        ("opaque", opaque.run(letter, now, &mut random()).expect("signed")),
        ("encrypted", encrypt.run(letter, &mut random()).expect("encrypted")),
        ("sealed", Seal::new(clear, encrypt).run(letter, now, &mut random()).expect("sealed")),
    ]
}

/// The decoded leaves of a message, in its order.
fn leaves(message: &[u8]) -> Vec<(mime::TransferEncoding, Vec<u8>)> {
    let root = mime::parse(message, &Limits::default()).expect("a message");
    let walk = root.walk();
    let leaves = walk.iter().filter(|entity| entity.children().is_empty());
    leaves.map(|leaf| (leaf.transfer_encoding(), leaf.decoded_body(message))).collect()
}

/// A text and an attachment that says that it is binary.
fn with_attachment(line_end: &str, kind: &str, label: &str, attached: &[u8]) -> Vec<u8> {
    let head = format!(
        "From: alice@example.com\nTo: bob@example.org\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/plain\n\n\
         Two\nlines.\n--b\nContent-Type: {kind}\nContent-Transfer-Encoding: {label}\n\n"
    );
    let end = "\n--b--\n".replace('\n', line_end);
    [head.replace('\n', line_end).as_bytes(), attached, end.as_bytes()].concat()
}

#[test]
fn bytes_that_are_no_lines_come_out_exactly() {
    let every: Vec<u8> = (0..=255_u8).chain(*b"\n\n\r\n\r\r\n--bc\n").cycle().take(200_000).collect();
    let large: Vec<u8> = b"an ASCII file\nof a size that no window holds\n".iter().copied().cycle().take(700_000).collect();
    for attached in [&b"#!/bin/sh\necho one\n"[..], b"\n", b"\r\n\n\r\n", &every, &large] {
        for line_end in ["\r\n", "\n"] {
            for label in ["binary", "BINARY", " Binary "] {
                let letter = with_attachment(line_end, "application/x-sh", label, attached);
                for (form, message) in forms(&letter) {
                    let found = leaves(&content(&message));
                    let what = format!("{} bytes, {line_end:?}, {label}, {form}", attached.len());
                    assert_eq!(found.len(), 2, "{what}");
                    assert_eq!(found[0].1, b"Two\r\nlines.", "{what}");
                    assert!(found[1].1 == attached, "{what}");
                    let is_base64 = found[1].0 == mime::TransferEncoding::Base64;
                    assert_eq!(is_base64, form != "encrypted", "{what}: relays see what is signed, and not what is encrypted");
                }
            }
        }
    }
}

#[test]
fn text_has_lines_whatever_it_says_of_itself() {
    for line_end in ["\r\n", "\n"] {
        let letter = with_attachment(line_end, "text/x-shellscript", "binary", b"#!/bin/sh\necho one\n");
        for (form, message) in forms(&letter) {
            assert_eq!(leaves(&content(&message))[1].1, b"#!/bin/sh\r\necho one\r\n", "{form}");
        }
    }
}

#[test]
fn a_message_that_is_one_binary_file_comes_out_exactly() {
    let head = "From: alice@example.com\nContent-Type: application/octet-stream\nContent-Transfer-Encoding: binary\n\n";
    for line_end in ["\r\n", "\n"] {
        let letter = [head.replace('\n', line_end).as_bytes(), b"one\ntwo\r\nthree\n"].concat();
        for (form, message) in forms(&letter) {
            assert_eq!(leaves(&content(&message))[0].1, b"one\ntwo\r\nthree\n", "{form}");
        }
    }
}

#[test]
fn a_signed_part_that_is_passed_on_encrypted_keeps_its_binary_content() {
    // what another program signed: binary content within, which is its right
    let inner = "Content-Type: multipart/signed; protocol=\"application/pkcs7-signature\"; boundary=s\r\n\r\n--s\r\n\
        Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: binary\r\n\r\none\ntwo\n\r\n--s\r\n\
        Content-Type: application/pkcs7-signature\r\n\r\nAAAA\r\n--s--\r\n";
    let letter =
        format!("From: alice@example.com\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n{inner}\r\n--b--\r\n");
    for (form, message) in forms(letter.as_bytes()) {
        // inside an encryption alone the signed part is a layer of its own
        let found = if form == "encrypted" { decrypted(&message) } else { content(&message) };
        let root = mime::parse(&found, &Limits::default()).expect("a message");
        let passed = String::from_utf8_lossy(root.children()[0].bytes(&found)).into_owned();
        // what is clear-signed has no line feeds that stand alone: verifiers take them for line ends
        assert_eq!(
            passed,
            if form == "encrypted" { inner.to_owned() } else { inner.replace("e\nt", "e\r\nt").replace("o\n\r", "o\r\n\r") },
            "{form}"
        );
    }
}

#[test]
fn openssl_decrypts_to_the_same_bytes() {
    if !support::peer("openssl") {
        return;
    }
    let letter = with_attachment("\n", "application/x-sh", "binary", b"#!/bin/sh\necho one\r\n\0\n");
    let bob = [person("bob").certificate().clone()];
    let message = Encrypt::new(&bob).run(&letter, &mut Seeded::new(b"content")).expect("encrypted");
    let key = certs("bob.key").display().to_string();
    let (code, out, talk) = support::run("openssl", &["cms", "-decrypt", "-binary", "-inkey", &key], &message);
    assert_eq!(code, 0, "{talk}");
    let ends = b"Content-Transfer-Encoding: binary\r\n\r\n#!/bin/sh\necho one\r\n\0\n\r\n--b--\r\n";
    assert!(out.ends_with(ends), "{}", String::from_utf8_lossy(&out));
}

#[test]
fn a_part_in_an_unknown_encoding_keeps_its_label_and_its_bytes() {
    // trailing blanks and eight bits: not safe, and nobody here can say what they mean
    for (label, body) in [("x-uuencode", "begin 644 a\r\n#0V%T \r\n`\r\nend \r\n"), ("x-yenc", "=ybegin\r\nFrom \u{fc}\r\n")] {
        for kind in ["application/octet-stream", "text/plain", "message/rfc822"] {
            let letter = with_attachment("\r\n", kind, label, body.as_bytes());
            let letter = String::from_utf8(letter).expect("UTF-8").replace("Two\r\n", "Tw\u{f6} \r\n");
            for (form, message) in forms(letter.as_bytes()) {
                let found = content(&message);
                let root = mime::parse(&found, &Limits::default()).expect("a message");
                let part = &root.children()[1];
                let written = String::from_utf8_lossy(part.bytes(&found)).into_owned();
                let expected = format!("Content-Type: {kind}\r\nContent-Transfer-Encoding: {label}\r\n\r\n{body}");
                assert_eq!(written, expected, "{form}");
                assert_eq!(root.children()[0].decoded_body(&found), "Tw\u{f6} \r\nlines.".as_bytes(), "{form}");
            }
        }
    }
}

#[test]
fn a_message_in_an_unknown_encoding_keeps_its_label_and_its_bytes() {
    let letter = "From: alice@example.com\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: x-yenc\r\n\r\n=y \u{fc} \r\n";
    for (form, message) in forms(letter.as_bytes()) {
        let found = String::from_utf8(content(&message)).expect("UTF-8");
        let (head, body) = found.split_once("\r\n\r\n").expect("a header section");
        assert!(head.contains("Content-Transfer-Encoding: x-yenc") && body == "=y \u{fc} \r\n", "{form}: {found}");
    }
}

#[test]
fn text_that_says_no_charset_gets_the_one_that_it_is_in() {
    let long = |text: &[u8]| [&b"x".repeat(131_070), text].concat();
    let utf8 = "gr\u{fc}\u{df}e \u{4f60}".as_bytes();
    let table: &[(&str, Vec<u8>, &str)] = &[
        ("", b"hello".to_vec(), "us-ascii"),
        ("", utf8.to_vec(), "utf-8"),
        ("", b"gr\xfc\xdfe".to_vec(), "iso-8859-1"),
        ("", "x\u{fc}".as_bytes()[..2].to_vec(), "iso-8859-1"),
        // across the window of the reader
        ("", long(utf8), "utf-8"),
        ("", long(b"\xe4\xbdx"), "iso-8859-1"),
        ("Content-Transfer-Encoding: 8bit\r\n", utf8.to_vec(), "utf-8"),
        ("Content-Transfer-Encoding: quoted-printable\r\n", b"gr=C3=BC".to_vec(), "utf-8"),
        ("Content-Transfer-Encoding: quoted-printable\r\n", b"gr=FC".to_vec(), "iso-8859-1"),
        ("Content-Transfer-Encoding: base64\r\n", b"aGVsbG8=".to_vec(), "us-ascii"),
        ("Content-Type: text/plain\r\n", utf8.to_vec(), "(none)"),
    ];
    for (fields, body, charset) in table {
        let head = format!("From: alice@example.com\r\nTo: bob@example.org\r\n{fields}\r\n");
        let letter = [head.as_bytes(), body].concat();
        for (form, message) in forms(&letter) {
            let found = content(&message);
            let root = mime::parse(&found, &Limits::default()).expect("a message");
            assert_eq!(root.content_type().parameter("charset").unwrap_or("(none)"), *charset, "{form}: {fields}");
            let expected = mime::parse(&letter, &Limits::default()).expect("a message").decoded_body(&letter);
            assert!(root.decoded_body(&found) == expected, "{form}: {fields} {charset}");
        }
    }
    // without header section, too
    let alice = person("alice");
    let signed =
        Sign::new(&alice).run(b"hello, world\r\n", Timestamp::from_unix(NOW), &mut Seeded::new(b"bare")).expect("signed");
    assert!(String::from_utf8_lossy(&content(&signed)).contains("charset=us-ascii"));
}

#[test]
fn files_are_encrypted_and_come_back_whatever_they_hold() {
    let noise: Vec<u8> = (0..5_000_u32).flat_map(|at| at.wrapping_mul(2_654_435_761).to_be_bytes()).collect();
    let named_like_a_field = [b"d8:announce35:http://a.example/4:infod6:pieces20:\x01\x02".as_slice(), &noise, b"ee"].concat();
    for file in [noise.clone(), named_like_a_field] {
        for (form, message) in forms(&file) {
            let found = content(&message);
            let root = mime::parse(&found, &Limits::default()).expect("a message");
            assert!(root.content_type().is("application", "octet-stream"), "{form}: {:?}", root.content_type());
            assert!(root.decoded_body(&found) == file, "{form}");
        }
    }
    // what others encrypted as it is, without a header section, or as a text
    let bob = person("bob");
    let every: Vec<u8> = (0..=255).collect();
    let text = "Content-Type: text/plain; charset=koi8-r\r\n\r\n".as_bytes();
    for file in [
        noise.clone(),
        [text, b"\xd0\xd2\xc9\xd7\xc5\xd4\x0b\xd0\xd2\xc9\xd7\xc5\xd4\r\n"].concat(),
        [text, &every].concat(),
        [text, &noise].concat(),
    ] {
        let mut out = Vec::new();
        let builder = EnvelopedBuilder::new(ContentCipher::Aes256Cbc).recipient(To::new(bob.certificate()));
        builder.encrypt(&mut file.as_slice(), &mut out, &mut Seeded::new(b"file")).expect("encrypted");
        assert!(decrypted(&out) == file, "{:?}", String::from_utf8_lossy(&file[..40.min(file.len())]));
    }
}
