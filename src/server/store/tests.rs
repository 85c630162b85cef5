use std::sync::Arc;

use crate::proto::smtp::{Addressee, Body as Kind, RequireTls, Terms};
use crate::server::store::{
    AccountStore, Body, Bound, Delivery, Error, Extra, Fault, Growing, HELD, MailboxStore, PolicyStore, Priority, QueueStore,
    Settled, SqliteStore, Store, TlsResult, Which,
};
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
        message: message.to_vec().into(),
        final_fields: Vec::new(),
        mailboxes,
        sender: "x@b.example".to_owned(),
        elsewhere: Vec::new(),
        terms: Terms::default(),
        priority: Priority::Normal,
        at: Timestamp::from_unix(1),
        extra: Extra::default(),
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
            std::thread::spawn(move || {
                for _ in 0..25 {
                    store.deliver(delivery(b"x", &["jane@a.example"])).expect("kept");
                }
            })
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
    assert!(matches!(store.remove_domain("a.example"), Err(Error::InUse(_))));
    assert!(matches!(store.set_password("nobody@a.example", "x"), Err(Error::NotFound(_))));
    store.add_alias("info@a.example", "jane@a.example").expect("new");
    assert_eq!(store.targets("info@a.example").expect("read"), ["jane@a.example"]);
    assert_eq!(store.password_hash("jane@a.example").expect("read").as_deref(), Some("hash"));
}

#[test]
fn the_fields_of_final_delivery_stand_in_mailboxes_only() {
    let (_folder, store) = store();
    let elsewhere = vec!["p@c.example".to_owned().into()];
    let final_fields = b"Return-Path: <x@b.example>\r\n".to_vec();
    store.deliver(Delivery { elsewhere, final_fields, ..delivery(b"body", &["jane@a.example"]) }).expect("kept");
    assert_eq!(
        store.message("jane@a.example", 1).expect("read"),
        b"Return-Path: <x@b.example>\r\nDelivered-To: jane@a.example\r\nbody"
    );
    assert_eq!(store.queued(1).expect("read"), b"body");
}

#[test]
fn each_mailbox_has_its_own_name_and_marks_before_one_body() {
    let (_folder, store) = store();
    let marks = [("joe@a.example/Lists".to_owned(), vec!["\\Seen".to_owned(), "work".to_owned()])].into();
    let extra = Extra { marks, taken: Some("a".to_owned()), ..Extra::default() };
    let all = delivery(b"body", &["jane@a.example", "joe@a.example/Lists"]);
    store.deliver(Delivery { extra, final_fields: b"Return-Path: <>\r\n".to_vec(), ..all }).expect("kept");
    assert_eq!(store.message("jane@a.example", 1).expect("read"), b"Return-Path: <>\r\nDelivered-To: jane@a.example\r\nbody");
    let joes = b"Return-Path: <>\r\nDelivered-To: joe@a.example\r\nX-Keywords: \\Seen work\r\nbody";
    assert_eq!(store.message("joe@a.example/Lists", 1).expect("read"), joes);
    let listed = store.messages("joe@a.example/Lists").expect("read");
    assert_eq!(
        listed.iter().map(|m| (m.size, m.marks.join(","))).collect::<Vec<_>>(),
        [(joes.len() as u64, "\\Seen,work".to_owned())]
    );
}

#[test]
fn a_name_is_taken_with_its_message_or_not_at_all() {
    let (_folder, store) = store();
    let named = |name: &str| Extra { taken: Some(name.to_owned()), ..Extra::default() };
    store.deliver(Delivery { extra: named("one"), ..delivery(b"1", &["jane@a.example"]) }).expect("kept");
    assert!(store.deliver(Delivery { extra: named("two"), ..delivery(b"2", &["nobody@a.example"]) }).is_err());
    // a file that was taken makes no second message
    assert!(store.deliver(Delivery { extra: named("one"), ..delivery(b"1", &["jane@a.example"]) }).is_err());
    assert_eq!(store.taken().expect("read"), ["one"]);
    assert_eq!(store.messages("jane@a.example").expect("read").len(), 1);
    store.forget_taken(&["one".to_owned(), "none".to_owned()]).expect("forgotten");
    assert!(store.taken().expect("read").is_empty());
}

