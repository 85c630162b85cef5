//! A client against our server and against scripts.

use super::*;
use crate::proto::smtp::{Answer, Config, Question, Role, Session};
use crate::proto::{Step, Tls};
use crate::secret::Secret;

/// Lets a client and our server talk, with every byte on its own; gives the outcomes and the message that arrived.
fn talk(mut client: Client, mut server: Session, refuse: &str) -> (Vec<(String, Outcome)>, Option<Vec<u8>>) {
    let mut arrived = None;
    loop {
        loop {
            match server.step() {
                Step::Send(bytes) => bytes.iter().for_each(|byte| client.receive(&[*byte])),
                Step::Ask(Question::Recipient(_, recipient)) if recipient.address == refuse => {
                    server.answer(Answer::Reject(550, "5.1.1".into(), "no such user".to_owned()));
                }
                Step::Ask(Question::Message(_, message)) => {
                    arrived = Some(message.rest);
                    server.answer(Answer::Accept);
                }
                Step::Ask(_) => server.answer(Answer::Accept),
                Step::StartTls | Step::Wait | Step::Close => break,
            }
        }
        match client.step() {
            ClientStep::Send(bytes) => bytes.iter().for_each(|byte| server.receive(&[*byte])),
            ClientStep::Read(at) => client.piece(outgoing().piece(at).get(..1).unwrap_or_default()),
            ClientStep::StartTls => {
                server.tls_started();
                client.tls_started();
            }
            ClientStep::Wait => client.disconnected("nothing more is said"),
            ClientStep::Done(outcomes) => return (outcomes, arrived),
        }
    }
}

fn outgoing() -> Outgoing {
    let recipients = vec!["joe@b.example".to_owned(), "nobody@b.example".to_owned()];
    Outgoing::new("jane@a.example".to_owned(), recipients, b"Subject: x\r\n\r\n.dot\r\n".as_slice().into())
}

#[test]
fn each_recipient_has_its_outcome_and_the_message_arrives_as_it_was() {
    let client = Client::new("a.example", TlsWish::Opportunistic, None, outgoing().announced());
    let server = Session::new(Config::new("b.example", Role::Relay, Tls::Offered));
    let (outcomes, arrived) = talk(client, server, "nobody@b.example");
    assert!(matches!(outcomes.as_slice(), [(_, Outcome::Delivered(_)), (_, Outcome::Permanent(_))]), "{outcomes:?}");
    assert_eq!(arrived.as_deref(), Some(&b"Subject: x\r\n\r\n.dot\r\n"[..]));
}

#[test]
fn a_password_is_never_sent_without_tls() {
    let credentials = Credentials { user: "jane".to_owned(), password: Secret::new(b"secret".to_vec()) };
    let client = Client::new("a.example", TlsWish::Opportunistic, Some(credentials), outgoing().announced());
    let server = Session::new(Config::new("b.example", Role::Relay, Tls::Unavailable));
    let (outcomes, arrived) = talk(client, server, "");
    assert!(outcomes.iter().all(|(_, outcome)| matches!(outcome, Outcome::Temporary(why) if why.contains("under TLS only"))));
    assert_eq!(arrived, None);
}

#[test]
fn a_login_that_is_refused_for_good_is_told_and_one_that_fails_now_is_not() {
    for (reply, told) in [("535 5.7.8 wrong", Some("535 5.7.8 wrong")), ("454 4.7.0 not now", None)] {
        let credentials = Credentials { user: "jane".to_owned(), password: Secret::new(b"secret".to_vec()) };
        let mut client = Client::new("a.example", TlsWish::Active, Some(credentials), outgoing().announced());
        client.receive(format!("220 b.example\r\n250-b.example\r\n250 AUTH PLAIN\r\n{reply}\r\n").as_bytes());
        let outcomes = loop {
            if let ClientStep::Done(outcomes) = client.step() {
                break outcomes;
            }
        };
        assert_eq!(client.refused_login(), told);
        assert!(outcomes.iter().all(|(_, outcome)| *outcome == Outcome::Temporary(reply.to_owned())), "mail waits: {outcomes:?}");
    }
}

#[test]
fn a_server_that_speaks_before_tls_is_left() {
    let mut client = Client::new("a.example", TlsWish::Required, None, outgoing().announced());
    client.receive(b"220 b.example\r\n250-b.example\r\n250 STARTTLS\r\n220 go\r\n250 injected\r\n");
    let outcomes = loop {
        if let ClientStep::Done(outcomes) = client.step() {
            break outcomes;
        }
    };
    assert!(outcomes.iter().all(|(_, outcome)| matches!(outcome, Outcome::Temporary(_))), "{outcomes:?}");
}

