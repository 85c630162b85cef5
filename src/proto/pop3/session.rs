//! One POP3 conversation, from greeting to QUIT.
//!
//! ```text
//! Authorization ── password right, mailbox locked ──▶ Transaction ── QUIT ──▶ Update (deletes happen here, and only here)
//! ```

use std::collections::VecDeque;

use crate::proto::dialogue::{self, Dialogue, MASK, Party, Spoken, TLS_BEGAN};
use crate::proto::line::{self, Line, Lines};
use crate::proto::pop3::command::Command;
use crate::proto::sasl::{self, Credentials};
use crate::proto::{Step, Tls};

/// What a session knows from the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The name of this host.
    pub hostname: String,
    /// Whether the connection is under TLS.
    pub tls: Tls,
    /// Mistakes before the session ends.
    pub max_errors: usize,
}

impl Config {
    /// The usual bounds.
    pub fn new(hostname: &str, tls: Tls) -> Self {
        Self { hostname: hostname.to_owned(), tls, max_errors: 20 }
    }
}

/// One message of a mailbox, as it stood when it was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// Its name that never changes: 1 to 70 characters from `!` to `~` (RFC 1939 7).
    pub uid: String,
    /// Its size in bytes, with CRLF line ends.
    pub size: u64,
}

/// A question for the service.
#[derive(Debug, PartialEq, Eq)]
pub enum Question {
    /// Is this password right, and is the mailbox free? It stays locked until the session ends.
    Open(Credentials),
    /// Give this message.
    Retrieve(String),
    /// Delete these messages; the mailbox is free again.
    Delete(Vec<String>),
}

/// What the service says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The mailbox is open.
    Opened(Vec<Listing>),
    /// The message.
    Message(Vec<u8>),
    /// The messages are gone.
    Deleted,
    /// No: a response code of RFC 2449 or 3206 (as `IN-USE`, `AUTH`, `SYS/TEMP`; may be empty), and a text.
    Rejected(&'static str, String),
}

/// Where the conversation is.
#[derive(Debug)]
enum State {
    Authorization {
        user: Option<String>,
    },
    /// The answer to a SASL challenge is expected.
    Sasl,
    Transaction(Mailbox),
    Asked(Pending),
    StartingTls,
    Closed,
}

#[derive(Debug)]
struct Mailbox {
    messages: Vec<Listing>,
    deleted: Vec<bool>,
}

#[derive(Debug)]
enum Pending {
    Open,
    /// The message, and how many lines of its body are wanted.
    Retrieve(Mailbox, Option<usize>),
    Delete,
}

/// A session.
#[derive(Debug)]
pub struct Session {
    config: Config,
    lines: Lines,
    out: VecDeque<Step<Question>>,
    state: State,
    errors: usize,
    dialogue: Dialogue,
}

/// RFC 2449 4 has 255 bytes; base64 passwords add to it.
const LINE: usize = 4096;

impl Session {
    /// Begins; the greeting is the first step.
    pub fn new(config: Config) -> Self {
        let greeting = format!("+OK {} POP3 ready\r\n", config.hostname);
        let (state, dialogue) = (State::Authorization { user: None }, Dialogue::default());
        let mut session = Self { config, lines: Lines::default(), out: VecDeque::new(), state, errors: 0, dialogue };
        session.send(greeting);
        session
    }

