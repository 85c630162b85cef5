//! Users of an LDAP directory or Active Directory: a password is right where the directory lets its owner in with it.
//!
//! ```text
//! name by a template   ──────────────────────────────▶ login as that name
//! name by a search     connection ─▶ search ─▶ name ─▶ login as that name, on a connection of its own
//! ```
//!
//! Never without TLS, and never with an empty password: directories take that for a login of nobody in particular, and say yes.

mod wire;

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustls::ClientConfig;

use crate::keys::directory::ldap::{Filter, Found, Login, Search, Security, Step, Tls};
use crate::keys::directory::{self, Address};
use crate::limits::Limits;
use crate::secret::Secret;
use crate::server::accounts::directory::{Costs, Directory};
use crate::server::accounts::kind::{Bind, Ldap as Config};
use crate::server::accounts::ldap::wire::Stream;
use crate::server::accounts::normal;
use crate::server::store::Error;

/// A directory.
pub(super) struct Ldap {
    config: Config,
    domain: String,
    reader: Option<Login>,
    tls: Arc<ClientConfig>,
    limits: Limits,
    found: Mutex<HashMap<String, (Option<Person>, Instant)>>,
}

/// Who has an address.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Person {
    /// The name by which he logs in.
    name: String,
    mailbox: String,
}

/// For one conversation: a directory in the same house answers in milliseconds, and people and other servers wait for it.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long it is remembered who has an address: a mailing to many of the domain asks once for each.
const GOOD_FOR: Duration = Duration::from_secs(60);
/// Addresses that are remembered; strangers can ask for any.
const REMEMBERED: usize = 10_000;
/// The attribute of the mailbox.
const MAIL: &str = "mail";

impl Ldap {
    /// A directory of this domain. It is asked when somebody logs in, and not before.
    pub(super) fn new(config: &Config, domain: &str) -> Result<Self, String> {
        let reader = match &config.bind {
            Bind::Search(Some((name, path))) => {
                let password = std::fs::read(path).map_err(|error| format!("{} cannot be read – {error}", path.display()))?;
                let end = password.iter().position(|byte| matches!(byte, b'\r' | b'\n')).unwrap_or(password.len());
                let password = Secret::new(password.get(..end).unwrap_or_default().to_vec());
                Some(Login { name: name.clone(), password })
            }
            _ => None,
        };
        let tls = wire::tls(config.trust.as_deref())?;
        let (config, domain, limits) = (config.clone(), domain.to_owned(), Limits::default());
        Ok(Self { config, domain, reader, tls, limits, found: Mutex::default() })
    }

    fn failed(&self, why: &dyn std::fmt::Display) -> Error {
        Error::Broken(format!("the directory {} of {} – {why}", self.config.url.host, self.domain))
    }

    /// Who has this address; remembered for a minute.
    fn person(&self, address: &str) -> Result<Option<Person>, Error> {
        if let Bind::Template(template) = &self.config.bind {
            let name = filled(template, address);
            return Ok(name.map(|name| Person { name, mailbox: address.to_owned() }));
        }
        let known = || self.found.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((person, until)) = known().get(address)
            && Instant::now() < *until
        {
            return Ok(person.clone());
        }
        let person = self.search(address)?;
        let mut known = known();
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(address.to_owned(), (person.clone(), Instant::now() + GOOD_FOR));
        Ok(person)
    }

    fn search(&self, address: &str) -> Result<Option<Person>, Error> {
        // what is no address is nobody's; it goes no further, and into a filter as a value only
        let Ok(wanted) = Address::parse(address) else { return Ok(None) };
        let principal = Filter::Equal("userPrincipalName".to_owned(), address.as_bytes().to_vec());
        let mut filter = Filter::Or(vec![Filter::of_address(&wanted), principal]);
        if let Some(also) = &self.config.url.filter {
            filter = Filter::And(vec![also.clone(), filter]);
        }
        let mut search = Search::new(self.tls_wish(), &self.config.url.base, filter, &self.limits)
            .scope(self.config.url.scope)
            .attributes(&[MAIL.to_owned()])
            .seconds(PATIENCE.as_secs());
        if let Some(reader) = &self.reader {
            search = search.login(reader.clone()).map_err(|error| self.failed(&error))?;
        }
        let found = self.talk(search).map_err(|why| self.failed(&why))?;
        // two entries with one address: neither is let in for the other
        let [entry] = found.entries.as_slice() else { return Ok(None) };
        if entry.name.is_empty() {
            return Ok(None);
        }
        let addresses = entry.values.iter().filter(|value| value.attribute.eq_ignore_ascii_case(MAIL));
        let mut own = addresses.map(|value| normal(&String::from_utf8_lossy(&value.bytes)));
        let mailbox = own.find(|own| own.ends_with(&format!("@{}", self.domain)) && Address::parse(own).is_ok());
        Ok(Some(Person { name: entry.name.clone(), mailbox: mailbox.unwrap_or_else(|| address.to_owned()) }))
    }

    fn tls_wish(&self) -> Tls {
        if self.config.url.security == Security::Tls { Tls::Begun } else { Tls::Demanded }
    }

