//! The queue against servers and names that fail: what is tried again, over which connections, and what senders hear of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use sealpost::proto::smtp::Addressee;
use sealpost::proto::smtp::client::Terms;
use sealpost::server::store::{AccountStore, Delivery, Priority, QueueStore, SqliteStore, Store};
use sealpost::time::Timestamp;

use super::dns::Dns;
use super::forward::bring;
use super::mx::Mx;
use super::{Host, LETTER, now, until};
use crate::server::Served;
use crate::server::drills::hostile::memory;
use crate::server::own::is_signed;
use crate::support::LONGEST;

/// A server of ours that finds others by these names, at this port, without TLS policies.
fn host(dns: &Dns, port: u16, more: &str) -> Host {
    Host::new(&format!("[delivery]\nresolver = \"{}\"\nport = {port}\ndane = \"off\"\nmta_sts = \"off\"\n{more}", dns.address))
}

#[test]
fn messages_for_one_server_share_a_connection_that_ends_when_it_idles() {
    let mx = Mx::build().run();
    let dns = Dns::run("b.example MX 10 mx.b.example\nmx.b.example A 127.0.0.1\n");
    let mut host = host(&dns, mx.port(), "per_destination = 1\n");
    host.finds(&["x@b.example"; 5]);
    until("all have gone", || mx.messages().len() == 5);
    assert_eq!(mx.connections().len(), 1, "{:?}", mx.connections());
    host.send(&["y@b.example"]);
    until("one more", || mx.messages().len() == 6);
    until("the connection has ended", || mx.commands().last().is_some_and(|line| line == "QUIT"));
    let verbs = mx.connections().remove(0);
    assert_eq!(verbs.iter().filter(|verb| *verb == "EHLO").count(), 1, "{verbs:?}");
    assert!(host.waiting().is_empty());
}

#[test]
fn a_message_that_is_refused_does_not_end_the_connection_for_the_next() {
    let mx = Mx::build().says(|line| line.starts_with("RCPT TO:<NOBODY").then(|| "550 5.1.1 nobody".to_owned())).run();
    let dns = Dns::run("b.example MX 10 mx.b.example\nmx.b.example A 127.0.0.1\n");
    let mut host = host(&dns, mx.port(), "per_destination = 1\n");
    host.finds(&["x@b.example", "nobody@b.example", "y@b.example"]);
    let bounces = host.arrived("jane@a.example", 1);
    assert!(
        bounces[0].contains("Final-Recipient: rfc822; nobody@b.example\r\nAction: failed\r\nStatus: 5.1.1"),
        "{}",
        bounces[0]
    );
    until("both have gone", || mx.messages().len() == 2);
    let all = mx.connections();
    let [verbs] = all.as_slice() else { panic!("{all:?}") };
    assert!(verbs.contains(&"RSET".to_owned()), "{verbs:?}");
}

