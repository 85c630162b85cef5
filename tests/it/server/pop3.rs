//! Mailboxes over POP3: large ones, locked ones, connections that end too early.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use sealpost::proto::smtp::Terms;
use sealpost::server::store::{Body, Delivery, Extra, Priority, SqliteStore, Store};
use sealpost::time::Timestamp;

use super::Served;
use crate::support;

/// Puts so many small messages into a mailbox, all at once.
fn fill(served: &Served, user: &str, count: usize) {
    let store = SqliteStore::open(&served.folder.path().join("home/mail")).expect("opens");
    let delivery = Delivery {
        message: Body::memory(Vec::new(), b"From: jane@a.example\r\nSubject: x\r\n\r\n.dot\r\n".to_vec()),
        final_fields: b"Return-Path: <>\r\n".to_vec(),
        mailboxes: vec![user.to_owned(); count],
        sender: String::new(),
        elsewhere: Vec::new(),
        terms: Terms::default(),
        priority: Priority::Normal,
        at: Timestamp::from_unix(1_780_000_000),
        extra: Extra::default(),
    };
    store.deliver(delivery).expect("kept");
}

fn python(served: &Served, script: &str) -> (Duration, String) {
    let head = format!(
        "import poplib, ssl, sys, socket, time\npoplib._MAXLINE = 1 << 20\nc = ssl.create_default_context(cafile='{}')\n\
         def box(user='joe@a.example'):\n    p = poplib.POP3_SSL('localhost', {}, context=c); p.user(user); p.pass_('secret-word'); return p\n",
        served.path("root.pem"),
        served.port("pop3s")
    );
    let begin = Instant::now();
    let (code, out, talk) = support::run("python3", &["-c", &(head + script)], b"");
    assert_eq!(code, 0, "{talk}");
    (begin.elapsed(), String::from_utf8(out).expect("text"))
}

#[test]
fn a_mailbox_of_ten_thousand_messages_is_instant() {
    if !support::peer("python3") {
        return;
    }
    let served = Served::new();
    fill(&served, "joe@a.example", 10_000);
    let script = "p = box()\nassert p.stat()[0] == 10000\nassert len(p.uidl()[1]) == 10000 and len(p.list()[1]) == 10000\n\
                  b = time.time()\nfor n in range(9000, 9100):\n    assert p.retr(n)[1][-1] == b'.dot'\nprint(time.time() - b)\n\
                  b = time.time()\nfor n in range(1, 10001):\n    p._putcmd('DELE %d' % n)\n\
                  for n in range(1, 10001):\n    p._getresp()\nassert p.stat() == (0, 0)\np.rset()\nassert p.stat()[0] == 10000\nprint(time.time() - b)\np.quit()\n";
    let processor = || support::processor(&served.child.id().to_string());
    let before = processor();
    let (took, out) = python(&served, script);
    let cost = processor().saturating_sub(before);
    eprintln!(
        "10 000 messages: {took:?} in all, {cost:?} of the processor; 100 of them, and 10 000 marks in a row: {}",
        out.replace('\n', " s ")
    );
    assert!(cost < Duration::from_secs(20), "{cost:?}");
}

#[test]
fn folders_are_opened_by_their_names_behind_that_of_the_user() {
    if !support::peer("python3") {
        return;
    }
    let served = Served::new();
    for (mailbox, count) in [("joe@a.example", 1), ("joe@a.example/Junk", 2), ("jane@a.example/Junk", 4)] {
        fill(&served, mailbox, count);
    }
    let script = "inbox, junk = box(), box('Joe@A.example/Junk')\nassert (inbox.stat()[0], junk.stat()[0]) == (1, 2)\n\
                  names = [line.split()[1] for p in (inbox, junk) for line in p.uidl()[1]]\nassert len(set(names)) == 3, names\n\
                  def no(user, password, code):\n    p = poplib.POP3_SSL('localhost', inbox.port, context=c); p.user(user)\n    \
                  try:\n        p.pass_(password); sys.exit(user)\n    except poplib.error_proto as e: assert code in str(e), e\n\
                  no('joe@a.example/Junk', 'secret-word', '[IN-USE]')\n\
                  for user in 'joe@a.example/Junk', 'joe@a.example/None', 'nobody@a.example/Junk': no(user, 'wrong', '[AUTH]')\n\
                  no('joe', 'secret-word', '[AUTH]')\n\
                  junk.dele(1); junk.quit(); inbox.quit()\nassert box('joe@a.example/Junk').stat()[0] == 1 and box().stat()[0] == 1\n\
                  assert box('joe@a.example/junk').stat() == (0, 0) and box('joe@a.example/None').stat() == (0, 0)\n";
    python(&served, script);
    assert_eq!(served.mailbox("jane@a.example/Junk"), 4);
}

