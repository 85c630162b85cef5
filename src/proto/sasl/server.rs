//! The server's side of an exchange.
//!
//! ```text
//! PLAIN, EXTERNAL      Message ──▶ Asked ──▶ accepted or refused
//! LOGIN                Name ──▶ Password ──▶ Asked ──▶ …
//! SCRAM                First ──▶ Looked up ──▶ Final ──▶ Signed (the client has seen our signature) ──▶ accepted
//! ```

use crate::proto::sasl::scram::Keys;
use crate::proto::sasl::{Channel, Credentials, Mechanism, plain};
use crate::secret::Secret;

/// Splits the name of a mailbox: `USER@DOMAIN/FOLDER` is a folder of `USER@DOMAIN`. A domain holds no `/`, and a folder may; names without a
/// domain have no folders.
pub(crate) fn mailbox(name: &str) -> (&str, Option<&str>) {
    let at = name.find('@').unwrap_or(name.len());
    let slash = name.get(at..).and_then(|rest| rest.find('/')).and_then(|slash| slash.checked_add(at));
    let parts = slash.and_then(|slash| Some((name.get(..slash)?, name.get(slash.checked_add(1)?..)?)));
    parts.map_or((name, None), |(user, folder)| (user, Some(folder)))
}

/// What the names of an exchange are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::proto) enum Names {
    /// Users.
    Users,
    /// Users, and folders of their mailboxes: the service is asked about the user, and the folder is kept.
    Mailboxes,
}

/// What an exchange asks the service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// Is this password right?
    Password(Credentials),
    /// What is kept of this user's password for SCRAM? A name that does not exist gets keys, too ([`Keys::of_nobody`]).
    Keys(String),
    /// The client showed a trusted certificate with this address: is there such a user?
    Certificate(String),
}

impl Question {
    /// The name that the client gave.
    pub fn name(&self) -> &str {
        match self {
            Self::Password(credentials) => &credentials.user,
            Self::Keys(name) | Self::Certificate(name) => name,
        }
    }
}

/// What the service says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Yes: it is this user.
    User(String),
    /// This user's keys, and the server's half of the nonce: characters from `!` to `~` without a comma.
    Keys(String, Keys, String),
    /// No, for whatever reason.
    No,
    /// It cannot be said now.
    Later,
    /// It is not looked at now; the reason is for the client.
    Wait(String),
}

/// How a login ended, for those who count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// The name that the client gave; empty where it gave none.
    pub name: String,
    /// Whether it is the user.
    pub is_good: bool,
}

/// Sees how the logins of a session end.
#[derive(Debug, Default)]
pub(in crate::proto) struct Watch {
    name: String,
    ended: Option<Ended>,
}

impl Watch {
    /// What comes next in an exchange.
    pub(in crate::proto) fn see(&mut self, turn: &Turn) {
        let is_good = match turn {
            Turn::Ask(question) => {
                question.name().clone_into(&mut self.name);
                return;
            }
            Turn::Accepted(_) => true,
            Turn::Refused => false,
            Turn::Challenge(_) | Turn::Later(_) | Turn::Malformed => return,
        };
        self.ended = Some(Ended { name: std::mem::take(&mut self.name), is_good });
    }

    /// The login that ended since the last time.
    pub(in crate::proto) fn take(&mut self) -> Option<Ended> {
        self.ended.take()
    }
}

/// What comes next.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::proto) enum Turn {
    /// This goes to the client.
    Challenge(Vec<u8>),
    /// The service is asked.
    Ask(Question),
    /// It is this user.
    Accepted(String),
    /// The name, the password or the proof is wrong.
    Refused,
    /// It cannot be said now, for this reason.
    Later(String),
    /// What came cannot be read.
    Malformed,
}

/// One exchange.
#[derive(Debug)]
pub(in crate::proto) struct Exchange {
    mechanism: Mechanism,
    channel: Channel,
    names: Names,
    folder: Option<String>,
    state: State,
}

#[derive(Debug)]
enum State {
    /// The message that says all, or the first one of several.
    First,
    /// LOGIN: the name is known.
    Password(String),
    Asked(Option<First>),
    Final(Box<Expected>),
    /// Our signature is on its way; an empty message says that it arrived.
    Signed(String),
    Over,
}

