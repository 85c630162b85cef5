//! The address whose certificates are looked for.

use icu_normalizer::ComposingNormalizerBorrowed;

use crate::keys::directory::Error;
use crate::pki::email;

/// A mail address that is looked up.
///
/// ```
/// use sealpost::keys::directory::Address;
/// let address = Address::parse("Jane@B\u{fc}cher.example").unwrap();
/// assert_eq!((address.local(), address.domain()), ("Jane", "xn--bcher-kva.example"));
/// assert!(Address::parse("nobody").is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    text: String,
    local: String,
    domain: String,
}

impl Address {
    /// Reads an address. Refuses what has no local part or no domain that the DNS can have, and what has control characters.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let wrong = |why| Error::Address { text: text.to_owned(), why };
        if text.chars().any(char::is_control) {
            return Err(wrong("it has control characters"));
        }
        let (local, domain) = text.rsplit_once('@').ok_or_else(|| wrong("it has no @"))?;
        let local = unquoted(local).ok_or_else(|| wrong("the quotes of its local part do not fit"))?;
        if local.is_empty() {
            return Err(wrong("it has nothing before the @"));
        }
        let domain = email::ascii_domain(domain).filter(|domain| is_host(domain));
        let domain = domain.ok_or_else(|| wrong("what stands after the @ is no domain"))?;
        let local = ComposingNormalizerBorrowed::new_nfc().normalize(&local).into_owned();
        Ok(Self { text: text.to_owned(), local, domain })
    }

    /// The address as it was given.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The local part without quotes, in normalization form C, its case kept (RFC 8162 3).
    pub fn local(&self) -> &str {
        &self.local
    }

    /// The domain with A-labels, in lower case.
    pub fn domain(&self) -> &str {
        &self.domain
    }
}

/// The local part without its quotes and what they quote (RFC 8162 3, step 2); `None` where quotes stand elsewhere.
fn unquoted(local: &str) -> Option<String> {
    let Some(rest) = local.strip_prefix('"') else {
        return (!local.contains(['"', '\\'])).then(|| local.to_owned());
    };
    let inside = rest.strip_suffix('"')?;
    let (mut out, mut is_quoted) = (String::new(), false);
    for c in inside.chars() {
        match c {
            '\\' if !is_quoted => is_quoted = true,
            '"' if !is_quoted => return None,
            c => {
                out.push(c);
                is_quoted = false;
            }
        }
    }
    (!is_quoted).then_some(out)
}

/// Labels of 1 to 63 letters, digits and hyphens (RFC 1123 2.1), with underscores, which some domains have.
fn is_host(domain: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len()) && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    domain.len() <= 253 && domain.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(text: &str) -> String {
        Address::parse(text).expect_err("refused").to_string()
    }

    #[test]
    fn quotes_are_no_part_of_the_local_part() {
        let local = |text: &str| Address::parse(text).expect("an address").local().to_owned();
        assert_eq!(local("\"jane doe\"@a.example"), "jane doe");
        assert_eq!(local("\"a\\\"b\\\\c\"@a.example"), "a\"b\\c");
        assert_eq!(local("Jane.Doe@a.example"), "Jane.Doe", "its case is kept");
        // e with an accent, in two characters and in one
        assert_eq!(local("cafe\u{301}@a.example"), "caf\u{e9}");
    }

    #[test]
    fn refuses_what_is_no_address() {
        assert!(why("nobody").contains("no @"));
        assert!(why("@a.example").contains("nothing before"));
        for domain in ["", ".", "a..example", "a example", "-\u{fc}.example", "a/b", "a.example."] {
            assert!(why(&format!("jane@{domain}")).contains("no domain"), "{domain:?}");
        }
        for text in ["\"jane@a.example", "ja\"ne@a.example", "\"ja\"ne\"@a.example", "\"jane\\\"@a.example", "ja\\ne@a.example"] {
            assert!(why(text).contains("quotes"), "{text:?}");
        }
        assert!(why("jane\0@a.example").contains("control"));
    }
}
