//! Lists of who is welcome and who is not: by network, by host name, by the addresses and domains of senders and recipients.

use std::net::IpAddr;

use crate::server::policy::network::Network;
use crate::server::policy::refusal::Refusal;

/// The lists of one server. What is allowed is looked at first, so that a friend within a barred network is named once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// Clients that no list, rate or greylist concerns.
    pub allowed: Vec<Client>,
    /// Clients from which nothing is taken.
    pub denied: Vec<Client>,
    /// Senders that are exempt from greylists and block lists.
    pub allowed_senders: Vec<Mailbox>,
    /// Senders from which nothing is taken.
    pub denied_senders: Vec<Mailbox>,
    /// Recipients that get what others would not.
    pub allowed_recipients: Vec<Mailbox>,
    /// Recipients that get nothing from outside.
    pub denied_recipients: Vec<Mailbox>,
}

impl Default for Access {
    /// No list, but that `postmaster` and `abuse` hear from everybody: who is refused must be able to ask why (RFC 2142 5, RFC 5321 4.5.1).
    fn default() -> Self {
        let open = ["postmaster", "abuse"].map(|local| Mailbox::Local(local.to_owned())).to_vec();
        let (allowed, denied, allowed_senders, denied_senders) = Default::default();
        Self { allowed, denied, allowed_senders, denied_senders, allowed_recipients: open, denied_recipients: Vec::new() }
    }
}

/// An entry for clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Client {
    /// By address.
    Network(Network),
    /// By its name in DNS, which counts where the name leads back to the address.
    Host(Name),
}

/// A name of DNS in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Name {
    /// This name: `mail.example.org`.
    Exactly(String),
    /// All below it: `.example.org`.
    Below(String),
}

/// An entry for senders and recipients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mailbox {
    /// One address, in lower case.
    Address(String),
    /// A local part in every domain: `postmaster@`.
    Local(String),
    /// A domain.
    Domain(Name),
}

/// How a client stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::server) enum Standing {
    /// On the list of the allowed.
    Friend,
    /// On the list of the denied.
    Barred,
    /// On neither.
    Stranger,
}

impl Access {
    /// How a client stands, by its address and by its names that were confirmed.
    pub(in crate::server) fn client(&self, address: IpAddr, names: &[String]) -> Standing {
        let is_in = |list: &[Client]| list.iter().any(|entry| entry.is(address, names));
        match () {
            () if is_in(&self.allowed) => Standing::Friend,
            () if is_in(&self.denied) => Standing::Barred,
            () => Standing::Stranger,
        }
    }

    /// Whether an entry asks for the client's name; DNS is left alone where none does.
    pub(in crate::server) fn asks_for_names(&self) -> bool {
        self.allowed.iter().chain(&self.denied).any(|entry| matches!(entry, Client::Host(_)))
    }

    /// Whether a sender is exempt from greylists and block lists.
    pub(in crate::server) fn is_good_sender(&self, sender: &str) -> bool {
        self.allowed_senders.iter().any(|entry| entry.is(sender))
    }

    /// Whether a recipient gets what others would not.
    pub(in crate::server) fn is_open_recipient(&self, recipient: &str) -> bool {
        self.allowed_recipients.iter().any(|entry| entry.is(recipient))
    }

    /// Refuses a sender; the null sender is nobody's (RFC 5321 4.5.5), and on no list.
    pub(in crate::server) fn sender(&self, sender: &str) -> Option<Refusal> {
        let is_denied = !self.is_good_sender(sender) && self.denied_senders.iter().any(|entry| entry.is(sender));
        is_denied.then(|| Refusal::new(550, "5.7.1", format!("no mail is taken from {sender}")))
    }

    /// Refuses a recipient for clients that are not authenticated.
    pub(in crate::server) fn recipient(&self, recipient: &str) -> Option<Refusal> {
        let is_denied = !self.is_open_recipient(recipient) && self.denied_recipients.iter().any(|entry| entry.is(recipient));
        is_denied.then(|| Refusal::new(550, "5.7.1", format!("{recipient} takes no mail from outside")))
    }
}

impl Client {
    /// Reads a network, an address, `host.example`, or `.example` for all below it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let looks_like_address = text.contains(':') || text.contains('/') || text.split('.').all(is_number);
        if looks_like_address { Network::parse(text).map(Self::Network) } else { Name::parse(text).map(Self::Host) }
    }

    fn is(&self, address: IpAddr, names: &[String]) -> bool {
        match self {
            Self::Network(network) => network.contains(address),
            Self::Host(name) => names.iter().any(|known| name.is(known)),
        }
    }
}

