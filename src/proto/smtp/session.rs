//! One SMTP conversation, from greeting to QUIT.
//!
//! ```text
//!            EHLO            MAIL           RCPT (accepted)      DATA            CRLF.CRLF
//! Greeted ─────────▶ Ready ─────────▶ Mail ──────────▶ Mail ─────────▶ Data ──────────────▶ Ready
//!    ▲                 │ RSET, EHLO ◀──────┘ BDAT ▶ Chunk ▶ Chunks ▶ … BDAT LAST ▲  (the service answers)
//!    └── TLS started ◀─┘ STARTTLS: everything before is forgotten
//! ```

mod transaction;

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::Arc;

use crate::limits::Limits;
use crate::proto::dialogue::{self, Dialogue, MASK, Party, Spoken, TLS_BEGAN};
use crate::proto::line::{self, Line, Lines};
use crate::proto::sasl::{self, Channel, Ended, Exchange, Kept, Mechanism, Names, Turn, Watch};
use crate::proto::smtp::command::{Command, Last, Wrong};
use crate::proto::smtp::data::{Coming, Content, Dots, Fault, Piece};
use crate::proto::smtp::envelope::{Addressee, Envelope, Hello};
use crate::proto::{Step, Tls};

/// Whom a session serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Other servers: mail for our own domains (port 25).
    Relay,
    /// Our users: mail for everyone, after authentication (ports 587 and 465).
    Submission,
}

/// What a session knows from the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The name of this host.
    pub hostname: String,
    /// What follows it in the greeting: one line of ASCII.
    pub banner: String,
    /// Whom it serves.
    pub role: Role,
    /// Whether the connection is under TLS.
    pub tls: Tls,
    /// Bytes of a message; announced with SIZE.
    pub max_size: u64,
    /// Recipients of a message. RFC 5321 4.5.3.1.8 asks for 100 at least.
    pub max_recipients: usize,
    /// Mistakes before the session ends.
    pub max_errors: usize,
    /// Commands that bring no mail before the session ends, since the last message. 100, as Postfix has it.
    pub max_idle: usize,
    /// Bytes of a message that are held; what is larger is given to the service in pieces.
    pub hold: usize,
    /// What is kept of passwords.
    pub kept: Kept,
}

impl Config {
    /// The usual bounds.
    pub fn new(hostname: &str, role: Role, tls: Tls) -> Self {
        let (max_size, max_recipients, hold) = (50 << 20, 1000, Limits::default().coming_bytes);
        Self {
            hostname: hostname.to_owned(),
            banner: "ESMTP ready".to_owned(),
            role,
            tls,
            max_size,
            max_recipients,
            max_errors: 20,
            max_idle: 100,
            hold,
            kept: Kept::Scram,
        }
    }
}

/// A question for the service.
#[derive(Debug, PartialEq, Eq)]
pub enum Question {
    /// Who is this?
    Authenticate(sasl::Question),
    /// May mail come from here?
    Sender(Arc<Envelope>),
    /// Is there such a recipient, and may this peer write to it?
    Recipient(Arc<Envelope>, Addressee),
    /// Here is a message: is it on disk?
    Message(Arc<Envelope>, Content),
    /// Here is a piece of a message that is too large to be held: is it kept? [`Question::Message`] follows, or nothing, where the message
    /// is not taken.
    Piece(Piece),
}

/// What the service says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Yes.
    Accept,
    /// Who it is, or what is needed to find out.
    Login(sasl::Answer),
    /// No: code, enhanced code, text.
    Reject(u16, Cow<'static, str>, String),
}

/// Where the conversation is.
#[derive(Debug)]
enum State {
    /// Before EHLO.
    Greeted,
    /// Between messages.
    Ready,
    /// A sender is accepted.
    Mail(Arc<Envelope>),
    /// The message is coming after DATA.
    Data(Coming, Dots),
    /// A chunk of it is coming.
    Chunk(Coming, Chunk),
    /// Between two chunks.
    Chunks(Coming),
    /// A chunk that nobody wants is coming; after it this is said, and the conversation goes on there.
    Skip(u64, Box<State>, Reply),
    /// The answer to a challenge is expected.
    Auth(Exchange),
    /// The service was asked; nothing goes on before its answer.
    Asked(Pending),
    /// TLS is about to begin.
    StartingTls,
    Closed,
}

