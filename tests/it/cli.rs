//! The program, run as its users run it: exit codes, what is released, JSON.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use sealpost::limits::Limits;
use sealpost::mime;

use crate::support;

const AT: &str = "2026-06-01T00:00:00Z";

struct Bench {
    folder: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder") }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn write(&self, name: &str, bytes: &[u8]) -> String {
        fs::write(self.path(name), bytes).expect("written");
        self.path(name)
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).expect("it was written")
    }

    fn exists(&self, name: &str) -> bool {
        Path::new(&self.path(name)).exists()
    }

    /// Runs the program in a home of its own; gives (exit code, stdout, stderr).
    fn run(&self, line: &str) -> (i32, Vec<u8>, String) {
        let home = self.path("home");
        let args: Vec<&str> = ["--home", &home, "--batch"].into_iter().chain(line.split_whitespace()).collect();
        support::run(env!("CARGO_BIN_EXE_sealpost"), &args, b"")
    }

    fn ok(&self, line: &str) -> Vec<u8> {
        let (code, out, talk) = self.run(line);
        assert_eq!(code, 0, "{line}\n{talk}");
        out
    }

    /// A letter by alice, signed by this member of the cast.
    fn signed_by(&self, who: &str, more: &str) -> String {
        self.letter();
        let line = format!(
            "sign {more} --cert {} --key {} --chain {} {} -o {} --force",
            cert(who),
            key(who),
            issuing(who),
            self.path("letter"),
            self.path(who)
        );
        self.ok(&line);
        self.path(who)
    }

    fn letter(&self) -> String {
        self.write(
            "letter",
            "From: Alice <alice@example.com>\r\nTo: bob@example.org\r\nSubject: =?utf-8?B?5L2g5aW9?=\r\nMIME-Version: 1.0\r\n\
             Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGr\u{fc}\u{df}e \u{4f60}\u{597d}\r\n"
                .as_bytes(),
        )
    }

    fn verify(&self, message: &str, more: &str) -> (i32, Vec<u8>, String) {
        self.run(&format!("verify --trust {} --at {AT} {more} {message}", cert("root")))
    }
}

fn certs(name: &str) -> String {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("certs").join(name).display().to_string()
}

fn cert(who: &str) -> String {
    certs(&format!("{who}.pem"))
}

fn key(who: &str) -> String {
    certs(&format!("{who}.key"))
}

fn issuing(who: &str) -> String {
    match who {
        "stranger" => certs("stranger-issuing.pem"),
        "wrong-usage" => certs("servers.pem"),
        _ => certs("issuing.pem"),
    }
}

#[test]
fn a_good_signature_by_the_sender_is_exit_0_and_gives_the_content() {
    let bench = Bench::new();
    for more in ["", "--opaque", "--digest sha512", "--pss", "--no-header-protection"] {
        let (code, content, talk) = bench.verify(&bench.signed_by("alice", more), "");
        assert_eq!(code, 0, "{more}: {talk}");
        assert!(String::from_utf8_lossy(&content).contains("Gr=C3=BC=C3=9Fe"), "{more}");
        assert!(talk.contains("the signer is the sender") && talk.contains("trusted"), "{talk}");
    }
}

#[test]
fn a_changed_message_is_exit_1_and_releases_nothing() {
    let bench = Bench::new();
    let message = bench.signed_by("alice", "");
    let changed = String::from_utf8(fs::read(&message).expect("text")).expect("ASCII").replace("=C3=BC", "=C3=BD");
    let (code, content, talk) = bench.verify(&bench.write("changed", changed.as_bytes()), &format!("-o {}", bench.path("out")));
    assert_eq!((code, content.len(), bench.exists("out")), (1, 0, false), "{talk}");
    assert!(talk.contains("[content-changed]"), "{talk}");
}

