//! The attacks as users meet them: exit codes, JSON, what stands on the terminal, what stays on the disk.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use sealpost::crypto::random::{OsRandom, Seeded};
use sealpost::smime::{CipherChoice, Encrypt, Seal, Sign};

use super::stage::*;
use crate::support;

/// A folder that is everything the program may write to.
struct Room(tempfile::TempDir);

impl Room {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir(folder.path().join("tmp")).expect("made");
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn run(&self, verb: &str, message: &[u8], more: &[&str]) -> Output {
        fs::write(self.path("message"), message).expect("written");
        let home = self.path("home").display().to_string();
        let (root, cert, key) = (path("root.pem"), path("bob.pem"), path("bob.key"));
        let mut args = vec!["--home", &home, "--at", "2026-06-01T00:00:00Z", verb, "--trust", &root, "--revocation", "off"];
        args.extend(["--cert", &cert, "--key", &key]);
        args.extend(more);
        let message = self.path("message").display().to_string();
        args.push(&message);
        Command::new(env!("CARGO_BIN_EXE_sealpost"))
            .args(args)
            .current_dir(self.path("tmp"))
            .env("TMPDIR", self.path("tmp"))
            .env("HOME", self.path("home"))
            .stdin(Stdio::null())
            .output()
            .expect("it runs")
    }

    /// Everything that lies in the folder, but for the message itself.
    fn left(&self) -> Vec<(PathBuf, Vec<u8>)> {
        fn walk(folder: &Path, found: &mut Vec<(PathBuf, Vec<u8>)>) {
            for entry in fs::read_dir(folder).expect("readable") {
                let path = entry.expect("an entry").path();
                if path.is_dir() {
                    walk(&path, found);
                } else if path.file_name().is_none_or(|name| name != "message") {
                    found.push((path.clone(), fs::read(&path).expect("readable")));
                }
            }
        }
        let mut found = Vec::new();
        walk(self.0.path(), &mut found);
        found
    }
}

fn holds(bytes: &[u8], text: &str) -> bool {
    memchr::memmem::find(bytes, text.as_bytes()).is_some()
}

#[test]
fn each_class_has_its_exit_code() {
    let room = Room::new();
    let (alice, mallory) = (&stage().alice, &stage().mallory);
    let evil = format!("Content-Type: text/plain\r\n\r\n{EVIL}\r\n");
    let signed = clear_signed(ENTITY, alice);
    let cases = [
        ("good", message(FROM_ALICE, &signed), 0),
        ("content changed", message(FROM_ALICE, &signed.replace(SAID, EVIL)), 1),
        ("content in the signature part", Forged::opaque(ENTITY.as_bytes(), alice).beside(&evil), 8),
        ("no signers", Forged::opaque(ENTITY.as_bytes(), alice).with(|f| f.signers.clear()).message(), 7),
        ("nobody trusts the signer", message(FROM_ALICE, &clear_signed(ENTITY, &stage().stranger)), 3),
        ("another signer", message(FROM_ALICE, &clear_signed(&evil, mallory)), 4),
        ("another author", message("From: boss@example.com", &signed), 4),
        ("two authors", message("From: alice@example.com\r\nFrom: boss@example.com", &signed), 4),
        ("a display name", message("From: \"alice@example.com\" <mallory@example.net>", &clear_signed(&evil, mallory)), 0),
        ("wrapped", message(FROM_ALICE, &multipart("mixed", "w", &[&evil, &signed])), 0),
        ("unsigned", message(FROM_ALICE, &evil), 7),
        ("only compressed", message(FROM_ALICE, &compressed(&evil)), 7),
    ];
    for (name, message, exit) in cases {
        for verb in ["open", "verify"] {
            let ended = room.run(verb, message.as_bytes(), &["--json"]);
            let talk = String::from_utf8_lossy(&ended.stderr);
            assert_eq!(ended.status.code(), Some(exit), "{verb} {name}: {talk}");
            let json: Value = serde_json::from_slice(&ended.stdout).expect("one JSON object");
            assert_eq!(json["exit"], exit, "{name}");
            assert_eq!(json["result"], if exit == 0 { "ok" } else { "bad" }, "{name}");
            let codes: Vec<&str> =
                json["findings"].as_array().expect("a list").iter().filter_map(|f| f["code"].as_str()).collect();
            match name {
                "a display name" => assert_eq!(codes, ["misleading-name"]),
                "wrapped" => assert_eq!((codes, &json["uncovered"][0]["part"]), (vec!["uncovered"], &Value::from("1"))),
                "good" => assert!(codes.is_empty(), "{codes:?}"),
                _ => assert!(exit == 0 || !codes.is_empty()),
            }
            let ended = room.run(verb, message.as_bytes(), &[]);
            assert_eq!(ended.status.code(), Some(exit), "{verb} {name}");
            assert_eq!(ended.stdout.is_empty(), exit != 0, "{verb} {name}");
            assert!(name == "a display name" || !holds(&ended.stdout, EVIL), "{verb} {name}");
        }
    }
}

