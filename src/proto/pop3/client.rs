//! POP3 as a client: fetches the messages of one mailbox, one at a time.

use std::collections::{HashMap, HashSet, VecDeque};

use crate::proto::dialogue::{self, Dialogue, MASK, Party, Spoken, TLS_BEGAN};
use crate::proto::line::{Line, Lines};
use crate::proto::sasl::{self, Channel, ClientExchange, Credentials};

/// What a client wants next.
#[derive(Debug, PartialEq, Eq)]
pub enum ClientStep {
    /// These bytes go to the server.
    Send(Vec<u8>),
    /// TLS begins now, as the client; say so with `tls_started`.
    StartTls,
    /// Nothing to do until the server says more.
    Wait,
    /// The messages of the mailbox, by their unique names; say with `choose` which are wanted.
    Choose(Vec<String>),
    /// A message with its unique name; say with `received` whether the server shall delete it.
    Message(String, Vec<u8>),
    /// A message that was wanted, by its unique name, is over the bound: it stays on the server, and the others come.
    TooLarge(String),
    /// It is over; an error says why it did not go on.
    Done(Result<(), Error>),
}

/// Why the messages were not fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The server said no: its reply.
    Refused(String),
    /// The name or the password is wrong: the server's reply.
    Credentials(String),
    /// The server does not prove that it knows the password, or wants it in a way that gives it away.
    Untrusted(&'static str),
    /// The server offers no TLS, and a password goes out under TLS only.
    NoTls,
    /// The reply is none that POP3 knows.
    Malformed(String),
    /// A message is over the bound, and again over it, and does not end.
    TooLarge(u64),
    /// The connection is gone.
    Disconnected(String),
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Refused(reply) => write!(f, "the server refused – {reply}"),
            Self::Credentials(reply) => write!(f, "the server does not take the name and the password – {reply}"),
            Self::Untrusted(why) => write!(f, "the server is not trusted with the login – {why}"),
            Self::NoTls => f.write_str("the server offers no TLS, and a password is sent under TLS only"),
            Self::Malformed(what) => write!(f, "the server's reply cannot be read – {what}"),
            Self::TooLarge(bound) => write!(f, "a message is far over {bound} bytes, and does not end"),
            Self::Disconnected(why) => write!(f, "the connection ended – {why}"),
        }
    }
}

impl std::error::Error for Error {}

/// What is wanted with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// To have it.
    Fetch,
    /// Nothing.
    Leave,
    /// That the server deletes it: it is here already.
    Delete,
}

/// What becomes of a message on the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Afterwards {
    /// It stays.
    Keep,
    /// It goes, once the session ends well.
    Delete,
}

/// Which reply is expected.
#[derive(Debug)]
enum State {
    Greeting,
    Capabilities(Vec<String>),
    Stls,
    StartingTls,
    User,
    Pass,
    Sasl(ClientExchange),
    /// The unique names: the status line, then a line each.
    Uidl(Vec<(usize, String)>, Listing),
    /// The sizes: the status line, then a line each.
    List(Vec<(usize, String)>, Listing),
    Choosing(Vec<(usize, String)>),
    /// A message: the status line, then its lines.
    Retr(usize, String, Listing, Vec<u8>),
    /// A message that is larger than the server said, and too large: how many of its bytes are gone, and the last ones, in which it may end.
    Passing(String, u64, Vec<u8>),
    Deciding(usize),
    Dele,
    Quit,
    Done(Result<(), Error>),
}

/// Where a reply of several lines is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Listing {
    Status,
    Lines,
}

/// A client session.
#[derive(Debug)]
pub struct Client {
    credentials: Credentials,
    channel: Channel,
    nonce: Option<String>,
    is_secure: bool,
    max_message: u64,
    lines: Lines,
    out: VecDeque<ClientStep>,
    wanted: VecDeque<(usize, String, Wish)>,
    /// How large the server says that its messages are; empty where it does not say.
    sizes: HashMap<usize, u64>,
    /// Bytes of the list that comes.
    listed: usize,
    state: State,
    dialogue: Dialogue,
}

/// RFC 2449 4 has 512 bytes; servers write longer ones.
const LINE: usize = 4096;
/// Bytes of one list: the names of half a million messages, each as long as RFC 1939 7 lets it be.
const LIST: usize = 40 << 20;

