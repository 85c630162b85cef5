//! Sessions against transcripts: each is run whole (every client line of a turn at once), and byte by byte.
//!
//! A transcript is a `config` line and turns of `C:` (the client's lines), `Q:` (what the service is asked, checked where given), `A:`
//! (what it answers) and `S:` (the server's lines). `(TLS)` and `(CLOSE)` stand for these steps. `\r`, `\n` and `\xNN` are escapes.
#![cfg(feature = "server")]

use std::collections::VecDeque;
use std::fs;
use std::path::Path;

use sealpost::proto::{Step, Tls, pop3, sasl, smtp};
use sealpost::secret::Secret;

#[derive(Default, Debug)]
struct Turn {
    client: Vec<u8>,
    asked: Vec<String>,
    answers: VecDeque<String>,
    server: String,
}

struct Transcript {
    config: Vec<String>,
    turns: Vec<Turn>,
}

pub(crate) fn unescape(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        match (byte, tail) {
            (b'\\', [b'r', after @ ..]) => (out.push(b'\r'), rest = after).0,
            (b'\\', [b'n', after @ ..]) => (out.push(b'\n'), rest = after).0,
            (b'\\', [b'x', high, low, after @ ..]) => {
                let digits = String::from_utf8(vec![*high, *low]).expect("ASCII");
                out.push(u8::from_str_radix(&digits, 16).expect("two hexadecimal digits"));
                rest = after;
            }
            _ => out.push(byte),
        }
    }
    out
}

fn read(path: &Path) -> Transcript {
    let text = fs::read_to_string(path).expect("a transcript");
    let mut transcript = Transcript { config: Vec::new(), turns: vec![Turn::default()] };
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (kind, rest) = line.split_once(' ').unwrap_or((line, ""));
        let is_new = kind == "C:" && transcript.turns.last().is_some_and(|turn| !turn.server.is_empty());
        if is_new {
            transcript.turns.push(Turn::default());
        }
        let turn = transcript.turns.last_mut().expect("one at least");
        match kind {
            "config" => transcript.config = rest.split_whitespace().map(str::to_owned).collect(),
            "C:" => turn.client.extend([unescape(rest), b"\r\n".to_vec()].concat()),
            "Q:" => turn.asked.push(String::from_utf8(unescape(rest)).expect("UTF-8")),
            "A:" => turn.answers.push_back(rest.to_owned()),
            "S:" => turn.server.push_str(&format!("{rest}\r\n")),
            _ => panic!("{}: what is {line:?}?", path.display()),
        }
    }
    transcript
}

/// Runs a transcript; `feed` gives bytes, and collects what the session does.
fn run(transcript: Transcript, bytewise: bool, mut session: impl FnMut(&[u8], &mut Turn) -> String, name: &str) {
    for (at, mut turn) in transcript.turns.into_iter().enumerate() {
        let client = std::mem::take(&mut turn.client);
        let expected = std::mem::take(&mut turn.server);
        let mut said = session(b"", &mut turn);
        let size = if bytewise { 1 } else { client.len().max(1) };
        for piece in client.chunks(size) {
            said.push_str(&session(piece, &mut turn));
            if said.ends_with("(CLOSE)\r\n") {
                break;
            }
        }
        assert_eq!(said, expected, "{name}, turn {at}, byte by byte: {bytewise}");
        assert!(turn.answers.is_empty(), "{name}, turn {at}: never asked for {:?}", turn.answers);
        assert!(turn.asked.is_empty(), "{name}, turn {at}: never asked {:?}", turn.asked);
    }
}

fn tls(word: &str) -> Tls {
    match word {
        "active" => Tls::Active,
        "offered" => Tls::Offered,
        _ => Tls::Unavailable,
    }
}

fn expect_question(turn: &mut Turn, question: &str) {
    if let Some(at) = turn.asked.iter().position(|asked| asked == question) {
        turn.asked.remove(at);
    }
}