/// What the client says to these replies, one for each time that it waits; and the outcomes.
fn script(mut client: Client, replies: &[&str]) -> (String, Vec<(String, Outcome)>, Client) {
    let (mut said, mut replies) = (String::new(), replies.iter());
    loop {
        match client.step() {
            ClientStep::Send(bytes) => said.push_str(&String::from_utf8_lossy(&bytes)),
            ClientStep::Read(at) => client.piece(outgoing().piece(at).get(..1).unwrap_or_default()),
            ClientStep::StartTls => client.tls_started(),
            ClientStep::Wait => match replies.next() {
                Some(reply) => client.receive(reply.as_bytes()),
                None => client.disconnected("nothing more is said"),
            },
            ClientStep::Done(outcomes) => return (said, outcomes, client),
        }
    }
}

fn client(outgoing: &Outgoing) -> Client {
    Client::new("a.example", TlsWish::Without, None, outgoing.announced())
}

#[test]
fn recipients_are_asked_for_at_once_and_each_refusal_is_its_own() {
    let ehlo = "250-b\r\n250-PIPELINING\r\n250 DSN\r\n";
    let mut letter = outgoing();
    letter.recipients[0].notify = "SUCCESS,DELAY".to_owned();
    letter.recipients[0].original = "rfc822;joe@b.example".to_owned();
    letter.terms = Terms { ret: "HDRS".to_owned(), envid: "QQ314159".to_owned(), ..Terms::default() };
    let replies = ["220 b\r\n", ehlo, "250 ok\r\n550 5.1.1 no joe\r\n250 ok\r\n", "354 go\r\n", "250 2.0.0 taken\r\n"];
    let (said, outcomes, _) = script(client(&letter), &replies);
    let wanted = "EHLO a.example\r\nMAIL FROM:<jane@a.example> RET=HDRS ENVID=QQ314159\r\n\
                  RCPT TO:<joe@b.example> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;joe@b.example\r\nRCPT TO:<nobody@b.example>\r\nDATA\r\n";
    assert!(said.starts_with(wanted), "{said}");
    let outcomes: Vec<Outcome> = outcomes.into_iter().map(|(_, outcome)| outcome).collect();
    assert_eq!(outcomes, [Outcome::Permanent("550 5.1.1 no joe".to_owned()), Outcome::Delivered("250 2.0.0 taken".to_owned())]);
}

#[test]
fn a_refused_sender_is_followed_to_the_last_reply_and_the_connection_stays() {
    let ehlo = "250-b\r\n250 PIPELINING\r\n";
    let refused = "550 5.7.1 not you\r\n503 no sender\r\n503 no sender\r\n";
    let replies = ["220 b\r\n", ehlo, refused, "250 reset\r\n"];
    let (_, outcomes, mut kept) = script(client(&outgoing()).afterwards(Afterwards::Keep), &replies);
    assert!(outcomes.iter().all(|(_, outcome)| *outcome == Outcome::Permanent("550 5.7.1 not you".to_owned())), "{outcomes:?}");
    assert!(kept.is_idle() && kept.has_answered());
    kept.again(outgoing().announced());
    let (said, outcomes, mut kept) = script(kept, &["250 ok\r\n250 ok\r\n250 ok\r\n", "354 go\r\n", "250 taken\r\n"]);
    assert!(said.starts_with("MAIL FROM:") && outcomes.iter().all(|(_, outcome)| matches!(outcome, Outcome::Delivered(_))));
    kept.again(outgoing().announced());
    let (_, outcomes, kept) = script(kept, &["421 4.4.2 too long\r\n"]);
    assert!(!kept.has_answered() && !kept.is_idle());
    assert!(outcomes.iter().all(|(_, outcome)| *outcome == Outcome::Temporary("421 4.4.2 too long".to_owned())));
}

#[test]
fn who_is_one_too_many_is_in_the_next_transaction() {
    for (ehlo, replies) in [
        ("250-b\r\n250 LIMITS RCPTMAX=1\r\n", &["250 ok\r\n", "250 ok\r\n"][..]),
        ("250 b\r\n", &["250 ok\r\n", "250 ok\r\n", "452 4.5.3 too many\r\n"]),
    ] {
        let all = [
            &["220 b\r\n", ehlo],
            replies,
            &["354 go\r\n", "250 one\r\n"],
            &["250 ok\r\n", "250 ok\r\n", "354 go\r\n", "250 two\r\n"],
        ];
        let (said, outcomes, _) = script(client(&outgoing()), &all.concat());
        assert_eq!(said.matches("DATA\r\n").count(), 2, "{said}");
        let replies: Vec<Outcome> = outcomes.into_iter().map(|(_, outcome)| outcome).collect();
        assert_eq!(replies, [Outcome::Delivered("250 one".to_owned()), Outcome::Delivered("250 two".to_owned())]);
    }
}

