//! What the program says: no two of its words contradict each other, and what readers will hold against a message is told to its writer.

use serde_json::Value;

use crate::support::{self, Folder};

const AT: &str = "2026-06-01T00:00:00Z";

fn certificate_of(name: &str) -> String {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("certs").join(name).display().to_string()
}

/// A folder with the keys of `certs/` and a message with these header fields.
fn folder(fields: &str) -> Folder {
    let folder = Folder::new();
    for name in ["alice.pem", "alice.key", "bob.pem", "bob.key", "root.pem", "issuing.pem"] {
        std::fs::copy(certificate_of(name), folder.place(name)).expect("copied");
    }
    folder.write("m.eml", format!("{fields}\r\nSubject: x\r\n\r\nLunch at noon.\r\n"));
    folder
}

fn as_alice(folder: &Folder) -> Vec<String> {
    ["--cert", "alice.pem", "--key", &folder.place("alice.key"), "--at", AT].map(str::to_owned).to_vec()
}

fn run(folder: &Folder, args: &[&str], more: &[String]) -> (i32, Vec<u8>, String) {
    let all: Vec<&str> = args.iter().copied().chain(more.iter().map(String::as_str)).collect();
    folder.run(&all)
}

const TRUST: [&str; 8] = ["--trust", "root.pem", "--intermediates", "issuing.pem", "--revocation", "off", "--at", AT];

fn opened(folder: &Folder, args: &[&str]) -> (i32, Value) {
    let args = [&["open", "--json", "-o", "content.out", "--force"], args, &TRUST].concat();
    let (code, out, error) = folder.run(&args);
    (code, serde_json::from_slice(&out).unwrap_or_else(|_| panic!("one object: {error}")))
}

#[test]
fn a_signer_is_not_the_sender_where_others_are_named_beside_him() {
    for from in ["alice@example.com, ceo@example.net", "All: alice@example.com, ceo@example.net;"] {
        let folder = folder(&format!("From: {from}\r\nSender: alice@example.com\r\nTo: bob@example.org"));
        let (code, _, error) = run(&folder, &["sign", "m.eml", "-o", "s.eml"], &as_alice(&folder));
        assert_eq!(code, 0, "{error}");
        let (code, verdict) = opened(&folder, &["s.eml"]);
        assert_eq!((code, &verdict["layers"][0]["signers"][0]["from_match"]), (4, &Value::from(false)), "{verdict}");
    }
}

#[test]
fn what_nothing_protects_is_not_among_the_protected_fields() {
    let folder = folder("From: alice@example.com\r\nTo: bob@example.org");
    folder.good(&["encrypt", "m.eml", "--to-cert", "bob.pem", "-o", "e.eml"]);
    let key = folder.place("bob.key");
    let (code, verdict) = opened(&folder, &["e.eml", "--cert", "bob.pem", "--key", &key]);
    assert_eq!(code, 0, "{verdict}");
    assert_eq!(verdict["headers"]["protected"], serde_json::json!(["Subject"]), "{verdict}");
    let fields = verdict["headers"]["fields"].as_array().expect("a list");
    assert!(fields.iter().any(|field| field["name"] == "From" && field["state"] == "unprotected"), "{verdict}");
}

#[test]
fn nothing_is_said_of_a_signature_whose_certificate_is_missing() {
    if !support::peer("openssl") {
        return;
    }
    let folder = folder("From: alice@example.com\r\nTo: bob@example.org");
    let (alice, key, out) = (folder.place("alice.pem"), folder.place("alice.key"), folder.place("s.eml"));
    let args = ["cms", "-sign", "-nocerts", "-in", &folder.place("m.eml"), "-signer", &alice, "-inkey", &key, "-out", &out];
    let (code, _, error) = support::run("openssl", &args, b"");
    assert_eq!(code, 0, "{error}");
    let (code, _, error) = folder.run(&[&["verify", "s.eml"][..], &TRUST].concat());
    assert!(code == 3 && error.contains("NOT checked") && !error.contains("NOT validly"), "{code}: {error}");
}

#[test]
fn decrypt_gives_nothing_of_what_is_signed_and_not_encrypted() {
    let folder = folder("From: alice@example.com\r\nTo: bob@example.org");
    for form in ["--opaque", "--digest=sha256"] {
        let (code, _, error) = run(&folder, &["sign", "m.eml", "-o", "s.eml", "--force", form], &as_alice(&folder));
        assert_eq!(code, 0, "{error}");
        let (code, out, error) = folder.run(&["decrypt", "s.eml", "--cert", "bob.pem", "--key", &folder.place("bob.key")]);
        assert_eq!((code, out.as_slice()), (7, &b""[..]), "{form}: {error}");
    }
}

