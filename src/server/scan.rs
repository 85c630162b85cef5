//! Scanners that see each message before it is accepted: one conversation of `proto::milter` each, over a socket.
//!
//! Runs where it may block: what asks already waits for the disk, too.

use std::borrow::Cow;
use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::limits::Limits;
use crate::mime::{self, canonical};
use crate::proto::milter::{Change, Decision, Field, Milter, MilterStep, Offer, Verdict};

/// A scanner of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scanner {
    /// Where it listens.
    pub address: Address,
    /// What becomes of messages while it cannot be asked.
    pub on_failure: OnFailure,
}

/// Where a scanner listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A socket in the file system.
    Unix(PathBuf),
    /// A host and a port.
    Inet(String, u16),
}

/// What becomes of messages while a scanner cannot be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFailure {
    /// They go on as they are.
    Accept,
    /// The peer is asked to try again later.
    Tempfail,
}

impl Address {
    /// Reads `unix:/run/x.sock` or `inet:host:port`.
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(path) = text.strip_prefix("unix:").or_else(|| text.strip_prefix("local:")) {
            return path.starts_with('/').then(|| Self::Unix(PathBuf::from(path)));
        }
        let (host, port) = text.strip_prefix("inet:")?.rsplit_once(':')?;
        let host = host.trim_matches(['[', ']']);
        let port = port.parse().ok().filter(|port| *port != 0)?;
        (!host.is_empty()).then(|| Self::Inet(host.to_owned(), port))
    }
}

/// How long a scanner may take to take the connection.
const CONNECT: Duration = Duration::from_secs(10);

/// How long all of one message may take, however often the scanner says that it works on it.
const WHOLE: Duration = Duration::from_secs(600);

trait Stream: Read + Write {
    fn set_patience(&self, patience: Duration) -> std::io::Result<()>;
}

impl Stream for TcpStream {
    fn set_patience(&self, patience: Duration) -> std::io::Result<()> {
        self.set_read_timeout(Some(patience))?;
        self.set_write_timeout(Some(patience))
    }
}

impl Stream for UnixStream {
    fn set_patience(&self, patience: Duration) -> std::io::Result<()> {
        self.set_read_timeout(Some(patience))?;
        self.set_write_timeout(Some(patience))
    }
}

impl Scanner {
    /// Offers a message and waits for the verdict; the error is for the log.
    pub fn offer(&self, offer: Offer, limits: &Limits) -> Result<Verdict, String> {
        let mut stream = self.connect()?;
        let begin = Instant::now();
        let mut session = Milter::new(offer, limits);
        let mut buffer = vec![0; 16 << 10];
        let failed = |error: std::io::Error| format!("the scanner {self} – {error}");
        loop {
            match session.step() {
                MilterStep::Send(bytes) => {
                    stream.set_patience(CONNECT.saturating_mul(3)).map_err(failed)?;
                    stream.write_all(&bytes).map_err(failed)?;
                }
                MilterStep::Wait(patience) => {
                    let left = WHOLE.saturating_sub(begin.elapsed()).min(patience);
                    if left.is_zero() {
                        return Err(format!("the scanner {self} takes too long"));
                    }
                    stream.set_patience(left).map_err(failed)?;
                    match stream.read(&mut buffer).map_err(failed)? {
                        0 => return Err(format!("the scanner {self} hung up")),
                        read => session.receive(buffer.get(..read).unwrap_or_default()),
                    }
                }
                MilterStep::Done(verdict) => {
                    // it hears that we leave; whether it does changes nothing
                    let _ = stream.write_all(&[0, 0, 0, 1, b'Q']);
                    return verdict.map_err(|broken| format!("the scanner {self} – {broken}"));
                }
            }
        }
    }

    fn connect(&self) -> Result<Box<dyn Stream>, String> {
        let failed = |error: std::io::Error| format!("the scanner {self} does not answer – {error}");
        match &self.address {
            Address::Unix(path) => UnixStream::connect(path).map(|stream| Box::new(stream) as Box<dyn Stream>).map_err(failed),
            Address::Inet(host, port) => {
                let addresses = (host.as_str(), *port).to_socket_addrs().map_err(failed)?;
                let mut last = std::io::Error::other("its name has no address");
                for address in addresses {
                    match TcpStream::connect_timeout(&address, CONNECT) {
                        Ok(stream) => return Ok(Box::new(stream)),
                        Err(error) => last = error,
                    }
                }
                Err(failed(last))
            }
        }
    }
}

impl std::fmt::Display for Scanner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.address {
            Address::Unix(path) => write!(f, "unix:{}", path.display()),
            Address::Inet(host, port) => write!(f, "inet:{host}:{port}"),
        }
    }
}

/// A message that scanners looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scanned<'m> {
    /// The message as it goes on.
    pub message: Cow<'m, [u8]>,
    /// Its recipients.
    pub recipients: Vec<String>,
    /// Those among them whom scanners added: no rule for peers is about them.
    pub added: Vec<String>,
    /// Its sender; empty for none.
    pub sender: String,
    /// Whether it is kept aside.
    pub is_aside: bool,
}

