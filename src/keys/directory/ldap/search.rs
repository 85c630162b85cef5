//! One search as a conversation without a socket: TLS where it is wanted, a bind where there is a name, the search, the end.

use crate::keys::directory::Error;
use crate::keys::directory::ldap::message::{self, Answer, Ended, Message, Request};
use crate::keys::directory::ldap::{Entry, Filter, Scope};
use crate::limits::{Budget, Limits};
use crate::secret::Secret;

/// What TLS has to be there before anything is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tls {
    /// It has begun.
    Begun,
    /// It begins by StartTLS, or nothing is asked.
    Demanded,
    /// It begins by StartTLS where the server has it; what is asked is public.
    Wished,
    /// None.
    Never,
}

/// Who asks.
#[derive(Clone)]
pub struct Login {
    /// The name of an entry.
    pub name: String,
    /// Its password.
    pub password: Secret<Vec<u8>>,
}

/// What comes next.
pub enum Step {
    /// These bytes go to the server; they may hold a password.
    Send(Secret<Vec<u8>>),
    /// TLS begins now; then [`Search::secured`] says so.
    StartTls,
    /// Bytes of the server are needed.
    Receive,
    /// It is over.
    Done,
}

/// What a search found.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// The entries.
    pub entries: Vec<Entry>,
    /// How many times the server named another one, which is not asked.
    pub references: usize,
    /// Why there may be more than these, in the server's words.
    pub incomplete: Option<String>,
    /// Whether it was asked under TLS.
    pub secure: bool,
}

/// ```text
/// Tls ──StartTls──▶ Secured ─┐
///  │ (refused, wished)       ├─▶ Bind ─▶ Bound ─┐
///  └─────────────────────────┤                  ├─▶ Ask ─▶ Entries ─▶ Leave ─▶ Over
///                            └──────────────────┘
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// StartTLS is to be asked for.
    AskTls,
    /// Its answer is awaited.
    AwaitTls,
    /// The handshake is to be made.
    Handshake,
    /// The bind or the search is to be sent.
    Ready,
    /// The answer to the bind is awaited.
    AwaitBind,
    /// The search is to be sent.
    Ask,
    /// Entries are awaited.
    AwaitEntries,
    /// The server is to be told that this is the end.
    Leave,
    /// Nothing more is said.
    Over,
}

/// A search for the entries that a filter fits.
pub struct Search {
    state: State,
    tls: Tls,
    login: Option<Login>,
    base: String,
    scope: Scope,
    filter: Filter,
    attributes: Vec<String>,
    seconds: u64,
    most_entries: u64,
    most_bytes: u64,
    entries: Budget,
    bytes: Budget,
    buffer: Vec<u8>,
    id: u64,
    found: Found,
    /// Nothing is searched: the login is all that is asked.
    only_login: bool,
}

/// Where certificates of people stand (RFC 4523 2.1, RFC 2798 2.8); some servers hold them without `;binary`, which RFC 4523 2.1 forbids.
const ATTRIBUTES: [&str; 4] =
    ["userCertificate;binary", "userSMIMECertificate;binary", "userCertificate", "userSMIMECertificate"];

impl Search {
    /// A search from a base on. Where somebody logs in, TLS is demanded, whatever was wished: no password goes without it.
    pub fn new(tls: Tls, base: &str, filter: Filter, limits: &Limits) -> Self {
        let most_entries = u64::try_from(limits.directory_entries).unwrap_or(u64::MAX);
        let most_bytes = u64::try_from(limits.directory_bytes).unwrap_or(u64::MAX);
        Self {
            state: if matches!(tls, Tls::Demanded | Tls::Wished) { State::AskTls } else { State::Ready },
            tls,
            login: None,
            base: base.to_owned(),
            scope: Scope::Subtree,
            filter,
            attributes: ATTRIBUTES.map(str::to_owned).to_vec(),
            seconds: 0,
            most_entries,
            most_bytes,
            entries: Budget::new("directory entries", most_entries),
            bytes: Budget::new("directory bytes", most_bytes),
            buffer: Vec::new(),
            id: 0,
            found: Found { secure: tls == Tls::Begun, ..Found::default() },
            only_login: false,
        }
    }

    /// How far is searched.
    #[must_use]
    pub fn scope(mut self, scope: Scope) -> Self {
        self.scope = scope;
        self
    }

    /// Which attributes are asked for, instead of those that hold certificates of people.
    #[must_use]
    pub fn attributes(mut self, attributes: &[String]) -> Self {
        self.attributes = attributes.to_vec();
        self
    }

