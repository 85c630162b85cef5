//! What the outside of an encrypted message shows of its header fields (RFC 9788 section 3).

use std::borrow::Cow;

use crate::mime::address::{self, Mailbox};
use crate::mime::{header, view};

/// A header confidentiality policy: which fields stand outside otherwise than in the encrypted part (RFC 9788 3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HeaderConfidentiality {
    /// `hcp_baseline`: Subject is `[...]`, Comments and Keywords are not there.
    #[default]
    Baseline,
    /// `hcp_shy`: that, and addresses stand without names, Date in UTC.
    Shy,
    /// `hcp_no_confidentiality`: all of them can be read on the way.
    NoConfidentiality,
}

impl HeaderConfidentiality {
    /// Every policy, by the name that the registry has for it, without `hcp_` and with hyphens.
    pub const NAMES: [(&'static str, Self); 3] =
        [("baseline", Self::Baseline), ("shy", Self::Shy), ("no-confidentiality", Self::NoConfidentiality)];

    /// The field as it stands outside (name in lower case, field with its line break); `None` where it does not.
    pub(super) fn outside<'f>(self, name: &str, raw: &'f [u8]) -> Option<Cow<'f, [u8]>> {
        match (self, name) {
            (Self::NoConfidentiality, _) => return Some(raw.into()),
            (_, "subject") => return Some(b"Subject: [...]\r\n".as_slice().into()),
            (_, "comments" | "keywords") => return None,
            (Self::Baseline, _) => return Some(raw.into()),
            (Self::Shy, _) => {}
        }
        let colon = raw.iter().position(|byte| *byte == b':')?;
        let (written, value) = raw.split_at(colon);
        let value = header::unfold(value.get(1..).unwrap_or_default());
        let less = match name {
            "from" => bare(&value).filter(|all| all.len() == 1),
            "to" | "cc" => bare(&value),
            "date" => view::date_in_utc(&value).map(|date| vec![date]),
            _ => None,
        };
        Some(match less {
            Some(values) => crate::mime::ascii::folded(&String::from_utf8_lossy(written), &values.join(", ")).into(),
            None => raw.into(),
        })
    }
}

/// The addresses of a list of mailboxes, as they are written; `None` where it is something else.
fn bare(value: &str) -> Option<Vec<String>> {
    let list = address::parse(value);
    let is_list = !list.has_junk && !list.has_group && !list.mailboxes.is_empty() && list.mailboxes.iter().all(is_ascii);
    is_list.then(|| list.mailboxes.iter().map(addr_spec).collect())
}

fn is_ascii(mailbox: &Mailbox) -> bool {
    mailbox.local.is_ascii() && mailbox.domain.is_ascii()
}

/// `local@domain`, in quotes where it must be (RFC 5322 3.4.1).
fn addr_spec(mailbox: &Mailbox) -> String {
    let is_text =
        |atom: &str| !atom.is_empty() && atom.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&b));
    if mailbox.local.split('.').all(is_text) {
        return mailbox.address();
    }
    let escaped = mailbox.local.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{escaped}\"@{}", mailbox.domain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shy(field: &str) -> String {
        let name = field.split(':').next().expect("a name").to_ascii_lowercase();
        let raw = format!("{field}\r\n");
        let outside = HeaderConfidentiality::Shy.outside(&name, raw.as_bytes());
        outside.map_or_else(String::new, |field| String::from_utf8_lossy(&field).trim_end().to_owned())
    }

    #[test]
    fn names_and_time_zones_are_hidden_from_the_shy() {
        assert_eq!(shy("From: =?utf-8?q?J=C3=B6rg?= (at work) <\"j \\\"x\"@a.example>"), "From: \"j \\\"x\"@a.example");
        assert_eq!(shy("CC: a@b.example, \"C, D\"\r\n <c@b.example>"), "CC: a@b.example, c@b.example");
        assert_eq!(shy("Date: 1 Mar 2024 00:30:00 +0100 (CET)"), "Date: Thu, 29 Feb 2024 23:30:00 +0000");
        assert_eq!(shy("Comments: a"), "");
    }

    #[test]
    fn what_is_no_list_and_no_date_stays() {
        for field in [
            "From: A <a@b.example>, C <c@b.example>",
            "To: Friends: A <a@b.example>;",
            "To: undisclosed-recipients:;",
            "Cc: A <a@b.example>, nobody",
            "To: J <j\u{f6}rg@b.example>",
            "Date: yesterday",
            "Reply-To: A <a@b.example>",
        ] {
            assert_eq!(shy(field), field);
        }
    }
}
