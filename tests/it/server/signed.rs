//! Signed mail through the real server, by the clients of others: what arrives is what was signed.

use std::fs;

use sealpost::limits::Limits;
use sealpost::mime;

use super::Served;
use crate::{relay, support};

/// Sends each file from alice to joe: `python3 -c … PORT FILE…`.
const SMTPLIB: &str = "
import smtplib, sys
server = smtplib.SMTP('localhost', int(sys.argv[1]))
for name in sys.argv[2:]:
    server.sendmail('alice@example.com', ['joe@a.example'], open(name, 'rb').read())
server.quit()
";

#[test]
fn signed_mail_of_every_kind_arrives_as_it_was_signed() {
    if !["swaks", "python3", "curl", "openssl"].into_iter().all(support::peer) {
        return;
    }
    let served = Served::new();
    let cast = |name: &str| format!("{}/certs/{name}", env!("CARGO_MANIFEST_DIR"));
    let (cert, key, chain, root) = (cast("alice.pem"), cast("alice.key"), cast("issuing.pem"), cast("root.pem"));
    let mut files = Vec::new();
    for ((name, letter), number) in relay::letters("alice@example.com", "joe@a.example").into_iter().zip(0..) {
        let (file, signed) = (served.path(&format!("{number}")), served.path(&format!("{number}.eml")));
        // the names travel along, so that a failure says which one it is
        fs::write(&file, [format!("X-Kind: {name}\r\n").as_bytes(), &letter].concat()).expect("written");
        served.run(&["sign", "--cert", &cert, "--key", &key, "--chain", &chain, &file, "-o", &signed]);
        files.push(signed);
    }
    let port = served.port("smtp").to_string();
    let (server, url) = (format!("localhost:{port}"), format!("smtp://localhost:{port}"));
    let mut args = vec!["-c", SMTPLIB, &port];
    args.extend(files.iter().map(String::as_str));
    let (code, _, talk) = support::run("python3", &args, b"");
    assert_eq!(code, 0, "{talk}");
    for file in &files {
        let envelope = ["--from", "alice@example.com", "--to", "joe@a.example"];
        let (code, out, talk) = support::run("swaks", &[&["--server", &server, "--data", file], &envelope[..]].concat(), b"");
        assert_eq!(code, 0, "{file}: {talk}{}", String::from_utf8_lossy(&out));
        let envelope = ["--mail-from", "alice@example.com", "--mail-rcpt", "joe@a.example"];
        let (code, _, talk) = support::run("curl", &[&["-sS", &url, "-T", file], &envelope[..]].concat(), b"");
        assert_eq!(code, 0, "{file}: {talk}");
    }
    let mut arrived = Vec::new();
    while arrived.len() < files.len() * 3 {
        arrived.extend(served.fetch("joe@a.example"));
    }
    for message in arrived {
        let entity = mime::parse(message.as_bytes(), &Limits::default()).expect("a message");
        let kind = entity.field("x-kind").expect("it names itself").unfolded(message.as_bytes());
        let (file, out) = (served.path("arrived"), served.path("out"));
        fs::write(&file, &message).expect("written");
        let at = ["--at", "2026-06-01T00:00:00Z", "--force", "-o", &out];
        let args = [&["verify", "--trust", &root, &file], &at[..]].concat();
        let (code, _, talk) = support::run(env!("CARGO_BIN_EXE_sealpost"), &args, b"");
        assert_eq!(code, 0, "{kind}: {talk}\n{message}");
        let args = ["cms", "-verify", "-in", &file, "-CAfile", &root, "-out", &out, "-attime", "1780000000"];
        let (code, _, talk) = support::run("openssl", &args, b"");
        assert_eq!(code, 0, "{kind} by OpenSSL: {talk}");
    }
}

#[test]
fn the_copy_for_bcc_goes_to_nobody_but_him() {
    let served = Served::of("a.example", &["jane", "joe", "boss"], str::to_owned);
    let (letter, sealed, copy) = (served.path("letter"), served.path("sealed.eml"), served.path("sealed.bcc-1.eml"));
    let head = "From: jane@a.example\nTo: joe@a.example\nBcc: boss@a.example\nSubject: x\n";
    // the second one is begun anew while it is written: its line would not survive relays
    for text in ["Hi.\n", "Hi. \n"] {
        fs::write(&letter, format!("{head}\n{text}")).expect("written");
        served.run(&["seal", &letter, "-o", &sealed, "--force"]);
        let via = format!("localhost:{}", served.port("submission"));
        let home = served.path("home");
        let plain = ["--home", &home, "--batch", "--passphrase-file", &served.path("pw")];
        let send = ["send", &copy, "--via", &via, "--user", "jane@a.example"];
        let (code, _, talk) = support::run(env!("CARGO_BIN_EXE_sealpost"), &[&plain[..], &send].concat(), b"");
        assert!(code == 2 && talk.contains("nothing was sent") && talk.contains("--to ADDR"), "{talk}");
        served.run(&[&send[..], &["--to", "boss@a.example"]].concat());
        served.run(&["send", &sealed, "--via", &via, "--user", "jane@a.example"]);
        let body = |message: &str| message.replace("\r\n", "\n").split_once("\n\n").expect("a body").1.to_owned();
        for (user, file) in [("boss@a.example", &copy), ("joe@a.example", &sealed)] {
            let arrived = served.fetch(user);
            let [message] = arrived.as_slice() else { panic!("{user}: {arrived:?}") };
            assert!(!message.contains("X-Sealpost-Copy") && message.contains("To: joe@a.example"), "{message}");
            // his own copy says in its trace that it came to him
            assert!(user == "boss@a.example" || !message.contains("boss"), "{message}");
            assert_eq!(body(message), body(&fs::read_to_string(file).expect("ASCII")), "{user} gets his own");
        }
    }
}
