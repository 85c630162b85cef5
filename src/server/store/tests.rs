use std::sync::Arc;

use crate::server::store::{AccountStore, Delivery, Error, MailboxStore, QueueStore, Settled, SqliteStore, Store};
use crate::time::Timestamp;

fn store() -> (tempfile::TempDir, SqliteStore) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let store = SqliteStore::open(folder.path()).expect("opens");
    store.add_domain("a.example").expect("new");
    store.add_user("jane@a.example", "hash").expect("new");
    store.add_user("joe@a.example", "hash").expect("new");
    (folder, store)
}

fn delivery(message: &[u8], mailboxes: &[&str]) -> Delivery {
    let mailboxes = mailboxes.iter().map(|m| (*m).to_owned()).collect();
    Delivery {
        message: message.to_vec(),
        final_fields: Vec::new(),
        mailboxes,
        sender: "x@b.example".to_owned(),
        elsewhere: Vec::new(),
        at: Timestamp::from_unix(1),
    }
}

#[test]
fn messages_small_and_large_are_kept_once_for_all_and_gone_with_the_last() {
    let (folder, store) = store();
    let large = vec![b'x'; 100_000];
    for message in [b"small".as_slice(), &large] {
        store.deliver(delivery(message, &["jane@a.example", "joe@a.example"])).expect("kept");
    }
    assert_eq!(store.messages("jane@a.example").expect("read").iter().map(|m| m.size).collect::<Vec<_>>(), [5, 100_000]);
    assert_eq!(store.message("joe@a.example", 2).expect("read"), large);
    let files = || walk(&folder.path().join("messages"));
    assert_eq!(files(), 1);
    store.delete("jane@a.example", &[1, 2]).expect("deleted");
    assert_eq!((files(), store.message("joe@a.example", 2).expect("read").len()), (1, 100_000));
    store.remove_user("joe@a.example").expect("removed");
    assert_eq!(files(), 0);
}

#[test]
fn numbers_are_never_used_twice_and_outlive_a_restart() {
    let (folder, store) = store();
    store.deliver(delivery(b"1", &["jane@a.example"])).expect("kept");
    store.delete("jane@a.example", &[1]).expect("deleted");
    drop(store);
    let store = SqliteStore::open(folder.path()).expect("opens again");
    store.deliver(delivery(b"2", &["jane@a.example"])).expect("kept");
    assert_eq!(store.messages("jane@a.example").expect("read").first().map(|m| m.uid), Some(2));
    store.remove_user("jane@a.example").expect("removed");
    store.add_user("jane@a.example", "hash").expect("new");
    store.deliver(delivery(b"3", &["jane@a.example"])).expect("kept");
    assert_eq!(store.messages("jane@a.example").expect("read").first().map(|m| m.uid), Some(3));
}

#[test]
fn a_delivery_that_fails_leaves_nothing_anywhere() {
    let (folder, store) = store();
    let failed = store.deliver(delivery(&vec![b'x'; 100_000], &["jane@a.example", "nobody@a.example"]));
    assert!(matches!(failed, Err(Error::NotFound(_))));
    assert!(store.messages("jane@a.example").expect("read").is_empty());
    assert_eq!(walk(&folder.path().join("messages")), 0);
}

#[test]
fn many_writers_at_once_lose_nothing() {
    let (_folder, store) = store();
    let store = Arc::new(store);
    let threads: Vec<_> = (0..16)
        .map(|_| {
            let store = Arc::clone(&store);
            std::thread::spawn(move || (0..25).for_each(|_| store.deliver(delivery(b"x", &["jane@a.example"])).expect("kept")))
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().expect("no panic"));
    let uids: Vec<i64> = store.messages("jane@a.example").expect("read").iter().map(|m| m.uid).collect();
    assert_eq!(uids, (1..=400).collect::<Vec<_>>());
}

#[test]
fn accounts_are_added_once_and_missed_when_removed() {
    let (_folder, store) = store();
    assert!(matches!(store.add_user("jane@a.example", "x"), Err(Error::Exists(_))));
    assert!(matches!(store.remove_domain("a.example"), Err(Error::Exists(_))));
    assert!(matches!(store.set_password("nobody@a.example", "x"), Err(Error::NotFound(_))));
    store.add_alias("info@a.example", "jane@a.example").expect("new");
    assert_eq!(store.targets("info@a.example").expect("read"), ["jane@a.example"]);
    assert_eq!(store.password_hash("jane@a.example").expect("read").as_deref(), Some("hash"));
}

#[test]
fn the_fields_of_final_delivery_stand_in_mailboxes_only() {
    let (_folder, store) = store();
    let elsewhere = vec!["p@c.example".to_owned()];
    let final_fields = b"Return-Path: <x@b.example>\r\n".to_vec();
    store.deliver(Delivery { elsewhere, final_fields, ..delivery(b"body", &["jane@a.example"]) }).expect("kept");
    assert_eq!(store.message("jane@a.example", 1).expect("read"), b"Return-Path: <x@b.example>\r\nbody");
    assert_eq!(store.queued(1).expect("read"), b"body");
}

#[test]
fn the_queue_gives_what_is_due_and_forgets_a_message_with_its_last_recipient() {
    let (folder, store) = store();
    let elsewhere = vec!["p@c.example".to_owned(), "q@d.example".to_owned()];
    store.deliver(Delivery { elsewhere, ..delivery(&vec![b'x'; 100_000], &["jane@a.example"]) }).expect("kept");
    let at = Timestamp::from_unix(10);
    let due = store.due(at, 10).expect("read");
    let [one] = due.as_slice() else { panic!("one message is due") };
    assert_eq!((one.recipients.len(), one.sender.as_str()), (2, "x@b.example"));
    assert_eq!(store.queued(one.id).expect("read").len(), 100_000);
    let later = Settled::Later(Timestamp::from_unix(100), "450 busy".to_owned());
    store.settle(one.id, vec![("p@c.example".to_owned(), Settled::Gone), ("q@d.example".to_owned(), later)]).expect("settled");
    assert!(store.due(Timestamp::from_unix(99), 10).expect("read").is_empty());
    let waiting = store.waiting().expect("read");
    assert_eq!(waiting.first().map(|w| (w.attempts, w.error.as_str())), Some((1, "450 busy")));
    store.delete("jane@a.example", &[1]).expect("deleted");
    assert_eq!(walk(&folder.path().join("messages")), 1);
    store.retry(Some(one.id), at).expect("it is there");
    assert_eq!(store.due(at, 10).expect("read").len(), 1);
    assert!(matches!(store.drop_queued(one.id + 1), Err(Error::NotFound(_))));
    store.settle(one.id, vec![("q@d.example".to_owned(), Settled::Gone)]).expect("settled");
    assert_eq!((store.waiting().expect("read").len(), walk(&folder.path().join("messages"))), (0, 0));
}

fn walk(folder: &std::path::Path) -> usize {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| if entry.path().is_dir() { walk(&entry.path()) } else { 1 }).sum()
}
