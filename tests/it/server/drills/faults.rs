//! A disk that fails at any moment: writes, syncs, names and reads of the store fail by lot while mail comes in, and while the server starts.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::super::{Served, start_by};
use super::load::{Letter, SIZES, greeted, send};
use super::{assert_nothing_lost, empty, files, is_long, messages, served_with, store, until};
use crate::support;

/// What fails, as `faulty.c` has it.
mod kind {
    pub(super) const SYNC: u32 = 1;
    /// None or half of the bytes are written, and it is an error.
    pub(super) const WRITE: u32 = 2;
    /// Half of the bytes are written, and it is none: the rest is to be written again.
    pub(super) const SHORT: u32 = 4;
    /// Files and folders are not made and not removed.
    pub(super) const NAME: u32 = 8;
    pub(super) const READ: u32 = 16;
    pub(super) const ALL: u32 = SYNC | WRITE | SHORT | NAME | READ;
}

/// A server whose disk fails when it is told to.
struct Faulty {
    library: PathBuf,
    control: PathBuf,
    shared: File,
}

impl Faulty {
    /// Builds the library; `None` where there is no compiler.
    fn of(served: &Served) -> Option<Self> {
        if !support::peer("cc") {
            return None;
        }
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/server/drills/faulty.c");
        let library = served.folder.path().join("faulty.so");
        let built = support::run("cc", &["-shared", "-fPIC", "-O1", "-o", &library.display().to_string(), source], b"");
        assert_eq!(built.0, 0, "{}", built.2);
        let control = served.folder.path().join("faulty");
        fs::write(&control, [0; 24]).expect("written");
        let shared = OpenOptions::new().read(true).write(true).open(&control).expect("opens");
        Some(Self { library, control, shared })
    }

    /// The program, and what makes its disk fail.
    fn program(&self, served: &Served) -> Vec<String> {
        let folder = fs::canonicalize(served.path("home/mail")).expect("there");
        let set = |name: &str, value: &std::path::Path| format!("{name}={}", value.display());
        vec![
            "env".to_owned(),
            set("LD_PRELOAD", &self.library),
            set("FAULTY_CONTROL", &self.control),
            set("FAULTY_FOLDER", &folder),
            env!("CARGO_BIN_EXE_sealpost").to_owned(),
        ]
    }

    /// Starts the server anew; its disk is well to begin with.
    fn restart(&self, served: &mut Served) {
        let _ = served.child.kill();
        served.child.wait().expect("gone");
        self.end();
        let program = self.program(served);
        let program: Vec<&str> = program.iter().map(String::as_str).collect();
        (served.child, served.ports) = start_by(&program, &served.path("home"));
    }

    fn set(&self, words: [u32; 6]) {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        self.shared.write_all_at(&bytes, 0).expect("written");
    }

    fn word(&self, at: u64) -> u32 {
        let mut word = [0; 4];
        self.shared.read_exact_at(&mut word, at * 4).expect("read");
        u32::from_ne_bytes(word)
    }

    /// From now on one call of these kinds in so many fails.
    fn begin(&self, kinds: u32, one_in: u32, seed: u32) {
        self.set([one_in, kinds, seed, 0, 0, 0]);
    }

    /// The call of this number fails, counted from now.
    fn only(&self, kinds: u32, at: u32) {
        self.set([0, kinds, 0, at, 0, 0]);
    }

    /// The disk is well again; gives how many calls failed.
    fn end(&self) -> u32 {
        let met = self.word(5);
        self.shared.write_all_at(&[0; 16], 0).expect("written");
        met
    }
}

/// A server whose log is no part of the store, so that it can tell what fails.
fn served() -> Served {
    served_with(|text| format!("{text}\n[log]\nfile = \"server.log\"\n"))
}

fn log(served: &Served) -> String {
    fs::read_to_string(served.path("home/server.log")).expect("a log")
}

/// An answer takes no longer: the store says that it fails, and does not hang.
const PATIENCE: Duration = support::LONGEST;

/// What clients saw.
#[derive(Debug, Default)]
struct Seen {
    tried: Vec<Letter>,
    acknowledged: Vec<Letter>,
    refused: Vec<String>,
    /// Connections that ended while they were needed.
    broken: usize,
}

