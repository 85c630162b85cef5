//! Mail addresses of commands (RFC 5321 4.1.2).

/// A sender: an address, or none, which bounces have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Path {
    /// `<>`.
    Null,
    /// `<local@domain>`.
    Address(String),
}

/// Reads `<…>` at the start; gives the address inside and what follows. A source route is passed over (RFC 5321 appendix C).
pub(in crate::proto) fn bracketed(text: &str) -> Option<(&str, &str)> {
    let inner = text.strip_prefix('<')?;
    let mut quoted = false;
    let mut escaped = false;
    for (at, c) in inner.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '>' if !quoted => {
                let (address, rest) = inner.split_at(at);
                let address = match address.strip_prefix('@') {
                    Some(_) => address.split_once(':')?.1,
                    None => address,
                };
                return Some((address, rest.strip_prefix('>')?));
            }
            _ => {}
        }
    }
    None
}

/// Whether this is `local@domain` as RFC 5321 writes it; letters outside ASCII with SMTPUTF8 only. A local part may be longer than the 64 bytes
/// that everybody must take (4.5.3.1.1): senders that carry a recipient in theirs are.
pub(in crate::proto) fn is_mailbox(address: &str, allows_utf8: bool) -> bool {
    let Some((local, domain)) = address.rsplit_once('@') else { return false };
    (allows_utf8 || address.is_ascii())
        && address.len() <= 254
        && !local.is_empty()
        && is_local(local)
        && (is_domain(domain) || is_literal(domain))
}

/// RFC 6531 3.3: outside ASCII nearly everything, marks that stand on letters among it; not what nobody sees and what turns text round.
fn is_letter(c: char) -> bool {
    let is_unseen = matches!(c, '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fffd}');
    c.is_ascii_alphanumeric() || !(c.is_ascii() || c.is_control() || c.is_whitespace() || is_unseen)
}

fn is_local(local: &str) -> bool {
    if let Some(inner) = local.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        let mut escaped = false;
        let fits = inner.chars().all(|c| {
            let fits = !c.is_control() && (escaped || c != '"');
            escaped = !escaped && c == '\\';
            fits
        });
        return fits && !escaped;
    }
    let is_atext = |c: char| is_letter(c) || "!#$%&'*+-/=?^_`{|}~".contains(c);
    local.split('.').all(|atom| !atom.is_empty() && atom.chars().all(is_atext))
}

pub(in crate::proto) fn is_domain(domain: &str) -> bool {
    let is_label = |label: &str| {
        let inside = label.chars().all(|c| is_letter(c) || c == '-');
        !label.is_empty() && label.len() <= 63 && inside && !label.starts_with('-') && !label.ends_with('-')
    };
    domain.len() <= 253 && domain.split('.').all(is_label)
}

pub(in crate::proto) fn is_literal(domain: &str) -> bool {
    let Some(inner) = domain.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) else { return false };
    let ip = inner.strip_prefix("IPv6:").unwrap_or(inner);
    ip.parse::<std::net::IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_the_standard_writes_them() {
        assert_eq!(bracketed("<\"a>b\"@c.example> SIZE=1"), Some(("\"a>b\"@c.example", " SIZE=1")));
        assert_eq!(bracketed("<@x.example,@y.example:a@b.example>"), Some(("a@b.example", "")));
        assert_eq!(bracketed("<a@b.example"), None);
        for good in ["a@b", "a.b+c@b.example", "\"a b\"@b.example", "a@[127.0.0.1]", "a@[IPv6:::1]"] {
            assert!(is_mailbox(good, false), "{good}");
        }
        for bad in ["a", "@b", "a@", "a..b@c", "a@b..c", "a b@c", "a@-b", "\"a@b", "a@b@c", "\u{e4}@b", "a\r@b", "a@[1.2.3]"] {
            assert!(!is_mailbox(bad, false), "{bad}");
        }
        let long = format!("{}@b.example", "x".repeat(200));
        for good in [
            "\u{e4}@b\u{fc}cher.example",
            "u\u{308}@bu\u{308}cher.example",
            "\u{930}\u{93e}\u{92e}@\u{92e}\u{947}\u{932}.example",
            "\u{e01}\u{e34}@b",
            &long,
        ] {
            assert!(is_mailbox(good, true), "{good}");
        }
        for bad in
            ["a\u{202e}b@b.example", "a@b\u{200b}.example", "a\u{a0}b@b", "a\u{85}@b", &format!("{}{long}", "x".repeat(50))]
        {
            assert!(!is_mailbox(bad, true), "{}", bad.escape_unicode());
        }
    }
}
