//! Scanners over the milter protocol: what is said, what comes of it, and OpenDKIM as one of others.
#![cfg(feature = "server")]

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use sealpost::limits::Limits;
use sealpost::proto::Agreed;
use sealpost::proto::milter::{Broken, Change, Decision, Milter, MilterStep, Offer, Verdict};
use sealpost::proto::sasl::Mechanism;
use sealpost::server::scan::{self, Address, OnFailure, Scanned, Scanner};

use crate::fuzz::targets;
use crate::support;

const LETTER: &[u8] =
    b"From: Jane <jane@a.example>\r\nTo: bob@b.example\r\nSubject: a\r\n folded\r\nX-Two: 1\r\nX-Two: 2\r\n\r\nThe body.\r\n";

/// A message that comes from outside.
pub(crate) fn offer() -> Offer {
    let (fields, body) = scan::taken_apart(LETTER, &Limits::default()).expect("small");
    Offer { fields, body, id: "q1".to_owned(), ..targets::milter::offer() }
}

fn packet(letter: u8, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len() + 1).expect("small");
    [&length.to_be_bytes()[..], &[letter], content].concat()
}

fn options(version: u32, changes: u32, wishes: u32) -> Vec<u8> {
    packet(b'O', &[version, changes, wishes].map(u32::to_be_bytes).concat())
}

/// Nothing is answered before the end (SMFIP_NR_*).
const SILENT: u32 = 0x000f_f080;

/// Speaks with a session; gives the letters that the scanner heard, and the verdict.
fn talk(answers: &[Vec<u8>], limits: &Limits) -> (String, Option<Result<Verdict, Broken>>) {
    let mut session = Milter::new(offer(), limits);
    let (mut heard, mut answers) = (Vec::new(), answers.iter());
    let verdict = loop {
        match session.step() {
            MilterStep::Send(bytes) => heard.extend(bytes),
            MilterStep::Done(verdict) => break Some(verdict),
            MilterStep::Wait(_) => match answers.next() {
                Some(answer) => session.receive(answer),
                None => break None,
            },
        }
    };
    let (mut rest, mut letters) = (heard.as_slice(), String::new());
    while let Some((head, after)) = rest.split_first_chunk::<4>() {
        let length = usize::try_from(u32::from_be_bytes(*head)).expect("small");
        letters.push(char::from(after[0]));
        rest = &after[length..];
    }
    (letters, verdict)
}

fn verdict(answers: &[Vec<u8>]) -> Verdict {
    talk(answers, &Limits::default()).1.expect("an end").expect("a verdict")
}

#[test]
fn every_stage_is_said_and_answered() {
    let mut answers = vec![options(6, 0, 0)];
    answers.extend(std::iter::repeat_n(packet(b'c', b""), 14));
    let (heard, verdict) = talk(&answers, &Limits::default());
    assert_eq!(heard, "ODCHDMDRDRTLLLLLNBDE");
    assert_eq!(verdict, Some(Ok(Verdict { decision: Decision::Accept, refused: Vec::new(), changes: Vec::new() })));
}

#[test]
fn what_a_scanner_does_not_want_is_not_said() {
    let (heard, verdict) = talk(&[options(6, 0, SILENT | 0x2ff), packet(b'c', b"")], &Limits::default());
    assert_eq!(heard, "ODE");
    assert!(verdict.is_some());
    let (heard, _) = talk(&[options(2, 0, SILENT), packet(b'c', b"")], &Limits::default());
    assert_eq!(heard, "ODCHDMDRDRLLLLLNBDE", "DATA is of later versions");
}

#[test]
fn changes_are_put_in_where_they_belong() {
    let changes = [
        options(6, 0xff, SILENT),
        packet(b'p', b""),
        packet(b'i', b"\0\0\0\0X-First\0one\n two\0"),
        packet(b'm', b"\0\0\0\x02X-Two\0changed\0"),
        packet(b'm', b"\0\0\0\x01X-Two\0\0"),
        packet(b'h', b"X-Last\0end\0"),
        packet(b'b', b"New "),
        packet(b'b', b"body.\r\n"),
        packet(b'+', b"<dave@d.example>\0"),
        packet(b'-', b"<bob@b.example>\0"),
        packet(b'e', b"<other@a.example>\0"),
        packet(b'c', b""),
    ];
    let verdict = verdict(&changes);
    let mut scanned = Scanned::new(LETTER, offer().recipients, "jane@a.example".to_owned());
    assert_eq!(scanned.apply(verdict, &Limits::default()), Ok(Decision::Accept));
    // numbers count what is there when the change is made: the second X-Two is changed, then the first goes
    let is = "X-First: one\r\n two\r\nFrom: Jane <jane@a.example>\r\nTo: bob@b.example\r\nSubject: a\r\n folded\r\nX-Two: changed\r\n\
              X-Last: end\r\n\r\nNew body.\r\n";
    assert_eq!(String::from_utf8_lossy(&scanned.message), is);
    assert_eq!(scanned.recipients, ["carol@b.example", "dave@d.example"]);
    assert_eq!((scanned.added, scanned.sender.as_str()), (vec!["dave@d.example".to_owned()], "other@a.example"));
}

