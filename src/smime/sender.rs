//! Who a message says it is from, and whether a signer is that person.

use crate::limits::Limits;
use crate::mime::{self, Entity, address};
use crate::pki::email;

/// What a header section says about its author.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::smime) enum Author {
    /// There is no message header, only MIME fields: nobody is claimed.
    None,
    /// These addresses, every one of which a signature must cover.
    Claimed {
        /// The addresses.
        addresses: Vec<String>,
        /// The address in Sender, where there is one.
        sender: Option<String>,
    },
    /// A claim that cannot be relied on, for this reason.
    Unclear(String),
}

impl Author {
    /// Reads From, and Sender where there is no From.
    ///
    /// Several From fields, a From with anything that is no address, and a message that names a Reply-To or a subject but no author are
    /// unclear: programs show them differently, and that is what forgers use.
    pub(in crate::smime) fn of(entity: &Entity, source: &[u8]) -> Self {
        let all = |name: &str| entity.fields().iter().filter(|f| f.name == name).map(|f| f.unfolded(source)).collect::<Vec<_>>();
        let is_mime_only = entity.fields().iter().all(|f| f.name.starts_with("content-") || f.name == "mime-version");
        if is_mime_only {
            return Self::None;
        }
        let senders = all("sender");
        let sender = match senders.as_slice() {
            [one] => address::parse(one).mailboxes.first().map(address::Mailbox::address),
            _ => None,
        };
        match (all("from").as_slice(), senders.len()) {
            ([from], _) => Self::from_value(from, sender),
            ([], 1) => match sender.clone() {
                Some(address) => Self::Claimed { addresses: vec![address], sender },
                None => Self::Unclear("the message has no From, and its Sender is no address".to_owned()),
            },
            ([], _) => Self::Unclear("the message has no From".to_owned()),
            (several, _) => Self::Unclear(format!("the message has {} From fields", several.len())),
        }
    }

    fn from_value(value: &str, sender: Option<String>) -> Self {
        let list = address::parse(value);
        if list.has_junk {
            return Self::Unclear(format!("the From of the message is not clear – {value}"));
        }
        if list.mailboxes.is_empty() {
            return Self::Unclear("the From of the message holds no address".to_owned());
        }
        Self::Claimed { addresses: list.mailboxes.iter().map(address::Mailbox::address).collect(), sender }
    }

    /// Whether certificates with these addresses cover every author; `None` where nobody is claimed.
    pub(in crate::smime) fn is_covered_by(&self, certified: &[String]) -> Option<bool> {
        match self {
            Self::None => None,
            Self::Claimed { addresses, .. } => Some(addresses.iter().all(|address| email::find(certified, address))),
            Self::Unclear(_) => Some(false),
        }
    }

    /// Whether one signer's certificate names one of the authors.
    pub(in crate::smime) fn includes(&self, certified: &[String]) -> Option<bool> {
        match self {
            Self::None => None,
            Self::Claimed { addresses, .. } => Some(addresses.iter().any(|address| email::find(certified, address))),
            Self::Unclear(_) => Some(false),
        }
    }

    /// The claim for people.
    pub(in crate::smime) fn describe(&self) -> String {
        match self {
            Self::None => "nobody".to_owned(),
            Self::Claimed { addresses, .. } => addresses.join(", "),
            Self::Unclear(why) => why.clone(),
        }
    }
}

/// The address of a message's sender: its one From mailbox, or Sender.
pub fn sender_address(message: &[u8], limits: &Limits) -> Option<String> {
    let entity = mime::parse(message, limits).ok()?;
    match Author::of(&entity, message) {
        Author::Claimed { addresses, sender } => match addresses.as_slice() {
            [one] => Some(one.clone()),
            _ => sender,
        },
        _ => None,
    }
}

/// The addresses in To and Cc, each once.
pub fn recipient_addresses(message: &[u8], limits: &Limits) -> Vec<String> {
    let Ok(entity) = mime::parse(message, limits) else { return Vec::new() };
    let mut found: Vec<String> = Vec::new();
    for field in entity.fields().iter().filter(|f| f.name == "to" || f.name == "cc") {
        for mailbox in address::parse(&field.unfolded(message)).mailboxes {
            if !email::find(&found, &mailbox.address()) {
                found.push(mailbox.address());
            }
        }
    }
    found
}
