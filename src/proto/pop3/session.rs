//! One POP3 conversation, from greeting to QUIT.
//!
//! ```text
//! Authorization ── logged in, mailbox locked ──▶ Transaction ── QUIT ──▶ Update (deletes happen here, and only here)
//! ```

use std::collections::VecDeque;

use crate::proto::dialogue::{self, Dialogue, MASK, Party, Spoken, TLS_BEGAN};
use crate::proto::line::{self, Line, Lines};
use crate::proto::pop3::command::Command;
use crate::proto::pop3::mailbox::{Listing, Mailbox, Uid};
use crate::proto::pop3::sending::{After, PIECE, Sending, What};
use crate::proto::sasl::{self, Channel, Ended, Exchange, Kept, Mechanism, Names, Turn, Watch};
use crate::proto::{Step, Tls};

/// What a session knows from the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The name of this host.
    pub hostname: String,
    /// What follows it in the greeting: one line of ASCII without angle brackets, which would offer APOP (RFC 1939 7).
    pub banner: String,
    /// Whether the connection is under TLS.
    pub tls: Tls,
    /// Mistakes before the session ends.
    pub max_errors: usize,
    /// Commands before the login that end the session.
    pub max_idle: usize,
    /// What is kept of passwords.
    pub kept: Kept,
    /// Seconds between two logins of one user; the service sees to it, and CAPA says it.
    pub login_delay: u64,
}

impl Config {
    /// The usual bounds.
    pub fn new(hostname: &str, tls: Tls) -> Self {
        let (hostname, banner) = (hostname.to_owned(), "POP3 ready".to_owned());
        Self { hostname, banner, tls, max_errors: 20, max_idle: 100, kept: Kept::Scram, login_delay: 0 }
    }
}

/// A question for the service.
#[derive(Debug, PartialEq, Eq)]
pub enum Question {
    /// Who is this?
    Authenticate(sasl::Question),
    /// Is this user's inbox free, or this folder of his? It stays locked until the session ends.
    Open {
        /// The user, as the service named him.
        user: String,
        /// The folder, as the client named it: `USER/FOLDER` at the login.
        folder: Option<String>,
    },
    /// Give this message: its first bytes, all of it where it is small.
    Retrieve(Uid),
    /// Give what follows in the message that was asked for last.
    More,
    /// Delete these messages; the mailbox is free again.
    Delete(Vec<Uid>),
}

/// What the service says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Who it is, or what is needed to find out.
    Login(sasl::Answer),
    /// The mailbox is open.
    Opened(Vec<Listing>),
    /// How large the message is, and its first bytes; the header section, or as much of it as one piece may be, is in them.
    Message(u64, Vec<u8>),
    /// What follows in it. Nothing where it ended before its size: then the connection ends, for the peer must not take it for whole.
    More(Vec<u8>),
    /// The messages are gone.
    Deleted,
    /// No: a response code of RFC 2449 or 3206 (as `IN-USE`, `SYS/TEMP`; may be empty), and a text.
    Rejected(&'static str, String),
}

/// Where the conversation is.
#[derive(Debug)]
enum State {
    Authorization {
        user: Option<String>,
    },
    /// The answer to a SASL challenge is expected.
    Sasl(Exchange),
    Transaction(Mailbox),
    /// An answer of several lines goes out.
    Sending(Mailbox, Sending),
    Asked(Pending),
    StartingTls,
    Closed,
}

#[derive(Debug)]
enum Pending {
    Login(Exchange),
    Open,
    /// The message, and how many lines of its body are wanted.
    Retrieve(Mailbox, Option<usize>),
    /// The next piece of the message that goes out.
    More(Mailbox, Sending),
    Delete,
}

/// Whether UTF-8 may stand in header fields (RFC 6856 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Headers {
    Ascii,
    Utf8,
}

/// A session.
#[derive(Debug)]
pub struct Session {
    config: Config,
    channel: Channel,
    headers: Headers,
    lines: Lines,
    /// What is to be sent: answers to commands that came together go out together (RFC 2449 6.6).
    out: Vec<u8>,
    steps: VecDeque<Step<Question>>,
    state: State,
    errors: usize,
    /// Commands before the login.
    idle: usize,
    logins: Watch,
    dialogue: Dialogue,
}

/// What is said of every login that fails, whatever the reason.
const WRONG: &str = "name or password is wrong";
/// Commands that a login needs, with TLS and what the server can.
const USUAL: usize = 12;
/// The languages of our texts (RFC 6856 3).
const LANGUAGES: [(&str, &str); 2] = [("i-default", "English"), ("en", "English")];

