//! What administrators do: domains, users, aliases, the queue, tokens. One implementation for the command line and the admin API.
//!
//! Uses: accounts, filters, the store; of proto what RCPT takes. Never: sockets; words of a protocol.
//! Holds always: an address or a domain is looked at before it is kept; a password is taken and never given.

pub mod json;
mod status;
mod tokens;

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use crate::limits::Limits;
use crate::proto::smtp;
use crate::secret::Secret;
use crate::server::accounts::{Accounts, normal};
use crate::server::config::Hop;
use crate::server::filter::{FileFilters, Filters};
use crate::server::store::{self, Room, Standing, Store, TlsResult, Waiting, Which};
use crate::sieve::{Mistake, Script};
use crate::time::Timestamp;

pub(in crate::server) use status::Overview;
pub use status::Status;
pub use tokens::{NewToken, Unknown};

/// Why something was not done.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// What was given is not what it should be: what, and what is meant.
    Wrong(String, &'static str),
    /// It says nothing of what it is about.
    Nothing(&'static str),
    /// A script has these mistakes.
    Script(Vec<Mistake>),
    /// An alias would lead to itself: the way, from it on.
    Circle(Vec<String>),
    /// An alias would do nothing: the user of this address has its mail.
    HasMailbox(String),
    /// A user would take the mail of an alias.
    IsAlias(String),
    /// What the store says.
    Store(store::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wrong(given, meant) => write!(f, "{given} is not {meant}"),
            Self::Nothing(verb) => write!(f, "nothing was said of what to {verb}"),
            Self::Circle(way) => write!(f, "the alias would lead to itself, and mail to nobody – {}", way.join(" → ")),
            Self::HasMailbox(user) => write!(f, "exists already – the user {user}, who has the mail of this address"),
            Self::IsAlias(alias) => write!(f, "exists already – the alias {alias}, which has the mail of this address"),
            Self::Script(mistakes) => {
                f.write_str("the script has mistakes")?;
                mistakes.iter().try_for_each(|mistake| write!(f, "\n  {mistake}"))
            }
            Self::Store(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Error {}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Self {
        Self::Store(error)
    }
}

/// A user, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The address.
    pub address: String,
    /// Whether he may come in.
    pub standing: Standing,
    /// What the mailbox and its domain hold, and may hold.
    pub room: Room,
}

/// A domain with a quota, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bounded {
    /// The domain.
    pub domain: String,
    /// Bytes that its mailboxes hold, and may hold.
    pub room: (u64, u64),
}

/// What administrators do with a server's data, whether the server runs or not.
#[derive(Clone)]
pub struct Manage {
    accounts: Accounts,
    filters: Arc<dyn Filters>,
}

impl fmt::Debug for Manage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Manage")
    }
}

/// Bytes of a password: more is a mistake, and costs time.
const PASSWORD: usize = 1024;
/// Characters that a password should have: NIST SP 800-63B 5.1.1.1 (of 2017).
pub const LEAST: usize = 8;

impl Manage {
    /// The accounts of a server, and the folder of its data, where filters lie.
    pub fn new(accounts: Accounts, data: &Path) -> Self {
        Self { accounts, filters: Arc::new(FileFilters::new(data)) }
    }

    fn store(&self) -> &dyn Store {
        self.accounts.store().as_ref()
    }

    /// Every domain, by name.
    pub fn domains(&self) -> Result<Vec<String>, Error> {
        Ok(self.store().domains()?)
    }

    /// The domains that have a quota, with what their mailboxes hold and may hold.
    pub fn domain_quotas(&self) -> Result<Vec<Bounded>, Error> {
        let mut found = Vec::new();
        for domain in self.store().domains()? {
            let room = self.store().room(&format!("@{domain}"))?.domain;
            if room.1 > 0 {
                found.push(Bounded { domain, room });
            }
        }
        Ok(found)
    }

    /// Adds a domain; gives it as it is kept: in ASCII (RFC 5890 2.3.2.1).
    pub fn add_domain(&self, domain: &str) -> Result<String, Error> {
        let domain = domain_name(domain)?;
        self.store().add_domain(&domain)?;
        Ok(domain)
    }

    /// Removes a domain that has no users.
    pub fn remove_domain(&self, domain: &str) -> Result<(), Error> {
        Ok(self.store().remove_domain(&domain_name(domain).unwrap_or_else(|_| domain.to_lowercase()))?)
    }