fn smtp_session(config: &[String]) -> impl FnMut(&[u8], &mut Turn) -> String + use<> {
    let role = if config[0] == "submission" { smtp::Role::Submission } else { smtp::Role::Relay };
    let (channel, kept) = (channel(config), kept(config));
    let mut session = smtp::Session::new(smtp::Config { kept, ..smtp::Config::new("mail.a.example", role, tls(&config[1])) });
    if config[1] == "active" {
        session.channel(channel.clone());
    }
    move |bytes, turn| {
        session.receive(bytes);
        let mut said = String::new();
        loop {
            match session.step() {
                Step::Send(bytes) => said.push_str(&String::from_utf8(bytes).expect("UTF-8")),
                Step::StartTls => {
                    said.push_str("(TLS)\r\n");
                    session.tls_started();
                    session.channel(channel.clone());
                }
                Step::Ask(question) => {
                    let text = match question {
                        smtp::Question::Authenticate(question) => {
                            session.answer(smtp::Answer::Login(login(&question, turn)));
                            continue;
                        }
                        smtp::Question::Message(_, message) => format!("message {}", String::from_utf8_lossy(&message.rest)),
                        smtp::Question::Piece(piece) => format!("piece {} {}", piece.at, piece.bytes.len()),
                        smtp::Question::Recipient(_, to) => {
                            format!("recipient {} notify={} orcpt={}", to.address, to.notify, to.original)
                        }
                        smtp::Question::Sender(envelope) => {
                            let smtp::Terms { ret, envid, body, tls } = &envelope.terms;
                            format!("sender body={body:?} tls={tls:?} ret={ret} envid={envid} utf8={}", envelope.is_utf8)
                        }
                    };
                    expect_question(turn, &text);
                    let answer = turn.answers.pop_front().unwrap_or_else(|| panic!("no answer to {text}"));
                    let words: Vec<&str> = answer.splitn(4, ' ').collect();
                    session.answer(match words.as_slice() {
                        ["accept"] => smtp::Answer::Accept,
                        ["reject", code, enhanced, text] => {
                            smtp::Answer::Reject(code.parse().expect("a code"), (*enhanced).to_owned().into(), (*text).to_owned())
                        }
                        other => panic!("what is {other:?}?"),
                    });
                }
                Step::Wait => return said,
                Step::Close => return said + "(CLOSE)\r\n",
            }
        }
    }
}

/// Answers who somebody is: `accept` (as himself), `user NAME`, `keys NONCE` (those of RFC 7677's example), `later`, or anything else for no.
fn login(question: &sasl::Question, turn: &mut Turn) -> sasl::Answer {
    let (what, name) = match question {
        sasl::Question::Password(credentials) => ("authenticate", credentials.user.clone()),
        sasl::Question::Keys(user) => ("keys of", user.clone()),
        sasl::Question::Certificate(user) => ("certificate of", user.clone()),
    };
    let text = format!("{what} {name}");
    expect_question(turn, &text);
    let answer = turn.answers.pop_front().unwrap_or_else(|| panic!("no answer to {text}"));
    match answer.split(' ').collect::<Vec<_>>().as_slice() {
        ["accept"] => sasl::Answer::User(name),
        ["user", user] => sasl::Answer::User((*user).to_owned()),
        ["keys", nonce] => {
            let salt = [91, 109, 153, 104, 157, 18, 53, 142, 236, 160, 75, 20, 18, 54, 250, 129];
            let keys = sasl::scram::Keys::derive(&Secret::new(b"pencil".to_vec()), &salt, 4096);
            sasl::Answer::Keys(name, keys, (*nonce).to_owned())
        }
        ["later"] => sasl::Answer::Later,
        _ => sasl::Answer::No,
    }
}

/// Reads `m1:20`.
fn listing(text: &str) -> pop3::Listing {
    let (uid, size) = text.split_once(':').expect("uid:size");
    let uid = pop3::Uid(uid.trim_start_matches('m').parse().expect("a number"));
    pop3::Listing { uid, size: size.parse().expect("a size") }
}

