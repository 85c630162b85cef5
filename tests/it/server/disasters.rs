//! What must not be lost, and what must be told, when things go wrong.

use std::fs;
use std::io::{BufReader, Read};
use std::net::TcpStream;

use super::{Served, say};
use crate::support;

#[test]
fn kill_9_loses_nothing_that_was_acknowledged() {
    let mut served = Served::new();
    let mut acknowledged = 0_usize;
    for round in 0..3 {
        let port = served.port("smtp");
        let clients: Vec<_> = (0..4)
            .map(|client| {
                std::thread::spawn(move || {
                    let mut count = 0_usize;
                    let Ok(stream) = TcpStream::connect(("127.0.0.1", port)) else { return count };
                    let mut stream = BufReader::new(stream);
                    // the greeting, then the answer to EHLO
                    let (Some(_), Some(_)) = (say(&mut stream, ""), say(&mut stream, "EHLO b.example\r\n")) else { return count };
                    for message in 0.. {
                        let size = if message % 5 == 0 { 40_000 } else { 100 };
                        let body = format!("Subject: {round}-{client}-{message}\r\n\r\n{}\r\n.\r\n", "x".repeat(size));
                        let lines = ["MAIL FROM:<x@b.example>\r\n", "RCPT TO:<joe@a.example>\r\n", "DATA\r\n", &body];
                        let mut last = None;
                        for line in lines {
                            last = say(&mut stream, line);
                            if last.is_none() {
                                return count;
                            }
                        }
                        if last.is_some_and(|reply| reply.starts_with("250")) {
                            count += 1;
                        }
                    }
                    count
                })
            })
            .collect();
        // until enough is acknowledged to be in the middle of things
        while served.mailbox("joe@a.example") < acknowledged + 20 {
            std::thread::yield_now();
        }
        served.child.kill().expect("killed");
        served.child.wait().expect("gone");
        acknowledged += clients.into_iter().map(|client| client.join().expect("no panic")).sum::<usize>();
        let kept = served.mailbox("joe@a.example");
        // what was written and not yet acknowledged may be there, too: one for each client and round
        assert!((acknowledged..=acknowledged + 4 * (round + 1)).contains(&kept), "{acknowledged} acknowledged, {kept} kept");
        served.restart();
    }
}

/// How many messages the database has, as Python's SQLite reads it.
fn counted_by_python(served: &Served) -> String {
    let script = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); \
                  print(c.execute('SELECT count(*) FROM messages').fetchone()[0]); c.close()";
    let (code, out, error) = support::run("python3", &["-c", script, &served.path("home/mail/mail.db")], b"");
    assert_eq!(code, 0, "{error}");
    String::from_utf8_lossy(&out).trim().to_owned()
}

#[test]
fn whoever_looks_into_the_database_takes_nothing_away() {
    if !support::peer("python3") {
        return;
    }
    let mut served = Served::new();
    let send = |served: &Served| served.send("jane@a.example", "From: jane@a.example\r\nTo: joe@a.example\r\n\r\nHi.\r\n");
    send(&served);
    // whoever closes it last takes its log away; this program's locks on it say that it was not the last
    assert_eq!(counted_by_python(&served), "1");
    (0..3).for_each(|_| send(&served));
    assert_eq!(counted_by_python(&served), "4", "one log for both");
    served.child.kill().expect("killed");
    served.child.wait().expect("gone");
    assert_eq!(served.mailbox("joe@a.example"), 4);
    served.restart();
}

#[test]
fn a_stop_by_signal_tells_open_sessions_and_ends_well() {
    let mut served = Served::new();
    let mut stream = BufReader::new(TcpStream::connect(("127.0.0.1", served.port("smtp"))).expect("connects"));
    say(&mut stream, "").expect("greets");
    say(&mut stream, "EHLO b.example\r\n").expect("answers");
    let id = served.child.id().to_string();
    assert_eq!(support::run("kill", &["-TERM", &id], b"").0, 0);
    let mut rest = String::new();
    stream.read_to_string(&mut rest).expect("the session ends");
    assert!(rest.contains("421 4.3.2 the server stops"), "{rest}");
    assert!(served.child.wait().expect("it ends").success());
}