#[derive(Debug)]
enum Pending {
    Authentication(Exchange),
    Sender(Arc<Envelope>),
    Recipient(Arc<Envelope>, Addressee),
    /// What goes on when the piece is kept.
    Piece(Box<State>),
    Message,
}

/// A chunk (RFC 3030 2).
#[derive(Debug, Clone, Copy)]
struct Chunk {
    size: u64,
    /// Bytes of it that have not come.
    left: u64,
    last: Last,
}

/// Code, enhanced code, text.
type Reply = (u16, Cow<'static, str>, String);

/// A session.
#[derive(Debug)]
pub struct Session {
    config: Config,
    channel: Channel,
    lines: Lines,
    out: VecDeque<Step<Question>>,
    state: State,
    helo: String,
    hello: Hello,
    /// The user who is authenticated, and how.
    login: Option<(String, Mechanism)>,
    errors: usize,
    /// Commands since the last message, but for recipients and pieces of it.
    idle: usize,
    /// Recipients of this message over the bound.
    excess: usize,
    /// Recipients of this message whom the service refused, for good and for now.
    refused: [usize; 2],
    logins: Watch,
    dialogue: Dialogue,
}

/// A command line with its parameters. RFC 5321 4.5.3.1.4 has 512 bytes, extensions add to it, and RFC 4954 4 has 12 288 for AUTH.
const LINE: usize = 12_288;

/// Commands that a message needs, with a greeting, TLS, a login and the one or other try.
const USUAL: usize = 12;

impl Session {
    /// Begins; the greeting is the first step.
    pub fn new(config: Config) -> Self {
        let greeting = format!("220 {} {}\r\n", config.hostname, config.banner);
        let (lines, state, logins, dialogue) = (Lines::default(), State::Greeted, Watch::default(), Dialogue::default());
        let (channel, helo, hello) = (Channel::default(), String::new(), Hello::Plain);
        let (out, login, errors, idle, excess, refused) = (VecDeque::new(), None, 0, 0, 0, [0; 2]);
        let mut session =
            Self { config, channel, lines, out, state, helo, hello, login, errors, idle, excess, refused, logins, dialogue };
        session.send(greeting);
        session
    }

    /// What was said so far that should not have been said: mistakes, and commands beyond those that a message needs.
    pub fn mistakes(&self) -> usize {
        self.errors.saturating_add(self.idle.saturating_sub(USUAL))
    }

    /// Takes bytes from the peer.
    pub fn receive(&mut self, bytes: &[u8]) {
        // a message has no lines to wait for: it is not copied twice
        let rest = if self.lines.is_empty() && self.out.is_empty() { self.receive_message(bytes) } else { bytes };
        self.lines.receive(rest);
    }

    /// Takes bytes of a message after DATA; gives those that follow it.
    fn receive_message<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let State::Data(coming, dots) = &mut self.state else { return bytes };
        let end = dots.receive(bytes, coming).unwrap_or(bytes.len());
        bytes.get(end..).unwrap_or_default()
    }

    /// Memory of a [`Question::Piece`] that was kept: the next piece needs no other.
    pub fn give_back(&mut self, memory: Vec<u8>) {
        if let State::Data(coming, _) | State::Chunk(coming, _) = &mut self.state {
            coming.give_back(memory);
        }
    }

    /// Bytes of a message that is coming, held until it is whole.
    pub fn held(&self) -> usize {
        self.coming().map_or(0, Coming::held)
    }

    /// Bytes so far of a message that is coming.
    pub fn length(&self) -> Option<u64> {
        self.coming().map(Coming::length)
    }

    /// The login that ended since the last time.
    pub fn login_ended(&mut self) -> Option<Ended> {
        self.logins.take()
    }

    /// What was said since the last time, with secrets masked.
    pub fn spoken(&mut self) -> Vec<Spoken> {
        self.dialogue.take()
    }

    /// What to do next.
    pub fn step(&mut self) -> Step<Question> {
        loop {
            if let Some(step) = self.out.pop_front() {
                return step;
            }
            match &mut self.state {
                State::Closed => return Step::Close,
                State::Asked(_) | State::StartingTls => return Step::Wait,
                State::Data(..) | State::Chunk(..) | State::Skip(..) => {
                    if !self.receive_content() {
                        return Step::Wait;
                    }
                }
                _ => match self.lines.next(LINE) {
                    Line::Incomplete => return Step::Wait,
                    Line::Whole(line) => self.line(&line),
                    Line::Malformed => self.bad_line("a line ends in CR LF, and neither stands alone"),
                    Line::TooLong => self.bad_line("the line is too long"),
                },
            }
        }
    }

    /// Takes the service's answer to the question asked last.
    pub fn answer(&mut self, answer: Answer) {
        let state = std::mem::replace(&mut self.state, State::Ready);
        let State::Asked(pending) = state else {
            self.state = state;
            return;
        };
        match (pending, answer) {
            (Pending::Authentication(mut exchange), Answer::Login(answer)) => {
                let turn = exchange.answer(answer);
                self.turn(exchange, turn);
            }
            (Pending::Authentication(_), Answer::Reject(code, enhanced, text)) => self.mistake(code, &enhanced, &text),
            (Pending::Sender(envelope), Answer::Accept) => {
                self.state = State::Mail(envelope);
                self.reply(250, "2.1.0", "sender accepted");
            }
            (Pending::Recipient(mut envelope, recipient), Answer::Accept) => {
                // the service has let go of it: nothing is copied
                Arc::make_mut(&mut envelope).recipients.push(recipient);
                self.state = State::Mail(envelope);
                self.reply(250, "2.1.5", "recipient accepted");
            }
            (Pending::Recipient(envelope, _), Answer::Reject(code, enhanced, text)) => {
                // a list has members who are gone; whoever guesses names is wrong more often than not, and "not now" tells him nothing
                let is_for_now = code < 500;
                let is_forgiven = is_for_now || self.login.is_some();
                let most = if is_forgiven { self.config.max_recipients } else { envelope.recipients.len() };
                self.state = State::Mail(envelope);
                let [for_good, for_now] = &mut self.refused;
                let count = if is_for_now { for_now } else { for_good };
                *count = count.saturating_add(1);
                if *count <= most { self.reply(code, &enhanced, &text) } else { self.mistake(code, &enhanced, &text) }
            }
            (Pending::Sender(_), Answer::Reject(code, enhanced, text)) => self.mistake(code, &enhanced, &text),
            (Pending::Piece(state), Answer::Accept) => self.state = *state,
            (Pending::Piece(state), Answer::Reject(code, enhanced, text)) => {
                self.state = *state;
                if let State::Data(coming, _) | State::Chunk(coming, _) = &mut self.state {
                    coming.refuse(Fault::Refused(code, enhanced, text));
                }
            }
            (Pending::Message, Answer::Accept) => {
                // who brings mail is no stranger to it: what was wrong before is forgiven
                self.errors = 0;
                self.reply(250, "2.0.0", "the message is on disk");
            }
            (Pending::Message, Answer::Reject(code, enhanced, text)) => self.reply(code, &enhanced, &text),
            // an answer to another question: the service is broken
            (Pending::Authentication(_), Answer::Accept) | (_, Answer::Login(_)) => self.reply(451, "4.3.0", "the server failed"),
        }
    }

    /// TLS has begun: what was said before is forgotten (RFC 3207 4.2).
    pub fn tls_started(&mut self) {
        self.config.tls = Tls::Active;
        self.dialogue.line(Party::Client, TLS_BEGAN);
        self.state = State::Greeted;
        self.helo.clear();
        self.login = None;
    }

    /// What TLS says of the connection, after the handshake.
    pub fn channel(&mut self, channel: Channel) {
        self.channel = channel;
    }

    /// Ends the session from our side: the time is over, or the server stops.
    pub fn shut_down(&mut self, text: &str) {
        self.reply(421, "4.3.2", text);
        self.state = State::Closed;
    }

    /// The user who is authenticated.
    pub fn user(&self) -> Option<&str> {
        self.login.as_ref().map(|(user, _)| user.as_str())
    }

    /// An exchange of AUTH that gets such a line is over: the next line is a command, and no password (RFC 4954 4).
    fn bad_line(&mut self, why: &str) {
        if let State::Auth(_) = self.state {
            self.state = State::Ready;
        }
        self.mistake(500, "5.5.2", why);
    }

    fn line(&mut self, line: &[u8]) {
        if let State::Auth(_) = self.state {
            self.dialogue.line(Party::Client, MASK);
            self.auth_line(line);
            return;
        }
        dialogue::command(&mut self.dialogue, &String::from_utf8_lossy(line));
        match Command::parse(line) {
            Ok(command) => self.command(command),
            Err(Wrong::Unknown) => self.mistake(500, "5.5.1", "no such command – HELP lists them"),
            Err(Wrong::Parameters) => self.mistake(501, "5.5.4", "the parameters cannot be read"),
            // what follows would be taken for commands
            Err(Wrong::Chunk) => self.part(501, "5.5.4", "the size of the chunk cannot be read – the connection ends"),
            Err(Wrong::Foreign) => self.part(554, "5.5.0", "this is SMTP – the connection ends"),
            Err(Wrong::Ascii) => self.mistake(553, "5.6.7", "an address outside ASCII needs SMTPUTF8"),
            Err(Wrong::Extension) => self.mistake(555, "5.5.4", "a parameter is not known"),
        }
    }

    fn command(&mut self, command: Command) {
        // recipients have a bound of their own, and bytes of a message are what we are here for
        if !matches!(command, Command::Quit | Command::Rcpt(_) | Command::Bdat(1.., _)) {
            self.idle = self.idle.saturating_add(1);
            if self.idle > self.config.max_idle {
                return self.shut_down("too many commands without a message");
            }
        }
        // RFC 2920 3.1, RFC 4954 4: what comes before the answer to these was not written by who waits for it; it may be a message that
        // was to be taken for commands, or commands that somebody put in front of a connection
        if matches!(command, Command::Data | Command::Auth { .. }) && !self.lines.is_empty() {
            return self.part(554, "5.5.0", "bytes come before the answer they wait for – the connection ends");
        }
        match command {
            Command::Ehlo(name) => self.ehlo(name),
            Command::Helo(name) => {
                (self.helo, self.hello) = (name, Hello::Plain);
                self.state = State::Ready;
                let text = format!("250 {}\r\n", self.config.hostname);
                self.send(text);
            }
            Command::Noop => self.reply(250, "2.0.0", "ok"),
            Command::Quit => {
                self.reply(221, "2.0.0", "good bye");
                self.state = State::Closed;
            }
            Command::Help => self.reply(214, "2.0.0", "EHLO HELO MAIL RCPT DATA BDAT RSET NOOP QUIT STARTTLS AUTH VRFY HELP"),
            // RFC 5321 7.3: who asks learns nothing
            Command::Vrfy => self.reply(252, "2.5.0", "send some mail, and it will be tried"),
            Command::Expn => self.mistake(502, "5.7.0", "lists are not told"),
            Command::Rset => {
                if !matches!(self.state, State::Greeted) {
                    self.state = State::Ready;
                }
                self.reply(250, "2.0.0", "forgotten");
            }
            Command::StartTls => self.start_tls(),
            Command::Auth { mechanism, initial } => self.auth(&mechanism, initial.as_deref()),
            Command::Bdat(size, last) => self.bdat(size, last),
            Command::Mail { sender, parameters } => self.mail(sender, parameters),
            Command::Rcpt(recipient) => self.rcpt(recipient),
            Command::Data => self.data(),
        }
    }

    fn ehlo(&mut self, name: String) {
        (self.helo, self.hello) = (name, Hello::Extended);
        self.state = State::Ready;
        let mut offers = vec![self.config.hostname.clone()];
        offers.extend(["PIPELINING", "8BITMIME", "SMTPUTF8", "CHUNKING", "BINARYMIME", "DSN"].map(str::to_owned));
        offers.push("ENHANCEDSTATUSCODES".to_owned());
        offers.push(format!("SIZE {}", self.config.max_size));
        offers.push(format!("LIMITS RCPTMAX={}", self.config.max_recipients));
        // RFC 8689 3: under TLS only
        if self.config.tls == Tls::Active {
            offers.push("REQUIRETLS".to_owned());
        }
        match self.config.tls {
            Tls::Offered => offers.push("STARTTLS".to_owned()),
            Tls::Active => offers.push(format!("AUTH {}", sasl::names(&self.channel.offered(self.config.kept)))),
            Tls::Unavailable => {}
        }
        offers.push("HELP".to_owned());
        let last = offers.len().saturating_sub(1);
        let lines = offers.iter().enumerate().map(|(at, offer)| format!("250{}{offer}\r\n", if at == last { ' ' } else { '-' }));
        self.send(lines.collect());
    }

    fn start_tls(&mut self) {
        match self.config.tls {
            Tls::Active => self.mistake(503, "5.5.1", "TLS is active already"),
            Tls::Unavailable => self.mistake(502, "5.5.1", "TLS is not offered"),
            // bytes that came with the command would be taken for bytes that came under TLS (CVE-2011-0411)
            Tls::Offered if !self.lines.is_empty() => {
                self.part(554, "5.5.0", "bytes follow STARTTLS before TLS – the connection ends");
            }
            Tls::Offered => {
                self.reply(220, "2.0.0", "go ahead");
                self.out.push_back(Step::StartTls);
                self.state = State::StartingTls;
            }
        }
    }

    fn auth(&mut self, mechanism: &str, initial: Option<&[u8]>) {
        match (&self.state, self.config.tls) {
            (State::Greeted, _) => return self.mistake(503, "5.5.1", "EHLO comes first"),
            (_, Tls::Offered | Tls::Unavailable) => {
                return self.mistake(538, "5.7.11", "a password is taken under TLS only – STARTTLS first");
            }
            (State::Ready, _) if self.login.is_none() => {}
            _ => return self.mistake(503, "5.5.1", "not now"),
        }
        let offered = self.channel.offered(self.config.kept);
        let Some(mechanism) = Mechanism::parse(mechanism).filter(|mechanism| offered.contains(mechanism)) else {
            return self.mistake(504, "5.5.4", &format!("{} are offered", sasl::names(&offered)));
        };
        let initial = match initial.map(sasl::decode_initial) {
            Some(None) => return self.mistake(501, "5.5.2", "the answer cannot be read"),
            initial => initial.flatten(),
        };
        let (exchange, turn) =
            Exchange::begin(mechanism, &self.channel, Names::Users, initial.as_ref().map(|initial| initial.expose().as_slice()));
        self.turn(exchange, turn);
    }

    fn auth_line(&mut self, line: &[u8]) {
        let State::Auth(mut exchange) = std::mem::replace(&mut self.state, State::Ready) else { return };
        match (line, sasl::decode(line)) {
            (b"*", _) => self.mistake(501, "5.7.0", "cancelled"),
            (_, None) => self.mistake(501, "5.5.2", "the answer cannot be read"),
            (_, Some(message)) => {
                let turn = exchange.receive(message.expose());
                self.turn(exchange, turn);
            }
        }
    }

    fn turn(&mut self, exchange: Exchange, turn: Turn) {
        self.logins.see(&turn);
        match turn {
            Turn::Challenge(challenge) => {
                self.state = State::Auth(exchange);
                let challenge = sasl::encode(&challenge);
                self.dialogue.line(Party::Server, &format!("334 {}", sasl::shown(&challenge)));
                self.out.push_back(Step::Send(format!("334 {challenge}\r\n").into_bytes()));
            }
            Turn::Ask(question) => self.ask(Pending::Authentication(exchange), Question::Authenticate(question)),
            Turn::Accepted(user) => {
                self.login = Some((user, exchange.mechanism()));
                self.reply(235, "2.7.0", "authenticated");
            }
            Turn::Refused => self.mistake(535, "5.7.8", "name or password is wrong"),
            Turn::Later(why) => self.reply(454, "4.7.0", &why),
            Turn::Malformed => self.mistake(501, "5.5.2", "the answer cannot be read"),
        }
    }

    fn ask(&mut self, pending: Pending, question: Question) {
        self.state = State::Asked(pending);
        self.out.push_back(Step::Ask(question));
    }

    fn reply(&mut self, code: u16, enhanced: &str, text: &str) {
        let text = line::ascii(text);
        self.send(format!("{code} {enhanced} {text}\r\n"));
    }

    /// The last reply: what follows cannot be told apart.
    fn part(&mut self, code: u16, enhanced: &str, text: &str) {
        drop(self.lines.take());
        self.reply(code, enhanced, text);
        self.state = State::Closed;
    }

    /// A reply to something that should not have been said; many of them end the session.
    fn mistake(&mut self, code: u16, enhanced: &str, text: &str) {
        self.errors = self.errors.saturating_add(1);
        self.reply(code, enhanced, text);
        if self.errors >= self.config.max_errors {
            self.shut_down("too many mistakes");
        }
    }

    fn send(&mut self, text: String) {
        self.dialogue.lines(Party::Server, text.as_bytes());
        self.out.push_back(Step::Send(text.into_bytes()));
    }
}
