//! Users who log in by POP3: many who then say nothing, and one among many who guess.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Barrier};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use sealpost::proto::smtp::client::Terms;
use sealpost::server::store::{AccountStore, Delivery, Extra, Priority, Store};
use sealpost::time::Timestamp;

use super::super::accounts::with_accounts;
use super::super::{Served, laid_out, start};
use super::hostile::memory;
use super::{is_long, served_with, store};
use crate::support::connect_from;

type Secure = rustls::StreamOwned<rustls::ClientConnection, TcpStream>;

/// A client that trusts the root of this server.
pub(super) fn client(served: &Served) -> Arc<rustls::ClientConfig> {
    let root = CertificateDer::from_pem_file(served.path("root.pem")).expect("a certificate");
    let mut roots = rustls::RootCertStore::empty();
    roots.add(root).expect("a root");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("versions");
    Arc::new(config.with_root_certificates(roots).with_no_client_auth())
}

/// Connects to POP3 under TLS from an address of this machine, and hears the greeting.
fn secured(served: &Served) -> impl Fn(u8) -> Secure + use<> {
    let (config, port) = (client(served), served.port("pop3s"));
    move |address| {
        let name = ServerName::try_from("localhost").expect("a name");
        let session = rustls::ClientConnection::new(Arc::clone(&config), name).expect("begins");
        let mut stream = rustls::StreamOwned::new(session, connect_from(address, port));
        assert!(heard(&mut stream, "\r\n").starts_with("+OK"));
        stream
    }
}

/// What the server says, up to these bytes.
fn heard(stream: &mut Secure, end: &str) -> String {
    let (mut said, mut piece) = (String::new(), [0; 4096]);
    while !said.ends_with(end) {
        let read = stream.read(&mut piece).expect("it says something");
        assert!(read > 0, "it is gone after {said}");
        said.push_str(std::str::from_utf8(&piece[..read]).expect("text"));
    }
    said
}

fn say(stream: &mut Secure, line: &str, end: &str) -> String {
    stream.write_all(line.as_bytes()).expect("taken");
    heard(stream, end)
}

/// `Hello world!`, by a hash that takes no long time.
const QUICK: &str = "$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5";

#[test]
fn users_who_are_logged_in_and_say_nothing_cost_little() {
    let (count, letters) = if is_long() { (5000, 1000) } else { (300, 100) };
    let folder = laid_out("a.example", &[], with_accounts("\"many.example\" = { file = \"passwords\" }"));
    let users: Vec<String> = (0..count).map(|number| format!("user{number}@many.example")).collect();
    let lines: String = users.iter().map(|user| format!("{user}:{QUICK}\n")).collect();
    fs::write(folder.path().join("home/passwords"), lines).expect("written");
    let (child, ports) = start(&folder.path().join("home").display().to_string());
    let served = Served { folder, child, ports };
    let store = store(&served);
    store.add_domain("many.example").expect("added");
    users.iter().for_each(|user| store.add_user(user, "").expect("added"));
    for number in 0..letters {
        let delivery = Delivery {
            message: format!("Subject: {number}\r\n\r\nhi\r\n").into_bytes().into(),
            final_fields: Vec::new(),
            mailboxes: users.clone(),
            sender: String::new(),
            elsewhere: Vec::new(),
            terms: Terms::default(),
            priority: Priority::Normal,
            at: Timestamp::from_unix(1_800_000_000),
            extra: Extra::default(),
        };
        store.deliver(delivery).expect("delivered");
    }
    let connect = secured(&served);
    let log_in = |address: u8, user: &str| {
        let mut stream = connect(address);
        assert!(say(&mut stream, &format!("USER {user}\r\n"), "\r\n").starts_with("+OK"));
        let opened = say(&mut stream, "PASS Hello world!\r\n", "\r\n");
        assert!(opened.starts_with(&format!("+OK {letters} messages")), "{opened}");
        stream
    };
    // what the first one costs is the program's own
    drop(log_in(250, &users[0]));
    let before = memory(&served, "VmRSS:");
    let mut open: Vec<Secure> =
        users[1..].iter().zip(1..).map(|(user, at)| log_in(u8::try_from(2 + at / 90).expect("few"), user)).collect();
    let after = memory(&served, "VmRSS:");
    // each looks at his list, as programs do, and at some letters, and then says nothing
    for stream in &mut open {
        let list = say(stream, "UIDL\r\n", "\r\n.\r\n");
        assert_eq!(list.lines().count(), letters + 2);
        for number in [1, 2] {
            assert!(say(stream, &format!("RETR {number}\r\n"), "\r\n.\r\n").starts_with("+OK"));
        }
    }
    let used = memory(&served, "VmRSS:");
    let each = |more: u64| f64::from(u32::try_from(more).expect("few")) / f64::from(u32::try_from(count - 1).expect("few"));
    let (costs, with_letters) = (each(after.saturating_sub(before)), each(used.saturating_sub(before)));
    eprintln!(
        "{count} users logged in with {letters} letters each: {costs:.1} KiB each, {with_letters:.1} KiB once they have read; {before} KiB without"
    );
    // each has his mailbox for himself, and leaves it when he goes
    let mut second = connect(251);
    say(&mut second, &format!("USER {}\r\n", users[1]), "\r\n");
    let refused = say(&mut second, "PASS Hello world!\r\n", "\r\n");
    assert!(refused.starts_with("-ERR [IN-USE]"), "{refused}");
    drop(open);
    super::until("the mailbox is free", || {
        let mut again = connect(252);
        say(&mut again, &format!("USER {}\r\n", users[1]), "\r\n");
        say(&mut again, "PASS Hello world!\r\n", "\r\n").starts_with("+OK")
    });
    // eight bytes a letter, besides what an idle connection costs under TLS; debug builds keep more on each task
    let most = if cfg!(debug_assertions) { 64.0 } else { 40.0 };
    assert!(costs <= most, "{costs}");
}