    /// Bounds the bytes of all mailboxes of a domain; 0 lifts the bound.
    pub fn set_domain_quota(&self, domain: &str, bytes: u64) -> Result<(), Error> {
        Ok(self.store().set_quota(&domain_name(domain)?, bytes)?)
    }

    /// Every user.
    pub fn users(&self) -> Result<Vec<String>, Error> {
        Ok(self.store().users()?)
    }

    /// The users who may not come in.
    pub fn suspended(&self) -> Result<Vec<String>, Error> {
        Ok(self.store().suspended()?)
    }

    /// One user.
    pub fn user(&self, address: &str) -> Result<User, Error> {
        let address = address_of(address)?;
        let standing = self.store().standing(&address)?;
        let standing = standing.ok_or_else(|| store::Error::NotFound(format!("the user {address}")))?;
        let room = self.store().room(&address)?;
        Ok(User { address, standing, room })
    }

    /// Adds a user, whose address is no alias; gives it as it is kept.
    pub fn add_user(&self, address: &str, password: &Secret<Vec<u8>>) -> Result<String, Error> {
        let address = address_of(address)?;
        if !self.store().targets(&address)?.is_empty() {
            return Err(Error::IsAlias(address));
        }
        self.accounts.add_user(&address, good(password)?)?;
        Ok(address)
    }

    /// Changes a password; gives the address as it is kept.
    pub fn set_password(&self, address: &str, password: &Secret<Vec<u8>>) -> Result<String, Error> {
        let address = address_of(address).unwrap_or_else(|_| normal(address));
        self.accounts.set_password(&address, good(password)?)?;
        Ok(address)
    }

    /// Removes a user, his mail and his filter: whoever gets the name next does not get it.
    pub fn remove_user(&self, address: &str) -> Result<(), Error> {
        let address = address_of(address).unwrap_or_else(|_| address.to_lowercase());
        self.store().remove_user(&address)?;
        Ok(self.filters.remove(&address)?)
    }

    /// The filter of a user, a script of Sieve (RFC 5228); empty where he has none.
    pub fn filter(&self, address: &str) -> Result<Vec<u8>, Error> {
        Ok(self.filters.script(&self.user(address)?.address)?.unwrap_or_default())
    }

    /// Puts a filter in place for the next message; one with mistakes is refused, and the one before stays.
    pub fn set_filter(&self, address: &str, script: &[u8]) -> Result<(), Error> {
        let user = self.user(address)?;
        Self::check_filter(script)?;
        Ok(self.filters.put(&user.address, script)?)
    }

    /// Whether a script has mistakes; nothing is changed.
    pub fn check_filter(script: &[u8]) -> Result<(), Error> {
        Script::parse(script, &Limits::default()).map(drop).map_err(Error::Script)
    }

    /// Takes a filter away: all goes to the inbox.
    pub fn remove_filter(&self, address: &str) -> Result<(), Error> {
        Ok(self.filters.remove(&self.user(address)?.address)?)
    }

    /// Bounds the bytes of a mailbox; 0 lifts the bound.
    pub fn set_user_quota(&self, address: &str, bytes: u64) -> Result<(), Error> {
        Ok(self.store().set_quota(&address_of(address)?, bytes)?)
    }

    /// Lets a user in from now on, or not. Mail for one who may not come in is kept.
    pub fn set_standing(&self, address: &str, standing: Standing) -> Result<(), Error> {
        Ok(self.store().set_standing(&address_of(address)?, standing)?)
    }

    /// Every alias with its targets.
    pub fn aliases(&self) -> Result<Vec<(String, String)>, Error> {
        Ok(self.store().aliases()?)
    }

    /// Leads an address, or all of a domain (`@domain`), to others. None is added where one of them is there already, or leads back, or where the
    /// address is a user's.
    pub fn add_alias(&self, alias: &str, targets: &[impl AsRef<str>]) -> Result<(), Error> {
        let alias = match alias.strip_prefix('@') {
            Some(rest) => format!("@{}", domain_name(rest)?),
            None => address_of(alias)?,
        };
        // a user comes before an alias, also one whose password is kept elsewhere, from when he has a mailbox here
        if self.store().password_hash(&alias)?.is_some() {
            return Err(Error::HasMailbox(alias));
        }
        let known = self.store().targets(&alias)?;
        let targets: Vec<String> = targets.iter().map(|target| address_of(target.as_ref())).collect::<Result<_, _>>()?;
        for target in &targets {
            if known.contains(target) {
                return Err(store::Error::Exists(format!("the alias {alias} to {target}")).into());
            }
            if let Some(way) = self.accounts.way(target, &alias)? {
                return Err(Error::Circle([vec![alias], way].concat()));
            }
        }
        // who is named twice is meant once
        targets.into_iter().collect::<BTreeSet<_>>().iter().try_for_each(|target| Ok(self.store().add_alias(&alias, target)?))
    }