/// What the first message of SCRAM says.
#[derive(Debug)]
struct First {
    /// The header and what binds the channel, as the last message repeats it.
    binding: Vec<u8>,
    bare: String,
    nonce: String,
}

/// What is needed to judge the last message of SCRAM.
#[derive(Debug)]
struct Expected {
    user: String,
    keys: Keys,
    binding: Vec<u8>,
    nonce: String,
    /// Both first messages.
    messages: String,
}

impl Exchange {
    /// Begins with the client's first message, where it came with the command.
    pub(in crate::proto) fn begin(mechanism: Mechanism, channel: &Channel, names: Names, initial: Option<&[u8]>) -> (Self, Turn) {
        let mut exchange = Self { mechanism, channel: channel.clone(), names, folder: None, state: State::First };
        let turn = match (initial, mechanism) {
            (Some(initial), _) => exchange.receive(initial),
            (None, Mechanism::Login) => Turn::Challenge(b"Username:".to_vec()),
            (None, _) => Turn::Challenge(Vec::new()),
        };
        (exchange, turn)
    }

    /// What the client chose.
    pub(in crate::proto) fn mechanism(&self) -> Mechanism {
        self.mechanism
    }

    /// The folder that was named with the user.
    pub(in crate::proto) fn into_folder(self) -> Option<String> {
        self.folder
    }

    /// Takes the client's next message.
    pub(in crate::proto) fn receive(&mut self, message: &[u8]) -> Turn {
        let done = match (std::mem::replace(&mut self.state, State::Over), self.mechanism) {
            (State::First, Mechanism::Plain) => plain::read(message).map(|(Credentials { user, password }, acts_as_himself)| {
                if !acts_as_himself {
                    return Turn::Refused;
                }
                let user = self.user(user);
                self.ask(Question::Password(Credentials { user, password }), None)
            }),
            (State::First, Mechanism::Login) => plain::name(message).map(|user| {
                self.state = State::Password(user);
                Turn::Challenge(b"Password:".to_vec())
            }),
            (State::Password(user), _) => {
                let (user, password) = (self.user(user), Secret::new(message.to_vec()));
                Some(self.ask(Question::Password(Credentials { user, password }), None))
            }
            (State::First, Mechanism::External) => Some(self.external(message)),
            (State::First, Mechanism::Scram | Mechanism::ScramPlus) => self.scram_first(message),
            (State::Final(expected), _) => self.scram_final(*expected, message),
            (State::Signed(user), _) => message.is_empty().then_some(Turn::Accepted(user)),
            (State::Asked(_) | State::Over, _) => None,
        };
        done.unwrap_or(Turn::Malformed)
    }

    /// Takes the service's answer.
    pub(in crate::proto) fn answer(&mut self, answer: Answer) -> Turn {
        let State::Asked(first) = std::mem::replace(&mut self.state, State::Over) else { return Turn::Refused };
        match (first, answer) {
            (_, Answer::Later) => Turn::Later("the server failed – try again later".to_owned()),
            (_, Answer::Wait(why)) => Turn::Later(why),
            (None, Answer::User(user)) => Turn::Accepted(user),
            (Some(First { binding, bare, nonce }), Answer::Keys(user, keys, ours)) => {
                let nonce = nonce + &ours;
                let challenge = format!("r={nonce},s={},i={}", super::encode(&keys.salt), keys.iterations);
                let messages = format!("{bare},{challenge}");
                self.state = State::Final(Box::new(Expected { user, keys, binding, nonce, messages }));
                Turn::Challenge(challenge.into_bytes())
            }
            _ => Turn::Refused,
        }
    }

    /// The user of a name; the folder in it is kept.
    fn user(&mut self, name: String) -> String {
        if let (Names::Mailboxes, (user, Some(folder))) = (self.names, mailbox(&name)) {
            self.folder = Some(folder.to_owned());
            return user.to_owned();
        }
        name
    }

    fn ask(&mut self, question: Question, first: Option<First>) -> Turn {
        self.state = State::Asked(first);
        Turn::Ask(question)
    }