impl Client {
    /// Begins; the server speaks first. `is_secure` says that the connection is under TLS already.
    pub fn new(credentials: Credentials, is_secure: Secure, max_message: u64) -> Self {
        Self {
            credentials,
            channel: Channel::default(),
            nonce: None,
            is_secure: is_secure == Secure::Already,
            max_message,
            lines: Lines::default(),
            out: VecDeque::new(),
            wanted: VecDeque::new(),
            sizes: HashMap::new(),
            listed: 0,
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
            match &self.state {
                State::StartingTls | State::Choosing(_) | State::Deciding(_) => return ClientStep::Wait,
                State::Done(ended) => return ClientStep::Done(ended.clone()),
                _ => {}
            }
            if let State::Retr(_, _, Listing::Lines, _) | State::Passing(..) = self.state {
                if !self.body() {
                    return ClientStep::Wait;
                }
                continue;
            }
            match self.lines.next(LINE) {
                Line::Incomplete => return ClientStep::Wait,
                Line::Whole(line) => self.line(&line),
                Line::Malformed | Line::TooLong => self.end(Err(Error::Malformed("a line has no proper end".to_owned()))),
            }
        }
    }

    /// TLS has begun: what the server said before counts no more (RFC 2595 4).
    pub fn tls_started(&mut self) {
        self.is_secure = true;
        self.dialogue.line(Party::Client, TLS_BEGAN);
        self.say("CAPA", State::Capabilities(Vec::new()));
    }

    /// What is wanted with each of the messages.
    pub fn choose(&mut self, wish: impl Fn(&str) -> Wish) {
        let State::Choosing(all) = std::mem::replace(&mut self.state, State::Quit) else { return };
        // RFC 1939 7: copies of one message may have one name; once it is here it is not wanted again
        let mut known = HashSet::new();
        let wished = all.into_iter().map(|(number, uid)| {
            let wish = match wish(&uid) {
                Wish::Fetch if !known.insert(uid.clone()) => Wish::Leave,
                wish => wish,
            };
            (number, uid, wish)
        });
        self.wanted = wished.filter(|(_, _, wish)| *wish != Wish::Leave).collect();
        self.next_message();
    }

    /// The message is safe here.
    pub fn received(&mut self, afterwards: Afterwards) {
        let State::Deciding(number) = self.state else { return };
        match afterwards {
            Afterwards::Keep => self.next_message(),
            Afterwards::Delete => self.say(&format!("DELE {number}"), State::Dele),
        }
    }

    /// The connection is gone.
    pub fn disconnected(&mut self, why: &str) {
        if !matches!(self.state, State::Done(_)) {
            self.state = State::Done(Err(Error::Disconnected(why.to_owned())));
        }
    }

    fn line(&mut self, line: &[u8]) {
        let is_end = line == b".";
        self.listed = self.listed.saturating_add(line.len()).saturating_add(2);
        if self.listed > LIST {
            return self.end(Err(Error::Malformed("its list is endless".to_owned())));
        }
        match &mut self.state {
            State::Uidl(found, Listing::Lines) => {
                self.dialogue.lines(Party::Server, line);
                if is_end {
                    let found = std::mem::take(found);
                    return self.say("LIST", State::List(found, Listing::Status));
                }
                let text = String::from_utf8_lossy(line);
                let pair = text.split_once(' ').and_then(|(number, uid)| Some((number.parse().ok()?, uid.trim().to_owned())));
                match pair {
                    Some(pair) => found.push(pair),
                    None => self.end(Err(Error::Malformed(text.into_owned()))),
                }
            }
            State::List(found, Listing::Lines) => {
                self.dialogue.lines(Party::Server, line);
                if is_end {
                    let found = std::mem::take(found);
                    return self.ask_which(found);
                }
                let text = String::from_utf8_lossy(line);
                let mut words = text.split(' ');
                match (words.next().and_then(|word| word.parse().ok()), words.next().and_then(|word| word.parse().ok())) {
                    (Some(number), Some(size)) => drop(self.sizes.insert(number, size)),
                    _ => self.end(Err(Error::Malformed(text.into_owned()))),
                }
            }
            State::Capabilities(offers) if !offers.is_empty() => {
                self.dialogue.lines(Party::Server, line);
                if is_end {
                    let offers = std::mem::take(offers);
                    self.after_capabilities(&offers);
                } else {
                    offers.push(String::from_utf8_lossy(line).to_ascii_uppercase());
                }
            }
            _ => {
                let text = String::from_utf8_lossy(line).into_owned();
                match text.strip_prefix("+ ") {
                    Some(challenge) => self.dialogue.line(Party::Server, &format!("+ {}", sasl::shown(challenge))),
                    None => self.dialogue.lines(Party::Server, line),
                }
                self.status(&text);
            }
        }
    }