    /// Removes an alias with all its targets.
    pub fn remove_alias(&self, alias: &str) -> Result<(), Error> {
        let known = match alias.strip_prefix('@') {
            Some(rest) => domain_name(rest).map(|domain| format!("@{domain}")),
            None => address_of(alias),
        };
        Ok(self.store().remove_alias(&known.unwrap_or_else(|_| alias.to_lowercase()))?)
    }

    /// What waits for other servers.
    pub fn waiting(&self, which: &Which) -> Result<Vec<Waiting>, Error> {
        Ok(self.store().waiting_of(which)?)
    }

    /// A message of the queue.
    pub fn queued(&self, id: i64) -> Result<Vec<u8>, Error> {
        Ok(self.store().queued(id)?)
    }

    /// How large a message of the queue is.
    pub fn queued_size(&self, id: i64) -> Result<u64, Error> {
        Ok(self.store().read_queued(id)?.size())
    }

    /// Makes messages due now; those that are held only where they are named. The server is to be told, too.
    pub fn retry(&self, which: &Which, now: Timestamp) -> Result<(), Error> {
        Ok(self.store().retry(which, now)?)
    }

    /// Holds messages until they are named to [`Manage::retry`]. Not all of them: that would be by accident.
    pub fn hold(&self, which: &Which) -> Result<(), Error> {
        Ok(self.store().hold(named(which, "hold")?)?)
    }

    /// Takes messages out of the queue; nobody is told. Not all of them: that would be by accident.
    pub fn drop_queued(&self, which: &Which) -> Result<(), Error> {
        Ok(self.store().drop_queued(named(which, "drop")?)?)
    }

    /// How TLS went with other servers on a day (since 1970).
    pub fn tls_results(&self, day: i64) -> Result<Vec<(TlsResult, u64)>, Error> {
        Ok(self.store().tls_results(day)?)
    }
}

fn named<'w>(which: &'w Which, verb: &'static str) -> Result<&'w Which, Error> {
    if *which == Which::All { Err(Error::Nothing(verb)) } else { Ok(which) }
}

/// A domain as it is kept: one that RCPT takes, in lower case and ASCII.
fn domain_name(text: &str) -> Result<String, Error> {
    let domain = if text.is_ascii() { Some(text.to_lowercase()) } else { idna::domain_to_ascii(text).ok() };
    let is_taken = |domain: &String| {
        Hop::parse(domain).is_some_and(|hop| hop.host == *domain) && smtp::recipient(&format!("<x@{domain}>")).is_some()
    };
    domain.filter(is_taken).ok_or_else(|| Error::Wrong(text.to_owned(), "a domain, as a.example"))
}

fn address_of(text: &str) -> Result<String, Error> {
    let address = text.rsplit_once('@').and_then(|(local, of)| {
        let is_local = !local.is_empty() && !local.contains(|c: char| c.is_whitespace() || c.is_control() || "<>,;@".contains(c));
        Some(format!("{}@{}", local.to_lowercase(), domain_name(of).ok().filter(|_| is_local)?))
    });
    address.ok_or_else(|| Error::Wrong(text.to_owned(), "an address, as jane@a.example"))
}

/// Whether a mailbox may have this password from now on. Those that it has already, and hashes that were made elsewhere, are not asked.
pub fn good(password: &Secret<Vec<u8>>) -> Result<&Secret<Vec<u8>>, Error> {
    let bytes = password.expose();
    // PLAIN separates its parts by NUL (RFC 4616), and an empty one is asked for by nobody
    if bytes.is_empty() || bytes.len() > PASSWORD || bytes.contains(&0) {
        return Err(Error::Wrong("what was given".to_owned(), "a password of 1 to 1024 bytes without NUL"));
    }
    Ok(password)
}

