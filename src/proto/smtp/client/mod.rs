//! SMTP as a client: messages to one server, with STARTTLS and authentication where they are wanted.
//!
//! Uses: proto (lines, dialogue, SASL). Holds always: a password goes out under TLS only; every recipient has an outcome of his own; a refusal
//! is final only where the server gave it to the message, its sender or its recipient (RFC 5321, 2920, 3461, 3030, 8689, 9422).

mod login;
mod outgoing;
mod sending;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use crate::proto::dialogue::{self, Dialogue, MASK, Party, Spoken, TLS_BEGAN};
use crate::proto::line::{Line, Lines};
use crate::proto::sasl::{self, Channel, ClientExchange, Credentials};
use sending::{Form, Sending};

pub use outgoing::{Addressee, Announced, Body, EightBit, Outcome, Outgoing, RequireTls, Shape, Terms};

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

/// What a client wants next.
#[derive(Debug, PartialEq, Eq)]
pub enum ClientStep {
    /// These bytes go to the server.
    Send(Vec<u8>),
    /// The bytes of the message from this one on are wanted, as many as come at once: hand them over with [`Client::piece`]. More than one
    /// transaction begins at its first byte again.
    Read(u64),
    /// TLS begins now, as the client; say so with `tls_started`.
    StartTls,
    /// Nothing to do until the server says more.
    Wait,
    /// It is over; each recipient with what became of it.
    Done(Vec<(String, Outcome)>),
}

/// What becomes of the connection after a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Afterwards {
    /// It ends.
    Quit,
    /// It stays open for [`Client::again`].
    Keep,
}

/// Which reply is expected.
///
/// ```text
/// Greeting → Ehlo → (StartTls → StartingTls → Ehlo) → (Auth …) → Mail → Rcpt … → Data → Sending → Body ┬→ Mail   (recipients that are left)
///                                                         ↑        └→ Refused → Reset ────────────────┼→ Idle → again
///                                                         └───────────────────────────────────────────┴→ Done
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Greeting,
    Ehlo,
    Helo,
    StartTls,
    StartingTls,
    Auth,
    Mail,
    /// For the recipient at this place of those asked for.
    Rcpt(usize),
    /// So many replies to recipients of a message whose sender was refused.
    Refused(usize),
    Data,
    /// The message goes out.
    Sending(Sending),
    Body,
    Reset,
    Idle,
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
    refused_login: Option<String>,
    afterwards: Afterwards,
    message: Announced,
    outcomes: Vec<Option<Outcome>>,
    /// The recipients of this transaction, and those of them that the server took.
    asked: Vec<usize>,
    taken: Vec<usize>,
    lines: Lines,
    reply: Vec<String>,
    offers: Vec<String>,
    out: VecDeque<ClientStep>,
    state: State,
    has_answered: bool,
    refuses_itself: bool,
    dialogue: Dialogue,
}

/// RFC 5321 4.5.3.1.5 has 512 bytes of reply line; servers write longer ones.
const LINE: usize = 4096;
/// Lines of one reply; EHLO gives the most.
const REPLY_LINES: usize = 200;
/// Recipients of one transaction: every server takes 100 (RFC 5321 4.5.3.1.8), and their replies fit what the network holds while all are asked at once.
const RECIPIENTS: usize = 100;