#[test]
fn one_destination_has_so_many_connections_and_no_more() {
    let (open, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (now_open, seen, letters) = (Arc::clone(&open), Arc::clone(&most), AtomicUsize::new(0));
    let mx = Mx::build()
        .says(move |line| {
            if line == "." {
                let begin = Instant::now();
                seen.fetch_max(now_open.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                // a second connection is made when the first one is known to work; all behind the first letter wait for it
                let is_first = letters.fetch_add(1, Ordering::SeqCst) == 0;
                while !is_first && seen.load(Ordering::SeqCst) < 2 && begin.elapsed() < LONGEST / 10 {
                    std::thread::sleep(Duration::from_millis(10));
                }
                std::thread::sleep(Duration::from_millis(60));
                now_open.fetch_sub(1, Ordering::SeqCst);
            }
            None
        })
        .run();
    let dns = Dns::run("b.example MX 10 mx.b.example\nmx.b.example A 127.0.0.1\n");
    let mut host = host(&dns, mx.port(), "per_destination = 3\n");
    host.finds(&["x@b.example"; 24]);
    until("all have gone", || mx.messages().len() == 24 && host.waiting().is_empty());
    let most = most.load(Ordering::SeqCst);
    assert!((2..=3).contains(&most) && mx.connections().len() <= 6, "{most} at once, {} in all", mx.connections().len());
}

#[test]
fn a_hundred_destinations_do_not_wait_for_one_that_hangs() {
    let mx = Mx::build().run();
    let (hangs, is_hanging) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicBool::new(false)));
    let (holds, seen) = (Arc::clone(&hangs), Arc::clone(&is_hanging));
    let hanging = Mx::build()
        .says(move |line| {
            seen.store(true, Ordering::SeqCst);
            while line.is_empty() && holds.load(Ordering::SeqCst) {
                std::thread::sleep(Duration::from_millis(10));
            }
            None
        })
        .run_at("127.0.0.2".parse().expect("an address"), mx.port());
    let names: String = (0..100).map(|n| format!("d{n}.example MX 10 mx.example\n")).collect();
    let dns = Dns::run(&format!("{names}mx.example A 127.0.0.1\nslow.example MX 10 slow.example\nslow.example A 127.0.0.2\n"));
    let host = host(&dns, mx.port(), "connections = 20\n");
    host.send(&["x@slow.example"]);
    until("it hangs", || is_hanging.load(Ordering::SeqCst));
    let all: Vec<String> = (0..100).map(|n| format!("x@d{n}.example")).collect();
    host.send(&all.iter().map(String::as_str).collect::<Vec<_>>());
    until("all have gone", || mx.messages().len() == 100);
    assert!(hanging.messages().is_empty(), "all others came before the slow one");
    hangs.store(false, Ordering::SeqCst);
    until("the slow one, too", || host.waiting().is_empty());
}

#[test]
fn the_next_server_is_asked_where_one_is_down_or_busy_or_leaves() {
    if std::net::TcpListener::bind("[::1]:0").is_err() {
        return crate::support::skip("this machine has no IPv6");
    }
    let (busy, good) = (
        Mx::build().says(|line| line.starts_with("RCPT").then(|| "451 4.3.0 later".to_owned())).run(),
        "127.0.0.4".parse().expect("an address"),
    );
    let port = busy.port();
    let good = Mx::build().run_at(good, port);
    let leaving = Mx::build().says(|line| (line == ".").then(String::new)).run_at("127.0.0.3".parse().expect("an address"), port);
    let six = Mx::build().run_at("::1".parse().expect("an address"), port);
    // nobody listens at 127.0.0.9; of several addresses of one host, each is tried
    let dns = Dns::run(
        "down.example MX 10 one.down.example\ndown.example MX 20 two.down.example\n\
         one.down.example A 127.0.0.9\ntwo.down.example A 127.0.0.4\n\
         busy.example MX 10 one.busy.example\nbusy.example MX 20 two.busy.example\n\
         one.busy.example A 127.0.0.1\ntwo.busy.example A 127.0.0.4\n\
         leaves.example MX 5 one.leaves.example\nleaves.example MX 20 two.leaves.example\n\
         one.leaves.example A 127.0.0.3\ntwo.leaves.example A 127.0.0.4\n\
         many.example MX 10 mx.many.example\nmx.many.example A 127.0.0.9\nmx.many.example A 127.0.0.4\n\
         six.example MX 10 mx.six.example\nmx.six.example AAAA ::1\n\
         both.example MX 10 mx.both.example\nmx.both.example AAAA ::1\nmx.both.example A 127.0.0.4\n\
         alias.example CNAME real.example\nreal.example MX 10 cname.real.example\n\
         cname.real.example CNAME host.real.example\nhost.real.example A 127.0.0.4\n\
         alone.example A 127.0.0.4\nnohost.example MX 10 gone.nohost.example\nnohost.example MX 20 mx.many.example\n",
    );
    let host = host(&dns, port, "");
    let domains = ["down", "busy", "leaves", "many", "six", "both", "alias", "alone", "nohost"];
    for domain in domains {
        host.send(&[&format!("{domain}@{domain}.example")]);
    }
    until("all have gone", || host.waiting().is_empty());
    let got = |mx: &Mx, who: &str| mx.commands().iter().any(|line| line.starts_with(&format!("RCPT TO:<{who}@")));
    for who in ["down", "busy", "leaves", "many", "alias", "alone", "nohost"] {
        assert!(got(&good, who), "{who}: {:?}", good.commands());
    }
    assert!(got(&six, "six") && got(&six, "both"), "{:?}", six.commands());
    // the one that left after the whole message may have kept it: the one duplicate that RFC 5321 4.2.5 leaves
    assert_eq!((leaving.messages().len(), good.messages().len(), six.messages().len()), (1, 7, 2));
    assert!(host.mailbox("jane@a.example").is_empty(), "nothing bounced");
}