    /// How many seconds the server may take; it need not keep to that.
    #[must_use]
    pub fn seconds(mut self, seconds: u64) -> Self {
        self.seconds = seconds;
        self
    }

    /// Who asks. Refused where TLS was not to be: no password goes without it.
    pub fn login(mut self, login: Login) -> Result<Self, Error> {
        // RFC 4513 5.1.2: a name without a password would be somebody unknown, whom servers let in
        if login.name.is_empty() || login.password.expose().is_empty() {
            return Err(Error::Protocol("a name to log in needs a password, and a password a name"));
        }
        match self.tls {
            Tls::Never => return Err(Error::NoTls("no password is sent without TLS".to_owned())),
            Tls::Wished => self.tls = Tls::Demanded,
            Tls::Begun | Tls::Demanded => {}
        }
        self.login = Some(login);
        Ok(self)
    }

    /// A login and nothing else: whether the name and the password are right. The error where they are not is
    /// [`Refused`](Error::Refused) with the code 49.
    pub fn only_login(tls: Tls, login: Login, limits: &Limits) -> Result<Self, Error> {
        let search = Self::new(tls, "", Filter::Present("objectClass".to_owned()), limits).login(login)?;
        Ok(Self { only_login: true, ..search })
    }

    /// TLS has begun.
    pub fn secured(&mut self) {
        if self.state == State::Handshake {
            self.found.secure = true;
            self.state = State::Ready;
        }
    }

    /// Takes bytes of the server.
    pub fn receive(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.bytes.spend(bytes.len())?;
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }

    /// What comes next.
    pub fn step(&mut self) -> Result<Step, Error> {
        loop {
            match self.state {
                State::AskTls => {
                    self.state = State::AwaitTls;
                    let id = self.next_id();
                    return Ok(Step::Send(Secret::new(message::start_tls(id))));
                }
                State::Handshake => return Ok(Step::StartTls),
                State::Ready => match self.login.take() {
                    Some(login) if self.found.secure => {
                        self.state = State::AwaitBind;
                        let id = self.next_id();
                        return Ok(Step::Send(message::bind(id, &login.name, &login.password)));
                    }
                    Some(_) => return Err(Error::NoTls("no password is sent without TLS".to_owned())),
                    None => self.state = State::Ask,
                },
                State::Ask => {
                    self.state = State::AwaitEntries;
                    let id = self.next_id();
                    return Ok(Step::Send(Secret::new(message::search(id, &self.request()))));
                }
                State::Leave => {
                    self.state = State::Over;
                    let id = self.next_id();
                    return Ok(Step::Send(Secret::new(message::unbind(id))));
                }
                State::Over => return Ok(Step::Done),
                State::AwaitTls | State::AwaitBind | State::AwaitEntries => match self.take_message()? {
                    Some(message) => self.answered(message)?,
                    None => return Ok(Step::Receive),
                },
            }
        }
    }

    /// What was found.
    pub fn into_found(self) -> Found {
        self.found
    }

    fn request(&self) -> Request<'_> {
        Request {
            base: &self.base,
            scope: self.scope,
            filter: &self.filter,
            attributes: &self.attributes,
            entries: self.most_entries,
            seconds: self.seconds,
        }
    }

    fn next_id(&mut self) -> u64 {
        self.id = self.id.saturating_add(1);
        self.id
    }

    /// The next whole message, if it is there.
    fn take_message(&mut self) -> Result<Option<Message>, Error> {
        let Some(length) = message::announced(&self.buffer)? else { return Ok(None) };
        if length > self.most_bytes {
            // said before it is sent: no need to wait for all of it
            self.bytes.spend(u64::MAX)?;
        }
        let whole = usize::try_from(length).ok().and_then(|length| self.buffer.get(..length));
        let Some(whole) = whole else { return Ok(None) };
        let (message, length) = (Message::read(whole)?, whole.len());
        self.buffer.drain(..length);
        Ok(Some(message))
    }

    fn answered(&mut self, message: Message) -> Result<(), Error> {
        // 4.4.1: a notice of disconnection
        if message.id == 0 {
            let Answer::Extended(ended) = message.answer else { return Err(Error::Protocol("a notice that is none")) };
            return Err(refused("to go on", ended));
        }
        if message.id != self.id {
            return Err(Error::Protocol("an answer to another question"));
        }
        match (self.state, message.answer) {
            (State::AwaitTls, Answer::Extended(Ended { code: 0, .. })) => {
                // what was sent before TLS would be read as if it had come under it
                if !self.buffer.is_empty() {
                    return Err(Error::Protocol("it goes on in the clear where TLS begins"));
                }
                self.state = State::Handshake;
            }
            (State::AwaitTls, Answer::Extended(ended)) if self.tls == Tls::Demanded => return Err(Error::NoTls(ended.text)),
            (State::AwaitTls, Answer::Extended(_)) => self.state = State::Ready,
            (State::AwaitBind, Answer::Bound(Ended { code: 0, .. })) => {
                self.state = if self.only_login { State::Leave } else { State::Ask };
            }
            (State::AwaitBind, Answer::Bound(ended)) => return Err(refused("the login", ended)),
            (State::AwaitEntries, Answer::Entry(entry)) => {
                self.entries.spend(1u8)?;
                self.found.entries.push(entry);
            }
            (State::AwaitEntries, Answer::Reference) => self.found.references = self.found.references.saturating_add(1),
            (State::AwaitEntries, Answer::Done(ended)) => {
                match ended.code {
                    0 => {}
                    // time, size and administrative limits: what came is good
                    3 | 4 | 11 => self.found.incomplete = Some(refused("more", ended).to_string()),
                    _ => return Err(refused("the search", ended)),
                }
                self.state = State::Leave;
            }
            (State::AwaitEntries, Answer::Other) => {}
            _ => return Err(Error::Protocol("an answer that nobody asked for")),
        }
        Ok(())
    }
}