impl Client {
    /// Begins; the server speaks first.
    pub fn new(helo: &str, tls: TlsWish, credentials: Option<Credentials>, message: Announced) -> Self {
        Self {
            helo: helo.to_owned(),
            tls,
            credentials,
            channel: Channel::default(),
            nonce: None,
            exchange: None,
            refused_login: None,
            afterwards: Afterwards::Quit,
            outcomes: vec![None; message.recipients.len()],
            message,
            asked: Vec::new(),
            taken: Vec::new(),
            lines: Lines::default(),
            reply: Vec::new(),
            offers: Vec::new(),
            out: VecDeque::new(),
            state: State::Greeting,
            has_answered: false,
            refuses_itself: false,
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

    /// Says what becomes of the connection after the message.
    pub fn afterwards(mut self, afterwards: Afterwards) -> Self {
        self.afterwards = afterwards;
        self
    }

    /// Gives up where the server has our own name: the mail would come back to us (RFC 5321 6.3).
    pub fn refusing_itself(mut self) -> Self {
        self.refuses_itself = true;
        self
    }

    /// Takes bytes from the server.
    pub fn receive(&mut self, bytes: &[u8]) {
        self.lines.receive(bytes);
    }

    /// Takes the bytes of the message that were asked for. None, or more than it has, end the session: the message is not what it was said to be.
    pub fn piece(&mut self, bytes: &[u8]) {
        let State::Sending(mut sending) = self.state else { return };
        match sending.push(bytes) {
            Some(out) => {
                self.out.push_back(ClientStep::Send(out));
                self.state = if sending.next().is_some() { State::Sending(sending) } else { State::Body };
            }
            None => self.fail(&Outcome::Temporary("4.3.0 the message has another length than it should".to_owned())),
        }
    }

    /// Another message over a connection that was kept.
    pub fn again(&mut self, message: Announced) {
        self.outcomes = vec![None; message.recipients.len()];
        self.message = message;
        self.has_answered = false;
        match self.state {
            // what is said before anything was asked ends the connection: a server that goes says so (421)
            State::Idle if self.lines.is_empty() => self.mail(),
            _ => self.fail(&Outcome::Temporary("the connection ended".to_owned())),
        }
    }

    /// Ends a connection that was kept.
    pub fn quit(&mut self) {
        if self.state == State::Idle {
            self.say("QUIT", State::Done);
        }
    }

    /// What was said since the last time, with secrets masked.
    pub fn spoken(&mut self) -> Vec<Spoken> {
        self.dialogue.take()
    }

    /// Whether the connection is open for another message.
    pub fn is_idle(&self) -> bool {
        self.state == State::Idle
    }

    /// Whether the server has said something about the message. Where it has not, its recipients are not to blame.
    pub fn has_answered(&self) -> bool {
        self.has_answered
    }

    /// What the server said where it refused the login for good (RFC 4954 4). Mail that waits goes out once the login is right, so its
    /// recipients' outcomes are temporary all the same; whoever waits for an answer is to hear this.
    pub fn refused_login(&self) -> Option<&str> {
        self.refused_login.as_deref()
    }

    /// Whether the server offers an extension.
    pub fn offers(&self, name: &str) -> bool {
        self.offer(name).is_some()
    }

    /// What to do next.
    pub fn step(&mut self) -> ClientStep {
        loop {
            if let Some(step) = self.out.pop_front() {
                return step;
            }
            match self.state {
                State::StartingTls => return ClientStep::Wait,
                State::Idle | State::Done => return ClientStep::Done(self.outcomes()),
                State::Sending(sending) => return ClientStep::Read(sending.next().unwrap_or_default()),
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
        self.offers.clear();
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
        let mut text = reply.join(" / ");
        // it is kept for each recipient, and told: a long one says no more
        text.truncate(text.floor_char_boundary(LINE));
        // RFC 5321 3.8: the server closes the connection, whatever was asked
        if code == 421 {
            return self.fail(&Outcome::Temporary(text));
        }
        match (self.state, code) {
            (State::Greeting, 220) => self.say(&format!("EHLO {}", self.helo), State::Ehlo),
            (State::Ehlo | State::Helo, 250) if self.refuses_itself && self.is_itself(reply) => {
                self.leave(&Outcome::Permanent("5.4.6 the server is ourselves, and has no such domain".to_owned()));
            }
            (State::Ehlo, 250) => {
                let words = reply.iter().skip(1).filter_map(|line| line.get(4..)).map(str::to_ascii_uppercase);
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
            (State::Auth, 500..) => {
                self.refused_login = Some(text.clone());
                self.leave(&Outcome::Temporary(text));
            }
            (State::Mail | State::Rcpt(_) | State::Refused(_) | State::Data | State::Body | State::Reset, _) => {
                self.has_answered = true;
                self.transacted(code, &text);
            }
            // whatever it says before it knows the message is about us or about itself: nobody's mail is refused by it
            _ => self.leave(&Outcome::Temporary(text)),
        }
    }

    /// The replies of a transaction.
    fn transacted(&mut self, code: u16, text: &str) {
        let refused = || if code >= 500 { Outcome::Permanent(text.to_owned()) } else { Outcome::Temporary(text.to_owned()) };
        match (self.state, code) {
            (State::Mail, 250) => self.rcpt(0),
            (State::Mail, _) => {
                self.settle(&refused());
                match self.offers("PIPELINING") {
                    true => self.state = State::Refused(self.asked.len()),
                    false => self.reset(),
                }
                if self.state == State::Refused(0) {
                    self.reset();
                }
            }
            (State::Refused(left), _) => match left.saturating_sub(1) {
                0 => self.reset(),
                left => self.state = State::Refused(left),
            },
            (State::Rcpt(at), _) => {
                let recipient = self.asked.get(at).copied().unwrap_or(usize::MAX);
                match code {
                    200..=299 => self.taken.push(recipient),
                    // RFC 5321 4.5.3.1.10: too many at once; the next transaction has the others
                    452 if !self.taken.is_empty() => {}
                    _ => self.outcomes.iter_mut().skip(recipient).take(1).for_each(|outcome| *outcome = Some(refused())),
                }
                self.rcpt(at.saturating_add(1));
            }
            (State::Data, 354) => {
                self.begin(Form::Lines);
            }
            (State::Data | State::Body, _) => {
                let outcome = if (250..300).contains(&code) && self.state == State::Body {
                    Outcome::Delivered(text.to_owned())
                } else {
                    refused()
                };
                let is_over = self.state == State::Body;
                for at in std::mem::take(&mut self.taken) {
                    self.outcomes.iter_mut().skip(at).take(1).for_each(|known| *known = Some(outcome.clone()));
                }
                match is_over {
                    true => self.next_transaction(),
                    false => self.reset(),
                }
            }
            (State::Reset, 200..=299) => self.next_transaction(),
            _ => self.leave(&Outcome::Temporary(text.to_owned())),
        }
    }

    fn is_itself(&self, reply: &[String]) -> bool {
        let greeted = reply.first().and_then(|line| line.get(4..)).and_then(|text| text.split_ascii_whitespace().next());
        greeted.is_some_and(|name| name.eq_ignore_ascii_case(&self.helo))
    }

    fn offer(&self, name: &str) -> Option<&str> {
        self.offers.iter().find_map(|offer| match offer.split_once([' ', '=']) {
            Some((word, rest)) if word == name => Some(rest),
            None if offer == name => Some(""),
            _ => None,
        })
    }

    fn after_ehlo(&mut self) {
        let offers_tls = self.offers("STARTTLS");
        match self.tls {
            TlsWish::Opportunistic | TlsWish::Required if offers_tls => self.say("STARTTLS", State::StartTls),
            TlsWish::Required => self.leave(&Outcome::Temporary(NO_TLS.to_owned())),
            _ => self.authenticate(),
        }
    }

    /// Begins a transaction with the recipients that are left.
    fn mail(&mut self) {
        self.taken.clear();
        self.refuse_what_the_server_cannot();
        // RFC 9422: how many it takes
        let limits = self.offer("LIMITS").unwrap_or_default();
        let most = limits.split(' ').find_map(|limit| limit.strip_prefix("RCPTMAX=")?.parse().ok()).filter(|most| *most > 0);
        let left = self.outcomes.iter().enumerate().filter(|(_, outcome)| outcome.is_none()).map(|(at, _)| at);
        self.asked = left.take(most.unwrap_or(RECIPIENTS).min(RECIPIENTS)).collect();
        if self.asked.is_empty() {
            return self.end();
        }
        let mut line = format!("MAIL FROM:<{}>", self.message.sender);
        let terms = &self.message.terms;
        if self.offers("SIZE") {
            line.push_str(&format!(" SIZE={}", self.message.shape.size()));
        }
        if terms.body == Body::Binary {
            line.push_str(" BODY=BINARYMIME");
        } else if self.message.shape.eight_bit() != EightBit::Nowhere && self.offers("8BITMIME") {
            // a server that does not offer it gets the bytes all the same: those that cut them off are gone, and what is signed stays whole
            line.push_str(" BODY=8BITMIME");
        }
        if self.needs_utf8() {
            line.push_str(" SMTPUTF8");
        }
        if terms.tls == RequireTls::Yes {
            line.push_str(" REQUIRETLS");
        }
        if self.offers("DSN") {
            for (name, value) in [("RET", &terms.ret), ("ENVID", &terms.envid)] {
                if !value.is_empty() {
                    line.push_str(&format!(" {name}={value}"));
                }
            }
        }
        self.say(&line, State::Mail);
        if self.offers("PIPELINING") {
            let all: Vec<String> = self.asked.iter().filter_map(|at| self.recipient(*at)).collect();
            all.iter().for_each(|line| self.say(line, State::Mail));
        }
    }

    /// Whether an address of the transaction, or the header, is outside of ASCII (RFC 6531 3.4).
    fn needs_utf8(&self) -> bool {
        let left = self.message.recipients.iter().zip(&self.outcomes).filter(|(_, outcome)| outcome.is_none());
        self.offers("SMTPUTF8")
            && (!self.message.sender.is_ascii()
                || self.message.shape.eight_bit() == EightBit::Header
                || left.into_iter().any(|(to, _)| !to.address.is_ascii()))
    }

    /// What the server does not offer and the message cannot do without. It is final: nobody changes his server within days.
    fn refuse_what_the_server_cannot(&mut self) {
        let most = self.offer("SIZE").and_then(|size| size.parse::<u64>().ok()).filter(|most| *most > 0);
        let terms = &self.message.terms;
        let size = self.message.shape.size();
        let refused = if terms.tls == RequireTls::Yes && (!self.offers("REQUIRETLS") || self.tls != TlsWish::Active) {
            Some(NO_REQUIRETLS.to_owned())
        } else if terms.body == Body::Binary && !(self.offers("BINARYMIME") && self.offers("CHUNKING")) {
            Some("5.6.3 the message is binary, and the server takes no such (BINARYMIME)".to_owned())
        } else if most.is_some_and(|most| most < size) {
            Some(format!("5.3.4 the message has {size} bytes, and the server takes {} at most", most.unwrap_or_default()))
        } else if !self.message.sender.is_ascii() && !self.offers("SMTPUTF8") {
            Some(NO_UTF8.to_owned())
        } else {
            None
        };
        if let Some(why) = refused {
            return self.settle(&Outcome::Permanent(why));
        }
        if !self.offers("SMTPUTF8") {
            let outside = self.message.recipients.iter().zip(&mut self.outcomes).filter(|(to, _)| !to.address.is_ascii());
            outside.for_each(|(_, outcome)| *outcome = Some(Outcome::Permanent(NO_UTF8.to_owned())));
        }
    }

    fn recipient(&self, at: usize) -> Option<String> {
        let to = self.message.recipients.get(at)?;
        let mut line = format!("RCPT TO:<{}>", to.address);
        if self.offers("DSN") {
            for (name, value) in [("NOTIFY", &to.notify), ("ORCPT", &to.original)] {
                if !value.is_empty() {
                    line.push_str(&format!(" {name}={value}"));
                }
            }
        }
        Some(line)
    }

    /// The recipient at this place: asked for, where that was not done with all of them at once.
    fn rcpt(&mut self, at: usize) {
        let next = self.asked.get(at).and_then(|recipient| self.recipient(*recipient));
        match next {
            Some(_) if self.offers("PIPELINING") => self.state = State::Rcpt(at),
            Some(line) => self.say(&line, State::Rcpt(at)),
            None if self.taken.is_empty() => self.reset(),
            None if self.message.terms.body == Body::Binary => {
                self.say(&format!("BDAT {} LAST", self.message.shape.size()), State::Body);
                self.begin(Form::Bytes);
            }
            None => self.say("DATA", State::Data),
        }
    }

    /// The message follows.
    fn begin(&mut self, form: Form) {
        let size = self.message.shape.size();
        self.dialogue.message(Party::Client, size);
        let sending = Sending::begin(form, size);
        self.state = match sending.next() {
            Some(_) => State::Sending(sending),
            None => {
                self.out.push_back(ClientStep::Send(sending.end().to_vec()));
                State::Body
            }
        };
    }

    /// Leaves a transaction in which nobody is left.
    fn reset(&mut self) {
        let is_last = self.outcomes.iter().all(Option::is_some);
        match self.afterwards {
            Afterwards::Quit if is_last => self.say("QUIT", State::Done),
            _ => self.say("RSET", State::Reset),
        }
    }

    fn next_transaction(&mut self) {
        match self.outcomes.iter().all(Option::is_some) {
            true => self.end(),
            false => self.mail(),
        }
    }

    /// The message is dealt with.
    fn end(&mut self) {
        match self.afterwards {
            Afterwards::Quit => self.say("QUIT", State::Done),
            Afterwards::Keep => self.state = State::Idle,
        }
    }

    fn say(&mut self, line: &str, next: State) {
        // an address with a line end in it would be a command of its own
        let line: String = line.chars().filter(|c| !c.is_control()).collect();
        dialogue::command(&mut self.dialogue, &line);
        self.push(&line);
        self.state = next;
    }

    fn say_secret(&mut self, line: &str, next: State) {
        self.dialogue.line(Party::Client, MASK);
        self.push(line);
        self.state = next;
    }

    /// Lines that follow one another go out in one piece.
    fn push(&mut self, line: &str) {
        match self.out.back_mut() {
            Some(ClientStep::Send(bytes)) => {
                bytes.extend_from_slice(line.as_bytes());
                bytes.extend_from_slice(b"\r\n");
            }
            _ => self.out.push_back(ClientStep::Send(format!("{line}\r\n").into_bytes())),
        }
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
            self.out.clear();
            self.state = State::Done;
        }
    }

    fn outcomes(&self) -> Vec<(String, Outcome)> {
        let missing = || Outcome::Temporary("the session ended".to_owned());
        let outcomes = self.outcomes.iter().map(|outcome| outcome.clone().unwrap_or_else(missing));
        self.message.recipients.iter().map(|to| to.address.clone()).zip(outcomes).collect()
    }
}

/// What is told where TLS is required and not offered.
pub const NO_TLS: &str = "the server offers no TLS, and it is required";
/// What is told where the message requires TLS and the server does not promise it (RFC 8689).
pub const NO_REQUIRETLS: &str =
    "5.7.30 the message requires TLS on its whole way, and the server does not promise that (REQUIRETLS)";
const NO_UTF8: &str = "5.6.7 the server takes no addresses outside ASCII (SMTPUTF8)";
