//! A disk that is full, and one that does not do what it is told.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};

use super::super::{Served, say, start_by};
use super::load::{Letter, greeted, send};
use super::{assert_nothing_lost, served};
use crate::support;

/// The folder of mail on a disk of 24 MiB of its own, which only the server sees; others see it by way of its process.
fn on_a_small_disk(served: &mut Served) -> PathBuf {
    served.child.kill().expect("killed");
    served.child.wait().expect("gone");
    let data = served.path("home/mail");
    let script = "set -e; aside=$(mktemp -d); cp -a \"$0/.\" \"$aside\"; mount -t tmpfs -o size=24m,mode=700 tmpfs \"$0\"
                  cp -a \"$aside/.\" \"$0\"; rm -r \"$aside\"; exec \"$@\"";
    let program = ["unshare", "-rm", "sh", "-c", script, &data, env!("CARGO_BIN_EXE_sealpost")];
    (served.child, served.ports) = start_by(&program, &served.path("home"));
    Path::new("/proc").join(served.child.id().to_string()).join("root").join(data.trim_start_matches('/'))
}

/// Fills a disk to its end with one file.
fn fill(folder: &Path) {
    let mut file = OpenOptions::new().create(true).append(true).open(folder.join("filler")).expect("made");
    for piece in [1 << 20, 4096, 1] {
        while file.write(&vec![0; piece]).is_ok() {}
    }
}

/// Gives so much of it back.
fn give_back(folder: &Path, bytes: u64) {
    let file = File::options().write(true).open(folder.join("filler")).expect("there");
    let length = file.metadata().expect("there").len();
    file.set_len(length.saturating_sub(bytes)).expect("cut");
}

/// The letters in a mailbox, by POP3; they stay there, or go.
fn fetched(served: &Served, user: &str, more: &[&str]) -> Vec<Letter> {
    let (from, inbox) = (format!("localhost:{}", served.port("pop3")), served.path("inbox"));
    let _ = fs::remove_dir_all(&inbox);
    let (files, _) = served.run(&[&["fetch", "--from", &from, "--user", user, "-o", &inbox][..], more].concat());
    let mut letters: Vec<Letter> =
        files.lines().filter_map(|file| Letter::in_message(&fs::read(file).expect("a message"))).collect();
    letters.sort();
    letters
}

#[test]
fn a_full_disk_is_told_before_mail_comes_and_mail_is_read_meanwhile() {
    if !support::peer("unshare") {
        return;
    }
    if support::run("unshare", &["-rm", "true"], b"").0 != 0 {
        // nothing that could be installed would help
        return eprintln!("SKIPPED: this system lets nobody make a disk of his own");
    }
    let mut served = served();
    let disk = on_a_small_disk(&mut served);
    let mut stream = greeted(served.port("smtp")).expect("greets");
    let mut letters = Vec::new();
    let mut deliver = |stream: &mut BufReader<_>, number, size| {
        let letter = Letter { number, size };
        let reply = send(stream, "joe@a.example", &letter, number % 2 == 1).expect("a reply");
        if reply.starts_with("250") {
            letters.push(letter);
        }
        reply
    };
    for (number, size) in [(1, 4 << 10), (2, 4 << 10), (3, 1 << 20)] {
        assert!(deliver(&mut stream, number, size).starts_with("250"));
    }
    fill(&disk);
    let full = |reply: &str| reply.starts_with("452 4.3.1 the disk is full");
    assert!(full(&deliver(&mut stream, 4, 4 << 10)), "told at MAIL");
    assert_eq!(fetched(&served, "joe@a.example", &[]).len(), 3, "mail is read");
    // what is announced does not fit, and what is smaller does
    give_back(&disk, 3 << 20);
    assert!(full(&deliver(&mut stream, 5, 8 << 20)));
    assert!(deliver(&mut stream, 6, 4 << 10).starts_with("250"));
    // the disk is filled while a message comes
    for line in ["MAIL FROM:<x@b.example>\r\n", "RCPT TO:<joe@a.example>\r\n", "DATA\r\n"] {
        say(&mut stream, line).filter(|reply| reply.starts_with(['2', '3'])).expect("accepted");
    }
    fill(&disk);
    let reply = say(&mut stream, &format!("{}.\r\n", Letter { number: 7, size: 1 << 20 }.text())).expect("a reply");
    assert!(full(&reply), "{reply}");
    // too little for mail that comes, and enough to delete what is there
    give_back(&disk, 1 << 20);
    assert!(full(&deliver(&mut stream, 8, 4 << 10)));
    assert_eq!(fetched(&served, "joe@a.example", &["--delete"]).len(), 4);
    assert!(fetched(&served, "joe@a.example", &[]).is_empty());
    // there is room again, and the server goes on, on the same connection
    fs::remove_file(disk.join("filler")).expect("removed");
    letters.clear();
    let mut deliver = |number, size| {
        let letter = Letter { number, size };
        let reply = send(&mut stream, "joe@a.example", &letter, false).expect("a reply");
        assert!(reply.starts_with("250"), "{reply}");
        letter
    };
    let letters: Vec<Letter> = [(9, 4 << 10), (10, 1 << 20), (11, 75 << 10)].map(|(number, size)| deliver(number, size)).into();
    assert_eq!(fetched(&served, "joe@a.example", &[]), letters);
    assert!(served.child.try_wait().expect("asked").is_none(), "it is the same server");
}