/// A message that is read in pieces; each line begins with a dot.
fn large() -> Vec<u8> {
    let line = b".a line that begins with a dot, as long as lines of mail are, more or less\r\n";
    [b"From: jane@a.example\r\nSubject: large\r\n\r\n", line.repeat(80_000).as_slice(), b"..the last one"].concat()
}

#[test]
fn a_large_message_begins_anew_with_each_transaction_and_each_server() {
    let count = AtomicUsize::new(0);
    let busy = Mx::build().words(&["LIMITS RCPTMAX=1"]).says(move |line| {
        let is_first = line == "." && count.fetch_add(1, Ordering::SeqCst) == 0;
        is_first.then(|| "451 4.3.0 later".to_owned())
    });
    let busy = busy.run();
    let good = Mx::build().run_at("127.0.0.4".parse().expect("an address"), busy.port());
    let dns = Dns::run(
        "b.example MX 10 busy.example\nb.example MX 20 good.example\nbusy.example A 127.0.0.1\ngood.example A 127.0.0.4\n",
    );
    let (host, message) = (host(&dns, good.port(), ""), large());
    host.send_as(&message, &["x@b.example", "y@b.example"], Terms::default(), now());
    until("all have gone", || host.waiting().is_empty());
    let said = busy.commands();
    assert_eq!(said.iter().filter(|line| *line == "DATA").count(), 2, "{said:?}");
    assert!(said.contains(&format!("MAIL FROM:<jane@a.example> SIZE={}", message.len())), "{said:?}");
    let wanted = String::from_utf8(message).expect("text").replace("\n.", "\n..") + "\r\n.\r\n";
    let all = [busy.messages(), good.messages()].concat();
    assert!(all.len() == 2 && all.iter().all(|message| *message == wanted), "{:?}", all.iter().map(String::len));
}

#[test]
fn messages_that_go_out_at_once_are_not_held_in_memory() {
    let all: Vec<Mx> = (0..4).map(|_| Mx::build().run()).collect();
    let routes: String =
        all.iter().zip(0..).map(|(mx, at)| format!("\"s{at}.example\" = \"127.0.0.1:{}\"\n", mx.port())).collect();
    let routed = |text: &str| text.replacen("[routes]\n", &format!("[routes]\n{routes}"), 1);
    let served = Served::of("a.example", &["jane"], routed);
    let store = SqliteStore::open(&served.folder.path().join("home/mail")).expect("opens");
    let put = |message: &[u8]| {
        for at in 0..all.len() {
            store.deliver(queued(message, &format!("x@s{at}.example"))).expect("kept");
        }
        served.run(&["queue", "retry"]);
        until("all have gone", || store.waiting().expect("read").is_empty());
    };
    // the first ones cost what all have in common
    put(LETTER.as_bytes());
    let before = memory(&served, "VmHWM:");
    put(&[&large()[..], &b"a line of a message, as long as lines of mail are\r\n".repeat(60_000)].concat());
    let more = memory(&served, "VmHWM:").saturating_sub(before);
    eprintln!("four messages of 9 MB: {more} KiB more");
    assert!(all.iter().all(|mx| mx.messages().len() == 2) && more < 12 << 10, "{more} KiB");
}

