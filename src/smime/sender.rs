//! Who a message says it is from, and whether a signer is that person.

use crate::limits::Limits;
use crate::mime::address::{self, AddressList, Mailbox};
use crate::mime::{self, Entity, Field};
use crate::pki::email::{self, Addresses};
use crate::smime::finding::{Code, Finding};

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
    /// Several From fields, a From with anything that is no address or that programs read differently, and a message that names a
    /// Reply-To or a subject but no author are unclear: programs show them differently, and that is what forgers use.
    pub(in crate::smime) fn of(entity: &Entity, source: &[u8]) -> Self {
        let all = |name: &str| entity.fields().iter().filter(|f| f.name == name).collect::<Vec<_>>();
        let is_mime_only = entity.fields().iter().all(|f| f.name.starts_with("content-") || f.name == "mime-version");
        if is_mime_only {
            return Self::None;
        }
        if hides_author(entity, source) {
            return Self::Unclear(
                "a carriage return alone, which some programs take for a line end, hides another author".to_owned(),
            );
        }
        let senders = all("sender");
        let sender = match senders.as_slice() {
            [one] => match Self::from_field(one, source, None) {
                Self::Claimed { addresses, .. } => addresses.into_iter().next(),
                _ => None,
            },
            _ => None,
        };
        match (all("from").as_slice(), senders.len()) {
            ([from], _) => Self::from_field(from, source, sender),
            ([], 1) => match sender.clone() {
                Some(address) => Self::Claimed { addresses: vec![address], sender },
                None => Self::Unclear("the message has no From, and its Sender is no address".to_owned()),
            },
            ([], _) => Self::Unclear("the message has no From".to_owned()),
            (several, _) => Self::Unclear(format!("the message has {} From fields", several.len())),
        }
    }

    /// Reads the author among protected header fields, which need not name one: then those outside count alone.
    pub(in crate::smime) fn of_protected(payload: &Entity, source: &[u8]) -> Self {
        if payload.field("from").is_none() && payload.field("sender").is_none() {
            return Self::None;
        }
        Self::of(payload, source)
    }

    fn from_field(field: &Field, source: &[u8], sender: Option<String>) -> Self {
        let value = field.unfolded(source);
        let list = address::parse(&value);
        let shown = || shortened(&value);
        if let Some(why) = doubt(source.get(field.value.clone()).unwrap_or_default(), &list) {
            return Self::Unclear(format!("the From of the message {why} – {}", shown()));
        }
        if list.has_junk {
            return Self::Unclear(format!("the From of the message is not clear – {}", shown()));
        }
        if list.mailboxes.is_empty() {
            return Self::Unclear("the From of the message holds no address".to_owned());
        }
        Self::Claimed { addresses: list.mailboxes.iter().map(Mailbox::address).collect(), sender }
    }

    /// Whether certificates with these addresses cover every author; `None` where nobody is claimed.
    pub(in crate::smime) fn is_covered_by(&self, certified: &[String]) -> Option<bool> {
        match self {
            Self::None => None,
            Self::Claimed { addresses, .. } => Some(all_among(certified, addresses)),
            Self::Unclear(_) => Some(false),
        }
    }

    /// Whether one signer's certificate names one of the authors.
    pub(in crate::smime) fn includes(&self, certified: &[String]) -> Option<bool> {
        match self {
            Self::None => None,
            Self::Claimed { addresses, .. } => {
                let certified = Addresses::of(certified);
                Some(addresses.iter().any(|address| certified.contains(address)))
            }
            Self::Unclear(_) => Some(false),
        }
    }

    /// The claim for people.
    pub(in crate::smime) fn describe(&self) -> String {
        match self {
            Self::None => "nobody".to_owned(),
            Self::Claimed { addresses, .. } => few(addresses),
            Self::Unclear(why) => why.clone(),
        }
    }
}

