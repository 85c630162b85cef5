//! What a chain of ARC says (RFC 8617): whether it holds, and whether somebody who is trusted saw a message pass that fails here.
//!
//! A list changes the subject and the body, and its host is none of the author's: SPF and DKIM fail, and DMARC with them. Whoever seals a message
//! says what he saw before he changed it. Anybody can seal anything, so that it counts only of those whom the configuration names (7.2.1).

use std::fmt;

use mail_auth::{ArcOutput, DkimResult};

use crate::server::policy::access::Name;

/// Who speaks for a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::server::policy) struct Voucher {
    instance: u32,
    domain: String,
    selector: String,
}

impl fmt::Display for Voucher {
    /// As reports have it (RFC 8617 7.2.2).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { instance, domain, selector } = self;
        write!(f, "local policy: arc=pass as[{instance}].d={domain} as[{instance}].s={selector}")
    }
}

/// What is written of a chain (RFC 8617 10.1); a changed body, an end that has come and fields that cannot be read are failures like any other.
pub(in crate::server::policy) fn result(result: &DkimResult) -> (&'static str, String) {
    match result {
        DkimResult::Pass => ("pass", String::new()),
        DkimResult::None => ("none", String::new()),
        DkimResult::Neutral(error) | DkimResult::Fail(error) | DkimResult::PermError(error) => ("fail", error.to_string()),
        // what DNS cannot tell now may hold
        DkimResult::TempError(error) => ("temperror", error.to_string()),
    }
}

/// Who of those that are trusted saw DMARC pass for this author's domain. From the newest seal back: what stands behind one that is not trusted may
/// be invented. The newest signature covers the author, or he may have been put in afterwards.
pub(in crate::server::policy) fn voucher(chain: &ArcOutput<'_>, trusted: &[Name], author: &str) -> Option<Voucher> {
    let newest = chain.sets().last()?;
    let is_author_covered = newest.signature.header.h.iter().any(|name| name.trim().eq_ignore_ascii_case("from"));
    if *chain.result() != DkimResult::Pass || !is_author_covered || author.is_empty() {
        return None;
    }
    let is_trusted = |domain: &str| trusted.iter().any(|name| name.is(domain));
    let seals = chain.sets().iter().rev().take_while(|set| is_trusted(&set.seal.header.d));
    let mut saw_it = seals.filter(|set| saw_pass(&String::from_utf8_lossy(set.results.value), author));
    let seal = saw_it.next()?.seal.header;
    Some(Voucher { instance: seal.i, domain: seal.d.clone(), selector: seal.s.clone() })
}

/// Whether results (RFC 8601 2.2) say that DMARC passed for this domain.
fn saw_pass(results: &str, author: &str) -> bool {
    statements(results).iter().any(|statement| {
        // white space may stand around each sign of equality
        let joined = statement.split('=').map(str::trim).collect::<Vec<_>>().join("=");
        let mut words = joined.split_whitespace();
        let Some((method, result)) = words.next().and_then(|first| first.split_once('=')) else { return false };
        let method = method.split('/').next().unwrap_or_default();
        let is_pass = method.eq_ignore_ascii_case("dmarc") && result.eq_ignore_ascii_case("pass");
        let mut properties = words.filter_map(|word| word.split_once('='));
        let is_named =
            |(name, value): (&str, &str)| name.eq_ignore_ascii_case("header.from") && value.eq_ignore_ascii_case(author);
        is_pass && properties.any(is_named)
    })
}

/// What stands between the semicolons, without comments; of what is quoted, only what could stand without quotes: nobody's address is read as a
/// property.
fn statements(results: &str) -> Vec<String> {
    let (mut found, mut depth, mut quoted) = (vec![String::new()], 0_usize, None::<String>);
    let mut letters = results.chars();
    while let Some(letter) = letters.next() {
        match (letter, quoted.as_mut()) {
            ('\\', Some(text)) => text.extend(letters.next()),
            ('"', Some(text)) => {
                let is_plain =
                    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'));
                let kept = if is_plain { text.as_str() } else { "-" };
                if let Some(last) = found.last_mut() {
                    last.push_str(kept);
                }
                quoted = None;
            }
            (letter, Some(text)) => text.push(letter),
            ('\\', None) if depth > 0 => drop(letters.next()),
            ('(', None) => depth = depth.saturating_add(1),
            (')', None) => depth = depth.saturating_sub(1),
            (_, None) if depth > 0 => {}
            ('"', None) => quoted = Some(String::new()),
            (';', None) => found.push(String::new()),
            (letter, None) => {
                if let Some(last) = found.last_mut() {
                    last.push(letter);
                }
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_pass_of_dmarc_for_the_author_himself_is_one() {
        for good in [
            "i=1; lists.example; dkim=fail; dmarc=pass header.from=a.example",
            "i=1; lists.example;\r\n spf=pass smtp.mailfrom=x@a.example;\r\n DMARC/1 = Pass (p=REJECT; dis=NONE)\r\n\theader.from = A.example",
            "i=1; mx.example; dmarc=pass action=none header.from=\"a.example\"; compauth=pass",
        ] {
            assert!(saw_pass(good, "a.example"), "{good}");
        }
        for bad in [
            "",
            "i=1; lists.example; none",
            "i=1; lists.example; dmarc=pass",
            "i=1; lists.example; dmarc=pass header.from=b.example",
            "i=1; lists.example; dmarc=pass header.from=b.example (header.from=a.example)",
            "i=1; lists.example; dmarc=fail header.from=a.example",
            "i=1; lists.example; dkim=pass header.from=a.example; spf=pass",
            "i=1; lists.example; spf=pass smtp.mailfrom=\"x; dmarc=pass header.from=a.example\"",
            "i=1; lists.example; dmarc=pass reason=\"\\\" header.from=a.example \" header.from=b.example",
            "i=1; lists.example; (; dmarc=pass header.from=a.example",
            "i=1; lists.example; (\\); dmarc=pass header.from=a.example)",
            "i=1; lists.example; dmarc=pass \"header.from=a.example",
        ] {
            assert!(!saw_pass(bad, "a.example"), "{bad}");
        }
    }

    #[test]
    fn what_is_not_known_of_a_chain_is_a_failure_and_what_cannot_be_known_now_is_none() {
        use mail_auth::arc::ArcError;
        use mail_auth::{DnsError, Error};
        for (found, wanted) in [
            (DkimResult::Pass, "pass"),
            (DkimResult::Neutral(Error::Arc(ArcError::FailedBodyHashMatch)), "fail"),
            (DkimResult::Neutral(Error::Arc(ArcError::SignatureExpired)), "fail"),
            (DkimResult::Fail(Error::Arc(ArcError::BrokenChain)), "fail"),
            (DkimResult::TempError(Error::Dns(DnsError::Resolver("slow".to_owned()))), "temperror"),
        ] {
            assert_eq!(result(&found).0, wanted, "{found:?}");
        }
    }
}
