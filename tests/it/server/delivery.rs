//! Mail for others: to the next server, later, or back to the sender.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};

use super::dns::Dns;
use super::sendmail::mails;
use super::{Served, say};
use crate::support;

/// jane@a.example, whose mail for these domains goes to these ports.
fn sender(routes: &[(&str, u16)]) -> Served {
    let lines: String = routes.iter().map(|(domain, port)| format!("\"{domain}\" = \"127.0.0.1:{port}\"\n")).collect();
    Served::of("a.example", &["jane"], |text| text.replace("[routes]\n", &format!("[routes]\n{lines}")))
}

fn letter(to: &str) -> String {
    format!("From: jane@a.example\nTo: {to}\nSubject: hi\n\nA letter.\n.dot\n")
}

/// Waits until a command of the program says this; gives all that it said.
fn until(served: &Served, args: &[&str], wanted: impl Fn(&str) -> bool) -> String {
    let begin = std::time::Instant::now();
    loop {
        let (out, _) = served.run(args);
        if wanted(&out) {
            return out;
        }
        assert!(begin.elapsed() < support::LONGEST, "it says {out}");
    }
}

#[test]
fn mail_goes_on_under_tls_and_what_is_refused_comes_back() {
    let b = Served::of("b.example", &["cherry"], str::to_owned);
    let a = sender(&[("b.example", b.port("smtp"))]);
    a.send("jane@a.example", &letter("cherry@b.example, nobody@b.example"));
    let arrived = b.fetch("cherry@b.example");
    let [letter] = arrived.as_slice() else { panic!("{arrived:?}") };
    assert!(
        letter.starts_with(
            "Return-Path: <jane@a.example>\r\nDelivered-To: cherry@b.example\r\nReceived: from mail.a.example ([127.0.0.1])\r\n by \
             mail.b.example with ESMTPS\r\n for <cherry@b.example>\r\n tls TLS_"
        ),
        "{letter}"
    );
    assert!(letter.ends_with("\r\n\r\nA letter.\r\n.dot\r\n"), "{letter}");
    assert_eq!(letter.matches("Return-Path:").count(), 1);
    let came_back = a.fetch("jane@a.example");
    let [bounce] = came_back.as_slice() else { panic!("{came_back:?}") };
    assert!(bounce.starts_with("Return-Path: <>\r\n"), "{bounce}");
    if support::peer("python3") {
        let script = "import email, sys\nm = email.message_from_bytes(sys.stdin.buffer.read())\n\
                      assert m.get_content_type() == 'multipart/report', m.get_content_type()\n\
                      assert m.get_param('report-type') == 'delivery-status' and not m.defects\n\
                      text, status, header = m.get_payload()\n\
                      whole, one = status.get_payload()\n\
                      assert whole['Reporting-MTA'] == 'dns; mail.a.example'\n\
                      print(one['Final-Recipient'], one['Action'], one['Status'], header.get_payload())\n";
        let (code, out, talk) = support::run("python3", &["-c", script], bounce.as_bytes());
        assert_eq!(code, 0, "{talk}");
        let out = String::from_utf8_lossy(&out);
        assert!(out.starts_with("rfc822; nobody@b.example failed 5.1.1") && out.contains("Subject: hi"), "{out}");
    }
    // it leaves when its report is on its way
    until(&a, &["queue", "list"], str::is_empty);
}

/// A server of the test's own: says these lines, one for each that it hears, and gives what it heard.
fn scripted(listener: &TcpListener, replies: &[&str]) -> Vec<String> {
    let (stream, _) = listener.accept().expect("a connection");
    let mut stream = BufReader::new(stream);
    let mut heard = Vec::new();
    for reply in replies {
        stream.get_mut().write_all(reply.as_bytes()).expect("taken");
        let mut line = String::new();
        if stream.read_line(&mut line).unwrap_or(0) == 0 {
            break;
        }
        heard.push(line);
    }
    heard
}