    /// Takes what came of a message; `false` where more must come. Stored mail may hold a CR or an LF alone: only CRLF.CRLF ends it.
    fn body(&mut self) -> bool {
        let bytes = self.lines.take();
        if bytes.is_empty() {
            return false;
        }
        let is_first = matches!(self.state, State::Retr(..));
        let (passed, held, bound) = match &mut self.state {
            State::Retr(_, _, _, stuffed) => (0, stuffed, self.max_message),
            State::Passing(_, passed, tail) => (*passed, tail, self.max_message.saturating_mul(2)),
            _ => return false,
        };
        let end = end_of(held, &bytes, is_first);
        let length = |bytes: usize| passed.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
        let is_over = match end {
            Some(end) => length(end) > bound,
            // two of them may be of its end
            None => length(held.len()) > bound.saturating_add(2),
        };
        let rest = end.map(|end| held.split_off(end));
        if let Some(rest) = &rest {
            self.lines.put_back(rest.get(3..).unwrap_or_default().to_vec());
        }
        match (std::mem::replace(&mut self.state, State::Quit), is_over, rest.is_some()) {
            (State::Retr(number, uid, _, stuffed), false, true) => {
                let message = unstuffed(&stuffed);
                self.dialogue.message(Party::Server, u64::try_from(message.len()).unwrap_or(u64::MAX));
                self.state = State::Deciding(number);
                self.out.push_back(ClientStep::Message(uid, message));
            }
            (State::Retr(_, uid, ..), true, true) | (State::Passing(uid, ..), false, true) => {
                self.out.push_back(ClientStep::TooLarge(uid));
                self.next_message();
            }
            (State::Retr(_, uid, _, stuffed), true, false) => self.state = passing(uid, 0, stuffed),
            (State::Passing(uid, passed, tail), false, false) => {
                self.state = passing(uid, passed, tail);
                return false;
            }
            (State::Passing(..), true, _) => self.end(Err(Error::TooLarge(self.max_message))),
            (state, ..) => {
                self.state = state;
                return false;
            }
        }
        true
    }

    /// A line that says yes or no.
    fn status(&mut self, text: &str) {
        let is_good = text.starts_with("+OK");
        if let State::Sasl(_) = self.state
            && let Some(challenge) = text.strip_prefix("+ ").or_else(|| text.strip_prefix('+').filter(|rest| rest.is_empty()))
        {
            return self.challenged(challenge);
        }
        if !is_good && !text.starts_with("-ERR") {
            return self.end(Err(Error::Malformed(text.to_owned())));
        }
        match (std::mem::replace(&mut self.state, State::Quit), is_good) {
            (State::Greeting, true) => self.say("CAPA", State::Capabilities(Vec::new())),
            (State::Capabilities(_), true) => self.state = State::Capabilities(vec![text.to_owned()]),
            // a server without CAPA may know STLS all the same; under TLS, USER is left
            (State::Capabilities(_), false) => self.after_capabilities(&["STLS".to_owned()]),
            (State::Stls, true) if self.lines.is_empty() => {
                self.state = State::StartingTls;
                self.out.push_back(ClientStep::StartTls);
            }
            // bytes before TLS would pass for bytes under it
            (State::Stls, _) => self.end(Err(Error::NoTls)),
            (State::User, true) => {
                let line = [b"PASS ", self.credentials.password.expose().as_slice()].concat();
                self.say(&String::from_utf8_lossy(&line), State::Pass);
            }
            // who says yes before the proof of its own may be anybody
            (State::Sasl(exchange), true) if !exchange.is_proven() => {
                self.end(Err(Error::Untrusted("it says yes and does not prove that it knows the password")));
            }
            (State::Pass | State::Sasl(_), true) => self.say("UIDL", State::Uidl(Vec::new(), Listing::Status)),
            (State::User | State::Pass | State::Sasl(_), false) => self.end(Err(Error::Credentials(text.to_owned()))),
            (State::Uidl(found, _), true) => self.state = State::Uidl(found, Listing::Lines),
            (State::List(found, _), true) => self.state = State::List(found, Listing::Lines),
            // RFC 1939 5 has LIST in every server; one without it has messages of unknown size
            (State::List(found, _), false) => self.ask_which(found),
            (State::Retr(number, uid, _, message), true) => self.state = State::Retr(number, uid, Listing::Lines, message),
            (State::Dele, true) => self.next_message(),
            (State::Quit, true) => self.end(Ok(())),
            (_, _) => self.end(Err(Error::Refused(text.to_owned()))),
        }
    }

