//! SMTP as a client: one message to one server, with STARTTLS and authentication where they are wanted.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::proto::dialogue::{self, Dialogue, MASK, Party, Spoken, TLS_BEGAN};
use crate::proto::line::{Line, Lines};
use crate::proto::sasl::{self, Channel, ClientExchange, Credentials};

/// Whether TLS is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsWish {
    /// It is active already.
    Active,
    /// Not even where it is offered.
    Without,
    /// Where the server offers it.
    Opportunistic,
    /// Or nothing is sent.
    Required,
}

/// A message that goes out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// The sender; empty for bounces.
    pub sender: String,
    /// The recipients at this server.
    pub recipients: Vec<String>,
    /// The message with CRLF line ends.
    pub message: Arc<[u8]>,
}

/// What became of one recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The server took it over.
    Delivered(String),
    /// Not now: the reply.
    Temporary(String),
    /// Never: the reply.
    Permanent(String),
}

/// What a client wants next.
#[derive(Debug, PartialEq, Eq)]
pub enum ClientStep {
    /// These bytes go to the server.
    Send(Vec<u8>),
    /// TLS begins now, as the client; say so with `tls_started`.
    StartTls,
    /// Nothing to do until the server says more.
    Wait,
    /// It is over; each recipient with what became of it.
    Done(Vec<(String, Outcome)>),
}

/// Which reply is expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Greeting,
    Ehlo,
    Helo,
    StartTls,
    StartingTls,
    Auth,
    Mail,
    /// For this recipient.
    Rcpt(usize),
    Data,
    Body,
    Done,
}

/// A client session.
#[derive(Debug)]
pub struct Client {
    helo: String,
    tls: TlsWish,
    credentials: Option<Credentials>,
    channel: Channel,
    nonce: Option<String>,
    exchange: Option<ClientExchange>,
    outgoing: Outgoing,
    outcomes: Vec<Option<Outcome>>,
    lines: Lines,
    reply: Vec<String>,
    offers: Vec<String>,
    out: VecDeque<ClientStep>,
    state: State,
    dialogue: Dialogue,
}

/// RFC 5321 4.5.3.1.5 has 512 bytes of reply line; servers write longer ones.
const LINE: usize = 4096;
/// Lines of one reply; EHLO gives the most.
const REPLY_LINES: usize = 200;

impl Client {
    /// Begins; the server speaks first.
    pub fn new(helo: &str, tls: TlsWish, credentials: Option<Credentials>, outgoing: Outgoing) -> Self {
        Self {
            helo: helo.to_owned(),
            tls,
            credentials,
            channel: Channel::default(),
            nonce: None,
            exchange: None,
            outcomes: vec![None; outgoing.recipients.len()],
            outgoing,
            lines: Lines::default(),
            reply: Vec::new(),
            offers: Vec::new(),
            out: VecDeque::new(),
            state: State::Greeting,
            dialogue: Dialogue::default(),
        }
    }

    /// Lets SCRAM be chosen where the server has it; the nonce is random, its characters are from `!` to `~` without a comma.
    #[must_use]
    pub fn nonce(mut self, nonce: &str) -> Self {
        self.nonce = Some(nonce.to_owned());
        self
    }

    /// What TLS says of the connection, after the handshake: SCRAM names it in its proof.
    pub fn channel(&mut self, channel: Channel) {
        self.channel = channel;
    }

    /// Takes bytes from the server.
    pub fn receive(&mut self, bytes: &[u8]) {
        self.lines.receive(bytes);
    }

    /// What was said since the last time, with secrets masked.
    pub fn spoken(&mut self) -> Vec<Spoken> {
        self.dialogue.take()
    }

