//! Filters of users and scanners, in the server that runs.

use std::io::{BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};

use super::drills::hostile::memory;
use super::{Served, say};
use crate::support;

fn letter(to: &str, subject: &str) -> String {
    format!("From: joe@a.example\nTo: {to}\nSubject: {subject}\n\nA letter.\n")
}

#[test]
fn a_filter_files_discards_refuses_sends_on_and_answers() {
    let served = Served::new();
    let script = served.path("rules.sieve");
    let rules = "require [\"fileinto\", \"reject\", \"vacation\"];\n\
        if header :is \"subject\" \"file\" { fileinto \"Work/A\"; stop; }\n\
        if header :is \"subject\" \"gone\" { discard; stop; }\n\
        if header :is \"subject\" \"no\" { reject \"not now\"; stop; }\n\
        if header :is \"subject\" \"on\" { redirect \"joe@a.example\"; stop; }\n\
        vacation \"I am away.\";\n";
    std::fs::write(&script, rules).expect("written");
    served.run(&["user", "filter", "jane@a.example", "--check", &script]);
    served.run(&["user", "filter", "jane@a.example", &script]);
    assert_eq!(served.run(&["user", "filter", "jane@a.example", "--show"]).0, rules);
    for subject in ["file", "gone", "on", "kept"] {
        served.send("joe@a.example", &letter("jane@a.example", subject));
    }
    let inbox = served.fetch("jane@a.example");
    assert!(matches!(inbox.as_slice(), [one] if one.contains("Subject: kept")), "{inbox:?}");
    let mut joe = served.fetch("joe@a.example");
    joe.sort();
    let [answer, sent_on] = joe.as_slice() else { panic!("{joe:?}") };
    assert!(
        answer.starts_with("Return-Path: <>\r\n") && answer.contains("Subject: Auto: kept") && answer.contains("I am away."),
        "{answer}"
    );
    assert!(sent_on.contains("X-Sieve-Redirected-From: jane@a.example") && sent_on.contains("Subject: on"), "{sent_on}");
    // a reply is given once, and one refusal to one recipient is told in the conversation
    served.send("joe@a.example", &letter("jane@a.example", "again"));
    served.send("joe@a.example", &letter("jane@a.example, joe@a.example", "no"));
    let joe = served.fetch("joe@a.example");
    assert!(joe.iter().any(|one| one.contains("Subject: Your message was refused") && one.contains("not now")), "{joe:?}");
    assert!(!joe.iter().any(|one| one.contains("Auto: again")), "{joe:?}");
    let filed = served.stored("jane@a.example/Work/A");
    assert!(matches!(filed.as_slice(), [one] if one.contains("Subject: file")), "{filed:?}");
    served.run(&["user", "filter", "jane@a.example", "--remove"]);
    assert_eq!(served.run(&["user", "filter", "jane@a.example", "--show"]).0, "");
    // whoever gets the name next gets neither the filter nor the folders
    served.run(&["user", "filter", "jane@a.example", "--ready", "spam"]);
    served.run(&["user", "remove", "jane@a.example"]);
    served.run(&["user", "add", "jane@a.example"]);
    assert_eq!(served.run(&["user", "filter", "jane@a.example", "--show"]).0, "");
    assert!(served.stored("jane@a.example/Work/A").is_empty());
}

#[test]
fn what_a_filter_sends_on_to_who_is_full_stays_with_the_one_who_sends_it_on() {
    let served = Served::new();
    std::fs::write(served.path("rules.sieve"), "redirect \"joe@a.example\";").expect("written");
    served.run(&["user", "filter", "jane@a.example", &served.path("rules.sieve")]);
    let of = |user: &str, subject: &str| served.stored(user).iter().any(|one| one.contains(&format!("Subject: {subject}\r\n")));
    served.send("joe@a.example", &letter("jane@a.example", "fits"));
    assert!(of("joe@a.example", "fits") && !of("jane@a.example", "fits"));
    served.run(&["user", "quota", "joe@a.example", "100"]);
    served.send("joe@a.example", &letter("jane@a.example", "does not"));
    let (jane, joe) = (served.stored("jane@a.example"), served.stored("joe@a.example"));
    assert!(!of("joe@a.example", "does not") && of("jane@a.example", "does not"), "{jane:?} {joe:?}");
    assert!(jane.iter().any(|one| one.contains("X-Sieve-Redirected-From: jane@a.example\r\n")), "{jane:?}");
    served.run(&["user", "quota", "joe@a.example", "0"]);
    served.send("joe@a.example", &letter("jane@a.example", "fits again"));
    assert!(of("joe@a.example", "fits again"));
}