#[test]
fn a_mailbox_is_open_once_and_what_was_marked_stays_where_the_connection_is_lost() {
    if !support::peer("python3") {
        return;
    }
    let mut served = Served::new();
    fill(&served, "joe@a.example", 3);
    let lost = "p = box()\nfirst = p.uidl()[1]\nfor line in first: print(line.decode())\np.dele(1); p.dele(2)\n\
                try:\n    box(); sys.exit('opened twice')\nexcept poplib.error_proto as error:\n    assert '[IN-USE]' in str(error), error\n\
                p.sock.shutdown(socket.SHUT_RDWR)\n";
    let (_, first) = python(&served, lost);
    // the server sees that the connection is gone, and frees the mailbox
    let again = "for wait in range(2000):\n    try:\n        p = box(); break\n    except poplib.error_proto: time.sleep(0.05)\n\
                 for line in p.uidl()[1]: print(line.decode())\np.dele(2); p.quit()\n";
    assert_eq!(python(&served, again).1, first, "nothing is deleted, and every name is the same");
    served.child.kill().expect("killed");
    served.child.wait().expect("ended");
    served.restart();
    let (_, left) = python(&served, "p = box()\nfor line in p.uidl()[1]: print(line.decode())\np.quit()\n");
    let names = |text: &str| text.lines().map(|line| line.split(' ').nth(1).expect("a name").to_owned()).collect::<Vec<_>>();
    let (first, left) = (names(&first), names(&left));
    assert_eq!(left, [first[0].clone(), first[2].clone()], "names survive a restart");
}

#[test]
fn logins_come_as_often_as_the_configuration_says() {
    if !support::peer("python3") {
        return;
    }
    let served =
        Served::of("a.example", &["joe"], |config| config.replace("[limits]\n", "[limits]\nlogin_delay_seconds = 600\n"));
    // the message of `up` was fetched by itself just now
    let script = "p = poplib.POP3_SSL('localhost', %d, context=c)\nassert p.capa()['LOGIN-DELAY'] == ['600'], p.capa()\n\
                  def code():\n    try:\n        box().quit(); return 'yes'\n    except poplib.error_proto as error:\n        return str(error)\n\
                  print(code()); print(code())\n";
    let (_, out) = python(&served, &script.replace("%d", &served.port("pop3s").to_string()));
    let lines: Vec<&str> = out.lines().collect();
    assert!(lines[0] == "yes" && lines[1].contains("[LOGIN-DELAY]"), "{out}");
}

#[test]
fn getmail_fetches_and_deletes() {
    if !support::peer("getmail") {
        return;
    }
    let served = Served::new();
    fill(&served, "joe@a.example", 2);
    let (folder, root) = (served.path("getmail"), served.path("root.pem"));
    fs::create_dir(&folder).expect("made");
    let config = format!(
        "[retriever]\ntype = SimplePOP3SSLRetriever\nserver = localhost\nport = {}\nusername = joe@a.example\npassword = secret-word\n\
         ca_certs = {root}\n[destination]\ntype = MDA_external\npath = /bin/sh\n\
         arguments = (\"-c\", \"cat >> {folder}/all\")\nallow_root_commands = true\n[options]\ndelete = true\nread_all = false\n",
        served.port("pop3s")
    );
    fs::write(format!("{folder}/getmailrc"), config).expect("written");
    let args = [format!("--getmaildir={folder}"), "--rcfile=getmailrc".to_owned()];
    let (code, out, talk) = support::run("getmail", &args.each_ref().map(String::as_str), b"");
    assert_eq!(code, 0, "{talk}{}", String::from_utf8_lossy(&out));
    let all = fs::read_to_string(format!("{folder}/all")).expect("written");
    assert_eq!(all.matches("\n.dot\n").count(), 2, "{all}");
    assert_eq!(served.mailbox("joe@a.example"), 0);
}

