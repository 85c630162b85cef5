//! The server as a process, driven by real clients over loopback.
#![cfg(feature = "server")]

mod accounts;
mod acme;
mod api;
mod arc;
mod clients;
mod delivery;
mod disasters;
mod dns;
mod doctor;
mod drills;
mod filters;
mod manage;
mod mutt;
mod outbound;
mod own;
mod pam;
mod pickup;
mod policy;
mod pop3;
mod privileges;
mod reload;
mod scanners;
mod sendmail;
mod signed;
mod swaks;
mod thunderbird;
mod tls;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use sealpost::server::store::{MailboxStore, SqliteStore};

use crate::support;

struct Served {
    folder: tempfile::TempDir,
    child: Child,
    ports: Vec<(String, u16)>,
}

impl Served {
    /// A server of a.example with jane and joe.
    fn new() -> Self {
        Self::of("a.example", &["jane", "joe"], str::to_owned)
    }

    /// A server of a domain with these users, all with the password `secret-word`; `edit` changes its configuration.
    fn of(domain: &str, users: &[&str], edit: impl Fn(&str) -> String) -> Self {
        let folder = laid_out(domain, users, edit);
        let (child, ports) = start(&folder.path().join("home").display().to_string());
        Self { folder, child, ports }
    }

    /// Runs a command in the home of this server; it must go well. Gives what it printed and what it said.
    fn run(&self, args: &[&str]) -> (String, String) {
        good(self.folder.path(), args)
    }

    /// Runs a command in the home of this server; it must be refused. Gives what it said.
    fn refused(&self, args: &[&str]) -> String {
        let home = self.path("home");
        let all = [&["--home", &home, "--batch"], args].concat();
        let (code, _, talk) = support::run(env!("CARGO_BIN_EXE_sealpost"), &all, b"");
        assert_eq!(code, 2, "{args:?}: {talk}");
        talk
    }

    /// Sends a message as a user, by submission.
    fn send(&self, user: &str, message: &str) {
        let letter = self.path("letter.eml");
        fs::write(&letter, message).expect("written");
        let via = format!("localhost:{}", self.port("submission"));
        self.run(&["send", &letter, "--via", &via, "--user", user]);
    }

    /// Fetches what is in a user's mailbox, once there is something; gives the messages.
    fn fetch(&self, user: &str) -> Vec<String> {
        let (from, inbox) = (format!("localhost:{}", self.port("pop3")), self.path("inbox"));
        let (files, _) = self.run(&["fetch", "--from", &from, "--user", user, "-o", &inbox, "--wait", "240", "--delete"]);
        files.lines().map(|file| fs::read_to_string(file).expect("a message")).collect()
    }

    /// What stands in its log once this is so: a thread of its own writes it, after what it tells of.
    fn logged(&self, file: &str, is_so: impl Fn(&str) -> bool) -> String {
        let begin = Instant::now();
        loop {
            let log = fs::read_to_string(self.folder.path().join("home").join(file)).expect("a log");
            if is_so(&log) && log.ends_with('\n') {
                return log;
            }
            assert!(begin.elapsed() < support::LONGEST, "it is not logged: {log}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn restart(&mut self) {
        let (child, ports) = start(&self.path("home"));
        (self.child, self.ports) = (child, ports);
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn port(&self, service: &str) -> u16 {
        self.ports.iter().find(|(name, _)| name == service).map(|(_, port)| *port).expect("it is served")
    }

    fn mailbox(&self, user: &str) -> usize {
        let store = SqliteStore::open(&self.folder.path().join("home/mail")).expect("opens");
        store.messages(user).expect("read").len()
    }

    /// The messages of a mailbox, as they are kept.
    fn stored(&self, mailbox: &str) -> Vec<String> {
        let store = SqliteStore::open(&self.folder.path().join("home/mail")).expect("opens");
        let all = store.messages(mailbox).expect("read");
        all.iter().map(|one| String::from_utf8(store.message(mailbox, one.uid).expect("a message")).expect("text")).collect()
    }
}

/// The home of a server that does not run yet.
fn laid_out(domain: &str, users: &[&str], edit: impl Fn(&str) -> String) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join("pw"), "secret-word\n").expect("written");
    let mut up = vec!["up", "--domain", domain, "--algorithm", "p256"];
    users.iter().for_each(|user| up.extend(["--user", user]));
    let talk = good(folder.path(), &up).1;
    assert!(users.is_empty() || talk.contains("tested: a message went in"), "{talk}");
    fs::write(folder.path().join("root.pem"), good(folder.path(), &["ca", "export", "root"]).0).expect("written");
    let config = folder.path().join("home/sealpost.toml");
    let mut text = fs::read_to_string(&config).expect("a configuration");
    for port in [2525, 2587, 2465, 2110, 2995] {
        text = text.replace(&format!(":{port}"), ":0");
    }
    fs::write(&config, edit(&text)).expect("written");
    folder
}

/// Runs a command in a folder's home with its password file.
fn good(folder: &std::path::Path, args: &[&str]) -> (String, String) {
    let (home, pw) = (folder.join("home").display().to_string(), folder.join("pw").display().to_string());
    let all: Vec<&str> = ["--home", &home, "--batch", "--passphrase-file", &pw].iter().chain(args).copied().collect();
    let (code, out, talk) = support::run(env!("CARGO_BIN_EXE_sealpost"), &all, b"");
    assert_eq!(code, 0, "{args:?}: {talk}");
    (String::from_utf8(out).expect("text"), talk)
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts the server; it is ready when this returns.
fn start(home: &str) -> (Child, Vec<(String, u16)>) {
    start_by(&[env!("CARGO_BIN_EXE_sealpost")], home)
}

/// Starts the server by a command that ends with the program.
fn start_by(program: &[&str], home: &str) -> (Child, Vec<(String, u16)>) {
    let (first, rest) = program.split_first().expect("a program");
    let mut child = Command::new(first)
        .args(rest)
        .args(["--home", home, "serve"])
        .stdout(Stdio::piped())
        .stdin(Stdio::null())
        .spawn()
        .expect("the program starts");
    let mut ports = Vec::new();
    for line in BufReader::new(child.stdout.take().expect("stdout is piped")).lines() {
        let line = line.expect("text");
        if line == "ready" {
            return (child, ports);
        }
        let (service, address) = line.split_once(" on ").expect("a service and its address");
        ports.push((service.to_owned(), address.rsplit(':').next().expect("a port").parse().expect("a port")));
    }
    let ended = child.wait().expect("it ended");
    panic!("the server did not start: {ended}");
}

/// Says a line to a plain SMTP session and waits for the whole reply; `None` where the connection is gone.
fn say(stream: &mut BufReader<TcpStream>, line: &str) -> Option<String> {
    stream.get_mut().write_all(line.as_bytes()).ok()?;
    loop {
        let mut reply = String::new();
        if stream.read_line(&mut reply).ok()? == 0 {
            return None;
        }
        if reply.as_bytes().get(3) == Some(&b' ') {
            return Some(reply);
        }
    }
}