/// A file system that takes no more is played by a bound on the size of files: every write past it fails.
#[test]
fn a_message_that_the_disk_does_not_take_is_refused_for_now_and_leaves_nothing() {
    if !support::peer("sh") {
        return;
    }
    let mut served = Served::new();
    served.child.kill().expect("killed");
    served.child.wait().expect("gone");
    // in blocks of 512 bytes or 1 KiB, enough for the database and its log; the signal that would end the program is ignored, so that the write fails
    let limited = "trap '' XFSZ; ulimit -f 4000; exec \"$0\" \"$@\"";
    let (child, ports) = super::start_by(&["sh", "-c", limited, env!("CARGO_BIN_EXE_sealpost")], &served.path("home"));
    (served.child, served.ports) = (child, ports);
    let mut stream = BufReader::new(TcpStream::connect(("127.0.0.1", served.port("smtp"))).expect("connects"));
    say(&mut stream, "").expect("greets");
    say(&mut stream, "EHLO b.example\r\n").expect("answers");
    let mut send = |size: usize| {
        let body = format!("Subject: x\r\n\r\n{}.\r\n", format!("{}\r\n", "x".repeat(70)).repeat(size / 72));
        for line in ["MAIL FROM:<x@b.example>\r\n", "RCPT TO:<joe@a.example>\r\n", "DATA\r\n"] {
            let reply = say(&mut stream, line).expect("answers");
            assert!(reply.starts_with(['2', '3']), "{reply}");
        }
        say(&mut stream, &body).expect("answers")
    };
    let reply = send(8 << 20);
    assert!(reply.starts_with("452 4.3.1"), "{reply}");
    let folder = served.folder.path().join("home/mail/messages");
    assert_eq!(files(&folder), 0, "nothing half-written stays");
    let reply = send(1000);
    assert!(reply.starts_with("250"), "a small message still fits – {reply}");
    assert_eq!(served.mailbox("joe@a.example"), 1);
}

fn files(folder: &std::path::Path) -> usize {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| if entry.path().is_dir() { files(&entry.path()) } else { 1 }).sum()
}

#[test]
fn one_address_does_not_take_the_place_of_all() {
    let served = Served::new();
    let connect = || BufReader::new(TcpStream::connect(("127.0.0.1", served.port("smtp"))).expect("connects"));
    let mut open: Vec<_> = (0..100).map(|_| connect()).collect();
    open.iter_mut().for_each(|stream| assert!(say(stream, "").expect("greets").starts_with("220")));
    let refused = say(&mut connect(), "").expect("told");
    assert!(refused.starts_with("421 4.7.0 too many connections"), "{refused}");
    drop(open);
    let begin = std::time::Instant::now();
    while !say(&mut connect(), "").is_some_and(|greeting| greeting.starts_with("220")) {
        assert!(begin.elapsed() < support::LONGEST, "places are free again");
    }
}

#[test]
fn a_port_in_use_and_a_second_server_are_told() {
    let served = Served::new();
    let config = served.folder.path().join("home/sealpost.toml");
    let serve = |config: &str| {
        support::run(env!("CARGO_BIN_EXE_sealpost"), &["--home", &served.path("home"), "serve", "--config", config], b"")
    };
    let (code, _, talk) = serve(&config.display().to_string());
    assert_eq!(code, 9, "{talk}");
    assert!(talk.contains("a server runs already"), "{talk}");
    let text = fs::read_to_string(&config).expect("a configuration");
    let other = served.folder.path().join("home/other.toml");
    let taken = text.replace("data = \"mail\"", "data = \"other\"").replacen(
        "127.0.0.1:0",
        &format!("127.0.0.1:{}", served.port("smtp")),
        1,
    );
    fs::write(&other, taken).expect("written");
    let (code, _, talk) = serve(&other.display().to_string());
    assert_eq!(code, 9, "{talk}");
    assert!(talk.contains("is in use – stop the other program"), "{talk}");
}
