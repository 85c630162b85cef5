//! One message offered to one scanner.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::limits::Limits;
use crate::proto::Agreed;
use crate::proto::milter::packet::{Content, Packets, packet, strings};
use crate::proto::milter::{Broken, Change, Decision, Refusal, Verdict};
use crate::proto::sasl::Mechanism;

/// A message, taken apart, and where it comes from.
#[derive(Debug, Clone)]
pub struct Offer {
    /// The name of this host.
    pub hostname: String,
    /// The address of the peer.
    pub peer: IpAddr,
    /// A name of the peer that leads back to its address, where it has one.
    pub name: Option<String>,
    /// The port of the peer.
    pub port: u16,
    /// The name by which the peer said it goes.
    pub helo: String,
    /// The user, where one logged in, and how he did.
    pub user: Option<(String, Mechanism)>,
    /// What TLS agreed on, where it came under TLS.
    pub tls: Option<Agreed>,
    /// The protocol by which it came, as Received has it (RFC 3848).
    pub protocol: String,
    /// When it came, as Date has it.
    pub date: String,
    /// The sender; empty for bounces.
    pub sender: String,
    /// The recipients.
    pub recipients: Vec<String>,
    /// The header fields.
    pub fields: Vec<Field>,
    /// The body, with CRLF line ends.
    pub body: Arc<[u8]>,
    /// A name of the message in logs, which no other has.
    pub id: String,
}

/// A header field of an offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: Vec<u8>,
    /// All between the colon and the last line end.
    pub value: Vec<u8>,
}

/// What the session wants next.
#[derive(Debug, PartialEq, Eq)]
pub enum MilterStep {
    /// These bytes go to the scanner.
    Send(Vec<u8>),
    /// Nothing to do until the scanner says more, for at most this long.
    Wait(Duration),
    /// It is over.
    Done(Result<Verdict, Broken>),
}

/// The conversation about one message.
///
/// ```text
/// Greeting ── options ──▶ stages: connect, helo, mail, rcpt…, data, header…, eoh, body…, end ── last word ──▶ Done
/// ```
#[derive(Debug)]
pub struct Milter {
    offer: Offer,
    limits: Limits,
    packets: Packets,
    stages: VecDeque<Stage>,
    /// Which stage the scanner is to answer.
    state: State,
    /// What it does not want, or does not answer.
    wishes: u32,
    may: u32,
    refused: Vec<(usize, Refusal)>,
    changes: Vec<Change>,
    change_bytes: usize,
    body: Option<Vec<u8>>,
}

#[derive(Debug)]
enum State {
    /// Options were not sent.
    Begin,
    Greeting,
    /// Stages go out.
    Talking,
    Awaiting(Stage),
    Done(Result<Verdict, Broken>),
    /// The verdict was given away.
    Over,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Connect,
    Helo,
    Mail,
    Rcpt(usize),
    Data,
    Field(usize),
    EndOfFields,
    Body(usize),
    End,
}

/// How this program calls itself.
const PROGRAM: &str = "sealpost";

const VERSION: u32 = 6;
/// Every change that there is (SMFIF_*): fields, body, recipients, sender, quarantine.
const CHANGES: u32 = 0x7f | 0x80;
/// Every wish that a scanner may have (SMFIP_*), but for unknown commands, which are not offered.
const WISHES: u32 = 0x001f_ffff;
/// SMFIP_SKIP, SMFIP_HDR_LEADSPC.
const LEADING_BLANK: u32 = 0x0010_0000;

/// Bytes of a piece of a body (MILTER_CHUNK_SIZE).
const PIECE: usize = 65_535;
/// Bytes that go out in one step.
const OUT: usize = 1 << 20;

/// sendmail's: 10 s for what a scanner answers at once, 5 min for its last word, which may be a virus scan.
const SOON: Duration = Duration::from_secs(30);
const LAST_WORD: Duration = Duration::from_secs(300);

impl Stage {
    /// The wish not to be told, and the one not to answer.
    fn wishes(self) -> (u32, u32) {
        match self {
            Self::Connect => (0x1, 0x1000),
            Self::Helo => (0x2, 0x2000),
            Self::Mail => (0x4, 0x4000),
            Self::Rcpt(_) => (0x8, 0x8000),
            Self::Body(_) => (0x10, 0x8_0000),
            Self::Field(_) => (0x20, 0x80),
            Self::EndOfFields => (0x40, 0x4_0000),
            Self::Data => (0x200, 0x1_0000),
            Self::End => (0, 0),
        }
    }
}

