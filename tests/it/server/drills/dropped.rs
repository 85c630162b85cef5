//! `kill -9` while mail becomes files in the drop folder: each is there at least once, and every file is whole.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use sealpost::server::store::QueueStore;

use super::super::Served;
use super::disk::Traced;
use super::load::{self, Done, Letter};
use super::{is_long, store, until};
use crate::support;

const FAX: &str = "x@faxes.a.example";

fn served() -> Served {
    let part = "[drop]\ndomains = [\"faxes.a.example\"]\nfolder = \"faxes\"\n";
    super::served_with(|text| format!("{text}\n{part}"))
}

/// The names in the drop folder.
fn names(served: &Served) -> Vec<String> {
    let entries = fs::read_dir(served.path("home/faxes")).expect("a folder").flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// Every letter that was dropped, and how often; each must be whole, and there is nothing else.
fn dropped(served: &Served) -> BTreeMap<Letter, usize> {
    let mut found = BTreeMap::new();
    for name in names(served) {
        assert!(name.ends_with(".eml") && !name.starts_with('.'), "{name} is half written");
        let message = fs::read(served.path(&format!("home/faxes/{name}"))).expect("read");
        assert!(message.starts_with(b"X-Sender: <x@b.example>\r\nX-Receiver: <x@faxes.a.example>\r\n"), "{name}");
        *found.entry(Letter::in_message(&message).expect("a letter")).or_insert(0) += 1;
    }
    found
}

fn gone(served: &mut Served) {
    served.child.wait().expect("gone");
    served.restart();
    let store = store(served);
    until("the queue is empty", || store.waiting().expect("read").is_empty());
}

#[test]
fn a_server_that_dies_at_each_step_of_a_file_writes_it_again_and_leaves_no_half() {
    if !support::peer("strace") {
        return;
    }
    // before the file has its name, and when it has it while the queue does not know it yet
    for (number, calls, has_file) in [(1, "renameat,renameat2", false), (2, "fsync", true)] {
        let mut served = served();
        let folder = served.path("home/faxes");
        let rules = [format!("trace={calls}"), format!("inject={calls}:signal=KILL")];
        // of all syncs, that of the folder; it comes when the new name is there
        let of: &[&str] = if has_file { &["-P", &folder] } else { &[] };
        let Some(traced) = Traced::attach_to(&served, "log", &rules.each_ref().map(String::as_str), of) else { return };
        let mut stream = load::greeted(served.port("smtp")).expect("greets");
        let letter = Letter { number, size: 4 << 10 };
        let reply = load::send(&mut stream, FAX, &letter, false);
        assert!(reply.is_none_or(|reply| reply.starts_with("250")));
        let ended = served.child.wait().expect("it ended");
        assert!(!ended.success(), "{ended}");
        let log = traced.end();
        let before = names(&served);
        assert_eq!(before.iter().filter(|name| name.ends_with(".eml")).count(), usize::from(has_file), "{before:?}\n{log}");
        assert!(has_file || before.iter().any(|name| name.starts_with(".new-")), "{before:?}\n{log}");
        gone(&mut served);
        assert_eq!(dropped(&served), BTreeMap::from([(letter, 1 + usize::from(has_file))]), "{log}");
    }
}

#[test]
fn what_was_acknowledged_is_a_whole_file_however_often_the_server_is_killed() {
    let rounds = if is_long() { 50 } else { 4 };
    let mut served = served();
    let done = Arc::new(Done::default());
    for round in 1..=rounds {
        let clients = load::start_to(&[FAX], served.port("smtp"), 4, usize::MAX, &done);
        until("letters were taken", || done.count.load(Ordering::Relaxed) >= round * 25 && names(&served).len() >= round * 5);
        served.child.kill().expect("killed");
        clients.into_iter().for_each(|client| client.join().expect("no panic"));
        gone(&mut served);
    }
    let (acknowledged, tried) = (done.acknowledged.lock().expect("no panic"), done.tried.lock().expect("no panic"));
    let found = dropped(&served);
    for letter in acknowledged.iter() {
        assert!(found.contains_key(letter), "{letter:?} was acknowledged");
    }
    assert!(found.keys().all(|letter| tried.contains(letter)));
    let twice = found.values().filter(|count| **count > 1).count();
    eprintln!(
        "killed {rounds} times: {} acknowledged, {} files, {twice} letters more than once",
        acknowledged.len(),
        names(&served).len()
    );
}