    fn after_capabilities(&mut self, offers: &[String]) {
        let offers_word = |wanted: &str| offers.iter().any(|offer| offer.split(' ').next() == Some(wanted));
        let mechanisms = offers.iter().filter_map(|offer| offer.strip_prefix("SASL ")).flat_map(|names| names.split(' '));
        let chosen = sasl::choose(mechanisms, &self.channel, self.nonce.as_deref());
        match self.is_secure {
            false if offers_word("STLS") => self.say("STLS", State::Stls),
            false => self.end(Err(Error::NoTls)),
            true => match chosen {
                Some(mechanism) => {
                    let nonce = self.nonce.clone().unwrap_or_default();
                    let mut exchange = ClientExchange::new(mechanism, self.credentials.clone(), &self.channel, &nonce);
                    let line = exchange.command(mechanism);
                    self.say(&line, State::Sasl(exchange));
                }
                None => self.say(&format!("USER {}", self.credentials.user), State::User),
            },
        }
    }

    fn challenged(&mut self, challenge: &str) {
        let State::Sasl(mut exchange) = std::mem::replace(&mut self.state, State::Quit) else { return };
        let challenge = sasl::decode(challenge.as_bytes()).ok_or("its message cannot be read");
        match challenge.and_then(|challenge| exchange.respond(challenge.expose())) {
            Ok(response) => {
                self.dialogue.line(Party::Client, MASK);
                let line = format!("{}\r\n", sasl::encode(response.expose()));
                self.out.push_back(ClientStep::Send(line.into_bytes()));
                self.state = State::Sasl(exchange);
            }
            Err(why) => self.end(Err(Error::Untrusted(why))),
        }
    }

    fn ask_which(&mut self, found: Vec<(usize, String)>) {
        self.out.push_back(ClientStep::Choose(found.iter().map(|(_, uid)| uid.clone()).collect()));
        self.state = State::Choosing(found);
    }

    fn next_message(&mut self) {
        while let Some((number, uid, wish)) = self.wanted.pop_front() {
            if wish == Wish::Delete {
                return self.say(&format!("DELE {number}"), State::Dele);
            }
            if self.sizes.get(&number).is_none_or(|size| *size <= self.max_message) {
                return self.say(&format!("RETR {number}"), State::Retr(number, uid, Listing::Status, Vec::new()));
            }
            self.out.push_back(ClientStep::TooLarge(uid));
        }
        self.say("QUIT", State::Quit);
    }

    fn say(&mut self, line: &str, next: State) {
        // a name with a line end in it would be a command of its own
        let line: String = line.chars().filter(|c| !c.is_control()).collect();
        dialogue::command(&mut self.dialogue, &line);
        self.out.push_back(ClientStep::Send(format!("{line}\r\n").into_bytes()));
        self.listed = 0;
        self.state = next;
    }

    fn end(&mut self, how: Result<(), Error>) {
        self.state = State::Done(how);
    }
}

