//! Folders in which messages are files: what is put into one is sent once, and what is for a domain of the other becomes files.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use sealpost::server::store::{MailboxStore, SqliteStore};

use super::Served;
use super::sendmail::mails;
use crate::support;

/// Waits until it is so.
fn until(what: &str, is_so: impl Fn() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < support::LONGEST, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn names(folder: &str) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// Puts a file into the pickup folder, as programs should.
fn put(served: &Served, name: &str, text: &str) {
    let path = |name: &str| served.path(&format!("home/pickup/{name}"));
    fs::write(path(&format!(".{name}")), text).expect("written");
    fs::rename(path(&format!(".{name}")), path(name)).expect("renamed");
}

/// Whether one file was tried and waits.
fn waits(served: &Served) -> bool {
    served.run(&["status"]).0.lines().any(|line| line.starts_with("pickup_waiting") && line.ends_with(" 1"))
}

#[test]
fn whole_files_are_sent_and_what_is_being_written_is_left_alone() {
    let served = Served::new();
    let pickup = |name: &str| served.path(&format!("home/pickup/{name}"));
    let letter = |subject: &str| format!("From: joe@a.example\nTo: jane@a.example\nSubject: {subject}\n\nHi.\n");
    fs::write(pickup("half.tmp"), letter("not yet")).expect("written");
    fs::write(pickup(".hidden"), letter("not yet")).expect("written");
    put(
        &served,
        "1.ready",
        "X-Sender: joe@a.example\r\nX-Receiver: jane@a.example\r\nX-Receiver: joe\r\nSubject: by envelope\r\nTo: all@c.example\r\n\r\nHi.\r\n",
    );
    fs::write(pickup("by-fields.eml"), letter("by fields")).expect("written");
    let both = mails(&served, "jane@a.example", 2);
    // files of one look are taken at once
    let of = |subject: &str| both.iter().find(|one| one.contains(subject)).unwrap_or_else(|| panic!("{subject}: {both:?}"));
    let by_envelope = of("Subject: by envelope\r\nTo: all@c.example\r\n");
    assert!(by_envelope.contains("\r\nFrom: joe@a.example\r\n") && !by_envelope.contains("X-Receiver"), "{both:?}");
    of("Subject: by fields\r\n");
    assert_eq!(mails(&served, "joe@a.example", 1).len(), 1);
    until("what was sent is gone", || names(&served.path("home/pickup")) == [".hidden", "Badmail", "half.tmp"]);
    fs::rename(pickup("half.tmp"), pickup("whole.ready")).expect("renamed");
    assert!(mails(&served, "jane@a.example", 1)[0].contains("Subject: not yet"));
}

#[test]
fn who_has_no_room_holds_up_nobody_and_gets_it_later() {
    let mut served = Served::new();
    let letter = |to: &str| format!("From: joe@a.example\nX-Note: kept\nTo: {to}\nSubject: for both\n\nHi.\n");
    put(&served, "0.ready", &letter("jane@a.example"));
    until("jane has something", || served.mailbox("jane@a.example") == 1);
    served.run(&["user", "quota", "jane@a.example", "1"]);
    put(&served, "1.ready", &letter("jane@a.example, joe@a.example"));
    until("joe has it", || served.mailbox("joe@a.example") == 1);
    until("one file waits", || waits(&served));
    // the next server tries it at once, and knows who has it
    served.run(&["user", "quota", "jane@a.example", "0"]);
    served.child.kill().expect("killed");
    served.child.wait().expect("ended");
    served.restart();
    until("jane has it", || served.mailbox("jane@a.example") == 2);
    until("its file is gone", || names(&served.path("home/pickup")) == ["Badmail"]);
    assert_eq!(served.mailbox("joe@a.example"), 1, "once");
    let store = SqliteStore::open(&served.folder.path().join("home/mail")).expect("opens");
    until("and nothing is remembered of it", || sealpost::server::store::Store::taken(&store).expect("read").is_empty());
}

#[test]
fn bad_files_are_put_aside_with_their_reasons_and_senders_hear_of_unknown_recipients() {
    let served = Served::new();
    let pickup = |name: &str| served.path(&format!("home/pickup/{name}"));
    fs::write(served.path("secret"), "To: jane@a.example\nFrom: jane@a.example\n\nsecret\n").expect("written");
    std::os::unix::fs::symlink(served.path("secret"), pickup("link.ready")).expect("linked");
    fs::hard_link(served.path("secret"), pickup("hard.ready")).expect("linked");
    put(&served, "none.ready", "Subject: to nobody\nFrom: joe@a.example\n\nHi.\n");
    put(&served, "null.ready", "X-Sender: <>\nX-Receiver: nobody@a.example\nSubject: x\n\nHi.\n");
    let bounced = "X-Sender: joe@a.example ENVID=q1\nX-Receiver: nobody@a.example\nX-Receiver: jane@a.example\nX-Receiver: no@a.example NOTIFY=NEVER\nSubject: x\n\nHi.\n";
    put(&served, "unknown.ready", bounced);
    let bad = served.path("home/pickup/Badmail");
    until("four bad files", || names(&bad).len() == 8);
    let why = |part: &str| {
        let name = names(&bad).into_iter().find(|name| name.contains(part) && name.ends_with(".why")).expect("a reason");
        fs::read_to_string(Path::new(&bad).join(name)).expect("text")
    };
    assert!(why("link.ready").contains("no file that can be opened"), "{}", why("link.ready"));
    assert!(why("hard.ready").contains("not a file of its own"), "{}", why("hard.ready"));
    assert!(why("none.ready").contains("it names no recipient"), "{}", why("none.ready"));
    assert_eq!(why("null.ready"), "550 5.1.1 no such user – nobody@a.example\n");
    let [bounce] = mails(&served, "joe@a.example", 1).try_into().expect("one");
    assert!(
        bounce.contains("Original-Envelope-Id: q1\r\n") && bounce.contains("Final-Recipient: rfc822; nobody@a.example\r\n"),
        "{bounce}"
    );
    assert!(!bounce.contains("no@a.example"), "he does not want to hear of that one: {bounce}");
    assert_eq!(mails(&served, "jane@a.example", 1).len(), 1);
    until("all is gone", || names(&served.path("home/pickup")) == ["Badmail"]);
}

#[test]
fn senders_hear_of_files_that_cannot_be_sent() {
    let served = Served::of("a.example", &["joe"], |text| text.replace("52428800", "70000"));
    let head = |id: &str| format!("X-Sender: <joe@a.example>{id}\nX-Receiver: <x@b.example>\nSubject: kept\n\n");
    put(&served, "nul.ready", &(head("") + "a\0b\n"));
    put(&served, "large.ready", &(head("") + &"x\n".repeat(30_000)));
    put(&served, "vast.ready", &(head("") + &"x\n".repeat(2_000_000)));
    put(&served, "id.ready", &(head(&format!(" ENVID={}", "x".repeat(101))) + "Hi.\n"));
    put(&served, &format!("{}.ready", "😀".repeat(61)), "Subject: to nobody\nFrom: joe@a.example\n\nHi.\n");
    let told = mails(&served, "joe@a.example", 4);
    for (status, why, count) in [
        ("5.6.0", "it holds NUL bytes", 1),
        ("5.3.4", "it is over 70000 bytes (limits.message_bytes)", 2),
        ("5.6.0", "is not an address with parameters of MAIL", 1),
    ] {
        let is_it = |mail: &&String| mail.contains(&format!("Status: {status}\r\n")) && mail.contains(why);
        assert_eq!(told.iter().filter(is_it).count(), count, "{why}: {told:?}");
    }
    let whole = |mail: &String| mail.contains("Final-Recipient: rfc822; x@b.example\r\n") && mail.contains("Subject: kept\r\n");
    assert!(told.iter().all(whole), "{told:?}");
    until("they are put aside", || names(&served.path("home/pickup/Badmail")).len() == 10);
    assert_eq!(names(&served.path("home/pickup")), ["Badmail"]);
}

#[test]
fn a_file_that_was_written_long_ago_waits_as_any_other() {
    let served = Served::of("a.example", &["jane"], |text| {
        format!("{text}\n[[scanner]]\naddress = \"unix:/nowhere/at/all\"\non-failure = \"tempfail\"\n")
    });
    let path = served.path("home/pickup/old.eml");
    fs::write(served.path("old"), "From: jane@a.example\nTo: jane@a.example\n\nHi.\n").expect("written");
    let file = fs::File::options().write(true).open(served.path("old")).expect("opened");
    file.set_modified(std::time::UNIX_EPOCH).expect("a time");
    fs::rename(served.path("old"), path).expect("moved");
    until("it is tried and waits", || waits(&served));
    assert_eq!(names(&served.path("home/pickup/Badmail")), Vec::<String>::new());
}

#[test]
fn a_server_that_is_killed_over_and_over_sends_each_file_once() {
    let mut served = Served::new();
    let _ = served.child.kill().and_then(|()| served.child.wait());
    let (pickup, count) = (served.path("home/pickup"), 400);
    for n in 0..count {
        let text = format!("From: joe@a.example\nTo: jane@a.example\nSubject: number {n}.\n\nHi.\n");
        fs::write(format!("{pickup}/{n}.ready"), text).expect("written");
    }
    let mut kills = 0;
    while names(&pickup).iter().any(|name| name != "Badmail") {
        assert!(kills < 100, "{:?}", names(&pickup));
        served.restart();
        // a first look takes some tenths of a second; the kills fall into it
        // a machine that is slow has more of them
        std::thread::sleep(Duration::from_millis((20 + 17 * (kills % 10)) * (1 + kills / 20)));
        let _ = served.child.kill().and_then(|()| served.child.wait());
        kills += 1;
    }
    assert_eq!(names(&format!("{pickup}/Badmail")), Vec::<String>::new());
    let store = SqliteStore::open(&served.folder.path().join("home/mail")).expect("opens");
    let messages = store.messages("jane@a.example").expect("read");
    let mut found: Vec<u32> = messages
        .iter()
        .map(|message| {
            let text = String::from_utf8(store.message("jane@a.example", message.uid).expect("read")).expect("ASCII");
            text.split("number ").nth(1).and_then(|rest| rest.split('.').next()).expect("a number").parse().expect("a number")
        })
        .collect();
    found.sort_unstable();
    eprintln!("{count} files, {kills} kills");
    assert_eq!(found, (0..count).collect::<Vec<_>>(), "each once");
}

#[test]
fn mail_for_a_drop_domain_becomes_files_with_their_envelope() {
    if !support::peer("python3") {
        return;
    }
    let part = "[drop]\ndomains = [\"faxes.a.example\"]\nfolder = \"faxes\"\n";
    let served = Served::of("a.example", &["jane"], |text| format!("{text}\n{part}"));
    // from outside, without a login; others are not relayed to
    let script = format!(
        "import smtplib\ns = smtplib.SMTP('127.0.0.1', {})\ns.sendmail('x@b.example', ['1@faxes.a.example', '2@FAXES.a.example'], 'Subject: a fax\\n\\n.dot\\n')\n\
         try:\n s.sendmail('x@b.example', ['1@c.example'], 'x')\nexcept smtplib.SMTPRecipientsRefused: print('refused')\n",
        served.port("smtp")
    );
    let (code, out, talk) = support::run("python3", &["-c", &script], b"");
    assert_eq!((code, String::from_utf8_lossy(&out).trim()), (0, "refused"), "{talk}");
    let faxes = served.path("home/faxes");
    until("a file", || names(&faxes).iter().any(|name| name.ends_with(".eml")));
    let [name] = names(&faxes).try_into().expect("one for both");
    let text = fs::read_to_string(Path::new(&faxes).join(name)).expect("text");
    assert!(
        text.starts_with(
            "X-Sender: <x@b.example>\r\nX-Receiver: <1@faxes.a.example>\r\nX-Receiver: <2@FAXES.a.example>\r\nReceived: from "
        ),
        "{text}"
    );
    assert!(text.ends_with("\r\nSubject: a fax\r\n\r\n.dot\r\n"), "{text}");
    // through an alias, and through the pickup folder of a server: a file goes in as it came out
    served.run(&["alias", "add", "fax@a.example", "3@faxes.a.example"]);
    let again = text.replace("<1@faxes.a.example>", "<fax@a.example>").replace("X-Receiver: <2@FAXES.a.example>\r\n", "");
    put(&served, "1.ready", &again);
    until("a second file", || names(&faxes).iter().filter(|name| name.ends_with(".eml")).count() == 2);
    let all: String = names(&faxes).iter().map(|name| fs::read_to_string(Path::new(&faxes).join(name)).expect("text")).collect();
    assert!(all.contains("X-Receiver: <3@faxes.a.example>\r\n"), "{all}");
}