#[test]
fn a_new_body_has_whole_lines() {
    let body = Change::ReplaceBody(b"a\nb\r\nc\rd\n.\n".to_vec());
    let new = scan::changed(b"Subject: x\r\n\r\nold", &[body], &Limits::default()).expect("small");
    assert_eq!(String::from_utf8_lossy(&new), "Subject: x\r\n\r\na\r\nb\r\nc\r\nd\r\n.\r\n");
}

#[test]
fn scanners_hear_where_a_message_comes_from_and_how() {
    let macros = |offer: Offer| {
        let mut session = Milter::new(offer, &Limits::default());
        let mut said = Vec::new();
        session.receive(&options(6, 0, SILENT));
        while let MilterStep::Send(bytes) = session.step() {
            said.extend(bytes);
        }
        let mut all = String::new();
        let mut rest = said.as_slice();
        while let Some((head, after)) = rest.split_first_chunk::<4>() {
            let (content, later) = after.split_at(usize::try_from(u32::from_be_bytes(*head)).expect("small"));
            if content[0] == b'D' {
                all.push_str(&format!(
                    "{}: {}\n",
                    char::from(content[1]),
                    String::from_utf8_lossy(&content[2..]).replace('\0', "|")
                ));
            }
            rest = later;
        }
        all
    };
    let plain = macros(offer());
    let connect = format!(
        "C: j|mail.b.example|_|[192.0.2.1]|{{daemon_name}}|mail.b.example|{{client_addr}}|192.0.2.1|{{client_name}}|[192.0.2.1]|v|sealpost|Z|{}|\n",
        env!("CARGO_PKG_VERSION")
    );
    let is = "M: i|q1|r|ESMTP|{mail_addr}|jane@a.example|\n\
              R: b|Mon, 1 Jun 2026 00:00:00 +0000|{rcpt_addr}|bob@b.example|\n\
              R: b|Mon, 1 Jun 2026 00:00:00 +0000|{rcpt_addr}|carol@b.example|\nE: i|q1|\n";
    assert_eq!(plain, format!("{connect}{is}"));
    let mut known = offer();
    known.peer = "2001:db8::1".parse().expect("an address");
    known.name = Some("out.a.example".to_owned());
    known.user = Some(("jane@a.example".to_owned(), Mechanism::ScramPlus));
    known.tls = Some(Agreed { version: "TLSv1.3".to_owned(), cipher: "TLS_AES_256_GCM_SHA384".to_owned() });
    let known = macros(known);
    for part in [
        "|_|out.a.example [IPv6:2001:db8::1]|",
        "|{client_name}|out.a.example|",
        "|{client_addr}|2001:db8::1|",
        "\nH: {tls_version}|TLSv1.3|{cipher}|TLS_AES_256_GCM_SHA384|\n",
        "|{auth_type}|SCRAM-SHA-256-PLUS|{auth_authen}|jane@a.example|\n",
    ] {
        assert!(known.contains(part), "{part}: {known}");
    }
}

#[test]
fn lines_that_are_no_field_stay_and_what_is_not_changed_is_not_written_anew() {
    let odd = b"From x\r\nSubject: a\r\nno field\r\nTo : b@b.example\r\n\r\nbody";
    let none = scan::changed(odd, &[Change::AddRecipient("x@y.example".to_owned())], &Limits::default()).expect("small");
    assert!(matches!(none, std::borrow::Cow::Borrowed(_)));
    let add = [
        Change::InsertField { index: 0, name: "X-A".to_owned(), value: b" 1".to_vec() },
        Change::ChangeField { index: 1, name: "to".to_owned(), value: Vec::new() },
        Change::ChangeField { index: 3, name: "X-B".to_owned(), value: b" 2".to_vec() },
    ];
    let new = scan::changed(odd, &add, &Limits::default()).expect("small");
    let is = "From x\r\nX-A: 1\r\nSubject: a\r\nno field\r\nX-B: 2\r\n\r\nbody";
    assert_eq!(String::from_utf8_lossy(&new), is);
    // our own Received, which is not there yet, is number 0 (sendmail, Postfix): 1 is in front of all that came, and 2 behind the first
    let insert = |index| Change::InsertField { index, name: format!("X-{index}"), value: b" x".to_vec() };
    let new = scan::changed(b"Received: a\r\nSubject: b\r\n\r\n", &[insert(2), insert(1), insert(9)], &Limits::default());
    let is = "X-1: x\r\nReceived: a\r\nX-2: x\r\nSubject: b\r\nX-9: x\r\n\r\n";
    assert_eq!(String::from_utf8_lossy(&new.expect("small")), is);
    let bare = scan::changed(b"Subject: x\r\n", &add[..1], &Limits::default()).expect("small");
    assert_eq!(String::from_utf8_lossy(&bare), "X-A: 1\r\nSubject: x\r\n\r\n");
}

