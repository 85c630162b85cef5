//! Clients of SMTP and POP3 do the same whatever the pieces of a server's replies; no password goes without TLS, and each recipient has one outcome.

use sealpost::proto::pop3::client as pop3;
use sealpost::proto::sasl::Credentials;
use sealpost::proto::smtp::client::{Client, ClientStep, Outcome, Outgoing, TlsWish};
use sealpost::secret::Secret;

use super::pieces::by_lines;

/// Takes the bytes as all that a server says.
pub fn run(bytes: &[u8]) {
    for tls in [TlsWish::Active, TlsWish::Opportunistic, TlsWish::Required, TlsWish::Without] {
        assert_eq!(smtp(by_lines(bytes), tls), smtp(bytes.chunks(1), tls), "byte by byte");
        smtp(std::iter::once(bytes), tls);
    }
    for secure in [pop3::Secure::Already, pop3::Secure::NotYet] {
        assert_eq!(fetch(by_lines(bytes), secure), fetch(bytes.chunks(1), secure), "byte by byte");
        drop(fetch(std::iter::once(bytes), secure));
    }
}

fn credentials() -> Credentials {
    Credentials { user: "jane".to_owned(), password: Secret::new(b"pencil".to_vec()) }
}

/// Nothing that says the password is sent before TLS.
fn watch(said: &[u8], is_secure: bool) {
    let text = String::from_utf8_lossy(said);
    assert!(is_secure || !(text.contains("AUTH") || text.contains("PASS") || text.contains("pencil")), "{text:?}");
}

fn smtp<'a>(said: impl Iterator<Item = &'a [u8]>, tls: TlsWish) -> (Vec<u8>, Vec<(String, Outcome)>) {
    let recipients = vec!["bob@b.example".to_owned(), "carol@b.example".to_owned()];
    let outgoing = Outgoing::new("jane@a.example".to_owned(), recipients, b"Subject: x\r\n\r\n.dot\r\n".as_slice().into());
    let mut client = Client::new("mail.a.example", tls, Some(credentials()), outgoing.announced()).nonce("abc");
    let (mut out, mut is_secure) = (Vec::new(), tls == TlsWish::Active);
    for piece in std::iter::once(&b""[..]).chain(said) {
        client.receive(piece);
        loop {
            match client.step() {
                ClientStep::Send(bytes) => {
                    watch(&bytes, is_secure);
                    out.extend(bytes);
                }
                ClientStep::Read(at) => client.piece(outgoing.piece(at)),
                ClientStep::StartTls => {
                    is_secure = true;
                    client.tls_started();
                }
                ClientStep::Wait => break,
                ClientStep::Done(outcomes) => return (out, judged(outcomes)),
            }
        }
    }
    client.disconnected("it is gone");
    loop {
        match client.step() {
            ClientStep::Done(outcomes) => return (out, judged(outcomes)),
            ClientStep::Send(_) => {}
            step => panic!("it is gone, and {step:?}"),
        }
    }
}

fn judged(outcomes: Vec<(String, Outcome)>) -> Vec<(String, Outcome)> {
    let names: Vec<&str> = outcomes.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["bob@b.example", "carol@b.example"]);
    outcomes
}

/// What is sent, the messages that come, and how it ends.
type Fetched = (Vec<u8>, Vec<Vec<u8>>, Result<(), pop3::Error>);

fn fetch<'a>(said: impl Iterator<Item = &'a [u8]>, secure: pop3::Secure) -> Fetched {
    let mut client = pop3::Client::new(credentials(), secure, 4096).nonce("abc");
    let (mut out, mut messages, mut is_secure) = (Vec::new(), Vec::new(), secure == pop3::Secure::Already);
    let mut pieces = std::iter::once(&b""[..]).chain(said);
    loop {
        match client.step() {
            pop3::ClientStep::Send(bytes) => {
                watch(&bytes, is_secure);
                out.extend(bytes);
            }
            pop3::ClientStep::StartTls => {
                is_secure = true;
                client.tls_started();
            }
            pop3::ClientStep::Wait => match pieces.next() {
                Some(piece) => client.receive(piece),
                None => client.disconnected("it is gone"),
            },
            pop3::ClientStep::Choose(names) => {
                assert!(names.len() <= 4096);
                client.choose(|name| match name.len() % 3 {
                    0 => pop3::Wish::Delete,
                    1 => pop3::Wish::Leave,
                    _ => pop3::Wish::Fetch,
                });
            }
            pop3::ClientStep::Message(_, message) => {
                assert!(message.len() <= 4096);
                messages.push(message);
                client.received(pop3::Afterwards::Delete);
            }
            pop3::ClientStep::TooLarge(_) => {}
            pop3::ClientStep::Done(result) => return (out, messages, result),
        }
    }
}