/// A debugger that makes calls of a process fail, until it is dropped; or one that only looks.
pub(super) struct Traced {
    strace: Child,
    log: PathBuf,
    _talk: BufReader<ChildStderr>,
}

impl Traced {
    /// Attaches to a server; `None` where the system does not let us.
    pub(super) fn attach(served: &Served, name: &str, rules: &[&str]) -> Option<Self> {
        Self::attach_to(served, name, rules, &[])
    }

    /// The same, with more options of strace.
    pub(super) fn attach_to(served: &Served, name: &str, rules: &[&str], more: &[&str]) -> Option<Self> {
        let log = served.folder.path().join(name);
        let mut strace = Command::new("strace")
            .args(["-f", "-s", "80", "-o", &log.display().to_string(), "-p", &served.child.id().to_string()])
            .args(rules.iter().flat_map(|rule| ["-e", rule]))
            .args(more)
            .stderr(Stdio::piped())
            .spawn()
            .expect("strace starts");
        let (mut talk, mut line) = (BufReader::new(strace.stderr.take().expect("piped")), String::new());
        talk.read_line(&mut line).expect("text");
        if !line.contains("attached") {
            strace.wait().expect("ended");
            eprintln!("SKIPPED: strace may not attach – {line}");
            return None;
        }
        Some(Self { strace, log, _talk: talk })
    }

    /// Lets go; gives what was seen.
    pub(super) fn end(mut self) -> String {
        support::run("kill", &["-INT", &self.strace.id().to_string()], b"");
        self.strace.wait().expect("ended");
        fs::read_to_string(&self.log).expect("a log")
    }
}

#[test]
fn what_the_disk_did_not_say_it_has_is_not_acknowledged() {
    if !support::peer("strace") {
        return;
    }
    let mut served = served();
    let (mut tried, mut acknowledged, mut refused) = (Vec::new(), Vec::new(), 0);
    let mut number = 0;
    let syncs = "fsync,fdatasync";
    let writes = "pwrite64,write";
    // what is spooled becomes the store's by its name
    let names = "rename,renameat,renameat2";
    let rules: Vec<String> = (1..=4)
        .map(|at| format!("inject={syncs}:error=EIO:when={at}"))
        .chain([format!("inject={syncs}:error=EIO"), format!("inject={syncs}:error=EIO:when=2+2")])
        .chain(
            ["pwrite64:error=ENOSPC", "pwrite64:error=EIO", "pwrite64:error=EIO:when=3+4"].map(|rule| format!("inject={rule}")),
        )
        .collect();
    let rules = [rules, ["EIO", "ENOSPC"].map(|error| format!("inject={names}:error={error}")).into()].concat();
    let traced = format!("trace={syncs},{writes},{names},openat");
    for (at, rule) in rules.iter().enumerate() {
        let Some(debugger) = Traced::attach(&served, &format!("log{at}"), &[&traced, rule]) else { return };
        let mut stream = greeted(served.port("smtp")).expect("greets");
        for size in [4 << 10, 75 << 10, 4 << 10, 1 << 20, 4 << 10, 75 << 10] {
            let (letter, to) = (Letter { number, size }, ["joe@a.example", "far@a.example"][number % 2]);
            number += 1;
            tried.push(letter.clone());
            let reply = send(&mut stream, to, &letter, number % 3 == 0).expect("a reply");
            match reply.starts_with("250") {
                true => acknowledged.push(letter),
                false => {
                    assert!(reply.starts_with("45"), "to be tried again – {reply}");
                    refused += 1;
                }
            }
        }
        let log = debugger.end();
        assert!(log.contains("(INJECTED)"), "{rule} met nothing");
        // nothing that an old connection believes is relied on
        if rule.starts_with(&format!("inject={syncs}:error=EIO:when=1")) {
            let failed = log.find("(INJECTED)").expect("it did");
            assert!(
                log[failed..].contains("mail.db-wal\", O_RDWR"),
                "the database is opened anew after a sync that failed\n{log}"
            );
        }
        // the disk is well again, and so is the server
        let letter = Letter { number, size: 75 << 10 };
        number += 1;
        tried.push(letter.clone());
        let reply = send(&mut stream, "joe@a.example", &letter, false).expect("a reply");
        assert!(reply.starts_with("250"), "after {rule}: {reply}");
        acknowledged.push(letter);
    }
    assert!(refused >= rules.len() && acknowledged.len() > rules.len(), "{refused} refused, {} acknowledged", acknowledged.len());
    served.child.kill().expect("killed");
    served.child.wait().expect("gone");
    served.restart();
    assert_nothing_lost(&served, &acknowledged, &tried);
}
