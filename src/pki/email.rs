//! Whether two mail addresses are the same.

use std::collections::HashSet;

use crate::pki::domain;

/// Whether two addresses are the same mailbox.
///
/// Domains are compared without regard to case (RFC 5321 2.4), and to how what is not ASCII in them is written (RFC 9598 5). Local parts
/// are compared without regard to case, too, for ASCII letters: the standard leaves their case to
/// the receiving host, no host in use tells two people apart by it, and RFC 9788 4.4.5 compares so.
pub fn same_address(a: &str, b: &str) -> bool {
    let (Some((local_a, domain_a)), Some((local_b, domain_b))) = (a.rsplit_once('@'), b.rsplit_once('@')) else { return false };
    !local_a.is_empty() && !domain_a.is_empty() && local_a.eq_ignore_ascii_case(local_b) && domain::same(domain_a, domain_b)
}

/// The address as certificates have it: the domain in A-labels (RFC 5280 7.5, RFC 9598 3); one in ASCII stays as it is. `None` where the
/// domain is none.
pub fn with_ascii_domain(address: &str) -> Option<String> {
    let (local, domain) = address.rsplit_once('@')?;
    if domain.is_ascii() {
        return Some(address.to_owned());
    }
    domain::to_ascii(domain).map(|domain| format!("{local}@{domain}"))
}

/// Whether an address is among those of a certificate.
pub fn find(addresses: &[String], address: &str) -> bool {
    addresses.iter().any(|known| same_address(known, address))
}

/// Addresses that many others are compared with.
///
/// ```
/// use sealpost::pki::email::Addresses;
/// let known = Addresses::of(&["Jane@A.Example".to_owned()]);
/// assert!(known.contains("jane@a.example") && !known.contains("joe@a.example"));
/// ```
#[derive(Debug, Clone, Default)]
pub struct Addresses(HashSet<String>);

impl Addresses {
    /// These addresses.
    pub fn of(addresses: &[String]) -> Self {
        Self(addresses.iter().filter_map(|address| one_form(address)).collect())
    }

    /// Whether an address is among them, as [`same_address`] compares.
    pub fn contains(&self, address: &str) -> bool {
        one_form(address).is_some_and(|address| self.0.contains(&address))
    }

    /// Adds one; says whether it is new.
    pub fn insert(&mut self, address: &str) -> bool {
        one_form(address).is_none_or(|address| self.0.insert(address))
    }
}

/// The one way to write an address that [`same_address`] takes for the same.
fn one_form(address: &str) -> Option<String> {
    let (local, domain) = address.rsplit_once('@').filter(|(local, domain)| !local.is_empty() && !domain.is_empty())?;
    let domain = domain::to_ascii(domain).unwrap_or_else(|| domain.to_ascii_lowercase().into());
    Some(format!("{}@{domain}", local.to_ascii_lowercase()))
}

/// A domain as the DNS has it: A-labels in lower case; `None` where what is not ASCII in it is none that a domain can have.
///
/// ```
/// assert_eq!(sealpost::pki::email::ascii_domain("B\u{fc}cher.example").as_deref(), Some("xn--bcher-kva.example"));
/// ```
pub fn ascii_domain(domain: &str) -> Option<String> {
    domain::to_ascii(domain).map(std::borrow::Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_does_not_tell_mailboxes_apart_and_nothing_else_is_forgiven() {
        assert!(same_address("Jane@A.Example", "jane@a.example"));
        for other in ["jane@a.example.", "jane@a.exampl", "jane", "@a.example", "jane@", "jane @a.example", "jane@a.example\0"] {
            assert!(!same_address("jane@a.example", other), "{other:?}");
        }
    }

    #[test]
    fn a_set_compares_as_two_do() {
        let all = [
            "Jane@A.Example",
            "jane@a.example",
            "jane@b\u{fc}cher.example",
            "JANE@B\u{dc}CHER.example",
            "jane@xn--bcher-kva.example",
            "J\u{dc}@a.example",
            "j\u{fc}@a.example",
            "jane@\u{ff41}.example",
            "jane@\u{ff41}.EXAMPLE",
            "jane@\u{ff21}.example",
            "jane",
            "@a.example",
            "jane@",
            "a@b@a.example",
        ];
        for known in all {
            let set = Addresses::of(&[known.to_owned()]);
            for other in all {
                assert_eq!(set.contains(other), same_address(known, other), "{known:?} {other:?}");
            }
        }
    }

    #[test]
    fn a_domain_is_the_same_in_both_ways_to_write_it_and_a_local_part_has_one() {
        assert!(same_address("J\u{fc}rgen@b\u{fc}cher.example", "J\u{fc}rgen@xn--bcher-kva.example"));
        assert!(
            !same_address("j\u{fc}rgen@b\u{fc}cher.example", "J\u{dc}RGEN@b\u{fc}cher.example"),
            "other letters keep their case"
        );
        let written = with_ascii_domain("j\u{fc}rgen@b\u{fc}cher.example");
        assert_eq!(written.as_deref(), Some("j\u{fc}rgen@xn--bcher-kva.example"));
        assert_eq!(with_ascii_domain("Jane@A.Example").as_deref(), Some("Jane@A.Example"));
        assert!(!same_address("xn--jrgen-kva@a.example", "j\u{fc}rgen@a.example"));
        assert!(!same_address("jane@\u{ff41}.example", "jane@a.example"));
    }
}