#[test]
fn each_way_of_being_wrong_has_its_exit_code() {
    let bench = Bench::new();
    for (who, more, expected, finding) in [
        ("mallory", "", 4, "from-mismatch"),
        ("stranger", "", 3, "untrusted"),
        ("wrong-usage", "", 3, "unsuitable"),
        ("expired", "--accept from-mismatch", 5, "expired"),
        ("revoked", "--accept from-mismatch", 5, "revoked"),
    ] {
        let message = bench.signed_by(who, "");
        let out = bench.path("out");
        let (code, content, talk) = bench.verify(&message, &format!("{more} --crl {} -o {out}", certs("issuing.crl")));
        assert_eq!((code, content.len(), bench.exists("out")), (expected, 0, false), "{who}: {talk}");
        assert!(talk.contains(&format!("[{finding}]")), "{who}: {talk}");
    }
    let (code, _, talk) = bench.verify(&bench.letter(), "");
    assert_eq!(code, 7, "{talk}");
    let (code, _, talk) = bench.verify(&bench.signed_by("expired", ""), "--accept from-mismatch --accept expired");
    assert_eq!(code, 0, "{talk}");
    assert!(talk.contains("(accepted)"), "{talk}");
}

#[test]
fn a_from_that_others_changed_is_exit_4_even_where_a_protected_one_stands_inside() {
    let bench = Bench::new();
    let message = String::from_utf8(fs::read(bench.signed_by("alice", "")).expect("text")).expect("ASCII");
    for (from, name) in [
        ("From: Boss <boss@example.com>", "another"),
        ("From: \"alice@example.com\" <boss@example.com>", "display name"),
        ("From: alice@example.com\r\nFrom: boss@example.com", "two"),
        ("From: boss@example.com\r\nSender: alice@example.com", "sender"),
        ("From: alice@example.com, boss@example.com", "list"),
        ("Reply-To: boss@example.com", "none"),
    ] {
        let changed = message.replacen("From: Alice <alice@example.com>", from, 1);
        let (code, content, talk) = bench.verify(&bench.write("spoof", changed.as_bytes()), "");
        assert_eq!((code, content.len()), (4, 0), "{name}: {talk}");
    }
}

#[test]
fn encrypted_mail_opens_for_its_recipients_and_for_nobody_else() {
    let bench = Bench::new();
    let letter = bench.letter();
    for cipher in ["auto", "aes-256-gcm", "aes-128-gcm", "aes-256-cbc", "aes-128-cbc", "chacha20-poly1305"] {
        for transport in ["oaep", "pkcs1"] {
            let (bob, carol, out) = (cert("bob"), cert("carol"), bench.path("sealed"));
            bench.ok(&format!("encrypt --cipher {cipher} --key-transport {transport} --to-cert {bob} --to-cert {carol} {letter} -o {out} --force"));
            let sealed = String::from_utf8(bench.read("sealed")).expect("ASCII");
            assert!(sealed.contains("Subject: [...]") && !sealed.contains("5L2g5aW9"), "{cipher}");
            for who in ["bob", "carol"] {
                let clear = bench.ok(&format!("open --cert {} --key {} {out}", cert(who), key(who)));
                let clear = String::from_utf8(clear).expect("UTF-8");
                assert!(
                    clear.contains("Gr\u{fc}\u{df}e \u{4f60}\u{597d}\r\n") && clear.contains("=?utf-8?B?5L2g5aW9?="),
                    "{clear}"
                );
                bench.ok(&format!("decrypt --key {} {out}", key(who)));
            }
            let (code, content, _) = bench.run(&format!("decrypt --cert {} --key {} {out}", cert("alice"), key("alice")));
            assert_eq!((code, content.len()), (6, 0), "{cipher}");
        }
    }
}

#[test]
fn a_changed_ciphertext_is_exit_1_and_releases_nothing() {
    let bench = Bench::new();
    let (letter, bob, out) = (bench.letter(), cert("bob"), bench.path("sealed"));
    bench.ok(&format!("encrypt --cipher aes-256-gcm --to-cert {bob} {letter} -o {out}"));
    let mut sealed = bench.read("sealed");
    let near_the_end = sealed.len() - 60;
    sealed[near_the_end] = if sealed[near_the_end] == b'A' { b'B' } else { b'A' };
    let changed = bench.write("changed", &sealed);
    let (code, content, talk) = bench.run(&format!("open --cert {bob} --key {} {changed}", key("bob")));
    assert_eq!((code, content.len()), (1, 0), "{talk}");
}