#[test]
fn what_the_server_does_not_offer_and_the_message_needs_is_final() {
    let with = |terms: Terms| Outgoing { terms, ..outgoing() };
    let required = Terms { tls: RequireTls::Yes, ..Terms::default() };
    let binary = Terms { body: Body::Binary, ..Terms::default() };
    for (letter, ehlo, why) in [
        (with(required), "250-b\r\n250 REQUIRETLS\r\n", "5.7.30"),
        (with(binary.clone()), "250-b\r\n250 CHUNKING\r\n", "5.6.3"),
        (outgoing(), "250-b\r\n250 SIZE 5\r\n", "5.3.4"),
    ] {
        let (said, outcomes, _) = script(client(&letter), &["220 b\r\n", ehlo]);
        assert!(!said.contains("MAIL"), "{said}");
        assert!(
            outcomes.iter().all(|(_, o)| matches!(o, Outcome::Permanent(text) if text.starts_with(why))),
            "{why}: {outcomes:?}"
        );
    }
    let replies =
        ["220 b\r\n", "250-b\r\n250-BINARYMIME\r\n250 CHUNKING\r\n", "250 ok\r\n", "250 ok\r\n", "250 ok\r\n", "250 taken\r\n"];
    let (said, _, _) = script(client(&with(binary)), &replies);
    assert!(said.contains("BODY=BINARYMIME\r\n") && said.contains("BDAT 20 LAST\r\nSubject: x\r\n\r\n.dot\r\nQUIT"), "{said}");
}

#[test]
fn a_server_that_does_not_let_us_in_refuses_nobody() {
    let credentials = || Some(Credentials { user: "jane".to_owned(), password: Secret::new(b"secret".to_vec()) });
    let begin = |credentials| Client::new("a.example", TlsWish::Active, credentials, outgoing().announced());
    for (credentials, replies) in [
        (None, &["554 go away\r\n"][..]),
        (None, &["220 b\r\n", "550 no\r\n", "550 no\r\n"]),
        (credentials(), &["220 b\r\n", "250-b\r\n250 AUTH PLAIN\r\n", "535 5.7.8 no\r\n"]),
    ] {
        let (_, outcomes, client) = script(begin(credentials), replies);
        assert!(outcomes.iter().all(|(_, outcome)| matches!(outcome, Outcome::Temporary(_))), "{outcomes:?}");
        assert!(!client.has_answered());
    }
    let replies = ["220 b\r\n", "250-b\r\n250 AUTH LOGIN\r\n", "334 VXNlcm5hbWU6\r\n", "334 UGFzc3dvcmQ6\r\n", "235 in\r\n"];
    let (said, _, mut client) = script(begin(credentials()), &replies);
    assert!(said.contains("AUTH LOGIN\r\namFuZQ==\r\nc2VjcmV0\r\nMAIL FROM"), "{said}");
    assert!(!client.spoken().iter().any(|line| line.text.contains("c2VjcmV0")));
}

#[test]
fn a_server_that_is_ourselves_gets_nothing() {
    let letter = client(&outgoing()).refusing_itself();
    let (said, outcomes, _) = script(letter, &["220 A.example\r\n", "250-A.example hello\r\n250 DSN\r\n"]);
    assert!(!said.contains("MAIL"), "{said}");
    assert!(outcomes.iter().all(|(_, o)| matches!(o, Outcome::Permanent(why) if why.starts_with("5.4.6"))), "{outcomes:?}");
}

#[test]
fn of_a_reply_of_many_long_lines_no_more_is_kept_than_of_one() {
    let long = format!("{}550 no\r\n", format!("550-{}\r\n", "é".repeat(2000)).repeat(199));
    let (_, outcomes, _) = script(client(&outgoing()), &["220 b.example\r\n", "250 b.example\r\n", "250 ok\r\n", &long, &long]);
    let told = |outcome: &Outcome| matches!(outcome, Outcome::Permanent(why) if (4000..=4096).contains(&why.len()));
    assert!(outcomes.len() == 2 && outcomes.iter().all(|(_, outcome)| told(outcome)));
    let endless = "550-no\r\n".repeat(300);
    let (_, outcomes, _) = script(client(&outgoing()), &["220 b.example\r\n", &endless]);
    assert!(outcomes.iter().all(|(_, outcome)| matches!(outcome, Outcome::Temporary(why) if why.contains("endless"))));
}