/// What leads people astray in header fields that are clear to programs: a name that shows another address, an address of mixed
/// alphabets, answers that go to somebody else.
pub(in crate::smime) fn warnings(entity: &Entity, source: &[u8]) -> Vec<Finding> {
    let lists = |name: &str| {
        let fields = entity.fields().iter().filter(move |f| f.name == name);
        fields.map(|field| address::parse(&field.unfolded(source))).collect::<Vec<_>>()
    };
    let from = lists("from");
    let authors: Vec<String> = from.iter().flat_map(|list| list.mailboxes.iter().map(Mailbox::address)).collect();
    let names = from.iter().flat_map(|list| list.mailboxes.iter().filter_map(|m| m.display.as_ref()).chain(&list.remarks));
    let mut found = Vec::new();
    let mut known = Addresses::of(&authors);
    let others: Vec<String> = names.flat_map(|name| addresses_in(name)).filter(|shown| known.insert(shown)).collect();
    if !others.is_empty() {
        let text = format!("the name of the sender shows the address {} – the message is from {}", few(&others), few(&authors));
        found.push(Finding::warning(Code::MisleadingName, text));
    }
    let mixed: Vec<&String> = authors.iter().filter(|author| mixes_alphabets(author)).collect();
    if !mixed.is_empty() {
        let text = format!("the address {} mixes alphabets whose letters look alike", few(&mixed));
        found.push(Finding::warning(Code::MisleadingName, text));
    }
    let known = Addresses::of(&authors);
    let answers: Vec<String> = lists("reply-to").iter().flat_map(|list| list.mailboxes.iter().map(Mailbox::address)).collect();
    let elsewhere: Vec<String> = answers.into_iter().filter(|address| !known.contains(address)).collect();
    if !authors.is_empty() && !elsewhere.is_empty() {
        let text = format!("an answer would go to {}, not to the sender", few(&elsewhere));
        found.push(Finding::warning(Code::ReplyElsewhere, text));
    }
    found
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
    addresses_of(message, &["to", "cc"], limits)
}

/// The addresses in Bcc that are not in To or Cc, each once: those of people whom the others shall not see.
pub fn bcc_addresses(message: &[u8], limits: &Limits) -> Vec<String> {
    let seen = Addresses::of(&recipient_addresses(message, limits));
    addresses_of(message, &["bcc"], limits).into_iter().filter(|address| !seen.contains(address)).collect()
}

fn addresses_of(message: &[u8], names: &[&str], limits: &Limits) -> Vec<String> {
    let Ok(entity) = mime::parse(message, limits) else { return Vec::new() };
    let (mut found, mut known) = (Vec::new(), Addresses::default());
    for field in entity.fields().iter().filter(|f| names.contains(&f.name.as_str())) {
        for mailbox in address::parse(&field.unfolded(message)).mailboxes {
            if known.insert(&mailbox.address()) {
                found.push(mailbox.address());
            }
        }
    }
    found
}

/// Whether these addresses are all among those.
fn all_among(certified: &[String], addresses: &[String]) -> bool {
    match addresses {
        [one] => email::find(certified, one),
        several => {
            let certified = Addresses::of(certified);
            several.iter().all(|address| certified.contains(address))
        }
    }
}

/// Why bytes of From are read differently by programs, if they are.
fn doubt(raw: &[u8], list: &AddressList) -> Option<&'static str> {
    // the field's own line break is no part of the value; those left are folds
    let text = |line: &[u8]| line.strip_suffix(b"\r").unwrap_or(line).to_vec();
    let lines: Vec<Vec<u8>> = raw.split(|byte| *byte == b'\n').map(text).collect();
    if lines.iter().flatten().any(|byte| byte.is_ascii_control() && *byte != b'\t') {
        return Some("holds control characters");
    }
    if lines.iter().any(|line| line.len() > LINE) {
        return Some("has a line that is longer than mail allows");
    }
    let is_ascii = |mailbox: &Mailbox| mailbox.local.is_ascii() && mailbox.domain.is_ascii();
    if std::str::from_utf8(raw).is_err() && !list.mailboxes.iter().all(is_ascii) {
        return Some("has an address in an unknown charset");
    }
    None
}

/// RFC 5322 2.1.1: some programs cut lines there.
const LINE: usize = 998;