#[test]
fn sealed_mail_is_signed_inside_and_the_json_tells_all() {
    let bench = Bench::new();
    let (letter, out) = (bench.letter(), bench.path("sealed"));
    let chain = issuing("alice");
    bench.ok(&format!(
        "seal --cert {} --key {} --chain {chain} --to-cert {} {letter} -o {out}",
        cert("alice"),
        key("alice"),
        cert("bob")
    ));
    let clear = bench.path("clear");
    let line =
        format!("open --json --trust {} --at {AT} --cert {} --key {} {out} -o {clear}", cert("root"), cert("bob"), key("bob"));
    let verdict: Value = serde_json::from_slice(&bench.ok(&line)).expect("one JSON object");
    assert_eq!(verdict["schema"], "sealpost.open/1");
    assert_eq!((&verdict["result"], &verdict["exit"]), (&Value::from("ok"), &Value::from(0)));
    assert_eq!(verdict["layers"][0]["type"], "auth-enveloped");
    assert_eq!(verdict["layers"][1]["signers"][0]["from_match"], true);
    assert_eq!(verdict["layers"][1]["signers"][0]["chain"]["status"], "trusted");
    assert_eq!(verdict["layers"][1]["covers"], "body+headers");
    assert_eq!(verdict["headers"]["hidden"][0], "Subject");
    let clear = String::from_utf8(bench.read("clear")).expect("ASCII");
    assert!(
        clear.starts_with("From: Alice <alice@example.com>\r\n") && clear.contains("Subject: =?utf-8?B?5L2g5aW9?="),
        "{clear}"
    );
}

#[test]
fn inspect_needs_no_key_and_names_every_part() {
    let bench = Bench::new();
    let message = bench.signed_by("alice", "");
    let found: Value = serde_json::from_slice(&bench.ok(&format!("inspect --json {message}"))).expect("one JSON object");
    assert_eq!(found["kind"], "message");
    assert_eq!(found["layers"][0]["type"], "signed");
    let paths: Vec<&str> =
        found["parts"].as_array().expect("parts").iter().map(|p| p["path"].as_str().expect("a path")).collect();
    assert_eq!(paths, ["0", "1", "2"]);
    let certificates = found["certificates"].as_array().expect("certificates");
    assert!(certificates.iter().any(|certificate| certificate["addresses"][0] == "alice@example.com"));
    let certificate: Value =
        serde_json::from_slice(&bench.ok(&format!("inspect --json {}", cert("alice")))).expect("one JSON object");
    assert_eq!(
        (&certificate["kind"], &certificate["certificates"][0]["key"]),
        (&Value::from("certificate"), &Value::from("rsa-2048"))
    );
}

#[test]
fn a_home_with_a_ca_issues_signs_seals_and_opens() {
    let bench = Bench::new();
    bench.ok("ca init --name Example --domain a.example --domain b.example --algorithm p256");
    bench.ok("id new jane@a.example --algorithm p256");
    bench.ok("id new cherry@b.example --algorithm p256");
    let (code, _, talk) = bench.run("id new eve@evil.example --algorithm p256");
    assert_eq!(code, 8, "{talk}");
    assert!(talk.contains("outside of what"), "{talk}");
    let letter = bench.write("m", b"From: jane@a.example\nTo: cherry@b.example\nSubject: x\n\nhello\n");
    let sealed = bench.path("sealed");
    bench.ok(&format!("seal {letter} -o {sealed}"));
    let clear = String::from_utf8(bench.ok(&format!("open {sealed}"))).expect("ASCII");
    assert!(clear.ends_with("\r\n\r\nhello\r\n"), "{clear}");
    let listed: Value = serde_json::from_slice(&bench.ok("ca list --json")).expect("JSON");
    assert_eq!(listed["certificates"].as_array().map(Vec::len), Some(2));
    let serial = listed["certificates"][0]["serial"].as_str().expect("a serial number").to_owned();
    bench.ok(&format!("ca revoke {serial} --reason key-compromise"));
    bench.ok(&format!("ca crl -o {}", bench.path("crl")));
    assert!(String::from_utf8(bench.ok("ca log")).expect("text").contains("revoke"));
}

