//! Domains of mail addresses, which are written in two ways: `bücher.example` (U-labels) and `xn--bcher-kva.example` (A-labels).

use std::borrow::Cow;

use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};

/// The domain with A-labels, in lower case; `None` where a label that is not ASCII is none that a domain can have.
///
/// Nothing is mapped but case (RFC 5891 5.2): a domain of full-width letters looks like another one, and is not another way to write it.
pub(in crate::pki) fn to_ascii(domain: &str) -> Option<Cow<'_, str>> {
    if domain.is_ascii() {
        let is_lower = !domain.bytes().any(|byte| byte.is_ascii_uppercase());
        return Some(if is_lower { Cow::Borrowed(domain) } else { Cow::Owned(domain.to_ascii_lowercase()) });
    }
    let lower = domain.to_lowercase();
    let names = Uts46::new();
    let ascii = names.to_ascii(lower.as_bytes(), AsciiDenyList::STD3, Hyphens::Check, DnsLength::Verify).ok()?.into_owned();
    let (back, valid) = names.to_unicode(ascii.as_bytes(), AsciiDenyList::STD3, Hyphens::Check);
    // U-labels and A-labels stand for each other, one to one (RFC 5890 2.3.2.1)
    (valid.is_ok() && back == lower).then_some(Cow::Owned(ascii))
}

/// Whether two domains are the same (RFC 9598 5, RFC 9788 4.4.5).
pub(in crate::pki) fn same(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b) || matches!((to_ascii(a), to_ascii(b)), (Some(a), Some(b)) if a == b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_to_write_a_domain_are_the_same() {
        for (unicode, ascii) in [
            ("b\u{fc}cher.example", "xn--bcher-kva.example"),
            ("B\u{dc}CHER.Example", "XN--BCHER-KVA.example"),
            // an IDNA 2008 domain, which was written strasse before
            ("stra\u{df}e.example", "xn--strae-oqa.example"),
            ("\u{4f8b}\u{5b50}.\u{6d4b}\u{8bd5}", "xn--fsqu00a.xn--0zwm56d"),
            ("mail.\u{5d3}\u{5d5}\u{5d0}\u{5e8}.example", "mail.xn--4dbfg1f.example"),
        ] {
            assert!(same(unicode, ascii) && same(ascii, unicode) && same(unicode, unicode), "{unicode}");
        }
    }

    #[test]
    fn a_domain_that_only_looks_the_same_is_another() {
        for (a, b) in [
            ("\u{ff41}.example", "a.example"),
            ("a\u{3002}example", "a.example"),
            ("a\u{ad}b.example", "ab.example"),
            ("stra\u{df}e.example", "strasse.example"),
            // e and an accent beside it: not in the one form that counts
            ("cafe\u{301}.example", "xn--caf-dma.example"),
            ("\u{430}.example", "a.example"),
            ("xn--bcher-kva.example", "bucher.example"),
            ("\u{212a}.example", "\u{ff4b}.example"),
            ("b\u{fc}cher.example.", "xn--bcher-kva.example"),
            ("b\u{fc}cher..example", "xn--bcher-kva..example"),
        ] {
            assert!(!same(a, b) && !same(b, a), "{a:?} {b:?}");
        }
        assert!(to_ascii("\u{200b}.example").is_none() && to_ascii("-\u{fc}.example").is_none());
    }
}