impl<'m> Scanned<'m> {
    /// A message that nobody looked at.
    pub fn new(message: &'m [u8], recipients: Vec<String>, sender: String) -> Self {
        Self { message: Cow::Borrowed(message), recipients, added: Vec::new(), sender, is_aside: false }
    }

    /// Puts in what one scanner wants; gives what becomes of the message.
    pub fn apply(&mut self, verdict: Verdict, limits: &Limits) -> Result<Decision, String> {
        if verdict.decision != Decision::Accept {
            return Ok(verdict.decision);
        }
        // after DATA a peer hears one reply for all: a recipient refused alone would be told of nothing
        if let Some((_, refusal)) = verdict.refused.into_iter().next() {
            return Ok(Decision::Refuse(refusal));
        }
        let new = match changed(&self.message, &verdict.changes, limits).map_err(|error| error.to_string())? {
            Cow::Owned(new) => Some(new),
            Cow::Borrowed(_) => None,
        };
        if let Some(new) = new {
            self.message = Cow::Owned(new);
        }
        for change in verdict.changes {
            match change {
                Change::AddRecipient(address) => {
                    self.recipients.push(address.clone());
                    self.added.push(address);
                }
                Change::RemoveRecipient(address) => self.recipients.retain(|known| !known.eq_ignore_ascii_case(&address)),
                Change::ChangeSender(address) => self.sender = address,
                Change::Quarantine(_) => self.is_aside = true,
                _ => {}
            }
        }
        Ok(Decision::Accept)
    }
}

/// Header fields and body of a message, as an offer holds them.
pub fn taken_apart(message: &[u8], limits: &Limits) -> Result<(Vec<Field>, Arc<[u8]>), mime::Error> {
    let entity = mime::parse(message, limits)?;
    let fields = entity.fields().iter();
    let fields = fields.map(|field| {
        let value = message.get(field.value.clone()).unwrap_or_default();
        Field { name: field.name_as_written(message).to_vec(), value: value.to_vec() }
    });
    Ok((fields.collect(), entity.body(message).into()))
}

/// The message with the changes of its header section and body put in; what is not changed keeps its bytes, lines that are no field, too.
pub fn changed<'m>(message: &'m [u8], changes: &[Change], limits: &Limits) -> Result<Cow<'m, [u8]>, mime::Error> {
    let touches = |change: &Change| {
        use Change::{AddField, ChangeField, InsertField, ReplaceBody};
        matches!(change, AddField { .. } | InsertField { .. } | ChangeField { .. } | ReplaceBody(_))
    };
    if !changes.iter().any(touches) {
        return Ok(Cow::Borrowed(message));
    }
    let entity = mime::parse(message, limits)?;
    let body_begin = entity.body_range().start;
    let (mut lines, mut at) = (Vec::new(), 0);
    for field in entity.fields() {
        lines.push(Line { name: None, bytes: message.get(at..field.range.start).unwrap_or_default().to_vec() });
        lines.push(Line { name: Some(field.name.clone()), bytes: field.raw(message).to_vec() });
        at = field.range.end;
    }
    lines.retain(|line| !line.bytes.is_empty());
    let mut end = message.get(at..body_begin).unwrap_or_default().to_vec();
    if !end.ends_with(b"\n") {
        end.extend_from_slice(b"\r\n");
    }
    let mut body = Cow::Borrowed(entity.body(message));
    for change in changes {
        match change {
            Change::AddField { name, value } => lines.push(Line::new(name, value)),
            Change::InsertField { index, name, value } => {
                let mut places = lines.iter().enumerate().filter(|(_, line)| line.name.is_some()).map(|(place, _)| place);
                // sendmail and Postfix count their own Received, which is put in front later: 1 is what comes right behind it
                let place = places.nth(index.saturating_sub(1)).unwrap_or(lines.len());
                lines.insert(place, Line::new(name, value));
            }
            Change::ChangeField { index, name, value } => {
                let is_named = |line: &Line| line.name.as_ref().is_some_and(|known| known.eq_ignore_ascii_case(name));
                let mut places = lines.iter().enumerate().filter(|(_, line)| is_named(line)).map(|(place, _)| place);
                let place = places.nth(index.saturating_sub(1));
                match (place, value.is_empty()) {
                    (Some(place), true) => drop(lines.remove(place)),
                    (Some(place), false) => {
                        if let Some(line) = lines.get_mut(place) {
                            *line = Line::new(name, value);
                        }
                    }
                    (None, true) => {}
                    // as libmilter says: what is not there is added
                    (None, false) => lines.push(Line::new(name, value)),
                }
            }
            // programs write line feeds alone, too: these would end lines at the next server that no line ends here (RFC 5321 2.3.8)
            Change::ReplaceBody(new) => body = canonical::to_lines(new),
            _ => {}
        }
    }
    let mut whole: Vec<u8> = lines.into_iter().flat_map(|line| line.bytes).collect();
    whole.extend_from_slice(&end);
    whole.extend_from_slice(&body);
    Ok(Cow::Owned(whole))
}

/// A field, or lines that are none.
struct Line {
    name: Option<String>,
    bytes: Vec<u8>,
}

impl Line {
    fn new(name: &str, value: &[u8]) -> Self {
        Self { name: Some(name.to_owned()), bytes: [name.as_bytes(), b":", value, b"\r\n"].concat() }
    }
}