#[test]
fn large_messages_that_a_filter_reads_and_sends_on_are_not_held_at_once() {
    let bounded = |text: &str| {
        let text = text.replace("message_bytes = 52428800", "message_bytes = 10000000");
        assert!(text.contains("message_bytes = 10000000"), "{text}");
        text
    };
    let served = Served::of("a.example", &["jane", "joe"], bounded);
    std::fs::write(served.path("rules.sieve"), "redirect \"joe@a.example\";").expect("written");
    served.run(&["user", "filter", "jane@a.example", &served.path("rules.sieve")]);
    let send = |message: &[u8]| {
        let mut stream = BufReader::new(TcpStream::connect(("localhost", served.port("smtp"))).expect("it listens"));
        let head = ["", "EHLO b.example\r\n", "MAIL FROM:<ann@b.example>\r\n", "RCPT TO:<jane@a.example>\r\n", "DATA\r\n"];
        for line in head {
            say(&mut stream, line).expect("it answers");
        }
        stream.get_mut().write_all(message).expect("taken");
        let reply = say(&mut stream, ".\r\n").expect("it answers");
        assert!(reply.starts_with("250"), "{reply}");
    };
    let all_at_once = |message: &[u8]| {
        std::thread::scope(|scope| (0..4).for_each(|_| drop(scope.spawn(|| send(message)))));
    };
    // the first ones cost what all have in common
    all_at_once(b"From: ann@b.example\r\n\r\nsmall\r\n");
    let before = memory(&served, "VmHWM:");
    let line = b"a line of the message, as long as lines of mail are\r\n";
    all_at_once(&[b"From: ann@b.example\r\n\r\n", line.repeat(170_000).as_slice()].concat());
    let more = memory(&served, "VmHWM:").saturating_sub(before);
    eprintln!("four messages of 9 MB: {more} KiB more");
    let joe = served.stored("joe@a.example");
    let large = joe.iter().filter(|one| one.len() > 9_000_000 && one.contains("X-Sieve-Redirected-From: jane@a.example"));
    assert!(joe.len() == 8 && large.count() == 4 && more < 32 << 10, "{more} KiB");
}

#[test]
fn what_a_filter_files_is_fetched_from_its_folder() {
    let served = Served::new();
    let script = served.path("rules.sieve");
    let rules = "require [\"fileinto\", \"copy\"];\nif header :is \"subject\" \"both\" { fileinto :copy \"Junk/2026\"; fileinto \"InBox\"; }\n";
    std::fs::write(&script, rules).expect("written");
    served.run(&["user", "filter", "jane@a.example", &script]);
    served.send("joe@a.example", &letter("jane@a.example", "both"));
    for mailbox in ["jane@a.example", "jane@a.example/Junk/2026"] {
        let got = served.fetch(mailbox);
        assert!(matches!(got.as_slice(), [one] if one.contains("Subject: both")), "{mailbox}: {got:?}");
        assert!(served.stored(mailbox).is_empty(), "{mailbox}: it was deleted there");
    }
    // nobody sends as a folder
    let (letter, via) = (served.path("letter.eml"), format!("localhost:{}", served.port("submission")));
    let (home, pw) = (served.path("home"), served.path("pw"));
    let args =
        ["--home", &home, "--batch", "--passphrase-file", &pw, "send", &letter, "--via", &via, "--user", "joe@a.example/Junk"];
    let (code, _, talk) = support::run(env!("CARGO_BIN_EXE_sealpost"), &args, b"");
    assert!(code != 0 && talk.contains("535"), "{code}: {talk}");
}