fn queued(message: &[u8], to: &str) -> Delivery {
    Delivery {
        message: message.to_vec().into(),
        final_fields: Vec::new(),
        mailboxes: Vec::new(),
        sender: "jane@a.example".to_owned(),
        elsewhere: vec![to.to_owned().into()],
        terms: Terms::default(),
        priority: Priority::Normal,
        at: now(),
        extra: Default::default(),
    }
}

#[test]
fn a_server_that_leaves_at_any_point_loses_nothing() {
    let stages = ["", "EHLO", "MAIL", "RCPT", "DATA", ".", "QUIT"];
    let leaving = |stage: &'static str| {
        let count = AtomicUsize::new(0);
        let is_it = move |line: &str| if stage.is_empty() || stage == "." { line == stage } else { line.starts_with(stage) };
        Mx::build().says(move |line| (is_it(line) && count.fetch_add(1, Ordering::SeqCst) == 0).then(String::new)).run()
    };
    let all: Vec<Mx> = stages.into_iter().map(leaving).collect();
    let routes: String =
        all.iter().zip(0..).map(|(mx, at)| format!("\"s{at}.example\" = \"127.0.0.1:{}\"\n", mx.port())).collect();
    let host = Host::new(&format!("[routes]\n{routes}"));
    (0..stages.len()).for_each(|at| host.send(&[&format!("x@s{at}.example")]));
    host.tried(1);
    host.retry();
    until("all have gone", || host.waiting().is_empty());
    for (stage, mx) in stages.iter().zip(&all) {
        let wanted = if *stage == "." { 2 } else { 1 };
        assert_eq!(mx.messages().len(), wanted, "at {stage:?}: {:?}", mx.commands());
        assert!(mx.messages().iter().all(|message| message.ends_with("\r\nA letter.\r\n..dot\r\n.\r\n")));
    }
    assert!(host.mailbox("jane@a.example").is_empty());
}

#[test]
fn who_wants_all_tried_while_an_attempt_fails_is_heard() {
    let (asked, goes_on) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let (seen, ends) = (Arc::clone(&asked), Arc::clone(&goes_on));
    let mx = Mx::build().says(move |line| {
        let is_first = line.is_empty() && seen.fetch_add(1, Ordering::SeqCst) == 0;
        is_first.then(|| {
            until("it is told to go on", || ends.load(Ordering::SeqCst));
            String::new()
        })
    });
    let mx = mx.run();
    let host = Host::new(&format!("[routes]\n\"b.example\" = \"127.0.0.1:{}\"\n", mx.port()));
    (0..3).for_each(|_| host.send(&["x@b.example"]));
    until("the first one is tried", || asked.load(Ordering::SeqCst) == 1);
    host.retry();
    goes_on.store(true, Ordering::SeqCst);
    // half a minute before the server is asked again, and a minute before its mail is due, where that is forgotten
    until("all have gone", || host.waiting().is_empty());
    assert_eq!(mx.messages().len(), 3);
}

