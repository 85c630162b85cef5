//! Asks a server over HTTP: names resolved, addresses looked at, one answer read within its bounds.
//!
//! It is 200 lines over std rather than a crate: what is to be bounded here is what clients hide – which address is connected to, how long
//! an answer may trickle, where redirects lead – and no proxy, cookie, password, coding or kept connection may come in by a default.

use std::collections::HashSet;
use std::fmt;
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use sealpost::http::{self, Answer, Host, Reach, Reader, Url};
use sealpost::limits::{Budget, LimitReached, Limits};

use crate::cli::resolve;

/// Seconds that an address has to take a connection. 5: three tries of TCP; another address may be there.
const CONNECT: Duration = Duration::from_secs(5);

/// How many times the time for one answer all of them together may take. 4: one server of several hangs.
const ALL: u32 = 4;

/// Addresses of one name that are tried. 4: two of each family.
const ADDRESSES: usize = 4;

/// Bytes that are read at once.
const PIECE: usize = 64 << 10;

/// Which addresses may be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Allowed {
    /// Those that are public.
    Public,
    /// Those inside of this machine and its network, too.
    Inside,
}

/// What is asked.
#[derive(Debug, Clone, Copy)]
pub(super) enum Ask<'a> {
    /// For a file.
    Get,
    /// With a body of this media type.
    Post(&'static str, &'a [u8]),
}

/// Why there is no answer of use.
#[derive(Debug)]
pub(super) enum Failed {
    /// The URL or the answer is refused.
    Http(http::Error),
    /// A bound was reached.
    Limit(LimitReached),
    /// The name has no address that may be asked.
    Address(String),
    /// No address was found, or no connection.
    Unreachable(String),
    /// It took too long.
    Slow(Duration),
    /// Everything together took too long, or this server did so before.
    Late(&'static str),
    /// The server answers with another status than 200.
    Status(u16),
    /// The server sends on more often than it may.
    SentOn(usize),
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(error) => error.fmt(f),
            Self::Limit(limit) => limit.fmt(f),
            Self::Address(why) | Self::Unreachable(why) => f.write_str(why),
            Self::Slow(time) => write!(f, "it took longer than {} seconds", time.as_secs()),
            Self::Late(why) => f.write_str(why),
            Self::Status(404) => f.write_str("the server has no such file (404)"),
            Self::Status(status) => write!(f, "the server answers with status {status}"),
            Self::SentOn(times) => write!(f, "it sends on to another place more than {times} times"),
        }
    }
}

impl From<http::Error> for Failed {
    fn from(error: http::Error) -> Self {
        Self::Http(error)
    }
}

impl From<LimitReached> for Failed {
    fn from(limit: LimitReached) -> Self {
        Self::Limit(limit)
    }
}

/// Asks servers, for one command.
pub(super) struct Client<'l> {
    limits: &'l Limits,
    allowed: Allowed,
    /// For one answer, from the look-up of the name to the last byte.
    time: Duration,
    /// For all of them.
    end: Instant,
    urls: Budget,
    bytes: Budget,
    /// Hosts that did not answer.
    silent: HashSet<String>,
}

impl<'l> Client<'l> {
    pub(super) fn new(allowed: Allowed, time: Duration, limits: &'l Limits) -> Self {
        let end = Instant::now().checked_add(time.saturating_mul(ALL)).unwrap_or_else(Instant::now);
        let (urls, bytes) =
            (Budget::new("fetched urls", limits.fetched_urls), Budget::new("fetched bytes", limits.fetched_bytes));
        Self { limits, allowed, time, end, urls, bytes, silent: HashSet::new() }
    }

    /// The answer of a URL with status 200, wherever it sends on to.
    pub(super) fn ask(&mut self, url: &Url, ask: Ask<'_>, most: usize) -> Result<Answer, Failed> {
        let now = Instant::now();
        let deadline = now.checked_add(self.time).map_or(self.end, |end| end.min(self.end));
        let mut url = url.clone();
        for _ in 0..=self.limits.fetch_redirects {
            if self.silent.contains(&url.authority()) {
                return Err(Failed::Late("this server did not answer before"));
            }
            let answer = self.ask_once(&url, ask, most, deadline);
            if let Err(Failed::Slow(_) | Failed::Unreachable(_)) = answer {
                self.silent.insert(url.authority());
            }
            let answer = answer?;
            match (answer.status, &answer.location) {
                (200, _) => return Ok(answer),
                // the address of each is looked at anew
                (301 | 302 | 303 | 307 | 308, Some(location)) => url = url.join(location)?,
                (status, _) => return Err(Failed::Status(status)),
            }
        }
        Err(Failed::SentOn(self.limits.fetch_redirects))
    }