    /// The message is the identity to act as, or a folder of it; empty for the one that the certificate names.
    fn external(&mut self, message: &[u8]) -> Turn {
        let Some(address) = self.channel.certificate.clone() else { return Turn::Refused };
        let wanted = match std::str::from_utf8(message) {
            Ok(wanted) if !wanted.contains(char::is_control) => self.user(wanted.to_owned()),
            _ => return Turn::Refused,
        };
        let is_own = message.is_empty() || wanted.eq_ignore_ascii_case(&address);
        if is_own { self.ask(Question::Certificate(address), None) } else { Turn::Refused }
    }

    /// `flag,[a=authorization],n=name,r=nonce[,extensions]` (RFC 5802 7).
    fn scram_first(&mut self, message: &[u8]) -> Option<Turn> {
        let text = std::str::from_utf8(message).ok()?;
        let (flag, rest) = text.split_once(',')?;
        let (authorization, bare) = rest.split_once(',')?;
        let header = text.get(..text.len().checked_sub(bare.len())?)?;
        let is_bindable = !self.channel.offered(super::Kept::Scram).iter().all(|offered| *offered != Mechanism::ScramPlus);
        let data = match (flag, flag.strip_prefix("p="), self.mechanism) {
            (_, Some(name), Mechanism::ScramPlus) => match self.channel.binding(name) {
                Some(data) => data.to_vec(),
                None => return Some(Turn::Refused),
            },
            // 6: who could have bound the channel and thinks that we cannot was lied to by somebody in between
            ("y", _, Mechanism::Scram) if is_bindable => return Some(Turn::Refused),
            ("n" | "y", _, Mechanism::Scram) => Vec::new(),
            _ => return None,
        };
        let mut fields = bare.split(',');
        let user = unescaped(fields.next()?.strip_prefix("n=")?)?;
        let nonce = fields.next()?.strip_prefix("r=")?;
        let is_nonce = !nonce.is_empty() && nonce.bytes().all(|byte| byte.is_ascii_graphic());
        // an extension that the server must know begins the message with `m=`, and then this is not the name
        if !is_nonce || plain::name(user.as_bytes()).is_none() {
            return None;
        }
        if !authorization.is_empty() && unescaped(authorization.strip_prefix("a=")?)? != user {
            return Some(Turn::Refused);
        }
        let (user, binding) = (self.user(user), [header.as_bytes(), &data].concat());
        let first = First { binding, bare: bare.to_owned(), nonce: nonce.to_owned() };
        Some(self.ask(Question::Keys(user), Some(first)))
    }

    /// `c=binding,r=nonce[,extensions],p=proof`.
    fn scram_final(&mut self, expected: Expected, message: &[u8]) -> Option<Turn> {
        let text = std::str::from_utf8(message).ok()?;
        let (without_proof, proof) = text.rsplit_once(",p=")?;
        let mut fields = without_proof.split(',');
        let binding = super::decode(fields.next()?.strip_prefix("c=")?.as_bytes())?;
        let nonce = fields.next()?.strip_prefix("r=")?;
        let proof = super::decode(proof.as_bytes())?;
        let Expected { user, keys, binding: bound, nonce: known, messages } = expected;
        let messages = format!("{messages},{without_proof}");
        // all of it is computed whatever is wrong
        let proves = keys.proves(&messages, proof.expose());
        if *binding.expose() != bound || nonce != known || !proves {
            return Some(Turn::Refused);
        }
        let signature = super::encode(&keys.signature(&messages));
        self.state = State::Signed(user);
        Some(Turn::Challenge(format!("v={signature}").into_bytes()))
    }
}

/// A name without its escapes: `=2C` is a comma, `=3D` an equals sign, and no other stands for anything (RFC 5802 5.1).
fn unescaped(text: &str) -> Option<String> {
    let mut pieces = text.split('=');
    let mut out = pieces.next()?.to_owned();
    for piece in pieces {
        let (c, rest) = match (piece.strip_prefix("2C"), piece.strip_prefix("3D")) {
            (Some(rest), _) => (',', rest),
            (_, Some(rest)) => ('=', rest),
            _ => return None,
        };
        out.push(c);
        out.push_str(rest);
    }
    Some(out)
}