    /// What to do next.
    pub fn step(&mut self) -> ClientStep {
        loop {
            if let Some(step) = self.out.pop_front() {
                return step;
            }
            match self.state {
                State::StartingTls => return ClientStep::Wait,
                State::Done => return ClientStep::Done(self.outcomes()),
                _ => {}
            }
            match self.lines.next(LINE) {
                Line::Incomplete => return ClientStep::Wait,
                Line::Whole(line) => self.line(&String::from_utf8_lossy(&line)),
                Line::Malformed | Line::TooLong => self.fail(&Outcome::Temporary("the server's reply cannot be read".to_owned())),
            }
        }
    }

    /// TLS has begun: the greeting of the connection counts no more (RFC 3207 4.2).
    pub fn tls_started(&mut self) {
        self.tls = TlsWish::Active;
        self.dialogue.line(Party::Client, TLS_BEGAN);
        self.say(&format!("EHLO {}", self.helo), State::Ehlo);
    }

    /// The connection is gone.
    pub fn disconnected(&mut self, why: &str) {
        self.fail(&Outcome::Temporary(why.to_owned()));
    }

    fn line(&mut self, line: &str) {
        match line.strip_prefix("334 ") {
            Some(challenge) => self.dialogue.line(Party::Server, &format!("334 {}", sasl::shown(challenge))),
            None => self.dialogue.line(Party::Server, line),
        }
        self.reply.push(line.to_owned());
        if self.reply.len() > REPLY_LINES {
            return self.fail(&Outcome::Temporary("the server's reply is endless".to_owned()));
        }
        if line.as_bytes().get(3) == Some(&b'-') {
            return;
        }
        let Some(code) = line.get(..3).and_then(|code| code.parse::<u16>().ok()) else {
            return self.fail(&Outcome::Temporary(format!("the server's reply cannot be read – {line}")));
        };
        let reply = std::mem::take(&mut self.reply);
        self.replied(code, &reply);
    }

    fn replied(&mut self, code: u16, reply: &[String]) {
        let text = reply.join(" / ");
        let refused = || if code >= 500 { Outcome::Permanent(text.clone()) } else { Outcome::Temporary(text.clone()) };
        match (self.state, code) {
            (State::Greeting, 220) => self.say(&format!("EHLO {}", self.helo), State::Ehlo),
            (State::Ehlo, 250) => {
                let words = reply.iter().filter_map(|line| line.get(4..)).map(str::to_ascii_uppercase);
                self.offers = words.collect();
                self.after_ehlo();
            }
            // an old server: no extensions, so no TLS and no authentication
            (State::Ehlo, 500..=599) => self.say(&format!("HELO {}", self.helo), State::Helo),
            (State::Helo, 250) => self.after_ehlo(),
            (State::StartTls, 220) if self.lines.is_empty() => {
                self.state = State::StartingTls;
                self.out.push_back(ClientStep::StartTls);
            }
            // bytes before TLS would pass for bytes under it
            (State::StartTls, 220) => self.fail(&Outcome::Temporary("the server spoke before TLS began".to_owned())),
            (State::StartTls, _) if self.tls == TlsWish::Opportunistic => self.authenticate(),
            (State::Auth, 334) => self.challenged(&text),
            (State::Auth, 235) if self.exchange.as_ref().is_some_and(ClientExchange::is_proven) => self.mail(),
            // who says yes before the proof of its own may be anybody
            (State::Auth, 235) => self.untrusted("it says yes and does not prove that it knows the password"),
            (State::Mail, 250) => self.rcpt(0),
            (State::Rcpt(at), _) => {
                if !(200..300).contains(&code) {
                    self.outcomes.iter_mut().skip(at).take(1).for_each(|outcome| *outcome = Some(refused()));
                }
                self.rcpt(at.saturating_add(1));
            }
            (State::Data, 354) => {
                self.dialogue.message(Party::Client, self.outgoing.message.len());
                self.out.push_back(ClientStep::Send(stuffed(&self.outgoing.message)));
                self.state = State::Body;
            }
            (State::Body, 250..=299) => {
                self.settle(&Outcome::Delivered(text));
                self.say("QUIT", State::Done);
            }
            _ => self.leave(&refused()),
        }
    }