fn refused(what: &'static str, ended: Ended) -> Error {
    Error::Refused { what, code: ended.code, text: ended.text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::asn1::{Class, Tag, encode};

    fn search(tls: Tls) -> Search {
        Search::new(tls, "dc=a", Filter::Present("mail".to_owned()), &Limits::default())
    }

    fn reply(id: u64, operation: u32, content: &[u8]) -> Vec<u8> {
        let tag = Tag { class: Class::Application, constructed: true, number: operation };
        encode::sequence(&[encode::integer_u64(id), encode::tlv(tag, content)])
    }

    fn ended(id: u64, operation: u32, code: u8) -> Vec<u8> {
        reply(id, operation, &[encode::enumerated(code), encode::octet_string(b""), encode::octet_string(b"why")].concat())
    }

    fn entry(id: u64) -> Vec<u8> {
        reply(id, 4, &[encode::octet_string(b"cn=a"), encode::sequence(&[] as &[Vec<u8>])].concat())
    }

    /// Sends what is to be sent until something else comes.
    fn go_on(search: &mut Search) -> Result<(&'static str, Vec<u8>), Error> {
        let mut sent = Vec::new();
        loop {
            match search.step()? {
                Step::Send(bytes) => sent.extend_from_slice(bytes.expose()),
                Step::StartTls => return Ok(("tls", sent)),
                Step::Receive => return Ok(("receive", sent)),
                Step::Done => return Ok(("done", sent)),
            }
        }
    }

    fn login() -> Login {
        Login { name: "cn=me".to_owned(), password: Secret::new(b"geheim".to_vec()) }
    }

    #[test]
    fn entries_come_in_any_pieces() {
        let answers = [entry(1), reply(1, 19, &encode::octet_string(b"ldap://other/")), entry(1), ended(1, 5, 0)].concat();
        for size in [1, 2, 7, answers.len()] {
            let mut search = search(Tls::Never);
            go_on(&mut search).expect("asked");
            for piece in answers.chunks(size) {
                search.receive(piece).expect("within bounds");
                go_on(&mut search).expect("read");
            }
            assert!(matches!(search.step(), Ok(Step::Done)));
            let found = search.into_found();
            assert_eq!((found.entries.len(), found.references, found.secure, found.incomplete), (2, 1, false, None));
        }
    }

    #[test]
    fn a_password_waits_for_tls_and_is_refused_without_it() {
        assert!(search(Tls::Never).login(login()).is_err_and(|why| why.to_string().contains("no password is sent")));
        let mut asked = search(Tls::Wished).login(login()).expect("taken");
        let (next, sent) = go_on(&mut asked).expect("asked");
        assert!(next == "receive" && !sent.windows(6).any(|window| window == b"geheim"));
        asked.receive(&ended(1, 24, 2)).expect("within bounds");
        assert!(go_on(&mut asked).is_err_and(|why| why.to_string() == "the server has no TLS – it says: why"));
        let mut asked = search(Tls::Wished).login(login()).expect("taken");
        go_on(&mut asked).expect("asked");
        asked.receive(&ended(1, 24, 0)).expect("within bounds");
        assert_eq!(go_on(&mut asked).expect("tls").0, "tls");
        asked.secured();
        let (_, sent) = go_on(&mut asked).expect("bound");
        assert!(sent.windows(6).any(|window| window == b"geheim"));
        asked.receive(&ended(2, 1, 49)).expect("within bounds");
        assert!(go_on(&mut asked).is_err_and(|why| why.to_string().contains("the name or the password is wrong")));
    }

    #[test]
    fn a_login_without_a_password_is_nobody() {
        let nobody = Login { name: "cn=me".to_owned(), password: Secret::new(Vec::new()) };
        assert!(search(Tls::Begun).login(nobody).is_err());
    }

    #[test]
    fn tls_that_is_wished_may_be_refused_and_what_follows_its_beginning_in_the_clear_is_not_read() {
        let mut asked = search(Tls::Wished);
        go_on(&mut asked).expect("asked");
        asked.receive(&ended(1, 24, 2)).expect("within bounds");
        assert_eq!(go_on(&mut asked).expect("asked").0, "receive");
        let mut asked = search(Tls::Wished);
        go_on(&mut asked).expect("asked");
        asked.receive(&[ended(1, 24, 0), entry(2)].concat()).expect("within bounds");
        assert!(go_on(&mut asked).is_err_and(|why| why.to_string().contains("in the clear where TLS begins")));
    }

    #[test]
    fn a_server_that_floods_is_left() {
        let limits = Limits { directory_entries: 3, directory_bytes: 1_000, ..Limits::default() };
        let new = || Search::new(Tls::Never, "", Filter::Present("mail".to_owned()), &limits);
        let mut asked = new();
        go_on(&mut asked).expect("asked");
        asked.receive(&entry(1).repeat(4)).expect("within bounds");
        assert!(go_on(&mut asked).is_err_and(|why| why.to_string() == "limit reached: directory entries – at most 3"));
        let mut asked = new();
        go_on(&mut asked).expect("asked");
        assert!(asked.receive(&[0; 1_001]).is_err_and(|why| why.to_string().contains("directory bytes – at most 1000")));
        // a message that would be too large is refused by its first bytes
        let mut asked = new();
        go_on(&mut asked).expect("asked");
        asked.receive(&[0x30, 0x84, 0x7f, 0xff, 0xff, 0xff]).expect("within bounds");
        assert!(go_on(&mut asked).is_err_and(|why| why.to_string().contains("directory bytes")));
    }

    #[test]
    fn answers_to_other_questions_are_refused() {
        for (answer, reason) in [
            (entry(7), "another question"),
            (ended(1, 1, 0), "nobody asked for"),
            (ended(0, 24, 52), "it is unavailable"),
            (ended(1, 5, 32), "there is no such base"),
            (b"HTTP/1.1 400 Bad Request\r\n".to_vec(), "no LDAP message"),
        ] {
            let mut asked = search(Tls::Begun);
            go_on(&mut asked).expect("asked");
            asked.receive(&answer).expect("within bounds");
            assert!(go_on(&mut asked).is_err_and(|why| why.to_string().contains(reason)), "{reason}");
        }
    }

    #[test]
    fn a_login_alone_searches_nothing() {
        let login = || Login { name: "cn=jane".to_owned(), password: Secret::new(b"secret".to_vec()) };
        let mut asked = Search::only_login(Tls::Begun, login(), &Limits::default()).expect("made");
        let (_, sent) = go_on(&mut asked).expect("asked");
        assert!(sent.windows(6).any(|window| window == b"secret"));
        asked.receive(&ended(1, 1, 0)).expect("within bounds");
        assert!(matches!(asked.step(), Ok(Step::Send(last)) if last.expose().ends_with(&[0x42, 0])));
        assert!(matches!(asked.step(), Ok(Step::Done)));
        let mut refused = Search::only_login(Tls::Begun, login(), &Limits::default()).expect("made");
        go_on(&mut refused).expect("asked");
        refused.receive(&ended(1, 1, 49)).expect("within bounds");
        assert!(matches!(go_on(&mut refused), Err(Error::Refused { code: 49, .. })));
        let empty = Login { password: Secret::default(), ..login() };
        assert!(Search::only_login(Tls::Begun, empty, &Limits::default()).is_err());
        assert!(matches!(Search::only_login(Tls::Never, login(), &Limits::default()), Err(Error::NoTls(_))));
    }

    #[test]
    fn what_came_before_a_limit_of_the_server_is_good() {
        let mut asked = search(Tls::Begun);
        go_on(&mut asked).expect("asked");
        asked.receive(&[entry(1), ended(1, 5, 4)].concat()).expect("within bounds");
        go_on(&mut asked).expect("read");
        let found = asked.into_found();
        assert!(found.entries.len() == 1 && found.incomplete.is_some_and(|why| why.contains("too many entries")));
    }
}