/// As the log has them: that somebody gave a password, and what he heard.
const ASKED: &str = "\"text\":\"PASS ";
const REFUSED: &str = "\"text\":\"-ERR ";
const LET_IN: &str = "\"text\":\"+OK 0 messages";

#[test]
fn who_logs_in_does_not_wait_for_all_that_one_address_guesses() {
    // in which order the server heard and answered, its log says: who hears an answer may be late
    let served = served_with(|text| format!("{text}\n[log]\nform = \"json\"\nlevel = \"debug\"\nfile = \"log.json\"\n"));
    let connect = secured(&served);
    const GUESSES: usize = 40;
    let begin = Arc::new(Barrier::new(GUESSES + 1));
    let guessing: Vec<_> = (0..GUESSES)
        .map(|number| {
            let mut stream = connect(2);
            say(&mut stream, &format!("USER nobody{number}@a.example\r\n"), "\r\n");
            let begin = Arc::clone(&begin);
            std::thread::spawn(move || {
                begin.wait();
                assert!(say(&mut stream, "PASS wrong\r\n", "\r\n").starts_with("-ERR"));
            })
        })
        .collect();
    let mut good = connect(3);
    say(&mut good, "USER jane@a.example\r\n", "\r\n");
    begin.wait();
    // all of them wait, but for those that have a turn
    served.logged("log.json", |log| log.matches(ASKED).count() == GUESSES);
    assert!(say(&mut good, "PASS secret-word\r\n", "\r\n").starts_with("+OK"));
    guessing.into_iter().for_each(|thread| thread.join().expect("no panic"));
    let log = served.logged("log.json", |log| log.matches(REFUSED).count() == GUESSES);
    // the good one asked last
    let (until_asked, rest) = log.rsplit_once(ASKED).expect("it asked");
    let until_answered = rest.split_once(LET_IN).expect("it was let in").0;
    let (before, passed) = (until_asked.matches(REFUSED).count(), until_answered.matches(REFUSED).count());
    eprintln!("{GUESSES} guesses of one address, and {passed} of them were answered before a good login that came after them");
    // those that had a turn already, and one for each place after
    let places = std::thread::available_parallelism().expect("known").get().min(4);
    assert!(before + passed <= GUESSES / 2 || passed <= 2 * places + 1, "{before} before, {passed} while it waited");
}