impl Session {
    /// Begins; the greeting is the first step.
    pub fn new(config: Config) -> Self {
        let greeting = format!("+OK {} {}\r\n", config.hostname, config.banner);
        let mut session = Self {
            config,
            channel: Channel::default(),
            headers: Headers::Ascii,
            lines: Lines::default(),
            out: Vec::new(),
            steps: VecDeque::new(),
            state: State::Authorization { user: None },
            errors: 0,
            idle: 0,
            logins: Watch::default(),
            dialogue: Dialogue::default(),
        };
        session.send(&greeting);
        session
    }

    /// What was said so far that should not have been said: mistakes, and commands beyond those that a login needs.
    pub fn mistakes(&self) -> usize {
        self.errors.saturating_add(self.idle.saturating_sub(USUAL))
    }

    /// Takes bytes from the peer.
    pub fn receive(&mut self, bytes: &[u8]) {
        self.lines.receive(bytes);
    }

    /// Bytes of a message that goes out, held until they went.
    pub fn held(&self) -> usize {
        match &self.state {
            State::Sending(_, sending) => sending.held(),
            _ => 0,
        }
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
            if self.out.len() >= PIECE {
                return Step::Send(std::mem::take(&mut self.out));
            }
            match self.steps.pop_front() {
                // what was said before TLS goes out before it
                Some(Step::StartTls) if !self.out.is_empty() => {
                    self.steps.push_front(Step::StartTls);
                    return Step::Send(std::mem::take(&mut self.out));
                }
                Some(step) => return step,
                None => {}
            }
            let rest = match &mut self.state {
                State::Closed => Step::Close,
                State::Asked(_) | State::StartingTls => Step::Wait,
                State::Sending(mailbox, sending) => {
                    let after = sending.next(mailbox, &mut self.out);
                    let state = std::mem::replace(&mut self.state, State::Closed);
                    match (state, after) {
                        (State::Sending(mailbox, _), After::Nothing) => self.state = State::Transaction(mailbox),
                        (State::Sending(mailbox, sending), After::Wanted) => {
                            self.ask(Pending::More(mailbox, sending), Question::More);
                        }
                        (state, _) => self.state = state,
                    }
                    continue;
                }
                _ => match self.lines.next(sasl::LINE) {
                    Line::Incomplete => Step::Wait,
                    Line::Whole(line) => {
                        self.line(&line);
                        continue;
                    }
                    Line::Malformed => {
                        self.bad_line("a line ends in CR LF, and neither stands alone");
                        continue;
                    }
                    Line::TooLong => {
                        self.bad_line("the line is too long");
                        continue;
                    }
                },
            };
            return if self.out.is_empty() { rest } else { Step::Send(std::mem::take(&mut self.out)) };
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
            (Pending::Login(mut exchange), Answer::Login(answer)) => {
                let turn = exchange.answer(answer);
                self.turn(exchange, turn);
            }
            (Pending::Open, Answer::Opened(messages)) => {
                let mailbox = Mailbox::new(messages);
                self.ok(&format!("{} messages, {} bytes", mailbox.count(), mailbox.bytes()));
                (self.state, self.idle) = (State::Transaction(mailbox), 0);
            }
            (Pending::Login(_) | Pending::Open, Answer::Rejected(code, text)) => {
                self.state = State::Authorization { user: None };
                self.refuse(code, &text);
                self.count_mistake();
            }
            (Pending::Retrieve(mailbox, _), Answer::Message(_, message))
                if self.headers == Headers::Ascii && is_international(&message) =>
            {
                self.state = State::Transaction(mailbox);
                self.refuse("UTF8", "the header section is in UTF-8 – UTF8 comes first");
            }
            (Pending::Retrieve(mailbox, lines), Answer::Message(size, message)) => {
                self.ok("the message follows");
                self.dialogue.message(Party::Server, size);
                self.state = State::Sending(mailbox, Sending::message(size, message, lines));
            }
            (Pending::More(mailbox, mut sending), answer) => {
                if let Answer::More(piece) = answer
                    && sending.more(piece)
                {
                    self.state = State::Sending(mailbox, sending);
                    return;
                }
                // half a message with an end would be taken for a whole one
                self.dialogue.line(Party::Server, "(the message cannot be read, and the connection ends)");
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
        self.headers = Headers::Ascii;
        self.dialogue.line(Party::Client, TLS_BEGAN);
        self.state = State::Authorization { user: None };
    }

    /// What TLS says of the connection, after the handshake.
    pub fn channel(&mut self, channel: Channel) {
        self.channel = channel;
    }

    /// Ends the session from our side; nothing is deleted.
    pub fn shut_down(&mut self, text: &str) {
        self.refuse("SYS/TEMP", text);
        self.state = State::Closed;
    }

    /// Nothing was said for too long: the connection ends, nothing is deleted, and no answer goes out that could be taken for one to the next command
    /// (RFC 1939 3).
    pub fn expire(&mut self) {
        self.state = State::Closed;
    }

    /// A SASL exchange that gets such a line is over: the next line is a command, and no password.
    fn bad_line(&mut self, why: &str) {
        if let State::Sasl(_) = self.state {
            self.state = State::Authorization { user: None };
        }
        self.mistake(why);
    }

    fn line(&mut self, line: &[u8]) {
        if let State::Sasl(_) = self.state {
            self.dialogue.line(Party::Client, MASK);
            return self.sasl_line(line);
        }
        dialogue::command(&mut self.dialogue, &String::from_utf8_lossy(line));
        if let State::Authorization { .. } = self.state {
            self.idle = self.idle.saturating_add(1);
            if self.idle > self.config.max_idle {
                return self.shut_down("too many commands without a login");
            }
        }
        match (Command::parse(line), &self.state) {
            (Err(why), _) => self.mistake(why),
            (Ok(Command::Capa), _) => self.capa(),
            (Ok(Command::Lang(language)), _) => self.lang(language.as_deref()),
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
            Command::Utf8 => {
                self.headers = Headers::Utf8;
                self.ok("UTF-8 from now on");
            }
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
                    Some(user) => {
                        let message = [b"\0", user.as_bytes(), b"\0", &password].concat();
                        self.begin(Mechanism::Plain, Some(&message));
                    }
                    None => self.mistake("USER comes first"),
                }
            }
            Command::Auth(None, _) => {
                let offered = self.channel.offered(self.config.kept);
                let lines: String = offered.iter().map(|mechanism| format!("{}\r\n", mechanism.name())).collect();
                self.send(&format!("+OK mechanisms follow\r\n{lines}.\r\n"));
            }
            Command::Auth(Some(name), initial) => {
                let offered = self.channel.offered(self.config.kept);
                let Some(mechanism) = Mechanism::parse(&name).filter(|mechanism| offered.contains(mechanism)) else {
                    return self.mistake(&format!("{} are offered", sasl::names(&offered)));
                };
                match initial.as_deref().map(sasl::decode_initial) {
                    Some(None) => self.mistake("the answer cannot be read"),
                    Some(Some(initial)) => self.begin(mechanism, Some(initial.expose())),
                    None => self.begin(mechanism, None),
                }
            }
            _ => self.mistake("authentication comes first"),
        }
    }

    fn begin(&mut self, mechanism: Mechanism, initial: Option<&[u8]>) {
        let (exchange, turn) = Exchange::begin(mechanism, &self.channel, Names::Mailboxes, initial);
        self.turn(exchange, turn);
    }

    fn sasl_line(&mut self, line: &[u8]) {
        let state = std::mem::replace(&mut self.state, State::Authorization { user: None });
        let State::Sasl(mut exchange) = state else { return };
        match (line, sasl::decode(line)) {
            (b"*", _) => self.mistake("cancelled"),
            (_, None) => self.mistake("the answer cannot be read"),
            (_, Some(message)) => {
                let turn = exchange.receive(message.expose());
                self.turn(exchange, turn);
            }
        }
    }

    fn turn(&mut self, exchange: Exchange, turn: Turn) {
        self.logins.see(&turn);
        self.state = State::Authorization { user: None };
        match turn {
            Turn::Challenge(challenge) => {
                self.state = State::Sasl(exchange);
                let challenge = sasl::encode(&challenge);
                self.dialogue.line(Party::Server, &format!("+ {}", sasl::shown(&challenge)));
                self.out.extend_from_slice(format!("+ {challenge}\r\n").as_bytes());
            }
            Turn::Ask(question) => self.ask(Pending::Login(exchange), Question::Authenticate(question)),
            Turn::Accepted(user) => self.ask(Pending::Open, Question::Open { user, folder: exchange.into_folder() }),
            Turn::Refused => {
                self.refuse("AUTH", WRONG);
                self.count_mistake();
            }
            Turn::Later(why) => self.refuse("SYS/TEMP", &why),
            Turn::Malformed => self.mistake("the answer cannot be read"),
        }
    }

    fn ask(&mut self, pending: Pending, question: Question) {
        self.state = State::Asked(pending);
        self.steps.push_back(Step::Ask(question));
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
                self.steps.push_back(Step::StartTls);
                self.state = State::StartingTls;
            }
        }
    }

    fn transaction(&mut self, command: &Command) {
        let State::Transaction(mut mailbox) = std::mem::replace(&mut self.state, State::Closed) else { return };
        match *command {
            Command::Stat => {
                let text = format!("{} {}", mailbox.count(), mailbox.bytes());
                self.ok(&text);
            }
            Command::List(number) => return self.list(mailbox, number, What::Sizes),
            Command::Uidl(number) => return self.list(mailbox, number, What::Uids),
            Command::Retr(number) => return self.retrieve(mailbox, number, None),
            Command::Top(number, lines) => return self.retrieve(mailbox, number, Some(lines)),
            Command::Dele(number) if mailbox.delete(number) => self.ok("will be deleted at QUIT"),
            Command::Dele(_) => return self.no_such(mailbox),
            Command::Rset => {
                mailbox.reset();
                self.ok("nothing will be deleted");
            }
            Command::Quit => return self.ask(Pending::Delete, Question::Delete(mailbox.deleted())),
            _ => {
                self.state = State::Transaction(mailbox);
                return self.mistake("authentication is over");
            }
        }
        self.state = State::Transaction(mailbox);
    }

    fn retrieve(&mut self, mailbox: Mailbox, number: usize, lines: Option<usize>) {
        match mailbox.get(number).map(|message| message.uid) {
            Some(uid) => self.ask(Pending::Retrieve(mailbox, lines), Question::Retrieve(uid)),
            None => self.no_such(mailbox),
        }
    }

    fn list(&mut self, mailbox: Mailbox, number: Option<usize>, what: What) {
        match number.map(|number| (number, mailbox.get(number))) {
            None => {
                self.ok(&format!("{} messages", mailbox.count()));
                self.dialogue.line(Party::Server, &format!("({} lines)", mailbox.count()));
                self.state = State::Sending(mailbox, Sending::List(what, 1));
            }
            Some((number, Some(message))) => {
                self.ok(&what.of(number, &message));
                self.state = State::Transaction(mailbox);
            }
            Some((_, None)) => self.no_such(mailbox),
        }
    }

    fn no_such(&mut self, mailbox: Mailbox) {
        self.state = State::Transaction(mailbox);
        self.mistake("no such message");
    }

    fn capa(&mut self) {
        let mut lines: Vec<String> =
            ["TOP", "UIDL", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING", "EXPIRE NEVER", "LANG"].map(str::to_owned).to_vec();
        lines.push(format!("LOGIN-DELAY {}", self.config.login_delay));
        match (&self.state, self.config.tls) {
            (State::Authorization { .. }, Tls::Offered) => lines.extend(["STLS".to_owned(), "UTF8".to_owned()]),
            (_, Tls::Active) => {
                let names = sasl::names(&self.channel.offered(self.config.kept));
                lines.extend(["USER".to_owned(), format!("SASL {names}"), "UTF8 USER".to_owned()]);
            }
            _ => {}
        }
        lines.push("IMPLEMENTATION sealpost".to_owned());
        self.send(&format!("+OK capabilities follow\r\n{}\r\n.\r\n", lines.join("\r\n")));
    }

    fn lang(&mut self, wanted: Option<&str>) {
        let Some(wanted) = wanted else {
            let lines: String = LANGUAGES.iter().map(|(tag, name)| format!("{tag} {name}\r\n")).collect();
            return self.send(&format!("+OK languages follow\r\n{lines}.\r\n"));
        };
        // 3: `*` is the language that the server prefers
        let found = LANGUAGES.iter().find(|(tag, _)| *tag == wanted || (wanted == "*" && *tag == "en"));
        match found {
            Some((tag, _)) => self.ok(&format!("{tag} from now on")),
            None => self.mistake("no such language – LANG lists them"),
        }
    }

    fn ok(&mut self, text: &str) {
        self.send(&format!("+OK {text}\r\n"));
    }

    fn refuse(&mut self, code: &str, text: &str) {
        let text = line::ascii(text);
        let code = if code.is_empty() { String::new() } else { format!("[{code}] ") };
        self.send(&format!("-ERR {code}{text}\r\n"));
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

    fn send(&mut self, text: &str) {
        self.dialogue.lines(Party::Server, text.as_bytes());
        self.out.extend_from_slice(text.as_bytes());
    }
}

/// Whether a message came by SMTPUTF8, so that its header section may be in UTF-8: our own first field says so (RFC 6531 4.3). Others with
/// such bytes are old mail that breaks the rules, and every reader has seen it.
fn is_international(message: &[u8]) -> bool {
    let header = message.get(..memchr::memmem::find(message, b"\r\n\r\n").unwrap_or(message.len())).unwrap_or_default();
    let own = header.get(..header.len().min(1024)).unwrap_or_default();
    !header.is_ascii() && memchr::memmem::find(own, b" with UTF8SMTP").is_some()
}