#[test]
fn a_message_is_refused_at_every_stage() {
    let go = || packet(b'c', b"");
    for before in [0, 1, 2, 5, 11] {
        let mut answers = vec![options(6, 0, 0)];
        answers.extend(std::iter::repeat_with(go).take(before));
        answers.push(packet(b'y', b"554 5.7.9 no %%x\0"));
        match verdict(&answers).decision {
            Decision::Refuse(refusal) => assert_eq!((refusal.code, refusal.text.as_str()), (554, "no %x"), "after {before}"),
            other => panic!("after {before}: {other:?}"),
        }
    }
    let answer = |letter| verdict(&[options(6, 0, SILENT), packet(letter, b"")]).decision;
    assert!(matches!(answer(b'r'), Decision::Refuse(refusal) if refusal.code == 550 && !refusal.is_temporary()));
    assert!(matches!(answer(b't'), Decision::Refuse(refusal) if refusal.code == 451 && refusal.is_temporary()));
    assert_eq!(answer(b'd'), Decision::Discard);
    assert_eq!(answer(b'a'), Decision::Accept);
}

#[test]
fn recipients_are_refused_one_by_one() {
    let go = || packet(b'c', b"");
    let answers = [options(6, 0, 0x000f_0080), go(), go(), go(), packet(b'r', b""), go(), go()];
    let verdict = verdict(&answers);
    assert_eq!((verdict.decision, verdict.refused.len(), verdict.refused[0].0), (Decision::Accept, 1, 0));
}

#[test]
fn changes_before_a_refusal_are_forgotten() {
    let verdict = verdict(&[options(6, 0xff, SILENT), packet(b'h', b"X\0y\0"), packet(b'r', b"")]);
    assert!(verdict.changes.is_empty());
}

#[test]
fn what_is_not_of_the_protocol_ends_it() {
    let end = |answers: &[Vec<u8>]| match talk(answers, &Limits::default()).1 {
        Some(Err(broken)) => broken.to_string(),
        other => panic!("{other:?}"),
    };
    let silent = || options(6, 0xff, SILENT);
    for (answers, says) in [
        (vec![packet(b'c', b"")], "`c` where nothing like it belongs"),
        (vec![options(7, 0, 0)], "version 7 of the protocol"),
        (vec![packet(b'O', b"\0")], "ends before a number"),
        (vec![vec![0, 0, 0, 0]], "a packet without a letter"),
        (vec![vec![0xff; 8]], "limit reached: milter packet bytes"),
        (vec![silent(), packet(b'x', b"")], "`x` where nothing like it belongs"),
        (vec![options(6, 0, SILENT), packet(b'h', b"X\0y\0")], "a change that it did not ask to make"),
        (vec![silent(), packet(b'h', b"X\0y\nBcc: z\0")], "goes on as another line"),
        (vec![silent(), packet(b'h', b"X\0y\n\0")], "goes on as another line"),
        (vec![silent(), packet(b'h', b"X Y\0y\0")], "a field without a name"),
        (vec![silent(), packet(b'h', b"X\0y")], "ends before a string"),
        (vec![silent(), packet(b'+', b"<a@b>\r\nRCPT\0")], "an address that is none"),
        (vec![silent(), packet(b'y', b"250 ok\0")], "a reply that is none"),
        (vec![options(6, 0, 0), packet(b'h', b"X\0y\0")], "`h` where nothing like it belongs"),
        (vec![options(6, 0, 0), packet(b'f', b"")], "cannot look at the message"),
    ] {
        let said = end(&answers);
        assert!(said.contains(says), "{says}: {said}");
    }
}

#[test]
fn changes_are_bounded() {
    let mut few = Limits::default();
    few.milter_changes = 2;
    few.milter_change_bytes = 100;
    let mut many = vec![options(6, 0xff, SILENT)];
    many.extend(std::iter::repeat_n(packet(b'h', b"X\0y\0"), 3));
    let broken = talk(&many, &few).1.expect("an end").expect_err("too many");
    assert_eq!(broken.to_string(), "limit reached: milter changes – at most 2");
    let large = [options(6, 0xff, SILENT), packet(b'b', &[b'x'; 60]), packet(b'b', &[b'x'; 60])];
    let broken = talk(&large, &few).1.expect("an end").expect_err("too large");
    assert_eq!(broken.to_string(), "limit reached: milter change bytes – at most 100");
}