#[test]
fn keys_under_a_passphrase_open_with_it_and_not_without() {
    let bench = Bench::new();
    let (pw, wrong) = (bench.write("pw", b"correct horse\n"), bench.write("wrong", b"battery\n"));
    bench.ok(&format!("ca init --name Example --algorithm p256 --passphrase-file {pw}"));
    bench.ok(&format!("id new jane@a.example --algorithm p256 --passphrase-file {pw}"));
    let letter = bench.write("m", b"From: jane@a.example\n\nhello\n");
    let (code, out, talk) = bench.run(&format!("sign {letter}"));
    assert_eq!((code, out.len()), (2, 0), "{talk}");
    assert!(talk.contains("hint: give it with --passphrase-file"), "{talk}");
    let (code, _, talk) = bench.run(&format!("sign {letter} --passphrase-file {wrong}"));
    assert_eq!(code, 2, "{talk}");
    assert!(talk.contains("passphrase of") && talk.contains("is wrong"), "{talk}");
    bench.ok(&format!("sign {letter} --passphrase-file {pw}"));
    let p12 = bench.path("jane.p12");
    bench.ok(&format!("id export jane@a.example --for modern -o {p12} --passphrase-file {pw}"));
    let other = Bench::new();
    other.ok(&format!("id import {p12} --passphrase-file {pw}"));
    assert!(String::from_utf8(other.ok("id list")).expect("text").contains("jane@a.example"));
    if support::peer("openssl") {
        let (code, out, talk) = support::run("openssl", &["pkcs12", "-in", &p12, "-passin", "pass:correct horse", "-nodes"], b"");
        assert_eq!(code, 0, "{talk}");
        assert!(String::from_utf8_lossy(&out).contains("BEGIN PRIVATE KEY"));
    }
}

#[test]
fn bad_input_gets_a_clear_error_and_leaves_nothing() {
    let bench = Bench::new();
    let out = bench.path("out");
    let (code, _, talk) = bench.run("verify /nonexistent/message");
    assert_eq!(code, 9, "{talk}");
    assert!(talk.contains("it does not exist"), "{talk}");
    let (code, _, _) = bench.run("verify --no-such-flag");
    assert_eq!(code, 2);
    let message = fs::read(bench.signed_by("alice", "--opaque")).expect("text");
    for end in [0, 10, 200, 700, message.len() / 2, message.len() - 200] {
        let cut = bench.write("cut", message.get(..end).expect("shorter"));
        let (code, content, talk) = bench.verify(&cut, &format!("-o {out}"));
        assert!(matches!(code, 1 | 3 | 4 | 7 | 8) && content.is_empty() && !bench.exists("out"), "{end}: {code} {talk}");
    }
    let mut deep = String::new();
    for at in 0..10_000 {
        deep.push_str(&format!("Content-Type: multipart/mixed; boundary=b{at}\r\n\r\n--b{at}\r\n"));
    }
    let (code, _, talk) = bench.run(&format!("open {}", bench.write("deep", deep.as_bytes())));
    assert_eq!(code, 8, "{talk}");
    assert!(talk.contains("mime depth"), "{talk}");
    bench.write("out", b"mine");
    let (code, _, talk) = bench.verify(&bench.signed_by("alice", ""), &format!("-o {out}"));
    assert_eq!((code, bench.read("out").as_slice()), (9, b"mine".as_slice()), "{talk}");
}

