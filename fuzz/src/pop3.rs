//! A POP3 session says the same whether its lines come whole or byte by byte; a message is deleted only where it was marked, once, and at the end.

use std::collections::BTreeSet;

use sealpost::proto::pop3::{Answer, Config, Listing, Question, Session, Uid};
use sealpost::proto::{Step, Tls, sasl};

use super::pieces::by_lines;

/// Takes the bytes as all that a client says.
pub fn run(bytes: &[u8]) {
    for tls in [Tls::Active, Tls::Offered] {
        let lines = talk(by_lines(bytes), tls);
        assert_eq!(lines, talk(bytes.chunks(1), tls), "byte by byte");
        talk(std::iter::once(bytes), tls);
    }
}

const MESSAGES: [&[u8]; 3] = [b"Subject: a\r\n\r\n.\r\n..b\r\n", b"\r\n", "From: caf\u{e9}\r\n\r\nno end".as_bytes()];

fn talk<'a>(said: impl Iterator<Item = &'a [u8]>, tls: Tls) -> String {
    let mut session = Session::new(Config::new("mail.a.example", tls));
    let (mut out, mut open, mut rest, mut is_over) = (String::new(), None, Vec::new(), false);
    for piece in std::iter::once(&b""[..]).chain(said) {
        session.receive(piece);
        loop {
            match session.step() {
                Step::Send(bytes) => {
                    let text = String::from_utf8(bytes).expect("replies are text");
                    out.push_str(&text);
                }
                Step::StartTls => {
                    assert_eq!(open, None, "nobody is in before TLS");
                    out.push_str("(TLS)\r\n");
                    session.tls_started();
                }
                Step::Ask(question) => {
                    assert!(!is_over, "nothing is asked after the deletions");
                    session.answer(answer(question, &mut open, &mut rest, &mut is_over));
                }
                Step::Wait => break,
                Step::Close => return whole(out),
            }
        }
    }
    whole(out)
}

fn answer(question: Question, open: &mut Option<String>, rest: &mut Vec<u8>, is_over: &mut bool) -> Answer {
    match question {
        Question::Authenticate(question) if question.name().starts_with('n') => Answer::Login(sasl::Answer::No),
        Question::Authenticate(question) => Answer::Login(sasl::Answer::User(question.name().to_owned())),
        Question::Open { user, .. } if user.starts_with('b') => {
            Answer::Rejected("IN-USE", "another session has the mailbox".to_owned())
        }
        Question::Open { user, .. } => {
            assert_eq!(open.replace(user), None, "one mailbox is open");
            let size = |message: &[u8]| u64::try_from(message.len()).expect("small");
            Answer::Opened((1..).zip(MESSAGES).map(|(uid, message)| Listing { uid: Uid(uid), size: size(message) }).collect())
        }
        Question::Retrieve(Uid(uid)) => {
            assert!(open.is_some());
            // in two pieces, as large ones come
            let message = MESSAGES[usize::try_from(uid - 1).expect("of those listed")];
            let (first, second) = message.split_at(message.len() / 2);
            *rest = second.to_vec();
            Answer::Message(u64::try_from(message.len()).expect("small"), first.to_vec())
        }
        Question::More => Answer::More(std::mem::take(rest)),
        Question::Delete(uids) => {
            *is_over = true;
            let each: BTreeSet<_> = uids.iter().collect();
            assert!(open.is_some() && each.len() == uids.len() && uids.iter().all(|uid| (1..=3).contains(&uid.0)), "{uids:?}");
            Answer::Deleted
        }
    }
}

/// All that was said ends in whole lines.
fn whole(out: String) -> String {
    assert!(out.ends_with("\r\n") && !out.replace("\r\n", "").contains(['\r', '\n']), "{out:?}");
    out
}
