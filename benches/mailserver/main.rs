//! `sealpost serve` beside Postfix and Dovecot: the same client, the same machine, durable defaults on both sides.
//!
//! `benches/mailserver/run` starts the servers and calls this; by itself it measures whatever listens:
//! `mailserver NAME SMTP_PORT POP3_PORT USER PASSWORD RECIPIENT PID [--quick] [--delivered FOLDER]`.
//!
//! A rate is messages answered `250` in a second; the processor's time is that of the server's processes, from `/proc`.
#![allow(clippy::print_stdout, reason = "its result")]

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let [name, smtp, pop3, user, password, recipient, root, rest @ ..] = args.as_slice() else {
        eprintln!("called by benches/mailserver/run");
        return;
    };
    let (smtp, pop3) = (port(smtp), port(pop3));
    let is_quick = rest.iter().any(|arg| arg == "--quick");
    let (rounds, time) = if is_quick { (1, Duration::from_secs(2)) } else { (5, Duration::from_secs(3)) };
    for (size, sessions) in [(4 << 10, 1), (4 << 10, 10), (4 << 10, 50), (75 << 10, 10), (1 << 20, 10)] {
        let mut rates: Vec<(f64, f64)> = (0..rounds)
            .map(|_| {
                let before = processor(root);
                let begin = Instant::now();
                let count = load(smtp, recipient, size, sessions, time);
                let seconds = begin.elapsed().as_secs_f64();
                (count as f64 / seconds, (processor(root) - before) * 1000.0 / (count.max(1)) as f64)
            })
            .collect();
        rates.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (rate, cost) = rates[rates.len() / 2];
        println!("{name:10} {:5} KiB accepted, {sessions:2} sessions  {rate:8.0} msg/s  {cost:7.3} CPU-ms/msg", size >> 10);
    }
    if pop3 != 0 {
        pop(name, pop3, user, password, root);
    }
    println!("{name:10} memory {:.0} MB", memory(root));
}

fn port(text: &str) -> u16 {
    text.parse().expect("a port")
}

/// So many sessions send for so long; gives how many messages were answered 250.
fn load(port: u16, recipient: &str, size: usize, sessions: usize, time: Duration) -> usize {
    let line = format!("{}\r\n", "x".repeat(70));
    let message = format!("From: x@b.example\r\nSubject: load\r\n\r\n{}.\r\n", line.repeat(size / 72));
    let end = Instant::now() + time;
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..sessions).map(|_| scope.spawn(|| session(port, recipient, &message, end))).collect();
        all.into_iter().map(|one| one.join().unwrap_or(0)).sum()
    })
}

fn session(port: u16, recipient: &str, message: &str, end: Instant) -> usize {
    let mut stream = connect(port);
    reply(&mut stream);
    say(&mut stream, "EHLO b.example\r\n");
    let mut count = 0;
    while Instant::now() < end {
        // pipelined (RFC 2920), as Postfix itself sends
        let envelope = format!("MAIL FROM:<x@b.example>\r\nRCPT TO:<{recipient}>\r\nDATA\r\n");
        stream.get_mut().write_all(envelope.as_bytes()).expect("sent");
        let replies = [reply(&mut stream), reply(&mut stream), reply(&mut stream)];
        assert!(replies[2].starts_with("354"), "{replies:?}");
        let answer = say(&mut stream, message);
        assert!(answer.starts_with("250"), "{answer}");
        count += 1;
    }
    count
}

fn pop(name: &str, port: u16, user: &str, password: &str, root: &str) {
    let before = processor(root);
    let begin = Instant::now();
    let mut logins = 0;
    while logins < 20 {
        let mut stream = login(port, user, password);
        line(&mut stream, "STAT\r\n");
        line(&mut stream, "QUIT\r\n");
        logins += 1;
    }
    let cost = (processor(root) - before) * 1000.0 / f64::from(logins);
    println!("{name:10} POP3 login and STAT  {:8.0} /s  {cost:7.3} CPU-ms", f64::from(logins) / begin.elapsed().as_secs_f64());
    let mut stream = login(port, user, password);
    let before = processor(root);
    let begin = Instant::now();
    let mut count = 0;
    while count < 1000 {
        if !line(&mut stream, &format!("RETR {}\r\n", count + 1)).starts_with("+OK") {
            break;
        }
        loop {
            let mut text = String::new();
            stream.read_line(&mut text).expect("read");
            if text == ".\r\n" || text.is_empty() {
                break;
            }
        }
        count += 1;
    }
    let cost = (processor(root) - before) * 1000.0 / f64::from(count.max(1));
    println!(
        "{name:10} POP3 download        {:8.0} msg/s  {cost:7.3} CPU-ms/msg",
        f64::from(count) / begin.elapsed().as_secs_f64()
    );
}

fn login(port: u16, user: &str, password: &str) -> BufReader<TcpStream> {
    let mut stream = connect(port);
    line(&mut stream, "");
    line(&mut stream, &format!("USER {user}\r\n"));
    let answer = line(&mut stream, &format!("PASS {password}\r\n"));
    assert!(answer.starts_with("+OK"), "{answer}");
    stream
}

fn connect(port: u16) -> BufReader<TcpStream> {
    let stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    stream.set_nodelay(true).expect("a socket");
    BufReader::with_capacity(64 << 10, stream)
}

fn say(stream: &mut BufReader<TcpStream>, text: &str) -> String {
    stream.get_mut().write_all(text.as_bytes()).expect("sent");
    reply(stream)
}

fn reply(stream: &mut BufReader<TcpStream>) -> String {
    loop {
        let line = line(stream, "");
        if line.is_empty() || line.as_bytes().get(3) == Some(&b' ') {
            return line;
        }
    }
}

fn line(stream: &mut BufReader<TcpStream>, text: &str) -> String {
    stream.get_mut().write_all(text.as_bytes()).expect("sent");
    let mut line = String::new();
    stream.read_line(&mut line).expect("read");
    line
}

/// The processes of a server: the first one and all below it.
fn processes(root: &str) -> Vec<String> {
    let mut parents = Vec::new();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let id = entry.file_name().to_string_lossy().into_owned();
        let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else { continue };
        let Some((_, rest)) = stat.rsplit_once(") ") else { continue };
        parents.push((id, rest.split(' ').nth(1).unwrap_or_default().to_owned()));
    }
    let mut found: Vec<String> = root.split(',').map(str::to_owned).collect();
    let mut at = 0;
    while at < found.len() {
        let children: Vec<String> = parents.iter().filter(|(_, up)| *up == found[at]).map(|(id, _)| id.clone()).collect();
        found.extend(children);
        at += 1;
    }
    found
}

/// Seconds of processor time, with those of processes that have ended; in ticks of 10 ms.
fn processor(root: &str) -> f64 {
    let of = |id: &String| {
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        let rest = stat.rsplit_once(") ").map(|(_, rest)| rest.to_owned()).unwrap_or_default();
        rest.split(' ').skip(11).take(4).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
    };
    processes(root).iter().map(of).sum()
}

/// What the processes hold in MB, shared pages counted once for each that shares them no more than their part.
fn memory(root: &str) -> f64 {
    let of = |id: &String| {
        let text = std::fs::read_to_string(format!("/proc/{id}/smaps_rollup")).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with("Pss:")).unwrap_or_default().to_owned();
        line.split_whitespace().nth(1).and_then(|kb| kb.parse::<f64>().ok()).unwrap_or(0.0) / 1000.0
    };
    processes(root).iter().map(of).sum()
}