impl Name {
    /// Reads `host.example`, or `.example` for all below it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let name = text.strip_prefix('.').unwrap_or(text);
        let is_label = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        };
        if name.len() > 253 || !name.split('.').all(is_label) {
            return Err(format!("{text} is no name of a host or domain"));
        }
        let lower = name.to_ascii_lowercase();
        Ok(if text.starts_with('.') { Self::Below(lower) } else { Self::Exactly(lower) })
    }

    /// Whether a name is meant.
    pub fn is(&self, name: &str) -> bool {
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        match self {
            Self::Exactly(known) => name == *known,
            // by whole labels: .example.org is not notexample.org
            Self::Below(known) => name.strip_suffix(known.as_str()).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.')),
        }
    }
}

impl Mailbox {
    /// Reads `user@example.org`, `user@` for every domain, `example.org`, or `.example.org` for all below it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let Some((local, domain)) = text.rsplit_once('@') else { return Name::parse(text).map(Self::Domain) };
        if local.is_empty() || local.contains(|c: char| c.is_whitespace() || c == '@') {
            return Err(format!("{text} is neither an address nor a domain"));
        }
        if domain.is_empty() {
            return Ok(Self::Local(local.to_lowercase()));
        }
        match Name::parse(domain)? {
            Name::Exactly(domain) => Ok(Self::Address(format!("{}@{domain}", local.to_lowercase()))),
            Name::Below(_) => Err(format!("{text} is neither an address nor a domain")),
        }
    }

    /// Whether an address is meant; letters are compared without their case.
    pub fn is(&self, address: &str) -> bool {
        let (local, domain) = address.rsplit_once('@').unwrap_or((address, ""));
        match self {
            Self::Address(known) => address.to_lowercase() == *known,
            Self::Local(known) => local.to_lowercase() == *known,
            Self::Domain(name) => name.is(domain),
        }
    }
}

fn is_number(label: &str) -> bool {
    !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clients(of: &[&str]) -> Vec<Client> {
        of.iter().map(|text| Client::parse(text).expect(text)).collect()
    }

    fn mailboxes(of: &[&str]) -> Vec<Mailbox> {
        of.iter().map(|text| Mailbox::parse(text).expect(text)).collect()
    }

    #[test]
    fn clients_are_known_by_network_and_by_confirmed_name() {
        let access = Access {
            allowed: clients(&["192.0.2.9", "2001:db8:1::/48", "mail.friend.example"]),
            denied: clients(&["192.0.2.0/24", "2001:db8::/32", ".bad.example"]),
            ..Access::default()
        };
        let stands = |address: &str, names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            access.client(address.parse().expect("an address"), &names)
        };
        assert_eq!(stands("192.0.2.8", &[]), Standing::Barred);
        assert_eq!(stands("192.0.2.9", &[]), Standing::Friend, "a friend in a barred network");
        assert_eq!(stands("2001:db8:1::5", &[]), Standing::Friend);
        assert_eq!(stands("2001:db8:2::5", &[]), Standing::Barred);
        assert_eq!(stands("203.0.113.1", &["Dyn-7.BAD.example."]), Standing::Barred);
        assert_eq!(stands("203.0.113.1", &["notbad.example"]), Standing::Stranger);
        assert_eq!(stands("203.0.113.1", &["bad.example"]), Standing::Stranger, "below it, not itself");
        assert_eq!(stands("203.0.113.1", &["x.bad.example", "mail.friend.example"]), Standing::Friend);
        assert!(access.asks_for_names());
        assert!(!Access { denied: clients(&["192.0.2.0/24"]), ..Access::default() }.asks_for_names());
    }

    #[test]
    fn senders_and_recipients_are_known_by_address_local_part_and_domain() {
        let access = Access {
            allowed_senders: mailboxes(&["news@list.example"]),
            denied_senders: mailboxes(&["list.example", ".spam.example", "casino@"]),
            allowed_recipients: mailboxes(&["postmaster@"]),
            denied_recipients: mailboxes(&["all@our.example"]),
            ..Access::default()
        };
        let refuses = |sender: &str| access.sender(sender).is_some();
        assert!(refuses("x@list.example") && !refuses("News@List.example"), "one of them is a friend");
        assert!(refuses("x@a.spam.example") && !refuses("x@spam.example"));
        assert!(refuses("Casino@anywhere.example") && !refuses("x@good.example"));
        assert!(!refuses(""), "the null sender is on no list");
        assert_eq!(access.recipient("All@Our.example").map(|refusal| refusal.code), Some(550));
        assert!(access.recipient("jane@our.example").is_none() && access.is_open_recipient("Postmaster@our.example"));
    }

    #[test]
    fn entries_that_mean_nothing_are_refused() {
        let wrong = ["", ".", "a..b", "a b.example", "192.0.2.1/24", "1.2.3", "host_ä.example"];
        wrong.iter().for_each(|text| assert!(Client::parse(text).is_err(), "{text}"));
        let wrong = ["", "@", "@our.example", "a b@our.example", "x@.example", "a@b@c.example"];
        wrong.iter().for_each(|text| assert!(Mailbox::parse(text).is_err(), "{text}"));
    }
}