/// What TLS says where a transcript's configuration has the word: `bindable` has what binds a channel, `certificate` one of jane.
fn channel(config: &[String]) -> sasl::Channel {
    let has = |word: &str| config.iter().any(|known| known == word);
    sasl::Channel {
        exporter: has("bindable").then(|| vec![7; 32]),
        end_point: has("bindable").then(|| vec![9; 32]),
        certificate: has("certificate").then(|| "jane@a.example".to_owned()),
    }
}

fn kept(config: &[String]) -> sasl::Kept {
    if config.iter().any(|word| word == "passwords") { sasl::Kept::PasswordsOnly } else { sasl::Kept::Scram }
}

fn pop3_session(config: &[String]) -> impl FnMut(&[u8], &mut Turn) -> String + use<> {
    let (channel, kept) = (channel(config), kept(config));
    let mut session =
        pop3::Session::new(pop3::Config { kept, login_delay: 10, ..pop3::Config::new("mail.a.example", tls(&config[1])) });
    if config[1] == "active" {
        session.channel(channel.clone());
    }
    move |bytes, turn| {
        session.receive(bytes);
        let mut said = String::new();
        loop {
            match session.step() {
                Step::Send(bytes) => said.push_str(&String::from_utf8(bytes).expect("UTF-8")),
                Step::StartTls => {
                    said.push_str("(TLS)\r\n");
                    session.tls_started();
                    session.channel(channel.clone());
                }
                Step::Ask(question) => {
                    let text = match question {
                        pop3::Question::Authenticate(question) => {
                            session.answer(pop3::Answer::Login(login(&question, turn)));
                            continue;
                        }
                        pop3::Question::Open { user, folder: None } => format!("open {user}"),
                        pop3::Question::Open { user, folder: Some(folder) } => format!("open {folder} of {user}"),
                        pop3::Question::Retrieve(uid) => format!("retrieve {uid}"),
                        pop3::Question::More => "more".to_owned(),
                        pop3::Question::Delete(uids) => {
                            format!("delete {}", uids.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
                        }
                    };
                    expect_question(turn, &text);
                    let answer = turn.answers.pop_front().unwrap_or_else(|| panic!("no answer to {text}"));
                    let (kind, rest) = answer.split_once(' ').unwrap_or((&answer, ""));
                    session.answer(match kind {
                        "opened" => pop3::Answer::Opened(rest.split_whitespace().map(listing).collect()),
                        "message" => pop3::Answer::Message(unescape(rest).len() as u64, unescape(rest)),
                        "deleted" => pop3::Answer::Deleted,
                        "rejected" => {
                            let (code, text) = rest.split_once(' ').expect("a code and a text");
                            pop3::Answer::Rejected(Box::leak(code.to_owned().into_boxed_str()), text.to_owned())
                        }
                        other => panic!("what is {other:?}?"),
                    });
                }
                Step::Wait => return said,
                Step::Close => return said + "(CLOSE)\r\n",
            }
        }
    }
}

fn transcripts(kind: &str) -> Vec<std::path::PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts").join(kind);
    let mut found: Vec<_> = fs::read_dir(folder).expect("transcripts").map(|entry| entry.expect("an entry").path()).collect();
    found.sort();
    found
}

#[test]
fn smtp_sessions_follow_their_transcripts() {
    for path in transcripts("smtp") {
        for bytewise in [false, true] {
            let transcript = read(&path);
            // what is about bytes that come together has no form byte by byte
            if bytewise && transcript.config.iter().any(|word| word == "whole") {
                continue;
            }
            let session = smtp_session(&transcript.config);
            run(transcript, bytewise, session, &path.display().to_string());
        }
    }
}

#[test]
fn pop3_sessions_follow_their_transcripts() {
    for path in transcripts("pop3") {
        for bytewise in [false, true] {
            let transcript = read(&path);
            if bytewise && transcript.config.iter().any(|word| word == "whole") {
                continue;
            }
            let session = pop3_session(&transcript.config);
            run(transcript, bytewise, session, &path.display().to_string());
        }
    }
}