#[test]
fn the_queue_gives_what_is_due_and_forgets_a_message_with_its_last_recipient() {
    let (folder, store) = store();
    let elsewhere = vec!["p@c.example".to_owned().into(), "q@d.example".to_owned().into()];
    store.deliver(Delivery { elsewhere, ..delivery(&vec![b'x'; 100_000], &["jane@a.example"]) }).expect("kept");
    let at = Timestamp::from_unix(10);
    assert_eq!(store.due_domains(at).expect("read"), ["c.example", "d.example"]);
    assert_eq!(store.due_messages("c.example", at, 10).expect("read"), [1]);
    let one = store.due(1, at).expect("read").expect("one message is due");
    assert_eq!((one.recipients.len(), one.sender.as_str()), (2, "x@b.example"));
    assert_eq!(store.queued(one.id).expect("read").len(), 100_000);
    let later = Settled::Later(Timestamp::from_unix(100), "450 busy".to_owned());
    store.settle(one.id, vec![("p@c.example".to_owned(), Settled::Gone), ("q@d.example".to_owned(), later)]).expect("settled");
    assert!(store.due_domains(Timestamp::from_unix(99)).expect("read").is_empty());
    assert_eq!(store.due_domains(Timestamp::from_unix(100)).expect("read"), ["d.example"]);
    let waiting = store.waiting().expect("read");
    assert_eq!(waiting.first().map(|w| (w.attempts, w.error.as_str())), Some((1, "450 busy")));
    store.delete("jane@a.example", &[1]).expect("deleted");
    assert_eq!(walk(&folder.path().join("messages")), 1);
    store.retry(&Which::Message(one.id), at).expect("it is there");
    assert_eq!(store.due(1, at).expect("read").map(|queued| queued.recipients.len()), Some(1));
    assert!(matches!(store.drop_queued(&Which::Message(one.id + 1)), Err(Error::NotFound(_))));
    store.settle(one.id, vec![("q@d.example".to_owned(), Settled::Gone)]).expect("settled");
    assert_eq!((store.waiting().expect("read").len(), walk(&folder.path().join("messages"))), (0, 0));
}

#[test]
fn what_the_sender_asked_for_stays_with_the_message_and_urgent_ones_come_first() {
    let (_folder, store) = store();
    let to = Addressee { address: "p@C.example".to_owned(), notify: "DELAY".to_owned(), original: "rfc822;x".to_owned() };
    let terms = Terms { ret: "FULL".to_owned(), envid: "e".to_owned(), body: Kind::Binary, tls: RequireTls::Yes };
    for priority in [Priority::Low, Priority::Normal, Priority::High] {
        let (elsewhere, terms) = (vec![to.clone()], terms.clone());
        store.deliver(Delivery { elsewhere, terms, priority, ..delivery(b"x", &[]) }).expect("kept");
    }
    let at = Timestamp::from_unix(10);
    assert_eq!(store.due_messages("c.example", at, 10).expect("read"), [3, 2, 1]);
    assert_eq!(store.due_messages("c.example", at, 2).expect("read"), [3, 2]);
    let due = store.due(1, at).expect("read").expect("it is due");
    assert_eq!((due.terms, due.recipients.first().map(|due| &due.to)), (terms, Some(&to)));
}