/// Whether another From or Sender stands behind a carriage return alone.
fn hides_author(entity: &Entity, source: &[u8]) -> bool {
    let whole = entity.bytes(source);
    let header = whole.get(..whole.len().saturating_sub(entity.body(source).len())).unwrap_or_default();
    header.split(|byte| *byte == b'\r').skip(1).any(|after| {
        let name = after.split(|byte| *byte == b':').next().unwrap_or_default();
        name.len() < after.len()
            && [b"from".as_slice(), b"sender"].iter().any(|it| name.trim_ascii_end().eq_ignore_ascii_case(it))
    })
}

/// What reads as a mail address in a name.
fn addresses_in(name: &str) -> Vec<String> {
    // letters of full width, and the small one, look like `@` and `.`
    let plain: String = name
        .chars()
        .filter(|c| !c.is_control() && !matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'))
        .map(|c| match c {
            '\u{ff20}' | '\u{fe6b}' => '@',
            '\u{ff0e}' | '\u{fe52}' | '\u{2024}' | '\u{3002}' => '.',
            c => c,
        })
        .collect();
    let is_part = |c: char| c.is_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(c);
    let mut found = Vec::new();
    for (at, _) in plain.match_indices('@') {
        let (before, after) = plain.split_at(at);
        let local = before.trim_end().rsplit(|c| !is_part(c)).next().unwrap_or_default();
        // programs put addresses as names between such quotes
        let local = local.trim_start_matches('\'');
        let after = after.get(1..).unwrap_or_default().trim_start();
        let domain: String = after.chars().take_while(|c| c.is_alphanumeric() || matches!(c, '.' | '-')).collect();
        let domain = domain.trim_end_matches(['.', '-']);
        if !local.is_empty() && domain.contains('.') {
            found.push(format!("{local}@{domain}"));
        }
    }
    found
}

/// Whether a label of an address has Latin letters beside Cyrillic or Greek ones, as forgers write and nobody else does.
fn mixes_alphabets(address: &str) -> bool {
    address.split(['.', '@', '-', '_', '+']).any(|label| {
        let has = |range: std::ops::RangeInclusive<char>| label.chars().any(|c| range.contains(&c));
        label.chars().any(|c| c.is_ascii_alphabetic()) && (has('\u{370}'..='\u{52f}') || has('\u{1f00}'..='\u{1fff}'))
    })
}

/// The first of a list that may have thousands, and how many more there are.
pub(in crate::smime) fn few<S: AsRef<str>>(list: &[S]) -> String {
    let first: Vec<String> = list.iter().take(FEW).map(|one| shortened(one.as_ref())).collect();
    match list.len().saturating_sub(FEW) {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}

/// What a person can read at a glance of a value that may be a megabyte.
pub(in crate::smime) fn shortened(value: &str) -> String {
    let mut chars = value.chars();
    let head: String = chars.by_ref().take(SHOWN).collect();
    if chars.next().is_some() { format!("{head}\u{2026}") } else { head }
}

/// Certificates and letters have one or some addresses.
const FEW: usize = 5;

/// Two lines of a terminal.
const SHOWN: usize = 160;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_in_names_are_found() {
        for (name, expected) in [
            ("ceo@a.example", vec!["ceo@a.example"]),
            ("Boss (ceo @ a.example)", vec!["ceo@a.example"]),
            ("ceo\u{200b}@a.exam\u{200d}ple\0", vec!["ceo@a.example"]),
            ("ceo\u{ff20}a\u{ff0e}example, x@b.example.", vec!["ceo@a.example", "x@b.example"]),
            ("'ceo@a.example'", vec!["ceo@a.example"]),
            ("Jane Doe @ Home", vec![]),
            ("@handle a.b", vec![]),
        ] {
            assert_eq!(addresses_in(name), expected, "{name:?}");
        }
    }

    #[test]
    fn only_mixed_labels_mix_alphabets() {
        assert!(mixes_alphabets("ceo@ex\u{430}mple.com"));
        assert!(!mixes_alphabets("\u{43f}\u{43e}\u{447}\u{442}\u{430}@example.com"));
        assert!(!mixes_alphabets("j\u{e4}ne@a.example"));
    }
}