/// Takes more bytes; where the message ends then, before the dot. `is_first` says that nothing of it was let go.
fn end_of(held: &mut Vec<u8>, more: &[u8], is_first: bool) -> Option<usize> {
    let seen = held.len().saturating_sub(4);
    held.extend_from_slice(more);
    if is_first && held.starts_with(b".\r\n") {
        return Some(0);
    }
    let at = memchr::memmem::find(held.get(seen..).unwrap_or_default(), b"\r\n.\r\n")?;
    Some(at.saturating_add(seen).saturating_add(2))
}

/// A message of which nothing is kept, but for the bytes in which its end may begin.
fn passing(uid: String, passed: u64, mut held: Vec<u8>) -> State {
    let tail = held.split_off(held.len().saturating_sub(4));
    State::Passing(uid, passed.saturating_add(u64::try_from(held.len()).unwrap_or(u64::MAX)), tail)
}

/// The message without the dots that were doubled (RFC 1939 3).
fn unstuffed(stuffed: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(stuffed.len());
    let mut rest = stuffed.strip_prefix(b".").unwrap_or(stuffed);
    while let Some(at) = memchr::memmem::find(rest, b"\r\n.") {
        let (line, more) = rest.split_at(at.saturating_add(2));
        out.extend_from_slice(line);
        rest = more.strip_prefix(b".").unwrap_or(more);
    }
    out.extend_from_slice(rest);
    out
}