impl Milter {
    /// Offers a message.
    pub fn new(offer: Offer, limits: &Limits) -> Self {
        Self {
            offer,
            limits: limits.clone(),
            packets: Packets::default(),
            stages: VecDeque::new(),
            state: State::Begin,
            wishes: 0,
            may: 0,
            refused: Vec::new(),
            changes: Vec::new(),
            change_bytes: 0,
            body: None,
        }
    }

    /// Takes bytes from the scanner. An answer that comes early waits until it is asked for.
    pub fn receive(&mut self, bytes: &[u8]) {
        self.packets.receive(bytes);
    }

    /// What to do next.
    pub fn step(&mut self) -> MilterStep {
        while matches!(self.state, State::Greeting | State::Awaiting(_)) {
            let heard = match self.packets.next(&self.limits) {
                Ok(None) => {
                    let is_last = matches!(self.state, State::Awaiting(Stage::End));
                    return MilterStep::Wait(if is_last { LAST_WORD } else { SOON });
                }
                Ok(Some((letter, content))) => self.packet(letter, &content),
                Err(broken) => Err(broken),
            };
            if let Err(broken) = heard {
                self.state = State::Done(Err(broken));
            }
        }
        match self.state {
            State::Begin => {
                self.state = State::Greeting;
                let numbers = [VERSION, CHANGES, WISHES].map(u32::to_be_bytes).concat();
                MilterStep::Send(packet(b'O', &numbers))
            }
            State::Talking => MilterStep::Send(self.talk()),
            _ => match std::mem::replace(&mut self.state, State::Over) {
                State::Done(verdict) => MilterStep::Done(verdict),
                _ => MilterStep::Done(Err(Broken::Unable)),
            },
        }
    }

    /// Everything up to what is answered.
    fn talk(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        while let Some(stage) = self.stages.pop_front() {
            let (untold, unanswered) = stage.wishes();
            if self.wishes & untold != 0 {
                continue;
            }
            self.say(stage, &mut out);
            if self.wishes & unanswered == 0 {
                self.state = State::Awaiting(stage);
                return out;
            }
            if out.len() >= OUT {
                return out;
            }
        }
        out
    }

    fn say(&self, stage: Stage, out: &mut Vec<u8>) {
        let offer = &self.offer;
        let angled = |address: &str| format!("<{address}>").into_bytes();
        match stage {
            Stage::Connect => {
                let (family, address) = match offer.peer {
                    IpAddr::V4(address) => (b'4', address.to_string()),
                    // sendmail writes it so, and scanners look for it
                    IpAddr::V6(address) => (b'6', format!("IPv6:{address}")),
                };
                // sendmail writes the address in brackets where there is no name
                let literal = format!("[{address}]");
                let name = offer.name.as_deref().unwrap_or(&literal);
                let whole = offer.name.as_ref().map_or_else(|| literal.clone(), |name| format!("{name} {literal}"));
                let bare = offer.peer.to_string();
                let macros = [
                    ("j", offer.hostname.as_str()),
                    ("_", &whole),
                    // rspamd names its results by it; Postfix says its own name, too
                    ("{daemon_name}", &offer.hostname),
                    ("{client_addr}", &bare),
                    ("{client_name}", name),
                    ("v", PROGRAM),
                    ("Z", env!("CARGO_PKG_VERSION")),
                ];
                self.macros(b'C', &macros, out);
                let mut content = strings(&[name.as_bytes()]);
                content.push(family);
                content.extend_from_slice(&offer.port.to_be_bytes());
                content.extend(strings(&[address.as_bytes()]));
                out.extend(packet(b'C', &content));
            }
            Stage::Helo => {
                if let Some(Agreed { version, cipher }) = &offer.tls {
                    self.macros(b'H', &[("{tls_version}", version), ("{cipher}", cipher)], out);
                }
                out.extend(packet(b'H', &strings(&[offer.helo.as_bytes()])));
            }
            Stage::Mail => {
                let mut macros = vec![("i", offer.id.as_str()), ("r", &offer.protocol), ("{mail_addr}", &offer.sender)];
                if let Some((user, mechanism)) = &offer.user {
                    macros.extend([("{auth_type}", mechanism.name()), ("{auth_authen}", user.as_str())]);
                }
                self.macros(b'M', &macros, out);
                out.extend(packet(b'M', &strings(&[&angled(&offer.sender)])));
            }
            Stage::Rcpt(number) => {
                let recipient = offer.recipients.get(number).map_or("", String::as_str);
                self.macros(b'R', &[("b", offer.date.as_str()), ("{rcpt_addr}", recipient)], out);
                out.extend(packet(b'R', &strings(&[&angled(recipient)])));
            }
            Stage::Data => out.extend(packet(b'T', &[])),
            Stage::Field(number) => {
                let Some(Field { name, value }) = offer.fields.get(number) else { return };
                // folds travel as a line feed alone
                let mut value: Vec<u8> = value.iter().copied().filter(|byte| *byte != b'\r').collect();
                if self.wishes & LEADING_BLANK == 0 && value.first() == Some(&b' ') {
                    value.remove(0);
                }
                out.extend(packet(b'L', &strings(&[name, &value])));
            }
            Stage::EndOfFields => out.extend(packet(b'N', &[])),
            Stage::Body(from) => {
                let end = from.saturating_add(PIECE).min(offer.body.len());
                out.extend(packet(b'B', offer.body.get(from..end).unwrap_or_default()));
            }
            Stage::End => {
                self.macros(b'E', &[("i", &offer.id)], out);
                out.extend(packet(b'E', &[]));
            }
        }
    }