/// Feeds a session a piece so often, accepting everything; gives its last reply, how often it replied, and what it held at most.
fn flood(mut session: smtp::Session, begin: &[u8], piece: &[u8], times: usize) -> (String, usize, usize) {
    let (mut last, mut replies, mut held) = (String::new(), 0, 0);
    for piece in std::iter::once(begin).chain(std::iter::repeat_n(piece, times)) {
        session.receive(piece);
        loop {
            match session.step() {
                Step::Send(bytes) => (last, replies) = (String::from_utf8(bytes).expect("UTF-8"), replies + 1),
                Step::Ask(_) => session.answer(smtp::Answer::Accept),
                Step::Wait | Step::StartTls => break,
                Step::Close => return (last, replies, held),
            }
        }
        held = held.max(session.held());
    }
    (last, replies, held)
}

fn relay() -> smtp::Session {
    smtp::Session::new(smtp::Config::new("h", smtp::Role::Relay, Tls::Unavailable))
}

#[test]
fn a_million_recipients_end_the_session_and_most_of_them_are_not_asked_for() {
    let begin = b"HELO x\r\nMAIL FROM:<>\r\n";
    let (last, replies, _) = flood(relay(), begin, b"RCPT TO:<jane@a.example>\r\n", 1_000_000);
    assert_eq!(last, "421 4.3.2 too many recipients\r\n");
    // greeting, HELO, MAIL, those taken, those over the bound, the end
    assert_eq!(replies, 3 + 1000 + 1001 + 1);
}

#[test]
fn a_line_of_100_megabytes_is_one_mistake() {
    let (last, replies, _) = flood(relay(), b"", &[b'x'; 16 << 10], 6400);
    assert_eq!((last.as_str(), replies), ("220 h ESMTP ready\r\n", 1), "it has not ended");
    let mut session = relay();
    (0..6400).for_each(|_| {
        session.receive(&[b'x'; 16 << 10]);
        while !matches!(session.step(), Step::Wait) {}
    });
    let (last, ..) = flood(session, b"\r\n", b"", 0);
    assert_eq!(last, "500 5.5.2 the line is too long\r\n");
}

#[test]
fn commands_that_bring_no_mail_end_the_session() {
    for idle in [&b"NOOP\r\n"[..], b"RSET\r\n", b"EHLO x\r\n", b"VRFY x\r\n", b"MAIL FROM:<>\r\nRSET\r\n"] {
        let (last, replies, _) = flood(relay(), b"HELO x\r\n", idle, 10_000);
        assert_eq!(last, "421 4.3.2 too many commands without a message\r\n", "{}", idle.escape_ascii());
        assert!(replies < 110, "{replies}");
    }
    let bdat = b"HELO x\r\nMAIL FROM:<>\r\nRCPT TO:<jane@a.example>\r\n";
    let (last, ..) = flood(relay(), bdat, b"BDAT 0\r\n", 10_000);
    assert_eq!(last, "421 4.3.2 too many commands without a message\r\n");
}

#[test]
fn who_only_asks_is_heard_the_less_and_is_thrown_out() {
    let mut session = relay();
    session.receive(&b"NOOP\r\n".repeat(12));
    while !matches!(session.step(), Step::Wait) {}
    assert_eq!(session.mistakes(), 0, "a message and a login need so many");
    session.receive(&b"NOOP\r\n".repeat(30));
    while !matches!(session.step(), Step::Wait) {}
    assert_eq!(session.mistakes(), 30);
    let mut session = pop3::Session::new(pop3::Config::new("h", Tls::Offered));
    let mut said = Vec::new();
    let mut say = |session: &mut pop3::Session, count: usize| {
        (0..count).for_each(|_| session.receive(b"CAPA\r\n"));
        loop {
            match session.step() {
                Step::Send(bytes) => said.extend(bytes),
                Step::Close => return true,
                _ => return false,
            }
        }
    };
    assert!(!say(&mut session, 12) && session.mistakes() == 0, "a client may ask a few times");
    assert!(!say(&mut session, 88) && session.mistakes() == 88);
    assert!(say(&mut session, 1));
    let said = String::from_utf8(said).expect("UTF-8");
    assert!(said.ends_with("-ERR [SYS/TEMP] too many commands without a login\r\n"), "{said}");
}