#[test]
fn names_that_cannot_be_looked_up_refuse_nobody() {
    let mx = Mx::build().run();
    let broken = "mxfails.example MX !servfail\n\
                  mxrefused.example MX !refused\n\
                  hostfails.example MX 10 mx.hostfails.example\nmx.hostfails.example A !servfail\nmx.hostfails.example AAAA !servfail\n\
                  onlysix.example MX 10 mx.onlysix.example\nmx.onlysix.example A !servfail\nmx.onlysix.example TXT x\n\
                  onlyfour.example MX 10 mx.onlyfour.example\nmx.onlyfour.example AAAA !servfail\nmx.onlyfour.example TXT x\n\
                  selffails.example A !servfail\n\
                  aliasfails.example CNAME away.example\naway.example MX !servfail\n";
    let dns = Dns::run(broken);
    let host = host(&dns, mx.port(), "");
    let domains = ["mxfails", "mxrefused", "hostfails", "onlysix", "onlyfour", "selffails", "aliasfails"];
    let all: Vec<String> = domains.iter().map(|domain| format!("x@{domain}.example")).collect();
    host.send(&all.iter().map(String::as_str).collect::<Vec<_>>());
    let left = host.tried(1);
    assert_eq!(left.len(), domains.len(), "{left:?}\n{:?}", host.mailbox("jane@a.example"));
    assert!(left.iter().all(|(_, why)| why.starts_with("4.4.3 ")), "{left:?}");
    let repaired: String = domains.iter().map(|domain| format!("{domain}.example A 127.0.0.1\n")).collect();
    dns.say(&repaired);
    host.retry();
    until("all have gone", || host.waiting().is_empty());
    assert_eq!(mx.messages().len(), domains.len());
    assert!(host.mailbox("jane@a.example").is_empty());
}

/// It takes as long as a name server may: with SEALPOST_LONG=1.
#[test]
fn a_name_server_that_is_gone_refuses_nobody() {
    if std::env::var_os("SEALPOST_LONG").is_none() {
        return;
    }
    let gone = std::net::UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port");
    let host = Host::new(&format!("[delivery]\nresolver = \"{gone}\"\ndane = \"off\"\nmta_sts = \"off\"\n"));
    host.send(&["x@b.example"]);
    let left = host.tried(1);
    assert!(left[0].1.starts_with("4.4.3 b.example cannot be looked up"), "{left:?}");
}

#[test]
fn what_does_not_exist_and_what_takes_no_mail_bounces_at_once() {
    let dns = Dns::run("null.example MX 0 .\nempty.example TXT x\nnohost.example MX 10 gone.example\n");
    let host = host(&dns, 25, "");
    host.send(&["x@null.example", "x@empty.example", "x@nohost.example", "x@none.example"]);
    until("none is left", || host.waiting().is_empty());
    let told = host.mailbox("jane@a.example").concat();
    for (who, status) in [("null", "5.1.10"), ("empty", "5.4.4"), ("nohost", "5.4.4"), ("none", "5.1.2")] {
        let wanted = format!("Final-Recipient: rfc822; x@{who}.example\r\nAction: failed\r\nStatus: {status}\r\n");
        assert!(told.contains(&wanted), "{wanted} in {told}");
    }
}

#[test]
fn a_server_that_fails_is_left_alone_for_a_while_and_its_mail_waits_together() {
    let mx = Mx::build().says(|line| line.is_empty().then(|| "554 5.3.2 not today".to_owned())).run();
    let mut host = Host::new(&format!("[routes]\n\"*\" = \"127.0.0.1:{}\"\n[delivery]\nper_destination = 1\n", mx.port()));
    host.finds(&["x@s0.example", "x@s1.example", "x@s2.example", "x@s3.example", "x@s4.example"]);
    let left = host.tried(1);
    assert_eq!(left.len(), 5, "a greeting refuses nobody's mail");
    assert!(left.iter().all(|(_, why)| why.contains("554 5.3.2 not today")), "{left:?}");
    // of five letters one knocked; one more that comes now does not
    assert_eq!(mx.connections().len(), 1);
    host.store.add_alias("on@a.example", "y@s9.example").expect("added");
    assert!(bring(&host, "ann@c.example", "on@a.example", "").starts_with("250"));
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!((mx.connections().len(), host.waiting().len()), (1, 6), "{:?}", mx.connections());
    // somebody wants it now
    host.wake();
    until("it has knocked", || mx.connections().len() == 2);
    let next: Vec<i64> = host.waiting().iter().map(|one| one.next.unix() - now().unix()).collect();
    assert!(next.iter().all(|wait| *wait <= 376), "{next:?}");
}

