//! A clock that jumps, while the server runs.

use std::fs;
use std::path::PathBuf;

use sealpost::server::store::{MailboxStore, QueueStore};

use super::super::{Served, start_by};
use super::load::{Letter, greeted, send};
use super::{served, store, until};
use crate::support;

/// The library that lies about the time; its clock is what a file says.
fn liar() -> Option<PathBuf> {
    let folders = fs::read_dir("/usr/lib").into_iter().flatten().flatten();
    let mut found = folders.map(|entry| entry.path().join("faketime/libfaketimeMT.so.1")).filter(|path| path.exists());
    let found = found.next();
    if found.is_none() {
        support::skip("libfaketime is not installed");
    }
    found
}

/// Starts the server anew under a clock that a file sets; the time that only goes on stays true.
fn under(liar: &std::path::Path, served: &mut Served) {
    served.child.kill().expect("killed");
    served.child.wait().expect("gone");
    fs::write(served.path("clock"), "+0").expect("written");
    let lie = format!("LD_PRELOAD={}", liar.display());
    let file = format!("FAKETIME_TIMESTAMP_FILE={}", served.path("clock"));
    let program = ["env", &lie, &file, "FAKETIME_NO_CACHE=1", "FAKETIME_DONT_FAKE_MONOTONIC=1", "DONT_FAKE_MONOTONIC=1"];
    let (child, ports) = start_by(&[&program[..], &[env!("CARGO_BIN_EXE_sealpost")]].concat(), &served.path("home"));
    (served.child, served.ports) = (child, ports);
}

/// Sets the clock of a server; it never reads half of what is written.
fn set(served: &Served, clock: &str) {
    fs::write(served.path("clock.new"), clock).expect("written");
    fs::rename(served.path("clock.new"), served.path("clock")).expect("renamed");
}

#[test]
fn a_clock_that_jumps_gives_nothing_up_and_holds_nothing_back() {
    let Some(liar) = liar() else { return };
    let mut served = served();
    under(&liar, &mut served);
    let mut number = 0;
    let mut deliver = |served: &Served, to: &str| {
        number += 1;
        let mut stream = greeted(served.port("smtp")).expect("greets");
        let reply = send(&mut stream, to, &Letter { number, size: 4 << 10 }, false).expect("a reply");
        assert!(reply.starts_with("250"), "{reply}");
    };
    let store = store(&served);
    let tried = |least: u32| {
        let waiting = store.waiting().expect("read");
        waiting.iter().filter(|one| one.id <= 2).all(|one| one.attempts >= least)
    };
    let uids = || store.messages("joe@a.example").expect("read").iter().map(|one| one.uid).collect::<Vec<_>>();
    for to in ["joe@a.example", "joe@a.example", "far@a.example", "far@a.example"] {
        deliver(&served, to);
    }
    until("each was tried once", || tried(1));
    let before = uids();
    for (clock, least) in [("+10d", 2), ("-1h", 3), ("+365d", 4), ("+0", 5)] {
        set(&served, clock);
        // the queue is looked at when something is added, or after a few seconds
        deliver(&served, "far@a.example");
        // ten days ahead all of it is old and due; back from there, all of it would wait for ten days
        until(&format!("all is tried again at {clock}"), || tried(least));
        assert_eq!(
            store.waiting().expect("read").len(),
            1 + usize::try_from(least).expect("small"),
            "nobody is told anything, and nothing is given up"
        );
        assert_eq!(uids(), before, "numbers stay");
        deliver(&served, "jane@a.example");
        assert_eq!(served.fetch("jane@a.example").len(), 1, "under TLS, with a password");
        until("the server is ready", || super::ready(&served) == "yes");
    }
    deliver(&served, "joe@a.example");
    assert_eq!(uids(), [before, vec![3]].concat(), "the next number is the next");
    // a mailbox that was open is free at any time
    assert_eq!(served.fetch("joe@a.example").len(), 3);
    assert!(served.child.try_wait().expect("asked").is_none(), "it is the same server");
}

#[test]
fn a_start_under_a_clock_that_is_put_back_finds_its_queue_due() {
    let Some(liar) = liar() else { return };
    let mut served = served();
    under(&liar, &mut served);
    set(&served, "+10d");
    let mut stream = greeted(served.port("smtp")).expect("greets");
    let reply = send(&mut stream, "far@a.example", &Letter { number: 1, size: 4 << 10 }, false).expect("a reply");
    assert!(reply.starts_with("250"), "{reply}");
    let tried = || store(&served).waiting().expect("read").first().map_or(0, |one| one.attempts);
    until("it was tried", || tried() == 1);
    drop(stream);
    let seen = tried();
    served.child.kill().expect("killed");
    served.child.wait().expect("gone");
    served.restart();
    until("it is tried today", || store(&served).waiting().expect("read").first().map_or(0, |one| one.attempts) > seen);
}
