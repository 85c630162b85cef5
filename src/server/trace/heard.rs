//! What a conversation comes to: logins, messages that were accepted, what was refused. It is heard from what is said.

use crate::proto::sasl::Mechanism;
use crate::proto::{Party, Spoken};
use crate::server::metrics::{Login, Metrics};
use crate::server::trace::Level;

/// What one conversation waits to hear.
#[derive(Debug, Default)]
pub(in crate::server::trace) struct Heard {
    awaited: Awaited,
    /// The sender of the message that is coming, as it was given.
    sender: String,
}

#[derive(Debug, Default)]
enum Awaited {
    #[default]
    Nothing,
    /// Whether a login was good, by this mechanism.
    Login(&'static str),
    /// Whether a message of so many bytes was taken.
    Message(u64),
}

/// A reply, as far as it is counted.
struct Reply<'a> {
    code: &'a str,
    /// `5.7.1`, or nothing.
    status: &'a str,
}

impl Heard {
    /// Hears a line, and counts what it comes to. Gives what the log is told.
    pub(in crate::server::trace) fn hear(
        &mut self,
        service: &'static str,
        spoken: &Spoken,
        metrics: &Metrics,
    ) -> Option<(Level, String)> {
        match (service, spoken.by) {
            // what becomes of mail that goes out is said by the queue
            ("delivery", _) => None,
            (_, Party::Client) => {
                self.command(&spoken.text);
                None
            }
            ("pop3" | "pop3s", Party::Server) => self.pop3(service, &spoken.text, metrics),
            (_, Party::Server) => self.smtp(service, &spoken.text, metrics),
        }
    }

    fn command(&mut self, line: &str) {
        let mut words = line.split(' ');
        let verb = words.next().unwrap_or_default();
        if verb.eq_ignore_ascii_case("AUTH") {
            let mechanism = words.next().and_then(Mechanism::parse).map_or("unknown", Mechanism::name);
            self.awaited = Awaited::Login(mechanism);
        } else if verb.eq_ignore_ascii_case("PASS") {
            self.awaited = Awaited::Login("USER");
        } else if verb.eq_ignore_ascii_case("MAIL") {
            let path = line.split_once('<').and_then(|(_, rest)| rest.split_once('>')).map_or("", |(path, _)| path);
            self.sender = path.to_owned();
        } else if let Some(size) = line.strip_prefix("(a message of ").and_then(|rest| rest.strip_suffix(" bytes)")) {
            self.awaited = Awaited::Message(size.parse().unwrap_or_default());
        }
    }

    fn smtp(&mut self, service: &'static str, line: &str, metrics: &Metrics) -> Option<(Level, String)> {
        let reply = Reply::parse(line)?;
        match (&self.awaited, reply.code.as_bytes().first()) {
            // the exchange goes on
            (Awaited::Login(_), Some(b'3')) => return None,
            (Awaited::Login(mechanism), Some(first)) => {
                // RFC 4954 4.2, 6
                let login = match (first, reply.code) {
                    (b'2', _) => Login::Good,
                    (_, "535") => Login::Bad,
                    _ => Login::Other,
                };
                metrics.login(service, mechanism, login);
                let told = told(login, mechanism, line);
                self.awaited = Awaited::Nothing;
                return Some(told);
            }
            (Awaited::Message(size), Some(first)) => {
                let told = match first {
                    b'2' => {
                        metrics.accepted(service, *size);
                        (Level::Info, format!("accepted a message of {size} bytes from <{}>", self.sender))
                    }
                    _ => {
                        metrics.refused(service, reply.code, reply.status);
                        (Level::Info, format!("refused a message of {size} bytes from <{}>: {line}", self.sender))
                    }
                };
                self.awaited = Awaited::Nothing;
                return Some(told);
            }
            (Awaited::Nothing, Some(b'4' | b'5')) => {
                metrics.refused(service, reply.code, reply.status);
                return Some((Level::Info, format!("refused: {line}")));
            }
            _ => {}
        }
        None
    }

    fn pop3(&mut self, service: &'static str, line: &str, metrics: &Metrics) -> Option<(Level, String)> {
        let Awaited::Login(mechanism) = self.awaited else { return None };
        let is_good = line.starts_with("+OK");
        // `+ …`: the exchange goes on
        if !is_good && !line.starts_with("-ERR") {
            return None;
        }
        self.awaited = Awaited::Nothing;
        // RFC 2449 8.1.1: the mailbox is in use, it is too soon, the server failed: who logs in may be the right one
        let is_other = ["[IN-USE]", "[LOGIN-DELAY]", "[SYS/"].iter().any(|code| line.contains(code));
        let login = match (is_good, is_other) {
            (true, _) => Login::Good,
            (false, true) => Login::Other,
            (false, false) => Login::Bad,
        };
        metrics.login(service, mechanism, login);
        Some(told(login, mechanism, line))
    }
}