#[test]
fn a_large_message_goes_out_in_pieces_and_top_reads_its_begin_alone() {
    if !support::peer("python3") {
        return;
    }
    let served = Served::new();
    let large = [
        b"From: jane@a.example\r\nSubject: large\r\n\r\n".to_vec(),
        b".a line of the message that begins with a dot, as long as lines of mail are\r\n".repeat(680_000),
    ]
    .concat();
    let size = large.len();
    let store = SqliteStore::open(&served.folder.path().join("home/mail")).expect("opens");
    let delivery = Delivery {
        message: Body::memory(Vec::new(), large),
        final_fields: b"Return-Path: <>\r\n".to_vec(),
        mailboxes: vec!["joe@a.example".to_owned(), "jane@a.example".to_owned()],
        sender: String::new(),
        elsewhere: Vec::new(),
        terms: Terms::default(),
        priority: Priority::Normal,
        at: Timestamp::from_unix(1_780_000_000),
        extra: Extra::default(),
    };
    store.deliver(delivery).expect("kept");
    drop(store);
    let most = || {
        let status = fs::read_to_string(format!("/proc/{}/status", served.child.id())).expect("it runs");
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("known").to_owned();
        line.split_whitespace().nth(1).and_then(|kilobytes| kilobytes.parse::<u64>().ok()).expect("a number")
    };
    // the first login of each is what costs memory otherwise
    python(&served, "box().quit(); box('jane@a.example').quit()\n");
    let before = most();
    let script = format!(
        "import threading\n\
         def get(user):\n    p = box(user); n, lines = 0, 0\n    p._putcmd('RETR 1'); p._getresp()\n    f = p.file\n    while True:\n        \
         line = f.readline()\n        if line == b'.\\r\\n': break\n        if line.startswith(b'..'): line = line[1:]\n        n += len(line)\n    \
         head = len('Return-Path: <>\\r\\nDelivered-To: ' + user + '\\r\\n')\n    assert n == {size} + head, (n, {size})\n    \
         assert p.list(1).split()[-1] == b'%d' % n\n    assert len(p.top(1, 2)[1]) == 7\n    p.quit(); done.append(user)\n\
         done = []\nall = [threading.Thread(target=get, args=(u,)) for u in ('joe@a.example', 'jane@a.example')]\n\
         [t.start() for t in all]; [t.join() for t in all]\nassert len(done) == 2, done\n"
    );
    let (took, _) = python(&served, &script);
    let more = most().saturating_sub(before);
    eprintln!("two sessions with {size} bytes each: {more} KiB more, {took:?}");
    assert!(more < 12 << 10, "{more} KiB");
}

/// A server whose second message is said to be larger than any may be; what is in its mailbox, it says itself.
const HOARDER: &str = r"
import socket, ssl, sys
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1], sys.argv[2])
listener = socket.create_server(('127.0.0.1', 0))
listener.settimeout(240)
print(listener.getsockname()[1], flush=True)
said = {'CAPA': 'USER\n.', 'UIDL': '1 a\n2 b\n3 c\n.', 'LIST': '1 6\n2 99999999999999\n3 6\n.',
        'RETR 1': 'one!\n.', 'RETR 3': 'three\n.'}
stream = context.wrap_socket(listener.accept()[0], server_side=True).makefile('rw', newline='\r\n')
line = 'hello'
while line != 'QUIT':
    stream.write('+OK\n' + (said[line] + '\n' if line in said else '')); stream.flush()
    line = stream.readline().strip()
    if line.startswith('RETR') or line.startswith('DELE'): print(line, flush=True)
stream.write('+OK\n'); stream.flush()
";

#[test]
fn a_message_over_the_bound_stays_on_the_server_and_the_others_are_fetched() {
    if !support::peer("python3") {
        return;
    }
    let served = Served::new();
    let (certificate, key) = (served.path("home/tls/certificate.pem"), served.path("home/tls/key.pem"));
    let mut hoarder = Command::new("python3")
        .args(["-c", HOARDER, &certificate, &key])
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut told = BufReader::new(hoarder.stdout.take().expect("piped")).lines().map_while(Result::ok);
    let from = format!("localhost:{}", told.next().expect("a port"));
    let (home, pw, inbox) = (served.path("home"), served.path("pw"), served.path("inbox"));
    let fetch = ["fetch", "--from", &from, "--tls", "implicit", "--user", "joe", "-o", &inbox, "--delete", "--json"];
    let all = [&["--home", &home, "--batch", "--passphrase-file", &pw][..], &fetch].concat();
    let (code, out, talk) = support::run(env!("CARGO_BIN_EXE_sealpost"), &all, b"");
    let said: Value = serde_json::from_slice(&out).unwrap_or_else(|_| panic!("{talk}"));
    assert_eq!((code, &said["exit"], &said["schema"]), (8, &json!(8), &json!("sealpost.fetch/1")), "{said} {talk}");
    let uids: Vec<_> = said["messages"].as_array().expect("a list").iter().map(|one| one["uid"].clone()).collect();
    assert_eq!(uids, ["a", "c"]);
    let [finding] = said["findings"].as_array().expect("a list").as_slice() else { panic!("{said}") };
    assert_eq!((&finding["code"], &finding["severity"]), (&json!("limit"), &json!("error")));
    assert!(talk.contains("the message b is over 1073741824 bytes; it was not fetched, and stays on the server"), "{talk}");
    assert_eq!(told.collect::<Vec<_>>(), ["RETR 1", "DELE 1", "RETR 3", "DELE 3"]);
    assert!(hoarder.wait().expect("ended").success());
}