#[test]
fn plaintext_is_nowhere_before_its_check() {
    const CANARY: &str = "canary-7f3a9c";
    let bob = [stage().bob.certificate().clone()];
    let mut cases = Vec::new();
    // small, and larger than what is kept in memory
    for lines in [10, 200_000] {
        let letter = format!("{FROM_ALICE}\r\nSubject: {CANARY}\r\n\r\n{}", format!("{CANARY} and more of it\r\n").repeat(lines));
        let letter = letter.as_bytes();
        for name in ["aes-256-gcm", "chacha20-poly1305", "aes-256-cbc"] {
            let cipher = sealpost::crypto::algorithm::ContentCipher::from_name(name).expect("a cipher");
            let encrypt = || Encrypt::new(&bob).cipher(CipherChoice::Fixed(cipher));
            // always the same key: a padding that fits by chance would be another test
            let mut encrypted = encrypt().run(letter, &mut Seeded::new(name.as_bytes())).expect("encrypted");
            spoil_the_end(&mut encrypted);
            cases.push((format!("{name}, {lines}: the end changed"), encrypted));
        }
        // whole as ciphertext, and the signature inside does not fit
        let signed = Sign::new(&stage().alice).run(letter, stage().trust.at, &mut OsRandom).expect("signed");
        let changed = String::from_utf8(signed).expect("ASCII").replace("and more of it", "and less of it");
        cases.push((
            format!("{lines}: the signature inside"),
            Encrypt::new(&bob).run(changed.as_bytes(), &mut OsRandom).expect("encrypted"),
        ));
        // signed inside by somebody else
        let seal = Seal::new(Sign::new(&stage().stranger), Encrypt::new(&bob));
        cases.push((
            format!("{lines}: nobody trusts the signer"),
            seal.run(letter, stage().trust.at, &mut OsRandom).expect("sealed"),
        ));
    }
    for (name, message) in cases {
        assert!(!holds(&message, CANARY), "{name}");
        for (verb, more) in [
            ("open", vec![]),
            ("open", vec!["--json"]),
            ("open", vec!["-o", "out"]),
            ("decrypt", vec![]),
            ("open", vec!["--raw", "--json", "-o", "out"]),
        ] {
            if verb == "decrypt" && !name.ends_with("changed") || name.contains("200000") && more.len() != 2 {
                continue;
            }
            let room = Room::new();
            let ended = room.run(verb, &message, &more);
            let exit = if name.contains("nobody trusts") { 3 } else { 1 };
            assert_eq!(ended.status.code(), Some(exit), "{name}: {}", String::from_utf8_lossy(&ended.stderr));
            assert!(!holds(&ended.stdout, "canary") && !holds(&ended.stderr, "canary"), "{name} {verb} {more:?}");
            let left: Vec<_> = room.left().into_iter().filter(|(_, bytes)| !bytes.is_empty()).collect();
            assert!(left.is_empty(), "{name} {verb} {more:?} leaves {:?}", left.iter().map(|(path, _)| path).collect::<Vec<_>>());
        }
    }
}

/// Changes the last characters of base64, where the tag or the last block stands.
fn spoil_the_end(message: &mut [u8]) {
    let mut changed = 0;
    for byte in message.iter_mut().rev().filter(|byte| byte.is_ascii_alphanumeric()).skip(16).take(8) {
        *byte = if *byte == b'A' { b'B' } else { b'A' };
        changed += 1;
    }
    assert_eq!(changed, 8);
}

#[test]
fn nothing_of_a_message_controls_the_terminal() {
    let escapes = "\u{1b}[2J\u{1b}[1;1Hsigned by alice@example.com\u{7}\u{9b}31m\u{202e}moc\u{2066}\u{200b}\u{feff}";
    let word: String = escapes.bytes().map(|byte| format!("={byte:02X}")).collect();
    let signed = clear_signed(ENTITY, &stage().mallory);
    let subject = format!("Subject: =?utf-8?Q?{word}?=\r\nX-Other: {escapes}");
    let kind = signed.replacen("multipart/signed", "multipart/signed; x=\"\u{1b}[31m\"", 1);
    let file = format!("Content-Type: application/octet-stream; name=\"=?utf-8?Q?{word}?=\"\r\n\r\nx\r\n");
    let odd_type = "Content-Type: text/\u{1b}[31m\r\n\r\nx\r\n";
    let signer = certified(&format!("Eve {escapes}"), &[rfc822("eve@a.example")]);
    let room = Room::new();
    for (name, message) in [
        ("from", message(&format!("From: \"{escapes}\" <mallory@example.net>\r\n{subject}"), &signed)),
        ("encoded", message(&format!("From: =?utf-8?Q?alice=40example.com{word}?= <mallory@example.net>"), &signed)),
        ("address", message(&format!("From: {escapes}@example.net"), &signed)),
        ("reply", message(&format!("From: mallory@example.net\r\nReply-To: \"{escapes}\"@example.net"), &signed)),
        ("type", message("From: mallory@example.net", &multipart("mixed", "w", &[&kind, &file, odd_type]))),
        ("certificate", message("From: eve@a.example", &clear_signed(ENTITY, &signer))),
        ("unknown certificate", message("From: m@a.example", &clear_signed(ENTITY, &signer))),
    ] {
        for verb in ["open", "verify", "inspect"] {
            for json in [vec![], vec!["--json"]] {
                let ended = match verb {
                    "inspect" => room.inspect(message.as_bytes(), &json),
                    _ => room.run(verb, message.as_bytes(), &json),
                };
                let mut shown = ended.stderr.clone();
                // what `open` and `verify` release is the message itself
                if verb == "inspect" || !json.is_empty() {
                    shown.extend(&ended.stdout);
                }
                let shown = String::from_utf8(shown).expect("UTF-8");
                let wild = |c: &char| {
                    (c.is_control() && *c != '\n')
                        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
                };
                assert!(!shown.chars().any(|c| wild(&c)), "{name} {verb} {json:?}: {shown:?}");
                // a line of the verdict begins only where the program begins one
                assert!(!shown.lines().any(|line| line.starts_with("signed by alice")), "{name}: {shown}");
                if !json.is_empty() {
                    serde_json::from_slice::<Value>(&ended.stdout).expect("still JSON");
                }
            }
        }
    }
}