#[test]
fn what_is_held_waits_until_somebody_says_its_name() {
    let (_folder, store) = store();
    for to in ["p@c.example", "q@d.example"] {
        store.deliver(Delivery { elsewhere: vec![to.to_owned().into()], ..delivery(b"x", &[]) }).expect("kept");
    }
    let (now, end) = (Timestamp::from_unix(10), Timestamp::from_unix(i64::MAX - 1));
    store.hold(&Which::Domain("c.example".to_owned())).expect("there is one");
    assert_eq!(store.due_domains(end).expect("read"), ["d.example"]);
    assert_eq!(store.waiting().expect("read").first().map(|one| one.next), Some(HELD));
    // an attempt that was under way meanwhile does not free it
    store.settle(1, vec![("p@c.example".to_owned(), Settled::Later(now, "450 busy".to_owned()))]).expect("settled");
    store.retry(&Which::All, now).expect("all but what is held");
    assert_eq!(store.due_domains(end).expect("read"), ["d.example"]);
    store.retry(&Which::User("x@b.example".to_owned()), now).expect("both are his");
    assert_eq!(store.due_domains(now).expect("read"), ["c.example", "d.example"]);
    store.drop_queued(&Which::Domain("d.example".to_owned())).expect("there is one");
    assert!(matches!(store.hold(&Which::Domain("d.example".to_owned())), Err(Error::NotFound(_))));
    assert_eq!(store.waiting().expect("read").len(), 1);
}

#[test]
fn what_waits_is_found_by_its_number_its_domain_and_its_sender() {
    let (_folder, store) = store();
    for (sender, to) in [("Jane@a.example", "p@C.example"), ("joe@a.example", "q@c.example"), ("jane@a.example", "r@d.example")] {
        let elsewhere = vec![to.to_owned().into()];
        store.deliver(Delivery { sender: sender.to_owned(), elsewhere, ..delivery(b"x", &[]) }).expect("kept");
    }
    let of = |which: Which| -> Vec<i64> { store.waiting_of(&which).expect("read").iter().map(|one| one.id).collect() };
    assert_eq!(of(Which::All), [1, 2, 3]);
    assert_eq!((of(Which::Message(2)), of(Which::Message(4))), (vec![2], Vec::new()));
    assert_eq!(of(Which::Domain("c.example".to_owned())), [1, 2]);
    assert_eq!(of(Which::User("jane@a.example".to_owned())), [1, 3]);
}

#[test]
fn quotas_count_what_comes_and_what_goes() {
    let (_folder, store) = store();
    store.deliver(delivery(&[b'x'; 1000], &["jane@a.example", "joe@a.example"])).expect("kept");
    assert!(store.room("jane@a.example").expect("read").fits(u64::MAX), "there is no bound");
    store.set_quota("jane@a.example", 1500).expect("she is there");
    let room = store.room("jane@a.example").expect("read");
    assert_eq!((room.user, room.fits(500), room.fits(501)), ((1000, 1500), true, false));
    store.set_quota("a.example", 2500).expect("it is there");
    let room = store.room("joe@a.example").expect("read");
    assert_eq!((room.domain, room.fits(500), room.fits(501)), ((2000, 2500), true, false));
    store.delete("jane@a.example", &[1]).expect("deleted");
    store.delete("jane@a.example", &[1]).expect("it is gone already");
    let room = store.room("jane@a.example").expect("read");
    assert_eq!((room.user.0, room.domain.0), (0, 1000));
    assert!(matches!(store.set_quota("nobody@a.example", 1), Err(Error::NotFound(_))));
}

/// One that quotas bound; it takes so many bytes in the inbox of Jane, and one less in that of Joe.
fn bounded(bytes: usize, mailboxes: &[&str]) -> Delivery {
    let fields = "Return-Path: <>\r\nDelivered-To: jane@a.example\r\n".len();
    let extra = Extra { bound: Bound::Within, ..Extra::default() };
    let message = vec![b'x'; bytes.checked_sub(fields).expect("more than its fields")];
    Delivery { extra, final_fields: b"Return-Path: <>\r\n".to_vec(), ..delivery(&message, mailboxes) }
}