#[test]
#[cfg(unix)]
fn a_full_disk_is_told_and_nothing_half_written_stays() {
    let bench = Bench::new();
    let message = bench.signed_by("alice", "");
    let (code, _, talk) = bench.verify(&message, "-o /dev/full");
    assert_eq!(code, 9, "{talk}");
    assert!(talk.contains("the disk is full"), "{talk}");
    assert_eq!(bench.verify(&message, "-o /dev/null").0, 0, "a device needs no --force");
    // a file that may not grow over half a MiB, for a message of one
    let letter = [b"From: alice@example.com\r\n\r\n".as_slice(), &b"a line of text\r\n".repeat(70_000)].concat();
    let letter = bench.write("large", &letter);
    let folder = bench.path("small");
    fs::create_dir(&folder).expect("made");
    let line = format!(
        "trap '' XFSZ; ulimit -f 512; exec {} sign --home {} --cert {} --key {} {letter} -o {folder}/out",
        env!("CARGO_BIN_EXE_sealpost"),
        bench.path("home"),
        cert("alice"),
        key("alice")
    );
    let (code, _, talk) = support::run("sh", &["-c", &line], b"");
    assert_eq!(code, 9, "{talk}");
    assert_eq!(fs::read_dir(&folder).expect("there").count(), 0, "{talk}");
}

#[test]
fn openssl_and_we_read_each_other() {
    if !support::peer("openssl") {
        return;
    }
    let bench = Bench::new();
    let (letter, root, chain) = (bench.letter(), cert("root"), issuing("alice"));
    let openssl = |line: &str| support::run("openssl", &line.split_whitespace().collect::<Vec<_>>(), b"");
    for more in ["", "--opaque", "--digest sha384", "--digest sha512", "--pss"] {
        let message = bench.signed_by("alice", more);
        let (code, _, talk) =
            openssl(&format!("cms -verify -attime 1780272000 -CAfile {root} -in {message} -out {}", bench.path("o")));
        assert_eq!(code, 0, "{more}: {talk}");
    }
    for digest in ["sha256", "sha384", "sha512"] {
        for form in ["", "-stream", "-nodetach", "-nodetach -stream", "-keyid", "-noattr -nodetach"] {
            for who in ["alice", "mallory"] {
                let out = bench.path("theirs");
                let line = format!(
                    "cms -sign -md {digest} {form} -signer {} -inkey {} -certfile {chain} -in {letter} -out {out}",
                    cert(who),
                    key(who)
                );
                assert_eq!(openssl(&line).0, 0, "{line}");
                let (code, _, talk) = bench.verify(&out, "");
                assert_eq!(code, 0, "{line}\n{talk}");
            }
        }
    }
    for cipher in ["-aes128", "-aes-192-cbc", "-aes256", "-aes-128-gcm", "-aes-256-gcm"] {
        for form in ["", "-stream", "-keyid"] {
            let out = bench.path("theirs");
            let line = format!("cms -encrypt -binary {cipher} {form} -in {letter} -out {out} {} {}", cert("bob"), cert("carol"));
            assert_eq!(openssl(&line).0, 0, "{line}");
            for who in ["bob", "carol"] {
                let clear = bench.ok(&format!("decrypt --cert {} --key {} {out}", cert(who), key(who)));
                assert_eq!(clear, bench.read("letter"), "{line}");
            }
        }
    }
    for cipher in ["aes-128-cbc", "aes-256-cbc", "aes-128-gcm", "aes-256-gcm"] {
        for transport in ["pkcs1", "oaep"] {
            let out = bench.path("ours");
            let to = format!("--to-cert {} --to-cert {}", cert("bob"), cert("carol"));
            bench.ok(&format!("encrypt --cipher {cipher} --key-transport {transport} {to} {letter} -o {out} --force"));
            for who in ["bob", "carol"] {
                let line = format!("cms -decrypt -recip {} -inkey {} -in {out} -out {}", cert(who), key(who), bench.path("o"));
                assert_eq!(openssl(&line).0, 0, "{line}");
            }
        }
    }
}

