//! The server as a process, driven by real clients over loopback.
#![cfg(feature = "server")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use sealpost::server::store::{SqliteStore, Store};

use crate::support;

struct Served {
    folder: tempfile::TempDir,
    child: Child,
    ports: Vec<(String, u16)>,
}

impl Served {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let home = folder.path().join("home").display().to_string();
        let pw = folder.path().join("pw").display().to_string();
        fs::write(&pw, "secret\n").expect("written");
        let run = |args: &[&str]| {
            let all: Vec<&str> = ["--home", &home, "--batch", "--passphrase-file", &pw].iter().chain(args).copied().collect();
            let (code, out, talk) = support::run(env!("CARGO_BIN_EXE_sealpost"), &all, b"");
            assert_eq!(code, 0, "{args:?}: {talk}");
            out
        };
        run(&["up", "--domain", "a.example", "--user", "jane", "--user", "joe"]);
        fs::write(folder.path().join("root.pem"), run(&["ca", "export", "root"])).expect("written");
        let config = folder.path().join("home/sealpost.toml");
        let mut text = fs::read_to_string(&config).expect("a configuration");
        for port in [2525, 2587, 2465, 2110, 2995] {
            text = text.replace(&format!(":{port}"), ":0");
        }
        fs::write(&config, text).expect("written");
        let (child, ports) = start(&home);
        Self { folder, child, ports }
    }

    fn restart(&mut self) {
        let (child, ports) = start(&self.path("home"));
        (self.child, self.ports) = (child, ports);
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn port(&self, service: &str) -> u16 {
        self.ports.iter().find(|(name, _)| name == service).map(|(_, port)| *port).expect("it is served")
    }

    fn mailbox(&self, user: &str) -> usize {
        let store = SqliteStore::open(&self.folder.path().join("home/mail")).expect("opens");
        store.messages(user).expect("read").len()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts the server; it is ready when this returns.
fn start(home: &str) -> (Child, Vec<(String, u16)>) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_sealpost"))
        .args(["--home", home, "serve"])
        .stdout(Stdio::piped())
        .stdin(Stdio::null())
        .spawn()
        .expect("the program starts");
    let mut ports = Vec::new();
    for line in BufReader::new(child.stdout.take().expect("stdout is piped")).lines() {
        let line = line.expect("text");
        if line == "ready" {
            return (child, ports);
        }
        let (service, address) = line.split_once(" on ").expect("a service and its address");
        ports.push((service.to_owned(), address.rsplit(':').next().expect("a port").parse().expect("a port")));
    }
    let ended = child.wait().expect("it ended");
    panic!("the server did not start: {ended}");
}

/// Says a line to a plain SMTP session and waits for the whole reply; `None` where the connection is gone.
fn say(stream: &mut BufReader<TcpStream>, line: &str) -> Option<String> {
    stream.get_mut().write_all(line.as_bytes()).ok()?;
    loop {
        let mut reply = String::new();
        if stream.read_line(&mut reply).ok()? == 0 {
            return None;
        }
        if reply.as_bytes().get(3) == Some(&b' ') {
            return Some(reply);
        }
    }
}

#[test]
fn kill_9_loses_nothing_that_was_acknowledged() {
    let mut served = Served::new();
    let mut acknowledged = 0_usize;
    for round in 0..3 {
        let port = served.port("Smtp");
        let clients: Vec<_> = (0..4)
            .map(|client| {
                std::thread::spawn(move || {
                    let mut count = 0_usize;
                    let Ok(stream) = TcpStream::connect(("127.0.0.1", port)) else { return count };
                    let mut stream = BufReader::new(stream);
                    // the greeting, then the answer to EHLO
                    let (Some(_), Some(_)) = (say(&mut stream, ""), say(&mut stream, "EHLO b.example\r\n")) else { return count };
                    for message in 0.. {
                        let size = if message % 5 == 0 { 40_000 } else { 100 };
                        let body = format!("Subject: {round}-{client}-{message}\r\n\r\n{}\r\n.\r\n", "x".repeat(size));
                        let lines = ["MAIL FROM:<x@b.example>\r\n", "RCPT TO:<joe@a.example>\r\n", "DATA\r\n", &body];
                        let mut last = None;
                        for line in lines {
                            last = say(&mut stream, line);
                            if last.is_none() {
                                return count;
                            }
                        }
                        if last.is_some_and(|reply| reply.starts_with("250")) {
                            count += 1;
                        }
                    }
                    count
                })
            })
            .collect();
        // until enough is acknowledged to be in the middle of things
        while served.mailbox("joe@a.example") < acknowledged + 20 {
            std::thread::yield_now();
        }
        served.child.kill().expect("killed");
        served.child.wait().expect("gone");
        acknowledged += clients.into_iter().map(|client| client.join().expect("no panic")).sum::<usize>();
        let kept = served.mailbox("joe@a.example");
        // what was written and not yet acknowledged may be there, too: one for each client and round
        assert!((acknowledged..=acknowledged + 4 * (round + 1)).contains(&kept), "{acknowledged} acknowledged, {kept} kept");
        served.restart();
    }
}

#[test]
fn curl_sends_and_fetches_under_every_form_of_tls() {
    if !support::peer("curl") {
        return;
    }
    let served = Served::new();
    let root = served.path("root.pem");
    let letter = served.path("letter");
    fs::write(&letter, "From: jane@a.example\r\nTo: joe@a.example\r\nSubject: hi\r\n\r\n.dot\r\n").expect("written");
    let curl = |args: &[&str]| support::run("curl", &[&["-sS", "--cacert", &root], args].concat(), b"");
    let send = ["--mail-from", "jane@a.example", "--mail-rcpt", "joe@a.example", "-u", "jane@a.example:secret", "-T", &letter];
    for (url, more) in [
        (format!("smtp://localhost:{}", served.port("Submission")), "--ssl-reqd"),
        (format!("smtps://localhost:{}", served.port("Submissions")), "-s"),
    ] {
        let (code, _, talk) = curl(&[&[url.as_str(), more], &send[..]].concat());
        assert_eq!(code, 0, "{url}: {talk}");
    }
    for (url, more) in [
        (format!("pop3://localhost:{}/1", served.port("Pop3")), "--ssl-reqd"),
        (format!("pop3s://localhost:{}/2", served.port("Pop3s")), "-s"),
    ] {
        let (code, message, talk) = curl(&[&url, more, "-u", "joe@a.example:secret"]);
        assert_eq!(code, 0, "{url}: {talk}");
        let message = String::from_utf8(message).expect("ASCII");
        assert!(
            message.starts_with("Return-Path: <jane@a.example>\r\nReceived: ") && message.ends_with("\r\n\r\n.dot\r\n"),
            "{message}"
        );
    }
    let url = format!("pop3s://localhost:{}/", served.port("Pop3s"));
    assert_ne!(curl(&[&url, "-u", "joe@a.example:wrong"]).0, 0);
    let plain = format!("smtp://localhost:{}", served.port("Submission"));
    assert_ne!(curl(&[&[plain.as_str()], &send[..]].concat()).0, 0, "a password without TLS");
}

#[test]
fn nobody_relays_and_nobody_writes_as_another() {
    if !support::peer("swaks") {
        return;
    }
    let served = Served::new();
    let swaks = |port: u16, args: &str| {
        let server = format!("localhost:{port}");
        let all: Vec<&str> = ["--server", &server].into_iter().chain(args.split_whitespace()).collect();
        support::run("swaks", &all, b"").0
    };
    let (relay, submission) = (served.port("Smtp"), served.port("Submission"));
    assert_eq!(swaks(relay, "--from x@b.example --to joe@a.example"), 0);
    assert_ne!(swaks(relay, "--from x@b.example --to y@c.example"), 0);
    assert_ne!(swaks(relay, "--from x@b.example --to nobody@a.example"), 0);
    for mechanism in ["PLAIN", "LOGIN"] {
        let login = format!("--tls --auth {mechanism} --auth-user jane@a.example --auth-password secret");
        assert_eq!(swaks(submission, &format!("{login} --from jane@a.example --to joe@a.example")), 0, "{mechanism}");
        assert_ne!(swaks(submission, &format!("{login} --from joe@a.example --to joe@a.example")), 0);
        assert_ne!(swaks(submission, &format!("{login} --from jane@a.example --h-From joe@a.example --to joe@a.example")), 0);
    }
    assert_ne!(swaks(submission, "--tls --from jane@a.example --to joe@a.example"), 0);
    assert_eq!(served.mailbox("joe@a.example"), 3);
}

#[test]
fn openssl_sees_a_clean_handshake() {
    if !support::peer("openssl") {
        return;
    }
    let served = Served::new();
    for (protocol, service) in [("smtp", "Smtp"), ("smtp", "Submission"), ("pop3", "Pop3")] {
        for version in ["-tls1_2", "-tls1_3"] {
            let (address, root) = (format!("localhost:{}", served.port(service)), served.path("root.pem"));
            let args =
                ["s_client", "-starttls", protocol, "-connect", &address, "-CAfile", &root, "-verify_return_error", version];
            let (code, out, talk) = support::run("openssl", &args, b"QUIT\r\n");
            assert_eq!(code, 0, "{service} {version}: {talk}");
            assert!(String::from_utf8_lossy(&out).contains("Verify return code: 0 (ok)"), "{service} {version}");
        }
    }
}

#[test]
fn python_fetches_deletes_and_finds_the_rest() {
    if !support::peer("python3") {
        return;
    }
    let served = Served::new();
    let script = format!(
        "import poplib, smtplib, ssl\n\
         c = ssl.create_default_context(cafile='{root}')\n\
         for n in range(3):\n    s = smtplib.SMTP('localhost', {submission}); s.starttls(context=c); s.login('jane@a.example', 'secret')\n    \
         s.sendmail('jane@a.example', ['joe@a.example'], 'From: jane@a.example\\n\\nmessage %d\\n' % n); s.quit()\n\
         p = poplib.POP3('localhost', {pop3}); p.stls(context=c); p.user('joe@a.example'); p.pass_('secret')\n\
         assert p.stat()[0] == 3\nfirst = p.uidl()[1]\np.dele(2); p.quit()\n\
         p = poplib.POP3_SSL('localhost', {pop3s}, context=c); p.user('joe@a.example'); p.pass_('secret')\n\
         left = p.uidl()[1]\nassert [u.split()[1] for u in left] == [first[0].split()[1], first[2].split()[1]], left\n\
         assert p.top(1, 0)[1][-1] == b'' and p.retr(2)[1][-1] == b'message 2'\np.rset(); p.quit()\n",
        root = served.path("root.pem"),
        submission = served.port("Submission"),
        pop3 = served.port("Pop3"),
        pop3s = served.port("Pop3s"),
    );
    let (code, _, talk) = support::run("python3", &["-c", &script], b"");
    assert_eq!(code, 0, "{talk}");
}

#[test]
fn a_stop_by_signal_tells_open_sessions_and_ends_well() {
    let mut served = Served::new();
    let mut stream = BufReader::new(TcpStream::connect(("127.0.0.1", served.port("Smtp"))).expect("connects"));
    say(&mut stream, "").expect("greets");
    say(&mut stream, "EHLO b.example\r\n").expect("answers");
    let id = served.child.id().to_string();
    assert_eq!(support::run("kill", &["-TERM", &id], b"").0, 0);
    let mut rest = String::new();
    stream.read_to_string(&mut rest).expect("the session ends");
    assert!(rest.contains("421 4.3.2 the server stops"), "{rest}");
    assert!(served.child.wait().expect("it ends").success());
}