#[test]
fn a_quota_holds_however_many_deliver_at_once() {
    for (name, bytes) in [("jane@a.example", 100), ("a.example", 100), ("jane@a.example", 20_000)] {
        let (folder, store) = store();
        store.set_quota(name, 10 * bytes).expect("set");
        let store = Arc::new(store);
        let threads: Vec<_> = (0..16)
            .map(|_| {
                let (store, bytes) = (Arc::clone(&store), usize::try_from(bytes).expect("small"));
                std::thread::spawn(move || -> Vec<_> {
                    (0..3).map(|_| store.deliver(bounded(bytes, &["jane@a.example"]))).collect()
                })
            })
            .collect();
        let kept: Vec<_> = threads.into_iter().flat_map(|thread| thread.join().expect("no panic")).collect();
        assert_eq!(kept.iter().filter(|kept| **kept == Ok(None)).count(), 10, "{name}");
        let full = Err(Error::NoRoom("jane@a.example".to_owned()));
        assert_eq!(kept.iter().filter(|kept| **kept == full).count(), 38, "{name}");
        assert_eq!(store.room("jane@a.example").expect("read").user.0, 10 * bytes);
        let uids: Vec<i64> = store.messages("jane@a.example").expect("read").iter().map(|m| m.uid).collect();
        assert_eq!(uids, (1..=10).collect::<Vec<_>>(), "what is refused takes no number");
        let files = if bytes > 16 << 10 { 10 } else { 0 };
        assert_eq!(walk(&folder.path().join("messages")), files, "and leaves no file");
    }
}

#[test]
fn a_quota_counts_what_is_stored_to_the_byte() {
    let (_folder, store) = store();
    let full = |mailboxes: &[&str]| matches!(store.deliver(bounded(100, mailboxes)), Err(Error::NoRoom(_)));
    store.set_quota("jane@a.example", 99).expect("set");
    assert!(full(&["jane@a.example"]) && full(&["jane@a.example/Lists"]));
    store.set_quota("jane@a.example", 100).expect("set");
    assert!(full(&["jane@a.example", "jane@a.example/Lists"]), "folders are the user's");
    assert!(!full(&["jane@a.example/Lists"]));
    assert_eq!(store.room("jane@a.example").expect("read").user, (100, 100));
    // one answer for all: it fits Joe
    assert!(full(&["jane@a.example"]) && !full(&["jane@a.example", "joe@a.example"]));
    store.set_quota("joe@a.example", 198).expect("set");
    assert!(!full(&["joe@a.example"]), "one byte less, twice");
    assert!(full(&["jane@a.example", "joe@a.example"]));
    assert_eq!(store.room("jane@a.example").expect("read").user.0, 200);
    let over = Delivery { extra: Extra::default(), ..bounded(100, &["joe@a.example"]) };
    assert_eq!(store.deliver(over), Ok(None), "not asked");
    // a name that is not taken is there for the next try
    let extra = Extra { bound: Bound::Within, taken: Some("one".to_owned()), ..Extra::default() };
    assert!(store.deliver(Delivery { extra, ..bounded(100, &["joe@a.example"]) }).is_err());
    assert!(store.taken().expect("read").is_empty());
}

#[test]
fn how_tls_went_is_counted_by_day_and_policies_are_kept() {
    let (_folder, store) = store();
    let result = |result: &str| {
        let text = str::to_owned;
        TlsResult {
            domain: text("c.example"),
            policy: text("sts"),
            mx: text("mx.c.example"),
            result: text(result),
            ..TlsResult::default()
        }
    };
    for one in ["success", "success", "certificate-expired"] {
        store.count_tls(100, result(one)).expect("counted");
    }
    store.count_tls(101, result("success")).expect("counted");
    let counted = store.tls_results(100).expect("read");
    assert_eq!(counted, [(result("certificate-expired"), 1), (result("success"), 2)]);
    let at = Timestamp::from_unix(7);
    store.keep_policy("c.example", "1", "text", at).expect("kept");
    store.keep_policy("c.example", "2", "other", at).expect("kept");
    assert_eq!(store.policy("c.example").expect("read"), Some(("2".to_owned(), "other".to_owned(), at)));
}