    fn after_ehlo(&mut self) {
        let offers_tls = self.offers.iter().any(|offer| offer == "STARTTLS");
        match self.tls {
            TlsWish::Opportunistic | TlsWish::Required if offers_tls => self.say("STARTTLS", State::StartTls),
            TlsWish::Required => self.fail(&Outcome::Temporary("the server offers no TLS, and it is required".to_owned())),
            _ => self.authenticate(),
        }
    }

    /// A password goes out under TLS only.
    fn authenticate(&mut self) {
        let Some(credentials) = self.credentials.clone() else { return self.mail() };
        if self.tls != TlsWish::Active {
            return self.fail(&Outcome::Temporary("the server offers no TLS, and a password is sent under TLS only".to_owned()));
        }
        let names = self.offers.iter().filter_map(|offer| offer.strip_prefix("AUTH ")).flat_map(|names| names.split(' '));
        let mechanism = sasl::choose(names, &self.channel, self.nonce.as_deref()).unwrap_or(sasl::Mechanism::Plain);
        let nonce = self.nonce.clone().unwrap_or_default();
        let mut exchange = ClientExchange::new(mechanism, credentials, &self.channel, &nonce);
        let line = exchange.command(mechanism);
        self.exchange = Some(exchange);
        self.say(&line, State::Auth);
    }

    fn challenged(&mut self, reply: &str) {
        let challenge = sasl::decode(reply.get(4..).unwrap_or_default().as_bytes()).ok_or("its message cannot be read");
        let exchange = self.exchange.as_mut().ok_or("nothing was begun");
        match exchange.and_then(|exchange| exchange.respond(challenge?.expose())) {
            Ok(response) => {
                self.dialogue.line(Party::Client, MASK);
                self.out.push_back(ClientStep::Send(format!("{}\r\n", sasl::encode(response.expose())).into_bytes()));
            }
            Err(why) => self.untrusted(why),
        }
    }

    fn untrusted(&mut self, why: &str) {
        self.fail(&Outcome::Permanent(format!("the server is not trusted with the login – {why}")));
    }

    fn mail(&mut self) {
        let offers = |name: &str| self.offers.iter().any(|offer| offer.split(' ').next() == Some(name));
        let mut line = format!("MAIL FROM:<{}>", self.outgoing.sender);
        if offers("SIZE") {
            line.push_str(&format!(" SIZE={}", self.outgoing.message.len()));
        }
        if !self.outgoing.message.is_ascii() && offers("8BITMIME") {
            line.push_str(" BODY=8BITMIME");
        }
        let is_ascii = self.outgoing.sender.is_ascii() && self.outgoing.recipients.iter().all(|recipient| recipient.is_ascii());
        if !is_ascii && offers("SMTPUTF8") {
            line.push_str(" SMTPUTF8");
        } else if !is_ascii {
            let refused = Outcome::Permanent("the server takes no addresses outside ASCII (SMTPUTF8)".to_owned());
            if !self.outgoing.sender.is_ascii() {
                return self.leave(&refused);
            }
            let outside = self.outgoing.recipients.iter().zip(&mut self.outcomes).filter(|(recipient, _)| !recipient.is_ascii());
            outside.for_each(|(_, outcome)| *outcome = Some(refused.clone()));
            if self.outcomes.iter().all(Option::is_some) {
                return self.leave(&refused);
            }
        }
        self.say(&line, State::Mail);
    }

    fn rcpt(&mut self, at: usize) {
        // those whose outcome is known are not asked for
        let known = |at: &usize| self.outcomes.get(*at).is_some_and(Option::is_some);
        let at = (at..).find(|at| !known(at)).unwrap_or(at);
        match self.outgoing.recipients.get(at) {
            Some(recipient) => {
                let line = format!("RCPT TO:<{recipient}>");
                self.say(&line, State::Rcpt(at));
            }
            None if self.outcomes.iter().all(Option::is_some) => self.leave(&Outcome::Temporary(String::new())),
            None => self.say("DATA", State::Data),
        }
    }