    fn macros(&self, stage: u8, macros: &[(&str, &str)], out: &mut Vec<u8>) {
        let mut content = vec![stage];
        for (name, value) in macros {
            content.extend(strings(&[name.as_bytes(), value.as_bytes()]));
        }
        out.extend(packet(b'D', &content));
    }

    fn packet(&mut self, letter: u8, content: &[u8]) -> Result<(), Broken> {
        match self.state {
            State::Greeting => self.options(letter, content),
            State::Awaiting(stage) => self.answer(stage, letter, content),
            _ => Err(unexpected(letter)),
        }
    }

    /// What the scanner is able to, wants to change, and does not want to hear.
    fn options(&mut self, letter: u8, content: &[u8]) -> Result<(), Broken> {
        if letter != b'O' {
            return Err(unexpected(letter));
        }
        let mut content = Content(content);
        let (version, may, wishes) = (content.number()?, content.number()?, content.number()?);
        if !(2..=VERSION).contains(&version) {
            return Err(Broken::Protocol(format!("version {version} of the protocol, and 2 to {VERSION} are spoken here")));
        }
        self.may = may & CHANGES;
        self.wishes = wishes & WISHES;
        let stages = [Stage::Connect, Stage::Helo, Stage::Mail];
        self.stages.extend(stages);
        self.stages.extend((0..self.offer.recipients.len()).map(Stage::Rcpt));
        if version > 3 {
            self.stages.push_back(Stage::Data);
        }
        self.stages.extend((0..self.offer.fields.len()).map(Stage::Field));
        self.stages.push_back(Stage::EndOfFields);
        self.stages.extend((0..self.offer.body.len()).step_by(PIECE).map(Stage::Body));
        self.stages.push_back(Stage::End);
        self.state = State::Talking;
        Ok(())
    }

    fn answer(&mut self, stage: Stage, letter: u8, content: &[u8]) -> Result<(), Broken> {
        if stage == Stage::End && self.change(letter, content)? {
            return Ok(());
        }
        let refusal = match letter {
            // it works on it: whoever drives counts the whole time
            b'p' => return Ok(()),
            b'c' => {
                self.go_on(stage);
                return Ok(());
            }
            b's' if matches!(stage, Stage::Body(_)) => {
                self.stages.retain(|stage| !matches!(stage, Stage::Body(_)));
                self.state = State::Talking;
                return Ok(());
            }
            b'a' => {
                self.done(Decision::Accept);
                return Ok(());
            }
            b'd' => {
                self.done(Decision::Discard);
                return Ok(());
            }
            b'r' => Refusal::new(550, "5.7.1", "refused by a scanner"),
            b't' => Refusal::new(451, "4.7.1", "a scanner asks to try again later"),
            b'4' => Refusal::new(421, "4.7.0", "a scanner asks to try again later"),
            b'y' => Refusal::parse(Content(content).string().unwrap_or(content))?,
            b'f' => return Err(Broken::Unable),
            _ => return Err(unexpected(letter)),
        };
        match stage {
            Stage::Rcpt(number) if letter != b'4' => {
                self.refused.push((number, refusal.clone()));
                if self.refused.len() == self.offer.recipients.len() {
                    self.done(Decision::Refuse(refusal));
                } else {
                    self.state = State::Talking;
                }
            }
            _ => self.done(Decision::Refuse(refusal)),
        }
        Ok(())
    }

    fn go_on(&mut self, stage: Stage) {
        match stage {
            Stage::End => self.done(Decision::Accept),
            _ => self.state = State::Talking,
        }
    }