/// Whether a connection is under TLS when a session begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Secure {
    /// It is.
    Already,
    /// It is not: STLS comes first.
    NotYet,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::pop3::{Answer, Config, Listing as Listed, Question, Session, Uid};
    use crate::proto::sasl::scram::Keys;
    use crate::proto::{Step, Tls};
    use crate::secret::Secret;

    /// Lets a client and our server talk, every byte on its own; gives the messages, what was deleted, and how it ended.
    fn talk(mut client: Client, mut server: Session) -> (Vec<Vec<u8>>, Vec<Uid>, Result<(), Error>) {
        let (mut messages, mut gone) = (Vec::new(), Vec::new());
        let secret = Secret::new(b"secret".to_vec());
        loop {
            loop {
                match server.step() {
                    Step::Send(bytes) => bytes.iter().for_each(|byte| client.receive(&[*byte])),
                    Step::Ask(Question::Authenticate(sasl::Question::Password(credentials)))
                        if credentials.password.expose() == b"secret" =>
                    {
                        server.answer(Answer::Login(sasl::Answer::User(credentials.user)));
                    }
                    Step::Ask(Question::Authenticate(sasl::Question::Keys(user))) => {
                        let keys = Keys::derive(&secret, b"salt", 4096);
                        server.answer(Answer::Login(sasl::Answer::Keys(user, keys, "more".to_owned())));
                    }
                    Step::Ask(Question::Authenticate(_)) => server.answer(Answer::Login(sasl::Answer::No)),
                    Step::Ask(Question::Open { .. }) => {
                        let listed = |uid| Listed { uid: Uid(uid), size: 10 };
                        server.answer(Answer::Opened(vec![listed(1), listed(2)]));
                    }
                    Step::Ask(Question::Retrieve(uid)) => {
                        let message = format!("Subject: {uid}\r\n\r\n.dot\na\rb\r\n..\r\n").into_bytes();
                        server.answer(Answer::Message(message.len() as u64, message));
                    }
                    Step::Ask(Question::More) => server.answer(Answer::More(Vec::new())),
                    Step::Ask(Question::Delete(uids)) => {
                        gone = uids;
                        server.answer(Answer::Deleted);
                    }
                    Step::StartTls | Step::Wait | Step::Close => break,
                }
            }
            match client.step() {
                ClientStep::Send(bytes) => bytes.iter().for_each(|byte| server.receive(&[*byte])),
                ClientStep::StartTls => {
                    let channel = Channel { exporter: Some(vec![1; 32]), ..Channel::default() };
                    server.tls_started();
                    server.channel(channel.clone());
                    client.channel(channel);
                    client.tls_started();
                }
                ClientStep::Choose(_) => client.choose(|_| Wish::Fetch),
                ClientStep::Message(uid, message) => {
                    messages.push(message);
                    client.received(if uid == "m1" { Afterwards::Delete } else { Afterwards::Keep });
                }
                ClientStep::TooLarge(uid) => panic!("{uid} is small"),
                ClientStep::Wait => client.disconnected("nothing more is said"),
                ClientStep::Done(ended) => return (messages, gone, ended),
            }
        }
    }

    fn client(password: &[u8]) -> Client {
        let credentials = Credentials { user: "jane".to_owned(), password: Secret::new(password.to_vec()) };
        Client::new(credentials, Secure::NotYet, 1 << 20)
    }

    #[test]
    fn messages_come_as_they_were_and_go_only_where_that_is_said() {
        for client in [client(b"secret"), client(b"secret").nonce("random")] {
            let (messages, gone, ended) = talk(client, Session::new(Config::new("b.example", Tls::Offered)));
            assert_eq!((gone, ended), (vec![Uid(1)], Ok(())));
            let [first, second] = ["m1", "m2"].map(|uid| format!("Subject: {uid}\r\n\r\n.dot\na\rb\r\n..\r\n").into_bytes());
            assert_eq!(messages, [first, second]);
        }
    }

    #[test]
    fn a_wrong_password_is_told_and_none_is_sent_without_tls() {
        for client in [client(b"wrong"), client(b"wrong").nonce("random")] {
            let (_, _, ended) = talk(client, Session::new(Config::new("b.example", Tls::Offered)));
            assert!(matches!(ended, Err(Error::Credentials(_))), "{ended:?}");
        }
        let (_, _, ended) = talk(client(b"secret"), Session::new(Config::new("b.example", Tls::Unavailable)));
        assert_eq!(ended, Err(Error::NoTls));
    }

    #[test]
    fn a_server_that_says_yes_without_its_own_proof_is_left() {
        let mut client = client(b"secret").nonce("random");
        client.is_secure = true;
        client.receive(b"+OK ready\r\n+OK\r\nSASL SCRAM-SHA-256 PLAIN\r\n.\r\n+OK logged in\r\n");
        let ended = loop {
            if let ClientStep::Done(ended) = client.step() {
                break ended;
            }
        };
        assert!(matches!(ended, Err(Error::Untrusted(_))), "{ended:?}");
    }

    #[test]
    fn a_server_that_speaks_before_tls_is_left() {
        let mut client = client(b"secret");
        client.receive(b"+OK ready\r\n+OK\r\nSTLS\r\n.\r\n+OK go\r\n+OK injected\r\n");
        let ended = loop {
            if let ClientStep::Done(ended) = client.step() {
                break ended;
            }
        };
        assert_eq!(ended, Err(Error::NoTls));
    }

    #[test]
    fn a_server_whose_list_never_ends_is_left() {
        let (capabilities, names) = ("+OK ready\r\n+OK\r\n", "+OK ready\r\n+OK\r\n.\r\n+OK\r\n+OK\r\n+OK\r\n");
        for begin in [capabilities, names, &format!("{names}1 a\r\n.\r\n+OK\r\n")] {
            let mut client = client(b"secret");
            client.is_secure = true;
            client.receive(begin.as_bytes());
            let line = format!("1 1 {}\r\n", "x".repeat(4000)).repeat(16);
            let ended = (0..2_000).find_map(|_| {
                client.receive(line.as_bytes());
                loop {
                    match client.step() {
                        ClientStep::Done(ended) => return Some(ended),
                        ClientStep::Wait => return None,
                        _ => {}
                    }
                }
            });
            assert_eq!(ended, Some(Err(Error::Malformed("its list is endless".to_owned()))));
        }
    }

    /// A client that fetches all that it is told of, on a server that says this; gives the messages, which are too large, and how it ended.
    fn fetched<'a>(said: impl Iterator<Item = &'a [u8]>, bound: u64) -> (Vec<Vec<u8>>, Vec<String>, Result<(), Error>) {
        let mut client = client(b"secret");
        (client.is_secure, client.max_message) = (true, bound);
        let (mut messages, mut large) = (Vec::new(), Vec::new());
        let mut said = std::iter::once(&b"+OK ready\r\n+OK\r\n.\r\n+OK\r\n+OK\r\n+OK\r\n"[..]).chain(said);
        loop {
            match client.step() {
                ClientStep::Choose(_) => client.choose(|_| Wish::Fetch),
                ClientStep::Message(_, message) => {
                    messages.push(message);
                    client.received(Afterwards::Keep);
                }
                ClientStep::TooLarge(uid) => large.push(uid),
                ClientStep::Wait => match said.next() {
                    Some(bytes) => client.receive(bytes),
                    None => client.disconnected("nothing more is said"),
                },
                ClientStep::Send(_) | ClientStep::StartTls => {}
                ClientStep::Done(ended) => return (messages, large, ended),
            }
        }
    }

    #[test]
    fn a_message_over_the_bound_is_told_and_the_others_come() {
        let names = "1 a\r\n2 b\r\n3 c\r\n.\r\n";
        let small = "+OK\r\nSubject: x\r\n\r\nhi\r\n.\r\n";
        let large = format!("+OK\r\n{}.\r\n", "0123456789abcde\r\n".repeat(2));
        // 18 and 34 bytes; the size that a server says may be wrong, or none
        for (sizes, second, bound, is_large) in [
            ("+OK\r\n1 18\r\n2 34\r\n3 18\r\n.\r\n", "", 33, true),
            ("+OK\r\n1 18\r\n2 33\r\n3 18\r\n.\r\n", &large, 33, true),
            ("+OK\r\n1 18\r\n2 1\r\n3 18\r\n.\r\n", &large, 18, true),
            ("-ERR what?\r\n", &large, 33, true),
            ("-ERR what?\r\n", &large, 34, false),
        ] {
            let said = format!("{names}{sizes}{small}{second}{small}+OK bye\r\n").into_bytes();
            for piece in [1, 3, 7, said.len()] {
                let (messages, passed, ended) = fetched(said.chunks(piece), bound);
                assert_eq!((messages.len(), ended), (if is_large { 2 } else { 3 }, Ok(())), "{sizes} in {piece}");
                assert_eq!(passed, if is_large { vec!["b"] } else { vec![] }, "{sizes} in {piece}");
            }
        }
    }

    #[test]
    fn a_message_that_does_not_end_is_left_with_nothing_of_it_held() {
        let said = format!("1 a\r\n.\r\n+OK\r\n1 9\r\n.\r\n+OK\r\n{}", "x".repeat(100)).into_bytes();
        for piece in [1, 7] {
            assert_eq!(fetched(said.chunks(piece), 40).2, Err(Error::TooLarge(40)));
        }
        let mut client = client(b"secret");
        client.max_message = 40;
        client.state = State::Retr(1, "a".to_owned(), Listing::Lines, Vec::new());
        client.receive(&[b'x'; 70]);
        assert_eq!(client.step(), ClientStep::Wait);
        assert!(matches!(&client.state, State::Passing(_, 66, tail) if tail.len() == 4), "{:?}", client.state);
    }

    #[test]
    fn copies_of_one_message_under_one_name_are_fetched_once() {
        let mut client = client(b"secret");
        client.is_secure = true;
        client.receive(b"+OK ready\r\n+OK\r\n.\r\n+OK\r\n+OK\r\n+OK\r\n1 a\r\n2 a\r\n3 b\r\n.\r\n-ERR\r\n");
        while !matches!(client.step(), ClientStep::Choose(_)) {}
        client.choose(|uid| if uid == "b" { Wish::Delete } else { Wish::Fetch });
        let wanted: Vec<usize> = client.wanted.iter().map(|(number, ..)| *number).collect();
        assert_eq!((client.step(), wanted), (ClientStep::Send(b"RETR 1\r\n".to_vec()), vec![3]));
    }

    #[test]
    fn the_dialogue_shows_no_password_and_no_mail() {
        let mut client = client(b"secret");
        client.receive(b"+OK ready\r\n+OK\r\n.\r\n");
        let _ = client.step();
        client.is_secure = true;
        client.receive(b"+OK\r\n+OK\r\n+OK\r\n1 a\r\n.\r\n+OK\r\n1 9\r\n.\r\n");
        while !matches!(client.step(), ClientStep::Choose(_) | ClientStep::Done(_)) {}
        let shown: Vec<String> = client.spoken().into_iter().map(|spoken| spoken.text).collect();
        assert!(!shown.iter().any(|line| line.contains("secret") && !line.contains("(secret)")), "{shown:?}");
    }
}