#[test]
fn what_readers_will_hold_against_it_is_told() {
    let foreign = folder("From: ceo@example.net\r\nTo: bob@example.org");
    let (code, _, error) = run(&foreign, &["sign", "m.eml", "-o", "s.eml"], &as_alice(&foreign));
    assert!(code == 0 && error.contains("the signer is not the sender"), "{code}: {error}");
    let own = folder("From: alice@example.com");
    let (code, _, error) = run(&own, &["sign", "m.eml", "-o", "s.eml"], &as_alice(&own));
    assert!(code == 0 && !error.contains("warning"), "{code}: {error}");
    let (code, _, error) = run(&own, &["seal", "m.eml", "-o", "sealed.eml"], &as_alice(&own));
    assert!(code == 0 && error.contains("nobody but the sender"), "{code}: {error}");
    let (code, _, error) = run(&own, &["seal", "m.eml", "-o", "s2.eml", "--to-cert", "bob.pem"], &as_alice(&own));
    assert!(code == 0 && !error.contains("nobody but the sender"), "{code}: {error}");
}

#[test]
fn a_key_that_is_too_short_is_told_before_readers_refuse_it() {
    if !support::peer("openssl") {
        return;
    }
    let folder = folder("From: short@example.com\r\nTo: short@example.com");
    let (certificate, key) = (folder.place("short.pem"), folder.place("short-key.pem"));
    let mut args = vec!["req", "-x509", "-newkey", "rsa:1024", "-nodes", "-keyout", &key, "-out", &certificate, "-days", "7300"];
    args.extend(["-subj", "/CN=Short", "-addext", "subjectAltName=email:short@example.com"]);
    let (code, _, error) = support::run("openssl", &args, b"");
    assert_eq!(code, 0, "{error}");
    let as_short = ["--cert", "short.pem", "--key", "short-key.pem"].map(str::to_owned);
    let (_, _, signed) = run(&folder, &["sign", "m.eml", "-o", "s.eml"], &as_short);
    let (_, _, encrypted) = run(&folder, &["encrypt", "m.eml", "-o", "e.eml", "--to-cert", "short.pem"], &[]);
    assert!(signed.contains("1024 bits") && encrypted.contains("1024 bits"), "{signed} {encrypted}");
}

#[test]
fn a_wrong_password_is_said_to_be_one() {
    if !support::peer("openssl") {
        return;
    }
    let folder = folder("From: alice@example.com\r\nTo: bob@example.org");
    folder.write("wrong.txt", "wrong\n");
    folder.write("right.txt", "right\n");
    folder.write("kek.txt", [7; 32]);
    let (message, locked) = (folder.place("m.eml"), folder.place("e.eml"));
    let args = ["cms", "-encrypt", "-aes256", "-pwri_password", "right", "-in", &message, "-out", &locked];
    let (code, _, error) = support::run("openssl", &args, b"");
    assert_eq!(code, 0, "{error}");
    assert_eq!(folder.run(&["decrypt", "e.eml", "--passphrase-file", "right.txt"]).0, 0);
    let (code, _, error) = folder.run(&["decrypt", "e.eml", "--passphrase-file", "wrong.txt"]);
    assert!(code == 6 && error.contains("the password is another") && !error.contains("id import"), "{code}: {error}");
    let kek = "00".repeat(32);
    let args = ["cms", "-encrypt", "-aes256", "-secretkey", &kek, "-secretkeyid", "01", "-in", &message, "-out", &locked];
    let (code, _, error) = support::run("openssl", &args, b"");
    assert_eq!(code, 0, "{error}");
    let (code, _, error) = folder.run(&["decrypt", "e.eml", "--kek", "kek.txt"]);
    assert!(code == 6 && error.contains("the key-encryption key is another"), "{code}: {error}");
}

#[test]
fn a_command_line_that_makes_no_sense_gives_one_object() {
    let folder = Folder::new();
    for (args, schema) in [
        (&["open", "--json", "--no-such-option"][..], "sealpost.open/1"),
        (&["--json", "sign", "--digest"], "sealpost.sign/1"),
        (&["--json", "no-such-verb"], "sealpost.sealpost/1"),
    ] {
        let (code, out, error) = folder.run(args);
        let object: Value = serde_json::from_slice(&out).unwrap_or_else(|_| panic!("one object: {error}"));
        assert_eq!((code, &object["exit"], &object["schema"]), (2, &Value::from(2), &Value::from(schema)), "{object}");
        assert!(object["error"].as_str().is_some_and(|text| !text.is_empty() && !text.starts_with("error")), "{object}");
    }
}