#[test]
fn a_spooled_message_becomes_the_file_of_all_its_recipients_without_a_copy() {
    let (folder, store) = store();
    let mut file = Growing::new(&store.spool()).expect("a file");
    file.push(&[b'x'; 100_000]).expect("written");
    #[cfg(unix)]
    let number = std::os::unix::fs::MetadataExt::ino(&only(&store.spool()).metadata().expect("is there"));
    let body = Body::spooled(b"Received: x\r\n".to_vec(), file);
    let elsewhere = vec!["p@c.example".to_owned().into()];
    let final_fields = b"Return-Path: <>\r\n".to_vec();
    let all = delivery(b"", &["jane@a.example", "joe@a.example"]);
    store.deliver(Delivery { message: body, elsewhere, final_fields, ..all }).expect("kept");
    let message = store.message("joe@a.example", 1).expect("read");
    assert!(message.starts_with(b"Return-Path: <>\r\nDelivered-To: joe@a.example\r\nReceived: x\r\nxxx"));
    assert_eq!(store.messages("joe@a.example").expect("read").first().map(|m| m.size), u64::try_from(message.len()).ok());
    assert!(store.queued(1).expect("read").starts_with(b"Received: x\r\nxxx"));
    assert_eq!(walk(&folder.path().join("messages")), 1);
    #[cfg(unix)]
    assert_eq!(std::os::unix::fs::MetadataExt::ino(&only(&folder.path().join("messages")).metadata().expect("is there")), number);
}

#[test]
fn what_is_missing_or_changed_is_found_and_what_can_be_is_mended() {
    let (folder, store) = store();
    for fill in [b'1', b'2'] {
        store.deliver(delivery(&[fill; 100_000], &["jane@a.example"])).expect("kept");
    }
    store.deliver(delivery(b"small", &["joe@a.example"])).expect("kept");
    assert_eq!(store.check(), Ok(Vec::new()));
    let messages = folder.path().join("messages");
    let mut files = all_files(&messages);
    files.sort_by_key(|file| std::fs::read(file).expect("read").first().copied());
    std::fs::remove_file(&files[0]).expect("removed");
    std::fs::write(&files[1], [b'3'; 100_000]).expect("written");
    let found = store.check().expect("looked");
    let missing = Fault::Missing { body: 1, held_by: vec!["jane@a.example message 1".to_owned()] };
    let changed = Fault::Changed { body: 2, held_by: vec!["jane@a.example message 2".to_owned()] };
    assert_eq!(found, [missing, changed.clone()]);
    store.repair().expect("mended");
    assert_eq!(store.check(), Ok(vec![changed]));
    assert_eq!(store.messages("jane@a.example").expect("read").iter().map(|m| m.uid).collect::<Vec<_>>(), [2]);
}

#[test]
fn what_a_clock_that_was_ahead_put_off_is_due_and_what_is_held_is_not() {
    let (_folder, store) = store();
    for to in ["p@c.example", "q@d.example", "r@e.example"] {
        let elsewhere = vec![to.to_owned().into()];
        store.deliver(Delivery { elsewhere, at: Timestamp::from_unix(900_000), ..delivery(b"x", &[]) }).expect("kept");
    }
    let later = |at| vec![("p@c.example".to_owned(), Settled::Later(Timestamp::from_unix(at), String::new()))];
    store.settle(1, later(910_000)).expect("settled");
    store.hold(&Which::Message(2)).expect("held");
    store
        .settle(3, vec![("r@e.example".to_owned(), Settled::Later(Timestamp::from_unix(1_500), String::new()))])
        .expect("settled");
    let (now, latest) = (Timestamp::from_unix(1_000), Timestamp::from_unix(10_000));
    assert_eq!((store.not_later_than(latest, now), store.not_later_than(latest, now)), (Ok(2), Ok(0)));
    let next: Vec<i64> = store.waiting().expect("read").iter().map(|one| one.next.unix()).collect();
    assert_eq!(next, [1_000, HELD.unix(), 1_000]);
    assert!(store.waiting().expect("read").iter().all(|one| one.created == now));
}