/// Tries again and again until so many messages are in a mailbox.
fn pressed(host: &Host, user: &str, count: usize) {
    let mut times = 0;
    while host.mailbox(user).len() < count {
        times += 1;
        assert!(times < 60, "nobody hears of it");
        host.tried(times);
        host.retry();
    }
}

#[test]
fn senders_hear_of_delays_once_and_of_the_end() {
    let mx = Mx::build().says(|line| line.starts_with("RCPT").then(|| "450 4.2.1 busy".to_owned())).run();
    let mut host = Host::new(&format!("[dkim]\nfolder = \"dkim\"\n[routes]\n\"*\" = \"127.0.0.1:{}\"\n", mx.port()));
    let records = host.signs();
    let ago = |hours: i64| Timestamp::from_unix(now().unix() - hours * 3600);
    host.send_as(LETTER.as_bytes(), &["slow@b.example"], Terms::default(), ago(5));
    // however old it is: it had a quarter of its chances before
    pressed(&host, "jane@a.example", 1);
    let told = host.arrived("jane@a.example", 1).remove(0);
    for part in [
        "Return-Path: <>\r\n",
        "Auto-Submitted: auto-replied\r\n",
        "Final-Recipient: rfc822; slow@b.example\r\nAction: delayed\r\nStatus: 4.2.1\r\n",
        "Diagnostic-Code: smtp; 450 4.2.1 busy\r\n",
        "Will-Retry-Until: ",
    ] {
        assert!(told.contains(part), "{part} in {told}");
    }
    assert!(!told.contains("A letter."), "{told}");
    is_signed(&records, &told);
    let times = host.waiting().iter().map(|one| one.attempts).max().expect("it waits");
    host.retry();
    host.tried(times + 1);
    assert_eq!(host.mailbox("jane@a.example").len(), 1, "he is told once");
    host.send_as(LETTER.as_bytes(), &["old@b.example"], Terms::default(), ago(120));
    // a warning, and then the end
    pressed(&host, "jane@a.example", 3);
    let told = host.arrived("jane@a.example", 3).remove(2);
    let wanted = "Final-Recipient: rfc822; old@b.example\r\nAction: failed\r\nStatus: 5.2.1\r\n";
    assert!(told.contains(wanted) && told.contains("not taken for 120 hours - 450 4.2.1 busy"), "{told}");
    until("it has left", || host.waiting().len() == 1);
}

#[test]
fn who_asked_hears_that_his_message_went_on_from_us_or_from_the_server_that_knows() {
    let (plain, knows) = (Mx::build().run(), Mx::build().words(&["DSN"]).run());
    let routes = format!("\"b.example\" = \"127.0.0.1:{}\"\n\"c.example\" = \"127.0.0.1:{}\"\n", plain.port(), knows.port());
    let host = Host::new(&format!("[routes]\n{routes}"));
    let to = |address: &str, notify: &str| Addressee {
        address: address.to_owned(),
        notify: notify.to_owned(),
        original: "rfc822;x@old.example".to_owned(),
    };
    host.store
        .deliver(Delivery {
            message: LETTER.as_bytes().to_vec().into(),
            final_fields: Vec::new(),
            mailboxes: Vec::new(),
            sender: "jane@a.example".to_owned(),
            elsewhere: vec![to("x@b.example", "SUCCESS"), to("y@b.example", "FAILURE"), to("x@c.example", "SUCCESS")],
            terms: Terms { ret: "HDRS".to_owned(), envid: "e+3D1".to_owned(), ..Terms::default() },
            priority: Priority::Normal,
            at: now(),
            extra: Default::default(),
        })
        .expect("kept");
    host.wake();
    let told = host.arrived("jane@a.example", 1).remove(0);
    let wanted = "Original-Recipient: rfc822; x@old.example\r\nFinal-Recipient: rfc822; x@b.example\r\nAction: relayed\r\nStatus: 2.0.0\r\n";
    assert!(told.contains(wanted) && told.contains("Original-Envelope-Id: e=1\r\n"), "{told}");
    until("all have gone", || host.waiting().is_empty());
    assert!(!told.contains("y@b.example") && host.mailbox("jane@a.example").len() == 1, "{told}");
    let said = knows.commands();
    assert!(
        said.iter().any(|line| line.starts_with("MAIL FROM:<jane@a.example>") && line.ends_with(" RET=HDRS ENVID=e+3D1")),
        "{said:?}"
    );
    assert!(said.contains(&"RCPT TO:<x@c.example> NOTIFY=SUCCESS ORCPT=rfc822;x@old.example".to_owned()), "{said:?}");
}