    fn ask_once(&mut self, url: &Url, ask: Ask<'_>, most: usize, deadline: Instant) -> Result<Answer, Failed> {
        self.urls.spend(1u64)?;
        self.left(deadline)?;
        let request = match ask {
            Ask::Get => http::get(url),
            Ask::Post(media_type, body) => http::post(url, media_type, body),
        };
        let mut stream = self.connect(url, deadline)?;
        let broken = |error: &std::io::Error| match error.kind() {
            // what the system says where a time that was set for a socket is over
            ErrorKind::WouldBlock | ErrorKind::TimedOut => Failed::Slow(self.time),
            _ => Failed::Unreachable(format!("the connection broke – {error}")),
        };
        let left = self.left(deadline)?;
        stream.set_write_timeout(Some(left)).and_then(|()| stream.write_all(&request)).map_err(|e| broken(&e))?;
        let mut reader = Reader::new(most, self.limits);
        let mut piece = vec![0; PIECE];
        loop {
            // each wait ends when all of it must
            let left = self.left(deadline)?;
            let read = stream.set_read_timeout(Some(left)).and_then(|()| stream.read(&mut piece));
            let read = match read {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                other => other.map_err(|e| broken(&e))?,
            };
            if read == 0 {
                return Ok(reader.finish()?);
            }
            self.bytes.spend(read)?;
            if reader.receive(piece.get(..read).unwrap_or_default())? {
                return Ok(reader.finish()?);
            }
        }
    }

    /// Connects to an address that may be asked: the one that was looked at, and no other.
    fn connect(&self, url: &Url, deadline: Instant) -> Result<TcpStream, Failed> {
        let addresses = self.addresses(url, deadline)?;
        let mut refused = None;
        let mut may = Vec::new();
        for address in addresses {
            match self.may_ask(address.ip()) {
                Ok(()) => may.push(address),
                Err(why) => refused = refused.or(Some(why)),
            }
        }
        let mut failed = match refused {
            Some(why) if may.is_empty() => return Err(Failed::Address(why)),
            _ => Failed::Unreachable("its name has no address".to_owned()),
        };
        for address in may.iter().take(ADDRESSES) {
            match TcpStream::connect_timeout(address, self.left(deadline)?.min(CONNECT)) {
                Ok(stream) => return Ok(stream),
                Err(error) if error.kind() == ErrorKind::TimedOut => {
                    failed = Failed::Unreachable("it does not answer".to_owned());
                }
                Err(error) => failed = Failed::Unreachable(format!("no connection – {error}")),
            }
        }
        Err(failed)
    }

    fn may_ask(&self, address: IpAddr) -> Result<(), String> {
        match (http::reach(address), self.allowed) {
            (Reach::Public, _) | (Reach::Inside(_), Allowed::Inside) => Ok(()),
            (Reach::Inside(kind), Allowed::Public) => {
                Err(format!("its address {address} is inside of a network ({kind}) – such are not asked without --fetch-private"))
            }
            (Reach::Nobody(kind), _) => Err(format!("nothing can be had at its address {address} ({kind})")),
        }
    }

    fn addresses(&self, url: &Url, deadline: Instant) -> Result<Vec<SocketAddr>, Failed> {
        let name = match url.host() {
            Host::V4(address) => return Ok(vec![(*address, url.port()).into()]),
            Host::V6(address) => return Ok(vec![(*address, url.port()).into()]),
            Host::Name(name) => name,
        };
        resolve::addresses(name, url.port(), self.left(deadline)?).map_err(|error| match error.kind() {
            ErrorKind::TimedOut => Failed::Slow(self.time),
            _ => Failed::Unreachable(format!("its name has no address – {error}")),
        })
    }

    fn left(&self, deadline: Instant) -> Result<Duration, Failed> {
        let left = deadline.checked_duration_since(Instant::now()).filter(|left| !left.is_zero());
        left.ok_or(if deadline == self.end { Failed::Late("everything together took too long") } else { Failed::Slow(self.time) })
    }
}
