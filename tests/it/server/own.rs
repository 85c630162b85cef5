//! What the server writes itself: signed by the domain that it is from, as others check it.

use std::io::BufReader;
use std::net::TcpStream;

use super::dns::Dns;
use super::policy::{checking, has_dkimpy, records};
use super::{Served, say};
use crate::support;

/// Hands a message to a server for these recipients, who stand with what is asked about them.
fn hand(served: &Served, sender: &str, recipients: &[&str], message: &str) {
    let mut stream = BufReader::new(TcpStream::connect(("127.0.0.1", served.port("smtp"))).expect("connects"));
    say(&mut stream, "").expect("a greeting");
    let recipients = recipients.iter().map(|recipient| format!("RCPT TO:{recipient}"));
    let lines = ["EHLO mail.b.example".to_owned(), format!("MAIL FROM:<{sender}>")].into_iter().chain(recipients);
    for line in lines {
        let reply = say(&mut stream, &format!("{line}\r\n")).expect("a reply");
        assert!(reply.starts_with("250"), "{line}: {reply}");
    }
    say(&mut stream, "DATA\r\n").expect("a reply");
    assert!(say(&mut stream, &format!("{message}.\r\n")).expect("a reply").starts_with("250"));
}

/// dkimpy finds a good signature by each of these keys, whose records are as they are published.
pub(super) fn is_signed(records: &[(String, String)], message: &str) {
    assert_eq!(message.matches("DKIM-Signature:").count(), records.len(), "{message}");
    if !support::peer("python3") || !has_dkimpy() {
        return;
    }
    let table: String = records.iter().map(|(name, text)| format!("b'{name}.': b'{text}',")).collect();
    let script = format!(
        "import dkim, sys\ntable = {{{table}}}\nd = dkim.DKIM(sys.stdin.buffer.read())\n\
         print(all(d.verify(idx=i, dnsfunc=lambda name, timeout=5: table.get(name)) for i in range(len(table))))"
    );
    let (code, out, talk) = support::run("/usr/bin/python3", &["-c", &script], message.as_bytes());
    assert_eq!((code, String::from_utf8_lossy(&out).trim()), (0, "True"), "{talk}\n{message}");
}

#[test]
fn reports_refusals_and_answers_of_filters_pass_dmarc_elsewhere() {
    let dns = Dns::run("_dmarc.a.example TXT v=DMARC1; p=reject\n");
    let b = checking(&dns);
    let next = format!("127.0.0.1:{}", b.port("smtp"));
    let route = format!("[dkim]\nfolder = \"dkim\"\n[routes]\n\"b.example\" = \"{next}\"\n\"c.example\" = \"{next}\"\n");
    let a = Served::of("a.example", &["jane", "joe"], |text| text.replace("[routes]\n", &route));
    a.run(&["dkim", "new", "a.example"]);
    a.run(&["reload"]);
    let records = records(&a);
    records.iter().for_each(|(name, text)| dns.text(name, text));
    for (user, rules) in [
        ("jane", "require \"vacation\"; vacation \"I am away \u{2013} far away.\";\n"),
        ("joe", "require \"reject\"; reject \"not now\";\n"),
    ] {
        let script = a.path("rules.sieve");
        std::fs::write(&script, rules).expect("written");
        a.run(&["user", "filter", &format!("{user}@a.example"), &script]);
    }
    // b.example knows nobody at c.example: what is sent on there comes back
    a.run(&["alias", "add", "gone@a.example", "nobody@c.example"]);
    let letter =
        "From: Bob <bob@b.example>\r\nTo: jane@a.example\r\nSubject: hi\r\nMessage-ID: <1@b.example>\r\n\r\nA letter.\r\n";
    hand(&a, "bob@b.example", &["<jane@a.example> NOTIFY=SUCCESS,FAILURE", "<joe@a.example>", "<gone@a.example>"], letter);
    let mut arrived = Vec::new();
    while arrived.len() < 4 {
        arrived.extend(b.fetch("bob@b.example"));
    }
    for (subject, author) in [
        ("Your message could not be delivered", "postmaster@mail.a.example"),
        ("Your message was delivered", "postmaster@mail.a.example"),
        ("Your message was refused", "postmaster@mail.a.example"),
        ("Auto: hi", "jane@a.example"),
    ] {
        let told = arrived.iter().find(|one| one.contains(&format!("\r\nSubject: {subject}\r\n")));
        let told = told.unwrap_or_else(|| panic!("{subject} in {arrived:?}"));
        assert!(told.starts_with("Return-Path: <>\r\n") && told.contains(author), "{told}");
        // b.example asks the records, and refuses what DMARC asks to refuse
        assert_eq!((told.matches("dkim=pass").count(), told.matches("dmarc=pass").count()), (2, 1), "{told}");
        is_signed(&records, told);
    }
}