/// Eight clients that send so many letters each, small and large, to mailboxes and to the queue, until they are told to stop.
fn load(port: u16, each: usize, first: usize, stops: &Arc<AtomicBool>) -> Seen {
    let seen = Arc::new(Mutex::new(Seen::default()));
    let client = |at: usize| {
        let (seen, stops) = (Arc::clone(&seen), Arc::clone(stops));
        move || {
            let mut stream = None;
            for round in 0..each {
                let kind = at + round;
                let size = if kind % 11 == 10 { SIZES[2] } else { SIZES[kind % 2] };
                let letter = Letter { number: first + at * each + round, size };
                let to = ["joe@a.example", "jane@a.example", "far@a.example"][kind % 3];
                if stops.load(Ordering::Relaxed) {
                    return;
                }
                let Some(mut open) = stream.take().or_else(|| greeted(port)) else { continue };
                seen.lock().expect("no panic").tried.push(letter.clone());
                open.get_ref().set_read_timeout(Some(PATIENCE)).expect("set");
                let begin = Instant::now();
                let reply = send(&mut open, to, &letter, round % 2 == 1);
                assert!(begin.elapsed() < PATIENCE, "the server does not answer {letter:?}");
                let mut seen = seen.lock().expect("no panic");
                match reply {
                    Some(reply) if reply.starts_with("250") => seen.acknowledged.push(letter),
                    Some(reply) => seen.refused.push(reply),
                    None => {
                        seen.broken += 1;
                        continue;
                    }
                }
                stream = Some(open);
            }
        }
    };
    let clients: Vec<_> = (0..8).map(|at| std::thread::spawn(client(at))).collect();
    clients.into_iter().for_each(|client| client.join().expect("no panic"));
    Arc::into_inner(seen).expect("they ended").into_inner().expect("no panic")
}

#[test]
fn whatever_the_disk_fails_at_what_was_acknowledged_is_there_once() {
    let rounds = std::env::var("SEALPOST_FAULT_SEEDS").ok().and_then(|seeds| seeds.parse().ok());
    let rounds: u32 = rounds.unwrap_or(if is_long() { 200 } else { 8 });
    let mut served = served();
    let Some(faulty) = Faulty::of(&served) else { return };
    let kinds = [kind::ALL, kind::WRITE | kind::SHORT, kind::SYNC, kind::NAME | kind::READ, kind::ALL, kind::READ | kind::SHORT];
    let (mut met, mut acknowledged, mut refused, mut broken) = (0, 0, 0, 0);
    faulty.restart(&mut served);
    for seed in 0..rounds {
        let what = kinds[usize::try_from(seed).expect("small") % kinds.len()];
        let one_in = [5, 20, 60][usize::try_from(seed / 2).expect("small") % 3];
        faulty.begin(what, one_in, seed);
        let stops = Arc::new(AtomicBool::new(false));
        let port = served.port("smtp");
        let loads = std::thread::spawn({
            let stops = Arc::clone(&stops);
            move || load(port, 8, 1000 * usize::try_from(seed).expect("small"), &stops)
        });
        // every third time it is killed in the middle of it, and every other third time it is told to end
        if seed % 3 > 0 {
            std::thread::sleep(Duration::from_millis(u64::from(seed * 37 % 400)));
        }
        match seed % 3 {
            1 => served.child.kill().expect("killed"),
            2 => {
                let ended = support::run("kill", &["-TERM", &served.child.id().to_string()], b"");
                assert_eq!(ended.0, 0, "it runs\n{}", log(&served));
            }
            _ => {}
        }
        if seed % 3 > 0 {
            let begin = Instant::now();
            while served.child.try_wait().expect("asked").is_none() {
                assert!(begin.elapsed() < support::LONGEST, "seed {seed}: it does not end\n{}", log(&served));
                std::thread::sleep(Duration::from_millis(10));
            }
            stops.store(true, Ordering::Relaxed);
        }
        let mut seen = loads.join().expect("no panic");
        assert!(
            seen.refused.iter().all(|reply| reply.starts_with('4')),
            "seed {seed}: a disk that fails is no fault of the sender: {:?}",
            seen.refused
        );
        met += faulty.end();
        if seed % 3 == 0 {
            // the disk is well again, and so is the server
            assert!(served.child.try_wait().expect("asked").is_none(), "seed {seed}: it runs\n{}", log(&served));
            let letter = Letter { number: 1000 * usize::try_from(seed).expect("small") + 999, size: SIZES[1] };
            seen.tried.push(letter.clone());
            // what is committed with a call that failed before is refused once more
            let (begin, mut reply) = (Instant::now(), String::new());
            while !reply.starts_with("250") {
                assert!(
                    reply.is_empty() || (reply.starts_with('4') && begin.elapsed() < Duration::from_secs(60)),
                    "seed {seed}: {reply}\n{}",
                    log(&served)
                );
                let told = greeted(port).and_then(|mut stream| send(&mut stream, "joe@a.example", &letter, false));
                reply = told.unwrap_or_else(|| panic!("seed {seed}: the server does not talk\n{}", log(&served)));
            }
            seen.acknowledged.push(letter);
        }
        faulty.restart(&mut served);
        assert_nothing_lost(&served, &seen.acknowledged, &seen.tried);
        acknowledged += seen.acknowledged.len();
        refused += seen.refused.len();
        broken += seen.broken;
        empty(&store(&served));
        until("what is deleted has no files", || files(&messages(&served)) == 0);
    }
    eprintln!(
        "{rounds} times, {met} calls failed: {acknowledged} acknowledged and there once, {refused} refused for now, {broken} cut off"
    );
    assert!(met >= rounds && refused > 0, "{met} met, {refused} refused");
    assert!(log(&served).contains("mail cannot be taken"), "somebody is told");
}

