//! Nobody gets in who does not know the password, whatever the mechanism, over SMTP and over POP3.

use sealpost::proto::sasl::scram::Keys;
use sealpost::proto::{Step, Tls, pop3, sasl, smtp};
use sealpost::secret::Secret;

use super::pieces::choice;

/// Takes the bytes as lines of logins.
pub fn run(bytes: &[u8]) {
    // of no seed, and not to be guessed
    let password = Secret::new(format!("{:016x}{:016x}", choice(bytes), choice(&bytes.repeat(2))).into_bytes());
    let channel = sasl::Channel { exporter: Some(vec![7; 32]), end_point: Some(vec![9; 32]), certificate: None };
    let keys = Keys::derive(&password, b"salt", 4096);
    let answer = |question: &sasl::Question| match question {
        sasl::Question::Password(credentials) if credentials.password.expose() == password.expose() => {
            sasl::Answer::User(credentials.user.clone())
        }
        sasl::Question::Password(_) => sasl::Answer::No,
        sasl::Question::Keys(user) => sasl::Answer::Keys(user.clone(), keys.clone(), "def".to_owned()),
        sasl::Question::Certificate(user) => panic!("no certificate was shown, and {user} is asked for"),
    };
    let config = smtp::Config {
        max_errors: usize::MAX,
        max_idle: usize::MAX,
        ..smtp::Config::new("h", smtp::Role::Submission, Tls::Active)
    };
    let mut session = smtp::Session::new(config);
    session.channel(channel.clone());
    for line in [&b"EHLO x\r\n"[..]].into_iter().chain(bytes.split_inclusive(|byte| *byte == b'\n')) {
        session.receive(line);
        loop {
            match session.step() {
                Step::Ask(smtp::Question::Authenticate(question)) => session.answer(smtp::Answer::Login(answer(&question))),
                Step::Ask(question) => panic!("nobody is in, and {question:?}"),
                Step::Send(_) => {}
                Step::StartTls | Step::Wait | Step::Close => break,
            }
        }
        assert_eq!(session.user(), None);
    }
    let mut session =
        pop3::Session::new(pop3::Config { max_errors: usize::MAX, max_idle: usize::MAX, ..pop3::Config::new("h", Tls::Active) });
    session.channel(channel);
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        session.receive(line);
        loop {
            match session.step() {
                Step::Ask(pop3::Question::Authenticate(question)) => session.answer(pop3::Answer::Login(answer(&question))),
                Step::Ask(question) => panic!("nobody is in, and {question:?}"),
                Step::Send(_) => {}
                Step::StartTls | Step::Wait | Step::Close => break,
            }
        }
    }
}