/// What the log is told of a login.
fn told(login: Login, mechanism: &str, line: &str) -> (Level, String) {
    match login {
        Login::Good => (Level::Info, format!("login by {mechanism}")),
        Login::Bad => (Level::Warning, format!("login by {mechanism} refused: {line}")),
        Login::Other => (Level::Info, format!("login by {mechanism} not looked at: {line}")),
    }
}

impl<'a> Reply<'a> {
    /// The last line of a reply (RFC 5321 4.2.1), with its enhanced status code (RFC 2034 4) where it has one.
    fn parse(line: &'a str) -> Option<Self> {
        let (code, rest) = line.split_at_checked(3)?;
        let is_code = code.bytes().all(|byte| byte.is_ascii_digit());
        let rest = rest.strip_prefix(' ').or(Some(rest).filter(|rest| rest.is_empty()));
        let status = rest?.split(' ').next().unwrap_or_default();
        let mut parts = status.split('.');
        let is_number = |part: Option<&str>| {
            part.is_some_and(|part| (1..=3).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit()))
        };
        let is_status = is_number(parts.next()) && is_number(parts.next()) && is_number(parts.next()) && parts.next().is_none();
        is_code.then_some(Self { code, status: if is_status { status } else { "" } })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is told of a conversation, and its metrics.
    fn told(service: &'static str, lines: &[(Party, &str)]) -> (Vec<String>, String) {
        let (mut heard, metrics) = (Heard::default(), Metrics::default());
        let hear = |(by, text): &(Party, &str)| {
            heard.hear(service, &Spoken { by: *by, text: (*text).to_owned() }, &metrics).map(|(_, text)| text)
        };
        (lines.iter().filter_map(hear).collect(), metrics.to_text())
    }

    #[test]
    fn refusals_are_counted_by_their_reason() {
        let (told, text) = told(
            "smtp",
            &[
                (Party::Server, "250-mail.a.example"),
                (Party::Server, "250 PIPELINING"),
                (Party::Client, "MAIL FROM:<x@b.example> SIZE=7"),
                (Party::Client, "RCPT TO:<y@c.example>"),
                (Party::Server, "250 2.1.0 go on"),
                (Party::Server, "550 5.7.1 no mail is relayed here"),
                (Party::Server, "354 go on"),
                (Party::Client, "(a message of 900 bytes)"),
                (Party::Server, "452 4.3.1 the disk is full"),
                (Party::Server, "500 what"),
            ],
        );
        assert_eq!(
            told,
            [
                "refused: 550 5.7.1 no mail is relayed here",
                "refused a message of 900 bytes from <x@b.example>: 452 4.3.1 the disk is full",
                "refused: 500 what"
            ]
        );
        for line in [
            r#"sealpost_refusals_total{service="smtp",code="550",status="5.7.1"} 1"#,
            r#"sealpost_refusals_total{service="smtp",code="452",status="4.3.1"} 1"#,
            r#"sealpost_refusals_total{service="smtp",code="500",status=""} 1"#,
            r#"sealpost_messages_accepted_total{service="smtp"} 0"#,
        ] {
            assert!(text.lines().any(|known| known == line), "{line}: {text}");
        }
    }

    #[test]
    fn logins_are_counted_by_their_mechanism_and_a_busy_mailbox_is_no_bad_one() {
        let (_, text) = told(
            "submission",
            &[
                (Party::Client, "AUTH SCRAM-SHA-256 (secret)"),
                (Party::Server, "334 (secret)"),
                (Party::Client, "(secret)"),
                (Party::Server, "235 2.7.0 welcome"),
                (Party::Client, "AUTH EVIL\u{fffd}NAME (secret)"),
                (Party::Server, "504 5.5.4 not known"),
            ],
        );
        assert!(
            text.contains(r#"sealpost_logins_total{service="submission",mechanism="SCRAM-SHA-256",result="good"} 1"#),
            "{text}"
        );
        assert!(text.contains(r#"sealpost_logins_total{service="submission",mechanism="unknown",result="refused"} 1"#), "{text}");
        let (told, text) = told(
            "pop3",
            &[
                (Party::Client, "USER jane"),
                (Party::Server, "+OK go on"),
                (Party::Client, "PASS (secret)"),
                (Party::Server, "-ERR [IN-USE] another session has the mailbox"),
                (Party::Client, "PASS (secret)"),
                (Party::Server, "-ERR [AUTH] name or password are wrong"),
                (Party::Client, "AUTH PLAIN"),
                (Party::Server, "+ "),
                (Party::Server, "+OK 3 messages"),
                (Party::Server, "-ERR no such message"),
            ],
        );
        assert_eq!(told.len(), 3, "{told:?}");
        assert!(text.contains(r#"sealpost_logins_total{service="pop3",mechanism="USER",result="bad"} 1"#), "{text}");
        assert!(text.contains(r#"sealpost_logins_total{service="pop3",mechanism="PLAIN",result="good"} 1"#), "{text}");
        assert!(!text.contains(r#"mechanism="USER",result="good""#), "{text}");
    }
}