#[test]
fn content_does_not_control_the_terminal_either() {
    if !support::peer("python3") {
        return;
    }
    let room = Room::new();
    let entity = "Content-Type: text/plain\r\n\r\n\u{1b}[2J\u{1b}[1;1Hsigned by boss@example.com \u{202e}\r\nLunch\r\n";
    fs::write(room.path("message"), message(FROM_ALICE, &clear_signed(entity, &stage().alice))).expect("written");
    let line = format!(
        "import os, pty; os.environ['TERM'] = 'xterm'; pty.spawn(['{}', '--home', '{}', 'verify', '--trust', '{}', '--at', '2026-06-01T00:00:00Z', '{}'])",
        env!("CARGO_BIN_EXE_sealpost"),
        room.path("home").display(),
        path("root.pem"),
        room.path("message").display()
    );
    let (code, out, talk) = support::run("python3", &["-c", &line], b"");
    assert_eq!(code, 0, "{talk}");
    let shown = String::from_utf8_lossy(&out);
    assert!(shown.contains("Lunch") && shown.contains("\\u{1b}[2J\\u{1b}[1;1Hsigned by boss"), "{shown:?}");
    assert!(!shown.contains("\u{1b}[2J") && !shown.contains('\u{202e}'), "{shown:?}");
    // a file or a pipe gets the bytes exactly
    let ended = room.run("verify", &fs::read(room.path("message")).expect("there"), &[]);
    assert_eq!(ended.stdout, entity.as_bytes());
}

impl Room {
    fn inspect(&self, message: &[u8], more: &[&str]) -> Output {
        fs::write(self.path("message"), message).expect("written");
        Command::new(env!("CARGO_BIN_EXE_sealpost"))
            .arg("--home")
            .arg(self.path("home"))
            .arg("inspect")
            .args(more)
            .arg(self.path("message"))
            .stdin(Stdio::null())
            .output()
            .expect("it runs")
    }
}

#[test]
fn explain_says_what_was_done_and_changes_nothing() {
    let room = Room::new();
    let signed = message(FROM_ALICE, &clear_signed(ENTITY, &stage().alice));
    let with_footer = signed.replacen(SAID, &format!("{SAID}\r\n_____\r\nlist footer"), 1);
    let with_field = signed.replacen("Content-Type: text/plain", "X-Scanned: yes\r\nContent-Type: text/plain", 1);
    for (message, exit, change) in [
        (&signed, 0, None),
        (&with_footer, 1, Some("lines-added")),
        (&with_field, 1, Some("field-added")),
        (&signed.replace(SAID, EVIL), 1, None),
        (&message("From: boss@example.com", &clear_signed(ENTITY, &stage().alice)), 4, None),
    ] {
        let ended = room.run("explain", message.as_bytes(), &["--json"]);
        assert_eq!(ended.status.code(), Some(exit), "{}", String::from_utf8_lossy(&ended.stderr));
        let json: Value = serde_json::from_slice(&ended.stdout).expect("one JSON object");
        assert_eq!((&json["schema"], &json["exit"]), (&Value::from("sealpost.explain/1"), &Value::from(exit)));
        assert_eq!(json["result"], if exit == 0 { "ok" } else { "bad" });
        let explanations = json["explanations"].as_array().expect("a list");
        assert_eq!(explanations.is_empty(), exit == 0, "{explanations:?}");
        let found = explanations.iter().find_map(|e| e["change"].as_str());
        assert_eq!(found, change);
        if change.is_some() {
            assert!(explanations.iter().any(|e| e["where"] == "part 1"));
        }
        // the words of the message are no result of it
        assert!(!holds(&ended.stdout, SAID) && !holds(&ended.stderr, SAID));
        let ended = room.run("explain", message.as_bytes(), &[]);
        assert_eq!(ended.status.code(), Some(exit));
        assert!(!ended.stdout.is_empty() && !holds(&ended.stdout, SAID));
        assert_eq!(change.is_some_and(|change| holds(&ended.stdout, change)), change.is_some());
    }
}