#[test]
fn the_program_lists_shows_holds_tries_and_drops_by_message_domain_and_user() {
    let busy = Arc::new(AtomicUsize::new(1));
    let is_busy = Arc::clone(&busy);
    let mx = Mx::build()
        .says(move |line| (line.starts_with("RCPT") && is_busy.load(Ordering::SeqCst) == 1).then(|| "450 4.2.0 busy".to_owned()))
        .run();
    let host = Host::new(&format!("[routes]\n\"*\" = \"127.0.0.1:{}\"\n", mx.port()));
    host.send(&["x@b.example", "x@c.example"]);
    host.send(&["y@b.example"]);
    host.tried(1);
    let run = |args: &[&str]| {
        let home = host.folder.path().display().to_string();
        let (code, out, talk) =
            crate::support::run(env!("CARGO_BIN_EXE_sealpost"), &[&["--home", &home, "--batch", "queue"], args].concat(), b"");
        (code, String::from_utf8(out).expect("text"), talk)
    };
    let list = |args: &[&str]| {
        let (code, out, talk) = run(&[&["list", "--json"], args].concat());
        assert_eq!(code, 0, "{talk}");
        let json: serde_json::Value = serde_json::from_str(&out).expect("JSON");
        let of = |one: &serde_json::Value| format!("{} {}", one["id"], one["recipient"].as_str().expect("text"));
        json["queue"].as_array().expect("a list").iter().map(of).collect::<Vec<_>>()
    };
    assert_eq!(list(&[]), ["1 x@b.example", "1 x@c.example", "2 y@b.example"]);
    assert_eq!(list(&["2"]), ["2 y@b.example"]);
    assert_eq!(list(&["--domain", "B.example"]), ["1 x@b.example", "2 y@b.example"]);
    assert_eq!((list(&["--user", "Jane@a.example"]).len(), list(&["--user", "joe@a.example"]).len()), (3, 0));
    let (code, out, talk) = run(&["show", "2"]);
    assert!(code == 0 && out == LETTER && talk.contains("busy"), "{out} {talk}");
    assert_eq!(run(&["show", "9"]).0, 2, "there is none");
    // what is held stays, whatever is tried
    assert_eq!(run(&["hold", "--domain", "b.example"]).0, 0);
    busy.store(0, Ordering::SeqCst);
    assert_eq!(run(&["retry"]).0, 0);
    until("the other has gone", || host.waiting().len() == 2);
    let (_, out, _) = run(&["list"]);
    assert_eq!(out.matches("tried 1 times, held").count(), 2, "{out}");
    assert_eq!(run(&["retry", "1"]).0, 0);
    until("it has gone", || host.waiting().len() == 1);
    assert_eq!(run(&["hold"]).0, 2, "nothing is done to everything by accident");
    assert_eq!(run(&["drop"]).0, 2);
    assert_eq!(run(&["drop", "--user", "jane@a.example"]).0, 0);
    assert_eq!(list(&[]), [""; 0]);
    assert_eq!(mx.messages().len(), 2);
    assert_ne!(run(&["drop", "2"]).0, 0, "it is gone");
}
