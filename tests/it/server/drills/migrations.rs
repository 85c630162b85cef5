//! Stores of every earlier version open, and have what they had.
//!
//! `tests/schemas/N.sql` is a store of version N in SQL. Whoever adds a migration adds the version before it.

use std::fs;
use std::path::{Path, PathBuf};

use sealpost::server::store::{
    AccountStore, Delivery, HELD, MailboxStore, PolicyStore, Priority, QueueStore, SqliteStore, Store,
};
use sealpost::time::Timestamp;

fn schemas() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/schemas");
    let mut found: Vec<_> = fs::read_dir(folder).expect("schemas").map(|entry| entry.expect("an entry").path()).collect();
    found.sort();
    found
}

/// A store of an earlier version, with one large message beside it.
fn old(schema: &Path) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let database = rusqlite::Connection::open(folder.path().join("mail.db")).expect("opens");
    database.execute_batch(&fs::read_to_string(schema).expect("text")).expect("SQL");
    fs::create_dir_all(folder.path().join("messages/ab")).expect("made");
    fs::write(folder.path().join("messages/ab/ab0123"), "x".repeat(20_000)).expect("written");
    folder
}

fn version(folder: &Path) -> usize {
    let database = rusqlite::Connection::open(folder.join("mail.db")).expect("opens");
    let version: u32 = database.query_row("PRAGMA user_version", [], |row| row.get(0)).expect("a version");
    usize::try_from(version).expect("small")
}

const SMALL: &str = "From: x@b.example\r\nSubject: small\r\n\r\nA letter.\r\n";

#[test]
fn a_store_of_every_earlier_version_has_its_accounts_mail_and_queue() {
    for (at, schema) in schemas().iter().enumerate() {
        let (was, folder) = (at + 1, old(schema));
        let name = schema.display();
        let store = SqliteStore::open(folder.path()).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(store.check(), Ok(Vec::new()), "{name}");
        assert_eq!(store.sweep(), Ok(0), "{name}");
        assert_eq!(store.domains().expect("read"), ["a.example"]);
        assert_eq!(store.users().expect("read"), ["jane@a.example", "joe@a.example"]);
        assert_eq!(store.password_hash("jane@a.example").expect("read").as_deref(), Some("a hash"));
        assert_eq!(store.targets("info@a.example").expect("read"), ["jane@a.example", "p@c.example"]);
        let fields = if was < 4 { "" } else { "Return-Path: <x@b.example>\r\n" };
        let large = fields.to_owned() + &"x".repeat(20_000);
        let message = |uid| String::from_utf8(store.message("jane@a.example", uid).expect("read")).expect("text");
        assert_eq!((message(2).as_str(), message(3)), (SMALL, large), "{name}");
        let listed = store.messages("jane@a.example").expect("read");
        assert_eq!(listed.iter().map(|one| one.uid).collect::<Vec<_>>(), [2, 3], "{name}");
        let used: u64 = listed.iter().map(|one| one.size).sum();
        assert_eq!(store.room("jane@a.example").expect("read").user.0, used, "{name}: what the quota counts");
        if was >= 2 {
            let waiting = store.waiting().expect("read");
            let rows: Vec<_> =
                waiting.iter().map(|one| (one.id, one.recipient.as_str(), one.attempts, one.next.unix())).collect();
            let wanted =
                [(7, "Q@D.example", 0, 1_750_000_002), (7, "p@c.example", 2, 1_750_000_900), (8, "r@c.example", 0, HELD.unix())];
            assert_eq!(rows, wanted, "{name}");
            assert_eq!(
                store.due_domains(Timestamp::from_unix(1_750_000_900)).expect("read"),
                ["c.example", "d.example"],
                "{name}"
            );
            assert_eq!(store.queued(7).expect("read"), SMALL.as_bytes(), "{name}");
            assert_eq!(store.queued(8).expect("read").len(), 20_000, "{name}");
        }
        if was >= 5 {
            let due = store.due(7, HELD).expect("read").expect("it is there");
            assert_eq!((due.terms.ret.as_str(), due.terms.envid.as_str()), ("HDRS", "e1"));
            assert!(store.policy("c.example").expect("read").is_some());
        }
        if was >= 6 {
            let room = store.room("jane@a.example").expect("read");
            assert_eq!((room.user.1, room.domain.1), (50_000, 90_000));
        }
        // and it goes on: the next number is the next, a user who is gone keeps his
        let deliver = |to: &str| {
            let delivery = Delivery {
                message: b"new".to_vec().into(),
                final_fields: Vec::new(),
                mailboxes: vec![to.to_owned()],
                sender: String::new(),
                elsewhere: vec!["s@e.example".to_owned().into()],
                terms: Default::default(),
                priority: Priority::Normal,
                at: Timestamp::from_unix(1_780_000_000),
                extra: Default::default(),
            };
            store.deliver(delivery).expect("kept");
            store.messages(to).expect("read").last().map(|one| one.uid)
        };
        assert_eq!(deliver("jane@a.example"), Some(4), "{name}");
        store.add_user("gone@a.example", "hash").expect("new");
        assert_eq!(deliver("gone@a.example"), Some(if was < 3 { 1 } else { 12 }), "{name}");
        store.delete("jane@a.example", &[3]).expect("deleted");
        drop(store);
        assert_eq!(version(folder.path()), schemas().len() + 1, "the version before the present one is here, too");
        let again = SqliteStore::open(folder.path()).expect("opens again");
        assert_eq!(again.check(), Ok(Vec::new()), "{name}");
    }
}

#[test]
fn a_store_of_a_later_program_is_left_alone() {
    let folder = old(schemas().last().expect("one"));
    rusqlite::Connection::open(folder.path().join("mail.db"))
        .expect("opens")
        .execute_batch("PRAGMA user_version = 99")
        .expect("set");
    let refused = SqliteStore::open(folder.path()).map(drop).expect_err("it is not understood").to_string();
    assert!(refused.contains("the database has version 99, this program knows"), "{refused}");
    assert_eq!(version(folder.path()), 99);
}