#[test]
fn a_message_to_as_many_as_are_allowed_is_taken() {
    let recipients = b"RCPT TO:<jane@a.example>\r\n".repeat(1000);
    let begin = [b"EHLO x\r\nMAIL FROM:<>\r\n".as_slice(), &recipients].concat();
    let (last, ..) = flood(relay(), &begin, b"DATA\r\n", 1);
    assert!(last.starts_with("354 "), "{last}");
    let (last, ..) = flood(relay(), &begin, b"BDAT 3 LAST\r\nx\r\n", 1);
    assert!(last.starts_with("250 2.0.0"), "{last}");
}

#[test]
fn a_large_message_is_held_in_pieces_and_one_over_the_bound_not_at_all() {
    let begin = b"HELO x\r\nMAIL FROM:<>\r\nRCPT TO:<jane@a.example>\r\nDATA\r\n";
    let line = [vec![b'x'; 8190], b"\r\n".to_vec()].concat();
    let (_, _, held) = flood(relay(), begin, &line, 6000);
    assert!((200 << 10..300 << 10).contains(&held), "{held}");
    // 100 MB of DATA, its lines endless
    let (_, _, held) = flood(relay(), begin, &[b'x'; 16 << 10], 6400);
    assert!(held < 300 << 10, "{held}");
}

#[test]
fn random_bytes_never_break_a_session() {
    let mut state = 1_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        u8::try_from(state >> 56).expect("eight bits")
    };
    let words: [&[u8]; 15] = [
        b"EHLO x\r\n",
        b"MAIL FROM:<",
        b"@b.example>\r\n",
        b"RCPT TO:<a",
        b"DATA\r\n",
        b".\r\n",
        b"\r\n",
        b"AUTH PLAIN ",
        b"AUTH SCRAM-SHA-256 biwsbj11c2VyLHI9YWJj\r\n",
        b"Yz1iaXdzLHI9YWJjZGVmLHA9QUE9PQ==\r\n",
        b"AUTH\r\nAUTH LOGIN\r\n",
        b"STARTTLS\r\n",
        b"RSET\r\n",
        b"\n",
        b"\r",
    ];
    for _ in 0..2000 {
        let mut session = smtp::Session::new(smtp::Config::new("h", smtp::Role::Relay, Tls::Active));
        let mut other = pop3::Session::new(pop3::Config::new("h", Tls::Active));
        for _ in 0..30 {
            let byte = next();
            let piece: Vec<u8> = if byte < 200 {
                words[usize::from(byte) % words.len()].to_vec()
            } else {
                (0..byte % 20).map(|_| next()).collect()
            };
            session.receive(&piece);
            other.receive(&piece);
            let login =
                || sasl::Answer::Keys("x".to_owned(), sasl::scram::Keys::of_nobody(&Secret::new(vec![1]), "x"), "def".to_owned());
            while !matches!(session.step(), Step::Wait | Step::Close) {
                session.answer(if byte.is_multiple_of(2) { smtp::Answer::Accept } else { smtp::Answer::Login(login()) });
            }
            while !matches!(other.step(), Step::Wait | Step::Close) {
                other.answer(if byte.is_multiple_of(2) { pop3::Answer::Deleted } else { pop3::Answer::Login(login()) });
            }
        }
    }
}