#[test]
fn a_server_that_is_busy_is_asked_again() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let a = sender(&[("b.example", listener.local_addr().expect("bound").port())]);
    a.send("jane@a.example", &letter("cherry@b.example"));
    scripted(&listener, &["220 b\r\n", "250 b\r\n", "250 ok\r\n", "450 4.2.0 come back later\r\n", "221 bye\r\n"]);
    let list = until(&a, &["queue", "list"], |out| out.contains("come back later"));
    assert!(list.contains("<jane@a.example> to <cherry@b.example>  tried 1 times"), "{list}");
    let json: serde_json::Value = serde_json::from_str(&a.run(&["queue", "list", "--json"]).0).expect("JSON");
    assert_eq!(
        (json["queue"][0]["attempts"].as_i64(), json["queue"][0]["recipient"].as_str()),
        (Some(1), Some("cherry@b.example"))
    );
    assert!(a.run(&["queue", "show", "1"]).0.ends_with("\r\n\r\nA letter.\r\n.dot\r\n"));
    a.run(&["queue", "retry", "1"]);
    let heard = scripted(&listener, &["220 b\r\n", "250 b\r\n", "250 ok\r\n", "250 ok\r\n", "354 go\r\n"]);
    assert_eq!(heard.get(3).map(String::as_str), Some("DATA\r\n"), "{heard:?}");
    // the connection broke before the message was taken: it waits again
    until(&a, &["queue", "list"], |out| out.contains("tried 2 times"));
    a.run(&["queue", "drop", "1"]);
    assert_eq!(a.run(&["queue", "list"]).0, "");
}

#[test]
fn a_server_whose_tls_is_broken_gets_its_mail_without() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let a = sender(&[("b.example", listener.local_addr().expect("bound").port())]);
    a.send("jane@a.example", &letter("cherry@b.example"));
    // the handshake begins, and what answers it is none
    let (stream, _) = listener.accept().expect("a connection");
    let mut stream = BufReader::new(stream);
    for reply in ["220 b\r\n", "250-b\r\n250 STARTTLS\r\n"] {
        stream.get_mut().write_all(reply.as_bytes()).expect("taken");
        stream.read_line(&mut String::new()).expect("a command");
    }
    stream.get_mut().write_all(b"220 go\r\n").expect("taken");
    stream.read_exact(&mut [0; 5]).expect("a handshake");
    stream.get_mut().write_all(b"this is no handshake\r\n").expect("taken");
    drop(stream);
    let again = ["220 b\r\n", "250-b\r\n250 STARTTLS\r\n", "250 ok\r\n", "250 ok\r\n", "354 go\r\n"];
    let heard = scripted(&listener, &again);
    let verbs: Vec<&str> = heard.iter().filter_map(|line| line.split([' ', '\r']).next()).collect();
    assert_eq!(verbs.get(..4), Some(&["EHLO", "MAIL", "RCPT", "DATA"][..]), "{heard:?}");
}

#[test]
fn servers_are_found_by_mx_and_domains_without_mail_bounce_at_once() {
    let c = Served::of("c.example", &["dora"], str::to_owned);
    // RFC 7505: no mail at null.example
    let dns = Dns::run("c.example MX 20 in.c.example\nin.c.example A 127.0.0.1\nnull.example MX 0 .\n");
    let (resolver, port) = (dns.address, c.port("smtp"));
    let a = Served::of("a.example", &["jane"], |text| {
        let found = format!("[delivery]\nresolver = \"{resolver}\"\nport = {port}\n");
        text.split("[delivery]").next().unwrap_or_default().to_owned() + &found
    });
    a.send("jane@a.example", &letter("dora@c.example, x@null.example, y@missing.example"));
    assert_eq!(c.fetch("dora@c.example").len(), 1);
    // each domain is looked up alone, and has a report of its own
    let bounces = mails(&a, "jane@a.example", 2).concat();
    assert!(bounces.contains("null.example takes no mail (null MX)"), "{bounces}");
    assert!(bounces.contains("the domain missing.example does not exist"), "{bounces}");
}

