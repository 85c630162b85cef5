//! Backups while mail comes in.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use sealpost::server::store::{MailboxStore, QueueStore, SqliteStore, Store};

use super::load::{self, Done, Letter, greeted, send};
use super::{kept, served, store};
use crate::support;

#[test]
fn a_backup_under_load_restores_to_what_was_there_at_one_moment() {
    let mut served = served();
    let done = Arc::new(Done::default());
    let clients = load::start(served.port("smtp"), 8, usize::MAX, &done);
    super::until("there is some load", || done.count.load(Ordering::Relaxed) > 40);
    let before: Vec<Letter> = done.acknowledged.lock().expect("no panic").clone();
    served.run(&["backup", "-o", &served.path("one.backup")]);
    let after: Vec<Letter> = done.tried.lock().expect("no panic").clone();
    served.child.kill().expect("killed");
    served.child.wait().expect("gone");
    clients.into_iter().for_each(|client| client.join().expect("no panic"));
    let restored = restored(&served.path("one.backup"), &[]);
    let letters = kept(&restored.1);
    for letter in &before {
        assert_eq!(letters.get(letter), Some(&1), "{letter:?} was acknowledged before the backup began");
    }
    for (letter, count) in &letters {
        assert!(*count == 1 && after.contains(letter), "{letter:?} is there {count} times");
    }
}

/// A backup in an empty home: the folder, and the store.
fn restored(file: &str, more: &[&str]) -> (tempfile::TempDir, SqliteStore) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let home = folder.path().join("home").display().to_string();
    let args = [&["--home", &home, "--batch", "restore", file][..], more].concat();
    let (code, _, talk) = support::run(env!("CARGO_BIN_EXE_sealpost"), &args, b"");
    assert_eq!(code, 0, "{talk}");
    let store = SqliteStore::open(&folder.path().join("home/mail")).expect("opens");
    assert_eq!(store.check(), Ok(Vec::new()));
    (folder, store)
}

fn size(path: &str) -> u64 {
    fs::metadata(path).expect("a file").len()
}

#[test]
fn a_backup_that_builds_on_another_holds_what_is_new_and_restores_to_all() {
    let served = served();
    let mut stream = greeted(served.port("smtp")).expect("greets");
    let (mut number, mut sent) = (0, Vec::new());
    let mut deliver = |sizes: &[usize]| {
        for &size in sizes {
            let letter = Letter { number, size };
            let to = ["joe@a.example", "far@a.example"][number % 2];
            assert!(send(&mut stream, to, &letter, false).expect("a reply").starts_with("250"));
            number += 1;
            sent.push(letter);
        }
        sent.clone()
    };
    let file = |name: &str| served.path(name);
    deliver(&[4 << 10, 1 << 20, 75 << 10, 4 << 10, 1 << 20]);
    served.run(&["backup", "-o", &file("one")]);
    deliver(&[75 << 10, 4 << 10]);
    served.run(&["backup", "-o", &file("two"), "--since", &file("one")]);
    // the number of a body that is deleted may be given to another one
    let store = store(&served);
    let last = store.messages("joe@a.example").expect("read").last().expect("some").uid;
    store.delete("joe@a.example", &[last]).expect("deleted");
    let mut all = deliver(&[4 << 10, 75 << 10]);
    all.remove(6);
    // an attempt that ends meanwhile changes what is remembered of it
    let mut waiting = None;
    while waiting != Some(store.waiting()) {
        waiting = Some(store.waiting());
        served.run(&["backup", "-o", &file("three"), "--since", &file("two"), "--force"]);
    }
    let grown = (size(&file("one")), size(&file("two")), size(&file("three")));
    assert!(grown.0 > 2 << 20 && grown.1 < grown.0 / 4 && grown.2 < grown.0 / 4, "{grown:?}");
    let restored = restored(&file("three"), &["--earlier", &file("one"), "--earlier", &file("two")]);
    let letters = kept(&restored.1);
    assert_eq!(letters.keys().cloned().collect::<Vec<_>>(), all);
    assert!(letters.values().all(|count| *count == 1), "{letters:?}");
    // each under its number
    for user in ["joe@a.example", "jane@a.example"] {
        assert_eq!(restored.1.messages(user), store.messages(user));
    }
    assert_eq!(Some(restored.1.waiting()), waiting);
}

#[test]
fn a_backup_that_builds_on_another_is_not_restored_without_it() {
    let served = served();
    let mut stream = greeted(served.port("smtp")).expect("greets");
    assert!(send(&mut stream, "joe@a.example", &Letter { number: 1, size: 4 << 10 }, false).expect("a reply").starts_with("250"));
    served.run(&["backup", "-o", &served.path("one")]);
    served.run(&["backup", "-o", &served.path("two"), "--since", &served.path("one")]);
    served.run(&["backup", "-o", &served.path("other")]);
    for more in [&[][..], &["--earlier", &served.path("other")]] {
        let home = tempfile::tempdir().expect("a temporary folder");
        let (to, file) = (home.path().join("home").display().to_string(), served.path("two"));
        let args = [&["--home", &to, "--batch", "restore", &file][..], more].concat();
        let (code, _, talk) = support::run(env!("CARGO_BIN_EXE_sealpost"), &args, b"");
        assert_ne!(code, 0);
        assert!(talk.contains("the earlier backup of 2") && talk.contains("--earlier FILE"), "{talk}");
        let there = fs::read_dir(home.path().join("home")).map_or(0, Iterator::count);
        assert_eq!(there, 0, "the home is as empty as it was");
    }
    // what is there is kept
    let note = served.path("note.txt");
    fs::write(&note, "precious").expect("written");
    let args = ["--home", &served.path("home"), "--batch", "backup", "-o", &note];
    let (code, _, talk) = support::run(env!("CARGO_BIN_EXE_sealpost"), &args, b"");
    assert!(code == 9 && talk.contains("exists already") && fs::read(&note).expect("read") == b"precious", "{code}: {talk}");
    served.run(&["backup", "-o", &note, "--force"]);
    assert!(fs::read(&note).expect("read").starts_with(b"SQLite"));
}

#[test]
fn the_authority_in_a_backup_is_of_one_moment() {
    let served = served();
    let file = |at: usize| served.path(&format!("backup{at}"));
    std::thread::scope(|scope| {
        let issuing = scope.spawn(|| {
            for at in 0..6 {
                served.run(&["ca", "issue", &format!("p{at}@a.example"), "--p12", &served.path(&format!("p{at}.p12"))]);
            }
        });
        // while certificates are issued, whose records lie in several files
        (0..4).for_each(|at| drop(served.run(&["backup", "-o", &file(at)])));
        issuing.join().expect("no panic");
    });
    for at in 0..4 {
        let (folder, _) = restored(&file(at), &[]);
        let home = folder.path().join("home").display().to_string();
        let (code, _, talk) =
            support::run(env!("CARGO_BIN_EXE_sealpost"), &["--home", &home, "--batch", "ca", "log", "--verify"], b"");
        assert_eq!(code, 0, "{talk}");
    }
}