    fn say(&mut self, line: &str, next: State) {
        // an address with a line end in it would be a command of its own
        let line: String = line.chars().filter(|c| !c.is_control()).collect();
        dialogue::command(&mut self.dialogue, &line);
        self.out.push_back(ClientStep::Send(format!("{line}\r\n").into_bytes()));
        self.state = next;
    }

    /// Gives every recipient that has no outcome this one.
    fn settle(&mut self, outcome: &Outcome) {
        self.outcomes.iter_mut().filter(|known| known.is_none()).for_each(|known| *known = Some(outcome.clone()));
    }

    /// Ends a conversation that the server still follows.
    fn leave(&mut self, outcome: &Outcome) {
        self.settle(outcome);
        self.say("QUIT", State::Done);
    }

    fn fail(&mut self, outcome: &Outcome) {
        if self.state != State::Done {
            self.settle(outcome);
            self.state = State::Done;
        }
    }

    fn outcomes(&self) -> Vec<(String, Outcome)> {
        let missing = || Outcome::Temporary("the session ended".to_owned());
        self.outgoing
            .recipients
            .iter()
            .cloned()
            .zip(self.outcomes.iter().map(|outcome| outcome.clone().unwrap_or_else(missing)))
            .collect()
    }
}

/// The message with its dots doubled and its end (RFC 5321 4.5.2).
fn stuffed(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len().saturating_add(64));
    for line in message.split_inclusive(|byte| *byte == b'\n') {
        if line.starts_with(b".") {
            out.push(b'.');
        }
        out.extend_from_slice(line);
    }
    if !out.ends_with(b"\r\n") {
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b".\r\n");
    out
}

#[cfg(test)]
mod tests {
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
                        server.answer(Answer::Reject(550, "5.1.1", "no such user".to_owned()));
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
        Outgoing { sender: "jane@a.example".to_owned(), recipients, message: b"Subject: x\r\n\r\n.dot\r\n".as_slice().into() }
    }

    #[test]
    fn each_recipient_has_its_outcome_and_the_message_arrives_as_it_was() {
        let client = Client::new("a.example", TlsWish::Opportunistic, None, outgoing());
        let server = Session::new(Config::new("b.example", Role::Relay, Tls::Offered));
        let (outcomes, arrived) = talk(client, server, "nobody@b.example");
        assert!(matches!(outcomes.as_slice(), [(_, Outcome::Delivered(_)), (_, Outcome::Permanent(_))]), "{outcomes:?}");
        assert_eq!(arrived.as_deref(), Some(&b"Subject: x\r\n\r\n.dot\r\n"[..]));
    }

    #[test]
    fn a_password_is_never_sent_without_tls() {
        let credentials = Credentials { user: "jane".to_owned(), password: Secret::new(b"secret".to_vec()) };
        let client = Client::new("a.example", TlsWish::Opportunistic, Some(credentials), outgoing());
        let server = Session::new(Config::new("b.example", Role::Relay, Tls::Unavailable));
        let (outcomes, arrived) = talk(client, server, "");
        assert!(outcomes.iter().all(|(_, outcome)| matches!(outcome, Outcome::Temporary(why) if why.contains("under TLS only"))));
        assert_eq!(arrived, None);
    }

    #[test]
    fn a_server_that_speaks_before_tls_is_left() {
        let mut client = Client::new("a.example", TlsWish::Required, None, outgoing());
        client.receive(b"220 b.example\r\n250-b.example\r\n250 STARTTLS\r\n220 go\r\n250 injected\r\n");
        let outcomes = loop {
            if let ClientStep::Done(outcomes) = client.step() {
                break outcomes;
            }
        };
        assert!(outcomes.iter().all(|(_, outcome)| matches!(outcome, Outcome::Temporary(_))), "{outcomes:?}");
    }
}