#[test]
fn an_attempt_does_not_put_off_what_somebody_moved_meanwhile() {
    let (_folder, store) = store();
    let (at, next) = (Timestamp::from_unix(10), Timestamp::from_unix(100));
    for since in [Timestamp::from_unix(5), at] {
        for told in [false, true] {
            let elsewhere = vec!["p@c.example".to_owned().into()];
            let id = store.deliver(Delivery { elsewhere, at: since, ..delivery(b"x", &[]) }).expect("kept").expect("queued");
            let settle = |since| {
                let later = if told { Settled::LaterAndTold(next, String::new()) } else { Settled::Later(next, String::new()) };
                store.settle(id, vec![("p@c.example".to_owned(), Settled::Unmoved(since, Box::new(later)))]).expect("settled");
            };
            let due = |at| store.due(id, at).expect("read").expect("there").recipients.first().cloned();
            let claimed = due(at).expect("due");
            assert_eq!(claimed.since, since);
            store.retry(&Which::Message(id), at).expect("moved");
            settle(claimed.since);
            let again = due(at).expect("it is still due");
            assert_eq!((again.attempts, again.was_told), (0, told), "{since}");
            settle(again.since);
            assert_eq!((due(at), due(next).map(|due| (due.attempts, due.was_told))), (None, Some((1, told))));
            store.drop_queued(&Which::Message(id)).expect("dropped");
        }
    }
}

#[test]
fn a_sweep_removes_what_no_message_has_and_nothing_else() {
    let (folder, store) = store();
    for fill in [b'1', b'2'] {
        store.deliver(delivery(&[fill; 100_000], &["jane@a.example"])).expect("kept");
    }
    let messages = folder.path().join("messages");
    let kept = all_files(&messages);
    let beside = kept[0].parent().expect("a folder");
    // what earlier versions left half-written, and a whole file whose row was never committed
    for name in [".new-Xy12Zz", "00ff-0011"] {
        std::fs::write(beside.join(name), b"left").expect("written");
    }
    assert_eq!((store.sweep(), store.sweep()), (Ok(2), Ok(0)));
    assert_eq!(all_files(&messages), kept);
    assert_eq!(store.check(), Ok(Vec::new()));
}

#[test]
fn a_sweep_leaves_alone_what_is_being_delivered() {
    let (folder, store) = store();
    let (store, messages) = (Arc::new(store), folder.path().join("messages"));
    let sweeps = {
        let store = Arc::clone(&store);
        std::thread::spawn(move || (0..200).map(|_| store.sweep().expect("swept")).sum::<usize>())
    };
    let writers: Vec<_> = (0..4)
        .map(|_| {
            let store = Arc::clone(&store);
            std::thread::spawn(move || {
                for _ in 0..25 {
                    store.deliver(delivery(&[b'x'; 20_000], &["jane@a.example"])).expect("kept");
                }
            })
        })
        .collect();
    writers.into_iter().for_each(|writer| writer.join().expect("no panic"));
    assert_eq!(sweeps.join().expect("no panic"), 0);
    assert_eq!((walk(&messages), store.check()), (100, Ok(Vec::new())));
}

