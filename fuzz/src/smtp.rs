//! An SMTP session says the same whether its lines come whole or byte by byte; what it hands on has one end, and replies are replies.

use sealpost::proto::smtp::{Answer, Body, Config, Question, Role, Session};
use sealpost::proto::{Step, Tls, sasl};

use super::pieces::by_lines;

/// Takes the bytes as all that a client says: to the port for servers, and to that for users.
pub fn run(bytes: &[u8]) {
    for (role, tls) in [(Role::Relay, Tls::Offered), (Role::Submission, Tls::Active)] {
        let lines = talk(by_lines(bytes), role, tls);
        assert_eq!(lines, talk(bytes.chunks(1), role, tls), "byte by byte");
        // what comes together may be refused for that; it is judged by itself
        talk(std::iter::once(bytes), role, tls);
    }
}

/// What is said, and the messages that are handed on.
fn talk<'a>(said: impl Iterator<Item = &'a [u8]>, role: Role, tls: Tls) -> (String, Vec<Vec<u8>>) {
    let mut session = Session::new(Config { hold: 64, max_size: 4096, ..Config::new("mail.a.example", role, tls) });
    let (mut out, mut messages, mut kept) = (String::new(), Vec::new(), Vec::new());
    let mut longest = 0;
    for piece in std::iter::once(&b""[..]).chain(said) {
        session.receive(piece);
        loop {
            match session.step() {
                Step::Send(bytes) => {
                    let text = String::from_utf8(bytes).expect("replies are text");
                    replies(&text);
                    out.push_str(&text);
                }
                Step::StartTls => {
                    out.push_str("(TLS)\r\n");
                    session.tls_started();
                }
                Step::Ask(question) => {
                    let mut answer = answer(&question);
                    match question {
                        Question::Piece(piece) => {
                            if piece.at == 0 {
                                kept.clear();
                            }
                            assert_eq!(u64::try_from(kept.len()), Ok(piece.at), "pieces follow one another");
                            kept.extend(piece.bytes);
                        }
                        Question::Message(envelope, content) => {
                            kept.truncate(usize::try_from(content.spooled).expect("small"));
                            let message = [std::mem::take(&mut kept), content.rest].concat();
                            assert!(!envelope.recipients.is_empty() && message.len() <= 4096);
                            assert!(envelope.terms.body == Body::Binary || is_lines(&message), "{}", message.escape_ascii());
                            // by the message: where it is cut into pieces is not to matter
                            if message.starts_with(b"n") {
                                answer = no();
                            }
                            messages.push(message);
                        }
                        _ => {}
                    }
                    session.answer(answer);
                }
                Step::Wait => break,
                Step::Close => return (out, messages),
            }
        }
        // what a chunk went over the bound by stays until the next one
        longest = longest.max(piece.len());
        assert!(session.held() <= 64 + longest, "{}", session.held());
    }
    (out, messages)
}

/// A service that says yes, and no to what begins with an n.
fn answer(question: &Question) -> Answer {
    match question {
        Question::Authenticate(question) if question.name().starts_with('n') => Answer::Login(sasl::Answer::No),
        Question::Authenticate(question) => Answer::Login(sasl::Answer::User(question.name().to_owned())),
        Question::Recipient(_, to) if to.address.starts_with('n') => no(),
        _ => Answer::Accept,
    }
}

fn no() -> Answer {
    Answer::Reject(550, "5.1.1".into(), "no – \r\n250 yes".to_owned())
}

/// RFC 5321 4.2: a code on each line, printable ASCII, CRLF.
fn replies(text: &str) {
    for line in text.strip_suffix("\r\n").expect("a reply ends in CRLF").split("\r\n") {
        let code = line.as_bytes().get(..3).expect("a code");
        assert!(code.iter().all(u8::is_ascii_digit) && matches!(line.as_bytes().get(3), Some(b' ' | b'-')), "{line:?}");
        assert!(line.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{line:?}");
    }
}

/// Whether CR and LF stand together only, and nothing is a NUL.
fn is_lines(message: &[u8]) -> bool {
    let rest: Vec<u8> = String::from_utf8_lossy(message).replace("\r\n", "").into_bytes();
    !rest.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0))
}