#[test]
fn a_sender_whose_domain_is_written_otherwise_is_the_one_in_the_certificate() {
    let bench = Bench::new();
    bench.ok("ca init --name Test --domain xn--bcher-kva.example");
    bench.ok("id new jürgen@xn--bcher-kva.example");
    for (domain, code) in [("bücher.example", 0), ("BÜCHER.example", 0), ("bucher.example", 4)] {
        let text = format!("From: jürgen@{domain}\r\nTo: joe@a.example\r\nSubject: x\r\n\r\nHi.\r\n");
        let letter = bench.write("letter", text.as_bytes());
        bench.ok(&format!("sign --as jürgen@bücher.example {letter} -o {} --force", bench.path("signed")));
        let (found, _, talk) = bench.run(&format!("open {}", bench.path("signed")));
        assert_eq!(found, code, "{domain}: {talk}");
    }
}

#[test]
fn with_json_every_message_verb_prints_one_object_and_gives_messages_to_files_only() {
    let bench = Bench::new();
    let letter = bench.letter();
    let alice = format!("--cert {} --key {} --chain {}", cert("alice"), key("alice"), issuing("alice"));
    let read = format!("--trust {} --at {AT} --revocation off", cert("root"));
    let bob = format!("--cert {} --key {}", cert("bob"), key("bob"));
    let to_bob = format!("--to-cert {}", cert("bob"));
    let object = |verb: &str, line: &str, exit: i32| {
        let (code, out, talk) = bench.run(&format!("{verb} --json {line}"));
        assert_eq!(code, exit, "{verb} {line}: {talk}");
        let found: Value = serde_json::from_slice(&out).unwrap_or_else(|_| panic!("{verb} {line}: one JSON object, not {out:?}"));
        assert_eq!(
            (&found["schema"], &found["exit"]),
            (&Value::from(format!("sealpost.{verb}/1")), &Value::from(exit)),
            "{line}"
        );
        assert_eq!(found["result"], if exit == 0 { "ok" } else { "bad" }, "{verb} {line}");
        assert!(!found.to_string().contains("Gr"), "the letter is no part of the object");
        (found, talk)
    };
    // what writes a message refuses to do so where nobody would get it
    for (verb, line) in [("sign", alice.clone()), ("encrypt", to_bob.clone()), ("seal", format!("{alice} {to_bob}"))] {
        for place in ["", "-o -"] {
            let (refused, talk) = object(verb, &format!("{line} {letter} {place}"), 2);
            assert!(refused["hint"] == "add -o FILE" && talk.contains("hint: add -o FILE"), "{refused} {talk}");
        }
        let (told, _) = object(verb, &format!("{line} {letter} -o {}", bench.path(verb)), 0);
        assert_eq!(told["file"], bench.path(verb), "{told}");
        assert!(!bench.read(verb).is_empty());
    }
    // what reads one gives its verdict
    let signed = bench.read("sign");
    let root = mime::parse(&signed, &Limits::default()).expect("a message");
    let content = bench.write("content", root.children()[0].bytes(&signed));
    let signature = bench.write("p7s", &root.children()[1].decoded_body(&signed));
    let (good, bad) = (format!("{content} --signature {signature}"), format!("{content} --signature {}", certs("root.pem")));
    for (verb, line, exit) in [
        ("open", format!("{read} {bob} {}", bench.path("seal")), 0),
        ("open", format!("--raw {read} {}", bench.path("sign")), 0),
        ("verify", format!("{read} {}", bench.path("sign")), 0),
        ("verify", format!("{read} {good}"), 0),
        ("verify", format!("{read} {bad}"), 8),
        ("decrypt", format!("{read} {bob} {}", bench.path("encrypt")), 0),
        ("open", format!("{read} {letter}"), 7),
    ] {
        for place in ["", "-o -"] {
            let (found, talk) = object(verb, &format!("{line} {place}"), exit);
            assert!(found["layers"].is_array() && (exit != 0 || talk.contains("-o FILE")), "{verb} {line}: {talk}");
        }
        object(verb, &format!("{line} -o {} --force", bench.path("out")), exit);
        assert_eq!(bench.exists("out"), exit == 0, "{verb} {line}");
        let _ = fs::remove_file(bench.path("out"));
    }
    object("explain", &format!("{read} {}", bench.path("sign")), 0);
    let inspected: Value = serde_json::from_slice(&bench.ok(&format!("inspect --json {letter}"))).expect("one JSON object");
    assert_eq!(inspected["schema"], "sealpost.inspect/1");
    // and what cannot be done is an object, too
    for verb in ["sign", "encrypt", "seal", "open", "verify", "decrypt", "inspect", "explain", "send"] {
        let (failed, _) = object(
            verb,
            &format!("/nonexistent/message {}", if matches!(verb, "inspect" | "explain" | "send") { "" } else { "-o x" }),
            9,
        );
        assert!(failed["error"].as_str().is_some_and(|text| text.contains("it does not exist")), "{failed}");
    }
}