#[test]
fn a_backup_has_every_message_under_its_number_and_is_refused_where_mail_is() {
    let (folder, store) = store();
    let (data, other) = (folder.path(), tempfile::tempdir().expect("a temporary folder"));
    let home = other.path().join("home");
    std::fs::create_dir_all(&home).expect("made");
    std::fs::create_dir(data.join("sieve")).expect("made");
    std::fs::write(home.join("key.pem"), "a key").expect("written");
    std::fs::write(data.join("sieve/jane@a.example.sieve"), "keep;").expect("written");
    let elsewhere = vec!["p@c.example".to_owned().into()];
    for size in [10, 100_000, 20] {
        let both = delivery(&vec![b'x'; size], &["jane@a.example", "joe@a.example"]);
        store.deliver(Delivery { elsewhere: elsewhere.clone(), ..both }).expect("kept");
    }
    store.delete("jane@a.example", &[1]).expect("deleted");
    let file = other.path().join("backup");
    store.backup(&file, &home, data).expect("written");
    let new = other.path().join("new");
    std::fs::create_dir(&new).expect("made");
    SqliteStore::restore_home(&file, &new).expect("restored");
    SqliteStore::restore(&file, &new).expect("restored");
    for (path, text) in [("key.pem", "a key"), ("sieve/jane@a.example.sieve", "keep;")] {
        assert_eq!(std::fs::read_to_string(new.join(path)).expect("restored"), text);
    }
    assert!(matches!(SqliteStore::restore(&file, &new), Err(Error::Exists(_))));
    let restored = SqliteStore::open(&new).expect("opens");
    for mailbox in ["jane@a.example", "joe@a.example"] {
        let messages = store.messages(mailbox).expect("read");
        assert_eq!(restored.messages(mailbox).expect("read"), messages);
        for message in messages {
            assert_eq!(restored.message(mailbox, message.uid), store.message(mailbox, message.uid));
        }
    }
    assert_eq!(restored.waiting(), store.waiting());
    assert_eq!((1..4).map(|id| restored.queued(id).expect("read").len()).collect::<Vec<_>>(), [10, 100_000, 20]);
    assert_eq!(restored.check(), Ok(Vec::new()));
    // numbers that were given after the backup are not given again, also not to those who are new
    restored.add_user("new@a.example", "hash").expect("added");
    restored.deliver(delivery(b"later", &["jane@a.example", "new@a.example"])).expect("kept");
    let last = |mailbox| restored.messages(mailbox).expect("read").last().map(|message| message.uid);
    assert_eq!((last("jane@a.example"), last("new@a.example")), (Some(1_000_004), Some(1_000_001)));
}

fn all_files(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.flat_map(|path| if path.is_dir() { all_files(&path) } else { vec![path] }).collect()
}

fn only(folder: &std::path::Path) -> std::path::PathBuf {
    let [file] = all_files(folder).try_into().expect("one file");
    file
}

fn walk(folder: &std::path::Path) -> usize {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| if entry.path().is_dir() { walk(&entry.path()) } else { 1 }).sum()
}

#[test]
fn what_follows_a_message_is_read_as_long_as_it_is_small() {
    let (_folder, store) = store();
    let long = vec![b'x'; 100_000];
    for message in [b"one".as_slice(), b"two", b"three", &long, b"five"] {
        store.deliver(delivery(message, &["jane@a.example"])).expect("kept");
    }
    store.deliver(delivery(b"of another", &["joe@a.example"])).expect("kept");
    let numbers = |uid, bytes| -> Vec<i64> {
        let all = store.following("jane@a.example", uid, bytes).expect("read");
        for (uid, message) in &all {
            assert_eq!(store.message("jane@a.example", *uid).expect("read"), *message, "as it is read alone");
        }
        all.into_iter().map(|(uid, _)| uid).collect()
    };
    assert_eq!(numbers(0, 10_000), [1, 2, 3], "the fourth lies in a file");
    assert_eq!(numbers(1, 10_000), [2, 3]);
    assert_eq!(numbers(4, 10_000), [5]);
    let size = store.message("jane@a.example", 1).expect("read").len();
    assert_eq!((numbers(0, size), numbers(0, size - 1)), (vec![1], vec![]));
    store.delete("jane@a.example", &[2]).expect("gone");
    assert_eq!(numbers(1, 10_000), [3]);
}