/// Whether a password has fewer than [`LEAST`] characters: it is taken, since a script may have its reasons, and whoever sets it is warned.
pub fn is_short(password: &Secret<Vec<u8>>) -> bool {
    let bytes = password.expose();
    std::str::from_utf8(bytes).map_or(bytes.len(), |text| text.chars().count()) < LEAST
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::accounts::tests::accounts;

    fn secret(text: &[u8]) -> Secret<Vec<u8>> {
        Secret::new(text.to_vec())
    }

    #[test]
    fn what_is_no_address_is_told_and_not_kept() {
        let (folder, accounts) = accounts();
        let manage = Manage::new(accounts, folder.path());
        for text in ["jane", "a b@a.example", "<x>@a.example", "x@", "@a.example", "x@a b", "x@a.example:25", "x\n@a.example"] {
            assert!(matches!(manage.add_user(text, &secret(b"long enough")), Err(Error::Wrong(..))), "{text:?}");
            assert!(matches!(manage.set_user_quota(text, 1), Err(Error::Wrong(..))), "{text:?}");
        }
        assert!(matches!(manage.add_domain("a b"), Err(Error::Wrong(..))));
        assert!(matches!(manage.add_alias("all", &["x@b.example"]), Err(Error::Wrong(..))));
        for password in [&b""[..], b"a\0bcdefgh", &[b'x'; PASSWORD + 1]] {
            assert!(matches!(manage.add_user("new@a.example", &secret(password)), Err(Error::Wrong(..))));
        }
        assert_eq!(manage.users().expect("read"), ["jane@a.example"]);
        assert_eq!(manage.add_user("New@A.example", &secret(b"long enough")).expect("added"), "new@a.example");
        manage.add_alias("@A.example", &["jane@a.example"]).expect("a catch-all");
        assert_eq!(manage.aliases().expect("read"), [("@a.example".to_owned(), "jane@a.example".to_owned())]);
    }

    #[test]
    fn a_domain_is_one_that_rcpt_takes_and_is_kept_in_ascii() {
        let (folder, accounts) = accounts();
        let manage = Manage::new(accounts, folder.path());
        let label = "x".repeat(63);
        let longest = format!("{0}.{0}.{0}.{1}", label, "x".repeat(59));
        for good in [format!("{label}.example"), longest.clone()] {
            assert_eq!(manage.add_domain(&good).as_ref(), Ok(&good));
            let sent = smtp::recipient(&format!("<x@{good}>"));
            assert!(sent.is_some(), "{good}");
        }
        let long = ["x".repeat(300), format!("x{label}.example"), format!("{longest}xx"), "\u{fc}".repeat(80)];
        for bad in ["-x.example", "x-.example", "x..example", ".example", "x.example.", "x.example:25", "[127.0.0.1]", "\u{fc} b"]
        {
            assert!(matches!(manage.add_domain(bad), Err(Error::Wrong(..))), "{bad}");
        }
        for bad in &long {
            assert!(matches!(manage.add_domain(bad), Err(Error::Wrong(..))), "{bad}");
            assert!(matches!(manage.add_user(&format!("x@{bad}"), &secret(b"long enough")), Err(Error::Wrong(..))), "{bad}");
        }
        let (unicode, ascii) = ("B\u{fc}cher.example", "xn--bcher-kva.example");
        assert_eq!(manage.add_domain(unicode).as_deref(), Ok(ascii));
        assert!(matches!(manage.add_domain(ascii), Err(Error::Store(store::Error::Exists(_)))));
        let of = |local: &str, domain: &str| format!("{local}@{domain}");
        assert_eq!(manage.add_user(&of("Joe", unicode), &secret(b"long enough")), Ok(of("joe", ascii)));
        manage.add_alias(&of("", unicode), &[of("joe", unicode)]).expect("a catch-all");
        assert_eq!(manage.aliases(), Ok(vec![(of("", ascii), of("joe", ascii))]));
        manage.set_domain_quota(unicode, 9000).expect("set");
        assert_eq!(manage.user(&of("joe", unicode)).expect("there").room.domain, (0, 9000));
        manage.remove_alias(&of("", unicode)).expect("there");
        manage.remove_user(&of("joe", unicode)).expect("there");
        manage.remove_domain(unicode).expect("there");
    }

    #[test]
    fn who_has_an_address_keeps_its_mail() {
        let (folder, accounts) = accounts();
        let manage = Manage::new(accounts, folder.path());
        manage.add_alias("joe@a.example", &["jane@a.example"]).expect("added");
        assert_eq!(manage.add_alias("Jane@a.example", &["x@b.example"]), Err(Error::HasMailbox("jane@a.example".to_owned())));
        assert_eq!(manage.add_user("Joe@a.example", &secret(b"long enough")), Err(Error::IsAlias("joe@a.example".to_owned())));
        assert_eq!(manage.aliases().expect("read").len(), 1);
        assert_eq!(manage.users().expect("read"), ["jane@a.example"]);
        // one beside him, and one for all others, are not his
        manage.add_alias("jane+x@a.example", &["x@b.example"]).expect("added");
        manage.add_alias("@a.example", &["x@b.example"]).expect("added");
        manage.remove_alias("joe@a.example").expect("there");
        manage.add_user("joe@a.example", &secret(b"long enough")).expect("added");
    }

    #[test]
    fn a_short_password_is_known_by_its_characters() {
        for (password, is_short_one) in
            [("x", true), ("seven77", true), ("äöüßäöü", true), ("äöüßäöüß", false), ("eight888", false)]
        {
            assert_eq!(is_short(&secret(password.as_bytes())), is_short_one, "{password}");
        }
    }

    #[test]
    fn an_alias_that_would_lead_to_itself_is_refused_with_its_way() {
        let (folder, accounts) = accounts();
        let manage = Manage::new(accounts, folder.path());
        let circle = |alias: &str, targets: &[&str]| match manage.add_alias(alias, targets) {
            Err(Error::Circle(way)) => way.join(" "),
            other => panic!("{alias} to {targets:?}: {other:?}"),
        };
        assert_eq!(circle("x@a.example", &["X@a.example"]), "x@a.example x@a.example");
        assert_eq!(circle("x@a.example", &["jane@a.example", "x+tag@a.example"]), "x@a.example x+tag@a.example");
        assert_eq!(manage.aliases(), Ok(Vec::new()), "none of several is added");
        manage.add_alias("b@a.example", &["c@a.example", "jane@a.example", "jane@a.example"]).expect("added");
        manage.add_alias("c@a.example", &["a@a.example"]).expect("it may come to lead somewhere");
        assert_eq!(circle("a@a.example", &["b@a.example"]), "a@a.example b@a.example c@a.example a@a.example");
        assert_eq!(circle("@a.example", &["nobody@a.example"]), "@a.example nobody@a.example");
        manage.add_alias("@a.example", &["jane@a.example", "x@b.example"]).expect("a user ends the way");
        assert!(matches!(
            manage.add_alias("c@a.example", &["x@b.example", "a@a.example"]),
            Err(Error::Store(store::Error::Exists(_)))
        ));
        assert_eq!(manage.aliases().expect("read").len(), 5);
    }

    #[test]
    fn a_domain_with_users_says_how_many_and_a_quota_of_it_is_told() {
        let (folder, accounts) = accounts();
        let manage = Manage::new(accounts, folder.path());
        let told = || manage.remove_domain("a.example").expect_err("in use").to_string();
        assert_eq!(told(), "the domain a.example has 1 user");
        manage.add_user("joe@a.example", &secret(b"long enough")).expect("added");
        assert_eq!(told(), "the domain a.example has 2 users");
        assert_eq!(manage.domain_quotas(), Ok(Vec::new()));
        manage.set_domain_quota("a.example", 1000).expect("set");
        assert_eq!(manage.domain_quotas(), Ok(vec![Bounded { domain: "a.example".to_owned(), room: (0, 1000) }]));
    }

    #[test]
    fn what_is_done_to_everything_by_accident_is_not_done() {
        let (folder, accounts) = accounts();
        let manage = Manage::new(accounts, folder.path());
        assert_eq!(manage.hold(&Which::All), Err(Error::Nothing("hold")));
        assert_eq!(manage.drop_queued(&Which::All), Err(Error::Nothing("drop")));
        assert_eq!(manage.retry(&Which::All, Timestamp::from_unix(5)), Ok(()));
    }

    #[test]
    fn a_user_is_told_with_his_standing_and_his_room() {
        let (folder, accounts) = accounts();
        let manage = Manage::new(accounts, folder.path());
        manage.set_user_quota("jane@a.example", 1000).expect("set");
        manage.set_standing("Jane@a.example", Standing::Suspended).expect("set");
        let jane = manage.user("jane@A.example").expect("there");
        assert_eq!((jane.standing, jane.room.user), (Standing::Suspended, (0, 1000)));
        assert_eq!(manage.suspended().expect("read"), ["jane@a.example"]);
        assert!(matches!(manage.user("x@a.example"), Err(Error::Store(store::Error::NotFound(_)))));
    }
}
