//! What changes while the server runs, and what stays when the new configuration is bad.

use std::fs;
use std::io::BufReader;
use std::net::TcpStream;
use std::time::Instant;

use super::{Served, say};
use crate::support;

/// Changes the configuration file of a server.
fn edit(served: &Served, change: impl Fn(&str) -> String) {
    let path = served.path("home/sealpost.toml");
    let text = fs::read_to_string(&path).expect("a configuration");
    fs::write(&path, change(&text)).expect("written");
}

fn session(served: &Served) -> BufReader<TcpStream> {
    let mut stream = BufReader::new(TcpStream::connect(("127.0.0.1", served.port("smtp"))).expect("it listens"));
    say(&mut stream, "").expect("a greeting");
    stream
}

/// Whether a session takes a message of so many bytes.
fn takes(stream: &mut BufReader<TcpStream>, bytes: u64) -> bool {
    say(stream, "EHLO b.example\r\n").expect("a reply");
    let reply = say(stream, &format!("MAIL FROM:<x@b.example> SIZE={bytes}\r\n")).expect("a reply");
    say(stream, "RSET\r\n").expect("a reply");
    reply.starts_with("250")
}

fn until(what: &str, is: impl Fn() -> bool) {
    let begin = Instant::now();
    while !is() {
        assert!(begin.elapsed() < support::LONGEST, "{what}");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

#[test]
fn new_sessions_have_the_new_limits_and_open_ones_the_old() {
    let served = Served::new();
    let mut open = session(&served);
    assert!(takes(&mut open, 1_000_000));
    edit(&served, |text| text.replace("52428800", "100000").replace("smtp         = \"127.0.0.1:0\"", "smtp = \"127.0.0.9:0\""));
    let (said, _) = served.run(&["reload"]);
    assert_eq!(
        said,
        "changed: limits.message_bytes 52428800 → 100000\nnot changed: the addresses in [listen] – restart the server\n"
    );
    assert!(takes(&mut open, 1_000_000), "it began under the old limits");
    assert!(!takes(&mut session(&served), 1_000_000) && takes(&mut session(&served), 90_000));
    edit(&served, |text| text.replace("message_bytes = 100000", "message_bytes = 200000"));
    let pid = served.child.id().to_string();
    assert_eq!(support::run("kill", &["-HUP", &pid], b"").0, 0);
    until("SIGHUP does nothing", || takes(&mut session(&served), 190_000));
    let json = served.run(&["reload", "--json"]).0;
    assert!(json.starts_with("{\"schema\":\"sealpost.reload/1\",\"exit\":0,\"changed\":[],\"kept\":[\"the addresses"), "{json}");
}

#[test]
fn a_bad_configuration_changes_nothing_and_is_told() {
    let served = Served::new();
    let reload = || support::run(env!("CARGO_BIN_EXE_sealpost"), &["--home", &served.path("home"), "reload"], b"");
    edit(&served, |text| text.replace("52428800", "100000").replace("[routes]", "[route]"));
    let (code, _, talk) = reload();
    assert!(code == 2 && talk.contains("the old configuration stays") && talk.contains("did you mean routes?"), "{talk}");
    // well written, and its certificate is none
    edit(&served, |text| text.replace("[route]", "[routes]"));
    fs::write(served.path("home/tls/certificate.pem"), "none").expect("written");
    let (code, _, talk) = reload();
    assert!(code == 2 && talk.contains("certificate.pem"), "{talk}");
    assert!(takes(&mut session(&served), 1_000_000), "the old limits stay with the old certificate");
    served.send("jane@a.example", "From: jane@a.example\nTo: joe@a.example\n\nhi\n");
    assert_eq!(served.mailbox("joe@a.example"), 1, "and the old certificate with its key");
}

#[test]
fn a_certificate_that_changed_is_taken_without_a_word() {
    let served = Served::of("a.example", &["jane"], |text| text.replace("[tls]\n", "[tls]\nwatch_seconds = 1\n"));
    let shown = || served.run(&["doctor", "--offline"]).0.contains("port-other-certificate");
    assert!(!shown());
    let (pem, key) = (served.path("home/tls/certificate.pem"), served.path("home/tls/key.pem"));
    served.run(&["ca", "server-cert", "mail.a.example", "localhost", "-o", &pem, "--key", &key, "--force"]);
    until("the old certificate stays", || !shown());
    // it still takes mail, under the new one
    served.send("jane@a.example", "From: jane@a.example\nTo: jane@a.example\n\nhi\n");
}

#[test]
fn mail_that_waits_takes_the_new_route() {
    let b = Served::of("b.example", &["cherry"], str::to_owned);
    let closed = support::free_port();
    let a = Served::of("a.example", &["jane"], |text| {
        text.replace("[routes]\n", &format!("[routes]\n\"b.example\" = \"127.0.0.1:{closed}\"\n"))
    });
    a.send("jane@a.example", "From: jane@a.example\nTo: cherry@b.example\n\nhi\n");
    until("it is not tried", || a.run(&["queue", "list"]).0.contains("tried 1 times"));
    edit(&a, |text| text.replace(&format!("127.0.0.1:{closed}"), &format!("127.0.0.1:{}", b.port("smtp"))));
    let (said, _) = a.run(&["reload"]);
    assert!(said.contains("changed: how mail goes out"), "{said}");
    a.run(&["queue", "retry", "1"]);
    assert_eq!(b.fetch("cherry@b.example").len(), 1);
}

#[test]
fn a_new_key_of_dkim_is_taken_without_a_restart() {
    let served = Served::of("a.example", &["jane"], |text| format!("{text}\n[dkim]\nfolder = \"dkim\"\n"));
    let letter = "From: jane@a.example\nTo: jane@a.example\n\nhi\n";
    served.send("jane@a.example", letter);
    assert!(!served.fetch("jane@a.example")[0].contains("DKIM-Signature:"));
    served.run(&["dkim", "new", "a.example"]);
    assert_eq!(served.run(&["reload"]).0, "changed: the keys of DKIM\n");
    served.send("jane@a.example", letter);
    assert!(served.fetch("jane@a.example")[0].contains("DKIM-Signature: "));
    assert_eq!(served.run(&["reload"]).0, "", "nothing changed");
}

#[test]
fn files_of_the_pickup_folder_have_the_new_settings() {
    let served = Served::of("a.example", &["jane"], str::to_owned);
    let put = |name: &str, text: &str| {
        let path = |name: &str| served.path(&format!("home/pickup/{name}"));
        fs::write(path(&format!(".{name}")), text).expect("written");
        fs::rename(path(&format!(".{name}")), path(name)).expect("renamed");
    };
    let letter = "From: jane@a.example\nTo: jane@a.example\n\nhi\n";
    put("1.ready", letter);
    assert!(!served.fetch("jane@a.example")[0].contains("DKIM-Signature:"));
    let folder = "\n[dkim]\nfolder = \"dkim\"\n";
    edit(&served, |text| format!("{}{folder}", text.replace("52428800", "70000")));
    served.run(&["dkim", "new", "a.example"]);
    let said = served.run(&["reload"]).0;
    assert!(said.contains("[dkim]") && said.contains("limits.message_bytes 52428800 → 70000"), "{said}");
    put("2.ready", letter);
    assert!(served.fetch("jane@a.example")[0].contains("DKIM-Signature: "));
    put("3.ready", &format!("{letter}{}", "x\n".repeat(2_000_000)));
    let bad = || fs::read_dir(served.path("home/pickup/Badmail")).expect("a folder").count();
    until("it is still taken", || bad() == 2);
    assert!(served.fetch("jane@a.example")[0].contains("552 5.3.4"), "who wrote it is told");
    // nobody answers for this scanner
    edit(&served, |text| text.replace(folder, "\n[[scanner]]\naddress = \"unix:/nowhere/at/all\"\non-failure = \"tempfail\"\n"));
    served.run(&["reload"]);
    put("4.ready", letter);
    let waits = || served.run(&["status"]).0.lines().any(|line| line.starts_with("pickup_waiting") && line.ends_with(" 1"));
    until("no scanner is asked", waits);
    assert_eq!(served.mailbox("jane@a.example"), 0);
}