#[test]
fn a_start_on_a_disk_that_fails_fails_or_serves_and_harms_nothing() {
    let mut served = served();
    let Some(faulty) = Faulty::of(&served) else { return };
    let letters: Vec<Letter> = SIZES.iter().zip(0..).map(|(size, number)| Letter { number, size: *size }).collect();
    let mut stream = greeted(served.port("smtp")).expect("greets");
    for (letter, to) in letters.iter().zip(["joe@a.example", "far@a.example", "jane@a.example"]) {
        assert!(send(&mut stream, to, letter, false).expect("a reply").starts_with("250"));
    }
    served.child.kill().expect("killed");
    served.child.wait().expect("gone");
    let (mut failed, mut at) = (0, 1);
    loop {
        faulty.only(kind::ALL, at);
        let program = faulty.program(&served);
        let (first, rest) = program.split_first().expect("a program");
        let mut child = Command::new(first)
            .args(rest)
            .args(["--home", &served.path("home"), "serve"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("starts");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let is_ready = lines.map_while(Result::ok).any(|line| line == "ready");
        if is_ready {
            child.kill().expect("killed");
        }
        let ended = child.wait().expect("ended");
        let mut talk = String::new();
        child.stderr.take().expect("piped").read_to_string(&mut talk).expect("text");
        if !is_ready {
            failed += 1;
            assert!(ended.code().is_some_and(|code| code != 0) && talk.contains("error:"), "at {at}: {ended}, {talk}");
        }
        let met = faulty.end();
        assert_eq!(super::kept(&store(&served)).len(), letters.len(), "at {at}");
        if met == 0 {
            break;
        }
        at += if is_long() { 1 } else { 13 };
    }
    eprintln!("a call failed at {at} points of a start: {failed} starts failed");
    served.restart();
    assert_nothing_lost(&served, &letters, &letters);
}

#[test]
fn while_the_disk_takes_nothing_the_server_says_so_and_it_is_ready_again_when_it_does() {
    let mut served = served();
    let Some(faulty) = Faulty::of(&served) else { return };
    faulty.restart(&mut served);
    let ready = || super::ready(&served);
    until("ready", || ready() == "yes");
    let mut stream = greeted(served.port("smtp")).expect("greets");
    let mut reply = |number| send(&mut stream, "joe@a.example", &Letter { number, size: SIZES[0] }, false).expect("a reply");
    faulty.begin(kind::SYNC | kind::WRITE, 1, 1);
    let refused = reply(1);
    assert!(refused.starts_with("45"), "{refused}");
    until("not ready", || ready().contains("the store takes nothing"));
    served.logged("server.log", |log| log.contains("mail cannot be taken"));
    faulty.end();
    assert!(reply(2).starts_with("250"));
    until("ready again", || ready() == "yes");
    assert_eq!(served.mailbox("joe@a.example"), 1);
}
