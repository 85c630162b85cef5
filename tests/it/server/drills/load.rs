//! Clients that send letters which can be told apart, and remember which of them were acknowledged.

use std::io::{BufReader, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use super::super::say;

/// A letter: what it holds follows from what it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Letter {
    /// Unlike those of all others.
    pub(super) number: usize,
    pub(super) size: usize,
}

/// Sizes of a small letter, one with a picture, and one with a document.
pub(super) const SIZES: [usize; 3] = [4 << 10, 75 << 10, 1 << 20];

impl Letter {
    /// The whole letter: its last line says that it ends there.
    pub(super) fn text(&self) -> String {
        let line = format!("{:062}\r\n", self.number);
        let head = format!("From: x@b.example\r\nSubject: letter {} of {}\r\n\r\n", self.number, self.size);
        format!("{head}{}end of {}\r\n", line.repeat(self.size / 64), self.number)
    }

    /// The letter in a message that was kept, behind fields of the server; it must be as it was sent, byte for byte.
    pub(super) fn in_message(message: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(message).expect("text");
        let subject = text.split_once("Subject: letter ")?.1.split_once("\r\n").expect("a line").0;
        let (number, size) = subject.split_once(" of ").expect("two numbers");
        let letter = Self { number: number.parse().expect("a number"), size: size.parse().expect("a number") };
        assert!(text.ends_with(&letter.text()), "{letter:?} is not whole");
        Some(letter)
    }

    /// Whether the store keeps it beside the database.
    pub(super) fn is_in_a_file(&self) -> bool {
        self.size > 16 << 10
    }
}

/// What clients did.
#[derive(Debug, Default)]
pub(super) struct Done {
    pub(super) tried: Mutex<Vec<Letter>>,
    pub(super) acknowledged: Mutex<Vec<Letter>>,
    /// How many were acknowledged.
    pub(super) count: AtomicUsize,
    /// The numbers that are taken.
    numbers: AtomicUsize,
}

/// A client that has greeted.
pub(in super::super) fn greeted(port: u16) -> Option<BufReader<TcpStream>> {
    let stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    // the port of a server that is gone may be the one that this end has: it would talk to itself
    if stream.local_addr().ok()? == stream.peer_addr().ok()? {
        return None;
    }
    let mut stream = BufReader::new(stream);
    say(&mut stream, "")?;
    say(&mut stream, "EHLO b.example\r\n")?;
    Some(stream)
}

/// Sends one letter, by DATA or in chunks; gives the last reply, or `None` where the server is gone.
pub(super) fn send(stream: &mut BufReader<TcpStream>, to: &str, letter: &Letter, by_chunks: bool) -> Option<String> {
    let text = letter.text();
    let mail = format!("MAIL FROM:<x@b.example> SIZE={}\r\n", text.len());
    for line in [mail, format!("RCPT TO:<{to}>\r\n")] {
        let reply = say(stream, &line)?;
        if !reply.starts_with("250") {
            let _ = say(stream, "RSET\r\n");
            return Some(reply);
        }
    }
    if !by_chunks {
        say(stream, "DATA\r\n")?;
        return say(stream, &format!("{text}.\r\n"));
    }
    let (first, last) = text.split_at(text.len() / 2);
    stream.get_mut().write_all(format!("BDAT {}\r\n{first}", first.len()).as_bytes()).ok()?;
    say(stream, "")?;
    stream.get_mut().write_all(format!("BDAT {} LAST\r\n{last}", last.len()).as_bytes()).ok()?;
    say(stream, "")
}

/// Starts so many clients, which send until the server is gone or they have sent so many each: small and large, to mailboxes and to the queue, by
/// DATA and by BDAT.
pub(super) fn start(port: u16, clients: usize, each: usize, done: &Arc<Done>) -> Vec<JoinHandle<()>> {
    start_to(EVERYBODY, port, clients, each, done)
}

/// The same to these recipients, one after another.
pub(super) fn start_to(to: Recipients, port: u16, clients: usize, each: usize, done: &Arc<Done>) -> Vec<JoinHandle<()>> {
    let size = |kind: usize| if kind % 11 == 10 { SIZES[2] } else { SIZES[kind % 2] };
    clients_of((port, to), clients, each, size, done)
}

type Recipients = &'static [&'static str];

const EVERYBODY: Recipients = &["joe@a.example", "jane@a.example", "far@a.example"];

/// The same with small letters only.
pub(super) fn small(port: u16, clients: usize, each: usize, done: &Arc<Done>) -> Vec<JoinHandle<()>> {
    clients_of((port, EVERYBODY), clients, each, |_| SIZES[0], done)
}

/// The same with letters that are kept in files of their own.
pub(super) fn large(port: u16, clients: usize, each: usize, done: &Arc<Done>) -> Vec<JoinHandle<()>> {
    clients_of((port, EVERYBODY), clients, each, |_| SIZES[1], done)
}

fn clients_of(
    (port, recipients): (u16, Recipients),
    clients: usize,
    each: usize,
    size: fn(usize) -> usize,
    done: &Arc<Done>,
) -> Vec<JoinHandle<()>> {
    let client = |at: usize| {
        let done = Arc::clone(done);
        move || {
            let Some(mut stream) = greeted(port) else { return };
            for round in 0..each {
                let kind = at + round;
                let letter = Letter { number: done.numbers.fetch_add(1, Ordering::Relaxed), size: size(kind) };
                let to = recipients[kind % recipients.len()];
                done.tried.lock().expect("no panic").push(letter.clone());
                let Some(reply) = send(&mut stream, to, &letter, round % 2 == 1) else { return };
                if reply.starts_with("250") {
                    done.acknowledged.lock().expect("no panic").push(letter);
                    done.count.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
    };
    (0..clients).map(|at| std::thread::spawn(client(at))).collect()
}