#[test]
fn a_mailbox_that_is_open_too_long_is_left_without_a_word_and_nothing_is_deleted() {
    let mut session = pop3::Session::new(pop3::Config::new("h", Tls::Active));
    let talk = |session: &mut pop3::Session, bytes: &[u8]| {
        session.receive(bytes);
        let mut said = String::new();
        loop {
            match session.step() {
                Step::Send(bytes) => said.push_str(&String::from_utf8(bytes).expect("UTF-8")),
                Step::Ask(pop3::Question::Authenticate(_)) => {
                    session.answer(pop3::Answer::Login(sasl::Answer::User("jane@a.example".to_owned())));
                }
                Step::Ask(pop3::Question::Open { .. }) => session.answer(pop3::Answer::Opened(vec![listing("7:100")])),
                Step::Ask(other) => panic!("{other:?}"),
                Step::Wait => return said,
                Step::StartTls | Step::Close => return said + "(CLOSE)",
            }
        }
    };
    let said = talk(&mut session, b"USER jane@a.example\r\nPASS x\r\nDELE 1\r\n");
    assert!(said.ends_with("+OK will be deleted at QUIT\r\n"), "{said}");
    session.expire();
    // RFC 1939 3: no response, and no UPDATE state
    assert_eq!(talk(&mut session, b""), "(CLOSE)");
}

/// A session whose service refuses recipients that begin with an n, and for now those that begin with `later`; gives its replies.
fn with_refusals(said: &str) -> Vec<String> {
    let mut session = relay();
    let mut replies = Vec::new();
    for line in said.split_inclusive('\n') {
        session.receive(line.as_bytes());
        loop {
            match session.step() {
                Step::Send(bytes) => replies.push(String::from_utf8(bytes).expect("UTF-8")),
                Step::Ask(smtp::Question::Recipient(_, to)) if to.address.starts_with('n') => {
                    session.answer(smtp::Answer::Reject(550, "5.1.1".into(), "no such user".to_owned()));
                }
                Step::Ask(smtp::Question::Recipient(_, to)) if to.address.starts_with("later") => {
                    session.answer(smtp::Answer::Reject(450, "4.2.0".into(), "come again".to_owned()));
                }
                Step::Ask(_) => session.answer(smtp::Answer::Accept),
                Step::Wait | Step::StartTls => break,
                Step::Close => return replies,
            }
        }
    }
    replies
}

#[test]
fn a_list_with_members_who_are_gone_is_taken_and_who_guesses_names_is_thrown_out() {
    let recipients: String = (0..300).map(|at| format!("RCPT TO:<m{at}@a.example>\r\nRCPT TO:<n{at}@a.example>\r\n")).collect();
    let replies = with_refusals(&format!("EHLO x\r\nMAIL FROM:<>\r\n{recipients}DATA\r\nx\r\n.\r\n"));
    assert_eq!(replies.iter().filter(|reply| reply.starts_with("550 5.1.1")).count(), 300);
    assert!(replies.last().is_some_and(|reply| reply.starts_with("250 2.0.0")), "{:?}", replies.last());
    let guesses: String = (0..300).map(|at| format!("RCPT TO:<n{at}@a.example>\r\n")).collect();
    let replies = with_refusals(&format!("EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<m@a.example>\r\n{guesses}"));
    assert_eq!(replies.last().map(String::as_str), Some("421 4.3.2 too many mistakes\r\n"));
    assert_eq!(
        replies.iter().filter(|reply| reply.starts_with("550 5.1.1")).count(),
        21,
        "one for each that is there, and twenty more"
    );
}

#[test]
fn a_message_that_is_taken_makes_mistakes_good() {
    let wrong = "WRONG\r\n".repeat(15);
    let message = "MAIL FROM:<>\r\nRCPT TO:<m@a.example>\r\nDATA\r\nx\r\n.\r\n";
    let begin = format!("EHLO x\r\n{wrong}");
    let good = with_refusals(&format!("{begin}{message}{wrong}NOOP\r\n"));
    assert_eq!(good.last().map(String::as_str), Some("250 2.0.0 ok\r\n"));
    let bad = with_refusals(&format!("{begin}{wrong}"));
    assert_eq!(bad.last().map(String::as_str), Some("421 4.3.2 too many mistakes\r\n"));
}
