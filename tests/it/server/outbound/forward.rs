//! What goes on from here under another name: forwarded mail (SRS), lists, and mail that goes round.

use std::io::BufReader;
use std::net::TcpStream;

use sealpost::server::Service;
use sealpost::server::store::AccountStore;

use super::mx::Mx;
use super::{Host, until};
use crate::server::say;
use crate::support;

/// Brings a letter from elsewhere; gives the last reply.
pub(super) fn bring(host: &Host, sender: &str, to: &str, header: &str) -> String {
    let stream = TcpStream::connect(("127.0.0.1", host.port(Service::Smtp))).expect("it listens");
    let mut stream = BufReader::new(stream);
    let mut last = say(&mut stream, "").expect("greets");
    let body = format!("{header}Subject: hi\r\n\r\nA letter.\r\n.\r\n");
    for line in ["EHLO c.example\r\n", &format!("MAIL FROM:<{sender}>\r\n"), &format!("RCPT TO:<{to}>\r\n"), "DATA\r\n", &body] {
        last = say(&mut stream, line).expect("answers");
        if !last.starts_with(['2', '3']) {
            break;
        }
    }
    last
}

fn senders(mx: &Mx) -> Vec<String> {
    let commands = mx.commands();
    let from = commands.iter().filter_map(|line| line.strip_prefix("MAIL FROM:<")?.split_once('>'));
    from.map(|(sender, _)| sender.to_owned()).collect()
}

#[test]
fn what_is_forwarded_comes_from_us_and_its_bounces_go_on_to_the_author() {
    let mx = Mx::build().run();
    let host = Host::new(&format!("[routes]\n\"*\" = \"127.0.0.1:{}\"\n[delivery]\nsrs = \"on\"\n", mx.port()));
    host.store.add_alias("away@a.example", "jane@b.example").expect("added");
    host.store.add_alias("away@a.example", "jane@a.example").expect("added");
    assert!(bring(&host, "Ann+x@c.example", "away@a.example", "").starts_with("250"));
    until("it has gone", || mx.messages().len() == 1 && host.waiting().is_empty());
    let sender = senders(&mx).remove(0);
    assert!(sender.starts_with("SRS0=") && sender.ends_with("=c.example=Ann+x@a.example"), "{sender}");
    let kept = host.arrived("jane@a.example", 1).remove(0);
    assert!(kept.starts_with("Return-Path: <Ann+x@c.example>\r\n"), "{kept}");
    // what comes back goes on, however the case has changed
    assert!(bring(&host, "", &sender.to_lowercase(), "").starts_with("250"));
    until("it has gone", || mx.messages().len() == 2);
    assert_eq!(senders(&mx)[1], "");
    assert!(mx.commands().contains(&"RCPT TO:<ann+x@c.example>".to_owned()), "{:?}", mx.commands());
    let forged = sender.replace("Ann", "Bob");
    assert!(bring(&host, "", &forged, "").starts_with("550 5.1.1"), "nobody's");
    // a sender of ours stays
    assert!(bring(&host, "jane@a.example", "away@a.example", "").starts_with("250"));
    until("it has gone", || mx.messages().len() == 3);
    assert_eq!(senders(&mx)[2], "jane@a.example");
}

#[test]
fn an_author_who_does_not_fit_into_a_sender_of_ours_stays() {
    let mx = Mx::build().run();
    let host = Host::new(&format!("[routes]\n\"*\" = \"127.0.0.1:{}\"\n[delivery]\nsrs = \"on\"\n", mx.port()));
    host.store.add_alias("away@a.example", "jane@b.example").expect("added");
    // SRS0=HASHHASH=TT=c.example=…: 27 bytes are ours and the domain's
    for (size, fits) in [(37, true), (38, false)] {
        let author = format!("{}@c.example", "x".repeat(size));
        assert!(bring(&host, &author, "away@a.example", "").starts_with("250"));
        until("it has gone", || host.waiting().is_empty());
        let sender = senders(&mx).pop().expect("one");
        assert_eq!(sender == author, !fits, "{sender}");
        assert!(sender.rsplit_once('@').is_some_and(|(local, _)| local.len() == if fits { 64 } else { size }), "{sender}");
    }
}

#[test]
fn without_that_the_sender_stays_and_no_such_address_leads_anywhere() {
    let mx = Mx::build().run();
    let host = Host::new(&format!("[routes]\n\"*\" = \"127.0.0.1:{}\"\n", mx.port()));
    host.store.add_alias("away@a.example", "jane@b.example").expect("added");
    assert!(bring(&host, "ann@c.example", "away@a.example", "").starts_with("250"));
    until("it has gone", || mx.messages().len() == 1);
    assert_eq!(senders(&mx), ["ann@c.example"]);
    assert!(bring(&host, "", "SRS0=AAAAAAAA=AA=c.example=ann@a.example", "").starts_with("550 5.1.1"));
}

#[test]
fn bounces_of_a_list_go_to_its_owner() {
    let mx = Mx::build().says(|line| line.starts_with("RCPT TO:<GONE@").then(|| "550 5.1.1 nobody".to_owned())).run();
    let host = Host::new(&format!("[routes]\n\"*\" = \"127.0.0.1:{}\"\n", mx.port()));
    for (alias, target) in
        [("team@a.example", "ann@b.example"), ("team@a.example", "gone@b.example"), ("owner-team@a.example", "jane@a.example")]
    {
        host.store.add_alias(alias, target).expect("added");
    }
    assert!(bring(&host, "ann@c.example", "team+x@a.example", "").starts_with("250"));
    let bounce = host.arrived("jane@a.example", 1).remove(0);
    assert!(bounce.contains("Final-Recipient: rfc822; gone@b.example\r\nAction: failed"), "{bounce}");
    assert_eq!(senders(&mx), ["owner-team@a.example"]);
    // the author hears nothing of members that he does not know
    until("nothing waits", || host.waiting().is_empty());
    assert_eq!(senders(&mx).len(), 1);
    // a bounce to the list itself keeps its empty sender
    assert!(bring(&host, "", "team@a.example", "").starts_with("250"));
    until("it has gone", || mx.messages().len() == 2);
    assert_eq!(senders(&mx)[1], "");
}

#[test]
fn mail_that_two_servers_send_to_each_other_ends_and_its_sender_hears_of_it() {
    let mx = Mx::build().run();
    let routes = |port: u16| format!("[routes]\n\"c.example\" = \"127.0.0.1:{}\"\n\"*\" = \"127.0.0.1:{port}\"\n", mx.port());
    let mut a = Host::of("a.example", &routes(9));
    // it is told where b is, and comes back where b looks for it
    let port = support::free_port();
    let b = Host::of("b.example", &routes(port));
    a.stop();
    a.config = a.config.replace("127.0.0.1:9\"", &format!("127.0.0.1:{}\"", b.port(Service::Smtp)));
    a.config = a.config.replacen("smtp = \"127.0.0.1:0\"", &format!("smtp = \"127.0.0.1:{port}\""), 1);
    a.start();
    a.store.add_alias("round@a.example", "round@b.example").expect("added");
    b.store.add_alias("round@b.example", "round@a.example").expect("added");
    assert!(bring(&a, "ann@c.example", "round@a.example", "").starts_with("250"));
    until("it ends", || mx.messages().len() == 1);
    let told = mx.messages().remove(0);
    assert!(told.contains("554 5.4.6 the message goes round in circles"), "{told}");
    assert!(told.matches("Received: ").count() >= 100, "{told}");
    until("nothing waits", || a.waiting().is_empty() && b.waiting().is_empty());
}