#[test]
fn trace_shows_what_is_said_without_passwords_and_status_what_runs() {
    let a = Served::new();
    let mut trace = Command::new(env!("CARGO_BIN_EXE_sealpost"))
        .args(["--home", &a.path("home"), "trace"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut lines = BufReader::new(trace.stdout.take().expect("piped")).lines();
    // knock until the trace listens
    let (knocked, knocking) = std::sync::mpsc::channel::<()>();
    let port = a.port("smtp");
    let knocker = std::thread::spawn(move || {
        while knocking.try_recv().is_err() {
            let mut greeting = [0; 3];
            let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("connects");
            stream.read_exact(&mut greeting).expect("greets");
        }
    });
    lines.next().expect("a line").expect("text");
    knocked.send(()).expect("it knocks");
    knocker.join().expect("it ends");
    a.send("jane@a.example", &letter("joe@a.example"));
    let mut shown = String::new();
    for line in lines.by_ref() {
        let line = line.expect("text");
        shown.push_str(&line);
        shown.push('\n');
        if line.ends_with("C: QUIT") {
            break;
        }
    }
    trace.kill().expect("killed");
    trace.wait().expect("gone");
    for wanted in [
        "C: EHLO a.example",
        "C: AUTH SCRAM-SHA-256-PLUS (secret)",
        "S: 334 (secret)",
        "C: MAIL FROM:<jane@a.example>",
        "a message of",
        "S: 250 2.0.0",
    ] {
        assert!(shown.contains(wanted), "{wanted} in {shown}");
    }
    // base64 of NUL jane@a.example NUL secret-word
    assert!(!shown.contains("AGphbmVAYS5leGFtcGxlAHNlY3JldC") && !shown.contains("A letter."), "{shown}");
    let status: serde_json::Value = serde_json::from_str(&a.run(&["status", "--json"]).0).expect("JSON");
    assert_eq!(status["pid"].as_u64(), Some(u64::from(a.child.id())));
    assert_eq!(status["smtp"].as_str(), Some(format!("127.0.0.1:{}", a.port("smtp")).as_str()));
}

#[test]
fn an_alias_leads_to_other_servers_too() {
    let b = Served::of("b.example", &["cherry"], str::to_owned);
    let a = sender(&[("b.example", b.port("smtp"))]);
    a.run(&["alias", "add", "all@a.example", "cherry@b.example"]);
    a.run(&["alias", "add", "all@a.example", "jane@a.example"]);
    a.send("jane@a.example", &letter("all@a.example"));
    assert_eq!((a.fetch("jane@a.example").len(), b.fetch("cherry@b.example").len()), (1, 1));
}

#[test]
fn a_submission_has_one_readable_from_that_is_the_users() {
    let a = Served::new();
    let via = format!("localhost:{}", a.port("submission"));
    let send = |header: &str| {
        let letter = a.path("letter.eml");
        std::fs::write(&letter, format!("{header}\nTo: joe@a.example\nSubject: hi\n\nhi\n")).expect("written");
        let (home, pw) = (a.path("home"), a.path("pw"));
        let user = ["--user", "jane@a.example", "--from", "jane@a.example", "--passphrase-file", &pw];
        let args = [&["--home", &home, "send", &letter, "--via", &via], &user[..]].concat();
        support::run(env!("CARGO_BIN_EXE_sealpost"), &args, b"")
    };
    assert_eq!(send("From: Jane <jane@a.example>").0, 0);
    for (header, why) in [
        ("From: joe@a.example", "5.7.1 jane@a.example may not write as joe@a.example"),
        ("From: jane@a.example\nFrom: joe@a.example", "one From field"),
        ("From : joe@a.example", "may not write as joe@a.example"),
        ("From: <joe@a.example", "5.6.0"),
        ("From: \"nobody\"", "5.6.0"),
        ("X: y", "one From field"),
    ] {
        let (code, _, talk) = send(header);
        assert!(code == 9 && talk.contains(why), "{header}: {code} {talk}");
    }
    assert_eq!(a.mailbox("joe@a.example"), 1);
}

#[test]
fn the_postmaster_has_mail_and_one_folder_holds_several_mailboxes() {
    let a = Served::new();
    let (smtp, inbox) = (format!("localhost:{}", a.port("smtp")), a.path("all"));
    let letter = a.path("letter.eml");
    std::fs::write(&letter, "From: x@b.example\nTo: joe@a.example\n\nhi\n").expect("written");
    a.run(&["send", &letter, "--via", &smtp, "--to", "postmaster", "--to", "joe@a.example", "--to", "Postmaster@mail.a.example"]);
    // the first user reads the postmaster's mail: one letter, whatever the names
    let from = format!("localhost:{}", a.port("pop3"));
    let fetch = |user: &str, more: &[&str]| a.run(&[&["fetch", "--from", &from, "--user", user, "-o", &inbox], more].concat()).0;
    assert_eq!(fetch("jane@a.example", &[]).lines().count(), 1);
    assert_eq!(fetch("joe@a.example", &[]).lines().count(), 1, "it has the same number in another mailbox");
    assert_eq!(fetch("joe@a.example", &["--delete"]), "", "it is here already, and goes there");
    assert_eq!((a.mailbox("joe@a.example"), a.mailbox("jane@a.example")), (0, 1));
}

#[test]
fn what_is_no_address_is_no_user_and_no_alias() {
    let a = Served::new();
    let run = |args: &[&str]| {
        support::run(env!("CARGO_BIN_EXE_sealpost"), &[&["--home", &a.path("home"), "--batch"], args].concat(), b"")
    };
    for args in [["alias", "add", "all@a.example", "cherry"], ["alias", "add", "all", "x@b.example"]] {
        assert_eq!(run(&args).0, 2, "{args:?}");
    }
    for args in [["user", "add", "jane"], ["user", "add", "a b@a.example"], ["domain", "add", "a b"], ["domain", "add", "a:25"]] {
        assert_eq!(run(&args).0, 2, "{args:?}");
    }
    let (code, out, _) = run(&["domain", "add", "c.example", "--json"]);
    assert_eq!((code, String::from_utf8_lossy(&out).as_ref()), (0, "{\"schema\":\"sealpost.domain.add/1\",\"exit\":0}\n"));
}

/// A session that said the line with the sender.
fn from(served: &Served, line: &str) -> BufReader<TcpStream> {
    let mut stream = BufReader::new(TcpStream::connect(("127.0.0.1", served.port("smtp"))).expect("it listens"));
    for line in ["", "EHLO b.example\r\n", line] {
        assert!(say(&mut stream, line).expect("a reply").starts_with('2'), "{line}");
    }
    stream
}

#[test]
fn who_asked_hears_that_his_message_is_in_the_mailbox() {
    let served = Served::new();
    let mut stream = from(&served, "MAIL FROM:<jane@a.example> RET=HDRS ENVID=e1\r\n");
    for line in [
        "RCPT TO:<joe+x@a.example> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;joe@old.example\r\n",
        "RCPT TO:<jane@a.example> NOTIFY=FAILURE\r\n",
        "DATA\r\n",
        "Subject: x\r\n\r\nA letter.\r\n.\r\n",
    ] {
        assert!(say(&mut stream, line).expect("a reply").starts_with(['2', '3']), "{line}");
    }
    let inbox = served.fetch("jane@a.example");
    let told: Vec<_> = inbox.iter().filter(|one| one.contains("report-type=delivery-status")).collect();
    let [told] = told.as_slice() else { panic!("{inbox:?}") };
    for part in [
        "Return-Path: <>\r\n",
        "Original-Envelope-Id: e1\r\n",
        "Original-Recipient: rfc822; joe@old.example\r\nFinal-Recipient: rfc822; joe+x@a.example\r\nAction: delivered\r\nStatus: 2.1.5\r\n",
        "Subject: x\r\n",
    ] {
        assert!(told.contains(part), "{part} in {told}");
    }
    assert!(!told.contains("jane@a.example\r\nAction") && !told.contains("A letter."), "{told}");
}

#[test]
fn a_full_mailbox_takes_nothing_until_there_is_room() {
    let served = Served::new();
    served.run(&["user", "quota", "joe@a.example", "1000"]);
    let mut stream = from(&served, "MAIL FROM:<x@b.example>\r\n");
    let large = format!("Subject: x\r\n\r\n{}.\r\n", "A long letter.\r\n".repeat(100));
    for (line, reply) in [
        ("RCPT TO:<joe@a.example>\r\n", "250"),
        ("DATA\r\n", "354"),
        (large.as_str(), "552 5.2.2"),
        ("MAIL FROM:<x@b.example>\r\n", "250"),
        ("RCPT TO:<joe@a.example>\r\n", "250"),
        ("RCPT TO:<jane@a.example>\r\n", "250"),
        ("DATA\r\n", "354"),
        (large.as_str(), "250"),
        ("MAIL FROM:<x@b.example>\r\n", "250"),
        ("RCPT TO:<joe@a.example>\r\n", "452 4.2.2"),
    ] {
        let said = say(&mut stream, line).expect("a reply");
        assert!(said.starts_with(reply), "{line}: {said}");
    }
    assert!(!served.fetch("joe@a.example").is_empty());
    let said = say(&mut stream, "RCPT TO:<joe@a.example>\r\n").expect("a reply");
    assert!(said.starts_with("250"), "{said}");
}