    /// Has a conversation on a connection of its own.
    fn talk(&self, mut search: Search) -> Result<Found, Failure> {
        let deadline = Instant::now() + PATIENCE;
        let (host, tls) = (self.config.url.host.as_str(), &self.tls);
        let mut stream = Stream::connect((host, self.config.url.port), deadline)?;
        if self.config.url.security == Security::Tls {
            stream = stream.secured(host, tls)?;
        }
        let mut buffer = vec![0; 4096];
        loop {
            match search.step()? {
                Step::Send(bytes) => {
                    let sent = stream.write_all(bytes.expose()).and_then(|()| stream.flush());
                    // whether the server hears the last word matters to nobody
                    if sent.is_err() && !matches!(search.step(), Ok(Step::Done)) {
                        sent?;
                    }
                }
                Step::StartTls => {
                    stream = stream.secured(host, tls)?;
                    search.secured();
                }
                Step::Receive => {
                    let read = stream.read(&mut buffer)?;
                    if read == 0 {
                        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it closed the connection").into());
                    }
                    search.receive(buffer.get(..read).unwrap_or_default())?;
                }
                Step::Done => return Ok(search.into_found()),
            }
        }
    }
}

impl Directory for Ldap {
    /// Nothing is kept here: what is remembered of a login is good for its seconds.
    fn kept(&self, _address: &str) -> Result<Secret<String>, Error> {
        Ok(Secret::default())
    }

    fn check(&self, address: &str, _kept: &Secret<String>, password: &Secret<Vec<u8>>) -> Result<Option<String>, Error> {
        let person = self.person(address)?;
        // where there is nobody, somebody is asked for who is not there: that takes as long
        let name = person.as_ref().map_or_else(|| format!("cn=nobody,{}", self.config.url.base), |person| person.name.clone());
        let login = Login { name, password: password.clone() };
        let search = Search::only_login(self.tls_wish(), login, &self.limits).map_err(|error| self.failed(&error))?;
        match self.talk(search) {
            Ok(_) => Ok(person.map(|person| person.mailbox)),
            Err(Failure::Directory(directory::Error::Refused { what: "the login", code, .. })) if is_no(code) => Ok(None),
            Err(_) if person.is_none() => Ok(None),
            Err(why) => Err(self.failed(&why)),
        }
    }

    fn knows_names(&self) -> bool {
        !matches!(self.config.bind, Bind::Template(_))
    }

    fn costs(&self) -> Costs {
        Costs::Asking
    }

    fn mailbox(&self, address: &str) -> Result<Option<String>, Error> {
        Ok(self.person(address)?.map(|person| person.mailbox))
    }
}

/// Result codes that say that the name or the password is wrong, and not that the directory cannot tell (RFC 4511 appendix A): no such
/// object, a name that cannot be, inappropriate authentication, invalid credentials, unwilling (a locked account).
fn is_no(code: u64) -> bool {
    matches!(code, 32 | 34 | 48 | 49 | 53)
}

/// A name from a template; `None` for addresses that it cannot be made from.
///
/// In a distinguished name (RFC 4514 2.4) whatever means something there is escaped. Other names, as Active Directory has them, know no
/// escapes: they take letters, digits and the marks of plain names.
fn filled(template: &str, address: &str) -> Option<String> {
    let (user, _) = address.rsplit_once('@')?;
    let is_plain = |text: &str| text.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | '@'));
    let value = |text: &str| match template.contains('=') {
        true => Some(escaped(text)),
        false => is_plain(text).then(|| text.to_owned()),
    };
    Some(template.replace("{user}", &value(user)?).replace("{address}", &value(address)?)).filter(|_| !user.is_empty())
}

fn escaped(text: &str) -> String {
    let last = text.chars().count().saturating_sub(1);
    let one = |(at, c): (usize, char)| match c {
        ' ' if at == 0 || at == last => "\\ ".to_owned(),
        '"' | '+' | ',' | ';' | '<' | '>' | '\\' | '=' | '#' => format!("\\{c}"),
        c if c.is_ascii_control() => format!("\\{:02x}", u32::from(c)),
        // a placeholder that somebody calls himself by is not filled again
        '{' | '}' => format!("\\{:02x}", u32::from(c)),
        c => c.to_string(),
    };
    text.chars().enumerate().map(one).collect()
}

/// Why a conversation gave nothing.
#[derive(Debug)]
enum Failure {
    Io(io::Error),
    Directory(directory::Error),
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::Directory(error) => error.fmt(f),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<directory::Error> for Failure {
    fn from(error: directory::Error) -> Self {
        Self::Directory(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_cannot_leave_his_place_in_a_name() {
        let dn = |address: &str| filled("uid={user},ou=people,dc=b", address);
        assert_eq!(dn("jane@b.example").as_deref(), Some("uid=jane,ou=people,dc=b"));
        assert_eq!(dn("a,ou=admins@b.example").as_deref(), Some("uid=a\\,ou\\=admins,ou=people,dc=b"));
        assert_eq!(dn(" #x\\ @b.example").as_deref(), Some("uid=\\ \\#x\\\\\\ ,ou=people,dc=b"));
        assert_eq!(dn("a\0b@b.example").as_deref(), Some("uid=a\\00b,ou=people,dc=b"));
        assert_eq!(dn("{address}@b.example").as_deref(), Some("uid=\\7baddress\\7d,ou=people,dc=b"));
        assert_eq!(dn("@b.example"), None);
        assert_eq!(filled("{address}", "jane@ad.example").as_deref(), Some("jane@ad.example"));
        assert_eq!(filled("CORP\\{user}", "jane.d@ad.example").as_deref(), Some("CORP\\jane.d"));
        for address in ["ja\\ne@ad.example", "jane*@ad.example", "(jane)@ad.example", "{user}@ad.example", "j ane@ad.example"] {
            assert_eq!(filled("{address}", address), None, "{address}");
        }
    }
}
