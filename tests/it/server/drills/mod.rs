//! Drills: the server is killed, starved, lied to and flooded, and what it said stays true.
//!
//! Each runs short here; `SEALPOST_DRILL=long` runs them whole (`docs/reliability.md` has the figures).

mod backup;
mod clock;
mod disk;
mod dropped;
mod faults;
pub(super) mod hostile;
mod kill;
pub(super) mod load;
mod logged_in;
mod migrations;
mod syncs;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Instant;

use sealpost::server::store::{MailboxStore, QueueStore, SqliteStore, Store};

use super::Served;
use crate::support;
use load::Letter;

/// Whether the drills run whole.
pub(super) fn is_long() -> bool {
    std::env::var("SEALPOST_DRILL").is_ok_and(|value| value == "long")
}

/// A server of a.example with jane and joe; mail for `far@a.example` goes into the queue and stays there, for its server is never reached.
fn served() -> Served {
    served_with(str::to_owned)
}

fn served_with(edit: impl Fn(&str) -> String) -> Served {
    let with_route = |text: &str| edit(&text.replace("[routes]\n", "[routes]\n\"far.example\" = \"127.0.0.1:1\"\n"));
    let served = Served::of("a.example", &["jane", "joe"], with_route);
    served.run(&["alias", "add", "far@a.example", "x@far.example"]);
    served
}

/// The store of a server.
fn store(served: &Served) -> SqliteStore {
    SqliteStore::open(&served.folder.path().join("home/mail")).expect("opens")
}

/// Where it has its files.
fn messages(served: &Served) -> std::path::PathBuf {
    served.folder.path().join("home/mail/messages")
}

/// Every letter that mailboxes and queue have, and how often; each must be whole.
fn kept(store: &SqliteStore) -> BTreeMap<Letter, usize> {
    let mut found = BTreeMap::new();
    let mut see = |message: &[u8]| {
        if let Some(letter) = Letter::in_message(message) {
            *found.entry(letter).or_insert(0) += 1;
        }
    };
    for user in ["jane@a.example", "joe@a.example"] {
        for one in store.messages(user).expect("read") {
            see(&store.message(user, one.uid).expect("its bytes are there"));
        }
    }
    for one in store.waiting().expect("read") {
        see(&store.queued(one.id).expect("its bytes are there"));
    }
    found
}

/// Empties mailboxes and queue.
fn empty(store: &SqliteStore) {
    for user in ["jane@a.example", "joe@a.example"] {
        let uids: Vec<i64> = store.messages(user).expect("read").iter().map(|one| one.uid).collect();
        store.delete(user, &uids).expect("deleted");
    }
    for one in store.waiting().expect("read") {
        store.drop_queued(&sealpost::server::store::Which::Message(one.id)).expect("dropped");
    }
}

/// Whether a server says that it is ready: `yes`, or why not.
fn ready(served: &Served) -> String {
    let status: serde_json::Value = serde_json::from_str(&served.run(&["status", "--json"]).0).expect("JSON");
    status["ready"].as_str().expect("it says").to_owned()
}

fn files(folder: &Path) -> usize {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| if entry.path().is_dir() { files(&entry.path()) } else { 1 }).sum()
}

/// Waits until it is so.
fn until(what: &str, is_so: impl Fn() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < support::LONGEST, "never: {what}");
        std::thread::yield_now();
    }
}

/// What was acknowledged is there once, what else is there is there once, files are those of large letters, and the store is whole.
fn assert_nothing_lost(served: &Served, acknowledged: &[Letter], tried: &[Letter]) {
    let store = store(served);
    let kept = kept(&store);
    for letter in acknowledged {
        assert_eq!(kept.get(letter), Some(&1), "{letter:?} was acknowledged");
    }
    for (letter, count) in &kept {
        assert!(*count == 1 && tried.contains(letter), "{letter:?} is there {count} times");
    }
    let large = kept.keys().filter(|letter| letter.is_in_a_file()).count();
    let folder = messages(served);
    until("every file belongs to a message", || files(&folder) == large);
    assert_eq!(store.check(), Ok(Vec::new()));
}