    fn done(&mut self, decision: Decision) {
        let mut changes = std::mem::take(&mut self.changes);
        changes.extend(self.body.take().map(Change::ReplaceBody));
        if decision != Decision::Accept {
            changes.clear();
        }
        let refused = std::mem::take(&mut self.refused);
        self.state = State::Done(Ok(Verdict { decision, refused, changes }));
    }

    /// Takes a change, if it is one.
    fn change(&mut self, letter: u8, content: &[u8]) -> Result<bool, Broken> {
        let flag = match letter {
            b'h' | b'i' => 0x1,
            b'b' => 0x2,
            b'+' => 0x4,
            b'2' => 0x80,
            b'-' => 0x8,
            b'm' => 0x10,
            b'q' => 0x20,
            b'e' => 0x40,
            _ => return Ok(false),
        };
        if self.may & flag == 0 {
            return Err(Broken::Protocol("a change that it did not ask to make".to_owned()));
        }
        self.change_bytes = self.change_bytes.saturating_add(content.len());
        if self.change_bytes > self.limits.milter_change_bytes {
            return Err(Broken::limit("milter change bytes", self.limits.milter_change_bytes));
        }
        let mut content = Content(content);
        let index = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
        let change = match letter {
            b'b' => {
                self.body.get_or_insert_default().extend_from_slice(content.0);
                return Ok(true);
            }
            b'h' => Change::AddField { name: name(content.string()?)?, value: self.value(content.string()?)? },
            b'i' => {
                let index = index(content.number()?);
                Change::InsertField { index, name: name(content.string()?)?, value: self.value(content.string()?)? }
            }
            b'm' => {
                let index = index(content.number()?).max(1);
                Change::ChangeField { index, name: name(content.string()?)?, value: self.value(content.string()?)? }
            }
            b'+' | b'2' => Change::AddRecipient(address(content.string()?)?),
            b'-' => Change::RemoveRecipient(address(content.string()?)?),
            b'e' => Change::ChangeSender(address(content.string()?)?),
            _ => Change::Quarantine(
                String::from_utf8_lossy(content.string()?).chars().filter(|c| !c.is_control()).take(400).collect(),
            ),
        };
        if self.changes.len() >= self.limits.milter_changes {
            return Err(Broken::limit("milter changes", self.limits.milter_changes));
        }
        self.changes.push(change);
        Ok(true)
    }

    /// A value as it stands in a message: folds with CRLF, and a blank first where the scanner did not ask to write it itself.
    fn value(&self, written: &[u8]) -> Result<Vec<u8>, Broken> {
        if written.is_empty() {
            return Ok(Vec::new());
        }
        let mut value = Vec::with_capacity(written.len().saturating_add(8));
        if self.wishes & LEADING_BLANK == 0 {
            value.push(b' ');
        }
        let mut bytes = written.iter().copied().filter(|byte| *byte != b'\r').peekable();
        while let Some(byte) = bytes.next() {
            if byte != b'\n' {
                value.push(byte);
                continue;
            }
            // a line that begins without a blank would be a field of its own, or the end of the section
            if !matches!(bytes.peek(), Some(b' ' | b'\t')) {
                return Err(Broken::Protocol("a field whose value goes on as another line".to_owned()));
            }
            value.extend_from_slice(b"\r\n");
        }
        Ok(value)
    }
}

fn unexpected(letter: u8) -> Broken {
    Broken::Protocol(format!("`{}` where nothing like it belongs", char::from(letter).escape_default()))
}

fn name(written: &[u8]) -> Result<String, Broken> {
    let is_name = !written.is_empty() && written.iter().all(|byte| byte.is_ascii_graphic() && *byte != b':');
    match std::str::from_utf8(written).ok().filter(|_| is_name) {
        Some(name) => Ok(name.to_owned()),
        None => Err(Broken::Protocol("a field without a name".to_owned())),
    }
}

/// An address without its angle brackets.
fn address(written: &[u8]) -> Result<String, Broken> {
    let text = std::str::from_utf8(written).ok().map(str::trim);
    let text = text.map(|text| text.strip_prefix('<').and_then(|inner| inner.strip_suffix('>')).unwrap_or(text));
    let is_plain = |text: &&str| text.len() <= 320 && !text.chars().any(|c| c.is_control() || matches!(c, '<' | '>' | ' '));
    match text.filter(is_plain) {
        Some(address) => Ok(address.to_owned()),
        None => Err(Broken::Protocol("an address that is none".to_owned())),
    }
}