#[test]
fn errors_bear_the_schema_of_their_successes() {
    let bench = Bench::new();
    let letter = bench.letter();
    for (line, schema) in [
        ("id new jane@a.example", "id"),
        ("id new", "id"),
        ("id renew jane@a.example", "id"),
        ("id import /nonexistent/file", "id"),
        ("id retire jane@a.example", "id.retire"),
        ("id show jane@a.example", "id.show"),
        ("id forget jane@a.example", "id.forget"),
        ("id export jane@a.example --for pem -o x", "id.export"),
        ("contact add /nonexistent/file", "contact.add"),
        (&format!("contact add {letter}"), "contact.add"),
        ("contact show jane@a.example", "contact.show"),
        ("contact remove jane@a.example", "contact.remove"),
        ("trust add /nonexistent/file", "trust.add"),
        ("trust remove 00000000", "trust.remove"),
        ("ca issue jane@a.example", "ca.issue"),
        ("ca server-cert a.example", "ca.issue"),
        ("ca server-cert", "ca.issue"),
        ("ca list", "ca.list"),
        ("ca show 00", "ca.show"),
        ("ca revoke 00 --reason superseded", "ca.revoke"),
        ("ca suspend jane@a.example", "ca.suspend"),
        ("ca renew 00", "ca.renew"),
        ("ca renew-issuing", "ca.renew-issuing"),
        ("ca escrow init --threshold 1 --shares 1", "ca.escrow"),
        ("ca log", "ca.log"),
        ("ca export root", "ca.export"),
    ] {
        let (code, out, talk) = bench.run(&format!("{line} --json"));
        let said: Value = serde_json::from_slice(&out).unwrap_or_else(|_| panic!("{line}: one JSON object, not {out:?} {talk}"));
        let wanted = (Value::from(format!("sealpost.{schema}/1")), Value::from("bad"), Value::from(code));
        assert_eq!((said["schema"].clone(), said["result"].clone(), said["exit"].clone()), wanted, "{line}: {talk}");
        assert_ne!(code, 0, "{line}");
    }
}