    /// Takes bytes from the peer.
    pub fn receive(&mut self, bytes: &[u8]) {
        self.lines.receive(bytes);
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
            match self.state {
                State::Closed => return Step::Close,
                State::Asked(_) | State::StartingTls => return Step::Wait,
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
        let state = std::mem::replace(&mut self.state, State::Closed);
        let State::Asked(pending) = state else {
            self.state = state;
            return;
        };
        match (pending, answer) {
            (Pending::Open, Answer::Opened(messages)) => {
                let deleted = vec![false; messages.len()];
                let mailbox = Mailbox { messages, deleted };
                self.ok(&format!("{} messages, {} bytes", mailbox.count(), mailbox.bytes()));
                self.state = State::Transaction(mailbox);
            }
            (Pending::Open, Answer::Rejected(code, text)) => {
                self.state = State::Authorization { user: None };
                self.refuse(code, &text);
                self.count_mistake();
            }
            (Pending::Retrieve(mailbox, lines), Answer::Message(message)) => {
                self.state = State::Transaction(mailbox);
                self.ok("the message follows");
                self.dialogue.message(Party::Server, message.len());
                self.out.push_back(Step::Send(stuffed(&message, lines)));
            }
            (Pending::Retrieve(mailbox, _), Answer::Rejected(code, text)) => {
                self.state = State::Transaction(mailbox);
                self.refuse(code, &text);
            }
            (Pending::Delete, Answer::Deleted) => self.ok("good bye"),
            (Pending::Delete, Answer::Rejected(code, text)) => self.refuse(code, &text),
            // an answer to another question: the service is broken, and the mailbox must not be
            _ => self.refuse("SYS/TEMP", "the service failed"),
        }
    }

    /// TLS has begun: what was said before is forgotten (RFC 2595 4).
    pub fn tls_started(&mut self) {
        self.config.tls = Tls::Active;
        self.dialogue.line(Party::Client, TLS_BEGAN);
        self.state = State::Authorization { user: None };
    }

    /// Ends the session from our side; nothing is deleted.
    pub fn shut_down(&mut self, text: &str) {
        self.refuse("SYS/TEMP", text);
        self.state = State::Closed;
    }

    /// A SASL exchange that gets such a line is over: the next line is a command, and no password.
    fn bad_line(&mut self, why: &str) {
        if let State::Sasl = self.state {
            self.state = State::Authorization { user: None };
        }
        self.mistake(why);
    }

    fn line(&mut self, line: &[u8]) {
        if let State::Sasl = self.state {
            self.dialogue.line(Party::Client, MASK);
            self.state = State::Authorization { user: None };
            if line == b"*" {
                return self.mistake("cancelled");
            }
            return self.open(sasl::plain(line));
        }
        dialogue::command(&mut self.dialogue, &String::from_utf8_lossy(line));
        match (Command::parse(line), &self.state) {
            (Err(why), _) => self.mistake(why),
            (Ok(Command::Capa), _) => self.capa(),
            (Ok(Command::Noop), State::Transaction(_)) => self.ok("ok"),
            (Ok(Command::Quit), State::Authorization { .. }) => {
                self.ok("good bye");
                self.state = State::Closed;
            }
            (Ok(command), State::Authorization { .. }) => self.authorization(command),
            (Ok(command), State::Transaction(_)) => self.transaction(&command),
            (Ok(_), _) => self.mistake("not now"),
        }
    }

    fn authorization(&mut self, command: Command) {
        const SECURE: &str = "a password is taken under TLS only – STLS first";
        let is_secure = self.config.tls == Tls::Active;
        match command {
            Command::Stls => self.start_tls(),
            Command::Apop => self.mistake("APOP needs passwords that the server can read, and here are none – use STLS and PASS"),
            Command::User(_) | Command::Pass(_) | Command::Auth(Some(_), _) if !is_secure => self.mistake(SECURE),
            Command::User(user) => {
                self.state = State::Authorization { user: Some(user) };
                self.ok("and the password");
            }
            Command::Pass(password) => {
                let State::Authorization { user } = std::mem::replace(&mut self.state, State::Authorization { user: None })
                else {
                    return;
                };
                match user {
                    Some(user) => self.open(sasl::credentials(user.as_bytes(), &password)),
                    None => self.mistake("USER comes first"),
                }
            }
            Command::Auth(None, _) => self.send("+OK mechanisms follow\r\nPLAIN\r\n.\r\n".to_owned()),
            Command::Auth(Some(mechanism), initial) => match (mechanism.as_str(), initial) {
                ("PLAIN", Some(initial)) => self.open(sasl::plain(&initial)),
                ("PLAIN", None) => {
                    self.state = State::Sasl;
                    self.send("+ \r\n".to_owned());
                }
                _ => self.mistake("PLAIN is offered"),
            },
            _ => self.mistake("authentication comes first"),
        }
    }

    fn start_tls(&mut self) {
        match self.config.tls {
            Tls::Active => self.mistake("TLS is active already"),
            Tls::Unavailable => self.mistake("TLS is not offered"),
            // bytes that came with the command would be taken for bytes that came under TLS
            Tls::Offered if !self.lines.is_empty() => {
                drop(self.lines.take());
                self.refuse("", "bytes follow STLS before TLS – the connection ends");
                self.state = State::Closed;
            }
            Tls::Offered => {
                self.ok("go ahead");
                self.out.push_back(Step::StartTls);
                self.state = State::StartingTls;
            }
        }
    }

    fn open(&mut self, credentials: Option<Credentials>) {
        match credentials {
            Some(credentials) => {
                self.state = State::Asked(Pending::Open);
                self.out.push_back(Step::Ask(Question::Open(credentials)));
            }
            None => self.mistake("the answer cannot be read"),
        }
    }

    fn transaction(&mut self, command: &Command) {
        let State::Transaction(mut mailbox) = std::mem::replace(&mut self.state, State::Closed) else { return };
        match *command {
            Command::Stat => {
                let text = format!("{} {}", mailbox.count(), mailbox.bytes());
                self.ok(&text);
            }
            Command::List(number) => self.list(&mailbox, number, |message| message.size.to_string()),
            Command::Uidl(number) => self.list(&mailbox, number, |message| message.uid.clone()),
            Command::Retr(number) => return self.retrieve(mailbox, number, None),
            Command::Top(number, lines) => return self.retrieve(mailbox, number, Some(lines)),
            Command::Dele(number) => match mailbox.index(number) {
                Some(at) => {
                    mailbox.deleted.iter_mut().skip(at).take(1).for_each(|deleted| *deleted = true);
                    self.ok("will be deleted at QUIT");
                }
                None => self.mistake("no such message"),
            },
            Command::Rset => {
                mailbox.deleted.iter_mut().for_each(|deleted| *deleted = false);
                self.ok("nothing will be deleted");
            }
            Command::Quit => {
                let gone =
                    mailbox.messages.iter().zip(&mailbox.deleted).filter(|(_, deleted)| **deleted).map(|(m, _)| m.uid.clone());
                self.out.push_back(Step::Ask(Question::Delete(gone.collect())));
                self.state = State::Asked(Pending::Delete);
                return;
            }
            _ => self.mistake("authentication is over"),
        }
        if !matches!(self.state, State::Closed) || self.errors < self.config.max_errors {
            self.state = State::Transaction(mailbox);
        }
    }

    fn retrieve(&mut self, mailbox: Mailbox, number: usize, lines: Option<usize>) {
        match mailbox.index(number).and_then(|at| mailbox.messages.get(at)) {
            Some(message) => {
                self.out.push_back(Step::Ask(Question::Retrieve(message.uid.clone())));
                self.state = State::Asked(Pending::Retrieve(mailbox, lines));
            }
            None => {
                self.state = State::Transaction(mailbox);
                self.mistake("no such message");
            }
        }
    }

    fn list(&mut self, mailbox: &Mailbox, number: Option<usize>, show: impl Fn(&Listing) -> String) {
        if let Some(number) = number {
            match mailbox.index(number).and_then(|at| mailbox.messages.get(at)) {
                Some(message) => self.ok(&format!("{number} {}", show(message))),
                None => self.mistake("no such message"),
            }
            return;
        }
        let mut text = format!("+OK {} messages\r\n", mailbox.count());
        for (at, (message, deleted)) in mailbox.messages.iter().zip(&mailbox.deleted).enumerate() {
            if !deleted {
                text.push_str(&format!("{} {}\r\n", at.saturating_add(1), show(message)));
            }
        }
        text.push_str(".\r\n");
        self.send(text);
    }

    fn capa(&mut self) {
        let mut lines =
            vec!["+OK capabilities follow", "TOP", "UIDL", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING", "EXPIRE NEVER"];
        match (&self.state, self.config.tls) {
            (State::Authorization { .. }, Tls::Offered) => lines.push("STLS"),
            (_, Tls::Active) => lines.extend(["USER", "SASL PLAIN"]),
            _ => {}
        }
        lines.extend(["IMPLEMENTATION sealpost", "."]);
        self.send(lines.iter().flat_map(|line| [line, "\r\n"]).collect());
    }

    fn ok(&mut self, text: &str) {
        self.send(format!("+OK {text}\r\n"));
    }

    fn refuse(&mut self, code: &str, text: &str) {
        let text = line::ascii(text);
        let code = if code.is_empty() { String::new() } else { format!("[{code}] ") };
        self.send(format!("-ERR {code}{text}\r\n"));
    }

    fn mistake(&mut self, text: &str) {
        self.refuse("", text);
        self.count_mistake();
    }

    fn count_mistake(&mut self) {
        self.errors = self.errors.saturating_add(1);
        if self.errors >= self.config.max_errors {
            self.shut_down("too many mistakes");
        }
    }

    fn send(&mut self, text: String) {
        self.dialogue.lines(Party::Server, text.as_bytes());
        self.out.push_back(Step::Send(text.into_bytes()));
    }
}

impl Mailbox {
    fn index(&self, number: usize) -> Option<usize> {
        let at = number.checked_sub(1)?;
        self.deleted.get(at).filter(|deleted| !**deleted).map(|_| at)
    }

    fn count(&self) -> usize {
        self.deleted.iter().filter(|deleted| !**deleted).count()
    }

    fn bytes(&self) -> u64 {
        self.messages.iter().zip(&self.deleted).filter(|(_, deleted)| !**deleted).map(|(message, _)| message.size).sum()
    }
}

/// The message with its dots doubled and its end; of the body only so many lines where that is asked (TOP).
fn stuffed(message: &[u8], lines: Option<usize>) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len().saturating_add(64));
    let (mut in_body, mut left) = (false, lines);
    for line in message.split_inclusive(|byte| *byte == b'\n') {
        if in_body && let Some(left) = &mut left {
            let Some(less) = left.checked_sub(1) else { break };
            *left = less;
        }
        if line.starts_with(b".") {
            out.push(b'.');
        }
        out.extend_from_slice(line);
        in_body |= line == b"\r\n";
    }
    if !out.is_empty() && !out.ends_with(b"\r\n") {
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b".\r\n");
    out
}