#[test]
fn a_filter_answers_as_nobody_who_its_user_may_not_be() {
    let served = Served::new();
    served.run(&["alias", "add", "office@a.example", "jane@a.example"]);
    for (from, wanted) in [
        ("joe@a.example", "jane@a.example"),
        ("x@b.example", "jane@a.example"),
        ("Office <office@a.example>", "office@a.example"),
    ] {
        let script = served.path("rules.sieve");
        std::fs::write(&script, format!("require \"vacation\"; vacation :from \"{from}\" \"I am away.\";\n")).expect("written");
        served.run(&["user", "filter", "jane@a.example", &script]);
        served.send("joe@a.example", &letter("jane@a.example", "hi"));
        let answers = served.fetch("joe@a.example");
        let [answer] = answers.as_slice() else { panic!("{answers:?}") };
        let author = answer.lines().find(|line| line.starts_with("From:")).unwrap_or_default();
        assert!(author.contains(wanted), "{from}: {answer}");
    }
}

/// A scanner that adds a field, and refuses what says so.
fn scanner(listener: &TcpListener) {
    let packet = |letter: u8, content: &[u8]| {
        let length = u32::try_from(content.len() + 1).expect("small");
        [&length.to_be_bytes()[..], &[letter], content].concat()
    };
    for stream in listener.incoming() {
        let mut stream = stream.expect("a connection");
        let mut is_bad = false;
        loop {
            let mut head = [0; 4];
            if stream.read_exact(&mut head).is_err() {
                break;
            }
            let mut content = vec![0; usize::try_from(u32::from_be_bytes(head)).expect("small")];
            stream.read_exact(&mut content).expect("a packet");
            let answer = match content[0] {
                b'O' => packet(b'O', &[6_u32, 0x1, 0x000f_f080].map(u32::to_be_bytes).concat()),
                b'B' => {
                    is_bad |= content.windows(5).any(|window| window == b"EICAR");
                    continue;
                }
                b'E' if is_bad => packet(b'y', b"554 5.7.1 a virus\0"),
                b'E' => [packet(b'h', b"X-Scanned\0clean\0"), packet(b'c', b"")].concat(),
                _ => continue,
            };
            stream.write_all(&answer).expect("answered");
        }
    }
}

#[test]
fn a_scanner_adds_fields_and_refuses_and_while_it_is_gone_mail_waits() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    std::thread::spawn(move || scanner(&listener));
    let gone = support::free_port();
    let part = format!(
        "\n[[scanner]]\naddress = \"inet:127.0.0.1:{gone}\"\non-failure = \"accept\"\n\n[[scanner]]\naddress = \"inet:127.0.0.1:{port}\"\n"
    );
    let served = Served::of("a.example", &["jane", "joe"], |text| format!("{text}{part}"));
    served.send("joe@a.example", &letter("jane@a.example", "clean"));
    let told = |served: &Served, body: &str| {
        let script = format!(
            "import smtplib\ns = smtplib.SMTP('127.0.0.1', {})\ntry:\n s.sendmail('joe@c.example', ['jane@a.example'], 'From: joe@c.example\\n\\n{body}')\n\
             except smtplib.SMTPResponseException as e:\n print(e.smtp_code, e.smtp_error.decode())\n",
            served.port("smtp")
        );
        let (code, out, talk) = support::run("python3", &["-c", &script], b"");
        assert_eq!(code, 0, "{talk}");
        String::from_utf8_lossy(&out).trim().to_owned()
    };
    if support::peer("python3") {
        assert_eq!(told(&served, "an EICAR test"), "554 5.7.1 a virus");
        let waits = Served::of("a.example", &["jane"], |text| format!("{text}{}", part.replace("accept", "tempfail")));
        assert!(told(&waits, "anything").starts_with("451 4.7.1 the message cannot be looked at now"));
    }
    let inbox = served.fetch("jane@a.example");
    assert!(matches!(inbox.as_slice(), [one] if one.contains("X-Scanned: clean\r\n\r\nA letter.")), "{inbox:?}");
}