/// What a program shows that decrypts and does not know header protection: openssl takes the layers off, Python reads the message.
#[test]
fn the_text_tells_what_is_hidden_where_protected_fields_are_not_shown() {
    if !support::peer("python3") {
        return;
    }
    let bench = Bench::new();
    let encoded = "PGh0bWw+PGJvZHk+CjxwPkdyw7zDn2U8L3A+CjwvYm9keT48L2h0bWw+Cg==";
    let letter = format!(
        "From: =?utf-8?q?Al=C3=AFce?= <alice@example.com>\r\nTo: Bob <bob@example.org>\r\nDate: Mon, 1 Jun 2026 01:00:00 +0200\r\n\
         Subject: =?utf-8?B?5L2g5aW9?= <1>\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=m\r\n\r\n--m\r\n\
         Content-Type: multipart/alternative; boundary=a\r\n\r\n--a\r\n\r\nHello.\r\n--a\r\nContent-Type: text/html; charset=utf-8\r\n\
         Content-Transfer-Encoding: base64\r\n\r\n{encoded}\r\n--a--\r\n--m\r\nContent-Type: text/plain\r\n\r\nA file.\r\n--m--\r\n"
    );
    let letter = bench.write("letter", letter.as_bytes());
    let alice = format!("--cert {} --key {} --chain {}", cert("alice"), key("alice"), issuing("alice"));
    let (decrypted, verified) = (bench.path("decrypted"), bench.path("verified"));
    let read = |options: &str| -> Value {
        let sealed = bench.path("sealed");
        bench.ok(&format!("seal {alice} --to-cert {} --opaque {options} {letter} -o {sealed} --force", cert("bob")));
        let (bob, root) = (cert("bob"), cert("root"));
        let decrypt = ["cms", "-decrypt", "-in", &sealed, "-recip", &bob, "-inkey", &key("bob"), "-out", &decrypted];
        let verify = ["cms", "-verify", "-in", &decrypted, "-CAfile", &root, "-no_check_time", "-binary", "-out", &verified];
        for args in [&decrypt[..], &verify[..]] {
            let (code, _, talk) = support::run("openssl", args, b"");
            assert_eq!(code, 0, "{talk}");
        }
        let program = "import email.policy, json, sys\n\
            m = email.message_from_binary_file(open(sys.argv[1], 'rb'), policy=email.policy.default)\n\
            o = email.message_from_binary_file(open(sys.argv[2], 'rb'), policy=email.policy.default)\n\
            texts = [p.get_content() for p in m.walk() if not p.is_multipart()]\n\
            print(json.dumps({'texts': texts, 'outer': [o[n] for n in ('Subject', 'From', 'To', 'Date')]}))\n";
        let (code, out, talk) = support::run("python3", &["-c", program, &verified, &sealed], b"");
        assert_eq!(code, 0, "{talk}");
        serde_json::from_slice(&out).expect("JSON")
    };
    let html = "<html><body>\n<p>Gr\u{fc}\u{df}e</p>\n</body></html>\n";
    let plain = read("");
    assert_eq!(plain["texts"], serde_json::json!(["Hello.", html, "A file."]), "nothing is added unless asked for");
    assert_eq!(plain["outer"][0], "[...]");
    let shown = read("--legacy-display --header-confidentiality shy");
    let outer = ["[...]", "alice@example.com", "bob@example.org", "Sun, 31 May 2026 23:00:00 +0000"];
    assert_eq!(shown["outer"], serde_json::json!(outer));
    let told = "From: Al\u{ef}ce <alice@example.com>\nTo: Bob <bob@example.org>\nDate: Mon, 1 Jun 2026 01:00:00 +0200\nSubject: \u{4f60}\u{597d} <1>\n";
    let text = |at: usize| shown["texts"][at].as_str().expect("a text").replace("\r\n", "\n");
    assert_eq!(text(0), format!("{told}\nHello."));
    assert!(text(1).starts_with("<html><body>\n<div class=\"header-protection-legacy-display\">\n<pre>\nFrom: "), "{shown}");
    assert!(text(1).contains("Subject: &#20320;&#22909; &lt;1&gt;\n</pre>\n</div><p>Gr\u{fc}\u{df}e</p>"), "{shown}");
    assert_eq!(text(2), "A file.");
    // who knows better sees the message as it was
    let opened = bench.ok(&format!(
        "open --trust {} --at {AT} --revocation off --cert {} --key {} {}",
        cert("root"),
        cert("bob"),
        key("bob"),
        bench.path("sealed")
    ));
    let opened = mime::view::view(&opened);
    assert_eq!((opened.subject.as_str(), opened.text.as_str()), ("\u{4f60}\u{597d} <1>", "Hello."));
    let none = read("--legacy-display --header-confidentiality no-confidentiality");
    assert_eq!(
        (&none["texts"], &none["outer"][0]),
        (&plain["texts"], &serde_json::json!("\u{4f60}\u{597d} <1>")),
        "nothing is hidden"
    );
}