#[test]
fn addresses_of_scanners_are_read() {
    assert_eq!(Address::parse("unix:/run/x.sock"), Some(Address::Unix("/run/x.sock".into())));
    assert_eq!(Address::parse("inet:[::1]:11332"), Some(Address::Inet("::1".to_owned(), 11332)));
    for wrong in ["", "unix:x", "inet:host", "inet::1", "inet:host:0", "tcp:host:1"] {
        assert_eq!(Address::parse(wrong), None, "{wrong}");
    }
}

#[test]
fn a_scanner_that_hangs_up_or_is_not_there_is_said() {
    let port = support::free_port();
    let listener = TcpListener::bind(("127.0.0.1", port)).expect("a port");
    let scanner = Scanner { address: Address::Inet("127.0.0.1".to_owned(), port), on_failure: OnFailure::Tempfail };
    let peer = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        stream.read_exact(&mut [0; 17]).expect("options");
        stream.write_all(&options(6, 0, 0)).expect("answered");
    });
    let said = scanner.offer(offer(), &Limits::default()).expect_err("no verdict");
    assert!(said.contains(&format!("inet:127.0.0.1:{port}")), "{said}");
    peer.join().expect("it ends");
    let gone = scanner.offer(offer(), &Limits::default()).expect_err("nobody is there");
    assert!(gone.contains("does not answer"), "{gone}");
}

struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn opendkim_signs_a_message_and_knows_it_again() {
    let program = "/usr/sbin/opendkim";
    if !std::path::Path::new(program).exists() {
        support::skip("opendkim is not installed");
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let place = |name: &str| folder.path().join(name).display().to_string();
    let (code, _, talk) = support::run("openssl", &["genrsa", "-traditional", "-out", &place("key"), "1024"], b"");
    assert_eq!(code, 0, "{talk}");
    let (_, public, _) = support::run("openssl", &["rsa", "-in", &place("key"), "-pubout", "-outform", "DER"], b"");
    let public = sealpost::mime::transfer::encode_base64(&public);
    let public: String = String::from_utf8(public).expect("ASCII").split_whitespace().collect();
    // keys are asked from a file: no name server is needed
    std::fs::write(place("keys"), format!("s._domainkey.a.example v=DKIM1; k=rsa; p={public}\n")).expect("written");
    let configuration = format!(
        "Domain a.example\nSelector s\nKeyFile {}\nSocket local:{}\nMode sv\nInternalHosts {}\nTestPublicKeys {}\nSyslog no\n\
         RequireSafeKeys no\nBackground no\nCanonicalization relaxed/simple\nAuthservID mail.b.example\nAlwaysAddARHeader yes\n",
        place("key"),
        place("sock"),
        place("inside"),
        place("keys"),
    );
    std::fs::write(place("inside"), "192.0.2.1\n").expect("written");
    std::fs::write(place("conf"), configuration).expect("written");
    let child = Command::new(program).args(["-f", "-x", &place("conf")]).stdin(Stdio::null()).spawn().expect("it starts");
    let _process = Process(child);
    let begin = Instant::now();
    // the socket is a file before anybody listens on it
    while UnixStream::connect(folder.path().join("sock")).is_err() {
        assert!(begin.elapsed() < support::LONGEST, "opendkim does not listen");
        std::thread::sleep(Duration::from_millis(10));
    }
    let scanner = Scanner { address: Address::Unix(folder.path().join("sock")), on_failure: OnFailure::Tempfail };
    let scan = |message: &[u8], peer: [u8; 4]| {
        let (fields, body) = scan::taken_apart(message, &Limits::default()).expect("small");
        let verdict = scanner.offer(Offer { fields, body, peer: peer.into(), ..offer() }, &Limits::default()).expect("a verdict");
        let signs = |change: &Change| matches!(change, Change::InsertField { .. } | Change::AddField { .. });
        assert!(verdict.changes.iter().any(signs), "{verdict:?}");
        let mut scanned = Scanned::new(message, offer().recipients, "jane@a.example".to_owned());
        assert_eq!(scanned.apply(verdict, &Limits::default()), Ok(Decision::Accept));
        scanned.message.into_owned()
    };
    let signed = scan(LETTER, [192, 0, 2, 1]);
    let text = String::from_utf8_lossy(&signed);
    assert!(text.contains("DKIM-Signature: v=1;") && signed.ends_with(b"The body.\r\n"), "{text}");
    let verified = scan(&signed, [198, 51, 100, 1]);
    let text = String::from_utf8_lossy(&verified);
    assert!(text.contains("dkim=pass"), "{text}");
    let broken = String::from_utf8_lossy(&signed).replace("The body", "Another body").into_bytes();
    let text = String::from_utf8_lossy(&scan(&broken, [198, 51, 100, 1])).into_owned();
    assert!(text.contains("dkim=fail"), "{text}");
}
